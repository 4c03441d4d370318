/* The newest stretches of time in which jobs of each task wanted the processor, and how much of it others got
 * meanwhile. Stretches of one task arrive in order of their end and fill a ring; the oldest is forgotten. Thread: one
 * owner.
 */
#ifndef METRICS_ACTIVITY_H
#define METRICS_ACTIVITY_H

#include "metrics/record.h"

struct ei_activity_ring; /* one task's */

struct ei_activity_history {
    struct ei_activity_ring *rings; /* owned, [task_count] */
    int32_t task_count, kept;
};

/* Processor time that other tasks used. */
struct ei_activity_use {
    int64_t higher_ns; /* of higher or equal priority */
    int64_t lower_ns;  /* of lower priority, raised to this one or above */
};

/* Room for the newest `kept` (>= 1) stretches of each task. Returns 0 or -ENOMEM. */
int ei_activity_history_init(struct ei_activity_history *history, int32_t task_count, int32_t kept);
void ei_activity_history_fini(struct ei_activity_history *history);

/* Remember a stretch; one of a task outside 0..task_count-1, or that ends before its predecessor, is ignored. */
void ei_activity_history_add(struct ei_activity_history *history, const struct ei_activity_record *activity);

/* The n-th stretch of a job, n from 0, oldest first; NULL = it has no more that are remembered. */
const struct ei_activity_record *ei_activity_history_of_job(const struct ei_activity_history *history, int32_t task_idx,
                                                            int64_t job_idx, int32_t n);

/* What tasks other than task_idx, which has this priority, used of the CPU within [from, to): of each of their
 * stretches its processor time, at most as much as overlaps. */
struct ei_activity_use ei_activity_history_use(const struct ei_activity_history *history, int32_t task_idx,
                                               int32_t priority, int32_t cpu, int64_t from_ns, int64_t to_ns);

#endif
