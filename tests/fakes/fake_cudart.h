/* A CUDA runtime without a GPU: what the CUDA plug-in calls, with devices that are queues in this process.
 *
 * Each device runs one graph at a time and never preempts it; between graphs it takes the stream of the highest
 * priority, then the one that waited longest (on a real device the same holds kernel by kernel, so this is the worse
 * case). Kernels are C functions with a duration that passes on the device's own clock, and in real time only when
 * asked for.
 *
 *     threads (default): a worker thread per device runs graphs while the host goes on
 *     stepped: no thread; a device advances inside cudaEventQuery, cudaEventSynchronize and cudaStreamQuery of the
 * caller, so that a run is a function of its calls
 *
 * Built into libeinet_cuda_fake.so in place of cudart. A test finds the table of this header there with dlsym; other
 * processes configure it by the environment: EINET_FAKE_CUDA=devices=2,hang_graph=40 and so on, the names of
 * struct fake_cuda_config. Handles are void * here, so that tests need no CUDA headers.
 */
#ifndef TESTS_FAKES_FAKE_CUDART_H
#define TESTS_FAKES_FAKE_CUDART_H

#include <stddef.h>
#include <stdint.h>

#define FAKE_CUDA_ENTRY "fake_cuda_control_get"
#define FAKE_CUDA_DEVICES_MAX 16
#define FAKE_CUDA_LOG_MAX 65536
#define FAKE_GREEN_CONTEXTS_MAX 64

/* Who has no green contexts. */
enum fake_green { FAKE_GREEN_ALL_WELL, FAKE_GREEN_NO_DRIVER, FAKE_GREEN_NO_DEVICE };

struct fake_cuda_config {
    int32_t devices;      /* 1 .. FAKE_CUDA_DEVICES_MAX */
    int32_t count_error;  /* what cudaGetDeviceCount returns, e.g. 35 for a driver that is too old; 0 = all is well */
    int32_t is_stepped;   /* see above */
    int32_t sms;          /* of each device; 0 = 132 */
    int32_t green;        /* enum fake_green */
    int32_t is_real_time; /* a kernel takes its duration in real time, too; with threads */
    /* Faults, counted from 1 since reset; 0 = none. */
    int64_t fail_call;    /* this call returns fail_error */
    int64_t fail_launch;  /* this cudaGraphLaunch does */
    int32_t fail_error;   /* default 1 */
    int32_t is_sticky;    /* ... and every later call for the device, which stops */
    int64_t hang_graph;   /* this graph, in order of running, never ends */
    int64_t fault_graph;  /* this graph ends its device's context: every later call returns error 700 */
    int32_t fault_device; /* hang_graph and fault_graph count the graphs of this device alone, from 1; 0 = of all */
    /* Called at the beginning of each call, with no lock held: another thread's turn. NULL = none. */
    void (*on_call)(void *context);
    void *on_call_context;
};

enum fake_cuda_what { FAKE_CUDA_LAUNCH, FAKE_CUDA_START, FAKE_CUDA_END };

/* The log: what happened to graphs, in order. */
struct fake_cuda_event {
    enum fake_cuda_what what;
    int32_t device_idx, stream_id, priority; /* the smaller, the more urgent */
    int64_t graph_seq;                       /* of the launch */
    int64_t at_ns;                           /* on the device's clock */
};

struct fake_cuda_control {
    /* Begin anew: settings, counters and log; devices are healthy again. No call may be in progress. */
    void (*reset)(const struct fake_cuda_config *config);
    /* Let everything that hangs go on. */
    void (*release)(void);
    int64_t (*calls)(void);  /* since reset, those that can fail */
    int64_t (*graphs)(void); /* that ran since reset; of fault_device, if any */
    int64_t (*log_count)(void);
    int64_t (*log_read)(int64_t first, struct fake_cuda_event *out, int64_t most); /* returns how many */
    void (*log_clear)(void);
    /* What a recorder needs. kernel: into the capture that is in progress on the stream. All return CUDA's code. */
    int (*capture_begin)(void *stream);
    int (*kernel)(void *stream, int64_t duration_ns, void (*run)(void *context), void *context);
    int (*capture_end)(void *stream, void **out_graph);
    void *(*memory_create)(size_t bytes); /* of a device; zeroed */
    void (*memory_destroy)(void *memory);
    int32_t (*stream_id)(const void *stream);
    uint64_t (*stream_groups)(const void *stream); /* of SMs, 8 each; 0 = all */
    /* An event that nobody records: it comes when it is said to. Destroyed once it has come. */
    void *(*event_create)(void);
    void (*event_complete)(void *event);
    void (*event_destroy)(void *event);
    /* Objects that were created and not destroyed: streams, events, graphs, executable graphs. */
    int64_t (*objects)(void);
};

const struct fake_cuda_control *fake_cuda_control_get(void);

#endif
