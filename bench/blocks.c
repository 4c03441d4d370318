/* Block-by-block inference, as the engine runs it, against one monolithic submission of the same network: what does it
 * cost to be preemptible? Both compute every exit of the same input, in turns, one inference of each per turn.
 *
 * usage: bench_blocks WEIGHTS [TURNS]        e.g. bench_blocks models/pretrained/b-alexnet-cifar10.safetensors
 */
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "stages/nn/network.h"
#include "stages/environment.h"

#include <stdio.h>
#include <stdlib.h>

#define TURNS_DEFAULT 2000
#define WARM_UP_TURNS 50
#define ROUNDS 10
#define PRIORITY 60

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(int64_t *sorted_ns, int count, double q)
{
    return (double)sorted_ns[(int)(q * (count - 1))] / 1000.0;
}

static int64_t run_blocks(struct ei_network *net, const float *input, float *logits, int *rc)
{
    const int64_t start_ns = ei_mono_now().ns;
    const struct ei_network_info *info = ei_network_info(net);
    *rc = ei_network_begin(net, input, -1, -1);
    for (int32_t k = 0; *rc == 0 && k < info->exits; k++) {
        *rc = ei_network_run_conv(net, k);
        if (*rc == 0) {
            *rc = ei_network_run_branch(net, k, logits + (size_t)k * (size_t)info->classes);
        }
    }
    ei_network_end(net);
    return ei_mono_now().ns - start_ns;
}

static int64_t run_monolithic(struct ei_network *net, const float *input, float *logits, int *rc)
{
    const int64_t start_ns = ei_mono_now().ns;
    *rc = ei_network_run_monolithic(net, input, logits);
    return ei_mono_now().ns - start_ns;
}

static void print_row(const char *name, int64_t *ns, int count)
{
    qsort(ns, (size_t)count, sizeof *ns, compare_ns);
    printf("%-16s p50 %8.1f us   p90 %8.1f us   p99 %8.1f us\n", name, quantile_us(ns, count, 0.5),
           quantile_us(ns, count, 0.9), quantile_us(ns, count, 0.99));
}

/* Ratios of the medians, round by round: their spread says how far to trust the total. */
static void print_ratios(int64_t *blocks_ns, int64_t *whole_ns, int turns)
{
    const int round = turns / ROUNDS;
    double lowest = 0.0, highest = 0.0;
    for (int r = 0; r < ROUNDS; r++) {
        qsort(blocks_ns + r * round, (size_t)round, sizeof *blocks_ns, compare_ns);
        qsort(whole_ns + r * round, (size_t)round, sizeof *whole_ns, compare_ns);
        const double ratio =
            quantile_us(blocks_ns + r * round, round, 0.5) / quantile_us(whole_ns + r * round, round, 0.5);
        lowest = r == 0 || ratio < lowest ? ratio : lowest;
        highest = r == 0 || ratio > highest ? ratio : highest;
    }
    print_row("block by block", blocks_ns, turns);
    print_row("monolithic", whole_ns, turns);
    printf("ratio of medians %.4f   over %d rounds %.4f .. %.4f\n",
           quantile_us(blocks_ns, turns, 0.5) / quantile_us(whole_ns, turns, 0.5), ROUNDS, lowest, highest);
}

static int measure(struct ei_network *net, int turns)
{
    const struct ei_network_info *info = ei_network_info(net);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    float *input = calloc(pixels, sizeof *input);
    float *logits = calloc((size_t)info->exits * (size_t)info->classes, sizeof *logits);
    int64_t *blocks_ns = calloc((size_t)turns, sizeof *blocks_ns);
    int64_t *whole_ns = calloc((size_t)turns, sizeof *whole_ns);
    struct ei_random rng;
    int rc = input != NULL && logits != NULL && blocks_ns != NULL && whole_ns != NULL ? 0 : -1;
    ei_random_init(&rng, 1, 0);
    for (size_t i = 0; rc == 0 && i < pixels; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    if (rc == 0) {
        rc = ei_network_thread_enter(net);
    }
    for (int i = -WARM_UP_TURNS; rc == 0 && i < turns; i++) {
        const bool is_blocks_first = i % 2 == 0; /* neither side always runs on the other's warm caches */
        const int64_t first =
            is_blocks_first ? run_blocks(net, input, logits, &rc) : run_monolithic(net, input, logits, &rc);
        const int64_t second =
            rc != 0 ? 0
                    : (is_blocks_first ? run_monolithic(net, input, logits, &rc) : run_blocks(net, input, logits, &rc));
        if (i >= 0) {
            blocks_ns[i] = is_blocks_first ? first : second;
            whole_ns[i] = is_blocks_first ? second : first;
        }
    }
    if (rc == 0) {
        printf("%s, %d exits, %d turns\n", info->name, info->exits, turns);
        print_ratios(blocks_ns, whole_ns, turns);
    }
    free(input);
    free(logits);
    free(blocks_ns);
    free(whole_ns);
    return rc;
}

int main(int argc, char **argv)
{
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    (void)ei_environment_apply(argv);
    if (argc < 2) {
        fprintf(stderr, "usage: bench_blocks WEIGHTS [TURNS]\n");
        return 1;
    }
    const int asked = argc > 2 ? atoi(argv[2]) : TURNS_DEFAULT;
    const int turns = asked < ROUNDS ? ROUNDS : asked / ROUNDS * ROUNDS;
    (void)ei_memory_tune_malloc();
    const struct ei_network_zoo_config config = {.zoo = "b-alexnet", .weights_path = argv[1], .threads = 1};
    if (ei_network_open_zoo(&config, &net, &err) < 0) {
        fprintf(stderr, "bench_blocks: %s %s\n", err.file, err.text);
        return 2;
    }
    if (ei_thread_become_fifo(PRIORITY, &err) < 0) {
        printf("without SCHED_FIFO: %s\n", err.text);
    }
    const int rc = measure(net, turns);
    if (rc != 0) {
        fprintf(stderr, "bench_blocks: %s\n", ei_network_fault_text(net));
    }
    ei_network_destroy(net);
    return rc == 0 ? 0 : 5;
}
