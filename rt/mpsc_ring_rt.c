/* See mpsc_ring.h. The turn of cell c is p when place p (p mod capacity = c) may be written, p + 1 when it may be read.
 */
#include "rt/mpsc_ring.h"

#include <errno.h>
#include <string.h>

#define ALIGNMENT sizeof(uint64_t)

struct cell {
    atomic_uint_least64_t turn;
    uint8_t record[];
};

static size_t cell_size(size_t record_bytes)
{
    return sizeof(struct cell) + (record_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t round_up(uint64_t capacity)
{
    uint64_t power = 1;
    while (power < capacity && power <= UINT64_MAX / 2) {
        power *= 2;
    }
    return power;
}

size_t ei_mpsc_ring_storage_bytes(size_t capacity, size_t record_bytes)
{
    if (capacity == 0 || capacity > SIZE_MAX / 4 || record_bytes == 0 || record_bytes > SIZE_MAX / 4) {
        return 0;
    }
    const size_t cells = (size_t)round_up(capacity), bytes = cell_size(record_bytes);
    return cells > SIZE_MAX / bytes ? 0 : cells * bytes;
}

static struct cell *cell_at(const struct ei_mpsc_ring *ring, uint64_t place)
{
    return (struct cell *)(void *)(ring->storage + (place & ring->mask) * ring->cell_bytes);
}

int ei_mpsc_ring_init(struct ei_mpsc_ring *ring, size_t capacity, size_t record_bytes, void *storage,
                      size_t storage_bytes)
{
    const size_t needed = ei_mpsc_ring_storage_bytes(capacity, record_bytes);
    if (needed == 0 || storage == NULL || storage_bytes < needed) {
        return -EINVAL;
    }
    ring->storage = storage;
    ring->record_bytes = record_bytes;
    ring->cell_bytes = cell_size(record_bytes);
    ring->mask = round_up(capacity) - 1;
    atomic_init(&ring->head, 0);
    ring->tail = 0;
    for (uint64_t place = 0; place <= ring->mask; place++) {
        atomic_init(&cell_at(ring, place)->turn, place);
    }
    return 0;
}

EINET_RT bool ei_mpsc_ring_push(struct ei_mpsc_ring *ring, const void *record)
{
    uint64_t place = atomic_load_explicit(&ring->head, memory_order_relaxed);
    struct cell *cell;
    for (;;) {
        cell = cell_at(ring, place);
        const int64_t ahead = (int64_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - place);
        if (ahead < 0) {
            return false; /* a lap behind: not read yet */
        }
        if (ahead > 0) {
            place = atomic_load_explicit(&ring->head, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&ring->head, &place, place + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            break;
        }
    }
    memcpy(cell->record, record, ring->record_bytes);
    atomic_store_explicit(&cell->turn, place + 1, memory_order_release);
    return true;
}

EINET_RT bool ei_mpsc_ring_pop(struct ei_mpsc_ring *ring, void *out_record)
{
    struct cell *cell = cell_at(ring, ring->tail);
    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != ring->tail + 1) {
        return false;
    }
    memcpy(out_record, cell->record, ring->record_bytes);
    atomic_store_explicit(&cell->turn, ring->tail + ring->mask + 1, memory_order_release);
    ring->tail++;
    return true;
}
