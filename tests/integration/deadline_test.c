/* Class deadline in live runs, where the kernel has SCHED_DEADLINE, and what a run says where it has not. */
#include "tests/integration/command.h"

#include "rt/deadline.h"
#include "rt/thread.h"
#include "tests/harness/harness.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#define BODY                                                                                                           \
    "tasks:\n"                                                                                                         \
    "  - { name: law, arrival: { model: periodic, period: 10ms }, class: deadline, deadline: 5ms,\n"                   \
    "      stages: [ { name: w, kind: cpu, work: { spin: 300us }, budget: 1ms } ] }\n"                                 \
    "  - { name: wild, arrival: { model: periodic, period: 20ms }, class: deadline, late_release: skip,\n"             \
    "      stages: [ { name: w, kind: cpu, work: { spin: 3ms }, budget: 2ms } ] }\n"                                   \
    "  - { name: tick, arrival: { model: periodic, period: 20ms },\n"                                                  \
    "      stages: [ { name: w, kind: cpu, work: { spin: 200us } } ] }\n"

static void become(void *arg)
{
    const struct ei_deadline_bandwidth bandwidth = {1000000, 5000000, 10000000};
    struct ei_deadline_refusal refusal;
    *(int *)arg = ei_thread_become_deadline(&bandwidth, &refusal);
}

static void deadline_or_skip(void)
{
    const struct ei_thread_attr attr = {.name = "deadline"};
    struct ei_thread thread;
    int rc = 1;
    EI_REQUIRE(ei_thread_create(&thread, &attr, become, &rc, NULL) == 0);
    (void)ei_thread_join(&thread);
    if (rc != 0) {
        ei_test_skip("SCHED_DEADLINE is refused here");
    }
}

static const char *class_of(json_t *summary, const char *task)
{
    return json_string_value(json_object_get(summary_task(summary, task), "class"));
}

static int64_t part_ns(json_t *summary, const char *task, const char *part)
{
    return json_integer_value(json_object_get(json_object_get(summary_task(summary, task), "response_parts_ns"), part));
}

EI_TEST(deadline_class_runs_and_throttles_a_runaway)
{
    deadline_or_skip();
    const char *file = write_file("deadline.yaml", "version: 1\nname: d\nrun: { duration: 1s, seed: 1 }\n"
                                                   "platform: { privileges: require, lock_memory: none, "
                                                   "cpu_dma_latency: none }\n" BODY);
    const char *out = in_tmpdir("out");
    const struct finished *f = einet_run((const char *[]){"run", file, "--out", out, "--quiet", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_STREQ(class_of(summary, "law"), "deadline");
    EI_STREQ(class_of(summary, "tick"), "fifo");
    EI_EQ(task_integer(summary, "law", "expected"), 101);
    /* 3 ms of work at 2 ms in 20: a period passes in between, whatever the machine does */
    EI_TRUE(task_integer(summary, "wild", "overruns") > 0);
    EI_TRUE(part_ns(summary, "wild", "throttled") > task_integer(summary, "wild", "completed") * 5000000);
    EI_EQ(part_ns(summary, "tick", "throttled"), 0);
    EI_TRUE(json_is_null(json_object_get(summary_task(summary, "wild"), "demoted")));
    json_decref(summary);
}

/* On one CPU of several the kernel refuses, and the run says what it did instead, or refuses itself. */
EI_TEST(deadline_class_that_is_refused_degrades_or_refuses)
{
    deadline_or_skip();
    cpu_set_t all, one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    EI_REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    if (CPU_COUNT(&all) < 2 || !CPU_ISSET(0, &all)) {
        ei_test_skip("one CPU only: the kernel refuses nothing");
    }
    static char degrade[256], require[256], out[256];
    snprintf(degrade, sizeof degrade, "%s",
             write_file("degrade.yaml", "version: 1\nname: d\nrun: { duration: 300ms, seed: 1 }\n"
                                        "platform: { lock_memory: none, cpu_dma_latency: none }\n" BODY));
    snprintf(require, sizeof require, "%s",
             write_file("require.yaml", "version: 1\nname: d\nrun: { duration: 300ms, seed: 1 }\n"
                                        "platform: { privileges: require, lock_memory: none, "
                                        "cpu_dma_latency: none }\n" BODY));
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    EI_REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    const struct finished *f = einet_run((const char *[]){"run", require, "--out", out, "--quiet", NULL});
    EI_EQ(f->status, 3);
    EI_CONTAINS(f->output, "privileges are required: asked SCHED_DEADLINE for 2 threads, got SCHED_FIFO");
    EI_CONTAINS(f->output, "it may use 1 of ");
    EI_TRUE(access(out, F_OK) != 0);
    f = einet_run((const char *[]){"run", degrade, "--out", out, "--quiet", NULL});
    EI_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "DEGRADED: asked for SCHED_DEADLINE for 2 threads, got SCHED_FIFO 79: task 'wild'");
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_STREQ(class_of(summary, "law"), "fifo");
    EI_EQ(task_integer(summary, "law", "priority"), 80); /* the shortest deadline of the three */
    EI_TRUE(json_array_size(json_object_get(summary, "degraded")) >= 1);
    json_decref(summary);
}

EI_MAIN()
