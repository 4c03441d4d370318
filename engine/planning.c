/* Planning of a task, before and after the run: predictor, exit-time source, replanner, and who shares what. Cold. */
#include "engine/run_state.h"

#include "planner/predictor_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMED_REPLANS 33
/* A hand-off to another thread costs a few microseconds on both sides (bench_handoff), so shorter replans stay inline.
 */
#define OVERLAP_FROM_NS (10 * EI_NS_PER_US)

static const struct ei_model_spec *model_of(const struct ei_live_task *task)
{
    return &task->run->wl->models[task->spec->stages[task->spec->nn_stage_idx].model_idx];
}

/* ---- predictor ---- */

/* The file to read, "" = none: as given, or the one beside the weights when that exists. */
static void predictor_path(const struct ei_live_task *task, char *out, size_t size_bytes)
{
    const char *asked = task->spec->planner.predictor;
    const struct ei_model_spec *model = model_of(task);
    out[0] = '\0';
    if (strcmp(asked, "none") == 0) {
        return;
    }
    if (strcmp(asked, "auto") != 0) {
        snprintf(out, size_bytes, "%s", asked);
    } else {
        ei_model_file_beside(model, ".predictor", out, size_bytes);
        if (access(out, R_OK) != 0) {
            out[0] = '\0';
        }
    }
}

static int load_predictor(struct ei_live_task *task, const struct ei_network_info *network, struct einet_error *err)
{
    char path[EI_SPEC_PATH_MAX + 16];
    predictor_path(task, path, sizeof path);
    if (path[0] == '\0') {
        return 0;
    }
    struct ei_predictor *predictor = malloc(sizeof *predictor);
    if (predictor == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the predictor %s", path);
    }
    int rc = ei_predictor_read(path, predictor, err);
    if (rc == 0) {
        rc = ei_predictor_match(predictor, network->name, network->exits, network->weights_sha256, err);
    }
    if (rc < 0) {
        free(predictor);
        return rc;
    }
    task->planning.predictor = predictor;
    return 0;
}

/* ---- building ---- */

static int build_exit_times(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_planner_spec *spec = &task->spec->planner;
    struct ei_exit_times *times = &task->planning.exit_times;
    if (spec->exit_time.word == EI_SPEC_EXIT_TIME_TRACE) {
        return ei_survival_read_trace(spec->exit_times, &times->table, err);
    }
    if (spec->exit_time.word == EI_SPEC_EXIT_TIME_EMPIRICAL) {
        const int64_t horizon_ns = task->spec->deadline_ns != EI_NONE_NS ? task->spec->deadline_ns : EI_NS_PER_S;
        const int rc = ei_empirical_init(&times->empirical, horizon_ns, (int32_t)spec->exit_time.number);
        return rc < 0 ? einet_error_set(err, rc, "task '%s': exit times cannot be learnt up to %lld ns",
                                        task->spec->name, (long long)horizon_ns)
                      : 0;
    }
    return 0;
}

/* A CPU for the replanner that the job itself does not compute on. */
static bool has_spare_cpu(const struct ei_live_task *task)
{
    for (int cpu = ei_cpuset_next(&task->run->housekeeping_cpus, 0); cpu >= 0;
         cpu = ei_cpuset_next(&task->run->housekeeping_cpus, cpu + 1)) {
        if (!ei_cpuset_has(&task->cpus, cpu)) {
            return true;
        }
    }
    return false;
}

static int build_replanner(struct ei_live_task *task, struct einet_error *err)
{
    const enum ei_spec_replan asked = task->spec->planner.replan;
    if (asked == EI_SPEC_REPLAN_INLINE || (asked == EI_SPEC_REPLAN_AUTO && !has_spare_cpu(task))) {
        return 0;
    }
    struct ei_replanner *replanner = calloc(1, sizeof *replanner);
    if (replanner == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the replanner of task '%s'", task->spec->name);
    }
    ei_waiter_init(&replanner->work);
    task->planning.replanner = replanner;
    return 0;
}

int ei_task_build_plan_sources(struct ei_live_task *task, const struct ei_network_info *network,
                               struct einet_error *err)
{
    const int rc = load_predictor(task, network, err);
    return rc == 0 ? build_exit_times(task, err) : rc;
}

int ei_task_build_planning(struct ei_live_task *task, struct einet_error *err)
{
    const int rc = ei_task_build_plan_sources(task, ei_network_info(task->nn.net), err);
    return rc == 0 ? build_replanner(task, err) : rc;
}

void ei_task_demolish_planning(struct ei_live_task *task)
{
    free(task->planning.predictor);
    free(task->planning.replanner);
    task->planning.predictor = NULL;
    task->planning.replanner = NULL;
}

/* ---- settling: block times are known ---- */

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median time of a replan after the first exit, predictor included, with an exit time of the source's kind. */
static int64_t time_replan_ns(struct ei_live_task *task)
{
    int64_t samples_ns[TIMED_REPLANS];
    struct ei_step step;
    const struct ei_survival survival = ei_exit_time_begin(task, 0, 0);
    if (ei_elastic_begin(&task->nn.job, &task->nn.elastic, &task->nn.ws, &survival, 0, &step) != 0 ||
        ei_elastic_conv_done(&task->nn.job, 0, &step) != 0 ||
        ei_elastic_branch_done(&task->nn.job, 0, task->nn.elastic.mean_score[0], 1, &step) != 0) {
        return 0;
    }
    for (int32_t i = 0; i < TIMED_REPLANS; i++) {
        const int64_t start_ns = ei_mono_now().ns;
        (void)ei_elastic_replan(&task->nn.job, 1 + i);
        samples_ns[i] = ei_mono_now().ns - start_ns;
    }
    qsort(samples_ns, TIMED_REPLANS, sizeof samples_ns[0], compare_ns);
    return samples_ns[TIMED_REPLANS / 2];
}

static void describe(struct ei_live_task *task)
{
    static const char *const searches[] = {
        [EI_SPEC_SEARCH_EXACT] = "exact",           [EI_SPEC_SEARCH_ALL] = "all",
        [EI_SPEC_SEARCH_STATIC] = "static",         [EI_SPEC_SEARCH_HYBRID] = "hybrid",
        [EI_SPEC_SEARCH_GREEDY] = "greedy",         [EI_SPEC_SEARCH_RANDOM] = "random",
        [EI_SPEC_SEARCH_CONFIDENCE] = "confidence", [EI_SPEC_SEARCH_STATISTICS] = "statistics",
    };
    static const char *const sources[] = {
        [EI_SPEC_EXIT_TIME_UNIFORM] = "uniform",   [EI_SPEC_EXIT_TIME_EXPONENTIAL] = "exponential",
        [EI_SPEC_EXIT_TIME_SCHEDULE] = "schedule", [EI_SPEC_EXIT_TIME_EMPIRICAL] = "empirical",
        [EI_SPEC_EXIT_TIME_TRACE] = "trace",
    };
    const struct ei_planner_spec *spec = &task->spec->planner;
    const struct ei_replanner *replanner = task->planning.replanner;
    const int used = snprintf(task->planning.text, sizeof task->planning.text,
                              "search %s, exit time %s, predictor %s, replanning %s", searches[spec->search.word],
                              sources[spec->exit_time.word], task->planning.predictor != NULL ? "mlp" : "none",
                              replanner != NULL && replanner->is_on ? "overlapped" : "inline");
    if (task->planning.replan_ns > 0) {
        snprintf(task->planning.text + used, sizeof task->planning.text - (size_t)used, " (%.1f us)",
                 (double)task->planning.replan_ns / (double)EI_NS_PER_US);
    }
}

static bool has_cut_branch(const struct ei_live_task *task)
{
    bool has = false;
    for (int32_t k = 0; k < task->nn.et.exits; k++) {
        has |= ei_pieces_count(&task->nn.pieces, (struct ei_step){.kind = EI_STEP_BRANCH, .idx = k}) > 1;
    }
    return has;
}

int ei_task_complete_planning(struct ei_live_task *task, struct einet_error *err)
{
    struct ei_task_planning *planning = &task->planning;
    struct ei_exit_times *times = &planning->exit_times;
    times->spread_ns =
        ei_et_profile_total_ns(&task->nn.et, EI_TIME_P99) - ei_et_profile_total_ns(&task->nn.et, EI_TIME_P50);
    for (int32_t k = 0; k < task->nn.et.exits; k++) {
        const int64_t branch_ns = task->nn.et.branch[k].p50_ns;
        times->branch_max_ns = branch_ns > times->branch_max_ns ? branch_ns : times->branch_max_ns;
    }
    if (times->assumed.step_ns == 0) { /* what is told of S reaches to the deadline, else well beyond the network */
        const int64_t horizon_ns = task->spec->deadline_ns != EI_NONE_NS
                                       ? task->spec->deadline_ns
                                       : 4 * ei_et_profile_total_ns(&task->nn.et, EI_TIME_P99);
        times->assumed.step_ns = horizon_ns / (EI_METRICS_ASSUMED_POINTS - 1) + 1;
    }
    /* A preemptor waits for the end of the running block, so a branch that has begun is finished, unless it is cut. */
    task->nn.elastic.is_branch_atomic = task->spec->on_preempt == EI_SPEC_ON_PREEMPT_EXIT && !has_cut_branch(task) &&
                                        task->spec->planner.exit_time.word != EI_SPEC_EXIT_TIME_UNIFORM;
    const int rc =
        planning->predictor != NULL ? ei_elastic_config_predict(&task->nn.elastic, planning->predictor, err) : 0;
    (void)ei_elastic_config_settle(&task->nn.elastic, &task->nn.ws); /* what it cannot plan no job of it can */
    describe(task);
    return rc;
}

void ei_task_settle_replans(struct ei_live_task *task)
{
    struct ei_task_planning *planning = &task->planning;
    planning->replan_ns = time_replan_ns(task);
    if (planning->replanner != NULL) {
        planning->replanner->is_on =
            task->spec->planner.replan == EI_SPEC_REPLAN_OVERLAPPED || planning->replan_ns >= OVERLAP_FROM_NS;
        task->nn.elastic.is_replan_by_caller = planning->replanner->is_on;
    }
    describe(task);
}

void ei_run_list_assumed(const struct ei_run *run, const struct ei_metrics_assumed *out[EI_TASKS_MAX])
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_metrics_assumed *assumed = &run->tasks[i].planning.exit_times.assumed;
        out[i] = assumed->jobs > 0 ? assumed : NULL;
    }
}

/* ---- who shares what ---- */

/* Time of a task's stages before its network, and of a whole job or of what it does beside its network. */
static void job_times(const struct ei_live_task *task, bool no_network, int64_t *out_before_ns, int64_t *out_all_ns)
{
    *out_before_ns = 0;
    *out_all_ns = task->nn.et.exits > 0 && !no_network ? ei_et_profile_total_ns(&task->nn.et, EI_TIME_P50) : 0;
    for (int32_t i = 0; i < task->spec->stage_count; i++) {
        const int64_t spin_ns = task->spec->stages[i].spin_ns != EI_NONE_NS ? task->spec->stages[i].spin_ns : 0;
        *out_before_ns += i < task->spec->nn_stage_idx ? spin_ns : 0;
        *out_all_ns += spin_ns;
    }
}

/* Time of the jobs that come before one of this task in its chain. */
static int64_t chain_before_ns(const struct ei_run *run, int32_t task_idx)
{
    int64_t sum_ns = 0, before_ns, all_ns;
    while (run->wl->tasks[task_idx].arrival.model == EI_ARRIVAL_AFTER) {
        task_idx = run->wl->tasks[task_idx].arrival.after_idx;
        job_times(&run->tasks[task_idx], false, &before_ns, &all_ns);
        sum_ns += all_ns;
    }
    return sum_ns;
}

static double share_of_cpus(const struct ei_cpuset *of, const struct ei_cpuset *in)
{
    int32_t all = 0, common = 0;
    for (int cpu = ei_cpuset_next(of, 0); cpu >= 0; cpu = ei_cpuset_next(of, cpu + 1)) {
        all++;
        common += ei_cpuset_has(in, cpu);
    }
    return all > 0 ? (double)common / all : 0;
}

static bool shares_lane(const struct ei_task_network *a, const struct ei_task_network *b)
{
    bool shares = false;
    for (int32_t i = 0; i < a->gate_count; i++) {
        for (int32_t k = 0; k < b->gate_count; k++) {
            shares |= a->gates[i] == b->gates[k];
        }
    }
    return shares;
}

static void settle_task(struct ei_run *run, struct ei_live_task *task)
{
    struct ei_exit_times *times = &task->planning.exit_times;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_live_task *other = &run->tasks[i];
        if (other == task || other->spec->class_ == EI_SPEC_CLASS_OTHER) {
            continue;
        }
        struct ei_sharer sharer = {
            .task = other,
            .shares_lane = shares_lane(&task->nn, &other->nn),
            .cpu_share = share_of_cpus(&other->cpus, &task->cpus),
        };
        const bool is_elsewhere =
            other->nn.is_off_cpu && !sharer.shares_lane; /* on a device that this task does not use */
        job_times(other, is_elsewhere, &sharer.before_lane_ns, &sharer.demand_ns);
        sharer.arrival = &run->wl->tasks[ei_workload_chain_head(run->wl, i)].arrival;
        sharer.chain_ns = chain_before_ns(run, i);
        sharer.before_lane_ns += sharer.chain_ns;
        if (sharer.shares_lane || sharer.cpu_share > 0) {
            times->sharers[times->sharer_count++] = sharer;
        }
    }
}

void ei_run_settle_sharers(struct ei_run *run)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        if (run->tasks[i].nn.gate != NULL) {
            settle_task(run, &run->tasks[i]);
        }
    }
}
