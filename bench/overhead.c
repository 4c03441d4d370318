/* What a job costs in the live engine beside its network: gate, preemption checks, plans, answers, records.
 *
 * usage: bench_overhead [--jobs N] [--period MS] [--rehearse US] [--backend aten|dnnl] CASE...
 *        CASE: EXITSxUS, an emulated network whose conv parts and branches all last US microseconds; a weight file; or
 * a name of the zoo, which then gets random weights
 *
 * The engine runs a workload of one task. Its job thread, on its releases, runs every other job as the engine does,
 * from the release taken to the record pushed; in the job between, the same parts of the same network on the same
 * picture back to back, with nothing around them ("whole"). So both wake from the same sleep, into caches that were
 * left alone as long. The rest of the job between is the engine's, too: its accounting gets that job as one that was
 * dropped.
 *
 * beside: the engine's job less its calls of picture, preprocessing and network. blocks: what of it the network's stage
 * takes, for running block by block: lane, plans, boundaries with their preemption checks, answers, records of blocks;
 * its share is that of the network alone. The rest is what every job costs: its record, the load of its CPU, its other
 * stages. Medians of windows of WINDOW pairs, then the median of all windows and its interval of 95 %; p50, p90, p99:
 * ratios of all the jobs' quantiles.
 * long: how much of the time of the job between went by in parts of LONG_PART_NS and more, in the median job.
 */
#include "bench/random_weights.h"
#include "bench/spread.h"
#include "engine/live.h"
#include "engine/rehearsal_rt.h"
#include "engine/run_state.h"
#include "rt/memory.h"
#include "stages/environment.h"
#include "stages/nn/safetensors.h"

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 25
#define LONG_PART_NS (100 * EI_NS_PER_US)
#define JOBS_DEFAULT 1000
#define JOBS_MAX 200000
#define PAIRS_MAX (JOBS_MAX / 2)
#define WINDOWS_MAX (PAIRS_MAX / WINDOW)

static struct {
    int32_t jobs, period_ms, rehearse_us;
    const char *backend; /* of the lane; NULL = its default */
} options = {.jobs = JOBS_DEFAULT, .period_ms = 30};

/* One network: what its jobs took, filled by the job thread. */
static struct {
    int32_t pairs_max, pairs;
    bool is_whole_next;
    uint64_t mask;      /* of exits that the engine's last job took */
    int32_t sample_idx; /* its picture: what a rehearsal leaves of its record is not looked at */
    int64_t inside_ns;  /* of the job under way: in the calls below */
    int64_t network_ns; /* of it in the network's */
    int64_t long_ns;    /* of that in long parts */
    int64_t stage_ns;   /* of the job under way: the network's stage without the network */
    int64_t beside_ns[PAIRS_MAX], blocks_ns[PAIRS_MAX], engine_ns[PAIRS_MAX], whole_ns[PAIRS_MAX];
    int64_t alone_ns[PAIRS_MAX]; /* the network in the job between */
    int64_t parts[PAIRS_MAX], long_permille[PAIRS_MAX];
    int32_t rehearsals;
    int64_t rehearsal_ns[PAIRS_MAX];
} measured;

/* ---- the calls that are the job's own work, timed wherever they are made ---- */

#define TIMED(call)                                                                                                    \
    const int64_t start_ns = ei_mono_now().ns;                                                                         \
    const int rc = call;                                                                                               \
    const int64_t length_ns = ei_mono_now().ns - start_ns;                                                             \
    measured.inside_ns += length_ns

int __real_ei_dataset_sample(const struct ei_dataset *set, int32_t i, struct einet_image *out, int32_t *label);
int __wrap_ei_dataset_sample(const struct ei_dataset *set, int32_t i, struct einet_image *out, int32_t *label);
int __real_ei_pre_run(struct ei_pre *pre, const struct einet_image *image, float *out_chw);
int __wrap_ei_pre_run(struct ei_pre *pre, const struct einet_image *image, float *out_chw);
int __real_ei_network_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label);
int __wrap_ei_network_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label);
int __real_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits);
int __wrap_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits);

int __wrap_ei_dataset_sample(const struct ei_dataset *set, int32_t i, struct einet_image *out, int32_t *label)
{
    TIMED(__real_ei_dataset_sample(set, i, out, label));
    return rc;
}

int __wrap_ei_pre_run(struct ei_pre *pre, const struct einet_image *image, float *out_chw)
{
    TIMED(__real_ei_pre_run(pre, image, out_chw));
    return rc;
}

int __wrap_ei_network_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    TIMED(__real_ei_network_begin(net, input_chw, sample_idx, label));
    measured.network_ns += length_ns;
    return rc;
}

int __wrap_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits)
{
    TIMED(__real_ei_network_run_piece(net, k, is_branch, piece, out_logits));
    measured.network_ns += length_ns;
    measured.long_ns += length_ns >= LONG_PART_NS ? length_ns : 0;
    return rc;
}

int __real_ei_job_run_network(struct ei_job_slot *slot);
int __wrap_ei_job_run_network(struct ei_job_slot *slot);

int __wrap_ei_job_run_network(struct ei_job_slot *slot)
{
    const int64_t start_ns = ei_mono_now().ns;
    const int rc = __real_ei_job_run_network(slot);
    measured.stage_ns = ei_mono_now().ns - start_ns - measured.network_ns;
    return rc;
}

/* ---- the jobs ---- */

void __real_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);
void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);

/* The work of the engine's last job, back to back. */
static int run_parts(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    const int32_t sample_idx = measured.sample_idx;
    int32_t label = -1;
    int rc = task->dataset != NULL ? ei_dataset_sample(task->dataset, sample_idx, &slot->image, &label) : 0;
    rc = rc == 0 && task->pre != NULL ? ei_pre_run(task->pre, &slot->image, slot->input_chw) : rc;
    rc = rc == 0 ? ei_network_begin(task->nn.net, slot->input_chw, sample_idx, label) : rc;
    for (int32_t k = 0; rc == 0 && measured.mask >> k != 0; k++) {
        rc = ei_network_run_piece(task->nn.net, k, false, 0, slot->logits);
        if (rc == 0 && (measured.mask >> k & 1U) != 0) {
            rc = ei_network_run_piece(task->nn.net, k, true, 0, slot->logits);
        }
    }
    ei_network_end(task->nn.net);
    return rc;
}

void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns)
{
    const int32_t at = measured.pairs;
    measured.inside_ns = measured.network_ns = measured.long_ns = measured.stage_ns = 0;
    const int64_t start_ns = ei_mono_now().ns;
    if (!measured.is_whole_next) {
        __real_ei_job_run(slot, release, awake_ns);
        const int64_t all_ns = ei_mono_now().ns - start_ns;
        measured.mask = slot->record.exits_mask;
        measured.sample_idx = slot->record.sample_idx;
        measured.is_whole_next = at < measured.pairs_max && measured.mask != 0;
        if (measured.is_whole_next) {
            measured.engine_ns[at] = all_ns;
            measured.beside_ns[at] = all_ns - measured.inside_ns;
            measured.blocks_ns[at] = measured.stage_ns;
            measured.parts[at] = 64 - __builtin_clzll(measured.mask) + __builtin_popcountll(measured.mask);
        }
        return;
    }
    const int rc = run_parts(slot);
    measured.whole_ns[at] = ei_mono_now().ns - start_ns;
    measured.alone_ns[at] = measured.network_ns;
    measured.long_permille[at] = 1000 * measured.long_ns / measured.whole_ns[at];
    measured.pairs += rc == 0;
    measured.is_whole_next = false;
    ei_job_refuse(slot, release, EI_CAUSE_CANCELLED);
}

void __real_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns);
void __wrap_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns);

void __wrap_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns)
{
    const int64_t start_ns = ei_mono_now().ns;
    __real_ei_rehearse(slot, release_ns);
    if (measured.rehearsals < PAIRS_MAX) {
        measured.rehearsal_ns[measured.rehearsals++] = ei_mono_now().ns - start_ns;
    }
}

/* ---- figures ---- */

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(const int64_t *ns, int32_t count, double q)
{
    static int64_t sorted_ns[PAIRS_MAX];
    memcpy(sorted_ns, ns, (size_t)count * sizeof *ns);
    qsort(sorted_ns, (size_t)count, sizeof *sorted_ns, compare_ns);
    return (double)sorted_ns[(int32_t)(q * (count - 1))] / 1000.0;
}

static void print_spread(double *values, int32_t count, int32_t decimals)
{
    const struct bench_spread spread = bench_spread_of(values, count);
    printf("  %7.*f [%6.*f, %6.*f]", decimals, spread.middle, decimals, spread.low, decimals, spread.high);
}

static void print_case(const char *name)
{
    static double beside_us[WINDOWS_MAX], share[WINDOWS_MAX], ratio[WINDOWS_MAX];
    static double blocks_us[WINDOWS_MAX], blocks_share[WINDOWS_MAX];
    const int32_t windows = measured.pairs / WINDOW;
    for (int32_t w = 0; w < windows; w++) {
        const int32_t at = w * WINDOW;
        const double whole_us = quantile_us(measured.whole_ns + at, WINDOW, 0.5);
        beside_us[w] = quantile_us(measured.beside_ns + at, WINDOW, 0.5);
        share[w] = 100 * beside_us[w] / whole_us;
        blocks_us[w] = quantile_us(measured.blocks_ns + at, WINDOW, 0.5);
        blocks_share[w] = 100 * blocks_us[w] / quantile_us(measured.alone_ns + at, WINDOW, 0.5);
        ratio[w] = quantile_us(measured.engine_ns + at, WINDOW, 0.5) / whole_us;
    }
    if (windows == 0) {
        printf("%-20.20s no jobs\n", name);
        return;
    }
    const double whole_us = quantile_us(measured.whole_ns, measured.pairs, 0.5);
    const double parts = 1000 * quantile_us(measured.parts, measured.pairs, 0.5);
    const double long_pct = 100 * quantile_us(measured.long_permille, measured.pairs, 0.5);
    printf("%-20.20s %5d %3.0f %7.1f %5.0f %8.1f", name, measured.pairs, parts, whole_us / parts, long_pct, whole_us);
    print_spread(beside_us, windows, 2);
    printf(" %6.1f %6.1f", quantile_us(measured.beside_ns, measured.pairs, 0.9),
           quantile_us(measured.beside_ns, measured.pairs, 0.99));
    print_spread(share, windows, 2);
    print_spread(blocks_us, windows, 2);
    print_spread(blocks_share, windows, 2);
    print_spread(ratio, windows, 4);
    for (int32_t i = 0; i < 3; i++) {
        const double q = (const double[]){0.5, 0.9, 0.99}[i];
        printf(" %6.4f",
               quantile_us(measured.engine_ns, measured.pairs, q) / quantile_us(measured.whole_ns, measured.pairs, q));
    }
    if (measured.rehearsals > 0) {
        printf("  rehearsals of %.1f us, p90 %.1f", quantile_us(measured.rehearsal_ns, measured.rehearsals, 0.5),
               quantile_us(measured.rehearsal_ns, measured.rehearsals, 0.9));
    }
    printf("\n");
}

/* ---- the workload ---- */

static void write_emulated(FILE *file, int32_t exits, int32_t block_us)
{
    fprintf(file, "  net: { emulate: { blocks: [ ");
    for (int32_t k = 0; k < exits; k++) {
        fprintf(file, "%s{ conv: %dus, branch: %dus, score: %.3f }", k > 0 ? ", " : "", block_us, block_us,
                0.5 + 0.4 * (k + 1) / exits);
    }
    fprintf(file, " ] } }\n");
}

/* Returns 0, or -1 with stderr written. is_random: weights_path is to be written. */
static int write_workload(const char *path, const char *name, const char *weights_path)
{
    int32_t exits = 0, block_us = 0;
    char full[PATH_MAX], zoo[64] = "", rehearse[48] = "", backend[48] = "";
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return -1;
    }
    const bool is_emulated = sscanf(name, "%dx%d", &exits, &block_us) == 2;
    if (options.backend != NULL) {
        snprintf(backend, sizeof backend, ", backend: %s", options.backend);
    }
    fprintf(file,
            "version: 1\nname: overhead\nrun: { duration: %lldms, warmup: 500ms, seed: 1 }\n"
            "platform: { privileges: degrade, housekeeping_cpus: \"0\" }\nlanes: { acc: { kind: cpu%s } }\nmodels:\n",
            (long long)options.jobs * options.period_ms, backend);
    if (is_emulated) {
        write_emulated(file, exits, block_us);
    } else {
        struct ei_safetensors *weights;
        struct einet_error err = {0};
        if (realpath(weights_path, full) == NULL || ei_safetensors_open(full, &weights, &err) < 0) {
            fprintf(stderr, "bench_overhead: %s: %s\n", weights_path, err.text);
            fclose(file);
            return -1;
        }
        const char *metadata = ei_safetensors_metadata(weights, "zoo");
        snprintf(zoo, sizeof zoo, "%s", metadata != NULL ? metadata : "");
        const char *dataset = ei_safetensors_metadata(weights, "dataset");
        fprintf(file, "  net: { zoo: %s, dataset: %s, weights: %s }\n", zoo, dataset != NULL ? dataset : "generated",
                full);
        ei_safetensors_close(weights);
    }
    if (options.rehearse_us > 0) {
        snprintf(rehearse, sizeof rehearse, "    rehearse: %dus\n", options.rehearse_us);
    }
    fprintf(file,
            "tasks:\n  - name: net\n    arrival: { model: periodic, period: %dms }\n    deadline: %dms\n"
            "    priority: 60\n%s%s    stages: [ %s{ name: net, kind: nn, model: net, lane: acc } ]\n",
            options.period_ms, options.period_ms, rehearse,
            is_emulated ? "" : "    input: { kind: generated, seed: 1, count: 200, split: test }\n",
            is_emulated ? "" : "{ name: pre, kind: cpu, op: normalize }, ");
    return fclose(file);
}

static int run_workload(const char *path, const char *out_dir)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct einet_error err = {0};
    struct ei_live_result result;
    if (ei_workload_load(path, &wl, &diag) < 0) {
        ei_diagnostics_print(&diag, stderr);
        ei_diagnostics_fini(&diag);
        return -1;
    }
    ei_diagnostics_fini(&diag);
    const struct ei_live_options live = {.out_dir = out_dir};
    const int rc = ei_live_run(wl, &live, &result, &err);
    if (rc == 0) {
        ei_collector_destroy(result.collector);
    } else {
        fprintf(stderr, "bench_overhead: %s\n", err.text);
    }
    ei_workload_destroy(wl);
    return rc;
}

static int measure(const char *name, const char *dir)
{
    char workload[PATH_MAX], out[PATH_MAX], random[PATH_MAX];
    snprintf(workload, sizeof workload, "%s/workload.yaml", dir);
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(random, sizeof random, "%s/%s.safetensors", dir, strchr(name, '/') == NULL ? name : "");
    const bool is_random = bench_is_of_zoo(name);
    if (is_random && bench_write_random_weights(name, random) != 0) {
        return -1;
    }
    measured.pairs = measured.rehearsals = 0;
    measured.pairs_max = options.jobs / 2;
    measured.is_whole_next = false;
    int rc = write_workload(workload, name, is_random ? random : name);
    rc = rc == 0 ? run_workload(workload, out) : rc;
    if (rc == 0) {
        print_case(strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name);
        fflush(stdout);
    }
    return rc;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/bench_overhead.XXXXXX";
    (void)ei_environment_apply(argv);
    (void)ei_memory_tune_malloc();
    int first = 1;
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--backend") == 0) {
            options.backend = argv[first + 1];
            continue;
        }
        int32_t *option = strcmp(argv[first], "--jobs") == 0       ? &options.jobs
                          : strcmp(argv[first], "--rehearse") == 0 ? &options.rehearse_us
                                                                   : &options.period_ms;
        *option = (int32_t)strtol(argv[first + 1], NULL, 10);
    }
    if (first >= argc || options.jobs < 2 * WINDOW || options.jobs > JOBS_MAX || options.period_ms < 1 ||
        mkdtemp(dir) == NULL) {
        fprintf(stderr, "usage: bench_overhead [--jobs N] [--period MS] [--rehearse US] [--backend aten|dnnl] "
                        "EXITSxUS|WEIGHTS|ZOO...\n");
        return 1;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    printf("%-20s %5s %3s %7s %5s %8s  %-24s %6s %6s  %-24s  %-24s  %-24s  %-24s %s\n", "network", "pairs", "parts",
           "us/part", "long%", "whole us", "beside, us", "p90", "p99", "beside / whole, %", "blocks, us",
           "blocks / network, %", "engine's job / whole", "p50, p90, p99");
    int rc = 0;
    for (int i = first; rc == 0 && i < argc; i++) {
        rc = measure(argv[i], dir);
    }
    (void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return rc == 0 ? 0 : 5;
}
