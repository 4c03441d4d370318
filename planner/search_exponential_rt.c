/* The exact search for an exponential exit time, O(n^2). Pure, real-time safe.
 *
 * Stops at a constant rate have no memory, so the best continuation from an exit does not depend on when it was
 * reached: with d_ij = C_j + b_j - C_i,
 *     V_i = s_i + max(0, max_{j > i} (V_j - s_i) * exp(-rate * d_ij))
 * is the expectation from exit i on. exp(-rate * d_ij) is a product of a factor of j and one of i, so 2n exponentials
 * suffice unless their range does not.
 */
#include "planner/search_kinds.h"
#include "planner/vector.h"

#include <math.h>
#include <string.h>

#define RANGE_MAX 600.0 /* of rate * time, so that neither factor over- or underflows */

/* Arrays are read EI_LANES at a time; what lies outside first..exits-1 is 0. Times count from now. */
struct chain {
    int32_t first, exits;
    bool is_factored;
    double rate_per_ns;
    double leave_ns[EI_EXITS_MAX], ready_ns[EI_EXITS_MAX], score[EI_EXITS_MAX];
    double reach[EI_EXITS_MAX];       /* exp(-rate * ready_j), when factored */
    double from_factor[EI_EXITS_MAX]; /* exp(rate * leave_i), when factored; else 1 */
    double value[EI_EXITS_MAX];       /* V_j */
    double offer[EI_EXITS_MAX];       /* best one made so far; work space, meaningless once an exit is passed */
    double best_offer[EI_EXITS_MAX];  /* the maximum of the recurrence, before from_factor */
};

/* (V_j - score) * exp(-rate * d), the exponential without its from_factor when factored. */
static double offer_of(const struct chain *c, int32_t j, double score, double from_ns)
{
    return (c->value[j] - score) * (c->is_factored ? c->reach[j] : exp(-c->rate_per_ns * (c->ready_ns[j] - from_ns)));
}

static double best_offer(const struct chain *c, int32_t from, double score, double from_ns)
{
    double best = 0;
    for (int32_t j = from; j < c->exits; j++) {
        const double offer = offer_of(c, j, score, from_ns);
        best = offer > best ? offer : best;
    }
    return best;
}

/* The first j >= from that makes the best offer; EI_EXIT_NONE when none is above 0. */
static int32_t next_with(const struct chain *c, double best, int32_t from, double score, double from_ns)
{
    for (int32_t j = from; j < c->exits && best > 0; j++) {
        if (offer_of(c, j, score, from_ns) >= best) {
            return j;
        }
    }
    return EI_EXIT_NONE;
}

/* Values and offers from the last exit to the first. Exit j, once its value is known, makes its offer to all exits
 * before it; were each exit to ask all behind it, it would read as vectors what was just written as scalars, which
 * stalls. */
EINET_VECTOR_CLONES static void backward_factored(struct chain *c)
{
    for (int32_t j = 0; j < c->exits; j += EI_LANES) {
        ei_lanes reach = *(const ei_lanes *)&c->ready_ns[j] * -c->rate_per_ns;
        ei_lanes from = *(const ei_lanes *)&c->leave_ns[j] * c->rate_per_ns;
        ei_lanes_exp(&reach);
        ei_lanes_exp(&from);
        *(ei_lanes *)&c->reach[j] = reach;
        *(ei_lanes *)&c->from_factor[j] = from;
    }
    for (int32_t j = c->exits - 1; j >= c->first; j--) {
        const double value = c->score[j] + c->offer[j] * c->from_factor[j];
        const double reach = c->reach[j];
        c->best_offer[j] = c->offer[j];
        c->value[j] = value;
        for (int32_t i = (j - 1) / EI_LANES * EI_LANES; i >= 0 && j > 0; i -= EI_LANES) {
            const ei_lanes offer = (value - *(const ei_lanes *)&c->score[i]) * reach;
            ei_lanes_max((ei_lanes *)&c->offer[i], &offer);
        }
    }
}

/* The same where rate * time is out of range for the factors. */
static void backward_direct(struct chain *c)
{
    for (int32_t i = c->exits - 1; i >= c->first; i--) {
        c->from_factor[i] = 1;
        c->best_offer[i] = best_offer(c, i + 1, c->score[i], c->leave_ns[i]);
        c->value[i] = c->score[i] + c->best_offer[i];
    }
}

static void chain_init(struct chain *c, const struct ei_plan_problem *problem)
{
    struct ei_plan_course course;
    ei_plan_course_init(&course, problem);
    memset(c, 0, sizeof *c);
    c->first = problem->first_exit;
    c->exits = problem->exits;
    c->rate_per_ns = problem->survival.u.exponential.rate_per_s * 1e-9;
    double longest_ns = 0;
    for (int32_t j = c->first; j < c->exits; j++) {
        c->leave_ns[j] = (double)course.leave_ns[j];
        c->ready_ns[j] = (double)course.ready_ns[j];
        c->score[j] = (double)problem->score[j];
        longest_ns = fmax(longest_ns, fmax(c->ready_ns[j], -c->leave_ns[j]));
    }
    c->is_factored = c->rate_per_ns * longest_ns <= RANGE_MAX;
}

EINET_RT uint64_t ei_plan_exponential_best(const struct ei_plan_problem *problem)
{
    struct chain c;
    chain_init(&c, problem);
    if (c.is_factored) {
        backward_factored(&c);
    } else {
        backward_direct(&c);
    }
    uint64_t mask = 0;
    int32_t at = next_with(&c, best_offer(&c, c.first, problem->held_score, 0), c.first, problem->held_score, 0);
    while (at != EI_EXIT_NONE) {
        mask |= UINT64_C(1) << at;
        at = next_with(&c, c.best_offer[at], at + 1, c.score[at], c.leave_ns[at]);
    }
    return mask;
}
