/* The flight recorder: what it keeps, when it saves, and in how much memory. */
#include "tests/harness/harness.h"
#include "tests/metrics/trace_decoding.h"
#include "tests/metrics/trace_sample.h"

EI_TEST(recorder_keeps_the_last_of_the_run)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 100 * MS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 1000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    EI_TRUE(!has_trace("trace.pftrace.partial"));
    end_trace(trace);
    json_t *decoded = decode_trace(trace_path("trace.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, "einet demo/task control/jobs", "slices"), 21); /* ended within 100 ms of the last end */
    EI_EQ(item_arg(trace_item(decoded, "einet demo/task control/jobs", "slices", 20), "job"), 999);
    json_decref(decoded);
}

/* Jobs every 5 ms, of which some miss: two misses in one window, then another one much later. */
EI_TEST(recorder_saves_a_window_around_a_miss)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 400; i++) {
        const bool is_late = i == 100 || i == 102 || i == 300;
        add_control_job(trace, i, T0_NS + i * 5 * MS, is_late ? 3 * MS : MS);
        ei_trace_work(trace);
        if (i == 100) {
            EI_TRUE(!has_trace("trace-1.pftrace")); /* it goes on for a quarter behind the miss */
        }
        if (i == 110) {
            EI_TRUE(has_trace("trace-1.pftrace")); /* while the run goes on */
        }
    }
    const struct ei_trace_counts counts = end_trace(trace);
    EI_EQ(counts.files, 2);
    EI_TRUE(!has_trace("trace.pftrace") && !has_trace("trace-3.pftrace"));
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
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    add_control_job(trace, 0, T0_NS, MS);
    add_control_job(trace, 1, T0_NS + 5 * MS, 3 * MS);
    EI_EQ(end_trace(trace).files, 1);
    EI_TRUE(has_trace("trace-1.pftrace"));
}

/* No miss, a miss of the warm-up, or what the end of the run cut off: no file. */
EI_TEST(recorder_writes_nothing_without_a_miss)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 100 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    struct ei_record record = trace_job(CONTROL, 0, T0_NS, T0_NS + 9 * MS, T0_NS + MS);
    record.u.job.flags |= EI_JOB_WARMUP;
    ei_trace_add(trace, &record);
    record = trace_job(CONTROL, 1, T0_NS + 10 * MS, 0, INT64_MAX);
    record.u.job.outcome = EI_JOB_DROPPED;
    record.u.job.cause = EI_CAUSE_CANCELLED;
    ei_trace_add(trace, &record);
    add_control_job(trace, 2, T0_NS + 20 * MS, MS);
    EI_EQ(end_trace(trace).files, 0);
    EI_TRUE(!has_trace("trace-1.pftrace") && !has_trace("trace-1.pftrace.partial"));
}

/* Memory is what was given: the oldest goes, the newest is saved whole. */
EI_TEST(recorder_stays_within_its_memory)
{
    enum { RING = 20000 };
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 1000000 * MS, .recorder_bytes = RING});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 5000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, MS);
    }
    const struct ei_trace_counts counts = end_trace(trace);
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
    struct ei_trace *trace = begin_trace(
        &(struct ei_trace_options){.last_ns = 2000 * MS, .save = EI_TRACE_SAVE_MISS, .recorder_bytes = 150000});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < 1000; i++) {
        add_control_job(trace, i, T0_NS + i * 5 * MS, i % 50 == 49 ? 3 * MS : MS);
    }
    const struct ei_trace_counts counts = end_trace(trace);
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
    EI_EQ(jobs, 1000); /* windows touch and do not overlap */
}

/* A full memory makes room by writing, not by forgetting, once a window is being written. */
static void expect_written_first(size_t recorder_bytes)
{
    struct ei_trace *trace = begin_trace(
        &(struct ei_trace_options){.last_ns = 1000 * MS, .save = EI_TRACE_SAVE_MISS, .recorder_bytes = recorder_bytes});
    EI_REQUIRE(trace != NULL);
    int32_t job = 0;
    for (; job < 1000 && !has_trace("trace-1.pftrace.partial"); job++) {
        add_control_job(trace, job, T0_NS + job * 5 * MS, job == 200 ? 3 * MS : MS);
    }
    EI_IN(job, 201, 300);
    const int64_t overwritten = ei_trace_count(trace).overwritten;
    EI_TRUE(overwritten > 0);
    add_control_job(trace, job, T0_NS + job * 5 * MS, MS);
    EI_EQ(ei_trace_count(trace).overwritten, overwritten);
    EI_EQ(end_trace(trace).files, 1);
}

EI_TEST(recorder_that_is_full_writes_before_it_forgets)
{
    for (size_t bytes = 20000; bytes < 20400; bytes += 8) { /* in some of them there is no room for another record */
        expect_written_first(bytes);
    }
}

/* One that comes long after its time, when nothing else is kept, is forgotten at once. */
EI_TEST(recorder_forgets_what_is_too_old)
{
    struct ei_trace *trace = begin_trace(
        &(struct ei_trace_options){.last_ns = 40 * MS, .save = EI_TRACE_SAVE_MISS, .recorder_bytes = 20000});
    EI_REQUIRE(trace != NULL);
    add_control_job(trace, 0, T0_NS + 500 * MS, 3 * MS);
    add_control_job(trace, 1, T0_NS + 520 * MS, MS);
    ei_trace_work(trace);
    EI_TRUE(has_trace("trace-1.pftrace")); /* with all that was kept */
    add_control_job(trace, 2, T0_NS, MS);
    add_control_job(trace, 3, T0_NS + 530 * MS, 3 * MS);
    EI_EQ(end_trace(trace).files, 2);
    json_t *decoded = decode_trace(trace_path("trace-2.pftrace"));
    EI_REQUIRE(decoded != NULL);
    EI_EQ(trace_count(decoded, "einet demo/task control/jobs", "slices"), 1);
    EI_EQ(item_arg(trace_item(decoded, "einet demo/task control/jobs", "slices", 0), "job"), 3);
    json_decref(decoded);
}

EI_TEST(recorder_stops_at_its_last_file)
{
    struct ei_trace *trace = begin_trace(&(struct ei_trace_options){.last_ns = 8 * MS, .save = EI_TRACE_SAVE_MISS});
    EI_REQUIRE(trace != NULL);
    for (int32_t i = 0; i < EI_TRACE_FILES_MAX + 20; i++) {
        add_control_job(trace, 2 * i, T0_NS + i * 50 * MS, 3 * MS);
        add_control_job(trace, 2 * i + 1, T0_NS + i * 50 * MS + 20 * MS, MS); /* by now the window is complete */
    }
    const struct ei_trace_counts counts = end_trace(trace);
    EI_EQ(counts.files, EI_TRACE_FILES_MAX);
    EI_EQ(counts.unsaved_misses, 20);
}

EI_MAIN()
