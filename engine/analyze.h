/* Response-time bounds of a workload: the checked file (workloads/spec.h) as tasks of scheduler/response_time.h, and
 * its answers. docs/analysis.md says what the model takes in and what it leaves out.
 *
 * Execution times: `work: {spin}`; the budget of a stage of operations; `emulate` and profiles at the quantile asked
 * for. CPUs: tasks whose CPU sets meet are one group, which the bounds treat as one CPU. Not real-time safe; any
 * thread.
 */
#ifndef ENGINE_ANALYZE_H
#define ENGINE_ANALYZE_H

#include "engine/pieces.h"
#include "planner/profile.h"
#include "rt/cpuset.h"
#include "workloads/spec.h"

#define EI_ANALYSIS_NO_BOUND INT64_C(-1)
#define EI_ANALYSIS_TIMES_TEXT_MAX 96
#define EI_ANALYSIS_SCALE_MAX_PPM INT64_C(10000000) /* scales are not searched beyond ten times */

enum ei_analysis_policy {
    EI_ANALYSIS_FIXED_PRIORITY, /* the priorities of the file; a file of policy edf is analysed as EI_ANALYSIS_EDF */
    EI_ANALYSIS_RATE_MONOTONIC,
    EI_ANALYSIS_DEADLINE_MONOTONIC,
    EI_ANALYSIS_AUDSLEY, /* an order that holds, if one is found; else those of the file */
    EI_ANALYSIS_EDF      /* lanes by absolute deadline, CPUs deadline monotonic: what a file of policy edf gets */
};

struct ei_analysis_options {
    enum ei_analysis_policy policy;
    enum ei_time_quantile quantile; /* EI_TIME_P99 or EI_TIME_MAX; a lognormal `emulate` time has p99 only */
    int32_t cpus;                   /* of the machine; 0 = as many as the file names, at least 2 */
    int64_t ops_ns;                 /* time of a stage of operations without a budget; EI_NONE_NS = an error */
    bool has_sensitivity;           /* look for largest scales and smallest deadlines */
    /* Of a run that is about to start: its tasks' CPUs and measured profiles, [task_count] each (profile exits 0 = no
     * network); NULL = as above. */
    const struct ei_cpuset *task_cpus;
    const struct ei_et_profile *profiles;
    const struct ei_pieces *const *pieces; /* with profiles: what the device runs of each */
};

struct ei_analysis_task {
    const struct ei_task_spec *spec;
    char times[EI_ANALYSIS_TIMES_TEXT_MAX]; /* where its execution times come from */
    int32_t group;                          /* index of its CPUs */
    bool is_bounded;                        /* class fifo; all below is empty otherwise */
    bool is_elastic;                        /* may end at its first exit to keep its deadline */
    int64_t wcet_ns;
    int64_t response_ns;      /* finish - nominal release, or EI_ANALYSIS_NO_BOUND */
    int64_t mandatory_ns;     /* the same when it ends at its first exit; without a network, response_ns */
    int64_t blocking_ns;      /* the part of it that is lower-priority blocks at its own requests */
    bool is_unknown;          /* it has no bound because a task that can delay it does what the bounds do not know */
    bool may_overlap;         /* or it does so itself: two of its jobs may be in flight */
    bool is_schedulable;      /* response_ns <= deadline */
    bool is_guaranteed;       /* or, for an elastic task, mandatory_ns <= deadline: an answer in time */
    int32_t exits;            /* 0 = no network */
    int32_t guaranteed_exits; /* computed by the deadline in every case */
    double expected_exits;    /* at median times and mean arrivals: an estimate, not a bound */
    /* With has_sensitivity: values with which every task is schedulable, all else as it is. */
    int64_t largest_scale_ppm;    /* of its execution times; at most EI_ANALYSIS_SCALE_MAX_PPM; or NO_BOUND */
    int64_t smallest_deadline_ns; /* with which the task itself is; or NO_BOUND */
};

struct ei_analysis_cpus {
    struct ei_cpuset cpus;
    int64_t used_ppm, mandatory_ppm, cap_ppm; /* of one CPU = 10^6; cap: rt_load_cap of all of them */
    bool is_below_cap;                        /* used_ppm <= cap_ppm */
};

struct ei_analysis_lane {
    const struct ei_lane_spec *spec;
    int64_t used_ppm, mandatory_ppm, cap_ppm;
    int64_t longest_block_ns;
    bool is_below_cap;
};

struct ei_analysis {
    enum ei_analysis_policy policy;
    enum ei_time_quantile quantile;
    int32_t task_count, cpus_count, lane_count;
    struct ei_analysis_task tasks[EI_TASKS_MAX];
    struct ei_analysis_cpus cpus[EI_TASKS_MAX];
    struct ei_analysis_lane lanes[EI_LANES_MAX];
    bool is_guaranteed; /* every task's deadline is, and no mandatory load passes its cap */
};

/* Analyse. Borrows the workload as long as *out lives. What is missing or cannot be analysed goes to diag, with its
 * place, all of it. Returns 0 with *out (ei_analysis_destroy), EINET_E_FILE with errors in diag, -ENOMEM. */
int ei_analyze(const struct ei_workload *wl, const struct ei_analysis_options *options, struct ei_analysis **out,
               struct ei_diagnostics *diag);
void ei_analysis_destroy(struct ei_analysis *analysis);

/* One sentence on why a task has no guarantee: its bound, its deadline. "" when it has one. */
void ei_analysis_explain(const struct ei_analysis *analysis, int32_t task, char *out_text, size_t size_bytes);

#endif
