/* What a network task's job thread holds to plan: search, predictor, where exit times come from, how it replans.
 *
 * Built before the threads start (planning.c); during the run it is the job thread's alone, but for the fields that the
 * replanner's comment names and for `begun`/`lane_done`, which other job threads read.
 */
#ifndef ENGINE_PLANNING_H
#define ENGINE_PLANNING_H

#include "metrics/collector.h"
#include "planner/elastic.h"
#include "planner/survival_empirical.h"
#include "planner/survival_schedule.h"
#include "rt/handoff.h"
#include "rt/thread.h"
#include "stages/nn/network.h"
#include "workloads/spec.h"

#include <stdatomic.h>

struct ei_job_slot;
struct ei_live_task;
struct ei_run;

/* ---- exit times ---- */

/* A task that shares the lane (it can force an exit) or a CPU (it takes time away) while its priority is higher. */
struct ei_sharer {
    const struct ei_live_task *task;
    const struct ei_arrival_spec *arrival; /* of the head of its chain */
    bool shares_lane;
    int64_t before_lane_ns; /* from its nominal release to its lane request: what comes before its network */
    int64_t chain_ns;       /* of that, the jobs before it in its chain */
    double cpu_share;       /* of its jobs' time, the part that falls on this task's CPUs; 0..1 */
    int64_t demand_ns;      /* processor time of one of its jobs */
};

struct ei_exit_times {
    struct ei_sharer sharers[EI_TASKS_MAX];
    int32_t sharer_count;
    int64_t spread_ns;     /* p99 - p50 of the whole network: how early the deadline may already bite */
    int64_t branch_max_ns; /* p50 of the longest branch */
    struct ei_empirical empirical;
    struct ei_survival_table table;    /* recorded (trace), or of the job that runs */
    struct ei_survival factors[2];     /* of the job that runs */
    struct ei_metrics_assumed assumed; /* of jobs so far; step_ns 0 = block times are unknown yet */
    int64_t note_from_ns;              /* jobs released before then are not looked at */
};

/* ---- replanning while the lane works ---- */

/* A thread that replans a fork of the job on a housekeeping CPU, at the job's priority at most, while the job thread
 * runs the next conv part. The fork is the job thread's until it is posted (posted = done + 1) and again when it is
 * done (done = posted).
 */
struct ei_replanner {
    bool is_on;
    struct ei_thread thread;
    bool has_thread;
    struct ei_waiter work;    /* granted once per post */
    atomic_uint posted, done; /* numbers of requests */
    atomic_bool is_ending;
    struct ei_elastic job; /* the fork */
    int64_t elapsed_ns;
    struct ei_survival_table table; /* the fork's exit times */
    struct ei_survival factors[2];
    struct ei_plan_workspace ws;
    /* the job thread's alone */
    bool is_awaited, is_counted_late;
};

struct ei_task_planning {
    struct ei_predictor *predictor; /* owned; NULL = none */
    struct ei_exit_times exit_times;
    struct ei_replanner *replanner; /* owned; NULL = every plan is made inline */
    int64_t replan_ns;              /* median time of predict and search, measured at start */
    char text[160];                 /* for the results: "exact, schedule, ..." */
};

/* ---- planning.c: before and after the run ---- */

/* Load the predictor and recorded exit times of a network; without an open one this is all that planning needs. */
int ei_task_build_plan_sources(struct ei_live_task *task, const struct ei_network_info *network,
                               struct einet_error *err);

/* The same for the open network, and make the replanner. */
int ei_task_build_planning(struct ei_live_task *task, struct einet_error *err);
void ei_task_demolish_planning(struct ei_live_task *task);

/* With block times and the elastic configuration filled in: spread, atomic branches, predictor; describe it. */
int ei_task_complete_planning(struct ei_live_task *task, struct einet_error *err);

/* In the job thread, after that: time a replan and decide where replans are made. */
void ei_task_settle_replans(struct ei_live_task *task);

/* Find the sharers of every task; block times are measured. Main thread, before GO. */
void ei_run_settle_sharers(struct ei_run *run);

/* What was assumed of the stop, per task; NULL = nothing. Borrowed of the run. */
void ei_run_list_assumed(const struct ei_run *run, const struct ei_metrics_assumed *out[EI_TASKS_MAX]);

/* ---- exit_time_rt.c ---- */

/* When this job will be forced to stop, on the clock that starts at its nominal release. What the value borrows stays
 * until the next call. */
EINET_RT struct ei_survival ei_exit_time_begin(struct ei_live_task *task, int64_t release_ns, int64_t elapsed_ns);

/* Add S as the planner of a job sees it, which got as far as elapsed_ns, to what is told of the run. */
EINET_RT void ei_exit_time_note(struct ei_live_task *task, const struct ei_survival *survival, int64_t release_ns,
                                int64_t elapsed_ns);

/* Time from now_ns until the job would be over if it gave its lane away now and came back: its own rest_ns, and of
 * every higher task that shares its lane or CPUs the demand of the job under way and of the jobs released meanwhile,
 * in a chain by its head.
 * INT64_MAX when that is after deadline_ns; both absolute. */
EINET_RT int64_t ei_exit_time_if_resumed(const struct ei_live_task *task, int64_t rest_ns, int64_t now_ns,
                                         int64_t deadline_ns);

/* The job's network part ended at elapsed_ns, forced or by itself: learn. */
EINET_RT void ei_exit_time_end(struct ei_live_task *task, int64_t elapsed_ns, bool is_forced);

/* ---- replanner_rt.c, replanner.c ---- */

/* Start and stop the replanner threads of a run. */
int ei_replanners_start(struct ei_run *run, struct einet_error *err);
void ei_replanners_stop(struct ei_run *run);

/* After a branch: have a fork replanned while the next conv part runs. Counts the replan as late at once when the
 * replanner is still busy. */
EINET_RT void ei_replan_post(struct ei_job_slot *slot, int64_t elapsed_ns);

/* At the boundary behind that conv part: adopt the new plan, or go on with the old one and count. Returns the step that
 * is due. */
EINET_RT struct ei_step ei_replan_adopt(struct ei_job_slot *slot);

#endif
