/* Jobs of one task in flight together (`overlap`), in live runs with real threads. */
#include "rt/clock.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include "tests/engine/live_play.h"
#include "tests/harness/harness.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define TEXT_BYTES 4096
#define RUNS_MAX 4 /* others on this machine may take the time that is left; not each time */

struct outcome {
    int rc;
    struct ei_live_result result; /* without its collector */
    int64_t released[4], skipped[4], dropped[4];
};

static void run_text(const char *text, void (*on_ready)(void *context), void *context, struct outcome *out)
{
    struct ei_workload *wl;
    struct einet_error err = {0};
    const struct ei_live_options options = {.on_ready = on_ready, .context = context};
    *out = (struct outcome){0};
    out->rc = live_play(text, options, &wl, &out->result, &err);
    EI_TRUEF(out->rc == 0, "%s", err.text);
    for (int32_t i = 0; out->rc == 0 && i < wl->task_count && i < 4; i++) {
        const struct ei_metrics_progress p = ei_collector_progress(out->result.collector, i);
        out->released[i] = p.released;
        out->skipped[i] = p.skipped;
        out->dropped[i] = p.dropped;
    }
    ei_collector_destroy(out->result.collector);
    out->result.collector = NULL;
    ei_workload_destroy(wl);
}

/* "0,1": two CPUs of this process, or the case is skipped. */
static void two_cpus(char *out, size_t size)
{
    struct ei_cpuset allowed;
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    const int first = ei_cpuset_next(&allowed, 0), second = ei_cpuset_next(&allowed, first + 1);
    if (second < 0) {
        ei_test_skip("this process has one CPU only");
    }
    snprintf(out, size, "%d,%d", first, second);
}

static void need_fifo(void)
{
    const struct sched_param ordinary = {.sched_priority = 0};
    if (ei_thread_become_fifo(1, NULL) != 0) {
        ei_test_skip("SCHED_FIFO is refused here: other programs would decide which job is skipped");
    }
    EI_EQ(sched_setscheduler(0, SCHED_OTHER, &ordinary), 0);
}

struct line {
    char task[64], outcome[32];
    long long job, release_ns, start_ns, finish_ns; /* the last two from the release; -1 = did not run */
};

/* Calls `look` with every line of jobs.csv. */
static void read_jobs(void (*look)(void *context, const struct line *line), void *context)
{
    char path[512], text[4096], cause[32];
    struct line line;
    long long awake;
    int warmup, missed, overrun;
    snprintf(path, sizeof path, "%s/jobs.csv", ei_test_tmpdir());
    FILE *file = fopen(path, "r");
    EI_REQUIRE(file != NULL);
    while (fgets(text, sizeof text, file) != NULL) {
        const int fields = sscanf(text, "%63[^,],%lld,%lld,%31[^,],%31[^,],%d,%d,%d,%lld,%lld,%lld", line.task,
                                  &line.job, &line.release_ns, line.outcome, cause, &warmup, &missed, &overrun, &awake,
                                  &line.start_ns, &line.finish_ns);
        if (fields >= 5) {
            line.finish_ns = fields == 11 ? line.finish_ns : -1;
            look(context, &line);
        }
    }
    fclose(file);
}

struct order {
    const char *task;
    long long last_job, last_ns, count;
};

static void look_at_order(void *context, const struct line *line)
{
    struct order *order = context;
    if (strcmp(line->task, order->task) == 0 && line->finish_ns >= 0) {
        EI_TRUEF(line->job > order->last_job && line->release_ns + line->finish_ns >= order->last_ns,
                 "%s.%lld ends before job %lld", line->task, line->job, order->last_job);
        order->last_job = line->job;
        order->last_ns = line->release_ns + line->finish_ns;
        order->count++;
    }
}

/* The jobs of a task that ran are in order of their numbers, and of their ends. */
static void expect_order(const char *task)
{
    struct order order = {.task = task, .last_job = -1, .last_ns = -1};
    read_jobs(look_at_order, &order);
    EI_TRUEF(order.count > 5, "only %lld jobs of %s", order.count, task);
}

/* 13 ms of work every 8 ms, on two CPUs; what comes after it takes 2 ms. */
static void write_pipe(char *text, int overlap, const char *more)
{
    char cpus[32];
    two_cpus(cpus, sizeof cpus);
    snprintf(
        text, TEXT_BYTES,
        "version: 1\nname: pipe\nrun: { duration: 1200ms, seed: 1 }\nplatform: { rt_load_cap: 1.0 }\n"
        "lanes: { acc: { kind: cpu, cpus: \"%s\", preempt: block } }\n"
        "models: { m: { emulate: { blocks: [ { conv: 2ms, branch: 1ms, score: 0.5 },\n"
        "    { conv: 2ms, branch: 1ms, score: 0.9 } ] } } }\n"
        "planner: { search: all, replan: inline }\n"
        "tasks:\n"
        "  - { name: camera, arrival: { model: periodic, period: 8ms }, deadline: none, priority: 50, overlap: %d,\n"
        "      input: { kind: generated, seed: 1, count: 50, split: test },\n"
        "      stages: [ { name: pre, kind: cpu, work: { spin: 6ms } },\n"
        "        { name: net, kind: nn, model: m, lane: acc },\n"
        "        { name: post, kind: cpu, op: softmax },\n"
        "        { name: rest, kind: cpu, work: { spin: 1ms } } ] }\n%s"
        "outputs: { dir: out }\n",
        cpus, overlap, more);
}

EI_TEST(overlap_live_keeps_up_where_one_job_at_a_time_cannot)
{
    static char text[TEXT_BYTES];
    struct outcome one, three;
    need_fifo();
    write_pipe(text, 1, "");
    run_text(text, NULL, NULL, &one);
    EI_TRUE(one.result.is_identity_ok);
    EI_TRUEF(one.skipped[0] * 100 > one.released[0] * 60, "%d skipped, %d ran", (int)one.skipped[0],
             (int)one.released[0]);
    write_pipe(text, 3, "");
    bool keeps_up = false;
    for (int i = 0; i < RUNS_MAX && !keeps_up; i++) {
        run_text(text, NULL, NULL, &three);
        EI_TRUE(three.result.is_identity_ok);
        EI_EQ(three.result.faulty_jobs, 0);
        expect_order("camera");
        keeps_up = three.skipped[0] * 100 < three.released[0] * 20;
    }
    EI_TRUEF(keeps_up, "%d skipped, %d ran", (int)three.skipped[0], (int)three.released[0]);
}

static void look_for_late(void *context, const struct line *line)
{
    if (line->job % 6 == 2 || line->job % 6 == 3) {
        EI_TRUEF(strcmp(line->outcome, "skipped") == 0, "job %lld is %s", line->job, line->outcome);
        ++*(int *)context;
    }
}

/* On one CPU the slot that leads gets no processor while a job of the same priority runs. Of six releases the second
 * one starts while the first job runs all the same, so the next two find both in flight. */
EI_TEST(overlap_live_late_releases_are_late_on_one_cpu)
{
    static char text[TEXT_BYTES];
    struct ei_cpuset allowed;
    struct outcome run;
    need_fifo();
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    snprintf(text, sizeof text,
             "version: 1\nname: lone\nrun: { duration: 400ms, seed: 1 }\n"
             "tasks:\n"
             "  - { name: burst, arrival: { model: burst, count: 6, spacing: 1ms, period: 50ms }, priority: 50,\n"
             "      overlap: 2, cpus: \"%d\", stages: [ { name: a, kind: cpu, work: { spin: 3ms } },\n"
             "        { name: b, kind: cpu, work: { spin: 1ms } } ] }\n"
             "outputs: { dir: out }\n",
             ei_cpuset_next(&allowed, 0));
    run_text(text, NULL, NULL, &run);
    EI_TRUE(run.result.is_identity_ok);
    int late = 0;
    read_jobs(look_for_late, &late);
    EI_EQ(late, 8 * 2);
    expect_order("burst");
}

EI_TEST(overlap_live_chain_takes_the_jobs_in_order)
{
    static char text[TEXT_BYTES];
    struct outcome run;
    write_pipe(text, 3,
               "  - { name: sink, arrival: { model: after, task: camera }, deadline: none, priority: 40, overlap: 2,\n"
               "      late_release: { queue: 8, drop: newest },\n"
               "      stages: [ { name: a, kind: cpu, work: { spin: 300us } },\n"
               "        { name: b, kind: cpu, work: { spin: 300us } } ] }\n"
               "  - { name: other, arrival: { model: periodic, period: 5ms }, class: other, overlap: 2,\n"
               "      stages: [ { name: a, kind: cpu, work: { spin: 300us } },\n"
               "        { name: b, kind: cpu, op: append_file } ] }\n");
    run_text(text, NULL, NULL, &run);
    EI_TRUE(run.result.is_identity_ok);
    EI_EQ(run.result.faulty_jobs, 0);
    EI_EQ(run.released[1] + run.dropped[1], run.released[0]);
    EI_EQ(run.skipped[1], run.skipped[0] + run.dropped[0]);
    EI_TRUE(run.released[2] > 0);
    expect_order("camera");
    expect_order("sink");
    expect_order("other");
}

static void interrupt_later(void *context)
{
    const struct itimerspec when = {.it_value = {.tv_nsec = 300 * EI_NS_PER_MS}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGINT};
    EI_EQ(timer_create(CLOCK_MONOTONIC, &event, context), 0);
    EI_EQ(timer_settime(*(timer_t *)context, 0, &when, NULL), 0);
}

EI_TEST(overlap_live_signal_ends_the_jobs_in_flight)
{
    static char text[TEXT_BYTES];
    struct outcome run;
    timer_t timer;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    EI_EQ(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
    write_pipe(text, 4,
               "  - { name: sink, arrival: { model: after, task: camera }, deadline: none, priority: 40, overlap: 2,\n"
               "      stages: [ { name: a, kind: cpu, work: { spin: 300us } },\n"
               "        { name: b, kind: cpu, work: { spin: 300us } } ] }\n"
               "  - { name: crowd, arrival: { model: burst, count: 200, spacing: 0s }, deadline: none, priority: 30,\n"
               "      overlap: 8, late_release: { queue: 64, drop: oldest },\n"
               "      stages: [ { name: a, kind: cpu, work: { spin: 3ms } },\n"
               "        { name: b, kind: cpu, work: { spin: 5ms } } ] }\n");
    run_text(text, interrupt_later, &timer, &run);
    EI_TRUE(run.result.is_ended_early);
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUE(run.released[0] > 0);
    EI_EQ(run.released[2] + run.skipped[2] + run.dropped[2], 200);
}

EI_MAIN()
