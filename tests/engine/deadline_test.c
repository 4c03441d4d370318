/* Class deadline in virtual time, against schedules and rules worked out by hand. */
#include "engine/analyze.h"
#include "engine/virtual_deadline.h"
#include "rt/random.h"
#include "tests/engine/virtual_play.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                                           \
    "version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                             \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\ntasks:\n"

/* ---- schedules, on two CPUs ---- */

EI_TEST(deadline_earliest_goes_first_above_all_priorities)
{
    EI_TRUE(play(
        HEAD "  - { name: a, arrival: { model: periodic, period: 20ms }, class: deadline, deadline: 12ms,\n"
             "      stages: [ { name: w, kind: cpu, work: { spin: 6ms }, budget: 6ms } ] }\n"
             "  - { name: b, arrival: { model: periodic, period: 20ms }, class: deadline, deadline: 11ms,\n"
             "      stages: [ { name: w, kind: cpu, work: { spin: 4ms }, budget: 4ms } ] }\n"
             "  - { name: c, arrival: { model: periodic, period: 20ms, offset: 1ms }, class: deadline, deadline: 6ms,\n"
             "      stages: [ { name: w, kind: cpu, work: { spin: 2ms }, budget: 2ms } ] }\n"
             "  - { name: fifo, arrival: { model: periodic, period: 20ms }, cpus: \"1\", priority: 98,\n"
             "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n",
        0));
    /* a takes CPU 0 and b CPU 1; at 1 ms c (due at 7 ms) takes the CPU of a (due at 12 ms), until 3 ms. */
    EI_EQ(job_of(2, 0)->start_ns, 1 * MS);
    EI_EQ(job_of(2, 0)->finish_ns, 3 * MS);
    EI_EQ(job_of(1, 0)->finish_ns, 4 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_INTERFERENCE], 2 * MS);
    EI_EQ(job_of(3, 0)->start_ns, 4 * MS); /* behind b on its CPU, whatever its priority */
}

EI_TEST(deadline_job_over_its_runtime_is_throttled_until_the_next_period)
{
    EI_TRUE(play(HEAD
                 "  - { name: wild, arrival: { model: periodic, period: 20ms }, class: deadline, deadline: 10ms,\n"
                 "      late_release: skip, stages: [ { name: w, kind: cpu, work: { spin: 7ms }, budget: 3ms } ] }\n"
                 "  - { name: low, arrival: { model: periodic, period: 20ms }, cpus: \"0\",\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n",
                 0));
    /* a little more than 3 ms at 0 and 19.375, the rest at 38.75 ms */
    EI_EQ(job_of(0, 0)->finish_ns, 38750000 + 1 * MS - 2 * 2048);
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_THROTTLED], 31750000 + 1 * MS - 2 * 2048);
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_EXECUTION], 7 * MS);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_EQ(job_of(1, 0)->finish_ns, 8 * MS + 2048); /* the others have the CPU meanwhile */
    EI_EQ(seen.demoted, 0);                 /* no watchdog looks at it */
}

EI_TEST(deadline_sets_that_the_kernel_would_refuse_are_refused)
{
    static const char *const bodies[] = {
        "  - { name: a, arrival: { model: periodic, period: 10ms }, class: deadline, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 1ms }, budget: 1ms } ] }\n",
        "  - { name: a, arrival: { model: periodic, period: 10ms }, class: deadline,\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 1ms }, budget: 9600us } ] }\n"
        "  - { name: b, arrival: { model: periodic, period: 10ms }, class: deadline,\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 1ms }, budget: 9600us } ] }\n",
    };
    static const char *const fragments[] = {"may use 1 of 2 CPUs", "ask for 1.92 CPUs, the kernel admits 1.90"};
    for (int i = 0; i < 2; i++) {
        char text[2048];
        struct ei_workload *wl = NULL;
        struct ei_diagnostics diag;
        struct ei_live_result result = {0};
        struct einet_error err = {0};
        const struct ei_virtual_options options = {0};
        snprintf(text, sizeof text, HEAD "%s", bodies[i]);
        EI_EQ(ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag), 0);
        ei_diagnostics_fini(&diag);
        EI_REQUIRE(wl != NULL);
        EI_EQ(ei_virtual_run(wl, &options, &result, &err), EINET_E_FILE);
        EI_CONTAINS(err.text, fragments[i]);
        ei_workload_destroy(wl);
    }
}

/* ---- the server ---- */

static struct ei_virtual_thread server(int64_t runtime_ns, int64_t deadline_ns, int64_t period_ns)
{
    return (struct ei_virtual_thread){
        .is_deadline = true, .runtime_ns = runtime_ns, .relative_ns = deadline_ns, .period_ns = period_ns};
}

EI_TEST(deadline_wake_up_keeps_or_renews_the_period)
{
    struct ei_virtual_thread t = server(2 * MS, 10 * MS, 10 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 100 * MS));
    EI_TRUE(t.absolute_ns == 110 * MS && t.left_ns == 2 * MS);
    t.left_ns = 1 * MS; /* used 1 ms, slept; 1 ms of the 5 left is its share */
    EI_TRUE(ei_virtual_deadline_wake(&t, 105 * MS));
    EI_TRUE(t.absolute_ns == 110 * MS && t.left_ns == 1 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 106 * MS)); /* of 4 it is more: a new period */
    EI_TRUE(t.absolute_ns == 116 * MS && t.left_ns == 2 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 117 * MS)); /* behind the deadline: a new period */
    EI_TRUE(t.absolute_ns == 127 * MS && t.left_ns == 2 * MS);
    t.left_ns = 0; /* used up, slept: throttled until 127 ms */
    EI_TRUE(!ei_virtual_deadline_wake(&t, 120 * MS));
    EI_EQ(t.timer_ns, 127 * MS);
    ei_virtual_deadline_replenish(&t, 127 * MS);
    EI_TRUE(t.absolute_ns == 137 * MS && t.left_ns == 2 * MS);
}

EI_TEST(deadline_within_its_period_is_never_given_more_than_its_share)
{
    struct ei_virtual_thread t = server(2 * MS, 4 * MS, 10 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 0));
    EI_TRUE(ei_virtual_deadline_wake(&t, 2 * MS)); /* 2 ms left until 4: cut to half of that time */
    EI_TRUE(t.absolute_ns == 4 * MS && t.left_ns == 1 * MS);
    EI_TRUE(!ei_virtual_deadline_wake(&t, 6 * MS)); /* behind the deadline, before the next period */
    EI_EQ(t.timer_ns, 10 * MS);
    ei_virtual_deadline_replenish(&t, 10 * MS);
    EI_TRUE(t.absolute_ns == 14 * MS && t.left_ns == 2 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 30 * MS));
    EI_EQ(t.absolute_ns, 34 * MS);
}

/* A job every 10 ms, of which the second wakes 3 ms late. Returns how many later ones wait for their period, the last
 * one how long. */
static int32_t wait_after_late_wake(int64_t period_ns, int64_t *out_last_ns)
{
    struct ei_virtual_thread t = server(2 * MS, 5 * MS, period_ns);
    int32_t waits = 0;
    EI_TRUE(ei_virtual_deadline_wake(&t, 0));
    EI_TRUE(ei_virtual_deadline_wake(&t, 13 * MS));
    for (int32_t job = 2; job < 52; job++) {
        *out_last_ns = 0;
        if (!ei_virtual_deadline_wake(&t, job * 10 * MS)) {
            *out_last_ns = t.timer_ns - job * 10 * MS;
            ei_virtual_deadline_replenish(&t, t.timer_ns);
            waits++;
        }
    }
    return waits;
}

EI_TEST(deadline_period_of_the_server_is_shorter_so_that_a_late_job_delays_few)
{
    struct ei_task_spec spec = {.stage_count = 1, .stages = {{.budget_ns = 2 * MS}}, .deadline_ns = 5 * MS};
    spec.arrival = (struct ei_arrival_spec){.model = EI_ARRIVAL_PERIODIC, .period_ns = 10 * MS};
    int64_t last_ns;
    const struct ei_bandwidth bandwidth = ei_task_bandwidth(&spec);
    EI_TRUE(bandwidth.runtime_ns == 2002048 && bandwidth.deadline_ns == 5 * MS && bandwidth.period_ns == 9687500);
    EI_EQ(wait_after_late_wake(bandwidth.period_ns, &last_ns), 9); /* 3 ms / 0.3125 ms, rounded down */
    EI_EQ(last_ns, 0);
    EI_EQ(wait_after_late_wake(10 * MS, &last_ns), 50);
    EI_EQ(last_ns, 3 * MS);
    spec.deadline_ns = 9900000;
    EI_EQ(ei_task_bandwidth(&spec).period_ns, 9900000);
    spec.deadline_ns = 10 * MS;
    EI_EQ(ei_task_bandwidth(&spec).period_ns, 10 * MS);
}

EI_TEST(deadline_spent_runtime_postpones_the_deadline)
{
    struct ei_virtual_thread t = server(2 * MS, 10 * MS, 10 * MS);
    EI_TRUE(ei_virtual_deadline_wake(&t, 0));
    t.left_ns = 0;
    EI_TRUE(ei_virtual_deadline_spent(&t, 5 * MS));
    EI_EQ(t.timer_ns, 10 * MS);
    EI_TRUE(!ei_virtual_deadline_spent(&t, 12 * MS)); /* it ran so late that the next one has begun */
    EI_TRUE(t.absolute_ns == 20 * MS && t.left_ns == 2 * MS);
    t.left_ns = 0;
    EI_TRUE(!ei_virtual_deadline_spent(&t, 45 * MS)); /* and so late that its deadline would be past */
    EI_TRUE(t.absolute_ns == 55 * MS && t.left_ns == 2 * MS);
}

/* ---- bounds: no job takes longer, on one CPU with tasks below, and on two to the limit of their test ---- */

static int64_t between(struct ei_random *rng, int64_t low, int64_t high)
{
    return low + (int64_t)ei_random_below(rng, (uint64_t)(high - low + 1));
}

/* Density in percent; runs over its budget now and then, comes with jitter now and then. */
static size_t say_server(char *text, size_t size, struct ei_random *rng, int number, int64_t percent, bool is_tame)
{
    const int64_t period_us = between(rng, 2, 20) * 500;
    const int64_t deadline_us = ei_random_below(rng, 2) == 0 ? period_us : between(rng, period_us / 2, period_us);
    const int64_t budget_us = deadline_us * percent / 100 + 2;
    const bool is_over = !is_tame && ei_random_below(rng, 2) == 0,
               has_jitter = !is_tame && ei_random_below(rng, 3) == 0;
    const int64_t work_us = is_over ? budget_us * between(rng, 11, 30) / 10 : budget_us;
    return (size_t)snprintf(
        text, size,
        "  - { name: d%d, class: deadline, deadline: %lldus, late_release: { queue: 3 }, arrival: { "
        "model: periodic,\n      period: %lldus, offset: %lldus, jitter: %lldus },\n"
        "      stages: [ { name: a, kind: cpu, work: { spin: %lldus }, budget: %lldus } ] }\n",
        number, (long long)deadline_us, (long long)period_us, (long long)(is_tame ? 0 : between(rng, 0, period_us)),
        (long long)(has_jitter ? between(rng, 1, period_us - 1) : 0), (long long)work_us, (long long)budget_us);
}

struct bounds {
    const struct ei_analysis *analysis;
    int64_t jobs, over, of_servers, below;
};

static void compare_with_bound(void *context, const struct ei_record *record)
{
    struct bounds *bounds = context;
    if (record->kind != EI_RECORD_JOB || record->u.job.finish_ns <= record->u.job.release_ns) {
        return;
    }
    const struct ei_analysis_task *task = &bounds->analysis->tasks[record->u.job.task_idx];
    if (task->response_ns < 0) {
        return;
    }
    const bool is_server = task->spec->class_ == EI_SPEC_CLASS_DEADLINE;
    bounds->jobs++;
    bounds->over += record->u.job.finish_ns - record->u.job.release_ns > task->response_ns;
    bounds->of_servers += is_server;
    bounds->below += !is_server;
}

static void check_bounds(const char *text, int32_t cpus, struct bounds *bounds)
{
    struct ei_workload *wl = NULL;
    struct ei_analysis *analysis = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_analysis_options options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS, .cpus = cpus};
    int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    rc = rc == 0 ? ei_analyze(wl, &options, &analysis, &diag) : rc;
    EI_TRUEF(rc == 0, "%s\n%s", diag.count > 0 ? diag.items[0].text : "", text);
    if (rc == 0) {
        const int64_t over = bounds->over;
        const struct ei_virtual_options run = {.cpus = cpus, .on_record = compare_with_bound, .context = bounds};
        bounds->analysis = analysis;
        rc = ei_virtual_run(wl, &run, &result, &err);
        EI_TRUEF(rc == 0 || strstr(err.text, "the kernel admits") != NULL, "%s", err.text);
        EI_TRUEF(bounds->over == over, "%lld jobs over their bounds:\n%s", (long long)(bounds->over - over), text);
    }
    ei_collector_destroy(result.collector);
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
}

#define BOUNDS_HEAD                                                                                                    \
    "version: 1\nname: t\nrun: { duration: 500ms, warmup: 0s, seed: 1 }\n"                                             \
    "platform: { rt_load_cap: 1.0, watchdog: 0 }\ntasks:\n"

EI_TEST(deadline_bounds_of_tasks_below_hold_on_one_cpu)
{
    struct bounds bounds = {0};
    struct ei_random rng;
    ei_random_init(&rng, 41, 0);
    for (int set = 0; set < 300; set++) {
        static char text[8192];
        size_t used = (size_t)snprintf(text, sizeof text, BOUNDS_HEAD);
        const int servers = 1 + (int)ei_random_below(&rng, 2);
        for (int i = 0; i < servers; i++) {
            used += say_server(text + used, sizeof text - used, &rng, i, between(&rng, 5, 60 / servers), false);
        }
        for (int i = 0; i < 2; i++) {
            const int64_t period_us = between(&rng, 5, 40) * 500;
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     "  - { name: f%d, arrival: { model: periodic, period: %lldus, offset: %lldus },\n"
                                     "      stages: [ { name: a, kind: cpu, work: { spin: %lldus } } ] }\n",
                                     i, (long long)period_us, (long long)between(&rng, 0, period_us),
                                     (long long)(period_us * between(&rng, 3, 15) / 100));
        }
        check_bounds(text, 1, &bounds);
    }
    EI_EQ(bounds.over, 0);
    EI_TRUEF(bounds.below > 10000 && bounds.of_servers > 5000, "below %lld jobs, of servers %lld",
             (long long)bounds.below, (long long)bounds.of_servers);
}

EI_TEST(deadline_bounds_of_servers_hold_on_two_cpus)
{
    struct bounds bounds = {0};
    struct ei_random rng;
    ei_random_init(&rng, 42, 0);
    for (int set = 0; set < 300; set++) {
        static char text[8192];
        size_t used = (size_t)snprintf(text, sizeof text, BOUNDS_HEAD);
        const int servers = 3 + (int)ei_random_below(&rng, 3);
        for (int i = 0; i < servers; i++) {
            used += say_server(text + used, sizeof text - used, &rng, i,
                               between(&rng, 5, ei_random_below(&rng, 2) == 0 ? 30 : 95), true);
        }
        check_bounds(text, 2, &bounds);
    }
    EI_EQ(bounds.over, 0);
    EI_TRUEF(bounds.of_servers > 10000, "%lld jobs of servers with a bound", (long long)bounds.of_servers);
}

EI_MAIN()
