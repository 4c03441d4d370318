/* jobs.csv: one line per nominal release, columns in docs/jobs-csv.md. Thread: one owner; not real-time safe. */
#ifndef METRICS_JOBS_CSV_H
#define METRICS_JOBS_CSV_H

#include "metrics/causes.h"
#include "metrics/collector.h"
#include "metrics/csv_line.h"

/* Static names of enum ei_job_outcome and enum ei_job_cause; "unknown" outside of them. */
const char *ei_job_outcome_name(int outcome);
const char *ei_job_cause_name(int cause);

#define EI_JOB_CAUSES 10

/* What a line says beyond the record. */
struct ei_jobs_csv_context {
    int64_t gap_ns;                   /* gaps inside release..finish */
    bool is_explained;                /* the machine explains the miss, skip or drop */
    bool is_degraded;                 /* of the run */
    const struct ei_job_split *split; /* of a job that ran */
    int miss_cause;                   /* enum ei_miss_cause */
    const char *preempted_by;         /* name, NULL = nobody */
};

extern const char ei_jobs_csv_head[]; /* the line of column names */

/* A "# DEGRADED: reason (fix)" line, which comes before it. */
void ei_csv_degraded(struct ei_csv_line *line, const struct ei_metrics_degraded *degraded);

/* A "# gaps: ..." line, which comes before it, too: the noise probe is no real-time thread. */
void ei_csv_outranked(struct ei_csv_line *line);

/* The columns in front, "task,job_idx,release_ns", by which all lines of a job name it, in stages.csv, too. A line that
 * is cut back to the length it has then is begun anew. */
void ei_jobs_csv_begin(struct ei_csv_line *line, const char *task, const struct ei_job_record *job, int64_t t0_ns);

/* The rest of a line that was begun. */
void ei_jobs_csv_line(struct ei_csv_line *line, const struct ei_job_record *job,
                      const struct ei_jobs_csv_context *context);

#endif
