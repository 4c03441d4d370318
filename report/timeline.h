/* What happened around the worst job of a run: the jobs whose lifetime touches a stretch around it, and their stages
 * and network blocks.
 *
 * The worst job is the one that finished latest in relation to its deadline; without such, one that was given up, then
 * one that did not run at all, then the slowest in relation to its deadline, then the slowest. Thread: one owner.
 */
#ifndef REPORT_TIMELINE_H
#define REPORT_TIMELINE_H

#include "report/jobs.h"

#define EI_TIMELINE_JOBS_MAX 600
#define EI_TIMELINE_SPANS_MAX 6000

enum ei_span_kind { EI_SPAN_CPU, EI_SPAN_NN, EI_SPAN_CONV, EI_SPAN_BRANCH, EI_SPAN_KINDS };

/* A line of stages.csv. Times from time 0 of the run. */
struct ei_span {
    enum ei_span_kind kind;
    int32_t task_idx;
    int64_t job_idx;
    int64_t stage_idx, block_idx, cpu;          /* -1 = does not apply */
    int64_t ready_ns, start_ns, end_ns, cpu_ns; /* ready_ns and cpu_ns: -1 = unknown */
    double confidence;                          /* of a branch's answer; -1 = none */
    char stage[EI_REPORT_WORD_BYTES];
    char lane[EI_REPORT_WORD_BYTES];
};

struct ei_timeline {
    struct ei_csv_watch *watch; /* borrowed; NULL = nobody is told how far the reading is */
    bool has_worst, has_stages;
    struct ei_report_job worst;
    int64_t from_ns, to_ns;     /* the stretch, from time 0 of the run */
    struct ei_report_job *jobs; /* owned */
    int32_t job_count;
    struct ei_span *spans; /* owned */
    int32_t span_count;
    bool is_cut; /* there was more than the limits allow */
};

/* Is `job` worse than the worst so far? Then it takes its place. Warm-up jobs are passed over. */
void ei_timeline_consider(struct ei_timeline *timeline, const struct ei_report_job *job);

/* Read jobs.csv again, and stages.csv when there is one, for what touches the stretch around the worst job. */
int ei_timeline_read(struct ei_timeline *timeline, const char *jobs_path, const char *stages_path,
                     const char *const *task_names, int32_t task_count, struct einet_error *err);
void ei_timeline_fini(struct ei_timeline *timeline);

const char *ei_span_kind_name(enum ei_span_kind kind);

#endif
