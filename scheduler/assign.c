/* See assign.h. */
#include "scheduler/assign.h"

#include "scheduler/response_time_parts.h"

#include <stddef.h>

static int64_t period_of(const struct ei_rta_task *tasks, int32_t count, int32_t i)
{
    for (int32_t hops = 0; hops < count && tasks[i].after >= 0 && tasks[i].after < count; hops++) {
        i = tasks[i].after;
    }
    return tasks[i].period_ns;
}

static int64_t key_of(const struct ei_rta_task *tasks, int32_t count, int32_t i, bool is_by_rate)
{
    return is_by_rate ? period_of(tasks, count, i) : tasks[i].deadline_ns;
}

/* The priority is top minus the number of tasks that come before: a stable order without a sort. */
static void assign(struct ei_rta_task *tasks, int32_t count, int32_t top, bool is_by_rate)
{
    for (int32_t i = 0; i < count; i++) {
        const int64_t key = key_of(tasks, count, i, is_by_rate);
        int32_t before = 0;
        for (int32_t k = 0; k < count; k++) {
            const int64_t other = key_of(tasks, count, k, is_by_rate);
            before += other < key || (other == key && k < i);
        }
        tasks[i].priority = before < top ? top - before : 1;
    }
}

void ei_assign_rate_monotonic(struct ei_rta_task *tasks, int32_t count, int32_t top)
{
    assign(tasks, count, top, true);
}

void ei_assign_deadline_monotonic(struct ei_rta_task *tasks, int32_t count, int32_t top)
{
    assign(tasks, count, top, false);
}

/* Give `level` to the unplaced task with the longest deadline that holds there; false when none does. Unplaced tasks
 * have priority `top` + 1 meanwhile. */
static bool place_one(struct ei_rta *rta, struct ei_rta_task *tasks, int32_t count, int32_t level, int32_t top)
{
    bool is_tried[EI_RTA_TASKS_MAX] = {false};
    for (;;) {
        int32_t best = -1;
        for (int32_t i = 0; i < count; i++) {
            if (tasks[i].priority > top && !is_tried[i] &&
                (best < 0 || tasks[i].deadline_ns >= tasks[best].deadline_ns)) {
                best = i;
            }
        }
        if (best < 0) {
            return false;
        }
        tasks[best].priority = level;
        if (ei_rta_holds_if_others_do(rta, best)) {
            return true;
        }
        tasks[best].priority = top + 1;
        is_tried[best] = true;
    }
}

bool ei_assign_audsley(struct ei_rta *rta, struct ei_rta_task *tasks, struct ei_rta_state *states,
                       struct ei_rta_bound *bounds, int32_t count, int32_t top)
{
    int32_t before[EI_RTA_TASKS_MAX] = {0};
    if (count > top || ei_rta_init(rta, tasks, states, count, NULL) < 0) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        before[i] = tasks[i].priority;
        tasks[i].priority = top + 1;
    }
    bool is_found = true;
    for (int32_t level = top - count + 1; is_found && level <= top; level++) {
        is_found = place_one(rta, tasks, count, level, top);
    }
    /* The bounds proper know more than the search did, so they confirm it; the check costs one analysis. */
    is_found = is_found && ei_rta_init(rta, tasks, states, count, NULL) == 0 && ei_rta_solve(rta, bounds);
    for (int32_t i = 0; !is_found && i < count; i++) {
        tasks[i].priority = before[i];
    }
    return is_found;
}
