/* A thread that waits for CUDA events (blocking synchronisation: the device interrupts). cudaEventSynchronize cannot be
 * given up; a semaphore with a time limit can, and so a hang costs this thread and not the job's. It has the task's
 * priority where the process may set one, since the job waits for it.
 */
#include "stages/cuda/parts.h"

#include <errno.h>
#include <sched.h>

static void *waiter_main(void *argument)
{
    struct ei_cuda_waiter *w = argument;
    (void)cudaSetDevice(w->device->idx);
    for (;;) {
        while (sem_wait(&w->asked) != 0) {
        }
        cudaEvent_t event = atomic_load_explicit(&w->event, memory_order_acquire);
        if (event == NULL) {
            return NULL;
        }
        const cudaError_t e = cudaEventSynchronize(event);
        if (e != cudaSuccess) {
            (void)cudaGetLastError();
        }
        atomic_store_explicit(&w->result, (int)e, memory_order_release);
        sem_post(&w->answered);
    }
}

int ei_cuda_waiter_start(struct ei_cuda_waiter *waiter, struct ei_cuda_device *device, int32_t priority)
{
    waiter->device = device;
    sem_init(&waiter->asked, 0, 0);
    sem_init(&waiter->answered, 0, 0);
    const int rc = pthread_create(&waiter->thread, NULL, waiter_main, waiter);
    if (rc != 0) {
        return ei_cuda_fail(-rc, "no thread to wait for a CUDA device");
    }
    if (priority > 0) {
        const struct sched_param param = {.sched_priority = priority};
        (void)pthread_setschedparam(waiter->thread, SCHED_FIFO, &param);
    }
    waiter->is_started = true;
    return 0;
}

bool ei_cuda_waiter_wait(struct ei_cuda_waiter *waiter, cudaEvent_t event, int64_t deadline_ns, cudaError_t *out)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / INT64_C(1000000000)),
                                   .tv_nsec = (long)(deadline_ns % INT64_C(1000000000))};
    atomic_store_explicit(&waiter->event, event, memory_order_release);
    sem_post(&waiter->asked);
    while (sem_clockwait(&waiter->answered, CLOCK_MONOTONIC, &until) != 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    *out = (cudaError_t)atomic_load_explicit(&waiter->result, memory_order_acquire);
    return true;
}

void ei_cuda_waiter_stop(struct ei_cuda_waiter *waiter)
{
    if (!waiter->is_started) {
        return;
    }
    atomic_store_explicit(&waiter->event, NULL, memory_order_release);
    sem_post(&waiter->asked);
    pthread_join(waiter->thread, NULL);
    sem_destroy(&waiter->asked);
    sem_destroy(&waiter->answered);
    waiter->is_started = false;
}

void ei_cuda_waiter_abandon(struct ei_cuda_waiter *waiter)
{
    if (waiter->is_started) {
        pthread_detach(waiter->thread);
    }
}
