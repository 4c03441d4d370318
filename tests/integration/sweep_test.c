/* einet simulate --sweep: shards merge to the bytes of the whole, workers do not show, a point is the run of its file.
 */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 12

/* %s: the deadline of the camera, the cap on real-time load */
static const char workload[] =
    "version: 1\n"
    "name: swept\n"
    "run: { duration: 2s, warmup: 0s, seed: 4 }\n"
    "platform: { rt_load_cap: %s }\n"
    "lanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"
    "models: { net: { emulate: { blocks: [ { conv: { lognormal: { median: 1ms, p99: 2ms } }, score: 0.6 },\n"
    "                                      { conv: 2ms, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: alarm, arrival: { model: sporadic, min_interarrival: 20ms, mean: 40ms }, deadline: 10ms,\n"
    "      priority: 70, on_preempt: none, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: camera, arrival: { model: periodic, period: 10ms }, deadline: %s, priority: 50,\n"
    "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";

static const char *const grid[] = {"--sweep", "tasks.camera.deadline=2ms..7ms/1ms", "--sweep",
                                   "platform.rt_load_cap=0.1..0.9/0.8"};

static const char *file_with(const char *name, const char *cap, const char *deadline)
{
    static char text[2048];
    snprintf(text, sizeof text, workload, cap, deadline);
    return write_file(name, text);
}

static char *read_all(const char *folder, const char *name)
{
    char path[600];
    char *text = calloc(1, 1 << 20);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    if (EI_TRUEF(in != NULL && text != NULL, "cannot read %s", path)) {
        text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
    }
    if (in != NULL) {
        fclose(in);
    }
    return text;
}

/* Sweep the grid into a folder; more: further arguments. The path stays valid. */
static void sweep(const char *file, const char *folder, const char *option, const char *value, const char *workers)
{
    const struct finished *f = einet_run((const char *[]){"simulate", file, grid[0], grid[1], grid[2], grid[3], "--out",
                                                          folder, "--workers", workers, option, value, NULL});
    EI_TRUEF(f->status == 0 && f->output[0] == '\0', "status %d: %s", f->status, f->output);
}

EI_TEST(shards_merge_to_the_whole_byte_for_byte)
{
    static const char *const names[] = {"sweep.csv", "sweep.jsonl"};
    char file[512], folders[4][512], paths[4][600];
    snprintf(file, sizeof file, "%s", file_with("swept.yaml", "0.9", "5ms"));
    for (int i = 0; i < 4; i++) {
        char shard[16];
        snprintf(folders[i], sizeof folders[i], "%s/%d", ei_test_tmpdir(), i);
        snprintf(shard, sizeof shard, "%d/3", i);
        sweep(file, folders[i], i > 0 ? "--shard" : NULL, shard, i % 2 == 0 ? "1" : "4");
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 4; i++) {
            snprintf(paths[i], sizeof paths[i], "%.511s/%s", folders[i], names[k]);
        }
        char *whole = read_all(folders[0], names[k]);
        const struct finished *f =
            einet_run((const char *[]){"simulate", "--merge", paths[3], paths[1], paths[2], NULL});
        EI_EQ(f->status, 0);
        EI_TRUEF(strcmp(f->output, whole) == 0, "%s differs:\n%s", names[k], f->output);
        int lines = 0;
        for (const char *c = whole; (c = strchr(c, '\n')) != NULL; c++) {
            lines++;
        }
        EI_EQ(lines, k == 0 ? 1 + 2 * POINTS : POINTS);
        free(whole);
        f = einet_run((const char *[]){"simulate", "--merge", paths[3], paths[1], NULL});
        EI_EQ(f->status, 2);
        EI_CONTAINS(f->output, "point 1 of 12 is in no file");
        f = einet_run((const char *[]){"simulate", "--merge", paths[0], paths[1], NULL});
        EI_EQ(f->status, 2);
        EI_CONTAINS(f->output, "point 0 is in ");
    }
    snprintf(paths[1], sizeof paths[1], "%.511s/sweep.csv", folders[1]);
    const struct finished *f = einet_run((const char *[]){"simulate", "--merge", paths[1], paths[2], NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "mixed");
}

EI_TEST(workers_do_not_show)
{
    char file[512], one[512], many[512];
    snprintf(file, sizeof file, "%s", file_with("swept.yaml", "0.9", "5ms"));
    snprintf(one, sizeof one, "%s", in_tmpdir("one"));
    snprintf(many, sizeof many, "%s", in_tmpdir("many"));
    sweep(file, one, NULL, NULL, "1");
    sweep(file, many, "--cpus", "2", "7");
    char *a = read_all(one, "sweep.jsonl"), *b = read_all(many, "sweep.jsonl");
    EI_TRUE(strcmp(a, b) == 0 && strlen(a) > 1000);
    free(a);
    free(b);
}

EI_TEST(a_point_is_the_run_of_its_file)
{
    char swept[512], written[512], out[512];
    snprintf(swept, sizeof swept, "%s", file_with("swept.yaml", "0.9", "5ms"));
    snprintf(written, sizeof written, "%s", file_with("written.yaml", "0.1", "4ms"));
    snprintf(out, sizeof out, "%s", in_tmpdir("single")); /* its output has warnings before the JSON */
    const struct finished *f = einet_run((const char *[]){"simulate", written, "--out", out, NULL});
    EI_EQ(f->status, 0);
    json_t *single = read_summary(out);
    f = einet_run((const char *[]){"simulate", swept, grid[0], grid[1], grid[2], grid[3], "--json", NULL});
    EI_EQ(f->status, 0);
    const char *line = f->output;
    for (int i = 0; i < 4 && line != NULL; i++) { /* point 4: the third deadline, the first cap */
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    json_t *point = line != NULL ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    EI_REQUIRE(single != NULL && point != NULL);
    EI_EQ(json_integer_value(json_object_get(point, "point")), 4);
    EI_EQ(json_integer_value(json_object_get(point, "points")), POINTS);
    const json_t *set = json_object_get(point, "set");
    EI_STREQ(json_string_value(json_object_get(set, "tasks.camera.deadline")), "4ms");
    EI_STREQ(json_string_value(json_object_get(set, "platform.rt_load_cap")), "0.1");
    EI_TRUE(json_equal(json_object_get(point, "summary"), single));
    json_decref(single);
    json_decref(point);
}

static void expect(int status, const char *text, const char *option, const char *value)
{
    char file[512];
    snprintf(file, sizeof file, "%s", file_with("swept.yaml", "0.9", "5ms"));
    const struct finished *f = einet_run((const char *[]){"simulate", file, option, value, NULL});
    EI_EQ(f->status, status);
    EI_CONTAINS(f->output, text);
}

EI_TEST(bad_sweeps_are_named)
{
    expect(1, "the path is missing", "--sweep", "10ms..20ms/1ms");
    expect(1, "low must not be above high", "--sweep", "tasks.camera.deadline=9ms..2ms/1ms");
    expect(1, "three durations or three decimal numbers", "--sweep", "tasks.camera.deadline=2..9ms/1ms");
    expect(1, "the step above 0", "--sweep", "tasks.camera.deadline=2ms..9ms/0s");
    expect(1, "a value is empty", "--sweep", "tasks.camera.on_preempt=exit,");
    expect(1, "at most a million", "--sweep", "tasks.camera.deadline=1ms..9ms/1ns");
    expect(1, "I/N with I from 1 to N", "--shard", "4/3");
    expect(1, "for a --sweep", "--shard", "1/3");
    expect(1, "for a --sweep", "--workers", "3");
    expect(2, "there is no 'camra'", "--sweep", "tasks.camra.deadline=1ms,2ms");
    expect(2, "unknown key 'dedline'", "--sweep", "tasks.camera.dedline=1ms,2ms");
    expect(2, "point 1 of the sweep is no good workload: tasks.camera.deadline=20ms", "--sweep",
           "tasks.camera.deadline=5ms,20ms");
    const struct finished *f = einet_run((const char *[]){"simulate", "--merge", NULL});
    EI_EQ(f->status, 1);
    f = einet_run((const char *[]){"simulate", "--merge", "README.md", NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "README.md");
}

EI_TEST(a_sweep_that_fails_leaves_no_file)
{
    char file[512], out[512], path[600];
    snprintf(file, sizeof file, "%s", file_with("swept.yaml", "0.9", "5ms"));
    snprintf(out, sizeof out, "%s", in_tmpdir("failed"));
    const struct finished *f = einet_run((const char *[]){"simulate", file, "--cpus", "1", "--sweep", "run.seed=1..3/1",
                                                          "--out", out, NULL}); /* lane on CPU 1 */
    EI_EQ(f->status, 2);
    const char *first = strstr(f->output, "wants CPUs 1");
    EI_REQUIRE(first != NULL);
    EI_TRUEF(strstr(first + 1, "wants CPUs 1") == NULL, "said more than once: %s", f->output);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/sweep.%s%s", out, i % 2 == 0 ? "csv" : "jsonl", i < 2 ? "" : ".partial");
        EI_TRUEF(access(path, F_OK) != 0, "%s is left", path);
    }
}

EI_MAIN()
