/* How far a task set is from its limit: the largest scale of a task's execution times and the smallest deadline of a
 * task with which every task is still schedulable, by bisection over the response-time analysis.
 *
 * Pure; one thread per trial. What is returned has been tested, so it is schedulable by the analysis even where the
 * priorities follow the deadlines and acceptance is not monotone.
 */
#ifndef SCHEDULER_RESPONSE_TIME_SENSITIVITY_H
#define SCHEDULER_RESPONSE_TIME_SENSITIVITY_H

#include "scheduler/response_time.h"

/* Sets the priorities anew after a change, for policies that derive them; NULL in a trial leaves them alone. */
typedef void (*ei_rta_assign_fn)(struct ei_rta_task *tasks, int32_t count);

/* All borrowed. tasks are changed during a call and as before when it returns; rta and states are room. */
struct ei_rta_trial {
    struct ei_rta *rta;
    struct ei_rta_task *tasks;   /* count */
    struct ei_rta_state *states; /* count */
    int32_t count;
    enum ei_rta_lane_order lane_order;
    ei_rta_assign_fn assign;
};

/* Largest scale in parts per million, 1..limit_ppm (<= 10^9), of all execution times of this task: 1000000 = as
 * given. EI_RTA_NO_BOUND when even 1 is too much, or the tasks are malformed. */
int64_t ei_rta_largest_scale_ppm(const struct ei_rta_trial *trial, int32_t task_idx, int64_t limit_ppm);

/* Smallest relative deadline of this task in ns, up to most_ns. EI_RTA_NO_BOUND when even most_ns is too short. */
int64_t ei_rta_smallest_deadline_ns(const struct ei_rta_trial *trial, int32_t task_idx, int64_t most_ns);

#endif
