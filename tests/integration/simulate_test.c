/* einet simulate as users call it. */
#include "tests/integration/command.h"
#include "tests/integration/terminal.h"

#include "tests/harness/harness.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char workload[] =
    "version: 1\n"
    "name: virtual\n"
    "run: { duration: 2s, warmup: 100ms, seed: 9 }\n"
    "platform: { privileges: require }\n" /* of no concern to a simulation */
    "lanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"
    "models:\n"
    "  net: { emulate: { blocks: [ { conv: { lognormal: { median: 1ms, p99: 2ms } }, branch: 0.2ms, score: 0.6 },\n"
    "                              { conv: 1ms, branch: 0.3ms, score: 0.8 }, { conv: 2ms, score: 0.9 } ] } }\n"
    "tasks:\n"
    "  - { name: control, arrival: { model: periodic, period: 5ms, jitter: 100us }, deadline: 2ms, priority: 80,\n"
    "      cpus: \"1\", stages: [ { name: law, kind: cpu, work: { spin: 300us } } ] }\n"
    "  - { name: alarm, arrival: { model: sporadic, min_interarrival: 20ms, mean: 40ms }, deadline: 10ms,\n"
    "      priority: 70, on_preempt: none, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: camera, arrival: { model: periodic, period: 10ms }, priority: 50, on_preempt: exit,\n"
    "      late_release: { queue: 1, drop: oldest }, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";

/* The path stays; those of write_file and in_tmpdir are reused. */
static const char *workload_file(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", write_file("virtual.yaml", workload));
    return path;
}

static char *read_all(const char *path)
{
    FILE *in = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (in != NULL && text != NULL) {
        text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
    }
    EI_TRUEF(in != NULL && text != NULL && text[0] != '\0', "cannot read %s", path);
    if (in != NULL) {
        fclose(in);
    }
    return text;
}

static char *jobs_of(const char *file, const char *seed, const char *name)
{
    char path[600], out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir(name));
    const struct finished *f = einet_run((const char *[]){"simulate", file, "--seed", seed, "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    snprintf(path, sizeof path, "%s/jobs.csv", out);
    return read_all(path);
}

EI_TEST(same_seed_same_bytes)
{
    const char *file = workload_file();
    char *a = jobs_of(file, "9", "a"), *b = jobs_of(file, "9", "b"), *c = jobs_of(file, "10", "c");
    EI_TRUE(a != NULL && b != NULL && c != NULL && strcmp(a, b) == 0 && strcmp(a, c) != 0);
    free(a);
    free(b);
    free(c);
}

EI_TEST(json_is_a_live_runs_summary)
{
    const char *file = workload_file();
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const struct finished *f =
        einet_run((const char *[]){"simulate", file, "--duration", "1min", "--json", "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_error_t error;
    json_t *printed = json_loads(f->output, 0, &error), *written = read_summary(out);
    EI_TRUEF(printed != NULL, "no JSON: %s", error.text);
    EI_REQUIRE(printed != NULL && written != NULL);
    EI_TRUE(json_equal(printed, written));
    check_identity(printed);
    EI_EQ(task_integer(printed, "control", "released"), 12001); /* both ends count */
    EI_EQ(task_integer(printed, "control", "misses"), 0);
    EI_TRUE(task_integer(printed, "camera", "preemptions") > 100);
    EI_TRUE(task_real(printed, "camera", "coverage") == 1.0);
    EI_EQ((int)json_array_size(json_object_get(printed, "degraded")), 0);
    json_decref(printed);
    json_decref(written);
}

EI_TEST(shipped_files_simulate_from_their_profiles)
{
    const struct finished *f =
        einet_run((const char *[]){"simulate", "configs/edge-server.yaml", "--duration", "5s", "--json", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = json_loads(f->output, 0, NULL);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_TRUE(task_real(summary, "camera", "accuracy") > 0.6);
    json_decref(summary);
}

EI_TEST(a_gpu_lane_simulates_and_its_tasks_overlap)
{
    const struct finished *f =
        einet_run((const char *[]){"simulate", "configs/gpu.yaml", "--duration", "5s", "--json", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = json_loads(f->output, 0, NULL);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "control", "misses") + task_integer(summary, "obstacle", "misses"), 0);
    EI_TRUE(task_real(summary, "camera", "coverage") == 1.0);
    EI_TRUE(task_integer(summary, "camera", "preemptions") > 20);
    json_decref(summary);
    f = einet_run((const char *[]){"analyze", "configs/gpu.yaml", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "every deadline is guaranteed");
}

static void expect(int status, const char *text, const char *const *args)
{
    const struct finished *f = einet_run(args);
    EI_EQ(f->status, status);
    EI_CONTAINS(f->output, text);
}

EI_TEST(bad_calls_are_named)
{
    const char *file = workload_file();
    expect(1, "which workload file", (const char *[]){"simulate", NULL});
    expect(1, "--duration wants a time with a unit", (const char *[]){"simulate", file, "--duration", "10", NULL});
    expect(1, "--seed wants a whole number", (const char *[]){"simulate", file, "--seed", "-1", NULL});
    expect(1, "--cpus wants a number", (const char *[]){"simulate", file, "--cpus", "65", NULL});
    expect(1, "one workload file only", (const char *[]){"simulate", file, file, NULL});
    expect(2, "lane 'acc' wants CPUs 1", (const char *[]){"simulate", file, "--cpus", "1", NULL});
    const char *profileless = write_file(
        "profileless.yaml",
        "version: 1\nname: p\nrun: { duration: 1s }\nlanes: { a: { kind: cpu } }\n"
        "models: { m: { zoo: b-alexnet, dataset: cifar10, weights: nowhere.safetensors } }\n"
        "tasks:\n  - { name: t, arrival: { model: periodic, period: 20ms }, priority: 5,\n"
        "      input: { kind: dataset, name: cifar10 },\n"
        "      stages: [ { name: pre, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: a } ] }\n");
    expect(2, "nowhere.et.csv", (const char *[]){"simulate", profileless, NULL});
}

static const char *workload_on_gpu(const char *name, const char *lane)
{
    char weights[512], text[2048];
    snprintf(weights, sizeof weights, "%s/n.safetensors", ei_test_tmpdir());
    snprintf(text, sizeof text,
             "version: 1\nname: p\nrun: { duration: 1s }\nlanes: { a: { kind: cuda%s } }\n"
             "models: { m: { zoo: b-alexnet, dataset: cifar10, weights: %s } }\n"
             "tasks:\n  - { name: t, arrival: { model: periodic, period: 20ms }, priority: 5,\n"
             "      input: { kind: dataset, name: cifar10 },\n"
             "      stages: [ { name: pre, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: a } ] }\n",
             lane, weights);
    return write_file(name, text);
}

/* The shipped profile under another name, as if it were of such a lane. */
static void write_times(const char *ending, const char *lane)
{
    char path[600], line[512];
    snprintf(path, sizeof path, "%s/n%s", ei_test_tmpdir(), ending);
    FILE *from = fopen("models/pretrained/b-alexnet-cifar10.et.csv", "r"), *to = fopen(path, "w");
    EI_REQUIRE(from != NULL && to != NULL);
    while (fgets(line, sizeof line, from) != NULL) {
        if (strncmp(line, "# lane:", 7) == 0) {
            fprintf(to, "# lane: %s\n", lane);
        } else {
            fputs(line, to);
        }
    }
    fclose(from);
    fclose(to);
}

/* Times of a whole GPU are not those of a lane that has some of its multiprocessors. */
EI_TEST(times_are_those_of_the_lane_s_multiprocessors)
{
    char small[1024], large[1024], scores[PATH_MAX], beside[600];
    snprintf(beside, sizeof beside, "%s/n.cs", ei_test_tmpdir());
    EI_REQUIRE(realpath("models/pretrained/b-alexnet-cifar10.cs", scores) != NULL && symlink(scores, beside) == 0);
    snprintf(small, sizeof small, "%s", workload_on_gpu("small.yaml", ", sms: 16"));
    snprintf(large, sizeof large, "%s", workload_on_gpu("large.yaml", ""));
    write_times(".cuda.et.csv", "cuda:0");
    expect(2, "n.cuda-16.et.csv", (const char *[]){"simulate", small, NULL});
    write_times(".cuda-16.et.csv", "cuda:0 sms:32");
    expect(2,
           "was measured on lane `cuda:0 sms:32`, and the lane in question is a GPU with sms: 16 ('a'): make a profile",
           (const char *[]){"simulate", small, NULL});
    write_times(".cuda-16.et.csv", "cuda:0 sms:16");
    expect(0, "t ", (const char *[]){"simulate", small, NULL});
    expect(0, "t ", (const char *[]){"simulate", large, NULL});
}

/* On a terminal long work tells how far it is and the time left; not with --quiet, and not elsewhere. */
EI_TEST(progress_is_told_on_a_terminal_alone)
{
    static char said[65536];
    for (int i = 0; i < 3; i++) {
        char command[1024];
        snprintf(command, sizeof command,
                 "exec '%.500s/einet' simulate configs/overload.yaml --duration 5min --json %s >/dev/null",
                 ei_test_build_dir(), i == 1 ? "--quiet" : "");
        einet_read_said(command, i < 2, said, sizeof said);
        EI_TRUEF((strstr(said, " of 5 min simulated") != NULL && strstr(said, " left") != NULL) == (i == 0), "%d: %s",
                 i, said);
    }
}

EI_MAIN()
