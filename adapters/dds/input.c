/* Images from the readers into the run, on the thread that receives them. See bridge.h. */
#include "adapters/dds/bridge.h"
#include "adapters/dds/cdr.h"
#include "adapters/dds/pool/member.h"

#include <dds/ddsi/ddsi_serdata.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define TAKEN_AT_ONCE 5
#define LENT_BYTES ((size_t)64 * 1024)
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
    atomic_store(&task->frame_id_count, count + 1); /* it is read only behind a release that is yet to come */
    return count;
}

/* When the image was made, on the clock of the run; EINET_NOW when its stamp cannot be of this machine's time. */
static int64_t to_release_ns(const struct ei_dds_message *message)
{
    const int64_t age_ns = read_clock_ns(CLOCK_REALTIME) - ((int64_t)message->sec * 1000000000 + message->nanosec);
    return age_ns < 0 || age_ns > STAMP_AGE_MAX_NS ? EINET_NOW : read_clock_ns(CLOCK_MONOTONIC) - age_ns;
}

static void refuse(struct ei_dds_task *task, enum ei_dds_fault fault)
{
    atomic_store(&task->last_fault, (int)fault);
    atomic_fetch_add(&task->refused, 1);
    ei_bell_ring(&task->dds->bell); /* diagnostics say so */
}

/* To the run that has the images, or, from the instant on at which another takes over from it, to that. */
static int hand_in(struct einet_dds *dds, int32_t slot, int64_t release_ns, uint64_t tag,
                   const struct einet_frame *frame)
{
    atomic_fetch_add(&dds->releasing, 1);
    const int feed = atomic_load(&dds->feed);
    const struct ei_dds_feed *of = &dds->feeds[feed];
    int rc = einet_run_release_frame(of->run, of->promises[slot].task_idx, release_ns, tag, frame);
    if (rc == -ESHUTDOWN && (atomic_load(&dds->is_follower_expected) || atomic_load(&dds->feed) != feed)) {
        of = &dds->feeds[1 - feed];
        rc = einet_run_release_frame(of->run, of->promises[slot].task_idx, release_ns, tag, frame);
    }
    atomic_fetch_sub(&dds->releasing, 1);
    return rc;
}

/* Returns whether the run has the frame, and with it what it borrowed. */
static bool release(struct ei_dds_task *task, const struct ei_dds_message *message, const struct einet_frame *frame)
{
    struct einet_dds *dds = task->dds;
    if (message->nanosec >= 1000000000) {
        refuse(task, EI_DDS_FAULT_STAMP);
        return false;
    }
    const int32_t frame_id = find_frame_id(task, message->frame_id);
    if (frame_id < 0) {
        refuse(task, EI_DDS_FAULT_FRAME_ID);
        return false;
    }
    const uint64_t tag = ei_dds_tag(message->sec, message->nanosec, frame_id);
    const int64_t release_ns = to_release_ns(message);
    const int rc = hand_in(dds, (int32_t)(task - dds->tasks), release_ns, tag, frame);
    if (rc == 0) {
        atomic_fetch_add(&task->released, 1);
        atomic_fetch_add(&task->restamped, release_ns == EINET_NOW);
    } else if (rc == -ENOBUFS || rc == -EAGAIN || rc == -ECANCELED || rc == -ESHUTDOWN) {
        const struct ei_dds_record record = {.slot = (int32_t)(task - dds->tasks),
                                             .kind = EI_DDS_TURNED_AWAY,
                                             .result = {.tag = tag, .task_idx = task->task_idx}};
        atomic_fetch_add(&task->turned_away, 1);
        ei_dds_post(dds, &record);
    } else {
        refuse(task, EI_DDS_FAULT_TASK);
    }
    return rc == 0;
}

static void give_back(void *received, const void *data)
{
    (void)data;
    ddsi_serdata_unref(received);
}

/* Lend the run a picture of which a copy would take longer than its way back, and which lies as the run wants it. */
static void lend(const struct ei_dds_image *image, struct ddsi_serdata *received, struct einet_frame *frame)
{
    const size_t row = (size_t)frame->width_px * (size_t)frame->channels;
    if (frame->data == image->data && frame->row_bytes == row && frame->data_bytes >= LENT_BYTES) {
        frame->release = give_back;
        frame->context = received;
    }
}

/* The bytes of what was received stay in their place until the last reference goes. */
static bool take_one(struct ei_dds_task *task, struct ddsi_serdata *received, dds_instance_handle_t publisher)
{
    struct ei_dds_message message;
    struct einet_frame frame;
    atomic_fetch_add(&task->received, 1);
    if (!ei_dds_is_trusted(task, publisher)) {
        refuse(task, EI_DDS_FAULT_TYPE);
        return false;
    }
    ddsrt_iovec_t bytes;
    struct ddsi_serdata *seen = ddsi_serdata_to_ser_ref(received, 0, ddsi_serdata_size(received), &bytes);
    enum ei_dds_fault fault =
        (task->is_compressed ? ei_dds_read_file : ei_dds_read_image)(bytes.iov_base, bytes.iov_len, &message);
    ddsi_serdata_to_ser_unref(seen, &bytes);
    if (fault == EI_DDS_FAULT_NONE && task->is_compressed) {
        fault = ei_dds_file_to_frame(message.image.data, message.image.data_bytes, &frame);
    } else if (fault == EI_DDS_FAULT_NONE) {
        fault = ei_dds_image_to_frame(&message.image, &task->wanted, task->scratch, &frame);
        if (fault == EI_DDS_FAULT_NONE) {
            lend(&message.image, received, &frame);
        }
    }
    if (fault == EI_DDS_FAULT_NONE && task->dds->pool != NULL &&
        ei_pool_is_resting(task->dds->pool, (int32_t)(task - task->dds->tasks))) {
        atomic_fetch_add(&task->left, 1);
        return false;
    }
    if (fault != EI_DDS_FAULT_NONE) {
        refuse(task, fault);
        return false;
    }
    return release(task, &message, &frame) && frame.release != NULL;
}

static void take_all(struct ei_dds_task *task)
{
    struct ddsi_serdata *received[TAKEN_AT_ONCE];
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    int32_t count = TAKEN_AT_ONCE;
    while (count == TAKEN_AT_ONCE && atomic_load(&task->dds->is_taking)) {
        count = dds_takecdr(task->reader, received, TAKEN_AT_ONCE, infos, DDS_ANY_STATE);
        for (int32_t i = 0; i < count; i++) {
            if (!infos[i].valid_data || !take_one(task, received[i], infos[i].publication_handle)) {
                ddsi_serdata_unref(received[i]);
            }
        }
    }
}

void ei_dds_take_images(dds_entity_t reader, void *arg)
{
    struct ei_dds_task *task = arg;
    (void)reader;
    if (!atomic_load(&task->dds->is_taking) || atomic_fetch_add(&task->calls, 1) != 0) {
        return; /* it is called again at the start, or whoever takes looks again */
    }
    for (unsigned answered = 0, calls = 1; calls > 0; calls = atomic_fetch_sub(&task->calls, answered) - answered) {
        answered = atomic_load(&task->calls);
        take_all(task);
    }
}
