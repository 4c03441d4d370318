/* Where a response went, from what job threads and probes recorded: each case of the definition, and random ones that
 * must keep the sum. */
#include "metrics/causes.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#define MS INT64_C(1000000)
#define CPU 1
#define OWN 1 /* the task that is looked at, of priority 50; task 0 is above it, task 2 below */
#define TASKS 3
#define SLOTS 2 /* threads of a task; all but one case look at the first */

struct fixture {
    struct ei_activity_history activities;
    struct ei_gap_history gaps;
    struct ei_job_record job;
    struct ei_job_split split;
};

static void set_up(struct fixture *f, int64_t finish_ns, int64_t deadline_ns)
{
    struct ei_cpuset cpus = {0};
    ei_cpuset_add(&cpus, CPU);
    EI_REQUIRE(ei_activity_history_init(&f->activities, TASKS, SLOTS, 16) == 0 &&
               ei_gap_history_init(&f->gaps, &cpus, 16) == 0);
    f->job = (struct ei_job_record){.task_idx = OWN,
                                    .job_idx = 7,
                                    .release_ns = 100 * MS,
                                    .ready_ns = 100 * MS,
                                    .awake_ns = 100 * MS,
                                    .finish_ns = 100 * MS + finish_ns,
                                    .deadline_ns = 100 * MS + deadline_ns,
                                    .profiled_ns = 2 * MS};
}

static void tear_down(struct fixture *f)
{
    ei_activity_history_fini(&f->activities);
    ei_gap_history_fini(&f->gaps);
}

/* Times in ms after the release. */
static void add_activity(struct fixture *f, int32_t task_idx, int32_t top_priority, int64_t job_idx, int64_t start_ms,
                         int64_t end_ms, int64_t cpu_ms)
{
    static const int32_t priorities[TASKS] = {80, 50, 20};
    const struct ei_activity_record activity = {.task_idx = task_idx,
                                                .cpu = CPU,
                                                .priority = priorities[task_idx],
                                                .top_priority = top_priority,
                                                .job_idx = job_idx,
                                                .start_ns = (100 + start_ms) * MS,
                                                .end_ns = (100 + end_ms) * MS,
                                                .cpu_ns = cpu_ms * MS};
    ei_activity_history_add(&f->activities, &activity);
    if (task_idx == OWN && job_idx == f->job.job_idx) {
        f->job.part_ns[EI_PART_EXECUTION] += activity.cpu_ns;
    }
}

static void add_gap(struct fixture *f, int64_t start_ms, int64_t end_ms)
{
    ei_gap_history_add(&f->gaps, CPU, (struct ei_gap){(100 + start_ms) * MS, (100 + end_ms) * MS});
}

/* Split it; gap_ms: of gaps within the response. Returns the cause of the miss. */
static int judge(struct fixture *f, int64_t gap_ms)
{
    int64_t sum_ns = 0;
    f->split = ei_job_split(&f->job, &f->activities, &f->gaps);
    for (int i = 0; i < EI_PARTS; i++) {
        EI_TRUE(f->split.part_ns[i] >= 0);
        sum_ns += f->split.part_ns[i];
    }
    EI_EQ(sum_ns, f->job.finish_ns - f->job.release_ns);
    return ei_job_miss_cause(&f->job, &f->split, gap_ms * MS);
}

static void expect_part(const struct fixture *f, enum ei_part part, int64_t ms)
{
    EI_TRUEF(f->split.part_ns[part] == ms * MS, "%s is %lld ns, not %lld ms", ei_miss_cause_name((int)part),
             (long long)f->split.part_ns[part], (long long)ms);
}

EI_TEST(higher_task_interferes)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 0, 80, 3, -2, 3, 5); /* 3 ms of it inside */
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    EI_EQ(judge(&f, 0), EI_PART_INTERFERENCE);
    expect_part(&f, EI_PART_INTERFERENCE, 3);
    expect_part(&f, EI_PART_EXECUTION, 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 1);
    tear_down(&f);
}

/* What delayed the thread while it rehearsed the job delayed no job; to others a rehearsal is as a job. */
EI_TEST(a_rehearsal_is_not_of_the_response)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 0, 80, 3, -5, -3, 2);
    add_activity(&f, OWN, 50, 7, -6, -2, 1);
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    f.job.part_ns[EI_PART_EXECUTION] = 2 * MS; /* counted from its release */
    EI_EQ(judge(&f, 0), EI_PART_UNEXPLAINED);
    expect_part(&f, EI_PART_INTERFERENCE, 0);
    expect_part(&f, EI_PART_EXECUTION, 2);
    tear_down(&f);
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 0, 80, 3, -3, 1, 4); /* holds the rehearsal up, over the release */
    add_activity(&f, OWN, 50, 7, -4, 2, 1);
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    f.job.awake_ns = 102 * MS;
    f.job.part_ns[EI_PART_EXECUTION] = 2 * MS;
    EI_EQ(judge(&f, 0), EI_PART_UNEXPLAINED);
    expect_part(&f, EI_PART_INTERFERENCE, 1);
    expect_part(&f, EI_PART_RELEASE_DELAY, 1);
    expect_part(&f, EI_PART_UNEXPLAINED, 2);
    tear_down(&f);
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 0, 80, 3, 1, 4, 3); /* a rehearsal of the higher task */
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    EI_EQ(judge(&f, 0), EI_PART_INTERFERENCE);
    expect_part(&f, EI_PART_INTERFERENCE, 3);
    tear_down(&f);
}

EI_TEST(raised_lower_task_blocks_and_an_unraised_one_does_not)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 2, 80, 3, 0, 4, 4);
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    EI_EQ(judge(&f, 0), EI_PART_BLOCKING);
    expect_part(&f, EI_PART_BLOCKING, 4);
    tear_down(&f);
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, 2, 40, 3, 0, 4, 4); /* raised, but below this task: it was preempted */
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    EI_EQ(judge(&f, 0), EI_PART_UNEXPLAINED);
    expect_part(&f, EI_PART_BLOCKING, 0);
    tear_down(&f);
}

/* The next job of the task, in another thread, had the CPU for 3 ms and ended later. */
EI_TEST(another_job_of_the_task_in_flight_interferes)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    const struct ei_activity_record beside = {.task_idx = OWN,
                                              .slot = 1,
                                              .cpu = CPU,
                                              .priority = 50,
                                              .top_priority = 50,
                                              .job_idx = 8,
                                              .start_ns = 101 * MS,
                                              .end_ns = 107 * MS,
                                              .cpu_ns = 3 * MS};
    ei_activity_history_add(&f.activities, &beside);
    EI_EQ(judge(&f, 0), EI_PART_INTERFERENCE);
    expect_part(&f, EI_PART_INTERFERENCE, 3);
    expect_part(&f, EI_PART_EXECUTION, 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 1);
    tear_down(&f);
}

EI_TEST(other_cpus_do_not_delay)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    struct ei_activity_record elsewhere = {.task_idx = 0,
                                           .cpu = CPU + 1,
                                           .priority = 80,
                                           .top_priority = 80,
                                           .start_ns = 100 * MS,
                                           .end_ns = 106 * MS,
                                           .cpu_ns = 6 * MS};
    ei_activity_history_add(&f.activities, &elsewhere);
    add_activity(&f, OWN, 50, 7, 0, 6, 2);
    EI_EQ(judge(&f, 0), EI_PART_UNEXPLAINED);
    expect_part(&f, EI_PART_INTERFERENCE, 0);
    tear_down(&f);
}

EI_TEST(late_release_late_wake_up_and_gap_before_it)
{
    struct fixture f;
    set_up(&f, 9 * MS, 5 * MS);
    f.job.ready_ns = 102 * MS; /* released 2 ms late */
    f.job.awake_ns = 107 * MS; /* and 5 ms later awake: 1 ms of a gap, 1 ms of a higher task, 3 ms of nobody */
    add_gap(&f, 2, 3);
    add_activity(&f, 0, 80, 3, 4, 5, 1);
    add_activity(&f, OWN, 50, 7, 2, 9, 2);
    EI_EQ(judge(&f, 1), EI_PART_RELEASE_DELAY);
    expect_part(&f, EI_PART_RELEASE_DELAY, 5);
    expect_part(&f, EI_PART_INTERFERENCE, 1);
    expect_part(&f, EI_PART_UNEXPLAINED, 1);
    expect_part(&f, EI_PART_EXECUTION, 2);
    tear_down(&f);
}

EI_TEST(lane_waits_split_at_the_holder)
{
    struct fixture f;
    set_up(&f, 10 * MS, 5 * MS);
    add_activity(&f, OWN, 50, 7, 0, 1, 1);
    f.job.part_ns[EI_PART_BLOCKING] = 2 * MS;   /* 1..3, as the gate counted */
    f.job.part_ns[EI_PART_LANE_QUEUE] = 4 * MS; /* 3..7 */
    add_activity(&f, 0, 80, 3, 3, 8, 5);        /* it held the lane, then kept the processor for 1 ms more */
    add_activity(&f, OWN, 50, 7, 7, 10, 1);
    EI_EQ(judge(&f, 0), EI_PART_LANE_QUEUE);
    expect_part(&f, EI_PART_BLOCKING, 2);
    expect_part(&f, EI_PART_LANE_QUEUE, 4);
    expect_part(&f, EI_PART_INTERFERENCE, 1);
    expect_part(&f, EI_PART_EXECUTION, 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 1);
    tear_down(&f);
}

/* Its block was due to end at 4 ms; it went on at 9. Of that the task above had the CPU for 2, a gap took 1, and the
 * rest is the device's. */
EI_TEST(after_a_device_others_interfere_and_the_rest_is_the_devices)
{
    struct fixture f;
    set_up(&f, 10 * MS, 8 * MS);
    add_activity(&f, OWN, 50, 7, 0, 1, 1);
    f.job.part_ns[EI_PART_EXECUTION] += 3 * MS; /* on the device, as long as its profile says */
    add_activity(&f, 0, 80, 3, 4, 6, 2);
    add_gap(&f, 6, 7);
    const struct ei_activity_record late = {.task_idx = OWN,
                                            .cpu = CPU,
                                            .priority = 50,
                                            .top_priority = 50,
                                            .is_after_device = 1,
                                            .job_idx = 7,
                                            .start_ns = 104 * MS,
                                            .end_ns = 109 * MS};
    ei_activity_history_add(&f.activities, &late);
    add_activity(&f, OWN, 50, 7, 9, 10, 1);
    f.job.profiled_ns = 5 * MS;
    (void)judge(&f, 1);
    expect_part(&f, EI_PART_INTERFERENCE, 2);
    expect_part(&f, EI_PART_EXECUTION, 1 + 3 + 1 + 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 1);
    EI_EQ((int)f.split.over_profile, EI_PROFILE_VIOLATED);
    tear_down(&f);
}

EI_TEST(a_stop_is_the_machines_also_when_a_higher_task_was_stopped)
{
    struct fixture f;
    set_up(&f, 12 * MS, 5 * MS);
    add_gap(&f, 1, 9);
    add_activity(&f, 0, 80, 3, 0, 10, 2); /* on the CPU for 10 ms, of which it got 2 */
    add_activity(&f, OWN, 50, 7, 0, 12, 2);
    EI_EQ(judge(&f, 8), EI_MISS_MACHINE);
    expect_part(&f, EI_PART_INTERFERENCE, 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 8);
    tear_down(&f);
}

EI_TEST(over_the_profile_by_itself_or_by_a_clock_that_ran_on)
{
    struct fixture f;
    set_up(&f, 9 * MS, 10 * MS);
    add_activity(&f, OWN, 50, 7, 0, 9, 9);
    (void)judge(&f, 0);
    EI_EQ((int)f.split.over_profile, EI_PROFILE_VIOLATED);
    expect_part(&f, EI_PART_EXECUTION, 9);
    tear_down(&f);
    set_up(&f, 9 * MS, 5 * MS);
    add_activity(&f, OWN, 50, 7, 0, 9, 9);
    EI_EQ(judge(&f, 0), EI_PART_EXECUTION);
    tear_down(&f);
    set_up(&f, 9 * MS, 5 * MS);
    add_gap(&f, 1, 8); /* the hypervisor took the processor and did not say so */
    add_activity(&f, OWN, 50, 7, 0, 9, 9);
    EI_EQ(judge(&f, 7), EI_MISS_MACHINE);
    EI_EQ((int)f.split.over_profile, EI_PROFILE_NOISE);
    expect_part(&f, EI_PART_EXECUTION, 2);
    expect_part(&f, EI_PART_UNEXPLAINED, 7);
    tear_down(&f);
    set_up(&f, 9 * MS, 5 * MS);
    f.job.profiled_ns = 0; /* unknown: never over it, and to blame only when it is late alone */
    add_activity(&f, OWN, 50, 7, 0, 9, 4);
    add_activity(&f, 0, 80, 3, 0, 3, 3);
    EI_EQ(judge(&f, 0), EI_PART_INTERFERENCE);
    EI_EQ((int)f.split.over_profile, EI_PROFILE_KEPT);
    tear_down(&f);
}

EI_TEST(forgotten_stretches_leave_a_response_unexplained)
{
    struct fixture f;
    set_up(&f, 6 * MS, 5 * MS);
    EI_EQ(judge(&f, 0), EI_PART_UNEXPLAINED);
    expect_part(&f, EI_PART_UNEXPLAINED, 6);
    tear_down(&f);
}

/* Stretches of jobs that come and are asked for in any order, against a look at all that are remembered. */
EI_TEST(stretches_of_a_job_are_found_wherever_the_last_search_ended)
{
    enum { KEPT = 24, JOBS = 4000 };
    static int64_t job_of[2 * JOBS]; /* of each stretch, in order */
    struct ei_activity_history history;
    struct ei_random random;
    int64_t stretches = 0, found = 0, job_idx = 0;
    EI_REQUIRE(ei_activity_history_init(&history, 1, 1, KEPT) == 0);
    ei_random_init(&random, 5, 0);
    for (int step = 0; step < JOBS; step++) {
        job_idx += (int64_t)ei_random_below(&random, 3); /* of some no stretch, of some several */
        for (uint64_t n = ei_random_below(&random, 3); n > 0; n--) {
            job_of[stretches++] = job_idx;
            ei_activity_history_add(&history, &(struct ei_activity_record){.job_idx = job_idx, .end_ns = stretches});
        }
        const bool is_beside = ei_random_below(&random, 4) > 0; /* as a rule one that is not far */
        const struct ei_job_record asked = {.job_idx = job_idx -
                                                       (int64_t)ei_random_below(&random, is_beside ? 6 : 2 * KEPT) + 1};
        int32_t n = 0;
        for (int64_t i = stretches > KEPT ? stretches - KEPT : 0; i < stretches; i++) {
            if (job_of[i] == asked.job_idx) {
                const struct ei_activity_record *stretch = ei_activity_history_of_job(&history, &asked, n++);
                EI_TRUEF(stretch != NULL && stretch->end_ns == i + 1, "stretch %d of job %lld", n - 1,
                         (long long)asked.job_idx);
            }
        }
        EI_TRUE(ei_activity_history_of_job(&history, &asked, n) == NULL);
        found += n;
    }
    EI_TRUE(found > JOBS / 4);
    ei_activity_history_fini(&history);
}

EI_TEST(random_records_keep_the_sum)
{
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    for (int set = 0; set < 20000; set++) {
        struct fixture f;
        set_up(&f, (int64_t)ei_random_below(&rng, 20) * MS, 5 * MS);
        f.job.ready_ns += (int64_t)ei_random_below(&rng, 4) * MS;
        f.job.awake_ns = f.job.ready_ns + (int64_t)ei_random_below(&rng, 4) * MS;
        f.job.profiled_ns = (int64_t)ei_random_below(&rng, 4) * MS;
        f.job.part_ns[EI_PART_BLOCKING] = (int64_t)ei_random_below(&rng, 3) * MS;
        for (int64_t at_ms = -3; at_ms < 20; at_ms += 1 + (int64_t)ei_random_below(&rng, 6)) {
            const int64_t length_ms = (int64_t)ei_random_below(&rng, 6);
            add_activity(&f, (int32_t)ei_random_below(&rng, TASKS), 20 + 10 * (int32_t)ei_random_below(&rng, 7),
                         6 + (int64_t)ei_random_below(&rng, 2), at_ms, at_ms + length_ms,
                         (int64_t)ei_random_below(&rng, (uint64_t)length_ms + 2));
            add_gap(&f, at_ms, at_ms + (int64_t)ei_random_below(&rng, 3));
        }
        (void)judge(&f, 1);
        tear_down(&f);
    }
}

EI_MAIN()
