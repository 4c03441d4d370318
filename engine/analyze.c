/* See analyze.h: model, priorities, bounds, loads, and what is read off them. */
#include "engine/analyze.h"

#include "engine/analysis_model.h"
#include "scheduler/assign.h"
#include "scheduler/response_time_sensitivity.h"

#include <errno.h>
#include <stdlib.h>

#define TOP_PRIORITY 98

/* All that a call works with; large, so on the heap. */
struct work {
    struct ei_analysis_model model, light; /* light: a copy with other times */
    struct ei_rta rta;
    struct ei_rta_state states[EI_TASKS_MAX];
    struct ei_rta_bound bounds[EI_TASKS_MAX], trial_bounds[EI_TASKS_MAX];
};

/* ---- priorities ---- */

/* Tasks of class other have priority 0 in the model, those of class deadline one above all, and keep it under every
 * assignment. */
static void assign_keeping_low(struct ei_rta_task *tasks, int32_t count,
                               void (*assign)(struct ei_rta_task *tasks, int32_t count, int32_t top))
{
    bool is_low[EI_TASKS_MAX], is_top[EI_TASKS_MAX];
    for (int32_t i = 0; i < count; i++) {
        is_low[i] = tasks[i].priority == 0;
        is_top[i] = tasks[i].priority > TOP_PRIORITY;
    }
    assign(tasks, count, TOP_PRIORITY);
    for (int32_t i = 0; i < count; i++) {
        tasks[i].priority = is_low[i] ? 0 : is_top[i] ? EI_SPEC_DEADLINE_PRIORITY : tasks[i].priority;
    }
}

static void assign_rates(struct ei_rta_task *tasks, int32_t count)
{
    assign_keeping_low(tasks, count, ei_assign_rate_monotonic);
}

static void assign_deadlines(struct ei_rta_task *tasks, int32_t count)
{
    assign_keeping_low(tasks, count, ei_assign_deadline_monotonic);
}

static void assign_searched(struct work *work)
{
    struct ei_analysis_model *model = &work->model;
    bool is_low[EI_TASKS_MAX], is_top[EI_TASKS_MAX];
    for (int32_t i = 0; i < model->count; i++) {
        is_low[i] = model->tasks[i].priority == 0;
        is_top[i] = model->tasks[i].priority > TOP_PRIORITY;
    }
    (void)ei_assign_audsley(&work->rta, model->tasks, work->states, work->bounds, model->count, TOP_PRIORITY);
    for (int32_t i = 0; i < model->count; i++) {
        model->tasks[i].priority = is_low[i] ? 0 : is_top[i] ? EI_SPEC_DEADLINE_PRIORITY : model->tasks[i].priority;
    }
}

static ei_rta_assign_fn assign_of(enum ei_analysis_policy policy)
{
    return policy == EI_ANALYSIS_RATE_MONOTONIC       ? assign_rates
           : policy == EI_ANALYSIS_DEADLINE_MONOTONIC ? assign_deadlines
           : policy == EI_ANALYSIS_EDF                ? assign_deadlines
                                                      : NULL;
}

static enum ei_rta_lane_order order_of(enum ei_analysis_policy policy)
{
    return policy == EI_ANALYSIS_EDF ? EI_RTA_LANES_BY_DEADLINE : EI_RTA_LANES_BY_PRIORITY;
}

/* ---- bounds ---- */

static int solve(struct work *work, enum ei_analysis_policy policy, struct ei_diagnostics *diag)
{
    struct einet_error err = {0};
    const struct ei_analysis_model *model = &work->model;
    if (ei_rta_init(&work->rta, model->tasks, work->states, model->count, &err) < 0) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, (struct ei_place){0, 0}, 1, NULL, "the analysis refuses: %s",
                           err.text);
        return EINET_E_FILE;
    }
    work->rta.lane_order = order_of(policy);
    (void)ei_rta_solve(&work->rta, work->bounds);
    return 0;
}

static bool is_kept(const struct ei_analysis_task *task, int64_t bound_ns)
{
    return task->spec->deadline_ns == EI_NONE_NS || (bound_ns >= 0 && bound_ns <= task->spec->deadline_ns);
}

static int64_t lesser_bound(int64_t a_ns, int64_t b_ns)
{
    return a_ns < 0 ? b_ns : b_ns < 0 || a_ns < b_ns ? a_ns : b_ns;
}

/* Of a burst or trace both count from when a job was ready, which is no earlier than its nominal arrival. */
static void take_bound(const struct ei_analysis_model *model, int32_t i, const struct ei_rta_bound *bound,
                       struct ei_analysis_task *out)
{
    out->response_ns = bound->response_ns;
    out->mandatory_ns = bound->mandatory_ns;
    out->blocking_ns = bound->blocking_ns;
    if (model->is_from_release[i]) {
        out->response_ns = lesser_bound(bound->own_response_ns, bound->response_ns);
        out->mandatory_ns = lesser_bound(bound->mandatory_ns, out->response_ns);
    }
    out->is_schedulable = is_kept(out, out->response_ns);
}

/* The most exits of which the bound of a job that computes no more keeps the deadline. */
static int32_t deepest_exit(struct work *work, int32_t i, const struct ei_analysis_task *task,
                            const struct ei_analysis *analysis)
{
    struct ei_rta_segment *segment = &work->model.segments[i][work->model.nn_segment[i]];
    const int64_t first_ns = segment->mandatory_ns;
    int32_t good = 1, bad = task->exits;
    while (bad - good > 1) {
        const int32_t middle = good + (bad - good) / 2;
        struct ei_analysis_task trial = *task;
        segment->mandatory_ns = ei_analysis_exits_ns(&work->model, i, middle, analysis->quantile);
        if (ei_rta_init(&work->rta, work->model.tasks, work->states, work->model.count, NULL) < 0) {
            break;
        }
        work->rta.lane_order = order_of(analysis->policy);
        (void)ei_rta_solve(&work->rta, work->trial_bounds);
        take_bound(&work->model, i, &work->trial_bounds[i], &trial);
        if (is_kept(&trial, trial.mandatory_ns)) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    segment->mandatory_ns = first_ns;
    return good;
}

/* How many exits a job computes by its deadline whatever happens. */
static int32_t guaranteed_exits(struct work *work, int32_t i, const struct ei_analysis_task *task,
                                const struct ei_analysis *analysis)
{
    const int32_t over_limits = ei_analysis_exits_over_limits(&work->model, i);
    const bool has_preemptor = analysis->policy == EI_ANALYSIS_EDF ? ei_analysis_is_overtaken(&work->model, analysis, i)
                                                                   : ei_analysis_has_preemptor(&work->model, i);
    const bool may_be_stopped = has_preemptor && ei_analysis_may_be_stopped(task->spec);
    const bool has_first = task->mandatory_ns >= 0 && is_kept(task, task->mandatory_ns);
    if (task->exits == 0 || !has_first || over_limits == 0 || ei_analysis_is_queued_ahead(&work->model, i)) {
        return 0;
    }
    if (may_be_stopped || task->exits == 1 || over_limits == 1) {
        return 1;
    }
    if (task->response_ns >= 0 && task->is_schedulable) {
        return task->exits;
    }
    return task->spec->on_preempt == EI_SPEC_ON_PREEMPT_RESTART ? 1 : deepest_exit(work, i, task, analysis);
}

static void find_sensitivity(struct work *work, struct ei_analysis *out)
{
    const struct ei_rta_trial trial = {
        .rta = &work->rta,
        .tasks = work->model.tasks,
        .states = work->states,
        .count = work->model.count,
        .lane_order = order_of(out->policy),
        .assign = assign_of(out->policy),
    };
    for (int32_t i = 0; i < out->task_count; i++) {
        struct ei_analysis_task *task = &out->tasks[i];
        if (!task->is_bounded) {
            continue;
        }
        task->largest_scale_ppm = ei_rta_largest_scale_ppm(&trial, i, EI_ANALYSIS_SCALE_MAX_PPM);
        task->smallest_deadline_ns = task->response_ns;
        if (assign_of(out->policy) == assign_deadlines && task->spec->deadline_ns != EI_NONE_NS) {
            task->smallest_deadline_ns = ei_rta_smallest_deadline_ns(&trial, i, task->spec->deadline_ns);
        }
    }
}

/* Bit l: the task may use lane l. */
static uint32_t lanes_of(const struct ei_analysis_model *model, int32_t i)
{
    const struct ei_task_spec *task = &model->wl->tasks[i];
    if (model->nn_segment[i] == EI_NONE_IDX) {
        return 0;
    }
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    if (model->wl->lanes[stage->lane_idx].preempt == EI_SPEC_LANE_PREEMPT_KERNEL) {
        return 0;
    }
    uint32_t lanes = UINT32_C(1) << stage->lane_idx;
    for (int32_t l = 0; l < stage->more_lane_count; l++) {
        lanes |= UINT32_C(1) << stage->more_lanes[l];
    }
    return lanes;
}

/* The bounds know one lane a task. A task of several lanes takes the one that suits it, and whom the watchdog has
 * demoted holds its lane for as long as others run. Lanes that are shared so: bit l = lane l. */
static uint32_t unknown_lanes(const struct ei_analysis_model *model)
{
    uint32_t unknown = 0;
    for (int32_t i = 0; i < model->count; i++) {
        const uint32_t lanes = lanes_of(model, i);
        const bool is_choice = (lanes & (lanes - 1)) != 0;
        for (int32_t k = 0; k < model->count; k++) {
            const bool is_met = k != i && (lanes & lanes_of(model, k)) != 0;
            unknown |= is_met && (is_choice || model->may_be_demoted[i]) ? lanes : 0;
        }
    }
    return unknown;
}

/* The bounds know tasks whose jobs follow one another. With overlap that is so when a job is over before the next one
 * is released: by induction no two are ever in flight. */
static bool may_overlap(const struct ei_analysis_model *model, const struct ei_analysis *analysis, int32_t i)
{
    const struct ei_task_spec *head = &model->wl->tasks[ei_workload_chain_head(model->wl, i)];
    const bool has_distance = head->arrival.model == EI_ARRIVAL_PERIODIC ||
                              head->arrival.model == EI_ARRIVAL_SPORADIC || head->arrival.model == EI_ARRIVAL_EXTERNAL;
    const int64_t bound_ns = analysis->tasks[i].response_ns;
    return analysis->tasks[i].is_bounded && model->wl->tasks[i].overlap > 1 &&
           !(has_distance && bound_ns >= 0 && bound_ns <= model->tasks[i].period_ns);
}

/* Of the tasks of such lanes, and of those whose jobs may overlap. */
static int32_t greatest_priority(const struct ei_analysis_model *model, const struct ei_analysis *analysis,
                                 uint32_t lanes, int32_t at_least)
{
    int32_t highest = at_least;
    for (int32_t i = 0; i < analysis->task_count; i++) {
        const bool is_cause = (lanes_of(model, i) & lanes) != 0 || may_overlap(model, analysis, i);
        if (analysis->tasks[i].is_bounded && is_cause && model->tasks[i].priority > highest) {
            highest = model->tasks[i].priority;
        }
    }
    return highest;
}

/* Which tasks nothing is known of: those of such lanes, whose jobs may overlap, whom the watchdog may demote, who come
 * after one of them in a chain, and all that the first two and the last can delay (holders run at most at the priority
 * of the highest of them). On lanes by deadline an unknown job may go before any other, so its lane is then such a lane
 * itself. */
static bool find_unknown(const struct ei_analysis_model *model, const struct ei_analysis *analysis, bool *out_unknown)
{
    uint32_t lanes = unknown_lanes(model);
    int32_t highest = 0;
    bool is_any = false;
    for (bool is_growing = true; is_growing;) {
        is_growing = false;
        highest = greatest_priority(model, analysis, lanes, highest);
        for (int32_t i = 0; i < analysis->task_count; i++) {
            const int32_t priority = model->tasks[i].priority, before = model->tasks[i].after;
            const bool is_late = before != EI_RTA_NO_TASK && out_unknown[before];
            if (out_unknown[i] || !analysis->tasks[i].is_bounded ||
                (priority > highest && !is_late && !model->may_be_demoted[i])) {
                continue;
            }
            highest = is_late && priority > highest ? priority : highest;
            lanes |= analysis->policy == EI_ANALYSIS_EDF ? lanes_of(model, i) : 0;
            out_unknown[i] = is_growing = is_any = true;
        }
    }
    return is_any;
}

static void forget_unknown(const struct ei_analysis_model *model, struct ei_analysis *out)
{
    bool is_unknown[EI_TASKS_MAX] = {false};
    bool is_any = find_unknown(model, out, is_unknown);
    for (int32_t i = 0; i < out->task_count; i++) { /* beyond the period scales and deadlines would not be sound */
        is_any = is_any || model->wl->tasks[i].overlap > 1;
    }
    for (int32_t i = 0; i < out->task_count; i++) {
        struct ei_analysis_task *task = &out->tasks[i];
        if (is_unknown[i]) {
            task->may_overlap = may_overlap(model, out, i);
            task->response_ns = task->mandatory_ns = EI_ANALYSIS_NO_BOUND;
            task->is_schedulable = is_kept(task, EI_ANALYSIS_NO_BOUND);
            task->is_unknown = true;
        }
        if (is_any) { /* they are about all tasks */
            task->largest_scale_ppm = task->smallest_deadline_ns = EI_ANALYSIS_NO_BOUND;
        }
    }
}

static int find_bounds(struct work *work, const struct ei_analysis_options *options, struct ei_analysis *out,
                       struct ei_diagnostics *diag)
{
    const ei_rta_assign_fn assign = assign_of(out->policy);
    if (assign != NULL) {
        assign(work->model.tasks, work->model.count);
    } else if (out->policy == EI_ANALYSIS_AUDSLEY) {
        assign_searched(work);
    }
    const int rc = solve(work, out->policy, diag);
    for (int32_t i = 0; rc == 0 && i < out->task_count; i++) {
        if (out->tasks[i].is_bounded) {
            take_bound(&work->model, i, &work->bounds[i], &out->tasks[i]);
        }
    }
    if (rc == 0 && options->has_sensitivity) {
        find_sensitivity(work, out);
    }
    return rc;
}

/* ---- loads ---- */

/* Utilisation of real-time tasks, of whole jobs or of their mandatory parts. */
static void measure_loads(struct work *work, bool is_mandatory, int64_t *out_cpu_ppm, int64_t *out_lane_ppm)
{
    struct ei_analysis_model *light = &work->light;
    *light = work->model;
    for (int32_t i = 0; i < light->count; i++) {
        light->tasks[i].segments = light->segments[i];
        for (int32_t s = 0; s < light->tasks[i].segment_count; s++) {
            struct ei_rta_segment *segment = &light->segments[i][s];
            segment->wcet_ns = is_mandatory ? segment->mandatory_ns : segment->wcet_ns;
            segment->mandatory_ns = segment->wcet_ns;
        }
    }
    if (ei_rta_init(&work->rta, light->tasks, work->states, light->count, NULL) == 0) {
        ei_rta_utilisation(&work->rta, out_cpu_ppm, out_lane_ppm);
    }
}

static int64_t longest_block_ns(const struct ei_analysis_model *model, int32_t lane)
{
    int64_t longest_ns = 0;
    for (int32_t i = 0; i < model->count; i++) {
        if (model->nn_segment[i] == EI_NONE_IDX || model->segments[i][model->nn_segment[i]].lane != lane) {
            continue;
        }
        const struct ei_rta_segment *segment = &model->segments[i][model->nn_segment[i]];
        const bool is_whole = segment->max_nonpreemptive_ns == 0;
        const int64_t block_ns = is_whole ? segment->wcet_ns : segment->max_nonpreemptive_ns;
        longest_ns = block_ns > longest_ns ? block_ns : longest_ns;
    }
    return longest_ns;
}

static bool fill_loads(struct work *work, struct ei_analysis *out)
{
    int64_t cpu_ppm[2][EI_RTA_CPUS_MAX] = {0}, lane_ppm[2][EI_RTA_LANES_MAX] = {0};
    const struct ei_workload *wl = work->model.wl;
    const int64_t cap_ppm = (int64_t)(wl->platform.rt_load_cap * 1e6 + 0.5);
    bool is_below_cap = true;
    measure_loads(work, false, cpu_ppm[0], lane_ppm[0]);
    measure_loads(work, true, cpu_ppm[1], lane_ppm[1]);
    out->cpus_count = work->model.group_count;
    for (int32_t g = 0; g < out->cpus_count; g++) {
        struct ei_analysis_cpus *cpus = &out->cpus[g];
        *cpus = (struct ei_analysis_cpus){
            .cpus = work->model.groups[g], .used_ppm = cpu_ppm[0][g], .mandatory_ppm = cpu_ppm[1][g]};
        cpus->cap_ppm = cap_ppm * ei_cpuset_count(&cpus->cpus);
        cpus->is_below_cap = cpus->used_ppm <= cpus->cap_ppm;
        is_below_cap = is_below_cap && cpus->mandatory_ppm <= cpus->cap_ppm;
    }
    out->lane_count = wl->lane_count;
    for (int32_t l = 0; l < out->lane_count; l++) {
        out->lanes[l] = (struct ei_analysis_lane){
            .spec = &wl->lanes[l],
            .used_ppm = lane_ppm[0][l],
            .mandatory_ppm = lane_ppm[1][l],
            .cap_ppm = ei_lane_is_off_cpu(&wl->lanes[l]) ? EI_RTA_PPM : cap_ppm, /* nobody throttles a device */
            .longest_block_ns = longest_block_ns(&work->model, l),
        };
        out->lanes[l].is_below_cap = lane_ppm[0][l] <= out->lanes[l].cap_ppm;
        is_below_cap = is_below_cap && lane_ppm[1][l] <= out->lanes[l].cap_ppm;
    }
    return is_below_cap;
}

/* ---- the whole ---- */

static void describe_task(const struct ei_analysis_model *model, int32_t i, struct ei_analysis_task *out)
{
    const struct ei_task_spec *spec = &model->wl->tasks[i];
    *out = (struct ei_analysis_task){
        .spec = spec,
        .group = model->group[i],
        .is_bounded = spec->class_ != EI_SPEC_CLASS_OTHER,
        .response_ns = EI_ANALYSIS_NO_BOUND,
        .mandatory_ns = EI_ANALYSIS_NO_BOUND,
        .largest_scale_ppm = EI_ANALYSIS_NO_BOUND,
        .smallest_deadline_ns = EI_ANALYSIS_NO_BOUND,
    };
    snprintf(out->times, sizeof out->times, "%s", model->times[i]);
    if (!out->is_bounded) {
        return;
    }
    out->exits = model->nn_segment[i] != EI_NONE_IDX ? model->profiles[i].exits : 0;
    out->is_elastic = out->exits > 1 && ei_analysis_is_elastic(spec);
    for (int32_t s = 0; s < model->tasks[i].segment_count; s++) {
        out->wcet_ns += model->segments[i][s].wcet_ns;
    }
}

/* What the file is run with, unless something else was asked for. */
static enum ei_analysis_policy policy_of(const struct ei_workload *wl, const struct ei_analysis_options *options)
{
    const bool is_edf = wl->scheduler.policy == EI_SPEC_POLICY_EDF;
    return is_edf && options->policy == EI_ANALYSIS_FIXED_PRIORITY ? EI_ANALYSIS_EDF : options->policy;
}

/* Tasks of class deadline have bounds of their own. */
static void take_deadline_bounds(const struct ei_analysis_model *model, struct ei_analysis *out)
{
    for (int32_t i = 0; i < out->task_count; i++) {
        struct ei_analysis_task *task = &out->tasks[i];
        if (task->spec->class_ == EI_SPEC_CLASS_DEADLINE) {
            task->response_ns = task->mandatory_ns = model->deadline_bound_ns[i];
            task->blocking_ns = 0;
            task->is_schedulable = task->response_ns >= 0;
            task->largest_scale_ppm = task->smallest_deadline_ns = EI_ANALYSIS_NO_BOUND;
        }
    }
}

static int analyze(struct work *work, const struct ei_analysis_options *options, struct ei_analysis *out,
                   struct ei_diagnostics *diag)
{
    out->task_count = work->model.count;
    out->policy = policy_of(work->model.wl, options);
    out->quantile = options->quantile;
    for (int32_t i = 0; i < out->task_count; i++) {
        describe_task(&work->model, i, &out->tasks[i]);
    }
    out->is_guaranteed = fill_loads(work, out);
    const int rc = find_bounds(work, options, out, diag);
    if (rc < 0) {
        return rc;
    }
    forget_unknown(&work->model, out);
    take_deadline_bounds(&work->model, out);
    for (int32_t i = 0; i < out->task_count; i++) {
        struct ei_analysis_task *task = &out->tasks[i];
        if (task->is_bounded) {
            task->is_guaranteed = task->is_schedulable || (task->is_elastic && is_kept(task, task->mandatory_ns));
            task->guaranteed_exits = guaranteed_exits(work, i, task, out);
            task->expected_exits = ei_analysis_expected_exits(&work->model, i);
            out->is_guaranteed = out->is_guaranteed && task->is_guaranteed;
        }
    }
    return 0;
}

int ei_analyze(const struct ei_workload *wl, const struct ei_analysis_options *options, struct ei_analysis **out,
               struct ei_diagnostics *diag)
{
    struct work *work = calloc(1, sizeof *work);
    struct ei_analysis *analysis = calloc(1, sizeof *analysis);
    int rc = -ENOMEM;
    if (work != NULL && analysis != NULL) {
        rc = ei_analysis_model_build(wl, options, &work->model, diag);
    }
    if (rc == 0) {
        rc = analyze(work, options, analysis, diag);
    }
    free(work);
    if (rc < 0) {
        free(analysis);
        return rc;
    }
    *out = analysis;
    return 0;
}

void ei_analysis_destroy(struct ei_analysis *analysis)
{
    free(analysis);
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

void ei_analysis_explain(const struct ei_analysis *analysis, int32_t task, char *out_text, size_t size_bytes)
{
    const struct ei_analysis_task *t = &analysis->tasks[task];
    out_text[0] = '\0';
    if (!t->is_bounded || t->is_guaranteed) {
        return;
    }
    const double deadline_ms = ms(t->spec->deadline_ns);
    if (t->is_elastic && t->mandatory_ns >= 0) {
        snprintf(out_text, size_bytes,
                 "task '%s' may answer late: the bound of its first exit is %.3f ms, its deadline %.3f ms",
                 t->spec->name, ms(t->mandatory_ns), deadline_ms);
    } else if (t->response_ns >= 0) {
        snprintf(out_text, size_bytes, "task '%s' may finish late: its response bound is %.3f ms, its deadline %.3f ms",
                 t->spec->name, ms(t->response_ns), deadline_ms);
    } else {
        snprintf(out_text, size_bytes,
                 "task '%s' may finish late: no bound of its response was found, its deadline is %.3f ms%s",
                 t->spec->name, deadline_ms,
                 t->may_overlap ? " (two of its jobs may be in flight, and no bound within its period was found)"
                 : t->is_unknown
                     ? " (it shares a CPU or lane with a task of several lanes, one whose jobs may overlap, "
                       "or one that the watchdog may demote)"
                     : "");
    }
}
