/* The oracle of the analysis: a small simulator of CPUs under SCHED_FIFO and of lanes with priority inheritance,
 * written from the description in docs/architecture.md and sharing nothing with the analysis but the type that
 * describes tasks.
 *
 * It plays one pattern of releases and execution times, event by event, in integer time, and reports the longest
 * responses seen. Choices that the system leaves open (who asks first among simultaneous releases) are part of the
 * pattern, so many patterns find bad ones.
 */
#ifndef TESTS_SCHEDULER_REFERENCE_SCHEDULE_H
#define TESTS_SCHEDULER_REFERENCE_SCHEDULE_H

#include "scheduler/response_time.h"

#include <stdbool.h>
#include <stdint.h>

#define REFERENCE_TASKS_MAX 16
#define REFERENCE_CPUS 8

enum reference_jitter { REFERENCE_JITTER_NONE, REFERENCE_JITTER_FIRST, REFERENCE_JITTER_RANDOM };

struct reference_pattern {
    int64_t first_ns[REFERENCE_TASKS_MAX]; /* when the first job of each task is ready */
    int64_t horizon_ns;                /* releases stop here; the jobs are run to their end, at most as long again */
    enum reference_jitter jitter;      /* FIRST: the first job as late as it may, the others at once */
    bool is_low_first;                 /* among simultaneous releases the lower-priority task acts first */
    bool has_lanes_by_deadline;        /* CPUs by priority, lanes by absolute deadline */
    int32_t gap_pct;                   /* share of arrivals that come up to a period later than they could */
    int32_t short_pct;                 /* share of jobs that run for less than their WCET, at least their BCET */
    int32_t early_pct;                 /* share of jobs that do their mandatory part only */
    int32_t cpu_width[REFERENCE_CPUS]; /* CPUs behind each "CPU", on which its threads migrate freely; 0 = 1 */
    uint64_t seed;
};

struct reference_result {
    int64_t response_ns[REFERENCE_TASKS_MAX];     /* from the nominal arrival of the first of its chain */
    int64_t own_response_ns[REFERENCE_TASKS_MAX]; /* from the moment it was ready */
    int64_t early_ns[REFERENCE_TASKS_MAX];        /* response_ns of the mandatory-only jobs */
    int64_t jobs;
};

/* Play the pattern. At most REFERENCE_TASKS_MAX tasks. A job unfinished at the end counts with the time so far. */
void reference_play(const struct ei_rta_task *tasks, int32_t count, const struct reference_pattern *pattern,
                    struct reference_result *out_result);

#endif
