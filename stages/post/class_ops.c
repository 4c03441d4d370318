/* Softmax, argmax and top-k on a few hundred logits. See class_ops.h for NaN and ties. */
#include "stages/post/class_ops.h"
#include <math.h>
#include <stddef.h>

static float defined(float v)
{
    return isnan(v) ? -INFINITY : v;
}

static float largest(const float *values, int32_t count)
{
    float best = -INFINITY;
    for (int32_t i = 0; i < count; i++) {
        best = values[i] > best ? values[i] : best; /* false for NaN */
    }
    return best;
}

/* exp(v - top) with v <= top, also where the difference of two infinities would be NaN. */
static float weight(float v, float top)
{
    if (isinf(top)) {
        return defined(v) == top ? 1.0F : 0.0F;
    }
    return expf(defined(v) - top);
}

EINET_RT int32_t ei_class_argmax(const float *logits, int32_t count)
{
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++) {
        best = defined(logits[i]) > defined(logits[best]) ? i : best;
    }
    return best;
}

/* The common denominator; summed in double so that many classes lose nothing. */
static double weight_sum(const float *logits, int32_t count, float top)
{
    double sum = 0.0;
    for (int32_t i = 0; i < count; i++) {
        sum += (double)weight(logits[i], top);
    }
    return sum;
}

EINET_RT void ei_class_softmax(const float *logits, int32_t count, float *out_p)
{
    const float top = largest(logits, count);
    const double sum = weight_sum(logits, count, top);
    for (int32_t i = 0; i < count; i++) {
        out_p[i] = (float)((double)weight(logits[i], top) / sum);
    }
}

EINET_RT int32_t ei_class_top_k(const float *values, int32_t count, int32_t k, int32_t *out_class, float *out_value)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        const float v = defined(values[i]);
        if (kept == k && (k == 0 || v <= defined(values[out_class[k - 1]]))) {
            continue;
        }
        int32_t at = kept < k ? kept++ : k - 1;
        for (; at > 0 && defined(values[out_class[at - 1]]) < v; at--) { /* strictly less: ties stay in class order */
            out_class[at] = out_class[at - 1];
        }
        out_class[at] = i;
    }
    for (int32_t i = 0; out_value && i < kept; i++) {
        out_value[i] = defined(values[out_class[i]]);
    }
    return kept;
}

EINET_RT int32_t ei_class_top_softmax(const float *logits, int32_t count, int32_t k, int32_t *out_class, float *out_p)
{
    const float top = largest(logits, count);
    const double sum = weight_sum(logits, count, top);
    const int32_t kept = ei_class_top_k(logits, count, k, out_class, NULL);
    for (int32_t i = 0; i < kept; i++) {
        out_p[i] = (float)((double)weight(logits[out_class[i]], top) / sum);
    }
    return kept;
}
