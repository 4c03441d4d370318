/* See memory.h. */
#include "rt/memory.h"

#include "rt/clock.h"

#include <alloca.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define TOP_PAD_BYTES (64 * 1024 * 1024)
#define TABLE_ALIGN_BYTES ((size_t)128)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define TABLE_HUGE_MIN_BYTES ((size_t)8 << 20)
#define STACK_RESERVE_BYTES ((size_t)16 * 1024) /* left for the caller's own frames */

static atomic_bool is_malloc_tuned;

bool ei_memory_is_malloc_tuned(void)
{
    return atomic_load(&is_malloc_tuned);
}

int ei_memory_tune_malloc(void)
{
    const int ok = mallopt(M_TRIM_THRESHOLD, -1) & mallopt(M_MMAP_MAX, 0) & mallopt(M_TOP_PAD, TOP_PAD_BYTES) &
                   mallopt(M_ARENA_MAX, 1);
    atomic_store(&is_malloc_tuned, ok != 0);
    return ok != 0 ? 0 : -ENOTSUP;
}

void *ei_memory_table(size_t count, size_t entry_bytes)
{
    const size_t bytes = count * entry_bytes;
    if (entry_bytes != 0 && bytes / entry_bytes != count) {
        return NULL;
    }
    const size_t align = bytes < TABLE_HUGE_MIN_BYTES ? TABLE_ALIGN_BYTES : HUGE_PAGE_BYTES;
    const size_t whole = (bytes + align - 1) / align * align;
    void *table = aligned_alloc(align, whole);
    if (table != NULL) {
        if (align == HUGE_PAGE_BYTES) {
            (void)madvise(table, whole, MADV_HUGEPAGE); /* refused: slower, not wrong */
        }
        memset(table, 0, whole);
    }
    return table;
}

static int refused(struct einet_error *err, const char *what)
{
    const int code = errno;
    return einet_error_set(err, EINET_E_PRIVILEGE,
                           "cannot lock %s into memory: %s (fix: ulimit -l unlimited, or the capability cap_ipc_lock)",
                           what, strerror(code));
}

int ei_memory_lock(enum ei_memory_lock_mode mode, struct einet_error *err)
{
    if (mode != EI_MEMORY_LOCK_ALL) {
        return 0;
    }
    return mlockall(MCL_CURRENT | MCL_FUTURE) == 0 ? 0 : refused(err, "the process");
}

void ei_memory_unlock(void)
{
    (void)munlockall();
}

int ei_memory_lock_range(const void *start, size_t size_bytes, struct einet_error *err)
{
    return mlock(start, size_bytes) == 0 ? 0 : refused(err, "a range");
}

/* Lowest address and size of the calling thread's stack. */
static int own_stack(void **out_low, size_t *out_bytes)
{
    pthread_attr_t attr;
    int rc = pthread_getattr_np(pthread_self(), &attr);
    if (rc == 0) {
        rc = pthread_attr_getstack(&attr, out_low, out_bytes);
        pthread_attr_destroy(&attr);
    }
    return -rc;
}

int ei_memory_lock_stack(struct einet_error *err)
{
    void *low = NULL;
    size_t bytes = 0;
    const int rc = own_stack(&low, &bytes);
    return rc < 0 ? einet_error_set(err, rc, "cannot find this thread's stack") : ei_memory_lock_range(low, bytes, err);
}

__attribute__((noinline)) int64_t ei_memory_prefault_stack(size_t size_bytes)
{
    void *low = NULL;
    size_t bytes = 0;
    const int rc = own_stack(&low, &bytes);
    if (rc < 0) {
        return rc;
    }
    char here;
    const size_t below = (size_t)((uintptr_t)&here - (uintptr_t)low);
    if (below <= STACK_RESERVE_BYTES) {
        return 0;
    }
    const size_t reach = below - STACK_RESERVE_BYTES;
    const size_t touched = size_bytes < reach ? size_bytes : reach;
    if (touched > 0) {
        ei_memory_prefault_range(alloca(touched), touched);
    }
    return (int64_t)touched;
}

int ei_memory_prefault_heap(size_t size_bytes)
{
    void *block = malloc(size_bytes);
    if (block == NULL) {
        return -ENOMEM;
    }
    ei_memory_prefault_range(block, size_bytes);
    free(block);
    return 0;
}

void ei_memory_prefault_range(void *start, size_t size_bytes)
{
    volatile unsigned char *bytes = start;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < size_bytes; at += page) {
        bytes[at] = bytes[at];
    }
    if (size_bytes > 0) {
        bytes[size_bytes - 1] = bytes[size_bytes - 1];
    }
}

static int64_t timeval_ns(struct timeval tv)
{
    return (int64_t)tv.tv_sec * EI_NS_PER_S + (int64_t)tv.tv_usec * EI_NS_PER_US;
}

void ei_thread_usage_read(struct ei_thread_usage *out_usage)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage);
    *out_usage = (struct ei_thread_usage){
        .minor_faults = usage.ru_minflt,
        .major_faults = usage.ru_majflt,
        .voluntary_switches = usage.ru_nvcsw,
        .involuntary_switches = usage.ru_nivcsw,
        .cpu_ns = timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime),
    };
}
