/* Images and results from the readers into the run, on the thread that receives them. See bridge.h. */
#include "adapters/dds/bridge.h"
#include "adapters/dds/cdr.h"
#include "adapters/dds/pool/member.h"

#include <dds/ddsi/ddsi_serdata.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define TAKEN_AT_ONCE 10
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

/* Have dds_out say what is said of an image without a job. */
static void post_unreleased(struct ei_dds_task *task, enum ei_dds_record_kind kind, uint64_t tag)
{
    const struct ei_dds_record record = {.slot = (int32_t)(task - task->dds->tasks),
                                         .kind = (int32_t)kind,
                                         .result = {.tag = tag, .task_idx = atomic_load(&task->task_idx)}};
    ei_dds_post(task->dds, &record);
}

/* What became of a call that releases; returns whether the run has it. */
static bool note_release(struct ei_dds_task *task, uint64_t tag, int64_t release_ns, int rc)
{
    if (rc == 0) {
        atomic_fetch_add(&task->released, 1);
        atomic_fetch_add(&task->restamped, release_ns == EINET_NOW);
    } else if (rc == -ENOBUFS || rc == -EAGAIN || rc == -ECANCELED || rc == -ESHUTDOWN) {
        atomic_fetch_add(&task->turned_away, 1);
        post_unreleased(task, EI_DDS_TURNED_AWAY, tag);
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

/* What a message brings. */
struct load {
    struct ei_dds_message message;
    struct einet_frame frame;   /* of a picture; its release: it borrows from the message */
    struct einet_result result; /* of a result */
    bool is_over;               /* nothing is to be done about that result any more but to say so */
};

static enum ei_dds_fault read_picture(struct ei_dds_task *task, struct ddsi_serdata *received,
                                      const ddsrt_iovec_t *bytes, struct load *load)
{
    const struct ei_dds_image *image = &load->message.image;
    enum ei_dds_fault fault;
    if (task->message == EINET_MESSAGE_COMPRESSED_IMAGE) {
        fault = ei_dds_read_file(bytes->iov_base, bytes->iov_len, &load->message);
        return fault == EI_DDS_FAULT_NONE ? ei_dds_file_to_frame(image->data, image->data_bytes, &load->frame) : fault;
    }
    fault = ei_dds_read_image(bytes->iov_base, bytes->iov_len, &load->message);
    fault =
        fault == EI_DDS_FAULT_NONE ? ei_dds_image_to_frame(image, &task->wanted, task->scratch, &load->frame) : fault;
    if (fault == EI_DDS_FAULT_NONE) {
        lend(image, received, &load->frame);
    }
    return fault;
}

/* Each stamp once, and jobs only forward: a result that comes behind a later one, as one that came to nothing
 * elsewhere, releases no job. A long way back is a clock that was set. */
static enum ei_dds_fault pass_gate(struct ei_dds_task *task, struct load *load)
{
    const struct ei_dds_message *message = &load->message;
    const bool is_completed = load->result.outcome == EINET_JOB_COMPLETED;
    enum ei_pool_pass pass = ei_pool_gate_pass(&task->gate, message->sec, message->nanosec, is_completed);
    if (pass == EI_POOL_BACKWARD && is_completed &&
        task->gate.answered - ((int64_t)message->sec * 1000000000 + message->nanosec) > STAMP_AGE_MAX_NS) {
        task->gate = (struct ei_pool_gate){0};
        pass = ei_pool_gate_pass(&task->gate, message->sec, message->nanosec, is_completed);
    }
    if (pass == EI_POOL_BACKWARD) {
        ei_pool_gate_note_status(&task->gate, message->sec, message->nanosec);
    }
    load->is_over = !is_completed || pass == EI_POOL_BACKWARD;
    return pass == EI_POOL_REPEATED ? EI_DDS_FAULT_REPEATED : EI_DDS_FAULT_NONE;
}

/* The bytes of what was received stay in their place until the last reference goes. */
static enum ei_dds_fault read_message(struct ei_dds_task *task, struct ddsi_serdata *received, struct load *load)
{
    ddsrt_iovec_t bytes;
    enum ei_dds_fault fault = EI_DDS_FAULT_NONE;
    struct ddsi_serdata *seen = ddsi_serdata_to_ser_ref(received, 0, ddsi_serdata_size(received), &bytes);
    if (!ei_dds_is_follower(task)) {
        fault = read_picture(task, received, &bytes, load);
    } else {
        fault = (task->message == EINET_MESSAGE_STATUS ? ei_dds_read_status : ei_dds_read_classification)(
            bytes.iov_base, bytes.iov_len, &load->message, &load->result);
    }
    ddsi_serdata_to_ser_unref(seen, &bytes);
    if (fault == EI_DDS_FAULT_NONE && load->message.nanosec >= 1000000000) {
        fault = EI_DDS_FAULT_STAMP;
    }
    return fault == EI_DDS_FAULT_NONE && ei_dds_is_follower(task) ? pass_gate(task, load) : fault;
}

static int release_in(const struct ei_dds_feed *of, const struct ei_dds_task *task, int64_t release_ns, uint64_t tag,
                      const struct load *load)
{
    const int32_t task_idx = of->promises[task - task->dds->tasks].task_idx;
    return ei_dds_is_follower(task) ? einet_run_release_result(of->run, task_idx, release_ns, tag, &load->result)
                                    : einet_run_release_frame(of->run, task_idx, release_ns, tag, &load->frame);
}

/* To the run that has the images, or, from the instant on at which another takes over from it, to that: the first may
 * be full or paused then, and says so before it says that it ends. */
static int hand_in(const struct ei_dds_task *task, int64_t release_ns, uint64_t tag, const struct load *load)
{
    struct einet_dds *dds = task->dds;
    atomic_fetch_add(&dds->releasing, 1);
    const int feed = atomic_load(&dds->feed);
    int rc = release_in(&dds->feeds[feed], task, release_ns, tag, load);
    if (rc != 0 && (atomic_load(&dds->is_successor_expected) || atomic_load(&dds->feed) != feed)) {
        const int next_rc = release_in(&dds->feeds[1 - feed], task, release_ns, tag, load);
        rc = next_rc == -EAGAIN ? rc : next_rc; /* that one does not take any yet */
    }
    atomic_fetch_sub(&dds->releasing, 1);
    return rc;
}

/* Returns whether the run has it, and with it what it borrowed. */
static bool release(struct ei_dds_task *task, const struct load *load)
{
    const struct ei_dds_message *message = &load->message;
    const int32_t frame_id = find_frame_id(task, message->frame_id);
    if (frame_id < 0) {
        refuse(task, EI_DDS_FAULT_FRAME_ID);
        return false;
    }
    const uint64_t tag = ei_dds_tag(message->sec, message->nanosec, frame_id);
    if (load->is_over) {
        atomic_fetch_add(&task->skipped, 1);
        post_unreleased(task, EI_DDS_UPSTREAM, tag);
        return false;
    }
    const int64_t release_ns = to_release_ns(message);
    const int rc = hand_in(task, release_ns, tag, load);
    return note_release(task, tag, release_ns, rc) && load->frame.release != NULL;
}

/* Returns whether the run keeps what was received. */
static bool take_one(struct ei_dds_task *task, struct ddsi_serdata *received, dds_instance_handle_t publisher)
{
    struct load load = {0};
    atomic_fetch_add(&task->received, 1);
    const enum ei_dds_fault fault =
        ei_dds_is_trusted(task, publisher) ? read_message(task, received, &load) : EI_DDS_FAULT_TYPE;
    if (fault != EI_DDS_FAULT_NONE) {
        refuse(task, fault);
        return false;
    }
    if (task->dds->pool != NULL && ei_pool_is_resting(task->dds->pool, (int32_t)(task - task->dds->tasks))) {
        atomic_fetch_add(&task->left, 1);
        return false;
    }
    return release(task, &load);
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

void ei_dds_take_messages(dds_entity_t reader, void *arg)
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
