/* Devices, creation and destruction of parts, and the table of cuda.h. A parts object whose device is lost is kept for
 * ever, since the device may still write to its memory and freeing would wait for it.
 */
#include "stages/cuda/parts.h"

#include <einet/attributes.h>
#include <einet/error.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t abandoned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ei_cuda_parts *abandoned; /* reachable, so that leak checkers see the intent */

/* ---- devices ---- */

static int device_count(int32_t *out_count)
{
    int count = 0;
    const cudaError_t e = cudaGetDeviceCount(&count);
    if (e != cudaSuccess || count < 1) {
        const cudaError_t shown = e != cudaSuccess ? e : cudaErrorNoDevice;
        (void)cudaGetLastError();
        return ei_cuda_fail(
            EINET_E_BACKEND,
            "no CUDA device: %s (%s): install the NVIDIA driver (nvidia-smi shows it), or use a lane of "
            "kind cpu",
            cudaGetErrorString(shown), cudaGetErrorName(shown));
    }
    *out_count = count < EI_CUDA_DEVICES_MAX ? count : EI_CUDA_DEVICES_MAX;
    return 0;
}

/* Make it current; names the device that is not there. */
static int open_device(int32_t device_idx, struct ei_cuda_device **out)
{
    int32_t count = 0;
    int rc = device_count(&count);
    if (rc == 0 && (device_idx < 0 || device_idx >= count)) {
        rc = ei_cuda_fail(EINET_E_USAGE, "there is no CUDA device %d: this machine has %d, counted from 0", device_idx,
                          count);
    }
    return rc != 0 ? rc : ei_cuda_device_open(device_idx, out);
}

static int device_name(int32_t device_idx, char *out, size_t size_bytes)
{
    struct ei_cuda_device *device;
    const int rc = open_device(device_idx, &device);
    if (rc == 0) {
        snprintf(out, size_bytes, "%s", device->name);
    }
    return rc;
}

static int device_is_lost(int32_t device_idx)
{
    struct ei_cuda_device *device = ei_cuda_device_at(device_idx);
    return device != NULL && ei_cuda_device_is_lost(device);
}

/* ---- creation ---- */

static int check(const struct ei_cuda_parts_config *c)
{
    if (c->exits < 1 || c->exits > EI_CUDA_BLOCKS_MAX || c->classes < 1 || c->input_count < 0) {
        return ei_cuda_fail(EINET_E_USAGE,
                            "a network on a CUDA device has 1 to %d exits and at least one class, not %d "
                            "and %d",
                            EI_CUDA_BLOCKS_MAX, c->exits, c->classes);
    }
    if (c->depth < 1 || c->depth > EI_CUDA_DEPTH_MAX) {
        return ei_cuda_fail(EINET_E_USAGE, "the depth of a CUDA queue is 1 or 2, not %d", c->depth);
    }
    if (c->priority < 0 || c->priority > 99) {
        return ei_cuda_fail(EINET_E_USAGE, "the priority of a network is 0 to 99, not %d", c->priority);
    }
    if (c->hang_ns < 1 || c->poll_ns < 0 || c->merge_below_ns < 0 || c->split_above_ns < 0) {
        return ei_cuda_fail(EINET_E_USAGE, "hang_ns must be positive; poll_ns, merge_below_ns and split_above_ns must "
                                           "not be negative");
    }
    if (c->sms < 0 || c->lane_idx < 0) {
        return ei_cuda_fail(EINET_E_USAGE, "sms and lane_idx must not be negative");
    }
    if (c->wait != EI_CUDA_WAIT_BLOCK && c->wait != EI_CUDA_WAIT_POLL && c->wait != EI_CUDA_WAIT_SPIN) {
        return ei_cuda_fail(EINET_E_USAGE, "there is no way %d to wait for a CUDA device", (int)c->wait);
    }
    if (c->signal != EI_CUDA_SIGNAL_COPY && c->signal != EI_CUDA_SIGNAL_WRITE) {
        return ei_cuda_fail(EINET_E_USAGE, "there is no signal %d of a CUDA graph", (int)c->signal);
    }
    return 0;
}

/* SCHED_FIFO 0 is the device's least priority, 99 its greatest. */
static int stream_priority(const struct ei_cuda_device *d, int32_t priority)
{
    const int levels = d->least_priority - d->greatest_priority;
    return d->least_priority - (priority * levels + 49) / 99;
}

static int create_stream(struct ei_cuda_parts *parts)
{
    const int priority = stream_priority(parts->device, parts->config.priority);
    const struct ei_cuda_parts_config *c = &parts->config;
    cudaStream_t stream;
    if (c->sms > 0) {
        const int rc = ei_cuda_green_stream(parts->device, c->lane_idx, c->sms, priority, &stream, &parts->context);
        if (rc != 0) {
            return rc;
        }
    } else {
        const cudaError_t e = cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority);
        if (e != cudaSuccess) {
            return ei_cuda_failed(parts->device, e, "creating a stream");
        }
    }
    parts->stream = stream;
    return ei_cuda_waiter_start(&parts->waiter, parts->device, parts->config.priority);
}

static int take_memory(struct ei_cuda_parts *parts)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    const size_t line = EI_CUDA_LINE_BYTES;
    const int32_t layers = ei_cuda_layer_count(parts, &parts->conv) + ei_cuda_layer_count(parts, &parts->branch);
    const size_t words = (size_t)(layers + 1) * line;
    const size_t input = ((size_t)c->input_count * sizeof(float) + line - 1) / line * line;
    const size_t logits = (size_t)c->exits * (size_t)c->classes * sizeof(float);
    void *memory;
    const int rc = ei_cuda_pinned_take(parts->device, words + input + logits, &memory);
    if (rc == 0) {
        parts->pinned = memory;
        parts->words = memory;
        parts->input = (float *)(void *)(parts->words + words);
        parts->logits = (float *)(void *)(parts->words + words + input);
    }
    return rc;
}

static int build(struct ei_cuda_parts *parts)
{
    int rc = create_stream(parts);
    if (rc == 0) {
        rc = ei_cuda_graphs_count(parts);
    }
    if (rc == 0) {
        rc = take_memory(parts);
    }
    if (rc == 0) {
        rc = ei_cuda_graphs_record(parts);
    }
    if (rc == 0) {
        rc = ei_cuda_measure(parts);
    }
    if (rc == 0) {
        rc = ei_cuda_cut(parts);
    }
    if (rc == 0) {
        ei_cuda_merge(parts);
        rc = ei_cuda_graphs_merge(parts);
    }
    if (rc == 0) {
        ei_cuda_graphs_drop(parts);
        rc = ei_cuda_launch_settle(parts, parts->whole.ended, ei_cuda_now_ns() + parts->config.hang_ns);
    }
    return rc;
}

/* Everything but the recorder. The queue is empty. */
static void release(struct ei_cuda_parts *parts)
{
    ei_cuda_waiter_stop(&parts->waiter);
    ei_cuda_graphs_drop(parts);
    for (int32_t i = 0; i < ei_cuda_piece_count(parts, &parts->conv); i++) {
        ei_cuda_launch_fini(&parts->conv.piece[i]);
    }
    for (int32_t i = 0; i < ei_cuda_piece_count(parts, &parts->branch); i++) {
        ei_cuda_launch_fini(&parts->branch.piece[i]);
    }
    ei_cuda_launch_fini(&parts->whole);
    if (parts->stream != NULL) {
        (void)cudaStreamDestroy(parts->stream);
    }
    (void)cudaGetLastError(); /* of what could not be destroyed: nothing is left to do about it */
    ei_cuda_pinned_give(parts->pinned);
    ei_cuda_graphs_free(parts);
    free(parts);
}

static void abandon(struct ei_cuda_parts *parts)
{
    ei_cuda_waiter_abandon(&parts->waiter);
    pthread_mutex_lock(&abandoned_lock);
    parts->next_abandoned = abandoned;
    abandoned = parts;
    pthread_mutex_unlock(&abandoned_lock);
}

static int parts_create(const struct ei_cuda_parts_config *config, struct ei_cuda_parts **out)
{
    struct ei_cuda_device *device;
    int rc = check(config);
    if (rc == 0) {
        rc = open_device(config->device_idx, &device);
    }
    if (rc != 0) {
        return rc;
    }
    struct ei_cuda_parts *parts = calloc(1, sizeof *parts);
    if (parts == NULL) {
        return ei_cuda_fail(-ENOMEM, "no memory for a network on a CUDA device");
    }
    parts->config = *config;
    parts->device = device;
    parts->next_pos = parts->open_branch = -1;
    rc = build(parts);
    if (rc == 0) {
        *out = parts;
        return 0;
    }
    /* Work of a failed start may still run: only a device that is idle again lets go of its memory. The text of the
     * first error is what the caller wants. */
    char text[400];
    snprintf(text, sizeof text, "%s", ei_cuda_error_text());
    cudaEvent_t end = parts->conv.piece != NULL ? parts->conv.piece[0].ended : NULL;
    if (!ei_cuda_device_is_lost(device) && end != NULL &&
        ei_cuda_launch_settle(parts, end, ei_cuda_now_ns() + config->hang_ns) != 0) {
        (void)ei_cuda_device_lose(device, "it did not end what a failed start had begun");
    }
    if (ei_cuda_device_is_lost(device)) {
        abandon(parts);
    } else {
        release(parts);
    }
    return ei_cuda_fail(rc, "%s", text);
}

static void parts_destroy(struct ei_cuda_parts *parts)
{
    if (parts == NULL) {
        return;
    }
    if (ei_cuda_device_is_lost(parts->device) || ei_cuda_launch_drain(parts) != 0) {
        abandon(parts);
        return;
    }
    (void)cudaSetDevice(parts->config.device_idx);
    const struct ei_cuda_recorder recorder = parts->config.recorder;
    release(parts);
    if (recorder.destroy != NULL) {
        recorder.destroy(recorder.context);
    }
}

/* ---- facts ---- */

static int64_t part_ns(const struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch)
{
    return ei_cuda_part_ns(is_branch != 0 ? &parts->branch : &parts->conv, block_idx);
}

static int32_t pieces(const struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch)
{
    const struct ei_cuda_side *side = is_branch != 0 ? &parts->branch : &parts->conv;
    return side->piece_at[block_idx + 1] - side->piece_at[block_idx];
}

static int64_t piece_ns(const struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch, int32_t piece_idx)
{
    const struct ei_cuda_side *side = is_branch != 0 ? &parts->branch : &parts->conv;
    return side->piece[side->piece_at[block_idx] + piece_idx].expected_ns;
}

static int32_t merged_until(const struct ei_cuda_parts *parts, int32_t block_idx)
{
    return parts->merged_until[block_idx];
}

static int64_t launch_ns(const struct ei_cuda_parts *parts)
{
    return parts->launch_ns;
}

/* ---- graphs that only take time ---- */

static void CUDART_CB sleep_on_host(void *data)
{
    const int64_t ns = *(const int64_t *)data;
    const struct timespec duration = {.tv_sec = (time_t)(ns / INT64_C(1000000000)),
                                      .tv_nsec = (long)(ns % INT64_C(1000000000))};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL);
}

static int graph_sleep(const int64_t *duration_ns, void **out_graph)
{
    cudaGraph_t graph;
    cudaGraphNode_t node;
    const struct cudaHostNodeParams params = {.fn = sleep_on_host, .userData = (void *)(uintptr_t)duration_ns};
    cudaError_t e = cudaGraphCreate(&graph, 0);
    if (e == cudaSuccess) {
        e = cudaGraphAddHostNode(&node, graph, NULL, 0, &params);
        if (e != cudaSuccess) {
            (void)cudaGraphDestroy(graph);
        }
    }
    if (e != cudaSuccess) {
        (void)cudaGetLastError();
        return ei_cuda_fail(EINET_E_BACKEND, "CUDA: making a graph that sleeps: %s (%s)", cudaGetErrorString(e),
                            cudaGetErrorName(e));
    }
    *out_graph = graph;
    return 0;
}

static void graph_destroy(void *graph)
{
    if (graph != NULL) {
        (void)cudaGraphDestroy(graph);
    }
}

static const struct ei_cuda_api api = {
    .abi = EI_CUDA_ABI,
    .error_text = ei_cuda_error_text,
    .device_count = device_count,
    .device_name = device_name,
    .device_is_lost = device_is_lost,
    .parts_create = parts_create,
    .parts_destroy = parts_destroy,
    .begin = ei_cuda_job_begin,
    .begin_device = ei_cuda_job_begin_device,
    .run_conv = ei_cuda_job_conv,
    .run_branch = ei_cuda_job_branch,
    .run_piece = ei_cuda_job_piece,
    .run_whole = ei_cuda_job_whole,
    .end = ei_cuda_job_end,
    .part_ns = part_ns,
    .merged_until = merged_until,
    .pieces = pieces,
    .piece_ns = piece_ns,
    .uncut = ei_cuda_uncut,
    .launch_ns = launch_ns,
    .graph_sleep = graph_sleep,
    .graph_destroy = graph_destroy,
};

EINET_API const struct ei_cuda_api *ei_cuda_api_get(void);
const struct ei_cuda_api *ei_cuda_api_get(void)
{
    return &api;
}
