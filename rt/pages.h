/* Memory for large tables that are streamed or visited at random, handed out piece by piece and freed as a whole.
 *
 * It lies in huge pages where the system gives some (transparent huge pages `madvise` or `always`): a hardware
 * prefetcher stops at the end of a page, and each small page costs a translation, so streaming 4 KiB pages reaches
 * half of the bandwidth or less. Pages that nobody touched cost nothing, unless all memory is locked. One thread at a
 * time.
 */
#ifndef RT_PAGES_H
#define RT_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define EI_PAGES_ALIGN_BYTES 64

/* Zeroed = empty. */
struct ei_pages {
    struct ei_pages_chunk *chunks; /* owned, the last one first */
    int64_t bytes;                 /* handed out */
};

/* Zeroed memory, aligned to EI_PAGES_ALIGN_BYTES; bytes >= 0. NULL = none left. Not real-time safe. */
void *ei_pages_take(struct ei_pages *pages, int64_t bytes);

/* Free everything that was taken. */
void ei_pages_fini(struct ei_pages *pages);

#endif
