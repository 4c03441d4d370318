/* scheduler.admission of a workload: may the run begin? */
#ifndef ENGINE_ADMISSION_H
#define ENGINE_ADMISSION_H

#include <einet/error.h>

struct ei_run;
struct ei_workload;

/* Analyse the tasks of a run that is about to start, or is about to be changed (engine/analyze.h): as wl says, with its
 * CPUs and the block times measured at its start, at their 99th percentile: the maximum would be a gap of the machine.
 * `none` returns 0 at once; `warn` says on the run's messages which deadlines have no guarantee, and leaves
 * the same in the text of err, one a line, with code 0 (err begins empty); `reject` returns
 * EINET_E_FILE then, with the first of them at its place. Thread: main, before the first release; afterwards whoever
 * changes. */
int ei_run_admit(const struct ei_run *run, const struct ei_workload *wl, struct einet_error *err);

#endif
