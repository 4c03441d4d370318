/* Checks across tasks, and the values that depend on all of them: names, priorities, demand. See spec_read.h. */
#include "workloads/spec_read.h"

#include "rt/loopback.h"

#include <inttypes.h>
#include <string.h>

#define PRIORITY_TOP 80 /* of the task with the shortest deadline or period, when the file gives no priority */

static int32_t task_node(const struct ei_spec_reader *rd, int32_t task_idx, const char *key)
{
    return ei_spec_node(rd, rd->task_nodes[task_idx], key, NULL);
}

static void check_names(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (wl->tasks[i].name[0] != '\0' && strcmp(wl->tasks[i].name, wl->tasks[j].name) == 0) {
                ei_spec_error(rd, task_node(rd, i, "name"), NULL, "two tasks are named '%s'", wl->tasks[i].name);
                break;
            }
        }
    }
}

/* Threads of which two shared a CPU would wait for each other in every block. */
static void check_lane_threads(struct ei_spec_reader *rd)
{
    for (int32_t i = 0; i < rd->wl->lane_count; i++) {
        const struct ei_lane_spec *lane = &rd->wl->lanes[i];
        const int32_t cpus = ei_cpuset_count(&lane->cpus);
        if (lane->threads > 1 && cpus > 0 && cpus < lane->threads) {
            const int32_t node = ei_spec_node(rd, rd->yaml.root, "lanes", NULL);
            ei_spec_error(rd, ei_spec_node(rd, node, lane->name, "threads"), "one CPU for each thread: name more cpus",
                          "lane '%s' has %d threads on %d CPU%s", lane->name, lane->threads, cpus,
                          cpus == 1 ? "" : "s");
        }
    }
}

static void warn_unused(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    bool is_lane_used[EI_LANES_MAX] = {false};
    bool is_model_used[EI_MODELS_MAX] = {false};
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int32_t k = 0; k < wl->tasks[i].stage_count; k++) {
            const struct ei_stage_spec *stage = &wl->tasks[i].stages[k];
            if (stage->lane_idx >= 0) {
                is_lane_used[stage->lane_idx] = true;
            }
            for (int32_t m = 0; m < stage->more_lane_count; m++) {
                is_lane_used[stage->more_lanes[m]] = true;
            }
            if (stage->model_idx >= 0) {
                is_model_used[stage->model_idx] = true;
            }
        }
    }
    for (int32_t i = 0; i < wl->lane_count; i++) {
        if (is_lane_used[i] && wl->lanes[i].kind == EI_SPEC_LANE_CUDA && wl->lanes[i].fallback_idx >= 0) {
            is_lane_used[wl->lanes[i].fallback_idx] = true;
        }
    }
    for (int32_t i = 0; i < wl->lane_count; i++) {
        if (!is_lane_used[i]) {
            ei_diagnostics_add(rd->diag, EI_SEVERITY_WARNING, wl->lanes[i].place, (int32_t)strlen(wl->lanes[i].name),
                               NULL, "no task uses lane '%s'", wl->lanes[i].name);
        }
    }
    for (int32_t i = 0; i < wl->model_count; i++) {
        if (!is_model_used[i]) {
            ei_diagnostics_add(rd->diag, EI_SEVERITY_WARNING, wl->models[i].place, (int32_t)strlen(wl->models[i].name),
                               NULL, "no task uses model '%s'", wl->models[i].name);
        }
    }
}

/* ---- priorities ---- */

/* What a policy orders by: the period (of a chain that of its head) under rate_monotonic, else the deadline; none
 * last. */
static int64_t rank_ns(const struct ei_workload *wl, int32_t task_idx)
{
    const struct ei_arrival_spec *arrival = &wl->tasks[ei_workload_chain_head(wl, task_idx)].arrival;
    const int64_t ns = wl->scheduler.policy == EI_SPEC_POLICY_RATE_MONOTONIC ? ei_spec_interarrival_ns(arrival)
                                                                             : wl->tasks[task_idx].deadline_ns;
    return ns > 0 ? ns : INT64_MAX;
}

/* Lowest rank first, then the order of the file. */
static void assign_priorities(struct ei_workload *wl)
{
    bool is_done[EI_TASKS_MAX] = {false};
    for (int32_t priority = PRIORITY_TOP;; priority--) {
        int32_t best = -1;
        int64_t best_ns = INT64_MAX;
        for (int32_t i = 0; i < wl->task_count; i++) {
            const int64_t ns = rank_ns(wl, i);
            if (!is_done[i] && wl->tasks[i].class_ != EI_SPEC_CLASS_OTHER && (best < 0 || ns < best_ns)) {
                best = i;
                best_ns = ns;
            }
        }
        if (best < 0) {
            return;
        }
        is_done[best] = true;
        if (wl->tasks[best].class_ == EI_SPEC_CLASS_DEADLINE) {
            wl->tasks[best].fallback_priority = priority;
        } else {
            wl->tasks[best].priority = priority;
        }
    }
}

/* Beside given priorities: that of the highest task whose deadline is not shorter, else the least. */
static void insert_fallback(struct ei_workload *wl, struct ei_task_spec *task)
{
    int32_t highest = 0, least = PRIORITY_TOP;
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_task_spec *other = &wl->tasks[i];
        if (other->class_ != EI_SPEC_CLASS_FIFO || other->priority < 1) {
            continue;
        }
        const bool is_longer = other->deadline_ns == EI_NONE_NS || other->deadline_ns >= task->deadline_ns;
        highest = is_longer && other->priority > highest ? other->priority : highest;
        least = other->priority < least ? other->priority : least;
    }
    task->fallback_priority = highest > 0 ? highest : least;
}

static void warn_ties(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO && wl->tasks[i].priority > 0 &&
                wl->tasks[i].priority == wl->tasks[j].priority) {
                ei_spec_warn(rd, task_node(rd, i, "priority"), "equal priorities do not preempt each other",
                             "tasks '%s' and '%s' have the same priority %d", wl->tasks[j].name, wl->tasks[i].name,
                             wl->tasks[i].priority);
                break;
            }
        }
    }
}

static void check_priorities(struct ei_spec_reader *rd)
{
    struct ei_workload *wl = rd->wl;
    const bool is_assigned = wl->scheduler.policy != EI_SPEC_POLICY_FIXED_PRIORITY;
    int32_t given = 0;
    int32_t fifo = 0;
    for (int32_t i = 0; i < wl->task_count; i++) {
        const int32_t node = task_node(rd, i, "priority");
        if (wl->tasks[i].class_ == EI_SPEC_CLASS_DEADLINE) {
            wl->tasks[i].priority = EI_SPEC_DEADLINE_PRIORITY;
            if (node >= 0) {
                ei_spec_error(rd, node, "leave it out: it runs above all of class fifo",
                              "task '%s' of class deadline has no priority", wl->tasks[i].name);
            }
            continue;
        }
        if (wl->tasks[i].class_ == EI_SPEC_CLASS_OTHER) {
            wl->tasks[i].priority = 0;
            if (node >= 0) {
                ei_spec_error(rd, node, "leave it out", "task '%s' of class other has no priority", wl->tasks[i].name);
            }
            continue;
        }
        fifo++;
        given += node >= 0 ? 1 : 0;
        if (node >= 0 && is_assigned) {
            ei_spec_error(rd, node, "leave it out, or write policy: fixed_priority",
                          "the scheduler's policy assigns the priority of task '%s'", wl->tasks[i].name);
        }
    }
    if (given == 0 || is_assigned) {
        assign_priorities(wl);
        return;
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (wl->tasks[i].class_ == EI_SPEC_CLASS_DEADLINE) {
            insert_fallback(wl, &wl->tasks[i]);
        }
    }
    for (int32_t i = 0; i < wl->task_count && given < fifo; i++) {
        if (wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO && task_node(rd, i, "priority") < 0) {
            ei_spec_error(rd, rd->task_nodes[i], "give every task of class fifo a priority (1..98), or none",
                          "task '%s' has no priority, but others have", wl->tasks[i].name);
        }
    }
    warn_ties(rd);
}

/* ---- demand, where times are known ---- */

/* Releases per ns in the long run, of a chain its head's; 0 when unknown or finite. */
static double release_rate(const struct ei_workload *wl, int32_t task_idx)
{
    const struct ei_arrival_spec *a = &wl->tasks[ei_workload_chain_head(wl, task_idx)].arrival;
    switch ((int)a->model) {
    case EI_ARRIVAL_PERIODIC:
        return a->period_ns > 0 ? 1.0 / (double)a->period_ns : 0.0;
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL:
        return a->mean_ns > 0 ? 1.0 / (double)a->mean_ns : 0.0;
    case EI_ARRIVAL_BURST:
        return a->period_ns > 0 ? (double)a->count / (double)a->period_ns : 0.0;
    default:
        return 0.0;
    }
}

/* Time of a whole emulated network, every exit included; 0 for a real one, whose times are measured elsewhere. */
static double network_ns(const struct ei_model_spec *model)
{
    double sum_ns = 0.0;
    for (int32_t i = 0; model->kind == EI_SPEC_MODEL_EMULATE && i < model->block_count; i++) {
        sum_ns += (double)model->blocks[i].conv.median_ns + (double)model->blocks[i].branch.median_ns;
    }
    return sum_ns;
}

/* The part of its networks that a stage spends on a lane: of several lanes the same on each. */
static double share_of_lane(const struct ei_stage_spec *stage, int32_t lane_idx)
{
    bool is_used = stage->lane_idx == lane_idx;
    for (int32_t i = 0; i < stage->more_lane_count; i++) {
        is_used |= stage->more_lanes[i] == lane_idx;
    }
    return is_used ? 1.0 / (1 + stage->more_lane_count) : 0.0;
}

/* Known time of one job; lane_idx >= 0: only what it spends on that lane. */
static double job_ns(const struct ei_workload *wl, const struct ei_task_spec *task, int32_t lane_idx)
{
    double sum_ns = 0.0;
    for (int32_t i = 0; i < task->stage_count; i++) {
        const struct ei_stage_spec *stage = &task->stages[i];
        if (stage->spin_ns > 0 && lane_idx < 0) {
            sum_ns += (double)stage->spin_ns;
        }
        if (stage->model_idx >= 0) {
            sum_ns += network_ns(&wl->models[stage->model_idx]) * (lane_idx < 0 ? 1.0 : share_of_lane(stage, lane_idx));
        }
    }
    return sum_ns;
}

/* Of that what needs its CPU. */
static double cpu_job_ns(const struct ei_workload *wl, const struct ei_task_spec *task)
{
    const int32_t lane_idx = task->nn_stage_idx >= 0 ? task->stages[task->nn_stage_idx].lane_idx : EI_NONE_IDX;
    const bool is_off_cpu = lane_idx >= 0 && ei_lane_is_off_cpu(&wl->lanes[lane_idx]);
    return job_ns(wl, task, -1) - (is_off_cpu ? job_ns(wl, task, lane_idx) : 0.0);
}

static void warn_lane_demand(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    for (int32_t lane = 0; lane < wl->lane_count; lane++) {
        double demand = 0.0;
        for (int32_t i = 0; i < wl->task_count; i++) {
            demand += release_rate(wl, i) * job_ns(wl, &wl->tasks[i], lane);
        }
        if (demand > 1.0) {
            ei_diagnostics_add(
                rd->diag, EI_SEVERITY_WARNING, wl->lanes[lane].place, (int32_t)strlen(wl->lanes[lane].name),
                "low tasks will leave early, if they may, or miss",
                "the tasks of lane '%s' ask for %.0f %% of its time", wl->lanes[lane].name, demand * 100.0);
        }
    }
}

static void warn_cpu_demand(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    for (int cpu = 0; cpu < EI_CPU_MAX; cpu++) {
        double demand = 0.0;
        int32_t first = -1;
        for (int32_t i = 0; i < wl->task_count; i++) {
            const struct ei_task_spec *task = &wl->tasks[i];
            if (task->class_ == EI_SPEC_CLASS_FIFO && ei_cpuset_has(&task->cpus, cpu) &&
                ei_cpuset_count(&task->cpus) == 1) {
                demand += release_rate(wl, i) * cpu_job_ns(wl, task);
                first = first < 0 ? i : first;
            }
        }
        if (demand > wl->platform.rt_load_cap && wl->platform.rt_load_cap > 0.0) {
            const int32_t cpus = task_node(rd, first, "cpus");
            ei_spec_warn(rd, cpus >= 0 ? cpus : rd->task_nodes[first],
                         "low tasks will leave early, if they may, or miss",
                         "the tasks of CPU %d ask for %.0f %% of its time, the cap is %.0f %%", cpu, demand * 100.0,
                         wl->platform.rt_load_cap * 100.0);
        }
    }
}

/* CPUs that jobs of the task can keep busy at a time. */
static double cpus_at_a_time(const struct ei_task_spec *task)
{
    const int32_t jobs = task->overlap < task->stage_count ? task->overlap : task->stage_count;
    const int32_t cpus = ei_cpuset_count(&task->cpus);
    return cpus > 0 && cpus < jobs ? cpus : jobs;
}

static void warn_task_demand(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_task_spec *task = &wl->tasks[i];
        const double demand = release_rate(wl, i) * job_ns(wl, task, -1);
        if (demand > cpus_at_a_time(task)) {
            ei_spec_warn(rd, task_node(rd, i, "arrival"), NULL, "task '%s' alone asks for %.0f %% of a CPU's time",
                         task->name, demand * 100.0);
        } else if (task->deadline_ns > 0 && job_ns(wl, task, -1) > (double)task->deadline_ns) {
            const int32_t node = task_node(rd, i, "deadline");
            ei_spec_warn(rd, node >= 0 ? node : rd->task_nodes[i], NULL,
                         "task '%s' takes longer than its deadline even when it is alone", task->name);
        }
    }
}

static void check_platform(struct ei_spec_reader *rd)
{
    const struct ei_platform_spec *platform = &rd->wl->platform;
    const int32_t node = ei_spec_node(rd, rd->yaml.root, "platform", "cpu_dma_latency");
    if (node >= 0 && platform->cpu_dma_latency_ns > 0 && platform->cpu_dma_latency_ns % 1000 != 0) {
        ei_spec_error(rd, node, "the kernel takes whole microseconds", "cpu_dma_latency is no multiple of 1us");
    }
}

static void check_outputs(struct ei_spec_reader *rd)
{
    const int32_t node = ei_spec_node(rd, rd->yaml.root, "outputs", "metrics");
    struct einet_error err = {0};
    if (node >= 0 && rd->wl->outputs.metrics[0] != '\0' && ei_loopback_check(rd->wl->outputs.metrics, &err) < 0) {
        ei_spec_error(rd, node, NULL, "metrics: %s", err.text);
    }
}

/* A word that could not be read has been reported already. */
static bool may_be_trace(struct ei_term exit_time)
{
    return exit_time.word == EI_SPEC_EXIT_TIME_TRACE || exit_time.word == EI_SPEC_UNKNOWN;
}

/* A recording that the file's planner names must be of use: to its own exit_time, or to that of a task. */
static void check_planner(struct ei_spec_reader *rd)
{
    const struct ei_workload *wl = rd->wl;
    const int32_t node = ei_spec_node(rd, rd->yaml.root, "planner", "exit_times");
    bool is_used = may_be_trace(wl->planner.exit_time);
    for (int32_t i = 0; i < wl->task_count; i++) {
        is_used |= may_be_trace(wl->tasks[i].planner.exit_time);
    }
    if (node >= 0 && !is_used) {
        ei_spec_error(rd, node, "write exit_time: trace, or remove it",
                      "'exit_times' of the planner belongs to exit_time: trace");
    }
}

static void check_trace(struct ei_spec_reader *rd)
{
    const struct ei_trace_spec *trace = &rd->wl->outputs.trace;
    const int32_t node = ei_yaml_find(&rd->yaml, ei_spec_node(rd, rd->yaml.root, "outputs", "trace"), "save_on");
    if (node >= 0 && trace->save_on == EI_SPEC_SAVE_MISS && trace->last_ns == EI_NONE_NS) {
        ei_spec_error(rd, node, "add last: 30s", "save_on: miss needs to know how much around a miss is to be saved");
    }
}

void ei_spec_check(struct ei_spec_reader *rd)
{
    if (ei_yaml_node(&rd->yaml, rd->yaml.root)->kind != EI_YAML_MAP) {
        return;
    }
    check_platform(rd);
    check_trace(rd);
    check_outputs(rd);
    check_names(rd);
    ei_spec_check_lanes(rd);
    ei_spec_check_chains(rd);
    check_lane_threads(rd);
    for (int32_t i = 0; i < rd->wl->task_count; i++) {
        ei_spec_check_task(rd, i);
    }
    ei_spec_check_topics(rd);
    check_planner(rd);
    check_priorities(rd);
    if (rd->diag->errors == 0) {
        warn_unused(rd);
        warn_task_demand(rd);
        warn_lane_demand(rd);
        warn_cpu_demand(rd);
    }
}
