/* The jobs of a live task that are in flight together, in their order (scheduler/pipeline.h), each in the thread of its
 * slot. One slot without a job leads: it waits for the next release, which becomes its job, and another slot without a
 * job leads then; when there is none, the first that has none again.
 *
 *   slot A  leads ... release: joins, calls B | stage 0 | stage 1 ........ | leaves, nobody leads: leads ...
 *   slot B  sleeps                            | leads ... release: joins, nobody to call | waits for stage 0 | ...
 *
 * The leader may be late, when its CPU runs another job of the task: a slot whose job ends accounts what was released
 * until then, and may so give the leader its job. What the slots of a task share (releases, pipeline, record ring,
 * inboxes) is under the task's guard, a priority-inheriting lock that is held for decisions only. A task of one slot
 * takes no lock. Real-time safe.
 */
#ifndef ENGINE_SLOTS_RT_H
#define ENGINE_SLOTS_RT_H

#include "engine/rehearsal_rt.h"
#include "metrics/record.h"
#include "rt/handoff.h"
#include "scheduler/pipeline.h"
#include "scheduler/release.h"

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_job_slot;
struct ei_live_task;

/* Of a task; under the guard. */
struct ei_slots {
    struct ei_handoff_guard guard;
    bool has_guard;
    struct ei_job_slot *in_flight[EI_PIPELINE_JOBS_MAX]; /* by place modulo */
    struct ei_job_slot *leader;                          /* NULL: every slot has a job */
    bool is_closing;                                     /* the leader takes no more releases */
    bool is_closer_waiting;                              /* it waits for the last job in flight */
    bool is_over;                                        /* nobody leads any more */
};

/* Of a slot; under the guard, but for `leads`, which is its thread's alone. */
struct ei_slot_turn {
    bool leads;
    bool is_idle;          /* no job, and does not lead */
    struct ei_waiter call; /* granted when it is to lead, when the task is over, and to a closer */
    bool has_job;          /* given to it, and not begun */
    struct ei_release job;
    int64_t place;          /* of its job */
    bool is_held_up;        /* the job waits for its first stage */
    struct ei_waiter stage; /* granted when the stage that the job waits for is free */
    int64_t stage_ns;       /* when that was */
};

/* Before the threads start: the first slot leads. Returns 0 or the lock's error. */
int ei_slots_init(struct ei_live_task *task, struct einet_error *err);
void ei_slots_fini(struct ei_live_task *task);

EI_JOB_CODE EINET_RT void ei_slots_lock(struct ei_live_task *task);
EI_JOB_CODE EINET_RT void ei_slots_unlock(struct ei_live_task *task);

/* Push a record of the task. Guard not held. */
EI_JOB_CODE EINET_RT void ei_slots_record(struct ei_live_task *task, const struct ei_record *record);

/* ---- who leads ---- */

/* Sleep until this slot leads; false: the task is over. Guard not held. */
EINET_RT bool ei_slots_await_lead(struct ei_job_slot *slot);

/* A release starts: it is the leader's job, which could run since ready_ns, and another slot leads. Guard held. */
EINET_RT void ei_slots_begin(struct ei_live_task *task, struct ei_release job, int64_t ready_ns);

/* Take the job that the slot was given; false: it was given none. Guard held. */
EINET_RT bool ei_slots_take(struct ei_job_slot *slot, struct ei_release *out_job);

/* The slot has the next job without having led. Guard held. */
EINET_RT void ei_slots_join(struct ei_job_slot *slot);

/* The slot has no job any more: it leads or sleeps. is_last: none is in flight. Guard held. */
EINET_RT void ei_slots_end(struct ei_job_slot *slot, bool is_last);

/* The leader takes no more releases: wait for the jobs in flight, if there are any. Guard held, also afterwards. */
EINET_RT void ei_slots_await_last(struct ei_job_slot *slot, bool is_last);

/* After that: the other slots' threads end. Guard not held. */
EINET_RT void ei_slots_close(struct ei_live_task *task);

/* ---- the order of the jobs ---- */

/* A job that has not begun waits for its first stage. True: it did, until turn.stage_ns. Guard not held. */
EINET_RT bool ei_slots_await_first_stage(struct ei_job_slot *slot);

/* A job that runs wants to begin a stage, or (stage_count) to end. Guard not held. */
EI_JOB_CODE EINET_RT void ei_slots_enter_stage(struct ei_job_slot *slot, int32_t stage);

/* A job that has not run wants to end. Guard not held. */
EINET_RT void ei_slots_enter_end_unrun(struct ei_job_slot *slot);

/* The job is past the stage, which is not its last. Guard not held. */
EI_JOB_CODE EINET_RT void ei_slots_pass_stage(struct ei_job_slot *slot, int32_t stage);

/* The job, which may end, is recorded. Guard held. */
EI_JOB_CODE EINET_RT void ei_slots_leave(struct ei_job_slot *slot);

#endif
