/* The board: the figures of a run that goes on, for whoever wants to look meanwhile: `einet top` through shared memory
 * (rt/shared_memory.h) and the HTTP server of the run itself (metrics/exporter.h).
 *
 * It is a table of sections, each behind a seqlock of its own (rt/seqlock.h): one for the run, one per task, lane and
 * CPU. The housekeeping thread is the only writer, a few times a second; job threads never touch it, and a reader can
 * neither delay nor disturb anybody. Figures of one section belong together; sections may be one publication apart.
 *
 *     housekeeper: collector, lanes, loads --ei_board_set_*--> sections --ei_board_read--> struct ei_board_view
 *
 * What is read is checked before it is shown: the memory may have been written by anything.
 */
#ifndef METRICS_BOARD_H
#define METRICS_BOARD_H

#include "metrics/collector.h"
#include "rt/seqlock.h"

#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_BOARD_VERSION 2
#define EI_BOARD_PREFIX "einet" /* segments are called /einet-PID */
#define EI_BOARD_TASKS_MAX 64
#define EI_BOARD_LANES_MAX 16
#define EI_BOARD_CPUS_MAX 64
#define EI_BOARD_NAME_MAX 32
#define EI_BOARD_TEXT_MAX 256
#define EI_BOARD_ADDRESS_MAX 64
#define EI_BOARD_NOBODY (-1)

enum ei_board_phase { EI_BOARD_STARTING, EI_BOARD_RUNNING, EI_BOARD_ENDED, EI_BOARD_FAILED, EI_BOARD_PHASES };

struct ei_board_run {
    char name[EI_BOARD_NAME_MAX]; /* of the workload */
    char version[EI_BOARD_NAME_MAX];
    char degraded_reason[EI_BOARD_TEXT_MAX]; /* the first one; "" = not degraded */
    char degraded_fix[EI_BOARD_TEXT_MAX];    /* "" = none known */
    char metrics[EI_BOARD_ADDRESS_MAX];      /* where it serves HTTP; "" = nowhere */
    int64_t pid;
    int64_t published_ns;                       /* CLOCK_MONOTONIC */
    int64_t elapsed_ns, duration_ns, warmup_ns; /* from t0; duration with the warm-up, INT64_MAX = until it is ended */
    int64_t job_records_lost, gap_records_lost; /* pushes into full rings */
    int64_t lines_lost;                         /* of jobs.csv and stages.csv, to a full or stalled disk */
    int64_t wakeups, gaps;                      /* of the noise probes, after the warm-up */
    int64_t noise_p99_ns, noise_max_ns;         /* lateness of the probes */
    int32_t phase;                              /* enum ei_board_phase */
    int32_t end_signal;                         /* that ended it, 0 = none */
    int32_t degraded_count;
    int32_t task_count, lane_count, cpu_count;
    int32_t is_probe_outranked; /* the noise probes are no real-time threads, see struct ei_metrics_run */
    int32_t is_ending; /* while it runs: nothing is released any more, perhaps because another run has taken over */
};

enum ei_board_task_state {
    EI_BOARD_TASK_IDLE,     /* no job is under way */
    EI_BOARD_TASK_ACTIVE,   /* at least one is */
    EI_BOARD_TASK_FALLBACK, /* its lane's device was lost: jobs run on the fallback */
    EI_BOARD_TASK_DEMOTED,  /* taken out of real time by the watchdog */
    EI_BOARD_TASK_STATES
};

/* Upper bounds of the response histogram, in ns; one more bucket holds what is above the last. */
#define EI_BOARD_BOUNDS EI_METRICS_BOUNDS

/* Jobs of the warm-up count nowhere. Responses are those of completed jobs. */
struct ei_board_task {
    char name[EI_BOARD_NAME_MAX];
    char class_name[16]; /* "fifo", "deadline", "other" */
    int32_t priority, exits;
    int32_t state;       /* enum ei_board_task_state */
    int32_t is_paused;   /* it is not released, whatever jobs are still under way */
    int64_t deadline_ns; /* INT64_MAX = none */
    int64_t completed, aborted, skipped, dropped, misses, preemptions;
    int64_t backlog; /* released and not over, as far as the task has accounted for its releases */
    int64_t answered, labelled_answered, correct;
    int64_t last_ns, p50_ns, p99_ns, max_ns; /* responses */
    int64_t response_count;
    double response_sum_ns;
    int64_t response_below[EI_BOARD_BOUNDS + 1]; /* count per bucket, not cumulative */
    int64_t exit_count[EI_METRICS_EXITS_MAX];    /* answers by exit */
};

struct ei_board_lane {
    char name[EI_BOARD_NAME_MAX];
    int32_t is_gated;   /* 0: the GPU serves jobs side by side, so nobody holds it and the rest is not known */
    int32_t holder_idx; /* task, EI_BOARD_NOBODY = free */
    int32_t waiting;    /* jobs that queue for it */
    int32_t reserved;
    int64_t busy_ns; /* held, since t0 */
    double busy;     /* share of the time since the publication before the last, 0..1 */
};

struct ei_board_cpu {
    int32_t cpu;
    int32_t is_counted; /* 0: no thread is real-time there, so there is no load to cap */
    double load, cap;   /* real-time load of the last second, 0..1 */
};

#define EI_BOARD_SECTION(type) EI_SEQLOCK_WORDS(sizeof(type))

/* As it lies in memory; all zero = nothing was published. */
struct ei_board {
    _Atomic uint64_t run[EI_BOARD_SECTION(struct ei_board_run)];
    _Atomic uint64_t tasks[EI_BOARD_TASKS_MAX][EI_BOARD_SECTION(struct ei_board_task)];
    _Atomic uint64_t lanes[EI_BOARD_LANES_MAX][EI_BOARD_SECTION(struct ei_board_lane)];
    _Atomic uint64_t cpus[EI_BOARD_CPUS_MAX][EI_BOARD_SECTION(struct ei_board_cpu)];
};

/* What a reader got: about 70 KiB, never on a small stack. */
struct ei_board_view {
    struct ei_board_run run;
    struct ei_board_task tasks[EI_BOARD_TASKS_MAX];
    struct ei_board_lane lanes[EI_BOARD_LANES_MAX];
    struct ei_board_cpu cpus[EI_BOARD_CPUS_MAX];
};

static inline bool ei_board_is_over(const struct ei_board_run *run)
{
    return run->phase == EI_BOARD_ENDED || run->phase == EI_BOARD_FAILED;
}

/* Publish a section; idx below its limit, else nothing happens. Thread: the one writer; wait-free. */
void ei_board_set_run(struct ei_board *board, const struct ei_board_run *run);
void ei_board_set_task(struct ei_board *board, int32_t idx, const struct ei_board_task *task);
void ei_board_set_lane(struct ei_board *board, int32_t idx, const struct ei_board_lane *lane);
void ei_board_set_cpu(struct ei_board *board, int32_t idx, const struct ei_board_cpu *cpu);

/* Read all sections that the run says it has. Returns 0; -EAGAIN: nothing is published yet, or the writer stands still
 * in the middle of a section; EINET_E_FILE: it holds what no run writes (the text names it). view is of no use then.
 * Thread: any. */
int ei_board_read(const struct ei_board *board, struct ei_board_view *view, struct einet_error *err);

/* "starting", "running", "ended", "failed"; "idle", "active", "fallback", "demoted". The value must be in range. */
const char *ei_board_phase_name(int32_t phase);
const char *ei_board_task_state_name(int32_t state);

/* Fill what the collector knows of a task, of the run; the rest of *out is left as it is. Thread: the collector's. */
void ei_board_take_task(struct ei_board_task *out, const struct ei_collector *collector, int32_t task_idx);
void ei_board_take_run(struct ei_board_run *out, const struct ei_collector *collector);

#endif
