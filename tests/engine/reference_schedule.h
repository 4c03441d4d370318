/* An independent simulator of small task sets, written from the definitions and not from the engine: at every event it
 * looks at all threads again. The oracle of the virtual engine. Times in ns; every task is pinned to one CPU.
 */
#ifndef TESTS_ENGINE_REFERENCE_SCHEDULE_H
#define TESTS_ENGINE_REFERENCE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define REF_TASKS_MAX 8
#define REF_BLOCKS_MAX 4
#define REF_FIRST (-1)

enum ref_late { REF_SKIP, REF_OLDEST, REF_NEWEST };
enum ref_preempt { REF_EXIT, REF_RESUME, REF_NONE };
enum ref_overrun { REF_OVERRUN_FINISH, REF_OVERRUN_EXIT, REF_OVERRUN_ABORT };
enum ref_deadline { REF_DEADLINE_EXIT, REF_DEADLINE_FINISH, REF_DEADLINE_ABORT };

/* The jobs of a task with a predecessor are released when the predecessor's job of the same number completes, and have
 * the nominal release of the chain's first task; when that job does not complete, they are skipped. */
/* Of one stage: processor time, and time from its beginning to its end; -1 = no limit. */
struct ref_limit {
    int64_t budget_ns, timeout_ns;
};

struct ref_task {
    int64_t period_ns, offset_ns, deadline_ns;
    int32_t after; /* predecessor, or REF_FIRST: released by the clock */
    int32_t priority, cpu;
    int64_t pre_ns, post_ns;
    int32_t blocks; /* 0 = no network; the plan is always all exits */
    int64_t conv_ns[REF_BLOCKS_MAX], branch_ns[REF_BLOCKS_MAX];
    enum ref_preempt on_preempt;
    enum ref_deadline on_deadline;
    bool is_first_exit_mandatory;
    struct ref_limit pre, net, post;
    enum ref_overrun on_overrun;
    enum ref_late late;
    int32_t queue;
};

enum ref_outcome { REF_COMPLETED, REF_ABORTED, REF_SKIPPED, REF_DROPPED };

struct ref_job {
    int32_t task_idx;
    int64_t job_idx;
    enum ref_outcome outcome;
    int64_t start_ns, finish_ns, lane_wait_ns; /* of jobs that ran */
    uint64_t exits_mask;
    int32_t preemptions;
    bool is_overrun;
};

/* A watchdog looks every 10 ms, after all else that happens then: a job that has used more than `watchdog` times the
 * budgets of its task, all of them given, since the look that first found it, is demoted. It and all later jobs of its
 * task run when nobody else wants the CPU, whatever waits for them; later jobs also ask for the lane as the lowest.
 * watchdog 0 = there is none. *out_demoted: tasks that were.
 *
 * Simulate releases in [0, end_ns]; jobs that were released finish. out: [max]. Returns the number of jobs, each
 * reported when it ended. */
int32_t ref_simulate(const struct ref_task *tasks, int32_t task_count, int32_t watchdog, int64_t end_ns,
                     struct ref_job *out, int32_t max, int32_t *out_demoted);

#endif
