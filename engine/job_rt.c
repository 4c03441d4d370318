/* One job from release to finish: its stages in order, then its record. Everything here is inside the real-time
 * section, which its thread enters when it wakes; a task of `class: other` runs the same code outside of it.
 */
#include "engine/run_state.h"

#include "rt/section.h"
#include "stages/post/class_ops.h"
#include "stages/spin.h"

void ei_task_activate(struct ei_live_task *task)
{
    task->rt.cpu = ei_course_is_real_time(task) ? ei_cpu_loads_enter(&task->run->loads) : EI_CPU_LOAD_NONE;
}

void ei_task_deactivate(struct ei_live_task *task)
{
    ei_cpu_loads_leave(&task->run->loads, task->rt.cpu);
    task->rt.cpu = EI_CPU_LOAD_NONE;
}

static void emit(void *context, const struct ei_job_record *job)
{
    struct ei_live_task *task = context;
    const struct ei_record record = {.kind = EI_RECORD_JOB, .u.job = *job};
    (void)ei_spsc_ring_push(&task->ring, &record); /* a full ring counts what it drops */
}

/* What became of a release: to the housekeeper, and to the tasks that come after this one. */
static void push(struct ei_live_task *task, const struct ei_job_record *job)
{
    emit(task, job);
    ei_chain_post(task, job, emit, task);
}

void ei_job_record_unrun(struct ei_live_task *task, struct ei_release release, uint8_t outcome, uint8_t cause)
{
    struct ei_job_record record = ei_job_record_blank(task, release);
    record.outcome = outcome;
    record.cause = cause;
    push(task, &record);
}

static void note_fault(struct ei_live_task *task, const char *what, const char *text)
{
    if (atomic_fetch_add(&task->run->faulty_jobs, 1) == 0) {
        ei_rt_submit_enter(); /* formats text; happens once, and the run has failed anyway */
        einet_error_set(&task->run->fault, EINET_E_FAULT, "task '%s', job %lld: %s failed: %s", task->spec->name,
                        (long long)task->rt.record.job_idx, what, text);
        ei_rt_submit_leave();
    }
}

/* The job's sample: its picture goes through preprocessing, its label into the record. */
static int take_sample(struct ei_live_task *task)
{
    struct ei_job_record *record = &task->rt.record;
    int32_t label = -1;
    record->sample_idx = (int32_t)(record->job_idx % ei_dataset_info(task->dataset)->count);
    const int rc = ei_dataset_sample(task->dataset, record->sample_idx, &task->rt.image, &label);
    record->label = label;
    if (rc < 0) {
        note_fault(task, "reading its sample", einet_error_text(rc));
    }
    if (label >= 0) {
        record->flags |= EI_JOB_LABELLED;
    }
    return rc;
}

static int run_pre(struct ei_live_task *task)
{
    const int rc = ei_pre_run(task->pre, &task->rt.image, task->nn.input_chw);
    if (rc < 0) {
        note_fault(task, "preprocessing", einet_error_text(rc));
    }
    return rc;
}

/* Post-operations on the answer that the network delivered; without one there is nothing to do. */
static void run_post(struct ei_live_task *task, const struct ei_op_spec *op)
{
    if (task->rt.record.exit_idx < 0) {
        return;
    }
    const int32_t classes = ei_network_info(task->nn.net)->classes;
    int32_t top[EI_ANSWER_TOP];
    float p[EI_ANSWER_TOP];
    if (op->kind == EI_SPEC_OP_SOFTMAX) {
        ei_class_softmax(task->nn.logits, classes, task->nn.probabilities);
    } else if (op->kind == EI_SPEC_OP_ARGMAX) {
        task->rt.record.top_label = ei_class_argmax(task->nn.logits, classes);
    } else if (op->kind == EI_SPEC_OP_TOP5) {
        (void)ei_class_top_softmax(task->nn.logits, classes, EI_ANSWER_TOP, top, p);
        task->rt.record.top_label = top[0];
    }
}

static int run_cpu_stage(struct ei_live_task *task, int32_t stage_idx)
{
    const struct ei_stage_spec *stage = &task->spec->stages[stage_idx];
    if (stage->spin_ns != EI_NONE_NS) {
        ei_spin(stage->spin_ns);
    }
    if (task->pre != NULL && stage_idx == task->pre_stage_idx) {
        const int rc = run_pre(task);
        if (rc < 0) {
            return rc;
        }
    }
    for (int32_t i = 0; i < stage->op_count; i++) {
        if (stage->ops[i].kind == EI_SPEC_OP_APPEND_FILE) {
            ei_rt_submit_enter();
            const int rc = ei_log_stage_run(task);
            ei_rt_submit_leave();
            if (rc < 0) {
                note_fault(task, "append_file", einet_error_text(rc));
                return rc;
            }
        } else if (task->nn.net != NULL && stage_idx > task->spec->nn_stage_idx) {
            run_post(task, &stage->ops[i]);
        }
    }
    return 0;
}

/* The same, timed when it has a budget. */
static int run_timed_cpu_stage(struct ei_live_task *task, int32_t stage_idx)
{
    const bool is_timed = task->spec->stages[stage_idx].budget_ns != EI_NONE_NS;
    const int64_t before_ns = is_timed ? ei_thread_used_ns() : 0;
    const int rc = run_cpu_stage(task, stage_idx);
    task->rt.stage.used_ns = is_timed ? ei_thread_used_ns() - before_ns : 0;
    return rc;
}

static int run_stages(struct ei_live_task *task)
{
    int rc = 0;
    bool goes_on = true;
    for (int32_t i = 0; rc == 0 && goes_on && i < task->spec->stage_count; i++) {
        ei_course_stage_begin(task, i, ei_mono_now().ns);
        if (task->spec->stages[i].kind == EI_SPEC_STAGE_NN) {
            rc = ei_job_run_network(task);
            if (rc < 0) {
                note_fault(task, "the network", ei_network_fault_text(task->nn.net));
            }
        } else {
            rc = run_timed_cpu_stage(task, i);
            (void)ei_course_stage_end(task, ei_mono_now().ns);
        }
        goes_on = task->rt.record.outcome != EI_JOB_ABORTED;
    }
    return rc;
}

/* Not even the first answer fits under the hard cap of the CPU's real-time load. */
static bool is_overloaded(struct ei_live_task *task)
{
    return task->nn.net != NULL && ei_course_is_real_time(task) &&
           ei_cpu_loads_would_pass(&task->run->loads, task->rt.cpu, task->nn.first_answer_ns,
                                   task->run->loads.hard_cap);
}

static void finish(struct ei_live_task *task, int rc)
{
    ei_job_record_finish(&task->rt.record, rc, ei_mono_now().ns);
    ei_activity_cut(task, task->rt.record.finish_ns);
    if (task->deadline.is_on &&
        ei_thread_used_ns() - task->rt.woken_used_ns > ei_task_deadline_bandwidth(task).runtime_ns) {
        task->rt.record.flags |= EI_JOB_THROTTLED;
    }
    if (task->rt.record.exit_idx >= 0) {
        (void)ei_answer_finalize(&task->answer);
    }
}

void ei_job_run(struct ei_live_task *task, struct ei_release release, int64_t awake_ns)
{
    task->rt.record = ei_job_record_blank(task, release);
    task->rt.record.awake_ns = awake_ns;
    task->rt.record.ready_ns = task->rt.ready_ns;
    ei_activity_begin(task, task->rt.ready_ns);
    task->rt.record.outcome = EI_JOB_COMPLETED;
    task->rt.record.cause = EI_CAUSE_PLAN_DONE;
    atomic_store_explicit(&task->begun_ns, release.nominal_ns, memory_order_release);
    ei_course_job_begin(task, release.job_idx);
    ei_task_activate(task);
    if (is_overloaded(task)) {
        ei_task_deactivate(task);
        ei_course_job_end(task);
        ei_release_unstart(&task->rt.releases);
        ei_job_record_unrun(task, release, EI_JOB_DROPPED, EI_CAUSE_LOAD_CAP);
    } else {
        task->rt.record.start_ns = ei_mono_now().ns;
        int rc = task->dataset != NULL ? take_sample(task) : 0;
        if (rc == 0) {
            rc = run_stages(task);
        }
        finish(task, rc);
        ei_task_deactivate(task);
        ei_course_job_end(task);
        push(task, &task->rt.record);
    }
    atomic_store_explicit(&task->lane_done_ns, release.nominal_ns, memory_order_relaxed);
}
