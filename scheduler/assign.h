/* Fixed priorities for a task set: by rate, by deadline, or Audsley's assignment over the response-time analysis.
 *
 * Under EDF the lanes arbitrate by absolute deadline, but SCHED_FIFO has fixed levels: CPU stages then run at
 * deadline-monotonic priorities, the fixed order that keeps the order of deadlines of jobs that arrive together. The
 * bounds for such CPU stages are those of fixed priorities.
 *
 * Pure; any thread.
 */
#ifndef SCHEDULER_ASSIGN_H
#define SCHEDULER_ASSIGN_H

#include "scheduler/response_time.h"

/* Give tasks[i].priority: the shortest period (of a task with `after`: that of its chain) or deadline gets `top`, the
 * next top - 1, and so on; equal ones keep their order. Level 1 is shared when there are more tasks than levels. */
void ei_assign_rate_monotonic(struct ei_rta_task *tasks, int32_t count, int32_t top);
void ei_assign_deadline_monotonic(struct ei_rta_task *tasks, int32_t count, int32_t top);

/* Audsley 1991: from the lowest level up, give each to some task that keeps its deadline there. For tasks on one
 * resource it finds an order with which the analysis accepts whenever there is one; for chains over several resources
 * it searches with bounds that do not depend on the order above (interfering tasks are taken to finish by their
 * deadlines), which may miss one. rta, states[count] and bounds[count] are room; bounds are those of the order found.
 * Returns true when all tasks are schedulable with the priorities given; false leaves the priorities as they were.
 * count <= top. */
bool ei_assign_audsley(struct ei_rta *rta, struct ei_rta_task *tasks, struct ei_rta_state *states,
                       struct ei_rta_bound *bounds, int32_t count, int32_t top);

#endif
