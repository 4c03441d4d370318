/* Pictures that come with a release: checked, then copied or borrowed. See einet/run.h. */
#include "library/run.h"

#include "library/sized.h"

#include <errno.h>
#include <string.h>

/* What may be wrong with a picture; the texts have the same order. */
enum fault {
    FAULT_NONE,
    FAULT_SIZE_BYTES,
    FAULT_NEWER,
    FAULT_TASK,
    FAULT_NOTHING,
    FAULT_FORMAT,
    FAULT_DECODE,
    FAULT_CHANNELS,
    FAULT_EXACT,
    FAULT_LARGE,
    FAULT_ROWS,
    FAULT_GAPS,
    FAULT_SHORT,
    FAULT_FILE,
    FAULT_ON_HOST,
    FAULT_ON_DEVICE,
    FAULT_DEVICE,
    FAULT_SHAPE,
    FAULT_LENT,
    FAULTS
};

static const struct {
    int code;
    const char *text;
} faults[FAULTS] = {
    [FAULT_NONE] = {0, ""},
    [FAULT_SIZE_BYTES] = {-EINVAL, "has no size: set size_bytes to sizeof the struct"},
    [FAULT_NEWER] = {-E2BIG, "is of a newer einet than this library: install that one"},
    [FAULT_TASK] = {-EINVAL, "is for a task that takes none: give the task input: { kind: caller, ... }"},
    [FAULT_NOTHING] = {-EINVAL, "has no data"},
    [FAULT_FORMAT] = {-EINVAL, "has an unknown format: see enum einet_pixel_format"},
    [FAULT_DECODE] = {-EINVAL, "is compressed, but no stage of the task has op decode: add it, or hand in raw pixels"},
    [FAULT_CHANNELS] = {-EINVAL, "has other channels than the input of the task: convert it, or change channels there"},
    [FAULT_EXACT] = {-EINVAL,
                     "has another size than the input of the task, which has no op resize: add that operation"},
    [FAULT_LARGE] = {-EMSGSIZE, "is larger than the input of the task says: scale it down, or raise width and height"},
    [FAULT_ROWS] = {-EINVAL, "has row_bytes smaller than a row, or planes with row_bytes: give 0 for no gaps"},
    [FAULT_GAPS] = {-EINVAL, "is to be borrowed but has gaps between its rows: have it copied"},
    [FAULT_SHORT] = {-EINVAL, "has fewer bytes than its shape needs: check data_bytes"},
    [FAULT_ON_HOST] = {-EINVAL, "is of the host, but the input of the task says memory: device: hand in "
                                "EINET_PIXELS_CHW_F32 in memory of its device"},
    [FAULT_ON_DEVICE] = {-EINVAL,
                         "is in memory of a device: give the task a lane of kind cuda and input: { kind: caller, "
                         "memory: device, ... }"},
    [FAULT_DEVICE] = {-EINVAL, "lies on another device than the lane of the task: copy it there, or change the lane"},
    [FAULT_SHAPE] = {-EINVAL, "has another shape than the input of the task: a network takes that one alone"},
    [FAULT_LENT] = {-EINVAL, "is in memory of a device and can only be borrowed: give it a release"},
    [FAULT_FILE] = {-EMSGSIZE, "is a file larger than a raw picture of the task: scale it down, or lend it"},
};

static size_t packed_row_bytes(const struct einet_frame *frame)
{
    return (size_t)frame->width_px * (size_t)frame->channels;
}

static enum fault check_raw(const struct ei_frames *frames, const struct einet_frame *frame)
{
    const bool is_larger = frame->width_px > frames->width_px || frame->height_px > frames->height_px;
    if (frame->channels != frames->channels) {
        return FAULT_CHANNELS;
    }
    if (frame->width_px < 1 || frame->height_px < 1 ||
        (!frames->is_resized && (frame->width_px != frames->width_px || frame->height_px != frames->height_px))) {
        return FAULT_EXACT;
    }
    if (is_larger) {
        return FAULT_LARGE;
    }
    const size_t row = packed_row_bytes(frame);
    const size_t step = frame->row_bytes != 0 ? frame->row_bytes : row;
    if (step < row || (frame->format == EINET_PIXELS_CHW_U8 && frame->row_bytes != 0)) {
        return FAULT_ROWS;
    }
    if (frame->release != NULL && step != row) {
        return FAULT_GAPS;
    }
    /* the last row needs no gap behind it; divided, so that no product can overflow */
    const size_t gaps = (size_t)frame->height_px - 1;
    return frame->data_bytes < row || (gaps > 0 && (frame->data_bytes - row) / gaps < step) ? FAULT_SHORT : FAULT_NONE;
}

static enum fault check_device(const struct ei_frames *frames, const struct einet_frame *frame)
{
    if (frame->device_idx != frames->device_idx) {
        return FAULT_DEVICE;
    }
    if (frame->release == NULL) {
        return FAULT_LENT;
    }
    if (frame->channels != frames->channels || frame->width_px != frames->width_px ||
        frame->height_px != frames->height_px) {
        return FAULT_SHAPE;
    }
    if (frame->row_bytes != 0) {
        return FAULT_ROWS;
    }
    const size_t bytes = packed_row_bytes(frame) * (size_t)frame->height_px * sizeof(float);
    return frame->data_bytes < bytes ? FAULT_SHORT : FAULT_NONE;
}

/* Take the caller's struct and check it against the task. */
EINET_RT static enum fault take_frame(const struct einet_run *run, int32_t task_idx, const struct einet_frame *theirs,
                                      struct einet_frame *out)
{
    if (task_idx < 0 || task_idx >= run->tap.task_count || run->tap.frames[task_idx].count == 0 ||
        run->tap.frames[task_idx].is_result) {
        return FAULT_TASK;
    }
    const struct ei_frames *frames = &run->tap.frames[task_idx];
    const int rc = ei_sized_take(out, sizeof *out, theirs);
    if (rc < 0) {
        return rc == -E2BIG ? FAULT_NEWER : FAULT_SIZE_BYTES;
    }
    if (out->data == NULL || out->data_bytes == 0) {
        return FAULT_NOTHING;
    }
    if (frames->is_on_device != (out->format == EINET_PIXELS_CHW_F32)) {
        return frames->is_on_device ? FAULT_ON_HOST : FAULT_ON_DEVICE;
    }
    switch (out->format) {
    case EINET_PIXELS_CHW_F32:
        return check_device(frames, out);
    case EINET_PIXELS_HWC_U8:
    case EINET_PIXELS_CHW_U8:
        return check_raw(frames, out);
    case EINET_PIXELS_PNG:
    case EINET_PIXELS_JPEG:
        break;
    default:
        return FAULT_FORMAT;
    }
    if (!frames->is_decoded) {
        return FAULT_DECODE;
    }
    return out->release == NULL && out->data_bytes > frames->copy_bytes ? FAULT_FILE : FAULT_NONE;
}

int einet_run_check_frame(const struct einet_run *run, int32_t task_idx, const struct einet_frame *frame,
                          struct einet_error *err)
{
    struct einet_frame taken;
    const enum fault fault = take_frame(run, task_idx, frame, &taken);
    if (fault == FAULT_NONE) {
        return 0;
    }
    const bool is_known = task_idx >= 0 && task_idx < run->tap.task_count;
    return einet_error_set(err, faults[fault].code, "the picture for task '%s' %s",
                           is_known ? run->workload->spec->tasks[task_idx].name : "?", faults[fault].text);
}

/* Copied without gaps between its rows, or borrowed. */
EINET_RT static void fill_place(struct ei_frame *place, const struct einet_frame *frame)
{
    const bool is_raw = frame->format == EINET_PIXELS_HWC_U8 || frame->format == EINET_PIXELS_CHW_U8;
    const size_t row = is_raw ? packed_row_bytes(frame) : 0;
    const size_t bytes = is_raw ? row * (size_t)frame->height_px : frame->data_bytes;
    place->release = frame->release;
    place->context = frame->context;
    place->data = frame->data;
    place->event = frame->ready_event;
    place->image = (struct einet_image){
        .data = frame->release != NULL ? frame->data : place->copy,
        .size_bytes = bytes,
        .format = (enum einet_pixel_format)frame->format,
        .width_px = frame->width_px,
        .height_px = frame->height_px,
        .channels = frame->channels,
    };
    if (frame->release == NULL && (frame->row_bytes == 0 || frame->row_bytes == row)) {
        memcpy(place->copy, frame->data, bytes);
    } else if (frame->release == NULL) {
        for (size_t y = 0; y < (size_t)frame->height_px; y++) {
            memcpy(&place->copy[y * row], (const uint8_t *)frame->data + y * frame->row_bytes, row);
        }
    }
}

EINET_RT int einet_run_release_frame(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag,
                                     const struct einet_frame *frame)
{
    struct einet_frame taken;
    const enum fault fault = take_frame(run, task_idx, frame, &taken);
    if (fault != FAULT_NONE) {
        return faults[fault].code;
    }
    struct ei_frames *frames = &run->tap.frames[task_idx];
    const int32_t number = ei_frames_claim(frames);
    if (number == 0) {
        return -ENOBUFS;
    }
    fill_place(ei_frames_at(frames, number), &taken);
    const int rc = ei_run_release(run, task_idx, stamp_ns, tag, number);
    if (rc < 0) {
        ei_frames_unclaim(frames, number);
    }
    return rc;
}
