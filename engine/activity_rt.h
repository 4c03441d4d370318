/* What a job thread itself knows of where a job's time went: the stretches in which it wanted the processor, and the
 * processor time that it got in them. Each stretch becomes a record, from which the collector finds who delayed whom
 * (metrics/causes.h).
 *
 * A stretch ends before the lane is given to another job, so that its record is there before that job can end.
 * Thread: the job thread. Real-time safe; reads CLOCK_THREAD_CPUTIME_ID, a system call that neither waits nor locks,
 * but costs more than all else here: so a job's first stretch begins with what the thread read at the end of the last
 * one, or before it last went to sleep; what that itself costs, 2 to 3 us, counts as the job's.
 */
#ifndef ENGINE_ACTIVITY_RT_H
#define ENGINE_ACTIVITY_RT_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_job_slot;

struct ei_activity {
    int64_t start_ns;
    int64_t cpu_clock_ns; /* the thread's processor time at its start */
    bool is_job_over;     /* cpu_clock_ns is of the end of the last job */
};

/* The thread goes to wait for its next job, or may: its processor time from here on is that job's. */
EINET_RT void ei_activity_rest(struct ei_job_slot *slot);
/* The thread's next job wants the processor since start_ns and has got it now. */
EINET_RT void ei_activity_first(struct ei_job_slot *slot, int64_t start_ns);
/* The same of the job that runs, after it has waited. */
EINET_RT void ei_activity_begin(struct ei_job_slot *slot, int64_t start_ns);
/* The stretch ends at now_ns. The next one has begun, unless the job waits: then ei_activity_begin says when. */
EINET_RT void ei_activity_cut(struct ei_job_slot *slot, int64_t now_ns);

/* The job is off its CPU for a block on a device from now_ns on: its stretch ends. When the block is over, or has
 * failed, at now_ns: up to expected_ns of it were execution; what it took longer is a stretch for others to explain,
 * the rest of which is the device's. A new stretch begins. Returns the processor time that the thread used meanwhile.
 */
EINET_RT void ei_activity_leave(struct ei_job_slot *slot, int64_t now_ns);
EINET_RT int64_t ei_activity_return(struct ei_job_slot *slot, int64_t expected_ns, int64_t now_ns);

#endif
