/* Survival functions from the schedule: each task is brought to its distribution given that it has not come by now,
 * then the product of all is sampled at its corners and where it bends. Pure, real-time safe. */
#include "planner/survival_schedule.h"

#include "planner/survival_thin.h"
#include <errno.h>
#include <math.h>

#define FAR_NS (INT64_MAX / 4)
#define ERROR_TARGET 0.001
#define SPLIT_WIDTH_MIN_NS 8 /* narrower spans are lines for every purpose */

/* ---- one task ---- */

/* Shape of 1 - F_k behind now. */
enum arrival_shape {
    ARRIVAL_AT,      /* 1 until end */
    ARRIVAL_UNIFORM, /* 1 until begin, a line to 0 at end */
    ARRIVAL_DECAY,   /* 1 until begin, then exp(-(t - begin) / scale) */
    ARRIVAL_JITTER,  /* line, two cubics: periodic with jitter, phase unknown */
    ARRIVAL_RENEWAL  /* line, then exponential: sporadic, phase unknown */
};

/* When a task comes, given that it has not come by now. Factors are 1 up to begin_ns. */
struct arrival {
    enum arrival_shape shape;
    int64_t begin_ns;            /* where it starts to fall, >= now */
    int64_t corner_ns;           /* where its line starts to bend; FAR_NS = nowhere */
    int64_t end_ns;              /* it has certainly come by then; FAR_NS = never certain */
    int64_t origin_ns;           /* JITTER, RENEWAL: quiet_from */
    double period_ns, spread_ns; /* JITTER: period and jitter; RENEWAL: separation and mean extra; DECAY: the mean */
    double scale;                /* factor = shape * scale */
};

static int64_t bounded(int64_t t_ns)
{
    return t_ns > FAR_NS ? FAR_NS : t_ns < -FAR_NS ? -FAR_NS : t_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static struct arrival arrival_at(int64_t end_ns)
{
    return (struct arrival){.shape = ARRIVAL_AT, .begin_ns = end_ns, .corner_ns = FAR_NS, .end_ns = end_ns};
}

/* Uniform in [begin, end], or at once when that has passed. */
static struct arrival arrival_uniform(int64_t begin_ns, int64_t end_ns, int64_t now_ns)
{
    struct arrival a = arrival_at(later(bounded(end_ns), now_ns));
    a.begin_ns = later(bounded(begin_ns), now_ns);
    if (a.begin_ns < a.end_ns) {
        a.shape = ARRIVAL_UNIFORM;
        a.spread_ns = (double)(a.end_ns - a.begin_ns);
    }
    return a;
}

static struct arrival arrival_decay(int64_t begin_ns, int64_t mean_ns)
{
    return (struct arrival){.shape = ARRIVAL_DECAY,
                            .begin_ns = begin_ns,
                            .corner_ns = FAR_NS,
                            .end_ns = FAR_NS,
                            .spread_ns = (double)mean_ns};
}

/* period * P(forward recurrence time > x) of a jittered periodic task. */
static double jitter_tail_ns(double period_ns, double jitter_ns, double x_ns)
{
    if (x_ns <= period_ns - jitter_ns) {
        return period_ns - x_ns;
    }
    if (x_ns <= period_ns) {
        const double u = (x_ns - (period_ns - jitter_ns)) / jitter_ns;
        return jitter_ns * (1 - u + u * u * u / 6);
    }
    const double v = (period_ns + jitter_ns - x_ns) / jitter_ns;
    return v > 0 ? jitter_ns * (v * v * v / 6) : 0;
}

static struct arrival periodic_arrival(const struct ei_interferer *task, int64_t now_ns)
{
    const int64_t jitter_ns = bounded(task->jitter_ns), period_ns = bounded(task->period_ns);
    if (task->is_phase_known) {
        const int64_t next_ns = bounded(task->next_ns);
        return arrival_uniform(next_ns, next_ns + jitter_ns, now_ns);
    }
    const int64_t origin_ns = earlier(bounded(task->quiet_from_ns), now_ns);
    struct arrival a = arrival_uniform(now_ns, origin_ns + period_ns + jitter_ns, now_ns);
    if (jitter_ns == 0 || a.end_ns == now_ns) {
        return a;
    }
    a.shape = ARRIVAL_JITTER;
    a.corner_ns = bounded(origin_ns + period_ns - jitter_ns);
    a.origin_ns = origin_ns;
    a.period_ns = (double)period_ns;
    a.spread_ns = (double)jitter_ns;
    a.scale = 1 / jitter_tail_ns(a.period_ns, a.spread_ns, (double)(now_ns - origin_ns));
    return a;
}

static struct arrival sporadic_arrival(const struct ei_interferer *task, int64_t now_ns)
{
    const int64_t separation_ns = bounded(task->period_ns), extra_ns = bounded(task->mean_extra_ns);
    if (task->is_phase_known) {
        const int64_t begin_ns = later(bounded(task->next_ns), now_ns);
        return extra_ns > 0 ? arrival_decay(begin_ns, extra_ns) : arrival_at(begin_ns);
    }
    const int64_t origin_ns = earlier(bounded(task->quiet_from_ns), now_ns);
    if (extra_ns == 0) {
        return arrival_uniform(now_ns, origin_ns + separation_ns, now_ns);
    }
    if (origin_ns + separation_ns <= now_ns) {
        return arrival_decay(now_ns, extra_ns);
    }
    struct arrival a = arrival_decay(now_ns, extra_ns);
    a.shape = ARRIVAL_RENEWAL;
    a.corner_ns = bounded(origin_ns + separation_ns);
    a.origin_ns = origin_ns;
    a.period_ns = (double)separation_ns;
    a.scale = 1 / ((double)separation_ns + (double)extra_ns - (double)(now_ns - origin_ns));
    return a;
}

static struct arrival arrival_of(const struct ei_interferer *task, int64_t now_ns)
{
    return task->kind == EI_INTERFERER_PERIODIC ? periodic_arrival(task, now_ns) : sporadic_arrival(task, now_ns);
}

/* P(the task comes at t_ns or later), now <= t_ns <= end. */
static double arrival_survival(const struct arrival *a, int64_t t_ns)
{
    if (t_ns <= a->begin_ns) {
        return 1;
    }
    switch (a->shape) {
    case ARRIVAL_AT:
        return 1;
    case ARRIVAL_UNIFORM:
        return (double)(a->end_ns - t_ns) / a->spread_ns;
    case ARRIVAL_DECAY:
        return exp(-(double)(t_ns - a->begin_ns) / a->spread_ns);
    case ARRIVAL_JITTER:
        return a->scale * jitter_tail_ns(a->period_ns, a->spread_ns, (double)(t_ns - a->origin_ns));
    case ARRIVAL_RENEWAL: {
        const double x_ns = (double)(t_ns - a->origin_ns);
        return a->scale * (x_ns <= a->period_ns ? a->period_ns + a->spread_ns - x_ns
                                                : a->spread_ns * exp(-(x_ns - a->period_ns) / a->spread_ns));
    }
    }
    return 0;
}

EINET_RT double ei_interferer_cdf(const struct ei_interferer *task, int64_t now_ns, int64_t t_ns)
{
    now_ns = bounded(now_ns);
    t_ns = bounded(t_ns);
    if (t_ns <= now_ns) {
        return 0;
    }
    const struct arrival a = arrival_of(task, now_ns);
    return t_ns > a.end_ns ? 1 : 1 - arrival_survival(&a, t_ns);
}

/* ---- all of them ---- */

struct schedule {
    int32_t count;
    struct arrival arrivals[EI_INTERFERERS_MAX];
    int64_t end_ns; /* of the table */
};

static double survival_at(const struct schedule *schedule, int64_t t_ns)
{
    double product = 1;
    for (int32_t i = 0; i < schedule->count; i++) {
        product *= arrival_survival(&schedule->arrivals[i], t_ns);
    }
    return product < 0 ? 0 : product > 1 ? 1 : product;
}

static bool is_legal(const struct ei_interferer *task)
{
    if (task->jitter_ns < 0 || task->mean_extra_ns < 0) {
        return false;
    }
    switch (task->kind) {
    case EI_INTERFERER_PERIODIC:
        return task->period_ns > 0 && task->jitter_ns <= task->period_ns && task->mean_extra_ns == 0;
    case EI_INTERFERER_SPORADIC:
        return task->period_ns >= 0 && task->jitter_ns == 0;
    }
    return false;
}

/* Insert into a sorted list unless it is there. Returns the new count. */
static int32_t insert_time(int64_t *times_ns, int32_t count, int64_t t_ns)
{
    int32_t at = count;
    while (at > 0 && times_ns[at - 1] >= t_ns) {
        at--;
    }
    if (at < count && times_ns[at] == t_ns) {
        return count;
    }
    for (int32_t i = count; i > at; i--) {
        times_ns[i] = times_ns[i - 1];
    }
    times_ns[at] = t_ns;
    return count + 1;
}

#define CORNERS_MAX (2 * EI_INTERFERERS_MAX + 2) /* two of each task, now, the end */

/* All corners from now to the end, sorted. Returns their number. */
static int32_t find_corners(const struct schedule *schedule, int64_t now_ns, int64_t *corner_ns)
{
    corner_ns[0] = now_ns;
    int32_t count = insert_time(corner_ns, 1, schedule->end_ns);
    for (int32_t i = 0; i < schedule->count; i++) {
        const int64_t times_ns[2] = {schedule->arrivals[i].begin_ns, schedule->arrivals[i].corner_ns};
        for (int32_t k = 0; k < 2; k++) {
            if (times_ns[k] > now_ns && times_ns[k] < schedule->end_ns) {
                count = insert_time(corner_ns, count, times_ns[k]);
            }
        }
    }
    return count;
}

/* ---- knots between corners ---- */

/* How far the line from knot k to the next is from S at a quarter, half and three quarters, and where most. */
struct bend {
    double error;
    int64_t t_ns;
    double survival; /* at t_ns */
};

static struct bend find_bend(const struct schedule *schedule, const struct ei_survival_table *table, int32_t k)
{
    struct bend bend = {.error = 0};
    const int64_t width_ns = table->t_ns[k + 1] - table->t_ns[k];
    if (width_ns < SPLIT_WIDTH_MIN_NS || table->survival[k] - table->survival[k + 1] <= ERROR_TARGET) {
        return bend; /* S does not increase, so it cannot be further from the line than the line falls */
    }
    for (int32_t quarter = 1; quarter <= 3; quarter++) {
        const int64_t t_ns = table->t_ns[k] + width_ns / 4 * quarter;
        const double share = (double)(t_ns - table->t_ns[k]) / (double)width_ns;
        const double line = table->survival[k] + share * (table->survival[k + 1] - table->survival[k]);
        const double value = survival_at(schedule, t_ns);
        const double error = fabs(line - value);
        if (error > bend.error) {
            bend = (struct bend){error, t_ns, value};
        }
    }
    return bend;
}

/* Add knots where lines err most. */
static void refine(const struct schedule *schedule, int32_t max_count, struct ei_survival_table *table)
{
    struct bend bends[EI_SURVIVAL_KNOTS_MAX];
    for (int32_t k = 0; k + 1 < table->count; k++) {
        bends[k] = find_bend(schedule, table, k);
    }
    while (table->count < max_count) {
        int32_t worst = 0;
        for (int32_t k = 1; k + 1 < table->count; k++) {
            worst = bends[k].error > bends[worst].error ? k : worst;
        }
        if (table->count < 2 || bends[worst].error <= ERROR_TARGET) {
            return;
        }
        for (int32_t k = table->count; k > worst + 1; k--) {
            table->t_ns[k] = table->t_ns[k - 1];
            table->survival[k] = table->survival[k - 1];
            bends[k - 1] = bends[k - 2];
        }
        table->t_ns[worst + 1] = bends[worst].t_ns;
        table->survival[worst + 1] = bends[worst].survival;
        table->count++;
        bends[worst] = find_bend(schedule, table, worst);
        bends[worst + 1] = find_bend(schedule, table, worst + 1);
    }
}

/* S of the schedule up to its end; stop_ns: S = 0 beyond. */
static void fill_table(const struct schedule *schedule, int64_t now_ns, int64_t stop_ns, struct ei_survival_table *out)
{
    int64_t corner_ns[CORNERS_MAX];
    double survival[CORNERS_MAX];
    int32_t corners = find_corners(schedule, now_ns, corner_ns);
    for (int32_t i = 0; i < corners; i++) {
        const double value = survival_at(schedule, corner_ns[i]);
        survival[i] = i > 0 && value > survival[i - 1] ? survival[i - 1] : value; /* rounding could raise it */
    }
    const bool is_jump = stop_ns == schedule->end_ns && survival[corners - 1] > 0;
    const int32_t max_count = EI_SURVIVAL_KNOTS_MAX - (is_jump ? 1 : 0);
    if (corners > max_count) {
        ei_survival_thin(corners, corner_ns, survival, max_count, out);
    } else {
        out->kind = EI_SURVIVAL_KNOTS;
        out->count = corners;
        for (int32_t i = 0; i < corners; i++) {
            out->t_ns[i] = corner_ns[i];
            out->survival[i] = survival[i];
        }
        refine(schedule, max_count, out);
    }
    for (int32_t i = 1; i < out->count; i++) {
        out->survival[i] = out->survival[i] > out->survival[i - 1] ? out->survival[i - 1] : out->survival[i];
    }
    if (is_jump) {
        out->t_ns[out->count] = schedule->end_ns;
        out->survival[out->count++] = 0;
    }
}

EINET_RT int ei_survival_from_schedule(const struct ei_interferer *tasks, int32_t count, int64_t now_ns,
                                       int64_t horizon_ns, int64_t deadline_ns, struct ei_survival_table *out)
{
    if (count < 0 || count > EI_INTERFERERS_MAX || (count > 0 && !tasks) || deadline_ns < now_ns) {
        return -EINVAL;
    }
    for (int32_t i = 0; i < count; i++) {
        if (!is_legal(&tasks[i])) {
            return -EINVAL;
        }
    }
    now_ns = bounded(now_ns);
    struct schedule schedule; /* 6 KiB, so not set to zero first */
    schedule.count = 0;
    int64_t stop_ns = deadline_ns == INT64_MAX ? INT64_MAX : bounded(deadline_ns); /* S = 0 beyond */
    for (int32_t i = 0; i < count; i++) {
        const struct arrival a = arrival_of(&tasks[i], now_ns);
        stop_ns = a.end_ns < FAR_NS ? earlier(stop_ns, a.end_ns) : stop_ns;
        schedule.arrivals[i] = a;
    }
    schedule.end_ns = earlier(stop_ns, later(bounded(horizon_ns), now_ns));
    for (int32_t i = 0; i < count; i++) { /* those that do not matter before the end only cost time */
        if (schedule.arrivals[i].begin_ns < schedule.end_ns) {
            schedule.arrivals[schedule.count++] = schedule.arrivals[i];
        }
    }
    fill_table(&schedule, now_ns, stop_ns, out);
    return 0;
}
