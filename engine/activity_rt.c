/* See activity_rt.h. */
#include "engine/activity_rt.h"

#include "engine/run_state.h"

#include <sched.h>

static int64_t thread_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * EI_NS_PER_S + ts.tv_nsec;
}

void ei_activity_rest(struct ei_job_slot *slot)
{
    if (!slot->activity.is_job_over) {
        slot->activity.cpu_clock_ns = thread_cpu_ns();
    }
    slot->activity.is_job_over = false;
}

void ei_activity_first(struct ei_job_slot *slot, int64_t start_ns)
{
    slot->activity.start_ns = start_ns;
}

void ei_activity_begin(struct ei_job_slot *slot, int64_t start_ns)
{
    slot->activity = (struct ei_activity){.start_ns = start_ns, .cpu_clock_ns = thread_cpu_ns()};
}

void ei_activity_cut(struct ei_job_slot *slot, int64_t now_ns)
{
    struct ei_activity *activity = &slot->activity;
    const int64_t cpu_clock_ns = thread_cpu_ns();
    const int64_t length_ns = now_ns - activity->start_ns;
    const int64_t used_ns = cpu_clock_ns - activity->cpu_clock_ns;
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
    *activity = (struct ei_activity){.start_ns = now_ns, .cpu_clock_ns = cpu_clock_ns, .is_job_over = true};
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
    return slot->activity.cpu_clock_ns - left.cpu_clock_ns;
}
