/* Traces: what is drawn where, by a decoder that is not ours; sizes and stalls. */
#include "metrics/trace_rows.h"
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/metrics/trace_decoding.h"
#include "tests/metrics/trace_sample.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is drawn where ---- */

EI_TEST(a_job_is_on_its_tracks)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    ei_trace_work(trace);
    add_camera_job(trace, 7, T0_NS, 0);
    ei_trace_work(trace);                 /* of a whole run there is nothing to be put off */
    EI_TRUE(!has_trace("trace.pftrace")); /* not before it is complete */
    const struct ei_trace_counts counts = end_trace(trace);
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
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    add_control_job(trace, 0, T0_NS, 3 * MS); /* its deadline is 2 ms */
    struct ei_record record = trace_job(CONTROL, 1, T0_NS + 2 * MS, 0, T0_NS + 4 * MS);
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
    end_trace(trace);
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

EI_TEST(gaps_of_an_outranked_probe_are_called_so)
{
    struct ei_trace_setup setup = trace_setup();
    const struct ei_record record = {.kind = EI_RECORD_GAP,
                                     .u.gap = {.cpu = 1, .expected_ns = T0_NS, .actual_ns = T0_NS + MS}};
    struct ei_trace *trace = NULL;
    setup.is_probe_outranked = true;
    EI_REQUIRE(ei_trace_create(&setup, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL) == 0);
    ei_trace_add(trace, &record);
    end_trace(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, "einet demo/gaps of cpu 1 (probe not real-time)", "slices"), 1);
    json_decref(decoded);
}

/* Two jobs in flight lie on rows of their own, stages on the thread that the job's record names. */
EI_TEST(jobs_in_flight_have_rows_and_threads_of_their_own)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    add_camera_job(trace, 0, T0_NS, 0);
    add_camera_job(trace, 1, T0_NS + 5 * MS, 1);
    add_camera_job(trace, 2, T0_NS + 8 * MS, 0); /* begins when job 0 ends: the first row again */
    end_trace(trace);
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
    struct ei_trace_setup s = trace_setup();
    struct ei_trace *trace = NULL;
    s.monotonic_ns = 0;
    s.boottime_ns = 0;
    s.realtime_ns = 0;
    EI_REQUIRE(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL) == 0);
    add_control_job(trace, 0, 0, MS);
    end_trace(trace);
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
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    int64_t whole_ns = 0;
    for (int32_t i = 0; i < JOBS; i++) {
        const struct ei_record record = trace_job(CAMERA, i, spans[i].start_ns, spans[i].end_ns, INT64_MAX);
        ei_trace_add(trace, &record);
        whole_ns += spans[i].end_ns - spans[i].start_ns;
    }
    end_trace(trace);
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
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 4000; i++) {
        add_camera_job(trace, i, T0_NS + i * 33 * MS + i % 777, 0);
        add_control_job(trace, i, T0_NS + i * 33 * MS + 11 * MS + i % 333, MS / 3 + i);
    }
    const struct ei_trace_counts counts = end_trace(trace);
    EI_IN(counts.events, 100000, 200000);
    EI_TRUEF(trace_bytes("trace.pftrace") * 100000 < INT64_C(4000000) * counts.events, "%lld bytes for %lld events",
             (long long)trace_bytes("trace.pftrace"), (long long)counts.events);
}

/* Names and clocks are told anew now and then, so that a loss does not spoil the rest. */
EI_TEST(a_long_trace_is_told_anew_in_between)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 2000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    const struct ei_trace_counts counts = end_trace(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(item_int(decoded, "events"), counts.events);
    EI_EQ(item_int(decoded, "begins"), 3); /* of the backlog once, of jobs anew after 10000 events */
    EI_EQ(trace_count(decoded, "einet demo/task control/jobs", "slices"), 2000);
    json_decref(decoded);
}

/* What loses its job's record is counted, and nothing of it is drawn. */
EI_TEST(stages_without_their_job_are_counted)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 100; i++) {
        add_stage(trace, CAMERA, i, PRE, T0_NS + i * MS, T0_NS + i * MS + 10);
    }
    add_camera_job(trace, 100, T0_NS + 100 * MS, 0);
    const struct ei_trace_counts counts = end_trace(trace);
    EI_EQ(counts.strays, 100);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, CAMERA_THREAD, "slices"), 3);
    json_decref(decoded);
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
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.has_writer = true});
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
    const struct ei_trace_counts counts = end_trace(trace);
    pthread_join(thread, NULL);
    int64_t events, begins;
    EI_REQUIRE(count_packets(reader.to, &events, &begins));
    EI_EQ(events, counts.events);
    EI_EQ(counts.lost_events + counts.events, 8 * (int64_t)job); /* eight of each job */
    EI_TRUE(begins >= 4);
}

/* The recorder has the records: it waits for the disk, and the run does not. */
EI_TEST(a_stalled_disk_costs_the_recorder_nothing)
{
    static struct pipe_reader reader;
    pthread_t thread;
    snprintf(reader.from, sizeof reader.from, "%s/trace-1.pftrace.partial", ei_test_tmpdir());
    snprintf(reader.to, sizeof reader.to, "%s/copy.pftrace", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(reader.from, 0600) == 0);
    EI_REQUIRE(pthread_create(&thread, NULL, copy_pipe, &reader) == 0);
    struct ei_trace *trace =
        begin_trace(&(struct ei_trace_options){.last_ns = 200000 * MS, .save = EI_TRACE_SAVE_MISS, .has_writer = true});
    EI_REQUIRE(trace != NULL);
    enum { JOBS = 40000 }; /* more than the queue of the file holds */
    for (int32_t i = 0; i < JOBS; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, i == JOBS / 2 ? 3 * MS : MS);
        ei_trace_work(trace);
    }
    EI_TRUE(!has_trace("trace-1.pftrace"));
    atomic_store(&reader.may_read, true);
    while (ei_trace_count(trace).files == 0) {
        ei_trace_work(trace);
        (void)usleep(1000);
    }
    const struct ei_trace_counts counts = end_trace(trace);
    pthread_join(thread, NULL);
    int64_t events, begins;
    EI_EQ(counts.files, 1);
    EI_EQ(counts.lost_events + counts.lost_batches + counts.overwritten, 0);
    EI_REQUIRE(count_packets(reader.to, &events, &begins));
    EI_EQ(events, counts.events);
    EI_TRUE(events > JOBS / 2 * 8);
}

EI_TEST(a_folder_that_vanished_is_reported)
{
    char folder[600];
    const struct ei_trace_setup s = trace_setup();
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
    struct ei_trace_setup s = trace_setup();
    struct ei_trace *trace = NULL;
    struct ei_trace_task many = trace_tasks[CAMERA];
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){.save = EI_TRACE_SAVE_MISS}, ei_test_tmpdir(), &trace, NULL),
          -EINVAL);
    many.exits = EI_TRACE_EXITS_MAX + 1;
    s.tasks = &many;
    s.task_count = 1;
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL), -EINVAL);
    s.task_count = 0;
    EI_EQ(ei_trace_create(&s, &(struct ei_trace_options){0}, ei_test_tmpdir(), &trace, NULL), -EINVAL);
    EI_TRUE(!has_trace("trace.pftrace.partial"));
}

/* The messages as Perfetto publishes them, in the PyPI package perfetto. */
EI_TEST(the_official_messages_decode_it)
{
    const char *python = getenv("EINET_PERFETTO_PYTHON");
    if (python == NULL) {
        ei_test_skip("EINET_PERFETTO_PYTHON names no Python that has the PyPI package perfetto");
    }
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){0});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 200; i++) {
        add_camera_job(trace, i, T0_NS + i * 5 * MS, i % 2);
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    end_trace(trace);
    json_t *ours = decode_trace(trace_path("trace.pftrace"));
    json_t *theirs = decode_trace_officially(trace_path("trace.pftrace"), python);
    EI_TRUE(ours != NULL && json_equal(ours, theirs));
    json_decref(ours);
    json_decref(theirs);
}

EI_MAIN()
