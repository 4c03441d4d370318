/* From a classifier's logits to an answer: softmax, argmax, top-k. No allocation, bounded by the number of classes.
 *
 * NaN logits count as minus infinity, so that a broken network yields a defined answer; if all are NaN or minus
 * infinity the distribution is uniform and class 0 wins. Ties go to the lower class. Thread: any.
 */
#ifndef STAGES_POST_CLASS_OPS_H
#define STAGES_POST_CLASS_OPS_H

#include <einet/attributes.h>
#include <stdint.h>

/* Class of the largest logit. logits: [count], count >= 1. */
EINET_RT int32_t ei_class_argmax(const float *logits, int32_t count);

/* Probabilities exp(z_i - max z) / sum, which sum to 1 up to rounding and never overflow. out_p: [count], may be the
 * same array as logits. count >= 1. */
EINET_RT void ei_class_softmax(const float *logits, int32_t count, float *out_p);

/* The k largest values, largest first. out_class: [k]; out_value: [k], may be NULL. Returns min(k, count), the number
 * of entries written. O(count * k). */
EINET_RT int32_t ei_class_top_k(const float *values, int32_t count, int32_t k, int32_t *out_class, float *out_value);

/* All in one, without a buffer of `count`: the k most probable classes and their softmax probabilities; out_p[0] is the
 * confidence. out_class, out_p: [k]. Returns min(k, count). */
EINET_RT int32_t ei_class_top_softmax(const float *logits, int32_t count, int32_t k, int32_t *out_class, float *out_p);

#endif
