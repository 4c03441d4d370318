/* From a message with a picture to a frame for einet_run_release_frame. What a message claims is believed only as far
 * as its bytes go: every size is checked in 64 bits before anything is read or written. Pure; thread: any; real-time
 * safe.
 */
#ifndef ADAPTERS_DDS_IMAGE_H
#define ADAPTERS_DDS_IMAGE_H

#include <einet/image.h>
#include <einet/run.h>
#include <stddef.h>
#include <stdint.h>

/* Why a message was refused: name, text. */
#define EI_DDS_FAULT_MAP(X)                                                                                            \
    X(NONE, "taken")                                                                                                   \
    X(BYTES, "bytes that are no message of its type")                                                                  \
    X(STAMP, "the nanoseconds of the stamp are no fraction of a second")                                               \
    X(FRAME_ID, "a fifth frame_id, or one that is too long")                                                           \
    X(SIZE, "no width or no height")                                                                                   \
    X(LARGE, "larger than the input of the task")                                                                      \
    X(ENCODING, "an encoding or a file format that is not known, or not for these channels")                           \
    X(STEP, "rows shorter than their pixels")                                                                          \
    X(DATA, "other bytes than step and height say")                                                                    \
    X(TASK, "another size than the task takes")                                                                        \
    X(TYPE, "a message type of another version: its publisher announces another type hash")                            \
    X(RESULT, "an outcome, a class or a score that there is none of")                                                  \
    X(PARTIAL, "a partial answer: topic is to name statuses")                                                          \
    X(REPEATED, "a result of a stamp that came already")

enum ei_dds_fault {
#define EI_X(name, text) EI_DDS_FAULT_##name,
    EI_DDS_FAULT_MAP(EI_X)
#undef EI_X
        EI_DDS_FAULTS
};

/* Static text. */
const char *ei_dds_fault_text(enum ei_dds_fault fault);

/* sensor_msgs/Image as it came; borrowed. */
struct ei_dds_image {
    uint32_t width, height, step;
    const char *encoding;
    const uint8_t *data;
    size_t data_bytes;
};

/* The input of the task. */
struct ei_dds_wanted {
    int32_t width_px, height_px; /* at most */
    int32_t channels;            /* 1 or 3 */
};

/* Check the image and make a frame of it: of its own bytes where they have the right order (rgb8, mono8), else of
 * scratch, into which they are converted (bgr8, rgba8, bgra8; mono8 for three channels). scratch holds width_px *
 * height_px * channels of wanted. out_frame borrows from either and is to be copied (its release is NULL). */
EINET_RT enum ei_dds_fault ei_dds_image_to_frame(const struct ei_dds_image *image, const struct ei_dds_wanted *wanted,
                                                 uint8_t *scratch, struct einet_frame *out_frame);

/* sensor_msgs/CompressedImage: what the file is, its first bytes say. out_frame borrows from data. */
EINET_RT enum ei_dds_fault ei_dds_file_to_frame(const uint8_t *data, size_t data_bytes, struct einet_frame *out_frame);

#endif
