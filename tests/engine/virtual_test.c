/* The virtual engine against schedules worked out by hand, against an independent simulator, and against itself. */
#include "engine/virtual.h"
#include "engine/virtual_cpus.h"
#include "rt/random.h"
#include "tests/engine/reference_schedule.h"
#include "tests/harness/harness.h"

#include <stdarg.h>
#include <stdlib.h>

#define TEXT_BYTES 16384
#define JOBS_MAX 8192
#define MS INT64_C(1000000)

/* ---- running a text ---- */

struct log {
    struct ei_job_record jobs[JOBS_MAX];
    int32_t count;
    struct ei_preemption_record preemptions[JOBS_MAX];
    int32_t preemption_count;
    volatile sig_atomic_t stop;
    int64_t stop_after; /* jobs; 0 = never */
};

static struct log seen;

static void on_record(void *context, const struct ei_record *record)
{
    struct log *log = context;
    if (record->kind == EI_RECORD_JOB && log->count < JOBS_MAX) {
        log->jobs[log->count++] = record->u.job;
        log->stop = log->stop_after > 0 && log->count >= log->stop_after;
    } else if (record->kind == EI_RECORD_PREEMPTION && log->preemption_count < JOBS_MAX) {
        log->preemptions[log->preemption_count++] = record->u.preemption;
    }
}

static struct ei_workload *parse(const char *text)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    if (rc != 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    EI_EQ(rc, 0);
    return wl;
}

/* Leaves the records in `seen`. Returns whether released + skipped + dropped = expected. */
static bool simulate(const char *text, int64_t stop_after)
{
    seen = (struct log){.stop_after = stop_after};
    struct ei_workload *wl = parse(text);
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_virtual_options options = {.on_record = on_record, .context = &seen, .stop = &seen.stop};
    const bool is_ok = wl != NULL && EI_TRUEF(ei_virtual_run(wl, &options, &result, &err) == 0, "%s", err.text);
    const bool is_identity_ok = is_ok && result.is_identity_ok;
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
    return is_identity_ok;
}

static const struct ei_job_record *job_of(int32_t task, int64_t job)
{
    for (int32_t i = 0; i < seen.count; i++) {
        if (seen.jobs[i].task_idx == task && seen.jobs[i].job_idx == job) {
            return &seen.jobs[i];
        }
    }
    EI_TRUEF(false, "no job %lld of task %d", (long long)job, (int)task);
    return &seen.jobs[0];
}

#define HEAD                                                                                                           \
    "version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                             \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"

/* ---- CPUs ---- */

EI_TEST(higher_priority_preempts_and_the_lower_goes_on)
{
    EI_TRUE(simulate(HEAD "tasks:\n"
                          "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, cpus: \"1\",\n"
                          "      stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n"
                          "  - { name: high, arrival: { model: periodic, period: 10ms, offset: 2ms }, priority: 20,\n"
                          "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n",
                     0));
    EI_EQ(job_of(0, 0)->start_ns, 0);
    EI_EQ(job_of(0, 0)->finish_ns, 6 * MS);
    EI_EQ(job_of(1, 0)->start_ns, 2 * MS);
    EI_EQ(job_of(1, 0)->finish_ns, 3 * MS);
    EI_EQ(job_of(1, 1)->finish_ns, 13 * MS);
}

EI_TEST(equals_run_in_order_of_arrival)
{
    EI_TRUE(simulate(HEAD "tasks:\n"
                          "  - { name: a, arrival: { model: periodic, period: 20ms, offset: 1ms }, priority: 10,\n"
                          "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n"
                          "  - { name: b, arrival: { model: periodic, period: 20ms }, priority: 10, cpus: \"1\",\n"
                          "      stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n",
                     0));
    EI_EQ(job_of(1, 0)->finish_ns, 3 * MS);
    EI_EQ(job_of(0, 0)->start_ns, 3 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
}

EI_TEST(a_preempted_thread_moves_to_a_free_cpu)
{
    struct ei_virtual_cpus v;
    int64_t at_ns;
    EI_REQUIRE(ei_virtual_cpus_init(&v, 2, 3) == 0);
    for (int i = 0; i < 3; i++) {
        v.threads[i].cpus = i == 2 ? 1 : 3; /* the third runs on CPU 0 only */
        v.threads[i].priority = 10 * (i + 1);
    }
    ei_virtual_wake(&v, 0, 100);
    EI_EQ(v.threads[0].cpu, 0);
    ei_virtual_wake(&v, 2, 50); /* pushes thread 0 to CPU 1 */
    EI_EQ(v.threads[2].cpu, 0);
    EI_EQ((int)v.threads[0].state, EI_VIRTUAL_RUNNING);
    EI_EQ(v.threads[0].cpu, 1);
    ei_virtual_wake(&v, 1, 70); /* takes CPU 1; thread 0 waits */
    EI_EQ(v.threads[1].cpu, 1);
    EI_EQ((int)v.threads[0].state, EI_VIRTUAL_READY);
    EI_EQ(ei_virtual_next_due(&v, &at_ns), 2);
    EI_EQ(at_ns, 50);
    v.now_ns = 50;
    ei_virtual_block(&v, 2); /* CPU 0 pulls thread 0 */
    EI_EQ((int)v.threads[0].state, EI_VIRTUAL_RUNNING);
    EI_EQ(v.threads[0].cpu, 0);
    EI_EQ(v.threads[0].rest_ns, 100);
    EI_EQ(ei_virtual_next_due(&v, &at_ns), 1);
    EI_EQ(at_ns, 70);
    v.now_ns = 60;
    ei_virtual_set_priority(&v, 1, 5); /* nobody waits: it goes on */
    EI_EQ((int)v.threads[1].state, EI_VIRTUAL_RUNNING);
    ei_virtual_cpus_fini(&v);
}

EI_TEST(raised_queues_last_lowered_first)
{
    struct ei_virtual_cpus v;
    EI_REQUIRE(ei_virtual_cpus_init(&v, 1, 4) == 0);
    for (int i = 0; i < 4; i++) {
        v.threads[i].cpus = 1;
        v.threads[i].priority = i == 0 ? 90 : 40 + i;
        ei_virtual_wake(&v, i, 10);
    }
    ei_virtual_set_priority(&v, 1, 43); /* behind thread 3, which waits at 43 */
    ei_virtual_block(&v, 0);
    EI_EQ(v.cpus[0].running, 3);
    ei_virtual_set_priority(&v, 3, 42); /* lowered: before thread 2 at 42, but 1 at 43 runs first */
    EI_EQ(v.cpus[0].running, 1);
    ei_virtual_block(&v, 1);
    EI_EQ(v.cpus[0].running, 3);
    ei_virtual_block(&v, 3);
    EI_EQ(v.cpus[0].running, 2);
    ei_virtual_cpus_fini(&v);
}

/* ---- lanes ---- */

#define NETWORKS                                                                                                       \
    "lanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"                                                     \
    "models:\n"                                                                                                        \
    "  slow: { emulate: { blocks: [ { conv: 2ms, branch: 1ms, score: 0.5 }, { conv: 2ms, branch: 1ms, score: 0.9 }"    \
    " ] } }\n"                                                                                                         \
    "  fast: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.9 } ] } }\n"                                    \
    "planner: { search: all }\n"

EI_TEST(the_lane_changes_hands_at_a_boundary_and_the_answer_stays)
{
    EI_TRUE(simulate(HEAD NETWORKS
                     "tasks:\n"
                     "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, on_preempt: exit,\n"
                     "      stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"
                     "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 3500us }, priority: 20,\n"
                     "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n",
                     0));
    /* Block 2's conv part runs from 3 to 5 ms; the request at 3.5 ms waits for its end. */
    const struct ei_job_record *low = job_of(0, 0), *high = job_of(1, 0);
    EI_EQ(low->preemptions, 1);
    EI_EQ(low->preempted_by, 1);
    EI_EQ(low->exit_idx, 0);
    EI_EQ(low->answer_ns, 3 * MS);
    EI_EQ((int)low->cause, EI_CAUSE_PREEMPTED);
    EI_EQ(high->lane_wait_ns, 5 * MS - 3500000);
    EI_EQ(high->finish_ns, 7 * MS);
    EI_REQUIRE(seen.preemption_count == 1);
    EI_EQ(seen.preemptions[0].request_ns, 3500000);
    EI_EQ(seen.preemptions[0].block_end_ns, 5 * MS);
    EI_EQ(seen.preemptions[0].first_block_ns, 5 * MS);
}

EI_TEST(a_waiting_higher_job_lends_its_priority)
{
    /* The middle task would delay the holder, and with it the high job, without inheritance. */
    EI_TRUE(simulate(HEAD NETWORKS
                     "tasks:\n"
                     "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, on_preempt: none,\n"
                     "      stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"
                     "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 500us }, priority: 30,\n"
                     "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"
                     "  - { name: middle, arrival: { model: periodic, period: 20ms, offset: 600us }, priority: 20,\n"
                     "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n",
                     0));
    EI_EQ(job_of(1, 0)->lane_wait_ns, 2 * MS - 500000);
    EI_EQ(job_of(1, 0)->finish_ns, 4 * MS);
    EI_EQ(job_of(2, 0)->finish_ns, 9 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 9 * MS); /* it gave the lane away at 2 ms and was the lowest from then on */
}

#define ELASTIC_LOW(deadline, policy)                                                                                  \
    "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, deadline: " deadline ",\n"             \
    "      on_preempt: " policy ", stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"                      \
    "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 3500us }, priority: 20,\n"                    \
    "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"

EI_TEST(elastic_comes_back_only_when_it_would_be_in_time)
{
    /* At 5 ms the low job has its first answer and needs 1 ms more, the high one 2 ms: it could be done at 8.02 ms,
     * with the allowance for what follows a network. */
    EI_TRUE(simulate(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("8020us", "elastic"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->exit_idx, 1);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_TRUE(simulate(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("8019us", "elastic"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_PREEMPTED);
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS); /* it waits for the CPU, not for the lane */
}

EI_TEST(restart_runs_the_conv_parts_again_but_keeps_its_answers)
{
    EI_TRUE(simulate(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("20ms", "restart"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->answer_ns, 12 * MS); /* back at 7 ms: two conv parts of 2 ms and the second branch */
    EI_EQ(job_of(0, 0)->exits_mask, 3);
    EI_EQ(job_of(0, 0)->lane_busy_ns, 5 * MS + 5 * MS);
}

EI_TEST(a_job_takes_the_first_free_lane_of_its_list)
{
    EI_TRUE(simulate(HEAD "lanes: { a: { kind: cpu, cpus: \"1-2\" }, b: { kind: cpu, cpus: \"1-2\" } }\n"
                          "models: { m: { emulate: { blocks: [ { conv: 4ms, branch: 1ms, score: 0.9 } ] } } }\n"
                          "tasks:\n"
                          "  - { name: one, arrival: { model: periodic, period: 20ms }, priority: 30, cpus: \"1\",\n"
                          "      stages: [ { name: n, kind: nn, model: m, lane: a } ] }\n"
                          "  - { name: two, arrival: { model: periodic, period: 20ms, offset: 1ms }, priority: 20,\n"
                          "      cpus: \"2\", stages: [ { name: n, kind: nn, model: m, lane: any } ] }\n"
                          "  - { name: three, arrival: { model: periodic, period: 20ms, offset: 2ms }, priority: 40,\n"
                          "      cpus: \"1\", stages: [ { name: n, kind: nn, model: m, lane: [b, a] } ] }\n",
                     0));
    EI_EQ(job_of(0, 0)->lane_wait_ns, 0);
    EI_EQ(job_of(2, 0)->lane_wait_ns, 3 * MS); /* it goes before both, so it queues for b, the first of its list */
    EI_EQ(job_of(1, 0)->lane_wait_ns, 5 * MS); /* it had b at once and gave it away from 5 to 10 ms */
    EI_EQ(job_of(1, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->preemptions, 0);
}

EI_TEST(short_blocks_run_together_up_to_max_blocking)
{
    /* Blocks of 2, 1, 2, 1 ms: with 3 ms the second boundary is a point, with 5 ms the third. */
    static const char *const limits[] = {"none", "3ms", "5ms"};
    static const int64_t granted_ns[] = {2 * MS, 3 * MS, 5 * MS};
    for (int i = 0; i < 3; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 HEAD NETWORKS
                 "tasks:\n"
                 "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, on_preempt: resume,\n"
                 "      max_blocking: %s, stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"
                 "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 1ms }, priority: 20,\n"
                 "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n",
                 limits[i]);
        EI_TRUE(simulate(text, 0));
        EI_EQ(job_of(1, 0)->lane_wait_ns, granted_ns[i] - 1 * MS);
        EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
        EI_EQ(job_of(0, 0)->preemptions, 1);
    }
}

EI_TEST(the_kernel_preempts_in_mid_block)
{
    EI_TRUE(simulate(HEAD
                     "lanes: { acc: { kind: cpu, cpus: \"1\", preempt: kernel } }\n"
                     "models:\n"
                     "  slow: { emulate: { blocks: [ { conv: 2ms, branch: 1ms, score: 0.5 }, { conv: 2ms, branch: 1ms, "
                     "score: 0.9 } ] } }\n"
                     "  fast: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.9 } ] } }\n"
                     "planner: { search: all }\n"
                     "tasks:\n"
                     "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10,\n"
                     "      stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"
                     "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 3500us }, priority: 20,\n"
                     "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n",
                     0));
    EI_EQ(job_of(1, 0)->lane_wait_ns, 0);
    EI_EQ(job_of(1, 0)->finish_ns, 5500000); /* no block of the low job delays it */
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_EQ(job_of(0, 0)->preemptions, 0);
    EI_EQ(job_of(0, 0)->exit_idx, 1);
}

/* ---- policies ---- */

EI_TEST(edf_gives_the_lane_to_the_earlier_deadline)
{
    /* The high task's job of 2 ms has its deadline at 18 ms, behind the one of 17 ms that holds the lane and keeps it.
     * Its job of 22 ms, due at 38 ms, goes before that of 38.5 ms at the boundary of 23.5 ms. */
    EI_TRUE(
        simulate("version: 1\nname: t\nrun: { duration: 40ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
                 "platform: { privileges: degrade, rt_load_cap: 1.0 }\nscheduler: { policy: edf }\n" NETWORKS "tasks:\n"
                 "  - { name: first, arrival: { model: periodic, period: 50ms }, deadline: 17ms,\n"
                 "      on_preempt: resume, stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n"
                 "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 2ms }, deadline: 16ms,\n"
                 "      stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"
                 "  - { name: second, arrival: { model: periodic, period: 50ms, offset: 21500us }, deadline: 17ms,\n"
                 "      on_preempt: resume, stages: [ { name: n, kind: nn, model: slow, lane: acc } ] }\n",
                 0));
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS); /* it gave the lane away at 6 ms, and the CPU with it */
    EI_EQ(job_of(0, 0)->preemptions, 0);
    EI_EQ(job_of(1, 0)->finish_ns, 8 * MS);
    EI_EQ(job_of(2, 0)->preemptions, 1);
    EI_EQ(job_of(1, 1)->finish_ns, 25500000);
    EI_EQ(job_of(2, 0)->finish_ns, 29500000);
}

/* ---- where the time of a job goes ---- */

static int64_t sum_of_parts(const struct ei_job_record *job)
{
    int64_t sum_ns = 0;
    for (int i = 0; i < EI_PARTS; i++) {
        sum_ns += job->part_ns[i];
    }
    return sum_ns;
}

static void expect_parts(const struct ei_job_record *job, int64_t delay_ns, int64_t blocking_ns,
                         int64_t interference_ns, int64_t execution_ns, int64_t queue_ns)
{
    const int64_t expected[EI_PARTS] = {delay_ns, blocking_ns, interference_ns, execution_ns, queue_ns, 0};
    for (int i = 0; i < EI_PARTS; i++) {
        EI_TRUEF(job->part_ns[i] == expected[i], "part %d of t%d.%lld is %lld, not %lld", i, (int)job->task_idx,
                 (long long)job->job_idx, (long long)job->part_ns[i], (long long)expected[i]);
    }
}

EI_TEST(a_response_splits_into_its_parts)
{
    /* low has the lane from 0; high asks at 0.5 ms and lends it 30, so middle (0.6 ms) is blocked until 2 ms. */
    EI_TRUE(simulate(HEAD NETWORKS
                     "tasks:\n"
                     "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, on_preempt: none,\n"
                     "      stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"
                     "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 500us }, priority: 30,\n"
                     "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n"
                     "  - { name: middle, arrival: { model: periodic, period: 20ms, offset: 600us }, priority: 20,\n"
                     "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n"
                     "  - { name: next, arrival: { model: periodic, period: 20ms, offset: 700us }, priority: 5,\n"
                     "      deadline: 15ms, stages: [ { name: n, kind: nn, model: fast, lane: acc } ] }\n",
                     0));
    expect_parts(job_of(0, 0), 0, 0, 7 * MS, 2 * MS, 0);
    expect_parts(job_of(1, 0), 0, 1500000, 0, 2 * MS, 0);
    expect_parts(job_of(2, 0), 0, 1400000, 2 * MS, 5 * MS, 0);
    expect_parts(job_of(3, 0), 0, 0, 9 * MS - 700000, 2 * MS, 0);
}

EI_TEST(a_queued_job_was_delayed_by_its_predecessor)
{
    EI_TRUE(simulate(HEAD "tasks:\n"
                          "  - { name: t, arrival: { model: periodic, period: 10ms, jitter: 1ms }, deadline: 30ms,\n"
                          "      priority: 10, cpus: \"1\", late_release: { queue: 4, drop: oldest },\n"
                          "      stages: [ { name: w, kind: cpu, work: { spin: 12ms } } ] }\n",
                     0));
    const int64_t first_ns = job_of(0, 0)->start_ns; /* the jitter */
    EI_TRUE(first_ns > 0);
    expect_parts(job_of(0, 0), first_ns, 0, 0, 12 * MS, 0);
    expect_parts(job_of(0, 1), first_ns + 2 * MS, 0, 0, 12 * MS, 0);
    EI_EQ(sum_of_parts(job_of(0, 2)), job_of(0, 2)->finish_ns - 20 * MS);
}

/* ---- against the reference ---- */

static void say(char *text, size_t *used, const char *format, ...) EINET_PRINTF(3, 4);

static void say(char *text, size_t *used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *used += (size_t)vsnprintf(text + *used, TEXT_BYTES - *used, format, arguments);
    va_end(arguments);
}

static const char *const preempt_words[] = {"exit", "resume", "none", "elastic", "restart"};
static const char *const deadline_words[] = {"exit", "finish", "abort"};

static void write_task(char *text, size_t *used, const struct ref_system *system, int32_t idx)
{
    const struct ref_task *const t = &system->tasks[idx];
    say(text, used,
        "  - name: t%d\n    arrival: { model: periodic, period: %lldns, offset: %lldns }\n    deadline: %lldns\n"
        "    cpus: \"%d\"\n    on_preempt: %s\n    max_preemptions: %d\n    on_deadline: %s\n"
        "    planner: { search: all, first_exit: %s }\n",
        (int)idx, (long long)t->period_ns, (long long)t->offset_ns, (long long)t->deadline_ns, (int)t->cpu,
        preempt_words[t->on_preempt], (int)t->max_preemptions, deadline_words[t->on_deadline],
        t->is_first_exit_mandatory ? "mandatory" : "optional");
    if (t->max_blocking_ns > 0) {
        say(text, used, "    max_blocking: %lldns\n", (long long)t->max_blocking_ns);
    }
    if (system->policy == REF_FIXED) {
        say(text, used, "    priority: %d\n", (int)t->priority);
    }
    if (t->late == REF_SKIP) {
        say(text, used, "    late_release: skip\n");
    } else {
        say(text, used, "    late_release: { queue: %d, drop: %s }\n", (int)t->queue,
            t->late == REF_OLDEST ? "oldest" : "newest");
    }
    say(text, used, "    stages:\n");
    if (t->pre_ns > 0 || t->blocks == 0) {
        say(text, used, "      - { name: pre, kind: cpu, work: { spin: %lldns } }\n", (long long)t->pre_ns);
    }
    if (t->blocks > 0) {
        say(text, used, "      - { name: net, kind: nn, model: m%d, lane: [", (int)idx);
        for (int32_t k = 0; k < t->lane_count; k++) {
            say(text, used, "%sacc%d", k > 0 ? ", " : "", t->is_kernel_lane ? REF_LANES_MAX : (int)t->lanes[k]);
        }
        say(text, used, "] }\n");
        if (t->post_ns > 0) {
            say(text, used, "      - { name: post, kind: cpu, work: { spin: %lldns } }\n", (long long)t->post_ns);
        }
    }
}

static const char *const policy_words[] = {"fixed_priority", "rate_monotonic", "deadline_monotonic", "edf"};

static void write_workload(char *text, const struct ref_system *system)
{
    const struct ref_task *const tasks = system->tasks;
    const int32_t count = system->task_count;
    size_t used = 0;
    say(text, &used,
        "version: 1\nname: random\nrun: { duration: 600ms, warmup: 0s, start_delay: 0s }\n"
        "platform: { privileges: degrade, rt_load_cap: 1.0 }\nscheduler: { policy: %s }\n"
        "lanes:\n  acc0: { kind: cpu, cpus: \"0-1\" }\n  acc1: { kind: cpu, cpus: \"0-1\" }\n"
        "  acc2: { kind: cpu, cpus: \"0-1\" }\n  acc3: { kind: cpu, cpus: \"0-1\", preempt: kernel }\nmodels:\n"
        "  unused: { emulate: { blocks: [ { conv: 1ms, score: 0.5 } ] } }\n",
        policy_words[system->policy]);
    for (int32_t i = 0; i < count; i++) {
        if (tasks[i].blocks == 0) {
            continue;
        }
        say(text, &used, "  m%d: { emulate: { blocks: [", (int)i);
        for (int32_t k = 0; k < tasks[i].blocks; k++) {
            say(text, &used, "%s { conv: %lldns, branch: %lldns, score: 0.5 }", k > 0 ? "," : "",
                (long long)tasks[i].conv_ns[k], (long long)tasks[i].branch_ns[k]);
        }
        say(text, &used, " ] } }\n");
    }
    say(text, &used, "tasks:\n");
    for (int32_t i = 0; i < count; i++) {
        write_task(text, &used, system, i);
    }
}

/* Times on a coarse grid, so that events often fall together. */
static int64_t draw_ns(struct ei_random *rng, int64_t low_steps, int64_t high_steps)
{
    return (low_steps + (int64_t)ei_random_below(rng, (uint64_t)(high_steps - low_steps + 1))) * 100000;
}

/* Mostly the first lane, so that there is a crowd; else some lanes in some order. */
static void draw_lanes(struct ei_random *rng, struct ref_task *t)
{
    const int32_t first = (int32_t)ei_random_below(rng, REF_LANES_MAX);
    const bool is_downward = ei_random_below(rng, 2) == 0;
    t->lane_count = ei_random_below(rng, 2) == 0 ? 1 : 1 + (int32_t)ei_random_below(rng, REF_LANES_MAX);
    for (int32_t k = 0; k < t->lane_count; k++) {
        const int32_t step = is_downward ? REF_LANES_MAX - k : k;
        t->lanes[k] = t->lane_count == 1 ? 0 : (first + step) % REF_LANES_MAX;
    }
    t->is_kernel_lane = t->lane_count == 1 && ei_random_below(rng, 4) == 0;
}

static void draw_system(struct ei_random *rng, struct ref_system *system)
{
    *system = (struct ref_system){.policy = (enum ref_policy)ei_random_below(rng, 4), .end_ns = 600 * MS};
    system->task_count = 2 + (int32_t)ei_random_below(rng, REF_TASKS_MAX - 1);
    for (int32_t i = 0; i < system->task_count; i++) {
        struct ref_task *t = &system->tasks[i];
        *t = (struct ref_task){
            .period_ns = draw_ns(rng, 20, 300),
            .offset_ns = draw_ns(rng, 0, 50),
            .priority = 1 + (int32_t)ei_random_below(rng, 12),
            .cpu = (int32_t)ei_random_below(rng, 2),
            .pre_ns = draw_ns(rng, 0, 30),
            .post_ns = draw_ns(rng, 0, 5),
            .blocks = (int32_t)ei_random_below(rng, REF_BLOCKS_MAX + 1),
            .on_preempt = (enum ref_preempt)ei_random_below(rng, 5),
            .on_deadline = (enum ref_deadline)ei_random_below(rng, 3),
            .is_first_exit_mandatory = ei_random_below(rng, 2) == 0,
            .late = (enum ref_late)ei_random_below(rng, 3),
        };
        draw_lanes(rng, t);
        t->max_preemptions = ei_random_below(rng, 2) == 0 ? 0 : 1 + (int32_t)ei_random_below(rng, 3);
        t->deadline_ns = 100000 * (1 + (int64_t)ei_random_below(rng, (uint64_t)(t->period_ns / 100000)));
        t->queue = t->late == REF_SKIP ? 0 : 1 + (int32_t)ei_random_below(rng, 3);
        t->pre_ns += t->blocks == 0 && t->pre_ns == 0 ? 100000 : 0;
        t->post_ns = t->blocks > 0 ? t->post_ns : 0;
        int64_t longest_ns = 0;
        for (int32_t k = 0; k < t->blocks; k++) {
            t->conv_ns[k] = draw_ns(rng, 0, 20);
            t->branch_ns[k] = draw_ns(rng, 0, 10);
            longest_ns = t->conv_ns[k] > longest_ns ? t->conv_ns[k] : longest_ns;
            longest_ns = t->branch_ns[k] > longest_ns ? t->branch_ns[k] : longest_ns;
        }
        t->max_blocking_ns = ei_random_below(rng, 2) == 0 ? 0 : longest_ns + draw_ns(rng, 0, 30);
    }
    ref_assign_priorities(system);
}

static enum ref_outcome outcome_of(const struct ei_job_record *job)
{
    static const enum ref_outcome outcomes[] = {[EI_JOB_COMPLETED] = REF_COMPLETED,
                                                [EI_JOB_ABORTED] = REF_ABORTED,
                                                [EI_JOB_SKIPPED] = REF_SKIPPED,
                                                [EI_JOB_DROPPED] = REF_DROPPED};
    return outcomes[job->outcome];
}

static bool is_same_job(const struct ei_job_record *a, const struct ref_job *b)
{
    if (a->task_idx != b->task_idx || a->job_idx != b->job_idx || outcome_of(a) != b->outcome) {
        return false;
    }
    if (b->outcome == REF_SKIPPED || b->outcome == REF_DROPPED) {
        return true;
    }
    static const enum ei_part parts[REF_PARTS] = {[REF_DELAYED] = EI_PART_RELEASE_DELAY,
                                                  [REF_BLOCKED] = EI_PART_BLOCKING,
                                                  [REF_INTERFERED] = EI_PART_INTERFERENCE,
                                                  [REF_RAN] = EI_PART_EXECUTION,
                                                  [REF_QUEUED] = EI_PART_LANE_QUEUE};
    bool is_same = a->part_ns[EI_PART_UNEXPLAINED] == 0;
    for (int i = 0; i < REF_PARTS; i++) {
        is_same = is_same && a->part_ns[parts[i]] == b->part_ns[i];
    }
    return is_same && a->start_ns == b->start_ns && a->finish_ns == b->finish_ns &&
           a->lane_wait_ns == b->lane_wait_ns && a->exits_mask == b->exits_mask && a->preemptions == b->preemptions;
}

static const char *parts_text(const int64_t *part_ns, int count)
{
    static char texts[2][160];
    static int next;
    char *text = texts[next++ % 2];
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, sizeof texts[0] - length, " %lld", (long long)part_ns[i]);
    }
    return text;
}

EI_TEST(random_task_sets_agree_with_the_reference_job_for_job)
{
    static struct ref_job expected[JOBS_MAX];
    static char text[TEXT_BYTES];
    const char *const asked = getenv("EINET_TEST_SETS");
    const int64_t sets = asked != NULL ? strtoll(asked, NULL, 10) : 600;
    int64_t jobs = 0, preemptions = 0, unrun = 0, blocked_ns = 0, queued_ns = 0;
    for (int64_t set = 0; set < sets; set++) {
        struct ref_system system;
        struct ei_random rng;
        ei_random_init(&rng, 77, (uint64_t)set);
        draw_system(&rng, &system);
        write_workload(text, &system);
        const int32_t wanted = ref_simulate(&system, expected, JOBS_MAX);
        EI_TRUEF(simulate(text, 0), "set %lld loses releases", (long long)set);
        bool is_same = wanted == seen.count;
        for (int32_t i = 0; i < wanted && i < seen.count; i++) {
            if (!is_same_job(&seen.jobs[i], &expected[i])) {
                const struct ei_job_record *a = &seen.jobs[i];
                const struct ref_job *b = &expected[i];
                EI_TRUEF(false,
                         "set %lld: record %d is t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d "
                         "parts%s, the "
                         "reference has t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d parts%s\n%s",
                         (long long)set, (int)i, (int)a->task_idx, (long long)a->job_idx, (int)outcome_of(a),
                         (long long)a->start_ns, (long long)a->finish_ns, (long long)a->lane_wait_ns,
                         (unsigned long long)a->exits_mask, (int)a->preemptions, parts_text(a->part_ns, EI_PARTS),
                         (int)b->task_idx, (long long)b->job_idx, (int)b->outcome, (long long)b->start_ns,
                         (long long)b->finish_ns, (long long)b->lane_wait_ns, (unsigned long long)b->exits_mask,
                         (int)b->preemptions, parts_text(b->part_ns, REF_PARTS), text);
                return;
            }
            preemptions += expected[i].preemptions;
            blocked_ns += expected[i].part_ns[REF_BLOCKED];
            queued_ns += expected[i].part_ns[REF_QUEUED];
            unrun += expected[i].outcome == REF_SKIPPED || expected[i].outcome == REF_DROPPED;
        }
        EI_TRUEF(is_same, "set %lld: %d records, the reference has %d", (long long)set, (int)seen.count, (int)wanted);
        jobs += wanted;
    }
    /* The sets do exercise what they are there for. */
    EI_TRUE(jobs > sets * 50 && preemptions > sets && unrun > sets && blocked_ns > sets * MS && queued_ns > sets * MS);
}

/* ---- against itself ---- */

EI_TEST(an_ended_run_keeps_the_identity)
{
    static char text[TEXT_BYTES];
    for (int64_t set = 0; set < 40; set++) {
        struct ref_system system;
        struct ei_random rng;
        ei_random_init(&rng, 78, (uint64_t)set);
        draw_system(&rng, &system);
        write_workload(text, &system);
        EI_TRUEF(simulate(text, 5 + set), "set %lld", (long long)set);
        EI_TRUE(seen.count >= 5 + set);
    }
}

EI_MAIN()
