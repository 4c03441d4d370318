/* The predictor's network in double precision: relative entropy of one example and its gradient by back-propagation.
 * Pure. The formula: planner/predictor.h.
 */
#include "models/predictor_parts.h"

#include <math.h>
#include <string.h>

struct ei_predictor_shape ei_predictor_shape_of(int32_t exits, int32_t hidden)
{
    const size_t n = (size_t)exits, h = (size_t)hidden, pairs = 2 * n * h + h + n;
    return (struct ei_predictor_shape){n, h, pairs, pairs + 2 * n * n};
}

struct pass {
    double x[EI_EXITS_MAX], logit; /* inputs; logit of the last score */
    double hidden[EI_PREDICTOR_HIDDEN_MAX], output[EI_EXITS_MAX];
};

/* ln(chance), of EI_PREDICTOR_CHANCE_MIN at least. */
static double bounded_log(double chance)
{
    return log(fmax(chance, (double)EI_PREDICTOR_CHANCE_MIN));
}

static void fill_inputs(const float *score, uint64_t mask, struct pass *pass)
{
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        const size_t e = (size_t)__builtin_ctzll(rest);
        pass->x[e] = -bounded_log(1 - (double)score[e]) / 4;
    }
    const double last = (double)score[63 - __builtin_clzll(mask)];
    pass->logit = bounded_log(last) - bounded_log(1 - last);
}

static void forward(const struct ei_predictor_shape *shape, const double *weight, const float *score, uint64_t mask,
                    struct pass *pass)
{
    const size_t n = shape->exits, h = shape->hidden;
    const double *w1 = weight, *b1 = w1 + n * h, *w2 = b1 + h, *b2 = w2 + n * h;
    const double *slope = weight + shape->pairs + (63 - (size_t)__builtin_clzll(mask)) * n, *offset = slope + n * n;
    fill_inputs(score, mask, pass);
    memcpy(pass->hidden, b1, h * sizeof *b1);
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        const size_t e = (size_t)__builtin_ctzll(rest);
        for (size_t k = 0; k < h; k++) {
            pass->hidden[k] += w1[e * h + k] * pass->x[e];
        }
    }
    for (size_t e = 0; e < n; e++) {
        pass->output[e] = b2[e] + slope[e] * pass->logit + offset[e];
    }
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

/* What a guess loses to the truth, in nats: t ln(t / y) + (1 - t) ln((1 - t) / (1 - y)). */
static double relative_entropy(double truth, double guess)
{
    const double tiny = 1e-12, right = guess > tiny ? guess : tiny, wrong = 1 - guess > tiny ? 1 - guess : tiny;
    return (truth > 0 ? truth * log(truth / right) : 0) + (truth < 1 ? (1 - truth) * log((1 - truth) / wrong) : 0);
}

/* out_delta: [exits], of the outputs before their sigmoid. */
static void add_gradient(const struct ei_predictor_shape *shape, const double *weight, const struct pass *pass,
                         uint64_t mask, const double *out_delta, double *gradient)
{
    const size_t n = shape->exits, h = shape->hidden, from = (size_t)ei_predictor_first_left(mask);
    const double *w2 = weight + n * h + h;
    double *g1 = gradient, *gb1 = g1 + n * h, *g2 = gb1 + h, *gb2 = g2 + n * h;
    double *slope = gradient + shape->pairs + (from - 1) * n, *offset = slope + n * n;
    for (size_t e = from; e < n; e++) {
        gb2[e] += out_delta[e];
        slope[e] += out_delta[e] * pass->logit;
        offset[e] += out_delta[e];
    }
    for (size_t k = 0; k < h; k++) {
        if (pass->hidden[k] <= 0) {
            continue;
        }
        double delta = 0;
        for (size_t e = from; e < n; e++) {
            g2[k * n + e] += out_delta[e] * pass->hidden[k];
            delta += out_delta[e] * w2[k * n + e];
        }
        gb1[k] += delta;
        for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
            const size_t e = (size_t)__builtin_ctzll(rest);
            g1[e * h + k] += delta * pass->x[e];
        }
    }
}

double ei_predictor_example(const struct ei_predictor_shape *shape, const double *weight, const float *score,
                            const float *target, uint64_t mask, double *gradient)
{
    const size_t n = shape->exits, from = (size_t)ei_predictor_first_left(mask);
    const double share = 1 / (double)(n - from);
    struct pass pass;
    forward(shape, weight, score, mask, &pass);
    double error = 0, out_delta[EI_EXITS_MAX];
    for (size_t e = from; e < n; e++) {
        error += share * relative_entropy((double)target[e], pass.output[e]);
        out_delta[e] = share * (pass.output[e] - (double)target[e]);
    }
    if (gradient != NULL) {
        add_gradient(shape, weight, &pass, mask, out_delta, gradient);
    }
    return error;
}
