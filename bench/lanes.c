/* The same network on libtorch (`aten`) and on oneDNN (`dnnl`), batch 1, every exit, block by block as a lane runs it,
 * in turns: one inference of each per turn, ten rounds of turns.
 *
 * usage: bench_lanes [--bf16] [--threads N] [--cpus A,B,...] [--turns N] [--blocks] [--tune exact|winograd|bf16]
 *                    NETWORK...
 *        NETWORK: a weight file, or a name of the zoo, which then gets random weights. --blocks prints every part.
 *        --tune: dnnl a second time, with kernels chosen by measuring at load
 *
 * Threads are bound to the CPUs given, by default the last N. Before each round this program's own probes say what the
 * machine can do (roof.h): GFLOP/s of a matrix product in the caches, and GB/s from memory. `products` is the share of
 * the former. `roof` is the least time that the part can take as a share of what it took: products at full speed, or
 * its weights from memory, whichever is longer; of weights counts what the last-level cache cannot keep of those of all
 * lanes. Shares and ratios are medians over all turns with their 95 % interval.
 */
#include "bench/random_weights.h"
#include "bench/roof.h"
#include "bench/spread.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "stages/environment.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "stages/workers.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURNS_DEFAULT 300
#define ROUNDS 10
#define WARM_UP_TURNS 10      /* before the first round */
#define ROUND_WARM_UP_TURNS 2 /* before each: the probes threw out what caches held */
#define PRIORITY 60
#define LANES_MAX 3

struct request {
    enum ei_network_precision precision;
    enum ei_network_tune tune;
    struct ei_workers_config place;
    int32_t turns;
    bool is_by_block;
    struct bench_roof *roof;
};

/* One network on one backend. */
struct lane {
    const char *name;
    struct ei_network *net;
    const struct ei_network_info *info;
    float *logits;
    int64_t *whole_ns; /* [turns] */
    int64_t *part_ns;  /* [turns][2 * exits] */
};

struct comparison {
    const struct request *request;
    int32_t lane_count;
    struct lane lanes[LANES_MAX]; /* 0: aten, 1: dnnl */
    struct bench_roof_speed speed[ROUNDS];
    double streamed; /* share of the weights */
};

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- lanes ---- */

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

/* The calling thread and the workers that computing made by now, one per CPU. */
static int place_threads(const struct ei_workers_config *place, struct einet_error *err)
{
    cpu_set_t cpus;
    if (place->threads > 1) {
        return ei_workers_place(place, err);
    }
    CPU_ZERO(&cpus);
    CPU_SET((size_t)place->cpus[0], &cpus);
    return sched_setaffinity(0, sizeof cpus, &cpus) == 0
               ? 0
               : einet_error_set(err, EINET_E_PRIVILEGE, "CPU %d cannot be had", place->cpus[0]);
}

static int open_network(struct lane *lane, const char *path, const struct ei_network_zoo_config *wanted,
                        struct einet_error *err)
{
    struct ei_safetensors *file;
    struct ei_network_zoo_config config = *wanted;
    char zoo[64];
    int rc = ei_safetensors_open(path, &file, err);
    if (rc == 0) {
        const char *name = ei_safetensors_metadata(file, "zoo");
        snprintf(zoo, sizeof zoo, "%s", name != NULL ? name : "");
        ei_safetensors_close(file);
        config.zoo = zoo;
        config.weights_path = path;
        rc = ei_network_open_zoo(&config, &lane->net, err);
    }
    return rc;
}

/* Open a lane and run it once, so that its workers are there and can be placed. */
static int open_lane(struct lane *lane, const char *path, const struct request *r, const float *input,
                     const struct ei_network_zoo_config *config)
{
    struct einet_error err = {0};
    int rc = open_network(lane, path, config, &err);
    if (rc == 0) {
        lane->info = ei_network_info(lane->net);
        const size_t exits = (size_t)lane->info->exits, turns = (size_t)r->turns;
        lane->logits = calloc(exits * (size_t)lane->info->classes, sizeof *lane->logits);
        lane->whole_ns = calloc(turns, sizeof *lane->whole_ns);
        lane->part_ns = calloc(turns * 2 * exits, sizeof *lane->part_ns);
        rc = lane->logits != NULL && lane->whole_ns != NULL && lane->part_ns != NULL
                 ? ei_network_thread_enter(lane->net)
                 : einet_error_set(&err, EINET_E_FAULT, "no memory");
    }
    if (rc == 0 && run_once(lane, input, lane->part_ns, lane->whole_ns) != 0) {
        rc = einet_error_set(&err, EINET_E_BACKEND, "%s", ei_network_fault_text(lane->net));
    }
    if (rc == 0) {
        rc = place_threads(&r->place, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "bench_lanes: %s %s\n", err.file, err.text);
    }
    return rc;
}

static int open_lanes(struct comparison *c, const char *path, const float *input)
{
    const struct request *r = c->request;
    const struct ei_network_choice choice = {.tune = r->tune};
    struct ei_network_zoo_config config = {
        .threads = r->place.threads, .precision = r->precision, .backend = EI_NETWORK_ATEN};
    c->lane_count = r->tune != EI_NETWORK_TUNE_NONE ? 3 : 2;
    int rc = open_lane(&c->lanes[0], path, r, input, &config);
    config.backend = EI_NETWORK_DNNL;
    rc = rc == 0 ? open_lane(&c->lanes[1], path, r, input, &config) : rc;
    config.choice = &choice;
    rc = rc == 0 && c->lane_count > 2 ? open_lane(&c->lanes[2], path, r, input, &config) : rc;
    return rc;
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

/* ---- what is printed ---- */

#define WHOLE (-1) /* in the place of a part */

static int64_t time_ns(const struct lane *lane, int32_t part, int32_t turn)
{
    return part == WHOLE ? lane->whole_ns[turn]
                         : lane->part_ns[(size_t)turn * 2 * (size_t)lane->info->exits + (size_t)part];
}

static double quantile_us(const struct comparison *c, const struct lane *lane, int32_t part, double q)
{
    int64_t sorted_ns[BENCH_SPREAD_MAX];
    const int32_t turns = c->request->turns;
    for (int32_t t = 0; t < turns; t++) {
        sorted_ns[t] = time_ns(lane, part, t);
    }
    qsort(sorted_ns, (size_t)turns, sizeof *sorted_ns, compare_ns);
    return (double)sorted_ns[(int32_t)(q * (turns - 1))] / 1e3;
}

static double macs_of(const struct lane *lane, int32_t part)
{
    double sum = 0.0;
    for (int32_t p = part == WHOLE ? 0 : part; p < (part == WHOLE ? 2 * lane->info->exits : part + 1); p++) {
        const struct ei_network_block_info *block = &lane->info->block[p / 2];
        sum += (double)(p % 2 != 0 ? block->branch_macs : block->conv_macs);
    }
    return sum;
}

/* The least time of a part, in us, by a round's speeds; of the whole: of its parts one after the other. */
static double least_us(const struct comparison *c, int32_t part, int32_t round)
{
    const struct lane *lane = &c->lanes[0];
    const double number_bytes = c->request->precision == EI_NETWORK_BFLOAT16 ? 2.0 : 4.0;
    double sum = 0.0;
    for (int32_t p = part == WHOLE ? 0 : part; p < (part == WHOLE ? 2 * lane->info->exits : part + 1); p++) {
        const struct ei_network_block_info *block = &lane->info->block[p / 2];
        const double numbers = (double)(p % 2 != 0 ? block->branch_params : block->conv_params);
        sum += bench_roof_us(&c->speed[round], macs_of(lane, p), c->streamed * number_bytes * numbers);
    }
    return sum;
}

static int32_t round_of(const struct comparison *c, int32_t turn)
{
    return turn / (c->request->turns / ROUNDS);
}

/* Share of the roof, or with has_weights false of the matrix product's speed, in percent. */
static struct bench_spread share(const struct comparison *c, const struct lane *lane, int32_t part, bool has_weights)
{
    double values[BENCH_SPREAD_MAX];
    for (int32_t t = 0; t < c->request->turns; t++) {
        const int32_t round = round_of(c, t);
        const double least =
            has_weights ? least_us(c, part, round) : 2.0 * macs_of(lane, part) / c->speed[round].gflops / 1e3;
        values[t] = 100.0 * least * 1e3 / (double)time_ns(lane, part, t);
    }
    return bench_spread_of(values, c->request->turns);
}

static struct bench_spread ratio(const struct comparison *c, const struct lane *a, const struct lane *b, int32_t part)
{
    double values[BENCH_SPREAD_MAX];
    for (int32_t t = 0; t < c->request->turns; t++) {
        values[t] = (double)time_ns(a, part, t) / (double)time_ns(b, part, t);
    }
    return bench_spread_of(values, c->request->turns);
}

static void print_line(const struct comparison *c, const struct lane *lane, int32_t part)
{
    const double p50_us = quantile_us(c, lane, part, 0.5), macs = macs_of(lane, part);
    printf("  %-10s p50 %9.1f  p99 %9.1f us  %7.1f GFLOP/s", lane->name, p50_us, quantile_us(c, lane, part, 0.99),
           2.0 * macs / p50_us / 1e3);
    if (c->speed[0].gflops > 0.0 && macs > 0.0) {
        const struct bench_spread products = share(c, lane, part, false), roof = share(c, lane, part, true);
        printf("  products %5.1f %%  roof %5.1f %% [%.1f, %.1f]", products.middle, roof.middle, roof.low, roof.high);
    }
    if (lane != &c->lanes[0]) {
        const struct bench_spread gain = ratio(c, &c->lanes[0], lane, part);
        printf("  aten / it %.2f [%.2f, %.2f]", gain.middle, gain.low, gain.high);
    }
    printf("\n");
}

static void print_comparison(const struct comparison *c)
{
    const struct lane *aten = &c->lanes[0];
    double gflops[ROUNDS], read_gbps[ROUNDS];
    for (int32_t i = 0; i < ROUNDS; i++) {
        gflops[i] = c->speed[i].gflops;
        read_gbps[i] = c->speed[i].read_gbps;
    }
    const struct bench_spread products = bench_spread_of(gflops, ROUNDS), memory = bench_spread_of(read_gbps, ROUNDS);
    printf("%s, %.1f M MACs, %d exits, %d turns on %d thread%s\n", aten->info->name, macs_of(aten, WHOLE) / 1e6,
           aten->info->exits, c->request->turns, c->request->place.threads, c->request->place.threads > 1 ? "s" : "");
    printf("  probes     %.1f GFLOP/s [%.1f, %.1f], %.1f GB/s [%.1f, %.1f]; %.0f %% of the weights come from memory\n",
           products.middle, products.low, products.high, memory.middle, memory.low, memory.high, 100.0 * c->streamed);
    for (int32_t i = 0; i < c->lane_count; i++) {
        print_line(c, &c->lanes[i], WHOLE);
    }
    for (int32_t i = 1; i < c->lane_count; i++) {
        printf("  %-10s logits differ from aten's by %.1e of the largest\n", c->lanes[i].name,
               difference(aten, &c->lanes[i]));
    }
    for (int32_t part = 0; c->request->is_by_block && part < 2 * aten->info->exits; part++) {
        printf("  block %d %s, %.2f M MACs\n", part / 2 + 1, part % 2 != 0 ? "branch" : "conv",
               macs_of(aten, part) / 1e6);
        for (int32_t i = 0; i < c->lane_count; i++) {
            printf("  ");
            print_line(c, &c->lanes[i], part);
        }
    }
    fflush(stdout);
}

/* ---- turns ---- */

/* One inference of each; turn < 0: not counted. */
static int take_turn(struct comparison *c, const float *input, int32_t turn, int32_t first)
{
    const struct ei_mono start = ei_mono_now();
    for (int32_t k = 0; k < c->lane_count; k++) {
        struct lane *lane = &c->lanes[(first + k) % c->lane_count]; /* nobody is always first */
        const size_t at = turn >= 0 ? (size_t)turn : 0;
        const int rc = run_once(lane, input, lane->part_ns + at * 2 * (size_t)lane->info->exits, &lane->whole_ns[at]);
        if (rc != 0) {
            fprintf(stderr, "bench_lanes: %s\n", ei_network_fault_text(lane->net));
            return rc;
        }
    }
    /* Linux stalls threads under SCHED_FIFO that use 95 % of a second. */
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), ei_mono_diff_ns(ei_mono_now(), start) / 10));
    return 0;
}

static int take_rounds(struct comparison *c, const float *input)
{
    const int32_t turns = c->request->turns / ROUNDS;
    int rc = 0;
    for (int32_t round = 0; rc == 0 && round < ROUNDS; round++) {
        c->speed[round] = bench_roof_measure(c->request->roof);
        const int32_t warm_up = round == 0 ? WARM_UP_TURNS : ROUND_WARM_UP_TURNS;
        for (int32_t t = -warm_up; rc == 0 && t < turns; t++) {
            rc = take_turn(c, input, t < 0 ? -1 : round * turns + t, t + warm_up);
        }
    }
    return rc;
}

static float *draw_input(const struct ei_network_info *info)
{
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    struct ei_random rng;
    float *input = calloc(pixels, sizeof *input);
    ei_random_init(&rng, 1, 0);
    for (size_t i = 0; input != NULL && i < pixels; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    return input;
}

static int measure(const char *path, const struct request *r)
{
    struct comparison c = {.request = r, .lanes = {{.name = "aten"}, {.name = "dnnl"}, {.name = "dnnl tuned"}}};
    struct lane probe = {0};
    struct einet_error err = {0};
    double params = 0.0;
    /* The input's size is the network's, which a first opening tells. */
    int rc =
        open_network(&probe, path, &(struct ei_network_zoo_config){.threads = 1, .backend = EI_NETWORK_ATEN}, &err);
    if (rc != 0) {
        fprintf(stderr, "bench_lanes: %s %s\n", err.file, err.text);
        return rc;
    }
    probe.info = ei_network_info(probe.net);
    float *input = draw_input(probe.info);
    for (int32_t b = 0; b < probe.info->exits; b++) {
        params += (double)(probe.info->block[b].conv_params + probe.info->block[b].branch_params);
    }
    ei_network_destroy(probe.net);
    rc = input != NULL ? open_lanes(&c, path, input) : -1;
    params *= r->precision == EI_NETWORK_BFLOAT16 ? 2.0 : 4.0;
    c.streamed = bench_roof_streamed(params * c.lane_count); /* the others' lie between a lane's inferences */
    rc = rc == 0 ? take_rounds(&c, input) : rc;
    if (rc == 0) {
        print_comparison(&c);
    }
    free(input);
    for (int32_t i = 0; i < LANES_MAX; i++) {
        close_lane(&c.lanes[i]);
    }
    return rc;
}

/* ---- what is asked for ---- */

static bool read_cpus(const char *text, struct ei_workers_config *out)
{
    int32_t count = 0;
    char *end = NULL;
    for (; count < EI_WORKERS_MAX && *text != '\0'; text = *end == ',' ? end + 1 : end) {
        out->cpus[count] = (int32_t)strtol(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0')) {
            return false;
        }
        for (int32_t i = 0; i < count; i++) {
            if (out->cpus[i] == out->cpus[count]) {
                return false; /* a CPU of each thread's own */
            }
        }
        count++;
    }
    return count == out->threads;
}

/* The last CPUs that this process may use, the last one first. */
static void default_cpus(struct ei_workers_config *out)
{
    cpu_set_t allowed;
    int32_t count = 0;
    (void)sched_getaffinity(0, sizeof allowed, &allowed);
    for (int32_t cpu = CPU_SETSIZE - 1; cpu >= 0 && count < out->threads; cpu--) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            out->cpus[count++] = cpu;
        }
    }
    out->threads = count;
}

static bool read_tune(const char *text, enum ei_network_tune *out)
{
    static const char *const levels[] = {[EI_NETWORK_TUNE_EXACT] = "exact",
                                         [EI_NETWORK_TUNE_WINOGRAD] = "winograd",
                                         [EI_NETWORK_TUNE_BFLOAT16] = "bf16"};
    for (int32_t i = EI_NETWORK_TUNE_EXACT; i <= (int32_t)EI_NETWORK_TUNE_BFLOAT16; i++) {
        if (strcmp(text, levels[i]) == 0) {
            *out = (enum ei_network_tune)i;
            return true;
        }
    }
    return false;
}

/* Returns the index of the first network, or argc when what is asked for makes no sense. */
static int read_request(int argc, char **argv, struct request *out)
{
    const char *cpus = NULL;
    bool is_read = true;
    int i = 1;
    *out = (struct request){.place = {.threads = 1}, .turns = TURNS_DEFAULT};
    for (; is_read && i < argc && argv[i][0] == '-'; i++) {
        const char *const value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--bf16") == 0) {
            out->precision = EI_NETWORK_BFLOAT16;
            continue;
        }
        if (strcmp(argv[i], "--blocks") == 0) {
            out->is_by_block = true;
            continue;
        }
        if (strcmp(argv[i], "--threads") == 0) {
            out->place.threads = (int32_t)strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--turns") == 0) {
            out->turns = (int32_t)strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--cpus") == 0) {
            cpus = value;
        } else {
            is_read = strcmp(argv[i], "--tune") == 0 && read_tune(value, &out->tune);
        }
        i++;
    }
    is_read = is_read && out->turns >= ROUNDS && out->turns <= BENCH_SPREAD_MAX && out->place.threads >= 1 &&
              out->place.threads <= EI_WORKERS_MAX;
    out->turns = out->turns / ROUNDS * ROUNDS;
    if (is_read && cpus != NULL) {
        is_read = read_cpus(cpus, &out->place);
    } else if (is_read) {
        const int32_t wanted = out->place.threads;
        default_cpus(&out->place);
        is_read = out->place.threads == wanted;
    }
    return is_read ? i : argc;
}

int main(int argc, char **argv)
{
    struct request r;
    struct einet_error err = {0};
    (void)ei_environment_apply(argv);
    int i = read_request(argc, argv, &r);
    if (i >= argc) {
        fprintf(stderr,
                "usage: bench_lanes [--bf16] [--threads N] [--cpus A,B,...] [--turns %d..%d] [--blocks]\n"
                "                   [--tune exact|winograd|bf16] NETWORK...     as many CPUs as threads\n",
                ROUNDS, BENCH_SPREAD_MAX);
        return 1;
    }
    (void)ei_memory_tune_malloc();
    r.place.is_fifo = ei_thread_become_fifo(PRIORITY, &err) == 0;
    r.place.priority = r.place.is_fifo ? PRIORITY : 0;
    if (!r.place.is_fifo) {
        printf("without SCHED_FIFO: %s\n", err.text);
    }
    r.roof = bench_roof_open(r.place.cpus, r.place.threads, r.precision == EI_NETWORK_BFLOAT16);
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
    bench_roof_close(r.roof);
    return rc == 0 ? 0 : 5;
}
