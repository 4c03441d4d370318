/* Lanes of the reference simulator, and what a job does at a boundary. See reference_world.h. */
#include "tests/engine/reference_world.h"

#include <string.h>

/* ---- lanes ---- */

static int32_t top_waiting(const struct world *w, const struct lane *l)
{
    int32_t top = 0;
    for (int32_t i = 0; i < l->waiting_count; i++) {
        const int32_t p = w->threads[l->waiting[i]].claim;
        top = p > top ? p : top;
    }
    return top;
}

static int64_t deadline_of(const struct thread *t)
{
    return t->release_ns + t->task->deadline_ns;
}

/* Whether thread a's claim to the lane is stronger than b's. A job of a demoted task has the weakest. */
static bool goes_before(const struct world *w, int32_t a, int32_t b)
{
    const struct thread *x = &w->threads[a], *y = &w->threads[b];
    if (w->system->policy == REF_EDF) {
        return x->claim > 0 && (y->claim == 0 || deadline_of(x) < deadline_of(y));
    }
    return x->claim > y->claim;
}

/* Somebody waits whose claim is stronger than the holder's. */
static bool is_preemptor_waiting(const struct world *w, const struct lane *l)
{
    bool is_waiting = false;
    for (int32_t i = 0; i < l->waiting_count; i++) {
        is_waiting |= goes_before(w, l->waiting[i], l->holder);
    }
    return is_waiting;
}

/* Whoever holds the lane runs at the highest priority of itself and all who wait, and has its CPU from then on: what
 * else happens at this instant finds whom it displaced no longer running. */
static void inherit(struct world *w, const struct lane *l)
{
    if (l->holder >= 0) {
        const int32_t own = w->threads[l->holder].task->priority, top = top_waiting(w, l);
        ref_set_priority(w, l->holder, own > top ? own : top);
        (void)ref_runs_on(w, w->threads[l->holder].task->cpu);
    }
}

/* The waiter of the strongest claim, the first of them; -1 = none. */
static int32_t take_waiter(const struct world *w, struct lane *l)
{
    int32_t best = 0;
    for (int32_t i = 1; i < l->waiting_count; i++) {
        best = goes_before(w, l->waiting[i], l->waiting[best]) ? i : best;
    }
    if (l->waiting_count == 0) {
        return -1;
    }
    const int32_t thread = l->waiting[best];
    memmove(&l->waiting[best], &l->waiting[best + 1], (size_t)(l->waiting_count - best - 1) * sizeof l->waiting[0]);
    l->waiting_count--;
    return thread;
}

/* The first free lane of those the task may use; if none is, the one where the fewest are served before it. */
static int32_t choose_lane(const struct world *w, int32_t i)
{
    const struct ref_task *task = w->threads[i].task;
    int32_t best = -1, best_before = 0;
    for (int32_t k = 0; k < task->lane_count; k++) {
        if (w->lanes[task->lanes[k]].holder < 0) {
            return task->lanes[k];
        }
    }
    for (int32_t k = 0; k < task->lane_count; k++) {
        const struct lane *l = &w->lanes[task->lanes[k]];
        int32_t before = !goes_before(w, i, l->holder);
        for (int32_t j = 0; j < l->waiting_count; j++) {
            before += !goes_before(w, i, l->waiting[j]);
        }
        if (best < 0 || before < best_before) {
            best = task->lanes[k];
            best_before = before;
        }
    }
    return best;
}

static void grant(struct world *w, struct lane *l, int32_t i)
{
    l->holder = i;
    if (i >= 0) {
        struct thread *t = &w->threads[i];
        t->state = READY;
        t->was_running = false;
        t->place = ++w->tail;
        t->rest_ns = 0;
        t->is_timed = true;
    }
}

bool ref_take_lane(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    if (t->task->is_kernel_lane) {
        return true;
    }
    t->lane = choose_lane(w, i);
    struct lane *l = &w->lanes[t->lane];
    if (l->holder < 0) {
        l->holder = i;
        return true;
    }
    t->state = WAITS;
    l->waiting[l->waiting_count++] = i;
    inherit(w, l);
    return false;
}

void ref_give_lane(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    struct lane *l = &w->lanes[t->lane];
    ref_judge_stage(w, t, t->task->net);
    if (!t->task->is_kernel_lane) {
        grant(w, l, take_waiter(w, l));
        inherit(w, l);
    }
    t->work = t->is_aborted ? END : POST;
    t->is_timed = false;
    ref_set_priority(w, i, t->task->priority);
}

/* ---- boundaries ---- */

/* The exit of this block has been computed before a restart. */
static bool is_done(const struct thread *t, int32_t block)
{
    return (t->job.exits_mask >> block & 1) != 0;
}

static int64_t part_ns(const struct thread *t)
{
    return t->is_branch ? t->task->branch_ns[t->block] : t->task->conv_ns[t->block];
}

/* The least number of pieces of which none is longer than max_blocking. */
int64_t ref_pieces(const struct thread *t)
{
    const struct ref_task *task = t->task;
    int64_t count = 1;
    while (task->is_on_device && task->max_blocking_ns > 0 && task->on_preempt != REF_NONE &&
           count * task->max_blocking_ns < part_ns(t)) {
        count++;
    }
    return count;
}

static int64_t piece_ns(const struct thread *t, int64_t piece)
{
    const int64_t count = ref_pieces(t), longer = part_ns(t) - part_ns(t) / count * count;
    return part_ns(t) / count + (piece < longer ? 1 : 0);
}

/* Time of the parts up to and including the next branch that is still to run. */
static int64_t until_next_answer(const struct thread *t)
{
    const struct ref_task *task = t->task;
    int64_t sum_ns = t->is_branch ? 0 : task->conv_ns[t->block];
    for (int64_t i = 0; i < t->piece; i++) {
        sum_ns -= piece_ns(t, i);
    }
    int32_t k = t->block;
    for (; is_done(t, k); k++) {
        sum_ns += task->conv_ns[k + 1];
    }
    return sum_ns + task->branch_ns[k];
}

/* Jobs of the task that have run, and whose network, or without one the job itself, has not ended. */
static int32_t under_way(const struct world *w, int32_t task)
{
    int32_t count = 0;
    for (int32_t i = 0; i < w->count; i++) {
        const struct thread *t = &w->threads[i];
        count += t->task_idx == task && t->state != SLEEPS && t->job.start_ns >= 0 && !t->is_network_over;
    }
    return count;
}

static int64_t whole_job_ns(const struct ref_task *task)
{
    int64_t sum_ns = task->pre_ns + task->post_ns;
    for (int32_t k = 0; k < task->blocks; k++) {
        sum_ns += task->conv_ns[k] + task->branch_ns[k];
    }
    return sum_ns;
}

static bool has_common_lane(const struct ref_task *a, const struct ref_task *b)
{
    bool has = false;
    if (a->is_kernel_lane || b->is_kernel_lane) {
        return false;
    }
    for (int32_t i = 0; i < a->lane_count; i++) {
        for (int32_t k = 0; k < b->lane_count; k++) {
            has |= a->lanes[i] == b->lanes[k];
        }
    }
    return has;
}

/* What a job costs one that it shares a CPU or lane with: class deadline has all CPUs, so each gets its part. Whoever
 * does not share its device does not pay for the time there. */
static int64_t cost_ns(const struct ref_task *task, bool has_its_lane)
{
    if (task->is_on_device && !has_its_lane) {
        return task->pre_ns + task->post_ns;
    }
    return task->is_deadline ? whole_job_ns(task) / REF_CPUS : whole_job_ns(task);
}

/* Time of the jobs that come before one of task i in its chain. */
static int64_t chain_before_ns(const struct ref_system *system, int32_t i)
{
    int64_t sum_ns = 0;
    for (i = system->tasks[i].after; i != REF_FIRST; i = system->tasks[i].after) {
        sum_ns += whole_job_ns(&system->tasks[i]);
    }
    return sum_ns;
}

/* The first job of task h that is still to come: its release, in a chain that of the first task, is not past, or so
 * little that the jobs before it in the chain may not be over; and it has not begun. */
static int64_t first_to_come(const struct world *w, int32_t h)
{
    const int64_t since_ns = w->now_ns - chain_before_ns(w->system, h);
    int64_t k = 0;
    while (ref_nominal(w->system, h, k) <= since_ns || ref_nominal(w->system, h, k) <= w->jobs[h].begun_ns) {
        k++;
    }
    return k;
}

static const struct ref_task *first_of_chain(const struct ref_system *system, int32_t h)
{
    while (system->tasks[h].after != REF_FIRST) {
        h = system->tasks[h].after;
    }
    return &system->tasks[h];
}

/* The k-th job of task h that is still to come, as far as its rules tell: of one whose chain is released from outside,
 * as soon as may be after the newest that has begun, and again at the least distance. */
static int64_t to_come(const struct world *w, int32_t h, int64_t k)
{
    const struct ref_task *first = first_of_chain(w->system, h);
    if (!first->is_external) {
        return ref_nominal(w->system, h, first_to_come(w, h) + k);
    }
    const int64_t begun_ns = w->jobs[h].begun_ns;
    const int64_t soonest_ns = begun_ns == INT64_MIN ? 0 : begun_ns + first->period_ns;
    return (soonest_ns > w->now_ns ? soonest_ns : w->now_ns) + k * first->period_ns;
}

/* Whether thread i, if it left the lane now and came back, could have its next answer and finish by its deadline: the
 * least length of time that holds its own rest, those jobs that are under way of each higher task it shares something
 * with, and one for each of their releases within that time. Grown release by release. */
static bool can_resume(const struct world *w, int32_t i)
{
    const struct thread *t = &w->threads[i];
    int64_t length_ns = until_next_answer(t) + t->task->post_ns + 20000;
    int64_t next[REF_TASKS_MAX];
    for (int32_t h = 0; h < w->task_count; h++) {
        const struct ref_task *other = &w->system->tasks[h];
        const bool is_sharing =
            other->is_deadline || other->cpu == t->task->cpu || (other->blocks > 0 && has_common_lane(other, t->task));
        next[h] = -1;
        if (other->priority > t->task->priority && is_sharing) {
            length_ns += under_way(w, h) * cost_ns(other, other->blocks > 0 && has_common_lane(other, t->task));
            next[h] = 0;
        }
    }
    for (bool has_grown = true; has_grown && w->now_ns + length_ns <= deadline_of(t);) {
        has_grown = false;
        for (int32_t h = 0; h < w->task_count && !has_grown; h++) {
            const struct ref_task *other = &w->system->tasks[h];
            if (next[h] >= 0 && to_come(w, h, next[h]) <= w->now_ns + length_ns) {
                length_ns += cost_ns(other, other->blocks > 0 && has_common_lane(other, t->task));
                next[h]++;
                has_grown = true;
            }
        }
    }
    return w->now_ns + length_ns <= deadline_of(t);
}

int64_t ref_block_ns(const struct thread *t)
{
    return piece_ns(t, t->piece);
}

/* A job offers its lane before the block that would take it beyond max_blocking since its last offer. */
static bool offers_lane(struct thread *t)
{
    const bool offers = t->task->max_blocking_ns == 0 || t->unoffered_ns + ref_block_ns(t) > t->task->max_blocking_ns;
    t->unoffered_ns = offers ? 0 : t->unoffered_ns;
    return offers;
}

/* The rules of a boundary, as scheduler/boundary.h states them. */
static void pass_boundary(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    struct lane *l = &w->lanes[t->lane];
    const bool is_offering = offers_lane(t);
    const int64_t deadline_ns = deadline_of(t);
    const bool has_answer = t->job.exits_mask != 0,
               is_spent = task->max_preemptions > 0 && t->job.preemptions >= task->max_preemptions;
    const bool is_higher = !task->is_kernel_lane && is_offering && is_preemptor_waiting(w, l) && !is_spent;
    const int64_t after_ns = task->post_ns + 20000;
    bool stops = false;
    if (w->now_ns >= deadline_ns && task->on_deadline == REF_DEADLINE_ABORT) {
        t->is_aborted = true;
        t->work = GIVE;
        return;
    }
    const int64_t left_ns = ref_left_of(w, t, task->net);
    const bool is_past = task->on_deadline == REF_DEADLINE_EXIT && w->now_ns >= deadline_ns;
    if (!is_past && left_ns < 0 && task->on_overrun == REF_OVERRUN_ABORT) {
        t->is_aborted = true;
        t->work = GIVE;
        return;
    }
    const int64_t next_ns = has_answer ? until_next_answer(t) : 0;
    const bool would_be_late =
        task->on_deadline == REF_DEADLINE_EXIT && next_ns > 0 && w->now_ns + next_ns + after_ns > deadline_ns;
    const bool would_be_over = task->on_overrun == REF_OVERRUN_EXIT && next_ns > 0 && next_ns > left_ns;
    if (is_past || would_be_late || would_be_over || (task->on_overrun == REF_OVERRUN_EXIT && left_ns < 0)) {
        stops = true;
    } else if (!is_higher || task->on_preempt == REF_NONE) {
        return;
    } else {
        stops = task->on_preempt == REF_EXIT || (task->on_preempt == REF_ELASTIC && !can_resume(w, i));
    }
    const bool gives_way = is_higher && task->on_preempt != REF_NONE;
    t->job.cuts += t->piece > 0 && (stops || gives_way) ? 1 : 0;
    if (stops && (has_answer || !task->is_first_exit_mandatory)) {
        t->job.preemptions += gives_way ? 1 : 0;
        t->work = GIVE;
        return;
    }
    t->is_stopping = t->is_stopping || stops;
    if (!gives_way) {
        return;
    }
    /* The lane is given away and taken back. */
    const int32_t next = take_waiter(w, l);
    t->job.preemptions++;
    if (task->on_preempt == REF_RESTART) {
        t->begins = true;
        t->block = 0;
        t->piece = 0;
        t->is_branch = false;
    }
    t->wait_since_ns = w->now_ns;
    t->work = BLOCK;
    grant(w, l, next);
    ref_set_priority(w, i, task->priority);
    t->state = WAITS;
    /* It asked before the others of its priority. */
    memmove(&l->waiting[1], &l->waiting[0], (size_t)l->waiting_count * sizeof l->waiting[0]);
    l->waiting[0] = i;
    l->waiting_count++;
    inherit(w, l);
}

void ref_end_block(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    t->unoffered_ns += ref_block_ns(t);
    t->piece++;
    if (t->piece < ref_pieces(t)) {
        pass_boundary(w, i);
        return;
    }
    t->piece = 0;
    if (t->is_branch) {
        t->job.exits_mask |= UINT64_C(1) << t->block;
        t->block++;
        t->is_branch = false;
        if (t->block == t->task->blocks || t->is_stopping) {
            t->work = GIVE;
            return;
        }
    } else if (is_done(t, t->block)) {
        t->block++;
    } else {
        t->is_branch = true;
    }
    pass_boundary(w, i);
}
