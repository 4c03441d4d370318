/* What comes with a release from outside: pictures that a program hands in (`input: {kind: caller}`), or the result of
 * another run with which a chain goes on here, for all tasks of it (ei_input_is_result). A fixed number of places per
 * task, made before the run, owned by the tap.
 *
 *   FREE --claim--> TAKEN --the release is accepted, runs or not, its record is made--> copied: FREE again
 *    ^                |                                                                 borrowed: DONE
 *    +---- refused ---+                    the listener gives the picture back: DONE --> FREE
 *
 * A place goes with its release (ei_release.frame, from 1 on; 0 = none), so exactly one record ends it.
 */
#ifndef ENGINE_FRAMES_H
#define ENGINE_FRAMES_H

#include "workloads/spec.h"

#include <einet/image.h>
#include <stdatomic.h>

#define EI_FRAMES_SPARE 8                              /* places beside those of the queue and of the jobs in flight */
#define EI_FRAMES_BYTES_MAX ((size_t)1 << 30)          /* of the copies of one task */
#define EI_FRAMES_COMPRESSED_BYTES ((size_t)64 * 1024) /* at least, in each place */

enum ei_frame_state { EI_FRAME_FREE, EI_FRAME_TAKEN, EI_FRAME_DONE };

struct ei_frame {
    atomic_int state; /* enum ei_frame_state; the rest is of whoever took it */
    struct einet_image image;
    uint8_t *copy;                                    /* [copy_bytes]; of a result that itself */
    void (*release)(void *context, const void *data); /* NULL = copied */
    void *context;
    const void *data; /* borrowed */
    void *event;      /* on a device: comes before it may be read; NULL = none */
};

struct ei_frames {
    int32_t count; /* 0 = the task takes none */
    struct ei_frame *frames;
    uint8_t *storage;
    size_t copy_bytes;
    bool is_resized, is_decoded; /* its stages have the operation */
    bool is_on_device;           /* all are borrowed, and lie in memory of device device_idx */
    int32_t device_idx;
    int32_t width_px, height_px, channels;
    bool is_result;  /* none of the above: its places hold a struct einet_result each */
    atomic_int hint; /* where to look for a free place first */
};

/* Places for the pictures of a task, or for the results with which its chain begins; none when that is neither. Returns
 * 0, -ENOMEM or EINET_E_LIMIT. */
int ei_frames_init(struct ei_frames *frames, const struct ei_workload *wl, int32_t task_idx, struct einet_error *err);
void ei_frames_fini(struct ei_frames *frames);

/* Claim a place: its number from 1 on, or 0: all are taken. Thread: any. */
EINET_RT int32_t ei_frames_claim(struct ei_frames *frames);
/* The place, by its number. */
EINET_RT struct ei_frame *ei_frames_at(const struct ei_frames *frames, int32_t number);
/* Copy the result in a place to one of the next task: its number there, or 0: all are taken. Thread: any. */
EINET_RT int32_t ei_frames_hand_on(const struct ei_frames *frames, int32_t number, struct ei_frames *next);
/* Nothing came of the claim. Thread: who claimed. */
EINET_RT void ei_frames_unclaim(struct ei_frames *frames, int32_t number);
/* The release is over. Returns whether the listener has to give the picture back. */
EINET_RT bool ei_frames_end(struct ei_frames *frames, int32_t number);
/* Give back all that are done. Thread: the listener. */
void ei_frames_give_back(struct ei_frames *frames);

#endif
