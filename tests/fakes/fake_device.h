/* Inside the fake CUDA runtime: objects and devices. Everything is guarded by one lock, held while *_locked run. */
#ifndef TESTS_FAKES_FAKE_DEVICE_H
#define TESTS_FAKES_FAKE_DEVICE_H

#include "tests/fakes/fake_cudart.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdbool.h>

#define FAKE_STICKY_FAULT cudaErrorIllegalAddress
#define FAKE_NODES_MAX 2048
#define FAKE_QUEUE_MAX 160 /* of a stream; who puts more into it waits. CUDA's is longer and finite, too */

enum fake_node_kind { FAKE_KERNEL, FAKE_COPY, FAKE_HOST, FAKE_WRITE };

struct fake_node {
    enum fake_node_kind kind;
    int64_t duration_ns;
    void (*run)(void *context); /* kernels and host functions */
    void *context;
    void *to;
    const void *from;
    size_t bytes;
    uint32_t value; /* of FAKE_WRITE */
};

/* Nodes in a row, each after the one before. */
struct CUgraph_st {
    int32_t count, capacity;
    struct fake_node *nodes;
};

struct CUgraphExec_st {
    int32_t refs; /* its owner and the launches in queues */
    int32_t device_idx;
    struct CUgraph_st row;
};

struct CUevent_st {
    int64_t recorded, completed; /* how often */
    int64_t at_ns;
    int32_t device_idx, context; /* context: 0 = the device's own, else that of some of its SMs */
    bool has_time, is_destroyed;
};

struct fake_op {
    struct fake_op *next;
    struct CUgraphExec_st *exec; /* NULL: an event */
    struct CUevent_st *event;
    int64_t seq;
};

struct CUstream_st {
    struct CUstream_st *next;
    struct fake_op *head, *tail;
    int32_t queued;
    struct CUgraph_st *capture; /* in progress */
    pthread_t capturer;         /* its thread */
    bool is_spoilt;             /* the capture: something illegal was called meanwhile */
    int32_t device_idx, id, priority, context;
    uint64_t groups;   /* of SMs that it may use; 0 = all */
    bool is_destroyed; /* freed once it is empty */
};

struct fake_device {
    struct CUstream_st *streams;
    struct CUstream_st *running; /* its head is being run */
    int64_t clock_ns;
    cudaError_t dead; /* the context is gone */
    bool is_hung, has_worker;
};

struct fake_state {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_cuda_config config;
    struct fake_device device[FAKE_CUDA_DEVICES_MAX];
    int64_t calls, launches, graphs, objects, seq;
    int32_t streams;
    struct fake_cuda_event log[FAKE_CUDA_LOG_MAX];
    int64_t log_count;
    bool is_released;
};

extern struct fake_state fake;
extern _Thread_local int32_t fake_context; /* current, as above */

/* A node of the driver's own interface, behind the others. */
cudaError_t fake_graph_write(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *before,
                             size_t before_count, uint32_t *to, uint32_t value);
void fake_configure(void); /* by the environment, once */
void fake_device_reset_locked(const struct fake_cuda_config *config);
/* Put it at the end of its stream. Events of an idle stream complete at once. Takes op over. */
void fake_device_push_locked(struct CUstream_st *stream, struct fake_op *op);
/* stepped: run until the event has come, or one graph when event is NULL. Unlocks while nodes run. */
void fake_device_step_locked(struct fake_device *device, const struct CUevent_st *event);
void fake_exec_unref_locked(struct CUgraphExec_st *exec);
void fake_stream_free_if_empty_locked(struct CUstream_st *stream);

#endif
