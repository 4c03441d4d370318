/* The C face of a CUDA device: the parts of one network as CUDA graphs, launched one by one and waited for.
 *
 * The implementation is a plug-in in C on the CUDA runtime API, libeinet_cuda.so, that loader.h opens at run time, so
 * that everything else builds and runs without CUDA. What a part computes is recorded by somebody else (struct
 * ei_cuda_recorder). Functions return 0 or a negative code; error_text() then says why, for the calling thread. One
 * thread at a time per parts object; different objects in parallel. Nothing is allocated after parts_create, and no
 * call waits longer than hang_ns per part. run_*, begin and end are submit sections (rt/section.h).
 *
 *     begin --> run_conv(0) --> run_branch(0)? --> run_conv(1) --> run_branch(1)? --> ... --> end
 */
#ifndef STAGES_CUDA_CUDA_H
#define STAGES_CUDA_CUDA_H

#include <stddef.h>
#include <stdint.h>

#define EI_CUDA_ABI 4
#define EI_CUDA_ENTRY "ei_cuda_api_get"
#define EI_CUDA_DEVICES_MAX 16
#define EI_CUDA_BLOCKS_MAX 64
#define EI_CUDA_WHOLE (-1)
#define EI_CUDA_LAYER_NAME_MAX 64

/* How the end of a part is waited for (docs/adr/0010-cuda-completion.md). */
enum ei_cuda_wait {
    EI_CUDA_WAIT_BLOCK, /* sleep until the device interrupts */
    EI_CUDA_WAIT_POLL,  /* sleep until poll_ns / 2 before the predicted end, look at the completion word for at most
                         * poll_ns, then as BLOCK */
    EI_CUDA_WAIT_SPIN   /* look at the completion word all the time */
};

/* How a graph sets its completion word: signal.c, and docs/adr/0026-signals-of-graphs.md. */
enum ei_cuda_signal { EI_CUDA_SIGNAL_COPY, EI_CUDA_SIGNAL_WRITE };

/* Who knows what a part computes. All calls on the thread that calls parts_create, parts_destroy for destroy. */
struct ei_cuda_recorder {
    void *context;
    /* Everything that a part does as a CUDA graph (cudaGraph_t), which the caller then owns: from static device memory
     * to static device memory, for which `stream` (a cudaStream_t of the device, current and idle) may be captured.
     * layer_idx: that layer of the part, or EI_CUDA_WHOLE for all of it. What a conv part leaves for its branch and for
     * the next conv part stays as it is until conv part 0 runs again: a branch may run after later conv parts have run,
     * or layers of them, and any number of times. What a layer leaves for the next one of its part stays until a layer
     * of another part of the same sort, conv or branch, runs. Called at creation, conv 0, branch 0, conv 1, and so on,
     * the layers of each in order. Returns 0, or a negative code with fault_text. */
    int (*capture)(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx, void *stream,
                   void **out_graph);
    /* Device memory that conv part 0 reads, float [input_count]. After the captures. NULL: there is none, and begin
     * copies nothing. */
    void *(*input)(void *context);
    /* Device memory that a branch writes, float [classes]. After the captures. NULL: none, and run_branch leaves
     * out_logits as it is. */
    void *(*logits)(void *context, int32_t block_idx);
    const char *(*fault_text)(void *context);
    void (*destroy)(void *context); /* may be NULL. Not called when the device is lost: freeing could wait for ever */
    /* How many layers a part has, >= 1: where it may be cut. Asked before the captures, and only with split_above_ns.
     * NULL: one, no part can be cut. */
    int32_t (*layers)(void *context, int32_t block_idx, int32_t is_branch);
    /* A layer's name for messages. May be NULL. */
    void (*layer_name)(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx,
                       char out[EI_CUDA_LAYER_NAME_MAX]);
    int32_t is_cut_given; /* 1: cut behind every layer, whatever is measured */
};

struct ei_cuda_parts_config {
    int32_t device_idx;
    int32_t priority; /* 0 .. 99: the task's of SCHED_FIFO, mapped onto the stream priorities of the device */
    enum ei_cuda_wait wait;
    enum ei_cuda_signal signal;
    int64_t poll_ns; /* POLL: look so long, >= 0 */
    int32_t depth; /* graphs of this network in the device's queue: 1, or 2, which keeps the device busy between blocks
                    * and lets a newcomer wait for two */
    int64_t hang_ns; /* a part that takes longer is given up, and its device counts as lost; > 0. Longer than networks
                      * of higher priority, or other programs, may keep it from running */
    int64_t merge_below_ns; /* neighbouring conv parts that are each shorter are launched as one, until that is as long;
                             * 0 = what a launch costs, measured; 1 merges none */
    int64_t
        split_above_ns; /* parts that take longer on the device are cut between their layers into pieces that do not,
                         * as few and as even as that allows; what a launch costs is left to each. 0 = no part is */
    int32_t
        sms; /* SMs of the device that belong to lane lane_idx alone, in whole groups of what the device allows (8 on
              * recent ones); its first network reserves them until the process ends. 0 = all, which others use, too */
    int32_t lane_idx;                 /* >= 0: networks of one lane share its SMs */
    int32_t exits, classes;           /* exits 1 .. EI_CUDA_BLOCKS_MAX */
    int64_t input_count;              /* floats */
    int32_t is_input_on_device;       /* 1: begin_device brings the inputs, and no graph copies one from the host */
    struct ei_cuda_recorder recorder; /* owned by parts once parts_create succeeded */
};

struct ei_cuda_parts; /* opaque: graphs, pinned buffers, stream and completion words of one network */

struct ei_cuda_api {
    int32_t abi; /* EI_CUDA_ABI of the plug-in's build */

    /* Text of this thread's last error: the device, CUDA's name of the error, the remedy. "" when none. */
    const char *(*error_text)(void);

    /* Devices that there are, at least 1. Returns 0 or EINET_E_BACKEND: no device, no driver, or too old a one. */
    int (*device_count)(int32_t *out_count);
    int (*device_name)(int32_t device_idx, char *out, size_t size_bytes);
    /* 1 after a hang or an error that CUDA keeps returning: every call for that device fails at once from then on, in
     * this process. Thread: any, real-time safe. */
    int (*device_is_lost)(int32_t device_idx);

    /* Record, instantiate, warm up and measure. Returns 0; EINET_E_USAGE (a value out of range, named, or more SMs than
     * are left);
     * EINET_E_BACKEND (CUDA or the recorder refused, or the device hung); -ENOMEM. */
    int (*parts_create)(const struct ei_cuda_parts_config *, struct ei_cuda_parts **out);
    /* NULL is fine. Waits at most hang_ns for what is still in the queue, and not at all for a lost device, whose
     * resources stay allocated. */
    void (*parts_destroy)(struct ei_cuda_parts *);

    /* input: float [input_count], copied. Waits for what an earlier job left in the queue. */
    int (*begin)(struct ei_cuda_parts *, const float *input);
    /* With is_input_on_device: input lies in memory of the device, float [input_count], and is read by the first conv
     * part; it must stay as it is until that has run, or `end`. event (a cudaEvent_t of the device, NULL = none) has to
     * come before it is read; one that does not come within hang_ns is a hang. */
    int (*begin_device)(struct ei_cuda_parts *, const void *input, void *event);
    /* In order from 0. Returns when it has run; with depth 2 the next part is in the queue by then. A part that was
     * launched together with an earlier one returns at once. */
    int (*run_conv)(struct ei_cuda_parts *, int32_t block_idx);
    /* Of any conv part of this job that has run. out_logits: float [classes], on the host when this returns. */
    int (*run_branch)(struct ei_cuda_parts *, int32_t block_idx, float *out_logits);
    /* The same piece by piece, each a graph of its own: the next piece of that conv part, or of that branch, from 0;
     * run_conv and run_branch run what is left. Between two pieces other networks may run, and of this one the branch
     * of a conv part that is complete; a branch that was left in its midst goes on until another conv part is complete
     * or another branch begins. out_logits is filled by the last piece of a branch. */
    int (*run_piece)(struct ei_cuda_parts *, int32_t block_idx, int32_t is_branch, int32_t piece_idx,
                     float *out_logits);
    /* All parts in order as one graph. out_logits: float [exits * classes]. Drops the job in progress. */
    int (*run_whole)(struct ei_cuda_parts *, const float *input, float *out_logits);
    /* The job is over. Waits for nothing: with depth 2 one graph may still run. */
    int (*end)(struct ei_cuda_parts *);

    /* Time of a part on the device when nothing else runs there: median at creation, after warming up. */
    int64_t (*part_ns)(const struct ei_cuda_parts *, int32_t block_idx, int32_t is_branch);
    /* The last conv part that is launched together with this one; block_idx itself when it is alone. */
    int32_t (*merged_until)(const struct ei_cuda_parts *, int32_t block_idx);
    /* Pieces of a part, at least 1. */
    int32_t (*pieces)(const struct ei_cuda_parts *, int32_t block_idx, int32_t is_branch);
    /* Time of a piece on the device, as part_ns, which is their sum. */
    int64_t (*piece_ns)(const struct ei_cuda_parts *, int32_t block_idx, int32_t is_branch, int32_t piece_idx);
    /* The layer that takes longest of those that are longer than split_above_ns: its part, name and time; 0 = none, and
     * the others are left as they are. */
    int64_t (*uncut)(const struct ei_cuda_parts *, int32_t *out_block_idx, int32_t *out_is_branch,
                     char out_name[EI_CUDA_LAYER_NAME_MAX]);
    /* Host time of one launch, the median at creation. */
    int64_t (*launch_ns)(const struct ei_cuda_parts *);

    /* For recorders without a library that computes: a graph that keeps its stream for *duration_ns (read when it runs,
     * borrowed as long as the graph is used), as a host function. For emulated networks only. */
    int (*graph_sleep)(const int64_t *duration_ns, void **out_graph);
    void (*graph_destroy)(void *graph);
};

#endif
