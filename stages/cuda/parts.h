/* Inside the CUDA plug-in: what its files share.
 *
 *     device.c    devices: lost or not, stream priorities, pinned memory, texts of errors
 *     graphs.c    recorded parts -> graphs that can be launched
 *     signal.c    how a graph says that it has run
 *     green.c     SMs that belong to one lane
 *     measure.c   what pieces and launches take
 *     cut.c       where parts are cut into pieces; which conv parts are launched as one
 *     waiter.c    a thread that waits for events, so that its caller may give up
 *     launch.c    the queue: launching and waiting, with the bound on both
 *     job.c       a job: conv parts in order, branches, the next part ahead
 *     plugin.c    the other calls of cuda.h, and its table
 */
#ifndef STAGES_CUDA_PARTS_H
#define STAGES_CUDA_PARTS_H

#include "stages/cuda/cuda.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define EI_CUDA_DEPTH_MAX 2
#define EI_CUDA_LINE_BYTES 64 /* completion words lie apart, each in its own cache line */

/* ---- device.c ---- */

/* One of a device. Lives for ever: what is lost stays lost. */
struct ei_cuda_device {
    int32_t idx;
    bool is_ready; /* the fields below are set; under the lock of device.c */
    char name[64];
    int least_priority, greatest_priority; /* of streams; the greatest is the smaller number */
    uint32_t *one;                         /* device memory that holds 1: what completion words are set from */
    atomic_int is_lost;
    char lost_text[200]; /* valid once is_lost */
};

/* The device, made ready at the first call, and current for the calling thread. Returns 0 or EINET_E_BACKEND. */
int ei_cuda_device_open(int32_t device_idx, struct ei_cuda_device **out);
struct ei_cuda_device *ei_cuda_device_at(int32_t device_idx); /* NULL: no such index */
bool ei_cuda_device_is_lost(struct ei_cuda_device *device);
/* Mark it, for the first reason given. Returns EINET_E_BACKEND with the text set. */
int ei_cuda_device_lose(struct ei_cuda_device *device, const char *why);
int ei_cuda_device_refuse(struct ei_cuda_device *device); /* EINET_E_BACKEND: it is lost */

/* Texts of this thread's last error. fail keeps printf's words; failed names the device, CUDA's error and a remedy, and
 * takes CUDA's error back. Both return a code, so that a caller may return it. */
int ei_cuda_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ei_cuda_failed(const struct ei_cuda_device *device, cudaError_t error, const char *what);
const char *ei_cuda_error_text(void);

/* A function of the driver as it was in that version (12050 = CUDA 12.5), to *to. Returns cudaErrorNotSupported where the
 * driver has none. */
cudaError_t ei_cuda_driver_find(const char *name, unsigned int version, void *to);

/* Pinned memory, zeroed, from blocks that are kept and used again: giving it back to CUDA would wait for the device.
 * Returns 0 or EINET_E_BACKEND. */
int ei_cuda_pinned_take(struct ei_cuda_device *device, size_t bytes, void **out);
void ei_cuda_pinned_give(void *memory); /* NULL is fine */

/* ---- green.c ---- */

struct CUctx_st; /* the driver's CUcontext */

/* A stream that does not wait for others, on SMs of the device that belong to lane lane_idx alone: `sms` of them, in
 * whole groups, reserved by the lane's first stream, and the context of these SMs, which lives as long as the process.
 * The device is current. Returns 0; EINET_E_USAGE (too few are left); EINET_E_BACKEND (device or driver have no green
 * contexts). */
int ei_cuda_green_stream(const struct ei_cuda_device *device, int32_t lane_idx, int32_t sms, int priority,
                         cudaStream_t *out, struct CUctx_st **out_context);
/* An event that may be recorded on streams of that context, NULL = of the device that is current: CUDA wants both to be
 * of the same one. */
cudaError_t ei_cuda_event_create(struct CUctx_st *context, unsigned int flags, cudaEvent_t *out);

/* ---- signal.c ---- */

/* Behind *last, NULL = none, a node that sets the word when all before has run; it is *last then. Returns 0 or
 * EINET_E_BACKEND. */
int ei_cuda_signal_add(struct ei_cuda_parts *parts, cudaGraph_t graph, cudaGraphNode_t *last, uint32_t *done);

/* ---- waiter.c ---- */

/* CUDA's own wait for an event has no time limit. The thread waits; its owner waits for the thread, as long as it
 * likes.
 */
struct ei_cuda_waiter {
    pthread_t thread;
    sem_t asked, answered;
    struct ei_cuda_device *device;
    _Atomic(cudaEvent_t) event; /* what is asked for; NULL: end */
    atomic_int result;          /* a cudaError_t */
    bool is_started;
};

int ei_cuda_waiter_start(struct ei_cuda_waiter *waiter, struct ei_cuda_device *device, int32_t priority);
/* Wait for the event until deadline_ns of CLOCK_MONOTONIC. Returns whether it came; *out is what CUDA said. After false
 * the waiter must not be used again. */
bool ei_cuda_waiter_wait(struct ei_cuda_waiter *waiter, cudaEvent_t event, int64_t deadline_ns, cudaError_t *out);
void ei_cuda_waiter_stop(struct ei_cuda_waiter *waiter);
void ei_cuda_waiter_abandon(struct ei_cuda_waiter *waiter); /* it may be inside CUDA for ever */

/* ---- graphs.c, launch.c ---- */

/* Something that is launched as one graph: a piece of a conv part or branch, conv parts together, the whole network. */
struct ei_cuda_launch {
    cudaGraphExec_t exec; /* NULL: launched with an earlier one */
    cudaEvent_t ended;
    uint32_t *done; /* pinned: 0 before the launch, set by the graph's last node */
    int64_t expected_ns, hang_ns;
    int64_t more_ns;     /* expected of the conv parts that are launched together with it */
    int64_t launched_ns; /* CLOCK_MONOTONIC */
    int32_t last_pos;    /* is_conv: of the pieces that it runs */
    bool is_conv;
    bool is_queued;
    bool has_event; /* `ended` was recorded behind it */
};

/* All conv parts, or all branches. Layers are counted through, from part to part, and so are pieces. */
struct ei_cuda_side {
    int32_t layer_at[EI_CUDA_BLOCKS_MAX + 1]; /* first layer of each block, and behind the last */
    int32_t piece_at[EI_CUDA_BLOCKS_MAX + 1]; /* likewise pieces */
    cudaGraph_t *graph;                       /* of each layer, until everything is built */
    int64_t *layer_ns;                        /* where layers were measured, 0 elsewhere */
    bool *is_cut;                             /* a piece begins with this layer; so every first layer of a part */
    int32_t *piece_layer;                     /* first layer of each piece, and behind the last */
    struct ei_cuda_launch *piece;
};

struct ei_cuda_parts {
    struct ei_cuda_parts_config config;
    struct ei_cuda_device *device;
    cudaStream_t stream;
    struct CUctx_st *context; /* of the stream, where it has SMs of its own; NULL = the device's */
    struct ei_cuda_waiter waiter;
    void *pinned; /* the block that the four below lie in */
    float *input, *logits;
    uint8_t *words;
    struct ei_cuda_side conv, branch;
    struct ei_cuda_launch whole;
    int64_t launch_ns;
    int32_t merged_until[EI_CUDA_BLOCKS_MAX];
    /* The queue, oldest first. */
    struct ei_cuda_launch *queue[EI_CUDA_DEPTH_MAX];
    int32_t queued;
    int64_t last_end_ns; /* when the last one was seen to end */
    bool is_unsettled;   /* a launch failed: whether it runs all the same is not known */
    /* The job: pieces of conv parts up to these are in the queue, or have run; the next that may be asked for, -1 = no
     * job. The branch that was left in its midst and its next piece; -1 = none. */
    int32_t conv_launched, conv_done, next_pos;
    int32_t open_branch, open_piece;
    /* of begin_device, until it is in the stream; NULL = none */
    const void *device_input;
    cudaEvent_t device_event;
    struct ei_cuda_parts *next_abandoned;
};

static inline int32_t ei_cuda_layer_count(const struct ei_cuda_parts *parts, const struct ei_cuda_side *side)
{
    return side->layer_at[parts->config.exits];
}

static inline int32_t ei_cuda_piece_count(const struct ei_cuda_parts *parts, const struct ei_cuda_side *side)
{
    return side->piece_at[parts->config.exits];
}

static inline int64_t ei_cuda_part_ns(const struct ei_cuda_side *side, int32_t block_idx)
{
    int64_t sum_ns = 0;
    for (int32_t i = side->piece_at[block_idx]; i < side->piece_at[block_idx + 1]; i++) {
        sum_ns += side->piece[i].expected_ns;
    }
    return sum_ns;
}

/* Ask for the layers of all parts, and make room. */
int ei_cuda_graphs_count(struct ei_cuda_parts *parts);
void ei_cuda_graphs_free(struct ei_cuda_parts *parts); /* that room */
/* Record all layers; the graphs are kept for cutting and merging. Every part is one piece. */
int ei_cuda_graphs_record(struct ei_cuda_parts *parts);
/* Make a launch of each piece, as is_cut says, in place of those that there are. The queue is empty. */
int ei_cuda_graphs_cut(struct ei_cuda_parts *parts);
/* Launch conv parts as merged_until says, and build the whole network. */
int ei_cuda_graphs_merge(struct ei_cuda_parts *parts);
void ei_cuda_graphs_drop(struct ei_cuda_parts *parts); /* what was recorded, not what is launched */
void ei_cuda_launch_fini(struct ei_cuda_launch *launch);

/* Put it behind what is in the queue, after waiting for the oldest when the queue is full. */
int ei_cuda_launch_submit(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch);
/* Wait for the oldest in the queue. Fails only with a lost device. */
int ei_cuda_launch_wait(struct ei_cuda_parts *parts);
int ei_cuda_launch_drain(struct ei_cuda_parts *parts);
/* Wait by an event at the end of the stream for all that is there, until deadline_ns. */
int ei_cuda_launch_settle(struct ei_cuda_parts *parts, cudaEvent_t event, int64_t deadline_ns);
/* What to say about a failed call: the device is lost when CUDA goes on failing. */
int ei_cuda_launch_failed(struct ei_cuda_parts *parts, cudaError_t error, const char *what);

/* ---- job.c: the calls of cuda.h ---- */

int ei_cuda_job_begin(struct ei_cuda_parts *parts, const float *input);
int ei_cuda_job_begin_device(struct ei_cuda_parts *parts, const void *input, void *event);
int ei_cuda_job_piece(struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch, int32_t piece_idx,
                      float *out_logits);
int ei_cuda_job_conv(struct ei_cuda_parts *parts, int32_t block_idx);
int ei_cuda_job_branch(struct ei_cuda_parts *parts, int32_t block_idx, float *out_logits);
int ei_cuda_job_whole(struct ei_cuda_parts *parts, const float *input, float *out_logits);
int ei_cuda_job_end(struct ei_cuda_parts *parts);

/* ---- measure.c ---- */

/* What each piece takes, to its expected_ns, and what a launch does. */
int ei_cuda_measure(struct ei_cuda_parts *parts);

/* ---- cut.c ---- */

/* Cut what is longer than split_above_ns, and measure what comes of it. The parts have been measured whole. */
int ei_cuda_cut(struct ei_cuda_parts *parts);
/* The fewest pieces that are within limit_ns, and of those the most even ones: is_cut[i] says that a piece begins with
 * layer i. A layer that is longer is a piece of its own. */
void ei_cuda_cut_plan(const int64_t *layer_ns, int32_t layers, int64_t limit_ns, bool *out_is_cut);
/* What split_above_ns leaves to a piece. */
int64_t ei_cuda_cut_limit_ns(const struct ei_cuda_parts *parts);
int64_t ei_cuda_uncut(const struct ei_cuda_parts *parts, int32_t *out_block_idx, int32_t *out_is_branch,
                      char out_name[EI_CUDA_LAYER_NAME_MAX]);
/* Which conv parts are launched as one. */
void ei_cuda_merge(struct ei_cuda_parts *parts);
/* Neighbours that are each shorter than below_ns are one launch, until that is as long; never longer than most_ns
 * (0 = no matter). */
void ei_cuda_merge_plan(const int64_t *conv_ns, int32_t exits, int64_t below_ns, int64_t most_ns,
                        int32_t *out_merged_until);

static inline int64_t ei_cuda_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

#endif
