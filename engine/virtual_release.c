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
        ei_virtual_record_unrun(v, vt->task, release, EI_JOB_SKIPPED, EI_CAUSE_LATE);
        break;
    case EI_RELEASE_DROPPED:
        ei_virtual_record_unrun(v, vt->task, release, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        break;
    case EI_RELEASE_QUEUED:
        if (has_displaced) {
            ei_virtual_record_unrun(v, vt->task, displaced, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        }
        break;
    case EI_RELEASE_START: /* cannot happen while all slots have a job */
        break;
    }
}

static void account_absent(struct virtual_run *v, struct virtual_task *vt, struct ei_release release)
{
    ei_release_absent(&vt->task->rt.releases);
    ei_virtual_record_unrun(v, vt->task, release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM);
}

/* Releases that passed while all slots had a job, by the clock or from its predecessor. */
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

/* What is left when the run was ended early: dropped by name, as in a live run. */
void ei_virtual_drop_rest(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_release waiting;
    while (ei_release_drop_waiting(&vt->task->rt.releases, &waiting)) {
        ei_virtual_record_unrun(v, vt->task, waiting, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    while (ei_virtual_is_within_run(v, vt)) {
        ei_release_refuse(&vt->task->rt.releases);
        ei_virtual_record_unrun(v, vt->task, ei_virtual_take_release(vt), EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    struct ei_chain_event event;
    while (vt->task->chain.is_successor && ei_chain_take(&vt->task->chain, &event)) {
        if (event.is_completed) {
            ei_release_refuse(&vt->task->rt.releases);
            ei_virtual_record_unrun(v, vt->task, event.release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
        } else {
            account_absent(v, vt, event.release);
        }
    }
    for (int32_t i = 0; i < vt->task->chain.next_count; i++) { /* what that posted */
        ei_virtual_drop_rest(v, &v->tasks[vt->task->chain.next[i]]);
    }
}

/* ---- the jobs in flight ---- */

static void make_current(struct virtual_run *v, struct virtual_slot *vs)
{
    ei_virtual_parts_begin(&v->cpus, vs->slot);
    vs->phase = PHASE_START;
}

/* The slot has a job; true: its first stage is free. */
static bool join(struct virtual_task *vt, struct virtual_slot *vs, struct ei_release job)
{
    vs->slot->record = ei_job_record_blank(vt->task, job);
    vs->place = ei_pipeline_join(&vt->task->pipeline);
    vs->left_stage = NO_STAGE;
    vs->phase = PHASE_PENDING;
    vt->in_flight[vs->place % EI_JOB_SLOTS_MAX] = vs;
    return ei_pipeline_enter(&vt->task->pipeline, vs->place, 0);
}

/* The release begins: a slot was asleep. */
void ei_virtual_begin_release(struct virtual_run *v, struct virtual_task *vt, struct ei_release job)
{
    struct ei_release displaced;
    bool has_displaced = false;
    struct virtual_slot *vs = vt->slots;
    while (vs->phase != PHASE_ASLEEP) {
        vs++;
    }
    vt->asleep--;
    (void)ei_release_on_release(&vt->task->rt.releases, job, &displaced, &has_displaced);
    if (join(vt, vs, job)) {
        make_current(v, vs);
        ei_virtual_wake(&v->cpus, vs->slot->idx, 0);
    }
    if (vt->asleep > 0 && ei_virtual_is_within_run(v, vt)) {
        ei_virtual_push_release(v, vt->task->idx);
    }
}

/* The job behind this one waited for what is free now. */
static void let_next_go_on(struct virtual_run *v, const struct virtual_slot *vs)
{
    struct virtual_task *vt = &v->tasks[vs->slot->task->idx];
    struct virtual_slot *next = vt->in_flight[(vs->place + 1) % EI_JOB_SLOTS_MAX];
    if (next->phase == PHASE_PENDING) {
        make_current(v, next);
        if (ei_run_is_cancelled(&v->run, v->cpus.now_ns)) {
            next->phase = PHASE_REFUSED;
            next->refusal = EI_CAUSE_CANCELLED;
        }
    } else {
        next->slot->record.part_ns[EI_PART_RELEASE_DELAY] += v->cpus.now_ns - next->wait_since_ns;
    }
    ei_virtual_wake(&v->cpus, next->slot->idx, 0);
}

bool ei_virtual_enter_stage(struct virtual_run *v, struct virtual_slot *vs, int32_t stage)
{
    if (ei_pipeline_enter(&vs->slot->task->pipeline, vs->place, stage)) {
        return true;
    }
    vs->wait_since_ns = v->cpus.now_ns;
    ei_virtual_deactivate(v, vs);
    ei_virtual_block(&v->cpus, vs->slot->idx);
    return false;
}

void ei_virtual_pass_stage(struct virtual_run *v, struct virtual_slot *vs)
{
    const int32_t stage = vs->left_stage;
    vs->left_stage = NO_STAGE;
    if (stage != NO_STAGE && stage + 1 < vs->slot->task->spec->stage_count &&
        ei_pipeline_pass(&vs->slot->task->pipeline, vs->place, stage)) {
        let_next_go_on(v, vs);
    }
}

/* Wake the successors that have a slot asleep and news: they look at their inbox until all have a job. */
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
        while (next->asleep > 0 && ei_chain_take(&next->task->chain, &event)) {
            if (!event.is_completed) {
                account_absent(v, next, event.release);
            } else if (!ei_run_is_cancelled(&v->run, v->cpus.now_ns)) {
                ei_virtual_begin_release(v, next, event.release);
            } else {
                ei_release_refuse(&next->task->rt.releases);
                ei_virtual_record_unrun(v, next->task, event.release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
            }
        }
        announce(v, next);
    }
}

/* The slot has no job: the next one that waits, or sleep. While a slot sleeps nothing passes unseen and nothing waits.
 */
static bool take_job(struct virtual_run *v, struct virtual_task *vt, struct virtual_slot *vs)
{
    struct ei_release job;
    if (vt->asleep == 0) {
        account_passed(v, vt);
    }
    while (ei_release_on_finish(&vt->task->rt.releases, &job)) {
        if (!ei_run_is_cancelled(&v->run, v->cpus.now_ns)) {
            if (join(vt, vs, job)) {
                make_current(v, vs);
                return true;
            }
            ei_virtual_block(&v->cpus, vs->slot->idx);
            return false;
        }
        ei_release_unstart(&vt->task->rt.releases);
        ei_virtual_record_unrun(v, vt->task, job, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    vs->phase = PHASE_ASLEEP;
    ei_virtual_block(&v->cpus, vs->slot->idx);
    vt->asleep++;
    if (vt->asleep == 1 && ei_virtual_is_within_run(v, vt)) {
        ei_virtual_push_release(v, vt->task->idx);
    }
    return false;
}

bool ei_virtual_next_job(struct virtual_run *v, struct virtual_slot *vs)
{
    struct virtual_task *vt = &v->tasks[vs->slot->task->idx];
    if (ei_pipeline_leave(&vt->task->pipeline, vs->place)) {
        let_next_go_on(v, vs);
    }
    bool is_running = take_job(v, vt, vs);
    if (vt->task->chain.has_news) {
        if (is_running) {
            ei_virtual_compute(&v->cpus, vs->slot->idx, 0); /* due at once when it next runs */
        }
        announce(v, vt);
        is_running = is_running && v->cpus.threads[vs->slot->idx].state == EI_VIRTUAL_RUNNING;
    }
    return is_running;
}
