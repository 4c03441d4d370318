/* A bridge's side of a pool: exclusive writers in place of the topics of ROS 2, a state that is told ten times a
 * second, and a thread, dds_pool, that asserts the liveliness of both while the scheduler lives and gives tasks away
 * when it is overloaded. See docs/pool.md.
 */
#ifndef ADAPTERS_DDS_POOL_MEMBER_H
#define ADAPTERS_DDS_POOL_MEMBER_H

#include "adapters/dds/bridge.h"

struct ei_pool;

/* Take the options; nothing is opened. Returns 0 with *out_pool; EINET_E_USAGE, -EINVAL, -E2BIG, -ENOMEM. */
int ei_pool_create(struct einet_dds *dds, struct einet_workload *workload, const struct einet_dds_pool *options,
                   struct ei_pool **out_pool, struct einet_error *err);
void ei_pool_destroy(struct ei_pool *pool);

/* Its endpoints, of the participant of the bridge. Returns 0 or EINET_E_BACKEND. */
int ei_pool_open(struct ei_pool *pool, struct einet_error *err);

/* When the run goes on, before images are taken. Returns 0, EINET_E_PRIVILEGE or -errno. */
int ei_pool_start(struct ei_pool *pool, struct einet_error *err);
/* No image is taken any more: let others take over at once. */
void ei_pool_leave(struct ei_pool *pool);
/* End the thread. */
void ei_pool_stop(struct ei_pool *pool);

/* Something of the run has ended, of whatever task. Thread: the callback thread of the run. */
void ei_pool_note(struct ei_pool *pool, const struct einet_result *result);

/* Whether the images of a task are left to others now. Thread: any. */
bool ei_pool_is_resting(const struct ei_pool *pool, int32_t slot);

/* Write what became of an image. Thread: dds_out, and the callback thread of the run. */
void ei_pool_write(struct ei_pool *pool, const struct ei_dds_record *record);
/* The same for the answer of an exit, of a task with a topic for it. Thread: the callback thread of the run. */
void ei_pool_write_partial(struct ei_pool *pool, int32_t slot, const einet_msgs_msg_dds__InferenceStatus_ *status);

#endif
