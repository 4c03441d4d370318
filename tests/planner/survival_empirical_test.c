/* The learnt survival function: against the textbook's Kaplan-Meier estimate, against truths that censoring hides, and
 * over long times with forgetting. */
#include "planner/survival_empirical.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <errno.h>

#define BIN_NS 1000
#define HORIZON_NS (BIN_NS * EI_EMPIRICAL_BINS)

static double at(const struct ei_empirical *e, int64_t t_ns)
{
    struct ei_survival_table table;
    ei_empirical_survival(e, &table);
    const struct ei_survival s = ei_survival_of_table(&table);
    const struct ei_fault fault = ei_survival_fault(&s);
    EI_TRUEF(!fault.field, "%s[%d] %s", fault.field ? fault.field : "", fault.element, fault.rule ? fault.rule : "");
    return ei_survival_at(&s, t_ns);
}

/* ---- the textbook ---- */

struct seen {
    int64_t t_ns;
    bool is_censored;
    double weight;
};

/* P(T > t): at each stop time up to t those stopped leave those at risk, which are all that were seen until then. */
static double textbook(const struct seen *jobs, int count, int64_t t_ns)
{
    double survival = 1;
    for (int i = 0; i < count; i++) {
        if (jobs[i].is_censored || jobs[i].t_ns > t_ns) {
            continue;
        }
        double stopped = 0, at_risk = 0;
        bool is_repeated = false;
        for (int k = 0; k < count; k++) {
            at_risk += jobs[k].t_ns >= jobs[i].t_ns ? jobs[k].weight : 0;
            stopped += !jobs[k].is_censored && jobs[k].t_ns == jobs[i].t_ns ? jobs[k].weight : 0;
            is_repeated |= k < i && !jobs[k].is_censored && jobs[k].t_ns == jobs[i].t_ns;
        }
        survival *= is_repeated ? 1 : 1 - stopped / at_risk;
    }
    return survival;
}

/* Stops at few different bins' ends, so that all of them have knots; censored ones at any. */
static void check_textbook(uint64_t seed, int32_t memory_jobs, double survivor)
{
    enum { JOBS = 400, DIFFERENT = 20 };
    struct seen jobs[JOBS + 1];
    struct ei_random rng;
    struct ei_empirical e;
    int64_t stops_ns[DIFFERENT];
    ei_random_init(&rng, seed, 0);
    EI_EQ(ei_empirical_init(&e, HORIZON_NS, memory_jobs), 0);
    e.survivor = survivor;
    for (int i = 0; i < DIFFERENT; i++) {
        stops_ns[i] = BIN_NS * (1 + (int64_t)ei_random_below(&rng, EI_EMPIRICAL_BINS));
    }
    const int count = 1 + (int)ei_random_below(&rng, JOBS);
    for (int i = 0; i < count; i++) {
        jobs[i].is_censored = ei_random_below(&rng, 2) == 0;
        jobs[i].t_ns = jobs[i].is_censored ? BIN_NS * (int64_t)ei_random_below(&rng, EI_EMPIRICAL_BINS + 1)
                                           : stops_ns[ei_random_below(&rng, DIFFERENT)];
        jobs[i].weight = memory_jobs > 0 ? exp((double)(i + 1 - count) / memory_jobs) : 1;
        ei_empirical_add(&e, jobs[i].t_ns, jobs[i].is_censored);
    }
    jobs[count] = (struct seen){HORIZON_NS + 1, true, survivor};
    for (int64_t bin = 0; bin <= EI_EMPIRICAL_BINS; bin++) {
        EI_NEAR(at(&e, bin * BIN_NS), textbook(jobs, count + 1, bin * BIN_NS), 1e-12);
    }
}

EI_TEST(survival_empirical_is_the_textbook_estimate)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        check_textbook(seed, 0, 0);
    }
}

EI_TEST(survival_empirical_counts_the_imagined_survivor_and_forgets_by_weight)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        check_textbook(seed, 0, 1);
        check_textbook(seed, 30, 0);
        check_textbook(seed, 30, 1);
    }
}

/* ---- beginnings and limits ---- */

EI_TEST(survival_empirical_before_any_event_is_one)
{
    struct ei_empirical e;
    EI_EQ(ei_empirical_init(&e, HORIZON_NS, 100), 0);
    EI_NEAR(at(&e, 0), 1, 0);
    EI_NEAR(at(&e, INT64_MAX), 1, 0);
    for (int i = 0; i < 100; i++) {
        ei_empirical_add(&e, i * BIN_NS, true);
        ei_empirical_add(&e, HORIZON_NS + 1 + i, false); /* beyond the horizon: censored at it */
    }
    EI_NEAR(at(&e, HORIZON_NS), 1, 0);
    EI_NEAR(ei_empirical_rate_per_s(&e), 0, 0);
}

EI_TEST(survival_empirical_one_early_stop_leaves_hope)
{
    struct ei_empirical e;
    EI_EQ(ei_empirical_init(&e, HORIZON_NS, 100), 0);
    ei_empirical_add(&e, 10 * BIN_NS, false);
    EI_NEAR(at(&e, 9 * BIN_NS), 1, 0);
    EI_NEAR(at(&e, 10 * BIN_NS), 0.5, 1e-15);
    EI_NEAR(at(&e, HORIZON_NS), 0.5, 1e-15);
    for (int i = 0; i < 100000; i++) {
        ei_empirical_add(&e, 10 * BIN_NS, false);
    }
    EI_IN(at(&e, HORIZON_NS), 0.005, 0.02); /* one among the 100 jobs of the memory */
}

EI_TEST(survival_empirical_takes_the_farthest_times)
{
    struct ei_empirical e;
    EI_EQ(ei_empirical_init(&e, 0, 100), -EINVAL);
    EI_EQ(ei_empirical_init(&e, -1, 100), -EINVAL);
    EI_EQ(ei_empirical_init(&e, 1, -1), -EINVAL);
    const int64_t horizons_ns[] = {1, 255, 257, INT64_MAX};
    for (int h = 0; h < 4; h++) {
        EI_EQ(ei_empirical_init(&e, horizons_ns[h], INT32_MAX), 0);
        const int64_t times_ns[] = {INT64_MIN, -1, 0, 1, 256, 257, INT64_MAX / 4, INT64_MAX};
        for (int i = 0; i < 8; i++) {
            ei_empirical_add(&e, times_ns[i], i % 2 == 0);
            ei_empirical_add(&e, times_ns[i], i % 2 != 0);
        }
        EI_IN(at(&e, INT64_MAX), 0, 1);
        EI_TRUE(isfinite(ei_empirical_rate_per_s(&e)));
        EI_EQ(EI_EMPIRICAL_BINS * e.bin_ns >= horizons_ns[h] || horizons_ns[h] == INT64_MAX, 1);
    }
}

/* ---- what it is for ---- */

EI_TEST(survival_empirical_corrects_for_censoring)
{
    struct ei_random rng;
    struct ei_empirical corrected, naive;
    ei_random_init(&rng, 5, 0);
    EI_EQ(ei_empirical_init(&corrected, HORIZON_NS, 0), 0);
    EI_EQ(ei_empirical_init(&naive, HORIZON_NS, 0), 0);
    const double mean_ns = 100 * BIN_NS;
    for (int i = 0; i < 20000; i++) {
        const int64_t stop_ns = (int64_t)ei_random_exponential(&rng, mean_ns);
        const int64_t end_ns = (int64_t)(ei_random_unit(&rng) * HORIZON_NS); /* most jobs end by themselves */
        const bool is_censored = end_ns < stop_ns;
        ei_empirical_add(&corrected, is_censored ? end_ns : stop_ns, is_censored);
        if (!is_censored) {
            ei_empirical_add(&naive, stop_ns, false);
        }
    }
    double worst = 0, worst_naive = 0;
    for (int64_t t_ns = 0; t_ns <= 200 * BIN_NS; t_ns += BIN_NS) {
        const double truth = exp(-(double)t_ns / mean_ns);
        worst = fmax(worst, fabs(at(&corrected, t_ns) - truth));
        worst_naive = fmax(worst_naive, fabs(at(&naive, t_ns) - truth));
    }
    EI_TRUEF(worst <= 0.02 && worst_naive >= 0.1, "corrected %g, naive %g", worst, worst_naive);
    EI_NEAR(ei_empirical_rate_per_s(&corrected) * mean_ns * 1e-9, 1, 0.02);
}

EI_TEST(survival_empirical_rate_is_events_over_time_at_risk)
{
    struct ei_empirical e;
    EI_EQ(ei_empirical_init(&e, HORIZON_NS, 0), 0);
    EI_NEAR(ei_empirical_rate_per_s(&e), 0, 0);
    ei_empirical_add(&e, 100000, false);
    ei_empirical_add(&e, 200000, true);
    ei_empirical_add(&e, 50000, false);
    ei_empirical_add(&e, HORIZON_NS + 5, false); /* no event within the horizon */
    EI_NEAR(ei_empirical_rate_per_s(&e), 2 / (350000e-9 + HORIZON_NS * 1e-9), 1e-6);
}

EI_TEST(survival_empirical_follows_a_schedule_that_changes)
{
    struct ei_random rng;
    struct ei_empirical forgetful, faithful;
    ei_random_init(&rng, 6, 0);
    EI_EQ(ei_empirical_init(&forgetful, HORIZON_NS, 100), 0);
    EI_EQ(ei_empirical_init(&faithful, HORIZON_NS, 0), 0);
    for (int i = 0; i < 3000; i++) { /* stops around 40, then around 200 */
        const int64_t stop_ns = ((i < 2000 ? 30 : 190) + (int64_t)ei_random_below(&rng, 20)) * BIN_NS;
        ei_empirical_add(&forgetful, stop_ns, false);
        ei_empirical_add(&faithful, stop_ns, false);
    }
    EI_TRUE(at(&forgetful, 100 * BIN_NS) > 0.99);
    EI_IN(at(&faithful, 100 * BIN_NS), 0.3, 0.4);
    EI_IN(at(&forgetful, 200 * BIN_NS), 0.3, 0.7);
    EI_IN(forgetful.jobs, 99, 102);
    EI_IN(faithful.jobs, 3000, 3000);
}

EI_TEST(survival_empirical_runs_for_ever)
{
    /* The weights are rescaled many times; an estimate from the last jobs alone must agree. */
    struct ei_random rng;
    struct ei_empirical old, fresh;
    for (int32_t memory_jobs = 1; memory_jobs <= 64; memory_jobs *= 4) {
        ei_random_init(&rng, (uint64_t)memory_jobs, 0);
        EI_EQ(ei_empirical_init(&old, HORIZON_NS, memory_jobs), 0);
        EI_EQ(ei_empirical_init(&fresh, HORIZON_NS, memory_jobs), 0);
        for (int i = 0; i < 300000; i++) {
            const int64_t t_ns = (int64_t)ei_random_below(&rng, HORIZON_NS);
            const bool is_censored = ei_random_below(&rng, 3) == 0;
            ei_empirical_add(&old, t_ns, is_censored);
            if (i >= 300000 - 60 * memory_jobs) { /* what came before weighs 1e-26 */
                ei_empirical_add(&fresh, t_ns, is_censored);
            }
        }
        for (int64_t bin = 0; bin <= EI_EMPIRICAL_BINS; bin += 8) {
            EI_NEAR(at(&old, bin * BIN_NS), at(&fresh, bin * BIN_NS), 1e-9);
        }
        const double rate = ei_empirical_rate_per_s(&old);
        EI_NEAR(rate / ei_empirical_rate_per_s(&fresh), 1, 1e-9);
        EI_TRUE(isfinite(old.unit) && isfinite(rate) && rate > 0);
    }
}

EI_TEST(survival_empirical_64_knots_describe_256_bins)
{
    struct ei_random rng;
    struct ei_empirical e;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct ei_survival_table table;
        ei_random_init(&rng, seed, 0);
        EI_EQ(ei_empirical_init(&e, HORIZON_NS, (int32_t)ei_random_below(&rng, 500)), 0);
        const double mean_ns = HORIZON_NS * (0.05 + ei_random_unit(&rng));
        for (int i = 0; i < 500; i++) {
            ei_empirical_add(&e, (int64_t)ei_random_exponential(&rng, mean_ns), ei_random_below(&rng, 3) == 0);
        }
        ei_empirical_survival(&e, &table);
        EI_TRUE(table.count <= EI_SURVIVAL_KNOTS_MAX);
        const struct ei_survival s = ei_survival_of_table(&table);
        double sum = e.survivor * e.unit * e.forgetting, at_risk[EI_EMPIRICAL_BINS], survival = 1, worst = 0;
        for (int k = EI_EMPIRICAL_BINS - 1; k >= 0; k--) {
            at_risk[k] = sum += e.at_risk_until[k];
        }
        for (int k = 0; k < EI_EMPIRICAL_BINS; k++) {
            survival *= 1 - e.event[k] / at_risk[k];
            worst = fmax(worst, fabs(survival - ei_survival_at(&s, (k + 1) * e.bin_ns)));
        }
        EI_TRUEF(worst <= 0.01, "seed %d: largest error %g", (int)seed, worst);
    }
}
