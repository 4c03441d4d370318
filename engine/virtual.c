/* See virtual.h. One program counter a job thread; the CPUs say who is due, the program says what comes next. */
#include "engine/virtual.h"

#include "engine/load_reserve.h"
#include "engine/manifest.h"
#include "engine/virtual_report.h"
#include "engine/virtual_state.h"
#include "metrics/output_file.h"
#include "rt/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_PROGRESS 16384 /* some 10 ms */

/* ---- real-time load ---- */

static void activate(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    if (ei_course_is_real_time(slot->task)) {
        slot->cpu = v->cpus.threads[slot->idx].cpu;
        ei_load_enter(&v->loads[slot->cpu], v->cpus.now_ns);
    }
}

void ei_virtual_deactivate(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    if (slot->cpu != EI_CPU_LOAD_NONE) {
        ei_load_leave(&v->loads[slot->cpu], v->cpus.now_ns);
        slot->cpu = EI_CPU_LOAD_NONE;
    }
}

/* Not even the first answer fits under the hard cap. */
static bool is_overloaded(struct virtual_run *v, const struct virtual_slot *vs)
{
    const double hard_cap = ei_cpu_load_hard_cap(v->run.wl->platform.rt_load_cap);
    return vs->slot->cpu != EI_CPU_LOAD_NONE &&
           ei_load_would_pass(&v->loads[vs->slot->cpu], v->cpus.now_ns, vs->slot->task->nn.first_answer_ns, hard_cap);
}

static bool would_crowd(struct virtual_run *v, const struct virtual_slot *vs, int64_t extra_ns)
{
    const double cap = v->run.wl->platform.rt_load_cap;
    return vs->slot->cpu != EI_CPU_LOAD_NONE &&
           ei_load_would_crowd(&v->loads[vs->slot->cpu], v->cpus.now_ns, extra_ns, cap, ei_cpu_load_hard_cap(cap));
}

/* ---- lanes: scheduler/lane.h decides, priorities follow ---- */

/* The holder runs as high as the highest waiter. */
static void inherit(struct virtual_run *v, const struct ei_lane *lane)
{
    ei_virtual_set_priority(&v->cpus, v->tasks[lane->holder.task_idx].at_lane->slot->idx,
                            ei_lane_effective_priority(lane));
}

/* Of several lanes the one where the fewest go first, the first of them. */
static void choose_lane(struct ei_task_network *nn, struct ei_lane_claim claim)
{
    int32_t least = INT32_MAX;
    for (int32_t i = 0; i < nn->gate_count; i++) {
        const int32_t ahead = ei_lane_ahead(&nn->gates[i]->arbiter, claim);
        if (ahead < least) {
            least = ahead;
            nn->gate = nn->gates[i];
        }
    }
}

/* True: granted at once. */
static bool request_lane(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_task_network *nn = &vs->slot->task->nn;
    struct ei_gate_seat *seat = &vs->slot->seat;
    seat->job_idx = vs->slot->record.job_idx;
    seat->claim.deadline_ns = ei_course_lane_deadline_ns(vs->slot);
    seat->request_ns = seat->granted_ns = v->cpus.now_ns;
    seat->victim_task_idx = -1;
    choose_lane(nn, seat->claim);
    nn->gate->seats[seat->claim.task_idx] = seat;
    v->tasks[seat->claim.task_idx].at_lane = vs;
    ei_gate_count_begin(seat, v->cpus.now_ns);
    if (ei_lane_request(&nn->gate->arbiter, seat->claim)) {
        return true;
    }
    inherit(v, &nn->gate->arbiter);
    return false;
}

/* The lane went from one task to another. */
static void hand_over(struct virtual_run *v, const struct ei_job_slot *from, int32_t to, bool is_preemption)
{
    struct ei_job_slot *next = v->tasks[to].at_lane->slot;
    next->seat.granted_ns = v->cpus.now_ns;
    next->seat.victim_task_idx = is_preemption ? from->task->idx : -1;
    next->seat.victim_job_idx = from->record.job_idx;
    inherit(v, &next->task->nn.gate->arbiter);
    ei_virtual_wake(&v->cpus, next->idx, 0);
}

/* ---- the program of a job thread ---- */

static int64_t cpu_stage_ns(const struct ei_stage_spec *stage)
{
    return stage->spin_ns != EI_NONE_NS ? stage->spin_ns : 0;
}

/* The stage before is over, the next one begins; false when the thread gave up its CPU. */
static bool begin_stage(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    struct ei_live_task *task = slot->task;
    if (vs->is_in_cpu_stage) {
        vs->is_in_cpu_stage = false;
        ei_virtual_push_stage(v, vs, vs->stage_idx - 1);
        vs->phase = ei_course_stage_end(slot, v->cpus.now_ns) ? PHASE_STAGE : PHASE_OVER;
    }
    ei_virtual_pass_stage(v, vs);
    if (vs->phase == PHASE_OVER || vs->stage_idx == task->spec->stage_count) {
        vs->phase = PHASE_OVER;
        return true;
    }
    if (!ei_virtual_enter_stage(v, vs, vs->stage_idx)) {
        return false;
    }
    if (slot->cpu == EI_CPU_LOAD_NONE) {
        activate(v, vs);
    }
    vs->left_stage = vs->stage_idx; /* the next time it comes here */
    const struct ei_stage_spec *stage = &task->spec->stages[vs->stage_idx];
    ei_course_stage_begin(slot, vs->stage_idx, v->cpus.now_ns);
    slot->mark.start_ns = v->cpus.now_ns; /* a network's: when it has its lane */
    if (stage->kind == EI_SPEC_STAGE_CPU) {
        vs->stage_idx++;
        vs->is_in_cpu_stage = true;
        slot->stage.used_ns = cpu_stage_ns(stage);
        ei_virtual_compute(&v->cpus, slot->idx, cpu_stage_ns(stage));
        return cpu_stage_ns(stage) == 0;
    }
    vs->wait_since_ns = v->cpus.now_ns;
    vs->phase = PHASE_GRANTED;
    if (task->nn.is_gated && !request_lane(v, vs)) {
        ei_virtual_deactivate(v, vs);
        ei_virtual_block(&v->cpus, slot->idx);
        return false;
    }
    return true;
}

static void take_grant(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    if (slot->cpu == EI_CPU_LOAD_NONE) {
        activate(v, vs);
    }
    slot->record.lane_wait_ns += v->cpus.now_ns - vs->wait_since_ns;
    slot->mark.start_ns = v->cpus.now_ns;
    vs->owes_preemption_record = slot->seat.victim_task_idx >= 0;
    vs->phase = PHASE_BEGIN;
}

static int begin_network(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    const struct ei_live_task *task = slot->task;
    vs->course = (struct ei_course){0};
    ei_virtual_network_begin(slot, &v->tasks[task->idx].network);
    vs->phase = PHASE_BLOCK;
    return ei_course_begin(slot, &vs->course, v->cpus.now_ns);
}

/* The network part is over: the lane goes on, the job too unless it was aborted. */
static void end_network(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    struct ei_live_task *task = slot->task;
    if (vs->owes_preemption_record) {
        ei_virtual_push_preemption(v, vs);
    }
    ei_virtual_push_stage(v, vs, vs->stage_idx);
    if (task->nn.is_gated) {
        ei_gate_count(task->nn.gate, v->cpus.now_ns);
    }
    const int32_t next = task->nn.is_gated ? ei_lane_release(&task->nn.gate->arbiter) : EI_LANE_NOBODY;
    if (next != EI_LANE_NOBODY) {
        hand_over(v, slot, next, vs->course.is_preempted);
    }
    ei_course_end(slot, &vs->course, next, v->cpus.now_ns, v->cpus.now_ns);
    vs->stage_idx++;
    vs->phase = slot->record.outcome == EI_JOB_ABORTED ? PHASE_OVER : PHASE_STAGE;
    ei_virtual_compute(&v->cpus, slot->idx, 0); /* due at once when it next runs */
    ei_virtual_set_priority(&v->cpus, slot->idx, task->spec->priority);
}

/* The step's block begins; false when it takes time. */
static bool begin_block(struct virtual_run *v, struct virtual_slot *vs)
{
    if (vs->course.step.kind == EI_STEP_FINISH) {
        end_network(v, vs);
        return v->cpus.threads[vs->slot->idx].state == EI_VIRTUAL_RUNNING;
    }
    vs->course.block_start_ns = v->cpus.now_ns;
    if (vs->owes_preemption_record) {
        vs->owes_preemption_record = false;
        ei_virtual_push_preemption(v, vs);
    }
    const struct ei_live_task *task = vs->slot->task;
    int64_t behind_ns = 0;
    const int64_t block_ns = ei_virtual_device_has_queue(task)
                                 ? ei_virtual_device_launch(v, vs, &behind_ns) - v->cpus.now_ns
                                 : ei_virtual_network_time_ns(task, &v->tasks[task->idx].network, vs->course.step,
                                                              ei_course_piece(&vs->course));
    vs->phase = PHASE_DONE;
    vs->slot->stage.used_ns += block_ns;
    if (task->nn.is_off_cpu && block_ns > 0) {
        ei_virtual_device_begin(v, vs, block_ns, behind_ns);
        return false;
    }
    ei_virtual_compute(&v->cpus, vs->slot->idx, block_ns);
    return block_ns == 0;
}

static bool pass_boundary(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    struct ei_live_task *task = slot->task;
    struct ei_lane *lane = &task->nn.gate->arbiter;
    struct ei_boundary b = ei_course_look(slot, &vs->course, v->cpus.now_ns);
    b.is_cancelled = ei_run_is_cancelled(&v->run, v->cpus.now_ns);
    b.is_higher_waiting = task->nn.is_gated && ei_lane_is_preemptor_waiting(lane);
    b.is_load_capped =
        b.has_answer && b.next_answer_ns > 0 && !task->nn.is_off_cpu && would_crowd(v, vs, b.next_answer_ns);
    vs->phase = PHASE_BLOCK;
    if (ei_course_pass(slot, &vs->course, &b) != EI_BOUNDARY_YIELD) {
        return true;
    }
    ei_gate_count(task->nn.gate, v->cpus.now_ns);
    const int32_t next = ei_lane_yield(lane);
    if (next == task->idx) {
        return true;
    }
    slot->seat.request_ns = slot->seat.counted_ns = v->cpus.now_ns;
    vs->wait_since_ns = v->cpus.now_ns;
    vs->preemptor = next;
    vs->phase = PHASE_BACK;
    ei_virtual_deactivate(v, vs);
    hand_over(v, slot, next, true);
    ei_virtual_block(&v->cpus, slot->idx);
    ei_virtual_set_priority(&v->cpus, slot->idx, task->spec->priority);
    return false;
}

/* The step's block is over; false when the thread gave up its CPU. *out_rc: what a wrong state machine would return. */
static bool end_block(struct virtual_run *v, struct virtual_slot *vs, int *out_rc)
{
    struct ei_job_slot *slot = vs->slot;
    const struct ei_virtual_network *network = &v->tasks[slot->task->idx].network;
    const struct ei_step step = vs->course.step;
    if (slot->cpu == EI_CPU_LOAD_NONE) { /* it was away */
        activate(v, vs);
    }
    slot->record.lane_busy_ns += v->cpus.now_ns - vs->course.block_start_ns;
    if (ei_course_piece_done(slot, &vs->course)) {
        ei_virtual_push_block(v, vs, ei_course_unanswered(&vs->course));
        return pass_boundary(v, vs);
    }
    if (step.kind == EI_STEP_CONV) {
        ei_virtual_push_block(v, vs, ei_course_unanswered(&vs->course));
        *out_rc = ei_course_conv_done(slot, &vs->course, step.idx);
    } else {
        const struct ei_answer answer = ei_virtual_network_answer(slot, network, step.idx, v->cpus.now_ns);
        ei_course_note_answer(&slot->record, &answer);
        ei_virtual_push_block(v, vs, answer.confidence);
        *out_rc = ei_course_branch_done(slot, &vs->course, step.idx, answer.confidence, v->cpus.now_ns);
    }
    if (vs->course.step.kind == EI_STEP_FINISH) {
        vs->phase = PHASE_BLOCK;
        return true;
    }
    return pass_boundary(v, vs);
}

/* False: a network that begins again waits for its device. */
static bool come_back(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    struct ei_live_task *task = slot->task;
    activate(v, vs);
    slot->record.lane_wait_ns += v->cpus.now_ns - vs->wait_since_ns;
    ei_course_back(slot, &vs->course, vs->preemptor, v->cpus.now_ns);
    vs->phase = PHASE_BLOCK;
    if (task->nn.policy.on_preempt != EI_PREEMPT_RESTART || vs->course.step.kind == EI_STEP_FINISH) {
        return true;
    }
    ei_virtual_network_restart(&v->tasks[task->idx].network);
    return ei_virtual_device_drain(v, vs);
}

/* ---- jobs ---- */

/* The job's first instant on a CPU. */
static void start_job(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    const struct ei_task_network *nn = &slot->task->nn;
    struct ei_job_record *record = &slot->record;
    record->awake_ns = record->start_ns = v->cpus.now_ns;
    record->outcome = EI_JOB_COMPLETED;
    record->cause = EI_CAUSE_PLAN_DONE;
    slot->mark =
        (struct ei_stage_mark){.ready_ns = record->ready_ns, .used_ns = ei_virtual_used_ns(&v->cpus, slot->idx)};
    ei_course_job_begin(slot);
    activate(v, vs);
    vs->stage_idx = 0;
    vs->phase = PHASE_STAGE;
    if (nn->gate != NULL && !nn->is_off_cpu && is_overloaded(v, vs)) {
        vs->phase = PHASE_REFUSED;
        vs->refusal = EI_CAUSE_LOAD_CAP;
    }
}

/* The job does not run, but it keeps its place. */
static bool refuse_job(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    const struct ei_release release = {.job_idx = slot->record.job_idx, .nominal_ns = slot->record.release_ns};
    ei_virtual_deactivate(v, vs);
    if (!ei_virtual_enter_stage(v, vs, slot->task->spec->stage_count)) {
        return false;
    }
    ei_course_job_end(slot);
    ei_release_unstart(&slot->task->rt.releases);
    ei_virtual_record_unrun(v, slot->task, release, EI_JOB_DROPPED, vs->refusal);
    return ei_virtual_next_job(v, vs);
}

static bool finish_job(struct virtual_run *v, struct virtual_slot *vs)
{
    struct ei_job_slot *slot = vs->slot;
    ei_virtual_pass_stage(v, vs);
    if (!ei_virtual_enter_stage(v, vs, slot->task->spec->stage_count)) {
        return false;
    }
    ei_job_record_finish(&slot->record, 0, v->cpus.now_ns);
    ei_virtual_parts_end(&v->cpus, slot);
    ei_virtual_deactivate(v, vs);
    ei_course_job_end(slot);
    ei_virtual_push_job(v, slot->task, &slot->record);
    return ei_virtual_next_job(v, vs);
}

/* Let the thread do everything that takes no time. Returns 0, or a code that only a defect can cause. */
static int go_on(struct virtual_run *v, struct virtual_slot *vs)
{
    int rc = 0;
    bool is_running = true;
    while (is_running && rc == 0) {
        switch (vs->phase) {
        case PHASE_START:
            start_job(v, vs);
            break;
        case PHASE_REFUSED:
            is_running = refuse_job(v, vs);
            break;
        case PHASE_STAGE:
            is_running = begin_stage(v, vs);
            break;
        case PHASE_GRANTED:
            take_grant(v, vs);
            break;
        case PHASE_BEGIN:
            is_running = ei_virtual_device_drain(v, vs);
            rc = is_running ? begin_network(v, vs) : 0;
            break;
        case PHASE_BLOCK:
            is_running = begin_block(v, vs);
            break;
        case PHASE_DONE:
            is_running = end_block(v, vs, &rc);
            break;
        case PHASE_BACK:
            is_running = come_back(v, vs);
            break;
        case PHASE_OVER:
            is_running = finish_job(v, vs);
            break;
        case PHASE_ASLEEP:
        case PHASE_PENDING:
            return EINET_E_FAULT;
        }
    }
    return rc;
}

/* What the caller wants to know or says, once an event. */
static void look_outside(struct virtual_run *v)
{
    if (v->options->on_progress != NULL && ++v->event_count % EVENTS_PER_PROGRESS == 0) {
        v->options->on_progress(v->options->context, v->cpus.now_ns - v->run.t0_ns, v->run.end_ns - v->run.t0_ns);
    }
    if (v->options->stop != NULL && *v->options->stop != 0 && !v->run.is_cancelled) {
        v->run.is_cancelled = true;
        v->run.end_ns = v->cpus.now_ns < v->run.end_ns ? v->cpus.now_ns : v->run.end_ns;
    }
}

/* The watchdog's look at every job thread. */
static void look_around(struct virtual_run *v)
{
    v->cpus.now_ns = v->next_look_ns;
    v->next_look_ns += EI_WATCH_PERIOD_NS;
    for (int32_t i = 0; i < v->run.slot_count; i++) {
        struct ei_job_slot *slot = &v->run.slots[i];
        struct ei_live_task *task = slot->task;
        if (task->is_fifo && ei_watch_slot(slot, v->cpus.now_ns, ei_virtual_used_ns(&v->cpus, i), v->cpus.now_ns)) {
            for (int32_t k = 0; k < task->slot_count; k++) {
                ei_virtual_demote(&v->cpus, task->slots[k].idx);
            }
        }
    }
}

static int run_events(struct virtual_run *v)
{
    for (int rc = 0; rc == 0;) {
        int64_t due_ns, timer_ns, device_ns;
        const int32_t due = ei_virtual_next_due(&v->cpus, &due_ns);
        const bool has_timer = ei_virtual_next_timer(&v->cpus, &timer_ns);
        const int32_t device = ei_virtual_device_next(v, &device_ns);
        look_outside(v);
        while (v->heap_count > 0 && v->run.is_cancelled && !ei_virtual_is_within_run(v, &v->tasks[v->heap[0].task])) {
            (void)ei_virtual_pop_release(v);
        }
        const int64_t release_ns = v->heap_count > 0 ? v->heap[0].release_ns : INT64_MAX;
        if (due == EI_VIRTUAL_NOBODY && device == EI_VIRTUAL_NOBODY && v->heap_count == 0 && !has_timer) {
            return 0;
        }
        if (v->next_look_ns < due_ns && v->next_look_ns < release_ns && v->next_look_ns < timer_ns &&
            v->next_look_ns < device_ns) {
            look_around(v);
        } else if (device_ns < due_ns && device_ns <= timer_ns && device_ns <= release_ns) {
            ei_virtual_device_end(v, device);
        } else if (has_timer && timer_ns < due_ns && timer_ns <= release_ns) {
            v->cpus.now_ns = timer_ns;
            ei_virtual_timer(&v->cpus);
        } else if (due != EI_VIRTUAL_NOBODY && due_ns <= release_ns) {
            v->cpus.now_ns = due_ns;
            ei_virtual_compute(&v->cpus, due, 0);
            rc = go_on(v, &v->slots[due]);
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
    for (int32_t k = 0; k < task->slot_count; k++) {
        struct ei_virtual_thread *thread = &v->cpus.threads[task->slots[k].idx];
        thread->cpus = task->cpus.bits[0];
        thread->cpu = ei_cpuset_next(&task->cpus, 0);
        thread->priority = thread->base = task->spec->priority;
    }
    if (task->spec->class_ == EI_SPEC_CLASS_DEADLINE) {
        const struct ei_deadline_bandwidth bandwidth = ei_task_deadline_bandwidth(task);
        ei_virtual_set_deadline(&v->cpus, task->slots->idx, bandwidth.runtime_ns, bandwidth.deadline_ns,
                                bandwidth.period_ns);
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
        task->nn.lane_idx = task->spec->stages[task->spec->nn_stage_idx].lane_idx;
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
    const int32_t threaded = ei_run_lane_of_threads(wl);
    if (threaded != EI_NONE_IDX) {
        const struct ei_lane_spec *lane = &wl->lanes[threaded];
        return einet_error_set_at(err, EINET_E_FILE, wl->file, lane->place.line, lane->place.column,
                                  "lane '%s' has %d threads, and virtual ones have one: simulate it with threads: 1 "
                                  "and the times that it has with one",
                                  lane->name, lane->threads);
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
    v->run.is_recording_stages = options->on_record != NULL || (options->out_dir != NULL && ei_run_wants_stages(wl));
    int rc = ei_run_make_tasks(&v->run, err);
    if (rc < 0) {
        return rc;
    }
    v->tasks = ei_memory_table(tasks, sizeof *v->tasks);
    v->slots = ei_memory_table((size_t)v->run.slot_count, sizeof *v->slots);
    v->heap = calloc(tasks, sizeof *v->heap);
    v->loads = calloc((size_t)cpus, sizeof *v->loads);
    if (v->tasks == NULL || v->slots == NULL || v->heap == NULL || v->loads == NULL ||
        ei_virtual_cpus_init(&v->cpus, cpus, v->run.slot_count) != 0) {
        return einet_error_set(err, -ENOMEM, "no memory for %d tasks", wl->task_count);
    }
    for (int32_t c = 0; c < cpus; c++) {
        ei_cpuset_add(&v->run.machine.allowed_cpus, c);
        ei_load_init(&v->loads[c], 0);
    }
    for (int32_t i = 0; i < wl->lane_count; i++) {
        ei_lane_init(&v->run.gates[i].arbiter, ei_run_lane_order(wl));
        v->devices[i].end_ns = INT64_MAX;
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        v->tasks[i].task = &v->run.tasks[i];
        v->tasks[i].slots = v->tasks[i].at_lane = &v->slots[v->run.tasks[i].slots->idx];
        v->tasks[i].asleep = v->run.tasks[i].slot_count;
        if (ei_watch_limit_ns(wl, i) != EI_WATCH_NO_LIMIT) {
            v->next_look_ns = EI_WATCH_PERIOD_NS;
        }
    }
    v->next_look_ns = v->next_look_ns > 0 ? v->next_look_ns : INT64_MAX;
    for (int32_t i = 0; i < v->run.slot_count; i++) {
        v->slots[i].slot = &v->run.slots[i];
    }
    rc = ei_run_settle_cpus(&v->run, err);
    if (rc == 0) {
        rc = ei_virtual_admit_deadline_class(&v->run, err);
    }
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        rc = build_task(v, &v->tasks[i], err);
    }
    if (rc == 0) {
        ei_run_settle_sharers(&v->run);
    }
    for (int32_t c = 0; rc == 0 && c < cpus; c++) {
        v->loads[c].reserve = ei_run_load_reserve(&v->run, c);
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
    const struct ei_metrics_assumed *assumed[EI_TASKS_MAX];
    ei_run_list_assumed(&v->run, assumed);
    const struct ei_metrics_totals totals = {
        .expected = expected,
        .external = external,
        .assumed = assumed,
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
    free(v->run.slots);
    free(v->tasks);
    free(v->slots);
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
    int rc = prepare(v, wl, options, err), lock_fd = -1;
    if (rc == 0 && options->out_dir != NULL) {
        rc = ei_virtual_open_folder(options->out_dir, &lock_fd, err);
    }
    if (rc == 0) {
        rc = ei_virtual_create_collector(&v->run, v->cpus.cpu_count, options->out_dir, &v->collector, err);
    }
    if (rc == 0 && options->out_dir != NULL) {
        rc = ei_run_write_manifest(&v->run, v->collector, options->out_dir, NULL, err);
    }
    if (rc == 0) {
        rc = ei_run_attach_trace(&v->run, options->out_dir, false, v->collector, err);
    }
    if (rc == 0) {
        (void)ei_collector_clear_earlier(v->collector);
        rc = run_events(v);
        rc = rc < 0 ? einet_error_set(err, rc, "the virtual engine is at fault: a job's course broke off") : 0;
    }
    if (rc == 0) {
        rc = finish(v, out, err);
    }
    if (rc == 0 && options->out_dir != NULL) {
        rc = ei_run_write_manifest(&v->run, v->collector, options->out_dir, out, err);
    }
    if (rc < 0) {
        ei_collector_destroy(v->collector);
        out->collector = NULL;
    }
    ei_output_folder_unlock(lock_fd);
    demolish(v);
    free(v);
    return rc;
}
