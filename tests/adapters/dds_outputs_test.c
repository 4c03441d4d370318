/* What the bridge says beside the classification and the status of the task that has the images: the tasks behind it in
 * a chain, the answer of each exit, diagnostics; and whose images it does not believe. */
#include "tests/adapters/robot.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define IMAGES 24
#define BASE_SEC 1700000000 /* long ago: images count from their coming */

static struct robot robot;

/* ---- camera -> network -> planner -> actuator ---- */

enum { CAMERA, NETWORK, PLANNER, ACTUATOR, CHAIN };
#define AGE_NS INT64_C(300000000) /* of the image, above END_TO_END_NS */
#define END_TO_END_NS INT64_C(200000000)

static const char chain[] =
    "version: 1\nname: chain\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 200us, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: camera, arrival: { model: external, min_interarrival: 100us }, deadline: 50ms, priority: 40,\n"
    "      late_release: { queue: 4, drop: oldest }, on_deadline: finish,\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize } ] }\n"
    "  - { name: network, arrival: { model: after, task: camera }, deadline: 100ms, priority: 39,\n"
    "      late_release: { queue: 4, drop: oldest }, on_deadline: finish, planner: { search: all },\n"
    "      outputs: { classification: /scene/class }, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: planner, arrival: { model: after, task: network }, deadline: 150ms, priority: 38,\n"
    "      late_release: { queue: 4, drop: oldest }, on_deadline: finish, outputs: { status: none },\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n"
    "  - { name: actuator, arrival: { model: after, task: planner }, deadline: 200ms, priority: 37,\n"
    "      late_release: { queue: 4, drop: oldest }, on_deadline: finish,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n";

/* What the run said, by task and stamp; the callback thread's, read after the end. */
static struct einet_result results[CHAIN][IMAGES];

static int number_of(int32_t sec)
{
    const int number = sec - BASE_SEC;
    return EI_TRUEF(number >= 0 && number < IMAGES, "a strange stamp: %d s", sec) ? number : 0;
}

static void keep_result(void *context, const struct einet_result *result)
{
    (void)context;
    results[result->task_idx][number_of((int32_t)(result->tag >> 32))] = *result;
}

/* Take the statuses of one task, which are to be one of each image and as the run says. Returns how many answered. */
static int check_statuses(dds_entity_t reader, int32_t task)
{
    void *samples[IMAGES] = {NULL};
    dds_sample_info_t infos[IMAGES];
    int seen[IMAGES] = {0}, answered = 0;
    const int32_t count = dds_take(reader, samples, infos, IMAGES, IMAGES);
    EI_EQ(count, IMAGES);
    for (int32_t i = 0; i < count; i++) {
        const einet_msgs_msg_dds__InferenceStatus_ *status = samples[i];
        const int number = number_of(status->stamp.sec);
        const struct einet_result *result = &results[task][number];
        seen[number]++;
        EI_EQ(status->stamp.nanosec, (uint32_t)number);
        EI_EQ(status->task_idx, task);
        EI_EQ(status->outcome, result->outcome);
        EI_EQ(status->cause, result->cause);
        EI_EQ(status->job_idx, result->job_idx);
        EI_EQ(status->blocks_done, result->blocks_done);
        EI_EQ(status->finish_ns, result->finish_ns);
        EI_EQ(status->is_final, true);
        EI_EQ(status->release_ns, results[CAMERA][number].release_ns); /* the whole chain counts from the image */
        EI_EQ(status->answered, (result->flags & EINET_RESULT_ANSWERED) != 0);
        answered += status->answered;
    }
    for (int i = 0; i < IMAGES; i++) {
        EI_EQ(seen[i], 1);
    }
    if (count > 0) {
        (void)dds_return_loan(reader, samples, count);
    }
    return answered;
}

/* What the bridge says of an image that the run never saw, in any task of the chain. Returns how many there are. */
static int64_t fill_in_the_unseen(void)
{
    int64_t unseen = 0;
    for (int i = 0; i < IMAGES; i++) {
        unseen += results[CAMERA][i].size_bytes == 0;
        for (int32_t task = CHAIN - 1; task >= CAMERA && results[CAMERA][i].size_bytes == 0; task--) {
            EI_EQ(results[task][i].size_bytes, 0);
            results[task][i] = (struct einet_result){.job_idx = -1, .outcome = 4, .cause = EINET_CAUSE_QUEUE};
        }
    }
    return unseen;
}

EI_TEST(dds_chain_ends_in_one_status_for_each_image)
{
    const struct einet_callbacks callbacks = {.size_bytes = sizeof callbacks, .on_result = keep_result};
    memset(results, 0, sizeof results);
    EI_REQUIRE(robot_open(&robot, chain, &callbacks));
    const dds_entity_t participant = robot.participant;
    const dds_entity_t images =
        robot_writer(participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_topic_descriptor_t *type = &einet_msgs_msg_dds__InferenceStatus__desc;
    const dds_entity_t camera = robot_reader(participant, type, "rt/einet/camera/status");
    const dds_entity_t network = robot_reader(participant, type, "rt/einet/network/status");
    const dds_entity_t silent = robot_reader(participant, type, "rt/einet/planner/status");
    const dds_entity_t actuator = robot_reader(participant, type, "rt/einet/actuator/status");
    const dds_entity_t classes =
        robot_reader(participant, &vision_msgs_msg_dds__Classification__desc, "rt/scene/class");
    EI_REQUIRE(robot_start(&robot));
    for (int i = 0; i < IMAGES - 1; i++) {
        robot_send(&robot, images, BASE_SEC + i, (uint32_t)i, 0);
        robot_nap_ms(2);
    }
    EI_EQ(einet_run_drain(robot.run), 0);
    robot_send(&robot, images, BASE_SEC + IMAGES - 1, IMAGES - 1, 0); /* too late: of no use to any of them */
    einet_dds_stop(robot.dds);
    EI_EQ(einet_run_wait(robot.run, -1, NULL), 0);
    for (int waited = 0; waited < ROBOT_WAIT_MS && robot_figures(&robot, ACTUATOR).statuses < IMAGES; waited++) {
        robot_nap_ms(1);
    }
    const int64_t unseen = fill_in_the_unseen();
    EI_EQ(unseen, robot_figures(&robot, CAMERA).turned_away);
    EI_TRUE(unseen > 0);
    EI_EQ(check_statuses(camera, CAMERA), 0);
    const int answered = check_statuses(network, NETWORK);
    EI_EQ(check_statuses(actuator, ACTUATOR), 0);
    void *samples[IMAGES] = {NULL};
    dds_sample_info_t infos[IMAGES];
    EI_EQ(dds_take(silent, samples, infos, IMAGES, IMAGES), 0);
    const int32_t count = dds_take(classes, samples, infos, IMAGES, IMAGES);
    EI_EQ(count, answered);
    EI_TRUEF(answered > 0, "no image was answered");
    for (int32_t i = 0; i < count; i++) {
        EI_STREQ(((const vision_msgs_msg_dds__Classification_ *)samples[i])->header.frame_id, "eye"); /* the camera's */
    }
    (void)dds_return_loan(classes, samples, count);
    EI_EQ(robot_figures(&robot, PLANNER).statuses, 0);
    robot_close(&robot);
}

/* The deadline of the last task runs from the stamp: an image that is older than all of it is late at the end. */
EI_TEST(dds_chain_deadline_counts_from_the_stamp)
{
    struct timespec now;
    void *sample = NULL;
    dds_sample_info_t info;
    EI_REQUIRE(robot_open(&robot, chain, NULL));
    const dds_entity_t images =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_entity_t actuator =
        robot_reader(robot.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/actuator/status");
    EI_REQUIRE(robot_start(&robot));
    robot_nap_ms(400); /* a release is not dated before the run */
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t stamp_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - AGE_NS;
    robot_send(&robot, images, (int32_t)(stamp_ns / 1000000000), (uint32_t)(stamp_ns % 1000000000), 0);
    robot_end(&robot);
    EI_EQ(robot_figures(&robot, CAMERA).restamped, 0);
    for (int waited = 0; waited < ROBOT_WAIT_MS && robot_figures(&robot, ACTUATOR).statuses < 1; waited++) {
        robot_nap_ms(1);
    }
    EI_REQUIRE(dds_take(actuator, &sample, &info, 1, 1) == 1);
    const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
    EI_EQ((int64_t)status->stamp.sec * 1000000000 + status->stamp.nanosec, stamp_ns);
    EI_EQ(status->outcome, EINET_JOB_COMPLETED);
    EI_EQ(status->deadline_ns - status->release_ns, END_TO_END_NS);
    EI_TRUE(status->finish_ns - status->release_ns >= AGE_NS);
    EI_EQ(status->deadline_met, false);
    (void)dds_return_loan(actuator, &sample, 1);
    robot_close(&robot);
}

/* ---- each exit ---- */

static const char exits[] =
    "version: 1\nname: exits\nrun: { warmup: 0s, start_delay: 0s }\nplatform: { rt_load_cap: 1 }\nlanes: { acc: { "
    "kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 200us, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: eye, arrival: { model: external, min_interarrival: 2ms }, deadline: 2s,\n"
    "      late_release: { queue: 4, drop: oldest }, planner: { search: all }, outputs: { partial: auto },\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n";

static struct einet_answer answers[2 * IMAGES];
static atomic_int answer_count;

static void keep_answer(void *context, const struct einet_answer *answer)
{
    (void)context;
    if (answer_count < 2 * IMAGES) {
        answers[answer_count++] = *answer;
    }
}

EI_TEST(dds_partial_answers_are_those_of_the_run)
{
    const struct einet_callbacks callbacks = {.size_bytes = sizeof callbacks, .on_answer = keep_answer};
    void *samples[2 * IMAGES] = {NULL};
    dds_sample_info_t infos[2 * IMAGES];
    answer_count = 0;
    EI_REQUIRE(robot_open(&robot, exits, &callbacks));
    const dds_entity_t images =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_entity_t partials =
        robot_reader(robot.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/eye/partial");
    EI_REQUIRE(robot_start(&robot));
    for (int i = 0; i < IMAGES; i++) {
        robot_send(&robot, images, BASE_SEC + i, (uint32_t)i, 0);
        robot_nap_ms(2);
    }
    robot_end(&robot);
    for (int waited = 0; waited < ROBOT_WAIT_MS && robot_figures(&robot, 0).partials < answer_count; waited++) {
        robot_nap_ms(1);
    }
    int deep = 0;
    const int32_t count = dds_take(partials, samples, infos, 2 * IMAGES, 2 * IMAGES);
    EI_EQ(count, answer_count);
    for (int32_t i = 0; i < count && i < answer_count; i++) {
        const einet_msgs_msg_dds__InferenceStatus_ *partial = samples[i];
        const struct einet_answer *answer = &answers[i];
        EI_EQ((uint32_t)partial->stamp.sec, answer->tag >> 32);
        EI_EQ(partial->stamp.nanosec, (answer->tag & UINT32_MAX) >> 2);
        EI_EQ(partial->outcome, 5);
        EI_EQ(partial->answered, true);
        EI_EQ(partial->is_final, answer->is_final != 0);
        EI_EQ(partial->job_idx, answer->job_idx);
        EI_EQ(partial->exit_idx, answer->exit_idx);
        deep += partial->exit_idx == 1;
        EI_EQ(partial->exits_total, 2);
        EI_EQ(partial->label, answer->label);
        EI_TRUE(partial->confidence == answer->confidence);
        EI_EQ(partial->release_ns, answer->release_ns);
        EI_EQ(partial->finish_ns, answer->published_ns);
        EI_EQ(partial->deadline_ns, answer->release_ns + 2000000000);
    }
    EI_TRUEF(deep > 0 && deep < count, "%d of %d answers are of the second exit", deep, count);
    (void)dds_return_loan(partials, samples, count);
    robot_close(&robot);
}

/* What a change of the deadline means for answers of jobs that go on is known a second later. */
EI_TEST(dds_partial_answers_follow_a_changed_deadline)
{
    const struct einet_change change = {
        .size_bytes = sizeof change, .what = EINET_SET_DEADLINE, .deadline_ns = 3000000000};
    struct einet_error err = {0};
    int64_t deadline_ns = 0;
    void *sample = NULL;
    dds_sample_info_t info;
    EI_REQUIRE(robot_open(&robot, exits, NULL));
    const dds_entity_t images =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_entity_t partials =
        robot_reader(robot.participant, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/einet/eye/partial");
    EI_REQUIRE(robot_start(&robot));
    EI_TRUEF(einet_run_set(robot.run, 0, &change, &err) == 0, "%s", err.text);
    for (int i = 0; i < ROBOT_WAIT_MS / 10 && deadline_ns != change.deadline_ns; i++) {
        robot_send(&robot, images, BASE_SEC + i, 0, 0);
        robot_nap_ms(10);
        while (dds_take(partials, &sample, &info, 1, 1) == 1) {
            const einet_msgs_msg_dds__InferenceStatus_ *partial = sample;
            deadline_ns = partial->deadline_ns - partial->release_ns;
            (void)dds_return_loan(partials, &sample, 1);
        }
    }
    EI_EQ(deadline_ns, change.deadline_ns);
    robot_end(&robot);
    robot_close(&robot);
}

/* ---- diagnostics ---- */

/* Wait for a message that has the level; what it says of the one task, and a value of it, into out. images: meanwhile a
 * good one now and then, 0 = none. */
static bool await_level(dds_entity_t reader, int level, dds_entity_t images, char out_message[128],
                        char out_refused[128])
{
    for (int waited = 0; waited < ROBOT_WAIT_MS; waited++) {
        void *sample = NULL;
        dds_sample_info_t info;
        bool is_found = false;
        if (images > 0 && waited % 64 == 0) {
            robot_write(images, BASE_SEC, 1, 0);
        }
        if (dds_take(reader, &sample, &info, 1, 1) != 1) {
            robot_nap_ms(1);
            continue;
        }
        const diagnostic_msgs_msg_dds__DiagnosticArray_ *array = sample;
        if (EI_TRUE(array->status._length == 1)) {
            const diagnostic_msgs_msg_dds__DiagnosticStatus_ *status = array->status._buffer;
            EI_STREQ(status->name, "einet: eye");
            EI_TRUE(array->header.stamp.sec > BASE_SEC);
            EI_STREQ(status->values._buffer[0].key, "processing_time_ms");
            EI_STREQ(status->values._buffer[1].key, "is_processing_time_ms_in_expected_range");
            is_found = status->level == level;
            (void)snprintf(out_message, 128, "%s", status->message);
            for (uint32_t i = 0; i < status->values._length; i++) {
                if (strcmp(status->values._buffer[i].key, "refused") == 0) {
                    (void)snprintf(out_refused, 128, "%s", status->values._buffer[i].value);
                }
            }
        }
        (void)dds_return_loan(reader, &sample, 1);
        if (is_found) {
            return true;
        }
    }
    return false;
}

EI_TEST(dds_diagnostics_say_how_the_task_does)
{
    char message[128] = "", refused[128] = "";
    EI_REQUIRE(robot_open(&robot, exits, NULL));
    const dds_entity_t images =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_entity_t diagnostics =
        robot_reader(robot.participant, &diagnostic_msgs_msg_dds__DiagnosticArray__desc, "rt/diagnostics");
    EI_REQUIRE(robot_start(&robot));
    EI_TRUE(await_level(diagnostics, 3, 0, message, refused));
    EI_STREQ(message, "no image has come yet");
    EI_STREQ(refused, "0");
    robot_send(&robot, images, BASE_SEC, 0, ROBOT_SIDE * 3 - 1);
    EI_TRUE(await_level(diagnostics, 1, 0, message, refused));
    EI_STREQ(refused, "1: rows shorter than their pixels");
    EI_TRUE(await_level(diagnostics, 0, images, message, refused)); /* a second later */
    EI_STREQ(message, "OK");
    EI_TRUE(await_level(diagnostics, 3, 0, message, refused)); /* nothing more comes */
    EI_CONTAINS(message, "no image for ");
    robot_end(&robot);
    robot_close(&robot);
}

/* ---- whose images are believed ---- */

EI_TEST(dds_publisher_of_another_version_is_refused_and_counted)
{
    EI_REQUIRE(robot_open(&robot, exits, NULL));
    const dds_entity_t other =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw",
                     "x=y;typehash=RIHS01_0000000000000000000000000000000000000000000000000000000000000000;");
    const dds_entity_t silent =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw", NULL);
    const dds_entity_t same =
        robot_writer(robot.participant, &sensor_msgs_msg_dds__Image__desc, "rt/camera/image_raw",
                     "typehash=RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47;");
    EI_REQUIRE(robot_start(&robot));
    for (int i = 0; i < 4; i++) {
        robot_send(&robot, other, BASE_SEC, 0, 0);
        EI_CONTAINS(einet_dds_refusal(robot.dds, 0), "another version");
        robot_send(&robot, silent, BASE_SEC, 0, 0);
        robot_send(&robot, same, BASE_SEC, 0, 0);
    }
    robot_end(&robot);
    EI_EQ(robot_figures(&robot, 0).refused, 4);
    EI_EQ(robot_figures(&robot, 0).released + robot_figures(&robot, 0).turned_away, 8);
    EI_EQ(robot_figures(&robot, 0).statuses, 8);
    robot_close(&robot);
}

/* Programs of an older header get what they know. */
EI_TEST(dds_figures_are_filled_as_far_as_they_go)
{
    struct einet_dds_figures figures;
    EI_REQUIRE(robot_open(&robot, exits, NULL));
    memset(&figures, 0x55, sizeof figures);
    figures.size_bytes = offsetof(struct einet_dds_figures, partials);
    EI_EQ(einet_dds_figures(robot.dds, 0, &figures), 0);
    EI_EQ(figures.lost, 0);
    EI_EQ(figures.partials, 0x5555555555555555);
    figures.size_bytes = 0;
    EI_EQ(einet_dds_figures(robot.dds, 0, &figures), -EINVAL);
    robot_close(&robot);
}

EI_MAIN()
