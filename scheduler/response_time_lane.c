/* A lane by deadline that needs no CPU while it works: bounds of one leg from all the requests that are due before it
 * (after Spuri 1996, with the legs before it as jitter: Tindell and Clark 1994), and of what comes behind it on the
 * CPUs that launch its blocks.
 *
 * Relevant are jobs that have asked for the lane and are due no later than the job in question. The window begins at
 * t0, the last moment before that one asks at which no relevant job was there. Until its leg is done the lane does
 * relevant work, or one block of a job due later that had it at t0; or its holder waits for the CPU that launches its
 * blocks. Who waits lends the holder his priority, so that CPU then does work of at least the least priority of the
 * relevant tasks. docs/analysis.md, "Lanes by deadline", has the argument step by step.
 */
#include "scheduler/response_time_parts.h"

#define STEPS_MAX 2000000

/* Another task. */
struct rival {
    int64_t period_ns;
    /* On the lane: a job asks between these two after its nominal arrival. Several legs count as one. */
    int64_t early_ns, late_ns;
    int64_t wcet_ns, chunk_ns;
    int64_t longer_ns; /* its relative deadline is so much longer; INT64_MAX = it has none */
    int32_t task_idx, priority;
    int64_t due; /* of the bases at hand: jobs that can be due before the one in question */
};

/* Work of another task on the launching CPUs, before its first leg elsewhere or after that. */
struct hindrance {
    int32_t task_idx;
    int32_t priority; /* INT32_MAX: it holds a lane of the CPU, so it may have inherited any */
    struct ei_rta_stream stream;
};

struct inquiry {
    int32_t task_idx, priority;
    int64_t period_ns, deadline_jitter_ns, limit_ns;
    /* A job of the task begins no later than ready_ns after its nominal arrival, asks for the leg in question between
     * early_ns and late_ns, and for any leg on the lane no later than latest_ns. */
    int64_t ready_ns, early_ns, late_ns, latest_ns;
    int64_t each_ns, chunk_ns;          /* of an earlier job, on the lane */
    int64_t question_ns, last_chunk_ns; /* of the job in question; of it at its end, what cannot be preempted */
    /* On the launching CPUs: of the job in question before it asks, whether there is nothing else before, and behind
     * the leg in question; of an earlier job, and when that is over. */
    int64_t before_ns, behind_ns, cpu_ns, cpu_finish_ns;
    bool is_launched_before;
    int32_t steps, rival_count, hindrance_count;
    /* For the bases at hand: the least priority of the relevant tasks, and the only one that has it, or
     * EI_RTA_NO_TASK. */
    int32_t lowest, lowest_idx;
    struct rival rivals[EI_RTA_TASKS_MAX];
    struct hindrance hindrances[2 * EI_RTA_TASKS_MAX];
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_on(const struct ei_rta_leg *leg, uint64_t cpus)
{
    return leg->cpu >= 0 && (cpus >> leg->cpu & 1) != 0;
}

/* What is on this lane of a task, as of another one; false: nothing. */
static bool fill_rival(const struct ei_rta *rta, int32_t k, int32_t lane, struct rival *out)
{
    const struct ei_rta_state *state = &rta->states[k];
    int64_t early_ns = state->best_arrival_ns, late_ns = ei_rta_latest_start(rta, state);
    *out = (struct rival){.period_ns = state->period_ns, .early_ns = INT64_MAX, .late_ns = 0};
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (leg->lane == lane) {
            out->early_ns = least(out->early_ns, early_ns);
            out->late_ns = greatest(out->late_ns, late_ns);
            out->wcet_ns = ei_rta_add(out->wcet_ns, leg->wcet_ns);
            out->chunk_ns = greatest(out->chunk_ns, leg->chunk_ns);
        }
        early_ns += leg->bcet_ns;
        late_ns = state->finish_ns[s];
    }
    return out->wcet_ns > 0;
}

/* The task itself, in legs 0..to, of which `at` is the last on the lane. */
static void fill_own(const struct ei_rta *rta, int32_t i, int32_t at, int32_t to, bool is_mandatory,
                     struct inquiry *out)
{
    const struct ei_rta_state *own = &rta->states[i];
    const struct ei_rta_leg *last = &own->legs[at];
    const uint64_t cpus = rta->lane_cpus[last->lane];
    struct rival all;
    (void)fill_rival(rta, i, last->lane, &all);
    out->period_ns = own->period_ns;
    out->deadline_jitter_ns = rta->tasks[i].deadline_jitter_ns;
    out->ready_ns = ei_rta_latest_start(rta, own);
    out->early_ns = own->best_arrival_ns;
    out->late_ns = at > 0 ? own->finish_ns[at - 1] : out->ready_ns;
    out->latest_ns = all.late_ns;
    out->each_ns = all.wcet_ns;
    /* Jobs of one task that come with jitter of their deadlines need not be due in their order. */
    out->chunk_ns = out->deadline_jitter_ns > 0 ? all.chunk_ns : 0;
    out->is_launched_before = true;
    for (int32_t s = 0; s < own->leg_count; s++) {
        const struct ei_rta_leg *leg = &own->legs[s];
        const int64_t ns = is_mandatory ? leg->mandatory_ns : leg->wcet_ns;
        out->question_ns += s <= at && leg->lane == last->lane ? ns : 0;
        out->behind_ns += s > at && s <= to ? ns : 0;
        if (s < at) {
            out->early_ns += leg->bcet_ns;
            out->is_launched_before &= leg->lane < 0 && is_on(leg, cpus);
        }
        if (is_on(leg, cpus)) {
            out->before_ns += s < at ? leg->wcet_ns : 0;
            out->cpu_ns += leg->wcet_ns;
            out->cpu_finish_ns = own->finish_ns[s];
        }
    }
    out->last_chunk_ns =
        is_mandatory && (last->mandatory_ns < last->wcet_ns || last->driver >= 0) ? 0 : last->last_chunk_ns;
}

/* One leg on a launching CPU, which begins no sooner than since_ns after the nominal arrival. */
static void add_leg(struct hindrance *out, const struct ei_rta_leg *leg, int64_t finish_ns, int64_t since_ns)
{
    /* Carried in: of a job that is done by its bound all may be still to come. */
    const int64_t offset_ns = finish_ns >= EI_RTA_INFINITE ? EI_RTA_INFINITE : finish_ns - since_ns - leg->wcet_ns;
    out->stream.offset_ns = greatest(out->stream.offset_ns, offset_ns);
    out->stream.cost_ns = ei_rta_add(out->stream.cost_ns, leg->wcet_ns);
    out->priority = leg->lane >= 0 ? INT32_MAX : out->priority;
}

/* The work of task k on these CPUs that can go before a launch. */
static void fill_hindrances(const struct ei_rta *rta, int32_t k, uint64_t cpus, struct inquiry *out)
{
    const struct ei_rta_state *state = &rta->states[k];
    const struct hindrance none = {.task_idx = k,
                                   .priority = rta->tasks[k].priority,
                                   .stream = {.period_ns = state->period_ns, .offset_ns = INT64_MIN}};
    struct hindrance parts[2] = {none, none};
    int64_t since_ns = state->best_arrival_ns;
    bool has_left = false;
    for (int32_t s = 0; s < state->leg_count; s++) {
        has_left |= !is_on(&state->legs[s], cpus);
        if (is_on(&state->legs[s], cpus)) {
            add_leg(&parts[has_left], &state->legs[s], state->finish_ns[s], since_ns);
        }
        since_ns += state->legs[s].bcet_ns;
    }
    for (int32_t p = 0; p < 2; p++) {
        if (parts[p].stream.cost_ns > 0) {
            out->hindrances[out->hindrance_count++] = parts[p];
        }
    }
}

/* The leg on a lane that is asked about with leg `to`: the one before it when all between runs on CPUs that launch for
 * that lane, and so waits for nothing else than launching does; or `to` itself. */
static int32_t lane_leg_of(const struct ei_rta *rta, int32_t i, int32_t to)
{
    const struct ei_rta_leg *legs = rta->states[i].legs;
    int32_t at = to;
    while (at > 0 && legs[at].lane < 0) {
        at--;
    }
    for (int32_t s = at + 1; legs[at].lane >= 0 && s <= to; s++) {
        if (!is_on(&legs[s], rta->lane_cpus[legs[at].lane])) {
            return to;
        }
    }
    return at;
}

/* The others on the lane. False: one has no bound, so any number of its jobs can go before. */
static bool fill_rivals(const struct ei_rta *rta, int32_t i, int32_t lane, struct inquiry *out)
{
    for (int32_t k = 0; k < rta->count; k++) {
        struct rival *rival = &out->rivals[out->rival_count];
        if (k == i || !fill_rival(rta, k, lane, rival)) {
            continue;
        }
        const int64_t due_ns = rta->tasks[k].deadline_ns;
        rival->longer_ns = due_ns == INT64_MAX ? INT64_MAX : due_ns - rta->tasks[i].deadline_ns;
        rival->task_idx = k;
        rival->priority = rta->tasks[k].priority;
        if (due_ns != INT64_MAX && rival->late_ns >= EI_RTA_INFINITE) {
            return false;
        }
        out->rival_count++;
    }
    return true;
}

/* Nothing on this lane runs on a CPU. */
static bool is_bare(const struct ei_rta *rta, int32_t lane)
{
    for (int32_t k = 0; k < rta->count; k++) {
        for (int32_t s = 0; s < rta->states[k].leg_count; s++) {
            if (rta->states[k].legs[s].lane == lane && rta->states[k].legs[s].cpu >= 0) {
                return false;
            }
        }
    }
    return true;
}

/* False: the lane, or the task, is not of those that can be answered. */
static bool inquire(const struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory, struct inquiry *out)
{
    const int32_t at = lane_leg_of(rta, i, to), lane = rta->states[i].legs[at].lane;
    if (rta->tasks[i].deadline_ns == INT64_MAX || lane < 0 || !is_bare(rta, lane)) {
        return false;
    }
    *out = (struct inquiry){.task_idx = i, .priority = rta->tasks[i].priority, .limit_ns = rta->limit_ns};
    fill_own(rta, i, at, to, is_mandatory, out);
    for (int32_t k = 0; k < rta->count; k++) {
        if (k != i) {
            fill_hindrances(rta, k, rta->lane_cpus[lane], out);
        }
    }
    return fill_rivals(rta, i, lane, out) && greatest(out->late_ns, out->latest_ns) < EI_RTA_INFINITE &&
           out->cpu_finish_ns < EI_RTA_INFINITE;
}

/* What does not depend on the length of the window. */
static void set_bases(struct inquiry *q, int64_t last_ns)
{
    q->lowest = q->priority;
    q->lowest_idx = q->task_idx;
    for (int32_t r = 0; r < q->rival_count; r++) {
        struct rival *rival = &q->rivals[r];
        rival->due = rival->longer_ns == INT64_MAX
                         ? 0
                         : ei_rta_jobs_within(last_ns - rival->longer_ns + rival->late_ns + 1, rival->period_ns);
        if (rival->due > 0 && rival->priority <= q->lowest) {
            q->lowest_idx = rival->priority < q->lowest ? rival->task_idx : EI_RTA_NO_TASK;
            q->lowest = rival->priority;
        }
    }
}

/* The longest block that can have the lane at t0, of a job due later. It asked before t0, and no sooner than early_ns
 * after the release from which its deadline counts. */
static int64_t blocking(const struct inquiry *q, int64_t first_ns)
{
    int64_t longest_ns = q->chunk_ns;
    for (int32_t r = 0; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        if (rival->longer_ns == INT64_MAX || rival->longer_ns - rival->early_ns > first_ns) {
            longest_ns = greatest(longest_ns, rival->chunk_ns);
        }
    }
    return longest_ns;
}

/* Whether launching can wait for work of that task and priority. Who has the lane has at least the priority of all who
 * wait for it, and nobody waits for work of his own task. */
static bool is_hindering(const struct inquiry *q, int32_t task_idx, int32_t priority)
{
    return priority >= q->lowest && task_idx != q->lowest_idx;
}

/* Work of others that launching waits for. That of lower priority than the task only until the job in question asks,
 * asked_ns after t0: then it lends its own to whoever has the lane. */
static int64_t launch_delay(const struct inquiry *q, int64_t window_ns, int64_t asked_ns)
{
    int64_t higher_ns = 0, lower_ns = 0;
    for (int32_t h = 0; h < q->hindrance_count; h++) {
        const struct hindrance *hindrance = &q->hindrances[h];
        const struct ei_rta_stream *stream = &hindrance->stream;
        const bool is_higher = hindrance->priority >= q->priority;
        if (is_higher || is_hindering(q, hindrance->task_idx, hindrance->priority)) {
            const int64_t span_ns = is_higher ? window_ns : least(window_ns, asked_ns);
            const int64_t jobs = ei_rta_jobs_within(ei_rta_add(span_ns, stream->offset_ns), stream->period_ns);
            int64_t *sum_ns = is_higher ? &higher_ns : &lower_ns;
            *sum_ns = ei_rta_add(*sum_ns, ei_rta_multiply(jobs, stream->cost_ns));
        }
    }
    return ei_rta_add(higher_ns, least(lower_ns, asked_ns));
}

/* Work on the lane that goes before the end of the job's leg there, of requests in a window of this length. */
static int64_t lane_work(const struct inquiry *q, int64_t window_ns)
{
    int64_t sum_ns = 0;
    for (int32_t r = 0; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        if (rival->due > 0) {
            const int64_t asking = ei_rta_jobs_within(window_ns + rival->late_ns - rival->early_ns, rival->period_ns);
            sum_ns = ei_rta_add(sum_ns, ei_rta_multiply(least(rival->due, asking), rival->wcet_ns));
        }
    }
    return sum_ns;
}

/* What of the task itself, besides the job in question behind its request, goes before that one's finish. */
static int64_t own_work(const struct inquiry *q, int64_t last_ns)
{
    const int64_t before = greatest(last_ns + q->latest_ns, 0) / q->period_ns;
    const int64_t over = greatest(last_ns + q->cpu_finish_ns, 0) / q->period_ns;
    int64_t sum_ns = ei_rta_multiply(before, q->each_ns);
    if (is_hindering(q, q->task_idx, q->priority)) {
        sum_ns = ei_rta_add(sum_ns, ei_rta_multiply(over, q->cpu_ns));
        sum_ns = ei_rta_add(sum_ns, least(q->before_ns, greatest(last_ns + q->late_ns, 0)));
    }
    return sum_ns;
}

/* The response when t0 comes after the job in question is ready. Until it asks it works or waits for work of at least
 * its priority on the launching CPUs, and behind t0 all is as above: so that work counts once, and no other does. */
static int64_t response_of_early(struct inquiry *q, int64_t first_ns)
{
    const int64_t own_ns = ei_rta_add(blocking(q, first_ns), q->before_ns + q->question_ns + q->behind_ns);
    int64_t w_ns = greatest(own_ns, 1);
    while (w_ns <= q->limit_ns && ++q->steps <= STEPS_MAX) {
        const int64_t next_ns = ei_rta_add(own_ns, ei_rta_add(lane_work(q, w_ns), launch_delay(q, w_ns, 0)));
        if (next_ns <= w_ns) {
            return ei_rta_add(w_ns, q->ready_ns);
        }
        w_ns = next_ns;
    }
    return EI_RTA_INFINITE;
}

/* The finish by the window from t0. First that of the leg: its end cannot be preempted, so that its start is what
 * others delay (Bril et al. 2009, eq. 23), and then requests at the end of the window count, too. Then that of what
 * comes behind, which waits for the same work of the CPUs, but not for the lane. */
static int64_t finish_from_lane(struct inquiry *q, int64_t first_ns, int64_t last_ns)
{
    const int64_t own_ns = ei_rta_add(blocking(q, first_ns), ei_rta_add(own_work(q, last_ns), q->question_ns));
    const int64_t closed = q->last_chunk_ns > 0 ? 1 : 0, asked_ns = greatest(last_ns + q->late_ns, 0);
    int64_t w_ns = greatest(own_ns - q->last_chunk_ns, 1 - closed), lane_ns = 0, behind_ns = -q->last_chunk_ns;
    bool is_on_lane = true;
    while (w_ns <= q->limit_ns && ++q->steps <= STEPS_MAX) {
        lane_ns = is_on_lane ? lane_work(q, w_ns + closed) : lane_ns;
        const int64_t open_ns = is_on_lane ? w_ns + closed : w_ns;
        const int64_t next_ns = ei_rta_add(own_ns + behind_ns, ei_rta_add(lane_ns, launch_delay(q, open_ns, asked_ns)));
        if (next_ns > w_ns) {
            w_ns = next_ns;
        } else if (!is_on_lane || q->behind_ns == 0) {
            return is_on_lane ? w_ns + q->last_chunk_ns : w_ns;
        } else {
            is_on_lane = false;
            behind_ns = q->behind_ns;
            w_ns += q->last_chunk_ns + behind_ns;
        }
    }
    return EI_RTA_INFINITE;
}

/* See struct ei_rta_bases. */
static int64_t finish_of(void *inquiry, int64_t first_ns, int64_t last_ns)
{
    struct inquiry *q = inquiry;
    set_bases(q, last_ns);
    const int64_t finish_ns = finish_from_lane(q, first_ns, last_ns);
    if (!q->is_launched_before || last_ns + q->ready_ns > 0) {
        return finish_ns;
    }
    const int64_t since_ns = greatest(first_ns - q->deadline_jitter_ns, -q->late_ns);
    const int64_t early_ns = response_of_early(q, first_ns);
    return early_ns >= EI_RTA_INFINITE ? finish_ns : least(finish_ns, early_ns + since_ns);
}

/* See struct ei_rta_bases. */
static int64_t next_base(const void *inquiry, int64_t after_ns)
{
    const struct inquiry *q = inquiry;
    int64_t next_ns = ei_rta_next_point(after_ns, -q->latest_ns, q->period_ns);
    next_ns = -q->ready_ns + 1 > after_ns ? least(next_ns, -q->ready_ns + 1) : next_ns;
    for (int32_t r = 0; r < q->rival_count; r++) {
        const struct rival *rival = &q->rivals[r];
        if (rival->longer_ns != INT64_MAX) {
            const int64_t point_ns = rival->longer_ns - rival->late_ns;
            next_ns = least(next_ns, greatest(point_ns, ei_rta_next_point(after_ns, point_ns, rival->period_ns)));
        }
    }
    return next_ns;
}

/* The job in question asks before this, counted from t0: until then the lane has relevant work, whatever is due before
 * it. */
static int64_t end_of_requests(struct inquiry *q)
{
    int64_t w_ns = 1;
    set_bases(q, EI_RTA_INFINITE);
    while (w_ns <= q->limit_ns && ++q->steps <= STEPS_MAX) {
        const int64_t jobs = ei_rta_jobs_within(w_ns + q->latest_ns, q->period_ns);
        const int64_t over = ei_rta_jobs_within(w_ns + q->cpu_finish_ns, q->period_ns);
        const int64_t own_ns = ei_rta_add(ei_rta_multiply(jobs, q->each_ns), ei_rta_multiply(over, q->cpu_ns));
        const int64_t others_ns = ei_rta_add(lane_work(q, w_ns), launch_delay(q, w_ns, w_ns));
        const int64_t next_ns = ei_rta_add(blocking(q, -q->late_ns), ei_rta_add(own_ns, others_ns));
        if (next_ns <= w_ns) {
            return w_ns;
        }
        w_ns = next_ns;
    }
    return EI_RTA_INFINITE;
}

int64_t ei_rta_lane_bound(const struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory)
{
    struct inquiry q;
    if (!inquire(rta, i, to, is_mandatory, &q)) {
        return EI_RTA_INFINITE;
    }
    const int64_t end_ns = end_of_requests(&q);
    if (end_ns >= EI_RTA_INFINITE) {
        return EI_RTA_INFINITE;
    }
    const struct ei_rta_bases bases = {
        .inquiry = &q,
        .finish = finish_of,
        .next = next_base,
        .first_ns = -q.late_ns,
        .last_ns = greatest(end_ns - 1 - q.early_ns, -q.late_ns),
        .shift_ns = -q.deadline_jitter_ns,
        .least_ns = -q.late_ns,
    };
    return ei_rta_longest_response(&bases);
}
