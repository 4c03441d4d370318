/* A bump arena that is sealed when the start is over: one mapping, prefaulted, nothing is ever freed one by one.
 *
 *     init -> alloc ... alloc -> seal -> (alloc returns NULL and is counted) -> fini
 *
 * Thread: init, alloc, seal and fini from one thread at a time; after seal any thread may read the counters.
 */
#ifndef RT_ARENA_H
#define RT_ARENA_H

#include <einet/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ei_arena {
    uint8_t *base;
    size_t size_bytes;
    size_t used_bytes;
    atomic_bool is_sealed;
    atomic_uint_least64_t refused_count; /* allocations asked for after seal */
};

/* Map and touch size_bytes (rounded up to pages); lock them too when asked. Returns 0, -EINVAL, -ENOMEM or
 * EINET_E_PRIVILEGE (the lock). */
int ei_arena_init(struct ei_arena *arena, size_t size_bytes, bool lock, struct einet_error *err);

/* Unmap. All blocks end here. Accepts an arena that is all zero. */
void ei_arena_fini(struct ei_arena *arena);

/* size_bytes of zeroed memory, aligned to align_bytes (a power of two up to the page size; 0 = 16). NULL when the arena
 * is sealed (counted), full, or the alignment is senseless. Never faults, never calls the system. */
void *ei_arena_alloc(struct ei_arena *arena, size_t size_bytes, size_t align_bytes);

/* From now on alloc returns NULL. */
void ei_arena_seal(struct ei_arena *arena);

/* Allocations refused since seal. Thread: any. */
uint64_t ei_arena_refused_count(const struct ei_arena *arena);

#endif
