/* Live runs of the planner: exit times from the schedule, learnt or recorded ones, replans beside the lane. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Preempted jobs of one task, by what they delivered. */
struct preempted {
    const char *task;
    int64_t jobs, at_first_exit, beyond_first_exit, took_first_exit;
};

static void visit(const struct job_line *job, void *context)
{
    struct preempted *p = context;
    if (strcmp(job->task, p->task) != 0 || strcmp(job->outcome, "completed") != 0) {
        return;
    }
    p->took_first_exit += (job->exits_mask & 1) != 0;
    if (job->preemptions > 0) {
        p->jobs++;
        p->at_first_exit += job->exit_idx == 0;
        p->beyond_first_exit += job->exit_idx > 0;
    }
}

/* Accuracy that the task's preempted jobs have on average, from the exits' known probabilities of being right: that is
 * what the planner can choose; which of so few answers are right is chance. */
static double expected_accuracy(const struct preempted *p)
{
    return p->jobs == 0 ? 0 : (0.5 * (double)p->at_first_exit + 0.9 * (double)p->beyond_first_exit) / (double)p->jobs;
}

EI_TEST(exit_time_schedule_beats_uniform_on_preempted_jobs)
{
    const char *out = in_tmpdir("out");
    const struct finished *f =
        einet_run((const char *[]){"run", "configs/exit-times.yaml", "--out", out, "--duration", "5s", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    struct preempted schedule = {.task = "cam-schedule"}, uniform = {.task = "cam-uniform"};
    for_each_job(out, visit, &schedule);
    for_each_job(out, visit, &uniform);
    EI_TRUEF(schedule.jobs >= 20 && uniform.jobs >= 20, "preempted: %lld and %lld jobs", (long long)schedule.jobs,
             (long long)uniform.jobs);
    EI_TRUEF(expected_accuracy(&schedule) >= expected_accuracy(&uniform), "schedule %.3f, uniform %.3f",
             expected_accuracy(&schedule), expected_accuracy(&uniform));
    /* Why: the one skips the first exit, the other computes it. */
    EI_TRUEF(2 * schedule.took_first_exit < uniform.took_first_exit, "%lld and %lld jobs took the first exit",
             (long long)schedule.took_first_exit, (long long)uniform.took_first_exit);
    EI_TRUEF(uniform.took_first_exit > 30, "%lld jobs took the first exit", (long long)uniform.took_first_exit);
    /* The report gives both figures. */
    for (int i = 0; i < 2; i++) {
        const char *task = i == 0 ? "cam-schedule" : "cam-uniform";
        EI_TRUE(task_integer(summary, task, "preempted_labelled") >= 20);
        EI_TRUE(task_real(summary, task, "preempted_accuracy") > 0.3);
    }
    EI_CONTAINS(f->output, "preempted accuracy");
    json_decref(summary);
}

/* ---- other sources ---- */

/* A camera that is preempted 6 to 12 ms after its release, planned with the given settings. */
static const char *workload(const char *planner)
{
    char text[2048];
    snprintf(text, sizeof text,
             "version: 1\n"
             "name: planned\n"
             "run: { duration: 2500ms, seed: 5 }\n"
             "lanes: { acc0: { kind: cpu, preempt: block } }\n"
             "models:\n"
             "  deep:\n"
             "    emulate:\n"
             "      blocks:\n"
             "        - { conv: 3ms, branch: 1ms, score: 0.5 }\n"
             "        - { conv: 3ms, branch: 1ms, score: 0.9 }\n"
             "        - { conv: 3ms, branch: 1ms, score: 0.95 }\n"
             "  detector: { emulate: { blocks: [ { conv: 1ms, branch: 200us, score: 0.9 } ] } }\n"
             "tasks:\n"
             "  - name: obstacle\n"
             "    arrival: { model: periodic, period: 40ms, offset: 6300us, jitter: 6ms }\n"
             "    priority: 70\n"
             "    on_preempt: none\n"
             "    on_deadline: finish\n"
             "    stages: [ { name: net, kind: nn, model: detector, lane: acc0 } ]\n"
             "  - name: camera\n"
             "    arrival: { model: periodic, period: 40ms }\n"
             "    priority: 50\n"
             "    on_preempt: exit\n"
             "    planner: { %s, first_exit: mandatory }\n"
             "    input: { kind: generated, count: 200 }\n"
             "    stages: [ { name: net, kind: nn, model: deep, lane: acc0 } ]\n",
             planner);
    return write_file("planned.yaml", text);
}

static json_t *run_planned(const char *planner)
{
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", workload(planner), "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    if (summary != NULL) {
        check_identity(summary);
        EI_TRUE(task_real(summary, "camera", "coverage") >= 0.99);
    }
    return summary;
}

/* Jobs are stopped around 7 ms; once some were seen, planning stops to compute the first exit. */
EI_TEST(exit_time_empirical_learns_from_stopped_jobs)
{
    json_t *summary = run_planned("search: exact, exit_time: empirical(50)");
    EI_REQUIRE(summary != NULL);
    struct preempted camera = {.task = "camera"};
    for_each_job(in_tmpdir("out"), visit, &camera);
    EI_TRUEF(camera.jobs >= 20, "only %lld jobs were preempted", (long long)camera.jobs);
    EI_TRUEF(camera.beyond_first_exit > camera.jobs / 2, "%lld of %lld preempted jobs got beyond the first exit",
             (long long)camera.beyond_first_exit, (long long)camera.jobs);
    json_decref(summary);
}

EI_TEST(exit_time_trace_is_read_and_refused_when_broken)
{
    const char *trace = write_file("stops.txt", "# recorded\n6.5ms\n7ms\n7.5ms\n8ms\n12ms censored\n");
    char planner[640];
    snprintf(planner, sizeof planner, "search: exact, exit_time: trace, exit_times: %s", trace);
    json_t *summary = run_planned(planner);
    EI_REQUIRE(summary != NULL);
    struct preempted camera = {.task = "camera"};
    for_each_job(in_tmpdir("out"), visit, &camera);
    EI_TRUEF(camera.took_first_exit < 20, "%lld jobs took the first exit", (long long)camera.took_first_exit);
    json_decref(summary);
    write_file("stops.txt", "6.5ms\nsoon\n");
    const struct finished *f = einet_run((const char *[]){"run", workload(planner), "--out", in_tmpdir("none"), NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "stops.txt");
    EI_CONTAINS(f->output, "2");
    EI_TRUE(access(in_tmpdir("none"), F_OK) != 0);
}

EI_TEST(exit_time_exponential_and_other_searches_run)
{
    static const char *const settings[] = {
        "search: exact, exit_time: exponential(100)",  "search: hybrid(3), exit_time: schedule",
        "search: greedy, exit_time: schedule",         "search: random(50), exit_time: uniform",
        "search: confidence(0.8), exit_time: uniform", "search: statistics, exit_time: uniform",
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char planner[128];
        snprintf(planner, sizeof planner, "%s, replan: inline", settings[i]);
        const char *out = in_tmpdir("out");
        const struct finished *f =
            einet_run((const char *[]){"run", workload(planner), "--out", out, "--duration", "300ms", NULL});
        EI_TRUEF(f->status == 0, "%s: status %d: %s", settings[i], f->status, f->output);
        json_t *summary = read_summary(out);
        EI_REQUIRE(summary != NULL);
        check_identity(summary);
        EI_TRUE(task_real(summary, "camera", "coverage") >= 0.99);
        json_decref(summary);
    }
}

/* ---- replanning while the lane works ---- */

EI_TEST(exit_time_replans_beside_the_lane)
{
    json_t *summary = run_planned("search: exact, exit_time: uniform, replan: overlapped");
    EI_REQUIRE(summary != NULL);
    const int64_t beside = task_integer(summary, "camera", "replans");
    const int64_t late = task_integer(summary, "camera", "late_replans");
    EI_CONTAINS(json_string_value(json_object_get(summary_task(summary, "camera"), "planner")), "overlapped");
    json_decref(summary);
    /* A conv part takes 3 ms, a replan microseconds: late ones are the machine's doing. */
    EI_TRUEF(beside > 25, "%lld replans", (long long)beside);
    EI_TRUEF(late < beside, "%lld replans, %lld late", (long long)beside, (long long)late);
    summary = run_planned("search: exact, exit_time: uniform, replan: inline");
    EI_REQUIRE(summary != NULL);
    EI_TRUE(task_integer(summary, "camera", "replans") > 25);
    EI_EQ(task_integer(summary, "camera", "late_replans"), 0);
    EI_CONTAINS(json_string_value(json_object_get(summary_task(summary, "camera"), "planner")), "inline");
    json_decref(summary);
}

EI_MAIN()
