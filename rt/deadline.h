/* SCHED_DEADLINE for the calling thread: `runtime` of processor time in each `period`, by a deadline that counts from
 * its wake-up. The kernel runs the earliest deadline first, above every SCHED_FIFO thread, and stops a thread that has
 * used its runtime until its next period (CBS). It admits a thread only when the bandwidth of all of them fits.
 *
 * Not real-time safe: part of the start. Documentation/scheduler/sched-deadline.rst of Linux, sched_setattr(2).
 */
#ifndef RT_DEADLINE_H
#define RT_DEADLINE_H

#include <stdint.h>

#define EI_DEADLINE_RUNTIME_MIN_NS INT64_C(1024) /* the kernel takes no less */

struct ei_deadline_bandwidth {
    int64_t runtime_ns, deadline_ns, period_ns; /* runtime <= deadline <= period */
};

#define EI_DEADLINE_TEXT_MAX 160

/* Why the kernel refused, and what helps. */
struct ei_deadline_refusal {
    char reason[EI_DEADLINE_TEXT_MAX];
    char fix[EI_DEADLINE_TEXT_MAX];
};

/* Make the calling thread SCHED_DEADLINE and read it back. Its affinity must span all CPUs of its root domain (without
 * exclusive cpusets: all of the machine). Returns 0, or -errno of the kernel with *out_refusal filled in: EPERM (no
 * capability, or its CPUs), EBUSY (bandwidth), EINVAL (limits of the kernel). Thread: its own. */
int ei_thread_become_deadline(const struct ei_deadline_bandwidth *bandwidth, struct ei_deadline_refusal *out_refusal);

#endif
