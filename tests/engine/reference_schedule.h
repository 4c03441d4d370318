/* An independent simulator of small task sets, written from the definitions and not from the engine: at every event it
 * looks at all threads again. The oracle of the virtual engine. Times in ns; every task is pinned to one CPU.
 */
#ifndef TESTS_ENGINE_REFERENCE_SCHEDULE_H
#define TESTS_ENGINE_REFERENCE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define REF_TASKS_MAX 8
#define REF_BLOCKS_MAX 4
#define REF_LANES_MAX 3
#define REF_DEVICES_MAX 2
#define REF_OVERLAP_MAX 4
#define REF_FIRST (-1)
#define REF_ASKED_MAX 256

/* Fixed priorities order CPUs under every policy; REF_EDF orders the lane by absolute deadline. */
enum ref_policy { REF_FIXED, REF_RATE, REF_DEADLINE, REF_EDF };
enum ref_late { REF_SKIP, REF_OLDEST, REF_NEWEST };
enum ref_preempt { REF_EXIT, REF_RESUME, REF_NONE, REF_ELASTIC, REF_RESTART };
enum ref_overrun { REF_OVERRUN_FINISH, REF_OVERRUN_EXIT, REF_OVERRUN_ABORT };
enum ref_deadline { REF_DEADLINE_EXIT, REF_DEADLINE_FINISH, REF_DEADLINE_ABORT };

/* Of one stage: processor time, and time from its beginning to its end; -1 = no limit. */
struct ref_limit {
    int64_t budget_ns, timeout_ns;
};

/* The jobs of a task with a predecessor are released when the predecessor's job of the same number completes, and have
 * the nominal release of the chain's first task; when that job does not complete, they are skipped. A task that is
 * released from outside has a release for each time it is asked for, then or at period_ns after the one before,
 * whichever is later; none after the end. */
struct ref_task {
    int64_t period_ns, offset_ns, deadline_ns; /* from outside: the least distance, no offset */
    bool is_external;
    int64_t asked_ns[REF_ASKED_MAX]; /* never decreasing */
    int32_t asked_count;
    int32_t after;    /* predecessor, or REF_FIRST: released by the clock */
    int32_t priority; /* REF_FIXED; else ref_assign_priorities */
    int32_t cpu;
    bool
        is_deadline; /* class deadline: on any CPU, above all others; its runtime is the budget of `pre`, all it does */
    int64_t pre_ns, post_ns;
    int32_t blocks;      /* 0 = no network; the plan is always all exits */
    bool is_kernel_lane; /* its network runs without a lane to hold */
    bool is_on_device; /* its one lane is a device, numbered behind the other lanes: while a block takes its time there,
                          the job wants no CPU; it does at the block's end, to go on. Blocks without length need none */
    int32_t lanes[REF_LANES_MAX], lane_count; /* that the network may use, in the order in which they are tried */
    int64_t conv_ns[REF_BLOCKS_MAX], branch_ns[REF_BLOCKS_MAX];
    enum ref_preempt on_preempt;
    int32_t max_preemptions; /* 0 = any number */
    int64_t max_blocking_ns; /* 0 = every boundary is a preemption point. On a device, unless on_preempt is REF_NONE, a
                              * part that is longer runs as the least number of pieces that are not, in whole ns, the
                              * longer ones first: at the end of each is a boundary. Where a job restarts or ends, what
                              * was done of a part is lost; else it goes on with the next piece */
    enum ref_deadline on_deadline;
    bool is_first_exit_mandatory;
    struct ref_limit pre, net, post;
    enum ref_overrun on_overrun;
    enum ref_late late;
    int32_t queue;
    /* Jobs that may be in flight, each in a thread of its own. A stage of a job begins when no earlier job of the task
     * is in flight and has not ended that stage; a job ends when no earlier one is in flight. Its last stage ends with
     * it, its network when its thread goes on behind it. */
    int32_t overlap;
};

/* Class deadline, on REF_CPUS CPUs. Its server has a begin, from which its deadline and its next period (a
 * 32nd shorter than the task's, but not below the deadline) count, and a
 * rest of its runtime (2048 ns more than the budget). On waking: a first period, or one with the runtime used up, is as
 * below; one that is behind its deadline but not at its next period (only when they differ) waits for that without a
 * rest; one behind its deadline begins anew now, as does one whose rest x deadline exceeds the time until its deadline
 * x runtime (each in 1024 ns), but when period and deadline differ it then keeps its begin and its rest becomes that
 * time's share of the runtime (of a share in 2^-20). Without rest it is throttled until its next period, which has the
 * runtime again, and begins anew now if its deadline were past. The earliest deadlines run, equal ones in the order of
 * becoming ready. One that becomes ready takes the CPU with the lowest priority, of equals the one it had, else the
 * first; else that of the latest deadline, if that is later. Watchdogs do not look at them. */
#define REF_CPUS 2

/* A watchdog looks every 10 ms, after all else that happens then: a job that has used more than `watchdog` times the
 * budgets of its task, all of them given, since the look that first found it, is demoted. It and all later jobs of its
 * task run when nobody else wants the CPU, whatever waits for them; later jobs also ask for the lane as the lowest,
 * under REF_EDF as if they had no deadline. watchdog 0 = there is none. */
struct ref_system {
    enum ref_policy policy;
    struct ref_task tasks[REF_TASKS_MAX];
    int32_t task_count;
    int32_t watchdog;
    int64_t end_ns;
};

enum ref_outcome { REF_COMPLETED, REF_ABORTED, REF_SKIPPED, REF_DROPPED };

/* Where a job's response went: each instant belongs to the one word that is true of it. A demoted task is of priority
 * 0 on its CPU from then on, and on the lane from its next job on. */
enum ref_part {
    REF_DELAYED,    /* its predecessor is not over, or is where it wants to be */
    REF_BLOCKED,    /* it wants its CPU or the lane, and a task of lower priority has it */
    REF_INTERFERED, /* it wants its CPU, and one of higher or equal priority has it */
    REF_RAN,
    REF_QUEUED,    /* it wants the lane, and a task of higher or equal priority has it */
    REF_THROTTLED, /* class deadline: until its next period */
    REF_PARTS
};

struct ref_job {
    int32_t task_idx;
    int64_t job_idx;
    enum ref_outcome outcome;
    int64_t start_ns, finish_ns, lane_wait_ns; /* of jobs that ran */
    uint64_t exits_mask;
    int32_t preemptions;
    int32_t cuts;            /* times it gave its lane away, or stopped, in the midst of a part */
    int32_t launches_behind; /* times a block of it began behind one that another task left on the device */
    bool is_overrun;
    int64_t part_ns[REF_PARTS];
};

/* Give every task the priority of its policy: 80 less the number of tasks that go before it. Nothing for REF_FIXED. */
void ref_assign_priorities(struct ref_system *system);

/* Simulate releases in [0, end_ns]; jobs that were released finish. out: [max]. Returns the number of jobs, each
 * reported when it ended. *out_demoted: tasks that were. */
int32_t ref_simulate(const struct ref_system *system, struct ref_job *out, int32_t max, int32_t *out_demoted);

#endif
