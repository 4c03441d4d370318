/* Messages in the bytes in which they came (plain CDR), so that pixels need not be copied to be looked at. Every length
 * is checked against the bytes that are there before it is believed. Pure; thread: any; real-time safe.
 */
#ifndef ADAPTERS_DDS_CDR_H
#define ADAPTERS_DDS_CDR_H

#include "adapters/dds/image.h"

/* What a message says; all of it is borrowed from its bytes. */
struct ei_dds_message {
    int32_t sec;
    uint32_t nanosec;
    const char *frame_id;
    struct ei_dds_image image; /* of a CompressedImage: data, and its format as the encoding; of a result nothing */
};

/* Read a sensor_msgs/Image, or a CompressedImage, from its bytes with the four of the encapsulation before them, in the
 * byte order of this machine, as CycloneDDS hands them on. Source: DDS-XTypes 1.3, 7.4.1, and the .msg texts of ROS 2.
 * Returns EI_DDS_FAULT_NONE, or EI_DDS_FAULT_BYTES and leaves out_message alone. */
EINET_RT enum ei_dds_fault ei_dds_read_image(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message);
EINET_RT enum ei_dds_fault ei_dds_read_file(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message);

/* The same for an einet_msgs/InferenceStatus and a vision_msgs/Classification: what they say of a job of another run.
 * Of a status that is all but its tag and the list of classes (top_count 0); a classification is one of a job that
 * completed with an answer, of which nothing is known but its classes, the five most probable of at most
 * EI_DDS_CLASSES_MAX. Returns also EI_DDS_FAULT_RESULT: a value that no run has, a class that is no number, a score
 * outside of 0..1, none at all; EI_DDS_FAULT_PARTIAL. Both outs are left alone then. */
#define EI_DDS_CLASSES_MAX 1024
EINET_RT enum ei_dds_fault ei_dds_read_status(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message,
                                              struct einet_result *out_result);
EINET_RT enum ei_dds_fault ei_dds_read_classification(const uint8_t *cdr, size_t bytes,
                                                      struct ei_dds_message *out_message,
                                                      struct einet_result *out_result);

/* Outcomes in an InferenceStatus, beside enum einet_outcome. */
#define EI_DDS_OUTCOME_TURNED_AWAY 4
#define EI_DDS_OUTCOME_UNDER_WAY 5 /* of a partial answer */

#endif
