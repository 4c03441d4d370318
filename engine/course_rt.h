/* The course of one job as decisions without a clock: what its record says, which block of its network is next, whether
 * it goes on at a boundary. The live engine feeds it real time and real blocks, the virtual engine modelled ones; both
 * decide by this code, by scheduler/ and by planner/.
 *
 *     begin --> [ conv_done | branch_done ] --> look, pass --> ... --> end
 *                        ^                         |  YIELD: lane away, then back
 *                        +-------------------------+
 *
 * On a device a part may run in pieces, with a boundary behind each: piece_done comes before conv_done and branch_done.
 *
 * Times are absolute, on the engine's clock. Owner: whoever runs the job. Real-time safe.
 */
#ifndef ENGINE_COURSE_RT_H
#define ENGINE_COURSE_RT_H

#include "engine/rehearsal_rt.h"
#include "metrics/record.h"
#include "planner/elastic.h"
#include "scheduler/boundary.h"
#include "scheduler/release.h"
#include "stages/answer.h"

struct ei_job_slot;
struct ei_live_task;
struct ei_task_settings;

/* The stage that runs, against its budget and timeout. */
struct ei_stage_use {
    int32_t stage_idx;
    int64_t ready_ns; /* it began, or asked for its lane */
    int64_t used_ns;  /* processor time so far; the engine adds to it */
};

struct ei_course {
    struct ei_step step;    /* that is due */
    bool is_preempted;      /* stopping because a higher job waits */
    bool is_aborted;        /* on_deadline: abort */
    int64_t since_point_ns; /* p99 times of the blocks since the last preemption point */
    int64_t block_start_ns; /* of the block that ran last; set by the engine */
    /* Pieces that are done of the next conv part, and of the branch before it. */
    int32_t conv_pieces, branch_pieces;
};

/* ---- the whole job ---- */

/* The job of the slot's record begins, or has ended: the watchdog sees it, others plan with it, and a demoted task asks
 * for lanes as the lowest of all. */
EI_JOB_CODE EINET_RT void ei_course_job_begin(struct ei_job_slot *slot);
EI_JOB_CODE EINET_RT void ei_course_job_end(struct ei_job_slot *slot);

/* Whether jobs of the task are real-time load: of class fifo (or fallen back to it), and not demoted. Class deadline
 * has its own bandwidth, and a job of it that is throttled is no load. */
EINET_RT bool ei_course_is_real_time(const struct ei_live_task *task);

/* The priority of the task's threads as the run starts: its task's, its fallback when SCHED_DEADLINE was refused, 0
 * when it was demoted. */
EINET_RT int32_t ei_course_priority(const struct ei_live_task *task);

/* That of the slot's job, by its own settings. Thread: the slot's. */
EINET_RT int32_t ei_course_job_priority(const struct ei_job_slot *slot);

/* The deadline by which the job asks for lanes: a demoted task's has none there. */
EINET_RT int64_t ei_course_lane_deadline_ns(const struct ei_job_slot *slot);

/* Jobs of the task that are under way, and the nominal release of the oldest of them (when there is one) and of the
 * newest that has begun (INT64_MIN = none has). Thread: any. */
struct ei_task_progress;
EINET_RT int64_t ei_course_under_way(const struct ei_task_progress *progress, int64_t *out_oldest_ns);
EINET_RT int64_t ei_course_newest_ns(const struct ei_task_progress *progress);

/* A record of a release about which nothing is known yet, with the task's present priority and deadline. */
EINET_RT struct ei_job_record ei_job_record_blank(const struct ei_live_task *task, struct ei_release release);

/* The job begins, with the priority and the deadline that hold for it. */
EINET_RT void ei_job_record_begin(struct ei_job_record *record, const struct ei_task_settings *settings);

/* Fill in how the job ended at finish_ns; rc < 0: a stage failed. */
EI_JOB_CODE EINET_RT void ei_job_record_finish(struct ei_job_record *record, int rc, int64_t finish_ns);

/* ---- its stages ---- */

EINET_RT void ei_course_stage_begin(struct ei_job_slot *slot, int32_t stage_idx, int64_t now_ns);

/* The stage is over (ei_course_end says so of a network's): note an overrun in the record. False: the job is aborted.
 */
EINET_RT bool ei_course_stage_end(struct ei_job_slot *slot, int64_t now_ns);

/* ---- its network ---- */

/* The job holds the lane: make the first plan. Returns 0, or what ei_elastic_begin returns. */
EINET_RT int ei_course_begin(struct ei_job_slot *slot, struct ei_course *course, int64_t now_ns);

/* The piece of the step that is due, and how long it takes (p99). */
EINET_RT int32_t ei_course_piece(const struct ei_course *course);
EINET_RT int64_t ei_course_piece_ns(const struct ei_job_slot *slot, const struct ei_course *course);

/* It is done. True: the part goes on with its next one, after this boundary. False: the part is done, and conv_done or
 * branch_done says so. */
EI_JOB_CODE EINET_RT bool ei_course_piece_done(struct ei_job_slot *slot, struct ei_course *course);

/* The confidence in the record of a conv part, or of a piece that is not the last of its branch: none. */
EINET_RT float ei_course_unanswered(const struct ei_course *course);

/* Conv part k is done. Returns 0 or -EINVAL. */
EINET_RT int ei_course_conv_done(struct ei_job_slot *slot, struct ei_course *course, int32_t k);

/* The record takes note of a published answer. */
EINET_RT void ei_course_note_answer(struct ei_job_record *record, const struct ei_answer *answer);

/* Branch k is done and its answer published; plans anew unless the engine does that elsewhere. Returns 0 or -EINVAL. */
EINET_RT int ei_course_branch_done(struct ei_job_slot *slot, struct ei_course *course, int32_t k, float confidence,
                                   int64_t now_ns);

/* What is true at this boundary, as far as the job itself knows: the engine adds is_cancelled, is_higher_waiting and,
 * when the job has an answer and a next one is due, is_load_capped. */
EINET_RT struct ei_boundary ei_course_look(const struct ei_job_slot *slot, const struct ei_course *course,
                                           int64_t now_ns);

/* Decide, and let the plan follow. YIELD: the engine passes the lane on, waits for it, and calls ei_course_back. */
EINET_RT enum ei_boundary_action ei_course_pass(struct ei_job_slot *slot, struct ei_course *course,
                                                const struct ei_boundary *boundary);

/* The lane went to next_task_idx and is back. */
EINET_RT void ei_course_back(struct ei_job_slot *slot, struct ei_course *course, int32_t next_task_idx, int64_t now_ns);

/* The device was lost, and the job is on another lane, where it begins with the first conv part. */
EINET_RT void ei_course_moved(struct ei_job_slot *slot, struct ei_course *course, int64_t now_ns);

/* The network part ended and its lane was passed to next_task_idx (EI_LANE_NOBODY: nobody waited): complete the record
 * and learn from the exit time. ended_ns: when the last block was over. */
EI_JOB_CODE EINET_RT void ei_course_end(struct ei_job_slot *slot, const struct ei_course *course, int32_t next_task_idx,
                                        int64_t ended_ns, int64_t now_ns);

#endif
