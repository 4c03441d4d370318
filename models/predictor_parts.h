/* Shared by predictor_*.c: the parts of a profile's samples, which exits an example has run, and the network in double
 * precision. Pure.
 */
#ifndef MODELS_PREDICTOR_PARTS_H
#define MODELS_PREDICTOR_PARTS_H

#include "models/predictor_train.h"

#include "planner/search.h"
#include "rt/random.h"

#include <stddef.h>

/* Whether the exit's answer for the sample is right. */
bool ei_predictor_is_correct(const struct ei_cs_profile *profile, int32_t sample, int32_t exit_idx);

/* First exits of plans for drawn block times. */
#define EI_PREDICTOR_PLANS 1024

struct ei_predictor_patterns {
    enum ei_predictor_examples examples;
    int32_t exits;                     /* >= 2 */
    uint64_t plan[EI_PREDICTOR_PLANS]; /* with EI_PREDICTOR_PLANNED; exits that plans hold, the last one left out */
};

/* Fill out. With EI_PREDICTOR_PLANNED: exact plans of mean_score ([exits]) for a uniform exit time, each for block
 * times of its own: conv parts within a factor of 3, branches of 0.1 to 2 times that. ws: lent. */
void ei_predictor_patterns_init(struct ei_predictor_patterns *out, enum ei_predictor_examples examples, int32_t exits,
                                const float *mean_score, uint64_t seed, struct ei_plan_workspace *ws);

/* Which exits were run: at least one, and at least one exit is left behind the last. */
uint64_t ei_predictor_draw_pattern(struct ei_random *rng, const struct ei_predictor_patterns *patterns);

/* The exit behind the last one run; mask is not 0. */
static inline int32_t ei_predictor_first_left(uint64_t mask)
{
    return 64 - __builtin_clzll(mask);
}

/* All weights stand in one vector: w1 [exit][hidden], b1, w2 [hidden][exit], b2; from index pairs on slope and offset,
 * [last run][later]. */
struct ei_predictor_shape {
    size_t exits, hidden, pairs, count;
};

struct ei_predictor_shape ei_predictor_shape_of(int32_t exits, int32_t hidden);

/* Mean relative entropy (in nats, 0 = perfect) on the exits behind the last one run; adds its gradient unless gradient
 * is NULL. score, target: [exits]; weight, gradient: [count]. */
double ei_predictor_example(const struct ei_predictor_shape *shape, const double *weight, const float *score,
                            const float *target, uint64_t mask, double *gradient);

#endif
