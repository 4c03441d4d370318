/* See sample_run.h. */
#include "tests/metrics/sample_run.h"

const struct ei_metrics_task sample_tasks[SAMPLE_TASKS] = {
    {.name = "control",
     .priority = 80,
     .is_fifo = true,
     .deadline_ns = 2 * SAMPLE_MS,
     .period_ns = 5 * SAMPLE_MS,
     .cpus = {{2}},
     .slo = {.has_max_miss_ratio = true, .mk_m = 1, .mk_k = 4, .p99_response_ns = 5 * SAMPLE_MS}},
    {.name = "camera",
     .priority = 50,
     .is_fifo = true,
     .deadline_ns = 33333000,
     .period_ns = 33333000,
     .exits = 3,
     .plan = "search exact, exit time schedule",
     .cpus = {{2}},
     .slo = {.has_min_accuracy = true,
             .min_accuracy = 0.6,
             .has_min_coverage = true,
             .min_coverage = 0.9,
             .mk_m = 2,
             .mk_k = 10}},
    {.name = "logger", .deadline_ns = INT64_MAX, .cpus = {{1}}},
};

/* Warm-up ends at 10 ms: control releases 2..8, camera 1..4, logger 1. */
const int64_t sample_expected[SAMPLE_TASKS] = {7, 4, 1};

struct ei_metrics_run sample_run(bool is_degraded)
{
    static const struct ei_metrics_degraded reasons[] = {
        {"SCHED_FIFO refused: tasks run under SCHED_OTHER", "sudo setcap cap_sys_nice+ep einet"},
        {"memory is not locked", NULL}};
    static const struct ei_metrics_pair more[] = {{"clock_source", "tsc"}};
    return (struct ei_metrics_run){
        .name = "sample",
        .version = "0.1.0",
        .seed = 42,
        .t0_ns = SAMPLE_T0_NS,
        .duration_ns = 40 * SAMPLE_MS,
        .warmup_ns = 10 * SAMPLE_MS,
        .degraded = is_degraded ? reasons : NULL,
        .degraded_count = is_degraded ? 2 : 0,
        .machine = {
            .hostname = "bench", .cpu_model = "Some CPU", .kernel = "6.1.0", .cpus = 2, .more = more, .more_count = 1}};
}

struct ei_metrics_totals sample_totals(void)
{
    static const struct ei_metrics_cpu_load loads[] = {{1, 0.25, 0.5, 0.9}};
    return (struct ei_metrics_totals){.expected = sample_expected,
                                      .duration_ns = 40 * SAMPLE_MS,
                                      .minor_faults = 12,
                                      .major_faults = 0,
                                      .voluntary_switches = -1,
                                      .involuntary_switches = -1,
                                      .loads = loads,
                                      .load_count = 1};
}

struct ei_record sample_job(int32_t task_idx, int64_t job_idx, int64_t release_ms, int64_t response_ns)
{
    const int64_t release_ns = SAMPLE_T0_NS + release_ms * SAMPLE_MS;
    const int64_t relative_ns = sample_tasks[task_idx].deadline_ns;
    const bool is_missed = relative_ns != INT64_MAX && response_ns > relative_ns;
    return (struct ei_record){
        .kind = EI_RECORD_JOB,
        .u.job = {.task_idx = task_idx,
                  .flags = (release_ms < 10 ? (uint32_t)EI_JOB_WARMUP : 0) | (is_missed ? (uint32_t)EI_JOB_MISSED : 0),
                  .job_idx = job_idx,
                  .release_ns = release_ns,
                  .awake_ns = release_ns + 15,
                  .start_ns = release_ns + 20,
                  .finish_ns = release_ns + response_ns,
                  .deadline_ns = relative_ns == INT64_MAX ? INT64_MAX : release_ns + relative_ns,
                  .sample_idx = -1,
                  .label = -1,
                  .top_label = -1,
                  .planned_exit = -1,
                  .exit_idx = -1,
                  .preempted_by = -1,
                  .priority = (uint8_t)sample_tasks[task_idx].priority}};
}

struct ei_record sample_no_job(int32_t task_idx, int64_t job_idx, int64_t release_ms, int outcome, int cause)
{
    struct ei_record record = sample_job(task_idx, job_idx, release_ms, 0);
    record.u.job.awake_ns = 0;
    record.u.job.start_ns = 0;
    record.u.job.finish_ns = 0;
    record.u.job.outcome = (uint8_t)outcome;
    record.u.job.cause = (uint8_t)cause;
    return record;
}

struct ei_record sample_gap(int32_t cpu, int64_t start_ns, int64_t length_ns)
{
    return (struct ei_record){.kind = EI_RECORD_GAP,
                              .u.gap = {.cpu = cpu, .expected_ns = start_ns, .actual_ns = start_ns + length_ns}};
}

/* A camera job that answered with exit_idx (-1: no answer). */
static struct ei_record camera(int64_t job_idx, int64_t release_ms, int64_t response_ns, int exit_idx, int label,
                               int top_label)
{
    struct ei_record record = sample_job(SAMPLE_CAMERA, job_idx, release_ms, response_ns);
    struct ei_job_record *job = &record.u.job;
    job->flags |= EI_JOB_HAS_NN | EI_JOB_LABELLED | (exit_idx >= 0 ? (uint32_t)EI_JOB_ANSWERED : 0);
    job->answer_ns = exit_idx >= 0 ? job->finish_ns - 100 : 0;
    job->exit_idx = (int16_t)exit_idx;
    job->planned_exit = 2;
    job->exits_mask = (UINT64_C(1) << (exit_idx + 1)) - 1;
    job->confidence = exit_idx >= 0 ? 0.75F : 0.0F;
    job->label = label;
    job->top_label = exit_idx >= 0 ? top_label : -1;
    job->sample_idx = (int32_t)job_idx;
    job->lane_wait_ns = 40;
    job->lane_busy_ns = 1500;
    return record;
}

void sample_add_all(struct ei_collector *collector)
{
    const int64_t t0_ns = SAMPLE_T0_NS;
    struct ei_record records[] = {
        /* Probe: one gap on the tasks' CPU inside control release 4 (20 ms), one elsewhere, small lateness. */
        sample_gap(1, t0_ns + 2 * SAMPLE_MS, 500),
        sample_gap(1, t0_ns + 11 * SAMPLE_MS, 600),
        sample_gap(1, t0_ns + 20 * SAMPLE_MS + 500000, 5 * SAMPLE_MS),
        sample_gap(0, t0_ns + 30 * SAMPLE_MS, 200000),
        /* Control: two warm-up jobs, then met, met, late by the gap, skipped by the same gap, met, late alone, met. */
        sample_job(SAMPLE_CONTROL, 0, 0, 900),
        sample_job(SAMPLE_CONTROL, 1, 5, 900),
        sample_job(SAMPLE_CONTROL, 2, 10, 1000),
        sample_job(SAMPLE_CONTROL, 3, 15, 1100),
        sample_job(SAMPLE_CONTROL, 4, 20, 6 * SAMPLE_MS),
        sample_no_job(SAMPLE_CONTROL, 5, 25, EI_JOB_SKIPPED, EI_CAUSE_LATE),
        sample_job(SAMPLE_CONTROL, 6, 30, 1200),
        sample_job(SAMPLE_CONTROL, 7, 35, 3 * SAMPLE_MS),
        sample_job(SAMPLE_CONTROL, 8, 40, 1300),
        /* Camera: one warm-up job, then exit 3 right, exit 1 right (preempted), no answer (preempted before exit 1),
         * exit 2 wrong. */
        camera(0, 0, 1400, 2, 3, 3),
        camera(1, 33, 1500, 2, 4, 4),
        camera(2, 66, 1600, 0, 5, 5),
        camera(3, 100, 1700, -1, 6, 6),
        camera(4, 133, 1800, 1, 7, 8),
        sample_job(SAMPLE_LOGGER, 0, 0, 1900),
        sample_job(SAMPLE_LOGGER, 1, 20, 2000),
        {.kind = EI_RECORD_PREEMPTION,
         .u.preemption = {.victim_task_idx = SAMPLE_CAMERA,
                          .preemptor_task_idx = SAMPLE_CONTROL,
                          .victim_job_idx = 2,
                          .request_ns = t0_ns + 66 * SAMPLE_MS + 100,
                          .block_end_ns = t0_ns + 66 * SAMPLE_MS + 1000,
                          .first_block_ns = t0_ns + 66 * SAMPLE_MS + 1030}},
        {.kind = EI_RECORD_PREEMPTION,
         .u.preemption = {.victim_task_idx = SAMPLE_CAMERA,
                          .preemptor_task_idx = SAMPLE_CONTROL,
                          .victim_job_idx = 0,
                          .request_ns = t0_ns + 100,
                          .block_end_ns = t0_ns + 1000,
                          .first_block_ns = t0_ns + 1030}},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct ei_job_record *job = &records[i].u.job;
        if (records[i].kind == EI_RECORD_JOB && job->task_idx == SAMPLE_CAMERA &&
            (job->job_idx == 2 || job->job_idx == 3)) {
            job->preemptions = 1;
            job->preempted_by = SAMPLE_CONTROL;
            job->cause = EI_CAUSE_PREEMPTED;
            job->replans = 2;
            job->late_replans = 1;
        }
        if (records[i].kind == EI_RECORD_JOB && job->task_idx == SAMPLE_CAMERA) {
            job->flags |= EI_JOB_SPLIT;
            job->profiled_ns = 1600;
            job->part_ns[EI_PART_LANE_QUEUE] = 40;
            job->part_ns[EI_PART_EXECUTION] = job->finish_ns - job->release_ns - 60;
            job->part_ns[EI_PART_RELEASE_DELAY] = 20;
        }
        if (records[i].kind == EI_RECORD_JOB && job->task_idx == SAMPLE_CONTROL && job->job_idx == 7) {
            job->flags |= EI_JOB_SPLIT;
            job->profiled_ns = 500000;
            job->part_ns[EI_PART_EXECUTION] = 700000;
            job->part_ns[EI_PART_INTERFERENCE] = 100000;
            job->part_ns[EI_PART_BLOCKING] = 2150000;
        }
        ei_collector_add(collector, &records[i]);
    }
}
