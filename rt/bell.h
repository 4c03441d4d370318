/* A bell: one thread sleeps until others have something for it, told apart by a count, so that a ring before the sleep
 * is as good as one during it. What there is to do lies elsewhere (a ring buffer); the bell only says "look again".
 *
 *     seen = ei_bell_count(bell);  look;  nothing there: ei_bell_wait(bell, seen);  again
 */
#ifndef RT_BELL_H
#define RT_BELL_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdint.h>

struct ei_bell {
    atomic_uint rings; /* so far, modulo 2^32; a futex */
    atomic_uint sleepers;
};

/* Nobody has rung yet. Before the threads start. */
void ei_bell_init(struct ei_bell *bell);

/* Rings so far: read it before looking for work. Thread: any. */
EINET_RT unsigned ei_bell_count(struct ei_bell *bell);

/* Wake whoever sleeps; a system call only when somebody does. Everything stored before is visible to a thread whose
 * count includes this ring. Thread: any. */
EINET_RT void ei_bell_ring(struct ei_bell *bell);

/* Sleep until the count differs from seen. Thread: any. */
EINET_RT void ei_bell_wait(struct ei_bell *bell, unsigned seen);

/* The same, at most until a time of CLOCK_MONOTONIC. */
EINET_RT void ei_bell_wait_until(struct ei_bell *bell, unsigned seen, int64_t until_ns);

#endif
