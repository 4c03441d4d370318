/* A chain that began in another run goes on here: a bridge whose first task takes statuses, or classifications, which
 * this test writes as the other machine. Every result that is well formed ends in exactly one status of each task, with
 * its stamp; jobs of the program are told what came; what is wrong is refused and counted. */
#include "tests/adapters/robot.h"
#include "tests/harness/harness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RESULTS 64
#define BASE_SEC 1700000000 /* long ago: results count from their coming */

#define FOLLOWER(message, topic)                                                                                       \
    "version: 1\nname: follow\nrun: { warmup: 0s, start_delay: 0s }\n"                                                 \
    "tasks:\n"                                                                                                         \
    "  - { name: plan, arrival: { model: external, min_interarrival: 100us }, deadline: 150ms, priority: 40,\n"        \
    "      late_release: { queue: 32, drop: oldest }, on_deadline: finish,\n"                                          \
    "      input: { kind: topic, topic: " topic ", message: " message " },\n"                                          \
    "      stages: [ { name: path, kind: cpu, work: { spin: 20us } } ] }\n"                                            \
    "  - { name: act, arrival: { model: after, task: plan }, deadline: 200ms, priority: 41,\n"                         \
    "      late_release: { queue: 32, drop: oldest }, on_deadline: finish,\n"                                          \
    "      stages: [ { name: law, kind: cpu, work: { spin: 20us } } ] }\n"

static const char by_status[] = FOLLOWER("status", "/far/status");
static const char by_class[] = FOLLOWER("classification", "/scene");
enum { PLAN, ACT, TASKS };

static struct robot robot;

/* What the program's stages were told, by task and number of the result. */
static struct told {
    atomic_int jobs[RESULTS], strange;
    int32_t label[RESULTS];
    float confidence[RESULTS];
} told[TASKS];

static int look(void *context, const struct einet_job *job)
{
    struct told *of = context;
    const int32_t number = (int32_t)(job->tag >> 32) - BASE_SEC;
    const struct einet_result *upstream = job->upstream;
    if (upstream == NULL || number < 0 || number >= RESULTS || upstream->outcome != EINET_JOB_COMPLETED ||
        upstream->tag != 0) {
        of->strange++;
        return 0;
    }
    of->label[number] = upstream->answer.label;
    of->confidence[number] = upstream->answer.confidence;
    of->jobs[number]++;
    return 0;
}

static bool open_follower(const char *text)
{
    static const char *const names[TASKS] = {"path", "law"};
    memset(told, 0, sizeof told);
    if (!robot_open(&robot, text, NULL)) {
        return false;
    }
    for (int32_t i = 0; i < TASKS; i++) {
        const struct einet_stage stage = {.size_bytes = sizeof stage, .context = &told[i], .run = look};
        EI_EQ(einet_run_set_stage(robot.run, i, names[i], &stage, NULL), 0);
    }
    return robot_start(&robot);
}

/* ---- the other machine ---- */

static einet_msgs_msg_dds__InferenceStatus_ status_of(int number)
{
    return (einet_msgs_msg_dds__InferenceStatus_){.stamp = {.sec = BASE_SEC + number, .nanosec = (uint32_t)number},
                                                  .job_idx = number,
                                                  .answered = true,
                                                  .deadline_met = true,
                                                  .is_final = true,
                                                  .exits_total = 2,
                                                  .label = number % 10,
                                                  .confidence = 0.5F,
                                                  .deadline_ns = INT64_MAX};
}

/* Of all that came to the first task the bridge has made what it will. */
static int64_t settled(void)
{
    const struct einet_dds_figures f = robot_figures(&robot, PLAN);
    return f.refused + f.turned_away + f.released + f.skipped;
}

static void await_settled(int64_t count)
{
    for (int waited = 0; waited < ROBOT_WAIT_MS && settled() < count; waited++) {
        robot_nap_ms(1);
    }
    EI_EQ(settled(), count);
}

static void say(dds_entity_t far, const einet_msgs_msg_dds__InferenceStatus_ *status)
{
    const int64_t before = settled();
    EI_EQ(dds_write(far, status), DDS_RETCODE_OK);
    await_settled(before + 1);
}

static void expect_refused(dds_entity_t far, const einet_msgs_msg_dds__InferenceStatus_ *status, const char *why)
{
    const int64_t before = robot_figures(&robot, PLAN).refused;
    say(far, status);
    EI_EQ(robot_figures(&robot, PLAN).refused, before + 1);
    EI_CONTAINS(einet_dds_refusal(robot.dds, PLAN), why);
}

/* ---- what it says ---- */

struct seen {
    int count[RESULTS];
    einet_msgs_msg_dds__InferenceStatus_ last[RESULTS];
};

static void see(dds_entity_t reader, struct seen *seen)
{
    void *samples[2 * RESULTS] = {NULL};
    dds_sample_info_t infos[2 * RESULTS];
    memset(seen, 0, sizeof *seen);
    const int32_t count = dds_take(reader, samples, infos, 2 * RESULTS, 2 * RESULTS);
    for (int32_t i = 0; i < count; i++) {
        const einet_msgs_msg_dds__InferenceStatus_ *status = samples[i];
        const int32_t number = status->stamp.sec - BASE_SEC;
        if (EI_TRUEF(number >= 0 && number < RESULTS && status->stamp.nanosec == (uint32_t)number, "a strange stamp")) {
            seen->count[number]++;
            seen->last[number] = *status;
        }
    }
    if (count > 0) {
        (void)dds_return_loan(reader, samples, count);
    }
}

static const dds_topic_descriptor_t *const status_type = &einet_msgs_msg_dds__InferenceStatus__desc;
static dds_entity_t readers[TASKS];

static void open_readers(void)
{
    readers[PLAN] = robot_reader(robot.participant, status_type, "rt/einet/plan/status");
    readers[ACT] = robot_reader(robot.participant, status_type, "rt/einet/act/status");
}

/* The end of the run, and of all tasks' statuses. */
static void end_follower(void)
{
    robot_end(&robot);
    const struct einet_dds_figures first = robot_figures(&robot, PLAN);
    EI_EQ(first.received, first.refused + first.turned_away + first.left + first.released + first.skipped);
    for (int waited = 0; waited < ROBOT_WAIT_MS &&
                         robot_figures(&robot, ACT).statuses < first.released + first.turned_away + first.skipped;
         waited++) {
        robot_nap_ms(1);
    }
}

/* One status of each task for each result that is not refused, and a job where the one before it completed. */
EI_TEST(dds_follow_ends_in_one_status_of_each_task)
{
    static struct seen seen;
    EI_REQUIRE(open_follower(by_status));
    open_readers();
    const dds_entity_t far = robot_writer(robot.participant, status_type, "rt/far/status", NULL);
    int skips = 0;
    for (int i = 0; i < RESULTS; i++) {
        einet_msgs_msg_dds__InferenceStatus_ status = status_of(i);
        status.outcome = (uint8_t)(i % 8 < 4 ? 0 : i % 8 - 3); /* aborted, skipped, dropped, turned away */
        status.answered = status.outcome == 0;
        status.label = status.answered ? status.label : -1;
        skips += status.outcome != 0;
        say(far, &status);
    }
    end_follower();
    const struct einet_dds_figures first = robot_figures(&robot, PLAN);
    EI_EQ(first.skipped, skips);
    EI_EQ(first.released, RESULTS - skips);
    EI_EQ(first.refused, 0);
    EI_EQ(first.restamped, first.released); /* of stamps so old */
    for (int task = 0; task < TASKS; task++) {
        see(readers[task], &seen);
        EI_EQ(told[task].strange, 0);
        for (int i = 0; i < RESULTS; i++) {
            const bool is_job = i % 8 < 4;
            EI_EQ(seen.count[i], 1);
            EI_EQ(seen.last[i].outcome, is_job ? EINET_JOB_COMPLETED : EINET_JOB_SKIPPED);
            EI_EQ(seen.last[i].cause, is_job ? EINET_CAUSE_PLAN_DONE : EINET_CAUSE_UPSTREAM);
            EI_EQ(seen.last[i].job_idx >= 0, is_job);
            EI_TRUE(seen.last[i].is_final && !seen.last[i].answered);
            EI_EQ(told[task].jobs[i], is_job);
            EI_TRUE(!is_job || (told[task].label[i] == i % 10 && told[task].confidence[i] == 0.5F));
        }
    }
    robot_close(&robot);
}

/* Of several publishers, or of one that repeats itself, a stamp is taken once, and jobs go forward only. */
EI_TEST(dds_follow_takes_a_stamp_once_and_goes_forward)
{
    static struct seen seen;
    EI_REQUIRE(open_follower(by_status));
    open_readers();
    const dds_entity_t far = robot_writer(robot.participant, status_type, "rt/far/status", NULL);
    const dds_entity_t other = robot_writer(robot.participant, status_type, "rt/far/status", NULL);
    einet_msgs_msg_dds__InferenceStatus_ status = status_of(40), late = status_of(39), dropped = status_of(38);
    say(far, &status);
    expect_refused(other, &status, "came already");
    expect_refused(far, &status, "came already");
    say(other, &late);                   /* by a second: nothing runs, and that is said */
    dropped.outcome = EINET_JOB_DROPPED; /* the same */
    dropped.answered = false;
    say(far, &dropped);
    expect_refused(far, &late, "came already");
    expect_refused(other, &dropped, "came already");
    EI_EQ(robot_figures(&robot, PLAN).skipped, 2);
    for (int i = 20; i < 24; i++) { /* a clock that was set back, and goes on from there */
        status = status_of(i);
        say(far, &status);
    }
    expect_refused(far, &status, "came already");
    EI_EQ(robot_figures(&robot, PLAN).released, 5);
    end_follower();
    see(readers[ACT], &seen);
    for (int i = 0; i < RESULTS; i++) {
        EI_EQ(seen.count[i], (i >= 38 && i <= 40) || (i >= 20 && i < 24));
        EI_EQ(told[ACT].jobs[i], i == 40 || (i >= 20 && i < 24));
    }
    robot_close(&robot);
}

EI_TEST(dds_follow_refuses_what_is_no_result)
{
    EI_REQUIRE(open_follower(by_status));
    const dds_entity_t far = robot_writer(robot.participant, status_type, "rt/far/status", NULL);
    const dds_entity_t newer =
        robot_writer(robot.participant, status_type, "rt/far/status",
                     "typehash=RIHS01_0000000000000000000000000000000000000000000000000000000000000000;");
    einet_msgs_msg_dds__InferenceStatus_ status = status_of(1);
    status.outcome = 5;
    status.is_final = false;
    expect_refused(far, &status, "partial");
    status = status_of(2);
    status.outcome = 77;
    expect_refused(far, &status, "outcome");
    status = status_of(3);
    status.confidence = -1e30F;
    expect_refused(far, &status, "score");
    status = status_of(4);
    status.stamp.nanosec = 1000000000;
    expect_refused(far, &status, "nanoseconds");
    status = status_of(5);
    expect_refused(newer, &status, "another version");
    status = status_of(6);
    say(far, &status);
    EI_EQ(robot_figures(&robot, PLAN).released, 1);
    end_follower();
    EI_EQ(robot_figures(&robot, ACT).statuses, 1);
    EI_TRUE(told[ACT].jobs[6] == 1 && told[ACT].strange == 0);
    robot_close(&robot);
}

EI_TEST(dds_follow_is_led_by_classifications_of_others)
{
    static struct seen seen;
    EI_REQUIRE(open_follower(by_class));
    open_readers();
    const dds_entity_t far =
        robot_writer(robot.participant, &vision_msgs_msg_dds__Classification__desc, "rt/scene", NULL);
    char two[] = "2", nine[] = "9", person[] = "person", frame_id[] = "front_eye";
    for (int i = 0; i < 3; i++) {
        vision_msgs_msg_dds__ObjectHypothesis_ classes[] = {{.class_id = two, .score = 0.25},
                                                            {.class_id = i == 1 ? person : nine, .score = 0.5}};
        const vision_msgs_msg_dds__Classification_ message = {
            .header = {.stamp = {.sec = BASE_SEC + i, .nanosec = (uint32_t)i}, .frame_id = frame_id},
            .results = {._length = i == 2 ? 0 : 2, ._maximum = 2, ._buffer = classes}};
        EI_EQ(dds_write(far, &message), DDS_RETCODE_OK);
        await_settled(i + 1);
    }
    EI_EQ(robot_figures(&robot, PLAN).refused, 2);
    end_follower();
    see(readers[ACT], &seen);
    EI_TRUE(seen.count[0] == 1 && seen.count[1] == 0 && seen.count[2] == 0);
    EI_TRUE(told[ACT].label[0] == 9 && told[ACT].confidence[0] == 0.5F && told[PLAN].label[0] == 9);
    robot_close(&robot);
}

/* The deadline of the last task here runs from the stamp of the image over there: late before it began. */
EI_TEST(dds_follow_counts_deadlines_from_the_stamp)
{
    struct timespec now;
    void *sample = NULL;
    dds_sample_info_t info;
    EI_REQUIRE(open_follower(by_status));
    open_readers();
    const dds_entity_t far = robot_writer(robot.participant, status_type, "rt/far/status", NULL);
    robot_nap_ms(400); /* a release is not dated before the run */
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t age_ns = INT64_C(300000000), stamp_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - age_ns;
    einet_msgs_msg_dds__InferenceStatus_ status = status_of(0);
    status.stamp.sec = (int32_t)(stamp_ns / 1000000000);
    status.stamp.nanosec = (uint32_t)(stamp_ns % 1000000000);
    say(far, &status);
    end_follower();
    EI_EQ(robot_figures(&robot, PLAN).restamped, 0);
    EI_REQUIRE(dds_take(readers[ACT], &sample, &info, 1, 1) == 1);
    const einet_msgs_msg_dds__InferenceStatus_ *act = sample;
    EI_EQ((int64_t)act->stamp.sec * 1000000000 + act->stamp.nanosec, stamp_ns);
    EI_EQ(act->outcome, EINET_JOB_COMPLETED);
    EI_EQ(act->deadline_ns - act->release_ns, INT64_C(200000000));
    EI_TRUE(act->finish_ns - act->release_ns >= age_ns);
    EI_EQ(act->deadline_met, false);
    (void)dds_return_loan(readers[ACT], &sample, 1);
    robot_close(&robot);
}

EI_MAIN()
