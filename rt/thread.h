/* Threads from explicit attributes: what is not asked for is not inherited by accident (PTHREAD_EXPLICIT_SCHED).
 *
 * Order at start: create every thread as EI_THREAD_OTHER, let it warm up what it will run, lock the memory, then let
 * each thread become FIFO itself. A thread that a spinning FIFO parent creates on its own CPU would never run.
 */
#ifndef RT_THREAD_H
#define RT_THREAD_H

#include "rt/cpuset.h"
#include <einet/error.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#define EI_THREAD_NAME_MAX 16 /* with the terminating 0; the kernel keeps no more */
#define EI_THREAD_STACK_DEFAULT_BYTES ((size_t)256 * 1024)

enum ei_thread_policy { EI_THREAD_OTHER, EI_THREAD_FIFO, EI_THREAD_DEADLINE };

struct ei_thread_attr {
    const char *name;             /* borrowed until create returns; cut to 15 bytes; NULL = as the parent */
    enum ei_thread_policy policy; /* at its first instruction; DEADLINE it can only become (rt/deadline.h) */
    int priority;                 /* 1..99 with FIFO, 0 with OTHER */
    struct ei_cpuset cpus;        /* empty = inherit the creating thread's */
    size_t stack_bytes;           /* 0 = EI_THREAD_STACK_DEFAULT_BYTES; rounded up to pages and the system's minimum */
};

/* What the kernel says a thread has. */
struct ei_thread_state {
    enum ei_thread_policy policy; /* EI_THREAD_OTHER stands for every policy but these two */
    int priority;                 /* 0 without FIFO */
    struct ei_cpuset cpus;
};

struct ei_thread {
    pthread_t handle;
    pid_t tid; /* kernel thread id: for ei_thread_read and struct ei_boost */
};

typedef void (*ei_thread_fn)(void *arg);

/* Create a thread, wait until it is bound and named, then let it run fn(arg). Not detached: join it.
 * Returns 0; -EINVAL for senseless attributes; EINET_E_PRIVILEGE when FIFO or the CPUs are refused (the text names the
 * fix); -errno. On error no thread exists. Thread: any, not real-time safe. */
int ei_thread_create(struct ei_thread *thread, const struct ei_thread_attr *attr, ei_thread_fn fn, void *arg,
                     struct einet_error *err);

/* Wait for the thread's end. Returns 0 or -errno. Thread: any but itself, once. */
int ei_thread_join(struct ei_thread *thread);

/* Make the calling thread SCHED_FIFO at priority 1..99 and read it back. Returns 0, -EINVAL or EINET_E_PRIVILEGE.
 * Not real-time safe: part of the start. */
int ei_thread_become_fifo(int priority, struct einet_error *err);

/* Make the calling thread SCHED_OTHER. Returns 0 or -errno. Not real-time safe. */
int ei_thread_become_other(void);

/* The kernel's id of the calling thread. Thread: any; a system call, so not in the real-time section. */
pid_t ei_thread_self_tid(void);

/* Read policy, priority and CPUs of a thread of this process back from the kernel; tid 0 = the calling thread.
 * Returns 0 or -errno. Thread: any, not real-time safe. */
int ei_thread_read(pid_t tid, struct ei_thread_state *out_state);

#endif
