/* Examples from the literature, to the nanosecond. Times of the sources are taken as milliseconds unless said. */
#include "scheduler/response_time.h"
#include "scheduler/response_time_sensitivity.h"

#include "tests/harness/harness.h"

#define MS INT64_C(1000000)
#define TASKS_MAX 4

static struct ei_rta rta;
static struct ei_rta_state states[TASKS_MAX];
static struct ei_rta_bound bounds[TASKS_MAX];

/* One CPU; priority by position, first is highest. block = longest time with preemption off. */
struct row {
    int64_t wcet_us, period_us, deadline_us, jitter_us, block_us;
};

static struct ei_rta_segment segments[TASKS_MAX];
static struct ei_rta_task tasks[TASKS_MAX];

static bool solve(const struct row *rows, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        segments[i] = (struct ei_rta_segment){.cpu = 0,
                                              .lane = EI_RTA_NOWHERE,
                                              .wcet_ns = rows[i].wcet_us * 1000,
                                              .max_nonpreemptive_ns = rows[i].block_us * 1000};
        tasks[i] = (struct ei_rta_task){.priority = 90 - i,
                                        .after = EI_RTA_NO_TASK,
                                        .period_ns = rows[i].period_us * 1000,
                                        .jitter_ns = rows[i].jitter_us * 1000,
                                        .deadline_ns = rows[i].deadline_us * 1000,
                                        .segments = &segments[i],
                                        .segment_count = 1};
    }
    EI_EQ(ei_rta_init(&rta, tasks, states, count, NULL), 0);
    return ei_rta_solve(&rta, bounds);
}

static const struct ei_rta_trial trial = {.rta = &rta, .tasks = tasks, .states = states, .count = 2};

/* Liu, Layland 1973, "Scheduling algorithms for multiprogramming in a hard-real-time environment", section 4, figure 2:
 * T = 2 and 5, C = 1 and 1. With the rate-monotonic order C2 can grow to 2 and no further; with the other order nothing
 * can grow. */
EI_TEST(response_time_liu_layland_1973)
{
    const struct row monotonic[] = {{1000, 2000, 2000, 0, 0}, {1000, 5000, 5000, 0, 0}};
    EI_TRUE(solve(monotonic, 2));
    EI_EQ(bounds[0].response_ns, 1 * MS);
    EI_EQ(bounds[1].response_ns, 2 * MS);
    EI_EQ(ei_rta_largest_scale_ppm(&trial, 1, 10 * EI_RTA_PPM), 2 * EI_RTA_PPM);
    EI_EQ(tasks[1].scale_ppm, 0);
    const struct row other[] = {{1000, 5000, 5000, 0, 0}, {1000, 2000, 2000, 0, 0}};
    EI_TRUE(solve(other, 2));
    EI_EQ(bounds[1].response_ns, 2 * MS);
    EI_EQ(ei_rta_largest_scale_ppm(&trial, 0, 10 * EI_RTA_PPM), EI_RTA_PPM);
    EI_EQ(ei_rta_largest_scale_ppm(&trial, 1, 10 * EI_RTA_PPM), EI_RTA_PPM);
}

/* Joseph, Pandya 1986, "Finding response times in a real-time system", equation of the worst case, on the set of Sha,
 * Goodenough 1990, "Real-time scheduling theory and Ada", with C1 = 40: the third task ends at 300. */
EI_TEST(response_time_joseph_pandya_1986)
{
    const struct row rows[] = {
        {40000, 100000, 100000, 0, 0}, {40000, 150000, 150000, 0, 0}, {100000, 350000, 350000, 0, 0}};
    EI_TRUE(solve(rows, 3));
    EI_EQ(bounds[0].response_ns, 40 * MS);
    EI_EQ(bounds[1].response_ns, 80 * MS);
    EI_EQ(bounds[2].response_ns, 300 * MS);
}

/* Audsley, Burns, Richardson, Tindell, Wellings 1993 iterate the same equation; the set (T, C) = (7, 3), (12, 3),
 * (20, 5) with responses 3, 6, 20 is worked out in Burns, Wellings, "Real-Time Systems and Programming Languages". */
EI_TEST(response_time_audsley_1993)
{
    const struct row rows[] = {{3000, 7000, 7000, 0, 0}, {3000, 12000, 12000, 0, 0}, {5000, 20000, 20000, 0, 0}};
    EI_TRUE(solve(rows, 3));
    EI_EQ(bounds[0].response_ns, 3 * MS);
    EI_EQ(bounds[1].response_ns, 6 * MS);
    EI_EQ(bounds[2].response_ns, 20 * MS);
}

/* Lehoczky 1990, "Fixed priority scheduling of periodic task sets with arbitrary deadlines": C = 26, 62, T = 70, 100.
 * The seven jobs of the busy period answer after 114, 102, 116, 104, 118, 106, 94: the worst is the fifth. */
EI_TEST(response_time_lehoczky_1990)
{
    const struct row rows[] = {{26000, 70000, 70000, 0, 0}, {62000, 100000, 118000, 0, 0}};
    EI_TRUE(solve(rows, 2));
    EI_EQ(bounds[0].response_ns, 26 * MS);
    EI_EQ(bounds[1].response_ns, 118 * MS);
    EI_EQ(ei_rta_smallest_deadline_ns(&trial, 1, 200 * MS), 118 * MS);
    EI_EQ(tasks[1].deadline_ns, 118 * MS);
}

/* Davis, Burns, Bril, Lukkien 2007, "Controller Area Network (CAN) schedulability analysis: refuted, revisited and
 * revised", table 2: three messages of 1 ms, T = 2.5, 3.5, 3.5, D = 2.5, 3.25, 3.25. The earlier analysis gave 3.0 for
 * the third; its second instance takes 3.5 and misses. */
EI_TEST(response_time_davis_2007_can)
{
    const struct row rows[] = {{1000, 2500, 2500, 0, 1000}, {1000, 3500, 3250, 0, 1000}, {1000, 3500, 3250, 0, 1000}};
    EI_TRUE(!solve(rows, 3));
    EI_EQ(bounds[0].response_ns, 2 * MS);
    EI_EQ(bounds[1].response_ns, 3 * MS);
    EI_EQ(bounds[2].response_ns, 3500000);
    EI_TRUE(bounds[0].is_schedulable && bounds[1].is_schedulable && !bounds[2].is_schedulable);
    EI_EQ(bounds[1].blocking_ns, 1 * MS);
    EI_EQ(bounds[2].blocking_ns, 0);
}

/* Bril, Lukkien, Verhaegh 2009, "Worst-case response time analysis of real-time tasks under fixed-priority scheduling
 * with deferred preemption", table 1: T = 5, 7, C = 2 and 1.2 + 3 with the last 3 not preemptive. The job's own last
 * part pushes the higher task into its next job: the first job answers after 6.2, the fifth after 7. */
EI_TEST(response_time_bril_2009_self_pushing)
{
    const struct row rows[] = {{2000, 5000, 5000, 0, 2000}, {4200, 7000, 7000, 0, 0}};
    (void)solve(rows, 2);
    const struct ei_rta_segment two[] = {
        {.cpu = 0, .lane = EI_RTA_NOWHERE, .wcet_ns = 1200000, .max_nonpreemptive_ns = 1200000},
        {.cpu = 0, .lane = EI_RTA_NOWHERE, .wcet_ns = 3000000, .max_nonpreemptive_ns = 3000000}};
    tasks[1].segments = two;
    tasks[1].segment_count = 2;
    EI_EQ(ei_rta_init(&rta, tasks, states, 2, NULL), 0);
    (void)ei_rta_solve(&rta, bounds);
    EI_EQ(bounds[0].response_ns, 5 * MS);
    EI_EQ(bounds[1].response_ns, 7 * MS);
    tasks[1].period_ns = 1000 * MS; /* alone in its busy period it is the first job's 6.2 */
    EI_EQ(ei_rta_init(&rta, tasks, states, 2, NULL), 0);
    (void)ei_rta_solve(&rta, bounds);
    EI_EQ(bounds[1].response_ns, 6200000);
}

/* Release jitter, Tindell, Burns, Wellings 1994, "An extendible approach for analysing fixed priority hard real-time
 * tasks", equations 5 and 6: a task of period 20 that is released late by up to 15 can come twice within 5. With C = 5
 * against C = 10 below: w = 10 + 5 ceil((w + 15) / 20) = 20 instead of 15; own jitter 3 adds to the response. */
EI_TEST(response_time_tindell_1994_jitter)
{
    const struct row late[] = {{5000, 20000, 20000, 15000, 0}, {10000, 100000, 23000, 3000, 0}};
    EI_TRUE(solve(late, 2));
    EI_EQ(bounds[0].response_ns, 20 * MS);
    EI_EQ(bounds[0].own_response_ns, 5 * MS);
    EI_EQ(bounds[1].response_ns, 23 * MS);
    EI_EQ(bounds[1].own_response_ns, 20 * MS);
    const struct row punctual[] = {{5000, 20000, 20000, 0, 0}, {10000, 100000, 23000, 3000, 0}};
    EI_TRUE(solve(punctual, 2));
    EI_EQ(bounds[1].response_ns, 18 * MS);
}
