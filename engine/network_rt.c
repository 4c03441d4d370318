/* The network stage of a job: the elastic stepper says which block is next, the boundary rules say whether to go on,
 * the gate passes the lane. Every finished branch becomes the published answer at once.
 */
#include "engine/run_state.h"

#include "stages/post/class_ops.h"

/* Of several lanes the one where the fewest go first, the first of them. What changes after the look costs order, not
 * the lane. */
static void choose_lane(struct ei_live_task *task)
{
    struct ei_task_network *nn = &task->nn;
    int32_t least = INT32_MAX;
    for (int32_t i = 0; i < nn->gate_count && nn->gate_count > 1; i++) {
        const int32_t ahead = ei_gate_ahead(nn->gates[i], &nn->seat, ei_course_lane_deadline_ns(task));
        if (ahead < least) {
            least = ahead;
            nn->gate = nn->gates[i];
        }
    }
}

static void take_lane(struct ei_live_task *task, int64_t now_ns)
{
    struct ei_task_network *nn = &task->nn;
    if (!nn->is_gated) {
        return;
    }
    choose_lane(task);
    if (!ei_gate_request(nn->gate, &nn->seat, task->rt.record.job_idx, ei_course_lane_deadline_ns(task), now_ns)) {
        ei_activity_cut(task, now_ns);
        ei_task_deactivate(task);
        ei_gate_wait(&nn->seat);
        ei_task_activate(task);
        ei_activity_begin(task, nn->seat.granted_ns);
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
    ei_course_note_answer(&task->rt.record, &answer);
    return answer.confidence;
}

static bool is_replan_overlapped(const struct ei_live_task *task)
{
    return task->planning.replanner != NULL && task->planning.replanner->is_on;
}

/* Conv part k, during which a new plan may have been made. */
static int run_conv(struct ei_live_task *task, struct ei_course *course, int32_t k)
{
    int rc = ei_network_run_conv(task->nn.net, k);
    if (rc == 0) {
        rc = ei_course_conv_done(task, course, k);
    }
    if (rc == 0 && is_replan_overlapped(task)) {
        course->step = ei_replan_adopt(task);
    }
    return rc;
}

/* Branch k, its answer, and a new plan: here, or while the next conv part runs when there is one to run. */
static int run_branch(struct ei_live_task *task, struct ei_course *course, int32_t k)
{
    int rc = ei_network_run_branch(task->nn.net, k, task->nn.logits);
    if (rc < 0) {
        return rc;
    }
    const float confidence = publish(task, k);
    const int64_t now_ns = ei_mono_now().ns;
    rc = ei_course_branch_done(task, course, k, confidence, now_ns);
    if (rc == 0 && is_replan_overlapped(task)) {
        const int64_t elapsed_ns = now_ns - task->rt.record.release_ns;
        if (course->step.kind == EI_STEP_CONV) {
            ei_replan_post(task, elapsed_ns);
        } else {
            course->step = ei_elastic_replan(&task->rt.job, elapsed_ns);
        }
    }
    return rc;
}

/* Run the step that is due; the course knows the next one then. owes_preemption_record: this job took the lane from
 * another and has not run its first block yet. */
static int run_step(struct ei_live_task *task, struct ei_course *course, bool *owes_preemption_record)
{
    const int64_t start_ns = ei_mono_now().ns;
    const struct ei_step step = course->step;
    course->block_start_ns = start_ns;
    if (*owes_preemption_record) {
        *owes_preemption_record = false;
        push_preemption(task, start_ns);
    }
    const bool is_timed = task->spec->stages[task->rt.stage.stage_idx].budget_ns != EI_NONE_NS;
    const int64_t used_ns = is_timed ? ei_thread_used_ns() : 0;
    const int rc = step.kind == EI_STEP_CONV ? run_conv(task, course, step.idx) : run_branch(task, course, step.idx);
    task->rt.stage.used_ns += is_timed ? ei_thread_used_ns() - used_ns : 0;
    task->rt.record.lane_busy_ns += ei_mono_now().ns - start_ns;
    return rc;
}

/* Returns 0, or the backend's code when the network had to begin again and could not. */
static int yield_lane(struct ei_live_task *task, struct ei_course *course, int64_t now_ns)
{
    ei_activity_cut(task, now_ns);
    const int32_t next = ei_gate_yield(task->nn.gate, &task->nn.seat, now_ns);
    if (next == EI_LANE_NOBODY) {
        return 0;
    }
    ei_task_deactivate(task);
    ei_gate_wait(&task->nn.seat);
    ei_task_activate(task);
    ei_activity_begin(task, task->nn.seat.granted_ns);
    const int64_t back_ns = ei_mono_now().ns;
    task->rt.record.lane_wait_ns += back_ns - now_ns;
    ei_course_back(task, course, next, back_ns);
    if (task->nn.policy.on_preempt != EI_PREEMPT_RESTART || course->step.kind == EI_STEP_FINISH) {
        return 0;
    }
    ei_network_end(task->nn.net);
    return ei_network_begin(task->nn.net, task->nn.input_chw, task->rt.record.sample_idx, task->rt.record.label);
}

static int pass_boundary(struct ei_live_task *task, struct ei_course *course)
{
    const int64_t now_ns = ei_mono_now().ns;
    struct ei_boundary b = ei_course_look(task, now_ns);
    b.is_cancelled = ei_run_is_cancelled(task->run, now_ns);
    b.is_higher_waiting = task->nn.is_gated && ei_gate_is_higher_waiting(task->nn.gate);
    b.is_load_capped = b.has_answer && b.next_answer_ns > 0 &&
                       ei_cpu_loads_would_crowd(&task->run->loads, task->rt.cpu, b.next_answer_ns);
    if (ei_course_pass(task, course, &b) == EI_BOUNDARY_YIELD) {
        return yield_lane(task, course, now_ns);
    }
    return 0;
}

static int run_blocks(struct ei_live_task *task, struct ei_course *course, bool *owes_preemption_record)
{
    struct ei_task_network *nn = &task->nn;
    struct ei_job_record *record = &task->rt.record;
    int rc = ei_network_begin(nn->net, nn->input_chw, record->sample_idx, record->label);
    if (rc == 0) {
        rc = ei_course_begin(task, course, ei_mono_now().ns);
    }
    while (rc == 0 && course->step.kind != EI_STEP_FINISH) {
        rc = run_step(task, course, owes_preemption_record);
        if (rc == 0 && course->step.kind != EI_STEP_FINISH) {
            rc = pass_boundary(task, course);
        }
    }
    return rc;
}

int ei_job_run_network(struct ei_live_task *task)
{
    struct ei_task_network *nn = &task->nn;
    struct ei_course course = {0};
    take_lane(task, ei_mono_now().ns);
    bool owes_preemption_record = nn->seat.victim_task_idx >= 0;
    const int rc = run_blocks(task, &course, &owes_preemption_record);
    const int64_t ended_ns = ei_mono_now().ns;
    if (owes_preemption_record) { /* nothing was planned: the lane was taken for no block */
        push_preemption(task, ei_mono_now().ns);
    }
    ei_activity_cut(task, ei_mono_now().ns);
    const int32_t next =
        nn->is_gated ? ei_gate_release(nn->gate, &nn->seat, ei_mono_now().ns, course.is_preempted) : EI_LANE_NOBODY;
    ei_network_end(nn->net);
    ei_course_end(task, &course, next, ended_ns, ei_mono_now().ns);
    return rc;
}
