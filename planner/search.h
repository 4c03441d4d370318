/* Which exits to compute: plans, their accuracy expectation, and the searches for a good one.
 *
 * Exit j of a plan i_1 < .. < i_k is available at t_j = now + remaining conv times up to it + branch times of the plan
 * up to and including it. With S(t) = P(the forced stop comes at t or later) the accuracy expectation (EINet, ICDCS
 * 2023, section on elastic inference) is
 *
 *     J = s_held + sum_j (s_{i_j} - s_{i_{j-1}}) * S(t_j),      s_{i_0} = s_held
 *
 * where the answer published last is the one delivered. Pure functions: no clock, no allocation, no thread; the
 * caller's workspace is theirs alone during a call.
 */
#ifndef PLANNER_SEARCH_H
#define PLANNER_SEARCH_H

#include "planner/profile.h"
#include "planner/survival.h"

/* ---- the problem ---- */

/* Where a job stands and what is expected of its network. Arrays are borrowed for the call. For a job that has not
 * begun: convs_done = first_exit = 0, elapsed_ns = 0, held_score = the value of "no output" (0 by default).
 * After branch i: convs_done = first_exit = i + 1, held_score = s_i. After conv part k, its branch undecided:
 * convs_done = k + 1, first_exit = k. While conv part k runs, its time counts in full: convs_done = k, first_exit = k.
 */
struct ei_plan_problem {
    int32_t exits;            /* n, 1..EI_EXITS_MAX */
    const int64_t *conv_ns;   /* [exits], each 0..EI_PROFILE_TIME_NS_MAX */
    const int64_t *branch_ns; /* [exits], likewise; replanning and publishing time are part of it */
    const float *score;       /* [exits], expected confidence, finite; those below first_exit are not looked at */
    struct ei_survival survival;
    int32_t convs_done; /* conv parts computed, 0..exits */
    int32_t first_exit; /* first undecided exit, 0..exits; >= convs_done - 1 */
    int64_t elapsed_ns; /* now on the survival function's clock, 0..INT64_MAX / 4 */
    double held_score;  /* score of the answer published last, or the value of "no output" */
};

/* Check a problem and name the first wrong field. Returns 0; EINET_E_LIMIT (exits) or EINET_E_USAGE.
 * Not real-time safe when it fails and err is given (formats text). The searches do the same check silently. */
int ei_plan_problem_check(const struct ei_plan_problem *problem, struct einet_error *err);

/* ---- the plan ---- */

struct ei_plan {
    uint64_t mask;              /* bit i: exit i is computed */
    int32_t count;              /* number of bits */
    double expectation;         /* J */
    int8_t exits[EI_EXITS_MAX]; /* the exits in order; [0..count) */
};

/* Last exit of the plan, EI_EXIT_NONE when it is empty. */
static inline int32_t ei_plan_last_exit(const struct ei_plan *plan)
{
    return plan->count > 0 ? plan->exits[plan->count - 1] : EI_EXIT_NONE;
}

/* J of any mask, straight from the definition and independent of the searches; bits below first_exit and from exits on
 * are ignored. The problem must pass its check. Real-time safe. */
EINET_RT double ei_plan_expectation(const struct ei_plan_problem *problem, uint64_t mask);

/* ---- the searches ---- */

enum ei_search_kind {
    EI_SEARCH_ALL,    /* every exit */
    EI_SEARCH_STATIC, /* a share of the exits, evenly spaced: ei_plan_static_mask */
    EI_SEARCH_EXACT   /* the greatest J; of equal ones, one without useless exits */
};

struct ei_search {
    enum ei_search_kind kind;
    int32_t share_pct; /* EI_SEARCH_STATIC: 1..100; otherwise unused */
};

/* The k = ceil(n * share / 100) exits ceil(n * r / k) - 1, r = 1..k, of exits 0..n-1: evenly spaced, the last included.
 * 0 when exits is outside 1..EI_EXITS_MAX or share_pct outside 1..100. Real-time safe. */
EINET_RT uint64_t ei_plan_static_mask(int32_t exits, int32_t share_pct);

/* Tables of the exact search; 35 KiB, the caller's (per job thread, allocated before the run). They depend on times
 * and expected scores only, so they outlive changes of elapsed time, held score and forced exit time. */
struct ei_plan_workspace {
    int32_t exits; /* the tables hold exits first..exits-1; exits = 0: nothing yet */
    int32_t first;
    double ready_ns[EI_EXITS_MAX];    /* C_j + b_j: end of branch j when no earlier branch is computed */
    double conv_end_ns[EI_EXITS_MAX]; /* C_j */
    double score[EI_EXITS_MAX];
    double loss[EI_EXITS_MAX][EI_EXITS_MAX]; /* [i][L] A_{i,L}: least loss (<= 0) from exit i to the last exit L */
};

/* Mark the tables as empty. A zeroed workspace is initialised. */
EINET_RT void ei_plan_workspace_init(struct ei_plan_workspace *ws);

/* Find a plan for the undecided exits. ws may be NULL unless search is EI_SEARCH_EXACT. *out is untouched on error.
 *
 * EI_SEARCH_EXACT is exact for a uniform exit time with any begin and end; O(n^3 / 6). An exit that adds nothing (its
 * score is no record, or S is 0 when it is ready) is not in the plan, so the plan can be empty.
 * Returns 0; -EINVAL (the problem or the search fails its check, or ws is missing); -ENOTSUP (no such search for this
 * kind of survival function). Real-time safe. */
EINET_RT int ei_plan_search(const struct ei_plan_problem *problem, struct ei_search search,
                            struct ei_plan_workspace *ws, struct ei_plan *out);

/* The best plan from another state of the same job: times and expected scores of the undecided exits are those of the
 * last EI_SEARCH_EXACT with ws; position, held score, elapsed time and survival function may be others. A look-up in
 * the policy that the search left behind, O(n^2) at most, with the result of a new search.
 * Returns 0; -EINVAL (the check fails, or ws holds no tables for these exits); -ENOTSUP. Real-time safe. */
EINET_RT int ei_plan_resume(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws,
                            struct ei_plan *out);

#endif
