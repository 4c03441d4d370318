/* One job from release to finish: its stages in order, then its record. Everything here is inside the real-time
 * section, which its thread enters when it wakes; a task of `class: other` runs the same code outside of it.
 */
#include "engine/run_state.h"

#include "rt/section.h"
#include "stages/post/class_ops.h"
#include "stages/spin.h"

void ei_slot_activate(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    slot->cpu = ei_course_is_real_time(task) ? ei_cpu_loads_enter(&task->run->loads) : EI_CPU_LOAD_NONE;
    slot->counted_threads = ei_task_threads(task);
    for (int32_t i = 1; slot->cpu != EI_CPU_LOAD_NONE && i < slot->counted_threads; i++) {
        ei_cpu_loads_enter_on(&task->run->loads, task->nn.thread_cpus[i]);
    }
}

void ei_slot_deactivate(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    for (int32_t i = 1; slot->cpu != EI_CPU_LOAD_NONE && i < slot->counted_threads; i++) {
        ei_cpu_loads_leave(&task->run->loads, task->nn.thread_cpus[i]);
    }
    ei_cpu_loads_leave(&task->run->loads, slot->cpu);
    slot->cpu = EI_CPU_LOAD_NONE;
}

bool ei_slot_would_pass(const struct ei_job_slot *slot, int64_t extra_ns, double cap)
{
    const struct ei_live_task *task = slot->task;
    struct ei_cpu_loads *loads = &slot->task->run->loads;
    bool is_over = ei_cpu_loads_would_pass(loads, slot->cpu, extra_ns, cap);
    for (int32_t i = 1; !is_over && slot->cpu != EI_CPU_LOAD_NONE && i < slot->counted_threads; i++) {
        is_over = ei_cpu_loads_would_pass(loads, task->nn.thread_cpus[i], extra_ns, cap);
    }
    return is_over;
}

bool ei_slot_would_crowd(const struct ei_job_slot *slot, int64_t extra_ns)
{
    const struct ei_live_task *task = slot->task;
    struct ei_cpu_loads *loads = &slot->task->run->loads;
    bool is_over = ei_cpu_loads_would_crowd(loads, slot->cpu, extra_ns);
    for (int32_t i = 1; !is_over && slot->cpu != EI_CPU_LOAD_NONE && i < slot->counted_threads; i++) {
        is_over = ei_cpu_loads_would_crowd(loads, task->nn.thread_cpus[i], extra_ns);
    }
    return is_over;
}

static void emit(void *context, const struct ei_job_record *job)
{
    struct ei_live_task *task = context;
    const struct ei_record record = {.kind = EI_RECORD_JOB, .u.job = *job};
    (void)ei_spsc_ring_push(&task->ring, &record); /* a full ring counts what it drops */
    ei_tap_job(task, job);
}

/* What became of a release: to the housekeeper, and to the tasks that come after this one. Guard held. */
static void push(struct ei_live_task *task, const struct ei_job_record *job)
{
    emit(task, job);
    ei_chain_post(task, job, emit, task); /* which may hand on what came with it */
    ei_tap_frame_over(task, job);
}

void ei_job_record_unrun(struct ei_live_task *task, struct ei_release release, uint8_t outcome, uint8_t cause)
{
    struct ei_job_record record = ei_job_record_blank(task, release);
    record.outcome = outcome;
    record.cause = cause;
    push(task, &record);
}

static void note_fault(struct ei_job_slot *slot, const char *what, const char *text)
{
    const struct ei_live_task *task = slot->task;
    if (atomic_fetch_add(&task->run->faulty_jobs, 1) == 0) {
        ei_rt_submit_enter(); /* formats text; happens once, and the run has failed anyway */
        einet_error_set(&task->run->fault, EINET_E_FAULT, "task '%s', job %lld: %s failed: %s", task->spec->name,
                        (long long)slot->record.job_idx, what, text);
        ei_rt_submit_leave();
    }
}

/* The job's sample: its picture goes through preprocessing, its label into the record. */
static int take_sample(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    struct ei_job_record *record = &slot->record;
    int32_t label = -1;
    record->sample_idx = (int32_t)(record->job_idx % ei_dataset_info(task->dataset)->count);
    const int rc = ei_dataset_sample(task->dataset, record->sample_idx, &slot->image, &label);
    record->label = label;
    if (rc < 0) {
        note_fault(slot, "reading its sample", einet_error_text(rc));
    }
    if (label >= 0) {
        record->flags |= EI_JOB_LABELLED;
    }
    return rc;
}

static int run_pre(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    const int rc = ei_pre_run(task->pre, &slot->image, slot->input_chw);
    if (rc < 0) {
        note_fault(slot, "preprocessing", einet_error_text(rc));
    }
    return rc;
}

/* Post-operations on the answer that the network delivered; without one there is nothing to do. */
static void run_post(struct ei_job_slot *slot, const struct ei_op_spec *op)
{
    if (slot->record.exit_idx < 0) {
        return;
    }
    const int32_t classes = ei_network_info(slot->task->nn.net)->classes;
    int32_t top[EI_ANSWER_TOP];
    float p[EI_ANSWER_TOP];
    if (op->kind == EI_SPEC_OP_SOFTMAX) {
        ei_class_softmax(slot->logits, classes, slot->probabilities);
    } else if (op->kind == EI_SPEC_OP_ARGMAX) {
        slot->record.top_label = ei_class_argmax(slot->logits, classes);
    } else if (op->kind == EI_SPEC_OP_TOP5) {
        (void)ei_class_top_softmax(slot->logits, classes, EI_ANSWER_TOP, top, p);
        slot->record.top_label = top[0];
    }
}

/* A function of the program that embeds the run: foreign code, so nothing is known of it but its name. */
static int run_own_stage(struct ei_job_slot *slot, int32_t stage_idx)
{
    const struct ei_tap_stage *own = &slot->task->own_stages[stage_idx];
    const bool is_answered = (slot->record.flags & EI_JOB_ANSWERED) != 0;
    ei_rt_submit_enter();
    const int rc = own->run(own->context, &slot->record, stage_idx, is_answered ? &slot->answer : NULL);
    ei_rt_submit_leave();
    if (rc < 0) {
        note_fault(slot, slot->task->spec->stages[stage_idx].name, einet_error_text(rc));
    }
    return rc < 0 ? rc : 0;
}

static int run_cpu_stage(struct ei_job_slot *slot, int32_t stage_idx)
{
    const struct ei_live_task *task = slot->task;
    const struct ei_stage_spec *stage = &task->spec->stages[stage_idx];
    if (task->own_stages != NULL && task->own_stages[stage_idx].run != NULL) {
        return run_own_stage(slot, stage_idx);
    }
    if (stage->spin_ns != EI_NONE_NS) {
        ei_spin(stage->spin_ns);
    }
    if (task->pre != NULL && stage_idx == task->pre_stage_idx) {
        const int rc = run_pre(slot);
        if (rc < 0) {
            return rc;
        }
    }
    for (int32_t i = 0; i < stage->op_count; i++) {
        if (stage->ops[i].kind == EI_SPEC_OP_APPEND_FILE) {
            ei_rt_submit_enter();
            const int rc = ei_log_stage_run(slot);
            ei_rt_submit_leave();
            if (rc < 0) {
                note_fault(slot, "append_file", einet_error_text(rc));
                return rc;
            }
        } else if (task->nn.net != NULL && stage_idx > task->spec->nn_stage_idx) {
            run_post(slot, &stage->ops[i]);
        }
    }
    return 0;
}

/* The same, timed when it has a budget. */
static int run_timed_cpu_stage(struct ei_job_slot *slot, int32_t stage_idx)
{
    const bool is_timed = slot->task->spec->stages[stage_idx].budget_ns != EI_NONE_NS;
    const int64_t before_ns = is_timed ? ei_thread_used_ns() : 0;
    const int rc = run_cpu_stage(slot, stage_idx);
    slot->stage.used_ns = is_timed ? ei_thread_used_ns() - before_ns : 0;
    return rc;
}

/* A device failed, which cannot take back the answers that the job has: it goes on with the best. */
static int keep_answer(struct ei_job_slot *slot, int rc)
{
    const struct ei_live_task *task = slot->task;
    const bool is_kept = rc == EINET_E_BACKEND && task->run->wl->lanes[task->nn.lane_idx].kind == EI_SPEC_LANE_CUDA &&
                         (slot->record.flags & EI_JOB_ANSWERED) != 0 && slot->record.outcome != EI_JOB_ABORTED;
    if (is_kept) {
        slot->record.cause = EI_CAUSE_FAULT;
        (void)ei_answer_finalize(slot->task->answer); /* the network stage is still this job's */
    }
    return is_kept ? 0 : rc;
}

static int run_stages(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    int rc = 0;
    bool goes_on = true;
    for (int32_t i = 0; rc == 0 && goes_on && i < task->spec->stage_count; i++) {
        ei_slots_enter_stage(slot, i);
        const int64_t begin_ns = ei_mono_now().ns;
        ei_course_stage_begin(slot, i, begin_ns);
        slot->mark.start_ns = begin_ns; /* a network's: when it has its lane */
        if (task->spec->stages[i].kind == EI_SPEC_STAGE_NN) {
            rc = ei_job_run_network(slot);
            if (rc < 0) {
                note_fault(slot, "the network", ei_network_fault_text(ei_task_running(task)));
            }
            rc = keep_answer(slot, rc);
        } else {
            rc = run_timed_cpu_stage(slot, i);
            const int64_t end_ns = ei_mono_now().ns;
            (void)ei_course_stage_end(slot, end_ns);
            if (task->run->is_recording_stages) {
                ei_stage_record_push(slot, i, end_ns, ei_thread_used_ns());
            }
        }
        goes_on = slot->record.outcome != EI_JOB_ABORTED;
        ei_slots_pass_stage(slot, i);
    }
    return rc;
}

/* Not even the first answer fits under the hard cap of the CPU's real-time load. */
static bool is_overloaded(const struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    return task->nn.net != NULL && ei_course_is_real_time(task) && !ei_task_is_off_cpu(task) &&
           ei_slot_would_pass(slot, ei_task_first_answer_ns(task), task->run->loads.hard_cap);
}

static void finish(struct ei_job_slot *slot, int rc)
{
    ei_job_record_finish(&slot->record, rc, ei_mono_now().ns);
    ei_activity_cut(slot, slot->record.finish_ns);
    if (slot->mark.ended_ns != 0) {
        ei_stage_record_push(slot, slot->stage.stage_idx, slot->mark.ended_ns, slot->activity.cpu_clock_ns);
    }
    if (slot->task->deadline.is_on &&
        ei_thread_used_ns() - slot->woken_used_ns > ei_task_deadline_bandwidth(slot->task).runtime_ns) {
        slot->record.flags |= EI_JOB_THROTTLED;
    }
}

/* In its place: after the job before it has. */
void ei_job_refuse(struct ei_job_slot *slot, struct ei_release release, uint8_t cause)
{
    struct ei_live_task *task = slot->task;
    ei_slots_enter_end_unrun(slot);
    ei_course_job_end(slot);
    ei_slots_lock(task);
    ei_release_unstart(&task->rt.releases);
    ei_job_record_unrun(task, release, EI_JOB_DROPPED, cause);
    ei_slots_leave(slot);
    ei_slots_unlock(task);
}

static void run(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    slot->record.start_ns = ei_mono_now().ns;
    int rc = 0;
    if (task->frames != NULL) {
        slot->image = ei_frames_at(task->frames, slot->record.frame)->image;
    } else if (task->dataset != NULL) {
        rc = take_sample(slot);
    }
    if (rc == 0) {
        rc = run_stages(slot);
    }
    ei_slots_enter_stage(slot, task->spec->stage_count);
    finish(slot, rc);
    ei_slot_deactivate(slot);
    ei_course_job_end(slot);
    ei_slots_lock(task);
    push(task, &slot->record);
    ei_slots_leave(slot);
    ei_slots_unlock(task);
}

void ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns)
{
    ei_settings_take(slot);
    slot->record = ei_job_record_blank(slot->task, release);
    ei_job_record_begin(&slot->record, ei_slot_settings(slot));
    slot->record.slot = (uint8_t)(slot->idx - slot->task->slots->idx);
    slot->record.awake_ns = awake_ns;
    slot->record.ready_ns = slot->ready_ns;
    ei_activity_first(slot, slot->ready_ns);
    slot->mark = (struct ei_stage_mark){.ready_ns = slot->ready_ns, .used_ns = slot->activity.cpu_clock_ns};
    slot->record.outcome = EI_JOB_COMPLETED;
    slot->record.cause = EI_CAUSE_PLAN_DONE;
    ei_course_job_begin(slot);
    ei_slot_activate(slot);
    if (is_overloaded(slot)) {
        ei_slot_deactivate(slot);
        ei_job_refuse(slot, release, EI_CAUSE_LOAD_CAP);
    } else {
        run(slot);
    }
}
