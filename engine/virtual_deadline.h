/* SCHED_DEADLINE on virtual CPUs: the rules of Linux' constant bandwidth server for one thread
 * (kernel/sched/deadline.c).
 *
 *   wakes      first, or its deadline is past, or what is left of its runtime until then would pass runtime / deadline:
 *              a new period begins (deadline < period and not past: no new one, but runtime is cut to that share);
 *              behind its deadline and before its next period (deadline < period): throttled until that
 *   runs       uses its runtime; at 0 it is throttled until its next period, one period after the begin of this one
 *   next period: runtime again, deadline one period later; if that is past, a new period begins now
 *
 * Who runs: the earliest deadlines, on any CPU; equals in the order in which they became ready. Pure.
 */
#ifndef ENGINE_VIRTUAL_DEADLINE_H
#define ENGINE_VIRTUAL_DEADLINE_H

#include "engine/virtual_cpus.h"

/* The idle thread wakes. False: it is throttled until timer_ns. */
bool ei_virtual_deadline_wake(struct ei_virtual_thread *t, int64_t now_ns);

/* Its runtime is used up. True: throttled until timer_ns; false: its next period has begun already. */
bool ei_virtual_deadline_spent(struct ei_virtual_thread *t, int64_t now_ns);

/* Its next period begins. */
void ei_virtual_deadline_replenish(struct ei_virtual_thread *t, int64_t now_ns);

/* Whether a goes before b, both of class deadline. */
bool ei_virtual_deadline_is_before(const struct ei_virtual_thread *a, const struct ei_virtual_thread *b);

#endif
