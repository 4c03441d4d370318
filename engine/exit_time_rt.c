/* Exit times of the job that is about to plan, from the source that its task chose. All of it on the clock that starts
 * at the job's nominal release. Job thread, real-time safe.
 *
 * Every source but `uniform` is multiplied by the deadline's own survival function: 1 until the network's spread before
 * the latest useful moment, then a line down to 0. A hard step there would make plans that bet everything on one exit
 * whose block may take its p99.
 */
#include "engine/run_state.h"

/* ---- what is known of the others ---- */

/* Priorities may change while the run goes on (settings_rt.h). */
static bool is_above(const struct ei_sharer *sharer, const struct ei_live_task *task)
{
    return atomic_load_explicit(&sharer->task->changes.priority, memory_order_relaxed) > task->nn.settings->priority;
}

/* An external task is taken for one that comes as often as it may. */
static bool is_sporadic(const struct ei_arrival_spec *spec)
{
    return spec->model == EI_ARRIVAL_SPORADIC || spec->model == EI_ARRIVAL_EXTERNAL;
}

/* Nominal time of the sharer's next release after now_ns (absolute) that has not begun; false = none. */
static bool next_nominal(const struct ei_sharer *sharer, int64_t now_ns, int64_t begun_ns, int64_t *out_ns)
{
    const struct ei_arrival_spec *spec = sharer->arrival;
    const int64_t t0_ns = sharer->task->run->t0_ns;
    const int64_t first_ns = t0_ns + spec->offset_ns;
    switch (spec->model) {
    case EI_ARRIVAL_PERIODIC: {
        /* A release within its jitter, or on its way through a chain, has come when its job has begun, else it is
         * still to come. */
        const int64_t since_ns = now_ns - spec->jitter_ns - sharer->chain_ns - first_ns;
        int64_t next_ns = since_ns < 0 ? first_ns : first_ns + (since_ns / spec->period_ns + 1) * spec->period_ns;
        if (begun_ns >= next_ns) {
            next_ns = begun_ns + spec->period_ns;
        }
        *out_ns = next_ns;
        return true;
    }
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL:
        *out_ns = begun_ns > INT64_MIN ? begun_ns + spec->min_interarrival_ns : first_ns;
        return true;
    case EI_ARRIVAL_BURST: {
        const int64_t period_ns = spec->period_ns == EI_NONE_NS ? INT64_MAX / 4 : spec->period_ns;
        const int64_t burst_ns = now_ns < first_ns ? first_ns : first_ns + (now_ns - first_ns) / period_ns * period_ns;
        int64_t in_burst = now_ns < burst_ns      ? 0
                           : spec->spacing_ns > 0 ? (now_ns - burst_ns) / spec->spacing_ns + 1
                                                  : spec->count;
        *out_ns = in_burst < spec->count ? burst_ns + in_burst * spec->spacing_ns : burst_ns + period_ns;
        return *out_ns < INT64_MAX / 8;
    }
    case EI_ARRIVAL_APERIODIC: {
        int64_t low = 0, high = spec->trace_count; /* the first entry after now */
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (t0_ns + spec->trace_ns[middle] > now_ns) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if (low == spec->trace_count) {
            return false;
        }
        *out_ns = t0_ns + spec->trace_ns[low];
        return true;
    }
    case EI_ARRIVAL_AFTER: /* not of a head */
        break;
    }
    return false;
}

/* The sharer as the planner's interferer; false when it will not come. */
static bool describe(const struct ei_sharer *sharer, int64_t release_ns, int64_t now_ns, struct ei_interferer *out)
{
    const struct ei_arrival_spec *spec = sharer->arrival;
    const int64_t newest_ns = ei_course_newest_ns(&sharer->task->progress);
    int64_t begun_ns;
    *out = (struct ei_interferer){.kind = EI_INTERFERER_PERIODIC, .is_phase_known = true, .period_ns = INT64_MAX / 4};
    if (ei_course_under_way(&sharer->task->progress, &begun_ns) > 0) { /* on its way to the lane */
        const int64_t request_ns = begun_ns + sharer->before_lane_ns;
        out->next_ns = (request_ns > now_ns ? request_ns : now_ns) - release_ns;
        return true;
    }
    int64_t nominal_ns;
    if (ei_settings_is_paused(sharer->task) || !next_nominal(sharer, now_ns, newest_ns, &nominal_ns)) {
        return false;
    }
    out->next_ns = nominal_ns + sharer->before_lane_ns - release_ns;
    if (spec->model == EI_ARRIVAL_PERIODIC) {
        out->period_ns = spec->period_ns;
        out->jitter_ns = spec->jitter_ns;
    } else if (is_sporadic(spec)) {
        out->kind = EI_INTERFERER_SPORADIC;
        out->period_ns = spec->min_interarrival_ns;
        out->mean_extra_ns = spec->mean_ns - spec->min_interarrival_ns;
    }
    return true;
}

/* Processor time that the sharers are expected to take from this task between two moments of its clock: releases by
 * their mean distance, each with its demand. */
static int64_t expected_demand_ns(const struct ei_live_task *task, int64_t from_ns, int64_t to_ns)
{
    double sum_ns = 0;
    for (int32_t i = 0; i < task->planning.exit_times.sharer_count; i++) {
        const struct ei_sharer *sharer = &task->planning.exit_times.sharers[i];
        const struct ei_arrival_spec *spec = sharer->arrival;
        const int64_t distance_ns = spec->model == EI_ARRIVAL_PERIODIC ? spec->period_ns
                                    : is_sporadic(spec)                ? spec->mean_ns
                                                                       : 0;
        const bool forces_exit = sharer->shares_lane && task->spec->on_preempt == EI_SPEC_ON_PREEMPT_EXIT;
        if (distance_ns > 0 && !forces_exit && is_above(sharer, task)) {
            sum_ns += (double)(to_ns - from_ns) / (double)distance_ns * (double)sharer->demand_ns * sharer->cpu_share;
        }
    }
    return (int64_t)sum_ns;
}

/* ---- the sources ---- */

/* The latest moment at which the network may end: INT64_MAX = never. */
static int64_t latest_end_ns(const struct ei_live_task *task, int64_t elapsed_ns)
{
    const int64_t deadline_ns = task->nn.settings->deadline_ns;
    if (deadline_ns == EI_NONE_NS) {
        return INT64_MAX;
    }
    const int64_t end_ns = deadline_ns - task->after_ns;
    return end_ns > elapsed_ns ? end_ns : elapsed_ns;
}

static struct ei_survival uniform(const struct ei_live_task *task, int64_t elapsed_ns)
{
    /* Without a deadline nothing forces an exit but preemption; twice the network's own length then lets the last exit
     * keep half its worth. */
    const int64_t latest_ns = latest_end_ns(task, elapsed_ns);
    return ei_survival_uniform(
        elapsed_ns,
        latest_ns < INT64_MAX ? latest_ns : elapsed_ns + 2 * ei_et_profile_total_ns(ei_task_times(task), EI_TIME_P50));
}

/* Nothing is going to stop the job. */
#define ALWAYS ei_survival_uniform(INT64_MAX / 2, INT64_MAX / 2)

/* From the higher-priority tasks that share the lane; where they do not force an exit there is the deadline only. */
static struct ei_survival from_schedule(struct ei_live_task *task, int64_t release_ns, int64_t elapsed_ns)
{
    struct ei_exit_times *times = &task->planning.exit_times;
    struct ei_interferer tasks[EI_TASKS_MAX];
    int32_t count = 0;
    for (int32_t i = 0; i < times->sharer_count && task->spec->on_preempt == EI_SPEC_ON_PREEMPT_EXIT; i++) {
        if (times->sharers[i].shares_lane && is_above(&times->sharers[i], task) &&
            describe(&times->sharers[i], release_ns, release_ns + elapsed_ns, &tasks[count])) {
            count++;
        }
    }
    if (count == 0) {
        return ALWAYS;
    }
    const int64_t horizon_ns = elapsed_ns + 2 * ei_et_profile_total_ns(ei_task_times(task), EI_TIME_P99) + 1;
    if (ei_survival_from_schedule(tasks, count, elapsed_ns, horizon_ns, INT64_MAX, &times->table) != 0) {
        return uniform(task, elapsed_ns);
    }
    return ei_survival_of_table(&times->table);
}

/* The source's survival function times the deadline's. */
static struct ei_survival with_deadline(struct ei_live_task *task, struct ei_survival source, int64_t elapsed_ns)
{
    struct ei_exit_times *times = &task->planning.exit_times;
    const int64_t latest_ns = latest_end_ns(task, elapsed_ns);
    if (latest_ns == INT64_MAX && source.kind != EI_SURVIVAL_UNIFORM) {
        return source;
    }
    times->factors[0] = source;
    if (latest_ns == INT64_MAX) { /* a product, so that plans are made as with any other schedule */
        return (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, times->factors}};
    }
    /* The network must have ended by then; atomic branches are asked for when they begin. */
    const int64_t branch_ns = ei_task_elastic(task)->is_branch_atomic ? times->branch_max_ns : 0;
    int64_t end_ns = latest_ns - branch_ns - expected_demand_ns(task, elapsed_ns, latest_ns);
    end_ns = end_ns > elapsed_ns ? end_ns : elapsed_ns;
    const int64_t begin_ns = end_ns - times->spread_ns > elapsed_ns ? end_ns - times->spread_ns : elapsed_ns;
    times->factors[1] = ei_survival_uniform(begin_ns, end_ns);
    return (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {2, times->factors}};
}

EINET_RT struct ei_survival ei_exit_time_begin(struct ei_live_task *task, int64_t release_ns, int64_t elapsed_ns)
{
    struct ei_exit_times *times = &task->planning.exit_times;
    const struct ei_term source = task->spec->planner.exit_time;
    switch ((enum ei_spec_exit_time)source.word) {
    case EI_SPEC_EXIT_TIME_UNIFORM:
        break;
    case EI_SPEC_EXIT_TIME_EXPONENTIAL:
        return with_deadline(task, ei_survival_exponential(source.number), elapsed_ns);
    case EI_SPEC_EXIT_TIME_SCHEDULE:
        return with_deadline(task, from_schedule(task, release_ns, elapsed_ns), elapsed_ns);
    case EI_SPEC_EXIT_TIME_EMPIRICAL:
        ei_empirical_survival(&times->empirical, &times->table);
        return with_deadline(task, ei_survival_of_table(&times->table), elapsed_ns);
    case EI_SPEC_EXIT_TIME_TRACE:
        return with_deadline(task, ei_survival_of_table(&times->table), elapsed_ns);
    }
    return uniform(task, elapsed_ns);
}

/* A look costs a job 2 us, so one in some 50 ms does; at even distances all would see a periodic preemptor at the same
 * place. */
#define NOTE_LEAST_NS (25 * EI_NS_PER_MS)
#define NOTE_SPAN_NS (50 * EI_NS_PER_MS)

EINET_RT void ei_exit_time_note(struct ei_live_task *task, const struct ei_survival *survival, int64_t release_ns,
                                int64_t elapsed_ns)
{
    struct ei_exit_times *times = &task->planning.exit_times;
    struct ei_metrics_assumed *assumed = &times->assumed;
    if (assumed->step_ns == 0 || release_ns < times->note_from_ns) {
        return;
    }
    const double here = ei_survival_at(survival, elapsed_ns); /* not stopped so far: all later chances grow by that */
    for (int32_t i = 0; i < EI_METRICS_ASSUMED_POINTS; i++) {
        const int64_t t_ns = i * assumed->step_ns;
        if (t_ns <= elapsed_ns) {
            assumed->sum[i] += 1;
        } else if (here > 0) {
            assumed->sum[i] += ei_survival_at(survival, t_ns) / here;
        }
    }
    assumed->jobs++;
    const uint64_t mixed = (uint64_t)assumed->jobs * UINT64_C(0x9E3779B97F4A7C15); /* golden ratio: evenly spread */
    times->note_from_ns = release_ns + NOTE_LEAST_NS + (int64_t)((mixed >> 32) * NOTE_SPAN_NS >> 32);
}

EINET_RT void ei_exit_time_end(struct ei_live_task *task, int64_t elapsed_ns, bool is_forced)
{
    if (task->spec->planner.exit_time.word == EI_SPEC_EXIT_TIME_EMPIRICAL) {
        ei_empirical_add(&task->planning.exit_times.empirical, elapsed_ns, !is_forced);
    }
}

/* ---- if the job came back ---- */

#define RESUME_ROUNDS_MAX 256

/* What one job of the sharer costs this task. */
static int64_t job_cost_ns(const struct ei_sharer *sharer)
{
    return sharer->shares_lane ? sharer->demand_ns : (int64_t)((double)sharer->demand_ns * sharer->cpu_share);
}

/* What the sharer's jobs that are released in the next window_ns cost: as many as its schedule says, or as are expected
 * of a sporadic one; an external one comes as soon and as often as it may. */
static int64_t released_cost_ns(const struct ei_sharer *sharer, int64_t now_ns, int64_t window_ns)
{
    const struct ei_arrival_spec *spec = sharer->arrival;
    if (spec->model == EI_ARRIVAL_SPORADIC) {
        return (int64_t)((double)window_ns / (double)spec->mean_ns * (double)job_cost_ns(sharer));
    }
    const int64_t begun_ns = ei_course_newest_ns(&sharer->task->progress);
    int64_t next_ns;
    if (ei_settings_is_paused(sharer->task) || !next_nominal(sharer, now_ns, begun_ns, &next_ns) ||
        next_ns > now_ns + window_ns) {
        return 0;
    }
    const bool is_external = spec->model == EI_ARRIVAL_EXTERNAL;
    const int64_t distance_ns = is_external                          ? spec->min_interarrival_ns
                                : spec->model == EI_ARRIVAL_PERIODIC ? spec->period_ns
                                                                     : 0;
    next_ns = is_external && next_ns < now_ns ? now_ns : next_ns;
    const int64_t more = distance_ns > 0 ? (now_ns + window_ns - next_ns) / distance_ns : 0;
    return (1 + more) * job_cost_ns(sharer);
}

EINET_RT int64_t ei_exit_time_if_resumed(const struct ei_live_task *task, int64_t rest_ns, int64_t now_ns,
                                         int64_t deadline_ns)
{
    const struct ei_exit_times *times = &task->planning.exit_times;
    int64_t under_way_ns = rest_ns, window_ns = 0;
    for (int32_t i = 0; i < times->sharer_count; i++) {
        const struct ei_sharer *sharer = &times->sharers[i];
        int64_t oldest_ns;
        under_way_ns +=
            is_above(sharer, task) ? ei_course_under_way(&sharer->task->progress, &oldest_ns) * job_cost_ns(sharer) : 0;
    }
    int64_t next_ns = under_way_ns;
    for (int32_t round = 0; next_ns <= deadline_ns - now_ns && round < RESUME_ROUNDS_MAX; round++) {
        if (next_ns == window_ns) {
            return window_ns;
        }
        window_ns = next_ns;
        next_ns = under_way_ns;
        for (int32_t i = 0; i < times->sharer_count; i++) {
            next_ns += is_above(&times->sharers[i], task) ? released_cost_ns(&times->sharers[i], now_ns, window_ns) : 0;
        }
    }
    return INT64_MAX;
}
