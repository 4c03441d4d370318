/* Random plan problems of every shape that matters, and the truth about them from first principles: survival functions
 * and best plans computed apart from planner/.
 */
#ifndef TESTS_PLANNER_RANDOM_PROBLEM_H
#define TESTS_PLANNER_RANDOM_PROBLEM_H

#include "planner/search.h"
#include "rt/random.h"

enum family { UNIFORM, EXPONENTIAL, KNOTS, STEPS, PRODUCT, FAMILIES };

/* One random problem with its arrays; not to be copied, since problem points into it. */
struct instance {
    struct ei_plan_problem problem;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];
    float score[EI_EXITS_MAX];
    int64_t total_ns;
    struct ei_survival_table table[2];
    struct ei_survival factor[3];
};

/* n exits; times zero, tied or spread over scales; scores rising, falling, equal or any; horizons shorter and longer
 * than the network. is_fresh: a job that has not begun, else one anywhere on its way. */
void instance_draw(struct ei_random *rng, int32_t n, bool is_fresh, enum family family, struct instance *out);

/* Another position, or another exit time, for the same network. */
void instance_draw_position(struct ei_random *rng, struct instance *in);
void instance_draw_survival(struct ei_random *rng, enum family family, struct instance *in);

/* P(T >= t). */
double oracle_survival(const struct ei_survival *s, int64_t t_ns);

/* J of a plan; greatest J of all 2^n plans. */
double oracle_expectation(const struct ei_plan_problem *p, const struct ei_plan *plan);
double oracle_best(const struct ei_plan_problem *p);

#endif
