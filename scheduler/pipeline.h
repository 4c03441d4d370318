/* Jobs of one task in flight together (`overlap`): the stages are served in the order of the jobs.
 *
 *     join --> [ enter stage 0 --> pass ] --> ... --> enter the last stage --> leave
 *                    \                                                         ^
 *                     +---- ends early: enter the end -------------------------+
 *
 * A job has a place, from 0 in the order in which the jobs joined. It may enter a stage when the job before it has
 * passed that stage or left; the end is one more stage that nobody enters before the job before it has left. So jobs
 * leave in order, also those that end early. The last stage is passed by leaving.
 * Pure; the engine holds a lock around every call. Real-time safe.
 */
#ifndef SCHEDULER_PIPELINE_H
#define SCHEDULER_PIPELINE_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_PIPELINE_JOBS_MAX 8
#define EI_PIPELINE_STAGES_MAX 16

struct ei_pipeline {
    int32_t stage_count;
    int64_t joined;                             /* jobs so far, and the place of the next one */
    int64_t passed[EI_PIPELINE_STAGES_MAX + 1]; /* jobs that are past each stage; [stage_count]: that have left */
    int32_t awaited[EI_PIPELINE_JOBS_MAX];      /* by place modulo: the stage that the job waits for, -1 = none */
};

/* stage_count: 1..EI_PIPELINE_STAGES_MAX. */
void ei_pipeline_init(struct ei_pipeline *pipeline, int32_t stage_count);

/* A job starts; at most EI_PIPELINE_JOBS_MAX are in flight. Returns its place. */
EINET_RT int64_t ei_pipeline_join(struct ei_pipeline *pipeline);

/* The job wants to begin a stage, or (stage_count) to end. False: it waits until pass or leave of the one before it
 * returns true. */
EINET_RT bool ei_pipeline_enter(struct ei_pipeline *pipeline, int64_t place, int32_t stage);

/* The job is past a stage that is not its last. True: the next job waited for it and enters it now. */
EINET_RT bool ei_pipeline_pass(struct ei_pipeline *pipeline, int64_t place, int32_t stage);

/* The job, which has entered the end, is over. True: the next job waited and enters what it waited for. */
EINET_RT bool ei_pipeline_leave(struct ei_pipeline *pipeline, int64_t place);

#endif
