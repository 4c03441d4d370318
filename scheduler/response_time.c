/* See response_time.h: checks, legs, and the iteration over all tasks until no bound grows any more.
 *
 * The bounds of a task need the bounds of others (when work of a job can arrive late at its second resource) and of its
 * predecessor, so all grow from their least possible values to the common fixed point (Tindell and Clark 1994).
 */
#include "scheduler/response_time_parts.h"

#include <errno.h>
#include <stddef.h>

#define ROUNDS_MAX 1000
#define LIMIT_PERIODS 16 /* of the longest period or deadline: where the search for a bound ends */

static uint64_t bit(int32_t idx)
{
    return UINT64_C(1) << idx;
}

static bool is_time(int64_t ns)
{
    return ns >= 0 && ns <= EI_RTA_TIME_MAX_NS;
}

static int check_segment(const struct ei_rta_segment *segment, int32_t task, int32_t s, struct einet_error *err)
{
    if (segment->cpu < EI_RTA_NOWHERE || segment->cpu >= EI_RTA_CPUS_MAX || segment->lane < EI_RTA_NOWHERE ||
        segment->lane >= EI_RTA_LANES_MAX || (segment->cpu < 0 && segment->lane < 0)) {
        return einet_error_set(err, -EINVAL, "task %d, segment %d: needs a CPU of 0..%d, a lane of 0..%d, or both",
                               (int)task, (int)s, EI_RTA_CPUS_MAX - 1, EI_RTA_LANES_MAX - 1);
    }
    if (segment->is_driven && (segment->cpu < 0 || segment->lane < 0)) {
        return einet_error_set(err, -EINVAL,
                               "task %d, segment %d: what is driven needs a lane and the CPU that does it", (int)task,
                               (int)s);
    }
    if (!is_time(segment->wcet_ns) || segment->bcet_ns < 0 || segment->bcet_ns > segment->wcet_ns ||
        segment->mandatory_ns < 0 || segment->mandatory_ns > segment->wcet_ns ||
        !is_time(segment->max_nonpreemptive_ns)) {
        return einet_error_set(err, -EINVAL,
                               "task %d, segment %d: times must be 0..2^50 ns, least and mandatory time not above the "
                               "worst case",
                               (int)task, (int)s);
    }
    return 0;
}

static int check_task(const struct ei_rta_task *tasks, int32_t count, int32_t i, struct einet_error *err)
{
    const struct ei_rta_task *task = &tasks[i];
    int32_t first = i;
    for (int32_t hops = 0; tasks[first].after != EI_RTA_NO_TASK; hops++) {
        if (tasks[first].after < 0 || tasks[first].after >= count || hops >= count) {
            return einet_error_set(err, -EINVAL, "task %d: `after` names no task or runs in a circle", (int)i);
        }
        first = tasks[first].after;
    }
    if (tasks[first].period_ns < 1 || !is_time(tasks[first].period_ns) || !is_time(task->jitter_ns) ||
        !is_time(task->deadline_jitter_ns) || task->deadline_ns < 0 ||
        (task->deadline_ns > EI_RTA_TIME_MAX_NS && task->deadline_ns != INT64_MAX)) {
        return einet_error_set(err, -EINVAL, "task %d: period (from 1 ns), jitter and deadline must be 0..2^50 ns",
                               (int)i);
    }
    if (task->scale_ppm < 0 || task->scale_ppm > 1000 * EI_RTA_PPM) {
        return einet_error_set(err, -EINVAL, "task %d: scale_ppm must be 0..10^9", (int)i);
    }
    if (task->segment_count < 1) {
        return einet_error_set(err, -EINVAL, "task %d: needs at least one segment", (int)i);
    }
    for (int32_t s = 0; s < task->segment_count; s++) {
        const int rc = check_segment(&task->segments[s], i, s, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* ceil(ns * scale / 10^6) without overflow. */
static int64_t scaled(int64_t ns, int64_t scale_ppm)
{
    if (scale_ppm == 0 || scale_ppm == EI_RTA_PPM) {
        return ns;
    }
    const int64_t whole_ns = ei_rta_multiply(ns / EI_RTA_PPM, scale_ppm);
    const int64_t rest_ns = (ns % EI_RTA_PPM * scale_ppm + EI_RTA_PPM - 1) / EI_RTA_PPM;
    return ei_rta_add(whole_ns, rest_ns);
}

/* Add a segment to the leg that it continues, or begin one. False: no room for another leg. */
static bool add_segment(struct ei_rta_state *state, const struct ei_rta_segment *segment, int64_t scale_ppm)
{
    if (segment->wcet_ns == 0) {
        return true;
    }
    const int32_t cpu = segment->is_driven ? EI_RTA_NOWHERE : segment->cpu;
    const int32_t driver = segment->is_driven ? segment->cpu : EI_RTA_NOWHERE;
    struct ei_rta_leg *leg = &state->legs[state->leg_count > 0 ? state->leg_count - 1 : 0];
    if (state->leg_count == 0 || leg->cpu != cpu || leg->lane != segment->lane || leg->driver != driver) {
        if (state->leg_count == EI_RTA_LEGS_MAX) {
            return false;
        }
        leg = &state->legs[state->leg_count++];
        *leg = (struct ei_rta_leg){.cpu = cpu, .lane = segment->lane, .driver = driver};
    }
    const bool is_whole =
        segment->max_nonpreemptive_ns >= segment->wcet_ns || (segment->lane >= 0 && segment->max_nonpreemptive_ns == 0);
    const int64_t wcet_ns = scaled(segment->wcet_ns, scale_ppm);
    const int64_t chunk_ns = is_whole ? wcet_ns : scaled(segment->max_nonpreemptive_ns, scale_ppm);
    leg->wcet_ns = ei_rta_add(leg->wcet_ns, wcet_ns);
    leg->mandatory_ns = ei_rta_add(leg->mandatory_ns, scaled(segment->mandatory_ns, scale_ppm));
    /* Rounding up must not claim a least time that the job can undercut. */
    const int64_t bcet_ns = scaled(segment->bcet_ns, scale_ppm);
    leg->bcet_ns += bcet_ns > 0 && scale_ppm != 0 && scale_ppm != EI_RTA_PPM ? bcet_ns - 1 : bcet_ns;
    leg->chunk_ns = chunk_ns > leg->chunk_ns ? chunk_ns : leg->chunk_ns;
    /* A block on a lane of a CPU is still preempted by CPU work of a higher task. */
    leg->last_chunk_ns = is_whole && (leg->cpu < 0 || leg->lane < 0) ? wcet_ns : 0;
    return true;
}

static int fill_state(struct ei_rta *rta, int32_t i, struct einet_error *err)
{
    const struct ei_rta_task *task = &rta->tasks[i];
    struct ei_rta_state *state = &rta->states[i];
    *state = (struct ei_rta_state){0};
    for (int32_t s = 0; s < task->segment_count; s++) {
        if (!add_segment(state, &task->segments[s], task->scale_ppm)) {
            return einet_error_set(err, -E2BIG, "task %d changes its resource more than %d times in one job", (int)i,
                                   EI_RTA_LEGS_MAX);
        }
    }
    if (state->leg_count > 0 && state->legs[state->leg_count - 1].driver >= 0) {
        state->legs[state->leg_count - 1].last_chunk_ns = 0; /* its end is seen when its CPU has a turn for it */
    }
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_leg *leg = &state->legs[s];
        state->wcet_ns = ei_rta_add(state->wcet_ns, leg->wcet_ns);
        if (leg->wcet_ns > EI_RTA_TIME_MAX_NS || state->wcet_ns > EI_RTA_TIME_MAX_NS) {
            return einet_error_set(err, -EINVAL, "task %d: the execution time of one job passes 2^50 ns", (int)i);
        }
        if (leg->lane >= 0 && leg->cpu >= 0) {
            rta->lane_cpus[leg->lane] |= bit(leg->cpu);
        } else if (leg->lane >= 0) {
            rta->bare_lanes |= bit(leg->lane);
            rta->lane_cpus[leg->lane] |= leg->driver >= 0 ? bit(leg->driver) : 0;
        }
    }
    return 0;
}

/* A lane's holder could be delayed by preemption being off on a CPU other than the waiter's, once per hand-over; we
 * know no good bound for that and refuse it. */
static int check_mixed_lanes(const struct ei_rta *rta, struct einet_error *err)
{
    for (int32_t lane = 0; lane < EI_RTA_LANES_MAX; lane++) {
        const uint64_t cpus = rta->lane_cpus[lane];
        if ((cpus & (cpus - 1)) == 0 && (cpus == 0 || (rta->bare_lanes & bit(lane)) == 0)) {
            continue;
        }
        for (int32_t i = 0; i < rta->count; i++) {
            for (int32_t s = 0; s < rta->states[i].leg_count; s++) {
                const struct ei_rta_leg *leg = &rta->states[i].legs[s];
                if (leg->lane < 0 && (cpus & bit(leg->cpu)) != 0 && leg->chunk_ns > 0) {
                    return einet_error_set(err, -ENOTSUP,
                                           "task %d turns preemption off on CPU %d, but lane %d spreads over more than "
                                           "this CPU: keep the lane on one CPU or make the segment preemptive",
                                           (int)i, (int)leg->cpu, (int)lane);
                }
            }
        }
    }
    return 0;
}

/* Periods and earliest arrivals, along the chains; order of priority. */
static void resolve(struct ei_rta *rta)
{
    int64_t longest_ns = 1;
    for (int32_t i = 0; i < rta->count; i++) {
        struct ei_rta_state *state = &rta->states[i];
        int32_t at = i;
        while (rta->tasks[at].after != EI_RTA_NO_TASK) {
            at = rta->tasks[at].after;
            for (int32_t s = 0; s < rta->states[at].leg_count; s++) {
                state->best_arrival_ns += rta->states[at].legs[s].bcet_ns;
            }
        }
        state->period_ns = rta->tasks[at].period_ns;
        const int64_t deadline_ns = rta->tasks[i].deadline_ns == INT64_MAX ? 0 : rta->tasks[i].deadline_ns;
        longest_ns = state->period_ns > longest_ns ? state->period_ns : longest_ns;
        longest_ns = deadline_ns > longest_ns ? deadline_ns : longest_ns;
        int32_t place = i;
        while (place > 0 && rta->tasks[rta->states[place - 1].rank].priority < rta->tasks[i].priority) {
            rta->states[place].rank = rta->states[place - 1].rank;
            place--;
        }
        rta->states[place].rank = i;
    }
    rta->limit_ns = LIMIT_PERIODS * longest_ns;
}

int ei_rta_init(struct ei_rta *rta, const struct ei_rta_task *tasks, struct ei_rta_state *states, int32_t count,
                struct einet_error *err)
{
    if (count < 1 || count > EI_RTA_TASKS_MAX) {
        return einet_error_set(err, -E2BIG, "the analysis takes 1..%d tasks, not %d", EI_RTA_TASKS_MAX, (int)count);
    }
    *rta = (struct ei_rta){.tasks = tasks, .states = states, .count = count};
    for (int32_t i = 0; i < count; i++) {
        int rc = check_task(tasks, count, i, err);
        if (rc == 0) {
            rc = fill_state(rta, i, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    const int rc = check_mixed_lanes(rta, err);
    if (rc < 0) {
        return rc;
    }
    resolve(rta);
    return 0;
}

/* Latest arrival: the predecessor's finish, or the nominal one, and the jitter. */
static int64_t latest_arrival(const struct ei_rta *rta, int32_t i)
{
    const int32_t before = rta->tasks[i].after;
    int64_t base_ns = 0;
    if (before != EI_RTA_NO_TASK) {
        const struct ei_rta_state *state = &rta->states[before];
        base_ns = state->leg_count > 0 ? state->finish_ns[state->leg_count - 1] : state->arrival_ns;
    }
    return ei_rta_add(base_ns, rta->tasks[i].jitter_ns);
}

/* The least that the bounds can be: nobody interferes. */
static void start_low(struct ei_rta *rta)
{
    for (int32_t round = 0; round < rta->count; round++) { /* as often as a chain can be long */
        for (int32_t i = 0; i < rta->count; i++) {
            struct ei_rta_state *state = &rta->states[i];
            state->arrival_ns = latest_arrival(rta, i);
            int64_t finish_ns = state->arrival_ns;
            for (int32_t s = 0; s < state->leg_count; s++) {
                finish_ns += state->legs[s].wcet_ns;
                state->finish_ns[s] = finish_ns;
            }
        }
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Bounds by deadline of the first legs of a task that are known already. */
struct settled {
    int32_t leg_count;
    struct ei_rta_window legs[EI_RTA_LEGS_MAX];
};

/* Finish of each leg when jobs may queue behind earlier jobs of the task: one window over all legs so far. known: NULL
 * = nothing. out_last: of the last leg, NULL = not asked for. */
static void bound_queued(struct ei_rta *rta, int32_t i, bool is_mandatory, const struct settled *known,
                         int64_t *out_finish_ns, struct ei_rta_window *out_last)
{
    const struct ei_rta_state *state = &rta->states[i];
    for (int32_t s = 0; s < state->leg_count; s++) {
        const struct ei_rta_query query = {
            .task_idx = i,
            .to = s,
            .is_mandatory = is_mandatory,
            .arrival_ns = state->arrival_ns,
            .arrival_of_first_ns = state->arrival_ns,
            .best_arrival_ns = state->best_arrival_ns,
            .carried_ns = -1,
        };
        struct ei_rta_window window = ei_rta_window_bound(rta, &query);
        if (rta->lane_order == EI_RTA_LANES_BY_DEADLINE) {
            const bool is_own_asked = out_last != NULL && s == state->leg_count - 1;
            const struct ei_rta_window by_deadline = known != NULL && s < known->leg_count
                                                         ? known->legs[s]
                                                         : ei_rta_deadline_bound(rta, i, s, is_mandatory, is_own_asked);
            window.finish_ns = least(window.finish_ns, by_deadline.finish_ns);
            window.finish_ns = least(window.finish_ns, ei_rta_lane_bound(rta, i, s, is_mandatory));
            window.own_ns = least(window.own_ns, by_deadline.own_ns);
        }
        out_finish_ns[s] = window.finish_ns;
        if (out_last != NULL) {
            *out_last = window;
        }
    }
}

/* Improve finish bounds of a task whose jobs never queue behind each other: the chain may be cut anywhere, each stretch
 * bounded by a window of its own. That begins when nothing is carried in at the first resource, and then may hold work
 * of the task on its other legs there; or when the job comes to the stretch, and then others carry in work. full_ns are
 * the bounds of whole jobs (finish_ns itself unless mandatory). */
static void bound_alone(struct ei_rta *rta, int32_t i, bool is_mandatory, const int64_t *full_ns, int64_t *finish_ns)
{
    const struct ei_rta_state *state = &rta->states[i];
    for (int32_t to = 0; to < state->leg_count; to++) {
        int64_t best_ns = state->best_arrival_ns;
        for (int32_t from = 0; from <= to; from++) {
            struct ei_rta_query query = {
                .task_idx = i,
                .from = from,
                .to = to,
                .is_alone = true,
                .is_mandatory = is_mandatory,
                .arrival_ns = from == 0 ? state->arrival_ns : full_ns[from - 1],
                .arrival_of_first_ns = from == 0 ? state->arrival_ns : finish_ns[from - 1],
                .best_arrival_ns = best_ns,
                .carried_ns = -1,
            };
            finish_ns[to] = least(finish_ns[to], ei_rta_window_bound(rta, &query).finish_ns);
            query.carried_ns = 0;
            finish_ns[to] = least(finish_ns[to], ei_rta_window_bound(rta, &query).finish_ns);
            best_ns += state->legs[from].bcet_ns;
        }
    }
}

/* No job is ready before the one before it is done. */
static bool is_alone(const struct ei_rta_state *state, int64_t finish_ns)
{
    return finish_ns <= state->period_ns + state->best_arrival_ns;
}

/* Finish bounds of one task from what is known of the others, and of its own legs. */
static void bound_legs(struct ei_rta *rta, int32_t i, const struct settled *known, int64_t *out_finish_ns)
{
    const struct ei_rta_state *state = &rta->states[i];
    int64_t alone_ns[EI_RTA_LEGS_MAX];
    bound_queued(rta, i, false, known, out_finish_ns, NULL);
    for (int32_t s = 0; s < state->leg_count; s++) {
        alone_ns[s] = out_finish_ns[s];
    }
    bound_alone(rta, i, false, alone_ns, alone_ns);
    if (is_alone(state, alone_ns[state->leg_count - 1])) {
        for (int32_t s = 0; s < state->leg_count; s++) {
            out_finish_ns[s] = alone_ns[s];
        }
    }
}

/* The bounds by deadline alone, which cost less than the others, are no longer than what is known already. out_known:
 * those that were looked at. */
static bool is_settled(struct ei_rta *rta, int32_t i, struct settled *out_known)
{
    const struct ei_rta_state *state = &rta->states[i];
    bool is_no_longer = rta->lane_order == EI_RTA_LANES_BY_DEADLINE;
    out_known->leg_count = 0;
    for (int32_t s = 0; is_no_longer && s < state->leg_count; s++) {
        out_known->legs[s] = ei_rta_deadline_bound(rta, i, s, false, false);
        out_known->leg_count = s + 1;
        is_no_longer = out_known->legs[s].finish_ns <= state->finish_ns[s];
    }
    return is_no_longer;
}

/* New bounds of one task; true when one grew. */
static bool improve(struct ei_rta *rta, int32_t i)
{
    struct ei_rta_state *state = &rta->states[i];
    int64_t finish_ns[EI_RTA_LEGS_MAX];
    struct settled known;
    const int64_t arrival_ns = greatest(state->arrival_ns, latest_arrival(rta, i));
    bool has_grown = arrival_ns > state->arrival_ns;
    state->arrival_ns = arrival_ns;
    if (is_settled(rta, i, &known)) {
        return has_grown;
    }
    if (state->leg_count > 0) {
        bound_legs(rta, i, &known, finish_ns);
    }
    for (int32_t s = 0; s < state->leg_count; s++) {
        if (finish_ns[s] > state->finish_ns[s]) {
            state->finish_ns[s] = finish_ns[s];
            has_grown = true;
        }
    }
    return has_grown;
}

bool ei_rta_holds_if_others_do(struct ei_rta *rta, int32_t i)
{
    for (int32_t k = 0; k < rta->count; k++) {
        const int64_t deadline_ns = rta->tasks[k].deadline_ns;
        for (int32_t s = 0; s < rta->states[k].leg_count; s++) {
            rta->states[k].finish_ns[s] = deadline_ns == INT64_MAX ? EI_RTA_INFINITE : deadline_ns;
        }
    }
    for (int32_t k = 0; k < rta->count; k++) {
        rta->states[k].arrival_ns = latest_arrival(rta, k);
    }
    if (rta->tasks[i].deadline_ns == INT64_MAX) {
        return true;
    }
    const struct ei_rta_state *state = &rta->states[i];
    int64_t finish_ns[EI_RTA_LEGS_MAX];
    if (state->leg_count == 0) {
        return state->arrival_ns <= rta->tasks[i].deadline_ns;
    }
    bound_legs(rta, i, NULL, finish_ns);
    return finish_ns[state->leg_count - 1] <= rta->tasks[i].deadline_ns;
}

/* Who has no deadline has nothing to miss. */
static bool is_kept(int64_t bound_ns, int64_t deadline_ns)
{
    return deadline_ns == INT64_MAX || (bound_ns < EI_RTA_INFINITE && bound_ns <= deadline_ns);
}

static bool may_miss(const struct ei_rta *rta, int32_t i)
{
    const struct ei_rta_state *state = &rta->states[i];
    const int64_t finish_ns = state->leg_count > 0 ? state->finish_ns[state->leg_count - 1] : state->arrival_ns;
    return !is_kept(finish_ns, rta->tasks[i].deadline_ns);
}

/* Bounds only grow, so that one above its deadline stays there. Returns false when that ended the search. */
static bool iterate(struct ei_rta *rta, bool is_ended_by_miss)
{
    int64_t growths = 1, seen[EI_RTA_TASKS_MAX] = {0}; /* growths of all bounds, and those that a task's knows of */
    start_low(rta);
    bool is_growing = true;
    for (int64_t round = 0; is_growing; round++) {
        is_growing = false;
        for (int32_t place = 0; place < rta->count; place++) {
            const int32_t i = rta->states[place].rank;
            if (seen[i] == growths) { /* nothing has changed since it was looked at */
                continue;
            }
            seen[i] = growths;
            const bool has_grown = improve(rta, i);
            growths += has_grown;
            if (is_ended_by_miss && may_miss(rta, i)) {
                return false;
            }
            if (!has_grown) {
                continue;
            }
            is_growing = true;
            if (round >= ROUNDS_MAX) { /* no end in sight: no bound, which ends the growth of this task */
                for (int32_t s = 0; s < rta->states[i].leg_count; s++) {
                    rta->states[i].finish_ns[s] = EI_RTA_INFINITE;
                }
            }
        }
    }
    return true;
}

/* What is left of a job behind its deadline when it is cut there: the block in progress, or one after it came back to
 * the lane, and the legs after that. -1: not cut, or not simple enough to say. */
static int64_t left_behind_deadline(const struct ei_rta *rta, int32_t i)
{
    const struct ei_rta_task *task = &rta->tasks[i];
    const struct ei_rta_state *state = &rta->states[i];
    int32_t lane_leg = -1;
    if (!task->is_cut_at_deadline || task->after != EI_RTA_NO_TASK || task->deadline_ns > state->period_ns) {
        return -1;
    }
    for (int32_t s = 0; s < state->leg_count; s++) {
        if (state->legs[s].lane >= 0 && lane_leg >= 0) {
            return -1;
        }
        lane_leg = state->legs[s].lane >= 0 ? s : lane_leg;
    }
    if (lane_leg < 0) {
        return -1;
    }
    int64_t left_ns = state->legs[lane_leg].chunk_ns;
    for (int32_t s = lane_leg + 1; s < state->leg_count; s++) {
        left_ns += state->legs[s].wcet_ns;
    }
    return left_ns;
}

/* The same when jobs are cut at their deadlines, however long they would be. By induction over the jobs: the one before
 * had done its mandatory part by its deadline, which is no later than this job's arrival, so little of it is left then.
 * The bound counts only if it keeps the deadline, since otherwise the next step of the induction fails. */
static int64_t bound_cut(struct ei_rta *rta, int32_t i, int32_t last_leg)
{
    const struct ei_rta_state *state = &rta->states[i];
    const struct ei_rta_query query = {
        .task_idx = i,
        .to = last_leg,
        .is_alone = true,
        .is_mandatory = true,
        .arrival_ns = state->arrival_ns,
        .arrival_of_first_ns = state->arrival_ns,
        .best_arrival_ns = state->best_arrival_ns,
        .carried_ns = left_behind_deadline(rta, i),
    };
    const int64_t finish_ns = query.carried_ns < 0 ? EI_RTA_INFINITE : ei_rta_window_bound(rta, &query).finish_ns;
    return finish_ns <= rta->tasks[i].deadline_ns ? finish_ns : EI_RTA_INFINITE;
}

/* The bound of a job that ends as early as it may. */
static int64_t bound_mandatory(struct ei_rta *rta, int32_t i)
{
    const struct ei_rta_state *state = &rta->states[i];
    int32_t last_leg = state->leg_count - 1;
    if (last_leg < 0) {
        return state->arrival_ns;
    }
    while (last_leg > 0 && state->legs[last_leg].mandatory_ns == 0) {
        last_leg--;
    }
    int64_t finish_ns[EI_RTA_LEGS_MAX];
    bound_queued(rta, i, true, NULL, finish_ns, NULL);
    if (is_alone(state, state->finish_ns[state->leg_count - 1])) {
        bound_alone(rta, i, true, state->finish_ns, finish_ns);
    }
    return least(least(finish_ns[last_leg], state->finish_ns[last_leg]), bound_cut(rta, i, last_leg));
}

static int64_t published(int64_t ns)
{
    return ns >= EI_RTA_INFINITE ? EI_RTA_NO_BOUND : ns;
}

static struct ei_rta_bound bound_of(struct ei_rta *rta, int32_t i)
{
    const struct ei_rta_state *state = &rta->states[i];
    const int64_t deadline_ns = rta->tasks[i].deadline_ns;
    int64_t response_ns = state->arrival_ns, own_ns = 0, blocking_ns = 0;
    if (state->leg_count > 0) {
        int64_t queued_ns[EI_RTA_LEGS_MAX];
        struct ei_rta_window last = {0};
        bound_queued(rta, i, false, NULL, queued_ns, &last);
        response_ns = state->finish_ns[state->leg_count - 1];
        own_ns =
            least(last.own_ns, response_ns >= EI_RTA_INFINITE ? response_ns : response_ns - state->best_arrival_ns);
        blocking_ns = last.blocking_ns;
    }
    const int64_t mandatory_ns = bound_mandatory(rta, i);
    return (struct ei_rta_bound){
        .response_ns = published(response_ns),
        .own_response_ns = published(own_ns),
        .mandatory_ns = published(mandatory_ns),
        .blocking_ns = blocking_ns,
        .is_schedulable = is_kept(response_ns, deadline_ns),
        .is_mandatory_schedulable = is_kept(mandatory_ns, deadline_ns),
    };
}

bool ei_rta_solve(struct ei_rta *rta, struct ei_rta_bound *out_bounds)
{
    (void)iterate(rta, false);
    bool is_schedulable = true;
    for (int32_t i = 0; i < rta->count; i++) {
        out_bounds[i] = bound_of(rta, i);
        is_schedulable = is_schedulable && out_bounds[i].is_schedulable;
    }
    return is_schedulable;
}

bool ei_rta_is_schedulable(struct ei_rta *rta)
{
    bool is_schedulable = iterate(rta, true);
    for (int32_t i = 0; is_schedulable && i < rta->count; i++) {
        is_schedulable = !may_miss(rta, i);
    }
    return is_schedulable;
}

/* ceil(cost / period * 10^6); both are cut to 43 bits, towards a larger share. */
static int64_t share_ppm(int64_t cost_ns, int64_t period_ns)
{
    while (cost_ns >= (INT64_C(1) << 43) && period_ns > 1) {
        cost_ns = cost_ns / 2 + 1;
        period_ns /= 2;
    }
    return ei_rta_multiply(cost_ns, EI_RTA_PPM) / period_ns + (ei_rta_multiply(cost_ns, EI_RTA_PPM) % period_ns != 0);
}

void ei_rta_utilisation(const struct ei_rta *rta, int64_t *out_cpu_ppm, int64_t *out_lane_ppm)
{
    for (int32_t c = 0; c < EI_RTA_CPUS_MAX; c++) {
        out_cpu_ppm[c] = 0;
    }
    for (int32_t l = 0; l < EI_RTA_LANES_MAX; l++) {
        out_lane_ppm[l] = 0;
    }
    for (int32_t i = 0; i < rta->count; i++) {
        const struct ei_rta_state *state = &rta->states[i];
        for (int32_t s = 0; s < state->leg_count; s++) {
            const struct ei_rta_leg *leg = &state->legs[s];
            const int64_t ppm = share_ppm(leg->wcet_ns, state->period_ns);
            if (leg->cpu >= 0) {
                out_cpu_ppm[leg->cpu] = ei_rta_add(out_cpu_ppm[leg->cpu], ppm);
            }
            if (leg->lane >= 0) {
                out_lane_ppm[leg->lane] = ei_rta_add(out_lane_ppm[leg->lane], ppm);
            }
        }
    }
}
