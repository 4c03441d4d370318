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
    int32_t demoted;    /* tasks */
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
    seen.demoted = result.demoted_tasks;
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

/* ---- chains ---- */

#define CHAIN(more)                                                                                                    \
    "tasks:\n"                                                                                                         \
    "  - { name: last, arrival: { model: after, task: mid }, deadline: 9ms, priority: 30, cpus: \"0\",\n"              \
    "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"                                                \
    "  - { name: mid, arrival: { model: after, task: first }, priority: 10, cpus: \"1\"," more "\n"                    \
    "      stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n"                                                \
    "  - { name: first, arrival: { model: periodic, period: 10ms, offset: 1ms }, priority: 20, cpus: \"1\",\n"         \
    "      stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n"

EI_TEST(a_chain_is_measured_from_its_first_release)
{
    EI_TRUE(simulate(HEAD CHAIN(""), 0));
    EI_EQ(seen.count, 6); /* releases at 1 and 11 ms, each once in each task */
    EI_EQ(job_of(2, 1)->finish_ns, 13 * MS);
    EI_EQ(job_of(1, 1)->release_ns, 11 * MS);
    EI_EQ(job_of(1, 1)->awake_ns, 13 * MS);
    EI_EQ(job_of(1, 1)->finish_ns, 16 * MS);
    EI_EQ(job_of(1, 1)->deadline_ns, 21 * MS); /* the period of the chain's head */
    EI_EQ(job_of(0, 1)->release_ns, 11 * MS);
    EI_EQ(job_of(0, 1)->start_ns, 16 * MS);
    EI_EQ(job_of(0, 1)->finish_ns, 17 * MS);
    EI_EQ(job_of(0, 1)->deadline_ns, 20 * MS);
}

EI_TEST(a_job_that_brings_nothing_ends_its_chain)
{
    /* The blocker lets job 0 of `mid` miss its deadline: it is aborted, so `last` has nothing to begin with. */
    EI_TRUE(
        simulate("version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
                 "platform: { rt_load_cap: 1.0 }\nlanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"
                 "models: { net: { emulate: { blocks: [ { conv: 2ms, score: 0.5 }, { conv: 2ms, score: 0.5 } ] } } }\n"
                 "planner: { search: all }\n"
                 "tasks:\n"
                 "  - { name: first, arrival: { model: periodic, period: 10ms }, priority: 20, cpus: \"1\",\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"
                 "  - { name: mid, arrival: { model: after, task: first }, deadline: 6ms, priority: 30,\n"
                 "      on_deadline: abort, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
                 "  - { name: last, arrival: { model: after, task: mid }, priority: 30, cpus: \"0\",\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"
                 "  - { name: blocker, arrival: { model: burst, count: 1, spacing: 0s }, priority: 40, cpus: \"1\",\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n",
                 0));
    EI_EQ((int)job_of(1, 0)->outcome, EI_JOB_ABORTED);
    EI_EQ((int)job_of(2, 0)->outcome, EI_JOB_SKIPPED);
    EI_EQ((int)job_of(2, 0)->cause, EI_CAUSE_UPSTREAM);
    EI_EQ(job_of(2, 0)->release_ns, 0);
    EI_EQ((int)job_of(2, 1)->outcome, EI_JOB_COMPLETED);
    EI_EQ(job_of(2, 1)->finish_ns, 16 * MS);
}

EI_TEST(a_chain_that_falls_behind_drops_by_its_own_rule)
{
    /* `mid` takes 3 ms of what `first` leaves, which is 0.5 of every 2.5 ms. */
    EI_TRUE(simulate("version: 1\nname: t\nrun: { duration: 1s, warmup: 0s, start_delay: 0s, seed: 1 }\n"
                     "platform: { rt_load_cap: 1.0 }\ntasks:\n"
                     "  - { name: first, arrival: { model: periodic, period: 2500us }, priority: 20, cpus: \"1\",\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 2ms } } ] }\n"
                     "  - { name: mid, arrival: { model: after, task: first }, priority: 10, cpus: \"1\",\n"
                     "      late_release: { queue: 1, drop: newest },\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n",
                     0));
    int64_t completed = 0, dropped = 0;
    for (int32_t i = 0; i < seen.count; i++) {
        completed += seen.jobs[i].task_idx == 1 && seen.jobs[i].outcome == EI_JOB_COMPLETED;
        dropped += seen.jobs[i].task_idx == 1 && seen.jobs[i].outcome == EI_JOB_DROPPED;
    }
    EI_EQ(completed + dropped, 401);
    EI_IN(completed, 66, 69);
}

/* A successor without any CPU: its inbox overflows, and its jobs and those behind it are accounted all the same. */
EI_TEST(a_full_inbox_loses_no_release)
{
    EI_TRUE(simulate(
        "version: 1\nname: t\nrun: { duration: 200ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
        "platform: { rt_load_cap: 1.0 }\ntasks:\n"
        "  - { name: first, arrival: { model: periodic, period: 100us }, priority: 20, cpus: \"0\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n"
        "  - { name: mid, arrival: { model: after, task: first }, deadline: none, priority: 10, cpus: \"1\",\n"
        "      late_release: { queue: 2, drop: oldest }, stages: [ { name: w, kind: cpu, work: { spin: 1us } } ] }\n"
        "  - { name: last, arrival: { model: after, task: mid }, deadline: none, priority: 10, cpus: \"0\",\n"
        "      late_release: { queue: 2, drop: oldest }, stages: [ { name: w, kind: cpu, work: { spin: 1us } } ] }\n"
        "  - { name: hog, arrival: { model: burst, count: 1, spacing: 0s }, priority: 40, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 190ms } } ] }\n",
        0));
    int64_t releases[4] = {0}, dropped = 0, upstream = 0;
    for (int32_t i = 0; i < seen.count; i++) {
        releases[seen.jobs[i].task_idx]++;
        dropped += seen.jobs[i].task_idx == 1 && seen.jobs[i].outcome == EI_JOB_DROPPED;
        upstream += seen.jobs[i].task_idx == 2 && seen.jobs[i].cause == EI_CAUSE_UPSTREAM;
    }
    EI_EQ(releases[0], 2001);
    EI_EQ(releases[1], 2001);
    EI_EQ(releases[2], 2001);
    EI_TRUE(dropped > 1800 && upstream == dropped);
}

/* ---- budgets and timeouts ---- */

#define LIMITED(on_overrun, limit)                                                                                     \
    HEAD NETWORKS "tasks:\n"                                                                                           \
                  "  - { name: net, arrival: { model: periodic, period: 20ms }, deadline: 20ms, priority: 20,\n"       \
                  "      on_preempt: none, on_overrun: " on_overrun ",\n"                                              \
                  "      stages: [ { name: n, kind: nn, model: slow, lane: acc, " limit " },\n"                        \
                  "                { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"                                  \
                  "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 2ms }, priority: 30,\n"         \
                  "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n"

/* Blocks of 2, 1, 2 and 1 ms; from 2 to 5 ms somebody else has the CPU. Answers at 6 and 9 ms, the end at 10 ms. */
EI_TEST(a_budget_counts_processor_time_a_timeout_all_time)
{
    EI_TRUE(simulate(LIMITED("finish", "budget: 6ms"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 10 * MS);
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);
    EI_TRUE(simulate(LIMITED("finish", "budget: 5999us"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 10 * MS);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_PLAN_DONE);
    EI_TRUE(simulate(LIMITED("finish", "timeout: 9ms"), 0));
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);
    EI_TRUE(simulate(LIMITED("finish", "timeout: 8999us"), 0));
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
}

EI_TEST(an_overrun_exits_or_aborts)
{
    EI_TRUE(simulate(LIMITED("exit", "budget: 5ms"), 0)); /* the second exit would need 6 */
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_OVERRUN);
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);        /* it kept its budget by that */
    EI_TRUE(simulate(LIMITED("exit", "timeout: 1ms"), 0)); /* over before the first answer, which is owed */
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_TRUE(simulate(LIMITED("abort", "budget: 4ms"), 0)); /* after the third block, at 8 ms */
    EI_EQ((int)job_of(0, 0)->outcome, EI_JOB_ABORTED);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_OVERRUN);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_TRUE(simulate(LIMITED("abort", "budget: 5500us"), 0)); /* by the last block: at its end */
    EI_EQ((int)job_of(0, 0)->outcome, EI_JOB_ABORTED);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_OVERRUN);
    EI_EQ(job_of(0, 0)->finish_ns, 9 * MS);
}

/* ---- the watchdog ---- */

#define RUNAWAY(watchdog)                                                                                              \
    "version: 1\nname: t\nrun: { duration: 200ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                            \
    "platform: { rt_load_cap: 1.0, watchdog: " watchdog " }\ntasks:\n"                                                 \
    "  - { name: wild, arrival: { model: periodic, period: 100ms }, priority: 20, cpus: \"1\",\n"                      \
    "      stages: [ { name: w, kind: cpu, work: { spin: 45ms }, budget: 2ms } ] }\n"                                  \
    "  - { name: low, arrival: { model: periodic, period: 10ms, offset: 1ms }, priority: 10, cpus: \"1\",\n"           \
    "      late_release: { queue: 10, drop: newest }, stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"

EI_TEST(a_runaway_is_demoted_at_the_watchdogs_look)
{
    /* First seen at 10 ms, after 10 ms; at 20 ms it has used 10 ms since, at 30 ms 20 ms, at 40 ms more than 10 * 2. */
    EI_TRUE(simulate(RUNAWAY("10"), 0));
    EI_EQ(seen.demoted, 1);
    EI_EQ(job_of(1, 0)->start_ns, 40 * MS);
    EI_EQ(job_of(1, 4)->start_ns, 44 * MS); /* those of 1, 11, 21, 31 and 41 ms, then the rest of the runaway */
    EI_EQ(job_of(0, 0)->finish_ns, 50 * MS);
    EI_EQ(job_of(0, 1)->start_ns, 100 * MS);
    EI_EQ(job_of(1, 10)->start_ns, 101 * MS); /* the second job of `wild` does not stand in the way */
    EI_TRUE(simulate(RUNAWAY("23"), 0));      /* 45 ms is less than 23 * 2 */
    EI_EQ(seen.demoted, 0);
    EI_EQ(job_of(1, 0)->start_ns, 45 * MS);
    EI_TRUE(simulate(RUNAWAY("0"), 0));
    EI_EQ(seen.demoted, 0);
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

static const char *const preempt_words[] = {"exit", "resume", "none"};
static const char *const deadline_words[] = {"exit", "finish", "abort"};
static const char *const overrun_words[] = {"finish", "exit", "abort"};

static void say_limit(char *text, size_t *used, struct ref_limit limit)
{
    if (limit.budget_ns >= 0) {
        say(text, used, ", budget: %lldns", (long long)limit.budget_ns);
    }
    if (limit.timeout_ns >= 0) {
        say(text, used, ", timeout: %lldns", (long long)limit.timeout_ns);
    }
    say(text, used, " }\n");
}

static void write_task(char *text, size_t *used, const struct ref_task *t, int32_t idx)
{
    say(text, used, "  - name: t%d\n", (int)idx);
    if (t->after == REF_FIRST) {
        say(text, used, "    arrival: { model: periodic, period: %lldns, offset: %lldns }\n", (long long)t->period_ns,
            (long long)t->offset_ns);
    } else {
        say(text, used, "    arrival: { model: after, task: t%d }\n", (int)t->after);
    }
    say(text, used,
        "    deadline: %lldns\n    priority: %d\n    cpus: \"%d\"\n    on_preempt: %s\n    on_deadline: %s\n"
        "    on_overrun: %s\n"
        "    planner: { search: all, first_exit: %s }\n",
        (long long)t->deadline_ns, (int)t->priority, (int)t->cpu, preempt_words[t->on_preempt],
        deadline_words[t->on_deadline], overrun_words[t->on_overrun],
        t->is_first_exit_mandatory ? "mandatory" : "optional");
    if (t->late == REF_SKIP) {
        say(text, used, "    late_release: skip\n");
    } else {
        say(text, used, "    late_release: { queue: %d, drop: %s }\n", (int)t->queue,
            t->late == REF_OLDEST ? "oldest" : "newest");
    }
    say(text, used, "    stages:\n");
    if (t->pre_ns > 0 || t->blocks == 0) {
        say(text, used, "      - { name: pre, kind: cpu, work: { spin: %lldns }", (long long)t->pre_ns);
        say_limit(text, used, t->pre);
    }
    if (t->blocks > 0) {
        say(text, used, "      - { name: net, kind: nn, model: m%d, lane: acc", (int)idx);
        say_limit(text, used, t->net);
        if (t->post_ns > 0) {
            say(text, used, "      - { name: post, kind: cpu, work: { spin: %lldns }", (long long)t->post_ns);
            say_limit(text, used, t->post);
        }
    }
}

static void write_workload(char *text, const struct ref_task *tasks, int32_t count, int32_t watchdog)
{
    size_t used = 0;
    say(text, &used,
        "version: 1\nname: random\nrun: { duration: 600ms, warmup: 0s, start_delay: 0s }\n"
        "platform: { privileges: degrade, rt_load_cap: 1.0, watchdog: %d }\n"
        "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\nmodels:\n"
        "  unused: { emulate: { blocks: [ { conv: 1ms, score: 0.5 } ] } }\n",
        (int)watchdog);
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
        write_task(text, &used, &tasks[i], i);
    }
}

/* Times on a coarse grid, so that events often fall together. */
static int64_t draw_ns(struct ei_random *rng, int64_t low_steps, int64_t high_steps)
{
    return (low_steps + (int64_t)ei_random_below(rng, (uint64_t)(high_steps - low_steps + 1))) * 100000;
}

/* Budgets of all stages stay within the deadline, as the file's check wants it. */
static struct ref_limit draw_limit(struct ei_random *rng, int64_t need_ns, int64_t *left_ns)
{
    struct ref_limit limit = {-1, -1};
    const int64_t most = ei_random_below(rng, 3) == 0 ? 2 : need_ns / 100000 + 2; /* a tenth of what it takes, or all */
    const int64_t budget_ns = 100000 + (int64_t)ei_random_below(rng, (uint64_t)most) * 100000;
    if (ei_random_below(rng, 4) > 0 && budget_ns <= *left_ns) {
        limit.budget_ns = budget_ns;
        *left_ns -= budget_ns;
    }
    if (ei_random_below(rng, 2) == 0) {
        limit.timeout_ns = 100000 + (int64_t)ei_random_below(rng, (uint64_t)(2 * need_ns / 100000 + 2)) * 100000;
    }
    return limit;
}

static void draw_limits(struct ei_random *rng, struct ref_task *tasks, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        struct ref_task *t = &tasks[i];
        int64_t net_ns = 0, left_ns = t->deadline_ns;
        for (int32_t k = 0; k < t->blocks; k++) {
            net_ns += t->conv_ns[k] + t->branch_ns[k];
        }
        t->on_overrun = (enum ref_overrun)ei_random_below(rng, 3);
        t->pre = t->pre_ns > 0 ? draw_limit(rng, t->pre_ns, &left_ns) : t->pre;
        t->net = t->blocks > 0 ? draw_limit(rng, net_ns, &left_ns) : t->net;
        t->post = t->post_ns > 0 ? draw_limit(rng, t->post_ns, &left_ns) : t->post;
    }
}

/* Some tasks come after others, before or behind them in the file, in no circle. */
static void draw_chains(struct ei_random *rng, struct ref_task *tasks, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t at = (int32_t)ei_random_below(rng, (uint64_t)count);
        const int32_t after = at;
        if (ei_random_below(rng, 3) > 0) {
            continue;
        }
        while (at != i && at != REF_FIRST) {
            at = tasks[at].after;
        }
        if (at == REF_FIRST) {
            tasks[i].after = after;
            tasks[i].deadline_ns += tasks[after].deadline_ns;
        }
    }
}

static int32_t draw_tasks(struct ei_random *rng, struct ref_task *tasks)
{
    const int32_t count = 2 + (int32_t)ei_random_below(rng, REF_TASKS_MAX - 1);
    for (int32_t i = 0; i < count; i++) {
        struct ref_task *t = &tasks[i];
        *t = (struct ref_task){
            .period_ns = draw_ns(rng, 20, 300),
            .after = REF_FIRST,
            .pre = {-1, -1},
            .net = {-1, -1},
            .post = {-1, -1},
            .offset_ns = draw_ns(rng, 0, 50),
            .priority = 1 + (int32_t)ei_random_below(rng, 12),
            .cpu = (int32_t)ei_random_below(rng, 2),
            .pre_ns = draw_ns(rng, 0, 30),
            .post_ns = draw_ns(rng, 0, 5),
            .blocks = (int32_t)ei_random_below(rng, REF_BLOCKS_MAX + 1),
            .on_preempt = (enum ref_preempt)ei_random_below(rng, 3),
            .on_deadline = (enum ref_deadline)ei_random_below(rng, 3),
            .is_first_exit_mandatory = ei_random_below(rng, 2) == 0,
            .late = (enum ref_late)ei_random_below(rng, 3),
        };
        t->deadline_ns = 100000 * (1 + (int64_t)ei_random_below(rng, (uint64_t)(t->period_ns / 100000)));
        t->queue = t->late == REF_SKIP ? 0 : 1 + (int32_t)ei_random_below(rng, 3);
        t->pre_ns += t->blocks == 0 && t->pre_ns == 0 ? 100000 : 0;
        t->post_ns = t->blocks > 0 ? t->post_ns : 0;
        for (int32_t k = 0; k < t->blocks; k++) {
            t->conv_ns[k] = draw_ns(rng, 0, 20);
            t->branch_ns[k] = draw_ns(rng, 0, 10);
        }
    }
    if (ei_random_below(rng, 2) == 0) {
        draw_chains(rng, tasks, count);
    }
    if (ei_random_below(rng, 2) == 0) {
        draw_limits(rng, tasks, count);
    }
    return count;
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
    return a->start_ns == b->start_ns && a->finish_ns == b->finish_ns && a->lane_wait_ns == b->lane_wait_ns &&
           a->exits_mask == b->exits_mask && a->preemptions == b->preemptions &&
           ((a->flags & EI_JOB_OVERRUN) != 0) == b->is_overrun;
}

EI_TEST(random_task_sets_agree_with_the_reference_job_for_job)
{
    static struct ref_job expected[JOBS_MAX];
    static char text[TEXT_BYTES];
    const char *const asked = getenv("EINET_TEST_SETS");
    const int64_t sets = asked != NULL ? strtoll(asked, NULL, 10) : 600;
    int64_t jobs = 0, preemptions = 0, unrun = 0, chained = 0, upstream = 0;
    int64_t overruns = 0, ended_by_overrun = 0, demotions = 0;
    for (int64_t set = 0; set < sets; set++) {
        struct ref_task tasks[REF_TASKS_MAX];
        struct ei_random rng;
        ei_random_init(&rng, 77, (uint64_t)set);
        const int32_t count = draw_tasks(&rng, tasks);
        const int32_t watchdog = (int32_t)ei_random_below(&rng, 4);
        int32_t demoted;
        write_workload(text, tasks, count, watchdog);
        const int32_t wanted = ref_simulate(tasks, count, watchdog, 600 * MS, expected, JOBS_MAX, &demoted);
        EI_TRUEF(simulate(text, 0), "set %lld loses releases", (long long)set);
        EI_TRUEF(seen.demoted == demoted, "set %lld: %d demoted, the reference has %d", (long long)set,
                 (int)seen.demoted, (int)demoted);
        demotions += demoted;
        bool is_same = wanted == seen.count;
        for (int32_t i = 0; i < wanted && i < seen.count; i++) {
            if (!is_same_job(&seen.jobs[i], &expected[i])) {
                const struct ei_job_record *a = &seen.jobs[i];
                const struct ref_job *b = &expected[i];
                EI_TRUEF(false,
                         "set %lld: record %d is t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d, the "
                         "reference has t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d\n%s",
                         (long long)set, (int)i, (int)a->task_idx, (long long)a->job_idx, (int)outcome_of(a),
                         (long long)a->start_ns, (long long)a->finish_ns, (long long)a->lane_wait_ns,
                         (unsigned long long)a->exits_mask, (int)a->preemptions, (int)b->task_idx,
                         (long long)b->job_idx, (int)b->outcome, (long long)b->start_ns, (long long)b->finish_ns,
                         (long long)b->lane_wait_ns, (unsigned long long)b->exits_mask, (int)b->preemptions, text);
                return;
            }
            preemptions += expected[i].preemptions;
            chained += tasks[expected[i].task_idx].after != REF_FIRST && expected[i].outcome == REF_COMPLETED;
            upstream += seen.jobs[i].cause == EI_CAUSE_UPSTREAM;
            overruns += expected[i].is_overrun;
            ended_by_overrun += seen.jobs[i].cause == EI_CAUSE_OVERRUN;
            unrun += expected[i].outcome == REF_SKIPPED || expected[i].outcome == REF_DROPPED;
        }
        EI_TRUEF(is_same, "set %lld: %d records, the reference has %d", (long long)set, (int)seen.count, (int)wanted);
        jobs += wanted;
    }
    /* The sets do exercise what they are there for. */
    EI_TRUE(jobs > sets * 50 && preemptions > sets && unrun > sets && chained > sets && upstream > sets &&
            overruns > sets && ended_by_overrun > sets && demotions > sets / 20);
}

/* ---- against itself ---- */

EI_TEST(an_ended_run_keeps_the_identity)
{
    static char text[TEXT_BYTES];
    for (int64_t set = 0; set < 40; set++) {
        struct ref_task tasks[REF_TASKS_MAX];
        struct ei_random rng;
        ei_random_init(&rng, 78, (uint64_t)set);
        write_workload(text, tasks, draw_tasks(&rng, tasks), 1);
        EI_TRUEF(simulate(text, 5 + set), "set %lld", (long long)set);
        EI_TRUE(seen.count >= 5 + set);
    }
}

EI_MAIN()
