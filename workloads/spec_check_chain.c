/* Chains of tasks: predecessors found by name, and none that comes back to itself. See spec_read.h. */
#include "workloads/spec_read.h"

#include <string.h>

static int32_t find_task(const struct ei_workload *wl, const char *name)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (strcmp(wl->tasks[i].name, name) == 0) {
            return i;
        }
    }
    return EI_NONE_IDX;
}

static void find_predecessor(struct ei_spec_reader *rd, int32_t task_idx)
{
    struct ei_task_spec *task = &rd->wl->tasks[task_idx];
    const int32_t node = ei_spec_node(rd, rd->task_nodes[task_idx], "arrival", "task");
    task->arrival.after_idx = find_task(rd->wl, task->arrival.after);
    if (task->arrival.after_idx == EI_NONE_IDX) {
        struct ei_nearest nearest;
        char hint[EI_DIAGNOSTIC_TEXT_MAX];
        ei_nearest_init(&nearest, task->arrival.after);
        for (int32_t i = 0; i < rd->wl->task_count; i++) {
            ei_nearest_offer(&nearest, rd->wl->tasks[i].name);
        }
        const char *near = ei_nearest_result(&nearest);
        snprintf(hint, sizeof hint, "did you mean '%s'?", near != NULL ? near : "");
        ei_spec_error(rd, node, near != NULL ? hint : NULL, "there is no task '%s' that task '%s' could come after",
                      task->arrival.after, task->name);
    }
}

/* A chain that comes back is cut where that is seen, so that all others may follow chains to their heads. */
static void check_circle(struct ei_spec_reader *rd, int32_t task_idx)
{
    struct ei_workload *wl = rd->wl;
    int32_t at = wl->tasks[task_idx].arrival.after_idx;
    for (int32_t steps = 0; steps < wl->task_count && at != EI_NONE_IDX && at != task_idx; steps++) {
        at = wl->tasks[at].arrival.after_idx;
    }
    if (at == task_idx) {
        ei_spec_error(rd, ei_spec_node(rd, rd->task_nodes[task_idx], "arrival", "task"),
                      "give one of its tasks an arrival of its own", "the chain of task '%s' comes back to it",
                      wl->tasks[task_idx].name);
        wl->tasks[task_idx].arrival.after_idx = EI_NONE_IDX;
    }
}

void ei_spec_check_chains(struct ei_spec_reader *rd)
{
    struct ei_workload *wl = rd->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        wl->tasks[i].arrival.after_idx = EI_NONE_IDX;
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER && wl->tasks[i].arrival.after[0] != '\0') {
            find_predecessor(rd, i);
        }
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        check_circle(rd, i);
    }
}
