/* Measurement loops of ET- and CS-profiles. */
#include "models/profile.h"

#include "planner/profile_file.h"
#include "rt/clock.h"
#include "stages/nn/safetensors.h"
#include "stages/post/class_ops.h"
#include "stages/pre/image_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CACHE_DEFAULT_BYTES (32L * 1024 * 1024)
#define CACHE_MAX_BYTES (1024L * 1024 * 1024)
#define CACHE_LINE_BYTES 64

/* What a measurement needs besides the network. */
struct bench {
    struct ei_network *net;
    const struct ei_network_info *info;
    const struct ei_dataset *dataset;
    struct ei_pre *pre;
    float *input, *logits;
    uint8_t *flush; /* larger than the last-level cache; NULL = caches stay warm */
    size_t flush_bytes;
    int64_t *times; /* [runs][exits][2]: conv, branch */
};

static void bench_close(struct bench *b)
{
    ei_pre_destroy(b->pre);
    free(b->input);
    free(b->logits);
    free(b->flush);
    free(b->times);
}

static int bench_open(struct bench *b, struct ei_network *net, const struct ei_dataset *dataset,
                      struct einet_error *err)
{
    const struct ei_network_info *n = ei_network_info(net);
    const struct ei_dataset_info *d = ei_dataset_info(dataset);
    *b = (struct bench){.net = net, .info = n, .dataset = dataset};
    if (d->width_px != n->width_px || d->height_px != n->height_px || d->channels != n->channels ||
        d->classes != n->classes) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s has %dx%dx%d pictures in %d classes, %s takes %dx%dx%d in %d",
                               d->name, d->width_px, d->height_px, d->channels, d->classes, n->name, n->width_px,
                               n->height_px, n->channels, n->classes);
    }
    struct ei_pre_config config = {.ops = {EI_PRE_DECODE, EI_PRE_NORMALIZE},
                                   .op_count = 2,
                                   .input_width_max_px = d->width_px,
                                   .input_height_max_px = d->height_px,
                                   .width_px = n->width_px,
                                   .height_px = n->height_px,
                                   .channels = n->channels};
    memcpy(config.mean, n->norm_mean, sizeof config.mean);
    for (int c = 0; c < 3; c++) {
        config.std[c] = c < n->channels ? n->norm_std[c] : 1.0F;
    }
    b->input = malloc((size_t)n->channels * (size_t)n->height_px * (size_t)n->width_px * sizeof *b->input);
    b->logits = malloc((size_t)n->classes * sizeof *b->logits);
    if (b->input == NULL || b->logits == NULL) {
        bench_close(b);
        return einet_error_set(err, -ENOMEM, "no memory for a profile");
    }
    int rc = ei_pre_create(&config, &b->pre, err);
    if (rc == 0) {
        rc = ei_network_thread_enter(net);
        if (rc != 0) {
            einet_error_set(err, rc, "the network could not enter its thread: %s", ei_network_fault_text(net));
        }
    }
    if (rc != 0) {
        bench_close(b);
    }
    return rc;
}

/* Preprocess sample idx and begin a job with it. */
static int bench_begin(struct bench *b, int32_t idx, int32_t *out_label)
{
    struct einet_image image;
    int rc = ei_dataset_sample(b->dataset, idx, &image, out_label);
    if (rc == 0) {
        rc = ei_pre_run(b->pre, &image, b->input);
    }
    return rc == 0 ? ei_network_begin(b->net, b->input, idx, *out_label) : rc;
}

static int bench_fault(const struct bench *b, int rc, struct einet_error *err)
{
    return einet_error_set(err, rc, "the network failed while it was measured: %s", ei_network_fault_text(b->net));
}

static int report(const struct ei_profile_progress *progress, const char *phase, int64_t done, int64_t total,
                  struct einet_error *err)
{
    if (progress != NULL && progress->stop != NULL && *progress->stop != 0) {
        return einet_error_set(err, -EINTR, "stopped; nothing was written");
    }
    if (progress != NULL && progress->report != NULL) {
        progress->report(progress->context, phase, done, total);
    }
    return 0;
}

/* ---- times ---- */

/* Push everything else out of the caches: one write per line. */
static void walk(const struct bench *b)
{
    volatile uint8_t *at = b->flush;
    for (size_t i = 0; i < b->flush_bytes; i += CACHE_LINE_BYTES) {
        at[i]++;
    }
}

static int make_cold(struct bench *b, struct einet_error *err)
{
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache_bytes <= 0 || cache_bytes > CACHE_MAX_BYTES) {
        cache_bytes = CACHE_DEFAULT_BYTES;
    }
    b->flush_bytes = 2 * (size_t)cache_bytes;
    b->flush = calloc(1, b->flush_bytes);
    return b->flush != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a cold profile");
}

/* One inference; times: [exits][2]. */
static int measure_run(struct bench *b, int32_t sample, int64_t *times)
{
    int32_t label, answer;
    float confidence;
    int rc = bench_begin(b, sample, &label);
    for (int32_t i = 0; rc == 0 && i < b->info->exits; i++) {
        if (b->flush != NULL) {
            walk(b);
        }
        const struct ei_mono begin = ei_mono_now();
        rc = ei_network_run_conv(b->net, i);
        const struct ei_mono middle = ei_mono_now();
        times[(size_t)i * 2] = ei_mono_diff_ns(middle, begin);
        if (rc == 0 && b->flush != NULL) {
            walk(b);
        }
        const struct ei_mono from = b->flush != NULL ? ei_mono_now() : middle;
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
        .p50_ns = scratch[last / 2], .p99_ns = scratch[(last * 99 + 99) / 100], .max_ns = scratch[last]};
}

static void fill_et(const struct bench *b, const struct ei_profile_et_config *config, int64_t *scratch,
                    struct ei_et_profile *out)
{
    memset(out, 0, sizeof *out);
    out->exits = b->info->exits;
    out->threads = config->threads;
    out->samples = config->runs;
    out->mode = config->mode;
    snprintf(out->network, sizeof out->network, "%s", b->info->name);
    snprintf(out->weights_sha256, sizeof out->weights_sha256, "%s", b->info->weights_sha256);
    snprintf(out->lane, sizeof out->lane, "cpu");
    ei_profile_machine(out->machine, sizeof out->machine);
    for (int32_t i = 0; i < out->exits; i++) {
        out->conv[i] = stats_of(b->times, config->runs, out->exits * 2, i * 2, scratch);
        out->branch[i] = stats_of(b->times, config->runs, out->exits * 2, i * 2 + 1, scratch);
    }
}

static int measure_runs(struct bench *b, const struct ei_profile_et_config *config,
                        const struct ei_profile_progress *progress, struct ei_et_profile *out, struct einet_error *err)
{
    const int32_t samples = ei_dataset_info(b->dataset)->count, columns = b->info->exits * 2;
    const int32_t warm_up = config->runs / 10 < 10 ? 10 : config->runs / 10;
    int64_t *scratch = malloc((size_t)config->runs * sizeof *scratch);
    b->times = malloc((size_t)config->runs * (size_t)columns * sizeof *b->times);
    int rc = scratch != NULL && b->times != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a profile");
    for (int32_t r = -warm_up; rc == 0 && r < config->runs; r++) {
        int64_t *row = b->times + (size_t)(r < 0 ? 0 : r) * (size_t)columns;
        rc = measure_run(b, (r + warm_up) % samples, row);
        rc = rc != 0 ? bench_fault(b, rc, err) : report(progress, "times", r + 1, config->runs, err);
    }
    if (rc == 0) {
        fill_et(b, config, scratch, out);
    }
    free(scratch);
    return rc;
}

int ei_profile_measure_et(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_et_config *config, const struct ei_profile_progress *progress,
                          struct ei_et_profile *out, struct einet_error *err)
{
    if (config->runs < 1 || config->runs > EI_PROFILE_RUNS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a profile takes 1 to %d runs, not %d", EI_PROFILE_RUNS_MAX,
                               config->runs);
    }
    struct bench b;
    int rc = bench_open(&b, net, dataset, err);
    if (rc != 0) {
        return rc;
    }
    if (config->mode == EI_ET_COLD) {
        rc = make_cold(&b, err);
    }
    if (rc == 0) {
        rc = measure_runs(&b, config, progress, out, err);
    }
    bench_close(&b);
    return rc;
}

/* ---- scores ---- */

static int measure_sample(struct bench *b, int32_t sample, struct ei_cs_profile *out)
{
    int32_t label = -1;
    int rc = bench_begin(b, sample, &label);
    if (rc == 0) {
        out->label[sample] = (uint16_t)label;
    }
    for (int32_t i = 0; rc == 0 && i < b->info->exits; i++) {
        int32_t answer = 0;
        float confidence = 0.0F;
        rc = ei_network_run_conv(b->net, i);
        if (rc == 0) {
            rc = ei_network_run_branch(b->net, i, b->logits);
        }
        if (rc == 0) {
            (void)ei_class_top_softmax(b->logits, b->info->classes, 1, &answer, &confidence);
            rc = ei_cs_profile_set(out, sample, i, confidence, answer);
        }
    }
    ei_network_end(b->net);
    return rc;
}

int ei_profile_measure_cs(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_progress *progress, struct ei_cs_profile *out,
                          struct einet_error *err)
{
    struct bench b;
    int rc = bench_open(&b, net, dataset, err);
    if (rc != 0) {
        return rc;
    }
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    struct ei_cs_profile profile;
    rc = ei_cs_profile_init(&profile, b.info->exits, info->count, info->classes, err);
    if (rc != 0) {
        bench_close(&b);
        return rc;
    }
    for (int32_t s = 0; rc == 0 && s < info->count; s++) {
        rc = measure_sample(&b, s, &profile);
        rc = rc != 0 ? bench_fault(&b, rc, err) : report(progress, "scores", s + 1, info->count, err);
    }
    if (rc == 0) {
        snprintf(profile.network, sizeof profile.network, "%s", b.info->name);
        snprintf(profile.dataset, sizeof profile.dataset, "%s", info->name);
        snprintf(profile.split, sizeof profile.split, "%s", info->split);
        snprintf(profile.weights_sha256, sizeof profile.weights_sha256, "%s", b.info->weights_sha256);
        ei_cs_profile_summarize(&profile);
        *out = profile;
    } else {
        ei_cs_profile_fini(&profile);
    }
    bench_close(&b);
    return rc;
}

/* ---- files ---- */

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

static int measure_and_write(const struct ei_profile_job *job, struct ei_network *net, const struct ei_dataset *dataset,
                             const struct ei_profile_progress *progress, struct einet_error *err)
{
    char path[4096];
    int rc = 0;
    if (job->measure_et) {
        struct ei_et_profile *et = malloc(sizeof *et);
        rc = et == NULL ? einet_error_set(err, -ENOMEM, "no memory for a profile")
                        : ei_profile_measure_et(net, dataset, &job->et, progress, et, err);
        if (rc == 0) {
            snprintf(path, sizeof path, "%.4080s.et.csv", job->out_prefix);
            rc = ei_et_profile_write(path, et, err);
        }
        free(et);
    }
    if (rc == 0 && job->measure_cs) {
        struct ei_cs_profile cs = {0};
        rc = ei_profile_measure_cs(net, dataset, progress, &cs, err);
        if (rc == 0) {
            snprintf(path, sizeof path, "%.4080s.cs", job->out_prefix);
            rc = ei_cs_profile_write(path, &cs, err);
            ei_cs_profile_fini(&cs);
        }
    }
    return rc;
}

/* The network's name as the weights say, when the caller did not. */
static int zoo_name(const struct ei_profile_job *job, char *out, size_t size_bytes, struct einet_error *err)
{
    if (job->zoo != NULL) {
        snprintf(out, size_bytes, "%s", job->zoo);
        return 0;
    }
    struct ei_safetensors *file;
    const int rc = ei_safetensors_open(job->weights_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    const char *name = ei_safetensors_metadata(file, "zoo");
    snprintf(out, size_bytes, "%s", name != NULL ? name : "");
    ei_safetensors_close(file);
    return name != NULL ? 0
                        : einet_error_set_at(err, EINET_E_FILE, job->weights_path, 0, 0,
                                             "does not say of which network it is; name it with --model");
}

int ei_profile_run(const struct ei_profile_job *job, const struct ei_profile_progress *progress,
                   struct einet_error *err)
{
    char zoo[64];
    int rc = zoo_name(job, zoo, sizeof zoo, err);
    struct ei_dataset *dataset = NULL;
    struct ei_network *net = NULL;
    if (rc == 0) {
        rc = ei_dataset_open(job->dataset, EI_SPLIT_TEST, job->data_root, &dataset, err);
    }
    if (rc == 0) {
        const struct ei_network_zoo_config config = {
            .zoo = zoo, .weights_path = job->weights_path, .dataset = job->dataset, .threads = job->et.threads};
        rc = ei_network_open_zoo(&config, &net, err);
    }
    if (rc == 0) {
        rc = measure_and_write(job, net, dataset, progress, err);
    }
    ei_network_destroy(net);
    ei_dataset_destroy(dataset);
    return rc;
}

int ei_profile_print(const char *path, FILE *out, struct einet_error *err)
{
    struct ei_cs_profile cs;
    const size_t length = strlen(path);
    if (length >= 3 && strcmp(path + length - 3, ".cs") == 0) {
        const int rc = ei_cs_profile_read(path, &cs, err);
        if (rc == 0) {
            ei_cs_profile_print(&cs, out);
            ei_cs_profile_fini(&cs);
        }
        return rc;
    }
    struct ei_et_profile *et = malloc(sizeof *et);
    const int rc =
        et == NULL ? einet_error_set(err, -ENOMEM, "no memory for a profile") : ei_et_profile_read(path, et, err);
    if (rc == 0) {
        ei_et_profile_print(et, out);
    }
    free(et);
    return rc;
}
