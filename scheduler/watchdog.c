/* See watchdog.h. */
#include "scheduler/watchdog.h"

void ei_watch_init(struct ei_watch *watch)
{
    *watch = (struct ei_watch){.job_idx = EI_WATCH_NO_JOB, .beat_ns = INT64_MIN};
}

enum ei_watch_verdict ei_watch_take(struct ei_watch *watch, const struct ei_watch_look *look)
{
    if (look->beat_ns != watch->beat_ns) {
        watch->beat_ns = look->beat_ns;
        watch->beat_used_ns = look->used_ns;
    }
    if (look->job_idx != watch->job_idx) {
        watch->job_idx = look->job_idx;
        watch->job_used_ns = look->used_ns;
    }
    if (look->job_idx == EI_WATCH_NO_JOB) {
        return EI_WATCH_FINE;
    }
    if (look->used_ns - watch->job_used_ns > look->limit_ns) {
        return EI_WATCH_RUNAWAY;
    }
    const int64_t silent_ns = look->now_ns - look->beat_ns;
    if (silent_ns > EI_WATCH_STARVED_NS && look->used_ns - watch->beat_used_ns >= silent_ns / 2) {
        return EI_WATCH_STARVING;
    }
    return EI_WATCH_FINE;
}
