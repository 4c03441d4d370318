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
        .header = {.stamp = stamp_of(result->tag), .frame_id = task->frame_ids[result->tag & 3]},
        .results = {._maximum = (uint32_t)answer->top_count,
                    ._length = (uint32_t)answer->top_count,
                    ._buffer = hypotheses->list},
    };
}

void ei_dds_fill_status(const struct ei_dds_task *task, const struct ei_dds_record *record,
                        struct einet_msgs_msg_dds__InferenceStatus_ *out_message)
{
    const struct einet_result *result = &record->result;
    const bool is_answered = (result->flags & EINET_RESULT_ANSWERED) != 0;
    *out_message = (einet_msgs_msg_dds__InferenceStatus_){
        .stamp = stamp_of(result->tag),
        .job_idx = -1,
        .task_idx = task->task_idx,
        .outcome = EI_DDS_OUTCOME_TURNED_AWAY,
        .cause = EINET_CAUSE_QUEUE,
        .exit_idx = -1,
        .planned_exit_idx = -1,
        .label = -1,
    };
    if (!record->is_turned_away) {
        *out_message = (einet_msgs_msg_dds__InferenceStatus_){
            .stamp = stamp_of(result->tag),
            .job_idx = result->job_idx,
            .task_idx = task->task_idx,
            .outcome = (uint8_t)result->outcome,
            .cause = (uint8_t)result->cause,
            .answered = is_answered,
            .deadline_met = (result->flags & EINET_RESULT_DEADLINE_MET) != 0,
            .preempted = (result->flags & EINET_RESULT_PREEMPTED) != 0,
            .plan_done = result->outcome == EINET_JOB_COMPLETED && result->cause == EINET_CAUSE_PLAN_DONE,
            .exit_idx = is_answered ? result->answer.exit_idx : -1,
            .exits_total = result->answer.exits_total,
            .planned_exit_idx = result->planned_exit,
            .label = is_answered ? result->answer.label : -1,
            .confidence = result->answer.confidence,
            .preemptions = result->preemptions,
            .release_ns = result->release_ns,
            .start_ns = result->start_ns,
            .finish_ns = result->finish_ns,
            .deadline_ns = result->deadline_ns,
            .lane_busy_ns = result->lane_busy_ns,
        };
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
    ei_dds_fill_status(task, record, &message);
    count_write(task, dds_write(task->statuses, &message), &task->reported);
}

void ei_dds_write_record(struct einet_dds *dds, const struct ei_dds_record *record)
{
    struct ei_dds_task *task = &dds->tasks[record->slot];
    if (dds->pool != NULL) {
        ei_pool_write(dds->pool, record);
        return;
    }
    if ((record->result.flags & EINET_RESULT_ANSWERED) != 0) {
        write_classification(task, &record->result);
    }
    write_status(task, record);
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
        if (!atomic_load(&dds->is_out_ending)) {
            ei_bell_wait(&dds->bell, seen);
        }
    }
    write_all(dds); /* what came before the end */
}
