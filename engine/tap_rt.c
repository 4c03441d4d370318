/* The job threads' side of the tap. See tap.h. */
#include "engine/tap.h"

#include "engine/run_state.h"

static void post(struct ei_tap *tap, const struct ei_tap_event *event)
{
    if (!ei_mpsc_ring_push(&tap->events, event)) {
        atomic_fetch_add_explicit(&tap->lost, 1, memory_order_relaxed);
    }
}

void ei_tap_frame_over(struct ei_live_task *by, const struct ei_job_record *record)
{
    struct ei_tap *tap = by->run->tap;
    if (tap != NULL && record->frame > 0 && ei_frames_end(&tap->frames[record->task_idx], record->frame)) {
        by->has_tap_news = true;
    }
}

void ei_tap_job(struct ei_live_task *by, const struct ei_job_record *record)
{
    struct ei_tap *tap = by->run->tap;
    if (tap == NULL || !tap->wants_jobs) {
        return;
    }
    struct ei_tap_event event = {.kind = EI_TAP_JOB, .u.job.record = *record};
    if ((record->flags & EI_JOB_ANSWERED) != 0) { /* then its slot's own thread is here */
        event.u.job.answer = by->run->tasks[record->task_idx].slots[record->slot].answer;
        event.u.job.answer.is_final = 1;
    }
    post(tap, &event);
    by->has_tap_news = true;
}

void ei_tap_preemption(struct ei_live_task *by, const struct ei_preemption_record *preemption)
{
    struct ei_tap *tap = by->run->tap;
    if (tap != NULL && tap->wants_preemptions) {
        const struct ei_tap_event event = {.kind = EI_TAP_PREEMPTION, .u.preemption = *preemption};
        post(tap, &event);
        by->has_tap_news = true;
    }
}

bool ei_tap_take_news(struct ei_live_task *by)
{
    const bool has_news = by->has_tap_news;
    by->has_tap_news = false;
    return has_news;
}

void ei_tap_ring(struct ei_live_task *by)
{
    ei_bell_ring(&by->run->tap->bell);
}

void ei_tap_answer(struct ei_live_task *task, const struct ei_answer *answer)
{
    struct ei_tap *tap = task->run->tap;
    if (tap != NULL && tap->wants_answers) {
        const struct ei_tap_event event = {.kind = EI_TAP_ANSWER, .u.answer = *answer};
        post(tap, &event);
        ei_bell_ring(&tap->bell);
    }
}

static void tell_unreleased(void *context, const struct ei_job_record *record)
{
    struct ei_live_task *by = context;
    ei_tap_job(by, record);
    ei_tap_frame_over(by, record);
}

void ei_tap_unreleased(struct ei_live_task *task, struct ei_release release)
{
    ei_chain_refuse(task, release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED, tell_unreleased, task);
}
