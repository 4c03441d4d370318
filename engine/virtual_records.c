/* What a virtual run records, in the order of virtual time: to the collector, to whoever listens, and of jobs to the
 * tasks that come after. Thread: the engine's own.
 */
#include "engine/virtual_state.h"

static void push(struct virtual_run *v, const struct ei_record *record)
{
    ei_collector_add(v->collector, record);
    if (v->options->on_record != NULL) {
        v->options->on_record(v->options->context, record);
    }
}

static void emit(void *context, const struct ei_job_record *job)
{
    const struct ei_record record = {.kind = EI_RECORD_JOB, .u.job = *job};
    push(context, &record);
}

void ei_virtual_push_job(struct virtual_run *v, struct ei_live_task *task, const struct ei_job_record *job)
{
    emit(v, job);
    ei_chain_post(task, job, emit, v);
}

void ei_virtual_record_unrun(struct virtual_run *v, struct ei_live_task *task, struct ei_release release,
                             uint8_t outcome, uint8_t cause)
{
    struct ei_job_record record = ei_job_record_blank(task, release);
    record.outcome = outcome;
    record.cause = cause;
    ei_virtual_push_job(v, task, &record);
}

void ei_virtual_push_preemption(struct virtual_run *v, const struct virtual_slot *vs)
{
    const struct ei_gate_seat *seat = &vs->slot->seat;
    const struct ei_record record = {
        .kind = EI_RECORD_PREEMPTION,
        .u.preemption = {.victim_task_idx = seat->victim_task_idx,
                         .preemptor_task_idx = vs->slot->task->idx,
                         .victim_job_idx = seat->victim_job_idx,
                         .preemptor_job_idx = vs->slot->record.job_idx,
                         .request_ns = seat->request_ns,
                         .block_end_ns = seat->granted_ns,
                         .first_block_ns = v->cpus.now_ns},
    };
    push(v, &record);
}

void ei_virtual_push_stage(struct virtual_run *v, const struct virtual_slot *vs, int32_t stage_idx)
{
    struct ei_job_slot *slot = vs->slot;
    if (v->run.is_recording_stages) {
        const struct ei_stage_end end = {.end_ns = v->cpus.now_ns,
                                         .used_ns = ei_virtual_used_ns(&v->cpus, slot->idx),
                                         .cpu = v->cpus.threads[slot->idx].cpu};
        const struct ei_record record = ei_stage_record_make(slot, stage_idx, end);
        push(v, &record);
    }
}

void ei_virtual_push_block(struct virtual_run *v, const struct virtual_slot *vs, float confidence)
{
    if (v->run.is_recording_stages) {
        const struct ei_record record =
            ei_block_record_make(vs->slot, vs->course.step, vs->course.block_start_ns, v->cpus.now_ns, confidence);
        push(v, &record);
    }
}
