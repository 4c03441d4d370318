/* Chunks of whole huge pages, each filled from its start. */
#include "rt/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 * 1024 * 1024)
#define CHUNK_BYTES (2 * HUGE_BYTES)

struct ei_pages_chunk {
    struct ei_pages_chunk *next;
    char *mapped, *start;
    size_t mapped_bytes, size_bytes, used_bytes;
};

/* Map without access first: where all future memory is locked, access would fill the range at once, with the small
 * pages that it has until it is asked for huge ones. */
static struct ei_pages_chunk *map_chunk(size_t bytes)
{
    struct ei_pages_chunk *chunk = calloc(1, sizeof *chunk);
    const size_t size = bytes > CHUNK_BYTES ? (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES : CHUNK_BYTES;
    void *mapped = chunk != NULL ? mmap(NULL, size + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
    if (chunk == NULL || mapped == MAP_FAILED) {
        free(chunk);
        return NULL;
    }
    chunk->mapped = mapped;
    chunk->mapped_bytes = size + HUGE_BYTES;
    chunk->start = chunk->mapped + (HUGE_BYTES - (uintptr_t)mapped % HUGE_BYTES) % HUGE_BYTES;
    chunk->size_bytes = size;
    (void)madvise(chunk->start, size, MADV_HUGEPAGE); /* refused: slower, not wrong */
    if (mprotect(chunk->start, size, PROT_READ | PROT_WRITE) != 0) {
        (void)munmap(chunk->mapped, chunk->mapped_bytes);
        free(chunk);
        return NULL;
    }
    return chunk;
}

void *ei_pages_take(struct ei_pages *pages, int64_t bytes)
{
    const size_t wanted =
        ((size_t)bytes / EI_PAGES_ALIGN_BYTES + (bytes % EI_PAGES_ALIGN_BYTES != 0)) * EI_PAGES_ALIGN_BYTES;
    struct ei_pages_chunk *chunk = pages->chunks;
    while (chunk != NULL && chunk->size_bytes - chunk->used_bytes < wanted) {
        chunk = chunk->next;
    }
    if (chunk == NULL) {
        chunk = map_chunk(wanted);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = pages->chunks;
        pages->chunks = chunk;
    }
    void *taken = chunk->start + chunk->used_bytes;
    chunk->used_bytes += wanted;
    pages->bytes += (int64_t)wanted;
    return taken;
}

void ei_pages_fini(struct ei_pages *pages)
{
    while (pages->chunks != NULL) {
        struct ei_pages_chunk *chunk = pages->chunks;
        pages->chunks = chunk->next;
        (void)munmap(chunk->mapped, chunk->mapped_bytes);
        free(chunk);
    }
    pages->bytes = 0;
}
