/* Messages with pictures in the bytes in which they came (plain CDR, of which XCDR1 and XCDR2 agree for these types),
 * so that pixels need not be copied to be looked at. Every length is checked against the bytes that are there before it
 * is believed. Pure; thread: any; real-time safe.
 */
#ifndef ADAPTERS_DDS_CDR_H
#define ADAPTERS_DDS_CDR_H

#include "adapters/dds/image.h"

/* What a message says; all of it is borrowed from its bytes. */
struct ei_dds_message {
    int32_t sec;
    uint32_t nanosec;
    const char *frame_id;
    struct ei_dds_image image; /* of a CompressedImage: data, and its format as the encoding */
};

/* Read a sensor_msgs/Image, or a CompressedImage, from its bytes with the four of the encapsulation before them, in the
 * byte order of this machine, as CycloneDDS hands them on. Source: DDS-XTypes 1.3, 7.4.1, and the .msg texts of ROS 2.
 * Returns EI_DDS_FAULT_NONE, or EI_DDS_FAULT_BYTES and leaves out_message alone. */
EINET_RT enum ei_dds_fault ei_dds_read_image(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message);
EINET_RT enum ei_dds_fault ei_dds_read_file(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message);

#endif
