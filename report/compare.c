/* See compare.h. */
#include "report/compare.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

EINET_PRINTF(2, 3) static void warn(struct ei_comparison *c, const char *format, ...)
{
    if (c->warning_count < EI_COMPARE_WARNINGS_MAX) {
        va_list args;
        va_start(args, format);
        vsnprintf(c->warnings[c->warning_count++], sizeof c->warnings[0], format, args);
        va_end(args);
    }
}

/* ---- rows ---- */

static enum ei_compare_verdict judge(const struct ei_compare_row *row)
{
    const struct ei_interval *d = &row->difference;
    if (!d->is_known || (d->low <= 0 && d->high >= 0)) {
        return EI_COMPARE_NONE_SHOWN;
    }
    const bool a_is_larger = d->low > 0;
    return a_is_larger == (row->sense != EI_COMPARE_LESS_IS_BETTER) ? EI_COMPARE_A : EI_COMPARE_B;
}

EINET_PRINTF(6, 7)
static void add_row(struct ei_compare_task *task, enum ei_compare_unit unit, enum ei_compare_sense sense,
                    struct ei_interval a, struct ei_interval b, const char *format, ...)
{
    if (task->row_count == EI_COMPARE_ROWS_MAX || (!a.is_known && !b.is_known)) {
        return;
    }
    struct ei_compare_row *row = &task->rows[task->row_count++];
    *row = (struct ei_compare_row){
        .unit = unit, .sense = sense, .a = a, .b = b, .difference = ei_interval_difference(a, b)};
    row->verdict = judge(row);
    va_list args;
    va_start(args, format);
    vsnprintf(row->figure, sizeof row->figure, format, args);
    va_end(args);
}

static struct ei_interval misses(const struct ei_report_task *task)
{
    int64_t missed, releases;
    ei_report_misses(task, true, &missed, &releases);
    return ei_interval_ratio(missed, releases);
}

static int64_t all_answers(const struct ei_report_task *task)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < task->exit_count; i++) {
        sum += task->exits[i];
    }
    return sum;
}

static struct ei_interval coverage(const struct ei_report_task *task)
{
    const bool has_network = task->exit_count > 0;
    return ei_interval_ratio(has_network ? all_answers(task) : 0,
                             has_network ? task->outcomes[EI_REPORT_COMPLETED] + task->outcomes[EI_REPORT_ABORTED] : 0);
}

static void compare_task(struct ei_compare_task *out)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"response_p50", 0.5}, {"response_p90", 0.9}, {"response_p99", 0.99}, {"response_p999", 0.999}};
    const struct ei_report_task *a = out->a, *b = out->b;
    add_row(out, EI_COMPARE_RATIO, EI_COMPARE_LESS_IS_BETTER, misses(a), misses(b), "miss_ratio");
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        add_row(out, EI_COMPARE_NS, EI_COMPARE_LESS_IS_BETTER, ei_interval_quantile(a->response, quantiles[i].q),
                ei_interval_quantile(b->response, quantiles[i].q), "%s", quantiles[i].name);
    }
    add_row(out, EI_COMPARE_RATIO, EI_COMPARE_MORE_IS_BETTER, coverage(a), coverage(b), "coverage");
    add_row(out, EI_COMPARE_RATIO, EI_COMPARE_MORE_IS_BETTER, ei_interval_ratio(a->right, a->answers),
            ei_interval_ratio(b->right, b->answers), "accuracy");
    add_row(out, EI_COMPARE_RATIO, EI_COMPARE_MORE_IS_BETTER, ei_interval_ratio(a->right_in_time, a->labelled),
            ei_interval_ratio(b->right_in_time, b->labelled), "accuracy_in_time");
    const int32_t exits = a->exit_count > b->exit_count ? a->exit_count : b->exit_count;
    for (int32_t i = 0; i < exits; i++) {
        add_row(out, EI_COMPARE_RATIO, EI_COMPARE_NEUTRAL, ei_interval_ratio(a->exits[i], all_answers(a)),
                ei_interval_ratio(b->exits[i], all_answers(b)), "exit_%d", i);
    }
}

/* ---- are the two comparable? ---- */

static const char *workload_hash(const struct ei_report_run *run)
{
    const char *hash = json_string_value(json_object_get(json_object_get(run->run, "workload"), "sha256"));
    return hash != NULL && strspn(hash, "0123456789abcdef") == strlen(hash) ? hash : NULL;
}

static void warn_of_run(struct ei_comparison *c, const struct ei_report_run *run, char letter)
{
    json_t *degraded = ei_report_degraded(run), *reason;
    size_t i;
    json_array_foreach(degraded, i, reason)
    {
        const char *text = json_string_value(json_object_get(reason, "reason"));
        warn(c, "%c is DEGRADED: %s", letter, text != NULL ? text : "no reason is given");
    }
    if (json_is_true(json_object_get(run->summary, "ended_early"))) {
        warn(c, "%c was ended before its time", letter);
    }
    for (int32_t k = 0; k < run->task_count; k++) {
        const int64_t missing = ei_report_missing_jobs(&run->tasks[k]);
        if (missing > 0) {
            warn(c, "%c: %lld jobs of task %s are not in jobs.csv", letter, (long long)missing, run->tasks[k].name);
        }
    }
}

static void warn_of_tasks(struct ei_comparison *c)
{
    static const char *const keys[] = {"deadline_ns", "period_ns"};
    for (int32_t i = 0; i < c->task_count; i++) {
        const struct ei_compare_task *task = &c->tasks[i];
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            if (!json_equal(json_object_get(task->a->summary, keys[k]), json_object_get(task->b->summary, keys[k]))) {
                warn(c, "task %s: %s of A and B differ", task->name, keys[k]);
            }
        }
    }
}

static const struct ei_report_task *find_task(const struct ei_report_run *run, const char *name)
{
    for (int32_t i = 0; i < run->task_count; i++) {
        if (strcmp(run->tasks[i].name, name) == 0) {
            return &run->tasks[i];
        }
    }
    return NULL;
}

static void warn_of_missing(struct ei_comparison *c, const struct ei_report_run *has, const struct ei_report_run *lacks,
                            char letter)
{
    for (int32_t i = 0; i < has->task_count; i++) {
        if (find_task(lacks, has->tasks[i].name) == NULL) {
            warn(c, "task %s is in %c only", has->tasks[i].name, letter);
        }
    }
}

static void warn_of_workloads(struct ei_comparison *c)
{
    const char *a = workload_hash(c->a), *b = workload_hash(c->b);
    if (a != NULL && b != NULL && strcmp(a, b) != 0) {
        warn(c, "the workload files differ (sha256 %.12s and %.12s): what differs below may come from that", a, b);
    }
    warn_of_missing(c, c->a, c->b, 'A');
    warn_of_missing(c, c->b, c->a, 'B');
}

int ei_compare(const struct ei_report_run *a, const struct ei_report_run *b, struct ei_comparison *out,
               struct einet_error *err)
{
    *out = (struct ei_comparison){.a = a, .b = b};
    const struct ei_report_run *without = !a->has_jobs ? a : !b->has_jobs ? b : NULL;
    if (without != NULL) {
        return einet_error_set(
            err, EINET_E_MISMATCH,
            "%s has no jobs.csv, and without it nothing is known of how sure the figures are: run it "
            "with outputs.jobs: csv",
            without->folder);
    }
    out->tasks = calloc((size_t)a->task_count, sizeof *out->tasks);
    if (out->tasks == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory to compare %s and %s", a->folder, b->folder);
    }
    for (int32_t i = 0; i < a->task_count; i++) {
        const struct ei_report_task *other = find_task(b, a->tasks[i].name);
        if (other != NULL) {
            struct ei_compare_task *task = &out->tasks[out->task_count++];
            task->name = a->tasks[i].name;
            task->a = &a->tasks[i];
            task->b = other;
            compare_task(task);
        }
    }
    if (out->task_count == 0) {
        ei_comparison_fini(out);
        return einet_error_set(
            err, EINET_E_MISMATCH,
            "%s and %s have no task in common: compare runs of one workload, or of two that name their "
            "tasks alike",
            a->folder, b->folder);
    }
    warn_of_run(out, a, 'A');
    warn_of_run(out, b, 'B');
    warn_of_workloads(out);
    warn_of_tasks(out);
    return 0;
}

void ei_comparison_fini(struct ei_comparison *comparison)
{
    free(comparison->tasks);
    *comparison = (struct ei_comparison){0};
}
