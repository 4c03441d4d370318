/* Releases of a virtual run: the clock's, in a heap, those of chains, and what becomes of each. See virtual_state.h. */
#include "engine/virtual_report.h"
#include "engine/virtual_state.h"

/* ---- the heap of releases ---- */

static bool is_before(struct sleeper a, struct sleeper b)
{
    return a.release_ns != b.release_ns ? a.release_ns < b.release_ns : a.task < b.task;
}

void ei_virtual_push_release(struct virtual_run *v, int32_t task)
{
    const struct sleeper sleeper = {v->tasks[task].next.release_ns, task};
    int32_t i = v->heap_count++;
    while (i > 0 && is_before(sleeper, v->heap[(i - 1) / 2])) {
        v->heap[i] = v->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    v->heap[i] = sleeper;
}

int32_t ei_virtual_pop_release(struct virtual_run *v)
{
    const int32_t top = v->heap[0].task;
    const struct sleeper last = v->heap[--v->heap_count];
    int32_t i = 0;
    for (;;) {
        int32_t child = 2 * i + 1;
        if (child >= v->heap_count) {
            break;
        }
        if (child + 1 < v->heap_count && is_before(v->heap[child + 1], v->heap[child])) {
            child++;
        }
        if (!is_before(v->heap[child], last)) {
            break;
        }
        v->heap[i] = v->heap[child];
        i = child;
    }
    v->heap[i] = last;
    return top;
}

/* ---- what becomes of them ---- */

bool ei_virtual_is_within_run(const struct virtual_run *v, const struct virtual_task *vt)
{
    return vt->has_next &&
           (vt->next.nominal_ns <= vt->task->rt.last_nominal_ns || vt->next.nominal_ns <= v->run.end_ns);
}

struct ei_release ei_virtual_take_release(struct virtual_task *vt)
{
    const struct ei_release release = {.job_idx = vt->next.job_idx, .nominal_ns = vt->next.nominal_ns};
    vt->task->rt.last_nominal_ns = vt->next.nominal_ns;
    vt->has_next = ei_arrival_next(&vt->task->rt.arrival, &vt->next);
    return release;
}

static void account_late(struct virtual_run *v, struct virtual_task *vt, struct ei_release release)
{
    struct ei_release displaced;
    bool has_displaced = false;
    switch (ei_release_on_release(&vt->task->rt.releases, release, &displaced, &has_displaced)) {
    case EI_RELEASE_SKIPPED:
        ei_virtual_record_unrun(v, vt, release, EI_JOB_SKIPPED, EI_CAUSE_LATE);
        break;
    case EI_RELEASE_DROPPED:
        ei_virtual_record_unrun(v, vt, release, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        break;
    case EI_RELEASE_QUEUED:
        if (has_displaced) {
            ei_virtual_record_unrun(v, vt, displaced, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        }
        break;
    case EI_RELEASE_START: /* cannot happen while active */
        break;
    }
}

static void account_absent(struct virtual_run *v, struct virtual_task *vt, struct ei_release release)
{
    ei_release_absent(&vt->task->rt.releases);
    ei_virtual_record_unrun(v, vt, release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM);
}

/* Releases that passed while the task was active, by the clock or from its predecessor. */
static void account_passed(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_chain_event event;
    while (vt->task->chain.is_successor && ei_chain_take(&vt->task->chain, &event)) {
        if (event.is_completed) {
            account_late(v, vt, event.release);
        } else {
            account_absent(v, vt, event.release);
        }
    }
    while (ei_virtual_is_within_run(v, vt) && vt->next.release_ns <= v->cpus.now_ns) {
        account_late(v, vt, ei_virtual_take_release(vt));
    }
}

static void make_current(struct virtual_run *v, struct virtual_task *vt, struct ei_release release)
{
    vt->task->rt.record = ei_job_record_blank(vt->task, release);
    ei_virtual_parts_begin(&v->cpus, vt->task);
    vt->phase = PHASE_START;
}

/* What is left when the run was ended early: dropped by name, as in a live run. */
void ei_virtual_drop_rest(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_release waiting;
    while (ei_release_drop_waiting(&vt->task->rt.releases, &waiting)) {
        ei_virtual_record_unrun(v, vt, waiting, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    while (ei_virtual_is_within_run(v, vt)) {
        ei_release_refuse(&vt->task->rt.releases);
        ei_virtual_record_unrun(v, vt, ei_virtual_take_release(vt), EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    struct ei_chain_event event;
    while (vt->task->chain.is_successor && ei_chain_take(&vt->task->chain, &event)) {
        if (event.is_completed) {
            ei_release_refuse(&vt->task->rt.releases);
            ei_virtual_record_unrun(v, vt, event.release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
        } else {
            account_absent(v, vt, event.release);
        }
    }
    for (int32_t i = 0; i < vt->task->chain.next_count; i++) { /* what that posted */
        ei_virtual_drop_rest(v, &v->tasks[vt->task->chain.next[i]]);
    }
}

/* The release begins: the task was asleep. */
void ei_virtual_begin_release(struct virtual_run *v, struct virtual_task *vt, struct ei_release job)
{
    struct ei_release displaced;
    bool has_displaced = false;
    (void)ei_release_on_release(&vt->task->rt.releases, job, &displaced, &has_displaced);
    make_current(v, vt, job);
    ei_virtual_wake(&v->cpus, vt->task->idx, 0);
}

/* Wake the successors that sleep and have news: they look at their inbox until a job is released. */
static void announce(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_chain *chain = &vt->task->chain;
    struct ei_chain_event event;
    if (!chain->has_news) {
        return;
    }
    chain->has_news = false;
    for (int32_t i = 0; i < chain->next_count; i++) {
        struct virtual_task *next = &v->tasks[chain->next[i]];
        while (next->phase == PHASE_ASLEEP && ei_chain_take(&next->task->chain, &event)) {
            if (!event.is_completed) {
                account_absent(v, next, event.release);
            } else if (!ei_run_is_cancelled(&v->run, v->cpus.now_ns)) {
                ei_virtual_begin_release(v, next, event.release);
            } else {
                ei_release_refuse(&next->task->rt.releases);
                ei_virtual_record_unrun(v, next, event.release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
            }
        }
        announce(v, next);
    }
}

/* The thread has no job: the next one that waits, or sleep. */
static bool take_job(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_release job;
    account_passed(v, vt);
    if (ei_release_on_finish(&vt->task->rt.releases, &job)) {
        if (!ei_run_is_cancelled(&v->run, v->cpus.now_ns)) {
            make_current(v, vt, job);
            return true;
        }
        ei_release_unstart(&vt->task->rt.releases);
        ei_virtual_record_unrun(v, vt, job, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    vt->phase = PHASE_ASLEEP;
    ei_virtual_block(&v->cpus, vt->task->idx);
    if (ei_virtual_is_within_run(v, vt)) {
        ei_virtual_push_release(v, vt->task->idx);
    }
    return false;
}

/* The same, and what it leaves behind releases its successors; false when the thread gave up its CPU. */
bool ei_virtual_next_job(struct virtual_run *v, struct virtual_task *vt)
{
    bool is_running = take_job(v, vt);
    if (vt->task->chain.has_news) {
        if (is_running) {
            ei_virtual_compute(&v->cpus, vt->task->idx, 0); /* due at once when it next runs */
        }
        announce(v, vt);
        is_running = is_running && v->cpus.threads[vt->task->idx].state == EI_VIRTUAL_RUNNING;
    }
    return is_running;
}
