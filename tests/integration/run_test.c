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
    int64_t jobs, preempted, preemptions, past_first_exit, answered_past_first_exit, wrong_time;
};

static void visit_preempted(const struct job_line *job, void *context)
{
    struct preempted *p = context;
    p->preemptions += strcmp(job->task, "camera") == 0 ? job->preemptions : 0;
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
    /* who took the lane says from whom, and says it at most once */
    const json_t *camera = summary_task(summary, "camera");
    const int64_t taken = json_integer_value(json_object_get(json_object_get(camera, "preempted_by"), "obstacle"));
    EI_TRUEF(taken > 0 && taken <= p.preemptions, "%lld preemption records of %lld preemptions", (long long)taken,
             (long long)p.preemptions);
    EI_TRUE(json_is_object(json_object_get(camera, "blocking_ns")));
    EI_TRUE(json_is_object(json_object_get(camera, "switch_ns")));
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
    int64_t period_ns, drifted, last_release_ns, broken_skips;
    int64_t busy_until_ns; /* when the job before was finished, since t0; -1 = none ran yet */
};

/* What skipping means, on any machine: a release that came while the job before still ran is never run, however late
 * that was. */
static void visit_phase(const struct job_line *job, void *context)
{
    struct phase *p = context;
    if (strcmp(job->task, "tick") != 0) {
        return;
    }
    const bool ran = strcmp(job->outcome, "completed") == 0;
    p->drifted += job->release_ns != job->job_idx * p->period_ns;
    p->last_release_ns = job->release_ns > p->last_release_ns ? job->release_ns : p->last_release_ns;
    p->broken_skips += ran && job->release_ns <= p->busy_until_ns;
    p->busy_until_ns = ran ? job->release_ns + job->finish_ns : p->busy_until_ns;
}

EI_TEST(run_stopped_process_keeps_phase_and_identity)
{
    const char *out = in_tmpdir("out");
    const pid_t pid =
        einet_start((const char *[]){"run", WORKLOADS "phase.yaml", "--out", out, "--duration", "4s", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    sleep_ms(700);
    EI_TRUE(stop_for(pid, 200));
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "tick", "expected"), 201);
    /* ten releases at least came while the process stood still: the first of them ran late, the others not at all */
    EI_TRUE(task_integer(summary, "tick", "skipped") >= 8);
    struct phase p = {.period_ns = 20 * MS, .busy_until_ns = -1};
    for_each_job(out, visit_phase, &p);
    EI_EQ(p.drifted, 0);
    EI_EQ(p.last_release_ns, 4000 * MS);
    EI_TRUEF(p.broken_skips == 0, "%lld jobs ran though the job before was still active", (long long)p.broken_skips);
    json_decref(summary);
}

/* A stop of 15000 releases: more than a record ring holds. */
EI_TEST(run_long_stop_loses_no_record)
{
    const char *out = in_tmpdir("out");
    const pid_t pid = einet_start((const char *[]){"run", WORKLOADS "stall.yaml", "--out", out, "--quiet", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    sleep_ms(700);
    EI_TRUE(stop_for(pid, 3000));
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "tick", "expected"), 30001);
    EI_TRUE(task_integer(summary, "tick", "skipped") >= 14000);
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
    struct phase p = {.period_ns = 20 * MS, .busy_until_ns = -1};
    for_each_job(out, visit_phase, &p);
    EI_EQ(p.drifted, 0);
    EI_EQ(p.last_release_ns, 1500 * MS);
    EI_EQ(p.broken_skips, 0);
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

struct cancelled {
    int64_t end_ns; /* of the run */
    int64_t lines, begun_after, stopped, dropped, completed;
};

static void visit_cancelled(const struct job_line *job, void *context)
{
    struct cancelled *c = context;
    const bool is_cancelled = strcmp(job->cause, "cancelled") == 0;
    const bool is_dropped = strcmp(job->outcome, "dropped") == 0;
    c->lines++;
    c->completed += strcmp(job->outcome, "completed") == 0;
    c->begun_after += !is_dropped && job->release_ns + job->awake_ns > c->end_ns;
    c->stopped += is_cancelled && !is_dropped && job->is_answered;
    c->dropped += is_cancelled && is_dropped;
}

/* Read what a run that a signal ended says of itself. */
static struct cancelled read_cancelled(const char *out, const struct finished *f)
{
    struct cancelled c = {0};
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    if (summary != NULL) {
        check_identity(summary);
        EI_TRUE(json_is_true(json_object_get(summary, "ended_early")));
        c.end_ns = json_integer_value(json_object_get(summary, "duration_ns"));
        for_each_job(out, visit_cancelled, &c);
        json_decref(summary);
    }
    return c;
}

EI_TEST(run_signal_stops_the_job_under_way_and_drops_the_rest)
{
    const char *out = in_tmpdir("out"), *begun = in_tmpdir("out/begun.log");
    const pid_t pid = einet_start((const char *[]){"run", WORKLOADS "cancel.yaml", "--out", out, "--quiet", NULL});
    EI_TRUE(
        wait_for_text(begun, "job=", 20000)); /* a second job logs the first one's answer: the queue is full by then */
    kill(pid, SIGTERM);
    const struct cancelled c = read_cancelled(out, einet_wait(pid));
    EI_EQ(c.stopped, 1); /* at its next boundary, with the answer it had */
    EI_TRUEF(c.dropped >= 2, "only %lld waiting jobs were dropped as cancelled", (long long)c.dropped);
    EI_TRUEF(c.begun_after <= 1, "%lld jobs began after the end", (long long)c.begun_after);
}

EI_TEST(run_signal_before_the_first_release)
{
    const char *file = write_file("early.yaml", "version: 1\n"
                                                "name: early\n"
                                                "run: { duration: 60s, warmup: 1s, start_delay: 20s }\n"
                                                "tasks:\n"
                                                "  - name: tick\n"
                                                "    arrival: { model: periodic, period: 20ms }\n"
                                                "    priority: 60\n"
                                                "    stages: [ { name: work, kind: cpu, work: { spin: 1ms } } ]\n"
                                                "outputs: { dir: out }\n");
    const char *out = in_tmpdir("out");
    const pid_t pid = einet_start((const char *[]){"run", file, "--out", out, "--quiet", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    kill(pid, SIGINT);
    const struct cancelled c = read_cancelled(out, einet_wait(pid));
    EI_EQ(c.end_ns, 0);
    EI_EQ(c.lines, 0);
}

EI_TEST(run_signal_ends_a_jittered_wait)
{
    const char *out = in_tmpdir("out");
    const pid_t pid = einet_start((const char *[]){"run", WORKLOADS "jitter.yaml", "--out", out, "--quiet", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    sleep_ms(1500);
    kill(pid, SIGINT);
    const struct cancelled c = read_cancelled(out, einet_wait(pid));
    EI_EQ(c.lines, 1);
    EI_EQ(c.dropped, 1);
    EI_EQ(c.completed, 0);
}

/* ---- answers as others read them ---- */

#define LOGGED_JOBS_MAX 4096

struct logged {
    int64_t exit_of[LOGGED_JOBS_MAX]; /* 1 + delivered exit of each camera job, 0 = no answer */
    int64_t mask_of[LOGGED_JOBS_MAX]; /* its exits that were published */
    int64_t answered, first_exits;
    int64_t obstacles;
};

static void visit_logged(const struct job_line *job, void *context)
{
    struct logged *l = context;
    l->obstacles += strcmp(job->task, "obstacle") == 0 && strcmp(job->outcome, "completed") == 0;
    if (strcmp(job->task, "camera") != 0 || job->job_idx >= LOGGED_JOBS_MAX) {
        return;
    }
    l->exit_of[job->job_idx] = job->is_answered ? job->exit_idx + 1 : 0;
    l->mask_of[job->job_idx] = job->exits_mask;
    l->answered += job->is_answered;
    l->first_exits += job->exit_idx == 0;
}

/* Lines of a log about the camera. Of its own log each names the job that wrote it and the exit it delivered; of
 * another's, an exit that this job published. Returns their number. */
static int64_t check_log(const char *path, const struct logged *l, bool is_own)
{
    char line[512];
    long long job, exit_number;
    int64_t lines = 0, wrong = 0, last_job = -1;
    FILE *file = fopen(path, "re");
    if (!EI_TRUEF(file != NULL, "cannot read %s", path)) {
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*f camera job=%lld exit=%lld/", &job, &exit_number) != 2) {
            continue;
        }
        lines++;
        const bool is_known = job >= last_job && job < LOGGED_JOBS_MAX && exit_number >= 1 && exit_number <= 3;
        const bool is_right = is_known && (is_own ? job > last_job && l->exit_of[job] == exit_number
                                                  : (l->mask_of[job] >> (exit_number - 1) & 1) != 0);
        wrong += !is_right;
        last_job = job;
    }
    fclose(file);
    EI_TRUEF(wrong == 0, "%lld of %lld lines of %s are no answer of that job", (long long)wrong, (long long)lines,
             path);
    return lines;
}

EI_TEST(run_log_holds_the_answers_that_jobs_gave)
{
    static struct logged l;
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", WORKLOADS "log.yaml", "--out", out, "--quiet", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    for_each_job(out, visit_logged, &l);
    EI_TRUEF(l.first_exits > 0, "no job delivered exit 0, of %lld", (long long)l.answered);
    EI_EQ(check_log(in_tmpdir("out/first.log"), &l, true), l.answered);
    EI_EQ(check_log(in_tmpdir("out/second.log"), &l, true), l.answered);
    EI_TRUE(check_log(in_tmpdir("out/obstacle.log"), &l, false) > 0);
}

/* ---- without privileges ---- */

static void visit_degraded(const struct job_line *job, void *context)
{
    int64_t *not_marked = context;
    *not_marked += strcmp(job->degraded, "1") != 0;
}

/* Whether a file of the folder holds the word, as text or among other bytes. */
static bool has_word(const char *folder, const char *name, const char *word)
{
    static char bytes[4 << 20];
    char path[1024];
    snprintf(path, sizeof path, "%.700s/%.100s", folder, name);
    FILE *file = fopen(path, "rbe");
    const size_t count = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    return memmem(bytes, count, word, strlen(word)) != NULL;
}

EI_TEST(run_without_privileges_says_degraded_everywhere)
{
    static const char *const files[] = {"jobs.csv", "stages.csv", "summary.txt", "latency.hlog", "trace.pftrace"};
    static const char *const with_noise[] = {"jobs.csv", "summary.txt", "latency.hlog"};
    char text[8192] = "", page[700], out[700];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    FILE *workload = fopen(WORKLOADS "preempt.yaml", "re");
    EI_REQUIRE(workload != NULL);
    text[fread(text, 1, sizeof text - 64, workload)] = '\0';
    fclose(workload);
    char *outputs = strstr(text, "\noutputs:");
    EI_REQUIRE(outputs != NULL);
    snprintf(outputs, 64, "\noutputs: { trace: perfetto }\n");
    const struct finished *f = einet_run_unprivileged(
        (const char *[]){"run", write_file("preempt.yaml", text), "--out", out, "--duration", "1s", NULL});
    if (f->status == 126 || f->status == 127) {
        ei_test_skip("user nobody cannot execute %s/einet", ei_test_build_dir());
    }
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "DEGRADED");
    EI_CONTAINS(f->output, "SCHED_FIFO");
    EI_TRUE(strstr(f->output, "NOT DEGRADED") == NULL);
    EI_CONTAINS(f->output, "the probe is no real-time thread");
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    EI_TRUE(json_array_size(json_object_get(summary, "degraded")) > 0);
    check_identity(summary);
    int64_t not_marked = 0;
    EI_TRUE(for_each_job(out, visit_degraded, &not_marked) > 0);
    EI_EQ(not_marked, 0);
    EI_EQ(json_array_size(json_object_get(summary, "rt_load")), 0); /* nothing is real-time, so nothing is capped */
    EI_TRUE(json_is_false(json_object_get(json_object_get(summary, "noise"), "is_probe_fifo")));
    json_decref(summary);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        EI_TRUEF(has_word(out, files[i], "DEGRADED"), "%s does not say so", files[i]);
    }
    for (size_t i = 0; i < sizeof with_noise / sizeof with_noise[0]; i++) {
        EI_TRUEF(has_word(out, with_noise[i], "the probe is no real-time thread"), "%s has no such remark",
                 with_noise[i]);
    }
    EI_TRUE(has_word(out, "run.json", "\"reason\": \""));
    snprintf(page, sizeof page, "%s", in_tmpdir("page.html"));
    EI_EQ(einet_run((const char *[]){"report", out, "--out", page, NULL})->status, 0);
    EI_TRUE(has_word(ei_test_tmpdir(), "page.html", "DEGRADED"));
    EI_TRUE(
        has_word(ei_test_tmpdir(), "page.html", "\"is_probe_fifo\":false")); /* tests/report looks at it in a browser */
    EI_CONTAINS(einet_run((const char *[]){"report", out, "--plot", NULL})->output, "DEGRADED");
    EI_CONTAINS(einet_run((const char *[]){"compare", out, out, NULL})->output, "DEGRADED");
}

/* Where no task is real-time there is no probe, and nothing to be said of it. */
EI_TEST(run_of_ordinary_tasks_says_nothing_of_a_probe)
{
    static const char workload[] = "version: 1\nname: ordinary\nrun: { duration: 300ms }\ntasks:\n"
                                   "  - name: tick\n    class: other\n    arrival: { model: periodic, period: 10ms }\n"
                                   "    stages: [ { name: work, kind: cpu, work: { spin: 1ms } } ]\n";
    char out[700];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const struct finished *f =
        einet_run((const char *[]){"run", write_file("ordinary.yaml", workload), "--out", out, "--quiet", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "machine noise not measured");
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    EI_TRUE(json_is_null(json_object_get(json_object_get(summary, "noise"), "is_probe_fifo")));
    EI_TRUE(!has_word(out, "jobs.csv", "real-time thread") && !has_word(out, "latency.hlog", "real-time thread"));
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
    if (json_array_size(json_object_get(summary, "rt_load")) == 0) {
        ei_test_skip("nothing is real-time here, so nothing is capped");
    }
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
    if (!has_plugin() || access("models/pretrained/msdnet-21-light-generated.safetensors", R_OK) != 0) {
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
    EI_TRUE(task_real(summary, "camera", "accuracy") > 0.8);
    /* Of 21 exits, jobs are answered at several: that is what the network is there for. */
    const json_t *exits = json_object_get(summary_task(summary, "camera"), "exits");
    EI_EQ(json_array_size(exits), 21);
    int used = 0;
    for (size_t i = 0; i < json_array_size(exits); i++) {
        used += json_integer_value(json_array_get(exits, i)) > 0;
    }
    EI_TRUEF(used >= 2, "only %d exit answered", used); /* how many more depends on the machine's speed */
    json_decref(summary);
}

/* Wherever this runs there is no such plug-in, so the GPU lane's tasks are on its fallback, and the run says so. */
EI_TEST(run_without_a_gpu_goes_to_the_fallback)
{
    const char *out = in_tmpdir("out");
    setenv("EINET_CUDA_PLUGIN", "/nonexistent/libeinet_cuda.so", 1);
    const struct finished *f =
        einet_run((const char *[]){"run", "configs/gpu.yaml", "--out", out, "--duration", "2s", NULL});
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "asked for lane 'gpu' for task 'camera', got its fallback 'cpu0'");
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_TRUE(json_array_size(json_object_get(summary, "degraded")) >= 2);
    EI_TRUE(task_real(summary, "camera", "coverage") >= 0.9);
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
    EI_TRUEF(ei_cs_profile_read("models/pretrained/msdnet-21-light-cifar10.cs", &cs, &err) == 0, "%s", err.text);
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
