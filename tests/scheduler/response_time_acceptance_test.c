/* How much the bounds give away: of the task sets that exhaustive simulation accepts, how many does the analysis
 * accept?
 *
 * Small periods, so that every set can be played over two hyperperiods for all offsets: first on a grid, also with
 * tasks a moment ahead of it, and, where the analysis does not accept, for each offset there is, and at random with
 * shorter jobs and longer pauses. The simulation is no proof either (it may miss the worst pattern), so the share is
 * what we give away at most. EINET_TEST_SETS=N plays more sets.
 */
#include "scheduler/assign.h"
#include "scheduler/response_time.h"

#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/scheduler/reference_schedule.h"

#include <stdlib.h>

#define TASKS 3
#define GRID_NS 10
#define HYPERPERIOD_NS 240
#define RANDOM_PLAYS 2000

#ifdef EINET_SANITIZED
#define SETS 30
#define LEAST 0.6 /* of so few sets */
#else
#define SETS 240
#define LEAST 0.8
#endif

enum shape { ONE_CPU_PREEMPTIVE, ONE_CPU_BLOCKS, CPU_LANE, ACCELERATED, DRIVEN };

struct set {
    struct ei_rta_task tasks[TASKS];
    struct ei_rta_segment segments[TASKS][6];
    struct ei_rta_state states[TASKS];
    struct ei_rta_bound bounds[TASKS];
};

static struct ei_rta rta;

static int64_t below(struct ei_random *rng, int64_t n)
{
    return (int64_t)ei_random_below(rng, (uint64_t)n);
}

/* Cut C into legs; the network takes about two thirds of it, in blocks. */
static void fill_segments(struct ei_random *rng, enum shape shape, struct set *set, int32_t i, int64_t wcet_ns)
{
    struct ei_rta_task *task = &set->tasks[i];
    struct ei_rta_segment *segment = set->segments[i];
    task->segments = segment;
    const int64_t parts = 2 + below(rng, 3);
    if (shape == ONE_CPU_PREEMPTIVE || shape == ONE_CPU_BLOCKS || wcet_ns < 4) {
        segment[0] = (struct ei_rta_segment){.cpu = 0, .lane = -1, .wcet_ns = wcet_ns};
        segment[0].max_nonpreemptive_ns = shape == ONE_CPU_BLOCKS ? (wcet_ns + parts - 1) / parts : 0;
        task->segment_count = 1;
        return;
    }
    const int64_t pre_ns = wcet_ns / 6 + 1, post_ns = wcet_ns / 12 + 1, net_ns = wcet_ns - pre_ns - post_ns;
    *segment++ = (struct ei_rta_segment){.cpu = 0, .lane = -1, .wcet_ns = pre_ns};
    for (int64_t b = 0; b < parts; b++) {
        const int64_t block_ns = net_ns * (b + 1) / parts - net_ns * b / parts;
        *segment++ = (struct ei_rta_segment){
            .cpu = shape == ACCELERATED ? -1 : 0, .lane = 0, .is_driven = shape == DRIVEN, .wcet_ns = block_ns};
    }
    *segment++ = (struct ei_rta_segment){.cpu = 0, .lane = -1, .wcet_ns = post_ns};
    task->segment_count = (int32_t)(segment - set->segments[i]);
}

/* UUniFast at utilisation 0.7 with periods that divide the hyperperiod. */
static void draw_set(struct ei_random *rng, enum shape shape, struct set *set)
{
    static const int64_t periods[] = {40, 60, 80, 120};
    double left = 0.7;
    *set = (struct set){0};
    for (int32_t i = 0; i < TASKS; i++) {
        const double rest = i < TASKS - 1 ? left * pow(ei_random_unit(rng), 1.0 / (TASKS - 1 - i)) : 0.0;
        struct ei_rta_task *task = &set->tasks[i];
        task->period_ns = periods[below(rng, 4)];
        const int64_t wcet_ns = (int64_t)((left - rest) * (double)task->period_ns) + 1;
        left = rest;
        task->after = EI_RTA_NO_TASK;
        task->deadline_ns = below(rng, 2) == 0 ? task->period_ns : wcet_ns + below(rng, task->period_ns - wcet_ns + 1);
        fill_segments(rng, shape, set, i, wcet_ns);
    }
    ei_assign_deadline_monotonic(set->tasks, TASKS, 80);
}

static bool meets_all(const struct set *set, const struct reference_pattern *pattern)
{
    struct reference_result seen;
    reference_play(set->tasks, TASKS, pattern, &seen);
    for (int32_t i = 0; i < TASKS; i++) {
        if (seen.response_ns[i] > set->tasks[i].deadline_ns) {
            return false;
        }
    }
    return true;
}

static struct reference_pattern pattern_of(enum ei_rta_lane_order order, int64_t horizon_ns)
{
    return (struct reference_pattern){
        .horizon_ns = horizon_ns, .is_low_first = true, .has_lanes_by_deadline = order == EI_RTA_LANES_BY_DEADLINE};
}

/* Every combination of offsets on a grid; each also with task 1 or 2 ahead of the grid by 1 ns, for blocks that have
 * just begun, unless the grid is as fine. */
static bool grid_accepts(const struct set *set, enum ei_rta_lane_order order, int64_t grid_ns)
{
    struct reference_pattern pattern = pattern_of(order, 2 * HYPERPERIOD_NS);
    for (int64_t a = 0; a < set->tasks[1].period_ns; a += grid_ns) {
        for (int64_t b = 0; b < set->tasks[2].period_ns; b += grid_ns) {
            for (int32_t ahead = 0; ahead < (grid_ns > 1 ? 4 : 1); ahead++) {
                pattern.first_ns[0] = GRID_NS;
                pattern.first_ns[1] = GRID_NS + a - (ahead & 1);
                pattern.first_ns[2] = GRID_NS + b - (ahead >> 1);
                if (!meets_all(set, &pattern)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Offsets at random, jobs that run for less than their WCET, and arrivals that come later than they could. */
static bool chance_accepts(struct ei_random *rng, const struct set *set, enum ei_rta_lane_order order)
{
    struct reference_pattern pattern = pattern_of(order, 8 * HYPERPERIOD_NS);
    for (int32_t n = 0; n < RANDOM_PLAYS; n++) {
        for (int32_t i = 0; i < TASKS; i++) {
            pattern.first_ns[i] = below(rng, set->tasks[i].period_ns);
        }
        pattern.seed = ei_random_u64(rng);
        pattern.short_pct = 10 * (n % 8);
        pattern.gap_pct = 10 * (n / 8 % 8);
        if (!meets_all(set, &pattern)) {
            return false;
        }
    }
    return true;
}

static double share_accepted(enum shape shape, enum ei_rta_lane_order order, const char *name)
{
    const char *wanted = getenv("EINET_TEST_SETS");
    const int64_t sets = wanted != NULL ? strtoll(wanted, NULL, 10) : SETS;
    const uint64_t seed = 7;
    struct ei_random rng, plays;
    ei_random_init(&rng, seed, (uint64_t)shape);
    ei_random_init(&plays, seed, (uint64_t)shape + 100);
    int64_t by_simulation = 0, by_both = 0, by_analysis_alone = 0;
    for (int64_t n = 0; n < sets; n++) {
        struct set set;
        draw_set(&rng, shape, &set);
        EI_EQ(ei_rta_init(&rta, set.tasks, set.states, TASKS, NULL), 0);
        rta.lane_order = order;
        const bool is_accepted = ei_rta_solve(&rta, set.bounds);
        bool is_met = grid_accepts(&set, order, GRID_NS);
        if (is_met && !is_accepted) {
            is_met = chance_accepts(&plays, &set, order) && grid_accepts(&set, order, 1);
        }
        by_simulation += is_met;
        by_both += is_met && is_accepted;
        by_analysis_alone += is_accepted && !is_met;
    }
    printf("%s at utilisation 0.7: seed %llu, %lld sets, simulation accepts %lld, analysis %lld of them: %.3f\n", name,
           (unsigned long long)seed, (long long)sets, (long long)by_simulation, (long long)by_both,
           (double)by_both / (double)by_simulation);
    EI_EQ(by_analysis_alone, 0);
    return (double)by_both / (double)by_simulation;
}

EI_TEST(response_time_accepts_what_simulation_accepts_on_one_cpu)
{
    EI_IN(share_accepted(ONE_CPU_PREEMPTIVE, EI_RTA_LANES_BY_PRIORITY, "one CPU, preemptive"), 0.97, 1.0);
    EI_IN(share_accepted(ONE_CPU_BLOCKS, EI_RTA_LANES_BY_PRIORITY, "one CPU, blocks"), LEAST, 1.0);
}

EI_TEST(response_time_accepts_what_simulation_accepts_with_a_lane)
{
    EI_IN(share_accepted(CPU_LANE, EI_RTA_LANES_BY_PRIORITY, "lane of the CPU"), LEAST, 1.0);
    EI_IN(share_accepted(ACCELERATED, EI_RTA_LANES_BY_PRIORITY, "CPU and accelerator"), LEAST, 1.0);
    EI_IN(share_accepted(DRIVEN, EI_RTA_LANES_BY_PRIORITY, "CPU that launches on an accelerator"), LEAST, 1.0);
}

EI_TEST(response_time_accepts_what_simulation_accepts_with_a_lane_by_deadline)
{
    EI_IN(share_accepted(CPU_LANE, EI_RTA_LANES_BY_DEADLINE, "lane of the CPU by deadline"), LEAST, 1.0);
    EI_IN(share_accepted(ACCELERATED, EI_RTA_LANES_BY_DEADLINE, "CPU and accelerator by deadline"), LEAST, 1.0);
    EI_IN(share_accepted(DRIVEN, EI_RTA_LANES_BY_DEADLINE, "CPU that launches on an accelerator by deadline"), LEAST,
          1.0);
}
