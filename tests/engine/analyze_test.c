/* From the text of a workload to bounds: numbers small enough for pencil and paper, and what is refused. */
#include "engine/analyze.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define US INT64_C(1000)

/* The workload lives as long as the analysis. */
struct result {
    struct ei_workload *wl;
    struct ei_analysis *analysis;
    struct ei_diagnostics diag;
    int rc;
};

static struct result run(const char *text, const struct ei_analysis_options *options)
{
    struct result r = {0};
    r.rc = ei_workload_parse(text, strlen(text), "test.yaml", &r.wl, &r.diag);
    EI_TRUEF(r.rc == 0, "the text is refused: %s", r.diag.count > 0 ? r.diag.items[0].text : "");
    if (r.rc == 0) {
        r.rc = ei_analyze(r.wl, options, &r.analysis, &r.diag);
        ei_diagnostics_sort(&r.diag);
    }
    return r;
}

static const struct ei_analysis_options usual = {
    .quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS, .has_sensitivity = true};

static void end(struct result *r)
{
    ei_analysis_destroy(r->analysis);
    ei_workload_destroy(r->wl);
    ei_diagnostics_fini(&r->diag);
}

#define HEAD "version: 1\nname: test\nlanes: { acc: { kind: cpu, cpus: \"0\", preempt: block } }\n"
#define DEEP                                                                                                           \
    "models:\n"                                                                                                        \
    "  det: { emulate: { blocks: [ { conv: 500us, branch: 100us, score: 0.8 },\n"                                      \
    "                              { conv: 500us, branch: 100us, score: 0.9 } ] } }\n"                                 \
    "  deep: { emulate: { blocks: [ { conv: 900us, branch: 180us, score: 0.4 }, { conv: 900us, branch: 180us, score: " \
    "0.5 },\n"                                                                                                         \
    "    { conv: 900us, branch: 180us, score: 0.6 }, { conv: 900us, branch: 180us, score: 0.7 },\n"                    \
    "    { conv: 900us, branch: 180us, score: 0.8 }, { conv: 900us, branch: 180us, score: 0.9 } ] } }\n"
#define CONTROL                                                                                                        \
    "  - { name: control, arrival: { model: periodic, period: 4ms }, deadline: 4ms, priority: 80, cpus: \"0\",\n"      \
    "      stages: [ { name: law, kind: cpu, work: { spin: 300us } } ] }\n"
#define OBSTACLE                                                                                                       \
    "  - { name: obstacle, arrival: { model: periodic, period: 10ms }, deadline: 6ms, priority: 70, on_preempt: "      \
    "none,\n"                                                                                                          \
    "      on_deadline: finish, stages: [ { name: net, kind: nn, model: det, lane: acc } ] }\n"

/* camera: 6 exits of 1.08 ms, at most one block of 0.9 ms left from the job before when that was cut at its deadline.
 * response: 6.48 + 2 control + 1 obstacle = 8.28, within one period of each but control's (ceil(8.28 / 4) = 3: 8.58).
 * first exit: 1.08 + 0.3 + 1.2 = 2.58. */
EI_TEST(analyze_by_hand)
{
    struct result r =
        run(HEAD DEEP "tasks:\n" CONTROL OBSTACLE
                      "  - { name: camera, arrival: { model: periodic, period: 10ms }, priority: 50, "
                      "on_preempt: resume, stages: [ { name: net, kind: nn, model: deep, lane: acc } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    const struct ei_analysis_task *control = &r.analysis->tasks[0], *obstacle = &r.analysis->tasks[1],
                                  *camera = &r.analysis->tasks[2];
    EI_EQ(control->response_ns, 300 * US);
    EI_EQ(control->mandatory_ns, 300 * US);
    EI_EQ(obstacle->blocking_ns, 900 * US);
    EI_EQ(obstacle->response_ns, (900 + 1200 + 300) * US);
    EI_EQ(obstacle->guaranteed_exits, 2);
    EI_EQ(camera->wcet_ns, 6480 * US);
    EI_EQ(camera->response_ns, 6480 * US + 3 * 300 * US + 1200 * US);
    EI_EQ(camera->mandatory_ns, (1080 + 300 + 1200) * US);
    EI_TRUE(camera->is_schedulable && camera->is_guaranteed && camera->is_elastic && r.analysis->is_guaranteed);
    EI_EQ(camera->guaranteed_exits, 6);
    EI_EQ(camera->smallest_deadline_ns, camera->response_ns);
    EI_STREQ(camera->times, "emulate p99");
    EI_STREQ(control->times, "spin");
    /* 0.3 / 4 + 1.2 / 10 + 6.48 / 10, and with the first exit alone */
    EI_EQ(r.analysis->cpus_count, 1);
    EI_EQ(r.analysis->cpus[0].used_ppm, 75000 + 120000 + 648000);
    EI_EQ(r.analysis->cpus[0].mandatory_ppm, 75000 + 60000 + 108000);
    EI_EQ(r.analysis->lanes[0].used_ppm, 120000 + 648000);
    EI_EQ(r.analysis->lanes[0].longest_block_ns, 1200 * US);
    EI_TRUE(r.analysis->cpus[0].is_below_cap && r.analysis->lanes[0].is_below_cap);
    end(&r);
}

/* Twice as much: no bound of the whole camera job, but of its answer. At most the end of a block is left from the job
 * before (0.9), then 1.08 + 0.3 + 1.2. Five exits: 0.9 + 5.4 + 3 * 0.3 + 2 * 1.2 = 9.6, six pass 10 ms. */
/* A GPU's time is none of its task's CPU, and no cap of the CPUs'. */
#define GPU_TEXT(more)                                                                                                 \
    "version: 1\nname: t\nrun: { duration: 1s }\nplatform: { rt_load_cap: 0.5 }\nlanes: { gpu: { kind: cuda" more      \
    " } }\n"                                                                                                           \
    "models: { net: { emulate: { blocks: [ { conv: 2ms, score: 0.5 }, { conv: 4ms, score: 0.9 } ] } } }\ntasks:\n"     \
    "  - { name: net, arrival: { model: periodic, period: 10ms }, priority: 20, cpus: \"1\", stages: [\n"              \
    "      { name: pre, kind: cpu, work: { spin: 1ms } }, { name: n, kind: nn, model: net, lane: gpu } ] }\n"          \
    "  - { name: low, arrival: { model: periodic, period: 10ms }, priority: 10, cpus: \"1\",\n"                        \
    "      stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n"

EI_TEST(analyze_a_gpu)
{
    struct result r = run(GPU_TEXT(""), &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 7 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 4 * MS);
    EI_EQ(r.analysis->cpus[0].used_ppm, 400000);
    EI_EQ(r.analysis->lanes[0].used_ppm, 600000);
    EI_EQ(r.analysis->lanes[0].longest_block_ns, 4 * MS);
    EI_TRUE(r.analysis->lanes[0].is_below_cap && r.analysis->is_guaranteed);
    end(&r);
    r = run(GPU_TEXT(", wait: spin"), &usual); /* then the CPU is taken, too */
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[1].response_ns, 10 * MS);
    EI_TRUE(!r.analysis->lanes[0].is_below_cap);
    end(&r);
    r = run(GPU_TEXT(", depth: 2"), &usual); /* a conv part may be in the queue behind the block */
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->lanes[0].longest_block_ns, 4 * MS + 4 * MS);
    end(&r);
}

EI_TEST(analyze_overload_keeps_an_answer)
{
    struct result r =
        run(HEAD "models:\n  det: { emulate: { blocks: [ { conv: 500us, branch: 100us, score: 0.8 },\n"
                 "    { conv: 500us, branch: 100us, score: 0.9 } ] } }\n"
                 "  deep: { emulate: { blocks: [ { conv: 900us, branch: 180us, score: 0.1 }, { conv: 900us, "
                 "branch: 180us, score: 0.2 }, { conv: 900us, branch: 180us, score: 0.3 },\n"
                 "    { conv: 900us, branch: 180us, score: 0.4 }, { conv: 900us, branch: 180us, score: 0.5 "
                 "}, { conv: 900us, branch: 180us, score: 0.6 },\n"
                 "    { conv: 900us, branch: 180us, score: 0.7 }, { conv: 900us, branch: 180us, score: 0.8 "
                 "}, { conv: 900us, branch: 180us, score: 0.9 } ] } }\ntasks:\n" CONTROL OBSTACLE
                 "  - { name: camera, arrival: { model: periodic, period: 10ms }, priority: 50, "
                 "on_preempt: resume, stages: [ { name: net, kind: nn, model: deep, lane: acc } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    const struct ei_analysis_task *camera = &r.analysis->tasks[2];
    EI_EQ(camera->response_ns, EI_ANALYSIS_NO_BOUND);
    EI_EQ(camera->mandatory_ns, (900 + 1080 + 300 + 1200) * US);
    EI_TRUE(!camera->is_schedulable && camera->is_guaranteed && r.analysis->is_guaranteed);
    EI_EQ(camera->guaranteed_exits, 5);
    EI_NEAR(camera->expected_exits, 7.0, 1e-9); /* 1.08 k / (1 - 0.075 - 0.12) <= 10 */
    EI_TRUE(!r.analysis->cpus[0].is_below_cap);
    char text[256];
    ei_analysis_explain(r.analysis, 2, text, sizeof text);
    EI_STREQ(text, "");
    end(&r);
}

/* The first exit alone takes longer than the deadline. */
EI_TEST(analyze_says_what_is_not_guaranteed)
{
    struct result r =
        run(HEAD DEEP "tasks:\n" CONTROL "  - { name: camera, arrival: { model: periodic, period: 10ms }, "
                      "deadline: 1ms, priority: 50, stages: [ { name: net, kind: nn, model: deep, lane: acc } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    char text[256];
    ei_analysis_explain(r.analysis, 1, text, sizeof text);
    EI_STREQ(text, "task 'camera' may answer late: the bound of its first exit is 1.380 ms, its deadline 1.000 ms");
    EI_TRUE(!r.analysis->is_guaranteed);
    EI_EQ(r.analysis->tasks[1].guaranteed_exits, 0);
    end(&r);
}

/* on_preempt exit: any request of the higher task may end the job behind its first exit. Expected: 1 for the first
 * exit, then the second if no request comes until its branch begins, 1080 + 900 us of 40 ms, and so on. */
EI_TEST(analyze_expects_exits_until_a_preemption)
{
    struct result r =
        run(HEAD DEEP "tasks:\n"
                      "  - { name: alarm, arrival: { model: sporadic, min_interarrival: 20ms, mean: 40ms }, "
                      "deadline: 20ms, priority: 70, stages: [ { name: net, kind: nn, model: det, lane: acc } ] }\n"
                      "  - { name: camera, arrival: { model: periodic, period: 100ms }, priority: 50, "
                      "on_preempt: exit, stages: [ { name: net, kind: nn, model: deep, lane: acc } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    double expected = 1.0;
    for (int k = 1; k < 6; k++) {
        expected += 1.0 - (k * 1.08 + 0.9) / 40.0;
    }
    EI_NEAR(r.analysis->tasks[1].expected_exits, expected, 1e-9);
    EI_EQ(r.analysis->tasks[1].guaranteed_exits, 1);
    EI_NEAR(r.analysis->tasks[0].expected_exits, 2.0, 1e-9);
    end(&r);
}

/* Three releases 1 ms apart and then a pause: the third ends 6 ms after the first, so it takes 4 ms. The covering
 * period is 10 ms with 18 ms of jitter. */
EI_TEST(analyze_bursts)
{
    struct result r =
        run("version: 1\nname: test\ntasks:\n"
            "  - { name: b, arrival: { model: burst, period: 30ms, count: 3, spacing: 1ms }, deadline: 12ms, "
            "priority: 50, cpus: \"0\", late_release: { queue: 4, drop: oldest },\n"
            "      stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n"
            "  - { name: low, arrival: { model: periodic, period: 30ms }, deadline: 30ms, priority: 40, cpus: "
            "\"0\", stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 4 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 7 * MS);
    EI_TRUE(r.analysis->tasks[0].is_guaranteed);
    end(&r);
}

/* The same times from a file, twice: a period of 6.4 ms with 10.8 ms of jitter covers them. */
EI_TEST(analyze_traces)
{
    char path[512], text[1024];
    snprintf(path, sizeof path, "%s/trace.csv", ei_test_tmpdir());
    FILE *out = fopen(path, "w");
    EI_REQUIRE(out != NULL);
    fputs("release_ms\n0\n1\n2\n30\n31\n32\n", out);
    fclose(out);
    snprintf(
        text, sizeof text,
        "version: 1\nname: test\ntasks:\n"
        "  - { name: b, arrival: { model: aperiodic, trace: \"%s\" }, deadline: 12ms, priority: 50, cpus: \"0\",\n"
        "      late_release: { queue: 4, drop: oldest }, stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n",
        path);
    struct result r = run(text, &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 4 * MS);
    end(&r);
}

/* CPU sets that meet are one group: with "0" and "1" apart the tasks do not disturb each other. */
EI_TEST(analyze_groups_of_cpus)
{
    static const char text[] = "version: 1\nname: test\ntasks:\n"
                               "  - { name: a, arrival: { model: periodic, period: 10ms }, priority: 60, cpus: \"0\", "
                               "stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n"
                               "  - { name: b, arrival: { model: periodic, period: 10ms }, priority: 50, cpus: \"%s\", "
                               "stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n";
    char apart[512], meeting[512];
    snprintf(apart, sizeof apart, text, "1");
    snprintf(meeting, sizeof meeting, text, "0-1");
    struct result r = run(apart, &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->cpus_count, 2);
    EI_EQ(r.analysis->tasks[1].response_ns, 3 * MS);
    end(&r);
    r = run(meeting, &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->cpus_count, 1);
    EI_EQ(r.analysis->cpus[0].cap_ppm, 1800000);
    EI_EQ(r.analysis->tasks[1].response_ns, 5 * MS);
    end(&r);
}

/* A task of ordinary priority has no bound and delays nobody. */
EI_TEST(analyze_leaves_out_class_other)
{
    struct result r = run(HEAD DEEP "tasks:\n" OBSTACLE
                                    "  - { name: idle, arrival: { model: periodic, period: 10ms }, class: other, cpus: "
                                    "\"0\", stages: [ { name: log, kind: cpu, op: append_file } ] }\n",
                          &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 1200 * US);
    EI_TRUE(!r.analysis->tasks[1].is_bounded && r.analysis->is_guaranteed);
    EI_EQ(r.analysis->tasks[1].response_ns, EI_ANALYSIS_NO_BOUND);
    EI_EQ(r.analysis->cpus_count, 1);
    EI_EQ(r.analysis->cpus[0].used_ppm, 120000);
    end(&r);
}

/* 2 of 4 and 3 of 6 fill the CPU, which fixed priorities cannot (Liu and Layland 1973): with `a`
 * above, the second job of `b` ends at 10; with `b` above, the first of `a` ends at 7. */
EI_TEST(analyze_policies)
{
    static const char text[] = "version: 1\nname: test\nplatform: { rt_load_cap: 1 }\ntasks:\n"
                               "  - { name: a, arrival: { model: periodic, period: 6ms }, priority: 60, cpus: \"0\", "
                               "stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n"
                               "  - { name: b, arrival: { model: periodic, period: 4ms }, priority: 50, cpus: \"0\", "
                               "stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n";
    struct ei_analysis_options options = usual;
    struct result r = run(text, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 3 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 6 * MS);
    EI_TRUE(!r.analysis->is_guaranteed);
    end(&r);
    options.policy = EI_ANALYSIS_RATE_MONOTONIC;
    r = run(text, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 7 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 2 * MS);
    end(&r);
    /* CPUs go by priority under edf, too. */
    options.policy = EI_ANALYSIS_EDF;
    r = run(text, &options);
    EI_REQUIRE(r.rc == 0);
    EI_TRUE(!r.analysis->is_guaranteed);
    EI_EQ(r.analysis->tasks[0].response_ns, 7 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 2 * MS);
    end(&r);
    options.policy = EI_ANALYSIS_AUDSLEY;
    r = run(HEAD DEEP
            "tasks:\n"
            "  - { name: slow, arrival: { model: periodic, period: 10ms }, priority: 60, on_preempt: none, "
            "on_deadline: finish, stages: [ { name: n, kind: nn, model: deep, lane: acc } ] }\n"
            "  - { name: fast, arrival: { model: periodic, period: 20ms }, deadline: 8ms, priority: 50, cpus: "
            "\"0\", stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n",
            &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 9480 * US);
    EI_EQ(r.analysis->tasks[1].response_ns, 3 * MS);
    EI_TRUE(r.analysis->is_guaranteed);
    end(&r);
}

#define SHARED                                                                                                         \
    "models:\n  two: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.8 } ] } }\n"                            \
    "  twelve: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.1 }, { conv: 1ms, branch: 1ms, score: 0.2 "   \
    "},\n    { conv: 1ms, branch: 1ms, score: 0.3 }, { conv: 1ms, branch: 1ms, score: 0.4 },\n"                        \
    "    { conv: 1ms, branch: 1ms, score: 0.5 }, { conv: 1ms, branch: 1ms, score: 0.6 } ] } }\ntasks:\n"               \
    "  - { name: fast, arrival: { model: periodic, period: 12ms }, on_preempt: resume, on_deadline: finish,\n"         \
    "      stages: [ { name: net, kind: nn, model: two, lane: acc } ] }\n"                                             \
    "  - { name: slow, arrival: { model: periodic, period: 20ms }, on_preempt: resume, on_deadline: finish,\n"         \
    "      stages: [ { name: net, kind: nn, model: twelve, lane: acc } ] }\n"

/* By priority `fast` waits for one block, 1 + 2, and `slow` for two jobs, 12 + 2 * 2. By deadline a job of `fast` that
 * is released 8 ms after one of `slow` is due with it and may wait for the 4 ms that are left: 12 + 2 - 8 = 6. A second
 * `fast` comes 12 ms after the first, and is due after `slow` then: 12 + 2. */
EI_TEST(analyze_lanes_by_deadline)
{
    struct result r = run(HEAD "scheduler: { policy: deadline_monotonic }\n" SHARED, &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 3 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 16 * MS);
    EI_EQ(r.analysis->policy, EI_ANALYSIS_FIXED_PRIORITY);
    end(&r);
    r = run(HEAD "scheduler: { policy: edf }\n" SHARED, &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->policy, EI_ANALYSIS_EDF);
    EI_EQ(r.analysis->tasks[0].response_ns, 6 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 14 * MS);
    EI_TRUE(r.analysis->is_guaranteed);
    EI_EQ(r.analysis->tasks[0].guaranteed_exits, 1);
    EI_EQ(r.analysis->tasks[1].guaranteed_exits, 6);
    end(&r);
    /* The question about another file has the same answer. */
    struct ei_analysis_options options = usual;
    options.policy = EI_ANALYSIS_EDF;
    r = run(HEAD "scheduler: { policy: rate_monotonic }\n" SHARED, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 6 * MS);
    EI_EQ(r.analysis->tasks[1].response_ns, 14 * MS);
    end(&r);
}

/* Exits are sure that no job due earlier can take: `alarm` has ended 5 ms after its release, long before it could be
 * due before a job of `control` that is released later. */
EI_TEST(analyze_knows_who_can_be_due_before)
{
    struct result r =
        run(HEAD DEEP "scheduler: { policy: edf }\ntasks:\n"
                      "  - { name: alarm, arrival: { model: periodic, period: 40ms }, on_preempt: exit, stages: "
                      "[ { name: net, kind: nn, model: det, lane: acc } ] }\n"
                      "  - { name: control, arrival: { model: periodic, period: 10ms }, on_preempt: exit, stages: "
                      "[ { name: net, kind: nn, model: det, lane: acc } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 2400 * US);
    EI_EQ(r.analysis->tasks[1].response_ns, 1700 * US);
    EI_EQ(r.analysis->tasks[0].guaranteed_exits, 1);
    EI_EQ(r.analysis->tasks[1].guaranteed_exits, 2);
    end(&r);
}

/* A task of several lanes: no bound of it, nor of whom its lanes concern, and it is said why. */
EI_TEST(analyze_says_what_it_does_not_know)
{
    struct result r =
        run("version: 1\nname: test\nlanes: { a: { kind: cpu, cpus: \"0\" }, b: { kind: cpu, cpus: \"0\" } }\n"
            "scheduler: { policy: edf }\n" DEEP "tasks:\n"
            "  - { name: any, arrival: { model: periodic, period: 40ms }, stages: "
            "[ { name: net, kind: nn, model: det, lane: [a, b] } ] }\n"
            "  - { name: one, arrival: { model: periodic, period: 30ms }, stages: "
            "[ { name: net, kind: nn, model: det, lane: b } ] }\n"
            "  - { name: law, arrival: { model: periodic, period: 10ms }, cpus: \"0\", stages: "
            "[ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n",
            &usual);
    EI_REQUIRE(r.rc == 0);
    char text[256];
    ei_analysis_explain(r.analysis, 1, text, sizeof text);
    EI_STREQ(
        text,
        "task 'one' may finish late: no bound of its response was found, its deadline is 30.000 ms (it shares "
        "a CPU or lane with a task of several lanes, one whose jobs may overlap, or one that the watchdog may demote)");
    EI_EQ(r.analysis->tasks[0].response_ns, EI_ANALYSIS_NO_BOUND);
    EI_EQ(r.analysis->tasks[2].response_ns, 1 * MS);
    end(&r);
    r = run(
        "version: 1\nname: test\ntasks:\n"
        "  - { name: two, arrival: { model: periodic, period: 10ms }, deadline: 20ms, overlap: 2, cpus: \"0\", stages: "
        "[ { name: a, kind: cpu, work: { spin: 8ms } }, { name: b, kind: cpu, work: { spin: 8ms } } ] }\n",
        &usual);
    EI_REQUIRE(r.rc == 0);
    ei_analysis_explain(r.analysis, 0, text, sizeof text);
    EI_CONTAINS(text, "(two of its jobs may be in flight, and no bound within its period was found)");
    end(&r);
}

/* Everything that is missing is named at once, with what to do. */
EI_TEST(analyze_asks_for_missing_times)
{
    static const char text[] =
        HEAD "models: { net: { zoo: b-alexnet, dataset: generated, weights: models/none.safetensors } }\ntasks:\n"
             "  - name: camera\n    arrival: { model: periodic, period: 100ms }\n    priority: 50\n"
             "    input: { kind: generated }\n    stages:\n"
             "      - { name: pre, kind: cpu, op: normalize }\n"
             "      - { name: net, kind: nn, model: net, lane: acc }\n"
             "      - { name: post, kind: cpu, op: top5, budget: 100us }\n";
    struct result r = run(text, &usual);
    EI_EQ(r.rc, EINET_E_FILE);
    EI_EQ(r.diag.errors, 2);
    EI_CONTAINS(r.diag.items[r.diag.count - 2].text, "how long the operations of stage 'pre' take is not known");
    EI_CONTAINS(r.diag.items[r.diag.count - 2].hint, "budget");
    EI_EQ(r.diag.items[r.diag.count - 2].place.line, 11);
    EI_CONTAINS(r.diag.items[r.diag.count - 1].text, "the block times of model 'net' are not known");
    EI_CONTAINS(r.diag.items[r.diag.count - 1].hint, "einet profile");
    end(&r);
    struct ei_analysis_options options = usual;
    options.ops_ns = 200 * US;
    char with_budget[sizeof text + 64];
    snprintf(with_budget, sizeof with_budget, "%s", text);
    char *net = strstr(with_budget, "model: net, lane: acc");
    memcpy(net, "model: net, lane: acc, budget: 5ms }\n      - { name: post, kind: cpu, op: top5, budget: 100us }\n",
           sizeof "model: net, lane: acc, budget: 5ms }\n      - { name: post, kind: cpu, op: top5, budget: 100us }\n");
    r = run(with_budget, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 5300 * US);
    EI_STREQ(r.analysis->tasks[0].times, "ops-time, budget");
    end(&r);
}

/* What a run passes in counts, not what the file says. */
EI_TEST(analyze_takes_measured_times)
{
    struct ei_cpuset cpus[1] = {0};
    static struct ei_et_profile profiles[1];
    ei_cpuset_add(&cpus[0], 3);
    profiles[0] = (struct ei_et_profile){.exits = 2};
    profiles[0].conv[0] = (struct ei_time_stats){1 * MS, 2 * MS, 50 * MS};
    profiles[0].conv[1] = (struct ei_time_stats){1 * MS, 3 * MS, 60 * MS};
    profiles[0].branch[1] = (struct ei_time_stats){1 * MS, 1 * MS, 1 * MS};
    struct ei_analysis_options options = usual;
    options.task_cpus = cpus;
    options.profiles = profiles;
    static const char text[] =
        HEAD DEEP "tasks:\n  - { name: camera, arrival: { model: periodic, period: 20ms }, priority: "
                  "50, stages: [ { name: n, kind: nn, model: det, lane: acc } ] }\n";
    struct result r = run(text, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].response_ns, 6 * MS);
    EI_EQ(r.analysis->lanes[0].longest_block_ns, 3 * MS);
    EI_TRUE(ei_cpuset_has(&r.analysis->cpus[0].cpus, 3));
    end(&r);
    options.quantile = EI_TIME_MAX;
    r = run(text, &options);
    EI_REQUIRE(r.rc == 0);
    EI_EQ(r.analysis->tasks[0].wcet_ns, 111 * MS);
    EI_TRUE(!r.analysis->is_guaranteed);
    end(&r);
}

EI_MAIN()
