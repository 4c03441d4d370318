/* A run takes over from another one of the same process, at one instant T: what is released before T is the old run's,
 * what is released from T on the new one's, whose time zero it is. A periodic task that both have, with the same name
 * and period, goes on with its next period.
 *
 *   old   | releases ............................... T | drains
 *   new       loads, warms up, knows its blocks ...  T | releases
 *
 * Until T the new run's threads are SCHED_OTHER, so nothing of it takes time from real-time jobs of the old one. Times
 * of blocks that the old run has measured are taken over.
 */
#ifndef ENGINE_HANDOVER_H
#define ENGINE_HANDOVER_H

#include <einet/error.h>
#include <stdbool.h>

struct ei_live_task;
struct ei_run;

/* Whether the new run can start that way. Returns 0 or EINET_E_USAGE. */
int ei_handover_check(const struct ei_run *run, struct einet_error *err);

/* Take over the block times of a network that the old run has as well; false = there is none. Thread: the task's. */
bool ei_handover_take_times(struct ei_live_task *task);

/* Settle T, the end of the old run and the clock and the first releases of the new one. Nothing when the old run is
 * over already: returns false then, and the new one starts by itself. Thread: main of the new run, before GO. */
bool ei_handover_settle(struct ei_run *run);

#endif
