/* dds_out: what became of the images, to the writers. See bridge.h. */
#include "adapters/dds/bridge.h"
#include "adapters/dds/pool/member.h"

#include <stdio.h>

void ei_dds_post(struct einet_dds *dds, const struct ei_dds_record *record)
{
    if (!ei_mpsc_ring_push(&dds->ring, record)) {
        atomic_fetch_add(&dds->lost, 1);
        return;
    }
    ei_bell_ring(&dds->bell);
}

static void count_write(struct ei_dds_task *task, dds_return_t rc, atomic_int_least64_t *written)
{
    atomic_fetch_add(rc == DDS_RETCODE_OK ? written : &task->failed_writes, 1);
}

static builtin_interfaces_msg_dds__Time_ stamp_of(uint64_t tag)
{
    return (builtin_interfaces_msg_dds__Time_){.sec = (int32_t)(tag >> 32),
                                               .nanosec = (uint32_t)(tag & UINT32_MAX) >> 2};
}

void ei_dds_fill_classification(struct ei_dds_task *task, const struct einet_result *result,
                                struct ei_dds_hypotheses *hypotheses,
                                struct vision_msgs_msg_dds__Classification_ *out_message)
{
    const struct einet_answer *answer = &result->answer;
    for (int32_t i = 0; i < answer->top_count; i++) {
        char *name = hypotheses->classes[i];
        (void)snprintf(name, sizeof hypotheses->classes[i], "%d", answer->top_class[i]);
        hypotheses->list[i] =
            (vision_msgs_msg_dds__ObjectHypothesis_){.class_id = name, .score = (double)answer->top_p[i]};
    }
    *out_message = (vision_msgs_msg_dds__Classification_){
        .header = {.stamp = stamp_of(result->tag), .frame_id = task->dds->tasks[task->head].frame_ids[result->tag & 3]},
        .results = {._maximum = (uint32_t)answer->top_count,
                    ._length = (uint32_t)answer->top_count,
                    ._buffer = hypotheses->list},
    };
}

/* What is not known, as it is of an image that was not released. */
static einet_msgs_msg_dds__InferenceStatus_ blank_status(int32_t task_idx, uint64_t tag)
{
    return (einet_msgs_msg_dds__InferenceStatus_){
        .stamp = stamp_of(tag),
        .job_idx = -1,
        .task_idx = task_idx,
        .outcome = EI_DDS_OUTCOME_TURNED_AWAY,
        .cause = EINET_CAUSE_QUEUE,
        .is_final = true,
        .exit_idx = -1,
        .planned_exit_idx = -1,
        .label = -1,
    };
}

static void fill_result(const struct einet_result *result, einet_msgs_msg_dds__InferenceStatus_ *out_message)
{
    const bool is_answered = (result->flags & EINET_RESULT_ANSWERED) != 0;
    *out_message = (einet_msgs_msg_dds__InferenceStatus_){
        .stamp = stamp_of(result->tag),
        .job_idx = result->job_idx,
        .task_idx = result->task_idx,
        .outcome = (uint8_t)result->outcome,
        .cause = (uint8_t)result->cause,
        .answered = is_answered,
        .deadline_met = (result->flags & EINET_RESULT_DEADLINE_MET) != 0,
        .preempted = (result->flags & EINET_RESULT_PREEMPTED) != 0,
        .plan_done = result->outcome == EINET_JOB_COMPLETED && result->cause == EINET_CAUSE_PLAN_DONE,
        .is_final = true,
        .exit_idx = is_answered ? result->answer.exit_idx : -1,
        .exits_total = result->answer.exits_total,
        .planned_exit_idx = result->planned_exit,
        .label = is_answered ? result->answer.label : -1,
        .confidence = result->answer.confidence,
        .blocks_done = result->blocks_done,
        .preemptions = result->preemptions,
        .release_ns = result->release_ns,
        .start_ns = result->start_ns,
        .finish_ns = result->finish_ns,
        .deadline_ns = result->deadline_ns,
        .lane_busy_ns = result->lane_busy_ns,
    };
}

void ei_dds_fill_status(const struct ei_dds_record *record, struct einet_msgs_msg_dds__InferenceStatus_ *out_message)
{
    if (record->kind == EI_DDS_TURNED_AWAY) {
        *out_message = blank_status(record->result.task_idx, record->result.tag);
    } else if (record->kind == EI_DDS_UPSTREAM) { /* as of a task behind another one in a run */
        *out_message = blank_status(record->result.task_idx, record->result.tag);
        out_message->outcome = EINET_JOB_SKIPPED;
        out_message->cause = EINET_CAUSE_UPSTREAM;
    } else {
        fill_result(&record->result, out_message);
    }
}

static void write_classification(struct ei_dds_task *task, const struct einet_result *result)
{
    struct ei_dds_hypotheses hypotheses;
    vision_msgs_msg_dds__Classification_ message;
    ei_dds_fill_classification(task, result, &hypotheses, &message);
    count_write(task, dds_write(task->classifications, &message), &task->classified);
}

static void write_status(struct ei_dds_task *task, const struct ei_dds_record *record)
{
    einet_msgs_msg_dds__InferenceStatus_ message;
    ei_dds_fill_status(record, &message);
    count_write(task, dds_write(task->statuses, &message), &task->reported);
}

/* Of an answer that a job has while it goes on: what will have become of the job is not known. */
static void write_partial(struct ei_dds_task *task, const struct einet_answer *answer)
{
    einet_msgs_msg_dds__InferenceStatus_ message = blank_status(answer->task_idx, answer->tag);
    const int64_t relative_ns = atomic_load(&task->deadline_ns);
    const int64_t deadline_ns = relative_ns > 0 ? answer->release_ns + relative_ns : INT64_MAX;
    message.job_idx = answer->job_idx;
    message.outcome = EI_DDS_OUTCOME_UNDER_WAY;
    message.cause = 0;
    message.answered = true;
    message.deadline_met = answer->published_ns <= deadline_ns;
    message.is_final = answer->is_final != 0;
    message.exit_idx = answer->exit_idx;
    message.exits_total = answer->exits_total;
    message.label = answer->label;
    message.confidence = answer->confidence;
    message.release_ns = answer->release_ns;
    message.finish_ns = answer->published_ns;
    message.deadline_ns = deadline_ns;
    if (task->dds->pool != NULL) {
        ei_pool_write_partial(task->dds->pool, (int32_t)(task - task->dds->tasks), &message);
        return;
    }
    count_write(task, dds_write(task->partials, &message), &task->partial_count);
}

/* What became of an image in one task, to the robot, or to the pool that answers it. */
static void tell(struct ei_dds_task *task, const struct ei_dds_record *record)
{
    if (task->dds->pool != NULL) {
        ei_pool_write(task->dds->pool, record);
        return;
    }
    if (task->classifications > 0 && (record->result.flags & EINET_RESULT_ANSWERED) != 0) {
        write_classification(task, &record->result);
    }
    if (task->statuses > 0) {
        write_status(task, record);
    }
}

/* An image that was not released comes to none of the tasks behind the first either. */
static void tell_unreleased(struct einet_dds *dds, const struct ei_dds_record *record)
{
    static const struct einet_result skipped = {.outcome = EINET_JOB_SKIPPED, .cause = EINET_CAUSE_UPSTREAM};
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        struct ei_dds_record told = *record;
        told.slot = slot;
        told.result.task_idx = dds->tasks[slot].task_idx;
        if (dds->tasks[slot].head == record->slot) {
            tell(&dds->tasks[slot], &told);
            if (record->kind == EI_DDS_TURNED_AWAY) {
                ei_dds_note_turned_away(&dds->tasks[slot]);
            } else {
                ei_dds_note_result(&dds->tasks[slot], &skipped);
            }
        }
    }
}

void ei_dds_write_record(struct einet_dds *dds, const struct ei_dds_record *record)
{
    struct ei_dds_task *task = &dds->tasks[record->slot];
    switch ((enum ei_dds_record_kind)record->kind) {
    case EI_DDS_RESULT:
        tell(task, record);
        ei_dds_note_result(task, &record->result);
        break;
    case EI_DDS_TURNED_AWAY:
    case EI_DDS_UPSTREAM:
        tell_unreleased(dds, record);
        break;
    case EI_DDS_PARTIAL:
        write_partial(task, &record->result.answer);
        break;
    }
}

static void write_all(struct einet_dds *dds)
{
    struct ei_dds_record record;
    while (ei_mpsc_ring_pop(&dds->ring, &record)) {
        ei_dds_write_record(dds, &record);
    }
}

void ei_dds_write_results(void *arg)
{
    struct einet_dds *dds = arg;
    while (!atomic_load(&dds->is_out_ending)) {
        const unsigned seen = ei_bell_count(&dds->bell);
        write_all(dds);
        ei_dds_diagnose(dds);
        if (!atomic_load(&dds->is_out_ending)) {
            ei_bell_wait_until(&dds->bell, seen, dds->next_look_ns);
        }
    }
    write_all(dds); /* what came before the end */
    ei_dds_diagnose(dds);
}
