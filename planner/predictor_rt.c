/* Inference of the CS-predictor. Pure, real-time safe. Each output lane has sums of its own, whose order is fixed, so
 * that every vector width gives the same bits.
 */
#include "planner/predictor.h"

#include "planner/vector.h"

#include <math.h>
#include <string.h>

EINET_RT float ei_predictor_score(const struct ei_predictor *predictor, int32_t exit_idx, float confidence)
{
    const float temperature = predictor->temperature[exit_idx];
    if (temperature == 1.0F || confidence <= 0 || confidence >= 1) {
        return confidence;
    }
    const double logit = log((double)confidence / (1 - (double)confidence));
    return (float)(1 / (1 + exp(-logit / (double)temperature)));
}

/* relu(W1 x + b1) over the exits that were run. */
EI_INLINE void hidden_layer(const struct ei_predictor *p, const float *score, uint64_t run_mask, float *out_hidden)
{
    for (int32_t h = 0; h < p->hidden; h += EI_LANES_F) {
        ei_lanes_f sum = *(const ei_lanes_f *)&p->b1[h];
        for (uint64_t rest = run_mask; rest != 0; rest &= rest - 1) {
            const int32_t i = __builtin_ctzll(rest);
            sum += *(const ei_lanes_f *)&p->w1[i][h] * score[i];
        }
        const ei_lane_mask_f positive = sum > 0.0F;
        *(ei_lanes_f *)&out_hidden[h] = (ei_lanes_f)((ei_lane_mask_f)sum & positive);
    }
}

/* sigmoid(W2 h + b2) for the exits from first_exit on. */
EINET_VECTOR_CLONES static void infer(const struct ei_predictor *p, const float *score, uint64_t run_mask,
                                      int32_t first_exit, float *out_score)
{
    float hidden[EI_PREDICTOR_HIDDEN_MAX], outputs[EI_EXITS_MAX];
    hidden_layer(p, score, run_mask, hidden);
    for (int32_t k = first_exit / EI_LANES_F * EI_LANES_F; k < p->exits; k += EI_LANES_F) {
        /* Four partial sums: one alone would wait for each addition to end before the next. hidden is a multiple of 16.
         */
        ei_lanes_f sum = *(const ei_lanes_f *)&p->b2[k], sum1 = {0}, sum2 = {0}, sum3 = {0};
        for (int32_t h = 0; h < p->hidden; h += 4) {
            sum += *(const ei_lanes_f *)&p->w2[h][k] * hidden[h];
            sum1 += *(const ei_lanes_f *)&p->w2[h + 1][k] * hidden[h + 1];
            sum2 += *(const ei_lanes_f *)&p->w2[h + 2][k] * hidden[h + 2];
            sum3 += *(const ei_lanes_f *)&p->w2[h + 3][k] * hidden[h + 3];
        }
        sum = (sum + sum1) + (sum2 + sum3);
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
