/* Inference of the CS-predictor. Pure, real-time safe. The order of all sums is fixed, so that every vector width gives
 * the same bits. A guess reads the weights of the exits that were run and of those still open, and no others: in the
 * middle of a job they come from far away, and waiting for them takes longer than computing.
 */
#include "planner/predictor.h"

#include "planner/vector.h"

#include <math.h>
#include <string.h>

#define X_MAX (EI_EXITS_MAX + EI_LANES_F) /* one value more than exits, in whole lanes */

EINET_RT float ei_predictor_score(const struct ei_predictor *predictor, int32_t exit_idx, float confidence)
{
    const float temperature = predictor->temperature[exit_idx];
    if (temperature == 1.0F || confidence <= 0 || confidence >= 1) {
        return confidence;
    }
    const double logit = log((double)confidence / (1 - (double)confidence));
    return (float)(1 / (1 + exp(-logit / (double)temperature)));
}

EI_INLINE float at_least(float value, float least)
{
    return value > least ? value : least;
}

/* Fill x, 0 for exits not run, and return the logit of the score of the last one run. out_x: [X_MAX]. */
EI_INLINE float inputs(const struct ei_predictor *p, const float *score, uint64_t run_mask, float *out_x)
{
    const int32_t last = 63 - __builtin_clzll(run_mask);
    for (int32_t i = 0; i < X_MAX; i++) {
        out_x[i] = 1;
    }
    for (uint64_t rest = run_mask; rest != 0; rest &= rest - 1) {
        const int32_t i = __builtin_ctzll(rest);
        out_x[i] = at_least(1 - score[i], EI_PREDICTOR_CHANCE_MIN);
    }
    out_x[p->exits] = at_least(score[last], EI_PREDICTOR_CHANCE_MIN);
    for (int32_t k = 0; k <= p->exits; k += EI_LANES_F) {
        ei_lanes_log((ei_lanes_f *)&out_x[k]);
    }
    const float logit = out_x[p->exits] - out_x[last];
    for (int32_t k = 0; k < p->exits; k += EI_LANES_F) {
        *(ei_lanes_f *)&out_x[k] *= -0.25F;
    }
    return logit;
}

/* relu(W1 x + b1) over the exits that were run. */
EI_INLINE void hidden_layer(const struct ei_predictor *p, const float *x, uint64_t run_mask, float *out_hidden)
{
    for (int32_t h = 0; h < p->hidden; h += EI_LANES_F) {
        ei_lanes_f sum = *(const ei_lanes_f *)&p->b1[h];
        for (uint64_t rest = run_mask; rest != 0; rest &= rest - 1) {
            const int32_t i = __builtin_ctzll(rest);
            sum += *(const ei_lanes_f *)&p->w1[i][h] * x[i];
        }
        const ei_lane_mask_f positive = sum > 0.0F;
        *(ei_lanes_f *)&out_hidden[h] = (ei_lanes_f)((ei_lane_mask_f)sum & positive);
    }
}

/* Of the lanes, pairwise. */
EI_INLINE float sum_of(const ei_lanes_f *lanes)
{
    float part[EI_LANES_F];
    *(ei_lanes_f *)part = *lanes;
    for (int32_t width = EI_LANES_F / 2; width > 0; width /= 2) {
        for (int32_t i = 0; i < width; i++) {
            part[i] += part[i + width];
        }
    }
    return part[0];
}

/* (W2 hidden)_k. */
EI_INLINE float correction(const struct ei_predictor *p, const float *hidden, int32_t k)
{
    ei_lanes_f sum = {0};
    for (int32_t h = 0; h < p->hidden; h += EI_LANES_F) {
        sum += *(const ei_lanes_f *)&p->w2[k][h] * *(const ei_lanes_f *)&hidden[h];
    }
    return sum_of(&sum);
}

/* The guesses of the exits from first_exit on. */
EINET_VECTOR_CLONES static void infer(const struct ei_predictor *p, const float *score, uint64_t run_mask,
                                      int32_t first_exit, float *out_score)
{
    float x[X_MAX], hidden[EI_PREDICTOR_HIDDEN_MAX], outputs[EI_EXITS_MAX] = {0};
    const float logit = inputs(p, score, run_mask, x);
    const float *slope = p->slope[63 - __builtin_clzll(run_mask)], *offset = p->offset[63 - __builtin_clzll(run_mask)];
    hidden_layer(p, x, run_mask, hidden);
    for (int32_t k = first_exit; k < p->exits; k++) {
        outputs[k] = correction(p, hidden, k);
    }
    for (int32_t k = first_exit / EI_LANES_F * EI_LANES_F; k < p->exits; k += EI_LANES_F) {
        ei_lanes_f sum = *(const ei_lanes_f *)&outputs[k] + *(const ei_lanes_f *)&p->b2[k];
        sum += *(const ei_lanes_f *)&slope[k] * logit + *(const ei_lanes_f *)&offset[k];
        ei_lanes_sigmoid(&sum);
        *(ei_lanes_f *)&outputs[k] = sum;
    }
    for (int32_t k = first_exit; k < p->exits; k++) {
        out_score[k] = (run_mask >> k & 1U) != 0 ? score[k] : outputs[k];
    }
}

EINET_RT void ei_predictor_predict(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                                   int32_t first_exit, float *out_score)
{
    const struct ei_predictor *p = predictor;
    if (run_mask == 0) {
        memcpy(out_score + first_exit, p->mean_score + first_exit, (size_t)(exits - first_exit) * sizeof *out_score);
        return;
    }
    infer(p, score, run_mask, first_exit, out_score);
}
