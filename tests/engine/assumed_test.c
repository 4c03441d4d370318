/* What a run tells of S, the planner's guess of the moment at which a job is stopped: against the functions that the
 * workload names, for every source. On the virtual engine, through the text of summary.json. One thread.
 */
#include "engine/virtual.h"
#include "tests/harness/harness.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 40.0
#define JOBS 40 /* behind a warm-up of 10 */

/* S of the camera, from a run of 50 of its jobs. */
static json_t *assumed;

static json_t *summary_of(const struct ei_collector *collector)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    EI_EQ(ei_collector_print_json(collector, out), 0);
    fclose(out);
    json_t *root = json_loads(text, 0, NULL);
    free(text);
    return root;
}

/* exit_time: as the workload says it; more: of the camera's planner; pre_ms: of the stage before its network;
 * preemptor: whether a task of higher priority asks for the lane 12 ms after each release of the camera. */
static bool play(const char *exit_time, const char *more, int pre_ms, bool has_preemptor)
{
    char text[4096], pre[128] = "", preemptor[512] = "";
    if (pre_ms > 0) {
        snprintf(pre, sizeof pre, "{ name: pre, kind: cpu, work: { spin: %dms } }, ", pre_ms);
    }
    if (has_preemptor) {
        snprintf(preemptor, sizeof preemptor,
                 "  - { name: control, arrival: { model: periodic, period: 40ms, offset: 12ms }, priority: 80,\n"
                 "      stages: [ { name: n, kind: nn, model: small, lane: acc } ] }\n");
    }
    snprintf(
        text, sizeof text,
        "version: 1\nname: t\nrun: { duration: 1599ms, warmup: 400ms, start_delay: 0s, seed: 1 }\n"
        "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"
        "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\n"
        "models: { m: { emulate: { blocks: [ { conv: 3ms, branch: 1ms, score: 0.6 }, { conv: 3ms, branch: 1ms, "
        "score: 0.7 },\n    { conv: 3ms, branch: 1ms, score: 0.8 }, { conv: 3ms, branch: 1ms, score: 0.9 } ] } },\n"
        "  small: { emulate: { blocks: [ { conv: 1ms, score: 0.9 } ] } } }\n"
        "tasks:\n%s"
        "  - { name: camera, arrival: { model: periodic, period: 40ms }, deadline: 40ms, priority: 50,\n"
        "      on_preempt: exit, planner: { exit_time: %s%s },\n"
        "      stages: [ %s{ name: net, kind: nn, model: m, lane: acc } ] }\n",
        preemptor, exit_time, more, pre);
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    if (rc != 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_virtual_options options = {0};
    rc = rc == 0 ? ei_virtual_run(wl, &options, &result, &err) : rc;
    json_decref(assumed);
    assumed = NULL;
    if (EI_TRUEF(rc == 0, "%s", err.text)) {
        json_t *summary = summary_of(result.collector);
        json_t *tasks = json_object_get(summary, "tasks");
        assumed = json_incref(json_object_get(json_array_get(tasks, json_array_size(tasks) - 1), "assumed_stop"));
        json_decref(summary);
    }
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
    /* Jobs come every 40 ms, and the next is looked at after 25 to 75 ms. */
    EI_IN(json_integer_value(json_object_get(assumed, "jobs")), JOBS / 2, JOBS);
    return assumed != NULL;
}

/* S at t_ms. */
static double told(double t_ms)
{
    const double step_ms = (double)json_integer_value(json_object_get(assumed, "step_ns")) / 1e6;
    return json_number_value(
        json_array_get(json_object_get(assumed, "survival"), (size_t)lround(floor(t_ms / step_ms))));
}

/* Where the point lies that told() reads. */
static double point_ms(double t_ms)
{
    const double step_ms = (double)json_integer_value(json_object_get(assumed, "step_ns")) / 1e6;
    return floor(t_ms / step_ms) * step_ms;
}

EI_TEST(uniform_falls_from_the_first_plan_to_the_deadline)
{
    EI_REQUIRE(play("uniform", "", 8, false));
    for (double t_ms = 1; t_ms < 39; t_ms += 0.5) {
        const double at_ms = point_ms(t_ms);
        EI_NEAR(told(t_ms), at_ms <= 8 ? 1 : (DEADLINE_MS - at_ms) / (DEADLINE_MS - 8),
                1e-3); /* what follows the network takes some us */
    }
}

EI_TEST(exponential_has_its_rate_from_the_first_plan_on)
{
    EI_REQUIRE(play("exponential(25)", "", 8, false));
    for (double t_ms = 0; t_ms < 39; t_ms += 0.5) {
        const double at_ms = point_ms(t_ms);
        EI_NEAR(told(t_ms), at_ms <= 8 ? 1 : exp(-0.025 * (at_ms - 8)), 1e-3);
    }
    json_t *points = json_object_get(assumed, "survival");
    EI_NEAR(json_number_value(json_array_get(points, json_array_size(points) - 1)), 0, 0); /* behind the deadline */
}

EI_TEST(a_trace_has_the_steps_of_its_file)
{
    char path[1024], more[1100];
    snprintf(path, sizeof path, "%s/stops.txt", ei_test_tmpdir());
    snprintf(more, sizeof more, ", exit_times: %s", path);
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    fputs("10ms\n20ms\n30ms\n39ms censored\n", out);
    fclose(out);
    EI_REQUIRE(play("trace", more, 0, false));
    EI_NEAR(told(9.5), 1, 0);
    EI_NEAR(told(11), 0.75, 1e-6);
    EI_NEAR(told(19), 0.75, 1e-6);
    EI_NEAR(told(21), 0.5, 1e-6);
    EI_NEAR(told(31), 0.25, 1e-6);
}

EI_TEST(a_schedule_stops_jobs_when_the_preemptor_comes)
{
    EI_REQUIRE(play("schedule", "", 0, true));
    EI_NEAR(told(11.5), 1, 0);
    EI_NEAR(told(13), 0, 0);
    EI_REQUIRE(play("schedule", "", 0, false)); /* nobody comes: the deadline only */
    EI_NEAR(told(35), 1, 0);
}

EI_TEST(empirical_learns_when_the_preemptor_comes)
{
    EI_REQUIRE(play("empirical", "", 0, true));
    EI_NEAR(told(11), 1, 1e-6);
    EI_IN(told(14), 0.001, 0.2); /* the mean over jobs that knew more and more */
    EI_REQUIRE(play("empirical", "", 0, false));
    EI_NEAR(told(35), 1, 0);
}

EI_MAIN()
