/* See demand.h. All windows begin at 0, when some job is ready and no work with a deadline inside the window waits. */
#include "scheduler/demand.h"

#define INFINITE_NS (INT64_MAX / 4)
#define BUSY_MAX_NS (INT64_C(1) << 54)
#define STEPS_MAX 4000000
#define PPM INT64_C(1000000)

static int64_t add(int64_t a, int64_t b)
{
    return a >= INFINITE_NS - b ? INFINITE_NS : a + b;
}

static int64_t multiply(int64_t a, int64_t b)
{
    int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) || product > INFINITE_NS ? INFINITE_NS : product;
}

/* Jobs with arrivals one period apart of which the first lies at 0: how many lie in [0, span]? */
static int64_t jobs_within(int64_t span_ns, int64_t period_ns)
{
    return span_ns < 0 ? 0 : span_ns / period_ns + 1;
}

static int64_t busy_period(const struct ei_demand_task *tasks, int32_t count, int64_t extra_ns)
{
    int64_t first_ns = extra_ns, block_ns = 0;
    for (int32_t j = 0; j < count; j++) {
        block_ns = tasks[j].max_nonpreemptive_ns > block_ns ? tasks[j].max_nonpreemptive_ns : block_ns;
    }
    first_ns = add(first_ns, block_ns);
    int64_t w_ns = first_ns > 0 ? first_ns : 1;
    for (int32_t step = 0; step < STEPS_MAX && w_ns <= BUSY_MAX_NS; step++) {
        int64_t next_ns = first_ns;
        for (int32_t j = 0; j < count; j++) {
            const int64_t jobs = jobs_within(w_ns + tasks[j].jitter_ns - 1, tasks[j].period_ns);
            next_ns = add(next_ns, multiply(jobs, tasks[j].wcet_ns));
        }
        if (next_ns <= w_ns) {
            return w_ns;
        }
        w_ns = next_ns;
    }
    return EI_DEMAND_NO_BOUND;
}

int64_t ei_demand_busy_period(const struct ei_demand_task *tasks, int32_t count)
{
    return busy_period(tasks, count, 0);
}

/* Work that arrives and is due within [0, t] (Baruah, Rosier, Howell 1990; jitter as in George et al. 1996). */
static int64_t demand_within(const struct ei_demand_task *tasks, int32_t count, int64_t t_ns)
{
    int64_t sum_ns = 0;
    for (int32_t j = 0; j < count; j++) {
        const int64_t span_ns = t_ns - tasks[j].deadline_ns + tasks[j].jitter_ns;
        sum_ns = add(sum_ns, multiply(jobs_within(span_ns, tasks[j].period_ns), tasks[j].wcet_ns));
    }
    return sum_ns;
}

/* Latest point <= t at which the demand grows, or -1. */
static int64_t last_point(const struct ei_demand_task *tasks, int32_t count, int64_t t_ns)
{
    int64_t best_ns = -1;
    for (int32_t j = 0; j < count; j++) {
        const int64_t first_ns = tasks[j].deadline_ns - tasks[j].jitter_ns;
        if (t_ns >= first_ns) {
            const int64_t point_ns = first_ns + (t_ns - first_ns) / tasks[j].period_ns * tasks[j].period_ns;
            best_ns = point_ns > best_ns ? point_ns : best_ns;
        }
    }
    return best_ns;
}

/* Quick processor-demand analysis (Zhang, Burns 2009) of demand(t) + block <= t for all t <= end: from the end down, a
 * step from t to demand(t) + block skips only times that cannot fail. */
static bool holds_until(const struct ei_demand_task *tasks, int32_t count, int64_t block_ns, int64_t end_ns,
                        int32_t *steps)
{
    int64_t t_ns = last_point(tasks, count, end_ns);
    while (t_ns >= 0) {
        const int64_t need_ns = add(demand_within(tasks, count, t_ns), block_ns);
        if (need_ns > t_ns || ++*steps > STEPS_MAX) {
            return false;
        }
        t_ns = last_point(tasks, count, need_ns < t_ns ? need_ns : t_ns - 1);
    }
    return true;
}

static bool is_schedulable(const struct ei_demand_task *tasks, int32_t count, int64_t extra_ns)
{
    for (int32_t j = 0; j < count; j++) {
        if (tasks[j].deadline_ns < add(tasks[j].jitter_ns, tasks[j].wcet_ns)) {
            return false;
        }
    }
    const int64_t busy_ns = busy_period(tasks, count, extra_ns);
    if (busy_ns < 0) {
        return false;
    }
    int32_t steps = 0;
    bool is_ok = holds_until(tasks, count, extra_ns, busy_ns, &steps);
    /* A job that is due after t can hold the resource for one block when work due by t arrives (Baruah 2006, eq. 4).
     * The blocking shrinks with t, so each task that can block gets a search of its own over the t before its deadline.
     */
    for (int32_t b = 0; is_ok && b < count; b++) {
        if (tasks[b].max_nonpreemptive_ns > 0) {
            const int64_t end_ns = tasks[b].deadline_ns - 1 < busy_ns ? tasks[b].deadline_ns - 1 : busy_ns;
            is_ok = holds_until(tasks, count, tasks[b].max_nonpreemptive_ns + extra_ns, end_ns, &steps);
        }
    }
    return is_ok;
}

bool ei_demand_is_schedulable(const struct ei_demand_task *tasks, int32_t count)
{
    return is_schedulable(tasks, count, 0);
}

int64_t ei_demand_slack(const struct ei_demand_task *tasks, int32_t count)
{
    int64_t good_ns = 0, bad_ns = 1; /* no interval can spare more than the longest deadline */
    for (int32_t j = 0; j < count; j++) {
        bad_ns = tasks[j].deadline_ns + 1 > bad_ns ? tasks[j].deadline_ns + 1 : bad_ns;
    }
    if (!is_schedulable(tasks, count, 0)) {
        return EI_DEMAND_NO_BOUND;
    }
    while (bad_ns - good_ns > 1) {
        const int64_t middle_ns = good_ns + (bad_ns - good_ns) / 2;
        if (is_schedulable(tasks, count, middle_ns)) {
            good_ns = middle_ns;
        } else {
            bad_ns = middle_ns;
        }
    }
    return good_ns;
}

/* Longest block of a job that is due after `due`, when it began before 0. */
static int64_t later_block(const struct ei_demand_task *tasks, int32_t count, int32_t i, int64_t due_ns)
{
    int64_t block_ns = 0;
    for (int32_t j = 0; j < count; j++) {
        if (j != i && tasks[j].deadline_ns > due_ns && tasks[j].max_nonpreemptive_ns > block_ns) {
            block_ns = tasks[j].max_nonpreemptive_ns;
        }
    }
    return block_ns;
}

/* End of the work that is due no later than the job of task i with nominal arrival a: least fixed point of Spuri 1996,
 * eq. 3 and 4. Negative when the steps are used up. */
static int64_t work_end(const struct ei_demand_task *tasks, int32_t count, int32_t i, int64_t a_ns, int32_t *steps)
{
    const int64_t due_ns = a_ns + tasks[i].deadline_ns;
    const int64_t own_ns = multiply(jobs_within(a_ns + tasks[i].jitter_ns, tasks[i].period_ns), tasks[i].wcet_ns);
    const int64_t first_ns = add(own_ns, later_block(tasks, count, i, due_ns));
    int64_t w_ns = first_ns > 0 ? first_ns : 1;
    while (++*steps <= STEPS_MAX && w_ns < INFINITE_NS) {
        int64_t next_ns = first_ns;
        for (int32_t j = 0; j < count; j++) {
            if (j == i) {
                continue;
            }
            const int64_t ready = jobs_within(w_ns + tasks[j].jitter_ns - 1, tasks[j].period_ns);
            const int64_t due = jobs_within(due_ns - tasks[j].deadline_ns + tasks[j].jitter_ns, tasks[j].period_ns);
            next_ns = add(next_ns, multiply(ready < due ? ready : due, tasks[j].wcet_ns));
        }
        if (next_ns <= w_ns) {
            return w_ns;
        }
        w_ns = next_ns;
    }
    return EI_DEMAND_NO_BOUND;
}

/* Least value >= floor that is congruent to `point` modulo the period. */
static int64_t first_from(int64_t floor_ns, int64_t point_ns, int64_t period_ns)
{
    int64_t rest_ns = (point_ns - floor_ns) % period_ns;
    rest_ns += rest_ns < 0 ? period_ns : 0;
    return floor_ns + rest_ns;
}

int64_t ei_demand_response(const struct ei_demand_task *tasks, int32_t count, int32_t task_idx)
{
    const struct ei_demand_task *task = &tasks[task_idx];
    const int64_t busy_ns = busy_period(tasks, count, 0);
    if (busy_ns < 0) {
        return EI_DEMAND_NO_BOUND;
    }
    int64_t worst_ns = task->jitter_ns + task->wcet_ns;
    int32_t steps = 0;
    /* The finish changes only where a deadline of some task meets that of the job in question, or the task's own job
     * count grows; in between a later arrival only shortens the response. */
    for (int32_t j = 0; j < count; j++) {
        const int64_t point_ns =
            j == task_idx ? -task->jitter_ns : tasks[j].deadline_ns - tasks[j].jitter_ns - task->deadline_ns;
        for (int64_t a_ns = first_from(-task->jitter_ns, point_ns, tasks[j].period_ns); a_ns < busy_ns;
             a_ns += tasks[j].period_ns) {
            const int64_t end_ns = work_end(tasks, count, task_idx, a_ns, &steps);
            if (end_ns < 0) {
                return EI_DEMAND_NO_BOUND;
            }
            worst_ns = end_ns - a_ns > worst_ns ? end_ns - a_ns : worst_ns;
        }
    }
    return worst_ns;
}

static int64_t scaled(int64_t ns, int64_t scale_ppm)
{
    return add(multiply(ns / PPM, scale_ppm), (ns % PPM * scale_ppm + PPM - 1) / PPM);
}

static bool holds_scaled(struct ei_demand_task *tasks, int32_t count, int32_t task_idx, int64_t scale_ppm)
{
    const struct ei_demand_task before = tasks[task_idx];
    tasks[task_idx].wcet_ns = scaled(before.wcet_ns, scale_ppm);
    tasks[task_idx].max_nonpreemptive_ns = scaled(before.max_nonpreemptive_ns, scale_ppm);
    const bool is_ok = tasks[task_idx].wcet_ns <= EI_DEMAND_TIME_MAX_NS && is_schedulable(tasks, count, 0);
    tasks[task_idx] = before;
    return is_ok;
}

static bool holds_due(struct ei_demand_task *tasks, int32_t count, int32_t task_idx, int64_t deadline_ns)
{
    const struct ei_demand_task before = tasks[task_idx];
    tasks[task_idx].deadline_ns = deadline_ns;
    const bool is_ok = is_schedulable(tasks, count, 0);
    tasks[task_idx] = before;
    return is_ok;
}

int64_t ei_demand_largest_scale_ppm(struct ei_demand_task *tasks, int32_t count, int32_t task_idx, int64_t limit_ppm)
{
    if (holds_scaled(tasks, count, task_idx, limit_ppm)) {
        return limit_ppm;
    }
    int64_t good = 0, bad = limit_ppm;
    while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        if (holds_scaled(tasks, count, task_idx, middle)) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return good > 0 ? good : EI_DEMAND_NO_BOUND;
}

int64_t ei_demand_smallest_deadline_ns(struct ei_demand_task *tasks, int32_t count, int32_t task_idx)
{
    int64_t good_ns = tasks[task_idx].deadline_ns, bad_ns = 0;
    if (!is_schedulable(tasks, count, 0)) {
        return EI_DEMAND_NO_BOUND;
    }
    while (good_ns - bad_ns > 1) {
        const int64_t middle_ns = bad_ns + (good_ns - bad_ns) / 2;
        if (holds_due(tasks, count, task_idx, middle_ns)) {
            good_ns = middle_ns;
        } else {
            bad_ns = middle_ns;
        }
    }
    return good_ns;
}
