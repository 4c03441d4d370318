/* Type hashes of ROS 2 (REP 2016, "RIHS01"): SHA-256 over the type's description as JSON, its own fields and those of
 * every type that it refers to. Endpoints announce them in their USER_DATA, so that tools of Iron and later know which
 * version of a message they see. Pure, thread: any, not real-time safe.
 */
#ifndef ADAPTERS_DDS_TYPE_HASH_H
#define ADAPTERS_DDS_TYPE_HASH_H

#include <stddef.h>

#define EI_DDS_TYPE_HASH_MAX 72 /* "RIHS01_", 64 digits, the terminating 0 */

/* The hash of a message by its ROS 2 name ("sensor_msgs/msg/Image"). Returns 0; -ENOENT: not a message of this adapter;
 * -ENOMEM. */
int ei_dds_type_hash(const char *ros_name, char out_hash[EI_DDS_TYPE_HASH_MAX]);

/* The same for the name on the wire ("sensor_msgs::msg::dds_::Image_"). */
int ei_dds_type_hash_of_dds(const char *dds_name, char out_hash[EI_DDS_TYPE_HASH_MAX]);

/* Visit all messages that are known, until NULL comes back. */
const char *ei_dds_type_name(size_t number);

#endif
