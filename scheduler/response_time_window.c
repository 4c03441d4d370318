/* The window analysis: one stretch of legs of one task, everything that can delay it, a fixed point.
 *
 * The window begins at t0, the last moment before the job in question at which the task was not on these legs and no
 * work of its priority or a higher one waited at its first resource; so at that resource nothing is carried in. From t0
 * to the finish, every moment is own work, work of others of at least this priority on the resources reached, or a
 * block of a lower task that began before a request. docs/analysis.md, "The window", has the argument step by step.
 */
#include "scheduler/response_time_parts.h"

#define WINDOW_JOBS_MAX 100000
#define WINDOW_STEPS_MAX 2000000

static uint64_t bit(int32_t idx)
{
    return UINT64_C(1) << idx;
}

/* Least w with w = own + interference(w + closed); closed = 1 counts arrivals at the end of the window, too, which
 * is what a start must survive (times are integers). from_ns is a known lower bound of it. */
static int64_t fixed_point(const struct ei_rta *rta, int64_t own_ns, int64_t closed, int64_t from_ns, int32_t *steps)
{
    int64_t w_ns = own_ns > from_ns ? own_ns : from_ns;
    w_ns = w_ns > 1 - closed ? w_ns : 1 - closed;
    while (w_ns <= rta->limit_ns && ++*steps <= WINDOW_STEPS_MAX) {
        const int64_t next_ns = ei_rta_add(own_ns, ei_rta_interference(rta, w_ns + closed));
        if (next_ns <= w_ns) {
            return w_ns;
        }
        w_ns = next_ns;
    }
    return EI_RTA_INFINITE;
}

/* Own demand and blocking of the first q jobs in the window. */
struct demand {
    int64_t earlier_ns;    /* each earlier job */
    int64_t question_ns;   /* the job in question */
    int64_t full_ns;       /* the same when it goes all the way, for the end of the busy window */
    int64_t block_ns;      /* lower blocks per job: one per visit of a lane, one per arrival at a CPU */
    int64_t last_block_ns; /* the same for the job in question */
    int64_t once_ns;       /* lower chunk once per window */
    int64_t last_chunk_ns; /* of the job in question, at its end */
    int64_t more_waits;    /* requests for lanes by jobs before those of the window */
};

/* Lower-priority blocks that legs from..to can run into. A row of legs on one CPU arrives there once. */
static int64_t blocking(const struct ei_rta *rta, int32_t i, int32_t from, int32_t to, int64_t *out_cpu_ns)
{
    const struct ei_rta_state *state = &rta->states[i];
    const int32_t priority = rta->tasks[i].priority;
    int64_t lane_ns = 0;
    *out_cpu_ns = 0;
    for (int32_t s = from; s <= to; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (leg->lane >= 0) {
            lane_ns = ei_rta_add(lane_ns, ei_rta_lower_block(rta, priority, leg->lane, true, 0));
        }
        if (s == from || leg->cpu != state->legs[s - 1].cpu) {
            *out_cpu_ns = ei_rta_add(*out_cpu_ns, ei_rta_lower_cpu_chunk(rta, priority, leg->cpu));
        }
    }
    return lane_ns;
}

static void sum_legs(const struct ei_rta_state *state, int32_t from, int32_t to, int64_t *out_full_ns,
                     int64_t *out_mandatory_ns)
{
    *out_full_ns = 0;
    *out_mandatory_ns = 0;
    for (int32_t s = from; s <= to; s++) {
        *out_full_ns += state->legs[s].wcet_ns;
        *out_mandatory_ns += state->legs[s].mandatory_ns;
    }
}

/* Own work on other legs that can fall into the window because it keeps the first resource busy, and the lower blocks
 * that the task's own requests there let through. At most once per job of the window, whether the leg comes before the
 * stretch (of the same jobs) or after it (of the jobs before). */
static int64_t elsewhere(const struct ei_rta *rta, const struct ei_rta_query *query, int64_t *out_block_ns)
{
    const struct ei_rta_state *state = &rta->states[query->task_idx];
    const int32_t priority = rta->tasks[query->task_idx].priority;
    const struct ei_rta_leg *first = &state->legs[query->from];
    int64_t sum_ns = 0;
    *out_block_ns = 0;
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (s >= query->from && s <= query->to) {
            continue;
        }
        const bool is_same = first->cpu >= 0 ? leg->cpu == first->cpu : leg->cpu < 0 && leg->lane == first->lane;
        sum_ns += is_same ? leg->wcet_ns : 0;
        if (first->cpu >= 0) {
            *out_block_ns += is_same ? ei_rta_lower_cpu_chunk(rta, priority, leg->cpu) : 0;
            *out_block_ns += leg->lane < 0 ? 0 : ei_rta_lower_block(rta, priority, leg->lane, false, bit(first->cpu));
        } else if (leg->lane == first->lane) {
            *out_block_ns += ei_rta_lower_block(rta, priority, leg->lane, true, 0);
        }
    }
    return sum_ns;
}

static struct demand demand_of(const struct ei_rta *rta, const struct ei_rta_query *query)
{
    const struct ei_rta_state *state = &rta->states[query->task_idx];
    const int32_t busy_to = query->is_alone ? query->to : state->leg_count - 1;
    struct demand d = {0};
    int64_t mandatory_ns = 0, ignored_ns = 0, busy_cpu_ns = 0, last_cpu_ns = 0;
    sum_legs(state, query->from, busy_to, &d.full_ns, &ignored_ns);
    sum_legs(state, query->from, query->to, &d.question_ns, &mandatory_ns);
    const struct ei_rta_leg *last = &state->legs[query->to];
    d.last_chunk_ns = last->last_chunk_ns;
    if (query->is_mandatory) {
        d.question_ns = mandatory_ns;
        d.last_chunk_ns = last->mandatory_ns == last->wcet_ns && last->driver < 0 ? last->last_chunk_ns : 0;
    }
    for (int32_t s = 0; s < state->leg_count; s++) {
        const bool is_outside = query->carried_ns >= 0 || (query->is_alone && (s < query->from || s > query->to));
        d.more_waits |= is_outside && state->legs[s].lane >= 0;
    }
    int64_t elsewhere_block_ns = 0;
    if (query->carried_ns >= 0) {
        /* The job before has made its requests, so no lower block comes between; its way back to a CPU could meet one
         * stretch without preemption, which busy_cpu_ns covers once more below. */
        d.question_ns = ei_rta_add(d.question_ns, query->carried_ns);
    } else if (query->is_alone) {
        const int64_t elsewhere_ns = elsewhere(rta, query, &elsewhere_block_ns);
        d.full_ns += elsewhere_ns;
        d.question_ns += elsewhere_ns;
    }
    d.earlier_ns = d.full_ns;
    d.block_ns = blocking(rta, query->task_idx, query->from, busy_to, &busy_cpu_ns) + elsewhere_block_ns;
    d.last_block_ns = blocking(rta, query->task_idx, query->from, query->to, &last_cpu_ns) + elsewhere_block_ns;
    if (ei_rta_is_one_cpu(rta, state, query->from, busy_to)) {
        d.once_ns = busy_cpu_ns;
    } else {
        d.block_ns = ei_rta_add(d.block_ns, busy_cpu_ns);
        d.last_block_ns = ei_rta_add(d.last_block_ns, last_cpu_ns);
    }
    d.once_ns = query->carried_ns >= 0 ? ei_rta_add(d.once_ns, busy_cpu_ns) : d.once_ns;
    return d;
}

/* Finish of the q-th job of the window, from its beginning. *from_ns carries a lower bound from one job to the next. */
static int64_t finish_of(const struct ei_rta *rta, const struct demand *d, int64_t q, int64_t *from_ns, int32_t *steps)
{
    const int64_t earlier_ns = ei_rta_multiply(q - 1, ei_rta_add(d->earlier_ns, d->block_ns));
    const int64_t own_ns = ei_rta_add(earlier_ns, ei_rta_add(d->question_ns, ei_rta_add(d->last_block_ns, d->once_ns)));
    if (d->last_chunk_ns > 0) { /* its end cannot be preempted: bound its start (Bril et al. 2009, eq. 23) */
        *from_ns = fixed_point(rta, own_ns - d->last_chunk_ns, 1, *from_ns, steps);
        return ei_rta_add(*from_ns, d->last_chunk_ns);
    }
    *from_ns = fixed_point(rta, own_ns, 0, *from_ns, steps);
    return *from_ns;
}

static const struct ei_rta_window no_bound = {.finish_ns = EI_RTA_INFINITE, .own_ns = EI_RTA_INFINITE};

struct ei_rta_window ei_rta_window_bound(struct ei_rta *rta, const struct ei_rta_query *query)
{
    const struct ei_rta_state *state = &rta->states[query->task_idx];
    if (query->arrival_ns >= EI_RTA_INFINITE || query->arrival_of_first_ns >= EI_RTA_INFINITE) {
        return no_bound;
    }
    const struct demand d = demand_of(rta, query);
    struct ei_rta_reach narrow = ei_rta_reach_of(rta, state, query->from, query->to);
    if (query->carried_ns >= 0) { /* nowhere free of work carried in */
        narrow.first_cpu = EI_RTA_NOWHERE;
        narrow.first_lane = EI_RTA_NOWHERE;
    }
    const struct ei_rta_reach wide = query->is_alone ? narrow : ei_rta_reach_of(rta, state, 0, state->leg_count - 1);
    const bool is_wider = wide.cpus != narrow.cpus || wide.lanes != narrow.lanes; /* they begin alike */
    const int64_t spread_ns = query->arrival_ns - query->best_arrival_ns;
    struct ei_rta_window worst = {.blocking_ns = ei_rta_add(d.last_block_ns, d.once_ns)};
    int64_t finish_from_ns = 0, busy_from_ns = 0;
    int32_t steps = 0;
    for (int64_t q = 1; q <= WINDOW_JOBS_MAX; q++) {
        if (q == 1 && !ei_rta_collect_streams(rta, query->task_idx, &narrow)) {
            return no_bound;
        }
        rta->own_waits = q + d.more_waits;
        const int64_t finish_ns = finish_of(rta, &d, q, &finish_from_ns, &steps);
        if (finish_ns >= EI_RTA_INFINITE) {
            return no_bound;
        }
        const int64_t before_ns = ei_rta_multiply(q - 1, state->period_ns); /* arrivals of the first and of the q-th */
        const int64_t latest_ns = q == 1 ? query->arrival_of_first_ns : query->arrival_ns;
        const int64_t response_ns = finish_ns - before_ns + latest_ns;
        const int64_t own_ns = finish_ns - (before_ns > spread_ns ? before_ns - spread_ns : 0);
        worst.finish_ns = response_ns > worst.finish_ns ? response_ns : worst.finish_ns;
        worst.own_ns = own_ns > worst.own_ns ? own_ns : worst.own_ns;
        if (query->carried_ns >= 0) {
            return worst;
        }
        /* Is job q + 1 ready before all of this work is done? */
        if (q == 1 && is_wider && !ei_rta_collect_streams(rta, query->task_idx, &wide)) {
            return no_bound;
        }
        const int64_t each_ns = ei_rta_add(d.full_ns, d.block_ns);
        busy_from_ns = fixed_point(rta, ei_rta_add(ei_rta_multiply(q, each_ns), d.once_ns), 0, busy_from_ns, &steps);
        if (busy_from_ns >= EI_RTA_INFINITE) {
            return no_bound;
        }
        if (busy_from_ns <= before_ns + state->period_ns - spread_ns) {
            return worst;
        }
    }
    return no_bound;
}
