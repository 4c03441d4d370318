/* The first values of a parameter that is not taken from a file. Pure; any thread. */
#ifndef MODELS_PARAM_DRAW_H
#define MODELS_PARAM_DRAW_H

#include "rt/random.h"
#include "stages/nn/program.h"

/* Weights of convolutions and linear layers after He et al. 2015 (for what a ReLU follows; the layer that gives the
 * logits is drawn smaller), normalisation as the identity, biases 0. classes tells the logits' layer by its outputs.
 * out: [param->count]. */
void ei_param_draw(const struct ei_param *param, int32_t classes, struct ei_random *rng, float *out);

#endif
