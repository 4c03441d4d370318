/* Times: every conv part and branch, on a thread that is scheduled as a live lane's.
 *
 *     ordinary, pinned: warm up -> lock memory -> SCHED_FIFO -> measure, resting a tenth of the time -> ordinary again
 *
 * What the kernel refuses is noted and recorded, and the measurement goes on without it. Nothing is left out: a gap of
 * the machine in the middle of an inference is in p99 or max. Linux stalls the FIFO threads of a CPU that use 950 ms of
 * a second; the rests keep a long measurement at 91 % of its CPU.
 */
#include "models/profile_bench.h"

#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include "stages/cuda/loader.h"
#include "stages/dnnl/loader.h"
#include "stages/nn/network_cuda.h"
#include "stages/post/class_ops.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CACHE_DEFAULT_BYTES (32L * 1024 * 1024)
#define CACHE_MAX_BYTES (1024L * 1024 * 1024)
#define CACHE_LINE_BYTES 64
#define STACK_BYTES ((size_t)8 * 1024 * 1024) /* libtorch recurses deeper than our own threads */
#define REST_AFTER_NS (50 * EI_NS_PER_MS)     /* seldom enough that most inferences follow one another */
#define REST_SHARE 10                         /* a tenth of what was computed since the last rest */

/* One measurement, handed to its thread. */
struct et_run {
    struct ei_profile_bench bench;
    struct ei_network *net;
    const struct ei_dataset *dataset;
    const struct ei_profile_et_config *config;
    const struct ei_profile_progress *progress;
    struct ei_cpuset cpus;
    struct ei_et_profile *out;
    struct einet_error *err;
    int rc;
    uint8_t *flush; /* larger than the last-level cache; NULL = caches stay warm */
    size_t flush_bytes;
    int64_t *times; /* [runs][exits][2]: conv, branch */
    struct ei_mono rested;
};

/* Push everything else out of the caches: one write per line. */
static void walk(const struct et_run *r)
{
    volatile uint8_t *at = r->flush;
    for (size_t i = 0; i < r->flush_bytes; i += CACHE_LINE_BYTES) {
        at[i]++;
    }
}

static int make_cold(struct et_run *r, struct einet_error *err)
{
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache_bytes <= 0 || cache_bytes > CACHE_MAX_BYTES) {
        cache_bytes = CACHE_DEFAULT_BYTES;
    }
    r->flush_bytes = 2 * (size_t)cache_bytes;
    r->flush = calloc(1, r->flush_bytes);
    return r->flush != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a cold profile");
}

/* One inference; times: [exits][2]. */
static int measure_run(struct et_run *r, int32_t sample, int64_t *times)
{
    struct ei_profile_bench *b = &r->bench;
    int32_t label, answer;
    float confidence;
    int rc = ei_profile_bench_begin(b, sample, &label);
    for (int32_t i = 0; rc == 0 && i < b->info->exits; i++) {
        if (r->flush != NULL) {
            walk(r);
        }
        const struct ei_mono begin = ei_mono_now();
        rc = ei_network_run_conv(b->net, i);
        const struct ei_mono middle = ei_mono_now();
        times[(size_t)i * 2] = ei_mono_diff_ns(middle, begin);
        if (rc == 0 && r->flush != NULL) {
            walk(r);
        }
        const struct ei_mono from = r->flush != NULL ? ei_mono_now() : middle;
        if (rc == 0) {
            rc = ei_network_run_branch(b->net, i, b->logits);
        }
        (void)ei_class_top_softmax(b->logits, b->info->classes, 1, &answer, &confidence);
        times[(size_t)i * 2 + 1] = ei_mono_diff_ns(ei_mono_now(), from);
    }
    ei_network_end(b->net);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Nearest-rank quantiles of column `column` of times[runs][columns]; scratch: [runs]. */
static struct ei_time_stats stats_of(const int64_t *times, int32_t runs, int32_t columns, int32_t column,
                                     int64_t *scratch)
{
    for (int32_t r = 0; r < runs; r++) {
        scratch[r] = times[(size_t)r * (size_t)columns + (size_t)column];
    }
    qsort(scratch, (size_t)runs, sizeof *scratch, by_value);
    const int64_t last = runs - 1;
    return (struct ei_time_stats){
        .p50_ns = scratch[last / 2], .p99_ns = scratch[((int64_t)runs * 99 + 99) / 100 - 1], .max_ns = scratch[last]};
}

/* ---- the machine ---- */

void ei_profile_machine(char *out, size_t size_bytes)
{
    char line[256], model[80] = "unknown processor";
    FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
    while (cpuinfo != NULL && fgets(line, sizeof line, cpuinfo) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && value != NULL) {
            snprintf(model, sizeof model, "%.70s", value + (value[1] == ' ' ? 2 : 1));
            model[strcspn(model, "\n")] = '\0';
            break;
        }
    }
    if (cpuinfo != NULL) {
        fclose(cpuinfo);
    }
    struct utsname kernel = {0};
    (void)uname(&kernel);
    snprintf(out, size_bytes, "%.70s, %ld CPUs, %.8s %.32s", model, sysconf(_SC_NPROCESSORS_ONLN), kernel.sysname,
             kernel.release);
}

/* The frequency governor of a CPU; "" where there is none, as in most virtual machines. */
static void read_governor(int cpu, char *out, size_t size_bytes)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file != NULL) {
        if (fgets(out, (int)size_bytes, file) == NULL) {
            out[0] = '\0';
        }
        fclose(file);
    }
    out[strcspn(out, "\n")] = '\0';
}

static void trim(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ') {
        text[--length] = '\0';
    }
}

static void describe_machine(const struct et_run *r, struct ei_et_profile *out)
{
    struct ei_machine machine;
    ei_profile_machine(out->machine, sizeof out->machine);
    if (ei_machine_describe(&machine, NULL) == 0) {
        snprintf(out->cpu_model, sizeof out->cpu_model, "%s", machine.cpu_model);
        snprintf(out->kernel, sizeof out->kernel, "%s", machine.kernel);
    }
    read_governor(ei_cpuset_next(&r->cpus, 0), out->governor, sizeof out->governor);
    ei_cpuset_format(&r->cpus, out->cpus, sizeof out->cpus);
    trim(out->machine);
    trim(out->cpu_model);
    trim(out->kernel);
}

/* "aten, libtorch 1.13.0", "cuda, libtorch 2.11.0, NVIDIA H200": what computes, and on which device. */
static void describe_backend(const struct et_run *r, char *out, size_t size_bytes)
{
    const struct ei_torch_api *torch = NULL;
    const struct ei_dnnl_api *dnnl = NULL;
    const struct ei_cuda_api *cuda = NULL;
    const char *backend = r->bench.info->backend;
    const bool is_dnnl = strstr(backend, "dnnl") != NULL && ei_dnnl_load(&dnnl, NULL) == 0;
    const bool has_torch = strstr(backend, "aten") != NULL || strcmp(backend, "cuda") == 0;
    const bool is_torch = has_torch && ei_torch_load(&torch, NULL) == 0;
    char name[64] = "";
    if (ei_network_cuda_parts(r->net) != NULL && ei_cuda_load(&cuda, NULL) == 0) {
        (void)cuda->device_name(r->config->device_idx, name, sizeof name);
    }
    snprintf(out, size_bytes, "%s%s%.20s%s%.20s%s%s", backend, is_dnnl ? ", oneDNN " : "", is_dnnl ? dnnl->version : "",
             is_torch ? ", libtorch " : "", is_torch ? torch->version : "", name[0] != '\0' ? ", " : "", name);
}

static void describe_network(const struct et_run *r, struct ei_et_profile *out)
{
    const struct ei_network_info *info = r->bench.info;
    snprintf(out->network, sizeof out->network, "%s", info->name);
    snprintf(out->weights_sha256, sizeof out->weights_sha256, "%s", info->weights_sha256);
    snprintf(out->lane, sizeof out->lane, "cpu");
    if (ei_network_cuda_parts(r->net) != NULL) {
        ei_et_profile_set_device(out, r->config->device_idx, r->config->sms);
    }
    describe_backend(r, out->backend, sizeof out->backend);
    out->exits = info->exits;
    out->precision = info->precision == EI_NETWORK_BFLOAT16 ? EI_PROFILE_BFLOAT16 : EI_PROFILE_FLOAT32;
}

/* ---- the thread ---- */

static void note(const struct et_run *r, const char *text)
{
    if (r->progress != NULL && r->progress->note != NULL) {
        r->progress->note(r->progress->context, text);
    }
}

/* Become what a live lane's thread is, as far as the kernel lets us; out gets what was got. */
static void become_lane(const struct et_run *r, struct ei_et_profile *out)
{
    struct einet_error refused = {0};
    char text[EINET_ERROR_TEXT_MAX + 80];
    out->policy = EI_ET_OTHER;
    out->memory = EI_ET_PAGEABLE;
    if (r->config->priority == 0) {
        return;
    }
    if (ei_memory_lock(EI_MEMORY_LOCK_ALL, &refused) == 0) {
        out->memory = EI_ET_LOCKED;
    } else {
        snprintf(text, sizeof text, "measured with memory not locked: %s", refused.text);
        note(r, text);
    }
    if (ei_thread_become_fifo(r->config->priority, &refused) == 0) {
        out->policy = EI_ET_FIFO;
        out->priority = r->config->priority;
    } else {
        snprintf(text, sizeof text, "measured under SCHED_OTHER, recorded as policy: other: %s", refused.text);
        note(r, text);
    }
}

static void leave_lane(const struct ei_et_profile *got)
{
    if (got->policy == EI_ET_FIFO) {
        (void)ei_thread_become_other();
    }
    if (got->memory == EI_ET_LOCKED) {
        ei_memory_unlock();
    }
}

static void rest(struct et_run *r)
{
    const struct ei_mono now = ei_mono_now();
    const int64_t computed_ns = ei_mono_diff_ns(now, r->rested);
    if (computed_ns >= REST_AFTER_NS) {
        ei_mono_sleep_until((struct ei_mono){now.ns + computed_ns / REST_SHARE});
        r->rested = ei_mono_now();
    }
}

static int measure_runs(struct et_run *r, int32_t first, int32_t count)
{
    const int32_t samples = ei_dataset_info(r->dataset)->count, columns = r->bench.info->exits * 2;
    int rc = 0;
    r->rested = ei_mono_now();
    for (int32_t i = first; rc == 0 && i < first + count; i++) {
        const int32_t row = i < 0 ? 0 : i; /* warm-up counts up to 0 and is written over */
        rc = measure_run(r, (i - first) % samples, r->times + (size_t)row * (size_t)columns);
        rc = rc != 0 ? ei_profile_bench_fault(&r->bench, rc, r->err)
                     : ei_profile_report(r->progress, first < 0 ? "warm-up" : "times", i - first + 1, count, r->err);
        rest(r);
    }
    return rc;
}

static void fill_stats(const struct et_run *r, int64_t *scratch, struct ei_et_profile *out)
{
    const int32_t runs = r->config->runs, columns = out->exits * 2;
    for (int32_t i = 0; i < out->exits; i++) {
        out->conv[i] = stats_of(r->times, runs, columns, i * 2, scratch);
        out->branch[i] = stats_of(r->times, runs, columns, i * 2 + 1, scratch);
    }
}

static int measure(struct et_run *r)
{
    const int32_t runs = r->config->runs, warm_up = runs / 10 < 10 ? 10 : runs / 10;
    struct ei_et_profile got = {.threads = r->config->threads, .samples = runs, .mode = r->config->mode};
    int64_t *scratch = malloc((size_t)runs * sizeof *scratch);
    r->times = calloc((size_t)runs * (size_t)r->bench.info->exits * 2, sizeof *r->times);
    int rc = scratch != NULL && r->times != NULL ? 0 : einet_error_set(r->err, -ENOMEM, "no memory for a profile");
    if (rc == 0 && r->config->mode == EI_ET_COLD) {
        rc = make_cold(r, r->err);
    }
    if (rc == 0) {
        describe_machine(r, &got);
        describe_network(r, &got);
        rc = measure_runs(r, -warm_up, warm_up);
    }
    if (rc == 0) {
        become_lane(r, &got);
        rc = measure_runs(r, 0, runs);
        leave_lane(&got);
    }
    if (rc == 0) {
        fill_stats(r, scratch, &got);
        *r->out = got;
    }
    free(scratch);
    free(r->times);
    free(r->flush);
    return rc;
}

static void thread_main(void *context)
{
    struct et_run *r = context;
    r->rc = ei_profile_bench_open(&r->bench, r->net, r->dataset, r->err);
    if (r->rc == 0) {
        r->rc = measure(r);
        ei_profile_bench_close(&r->bench);
    }
}

/* ---- asking ---- */

/* The CPU asked for, or the last one, and below it as many more as there are further threads. */
static int choose_cpus(const struct ei_profile_et_config *config, struct ei_cpuset *out, struct einet_error *err)
{
    struct ei_cpuset allowed;
    char text[128];
    const int rc = ei_topology_allowed(&allowed, err);
    if (rc != 0) {
        return rc;
    }
    int cpu = config->cpu;
    if (cpu < 0) {
        for (int next = ei_cpuset_next(&allowed, 0); next >= 0; next = ei_cpuset_next(&allowed, next + 1)) {
            cpu = next;
        }
    }
    if (!ei_cpuset_has(&allowed, cpu)) {
        ei_cpuset_format(&allowed, text, sizeof text);
        return einet_error_set(err, EINET_E_USAGE, "CPU %d is none that this process may use; allowed: %s", cpu, text);
    }
    *out = (struct ei_cpuset){{0}};
    for (int32_t left = config->threads; left > 0 && cpu >= 0; cpu--) {
        if (ei_cpuset_has(&allowed, cpu)) {
            ei_cpuset_add(out, cpu);
            left--;
        }
    }
    return 0;
}

static int check_config(const struct ei_profile_et_config *config, struct einet_error *err)
{
    if (config->runs < 1 || config->runs > EI_PROFILE_RUNS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a profile takes 1 to %d runs, not %d", EI_PROFILE_RUNS_MAX,
                               config->runs);
    }
    if (config->priority < 0 || config->priority > EI_PROFILE_PRIORITY_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a profile is measured at SCHED_FIFO 1 to %d, not %d",
                               EI_PROFILE_PRIORITY_MAX, config->priority);
    }
    return 0;
}

int ei_profile_measure_et(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_et_config *config, const struct ei_profile_progress *progress,
                          struct ei_et_profile *out, struct einet_error *err)
{
    struct et_run run = {
        .net = net, .dataset = dataset, .config = config, .progress = progress, .out = out, .err = err};
    int rc = check_config(config, err);
    if (rc == 0 && config->mode == EI_ET_COLD && ei_network_cuda_parts(net) != NULL) {
        rc = einet_error_set(err, EINET_E_USAGE,
                             "cold times are of a processor's caches, not of a device: leave out "
                             "--cold");
    }
    if (rc == 0) {
        rc = choose_cpus(config, &run.cpus, err);
    }
    if (rc != 0) {
        return rc;
    }
    const struct ei_thread_attr attr = {
        .name = "einet-profile", .policy = EI_THREAD_OTHER, .cpus = run.cpus, .stack_bytes = STACK_BYTES};
    struct ei_thread thread;
    rc = ei_thread_create(&thread, &attr, thread_main, &run, err);
    if (rc == 0) {
        rc = ei_thread_join(&thread);
    }
    return rc == 0 ? run.rc : rc;
}
