/* See stage_record_rt.h. */
#include "engine/stage_record_rt.h"

#include "engine/run_state.h"

#include <sched.h>

/* Where the network of the slot's job runs. */
static int32_t lane_of(const struct ei_live_task *task)
{
    const struct ei_task_network *nn = &task->nn;
    if (nn->is_gated && nn->gate != NULL) {
        return (int32_t)(nn->gate - task->run->gates);
    }
    return ei_task_is_on_spare(task) ? nn->spare.lane_idx : nn->lane_idx;
}

struct ei_record ei_stage_record_make(struct ei_job_slot *slot, int32_t stage_idx, struct ei_stage_end end)
{
    struct ei_stage_mark *mark = &slot->mark;
    const int64_t length_ns = end.end_ns - mark->ready_ns, used_ns = end.used_ns - mark->used_ns;
    const struct ei_record record = {
        .kind = EI_RECORD_STAGE,
        .u.stage = {.task_idx = slot->task->idx,
                    .stage_idx = stage_idx,
                    .cpu = end.cpu,
                    .job_idx = slot->record.job_idx,
                    .ready_ns = mark->ready_ns,
                    .start_ns = mark->start_ns,
                    .end_ns = end.end_ns,
                    /* the clocks are read one after the other */
                    .cpu_ns = used_ns < length_ns ? used_ns : length_ns},
    };
    *mark = (struct ei_stage_mark){.ready_ns = end.end_ns, .used_ns = end.used_ns};
    return record;
}

struct ei_record ei_block_record_make(const struct ei_job_slot *slot, struct ei_step step, int64_t start_ns,
                                      int64_t end_ns, float confidence)
{
    return (struct ei_record){
        .kind = EI_RECORD_BLOCK,
        .u.block = {.task_idx = slot->task->idx,
                    .stage_idx = slot->stage.stage_idx,
                    .lane_idx = lane_of(slot->task),
                    .block_idx = step.idx,
                    .is_branch = step.kind == EI_STEP_BRANCH,
                    .confidence = confidence,
                    .job_idx = slot->record.job_idx,
                    .start_ns = start_ns,
                    .end_ns = end_ns},
    };
}

void ei_stage_record_push(struct ei_job_slot *slot, int32_t stage_idx, int64_t end_ns, int64_t used_ns)
{
    const struct ei_stage_end end = {.end_ns = end_ns, .used_ns = used_ns, .cpu = sched_getcpu()};
    const struct ei_record record = ei_stage_record_make(slot, stage_idx, end);
    ei_slots_record(slot->task, &record);
}

void ei_block_record_push(struct ei_job_slot *slot, struct ei_step step, int64_t start_ns, int64_t end_ns,
                          float confidence)
{
    const struct ei_record record = ei_block_record_make(slot, step, start_ns, end_ns, confidence);
    ei_slots_record(slot->task, &record);
}
