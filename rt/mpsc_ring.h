/* A ring of fixed-size records from any number of producer threads to one consumer. C11 atomics only: no lock, no
 * allocation. When it is full, push refuses the new record.
 *
 * Each cell has a turn (Vyukov's bounded queue): a producer takes the next place by compare-and-swap, copies its record
 * in and hands the cell over. A producer that is preempted between the two hides the records behind its own until it
 * goes on; it delays no other producer. Records of one producer keep their order.
 */
#ifndef RT_MPSC_RING_H
#define RT_MPSC_RING_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ei_mpsc_ring {
    uint8_t *storage; /* borrowed; the first four fields are constant after init */
    size_t record_bytes, cell_bytes;
    uint64_t mask;
    uint8_t pad0[64];
    atomic_uint_least64_t head; /* next place; of the producers */
    uint8_t pad1[64];
    uint64_t tail; /* of the consumer */
    uint8_t pad2[64];
};

/* Bytes of storage that capacity records need; capacity is rounded up to a power of two. 0 when that overflows. */
size_t ei_mpsc_ring_storage_bytes(size_t capacity, size_t record_bytes);

/* Use storage (borrowed until the ring's last use, aligned to 8; prefault it) of storage_bytes. Returns 0, or -EINVAL
 * when a size is 0 or the storage is smaller than ei_mpsc_ring_storage_bytes says. Before the threads start. */
int ei_mpsc_ring_init(struct ei_mpsc_ring *ring, size_t capacity, size_t record_bytes, void *storage,
                      size_t storage_bytes);

/* Copy one record in; false = full. Thread: any. */
EINET_RT bool ei_mpsc_ring_push(struct ei_mpsc_ring *ring, const void *record);

/* Copy the oldest record out; false = none that is complete. Thread: the consumer. */
EINET_RT bool ei_mpsc_ring_pop(struct ei_mpsc_ring *ring, void *out_record);

#endif
