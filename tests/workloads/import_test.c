/* What rt-app, DISB and rtspin files become, value by value: the output is read back by the parser of workload files.
 * What they cannot become: tests/workloads/import_bad_test.c. Examples: tests/workloads/import.
 */
#include "rt/random.h"
#include "tests/workloads/texts.h"
#include "workloads/import.h"
#include "workloads/import_json.h"

#include <errno.h>
#include <jansson.h>

#define FOLDER "tests/workloads/import/"
#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S INT64_C(1000000000)
#define SEED UINT64_C(2024)
#define ROUNDS 9000

static const struct ei_import_options options_default = {.format = EI_IMPORT_AUTO,
                                                         .time_count = 6,
                                                         .times = {{"vgg19-imagenet", 5 * MS},
                                                                   {"mobilenetv1-imagenet", 1500 * US},
                                                                   {"resnet152-imagenet", 8 * MS},
                                                                   {"distilbert", 3 * MS},
                                                                   {"densenet", 4 * MS},
                                                                   {"inception", 2500 * US}}};

static const char *const examples[] = {"audio.rt-app.json", "phases.rt-app.json", "robot.rt-app.json",
                                       "driving.disb.json", "speech.disb.json",   "preempt.disb.json",
                                       "fixed.rtspin.sh",   "recorded.rtspin.sh", "mixed.rtspin.sh"};
static const int example_count = (int)(sizeof examples / sizeof examples[0]);

/* ---- reading back ---- */

static void write_sides(const struct ei_imported *imported)
{
    for (int32_t i = 0; i < imported->side_count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), imported->sides[i].name);
        FILE *file = fopen(path, "we");
        EI_REQUIRE(file != NULL);
        fputs(imported->sides[i].text, file);
        fclose(file);
    }
}

/* The output as the parser sees it, its side files beside it; NULL with a failed check. */
static struct ei_workload *read_back(const struct ei_imported *imported)
{
    char name[512];
    snprintf(name, sizeof name, "%s/out.yaml", ei_test_tmpdir());
    write_sides(imported);
    return text_parse(imported->yaml, name);
}

/* Import an example that must be right, read it back; destroy the result. */
static struct ei_workload *import(const char *file, enum ei_import_format expected)
{
    struct ei_imported imported;
    struct ei_diagnostics diag;
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s", file);
    const int rc = ei_import_load(path, "out", &options_default, &imported, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0, "%s: rc %d\n%s", file, rc, said);
    free(said);
    ei_diagnostics_fini(&diag);
    if (rc != 0) {
        return NULL;
    }
    EI_EQ(imported.format, expected);
    struct ei_workload *wl = read_back(&imported);
    EI_TRUE(wl == NULL || wl->task_count == imported.task_count);
    ei_imported_fini(&imported);
    return wl;
}

/* The same for a text, with losses or without; *out_yaml (may be NULL) is the output, to free. */
static struct ei_workload *import_text(const char *text, bool is_lossy, char **out_yaml)
{
    struct ei_imported imported;
    struct ei_diagnostics diag;
    struct ei_import_options options = options_default;
    options.is_lossy = is_lossy;
    const int rc = ei_import_text(text, strlen(text), FOLDER "text", "out", &options, &imported, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0, "rc %d\n%s\n%s", rc, said, text);
    free(said);
    ei_diagnostics_fini(&diag);
    if (rc != 0) {
        return NULL;
    }
    struct ei_workload *wl = read_back(&imported);
    if (out_yaml != NULL) {
        *out_yaml = imported.yaml;
        imported.yaml = NULL;
    }
    ei_imported_fini(&imported);
    return wl;
}

static const struct ei_task_spec *task(const struct ei_workload *wl, const char *name)
{
    static const struct ei_task_spec none;
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (strcmp(wl->tasks[i].name, name) == 0) {
            return &wl->tasks[i];
        }
    }
    EI_TRUEF(false, "no task '%s'", name);
    return &none;
}

static void expect_periodic(const struct ei_task_spec *t, int64_t period_ns, int64_t offset_ns)
{
    EI_EQ(t->arrival.model, EI_ARRIVAL_PERIODIC);
    EI_EQ(t->arrival.period_ns, period_ns);
    EI_EQ(t->arrival.offset_ns, offset_ns);
    EI_EQ(t->arrival.jitter_ns, 0);
    EI_EQ(t->on_deadline, EI_SPEC_ON_DEADLINE_FINISH);
}

static void expect_burst(const struct ei_task_spec *t, int32_t count, int64_t spacing_ns, int64_t period_ns,
                         int64_t offset_ns)
{
    EI_EQ(t->arrival.model, EI_ARRIVAL_BURST);
    EI_EQ(t->arrival.count, count);
    EI_EQ(t->arrival.spacing_ns, spacing_ns);
    EI_EQ(t->arrival.period_ns, period_ns);
    EI_EQ(t->arrival.offset_ns, offset_ns);
}

static void expect_late(const struct ei_task_spec *t, enum ei_spec_late policy, int32_t queue)
{
    EI_EQ(t->late_release.policy, policy);
    EI_EQ(t->late_release.queue, queue);
}

static void expect_cpus(const struct ei_task_spec *t, const char *expected)
{
    char text[64];
    ei_cpuset_format(&t->cpus, text, sizeof text);
    EI_STREQ(text, expected);
}

/* ---- rt-app ---- */

EI_TEST(rt_app_timers_become_periodic_tasks)
{
    struct ei_workload *wl = import("audio.rt-app.json", EI_IMPORT_RT_APP);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 4);
    EI_STREQ(wl->name, "audio");
    EI_EQ(wl->run.duration_ns, 20 * S);
    EI_EQ(wl->platform.lock_memory, EI_SPEC_LOCK_ALL);
    EI_EQ(wl->platform.cpu_dma_latency_ns, EI_NONE_NS);
    EI_TRUE(ei_cpuset_is_empty(&wl->platform.housekeeping_cpus));
    const struct ei_task_spec *mixer = task(wl, "mixer");
    expect_periodic(mixer, 5 * MS, 0);
    expect_late(mixer, EI_SPEC_LATE_DROP_NEWEST, EI_SPEC_QUEUE_MAX);
    expect_cpus(mixer, "1");
    EI_EQ(mixer->priority, 60);
    EI_EQ(mixer->deadline_ns, 5 * MS);
    EI_EQ(mixer->stages[0].spin_ns, 700 * US);
    const struct ei_task_spec *decoder = task(wl, "decoder");
    expect_periodic(decoder, 20 * MS, 2500 * US);
    expect_cpus(decoder, "0-1");
    EI_EQ(decoder->deadline_ns, 15 * MS);
    EI_EQ(decoder->stage_count, 2);
    EI_STREQ(decoder->stages[1].name, "run1");
    EI_EQ(decoder->stages[0].spin_ns, 2 * MS);
    EI_EQ(decoder->stages[1].spin_ns, 1500 * US);
    EI_EQ(task(wl, "ui-0")->class_, EI_SPEC_CLASS_OTHER);
    expect_periodic(task(wl, "ui-1"), 100 * MS, 0);
    expect_late(task(wl, "ui-1"), EI_SPEC_LATE_DROP_NEWEST, 1);
    expect_cpus(task(wl, "ui-1"), "");
    ei_workload_destroy(wl);
}

EI_TEST(rt_app_phases_and_loops_become_bursts)
{
    struct ei_workload *wl = import("phases.rt-app.json", EI_IMPORT_RT_APP);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 7);
    EI_EQ(wl->platform.lock_memory, EI_SPEC_LOCK_NONE);
    expect_burst(task(wl, "load.light"), 10, 30 * MS, 500 * MS, 0);
    expect_burst(task(wl, "load.heavy"), 5, 40 * MS, 500 * MS, 300 * MS);
    expect_cpus(task(wl, "load.light"), "");
    expect_cpus(task(wl, "load.heavy"), "2-3");
    EI_EQ(task(wl, "load.heavy")->stages[0].spin_ns, 8 * MS);
    EI_EQ(task(wl, "load.heavy")->deadline_ns, 40 * MS);
    expect_burst(task(wl, "startup"), 3, 10 * MS, EI_NONE_NS, 0);
    EI_EQ(task(wl, "startup")->priority, 10);
    expect_periodic(task(wl, "pair.1"), 10 * MS, 0);
    expect_periodic(task(wl, "pair.2"), 10 * MS, 4 * MS);
    EI_EQ(task(wl, "pair.1")->deadline_ns, 4 * MS);
    EI_EQ(task(wl, "pair.2")->deadline_ns, 6 * MS);
    expect_burst(task(wl, "warm.once"), 1, 0, EI_NONE_NS, 0);
    expect_periodic(task(wl, "warm.steady"), 25 * MS, 50 * MS);
    ei_workload_destroy(wl);
}

EI_TEST(rt_app_timer_first_and_names)
{
    struct ei_workload *wl = import("robot.rt-app.json", EI_IMPORT_RT_APP);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 3);
    EI_EQ(wl->run.duration_ns, 10 * S);
    expect_periodic(task(wl, "servo"), MS, MS);
    EI_EQ(task(wl, "servo")->deadline_ns, MS);
    EI_EQ(task(wl, "servo")->priority, 90);
    EI_EQ(task(wl, "planner")->stages[1].spin_ns, 500 * US);
    expect_periodic(task(wl, "camera_node_left"), 33333 * US, 0);
    ei_workload_destroy(wl);
}

EI_TEST(rt_app_losses_become_comments)
{
    char *yaml = NULL;
    struct ei_workload *wl =
        import_text("{ \"tasks\": {\n"
                    "  \"a\": { \"policy\": \"SCHED_DEADLINE\", \"dl-runtime\": 3000,\n"
                    "    \"dl-period\": 20000, \"run\": 2000,\n"
                    "    \"sleep\": 18000 },\n"
                    "  \"b\": { \"policy\": \"SCHED_FIFO\", \"run\": 10,\n"
                    "    \"lock\": \"m\", \"timer\": { \"ref\": \"unique\", \"period\": 5000 } },\n"
                    "  \"c\": { \"policy\": \"SCHED_DEADLINE\", \"dl-runtime\": 200,\n"
                    "    \"run\": 90, \"timer\": { \"ref\": \"unique\", \"period\": 1000 },\n"
                    "    \"dl-period\": 1000 },\n"
                    "  \"d\": { \"run\": 10, \"timer\": { \"ref\": \"unique\", \"period\": 50 } }\n"
                    "} }",
                    true, &yaml);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 3);
    expect_periodic(task(wl, "a"), 20 * MS, 0);
    EI_EQ(task(wl, "a")->stages[0].budget_ns, 3 * MS);
    EI_EQ(task(wl, "c")->priority, 98);
    EI_EQ(task(wl, "a")->priority, 97);
    EI_EQ(task(wl, "b")->priority, 10);
    EI_EQ(wl->run.duration_ns, 30 * S);
    EI_CONTAINS(yaml, "# LOST, line 1: no 'duration'");
    EI_CONTAINS(yaml, "  # LOST, line 4: 'sleep' of task 'a' counts from the end of the work");
    EI_CONTAINS(yaml, "  # LOST, line 6: event 'lock' of task 'b'");
    EI_CONTAINS(yaml, "# LOST, line 10: task 'd' needs period: 50us, which is out of range");
    EI_CONTAINS(yaml, "# LOST, line 10: task 'd' is left out");
    free(yaml);
    ei_workload_destroy(wl);
}

/* ---- DISB ---- */

EI_TEST(disb_periodic_and_closed_loop)
{
    struct ei_workload *wl = import("driving.disb.json", EI_IMPORT_DISB);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 3);
    EI_EQ(wl->model_count, 3);
    EI_EQ(wl->lane_count, 1);
    EI_EQ(wl->run.duration_ns, 30 * S);
    const struct ei_task_spec *detector = task(wl, "detector_rt");
    expect_periodic(detector, 10 * MS, 0);
    expect_late(detector, EI_SPEC_LATE_DROP_OLDEST, 1);
    EI_EQ(detector->deadline_ns, EI_NONE_NS);
    EI_EQ(detector->priority, 80);
    EI_EQ(detector->nn_stage_idx, 0);
    EI_STREQ(wl->models[detector->stages[0].model_idx].name, "vgg19-imagenet");
    EI_EQ(wl->models[detector->stages[0].model_idx].blocks[0].conv.median_ns, 5 * MS);
    EI_EQ(wl->models[detector->stages[0].model_idx].block_count, 1);
    expect_periodic(task(wl, "signs_rt"), 10 * MS, 5 * MS);
    expect_periodic(task(wl, "logger_be"), 8 * MS, 0);
    EI_EQ(task(wl, "logger_be")->priority, 79);
    ei_workload_destroy(wl);
}

EI_TEST(disb_poisson_and_traces)
{
    struct ei_workload *wl = import("speech.disb.json", EI_IMPORT_DISB);
    EI_REQUIRE(wl != NULL);
    const struct ei_task_spec *wakeword = task(wl, "wakeword");
    EI_EQ(wakeword->arrival.model, EI_ARRIVAL_SPORADIC);
    EI_EQ(wakeword->arrival.min_interarrival_ns, 100 * US);
    EI_EQ(wakeword->arrival.mean_ns, 50 * MS);
    const struct ei_task_spec *replay = task(wl, "replay");
    EI_EQ(replay->arrival.model, EI_ARRIVAL_APERIODIC);
    EI_EQ(replay->arrival.trace_count, 5);
    static const int64_t expected_ms[] = {0, 250, 1000, 1000, 4521};
    for (int i = 0; i < 5 && replay->arrival.trace_count == 5; i++) {
        EI_EQ(replay->arrival.trace_ns[i], expected_ms[i] * MS);
    }
    EI_EQ(task(wl, "second_replay")->arrival.trace_count, 1);
    EI_EQ(wl->model_count, 1);
    ei_workload_destroy(wl);
}

EI_TEST(disb_old_strategies_and_priorities)
{
    struct ei_workload *wl = import("preempt.disb.json", EI_IMPORT_DISB);
    EI_REQUIRE(wl != NULL);
    expect_periodic(task(wl, "densenet"), 50 * MS, 0);
    /* 20.5 a second counts as 20 for the coordinator, as in DISB. */
    expect_periodic(task(wl, "inception"), 48780487, 4 * MS);
    expect_periodic(task(wl, "densenet-2"), 33333333, 0);
    EI_EQ(task(wl, "densenet")->priority, 80);
    EI_EQ(task(wl, "inception")->priority, 80);
    EI_EQ(task(wl, "densenet-2")->priority, 79);
    ei_workload_destroy(wl);
}

EI_TEST(disb_losses_leave_tasks_out)
{
    char *yaml = NULL;
    struct ei_workload *wl =
        import_text("{ \"time\": 3, \"tasks\": [\n"
                    "  { \"id\": \"a\", \"load\": { \"type\": \"continuous\" },\n"
                    "    \"client\": { \"model_name\": \"inception\", \"batch_size\": 4, \"colour\": 1 } },\n"
                    "  { \"id\": \"b\", \"load\": { \"type\": \"dependent\", \"prev_task_ids\": [\"a\"] },\n"
                    "    \"client\": { \"model_name\": \"densenet\" } },\n"
                    "  { \"id\": \"c\", \"load\": { \"type\": \"trace\", \"trace\": [1] },\n"
                    "    \"client\": { \"model_name\": \"unheard-of\" } }\n"
                    "] }",
                    true, &yaml);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 1);
    EI_EQ(wl->model_count, 1);
    EI_CONTAINS(yaml, "  # LOST, line 3: unknown key 'colour'");
    EI_CONTAINS(yaml, "  # LOST, line 3: task 1 'a' infers batches of 4");
    EI_CONTAINS(yaml, "\n# LOST, line 4: task 2 'b' starts when others have ended");
    EI_CONTAINS(yaml, "\n# LOST, line 7: a DISB file does not say how long 'unheard-of' takes");
    EI_CONTAINS(yaml, "\n# LOST, line 6: task 3 'c' is left out");
    free(yaml);
    ei_workload_destroy(wl);
}

/* ---- rtspin ---- */

EI_TEST(rtspin_options_and_priorities)
{
    struct ei_workload *wl = import("fixed.rtspin.sh", EI_IMPORT_RTSPIN);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 3);
    EI_EQ(wl->run.duration_ns, 30 * S);
    const struct ei_task_spec *first = task(wl, "rtspin-1");
    expect_periodic(first, 10 * MS, 0);
    expect_cpus(first, "1");
    expect_late(first, EI_SPEC_LATE_DROP_NEWEST, EI_SPEC_QUEUE_MAX);
    EI_EQ(first->priority, 80);
    EI_EQ(first->deadline_ns, 10 * MS);
    EI_EQ(first->stages[0].spin_ns, 950 * US);
    EI_EQ(first->stages[0].budget_ns, MS);
    const struct ei_task_spec *second = task(wl, "rtspin-2");
    expect_periodic(second, 50 * MS, 2500 * US);
    expect_cpus(second, "1");
    EI_EQ(second->deadline_ns, 40 * MS);
    EI_EQ(second->stages[0].spin_ns, 12500 * US);
    EI_EQ(second->priority, 79);
    EI_EQ(task(wl, "rtspin-3")->priority, 79);
    EI_EQ(task(wl, "rtspin-3")->stages[0].spin_ns, 19 * MS);
    ei_workload_destroy(wl);
}

EI_TEST(rtspin_execution_times_become_a_cycle_of_tasks)
{
    struct ei_workload *wl = import("recorded.rtspin.sh", EI_IMPORT_RTSPIN);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 5);
    EI_EQ(wl->run.duration_ns, S);
    expect_burst(task(wl, "rtspin-1.1"), 2, 10 * MS, 40 * MS, 0);
    expect_periodic(task(wl, "rtspin-1.2"), 40 * MS, 20 * MS);
    expect_periodic(task(wl, "rtspin-1.3"), 40 * MS, 30 * MS);
    EI_EQ(task(wl, "rtspin-1.1")->stages[0].spin_ns, 3 * MS);
    EI_EQ(task(wl, "rtspin-1.2")->stages[0].spin_ns, 1500 * US);
    EI_EQ(task(wl, "rtspin-1.3")->stages[0].spin_ns, 4 * MS);
    EI_EQ(task(wl, "rtspin-1.3")->deadline_ns, 10 * MS);
    /* Four rows without a DURATION: four jobs. */
    expect_burst(task(wl, "rtspin-2"), 4, 10 * MS, EI_NONE_NS, 0);
    EI_EQ(task(wl, "rtspin-2")->stages[0].spin_ns, MS);
    expect_periodic(task(wl, "rtspin-3"), 25 * MS, 0);
    EI_EQ(task(wl, "rtspin-3")->stages[0].spin_ns, 2850 * US);
    ei_workload_destroy(wl);
}

EI_TEST(rtspin_shorter_durations_end_earlier)
{
    struct ei_workload *wl = import("mixed.rtspin.sh", EI_IMPORT_RTSPIN);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 3);
    EI_EQ(wl->run.duration_ns, 10 * S);
    expect_burst(task(wl, "rtspin-2"), 188, 8 * MS, EI_NONE_NS, 0); /* 187.5 periods fit into 1.5 s */
    expect_periodic(task(wl, "rtspin-3"), S, 100 * MS);
    /* No -q anywhere: the shorter deadline goes first. */
    EI_TRUE(task(wl, "rtspin-2")->priority > task(wl, "rtspin-1")->priority);
    EI_TRUE(task(wl, "rtspin-1")->priority > task(wl, "rtspin-3")->priority);
    ei_workload_destroy(wl);
}

EI_TEST(rtspin_recording_longer_than_the_run_is_cut)
{
    struct ei_workload *wl = import_text("rtspin -C times.csv:2 -s 1 4 10 0.025\n", false, NULL);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 2); /* jobs at 0, 10 and 20 ms: 3, 3 and 1.5 ms */
    expect_burst(task(wl, "rtspin-1.1"), 2, 10 * MS, EI_NONE_NS, 0);
    expect_burst(task(wl, "rtspin-1.2"), 1, 0, EI_NONE_NS, 20 * MS);
    EI_EQ(task(wl, "rtspin-1.2")->stages[0].spin_ns, 1500 * US);
    ei_workload_destroy(wl);
}

EI_TEST(rtspin_losses_become_comments)
{
    char *yaml = NULL;
    struct ei_workload *wl = import_text("setsched GSN-EDF\n"
                                         "rtspin -u 2 -q 7 4 10 2 &\n"
                                         "rtspin -B -m 20\n"
                                         "make install\n",
                                         true, &yaml);
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->task_count, 1);
    EI_EQ(wl->tasks[0].priority, 80); /* EDF ignores -q, so it is by deadline */
    EI_CONTAINS(yaml, "# LOST, line 1: plugin 'GSN-EDF'");
    EI_CONTAINS(yaml, "# LOST, line 2: -u of rtspin 1");
    EI_CONTAINS(yaml, "# LOST, line 3: -B of rtspin 2");
    EI_CONTAINS(yaml, "# LOST, line 3: rtspin 2 is left out");
    EI_CONTAINS(yaml, "# LOST, line 4: unknown command 'make'");
    free(yaml);
    ei_workload_destroy(wl);
}

/* ---- all formats ---- */

static char *import_example(const char *file)
{
    struct ei_imported imported;
    struct ei_diagnostics diag;
    char path[256];
    char *yaml = NULL;
    snprintf(path, sizeof path, FOLDER "%s", file);
    if (ei_import_load(path, "out", &options_default, &imported, &diag) == 0) {
        yaml = imported.yaml;
        imported.yaml = NULL;
        ei_imported_fini(&imported);
    }
    ei_diagnostics_fini(&diag);
    return yaml;
}

EI_TEST(import_is_deterministic)
{
    for (int i = 0; i < example_count; i++) {
        char *first = import_example(examples[i]);
        char *second = import_example(examples[i]);
        EI_TRUEF(first != NULL && second != NULL && strcmp(first, second) == 0, "%s differs", examples[i]);
        free(first);
        free(second);
    }
}

/* Foreign text must not end a comment line or reach a terminal. */
EI_TEST(import_makes_foreign_text_harmless)
{
    char *yaml = NULL;
    struct ei_workload *wl =
        import_text("{ \"global\": { \"duration\": 1 }, \"tasks\": { \"a\\ntasks: []\\u001b[31m\\u0085\": "
                    "{ \"run\": 10, \"timer\": { \"ref\": \"unique\", \"period\": 5000 } } } }",
                    false, &yaml);
    EI_REQUIRE(wl != NULL);
    EI_CONTAINS(yaml, "task 'a?tasks: []?[31m?\?'");
    EI_STREQ(wl->tasks[0].name, "a_tasks______31m__");
    free(yaml);
    ei_workload_destroy(wl);
}

/* ---- JSON against jansson ---- */

static bool is_same(const struct ei_json *json, const struct ei_json_node *node, const json_t *other)
{
    switch (node->kind) {
    case EI_JSON_NULL:
        return json_is_null(other);
    case EI_JSON_BOOL:
        return json_is_boolean(other) && json_boolean_value(other) == (node->integer != 0);
    case EI_JSON_INT:
        return json_is_integer(other) && json_integer_value(other) == node->integer;
    case EI_JSON_REAL:
        return json_is_real(other) && memcmp(&(double){json_real_value(other)}, &node->real, sizeof(double)) == 0;
    case EI_JSON_STRING:
        return json_is_string(other) && strcmp(json_string_value(other), node->text) == 0;
    case EI_JSON_ARRAY: {
        size_t i = 0;
        for (const struct ei_json_node *at = ei_json_first(json, node); at != NULL; at = ei_json_next(json, at)) {
            if (!is_same(json, at, json_array_get(other, i++))) {
                return false;
            }
        }
        return json_is_array(other) && json_array_size(other) == i;
    }
    case EI_JSON_OBJECT:
        for (const struct ei_json_node *at = ei_json_first(json, node); at != NULL; at = ei_json_next(json, at)) {
            if (!is_same(json, at, json_object_get(other, at->key))) {
                return false;
            }
        }
        return json_is_object(other) && json_object_size(other) == (size_t)node->count;
    }
    return false;
}

static void compare_with_jansson(const char *text, size_t length, int round, int *accepted)
{
    json_error_t error;
    json_t *other = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (other != NULL) {
        struct ei_json json = {.nodes = NULL};
        struct ei_diagnostics diag;
        EI_REQUIRE(ei_diagnostics_init(&diag, "x") == 0);
        const int rc = ei_json_parse(text, length, &json, &diag);
        EI_TRUEF(rc == 0 && is_same(&json, &json.nodes[0], other), "round %d: not the same as in jansson:\n%s", round,
                 text);
        ei_json_fini(&json);
        ei_diagnostics_fini(&diag);
        json_decref(other);
        *accepted += 1;
    }
}

EI_TEST(json_reads_as_jansson_does)
{
    static const char *const texts[] = {"[1, -2.5e3, 0, -0, 1e-7, true, false, null, \"\", {}, []]",
                                        "{\"a\\u00e4\\ud83d\\ude00\\n\\\"\\\\\": [\"\xc3\xa4\", {\"b\": [[[1]]]}]}",
                                        "9223372036854775807", "-9223372036854775808", " \"x\" "};
    int accepted = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        compare_with_jansson(texts[i], strlen(texts[i]), -(int)i, &accepted);
    }
    EI_EQ(accepted, 5);
    for (int round = 0; round < 20000 && ei_test_failures() == 0; round++) {
        struct ei_random rng;
        char text[128];
        ei_random_init(&rng, SEED, (uint64_t)round);
        const char *base = texts[ei_random_below(&rng, 2)];
        size_t length = strlen(base);
        memcpy(text, base, length + 1);
        for (uint64_t n = 1 + ei_random_below(&rng, 3); n > 0; n--) {
            static const char bytes[] = "0123456789-+.eE[]{},:\"\\u/ nt\ndD8";
            text[ei_random_below(&rng, length)] = bytes[ei_random_below(&rng, sizeof bytes - 1)];
        }
        compare_with_jansson(text, length, round, &accepted);
    }
    EI_TRUEF(accepted > 1000, "only %d texts were JSON", accepted);
}

/* ---- random damage ---- */

static const char *const snippets[] = {"\"run\": 5,",
                                       "\"sleep\": 100,",
                                       "-1",
                                       "0",
                                       "1e9",
                                       "99999999999999999999",
                                       "\"loop\": 3,",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       ",",
                                       "\"",
                                       "/*",
                                       "//",
                                       "\\",
                                       "\n",
                                       " & ",
                                       ";",
                                       "-C times.csv:2 ",
                                       "-C /dev/zero ",
                                       "-w",
                                       "-q 600 ",
                                       "\"cpus\": [70],",
                                       "\"instance\": 40,",
                                       "\"continuous\"",
                                       "\"policy\": \"SCHED_RR\",",
                                       "\xff",
                                       "$X",
                                       "0.00000001",
                                       "\"phases\": {},",
                                       "rtspin 1 2 3\n"};

static size_t mutate(struct ei_random *rng, char *text, size_t length)
{
    const size_t at = ei_random_below(rng, length + 1);
    const char *insert = snippets[ei_random_below(rng, sizeof snippets / sizeof snippets[0])];
    size_t cut = 0;
    size_t insert_length = strlen(insert);
    switch (ei_random_below(rng, 5)) {
    case 0: /* flip one byte */
        if (at < length) {
            text[at] = (char)(text[at] ^ (char)(1U << ei_random_below(rng, 8)));
        }
        return length;
    case 1: /* a hole */
        cut = ei_random_below(rng, length - at < 40 ? length - at + 1 : 40);
        insert_length = 0;
        break;
    case 2: /* a snippet in place of a number or word */
        cut = strcspn(text + at, " ,:}\n");
        cut = at + cut <= length ? cut : length - at;
        break;
    case 3: /* cut off */
        return ei_random_below(rng, 4) == 0 ? at : length;
    default:
        break;
    }
    memmove(text + at + insert_length, text + at + cut, length - at - cut);
    memcpy(text + at, insert, insert_length);
    return length - cut + insert_length;
}

EI_TEST(import_survives_random_damage)
{
    int accepted = 0;
    int refused = 0;
    char *text = malloc(1U << 16U);
    EI_REQUIRE(text != NULL);
    for (int round = 0; round < ROUNDS && ei_test_failures() == 0; round++) {
        struct ei_random rng;
        struct ei_imported imported;
        struct ei_diagnostics diag;
        struct ei_import_options options = options_default;
        char path[256];
        size_t length = 0;
        ei_random_init(&rng, SEED, (uint64_t)round);
        snprintf(path, sizeof path, FOLDER "%s", examples[round % example_count]);
        char *base = text_read(path, &length);
        EI_REQUIRE(base != NULL);
        memcpy(text, base, length);
        text[length] = '\0';
        for (uint64_t n = ei_random_below(&rng, 4) + 1; n > 0; n--) {
            length = mutate(&rng, text, length);
            text[length] = '\0';
        }
        options.is_lossy = ei_random_below(&rng, 2) == 0;
        /* A copy of exactly that length: AddressSanitizer sees every byte read behind it. */
        char *exact = malloc(length > 0 ? length : 1);
        EI_REQUIRE(exact != NULL);
        memcpy(exact, text, length);
        const int rc = ei_import_text(exact, length, path, "out", &options, &imported, &diag);
        if (rc == 0) {
            accepted++;
            struct ei_workload *wl = read_back(&imported); /* whatever is written is a good workload file */
            EI_TRUEF(wl != NULL, "round %d", round);
            ei_workload_destroy(wl);
            ei_imported_fini(&imported);
        } else {
            refused++;
            EI_TRUEF(rc == EINET_E_FILE && diag.errors > 0, "round %d: rc %d", round, rc);
        }
        free(text_diagnose(&diag));
        ei_diagnostics_fini(&diag);
        free(exact);
        free(base);
    }
    EI_TRUEF(accepted > ROUNDS / 10, "only %d were accepted", accepted);
    EI_TRUEF(refused > ROUNDS / 10, "only %d were refused", refused);
    free(text);
}

EI_MAIN()
