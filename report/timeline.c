/* See timeline.h. */
#include "report/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *ei_span_kind_name(enum ei_span_kind kind)
{
    static const char *const names[EI_SPAN_KINDS] = {"cpu", "nn", "conv", "branch"};
    return kind < EI_SPAN_KINDS ? names[kind] : "unknown";
}

/* ---- the worst job ---- */

static int rank(const struct ei_report_job *job)
{
    if (job->is_missed) {
        return 4;
    }
    if (job->outcome == EI_REPORT_ABORTED) {
        return 3;
    }
    if (job->outcome != EI_REPORT_COMPLETED) {
        return 2;
    }
    return job->deadline_ns > 0 ? 1 : 0;
}

static double badness(const struct ei_report_job *job)
{
    const double finish = job->finish_ns > 0 ? (double)job->finish_ns : 0;
    return job->deadline_ns > 0 ? finish / (double)job->deadline_ns : finish;
}

void ei_timeline_consider(struct ei_timeline *timeline, const struct ei_report_job *job)
{
    if (job->is_warmup) {
        return;
    }
    const struct ei_report_job *worst = &timeline->worst;
    if (timeline->has_worst &&
        (rank(job) < rank(worst) || (rank(job) == rank(worst) && badness(job) <= badness(worst)))) {
        return;
    }
    timeline->has_worst = true;
    timeline->worst = *job;
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The worst job's own time and as much before and after, or a quarter of it where it lasted many deadlines long, so
 * that its neighbours can still be told apart. */
static void choose_stretch(struct ei_timeline *timeline)
{
    const struct ei_report_job *worst = &timeline->worst;
    int64_t own_ns = worst->finish_ns > worst->deadline_ns ? worst->finish_ns : worst->deadline_ns;
    own_ns = own_ns > 1000 ? own_ns : 1000;
    const int64_t some_ns = worst->deadline_ns > 0 && worst->deadline_ns < own_ns / 3 ? 3 * worst->deadline_ns : own_ns;
    const int64_t beside_ns = largest(some_ns, own_ns / 4);
    timeline->from_ns = worst->release_ns - beside_ns;
    timeline->to_ns = worst->release_ns + own_ns + beside_ns;
}

static bool is_in(const struct ei_timeline *timeline, int64_t from_ns, int64_t to_ns)
{
    return from_ns <= timeline->to_ns && to_ns >= timeline->from_ns;
}

/* ---- jobs ---- */

static void add_job(struct ei_timeline *timeline, const struct ei_report_job *job)
{
    const int64_t lasts_ns = largest(0, largest(job->finish_ns, job->deadline_ns));
    if (!is_in(timeline, job->release_ns, job->release_ns + lasts_ns)) {
        return;
    }
    if (timeline->job_count == EI_TIMELINE_JOBS_MAX) {
        timeline->is_cut = true;
        return;
    }
    timeline->jobs[timeline->job_count++] = *job;
}

static int read_jobs(struct ei_timeline *timeline, const char *path, const char *const *task_names, int32_t task_count,
                     struct einet_error *err)
{
    struct ei_report_jobs jobs;
    struct ei_report_job job;
    int rc = ei_report_jobs_open(&jobs, path, task_names, task_count, err);
    if (rc < 0) {
        return rc;
    }
    jobs.csv.watch = timeline->watch;
    while ((rc = ei_report_jobs_next(&jobs, &job, err)) > 0) {
        add_job(timeline, &job);
    }
    ei_report_jobs_close(&jobs);
    return rc;
}

/* ---- stages and blocks ---- */

struct columns {
    int task, job, release, kind, stage_idx, stage, block, lane, cpu, ready, start, end, cpu_time, confidence;
};

static int find_columns(const struct ei_csv_reader *csv, struct columns *c, struct einet_error *err)
{
    const struct {
        const char *name;
        int *column;
    } needed[] = {
        {"task", &c->task},
        {"job_idx", &c->job},
        {"release_ns", &c->release},
        {"kind", &c->kind},
        {"stage_idx", &c->stage_idx},
        {"stage", &c->stage},
        {"block_idx", &c->block},
        {"lane", &c->lane},
        {"cpu", &c->cpu},
        {"ready_ns", &c->ready},
        {"start_ns", &c->start},
        {"end_ns", &c->end},
        {"cpu_ns", &c->cpu_time},
        {"confidence", &c->confidence},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof needed / sizeof needed[0]; i++) {
        rc = ei_csv_reader_need(csv, needed[i].name, needed[i].column, err);
    }
    return rc;
}

static int index_of(const struct ei_csv_reader *csv, int column, const char *const *names, int32_t count,
                    struct einet_error *err)
{
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(names[i], csv->cell[column]) == 0) {
            return i;
        }
    }
    return einet_error_set_at(err, EINET_E_FILE, csv->path, csv->line, 0, "column %s: '%.64s' is not known here",
                              csv->name[column], csv->cell[column]);
}

/* What is asked of every line of the file, so it comes first. 1 = the line lies in the stretch. */
static int read_times(const struct ei_timeline *timeline, const struct ei_csv_reader *csv, const struct columns *c,
                      struct ei_span *out, struct einet_error *err)
{
    int64_t release_ns = 0;
    int rc = ei_csv_reader_integer(csv, c->release, &release_ns, err);
    rc = rc < 0 ? rc : ei_csv_reader_integer(csv, c->end, &out->end_ns, err);
    const int has_start = rc < 0 ? rc : ei_csv_reader_integer(csv, c->start, &out->start_ns, err);
    const int has_ready = has_start < 0 ? has_start : ei_csv_reader_integer(csv, c->ready, &out->ready_ns, err);
    if (has_ready < 0) {
        return has_ready;
    }
    if (has_start == 0) {
        out->start_ns = out->end_ns;
    }
    out->start_ns += release_ns;
    out->end_ns += release_ns;
    out->ready_ns = has_ready > 0 ? out->ready_ns + release_ns : -1;
    return is_in(timeline, has_ready > 0 ? out->ready_ns : out->start_ns, out->end_ns);
}

static int read_span(const struct ei_timeline *timeline, const struct ei_csv_reader *csv, const struct columns *c,
                     const char *const *task_names, int32_t task_count, struct ei_span *out, struct einet_error *err)
{
    static const char *const kinds[EI_SPAN_KINDS] = {"cpu", "nn", "conv", "branch"};
    *out = (struct ei_span){.job_idx = -1, .stage_idx = -1, .block_idx = -1, .cpu = -1, .cpu_ns = -1, .confidence = -1};
    int rc = read_times(timeline, csv, c, out, err);
    if (rc <= 0) {
        return rc;
    }
    const int task = index_of(csv, c->task, task_names, task_count, err);
    const int kind = task < 0 ? task : index_of(csv, c->kind, kinds, EI_SPAN_KINDS, err);
    rc = kind < 0 ? kind : ei_csv_reader_integer(csv, c->job, &out->job_idx, err);
    rc = rc < 0 ? rc : ei_csv_reader_integer(csv, c->stage_idx, &out->stage_idx, err);
    rc = rc < 0 ? rc : ei_csv_reader_integer(csv, c->block, &out->block_idx, err);
    rc = rc < 0 ? rc : ei_csv_reader_integer(csv, c->cpu, &out->cpu, err);
    rc = rc < 0 ? rc : ei_csv_reader_integer(csv, c->cpu_time, &out->cpu_ns, err);
    if (rc < 0) {
        return rc;
    }
    out->task_idx = task;
    out->kind = (enum ei_span_kind)kind;
    if (csv->cell[c->confidence][0] != '\0') {
        out->confidence = strtod(csv->cell[c->confidence], NULL);
    }
    snprintf(out->stage, sizeof out->stage, "%s", csv->cell[c->stage]);
    snprintf(out->lane, sizeof out->lane, "%s", csv->cell[c->lane]);
    return 1;
}

static int read_stages(struct ei_timeline *timeline, const char *path, const char *const *task_names,
                       int32_t task_count, struct einet_error *err)
{
    struct ei_csv_reader csv;
    struct columns columns;
    int rc = ei_csv_reader_open(&csv, path, err);
    if (rc < 0) {
        return rc;
    }
    csv.watch = timeline->watch;
    rc = find_columns(&csv, &columns, err);
    while (rc >= 0 && (rc = ei_csv_reader_next(&csv, err)) > 0) {
        struct ei_span span;
        rc = read_span(timeline, &csv, &columns, task_names, task_count, &span, err);
        if (rc > 0 && timeline->span_count < EI_TIMELINE_SPANS_MAX) {
            timeline->spans[timeline->span_count++] = span;
        } else if (rc > 0) {
            timeline->is_cut = true;
        }
    }
    ei_csv_reader_close(&csv);
    timeline->has_stages = rc == 0;
    return rc;
}

int ei_timeline_read(struct ei_timeline *timeline, const char *jobs_path, const char *stages_path,
                     const char *const *task_names, int32_t task_count, struct einet_error *err)
{
    if (!timeline->has_worst) {
        return 0;
    }
    choose_stretch(timeline);
    timeline->jobs = calloc(EI_TIMELINE_JOBS_MAX, sizeof *timeline->jobs);
    timeline->spans = calloc(EI_TIMELINE_SPANS_MAX, sizeof *timeline->spans);
    if (timeline->jobs == NULL || timeline->spans == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the jobs around the worst one");
    }
    const int rc = read_jobs(timeline, jobs_path, task_names, task_count, err);
    if (rc < 0) {
        return rc;
    }
    const int stages_rc = read_stages(timeline, stages_path, task_names, task_count, err);
    return stages_rc == -ENOENT ? 0 : stages_rc;
}

void ei_timeline_fini(struct ei_timeline *timeline)
{
    free(timeline->jobs);
    free(timeline->spans);
    *timeline = (struct ei_timeline){0};
}
