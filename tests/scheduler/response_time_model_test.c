/* What the model says of lanes, inheritance, chains, mandatory parts and limits, on sets small enough for pencil and
 * paper; and what is refused.
 */
#include "scheduler/response_time.h"
#include "scheduler/response_time_sensitivity.h"

#include "tests/harness/harness.h"
#include "tests/scheduler/reference_schedule.h"

#include <errno.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
#define NO EI_RTA_NOWHERE

static struct ei_rta rta;
static struct ei_rta_state states[EI_RTA_TASKS_MAX];
static struct ei_rta_bound bounds[EI_RTA_TASKS_MAX];

static struct ei_rta_task task(int32_t priority, int64_t period_ns, const struct ei_rta_segment *segments,
                               int32_t count)
{
    return (struct ei_rta_task){.priority = priority,
                                .after = EI_RTA_NO_TASK,
                                .period_ns = period_ns,
                                .deadline_ns = period_ns,
                                .segments = segments,
                                .segment_count = count};
}

static bool solve(const struct ei_rta_task *tasks, int32_t count)
{
    EI_EQ(ei_rta_init(&rta, tasks, states, count, NULL), 0);
    return ei_rta_solve(&rta, bounds);
}

/* A task in the middle uses no lane, and still waits for the low task's block when the high task asks for the lane. */
EI_TEST(response_time_inherited_priority_delays_the_middle)
{
    const struct ei_rta_segment high[] = {{.cpu = 0, .lane = 0, .wcet_ns = 10}};
    const struct ei_rta_segment middle[] = {{.cpu = 0, .lane = NO, .wcet_ns = 20}};
    const struct ei_rta_segment low[] = {{.cpu = 0, .lane = 0, .wcet_ns = 100, .max_nonpreemptive_ns = 25}};
    const struct ei_rta_task tasks[] = {task(70, 1000, high, 1), task(60, 1000, middle, 1), task(50, 1000, low, 1)};
    EI_TRUE(solve(tasks, 3));
    EI_EQ(bounds[0].response_ns, 25 + 10);
    EI_EQ(bounds[0].blocking_ns, 25);
    EI_EQ(bounds[1].response_ns, 25 + 10 + 20);
    EI_EQ(bounds[1].blocking_ns, 0); /* none at its own requests: it is interference through the high task's */
    EI_EQ(bounds[2].response_ns, 100 + 10 + 20);
    struct reference_result seen;
    const struct reference_pattern pattern = {.horizon_ns = 1000, .is_low_first = true};
    reference_play(tasks, 3, &pattern, &seen);
    for (int32_t i = 0; i < 3; i++) {
        EI_EQ(seen.response_ns[i], bounds[i].response_ns);
    }
}

/* Blocks on a device are launched from a CPU: what is above on that CPU delays them, and they delay nothing there. */
EI_TEST(response_time_blocks_that_a_cpu_launches)
{
    const struct ei_rta_segment law[] = {{.cpu = 0, .lane = NO, .wcet_ns = 5}};
    const struct ei_rta_segment net[] = {
        {.cpu = 0, .lane = 0, .is_driven = true, .wcet_ns = 30, .max_nonpreemptive_ns = 10}};
    const struct ei_rta_segment low[] = {{.cpu = 0, .lane = NO, .wcet_ns = 40}};
    const struct ei_rta_segment other[] = {
        {.cpu = 1, .lane = 0, .is_driven = true, .wcet_ns = 20, .max_nonpreemptive_ns = 8}};
    const struct ei_rta_task tasks[] = {task(70, 100, law, 1), task(60, 1000, net, 1), task(50, 1000, low, 1),
                                        task(40, 1000, other, 1)};
    int64_t cpu_ppm[EI_RTA_CPUS_MAX], lane_ppm[EI_RTA_LANES_MAX];
    EI_TRUE(solve(tasks, 4));
    EI_EQ(bounds[0].response_ns, 5);
    EI_EQ(bounds[1].response_ns, 8 + 5 + 30); /* a lower block, and the law at one of the boundaries */
    EI_EQ(bounds[1].blocking_ns, 8);
    EI_EQ(bounds[2].response_ns, 5 + 40); /* the network's time is no work of the CPU */
    /* The network goes first, and waits on its CPU for what is above it there; low is not, but the bound counts all
     * work of that CPU that is above the task itself. */
    EI_EQ(bounds[3].response_ns, 20 + 30 + 40 + 5);
    ei_rta_utilisation(&rta, cpu_ppm, lane_ppm);
    EI_EQ(cpu_ppm[0], 50000 + 40000);
    EI_EQ(cpu_ppm[1], 0);
    EI_EQ(lane_ppm[0], 30000 + 20000);
    const struct ei_rta_segment wrong[] = {{.cpu = NO, .lane = 0, .is_driven = true, .wcet_ns = 30}};
    const struct ei_rta_task refused[] = {task(70, 100, wrong, 1)};
    EI_EQ(ei_rta_init(&rta, refused, states, 1, NULL), -EINVAL);
}

/* CPU work of a higher task runs in the middle of a block on the CPU's lane, but not of one on an accelerator. */
EI_TEST(response_time_lane_on_the_cpu_and_off_it)
{
    const struct ei_rta_segment law[] = {{.cpu = 0, .lane = NO, .wcet_ns = 5}};
    const struct ei_rta_segment on[] = {{.cpu = 0, .lane = 0, .wcet_ns = 100, .max_nonpreemptive_ns = 50}};
    const struct ei_rta_segment off[] = {{.cpu = NO, .lane = 0, .wcet_ns = 100, .max_nonpreemptive_ns = 50}};
    const struct ei_rta_task with_on[] = {task(80, 50, law, 1), task(50, 1000, on, 1)};
    EI_TRUE(solve(with_on, 2));
    EI_EQ(bounds[0].response_ns, 5);
    EI_EQ(bounds[1].response_ns, 115); /* 100 + 5 ceil(115 / 50) */
    const struct ei_rta_task with_off[] = {task(80, 50, law, 1), task(50, 1000, off, 1)};
    EI_TRUE(solve(with_off, 2));
    EI_EQ(bounds[1].response_ns, 100);
}

/* By deadline, jobs of the lower task that are due first go first: released 2 before, all 12 of one are to come. The
 * higher task's job is due before the lower one's that comes with it. Both happen. */
EI_TEST(response_time_lane_by_deadline_on_an_accelerator)
{
    const struct ei_rta_segment high[] = {{.cpu = NO, .lane = 0, .wcet_ns = 5, .max_nonpreemptive_ns = 5}};
    const struct ei_rta_segment low[] = {{.cpu = NO, .lane = 0, .wcet_ns = 12, .max_nonpreemptive_ns = 4}};
    struct ei_rta_task tasks[] = {task(70, 100, high, 1), task(60, 100, low, 1)};
    struct reference_pattern pattern = {.horizon_ns = 100, .is_low_first = true, .has_lanes_by_deadline = true};
    struct reference_result seen;
    tasks[0].deadline_ns = 20;
    tasks[1].deadline_ns = 22;
    EI_EQ(ei_rta_init(&rta, tasks, states, 2, NULL), 0);
    rta.lane_order = EI_RTA_LANES_BY_DEADLINE;
    EI_TRUE(ei_rta_solve(&rta, bounds));
    EI_EQ(bounds[0].response_ns, 12 - 2 + 5);
    EI_EQ(bounds[1].response_ns, 5 + 12);
    pattern.first_ns[0] = 2;
    reference_play(tasks, 2, &pattern, &seen);
    EI_EQ(seen.response_ns[0], bounds[0].response_ns);
    pattern.first_ns[0] = 1;
    reference_play(tasks, 2, &pattern, &seen);
    EI_EQ(seen.response_ns[1], bounds[1].response_ns);
}

/* CPU, accelerator, CPU below a busy CPU task: each stretch waits for the CPU's load only while it is on the CPU. */
EI_TEST(response_time_stretches_are_cut_where_that_helps)
{
    const struct ei_rta_segment law[] = {{.cpu = 0, .lane = NO, .wcet_ns = 80}};
    const struct ei_rta_segment net[] = {{.cpu = 0, .lane = NO, .wcet_ns = 10},
                                         {.cpu = NO, .lane = 0, .wcet_ns = 5000},
                                         {.cpu = 0, .lane = NO, .wcet_ns = 10}};
    const struct ei_rta_task tasks[] = {task(80, 100, law, 1), task(50, 100000, net, 3)};
    EI_TRUE(solve(tasks, 2));
    EI_EQ(bounds[1].response_ns,
          90 + 5000 + 90); /* what can be under way when the post part is ready is one job of the law */
}

EI_TEST(response_time_mandatory_part_and_blocks_as_segments)
{
    const struct ei_rta_segment high[] = {{.cpu = NO, .lane = 0, .wcet_ns = 10}};
    const struct ei_rta_segment low[] = {
        {.cpu = 1, .lane = NO, .wcet_ns = 7, .mandatory_ns = 7},
        {.cpu = NO, .lane = 0, .wcet_ns = 20, .max_nonpreemptive_ns = 20, .mandatory_ns = 20},
        {.cpu = NO, .lane = 0, .wcet_ns = 30, .max_nonpreemptive_ns = 30},
        {.cpu = NO, .lane = 0, .wcet_ns = 40, .max_nonpreemptive_ns = 40},
        {.cpu = 1, .lane = NO, .wcet_ns = 3, .mandatory_ns = 3},
    };
    struct ei_rta_task tasks[] = {task(80, 60, high, 1), task(50, 1000, low, 5)};
    tasks[1].deadline_ns = 80;
    EI_TRUE(!solve(tasks, 2));
    EI_EQ(bounds[0].response_ns, 40 + 10);
    EI_EQ(bounds[0].blocking_ns, 40);
    EI_EQ(bounds[1].response_ns, 7 + 90 + 20 + 3); /* two jobs of the other before the last block begins */
    EI_EQ(bounds[1].mandatory_ns, 7 + 20 + 10 + 3);
    EI_TRUE(!bounds[1].is_schedulable && bounds[1].is_mandatory_schedulable);
}

/* sensor -> filter -> actuator, released one after the other; a task above them on the filter's CPU. */
EI_TEST(response_time_chain_adds_up)
{
    const struct ei_rta_segment a[] = {{.cpu = 0, .lane = NO, .wcet_ns = 10, .bcet_ns = 4}};
    const struct ei_rta_segment b[] = {{.cpu = 1, .lane = NO, .wcet_ns = 20}};
    const struct ei_rta_segment c[] = {{.cpu = 2, .lane = NO, .wcet_ns = 5}};
    struct ei_rta_task tasks[] = {task(50, 100, a, 1), task(50, 7, b, 1), task(50, 7, c, 1), task(60, 200, b, 1)};
    tasks[1].after = 0;
    tasks[1].deadline_ns = 100;
    tasks[2].after = 1;
    tasks[2].deadline_ns = 54;
    EI_TRUE(!solve(tasks, 4));
    EI_EQ(bounds[0].response_ns, 10);
    EI_EQ(bounds[1].response_ns, 10 + 40);
    EI_EQ(bounds[1].own_response_ns, 40);
    EI_EQ(bounds[2].response_ns, 55);
    EI_EQ(bounds[2].own_response_ns, 5);
    EI_TRUE(!bounds[2].is_schedulable);
    tasks[0].after = 2;
    EI_EQ(ei_rta_init(&rta, tasks, states, 4, NULL), -EINVAL);
}

EI_TEST(response_time_overload_has_no_bound)
{
    const struct ei_rta_segment work[] = {{.cpu = 0, .lane = NO, .wcet_ns = 60}};
    const struct ei_rta_task tasks[] = {task(50, 100, work, 1), task(40, 100, work, 1), task(30, 100, work, 1)};
    EI_TRUE(!solve(tasks, 3));
    EI_EQ(bounds[0].response_ns, 60);
    EI_EQ(bounds[1].response_ns, EI_RTA_NO_BOUND);
    EI_EQ(bounds[2].response_ns, EI_RTA_NO_BOUND);
    EI_EQ(bounds[2].own_response_ns, EI_RTA_NO_BOUND);
    EI_EQ(bounds[2].mandatory_ns, EI_RTA_NO_BOUND);
}

EI_TEST(response_time_largest_numbers_do_not_overflow)
{
    const int64_t huge = EI_RTA_TIME_MAX_NS;
    const struct ei_rta_segment work[] = {{.cpu = 63, .lane = 63, .wcet_ns = huge, .max_nonpreemptive_ns = huge}};
    struct ei_rta_task tasks[EI_RTA_TASKS_MAX];
    for (int32_t i = 0; i < EI_RTA_TASKS_MAX; i++) {
        tasks[i] = task(1 + i % 3, i % 2 == 0 ? 1 : huge, work, 1);
        tasks[i].jitter_ns = huge;
        tasks[i].deadline_ns = INT64_MAX;
    }
    EI_TRUE(solve(tasks, EI_RTA_TASKS_MAX)); /* nobody has a deadline to miss */
    EI_EQ(bounds[EI_RTA_TASKS_MAX - 1].response_ns, EI_RTA_NO_BOUND);
    tasks[0].deadline_ns = huge;
    EI_TRUE(!solve(tasks, EI_RTA_TASKS_MAX));
    int64_t cpu_ppm[EI_RTA_CPUS_MAX], lane_ppm[EI_RTA_LANES_MAX];
    ei_rta_utilisation(&rta, cpu_ppm, lane_ppm);
    EI_TRUE(cpu_ppm[63] > EI_RTA_LOAD_CAP_PPM && lane_ppm[63] == cpu_ppm[63]);
}

EI_TEST(response_time_utilisation_counts_both_places)
{
    const struct ei_rta_segment net[] = {{.cpu = 0, .lane = NO, .wcet_ns = 100}, {.cpu = 1, .lane = 2, .wcet_ns = 500}};
    const struct ei_rta_segment other[] = {{.cpu = NO, .lane = 2, .wcet_ns = 1}};
    const struct ei_rta_task tasks[] = {task(50, 1000, net, 2), task(40, 3, other, 1)};
    (void)solve(tasks, 2);
    int64_t cpu_ppm[EI_RTA_CPUS_MAX], lane_ppm[EI_RTA_LANES_MAX];
    ei_rta_utilisation(&rta, cpu_ppm, lane_ppm);
    EI_EQ(cpu_ppm[0], 100000);
    EI_EQ(cpu_ppm[1], 500000);
    EI_EQ(lane_ppm[2], 833334);
    EI_EQ(lane_ppm[0], 0);
}

EI_TEST(response_time_refuses_what_it_cannot_bound)
{
    struct einet_error err = {0};
    struct ei_rta_segment bad[] = {{.cpu = NO, .lane = NO, .wcet_ns = 1}};
    struct ei_rta_task one = task(50, 100, bad, 1);
    EI_EQ(ei_rta_init(&rta, &one, states, 1, &err), -EINVAL);
    EI_CONTAINS(err.text, "needs a CPU");
    bad[0].cpu = 0;
    bad[0].bcet_ns = 2;
    EI_EQ(ei_rta_init(&rta, &one, states, 1, &err), -EINVAL);
    bad[0].bcet_ns = 0;
    one.period_ns = 0;
    EI_EQ(ei_rta_init(&rta, &one, states, 1, &err), -EINVAL);
    EI_EQ(ei_rta_init(&rta, &one, states, 0, &err), -E2BIG);
    struct ei_rta_segment zigzag[EI_RTA_LEGS_MAX + 1];
    for (int32_t s = 0; s <= EI_RTA_LEGS_MAX; s++) {
        zigzag[s] = (struct ei_rta_segment){.cpu = s % 2, .lane = NO, .wcet_ns = 1};
    }
    one = task(50, 100, zigzag, COUNT(zigzag));
    EI_EQ(ei_rta_init(&rta, &one, states, 1, &err), -E2BIG);
    const struct ei_rta_segment off[] = {{.cpu = 0, .lane = NO, .wcet_ns = 5, .max_nonpreemptive_ns = 5}};
    const struct ei_rta_segment wide0[] = {{.cpu = 0, .lane = 0, .wcet_ns = 5}},
                                wide1[] = {{.cpu = 1, .lane = 0, .wcet_ns = 5}};
    const struct ei_rta_task tasks[] = {task(50, 100, off, 1), task(40, 100, wide0, 1), task(30, 100, wide1, 1)};
    EI_EQ(ei_rta_init(&rta, tasks, states, 3, &err), -ENOTSUP);
    EI_CONTAINS(err.text, "keep the lane on one CPU");
    EI_EQ(ei_rta_init(&rta, tasks, states, 2, &err), 0);
}

/* Both answers are sharp: one step further fails. */
EI_TEST(response_time_sensitivity_is_sharp)
{
    const struct ei_rta_segment law[] = {{.cpu = 0, .lane = NO, .wcet_ns = 300000}};
    const struct ei_rta_segment net[] = {{.cpu = 0, .lane = NO, .wcet_ns = 900000},
                                         {.cpu = 0, .lane = 0, .wcet_ns = 9000000, .max_nonpreemptive_ns = 1100000}};
    struct ei_rta_task tasks[] = {task(80, 5000000, law, 1), task(60, 50000000, net, 2), task(50, 33333000, net, 2)};
    const struct ei_rta_trial trial = {.rta = &rta, .tasks = tasks, .states = states, .count = 3};
    EI_TRUE(solve(tasks, 3));
    const int64_t response_ns = bounds[2].response_ns;
    EI_EQ(ei_rta_smallest_deadline_ns(&trial, 2, tasks[2].deadline_ns), response_ns);
    EI_EQ(ei_rta_smallest_deadline_ns(&trial, 2, response_ns - 1), EI_RTA_NO_BOUND);
    for (int32_t i = 0; i < 3; i++) {
        const int64_t scale_ppm = ei_rta_largest_scale_ppm(&trial, i, 100 * EI_RTA_PPM);
        EI_TRUE(scale_ppm > EI_RTA_PPM);
        EI_EQ(tasks[i].scale_ppm, 0);
        tasks[i].scale_ppm = scale_ppm;
        EI_TRUE(solve(tasks, 3));
        tasks[i].scale_ppm = scale_ppm + 1;
        EI_TRUE(!solve(tasks, 3));
        tasks[i].scale_ppm = 0;
    }
}

static void expect_seen_below_bounds(const struct ei_rta_task *tasks, int32_t count,
                                     const struct reference_pattern *pattern, const int64_t *expected_ns)
{
    struct reference_result seen;
    (void)solve(tasks, count);
    reference_play(tasks, count, pattern, &seen);
    for (int32_t i = 0; i < count; i++) {
        EI_EQ(seen.response_ns[i], expected_ns[i]);
        EI_TRUEF(bounds[i].response_ns == EI_RTA_NO_BOUND || seen.response_ns[i] <= bounds[i].response_ns,
                 "task %d: %lld seen, bound %lld", (int)i, (long long)seen.response_ns[i],
                 (long long)bounds[i].response_ns);
    }
}

/* Blocks of 33 end at 33, 66, 99 and 132: a job that is cut at its deadline of 100 goes on for 32 into the next. */
EI_TEST(response_time_cut_job_leaves_a_block)
{
    const struct ei_rta_segment net[] = {
        {.cpu = 0, .lane = 0, .wcet_ns = 5000, .mandatory_ns = 10, .max_nonpreemptive_ns = 33}};
    struct ei_rta_task tasks[] = {task(50, 100, net, 1)};
    (void)solve(tasks, 1);
    EI_EQ(bounds[0].mandatory_ns, EI_RTA_NO_BOUND);
    tasks[0].is_cut_at_deadline = true;
    EI_TRUE(!solve(tasks, 1));
    EI_EQ(bounds[0].response_ns, EI_RTA_NO_BOUND);
    EI_EQ(bounds[0].mandatory_ns, 33 + 10);
    EI_TRUE(bounds[0].is_mandatory_schedulable);
    struct reference_result seen;
    const struct reference_pattern pattern = {.horizon_ns = 20000, .early_pct = 50, .seed = 4};
    reference_play(tasks, 1, &pattern, &seen);
    EI_EQ(seen.early_ns[0], 32 + 10);
    tasks[0].deadline_ns = 101; /* later than the next job's arrival: nothing is known */
    (void)solve(tasks, 1);
    EI_EQ(bounds[0].mandatory_ns, EI_RTA_NO_BOUND);
    tasks[0].deadline_ns = 42; /* the bound would miss it, so the job before may have, too */
    (void)solve(tasks, 1);
    EI_EQ(bounds[0].mandatory_ns, EI_RTA_NO_BOUND);
}

/* A job that waits for the one before it in its own thread asks for the lane later than its arrival and jitter say. */
EI_TEST(response_time_jobs_queued_in_their_thread_arrive_late)
{
    const struct ei_rta_segment low[] = {{.cpu = NO, .lane = 0, .wcet_ns = 3034, .max_nonpreemptive_ns = 1013}};
    const struct ei_rta_segment high[] = {{.cpu = NO, .lane = 0, .wcet_ns = 1040}};
    const struct ei_rta_segment middle[] = {{.cpu = NO, .lane = 0, .wcet_ns = 440, .max_nonpreemptive_ns = 88}};
    const struct ei_rta_task tasks[] = {task(12, 14331, low, 1), task(37, 1622, high, 1), task(27, 6524, middle, 1)};
    const struct reference_pattern pattern = {.horizon_ns = 6 * 14331, .is_low_first = true};
    expect_seen_below_bounds(tasks, 3, &pattern, (const int64_t[]){9114, 2768, 4598});
}

/* Work that arrived before a window of lane and CPU began, and was held up by the task's own earlier part. */
EI_TEST(response_time_work_is_carried_into_later_stretches)
{
    const struct ei_rta_segment net[] = {{.cpu = 0, .lane = NO, .wcet_ns = 3105, .max_nonpreemptive_ns = 3105},
                                         {.cpu = NO, .lane = 0, .wcet_ns = 151, .max_nonpreemptive_ns = 52},
                                         {.cpu = 0, .lane = NO, .wcet_ns = 191}};
    const struct ei_rta_segment law[] = {{.cpu = 0, .lane = NO, .wcet_ns = 406}};
    struct ei_rta_task tasks[] = {task(25, 7846, net, 3), task(37, 1836, law, 1)};
    tasks[1].jitter_ns = 557;
    const struct reference_pattern pattern = {.horizon_ns = 6 * 7846, .jitter = REFERENCE_JITTER_FIRST};
    expect_seen_below_bounds(tasks, 2, &pattern, (const int64_t[]){4514, 3236});
}
