/* See reference_schedule.h. A thread's place in its CPU's queue is a number: the smaller, the earlier among equals. */
#include "tests/engine/reference_schedule.h"

#include <string.h>

enum state { SLEEPS, READY, WAITS };
enum work { PRE, TAKE, BLOCK, GIVE, POST, END };

struct thread {
    const struct ref_task *task;
    enum state state;
    int32_t priority; /* effective */
    int64_t place;
    bool was_running;
    enum work work;
    int64_t rest_ns;
    bool is_timed; /* rest_ns counts for the work that is under way */
    int32_t lane;  /* that it holds or waits for */
    int32_t block;
    bool is_branch;
    int64_t unoffered_ns;         /* time of the blocks since it last offered the lane */
    bool is_stopping, is_aborted; /* the network: stop after the first answer; give up */
    struct ref_job job;
    int64_t release_ns, wait_since_ns;
    int64_t next_release; /* number of the next release */
    int64_t queue[64];
    int32_t queued;
};

struct lane {
    int32_t holder; /* -1 = free */
    int32_t waiting[REF_TASKS_MAX];
    int32_t waiting_count;
};

struct world {
    const struct ref_system *system;
    struct thread threads[REF_TASKS_MAX];
    int32_t count;
    int64_t now_ns, end_ns, tail, head;
    struct lane lanes[REF_LANES_MAX];
    struct ref_job *out;
    int32_t out_count, out_max;
};

static int64_t release_time(const struct ref_task *t, int64_t k)
{
    return t->offset_ns + k * t->period_ns;
}

static void report(struct world *w, struct ref_job job)
{
    if (w->out_count < w->out_max) {
        w->out[w->out_count++] = job;
    }
}

static void report_unrun(struct world *w, int32_t i, int64_t k, enum ref_outcome outcome)
{
    report(w, (struct ref_job){.task_idx = i, .job_idx = k, .outcome = outcome});
}

/* ---- lanes ---- */

static int32_t top_waiting(const struct world *w, const struct lane *l)
{
    int32_t top = 0;
    for (int32_t i = 0; i < l->waiting_count; i++) {
        const int32_t p = w->threads[l->waiting[i]].task->priority;
        top = p > top ? p : top;
    }
    return top;
}

static int64_t deadline_of(const struct thread *t)
{
    return t->release_ns + t->task->deadline_ns;
}

/* Whether thread a's claim to the lane is stronger than b's. */
static bool goes_before(const struct world *w, int32_t a, int32_t b)
{
    const struct thread *x = &w->threads[a], *y = &w->threads[b];
    return w->system->policy == REF_EDF ? deadline_of(x) < deadline_of(y) : x->task->priority > y->task->priority;
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

static void set_priority(struct world *w, int32_t i, int32_t priority)
{
    struct thread *t = &w->threads[i];
    if (priority == t->priority) {
        return;
    }
    const bool is_lowered = priority < t->priority;
    t->priority = priority;
    if (t->state == READY && (!t->was_running || is_lowered)) {
        t->place = is_lowered ? --w->head : ++w->tail;
    }
}

/* Whoever holds the lane runs at the highest priority of itself and all who wait. */
static void inherit(struct world *w, const struct lane *l)
{
    if (l->holder >= 0) {
        const int32_t own = w->threads[l->holder].task->priority, top = top_waiting(w, l);
        set_priority(w, l->holder, own > top ? own : top);
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

/* ---- a job's program ---- */

static void account_passed(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    for (; release_time(task, t->next_release) <= w->now_ns && release_time(task, t->next_release) <= w->end_ns;
         t->next_release++) {
        if (task->late == REF_SKIP) {
            report_unrun(w, i, t->next_release, REF_SKIPPED);
        } else if (t->queued < task->queue) {
            t->queue[t->queued++] = t->next_release;
        } else if (task->late == REF_NEWEST) {
            report_unrun(w, i, t->next_release, REF_DROPPED);
        } else {
            report_unrun(w, i, t->queue[0], REF_DROPPED);
            memmove(t->queue, t->queue + 1, (size_t)(t->queued - 1) * sizeof t->queue[0]);
            t->queue[t->queued - 1] = t->next_release;
        }
    }
}

static void begin_job(struct world *w, int32_t i, int64_t k)
{
    struct thread *t = &w->threads[i];
    t->job = (struct ref_job){.task_idx = i, .job_idx = k, .start_ns = -1};
    t->release_ns = release_time(t->task, k);
    t->job.part_ns[REF_DELAYED] = w->now_ns - t->release_ns;
    t->work = PRE;
    t->rest_ns = 0;
    t->is_timed = false;
    t->is_stopping = t->is_aborted = false;
}

static void end_job(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    t->job.finish_ns = w->now_ns;
    t->job.outcome = t->is_aborted ? REF_ABORTED : REF_COMPLETED;
    report(w, t->job);
    account_passed(w, i);
    if (t->queued > 0) {
        const int64_t k = t->queue[0];
        memmove(t->queue, t->queue + 1, (size_t)(t->queued - 1) * sizeof t->queue[0]);
        t->queued--;
        begin_job(w, i, k);
    } else {
        t->state = SLEEPS;
    }
}

/* The exit of this block has been computed before a restart. */
static bool is_done(const struct thread *t, int32_t block)
{
    return (t->job.exits_mask >> block & 1) != 0;
}

/* Time of the parts up to and including the next branch that is still to run. */
static int64_t until_next_answer(const struct thread *t)
{
    const struct ref_task *task = t->task;
    int64_t sum_ns = t->is_branch ? 0 : task->conv_ns[t->block];
    int32_t k = t->block;
    for (; is_done(t, k); k++) {
        sum_ns += task->conv_ns[k + 1];
    }
    return sum_ns + task->branch_ns[k];
}

/* A job of the task has run and its network, or without one the job itself, has not ended. */
static bool is_under_way(const struct thread *t)
{
    return t->state != SLEEPS && t->job.start_ns >= 0 && (t->task->blocks == 0 || t->work < POST);
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

/* Whether thread i, if it left the lane now and came back, could have its next answer and finish by its deadline: the
 * least length of time that holds its own rest, one job of each higher task it shares something with and that is under
 * way, and one for each of their releases within that time. Grown release by release. */
static bool can_resume(const struct world *w, int32_t i)
{
    const struct thread *t = &w->threads[i];
    int64_t length_ns = until_next_answer(t) + t->task->post_ns + 20000;
    int64_t next[REF_TASKS_MAX];
    for (int32_t h = 0; h < w->count; h++) {
        const struct ref_task *other = w->threads[h].task;
        const bool is_sharing = other->cpu == t->task->cpu || (other->blocks > 0 && has_common_lane(other, t->task));
        next[h] = -1;
        if (other->priority > t->task->priority && is_sharing) {
            length_ns += is_under_way(&w->threads[h]) ? whole_job_ns(other) : 0;
            for (next[h] = 0; release_time(other, next[h]) <= w->now_ns; next[h]++) {
            }
        }
    }
    for (bool has_grown = true; has_grown && w->now_ns + length_ns <= deadline_of(t);) {
        has_grown = false;
        for (int32_t h = 0; h < w->count && !has_grown; h++) {
            const struct ref_task *other = w->threads[h].task;
            if (next[h] >= 0 && release_time(other, next[h]) <= w->now_ns + length_ns) {
                length_ns += whole_job_ns(other);
                next[h]++;
                has_grown = true;
            }
        }
    }
    return w->now_ns + length_ns <= deadline_of(t);
}

static int64_t block_ns(const struct thread *t)
{
    return t->is_branch ? t->task->branch_ns[t->block] : t->task->conv_ns[t->block];
}

/* A job offers its lane before the block that would take it beyond max_blocking since its last offer. */
static bool offers_lane(struct thread *t)
{
    const bool offers = t->task->max_blocking_ns == 0 || t->unoffered_ns + block_ns(t) > t->task->max_blocking_ns;
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
    if (task->on_deadline == REF_DEADLINE_EXIT &&
        (w->now_ns >= deadline_ns ||
         (has_answer && until_next_answer(t) > 0 && w->now_ns + until_next_answer(t) + after_ns > deadline_ns))) {
        stops = true;
    } else if (!is_higher || task->on_preempt == REF_NONE) {
        return;
    } else {
        stops = task->on_preempt == REF_EXIT || (task->on_preempt == REF_ELASTIC && !can_resume(w, i));
    }
    const bool gives_way = is_higher && task->on_preempt != REF_NONE;
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
        t->block = 0;
        t->is_branch = false;
    }
    t->wait_since_ns = w->now_ns;
    t->work = BLOCK;
    grant(w, l, next);
    set_priority(w, i, task->priority);
    t->state = WAITS;
    /* It asked before the others of its priority. */
    memmove(&l->waiting[1], &l->waiting[0], (size_t)l->waiting_count * sizeof l->waiting[0]);
    l->waiting[0] = i;
    l->waiting_count++;
    inherit(w, l);
}

static void end_block(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    t->unoffered_ns += block_ns(t);
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

static void give_lane(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    struct lane *l = &w->lanes[t->lane];
    if (!t->task->is_kernel_lane) {
        grant(w, l, take_waiter(w, l));
        inherit(w, l);
    }
    t->work = t->is_aborted ? END : POST;
    t->is_timed = false;
    set_priority(w, i, t->task->priority);
}

static int32_t runs_on(struct world *w, int32_t cpu);

/* Begin the work that is due, or end it when its time is over. Returns false when the thread has something to compute
 * or has left its CPU. */
static bool step(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    switch (t->work) {
    case PRE:
    case POST:
        if (!t->is_timed) {
            t->job.start_ns = t->work == PRE ? w->now_ns : t->job.start_ns;
            t->rest_ns = t->work == PRE ? task->pre_ns : task->post_ns;
            t->is_timed = true;
            return t->rest_ns == 0;
        }
        t->work = t->work == PRE ? (task->blocks > 0 ? TAKE : END) : END;
        t->is_timed = false;
        return true;
    case TAKE:
        t->block = 0;
        t->unoffered_ns = 0;
        t->is_branch = false;
        t->wait_since_ns = w->now_ns;
        t->work = BLOCK;
        if (task->is_kernel_lane) {
            t->is_timed = false;
            return true;
        }
        t->lane = choose_lane(w, i);
        if (w->lanes[t->lane].holder < 0) {
            w->lanes[t->lane].holder = i;
            t->is_timed = false;
            return true;
        }
        t->state = WAITS;
        w->lanes[t->lane].waiting[w->lanes[t->lane].waiting_count++] = i;
        inherit(w, &w->lanes[t->lane]);
        return false;
    case BLOCK:
        if (t->wait_since_ns >= 0) { /* the lane has come */
            t->job.lane_wait_ns += w->now_ns - t->wait_since_ns;
            t->wait_since_ns = -1;
            t->is_timed = false;
        }
        if (!t->is_timed) {
            t->rest_ns = block_ns(t);
            t->is_timed = true;
            return t->rest_ns == 0;
        }
        t->is_timed = false;
        end_block(w, i);
        return t->state == READY;
    case GIVE:
        give_lane(w, i);
        return runs_on(w, task->cpu) == i;
    case END:
        end_job(w, i);
        return t->state == READY;
    }
    return false;
}

/* The thread that a CPU runs; the one that ran before stays ahead of its equals, since it queues at their head. */
static int32_t runs_on(struct world *w, int32_t cpu)
{
    int32_t best = -1;
    for (int32_t i = 0; i < w->count; i++) {
        const struct thread *t = &w->threads[i];
        if (t->task->cpu != cpu || t->state != READY) {
            continue;
        }
        const struct thread *b = best >= 0 ? &w->threads[best] : NULL;
        if (b == NULL || t->priority > b->priority ||
            (t->priority == b->priority && (t->was_running || (!b->was_running && t->place < b->place)))) {
            best = i;
        }
    }
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        if (t->task->cpu == cpu) {
            if (t->was_running && i != best && t->state == READY) {
                t->place = --w->head; /* preempted */
            }
            t->was_running = i == best;
        }
    }
    return best;
}

static int32_t highest_cpu(const struct world *w)
{
    int32_t highest = 0;
    for (int32_t i = 0; i < w->count; i++) {
        highest = w->threads[i].task->cpu > highest ? w->threads[i].task->cpu : highest;
    }
    return highest;
}

/* Everything that takes no time at this instant, lowest CPU first, until nothing is left. */
static void settle(struct world *w)
{
    for (bool is_moving = true; is_moving;) {
        is_moving = false;
        for (int32_t cpu = 0; cpu <= highest_cpu(w) && !is_moving; cpu++) {
            const int32_t i = runs_on(w, cpu);
            if (i >= 0 && w->threads[i].rest_ns == 0) {
                while (step(w, i)) {
                }
                is_moving = true;
            }
        }
    }
}

/* Nothing changes until then: say of each job what it did or lacked meanwhile. */
static void count_parts(struct world *w, int64_t until_ns)
{
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        const int32_t runs = runs_on(w, t->task->cpu);
        enum ref_part part = REF_RAN;
        if (t->state == SLEEPS) {
            continue;
        }
        if (t->state == WAITS) {
            const struct thread *holder = &w->threads[w->lanes[t->lane].holder];
            part = holder->task->priority < t->task->priority ? REF_BLOCKED : REF_QUEUED;
        } else if (runs != i) {
            part = w->threads[runs].task->priority < t->task->priority ? REF_BLOCKED : REF_INTERFERED;
        }
        t->job.part_ns[part] += until_ns - w->now_ns;
    }
}

void ref_assign_priorities(struct ref_system *system)
{
    for (int32_t i = 0; i < system->task_count && system->policy != REF_FIXED; i++) {
        int32_t before = 0;
        for (int32_t j = 0; j < system->task_count; j++) {
            const struct ref_task *a = &system->tasks[j], *b = &system->tasks[i];
            const bool is_rate = system->policy == REF_RATE;
            const int64_t x = is_rate ? a->period_ns : a->deadline_ns, y = is_rate ? b->period_ns : b->deadline_ns;
            before += x < y || (x == y && j < i);
        }
        system->tasks[i].priority = 80 - before;
    }
}

int32_t ref_simulate(const struct ref_system *system, struct ref_job *out, int32_t max)
{
    const struct ref_task *const tasks = system->tasks;
    const int32_t task_count = system->task_count;
    const int64_t end_ns = system->end_ns;
    struct world w = {.system = system, .count = task_count, .end_ns = end_ns, .out = out, .out_max = max};
    for (int32_t i = 0; i < REF_LANES_MAX; i++) {
        w.lanes[i].holder = -1;
    }
    for (int32_t i = 0; i < task_count; i++) {
        w.threads[i] = (struct thread){.task = &tasks[i], .priority = tasks[i].priority, .wait_since_ns = -1};
    }
    for (;;) {
        int64_t next_ns = INT64_MAX;
        for (int32_t cpu = 0; cpu <= highest_cpu(&w); cpu++) {
            const int32_t i = runs_on(&w, cpu);
            if (i >= 0 && w.now_ns + w.threads[i].rest_ns < next_ns) {
                next_ns = w.now_ns + w.threads[i].rest_ns;
            }
        }
        int64_t release_ns = INT64_MAX;
        int32_t released = -1;
        for (int32_t i = 0; i < task_count; i++) {
            const int64_t at_ns = release_time(&tasks[i], w.threads[i].next_release);
            if (w.threads[i].state == SLEEPS && at_ns <= end_ns && at_ns < release_ns) {
                release_ns = at_ns;
                released = i;
            }
        }
        if (next_ns == INT64_MAX && released < 0) {
            return w.out_count;
        }
        const int64_t until_ns = next_ns <= release_ns ? next_ns : release_ns;
        count_parts(&w, until_ns);
        for (int32_t cpu = 0; cpu <= highest_cpu(&w); cpu++) {
            const int32_t i = runs_on(&w, cpu);
            if (i >= 0) {
                w.threads[i].rest_ns -= until_ns - w.now_ns;
            }
        }
        w.now_ns = until_ns;
        if (next_ns <= release_ns) {
            settle(&w);
        } else {
            struct thread *t = &w.threads[released];
            begin_job(&w, released, t->next_release++); /* now: the thread slept */
            t->state = READY;
            t->was_running = false;
            t->place = ++w.tail;
            (void)runs_on(&w, t->task->cpu);
        }
    }
}
