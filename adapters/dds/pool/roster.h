/* The nodes of a pool as they say of themselves, and the endpoints by which pools speak (docs/pool.md). All of them lie
 * in a partition with the pool's name, out of the sight of ROS 2. */
#ifndef ADAPTERS_DDS_POOL_ROSTER_H
#define ADAPTERS_DDS_POOL_ROSTER_H

#include "adapters/dds/bridge.h"
#include <einet/pool.h>

struct ei_pool_ends {
    dds_entity_t publisher, subscriber;
    int64_t lease_ns; /* of the writers; 0 = there are none */
};

/* Publisher and subscriber in the partition of the pool; they go with the participant. Returns 0, EINET_E_USAGE (no
 * name of a pool) or EINET_E_BACKEND. */
int ei_pool_open_ends(dds_entity_t participant, const char *pool, struct ei_pool_ends *ends, struct einet_error *err);

/* The topic of what nodes say of themselves. */
int ei_pool_open_state_reader(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_reader,
                              struct einet_error *err);
int ei_pool_open_state_writer(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_writer,
                              struct einet_error *err);

/* The results of a task: of all writers only the strongest living one is heard. lifespan_ns: how long one is of use. */
int ei_pool_open_result_reader(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                               dds_entity_t *out_reader, struct einet_error *err);
int ei_pool_open_result_writer(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                               int64_t lifespan_ns, dds_entity_t *out_writer, struct einet_error *err);

/* Their partial answers, the same way. */
int ei_pool_open_partial_reader(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                                dds_entity_t *out_reader, struct einet_error *err);
int ei_pool_open_partial_writer(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                                int64_t lifespan_ns, dds_entity_t *out_writer, struct einet_error *err);

/* What egresses say of themselves, the same way: of all of them one is heard. */
int ei_pool_open_claim_reader(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_reader,
                              struct einet_error *err);
int ei_pool_open_claim_writer(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_writer,
                              struct einet_error *err);

/* An egress as its claim's writer names it, also while it claims nothing. False: the reader does not know such a
 * writer. */
bool ei_pool_read_claimant(dds_entity_t reader, dds_instance_handle_t writer, struct einet_dds_egress_seen *out);
/* The writer that is heard, and has the turn; 0 = none. */
dds_instance_handle_t ei_pool_active_claimant(dds_entity_t reader);

/* Let the next that a writer writes have that strength. Returns whether it has. */
bool ei_pool_set_strength(dds_entity_t writer, int32_t strength);

/* Living nodes, the first by rank and name first. */
struct ei_pool_roster {
    int32_t count;
    struct einet_dds_node nodes[EINET_POOL_NODES_MAX]; /* one too many is not seen */
};

/* Take what the reader has. True when a node came, went or said something. */
bool ei_pool_roster_take(struct ei_pool_roster *roster, dds_entity_t reader);

#endif
