/* The network stage of a job: the elastic stepper says which block is next, the boundary rules say whether to go on,
 * the gate passes the lane. Every finished branch becomes the published answer at once.
 */
#include "engine/run_state.h"

#include "stages/post/class_ops.h"

/* Of several lanes the one where the fewest go first, the first of them. What changes after the look costs order, not
 * the lane. */
static void choose_lane(struct ei_job_slot *slot)
{
    struct ei_task_network *nn = &slot->task->nn;
    int32_t least = INT32_MAX;
    for (int32_t i = 0; i < nn->gate_count && nn->gate_count > 1; i++) {
        const int32_t ahead = ei_gate_ahead(nn->gates[i], &slot->seat, ei_course_lane_deadline_ns(slot));
        if (ahead < least) {
            least = ahead;
            nn->gate = nn->gates[i];
        }
    }
}

static void take_lane(struct ei_job_slot *slot, int64_t now_ns)
{
    struct ei_task_network *nn = &slot->task->nn;
    if (!nn->is_gated) {
        return;
    }
    choose_lane(slot);
    if (!ei_gate_request(nn->gate, &slot->seat, slot->record.job_idx, ei_course_lane_deadline_ns(slot), now_ns)) {
        ei_activity_cut(slot, now_ns);
        ei_slot_deactivate(slot);
        ei_gate_wait(&slot->seat);
        ei_slot_activate(slot);
        ei_activity_begin(slot, slot->seat.granted_ns);
        slot->record.lane_wait_ns += ei_mono_now().ns - now_ns;
    }
}

/* The preemptor knows all three times, so it writes the record. */
static void push_preemption(struct ei_job_slot *slot, int64_t first_block_ns)
{
    const struct ei_gate_seat *seat = &slot->seat;
    const struct ei_record record = {
        .kind = EI_RECORD_PREEMPTION,
        .u.preemption =
            {
                .victim_task_idx = seat->victim_task_idx,
                .preemptor_task_idx = slot->task->idx,
                .victim_job_idx = seat->victim_job_idx,
                .preemptor_job_idx = slot->record.job_idx,
                .request_ns = seat->request_ns,
                .block_end_ns = seat->granted_ns,
                .first_block_ns = first_block_ns,
            },
    };
    ei_slots_record(slot->task, &record);
}

/* Publish the answer of exit k and return its confidence. */
static float publish(struct ei_job_slot *slot, int32_t k)
{
    struct ei_task_network *nn = &slot->task->nn;
    const struct ei_network_info *info = ei_network_info(nn->net);
    struct ei_answer answer = {
        .job_idx = slot->record.job_idx,
        .tag = slot->record.tag,
        .release_ns = slot->record.release_ns,
        .task_idx = slot->task->idx,
        .exit_idx = k,
        .exits_total = info->exits,
    };
    answer.top_count = ei_class_top_softmax(slot->logits, info->classes, EI_ANSWER_TOP, answer.top_class, answer.top_p);
    answer.label = answer.top_class[0];
    answer.confidence = ei_network_confidence(ei_task_running(slot->task), answer.top_p[0]);
    answer.published_ns = ei_mono_now().ns;
    ei_answer_publish(slot->task->answer, &answer);
    slot->answer = answer;
    ei_course_note_answer(&slot->record, &answer);
    ei_tap_answer(slot->task, &answer);
    return answer.confidence;
}

static bool is_replan_overlapped(const struct ei_job_slot *slot)
{
    return slot->task->planning.replanner != NULL && slot->task->planning.replanner->is_on;
}

static int compute(struct ei_job_slot *slot, const struct ei_course *course)
{
    return ei_network_run_piece(ei_task_running(slot->task), course->step.idx, course->step.kind == EI_STEP_BRANCH,
                                ei_course_piece(course), slot->logits);
}

/* The block of the step, or its next piece. While a device computes it the job is no load of its CPU. */
static int run_block(struct ei_job_slot *slot, const struct ei_course *course)
{
    struct ei_live_task *task = slot->task;
    if (!ei_task_is_off_cpu(task)) {
        return compute(slot, course);
    }
    ei_activity_leave(slot, ei_mono_now().ns);
    ei_slot_deactivate(slot);
    const int rc = compute(slot, course);
    const int64_t used_ns = ei_activity_return(slot, ei_course_piece_ns(slot, course), ei_mono_now().ns);
    ei_slot_activate(slot);
    ei_cpu_loads_add(&task->run->loads, slot->cpu, used_ns);
    return rc;
}

/* Of a conv part, or of a piece of which no answer comes. */
static void push_unanswered(struct ei_job_slot *slot, const struct ei_course *course)
{
    if (slot->task->run->is_recording_stages) {
        ei_block_record_push(slot, course->step, course->block_start_ns, ei_mono_now().ns,
                             ei_course_unanswered(course));
    }
}

/* Conv part k is over, during which a new plan may have been made. */
static int end_conv(struct ei_job_slot *slot, struct ei_course *course, int32_t k)
{
    push_unanswered(slot, course);
    const int rc = ei_course_conv_done(slot, course, k);
    if (rc == 0 && is_replan_overlapped(slot)) {
        course->step = ei_replan_adopt(slot);
    }
    return rc;
}

/* Branch k is over: its answer, and a new plan: here, or while the next conv part runs when there is one to run. */
static int end_branch(struct ei_job_slot *slot, struct ei_course *course, int32_t k)
{
    const float confidence = publish(slot, k);
    if (slot->task->run->is_recording_stages) {
        ei_block_record_push(slot, course->step, course->block_start_ns, slot->record.answer_ns, confidence);
    }
    const int64_t now_ns = ei_mono_now().ns;
    const int rc = ei_course_branch_done(slot, course, k, confidence, now_ns);
    if (rc == 0 && is_replan_overlapped(slot)) {
        const int64_t elapsed_ns = now_ns - slot->record.release_ns;
        if (course->step.kind == EI_STEP_CONV) {
            ei_replan_post(slot, elapsed_ns);
        } else {
            course->step = ei_elastic_replan(&slot->task->nn.job, elapsed_ns);
        }
    }
    return rc;
}

/* Run the step that is due; the course knows the next one then. owes_preemption_record: this job took the lane from
 * another and has not run its first block yet. */
static int run_step(struct ei_job_slot *slot, struct ei_course *course, bool *owes_preemption_record)
{
    const int64_t start_ns = ei_mono_now().ns;
    const struct ei_step step = course->step;
    course->block_start_ns = start_ns;
    if (*owes_preemption_record) {
        *owes_preemption_record = false;
        push_preemption(slot, start_ns);
    }
    const bool is_off_cpu = ei_task_is_off_cpu(slot->task);
    const bool is_timed = slot->task->spec->stages[slot->stage.stage_idx].budget_ns != EI_NONE_NS && !is_off_cpu;
    const int64_t used_ns = is_timed ? ei_thread_used_ns() : 0;
    int rc = run_block(slot, course);
    if (rc == 0 && ei_course_piece_done(slot, course)) {
        push_unanswered(slot, course);
    } else if (rc == 0) {
        rc = step.kind == EI_STEP_CONV ? end_conv(slot, course, step.idx) : end_branch(slot, course, step.idx);
    }
    const int64_t busy_ns = ei_mono_now().ns - start_ns;
    slot->stage.used_ns += is_timed ? ei_thread_used_ns() - used_ns : is_off_cpu ? busy_ns : 0;
    slot->record.lane_busy_ns += busy_ns;
    return rc;
}

/* Its input is on the host, or lies where the network computes. */
static int begin_job(struct ei_job_slot *slot)
{
    const struct ei_frames *frames = slot->task->frames;
    struct ei_network *net = ei_task_running(slot->task);
    if (frames != NULL && frames->is_on_device) {
        const struct ei_frame *frame = ei_frames_at(frames, slot->record.frame);
        return ei_network_begin_device(net, frame->data, frame->event);
    }
    return ei_network_begin(net, slot->input_chw, slot->record.sample_idx, slot->record.label);
}

/* Returns 0, or the backend's code when the network had to begin again and could not. */
static int yield_lane(struct ei_job_slot *slot, struct ei_course *course, int64_t now_ns)
{
    ei_activity_cut(slot, now_ns);
    const int32_t next = ei_gate_yield(slot->task->nn.gate, &slot->seat, now_ns);
    if (next == EI_LANE_NOBODY) {
        return 0;
    }
    ei_slot_deactivate(slot);
    ei_gate_wait(&slot->seat);
    ei_slot_activate(slot);
    ei_activity_begin(slot, slot->seat.granted_ns);
    const int64_t back_ns = ei_mono_now().ns;
    slot->record.lane_wait_ns += back_ns - now_ns;
    ei_course_back(slot, course, next, back_ns);
    if (slot->task->nn.policy.on_preempt != EI_PREEMPT_RESTART || course->step.kind == EI_STEP_FINISH) {
        return 0;
    }
    ei_network_end(ei_task_running(slot->task));
    return begin_job(slot);
}

static int pass_boundary(struct ei_job_slot *slot, struct ei_course *course)
{
    const int64_t now_ns = ei_mono_now().ns;
    struct ei_boundary b = ei_course_look(slot, course, now_ns);
    b.is_cancelled = ei_run_is_cancelled(slot->task->run, now_ns);
    b.is_higher_waiting = slot->task->nn.is_gated && ei_gate_is_higher_waiting(slot->task->nn.gate);
    b.is_load_capped = b.has_answer && b.next_answer_ns > 0 && !ei_task_is_off_cpu(slot->task) &&
                       ei_slot_would_crowd(slot, b.next_answer_ns);
    if (ei_course_pass(slot, course, &b) == EI_BOUNDARY_YIELD) {
        return yield_lane(slot, course, now_ns);
    }
    return 0;
}

/* ---- a device that is lost ---- */

/* Whether the task has to go on elsewhere after rc of its network. */
static bool must_move(const struct ei_job_slot *slot, int rc)
{
    const struct ei_task_network *nn = &slot->task->nn;
    return rc == EINET_E_BACKEND && nn->spare.net != NULL && !ei_task_is_on_spare(slot->task) &&
           ei_network_is_lost(nn->net);
}

/* The spare's threads count as active from now on, on CPUs of their own. */
static void take_spare(struct ei_job_slot *slot, int64_t now_ns)
{
    ei_slot_deactivate(slot);
    ei_task_take_spare(slot->task, slot->record.job_idx, now_ns);
    ei_slot_activate(slot);
}

/* From the lane of the device, which others then leave likewise, to the spare's, which the job asks for as for its
 * first. */
static void change_lane(struct ei_job_slot *slot, bool *owes_preemption_record)
{
    struct ei_task_network *nn = &slot->task->nn;
    const int64_t now_ns = ei_mono_now().ns;
    if (*owes_preemption_record) {
        push_preemption(slot, now_ns);
    }
    ei_network_end(nn->net);
    ei_activity_cut(slot, now_ns);
    slot->record.part_ns[EI_PART_BLOCKING] += slot->seat.below_ns;
    slot->record.part_ns[EI_PART_LANE_QUEUE] += slot->seat.queue_ns;
    (void)ei_gate_release(nn->gate, &slot->seat, now_ns, false);
    take_spare(slot, now_ns);
    take_lane(slot, ei_mono_now().ns);
    *owes_preemption_record = slot->seat.victim_task_idx >= 0;
}

static int begin_network(struct ei_job_slot *slot, bool *owes_preemption_record)
{
    int rc = begin_job(slot);
    if (must_move(slot, rc)) {
        change_lane(slot, owes_preemption_record);
        rc = begin_job(slot);
    }
    return rc;
}

/* In the middle of the job: at the boundary before the block that failed. */
static int move(struct ei_job_slot *slot, struct ei_course *course, bool *owes_preemption_record)
{
    struct ei_replanner *replanner = slot->task->planning.replanner;
    if (replanner != NULL) {
        replanner->is_awaited = false; /* it plans with the times of the device */
    }
    change_lane(slot, owes_preemption_record);
    const int rc = begin_job(slot);
    if (rc == 0) {
        ei_course_moved(slot, course, ei_mono_now().ns);
    }
    return rc;
}

static int run_blocks(struct ei_job_slot *slot, struct ei_course *course, bool *owes_preemption_record)
{
    int rc = begin_network(slot, owes_preemption_record);
    if (rc == 0) {
        rc = ei_course_begin(slot, course, ei_mono_now().ns);
    }
    while (rc == 0 && course->step.kind != EI_STEP_FINISH) {
        rc = run_step(slot, course, owes_preemption_record);
        if (must_move(slot, rc)) {
            rc = move(slot, course, owes_preemption_record);
        }
        if (rc == 0 && course->step.kind != EI_STEP_FINISH) {
            rc = pass_boundary(slot, course);
        }
        if (must_move(slot, rc)) { /* it had to begin again */
            rc = move(slot, course, owes_preemption_record);
        }
    }
    return rc;
}

/* Give the lane back after blocks that ended at ended_ns; the stretch of activity ends before that when somebody gets
 * it, or may overtake this job behind it. The stage's record wants the thread's clock, which that cut reads, or that of
 * the job's end when no stage comes between. Returns who got the lane. */
static int32_t leave_lane(struct ei_job_slot *slot, int64_t ended_ns, bool is_preempted)
{
    struct ei_task_network *nn = &slot->task->nn;
    const bool is_recording = slot->task->run->is_recording_stages;
    const bool needs_clock = is_recording && slot->stage.stage_idx + 1 < slot->task->spec->stage_count;
    if (nn->is_gated && slot->task->slot_count == 1 && !needs_clock &&
        ei_gate_release_alone(nn->gate, &slot->seat, ended_ns)) {
        slot->mark.ended_ns = is_recording ? ended_ns : 0;
        return EI_LANE_NOBODY;
    }
    ei_activity_cut(slot, ei_mono_now().ns);
    if (is_recording) {
        ei_stage_record_push(slot, slot->stage.stage_idx, ended_ns, slot->activity.cpu_clock_ns);
    }
    return nn->is_gated ? ei_gate_release(nn->gate, &slot->seat, ei_mono_now().ns, is_preempted) : EI_LANE_NOBODY;
}

int ei_job_run_network(struct ei_job_slot *slot)
{
    struct ei_course course = {0};
    if (must_move(slot, EINET_E_BACKEND)) { /* another task has found out */
        take_spare(slot, ei_mono_now().ns);
    }
    take_lane(slot, ei_mono_now().ns);
    if (slot->task->run->is_recording_stages) {
        slot->mark.start_ns = ei_mono_now().ns;
    }
    if (slot->task->own_network != NULL) {
        slot->task->own_network->record = &slot->record;
    }
    bool owes_preemption_record = slot->seat.victim_task_idx >= 0;
    const int rc = run_blocks(slot, &course, &owes_preemption_record);
    const int64_t ended_ns = ei_mono_now().ns;
    if (owes_preemption_record) { /* nothing was planned: the lane was taken for no block */
        push_preemption(slot, ei_mono_now().ns);
    }
    const int32_t next = leave_lane(slot, ended_ns, course.is_preempted);
    ei_network_end(ei_task_running(slot->task));
    ei_course_end(slot, &course, next, ended_ns, ei_mono_now().ns);
    if (rc == 0 && slot->record.exit_idx >= 0 && slot->record.outcome != EI_JOB_ABORTED) {
        (void)ei_answer_finalize(slot->task->answer); /* here, where no other job of the task publishes */
    }
    return rc;
}
