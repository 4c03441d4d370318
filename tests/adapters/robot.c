/* See robot.h. */
#include "tests/adapters/robot.h"

#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void robot_nap_ms(int ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

int32_t robot_domain(void)
{
    return 20 + (int32_t)(getpid() % 180);
}

bool robot_open(struct robot *robot, const char *text, const struct einet_callbacks *next)
{
    struct einet_error err = {0};
    struct einet_run_options options = {.size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED};
    *robot = (struct robot){.domain = robot_domain()};
    const struct einet_dds_options bridge = {.size_bytes = sizeof bridge, .domain = robot->domain, .callbacks = next};
    if (!EI_TRUEF(einet_workload_parse(text, strlen(text), NULL, &robot->workload, &err) == 0, "%s", err.text) ||
        !EI_TRUEF(einet_dds_create(robot->workload, &bridge, &robot->dds, &err) == 0, "%s", err.text)) {
        return false;
    }
    options.callbacks = einet_dds_callbacks(robot->dds);
    robot->participant = dds_create_participant((dds_domainid_t)robot->domain, NULL, NULL);
    return EI_TRUE(robot->participant > 0) &&
           EI_TRUEF(einet_run_create(robot->workload, &options, &robot->run, &err) == 0, "%s", err.text);
}

bool robot_start(struct robot *robot)
{
    struct einet_error err = {0};
    return EI_TRUEF(einet_run_start(robot->run, &err) == 0, "%s", err.text) &&
           EI_TRUEF(einet_dds_start(robot->dds, robot->run, &err) == 0, "%s", err.text);
}

struct einet_dds_figures robot_figures(const struct robot *robot, int32_t task_idx)
{
    struct einet_dds_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_dds_figures(robot->dds, task_idx, &figures), 0);
    return figures;
}

void robot_end(struct robot *robot)
{
    struct einet_dds_figures first = robot_figures(robot, 0);
    EI_EQ(einet_run_drain(robot->run), 0);
    einet_dds_stop(robot->dds);
    EI_EQ(einet_run_wait(robot->run, -1, NULL), 0);
    for (int waited = 0; waited < ROBOT_WAIT_MS && first.statuses < first.released + first.turned_away; waited++) {
        robot_nap_ms(1);
        first = robot_figures(robot, 0);
    }
}

void robot_close(struct robot *robot)
{
    (void)dds_delete(robot->participant);
    einet_run_destroy(robot->run);
    einet_dds_destroy(robot->dds);
    einet_workload_destroy(robot->workload);
}

static dds_entity_t open_end(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *name,
                             bool is_reader, const char *user_data)
{
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, 0);
    if (user_data != NULL) {
        dds_qset_userdata(qos, user_data, strlen(user_data));
    }
    const dds_entity_t end =
        is_reader ? dds_create_reader(participant, topic, qos, NULL) : dds_create_writer(participant, topic, qos, NULL);
    dds_delete_qos(qos);
    EI_TRUEF(end > 0, "%s: %s", name, dds_strretcode(-end));
    return end;
}

dds_entity_t robot_reader(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *topic)
{
    return open_end(participant, type, topic, true, NULL);
}

dds_entity_t robot_writer(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *topic,
                          const char *user_data)
{
    return open_end(participant, type, topic, false, user_data);
}

void robot_write(dds_entity_t images, int32_t sec, uint32_t nanosec, uint32_t step)
{
    static uint8_t pixels[ROBOT_SIDE * ROBOT_SIDE * 3];
    char frame_id[] = "eye", encoding[] = "rgb8";
    const sensor_msgs_msg_dds__Image_ image = {
        .header = {.stamp = {.sec = sec, .nanosec = nanosec}, .frame_id = frame_id},
        .height = ROBOT_SIDE,
        .width = ROBOT_SIDE,
        .encoding = encoding,
        .step = step > 0 ? step : ROBOT_SIDE * 3,
        .data = {._length = sizeof pixels, ._maximum = sizeof pixels, ._buffer = pixels}};
    EI_EQ(dds_write(images, &image), DDS_RETCODE_OK);
}

/* Images of the first task of which the bridge has made what it will. */
static int64_t settled(const struct robot *robot)
{
    const struct einet_dds_figures figures = robot_figures(robot, 0);
    return figures.refused + figures.turned_away + figures.released;
}

void robot_send(struct robot *robot, dds_entity_t images, int32_t sec, uint32_t nanosec, uint32_t step)
{
    const int64_t before = settled(robot);
    robot_write(images, sec, nanosec, step);
    for (int waited = 0; waited < ROBOT_WAIT_MS && settled(robot) == before; waited++) {
        robot_nap_ms(1);
    }
    EI_EQ(settled(robot), before + 1);
}
