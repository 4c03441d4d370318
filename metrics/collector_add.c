/* See collector.h: add. Each record goes to the counts of its task, a job's also to the lines of the files. */
#include "metrics/collector_state.h"

/* Gaps against what they would have to explain, and the split of a job that ran. */
struct explanation {
    int64_t gap_ns;
    bool is_explained;
    struct ei_job_split split;
    int miss_cause; /* enum ei_miss_cause */
};

/* A job that ran is explained when gaps between its release and its finish add up to at least its tardiness. A release
 * that found its predecessor still running is explained when gaps in the predecessor's own window add up to at least
 * the time by which that ended too late for it. */
static struct explanation explain(struct ei_collector *collector, const struct ei_metrics_task_state *task,
                                  const struct ei_job_record *job)
{
    const bool ran = job->outcome == EI_JOB_COMPLETED || job->outcome == EI_JOB_ABORTED;
    const int64_t from_ns = ran ? job->release_ns : task->last_release_ns;
    const int64_t to_ns = ran ? job->finish_ns : task->last_finish_ns;
    const int64_t limit_ns = ran ? job->deadline_ns : job->release_ns;
    bool can_explain;
    if (job->outcome == EI_JOB_COMPLETED) {
        can_explain = (job->flags & EI_JOB_MISSED) != 0;
    } else if (job->outcome == EI_JOB_ABORTED) {
        can_explain = job->cause == EI_CAUSE_DEADLINE;
    } else {
        can_explain = job->cause == EI_CAUSE_LATE || job->cause == EI_CAUSE_QUEUE;
    }
    struct explanation result = {.miss_cause = EI_MISS_NONE};
    if (ran || (can_explain && to_ns > limit_ns)) {
        result.gap_ns = ei_gap_history_covered_ns(&collector->gaps, &task->spec.cpus, from_ns, to_ns);
        result.is_explained = can_explain && to_ns > limit_ns && result.gap_ns > 0 && result.gap_ns >= to_ns - limit_ns;
    }
    if (ran) {
        result.split = ei_job_split(job, &collector->activities, &collector->gaps);
        result.miss_cause = can_explain ? ei_job_miss_cause(job, &result.split, result.gap_ns) : EI_MISS_NONE;
    }
    return result;
}

/* The line of a job; the line was begun. */
static void write_job(struct ei_collector *collector, struct ei_csv_line *line, const struct ei_job_record *job,
                      const struct explanation *explanation)
{
    const bool is_known = job->preempted_by >= 0 && job->preempted_by < collector->task_count;
    const struct ei_jobs_csv_context context = {
        .gap_ns = explanation->gap_ns,
        .is_explained = explanation->is_explained,
        .split = &explanation->split,
        .miss_cause = explanation->miss_cause,
        .is_degraded = json_array_size(collector->degraded) > 0,
        .preempted_by = is_known ? collector->tasks[job->preempted_by].spec.name : NULL,
    };
    ei_jobs_csv_line(line, job, &context);
    ei_line_file_add(&collector->jobs_csv, line);
}

static void sum_stage(struct ei_metrics_task_state *task, const struct ei_stage_record *stage)
{
    struct ei_stage_sum *sum = &task->stage_sums[stage->stage_idx];
    const int64_t wait_ns = stage->start_ns - stage->ready_ns;
    sum->runs++;
    sum->wait_ns += wait_ns;
    sum->wait_max_ns = wait_ns > sum->wait_max_ns ? wait_ns : sum->wait_max_ns;
    if (stage->cpu_ns >= 0) {
        sum->timed_runs++;
        sum->cpu_ns += stage->cpu_ns;
        sum->cpu_max_ns = stage->cpu_ns > sum->cpu_max_ns ? stage->cpu_ns : sum->cpu_max_ns;
    }
}

/* The lines of a job that ran, of its stages and blocks; the line was begun. */
static void write_stages(struct ei_collector *collector, struct ei_csv_line *line, struct ei_metrics_task_state *task,
                         const struct ei_job_record *job)
{
    const size_t begun = line->length;
    const struct ei_record *record;
    int32_t index = 0;
    while ((record = ei_held_stages_next(&task->held, job->job_idx, &index)) != NULL) {
        const bool is_stage = record->kind == EI_RECORD_STAGE;
        const int32_t lane = is_stage ? -1 : record->u.block.lane_idx;
        const struct ei_stages_csv_context context = {
            .release_ns = job->release_ns,
            .stage = &task->stages[is_stage ? record->u.stage.stage_idx : record->u.block.stage_idx],
            .lane = lane >= 0 && lane < collector->lane_count ? &collector->lanes[lane].piece : &collector->no_lane,
        };
        if (is_stage && (job->flags & EI_JOB_WARMUP) == 0) {
            sum_stage(task, &record->u.stage);
        }
        line->length = begun;
        ei_stages_csv_line(line, record, &context);
        ei_line_file_add(&collector->stages_csv, line);
    }
    ei_held_stages_end(&task->held, job->job_idx);
}

/* What the files say of a job. */
static void write_lines(struct ei_collector *collector, struct ei_metrics_task_state *task,
                        const struct ei_job_record *job, const struct explanation *explanation)
{
    const bool has_stages =
        collector->has_stages_csv && (job->outcome == EI_JOB_COMPLETED || job->outcome == EI_JOB_ABORTED);
    struct ei_csv_line line;
    if (!collector->has_jobs_csv && !has_stages) {
        return;
    }
    ei_jobs_csv_begin(&line, task->spec.name, job, collector->t0_ns);
    const size_t begun = line.length;
    if (collector->has_jobs_csv) {
        write_job(collector, &line, job, explanation);
        line.length = begun;
    }
    if (has_stages) {
        write_stages(collector, &line, task, job);
    }
}

static void count_network(struct ei_metrics_task_state *task, const struct ei_job_record *job)
{
    const bool is_answered = (job->flags & EI_JOB_ANSWERED) != 0;
    const bool is_labelled = (job->flags & EI_JOB_LABELLED) != 0;
    const bool is_correct = is_answered && is_labelled && job->top_label == job->label;
    const bool has_exit = is_answered && job->exit_idx >= 0 && job->exit_idx < task->spec.exits;
    task->with_network++;
    task->answered += is_answered;
    task->labelled += is_labelled;
    task->labelled_answered += is_labelled && is_answered;
    task->correct += is_correct;
    task->correct_in_time += is_correct && job->answer_ns <= job->deadline_ns;
    if (has_exit) {
        task->exits[job->exit_idx]++;
        task->exit_labelled[job->exit_idx] += is_labelled;
        task->exit_correct[job->exit_idx] += is_correct;
    }
    if (job->preemptions > 0) {
        task->preempted_past_first_exit += job->exits_mask != 0;
        task->preempted_answered += is_answered;
        task->preempted_labelled += is_labelled;
        task->preempted_correct += is_correct;
    }
    task->replans += job->replans;
    task->late_replans += job->late_replans;
}

static void count_below(struct ei_metrics_task_state *task, int64_t response_ns)
{
    int32_t bucket = 0;
    while (bucket < EI_METRICS_BOUNDS && response_ns > ei_metrics_bounds_ns[bucket]) {
        bucket++;
    }
    task->response_below[bucket]++;
}

/* A job that ran: completed or aborted. */
static void count_run(struct ei_metrics_task_state *task, const struct ei_job_record *job)
{
    if (job->awake_ns != 0) {
        ei_histogram_record(&task->jitter, job->awake_ns - job->release_ns);
    }
    if (job->start_ns != 0) {
        ei_histogram_record(&task->start_latency, job->start_ns - job->release_ns);
    }
    task->overruns += (job->flags & EI_JOB_OVERRUN) != 0;
    task->preemptions += job->preemptions;
    task->preempted_jobs += job->preemptions > 0;
    task->lane_busy_ns += job->lane_busy_ns;
    if ((job->flags & EI_JOB_HAS_NN) != 0) {
        ei_histogram_record(&task->lane_wait, job->lane_wait_ns);
        count_network(task, job);
    }
    if (job->outcome == EI_JOB_ABORTED) {
        task->aborted++;
        return;
    }
    task->completed++;
    task->last_response_ns = job->finish_ns - job->release_ns;
    ei_histogram_record(&task->response, task->last_response_ns);
    count_below(task, task->last_response_ns);
    if (job->deadline_ns != INT64_MAX) {
        const int64_t late_ns = job->finish_ns - job->deadline_ns;
        ei_histogram_record(&task->tardiness, late_ns > 0 ? late_ns : 0);
        if (late_ns <= 0) {
            ei_histogram_record(&task->earliness, -late_ns);
        }
    }
}

static void count_split(struct ei_metrics_task_state *task, const struct explanation *explanation)
{
    for (int i = 0; i < EI_PARTS; i++) {
        task->part_ns[i] += explanation->split.part_ns[i];
    }
    task->over_profile[explanation->split.over_profile]++;
    if (explanation->miss_cause != EI_MISS_NONE) {
        task->miss_causes[explanation->miss_cause]++;
    }
}

static enum ei_outcome count_job(struct ei_metrics_task_state *task, const struct ei_job_record *job,
                                 const struct explanation *explanation)
{
    const bool is_explained = explanation->is_explained;
    if ((job->flags & EI_JOB_WARMUP) != 0) {
        task->warmup++;
        return EI_OUTCOME_UNCOUNTED;
    }
    if (job->cause < EI_JOB_CAUSES) {
        task->causes[job->cause]++;
    }
    if (job->outcome == EI_JOB_COMPLETED || job->outcome == EI_JOB_ABORTED) {
        count_run(task, job);
        count_split(task, explanation);
    } else if (job->outcome == EI_JOB_SKIPPED) {
        task->skipped++;
    } else {
        task->dropped++;
    }
    if (job->outcome == EI_JOB_COMPLETED && (job->flags & EI_JOB_MISSED) == 0) {
        return EI_OUTCOME_MET;
    }
    if (job->outcome == EI_JOB_COMPLETED) {
        task->misses++;
        task->misses_explained += is_explained;
    } else {
        task->not_run_explained += is_explained;
    }
    return is_explained ? EI_OUTCOME_EXPLAINED : EI_OUTCOME_UNEXPLAINED;
}

static void add_job(struct ei_collector *collector, const struct ei_job_record *job)
{
    if (job->task_idx < 0 || job->task_idx >= collector->task_count || job->job_idx < 0 ||
        job->outcome > EI_JOB_DROPPED) {
        collector->records_invalid++;
        return;
    }
    struct ei_metrics_task_state *task = &collector->tasks[job->task_idx];
    const struct explanation explanation = explain(collector, task, job);
    write_lines(collector, task, job, &explanation);
    ei_outcome_sequence_add(&task->sequence, job->job_idx, count_job(task, job, &explanation));
    if (job->outcome == EI_JOB_COMPLETED || job->outcome == EI_JOB_ABORTED) {
        task->last_release_ns = job->release_ns;
        task->last_finish_ns = job->finish_ns;
    }
}

static void add_stage(struct ei_collector *collector, const struct ei_record *record, int32_t task_idx,
                      int32_t stage_idx)
{
    if (task_idx < 0 || task_idx >= collector->task_count || stage_idx < 0 ||
        stage_idx >= collector->tasks[task_idx].spec.stage_count) {
        collector->records_invalid++;
    } else if (collector->has_stages_csv) {
        ei_held_stages_add(&collector->tasks[task_idx].held, record);
    }
}

static void add_preemption(struct ei_collector *collector, const struct ei_preemption_record *preemption)
{
    const int32_t victim = preemption->victim_task_idx;
    const int32_t preemptor = preemption->preemptor_task_idx;
    if (victim < 0 || victim >= collector->task_count || preemptor < 0 || preemptor >= collector->task_count) {
        collector->records_invalid++;
        return;
    }
    if (preemption->request_ns - collector->t0_ns < collector->warmup_ns) {
        return;
    }
    struct ei_metrics_task_state *task = &collector->tasks[victim];
    task->preempted_by[preemptor]++;
    if (preemption->block_end_ns != 0) {
        ei_histogram_record(&task->blocking, preemption->block_end_ns - preemption->request_ns);
        if (preemption->first_block_ns != 0) {
            ei_histogram_record(&task->switching, preemption->first_block_ns - preemption->block_end_ns);
        }
    }
}

static void add_wakeup(struct ei_collector *collector, const struct ei_gap_record *gap)
{
    const int64_t late_ns = gap->actual_ns - gap->expected_ns;
    const bool is_gap = late_ns > EI_METRICS_GAP_MIN_NS;
    if (is_gap) {
        ei_gap_history_add(&collector->gaps, gap->cpu, (struct ei_gap){gap->expected_ns, gap->actual_ns});
    }
    if (gap->actual_ns - collector->t0_ns < collector->warmup_ns) {
        return;
    }
    collector->wakeups++;
    ei_histogram_record(&collector->lateness, late_ns);
    for (int32_t i = 0; i < collector->cpu_noise_count; i++) {
        if (collector->cpu_noise[i].cpu == gap->cpu) {
            ei_histogram_record(&collector->cpu_noise[i].lateness, late_ns);
        }
    }
    if (is_gap) {
        collector->gap_count++;
        collector->gap_total_ns += late_ns;
        collector->long_gap_count += late_ns >= EI_METRICS_LONG_GAP_MIN_NS;
    }
}

/* Of a job thread, which was where it gave its processor up. */
static void note_cpu(struct ei_collector *collector, const struct ei_activity_record *activity)
{
    if (activity->task_idx < 0 || activity->task_idx >= collector->task_count || activity->slot < 0 ||
        activity->slot >= EI_TRACE_SLOTS_MAX || activity->cpu < 0) {
        return;
    }
    struct ei_metrics_task_state *task = &collector->tasks[activity->task_idx];
    int32_t *seen = &task->cpu_seen[activity->slot];
    task->migrations += *seen != 0 && *seen != activity->cpu + 1;
    *seen = activity->cpu + 1;
}

void ei_collector_add(struct ei_collector *collector, const struct ei_record *record)
{
    if (collector->trace != NULL) {
        ei_trace_add(collector->trace, record);
    }
    switch (record->kind) {
    case EI_RECORD_JOB:
        add_job(collector, &record->u.job);
        break;
    case EI_RECORD_PREEMPTION:
        add_preemption(collector, &record->u.preemption);
        break;
    case EI_RECORD_GAP:
        add_wakeup(collector, &record->u.gap);
        break;
    case EI_RECORD_ACTIVITY:
        note_cpu(collector, &record->u.activity);
        ei_activity_history_add(&collector->activities, &record->u.activity);
        break;
    case EI_RECORD_STAGE:
        add_stage(collector, record, record->u.stage.task_idx, record->u.stage.stage_idx);
        break;
    case EI_RECORD_BLOCK:
        add_stage(collector, record, record->u.block.task_idx, record->u.block.stage_idx);
        break;
    default:
        collector->records_invalid++;
        break;
    }
}
