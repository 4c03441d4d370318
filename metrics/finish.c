/* The end of a run: take the engine's totals, judge, and write the files so that all of them appear or none. */
#include "metrics/collector_state.h"
#include "metrics/run_json.h"
#include "metrics/table_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(9))

enum { FILE_JOBS, FILE_STAGES, FILE_HLOG, FILE_TABLE, FILE_SUMMARY, FILE_COUNT };

int32_t ei_collector_slo_failures(const struct ei_collector *collector)
{
    int32_t failures = 0;
    for (int32_t i = 0; i < collector->slo_count; i++) {
        failures += collector->slos[i].is_judged && !collector->slos[i].is_passed;
    }
    return failures;
}

/* What was changed in the run, as it goes into the JSON. Returns 0 or -ENOMEM. */
static int take_changes(struct ei_collector *collector, const struct ei_metrics_totals *totals)
{
    int rc = 0;
    json_decref(collector->changes);
    collector->changes = json_array();
    for (int32_t i = 0; i < totals->change_count; i++) {
        const struct ei_metrics_change *change = &totals->changes[i];
        json_t *object = json_object();
        rc |= json_object_set_new(object, "at_ns", json_integer(change->at_ns));
        rc |= json_object_set_new(object, "task", ei_json_text(collector->tasks[change->task_idx].spec.name));
        if (change->has_priority) {
            rc |= json_object_set_new(object, "priority", json_integer(change->priority));
        }
        if (change->has_deadline) {
            rc |=
                json_object_set_new(object, "deadline_ns",
                                    change->deadline_ns != INT64_MAX ? json_integer(change->deadline_ns) : json_null());
        }
        if (change->search[0] != '\0') {
            rc |= json_object_set_new(object, "search", json_string(change->search));
        }
        if (change->is_paused || change->is_resumed) {
            rc |= json_object_set_new(object, "paused", json_boolean(change->is_paused));
        }
        rc |= json_array_append_new(collector->changes, object);
    }
    return rc == 0 && collector->changes != NULL ? 0 : -ENOMEM;
}

static int copy_totals(struct ei_collector *collector, const struct ei_metrics_totals *totals)
{
    const size_t count = totals->loads != NULL && totals->load_count > 0 ? (size_t)totals->load_count : 0;
    struct ei_metrics_cpu_load *loads = count > 0 ? malloc(count * sizeof *loads) : NULL;
    if (count > 0 && loads == NULL) {
        return -ENOMEM;
    }
    if (count > 0) {
        memcpy(loads, totals->loads, count * sizeof *loads);
    }
    const size_t lanes = totals->lane_busy_ns != NULL ? (size_t)collector->lane_count : 0;
    int64_t *busy_ns = lanes > 0 ? malloc(lanes * sizeof *busy_ns) : NULL;
    if (lanes > 0 && busy_ns == NULL) {
        free(loads);
        return -ENOMEM;
    }
    for (size_t i = 0; i < lanes; i++) {
        busy_ns[i] = totals->lane_busy_ns[i];
    }
    free(collector->lane_busy_ns);
    collector->lane_busy_ns = busy_ns;
    free(collector->loads);
    collector->loads = loads;
    memcpy(collector->expected, totals->expected, (size_t)collector->task_count * sizeof *collector->expected);
    collector->totals = *totals;
    collector->totals.expected = collector->expected;
    collector->totals.loads = loads;
    for (int32_t i = 0; totals->external != NULL && i < collector->task_count; i++) {
        collector->tasks[i].external = totals->external[i];
    }
    for (int32_t i = 0; totals->assumed != NULL && i < collector->task_count; i++) {
        if (totals->assumed[i] != NULL) {
            collector->tasks[i].assumed = *totals->assumed[i];
        }
    }
    for (int32_t i = 0; totals->withheld != NULL && i < collector->task_count; i++) {
        collector->tasks[i].withheld = totals->withheld[i];
    }
    for (int32_t i = 0; totals->usage != NULL && i < collector->task_count; i++) {
        collector->tasks[i].has_usage = true;
        collector->tasks[i].usage = totals->usage[i];
    }
    collector->totals.changes = NULL; /* the JSON has them */
    collector->totals.usage = NULL;   /* the tasks have it */
    collector->totals.lane_busy_ns = busy_ns;
    collector->totals.withheld = NULL;  /* the tasks have it */
    collector->totals.external = NULL;  /* likewise */
    collector->totals.assumed = NULL;   /* likewise */
    collector->totals.demotions = NULL; /* the tasks have them */
    collector->totals.degraded = NULL;
    collector->totals.load_count = (int32_t)count;
    return take_changes(collector, totals);
}

int ei_collector_print_json(const struct ei_collector *collector, FILE *out)
{
    json_t *root = ei_metrics_summary_json(collector);
    if (root == NULL) {
        return -ENOMEM;
    }
    /* As one text: the library writes piecemeal and resets errno between pieces, so a full disk would lose its name. */
    char *text = json_dumps(root, JSON_FLAGS);
    json_decref(root);
    if (text == NULL) {
        return -ENOMEM;
    }
    errno = 0;
    const bool is_written = fputs(text, out) != EOF && fputc('\n', out) != EOF;
    const int errnum = errno != 0 ? errno : EIO;
    free(text);
    return is_written ? 0 : -errnum;
}

/* Write one file through to a closed NAME.partial. */
static int write_file(const struct ei_collector *collector, struct ei_output_file *file, int which,
                      struct einet_error *err)
{
    const char *name = which == FILE_HLOG ? "latency.hlog" : which == FILE_TABLE ? "summary.txt" : "summary.json";
    int rc = ei_output_file_open(file, collector->out_dir, name, err);
    if (rc != 0) {
        return rc;
    }
    rc = which == FILE_HLOG    ? ei_metrics_write_hlog(collector, file->stream)
         : which == FILE_TABLE ? ei_collector_print_table(collector, file->stream, false)
                               : ei_collector_print_json(collector, file->stream);
    if (rc == -ENOMEM) {
        return einet_error_set(err, rc, "out of memory while writing %s", name);
    }
    file->write_errnum = -rc;
    return ei_output_file_close(file, err);
}

/* From here on the file is the caller's to publish or discard; how many lines it lost stays. */
static int close_lines(struct ei_line_file *lines, struct ei_output_file *out, struct einet_error *err)
{
    const int rc = ei_line_file_close(lines, err);
    *out = lines->file;
    lines->file = (struct ei_output_file){0};
    return rc;
}

static int write_files(struct ei_collector *collector, struct einet_error *err)
{
    struct ei_output_file files[FILE_COUNT] = {0};
    struct einet_error of_trace = {0};
    int rc = 0, trace_rc = 0; /* what a trace lacks costs no other file */
    if (collector->has_jobs_csv) {
        rc = close_lines(&collector->jobs_csv, &files[FILE_JOBS], err);
    }
    if (rc == 0 && collector->has_stages_csv) {
        rc = close_lines(&collector->stages_csv, &files[FILE_STAGES], err);
    }
    if (rc == 0 && collector->trace != NULL) {
        if (json_array_size(collector->degraded) > 0) {
            ei_trace_mark_degraded(collector->trace);
        }
        trace_rc = ei_trace_close(collector->trace, &of_trace);
    }
    ei_output_file_discard(&collector->reserve); /* now, when nobody adds lines any more */
    for (int i = collector->has_hlog ? FILE_HLOG : FILE_TABLE; rc == 0 && i < FILE_COUNT; i++) {
        rc = write_file(collector, &files[i], i, err);
    }
    if (rc == 0 && trace_rc == 0 && collector->trace != NULL) {
        trace_rc = ei_trace_publish(collector->trace, &of_trace);
    }
    /* summary.json comes last: where it is, the other files are complete. */
    for (int i = 0; rc == 0 && i < FILE_COUNT; i++) {
        if (files[i].path != NULL) {
            rc = ei_output_file_publish(&files[i], err);
        }
    }
    for (int i = 0; i < FILE_COUNT; i++) {
        if (rc == 0) {
            ei_output_file_fini(&files[i]);
        } else {
            ei_output_file_discard(&files[i]);
        }
    }
    if (rc == 0 && trace_rc != 0 && err != NULL) {
        *err = of_trace;
    }
    return rc != 0 ? rc : trace_rc;
}

const char *ei_metrics_demotion_text(const struct ei_metrics_demotion *demotion, const char *task_name,
                                     char out[EI_METRICS_DEMOTION_TEXT_MAX])
{
    char at[32], used[32], limit[32];
    ei_text_duration(at, sizeof at, demotion->at_ns);
    ei_text_duration(used, sizeof used, demotion->used_ns);
    ei_text_duration(limit, sizeof limit, demotion->limit_ns);
    if (demotion->is_starving) {
        snprintf(out, EI_METRICS_DEMOTION_TEXT_MAX,
                 "task '%.40s' was demoted to SCHED_OTHER %s after the start: it kept housekeeping from running (job "
                 "%lld)",
                 task_name, at, (long long)demotion->job_idx);
    } else {
        snprintf(out, EI_METRICS_DEMOTION_TEXT_MAX,
                 "task '%.40s' was demoted to SCHED_OTHER %s after the start: its job %lld had used %s, the watchdog "
                 "allows %s",
                 task_name, at, (long long)demotion->job_idx, used, limit);
    }
    return out;
}

/* Each demotion belongs to its task and to what degrades the run. Returns 0 or -ENOMEM. */
static int take_demotions(struct ei_collector *collector, const struct ei_metrics_totals *totals)
{
    int rc = 0;
    for (int32_t i = 0; i < totals->demotion_count; i++) {
        const struct ei_metrics_demotion *demotion = &totals->demotions[i];
        struct ei_metrics_task_state *task = &collector->tasks[demotion->task_idx];
        char text[EI_METRICS_DEMOTION_TEXT_MAX];
        json_t *entry = json_object();
        task->is_demoted = true;
        task->demotion = *demotion;
        rc |= json_object_set_new(entry, "reason",
                                  json_string(ei_metrics_demotion_text(demotion, task->spec.name, text)));
        rc |= json_object_set_new(entry, "fix",
                                  json_string("find out why it ran away, or raise its budgets or platform.watchdog"));
        rc |= json_array_append_new(collector->degraded, entry);
    }
    return rc == 0 ? 0 : -ENOMEM;
}

static int take_degraded(struct ei_collector *collector, const struct ei_metrics_totals *totals)
{
    int rc = 0;
    for (int32_t i = 0; i < totals->degraded_count; i++) {
        const struct ei_metrics_degraded *degraded = &totals->degraded[i];
        json_t *entry = json_object();
        rc |= json_object_set_new(entry, "reason", ei_json_text(degraded->reason));
        rc |= json_object_set_new(entry, "fix", ei_json_text(degraded->fix));
        rc |= json_array_append_new(collector->degraded, entry);
    }
    return rc == 0 ? 0 : -ENOMEM;
}

int ei_collector_finish(struct ei_collector *collector, const struct ei_metrics_totals *totals, struct einet_error *err)
{
    if (collector->is_finished) {
        return einet_error_set(err, -EINVAL, "the collector is finished already: call finish once");
    }
    if (copy_totals(collector, totals) != 0 || take_demotions(collector, totals) != 0 ||
        take_degraded(collector, totals) != 0) {
        return einet_error_set(err, -ENOMEM, "out of memory for the totals of the run");
    }
    for (int32_t i = 0; i < collector->task_count; i++) {
        struct ei_held_stages *held = &collector->tasks[i].held;
        ei_outcome_sequence_flush(&collector->tasks[i].sequence);
        ei_held_stages_end(held, INT64_MAX);
        collector->stages_lost += held->lost;
    }
    ei_metrics_judge(collector);
    collector->is_finished = true;
    return collector->out_dir != NULL ? write_files(collector, err) : 0;
}
