/* Softmax, argmax and top-k against definitions, extremes and a sorting oracle. */
#include "rt/random.h"
#include "stages/post/class_ops.h"
#include "tests/harness/harness.h"
#include <float.h>

EI_TEST(softmax_of_known_values)
{
    const float logits[] = {0.0F, 0.69314718F, 1.09861229F}; /* log 1, log 2, log 3 */
    float p[3];
    ei_class_softmax(logits, 3, p);
    EI_NEAR(p[0], 1.0 / 6, 1e-7);
    EI_NEAR(p[1], 2.0 / 6, 1e-7);
    EI_NEAR(p[2], 3.0 / 6, 1e-7);
    float in_place[] = {5.0F, 5.0F};
    ei_class_softmax(in_place, 2, in_place);
    EI_NEAR(in_place[0], 0.5, 0);
    EI_NEAR(in_place[1], 0.5, 0);
    const float single = -3.0F;
    ei_class_softmax(&single, 1, p);
    EI_NEAR(p[0], 1.0, 0);
}

EI_TEST(softmax_is_stable_for_large_logits)
{
    float p[3];
    const float large[] = {3.0e38F, -3.0e38F, 3.0e38F};
    ei_class_softmax(large, 3, p);
    EI_NEAR(p[0], 0.5, 1e-7);
    EI_NEAR(p[1], 0.0, 0);
    const float shifted[] = {1000.0F, 1000.69314718F, 1001.09861229F};
    ei_class_softmax(shifted, 3, p);
    EI_NEAR(p[0], 1.0 / 6, 1e-5);
    EI_NEAR(p[2], 3.0 / 6, 1e-5);
}

EI_TEST(softmax_is_defined_without_finite_logits)
{
    float p[3];
    const float with_nan[] = {NAN, 1.0F, 1.0F};
    ei_class_softmax(with_nan, 3, p);
    EI_NEAR(p[0], 0.0, 0);
    EI_NEAR(p[1], 0.5, 0);
    const float all_nan[] = {NAN, -INFINITY, NAN};
    ei_class_softmax(all_nan, 3, p);
    EI_NEAR(p[0], 1.0 / 3, 1e-7);
    EI_NEAR(p[1], 1.0 / 3, 1e-7);
    EI_EQ(ei_class_argmax(all_nan, 3), 0);
    const float infinite[] = {0.0F, INFINITY, INFINITY};
    ei_class_softmax(infinite, 3, p);
    EI_NEAR(p[0], 0.0, 0);
    EI_NEAR(p[2], 0.5, 0);
    EI_EQ(ei_class_argmax(infinite, 3), 1);
}

EI_TEST(argmax_takes_the_lower_of_ties)
{
    const float ties[] = {1.0F, 3.0F, 3.0F, 2.0F};
    EI_EQ(ei_class_argmax(ties, 4), 1);
    const float nan_first[] = {NAN, -5.0F};
    EI_EQ(ei_class_argmax(nan_first, 2), 1);
    const float last[] = {-FLT_MAX, -1.0F, 0.0F};
    EI_EQ(ei_class_argmax(last, 3), 2);
}

EI_TEST(top_k_of_fewer_classes)
{
    const float values[] = {1.0F, 4.0F};
    int32_t classes[5] = {-7, -7, -7, -7, -7};
    float kept[5];
    EI_EQ(ei_class_top_k(values, 2, 5, classes, kept), 2);
    EI_EQ(classes[0], 1);
    EI_EQ(classes[1], 0);
    EI_EQ(classes[2], -7);
    EI_NEAR(kept[0], 4.0, 0);
    EI_EQ(ei_class_top_k(values, 2, 0, classes, NULL), 0);
}

/* The definition: repeatedly take the largest, lowest class first among equals. */
static void top_k_by_definition(const float *values, int32_t count, int32_t k, int32_t *out_class)
{
    bool taken[128] = {false};
    for (int32_t i = 0; i < k; i++) {
        int32_t best = -1;
        for (int32_t j = 0; j < count; j++) {
            if (!taken[j] && (best < 0 || values[j] > values[best])) {
                best = j;
            }
        }
        taken[best] = true;
        out_class[i] = best;
    }
}

EI_TEST(top_k_equals_its_definition)
{
    struct ei_random rng;
    ei_random_init(&rng, 11, 0);
    for (int round = 0; round < 2000; round++) {
        float logits[128], p[128], top_p[5], top_logit[5];
        int32_t expected[5], classes[5], same[5];
        const int32_t count = 5 + (int32_t)ei_random_below(&rng, 120);
        for (int32_t i = 0; i < count; i++) { /* few levels, so that ties are common */
            logits[i] = (float)ei_random_below(&rng, 12) * 0.5F - 3.0F;
        }
        top_k_by_definition(logits, count, 5, expected);
        EI_EQ(ei_class_top_k(logits, count, 5, classes, top_logit), 5);
        EI_EQ(ei_class_top_softmax(logits, count, 5, same, top_p), 5);
        ei_class_softmax(logits, count, p);
        double sum = 0.0;
        for (int32_t i = 0; i < count; i++) {
            sum += (double)p[i];
        }
        EI_NEAR(sum, 1.0, 1e-5);
        EI_EQ(ei_class_argmax(logits, count), expected[0]);
        for (int i = 0; i < 5; i++) {
            EI_EQ(classes[i], expected[i]);
            EI_EQ(same[i], expected[i]);
            EI_NEAR(top_logit[i], logits[expected[i]], 0);
            EI_NEAR(top_p[i], p[expected[i]], 0);
        }
    }
}

EI_MAIN()
