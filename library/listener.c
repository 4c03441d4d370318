/* The callback thread: events of the tap, one after the other, as the interface has them. */
#include "library/run.h"

#include "rt/topology.h"

#include <string.h>

_Static_assert(EINET_TOP_MAX == EI_ANSWER_TOP, "both know as many classes");
_Static_assert((int)EINET_JOB_DROPPED == (int)EI_JOB_DROPPED && (int)EINET_JOB_SKIPPED == (int)EI_JOB_SKIPPED &&
                   (int)EINET_JOB_ABORTED == (int)EI_JOB_ABORTED,
               "outcomes are handed through");
_Static_assert((int)EINET_CAUSE_OVERRUN == (int)EI_CAUSE_OVERRUN &&
                   (int)EINET_CAUSE_CANCELLED == (int)EI_CAUSE_CANCELLED &&
                   (int)EINET_CAUSE_FAULT == (int)EI_CAUSE_FAULT,
               "causes are handed through");

EINET_RT void ei_listener_convert(const struct ei_answer *from, struct einet_answer *out)
{
    *out = (struct einet_answer){
        .size_bytes = sizeof *out,
        .tag = from->tag,
        .job_idx = from->job_idx,
        .release_ns = from->release_ns,
        .published_ns = from->published_ns,
        .task_idx = from->task_idx,
        .exit_idx = from->exit_idx,
        .exits_total = from->exits_total,
        .is_final = from->is_final,
        .label = from->label,
        .confidence = from->confidence,
        .top_count = from->top_count,
    };
    memcpy(out->top_class, from->top_class, sizeof out->top_class);
    memcpy(out->top_p, from->top_p, sizeof out->top_p);
}

EINET_RT void ei_listener_describe_job(const struct einet_run *run, const struct ei_job_record *record,
                                       int32_t stage_idx, const struct einet_answer *answer, struct einet_job *out)
{
    *out = (struct einet_job){
        .size_bytes = sizeof *out,
        .tag = record->tag,
        .job_idx = record->job_idx,
        .release_ns = record->release_ns,
        .deadline_ns = record->deadline_ns,
        .task_idx = record->task_idx,
        .stage_idx = stage_idx,
        .answer = answer,
        .upstream = ei_upstream_of(run, record),
    };
}

/* Of a callback thread: its run. */
static _Thread_local const struct einet_run *called_back_by;

static uint32_t flags_of(const struct ei_job_record *record)
{
    const bool is_met = record->outcome == EI_JOB_COMPLETED && (record->flags & EI_JOB_MISSED) == 0;
    return (is_met ? EINET_RESULT_DEADLINE_MET : 0U) |
           ((record->flags & EI_JOB_ANSWERED) != 0 ? EINET_RESULT_ANSWERED : 0U) |
           (record->preemptions > 0 ? EINET_RESULT_PREEMPTED : 0U) |
           ((record->flags & EI_JOB_WARMUP) != 0 ? EINET_RESULT_WARMUP : 0U);
}

static void tell_job(const struct einet_callbacks *callbacks, const struct ei_tap_event *event)
{
    const struct ei_job_record *record = &event->u.job.record;
    struct einet_result result = {
        .size_bytes = sizeof result,
        .tag = record->tag,
        .job_idx = record->job_idx,
        .release_ns = record->release_ns,
        .start_ns = record->start_ns,
        .finish_ns = record->finish_ns,
        .deadline_ns = record->deadline_ns,
        .lane_busy_ns = record->lane_busy_ns,
        .task_idx = record->task_idx,
        .flags = flags_of(record),
        .outcome = record->outcome,
        .cause = record->cause,
        .planned_exit = record->planned_exit,
        .preemptions = record->preemptions,
        .answer = {.size_bytes = sizeof result.answer},
        .blocks_done = record->blocks_done,
        .priority = record->priority,
    };
    if ((result.flags & EINET_RESULT_ANSWERED) != 0) {
        ei_listener_convert(&event->u.job.answer, &result.answer);
    }
    if (callbacks->on_result != NULL) {
        callbacks->on_result(callbacks->context, &result);
    }
    if (callbacks->on_miss != NULL && (result.flags & EINET_RESULT_DEADLINE_MET) == 0) {
        callbacks->on_miss(callbacks->context, &result);
    }
}

static void tell_preemption(const struct einet_callbacks *callbacks, const struct ei_preemption_record *from)
{
    const struct einet_preemption preemption = {
        .size_bytes = sizeof preemption,
        .victim_task_idx = from->victim_task_idx,
        .preemptor_task_idx = from->preemptor_task_idx,
        .victim_job_idx = from->victim_job_idx,
        .preemptor_job_idx = from->preemptor_job_idx,
        .request_ns = from->request_ns,
        .block_end_ns = from->block_end_ns,
        .first_block_ns = from->first_block_ns,
    };
    callbacks->on_preempt(callbacks->context, &preemption);
}

static void tell(const struct einet_callbacks *callbacks, const struct ei_tap_event *event)
{
    struct einet_answer answer;
    switch ((enum ei_tap_kind)event->kind) {
    case EI_TAP_JOB:
        tell_job(callbacks, event);
        break;
    case EI_TAP_ANSWER:
        ei_listener_convert(&event->u.answer, &answer);
        callbacks->on_answer(callbacks->context, &answer);
        break;
    case EI_TAP_PREEMPTION:
        tell_preemption(callbacks, &event->u.preemption);
        break;
    }
}

/* Until the run is under way there is no event, and its housekeeping CPUs are not known. */
static void await_go(struct einet_run *run)
{
    pthread_mutex_lock(&run->lock);
    while (atomic_load(&run->phase) == EINET_RUN_STARTING && !atomic_load(&run->is_told)) {
        pthread_cond_wait(&run->changed, &run->lock);
    }
    const struct ei_cpuset cpus = run->listener_cpus;
    pthread_mutex_unlock(&run->lock);
    if (!ei_cpuset_is_empty(&cpus)) {
        (void)ei_topology_bind_self(&cpus, NULL);
    }
}

static void listen_to(void *arg)
{
    struct einet_run *run = arg;
    struct ei_tap_event event;
    called_back_by = run;
    await_go(run);
    for (;;) {
        const unsigned seen = ei_bell_count(&run->tap.bell);
        const bool is_last = atomic_load(&run->is_told); /* before the ring was found empty */
        while (ei_tap_next(&run->tap, &event)) {
            tell(&run->callbacks, &event);
        }
        for (int32_t i = 0; i < run->tap.task_count; i++) {
            ei_frames_give_back(&run->tap.frames[i]);
        }
        if (is_last) {
            return;
        }
        ei_bell_wait(&run->tap.bell, seen);
    }
}

int ei_listener_start(struct einet_run *run, struct einet_error *err)
{
    if (!run->has_listeners) {
        return 0;
    }
    struct einet_error refused = {0};
    struct ei_thread_attr attr = {
        .name = "einet-callback",
        .policy = run->callback_priority > 0 ? EI_THREAD_FIFO : EI_THREAD_OTHER,
        .priority = run->callback_priority,
        .stack_bytes = (size_t)1024 * 1024, /* foreign code runs here */
    };
    int rc = ei_thread_create(&run->listener, &attr, listen_to, run, &refused);
    if (rc == EINET_E_PRIVILEGE && run->workload->spec->platform.privileges == EI_SPEC_PRIVILEGES_DEGRADE) {
        attr.policy = EI_THREAD_OTHER;
        attr.priority = 0;
        rc = ei_thread_create(&run->listener, &attr, listen_to, run, &refused);
    }
    run->has_listener = rc == 0;
    if (rc < 0 && err != NULL) {
        *err = refused;
    }
    return rc;
}

void ei_listener_end(struct einet_run *run)
{
    if (run->has_listener) {
        pthread_mutex_lock(&run->lock);
        atomic_store(&run->is_told, true);
        pthread_cond_broadcast(&run->changed);
        pthread_mutex_unlock(&run->lock);
        ei_bell_ring(&run->tap.bell);
        (void)ei_thread_join(&run->listener);
    }
}

bool ei_listener_is_calling(const struct einet_run *run)
{
    return called_back_by == run;
}
