/* summary.json out of a finished collector; docs/summary-json.md says what each name means. Keys keep the order in
 * which they are set, so equal runs give equal files.
 */
#include "metrics/collector_state.h"

#include <math.h>

/* jansson's set_new takes a reference even when it fails, and reports a NULL value, so failures are summed up in rc. */
static void set(json_t *object, const char *key, json_t *value, int *rc)
{
    *rc |= json_object_set_new(object, key, value);
}

static void append(json_t *array, json_t *value, int *rc)
{
    *rc |= json_array_append_new(array, value);
}

/* Six digits are more than any run can resolve and keep the text stable. */
static json_t *ratio(double value)
{
    return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *fraction(int64_t part, int64_t whole)
{
    return whole > 0 ? ratio((double)part / (double)whole) : json_null();
}

static json_t *known(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *boolean(bool value)
{
    return value ? json_true() : json_false();
}

static const struct {
    const char *key;
    double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};

#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

/* {"p50",...,"max"} or null when nothing was recorded. */
static json_t *percentiles(const struct ei_histogram *histogram, int *rc)
{
    if (histogram->count == 0) {
        return json_null();
    }
    json_t *object = json_object();
    for (size_t i = 0; i < QUANTILES; i++) {
        set(object, quantiles[i].key, json_integer(ei_histogram_quantile_ns(histogram, quantiles[i].q)), rc);
    }
    set(object, "max", json_integer(ei_histogram_max_ns(histogram)), rc);
    return object;
}

static json_t *wilson(int64_t part, int64_t whole, int *rc)
{
    if (whole <= 0) {
        return json_null();
    }
    double low, high;
    ei_wilson95(part, whole, &low, &high);
    json_t *pair = json_array();
    append(pair, ratio(low), rc);
    append(pair, ratio(high), rc);
    return pair;
}

static json_t *exits(const struct ei_metrics_task_state *task, int *rc)
{
    if (task->spec.exits == 0) {
        return json_null();
    }
    json_t *array = json_array();
    for (int32_t i = 0; i < task->spec.exits; i++) {
        append(array, json_integer(task->exits[i]), rc);
    }
    return array;
}

static json_t *exit_accuracy(const struct ei_metrics_task_state *task, int *rc)
{
    if (task->spec.exits == 0) {
        return json_null();
    }
    json_t *array = json_array();
    for (int32_t i = 0; i < task->spec.exits; i++) {
        append(array, fraction(task->exit_correct[i], task->exit_labelled[i]), rc);
    }
    return array;
}

static json_t *causes(const struct ei_metrics_task_state *task, int *rc)
{
    json_t *object = json_object();
    for (int i = 0; i < EI_JOB_CAUSES; i++) {
        set(object, ei_job_cause_name(i), json_integer(task->causes[i]), rc);
    }
    return object;
}

static json_t *parts(const struct ei_metrics_task_state *task, int *rc)
{
    json_t *object = json_object();
    for (int i = 0; i < EI_PARTS; i++) {
        set(object, ei_miss_cause_name(i), json_integer(task->part_ns[i]), rc);
    }
    return object;
}

static json_t *miss_causes(const struct ei_metrics_task_state *task, int *rc)
{
    json_t *object = json_object();
    for (int i = 0; i < EI_MISS_CAUSES; i++) {
        set(object, ei_miss_cause_name(i), json_integer(task->miss_causes[i]), rc);
    }
    return object;
}

static json_t *over_profile(const struct ei_metrics_task_state *task, int *rc)
{
    json_t *object = json_object();
    for (int i = EI_PROFILE_KEPT + 1; i < EI_PROFILE_VERDICTS; i++) {
        set(object, ei_over_profile_name(i), json_integer(task->over_profile[i]), rc);
    }
    return object;
}

static json_t *preempted_by(const struct ei_collector *collector, const struct ei_metrics_task_state *task, int *rc)
{
    json_t *object = json_object();
    for (int32_t i = 0; i < collector->task_count; i++) {
        if (task->preempted_by[i] > 0) {
            set(object, collector->tasks[i].spec.name, json_integer(task->preempted_by[i]), rc);
        }
    }
    return object;
}

static json_t *slo_number(const struct ei_metrics_slo_verdict *slo, double value)
{
    return slo->is_time || slo->is_count ? json_integer((json_int_t)value) : ratio(value);
}

static json_t *slos(const struct ei_collector *collector, int32_t task_idx, int *rc)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < collector->slo_count; i++) {
        const struct ei_metrics_slo_verdict *slo = &collector->slos[i];
        if (slo->task_idx != task_idx) {
            continue;
        }
        json_t *object = json_object();
        set(object, "name", json_string(slo->name), rc);
        set(object, "limit", slo_number(slo, slo->limit), rc);
        set(object, "value", slo->is_judged ? slo_number(slo, slo->value) : json_null(), rc);
        set(object, "pass", slo->is_judged ? boolean(slo->is_passed) : json_null(), rc);
        set(object, "machine_explained", boolean(slo->is_judged && !slo->is_passed && slo->is_passed_without_explained),
            rc);
        append(array, object, rc);
    }
    return array;
}

/* What makes a task's misses. */
static void set_misses(json_t *object, const struct ei_metrics_task_state *task, int *rc)
{
    const int64_t seen = ei_metrics_seen(task);
    const int64_t not_met = ei_metrics_not_met(task);
    set(object, "misses_machine_explained", json_integer(task->misses_explained), rc);
    set(object, "not_run_machine_explained", json_integer(task->not_run_explained), rc);
    set(object, "miss_ratio", fraction(not_met, seen), rc);
    set(object, "miss_ratio_wilson95", wilson(not_met, seen, rc), rc);
    set(object, "longest_miss_run", json_integer(task->sequence.longest_run), rc);
    set(object, "mk_worst", task->spec.slo.mk_k > 0 ? json_integer(task->sequence.mk.worst) : json_null(), rc);
}

/* The mean of what the planner assumed, at equal steps from the release on. */
static json_t *assumed(const struct ei_metrics_assumed *assumed, int *rc)
{
    if (assumed->jobs == 0) {
        return json_null();
    }
    json_t *object = json_object(), *points = json_array();
    for (int32_t i = 0; i < EI_METRICS_ASSUMED_POINTS; i++) {
        append(points, ratio(assumed->sum[i] / (double)assumed->jobs), rc);
    }
    set(object, "jobs", json_integer(assumed->jobs), rc);
    set(object, "step_ns", json_integer(assumed->step_ns), rc);
    set(object, "survival", points, rc);
    return object;
}

static void set_network(json_t *object, const struct ei_metrics_task_state *task, int *rc)
{
    const bool has_network = task->spec.exits > 0;
    set(object, "answered", has_network ? json_integer(task->answered) : json_null(), rc);
    set(object, "accuracy_in_time", fraction(task->correct_in_time, task->labelled), rc);
    set(object, "accuracy_per_exit", exit_accuracy(task, rc), rc);
    set(object, "preempted_jobs", json_integer(task->preempted_jobs), rc);
    set(object, "preempted_past_first_exit", has_network ? json_integer(task->preempted_past_first_exit) : json_null(),
        rc);
    set(object, "answered_preempted", has_network ? json_integer(task->preempted_answered) : json_null(), rc);
    set(object, "preempted_labelled", has_network ? json_integer(task->preempted_labelled) : json_null(), rc);
    set(object, "preempted_correct", has_network ? json_integer(task->preempted_correct) : json_null(), rc);
    set(object, "preempted_accuracy", fraction(task->preempted_correct, task->preempted_labelled), rc);
    set(object, "planner", has_network && task->spec.plan[0] != '\0' ? json_string(task->spec.plan) : json_null(), rc);
    set(object, "assumed_stop", assumed(&task->assumed, rc), rc);
    set(object, "replans", has_network ? json_integer(task->replans) : json_null(), rc);
    set(object, "late_replans", has_network ? json_integer(task->late_replans) : json_null(), rc);
}

static json_t *demotion(const struct ei_metrics_task_state *task, int *rc)
{
    const struct ei_metrics_demotion *demotion = &task->demotion;
    if (!task->is_demoted) {
        return json_null();
    }
    json_t *object = json_object();
    set(object, "why", json_string(demotion->is_starving ? "starving" : "runaway"), rc);
    set(object, "job_idx", json_integer(demotion->job_idx), rc);
    set(object, "at_ns", json_integer(demotion->at_ns), rc);
    set(object, "used_ns", json_integer(demotion->used_ns), rc);
    set(object, "limit_ns", demotion->limit_ns != INT64_MAX ? json_integer(demotion->limit_ns) : json_null(), rc);
    return object;
}

static json_t *external(const struct ei_metrics_task_state *task, int *rc)
{
    const struct ei_metrics_external *external = &task->external;
    if (!external->is_external) {
        return json_null();
    }
    json_t *object = json_object();
    set(object, "asked", json_integer(external->asked), rc);
    set(object, "held_back", json_integer(external->held_back), rc);
    set(object, "refused", json_integer(external->refused), rc);
    set(object, "unreleased", json_integer(external->unreleased), rc);
    return object;
}

/* The share q of the completed jobs had at least so much time left, negative = were at most so late. */
static int64_t laxity_ns(const struct ei_metrics_task_state *task, double q)
{
    const double all = (double)task->tardiness.count, in_time = (double)task->earliness.count;
    const double rank = fmax(1.0, ceil(q * all - 1e-6)); /* by time left, from the most on */
    return rank > in_time ? -ei_histogram_quantile_ns(&task->tardiness, q)
                          : ei_histogram_quantile_ns(&task->earliness, (in_time - rank + 1.0) / in_time);
}

/* {"p50",...,"min"} or null when nothing was recorded. */
static json_t *laxity(const struct ei_metrics_task_state *task, int *rc)
{
    if (task->tardiness.count == 0) {
        return json_null();
    }
    json_t *object = json_object();
    for (size_t i = 0; i < QUANTILES; i++) {
        set(object, quantiles[i].key, json_integer(laxity_ns(task, quantiles[i].q)), rc);
    }
    set(object, "min", json_integer(laxity_ns(task, 1.0)), rc);
    return object;
}

static json_t *mean(int64_t sum, int64_t count)
{
    return count > 0 ? json_integer((sum + count / 2) / count) : json_null();
}

static json_t *stages(const struct ei_collector *collector, const struct ei_metrics_task_state *task, int *rc)
{
    if (!collector->has_stage_sums) {
        return json_null();
    }
    json_t *array = json_array();
    for (int32_t i = 0; i < task->spec.stage_count; i++) {
        const struct ei_stage_sum *sum = &task->stage_sums[i];
        json_t *object = json_object();
        set(object, "name", json_string(sum->name), rc);
        set(object, "kind", json_string(sum->is_network ? "nn" : "cpu"), rc);
        set(object, "runs", json_integer(sum->runs), rc);
        set(object, "wait_mean_ns", mean(sum->wait_ns, sum->runs), rc);
        set(object, "wait_max_ns", sum->runs > 0 ? json_integer(sum->wait_max_ns) : json_null(), rc);
        set(object, "cpu_mean_ns", mean(sum->cpu_ns, sum->timed_runs), rc);
        set(object, "cpu_max_ns", sum->timed_runs > 0 ? json_integer(sum->cpu_max_ns) : json_null(), rc);
        append(array, object, rc);
    }
    return array;
}

static json_t *usage(const struct ei_metrics_task_state *task, int *rc)
{
    if (!task->has_usage) {
        return json_null();
    }
    json_t *object = json_object();
    set(object, "cpu_ns", json_integer(task->usage.cpu_ns), rc);
    set(object, "minor_faults", json_integer(task->usage.minor_faults), rc);
    set(object, "major_faults", json_integer(task->usage.major_faults), rc);
    set(object, "voluntary_switches", json_integer(task->usage.voluntary_switches), rc);
    set(object, "involuntary_switches", json_integer(task->usage.involuntary_switches), rc);
    return object;
}

static json_t *task_json(const struct ei_collector *collector, int32_t task_idx, int *rc)
{
    const struct ei_metrics_task_state *task = &collector->tasks[task_idx];
    const bool has_deadline = task->spec.deadline_ns != INT64_MAX;
    json_t *object = json_object();
    set(object, "name", json_string(task->spec.name), rc);
    set(object, "priority", json_integer(task->spec.priority), rc);
    set(object, "expected", json_integer(collector->expected[task_idx]), rc);
    set(object, "released", json_integer(task->completed + task->aborted), rc);
    set(object, "skipped", json_integer(task->skipped), rc);
    set(object, "dropped", json_integer(task->dropped), rc);
    set(object, "completed", json_integer(task->completed), rc);
    set(object, "aborted", json_integer(task->aborted), rc);
    set(object, "misses", json_integer(task->misses), rc);
    set(object, "overruns", json_integer(task->overruns), rc);
    set(object, "preemptions", json_integer(task->preemptions), rc);
    set(object, "coverage", fraction(task->answered, task->with_network), rc);
    set(object, "accuracy", fraction(task->correct, task->labelled_answered), rc);
    set(object, "exits", exits(task, rc), rc);
    set(object, "response_ns", percentiles(&task->response, rc), rc);
    set(object, "jitter_ns", percentiles(&task->jitter, rc), rc);
    set(object, "blocking_ns", percentiles(&task->blocking, rc), rc);
    set(object, "switch_ns", percentiles(&task->switching, rc), rc);
    set(object, "start_latency_ns", percentiles(&task->start_latency, rc), rc);
    set(object, "lane_wait_ns", task->spec.exits > 0 ? percentiles(&task->lane_wait, rc) : json_null(), rc);
    set(object, "tardiness_ns", has_deadline ? percentiles(&task->tardiness, rc) : json_null(), rc);
    set(object, "is_fifo", boolean(task->spec.is_fifo), rc);
    set(object, "demoted", demotion(task, rc), rc);
    set(object, "deadline_ns", has_deadline ? json_integer(task->spec.deadline_ns) : json_null(), rc);
    set(object, "period_ns", task->spec.period_ns > 0 ? json_integer(task->spec.period_ns) : json_null(), rc);
    set(object, "warmup", json_integer(task->warmup), rc);
    set(object, "identity_ok", boolean(ei_metrics_seen(task) == collector->expected[task_idx]), rc);
    set_misses(object, task, rc);
    set_network(object, task, rc);
    set(object, "preempted_by", preempted_by(collector, task, rc), rc);
    set(object, "causes", causes(task, rc), rc);
    set(object, "slo", slos(collector, task_idx, rc), rc);
    set(object, "response_parts_ns", parts(task, rc), rc);
    set(object, "miss_causes", miss_causes(task, rc), rc);
    set(object, "over_profile", over_profile(task, rc), rc);
    set(object, "external", external(task, rc), rc);
    set(object, "withheld", json_integer(task->withheld), rc);
    const char *by_fifo = task->spec.is_fifo ? "fifo" : "other";
    set(object, "class", json_string(task->spec.class_name != NULL ? task->spec.class_name : by_fifo), rc);
    set(object, "laxity_ns", laxity(task, rc), rc);
    set(object, "lane_busy_ns", task->spec.exits > 0 ? json_integer(task->lane_busy_ns) : json_null(), rc);
    set(object, "usage", usage(task, rc), rc);
    set(object, "migrations", json_integer(task->migrations), rc);
    set(object, "stages", stages(collector, task, rc), rc);
    return object;
}

static json_t *noise(const struct ei_collector *collector, int *rc)
{
    json_t *object = json_object();
    const bool is_known = collector->wakeups > 0;
    const struct ei_histogram *lateness = &collector->lateness;
    set(object, "wakeups", json_integer(collector->wakeups), rc);
    set(object, "p50", is_known ? json_integer(ei_histogram_quantile_ns(lateness, 0.5)) : json_null(), rc);
    set(object, "p99", is_known ? json_integer(ei_histogram_quantile_ns(lateness, 0.99)) : json_null(), rc);
    set(object, "p999", is_known ? json_integer(ei_histogram_quantile_ns(lateness, 0.999)) : json_null(), rc);
    set(object, "p9999", is_known ? json_integer(ei_histogram_quantile_ns(lateness, 0.9999)) : json_null(), rc);
    set(object, "max", is_known ? json_integer(ei_histogram_max_ns(lateness)) : json_null(), rc);
    set(object, "gap_min_ns", json_integer(EI_METRICS_GAP_MIN_NS), rc);
    set(object, "gaps", json_integer(collector->gap_count), rc);
    set(object, "gap_total_ns", json_integer(collector->gap_total_ns), rc);
    set(object, "long_gap_min_ns", json_integer(EI_METRICS_LONG_GAP_MIN_NS), rc);
    set(object, "long_gaps", json_integer(collector->long_gap_count), rc);
    set(object, "is_probe_fifo", is_known ? boolean(!collector->is_probe_outranked) : json_null(), rc);
    return object;
}

static json_t *process(const struct ei_metrics_totals *totals, int *rc)
{
    json_t *object = json_object();
    set(object, "minor_faults", known(totals->minor_faults), rc);
    set(object, "major_faults", known(totals->major_faults), rc);
    set(object, "voluntary_switches", known(totals->voluntary_switches), rc);
    set(object, "involuntary_switches", known(totals->involuntary_switches), rc);
    return object;
}

static json_t *loads(const struct ei_collector *collector, int *rc)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < collector->totals.load_count; i++) {
        const struct ei_metrics_cpu_load *load = &collector->loads[i];
        json_t *object = json_object();
        set(object, "cpu", json_integer(load->cpu), rc);
        set(object, "mean", ratio(load->mean), rc);
        set(object, "peak", ratio(load->peak), rc);
        set(object, "cap", ratio(load->cap), rc);
        append(array, object, rc);
    }
    return array;
}

static json_t *lanes(const struct ei_collector *collector, int *rc)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < collector->lane_count; i++) {
        const int64_t busy_ns = collector->lane_busy_ns != NULL ? collector->lane_busy_ns[i] : -1;
        json_t *object = json_object();
        set(object, "name", json_string(collector->lanes[i].name), rc);
        set(object, "busy_ns", known(busy_ns), rc);
        set(object, "busy", busy_ns < 0 ? json_null() : fraction(busy_ns, collector->totals.duration_ns), rc);
        append(array, object, rc);
    }
    return array;
}

static json_t *records_lost(const struct ei_collector *collector, int *rc)
{
    json_t *object = json_object();
    set(object, "job", json_integer(collector->totals.job_records_lost), rc);
    set(object, "gap", json_integer(collector->totals.gap_records_lost), rc);
    set(object, "invalid", json_integer(collector->records_invalid), rc);
    set(object, "stage", json_integer(collector->stages_lost), rc);
    return object;
}

static json_t *trace_counts(const struct ei_trace *trace, int *rc)
{
    const struct ei_trace_counts counts = ei_trace_count(trace);
    json_t *object = json_object();
    set(object, "events", json_integer(counts.events), rc);
    set(object, "lost_events", json_integer(counts.lost_events), rc);
    set(object, "lost_batches", json_integer(counts.lost_batches), rc);
    set(object, "lost_stages", json_integer(counts.strays), rc);
    set(object, "windows", json_integer(counts.files), rc);
    set(object, "unsaved_misses", json_integer(counts.unsaved_misses), rc);
    set(object, "overwritten_records", json_integer(counts.overwritten), rc);
    return object;
}

json_t *ei_metrics_summary_json(const struct ei_collector *collector)
{
    const struct ei_metrics_totals *totals = &collector->totals;
    int rc = 0;
    json_t *root = json_object();
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)collector->seed);
    set(root, "schema", json_integer(1), &rc);
    set(root, "name", json_string(collector->name), &rc);
    set(root, "duration_ns", json_integer(totals->duration_ns), &rc);
    set(root, "seed", collector->seed <= INT64_MAX ? json_integer((json_int_t)collector->seed) : json_string(seed),
        &rc);
    set(root, "degraded", json_incref(collector->degraded), &rc);
    set(root, "machine", json_incref(collector->machine), &rc);
    json_t *tasks = json_array();
    for (int32_t i = 0; i < collector->task_count; i++) {
        append(tasks, task_json(collector, i, &rc), &rc);
    }
    set(root, "tasks", tasks, &rc);
    set(root, "version", json_string(collector->version), &rc);
    set(root, "planned_duration_ns",
        collector->planned_ns != INT64_MAX ? json_integer(collector->planned_ns) : json_null(), &rc);
    set(root, "warmup_ns", json_integer(collector->warmup_ns), &rc);
    set(root, "ended_early", boolean(totals->is_ended_early), &rc);
    set(root, "end_signal", totals->end_signal > 0 ? json_integer(totals->end_signal) : json_null(), &rc);
    set(root, "identity_ok", boolean(ei_collector_is_identity_ok(collector)), &rc);
    set(root, "slo_failures", json_integer(ei_collector_slo_failures(collector)), &rc);
    set(root, "noise", noise(collector, &rc), &rc);
    set(root, "rt_load", loads(collector, &rc), &rc);
    set(root, "lanes", lanes(collector, &rc), &rc);
    set(root, "process", process(totals, &rc), &rc);
    set(root, "changes", collector->changes != NULL ? json_incref(collector->changes) : json_array(), &rc);
    set(root, "changes_lost", json_integer(totals->changes_lost), &rc);
    set(root, "records_lost", records_lost(collector, &rc), &rc);
    json_t *lines = json_object();
    set(lines, "jobs.csv", json_integer(collector->jobs_csv.lost), &rc);
    set(lines, "stages.csv", json_integer(collector->stages_csv.lost), &rc);
    set(root, "lines_lost", lines, &rc);
    if (collector->trace != NULL) {
        set(root, "trace", trace_counts(collector->trace, &rc), &rc);
    }
    if (rc != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}
