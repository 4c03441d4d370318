/* Seeded draws: reproducible, independent streams, right distributions (bounds of more than five standard errors). */
#include "tests/harness/harness.h"

#include "rt/random.h"

#define DRAWS 200000

EI_TEST(random_is_xoshiro256starstar)
{
    /* Reference output of the authors' C code for the state 1, 2, 3, 4. */
    struct ei_random rng = {.state = {1, 2, 3, 4}};
    static const uint64_t expected[] = {
        11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        EI_EQ(ei_random_u64(&rng), expected[i]);
    }
}

EI_TEST(random_repeats_from_its_seed_and_differs_by_stream)
{
    struct ei_random a, b, c, d;
    ei_random_init(&a, 42, 0);
    ei_random_init(&b, 42, 0);
    ei_random_init(&c, 42, 1);
    ei_random_init(&d, 43, 0);
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 1000; i++) {
        const uint64_t draw = ei_random_u64(&a);
        EI_TRUE(draw == ei_random_u64(&b));
        same_c += draw == ei_random_u64(&c);
        same_d += draw == ei_random_u64(&d);
    }
    EI_EQ(same_c, 0);
    EI_EQ(same_d, 0);
}

EI_TEST(random_unit_is_uniform)
{
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    double sum = 0, square = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = ei_random_unit(&rng);
        if (!(x >= 0 && x < 1)) {
            EI_IN(x, 0, 0.9999999999999999);
        }
        sum += x;
        square += x * x;
    }
    EI_NEAR(sum / DRAWS, 0.5, 0.004);
    EI_NEAR(square / DRAWS, 1.0 / 3, 0.004);
}

EI_TEST(random_below_is_unbiased_and_bounded)
{
    struct ei_random rng;
    ei_random_init(&rng, 2, 0);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        counts[ei_random_below(&rng, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        EI_IN(counts[i], 9500, 10500);
    }
    /* 3 * 2^62: a plain modulo would return values below 2^62 twice as often as the others (1/2 instead of 1/3). */
    const uint64_t n = UINT64_C(3) << 62;
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        const uint64_t draw = ei_random_below(&rng, n);
        low += draw < UINT64_C(1) << 62;
        EI_TRUE(draw < n);
    }
    EI_IN(low, 9500, 10500);
    EI_EQ(ei_random_below(&rng, 1), 0);
}

EI_TEST(random_exponential_has_its_mean_and_tail)
{
    struct ei_random rng;
    ei_random_init(&rng, 3, 0);
    double sum = 0;
    int above = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = ei_random_exponential(&rng, 5);
        EI_TRUE(x >= 0 && isfinite(x));
        sum += x;
        above += x > 10; /* e^-2 = 0.1353 */
    }
    EI_NEAR(sum / DRAWS, 5, 0.07);
    EI_NEAR((double)above / DRAWS, 0.135335, 0.005);
}

EI_TEST(random_normal_has_unit_variance)
{
    struct ei_random rng;
    ei_random_init(&rng, 4, 0);
    double sum = 0, square = 0;
    int above = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = ei_random_normal(&rng);
        sum += x;
        square += x * x;
        above += x > 1.959964;
    }
    EI_NEAR(sum / DRAWS, 0, 0.015);
    EI_NEAR(square / DRAWS, 1, 0.02);
    EI_NEAR((double)above / DRAWS, 0.025, 0.003);
}
