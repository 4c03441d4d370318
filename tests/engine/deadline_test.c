/* Class deadline in virtual time, against schedules and rules worked out by hand. */
#include "engine/virtual_deadline.h"
#include "tests/engine/virtual_play.h"
#include "tests/harness/harness.h"

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
    /* 3 ms at 0, 20 and 1 ms at 40 ms */
    EI_EQ(job_of(0, 0)->finish_ns, 41 * MS);
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_THROTTLED], 34 * MS);
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_EXECUTION], 7 * MS);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_EQ(job_of(1, 0)->finish_ns, 8 * MS); /* the others have the CPU meanwhile */
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

EI_MAIN()
