/* What a job thread itself knows of where a job's time went: the stretches in which it wanted the processor, and the
 * processor time that it got in them. Each stretch becomes a record, from which the collector finds who delayed whom
 * (metrics/causes.h).
 *
 * A stretch ends before the lane is given to another job, so that its record is there before that job can end.
 * Thread: the job thread. Real-time safe. The kernel's clock is read before the thread goes to sleep, where nobody
 * waits for it; in a job, what rt/thread_clock.h says without it counts as long as it is sure.
 */
#ifndef ENGINE_ACTIVITY_RT_H
#define ENGINE_ACTIVITY_RT_H

#include "rt/thread_clock.h"

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_job_slot;

struct ei_activity {
    int64_t start_ns;
    int64_t used_ns;              /* the thread's processor time at its start */
    struct ei_thread_clock clock; /* the thread's */
    bool is_resting;              /* the thread may have slept since the clock was read */
};

/* The thread goes to wait for its next job, or may. */
EINET_RT void ei_activity_rest(struct ei_job_slot *slot);
/* The thread's next job wants the processor since start_ns and has got it at now_ns, the present moment. */
EINET_RT void ei_activity_first(struct ei_job_slot *slot, int64_t start_ns, int64_t now_ns);
/* The same of the job that runs, after it has waited. */
EINET_RT void ei_activity_begin(struct ei_job_slot *slot, int64_t start_ns);
/* The thread's processor time at now_ns, the present moment, in the job's present stage. */
EINET_RT int64_t ei_activity_used_ns(struct ei_job_slot *slot, int64_t now_ns);
/* The stretch ends at now_ns. The next one has begun, unless the job waits: then ei_activity_begin says when. */
EINET_RT void ei_activity_cut(struct ei_job_slot *slot, int64_t now_ns);

/* The job is off its CPU for a block on a device from now_ns on: its stretch ends. When the block is over, or has
 * failed, at now_ns: up to expected_ns of it were execution; what it took longer is a stretch for others to explain,
 * the rest of which is the device's. A new stretch begins. Returns the processor time that the thread used meanwhile.
 */
EINET_RT void ei_activity_leave(struct ei_job_slot *slot, int64_t now_ns);
EINET_RT int64_t ei_activity_return(struct ei_job_slot *slot, int64_t expected_ns, int64_t now_ns);

#endif
