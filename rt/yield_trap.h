/* In sanitized builds only: sched_yield of a SCHED_FIFO thread sleeps.
 *
 * The runtimes of ThreadSanitizer and AddressSanitizer have locks that spin with sched_yield. A FIFO thread that does
 * so while a lower one on the same CPU holds the lock never lets it run: both hang, and with them whatever else shares
 * the CPU. Seen in one of some 300 runs of five FIFO threads on one CPU, in tsan_dense_alloc.h of GCC 12.
 */
#ifndef RT_YIELD_TRAP_H
#define RT_YIELD_TRAP_H

/* From here on a sched_yield of the calling thread, and of threads that it starts, sleeps 50 us instead. A seccomp
 * filter of this thread does it; where the kernel or the architecture has none, nothing changes. The handler of SIGSYS
 * is the process's: a program that this thread executes keeps the filter, but not the handler, and dies of a
 * sched_yield. */
void ei_yield_trap_set(void);

#endif
