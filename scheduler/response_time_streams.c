/* See response_time_parts.h: who can delay a stretch of legs, as streams of arriving work.
 *
 * On lanes by priority that is the work of the tasks of at least this priority, and the lower blocks that run at an
 * inherited one. On lanes by deadline it is also work of lower tasks that is due no later than somebody's who waits.
 */
#include "scheduler/response_time_parts.h"

#include <stddef.h>

static uint64_t bit(int32_t idx)
{
    return UINT64_C(1) << idx;
}

static bool has(uint64_t set, int32_t idx)
{
    return idx >= 0 && (set & bit(idx)) != 0;
}

struct ei_rta_reach ei_rta_reach_of(const struct ei_rta *rta, const struct ei_rta_state *state, int32_t from,
                                    int32_t to)
{
    const struct ei_rta_leg *first = &state->legs[from];
    struct ei_rta_reach reach = {
        .first_cpu = first->cpu,
        .first_lane = first->cpu >= 0 ? EI_RTA_NOWHERE : first->lane,
    };
    for (int32_t s = from; s <= to; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (leg->cpu >= 0) {
            reach.cpus |= bit(leg->cpu);
        }
        if (leg->lane >= 0) { /* whoever holds the lane may in turn wait for its own CPU */
            reach.lanes |= bit(leg->lane);
            reach.cpus |= rta->lane_cpus[leg->lane];
        }
    }
    return reach;
}

int64_t ei_rta_lower_block(const struct ei_rta *rta, int32_t priority, int32_t lane, bool is_any_cpu, uint64_t cpus)
{
    int64_t longest_ns = 0;
    for (int32_t h = 0; h < rta->count; h++) {
        if (rta->tasks[h].priority >= priority) {
            continue;
        }
        for (int32_t s = 0; s < rta->states[h].leg_count; s++) {
            const struct ei_rta_leg *leg = &rta->states[h].legs[s];
            if (leg->lane == lane && (is_any_cpu || has(cpus, leg->cpu)) && leg->chunk_ns > longest_ns) {
                longest_ns = leg->chunk_ns;
            }
        }
    }
    return longest_ns;
}

int64_t ei_rta_lower_cpu_chunk(const struct ei_rta *rta, int32_t priority, int32_t cpu)
{
    return cpu < 0 ? 0 : ei_rta_lower_block(rta, priority, EI_RTA_NOWHERE, false, bit(cpu));
}

/* Does all work of this lane happen on the one CPU at which the window begins? Then whoever waits for the lane keeps
 * that CPU busy, and none waits when the window begins. */
static bool is_lane_inside(const struct ei_rta *rta, int32_t lane, const struct ei_rta_reach *reach)
{
    return reach->first_cpu >= 0 && rta->lane_cpus[lane] == bit(reach->first_cpu) && !has(rta->bare_lanes, lane);
}

static bool is_fresh(const struct ei_rta *rta, const struct ei_rta_leg *leg, const struct ei_rta_reach *reach)
{
    if (leg->cpu >= 0) {
        return leg->cpu == reach->first_cpu && (leg->lane < 0 || is_lane_inside(rta, leg->lane, reach));
    }
    return leg->lane == reach->first_lane && rta->lane_cpus[leg->lane] == 0;
}

/* Of work that comes until until_ns and since since_ns after its nominal arrival. False: it may come at any time. */
static bool push(struct ei_rta *rta, int64_t period_ns, int64_t until_ns, int64_t since_ns, int64_t cost_ns)
{
    if (until_ns >= EI_RTA_INFINITE) {
        return false;
    }
    rta->streams[rta->stream_count++] =
        (struct ei_rta_stream){.period_ns = period_ns, .offset_ns = until_ns - since_ns, .cost_ns = cost_ns};
    return true;
}

bool ei_rta_is_one_cpu(const struct ei_rta *rta, const struct ei_rta_state *state, int32_t from, int32_t to)
{
    for (int32_t s = from; s <= to; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (leg->cpu < 0 || leg->cpu != state->legs[from].cpu ||
            (leg->lane >= 0 && (rta->lane_cpus[leg->lane] != bit(leg->cpu) || has(rta->bare_lanes, leg->lane)))) {
            return false;
        }
    }
    return true;
}

int64_t ei_rta_latest_start(const struct ei_rta *rta, const struct ei_rta_state *state)
{
    const int32_t last = state->leg_count - 1;
    if (last < 0 || ei_rta_is_one_cpu(rta, state, 0, last)) {
        return state->arrival_ns;
    }
    if (state->finish_ns[last] >= EI_RTA_INFINITE) {
        return EI_RTA_INFINITE;
    }
    const int64_t queued_ns = state->finish_ns[last] - state->period_ns;
    return queued_ns > state->arrival_ns ? queued_ns : state->arrival_ns;
}

/* Jobs of k that may wait for a lane; of several lanes the latest counts. */
static void note_wait(struct ei_rta *rta, int32_t k, int64_t until_ns, int64_t since_ns)
{
    struct ei_rta_wait *wait = rta->wait_count > 0 ? &rta->waits[rta->wait_count - 1] : NULL;
    if (wait == NULL || wait->task_idx != k) {
        wait = &rta->waits[rta->wait_count++];
        *wait = (struct ei_rta_wait){.task_idx = k, .period_ns = rta->states[k].period_ns, .offset_ns = INT64_MIN};
    }
    const int64_t offset_ns = until_ns >= EI_RTA_INFINITE ? EI_RTA_INFINITE : until_ns - since_ns;
    wait->offset_ns = offset_ns > wait->offset_ns ? offset_ns : wait->offset_ns;
}

/* The streams of task k's legs that can delay task i: its own work, and the lower blocks that run because k waits for
 * them (such a block inherits k's priority on its CPU, so it delays everyone in between, once per request of k). */
static bool push_task(struct ei_rta *rta, int32_t i, int32_t k, const struct ei_rta_reach *reach)
{
    const struct ei_rta_state *state = &rta->states[k];
    int64_t since_ns = state->best_arrival_ns, arrival_ns = ei_rta_latest_start(rta, state);
    /* A job that is ready at the window's first CPU from start to end cannot have started before the window. */
    const bool is_inside = state->leg_count > 0 && state->legs[0].cpu == reach->first_cpu &&
                           ei_rta_is_one_cpu(rta, state, 0, state->leg_count - 1);
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        const int64_t finish_ns = state->finish_ns[s];
        const bool is_reached = leg->cpu >= 0 ? has(reach->cpus, leg->cpu) : has(reach->lanes, leg->lane);
        if (is_reached) {
            /* Carried in: the work of a job that finishes by finish_ns and of which all is still to come. */
            const bool is_ok = is_fresh(rta, leg, reach)
                                   ? push(rta, state->period_ns, arrival_ns, since_ns, leg->wcet_ns)
                                   : push(rta, state->period_ns, finish_ns, since_ns + leg->wcet_ns, leg->wcet_ns);
            if (!is_ok) {
                return false;
            }
        }
        const int64_t until_ns = leg->lane >= 0 && is_lane_inside(rta, leg->lane, reach) ? arrival_ns : finish_ns;
        const int64_t boosted_ns =
            leg->lane < 0 ? 0 : ei_rta_lower_block(rta, rta->tasks[i].priority, leg->lane, false, reach->cpus);
        if (boosted_ns > 0 && !push(rta, state->period_ns, until_ns, since_ns, boosted_ns)) {
            return false;
        }
        if (leg->lane >= 0) {
            note_wait(rta, k, until_ns, since_ns);
        }
        if (!is_inside) {
            since_ns += leg->bcet_ns;
            arrival_ns = finish_ns;
        }
    }
    return true;
}

/* ---- lanes by deadline: what tasks of lower priority do there ---- */

uint64_t ei_rta_lanes_of(const struct ei_rta_state *state)
{
    uint64_t lanes = 0;
    for (int32_t s = 0; s < state->leg_count; s++) {
        lanes |= state->legs[s].lane >= 0 ? bit(state->legs[s].lane) : 0;
    }
    return lanes;
}

static bool is_leg_reached(const struct ei_rta_leg *leg, const struct ei_rta_reach *reach)
{
    return leg->lane >= 0 && (leg->cpu >= 0 ? has(reach->cpus, leg->cpu) : has(reach->lanes, leg->lane));
}

int64_t ei_rta_work_before(const struct ei_rta *rta, int32_t b, uint64_t lanes, int64_t due_ns)
{
    const struct ei_rta_state *state = &rta->states[b];
    const int64_t due_b_ns = rta->tasks[b].deadline_ns;
    int64_t sum_ns = 0;
    for (int32_t s = 0; s < state->leg_count; s++) {
        if (!has(lanes, state->legs[s].lane) || (due_b_ns == INT64_MAX && due_ns != INT64_MAX)) {
            continue;
        }
        if (due_ns == INT64_MAX || state->finish_ns[s] >= EI_RTA_INFINITE) {
            return EI_RTA_INFINITE;
        }
        const int64_t wcet_ns = state->legs[s].wcet_ns, span_ns = state->finish_ns[s] - (due_b_ns - due_ns);
        if (span_ns > 0) {
            const int64_t rest_ns = span_ns % state->period_ns;
            sum_ns = ei_rta_add(sum_ns, ei_rta_add(ei_rta_multiply(span_ns / state->period_ns, wcet_ns),
                                                   rest_ns < wcet_ns ? rest_ns : wcet_ns));
        }
    }
    return sum_ns;
}

/* False: b has no bound, and some of its work may go first. */
static bool push_lower(struct ei_rta *rta, int32_t i, int32_t b, const struct ei_rta_reach *reach)
{
    const struct ei_rta_state *state = &rta->states[b];
    struct ei_rta_lower *lower = &rta->lower[rta->lower_count];
    const uint64_t own_lanes = ei_rta_lanes_of(&rta->states[i]);
    uint64_t lanes = 0, waited_for = own_lanes;
    int64_t since_ns = state->best_arrival_ns;
    for (int32_t w = 0; w < rta->wait_count; w++) {
        waited_for |= ei_rta_lanes_of(&rta->states[rta->waits[w].task_idx]);
    }
    *lower = (struct ei_rta_lower){.period_ns = state->period_ns, .offset_ns = INT64_MIN};
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        if (is_leg_reached(leg, reach) && has(waited_for, leg->lane)) {
            const int64_t offset_ns = state->finish_ns[s] - since_ns - leg->wcet_ns;
            if (state->finish_ns[s] >= EI_RTA_INFINITE) {
                return false;
            }
            lanes |= bit(leg->lane);
            lower->cost_ns += leg->wcet_ns;
            lower->offset_ns = offset_ns > lower->offset_ns ? offset_ns : lower->offset_ns;
        }
        since_ns += leg->bcet_ns;
    }
    lower->own_ns = ei_rta_work_before(rta, b, lanes & own_lanes, rta->tasks[i].deadline_ns);
    for (int32_t w = 0; w < rta->wait_count; w++) {
        const int32_t k = rta->waits[w].task_idx;
        lower->before_ns[w] =
            ei_rta_work_before(rta, b, lanes & ei_rta_lanes_of(&rta->states[k]), rta->tasks[k].deadline_ns);
    }
    rta->lower_count += lanes != 0;
    return true;
}

bool ei_rta_collect_streams(struct ei_rta *rta, int32_t i, const struct ei_rta_reach *reach)
{
    const int32_t priority = rta->tasks[i].priority;
    bool is_ok = true;
    rta->stream_count = rta->wait_count = rta->lower_count = 0;
    for (int32_t k = 0; is_ok && k < rta->count; k++) {
        /* Tasks of equal priority are served in order of arrival: each may find the other before it. */
        is_ok = k == i || rta->tasks[k].priority < priority || push_task(rta, i, k, reach);
    }
    for (int32_t b = 0; is_ok && rta->lane_order == EI_RTA_LANES_BY_DEADLINE && b < rta->count; b++) {
        is_ok = rta->tasks[b].priority >= priority || push_lower(rta, i, b, reach);
    }
    return is_ok;
}

/* Work on lanes of lower tasks that goes before somebody: each job that waits lets through what is left of jobs due no
 * later, and together they let through no more than there is. */
static int64_t lower_work(const struct ei_rta *rta, int64_t window_ns)
{
    int64_t jobs[EI_RTA_TASKS_MAX], sum_ns = 0;
    for (int32_t w = 0; w < rta->wait_count; w++) {
        jobs[w] = ei_rta_jobs_within(ei_rta_add(window_ns, rta->waits[w].offset_ns), rta->waits[w].period_ns);
    }
    for (int32_t j = 0; j < rta->lower_count; j++) {
        const struct ei_rta_lower *lower = &rta->lower[j];
        const int64_t most = ei_rta_jobs_within(window_ns + lower->offset_ns, lower->period_ns);
        const int64_t most_ns = ei_rta_multiply(most, lower->cost_ns);
        int64_t work_ns = ei_rta_multiply(rta->own_waits, lower->own_ns);
        for (int32_t w = 0; w < rta->wait_count && work_ns < most_ns; w++) {
            work_ns = ei_rta_add(work_ns, ei_rta_multiply(jobs[w], lower->before_ns[w]));
        }
        sum_ns = ei_rta_add(sum_ns, work_ns < most_ns ? work_ns : most_ns);
    }
    return sum_ns;
}

int64_t ei_rta_interference(const struct ei_rta *rta, int64_t window_ns)
{
    int64_t sum_ns = rta->lower_count > 0 ? lower_work(rta, window_ns) : 0;
    for (int32_t j = 0; j < rta->stream_count; j++) {
        const struct ei_rta_stream *stream = &rta->streams[j];
        const int64_t jobs = ei_rta_jobs_within(window_ns + stream->offset_ns, stream->period_ns);
        sum_ns = ei_rta_add(sum_ns, ei_rta_multiply(jobs, stream->cost_ns));
    }
    return sum_ns;
}
