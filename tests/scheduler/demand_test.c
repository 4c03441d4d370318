/* EDF: textbook examples, the quick search against a scan of every instant, Jeffay's condition, and the schedule. */
#include "scheduler/demand.h"

#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/scheduler/reference_schedule.h"

#include <stdlib.h>

#define TASKS_MAX 6
#define MS INT64_C(1000000)

static int64_t below(struct ei_random *rng, int64_t n)
{
    return (int64_t)ei_random_below(rng, (uint64_t)(n < 1 ? 1 : n));
}

/* Buttazzo, "Hard Real-Time Computing Systems", section 4.6 (processor demand): (C, D, T) = (2, 4, 6), (2, 5, 8),
 * (3, 7, 9). The demand at 4, 5, 7, 10, 13, 16, 21, 22 is 2, 4, 7, 9, 11, 16, 18, 20: feasible, and 7 and 16 are tight.
 */
EI_TEST(demand_buttazzo_example)
{
    struct ei_demand_task tasks[] = {
        {6 * MS, 4 * MS, 0, 2 * MS, 0}, {8 * MS, 5 * MS, 0, 2 * MS, 0}, {9 * MS, 7 * MS, 0, 3 * MS, 0}};
    EI_TRUE(ei_demand_is_schedulable(tasks, 3));
    EI_EQ(ei_demand_slack(tasks, 3), 0);
    EI_EQ(ei_demand_smallest_deadline_ns(tasks, 3, 2), 7 * MS);
    EI_EQ(ei_demand_largest_scale_ppm(tasks, 3, 2, 10 * 1000000), 1000000);
    EI_EQ(ei_demand_response(tasks, 3, 2), 7 * MS);
    tasks[2].deadline_ns--;
    EI_TRUE(!ei_demand_is_schedulable(tasks, 3));
    EI_EQ(ei_demand_slack(tasks, 3), EI_DEMAND_NO_BOUND);
    EI_EQ(ei_demand_smallest_deadline_ns(tasks, 3, 2), EI_DEMAND_NO_BOUND);
}

/* Liu, Layland 1973, theorem 7: with D = T every set of utilisation 1 is feasible, here 1/2 + 1/3 + 1/6, and none
 * above. */
EI_TEST(demand_liu_layland_full_utilisation)
{
    struct ei_demand_task tasks[] = {
        {2 * MS, 2 * MS, 0, MS, 0}, {3 * MS, 3 * MS, 0, MS, 0}, {6 * MS, 6 * MS, 0, MS, 0}};
    EI_TRUE(ei_demand_is_schedulable(tasks, 3));
    EI_EQ(ei_demand_busy_period(tasks, 3), 6 * MS);
    tasks[2].wcet_ns++;
    EI_TRUE(!ei_demand_is_schedulable(tasks, 3));
}

EI_TEST(demand_block_of_a_later_deadline)
{
    struct ei_demand_task tasks[] = {{10, 6, 0, 4, 0}, {100, 50, 0, 20, 2}};
    EI_TRUE(ei_demand_is_schedulable(tasks, 2));
    EI_EQ(ei_demand_response(tasks, 2, 0), 6);
    EI_EQ(ei_demand_slack(tasks, 2), 0);
    tasks[1].max_nonpreemptive_ns = 3;
    EI_TRUE(!ei_demand_is_schedulable(tasks, 2));
    tasks[1].max_nonpreemptive_ns = 1;
    EI_EQ(ei_demand_slack(tasks, 2), 1);
}

/* The definition, instant by instant. */
static bool scan(const struct ei_demand_task *tasks, int32_t count)
{
    const int64_t busy_ns = ei_demand_busy_period(tasks, count);
    for (int64_t t = 0; t <= busy_ns; t++) {
        int64_t need_ns = 0;
        for (int32_t j = 0; j < count; j++) {
            const int64_t span_ns = t + tasks[j].jitter_ns - tasks[j].deadline_ns;
            need_ns += span_ns < 0 ? 0 : (span_ns / tasks[j].period_ns + 1) * tasks[j].wcet_ns;
        }
        int64_t block_ns = 0;
        for (int32_t j = 0; j < count; j++) {
            if (tasks[j].deadline_ns > t && tasks[j].max_nonpreemptive_ns > block_ns) {
                block_ns = tasks[j].max_nonpreemptive_ns;
            }
        }
        bool has_demand = false; /* only at instants by which something is due */
        for (int32_t j = 0; j < count; j++) {
            has_demand |= t + tasks[j].jitter_ns >= tasks[j].deadline_ns;
        }
        if (has_demand && need_ns + block_ns > t) {
            return false;
        }
    }
    return busy_ns > 0;
}

static int32_t draw(struct ei_random *rng, struct ei_demand_task *tasks, double utilisation, bool has_jitter,
                    bool has_blocks)
{
    const int32_t count = 2 + (int32_t)below(rng, TASKS_MAX - 1);
    double left = utilisation;
    for (int32_t i = 0; i < count; i++) {
        const double rest = i < count - 1 ? left * pow(ei_random_unit(rng), 1.0 / (count - 1 - i)) : 0.0;
        const int64_t period_ns = 20 + below(rng, 200);
        const int64_t wcet_ns = 1 + (int64_t)((left - rest) * (double)period_ns);
        left = rest;
        tasks[i] = (struct ei_demand_task){
            .period_ns = period_ns,
            .wcet_ns = wcet_ns,
            .deadline_ns = wcet_ns + below(rng, 2 * period_ns),
            .jitter_ns = has_jitter && below(rng, 2) == 0 ? below(rng, period_ns / 4) : 0,
            .max_nonpreemptive_ns = has_blocks ? below(rng, wcet_ns + 1) : 0,
        };
    }
    return count;
}

EI_TEST(demand_quick_search_agrees_with_the_scan)
{
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    int32_t yes = 0, no = 0;
    for (int32_t n = 0; n < 3000; n++) {
        struct ei_demand_task tasks[TASKS_MAX];
        const int32_t count = draw(&rng, tasks, 0.4 + 0.55 * ei_random_unit(&rng), true, n % 2 == 0);
        const bool is_ok = ei_demand_is_schedulable(tasks, count);
        EI_TRUEF(is_ok == scan(tasks, count), "seed 5 set %d: quick search says %d", (int)n, is_ok);
        yes += is_ok;
        no += !is_ok;
    }
    EI_TRUE(yes > 500 && no > 500);
}

/* Jeffay, Stanat, Martel 1991, theorem 4.1, for non-preemptive EDF with D = T in whole units of time: exact. There a
 * block has begun a whole unit before the others come, so it still lasts C - 1. */
static bool jeffay(const struct ei_demand_task *tasks, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        for (int64_t length = 1; length < tasks[i].period_ns; length++) {
            int64_t need_ns = tasks[i].wcet_ns;
            bool has_shorter = false;
            for (int32_t j = 0; j < count; j++) {
                if (tasks[j].period_ns < length && j != i) {
                    need_ns += (length - 1) / tasks[j].period_ns * tasks[j].wcet_ns;
                    has_shorter = true;
                }
            }
            if (has_shorter && need_ns > length) {
                return false;
            }
        }
    }
    return true;
}

EI_TEST(demand_agrees_with_jeffay_1991)
{
    struct ei_random rng;
    ei_random_init(&rng, 6, 0);
    int32_t yes = 0, no = 0;
    for (int32_t n = 0; n < 1500; n++) {
        struct ei_demand_task tasks[TASKS_MAX];
        const int32_t count = draw(&rng, tasks, 0.3 + 0.5 * ei_random_unit(&rng), false, false);
        double utilisation = 0.0;
        for (int32_t i = 0; i < count; i++) {
            tasks[i].deadline_ns = tasks[i].period_ns;
            tasks[i].max_nonpreemptive_ns = tasks[i].wcet_ns - 1;
            utilisation += (double)tasks[i].wcet_ns / (double)tasks[i].period_ns;
        }
        if (utilisation > 0.999) {
            continue;
        }
        const bool is_ok = ei_demand_is_schedulable(tasks, count);
        EI_TRUEF(is_ok == jeffay(tasks, count), "seed 6 set %d: we say %d", (int)n, is_ok);
        yes += is_ok;
        no += !is_ok;
    }
    EI_TRUE(yes > 200 && no > 200);
}

static void play(struct ei_random *rng, const struct ei_demand_task *tasks, int32_t count, int32_t number,
                 struct reference_result *out_seen)
{
    struct ei_rta_segment segments[TASKS_MAX];
    struct ei_rta_task played[TASKS_MAX];
    struct reference_pattern pattern = {.is_edf = true, .is_low_first = true, .seed = ei_random_u64(rng)};
    for (int32_t i = 0; i < count; i++) {
        segments[i] = (struct ei_rta_segment){.cpu = 0,
                                              .lane = EI_RTA_NOWHERE,
                                              .wcet_ns = tasks[i].wcet_ns,
                                              .max_nonpreemptive_ns = tasks[i].max_nonpreemptive_ns};
        played[i] = (struct ei_rta_task){.after = EI_RTA_NO_TASK,
                                         .period_ns = tasks[i].period_ns,
                                         .jitter_ns = tasks[i].jitter_ns,
                                         .deadline_ns = tasks[i].deadline_ns,
                                         .segments = &segments[i],
                                         .segment_count = 1};
        const int64_t spread_ns = number == 0 ? 1 : number == 1 ? 3 : tasks[i].period_ns;
        pattern.first_ns[i] = below(rng, spread_ns);
    }
    pattern.jitter = number < 3 ? REFERENCE_JITTER_FIRST : REFERENCE_JITTER_RANDOM;
    pattern.gap_pct = number < 3 ? 0 : 20;
    pattern.short_pct = number < 4 ? 0 : 30;
    pattern.horizon_ns = 4000;
    reference_play(played, count, &pattern, out_seen);
}

struct tally {
    int64_t tasks, violations, misses;
    double tightness;
};

/* Responses in the schedule against the bounds of `known`, which may leave something out. */
static struct tally compare(int32_t sets, bool is_blind)
{
    struct tally tally = {0};
    struct ei_random rng;
    ei_random_init(&rng, 8, 0);
    for (int32_t n = 0; n < sets; n++) {
        struct ei_demand_task tasks[TASKS_MAX], known[TASKS_MAX];
        const int32_t count = draw(&rng, tasks, 0.5 + 0.45 * ei_random_unit(&rng), true, n % 4 != 0);
        int64_t worst_ns[TASKS_MAX] = {0};
        for (int32_t i = 0; i < count; i++) {
            known[i] = tasks[i];
            known[i].max_nonpreemptive_ns = is_blind ? 0 : tasks[i].max_nonpreemptive_ns;
        }
        const bool is_schedulable = ei_demand_is_schedulable(known, count);
        for (int32_t p = 0; p < 6; p++) {
            struct reference_result seen;
            play(&rng, tasks, count, p, &seen);
            for (int32_t i = 0; i < count; i++) {
                worst_ns[i] = seen.response_ns[i] > worst_ns[i] ? seen.response_ns[i] : worst_ns[i];
            }
        }
        for (int32_t i = 0; i < count; i++) {
            const int64_t bound_ns = ei_demand_response(known, count, i);
            if (bound_ns != EI_DEMAND_NO_BOUND) {
                tally.tasks++;
                tally.violations += worst_ns[i] > bound_ns;
                tally.tightness += (double)worst_ns[i] / (double)bound_ns;
            }
            tally.misses += is_schedulable && worst_ns[i] > tasks[i].deadline_ns;
        }
    }
    return tally;
}

EI_TEST(demand_bounds_hold_in_the_schedule)
{
    const char *wanted = getenv("EINET_TEST_SETS");
    const struct tally t = compare(wanted != NULL ? atoi(wanted) : 300, false);
    printf(
        "EDF: seed 8, %lld tasks bounded, %lld over the bound, %lld misses of accepted sets; longest response / bound "
        "%.3f on average\n",
        (long long)t.tasks, (long long)t.violations, (long long)t.misses, t.tightness / (double)t.tasks);
    EI_EQ(t.violations, 0);
    EI_EQ(t.misses, 0);
    EI_IN(t.tightness / (double)t.tasks, 0.6, 1.0);
    const struct tally blind = compare(200, true);
    EI_TRUE(blind.violations > 0 && blind.misses > 0);
}

/* Without blocks and jitter the test is exact: what it refuses misses when all come together. */
EI_TEST(demand_refuses_only_what_misses)
{
    struct ei_random rng;
    ei_random_init(&rng, 9, 0);
    int32_t refused = 0;
    for (int32_t n = 0; n < 400; n++) {
        struct ei_demand_task tasks[TASKS_MAX];
        const int32_t count = draw(&rng, tasks, 0.6 + 0.3 * ei_random_unit(&rng), false, false);
        for (int32_t i = 0; i < count; i++) { /* short deadlines, or nearly all is accepted */
            tasks[i].deadline_ns = tasks[i].wcet_ns + below(&rng, tasks[i].period_ns);
        }
        if (ei_demand_busy_period(tasks, count) < 0 || ei_demand_busy_period(tasks, count) > 3000) {
            continue;
        }
        struct reference_result seen;
        play(&rng, tasks, count, 0, &seen);
        bool has_missed = false;
        for (int32_t i = 0; i < count; i++) {
            has_missed |= seen.response_ns[i] > tasks[i].deadline_ns;
        }
        EI_EQ(has_missed, !ei_demand_is_schedulable(tasks, count));
        refused += has_missed;
    }
    EI_TRUEF(refused > 50, "only %d sets missed", (int)refused);
}
