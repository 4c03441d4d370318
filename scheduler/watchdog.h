/* When a real-time job thread has run away: one look at it every EI_WATCH_PERIOD_NS, from outside.
 *
 *   runaway   the job that it runs has used more than the task's limit since the look that first saw the job
 *   starving  housekeeping has given no sign of life for EI_WATCH_STARVED_NS, in which this thread alone used at least
 *             half of a CPU
 *
 * A job is thus found between the limit and the limit plus two periods of its processor time. Pure; one owner.
 */
#ifndef SCHEDULER_WATCHDOG_H
#define SCHEDULER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#define EI_WATCH_PERIOD_NS INT64_C(10000000)
#define EI_WATCH_STARVED_NS INT64_C(1000000000)
#define EI_WATCH_NO_JOB INT64_C(-1)
#define EI_WATCH_NO_LIMIT INT64_MAX

enum ei_watch_verdict { EI_WATCH_FINE, EI_WATCH_RUNAWAY, EI_WATCH_STARVING };

/* What the looks at one thread leave behind. */
struct ei_watch {
    int64_t job_idx, job_used_ns;  /* the job, and the thread's processor time when a look first saw it */
    int64_t beat_ns, beat_used_ns; /* housekeeping's last sign of life, and the same for that */
};

struct ei_watch_look {
    int64_t now_ns;
    int64_t job_idx;  /* that runs; EI_WATCH_NO_JOB = none */
    int64_t used_ns;  /* processor time of the thread */
    int64_t limit_ns; /* of one job; EI_WATCH_NO_LIMIT = none */
    int64_t beat_ns;  /* housekeeping's last sign of life; now_ns = there is none to wait for */
};

void ei_watch_init(struct ei_watch *watch);

enum ei_watch_verdict ei_watch_take(struct ei_watch *watch, const struct ei_watch_look *look);

#endif
