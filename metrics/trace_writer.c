/* See trace_writer.h. */
#include "metrics/collector.h"
#include "metrics/jobs_csv.h"
#include "metrics/trace_state.h"

#include <errno.h>
#include <stdlib.h>

/* ---- create ---- */

void ei_trace_writer_destroy(struct ei_trace_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (int32_t i = 0; writer->tasks != NULL && i < writer->setup->task_count; i++) {
        free(writer->tasks[i].pending);
    }
    free(writer->tasks);
    free(writer->group);
    free(writer);
}

static bool is_valid(const struct ei_trace_setup *setup)
{
    bool is_ok = setup->task_count >= 1 && setup->task_count <= EI_METRICS_TASKS_MAX && setup->lane_count >= 0 &&
                 setup->lane_count <= EI_TRACE_LANES_MAX;
    for (int32_t i = 0; is_ok && i < setup->task_count; i++) {
        const struct ei_trace_task *task = &setup->tasks[i];
        is_ok = task->stage_count >= 0 && task->stage_count <= EI_TRACE_STAGES_MAX && task->exits >= 0 &&
                task->exits <= EI_TRACE_EXITS_MAX && task->slots >= 1 && task->slots <= EI_TRACE_SLOTS_MAX;
    }
    return is_ok;
}

int ei_trace_writer_create(const struct ei_trace_setup *setup, struct ei_trace_writer **out)
{
    if (!is_valid(setup)) {
        return -EINVAL;
    }
    struct ei_trace_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->setup = setup;
    writer->tasks = calloc((size_t)setup->task_count, sizeof *writer->tasks);
    int rc = writer->tasks == NULL ? -ENOMEM : 0;
    for (int32_t i = 0; rc == 0 && i < setup->task_count; i++) {
        struct ei_trace_task_state *task = &writer->tasks[i];
        /* A job that is restarted goes through its exits again. */
        task->pending_max = setup->tasks[i].slots * (EI_TRACE_STAGES_MAX + 2 * setup->tasks[i].exits);
        task->pending = calloc((size_t)task->pending_max, sizeof *task->pending);
        const int32_t group_max = 2 * task->pending_max + 8;
        writer->group_max = group_max > writer->group_max ? group_max : writer->group_max;
        rc = task->pending == NULL ? -ENOMEM : 0;
    }
    writer->group = rc == 0 ? calloc((size_t)writer->group_max, sizeof *writer->group) : NULL;
    if (writer->group == NULL) {
        ei_trace_writer_destroy(writer);
        return -ENOMEM;
    }
    *out = writer;
    return 0;
}

/* ---- tracks ---- */

static void put_lane_row(struct ei_trace_writer *writer, int32_t lane_idx, int32_t row)
{
    char name[EI_TRACE_TEXT_BYTES];
    snprintf(name, sizeof name, "lane %s", writer->setup->lanes[lane_idx]);
    ei_trace_put_plain_track(writer, (uint64_t)(EI_TRACE_UUID_LANES + lane_idx * EI_TRACE_LANE_ROWS + row),
                             EI_TRACE_UUID_PROCESS, EI_TRACE_TRACK_PLAIN, name);
}

void ei_trace_put_row(struct ei_trace_writer *writer, int32_t task_idx, int32_t row)
{
    ei_trace_put_plain_track(writer, ei_trace_task_track(task_idx, EI_TRACE_UUID_ROWS + row),
                             ei_trace_task_track(task_idx, 0), EI_TRACE_TRACK_PLAIN, "jobs");
}

static void put_cpu(struct ei_trace_writer *writer, int32_t cpu)
{
    char name[64];
    snprintf(name, sizeof name, "gaps of cpu %d%s", (int)cpu,
             writer->setup->is_probe_outranked ? " (probe not real-time)" : "");
    ei_trace_put_plain_track(writer, (uint64_t)EI_TRACE_UUID_NOISE + (uint64_t)cpu, EI_TRACE_UUID_PROCESS,
                             EI_TRACE_TRACK_PLAIN, name);
}

static void describe_process(struct ei_trace_writer *writer)
{
    const struct ei_trace_setup *setup = writer->setup;
    const struct ei_trace_track process = {
        .uuid = EI_TRACE_UUID_PROCESS, .kind = EI_TRACE_TRACK_PROCESS, .name = setup->process, .pid = setup->pid};
    ei_trace_put_track(&writer->stream, &process);
    for (int32_t i = 0; i < setup->lane_count; i++) {
        for (int32_t row = 0; row == 0 || row < writer->lane_row_count[i]; row++) {
            put_lane_row(writer, i, row);
        }
    }
    for (int32_t cpu = 0; cpu < EI_TRACE_CPUS_MAX; cpu++) {
        if (writer->has_cpu[cpu]) {
            put_cpu(writer, cpu);
        }
    }
}

void ei_trace_describe(struct ei_trace_writer *writer, int32_t i)
{
    if (i < 0) {
        describe_process(writer);
        return;
    }
    const struct ei_trace_task *task = &writer->setup->tasks[i];
    const uint64_t group = ei_trace_task_track(i, 0);
    char name[EI_TRACE_TEXT_BYTES];
    snprintf(name, sizeof name, "task %s", task->name);
    ei_trace_put_plain_track(writer, group, EI_TRACE_UUID_PROCESS, EI_TRACE_TRACK_PLAIN, name);
    for (int32_t row = 0; row == 0 || row < writer->tasks[i].row_count; row++) {
        ei_trace_put_row(writer, i, row);
    }
    ei_trace_put_plain_track(writer, ei_trace_task_track(i, EI_TRACE_UUID_MARKS), group, EI_TRACE_TRACK_PLAIN,
                             "deadlines and preemptions");
    ei_trace_put_plain_track(writer, ei_trace_task_track(i, EI_TRACE_UUID_BACKLOG), group, EI_TRACE_TRACK_COUNTER,
                             "backlog");
    if (task->exits > 0) {
        ei_trace_put_plain_track(writer, ei_trace_task_track(i, EI_TRACE_UUID_CONFIDENCE), group,
                                 EI_TRACE_TRACK_COUNTER, "confidence");
    }
    for (int32_t slot = 0; slot < task->slots; slot++) {
        const struct ei_trace_track thread = {.uuid = ei_trace_task_track(i, EI_TRACE_UUID_SLOTS + slot),
                                              .parent = EI_TRACE_UUID_PROCESS,
                                              .kind = EI_TRACE_TRACK_THREAD,
                                              .name = task->name,
                                              .pid = writer->setup->pid,
                                              .tid = task->tids[slot]};
        ei_trace_put_track(&writer->stream, &thread);
    }
}

void ei_trace_writer_begin(struct ei_trace_writer *writer, struct ei_line_file *out)
{
    const struct ei_trace_setup *setup = writer->setup;
    writer->stream = (struct ei_trace_stream){.out = out, .epoch = 1};
    writer->strays = 0;
    writer->common = (struct ei_trace_sequence){.id = EI_TRACE_SEQUENCE_COMMON, .default_track = EI_TRACE_UUID_PROCESS};
    memset(writer->lane_row_count, 0, sizeof writer->lane_row_count);
    memset(writer->gap_free_ns, 0, sizeof writer->gap_free_ns);
    memset(writer->has_cpu, 0, sizeof writer->has_cpu);
    ei_trace_put_clocks(&writer->stream, setup->monotonic_ns, setup->boottime_ns, setup->realtime_ns);
    ei_trace_describe(writer, -1);
    for (int32_t i = 0; i < setup->task_count; i++) {
        struct ei_trace_task_state *task = &writer->tasks[i];
        static const int32_t tracks[EI_TRACE_SEQUENCES_OF_TASK] = {[EI_TRACE_OF_JOBS] = EI_TRACE_UUID_ROWS,
                                                                   [EI_TRACE_OF_BLOCKS] = EI_TRACE_UUID_SLOTS,
                                                                   [EI_TRACE_OF_BACKLOG] = EI_TRACE_UUID_BACKLOG};
        for (int32_t k = 0; k < EI_TRACE_SEQUENCES_OF_TASK; k++) {
            task->sequences[k] = (struct ei_trace_sequence){
                .id = (uint32_t)(EI_TRACE_SEQUENCE_TASKS + EI_TRACE_SEQUENCES_OF_TASK * i + k),
                .default_track = ei_trace_task_track(i, tracks[k])};
        }
        task->row_count = 0;
        memset(task->thread_free_ns, 0, sizeof task->thread_free_ns);
        task->pending_count = 0;
        task->step_count = 0;
        task->stepped_ns = 0;
        task->backlog = 0;
        task->shown_backlog = 0;
        ei_trace_describe(writer, i);
    }
}

/* ---- blocks, preemptions, noise ---- */

static void draw_block(struct ei_trace_writer *writer, const struct ei_block_record *block)
{
    const int32_t lane = block->lane_idx;
    if (lane < 0 || lane >= writer->setup->lane_count) {
        return;
    }
    int64_t start_ns = block->start_ns, end_ns = block->end_ns;
    const int32_t rows_before = writer->lane_row_count[lane];
    const int32_t row =
        ei_trace_rows_place(writer->lanes[lane], EI_TRACE_LANE_ROWS, &writer->lane_row_count[lane], &start_ns, &end_ns);
    if (row > 0 && writer->lane_row_count[lane] > rows_before) {
        put_lane_row(writer, lane, row);
    }
    const bool is_known = block->block_idx >= 0 && block->block_idx < writer->setup->tasks[block->task_idx].exits;
    const int32_t name = is_known
                             ? (block->is_branch != 0 ? EI_TRACE_NAME_BRANCHES : EI_TRACE_NAME_CONVS) + block->block_idx
                             : EI_TRACE_NAME_BLOCK;
    struct ei_trace_event event = {.at_ns = start_ns,
                                   .track = (uint64_t)(EI_TRACE_UUID_LANES + lane * EI_TRACE_LANE_ROWS + row),
                                   .type = EI_TRACE_BEGIN,
                                   .name = (uint32_t)name,
                                   .category = EI_TRACE_CATEGORY_BLOCK};
    ei_trace_add_int(&event, EI_TRACE_ARG_JOB, block->job_idx);
    if (block->is_branch != 0 && block->confidence >= 0.0F) {
        ei_trace_add_real(&event, EI_TRACE_ARG_CONFIDENCE, (double)block->confidence);
    }
    ei_trace_write(writer, block->task_idx, EI_TRACE_OF_BLOCKS, &event);
    event = (struct ei_trace_event){.at_ns = end_ns, .track = event.track, .type = EI_TRACE_END};
    ei_trace_write(writer, block->task_idx, EI_TRACE_OF_BLOCKS, &event);
}

static void draw_preemption(struct ei_trace_writer *writer, const struct ei_preemption_record *preemption)
{
    struct ei_trace_event event = {.at_ns = preemption->block_end_ns != 0 ? preemption->block_end_ns
                                                                          : preemption->request_ns,
                                   .track = ei_trace_task_track(preemption->victim_task_idx, EI_TRACE_UUID_MARKS),
                                   .type = EI_TRACE_INSTANT,
                                   .name = EI_TRACE_NAME_PREEMPTED,
                                   .category = EI_TRACE_CATEGORY_PREEMPTION};
    ei_trace_add_int(&event, EI_TRACE_ARG_JOB, preemption->victim_job_idx);
    ei_trace_add_text(&event, EI_TRACE_ARG_BY, EI_TRACE_TEXT_TASKS + preemption->preemptor_task_idx);
    ei_trace_add_int(&event, EI_TRACE_ARG_BY_JOB, preemption->preemptor_job_idx);
    if (preemption->block_end_ns != 0) {
        ei_trace_add_int(&event, EI_TRACE_ARG_BLOCKING_NS, preemption->block_end_ns - preemption->request_ns);
        if (preemption->first_block_ns != 0) {
            ei_trace_add_int(&event, EI_TRACE_ARG_SWITCH_NS, preemption->first_block_ns - preemption->block_end_ns);
        }
    }
    ei_trace_write(writer, -1, 0, &event);
}

static void draw_gap(struct ei_trace_writer *writer, const struct ei_gap_record *gap)
{
    if (gap->cpu < 0 || gap->cpu >= EI_TRACE_CPUS_MAX || gap->actual_ns - gap->expected_ns <= EI_METRICS_GAP_MIN_NS) {
        return;
    }
    const uint64_t track = (uint64_t)EI_TRACE_UUID_NOISE + (uint64_t)gap->cpu;
    if (!writer->has_cpu[gap->cpu]) {
        writer->has_cpu[gap->cpu] = true;
        put_cpu(writer, gap->cpu);
    }
    const int64_t start_ns = ei_trace_within(gap->expected_ns, writer->gap_free_ns[gap->cpu], INT64_MAX);
    const int64_t end_ns = ei_trace_within(gap->actual_ns, start_ns, INT64_MAX);
    writer->gap_free_ns[gap->cpu] = end_ns;
    struct ei_trace_event event = {.at_ns = start_ns,
                                   .track = track,
                                   .type = EI_TRACE_BEGIN,
                                   .name = EI_TRACE_NAME_GAP,
                                   .category = EI_TRACE_CATEGORY_NOISE};
    ei_trace_write(writer, -1, 0, &event);
    event = (struct ei_trace_event){.at_ns = end_ns, .track = track, .type = EI_TRACE_END};
    ei_trace_write(writer, -1, 0, &event);
}

/* ---- records ---- */

static bool is_task(const struct ei_trace_writer *writer, int32_t task_idx)
{
    return task_idx >= 0 && task_idx < writer->setup->task_count;
}

void ei_trace_writer_add(struct ei_trace_writer *writer, const struct ei_record *record)
{
    const struct ei_job_record *job = &record->u.job;
    const struct ei_stage_record *stage = &record->u.stage;
    const struct ei_block_record *block = &record->u.block;
    const struct ei_preemption_record *preemption = &record->u.preemption;
    switch (record->kind) {
    case EI_RECORD_JOB:
        if (is_task(writer, job->task_idx) && job->outcome < EI_TRACE_OUTCOMES && job->cause < EI_JOB_CAUSES &&
            job->slot < writer->setup->tasks[job->task_idx].slots) {
            ei_trace_draw_job(writer, job);
        }
        break;
    case EI_RECORD_STAGE:
        if (is_task(writer, stage->task_idx) && stage->stage_idx >= 0 &&
            stage->stage_idx < writer->setup->tasks[stage->task_idx].stage_count) {
            ei_trace_hold(writer, stage->task_idx, (struct ei_trace_pending){.u.stage = *stage});
        }
        break;
    case EI_RECORD_BLOCK:
        if (is_task(writer, block->task_idx)) {
            draw_block(writer, block);
            if (block->is_branch != 0) {
                ei_trace_hold(writer, block->task_idx, (struct ei_trace_pending){.is_exit = true, .u.exit = *block});
            }
        }
        break;
    case EI_RECORD_PREEMPTION:
        if (is_task(writer, preemption->victim_task_idx) && is_task(writer, preemption->preemptor_task_idx)) {
            draw_preemption(writer, preemption);
        }
        break;
    case EI_RECORD_GAP:
        draw_gap(writer, &record->u.gap);
        break;
    default:
        break;
    }
}

void ei_trace_writer_rename(struct ei_trace_writer *writer)
{
    describe_process(writer);
}

void ei_trace_writer_end(struct ei_trace_writer *writer)
{
    for (int32_t i = 0; i < writer->setup->task_count; i++) {
        ei_trace_write_steps(writer, i, writer->tasks[i].step_count);
        writer->strays += writer->tasks[i].pending_count;
    }
    ei_trace_flush(&writer->stream);
}

int64_t ei_trace_writer_events(const struct ei_trace_writer *writer)
{
    return writer->stream.events;
}

int64_t ei_trace_writer_lost(const struct ei_trace_writer *writer)
{
    return writer->stream.lost_events;
}

int64_t ei_trace_writer_strays(const struct ei_trace_writer *writer)
{
    return writer->strays;
}
