/* What the collector makes of records: identity, explained misses, exits and accuracy, verdicts, odd input. The figures
 * are read back from the JSON that users get.
 */
#include "metrics/collector.h"
#include "tests/harness/harness.h"
#include "tests/metrics/sample_run.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct ei_collector *new_collector(void)
{
    const struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    const int rc = ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, true, &collector, &err);
    EI_TRUEF(rc == 0, "create: %s", err.text);
    return collector;
}

static void add(struct ei_collector *collector, struct ei_record record)
{
    ei_collector_add(collector, &record);
}

/* Finish (with the totals, or the sample's), print as JSON, parse it, destroy. */
static json_t *finish(struct ei_collector *collector, const struct ei_metrics_totals *totals)
{
    const struct ei_metrics_totals sample = sample_totals();
    struct einet_error err = {0};
    EI_TRUEF(ei_collector_finish(collector, totals != NULL ? totals : &sample, &err) == 0, "finish: %s", err.text);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    EI_EQ(ei_collector_print_json(collector, stream), 0);
    fclose(stream);
    json_t *root = json_loads(text, 0, NULL);
    EI_TRUE(root != NULL);
    free(text);
    ei_collector_destroy(collector);
    return root;
}

static json_t *task_of(json_t *root, int task_idx)
{
    return json_array_get(json_object_get(root, "tasks"), (size_t)task_idx);
}

static int64_t whole(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    EI_TRUEF(json_is_integer(value), "%s is no whole number", key);
    return json_integer_value(value);
}

static double real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    EI_TRUEF(json_is_number(value), "%s is no number", key);
    return json_number_value(value);
}

static bool truth(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    EI_TRUEF(json_is_boolean(value), "%s is neither true nor false", key);
    return json_is_true(value);
}

static bool is_null(const json_t *object, const char *key)
{
    return json_is_null(json_object_get(object, key));
}

static const json_t *slo_of(const json_t *task, const char *name)
{
    const json_t *slos = json_object_get(task, "slo");
    for (size_t i = 0; i < json_array_size(slos); i++) {
        const json_t *slo = json_array_get(slos, i);
        if (strcmp(json_string_value(json_object_get(slo, "name")), name) == 0) {
            return slo;
        }
    }
    EI_TRUEF(false, "no slo %s", name);
    return NULL;
}

EI_TEST(sample_identity_and_warmup)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    sample_add_all(collector);
    EI_EQ(ei_collector_released(collector), 11);
    const struct ei_metrics_progress progress = ei_collector_progress(collector, SAMPLE_CONTROL);
    EI_EQ(progress.released, 6);
    EI_EQ(progress.misses, 2);
    EI_EQ(progress.skipped, 1);
    EI_EQ(progress.last_response_ns, 1300);
    EI_EQ(ei_collector_noise_max_ns(collector), 5 * SAMPLE_MS);
    json_t *root = finish(collector, NULL);
    const json_t *control = task_of(root, SAMPLE_CONTROL);
    EI_EQ(whole(control, "expected"), 7);
    EI_EQ(whole(control, "released") + whole(control, "skipped") + whole(control, "dropped"), 7);
    EI_EQ(whole(control, "warmup"), 2);
    EI_EQ(whole(control, "longest_miss_run"), 2);
    EI_EQ(whole(control, "mk_worst"), 3); /* releases 4, 5 and 7 of 4..7 */
    EI_NEAR(real(control, "miss_ratio"), 3.0 / 7.0, 1e-6);
    EI_TRUE(truth(control, "identity_ok"));
    EI_TRUE(truth(root, "identity_ok"));
    EI_TRUE(is_null(control, "exits"));
    EI_TRUE(is_null(control, "coverage"));
    EI_TRUE(is_null(control, "accuracy"));
    EI_TRUE(is_null(control, "blocking_ns"));
    EI_TRUE(is_null(task_of(root, SAMPLE_LOGGER), "tardiness_ns"));
    json_decref(root);
}

EI_TEST(a_lost_record_breaks_the_identity_visibly)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    add(collector, sample_job(SAMPLE_CONTROL, 2, 10, 1000));
    struct ei_metrics_totals totals = sample_totals();
    totals.job_records_lost = 11;
    json_t *root = finish(collector, &totals);
    EI_TRUE(!truth(root, "identity_ok"));
    EI_TRUE(!truth(task_of(root, SAMPLE_CONTROL), "identity_ok"));
    EI_EQ(whole(json_object_get(root, "records_lost"), "job"), 11);
    json_decref(root);
}

EI_TEST(camera_exits_accuracy_and_preemptions)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    sample_add_all(collector);
    json_t *root = finish(collector, NULL);
    const json_t *camera = task_of(root, SAMPLE_CAMERA);
    const json_t *exits = json_object_get(camera, "exits");
    EI_EQ(json_array_size(exits), 3);
    for (size_t i = 0; i < 3; i++) {
        EI_EQ(json_integer_value(json_array_get(exits, i)), 1);
    }
    EI_NEAR(real(camera, "coverage"), 0.75, 0.0);
    EI_NEAR(real(camera, "accuracy"), 2.0 / 3.0, 1e-6);
    EI_NEAR(real(camera, "accuracy_in_time"), 0.5, 0.0);
    const json_t *per_exit = json_object_get(camera, "accuracy_per_exit");
    EI_NEAR(json_number_value(json_array_get(per_exit, 0)), 1.0, 0.0);
    EI_NEAR(json_number_value(json_array_get(per_exit, 1)), 0.0, 0.0);
    EI_EQ(whole(camera, "preemptions"), 2);
    EI_EQ(whole(camera, "preempted_jobs"), 2);
    EI_EQ(whole(camera, "preempted_past_first_exit"), 1);
    EI_EQ(whole(camera, "answered_preempted"), 1);
    EI_EQ(whole(camera, "preempted_labelled"), 2);
    EI_EQ(whole(camera, "preempted_correct"), 1); /* the one without an answer is not right */
    EI_NEAR(real(camera, "preempted_accuracy"), 0.5, 0.0);
    EI_EQ(whole(camera, "replans"), 4);
    EI_EQ(whole(camera, "late_replans"), 2);
    EI_STREQ(json_string_value(json_object_get(camera, "planner")), "search exact, exit time schedule");
    EI_EQ(whole(json_object_get(camera, "preempted_by"), "control"), 1); /* the one of the warm-up is left out */
    EI_EQ(whole(json_object_get(camera, "blocking_ns"), "max"), 900);
    EI_EQ(whole(json_object_get(camera, "switch_ns"), "p50"), 30);
    EI_EQ(whole(json_object_get(camera, "causes"), "preempted"), 2);
    EI_EQ(whole(json_object_get(camera, "response_ns"), "max"), 1800);
    EI_EQ(whole(json_object_get(camera, "lane_wait_ns"), "p99"), 40);
    EI_TRUE(truth(slo_of(camera, "min_accuracy"), "pass"));
    EI_TRUE(!truth(slo_of(camera, "min_coverage"), "pass"));
    EI_TRUE(truth(slo_of(camera, "mk"), "pass"));
    json_decref(root);
}

/* One camera job: preempted or not, of the warm-up or not, labelled or not. */
static json_t *camera_of_one(bool is_preempted, bool is_warmup, bool is_labelled)
{
    struct ei_collector *collector = new_collector();
    if (collector == NULL) {
        return NULL;
    }
    struct ei_record record = sample_job(SAMPLE_CAMERA, 1, is_warmup ? 5 : 33, 1500);
    struct ei_job_record *job = &record.u.job;
    job->flags |= (uint32_t)EI_JOB_HAS_NN | (uint32_t)EI_JOB_ANSWERED | (is_labelled ? (uint32_t)EI_JOB_LABELLED : 0);
    job->answer_ns = job->finish_ns;
    job->exit_idx = 0;
    job->exits_mask = 1;
    job->label = is_labelled ? 4 : -1;
    job->top_label = is_labelled ? 4 : 0;
    job->preemptions = is_preempted;
    job->replans = 7;
    job->late_replans = 3;
    add(collector, record);
    return finish(collector, NULL);
}

EI_TEST(only_counted_labelled_preempted_jobs_make_the_preempted_accuracy)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        const bool is_preempted = (bits & 1U) != 0, is_warmup = (bits & 2U) != 0, is_labelled = (bits & 4U) != 0;
        json_t *root = camera_of_one(is_preempted, is_warmup, is_labelled);
        EI_REQUIRE(root != NULL);
        const json_t *camera = task_of(root, SAMPLE_CAMERA);
        const bool is_in = is_preempted && !is_warmup && is_labelled;
        EI_EQ(whole(camera, "preempted_labelled"), is_in);
        EI_EQ(whole(camera, "preempted_correct"), is_in);
        EI_TRUEF(is_null(camera, "preempted_accuracy") == !is_in, "bits %u", bits);
        EI_EQ(whole(camera, "replans"), is_warmup ? 0 : 7); /* of every counted job */
        EI_EQ(whole(camera, "late_replans"), is_warmup ? 0 : 3);
        json_decref(root);
    }
}

EI_TEST(without_a_network_there_are_no_plans)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    sample_add_all(collector);
    json_t *root = finish(collector, NULL);
    static const char *const names[] = {"replans",           "late_replans",       "planner",
                                        "preempted_correct", "preempted_labelled", "preempted_accuracy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        EI_TRUEF(is_null(task_of(root, SAMPLE_LOGGER), names[i]), "%s of a task without a network", names[i]);
    }
    json_decref(root);
}

/* One control job of 2 ms deadline that ran for response_ns, with a gap; is its miss explained? */
static int64_t explained_of(int32_t gap_cpu, int64_t gap_start_ns, int64_t gap_ns, int64_t response_ns)
{
    struct ei_collector *collector = new_collector();
    if (collector == NULL) {
        return -1;
    }
    add(collector, sample_gap(gap_cpu, SAMPLE_T0_NS + 20 * SAMPLE_MS + gap_start_ns, gap_ns));
    add(collector, sample_job(SAMPLE_CONTROL, 4, 20, response_ns));
    json_t *root = finish(collector, NULL);
    const json_t *control = task_of(root, SAMPLE_CONTROL);
    EI_EQ(whole(control, "misses"), response_ns > 2 * SAMPLE_MS);
    const int64_t explained = whole(control, "misses_machine_explained");
    json_decref(root);
    return explained;
}

EI_TEST(a_miss_is_explained_by_gaps_of_at_least_its_tardiness)
{
    const int64_t ms = SAMPLE_MS;
    EI_EQ(explained_of(1, 0, ms, 3 * ms), 1);            /* 1 ms late, 1 ms gap */
    EI_EQ(explained_of(1, 0, ms - 1, 3 * ms), 0);        /* a nanosecond too little */
    EI_EQ(explained_of(1, -ms, 2 * ms, 3 * ms), 1);      /* half of the gap lies before the release */
    EI_EQ(explained_of(1, -ms, 2 * ms - 1, 3 * ms), 0);  /* and only the other half counts */
    EI_EQ(explained_of(0, 0, ms, 3 * ms), 0);            /* a CPU that the task may not use */
    EI_EQ(explained_of(1, 4 * ms, ms, 3 * ms), 0);       /* after the finish */
    EI_EQ(explained_of(1, 0, 100000, 2 * ms + 1000), 0); /* not over the threshold, so no gap */
    EI_EQ(explained_of(1, 0, 100001, 2 * ms + 1000), 1);
    EI_EQ(explained_of(1, 0, ms, 2 * ms), 0); /* no miss, nothing to explain */
}

EI_TEST(a_skip_is_explained_by_what_held_up_the_job_before)
{
    for (int is_enough = 0; is_enough < 2; is_enough++) {
        struct ei_collector *collector = new_collector();
        EI_REQUIRE(collector != NULL);
        /* The job of 20 ms ends at 26.5 ms, 1.5 ms after the release that it made impossible. */
        add(collector, sample_gap(1, SAMPLE_T0_NS + 21 * SAMPLE_MS, 3 * SAMPLE_MS / 2 - 1 + is_enough));
        add(collector, sample_job(SAMPLE_CONTROL, 4, 20, 13 * SAMPLE_MS / 2));
        add(collector, sample_no_job(SAMPLE_CONTROL, 5, 25, EI_JOB_SKIPPED, EI_CAUSE_LATE));
        json_t *root = finish(collector, NULL);
        EI_EQ(whole(task_of(root, SAMPLE_CONTROL), "not_run_machine_explained"), is_enough);
        json_decref(root);
    }
    static const int causes[] = {EI_CAUSE_CANCELLED, EI_CAUSE_LOAD_CAP};
    for (size_t i = 0; i < 2; i++) { /* dropped for a reason of ours: the machine has no part in it */
        struct ei_collector *collector = new_collector();
        EI_REQUIRE(collector != NULL);
        add(collector, sample_gap(1, SAMPLE_T0_NS + 20 * SAMPLE_MS, 6 * SAMPLE_MS));
        add(collector, sample_job(SAMPLE_CONTROL, 4, 20, 7 * SAMPLE_MS));
        add(collector, sample_no_job(SAMPLE_CONTROL, 5, 25, EI_JOB_DROPPED, causes[i]));
        json_t *root = finish(collector, NULL);
        EI_EQ(whole(task_of(root, SAMPLE_CONTROL), "dropped"), 1);
        EI_EQ(whole(task_of(root, SAMPLE_CONTROL), "not_run_machine_explained"), 0);
        json_decref(root);
    }
}

EI_TEST(an_aborted_job_is_a_release_that_did_not_meet_its_deadline)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    struct ei_record record = sample_job(SAMPLE_CONTROL, 2, 10, 2 * SAMPLE_MS + 500);
    record.u.job.outcome = EI_JOB_ABORTED;
    record.u.job.cause = EI_CAUSE_DEADLINE;
    add(collector, sample_gap(1, SAMPLE_T0_NS + 10 * SAMPLE_MS, SAMPLE_MS));
    add(collector, record);
    json_t *root = finish(collector, NULL);
    const json_t *control = task_of(root, SAMPLE_CONTROL);
    EI_EQ(whole(control, "released"), 1);
    EI_EQ(whole(control, "aborted"), 1);
    EI_EQ(whole(control, "completed"), 0);
    EI_EQ(whole(control, "misses"), 0);
    EI_EQ(whole(control, "not_run_machine_explained"), 1);
    EI_NEAR(real(control, "miss_ratio"), 1.0, 0.0);
    EI_TRUE(is_null(control, "response_ns"));
    EI_EQ(whole(json_object_get(control, "jitter_ns"), "p50"), 15);
    const json_t *slo = slo_of(control, "max_miss_ratio");
    EI_TRUE(!truth(slo, "pass"));
    EI_TRUE(truth(slo, "machine_explained"));
    EI_TRUE(is_null(slo_of(control, "p99_response_ns"), "pass")); /* no response to judge by */
    json_decref(root);
}

EI_TEST(verdicts_with_and_without_the_machine)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    sample_add_all(collector);
    json_t *root = finish(collector, NULL);
    const json_t *control = task_of(root, SAMPLE_CONTROL);
    EI_EQ(whole(control, "misses"), 2);
    EI_EQ(whole(control, "misses_machine_explained"), 1);
    EI_EQ(whole(control, "not_run_machine_explained"), 1);
    const json_t *ratio = slo_of(control, "max_miss_ratio");
    EI_TRUE(!truth(ratio, "pass"));
    EI_TRUE(!truth(ratio, "machine_explained")); /* release 7 was late all by itself */
    const json_t *mk = slo_of(control, "mk");
    EI_EQ(whole(mk, "value"), 3);
    EI_TRUE(!truth(mk, "pass"));
    EI_TRUE(truth(mk, "machine_explained"));
    const json_t *p99 = slo_of(control, "p99_response_ns");
    EI_EQ(whole(p99, "limit"), 5 * SAMPLE_MS);
    EI_IN(whole(p99, "value"), 6 * SAMPLE_MS, 6 * SAMPLE_MS * 1.001);
    EI_EQ(whole(root, "slo_failures"), 4);
    json_decref(root);
}

EI_TEST(response_percentiles_of_many_jobs)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    for (int64_t i = 0; i < 1000; i++) {
        add(collector, sample_job(SAMPLE_CONTROL, 2 + i, 10 + 5 * i, 1 + (i * 7919) % 1000));
    }
    json_t *root = finish(collector, NULL);
    const json_t *response = json_object_get(task_of(root, SAMPLE_CONTROL), "response_ns");
    EI_EQ(whole(response, "p50"), 500);
    EI_EQ(whole(response, "p90"), 900);
    EI_EQ(whole(response, "p99"), 990);
    EI_EQ(whole(response, "p999"), 999);
    EI_EQ(whole(response, "p9999"), 1000);
    EI_EQ(whole(response, "max"), 1000);
    json_decref(root);
}

static int by_time(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The time left is counted out job by job: all in time, some late, all late. */
EI_TEST(laxity_is_the_time_that_a_share_of_the_jobs_had_left)
{
    static const struct {
        const char *name;
        double q;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}, {"min", 1.0}};
    enum { JOBS = 3000 };
    static const int64_t begins_ns[] = {1000, 1 * SAMPLE_MS, 3 * SAMPLE_MS};
    for (size_t part = 0; part < 3; part++) {
        struct ei_collector *collector = new_collector();
        EI_REQUIRE(collector != NULL);
        int64_t left_ns[JOBS];
        for (int64_t i = 0; i < JOBS; i++) {
            const int64_t response_ns = begins_ns[part] + (i * 7919) % JOBS * 400;
            left_ns[i] = 2 * SAMPLE_MS - response_ns;
            add(collector, sample_job(SAMPLE_CONTROL, 2 + i, 10 + 5 * i, response_ns));
        }
        qsort(left_ns, JOBS, sizeof left_ns[0], by_time);
        json_t *root = finish(collector, NULL);
        const json_t *laxity = json_object_get(task_of(root, SAMPLE_CONTROL), "laxity_ns");
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            const int64_t rank = (int64_t)ceil(shares[i].q * JOBS - 1e-6); /* so many had at least that */
            const int64_t exact_ns = left_ns[JOBS - rank];
            EI_NEAR((double)whole(laxity, shares[i].name), (double)exact_ns, fabs((double)exact_ns) * 1e-3);
        }
        json_decref(root);
    }
}

/* Waits and processor time of stages: of counted jobs only, and means over what is known. */
EI_TEST(stages_are_summed_up)
{
    static const struct ei_metrics_stage names[] = {{"pre", false}, {"net", true}};
    static const int64_t waits_ns[] = {100, 5000, 300, 200}, cpu_ns[] = {7, 9000, -1, 9};
    struct ei_metrics_task tasks[SAMPLE_TASKS];
    struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    memcpy(tasks, sample_tasks, sizeof tasks);
    tasks[SAMPLE_CONTROL].stages = names;
    tasks[SAMPLE_CONTROL].stage_count = 2;
    run.has_stages_csv = true;
    run.has_writers = true; /* as a live run has */
    EI_EQ(ei_collector_create(&run, tasks, SAMPLE_TASKS, ei_test_tmpdir(), false, &collector, &err), 0);
    EI_REQUIRE(collector != NULL);
    for (int64_t i = 0; i < 4; i++) { /* job 1 is of the warm-up */
        const int64_t release_ms = i == 1 ? 5 : 10 + 5 * i;
        const int64_t ready_ns = SAMPLE_T0_NS + release_ms * SAMPLE_MS;
        add(collector, (struct ei_record){.kind = EI_RECORD_STAGE,
                                          .u.stage = {.task_idx = SAMPLE_CONTROL,
                                                      .job_idx = i,
                                                      .ready_ns = ready_ns,
                                                      .start_ns = ready_ns + waits_ns[i],
                                                      .end_ns = ready_ns + waits_ns[i] + 10,
                                                      .cpu_ns = cpu_ns[i]}});
        add(collector, sample_job(SAMPLE_CONTROL, i, release_ms, 1000));
    }
    json_t *root = finish(collector, NULL);
    const json_t *stages = json_object_get(task_of(root, SAMPLE_CONTROL), "stages");
    const json_t *pre = json_array_get(stages, 0), *net = json_array_get(stages, 1);
    EI_EQ(json_array_size(stages), 2);
    EI_STREQ(json_string_value(json_object_get(pre, "name")), "pre");
    EI_STREQ(json_string_value(json_object_get(net, "kind")), "nn");
    EI_EQ(whole(pre, "runs"), 3);
    EI_EQ(whole(pre, "wait_mean_ns"), 200);
    EI_EQ(whole(pre, "wait_max_ns"), 300);
    EI_EQ(whole(pre, "cpu_mean_ns"), 8);
    EI_EQ(whole(pre, "cpu_max_ns"), 9);
    EI_EQ(whole(net, "runs"), 0);
    EI_TRUE(is_null(net, "wait_mean_ns") && is_null(net, "cpu_max_ns"));
    json_decref(root);
}

/* Each job thread is followed by itself, and an unknown CPU is no other one. */
EI_TEST(migrations_are_counted)
{
    static const struct {
        int32_t task_idx, slot, cpu;
    } seen[] = {{SAMPLE_CAMERA, 0, 1}, {SAMPLE_CAMERA, 1, 0},  {SAMPLE_CAMERA, 0, 1},  {SAMPLE_CAMERA, 0, 0},
                {SAMPLE_CAMERA, 1, 0}, {SAMPLE_CAMERA, 0, -1}, {SAMPLE_CAMERA, 0, 0},  {SAMPLE_CONTROL, 0, 1},
                {SAMPLE_CAMERA, 0, 1}, {SAMPLE_CAMERA, 99, 5}, {SAMPLE_CAMERA, -1, 5}, {SAMPLE_TASKS, 0, 5}};
    struct ei_metrics_run run = sample_run(false);
    struct ei_metrics_totals totals = sample_totals();
    struct ei_collector *collector = NULL;
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, false, &collector, NULL), 0);
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        const struct ei_record record = {.kind = EI_RECORD_ACTIVITY,
                                         .u.activity = {.task_idx = seen[i].task_idx,
                                                        .slot = seen[i].slot,
                                                        .cpu = seen[i].cpu,
                                                        .start_ns = (int64_t)i,
                                                        .end_ns = (int64_t)i + 1}};
        ei_collector_add(collector, &record);
    }
    json_t *root = finish(collector, &totals);
    EI_EQ(whole(task_of(root, SAMPLE_CAMERA), "migrations"), 2);
    EI_EQ(whole(task_of(root, SAMPLE_CONTROL), "migrations"), 0);
    json_decref(root);
}

EI_TEST(what_tasks_and_lanes_used)
{
    static const char *const lanes[] = {"acc0", "free"};
    static const int64_t busy_ns[] = {10 * SAMPLE_MS, -1};
    const struct ei_metrics_usage usage[SAMPLE_TASKS] = {{.cpu_ns = 7, .minor_faults = 1, .major_faults = 2},
                                                         {.voluntary_switches = 3, .involuntary_switches = 4}};
    struct ei_metrics_run run = sample_run(false);
    struct ei_metrics_totals totals = sample_totals();
    struct ei_collector *collector = NULL;
    run.lanes = lanes;
    run.lane_count = 2;
    totals.usage = usage;
    totals.lane_busy_ns = busy_ns;
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, false, &collector, NULL), 0);
    sample_add_all(collector);
    json_t *root = finish(collector, &totals);
    const json_t *list = json_object_get(root, "lanes"), *of_control = task_of(root, SAMPLE_CONTROL);
    EI_STREQ(json_string_value(json_object_get(json_array_get(list, 0), "name")), "acc0");
    EI_EQ(whole(json_array_get(list, 0), "busy_ns"), 10 * SAMPLE_MS);
    EI_NEAR(real(json_array_get(list, 0), "busy"), 0.25, 1e-9);
    EI_TRUE(is_null(json_array_get(list, 1), "busy_ns") && is_null(json_array_get(list, 1), "busy"));
    EI_EQ(whole(json_object_get(of_control, "usage"), "cpu_ns"), 7);
    EI_EQ(whole(json_object_get(of_control, "usage"), "minor_faults"), 1);
    EI_EQ(whole(json_object_get(of_control, "usage"), "major_faults"), 2);
    EI_EQ(whole(json_object_get(task_of(root, SAMPLE_CAMERA), "usage"), "voluntary_switches"), 3);
    EI_EQ(whole(json_object_get(task_of(root, SAMPLE_CAMERA), "usage"), "involuntary_switches"), 4);
    EI_TRUE(is_null(of_control, "lane_busy_ns"));
    EI_TRUE(whole(task_of(root, SAMPLE_CAMERA), "lane_busy_ns") > 0);
    json_decref(root);
}

EI_TEST(noise_counts_wakeups_after_the_warmup)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    add(collector, sample_gap(0, SAMPLE_T0_NS + 5 * SAMPLE_MS, 3 * SAMPLE_MS)); /* warm-up */
    for (int64_t i = 0; i < 99; i++) {
        add(collector, sample_gap(0, SAMPLE_T0_NS + (10 + i) * SAMPLE_MS, 100));
    }
    add(collector, sample_gap(0, SAMPLE_T0_NS + 200 * SAMPLE_MS, 50 * SAMPLE_MS));
    json_t *root = finish(collector, NULL);
    const json_t *noise = json_object_get(root, "noise");
    EI_EQ(whole(noise, "wakeups"), 100);
    EI_EQ(whole(noise, "p50"), 100);
    EI_EQ(whole(noise, "p99"), 100);
    EI_EQ(whole(noise, "max"), 50 * SAMPLE_MS);
    EI_EQ(whole(noise, "gaps"), 1);
    EI_EQ(whole(noise, "gap_total_ns"), 50 * SAMPLE_MS);
    EI_EQ(whole(noise, "long_gaps"), 1);
    EI_TRUE(json_is_true(json_object_get(noise, "is_probe_fifo")));
    json_decref(root);
}

/* Without SCHED_FIFO a probe waits for our own tasks: the figures say so, unless there was no probe to speak of. */
EI_TEST(noise_of_an_outranked_probe_says_so)
{
    for (int wakeups = 0; wakeups < 2; wakeups++) {
        struct ei_metrics_run run = sample_run(false);
        struct ei_collector *collector = NULL;
        run.is_probe_outranked = true;
        EI_REQUIRE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, true, &collector, NULL) == 0);
        if (wakeups > 0) {
            add(collector, sample_gap(0, SAMPLE_T0_NS + 20 * SAMPLE_MS, 100));
        }
        json_t *root = finish(collector, NULL);
        const json_t *said = json_object_get(json_object_get(root, "noise"), "is_probe_fifo");
        EI_TRUE(wakeups > 0 ? json_is_false(said) : json_is_null(said));
        json_decref(root);
    }
}

EI_TEST(records_of_nobody_are_counted_and_ignored)
{
    struct ei_collector *collector = new_collector();
    EI_REQUIRE(collector != NULL);
    struct ei_record record = sample_job(SAMPLE_CONTROL, 2, 10, 1000);
    record.u.job.task_idx = SAMPLE_TASKS;
    add(collector, record);
    record.u.job.task_idx = -1;
    add(collector, record);
    record = sample_job(SAMPLE_CONTROL, -1, 10, 1000);
    add(collector, record);
    record = sample_job(SAMPLE_CONTROL, 2, 10, 1000);
    record.u.job.outcome = 200;
    add(collector, record);
    record.kind = 77;
    add(collector, record);
    add(collector, (struct ei_record){.kind = EI_RECORD_PREEMPTION, .u.preemption = {.victim_task_idx = 99}});
    EI_EQ(ei_collector_released(collector), 0);
    json_t *root = finish(collector, NULL);
    EI_EQ(whole(json_object_get(root, "records_lost"), "invalid"), 6);
    EI_TRUE(is_null(task_of(root, SAMPLE_CONTROL), "miss_ratio"));
    json_decref(root);
}

EI_TEST(create_refuses_what_it_cannot_hold)
{
    const struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    EI_EQ(ei_collector_create(&run, sample_tasks, 0, NULL, false, &collector, &err), -EINVAL);
    struct ei_metrics_task task = sample_tasks[SAMPLE_CONTROL];
    task.slo.mk_m = 4;
    EI_EQ(ei_collector_create(&run, &task, 1, NULL, false, &collector, &err), -EINVAL);
    EI_CONTAINS(err.text, "control");
    task.slo.mk_k = EI_METRICS_MK_MAX + 1;
    EI_EQ(ei_collector_create(&run, &task, 1, NULL, false, &collector, &err), -EINVAL);
    task = sample_tasks[SAMPLE_CAMERA];
    task.exits = EI_METRICS_EXITS_MAX + 1;
    EI_EQ(ei_collector_create(&run, &task, 1, NULL, false, &collector, &err), -EINVAL);
    EI_TRUE(collector == NULL);
    ei_collector_destroy(NULL);
}

EI_TEST(text_that_is_not_utf8_still_makes_json)
{
    struct ei_metrics_run run = sample_run(false);
    run.machine.hostname = "caf\xe9";
    struct ei_collector *collector = NULL;
    EI_REQUIRE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, false, &collector, NULL) == 0);
    json_t *root = finish(collector, NULL);
    EI_STREQ(json_string_value(json_object_get(json_object_get(root, "machine"), "hostname")), "caf?");
    json_decref(root);
}

EI_MAIN()
