/* The figures over sequences, each against brute force: gap cover, mk windows, longest run, Wilson's interval; and the
 * numbers as people read them.
 */
#include "metrics/gaps.h"
#include "metrics/outcomes.h"
#include "metrics/table_text.h"
#include "rt/random.h"
#include "tests/harness/harness.h"

#define SPAN_NS 200
#define SEED 20240501

static struct ei_cpuset cpus_of(int first, int last)
{
    struct ei_cpuset cpus = {0};
    for (int cpu = first; cpu <= last; cpu++) {
        ei_cpuset_add(&cpus, cpu);
    }
    return cpus;
}

EI_TEST(gap_cover_equals_counting_every_ns)
{
    struct ei_random rng;
    ei_random_init(&rng, SEED, 1);
    const struct ei_cpuset all = cpus_of(0, 2);
    const struct ei_cpuset asked = cpus_of(1, 2);
    for (int trial = 0; trial < 500; trial++) {
        struct ei_gap_history history;
        EI_REQUIRE(ei_gap_history_init(&history, &all, 64) == 0);
        bool covered[SPAN_NS] = {false};
        for (int cpu = 0; cpu < 3; cpu++) {
            /* Ends rise, but a gap may begin before its predecessor ended. */
            int64_t end_ns = 0;
            while (true) {
                end_ns += 1 + (int64_t)ei_random_below(&rng, 30);
                const int64_t length_ns = 1 + (int64_t)ei_random_below(&rng, 20);
                if (end_ns >= SPAN_NS) {
                    break;
                }
                const int64_t start_ns = end_ns > length_ns ? end_ns - length_ns : 0;
                ei_gap_history_add(&history, cpu, (struct ei_gap){start_ns, end_ns});
                for (int64_t t = start_ns; cpu > 0 && t < end_ns; t++) {
                    covered[t] = true;
                }
            }
        }
        for (int query = 0; query < 20; query++) {
            const int64_t from_ns = (int64_t)ei_random_below(&rng, SPAN_NS);
            const int64_t to_ns = from_ns + (int64_t)ei_random_below(&rng, (uint64_t)(SPAN_NS - from_ns));
            int64_t expected_ns = 0;
            for (int64_t t = from_ns; t < to_ns; t++) {
                expected_ns += covered[t];
            }
            EI_EQ(ei_gap_history_covered_ns(&history, &asked, from_ns, to_ns), expected_ns);
        }
        ei_gap_history_fini(&history);
    }
}

EI_TEST(gap_history_forgets_the_oldest)
{
    const struct ei_cpuset cpus = cpus_of(0, 0);
    struct ei_gap_history history;
    EI_REQUIRE(ei_gap_history_init(&history, &cpus, 3) == 0);
    for (int64_t i = 0; i < 5; i++) {
        ei_gap_history_add(&history, 0, (struct ei_gap){10 * i, 10 * i + 4});
    }
    EI_EQ(ei_gap_history_covered_ns(&history, &cpus, 0, 100), 12); /* the three newest */
    EI_EQ(ei_gap_history_covered_ns(&history, &cpus, 0, 20), 0);
    EI_EQ(ei_gap_history_covered_ns(&history, &cpus, 22, 31), 3);
    ei_gap_history_add(&history, 0, (struct ei_gap){0, 30}); /* ends before its predecessor: not taken */
    ei_gap_history_add(&history, 7, (struct ei_gap){0, 90}); /* a CPU that nobody asked for */
    EI_EQ(ei_gap_history_covered_ns(&history, &cpus, 0, 100), 12);
    ei_gap_history_fini(&history);
}

/* Worst number of misses in any k consecutive outcomes, or in all when there are fewer. */
static int32_t brute_mk(const uint8_t *missed, int n, int k)
{
    int32_t worst = 0;
    for (int first = 0; first < n; first++) {
        int32_t count = 0;
        for (int i = first; i < n && i < first + k; i++) {
            count += missed[i];
        }
        worst = count > worst ? count : worst;
    }
    return worst;
}

static int64_t brute_run(const uint8_t *missed, int n)
{
    int64_t longest = 0, run = 0;
    for (int i = 0; i < n; i++) {
        run = missed[i] ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

EI_TEST(mk_and_longest_run_equal_brute_force)
{
    struct ei_random rng;
    ei_random_init(&rng, SEED, 2);
    for (int trial = 0; trial < 400; trial++) {
        enum { N_MAX = 300 };
        uint8_t missed[N_MAX], unexplained[N_MAX];
        const int n = 1 + (int)ei_random_below(&rng, N_MAX);
        const int k = 1 + (int)ei_random_below(&rng, 40);
        const double density = ei_random_unit(&rng);
        struct ei_outcome_sequence sequence;
        EI_REQUIRE(ei_outcome_sequence_init(&sequence, 16, k) == 0);
        for (int i = 0; i < n; i++) {
            missed[i] = ei_random_unit(&rng) < density;
            unexplained[i] = missed[i] && ei_random_unit(&rng) < 0.5;
        }
        /* Handed over in pairs swapped at random: the sequence must put them back in order. */
        for (int i = 0; i < n; i += 2) {
            const int swap = i + 1 < n && ei_random_unit(&rng) < 0.5;
            for (int part = 0; part < 2 && i + part < n; part++) {
                const int at = i + (swap ? 1 - part : part);
                ei_outcome_sequence_add(&sequence, at,
                                        !missed[at]       ? EI_OUTCOME_MET
                                        : unexplained[at] ? EI_OUTCOME_UNEXPLAINED
                                                          : EI_OUTCOME_EXPLAINED);
            }
        }
        ei_outcome_sequence_flush(&sequence);
        EI_EQ(sequence.mk.worst, brute_mk(missed, n, k));
        EI_EQ(sequence.mk_unexplained.worst, brute_mk(unexplained, n, k));
        EI_EQ(sequence.longest_run, brute_run(missed, n));
        ei_outcome_sequence_fini(&sequence);
    }
}

EI_TEST(mk_window_at_its_limit)
{
    struct ei_mk_window window;
    EI_REQUIRE(ei_mk_window_init(&window, 10000) == 0);
    for (int i = 0; i < 30000; i++) {
        ei_mk_window_add(&window, i % 10000 == 0);
    }
    EI_EQ(window.worst, 1);
    ei_mk_window_add(&window, 1);
    ei_mk_window_add(&window, 1);
    EI_EQ(window.worst, 2); /* release 20000 has just left, 30000 and 30001 are in */
    ei_mk_window_fini(&window);
}

EI_TEST(outcomes_survive_lost_and_late_records)
{
    struct ei_outcome_sequence sequence;
    EI_REQUIRE(ei_outcome_sequence_init(&sequence, 8, 3) == 0);
    ei_outcome_sequence_add(&sequence, 0, EI_OUTCOME_UNEXPLAINED);
    ei_outcome_sequence_add(&sequence, 2, EI_OUTCOME_UNEXPLAINED); /* waits for release 1 */
    EI_EQ(sequence.longest_run, 1);
    ei_outcome_sequence_add(&sequence, 9, EI_OUTCOME_MET); /* release 1 is now too far behind */
    EI_EQ(sequence.longest_run, 2);
    ei_outcome_sequence_add(&sequence, 1, EI_OUTCOME_UNEXPLAINED); /* too late: ignored */
    EI_EQ(sequence.longest_run, 2);
    ei_outcome_sequence_add(&sequence, INT64_C(1) << 50, EI_OUTCOME_UNEXPLAINED); /* ends, and at once */
    EI_EQ(sequence.run, 1);
    ei_outcome_sequence_add(&sequence, (INT64_C(1) << 50) + 1, EI_OUTCOME_UNCOUNTED);
    ei_outcome_sequence_add(&sequence, (INT64_C(1) << 50) + 2, EI_OUTCOME_UNEXPLAINED);
    EI_EQ(sequence.run, 2);
    EI_EQ(sequence.mk.worst, 2);
    ei_outcome_sequence_fini(&sequence);
}

EI_TEST(wilson_interval_solves_its_equation)
{
    const double z = 1.959963984540054;
    double low, high;
    for (int64_t n = 1; n <= 60; n++) {
        for (int64_t part = 0; part <= n; part++) {
            ei_wilson95(part, n, &low, &high);
            const double p = (double)part / (double)n;
            EI_TRUE(low >= 0.0 && high <= 1.0 && low <= p && p <= high);
            /* Both ends are the proportions from which p is exactly z standard deviations away. */
            if (part > 0) {
                EI_NEAR(p - low, z * sqrt(low * (1.0 - low) / (double)n), 1e-12);
            } else {
                EI_NEAR(low, 0.0, 0.0);
            }
            if (part < n) {
                EI_NEAR(high - p, z * sqrt(high * (1.0 - high) / (double)n), 1e-12);
            } else {
                EI_NEAR(high, 1.0, 0.0);
            }
        }
    }
    ei_wilson95(5, 10, &low, &high); /* the textbook example */
    EI_NEAR(low, 0.2366, 5e-5);
    EI_NEAR(high, 0.7634, 5e-5);
}

/* Every proportion of a grid that lies within z standard deviations, and no other, is inside. */
EI_TEST(wilson_interval_holds_what_trying_every_proportion_finds)
{
    const double z = 1.959963984540054, step = 1e-4;
    static const int64_t sizes[] = {1, 2, 7, 40, 1000, 100000};
    double low, high;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t n = sizes[i];
        for (int64_t part = 0; part <= n; part += n < 40 ? 1 : n / 40) {
            double first = 2.0, last = -1.0;
            for (int at = 0; at <= 10000; at++) {
                const double p = step * at, away = fabs((double)part / (double)n - p);
                if (away * away * (double)n <= z * z * p * (1.0 - p) + 1e-12) {
                    first = p < first ? p : first;
                    last = p > last ? p : last;
                }
            }
            ei_wilson95(part, n, &low, &high);
            EI_TRUEF(first >= low - 1e-9 && first <= low + step, "%lld of %lld: from %g, not %g", (long long)part,
                     (long long)n, low, first);
            EI_TRUEF(last <= high + 1e-9 && last >= high - step, "%lld of %lld: to %g, not %g", (long long)part,
                     (long long)n, high, last);
        }
    }
}

static void check_duration(int64_t value_ns, const char *expected)
{
    char text[32];
    EI_STREQ(ei_text_duration(text, sizeof text, value_ns), expected);
}

EI_TEST(texts_of_others_steer_no_terminal)
{
    char text[] = "a\x1b[31mb\n\x7f\xc2\x9b"
                  "c\xc2\xa0\xc3\xa9\t",
         same[] = "line\nnext";
    ei_text_make_plain(text, false);
    EI_STREQ(text, "a?[31mb????"
                   "c\xc2\xa0\xc3\xa9?");
    ei_text_make_plain(same, true);
    EI_STREQ(same, "line\nnext");
    ei_text_make_plain(same, false);
    EI_STREQ(same, "line?next");
}

EI_TEST(durations_read_well)
{
    check_duration(0, "0 ns");
    check_duration(999, "999 ns");
    check_duration(1000, "1 us");
    check_duration(42000, "42 us");
    check_duration(199400, "199 us");
    check_duration(200000, "0.2 ms");
    check_duration(2000000, "2 ms");
    check_duration(33333000, "33.3 ms");
    check_duration(29700000, "29.7 ms");
    check_duration(120400000, "120 ms");
    check_duration(100000000, "100 ms");
    check_duration(1500000000, "1.5 s");
    check_duration(30000000000, "30 s");
    char text[64];
    const int64_t response_ns[] = {340000, 410000, 1900000};
    EI_STREQ(ei_text_durations(text, sizeof text, response_ns, 3, 2000000, false), "0.34/0.41/1.9 ms");
    EI_STREQ(ei_text_durations(text, sizeof text, response_ns, 3, 2000000, true), "0.34/0.41/1.9");
    EI_STREQ(ei_text_durations(text, 8, response_ns, 3, 2000000, false), "0.34/0.");
    EI_STREQ(ei_text_percent(text, sizeof text, 0.0044444), "0.44%");
    EI_STREQ(ei_text_percent(text, sizeof text, 0.0), "0.00%");
    EI_STREQ(ei_text_percent(text, sizeof text, 0.719), "71.9%");
    EI_STREQ(ei_text_percent(text, sizeof text, 1.0), "100%");
}

EI_MAIN()
