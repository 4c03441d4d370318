/* The predictor's network in double precision: squared error of one example and its gradient by back-propagation. Pure.
 */
#include "models/predictor_parts.h"

#include <math.h>
#include <string.h>

struct ei_predictor_shape ei_predictor_shape_of(int32_t exits, int32_t hidden)
{
    const size_t n = (size_t)exits, h = (size_t)hidden;
    return (struct ei_predictor_shape){n, h, 2 * n * h + h + n};
}

struct pass {
    double hidden[EI_PREDICTOR_HIDDEN_MAX], output[EI_EXITS_MAX];
};

static void forward(const struct ei_predictor_shape *shape, const double *weight, const float *score, uint64_t mask,
                    struct pass *pass)
{
    const size_t n = shape->exits, h = shape->hidden;
    const double *w1 = weight, *b1 = w1 + n * h, *w2 = b1 + h, *b2 = w2 + n * h;
    memcpy(pass->hidden, b1, h * sizeof *b1);
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        const size_t e = (size_t)__builtin_ctzll(rest);
        for (size_t k = 0; k < h; k++) {
            pass->hidden[k] += w1[e * h + k] * (double)score[e];
        }
    }
    memcpy(pass->output, b2, n * sizeof *b2);
    for (size_t k = 0; k < h; k++) {
        pass->hidden[k] = pass->hidden[k] > 0 ? pass->hidden[k] : 0;
        for (size_t e = 0; pass->hidden[k] > 0 && e < n; e++) {
            pass->output[e] += w2[k * n + e] * pass->hidden[k];
        }
    }
    for (size_t e = 0; e < n; e++) {
        pass->output[e] = 1 / (1 + exp(-pass->output[e]));
    }
}

double ei_predictor_example(const struct ei_predictor_shape *shape, const double *weight, const float *score,
                            const float *target, uint64_t mask, double *gradient)
{
    const size_t n = shape->exits, h = shape->hidden;
    const size_t from = (size_t)ei_predictor_first_left(mask);
    const double share = 1 / (double)(n - from);
    struct pass pass;
    forward(shape, weight, score, mask, &pass);
    double error = 0, out_delta[EI_EXITS_MAX];
    for (size_t e = from; e < n; e++) {
        const double difference = pass.output[e] - (double)target[e];
        error += difference * difference * share;
        out_delta[e] = 2 * difference * share * pass.output[e] * (1 - pass.output[e]);
    }
    if (gradient == NULL) {
        return error;
    }
    const double *w2 = weight + n * h + h;
    double *g1 = gradient, *gb1 = g1 + n * h, *g2 = gb1 + h, *gb2 = g2 + n * h;
    for (size_t e = from; e < n; e++) {
        gb2[e] += out_delta[e];
    }
    for (size_t k = 0; k < h; k++) {
        if (pass.hidden[k] <= 0) {
            continue;
        }
        double delta = 0;
        for (size_t e = from; e < n; e++) {
            g2[k * n + e] += out_delta[e] * pass.hidden[k];
            delta += out_delta[e] * w2[k * n + e];
        }
        gb1[k] += delta;
        for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
            const size_t e = (size_t)__builtin_ctzll(rest);
            g1[e * h + k] += delta * (double)score[e];
        }
    }
    return error;
}
