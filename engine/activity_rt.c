/* See activity_rt.h. */
#include "engine/activity_rt.h"

#include "engine/run_state.h"

#include <sched.h>

void ei_activity_rest(struct ei_job_slot *slot)
{
    struct ei_activity *activity = &slot->activity;
    if (activity->is_resting || activity->clock.is_guessed) {
        activity->used_ns = ei_thread_clock_read(&activity->clock);
    }
    activity->is_resting = true;
}

void ei_activity_first(struct ei_job_slot *slot, int64_t start_ns, int64_t now_ns)
{
    struct ei_activity *activity = &slot->activity;
    if (activity->is_resting) {
        activity->is_resting = false;
        ei_thread_clock_go(&activity->clock, now_ns);
    }
    activity->start_ns = start_ns;
}

void ei_activity_begin(struct ei_job_slot *slot, int64_t start_ns)
{
    struct ei_activity *activity = &slot->activity;
    activity->start_ns = start_ns;
    activity->is_resting = false;
    activity->used_ns = ei_thread_clock_read(&activity->clock);
}

int64_t ei_activity_used_ns(struct ei_job_slot *slot, int64_t now_ns)
{
    return ei_thread_clock_used(&slot->activity.clock, now_ns, &slot->longest_ns[slot->stage.stage_idx]);
}

void ei_activity_cut(struct ei_job_slot *slot, int64_t now_ns)
{
    struct ei_activity *activity = &slot->activity;
    const int64_t clock_ns = ei_activity_used_ns(slot, now_ns);
    const int64_t length_ns = now_ns - activity->start_ns;
    const int64_t used_ns = clock_ns - activity->used_ns;
    const int32_t own = ei_course_job_priority(slot);
    const int lent = atomic_exchange_explicit(&slot->seat.top_priority, 0, memory_order_relaxed);
    const struct ei_record record = {
        .kind = EI_RECORD_ACTIVITY,
        .u.activity = {.task_idx = slot->task->idx,
                       .slot = slot->idx - slot->task->slots->idx,
                       .cpu = sched_getcpu(),
                       .priority = own,
                       .top_priority = lent > own && own > 0 ? lent : own,
                       .job_idx = slot->record.job_idx,
                       .start_ns = activity->start_ns,
                       .end_ns = now_ns,
                       /* the clocks are read one after the other */
                       .cpu_ns = used_ns < length_ns ? used_ns : length_ns},
    };
    slot->record.part_ns[EI_PART_EXECUTION] += record.u.activity.cpu_ns;
    ei_slots_record(slot->task, &record);
    activity->start_ns = now_ns;
    activity->used_ns = clock_ns;
}

void ei_activity_leave(struct ei_job_slot *slot, int64_t now_ns)
{
    ei_activity_cut(slot, now_ns);
}

int64_t ei_activity_return(struct ei_job_slot *slot, int64_t expected_ns, int64_t now_ns)
{
    const struct ei_activity left = slot->activity;
    const int64_t length_ns = now_ns - left.start_ns;
    const int64_t device_ns = length_ns < expected_ns ? length_ns : expected_ns;
    slot->record.part_ns[EI_PART_EXECUTION] += device_ns;
    if (length_ns > device_ns) {
        const int32_t own = ei_course_job_priority(slot);
        const struct ei_record record = {
            .kind = EI_RECORD_ACTIVITY,
            .u.activity = {.task_idx = slot->task->idx,
                           .slot = slot->idx - slot->task->slots->idx,
                           .cpu = sched_getcpu(),
                           .priority = own,
                           .top_priority = own,
                           .is_after_device = 1,
                           .job_idx = slot->record.job_idx,
                           .start_ns = left.start_ns + device_ns,
                           .end_ns = now_ns},
        };
        ei_slots_record(slot->task, &record);
    }
    ei_activity_begin(slot, now_ns);
    return slot->activity.used_ns - left.used_ns;
}
