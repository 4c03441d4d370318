/* See spsc_ring.h. Indices run freely and are cut with the mask; head - tail is the number of records inside. */
#include "rt/spsc_ring.h"

#include <errno.h>
#include <string.h>

static size_t round_up(size_t capacity)
{
    size_t power = 1;
    while (power < capacity && power <= SIZE_MAX / 2) {
        power *= 2;
    }
    return power >= capacity ? power : 0;
}

size_t ei_spsc_ring_storage_bytes(size_t capacity, size_t record_bytes)
{
    const size_t rounded = round_up(capacity);
    return rounded != 0 && record_bytes != 0 && rounded <= SIZE_MAX / record_bytes ? rounded * record_bytes : 0;
}

int ei_spsc_ring_init(struct ei_spsc_ring *ring, size_t capacity, size_t record_bytes, void *storage,
                      size_t storage_bytes)
{
    const size_t needed = ei_spsc_ring_storage_bytes(capacity, record_bytes);
    if (capacity == 0 || record_bytes == 0 || needed == 0 || storage == NULL || storage_bytes < needed) {
        return -EINVAL;
    }
    memset(ring, 0, sizeof *ring);
    ring->storage = storage;
    ring->record_bytes = record_bytes;
    ring->capacity = needed / record_bytes;
    ring->mask = ring->capacity - 1;
    atomic_init(&ring->producer.head, 0);
    atomic_init(&ring->producer.dropped, 0);
    atomic_init(&ring->consumer.tail, 0);
    return 0;
}

static uint8_t *slot(const struct ei_spsc_ring *ring, uint64_t index)
{
    return ring->storage + (size_t)(index & ring->mask) * ring->record_bytes;
}

bool ei_spsc_ring_push(struct ei_spsc_ring *ring, const void *record)
{
    const uint64_t head = atomic_load_explicit(&ring->producer.head, memory_order_relaxed);
    if (head - ring->producer.tail_copy >= ring->capacity) {
        ring->producer.tail_copy = atomic_load_explicit(&ring->consumer.tail, memory_order_acquire);
        if (head - ring->producer.tail_copy >= ring->capacity) {
            const uint64_t dropped = atomic_load_explicit(&ring->producer.dropped, memory_order_relaxed);
            atomic_store_explicit(&ring->producer.dropped, dropped + 1, memory_order_relaxed);
            return false;
        }
    }
    memcpy(slot(ring, head), record, ring->record_bytes);
    atomic_store_explicit(&ring->producer.head, head + 1, memory_order_release);
    return true;
}

void ei_spsc_ring_prefetch(const struct ei_spsc_ring *ring, size_t count)
{
    const uint64_t head = atomic_load_explicit(&ring->producer.head, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *record = slot(ring, head + i);
        for (size_t at = 0; at < ring->record_bytes; at += EI_CACHE_LINE_BYTES) {
            __builtin_prefetch(record + at, 1);
        }
    }
}

const void *ei_spsc_ring_peek(struct ei_spsc_ring *ring)
{
    const uint64_t tail = atomic_load_explicit(&ring->consumer.tail, memory_order_relaxed);
    if (tail == ring->consumer.head_copy) {
        ring->consumer.head_copy = atomic_load_explicit(&ring->producer.head, memory_order_acquire);
        if (tail == ring->consumer.head_copy) {
            return NULL;
        }
    }
    return slot(ring, tail);
}

void ei_spsc_ring_discard(struct ei_spsc_ring *ring)
{
    const uint64_t tail = atomic_load_explicit(&ring->consumer.tail, memory_order_relaxed);
    atomic_store_explicit(&ring->consumer.tail, tail + 1, memory_order_release);
}

bool ei_spsc_ring_pop(struct ei_spsc_ring *ring, void *out_record)
{
    const void *record = ei_spsc_ring_peek(ring);
    if (record == NULL) {
        return false;
    }
    memcpy(out_record, record, ring->record_bytes);
    ei_spsc_ring_discard(ring);
    return true;
}

size_t ei_spsc_ring_pop_batch(struct ei_spsc_ring *ring, void *out_records, size_t max_count)
{
    size_t count = 0;
    while (count < max_count && ei_spsc_ring_pop(ring, (uint8_t *)out_records + count * ring->record_bytes)) {
        count++;
    }
    return count;
}

uint64_t ei_spsc_ring_count(const struct ei_spsc_ring *ring)
{
    /* The tail first: the head can only have moved on since, so the difference is never negative. */
    const uint64_t tail = atomic_load_explicit(&ring->consumer.tail, memory_order_acquire);
    return atomic_load_explicit(&ring->producer.head, memory_order_acquire) - tail;
}

uint64_t ei_spsc_ring_dropped(const struct ei_spsc_ring *ring)
{
    return atomic_load_explicit(&ring->producer.dropped, memory_order_relaxed);
}
