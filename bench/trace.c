/* What a trace costs: records of jobs with three stages and six blocks, drawn into a file in the working directory
 * (give another folder as the first argument). Prints events, MB, s, bytes and ns an event; then the same through the
 * flight recorder, with what keeping a record costs and what writing the window costs.
 *
 *     build/release/bench_trace [FOLDER]
 */
#include "metrics/trace.h"
#include "rt/clock.h"
#include "rt/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS 1000000
#define TASKS 4
#define BLOCKS 3

static const struct ei_trace_task camera = {
    .name = "camera", .stage_count = 3, .stages = {"pre", "net", "post"}, .exits = BLOCKS, .slots = 1, .tids = {1}};

struct source {
    struct ei_random random;
    int64_t at_ns;
    int64_t job_idx;
    int64_t records;
};

static int64_t step(struct source *source)
{
    source->at_ns += 20000 + (int64_t)ei_random_below(&source->random, 2000000);
    return source->at_ns;
}

static void add(struct ei_trace *trace, struct source *source, const struct ei_record *record)
{
    ei_trace_add(trace, record);
    source->records++;
}

static void add_job(struct ei_trace *trace, struct source *source)
{
    const int32_t task_idx = (int32_t)(source->job_idx % TASKS);
    const int64_t job_idx = source->job_idx++ / TASKS, release_ns = step(source);
    int64_t before_ns = release_ns;
    struct ei_record record;
    for (int32_t stage = 0; stage < 3; stage++) {
        const int64_t start_ns = step(source);
        int64_t end_ns = stage == 1 ? start_ns : step(source);
        for (int32_t i = 0; stage == 1 && i < 2 * BLOCKS; i++) {
            record = (struct ei_record){.kind = EI_RECORD_BLOCK,
                                        .u.block = {.task_idx = task_idx,
                                                    .stage_idx = 1,
                                                    .block_idx = i / 2,
                                                    .is_branch = i % 2,
                                                    .confidence = 0.5F,
                                                    .job_idx = job_idx,
                                                    .start_ns = end_ns,
                                                    .end_ns = step(source)}};
            end_ns = record.u.block.end_ns;
            add(trace, source, &record);
        }
        record = (struct ei_record){.kind = EI_RECORD_STAGE,
                                    .u.stage = {.task_idx = task_idx,
                                                .stage_idx = stage,
                                                .cpu = 1,
                                                .job_idx = job_idx,
                                                .ready_ns = before_ns,
                                                .start_ns = start_ns,
                                                .end_ns = end_ns,
                                                .cpu_ns = end_ns - start_ns}};
        before_ns = end_ns;
        add(trace, source, &record);
    }
    record = (struct ei_record){.kind = EI_RECORD_JOB,
                                .u.job = {.task_idx = task_idx,
                                          .flags = EI_JOB_ANSWERED,
                                          .job_idx = job_idx,
                                          .release_ns = release_ns,
                                          .finish_ns = before_ns,
                                          .deadline_ns = release_ns + 33000000,
                                          .planned_exit = BLOCKS - 1,
                                          .exit_idx = BLOCKS - 1,
                                          .confidence = 0.5F}};
    add(trace, source, &record);
}

static struct ei_trace *create(const char *folder, int64_t last_ns)
{
    struct ei_trace_task tasks[TASKS];
    struct ei_trace_setup setup = {
        .process = "einet bench", .pid = 1, .task_count = TASKS, .tasks = tasks, .lane_count = 1, .lanes = {"lane0"}};
    struct ei_trace *trace = NULL;
    struct einet_error err = {0};
    for (int32_t i = 0; i < TASKS; i++) {
        tasks[i] = camera;
        tasks[i].tids[0] = i + 1;
    }
    if (ei_trace_create(&setup, &(struct ei_trace_options){.last_ns = last_ns}, folder, &trace, &err) < 0) {
        fprintf(stderr, "bench_trace: %s\n", err.text);
        exit(1);
    }
    return trace;
}

static double seconds_since(int64_t from_ns)
{
    return (double)(ei_mono_now().ns - from_ns) / 1e9;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    char path[1024];
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/trace.pftrace", folder);
    for (int is_recorder = 0; is_recorder < 2; is_recorder++) {
        struct source source = {.at_ns = INT64_C(1000000000000)};
        ei_random_init(&source.random, 1, 0);
        struct ei_trace *trace = create(folder, is_recorder ? INT64_MAX / 2 : 0);
        const int64_t from_ns = ei_mono_now().ns;
        while (source.records < EVENTS / 3) { /* 29 events from the 10 records of a job */
            add_job(trace, &source);
        }
        const double added_s = seconds_since(from_ns);
        const int64_t close_ns = ei_mono_now().ns;
        if (ei_trace_close(trace, &err) < 0 || ei_trace_publish(trace, &err) < 0) {
            fprintf(stderr, "bench_trace: %s\n", err.text);
            return 1;
        }
        const double closed_s = seconds_since(close_ns);
        const struct ei_trace_counts counts = ei_trace_count(trace);
        struct stat st = {0};
        (void)stat(path, &st);
        printf(
            "%s: %lld records, %lld events, %.1f MB, added in %.2f s (%.0f ns a record), closed in %.2f s; %.1f bytes "
            "and %.0f ns an event\n",
            is_recorder ? "recorder" : "whole run", (long long)source.records, (long long)counts.events,
            (double)st.st_size / 1e6, added_s, added_s * 1e9 / (double)source.records, closed_s,
            (double)st.st_size / (double)counts.events, (added_s + closed_s) * 1e9 / (double)counts.events);
        ei_trace_destroy(trace);
        (void)unlink(path);
    }
    return 0;
}
