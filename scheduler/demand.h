/* Earliest deadline first on one resource: processor demand with blocking, and response-time bounds.
 *
 * A job with an earlier absolute deadline preempts at the next block boundary; equal deadlines are served in any order.
 * Exact for fully preemptive sporadic tasks without jitter, safe otherwise. docs/analysis.md has the derivation.
 *
 * Pure integer arithmetic, no allocation; any thread.
 */
#ifndef SCHEDULER_DEMAND_H
#define SCHEDULER_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

#define EI_DEMAND_NO_BOUND INT64_C(-1)
#define EI_DEMAND_TIME_MAX_NS (INT64_C(1) << 50) /* of any single time given */

/* Times of 0..EI_DEMAND_TIME_MAX_NS, the period from 1. */
struct ei_demand_task {
    int64_t period_ns;   /* period or least distance of arrivals */
    int64_t deadline_ns; /* from the nominal arrival; may pass the period */
    int64_t jitter_ns;   /* a job is ready at most this long after its nominal arrival */
    int64_t wcet_ns;
    int64_t max_nonpreemptive_ns; /* longest block; wcet_ns = not preemptive; 0 = preemptive anywhere */
};

/* Longest time that the resource can be busy without a break when at first a job is blocked for the longest block,
 * or EI_DEMAND_NO_BOUND (overload, or longer than the search goes). */
int64_t ei_demand_busy_period(const struct ei_demand_task *tasks, int32_t count);

/* Is every deadline kept under EDF? Processor demand with blocking (Baruah 2006), checked by QPA (Zhang, Burns 2009).
 */
bool ei_demand_is_schedulable(const struct ei_demand_task *tasks, int32_t count);

/* Largest extra time that may be taken from every interval so that all deadlines are still kept, or
 * EI_DEMAND_NO_BOUND when they are not kept even without. */
int64_t ei_demand_slack(const struct ei_demand_task *tasks, int32_t count);

/* Bound of (finish - nominal arrival) of task_idx (Spuri 1996, with blocking and jitter), or EI_DEMAND_NO_BOUND. */
int64_t ei_demand_response(const struct ei_demand_task *tasks, int32_t count, int32_t task_idx);

/* Largest scale in parts per million, 1..limit_ppm (<= 10^9), of the task's wcet and block; smallest deadline in ns.
 * Both keep the others as they are; EI_DEMAND_NO_BOUND when there is none. tasks[task_idx] is changed during the call
 * and as before when it returns. */
int64_t ei_demand_largest_scale_ppm(struct ei_demand_task *tasks, int32_t count, int32_t task_idx, int64_t limit_ppm);
int64_t ei_demand_smallest_deadline_ns(struct ei_demand_task *tasks, int32_t count, int32_t task_idx);

#endif
