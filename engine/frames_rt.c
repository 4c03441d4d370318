/* See frames.h. */
#include "engine/frames.h"

#include <string.h>

int32_t ei_frames_claim(struct ei_frames *frames)
{
    const int start = atomic_load_explicit(&frames->hint, memory_order_relaxed);
    for (int32_t i = 0; i < frames->count; i++) {
        const int32_t at = (int32_t)(((int64_t)start + i) % frames->count);
        int expected = EI_FRAME_FREE;
        if (atomic_compare_exchange_strong(&frames->frames[at].state, &expected, EI_FRAME_TAKEN)) {
            atomic_store_explicit(&frames->hint, at + 1, memory_order_relaxed);
            return at + 1;
        }
    }
    return 0;
}

struct ei_frame *ei_frames_at(const struct ei_frames *frames, int32_t number)
{
    return &frames->frames[number - 1];
}

int32_t ei_frames_hand_on(const struct ei_frames *frames, int32_t number, struct ei_frames *next)
{
    const int32_t there = ei_frames_claim(next);
    if (there > 0) {
        memcpy(ei_frames_at(next, there)->copy, ei_frames_at(frames, number)->copy, next->copy_bytes);
    }
    return there;
}

void ei_frames_unclaim(struct ei_frames *frames, int32_t number)
{
    atomic_store(&ei_frames_at(frames, number)->state, EI_FRAME_FREE);
}

bool ei_frames_end(struct ei_frames *frames, int32_t number)
{
    struct ei_frame *frame = ei_frames_at(frames, number);
    const bool is_borrowed = frame->release != NULL;
    atomic_store(&frame->state, is_borrowed ? EI_FRAME_DONE : EI_FRAME_FREE);
    return is_borrowed;
}
