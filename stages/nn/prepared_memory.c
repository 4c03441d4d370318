/* First fit by decreasing size. Quadratic in the buffers, of which a large network has some hundreds. */
#include "stages/nn/prepared_memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool is_together(const struct ei_arena_buffer *a, const struct ei_arena_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset at which buffer `idx` meets none of those placed before. Each conflict moves it behind the one it met,
 * so this ends. */
static int64_t lowest_free(const struct ei_arena_buffer *buffers, const int32_t *order, int32_t placed, int32_t idx,
                           int64_t align_bytes)
{
    const struct ei_arena_buffer *wanted = &buffers[idx];
    int64_t offset = 0;
    for (int32_t i = 0; i < placed; i++) {
        const struct ei_arena_buffer *other = &buffers[order[i]];
        if (is_together(wanted, other) && offset < other->offset + other->bytes &&
            other->offset < offset + wanted->bytes) {
            offset = (other->offset + other->bytes + align_bytes - 1) / align_bytes * align_bytes;
            i = -1;
        }
    }
    return offset;
}

int64_t ei_arena_place(struct ei_arena_buffer *buffers, int32_t count, int64_t align_bytes)
{
    int32_t *order = malloc((size_t)(count + 1) * sizeof *order);
    bool *is_taken = calloc((size_t)count + 1, sizeof *is_taken);
    int64_t size = order != NULL && is_taken != NULL ? 0 : -ENOMEM;
    for (int32_t n = 0; size >= 0 && n < count; n++) {
        int32_t largest = -1;
        for (int32_t i = 0; i < count; i++) {
            if (!is_taken[i] && (largest < 0 || buffers[i].bytes > buffers[largest].bytes)) {
                largest = i;
            }
        }
        struct ei_arena_buffer *buffer = &buffers[largest];
        buffer->offset = lowest_free(buffers, order, n, largest, align_bytes);
        is_taken[largest] = true;
        order[n] = largest;
        size = buffer->offset + buffer->bytes > size ? buffer->offset + buffer->bytes : size;
    }
    free(order);
    free(is_taken);
    return size;
}
