/* The gate of a lane: scheduler/lane.h decides who holds it, rt/handoff.h passes it on. Whoever is granted the lane
 * while a waiter of a higher priority stays behind (earliest deadline first) is boosted before it wakes.
 *
 *   request ---granted--------------------------------> holds
 *      |                                                  |  ^
 *      +---queued (holder inherits)--> wait --granted-----+  |
 *                                        ^                |  |
 *                                        +---- yield -----+--+  (nobody before it: keeps it)
 *                                                         |
 *                                                      release -> the first waiter holds it
 *
 * A job thread has one seat, at all gates that its task may use. At any time a task waits for or holds one gate at
 * most, with the seat of the thread whose job is in the network stage. Calls of one seat come from its job thread only.
 */
#ifndef ENGINE_LANE_GATE_RT_H
#define ENGINE_LANE_GATE_RT_H

#include "engine/rehearsal_rt.h"
#include "rt/handoff.h"
#include "scheduler/lane.h"

#include <stdatomic.h>

struct ei_gate_seat {
    struct ei_waiter waiter;
    struct ei_boost boost; /* describe the thread with ei_boost_init_self once it has its real-time priority */
    struct ei_lane_claim claim;
    int64_t job_idx; /* of the job that asks */
    /* written by the thread that grants, under the guard; valid once granted */
    int64_t request_ns;
    int64_t granted_ns;         /* when the former holder's block ended */
    int64_t below_ns, queue_ns; /* of the job's waits: behind holders of lower, of higher or equal priority */
    int64_t counted_ns;         /* up to here, of the wait that is under way */
    int32_t victim_task_idx;    /* the job that lost the lane to this one, -1 = none */
    int64_t victim_job_idx;
    atomic_int top_priority; /* highest that waiters lent to it since the last reading */
};

struct ei_lane_gate {
    struct ei_handoff_guard guard;
    struct ei_lane arbiter;
    atomic_bool is_preemptor_waiting;               /* a waiter goes before the holder; what the holder looks at */
    struct ei_gate_seat *seats[EI_LANE_CLAIMS_MAX]; /* by task index, of the job that asked last; borrowed */
    /* For whoever looks on from outside, without the guard; written under it. */
    atomic_int shown_holder_idx, shown_waiting;
    _Atomic uint64_t shown_busy; /* 2 * time held so far, or 2 * (since when it is held - that time) + 1 */
};

/* Returns 0 or the lock's error. */
int ei_gate_init(struct ei_lane_gate *gate, enum ei_lane_order order, struct einet_error *err);
void ei_gate_fini(struct ei_lane_gate *gate);

/* Introduce a task, to each gate that it may use; before the threads start. */
void ei_gate_seat_init(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int32_t task_idx, int32_t priority);

/* Begin to count the job's waits, and before the lane changes hands: count for everybody who waits. Guard held. */
EINET_RT void ei_gate_count_begin(struct ei_gate_seat *seat, int64_t now_ns);
EINET_RT void ei_gate_count(struct ei_lane_gate *gate, int64_t now_ns);

/* How many would be served before the seat's job if it asked now (ei_lane_ahead). */
EINET_RT int32_t ei_gate_ahead(struct ei_lane_gate *gate, const struct ei_gate_seat *seat, int64_t deadline_ns);

/* The task that holds the lane, EI_LANE_NOBODY = free; how many wait; how long it was held until now_ns, all told.
 * Each is right by itself; they may be of different moments. Thread: any, takes no lock. */
struct ei_gate_look {
    int32_t holder_idx, waiting;
    int64_t busy_ns;
};
EINET_RT struct ei_gate_look ei_gate_look(const struct ei_lane_gate *gate, int64_t now_ns);

/* Ask for the lane for job job_idx, whose absolute deadline is deadline_ns, at now_ns. True: held. False: call
 * ei_gate_wait. */
EI_JOB_CODE EINET_RT bool ei_gate_request(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t job_idx,
                                          int64_t deadline_ns, int64_t now_ns);
EINET_RT void ei_gate_wait(struct ei_gate_seat *seat);

/* Whether a job waits that goes before the holder's. One relaxed load. Thread: the holder. */
EINET_RT bool ei_gate_is_higher_waiting(struct ei_lane_gate *gate);

/* At a boundary at now_ns: pass the lane to a waiter that goes before and queue again. Returns the task that got it,
 * after which ei_gate_wait must be called; EI_LANE_NOBODY when there is none and the lane is kept. */
EINET_RT int32_t ei_gate_yield(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns);

/* Leave at now_ns. is_preempted: the job stopped because a higher one waits. Returns the task that got the lane or
 * EI_LANE_NOBODY. */
EINET_RT int32_t ei_gate_release(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns,
                                 bool is_preempted);

/* The same when nobody waits, nor lent the holder a priority that was not asked for yet (seat.top_priority). Returns
 * false, and the lane is still held, when that is not so. */
EI_JOB_CODE EINET_RT bool ei_gate_release_alone(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns);

#endif
