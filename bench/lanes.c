/* The same network on libtorch (`aten`) and on oneDNN (`dnnl`), batch 1, every exit, block by block as a lane runs it,
 * in turns: one inference of each per turn. The roof is what oneDNN's convolution reaches here on a large picture whose
 * weights stay in the cache; both are given as a share of it.
 *
 * usage: bench_lanes [--bf16] [--threads N] [--turns N] [--blocks] NETWORK...
 *        NETWORK: a weight file, or a name of the zoo, which then gets random weights. --blocks prints every block.
 */
#include "bench/random_weights.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "stages/dnnl/loader.h"
#include "stages/environment.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "stages/torch/loader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURNS_DEFAULT 300
#define WARM_UP_TURNS 10
#define ROUNDS 10
#define PRIORITY 60
#define BACKENDS 2

struct request {
    enum ei_network_precision precision;
    int32_t threads, turns;
    bool is_by_block;
    double roof_gflops;
};

/* One network on one backend. */
struct lane {
    struct ei_network *net;
    const struct ei_network_info *info;
    float *logits;
    int64_t *whole_ns; /* [turns] */
    int64_t *part_ns;  /* [turns][2 * exits], sorted per part in the end */
};

static const char *const names[BACKENDS] = {"aten", "dnnl"};

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(int64_t *ns, int count, double q)
{
    qsort(ns, (size_t)count, sizeof *ns, compare_ns);
    return (double)ns[(int)(q * (count - 1))] / 1000.0;
}

static int run_once(struct lane *lane, const float *input, int64_t *part_ns, int64_t *out_ns)
{
    const int64_t start_ns = ei_mono_now().ns;
    int64_t last_ns = start_ns;
    int rc = ei_network_begin(lane->net, input, -1, -1);
    for (int32_t b = 0; rc == 0 && b < lane->info->exits; b++) {
        rc = ei_network_run_conv(lane->net, b);
        const int64_t conv_ns = ei_mono_now().ns;
        if (rc == 0) {
            rc = ei_network_run_branch(lane->net, b, lane->logits + (size_t)b * (size_t)lane->info->classes);
        }
        const int64_t branch_ns = ei_mono_now().ns;
        part_ns[2 * b] = conv_ns - last_ns;
        part_ns[2 * b + 1] = branch_ns - conv_ns;
        last_ns = branch_ns;
    }
    ei_network_end(lane->net);
    *out_ns = ei_mono_now().ns - start_ns;
    return rc;
}

static int open_lane(struct lane *lane, const char *path, const struct request *r, enum ei_network_backend_kind backend)
{
    struct einet_error err = {0};
    struct ei_safetensors *file;
    char zoo[64];
    int rc = ei_safetensors_open(path, &file, &err);
    if (rc == 0) {
        const char *name = ei_safetensors_metadata(file, "zoo");
        snprintf(zoo, sizeof zoo, "%s", name != NULL ? name : "");
        ei_safetensors_close(file);
        const struct ei_network_zoo_config config = {
            .zoo = zoo, .weights_path = path, .threads = r->threads, .precision = r->precision, .backend = backend};
        rc = ei_network_open_zoo(&config, &lane->net, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "bench_lanes: %s %s\n", err.file, err.text);
        return rc;
    }
    lane->info = ei_network_info(lane->net);
    const size_t exits = (size_t)lane->info->exits, turns = (size_t)r->turns;
    lane->logits = calloc(exits * (size_t)lane->info->classes, sizeof *lane->logits);
    lane->whole_ns = calloc(turns, sizeof *lane->whole_ns);
    lane->part_ns = calloc(turns * 2 * exits, sizeof *lane->part_ns);
    return lane->logits != NULL && lane->whole_ns != NULL && lane->part_ns != NULL ? ei_network_thread_enter(lane->net)
                                                                                   : -1;
}

static void close_lane(struct lane *lane)
{
    ei_network_destroy(lane->net);
    free(lane->logits);
    free(lane->whole_ns);
    free(lane->part_ns);
}

/* Largest difference of logits, relative to the largest logit of the exit. */
static double difference(const struct lane *a, const struct lane *b)
{
    double worst = 0.0;
    const int32_t classes = a->info->classes;
    for (int32_t e = 0; e < a->info->exits; e++) {
        double largest = 1e-30, apart = 0.0;
        for (int32_t c = 0; c < classes; c++) {
            const size_t i = (size_t)e * (size_t)classes + (size_t)c;
            largest = fmax(largest, fabs((double)a->logits[i]));
            apart = fmax(apart, fabs((double)a->logits[i] - (double)b->logits[i]));
        }
        worst = fmax(worst, apart / largest);
    }
    return worst;
}

/* Median of one part over all turns. */
static double part_us(const struct lane *lane, int32_t part, int32_t turns)
{
    const size_t parts = 2 * (size_t)lane->info->exits;
    int64_t *ns = malloc((size_t)turns * sizeof *ns);
    for (int32_t t = 0; ns != NULL && t < turns; t++) {
        ns[t] = lane->part_ns[(size_t)t * parts + (size_t)part];
    }
    const double us = ns != NULL ? quantile_us(ns, turns, 0.5) : 0.0;
    free(ns);
    return us;
}

static void print_blocks(struct lane *lanes, int32_t turns)
{
    for (int32_t part = 0; part < 2 * lanes[0].info->exits; part++) {
        const struct ei_network_block_info *block = &lanes[0].info->block[part / 2];
        const double macs = (double)(part % 2 != 0 ? block->branch_macs : block->conv_macs);
        const double aten = part_us(&lanes[0], part, turns), dnnl = part_us(&lanes[1], part, turns);
        printf("    block %2d %-6s %8.2f M MACs   aten %8.1f us   dnnl %8.1f us  %6.1f GFLOP/s   ratio %5.2f\n",
               part / 2 + 1, part % 2 != 0 ? "branch" : "conv", macs / 1e6, aten, dnnl,
               dnnl > 0.0 ? 2.0 * macs / dnnl / 1000.0 : 0.0, dnnl > 0.0 ? aten / dnnl : 0.0);
    }
}

static void print_lanes(struct lane *lanes, const struct request *r)
{
    double macs = 0.0, lowest = 0.0, highest = 0.0;
    const int round = r->turns / ROUNDS;
    for (int32_t b = 0; b < lanes[0].info->exits; b++) {
        macs += (double)(lanes[0].info->block[b].conv_macs + lanes[0].info->block[b].branch_macs);
    }
    for (int i = 0; i < ROUNDS; i++) { /* before the whole is sorted */
        const double ratio = quantile_us(lanes[0].whole_ns + i * round, round, 0.5) /
                             quantile_us(lanes[1].whole_ns + i * round, round, 0.5);
        lowest = i == 0 || ratio < lowest ? ratio : lowest;
        highest = i == 0 || ratio > highest ? ratio : highest;
    }
    double p50[BACKENDS];
    printf("%s, %.1f M MACs, %d exits, difference %.1e\n", lanes[0].info->name, macs / 1e6, lanes[0].info->exits,
           difference(&lanes[0], &lanes[1]));
    for (int i = 0; i < BACKENDS; i++) {
        p50[i] = quantile_us(lanes[i].whole_ns, r->turns, 0.5);
        const double gflops = 2.0 * macs / p50[i] / 1000.0;
        printf("  %-5s p50 %9.1f us   p99 %9.1f us   %7.1f GFLOP/s   %5.1f %% of the roof\n", names[i], p50[i],
               quantile_us(lanes[i].whole_ns, r->turns, 0.99), gflops, 100.0 * gflops / r->roof_gflops);
    }
    printf("  aten / dnnl %.2f   over %d rounds %.2f .. %.2f\n", p50[0] / p50[1], ROUNDS, lowest, highest);
    fflush(stdout);
}

static int measure(const char *path, const struct request *r)
{
    struct lane lanes[BACKENDS] = {{0}};
    struct ei_random rng;
    float *input = NULL;
    int rc = open_lane(&lanes[0], path, r, EI_NETWORK_ATEN);
    if (rc == 0) {
        rc = open_lane(&lanes[1], path, r, EI_NETWORK_DNNL);
    }
    if (rc == 0) {
        const struct ei_network_info *info = lanes[0].info;
        const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
        input = calloc(pixels, sizeof *input);
        rc = input != NULL ? 0 : -1;
        ei_random_init(&rng, 1, 0);
        for (size_t i = 0; rc == 0 && i < pixels; i++) {
            input[i] = (float)ei_random_normal(&rng);
        }
    }
    for (int t = -WARM_UP_TURNS; rc == 0 && t < r->turns; t++) {
        for (int k = 0; rc == 0 && k < BACKENDS; k++) {
            struct lane *lane = &lanes[(k + t + WARM_UP_TURNS) % BACKENDS]; /* nobody is always first */
            const size_t at = t >= 0 ? (size_t)t : 0;
            rc = run_once(lane, input, lane->part_ns + at * 2 * (size_t)lane->info->exits, &lane->whole_ns[at]);
            if (rc != 0) {
                fprintf(stderr, "bench_lanes: %s\n", ei_network_fault_text(lane->net));
            }
        }
    }
    if (rc == 0) {
        print_lanes(lanes, r);
        if (r->is_by_block) {
            print_blocks(lanes, r->turns);
        }
    }
    free(input);
    close_lane(&lanes[0]);
    close_lane(&lanes[1]);
    return rc;
}

/* A 3x3 convolution of 128 channels at 32x32, again and again: as fast as this thread can multiply. */
static double roof_gflops(const struct request *r)
{
    const struct ei_dnnl_api *api;
    const enum ei_dnnl_type type = r->precision == EI_NETWORK_BFLOAT16 ? EI_DNNL_BFLOAT16 : EI_DNNL_FLOAT32;
    const struct ei_dnnl_shape shape = {128, 32, 32};
    const size_t weights = 128 * 128 * 9;
    float *weight = calloc(weights, sizeof *weight);
    struct ei_dnnl_step *step = NULL;
    double best = 0.0;
    const struct ei_dnnl_step_config config = {.kind = EI_DNNL_CONV,
                                               .in = shape,
                                               .out = shape,
                                               .type = type,
                                               .out_type = type,
                                               .kernel_px = 3,
                                               .stride_px = 1,
                                               .padding_px = 1,
                                               .weight = weight};
    for (size_t i = 0; weight != NULL && i < weights; i++) {
        weight[i] = (float)(i % 7) - 3.0F;
    }
    if (weight == NULL || ei_dnnl_load(&api, NULL) != 0 || api->thread_enter(r->threads) != 0 ||
        api->step_create(&config, &step) != 0) {
        free(weight);
        return 1.0;
    }
    const size_t bytes = 128 * 32 * 32 * sizeof(float), scratch_bytes = (size_t)api->step_scratch_bytes(step);
    void *in = aligned_alloc(64, bytes), *out = aligned_alloc(64, bytes);
    void *scratch = aligned_alloc(64, (scratch_bytes / 64 + 1) * 64);
    if (in != NULL && out != NULL && scratch != NULL) {
        memset(in, 0, bytes);
        (void)api->step_bind(step, in, out, scratch);
        for (int i = 0; i < 300; i++) {
            const int64_t start_ns = ei_mono_now().ns;
            (void)api->step_run(step);
            const double gflops = 2.0 * (double)weights * 32.0 * 32.0 / (double)(ei_mono_now().ns - start_ns);
            best = gflops > best ? gflops : best;
        }
    }
    api->step_destroy(step);
    free(in);
    free(out);
    free(scratch);
    free(weight);
    return best > 0.0 ? best : 1.0;
}

int main(int argc, char **argv)
{
    struct request r = {.threads = 1, .turns = TURNS_DEFAULT};
    struct einet_error err = {0};
    (void)ei_environment_apply(argv);
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--bf16") == 0) {
            r.precision = EI_NETWORK_BFLOAT16;
        } else if (strcmp(argv[i], "--blocks") == 0) {
            r.is_by_block = true;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            r.threads = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--turns") == 0 && i + 1 < argc) {
            r.turns = atoi(argv[++i]);
        }
    }
    if (i >= argc || r.turns < ROUNDS || r.threads < 1) {
        fprintf(stderr, "usage: bench_lanes [--bf16] [--threads N] [--turns N] [--blocks] NETWORK...\n");
        return 1;
    }
    r.turns = r.turns / ROUNDS * ROUNDS;
    (void)ei_memory_tune_malloc();
    if (ei_thread_become_fifo(PRIORITY, &err) < 0) {
        printf("without SCHED_FIFO: %s\n", err.text);
    }
    r.roof_gflops = roof_gflops(&r);
    printf("roof %.1f GFLOP/s with %d thread%s, %d turns\n", r.roof_gflops, r.threads, r.threads > 1 ? "s" : "",
           r.turns);
    int rc = 0;
    for (; rc == 0 && i < argc; i++) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/bench_lanes.%d.safetensors", (int)getpid());
        const bool is_random = bench_is_of_zoo(argv[i]);
        rc = is_random ? bench_write_random_weights(argv[i], path) : 0;
        rc = rc == 0 ? measure(is_random ? path : argv[i], &r) : rc;
        if (is_random) {
            (void)unlink(path);
        }
    }
    return rc == 0 ? 0 : 5;
}
