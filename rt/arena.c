/* See arena.h. */
#include "rt/arena.h"

#include "rt/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN_DEFAULT_BYTES 16

int ei_arena_init(struct ei_arena *arena, size_t size_bytes, bool lock, struct einet_error *err)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size_bytes == 0 || size_bytes > SIZE_MAX - page) {
        return einet_error_set(err, -EINVAL, "an arena of %zu bytes is senseless", size_bytes);
    }
    const size_t rounded = (size_bytes + page - 1) / page * page;
    void *base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return einet_error_set(err, -ENOMEM, "no memory for an arena of %zu bytes", rounded);
    }
    ei_memory_prefault_range(base, rounded);
    if (lock) {
        const int rc = ei_memory_lock_range(base, rounded, err);
        if (rc < 0) {
            munmap(base, rounded);
            return rc;
        }
    }
    arena->base = base;
    arena->size_bytes = rounded;
    arena->used_bytes = 0;
    atomic_init(&arena->is_sealed, false);
    atomic_init(&arena->refused_count, 0);
    return 0;
}

void ei_arena_fini(struct ei_arena *arena)
{
    if (arena->base != NULL) {
        munmap(arena->base, arena->size_bytes);
        arena->base = NULL;
        arena->size_bytes = 0;
        arena->used_bytes = 0;
    }
}

void *ei_arena_alloc(struct ei_arena *arena, size_t size_bytes, size_t align_bytes)
{
    if (atomic_load_explicit(&arena->is_sealed, memory_order_acquire)) {
        atomic_fetch_add_explicit(&arena->refused_count, 1, memory_order_relaxed);
        return NULL;
    }
    const size_t align = align_bytes == 0 ? ALIGN_DEFAULT_BYTES : align_bytes;
    if ((align & (align - 1)) != 0 || align > (size_t)sysconf(_SC_PAGESIZE)) {
        return NULL;
    }
    const size_t start = (arena->used_bytes + align - 1) & ~(align - 1);
    if (start > arena->size_bytes || size_bytes > arena->size_bytes - start) {
        return NULL;
    }
    arena->used_bytes = start + size_bytes;
    return arena->base + start;
}

void ei_arena_seal(struct ei_arena *arena)
{
    atomic_store_explicit(&arena->is_sealed, true, memory_order_release);
}

uint64_t ei_arena_refused_count(const struct ei_arena *arena)
{
    return atomic_load_explicit(&arena->refused_count, memory_order_relaxed);
}
