/* See deadline_class.h. */
#include "engine/deadline_class.h"

#include "engine/run_state.h"

struct ei_deadline_bandwidth ei_task_deadline_bandwidth(const struct ei_live_task *task)
{
    const struct ei_bandwidth spec = ei_task_bandwidth(task->spec);
    return (struct ei_deadline_bandwidth){
        .runtime_ns = spec.runtime_ns > EI_DEADLINE_RUNTIME_MIN_NS ? spec.runtime_ns : EI_DEADLINE_RUNTIME_MIN_NS,
        .deadline_ns = spec.deadline_ns,
        .period_ns = spec.period_ns,
    };
}

void ei_task_become_deadline(struct ei_live_task *task)
{
    const struct ei_deadline_bandwidth bandwidth = ei_task_deadline_bandwidth(task);
    task->deadline.is_on = ei_thread_become_deadline(&bandwidth, &task->deadline.refusal) == 0;
    task->deadline.is_refused = !task->deadline.is_on;
    task->is_fifo = task->deadline.is_refused && task->run->privileges.results[EI_PRIVILEGE_FIFO].got;
}

int ei_run_settle_deadline_class(struct ei_run *run, struct einet_error *err)
{
    char got[EI_PRIVILEGE_TEXT_MAX], reason[EI_PRIVILEGE_TEXT_MAX + EI_SPEC_NAME_MAX + 16];
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        const struct ei_live_task *task = &run->tasks[i];
        if (!task->deadline.is_refused) {
            continue;
        }
        if (task->is_fifo) {
            snprintf(got, sizeof got, "SCHED_FIFO %d", (int)task->spec->fallback_priority);
        } else {
            snprintf(got, sizeof got, "SCHED_OTHER");
        }
        snprintf(reason, sizeof reason, "task '%s': %s", task->spec->name, task->deadline.refusal.reason);
        rc = ei_privileges_refused(&run->privileges, EI_PRIVILEGE_DEADLINE, got, reason, task->deadline.refusal.fix,
                                   err);
    }
    return rc;
}

int64_t ei_run_deadline_used_ns(const struct ei_run *run)
{
    int64_t sum_ns = 0;
    struct timespec used;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_live_task *task = &run->tasks[i];
        if (task->deadline.is_on && clock_gettime(task->slots->watch.clock, &used) == 0) {
            sum_ns += (int64_t)used.tv_sec * EI_NS_PER_S + used.tv_nsec;
        }
    }
    return sum_ns;
}
