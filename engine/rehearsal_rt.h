/* Before a release. A job that comes some ten milliseconds after the last one finds next to nothing of what it needs in
 * the caches and waits for it line by line, which costs it more than all that the engine computes for it. So the thread
 * of a task with `rehearse` wakes that much before each release, goes through what a job does and sleeps on:
 *
 *     plans, steps, boundaries, their records     as a job does, with the task's own state, which a job's begin resets
 *     code that a rehearsal cannot run, and data  fetched: lanes, answers and rings show nothing of it
 *
 * It is work of the task at its priority: counted as load of its CPU, and recorded as a stretch of activity.
 */
#ifndef ENGINE_REHEARSAL_RT_H
#define ENGINE_REHEARSAL_RT_H

#include <einet/attributes.h>
#include <stdint.h>

struct ei_job_slot;

/* Code on the way of every job that is not on a rehearsal's: it lies together, so that it can be fetched. */
#define EI_JOB_CODE __attribute__((section("einet_job")))

/* For a job that will be released at release_ns (absolute). The task has a network and this one slot, which has no job.
 * Real-time safe; the slot's thread. Ends with what ei_activity_rest would read. */
EINET_RT void ei_rehearse(struct ei_job_slot *slot, int64_t release_ns);

#endif
