/* dds_in: images from the readers into the run. See bridge.h. */
#include "adapters/dds/bridge.h"

#include "ros2.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define TAKEN_AT_ONCE 5
#define STAMP_AGE_MAX_NS INT64_C(10000000000)

static int64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The number of a frame_id, or -1: it is too long, or one too many. */
static int32_t find_frame_id(struct ei_dds_task *task, const char *frame_id)
{
    const int32_t count = atomic_load(&task->frame_id_count);
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(task->frame_ids[i], frame_id) == 0) {
            return i;
        }
    }
    const size_t length = strlen(frame_id);
    if (count == EI_DDS_FRAME_IDS_MAX || length >= EI_DDS_FRAME_ID_BYTES) {
        return -1;
    }
    memcpy(task->frame_ids[count], frame_id, length + 1);
    atomic_store(&task->frame_id_count, count + 1); /* dds_out reads it only behind a release that is yet to come */
    return count;
}

/* When the image was made, on the clock of the run; EINET_NOW when its stamp cannot be of this machine's time. */
static int64_t to_release_ns(const builtin_interfaces_msg_dds__Time_ *stamp)
{
    const int64_t age_ns = read_clock_ns(CLOCK_REALTIME) - ((int64_t)stamp->sec * 1000000000 + (int64_t)stamp->nanosec);
    return age_ns < 0 || age_ns > STAMP_AGE_MAX_NS ? EINET_NOW : read_clock_ns(CLOCK_MONOTONIC) - age_ns;
}

static void refuse(struct ei_dds_task *task, enum ei_dds_fault fault)
{
    atomic_store(&task->last_fault, (int)fault);
    atomic_fetch_add(&task->refused, 1);
}

static void release(struct einet_dds *dds, int32_t slot, const std_msgs_msg_dds__Header_ *header,
                    const struct einet_frame *frame)
{
    struct ei_dds_task *task = &dds->tasks[slot];
    if (header->stamp.nanosec >= 1000000000) {
        refuse(task, EI_DDS_FAULT_STAMP);
        return;
    }
    const int32_t frame_id = find_frame_id(task, header->frame_id != NULL ? header->frame_id : "");
    if (frame_id < 0) {
        refuse(task, EI_DDS_FAULT_FRAME_ID);
        return;
    }
    const uint64_t tag = ei_dds_tag(header->stamp.sec, header->stamp.nanosec, frame_id);
    const int64_t release_ns = to_release_ns(&header->stamp);
    const int rc = einet_run_release_frame(dds->run, task->task_idx, release_ns, tag, frame);
    if (rc == 0) {
        atomic_fetch_add(&task->released, 1);
        atomic_fetch_add(&task->restamped, release_ns == EINET_NOW);
    } else if (rc == -ENOBUFS || rc == -EAGAIN || rc == -ECANCELED || rc == -ESHUTDOWN) {
        const struct ei_dds_record record = {
            .slot = slot, .is_turned_away = 1, .result = {.tag = tag, .task_idx = task->task_idx}};
        atomic_fetch_add(&task->turned_away, 1);
        ei_dds_post(dds, &record);
    } else {
        refuse(task, EI_DDS_FAULT_TASK);
    }
}

static void take_one(struct einet_dds *dds, int32_t slot, const void *sample)
{
    struct ei_dds_task *task = &dds->tasks[slot];
    struct einet_frame frame;
    enum ei_dds_fault fault;
    const std_msgs_msg_dds__Header_ *header;
    if (task->is_compressed) {
        const sensor_msgs_msg_dds__CompressedImage_ *file = sample;
        header = &file->header;
        fault = ei_dds_file_to_frame(file->data._buffer, file->data._length, &frame);
    } else {
        const sensor_msgs_msg_dds__Image_ *image = sample;
        header = &image->header;
        const struct ei_dds_image view = {.width = image->width,
                                          .height = image->height,
                                          .step = image->step,
                                          .encoding = image->encoding,
                                          .data = image->data._buffer,
                                          .data_bytes = image->data._length};
        fault = ei_dds_image_to_frame(&view, &task->wanted, task->scratch, &frame);
    }
    atomic_fetch_add(&task->received, 1);
    if (fault != EI_DDS_FAULT_NONE) {
        refuse(task, fault);
        return;
    }
    release(dds, slot, header, &frame);
}

static void take_all(struct einet_dds *dds, int32_t slot)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    const dds_entity_t reader = dds->tasks[slot].reader;
    int32_t count = TAKEN_AT_ONCE;
    while (count == TAKEN_AT_ONCE && !atomic_load(&dds->is_in_ending)) {
        samples[0] = NULL; /* lend them */
        count = dds_take(reader, samples, infos, TAKEN_AT_ONCE, TAKEN_AT_ONCE);
        for (int32_t i = 0; i < count; i++) {
            if (infos[i].valid_data) {
                take_one(dds, slot, samples[i]);
            }
        }
        if (count > 0) {
            (void)dds_return_loan(reader, samples, count);
        }
    }
}

void ei_dds_take_images(void *arg)
{
    struct einet_dds *dds = arg;
    while (!atomic_load(&dds->is_in_ending)) {
        (void)dds_waitset_wait(dds->waitset, NULL, 0, DDS_INFINITY);
        for (int32_t slot = 0; slot < dds->task_count; slot++) {
            take_all(dds, slot);
        }
    }
}
