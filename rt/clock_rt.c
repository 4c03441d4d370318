/* See clock.h. */
#include "rt/clock.h"

#include <errno.h>

void ei_mono_sleep_until(struct ei_mono t)
{
    const struct timespec at = ei_mono_timespec(t);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}
