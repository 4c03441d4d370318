/* See page_data.h. */
#include "report/page_data.h"

#include "metrics/outcomes.h"
#include "report/assumed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_JOBS 60     /* so many of the slowest jobs are points of their own */
#define TAIL_RATIO 0.97  /* between two points of the tail */
#define BODY_STEP 0.0025 /* share of all jobs between two points */
#define ASSUMED_MAX 1024 /* points of S, at most */
#define CURVES_MAX 64    /* of latency.hlog, some 10 KB each; the table has them all */

/* jansson frees a value that it cannot store and says -1; json_object_set_new(NULL, ...) does the same, so a lack of
 * memory ends as a page that lacks a figure, and only the root is checked. */
static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static double rounded(double value, double step)
{
    return round(value / step) * step;
}

static void add_point(json_t *curve, int64_t x_ns, double y)
{
    json_t *point = json_array();
    (void)json_array_append_new(point, json_integer(x_ns));
    (void)json_array_append_new(point, json_real(y < 0.001 ? y : rounded(y, 1e-6)));
    (void)json_array_append_new(curve, point);
}

/* ---- curves ---- */

/* P(value > x), its first point at the least value. */
static json_t *ccdf(const struct ei_histogram *h)
{
    json_t *curve = json_array();
    int bucket = 0;
    int64_t low_ns, high_ns;
    uint64_t count, seen = 0;
    double last = 2;
    while (ei_histogram_next(h, &bucket, &low_ns, &high_ns, &count)) {
        seen += count;
        const uint64_t above = h->count - seen;
        const double p = (double)above / (double)h->count;
        if (above <= TAIL_JOBS || p <= last * TAIL_RATIO || last - p >= BODY_STEP) {
            add_point(curve, high_ns < h->max_ns ? high_ns : h->max_ns, p);
            last = p;
        }
    }
    return curve;
}

/* Share of `of` values that are <= x. */
static json_t *cumulated(const struct ei_histogram *h, int64_t of)
{
    json_t *curve = json_array();
    int bucket = 0;
    int64_t low_ns, high_ns;
    uint64_t count, seen = 0;
    double last = -1;
    while (of > 0 && ei_histogram_next(h, &bucket, &low_ns, &high_ns, &count)) {
        seen += count;
        const double p = (double)seen / (double)of;
        if (p - last >= BODY_STEP || seen == h->count) {
            add_point(curve, high_ns < h->max_ns ? high_ns : h->max_ns, p);
            last = p;
        }
    }
    return curve;
}

/* Survival of the forced stop by Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958): a job that ended by itself tells only
 * that the stop would have come later. At equal times stops come first. */
static json_t *survival(const struct ei_histogram *stopped, const struct ei_histogram *unstopped)
{
    json_t *curve = json_array();
    double at_risk = (double)(stopped->count + unstopped->count), s = 1, last = 2;
    int i = 0, k = 0;
    int64_t low_ns = 0, high_ns = 0, other_low_ns, other_high_ns = 0;
    uint64_t count = 0, other = 0;
    bool has_other = ei_histogram_next(unstopped, &k, &other_low_ns, &other_high_ns, &other);
    while (ei_histogram_next(stopped, &i, &low_ns, &high_ns, &count)) {
        while (has_other && other_high_ns < high_ns) {
            at_risk -= (double)other;
            has_other = ei_histogram_next(unstopped, &k, &other_low_ns, &other_high_ns, &other);
        }
        s *= 1 - (double)count / at_risk;
        at_risk -= (double)count;
        if (last - s >= BODY_STEP || at_risk < TAIL_JOBS) {
            add_point(curve, high_ns, s > 0 ? s : 0);
            last = s;
        }
    }
    return curve;
}

/* ---- a task ---- */

static json_t *windows(const struct ei_report_task *task, int32_t count)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < count; i++) {
        const struct ei_report_window *w = &task->windows[i];
        const int64_t numbers[] = {w->met, w->late, w->not_run, w->explained};
        json_t *window = json_array();
        for (int k = 0; k < 4; k++) {
            (void)json_array_append_new(window, json_integer(numbers[k]));
        }
        (void)json_array_append_new(all, window);
    }
    return all;
}

/* "search exact, exit time uniform, ..." says the source of S. */
static json_t *assumed(const struct ei_report_task *task)
{
    static const char mark[] = "exit time ";
    const char *text = json_string_value(json_object_get(task->summary, "planner"));
    const char *at = text != NULL ? strstr(text, mark) : NULL;
    return at != NULL ? json_stringn(at + sizeof mark - 1, strcspn(at + sizeof mark - 1, ",")) : json_null();
}

/* S as the planner's jobs saw it in the mean, from summary.json; null = it is of a run that did not say. */
static json_t *assumed_curve(const struct ei_report_task *task)
{
    json_t *told = json_object_get(task->summary, "assumed_stop");
    const int64_t step_ns = json_integer_value(json_object_get(told, "step_ns"));
    json_t *points = json_object_get(told, "survival"), *point;
    if (step_ns <= 0 || step_ns > INT64_MAX / ASSUMED_MAX || json_array_size(points) < 2 ||
        json_array_size(points) > ASSUMED_MAX) {
        return json_null();
    }
    json_t *curve = json_array();
    size_t i;
    json_array_foreach(points, i, point)
    {
        const double s = json_number_value(point);
        add_point(curve, (int64_t)i * step_ns, s > 1 ? 1 : s > 0 ? s : 0);
    }
    return curve;
}

/* [share, low, high] of the delivered answers for each exit. */
static json_t *exit_shares(const struct ei_report_task *task)
{
    json_t *shares = json_array();
    int64_t counts[EI_REPORT_EXITS_MAX] = {0}, all = 0;
    json_t *exits = json_object_get(task->summary, "exits");
    for (int32_t i = 0; i < task->exit_count; i++) {
        counts[i] = json_integer_value(json_array_get(exits, (size_t)i));
        all += counts[i];
    }
    for (int32_t i = 0; all > 0 && i < task->exit_count; i++) {
        double low, high;
        ei_wilson95(counts[i], all, &low, &high);
        json_t *share = json_array();
        (void)json_array_append_new(share, json_integer(counts[i]));
        (void)json_array_append_new(share, json_real(rounded(low, 1e-5)));
        (void)json_array_append_new(share, json_real(rounded(high, 1e-5)));
        (void)json_array_append_new(shares, share);
    }
    return shares;
}

/* The task's responses in latency.hlog, NULL = it has none. */
static const struct ei_histogram *logged_responses(const struct ei_report_run *run, const struct ei_report_task *task)
{
    char tag[EI_HLOG_TAG_MAX];
    snprintf(tag, sizeof tag, "%.120s/response", task->name);
    return ei_hlog_find(&run->hlog, tag);
}

static void set_responses(json_t *data, const struct ei_histogram *responses)
{
    set(data, "ccdf", ccdf(responses));
    set(data, "fastest_ns", json_integer(ei_histogram_min_ns(responses)));
}

static json_t *task_data(const struct ei_report_run *run, const struct ei_report_task *task)
{
    json_t *data = json_object();
    set(data, "summary", json_incref(task->summary));
    if (task->exit_count > 0) {
        set(data, "assumed", assumed(task));
        set(data, "assumed_curve", assumed_curve(task));
        set(data, "assumed_rate_hz", json_real(ei_report_assumed_rate_hz(run->run, task->name)));
        set(data, "exit_shares", exit_shares(task));
    }
    if (!run->has_jobs) {
        const struct ei_histogram *responses = logged_responses(run, task);
        if (responses != NULL) {
            set_responses(data, responses);
        }
        return data;
    }
    set(data, "missing_jobs", json_integer(ei_report_missing_jobs(task)));
    set_responses(data, task->response);
    set(data, "windows", windows(task, run->window_count));
    if (task->exit_count > 0) {
        set(data, "labelled", json_integer(task->labelled));
        set(data, "right", cumulated(task->right_at, task->labelled));
        set(data, "answered", cumulated(task->answer_at, task->labelled));
        set(data, "stops", json_integer((json_int_t)task->stopped->count));
        set(data, "survival", survival(task->stopped, task->unstopped));
        set(data, "ended_by_ns",
            json_integer(ei_histogram_max_ns(task->stopped) > ei_histogram_max_ns(task->unstopped)
                             ? ei_histogram_max_ns(task->stopped)
                             : ei_histogram_max_ns(task->unstopped)));
    }
    return data;
}

/* ---- latency.hlog ---- */

static bool is_response(const char *tag)
{
    static const char end[] = "/response";
    const size_t length = strlen(tag);
    return length >= sizeof end - 1 && strcmp(tag + length - (sizeof end - 1), end) == 0;
}

/* What jobs.csv does not hold: preemptions, the noise of each CPU, jitter. */
static json_t *tails(const struct ei_report_run *run)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    json_t *all = json_array();
    for (int32_t i = 0; i < run->hlog.count; i++) {
        const struct ei_hlog_entry *entry = run->hlog.entries[i];
        if (is_response(entry->tag) || entry->histogram.count == 0) {
            continue;
        }
        int64_t values_ns[sizeof quantiles / sizeof quantiles[0]];
        json_t *tail = json_object(), *values = json_array();
        ei_histogram_quantiles_ns(&entry->histogram, quantiles, sizeof quantiles / sizeof quantiles[0], values_ns);
        for (size_t k = 0; k < sizeof quantiles / sizeof quantiles[0]; k++) {
            (void)json_array_append_new(values, json_integer(values_ns[k]));
        }
        set(tail, "tag", json_string(entry->tag));
        set(tail, "count", json_integer((json_int_t)entry->histogram.count));
        set(tail, "values", values);
        if (json_array_size(all) < CURVES_MAX) {
            set(tail, "ccdf", ccdf(&entry->histogram));
            set(tail, "least_ns", json_integer(ei_histogram_min_ns(&entry->histogram)));
        }
        (void)json_array_append_new(all, tail);
    }
    return all;
}

/* ---- the timeline ---- */

static void set_if_known(json_t *object, const char *key, int64_t value)
{
    if (value >= 0) {
        set(object, key, json_integer(value));
    }
}

static json_t *job_data(const struct ei_report_job *job)
{
    json_t *data = json_object();
    set(data, "task", json_integer(job->task_idx));
    set(data, "job", json_integer(job->job_idx));
    set(data, "release", json_integer(job->release_ns));
    set(data, "outcome", json_string(ei_report_outcome_name(job->outcome)));
    set(data, "cause", json_string(job->cause));
    set(data, "missed", json_boolean(job->is_missed));
    set_if_known(data, "start", job->start_ns);
    set_if_known(data, "finish", job->finish_ns);
    set_if_known(data, "deadline", job->deadline_ns);
    set_if_known(data, "answer", job->answer_ns);
    set_if_known(data, "exit", job->exit_idx);
    if (job->lane_busy_ns > 0) {
        set(data, "lane_busy", json_integer(job->lane_busy_ns));
    }
    if (job->preemptions > 0) {
        set(data, "preemptions", json_integer(job->preemptions));
        set(data, "by", json_string(job->preempted_by));
    }
    return data;
}

static json_t *span_data(const struct ei_span *span)
{
    json_t *data = json_object();
    set(data, "kind", json_string(ei_span_kind_name(span->kind)));
    set(data, "task", json_integer(span->task_idx));
    set(data, "job", json_integer(span->job_idx));
    set(data, "stage", json_string(span->stage));
    set(data, "stage_idx", json_integer(span->stage_idx));
    set_if_known(data, "block", span->block_idx);
    set_if_known(data, "cpu", span->cpu);
    set_if_known(data, "ready", span->ready_ns);
    set(data, "start", json_integer(span->start_ns));
    set(data, "end", json_integer(span->end_ns));
    set_if_known(data, "cpu_ns", span->cpu_ns);
    if (span->lane[0] != '\0') {
        set(data, "lane", json_string(span->lane));
    }
    if (span->confidence >= 0) {
        set(data, "confidence", json_real(rounded(span->confidence, 1e-4)));
    }
    return data;
}

static json_t *timeline_data(const struct ei_timeline *timeline)
{
    if (!timeline->has_worst) {
        return json_null();
    }
    json_t *data = json_object(), *jobs = json_array(), *spans = json_array();
    set(data, "from", json_integer(timeline->from_ns));
    set(data, "to", json_integer(timeline->to_ns));
    set(data, "worst", job_data(&timeline->worst));
    set(data, "has_stages", json_boolean(timeline->has_stages));
    set(data, "is_cut", json_boolean(timeline->is_cut));
    for (int32_t i = 0; i < timeline->job_count; i++) {
        (void)json_array_append_new(jobs, job_data(&timeline->jobs[i]));
    }
    for (int32_t i = 0; i < timeline->span_count; i++) {
        (void)json_array_append_new(spans, span_data(&timeline->spans[i]));
    }
    set(data, "jobs", jobs);
    set(data, "spans", spans);
    return data;
}

json_t *ei_report_page_data(const struct ei_report_run *run)
{
    json_t *data = json_object(), *tasks = json_array(), *whole = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(run->summary, key, value)
    {
        if (strcmp(key, "tasks") != 0) {
            set(whole, key, json_incref(value));
        }
    }
    set(data, "summary", whole);
    if (run->run != NULL) {
        json_t *about = json_object();
        static const char *const kept[] = {"git", "started_at", "command", "gpu", "host", "privileges"};
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            value = json_object_get(run->run, kept[i]);
            if (value != NULL) {
                set(about, kept[i], json_incref(value));
            }
        }
        value = json_object_get(json_object_get(run->run, "workload"), "sha256");
        set(about, "sha256", value != NULL ? json_incref(value) : json_null());
        set(data, "run", about);
    }
    set(data, "has_jobs", json_boolean(run->has_jobs));
    set(data, "window_ns", json_integer(run->window_ns));
    set(data, "job_count", json_integer(run->job_count));
    for (int32_t i = 0; i < run->task_count; i++) {
        (void)json_array_append_new(tasks, task_data(run, &run->tasks[i]));
    }
    set(data, "tasks", tasks);
    set(data, "tails", tails(run));
    set(data, "timeline", timeline_data(&run->timeline));
    return data;
}
