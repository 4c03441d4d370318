/* Traces: what is drawn where, by a decoder that is not ours; the flight recorder; sizes. */
#include "metrics/trace.h"
#include "metrics/trace_rows.h"
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/metrics/trace_decoding.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define T0_NS (INT64_C(1000) * 1000 * MS)

enum { CONTROL, CAMERA, TASKS };
enum { PRE, NET, POST };

#define CAMERA_JOBS "einet demo/task camera/jobs"
#define CAMERA_MARKS "einet demo/task camera/deadlines and preemptions"
#define CAMERA_BACKLOG "einet demo/task camera/backlog"
#define CAMERA_CONFIDENCE "einet demo/task camera/confidence"
#define CAMERA_THREAD "einet demo/thread camera 4002"
#define LANE "einet demo/lane gpu"

static const struct ei_trace_task tasks[TASKS] = {
    {.name = "control", .stage_count = 1, .stages = {"law"}, .slots = 1, .tids = {4001}},
    {.name = "camera",
     .stage_count = 3,
     .stages = {"pre", "net", "post"},
     .exits = 3,
     .slots = 2,
     .tids = {4002, 4003}},
};

static struct ei_trace_setup setup(void)
{
    return (struct ei_trace_setup){.process = "einet demo",
                                   .pid = 4000,
                                   .task_count = TASKS,
                                   .tasks = tasks,
                                   .lane_count = 1,
                                   .lanes = {"gpu"},
                                   .flow_scope = 0x1234,
                                   .monotonic_ns = T0_NS,
                                   .boottime_ns = T0_NS + 5,
                                   .realtime_ns = T0_NS + 7};
}

static const char *trace_path(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    return path;
}

static bool has_file(const char *name)
{
    struct stat st;
    return stat(trace_path(name), &st) == 0;
}

static int64_t file_bytes(const char *name)
{
    struct stat st;
    return stat(trace_path(name), &st) == 0 ? (int64_t)st.st_size : -1;
}

static struct ei_trace *begin(const struct ei_trace_options *options)
{
    const struct ei_trace_setup s = setup();
    struct ei_trace *trace = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_trace_create(&s, options, ei_test_tmpdir(), &trace, &err) == 0, "%s", err.text);
    return trace;
}

static struct ei_trace_counts end(struct ei_trace *trace)
{
    struct einet_error err = {0};
    EI_TRUEF(ei_trace_close(trace, &err) == 0, "%s", err.text);
    EI_TRUEF(ei_trace_publish(trace, &err) == 0, "%s", err.text);
    const struct ei_trace_counts counts = ei_trace_count(trace);
    ei_trace_destroy(trace);
    return counts;
}

/* ---- records ---- */

static void add_stage(struct ei_trace *trace, int32_t task, int64_t job, int32_t stage, int64_t start_ns,
                      int64_t end_ns)
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

static void add_block(struct ei_trace *trace, int32_t task, int64_t job, int32_t block, bool is_branch,
                      int64_t start_ns, int64_t end_ns)
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

static struct ei_record job_record(int32_t task, int64_t job, int64_t release_ns, int64_t finish_ns,
                                   int64_t deadline_ns)
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
static void add_camera_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int32_t slot)
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
    struct ei_record record = job_record(CAMERA, job, release_ns, at_ns + MS, release_ns + 10 * MS);
    record.u.job.slot = (uint8_t)slot;
    record.u.job.flags |= EI_JOB_ANSWERED;
    record.u.job.exit_idx = 1;
    record.u.job.planned_exit = 2;
    record.u.job.confidence = 0.5F;
    record.u.job.answer_ns = at_ns;
    ei_trace_add(trace, &record);
}

static void add_control_job(struct ei_trace *trace, int64_t job, int64_t release_ns, int64_t response_ns)
{
    add_stage(trace, CONTROL, job, 0, release_ns, release_ns + response_ns);
    const struct ei_record record = job_record(CONTROL, job, release_ns, release_ns + response_ns, release_ns + 2 * MS);
    ei_trace_add(trace, &record);
}

/* ---- what is drawn where ---- */

EI_TEST(a_job_is_on_its_tracks)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    add_camera_job(trace, 7, T0_NS, 0);
    EI_TRUE(!has_file("trace.pftrace")); /* not before it is complete */
    const struct ei_trace_counts counts = end(trace);
    EI_EQ(counts.files, 1);
    EI_EQ(counts.strays, 0);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(item_int(decoded, "events"), counts.events);
    EI_EQ(trace_count(decoded, CAMERA_JOBS, "slices"), 1);
    const json_t *job = trace_item(decoded, CAMERA_JOBS, "slices", 0);
    EI_STREQ(item_text(job, "name"), "camera");
    EI_STREQ(item_text(job, "category"), "job");
    EI_EQ(item_int(job, "at"), T0_NS);
    EI_EQ(item_int(job, "end"), T0_NS + 8 * MS);
    EI_EQ(item_arg(job, "job"), 7);
    EI_EQ(item_arg(job, "exit"), 1);
    EI_EQ(item_arg(job, "planned_exit"), 2);
    EI_STREQ(item_arg_text(job, "outcome"), "completed");
    EI_STREQ(item_arg_text(job, "cause"), "plan_done");

    EI_EQ(trace_count(decoded, CAMERA_JOBS, "instants"), 3); /* two exits and the finish */
    const json_t *second = trace_item(decoded, CAMERA_JOBS, "instants", 1);
    EI_STREQ(item_text(second, "name"), "exit 1");
    EI_STREQ(item_text(second, "inside"), "camera");
    EI_EQ(item_int(second, "at"), T0_NS + 7 * MS);
    EI_STREQ(item_text(trace_item(decoded, CAMERA_JOBS, "instants", 2), "name"), "finish");
    EI_EQ(trace_count(decoded, CAMERA_CONFIDENCE, "counters"), 2);
    EI_NEAR(json_number_value(json_array_get(trace_item(decoded, CAMERA_CONFIDENCE, "counters", 1), 1)), 0.5, 1e-9);

    EI_EQ(trace_count(decoded, CAMERA_THREAD, "slices"), 3);
    static const char *const stages[] = {"pre", "net", "post"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *stage = trace_item(decoded, CAMERA_THREAD, "slices", i);
        EI_STREQ(item_text(stage, "name"), stages[i]);
        EI_EQ(item_arg(stage, "cpu"), 3);
        EI_EQ(item_arg(stage, "wait_ns"), 100);
        EI_EQ(item_arg(stage, "cpu_ns"), item_int(stage, "end") - item_int(stage, "at"));
    }
    EI_EQ(item_int(trace_track(decoded, CAMERA_THREAD), "tid"), 4002);
    EI_EQ(item_int(trace_track(decoded, CAMERA_THREAD), "pid"), 4000);

    EI_EQ(trace_count(decoded, LANE, "slices"), 4);
    EI_STREQ(item_text(trace_item(decoded, LANE, "slices", 2), "name"), "camera conv 1");
    EI_STREQ(item_text(trace_item(decoded, LANE, "slices", 3), "name"), "camera branch 1");
    EI_EQ(item_int(trace_item(decoded, LANE, "slices", 3), "at"), T0_NS + 6 * MS);
    EI_EQ(item_int(trace_item(decoded, LANE, "slices", 3), "end"), T0_NS + 7 * MS);

    EI_EQ(trace_count(decoded, CAMERA_MARKS, "instants"), 1);
    EI_STREQ(item_text(trace_item(decoded, CAMERA_MARKS, "instants", 0), "name"), "deadline");
    EI_EQ(item_int(trace_item(decoded, CAMERA_MARKS, "instants", 0), "at"), T0_NS + 10 * MS);

    json_t *flows = json_object_get(decoded, "flows"), *steps;
    const char *id;
    EI_EQ(json_object_size(flows), 1);
    json_object_foreach(flows, id, steps)
    {
        EI_EQ(json_array_size(steps), 5); /* release, three stages, finish */
        EI_EQ(item_int(json_array_get(steps, 0), "at"), T0_NS);
        EI_EQ(item_int(json_array_get(steps, 4), "at"), T0_NS + 8 * MS);
    }
    json_t *clocks = json_object_get(decoded, "clocks");
    EI_EQ(item_int(clocks, "3"), T0_NS);
    EI_EQ(item_int(clocks, "6"), T0_NS + 5);
    EI_EQ(item_int(clocks, "1"), T0_NS + 7);
    EI_EQ(item_int(clocks, "primary"), 0);
    json_decref(decoded);
}

EI_TEST(misses_skips_preemptions_and_gaps_are_marked)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    add_control_job(trace, 0, T0_NS, 3 * MS); /* its deadline is 2 ms */
    struct ei_record record = job_record(CONTROL, 1, T0_NS + 2 * MS, 0, T0_NS + 4 * MS);
    record.u.job.outcome = EI_JOB_SKIPPED;
    record.u.job.cause = EI_CAUSE_LATE;
    ei_trace_add(trace, &record);
    record.u.job.job_idx = 2;
    record.u.job.outcome = EI_JOB_DROPPED;
    record.u.job.cause = EI_CAUSE_QUEUE;
    ei_trace_add(trace, &record);
    record = (struct ei_record){.kind = EI_RECORD_PREEMPTION,
                                .u.preemption = {.victim_task_idx = CAMERA,
                                                 .preemptor_task_idx = CONTROL,
                                                 .victim_job_idx = 4,
                                                 .preemptor_job_idx = 5,
                                                 .request_ns = T0_NS + 10,
                                                 .block_end_ns = T0_NS + 30,
                                                 .first_block_ns = T0_NS + 36}};
    ei_trace_add(trace, &record);
    record = (struct ei_record){.kind = EI_RECORD_GAP,
                                .u.gap = {.cpu = 1, .expected_ns = T0_NS + MS, .actual_ns = T0_NS + 2 * MS}};
    ei_trace_add(trace, &record);
    record.u.gap = (struct ei_gap_record){.cpu = 1, .expected_ns = T0_NS + 3 * MS, .actual_ns = T0_NS + 3 * MS + 50000};
    ei_trace_add(trace, &record); /* the probe is never quite in time: no gap */
    end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_STREQ(item_text(trace_item(decoded, "einet demo/task control/jobs", "slices", 0), "name"), "control MISSED");
    static const char marks[] = "einet demo/task control/deadlines and preemptions";
    EI_EQ(trace_count(decoded, marks, "instants"), 3);
    EI_STREQ(item_text(trace_item(decoded, marks, "instants", 0), "name"), "deadline MISSED");
    EI_STREQ(item_text(trace_item(decoded, marks, "instants", 1), "name"), "skipped");
    EI_STREQ(item_arg_text(trace_item(decoded, marks, "instants", 1), "cause"), "late");
    EI_STREQ(item_text(trace_item(decoded, marks, "instants", 2), "name"), "dropped");
    EI_STREQ(item_arg_text(trace_item(decoded, marks, "instants", 2), "cause"), "queue");
    const json_t *preempted = trace_item(decoded, CAMERA_MARKS, "instants", 0);
    EI_STREQ(item_text(preempted, "name"), "preempted");
    EI_STREQ(item_arg_text(preempted, "by"), "control");
    EI_EQ(item_arg(preempted, "by_job"), 5);
    EI_EQ(item_arg(preempted, "blocking_ns"), 20);
    EI_EQ(item_arg(preempted, "switch_ns"), 6);
    EI_EQ(item_int(preempted, "at"), T0_NS + 30);
    EI_EQ(trace_count(decoded, "einet demo/gaps of cpu 1", "slices"), 1);
    EI_EQ(item_int(trace_item(decoded, "einet demo/gaps of cpu 1", "slices", 0), "end"), T0_NS + 2 * MS);
    json_decref(decoded);
}

/* Two jobs in flight lie on rows of their own, stages on the thread that the job's record names. */
EI_TEST(jobs_in_flight_have_rows_and_threads_of_their_own)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    add_camera_job(trace, 0, T0_NS, 0);
    add_camera_job(trace, 1, T0_NS + 5 * MS, 1);
    add_camera_job(trace, 2, T0_NS + 8 * MS, 0); /* begins when job 0 ends: the first row again */
    end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, CAMERA_JOBS, "slices"), 2);
    EI_EQ(trace_count(decoded, CAMERA_JOBS "+", "slices"), 1);
    EI_EQ(item_arg(trace_item(decoded, CAMERA_JOBS, "slices", 1), "job"), 2);
    EI_EQ(trace_count(decoded, CAMERA_THREAD, "slices"), 6);
    EI_EQ(trace_count(decoded, "einet demo/thread camera 4003", "slices"), 3);
    EI_EQ(item_arg(trace_item(decoded, "einet demo/thread camera 4003", "slices", 0), "job"), 1);
    json_decref(decoded);
}

/* A run with a clock of its own says so: nothing else lines up with it. */
EI_TEST(virtual_time_is_its_own_clock)
{
    struct ei_trace_setup s = setup();
    struct ei_trace *trace = NULL;
    s.monotonic_ns = 0;
    s.boottime_ns = 0;
    s.realtime_ns = 0;
    EI_REQUIRE(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL) == 0);
    add_control_job(trace, 0, 0, MS);
    end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(json_object_size(json_object_get(decoded, "clocks")), 2);
    EI_EQ(item_int(json_object_get(decoded, "clocks"), "primary"), 3);
    EI_EQ(item_int(trace_item(decoded, "einet demo/task control/jobs", "slices", 0), "at"), 0);
    json_decref(decoded);
}

/* ---- properties ---- */

struct span {
    int64_t start_ns, end_ns;
};

/* Jobs of random length, up to 20 in flight, recorded in the order in which they end. */
static void make_spans(struct span *spans, int32_t count, uint64_t seed)
{
    struct ei_random random;
    ei_random_init(&random, seed, 0);
    for (int32_t i = 0; i < count; i++) {
        const int64_t start_ns = T0_NS + i * MS + (int64_t)ei_random_below(&random, 3) * MS;
        const int64_t end_ns = start_ns + (int64_t)ei_random_below(&random, 20) * MS;
        int32_t at = i;
        while (at > 0 && spans[at - 1].end_ns > end_ns) {
            spans[at] = spans[at - 1];
            at--;
        }
        spans[at] = (struct span){start_ns, end_ns};
    }
}

static int32_t in_flight(const struct span *spans, int32_t count, int64_t at_ns)
{
    int32_t active = 0;
    for (int32_t i = 0; i < count; i++) {
        active += spans[i].start_ns <= at_ns && at_ns < spans[i].end_ns;
    }
    return active;
}

EI_TEST(random_jobs_keep_their_times_and_the_backlog_counts_them)
{
    enum { JOBS = 600 };
    static struct span spans[JOBS];
    make_spans(spans, JOBS, 20);
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    int64_t whole_ns = 0;
    for (int32_t i = 0; i < JOBS; i++) {
        const struct ei_record record = job_record(CAMERA, i, spans[i].start_ns, spans[i].end_ns, INT64_MAX);
        ei_trace_add(trace, &record);
        whole_ns += spans[i].end_ns - spans[i].start_ns;
    }
    end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count_all(decoded, CAMERA_JOBS, "slices"), JOBS);
    const char *path;
    json_t *track;
    json_object_foreach(json_object_get(decoded, "tracks"), path, track)
    {
        json_t *slices = json_object_get(track, "slices");
        for (size_t i = 0; i < json_array_size(slices); i++) {
            const json_t *slice = json_array_get(slices, i);
            const struct span *span = &spans[item_arg(slice, "job")];
            EI_EQ(item_int(slice, "at"), span->start_ns);
            EI_EQ(item_int(slice, "end"), span->end_ns);
            EI_EQ(item_int(slice, "depth"), 0);
            whole_ns -= span->end_ns - span->start_ns;
        }
    }
    EI_EQ(whole_ns, 0);
    json_t *counters = json_object_get(trace_track(decoded, CAMERA_BACKLOG), "counters");
    EI_TRUE(json_array_size(counters) > JOBS / 2);
    for (size_t i = 0; i < json_array_size(counters); i++) {
        const int64_t at_ns = json_integer_value(json_array_get(json_array_get(counters, i), 0));
        EI_EQ(json_integer_value(json_array_get(json_array_get(counters, i), 1)), in_flight(spans, JOBS, at_ns));
    }
    json_decref(decoded);
}

/* Against a map of all that was placed: no two slices of a row overlap, and where one touches another, the one that was
 * placed later begins there. */
EI_TEST(rows_never_overlap)
{
    enum { ROWS = 6, SLICES = 3000 };
    static struct ei_trace_row rows[ROWS];
    static struct span placed[ROWS][SLICES];
    int32_t counts[ROWS] = {0}, used = 0, cut = 0;
    struct ei_random random;
    ei_random_init(&random, 21, 0);
    for (int32_t i = 0; i < SLICES; i++) {
        const int64_t asked_ns = (int64_t)i * 3 + (int64_t)ei_random_below(&random, 30);
        int64_t start_ns = asked_ns, end_ns = asked_ns + (int64_t)ei_random_below(&random, 12);
        const int32_t row = ei_trace_rows_place(rows, ROWS, &used, &start_ns, &end_ns);
        EI_REQUIRE(row >= 0 && row < ROWS);
        cut += start_ns != asked_ns;
        EI_TRUE(end_ns >= start_ns);
        for (int32_t k = 0; k < counts[row]; k++) {
            const struct span *other = &placed[row][k];
            EI_REQUIRE(start_ns >= other->end_ns || end_ns < other->start_ns);
        }
        placed[row][counts[row]++] = (struct span){start_ns, end_ns};
    }
    EI_EQ(used, ROWS);
    EI_IN(cut, 0, SLICES / 4);
}

EI_TEST(a_hundred_thousand_events_stay_below_four_megabytes)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 4000; i++) {
        add_camera_job(trace, i, T0_NS + i * 33 * MS + i % 777, 0);
        add_control_job(trace, i, T0_NS + i * 33 * MS + 11 * MS + i % 333, MS / 3 + i);
    }
    const struct ei_trace_counts counts = end(trace);
    EI_IN(counts.events, 100000, 200000);
    EI_TRUEF(file_bytes("trace.pftrace") * 100000 < INT64_C(4000000) * counts.events, "%lld bytes for %lld events",
             (long long)file_bytes("trace.pftrace"), (long long)counts.events);
}

/* Names and clocks are told anew now and then, so that a loss does not spoil the rest. */
EI_TEST(a_long_trace_is_told_anew_in_between)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 8000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    const struct ei_trace_counts counts = end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(item_int(decoded, "events"), counts.events);
    EI_TRUE(counts.events > 50000);
    EI_EQ(item_int(decoded, "begins"), 4); /* of jobs and of the backlog, each twice */
    EI_EQ(trace_count(decoded, "einet demo/task control/jobs", "slices"), 8000);
    json_decref(decoded);
}

/* What loses its job's record is counted, and nothing of it is drawn. */
EI_TEST(stages_without_their_job_are_counted)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 100; i++) {
        add_stage(trace, CAMERA, i, PRE, T0_NS + i * MS, T0_NS + i * MS + 10);
    }
    add_camera_job(trace, 100, T0_NS + 100 * MS, 0);
    const struct ei_trace_counts counts = end(trace);
    EI_EQ(counts.strays, 100);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, CAMERA_THREAD, "slices"), 3);
    json_decref(decoded);
}

/* ---- the flight recorder ---- */

EI_TEST(recorder_keeps_the_last_of_the_run)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 100 * MS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 1000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    EI_TRUE(!has_file("trace.pftrace.partial"));
    end(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, "einet demo/task control/jobs", "slices"), 21); /* ended within 100 ms of the last end */
    EI_EQ(item_arg(trace_item(decoded, "einet demo/task control/jobs", "slices", 20), "job"), 999);
    json_decref(decoded);
}

/* Jobs every 5 ms, of which some miss: two misses in one window, then another one much later. */
EI_TEST(recorder_saves_a_window_around_a_miss)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 400; i++) {
        const bool is_late = i == 100 || i == 102 || i == 300;
        add_control_job(trace, i, T0_NS + i * 5 * MS, is_late ? 3 * MS : MS);
        ei_trace_work(trace);
        if (i == 100) {
            EI_TRUE(!has_file("trace-1.pftrace")); /* it goes on for a quarter behind the miss */
        }
        if (i == 110) {
            EI_TRUE(has_file("trace-1.pftrace")); /* while the run goes on */
        }
    }
    const struct ei_trace_counts counts = end(trace);
    EI_EQ(counts.files, 2);
    EI_TRUE(!has_file("trace.pftrace") && !has_file("trace-3.pftrace"));
    json_t *decoded = decode_trace(trace_path("trace-1.pftrace"));
    EI_REQUIRE(decoded != NULL);
    static const char jobs[] = "einet demo/task control/jobs";
    const size_t count = trace_count(decoded, jobs, "slices");
    EI_EQ(item_arg(trace_item(decoded, jobs, "slices", 0), "job"), 86);
    EI_EQ(item_arg(trace_item(decoded, jobs, "slices", count - 1), "job"), 106);
    size_t missed = 0;
    for (size_t i = 0; i < count; i++) {
        missed += strcmp(item_text(trace_item(decoded, jobs, "slices", i), "name"), "control MISSED") == 0;
    }
    EI_EQ(missed, 2);
    json_decref(decoded);
    decoded = decode_trace(trace_path("trace-2.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(item_arg(trace_item(decoded, jobs, "slices", 0), "job"), 286);
    json_decref(decoded);
}

EI_TEST(recorder_saves_a_miss_at_the_very_end)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    add_control_job(trace, 0, T0_NS, MS);
    add_control_job(trace, 1, T0_NS + 5 * MS, 3 * MS);
    EI_EQ(end(trace).files, 1);
    EI_TRUE(has_file("trace-1.pftrace"));
}

/* No miss, a miss of the warm-up, or what the end of the run cut off: no file. */
EI_TEST(recorder_writes_nothing_without_a_miss)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    struct ei_record record = job_record(CONTROL, 0, T0_NS, T0_NS + 9 * MS, T0_NS + MS);
    record.u.job.flags |= EI_JOB_WARMUP;
    ei_trace_add(trace, &record);
    record = job_record(CONTROL, 1, T0_NS + 10 * MS, 0, INT64_MAX);
    record.u.job.outcome = EI_JOB_DROPPED;
    record.u.job.cause = EI_CAUSE_CANCELLED;
    ei_trace_add(trace, &record);
    add_control_job(trace, 2, T0_NS + 20 * MS, MS);
    EI_EQ(end(trace).files, 0);
    EI_TRUE(!has_file("trace-1.pftrace") && !has_file("trace-1.pftrace.partial"));
}

/* Memory is what was given: the oldest goes, the newest is saved whole. */
EI_TEST(recorder_stays_within_its_memory)
{
    enum { RING = 20000 };
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 1000000 * MS, .recorder_bytes = RING});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 5000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    const struct ei_trace_counts counts = end(trace);
    EI_TRUE(counts.overwritten > 9000);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    static const char jobs[] = "einet demo/task control/jobs";
    const size_t count = trace_count(decoded, jobs, "slices");
    EI_IN(count, RING / (sizeof(struct ei_job_record) + sizeof(struct ei_stage_record) + 40),
          RING / (sizeof(struct ei_job_record) + sizeof(struct ei_stage_record)));
    EI_EQ(item_arg(trace_item(decoded, jobs, "slices", count - 1), "job"), 4999);
    EI_EQ(item_arg(trace_item(decoded, jobs, "slices", 0), "job"), 5000 - (int64_t)count);
    json_decref(decoded);
}

/* Records that come while a window is written push it out: none of the window is lost. */
EI_TEST(recorder_writes_on_while_records_come)
{
    struct ei_trace *trace =
        begin(&(struct ei_trace_options){.last_ns = 2000 * MS, .save = EI_TRACE_SAVE_MISS, .recorder_bytes = 150000});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 3000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, i % 50 == 49 ? 3 * MS : MS);
    }
    const struct ei_trace_counts counts = end(trace);
    EI_EQ(counts.overwritten, 0);
    size_t jobs = 0;
    for (int32_t i = 1; i <= counts.files; i++) {
        char name[64];
        snprintf(name, sizeof name, "trace-%d.pftrace", (int)i);
        json_t *decoded = decode_trace(trace_path(name));
        EI_REQUIRE(decoded != NULL);
        jobs += trace_count(decoded, "einet demo/task control/jobs", "slices");
        json_decref(decoded);
    }
    EI_EQ(jobs, 3000); /* windows touch and do not overlap */
}

EI_TEST(recorder_stops_at_its_last_file)
{
    struct ei_trace *trace = begin(&(struct ei_trace_options){.last_ns = 8 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < EI_TRACE_FILES_MAX + 20; i++) {
        add_control_job(trace, 2 * i, T0_NS + i * 50 * MS, 3 * MS);
        add_control_job(trace, 2 * i + 1, T0_NS + i * 50 * MS + 20 * MS, MS); /* by now the window is complete */
    }
    const struct ei_trace_counts counts = end(trace);
    EI_EQ(counts.files, EI_TRACE_FILES_MAX);
    EI_EQ(counts.unsaved_misses, 20);
}

/* ---- disks ---- */

struct pipe_reader {
    char from[600], to[600];
    atomic_bool may_read;
};

/* Opens the pipe, lets it fill, and copies it to a file. */
static void *copy_pipe(void *context)
{
    struct pipe_reader *reader = context;
    char chunk[65536];
    FILE *from = fopen(reader->from, "re"), *to = fopen(reader->to, "we");
    while (from != NULL && !atomic_load(&reader->may_read)) {
        (void)usleep(1000);
    }
    for (size_t count = 1; from != NULL && to != NULL && count > 0;) {
        count = fread(chunk, 1, sizeof chunk, from);
        (void)fwrite(chunk, 1, count, to);
    }
    if (from != NULL) {
        fclose(from);
    }
    if (to != NULL) {
        fclose(to);
    }
    return NULL;
}

/* The disk takes nothing for longer than memory lasts, then everything: what was lost is counted, and what comes after
 * it can be read. */
EI_TEST(a_stalled_disk_costs_counted_events)
{
    static struct pipe_reader reader;
    pthread_t thread;
    snprintf(reader.from, sizeof reader.from, "%s/trace.pftrace.partial", ei_test_tmpdir());
    snprintf(reader.to, sizeof reader.to, "%s/copy.pftrace", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(reader.from, 0600) == 0);
    EI_REQUIRE(pthread_create(&thread, NULL, copy_pipe, &reader) == 0);
    struct ei_trace *trace = begin(&(struct ei_trace_options){.has_writer = true});
    EI_REQUIRE(trace != NULL);
    int32_t job = 0;
    while (job < 1000 || (ei_trace_count(trace).lost_events == 0 && job < 1000000)) {
        add_control_job(trace, job, T0_NS + job * 5 * MS, MS);
        job++;
    }
    EI_TRUE(ei_trace_count(trace).lost_events > 0);
    const int64_t lost = ei_trace_count(trace).lost_events;
    for (int32_t i = 0; i < 1000; i++, job++) { /* begins nothing anew as long as the queue is full */
        add_control_job(trace, job, T0_NS + job * 5 * MS, MS);
    }
    EI_TRUE(ei_trace_count(trace).lost_events >= lost + 5000);
    atomic_store(&reader.may_read, true);
    while (!ei_trace_is_idle(trace)) {
        (void)usleep(1000);
    }
    for (int32_t i = 0; i < 100; i++, job++) {
        add_control_job(trace, job, T0_NS + job * 5 * MS, MS);
    }
    const struct ei_trace_counts counts = end(trace);
    pthread_join(thread, NULL);
    int64_t events, begins;
    EI_REQUIRE(count_packets(reader.to, &events, &begins));
    EI_EQ(events, counts.events);
    EI_EQ(counts.lost_events + counts.events, 8 * (int64_t)job); /* eight of each job */
    EI_TRUE(begins >= 4);
}

EI_TEST(a_folder_that_vanished_is_reported)
{
    char folder[600];
    const struct ei_trace_setup s = setup();
    struct ei_trace *trace = NULL;
    struct einet_error err = {0};
    snprintf(folder, sizeof folder, "%s/out", ei_test_tmpdir());
    EI_EQ(mkdir(folder, 0755), 0);
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS}, folder,
                          &trace, &err),
          0);
    EI_EQ(rmdir(folder), 0);
    add_control_job(trace, 0, T0_NS, 3 * MS);
    add_control_job(trace, 1, T0_NS + 90 * MS, MS);
    EI_EQ(ei_trace_close(trace, &err), -ENOENT);
    EI_CONTAINS(err.text, "trace-1.pftrace");
    ei_trace_destroy(trace);
}

EI_TEST(wrong_setups_are_refused)
{
    struct ei_trace_setup s = setup();
    struct ei_trace *trace = NULL;
    struct ei_trace_task many = tasks[CAMERA];
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){.save = EI_TRACE_SAVE_MISS}, ei_test_tmpdir(), &trace, NULL),
          -EINVAL);
    many.exits = EI_TRACE_EXITS_MAX + 1;
    s.tasks = &many;
    s.task_count = 1;
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL), -EINVAL);
    s.task_count = 0;
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL), -EINVAL);
    EI_TRUE(!has_file("trace.pftrace.partial"));
}

/* The messages as Perfetto publishes them, in the PyPI package perfetto. */
EI_TEST(the_official_messages_decode_it)
{
    const char *python = getenv("EINET_PERFETTO_PYTHON");
    if (python == NULL) {
        ei_test_skip("EINET_PERFETTO_PYTHON names no Python that has the PyPI package perfetto");
    }
    struct ei_trace *trace = begin(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 200; i++) {
        add_camera_job(trace, i, T0_NS + i * 5 * MS, i % 2);
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    end(trace);
    json_t *ours = decode_trace(trace_path("trace.pftrace"));
    json_t *theirs = decode_trace_officially(trace_path("trace.pftrace"), python);
    EI_TRUE(ours != NULL && json_equal(ours, theirs));
    json_decref(ours);
    json_decref(theirs);
}

EI_MAIN()
