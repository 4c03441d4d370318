/* The lines of jobs.csv, one after the other, as numbers. Thread: one owner. */
#ifndef REPORT_JOBS_H
#define REPORT_JOBS_H

#include "report/csv_reader.h"

#define EI_REPORT_WORD_BYTES 64

enum ei_report_outcome {
    EI_REPORT_COMPLETED,
    EI_REPORT_ABORTED,
    EI_REPORT_SKIPPED,
    EI_REPORT_DROPPED,
    EI_REPORT_OUTCOMES
};

struct ei_report_job {
    int32_t task_idx;
    enum ei_report_outcome outcome;
    int64_t job_idx, release_ns; /* from time 0 of the run */
    int64_t start_ns, finish_ns; /* these and the next since the release; -1 = did not happen */
    int64_t deadline_ns, answer_ns;
    int64_t exit_idx; /* -1 = no answer */
    int64_t preemptions, lane_busy_ns;
    bool is_warmup, is_missed, is_labelled, is_right, is_explained;
    char cause[EI_REPORT_WORD_BYTES];
    char preempted_by[EI_REPORT_WORD_BYTES];
};

struct ei_report_jobs {
    struct ei_csv_reader csv;
    const char *const *task_names; /* borrowed */
    int32_t task_count;
    struct {
        int task, job, release, outcome, cause, is_warmup, is_missed, start, finish, deadline, answer, exit, label,
            is_correct, preemptions, preempted_by, lane_busy, is_explained;
    } column;
};

/* Open jobs.csv at path, which must live as long as the reader. Its tasks must be among task_names. -ENOENT when there
 * is no such file. Nothing is held on error. */
int ei_report_jobs_open(struct ei_report_jobs *jobs, const char *path, const char *const *task_names,
                        int32_t task_count, struct einet_error *err);
void ei_report_jobs_close(struct ei_report_jobs *jobs);

/* 1 = *out is the next job, 0 = no more, negative = error. */
int ei_report_jobs_next(struct ei_report_jobs *jobs, struct ei_report_job *out, struct einet_error *err);

/* "completed" and so on. */
const char *ei_report_outcome_name(enum ei_report_outcome outcome);

/* The stop was forced upon the job: it ended with the answer it had, or without one. */
bool ei_report_is_forced(const struct ei_report_job *job);

#endif
