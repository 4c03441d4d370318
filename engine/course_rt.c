/* See course_rt.h. */
#include "engine/course_rt.h"

#include "engine/run_state.h"

/* ---- the whole job ---- */

void ei_course_job_begin(struct ei_job_slot *slot)
{
    struct ei_task_progress *progress = &slot->task->progress;
    if (atomic_load_explicit(&slot->task->watch.is_demoted, memory_order_acquire)) {
        slot->seat.claim.priority = 0;
    }
    /* Jobs begin in order, each when the one before it has left its first stage. */
    const int64_t n = atomic_load_explicit(&progress->begun, memory_order_relaxed);
    atomic_store_explicit(&progress->release_ns[n % EI_JOB_SLOTS_MAX], slot->record.release_ns, memory_order_relaxed);
    atomic_store_explicit(&progress->begun, n + 1, memory_order_release);
    slot->is_under_way = true;
    atomic_store_explicit(&slot->watch.job_idx, slot->record.job_idx, memory_order_release);
}

/* In the order of the jobs too: their networks end in it, and they themselves. */
static void end_way(struct ei_job_slot *slot)
{
    if (slot->is_under_way) {
        slot->is_under_way = false;
        atomic_fetch_add_explicit(&slot->task->progress.over, 1, memory_order_release);
    }
}

void ei_course_job_end(struct ei_job_slot *slot)
{
    end_way(slot);
    atomic_store_explicit(&slot->watch.job_idx, EI_WATCH_NO_JOB, memory_order_release);
}

int64_t ei_course_under_way(const struct ei_task_progress *progress, int64_t *out_oldest_ns)
{
    const int64_t over = atomic_load_explicit(&progress->over, memory_order_acquire);
    const int64_t begun = atomic_load_explicit(&progress->begun, memory_order_acquire);
    *out_oldest_ns = atomic_load_explicit(&progress->release_ns[over % EI_JOB_SLOTS_MAX], memory_order_relaxed);
    return begun - over;
}

int64_t ei_course_newest_ns(const struct ei_task_progress *progress)
{
    const int64_t begun = atomic_load_explicit(&progress->begun, memory_order_acquire);
    return begun == 0
               ? INT64_MIN
               : atomic_load_explicit(&progress->release_ns[(begun - 1) % EI_JOB_SLOTS_MAX], memory_order_relaxed);
}

bool ei_course_is_real_time(const struct ei_live_task *task)
{
    return (task->spec->class_ == EI_SPEC_CLASS_FIFO || task->deadline.is_refused) &&
           !atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire);
}

int32_t ei_course_priority(const struct ei_live_task *task)
{
    const int32_t own = task->deadline.is_refused ? task->spec->fallback_priority : task->spec->priority;
    return atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire) ? 0 : own;
}

int32_t ei_course_job_priority(const struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    const int32_t own = task->deadline.is_refused ? task->spec->fallback_priority : ei_slot_settings(slot)->priority;
    return atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire) ? 0 : own;
}

int64_t ei_course_lane_deadline_ns(const struct ei_job_slot *slot)
{
    const bool is_lowest =
        slot->seat.claim.priority < ei_slot_settings(slot)->priority; /* since before this job began */
    return is_lowest ? INT64_MAX : slot->record.deadline_ns;
}

struct ei_job_record ei_job_record_blank(const struct ei_live_task *task, struct ei_release release)
{
    const struct ei_run *run = task->run;
    const int64_t deadline_ns = atomic_load_explicit(&task->changes.deadline_ns, memory_order_relaxed);
    struct ei_job_record record = {
        .task_idx = task->idx,
        .job_idx = release.job_idx,
        .tag = release.tag,
        .frame = release.frame,
        .release_ns = release.nominal_ns,
        .deadline_ns = deadline_ns == EI_NONE_NS ? INT64_MAX : release.nominal_ns + deadline_ns,
        .sample_idx = -1,
        .label = -1,
        .top_label = -1,
        .planned_exit = -1,
        .exit_idx = -1,
        .preempted_by = -1,
        .profiled_ns = task->cpu_profile_ns,
        .priority = (uint8_t)atomic_load_explicit(&task->changes.priority, memory_order_relaxed),
    };
    if (release.nominal_ns < run->t0_ns + run->wl->run.warmup_ns) {
        record.flags |= EI_JOB_WARMUP;
    }
    if (task->spec->nn_stage_idx != EI_NONE_IDX) {
        record.flags |= EI_JOB_HAS_NN;
    }
    return record;
}

void ei_job_record_begin(struct ei_job_record *record, const struct ei_task_settings *settings)
{
    const int64_t deadline_ns = settings->deadline_ns;
    record->deadline_ns = deadline_ns == EI_NONE_NS ? INT64_MAX : record->release_ns + deadline_ns;
    record->priority = (uint8_t)settings->priority;
}

void ei_job_record_finish(struct ei_job_record *record, int rc, int64_t finish_ns)
{
    record->finish_ns = finish_ns;
    record->profiled_ns = record->profiled_ns > 0 ? record->profiled_ns : 0;
    if (rc < 0) {
        record->outcome = EI_JOB_ABORTED;
        record->cause = EI_CAUSE_FAULT;
    }
    if (record->outcome == EI_JOB_ABORTED) {
        record->exit_idx = -1;
        record->top_label = -1;
        record->flags &= ~(uint32_t)EI_JOB_ANSWERED;
    } else if (record->finish_ns > record->deadline_ns) {
        record->flags |= EI_JOB_MISSED;
    }
}

/* ---- its stages ---- */

void ei_course_stage_begin(struct ei_job_slot *slot, int32_t stage_idx, int64_t now_ns)
{
    slot->stage = (struct ei_stage_use){.stage_idx = stage_idx, .ready_ns = now_ns};
}

/* What is left of the stage's budget or timeout, the less; INT64_MAX = it has neither. */
static int64_t budget_left_ns(const struct ei_job_slot *slot, int64_t now_ns)
{
    const struct ei_stage_use *use = &slot->stage;
    const struct ei_stage_spec *spec = &slot->task->spec->stages[use->stage_idx];
    int64_t left_ns = INT64_MAX;
    if (spec->budget_ns != EI_NONE_NS) {
        left_ns = spec->budget_ns - use->used_ns;
    }
    if (spec->timeout_ns != EI_NONE_NS && spec->timeout_ns - (now_ns - use->ready_ns) < left_ns) {
        left_ns = spec->timeout_ns - (now_ns - use->ready_ns);
    }
    return left_ns;
}

bool ei_course_stage_end(struct ei_job_slot *slot, int64_t now_ns)
{
    struct ei_job_record *record = &slot->record;
    if (budget_left_ns(slot, now_ns) >= 0) {
        return true;
    }
    record->flags |= EI_JOB_OVERRUN;
    if (slot->task->spec->on_overrun != EI_SPEC_ON_OVERRUN_ABORT) {
        return true;
    }
    if (record->outcome != EI_JOB_ABORTED) {
        record->outcome = EI_JOB_ABORTED;
        record->cause = EI_CAUSE_OVERRUN;
    }
    return false;
}

/* ---- its network ---- */

int ei_course_begin(struct ei_job_slot *slot, struct ei_course *course, int64_t now_ns)
{
    struct ei_job_record *record = &slot->record;
    const int64_t elapsed_ns = now_ns - record->release_ns;
    slot->task->nn.settings = ei_slot_settings(slot);
    const struct ei_survival survival = ei_exit_time_begin(slot->task, record->release_ns, elapsed_ns);
    if ((record->flags & EI_JOB_WARMUP) == 0) {
        ei_exit_time_note(slot->task, &survival, record->release_ns, elapsed_ns);
    }
    const int rc = ei_elastic_begin(&slot->task->nn.job, ei_task_elastic(slot->task), &slot->task->nn.ws, &survival,
                                    elapsed_ns, &course->step);
    if (rc == 0) {
        record->planned_exit = (int16_t)slot->task->nn.job.planned_exit;
    }
    return rc;
}

/* A profile that is unknown in part stays unknown. */
static void note_profile(struct ei_job_slot *slot, int64_t p99_ns)
{
    slot->record.profiled_ns += slot->task->cpu_profile_ns >= 0 ? p99_ns : 0;
}

int32_t ei_course_piece(const struct ei_course *course)
{
    return course->step.kind == EI_STEP_BRANCH ? course->branch_pieces : course->conv_pieces;
}

int64_t ei_course_piece_ns(const struct ei_job_slot *slot, const struct ei_course *course)
{
    return ei_task_piece_count(slot->task, course->step) > 1
               ? ei_pieces_time(&slot->task->nn.pieces, course->step, ei_course_piece(course))->p99_ns
               : ei_elastic_step_ns(&slot->task->nn.job, course->step);
}

bool ei_course_piece_done(struct ei_job_slot *slot, struct ei_course *course)
{
    const bool is_branch = course->step.kind == EI_STEP_BRANCH;
    int32_t *pieces = is_branch ? &course->branch_pieces : &course->conv_pieces;
    course->since_point_ns += ei_course_piece_ns(slot, course);
    ++*pieces;
    if (*pieces < ei_task_piece_count(slot->task, course->step)) {
        return true;
    }
    course->conv_pieces = is_branch ? course->conv_pieces : 0;
    course->branch_pieces = 0;
    slot->record.blocks_done++;
    return false;
}

float ei_course_unanswered(const struct ei_course *course)
{
    return course->step.kind == EI_STEP_BRANCH ? EI_BLOCK_UNANSWERED : 0.0F;
}

/* What is left of the step, and what is done of it, as the planner counts parts: p99 and p50. */
static int64_t step_left_ns(const struct ei_job_slot *slot, const struct ei_course *course)
{
    const int32_t count = ei_task_piece_count(slot->task, course->step), done = ei_course_piece(course);
    if (course->step.kind == EI_STEP_FINISH || done == 0) {
        return ei_elastic_step_ns(&slot->task->nn.job, course->step);
    }
    int64_t left_ns = 0;
    for (int32_t i = done; i < count; i++) {
        left_ns += ei_pieces_time(&slot->task->nn.pieces, course->step, i)->p99_ns;
    }
    return left_ns;
}

static int64_t step_done_ns(const struct ei_job_slot *slot, const struct ei_course *course)
{
    const int32_t done = course->step.kind == EI_STEP_FINISH ? 0 : ei_course_piece(course);
    int64_t done_ns = 0;
    for (int32_t i = 0; i < done; i++) {
        done_ns += ei_pieces_time(&slot->task->nn.pieces, course->step, i)->p50_ns;
    }
    return done_ns;
}

int ei_course_conv_done(struct ei_job_slot *slot, struct ei_course *course, int32_t k)
{
    note_profile(slot, ei_task_times(slot->task)->conv[k].p99_ns);
    return ei_elastic_conv_done(&slot->task->nn.job, k, &course->step);
}

void ei_course_note_answer(struct ei_job_record *record, const struct ei_answer *answer)
{
    record->answer_ns = answer->published_ns;
    record->exits_mask |= UINT64_C(1) << answer->exit_idx;
    record->exit_idx = (int16_t)answer->exit_idx;
    record->top_label = answer->label;
    record->confidence = answer->confidence;
    record->flags |= EI_JOB_ANSWERED;
}

int ei_course_branch_done(struct ei_job_slot *slot, struct ei_course *course, int32_t k, float confidence,
                          int64_t now_ns)
{
    note_profile(slot, ei_task_times(slot->task)->branch[k].p99_ns);
    return ei_elastic_branch_done(&slot->task->nn.job, k, confidence, now_ns - slot->record.release_ns, &course->step);
}

struct ei_boundary ei_course_look(const struct ei_job_slot *slot, const struct ei_course *course, int64_t now_ns)
{
    const struct ei_elastic *job = &slot->task->nn.job;
    return (struct ei_boundary){
        .now_ns = now_ns,
        .deadline_ns = slot->record.deadline_ns,
        .next_answer_ns =
            ei_elastic_next_exit_ns(job) - ei_elastic_step_ns(job, course->step) + step_left_ns(slot, course),
        .after_ns = slot->task->after_ns,
        .budget_left_ns = budget_left_ns(slot, now_ns),
        .has_answer = (slot->record.flags & EI_JOB_ANSWERED) != 0,
        .preemptions = slot->record.preemptions,
    };
}

static enum ei_stop_reason stop_reason(enum ei_boundary_reason reason)
{
    switch (reason) {
    case EI_REASON_CANCELLED:
        return EI_STOP_CANCELLED;
    case EI_REASON_DEADLINE:
        return EI_STOP_DEADLINE;
    case EI_REASON_OVERRUN:
        return EI_STOP_OVERRUN;
    case EI_REASON_LOAD:
        return EI_STOP_LOAD_CAP;
    case EI_REASON_PREEMPTED:
        return EI_STOP_PREEMPTED;
    case EI_REASON_NONE:
        break;
    }
    return EI_STOP_NONE;
}

enum ei_boundary_action ei_course_pass(struct ei_job_slot *slot, struct ei_course *course,
                                       const struct ei_boundary *boundary)
{
    struct ei_boundary b = *boundary;
    b.since_point_ns = course->since_point_ns;
    b.next_block_ns = ei_course_piece_ns(slot, course);
    if (ei_boundary_is_point(&slot->task->nn.policy, &b)) {
        course->since_point_ns = 0;
    }
    if (b.is_higher_waiting && slot->task->nn.policy.on_preempt == EI_PREEMPT_ELASTIC && b.deadline_ns != INT64_MAX) {
        b.resumed_finish_ns =
            ei_exit_time_if_resumed(slot->task, b.next_answer_ns + b.after_ns, b.now_ns, b.deadline_ns);
    }
    const struct ei_boundary_verdict v = ei_boundary_decide(&slot->task->nn.policy, &b);
    switch (v.action) {
    case EI_BOUNDARY_GO_ON:
        break;
    case EI_BOUNDARY_YIELD:
        if (v.is_stop_after_yield) {
            course->step = ei_elastic_stop(&slot->task->nn.job, stop_reason(v.reason));
        }
        break;
    case EI_BOUNDARY_STOP:
        course->step = ei_elastic_stop(&slot->task->nn.job, stop_reason(v.reason));
        course->is_preempted = v.is_lane_passed_on && course->step.kind == EI_STEP_FINISH;
        break;
    case EI_BOUNDARY_ABORT:
        (void)ei_elastic_stop(&slot->task->nn.job, stop_reason(v.reason));
        course->is_aborted = true;
        course->step = (struct ei_step){.kind = EI_STEP_FINISH, .idx = EI_EXIT_NONE};
        break;
    }
    return v.action;
}

void ei_course_back(struct ei_job_slot *slot, struct ei_course *course, int32_t next_task_idx, int64_t now_ns)
{
    slot->record.preemptions++;
    slot->record.preempted_by = (int16_t)next_task_idx;
    const int64_t elapsed_ns = now_ns - slot->record.release_ns;
    if (slot->task->nn.policy.on_preempt == EI_PREEMPT_RESTART) {
        course->conv_pieces = course->branch_pieces = 0;
        course->step = ei_elastic_restarted(&slot->task->nn.job, elapsed_ns);
        return;
    }
    /* Plans are of whole parts: one that is done in part is as if the job had come so much earlier. */
    const int64_t done_ns = step_done_ns(slot, course);
    course->step = ei_elastic_preempted(&slot->task->nn.job, elapsed_ns > done_ns ? elapsed_ns - done_ns : 0);
}

void ei_course_moved(struct ei_job_slot *slot, struct ei_course *course, int64_t now_ns)
{
    slot->task->nn.job.config = ei_task_elastic(slot->task);
    course->since_point_ns = 0;
    course->conv_pieces = course->branch_pieces = 0;
    course->step = ei_elastic_restarted(&slot->task->nn.job, now_ns - slot->record.release_ns);
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
    case EI_STOP_OVERRUN:
        return EI_CAUSE_OVERRUN;
    case EI_STOP_NONE:
        break;
    }
    return EI_CAUSE_PLAN_DONE;
}

/* When the stop came: the preemptor's lane request, which fell into the block that ran last. */
static int64_t stop_ns(const struct ei_job_slot *slot, const struct ei_course *course, int32_t preemptor,
                       int64_t now_ns)
{
    if (preemptor < 0) {
        return now_ns;
    }
    const struct ei_task_progress *progress = &slot->task->run->tasks[preemptor].progress;
    int64_t begun_ns;
    if (ei_course_under_way(progress, &begun_ns) == 0) { /* its network is over already */
        begun_ns = ei_course_newest_ns(progress);
    }
    const int64_t at_least_ns = begun_ns > course->block_start_ns ? begun_ns : course->block_start_ns;
    return at_least_ns < now_ns ? at_least_ns : now_ns;
}

void ei_course_end(struct ei_job_slot *slot, const struct ei_course *course, int32_t next_task_idx, int64_t ended_ns,
                   int64_t now_ns)
{
    struct ei_job_record *record = &slot->record;
    end_way(slot);
    if (course->is_preempted && next_task_idx != EI_LANE_NOBODY) {
        record->preemptions++;
        record->preempted_by = (int16_t)next_task_idx;
    }
    record->part_ns[EI_PART_BLOCKING] += slot->seat.below_ns;
    record->part_ns[EI_PART_LANE_QUEUE] += slot->seat.queue_ns;
    if (course->is_aborted) {
        record->outcome = EI_JOB_ABORTED;
    }
    const enum ei_stop_reason reason = slot->task->nn.job.stop_reason;
    record->cause = cause_of(reason);
    record->replans = (int16_t)slot->task->nn.job.replans;
    /* The deadline has its own place in the exit times; what is learnt are the stops that nobody announces. */
    const bool is_forced = reason == EI_STOP_PREEMPTED || reason == EI_STOP_LOAD_CAP;
    const int64_t end_ns = reason == EI_STOP_PREEMPTED ? stop_ns(slot, course, next_task_idx, now_ns) : ended_ns;
    ei_exit_time_end(slot->task, end_ns - record->release_ns, is_forced);
    (void)ei_course_stage_end(slot, ended_ns); /* not after the lane went on: that may cost this thread its CPU */
}
