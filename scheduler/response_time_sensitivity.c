/* See response_time_sensitivity.h. */
#include "scheduler/response_time_sensitivity.h"

#include <stddef.h>

static bool is_schedulable(const struct ei_rta_trial *trial)
{
    if (trial->assign != NULL) {
        trial->assign(trial->tasks, trial->count);
    }
    if (ei_rta_init(trial->rta, trial->tasks, trial->states, trial->count, NULL) < 0) {
        return false;
    }
    trial->rta->lane_order = trial->lane_order;
    return ei_rta_is_schedulable(trial->rta);
}

static void keep_priorities(const struct ei_rta_trial *trial, int32_t *priorities)
{
    for (int32_t i = 0; i < trial->count && i < EI_RTA_TASKS_MAX; i++) {
        priorities[i] = trial->tasks[i].priority;
    }
}

static void restore_priorities(const struct ei_rta_trial *trial, const int32_t *priorities)
{
    for (int32_t i = 0; i < trial->count && i < EI_RTA_TASKS_MAX; i++) {
        trial->tasks[i].priority = priorities[i];
    }
}

/* Bisect `value` between good (tested) and bad (tested); returns the last good one. */
static int64_t bisect(const struct ei_rta_trial *trial, int64_t *value, int64_t good, int64_t bad)
{
    while (good - bad > 1 || bad - good > 1) {
        const int64_t middle = bad + (good - bad) / 2;
        *value = middle;
        if (is_schedulable(trial)) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return good;
}

/* The value nearest to `loose` at which all is well, from `strict` (the wish) on; -1 when none is found. */
static int64_t search(const struct ei_rta_trial *trial, int64_t *value, int64_t loose, int64_t strict)
{
    int32_t priorities[EI_RTA_TASKS_MAX] = {0};
    const int64_t before = *value;
    int64_t found = EI_RTA_NO_BOUND;
    keep_priorities(trial, priorities);
    *value = strict;
    if (is_schedulable(trial)) {
        found = strict;
    } else {
        *value = loose;
        found = is_schedulable(trial) ? bisect(trial, value, loose, strict) : EI_RTA_NO_BOUND;
    }
    *value = before;
    restore_priorities(trial, priorities);
    return found;
}

int64_t ei_rta_largest_scale_ppm(const struct ei_rta_trial *trial, int32_t task_idx, int64_t limit_ppm)
{
    return search(trial, &trial->tasks[task_idx].scale_ppm, 1, limit_ppm);
}

int64_t ei_rta_smallest_deadline_ns(const struct ei_rta_trial *trial, int32_t task_idx, int64_t most_ns)
{
    return search(trial, &trial->tasks[task_idx].deadline_ns, most_ns, 1);
}
