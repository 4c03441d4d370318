/* See settings_rt.h. */
#include "engine/settings_rt.h"

#include "engine/run_state.h"

void ei_settings_init(struct ei_live_task *task)
{
    struct ei_task_changes *changes = &task->changes;
    changes->as_filed =
        (struct ei_task_settings){.priority = task->spec->priority, .deadline_ns = task->spec->deadline_ns};
    atomic_init(&changes->current, &changes->as_filed);
    atomic_init(&changes->replanned, NULL);
    atomic_init(&changes->priority, task->spec->priority);
    atomic_init(&changes->deadline_ns, task->spec->deadline_ns);
    atomic_init(&changes->paused_from_ns, INT64_MAX);
    atomic_init(&changes->paused_until_ns, INT64_MAX);
    task->nn.settings = &changes->as_filed;
    for (int32_t k = 0; k < task->slot_count; k++) {
        atomic_init(&task->slots[k].settings, &changes->as_filed);
        atomic_init(&task->slots[k].has_begun, false);
        atomic_init(&task->slots[k].cpu_priority, task->spec->priority);
    }
}

static bool is_demoted(const struct ei_live_task *task)
{
    return atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire);
}

/* The watchdog sets its flag before it tells the kernel, so the last call makes the thread SCHED_OTHER. */
static void set_plain_priority(const struct ei_job_slot *slot, int32_t priority)
{
    (void)ei_thread_set_fifo(slot->thread.tid, priority);
    if (is_demoted(slot->task)) {
        (void)ei_thread_demote(slot->thread.tid, NULL);
    }
}

/* Noted before the kernel is told, while whoever changes notes it afterwards: where the note is this thread's, its call
 * was the last one; where it is the other's, the next job sees a difference or the kernel has that priority. */
static void settle_priority(struct ei_job_slot *slot, int32_t priority)
{
    atomic_store(&slot->cpu_priority, priority);
    if (slot->task->is_fifo && !is_demoted(slot->task)) {
        if (slot->task->nn.net != NULL) {
            (void)ei_boost_rebase_self(&slot->seat.boost, priority);
        } else {
            set_plain_priority(slot, priority);
        }
    }
}

void ei_settings_push_priority(struct ei_job_slot *slot, int32_t priority)
{
    if (atomic_load(&slot->has_begun)) {
        return; /* it sees to that itself when its job is over */
    }
    if (slot->task->is_fifo && !is_demoted(slot->task)) {
        if (slot->task->nn.net != NULL) {
            (void)ei_boost_rebase(&slot->seat.boost, priority);
        } else {
            set_plain_priority(slot, priority);
        }
    }
    atomic_store(&slot->cpu_priority, priority);
}

void ei_settings_take(struct ei_job_slot *slot)
{
    struct ei_task_changes *changes = &slot->task->changes;
    /* In this order, all sequentially consistent: whoever changes publishes first and looks at has_begun then, so one
     * of the two gives the thread the new priority. */
    atomic_store(&slot->has_begun, true);
    const struct ei_task_settings *taken;
    const struct ei_task_settings *now = atomic_load(&changes->current);
    do {
        taken = now;
        atomic_store(&slot->settings, taken);
        now = atomic_load(&changes->current);
    } while (now != taken);
    if (atomic_load(&slot->cpu_priority) != taken->priority) {
        settle_priority(slot, taken->priority);
    }
    slot->seat.claim.priority = taken->priority;
}

void ei_settings_leave(struct ei_job_slot *slot)
{
    const struct ei_task_changes *changes = &slot->task->changes;
    atomic_store(&slot->has_begun, false);
    /* Compared with what this thread told the kernel last: who changes may have told it another priority before that,
     * and note so only now. */
    int32_t told = atomic_load(&slot->cpu_priority), priority;
    while ((priority = atomic_load(&changes->priority)) != told) {
        settle_priority(slot, priority);
        told = priority;
    }
}

bool ei_settings_is_withheld(const struct ei_live_task *task, int64_t release_ns)
{
    return release_ns >= atomic_load_explicit(&task->changes.paused_from_ns, memory_order_acquire) &&
           release_ns < atomic_load_explicit(&task->changes.paused_until_ns, memory_order_acquire);
}

void ei_settings_count_withheld(struct ei_live_task *task)
{
    /* Only who has a tap can pause. */
    atomic_fetch_add_explicit(&task->run->tap->settings[task->idx].withheld, 1, memory_order_relaxed);
}

bool ei_settings_is_paused(const struct ei_live_task *task)
{
    return atomic_load_explicit(&task->changes.paused_from_ns, memory_order_acquire) != INT64_MAX &&
           atomic_load_explicit(&task->changes.paused_until_ns, memory_order_acquire) == INT64_MAX;
}
