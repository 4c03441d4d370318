/* See jobs.h. */
#include "report/jobs.h"

#include <string.h>

const char *ei_report_outcome_name(enum ei_report_outcome outcome)
{
    static const char *const names[EI_REPORT_OUTCOMES] = {"completed", "aborted", "skipped", "dropped"};
    return outcome < EI_REPORT_OUTCOMES ? names[outcome] : "unknown";
}

bool ei_report_is_forced(const struct ei_report_job *job)
{
    return strcmp(job->cause, "preempted") == 0 || strcmp(job->cause, "deadline") == 0 ||
           strcmp(job->cause, "load_cap") == 0 || strcmp(job->cause, "overrun") == 0;
}

int ei_report_jobs_open(struct ei_report_jobs *jobs, const char *path, const char *const *task_names,
                        int32_t task_count, struct einet_error *err)
{
    *jobs = (struct ei_report_jobs){.task_names = task_names, .task_count = task_count};
    int rc = ei_csv_reader_open(&jobs->csv, path, err);
    if (rc < 0) {
        return rc;
    }
    const struct {
        const char *name;
        int *column;
    } needed[] = {
        {"task", &jobs->column.task},           {"job_idx", &jobs->column.job},
        {"release_ns", &jobs->column.release},  {"outcome", &jobs->column.outcome},
        {"cause", &jobs->column.cause},         {"is_warmup", &jobs->column.is_warmup},
        {"is_missed", &jobs->column.is_missed}, {"start_ns", &jobs->column.start},
        {"finish_ns", &jobs->column.finish},    {"deadline_ns", &jobs->column.deadline},
        {"answer_ns", &jobs->column.answer},    {"exit_idx", &jobs->column.exit},
        {"label", &jobs->column.label},         {"is_correct", &jobs->column.is_correct},
    };
    for (size_t i = 0; rc == 0 && i < sizeof needed / sizeof needed[0]; i++) {
        rc = ei_csv_reader_need(&jobs->csv, needed[i].name, needed[i].column, err);
    }
    jobs->column.preemptions = ei_csv_reader_find(&jobs->csv, "preemptions");
    jobs->column.preempted_by = ei_csv_reader_find(&jobs->csv, "preempted_by");
    jobs->column.lane_busy = ei_csv_reader_find(&jobs->csv, "lane_busy_ns");
    jobs->column.is_explained = ei_csv_reader_find(&jobs->csv, "is_machine_explained");
    if (rc < 0) {
        ei_report_jobs_close(jobs);
    }
    return rc;
}

void ei_report_jobs_close(struct ei_report_jobs *jobs)
{
    ei_csv_reader_close(&jobs->csv);
}

static int find_task(const struct ei_report_jobs *jobs, int32_t *out, struct einet_error *err)
{
    const char *name = jobs->csv.cell[jobs->column.task];
    for (int32_t i = 0; i < jobs->task_count; i++) {
        if (strcmp(jobs->task_names[i], name) == 0) {
            *out = i;
            return 0;
        }
    }
    return einet_error_set_at(err, EINET_E_FILE, jobs->csv.path, jobs->csv.line, 0,
                              "summary.json has no task '%.64s': the two files are not of one run", name);
}

static int find_outcome(const struct ei_report_jobs *jobs, enum ei_report_outcome *out, struct einet_error *err)
{
    const char *name = jobs->csv.cell[jobs->column.outcome];
    for (int i = 0; i < EI_REPORT_OUTCOMES; i++) {
        if (strcmp(ei_report_outcome_name((enum ei_report_outcome)i), name) == 0) {
            *out = (enum ei_report_outcome)i;
            return 0;
        }
    }
    return einet_error_set_at(err, EINET_E_FILE, jobs->csv.path, jobs->csv.line, 0,
                              "column outcome: '%.40s' is none of completed, aborted, skipped, dropped", name);
}

static const char *text_of(const struct ei_report_jobs *jobs, int column)
{
    return column >= 0 ? jobs->csv.cell[column] : "";
}

int ei_report_jobs_next(struct ei_report_jobs *jobs, struct ei_report_job *out, struct einet_error *err)
{
    int rc = ei_csv_reader_next(&jobs->csv, err);
    if (rc <= 0) {
        return rc;
    }
    int64_t is_warmup = 0, is_missed = 0, label = -1, is_right = 0, is_explained = 0;
    *out = (struct ei_report_job){
        .job_idx = -1, .start_ns = -1, .finish_ns = -1, .deadline_ns = -1, .answer_ns = -1, .exit_idx = -1};
    rc = find_task(jobs, &out->task_idx, err);
    rc = rc < 0 ? rc : find_outcome(jobs, &out->outcome, err);
    const struct {
        int column;
        int64_t *value;
    } numbers[] = {
        {jobs->column.job, &out->job_idx},
        {jobs->column.release, &out->release_ns},
        {jobs->column.start, &out->start_ns},
        {jobs->column.finish, &out->finish_ns},
        {jobs->column.deadline, &out->deadline_ns},
        {jobs->column.answer, &out->answer_ns},
        {jobs->column.exit, &out->exit_idx},
        {jobs->column.preemptions, &out->preemptions},
        {jobs->column.lane_busy, &out->lane_busy_ns},
        {jobs->column.is_warmup, &is_warmup},
        {jobs->column.is_missed, &is_missed},
        {jobs->column.label, &label},
        {jobs->column.is_correct, &is_right},
        {jobs->column.is_explained, &is_explained},
    };
    for (size_t i = 0; rc >= 0 && i < sizeof numbers / sizeof numbers[0]; i++) {
        rc = ei_csv_reader_integer(&jobs->csv, numbers[i].column, numbers[i].value, err);
    }
    if (rc < 0) {
        return rc;
    }
    out->is_warmup = is_warmup != 0;
    out->is_missed = is_missed != 0;
    out->is_labelled = label >= 0;
    out->is_right = is_right != 0;
    out->is_explained = is_explained != 0;
    snprintf(out->cause, sizeof out->cause, "%s", text_of(jobs, jobs->column.cause));
    snprintf(out->preempted_by, sizeof out->preempted_by, "%s", text_of(jobs, jobs->column.preempted_by));
    return 1;
}
