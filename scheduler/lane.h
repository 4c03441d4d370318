/* Fixed-priority arbitration of one lane at block boundaries.
 *
 *              request, free                    release, nobody waits
 *      FREE ------------------> HELD by c  ----------------------------> FREE
 *                                | ^   request: c queues by priority, then by order of arrival
 *          release or yield:     | |   holder inherits: effective priority = max(own, highest waiting)
 *          highest waiting holds +-+
 *
 * A claim is one task's wish for the lane; a task has at most one at a time. Pure: the engine holds a
 * priority-inheriting lock around every call, performs the boosts it is told, and wakes whoever is granted.
 * Every function is real-time safe and O(number of waiters).
 */
#ifndef SCHEDULER_LANE_H
#define SCHEDULER_LANE_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_LANE_CLAIMS_MAX 64
#define EI_LANE_NOBODY (-1)

struct ei_lane_claim {
    int32_t task_idx;
    int32_t priority; /* base priority of the task, 1..98 */
};

struct ei_lane {
    struct ei_lane_claim holder;                      /* task_idx EI_LANE_NOBODY: free */
    int32_t waiting;                                  /* number of waiters */
    struct ei_lane_claim waiters[EI_LANE_CLAIMS_MAX]; /* highest priority first, first come first within one */
};

void ei_lane_init(struct ei_lane *lane);

/* Ask for the lane. True: granted, the lane was free. False: queued; the holder's effective priority may have risen.
 * The task must neither hold the lane nor wait for it. At most EI_LANE_CLAIMS_MAX tasks use one lane. */
EINET_RT bool ei_lane_request(struct ei_lane *lane, struct ei_lane_claim claim);

/* Priority of the highest waiter, 0 when nobody waits. */
EINET_RT int32_t ei_lane_top_waiting(const struct ei_lane *lane);

/* The priority at which the holder's thread has to run: max(own, highest waiting); 0 when free. */
EINET_RT int32_t ei_lane_effective_priority(const struct ei_lane *lane);

/* The holder leaves. Returns the task that holds the lane now, or EI_LANE_NOBODY. */
EINET_RT int32_t ei_lane_release(struct ei_lane *lane);

/* The holder leaves and queues again, before the waiters of its own priority, since it asked first. Returns the task
 * that holds the lane now: the holder itself when nobody waits with a higher priority. */
EINET_RT int32_t ei_lane_yield(struct ei_lane *lane);

/* A waiter gives up. True when it was waiting. */
EINET_RT bool ei_lane_cancel(struct ei_lane *lane, int32_t task_idx);

#endif
