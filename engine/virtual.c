/* See virtual.h. One program counter a task; the CPUs say who is due, the program says what comes next. */
#include "engine/virtual.h"

#include "engine/virtual_report.h"
#include "engine/virtual_state.h"
#include "rt/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

static void push(struct virtual_run *v, const struct ei_record *record)
{
    ei_collector_add(v->collector, record);
    if (v->options->on_record != NULL) {
        v->options->on_record(v->options->context, record);
    }
}

static void emit(void *context, const struct ei_job_record *job)
{
    const struct ei_record record = {.kind = EI_RECORD_JOB, .u.job = *job};
    push(context, &record);
}

void ei_virtual_push_job(struct virtual_run *v, struct virtual_task *vt, const struct ei_job_record *job)
{
    emit(v, job);
    ei_chain_post(vt->task, job, emit, v);
}

void ei_virtual_record_unrun(struct virtual_run *v, struct virtual_task *vt, struct ei_release release, uint8_t outcome,
                             uint8_t cause)
{
    struct ei_job_record record = ei_job_record_blank(vt->task, release);
    record.outcome = outcome;
    record.cause = cause;
    ei_virtual_push_job(v, vt, &record);
}

static void push_preemption(struct virtual_run *v, const struct virtual_task *vt)
{
    const struct ei_gate_seat *seat = &vt->task->nn.seat;
    const struct ei_record record = {
        .kind = EI_RECORD_PREEMPTION,
        .u.preemption = {.victim_task_idx = seat->victim_task_idx,
                         .preemptor_task_idx = vt->task->idx,
                         .victim_job_idx = seat->victim_job_idx,
                         .preemptor_job_idx = vt->task->rt.record.job_idx,
                         .request_ns = seat->request_ns,
                         .block_end_ns = seat->granted_ns,
                         .first_block_ns = v->cpus.now_ns},
    };
    push(v, &record);
}

/* ---- real-time load ---- */

static void activate(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    if (ei_course_is_real_time(task)) {
        task->rt.cpu = v->cpus.threads[task->idx].cpu;
        ei_load_enter(&v->loads[task->rt.cpu], v->cpus.now_ns);
    }
}

static void deactivate(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    if (task->rt.cpu != EI_CPU_LOAD_NONE) {
        ei_load_leave(&v->loads[task->rt.cpu], v->cpus.now_ns);
        task->rt.cpu = EI_CPU_LOAD_NONE;
    }
}

static bool would_pass(struct virtual_run *v, const struct virtual_task *vt, int64_t extra_ns, double cap)
{
    return vt->task->rt.cpu != EI_CPU_LOAD_NONE &&
           ei_load_would_pass(&v->loads[vt->task->rt.cpu], v->cpus.now_ns, extra_ns, cap);
}

/* ---- lanes: scheduler/lane.h decides, priorities follow ---- */

/* The holder runs as high as the highest waiter. */
static void inherit(struct virtual_run *v, const struct ei_lane *lane)
{
    ei_virtual_set_priority(&v->cpus, lane->holder.task_idx, ei_lane_effective_priority(lane));
}

/* Of several lanes the one where the fewest go first, the first of them. */
static void choose_lane(struct ei_task_network *nn)
{
    int32_t least = INT32_MAX;
    for (int32_t i = 0; i < nn->gate_count; i++) {
        const int32_t ahead = ei_lane_ahead(&nn->gates[i]->arbiter, nn->seat.claim);
        if (ahead < least) {
            least = ahead;
            nn->gate = nn->gates[i];
        }
    }
}

/* True: granted at once. */
static bool request_lane(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_task_network *nn = &vt->task->nn;
    struct ei_gate_seat *seat = &nn->seat;
    seat->job_idx = vt->task->rt.record.job_idx;
    seat->claim.deadline_ns = ei_course_lane_deadline_ns(vt->task);
    seat->request_ns = seat->granted_ns = v->cpus.now_ns;
    seat->victim_task_idx = -1;
    choose_lane(nn);
    ei_gate_count_begin(&nn->seat, v->cpus.now_ns);
    if (ei_lane_request(&nn->gate->arbiter, seat->claim)) {
        return true;
    }
    inherit(v, &nn->gate->arbiter);
    return false;
}

/* The lane went from one task to another. */
static void hand_over(struct virtual_run *v, struct virtual_task *from, int32_t to, bool is_preemption)
{
    struct ei_live_task *next = v->tasks[to].task;
    next->nn.seat.granted_ns = v->cpus.now_ns;
    next->nn.seat.victim_task_idx = is_preemption ? from->task->idx : -1;
    next->nn.seat.victim_job_idx = from->task->rt.record.job_idx;
    inherit(v, &next->nn.gate->arbiter);
    ei_virtual_wake(&v->cpus, to, 0);
}

/* ---- the program of a task ---- */

static int64_t cpu_stage_ns(const struct ei_stage_spec *stage)
{
    return stage->spin_ns != EI_NONE_NS ? stage->spin_ns : 0;
}

/* The stage before is over, the next one begins; false when the thread gave up its CPU. */
static bool begin_stage(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    if (vt->is_in_cpu_stage) {
        vt->is_in_cpu_stage = false;
        if (!ei_course_stage_end(task, v->cpus.now_ns)) {
            vt->phase = PHASE_OVER;
            return true;
        }
    }
    if (vt->stage_idx == task->spec->stage_count) {
        vt->phase = PHASE_OVER;
        return true;
    }
    const struct ei_stage_spec *stage = &task->spec->stages[vt->stage_idx];
    ei_course_stage_begin(task, vt->stage_idx, v->cpus.now_ns);
    if (stage->kind == EI_SPEC_STAGE_CPU) {
        vt->stage_idx++;
        vt->is_in_cpu_stage = true;
        task->rt.stage.used_ns = cpu_stage_ns(stage);
        ei_virtual_compute(&v->cpus, task->idx, cpu_stage_ns(stage));
        return cpu_stage_ns(stage) == 0;
    }
    vt->wait_since_ns = v->cpus.now_ns;
    vt->phase = PHASE_GRANTED;
    if (task->nn.is_gated && !request_lane(v, vt)) {
        deactivate(v, vt);
        ei_virtual_block(&v->cpus, task->idx);
        return false;
    }
    return true;
}

static int begin_network(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    if (task->rt.cpu == EI_CPU_LOAD_NONE) {
        activate(v, vt);
    }
    task->rt.record.lane_wait_ns += v->cpus.now_ns - vt->wait_since_ns;
    vt->owes_preemption_record = task->nn.seat.victim_task_idx >= 0;
    vt->course = (struct ei_course){0};
    ei_virtual_network_begin(task, &vt->network);
    vt->phase = PHASE_BLOCK;
    return ei_course_begin(task, &vt->course, v->cpus.now_ns);
}

/* The network part is over: the lane goes on, the job too unless it was aborted. */
static void end_network(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    if (vt->owes_preemption_record) {
        push_preemption(v, vt);
    }
    if (task->nn.is_gated) {
        ei_gate_count(task->nn.gate, v->cpus.now_ns);
    }
    const int32_t next = task->nn.is_gated ? ei_lane_release(&task->nn.gate->arbiter) : EI_LANE_NOBODY;
    if (next != EI_LANE_NOBODY) {
        hand_over(v, vt, next, vt->course.is_preempted);
    }
    ei_course_end(task, &vt->course, next, v->cpus.now_ns, v->cpus.now_ns);
    vt->stage_idx++;
    vt->phase = task->rt.record.outcome == EI_JOB_ABORTED ? PHASE_OVER : PHASE_STAGE;
    ei_virtual_compute(&v->cpus, task->idx, 0); /* due at once when it next runs */
    ei_virtual_set_priority(&v->cpus, task->idx, task->spec->priority);
}

/* The step's block begins; false when it takes time. */
static bool begin_block(struct virtual_run *v, struct virtual_task *vt)
{
    if (vt->course.step.kind == EI_STEP_FINISH) {
        end_network(v, vt);
        return v->cpus.threads[vt->task->idx].state == EI_VIRTUAL_RUNNING;
    }
    vt->course.block_start_ns = v->cpus.now_ns;
    if (vt->owes_preemption_record) {
        vt->owes_preemption_record = false;
        push_preemption(v, vt);
    }
    const int64_t block_ns = ei_virtual_network_time_ns(vt->task, &vt->network, vt->course.step);
    vt->phase = PHASE_DONE;
    vt->task->rt.stage.used_ns += block_ns;
    ei_virtual_compute(&v->cpus, vt->task->idx, block_ns);
    return block_ns == 0;
}

static bool pass_boundary(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    struct ei_lane *lane = &task->nn.gate->arbiter;
    struct ei_boundary b = ei_course_look(task, v->cpus.now_ns);
    b.is_cancelled = ei_run_is_cancelled(&v->run, v->cpus.now_ns);
    b.is_higher_waiting = task->nn.is_gated && ei_lane_is_preemptor_waiting(lane);
    b.is_load_capped =
        b.has_answer && b.next_answer_ns > 0 && would_pass(v, vt, b.next_answer_ns, v->run.wl->platform.rt_load_cap);
    vt->phase = PHASE_BLOCK;
    if (ei_course_pass(task, &vt->course, &b) != EI_BOUNDARY_YIELD) {
        return true;
    }
    ei_gate_count(task->nn.gate, v->cpus.now_ns);
    const int32_t next = ei_lane_yield(lane);
    if (next == task->idx) {
        return true;
    }
    task->nn.seat.request_ns = task->nn.seat.counted_ns = v->cpus.now_ns;
    vt->wait_since_ns = v->cpus.now_ns;
    vt->preemptor = next;
    vt->phase = PHASE_BACK;
    deactivate(v, vt);
    hand_over(v, vt, next, true);
    ei_virtual_block(&v->cpus, task->idx);
    ei_virtual_set_priority(&v->cpus, task->idx, task->spec->priority);
    return false;
}

/* The step's block is over; false when the thread gave up its CPU. *out_rc: what a wrong state machine would return. */
static bool end_block(struct virtual_run *v, struct virtual_task *vt, int *out_rc)
{
    struct ei_live_task *task = vt->task;
    const struct ei_step step = vt->course.step;
    task->rt.record.lane_busy_ns += v->cpus.now_ns - vt->course.block_start_ns;
    if (step.kind == EI_STEP_CONV) {
        *out_rc = ei_course_conv_done(task, &vt->course, step.idx);
    } else {
        const struct ei_answer answer = ei_virtual_network_answer(task, &vt->network, step.idx, v->cpus.now_ns);
        ei_course_note_answer(&task->rt.record, &answer);
        *out_rc = ei_course_branch_done(task, &vt->course, step.idx, answer.confidence, v->cpus.now_ns);
    }
    if (vt->course.step.kind == EI_STEP_FINISH) {
        vt->phase = PHASE_BLOCK;
        return true;
    }
    return pass_boundary(v, vt);
}

static void come_back(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    activate(v, vt);
    task->rt.record.lane_wait_ns += v->cpus.now_ns - vt->wait_since_ns;
    ei_course_back(task, &vt->course, vt->preemptor, v->cpus.now_ns);
    vt->phase = PHASE_BLOCK;
}

/* ---- jobs ---- */

/* The job's first instant on a CPU; false when it was refused and the thread sleeps. */
static bool start_job(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    struct ei_job_record *record = &task->rt.record;
    record->awake_ns = record->start_ns = v->cpus.now_ns;
    record->outcome = EI_JOB_COMPLETED;
    record->cause = EI_CAUSE_PLAN_DONE;
    task->begun_ns = record->release_ns;
    ei_course_job_begin(task, record->job_idx);
    activate(v, vt);
    if (task->nn.gate != NULL &&
        would_pass(v, vt, task->nn.first_answer_ns, ei_cpu_load_hard_cap(v->run.wl->platform.rt_load_cap))) {
        const struct ei_release release = {.job_idx = record->job_idx, .nominal_ns = record->release_ns};
        deactivate(v, vt);
        ei_course_job_end(task);
        ei_release_unstart(&task->rt.releases);
        ei_virtual_record_unrun(v, vt, release, EI_JOB_DROPPED, EI_CAUSE_LOAD_CAP);
        task->lane_done_ns = record->release_ns;
        return ei_virtual_next_job(v, vt);
    }
    vt->stage_idx = 0;
    vt->phase = PHASE_STAGE;
    return true;
}

static bool finish_job(struct virtual_run *v, struct virtual_task *vt)
{
    struct ei_live_task *task = vt->task;
    ei_job_record_finish(&task->rt.record, 0, v->cpus.now_ns);
    ei_virtual_parts_end(&v->cpus, task);
    deactivate(v, vt);
    ei_course_job_end(task);
    ei_virtual_push_job(v, vt, &task->rt.record);
    task->lane_done_ns = task->rt.record.release_ns;
    return ei_virtual_next_job(v, vt);
}

/* Let the thread do everything that takes no time. Returns 0, or a code that only a defect can cause. */
static int go_on(struct virtual_run *v, struct virtual_task *vt)
{
    int rc = 0;
    bool is_running = true;
    while (is_running && rc == 0) {
        switch (vt->phase) {
        case PHASE_START:
            is_running = start_job(v, vt);
            break;
        case PHASE_STAGE:
            is_running = begin_stage(v, vt);
            break;
        case PHASE_GRANTED:
            rc = begin_network(v, vt);
            break;
        case PHASE_BLOCK:
            is_running = begin_block(v, vt);
            break;
        case PHASE_DONE:
            is_running = end_block(v, vt, &rc);
            break;
        case PHASE_BACK:
            come_back(v, vt);
            break;
        case PHASE_OVER:
            is_running = finish_job(v, vt);
            break;
        case PHASE_ASLEEP:
            return EINET_E_FAULT;
        }
    }
    return rc;
}

static void look_for_stop(struct virtual_run *v)
{
    if (v->options->stop != NULL && *v->options->stop != 0 && !v->run.is_cancelled) {
        v->run.is_cancelled = true;
        v->run.end_ns = v->cpus.now_ns < v->run.end_ns ? v->cpus.now_ns : v->run.end_ns;
    }
}

/* The watchdog's look at every task. */
static void look_around(struct virtual_run *v)
{
    v->cpus.now_ns = v->next_look_ns;
    v->next_look_ns += EI_WATCH_PERIOD_NS;
    for (int32_t i = 0; i < v->run.wl->task_count; i++) {
        struct ei_live_task *task = v->tasks[i].task;
        if (task->is_fifo && ei_watch_task(task, v->cpus.now_ns, ei_virtual_used_ns(&v->cpus, i), v->cpus.now_ns)) {
            ei_virtual_demote(&v->cpus, i);
        }
    }
}

static int run_events(struct virtual_run *v)
{
    for (int rc = 0; rc == 0;) {
        int64_t due_ns, timer_ns;
        const int32_t due = ei_virtual_next_due(&v->cpus, &due_ns);
        const bool has_timer = ei_virtual_next_timer(&v->cpus, &timer_ns);
        look_for_stop(v);
        while (v->heap_count > 0 && v->run.is_cancelled && !ei_virtual_is_within_run(v, &v->tasks[v->heap[0].task])) {
            (void)ei_virtual_pop_release(v);
        }
        const int64_t release_ns = v->heap_count > 0 ? v->heap[0].release_ns : INT64_MAX;
        if (due == EI_VIRTUAL_NOBODY && v->heap_count == 0 && !has_timer) {
            return 0;
        }
        if (v->next_look_ns < due_ns && v->next_look_ns < release_ns && v->next_look_ns < timer_ns) {
            look_around(v);
        } else if (has_timer && timer_ns < due_ns && timer_ns <= release_ns) {
            v->cpus.now_ns = timer_ns;
            ei_virtual_timer(&v->cpus);
        } else if (due != EI_VIRTUAL_NOBODY && due_ns <= release_ns) {
            v->cpus.now_ns = due_ns;
            ei_virtual_compute(&v->cpus, due, 0);
            rc = go_on(v, &v->tasks[due]);
            if (rc < 0) {
                return rc;
            }
        } else {
            v->cpus.now_ns = release_ns;
            struct virtual_task *released = &v->tasks[ei_virtual_pop_release(v)];
            ei_virtual_begin_release(v, released, ei_virtual_take_release(released));
        }
    }
    return 0;
}

/* ---- before and after ---- */

static int build_task(struct virtual_run *v, struct virtual_task *vt, struct einet_error *err)
{
    struct ei_live_task *task = vt->task;
    struct ei_virtual_thread *thread = &v->cpus.threads[task->idx];
    thread->cpus = task->cpus.bits[0];
    thread->cpu = ei_cpuset_next(&task->cpus, 0);
    thread->priority = thread->base = task->spec->priority;
    if (task->spec->class_ == EI_SPEC_CLASS_DEADLINE) {
        const struct ei_deadline_bandwidth bandwidth = ei_task_deadline_bandwidth(task);
        ei_virtual_set_deadline(&v->cpus, task->idx, bandwidth.runtime_ns, bandwidth.deadline_ns, bandwidth.period_ns);
        task->deadline.is_on = true;
    }
    task->cpu_profile_ns = ei_task_cpu_profile_ns(task->spec);
    task->is_fifo = task->spec->class_ == EI_SPEC_CLASS_FIFO;
    int rc = ei_task_build_releases(task, err);
    if (rc == 0 && task->external.is_external) {
        const struct ei_releases *releases = v->options->releases;
        ei_arrival_ask(&task->rt.arrival, releases->asked_ns[task->idx], releases->count[task->idx]);
    }
    if (rc == 0 && task->chain.is_successor) {
        const size_t bytes = ei_spsc_ring_storage_bytes(EI_CHAIN_INBOX_EVENTS, sizeof *vt->inbox);
        vt->inbox = calloc(1, bytes);
        rc = vt->inbox == NULL
                 ? einet_error_set(err, -ENOMEM, "no memory for the chain of task '%s'", task->spec->name)
                 : ei_spsc_ring_init(&task->chain.inbox, EI_CHAIN_INBOX_EVENTS, sizeof *vt->inbox, vt->inbox, bytes);
    }
    if (rc == 0 && task->spec->nn_stage_idx != EI_NONE_IDX) {
        ei_task_take_seat(task);
        task->after_ns = ei_task_after_network_ns(task->spec);
        rc = ei_virtual_network_build(task, &vt->network, err);
    }
    if (rc == 0) {
        vt->has_next = ei_arrival_next(&task->rt.arrival, &vt->next);
        if (ei_virtual_is_within_run(v, vt)) {
            ei_virtual_push_release(v, task->idx);
        }
    }
    return rc;
}

static int prepare(struct virtual_run *v, const struct ei_workload *wl, const struct ei_virtual_options *options,
                   struct einet_error *err)
{
    const int32_t cpus = options->cpus > 0 ? options->cpus : ei_run_modelled_cpus(wl);
    if (cpus > EI_VIRTUAL_CPUS_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "the workload names CPU %d; a virtual machine has %d CPUs at most",
                               cpus - 1, EI_VIRTUAL_CPUS_MAX);
    }
    const int32_t external = ei_releases_first_task(wl);
    if (external != EI_NONE_IDX && options->releases == NULL) {
        return einet_error_set(err, EINET_E_USAGE,
                               "task '%s' is released from outside (arrival: external): say when, with --releases FILE",
                               wl->tasks[external].name);
    }
    const size_t tasks = (size_t)wl->task_count;
    v->run.wl = wl;
    v->options = options;
    v->run.duration_ns = options->duration_ns > 0 ? options->duration_ns : wl->run.duration_ns;
    v->run.end_ns = wl->run.warmup_ns + v->run.duration_ns;
    v->run.tasks = ei_memory_table(tasks, sizeof *v->run.tasks);
    v->tasks = ei_memory_table(tasks, sizeof *v->tasks);
    v->heap = calloc(tasks, sizeof *v->heap);
    v->loads = calloc((size_t)cpus, sizeof *v->loads);
    if (v->run.tasks == NULL || v->tasks == NULL || v->heap == NULL || v->loads == NULL ||
        ei_virtual_cpus_init(&v->cpus, cpus, wl->task_count) != 0) {
        return einet_error_set(err, -ENOMEM, "no memory for %d tasks", wl->task_count);
    }
    for (int32_t c = 0; c < cpus; c++) {
        ei_cpuset_add(&v->run.machine.allowed_cpus, c);
        ei_load_init(&v->loads[c], 0);
    }
    for (int32_t i = 0; i < wl->lane_count; i++) {
        ei_lane_init(&v->run.gates[i].arbiter, ei_run_lane_order(wl));
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        v->tasks[i].task = &v->run.tasks[i];
        v->run.tasks[i].spec = &wl->tasks[i];
        v->run.tasks[i].run = &v->run;
        v->run.tasks[i].idx = i;
        v->run.tasks[i].rt.cpu = EI_CPU_LOAD_NONE;
        v->run.tasks[i].begun_ns = INT64_MIN;
        v->run.tasks[i].lane_done_ns = INT64_MIN;
        v->run.tasks[i].rt.last_nominal_ns = INT64_MIN;
        ei_external_init(&v->run.tasks[i]);
        ei_watch_init(&v->run.tasks[i].watch.watch);
        v->run.tasks[i].watch.job_idx = EI_WATCH_NO_JOB;
        if (ei_watch_limit_ns(wl, i) != EI_WATCH_NO_LIMIT) {
            v->next_look_ns = EI_WATCH_PERIOD_NS;
        }
    }
    v->next_look_ns = v->next_look_ns > 0 ? v->next_look_ns : INT64_MAX;
    ei_chains_link(&v->run);
    int rc = ei_run_settle_cpus(&v->run, err);
    if (rc == 0) {
        rc = ei_virtual_admit_deadline_class(&v->run, err);
    }
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        rc = build_task(v, &v->tasks[i], err);
    }
    if (rc == 0) {
        ei_run_settle_sharers(&v->run);
    }
    return rc;
}

/* Worked out anew from what was asked for, so that expected is no echo of what was released. */
static void tally_external(const struct virtual_run *v, int32_t i)
{
    struct ei_live_task *task = &v->run.tasks[i];
    const int64_t count = v->options->releases->count[i], last_ns = task->rt.last_nominal_ns;
    const struct ei_arrival_tally tally =
        ei_arrival_tally(&task->spec->arrival, v->options->releases->asked_ns[i], count, v->run.wl->run.warmup_ns,
                         last_ns > v->run.end_ns ? last_ns : v->run.end_ns);
    task->external.accepted = count;
    task->external.held_back = tally.held_back;
    task->external.unreleased = tally.unreleased;
    task->external.warmup = tally.warmup;
}

static int finish(struct virtual_run *v, struct ei_live_result *out, struct einet_error *err)
{
    int64_t expected[EI_TASKS_MAX];
    struct ei_metrics_external external[EI_TASKS_MAX];
    const struct ei_workload *wl = v->run.wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        ei_virtual_drop_rest(v, &v->tasks[i]);
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (v->run.tasks[i].external.is_external) {
            tally_external(v, i);
        }
        external[i] = ei_external_count(&v->run.tasks[i].external);
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        expected[i] = ei_task_expected(&v->run.tasks[i], v->run.end_ns);
    }
    struct ei_metrics_demotion demotions[EI_TASKS_MAX];
    const struct ei_metrics_totals totals = {
        .expected = expected,
        .external = external,
        .demotions = demotions,
        .demotion_count = ei_watch_demotions(&v->run, demotions),
        .duration_ns = v->run.end_ns,
        .is_ended_early = v->run.is_cancelled,
        .minor_faults = -1,
        .major_faults = -1,
        .voluntary_switches = -1,
        .involuntary_switches = -1,
    };
    const int rc = ei_collector_finish(v->collector, &totals, err);
    out->collector = v->collector;
    out->slo_failures = ei_collector_slo_failures(v->collector);
    out->is_identity_ok = ei_collector_is_identity_ok(v->collector);
    out->is_ended_early = v->run.is_cancelled;
    out->demoted_tasks = totals.demotion_count;
    return rc;
}

static void demolish(struct virtual_run *v)
{
    for (int32_t i = 0; v->tasks != NULL && v->run.tasks != NULL && i < v->run.wl->task_count; i++) {
        free(v->tasks[i].inbox);
        ei_virtual_network_fini(&v->tasks[i].network);
        ei_task_demolish_planning(&v->run.tasks[i]);
    }
    ei_virtual_cpus_fini(&v->cpus);
    free(v->run.tasks);
    free(v->tasks);
    free(v->heap);
    free(v->loads);
}

int ei_virtual_run(const struct ei_workload *wl, const struct ei_virtual_options *options, struct ei_live_result *out,
                   struct einet_error *err)
{
    *out = (struct ei_live_result){0};
    struct virtual_run *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a virtual run");
    }
    int rc = prepare(v, wl, options, err);
    if (rc == 0) {
        rc = ei_virtual_create_collector(&v->run, v->cpus.cpu_count, options->out_dir, &v->collector, err);
    }
    if (rc == 0) {
        rc = run_events(v);
        rc = rc < 0 ? einet_error_set(err, rc, "the virtual engine is at fault: a job's course broke off") : 0;
    }
    if (rc == 0) {
        rc = finish(v, out, err);
    }
    if (rc < 0) {
        ei_collector_destroy(v->collector);
        out->collector = NULL;
    }
    demolish(v);
    free(v);
    return rc;
}
