/* The newest stretches of time in which jobs of each task wanted the processor, and how much of it others got
 * meanwhile. Stretches of one thread (slot) of a task arrive in order of their end and fill a ring; the oldest is
 * forgotten. Thread: one owner.
 */
#ifndef METRICS_ACTIVITY_H
#define METRICS_ACTIVITY_H

#include "metrics/record.h"

struct ei_activity_ring; /* one thread's */

struct ei_activity_history {
    struct ei_activity_ring *rings; /* owned, [task_count * slots_max] */
    int32_t task_count, slots_max, kept;
};

/* Processor time that others used. */
struct ei_activity_use {
    int64_t higher_ns; /* of higher or equal priority */
    int64_t lower_ns;  /* of lower priority, raised to this one or above */
};

/* Room for the newest `kept` (>= 1) stretches of each thread, of which a task has slots_max (>= 1) at most. Returns 0
 * or -ENOMEM. */
int ei_activity_history_init(struct ei_activity_history *history, int32_t task_count, int32_t slots_max, int32_t kept);
void ei_activity_history_fini(struct ei_activity_history *history);

/* Remember a stretch; one of a thread that there is not, or that ends before its predecessor, is ignored. */
void ei_activity_history_add(struct ei_activity_history *history, const struct ei_activity_record *activity);

/* The n-th stretch of a job, n from 0, oldest first; NULL = it has no more that are remembered. */
const struct ei_activity_record *ei_activity_history_of_job(const struct ei_activity_history *history,
                                                            const struct ei_job_record *job, int32_t n);

/* What threads other than that of this stretch used of its CPU within [from, to): of each of their stretches its
 * processor time, at most as much as overlaps. */
struct ei_activity_use ei_activity_history_use(const struct ei_activity_history *history,
                                               const struct ei_activity_record *own, int64_t from_ns, int64_t to_ns);

#endif
