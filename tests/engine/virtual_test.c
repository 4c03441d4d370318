/* The virtual engine against schedules worked out by hand. */
#include "tests/engine/virtual_play.h"

#include "engine/virtual_cpus.h"
#include "tests/harness/harness.h"

#define HEAD                                                                                                           \
    "version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                             \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"

/* ---- CPUs ---- */

EI_TEST(higher_priority_preempts_and_the_lower_goes_on)
{
    EI_TRUE(play(HEAD "tasks:\n"
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
    EI_TRUE(play(HEAD "tasks:\n"
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
    EI_TRUE(play(HEAD NETWORKS
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
    EI_TRUE(play(HEAD NETWORKS
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
    EI_TRUE(play(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("8020us", "elastic"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->exit_idx, 1);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_TRUE(play(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("8019us", "elastic"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_PREEMPTED);
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS); /* it waits for the CPU, not for the lane */
}

EI_TEST(restart_runs_the_conv_parts_again_but_keeps_its_answers)
{
    EI_TRUE(play(HEAD NETWORKS "tasks:\n" ELASTIC_LOW("20ms", "restart"), 0));
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->answer_ns, 12 * MS); /* back at 7 ms: two conv parts of 2 ms and the second branch */
    EI_EQ(job_of(0, 0)->exits_mask, 3);
    EI_EQ(job_of(0, 0)->lane_busy_ns, 5 * MS + 5 * MS);
}

EI_TEST(a_job_takes_the_first_free_lane_of_its_list)
{
    EI_TRUE(play(HEAD "lanes: { a: { kind: cpu, cpus: \"1-2\" }, b: { kind: cpu, cpus: \"1-2\" } }\n"
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
        EI_TRUE(play(text, 0));
        EI_EQ(job_of(1, 0)->lane_wait_ns, granted_ns[i] - 1 * MS);
        EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
        EI_EQ(job_of(0, 0)->preemptions, 1);
    }
}

EI_TEST(the_kernel_preempts_in_mid_block)
{
    EI_TRUE(play(HEAD
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
    EI_TRUE(play("version: 1\nname: t\nrun: { duration: 40ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
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
    EI_TRUE(play(HEAD NETWORKS
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

/* ---- devices ---- */

#define DEVICES                                                                                                        \
    "lanes: { gpu: { kind: cuda }, spinning: { kind: cuda, wait: spin }, acc: { cpus: \"1\" } }\nmodels:\n"            \
    "  slow: { emulate: { blocks: [ { conv: 2ms, branch: 1ms, score: 0.5 }, { conv: 2ms, branch: 1ms, score: 0.9 }"    \
    " ] } }\n"                                                                                                         \
    "  fast: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.9 } ] } }\n"                                    \
    "planner: { search: all }\n"

#define CAMERA(lane)                                                                                                   \
    "  - { name: camera, arrival: { model: periodic, period: 20ms }, priority: 20, cpus: \"1\", stages: [\n"           \
    "      { name: pre, kind: cpu, work: { spin: 1ms } }, { name: n, kind: nn, model: slow, lane: " lane " },\n"       \
    "      { name: post, kind: cpu, work: { spin: 500us } } ] }\n"                                                     \
    "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, cpus: \"1\",\n"                        \
    "      stages: [ { name: w, kind: cpu, work: { spin: 4ms } } ] }\n"

EI_TEST(a_block_on_a_device_leaves_the_cpu_to_others)
{
    /* The network is on the device from 1 to 7 ms, and low is done before that. */
    EI_TRUE(play(HEAD DEVICES "tasks:\n" CAMERA("gpu"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS + MS / 2);
    EI_EQ(job_of(0, 0)->lane_busy_ns, 6 * MS);
    EI_EQ(job_of(1, 0)->start_ns, 1 * MS);
    EI_EQ(job_of(1, 0)->finish_ns, 5 * MS);
    expect_parts(job_of(0, 0), 0, 0, 0, 7 * MS + MS / 2, 0);
    expect_parts(job_of(1, 0), 0, 0, 1 * MS, 4 * MS, 0);
    /* With wait: spin the job keeps its CPU. */
    EI_TRUE(play(HEAD DEVICES "tasks:\n" CAMERA("spinning"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS + MS / 2);
    EI_EQ(job_of(1, 0)->finish_ns, 11 * MS + MS / 2);
}

EI_TEST(a_job_wants_its_cpu_between_blocks)
{
    /* The law comes in the first conv part, which ends at 2 ms; the branch is launched when the law is over. */
    EI_TRUE(play(HEAD DEVICES
                 "tasks:\n"
                 "  - { name: net, arrival: { model: periodic, period: 20ms }, priority: 10, cpus: \"1\",\n"
                 "      stages: [ { name: n, kind: nn, model: fast, lane: gpu, budget: 2ms } ] }\n"
                 "  - { name: law, arrival: { model: periodic, period: 20ms, offset: 500us }, priority: 20,\n"
                 "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 3ms } } ] }\n",
                 0));
    EI_EQ(job_of(0, 0)->finish_ns, 4 * MS + MS / 2);
    expect_parts(job_of(0, 0), 0, 0, 2 * MS + MS / 2, 2 * MS, 0);
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0); /* its budget counts the blocks, not the wait for the CPU */
    EI_EQ(job_of(1, 0)->finish_ns, 3 * MS + MS / 2);
}

EI_TEST(a_device_is_handed_over_at_a_boundary_and_lends_priority)
{
    /* high asks in low's first conv part, which ends at 2 ms; low must hand over then, though middle has the CPU. */
    EI_TRUE(play(
        HEAD DEVICES
        "tasks:\n"
        "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 10, cpus: \"1\", on_preempt: resume,\n"
        "      stages: [ { name: n, kind: nn, model: slow, lane: gpu } ] }\n"
        "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 500us }, priority: 30, cpus: \"0\",\n"
        "      deadline: 10ms, stages: [ { name: n, kind: nn, model: fast, lane: gpu } ] }\n"
        "  - { name: middle, arrival: { model: periodic, period: 20ms, offset: 600us }, priority: 20,\n"
        "      cpus: \"1\", stages: [ { name: w, kind: cpu, work: { spin: 5ms } } ] }\n",
        0));
    EI_EQ(job_of(1, 0)->finish_ns, 4 * MS);
    expect_parts(job_of(1, 0), 0, 1500000, 0, 2 * MS, 0);
    EI_EQ(job_of(2, 0)->finish_ns, 5600000);
    /* Back on the device at 4 ms, but on the CPU only when middle is done. */
    EI_EQ(job_of(0, 0)->finish_ns, 5600000 + 4 * MS);
    EI_EQ(job_of(0, 0)->preemptions, 1);
}

EI_TEST(time_on_a_device_is_no_load_of_the_cpu)
{
    static const char *const lanes[] = {"gpu", "acc"};
    for (int k = 0; k < 2; k++) {
        char text[2048];
        snprintf(text, sizeof text,
                 "version: 1\nname: t\nrun: { duration: 3s, start_delay: 0s }\n"
                 "platform: { rt_load_cap: 0.3 }\n" DEVICES
                 "tasks:\n  - { name: net, arrival: { model: periodic, period: 10ms }, priority: 10, cpus: \"1\",\n"
                 "      stages: [ { name: n, kind: nn, model: slow, lane: %s } ] }\n",
                 lanes[k]);
        EI_TRUE(play(text, 0));
        int32_t whole = 0, capped = 0;
        for (int32_t i = 0; i < seen.count; i++) {
            whole += seen.jobs[i].exits_mask == 3;
            capped += seen.jobs[i].cause == EI_CAUSE_LOAD_CAP;
        }
        EI_TRUEF(k == 0 ? whole == seen.count : capped > 100, "lane %s: %d whole, %d capped", lanes[k], (int)whole,
                 (int)capped);
    }
}

EI_TEST(a_queued_job_was_delayed_by_its_predecessor)
{
    EI_TRUE(play(HEAD "tasks:\n"
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
    EI_TRUE(play(HEAD CHAIN(""), 0));
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
    EI_TRUE(play("version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
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
    EI_TRUE(play("version: 1\nname: t\nrun: { duration: 1s, warmup: 0s, start_delay: 0s, seed: 1 }\n"
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
    EI_TRUE(play(
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
    EI_TRUE(play(LIMITED("finish", "budget: 6ms"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 10 * MS);
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);
    EI_TRUE(play(LIMITED("finish", "budget: 5999us"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 10 * MS);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_PLAN_DONE);
    EI_TRUE(play(LIMITED("finish", "timeout: 9ms"), 0));
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);
    EI_TRUE(play(LIMITED("finish", "timeout: 8999us"), 0));
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
}

EI_TEST(an_overrun_exits_or_aborts)
{
    EI_TRUE(play(LIMITED("exit", "budget: 5ms"), 0)); /* the second exit would need 6 */
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_EQ(job_of(0, 0)->finish_ns, 7 * MS);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_OVERRUN);
    EI_EQ(job_of(0, 0)->flags & EI_JOB_OVERRUN, 0);    /* it kept its budget by that */
    EI_TRUE(play(LIMITED("exit", "timeout: 1ms"), 0)); /* over before the first answer, which is owed */
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_TRUE((job_of(0, 0)->flags & EI_JOB_OVERRUN) != 0);
    EI_TRUE(play(LIMITED("abort", "budget: 4ms"), 0)); /* after the third block, at 8 ms */
    EI_EQ((int)job_of(0, 0)->outcome, EI_JOB_ABORTED);
    EI_EQ((int)job_of(0, 0)->cause, EI_CAUSE_OVERRUN);
    EI_EQ(job_of(0, 0)->finish_ns, 8 * MS);
    EI_TRUE(play(LIMITED("abort", "budget: 5500us"), 0)); /* by the last block: at its end */
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
    EI_TRUE(play(RUNAWAY("10"), 0));
    EI_EQ(seen.demoted, 1);
    EI_EQ(job_of(1, 0)->start_ns, 40 * MS);
    EI_EQ(job_of(1, 4)->start_ns, 44 * MS); /* those of 1, 11, 21, 31 and 41 ms, then the rest of the runaway */
    EI_EQ(job_of(0, 0)->finish_ns, 50 * MS);
    EI_EQ(job_of(0, 1)->start_ns, 100 * MS);
    EI_EQ(job_of(1, 10)->start_ns, 101 * MS); /* the second job of `wild` does not stand in the way */
    EI_TRUE(play(RUNAWAY("23"), 0));          /* 45 ms is less than 23 * 2 */
    EI_EQ(seen.demoted, 0);
    EI_EQ(job_of(1, 0)->start_ns, 45 * MS);
    EI_TRUE(play(RUNAWAY("0"), 0));
    EI_EQ(seen.demoted, 0);
}

EI_MAIN()
