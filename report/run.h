/* What a report or a comparison knows of one run: its summary.json, and figures added up from jobs.csv while it is
 * read, so that memory does not grow with the number of jobs (about 1.3 MiB per task). Thread: one owner.
 */
#ifndef REPORT_RUN_H
#define REPORT_RUN_H

#include "metrics/hlog.h"
#include "report/jobs.h"
#include "report/timeline.h"
#include "rt/histogram.h"

#include <jansson.h>

#define EI_REPORT_WINDOWS_MAX 80
#define EI_REPORT_EXITS_MAX 64

/* Releases of a stretch of the run, warm-up left out. */
struct ei_report_window {
    int64_t met;       /* completed in time, or without a deadline */
    int64_t late;      /* completed after the deadline */
    int64_t not_run;   /* aborted, skipped or dropped */
    int64_t explained; /* of late and not_run, by gaps of the machine */
};

/* Of a task, without its warm-up. The histograms and windows are owned; times since the nominal release. */
struct ei_report_task {
    const char *name; /* of summary */
    json_t *summary;  /* borrowed: its object in summary.json */
    int32_t priority;
    int64_t deadline_ns; /* -1 = none */
    int32_t exit_count;  /* 0 = no network */
    int64_t outcomes[EI_REPORT_OUTCOMES];
    int64_t late, labelled, answers, right, right_in_time;
    int64_t exits[EI_REPORT_EXITS_MAX];
    struct ei_histogram *response;  /* of completed jobs */
    struct ei_histogram *right_at;  /* these four NULL without a network: when right answers were out */
    struct ei_histogram *answer_at; /* when answers were out */
    struct ei_histogram *stopped;   /* finish of jobs that were forced to end */
    struct ei_histogram *unstopped; /* finish of those that ended by themselves */
    struct ei_report_window *windows;
};

struct ei_report_run {
    const char *folder; /* borrowed */
    char jobs_path[4096];
    char stages_path[4096];
    char hlog_path[4096];
    json_t *summary; /* owned */
    json_t *run;     /* owned; NULL = no run.json (runs of older versions) */
    bool has_jobs;   /* jobs.csv was there and read */
    int64_t duration_ns, window_ns;
    int32_t window_count;
    struct ei_report_task *tasks; /* owned */
    const char **task_names;      /* owned */
    int32_t task_count;
    int64_t job_count; /* lines of jobs.csv */
    struct ei_timeline timeline;
    struct ei_hlog hlog; /* of latency.hlog, one entry a tag; none where it was not read */
};

/* Read a folder that `einet run --out` or `einet simulate --out` wrote. is_whole: also what only a page shows, which is
 * what happened around the worst job, for which jobs.csv is read twice and stages.csv once, and latency.hlog. The
 * result is owned by the caller; nothing is held on error: a folder without summary.json, damaged files, files of
 * different runs. */
int ei_report_run_load(struct ei_report_run *run, const char *folder, bool is_whole, struct einet_error *err);
/* The same; watch (borrowed until it returns, NULL = nobody) is told of the reading of jobs.csv and stages.csv. */
int ei_report_run_load_watched(struct ei_report_run *run, const char *folder, bool is_whole, struct ei_csv_watch *watch,
                               struct einet_error *err);
void ei_report_run_fini(struct ei_report_run *run);

/* summary.json's list of reasons why the run is degraded; never NULL, empty = it is not. Borrowed. */
json_t *ei_report_degraded(const struct ei_report_run *run);

/* How many jobs that summary.json counts are not in jobs.csv, >= 0. */
int64_t ei_report_missing_jobs(const struct ei_report_task *task);

/* Deadlines not met, and releases of the task, by jobs.csv when it is there, else by summary.json. */
void ei_report_misses(const struct ei_report_task *task, bool has_jobs, int64_t *out_misses, int64_t *out_releases);

#endif
