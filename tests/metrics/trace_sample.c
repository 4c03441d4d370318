/* See trace_sample.h. */
#include "tests/metrics/trace_sample.h"

#include "tests/harness/harness.h"

#include <sys/stat.h>

const struct ei_trace_task trace_tasks[TASKS] = {
    {.name = "control", .stage_count = 1, .stages = {"law"}, .slots = 1, .tids = {4001}},
    {.name = "camera",
     .stage_count = 3,
     .stages = {"pre", "net", "post"},
     .exits = 3,
     .slots = 2,
     .tids = {4002, 4003}},
};

struct ei_trace_setup trace_setup(void)
{
    return (struct ei_trace_setup){.process = "einet demo",
                                   .pid = 4000,
                                   .task_count = TASKS,
                                   .tasks = trace_tasks,
                                   .lane_count = 1,
                                   .lanes = {"gpu"},
                                   .flow_scope = 0x1234,
                                   .monotonic_ns = T0_NS,
                                   .boottime_ns = T0_NS + 5,
                                   .realtime_ns = T0_NS + 7};
}

const char *trace_path(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    return path;
}

bool has_trace(const char *name)
{
    struct stat st;
    return stat(trace_path(name), &st) == 0;
}

int64_t trace_bytes(const char *name)
{
    struct stat st;
    return stat(trace_path(name), &st) == 0 ? (int64_t)st.st_size : -1;
}

struct ei_trace *begin_trace(const struct ei_trace_options *options)
{
    const struct ei_trace_setup s = trace_setup();
    struct ei_trace *trace = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_trace_create(&s, options, ei_test_tmpdir(), &trace, &err) == 0, "%s", err.text);
    return trace;
}

struct ei_trace_counts end_trace(struct ei_trace *trace)
{
    struct einet_error err = {0};
    EI_TRUEF(ei_trace_close(trace, &err) == 0, "%s", err.text);
    EI_TRUEF(ei_trace_publish(trace, &err) == 0, "%s", err.text);
    const struct ei_trace_counts counts = ei_trace_count(trace);
    ei_trace_destroy(trace);
    return counts;
}

void add_stage(struct ei_trace *trace, int32_t task, int64_t job, int32_t stage, int64_t start_ns, int64_t end_ns)
{
    const struct ei_record record = {.kind = EI_RECORD_STAGE,
                                     .u.stage = {.task_idx = task,
                                                 .stage_idx = stage,
                                                 .cpu = 3,
                                                 .job_idx = job,
                                                 .ready_ns = start_ns - 100,
                                                 .start_ns = start_ns,
                                                 .end_ns = end_ns,
                                                 .cpu_ns = end_ns - start_ns}};
    ei_trace_add(trace, &record);
}

void add_block(struct ei_trace *trace, int32_t task, int64_t job, int32_t block, bool is_branch, int64_t start_ns,
               int64_t end_ns)
{
    const struct ei_record record = {.kind = EI_RECORD_BLOCK,
                                     .u.block = {.task_idx = task,
                                                 .stage_idx = NET,
                                                 .block_idx = block,
                                                 .is_branch = is_branch,
                                                 .confidence = is_branch ? 0.25F * (float)(block + 1) : 0.0F,
                                                 .job_idx = job,
                                                 .start_ns = start_ns,
                                                 .end_ns = end_ns}};
    ei_trace_add(trace, &record);
}

struct ei_record trace_job(int32_t task, int64_t job, int64_t release_ns, int64_t finish_ns, int64_t deadline_ns)
{
    return (struct ei_record){.kind = EI_RECORD_JOB,
                              .u.job = {.task_idx = task,
                                        .flags = deadline_ns < finish_ns ? EI_JOB_MISSED : 0,
                                        .job_idx = job,
                                        .release_ns = release_ns,
                                        .finish_ns = finish_ns,
                                        .deadline_ns = deadline_ns,
                                        .planned_exit = -1,
                                        .exit_idx = -1,
                                        .outcome = EI_JOB_COMPLETED}};
}

/* A job of the camera in thread `slot`: 1 ms pre, net of two conv parts with a branch each, post; 8 ms in all. */
void add_camera_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int32_t slot)
{
    int64_t at_ns = release_ns;
    add_stage(trace, CAMERA, job, PRE, at_ns, at_ns + MS);
    at_ns += MS;
    const int64_t net_ns = at_ns;
    for (int32_t i = 0; i < 2; i++) {
        add_block(trace, CAMERA, job, i, false, at_ns, at_ns + 2 * MS);
        add_block(trace, CAMERA, job, i, true, at_ns + 2 * MS, at_ns + 3 * MS);
        at_ns += 3 * MS;
    }
    add_stage(trace, CAMERA, job, NET, net_ns, at_ns);
    add_stage(trace, CAMERA, job, POST, at_ns, at_ns + MS);
    struct ei_record record = trace_job(CAMERA, job, release_ns, at_ns + MS, release_ns + 10 * MS);
    record.u.job.slot = (uint8_t)slot;
    record.u.job.flags |= EI_JOB_ANSWERED;
    record.u.job.exit_idx = 1;
    record.u.job.planned_exit = 2;
    record.u.job.confidence = 0.5F;
    record.u.job.answer_ns = at_ns;
    ei_trace_add(trace, &record);
}

void add_control_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int64_t response_ns)
{
    add_stage(trace, CONTROL, job, 0, release_ns, release_ns + response_ns);
    const struct ei_record record = trace_job(CONTROL, job, release_ns, release_ns + response_ns, release_ns + 2 * MS);
    ei_trace_add(trace, &record);
}
