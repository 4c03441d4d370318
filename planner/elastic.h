/* The elastic stepper: the course of one job through a multi-exit network, as pure decisions.
 *
 *                        conv k done, exit k not planned
 *                     +-------------------------------------+
 *                     v                                     |
 *     begin --> run conv k --conv k done, exit k planned--> run branch k --branch k done: replan--> run conv k+1
 *                     |                                         |
 *                     +-- stop requested, or nothing planned ---+--> finish(exit published last, or none)
 *
 * A mandatory first exit defers the finish: as long as nothing is published, the nearest branch is computed first, that
 * of the current block when it can still run, else of the next. Each event returns the next step. A step is a decision
 * for the boundary: nothing changes until its done event arrives, so a stop that comes before the step was begun
 * replaces it, and one that comes while a block runs takes effect with that block's done event.
 *
 * Owner: the job's thread; everything but the config calls is real-time safe. Reads no clock.
 */
#ifndef PLANNER_ELASTIC_H
#define PLANNER_ELASTIC_H

#include "planner/predictor.h"
#include "planner/search.h"

/* ---- what is fixed per task ---- */

/* Guess the scores of the exits not run. score: [exits] scores so far, 0 = not run; bit i of run_mask: exit i was run;
 * out_score: [exits], to be filled for exits from first_exit on, finite. Real-time safe, pure. */
typedef void (*ei_predict_fn)(const void *context, int32_t exits, const float *score, uint64_t run_mask,
                              int32_t first_exit, float *out_score);

/* The planning score of a confidence, 0..1 both, e.g. the probability that the answer is right. Likewise. */
typedef float (*ei_score_fn)(const void *context, int32_t exit_idx, float confidence);

/* The first plan of every job that nothing can stop before it has computed all that there is. With S = 1 all along an
 * exact search sees differences of times only, so when such a job begins does not matter: the plan is found once. */
struct ei_calm_plan {
    bool is_known;
    int64_t length_ns;   /* of all conv parts and branches: no search asks for S later than that */
    uint64_t tables_tag; /* of the tables that its search leaves */
    struct ei_plan plan;
};

/* Immutable during a run; may be shared by threads. */
struct ei_elastic_config {
    int32_t exits;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];             /* for planning: p50 */
    int64_t conv_bound_ns[EI_EXITS_MAX], branch_bound_ns[EI_EXITS_MAX]; /* for promises: p99 */
    float mean_score[EI_EXITS_MAX];                                     /* of the data set; the guess before any exit */
    double no_output_score;                                             /* value of no answer; 0 */
    struct ei_search search;
    bool is_first_exit_mandatory;
    bool is_branch_atomic;    /* as in struct ei_plan_problem */
    bool is_replan_by_caller; /* false: each branch's done event replans. true: the caller does, while the lane works */
    ei_predict_fn predict;    /* NULL: the means of the data set stay the guess */
    ei_score_fn score_of;     /* NULL: the confidence itself */
    const void *predict_context; /* of both, borrowed */
    struct ei_calm_plan calm;    /* ei_elastic_config_settle */
};

/* Fill the config from profiles: times p50 and p99, no predictor, no_output_score 0, replan at each branch.
 * mean_score: [mean_count] as in a CS-profile; mean_count must be the profile's exits. mean_score NULL (mean_count 0):
 * no data set is known; scores rise evenly from 1/n to 1, so that deeper exits count as better.
 * Returns 0; EINET_E_USAGE or EINET_E_LIMIT (a field, named); EINET_E_MISMATCH (mean_count). */
int ei_elastic_config_init(struct ei_elastic_config *config, const struct ei_et_profile *et, const float *mean_score,
                           int32_t mean_count, struct ei_search search, bool is_first_exit_mandatory,
                           struct einet_error *err);

/* Guess with a CS-predictor, which is borrowed. Returns 0 or EINET_E_MISMATCH (another number of exits). */
int ei_elastic_config_predict(struct ei_elastic_config *config, const struct ei_predictor *predictor,
                              struct einet_error *err);

/* Find the calm plan of a config that is complete; to be called again, or calm.is_known cleared, when it changes.
 * Without it, or when the search is not an exact one, every job searches; what is planned is the same. predict, when
 * there is one, must guess alike for every job that has run nothing. Cold. Returns 0; -EINVAL as ei_plan_search. */
int ei_elastic_config_settle(struct ei_elastic_config *config, struct ei_plan_workspace *ws);

/* ---- one job ---- */

enum ei_step_kind { EI_STEP_CONV, EI_STEP_BRANCH, EI_STEP_FINISH };

struct ei_step {
    enum ei_step_kind kind;
    int32_t idx; /* conv part or branch to run; FINISH: the exit to deliver, EI_EXIT_NONE = no answer */
};

enum ei_stop_reason {
    EI_STOP_NONE,
    EI_STOP_PREEMPTED,
    EI_STOP_DEADLINE,
    EI_STOP_LOAD_CAP,
    EI_STOP_CANCELLED,
    EI_STOP_OVERRUN
};

struct ei_elastic {
    const struct ei_elastic_config *config; /* borrowed until the next begin */
    struct ei_plan_workspace *ws;           /* borrowed likewise; no other job uses it meanwhile */
    struct ei_survival survival;
    struct ei_plan plan;             /* what is still planned, from the last (re)plan */
    int32_t planned_exit;            /* last exit of the first plan, EI_EXIT_NONE = it was empty */
    int32_t convs_done;              /* conv parts 0..convs_done-1 are done */
    int32_t delivered_exit;          /* branch done last: the answer; EI_EXIT_NONE = none yet */
    uint64_t exits_mask;             /* branches done */
    float score[EI_EXITS_MAX];       /* planning scores of the branches done; 0 elsewhere */
    float guess[EI_EXITS_MAX];       /* expected scores, those of the branches done included */
    enum ei_stop_reason stop_reason; /* the first one given */
    int32_t preemptions;             /* times the lane was away */
    int32_t replans;                 /* plans made after the first */
    bool are_tables_current;         /* ws holds the tables of guess */
};

/* Start a job: make the first plan, or take the calm one, and return the first step. elapsed_ns: time on the clock of
 * survival, >= 0. ws may be NULL unless the search is exact. Returns 0; -EINVAL or -ENOTSUP as ei_plan_search. */
EINET_RT int ei_elastic_begin(struct ei_elastic *job, const struct ei_elastic_config *config,
                              struct ei_plan_workspace *ws, const struct ei_survival *survival, int64_t elapsed_ns,
                              struct ei_step *out_step);

/* The step that is due; what the last event returned. */
EINET_RT struct ei_step ei_elastic_next(const struct ei_elastic *job);

/* Conv part k is done. Returns 0, or -EINVAL when k is not the next conv part (nothing changes). */
EINET_RT int ei_elastic_conv_done(struct ei_elastic *job, int32_t k, struct ei_step *out_step);

/* Branch k is done and its answer published, with its confidence; replans unless the caller does that. Returns 0, or
 * -EINVAL when k is not the current block, was done before, or confidence is not within 0..1 (nothing changes). */
EINET_RT int ei_elastic_branch_done(struct ei_elastic *job, int32_t k, float confidence, int64_t elapsed_ns,
                                    struct ei_step *out_step);

/* The job has to end (any reason but EI_STOP_NONE); the first reason stays. Never fails. */
EINET_RT struct ei_step ei_elastic_stop(struct ei_elastic *job, enum ei_stop_reason reason);

/* The lane was given to a higher job and is back: plan again for the time that is left. At a boundary. */
EINET_RT struct ei_step ei_elastic_preempted(struct ei_elastic *job, int64_t elapsed_ns);

/* The lane was given to a higher job, is back, and what was computed on it is lost: the conv parts run again from the
 * first one. Answers stay, so exits up to the one delivered are not computed again. Plans for that. At a boundary. */
EINET_RT struct ei_step ei_elastic_restarted(struct ei_elastic *job, int64_t elapsed_ns);

/* Plan the undecided exits anew from the scores so far. With is_replan_by_caller: call it after each branch, or let
 * another thread call it on a fork while the next conv part runs, and adopt that. Keeps the
 * plan when S(elapsed_ns) is 0, since a job that runs beyond its forced exit refutes the model, not its plan; and when
 * the problem fails its check (negative elapsed_ns, a predictor that yields NaN). Once a stop was requested it changes
 * nothing; neither does a search that is never replanned (STATISTICS). */
EINET_RT struct ei_step ei_elastic_replan(struct ei_elastic *job, int64_t elapsed_ns);

/* Copy a job for a replan elsewhere, with a workspace of its own. The survival function is copied as a value: what it
 * borrows must stay, or be replaced in out. */
EINET_RT void ei_elastic_fork(const struct ei_elastic *job, struct ei_plan_workspace *ws, struct ei_elastic *out);

/* Take plan and guesses from a fork of this job that was replanned. Returns false, and changes nothing, when the fork
 * is of another state: a branch was done since it was made. At a boundary. */
EINET_RT bool ei_elastic_adopt(struct ei_elastic *job, const struct ei_elastic *replanned);

/* Predicted time until the next answer that the stepper is going to compute, from the current boundary, as the sum of
 * p99 times; 0 when no further answer is due (the next step is FINISH). For deadline and load-cap tests. */
EINET_RT int64_t ei_elastic_next_exit_ns(const struct ei_elastic *job);

/* p99 time of one step; 0 for FINISH. */
EINET_RT int64_t ei_elastic_step_ns(const struct ei_elastic *job, struct ei_step step);

#endif
