/* Priority assignment: orders and ties, and Audsley's against every permutation. */
#include "scheduler/assign.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#define TASKS 4

static struct ei_rta rta;
static struct ei_rta_segment segments[TASKS];
static struct ei_rta_task tasks[TASKS];
static struct ei_rta_state states[TASKS];
static struct ei_rta_bound bounds[TASKS];

static void set_task(int32_t i, int64_t wcet_ns, int64_t period_ns, int64_t deadline_ns, int64_t block_ns)
{
    segments[i] =
        (struct ei_rta_segment){.cpu = 0, .lane = EI_RTA_NOWHERE, .wcet_ns = wcet_ns, .max_nonpreemptive_ns = block_ns};
    tasks[i] = (struct ei_rta_task){.priority = 1,
                                    .after = EI_RTA_NO_TASK,
                                    .period_ns = period_ns,
                                    .deadline_ns = deadline_ns,
                                    .segments = &segments[i],
                                    .segment_count = 1};
}

EI_TEST(assign_orders_and_keeps_ties_in_file_order)
{
    set_task(0, 1, 50, 30, 0);
    set_task(1, 1, 20, 30, 0);
    set_task(2, 1, 50, 10, 0);
    set_task(3, 1, 9, 40, 0);
    tasks[3].after = 1; /* has the rate of task 1 */
    ei_assign_rate_monotonic(tasks, TASKS, 80);
    EI_EQ(tasks[1].priority, 80);
    EI_EQ(tasks[3].priority, 79);
    EI_EQ(tasks[0].priority, 78);
    EI_EQ(tasks[2].priority, 77);
    ei_assign_deadline_monotonic(tasks, TASKS, 80);
    EI_EQ(tasks[2].priority, 80);
    EI_EQ(tasks[0].priority, 79);
    EI_EQ(tasks[1].priority, 78);
    EI_EQ(tasks[3].priority, 77);
    ei_assign_deadline_monotonic(tasks, TASKS, 2);
    EI_EQ(tasks[0].priority, 1);
    EI_EQ(tasks[3].priority, 1);
}

/* Lehoczky 1990, section 3: with deadlines beyond the periods the deadline-monotonic order can fail where another
 * holds: C = 52, 52, T = 100, 140, D = 110, 154. */
EI_TEST(assign_audsley_finds_what_monotonic_orders_miss)
{
    set_task(0, 52, 100, 110, 0);
    set_task(1, 52, 140, 154, 0);
    ei_assign_deadline_monotonic(tasks, 2, 80);
    EI_EQ(ei_rta_init(&rta, tasks, states, 2, NULL), 0);
    EI_TRUE(!ei_rta_solve(&rta, bounds));
    EI_TRUE(ei_assign_audsley(&rta, tasks, states, bounds, 2, 80));
    EI_EQ(tasks[1].priority, 80);
    EI_EQ(tasks[0].priority, 79);
    EI_EQ(bounds[0].response_ns, 108);
    EI_EQ(bounds[1].response_ns, 52);
}

static bool holds(void)
{
    return ei_rta_init(&rta, tasks, states, TASKS, NULL) == 0 && ei_rta_solve(&rta, bounds);
}

static bool some_order_holds(int32_t placed)
{
    if (placed == TASKS) {
        return holds();
    }
    for (int32_t i = 0; i < TASKS; i++) {
        if (tasks[i].priority == 0) {
            tasks[i].priority = TASKS - placed;
            const bool is_ok = some_order_holds(placed + 1);
            tasks[i].priority = 0;
            if (is_ok) {
                return true;
            }
        }
    }
    return false;
}

EI_TEST(assign_audsley_finds_an_order_whenever_there_is_one)
{
    const uint64_t seed = 11;
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    int32_t found = 0, missed = 0, beyond_monotonic = 0;
    for (int32_t n = 0; n < 400; n++) {
        for (int32_t i = 0; i < TASKS; i++) {
            const int64_t period_ns = 20 + (int64_t)ei_random_below(&rng, 100);
            const int64_t wcet_ns = 1 + (int64_t)ei_random_below(&rng, (uint64_t)period_ns * 3 / 10);
            set_task(i, wcet_ns, period_ns, wcet_ns + (int64_t)ei_random_below(&rng, 2 * (uint64_t)period_ns),
                     (int64_t)ei_random_below(&rng, (uint64_t)wcet_ns + 1));
            tasks[i].jitter_ns = (int64_t)ei_random_below(&rng, 10);
        }
        ei_assign_deadline_monotonic(tasks, TASKS, TASKS);
        const bool is_monotonic_ok = holds(), is_found = ei_assign_audsley(&rta, tasks, states, bounds, TASKS, 80);
        EI_TRUE(!is_found || holds());
        for (int32_t i = 0; i < TASKS; i++) {
            tasks[i].priority = 0;
        }
        const bool is_possible = some_order_holds(0);
        EI_TRUEF(is_found == is_possible, "seed %d set %d: Audsley %d, some order %d", (int)seed, (int)n, is_found,
                 is_possible);
        found += is_found;
        missed += !is_possible;
        beyond_monotonic += is_found && !is_monotonic_ok;
    }
    EI_TRUEF(found > 50 && missed > 50 && beyond_monotonic >= 3, "found %d, impossible %d, beyond monotonic %d",
             (int)found, (int)missed, (int)beyond_monotonic);
}

EI_TEST(assign_audsley_leaves_priorities_when_there_is_no_order)
{
    set_task(0, 60, 100, 100, 0);
    set_task(1, 60, 100, 100, 0);
    tasks[0].priority = 7;
    tasks[1].priority = 9;
    EI_TRUE(!ei_assign_audsley(&rta, tasks, states, bounds, 2, 80));
    EI_EQ(tasks[0].priority, 7);
    EI_EQ(tasks[1].priority, 9);
    EI_TRUE(!ei_assign_audsley(&rta, tasks, states, bounds, 2, 1));
}
