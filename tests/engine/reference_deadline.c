/* Class deadline of the reference simulator, by the words of reference_schedule.h. */
#include "tests/engine/reference_world.h"

static int64_t deadline_of(const struct thread *t)
{
    return t->period_begin_ns + t->task->deadline_ns;
}

/* A little more than the budget, so that a job that needs all of it leaves a rest. */
static int64_t runtime_of(const struct thread *t)
{
    return t->task->pre.budget_ns + 2048;
}

static int64_t period_of(const struct thread *t)
{
    const int64_t shorter_ns = t->task->period_ns - t->task->period_ns / 32;
    return t->task->deadline_ns > shorter_ns ? t->task->deadline_ns : shorter_ns;
}

static int64_t next_period_of(const struct thread *t)
{
    return t->period_begin_ns + period_of(t);
}

static void begin_anew(struct world *w, struct thread *t)
{
    t->period_begin_ns = w->now_ns;
    t->server_rest_ns = runtime_of(t);
    t->has_begun = true;
}

/* A period later, with the runtime again. */
static void begin_next(struct world *w, struct thread *t)
{
    t->period_begin_ns += period_of(t);
    t->server_rest_ns = runtime_of(t);
    if (deadline_of(t) < w->now_ns) {
        begin_anew(w, t);
    }
}

int32_t ref_deadline_on(const struct world *w, int32_t cpu)
{
    for (int32_t i = 0; i < w->count; i++) {
        if (w->threads[i].task->is_deadline && w->threads[i].on_cpu == cpu) {
            return i;
        }
    }
    return -1;
}

static int32_t priority_on(struct world *w, int32_t cpu)
{
    const int32_t i = ref_runs_on(w, cpu);
    return i < 0 ? -1 : w->threads[i].priority;
}

/* The CPU that a ready thread takes, -1 = it waits. */
static int32_t cpu_for(struct world *w, const struct thread *t)
{
    int32_t lowest = 0, latest = -1;
    int64_t latest_ns = deadline_of(t);
    for (int32_t cpu = 0; cpu < REF_CPUS; cpu++) {
        lowest = priority_on(w, cpu) < priority_on(w, lowest) ? cpu : lowest;
    }
    if (t->had_cpu >= 0 && priority_on(w, t->had_cpu) == priority_on(w, lowest)) {
        lowest = t->had_cpu;
    }
    for (int32_t cpu = 0; cpu < REF_CPUS; cpu++) {
        const int32_t other = ref_deadline_on(w, cpu);
        if (other < 0) {
            return lowest;
        }
        if (deadline_of(&w->threads[other]) > latest_ns) {
            latest_ns = deadline_of(&w->threads[other]);
            latest = cpu;
        }
    }
    return latest;
}

static void take_cpu(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const int32_t cpu = cpu_for(w, t);
    if (cpu < 0) {
        return;
    }
    const int32_t other = ref_deadline_on(w, cpu);
    if (other >= 0) {
        w->threads[other].on_cpu = -1; /* the latest of all: it waits */
    }
    t->on_cpu = t->had_cpu = cpu;
    (void)ref_runs_on(w, cpu);
}

static void become_ready(struct world *w, int32_t i)
{
    w->threads[i].state = READY;
    w->threads[i].turn = ++w->turns;
    take_cpu(w, i);
}

static void throttle_or_go_on(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    if (next_period_of(t) > w->now_ns) {
        t->state = THROTTLED;
    } else {
        begin_next(w, t);
        become_ready(w, i);
    }
}

void ref_deadline_wake(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const int64_t runtime_ns = runtime_of(t), until_ns = deadline_of(t) - w->now_ns;
    const bool differ = t->task->deadline_ns != period_of(t);
    if (!t->has_begun) {
        begin_anew(w, t);
    } else if (t->server_rest_ns == 0 || (differ && until_ns < 0 && w->now_ns < next_period_of(t))) {
        t->server_rest_ns = 0;
        throttle_or_go_on(w, i);
        return;
    } else if (until_ns < 0) {
        begin_anew(w, t);
    } else if ((t->server_rest_ns / 1024) * (t->task->deadline_ns / 1024) > (until_ns / 1024) * (runtime_ns / 1024)) {
        if (differ) {
            t->server_rest_ns = (runtime_ns * 1048576 / t->task->deadline_ns) * until_ns / 1048576;
        } else {
            begin_anew(w, t);
        }
    }
    become_ready(w, i);
}

/* Whether a goes before b. */
static bool is_before(const struct thread *a, const struct thread *b)
{
    return deadline_of(a) < deadline_of(b) || (deadline_of(a) == deadline_of(b) && a->turn < b->turn);
}

void ref_deadline_leave(struct world *w, int32_t i)
{
    const int32_t cpu = w->threads[i].on_cpu;
    int32_t next = -1;
    w->threads[i].on_cpu = -1;
    for (int32_t k = 0; k < w->count; k++) {
        const struct thread *t = &w->threads[k];
        if (t->task->is_deadline && k != i && t->state == READY && t->on_cpu < 0 &&
            (next < 0 || is_before(t, &w->threads[next]))) {
            next = k;
        }
    }
    if (next >= 0) {
        w->threads[next].on_cpu = w->threads[next].had_cpu = cpu;
    }
    (void)ref_runs_on(w, cpu);
}

int64_t ref_deadline_event_ns(const struct world *w)
{
    int64_t next_ns = INT64_MAX;
    for (int32_t i = 0; i < w->count; i++) {
        const struct thread *t = &w->threads[i];
        const int64_t at_ns = !t->task->is_deadline   ? INT64_MAX
                              : t->state == THROTTLED ? next_period_of(t)
                              : t->on_cpu >= 0        ? w->now_ns + t->server_rest_ns
                                                      : INT64_MAX;
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    return next_ns;
}

/* One whose next period has come goes on without a pause: as if it had left and come back. */
static void use_up(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const int32_t cpu = t->on_cpu;
    if (next_period_of(t) > w->now_ns) {
        t->state = THROTTLED;
        ref_deadline_leave(w, i);
        return;
    }
    begin_next(w, t);
    t->state = THROTTLED; /* nobody takes it for one that waits meanwhile */
    for (int32_t k = 0; k < w->count; k++) {
        const struct thread *other = &w->threads[k];
        if (other->task->is_deadline && other->state == READY && other->on_cpu < 0 && is_before(other, t)) {
            ref_deadline_leave(w, i);
            become_ready(w, i);
            return;
        }
    }
    t->state = READY;
    t->on_cpu = cpu;
}

void ref_deadline_event(struct world *w)
{
    for (int32_t cpu = 0; cpu < REF_CPUS; cpu++) {
        const int32_t i = ref_deadline_on(w, cpu);
        if (i >= 0 && w->threads[i].server_rest_ns == 0) {
            use_up(w, i);
            return;
        }
    }
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        if (t->task->is_deadline && t->state == THROTTLED && next_period_of(t) <= w->now_ns) {
            begin_next(w, t);
            become_ready(w, i);
            return;
        }
    }
}
