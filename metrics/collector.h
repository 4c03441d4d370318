/* From records to figures: one collector per run takes every record of the drain thread, keeps counts and histograms,
 * streams jobs.csv and stages.csv, and at the end writes summary.json and summary.txt and prints the table.
 *
 * Memory is fixed at create and does not grow with the run. Thread: everything here belongs to the one housekeeping
 * thread that drains the rings; nothing is real-time safe, nothing takes a lock.
 * Order of add() calls: the gaps of a stretch of time before the jobs that ran in it (metrics/drain.h does this), and
 * of one task the record of a job that ran before the records of the releases that passed while it ran; activities
 * before the jobs that they may have delayed (metrics/drain.h again).
 * Definitions of every figure: docs/summary-json.md; of every column: docs/jobs-csv.md.
 */
#ifndef METRICS_COLLECTOR_H
#define METRICS_COLLECTOR_H

#include "metrics/record.h"
#include "rt/cpuset.h"

#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EI_METRICS_TASKS_MAX 1024
#define EI_METRICS_PLAN_MAX 160 /* bytes with the final 0 */
#define EI_METRICS_EXITS_MAX 64
#define EI_METRICS_STAGES_MAX 64
#define EI_METRICS_MK_MAX 10000
/* A late wake-up of the noise probe by more than this is a gap; the whole time from expected to actual counts. */
#define EI_METRICS_GAP_MIN_NS INT64_C(100000)
/* A gap of at least this is long: what the kernel's default real-time throttling (50 ms) looks like. */
#define EI_METRICS_LONG_GAP_MIN_NS INT64_C(40000000)
/* What is said of noise that was measured without SCHED_FIFO. */
#define EI_METRICS_OUTRANKED_TEXT "the probe is no real-time thread: tasks of this run may be what it calls the machine"

/* Gaps remembered per CPU for explaining misses, the newest ones: at one gap per probe period (250 us), one second. An
 * older gap explains nothing, so a miss is then counted as unexplained, never the other way round. */
#define EI_METRICS_GAPS_KEPT 4096
/* Stretches of activity remembered per task for splitting responses, the newest ones. What an older one might have told
 * is counted as unexplained. */
#define EI_METRICS_ACTIVITIES_KEPT 4096
/* Job outcomes of one task may arrive this many releases out of order without harm to mk and the longest run. */
#define EI_METRICS_REORDER_MAX 4096

/* Upper bounds (inclusive, rising) by which responses are counted exactly, for histograms of fixed buckets. */
#define EI_METRICS_BOUNDS 18
extern const int64_t ei_metrics_bounds_ns[EI_METRICS_BOUNDS];

struct ei_metrics_slo {
    bool has_max_miss_ratio, has_min_accuracy, has_min_coverage;
    double max_miss_ratio, min_accuracy, min_coverage; /* 0..1 */
    int32_t mk_m, mk_k;                                /* at most m deadlines not met in any k releases; k = 0: none */
    int64_t p50_response_ns, p99_response_ns, p999_response_ns; /* upper limits; 0 = none */
};

struct ei_metrics_stage {
    const char *name;
    bool is_network;
};

struct ei_metrics_task {
    const char *name;
    int32_t priority; /* 0 for a task outside SCHED_FIFO */
    bool is_fifo;
    const char *class_name; /* scheduling class as it runs: "fifo", "deadline", "other"; static; NULL = by is_fifo */
    int64_t deadline_ns;    /* relative, D; INT64_MAX = none */
    int64_t period_ns;      /* T, or least inter-arrival; 0 = none */
    int32_t exits;          /* 0..EI_METRICS_EXITS_MAX; 0 = no network */
    char plan[EI_METRICS_PLAN_MAX];        /* how its exits are chosen, for people; "" = no network */
    int32_t slots;                         /* job threads of the task; 0 = one */
    struct ei_cpuset cpus;                 /* where they may run: gaps of these CPUs can explain its misses */
    const struct ei_metrics_stage *stages; /* in their order; for stages.csv */
    int32_t stage_count;
    struct ei_metrics_slo slo;
};

/* Why the run is not what the workload asked for, and what the user can do about it. */
struct ei_metrics_degraded {
    const char *reason; /* "SCHED_FIFO refused: tasks run under SCHED_OTHER" */
    const char *fix;    /* "sudo setcap cap_sys_nice+ep build/release/einet"; NULL = none known */
};

struct ei_metrics_pair {
    const char *key, *value;
};

struct ei_metrics_machine {
    const char *hostname, *cpu_model, *kernel, *libtorch; /* NULL = unknown: null in the JSON */
    int32_t cpus;                                         /* online */
    const struct ei_metrics_pair *more;                   /* further strings, in this order; may be NULL */
    int32_t more_count;
};

struct ei_metrics_run {
    const char *name;    /* of the workload */
    const char *version; /* of einet */
    uint64_t seed;
    int64_t t0_ns;           /* CLOCK_MONOTONIC time 0 of the run: release 0 of a task without offset */
    int64_t duration_ns;     /* as planned, from t0, warm-up included; INT64_MAX = until somebody ends it */
    int64_t warmup_ns;       /* from t0; preemptions and probe wake-ups before its end are not counted */
    bool has_activities;     /* EI_RECORD_ACTIVITY will come; without them jobs are EI_JOB_SPLIT or stay unexplained */
    bool is_probe_outranked; /* the noise probes are no real-time threads: tasks of the run keep them from their CPUs,
                                too, and every output that tells of noise says EI_METRICS_OUTRANKED_TEXT */
    const struct ei_metrics_degraded *degraded;
    int32_t degraded_count;
    struct ei_metrics_machine machine;
    const char *const *lanes; /* names; for stages.csv */
    int32_t lane_count;
    double started_s;    /* time of day, for latency.hlog; 0 = virtual */
    bool has_hlog;       /* write latency.hlog at the end */
    bool has_stages_csv; /* EI_RECORD_STAGE and EI_RECORD_BLOCK will come, and are written to stages.csv */
    bool has_writers;    /* real time: threads of their own write jobs.csv and stages.csv, see metrics/line_file.h */
    struct ei_cpuset writer_cpus; /* of these; empty = the caller's */
};

/* Real-time load of one CPU over the run, 0..1 of a second. */
struct ei_metrics_cpu_load {
    int32_t cpu;
    double mean, peak, cap;
};

/* A task whose thread the watchdog took out of real time. */
struct ei_metrics_demotion {
    int32_t task_idx;
    bool is_starving; /* it kept housekeeping from running, else a job used more than limit_ns */
    int64_t job_idx;  /* that ran */
    int64_t at_ns;    /* since t0 */
    int64_t used_ns;  /* processor time of the job, as far as it was seen */
    int64_t limit_ns; /* INT64_MAX = none */
};

/* Of a task that is released from outside: what was asked for, in the whole run. */
struct ei_metrics_external {
    bool is_external;
    int64_t asked;      /* requests during the run */
    int64_t held_back;  /* of them, that came sooner than min_interarrival allows */
    int64_t refused;    /* that found the inbox full */
    int64_t unreleased; /* whose release would be behind the end of the run */
};

/* What somebody changed of a task while the run went on; at least one of it. */
struct ei_metrics_change {
    int64_t at_ns; /* since t0: jobs that begin later run by it */
    int32_t task_idx;
    bool has_priority, has_deadline, is_paused, is_resumed;
    int32_t priority;
    int64_t deadline_ns; /* relative; INT64_MAX = none */
    char search[32];     /* "" = not changed */
};

/* What the engine knows when the run is over. */
#define EI_METRICS_ASSUMED_POINTS 33
/* What the planner of a task assumed of the forced stop: S(t), the chance that it has not come by t since the release,
 * of each job that was looked at, added up. */
struct ei_metrics_assumed {
    int64_t jobs;    /* that were looked at */
    int64_t step_ns; /* point i lies i * step_ns after the release */
    double sum[EI_METRICS_ASSUMED_POINTS];
};

/* What the kernel counted of the job threads of a task, warm-up included. */
struct ei_metrics_usage {
    int64_t cpu_ns; /* processor time, user and system */
    int64_t minor_faults, major_faults, voluntary_switches, involuntary_switches;
};

struct ei_metrics_totals {
    const int64_t *expected; /* per task: nominal releases that are not warm-up, up to the real end of the run */
    const struct ei_metrics_external *external;      /* per task; NULL = none is external */
    const struct ei_metrics_assumed *const *assumed; /* per task, NULL = nothing known; NULL = of no task */
    int64_t duration_ns;                             /* from t0 to the real end */
    bool is_ended_early;                             /* by a signal */
    int32_t end_signal;                              /* its number, 0 = none */
    int64_t job_records_lost, gap_records_lost;      /* pushes into full rings */
    int64_t minor_faults, major_faults, voluntary_switches, involuntary_switches; /* of all job threads; -1 = unknown */
    const struct ei_metrics_cpu_load *loads;                                      /* may be NULL */
    int32_t load_count;
    const struct ei_metrics_demotion *demotions; /* one a task at most; each makes the run degraded. May be NULL */
    int32_t demotion_count;
    const struct ei_metrics_degraded *degraded; /* what became of the run otherwise while it lasted; may be NULL */
    int32_t degraded_count;
    const struct ei_metrics_change *changes; /* in their order; may be NULL */
    int32_t change_count;
    int64_t changes_lost;    /* further ones, which are not listed */
    const int64_t *withheld; /* per task: releases that a pause kept from happening, or refused; NULL = none */
    const struct ei_metrics_usage *usage; /* per task; NULL = unknown */
    const int64_t *lane_busy_ns; /* per lane of the run: how long it was held, -1 = nobody holds it; NULL = unknown */
};

#define EI_METRICS_DEMOTION_TEXT_MAX 256
/* "task 'x' was demoted to SCHED_OTHER ...": for logs. Returns out. */
const char *ei_metrics_demotion_text(const struct ei_metrics_demotion *demotion, const char *task_name,
                                     char out[EI_METRICS_DEMOTION_TEXT_MAX]);

/* Counts of one task so far, for a progress line. */
struct ei_metrics_progress {
    int64_t released; /* completed + aborted */
    int64_t completed, aborted, skipped, dropped, misses, preemptions;
    int64_t answered;
    int64_t last_response_ns; /* of the newest completed job; 0 = none yet */
};

struct ei_collector;
struct ei_trace; /* metrics/trace.h */

/* Make a collector for n tasks (1..EI_METRICS_TASKS_MAX). Copies all that it is given. With an out_dir the folder and
 * its parents are made, and, if jobs_csv, out_dir/jobs.csv.partial is opened and its head written, likewise stages.csv:
 * a refused folder is reported before the run, not after it. Without one (NULL) no file is written.
 * Returns 0, -EINVAL (a field outside its range), -ENOMEM, or the -errno of the folder or file. */
int ei_collector_create(const struct ei_metrics_run *run, const struct ei_metrics_task *tasks, int32_t n,
                        const char *out_dir, bool jobs_csv, struct ei_collector **out_collector,
                        struct einet_error *err);

/* Move time 0 before the first add: making files takes time that must not come off the first release. */
void ei_collector_set_t0(struct ei_collector *collector, int64_t t0_ns);

/* Remove what an earlier run, and einet report, left in the output folder, so that nobody takes it for part of this run
 * when that is killed or writes fewer files. When nothing can refuse the run any more, with its trace set: its own
 * files stay. Returns how many files went. */
int32_t ei_collector_clear_earlier(const struct ei_collector *collector);

/* Before the first add: every record is drawn into the trace too, which is the collector's from now on and is closed
 * and published with its files. */
void ei_collector_set_trace(struct ei_collector *collector, struct ei_trace *trace);

/* At the end of a cycle of the drain: what may be put off. */
void ei_collector_work(struct ei_collector *collector);

/* Free the collector; without a finish before, its *.partial files are removed. Accepts NULL. */
void ei_collector_destroy(struct ei_collector *collector);

/* Take one record. A record that names no task of this run is counted (records_invalid) and otherwise ignored. A
 * failing disk does not disturb the run: with has_writers lines are lost and counted, else it is reported by finish.
 * The probe pushes one gap record per wake-up, however small its lateness: all of them make the noise percentiles,
 * those over EI_METRICS_GAP_MIN_NS are gaps. */
void ei_collector_add(struct ei_collector *collector, const struct ei_record *record);

/* Progress of one task; task_idx must be 0..n-1. */
struct ei_metrics_progress ei_collector_progress(const struct ei_collector *collector, int32_t task_idx);

/* Whole-run counts for a progress line: releases taken so far by all tasks, and the largest probe lateness. */
int64_t ei_collector_released(const struct ei_collector *collector);
int64_t ei_collector_noise_max_ns(const struct ei_collector *collector);

/* The last call to take figures in: no add() after it. Computes the verdicts and, with an out_dir, writes summary.json
 * and summary.txt and gives all files their final names; either all of them appear or none does. The figures stay
 * readable (verdict, print) also when writing failed. Returns 0, -ENOMEM, or the -errno of the file system. */
int ei_collector_finish(struct ei_collector *collector, const struct ei_metrics_totals *totals,
                        struct einet_error *err);

/* After finish. Number of service level objectives that failed, of all tasks. */
int32_t ei_collector_slo_failures(const struct ei_collector *collector);

/* After finish. released + skipped + dropped = expected for every task. */
bool ei_collector_is_identity_ok(const struct ei_collector *collector);

/* After finish. The final table, at most 120 columns for usual figures; colour adds ANSI sequences. Returns 0, -ENOMEM
 * or the -errno of writing to out. */
int ei_collector_print_table(const struct ei_collector *collector, FILE *out, bool colour);

/* After finish. The text of summary.json. Returns 0, -ENOMEM or the -errno of writing to out. */
int ei_collector_print_json(const struct ei_collector *collector, FILE *out);

#endif
