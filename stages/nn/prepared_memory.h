/* Where the buffers of a straight line of runs lie: an arena in which buffers that are not needed at the same time may
 * share memory. Pure.
 */
#ifndef STAGES_NN_PREPARED_MEMORY_H
#define STAGES_NN_PREPARED_MEMORY_H

#include <stdint.h>

struct ei_arena_buffer {
    int64_t bytes;
    int32_t first, last; /* runs that need it, both included */
    int64_t offset;      /* out */
};

/* Choose the offsets, multiples of align_bytes, largest buffers first, each at the lowest place that is free. Returns
 * the arena's size, or -ENOMEM. */
int64_t ei_arena_place(struct ei_arena_buffer *buffers, int32_t count, int64_t align_bytes);

#endif
