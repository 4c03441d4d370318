/* Memory of the pictures, and their way back. See frames.h. */
#include "engine/frames.h"

#include "engine/chain_rt.h"
#include "engine/external_rt.h"

#include <einet/run.h>
#include <errno.h>
#include <stdlib.h>

_Static_assert(EI_CHAIN_INBOX_EVENTS == EI_EXTERNAL_INBOX_REQUESTS, "as many may wait in either inbox");

static int make_places(struct ei_frames *frames, const char *task_name, int32_t count, size_t bytes,
                       struct einet_error *err)
{
    frames->frames = calloc((size_t)count, sizeof *frames->frames);
    frames->storage = calloc((size_t)count, bytes);
    if (frames->frames == NULL || frames->storage == NULL) {
        ei_frames_fini(frames);
        return einet_error_set(err, -ENOMEM, "no memory for what comes with the releases of task '%s'", task_name);
    }
    for (int32_t i = 0; i < count; i++) {
        frames->frames[i].copy = &frames->storage[(size_t)i * bytes];
    }
    frames->count = count;
    frames->copy_bytes = bytes;
    return 0;
}

int ei_frames_init(struct ei_frames *frames, const struct ei_workload *wl, int32_t task_idx, struct einet_error *err)
{
    const struct ei_task_spec *spec = &wl->tasks[task_idx];
    const int32_t count = spec->late_release.queue + spec->overlap + EI_FRAMES_SPARE;
    *frames = (struct ei_frames){0};
    if (ei_input_is_result(&wl->tasks[ei_workload_chain_head(wl, task_idx)].input)) {
        frames->is_result = true; /* they are small: as many as may wait in the inbox, too */
        return make_places(frames, spec->name, EI_EXTERNAL_INBOX_REQUESTS + count, sizeof(struct einet_result), err);
    }
    if (!ei_input_is_handed_in(&spec->input)) {
        return 0;
    }
    size_t bytes = (size_t)spec->input.width_px * (size_t)spec->input.height_px * (size_t)spec->input.channels;
    frames->is_resized = ei_task_has_op(spec, EI_SPEC_OP_RESIZE);
    frames->is_decoded = ei_task_has_op(spec, EI_SPEC_OP_DECODE);
    frames->is_on_device = spec->input.memory == EI_SPEC_MEMORY_DEVICE;
    if (frames->is_on_device) { /* nothing is copied here */
        frames->device_idx = wl->lanes[spec->stages[spec->nn_stage_idx].lane_idx].device_idx;
        bytes = 1;
    }
    bytes = frames->is_decoded && bytes < EI_FRAMES_COMPRESSED_BYTES ? EI_FRAMES_COMPRESSED_BYTES : bytes;
    if (bytes > EI_FRAMES_BYTES_MAX / (size_t)count) {
        return einet_error_set(err, EINET_E_LIMIT,
                               "task '%s' would keep %d pictures of %zu bytes, which is more than 1 GiB: shorten its "
                               "late_release queue or make the pictures smaller",
                               spec->name, count, bytes);
    }
    frames->width_px = spec->input.width_px;
    frames->height_px = spec->input.height_px;
    frames->channels = spec->input.channels;
    return make_places(frames, spec->name, count, bytes, err);
}

void ei_frames_fini(struct ei_frames *frames)
{
    free(frames->frames);
    free(frames->storage);
    *frames = (struct ei_frames){0};
}

void ei_frames_give_back(struct ei_frames *frames)
{
    for (int32_t i = 0; i < frames->count && !frames->is_result; i++) {
        struct ei_frame *frame = &frames->frames[i];
        if (atomic_load(&frame->state) == EI_FRAME_DONE) {
            frame->release(frame->context, frame->data);
            atomic_store(&frame->state, EI_FRAME_FREE);
        }
    }
}
