/* The queue of one network on its device, and waiting for its oldest graph.
 *
 *     submit:  word = 0, launch --> queue of at most `depth` --> wait: word == 1, or an event, or lost
 *
 * Every wait ends by its deadline. Only a lost device makes a wait fail, so a queue that could not be emptied belongs
 * to a device that nobody asks any more. Runs in submit sections; allocates nothing.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>
#include <errno.h>
#include <stdio.h>

#define LOOKS_PER_CLOCK 32                 /* at the word, between two looks at the clock */
#define PROBE_INTERVAL_NS INT64_C(1000000) /* while spinning: an error makes no word come */
#define EVENT_TRIES 3                      /* of an event that failed or came without its word */
#define SLOW_INTERVAL_NS INT64_C(200000)   /* between looks after that */

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool is_done(const struct ei_cuda_launch *launch)
{
    return __atomic_load_n(launch->done, __ATOMIC_ACQUIRE) != 0;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = (time_t)(at_ns / INT64_C(1000000000)),
                                .tv_nsec = (long)(at_ns % INT64_C(1000000000))};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

/* Whether the stream works; "not ready" is no error, but CUDA keeps it as if it were the thread's last one. */
static cudaError_t ask_stream(struct ei_cuda_parts *parts)
{
    const cudaError_t e = cudaStreamQuery(parts->stream);
    if (e != cudaSuccess) {
        (void)cudaGetLastError();
    }
    return e == cudaErrorNotReady ? cudaSuccess : e;
}

int ei_cuda_launch_failed(struct ei_cuda_parts *parts, cudaError_t error, const char *what)
{
    const int rc = ei_cuda_failed(parts->device, error, what);
    /* An error of this call alone is gone now; one that ended the context stays. */
    for (int32_t tries = 0; parts->stream != NULL && tries < 2; tries++) {
        if (ask_stream(parts) == cudaSuccess) {
            return rc;
        }
    }
    if (parts->stream != NULL) {
        char why[160];
        snprintf(why, sizeof why, "%s: %.60s (%.60s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
        return ei_cuda_device_lose(parts->device, why);
    }
    return rc;
}

static int lose_hung(struct ei_cuda_parts *parts, int64_t hang_ns)
{
    char why[160];
    snprintf(why, sizeof why, "it hangs: a part took longer than %lld ms", (long long)(hang_ns / INT64_C(1000000)));
    return ei_cuda_device_lose(parts->device, why);
}

/* ---- waiting ---- */

/* Look at the word until until_ns. is_probing: ask CUDA for errors now and then. */
static bool spin(struct ei_cuda_parts *parts, const struct ei_cuda_launch *launch, int64_t until_ns, bool is_probing)
{
    int64_t next_probe_ns = ei_cuda_now_ns() + PROBE_INTERVAL_NS;
    for (;;) {
        for (int32_t i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (is_done(launch)) {
                return true;
            }
            relax();
        }
        const int64_t now_ns = ei_cuda_now_ns();
        if (now_ns >= until_ns || ei_cuda_device_is_lost(parts->device)) {
            return is_done(launch);
        }
        if (is_probing && now_ns >= next_probe_ns) {
            const cudaError_t e = ask_stream(parts);
            if (e != cudaSuccess) {
                (void)ei_cuda_launch_failed(parts, e, "waiting for a part");
            }
            next_probe_ns = now_ns + PROBE_INTERVAL_NS;
        }
    }
}

/* Wait for an event that was recorded, without a thread's help where it has come already. Returns 0 when it came,
 * -ETIMEDOUT, -EAGAIN (the wait failed, not the device) or EINET_E_BACKEND (lost). */
static int wait_event(struct ei_cuda_parts *parts, cudaEvent_t event, int64_t deadline_ns)
{
    cudaError_t e = cudaEventQuery(event);
    if (e == cudaErrorNotReady) {
        (void)cudaGetLastError(); /* as above */
    }
    if (e == cudaErrorNotReady && !ei_cuda_waiter_wait(&parts->waiter, event, deadline_ns, &e)) {
        return -ETIMEDOUT;
    }
    if (e == cudaSuccess) {
        return 0;
    }
    const int rc = ei_cuda_launch_failed(parts, e, "waiting for a part");
    return ei_cuda_device_is_lost(parts->device) ? rc : -EAGAIN;
}

int ei_cuda_launch_settle(struct ei_cuda_parts *parts, cudaEvent_t event, int64_t deadline_ns)
{
    int rc = -EAGAIN;
    for (int32_t tries = 0; rc == -EAGAIN && tries < EVENT_TRIES; tries++) {
        const cudaError_t e = cudaEventRecord(event, parts->stream);
        if (e != cudaSuccess) {
            rc = ei_cuda_launch_failed(parts, e, "recording an event");
            rc = ei_cuda_device_is_lost(parts->device) ? rc : -EAGAIN;
            continue;
        }
        rc = wait_event(parts, event, deadline_ns);
    }
    return rc == -ETIMEDOUT ? lose_hung(parts, parts->config.hang_ns) : rc == -EAGAIN ? EINET_E_BACKEND : rc;
}

/* Sleep until its event has come. An event may fail without the device, and the word comes all the same. */
static int block(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch, int64_t deadline_ns)
{
    for (int32_t tries = 0; tries < EVENT_TRIES && !is_done(launch); tries++) {
        if (!launch->has_event) {
            const cudaError_t e = cudaEventRecord(launch->ended, parts->stream);
            if (e != cudaSuccess && ei_cuda_launch_failed(parts, e, "recording an event") != 0 &&
                ei_cuda_device_is_lost(parts->device)) {
                return ei_cuda_device_refuse(parts->device);
            }
            launch->has_event = e == cudaSuccess;
            if (!launch->has_event) {
                continue;
            }
        }
        const int rc = wait_event(parts, launch->ended, deadline_ns);
        if (rc == -ETIMEDOUT) {
            return is_done(launch) ? 0 : lose_hung(parts, launch->hang_ns);
        }
        if (rc != 0 && rc != -EAGAIN) {
            return rc;
        }
        launch->has_event = false; /* for another try */
    }
    while (!is_done(launch)) {
        const int64_t now_ns = ei_cuda_now_ns();
        if (now_ns >= deadline_ns) {
            return lose_hung(parts, launch->hang_ns);
        }
        sleep_until(now_ns + SLOW_INTERVAL_NS);
    }
    return 0;
}

static int wait_for(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch, int64_t deadline_ns)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    if (is_done(launch)) {
        return 0;
    }
    if (c->wait == EI_CUDA_WAIT_SPIN) {
        if (spin(parts, launch, deadline_ns, true)) {
            return 0;
        }
        return ei_cuda_device_is_lost(parts->device) ? ei_cuda_device_refuse(parts->device)
                                                     : lose_hung(parts, launch->hang_ns);
    }
    if (c->wait == EI_CUDA_WAIT_POLL) {
        const int64_t begun_ns = launch->launched_ns > parts->last_end_ns ? launch->launched_ns : parts->last_end_ns;
        const int64_t look_ns = begun_ns + launch->expected_ns + launch->more_ns - c->poll_ns / 2;
        if (look_ns > ei_cuda_now_ns()) {
            sleep_until(look_ns < deadline_ns ? look_ns : deadline_ns);
        }
        const int64_t until_ns = ei_cuda_now_ns() + c->poll_ns;
        if (spin(parts, launch, until_ns < deadline_ns ? until_ns : deadline_ns, false)) {
            return 0;
        }
    }
    return block(parts, launch, deadline_ns);
}

int ei_cuda_launch_wait(struct ei_cuda_parts *parts)
{
    struct ei_cuda_launch *launch = parts->queue[0];
    if (ei_cuda_device_is_lost(parts->device)) {
        return ei_cuda_device_refuse(parts->device);
    }
    const int rc = wait_for(parts, launch, ei_cuda_now_ns() + launch->hang_ns);
    if (rc != 0) {
        return rc;
    }
    parts->last_end_ns = ei_cuda_now_ns();
    launch->is_queued = false;
    if (launch->is_conv) {
        parts->conv_done = launch->last_pos;
    }
    parts->queue[0] = parts->queue[1];
    parts->queue[1] = NULL;
    parts->queued--;
    return 0;
}

int ei_cuda_launch_drain(struct ei_cuda_parts *parts)
{
    int rc = 0;
    while (rc == 0 && parts->queued > 0) {
        rc = ei_cuda_launch_wait(parts);
    }
    return rc;
}

/* ---- launching ---- */

int ei_cuda_launch_submit(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch)
{
    int rc = 0;
    if (ei_cuda_device_is_lost(parts->device)) {
        return ei_cuda_device_refuse(parts->device);
    }
    if (parts->is_unsettled) {
        rc = ei_cuda_launch_settle(parts, launch->ended, ei_cuda_now_ns() + launch->hang_ns);
        parts->is_unsettled = rc != 0;
    }
    while (rc == 0 && (launch->is_queued || parts->queued >= parts->config.depth)) {
        rc = ei_cuda_launch_wait(parts);
    }
    if (rc != 0) {
        return rc;
    }
    __atomic_store_n(launch->done, 0, __ATOMIC_SEQ_CST);
    cudaError_t e = cudaGraphLaunch(launch->exec, parts->stream);
    if (e != cudaSuccess) {
        parts->is_unsettled = true;
        return ei_cuda_launch_failed(parts, e, "launching a graph");
    }
    launch->launched_ns = ei_cuda_now_ns();
    launch->is_queued = true;
    parts->queue[parts->queued++] = launch;
    /* Behind another graph an event would wait for that one too, so it must be recorded now. */
    launch->has_event = false;
    if (parts->config.wait == EI_CUDA_WAIT_BLOCK || parts->config.depth > 1) {
        e = cudaEventRecord(launch->ended, parts->stream);
        launch->has_event = e == cudaSuccess;
        if (e != cudaSuccess) {
            (void)ei_cuda_launch_failed(parts, e, "recording an event"); /* waiting tries again */
        }
    }
    return 0;
}
