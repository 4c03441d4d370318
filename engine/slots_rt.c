/* See slots_rt.h. */
#include "engine/slots_rt.h"

#include "engine/run_state.h"

void ei_slots_lock(struct ei_live_task *task)
{
    if (task->slot_count > 1) {
        ei_handoff_guard_lock(&task->flight.guard);
    }
}

void ei_slots_unlock(struct ei_live_task *task)
{
    const struct ei_release_state *releases = &task->rt.releases;
    atomic_store_explicit(&task->backlog, releases->waiting + releases->active, memory_order_relaxed);
    const bool has_news = ei_tap_take_news(task);
    if (task->slot_count > 1) {
        ei_handoff_guard_unlock(&task->flight.guard);
    }
    if (has_news) {
        ei_tap_ring(task);
    }
}

void ei_slots_record(struct ei_live_task *task, const struct ei_record *record)
{
    ei_slots_lock(task);
    (void)ei_spsc_ring_push(&task->ring, record); /* a full ring counts what it drops */
    if (record->kind == EI_RECORD_PREEMPTION) {
        ei_tap_preemption(task, &record->u.preemption);
    }
    ei_slots_unlock(task);
}

/* ---- who leads ---- */

bool ei_slots_await_lead(struct ei_job_slot *slot)
{
    if (!slot->turn.leads) {
        (void)ei_waiter_wait(&slot->turn.call, EI_MONO_NEVER);
        slot->turn.leads = true;
    }
    return !slot->task->flight.is_over; /* written before the call */
}

void ei_slots_join(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    slot->turn.place = ei_pipeline_join(&task->pipeline);
    task->flight.in_flight[slot->turn.place % EI_PIPELINE_JOBS_MAX] = slot;
    slot->turn.is_held_up = !ei_pipeline_enter(&task->pipeline, slot->turn.place, 0);
    if (slot->turn.is_held_up) {
        ei_waiter_prepare(&slot->turn.stage);
    }
}

static void call(struct ei_job_slot *slot)
{
    slot->turn.is_idle = false;
    ei_waiter_grant(&slot->turn.call);
}

void ei_slots_begin(struct ei_live_task *task, struct ei_release job, int64_t ready_ns)
{
    struct ei_job_slot *slot = task->flight.leader;
    slot->turn.has_job = true;
    slot->turn.job = job;
    slot->ready_ns = ready_ns;
    ei_slots_join(slot);
    task->flight.leader = NULL;
    for (int32_t i = 0; i < task->slot_count && task->flight.leader == NULL; i++) {
        if (task->slots[i].turn.is_idle) {
            task->flight.leader = &task->slots[i];
            call(&task->slots[i]);
        }
    }
}

bool ei_slots_take(struct ei_job_slot *slot, struct ei_release *out_job)
{
    if (!slot->turn.has_job) {
        return false;
    }
    *out_job = slot->turn.job;
    slot->turn.has_job = false;
    slot->turn.leads = false;
    return true;
}

void ei_slots_end(struct ei_job_slot *slot, bool is_last)
{
    struct ei_slots *flight = &slot->task->flight;
    if (flight->leader == NULL) {
        flight->leader = slot;
        slot->turn.leads = true;
        return;
    }
    slot->turn.is_idle = true;
    ei_waiter_prepare(&slot->turn.call);
    if (is_last && flight->is_closer_waiting) {
        flight->is_closer_waiting = false;
        ei_waiter_grant(&flight->leader->turn.call);
    }
}

void ei_slots_await_last(struct ei_job_slot *slot, bool is_last)
{
    struct ei_slots *flight = &slot->task->flight;
    if (!is_last) {
        flight->is_closer_waiting = true;
        ei_waiter_prepare(&slot->turn.call);
        ei_slots_unlock(slot->task);
        (void)ei_waiter_wait(&slot->turn.call, EI_MONO_NEVER);
        ei_slots_lock(slot->task);
    }
}

void ei_slots_close(struct ei_live_task *task)
{
    ei_slots_lock(task);
    task->flight.is_over = true;
    for (int32_t i = 0; i < task->slot_count; i++) {
        if (task->slots[i].turn.is_idle) {
            call(&task->slots[i]);
        }
    }
    ei_slots_unlock(task);
}

/* ---- the order of the jobs ---- */

/* Guard not held. Returns whether the stage is free; else the slot is armed to wait for it. */
static bool is_free(struct ei_job_slot *slot, int32_t stage)
{
    ei_slots_lock(slot->task);
    const bool may_enter = ei_pipeline_enter(&slot->task->pipeline, slot->turn.place, stage);
    if (!may_enter) {
        ei_waiter_prepare(&slot->turn.stage);
    }
    ei_slots_unlock(slot->task);
    return may_enter;
}

static void let_next_go_on(const struct ei_job_slot *slot)
{
    struct ei_job_slot *next = slot->task->flight.in_flight[(slot->turn.place + 1) % EI_PIPELINE_JOBS_MAX];
    next->turn.stage_ns = ei_mono_now().ns;
    ei_waiter_grant(&next->turn.stage);
}

bool ei_slots_await_first_stage(struct ei_job_slot *slot)
{
    if (slot->turn.is_held_up) { /* since it joined; nobody else looks at it any more */
        (void)ei_waiter_wait(&slot->turn.stage, EI_MONO_NEVER);
    }
    return slot->turn.is_held_up;
}

void ei_slots_enter_stage(struct ei_job_slot *slot, int32_t stage)
{
    const int64_t now_ns = slot->task->slot_count > 1 ? ei_mono_now().ns : 0;
    if (slot->task->slot_count == 1 || is_free(slot, stage)) {
        return;
    }
    ei_activity_cut(slot, now_ns);
    ei_slot_deactivate(slot);
    (void)ei_waiter_wait(&slot->turn.stage, EI_MONO_NEVER);
    ei_slot_activate(slot);
    ei_activity_begin(slot, slot->turn.stage_ns);
    slot->record.part_ns[EI_PART_RELEASE_DELAY] += slot->turn.stage_ns - now_ns;
}

void ei_slots_enter_end_unrun(struct ei_job_slot *slot)
{
    if (slot->task->slot_count > 1 && !is_free(slot, slot->task->spec->stage_count)) {
        (void)ei_waiter_wait(&slot->turn.stage, EI_MONO_NEVER);
    }
}

void ei_slots_pass_stage(struct ei_job_slot *slot, int32_t stage)
{
    struct ei_live_task *task = slot->task;
    if (task->slot_count == 1 || stage + 1 == task->spec->stage_count) {
        return;
    }
    ei_slots_lock(task);
    if (ei_pipeline_pass(&task->pipeline, slot->turn.place, stage)) {
        let_next_go_on(slot);
    }
    ei_slots_unlock(task);
}

void ei_slots_leave(struct ei_job_slot *slot)
{
    if (ei_pipeline_leave(&slot->task->pipeline, slot->turn.place)) {
        let_next_go_on(slot);
    }
}
