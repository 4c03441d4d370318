/* The calls of the CUDA runtime that the plug-in makes, and the table for tests. See fake_cudart.h. */
#include "tests/fakes/fake_device.h"

#include <einet/attributes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int32_t current_idx;
static _Thread_local cudaError_t last_error;
static _Thread_local struct CUstream_st *captured; /* by this thread */
_Thread_local int32_t fake_context;

/* Page-locked memory. It is never given back. */
struct pinned {
    struct pinned *next;
    const char *memory;
    size_t bytes;
};
static struct pinned *pinned_blocks;

/* ---- every call ---- */

static cudaError_t fail(cudaError_t e)
{
    last_error = e != cudaSuccess ? e : last_error;
    return e;
}

static cudaError_t leave(cudaError_t e)
{
    pthread_mutex_unlock(&fake.lock);
    return fail(e);
}

/* Take the lock and one number; what is returned is what the call has to return unless it is cudaSuccess. */
static cudaError_t enter(int32_t device_idx)
{
    pthread_once(&once, fake_configure);
    pthread_mutex_lock(&fake.lock);
    void (*const hook)(void *) = fake.config.on_call;
    void *const context = fake.config.on_call_context;
    if (hook != NULL) {
        pthread_mutex_unlock(&fake.lock);
        hook(context);
        pthread_mutex_lock(&fake.lock);
    }
    struct fake_device *d = &fake.device[device_idx];
    if (++fake.calls == fake.config.fail_call && d->dead == cudaSuccess) {
        if (fake.config.is_sticky) {
            d->dead = (cudaError_t)fake.config.fail_error;
            pthread_cond_broadcast(&fake.changed);
        }
        return (cudaError_t)fake.config.fail_error;
    }
    return d->dead;
}

/* What waits for the device, asks it how far it is or allocates is illegal while the thread captures (mode
 * thread_local) and spoils the capture. The lock is held. */
static cudaError_t spoil(cudaError_t e)
{
    if (e == cudaSuccess && captured != NULL) {
        captured->is_spoilt = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    return e;
}

/* Nothing that the plug-in enqueues belongs into a capture, whoever captures. */
static cudaError_t spoil_stream(cudaError_t e, struct CUstream_st *stream)
{
    if (e == cudaSuccess && stream->capture != NULL) {
        stream->is_spoilt = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    return e;
}

/* Copies from and to other memory of the host go through a buffer of the driver, and their caller waits. */
static cudaError_t check_copy(cudaError_t e, const void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    const char *host = kind == cudaMemcpyHostToDevice ? from : to;
    if (e != cudaSuccess || kind == cudaMemcpyDeviceToDevice) {
        return e;
    }
    for (const struct pinned *p = pinned_blocks; p != NULL; p = p->next) {
        if (host >= p->memory && host + bytes <= p->memory + p->bytes && kind != cudaMemcpyHostToHost) {
            return cudaSuccess;
        }
    }
    return cudaErrorInvalidValue;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch ((int)error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
        return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorIllegalAddress:
        return "cudaErrorIllegalAddress";
    case cudaErrorInvalidResourceHandle:
        return "cudaErrorInvalidResourceHandle";
    case cudaErrorStreamCaptureUnsupported:
        return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
        return "cudaErrorStreamCaptureInvalidated";
    default:
        return "cudaErrorOther";
    }
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorInsufficientDriver ? "CUDA driver version is insufficient for CUDA runtime version"
                                                : "an error of the fake CUDA runtime";
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}

/* ---- devices and memory ---- */

cudaError_t cudaGetDeviceCount(int *count)
{
    const cudaError_t e = enter(current_idx);
    *count = fake.config.count_error == 0 ? fake.config.devices : 0;
    return leave(fake.config.count_error != 0 ? (cudaError_t)fake.config.count_error : e);
}

cudaError_t cudaSetDevice(int device)
{
    const bool is_valid = device >= 0 && device < FAKE_CUDA_DEVICES_MAX;
    cudaError_t e = enter(is_valid ? device : 0);
    if (e == cudaSuccess) {
        e = is_valid && device < fake.config.devices ? cudaSuccess : cudaErrorInvalidDevice;
        current_idx = e == cudaSuccess ? device : current_idx;
    }
    return leave(e);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    const cudaError_t e = enter(device);
    memset(prop, 0, sizeof *prop);
    snprintf(prop->name, sizeof prop->name, "Fake device %d", device);
    return leave(e);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *leastPriority, int *greatestPriority)
{
    const cudaError_t e = enter(current_idx);
    *leastPriority = 0;
    *greatestPriority = -5;
    return leave(e);
}

cudaError_t cudaMalloc(void **devPtr, size_t size)
{
    const cudaError_t e = spoil(enter(current_idx));
    *devPtr = e == cudaSuccess ? calloc(1, size) : NULL;
    return leave(e);
}

cudaError_t cudaHostAlloc(void **pHost, size_t size, unsigned int flags)
{
    (void)flags;
    const cudaError_t e = spoil(enter(current_idx));
    *pHost = e == cudaSuccess ? aligned_alloc(64, (size + 63) / 64 * 64) : NULL;
    if (e == cudaSuccess) {
        struct pinned *p = malloc(sizeof *p);
        *p = (struct pinned){pinned_blocks, *pHost, size};
        pinned_blocks = p;
    }
    return leave(e);
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind)
{
    (void)kind;
    const cudaError_t e = spoil(enter(current_idx));
    if (e == cudaSuccess) {
        memcpy(dst, src, count);
    }
    return leave(e);
}

/* ---- streams ---- */

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *pStream, unsigned int flags, int priority)
{
    (void)flags;
    const cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        struct CUstream_st *s = calloc(1, sizeof *s);
        s->device_idx = current_idx;
        s->id = ++fake.streams;
        s->priority = priority;
        s->next = fake.device[current_idx].streams;
        fake.device[current_idx].streams = s;
        fake.objects++;
        *pStream = s;
    }
    return leave(e);
}

/* What is destroyed is gone, also when the call reports an error of something earlier. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const cudaError_t e = enter(stream->device_idx);
    stream->is_destroyed = true;
    fake.objects--;
    if (stream->capture != NULL) {
        fake.objects--;
        free(stream->capture->nodes);
        free(stream->capture);
        stream->capture = NULL;
        captured = captured == stream ? NULL : captured;
    }
    fake_stream_free_if_empty_locked(stream);
    return leave(e);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    cudaError_t e = spoil_stream(spoil(enter(stream->device_idx)), stream);
    struct fake_device *d = &fake.device[stream->device_idx];
    if (e == cudaSuccess && fake.config.is_stepped) {
        fake_device_step_locked(d, NULL);
        e = d->dead;
    }
    e = e == cudaSuccess && stream->head != NULL ? cudaErrorNotReady : e;
    pthread_mutex_unlock(&fake.lock);
    return e == cudaErrorNotReady ? e : fail(e);
}

static cudaError_t capture_begin(cudaStream_t stream)
{
    cudaError_t e = enter(stream->device_idx);
    e = e == cudaSuccess && (stream->capture != NULL || captured != NULL) ? cudaErrorIllegalState : e;
    if (e == cudaSuccess) {
        stream->capture = calloc(1, sizeof *stream->capture);
        stream->capturer = pthread_self();
        stream->is_spoilt = false;
        captured = stream;
        fake.objects++;
    }
    return leave(e);
}

static cudaError_t capture_end(cudaStream_t stream, cudaGraph_t *out)
{
    cudaError_t e = enter(stream->device_idx);
    if (e == cudaSuccess && stream->capture == NULL) {
        e = cudaErrorIllegalState;
    } else if (e == cudaSuccess && !pthread_equal(stream->capturer, pthread_self())) {
        e = cudaErrorStreamCaptureWrongThread;
    } else if (e == cudaSuccess) {
        *out = stream->is_spoilt ? NULL : stream->capture;
        if (stream->is_spoilt) {
            e = cudaErrorStreamCaptureInvalidated;
            fake.objects--;
            free(stream->capture->nodes);
            free(stream->capture);
        }
        stream->capture = NULL;
        captured = NULL;
    }
    return leave(e);
}

/* ---- events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    const cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        *event = calloc(1, sizeof **event);
        (*event)->device_idx = current_idx;
        (*event)->context = fake_context;
        (*event)->has_time = (flags & cudaEventDisableTiming) == 0;
        fake.objects++;
    }
    return leave(e);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const cudaError_t e = enter(current_idx);
    fake.objects--;
    event->is_destroyed = true;
    if (event->recorded == event->completed) {
        free(event);
    }
    return leave(e);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t e = spoil_stream(enter(stream->device_idx), stream);
    if (e == cudaSuccess && (event->device_idx != stream->device_idx || event->context != stream->context)) {
        e = cudaErrorInvalidResourceHandle;
    }
    if (e == cudaSuccess) {
        struct fake_op *op = calloc(1, sizeof *op);
        op->event = event;
        event->recorded++;
        fake_device_push_locked(stream, op);
    }
    return leave(e);
}

/* What comes of an event is its device's affair, whichever is the thread's: also when the thread could not choose it
 * because it was lost already. */
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    cudaError_t e = spoil(enter(event->device_idx));
    struct fake_device *d = &fake.device[event->device_idx];
    if (e == cudaSuccess && fake.config.is_stepped) {
        fake_device_step_locked(d, event);
        e = d->dead;
    }
    e = e == cudaSuccess && event->completed < event->recorded ? cudaErrorNotReady : e;
    pthread_mutex_unlock(&fake.lock);
    return e == cudaErrorNotReady ? e : fail(e);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t e = spoil(enter(event->device_idx));
    struct fake_device *d = &fake.device[event->device_idx];
    if (e == cudaSuccess && fake.config.is_stepped) {
        fake_device_step_locked(d, event);
    }
    while (e == cudaSuccess && event->completed < event->recorded) {
        if (d->dead != cudaSuccess) {
            e = d->dead;
            break;
        }
        pthread_cond_wait(&fake.changed, &fake.lock);
    }
    return leave(e);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t e = enter(current_idx);
    if (e == cudaSuccess && (!start->has_time || !end->has_time || start->recorded == 0 || end->recorded == 0 ||
                             start->device_idx != end->device_idx || start->context != end->context)) {
        e = cudaErrorInvalidResourceHandle;
    } else if (e == cudaSuccess && (start->completed < start->recorded || end->completed < end->recorded)) {
        e = cudaErrorNotReady;
    }
    *ms = (float)((double)(end->at_ns - start->at_ns) * 1e-6);
    return leave(e);
}

/* ---- graphs ---- */

cudaError_t cudaGraphCreate(cudaGraph_t *pGraph, unsigned int flags)
{
    (void)flags;
    const cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        *pGraph = calloc(1, sizeof **pGraph);
        fake.objects++;
    }
    return leave(e);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    const cudaError_t e = enter(current_idx);
    fake.objects--;
    free(graph->nodes);
    free(graph);
    return leave(e);
}

static cudaError_t add_locked(struct CUgraph_st *graph, const struct fake_node *nodes, int32_t count)
{
    if (graph->count + count > FAKE_NODES_MAX) {
        return cudaErrorInvalidValue;
    }
    if (graph->count + count > graph->capacity) {
        graph->capacity = 2 * (graph->count + count);
        graph->nodes = realloc(graph->nodes, (size_t)graph->capacity * sizeof *graph->nodes);
    }
    memcpy(graph->nodes + graph->count, nodes, (size_t)count * sizeof *nodes);
    graph->count += count;
    return cudaSuccess;
}

/* Nodes must be put behind each other: the handle of a node is the graph's length after it. */
static cudaError_t append_locked(cudaGraphNode_t *out, struct CUgraph_st *graph, const cudaGraphNode_t *before,
                                 size_t before_count, const struct fake_node *nodes, int32_t count)
{
    const bool is_row =
        graph->count == 0 ? before_count == 0 : before_count == 1 && (intptr_t)(void *)before[0] == graph->count;
    const cudaError_t e = is_row ? add_locked(graph, nodes, count) : cudaErrorInvalidValue;
    *out = (cudaGraphNode_t)(void *)(intptr_t)graph->count;
    return e;
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t *pGraphNode, cudaGraph_t graph,
                                     const cudaGraphNode_t *pDependencies, size_t numDependencies, void *dst,
                                     const void *src, size_t count, enum cudaMemcpyKind kind)
{
    const struct fake_node node = {.kind = FAKE_COPY, .to = dst, .from = src, .bytes = count};
    cudaError_t e = check_copy(enter(current_idx), dst, src, count, kind);
    if (e == cudaSuccess) {
        e = append_locked(pGraphNode, graph, pDependencies, numDependencies, &node, 1);
    }
    return leave(e);
}

cudaError_t fake_graph_write(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *before,
                             size_t before_count, uint32_t *to, uint32_t value)
{
    const struct fake_node write = {.kind = FAKE_WRITE, .to = to, .value = value};
    cudaError_t e = check_copy(enter(current_idx), to, NULL, sizeof *to, cudaMemcpyDeviceToHost);
    if (e == cudaSuccess) {
        e = append_locked(node, graph, before, before_count, &write, 1);
    }
    return leave(e);
}

cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t *pGraphNode, cudaGraph_t graph,
                                       const cudaGraphNode_t *pDependencies, size_t numDependencies,
                                       cudaGraph_t childGraph)
{
    cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        e = childGraph->count == 0 ? cudaErrorInvalidValue
                                   : append_locked(pGraphNode, graph, pDependencies, numDependencies, childGraph->nodes,
                                                   childGraph->count);
    }
    return leave(e);
}

cudaError_t cudaGraphAddHostNode(cudaGraphNode_t *pGraphNode, cudaGraph_t graph, const cudaGraphNode_t *pDependencies,
                                 size_t numDependencies, const struct cudaHostNodeParams *pNodeParams)
{
    const struct fake_node node = {.kind = FAKE_HOST, .run = pNodeParams->fn, .context = pNodeParams->userData};
    cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        e = append_locked(pGraphNode, graph, pDependencies, numDependencies, &node, 1);
    }
    return leave(e);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    cudaError_t e = enter(current_idx);
    if (e == cudaSuccess) {
        struct CUgraphExec_st *exec = calloc(1, sizeof *exec);
        exec->refs = 1;
        exec->device_idx = current_idx;
        e = add_locked(&exec->row, graph->nodes, graph->count);
        fake.objects++;
        *pGraphExec = exec;
    }
    return leave(e);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t graphExec, cudaStream_t stream)
{
    const cudaError_t e = spoil_stream(enter(stream->device_idx), stream);
    return leave(e == cudaSuccess && graphExec->device_idx != stream->device_idx ? cudaErrorInvalidValue : e);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec)
{
    const cudaError_t e = enter(current_idx);
    fake.objects--;
    fake_exec_unref_locked(graphExec);
    return leave(e);
}

/* A graph of one copy, which nobody else has. */
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    const struct fake_node node = {.kind = FAKE_COPY, .to = dst, .from = src, .bytes = count};
    cudaError_t e = check_copy(spoil_stream(enter(stream->device_idx), stream), dst, src, count, kind);
    if (e == cudaSuccess) {
        struct fake_op *op = calloc(1, sizeof *op);
        op->exec = calloc(1, sizeof *op->exec);
        op->exec->refs = 1;
        e = add_locked(&op->exec->row, &node, 1);
        fake_device_push_locked(stream, op);
    }
    return leave(e);
}

/* Here the caller waits, so that what is behind it in the stream cannot come sooner. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
    const cudaError_t e = spoil_stream(enter(stream->device_idx), stream);
    (void)flags;
    while (e == cudaSuccess && event->completed < event->recorded) {
        pthread_cond_wait(&fake.changed, &fake.lock);
    }
    return leave(e);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream)
{
    cudaError_t e = spoil_stream(enter(stream->device_idx), stream);
    /* Copies belong to the device that was current when the graph was made. */
    e = e == cudaSuccess && graphExec->device_idx != stream->device_idx ? cudaErrorInvalidValue : e;
    if (e == cudaSuccess && ++fake.launches == fake.config.fail_launch) {
        e = (cudaError_t)fake.config.fail_error;
        fake.device[stream->device_idx].dead = fake.config.is_sticky ? e : cudaSuccess;
    }
    if (e == cudaSuccess) {
        struct fake_op *op = calloc(1, sizeof *op);
        op->exec = graphExec;
        graphExec->refs++;
        fake_device_push_locked(stream, op);
    }
    return leave(e);
}

/* ---- the table for tests ---- */

static void control_reset(const struct fake_cuda_config *config)
{
    pthread_once(&once, fake_configure);
    pthread_mutex_lock(&fake.lock);
    fake_device_reset_locked(config);
    pthread_mutex_unlock(&fake.lock);
}

static void control_release(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.is_released = true;
    for (int32_t i = 0; i < FAKE_CUDA_DEVICES_MAX; i++) {
        fake.device[i].is_hung = false;
    }
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static int64_t read_locked(const int64_t *value)
{
    pthread_mutex_lock(&fake.lock);
    const int64_t v = *value;
    pthread_mutex_unlock(&fake.lock);
    return v;
}

static int64_t control_calls(void)
{
    return read_locked(&fake.calls);
}

static int64_t control_graphs(void)
{
    return read_locked(&fake.graphs);
}

static int64_t control_log_count(void)
{
    return read_locked(&fake.log_count);
}

static uint64_t control_stream_groups(const void *stream)
{
    return ((const struct CUstream_st *)stream)->groups;
}

static int64_t control_objects(void)
{
    return read_locked(&fake.objects);
}

static int64_t control_log_read(int64_t first, struct fake_cuda_event *out, int64_t most)
{
    pthread_mutex_lock(&fake.lock);
    const int64_t left = fake.log_count - first;
    const int64_t count = left < most ? left : most;
    if (count > 0) {
        memcpy(out, fake.log + first, (size_t)count * sizeof *out);
    }
    pthread_mutex_unlock(&fake.lock);
    return count > 0 ? count : 0;
}

static void control_log_clear(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.log_count = 0;
    pthread_mutex_unlock(&fake.lock);
}

static int control_capture_begin(void *stream)
{
    return (int)capture_begin(stream);
}

static int control_kernel(void *stream, int64_t duration_ns, void (*run)(void *context), void *context)
{
    const struct fake_node node = {.kind = FAKE_KERNEL, .duration_ns = duration_ns, .run = run, .context = context};
    struct CUstream_st *s = stream;
    cudaError_t e = enter(s->device_idx);
    if (e == cudaSuccess) {
        e = s->capture != NULL ? add_locked(s->capture, &node, 1) : cudaErrorInvalidValue;
    }
    return (int)leave(e);
}

static int control_capture_end(void *stream, void **out_graph)
{
    cudaGraph_t graph = NULL;
    const int rc = (int)capture_end(stream, &graph);
    *out_graph = graph;
    return rc;
}

static void *control_memory_create(size_t bytes)
{
    return calloc(1, bytes);
}

static int32_t control_stream_id(const void *stream)
{
    return ((const struct CUstream_st *)stream)->id;
}

static void *control_event_create(void)
{
    struct CUevent_st *event = calloc(1, sizeof *event);
    event->recorded = 1;
    return event;
}

static void control_event_complete(void *event)
{
    pthread_mutex_lock(&fake.lock);
    ((struct CUevent_st *)event)->completed = 1;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static const struct fake_cuda_control control = {
    .reset = control_reset,
    .release = control_release,
    .calls = control_calls,
    .graphs = control_graphs,
    .log_count = control_log_count,
    .log_read = control_log_read,
    .log_clear = control_log_clear,
    .capture_begin = control_capture_begin,
    .kernel = control_kernel,
    .capture_end = control_capture_end,
    .memory_create = control_memory_create,
    .memory_destroy = free,
    .stream_id = control_stream_id,
    .stream_groups = control_stream_groups,
    .event_create = control_event_create,
    .event_complete = control_event_complete,
    .event_destroy = free,
    .objects = control_objects,
};

EINET_API const struct fake_cuda_control *fake_cuda_control_get(void)
{
    return &control;
}
