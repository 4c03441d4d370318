/* What the guard's three files share. A thread's slot is taken at its first section and never given back, so that the
 * kernel may read the selector byte until the thread's very end.
 */
#ifndef TESTS_REALTIME_GUARD_INTERNAL_H
#define TESTS_REALTIME_GUARD_INTERNAL_H

#include "rt/memory.h"
#include "tests/realtime/guard.h"
#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define GUARD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GUARD_TSAN 1
#endif
#endif
#ifndef GUARD_TSAN
#define GUARD_TSAN 0
#endif

#if GUARD_TSAN || defined(__SANITIZE_ADDRESS__)
#define GUARD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD_SANITIZER 1
#endif
#endif
#ifndef GUARD_SANITIZER
#define GUARD_SANITIZER 0
#endif

#define GUARD_THREADS_MAX 64
#define GUARD_STACK_BYTES (64 * 1024)

struct guard_thread {
    volatile uint8_t selector; /* read by the kernel at each system call: 0 = let it pass, 1 = raise SIGSYS */
    bool is_dispatched;        /* the kernel has the selector's address */
    int tid;
    struct ei_thread_usage usage_at_start; /* of the running section part */
    uint8_t *signal_stack;                 /* the handler's, touched before use: its frames must not fault */
};

/* The calling thread is inside a section, outside submit, and not inside the guard itself. */
bool guard_is_watching(void);

/* Count one violation of the calling thread. */
void guard_violation(enum ei_guard_kind kind, const char *what, int64_t detail, uint64_t count);

/* guard_syscalls.c: returns "" when usable, else why not; must be called outside any section. */
const char *guard_syscalls_install(void);
/* Prepare the calling thread; false when the kernel refuses. */
bool guard_syscalls_attach(struct guard_thread *thread);
/* The calling thread's slot or NULL, for the signal handler. */
struct guard_thread *guard_self(void);
/* Enter and leave the guard itself: nothing is watched in between. Returns the previous state, to be handed back. */
bool guard_suspend(void);
void guard_resume(bool previous);

/* guard_interpose.c: "" when the kind is watched. */
const char *guard_interpose_install(void);
const char *guard_locks_why_not(void);

extern atomic_uint_least64_t guard_allowed_count;

#endif
