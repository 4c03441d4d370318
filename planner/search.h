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
    /* A stop lets a running branch finish and publish, as at the block boundaries of a live lane: an answer counts when
     * its branch has begun, so S is taken at t_j - b_j. false: the paper's, an answer counts when it is ready. */
    bool is_branch_atomic;
};

/* Check a problem and name the first wrong field. Returns 0; EINET_E_LIMIT (exits) or EINET_E_USAGE.
 * Not real-time safe when it fails and err is given (formats text). The searches do the same check silently. */
int ei_plan_problem_check(const struct ei_plan_problem *problem, struct einet_error *err);

/* The same check without words. Real-time safe. */
EINET_RT struct ei_fault ei_plan_problem_fault(const struct ei_plan_problem *problem);

/* Bits 0..count-1; count: 0..64. */
static inline uint64_t ei_bits_below(int32_t count)
{
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* The exits of a checked problem that can still be computed. */
static inline uint64_t ei_undecided_mask(const struct ei_plan_problem *problem)
{
    return ei_bits_below(problem->exits) & ~ei_bits_below(problem->first_exit);
}

/* ---- the plan ---- */

struct ei_plan {
    uint64_t mask;              /* bit i: exit i is computed */
    int32_t count;              /* number of bits */
    double expectation;         /* J */
    bool is_exact;              /* no other plan has a greater J */
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
    EI_SEARCH_ALL,        /* every exit */
    EI_SEARCH_STATIC,     /* a share of the exits, evenly spaced: ei_plan_static_mask */
    EI_SEARCH_EXACT,      /* the greatest J; of equal ones, one without useless exits */
    EI_SEARCH_HYBRID,     /* the paper's: all masks of the first `depth` undecided exits, each completed greedily */
    EI_SEARCH_GREEDY,     /* add the exit that raises J most until none does: hybrid with depth 0 */
    EI_SEARCH_RANDOM,     /* the best of `draws` random masks */
    EI_SEARCH_CONFIDENCE, /* dynamic early exit: every exit up to the first whose score is `confidence` or more */
    EI_SEARCH_FIXED,      /* the given exits and no others */
    EI_SEARCH_STATISTICS, /* the exact plan of the expected scores given, to be kept: the stepper never replans it */
    EI_SEARCH_ORACLE      /* knows the stop: exact, for a survival function with a single stop time (begin = end) */
};

#define EI_SEARCH_DEPTH_MAX 12
#define EI_SEARCH_DRAWS_MAX 1000000
#define EI_SEARCH_NAME_MAX 32

struct ei_search {
    enum ei_search_kind kind;
    int32_t share_pct; /* STATIC: 1..100 */
    int32_t depth;     /* HYBRID: 0..EI_SEARCH_DEPTH_MAX */
    int32_t draws;     /* RANDOM: 1..EI_SEARCH_DRAWS_MAX */
    uint64_t seed;     /* RANDOM: the same seed draws the same masks */
    double confidence; /* CONFIDENCE: 0..1 */
    uint64_t exits;    /* FIXED: bit i = exit i; not 0. Of what the network has not, nothing comes */
};

/* The first parameter that is out of range; every kind looks at its own only. Real-time safe. */
EINET_RT struct ei_fault ei_search_fault(struct ei_search search);

/* Read "exact", "hybrid:6", "greedy", "random:1000", "static:50", "confidence:0.9", "fixed:0x29" (exits 0, 3 and 5),
 * "statistics", "all" or "oracle"; "hybrid(6)" means the same as "hybrid:6". seed becomes 1. Cold. Returns 0 or
 * EINET_E_USAGE, listing what there is. */
int ei_search_parse(const char *text, struct ei_search *out, struct einet_error *err);

/* The text that ei_search_parse reads. Returns out. Cold. */
const char *ei_search_name(struct ei_search search, char out[EI_SEARCH_NAME_MAX]);

/* The k = ceil(n * share / 100) exits ceil(n * r / k) - 1, r = 1..k, of exits 0..n-1: evenly spaced, the last included.
 * 0 when exits is outside 1..EI_EXITS_MAX or share_pct outside 1..100. Real-time safe. */
EINET_RT uint64_t ei_plan_static_mask(int32_t exits, int32_t share_pct);

/* One state of the exact search for any survival function: an exit done, at a time, with an expectation. */
struct ei_plan_label {
    double expectation;
    double survival; /* S(t_ns) */
    int64_t t_ns;
    int32_t parent; /* index of the label before, -1 = the start */
    int32_t exit;
};

#define EI_PLAN_LABELS_MAX 4096 /* the most that 4000 random networks of 64 exits needed: 794 */

/* Memory of the exact searches, the caller's (per job thread, allocated before the run); 165 KiB, of which uniform and
 * exponential exit times touch the first 35. The tables of a uniform exit time depend on times and expected scores
 * only, so they outlive changes of elapsed time, held score and forced exit time. */
struct ei_plan_workspace {
    int32_t exits; /* the tables hold exits first..exits-1; exits = 0: nothing yet */
    int32_t first;
    bool is_branch_atomic;
    uint64_t tag; /* the stepper's name for these tables; 0 = not named (elastic_rt.c) */
    /* From exit i, when it counts, to exit j, when that does: ready_ns[j] - leave_ns[i]. */
    double ready_ns[EI_EXITS_MAX];    /* C_j + b_j; C_j when branches are atomic */
    double leave_ns[EI_EXITS_MAX];    /* C_j; C_j - b_j when branches are atomic */
    double conv_end_ns[EI_EXITS_MAX]; /* C_j */
    double score[EI_EXITS_MAX];
    double loss[EI_EXITS_MAX][EI_EXITS_MAX]; /* [i][L] A_{i,L}: least loss (<= 0) from exit i to the last exit L */
    struct ei_plan_label label[EI_PLAN_LABELS_MAX];
};

/* Mark the tables as empty. A zeroed workspace is initialised. */
EINET_RT void ei_plan_workspace_init(struct ei_plan_workspace *ws);

/* Find a plan for the undecided exits. ws may be NULL unless search is EXACT, STATISTICS or ORACLE. *out is untouched
 * on error.
 *
 * EI_SEARCH_EXACT is exact for every kind of survival function: uniform in O(n^3 / 6), exponential in O(n^2), else by
 * label setting, which is exact as long as EI_PLAN_LABELS_MAX labels suffice (out->is_exact says so). An exit that adds
 * nothing (its score is no record, or S is 0 when it is ready) is not in the plan, so the plan can be empty.
 * Returns 0; -EINVAL (the problem or the search fails its check, or ws is missing); -ENOTSUP (ORACLE, and no single
 * stop time). Real-time safe. */
EINET_RT int ei_plan_search(const struct ei_plan_problem *problem, struct ei_search search,
                            struct ei_plan_workspace *ws, struct ei_plan *out);

/* The best plan from another state of the same job: times and expected scores of the undecided exits are those of the
 * last EI_SEARCH_EXACT with ws; position, held score, elapsed time and survival function may be others. With a uniform
 * exit time it reads the tables that the search left behind, O(n^2) at most; otherwise it searches anew. The result is
 * that of a new search.
 * Returns 0; -EINVAL (the check fails, or ws holds no tables for these exits). Real-time safe. */
EINET_RT int ei_plan_resume(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws, struct ei_plan *out);

/* Whether the undecided exits of mask are a best plan already, which takes no search to see: with all that add
 * something computed, the highest score that there is comes for sure (S = 1 until its exit counts), so no plan has
 * more. They are *out then, exact; else *out is untouched. problem: one that passes its check, or fails it by a score
 * that is no number: then it does not hold. O(n). Real-time safe. */
EINET_RT bool ei_plan_holds(const struct ei_plan_problem *problem, uint64_t mask, struct ei_plan *out);

#endif
