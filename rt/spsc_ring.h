/* A ring of fixed-size records between one producer and one consumer thread. Lock-free, C11 acquire/release only. When
 * it is full, push drops the new record and counts it: the producer never waits.
 *
 * Producer's and consumer's fields are a cache line apart, whatever the alignment of the struct. Each side keeps a copy
 * of the other's index and reads the shared one only when the copy says full or empty.
 */
#ifndef RT_SPSC_RING_H
#define RT_SPSC_RING_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_CACHE_LINE_BYTES 64

struct ei_spsc_ring {
    uint8_t *storage; /* borrowed; the first four fields are constant after init */
    size_t record_bytes;
    uint64_t capacity;
    uint64_t mask;
    uint8_t pad0[EI_CACHE_LINE_BYTES];
    struct {
        atomic_uint_least64_t head; /* records pushed */
        uint64_t tail_copy;
        atomic_uint_least64_t dropped;
    } producer;
    uint8_t pad1[EI_CACHE_LINE_BYTES];
    struct {
        atomic_uint_least64_t tail; /* records taken */
        uint64_t head_copy;
    } consumer;
    uint8_t pad2[EI_CACHE_LINE_BYTES];
};

/* Bytes of storage that capacity records need; capacity is rounded up to a power of two. 0 when that overflows. */
size_t ei_spsc_ring_storage_bytes(size_t capacity, size_t record_bytes);

/* Use storage (borrowed until the ring's last use, aligned as the record type needs; prefault it) of storage_bytes.
 * Returns 0, or -EINVAL when a size is 0 or the storage is smaller than ei_spsc_ring_storage_bytes says. Before the
 * threads start. */
int ei_spsc_ring_init(struct ei_spsc_ring *ring, size_t capacity, size_t record_bytes, void *storage,
                      size_t storage_bytes);

/* Copy one record in. false = full, dropped and counted. Thread: the producer. */
EINET_RT bool ei_spsc_ring_push(struct ei_spsc_ring *ring, const void *record);

/* Ask for the memory of the next `count` records, so that their push finds it in the caches. Thread: the producer. */
EINET_RT void ei_spsc_ring_prefetch(const struct ei_spsc_ring *ring, size_t count);

/* Copy the oldest record out. false = empty. Thread: the consumer. */
EINET_RT bool ei_spsc_ring_pop(struct ei_spsc_ring *ring, void *out_record);

/* Copy up to max_count of the oldest records out, in order. Returns how many. Thread: the consumer. */
EINET_RT size_t ei_spsc_ring_pop_batch(struct ei_spsc_ring *ring, void *out_records, size_t max_count);

/* The oldest record in place, or NULL when empty. Valid until it is popped or discarded. Thread: the consumer. */
EINET_RT const void *ei_spsc_ring_peek(struct ei_spsc_ring *ring);

/* Give back the record that peek showed. Only after a peek that was not NULL. Thread: the consumer. */
EINET_RT void ei_spsc_ring_discard(struct ei_spsc_ring *ring);

/* Records now inside (exact for either side when the other stands still). Thread: any. */
EINET_RT uint64_t ei_spsc_ring_count(const struct ei_spsc_ring *ring);

/* Records dropped since init. Thread: any. */
EINET_RT uint64_t ei_spsc_ring_dropped(const struct ei_spsc_ring *ring);

#endif
