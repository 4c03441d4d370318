/* The survival function of a schedule: against Monte Carlo of the arrival processes, against its own factors, and its
 * shape on random schedules of every scale. */
#include "planner/survival_schedule.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdlib.h>

#define MS 1000000
#define DRAWS 100000

static double at(const struct ei_survival_table *table, int64_t t_ns)
{
    const struct ei_survival s = ei_survival_of_table(table);
    return ei_survival_at(&s, t_ns);
}

static void expect_sound(const struct ei_survival_table *table)
{
    const struct ei_survival s = ei_survival_of_table(table);
    const struct ei_fault fault = ei_survival_fault(&s);
    EI_TRUEF(!fault.field, "%s[%d] %s", fault.field ? fault.field : "", fault.element, fault.rule ? fault.rule : "");
    EI_EQ(table->kind, EI_SURVIVAL_KNOTS);
}

/* ---- by hand ---- */

EI_TEST(survival_schedule_of_nobody_is_the_deadline)
{
    struct ei_survival_table table;
    EI_EQ(ei_survival_from_schedule(NULL, 0, 5, 1000, 700, &table), 0);
    expect_sound(&table);
    EI_EQ(table.count, 3);
    EI_EQ(table.t_ns[0], 5);
    EI_EQ(table.t_ns[1], 700);
    EI_EQ(table.t_ns[2], 700);
    EI_NEAR(at(&table, 700), 1, 0);
    EI_NEAR(at(&table, 701), 0, 0);
    EI_EQ(ei_survival_from_schedule(NULL, 0, 5, 1000, INT64_MAX, &table), 0);
    EI_NEAR(at(&table, INT64_MAX), 1, 0);
    EI_EQ(ei_survival_from_schedule(NULL, 0, 5, 1000, 1001, &table), 0);
    EI_NEAR(table.survival[table.count - 1], 1, 0);
    EI_EQ(ei_survival_from_schedule(NULL, 0, 5, 5, 5, &table), 0);
    expect_sound(&table);
    EI_NEAR(at(&table, 5), 1, 0);
    EI_NEAR(at(&table, 6), 0, 0);
}

EI_TEST(survival_schedule_without_jitter_is_a_step)
{
    const struct ei_interferer task = {.is_phase_known = true, .next_ns = 300, .period_ns = 1000};
    struct ei_survival_table table;
    EI_EQ(ei_survival_from_schedule(&task, 1, 0, 5000, 4000, &table), 0);
    expect_sound(&table);
    EI_EQ(table.count, 3);
    EI_NEAR(at(&table, 300), 1, 0);
    EI_NEAR(at(&table, 301), 0, 0);
    EI_NEAR(ei_interferer_cdf(&task, 0, 300), 0, 0);
    EI_NEAR(ei_interferer_cdf(&task, 0, 301), 1, 0);
    EI_NEAR(ei_interferer_cdf(&task, 301, 301), 0, 0); /* overdue */
    EI_NEAR(ei_interferer_cdf(&task, 301, 302), 1, 0);
}

EI_TEST(survival_schedule_jitter_shrinks_as_it_passes)
{
    const struct ei_interferer task = {.is_phase_known = true, .next_ns = 1000, .period_ns = 10000, .jitter_ns = 400};
    struct ei_survival_table table;
    EI_EQ(ei_survival_from_schedule(&task, 1, 0, 5000, INT64_MAX, &table), 0);
    expect_sound(&table);
    EI_EQ(table.count, 3); /* lines need no further knots */
    EI_NEAR(at(&table, 1000), 1, 0);
    EI_NEAR(at(&table, 1100), 0.75, 1e-15);
    EI_NEAR(at(&table, 1400), 0, 0);
    EI_EQ(ei_survival_from_schedule(&task, 1, 1200, 5000, INT64_MAX, &table), 0);
    EI_NEAR(at(&table, 1200), 1, 0);
    EI_NEAR(at(&table, 1300), 0.5, 1e-15);
    EI_EQ(ei_survival_from_schedule(&task, 1, 1401, 5000, INT64_MAX, &table), 0);
    expect_sound(&table);
    EI_EQ(table.count, 2);
    EI_NEAR(at(&table, 1401), 1, 0);
    EI_NEAR(at(&table, 1402), 0, 0);
}

EI_TEST(survival_schedule_unknown_phases_by_hand)
{
    const struct ei_interferer periodic = {.period_ns = 1000};
    EI_NEAR(ei_interferer_cdf(&periodic, 0, 250), 0.25, 1e-15);
    EI_NEAR(ei_interferer_cdf(&periodic, 500, 750), 0.5, 1e-15); /* nothing came for half a period */
    EI_NEAR(ei_interferer_cdf(&periodic, 1500, 1501), 1, 0);
    const struct ei_interferer fresh = {.period_ns = 1000, .quiet_from_ns = 500};
    EI_NEAR(ei_interferer_cdf(&fresh, 500, 750), 0.25, 1e-15);
    EI_NEAR(ei_interferer_cdf(&fresh, 100, 350), 0.25, 1e-15); /* later than now counts as now */
    const struct ei_interferer jittered = {.period_ns = 1000, .jitter_ns = 1000};
    EI_NEAR(ei_interferer_cdf(&jittered, 0, 1000), 5.0 / 6, 1e-12);
    EI_NEAR(ei_interferer_cdf(&jittered, 0, 2000), 1, 0);
    const struct ei_interferer sporadic = {.kind = EI_INTERFERER_SPORADIC, .period_ns = 600, .mean_extra_ns = 400};
    EI_NEAR(ei_interferer_cdf(&sporadic, 0, 600), 0.6, 1e-15);
    EI_NEAR(ei_interferer_cdf(&sporadic, 0, 1000), 1 - 0.4 * exp(-1), 1e-15);
    EI_NEAR(ei_interferer_cdf(&sporadic, 700, 1100), 1 - exp(-1), 1e-15); /* beyond the separation: no memory */
    const struct ei_interferer known = {
        .kind = EI_INTERFERER_SPORADIC, .is_phase_known = true, .next_ns = 600, .period_ns = 900, .mean_extra_ns = 400};
    EI_NEAR(ei_interferer_cdf(&known, 0, 600), 0, 0);
    EI_NEAR(ei_interferer_cdf(&known, 0, 1000), 1 - exp(-1), 1e-15);
    const struct ei_interferer nonstop = {.kind = EI_INTERFERER_SPORADIC};
    EI_NEAR(ei_interferer_cdf(&nonstop, 10, 11), 1, 0);
}

/* ---- Monte Carlo ---- */

/* The first release of the task's own process at or after now, given that none came before it. */
static double draw_periodic(const struct ei_interferer *task, double now_ns, struct ei_random *rng)
{
    for (;;) {
        double first_ns = INFINITY;
        if (task->is_phase_known) {
            first_ns = (double)task->next_ns + (double)task->jitter_ns * ei_random_unit(rng);
        } else {
            const double from_ns = fmin((double)task->quiet_from_ns, now_ns);
            const double phase_ns = (double)task->period_ns * ei_random_unit(rng);
            for (int k = -2; k <= 1; k++) {
                const double t_ns =
                    from_ns + phase_ns + k * (double)task->period_ns + (double)task->jitter_ns * ei_random_unit(rng);
                first_ns = t_ns >= from_ns && t_ns < first_ns ? t_ns : first_ns;
            }
        }
        if (first_ns >= now_ns) {
            return first_ns;
        }
    }
}

/* A renewal process that never ends, looked at after long gaps. */
struct renewal {
    double probe_ns, next_ns;
};

static double draw_sporadic(const struct ei_interferer *task, double now_ns, struct renewal *process,
                            struct ei_random *rng)
{
    const double extra_ns = (double)task->mean_extra_ns, separation_ns = (double)task->period_ns;
    const double from_ns = fmin((double)task->quiet_from_ns, now_ns);
    for (;;) {
        double first_ns;
        if (task->is_phase_known) {
            first_ns = (double)task->next_ns + ei_random_exponential(rng, extra_ns);
        } else {
            process->probe_ns += (separation_ns + extra_ns) * (3 + 10 * ei_random_unit(rng));
            while (process->next_ns < process->probe_ns) {
                process->next_ns += separation_ns + ei_random_exponential(rng, extra_ns);
            }
            first_ns = from_ns + (process->next_ns - process->probe_ns);
        }
        if (first_ns >= now_ns) {
            return first_ns;
        }
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov distance of the first of all tasks to the table. */
static double distance(const struct ei_interferer *tasks, int32_t count, int64_t now_ns, int64_t horizon_ns,
                       int64_t deadline_ns, uint64_t seed)
{
    struct ei_survival_table table;
    struct ei_random rng;
    struct renewal processes[8] = {{0, 0}};
    double *stop_ns = malloc(DRAWS * sizeof *stop_ns);
    ei_random_init(&rng, seed, 0);
    EI_EQ(ei_survival_from_schedule(tasks, count, now_ns, horizon_ns, deadline_ns, &table), 0);
    expect_sound(&table);
    for (int i = 0; i < DRAWS && stop_ns; i++) {
        stop_ns[i] = (double)deadline_ns;
        for (int32_t k = 0; k < count; k++) {
            const double t_ns = tasks[k].kind == EI_INTERFERER_PERIODIC
                                    ? draw_periodic(&tasks[k], (double)now_ns, &rng)
                                    : draw_sporadic(&tasks[k], (double)now_ns, &processes[k], &rng);
            stop_ns[i] = fmin(stop_ns[i], t_ns);
        }
    }
    double worst = stop_ns ? 0 : INFINITY;
    if (stop_ns) {
        qsort(stop_ns, DRAWS, sizeof *stop_ns, ascending);
    }
    for (int i = 0; i < DRAWS && stop_ns; i++) {
        if (stop_ns[i] <= (double)horizon_ns && (i == 0 || stop_ns[i] > stop_ns[i - 1] + 1)) {
            const double reached = (double)(DRAWS - i) / DRAWS; /* S there, i draws lie below */
            worst = fmax(worst, fabs(at(&table, (int64_t)floor(stop_ns[i])) - reached));
        }
    }
    free(stop_ns);
    return worst;
}

EI_TEST(survival_schedule_equals_the_processes_one_by_one)
{
    const struct ei_interferer tasks[] = {
        {.is_phase_known = true, .next_ns = 3 * MS, .period_ns = 10 * MS, .jitter_ns = 4 * MS},
        {.period_ns = 10 * MS},
        {.period_ns = 10 * MS, .jitter_ns = 3 * MS},
        {.period_ns = 10 * MS, .jitter_ns = 10 * MS},
        {.period_ns = 10 * MS, .jitter_ns = 6 * MS, .quiet_from_ns = -4 * MS},
        {.kind = EI_INTERFERER_SPORADIC, .is_phase_known = true, .next_ns = 2 * MS, .mean_extra_ns = 5 * MS},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = 6 * MS, .mean_extra_ns = 5 * MS},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = 8 * MS, .mean_extra_ns = 2 * MS, .quiet_from_ns = -3 * MS},
    };
    for (size_t k = 0; k < sizeof tasks / sizeof tasks[0]; k++) {
        const double fresh = distance(&tasks[k], 1, 0, 60 * MS, INT64_MAX / 8, 10 + k);
        EI_TRUEF(fresh <= 0.006, "task %zu: distance %g", k, fresh); /* 0.0052 is the 1 % quantile of 1e5 draws */
        const double later = distance(&tasks[k], 1, 5 * MS, 60 * MS, INT64_MAX / 8, 30 + k);
        EI_TRUEF(later <= 0.006, "task %zu, not come for 5 ms: distance %g", k, later);
    }
}

EI_TEST(survival_schedule_equals_the_first_of_several_processes)
{
    const struct ei_interferer tasks[4] = {
        {.is_phase_known = true, .next_ns = 14 * MS, .period_ns = 50 * MS, .jitter_ns = 9 * MS},
        {.period_ns = 33 * MS, .jitter_ns = 5 * MS},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = 20 * MS, .mean_extra_ns = 20 * MS},
        {.kind = EI_INTERFERER_SPORADIC, .is_phase_known = true, .next_ns = 7 * MS, .mean_extra_ns = 30 * MS},
    };
    const double free_run = distance(tasks, 4, 0, 60 * MS, INT64_MAX / 8, 50);
    EI_TRUEF(free_run <= 0.006, "distance %g", free_run);
    const double on_its_way = distance(tasks, 4, 10 * MS, 60 * MS, INT64_MAX / 8, 51);
    EI_TRUEF(on_its_way <= 0.006, "distance %g", on_its_way);
    const double with_deadline = distance(tasks, 4, 2 * MS, 60 * MS, 17 * MS, 52);
    EI_TRUEF(with_deadline <= 0.006, "distance %g", with_deadline);
}

/* ---- random schedules ---- */

static int64_t scale_draw(struct ei_random *rng)
{
    return (int64_t)exp(log(1e3) + log(1e6) * ei_random_unit(rng)); /* 1 us .. 1 s */
}

static struct ei_interferer task_draw(struct ei_random *rng, int64_t now_ns)
{
    struct ei_interferer task = {.kind = ei_random_below(rng, 2) ? EI_INTERFERER_PERIODIC : EI_INTERFERER_SPORADIC,
                                 .is_phase_known = ei_random_below(rng, 2) == 0,
                                 .period_ns = scale_draw(rng)};
    if (task.kind == EI_INTERFERER_PERIODIC) {
        task.jitter_ns = (int64_t)((double)task.period_ns * fmax(0, 1.4 * ei_random_unit(rng) - 0.2));
        task.jitter_ns = task.jitter_ns < task.period_ns ? task.jitter_ns : task.period_ns;
    } else {
        task.period_ns = ei_random_below(rng, 4) ? task.period_ns : 0;
        task.mean_extra_ns = ei_random_below(rng, 6) ? scale_draw(rng) : 0;
    }
    const bool is_late = ei_random_below(rng, 20) == 0;
    task.next_ns = now_ns + (is_late ? -scale_draw(rng) : scale_draw(rng));
    task.quiet_from_ns = now_ns - (ei_random_below(rng, 2) ? 0 : task.period_ns / 3);
    return task;
}

static double product(const struct ei_interferer *tasks, int32_t count, int64_t now_ns, int64_t deadline_ns,
                      int64_t t_ns)
{
    double s = t_ns > deadline_ns ? 0 : 1;
    for (int32_t i = 0; i < count; i++) {
        s *= 1 - ei_interferer_cdf(&tasks[i], now_ns, t_ns);
    }
    return s;
}

/* Largest difference to the product, at random times and beside every knot. */
static double largest_error(const struct ei_interferer *tasks, int32_t count, int64_t now_ns, int64_t horizon_ns,
                            int64_t deadline_ns, struct ei_random *rng)
{
    struct ei_survival_table table;
    EI_EQ(ei_survival_from_schedule(tasks, count, now_ns, horizon_ns, deadline_ns, &table), 0);
    expect_sound(&table);
    EI_EQ(table.t_ns[0], now_ns);
    EI_NEAR(table.survival[0], 1, 0);
    const int64_t last_ns = table.t_ns[table.count - 1];
    EI_TRUE(last_ns <= horizon_ns || last_ns == now_ns);
    EI_TRUE(last_ns == horizon_ns || table.survival[table.count - 1] <= 0);
    double worst = 0;
    for (int32_t k = 0; k < table.count; k++) {
        const int64_t t_ns = table.t_ns[k];
        worst = fmax(worst, fabs(at(&table, t_ns) - product(tasks, count, now_ns, deadline_ns, t_ns)));
        if (!(worst < 1e-9)) {
            return INFINITY; /* knots lie on S */
        }
    }
    for (int32_t k = 0; k + 1 < table.count; k++) {
        const int64_t width_ns = table.t_ns[k + 1] - table.t_ns[k];
        const int64_t probe_ns[4] = {table.t_ns[k] + 1, table.t_ns[k + 1] - 1, table.t_ns[k] + width_ns / 8,
                                     table.t_ns[k] + (int64_t)ei_random_below(rng, (uint64_t)width_ns + 1)};
        for (int i = 0; i < 4; i++) {
            if (probe_ns[i] >= now_ns && probe_ns[i] <= horizon_ns) {
                const double s = product(tasks, count, now_ns, deadline_ns, probe_ns[i]);
                worst = fmax(worst, fabs(at(&table, probe_ns[i]) - s));
            }
        }
    }
    return worst;
}

static double worst_of(int cases, int32_t count_min, int32_t count_max, uint64_t seed)
{
    struct ei_random rng;
    struct ei_interferer tasks[EI_INTERFERERS_MAX];
    double worst = 0;
    ei_random_init(&rng, seed, 0);
    for (int i = 0; i < cases; i++) {
        const int32_t count = count_min + (int32_t)ei_random_below(&rng, (uint64_t)(count_max - count_min + 1));
        const int64_t now_ns = ei_random_below(&rng, 2) ? scale_draw(&rng) - 1000 : 0;
        const int64_t deadline_ns = ei_random_below(&rng, 2) ? INT64_MAX : now_ns + scale_draw(&rng);
        for (int32_t k = 0; k < count; k++) {
            tasks[k] = task_draw(&rng, now_ns);
        }
        worst = fmax(worst, largest_error(tasks, count, now_ns, now_ns + scale_draw(&rng), deadline_ns, &rng));
    }
    return worst;
}

EI_TEST(survival_schedule_table_is_the_product)
{
    const double few = worst_of(10000, 0, 4, 71), more = worst_of(3000, 5, 16, 72);
    EI_TRUEF(few <= 0.002, "up to 4 tasks: largest error %g", few);
    EI_TRUEF(more <= 0.002, "up to 16 tasks: largest error %g", more);
}

EI_TEST(survival_schedule_of_many_tasks_keeps_what_matters)
{
    /* Releases that are rare but bend S all the way, so that it is still high at more corners than there are knots. */
    struct ei_random rng;
    struct ei_interferer tasks[EI_INTERFERERS_MAX];
    struct ei_survival_table table;
    ei_random_init(&rng, 73, 0);
    double worst = worst_of(500, 17, EI_INTERFERERS_MAX, 74);
    for (int i = 0; i < 500; i++) {
        for (int32_t k = 0; k < EI_INTERFERERS_MAX; k++) {
            tasks[k] = (struct ei_interferer){
                .kind = EI_INTERFERER_SPORADIC,
                .is_phase_known = k % 2 == 0,
                .next_ns = (int64_t)ei_random_below(&rng, 100 * MS),
                .period_ns = (int64_t)ei_random_below(&rng, 100 * MS),
                .mean_extra_ns = 500 * MS + (int64_t)ei_random_below(&rng, 5000 * (uint64_t)MS),
            };
        }
        worst = fmax(worst, largest_error(tasks, EI_INTERFERERS_MAX, 0, 100 * MS, INT64_MAX, &rng));
        EI_EQ(ei_survival_from_schedule(tasks, EI_INTERFERERS_MAX, 0, 100 * MS, INT64_MAX, &table), 0);
        EI_EQ(table.count, EI_SURVIVAL_KNOTS_MAX); /* 66 corners did not fit */
    }
    EI_TRUEF(worst <= 0.01, "largest error %g", worst);
}

EI_TEST(survival_schedule_takes_the_farthest_times)
{
    const struct ei_interferer tasks[3] = {
        {.is_phase_known = true, .next_ns = INT64_MAX, .period_ns = INT64_MAX, .jitter_ns = INT64_MAX},
        {.period_ns = INT64_MAX, .jitter_ns = INT64_MAX, .quiet_from_ns = INT64_MIN},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = INT64_MAX, .mean_extra_ns = INT64_MAX},
    };
    struct ei_survival_table table;
    EI_EQ(ei_survival_from_schedule(tasks, 3, INT64_MIN, INT64_MAX, INT64_MAX - 1, &table), 0);
    expect_sound(&table);
    EI_EQ(ei_survival_from_schedule(tasks, 3, 0, MS, INT64_MAX, &table), 0);
    expect_sound(&table);
    EI_TRUE(at(&table, MS) > 0.99);
    EI_IN(ei_interferer_cdf(&tasks[1], INT64_MIN, INT64_MAX), 0, 1);
}

EI_TEST(survival_schedule_refuses_what_breaks_a_rule)
{
    const struct ei_interferer good = {.period_ns = 10};
    const struct ei_interferer bad[] = {
        {.period_ns = 0},
        {.period_ns = -5},
        {.period_ns = 10, .jitter_ns = -1},
        {.period_ns = 10, .jitter_ns = 11},
        {.period_ns = 10, .mean_extra_ns = 1},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = -1, .mean_extra_ns = 1},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = 10, .mean_extra_ns = -1},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = 10, .jitter_ns = 1},
        {.kind = (enum ei_interferer_kind)7, .period_ns = 10},
    };
    struct ei_survival_table table = {.count = 77};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct ei_interferer tasks[2] = {good, bad[i]};
        EI_TRUEF(ei_survival_from_schedule(tasks, 2, 0, 100, 200, &table) == -EINVAL, "task %zu", i);
    }
    EI_EQ(ei_survival_from_schedule(&good, -1, 0, 100, 200, &table), -EINVAL);
    EI_EQ(ei_survival_from_schedule(&good, EI_INTERFERERS_MAX + 1, 0, 100, 200, &table), -EINVAL);
    EI_EQ(ei_survival_from_schedule(NULL, 1, 0, 100, 200, &table), -EINVAL);
    EI_EQ(ei_survival_from_schedule(&good, 1, 201, 300, 200, &table), -EINVAL);
    EI_EQ(table.count, 77);
    EI_EQ(ei_survival_from_schedule(&good, 1, 0, 100, 200, &table), 0);
}
