/* Devices of the fake CUDA runtime: which graph runs next, and running it. Nodes run without the lock, since their
 * functions are the test's.
 */
#include "tests/fakes/fake_device.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_state fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void log_locked(enum fake_cuda_what what, const struct CUstream_st *stream, const struct fake_op *op)
{
    if (fake.log_count < FAKE_CUDA_LOG_MAX) {
        fake.log[fake.log_count++] = (struct fake_cuda_event){
            .what = what,
            .device_idx = stream->device_idx,
            .stream_id = stream->id,
            .priority = stream->priority,
            .graph_seq = op->seq,
            .at_ns = fake.device[stream->device_idx].clock_ns,
        };
    }
}

void fake_exec_unref_locked(struct CUgraphExec_st *exec)
{
    if (--exec->refs == 0) {
        free(exec->row.nodes);
        free(exec);
    }
}

void fake_stream_free_if_empty_locked(struct CUstream_st *stream)
{
    struct fake_device *d = &fake.device[stream->device_idx];
    if (!stream->is_destroyed || stream->head != NULL) {
        return;
    }
    for (struct CUstream_st **at = &d->streams; *at != NULL; at = &(*at)->next) {
        if (*at == stream) {
            *at = stream->next;
            break;
        }
    }
    free(stream);
}

static struct fake_op *pop_locked(struct CUstream_st *stream)
{
    struct fake_op *op = stream->head;
    stream->head = op->next;
    stream->queued--;
    if (stream->head == NULL) {
        stream->tail = NULL;
    }
    return op;
}

/* Events at the head of a stream come as soon as they are there. */
static void complete_events_locked(struct CUstream_st *stream)
{
    while (stream->head != NULL && stream->head->event != NULL) {
        struct fake_op *op = pop_locked(stream);
        struct CUevent_st *event = op->event;
        event->completed++;
        event->at_ns = fake.device[stream->device_idx].clock_ns;
        if (event->is_destroyed && event->completed == event->recorded) {
            free(event);
        }
        free(op);
    }
}

/* The next graph starts, when the device is idle: the most urgent stream, then the earliest launch. */
static void start_locked(struct fake_device *d)
{
    struct CUstream_st *best = NULL;
    for (struct CUstream_st *s = d->streams; s != NULL; s = s->next) {
        if (s->head != NULL && (best == NULL || s->priority < best->priority ||
                                (s->priority == best->priority && s->head->seq < best->head->seq))) {
            best = s;
        }
    }
    if (d->running == NULL && best != NULL && d->dead == cudaSuccess) {
        d->running = best;
        log_locked(FAKE_CUDA_START, best, best->head);
    }
}

/* Returns what passed on the device's clock. */
static int64_t run_nodes(const struct CUgraph_st *row, bool is_real_time)
{
    int64_t passed_ns = 0;
    for (int32_t i = 0; i < row->count; i++) {
        const struct fake_node *n = &row->nodes[i];
        const int64_t from_ns = now_ns();
        if (n->kind == FAKE_KERNEL && is_real_time) {
            const struct timespec duration = {.tv_sec = (time_t)(n->duration_ns / INT64_C(1000000000)),
                                              .tv_nsec = (long)(n->duration_ns % INT64_C(1000000000))};
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL);
        }
        if (n->run != NULL) {
            n->run(n->context);
        }
        if (n->kind == FAKE_COPY && n->bytes == sizeof(uint32_t)) {
            /* A device writes a word at once, after what it wrote before. */
            __atomic_store_n((uint32_t *)n->to, *(const uint32_t *)n->from, __ATOMIC_RELEASE);
        } else if (n->kind == FAKE_WRITE) {
            __atomic_store_n((uint32_t *)n->to, n->value, __ATOMIC_RELEASE);
        } else if (n->kind == FAKE_COPY) {
            memcpy(n->to, n->from, n->bytes);
        }
        passed_ns += n->kind == FAKE_HOST ? now_ns() - from_ns : n->duration_ns;
    }
    return passed_ns;
}

/* Run the head of d->running. Returns false when it hangs or ends the context. */
static bool run_locked(struct fake_device *d)
{
    struct CUstream_st *stream = d->running;
    const int32_t only = fake.config.fault_device;
    const int64_t number = only == 0 || d == &fake.device[only - 1] ? ++fake.graphs : -1;
    if (number == fake.config.hang_graph) {
        d->is_hung = true;
        while (!fake.is_released && !fake.config.is_stepped) {
            pthread_cond_wait(&fake.changed, &fake.lock);
        }
        if (!fake.is_released) {
            return false;
        }
        d->is_hung = false;
    }
    if (number == fake.config.fault_graph) {
        d->dead = FAKE_STICKY_FAULT;
        d->running = NULL;
        pthread_cond_broadcast(&fake.changed);
        return false;
    }
    const bool is_real_time = fake.config.is_real_time != 0;
    const struct CUgraph_st *row = &stream->head->exec->row;
    pthread_mutex_unlock(&fake.lock);
    const int64_t passed_ns = run_nodes(row, is_real_time);
    pthread_mutex_lock(&fake.lock);
    d->clock_ns += passed_ns;
    struct fake_op *op = pop_locked(stream);
    log_locked(FAKE_CUDA_END, stream, op);
    fake_exec_unref_locked(op->exec);
    free(op);
    d->running = NULL;
    complete_events_locked(stream);
    fake_stream_free_if_empty_locked(stream);
    start_locked(d);
    pthread_cond_broadcast(&fake.changed);
    return true;
}

/* A device asks no scheduler: where it is allowed, what else runs here does not hold it up. */
static void *worker_main(void *argument)
{
    struct fake_device *d = argument;
    const struct sched_param above_all = {.sched_priority = 98};
    (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &above_all);
    pthread_mutex_lock(&fake.lock);
    for (;;) {
        while (fake.config.is_stepped || d->running == NULL || d->is_hung || d->dead != cudaSuccess) {
            pthread_cond_wait(&fake.changed, &fake.lock);
        }
        (void)run_locked(d);
    }
    return NULL;
}

void fake_device_push_locked(struct CUstream_st *stream, struct fake_op *op)
{
    struct fake_device *d = &fake.device[stream->device_idx];
    while (stream->queued >= FAKE_QUEUE_MAX && d->dead == cudaSuccess) {
        if (fake.config.is_stepped && d->running != NULL && !d->is_hung) {
            fake_device_step_locked(d, NULL);
        } else {
            pthread_cond_wait(&fake.changed, &fake.lock);
        }
    }
    op->next = NULL;
    op->seq = ++fake.seq;
    stream->queued++;
    if (stream->tail != NULL) {
        stream->tail->next = op;
    } else {
        stream->head = op;
    }
    stream->tail = op;
    if (op->exec != NULL) {
        log_locked(FAKE_CUDA_LAUNCH, stream, op);
    }
    if (stream->head == op) {
        complete_events_locked(stream);
    }
    start_locked(d);
    if (!fake.config.is_stepped && !d->has_worker) {
        pthread_t thread;
        d->has_worker = pthread_create(&thread, NULL, worker_main, d) == 0;
        if (d->has_worker) {
            pthread_detach(thread);
        }
    }
    pthread_cond_broadcast(&fake.changed);
}

void fake_device_step_locked(struct fake_device *d, const struct CUevent_st *event)
{
    bool is_going = true;
    while (is_going && d->running != NULL && !d->is_hung && (event == NULL || event->completed < event->recorded)) {
        is_going = run_locked(d) && event != NULL;
    }
}

/* What a dead device never ran. */
static void drop_ops_locked(struct CUstream_st *stream)
{
    while (stream->head != NULL) {
        struct fake_op *op = pop_locked(stream);
        if (op->exec != NULL) {
            fake_exec_unref_locked(op->exec);
        }
        free(op);
    }
}

void fake_device_reset_locked(const struct fake_cuda_config *config)
{
    fake.config = *config;
    fake.config.devices = config->devices > 0 ? config->devices : 1;
    fake.config.fail_error = config->fail_error != 0 ? config->fail_error : 1;
    fake.calls = fake.launches = fake.graphs = fake.log_count = 0;
    fake.is_released = false;
    for (int32_t i = 0; i < FAKE_CUDA_DEVICES_MAX; i++) {
        struct fake_device *d = &fake.device[i];
        d->dead = cudaSuccess;
        d->is_hung = false;
        for (struct CUstream_st *s = d->streams; s != NULL && d->running == NULL; s = s->next) {
            drop_ops_locked(s);
        }
    }
    pthread_cond_broadcast(&fake.changed);
}

/* ---- configuration by the environment ---- */

void fake_configure(void)
{
    struct fake_cuda_config c = {.devices = 1};
    const char *at = getenv("EINET_FAKE_CUDA");
    while (at != NULL && *at != '\0') {
        char name[24] = "";
        long long value = 0;
        if (sscanf(at, "%23[a-z_]=%lld", name, &value) == 2) {
            c.sms = strcmp(name, "sms") == 0 ? (int32_t)value : c.sms;
            c.green = strcmp(name, "green") == 0 ? (int32_t)value : c.green;
            c.devices = strcmp(name, "devices") == 0 ? (int32_t)value : c.devices;
            c.count_error = strcmp(name, "count_error") == 0 ? (int32_t)value : c.count_error;
            c.is_real_time = strcmp(name, "is_real_time") == 0 ? (int32_t)value : c.is_real_time;
            c.fail_call = strcmp(name, "fail_call") == 0 ? value : c.fail_call;
            c.fail_launch = strcmp(name, "fail_launch") == 0 ? value : c.fail_launch;
            c.fail_error = strcmp(name, "fail_error") == 0 ? (int32_t)value : c.fail_error;
            c.is_sticky = strcmp(name, "is_sticky") == 0 ? (int32_t)value : c.is_sticky;
            c.hang_graph = strcmp(name, "hang_graph") == 0 ? value : c.hang_graph;
            c.fault_graph = strcmp(name, "fault_graph") == 0 ? value : c.fault_graph;
            c.fault_device = strcmp(name, "fault_device") == 0 ? (int32_t)value : c.fault_device;
        }
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    pthread_mutex_lock(&fake.lock);
    fake_device_reset_locked(&c);
    pthread_mutex_unlock(&fake.lock);
}
