/* A thread's processor time, mostly without the system call that CLOCK_THREAD_CPUTIME_ID is: some 400 ns where all is
 * warm, 1 to 2 us in the middle of a job.
 *
 * A thread that was not switched away from has used all the time that has passed. The kernel says whether it was: the
 * pointer to a restartable sequence in the thread's struct rseq (rseq(2), registered by glibc 2.35 or newer) is a mark
 * that the kernel clears when it comes back to the thread after a switch, a move or a signal outside that sequence.
 *
 *     read --used_ns, at_ns--> .. sleep .. --go--> work --used--> work --used--> ..
 *
 * What a hypervisor takes away is no switch: a stretch that is longer than all those that the kernel's clock has
 * confirmed in the same place is read from the kernel, too. Without struct rseq, or where a sleep does not clear the
 * mark, every value is the kernel's. One clock per thread; the thread's own calls only.
 */
#ifndef RT_THREAD_CLOCK_H
#define RT_THREAD_CLOCK_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_thread_clock {
    int64_t used_ns; /* the thread's processor time at_ns (CLOCK_MONOTONIC) */
    int64_t at_ns;
    bool is_guessed; /* a value since the last look at the kernel's clock was none of its */
};

/* Find out, once per process, whether the kernel clears the mark of a thread that sleeps; takes 1 ms. Cold; before the
 * threads that have clocks start. Without it every value is the kernel's. */
void ei_thread_clock_probe(void);
bool ei_thread_clock_is_marking(void);

/* Set the clock by the kernel's. Returns used_ns. Real-time safe: the system call neither waits nor locks. */
EINET_RT int64_t ei_thread_clock_read(struct ei_thread_clock *clock);

/* The thread has slept since the clock was read, until now_ns: processor time counts on from there. */
EINET_RT void ei_thread_clock_go(struct ei_thread_clock *clock, int64_t now_ns);

/* The thread's processor time at now_ns, the present moment. longest_ns: of the place in the thread's work that asks; 0
 * at first, the longest way to it from a reading or ei_thread_clock_go that the kernel's clock confirmed. */
EINET_RT int64_t ei_thread_clock_used(struct ei_thread_clock *clock, int64_t now_ns, int64_t *longest_ns);

#endif
