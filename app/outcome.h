/* What the commands that take a workload file share: reading it, and telling what became of its jobs. */
#ifndef APP_OUTCOME_H
#define APP_OUTCOME_H

#include "engine/live.h"
#include "workloads/spec.h"
#include <stdbool.h>

/* Read a workload file and print every error and warning to standard error. Returns EINET_EXIT_OK with *out, which
 * ei_workload_destroy frees, else the exit status. command stands in messages. */
int einet_load_workload(const char *command, const char *path, struct ei_workload **out);

/* Print the table or the JSON summary of a run, live or virtual, say what is wrong with it, and free its collector.
 * Returns the exit status. */
int einet_report_result(const char *command, struct ei_live_result *result, bool is_json);

#endif
