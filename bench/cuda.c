/* Networks on a CUDA lane, batch 1, every exit: what launching and waiting for single blocks costs, what merging saves
 * and cutting costs, how near block by block comes to one monolithic graph (in turns, ratios with their range over
 * rounds), and what two tasks do to each other (cuda_isolation.c).
 *
 * What is measured is written network by network, so that a run that is cut short leaves what it has.
 *
 * usage: bench_cuda [--emulate] [--device N] [--turns N] [--json FILE] [--pair HIGH,LOW] [NETWORK...]
 *        NETWORK: of the zoo, with random weights. --emulate: stand-ins whose times pass on the device; the figures are
 *        then none of a GPU.
 */
#include "bench/cuda_lane.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "stages/environment.h"
#include "stages/nn/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TURNS_DEFAULT 300
#define WARM_UP_TURNS 20
#define ROUNDS 10
#define PRIORITY 60
#define LONG_BLOCK_NS 100000
#define SHORT_PIECE_NS 50000
#define THROUGHPUT_MIN 0.99 /* what is asked of blocks of LONG_BLOCK_NS and more */

static int64_t cpu_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what waiting costs ---- */

static int time_parts(const struct ei_bench_cuda *bench, struct ei_network *net, struct ei_bench_job *job,
                      int64_t *out_over_ns, double *out_cpu_share)
{
    const int32_t parts = 2 * ei_network_info(net)->exits;
    int64_t part_ns[2 * EI_NETWORK_BLOCKS_MAX], cpu_ns = 0, wall_ns = 0;
    int rc = 0;
    for (int32_t t = -WARM_UP_TURNS; rc == 0 && t < bench->turns; t++) {
        const int64_t from_ns = ei_mono_now().ns, cpu_from_ns = cpu_now_ns();
        rc = ei_bench_run_blocks(net, job, part_ns);
        if (t < 0) {
            continue;
        }
        cpu_ns += cpu_now_ns() - cpu_from_ns;
        wall_ns += ei_mono_now().ns - from_ns;
        for (int32_t i = 0; i < parts; i++) {
            out_over_ns[t * parts + i] = part_ns[i] - ei_network_part_ns(net, i / 2, i % 2 != 0);
        }
    }
    *out_cpu_share = wall_ns > 0 ? (double)cpu_ns / (double)wall_ns : 0.0;
    return rc;
}

struct way {
    const char *name;
    enum ei_cuda_wait wait;
    enum ei_cuda_signal signal;
};

static const struct way ways_to_wait[] = {
    {"block", EI_CUDA_WAIT_BLOCK, EI_CUDA_SIGNAL_COPY},
    {"poll", EI_CUDA_WAIT_POLL, EI_CUDA_SIGNAL_COPY},
    {"spin", EI_CUDA_WAIT_SPIN, EI_CUDA_SIGNAL_COPY},
    {"spin, write", EI_CUDA_WAIT_SPIN, EI_CUDA_SIGNAL_WRITE},
};

/* A row for one way to wait: what a part takes beyond its time on the device. */
static json_t *measure_wait(const struct ei_bench_cuda *bench, const char *zoo, const struct way *way)
{
    struct ei_bench_job job = {0};
    json_t *row = NULL;
    double cpu_share = 0.0;
    struct ei_network_cuda_settings settings = ei_bench_cuda_settings(bench);
    settings.wait = way->wait;
    settings.signal = way->signal;
    struct ei_network *net = ei_bench_cuda_open(bench, zoo, &settings);
    if (net == NULL) {
        return NULL;
    }
    const int32_t samples = bench->turns * 2 * ei_network_info(net)->exits;
    int64_t *over_ns = calloc((size_t)samples, sizeof *over_ns);
    if (over_ns != NULL && ei_bench_job_init(&job, net) && time_parts(bench, net, &job, over_ns, &cpu_share) == 0) {
        const struct ei_bench_figures over = ei_bench_figures(over_ns, samples);
        const double launch_us = (double)bench->api->launch_ns(ei_network_cuda_parts(net)) / 1e3;
        printf("  wait %-11s  beyond the device's time p50 %7.1f us  p99 %7.1f us   launch call %5.1f us   "
               "%5.1f %% of a CPU\n",
               way->name, over.p50_us, over.p99_us, launch_us, 100.0 * cpu_share);
        row = json_pack("{s:s,s:o,s:f,s:f}", "wait", way->name, "beyond_device", ei_bench_figures_json(over),
                        "launch_us", launch_us, "cpu_share", cpu_share);
    }
    free(over_ns);
    ei_bench_job_fini(&job);
    ei_network_destroy(net);
    return row;
}

/* ---- blocks against one graph ---- */

static int32_t count_launches(const struct ei_bench_cuda *bench, const struct ei_network *net)
{
    int32_t launches = 0;
    for (int32_t b = 0; b < ei_network_info(net)->exits;
         b = bench->api->merged_until(ei_network_cuda_parts(net), b) + 1) {
        launches += ei_network_piece_count(net, b, false);
    }
    return launches;
}

static int time_both(const struct ei_bench_cuda *bench, struct ei_network *net, int64_t *blocks_ns, int64_t *whole_ns)
{
    struct ei_bench_job job = {0};
    int rc = ei_bench_job_init(&job, net) ? 0 : -1;
    for (int32_t t = -WARM_UP_TURNS; rc == 0 && t < bench->turns; t++) {
        for (int32_t k = 0; rc == 0 && k < 2; k++) {
            const bool is_whole = (k + t + WARM_UP_TURNS) % 2 != 0; /* neither is always first */
            const int64_t from_ns = ei_mono_now().ns;
            rc = is_whole ? ei_bench_run_whole(net, &job) : ei_bench_run_blocks(net, &job, NULL);
            if (t >= 0) {
                (is_whole ? whole_ns : blocks_ns)[t] = ei_mono_now().ns - from_ns;
            }
        }
    }
    ei_bench_job_fini(&job);
    return rc;
}

static json_t *report_both(const struct ei_bench_cuda *bench, const struct ei_network *net, const char *name,
                           int64_t merge_below_ns, int64_t *blocks_ns, int64_t *whole_ns)
{
    const int32_t round = bench->turns / ROUNDS, exits = ei_network_info(net)->exits;
    const int32_t launches = count_launches(bench, net);
    const double longest_us = (double)ei_bench_longest_ns(bench, net) / 1e3;
    double lowest = 0.0, highest = 0.0;
    for (int32_t i = 0; i < ROUNDS; i++) { /* before the whole is sorted */
        const double ratio = ei_bench_figures(whole_ns + i * round, round).p50_us /
                             ei_bench_figures(blocks_ns + i * round, round).p50_us;
        lowest = i == 0 || ratio < lowest ? ratio : lowest;
        highest = i == 0 || ratio > highest ? ratio : highest;
    }
    const struct ei_bench_figures blocks = ei_bench_figures(blocks_ns, bench->turns),
                                  whole = ei_bench_figures(whole_ns, bench->turns);
    const double ratio = whole.p50_us / blocks.p50_us;
    const bool is_judged = merge_below_ns >= LONG_BLOCK_NS;
    printf("  %-29s %2d conv parts in %2d launches, longest %7.1f us   blocks p50 %8.1f us   "
           "monolithic p50 %8.1f us   throughput %5.1f %% (%.1f .. %.1f) of it%s\n",
           name, exits, launches, longest_us, blocks.p50_us, whole.p50_us, 100.0 * ratio, 100.0 * lowest,
           100.0 * highest,
           !is_judged                ? ""
           : ratio >= THROUGHPUT_MIN ? ", within 99 %"
                                     : ", below 99 %");
    return json_pack("{s:s,s:i,s:i,s:f,s:o,s:o,s:f,s:f,s:f}", "variant", name, "conv_parts", exits, "launches",
                     launches, "longest_us", longest_us, "blocks", ei_bench_figures_json(blocks), "monolithic",
                     ei_bench_figures_json(whole), "throughput", ratio, "throughput_lowest", lowest,
                     "throughput_highest", highest);
}

struct variant {
    const char *name;
    int32_t depth;
    int64_t merge_below_ns, split_above_ns;
    enum ei_cuda_signal signal;
};

static const struct variant variants_of_launching[] = {
    {"depth 1", 1, 1, 0, EI_CUDA_SIGNAL_COPY},
    {"depth 1, merged", 1, 0, 0, EI_CUDA_SIGNAL_COPY},
    {"depth 1, 100 us blocks", 1, LONG_BLOCK_NS, 0, EI_CUDA_SIGNAL_COPY},
    {"depth 1, 50 us pieces", 1, 0, SHORT_PIECE_NS, EI_CUDA_SIGNAL_COPY},
    {"depth 2", 2, 1, 0, EI_CUDA_SIGNAL_COPY},
    {"depth 2, 100 us blocks", 2, LONG_BLOCK_NS, 0, EI_CUDA_SIGNAL_COPY},
    {"depth 2, 100 us blocks, write", 2, LONG_BLOCK_NS, 0, EI_CUDA_SIGNAL_WRITE},
};

static json_t *measure_variant(const struct ei_bench_cuda *bench, const char *zoo, const struct variant *variant)
{
    json_t *row = NULL;
    struct ei_network_cuda_settings settings = ei_bench_cuda_settings(bench);
    settings.depth = variant->depth;
    settings.merge_below_ns = variant->merge_below_ns;
    settings.split_above_ns = variant->split_above_ns;
    settings.signal = variant->signal;
    struct ei_network *net = ei_bench_cuda_open(bench, zoo, &settings);
    int64_t *ns = net != NULL ? calloc(2 * (size_t)bench->turns, sizeof *ns) : NULL;
    if (ns != NULL && time_both(bench, net, ns, ns + bench->turns) == 0) {
        row = report_both(bench, net, variant->name, variant->merge_below_ns, ns, ns + bench->turns);
    }
    free(ns);
    ei_network_destroy(net);
    return row;
}

static bool append(json_t *rows, json_t *row)
{
    return row != NULL && json_array_append_new(rows, row) == 0;
}

/* As far as it gets. */
static json_t *measure_network(const struct ei_bench_cuda *bench, const char *zoo, bool *out_is_done)
{
    json_t *waits = json_array(), *variants = json_array();
    printf("%s%s\n", zoo, bench->is_emulated ? " (a stand-in)" : "");
    bool is_done = true;
    for (size_t i = 0; i < sizeof ways_to_wait / sizeof ways_to_wait[0]; i++) {
        is_done = append(waits, measure_wait(bench, zoo, &ways_to_wait[i])) && is_done;
    }
    for (size_t i = 0; i < sizeof variants_of_launching / sizeof variants_of_launching[0]; i++) {
        is_done = append(variants, measure_variant(bench, zoo, &variants_of_launching[i])) && is_done;
    }
    *out_is_done = is_done;
    return json_pack("{s:s,s:b,s:o,s:o}", "network", zoo, "complete", is_done ? 1 : 0, "waits", waits, "variants",
                     variants);
}

/* ---- the program ---- */

struct request {
    struct ei_bench_cuda bench;
    const char *json_path;
    char high[64], low[64];
    const char *const *networks; /* ends with NULL */
};

/* What there is. networks and isolation are borrowed; isolation may be NULL. */
static bool write_json(const struct request *r, const char *device, json_t *networks, json_t *isolation)
{
    json_t *all =
        json_pack("{s:s,s:b,s:i,s:b,s:O,s:O*}", "device", device, "emulated", r->bench.is_emulated ? 1 : 0, "turns",
                  r->bench.turns, "complete", isolation != NULL ? 1 : 0, "networks", networks, "isolation", isolation);
    const bool is_written = r->json_path == NULL || json_dump_file(all, r->json_path, JSON_INDENT(2)) == 0;
    if (!is_written) {
        fprintf(stderr, "bench_cuda: %s cannot be written\n", r->json_path);
    }
    json_decref(all);
    return is_written;
}

static int run(const struct request *r)
{
    char name[128] = "";
    const struct ei_bench_cuda *bench = &r->bench;
    if (bench->api->device_name(bench->device_idx, name, sizeof name) != 0) {
        fprintf(stderr, "bench_cuda: %s\n", bench->api->error_text());
        return -1;
    }
    printf("%s, %d turns%s\n", name, bench->turns,
           bench->is_emulated ? ": STAND-INS FOR NETWORKS, these are no figures of a GPU" : "");
    json_t *networks = json_array(), *isolation = NULL;
    bool is_done = true;
    for (int32_t i = 0; r->networks[i] != NULL; i++) { /* one that cannot be measured keeps no other from it */
        bool is_one_done = false;
        const bool is_kept = append(networks, measure_network(bench, r->networks[i], &is_one_done));
        is_done = is_kept && write_json(r, name, networks, NULL) && is_one_done && is_done;
    }
    isolation = ei_bench_isolation(bench, r->high, r->low);
    is_done = json_is_true(json_object_get(isolation, "complete")) && is_done;
    is_done = write_json(r, name, networks, isolation) && is_done;
    json_decref(networks);
    json_decref(isolation);
    return is_done ? 0 : -1;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_cuda [--emulate] [--device N] [--turns N] [--json FILE] [--pair HIGH,LOW] "
                    "[NETWORK...]\n");
    return 1;
}

static int parse(int argc, char **argv, struct request *r)
{
    static const char *const usual[] = {"b-alexnet", "vgg-16", "resnet-50", "msdnet-21", NULL};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--emulate") == 0) {
            r->bench.is_emulated = true;
        } else if (strcmp(argv[i], "--device") == 0 && has_value) {
            r->bench.device_idx = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--turns") == 0 && has_value) {
            r->bench.turns = atoi(argv[++i]) / ROUNDS * ROUNDS;
        } else if (strcmp(argv[i], "--json") == 0 && has_value) {
            r->json_path = argv[++i];
        } else if (strcmp(argv[i], "--pair") == 0 && has_value) {
            if (sscanf(argv[++i], "%63[^,],%63s", r->high, r->low) != 2) {
                return -1;
            }
        } else {
            return -1;
        }
    }
    for (int k = i; k < argc; k++) {
        struct ei_program *program = calloc(1, sizeof *program);
        struct einet_error err = {0};
        const int rc = program != NULL ? ei_zoo_program(argv[k], 3, 10, program, &err) : -1;
        free(program);
        if (rc != 0) {
            fprintf(stderr, "bench_cuda: %s\n", err.text);
            return rc;
        }
    }
    r->networks = i < argc ? (const char *const *)&argv[i] : usual;
    return r->bench.turns >= ROUNDS ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct request r = {.bench = {.turns = TURNS_DEFAULT}, .high = "b-alexnet", .low = "vgg-16"};
    struct einet_error err = {0};
    char folder[] = "/tmp/bench_cuda.XXXXXX";
    (void)ei_environment_apply(argv);
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* into a pipe, too */
    if (parse(argc, argv, &r) != 0) {
        return usage();
    }
    if (ei_cuda_load(&r.bench.api, &err) != 0) {
        fprintf(stderr, "bench_cuda: %s\n", err.text);
        return 5;
    }
    r.bench.folder = mkdtemp(folder);
    if (r.bench.folder == NULL) {
        fprintf(stderr, "bench_cuda: no folder for weights in /tmp\n");
        return 5;
    }
    (void)ei_memory_tune_malloc();
    if (ei_thread_become_fifo(PRIORITY, &err) < 0) {
        printf("without SCHED_FIFO: %s\n", err.text);
    }
    const int rc = run(&r);
    (void)rmdir(folder);
    return rc == 0 ? 0 : 5;
}
