/* A robot's side of a bridge in this process: a run with its bridge, and a participant with ends of its own. */
#ifndef TESTS_ADAPTERS_ROBOT_H
#define TESTS_ADAPTERS_ROBOT_H

#include "ros2.h"
#include <dds/dds.h>
#include <einet/dds.h>
#include <einet/einet.h>
#include <stdbool.h>

#define ROBOT_WAIT_MS 30000 /* at most, for what comes as a rule at once */
#define ROBOT_SIDE 32       /* of its images, in pixels */

struct robot {
    int32_t domain;
    struct einet_workload *workload;
    struct einet_dds *dds;
    struct einet_run *run;
    dds_entity_t participant;
};

/* A domain that other runs of the tests do not have. */
int32_t robot_domain(void);

/* Workload, bridge, participant and run, which is not started. next: callbacks behind the bridge's, or NULL. */
bool robot_open(struct robot *robot, const char *text, const struct einet_callbacks *next);
bool robot_start(struct robot *robot);
/* No further image; the run to its end, and all that comes of it written. */
void robot_end(struct robot *robot);
void robot_close(struct robot *robot);

/* A reader or writer that loses nothing. user_data NULL = none. */
dds_entity_t robot_reader(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *topic);
dds_entity_t robot_writer(dds_entity_t participant, const dds_topic_descriptor_t *type, const char *topic,
                          const char *user_data);

struct einet_dds_figures robot_figures(const struct robot *robot, int32_t task_idx);

/* Write an image of the robot's size in rgb8; step 0 = that of its rows. Returns when the bridge has it, which of the
 * first task's images keeps five. */
void robot_send(struct robot *robot, dds_entity_t images, int32_t sec, uint32_t nanosec, uint32_t step);
void robot_write(dds_entity_t images, int32_t sec, uint32_t nanosec, uint32_t step);

void robot_nap_ms(int ms);

#endif
