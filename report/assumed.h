/* What the planner of a task assumed of the moment at which its jobs are stopped, as far as the files of a run tell it.
 * Thread: any.
 */
#ifndef REPORT_ASSUMED_H
#define REPORT_ASSUMED_H

#include <jansson.h>
#include <stdint.h>

/* The rate of the task's `exit_time: exponential(R)`, in stops per second, from the workload in run.json (NULL = there
 * is none); 0 when it is another source, or the workload of another version. */
double ei_report_assumed_rate_hz(json_t *run, const char *task);

#endif
