/* What a job does at a block boundary: go on, give the lane away and come back, or stop with the answer it has.
 *
 * A boundary is the point after each conv part and after each branch, or after each piece of one where they are cut.
 * The rules, in this order:
 *   1. cancelled                          -> stop
 *   2. deadline passed                    -> on_deadline: exit stops, abort aborts, finish goes on
 *   3. stage over its budget or timeout   -> on_overrun: exit stops, abort aborts, finish goes on
 *   4. next answer would be late          -> on_deadline: exit stops when an answer is there
 *   5. next answer would pass the budget  -> on_overrun: exit stops when an answer is there
 *   6. real-time load at its cap          -> stops when an answer is there
 *   7. a job that goes before waits       -> on_preempt: exit stops; resume and restart give the lane away and come
 *                                            back; elastic does so when its next answer would still be there by the
 *                                            deadline, else it stops; none goes on, and so does a job that lost the
 *                                            lane max_preemptions times
 * Rule 7 holds at preemption points: with max_blocking a boundary is one only when the next block would make the time
 * since the last point longer than that, so that short blocks run together. "Stop" before the first answer depends on
 * first_exit. Mandatory: the nearest exit is computed, then the job stops (the elastic stepper does that); when a
 * higher job waits and on_preempt is not none, the lane is given away first and taken back for it. Optional: the job
 * stops at once and delivers no answer. A block in flight is never aborted, so a waiting job is blocked for at most one
 * block.
 *
 * Pure and real-time safe; any thread.
 */
#ifndef SCHEDULER_BOUNDARY_H
#define SCHEDULER_BOUNDARY_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

enum ei_on_preempt {
    EI_PREEMPT_EXIT,
    EI_PREEMPT_RESUME,
    EI_PREEMPT_ELASTIC,
    EI_PREEMPT_RESTART, /* as RESUME here; who runs the blocks begins with the first one again */
    EI_PREEMPT_NONE
};
enum ei_on_deadline { EI_DEADLINE_EXIT, EI_DEADLINE_FINISH, EI_DEADLINE_ABORT };

enum ei_on_overrun { EI_OVERRUN_FINISH, EI_OVERRUN_EXIT, EI_OVERRUN_ABORT };

struct ei_boundary_policy {
    enum ei_on_preempt on_preempt;
    enum ei_on_deadline on_deadline;
    bool is_first_exit_mandatory;
    int32_t max_preemptions; /* 0 = any number */
    int64_t max_blocking_ns; /* 0 = every boundary is a preemption point */
    enum ei_on_overrun on_overrun;
};

/* What is true at this boundary. */
struct ei_boundary {
    int64_t now_ns;
    int64_t deadline_ns;    /* absolute; INT64_MAX = none */
    int64_t next_answer_ns; /* predicted time until the next planned answer; 0 when nothing more is planned */
    int64_t after_ns;       /* predicted time of what follows the network (post-processing) */
    int64_t budget_left_ns; /* of the stage's budget or timeout, the less; < 0 = over; INT64_MAX = it has neither */
    bool has_answer;        /* an exit of this job is published */
    bool is_cancelled;
    bool is_load_capped; /* computing the next planned answer would pass the cap of the CPU's real-time load */
    bool is_higher_waiting;
    int32_t preemptions;    /* times this job gave the lane away */
    int64_t since_point_ns; /* predicted time of the blocks since the last preemption point or since the lane came */
    int64_t next_block_ns;  /* predicted time of the block that is due */
    /* ELASTIC with a deadline: predicted time until the job would be over, with its next planned answer, if it gave the
     * lane away now and came back; INT64_MAX = not in sight */
    int64_t resumed_finish_ns;
};

enum ei_boundary_action {
    EI_BOUNDARY_GO_ON,
    EI_BOUNDARY_YIELD, /* hand the lane over, wait for it, go on */
    EI_BOUNDARY_STOP,  /* no more than the first answer, if that is mandatory and missing */
    EI_BOUNDARY_ABORT  /* end without delivering */
};

enum ei_boundary_reason {
    EI_REASON_NONE,
    EI_REASON_CANCELLED,
    EI_REASON_DEADLINE,
    EI_REASON_OVERRUN,
    EI_REASON_LOAD,
    EI_REASON_PREEMPTED
};

struct ei_boundary_verdict {
    enum ei_boundary_action action;
    enum ei_boundary_reason reason;
    bool is_stop_after_yield; /* with YIELD: the job comes back only to compute its first answer */
    bool is_lane_passed_on;   /* with STOP: a higher job waits, so this stop is a preemption of the lane too */
};

/* Whether this boundary is a preemption point. */
EINET_RT bool ei_boundary_is_point(const struct ei_boundary_policy *policy, const struct ei_boundary *boundary);

EINET_RT struct ei_boundary_verdict ei_boundary_decide(const struct ei_boundary_policy *policy,
                                                       const struct ei_boundary *boundary);

#endif
