/* The network stage of a job: the elastic stepper says which block is next, the boundary rules say whether to go on,
 * the gate passes the lane. Every finished branch becomes the published answer at once.
 */
#include "engine/run_state.h"

#include "stages/post/class_ops.h"

/* What happened at the last boundary. */
struct course {
    bool is_preempted; /* stopping because a higher job waits */
    bool is_aborted;
    bool owes_preemption_record; /* this job took the lane from another and has not run its first block yet */
    int64_t block_start_ns;      /* of the block that ran last */
};

static void take_lane(struct ei_live_task *task, int64_t now_ns)
{
    struct ei_task_network *nn = &task->nn;
    if (!ei_gate_request(nn->gate, &nn->seat, task->rt.record.job_idx, now_ns)) {
        ei_task_deactivate(task);
        ei_gate_wait(&nn->seat);
        ei_task_activate(task);
        task->rt.record.lane_wait_ns += ei_mono_now().ns - now_ns;
    }
}

/* The preemptor knows all three times, so it writes the record. */
static void push_preemption(struct ei_live_task *task, int64_t first_block_ns)
{
    const struct ei_gate_seat *seat = &task->nn.seat;
    const struct ei_record record = {
        .kind = EI_RECORD_PREEMPTION,
        .u.preemption =
            {
                .victim_task_idx = seat->victim_task_idx,
                .preemptor_task_idx = task->idx,
                .victim_job_idx = seat->victim_job_idx,
                .preemptor_job_idx = task->rt.record.job_idx,
                .request_ns = seat->request_ns,
                .block_end_ns = seat->granted_ns,
                .first_block_ns = first_block_ns,
            },
    };
    (void)ei_spsc_ring_push(&task->ring, &record);
}

/* Publish the answer of exit k and return its confidence. */
static float publish(struct ei_live_task *task, int32_t k)
{
    struct ei_task_network *nn = &task->nn;
    const struct ei_network_info *info = ei_network_info(nn->net);
    struct ei_answer answer = {
        .job_idx = task->rt.record.job_idx,
        .task_idx = task->idx,
        .exit_idx = k,
        .exits_total = info->exits,
    };
    answer.top_count = ei_class_top_softmax(nn->logits, info->classes, EI_ANSWER_TOP, answer.top_class, answer.top_p);
    answer.label = answer.top_class[0];
    answer.confidence = answer.top_p[0];
    answer.published_ns = ei_mono_now().ns;
    ei_answer_publish(&task->answer, &answer);

    struct ei_job_record *record = &task->rt.record;
    record->answer_ns = answer.published_ns;
    record->exits_mask |= UINT64_C(1) << k;
    record->exit_idx = (int16_t)k;
    record->top_label = answer.label;
    record->confidence = answer.confidence;
    record->flags |= EI_JOB_ANSWERED;
    return answer.confidence;
}

static bool is_replan_overlapped(const struct ei_live_task *task)
{
    return task->planning.replanner != NULL && task->planning.replanner->is_on;
}

/* Conv part k, during which a new plan may have been made. */
static int run_conv(struct ei_live_task *task, int32_t k, struct ei_step *step)
{
    int rc = ei_network_run_conv(task->nn.net, k);
    if (rc == 0) {
        rc = ei_elastic_conv_done(&task->rt.job, k, step);
    }
    if (rc == 0 && is_replan_overlapped(task)) {
        *step = ei_replan_adopt(task);
    }
    return rc;
}

/* Branch k, its answer, and a new plan: here, or while the next conv part runs when there is one to run. */
static int run_branch(struct ei_live_task *task, int32_t k, struct ei_step *step)
{
    int rc = ei_network_run_branch(task->nn.net, k, task->nn.logits);
    if (rc < 0) {
        return rc;
    }
    const float confidence = publish(task, k);
    const int64_t elapsed_ns = ei_mono_now().ns - task->rt.record.release_ns;
    rc = ei_elastic_branch_done(&task->rt.job, k, confidence, elapsed_ns, step);
    if (rc == 0 && is_replan_overlapped(task)) {
        if (step->kind == EI_STEP_CONV) {
            ei_replan_post(task, elapsed_ns);
        } else {
            *step = ei_elastic_replan(&task->rt.job, elapsed_ns);
        }
    }
    return rc;
}

/* Run the step that is due; *step becomes the next one. */
static int run_step(struct ei_live_task *task, struct course *course, struct ei_step *step)
{
    const int64_t start_ns = ei_mono_now().ns;
    course->block_start_ns = start_ns;
    if (course->owes_preemption_record) {
        course->owes_preemption_record = false;
        push_preemption(task, start_ns);
    }
    const int rc = step->kind == EI_STEP_CONV ? run_conv(task, step->idx, step) : run_branch(task, step->idx, step);
    task->rt.record.lane_busy_ns += ei_mono_now().ns - start_ns;
    return rc;
}

static enum ei_stop_reason stop_reason(enum ei_boundary_reason reason)
{
    switch (reason) {
    case EI_REASON_CANCELLED:
        return EI_STOP_CANCELLED;
    case EI_REASON_DEADLINE:
        return EI_STOP_DEADLINE;
    case EI_REASON_LOAD:
        return EI_STOP_LOAD_CAP;
    case EI_REASON_PREEMPTED:
        return EI_STOP_PREEMPTED;
    case EI_REASON_NONE:
        break;
    }
    return EI_STOP_NONE;
}

static struct ei_boundary look_around(struct ei_live_task *task, int64_t now_ns)
{
    const int64_t next_answer_ns = ei_elastic_next_exit_ns(&task->rt.job);
    struct ei_boundary b = {
        .now_ns = now_ns,
        .deadline_ns = task->rt.record.deadline_ns,
        .next_answer_ns = next_answer_ns,
        .after_ns = task->after_ns,
        .has_answer = (task->rt.record.flags & EI_JOB_ANSWERED) != 0,
        .is_cancelled = ei_run_is_cancelled(task->run, now_ns),
        .is_higher_waiting = ei_gate_is_higher_waiting(task->nn.gate, &task->nn.seat),
    };
    if (b.has_answer && next_answer_ns > 0) {
        b.is_load_capped =
            ei_cpu_loads_would_pass(&task->run->loads, task->rt.cpu, next_answer_ns, task->run->loads.cap);
    }
    return b;
}

static void yield_lane(struct ei_live_task *task, int64_t now_ns, struct ei_step *step)
{
    const int32_t next = ei_gate_yield(task->nn.gate, &task->nn.seat, now_ns);
    if (next == EI_LANE_NOBODY) {
        return;
    }
    task->rt.record.preemptions++;
    task->rt.record.preempted_by = (int16_t)next;
    ei_task_deactivate(task);
    ei_gate_wait(&task->nn.seat);
    ei_task_activate(task);
    const int64_t back_ns = ei_mono_now().ns;
    task->rt.record.lane_wait_ns += back_ns - now_ns;
    *step = ei_elastic_preempted(&task->rt.job, back_ns - task->rt.record.release_ns);
}

static void pass_boundary(struct ei_live_task *task, struct course *course, struct ei_step *step)
{
    const int64_t now_ns = ei_mono_now().ns;
    const struct ei_boundary b = look_around(task, now_ns);
    const struct ei_boundary_verdict v = ei_boundary_decide(&task->nn.policy, &b);
    switch (v.action) {
    case EI_BOUNDARY_GO_ON:
        break;
    case EI_BOUNDARY_YIELD:
        if (v.is_stop_after_yield) {
            *step = ei_elastic_stop(&task->rt.job, stop_reason(v.reason));
        }
        yield_lane(task, now_ns, step);
        break;
    case EI_BOUNDARY_STOP:
        *step = ei_elastic_stop(&task->rt.job, stop_reason(v.reason));
        course->is_preempted = v.is_lane_passed_on && step->kind == EI_STEP_FINISH;
        break;
    case EI_BOUNDARY_ABORT:
        (void)ei_elastic_stop(&task->rt.job, stop_reason(v.reason));
        course->is_aborted = true;
        *step = (struct ei_step){.kind = EI_STEP_FINISH, .idx = EI_EXIT_NONE};
        break;
    }
}

static uint8_t cause_of(enum ei_stop_reason reason)
{
    switch (reason) {
    case EI_STOP_PREEMPTED:
        return EI_CAUSE_PREEMPTED;
    case EI_STOP_DEADLINE:
        return EI_CAUSE_DEADLINE;
    case EI_STOP_LOAD_CAP:
        return EI_CAUSE_LOAD_CAP;
    case EI_STOP_CANCELLED:
        return EI_CAUSE_CANCELLED;
    case EI_STOP_NONE:
        break;
    }
    return EI_CAUSE_PLAN_DONE;
}

static int run_blocks(struct ei_live_task *task, struct course *course)
{
    struct ei_task_network *nn = &task->nn;
    struct ei_job_record *record = &task->rt.record;
    int rc = ei_network_begin(nn->net, nn->input_chw, record->sample_idx, record->label);
    if (rc < 0) {
        return rc;
    }
    const int64_t elapsed_ns = ei_mono_now().ns - record->release_ns;
    const struct ei_survival survival = ei_exit_time_begin(task, elapsed_ns);
    struct ei_step step;
    rc = ei_elastic_begin(&task->rt.job, &nn->elastic, &task->rt.ws, &survival, elapsed_ns, &step);
    if (rc == 0) {
        record->planned_exit = (int16_t)task->rt.job.planned_exit;
    }
    while (rc == 0 && step.kind != EI_STEP_FINISH) {
        rc = run_step(task, course, &step);
        if (rc == 0 && step.kind != EI_STEP_FINISH) {
            pass_boundary(task, course, &step);
        }
    }
    return rc;
}

/* When the stop came: the preemptor's lane request, which fell into the block that ran last. */
static int64_t stop_ns(const struct ei_live_task *task, const struct course *course, int32_t preemptor)
{
    const int64_t now_ns = ei_mono_now().ns;
    if (preemptor < 0) {
        return now_ns;
    }
    const int64_t begun_ns = atomic_load_explicit(&task->run->tasks[preemptor].begun_ns, memory_order_acquire);
    const int64_t at_least_ns = begun_ns > course->block_start_ns ? begun_ns : course->block_start_ns;
    return at_least_ns < now_ns ? at_least_ns : now_ns;
}

int ei_job_run_network(struct ei_live_task *task)
{
    struct ei_task_network *nn = &task->nn;
    struct ei_job_record *record = &task->rt.record;
    struct course course = {0};
    take_lane(task, ei_mono_now().ns);
    course.owes_preemption_record = nn->seat.victim_task_idx >= 0;
    const int rc = run_blocks(task, &course);
    const int64_t ended_ns = ei_mono_now().ns;
    if (course.owes_preemption_record) { /* nothing was planned: the lane was taken for no block */
        push_preemption(task, ei_mono_now().ns);
    }
    const int32_t next = ei_gate_release(nn->gate, &nn->seat, ei_mono_now().ns, course.is_preempted);
    atomic_store_explicit(&task->lane_done_ns, record->release_ns, memory_order_relaxed);
    ei_network_end(nn->net);
    if (course.is_preempted && next != EI_LANE_NOBODY) {
        record->preemptions++;
        record->preempted_by = (int16_t)next;
    }
    if (course.is_aborted) {
        record->outcome = EI_JOB_ABORTED;
    }
    const enum ei_stop_reason reason = task->rt.job.stop_reason;
    record->cause = cause_of(reason);
    record->replans = (int16_t)task->rt.job.replans;
    /* The deadline has its own place in the exit times; what is learnt are the stops that nobody announces. */
    const bool is_forced = reason == EI_STOP_PREEMPTED || reason == EI_STOP_LOAD_CAP;
    const int64_t end_ns = reason == EI_STOP_PREEMPTED ? stop_ns(task, &course, next) : ended_ns;
    ei_exit_time_end(task, end_ns - record->release_ns, is_forced);
    return rc;
}
