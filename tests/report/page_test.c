/* report.html as a file: what it holds, how large it gets, and that text of the run cannot break it. How it looks and
 * behaves is for a browser (browser.py). */
#include "report/assumed.h"
#include "report/page.h"
#include "report/page_data.h"
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/report/sample_folder.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct ei_report_job jobs[SAMPLE_JOBS_MAX];

static char *read_all(const char *path)
{
    FILE *in = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    if (in != NULL && text != NULL) {
        text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
        fclose(in);
    }
    EI_TRUEF(in != NULL, "cannot read %s", path);
    return text;
}

/* The page of a sample run, as text that the caller frees. */
static char *page_of(const struct sample_options *options)
{
    struct ei_report_run run;
    struct einet_error err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/page.html", ei_test_tmpdir());
    sample_write(ei_test_tmpdir(), options, jobs);
    EI_TRUEF(ei_report_run_load(&run, ei_test_tmpdir(), true, &err) == 0, "%s", err.text);
    EI_TRUEF(ei_report_page_write(&run, path, &err) == 0, "%s", err.text);
    ei_report_run_fini(&run);
    return read_all(path);
}

EI_TEST(a_page_holds_all_it_needs_and_nothing_from_elsewhere)
{
    const struct sample_options options = {.seed = 1, .jobs = 600};
    char *text = page_of(&options);
    EI_CONTAINS(text, "<title>sample - EINet-RT</title>");
    EI_CONTAINS(text, "default-src 'none'");
    EI_CONTAINS(text, "\"name\":\"eye, left\"");
    EI_TRUE(strstr(text, "src=\"") == NULL && strstr(text, "href=\"http") == NULL && strstr(text, "url(") == NULL);
    EI_TRUE(strstr(text, "@style@") == NULL && strstr(text, "@data@") == NULL && strstr(text, "@script@") == NULL);
    EI_CONTAINS(text, "</html>\n");
    free(text);
}

EI_TEST(a_degraded_run_is_marked_and_its_text_cannot_break_out)
{
    const struct sample_options options = {.seed = 1, .jobs = 60, .degraded = "</script><!--<script>alert(1)"};
    char *text = page_of(&options);
    EI_CONTAINS(text, "<title>DEGRADED: sample - EINet-RT</title>");
    EI_CONTAINS(text, "\\u003c/script>\\u003c!--\\u003cscript>alert(1)");
    EI_TRUE(strstr(text, "<!--<script>") == NULL);
    free(text);
}

static void write_many(const char *folder, int32_t count)
{
    char path[1024], summary[512];
    snprintf(path, sizeof path, "%s/jobs.csv", folder);
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    fputs("task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,start_ns,finish_ns,deadline_ns,answer_ns,exit_idx,"
          "label,is_correct\n",
          out);
    uint32_t draw = 1;
    for (int32_t i = 0; i < count; i++) {
        draw = draw * 1664525u + 1013904223u;
        fprintf(out, "t,%d,%d00000,completed,plan_done,0,%d,10,%u,9000000,%u,%u,1,%u\n", i, i,
                draw % 10000000u > 9000000u, 1000u + draw % 10000000u, 1000u + draw % 8000000u, draw >> 30,
                draw >> 29 & 1u);
    }
    fclose(out);
    snprintf(summary, sizeof summary,
             "{\"schema\":1,\"name\":\"many\",\"duration_ns\":%lld,\"degraded\":[],\"tasks\":[{\"name\":\"t\","
             "\"released\":%d,"
             "\"skipped\":0,\"dropped\":0,\"deadline_ns\":9000000,\"exits\":[1,1,1,1],\"slo\":[]}]}",
             (long long)count * 100000, count);
    sample_write_file(folder, "summary.json", summary);
}

static size_t data_bytes(int32_t count)
{
    struct ei_report_run run;
    struct einet_error err = {0};
    write_many(ei_test_tmpdir(), count);
    EI_TRUEF(ei_report_run_load(&run, ei_test_tmpdir(), true, &err) == 0, "%s", err.text);
    EI_EQ(run.job_count, count);
    json_t *data = ei_report_page_data(&run);
    char *text = json_dumps(data, JSON_COMPACT);
    const size_t bytes = text != NULL ? strlen(text) : 0;
    free(text);
    json_decref(data);
    ei_report_run_fini(&run);
    return bytes;
}

EI_TEST(a_page_does_not_grow_with_the_number_of_jobs)
{
    const size_t few = data_bytes(8000), many = data_bytes(80000);
    EI_IN(many, 1000, 250000);
    EI_IN((double)many / (double)few, 0.5, 1.5);
}

EI_TEST(a_curve_is_the_one_of_all_jobs)
{
    const struct sample_options options = {.seed = 4, .jobs = 3000};
    struct ei_report_run run;
    struct einet_error err = {0};
    sample_write(ei_test_tmpdir(), &options, jobs);
    EI_REQUIRE(ei_report_run_load(&run, ei_test_tmpdir(), false, &err) == 0);
    json_t *data = ei_report_page_data(&run), *point;
    json_t *task = json_array_get(json_object_get(data, "tasks"), 1);
    size_t i;
    EI_TRUE(json_array_size(json_object_get(task, "ccdf")) > 50);
    json_array_foreach(json_object_get(task, "ccdf"), i, point)
    {
        int64_t above = 0, all = 0;
        const int64_t x_ns = json_integer_value(json_array_get(point, 0));
        for (int32_t k = 0; k < options.jobs; k++) {
            const bool is_counted =
                jobs[k].task_idx == 1 && !jobs[k].is_warmup && jobs[k].outcome == EI_REPORT_COMPLETED;
            all += is_counted;
            above += is_counted && jobs[k].finish_ns > x_ns;
        }
        EI_NEAR(json_number_value(json_array_get(point, 1)), (double)above / (double)all, 1e-6);
    }
    json_decref(data);
    ei_report_run_fini(&run);
}

/* Kaplan and Meier by its definition, over the list of jobs: the product over the stops up to x. */
static double survival_at(int32_t count, int64_t x_ns)
{
    double s = 1;
    for (int32_t i = 0; i < count; i++) {
        const struct ei_report_job *stop = &jobs[i];
        if (stop->task_idx != 1 || stop->is_warmup || stop->finish_ns < 0 || !ei_report_is_forced(stop) ||
            stop->finish_ns > x_ns) {
            continue;
        }
        int64_t at_risk = 0;
        for (int32_t k = 0; k < count; k++) {
            at_risk += jobs[k].task_idx == 1 && !jobs[k].is_warmup && jobs[k].finish_ns >= stop->finish_ns;
        }
        s *= 1 - 1 / (double)at_risk;
    }
    return s;
}

EI_TEST(the_survival_of_the_stop_is_that_of_kaplan_and_meier)
{
    const struct sample_options options = {.seed = 9, .jobs = 900};
    struct ei_report_run run;
    struct einet_error err = {0};
    sample_write(ei_test_tmpdir(), &options, jobs);
    EI_REQUIRE(ei_report_run_load(&run, ei_test_tmpdir(), false, &err) == 0);
    json_t *data = ei_report_page_data(&run), *point;
    json_t *curve = json_object_get(json_array_get(json_object_get(data, "tasks"), 1), "survival");
    size_t i;
    EI_TRUE(json_array_size(curve) > 20);
    json_array_foreach(curve, i, point)
    {
        EI_NEAR(json_number_value(json_array_get(point, 1)),
                survival_at(options.jobs, json_integer_value(json_array_get(point, 0))), 0.004); /* buckets hold ties */
    }
    json_decref(data);
    ei_report_run_fini(&run);
}

/* The data that a page embeds, owned by the caller. */
static json_t *data_in(const char *text)
{
    static const char mark[] = "<script type=\"application/json\" id=\"data\">";
    const char *from = strstr(text, mark);
    json_error_t error = {0};
    json_t *data = from != NULL ? json_loads(from + sizeof mark - 1, JSON_DISABLE_EOF_CHECK, &error) : NULL;
    EI_TRUEF(data != NULL, "the page holds no data: %s", error.text);
    return data;
}

/* What a page draws as S of the second task, whose summary says so of it. */
static json_t *assumed_of(const char *said)
{
    const struct sample_options options = {.seed = 2, .jobs = 60, .assumed_stop = said};
    char *text = page_of(&options);
    json_t *data = data_in(text);
    json_t *curve = json_incref(json_object_get(json_array_get(json_object_get(data, "tasks"), 1), "assumed_curve"));
    json_decref(data);
    free(text);
    return curve;
}

EI_TEST(the_survival_that_the_planner_assumed_is_on_the_page)
{
    json_t *curve = assumed_of("{\"jobs\": 3, \"step_ns\": 2500000, \"survival\": [1.0, 0.75, 0.5, 0]}");
    static const double points[][2] = {{0, 1}, {2500000, 0.75}, {5000000, 0.5}, {7500000, 0}};
    EI_EQ(json_array_size(curve), 4);
    for (size_t i = 0; i < 4; i++) {
        EI_NEAR(json_number_value(json_array_get(json_array_get(curve, i), 0)), points[i][0], 0);
        EI_NEAR(json_number_value(json_array_get(json_array_get(curve, i), 1)), points[i][1], 0);
    }
    json_decref(curve);
}

EI_TEST(a_summary_without_or_with_a_damaged_assumption_draws_none)
{
    static const char *const said[] = {"null", "7", "{\"step_ns\": 0, \"survival\": [1, 0]}",
                                       "{\"step_ns\": 9000000000000000000, \"survival\": [1, 0]}",
                                       "{\"step_ns\": 5, \"survival\": 1}"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        json_t *curve = assumed_of(said[i]);
        EI_TRUEF(json_is_null(curve), "%s", said[i]);
        json_decref(curve);
    }
}

static struct ei_histogram logged; /* large */

/* latency.hlog of the sample folder: so many responses of "control", and a wait per preemption. */
static void write_hlog(int64_t responses)
{
    char path[1024];
    struct ei_random random;
    snprintf(path, sizeof path, "%s/latency.hlog", ei_test_tmpdir());
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    ei_random_init(&random, 5, 0);
    EI_EQ(ei_hlog_write_head(out, 0), 0);
    ei_histogram_init(&logged);
    ei_histogram_record_many(&logged, SAMPLE_MS, (uint64_t)responses);
    EI_EQ(ei_hlog_write(out, "control/response", 0, 1, &logged), 0);
    ei_histogram_init(&logged);
    for (int i = 0; i < 5000; i++) {
        ei_histogram_record(&logged, 1000 + (int64_t)(-log(1 - ei_random_unit(&random)) * 30000));
    }
    EI_EQ(ei_hlog_write(out, "preemption/switch", 0, 1, &logged), 0);
    fclose(out);
}

static void remove_hlog(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/latency.hlog", ei_test_tmpdir());
    (void)remove(path);
}

static int64_t count_completed(const struct sample_options *options)
{
    int64_t completed = 0;
    for (int32_t i = 0; i < options->jobs; i++) {
        completed += jobs[i].task_idx == 0 && !jobs[i].is_warmup && jobs[i].outcome == EI_REPORT_COMPLETED;
    }
    return completed;
}

EI_TEST(what_only_latency_hlog_holds_is_on_the_page)
{
    const struct sample_options options = {.seed = 3, .jobs = 60};
    sample_write(ei_test_tmpdir(), &options, jobs);
    write_hlog(count_completed(&options));
    char *text = page_of(&options);
    json_t *data = data_in(text), *tails = json_object_get(data, "tails"), *point;
    json_t *tail = json_array_get(tails, 0), *curve = json_object_get(tail, "ccdf");
    EI_EQ(json_array_size(tails), 1); /* responses are those of jobs.csv */
    EI_STREQ(json_string_value(json_object_get(tail, "tag")), "preemption/switch");
    EI_EQ(json_integer_value(json_object_get(tail, "count")), 5000);
    EI_EQ(json_integer_value(json_array_get(json_object_get(tail, "values"), 0)),
          ei_histogram_quantile_ns(&logged, 0.5));
    EI_EQ(json_integer_value(json_array_get(json_object_get(tail, "values"), 5)), ei_histogram_max_ns(&logged));
    EI_TRUE(json_array_size(curve) > 50);
    size_t i;
    json_array_foreach(curve, i, point)
    {
        const uint64_t above = ei_histogram_count_above(&logged, json_integer_value(json_array_get(point, 0)));
        EI_NEAR(json_number_value(json_array_get(point, 1)), (double)above / 5000, 1e-6);
    }
    json_decref(data);
    free(text);
    remove_hlog();
}

EI_TEST(without_jobs_csv_the_responses_are_those_of_latency_hlog)
{
    const struct sample_options with = {.seed = 3, .jobs = 60},
                                without = {.seed = 3, .jobs = 60, .has_no_jobs_csv = true};
    char path[1024];
    sample_write(ei_test_tmpdir(), &with, jobs);
    snprintf(path, sizeof path, "%s/jobs.csv", ei_test_tmpdir());
    (void)remove(path);
    write_hlog(count_completed(&with));
    char *text = page_of(&without);
    json_t *data = data_in(text), *tasks = json_object_get(data, "tasks");
    json_t *curve = json_object_get(json_array_get(tasks, 0), "ccdf");
    EI_EQ(json_array_size(curve), 1); /* all took as long */
    EI_EQ(json_integer_value(json_array_get(json_array_get(curve, 0), 0)), SAMPLE_MS);
    EI_TRUE(json_object_get(json_array_get(tasks, 1), "ccdf") == NULL);
    json_decref(data);
    free(text);
    remove_hlog();
}

EI_TEST(a_latency_hlog_that_is_damaged_or_of_another_run_is_named)
{
    static const char *const damaged[] = {
        "Tag=preemption/switch,0.000,1.000,0.1,HISTgarbage\n", "no log\n", "Tag=a,1,2,3\n",
        "Tag=preemption/switch,0.000,1.000,0.1,HISTFAAAABB42pNpmSzMwMCgwAABTBDKT4GBgdnNYMcCBvsPEBEeBgYGZgY2Bg\n"};
    const struct sample_options options = {.seed = 3, .jobs = 60};
    struct ei_report_run run;
    struct einet_error err = {0};
    sample_write(ei_test_tmpdir(), &options, jobs);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        sample_write_file(ei_test_tmpdir(), "latency.hlog", damaged[i]);
        EI_EQ(ei_report_run_load(&run, ei_test_tmpdir(), true, &err), EINET_E_FILE);
        EI_CONTAINS(err.file, "latency.hlog");
        EI_EQ(err.line, 1);
        EI_EQ(ei_report_run_load(&run, ei_test_tmpdir(), false, &err), 0); /* who does not draw it does not read it */
        ei_report_run_fini(&run);
    }
    write_hlog(count_completed(&options) + 1);
    EI_EQ(ei_report_run_load(&run, ei_test_tmpdir(), true, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.file, "latency.hlog");
    EI_CONTAINS(err.text, "not of one run");
    remove_hlog();
}

EI_TEST(the_rate_that_the_planner_assumed_is_in_the_workload)
{
    static const char workload[] = "version: 1\nname: w\nlanes: { acc: { kind: cpu, cpus: \"1\" } }\n"
                                   "models: { net: { emulate: { blocks: [ { conv: 1ms, score: 0.6 } ] } } }\n"
                                   "tasks:\n  - { name: a, arrival: { model: periodic, period: 10ms }, priority: 2, "
                                   "planner: { exit_time: exponential(25) },\n"
                                   "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
                                   "  - { name: b, arrival: { model: periodic, period: 10ms }, priority: 1,\n"
                                   "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";
    json_t *run = json_pack("{s:{s:s}}", "workload", "text", workload);
    EI_NEAR(ei_report_assumed_rate_hz(run, "a"), 25, 0);
    EI_NEAR(ei_report_assumed_rate_hz(run, "b"), 0, 0);
    EI_NEAR(ei_report_assumed_rate_hz(NULL, "a"), 0, 0);
    json_decref(run);
    run = json_pack("{s:{s:s}}", "workload", "text", "exponential: of another version");
    EI_NEAR(ei_report_assumed_rate_hz(run, "a"), 0, 0);
    json_decref(run);
}

EI_TEST(a_page_that_cannot_be_written_leaves_nothing_behind)
{
    const struct sample_options options = {.seed = 1, .jobs = 60};
    struct ei_report_run run;
    struct einet_error err = {0};
    struct stat st;
    sample_write(ei_test_tmpdir(), &options, jobs);
    EI_REQUIRE(ei_report_run_load(&run, ei_test_tmpdir(), true, &err) == 0);
    char path[1024], partial[1100];
    snprintf(path, sizeof path, "%s/folder", ei_test_tmpdir());
    snprintf(partial, sizeof partial, "%s.partial", path);
    EI_EQ(mkdir(path, 0755), 0); /* a folder stands where the page shall go */
    EI_TRUE(ei_report_page_write(&run, path, &err) < 0);
    EI_CONTAINS(err.text, "name another place with --out");
    EI_TRUE(stat(partial, &st) != 0);
    EI_TRUE(ei_report_page_write(&run, "/nowhere/page.html", &err) < 0);
    EI_CONTAINS(err.text, "/nowhere/page.html");
    ei_report_run_fini(&run);
}

EI_MAIN()
