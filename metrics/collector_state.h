/* What the collector keeps, shared by the files that fill it (collector.c), judge it (verdict.c) and show it
 * (finish.c, summary_json.c, table.c). Thread: the collector's one owner.
 */
#ifndef METRICS_COLLECTOR_STATE_H
#define METRICS_COLLECTOR_STATE_H

#include "metrics/activity.h"
#include "metrics/causes.h"
#include "metrics/collector.h"
#include "metrics/gaps.h"
#include "metrics/held_stages.h"
#include "metrics/jobs_csv.h"
#include "metrics/line_file.h"
#include "metrics/outcomes.h"
#include "metrics/output_file.h"
#include "metrics/stages_csv.h"
#include "metrics/trace.h"
#include "rt/histogram.h"

#include <jansson.h>

#define EI_METRICS_SLO_KINDS 7

/* What the jobs of a task that are counted spent in one of its stages. */
struct ei_stage_sum {
    char *name; /* owned */
    bool is_network;
    int64_t runs, wait_ns, wait_max_ns;
    int64_t timed_runs, cpu_ns, cpu_max_ns; /* timed: whose processor time is known */
};

struct ei_metrics_lane {
    char *name;                /* owned */
    struct ei_csv_piece piece; /* what lines of stages.csv say of it */
};

/* Everything is counted over jobs that are not warm-up. */
struct ei_metrics_task_state {
    struct ei_metrics_task spec;        /* name is owned, stages is NULL */
    struct ei_stages_csv_stage *stages; /* [spec.stage_count], owned */
    struct ei_held_stages held;
    struct ei_stage_sum *stage_sums; /* [stage_count], owned; filled with has_stages_csv */
    int64_t completed, aborted, skipped, dropped;
    int64_t misses;            /* completed after the deadline */
    int64_t overruns;          /* released jobs with a stage over its budget or timeout */
    int64_t misses_explained;  /* of them, by gaps of the machine */
    int64_t not_run_explained; /* skipped, dropped or aborted jobs that gaps explain */
    int64_t warmup;            /* warm-up jobs seen */
    int64_t with_network;      /* released jobs whose task has a network */
    int64_t answered;
    int64_t labelled, labelled_answered, correct, correct_in_time;
    int64_t preemptions, preempted_jobs, preempted_past_first_exit, preempted_answered;
    int64_t preempted_labelled, preempted_correct; /* a job without an answer is not correct */
    int64_t replans, late_replans;
    int64_t causes[EI_JOB_CAUSES];
    int64_t part_ns[EI_PARTS];                 /* of released jobs, summed up */
    int64_t miss_causes[EI_MISS_CAUSES];       /* of misses and jobs given up at their deadline */
    int64_t over_profile[EI_PROFILE_VERDICTS]; /* released jobs by verdict */
    int64_t exits[EI_METRICS_EXITS_MAX], exit_labelled[EI_METRICS_EXITS_MAX], exit_correct[EI_METRICS_EXITS_MAX];
    int64_t *preempted_by; /* owned, one per task */
    bool is_demoted;       /* after finish, by the watchdog */
    struct ei_metrics_demotion demotion;
    struct ei_metrics_external external; /* after finish */
    struct ei_metrics_assumed assumed;   /* after finish */
    int64_t withheld;                    /* after finish */
    int64_t last_response_ns;
    int64_t response_below[EI_METRICS_BOUNDS + 1]; /* completed jobs by ei_metrics_bounds_ns, then those above all */
    int64_t last_release_ns, last_finish_ns;       /* of the newest job that ran, to explain skips by it */
    struct ei_outcome_sequence sequence;
    struct ei_histogram response, tardiness, jitter, start_latency, lane_wait, blocking, switching;
    struct ei_histogram earliness; /* d - f of completed jobs in time; those that were late are in tardiness */
    int64_t lane_busy_ns;          /* of released jobs, summed up */
    int64_t migrations;            /* job threads of the task seen on another CPU than before, warm-up included */
    int32_t cpu_seen[EI_TRACE_SLOTS_MAX]; /* by slot: where, + 1; 0 = nowhere yet */
    bool has_usage;                       /* after finish */
    struct ei_metrics_usage usage;
};

struct ei_metrics_slo_verdict {
    int32_t task_idx;
    const char *name; /* as in summary.json */
    bool is_time;     /* limit and value are ns */
    bool is_count;    /* they are whole numbers */
    bool is_judged;   /* false: nothing to judge by, value means nothing */
    bool is_passed;
    bool is_passed_without_explained; /* of max_miss_ratio and mk: would pass without what gaps explain */
    double limit, value;
};

/* Lateness of one CPU's noise probe. */
struct ei_cpu_noise {
    int32_t cpu;
    struct ei_histogram lateness;
};

struct ei_collector {
    /* the run, copied; machine and degraded as they go into the JSON */
    char *name, *version;
    uint64_t seed;
    int64_t t0_ns, planned_ns, warmup_ns;
    json_t *machine, *degraded;
    json_t *changes; /* after finish */
    int32_t task_count;
    struct ei_metrics_task_state *tasks;
    /* the machine's noise */
    bool is_probe_outranked;
    struct ei_gap_history gaps;
    struct ei_activity_history activities;
    struct ei_histogram lateness;
    struct ei_cpu_noise *cpu_noise; /* [cpu_noise_count], with has_hlog: the same by CPU; owned */
    int32_t cpu_noise_count;
    bool has_activities;
    int64_t wakeups, gap_count, gap_total_ns, long_gap_count;
    int64_t records_invalid;
    /* files */
    char *out_dir; /* NULL = none */
    bool has_jobs_csv, has_stages_csv, has_hlog;
    bool has_stage_sums; /* of a live run: the summary of a virtual one is the same with files and without */
    double started_s;
    struct ei_line_file jobs_csv, stages_csv;
    struct ei_output_file reserve; /* room on the disk for what finish writes; with has_writers */
    struct ei_metrics_lane *lanes; /* [lane_count], owned */
    struct ei_csv_piece no_lane;
    int32_t lane_count;
    struct ei_trace *trace; /* owned; NULL = none */
    int64_t stages_lost;    /* after finish: stage and block records without their job's */
    /* after finish */
    bool is_finished;
    struct ei_metrics_totals totals; /* expected and loads are owned copies */
    int64_t *expected;
    struct ei_metrics_cpu_load *loads;
    int64_t *lane_busy_ns; /* [lane_count] how long each was held, -1 = nobody holds it; NULL = unknown; owned */
    struct ei_metrics_slo_verdict *slos;
    int32_t slo_count;
};

/* Nominal releases of a task that ended in some way: released + skipped + dropped. */
int64_t ei_metrics_seen(const struct ei_metrics_task_state *task);
/* Of them, those whose deadline was not met: missed, aborted, skipped or dropped. */
int64_t ei_metrics_not_met(const struct ei_metrics_task_state *task);

/* Judge every service level objective into collector->slos (room for EI_METRICS_SLO_KINDS per task). */
void ei_metrics_judge(struct ei_collector *collector);

/* The lines of latency.hlog (docs/latency-hlog.md). Returns 0, -ENOMEM, or the -errno of the write. */
int ei_metrics_write_hlog(const struct ei_collector *collector, FILE *out);

/* The whole of summary.json as a new reference, or NULL when memory is out. */
json_t *ei_metrics_summary_json(const struct ei_collector *collector);

#endif
