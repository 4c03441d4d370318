/* Response-time bounds under fixed priorities, for jobs that go through CPUs and lanes.
 *
 * A job is a chain of segments. A CPU segment runs under SCHED_FIFO; a segment on a lane holds the lane and gives it up
 * between its blocks only; a segment on a lane of a CPU does both. Waiters lend their priority to the lane's holder.
 * Every bound is an upper bound of (finish - nominal arrival) over all releases that keep period and jitter, any
 * offsets, and all execution times up to the WCET; docs/analysis.md derives it and names the sources.
 *
 * Pure integer arithmetic, no allocation: the caller keeps tasks, states and struct ei_rta (about 90 KiB: not for a
 * small stack). One thread per struct ei_rta.
 */
#ifndef SCHEDULER_RESPONSE_TIME_H
#define SCHEDULER_RESPONSE_TIME_H

#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef EI_RTA_TASKS_MAX /* a build may want more: bench/simulate.c */
#define EI_RTA_TASKS_MAX 64
#define EI_RTA_CPUS_MAX 64
#endif
#define EI_RTA_LEGS_MAX 16 /* changes of resource in one job; blocks on the same lane in a row are one leg */
#define EI_RTA_LANES_MAX 64
#define EI_RTA_TIME_MAX_NS (INT64_C(1) << 50) /* of any single time given, 13 days */
#define EI_RTA_NOWHERE (-1)
#define EI_RTA_NO_TASK (-1)
#define EI_RTA_NO_BOUND INT64_C(-1)
#define EI_RTA_PPM INT64_C(1000000)
#define EI_RTA_LOAD_CAP_PPM INT64_C(900000) /* Linux stops FIFO threads at 950000; we stay below (scheduler/load.h) */

/* One stretch of a job. cpu alone: runs on that CPU. lane alone: runs on an accelerator that needs no CPU meanwhile,
 * but, with is_driven, its CPU between two blocks, for no time: to launch the next one it waits for its turn there.
 * Both: holds the lane while it runs on the CPU. Segments in a row that name the same lane hold it throughout. A "CPU"
 * may stand for a group of CPUs with threads that migrate, as long as the ready thread of the highest priority in the
 * group always runs: whenever work of a priority is ready, at least one CPU does work of that or a higher one, which is
 * all that the bounds use. They do not gain from the number of CPUs, and preemption must never be off in a group. */
struct ei_rta_segment {
    int32_t cpu;    /* 0..EI_RTA_CPUS_MAX-1, or EI_RTA_NOWHERE */
    int32_t lane;   /* 0..EI_RTA_LANES_MAX-1, or EI_RTA_NOWHERE */
    bool is_driven; /* cpu does not run the segment, which is on the lane alone: it launches its blocks */
    int64_t wcet_ns;
    int64_t bcet_ns;      /* least execution time; 0 = not known */
    int64_t mandatory_ns; /* part of wcet_ns that a job does even when it ends at its first exit */
    /* On a lane: the longest block; 0 = not known, the lane is taken to be given up at the end only. On a CPU alone:
     * the longest time with preemption off; 0 = never off. More than wcet_ns counts as wcet_ns. */
    int64_t max_nonpreemptive_ns;
};

/* Whom a lane serves first: the waiter of the highest priority, or the one whose job has the earliest absolute deadline
 * (arrival of the first of its chain + deadline_ns), equals in any order, those without one last. CPUs go by priority
 * all the same, and waiters lend theirs to the holder. */
enum ei_rta_lane_order { EI_RTA_LANES_BY_PRIORITY, EI_RTA_LANES_BY_DEADLINE };

struct ei_rta_task {
    int32_t priority;    /* larger runs first; equal ones are served first come, first served */
    int32_t after;       /* task whose finish releases this one, or EI_RTA_NO_TASK; its period is then inherited */
    int64_t period_ns;   /* period or least distance of arrivals */
    int64_t jitter_ns;   /* a job is ready at most this long after its nominal arrival */
    int64_t deadline_ns; /* from the nominal arrival; of a task with `after`: from the arrival of the first of its
                            chain. May pass the period. INT64_MAX = none */
    int64_t deadline_jitter_ns; /* on a lane by deadline a job may be due so much later, counting from an arrival that
                                   is late itself */
    int64_t scale_ppm;          /* all execution times are multiplied by this share (rounded up); 0 = as they are */
    /* A job that has done its mandatory part ends its lane segment at the first block boundary behind its deadline, and
     * then does the segments after it. Only mandatory_ns of struct ei_rta_bound makes use of it. */
    bool is_cut_at_deadline;
    const struct ei_rta_segment *segments; /* in program order; borrowed */
    int32_t segment_count;
};

/* A maximal run of segments on one resource; filled by ei_rta_init. */
struct ei_rta_leg {
    int32_t cpu, lane;
    int32_t driver; /* of a leg on a lane alone: the CPU that launches its blocks, or EI_RTA_NOWHERE */
    int64_t wcet_ns, bcet_ns, mandatory_ns;
    int64_t chunk_ns;      /* longest non-preemptive part */
    int64_t last_chunk_ns; /* the part at the end that cannot be preempted; 0 = none known */
};

/* What the analysis knows of one task; the caller only gives the room. */
struct ei_rta_state {
    int32_t leg_count, rank; /* rank: the task that comes at this place in order of priority */
    int64_t period_ns;
    int64_t best_arrival_ns; /* a job is ready between these two after its nominal arrival */
    int64_t arrival_ns;
    int64_t wcet_ns;
    struct ei_rta_leg legs[EI_RTA_LEGS_MAX];
    int64_t finish_ns[EI_RTA_LEGS_MAX]; /* bound of the finish of each leg from the nominal arrival */
};

/* An arrival stream of interfering work: ceil((window + offset) / period) * cost. */
struct ei_rta_stream {
    int64_t period_ns, offset_ns, cost_ns;
};

/* Lanes by deadline: jobs of a task of at least the same priority that may wait for a lane; times as of a stream. */
struct ei_rta_wait {
    int32_t task_idx;
    int64_t period_ns, offset_ns;
};

/* Lanes by deadline: work on lanes of a task of lower priority, all of it as of a stream. */
struct ei_rta_lower {
    int64_t period_ns, offset_ns, cost_ns;
    int64_t own_ns;                      /* what of it goes before one job of the task itself */
    int64_t before_ns[EI_RTA_TASKS_MAX]; /* the same of each of the waits */
};

struct ei_rta {
    const struct ei_rta_task *tasks;
    struct ei_rta_state *states;
    int32_t count;
    uint64_t lane_cpus[EI_RTA_LANES_MAX]; /* CPUs on which segments of the lane run, or are launched */
    uint64_t bare_lanes;                  /* lanes with segments that need no CPU */
    int64_t limit_ns;                     /* a window longer than this counts as no bound */
    enum ei_rta_lane_order lane_order;    /* by priority after ei_rta_init; may be set before ei_rta_solve */
    int64_t own_waits;
    int32_t wait_count, lower_count;
    struct ei_rta_wait waits[EI_RTA_TASKS_MAX];
    struct ei_rta_lower lower[EI_RTA_TASKS_MAX];
    int32_t stream_count;
    struct ei_rta_stream streams[EI_RTA_TASKS_MAX * EI_RTA_LEGS_MAX * 2];
};

struct ei_rta_bound {
    int64_t response_ns;     /* finish - nominal arrival (of the first of its chain), or EI_RTA_NO_BOUND */
    int64_t own_response_ns; /* finish - the moment it was ready, or EI_RTA_NO_BOUND */
    int64_t mandatory_ns;    /* response of a job that does its mandatory part only, or EI_RTA_NO_BOUND */
    int64_t blocking_ns;     /* part of one job's response that lower-priority blocks at its own requests can make up */
    bool is_schedulable;     /* response_ns <= deadline, or there is none */
    bool is_mandatory_schedulable;
};

/* Check the tasks (1..EI_RTA_TASKS_MAX) and cut them into legs. Borrows tasks (with their segments) and states (count
 * of them) as long as rta is used. Returns 0, or -EINVAL, -E2BIG or -ENOTSUP with err saying which task and why. */
int ei_rta_init(struct ei_rta *rta, const struct ei_rta_task *tasks, struct ei_rta_state *states, int32_t count,
                struct einet_error *err);

/* Bounds of all tasks into out_bounds[count]. Returns true when every task is schedulable. */
bool ei_rta_solve(struct ei_rta *rta, struct ei_rta_bound *out_bounds);

/* The same answer alone, at less cost. */
bool ei_rta_is_schedulable(struct ei_rta *rta);

/* Utilisation in parts per million, rounded up; compare with EI_RTA_LOAD_CAP_PPM. A segment on a lane of a CPU counts
 * for both. out_cpu_ppm[EI_RTA_CPUS_MAX], out_lane_ppm[EI_RTA_LANES_MAX]. */
void ei_rta_utilisation(const struct ei_rta *rta, int64_t *out_cpu_ppm, int64_t *out_lane_ppm);

#endif
