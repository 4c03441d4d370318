/* Live runs: what the files say afterwards must fit together, whatever the machine did meanwhile. */
#include "tests/integration/command.h"

#include "planner/profile_file.h"
#include "tests/harness/harness.h"

#include <signal.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define WORKLOADS "tests/integration/workloads/"

static bool has_plugin(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/libeinet_torch.so", ei_test_build_dir());
    return access(path, R_OK) == 0;
}

/* ---- preemption and answers ---- */

struct preempted {
    int64_t jobs, preempted, past_first_exit, answered_past_first_exit, wrong_time;
};

static void visit_preempted(const struct job_line *job, void *context)
{
    struct preempted *p = context;
    if (strcmp(job->task, "camera") != 0 || strcmp(job->outcome, "completed") != 0) {
        return;
    }
    p->jobs++;
    p->preempted += job->preemptions > 0;
    if (strcmp(job->cause, "preempted") == 0) {
        p->past_first_exit++;
        p->answered_past_first_exit += job->is_answered;
    }
    /* stamped with its own job: published between its start and its finish */
    p->wrong_time += job->is_answered && (job->answer_ns < job->start_ns || job->answer_ns > job->finish_ns);
}

EI_TEST(run_preempted_jobs_deliver_their_own_answer)
{
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", WORKLOADS "preempt.yaml", "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(json_integer_value(json_object_get(summary, "schema")), 1);
    EI_EQ(task_integer(summary, "camera", "expected"), 301);
    EI_TRUE(task_integer(summary, "camera", "preemptions") >= 20);
    EI_TRUE(task_real(summary, "camera", "coverage") >= 0.99);
    EI_EQ(json_array_size(json_object_get(summary_task(summary, "camera"), "exits")), 3);
    struct preempted p = {0};
    for_each_job(out, visit_preempted, &p);
    EI_TRUEF(p.preempted >= 20, "only %lld of %lld camera jobs were preempted", (long long)p.preempted,
             (long long)p.jobs);
    EI_TRUE(p.past_first_exit > 0);
    EI_EQ(p.answered_past_first_exit, p.past_first_exit);
    EI_EQ(p.wrong_time, 0);
    /* a preempted job leaves earlier than one that ran to its end */
    json_t *exits = json_object_get(summary_task(summary, "camera"), "exits");
    EI_TRUE(json_integer_value(json_array_get(exits, 0)) > 0);
    EI_TRUE(json_integer_value(json_array_get(exits, 2)) > 0);
    json_decref(summary);
}

EI_TEST(run_json_prints_the_summary)
{
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", WORKLOADS "phase.yaml", "--out", out, "--duration",
                                                          "300ms", "--json", "--quiet", NULL});
    EI_EQ(f->status, 0);
    json_t *printed = json_loads(f->output, JSON_REJECT_DUPLICATES, NULL);
    json_t *written = read_summary(out);
    EI_TRUEF(json_equal(printed, written), "standard output is not summary.json: %s", f->output);
    EI_TRUE(access(in_tmpdir("out/workload.yaml"), R_OK) == 0);
    EI_TRUE(access(in_tmpdir("out/summary.txt"), R_OK) == 0);
    json_decref(printed);
    json_decref(written);
}

/* ---- disturbed phases ---- */

struct phase {
    int64_t period_ns, drifted, late_runs, last_release_ns, not_run;
};

static void visit_phase(const struct job_line *job, void *context)
{
    struct phase *p = context;
    if (strcmp(job->task, "tick") != 0) {
        return;
    }
    p->drifted += job->release_ns != job->job_idx * p->period_ns;
    p->last_release_ns = job->release_ns > p->last_release_ns ? job->release_ns : p->last_release_ns;
    p->not_run += strcmp(job->outcome, "completed") != 0;
    p->late_runs += strcmp(job->outcome, "completed") == 0 && job->start_ns > p->period_ns;
}

EI_TEST(run_stopped_process_keeps_phase_and_identity)
{
    const char *out = in_tmpdir("out");
    const pid_t pid = einet_start((const char *[]){"run", WORKLOADS "phase.yaml", "--out", out, NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    sleep_ms(700);
    kill(pid, SIGSTOP);
    sleep_ms(200);
    kill(pid, SIGCONT);
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "tick", "expected"), 101);
    EI_TRUE(task_integer(summary, "tick", "skipped") >= 8);
    struct phase p = {.period_ns = 20 * MS};
    for_each_job(out, visit_phase, &p);
    EI_EQ(p.drifted, 0);
    EI_EQ(p.last_release_ns, 2000 * MS);
    EI_TRUEF(p.late_runs <= 1 + p.not_run / 20, "skip recovered with %lld late jobs", (long long)p.late_runs);
    json_decref(summary);
}

EI_TEST(run_burst_keeps_phase_and_identity)
{
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", WORKLOADS "burst.yaml", "--out", out, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "intruder", "expected"), 5);
    EI_EQ(task_integer(summary, "tick", "expected"), 76);
    struct phase p = {.period_ns = 20 * MS};
    for_each_job(out, visit_phase, &p);
    EI_EQ(p.drifted, 0);
    EI_EQ(p.last_release_ns, 1500 * MS);
    json_decref(summary);
}

/* ---- ended early ---- */

EI_TEST(run_signal_ends_with_complete_files)
{
    for (int round = 0; round < 2; round++) {
        const int signal_number = round == 0 ? SIGINT : SIGTERM;
        const char *out = in_tmpdir(round == 0 ? "int" : "term");
        const pid_t pid =
            einet_start((const char *[]){"run", WORKLOADS "preempt.yaml", "--out", out, "--duration", "60s", NULL});
        char partial[512];
        snprintf(partial, sizeof partial, "%s/jobs.csv.partial", out);
        EI_TRUE(wait_for_file(partial, 20000));
        sleep_ms(900);
        kill(pid, signal_number);
        const struct finished *f = einet_wait(pid);
        EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
        json_t *summary = read_summary(out);
        EI_REQUIRE(summary != NULL);
        check_identity(summary);
        EI_TRUE(json_integer_value(json_object_get(summary, "duration_ns")) < 60000 * MS);
        EI_TRUE(task_real(summary, "camera", "coverage") >= 0.99);
        EI_TRUE(access(partial, F_OK) != 0);
        EI_TRUE(task_integer(summary, "control", "completed") > 0);
        json_decref(summary);
    }
}

/* ---- without privileges ---- */

static void visit_degraded(const struct job_line *job, void *context)
{
    int64_t *not_marked = context;
    *not_marked += strcmp(job->degraded, "1") != 0;
}

EI_TEST(run_without_privileges_says_degraded_everywhere)
{
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run_unprivileged(
        (const char *[]){"run", WORKLOADS "preempt.yaml", "--out", out, "--duration", "1s", NULL});
    if (f->status == 126 || f->status == 127) {
        ei_test_skip("user nobody cannot execute %s/einet", ei_test_build_dir());
    }
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "DEGRADED");
    EI_CONTAINS(f->output, "SCHED_FIFO");
    EI_TRUE(strstr(f->output, "NOT DEGRADED") == NULL);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    EI_TRUE(json_array_size(json_object_get(summary, "degraded")) > 0);
    check_identity(summary);
    int64_t not_marked = 0;
    EI_TRUE(for_each_job(out, visit_degraded, &not_marked) > 0);
    EI_EQ(not_marked, 0);
    json_decref(summary);
}

/* ---- the cap on real-time load ---- */

EI_TEST(run_overload_shifts_exits_and_keeps_answering)
{
    const char *out = in_tmpdir("out");
    const struct finished *f =
        einet_run((const char *[]){"run", "configs/overload.yaml", "--out", out, "--duration", "6s", NULL});
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    json_t *exits = json_object_get(summary_task(summary, "camera"), "exits");
    const size_t deepest = json_array_size(exits) - 1;
    int64_t shallow = 0;
    for (size_t i = 0; i < deepest; i++) {
        shallow += json_integer_value(json_array_get(exits, i));
    }
    const int64_t full = json_integer_value(json_array_get(exits, deepest));
    const json_t *causes = json_object_get(summary_task(summary, "camera"), "causes");
    EI_TRUE(json_integer_value(json_object_get(causes, "load_cap")) > 0);
    EI_TRUEF(shallow > full, "exits did not shift: %lld shallow, %lld full", (long long)shallow, (long long)full);
    EI_TRUE(task_real(summary, "camera", "coverage") >= 0.95);
    json_decref(summary);
}

/* ---- real networks ---- */

EI_TEST(run_edge_server_answers_while_preempted)
{
    if (!has_plugin() || access("models/pretrained/b-alexnet-generated.safetensors", R_OK) != 0) {
        ei_test_skip("no libtorch plug-in in %s or no shipped weights", ei_test_build_dir());
    }
    const char *out = in_tmpdir("out");
    const struct finished *f =
        einet_run((const char *[]){"run", "configs/edge-server.yaml", "--out", out, "--duration", "6s", NULL});
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(json_array_size(json_object_get(summary, "tasks")), 4);
    EI_TRUE(task_real(summary, "camera", "coverage") >= 0.99);
    EI_TRUE(task_real(summary, "camera", "accuracy") > 0.5);
    json_decref(summary);
}

/* What a live job answers is what the profile recorded for the same sample and exit, bit for bit the same network. */
struct against_profile {
    const struct ei_cs_profile *cs;
    int64_t compared, different, right_live, right_profile;
};

static void visit_against_profile(const struct job_line *job, void *context)
{
    struct against_profile *a = context;
    if (strcmp(job->task, "camera") != 0 || job->exit_idx < 0 || job->preemptions > 0) {
        return;
    }
    const int32_t profiled = a->cs->top_label[job->sample_idx * a->cs->exits + job->exit_idx];
    a->compared++;
    a->different += profiled != job->top_label;
    a->right_live += job->top_label == job->label;
    a->right_profile += profiled == a->cs->label[job->sample_idx];
}

EI_TEST(run_cifar10_answers_as_profiled)
{
    ei_test_data_or_skip("cifar-10-batches-bin/test_batch.bin");
    if (!has_plugin()) {
        ei_test_skip("no libtorch plug-in in %s", ei_test_build_dir());
    }
    const char *out = in_tmpdir("out");
    struct einet_error err = {0};
    struct ei_cs_profile cs = {0};
    EI_TRUEF(ei_cs_profile_read("models/pretrained/b-alexnet-cifar10.cs", &cs, &err) == 0, "%s", err.text);
    const struct finished *f =
        einet_run((const char *[]){"run", "configs/cifar10.yaml", "--out", out, "--duration", "8s", NULL});
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    struct against_profile a = {.cs = &cs};
    for_each_job(out, visit_against_profile, &a);
    EI_TRUEF(a.compared > 100, "only %lld jobs to compare", (long long)a.compared);
    EI_EQ(a.different, 0);
    EI_EQ(a.right_live, a.right_profile);
    ei_cs_profile_fini(&cs);
}

EI_MAIN()
