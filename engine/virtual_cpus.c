/* See virtual_cpus.h. */
#include "engine/virtual_cpus.h"

#include "engine/virtual_deadline.h"

#include <errno.h>
#include <stdlib.h>

int ei_virtual_cpus_init(struct ei_virtual_cpus *v, int32_t cpu_count, int32_t thread_count)
{
    *v = (struct ei_virtual_cpus){.cpu_count = cpu_count, .thread_count = thread_count};
    v->cpus = calloc((size_t)cpu_count, sizeof *v->cpus);
    v->threads = calloc((size_t)thread_count, sizeof *v->threads);
    v->deadline_threads = calloc((size_t)thread_count, sizeof *v->deadline_threads);
    if (v->cpus == NULL || v->threads == NULL || v->deadline_threads == NULL) {
        ei_virtual_cpus_fini(v);
        return -ENOMEM;
    }
    for (int32_t c = 0; c < cpu_count; c++) {
        v->cpus[c].running = EI_VIRTUAL_NOBODY;
        for (int32_t p = 0; p < EI_VIRTUAL_PRIORITIES; p++) {
            v->cpus[c].head[p] = v->cpus[c].tail[p] = EI_VIRTUAL_NOBODY;
        }
    }
    return 0;
}

void ei_virtual_cpus_fini(struct ei_virtual_cpus *v)
{
    free(v->cpus);
    free(v->threads);
    free(v->deadline_threads);
    *v = (struct ei_virtual_cpus){0};
}

/* ---- where time goes ---- */

/* Only a raised thread can keep one of a higher base waiting, so only its time is remembered by base. */
static void count_running(struct ei_virtual_cpus *v, struct ei_virtual_thread *t)
{
    const int64_t ran_ns = v->now_ns - t->mark_ns;
    t->mark_ns = v->now_ns;
    t->ran_ns += ran_ns;
    if (t->priority > t->base) {
        v->cpus[t->cpu].raised_ns += ran_ns;
        v->cpus[t->cpu].raised_base_ns[t->base] += ran_ns;
    }
}

/* How long this CPU has run threads of a base below this one that were raised. */
static int64_t below_ns(struct ei_virtual_cpus *v, int32_t cpu, int32_t base)
{
    const struct ei_virtual_cpu *c = &v->cpus[cpu];
    int64_t sum_ns = 0;
    if (c->running != EI_VIRTUAL_NOBODY) {
        count_running(v, &v->threads[c->running]);
    }
    for (int32_t p = 0; c->raised_ns > 0 && p < base; p++) {
        sum_ns += c->raised_base_ns[p];
    }
    return sum_ns;
}

static void mark_waiting(struct ei_virtual_cpus *v, struct ei_virtual_thread *t)
{
    t->mark_ns = v->now_ns;
    t->below_mark_ns = below_ns(v, t->cpu, t->base);
}

static void count_waiting(struct ei_virtual_cpus *v, struct ei_virtual_thread *t)
{
    const int64_t below_mark_ns = t->below_mark_ns;
    t->waited_ns += v->now_ns - t->mark_ns;
    mark_waiting(v, t);
    t->below_ns += t->below_mark_ns - below_mark_ns;
}

void ei_virtual_count(struct ei_virtual_cpus *v, int32_t thread)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    if (t->state == EI_VIRTUAL_RUNNING) {
        count_running(v, t);
    } else if (t->state == EI_VIRTUAL_READY) {
        count_waiting(v, t);
    } else if (t->state == EI_VIRTUAL_THROTTLED) {
        t->throttled_ns += v->now_ns - t->mark_ns;
        t->mark_ns = v->now_ns;
    }
}

void ei_virtual_count_begin(struct ei_virtual_cpus *v, int32_t thread)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    ei_virtual_count(v, thread);
    t->ran_ns = t->waited_ns = t->below_ns = t->throttled_ns = 0;
}

/* ---- queues ---- */

static void enqueue(struct ei_virtual_cpus *v, int32_t thread, int32_t cpu, bool at_head)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    struct ei_virtual_cpu *c = &v->cpus[cpu];
    const int32_t p = t->priority;
    t->state = EI_VIRTUAL_READY;
    t->cpu = cpu;
    if (t->is_deadline) { /* in no queue: there are few of them */
        mark_waiting(v, t);
        return;
    }
    t->before = at_head ? EI_VIRTUAL_NOBODY : c->tail[p];
    t->after = at_head ? c->head[p] : EI_VIRTUAL_NOBODY;
    if (t->before != EI_VIRTUAL_NOBODY) {
        v->threads[t->before].after = thread;
    } else {
        c->head[p] = thread;
    }
    if (t->after != EI_VIRTUAL_NOBODY) {
        v->threads[t->after].before = thread;
    } else {
        c->tail[p] = thread;
    }
    c->waiting[p / 64] |= UINT64_C(1) << (p % 64);
    mark_waiting(v, t);
}

static void dequeue(struct ei_virtual_cpus *v, int32_t thread)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    struct ei_virtual_cpu *c = &v->cpus[t->cpu];
    const int32_t p = t->priority;
    count_waiting(v, t);
    if (t->is_deadline) {
        return;
    }
    if (t->before != EI_VIRTUAL_NOBODY) {
        v->threads[t->before].after = t->after;
    } else {
        c->head[p] = t->after;
    }
    if (t->after != EI_VIRTUAL_NOBODY) {
        v->threads[t->after].before = t->before;
    } else {
        c->tail[p] = t->before;
    }
    if (c->head[p] == EI_VIRTUAL_NOBODY) {
        c->waiting[p / 64] &= ~(UINT64_C(1) << (p % 64));
    }
}

/* Priority of the highest queue that is not empty, -1 = none. */
static int32_t top_waiting(const struct ei_virtual_cpu *c)
{
    if (c->waiting[1] != 0) {
        return 127 - __builtin_clzll(c->waiting[1]);
    }
    return c->waiting[0] != 0 ? 63 - __builtin_clzll(c->waiting[0]) : -1;
}

static int32_t running_priority(const struct ei_virtual_cpus *v, int32_t cpu)
{
    const int32_t running = v->cpus[cpu].running;
    return running == EI_VIRTUAL_NOBODY ? -1 : v->threads[running].priority;
}

/* ---- who runs where ---- */

static void run_on(struct ei_virtual_cpus *v, int32_t thread, int32_t cpu)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    t->state = EI_VIRTUAL_RUNNING;
    t->cpu = cpu;
    t->since_ns = t->mark_ns = v->now_ns;
    v->cpus[cpu].running = thread;
}

/* Stop the clock of what the CPU runs and return it; the CPU runs nobody then. */
static int32_t take_off(struct ei_virtual_cpus *v, int32_t cpu)
{
    const int32_t thread = v->cpus[cpu].running;
    struct ei_virtual_thread *t = &v->threads[thread];
    count_running(v, t);
    t->left_ns -= v->now_ns - t->since_ns;
    t->rest_ns -= v->now_ns - t->since_ns;
    t->used_ns += v->now_ns - t->since_ns;
    t->since_ns = v->now_ns;
    v->cpus[cpu].running = EI_VIRTUAL_NOBODY;
    return thread;
}

/* The CPU that runs the latest deadline, if that is later than the thread's; all run class deadline. */
static int32_t later_cpu(const struct ei_virtual_cpus *v, const struct ei_virtual_thread *t)
{
    int32_t best = EI_VIRTUAL_NOBODY;
    int64_t latest_ns = t->absolute_ns;
    for (uint64_t allowed = t->cpus; allowed != 0; allowed &= allowed - 1) {
        const int32_t cpu = __builtin_ctzll(allowed);
        if (v->threads[v->cpus[cpu].running].absolute_ns > latest_ns) {
            latest_ns = v->threads[v->cpus[cpu].running].absolute_ns;
            best = cpu;
        }
    }
    return best;
}

/* The ready thread of class deadline that goes first. */
static int32_t earliest_for(const struct ei_virtual_cpus *v, int32_t cpu)
{
    int32_t best = EI_VIRTUAL_NOBODY;
    for (int32_t i = 0; i < v->deadline_count; i++) {
        const struct ei_virtual_thread *t = &v->threads[v->deadline_threads[i]];
        if (t->state == EI_VIRTUAL_READY && (t->cpus >> cpu & 1) != 0 &&
            (best == EI_VIRTUAL_NOBODY || ei_virtual_deadline_is_before(t, &v->threads[best]))) {
            best = v->deadline_threads[i];
        }
    }
    return best;
}

/* The allowed CPU that runs the lowest priority below the thread's; its last one among equals, so that it stays where
 * its cache is; EI_VIRTUAL_NOBODY = every one runs as high. */
static int32_t lower_cpu(const struct ei_virtual_cpus *v, const struct ei_virtual_thread *t)
{
    int32_t best = EI_VIRTUAL_NOBODY, best_priority = t->priority;
    for (uint64_t allowed = t->cpus; allowed != 0; allowed &= allowed - 1) {
        const int32_t cpu = __builtin_ctzll(allowed);
        const int32_t p = running_priority(v, cpu);
        if (p < best_priority || (p == best_priority && best != EI_VIRTUAL_NOBODY && cpu == t->cpu)) {
            best = cpu;
            best_priority = p;
        }
    }
    return best == EI_VIRTUAL_NOBODY && t->is_deadline ? later_cpu(v, t) : best;
}

/* Find a place for a thread that is on no CPU and in no queue; whom it displaces looks for one, too. */
static void place(struct ei_virtual_cpus *v, int32_t thread, bool at_head)
{
    v->threads[thread].turn = at_head ? v->threads[thread].turn : ++v->last_turn;
    for (;;) {
        struct ei_virtual_thread *t = &v->threads[thread];
        const int32_t cpu = lower_cpu(v, t);
        if (cpu == EI_VIRTUAL_NOBODY) {
            enqueue(v, thread, (t->cpus >> t->cpu & 1) != 0 ? t->cpu : __builtin_ctzll(t->cpus), at_head);
            return;
        }
        const bool is_displacing = v->cpus[cpu].running != EI_VIRTUAL_NOBODY;
        const int32_t displaced = is_displacing ? take_off(v, cpu) : EI_VIRTUAL_NOBODY;
        run_on(v, thread, cpu);
        if (!is_displacing) {
            return;
        }
        thread = displaced;
        at_head = true;
    }
}

/* The highest thread that may run on this CPU, of its own queues before those of others. */
static int32_t highest_for(const struct ei_virtual_cpus *v, int32_t cpu)
{
    const int32_t earliest = v->deadline_count > 0 ? earliest_for(v, cpu) : EI_VIRTUAL_NOBODY;
    int32_t best = EI_VIRTUAL_NOBODY, best_priority = top_waiting(&v->cpus[cpu]);
    if (earliest != EI_VIRTUAL_NOBODY) {
        return earliest;
    }
    if (best_priority >= 0) {
        best = v->cpus[cpu].head[best_priority];
    }
    for (int32_t other = 0; other < v->cpu_count; other++) {
        const struct ei_virtual_cpu *c = &v->cpus[other];
        if (other == cpu || top_waiting(c) <= best_priority) {
            continue;
        }
        for (int32_t p = top_waiting(c); p > best_priority; p--) {
            for (int32_t t = c->head[p]; t != EI_VIRTUAL_NOBODY; t = v->threads[t].after) {
                if ((v->threads[t].cpus >> cpu & 1) != 0) {
                    best = t;
                    best_priority = p;
                    break;
                }
            }
        }
    }
    return best;
}

/* A CPU became free. */
static void refill(struct ei_virtual_cpus *v, int32_t cpu)
{
    const int32_t next = highest_for(v, cpu);
    if (next != EI_VIRTUAL_NOBODY) {
        dequeue(v, next);
        run_on(v, next, cpu);
    }
}

/* ---- what the engine calls ---- */

void ei_virtual_set_deadline(struct ei_virtual_cpus *v, int32_t thread, int64_t runtime_ns, int64_t deadline_ns,
                             int64_t period_ns)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    t->is_deadline = true;
    t->runtime_ns = runtime_ns;
    t->relative_ns = deadline_ns;
    t->period_ns = period_ns;
    t->priority = t->base = EI_VIRTUAL_DEADLINE_PRIORITY;
    v->deadline_threads[v->deadline_count++] = thread;
}

static void throttle(struct ei_virtual_cpus *v, struct ei_virtual_thread *t)
{
    t->state = EI_VIRTUAL_THROTTLED;
    t->mark_ns = v->now_ns;
}

bool ei_virtual_next_timer(const struct ei_virtual_cpus *v, int64_t *out_ns)
{
    int64_t next_ns = INT64_MAX;
    for (int32_t i = 0; i < v->deadline_count; i++) {
        const struct ei_virtual_thread *t = &v->threads[v->deadline_threads[i]];
        const int64_t at_ns = t->state == EI_VIRTUAL_RUNNING     ? t->since_ns + t->left_ns
                              : t->state == EI_VIRTUAL_THROTTLED ? t->timer_ns
                                                                 : INT64_MAX;
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    *out_ns = next_ns;
    return next_ns < INT64_MAX;
}

/* The thread of this CPU has used up its runtime. */
static void spend(struct ei_virtual_cpus *v, int32_t cpu)
{
    const int32_t thread = take_off(v, cpu);
    struct ei_virtual_thread *t = &v->threads[thread];
    if (ei_virtual_deadline_spent(t, v->now_ns)) {
        throttle(v, t);
        refill(v, cpu);
        return;
    }
    const int32_t earliest = earliest_for(v, cpu);
    if (earliest != EI_VIRTUAL_NOBODY && ei_virtual_deadline_is_before(&v->threads[earliest], t)) {
        dequeue(v, earliest);
        run_on(v, earliest, cpu);
        place(v, thread, false);
    } else {
        run_on(v, thread, cpu);
    }
}

void ei_virtual_timer(struct ei_virtual_cpus *v)
{
    for (int32_t cpu = 0; cpu < v->cpu_count; cpu++) {
        const int32_t thread = v->cpus[cpu].running;
        if (thread != EI_VIRTUAL_NOBODY && v->threads[thread].is_deadline &&
            v->threads[thread].since_ns + v->threads[thread].left_ns <= v->now_ns) {
            spend(v, cpu);
            return;
        }
    }
    for (int32_t i = 0; i < v->deadline_count; i++) {
        const int32_t thread = v->deadline_threads[i];
        struct ei_virtual_thread *t = &v->threads[thread];
        if (t->state == EI_VIRTUAL_THROTTLED && t->timer_ns <= v->now_ns) {
            ei_virtual_count(v, thread);
            ei_virtual_deadline_replenish(t, v->now_ns);
            place(v, thread, false);
            return;
        }
    }
}

void ei_virtual_wake(struct ei_virtual_cpus *v, int32_t thread, int64_t rest_ns)
{
    v->threads[thread].rest_ns = rest_ns;
    if (v->threads[thread].is_deadline && !ei_virtual_deadline_wake(&v->threads[thread], v->now_ns)) {
        throttle(v, &v->threads[thread]);
        return;
    }
    place(v, thread, false);
}

void ei_virtual_compute(struct ei_virtual_cpus *v, int32_t thread, int64_t rest_ns)
{
    v->threads[thread].rest_ns = rest_ns;
    v->threads[thread].left_ns -= v->now_ns - v->threads[thread].since_ns;
    v->threads[thread].used_ns += v->now_ns - v->threads[thread].since_ns;
    v->threads[thread].since_ns = v->now_ns;
}

void ei_virtual_block(struct ei_virtual_cpus *v, int32_t thread)
{
    const int32_t cpu = v->threads[thread].cpu;
    if (v->threads[thread].state == EI_VIRTUAL_READY) {
        dequeue(v, thread);
        v->threads[thread].state = EI_VIRTUAL_IDLE;
        return;
    }
    (void)take_off(v, cpu);
    v->threads[thread].state = EI_VIRTUAL_IDLE;
    refill(v, cpu);
}

void ei_virtual_set_priority(struct ei_virtual_cpus *v, int32_t thread, int32_t priority)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    const bool is_lowered = priority < t->priority;
    if (priority == t->priority || t->is_demoted) {
        return;
    }
    ei_virtual_count(v, thread);
    if (t->state == EI_VIRTUAL_READY) {
        dequeue(v, thread);
        t->priority = priority;
        place(v, thread, is_lowered);
    } else if (t->state == EI_VIRTUAL_RUNNING && is_lowered) {
        const int32_t cpu = t->cpu;
        t->priority = priority;
        const int32_t next = highest_for(v, cpu);
        if (next != EI_VIRTUAL_NOBODY && v->threads[next].priority > priority) {
            (void)take_off(v, cpu);
            dequeue(v, next);
            run_on(v, next, cpu);
            place(v, thread, true);
        }
    } else {
        t->priority = priority;
    }
}

void ei_virtual_demote(struct ei_virtual_cpus *v, int32_t thread)
{
    struct ei_virtual_thread *t = &v->threads[thread];
    ei_virtual_count(v, thread);
    t->base = 0;
    if (t->state == EI_VIRTUAL_READY) {
        mark_waiting(v, t);
    }
    ei_virtual_set_priority(v, thread, 0);
    t->is_demoted = true;
}

int64_t ei_virtual_used_ns(const struct ei_virtual_cpus *v, int32_t thread)
{
    const struct ei_virtual_thread *t = &v->threads[thread];
    return t->used_ns + (t->state == EI_VIRTUAL_RUNNING ? v->now_ns - t->since_ns : 0);
}

int32_t ei_virtual_next_due(const struct ei_virtual_cpus *v, int64_t *out_ns)
{
    int32_t next = EI_VIRTUAL_NOBODY;
    int64_t next_ns = INT64_MAX;
    for (int32_t cpu = 0; cpu < v->cpu_count; cpu++) {
        const int32_t thread = v->cpus[cpu].running;
        if (thread == EI_VIRTUAL_NOBODY) {
            continue;
        }
        const int64_t due_ns = v->threads[thread].since_ns + v->threads[thread].rest_ns;
        if (next == EI_VIRTUAL_NOBODY || due_ns < next_ns) {
            next = thread;
            next_ns = due_ns;
        }
    }
    *out_ns = next_ns;
    return next;
}
