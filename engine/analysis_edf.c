/* See analysis_model.h. EDF on one CPU and one lane of it: a job due later can hold the lane when the window begins,
 * for one block at an inherited deadline, and cannot get it within the window, since it does not run there. That is the
 * blocking of scheduler/demand.h. With a second CPU it could, and with a second lane there would be a second block.
 */
#include "engine/analysis_model.h"
#include "scheduler/demand.h"

struct edf_group {
    int32_t count;
    int32_t task[EI_TASKS_MAX]; /* index in the workload */
    struct ei_demand_task demand[EI_TASKS_MAX];
};

static bool is_in(const struct ei_analysis_model *model, int32_t i, int32_t group)
{
    return model->wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO && model->group[i] == group;
}

static int32_t lane_of(const struct ei_analysis_model *model, int32_t i)
{
    return model->nn_segment[i] == EI_NONE_IDX ? EI_NONE_IDX : model->segments[i][model->nn_segment[i]].lane;
}

static bool is_covered(const struct ei_analysis_model *model, int32_t group)
{
    int32_t lane = EI_NONE_IDX;
    for (int32_t i = 0; i < model->count; i++) {
        if (model->wl->tasks[i].class_ == EI_SPEC_CLASS_DEADLINE && model->group[i] == group) {
            return false; /* the demand of others knows nobody above all */
        }
        if (is_in(model, i, group) && lane_of(model, i) != EI_NONE_IDX) {
            if (lane != EI_NONE_IDX && lane != lane_of(model, i)) {
                return false;
            }
            lane = lane_of(model, i);
        }
        /* The one before in a chain releases jobs at times that the demand does not know; one whom the watchdog has
         * demoted runs behind everybody. */
        if (is_in(model, i, group) &&
            (model->wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER || model->may_be_demoted[i])) {
            return false;
        }
        /* The deadlines of a burst count from its releases, those of demand.h from arrivals a period apart. */
        if (is_in(model, i, group) && model->is_from_release[i] && model->tasks[i].jitter_ns > 0) {
            return false;
        }
    }
    for (int32_t i = 0; i < model->count && lane != EI_NONE_IDX; i++) {
        if (model->group[i] != group && lane_of(model, i) == lane) {
            return false;
        }
    }
    return ei_cpuset_count(&model->groups[group]) == 1;
}

static void add(const struct ei_analysis_model *model, int32_t i, struct edf_group *out)
{
    const struct ei_rta_task *task = &model->tasks[i];
    struct ei_demand_task *demand = &out->demand[out->count];
    *demand = (struct ei_demand_task){
        .period_ns = task->period_ns,
        .jitter_ns = task->jitter_ns,
        .deadline_ns = task->deadline_ns < EI_DEMAND_TIME_MAX_NS ? task->deadline_ns : EI_DEMAND_TIME_MAX_NS,
    };
    for (int32_t s = 0; s < task->segment_count; s++) {
        demand->wcet_ns += task->segments[s].wcet_ns;
    }
    if (model->nn_segment[i] != EI_NONE_IDX) {
        const struct ei_rta_segment *nn = &task->segments[model->nn_segment[i]];
        const bool is_whole = nn->max_nonpreemptive_ns == 0 || nn->max_nonpreemptive_ns > nn->wcet_ns;
        demand->max_nonpreemptive_ns = is_whole ? nn->wcet_ns : nn->max_nonpreemptive_ns;
    }
    out->task[out->count++] = i;
}

static void collect(const struct ei_analysis_model *model, int32_t group, struct edf_group *out)
{
    *out = (struct edf_group){0};
    for (int32_t i = 0; i < model->count; i++) {
        if (is_in(model, i, group)) {
            add(model, i, out);
        }
    }
}

static bool solve_group(struct edf_group *group, bool has_sensitivity, struct ei_analysis *out)
{
    bool is_all_kept = true;
    for (int32_t j = 0; j < group->count; j++) {
        struct ei_analysis_task *task = &out->tasks[group->task[j]];
        task->response_ns = ei_demand_response(group->demand, group->count, j);
        task->is_schedulable = task->spec->deadline_ns == EI_NONE_NS ||
                               (task->response_ns >= 0 && task->response_ns <= task->spec->deadline_ns);
        is_all_kept = is_all_kept && task->is_schedulable;
        if (has_sensitivity) {
            task->largest_scale_ppm =
                ei_demand_largest_scale_ppm(group->demand, group->count, j, EI_ANALYSIS_SCALE_MAX_PPM);
            task->smallest_deadline_ns = ei_demand_smallest_deadline_ns(group->demand, group->count, j);
        }
    }
    /* The demand test can know more than the bounds of the single tasks. */
    if (!is_all_kept && ei_demand_is_schedulable(group->demand, group->count)) {
        for (int32_t j = 0; j < group->count; j++) {
            out->tasks[group->task[j]].is_schedulable = true;
        }
        is_all_kept = true;
    }
    return is_all_kept;
}

bool ei_analysis_edf(const struct ei_analysis_model *model, bool has_sensitivity, struct ei_analysis *out)
{
    bool is_all_kept = true;
    for (int32_t g = 0; g < model->group_count; g++) {
        struct edf_group group;
        collect(model, g, &group);
        if (is_covered(model, g)) {
            is_all_kept = solve_group(&group, has_sensitivity, out) && is_all_kept;
            continue;
        }
        for (int32_t j = 0; j < group.count; j++) {
            struct ei_analysis_task *task = &out->tasks[group.task[j]];
            task->response_ns = EI_ANALYSIS_NO_BOUND;
            task->is_schedulable = task->spec->deadline_ns == EI_NONE_NS;
            is_all_kept = is_all_kept && task->is_schedulable;
        }
    }
    return is_all_kept;
}
