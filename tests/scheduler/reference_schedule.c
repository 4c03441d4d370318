/* See reference_schedule.h. State of all tasks, advanced from event to event. */
#include "tests/scheduler/reference_schedule.h"

#include "rt/random.h"

#include <string.h>

#define QUEUE_MAX 512
#define LANES 8
#define NEVER INT64_MAX

struct release {
    int64_t origin_ns, ready_ns; /* nominal arrival of the first of the chain; ready to run */
    int64_t late_ns;             /* jitter of the first of the chain */
};

struct runner {
    const struct ei_rta_task *task;
    struct release queue[QUEUE_MAX];
    int32_t head, waiting;
    int64_t next_nominal_ns, last_ready_ns;
    bool is_first, is_active, is_early;
    bool is_on; /* on a CPU */
    struct release job;
    int32_t segment;
    int64_t left_ns, block_left_ns; /* of the segment, of the block in progress */
    int64_t drawn_ns;               /* of the segment when it began */
    bool is_in_block;               /* has run some of the block */
    int64_t lane_stamp, cpu_stamp;  /* order of asking */
    int32_t holds, waits;           /* lane, or -1 */
    bool needs_turn, is_block_over; /* of a driven segment: its CPU is to launch a block, or to see that one is over */
};

struct play {
    struct runner runners[REFERENCE_TASKS_MAX];
    int32_t order[REFERENCE_TASKS_MAX]; /* in which simultaneous things happen */
    int32_t count;
    const struct reference_pattern *pattern;
    struct reference_result *result;
    struct ei_random rng;
    int64_t now_ns, stamp;
    int32_t holder[LANES]; /* task or -1 */
};

static const struct ei_rta_segment *segment_of(const struct runner *r)
{
    return &r->task->segments[r->segment];
}

/* On a CPU it is only there to launch a block and to see it done, for no time. */
static bool is_driven(const struct runner *r)
{
    return segment_of(r)->is_driven;
}

/* Larger = more urgent. */
static int32_t own_urgency(const struct runner *r)
{
    return r->task->priority;
}

/* Absolute deadline of its job. */
static int64_t due_ns(const struct runner *r)
{
    const struct ei_rta_task *task = r->task;
    const int64_t late_ns = r->job.late_ns < task->deadline_jitter_ns ? r->job.late_ns : task->deadline_jitter_ns;
    return task->deadline_ns == INT64_MAX ? INT64_MAX : r->job.origin_ns + late_ns + task->deadline_ns;
}

/* Whether a lane serves a before b. */
static bool is_served_before(const struct play *p, const struct runner *a, const struct runner *b)
{
    return p->pattern->has_lanes_by_deadline ? due_ns(a) < due_ns(b) : own_urgency(a) > own_urgency(b);
}

static int32_t top_waiter(const struct play *p, int32_t lane)
{
    int32_t best = -1;
    for (int32_t i = 0; i < p->count; i++) {
        const struct runner *r = &p->runners[i];
        if (r->waits != lane) {
            continue;
        }
        const struct runner *b = best < 0 ? NULL : &p->runners[best];
        if (b == NULL || is_served_before(p, r, b) || (!is_served_before(p, b, r) && r->lane_stamp < b->lane_stamp)) {
            best = i;
        }
    }
    return best;
}

/* Of its own, or of the most urgent who waits for its lane. */
static int32_t urgency(const struct play *p, int32_t i)
{
    int32_t value = own_urgency(&p->runners[i]);
    for (int32_t k = 0; p->runners[i].holds >= 0 && k < p->count; k++) {
        const struct runner *r = &p->runners[k];
        if (r->waits == p->runners[i].holds && own_urgency(r) > value) {
            value = own_urgency(r);
        }
    }
    return value;
}

static void enqueue(struct play *p, struct runner *r, int64_t origin_ns, int64_t ready_ns, int64_t late_ns)
{
    if (r->waiting == QUEUE_MAX) {
        return; /* overload: later jobs do not matter any more */
    }
    ready_ns = ready_ns > r->last_ready_ns ? ready_ns : r->last_ready_ns;
    r->last_ready_ns = ready_ns;
    r->queue[(r->head + r->waiting) % QUEUE_MAX] = (struct release){origin_ns, ready_ns, late_ns};
    r->waiting++;
    p->result->jobs++;
}

static int64_t draw_below(struct play *p, int64_t n)
{
    return (int64_t)ei_random_below(&p->rng, (uint64_t)(n < 1 ? 1 : n));
}

static bool draw_pct(struct play *p, int32_t pct)
{
    return draw_below(p, 100) < pct;
}

static int64_t draw_jitter(struct play *p, const struct runner *r, bool is_first)
{
    switch (p->pattern->jitter) {
    case REFERENCE_JITTER_FIRST:
        return is_first ? r->task->jitter_ns : 0;
    case REFERENCE_JITTER_RANDOM:
        return draw_below(p, r->task->jitter_ns + 1);
    case REFERENCE_JITTER_NONE:
        break;
    }
    return 0;
}

/* Put all arrivals whose nominal time has come into the queue; jitter may make them ready later. */
static void arrive(struct play *p, struct runner *r)
{
    if (r->task->after >= 0) {
        return;
    }
    while (r->next_nominal_ns <= p->now_ns && r->next_nominal_ns < p->pattern->horizon_ns) {
        const int64_t late_ns = draw_jitter(p, r, r->is_first);
        enqueue(p, r, r->next_nominal_ns, r->next_nominal_ns + late_ns, late_ns);
        r->is_first = false;
        r->next_nominal_ns += r->task->period_ns;
        if (draw_pct(p, p->pattern->gap_pct)) {
            r->next_nominal_ns += draw_below(p, r->task->period_ns);
        }
    }
}

static void finish_job(struct play *p, int32_t i)
{
    struct runner *r = &p->runners[i];
    const int64_t response_ns = p->now_ns - r->job.origin_ns, own_ns = p->now_ns - r->job.ready_ns;
    int64_t *worst_ns = &p->result->response_ns[i];
    *worst_ns = response_ns > *worst_ns ? response_ns : *worst_ns;
    worst_ns = &p->result->own_response_ns[i];
    *worst_ns = own_ns > *worst_ns ? own_ns : *worst_ns;
    if (r->is_early) {
        worst_ns = &p->result->early_ns[i];
        *worst_ns = response_ns > *worst_ns ? response_ns : *worst_ns;
    }
    r->is_active = false;
    for (int32_t k = 0; k < p->count; k++) {
        if (p->runners[k].task->after == i) {
            const int64_t jitter_ns = draw_jitter(p, &p->runners[k], p->runners[k].is_first);
            p->runners[k].is_first = false;
            enqueue(p, &p->runners[k], r->job.origin_ns, p->now_ns + jitter_ns, r->job.late_ns);
        }
    }
}

static int64_t draw_work(struct play *p, const struct runner *r, const struct ei_rta_segment *segment)
{
    if (r->is_early) {
        return segment->mandatory_ns;
    }
    if (draw_pct(p, p->pattern->short_pct)) {
        return segment->bcet_ns + draw_below(p, segment->wcet_ns - segment->bcet_ns + 1);
    }
    return segment->wcet_ns;
}

static void open_block(struct runner *r)
{
    const int64_t block_ns = segment_of(r)->max_nonpreemptive_ns;
    r->block_left_ns = block_ns > 0 && block_ns < r->left_ns ? block_ns : r->left_ns;
    r->is_in_block = false;
    r->needs_turn = is_driven(r);
}

static void grant(struct play *p, int32_t lane, int32_t i)
{
    p->holder[lane] = i;
    if (i >= 0) {
        p->runners[i].holds = lane;
        p->runners[i].waits = -1;
        p->runners[i].cpu_stamp = p->stamp++;
    }
}

/* Go to the next segment that has work; give the lane back when that one does not need it. */
static void enter_segment(struct play *p, int32_t i, int32_t segment)
{
    struct runner *r = &p->runners[i];
    const int32_t cpu = r->segment < r->task->segment_count ? segment_of(r)->cpu : -1;
    for (r->segment = segment; r->segment < r->task->segment_count; r->segment++) {
        r->left_ns = draw_work(p, r, segment_of(r));
        r->drawn_ns = r->left_ns;
        if (r->left_ns > 0) {
            break;
        }
    }
    const bool is_done = r->segment == r->task->segment_count;
    const int32_t lane = is_done ? -1 : segment_of(r)->lane;
    if (r->holds >= 0 && r->holds != lane) {
        const int32_t left = r->holds;
        r->holds = -1;
        grant(p, left, top_waiter(p, left));
    }
    if (is_done) {
        finish_job(p, i);
        return;
    }
    open_block(r);
    r->is_on = r->is_on && segment_of(r)->cpu == cpu;
    r->cpu_stamp = p->stamp++;
    if (lane >= 0 && r->holds != lane) {
        r->lane_stamp = p->stamp++;
        r->waits = lane;
        if (p->holder[lane] < 0) {
            grant(p, lane, i);
        }
    }
}

static bool start_jobs(struct play *p)
{
    bool has_started = false;
    for (int32_t o = 0; o < p->count; o++) {
        struct runner *r = &p->runners[p->order[o]];
        arrive(p, r);
        if (!r->is_active && r->waiting > 0 && r->queue[r->head].ready_ns <= p->now_ns) {
            r->job = r->queue[r->head];
            r->head = (r->head + 1) % QUEUE_MAX;
            r->waiting--;
            r->is_active = true;
            r->is_early = draw_pct(p, p->pattern->early_pct);
            enter_segment(p, p->order[o], 0);
            has_started = true;
        }
    }
    return has_started;
}

static bool is_ready_on(const struct runner *r, int32_t cpu)
{
    return r->is_active && r->waits < 0 && segment_of(r)->cpu == cpu && (r->needs_turn || !is_driven(r));
}

static bool is_preemption_off(const struct runner *r)
{
    return r->is_on && r->is_in_block && segment_of(r)->lane < 0 && segment_of(r)->max_nonpreemptive_ns > 0;
}

/* Who of the two runs first: a thread that cannot be preempted, then by urgency, then who runs already, then who came
 * first. */
static bool goes_before(const struct play *p, int32_t a, int32_t b)
{
    const struct runner *ra = &p->runners[a], *rb = &p->runners[b];
    if (is_preemption_off(ra) != is_preemption_off(rb)) {
        return is_preemption_off(ra);
    }
    if (urgency(p, a) != urgency(p, b)) {
        return urgency(p, a) > urgency(p, b);
    }
    return ra->is_on != rb->is_on ? ra->is_on : ra->cpu_stamp < rb->cpu_stamp;
}

static void leave_cpus(struct play *p)
{
    for (int32_t i = 0; i < p->count; i++) {
        p->runners[i].is_on = p->runners[i].is_on && p->runners[i].is_active && p->runners[i].waits < 0;
    }
}

/* Put the first threads of the CPU's queue on it, as many as it is wide. */
static void dispatch(struct play *p, int32_t cpu)
{
    const int32_t width = p->pattern->cpu_width[cpu] > 0 ? p->pattern->cpu_width[cpu] : 1;
    bool is_chosen[REFERENCE_TASKS_MAX] = {false};
    for (int32_t slot = 0; slot < width; slot++) {
        int32_t best = -1;
        for (int32_t i = 0; i < p->count; i++) {
            if (!is_chosen[i] && is_ready_on(&p->runners[i], cpu) && (best < 0 || goes_before(p, i, best))) {
                best = i;
            }
        }
        if (best >= 0) {
            is_chosen[best] = true;
        }
    }
    for (int32_t i = 0; i < p->count; i++) {
        if (is_ready_on(&p->runners[i], cpu)) {
            p->runners[i].is_on = is_chosen[i];
        }
    }
}

static bool is_running(const struct play *p, int32_t i)
{
    const struct runner *r = &p->runners[i];
    return r->is_active && r->waits < 0 && (is_driven(r) ? !r->needs_turn : segment_of(r)->cpu < 0 || r->is_on);
}

static int64_t next_event(const struct play *p)
{
    int64_t next_ns = NEVER;
    for (int32_t i = 0; i < p->count; i++) {
        const struct runner *r = &p->runners[i];
        if (is_running(p, i) && p->now_ns + r->block_left_ns < next_ns) {
            next_ns = p->now_ns + r->block_left_ns;
        }
        if (r->task->after < 0 && r->next_nominal_ns < p->pattern->horizon_ns && r->next_nominal_ns < next_ns) {
            next_ns = r->next_nominal_ns;
        }
        if (!r->is_active && r->waiting > 0 && r->queue[r->head].ready_ns < next_ns) {
            next_ns = r->queue[r->head].ready_ns;
        }
    }
    return next_ns;
}

/* Behind its deadline a job with its mandatory part done leaves the lane. */
static void cut_at_deadline(const struct play *p, struct runner *r)
{
    const struct ei_rta_segment *segment = segment_of(r);
    const bool is_late = p->now_ns >= r->job.origin_ns + r->task->deadline_ns;
    if (r->task->is_cut_at_deadline && segment->lane >= 0 && is_late &&
        r->drawn_ns - r->left_ns >= segment->mandatory_ns) {
        r->left_ns = 0;
    }
}

/* A block or a segment of task i has ended. */
static void pass_boundary(struct play *p, int32_t i)
{
    struct runner *r = &p->runners[i];
    cut_at_deadline(p, r);
    if (r->left_ns == 0) {
        enter_segment(p, i, r->segment + 1);
        r->is_in_block = false;
    } else {
        open_block(r);
    }
    if (!r->is_active || r->holds < 0) {
        return;
    }
    const int32_t lane = r->holds, top = top_waiter(p, lane);
    if (top >= 0 && is_served_before(p, &p->runners[top], r)) {
        r->holds = -1;
        r->waits = lane; /* with its old stamp: before its equals */
        grant(p, lane, top);
    }
}

/* A block of task i has come to its end; of a driven one its thread is to see it. */
static void end_block(struct play *p, int32_t i)
{
    struct runner *r = &p->runners[i];
    if (is_driven(r)) {
        r->needs_turn = r->is_block_over = true;
        r->cpu_stamp = p->stamp++;
    } else {
        pass_boundary(p, i);
    }
}

/* Threads of driven segments that are on a CPU do there what they came for. False: there was none. */
static bool take_turns(struct play *p)
{
    bool is_any = false;
    for (int32_t o = 0; o < p->count; o++) {
        struct runner *r = &p->runners[p->order[o]];
        if (!r->is_active || !is_driven(r) || !r->is_on || !r->needs_turn || r->waits >= 0) {
            continue;
        }
        is_any = true;
        r->needs_turn = false;
        if (r->is_block_over) {
            r->is_block_over = false;
            pass_boundary(p, p->order[o]);
        } else {
            r->is_on = false; /* launched: its thread sleeps */
        }
    }
    return is_any;
}

static void run_until(struct play *p, int64_t until_ns)
{
    bool is_at_end[REFERENCE_TASKS_MAX] = {false};
    for (int32_t i = 0; i < p->count; i++) {
        struct runner *r = &p->runners[i];
        if (is_running(p, i) && until_ns > p->now_ns) {
            r->left_ns -= until_ns - p->now_ns;
            r->block_left_ns -= until_ns - p->now_ns;
            r->is_in_block = true;
            is_at_end[i] = r->block_left_ns == 0;
        }
    }
    p->now_ns = until_ns;
    for (int32_t o = 0; o < p->count; o++) {
        if (is_at_end[p->order[o]]) {
            end_block(p, p->order[o]);
        }
    }
}

static void prepare(struct play *p, const struct ei_rta_task *tasks)
{
    ei_random_init(&p->rng, p->pattern->seed, 0);
    for (int32_t i = 0; i < p->count; i++) {
        struct runner *r = &p->runners[i];
        *r = (struct runner){.task = &tasks[i], .is_first = true, .holds = -1, .waits = -1};
        r->last_ready_ns = INT64_MIN;
        r->next_nominal_ns = p->pattern->first_ns[i];
        if (p->pattern->jitter == REFERENCE_JITTER_FIRST) {
            r->next_nominal_ns -= tasks[i].jitter_ns;
        }
        p->now_ns = i == 0 || r->next_nominal_ns < p->now_ns ? r->next_nominal_ns : p->now_ns;
        int32_t at = i;
        while (at > 0 && (tasks[p->order[at - 1]].priority > tasks[i].priority) == p->pattern->is_low_first) {
            p->order[at] = p->order[at - 1];
            at--;
        }
        p->order[at] = i;
    }
    for (int32_t l = 0; l < LANES; l++) {
        p->holder[l] = -1;
    }
}

static void count_unfinished(struct play *p)
{
    for (int32_t i = 0; i < p->count; i++) {
        const struct runner *r = &p->runners[i];
        if (r->is_active && p->now_ns - r->job.origin_ns > p->result->response_ns[i]) {
            p->result->response_ns[i] = p->now_ns - r->job.origin_ns;
        }
    }
}

void reference_play(const struct ei_rta_task *tasks, int32_t count, const struct reference_pattern *pattern,
                    struct reference_result *out_result)
{
    static struct play play; /* large; the tests have one thread */
    struct play *p = &play;
    memset(p, 0, sizeof *p);
    memset(out_result, 0, sizeof *out_result);
    p->count = count;
    p->pattern = pattern;
    p->result = out_result;
    prepare(p, tasks);
    while (p->now_ns <= 2 * pattern->horizon_ns) {
        do {
            while (start_jobs(p)) {
            }
            leave_cpus(p);
            for (int32_t c = 0; c < REFERENCE_CPUS; c++) {
                dispatch(p, c);
            }
        } while (take_turns(p));
        const int64_t next_ns = next_event(p);
        if (next_ns == NEVER) {
            break;
        }
        run_until(p, next_ns);
    }
    count_unfinished(p);
}
