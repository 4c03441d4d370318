/* What class deadline asks of a task: what SCHED_DEADLINE is told must be known, and nobody may wait for it on a lane.
 * See spec_read.h.
 */
#include "workloads/spec_read.h"

/* Of a period, so much shorter is the server's. */
#define SLACK_SHARE 32
/* More than the budgets: two units in which the kernel counts. */
#define MARGIN_NS 2048

struct ei_bandwidth ei_task_bandwidth(const struct ei_task_spec *task)
{
    const int64_t arrival_ns = ei_spec_interarrival_ns(&task->arrival),
                  period_ns = arrival_ns - arrival_ns / SLACK_SHARE;
    struct ei_bandwidth bandwidth = {
        .runtime_ns = MARGIN_NS,
        .deadline_ns = task->deadline_ns,
        .period_ns = task->deadline_ns > period_ns && task->deadline_ns <= arrival_ns ? task->deadline_ns : period_ns,
    };
    for (int32_t i = 0; i < task->stage_count; i++) {
        bandwidth.runtime_ns += task->stages[i].budget_ns > 0 ? task->stages[i].budget_ns : 0;
    }
    return bandwidth;
}

static int32_t stage_node(const struct ei_spec_reader *rd, int32_t task_node, int32_t stage_idx)
{
    const int32_t stages = ei_spec_node(rd, task_node, "stages", NULL);
    int32_t node = stages >= 0 && ei_yaml_node(&rd->yaml, stages)->kind == EI_YAML_LIST
                       ? ei_yaml_node(&rd->yaml, stages)->first
                       : -1;
    for (int32_t i = 0; i < stage_idx && node >= 0; i++) {
        node = ei_yaml_node(&rd->yaml, node)->next;
    }
    return node;
}

static void check_arrival(struct ei_spec_reader *rd, const struct ei_task_spec *task, int32_t node)
{
    const int model = (int)task->arrival.model;
    if (model == EI_ARRIVAL_BURST || model == EI_ARRIVAL_APERIODIC || model == EI_ARRIVAL_AFTER) {
        ei_spec_error(rd, ei_spec_node(rd, node, "arrival", "model"), "periodic, sporadic or external, or class: fifo",
                      "class deadline of task '%s' needs arrivals with a least distance", task->name);
    }
}

static void check_limits(struct ei_spec_reader *rd, const struct ei_task_spec *task, int32_t node)
{
    const int64_t period_ns = ei_spec_interarrival_ns(&task->arrival);
    const int32_t deadline = ei_spec_node(rd, node, "deadline", NULL);
    char text[EI_DURATION_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (deadline >= 0 && (task->deadline_ns == EI_NONE_NS || (period_ns > 0 && task->deadline_ns > period_ns))) {
        snprintf(hint, sizeof hint, "at most %s, its period", ei_duration_format(period_ns, text));
        ei_spec_error(rd, deadline, period_ns > 0 ? hint : NULL,
                      "class deadline of task '%s' needs a deadline within its period", task->name);
    }
    for (int32_t i = 0; i < task->stage_count; i++) {
        const struct ei_stage_spec *stage = &task->stages[i];
        if ((int)stage->kind == EI_SPEC_STAGE_NN) {
            ei_spec_error(rd, stage_node(rd, node, i), "make it a task of its own, of class fifo",
                          "class deadline of task '%s' is for stages on the CPU: others would wait for it on a lane",
                          task->name);
        } else if (stage->budget_ns == EI_NONE_NS) {
            ei_spec_error(rd, stage_node(rd, node, i), "add budget: the processor time that it may take",
                          "class deadline of task '%s' needs the budget of its stage '%s'", task->name, stage->name);
        }
    }
}

/* The kernel gives the runtime to a thread, and every job in flight has one. */
static void check_overlap(struct ei_spec_reader *rd, const struct ei_task_spec *task, int32_t node)
{
    if (task->overlap > 1) {
        ei_spec_error(rd, ei_spec_node(rd, node, "overlap", NULL), "leave it out, or class: fifo",
                      "task '%s' of class deadline has one job in flight: overlap would multiply its runtime",
                      task->name);
    }
}

void ei_spec_check_deadline_class(struct ei_spec_reader *rd, int32_t task_idx)
{
    const struct ei_task_spec *task = &rd->wl->tasks[task_idx];
    if (task->class_ == EI_SPEC_CLASS_DEADLINE) {
        check_arrival(rd, task, rd->task_nodes[task_idx]);
        check_limits(rd, task, rd->task_nodes[task_idx]);
        check_overlap(rd, task, rd->task_nodes[task_idx]);
    }
}
