/* The histogram against sorting, its limits, and merging. Structs are static: they are larger than a small stack. */
#include "tests/harness/harness.h"

#include "rt/histogram.h"
#include "rt/random.h"
#include <stdlib.h>

#define SAMPLES 40000

static struct ei_histogram one, two, whole;
static int64_t samples[SAMPLES];

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ceil(num/den * n) in integers. */
static uint64_t rank_of(uint64_t num, uint64_t den, uint64_t n)
{
    const uint64_t rank = (num * n + den - 1) / den;
    return rank < 1 ? 1 : rank;
}

static const uint64_t per_100k[] = {0,     1,     100,   1000,  10000, 25000, 50000,
                                    75000, 90000, 99000, 99900, 99990, 99999, 100000};

static void check_against_sorting(uint64_t seed)
{
    ei_histogram_init(&whole);
    for (int i = 0; i < SAMPLES; i++) {
        ei_histogram_record(&whole, samples[i]);
    }
    qsort(samples, SAMPLES, sizeof samples[0], by_value);
    for (size_t i = 0; i < sizeof per_100k / sizeof per_100k[0]; i++) {
        const int64_t exact = samples[rank_of(per_100k[i], 100000, SAMPLES) - 1];
        const int64_t got = ei_histogram_quantile_ns(&whole, (double)per_100k[i] / 100000);
        EI_TRUEF(got >= exact && (double)(got - exact) <= 0.001 * (double)exact,
                 "seed %" PRIu64 ", quantile %g: %" PRId64 " instead of %" PRId64, seed, (double)per_100k[i] / 100000,
                 got, exact);
    }
    EI_EQ(ei_histogram_min_ns(&whole), samples[0]);
    EI_EQ(ei_histogram_max_ns(&whole), samples[SAMPLES - 1]);
    EI_EQ(ei_histogram_quantile_ns(&whole, 0), samples[0]);
    EI_EQ(ei_histogram_quantile_ns(&whole, 1), samples[SAMPLES - 1]);
}

EI_TEST(histogram_quantiles_have_three_digits_from_1ns_to_10s)
{
    struct ei_random rng;
    for (uint64_t seed = 0; seed < 12; seed++) {
        ei_random_init(&rng, seed, 0);
        for (int i = 0; i < SAMPLES; i++) {
            /* log-uniform over 1 ns .. 10 s, or a narrow hump, by turns */
            const double x =
                seed % 2 == 0 ? exp(ei_random_unit(&rng) * log(1e10)) : fabs(1e6 + 2e5 * ei_random_normal(&rng));
            samples[i] = (int64_t)x < 1 ? 1 : (int64_t)x;
        }
        check_against_sorting(seed);
    }
}

EI_TEST(histogram_is_exact_below_2048ns)
{
    ei_histogram_init(&one);
    for (int64_t v = 0; v < 2048; v++) {
        ei_histogram_record(&one, v);
    }
    for (int64_t v = 1; v < 2048; v++) {
        EI_EQ(ei_histogram_quantile_ns(&one, ((double)v + 0.5) / 2048), v);
        EI_EQ(ei_histogram_count_above(&one, v), 2047 - v);
    }
}

/* Every power of two and its neighbours lie inside the bucket that counts them; buckets do not overlap. */
EI_TEST(histogram_buckets_tile_the_range)
{
    int64_t low = 0, high = -1, last_high = -1;
    uint64_t count = 0, sum = 0;
    ei_histogram_init(&one);
    for (int bit = 0; bit < EI_HISTOGRAM_TOP_BITS; bit++) {
        for (int64_t d = -1; d <= 1; d++) {
            ei_histogram_record(&one, (INT64_C(1) << bit) + d);
        }
    }
    ei_histogram_record(&one, EI_HISTOGRAM_MAX_NS);
    for (int at = 0; ei_histogram_next(&one, &at, &low, &high, &count);) {
        EI_TRUE(low > last_high && high >= low);
        EI_TRUE(high - low <= low / 1024);
        last_high = high;
        sum += count;
    }
    EI_EQ(last_high, EI_HISTOGRAM_MAX_NS);
    EI_EQ(sum, one.count);
    EI_TRUE(EI_HISTOGRAM_MAX_NS >= INT64_C(3600) * 1000000000);
    EI_EQ(one.below_count + one.above_count, 0);
}

EI_TEST(histogram_clamps_and_counts_what_is_out_of_range)
{
    ei_histogram_init(&one);
    ei_histogram_record(&one, -5);
    ei_histogram_record(&one, INT64_MIN);
    ei_histogram_record(&one, EI_HISTOGRAM_MAX_NS + 1);
    ei_histogram_record(&one, INT64_MAX);
    ei_histogram_record(&one, INT64_MAX);
    EI_EQ(one.count, 5);
    EI_EQ(one.below_count, 2);
    EI_EQ(one.above_count, 3);
    EI_EQ(ei_histogram_min_ns(&one), 0);
    EI_EQ(ei_histogram_max_ns(&one), EI_HISTOGRAM_MAX_NS);
    EI_EQ(ei_histogram_count_above(&one, INT64_MAX), 0);
    EI_EQ(ei_histogram_count_above(&one, -1), 5);
}

EI_TEST(histogram_empty_is_zero)
{
    int at = 0;
    int64_t low, high;
    uint64_t count;
    ei_histogram_init(&one);
    EI_EQ(ei_histogram_quantile_ns(&one, 0.5), 0);
    EI_EQ(ei_histogram_min_ns(&one), 0);
    EI_EQ(ei_histogram_max_ns(&one), 0);
    EI_NEAR(ei_histogram_mean_ns(&one), 0, 0);
    EI_TRUE(!ei_histogram_next(&one, &at, &low, &high, &count));
    EI_EQ(ei_histogram_count_above(&one, 0), 0);
}

EI_TEST(histogram_merge_equals_one_long_histogram)
{
    struct ei_random rng;
    ei_random_init(&rng, 77, 0);
    ei_histogram_init(&one);
    ei_histogram_init(&two);
    ei_histogram_init(&whole);
    for (int i = 0; i < SAMPLES; i++) {
        /* integers below 2^40 and their sum are exact in a double, so the means must be equal, too */
        const int64_t v = (int64_t)ei_random_below(&rng, UINT64_C(1) << (1 + ei_random_below(&rng, 36))) - 3;
        ei_histogram_record(i % 3 == 0 ? &one : &two, v);
        ei_histogram_record(&whole, v);
    }
    ei_histogram_merge(&one, &two);
    EI_TRUE(memcmp(&one, &whole, sizeof one) == 0);
    EI_EQ(ei_histogram_quantile_ns(&one, 0.99), ei_histogram_quantile_ns(&whole, 0.99));
    ei_histogram_init(&two);
    ei_histogram_merge(&one, &two);
    EI_TRUE(memcmp(&one, &whole, sizeof one) == 0);
}

/* The rank is ceil(q n) of the numbers as written, not of their binary neighbours. */
EI_TEST(histogram_rank_is_exact_for_the_reported_quantiles)
{
    static const struct {
        double q;
        uint64_t num, den;
    } reported[] = {{0.5, 1, 2},        {0.9, 9, 10},    {0.95, 95, 100}, {0.99, 99, 100},
                    {0.999, 999, 1000}, {0.55, 55, 100}, {0.07, 7, 100}};
    ei_histogram_init(&one);
    for (int64_t n = 1; n < 2048; n++) {
        ei_histogram_record(&one, n);
        for (size_t k = 0; k < sizeof reported / sizeof reported[0]; k++) {
            EI_TRUEF(ei_histogram_quantile_ns(&one, reported[k].q) ==
                         (int64_t)rank_of(reported[k].num, reported[k].den, (uint64_t)n),
                     "q %g of 1..%" PRId64 " is %" PRId64, reported[k].q, n,
                     ei_histogram_quantile_ns(&one, reported[k].q));
        }
    }
}

EI_TEST(histogram_mean_is_exact)
{
    ei_histogram_init(&one);
    ei_histogram_record(&one, 1000001);
    ei_histogram_record(&one, 3000002);
    EI_NEAR(ei_histogram_mean_ns(&one), 2000001.5, 1e-9);
}

EI_TEST(histogram_quantiles_in_one_walk_equal_those_one_by_one)
{
    static struct ei_histogram h;
    static const double q[] = {0.0, 0.0, 0.25, 0.5, 0.5, 0.9, 0.99, 0.999, 1.0};
    enum { COUNT = sizeof q / sizeof q[0] };
    int64_t together_ns[COUNT];
    struct ei_random random;
    ei_random_init(&random, 77, 0);
    ei_histogram_init(&h);
    ei_histogram_quantiles_ns(&h, q, COUNT, together_ns);
    EI_EQ(together_ns[3], 0);
    for (int n = 0; n < 2000; n++) {
        ei_histogram_record(&h, (int64_t)(ei_random_u64(&random) >> (22 + n % 40)));
        if (n % 97 != 0) {
            continue;
        }
        ei_histogram_quantiles_ns(&h, q, COUNT, together_ns);
        for (int i = 0; i < COUNT; i++) {
            EI_EQ(together_ns[i], ei_histogram_quantile_ns(&h, q[i]));
        }
    }
}
