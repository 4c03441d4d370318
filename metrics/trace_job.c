/* See trace_state.h. */
#include "metrics/trace_state.h"

/* ---- backlog ---- */

void ei_trace_write_steps(struct ei_trace_writer *writer, int32_t task_idx, int32_t count)
{
    struct ei_trace_task_state *task = &writer->tasks[task_idx];
    for (int32_t i = 0; i < count; i++) {
        task->backlog += task->steps[i].change;
        task->stepped_ns = task->steps[i].at_ns;
        const bool is_last = i + 1 == task->step_count || task->steps[i + 1].at_ns != task->steps[i].at_ns;
        if (is_last && task->backlog != task->shown_backlog) {
            struct ei_trace_event event = {.at_ns = task->steps[i].at_ns,
                                           .track = ei_trace_task_track(task_idx, EI_TRACE_UUID_BACKLOG),
                                           .type = EI_TRACE_COUNTER,
                                           .number = task->backlog};
            ei_trace_write(writer, task_idx, EI_TRACE_OF_BACKLOG, &event);
            task->shown_backlog = task->backlog;
        }
    }
    memmove(task->steps, &task->steps[count], (size_t)(task->step_count - count) * sizeof task->steps[0]);
    task->step_count -= count;
}

static void add_step(struct ei_trace_writer *writer, int32_t task_idx, int64_t at_ns, int32_t change)
{
    struct ei_trace_task_state *task = &writer->tasks[task_idx];
    if (task->step_count == EI_TRACE_BACKLOG_KEPT) {
        ei_trace_write_steps(writer, task_idx, EI_TRACE_BACKLOG_KEPT / 2);
    }
    int32_t at = task->step_count;
    at_ns = at_ns < task->stepped_ns ? task->stepped_ns : at_ns;
    while (at > 0 && task->steps[at - 1].at_ns > at_ns) {
        task->steps[at] = task->steps[at - 1];
        at--;
    }
    task->steps[at] = (struct ei_trace_step){at_ns, change};
    task->step_count++;
}

/* ---- jobs ---- */

static struct ei_trace_event *new_event(struct ei_trace_writer *writer, int64_t at_ns, uint64_t track,
                                        enum ei_trace_event_type type, int32_t name, int32_t category)
{
    struct ei_trace_event *event =
        writer->group_count < writer->group_max ? &writer->group[writer->group_count++] : &writer->surplus;
    event->at_ns = at_ns;
    event->track = track;
    event->type = type;
    event->flow = EI_TRACE_FLOW_NONE;
    event->name = (uint32_t)name;
    event->category = (uint32_t)category;
    event->arg_count = 0;
    event->is_real = false;
    return event;
}

static int compare_times(const struct ei_trace_event *a, const struct ei_trace_event *b)
{
    return a->at_ns < b->at_ns ? -1 : (a->at_ns > b->at_ns);
}

/* In the order of time, and of what is at one time in the order of making. */
static void write_group(struct ei_trace_writer *writer, int32_t task_idx)
{
    int32_t order[2 * EI_TRACE_SLOTS_MAX * (EI_TRACE_STAGES_MAX + 2 * EI_TRACE_EXITS_MAX) + 8];
    for (int32_t i = 0; i < writer->group_count; i++) {
        int32_t at = i;
        while (at > 0 && compare_times(&writer->group[order[at - 1]], &writer->group[i]) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    for (int32_t i = 0; i < writer->group_count; i++) {
        ei_trace_write(writer, task_idx, EI_TRACE_OF_JOBS, &writer->group[order[i]]);
    }
    writer->group_count = 0;
}

static uint64_t flow_of(const struct ei_trace_writer *writer, const struct ei_job_record *job)
{
    const uint64_t own = ((uint64_t)job->task_idx + 1) << 44 | ((uint64_t)job->job_idx & ((UINT64_C(1) << 44) - 1));
    return own ^ writer->setup->flow_scope;
}

static void set_flow(struct ei_trace_event *event, enum ei_trace_flow flow, uint64_t id)
{
    event->flow = flow;
    event->flow_id = id;
}

static void draw_stage(struct ei_trace_writer *writer, const struct ei_job_record *job,
                       const struct ei_stage_record *stage)
{
    struct ei_trace_task_state *task = &writer->tasks[job->task_idx];
    const uint64_t track = ei_trace_task_track(job->task_idx, EI_TRACE_UUID_SLOTS + job->slot);
    const int64_t start_ns = ei_trace_within(stage->start_ns, task->thread_free_ns[job->slot], INT64_MAX);
    const int64_t end_ns = ei_trace_within(stage->end_ns, start_ns, INT64_MAX);
    task->thread_free_ns[job->slot] = end_ns;
    struct ei_trace_event *event = new_event(writer, start_ns, track, EI_TRACE_BEGIN,
                                             EI_TRACE_NAME_STAGES + stage->stage_idx, EI_TRACE_CATEGORY_STAGE);
    set_flow(event, EI_TRACE_FLOW_STEP, flow_of(writer, job));
    ei_trace_add_int(event, EI_TRACE_ARG_JOB, job->job_idx);
    if (stage->cpu >= 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_CPU, stage->cpu);
    }
    if (stage->cpu_ns >= 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_CPU_NS, stage->cpu_ns);
    }
    if (stage->start_ns > stage->ready_ns) {
        ei_trace_add_int(event, EI_TRACE_ARG_WAIT_NS, stage->start_ns - stage->ready_ns);
    }
    new_event(writer, end_ns, track, EI_TRACE_END, 0, 0);
}

static void draw_exit(struct ei_trace_writer *writer, int32_t task_idx, int32_t exit_idx, int64_t at_ns,
                      uint64_t row_track, double confidence)
{
    const int32_t last = writer->setup->tasks[task_idx].exits - 1;
    if (exit_idx < 0 || exit_idx > last) {
        return;
    }
    struct ei_trace_event *event =
        new_event(writer, at_ns, row_track, EI_TRACE_INSTANT, EI_TRACE_NAME_EXITS + exit_idx, EI_TRACE_CATEGORY_EXIT);
    ei_trace_add_real(event, EI_TRACE_ARG_CONFIDENCE, confidence);
    event = new_event(writer, at_ns, ei_trace_task_track(task_idx, EI_TRACE_UUID_CONFIDENCE), EI_TRACE_COUNTER, 0, 0);
    event->is_real = true;
    event->real = confidence;
}

/* What was held for the job goes, what was held for others stays. Returns how many exits were drawn. */
static int32_t draw_pending(struct ei_trace_writer *writer, const struct ei_job_record *job, uint64_t row_track,
                            int64_t from_ns, int64_t to_ns)
{
    struct ei_trace_task_state *task = &writer->tasks[job->task_idx];
    int32_t kept = 0, exits = 0;
    for (int32_t i = 0; i < task->pending_count; i++) {
        const struct ei_trace_pending *p = &task->pending[i];
        if ((p->is_exit ? p->u.exit.job_idx : p->u.stage.job_idx) != job->job_idx) {
            task->pending[kept++] = *p;
        } else if (p->is_exit) {
            draw_exit(writer, job->task_idx, p->u.exit.block_idx, ei_trace_within(p->u.exit.end_ns, from_ns, to_ns),
                      row_track, (double)p->u.exit.confidence);
            exits++;
        } else {
            draw_stage(writer, job, &p->u.stage);
        }
    }
    task->pending_count = kept;
    return exits;
}

static void draw_deadline(struct ei_trace_writer *writer, const struct ei_job_record *job)
{
    if (job->deadline_ns == INT64_MAX) {
        return;
    }
    const bool is_missed = (job->flags & EI_JOB_MISSED) != 0;
    struct ei_trace_event *event =
        new_event(writer, job->deadline_ns, ei_trace_task_track(job->task_idx, EI_TRACE_UUID_MARKS), EI_TRACE_INSTANT,
                  is_missed ? EI_TRACE_NAME_DEADLINE_MISSED : EI_TRACE_NAME_DEADLINE, EI_TRACE_CATEGORY_DEADLINE);
    ei_trace_add_int(event, EI_TRACE_ARG_JOB, job->job_idx);
}

static void describe_job(struct ei_trace_event *event, const struct ei_job_record *job)
{
    ei_trace_add_int(event, EI_TRACE_ARG_JOB, job->job_idx);
    ei_trace_add_text(event, EI_TRACE_ARG_OUTCOME, EI_TRACE_TEXT_OUTCOMES + job->outcome);
    ei_trace_add_text(event, EI_TRACE_ARG_CAUSE, EI_TRACE_TEXT_CAUSES + job->cause);
    if (job->planned_exit >= 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_PLANNED, job->planned_exit);
    }
    if (job->exit_idx >= 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_EXIT, job->exit_idx);
        ei_trace_add_real(event, EI_TRACE_ARG_CONFIDENCE, (double)job->confidence);
    }
    if (job->preemptions > 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_PREEMPTIONS, job->preemptions);
    }
    if (job->lane_wait_ns > 0) {
        ei_trace_add_int(event, EI_TRACE_ARG_LANE_WAIT_NS, job->lane_wait_ns);
    }
}

/* A release that did not become a job. */
static void draw_unrun(struct ei_trace_writer *writer, const struct ei_job_record *job)
{
    describe_job(new_event(writer, job->release_ns, ei_trace_task_track(job->task_idx, EI_TRACE_UUID_MARKS),
                           EI_TRACE_INSTANT,
                           job->outcome == EI_JOB_SKIPPED ? EI_TRACE_NAME_SKIPPED : EI_TRACE_NAME_DROPPED,
                           EI_TRACE_CATEGORY_JOB),
                 job);
    write_group(writer, job->task_idx);
}

void ei_trace_draw_job(struct ei_trace_writer *writer, const struct ei_job_record *job)
{
    struct ei_trace_task_state *task = &writer->tasks[job->task_idx];
    if (job->outcome > EI_JOB_ABORTED) {
        draw_unrun(writer, job);
        return;
    }
    int64_t start_ns = job->release_ns, end_ns = job->finish_ns;
    const int32_t rows_before = task->row_count;
    const int32_t row = ei_trace_rows_place(task->rows, EI_TRACE_JOB_ROWS, &task->row_count, &start_ns, &end_ns);
    const uint64_t track = ei_trace_task_track(job->task_idx, EI_TRACE_UUID_ROWS + row);
    if (row > 0 && task->row_count > rows_before) {
        ei_trace_put_row(writer, job->task_idx, row);
    }
    const uint64_t flow = flow_of(writer, job);
    struct ei_trace_event *event =
        new_event(writer, start_ns, track, EI_TRACE_BEGIN,
                  (job->flags & EI_JOB_MISSED) != 0 ? EI_TRACE_NAME_MISSED : EI_TRACE_NAME_JOB, EI_TRACE_CATEGORY_JOB);
    set_flow(event, EI_TRACE_FLOW_STEP, flow);
    describe_job(event, job);
    const int32_t exits = draw_pending(writer, job, track, start_ns, end_ns);
    if (exits == 0 && (job->flags & EI_JOB_ANSWERED) != 0) {
        draw_exit(writer, job->task_idx, job->exit_idx, ei_trace_within(job->answer_ns, start_ns, end_ns), track,
                  (double)job->confidence);
    }
    event = new_event(writer, end_ns, track, EI_TRACE_INSTANT, EI_TRACE_NAME_FINISH, EI_TRACE_CATEGORY_JOB);
    set_flow(event, EI_TRACE_FLOW_END, flow);
    new_event(writer, end_ns, track, EI_TRACE_END, 0, 0);
    draw_deadline(writer, job);
    write_group(writer, job->task_idx);
    add_step(writer, job->task_idx, start_ns, 1);
    add_step(writer, job->task_idx, end_ns, -1);
}

void ei_trace_hold(struct ei_trace_writer *writer, int32_t task_idx, struct ei_trace_pending pending)
{
    struct ei_trace_task_state *task = &writer->tasks[task_idx];
    if (task->pending_count == task->pending_max) {
        task->pending_count--;
        memmove(task->pending, task->pending + 1, (size_t)task->pending_count * sizeof task->pending[0]);
        writer->strays++;
    }
    task->pending[task->pending_count++] = pending;
}
