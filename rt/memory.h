/* Memory that does not fault: malloc settings, locking, prefaulting, and the counters that show whether it worked.
 *
 * Order at start: ei_memory_tune_malloc before anything large is allocated or loaded; build and warm up everything;
 * prefault; ei_memory_lock; then SCHED_FIFO.
 */
#ifndef RT_MEMORY_H
#define RT_MEMORY_H

#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ei_memory_lock_mode {
    EI_MEMORY_LOCK_ALL,     /* mlockall: every present and future page of the process */
    EI_MEMORY_LOCK_RT_ONLY, /* only what ei_memory_lock_range is told: arenas, rings, stacks of job threads */
    EI_MEMORY_LOCK_NONE
};

/* Keep freed memory and never map single blocks: M_TRIM_THRESHOLD off, M_MMAP_MAX 0, M_TOP_PAD 64 MiB, M_ARENA_MAX 1.
 * Returns 0, or -ENOTSUP when the allocator refuses one of them. Thread: main, before others exist. */
int ei_memory_tune_malloc(void);

/* Whether that was done. */
bool ei_memory_is_malloc_tuned(void);

/* Lock as the mode says. RT_ONLY and NONE do nothing here and return 0. Returns 0 or EINET_E_PRIVILEGE, with the fix in
 * the text. Thread: any, not real-time safe: with ALL every mapped page is read in. */
int ei_memory_lock(enum ei_memory_lock_mode mode, struct einet_error *err);

/* Undo ei_memory_lock and every locked range. */
void ei_memory_unlock(void);

/* Lock one range (for RT_ONLY). Returns 0 or EINET_E_PRIVILEGE. Not real-time safe. */
int ei_memory_lock_range(const void *start, size_t size_bytes, struct einet_error *err);

/* Lock the calling thread's whole stack (for RT_ONLY). Returns 0, EINET_E_PRIVILEGE or -errno. */
int ei_memory_lock_stack(struct einet_error *err);

/* Touch up to size_bytes of the calling thread's stack below the present frame, as far as it reaches. Returns the bytes
 * touched or -errno. Call it in the thread itself, before its first release. */
int64_t ei_memory_prefault_stack(size_t size_bytes);

/* Let the heap own size_bytes of touched, free memory (after ei_memory_tune_malloc). Returns 0 or -ENOMEM. */
int ei_memory_prefault_heap(size_t size_bytes);

/* Write one byte per page of a range, keeping its contents. Not real-time safe (it faults: that is its purpose). */
void ei_memory_prefault_range(void *start, size_t size_bytes);

/* Zeroed memory for a large table that is visited at random: where it is large, in huge pages as far as the system
 * gives some, so that address translation does not dominate. Aligned to 128 bytes. NULL = none left; free() it. Not
 * real-time safe. */
void *ei_memory_table(size_t count, size_t entry_bytes);

struct ei_thread_usage {
    int64_t minor_faults;
    int64_t major_faults;
    int64_t voluntary_switches;
    int64_t involuntary_switches;
    int64_t cpu_ns; /* user and system time */
};

/* Counters of the calling thread since its start (RUSAGE_THREAD). One system call: read it before the real-time section
 * is entered and after it is left. Thread: any. */
void ei_thread_usage_read(struct ei_thread_usage *out_usage);

#endif
