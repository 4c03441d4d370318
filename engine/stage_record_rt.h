/* What a job's thread notes of its stages and blocks, for the records that tell of them (metrics/record.h): when the
 * stage could begin, when it began, and how much processor time its thread had used.
 *
 *   job ready --ready--> stage 0 starts .. ends --ready--> stage 1 starts (a network: it has its lane) .. ends
 *
 * The live engine and the virtual one fill the mark and build the records here; each pushes them its own way, and
 * only when the run's is_recording_stages says that an output wants them. Owner: whoever runs the job. Real-time safe.
 */
#ifndef ENGINE_STAGE_RECORD_RT_H
#define ENGINE_STAGE_RECORD_RT_H

#include "engine/rehearsal_rt.h"
#include "metrics/record.h"
#include "planner/elastic.h"

#include <einet/attributes.h>
#include <stdint.h>

struct ei_job_slot;

/* Of a job slot: the stage that runs, or is next. */
struct ei_stage_mark {
    int64_t ready_ns, start_ns;
    int64_t used_ns;  /* processor time of the thread when the stage before it was over */
    int64_t ended_ns; /* live: of a network whose record comes with the end of its job; 0 = of none */
};

/* Where and how a stage ended. */
struct ei_stage_end {
    int64_t end_ns;
    int64_t used_ns; /* processor time of the thread */
    int32_t cpu;     /* -1 = unknown */
};

/* The record of the slot's stage, which is over; the stage after it is ready from then on. */
EINET_RT struct ei_record ei_stage_record_make(struct ei_job_slot *slot, int32_t stage_idx, struct ei_stage_end end);

/* The record of a block of the slot's network, which is over; the job still has its lane. */
EINET_RT struct ei_record ei_block_record_make(const struct ei_job_slot *slot, struct ei_step step, int64_t start_ns,
                                               int64_t end_ns, float confidence);

/* Live: a stage is over, or a block: push its record. Guard not held. */
EI_JOB_CODE EINET_RT void ei_stage_record_push(struct ei_job_slot *slot, int32_t stage_idx, int64_t end_ns,
                                               int64_t used_ns);
EI_JOB_CODE EINET_RT void ei_block_record_push(struct ei_job_slot *slot, struct ei_step step, int64_t start_ns,
                                               int64_t end_ns, float confidence);

#endif
