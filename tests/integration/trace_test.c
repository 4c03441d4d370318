/* outputs.trace, as users ask for it: the trace shows what jobs.csv and stages.csv say. */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"
#include "tests/metrics/trace_decoding.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two tasks that fight for a lane; the upper one is late now and then, and camera's jobs overlap. %s: outputs. */
static const char workload[] = "version: 1\n"
                               "name: show\n"
                               "run: { duration: 500ms, warmup: 50ms, seed: 3 }\n"
                               "lanes: { lane0: { kind: cpu, preempt: block } }\n"
                               "models:\n"
                               "  net: { emulate: { blocks: [ { conv: 2ms, branch: 300us, score: 0.5 },\n"
                               "                              { conv: 2ms, branch: 300us, score: 0.7 } ] } }\n"
                               "tasks:\n"
                               "  - name: control\n"
                               "    arrival: { model: sporadic, min_interarrival: 6ms, mean: 12ms }\n"
                               "    deadline: 4ms\n"
                               "    stages: [ { name: law, kind: cpu, work: { spin: 200us } },\n"
                               "              { name: net, kind: nn, model: net, lane: lane0 } ]\n"
                               "  - name: camera\n"
                               "    arrival: { model: periodic, period: 9ms }\n"
                               "    deadline: 20ms\n"
                               "    late_release: { queue: 1, drop: oldest }\n"
                               "    on_preempt: resume\n"
                               "    stages:\n"
                               "      - { name: pre, kind: cpu, work: { spin: 1ms } }\n"
                               "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
                               "      - { name: post, kind: cpu, work: { spin: 300us } }\n"
                               "outputs: { dir: out, %s }\n";

static const char *write_workload(const char *outputs)
{
    static char text[4096];
    snprintf(text, sizeof text, workload, outputs);
    return write_file("show.yaml", text);
}

struct counts {
    int64_t ran, unrun, missed, preemptions;
};

static void count_job(const struct job_line *job, void *context)
{
    struct counts *counts = context;
    const bool has_run = strcmp(job->outcome, "completed") == 0 || strcmp(job->outcome, "aborted") == 0;
    counts->ran += has_run;
    counts->unrun += !has_run;
    counts->missed += job->is_missed;
    counts->preemptions += job->preemptions;
}

/* Lines of stages.csv whose kind is one of the two. */
static int64_t count_stages(const char *folder, const char *kind, const char *other)
{
    char path[600], line[1024], first[64], second[64];
    int64_t count = 0;
    snprintf(path, sizeof path, "%s/stages.csv", folder);
    snprintf(first, sizeof first, ",%s,", kind);
    snprintf(second, sizeof second, ",%s,", other);
    FILE *file = fopen(path, "re");
    EI_TRUE(file != NULL);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const bool is_head = line[0] == '#' || strncmp(line, "task,", 5) == 0;
        count += !is_head && (strstr(line, first) != NULL || strstr(line, second) != NULL);
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static int64_t count_named(json_t *trace, const char *what, const char *name)
{
    const char *path;
    json_t *track;
    int64_t count = 0;
    json_object_foreach(json_object_get(trace, "tracks"), path, track)
    {
        json_t *items = json_object_get(track, what);
        for (size_t i = 0; i < json_array_size(items); i++) {
            const char *found = item_text(json_array_get(items, i), "name");
            count += found != NULL && strstr(found, name) != NULL;
        }
    }
    return count;
}

static void expect_agreement(const char *folder, const char *process)
{
    char path[600], prefix[128];
    struct counts counts = {0};
    snprintf(path, sizeof path, "%s/trace.pftrace", folder);
    EI_TRUE(for_each_job(folder, count_job, &counts) > 50);
    json_t *trace = decode_trace(path);
    EI_REQUIRE(trace != NULL);
    int64_t jobs = 0;
    for (int32_t i = 0; i < 2; i++) {
        snprintf(prefix, sizeof prefix, "%s/task %s/jobs", process, i == 0 ? "control" : "camera");
        jobs += (int64_t)trace_count_all(trace, prefix, "slices");
    }
    EI_EQ(jobs, counts.ran);
    EI_EQ(json_object_size(json_object_get(trace, "flows")), counts.ran);
    EI_EQ(count_named(trace, "instants", "skipped") + count_named(trace, "instants", "dropped"), counts.unrun);
    EI_EQ(count_named(trace, "slices", " MISSED"), counts.missed);
    EI_EQ(count_named(trace, "instants", "deadline MISSED"), counts.missed);
    EI_EQ(count_named(trace, "instants", "deadline"), counts.ran);
    EI_EQ(count_named(trace, "instants", "preempted"), counts.preemptions);
    EI_EQ(count_named(trace, "instants", "finish"), counts.ran);
    snprintf(prefix, sizeof prefix, "%s/thread", process);
    EI_EQ(trace_count_all(trace, prefix, "slices"), count_stages(folder, "cpu", "nn"));
    snprintf(prefix, sizeof prefix, "%s/lane lane0", process);
    EI_EQ(trace_count_all(trace, prefix, "slices"), count_stages(folder, "conv", "branch"));
    EI_EQ(count_named(trace, "instants", "exit "), count_stages(folder, "branch", "branch"));
    json_t *summary = read_summary(folder);
    EI_EQ(item_int(json_object_get(summary, "trace"), "events"), item_int(trace, "events"));
    EI_EQ(item_int(json_object_get(summary, "trace"), "lost_events"), 0);
    EI_EQ(item_int(json_object_get(summary, "trace"), "lost_stages"), 0);
    json_decref(summary);
    json_decref(trace);
}

EI_TEST(a_simulated_trace_shows_what_the_csv_files_say)
{
    const char *file = write_workload("trace: perfetto");
    const struct finished *done = einet_run((const char *[]){"simulate", file, "--out", in_tmpdir("out"), NULL});
    EI_TRUEF(done->status == 0, "%s", done->output);
    expect_agreement(in_tmpdir("out"), "einet show (virtual time)");
}

/* The same file, seed and duration give the same bytes. */
EI_TEST(a_simulated_trace_is_the_same_every_time)
{
    const char *file = write_workload("trace: perfetto");
    EI_EQ(einet_run((const char *[]){"simulate", file, "--out", in_tmpdir("a"), NULL})->status, 0);
    EI_EQ(einet_run((const char *[]){"simulate", file, "--out", in_tmpdir("b"), NULL})->status, 0);
    char command[1400];
    snprintf(command, sizeof command, "cmp '%s/trace.pftrace' '%s/trace.pftrace'", in_tmpdir("a"), in_tmpdir("b"));
    EI_EQ(system(command), 0);
}

/* Without stages.csv the records come all the same. */
EI_TEST(a_trace_alone_has_its_stages)
{
    const char *file = write_workload("trace: perfetto, jobs: none, stages: none");
    EI_EQ(einet_run((const char *[]){"simulate", file, "--out", in_tmpdir("out"), NULL})->status, 0);
    char path[600];
    snprintf(path, sizeof path, "%s/trace.pftrace", in_tmpdir("out"));
    json_t *trace = decode_trace(path);
    EI_REQUIRE(trace != NULL);
    EI_TRUE(trace_count_all(trace, "einet show (virtual time)/thread", "slices") > 100);
    EI_TRUE(trace_count_all(trace, "einet show (virtual time)/lane", "slices") > 100);
    json_decref(trace);
    EI_TRUE(access(in_tmpdir("out/stages.csv"), F_OK) != 0);
}

EI_TEST(a_live_trace_shows_what_the_csv_files_say)
{
    const char *file = write_workload("trace: perfetto");
    const struct finished *done = einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
    EI_TRUEF(done->status == 0, "%s", done->output);
    expect_agreement(in_tmpdir("out"), "einet show");
}

/* Windows around misses, whole and not overlapping; none when nothing was asked for. */
EI_TEST(the_recorder_saves_the_misses_of_a_run)
{
    const char *file = write_workload("trace: { last: 40ms, save_on: miss }");
    EI_EQ(einet_run((const char *[]){"simulate", file, "--out", in_tmpdir("out"), NULL})->status, 0);
    json_t *summary = read_summary(in_tmpdir("out"));
    const int64_t windows = item_int(json_object_get(summary, "trace"), "windows");
    EI_TRUE(windows > 1);
    EI_EQ(item_int(json_object_get(summary, "trace"), "unsaved_misses"), 0);
    json_decref(summary);
    int64_t missed = 0;
    for (int64_t i = 1; i <= windows; i++) {
        char name[64];
        snprintf(name, sizeof name, "out/trace-%lld.pftrace", (long long)i);
        json_t *trace = decode_trace(in_tmpdir(name));
        EI_REQUIRE(trace != NULL);
        const int64_t here = count_named(trace, "slices", " MISSED");
        EI_TRUE(here + count_named(trace, "instants", "dropped") > 0);
        missed += here;
        json_decref(trace);
    }
    struct counts counts = {0};
    (void)for_each_job(in_tmpdir("out"), count_job, &counts);
    EI_TRUE(counts.missed > 0);
    EI_EQ(missed, counts.missed);
    EI_TRUE(access(in_tmpdir("out/trace.pftrace"), F_OK) != 0);
}

/* Every job is late, so every job is in some window. */
EI_TEST(the_recorder_of_a_live_run_loses_no_miss)
{
    const char *file = write_file("late.yaml", "version: 1\n"
                                               "name: late\n"
                                               "run: { duration: 600ms, seed: 1 }\n"
                                               "tasks:\n"
                                               "  - name: control\n"
                                               "    arrival: { model: periodic, period: 5ms }\n"
                                               "    deadline: 500us\n"
                                               "    stages: [ { name: law, kind: cpu, work: { spin: 1ms } } ]\n"
                                               "outputs: { dir: out, trace: { last: 80ms, save_on: miss } }\n");
    const struct finished *done = einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
    EI_TRUEF(done->status == 0, "%s", done->output);
    json_t *summary = read_summary(in_tmpdir("out"));
    const int64_t windows = item_int(json_object_get(summary, "trace"), "windows");
    json_decref(summary);
    EI_TRUE(windows > 1);
    int64_t missed = 0;
    for (int64_t i = 1; i <= windows; i++) {
        char name[64];
        snprintf(name, sizeof name, "out/trace-%lld.pftrace", (long long)i);
        json_t *trace = decode_trace(in_tmpdir(name));
        EI_REQUIRE(trace != NULL);
        missed += count_named(trace, "slices", " MISSED");
        json_decref(trace);
    }
    struct counts counts = {0};
    EI_TRUE(for_each_job(in_tmpdir("out"), count_job, &counts) > 0);
    EI_EQ(missed, counts.missed);
}

/* Where the trace says that a thread begins or ends a stage, the kernel says that it runs. */
EI_TEST(a_live_trace_lies_on_the_switches_that_the_kernel_recorded)
{
    char command[2400];
    int64_t stages = 0, outside = 0, outside_if_shifted = 0;
    const char *file = write_workload("trace: perfetto");
    snprintf(command, sizeof command,
             "cd '%s' && perf record -q -k CLOCK_MONOTONIC -e dummy --switch-events -o probe true", ei_test_tmpdir());
    if (system(command) != 0) {
        ei_test_skip("perf cannot record switches here (apt-get install linux-perf; kernel.perf_event_paranoid)");
    }
    snprintf(
        command, sizeof command,
        "perf record -q -k CLOCK_MONOTONIC -e dummy --switch-events -o '%s' '%s/einet' run '%s' --out '%s' --quiet",
        in_tmpdir("switches"), ei_test_build_dir(), file, in_tmpdir("out"));
    EI_EQ(system(command), 0);
    json_t *trace = decode_trace(in_tmpdir("out/trace.pftrace")); /* into decoded.json */
    EI_REQUIRE(trace != NULL);
    json_decref(trace);
    snprintf(command, sizeof command,
             "perf script -i '%s' --show-switch-events --ns -F tid,time | "
             "/usr/bin/python3 tests/integration/kernel_switches.py '%s' > '%s'",
             in_tmpdir("switches"), in_tmpdir("decoded.json"), in_tmpdir("compared.json"));
    EI_EQ(system(command), 0);
    json_t *compared = json_load_file(in_tmpdir("compared.json"), 0, NULL);
    EI_EQ(json_unpack(compared, "{s:I, s:I, s:I}", "stages", &stages, "outside", &outside, "outside_if_shifted",
                      &outside_if_shifted),
          0);
    json_decref(compared);
    EI_TRUEF(stages > 50, "%lld stages", (long long)stages);
    EI_EQ(outside, 0);
    EI_TRUEF(outside_if_shifted > stages / 10, "%lld of %lld", (long long)outside_if_shifted, (long long)stages);
}

/* A trace that cannot have its name is an error, and costs the figures nothing. */
EI_TEST(a_trace_that_fails_leaves_the_other_files)
{
    const char *file = write_workload("trace: perfetto");
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    EI_EQ(mkdir(out, 0755), 0);
    EI_EQ(mkdir(in_tmpdir("out/trace.pftrace"), 0755), 0);
    const struct finished *f = einet_run((const char *[]){"run", file, "--out", out, NULL});
    EI_EQ(f->status, 5);
    EI_CONTAINS(f->output, "trace.pftrace");
    EI_EQ(access(in_tmpdir("out/summary.json"), F_OK), 0);
    EI_EQ(access(in_tmpdir("out/jobs.csv"), F_OK), 0);
}

EI_MAIN()
