/* The elastic stepper. Pure, real-time safe; the job's thread. */
#include "planner/elastic.h"

#include <errno.h>
#include <string.h>

/* Bits from `first` (0..64) on. */
static uint64_t bits_from(int32_t first)
{
    return first >= 64 ? 0 : UINT64_MAX << first;
}

static bool has_answer(const struct ei_elastic *job)
{
    return job->delivered_exit != EI_EXIT_NONE;
}

/* First exit whose branch can still run: that of the current block unless it was done, else of the next block. After a
 * restart the exits up to the one delivered are behind, too. */
static int32_t first_open_exit(const struct ei_elastic *job)
{
    const int32_t current = job->convs_done - 1;
    const int32_t open = current >= 0 && (job->exits_mask >> current & 1U) == 0 ? current : job->convs_done;
    return open > job->delivered_exit ? open : job->delivered_exit + 1;
}

/* The exit to compute next, EI_EXIT_NONE when the job is to finish. */
static int32_t target_exit(const struct ei_elastic *job)
{
    const int32_t open = first_open_exit(job);
    if (job->stop_reason == EI_STOP_NONE) {
        const uint64_t planned = job->plan.mask & bits_from(open);
        if (planned != 0) {
            return (int32_t)__builtin_ctzll(planned);
        }
    }
    /* Nothing is published, so no branch was done and `open` is a valid exit. */
    return !has_answer(job) && job->config->is_first_exit_mandatory ? open : EI_EXIT_NONE;
}

EINET_RT struct ei_step ei_elastic_next(const struct ei_elastic *job)
{
    const int32_t target = target_exit(job);
    if (target == EI_EXIT_NONE) {
        return (struct ei_step){EI_STEP_FINISH, job->delivered_exit};
    }
    if (target == job->convs_done - 1) {
        return (struct ei_step){EI_STEP_BRANCH, target};
    }
    return (struct ei_step){EI_STEP_CONV, job->convs_done};
}

static struct ei_plan_problem problem_at(const struct ei_elastic *job, int64_t elapsed_ns)
{
    return (struct ei_plan_problem){
        .exits = job->config->exits,
        .conv_ns = job->config->conv_ns,
        .branch_ns = job->config->branch_ns,
        .score = job->guess,
        .survival = job->survival,
        .convs_done = job->convs_done,
        .first_exit = first_open_exit(job),
        .elapsed_ns = elapsed_ns,
        .is_branch_atomic = job->config->is_branch_atomic,
        .held_score = has_answer(job) ? (double)job->score[job->delivered_exit] : job->config->no_output_score,
    };
}

/* ---- calm jobs ---- */

/* Beyond 52 days the exact search, which counts in double, rounds times. */
#define CALM_ELAPSED_MAX_NS (INT64_C(1) << 52)

/* The search is the one that does not look at the survival function's kind. */
static bool is_general(const struct ei_survival *survival)
{
    return survival->kind == EI_SURVIVAL_PRODUCT || survival->kind == EI_SURVIVAL_KNOTS ||
           survival->kind == EI_SURVIVAL_STEPS;
}

/* S = 1 as long as the job can last. */
static bool is_calm(const struct ei_elastic_config *config, const struct ei_plan_workspace *ws,
                    const struct ei_survival *survival, int64_t elapsed_ns)
{
    return config->calm.is_known && is_general(survival) && ws != NULL && elapsed_ns >= 0 &&
           elapsed_ns < CALM_ELAPSED_MAX_NS && ei_survival_fault(survival).field == NULL &&
           ei_survival_at(survival, elapsed_ns + config->calm.length_ns) >= 1;
}

static void begin_calmly(struct ei_elastic *job)
{
    const struct ei_calm_plan *calm = &job->config->calm;
    job->plan = calm->plan;
    job->are_tables_current = calm->tables_tag == job->ws->tag;
}

/* Name the tables of the first search, so that jobs of the same config know them again. */
static int search_first(struct ei_elastic *job, int64_t elapsed_ns)
{
    const struct ei_plan_problem problem = problem_at(job, elapsed_ns);
    const int status = ei_plan_search(&problem, job->config->search, job->ws, &job->plan);
    if (status == 0 && job->config->calm.is_known && job->ws != NULL && job->ws->exits == job->config->exits) {
        job->ws->tag = job->config->calm.tables_tag;
    }
    job->are_tables_current = true;
    return status;
}

EINET_RT int ei_elastic_begin(struct ei_elastic *job, const struct ei_elastic_config *config,
                              struct ei_plan_workspace *ws, const struct ei_survival *survival, int64_t elapsed_ns,
                              struct ei_step *out_step)
{
    struct ei_elastic fresh = {.config = config, .ws = ws, .survival = *survival, .delivered_exit = EI_EXIT_NONE};
    if (config->exits < 1 || config->exits > EI_EXITS_MAX) {
        return -EINVAL;
    }
    memcpy(fresh.guess, config->mean_score, (size_t)config->exits * sizeof fresh.guess[0]);
    if (config->predict) {
        config->predict(config->predict_context, config->exits, fresh.score, 0, 0, fresh.guess);
    }
    if (is_calm(config, ws, survival, elapsed_ns)) {
        begin_calmly(&fresh);
    } else {
        const int status = search_first(&fresh, elapsed_ns);
        if (status != 0) {
            return status;
        }
    }
    fresh.planned_exit = ei_plan_last_exit(&fresh.plan);
    *job = fresh;
    *out_step = ei_elastic_next(job);
    return 0;
}

/* Keep what is left of the plan where no other can have more. */
static bool keep_plan(struct ei_elastic *job, const struct ei_plan_problem *problem)
{
    return job->config->search.kind == EI_SEARCH_EXACT && is_general(&job->survival) &&
           ei_plan_holds(problem, job->plan.mask, &job->plan);
}

/* A plan without new guesses is a look-up in the tables that the last search left. */
static void plan_again(struct ei_elastic *job, int64_t elapsed_ns)
{
    const enum ei_search_kind kind = job->config->search.kind;
    const bool is_refuted = !(ei_survival_at(&job->survival, elapsed_ns) > 0);
    if (kind == EI_SEARCH_STATISTICS || (is_refuted && kind != EI_SEARCH_CONFIDENCE)) {
        return;
    }
    const struct ei_plan_problem problem = problem_at(job, elapsed_ns);
    if (keep_plan(job, &problem)) {
        job->replans++;
        return;
    }
    struct ei_plan plan;
    const bool is_lookup = kind == EI_SEARCH_EXACT && job->are_tables_current;
    const int status = is_lookup ? ei_plan_resume(&problem, job->ws, &plan)
                                 : ei_plan_search(&problem, job->config->search, job->ws, &plan);
    if (status == 0) {
        job->plan = plan;
        job->replans++;
        job->are_tables_current = true;
    }
}

EINET_RT struct ei_step ei_elastic_replan(struct ei_elastic *job, int64_t elapsed_ns)
{
    const struct ei_elastic_config *config = job->config;
    if (job->stop_reason == EI_STOP_NONE) {
        const int32_t first = first_open_exit(job);
        if (config->predict && first < config->exits) {
            config->predict(config->predict_context, config->exits, job->score, job->exits_mask, first, job->guess);
            job->are_tables_current = false;
        }
        plan_again(job, elapsed_ns);
    }
    return ei_elastic_next(job);
}

EINET_RT int ei_elastic_conv_done(struct ei_elastic *job, int32_t k, struct ei_step *out_step)
{
    if (k != job->convs_done || k >= job->config->exits) {
        return -EINVAL;
    }
    job->convs_done++;
    *out_step = ei_elastic_next(job);
    return 0;
}

EINET_RT void ei_elastic_fork(const struct ei_elastic *job, struct ei_plan_workspace *ws, struct ei_elastic *out)
{
    *out = *job;
    out->ws = ws;
    out->are_tables_current = false;
}

EINET_RT bool ei_elastic_adopt(struct ei_elastic *job, const struct ei_elastic *replanned)
{
    if (replanned->exits_mask != job->exits_mask || job->stop_reason != EI_STOP_NONE) {
        return false;
    }
    job->plan = replanned->plan;
    job->replans++;
    memcpy(job->guess, replanned->guess, sizeof job->guess);
    job->are_tables_current = false;
    return true;
}

EINET_RT int ei_elastic_branch_done(struct ei_elastic *job, int32_t k, float confidence, int64_t elapsed_ns,
                                    struct ei_step *out_step)
{
    if (k < 0 || k != job->convs_done - 1 || (job->exits_mask >> k & 1U) != 0 ||
        !(confidence >= 0 && confidence <= 1)) {
        return -EINVAL;
    }
    job->exits_mask |= UINT64_C(1) << k;
    job->delivered_exit = k;
    const struct ei_elastic_config *config = job->config;
    const float score = config->score_of ? config->score_of(config->predict_context, k, confidence) : confidence;
    job->score[k] = score;
    job->guess[k] = score;
    *out_step = job->config->is_replan_by_caller ? ei_elastic_next(job) : ei_elastic_replan(job, elapsed_ns);
    return 0;
}

EINET_RT struct ei_step ei_elastic_stop(struct ei_elastic *job, enum ei_stop_reason reason)
{
    if (job->stop_reason == EI_STOP_NONE) {
        job->stop_reason = reason;
    }
    return ei_elastic_next(job);
}

EINET_RT struct ei_step ei_elastic_preempted(struct ei_elastic *job, int64_t elapsed_ns)
{
    job->preemptions++;
    if (job->stop_reason == EI_STOP_NONE) {
        plan_again(job, elapsed_ns);
    }
    return ei_elastic_next(job);
}

EINET_RT struct ei_step ei_elastic_restarted(struct ei_elastic *job, int64_t elapsed_ns)
{
    job->convs_done = 0;
    job->are_tables_current = false; /* they may begin behind the first conv part */
    return ei_elastic_preempted(job, elapsed_ns);
}

EINET_RT int64_t ei_elastic_next_exit_ns(const struct ei_elastic *job)
{
    const int32_t target = target_exit(job);
    if (target == EI_EXIT_NONE) {
        return 0;
    }
    int64_t total_ns = job->config->branch_bound_ns[target];
    for (int32_t i = job->convs_done; i <= target; i++) {
        total_ns += job->config->conv_bound_ns[i];
    }
    return total_ns;
}

EINET_RT int64_t ei_elastic_step_ns(const struct ei_elastic *job, struct ei_step step)
{
    switch (step.kind) {
    case EI_STEP_CONV:
        return job->config->conv_bound_ns[step.idx];
    case EI_STEP_BRANCH:
        return job->config->branch_bound_ns[step.idx];
    case EI_STEP_FINISH:
        return 0;
    }
    return 0;
}
