/* Intervals against references of their own, and what a comparison says of runs that are equal, shifted or of different
 * workloads. */
#include "report/compare.h"
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/report/sample_folder.h"

#include <stdlib.h>

static struct ei_report_job jobs[SAMPLE_JOBS_MAX];

/* ---- intervals ---- */

EI_TEST(differences_of_ratios_are_newcombes)
{
    /* Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10, contrasts (a), (b) and (g). */
    const struct {
        int64_t a, m, b, n;
        double low, high;
    } contrasts[] = {{56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090}, {10, 10, 0, 20, 0.6791, 1.0}};
    for (size_t i = 0; i < sizeof contrasts / sizeof contrasts[0]; i++) {
        const struct ei_interval d = ei_interval_difference(ei_interval_ratio(contrasts[i].a, contrasts[i].m),
                                                            ei_interval_ratio(contrasts[i].b, contrasts[i].n));
        EI_NEAR(d.low, contrasts[i].low, 1e-4);
        EI_NEAR(d.high, contrasts[i].high, 1e-4);
    }
    EI_TRUE(!ei_interval_ratio(0, 0).is_known);
    EI_TRUE(!ei_interval_difference(ei_interval_ratio(0, 0), ei_interval_ratio(1, 2)).is_known);
}

/* In long double, because (1 - q)^n is far below what a double can hold. */
static double binomial_below(int64_t k, int64_t n, double q)
{
    long double below = 0, pmf = powl(1 - (long double)q, n);
    for (int64_t i = 0; i < k; i++) {
        below += pmf;
        pmf *= (long double)(n - i) / (long double)(i + 1) * (long double)q / (1 - (long double)q);
    }
    return (double)below;
}

EI_TEST(bounds_of_a_quantile_are_the_order_statistics_of_a_binomial)
{
    static struct ei_histogram histogram;
    static const double qs[] = {0.05, 0.5, 0.9, 0.99};
    for (int64_t n = 1; n <= 1500; n = n * 3 / 2 + 1) {
        ei_histogram_init(&histogram);
        for (int64_t i = 1; i <= n; i++) {
            ei_histogram_record(&histogram, i); /* the value of rank i is i; every bucket up to 2047 has one value */
        }
        for (size_t k = 0; k < sizeof qs / sizeof qs[0]; k++) {
            int64_t low = 0, high = n + 1;
            for (int64_t r = 1; r <= n; r++) {
                low = binomial_below(r, n, qs[k]) <= 0.025 ? r : low;
            }
            for (int64_t r = n; r >= 1; r--) {
                high = binomial_below(r, n, qs[k]) >= 0.975 ? r : high;
            }
            const struct ei_interval got = ei_interval_quantile(&histogram, qs[k]);
            EI_TRUEF(low == 0 ? got.low == -INFINITY : got.low == (double)low, "n %d q %g: low %g, expected %d", (int)n,
                     qs[k], got.low, (int)low);
            EI_TRUEF(high > n ? got.high == INFINITY : got.high == (double)high, "n %d q %g: high %g, expected %d",
                     (int)n, qs[k], got.high, (int)high);
        }
    }
}

EI_TEST(intervals_hold_the_true_value_as_often_as_they_say)
{
    static struct ei_histogram histogram;
    struct ei_random random;
    ei_random_init(&random, 20261121, 0);
    int covered = 0, shown = 0;
    const int rounds = 400;
    for (int round = 0; round < rounds; round++) {
        struct ei_interval runs[2];
        for (int r = 0; r < 2; r++) {
            ei_histogram_init(&histogram);
            for (int i = 0; i < 300; i++) {
                ei_histogram_record(&histogram, (int64_t)ei_random_exponential(&random, 1e6));
            }
            runs[r] = ei_interval_quantile(&histogram, 0.9);
        }
        const double true_ns = 1e6 * log(10);
        covered += runs[0].low <= true_ns && runs[0].high >= true_ns;
        const struct ei_interval d = ei_interval_difference(runs[0], runs[1]);
        shown += d.low > 0 || d.high < 0; /* there is no difference */
    }
    EI_IN((double)covered / rounds, 0.93, 1);
    EI_IN((double)shown / rounds, 0, 0.07);
}

/* ---- comparisons ---- */

static int load(struct ei_report_run *run, const char *name, const struct sample_options *options,
                struct einet_error *err)
{
    static char folders[4][1024];
    static int next;
    char *folder = folders[next++ % 4];
    snprintf(folder, sizeof folders[0], "%s/%s", ei_test_tmpdir(), name);
    sample_write(folder, options, jobs);
    return ei_report_run_load(run, folder, false, err);
}

static struct ei_compare_row row_of(const struct ei_comparison *comparison, int32_t task, const char *figure)
{
    for (int32_t i = 0; i < comparison->tasks[task].row_count; i++) {
        if (strcmp(comparison->tasks[task].rows[i].figure, figure) == 0) {
            return comparison->tasks[task].rows[i];
        }
    }
    EI_TRUEF(false, "task %d has no %s", task, figure);
    return (struct ei_compare_row){0};
}

EI_TEST(a_run_does_not_differ_from_itself)
{
    const struct sample_options options = {.seed = 5, .jobs = 1500};
    struct ei_report_run a, b;
    struct ei_comparison comparison;
    struct einet_error err = {0};
    EI_REQUIRE(load(&a, "a", &options, &err) == 0 && load(&b, "b", &options, &err) == 0);
    EI_REQUIRE(ei_compare(&a, &b, &comparison, &err) == 0);
    EI_EQ(comparison.task_count, SAMPLE_TASKS);
    EI_EQ(comparison.warning_count, 0);
    EI_EQ(comparison.tasks[0].row_count, 5);
    EI_EQ(comparison.tasks[1].row_count, 8 + SAMPLE_EXITS);
    for (int32_t t = 0; t < comparison.task_count; t++) {
        for (int32_t i = 0; i < comparison.tasks[t].row_count; i++) {
            EI_EQ(comparison.tasks[t].rows[i].verdict, EI_COMPARE_NONE_SHOWN);
            EI_NEAR(comparison.tasks[t].rows[i].difference.value, 0, 0);
        }
    }
    ei_comparison_fini(&comparison);
    ei_report_run_fini(&a);
    ei_report_run_fini(&b);
}

EI_TEST(a_slower_run_is_worse_and_is_called_so_in_either_order)
{
    const struct sample_options fast = {.seed = 5, .jobs = 3000},
                                slow = {.seed = 6, .jobs = 3000, .slower_ns = SAMPLE_MS};
    struct ei_report_run a, b;
    struct ei_comparison comparison;
    struct einet_error err = {0};
    EI_REQUIRE(load(&a, "a", &fast, &err) == 0 && load(&b, "b", &slow, &err) == 0);
    for (int swap = 0; swap < 2; swap++) {
        EI_REQUIRE(ei_compare(swap ? &b : &a, swap ? &a : &b, &comparison, &err) == 0);
        const enum ei_compare_verdict better = swap ? EI_COMPARE_B : EI_COMPARE_A;
        EI_EQ(row_of(&comparison, 0, "miss_ratio").verdict, better);
        EI_EQ(row_of(&comparison, 0, "response_p50").verdict, better);
        EI_EQ(row_of(&comparison, 0, "response_p90").verdict, better);
        EI_EQ(row_of(&comparison, 1, "coverage").verdict, EI_COMPARE_NONE_SHOWN);
        EI_EQ(row_of(&comparison, 1, "exit_2").verdict, EI_COMPARE_NONE_SHOWN);
        const double by_ns = row_of(&comparison, 0, "response_p50").difference.value;
        EI_IN(swap ? by_ns : -by_ns, 0.9e6, 1.1e6);
        ei_comparison_fini(&comparison);
    }
    ei_report_run_fini(&a);
    ei_report_run_fini(&b);
}

EI_TEST(what_may_not_be_comparable_is_warned_of)
{
    const struct sample_options one = {.seed = 1, .jobs = 300, .sha256 = "aaaaaaaaaaaaaaaa"},
                                other = {.seed = 1, .jobs = 300, .sha256 = "bbbbbbbbbbbbbbbb", .degraded = "no FIFO"};
    struct ei_report_run a, b;
    struct ei_comparison comparison;
    struct einet_error err = {0};
    EI_REQUIRE(load(&a, "a", &one, &err) == 0 && load(&b, "b", &other, &err) == 0);
    EI_REQUIRE(ei_compare(&a, &b, &comparison, &err) == 0);
    EI_EQ(comparison.warning_count, 2);
    EI_CONTAINS(comparison.warnings[0], "B is DEGRADED: no FIFO");
    EI_CONTAINS(comparison.warnings[1], "workload files differ (sha256 aaaaaaaaaaaa and bbbbbbbbbbbb)");
    ei_comparison_fini(&comparison);
    ei_report_run_fini(&b);
    const struct sample_options without = {.seed = 1, .jobs = 300, .has_no_jobs_csv = true};
    EI_REQUIRE(load(&b, "c", &without, &err) == 0);
    EI_TRUE(!b.has_jobs);
    EI_EQ(ei_compare(&a, &b, &comparison, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "/c has no jobs.csv");
    ei_report_run_fini(&a);
    ei_report_run_fini(&b);
}

EI_TEST(runs_without_a_common_task_are_refused)
{
    const struct sample_options options = {.seed = 1, .jobs = 300};
    struct ei_report_run a, b;
    struct ei_comparison comparison;
    struct einet_error err = {0};
    EI_REQUIRE(load(&a, "a", &options, &err) == 0 && load(&b, "b", &options, &err) == 0);
    b.tasks[0].name = "other";
    EI_REQUIRE(ei_compare(&a, &b, &comparison, &err) == 0);
    EI_EQ(comparison.task_count, 2);
    EI_EQ(comparison.warning_count, 2);
    EI_STREQ(comparison.warnings[0], "task control is in A only");
    EI_STREQ(comparison.warnings[1], "task other is in B only");
    ei_comparison_fini(&comparison);
    b.tasks[1].name = "another";
    b.tasks[2].name = "third";
    EI_EQ(ei_compare(&a, &b, &comparison, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "no task in common");
    ei_report_run_fini(&a);
    ei_report_run_fini(&b);
}

EI_MAIN()
