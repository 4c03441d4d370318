/* See analysis_model.h. */
#include "engine/analysis_model.h"

#include "engine/run_state.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(EI_TASKS_MAX <= EI_RTA_TASKS_MAX && EI_TASKS_MAX <= EI_RTA_CPUS_MAX && EI_LANES_MAX <= EI_RTA_LANES_MAX,
               "every workload fits the analysis");

static const struct ei_model_spec *model_of(const struct ei_workload *wl, const struct ei_stage_spec *stage)
{
    return &wl->models[stage->model_idx];
}

static bool is_fifo(const struct ei_task_spec *spec)
{
    return spec->class_ == EI_SPEC_CLASS_FIFO;
}

static bool has_limit(const struct ei_stage_spec *stage)
{
    return stage->budget_ns != EI_NONE_NS || stage->timeout_ns != EI_NONE_NS;
}

bool ei_analysis_is_elastic(const struct ei_task_spec *spec)
{
    bool may_be_aborted = false;
    for (int32_t s = 0; s < spec->stage_count; s++) {
        may_be_aborted |= spec->on_overrun == EI_SPEC_ON_OVERRUN_ABORT && has_limit(&spec->stages[s]);
    }
    return spec->nn_stage_idx != EI_NONE_IDX && spec->on_deadline == EI_SPEC_ON_DEADLINE_EXIT &&
           spec->planner.first_exit == EI_SPEC_FIRST_EXIT_MANDATORY && !may_be_aborted;
}

/* A timeout counts waits too, which are not known here. */
static bool may_be_over(const struct ei_analysis_model *model, int32_t i, int32_t s)
{
    const struct ei_stage_spec *stage = &model->wl->tasks[i].stages[s];
    return stage->timeout_ns != EI_NONE_NS ||
           (stage->budget_ns != EI_NONE_NS && model->segments[i][s].wcet_ns > stage->budget_ns);
}

int32_t ei_analysis_exits_over_limits(const struct ei_analysis_model *model, int32_t task)
{
    const struct ei_task_spec *spec = &model->wl->tasks[task];
    int32_t exits = INT32_MAX;
    for (int32_t s = 0; s < spec->stage_count; s++) {
        if (!may_be_over(model, task, s) || spec->on_overrun == EI_SPEC_ON_OVERRUN_FINISH) {
            continue;
        }
        if (spec->on_overrun == EI_SPEC_ON_OVERRUN_ABORT) {
            exits = 0;
        } else if (s == spec->nn_stage_idx) {
            exits = spec->planner.first_exit == EI_SPEC_FIRST_EXIT_MANDATORY ? 1 : 0;
        }
    }
    return exits;
}

bool ei_analysis_may_be_stopped(const struct ei_task_spec *spec)
{
    return spec->on_preempt == EI_SPEC_ON_PREEMPT_EXIT || spec->on_preempt == EI_SPEC_ON_PREEMPT_ELASTIC;
}

/* ---- CPUs ---- */

/* The rules of a run, applied to a machine with these CPUs. */
static int settle_cpus(const struct ei_workload *wl, int32_t cpus, struct ei_cpuset *out_cpus, struct einet_error *err)
{
    const size_t bytes = sizeof(struct ei_live_task) * (size_t)wl->task_count;
    struct ei_run *run = calloc(1, sizeof *run);
    struct ei_live_task *tasks = aligned_alloc(_Alignof(struct ei_live_task), bytes);
    int rc = -ENOMEM;
    if (run != NULL && tasks != NULL) {
        memset(tasks, 0, bytes);
        run->wl = wl;
        run->tasks = tasks;
        for (int32_t cpu = 0; cpu < cpus; cpu++) {
            ei_cpuset_add(&run->machine.allowed_cpus, cpu);
        }
        rc = ei_run_settle_cpus(run, err);
        for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
            out_cpus[i] = tasks[i].cpus;
        }
    }
    free(tasks);
    free(run);
    return rc;
}

static bool meet(const struct ei_cpuset *a, const struct ei_cpuset *b)
{
    for (int cpu = ei_cpuset_next(a, 0); cpu >= 0; cpu = ei_cpuset_next(a, cpu + 1)) {
        if (ei_cpuset_has(b, cpu)) {
            return true;
        }
    }
    return false;
}

static void merge(struct ei_cpuset *into, const struct ei_cpuset *from)
{
    for (int cpu = ei_cpuset_next(from, 0); cpu >= 0; cpu = ei_cpuset_next(from, cpu + 1)) {
        ei_cpuset_add(into, cpu);
    }
}

/* Sets that meet, directly or through others, make one group. */
static void group_cpus(struct ei_analysis_model *model, const struct ei_cpuset *cpus)
{
    for (int32_t i = 0; i < model->count; i++) {
        struct ei_cpuset group = cpus[i];
        if (model->wl->tasks[i].class_ == EI_SPEC_CLASS_OTHER) {
            continue;
        }
        int32_t kept = 0;
        for (int32_t g = 0; g < model->group_count; g++) {
            if (meet(&model->groups[g], &group)) {
                merge(&group, &model->groups[g]);
            } else {
                model->groups[kept++] = model->groups[g];
            }
        }
        model->groups[kept] = group;
        model->group_count = kept + 1;
    }
    for (int32_t i = 0; i < model->count; i++) {
        while (model->group[i] < model->group_count - 1 && !meet(&model->groups[model->group[i]], &cpus[i])) {
            model->group[i]++;
        }
    }
}

static int build_groups(struct ei_analysis_model *model, const struct ei_analysis_options *options,
                        struct ei_diagnostics *diag)
{
    struct ei_cpuset settled[EI_TASKS_MAX] = {0};
    struct einet_error err = {0};
    if (options->task_cpus != NULL) {
        group_cpus(model, options->task_cpus);
        return 0;
    }
    const int32_t cpus = options->cpus > 0 ? options->cpus : ei_run_modelled_cpus(model->wl);
    const int rc = settle_cpus(model->wl, cpus, settled, &err);
    if (rc == -ENOMEM) {
        return rc;
    }
    if (rc < 0) {
        const struct ei_place place = {err.line, err.column};
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, place, 1, "einet analyze --cpus N takes a larger machine", "%s",
                           err.text);
        return EINET_E_FILE;
    }
    group_cpus(model, settled);
    return 0;
}

/* ---- arrivals ---- */

/* Releases t_i: least jitter with which a period of their mean distance covers them, max over i < j of
 * (j - i) * period - (t_j - t_i). */
static void cover_trace(const struct ei_arrival_spec *arrival, int64_t length_ns, int64_t *out_period_ns,
                        int64_t *out_jitter_ns)
{
    const int64_t *t_ns = arrival->trace_ns;
    const int64_t n = arrival->trace_count;
    const int64_t mean_ns = n > 1 ? (t_ns[n - 1] - t_ns[0]) / (n - 1) : length_ns;
    *out_period_ns = mean_ns > 1 ? mean_ns : 1;
    *out_jitter_ns = 0;
    int64_t latest_ns = INT64_MIN; /* max of t_i - i * period so far */
    for (int64_t j = 0; j < n; j++) {
        const int64_t shifted_ns = t_ns[j] - j * *out_period_ns;
        latest_ns = shifted_ns > latest_ns ? shifted_ns : latest_ns;
        *out_jitter_ns = latest_ns - shifted_ns > *out_jitter_ns ? latest_ns - shifted_ns : *out_jitter_ns;
    }
}

/* Jobs of a chain have the period of its head, and are ready when the one before has finished. Of jobs under
 * SCHED_OTHER, and of class deadline here, nobody knows when that is, so what comes after them is ready at any time:
 * any number in a row. */
static void join_chain(struct ei_analysis_model *model, int32_t i)
{
    const struct ei_workload *wl = model->wl;
    struct ei_rta_task *task = &model->tasks[i];
    const int32_t before = wl->tasks[i].arrival.after_idx;
    task->jitter_ns = is_fifo(&wl->tasks[before]) ? 0 : EI_RTA_TIME_MAX_NS;
    task->after = is_fifo(&wl->tasks[before]) ? before : EI_RTA_NO_TASK;
    task->is_cut_at_deadline = false;
}

/* Of the task, or of its chain's head. */
static int build_arrival(struct ei_analysis_model *model, int32_t i, struct ei_diagnostics *diag)
{
    const int32_t head = ei_workload_chain_head(model->wl, i);
    const struct ei_task_spec *spec = &model->wl->tasks[head];
    const struct ei_arrival_spec *arrival = &spec->arrival;
    const int64_t length_ns = model->wl->run.warmup_ns + model->wl->run.duration_ns;
    struct ei_rta_task *task = &model->tasks[i];
    int64_t cycle_ns;
    switch ((int)arrival->model) {
    case EI_ARRIVAL_PERIODIC:
        task->period_ns = arrival->period_ns;
        task->jitter_ns = arrival->jitter_ns;
        return 0;
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL: /* what comes earlier is held back */
        task->period_ns = arrival->min_interarrival_ns;
        return 0;
    case EI_ARRIVAL_BURST: /* the k-th of a burst is at most k * (period - spacing) early */
        cycle_ns = arrival->period_ns != EI_NONE_NS ? arrival->period_ns : length_ns;
        task->period_ns = cycle_ns / arrival->count > 1 ? cycle_ns / arrival->count : 1;
        task->jitter_ns = (arrival->count - 1) * (task->period_ns - arrival->spacing_ns);
        task->jitter_ns = task->jitter_ns > 0 ? task->jitter_ns : 0;
        task->deadline_jitter_ns = task->jitter_ns; /* deadlines count from the releases themselves */
        model->is_from_release[i] = head == i;
        return 0;
    case EI_ARRIVAL_APERIODIC:
        cover_trace(arrival, length_ns, &task->period_ns, &task->jitter_ns);
        task->deadline_jitter_ns = task->jitter_ns;
        model->is_from_release[i] = head == i;
        return 0;
    default:
        break;
    }
    ei_diagnostics_add(diag, EI_SEVERITY_ERROR, spec->place, 1, "periodic, sporadic, external, burst or aperiodic",
                       "the arrivals of task '%s' have no bound that the analysis knows", spec->name);
    return EINET_E_FILE;
}

/* ---- execution times ---- */

static int64_t at_quantile(const struct ei_time_stats *stats, enum ei_time_quantile quantile)
{
    return quantile == EI_TIME_P50 ? stats->p50_ns : quantile == EI_TIME_P99 ? stats->p99_ns : stats->max_ns;
}

bool ei_analysis_is_queued_ahead(const struct ei_analysis_model *model, int32_t task)
{
    const struct ei_task_spec *spec = &model->wl->tasks[task];
    const struct ei_lane_spec *lane = &model->wl->lanes[spec->stages[spec->nn_stage_idx].lane_idx];
    return lane->kind == EI_SPEC_LANE_CUDA && lane->depth == 2;
}

int64_t ei_analysis_exits_ns(const struct ei_analysis_model *model, int32_t task, int32_t exits,
                             enum ei_time_quantile quantile)
{
    const struct ei_et_profile *et = &model->profiles[task];
    int64_t sum_ns = 0;
    for (int32_t k = 0; k < exits && k < et->exits; k++) {
        sum_ns += at_quantile(&et->conv[k], quantile) + at_quantile(&et->branch[k], quantile);
    }
    if (exits < et->exits &&
        ei_analysis_is_queued_ahead(model, task)) { /* the next conv part goes before the last branch */
        sum_ns += at_quantile(&et->conv[exits], quantile);
    }
    return sum_ns;
}

static void add_source(struct ei_analysis_model *model, int32_t i, const char *source)
{
    char *text = model->times[i];
    const size_t length = strlen(text);
    if (strstr(text, source) == NULL) {
        snprintf(text + length, EI_ANALYSIS_TIMES_TEXT_MAX - length, "%s%s", length > 0 ? ", " : "", source);
    }
}

static void take_emulated(const struct ei_model_spec *spec, struct ei_et_profile *et)
{
    *et = (struct ei_et_profile){.exits = spec->block_count};
    for (int32_t k = 0; k < spec->block_count; k++) {
        const struct ei_emulated_time *conv = &spec->blocks[k].conv, *branch = &spec->blocks[k].branch;
        et->conv[k] = (struct ei_time_stats){conv->median_ns, conv->p99_ns, conv->p99_ns};
        et->branch[k] = (struct ei_time_stats){branch->median_ns, branch->p99_ns, branch->p99_ns};
    }
}

/* Times of the network of task i into its profile; a real one may be left without when the stage has a budget. */
static int find_profile(struct ei_analysis_model *model, const struct ei_analysis_options *options, int32_t i,
                        const struct ei_stage_spec *stage, struct ei_diagnostics *diag)
{
    const struct ei_model_spec *spec = model_of(model->wl, stage);
    struct einet_error err = {0};
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (options->profiles != NULL) {
        model->profiles[i] = options->profiles[i];
        add_source(model, i, options->quantile == EI_TIME_MAX ? "measured max" : "measured p99");
        return 0;
    }
    if (spec->kind == EI_SPEC_MODEL_EMULATE) {
        take_emulated(spec, &model->profiles[i]);
        add_source(model, i, "emulate p99");
        return 0;
    }
    const int rc = ei_model_read_times(spec, &model->wl->lanes[stage->lane_idx], &model->profiles[i], &err);
    if (rc == 0) {
        add_source(model, i, options->quantile == EI_TIME_MAX ? "profile max" : "profile p99");
        return 0;
    }
    model->profiles[i].exits = 0;
    if (stage->budget_ns != EI_NONE_NS) {
        add_source(model, i, "budget");
        return 0;
    }
    if (spec->kind == EI_SPEC_MODEL_ZOO) {
        snprintf(hint, sizeof hint, "make a profile: einet profile --weights %.200s, or give the stage a budget",
                 spec->weights);
    } else {
        snprintf(hint, sizeof hint, "make a profile with einet profile, or give the stage a budget");
    }
    ei_diagnostics_add(diag, EI_SEVERITY_ERROR, stage->place, 1, hint,
                       "task '%s': the block times of model '%s' are not known: %.150s%s%.120s",
                       model->wl->tasks[i].name, spec->name, err.file, err.file[0] != '\0' ? ": " : "", err.text);
    return EINET_E_FILE;
}

/* A job that was preempted so often keeps its lane, and then it may hold it from its first block to its last. */
static bool gives_lane_away(const struct ei_task_spec *spec)
{
    return spec->on_preempt != EI_SPEC_ON_PREEMPT_NONE && spec->max_preemptions == 0;
}

/* On a lane with preempt: kernel. */
static bool is_held_by_nobody(const struct ei_workload *wl, const struct ei_stage_spec *stage)
{
    return wl->lanes[stage->lane_idx].preempt == EI_SPEC_LANE_PREEMPT_KERNEL;
}

/* Between two preemption points: the longest block or piece of one, or what max_blocking runs together; 0 = the whole
 * network. */
static int64_t longest_run_ns(const struct ei_analysis_model *model, int32_t i, const struct ei_pieces *pieces,
                              enum ei_time_quantile q, int64_t wcet_ns)
{
    const struct ei_task_spec *spec = &model->wl->tasks[i];
    const int64_t longest_ns = ei_pieces_longest_ns(pieces, &model->profiles[i], q);
    const int64_t together_ns = spec->max_blocking_ns > longest_ns ? spec->max_blocking_ns : longest_ns;
    return gives_lane_away(spec) && together_ns < wcet_ns ? together_ns : 0;
}

/* That, and what may be in a device's queue when a job gives its lane away. */
static int find_blocking(const struct ei_analysis_model *model, const struct ei_analysis_options *options, int32_t i,
                         struct ei_rta_segment *segment, struct ei_diagnostics *diag)
{
    const struct ei_task_spec *spec = &model->wl->tasks[i];
    const struct ei_lane_spec *lane = &model->wl->lanes[spec->stages[spec->nn_stage_idx].lane_idx];
    struct ei_pieces even;
    struct einet_error err = {0};
    const struct ei_pieces *pieces = options->pieces != NULL ? options->pieces[i] : &even;
    if (pieces == &even && ei_pieces_even(&model->profiles[i], ei_pieces_limit_ns(spec, lane), &even, &err) < 0) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, spec->place, 1, "give it a longer max_blocking", "task '%s': %s",
                           spec->name, err.text);
        return EINET_E_FILE;
    }
    segment->max_nonpreemptive_ns = longest_run_ns(model, i, pieces, options->quantile, segment->wcet_ns);
    if (segment->max_nonpreemptive_ns > 0 && ei_analysis_is_queued_ahead(model, i)) {
        segment->max_nonpreemptive_ns += ei_pieces_longest_queued_ns(pieces, &model->profiles[i], options->quantile);
    }
    return 0;
}

/* What is done again: with `restart`, the conv parts up to the exit, each time that the job lost its lane. */
static int add_restarts(struct ei_analysis_model *model, int32_t i, enum ei_time_quantile q,
                        struct ei_rta_segment *segment, struct ei_diagnostics *diag)
{
    const struct ei_task_spec *spec = &model->wl->tasks[i];
    const struct ei_et_profile *et = &model->profiles[i];
    if (spec->on_preempt != EI_SPEC_ON_PREEMPT_RESTART) {
        return 0;
    }
    if (spec->max_preemptions == 0) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, spec->place, 1, "give it max_preemptions",
                           "task '%s' restarts as often as it is preempted: its execution time has no bound",
                           spec->name);
        return EINET_E_FILE;
    }
    int64_t again_ns = at_quantile(&et->conv[0], q), longest_ns = 0, all_ns = 0;
    for (int32_t k = 0; k < et->exits; k++) {
        const int64_t conv_ns = at_quantile(&et->conv[k], q);
        all_ns += conv_ns;
        longest_ns = conv_ns > longest_ns ? conv_ns : longest_ns;
    }
    if (ei_analysis_is_queued_ahead(model, i)) { /* what waited behind the part that ran is computed, and for nothing */
        again_ns += longest_ns;
        all_ns += longest_ns;
    }
    segment->wcet_ns += spec->max_preemptions * all_ns;
    segment->mandatory_ns += spec->max_preemptions * again_ns;
    return 0;
}

/* A boundary lies behind every conv part and every branch, where the job may have to give its lane away. */
static int build_network(struct ei_analysis_model *model, const struct ei_analysis_options *options, int32_t i,
                         const struct ei_stage_spec *stage, struct ei_rta_segment *segment, struct ei_diagnostics *diag)
{
    const int rc = find_profile(model, options, i, stage, diag);
    if (rc < 0) {
        return rc;
    }
    const struct ei_et_profile *et = &model->profiles[i];
    const enum ei_time_quantile q = options->quantile;
    segment->lane = stage->lane_idx;
    segment->is_driven = ei_lane_is_off_cpu(&model->wl->lanes[stage->lane_idx]);
    if (et->exits == 0) { /* the lane is then taken to be given up at the end only */
        segment->wcet_ns = segment->mandatory_ns = stage->budget_ns;
        return 0;
    }
    segment->wcet_ns = ei_analysis_exits_ns(model, i, et->exits, q);
    segment->mandatory_ns = ei_analysis_exits_ns(model, i, 1, q);
    if (is_held_by_nobody(model->wl, stage)) { /* then it is work of the CPU */
        segment->lane = EI_RTA_NOWHERE;
        return 0;
    }
    const int result = add_restarts(model, i, q, segment, diag);
    const int blocking = find_blocking(model, options, i, segment, diag);
    return result < 0 ? result : blocking;
}

static int build_cpu_stage(struct ei_analysis_model *model, const struct ei_analysis_options *options, int32_t i,
                           const struct ei_stage_spec *stage, struct ei_rta_segment *segment,
                           struct ei_diagnostics *diag)
{
    segment->wcet_ns = stage->spin_ns != EI_NONE_NS ? stage->spin_ns : 0;
    if (stage->spin_ns != EI_NONE_NS) {
        add_source(model, i, "spin");
    }
    if (stage->op_count > 0 && stage->budget_ns != EI_NONE_NS) {
        segment->wcet_ns += stage->budget_ns;
        add_source(model, i, "budget");
    } else if (stage->op_count > 0 && options->ops_ns != EI_NONE_NS) {
        segment->wcet_ns += options->ops_ns;
        add_source(model, i, "ops-time");
    } else if (stage->op_count > 0) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, stage->place, 1,
                           "give it a budget, or one to all such stages with einet analyze --ops-time D",
                           "task '%s': how long the operations of stage '%s' take is not known",
                           model->wl->tasks[i].name, stage->name);
        return EINET_E_FILE;
    }
    segment->mandatory_ns = segment->wcet_ns;
    return 0;
}

static int build_segments(struct ei_analysis_model *model, const struct ei_analysis_options *options, int32_t i,
                          struct ei_diagnostics *diag)
{
    const struct ei_task_spec *spec = &model->wl->tasks[i];
    int result = 0;
    model->nn_segment[i] = EI_NONE_IDX;
    for (int32_t s = 0; s < spec->stage_count; s++) {
        const struct ei_stage_spec *stage = &spec->stages[s];
        struct ei_rta_segment *segment = &model->segments[i][s];
        *segment = (struct ei_rta_segment){.cpu = model->group[i], .lane = EI_RTA_NOWHERE};
        int rc;
        if (stage->kind == EI_SPEC_STAGE_NN) {
            model->nn_segment[i] = s;
            rc = build_network(model, options, i, stage, segment, diag);
        } else {
            rc = build_cpu_stage(model, options, i, stage, segment, diag);
        }
        result = rc < 0 ? rc : result;
    }
    model->tasks[i].segments = model->segments[i];
    model->tasks[i].segment_count = spec->stage_count;
    return result;
}

static bool may_be_demoted(const struct ei_analysis_model *model, int32_t i)
{
    int64_t wcet_ns = 0;
    for (int32_t s = 0; s < model->tasks[i].segment_count; s++) {
        wcet_ns += model->segments[i][s].is_driven ? 0 : model->segments[i][s].wcet_ns; /* the watchdog counts CPUs */
    }
    return wcet_ns > ei_watch_limit_ns(model->wl, i);
}

/* Threads of ordinary priority run when no real-time job wants the CPU, and hold no lane. */
static void leave_out(struct ei_analysis_model *model, int32_t i)
{
    model->nn_segment[i] = EI_NONE_IDX;
    model->segments[i][0] = (struct ei_rta_segment){.lane = EI_RTA_NOWHERE};
    model->tasks[i] = (struct ei_rta_task){
        .after = EI_RTA_NO_TASK,
        .period_ns = EI_NS_PER_S,
        .deadline_ns = INT64_MAX,
        .segments = model->segments[i],
        .segment_count = 1,
    };
}

/* What a block's other threads take from the tasks of their CPUs has no place in these bounds. */
static int refuse_threads(const struct ei_workload *wl, struct ei_diagnostics *diag)
{
    const int32_t threaded = ei_run_lane_of_threads(wl);
    if (threaded == EI_NONE_IDX) {
        return 0;
    }
    const struct ei_lane_spec *lane = &wl->lanes[threaded];
    ei_diagnostics_add(diag, EI_SEVERITY_ERROR, lane->place, (int32_t)strlen(lane->name),
                       "analyze it with threads: 1 and the times that it has with one",
                       "lane '%s' has %d threads, and bounds are known for one", lane->name, lane->threads);
    return EINET_E_FILE;
}

int ei_analysis_model_build(const struct ei_workload *wl, const struct ei_analysis_options *options,
                            struct ei_analysis_model *out, struct ei_diagnostics *diag)
{
    *out = (struct ei_analysis_model){.wl = wl, .count = wl->task_count};
    int result = build_groups(out, options, diag);
    if (result == -ENOMEM || refuse_threads(wl, diag) != 0) {
        return result == -ENOMEM ? result : EINET_E_FILE;
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_task_spec *spec = &wl->tasks[i];
        if (spec->class_ == EI_SPEC_CLASS_OTHER) {
            leave_out(out, i);
            continue;
        }
        out->tasks[i] = (struct ei_rta_task){
            .priority = spec->priority,
            .after = EI_RTA_NO_TASK,
            .deadline_ns = spec->deadline_ns != EI_NONE_NS ? spec->deadline_ns : INT64_MAX,
            .is_cut_at_deadline =
                ei_analysis_is_elastic(spec) && !is_held_by_nobody(wl, &spec->stages[spec->nn_stage_idx]),
        };
        const int arrival_rc = build_arrival(out, i, diag), segments_rc = build_segments(out, options, i, diag);
        if (arrival_rc == 0 && spec->arrival.model == EI_ARRIVAL_AFTER) {
            join_chain(out, i);
        }
        out->may_be_demoted[i] = is_fifo(spec) && may_be_demoted(out, i);
        if (out->is_from_release[i]) { /* arrivals may be closer than a period */
            out->tasks[i].is_cut_at_deadline = false;
        }
        result = arrival_rc < 0 ? arrival_rc : segments_rc < 0 ? segments_rc : result;
    }
    if (result == 0) {
        ei_analysis_take_deadline_class(out);
    }
    return result;
}
