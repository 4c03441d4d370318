/* Arbitration of one lane at block boundaries, by fixed priority or by earliest deadline first.
 *
 *              request, free                    release, nobody waits
 *      FREE ------------------> HELD by c  ----------------------------> FREE
 *                                | ^   request: c queues by the lane's order, then by order of arrival
 *          release or yield:     | |   holder inherits: effective priority = max(own, highest waiting)
 *          first waiter holds    +-+
 *
 * By priority the first waiter is the highest. By deadline it is the one whose job's absolute deadline is earliest; the
 * CPU priorities are fixed all the same, so a new holder may inherit at once, and whoever acts must look.
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

enum ei_lane_order { EI_LANE_BY_PRIORITY, EI_LANE_BY_DEADLINE };

struct ei_lane_claim {
    int32_t task_idx;
    int32_t priority;    /* base priority of the task, 1..98 */
    int64_t deadline_ns; /* absolute, of the job that asks; INT64_MAX = none. By deadline only */
};

struct ei_lane {
    enum ei_lane_order order;
    struct ei_lane_claim holder;                      /* task_idx EI_LANE_NOBODY: free */
    int32_t waiting;                                  /* number of waiters */
    struct ei_lane_claim waiters[EI_LANE_CLAIMS_MAX]; /* in the lane's order, first come first within one */
};

void ei_lane_init(struct ei_lane *lane, enum ei_lane_order order);

/* Ask for the lane. True: granted, the lane was free. False: queued; the holder's effective priority may have risen.
 * The task must neither hold the lane nor wait for it. At most EI_LANE_CLAIMS_MAX tasks use one lane. */
EINET_RT bool ei_lane_request(struct ei_lane *lane, struct ei_lane_claim claim);

/* How many would be served before this claim if it asked now: those who wait and go first, and the holder unless the
 * claim may preempt it. EI_LANE_IS_FREE: the lane is free. Of several lanes a job asks for the one with the least. */
#define EI_LANE_IS_FREE (-1)
EINET_RT int32_t ei_lane_ahead(const struct ei_lane *lane, struct ei_lane_claim claim);

/* Priority of the highest waiter, 0 when nobody waits. */
EINET_RT int32_t ei_lane_top_waiting(const struct ei_lane *lane);

/* Whether a waiter goes before the holder: it has a higher priority, or an earlier deadline. */
EINET_RT bool ei_lane_is_preemptor_waiting(const struct ei_lane *lane);

/* The priority at which the holder's thread has to run: max(own, highest waiting); 0 when free. */
EINET_RT int32_t ei_lane_effective_priority(const struct ei_lane *lane);

/* The holder leaves. Returns the task that holds the lane now, or EI_LANE_NOBODY. */
EINET_RT int32_t ei_lane_release(struct ei_lane *lane);

/* The holder leaves and queues again, before the waiters of its own rank, since it asked first. Returns the task that
 * holds the lane now: the holder itself when no waiter goes before it. */
EINET_RT int32_t ei_lane_yield(struct ei_lane *lane);

/* A waiter gives up. True when it was waiting. */
EINET_RT bool ei_lane_cancel(struct ei_lane *lane, int32_t task_idx);

#endif
