/* A predictor with weights of any sign, exact in float, drawn without libm. */
#ifndef TESTS_PLANNER_SAMPLE_PREDICTOR_H
#define TESTS_PLANNER_SAMPLE_PREDICTOR_H

#include "planner/predictor.h"
#include "rt/random.h"

#include <string.h>

/* -range..range in steps of range / 512. */
static inline float sample_weight(struct ei_random *rng, float range)
{
    return ((float)ei_random_below(rng, 1025) - 512) / 512 * range;
}

static inline struct ei_predictor sample_predictor(struct ei_random *rng, int32_t exits, int32_t hidden)
{
    struct ei_predictor p = {.exits = exits, .hidden = hidden, .split_seed = 7};
    strcpy(p.network, "b-alexnet");
    strcpy(p.dataset, "cifar10");
    memset(p.weights_sha256, 'a', 64);
    for (int32_t i = 0; i < exits; i++) {
        p.mean_score[i] = 0.5F + (float)i / 256;
        p.temperature[i] = 1 + (float)(i % 3) / 4;
        p.b2[i] = sample_weight(rng, 1);
        for (int32_t h = 0; h < hidden; h++) {
            p.w1[i][h] = sample_weight(rng, 1);
            p.w2[i][h] = sample_weight(rng, 0.5F);
        }
        for (int32_t later = i + 1; later < exits; later++) {
            p.slope[i][later] = sample_weight(rng, 2);
            p.offset[i][later] = sample_weight(rng, 1);
        }
    }
    for (int32_t h = 0; h < hidden; h++) {
        p.b1[h] = sample_weight(rng, 0.5F);
    }
    return p;
}

#endif
