/* Jobs of one task in flight together (`overlap`), on the virtual engine, against schedules worked out by hand. */
#include "tests/engine/virtual_play.h"

#include "tests/harness/harness.h"

#define HEAD                                                                                                           \
    "version: 1\nname: t\nrun: { duration: 199ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                            \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"                                                            \
    "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\n"                                                   \
    "models: { m: { emulate: { blocks: [ { conv: 5ms, branch: 1ms, score: 0.9 } ] } } }\n"                             \
    "planner: { search: all }\n"
#define STAGES                                                                                                         \
    "stages: [ { name: pre, kind: cpu, work: { spin: 6ms } }, { name: net, kind: nn, model: m, lane: acc },\n"         \
    "          { name: post, kind: cpu, work: { spin: 1ms } } ] }\n"
/* 13 ms of work every 8 ms, on two CPUs. */
#define CAMERA(overlap)                                                                                                \
    HEAD "tasks:\n  - { name: camera, arrival: { model: periodic, period: 8ms }, deadline: none, priority: 50,\n"      \
         "      overlap: " overlap ", " STAGES

static int32_t count(int32_t task, enum ei_job_outcome outcome)
{
    int32_t n = 0;
    for (int32_t i = 0; i < seen.count; i++) {
        n += seen.jobs[i].task_idx == task && seen.jobs[i].outcome == outcome;
    }
    return n;
}

EI_TEST(overlap_keeps_up_where_one_job_at_a_time_cannot)
{
    EI_TRUE(play(CAMERA("1"), 0));
    EI_EQ(count(0, EI_JOB_COMPLETED), 13); /* every second of 25 */
    EI_EQ(count(0, EI_JOB_SKIPPED), 12);
    EI_TRUE(play(CAMERA("2"), 0));
    EI_EQ(count(0, EI_JOB_COMPLETED), 25);
    for (int32_t k = 0; k < 25; k++) {
        EI_EQ(job_of(0, k)->start_ns, k * 8 * MS);
        EI_EQ(job_of(0, k)->finish_ns, (k * 8 + 13) * MS);
    }
}

EI_TEST(a_stage_serves_one_job_at_a_time_and_the_wait_is_release_delay)
{
    EI_TRUE(play(HEAD "tasks:\n  - { name: two, arrival: { model: burst, count: 2, spacing: 1ms }, priority: 50,\n"
                      "      overlap: 2,\n      " STAGES,
                 0));
    const struct ei_job_record *first = job_of(0, 0), *second = job_of(0, 1);
    EI_EQ(first->finish_ns, 13 * MS);
    EI_EQ(second->start_ns, 6 * MS); /* when the first one has left its first stage */
    EI_EQ(second->finish_ns, 19 * MS);
    EI_EQ(second->part_ns[EI_PART_RELEASE_DELAY], 5 * MS);
    EI_EQ(second->part_ns[EI_PART_EXECUTION], 13 * MS);
    EI_EQ(second->lane_wait_ns, 0);
}

EI_TEST(a_longer_later_stage_holds_up_the_next_job_before_it)
{
    EI_TRUE(play(HEAD "tasks:\n  - { name: two, arrival: { model: burst, count: 2, spacing: 1ms }, priority: 50,\n"
                      "      overlap: 2, cpus: \"0-1\", stages: [ { name: a, kind: cpu, work: { spin: 2ms } },\n"
                      "        { name: b, kind: cpu, work: { spin: 5ms }, timeout: 5ms },\n"
                      "        { name: c, kind: cpu, work: { spin: 1ms } } ] }\n",
                 0));
    const struct ei_job_record *second = job_of(0, 1);
    EI_EQ(second->start_ns, 2 * MS);
    EI_EQ(second->finish_ns, 13 * MS);                     /* a from 2, b from 7, c from 12 ms */
    EI_EQ(second->part_ns[EI_PART_RELEASE_DELAY], 4 * MS); /* 1 to 2, 4 to 7 */
    EI_EQ(second->flags & EI_JOB_OVERRUN, 0);              /* the timeout counts from when b begins */
    EI_EQ(job_of(0, 0)->part_ns[EI_PART_RELEASE_DELAY], 0);
}

/* The second job gives up at its deadline, at 14 ms, before the first one has ended at 18 ms. */
EI_TEST(a_job_that_gives_up_keeps_its_place)
{
    EI_TRUE(play("version: 1\nname: t\nrun: { duration: 30ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"
                 "platform: { rt_load_cap: 1.0 }\n"
                 "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\n"
                 "models: { m: { emulate: { blocks: [ { conv: 3ms, score: 0.5 }, { conv: 3ms, score: 0.9 } ] } } }\n"
                 "planner: { search: all }\n"
                 "tasks:\n  - { name: a, arrival: { model: burst, count: 3, spacing: 1ms }, priority: 50, overlap: 3,\n"
                 "      deadline: 9ms, on_deadline: abort,\n"
                 "      stages: [ { name: pre, kind: cpu, work: { spin: 2ms } },\n"
                 "        { name: net, kind: nn, model: m, lane: acc },\n"
                 "        { name: post, kind: cpu, work: { spin: 9ms } } ] }\n"
                 "  - { name: b, arrival: { model: after, task: a }, priority: 40, deadline: none, cpus: \"0-1\",\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n",
                 0));
    EI_EQ(job_of(0, 0)->finish_ns, 17 * MS);
    EI_EQ((int)job_of(0, 1)->outcome, EI_JOB_ABORTED);
    EI_EQ(job_of(0, 1)->finish_ns, 17 * MS);
    EI_EQ((int)job_of(1, 1)->cause, EI_CAUSE_UPSTREAM);
    int32_t at[3] = {-1, -1, -1};
    for (int32_t i = 0; i < seen.count; i++) {
        if (seen.jobs[i].task_idx == 0) {
            at[seen.jobs[i].job_idx] = i;
        }
    }
    EI_TRUE(at[0] < at[1] && at[1] < at[2]);
}

EI_TEST(releases_queue_behind_as_many_jobs_as_may_be_in_flight)
{
    EI_TRUE(play(HEAD
                 "tasks:\n  - { name: a, arrival: { model: burst, count: 5, spacing: 0s }, priority: 50, overlap: 2,\n"
                 "      deadline: none, late_release: { queue: 2, drop: oldest }, " STAGES,
                 0));
    /* Jobs 0 and 1 start, 2 and 3 wait, and 4 throws out 2. */
    EI_EQ((int)job_of(0, 2)->outcome, EI_JOB_DROPPED);
    EI_EQ(job_of(0, 0)->finish_ns, 13 * MS);
    EI_EQ(job_of(0, 1)->finish_ns, 19 * MS);
    EI_EQ(job_of(0, 3)->start_ns, 13 * MS); /* in the slot of job 0, behind job 1 */
    EI_EQ(job_of(0, 4)->start_ns, 19 * MS);
    EI_EQ(job_of(0, 4)->finish_ns, 32 * MS);
}

EI_TEST(an_ended_run_with_jobs_in_flight_keeps_the_identity)
{
    for (int64_t stop_after = 1; stop_after < 12; stop_after++) {
        EI_TRUEF(play(CAMERA("3"), stop_after), "after %d jobs", (int)stop_after);
    }
}

/* At 4 ms `low` has no answer, and two jobs of `high` are under way, of 2 ms each: it would have its answer by 8.02 ms
 * (the allowance behind a network included), by what it knows. */
#define ELASTIC(deadline)                                                                                              \
    "version: 1\nname: t\nrun: { duration: 20ms, warmup: 0s, start_delay: 0s, seed: 1 }\n"                             \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"                                                            \
    "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\n"                                                   \
    "models:\n  long: { emulate: { blocks: [ { conv: 4ms, score: 0.9 } ] } }\n"                                        \
    "  short: { emulate: { blocks: [ { conv: 1ms, score: 0.9 } ] } }\n"                                                \
    "planner: { search: all, first_exit: optional }\n"                                                                 \
    "tasks:\n"                                                                                                         \
    "  - { name: low, arrival: { model: periodic, period: 20ms }, deadline: " deadline                                 \
    ", priority: 10, cpus: \"1\",\n"                                                                                   \
    "      on_preempt: elastic, stages: [ { name: n, kind: nn, model: long, lane: acc } ] }\n"                         \
    "  - { name: high, arrival: { model: burst, count: 2, spacing: 1ms, offset: 1ms }, deadline: none, priority: "     \
    "20,\n"                                                                                                            \
    "      cpus: \"0\", overlap: 2, stages: [ { name: pre, kind: cpu, work: { spin: 1ms } },\n"                        \
    "        { name: n, kind: nn, model: short, lane: acc } ] }\n"

EI_TEST(elastic_counts_every_job_of_a_higher_task_that_is_under_way)
{
    EI_TRUE(play(ELASTIC("8021us"), 0));
    EI_EQ(job_of(0, 0)->exit_idx, 0);
    EI_TRUE(play(ELASTIC("8019us"), 0));
    EI_EQ(job_of(0, 0)->exit_idx, -1);
    EI_EQ(job_of(0, 0)->finish_ns, 4 * MS);
    EI_EQ(job_of(1, 1)->finish_ns, 6 * MS);
}
