/* Lanes by deadline on one CPU: bounds from all the work that is due before the job in question (after Spuri 1996).
 *
 * Relevant are jobs of tasks of at least the task's priority, and jobs of lower ones that are due no later than the job
 * in question. The window begins at t0, the last moment before that job is ready at which no relevant job was, so that
 * nothing relevant is carried in; `base` is the release from which its deadline counts, after t0. Until its finish
 * every moment is relevant work, a block of a job due later that holds a lane for which a relevant one asks, or, before
 * it is ready, work of a lower job due later whose priority is above that of all the relevant ones there are. Every
 * base is looked at. docs/analysis.md, "Lanes by deadline", has the argument step by step.
 */
#include "scheduler/response_time_parts.h"

#define STEPS_MAX 2000000

/* Another task of the CPU. Of its jobs late_ns and early_ns bound when they are ready after their nominal arrival. */
struct rival {
    int32_t priority;
    bool is_higher; /* at least the priority of the task */
    uint64_t lanes;
    int64_t period_ns, late_ns, early_ns;
    int64_t wcet_ns, requests; /* of a job: its work, and how often it asks for a lane */
    /* Of at least the task's priority. */
    int64_t end_ns, end_requests; /* what of that concerns the lane on which the legs in question end: */
    int64_t end_until_ns;         /* of jobs released no later than this after the base alone */
    int64_t before_ns;            /* work of lower jobs that can go before one of its jobs, due later than the one in
                                     question, so that it is, too: */
    int64_t after_ns;             /* it is released more than this after the base, */
    int64_t ask_until_ns;         /* and asks no later than this after it */
    /* Of lower priority. */
    int64_t longer_ns;         /* its relative deadline is so much longer; INT64_MAX = it has none */
    int64_t lane_ns, chunk_ns; /* its work on lanes, and its longest block */
    int64_t deadline_jitter_ns, finish_ns;
    /* For the bases at hand. */
    int64_t due;      /* jobs of a lower task due by the last of them */
    int64_t since_ns; /* its jobs that are due later may be so old when the window begins */
    bool may_run;     /* these at their own priority, although relevant jobs wait */
    int64_t end_jobs; /* jobs of a higher task that get the lane at the end */
    /* For the window at hand. */
    int64_t relevant; /* jobs of a lower task */
};

struct inquiry {
    const struct ei_rta *rta;
    int32_t higher_count, rival_count; /* those that are higher come first */
    int64_t late_ns, early_ns, period_ns, deadline_jitter_ns;
    int64_t each_ns, each_requests;         /* of an earlier job of the task */
    int64_t question_ns, question_requests; /* of the job in question */
    int32_t steps;
    int32_t holder_count, holders[EI_RTA_TASKS_MAX]; /* lower rivals with blocks, the longest first */
    struct rival rivals[EI_RTA_TASKS_MAX];
};

/* Bases first_ns..last_ns and the length of the window: what is summed up for all of them. */
struct spread {
    int64_t first_ns, last_ns, window_ns;
    int64_t work_ns;   /* of relevant jobs */
    int64_t requests;  /* theirs, for lanes */
    int64_t before_ns; /* work on lanes that goes before relevant jobs due later than the one in question */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Every task with work on the CPU does all of it there, with lanes that no other CPU uses, and can be preempted. */
static bool is_closed(const struct ei_rta *rta, int32_t cpu)
{
    for (int32_t k = 0; k < rta->count; k++) {
        const struct ei_rta_state *state = &rta->states[k];
        bool is_here = false;
        for (int32_t s = 0; s < state->leg_count; s++) {
            const struct ei_rta_leg *leg = &state->legs[s];
            if (leg->cpu == cpu && leg->lane < 0 && leg->chunk_ns > 0) {
                return false;
            }
            is_here |= leg->cpu == cpu;
        }
        if (is_here && !ei_rta_is_one_cpu(rta, state, 0, state->leg_count - 1)) {
            return false;
        }
    }
    return true;
}

/* Once the job in question has asked for the lane on which its legs end, request_ns after its nominal arrival at most,
 * jobs of k that are due later get nothing there. */
static void limit_to_end(const struct ei_rta *rta, int32_t i, int32_t k, int32_t lane, int64_t request_ns,
                         struct rival *out)
{
    const int64_t due_ns = rta->tasks[i].deadline_ns, due_k_ns = rta->tasks[k].deadline_ns;
    out->end_until_ns = greatest(request_ns, due_k_ns == INT64_MAX ? 0 : due_ns - due_k_ns);
    out->ask_until_ns = out->lanes == UINT64_C(1) << lane ? request_ns : EI_RTA_INFINITE;
}

static void fill_higher(const struct ei_rta *rta, int32_t i, int32_t k, int32_t to, struct rival *out)
{
    const struct ei_rta_state *state = &rta->states[k], *own = &rta->states[i];
    const int64_t due_ns = rta->tasks[i].deadline_ns, due_k_ns = rta->tasks[k].deadline_ns;
    const int32_t end_lane = own->legs[to].lane;
    const int64_t request_ns = to > 0 ? own->finish_ns[to - 1] : own->arrival_ns;
    const bool has_end = end_lane >= 0 && request_ns < EI_RTA_INFINITE;
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        const bool is_end = has_end && leg->lane == end_lane;
        *(is_end ? &out->end_ns : &out->wcet_ns) += leg->wcet_ns;
        *(is_end ? &out->end_requests : &out->requests) += leg->lane >= 0;
    }
    out->ask_until_ns = EI_RTA_INFINITE;
    if (has_end) {
        limit_to_end(rta, i, k, end_lane, request_ns, out);
    }
    for (int32_t b = 0; b < rta->count; b++) {
        if (rta->tasks[b].priority < rta->tasks[i].priority) {
            out->before_ns = ei_rta_add(out->before_ns, ei_rta_work_before(rta, b, out->lanes, due_k_ns));
        }
    }
    out->after_ns = due_k_ns == INT64_MAX ? -EI_RTA_INFINITE : due_ns - due_k_ns - rta->tasks[k].deadline_jitter_ns;
}

static void fill_lower(const struct ei_rta *rta, int32_t i, int32_t b, struct rival *out)
{
    const struct ei_rta_state *state = &rta->states[b];
    const int64_t due_b_ns = rta->tasks[b].deadline_ns;
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        out->wcet_ns += leg->wcet_ns;
        out->requests += leg->lane >= 0;
        out->lane_ns += leg->lane >= 0 ? leg->wcet_ns : 0;
        out->chunk_ns = leg->lane >= 0 ? greatest(out->chunk_ns, leg->chunk_ns) : out->chunk_ns;
    }
    out->longer_ns = due_b_ns == INT64_MAX ? INT64_MAX : due_b_ns - rta->tasks[i].deadline_ns;
    out->deadline_jitter_ns = rta->tasks[b].deadline_jitter_ns;
    out->finish_ns = state->finish_ns[state->leg_count - 1];
}

/* The rivals that are higher, or those that are not. False: one may come at any time. */
static bool add_rivals(const struct ei_rta *rta, int32_t i, int32_t to, bool is_higher, struct inquiry *out)
{
    for (int32_t k = 0; k < rta->count; k++) {
        const struct ei_rta_state *state = &rta->states[k];
        struct rival *rival = &out->rivals[out->rival_count];
        if (k == i || state->leg_count == 0 || state->legs[0].cpu != rta->states[i].legs[0].cpu ||
            (rta->tasks[k].priority >= rta->tasks[i].priority) != is_higher) {
            continue;
        }
        if (state->arrival_ns >= EI_RTA_INFINITE) {
            return false;
        }
        *rival = (struct rival){
            .priority = rta->tasks[k].priority,
            .is_higher = is_higher,
            .lanes = ei_rta_lanes_of(state),
            .period_ns = state->period_ns,
            .late_ns = state->arrival_ns,
            .early_ns = state->best_arrival_ns,
        };
        if (is_higher) {
            fill_higher(rta, i, k, to, rival);
        } else {
            fill_lower(rta, i, k, rival);
        }
        out->rival_count++;
    }
    return true;
}

static void sort_holders(struct inquiry *out)
{
    out->holder_count = 0;
    for (int32_t r = out->higher_count; r < out->rival_count; r++) {
        const int64_t chunk_ns = out->rivals[r].chunk_ns;
        int32_t place = out->holder_count;
        if (out->rivals[r].lane_ns == 0) {
            continue;
        }
        for (; place > 0 && out->rivals[out->holders[place - 1]].chunk_ns < chunk_ns; place--) {
            out->holders[place] = out->holders[place - 1];
        }
        out->holders[place] = r;
        out->holder_count++;
    }
}

/* False: the CPU, or the task, is not of those that can be answered. */
static bool inquire(const struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory, struct inquiry *out)
{
    const struct ei_rta_state *own = &rta->states[i];
    const int32_t cpu = own->legs[0].cpu;
    if (rta->tasks[i].deadline_ns == INT64_MAX || own->arrival_ns >= EI_RTA_INFINITE || cpu < 0 ||
        !is_closed(rta, cpu)) {
        return false;
    }
    out->rta = rta;
    out->late_ns = own->arrival_ns;
    out->early_ns = own->best_arrival_ns;
    out->period_ns = own->period_ns;
    out->deadline_jitter_ns = rta->tasks[i].deadline_jitter_ns;
    out->each_ns = out->question_ns = out->each_requests = out->question_requests = 0;
    out->steps = out->rival_count = 0;
    for (int32_t s = 0; s < own->leg_count; s++) {
        const struct ei_rta_leg *leg = &own->legs[s];
        out->each_ns += leg->wcet_ns;
        out->each_requests += leg->lane >= 0;
        out->question_ns += s > to ? 0 : is_mandatory ? leg->mandatory_ns : leg->wcet_ns;
        out->question_requests += s <= to && leg->lane >= 0;
    }
    if (!add_rivals(rta, i, to, true, out)) {
        return false;
    }
    out->higher_count = out->rival_count;
    if (!add_rivals(rta, i, to, false, out)) {
        return false;
    }
    sort_holders(out);
    return true;
}

/* Jobs that can be ready within the window. */
static int64_t ready_jobs(const struct rival *rival, int64_t window_ns)
{
    return ei_rta_jobs_within(window_ns + rival->late_ns - rival->early_ns, rival->period_ns);
}

/* Jobs of a lower task that are ready from t0 on and due by the base and the deadline of the job in question. */
static int64_t due_jobs(const struct rival *rival, int64_t base_ns)
{
    return rival->longer_ns == INT64_MAX
               ? 0
               : ei_rta_jobs_within(base_ns - rival->longer_ns + rival->late_ns + 1, rival->period_ns);
}

static int64_t relevant_jobs(const struct rival *rival, int64_t window_ns)
{
    return rival->due == 0 ? 0 : least(rival->due, ready_jobs(rival, window_ns));
}

/* How long before t0 jobs of a lower task that are due later may have come. Those begun before t0 and not done then are
 * due later, all of them, so that there are none when one that came after them is not; then those after them count as
 * relevant. */
static int64_t oldest_later(const struct rival *rival, int64_t first_ns)
{
    const int64_t longer_ns =
        rival->longer_ns == INT64_MAX ? INT64_MAX : rival->longer_ns + rival->deadline_jitter_ns - first_ns;
    const bool is_none_before = rival->deadline_jitter_ns == 0 && due_jobs(rival, first_ns) > 0;
    return greatest(rival->late_ns + 1, is_none_before ? 0 : least(rival->finish_ns, longer_ns));
}

/* The lower tasks that can run at their own priority although relevant jobs wait: those above the lowest of which there
 * are relevant jobs, or with a rival at its level. */
static void set_runners(struct inquiry *q, int64_t last_ns)
{
    int32_t lowest = INT32_MAX, equals = 0;
    uint64_t lanes = 0; /* for which they may wait */
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        lowest = rival->due > 0 && rival->priority < lowest ? rival->priority : lowest;
    }
    const bool is_any = lowest != INT32_MAX && last_ns + q->late_ns > 0;
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        equals += q->rivals[r].priority == lowest;
    }
    lowest += is_any && equals <= 1;
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        lanes |= q->rivals[r].priority >= lowest ? q->rivals[r].lanes : 0;
    }
    for (int32_t r = q->higher_count; r < q->rival_count; r++) { /* on another CPU of a group: to a lane at any time */
        struct rival *rival = &q->rivals[r];
        rival->may_run = is_any && (rival->priority >= lowest || (rival->lanes & lanes) != 0);
    }
}

/* What does not depend on the length of the window. */
static void set_bases(struct inquiry *q, int64_t first_ns, int64_t last_ns)
{
    for (int32_t r = 0; r < q->higher_count; r++) {
        struct rival *rival = &q->rivals[r];
        const int64_t span_ns = last_ns + rival->end_until_ns + rival->late_ns + 1;
        rival->end_jobs = rival->end_ns > 0 ? ei_rta_jobs_within(span_ns, rival->period_ns) : 0;
    }
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        struct rival *rival = &q->rivals[r];
        rival->due = due_jobs(rival, last_ns);
        rival->since_ns = oldest_later(rival, first_ns);
    }
    set_runners(q, last_ns);
}

static void add_jobs(struct spread *spread, int64_t jobs, int64_t work_ns, int64_t requests)
{
    spread->work_ns = ei_rta_add(spread->work_ns, ei_rta_multiply(jobs, work_ns));
    spread->requests = ei_rta_add(spread->requests, ei_rta_multiply(jobs, requests));
}

static void add_higher(const struct rival *rival, struct spread *spread)
{
    const int64_t jobs = ready_jobs(rival, spread->window_ns);
    add_jobs(spread, jobs, rival->wcet_ns, rival->requests);
    add_jobs(spread, least(jobs, rival->end_jobs), rival->end_ns, rival->end_requests);
    if (rival->before_ns > 0) {
        const int64_t after_ns = greatest(spread->first_ns + rival->after_ns, -rival->late_ns - 1);
        const int64_t until_ns = least(spread->window_ns, ei_rta_add(spread->last_ns + 1, rival->ask_until_ns));
        const int64_t waiting = ei_rta_jobs_within(until_ns - after_ns, rival->period_ns);
        spread->before_ns = ei_rta_add(spread->before_ns, ei_rta_multiply(waiting, rival->before_ns));
    }
}

/* Jobs of a lower task that are due later and ready by ready_ns. */
static int64_t later_jobs(const struct rival *rival, int64_t ready_ns)
{
    return rival->since_ns >= EI_RTA_INFINITE
               ? EI_RTA_INFINITE
               : greatest(ei_rta_jobs_within(ready_ns + rival->since_ns, rival->period_ns) - rival->relevant, 0);
}

/* Work of jobs that are due later than the one in question and of lower priority, at their own priority. */
static int64_t run_work(const struct inquiry *q, int64_t ready_ns)
{
    int64_t run_ns = 0;
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        if (rival->may_run) {
            run_ns = ei_rta_add(run_ns, ei_rta_multiply(later_jobs(rival, ready_ns), rival->wcet_ns));
        }
    }
    return least(run_ns, greatest(ready_ns, 0));
}

/* The same while they hold a lane: one block for each request of a relevant job due before them, and what goes before
 * one due after them, but no more than such jobs do on lanes. */
static int64_t held_work(const struct inquiry *q, const struct spread *spread)
{
    int64_t held_ns = 0, most_ns = INT64_MAX;
    for (int32_t h = 0; h < q->holder_count && held_ns < most_ns; h++) {
        const struct rival *rival = &q->rivals[q->holders[h]];
        const int64_t held = later_jobs(rival, spread->window_ns);
        if (held > 0) {
            const int64_t blocks_ns = ei_rta_add(ei_rta_multiply(spread->requests, rival->chunk_ns), spread->before_ns);
            held_ns = ei_rta_add(held_ns, least(ei_rta_multiply(held, rival->lane_ns), blocks_ns));
            most_ns = most_ns == INT64_MAX ? blocks_ns : most_ns; /* of the longest: each block is one of somebody's */
        }
    }
    return least(held_ns, most_ns);
}

/* Work of jobs that are due later than the one in question and of lower priority. Before that one is ready, some run at
 * their own priority. Else they hold a lane. */
static int64_t later_work(const struct inquiry *q, const struct spread *spread)
{
    const int64_t run_ns = run_work(q, least(spread->last_ns + q->late_ns, spread->window_ns));
    return ei_rta_add(run_ns, held_work(q, spread));
}

/* All that can happen in the window besides these jobs of the task. */
static int64_t demand(struct inquiry *q, const struct spread *own)
{
    struct spread spread = *own;
    for (int32_t r = 0; r < q->higher_count; r++) {
        add_higher(&q->rivals[r], &spread);
    }
    for (int32_t r = q->higher_count; r < q->rival_count; r++) {
        struct rival *rival = &q->rivals[r];
        rival->relevant = relevant_jobs(rival, spread.window_ns);
        add_jobs(&spread, rival->relevant, rival->wcet_ns, rival->requests);
    }
    return ei_rta_add(spread.work_ns, later_work(q, &spread));
}

/* See struct ei_rta_bases. */
static int64_t finish_of(void *inquiry, int64_t first_ns, int64_t last_ns)
{
    struct inquiry *q = inquiry;
    struct spread own = {.first_ns = first_ns, .last_ns = last_ns};
    add_jobs(&own, (last_ns + q->late_ns) / q->period_ns, q->each_ns, q->each_requests);
    add_jobs(&own, 1, q->question_ns, q->question_requests);
    own.window_ns = greatest(own.work_ns, 1);
    set_bases(q, first_ns, last_ns);
    while (own.window_ns <= q->rta->limit_ns && ++q->steps <= STEPS_MAX) {
        const int64_t next_ns = demand(q, &own);
        if (next_ns <= own.window_ns) {
            return own.window_ns;
        }
        own.window_ns = next_ns;
    }
    return EI_RTA_INFINITE;
}

/* The latest that the job in question can be ready after t0: until then there is relevant work, whatever is due before
 * it, and of the task itself the jobs that are released before. */
static int64_t latest_ready(struct inquiry *q)
{
    int64_t w_ns = 1;
    set_bases(q, -q->late_ns, EI_RTA_INFINITE);
    while (w_ns <= q->rta->limit_ns && ++q->steps <= STEPS_MAX) {
        struct spread own = {.first_ns = -q->late_ns, .last_ns = EI_RTA_INFINITE, .window_ns = w_ns};
        add_jobs(&own, ei_rta_jobs_within(w_ns + q->late_ns, q->period_ns), q->each_ns, q->each_requests);
        const int64_t next_ns = demand(q, &own);
        if (next_ns <= w_ns) {
            return w_ns;
        }
        w_ns = next_ns;
    }
    return EI_RTA_INFINITE;
}

static int64_t next_base(const void *inquiry, int64_t after_ns)
{
    const struct inquiry *q = inquiry;
    int64_t next_ns = ei_rta_next_point(after_ns, -q->late_ns, q->period_ns);
    for (int32_t r = 0; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        if (!rival->is_higher && rival->longer_ns != INT64_MAX) {
            const int64_t point_ns = rival->longer_ns - rival->late_ns;
            next_ns = least(next_ns, greatest(point_ns, ei_rta_next_point(after_ns, point_ns, rival->period_ns)));
        } else if (rival->end_ns > 0) {
            const int64_t point_ns = -rival->end_until_ns - rival->late_ns;
            next_ns = least(next_ns, ei_rta_next_point(after_ns, point_ns, rival->period_ns));
        }
    }
    return next_ns;
}

struct ei_rta_window ei_rta_deadline_bound(struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory,
                                           bool is_own_asked)
{
    struct ei_rta_window window = {.finish_ns = EI_RTA_INFINITE, .own_ns = EI_RTA_INFINITE};
    struct inquiry q;
    if (!inquire(rta, i, to, is_mandatory, &q)) {
        return window;
    }
    const int64_t ready_ns = latest_ready(&q);
    if (ready_ns < EI_RTA_INFINITE) {
        struct ei_rta_bases bases = {
            .inquiry = &q,
            .finish = finish_of,
            .next = next_base,
            .first_ns = -q.late_ns,
            .last_ns = greatest(ready_ns - q.early_ns, -q.late_ns),
            .shift_ns = -q.deadline_jitter_ns,
            .least_ns = -q.late_ns,
        };
        window.finish_ns = ei_rta_longest_response(&bases);
        if (is_own_asked) {
            bases.shift_ns = q.early_ns;
            bases.least_ns = 0;
            window.own_ns = ei_rta_longest_response(&bases);
        }
    }
    return window;
}
