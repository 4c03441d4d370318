/* A small run with known records, whose figures can be worked out by hand. */
#ifndef TESTS_METRICS_SAMPLE_RUN_H
#define TESTS_METRICS_SAMPLE_RUN_H

#include "metrics/collector.h"

#define SAMPLE_T0_NS INT64_C(1000000000000)
#define SAMPLE_MS INT64_C(1000000)

enum { SAMPLE_CONTROL, SAMPLE_CAMERA, SAMPLE_LOGGER, SAMPLE_TASKS };

extern const struct ei_metrics_task sample_tasks[SAMPLE_TASKS];
extern const int64_t sample_expected[SAMPLE_TASKS];

/* The run of the sample, with or without reasons to be degraded. */
struct ei_metrics_run sample_run(bool is_degraded);
struct ei_metrics_totals sample_totals(void);

/* A job record of a task: released at release_ms from t0, finished response_ns later in time or late as the deadline
 * says, no network. */
struct ei_record sample_job(int32_t task_idx, int64_t job_idx, int64_t release_ms, int64_t response_ns);
/* A release that did not run. */
struct ei_record sample_no_job(int32_t task_idx, int64_t job_idx, int64_t release_ms, int outcome, int cause);
struct ei_record sample_gap(int32_t cpu, int64_t start_ns, int64_t length_ns);

/* Give the collector all records of the sample. */
void sample_add_all(struct ei_collector *collector);

#endif
