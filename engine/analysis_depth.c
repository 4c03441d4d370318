/* See analysis_model.h: an estimate of the depth of exit, from means. E[exits] = sum over k of P(at least k exits). */
#include "engine/analysis_model.h"

#define LOAD_MAX 0.99 /* of higher tasks; above it a job does not end in any case */

static double mean_interarrival_ns(const struct ei_analysis_model *model, int32_t i)
{
    const struct ei_arrival_spec *arrival = &model->wl->tasks[ei_workload_chain_head(model->wl, i)].arrival;
    return (double)(arrival->model == EI_ARRIVAL_SPORADIC ? arrival->mean_ns : model->tasks[i].period_ns);
}

/* Median time of segments from..to; those without a profile as they are. */
static int64_t median_ns(const struct ei_analysis_model *model, int32_t i, int32_t from, int32_t to)
{
    int64_t sum_ns = 0;
    for (int32_t s = from; s <= to; s++) {
        sum_ns += s == model->nn_segment[i] && model->profiles[i].exits > 0
                      ? ei_analysis_exits_ns(model, i, model->profiles[i].exits, EI_TIME_P50)
                      : model->segments[i][s].wcet_ns;
    }
    return sum_ns;
}

static bool is_higher(const struct ei_analysis_model *model, int32_t k, int32_t i)
{
    return model->tasks[k].priority > model->tasks[i].priority;
}

static bool shares_lane(const struct ei_analysis_model *model, int32_t k, int32_t i)
{
    const int32_t of_k = model->nn_segment[k], of_i = model->nn_segment[i];
    return of_k != EI_NONE_IDX && of_i != EI_NONE_IDX && model->segments[i][of_i].lane != EI_RTA_NOWHERE &&
           model->segments[k][of_k].lane == model->segments[i][of_i].lane;
}

bool ei_analysis_has_preemptor(const struct ei_analysis_model *model, int32_t task)
{
    for (int32_t k = 0; k < model->count; k++) {
        if (k != task && is_higher(model, k, task) && shares_lane(model, k, task)) {
            return true;
        }
    }
    return false;
}

/* A job k that comes to the lane at a time t while job i is there is released before t, and unfinished: if its response
 * has a bound, by no more than that. Due before i, which is due at most i's deadline after t, it is released at least
 * the difference of the deadlines before t. */
bool ei_analysis_is_overtaken(const struct ei_analysis_model *model, const struct ei_analysis *analysis, int32_t task)
{
    const int64_t due_ns = model->tasks[task].deadline_ns;
    for (int32_t k = 0; k < model->count; k++) {
        const int64_t due_k_ns = model->tasks[k].deadline_ns, response_ns = analysis->tasks[k].response_ns;
        if (k == task || due_k_ns == INT64_MAX || !shares_lane(model, k, task)) {
            continue;
        }
        if (due_ns == INT64_MAX || response_ns == EI_ANALYSIS_NO_BOUND || response_ns > due_k_ns - due_ns) {
            return true;
        }
    }
    return false;
}

static double higher_load(const struct ei_analysis_model *model, int32_t i)
{
    double load = 0.0;
    for (int32_t k = 0; k < model->count; k++) {
        if (k != i && is_higher(model, k, i) && model->group[k] == model->group[i]) {
            const int32_t nn = model->nn_segment[k];
            const bool is_driven = nn != EI_NONE_IDX && model->segments[k][nn].is_driven;
            const int64_t device_ns = is_driven ? median_ns(model, k, nn, nn) : 0;
            load += (double)(median_ns(model, k, 0, model->tasks[k].segment_count - 1) - device_ns) /
                    mean_interarrival_ns(model, k);
        }
    }
    return load < LOAD_MAX ? load : LOAD_MAX;
}

/* No higher task asks for the lane within held_ns: of a task with mean distance T and a phase that is not known, that
 * has the probability 1 - held / T. */
static double undisturbed(const struct ei_analysis_model *model, int32_t i, int64_t held_ns)
{
    double p = 1.0;
    for (int32_t k = 0; k < model->count; k++) {
        if (k != i && is_higher(model, k, i) && shares_lane(model, k, i)) {
            const double met = (double)held_ns / mean_interarrival_ns(model, k);
            p *= met < 1.0 ? 1.0 - met : 0.0;
        }
    }
    return p;
}

/* Of the jobs before one of this task in its chain, and of what it does outside its network. */
static int64_t around_ns(const struct ei_analysis_model *model, int32_t i)
{
    const int32_t nn = model->nn_segment[i], last = model->tasks[i].segment_count - 1;
    int64_t sum_ns = median_ns(model, i, 0, nn - 1) + median_ns(model, i, nn + 1, last);
    while (model->wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER) {
        i = model->wl->tasks[i].arrival.after_idx;
        sum_ns += median_ns(model, i, 0, model->tasks[i].segment_count - 1);
    }
    return sum_ns;
}

double ei_analysis_expected_exits(const struct ei_analysis_model *model, int32_t task)
{
    const struct ei_task_spec *spec = &model->wl->tasks[task];
    const struct ei_et_profile *et = &model->profiles[task];
    if (model->nn_segment[task] == EI_NONE_IDX) {
        return 0.0;
    }
    const double slowed = 1.0 / (1.0 - higher_load(model, task));
    const int64_t outside_ns = around_ns(model, task);
    double expected = 0.0;
    for (int32_t k = 0; k < et->exits; k++) {
        const int64_t until_ns = ei_analysis_exits_ns(model, task, k + 1, EI_TIME_P50);
        if (spec->deadline_ns != EI_NONE_NS && (double)(outside_ns + until_ns) * slowed > (double)spec->deadline_ns) {
            break;
        }
        /* A job that is preempted computes no branch that has not begun, except the first. */
        const bool may_stop = k > 0 && ei_analysis_may_be_stopped(spec);
        expected += may_stop ? undisturbed(model, task, until_ns - et->branch[k].p50_ns) : 1.0;
    }
    return expected;
}
