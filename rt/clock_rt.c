/* See clock.h. */
#include "rt/clock.h"

#include <errno.h>

int64_t ei_thread_used_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * EI_NS_PER_S + ts.tv_nsec;
}

void ei_mono_sleep_until(struct ei_mono t)
{
    const struct timespec at = ei_mono_timespec(t);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}
