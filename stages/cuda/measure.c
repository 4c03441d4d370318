/* What each part takes on the device and what a launch takes on the host: medians of passes over the whole network in
 * order, so that caches are as cold as in a job, after passes that warm the device up. Also: which conv parts are worth
 * one launch together. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>
#include <errno.h>
#include <stdlib.h>

#define WARM_PASSES 2
#define PASSES_MAX 9
#define PASSES_MIN 3
#define BUDGET_NS INT64_C(1000000000) /* no pass begins later, once there are PASSES_MIN */
#define SAMPLES_MAX (2 * EI_CUDA_BLOCKS_MAX * PASSES_MAX)

struct measuring {
    struct ei_cuda_parts *parts;
    cudaEvent_t edge[2 * EI_CUDA_BLOCKS_MAX + 1]; /* before the first part and after each */
    cudaEvent_t end;
    int64_t part_ns[2 * EI_CUDA_BLOCKS_MAX][PASSES_MAX];
    int64_t launch_ns[SAMPLES_MAX];
    int32_t launches;
};

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(int64_t *values, int32_t count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

/* pass < 0: warming up, nothing kept. */
static int run_pass(struct measuring *m, int32_t pass)
{
    struct ei_cuda_parts *parts = m->parts;
    const int32_t count = 2 * parts->config.exits;
    cudaError_t e = cudaEventRecord(m->edge[0], parts->stream);
    for (int32_t i = 0; e == cudaSuccess && i < count; i++) {
        const struct ei_cuda_launch *launch = i % 2 == 0 ? &parts->conv[i / 2] : &parts->branch[i / 2];
        const int64_t from_ns = ei_cuda_now_ns();
        e = cudaGraphLaunch(launch->exec, parts->stream);
        if (pass >= 0) {
            m->launch_ns[m->launches++] = ei_cuda_now_ns() - from_ns;
        }
        e = e == cudaSuccess ? cudaEventRecord(m->edge[i + 1], parts->stream) : e;
    }
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "running the network for the first time");
    }
    const int64_t deadline_ns = ei_cuda_now_ns() + parts->config.hang_ns * count;
    const int rc = ei_cuda_launch_settle(parts, m->end, deadline_ns);
    for (int32_t i = 0; rc == 0 && e == cudaSuccess && pass >= 0 && i < count; i++) {
        float ms = 0.0F;
        e = cudaEventElapsedTime(&ms, m->edge[i], m->edge[i + 1]);
        m->part_ns[i][pass] = (int64_t)((double)ms * 1e6);
    }
    return e == cudaSuccess ? rc : ei_cuda_launch_failed(parts, e, "measuring the network");
}

static int run_passes(struct measuring *m)
{
    struct ei_cuda_parts *parts = m->parts;
    const int64_t begun_ns = ei_cuda_now_ns();
    int32_t passes = 0;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < WARM_PASSES; i++) {
        rc = run_pass(m, -1);
    }
    while (rc == 0 && passes < PASSES_MAX && (passes < PASSES_MIN || ei_cuda_now_ns() - begun_ns < BUDGET_NS)) {
        rc = run_pass(m, passes++);
    }
    for (int32_t b = 0; rc == 0 && b < parts->config.exits; b++) {
        parts->conv_ns[b] = median(m->part_ns[2 * b], passes);
        parts->branch_ns[b] = median(m->part_ns[2 * b + 1], passes);
        parts->conv[b].expected_ns = parts->conv_ns[b];
        parts->branch[b].expected_ns = parts->branch_ns[b];
    }
    if (rc == 0) {
        parts->launch_ns = median(m->launch_ns, m->launches);
    }
    return rc;
}

int ei_cuda_measure(struct ei_cuda_parts *parts)
{
    const int32_t edges = 2 * parts->config.exits + 1;
    struct measuring *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return ei_cuda_fail(-ENOMEM, "no memory for measuring a network");
    }
    m->parts = parts;
    cudaError_t e = cudaEventCreateWithFlags(&m->end, cudaEventBlockingSync | cudaEventDisableTiming);
    for (int32_t i = 0; e == cudaSuccess && i < edges; i++) {
        e = cudaEventCreateWithFlags(&m->edge[i], cudaEventDefault);
    }
    const int rc = e == cudaSuccess ? run_passes(m) : ei_cuda_launch_failed(parts, e, "creating an event");
    for (int32_t i = 0; i < edges && !ei_cuda_device_is_lost(parts->device); i++) {
        if (m->edge[i] != NULL) {
            (void)cudaEventDestroy(m->edge[i]);
        }
    }
    if (m->end != NULL && !ei_cuda_device_is_lost(parts->device)) {
        (void)cudaEventDestroy(m->end);
    }
    free(m);
    return rc;
}

void ei_cuda_merge_plan(const int64_t *conv_ns, int32_t exits, int64_t below_ns, int32_t *out_merged_until)
{
    for (int32_t first = 0; first < exits;) {
        int32_t last = first;
        int64_t sum_ns = conv_ns[first];
        while (conv_ns[first] < below_ns && sum_ns < below_ns && last + 1 < exits && conv_ns[last + 1] < below_ns) {
            sum_ns += conv_ns[++last];
        }
        for (int32_t b = first; b <= last; b++) {
            out_merged_until[b] = last;
        }
        first = last + 1;
    }
}
