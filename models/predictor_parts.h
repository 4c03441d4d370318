/* Shared by predictor_*.c: the parts of a profile's samples, which exits an example has run, and the network in double
 * precision. Pure.
 */
#ifndef MODELS_PREDICTOR_PARTS_H
#define MODELS_PREDICTOR_PARTS_H

#include "models/predictor_train.h"

#include "rt/random.h"

#include <stddef.h>

/* Whether the exit's answer for the sample is right. */
bool ei_predictor_is_correct(const struct ei_cs_profile *profile, int32_t sample, int32_t exit_idx);

/* Which exits were run: at least one, and at least one exit is left behind the last. exits >= 2. */
uint64_t ei_predictor_draw_pattern(struct ei_random *rng, int32_t exits, enum ei_predictor_examples examples);

/* The exit behind the last one run; mask is not 0. */
static inline int32_t ei_predictor_first_left(uint64_t mask)
{
    return 64 - __builtin_clzll(mask);
}

/* All weights stand in one vector: w1 [exit][hidden], b1, w2 [hidden][exit], b2. */
struct ei_predictor_shape {
    size_t exits, hidden, count;
};

struct ei_predictor_shape ei_predictor_shape_of(int32_t exits, int32_t hidden);

/* Mean squared error on the exits behind the last one run; adds its gradient unless gradient is NULL. score, target:
 * [exits]; weight, gradient: [count]. */
double ei_predictor_example(const struct ei_predictor_shape *shape, const double *weight, const float *score,
                            const float *target, uint64_t mask, double *gradient);

#endif
