/* See reference_schedule.h. A thread's place in its CPU's queue is a number: the smaller, the earlier among equals. */
#include "tests/engine/reference_schedule.h"

#include <string.h>

#define REF_INBOX_MAX 512
#define LOOK_NS INT64_C(10000000)

enum state { SLEEPS, READY, WAITS };
enum work { PRE, TAKE, BLOCK, GIVE, POST, END };

/* What became of a predecessor's job. */
struct news {
    int64_t job;
    bool is_completed;
};

struct thread {
    const struct ref_task *task;
    enum state state;
    int32_t priority; /* effective */
    int64_t place;
    bool was_running;
    enum work work;
    int64_t rest_ns;
    bool is_timed; /* rest_ns counts for the work that is under way */
    int32_t block;
    bool is_branch;
    bool is_stopping, is_aborted; /* the network: stop after the first answer; give up */
    struct ref_job job;
    int64_t release_ns, wait_since_ns;
    int64_t stage_since_ns, used_ns; /* of the stage that runs */
    int64_t next_release;            /* number of the next release */
    int64_t queue[64];
    int32_t queued;
    struct news inbox[REF_INBOX_MAX]; /* of the predecessor's jobs, that this task has not looked at */
    int32_t news_count;
    int64_t total_ns;            /* processor time so far */
    int64_t found_job, found_ns; /* by the watchdog: the job, and total_ns then; -1 = none */
    bool is_demoted;
    int32_t claim; /* priority that the job has in the queue for the lane */
};

struct world {
    const struct ref_task *tasks;
    struct thread threads[REF_TASKS_MAX];
    int32_t count;
    int64_t now_ns, end_ns, tail, head;
    int32_t holder; /* of the lane, -1 = free */
    int32_t waiting[REF_TASKS_MAX];
    int32_t waiting_count;
    struct ref_job *out;
    int32_t out_count, out_max;
};

static int64_t release_time(const struct ref_task *t, int64_t k)
{
    return t->offset_ns + k * t->period_ns;
}

/* Nominal release of job k, of a chain that of its first task. */
static int64_t nominal(const struct world *w, int32_t i, int64_t k)
{
    while (w->tasks[i].after != REF_FIRST) {
        i = w->tasks[i].after;
    }
    return release_time(&w->tasks[i], k);
}

/* A job is over: the world and its successors hear of it. */
static void report(struct world *w, struct ref_job job)
{
    if (w->out_count < w->out_max) {
        w->out[w->out_count++] = job;
    }
    for (int32_t s = 0; s < w->count; s++) {
        struct thread *t = &w->threads[s];
        if (t->task->after == job.task_idx && t->news_count < REF_INBOX_MAX) {
            t->inbox[t->news_count++] = (struct news){.job = job.job_idx, .is_completed = job.outcome == REF_COMPLETED};
        }
    }
}

static void report_unrun(struct world *w, int32_t i, int64_t k, enum ref_outcome outcome)
{
    report(w, (struct ref_job){.task_idx = i, .job_idx = k, .outcome = outcome});
}

/* ---- the lane ---- */

static int32_t top_waiting(const struct world *w)
{
    int32_t top = 0;
    for (int32_t i = 0; i < w->waiting_count; i++) {
        const int32_t p = w->threads[w->waiting[i]].claim;
        top = p > top ? p : top;
    }
    return top;
}

static void set_priority(struct world *w, int32_t i, int32_t priority)
{
    struct thread *t = &w->threads[i];
    if (priority == t->priority || t->is_demoted) {
        return;
    }
    const bool is_lowered = priority < t->priority;
    t->priority = priority;
    if (t->state == READY && (!t->was_running || is_lowered)) {
        t->place = is_lowered ? --w->head : ++w->tail;
    }
}

/* The waiter of the highest priority, the first of them; -1 = none. */
static int32_t take_waiter(struct world *w)
{
    const int32_t top = top_waiting(w);
    for (int32_t i = 0; i < w->waiting_count; i++) {
        const int32_t thread = w->waiting[i];
        if (w->threads[thread].claim == top) {
            memmove(&w->waiting[i], &w->waiting[i + 1], (size_t)(w->waiting_count - i - 1) * sizeof w->waiting[0]);
            w->waiting_count--;
            return thread;
        }
    }
    return -1;
}

static void grant(struct world *w, int32_t i)
{
    w->holder = i;
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

/* A release that finds its task active. */
static void account_late(struct world *w, int32_t i, int64_t k)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    if (task->late == REF_SKIP) {
        report_unrun(w, i, k, REF_SKIPPED);
    } else if (t->queued < task->queue) {
        t->queue[t->queued++] = k;
    } else if (task->late == REF_NEWEST) {
        report_unrun(w, i, k, REF_DROPPED);
    } else {
        report_unrun(w, i, t->queue[0], REF_DROPPED);
        memmove(t->queue, t->queue + 1, (size_t)(t->queued - 1) * sizeof t->queue[0]);
        t->queue[t->queued - 1] = k;
    }
}

static struct news take_news(struct thread *t)
{
    const struct news first = t->inbox[0];
    memmove(t->inbox, t->inbox + 1, (size_t)--t->news_count * sizeof t->inbox[0]);
    return first;
}

static void account_passed(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    while (t->news_count > 0) {
        const struct news news = take_news(t);
        if (news.is_completed) {
            account_late(w, i, news.job);
        } else {
            report_unrun(w, i, news.job, REF_SKIPPED);
        }
    }
    for (; task->after == REF_FIRST && release_time(task, t->next_release) <= w->now_ns &&
           release_time(task, t->next_release) <= w->end_ns;
         t->next_release++) {
        account_late(w, i, t->next_release);
    }
}

static void begin_job(struct world *w, int32_t i, int64_t k)
{
    struct thread *t = &w->threads[i];
    t->job = (struct ref_job){.task_idx = i, .job_idx = k, .start_ns = -1};
    t->release_ns = nominal(w, i, k);
    t->work = PRE;
    t->rest_ns = 0;
    t->is_timed = false;
    t->is_stopping = t->is_aborted = false;
    t->claim = t->is_demoted ? 0 : t->task->priority;
}

static int32_t runs_on(struct world *w, int32_t cpu);

static void wake(struct world *w, int32_t i, int64_t k)
{
    struct thread *t = &w->threads[i];
    begin_job(w, i, k);
    t->state = READY;
    t->was_running = false;
    t->place = ++w->tail;
    (void)runs_on(w, t->task->cpu);
}

/* Tasks behind this one that sleep look at what they have heard, in the order of the file, each followed by those
 * behind it, until one of its jobs is released. */
static void release_successors(struct world *w, int32_t i)
{
    for (int32_t s = 0; s < w->count; s++) {
        struct thread *t = &w->threads[s];
        if (t->task->after != i) {
            continue;
        }
        while (t->state == SLEEPS && t->news_count > 0) {
            const struct news news = take_news(t);
            if (news.is_completed) {
                wake(w, s, news.job);
            } else {
                report_unrun(w, s, news.job, REF_SKIPPED);
            }
        }
        release_successors(w, s);
    }
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
        (void)runs_on(w, t->task->cpu);
    }
    release_successors(w, i);
}

/* Time of the parts up to and including the next branch. */
static int64_t until_next_answer(const struct thread *t)
{
    const struct ref_task *task = t->task;
    if (t->is_branch) {
        return task->branch_ns[t->block];
    }
    return task->conv_ns[t->block] + task->branch_ns[t->block];
}

/* What is left of a stage's limits, the less; negative = over. */
static int64_t left_of(const struct world *w, const struct thread *t, struct ref_limit limit)
{
    const int64_t elapsed_ns = w->now_ns - t->stage_since_ns;
    const int64_t budget_ns = limit.budget_ns < 0 ? INT64_MAX : limit.budget_ns - t->used_ns;
    const int64_t timeout_ns = limit.timeout_ns < 0 ? INT64_MAX : limit.timeout_ns - elapsed_ns;
    return budget_ns < timeout_ns ? budget_ns : timeout_ns;
}

/* The stage is over. */
static void judge_stage(struct world *w, struct thread *t, struct ref_limit limit)
{
    if (left_of(w, t, limit) < 0) {
        t->job.is_overrun = true;
        t->is_aborted = t->is_aborted || t->task->on_overrun == REF_OVERRUN_ABORT;
    }
}

/* The rules of a boundary, as scheduler/boundary.h states them. */
static void pass_boundary(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    const int64_t deadline_ns = t->release_ns + task->deadline_ns;
    const bool has_answer = t->job.exits_mask != 0, is_higher = top_waiting(w) > t->claim;
    const int64_t after_ns = task->post_ns + 20000;
    bool stops = false;
    if (w->now_ns >= deadline_ns && task->on_deadline == REF_DEADLINE_ABORT) {
        t->is_aborted = true;
        t->work = GIVE;
        return;
    }
    const int64_t left_ns = left_of(w, t, task->net);
    const bool is_past = task->on_deadline == REF_DEADLINE_EXIT && w->now_ns >= deadline_ns;
    if (!is_past && left_ns < 0 && task->on_overrun == REF_OVERRUN_ABORT) {
        t->is_aborted = true;
        t->work = GIVE;
        return;
    }
    const bool would_be_late = task->on_deadline == REF_DEADLINE_EXIT && has_answer && until_next_answer(t) > 0 &&
                               w->now_ns + until_next_answer(t) + after_ns > deadline_ns;
    const bool would_be_over = task->on_overrun == REF_OVERRUN_EXIT && has_answer && until_next_answer(t) > 0 &&
                               until_next_answer(t) > left_ns;
    if (is_past || would_be_late || would_be_over || (task->on_overrun == REF_OVERRUN_EXIT && left_ns < 0)) {
        stops = true;
    } else if (!is_higher || task->on_preempt == REF_NONE) {
        return;
    } else {
        stops = task->on_preempt == REF_EXIT;
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
    const int32_t next = take_waiter(w);
    t->job.preemptions++;
    t->wait_since_ns = w->now_ns;
    t->work = BLOCK;
    grant(w, next);
    set_priority(w, i, task->priority);
    t->state = WAITS;
    /* It asked before the others of its priority. */
    memmove(&w->waiting[1], &w->waiting[0], (size_t)w->waiting_count * sizeof w->waiting[0]);
    w->waiting[0] = i;
    w->waiting_count++;
}

static void end_block(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    if (t->is_branch) {
        t->job.exits_mask |= UINT64_C(1) << t->block;
        t->block++;
        t->is_branch = false;
        if (t->block == t->task->blocks || t->is_stopping) {
            t->work = GIVE;
            return;
        }
    } else {
        t->is_branch = true;
    }
    pass_boundary(w, i);
}

static void give_lane(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    judge_stage(w, t, t->task->net);
    grant(w, take_waiter(w));
    t->work = t->is_aborted ? END : POST;
    t->is_timed = false;
    set_priority(w, i, t->task->priority);
}

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
            t->stage_since_ns = w->now_ns;
            t->used_ns = t->rest_ns;
            t->is_timed = true;
            return t->rest_ns == 0;
        }
        judge_stage(w, t, t->work == PRE ? task->pre : task->post);
        t->work = t->work == PRE && task->blocks > 0 && !t->is_aborted ? TAKE : END;
        t->is_timed = false;
        return true;
    case TAKE:
        t->block = 0;
        t->is_branch = false;
        t->wait_since_ns = w->now_ns;
        t->stage_since_ns = w->now_ns;
        t->used_ns = 0;
        t->work = BLOCK;
        if (w->holder < 0) {
            w->holder = i;
            t->is_timed = false;
            return true;
        }
        t->state = WAITS;
        w->waiting[w->waiting_count++] = i;
        if (top_waiting(w) > w->threads[w->holder].priority) {
            set_priority(w, w->holder, top_waiting(w));
        }
        return false;
    case BLOCK:
        if (t->wait_since_ns >= 0) { /* the lane has come */
            t->job.lane_wait_ns += w->now_ns - t->wait_since_ns;
            t->wait_since_ns = -1;
            t->is_timed = false;
        }
        if (!t->is_timed) {
            t->rest_ns = t->is_branch ? task->branch_ns[t->block] : task->conv_ns[t->block];
            t->used_ns += t->rest_ns;
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
        return runs_on(w, task->cpu) == i;
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

/* The most that a job may use, INT64_MAX = anything. */
static int64_t most_of_job(const struct ref_task *task, int32_t watchdog)
{
    const bool has_pre = task->pre_ns > 0, has_net = task->blocks > 0, has_post = task->post_ns > 0;
    if ((has_pre && task->pre.budget_ns < 0) || (has_net && task->net.budget_ns < 0) ||
        (has_post && task->post.budget_ns < 0)) {
        return INT64_MAX;
    }
    return watchdog * ((has_pre ? task->pre.budget_ns : 0) + (has_net ? task->net.budget_ns : 0) +
                       (has_post ? task->post.budget_ns : 0));
}

static int32_t look(struct world *w, int32_t watchdog)
{
    int32_t demoted = 0;
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        const int64_t job = t->state != SLEEPS && t->job.start_ns >= 0 ? t->job.job_idx : -1;
        if (job != t->found_job) {
            t->found_job = job;
            t->found_ns = t->total_ns;
        } else if (job >= 0 && !t->is_demoted && t->total_ns - t->found_ns > most_of_job(t->task, watchdog)) {
            set_priority(w, i, 0);
            t->is_demoted = true;
            demoted++;
            (void)runs_on(w, t->task->cpu);
        }
    }
    return demoted;
}

int32_t ref_simulate(const struct ref_task *tasks, int32_t task_count, int32_t watchdog, int64_t end_ns,
                     struct ref_job *out, int32_t max, int32_t *out_demoted)
{
    struct world w = {.tasks = tasks, .count = task_count, .end_ns = end_ns, .holder = -1, .out = out, .out_max = max};
    for (int32_t i = 0; i < task_count; i++) {
        w.threads[i] =
            (struct thread){.task = &tasks[i], .priority = tasks[i].priority, .wait_since_ns = -1, .found_job = -1};
    }
    int64_t next_look_ns = watchdog > 0 ? LOOK_NS : INT64_MAX;
    *out_demoted = 0;
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
            if (w.threads[i].state == SLEEPS && tasks[i].after == REF_FIRST && at_ns <= end_ns && at_ns < release_ns) {
                release_ns = at_ns;
                released = i;
            }
        }
        if (next_ns == INT64_MAX && released < 0) {
            return w.out_count;
        }
        const int64_t event_ns = next_ns <= release_ns ? next_ns : release_ns;
        const int64_t until_ns = next_look_ns < event_ns ? next_look_ns : event_ns;
        for (int32_t cpu = 0; cpu <= highest_cpu(&w); cpu++) {
            const int32_t i = runs_on(&w, cpu);
            if (i >= 0) {
                w.threads[i].rest_ns -= until_ns - w.now_ns;
                w.threads[i].total_ns += until_ns - w.now_ns;
            }
        }
        w.now_ns = until_ns;
        if (next_look_ns < event_ns) {
            next_look_ns += LOOK_NS;
            *out_demoted += look(&w, watchdog);
        } else if (next_ns <= release_ns) {
            settle(&w);
        } else {
            wake(&w, released, w.threads[released].next_release++);
        }
    }
}
