/* A run folder with drawn jobs, and the figures that follow from them, worked out one job at a time. */
#ifndef TESTS_REPORT_SAMPLE_FOLDER_H
#define TESTS_REPORT_SAMPLE_FOLDER_H

#include "report/jobs.h"

#define SAMPLE_MS INT64_C(1000000)
#define SAMPLE_TASKS                                                                                                   \
    3 /* "control" without a network, "eye, left" with 4 exits and D = 10 ms, "log" without deadline                   \
       */
#define SAMPLE_EXITS 4
#define SAMPLE_JOBS_MAX 3000

struct sample_options {
    uint64_t seed;
    int32_t jobs;         /* <= SAMPLE_JOBS_MAX, of all tasks */
    int64_t slower_ns;    /* added to each response */
    const char *degraded; /* a reason, NULL = not degraded */
    const char *sha256;   /* of the workload in run.json, NULL = no run.json */
    bool has_no_jobs_csv;
    const char *assumed_stop; /* JSON, of the second task; NULL = the summary does not say */
};

extern const char *const sample_names[SAMPLE_TASKS];

/* Write summary.json, jobs.csv and perhaps run.json into folder, and the jobs as they are into jobs[]. */
void sample_write(const char *folder, const struct sample_options *options, struct ei_report_job *jobs);

/* Write text to folder/name. */
void sample_write_file(const char *folder, const char *name, const char *text);

#endif
