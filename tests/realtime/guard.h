/* The proof tool: what a thread does inside a real-time section (rt/section.h) and outside submit sections is watched,
 * and everything that EINET_RT forbids is counted with the place of its first occurrence.
 *
 *   allocation    malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign, free, mmap, munmap
 *   lock          pthread_mutex_lock of a mutex without priority inheritance; any rwlock; a futex operation that is
 *                 neither a priority-inheriting lock's nor rt/handoff's
 *   system call   all but those of ei_guard_allowed_calls and the reading of CLOCK_THREAD_CPUTIME_ID (Linux Syscall
 *                 User Dispatch)
 *   page fault    RUSAGE_THREAD between enter (or submit_leave) and leave (or submit_enter)
 *
 * Link ei_realtime_guard into a test program and call ei_guard_install before its threads start. The program's malloc
 * and locks are then the guard's, which forward to libc's. What the build or kernel cannot watch is off and said so.
 */
#ifndef TESTS_REALTIME_GUARD_H
#define TESTS_REALTIME_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum ei_guard_kind { EI_GUARD_ALLOCATION, EI_GUARD_LOCK, EI_GUARD_SYSCALL, EI_GUARD_FAULT, EI_GUARD_KINDS };

#define EI_GUARD_FRAMES_MAX 24

struct ei_guard_violation {
    uint64_t count;   /* page faults: the faults themselves */
    const char *what; /* function of the first one, e.g. "malloc"; "" = none */
    int64_t detail;   /* of the first one: bytes, lock kind or futex operation, call number, faults in its section */
    int thread;       /* kernel thread id of the first one */
    int frame_count;  /* of the first one; 0 for page faults, whose place is not known */
    void *frames[EI_GUARD_FRAMES_MAX];
};

struct ei_guard_report {
    struct ei_guard_violation violations[EI_GUARD_KINDS];
    uint64_t sections;      /* entered, of all threads: a proof over none is none */
    uint64_t submits;       /* submit sections inside them */
    uint64_t allowed_calls; /* system calls of the allow-list that were seen */
    uint64_t unwatched;     /* sections whose system calls were not watched: too many threads, or the kernel refused */
};

/* Start watching: all threads, from their next section on. Returns 0 or -errno. Call once, before other threads exist.
 */
int ei_guard_install(void);

/* Whether this build and kernel can watch a kind, and if not why ("" when it can). Valid after install. */
bool ei_guard_can_watch(enum ei_guard_kind kind);
const char *ei_guard_why_not(enum ei_guard_kind kind);

/* What was seen since install or reset. Call while no thread is inside a section. */
void ei_guard_violations(struct ei_guard_report *out_report);
void ei_guard_reset(void);

/* Sum of all counts. */
uint64_t ei_guard_total(const struct ei_guard_report *report);

/* A readable account with backtraces, by name where addr2line is installed. Outside any section. */
void ei_guard_print(const struct ei_guard_report *report, FILE *out);

/* The allow-list of system calls: sleep, wake, priority change, and what the kernel itself makes of signals. Ends in
 * -1. */
extern const int ei_guard_allowed_calls[];

#endif
