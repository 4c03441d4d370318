/* Arrival processes against their definitions and against counting by hand, over random parameters. */
#include "rt/clock.h"
#include "tests/harness/harness.h"
#include "workloads/arrival.h"

#define SEED UINT64_C(20240607)

static int64_t between(struct ei_random *rng, int64_t lo, int64_t hi)
{
    return lo + (int64_t)ei_random_below(rng, (uint64_t)(hi - lo + 1));
}

/* Releases with from <= nominal <= to, one by one. */
static int64_t count_by_hand(const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx, int64_t from_ns,
                             int64_t to_ns)
{
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    int64_t count = 0;
    ei_arrival_init(&arrival, spec, seed, task_idx);
    while (ei_arrival_next(&arrival, &release) && release.nominal_ns <= to_ns) {
        count += release.nominal_ns >= from_ns ? 1 : 0;
    }
    return count;
}

static struct ei_arrival_spec random_spec(struct ei_random *rng, const int64_t *trace_ns, int64_t trace_count)
{
    const enum ei_arrival_model model = (enum ei_arrival_model)ei_random_below(rng, 4);
    struct ei_arrival_spec spec = {.model = model, .period_ns = EI_NONE_NS};
    spec.offset_ns = between(rng, 0, 2) == 0 ? 0 : between(rng, 0, 50 * EI_NS_PER_MS);
    switch (model) {
    case EI_ARRIVAL_PERIODIC:
        spec.period_ns = between(rng, 100 * EI_NS_PER_US, 20 * EI_NS_PER_MS);
        spec.jitter_ns = between(rng, 0, 1) == 0 ? 0 : between(rng, 0, spec.period_ns - 1);
        break;
    case EI_ARRIVAL_SPORADIC:
        spec.min_interarrival_ns = between(rng, 100 * EI_NS_PER_US, 10 * EI_NS_PER_MS);
        spec.mean_ns = spec.min_interarrival_ns + between(rng, 0, 10 * EI_NS_PER_MS);
        spec.dist = (enum ei_arrival_dist)between(rng, EI_ARRIVAL_EXPONENTIAL, EI_ARRIVAL_LOGNORMAL);
        if (spec.dist == EI_ARRIVAL_LOGNORMAL) {
            spec.mean_ns += 1;
            spec.median_ns = between(rng, spec.min_interarrival_ns + 1, spec.mean_ns);
        }
        break;
    case EI_ARRIVAL_APERIODIC:
        spec.trace_ns = trace_ns;
        spec.trace_count = between(rng, 1, trace_count);
        break;
    case EI_ARRIVAL_EXTERNAL: /* not drawn here: releases_test.c */
    case EI_ARRIVAL_AFTER: /* not drawn: it has no releases of its own */
        break;
    case EI_ARRIVAL_BURST:
        spec.count = (int32_t)between(rng, 1, 6);
        spec.spacing_ns = between(rng, 0, 3) == 0 ? 0 : between(rng, 1, 3 * EI_NS_PER_MS);
        if (between(rng, 0, 3) > 0) {
            spec.period_ns = (spec.count - 1) * spec.spacing_ns + between(rng, 100 * EI_NS_PER_US, 20 * EI_NS_PER_MS);
        }
        break;
    }
    return spec;
}

EI_TEST(arrival_expected_counts_what_next_yields)
{
    struct ei_random rng;
    int64_t trace_ns[40];
    ei_random_init(&rng, SEED, 1);
    for (int round = 0; round < 4000; round++) {
        int64_t t_ns = 0;
        for (int i = 0; i < 40; i++) {
            t_ns += between(&rng, 0, 2) == 0 ? 0 : between(&rng, 0, 30 * EI_NS_PER_MS);
            trace_ns[i] = t_ns;
        }
        const struct ei_arrival_spec spec = random_spec(&rng, trace_ns, 40);
        const uint64_t seed = ei_random_u64(&rng);
        /* Ends that hit releases exactly, and others. */
        int64_t from_ns = between(&rng, -2, 400 * EI_NS_PER_MS);
        int64_t to_ns = between(&rng, -2, 400 * EI_NS_PER_MS);
        struct ei_arrival arrival;
        struct ei_arrival_release release;
        ei_arrival_init(&arrival, &spec, seed, 3);
        for (int64_t k = between(&rng, 0, 20); k >= 0 && ei_arrival_next(&arrival, &release); k--) {
            if (round % 3 == 0) {
                to_ns = release.nominal_ns;
            } else if (round % 3 == 1) {
                from_ns = release.nominal_ns;
            }
        }
        const int64_t expected = ei_arrival_expected(&spec, seed, 3, from_ns, to_ns);
        const int64_t counted = count_by_hand(&spec, seed, 3, from_ns, to_ns);
        if (!EI_TRUEF(expected == counted,
                      "round %d seed %" PRIu64 " model %d: %" PRId64 " expected, %" PRId64 " counted in [%" PRId64
                      ", %" PRId64 "]",
                      round, SEED, (int)spec.model, expected, counted, from_ns, to_ns)) {
            return;
        }
    }
}

EI_TEST(arrival_numbers_have_no_gaps_and_times_never_decrease)
{
    struct ei_random rng;
    int64_t trace_ns[3] = {0, 5, 5};
    ei_random_init(&rng, SEED, 2);
    for (int round = 0; round < 1000; round++) {
        const struct ei_arrival_spec spec = random_spec(&rng, trace_ns, 3);
        struct ei_arrival arrival;
        struct ei_arrival_release release;
        int64_t last_ns = 0;
        ei_arrival_init(&arrival, &spec, ei_random_u64(&rng), 0);
        for (int64_t k = 0; k < 100 && ei_arrival_next(&arrival, &release); k++) {
            const int64_t late_ns = release.release_ns - release.nominal_ns;
            if (!EI_TRUEF(release.job_idx == k && release.nominal_ns >= last_ns && late_ns >= 0 &&
                              late_ns <= spec.jitter_ns,
                          "round %d model %d k %" PRId64, round, (int)spec.model, k)) {
                return;
            }
            last_ns = release.nominal_ns;
        }
    }
}

EI_TEST(arrival_periodic_is_exact_and_jitter_leaves_the_phase)
{
    const struct ei_arrival_spec spec = {
        .model = EI_ARRIVAL_PERIODIC, .period_ns = 33333 * EI_NS_PER_US, .offset_ns = 7, .jitter_ns = EI_NS_PER_MS};
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    int64_t least_ns = INT64_MAX;
    int64_t most_ns = 0;
    ei_arrival_init(&arrival, &spec, SEED, 0);
    for (int64_t k = 0; k < 20000; k++) {
        EI_REQUIRE(ei_arrival_next(&arrival, &release));
        if (release.nominal_ns != 7 + k * spec.period_ns) {
            EI_EQ(release.nominal_ns, 7 + k * spec.period_ns);
            return;
        }
        const int64_t late_ns = release.release_ns - release.nominal_ns;
        least_ns = late_ns < least_ns ? late_ns : least_ns;
        most_ns = late_ns > most_ns ? late_ns : most_ns;
    }
    EI_IN(least_ns, 0, EI_NS_PER_MS / 100);
    EI_IN(most_ns, EI_NS_PER_MS * 99 / 100, EI_NS_PER_MS);
    /* floor((T - offset) / period) + 1, the closed interval's count */
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 0, 7 + 10 * spec.period_ns), 11);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 0, 7 + 10 * spec.period_ns - 1), 10);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 7, 7), 1);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 8, 6 + spec.period_ns), 0);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 10, 5), 0);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, INT64_MIN, INT64_MAX - 1), (INT64_MAX - 1 - 7) / spec.period_ns + 1);
}

EI_TEST(arrival_sporadic_keeps_its_minimum_and_mean)
{
    const struct ei_arrival_spec spec = {
        .model = EI_ARRIVAL_SPORADIC, .min_interarrival_ns = 50 * EI_NS_PER_MS, .mean_ns = 200 * EI_NS_PER_MS};
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    const int count = 40000;
    int64_t last_ns = 0;
    int64_t least_ns = INT64_MAX;
    int beyond_mean = 0;
    ei_arrival_init(&arrival, &spec, SEED, 5);
    for (int k = 0; k <= count; k++) {
        EI_REQUIRE(ei_arrival_next(&arrival, &release));
        const int64_t distance_ns = release.nominal_ns - last_ns;
        if (k > 0) {
            least_ns = distance_ns < least_ns ? distance_ns : least_ns;
            beyond_mean += distance_ns > spec.mean_ns ? 1 : 0;
        }
        last_ns = release.nominal_ns;
        EI_REQUIRE(release.release_ns == release.nominal_ns);
    }
    EI_IN(least_ns, spec.min_interarrival_ns, spec.min_interarrival_ns + EI_NS_PER_MS);
    /* Standard error of the mean: 150 ms / sqrt(40000) = 0.75 ms; five of them. */
    EI_IN((double)last_ns / count, 200e6 - 3.75e6, 200e6 + 3.75e6);
    EI_IN((double)beyond_mean / count, 0.3679 - 0.0125, 0.3679 + 0.0125); /* 1/e, the mark of an exponential */
}

static int64_t excess_below(struct ei_arrival *arrival, int64_t limit_ns, int64_t count, double *out_mean_ns,
                            int64_t *out_least_ns, int64_t *out_most_ns)
{
    struct ei_arrival_release release;
    int64_t below = 0, last_ns = 0;
    *out_least_ns = INT64_MAX;
    *out_most_ns = 0;
    EI_TRUE(ei_arrival_next(arrival, &release));
    const int64_t first_ns = last_ns = release.nominal_ns;
    for (int64_t k = 0; k < count; k++) {
        EI_TRUE(ei_arrival_next(arrival, &release));
        const int64_t distance_ns = release.nominal_ns - last_ns;
        below += distance_ns < limit_ns ? 1 : 0;
        *out_least_ns = distance_ns < *out_least_ns ? distance_ns : *out_least_ns;
        *out_most_ns = distance_ns > *out_most_ns ? distance_ns : *out_most_ns;
        last_ns = release.nominal_ns;
    }
    *out_mean_ns = (double)(last_ns - first_ns) / (double)count;
    return below;
}

EI_TEST(arrival_sporadic_uniform_fills_its_range_evenly)
{
    const struct ei_arrival_spec spec = {.model = EI_ARRIVAL_SPORADIC,
                                         .dist = EI_ARRIVAL_UNIFORM,
                                         .min_interarrival_ns = 50 * EI_NS_PER_MS,
                                         .mean_ns = 200 * EI_NS_PER_MS};
    const int count = 40000;
    struct ei_arrival arrival;
    double mean_ns;
    int64_t least_ns, most_ns;
    ei_arrival_init(&arrival, &spec, SEED, 5);
    /* A quarter of the range [50, 350] ms. */
    const int64_t below = excess_below(&arrival, 125 * EI_NS_PER_MS, count, &mean_ns, &least_ns, &most_ns);
    EI_IN(least_ns, 50 * EI_NS_PER_MS, 50 * EI_NS_PER_MS + EI_NS_PER_MS / 10);
    EI_IN(most_ns, 350 * EI_NS_PER_MS - EI_NS_PER_MS / 10, 350 * EI_NS_PER_MS);
    EI_IN(mean_ns, 200e6 - 2.2e6, 200e6 + 2.2e6); /* five standard errors of 300 ms / sqrt(12 * 40000) */
    EI_IN((double)below / count, 0.25 - 0.011, 0.25 + 0.011);
    EI_EQ(ei_arrival_expected(
              &(struct ei_arrival_spec){
                  .model = EI_ARRIVAL_SPORADIC, .dist = EI_ARRIVAL_UNIFORM, .min_interarrival_ns = 10, .mean_ns = 10},
              SEED, 0, 0, 100),
          11); /* no spread is a period */
}

EI_TEST(arrival_sporadic_lognormal_has_its_median_mean_and_tail)
{
    const struct ei_arrival_spec spec = {.model = EI_ARRIVAL_SPORADIC,
                                         .dist = EI_ARRIVAL_LOGNORMAL,
                                         .min_interarrival_ns = 50 * EI_NS_PER_MS,
                                         .mean_ns = 200 * EI_NS_PER_MS,
                                         .median_ns = 150 * EI_NS_PER_MS};
    const int count = 40000;
    struct ei_arrival arrival;
    double mean_ns;
    int64_t least_ns, most_ns;
    /* Of what exceeds 50 ms: median 100, mean 150, so sigma = sqrt(2 ln 1.5) = 0.90052; standard deviation
     * 150 sqrt(1.5^2 - 1) = 167.7 ms. */
    ei_arrival_init(&arrival, &spec, SEED, 5);
    int64_t below = excess_below(&arrival, 150 * EI_NS_PER_MS, count, &mean_ns, &least_ns, &most_ns);
    EI_IN((double)below / count, 0.5 - 0.0125, 0.5 + 0.0125);
    EI_IN(mean_ns, 200e6 - 4.2e6, 200e6 + 4.2e6);
    EI_TRUE(least_ns > 50 * EI_NS_PER_MS);
    /* One sigma above the median, 100 exp(0.90052) = 246.09 ms: 84.134 %. */
    ei_arrival_init(&arrival, &spec, SEED, 6);
    below = excess_below(&arrival, 296090000, count, &mean_ns, &least_ns, &most_ns);
    EI_IN((double)below / count, 0.84134 - 0.0092, 0.84134 + 0.0092);
}

/* Near the end of time the process ends, whatever the draw; it does not wrap around. */
EI_TEST(arrival_sporadic_ends_at_the_end_of_time)
{
    struct ei_arrival_spec spec = {.model = EI_ARRIVAL_SPORADIC,
                                   .min_interarrival_ns = 100000,
                                   .mean_ns = 3600 * EI_NS_PER_S,
                                   .median_ns = 1800 * EI_NS_PER_S};
    for (int dist = EI_ARRIVAL_EXPONENTIAL; dist <= EI_ARRIVAL_LOGNORMAL; dist++) {
        struct ei_arrival arrival;
        struct ei_arrival_release release;
        spec.dist = (enum ei_arrival_dist)dist;
        ei_arrival_init(&arrival, &spec, SEED, 0);
        arrival.next_job_idx = 5;
        arrival.last_nominal_ns = INT64_MAX - 99999;
        EI_TRUE(!ei_arrival_next(&arrival, &release));
        arrival.last_nominal_ns = INT64_MAX - 100001;
        EI_TRUE(!ei_arrival_next(&arrival, &release));
    }
}

EI_TEST(arrival_streams_repeat_by_seed_and_differ_by_task)
{
    const struct ei_arrival_spec spec = {.model = EI_ARRIVAL_SPORADIC, .min_interarrival_ns = 1000, .mean_ns = 1000000};
    struct ei_arrival a, b, c, d;
    struct ei_arrival_release x, y, z, w;
    int other_task = 0;
    int other_seed = 0;
    ei_arrival_init(&a, &spec, 1, 0);
    ei_arrival_init(&b, &spec, 1, 0);
    ei_arrival_init(&c, &spec, 1, 1);
    ei_arrival_init(&d, &spec, 2, 0);
    for (int k = 0; k < 100; k++) {
        EI_REQUIRE(ei_arrival_next(&a, &x) && ei_arrival_next(&b, &y) && ei_arrival_next(&c, &z) &&
                   ei_arrival_next(&d, &w));
        EI_EQ(x.nominal_ns, y.nominal_ns);
        other_task += x.nominal_ns != z.nominal_ns ? 1 : 0;
        other_seed += x.nominal_ns != w.nominal_ns ? 1 : 0;
    }
    EI_TRUE(other_task > 95 && other_seed > 95);
}

EI_TEST(arrival_burst_once_and_again)
{
    struct ei_arrival_spec spec = {.model = EI_ARRIVAL_BURST,
                                   .count = 5,
                                   .spacing_ns = 30 * EI_NS_PER_MS,
                                   .period_ns = EI_NONE_NS,
                                   .offset_ns = EI_NS_PER_S};
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    ei_arrival_init(&arrival, &spec, SEED, 0);
    for (int j = 0; j < 5; j++) {
        EI_REQUIRE(ei_arrival_next(&arrival, &release));
        EI_EQ(release.nominal_ns, EI_NS_PER_S + j * 30 * EI_NS_PER_MS);
    }
    release.job_idx = -9;
    EI_TRUE(!ei_arrival_next(&arrival, &release));
    EI_TRUE(!ei_arrival_next(&arrival, &release));
    EI_EQ(release.job_idx, -9);
    EI_EQ(ei_arrival_expected(&spec, SEED, 0, 0, INT64_MAX), 5);
    spec.period_ns = 2 * EI_NS_PER_S;
    ei_arrival_init(&arrival, &spec, SEED, 0);
    for (int k = 0; k < 12; k++) {
        EI_REQUIRE(ei_arrival_next(&arrival, &release));
        EI_EQ(release.nominal_ns, EI_NS_PER_S + k / 5 * 2 * EI_NS_PER_S + k % 5 * 30 * EI_NS_PER_MS);
    }
}

EI_TEST(arrival_ends_at_the_end_of_time_without_overflow)
{
    const struct ei_arrival_spec spec = {
        .model = EI_ARRIVAL_PERIODIC, .period_ns = 3600 * EI_NS_PER_S, .offset_ns = 3600 * EI_NS_PER_S, .jitter_ns = 9};
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    ei_arrival_init(&arrival, &spec, SEED, 0);
    arrival.next_job_idx = INT64_MAX / spec.period_ns - 1;
    EI_TRUE(ei_arrival_next(&arrival, &release));
    EI_TRUE(release.nominal_ns > 0 && release.release_ns >= release.nominal_ns);
    EI_TRUE(!ei_arrival_next(&arrival, &release));
    arrival.next_job_idx = INT64_MAX;
    EI_TRUE(!ei_arrival_next(&arrival, &release));
}

EI_MAIN()
