/* The lane hand-off mechanism: who gets a lane is decided by pure code elsewhere; this passes it on, in priority order,
 * without inversion and with one context switch.
 *
 *   guard   a short priority-inheriting lock around the lane's state (arbiter, queue, boosts)
 *   waiter  one futex word per waiting job thread; a grant is never lost and never spurious
 *   boost   explicit priority inheritance: the holder runs at the highest waiter's priority, until it lets go
 *
 *   waiter W (priority 40)                    holder H (priority 20, in its block)
 *   ----------------------------------------  ------------------------------------------------------------
 *   guard_lock                                  .
 *   arbiter: lane busy, W queued                .
 *   boost(H, 40)  -------------------------->  runs at 40: no thread at 21..39 delays the block's end
 *   waiter_prepare(W)                           .
 *   guard_unlock                                .
 *   waiter_wait(W) ... sleeps                   block ends
 *                                              guard_lock; arbiter: the lane is W's now
 *                  <--------------------------  waiter_grant(W): W is runnable at 40, but H is too and was first
 *                                              guard_unlock: nobody waits for it
 *   runs  <- - - - one switch - - - - - - - -  sched_yield: behind W in the queue of 40
 *   its first block, ... sleeps                  .
 *                                              unboost(H): back to 20, at which it goes on
 *
 * H steps down after the switch, since to change a priority costs the kernel several times what a sched_yield does, and
 * W would wait for it. What that may delay is a thread between the two that is ready when W sleeps: by this one system
 * call, as it would have been before the switch.
 *
 * Who may boost: whoever holds the guard. Who may unboost: the thread itself. H may be queued again and even be granted
 * and boosted again before its unguarded step down: it then sees the new priority after the step and takes it. A thread
 * holds at most one lane at a time, so chains do not arise: a waiter that is itself outranked boosts the holder only to
 * its own priority, and the highest of them prevails. All of it is a no-op for threads that are not FIFO.
 */
#ifndef RT_HANDOFF_H
#define RT_HANDOFF_H

#include "rt/clock.h"
#include <einet/attributes.h>
#include <einet/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ei_handoff_guard {
    pthread_mutex_t mutex; /* PTHREAD_PRIO_INHERIT */
};

/* Returns 0, or EINET_E_FAULT when the system has no priority-inheriting mutex. The lock is taken once, so that its
 * first real use faults nothing. Not real-time safe. */
int ei_handoff_guard_init(struct ei_handoff_guard *guard, struct einet_error *err);
void ei_handoff_guard_fini(struct ei_handoff_guard *guard);

/* Thread: any; not recursive. Hold it for decisions only, never while a block runs. */
EINET_RT void ei_handoff_guard_lock(struct ei_handoff_guard *guard);
EINET_RT void ei_handoff_guard_unlock(struct ei_handoff_guard *guard);

enum ei_waiter_word { EI_WAITER_IDLE = 0, EI_WAITER_PREPARED = 1, EI_WAITER_SLEEPING = 2, EI_WAITER_GRANTED = 3 };

/*     IDLE --prepare--> PREPARED --wait--> SLEEPING --grant--> GRANTED --wait returns--> IDLE
 *                          +-------------grant-----------------^                              */
struct ei_waiter {
    atomic_uint word; /* enum ei_waiter_word; a futex */
};

void ei_waiter_init(struct ei_waiter *waiter);

/* Arm it. Thread: the one that will wait, under the guard, before the arbiter may grant to it. */
EINET_RT void ei_waiter_prepare(struct ei_waiter *waiter);

/* Sleep until granted or until the deadline (EI_MONO_NEVER = none). Returns 0 = granted, the waiter is idle again;
 * -ETIMEDOUT = not granted when the deadline passed. After a timeout a grant may still be under way: take the guard,
 * take yourself out of the queue and ask ei_waiter_cancel. Thread: the one that prepared it. */
EINET_RT int ei_waiter_wait(struct ei_waiter *waiter, struct ei_mono deadline);

/* Disarm after a timeout. Returns true when it had been granted after all, so that the thread holds the lane.
 * Thread: the one that prepared it, under the guard. */
EINET_RT bool ei_waiter_cancel(struct ei_waiter *waiter);

/* Grant once per prepare; before the wait is as good as during it. Thread: any, under the guard. */
EINET_RT void ei_waiter_grant(struct ei_waiter *waiter);

/* A thread whose priority others may raise. */
struct ei_boost {
    pid_t tid;
    atomic_int base_priority; /* 0 = not FIFO: boosts change nothing */
    atomic_int priority;      /* what it shall have now; the kernel is told by whoever changes it */
    atomic_bool is_demoted;   /* SCHED_OTHER for good: boosts change nothing any more */
};

/* Describe the calling thread as it is now; call it after ei_thread_become_fifo. Not real-time safe. */
void ei_boost_init_self(struct ei_boost *boost);

/* Raise the thread to at least priority (never lowers). Returns 0 or -errno, with nothing changed. Thread: any, under
 * the guard while the thread holds the lane, or the thread itself. */
EINET_RT int ei_thread_boost(struct ei_boost *boost, int priority);

/* Back to the base priority, at its queue's head. Returns 0 or -errno. Thread: its own; with the guard held, or while
 * it neither holds the lane nor waits for it. */
EINET_RT int ei_thread_unboost(struct ei_boost *boost);

/* Give a FIFO thread another base priority, 1..98; nothing for one that is not FIFO. _self: the thread itself, while it
 * neither holds a lane nor waits for one. The other: anybody, one at a time, at any moment: a boost that is under way
 * stays. Both may meet with the same priority. Return 0 or -errno. */
EINET_RT int ei_boost_rebase_self(struct ei_boost *boost, int priority);
EINET_RT int ei_boost_rebase(struct ei_boost *boost, int priority);

/* Make a thread SCHED_FIFO at that priority, one that is never boosted. Returns 0 or -errno. Thread: any. */
EINET_RT int ei_thread_set_fifo(pid_t tid, int priority);

/* Make a FIFO thread SCHED_OTHER for good, whatever boosts are under way; boost is its own, NULL when it has none.
 * Returns 0 or -errno. Thread: any; not real-time safe for the thread that it hits. */
int ei_thread_demote(pid_t tid, struct ei_boost *boost);

/* The hand-off's last steps in their order: grant (NULL = nobody waits), unlock the guard, let the granted thread run
 * when it is of this CPU, unboost the caller.
 * The caller holds the guard, has already made the granted waiter the lane's holder, and may have queued itself again.
 * Returns unboost's result. */
EINET_RT int ei_handoff_release(struct ei_handoff_guard *guard, struct ei_waiter *granted, struct ei_boost *self);

#endif
