/* Searches that are not exact: the paper's hybrid with its greedy completion, random masks, early exit by confidence.
 * Pure, real-time safe; their time grows with their parameter.
 */
#include "planner/search_kinds.h"

#include "rt/random.h"

/* J of a mask on a prepared course. */
static double expectation(const struct ei_plan_problem *problem, const struct ei_plan_course *course, uint64_t mask)
{
    double held = problem->held_score, sum = problem->held_score;
    int64_t branches_ns = problem->elapsed_ns; /* of the exits before */
    for (; mask != 0; mask &= mask - 1) {
        const int32_t i = __builtin_ctzll(mask);
        const double score = (double)problem->score[i];
        sum += (score - held) * ei_survival_at(&problem->survival, course->ready_ns[i] + branches_ns);
        branches_ns += problem->branch_ns[i];
        held = score;
    }
    return sum;
}

/* Add, of the exits in `open`, the one that raises J most, until none does. Returns the mask; *value becomes its J. */
static uint64_t complete_greedily(const struct ei_plan_problem *problem, const struct ei_plan_course *course,
                                  uint64_t mask, uint64_t open, double *value)
{
    for (;;) {
        uint64_t best = 0;
        for (uint64_t rest = open; rest != 0; rest &= rest - 1) {
            const uint64_t bit = rest & -rest;
            const double with = expectation(problem, course, mask | bit);
            if (with > *value) {
                *value = with;
                best = bit;
            }
        }
        if (best == 0) {
            return mask;
        }
        mask |= best;
        open &= ~best;
    }
}

EINET_RT uint64_t ei_plan_hybrid_best(const struct ei_plan_problem *problem, int32_t depth)
{
    struct ei_plan_course course;
    ei_plan_course_init(&course, problem);
    const int32_t undecided = problem->exits - problem->first_exit;
    const int32_t enumerated = depth < undecided ? depth : undecided;
    const uint64_t open = ei_undecided_mask(problem) & ~ei_bits_below(problem->first_exit + enumerated);
    uint64_t best_mask = 0;
    double best = problem->held_score;
    for (uint64_t prefix = 0; prefix < UINT64_C(1) << enumerated; prefix++) {
        const uint64_t start = enumerated > 0 ? prefix << problem->first_exit : 0;
        double value = expectation(problem, &course, start);
        const uint64_t mask = complete_greedily(problem, &course, start, open, &value);
        if (value > best) {
            best = value;
            best_mask = mask;
        }
    }
    return best_mask;
}

EINET_RT uint64_t ei_plan_random_best(const struct ei_plan_problem *problem, int32_t draws, uint64_t seed)
{
    struct ei_plan_course course;
    ei_plan_course_init(&course, problem);
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    const uint64_t open = ei_undecided_mask(problem);
    uint64_t best_mask = 0;
    double best = problem->held_score;
    for (int32_t i = 0; i < draws; i++) {
        const uint64_t mask = ei_random_u64(&rng) & open;
        const double value = expectation(problem, &course, mask);
        if (value > best) {
            best = value;
            best_mask = mask;
        }
    }
    return best_mask;
}

/* An answer that was published and is confident enough ends the job; before any, held_score is the value of no output,
 * which is below every confidence asked for unless the caller says otherwise. */
EINET_RT uint64_t ei_plan_confidence_mask(const struct ei_plan_problem *problem, double confidence)
{
    const bool has_answer = problem->first_exit > 0 && problem->convs_done > 0;
    if (has_answer && problem->held_score >= confidence) {
        return 0;
    }
    uint64_t mask = 0;
    for (int32_t i = problem->first_exit; i < problem->exits; i++) {
        mask |= UINT64_C(1) << i;
        if ((double)problem->score[i] >= confidence) {
            break;
        }
    }
    return mask;
}
