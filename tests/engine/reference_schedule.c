/* See reference_schedule.h. A thread's place in its CPU's queue is a number: the smaller, the earlier among equals. */
#include "tests/engine/reference_world.h"

#include <string.h>

#define LOOK_NS INT64_C(10000000)

static int64_t release_time(const struct ref_task *t, int64_t k)
{
    if (t->is_external && k >= t->asked_count) {
        return INT64_MAX;
    }
    if (t->is_external) {
        int64_t at_ns = t->asked_ns[0];
        for (int64_t i = 1; i <= k; i++) {
            const int64_t earliest_ns = at_ns + t->period_ns;
            at_ns = t->asked_ns[i] > earliest_ns ? t->asked_ns[i] : earliest_ns;
        }
        return at_ns;
    }
    return t->offset_ns + k * t->period_ns;
}

int64_t ref_nominal(const struct ref_system *system, int32_t i, int64_t k)
{
    while (system->tasks[i].after != REF_FIRST) {
        i = system->tasks[i].after;
    }
    return release_time(&system->tasks[i], k);
}

/* A job is over: the world and its successors hear of it. */
static void report(struct world *w, struct ref_job job)
{
    if (w->out_count < w->out_max) {
        w->out[w->out_count++] = job;
    }
    for (int32_t s = 0; s < w->task_count; s++) {
        struct jobs *t = &w->jobs[s];
        if (w->system->tasks[s].after == job.task_idx && t->news_count < REF_INBOX_MAX) {
            t->inbox[t->news_count++] = (struct news){.job = job.job_idx, .is_completed = job.outcome == REF_COMPLETED};
        }
    }
}

static void report_unrun(struct world *w, int32_t i, int64_t k, enum ref_outcome outcome)
{
    report(w, (struct ref_job){.task_idx = i, .job_idx = k, .outcome = outcome});
}

void ref_set_priority(struct world *w, int32_t i, int32_t priority)
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

/* ---- a job's program ---- */

/* A release that finds as many jobs in flight as may be. */
static void account_late(struct world *w, int32_t i, int64_t k)
{
    struct jobs *t = &w->jobs[i];
    const struct ref_task *task = &w->system->tasks[i];
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

static struct news take_news(struct jobs *t)
{
    const struct news first = t->inbox[0];
    memmove(t->inbox, t->inbox + 1, (size_t)--t->news_count * sizeof t->inbox[0]);
    return first;
}

static void account_passed(struct world *w, int32_t i)
{
    struct jobs *t = &w->jobs[i];
    const struct ref_task *task = &w->system->tasks[i];
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

/* The first thread of the task that has no job, -1 = all have one. */
static int32_t idle_thread(const struct world *w, int32_t task)
{
    for (int32_t i = w->jobs[task].first; i < w->jobs[task].first + w->jobs[task].count; i++) {
        if (w->threads[i].state == SLEEPS) {
            return i;
        }
    }
    return -1;
}

/* ---- the order of a task's jobs ---- */

static bool has_pre(const struct ref_task *task)
{
    return task->pre_ns > 0 || task->blocks == 0;
}

static bool has_post(const struct ref_task *task)
{
    return task->blocks > 0 && task->post_ns > 0;
}

/* Number of the stage, or of stages for END. */
static int32_t number_of(const struct ref_task *task, enum work work)
{
    const int32_t pre = has_pre(task), net = task->blocks > 0;
    return work == PRE ? 0 : work == POST ? pre + net : work == END ? pre + net + has_post(task) : pre;
}

static bool may_begin(const struct world *w, int32_t i, enum work work)
{
    const struct thread *t = &w->threads[i];
    const struct jobs *jobs = &w->jobs[t->task_idx];
    bool may = true;
    for (int32_t k = jobs->first; k < jobs->first + jobs->count; k++) {
        const struct thread *other = &w->threads[k];
        const bool is_earlier = other->state != SLEEPS && other->order < t->order;
        may = may && !(is_earlier && (work == END || other->stages_over <= number_of(t->task, work)));
    }
    return may;
}

static void make_ready(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    if (t->task->is_deadline) {
        ref_deadline_wake(w, i);
        return;
    }
    t->state = READY;
    t->was_running = false;
    t->place = ++w->tail;
    (void)ref_runs_on(w, t->task->cpu);
}

/* A job of the task has ended a stage, or itself: whoever lined up behind it goes on. */
static void move_up(struct world *w, int32_t task)
{
    for (int32_t i = w->jobs[task].first; i < w->jobs[task].first + w->jobs[task].count; i++) {
        if (w->threads[i].state == LINES_UP && may_begin(w, i, w->threads[i].work)) {
            make_ready(w, i);
        }
    }
}

/* True: it may go on with this work now; else it waits. */
static bool line_up(struct world *w, int32_t i, enum work work)
{
    struct thread *t = &w->threads[i];
    if (may_begin(w, i, work)) {
        return true;
    }
    t->work = work;
    t->state = LINES_UP;
    (void)ref_runs_on(w, t->task->cpu);
    return false;
}

static void begin_job(struct world *w, int32_t i, int64_t k)
{
    struct thread *t = &w->threads[i];
    t->job = (struct ref_job){.task_idx = t->task_idx, .job_idx = k, .start_ns = -1};
    t->release_ns = ref_nominal(w->system, t->task_idx, k);
    t->job.part_ns[REF_DELAYED] = w->now_ns - t->release_ns;
    t->order = w->jobs[t->task_idx].started++;
    t->stages_over = 0;
    t->ends_stage = t->is_network_over = false;
    t->work = PRE;
    t->rest_ns = 0;
    t->is_timed = false;
    t->is_stopping = t->is_aborted = false;
}

static void wake(struct world *w, int32_t i, int64_t k)
{
    begin_job(w, i, k);
    if (may_begin(w, i, PRE)) {
        make_ready(w, i);
    } else {
        w->threads[i].state = LINES_UP;
    }
}

/* Tasks behind this one that have a thread asleep look at what they have heard, in the order of the file, each followed
 * by those behind it, until all their threads have a job. */
static void release_successors(struct world *w, int32_t task)
{
    for (int32_t s = 0; s < w->task_count; s++) {
        if (w->system->tasks[s].after != task) {
            continue;
        }
        while (idle_thread(w, s) >= 0 && w->jobs[s].news_count > 0) {
            const struct news news = take_news(&w->jobs[s]);
            if (news.is_completed) {
                wake(w, idle_thread(w, s), news.job);
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
    struct jobs *jobs = &w->jobs[t->task_idx];
    const bool were_all_busy = idle_thread(w, t->task_idx) < 0;
    t->job.finish_ns = w->now_ns;
    t->job.outcome = t->is_aborted ? REF_ABORTED : REF_COMPLETED;
    report(w, t->job);
    t->order = INT64_MAX; /* no job is behind it any more */
    move_up(w, t->task_idx);
    if (were_all_busy) {
        account_passed(w, t->task_idx);
    }
    if (jobs->queued > 0) {
        const int64_t k = jobs->queue[0];
        memmove(jobs->queue, jobs->queue + 1, (size_t)(jobs->queued - 1) * sizeof jobs->queue[0]);
        jobs->queued--;
        begin_job(w, i, k);
        (void)line_up(w, i, PRE);
    } else {
        t->state = SLEEPS;
        if (t->task->is_deadline) {
            ref_deadline_leave(w, i);
        } else {
            (void)ref_runs_on(w, t->task->cpu);
        }
    }
    release_successors(w, t->task_idx);
}

int64_t ref_left_of(const struct world *w, const struct thread *t, struct ref_limit limit)
{
    const int64_t elapsed_ns = w->now_ns - t->stage_since_ns;
    const int64_t budget_ns = limit.budget_ns < 0 ? INT64_MAX : limit.budget_ns - t->used_ns;
    const int64_t timeout_ns = limit.timeout_ns < 0 ? INT64_MAX : limit.timeout_ns - elapsed_ns;
    return budget_ns < timeout_ns ? budget_ns : timeout_ns;
}

void ref_judge_stage(struct world *w, struct thread *t, struct ref_limit limit)
{
    if (ref_left_of(w, t, limit) < 0) {
        t->job.is_overrun = true;
        t->is_aborted = t->is_aborted || t->task->on_overrun == REF_OVERRUN_ABORT;
    }
}

/* Begin the work that is due, or end it when its time is over. Returns false when the thread has something to compute
 * or has left its CPU. */
static bool step(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    const struct ref_task *task = t->task;
    if (t->ends_stage) {
        t->ends_stage = false;
        t->stages_over++;
        move_up(w, t->task_idx);
    }
    switch (t->work) {
    case PRE:
    case POST:
        if (!t->is_timed) {
            if (t->work == POST && has_post(task) && !line_up(w, i, POST)) {
                return false;
            }
            if (t->work == PRE) {
                t->job.start_ns = w->now_ns;
                t->claim = t->is_demoted ? 0 : task->priority;
                w->jobs[t->task_idx].begun_ns = t->release_ns;
            }
            t->rest_ns = t->work == PRE ? task->pre_ns : task->post_ns;
            t->stage_since_ns = w->now_ns;
            t->used_ns = t->rest_ns;
            t->is_timed = true;
            return t->rest_ns == 0;
        }
        ref_judge_stage(w, t, t->work == PRE ? task->pre : task->post);
        t->ends_stage = t->work == PRE && has_pre(task) && task->blocks > 0;
        t->work = t->work == PRE && task->blocks > 0 && !t->is_aborted ? TAKE : END;
        t->is_timed = false;
        return true;
    case TAKE:
        if (has_pre(task) && !line_up(w, i, TAKE)) {
            return false;
        }
        t->block = 0;
        t->begins = true;
        t->unoffered_ns = 0;
        t->is_branch = false;
        t->piece = 0;
        t->wait_since_ns = w->now_ns;
        t->stage_since_ns = w->now_ns;
        t->used_ns = 0;
        t->work = BLOCK;
        t->is_timed = false;
        return ref_take_lane(w, i);
    case BLOCK:
        if (t->wait_since_ns >= 0) { /* the lane has come */
            t->job.lane_wait_ns += w->now_ns - t->wait_since_ns;
            t->wait_since_ns = -1;
            t->is_timed = false;
        }
        if (t->begins && ref_has_queue(task)) {
            t->begins = false;
            if (!ref_drain(w, i)) {
                t->rest_ns = 0;
                t->state = AWAY;
                (void)ref_runs_on(w, task->cpu);
                return false;
            }
        }
        if (!t->is_timed) {
            t->rest_ns = ref_has_queue(task) ? ref_launch(w, i) - w->now_ns : ref_block_ns(t);
            t->used_ns += t->rest_ns;
            t->is_timed = true;
            if (task->is_on_device && t->rest_ns > 0) {
                t->back_ns = w->now_ns + t->rest_ns;
                t->rest_ns = 0;
                t->state = AWAY;
                (void)ref_runs_on(w, task->cpu);
                return false;
            }
            return t->rest_ns == 0;
        }
        t->is_timed = false;
        ref_end_block(w, i);
        return t->state == READY;
    case GIVE:
        ref_give_lane(w, i);
        t->is_network_over = true;
        t->ends_stage = has_post(task);
        return ref_runs_on(w, task->cpu) == i;
    case END:
        if (!line_up(w, i, END)) {
            return false;
        }
        end_job(w, i);
        return task->is_deadline ? t->on_cpu >= 0 : ref_runs_on(w, task->cpu) == i;
    }
    return false;
}

/* The thread that a CPU runs; the one that ran before stays ahead of its equals, since it queues at their head. */
int32_t ref_runs_on(struct world *w, int32_t cpu)
{
    const int32_t above = ref_deadline_on(w, cpu);
    int32_t best = -1;
    for (int32_t i = 0; i < w->count; i++) {
        const struct thread *t = &w->threads[i];
        if (t->task->is_deadline || t->task->cpu != cpu || t->state != READY || above >= 0) {
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
        if (!t->task->is_deadline && t->task->cpu == cpu) {
            if (t->was_running && i != best && t->state == READY) {
                t->place = --w->head; /* preempted */
            }
            t->was_running = i == best;
        }
    }
    return above >= 0 ? above : best;
}

/* Everything that takes no time at this instant, lowest CPU first, until nothing is left. */
static void settle(struct world *w)
{
    for (bool is_moving = true; is_moving;) {
        is_moving = false;
        for (int32_t cpu = 0; cpu < REF_CPUS && !is_moving; cpu++) {
            const int32_t i = ref_runs_on(w, cpu);
            if (i >= 0 && w->threads[i].rest_ns == 0) {
                while (step(w, i)) {
                }
                is_moving = true;
            }
        }
    }
}

/* On its CPU; what others lend it is not its own. */
static int32_t own_priority(const struct thread *t)
{
    return t->is_demoted ? 0 : t->task->priority;
}

/* Nothing changes until then: say of each job what it did or lacked meanwhile. */
static void count_parts(struct world *w, int64_t until_ns)
{
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        const int32_t runs = t->task->is_deadline ? (t->on_cpu >= 0 ? i : -1) : ref_runs_on(w, t->task->cpu);
        enum ref_part part = REF_RAN;
        if (t->state == SLEEPS) {
            continue;
        }
        if (t->state == LINES_UP) {
            part = REF_DELAYED;
        } else if (t->state == AWAY) {
            const int64_t behind_ns = t->behind_ns < until_ns ? t->behind_ns - w->now_ns : until_ns - w->now_ns;
            t->job.part_ns[t->behind_part] += behind_ns > 0 ? behind_ns : 0;
            t->job.part_ns[REF_RAN] += until_ns - w->now_ns - (behind_ns > 0 ? behind_ns : 0);
            continue;
        } else if (t->task->is_deadline) {
            part = t->state == THROTTLED ? REF_THROTTLED : runs == i ? REF_RAN : REF_INTERFERED;
        } else if (t->state == WAITS) {
            const struct thread *holder = &w->threads[w->lanes[t->lane].holder];
            part = holder->claim < t->claim ? REF_BLOCKED : REF_QUEUED;
        } else if (runs != i) {
            part = own_priority(&w->threads[runs]) < own_priority(t) ? REF_BLOCKED : REF_INTERFERED;
        }
        t->job.part_ns[part] += until_ns - w->now_ns;
    }
}

/* Of a chain that of its first task. */
static int64_t period_of(const struct ref_system *system, int32_t i)
{
    while (system->tasks[i].after != REF_FIRST) {
        i = system->tasks[i].after;
    }
    return system->tasks[i].period_ns;
}

void ref_assign_priorities(struct ref_system *system)
{
    for (int32_t i = 0; i < system->task_count && system->policy != REF_FIXED; i++) {
        int32_t before = 0;
        for (int32_t j = 0; j < system->task_count; j++) {
            const struct ref_task *a = &system->tasks[j], *b = &system->tasks[i];
            const bool is_rate = system->policy == REF_RATE;
            const int64_t x = is_rate ? period_of(system, j) : a->deadline_ns;
            const int64_t y = is_rate ? period_of(system, i) : b->deadline_ns;
            before += x < y || (x == y && j < i);
        }
        system->tasks[i].priority = 80 - before;
    }
    for (int32_t i = 0; i < system->task_count; i++) {
        system->tasks[i].priority = system->tasks[i].is_deadline ? 100 : system->tasks[i].priority;
    }
}

/* The most that a job may use, INT64_MAX = anything. */
static int64_t most_of_job(const struct ref_task *task, int32_t watchdog)
{
    const bool pre = task->pre_ns > 0, net = task->blocks > 0, post = task->post_ns > 0;
    if ((pre && task->pre.budget_ns < 0) || (net && task->net.budget_ns < 0) || (post && task->post.budget_ns < 0)) {
        return INT64_MAX;
    }
    return watchdog *
           ((pre ? task->pre.budget_ns : 0) + (net ? task->net.budget_ns : 0) + (post ? task->post.budget_ns : 0));
}

static int32_t look(struct world *w, int32_t watchdog)
{
    int32_t demoted = 0;
    for (int32_t i = 0; i < w->count; i++) {
        struct thread *t = &w->threads[i];
        if (t->task->is_deadline) {
            continue;
        }
        const int64_t job = t->state != SLEEPS && t->job.start_ns >= 0 ? t->job.job_idx : -1;
        if (job != t->found_job) {
            t->found_job = job;
            t->found_ns = t->total_ns;
        } else if (job >= 0 && !t->is_demoted && t->total_ns - t->found_ns > most_of_job(t->task, watchdog)) {
            for (int32_t k = w->jobs[t->task_idx].first, n = 0; n < w->jobs[t->task_idx].count; n++, k++) {
                ref_set_priority(w, k, 0);
                w->threads[k].is_demoted = true;
                (void)ref_runs_on(w, t->task->cpu);
            }
            demoted++;
        }
    }
    return demoted;
}

/* The thread whose block on a device ends first; of several that on the lowest lane. -1 = no device computes. */
static int32_t first_back(const struct world *w)
{
    int32_t first = -1;
    for (int32_t i = 0; i < w->count; i++) {
        const struct thread *t = &w->threads[i];
        const struct thread *best = first >= 0 ? &w->threads[first] : NULL;
        if (t->state == AWAY &&
            (best == NULL || t->back_ns < best->back_ns || (t->back_ns == best->back_ns && t->lane < best->lane))) {
            first = i;
        }
    }
    return first;
}

int32_t ref_simulate(const struct ref_system *system, struct ref_job *out, int32_t max, int32_t *out_demoted)
{
    const struct ref_task *const tasks = system->tasks;
    const int32_t task_count = system->task_count, watchdog = system->watchdog;
    const int64_t end_ns = system->end_ns;
    struct world w = {.system = system, .task_count = task_count, .end_ns = end_ns, .out = out, .out_max = max};
    for (int32_t i = 0; i < REF_LANES_MAX + REF_DEVICES_MAX; i++) {
        w.lanes[i].holder = -1;
    }
    for (int32_t i = 0; i < task_count; i++) {
        w.jobs[i] = (struct jobs){.first = w.count, .count = tasks[i].overlap, .begun_ns = INT64_MIN};
        for (int32_t k = 0; k < tasks[i].overlap; k++) {
            w.threads[w.count++] = (struct thread){.task = &tasks[i],
                                                   .task_idx = i,
                                                   .priority = tasks[i].priority,
                                                   .wait_since_ns = -1,
                                                   .on_cpu = -1,
                                                   .had_cpu = 0,
                                                   .found_job = -1};
        }
    }
    int64_t next_look_ns = watchdog > 0 ? LOOK_NS : INT64_MAX;
    *out_demoted = 0;
    for (;;) {
        int64_t next_ns = INT64_MAX;
        for (int32_t cpu = 0; cpu < REF_CPUS; cpu++) {
            const int32_t i = ref_runs_on(&w, cpu);
            if (i >= 0 && w.now_ns + w.threads[i].rest_ns < next_ns) {
                next_ns = w.now_ns + w.threads[i].rest_ns;
            }
        }
        int64_t release_ns = INT64_MAX;
        int32_t released = -1;
        for (int32_t i = 0; i < task_count; i++) {
            const int64_t at_ns = release_time(&tasks[i], w.jobs[i].next_release);
            if (idle_thread(&w, i) >= 0 && tasks[i].after == REF_FIRST && at_ns <= end_ns && at_ns < release_ns) {
                release_ns = at_ns;
                released = i;
            }
        }
        const int64_t server_ns = ref_deadline_event_ns(&w);
        const int32_t back = first_back(&w);
        const int64_t back_ns = back >= 0 ? w.threads[back].back_ns : INT64_MAX;
        if (next_ns == INT64_MAX && released < 0 && server_ns == INT64_MAX && back < 0) {
            return w.out_count;
        }
        const int64_t sooner_ns = next_ns <= back_ns ? next_ns : back_ns;
        const int64_t own_ns = sooner_ns <= release_ns ? sooner_ns : release_ns;
        const int64_t event_ns = server_ns < own_ns ? server_ns : own_ns;
        const int64_t until_ns = next_look_ns < event_ns ? next_look_ns : event_ns;
        count_parts(&w, until_ns);
        for (int32_t cpu = 0; cpu < REF_CPUS; cpu++) {
            const int32_t i = ref_runs_on(&w, cpu);
            if (i >= 0) {
                w.threads[i].rest_ns -= until_ns - w.now_ns;
                w.threads[i].total_ns += until_ns - w.now_ns;
                w.threads[i].server_rest_ns -= w.threads[i].task->is_deadline ? until_ns - w.now_ns : 0;
            }
        }
        w.now_ns = until_ns;
        if (next_look_ns < event_ns) {
            next_look_ns += LOOK_NS;
            *out_demoted += look(&w, watchdog);
        } else if (back_ns < next_ns && back_ns <= server_ns && back_ns <= release_ns) {
            make_ready(&w, back);
        } else if (server_ns < next_ns && server_ns <= release_ns) {
            ref_deadline_event(&w);
        } else if (next_ns <= release_ns) {
            settle(&w);
        } else {
            wake(&w, idle_thread(&w, released), w.jobs[released].next_release++);
        }
    }
}
