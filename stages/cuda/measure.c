/* What each piece takes on the device and what a launch takes on the host: medians of passes over the whole network in
 * order, so that caches are as cold as in a job, after passes that warm the device up. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>
#include <errno.h>
#include <stdlib.h>

#define WARM_PASSES 2
/* Pieces in the queue at once: CUDA's is finite, and where it is full, a launch waits without a limit. */
#define AHEAD 64
#define PASSES_MAX 9
#define PASSES_MIN 3
#define BUDGET_NS INT64_C(1000000000) /* no pass begins later, once there are PASSES_MIN */

struct measuring {
    struct ei_cuda_parts *parts;
    int32_t count;                  /* pieces */
    struct ei_cuda_launch **launch; /* [count], in the order in which they run */
    cudaEvent_t *edge;              /* [count + 1]: before the first piece and after each */
    cudaEvent_t end;
    int64_t (*piece_ns)[PASSES_MAX]; /* [count] */
    int64_t *launch_ns;              /* [count * PASSES_MAX] */
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

/* Pieces first to before end. pass < 0: warming up, nothing kept. */
static int run_some(struct measuring *m, int32_t pass, int32_t first, int32_t end)
{
    struct ei_cuda_parts *parts = m->parts;
    cudaError_t e = cudaEventRecord(m->edge[first], parts->stream);
    for (int32_t i = first; e == cudaSuccess && i < end; i++) {
        const int64_t from_ns = ei_cuda_now_ns();
        e = cudaGraphLaunch(m->launch[i]->exec, parts->stream);
        if (pass >= 0) {
            m->launch_ns[m->launches++] = ei_cuda_now_ns() - from_ns;
        }
        e = e == cudaSuccess ? cudaEventRecord(m->edge[i + 1], parts->stream) : e;
    }
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "running the network for the first time");
    }
    const int64_t deadline_ns = ei_cuda_now_ns() + parts->config.hang_ns * (end - first);
    const int rc = ei_cuda_launch_settle(parts, m->end, deadline_ns);
    for (int32_t i = first; rc == 0 && e == cudaSuccess && pass >= 0 && i < end; i++) {
        float ms = 0.0F;
        e = cudaEventElapsedTime(&ms, m->edge[i], m->edge[i + 1]);
        m->piece_ns[i][pass] = (int64_t)((double)ms * 1e6);
    }
    return e == cudaSuccess ? rc : ei_cuda_launch_failed(parts, e, "measuring the network");
}

static int run_pass(struct measuring *m, int32_t pass)
{
    int rc = 0;
    for (int32_t first = 0; rc == 0 && first < m->count; first += AHEAD) {
        rc = run_some(m, pass, first, first + AHEAD < m->count ? first + AHEAD : m->count);
    }
    return rc;
}

static int run_passes(struct measuring *m)
{
    const int64_t begun_ns = ei_cuda_now_ns();
    int32_t passes = 0;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < WARM_PASSES; i++) {
        rc = run_pass(m, -1);
    }
    while (rc == 0 && passes < PASSES_MAX && (passes < PASSES_MIN || ei_cuda_now_ns() - begun_ns < BUDGET_NS)) {
        rc = run_pass(m, passes++);
    }
    for (int32_t i = 0; rc == 0 && i < m->count; i++) {
        m->launch[i]->expected_ns = median(m->piece_ns[i], passes);
    }
    if (rc == 0) {
        m->parts->launch_ns = median(m->launch_ns, m->launches);
    }
    return rc;
}

static void list_pieces(struct measuring *m)
{
    struct ei_cuda_parts *parts = m->parts;
    int32_t count = 0;
    for (int32_t b = 0; b < parts->config.exits; b++) {
        for (int32_t s = 0; s < 2; s++) {
            struct ei_cuda_side *side = s == 0 ? &parts->conv : &parts->branch;
            for (int32_t i = side->piece_at[b]; i < side->piece_at[b + 1]; i++) {
                m->launch[count++] = &side->piece[i];
            }
        }
    }
}

static int measure(struct measuring *m)
{
    struct CUctx_st *context = m->parts->context;
    cudaError_t e = ei_cuda_event_create(context, cudaEventBlockingSync | cudaEventDisableTiming, &m->end);
    for (int32_t i = 0; e == cudaSuccess && i <= m->count; i++) {
        e = ei_cuda_event_create(context, cudaEventDefault, &m->edge[i]);
    }
    const int rc = e == cudaSuccess ? run_passes(m) : ei_cuda_launch_failed(m->parts, e, "creating an event");
    for (int32_t i = 0; i <= m->count && !ei_cuda_device_is_lost(m->parts->device); i++) {
        if (m->edge[i] != NULL) {
            (void)cudaEventDestroy(m->edge[i]);
        }
    }
    if (m->end != NULL && !ei_cuda_device_is_lost(m->parts->device)) {
        (void)cudaEventDestroy(m->end);
    }
    return rc;
}

int ei_cuda_measure(struct ei_cuda_parts *parts)
{
    struct measuring m = {.parts = parts};
    m.count = ei_cuda_piece_count(parts, &parts->conv) + ei_cuda_piece_count(parts, &parts->branch);
    const size_t count = (size_t)m.count;
    m.launch = calloc(count, sizeof(struct ei_cuda_launch *));
    m.edge = calloc(count + 1, sizeof(cudaEvent_t));
    m.piece_ns = calloc(count, sizeof *m.piece_ns);
    m.launch_ns = calloc(count * PASSES_MAX, sizeof *m.launch_ns);
    int rc = -ENOMEM;
    if (m.launch != NULL && m.edge != NULL && m.piece_ns != NULL && m.launch_ns != NULL) {
        list_pieces(&m);
        rc = measure(&m);
    } else {
        rc = ei_cuda_fail(rc, "no memory for measuring a network");
    }
    free(m.launch);
    free(m.edge);
    free(m.piece_ns);
    free(m.launch_ns);
    return rc;
}
