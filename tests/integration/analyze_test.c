/* einet analyze as users call it, and scheduler.admission in a run. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* camera: deadline and admission are filled in. Its one block takes 2 ms, control 0.3 ms of every 5 ms. */
static const char workload[] =
    "version: 1\n"
    "name: analysed\n"
    "run: { duration: 100ms, start_delay: 20ms }\n"
    "platform: { lock_memory: none }\n"
    "lanes: { acc: { kind: cpu, cpus: \"0\", preempt: block } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 2ms, branch: 0ms, score: 0.9 } ] } } }\n"
    "scheduler: { admission: %s }\n"
    "tasks:\n"
    "  - { name: control, arrival: { model: periodic, period: 5ms }, priority: 80, cpus: \"0\",\n"
    "      stages: [ { name: law, kind: cpu, work: { spin: 300us } } ] }\n"
    "  - { name: camera, arrival: { model: periodic, period: 20ms }, deadline: %s, priority: 50,\n"
    "      on_deadline: finish, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: log, arrival: { model: periodic, period: 50ms }, class: other,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";

static const char *file_with(const char *admission, const char *deadline)
{
    char text[sizeof workload + 64];
    static char path[512]; /* that of write_file is reused */
    const char *first = strstr(workload, "%s"), *second = strstr(first + 2, "%s");
    snprintf(text, sizeof text, "%.*s%s%.*s%s%s", (int)(first - workload), workload, admission,
             (int)(second - first - 2), first + 2, deadline, second + 2);
    snprintf(path, sizeof path, "%s", write_file("analysed.yaml", text));
    return path;
}

static json_t *analysis_of(const char *deadline, int status)
{
    const struct finished *f = einet_run((const char *[]){"analyze", file_with("none", deadline), "--json", NULL});
    EI_TRUEF(f->status == status, "status %d: %s", f->status, f->output);
    json_error_t error;
    json_t *root = json_loads(f->output, 0, &error);
    EI_TRUEF(root != NULL, "%s: %s", error.text, f->output);
    return root;
}

EI_TEST(analyze_prints_json)
{
    json_t *root = analysis_of("3ms", 0);
    EI_EQ(json_integer_value(json_object_get(root, "schema")), 1);
    const json_t *tasks = json_object_get(root, "tasks"), *cpus = json_object_get(root, "cpus");
    const json_t *camera = json_array_get(tasks, 1), *log = json_array_get(tasks, 2);
    EI_EQ(json_array_size(tasks), 3);
    EI_STREQ(json_string_value(json_object_get(camera, "name")), "camera");
    EI_EQ(json_integer_value(json_object_get(camera, "response_bound_ns")), 2300000);
    EI_EQ(json_integer_value(json_object_get(camera, "deadline_ns")), 3000000);
    EI_EQ(json_integer_value(json_object_get(camera, "mandatory_bound_ns")), 2300000);
    EI_EQ(json_integer_value(json_object_get(camera, "smallest_deadline_ns")), 2300000);
    EI_TRUE(json_is_true(json_object_get(camera, "schedulable")));
    EI_TRUE(json_is_null(json_object_get(log, "response_bound_ns")));
    EI_TRUE(json_is_null(json_object_get(log, "schedulable")));
    EI_NEAR(json_real_value(json_object_get(json_array_get(cpus, 0), "utilisation")), 0.16, 1e-9);
    EI_EQ(json_array_size(json_object_get(root, "lanes")), 1);
    json_decref(root);
    root = analysis_of("2ms", 4);
    EI_TRUE(json_is_false(json_object_get(json_array_get(json_object_get(root, "tasks"), 1), "schedulable")));
    json_decref(root);
}

EI_TEST(analyze_prints_a_table)
{
    const struct finished *f = einet_run((const char *[]){"analyze", file_with("none", "2ms"), NULL});
    EI_EQ(f->status, 4);
    EI_CONTAINS(f->output, "task 'camera' may finish late: its response bound is 2.300 ms, its deadline 2.000 ms");
    EI_CONTAINS(f->output, "NOT guaranteed; policy fixed_priority, times at p99: control (spin) camera (emulate p99)");
    f = einet_run((const char *[]){"analyze", file_with("none", "3ms"), "--policy", "edf", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "every deadline is guaranteed; policy edf");
}

EI_TEST(analyze_refuses_what_it_does_not_understand)
{
    const char *file = file_with("none", "3ms");
    EI_EQ(einet_run((const char *[]){"analyze", NULL})->status, 1);
    EI_EQ(einet_run((const char *[]){"analyze", file, "--policy", "best", NULL})->status, 1);
    EI_EQ(einet_run((const char *[]){"analyze", file, "--cpus", "0", NULL})->status, 1);
    EI_EQ(einet_run((const char *[]){"analyze", file, "--ops-time", "5", NULL})->status, 1);
    EI_EQ(einet_run((const char *[]){"analyze", "no-such-file.yaml", NULL})->status, 2);
    const struct finished *f = einet_run((const char *[]){"analyze", file, "--cpus", "1", NULL});
    EI_EQ(f->status, 0);
}

/* The network is measured at the start of the run, so its bound is at least 2 ms, and no deadline of 1 ms is safe. */
EI_TEST(admission_rejects_or_warns)
{
    const char *out = in_tmpdir("refused");
    const struct finished *f =
        einet_run((const char *[]){"run", file_with("reject", "1ms"), "--out", out, "--quiet", NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "analysed.yaml:11:5: admission refuses the run: task 'camera' may finish late");
    EI_TRUEF(access(out, F_OK) != 0, "a refused run left %s", out);
    out = in_tmpdir("warned");
    f = einet_run((const char *[]){"run", file_with("warn", "1ms"), "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "analysed.yaml: admission: task 'camera' may finish late");
    out = in_tmpdir("silent");
    f = einet_run((const char *[]){"run", file_with("none", "1ms"), "--out", out, NULL});
    EI_TRUE(strstr(f->output, "admission") == NULL);
    out = in_tmpdir("admitted"); /* nothing measured: 300 us of spin in 5 ms */
    const char *control =
        write_file("control.yaml", "version: 1\nname: control\nrun: { duration: 50ms }\n"
                                   "platform: { lock_memory: none }\nscheduler: { admission: reject }\ntasks:\n"
                                   "  - { name: control, arrival: { model: periodic, period: 5ms }, cpus: \"0\",\n"
                                   "      stages: [ { name: law, kind: cpu, work: { spin: 300us } } ] }\n");
    f = einet_run((const char *[]){"run", control, "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
}

EI_MAIN()
