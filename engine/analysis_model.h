/* A workload in the terms of the analysis: who arrives how often, on which group of CPUs and lanes, for how long.
 *
 * Tasks of `class: other` stay in the model without any work, so that indices are those of the workload. Any thread;
 * owns nothing.
 */
#ifndef ENGINE_ANALYSIS_MODEL_H
#define ENGINE_ANALYSIS_MODEL_H

#include "engine/analyze.h"
#include "scheduler/response_time.h"

struct ei_analysis_model {
    const struct ei_workload *wl;
    int32_t count, group_count;
    struct ei_cpuset groups[EI_TASKS_MAX];
    int32_t group[EI_TASKS_MAX]; /* of each task */
    struct ei_rta_task tasks[EI_TASKS_MAX];
    struct ei_rta_segment segments[EI_TASKS_MAX][EI_STAGES_MAX];
    int32_t nn_segment[EI_TASKS_MAX];            /* EI_NONE_IDX = no network */
    struct ei_et_profile profiles[EI_TASKS_MAX]; /* exits 0 = none known */
    bool is_from_release[EI_TASKS_MAX]; /* of a burst or trace: jitter stands for its bursts, so responses are counted
                                           from when a job was ready */
    bool may_be_demoted[EI_TASKS_MAX];  /* a job may use more than its watchdog allows, and then wait for anybody */
    int64_t deadline_bound_ns[EI_TASKS_MAX]; /* of class deadline: of its response, or EI_ANALYSIS_NO_BOUND */
    char times[EI_TASKS_MAX][EI_ANALYSIS_TIMES_TEXT_MAX];
};

/* Fill in. Returns 0, EINET_E_FILE with errors in diag, -ENOMEM. */
int ei_analysis_model_build(const struct ei_workload *wl, const struct ei_analysis_options *options,
                            struct ei_analysis_model *out, struct ei_diagnostics *diag);

/* Whether a job may end at its first exit, and will behind its deadline, with an answer in any case: no limit of its
 * stages takes the answer away. */
bool ei_analysis_is_elastic(const struct ei_task_spec *spec);

/* Whether a job that has an answer may end because another one wants its lane. */
bool ei_analysis_may_be_stopped(const struct ei_task_spec *spec);

/* Exits of which a job that goes over a budget or timeout is sure; INT32_MAX = no job does. */
int32_t ei_analysis_exits_over_limits(const struct ei_analysis_model *model, int32_t task);

/* Whether a part of the task's network waits behind the one that runs (`depth: 2` of a device). What is computed by
 * when is then not known well enough for exits to be sure. */
bool ei_analysis_is_queued_ahead(const struct ei_analysis_model *model, int32_t task);

/* Time of the first `exits` exits of a task's network, with all branches on the way. */
int64_t ei_analysis_exits_ns(const struct ei_analysis_model *model, int32_t task, int32_t exits,
                             enum ei_time_quantile quantile);

/* ---- analysis_deadline.c ---- */

/* Tasks of class deadline, once all are filled in: what their servers ask of the CPUs above all others, and their own
 * bounds. */
void ei_analysis_take_deadline_class(struct ei_analysis_model *model);

/* ---- analysis_depth.c ---- */

/* How many exits a job can be expected to compute: median times, higher tasks at their mean rates. */
double ei_analysis_expected_exits(const struct ei_analysis_model *model, int32_t task);

/* Whether a task with a higher priority uses the same lane. */
bool ei_analysis_has_preemptor(const struct ei_analysis_model *model, int32_t task);

/* Whether a job of another task can come to the same lane while one of this task is there, and be due before it. */
bool ei_analysis_is_overtaken(const struct ei_analysis_model *model, const struct ei_analysis *analysis, int32_t task);

#endif
