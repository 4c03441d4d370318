/* See chain_rt.h. */
#include "engine/chain_rt.h"

#include "engine/run_state.h"

void ei_chains_link(struct ei_run *run)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_chain *chain = &run->tasks[i].chain;
        ei_bell_init(&chain->bell);
        atomic_init(&chain->is_closed, false);
        chain->is_successor = run->wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER;
        if (chain->is_successor) {
            struct ei_chain *before = &run->tasks[run->wl->tasks[i].arrival.after_idx].chain;
            before->next[before->next_count++] = i;
        }
    }
}

void ei_chain_refuse(struct ei_live_task *task, struct ei_release release, uint8_t outcome, uint8_t cause,
                     ei_chain_emit emit, void *context)
{
    struct ei_job_record record = ei_job_record_blank(task, release);
    record.outcome = outcome;
    record.cause = cause;
    emit(context, &record);
    release.frame = 0; /* what came with it is this task's */
    for (int32_t i = 0; i < task->chain.next_count; i++) {
        ei_chain_refuse(&task->run->tasks[task->chain.next[i]], release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM, emit,
                        context);
    }
}

/* The result of another run with which the chain goes on here: for the next task, too, which runs only when this one
 * has. */
static int32_t hand_on(const struct ei_live_task *task, const struct ei_job_record *record, int32_t next_idx)
{
    struct ei_tap *tap = task->run->tap;
    return tap != NULL && record->frame > 0 && record->outcome == EI_JOB_COMPLETED && tap->frames[task->idx].is_result
               ? ei_frames_hand_on(&tap->frames[task->idx], record->frame, &tap->frames[next_idx])
               : 0;
}

void ei_chain_post(struct ei_live_task *task, const struct ei_job_record *record, ei_chain_emit emit, void *context)
{
    struct ei_chain_event event = {
        .release = {.job_idx = record->job_idx, .nominal_ns = record->release_ns, .tag = record->tag},
        .at_ns = record->finish_ns,
        .is_completed = record->outcome == EI_JOB_COMPLETED,
    };
    for (int32_t i = 0; i < task->chain.next_count; i++) {
        struct ei_live_task *next = &task->run->tasks[task->chain.next[i]];
        event.release.frame = hand_on(task, record, next->idx);
        if (ei_spsc_ring_push(&next->chain.inbox, &event)) {
            task->chain.has_news = true;
            continue;
        }
        if (event.release.frame > 0) {
            ei_frames_unclaim(&task->run->tap->frames[next->idx], event.release.frame);
            event.release.frame = 0;
        }
        if (event.is_completed) {
            ei_chain_refuse(next, event.release, EI_JOB_DROPPED, EI_CAUSE_QUEUE, emit, context);
        } else {
            ei_chain_refuse(next, event.release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM, emit, context);
        }
    }
}

void ei_chain_ring(struct ei_live_task *task)
{
    for (int32_t i = 0; i < task->chain.next_count; i++) {
        ei_bell_ring(&task->run->tasks[task->chain.next[i]].chain.bell);
    }
}

bool ei_chain_take_news(struct ei_live_task *task)
{
    const bool has_news = task->chain.has_news;
    task->chain.has_news = false;
    return has_news;
}

void ei_chain_announce(struct ei_live_task *task)
{
    if (ei_chain_take_news(task)) {
        ei_chain_ring(task);
    }
}

void ei_chain_close(struct ei_live_task *task)
{
    for (int32_t i = 0; i < task->chain.next_count; i++) {
        atomic_store_explicit(&task->run->tasks[task->chain.next[i]].chain.is_closed, true, memory_order_release);
    }
    ei_chain_ring(task);
}

bool ei_chain_take(struct ei_chain *chain, struct ei_chain_event *out)
{
    return ei_spsc_ring_pop(&chain->inbox, out);
}

bool ei_chain_await(struct ei_chain *chain, struct ei_chain_event *out)
{
    for (;;) {
        const unsigned seen = ei_bell_count(&chain->bell);
        const bool is_closed = atomic_load_explicit(&chain->is_closed, memory_order_acquire);
        if (ei_chain_take(chain, out)) {
            return true;
        }
        if (is_closed) { /* before the inbox was found empty, so it stays empty */
            return false;
        }
        ei_bell_wait(&chain->bell, seen);
    }
}
