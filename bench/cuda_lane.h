/* What the parts of bench_cuda share: networks on a device, and figures of times. */
#ifndef BENCH_CUDA_LANE_H
#define BENCH_CUDA_LANE_H

#include "stages/cuda/loader.h"
#include "stages/nn/network_cuda.h"

#include <jansson.h>
#include <stdbool.h>

struct ei_bench_cuda {
    const struct ei_cuda_api *api;
    bool is_emulated; /* networks without weights, whose times pass on the device: for a machine without a GPU */
    int32_t device_idx, turns;
    const char *folder; /* for weight files */
};

/* Figures of one row of times, in microseconds. */
struct ei_bench_figures {
    double p50_us, p99_us, worst_us;
};

/* Nanoseconds, which get sorted. count >= 1. */
struct ei_bench_figures ei_bench_figures(int64_t *ns, int32_t count);
json_t *ei_bench_figures_json(struct ei_bench_figures figures);

struct ei_network_cuda_settings ei_bench_cuda_settings(const struct ei_bench_cuda *bench);

/* A network of the zoo with random weights, or its stand-in. NULL: an error was printed. */
struct ei_network *ei_bench_cuda_open(const struct ei_bench_cuda *bench, const char *zoo,
                                      const struct ei_network_cuda_settings *settings);

/* Input and answers of any network here; one of each per thread. */
struct ei_bench_job {
    float *input, *logits;
};
bool ei_bench_job_init(struct ei_bench_job *job, const struct ei_network *net);
void ei_bench_job_fini(struct ei_bench_job *job);

/* One job, block by block with every exit, or as one graph. part_ns: [2 * exits] or NULL. Returns 0 or less. */
int ei_bench_run_blocks(struct ei_network *net, struct ei_bench_job *job, int64_t *part_ns);
int ei_bench_run_whole(struct ei_network *net, struct ei_bench_job *job);

/* What a newcomer may have to wait for: the longest launch, conv parts that are launched as one included. */
int64_t ei_bench_longest_ns(const struct ei_bench_cuda *bench, const struct ei_network *net);

/* Two tasks on one device (cuda_isolation.c): prints its table and returns it, "complete": false where a way failed,
 * which was printed. */
json_t *ei_bench_isolation(const struct ei_bench_cuda *bench, const char *high, const char *low);

#endif
