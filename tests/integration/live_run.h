/* Runs that go on while a test looks at them. */
#ifndef TESTS_INTEGRATION_LIVE_RUN_H
#define TESTS_INTEGRATION_LIVE_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define LIVE_VIEW "tests/integration/workloads/live-view.yaml"

/* Start `einet ARGS...`, its output to a file of the case's folder. */
pid_t live_start(const char *const *args, const char *output_name);
/* The same as user nobody. */
pid_t live_start_unprivileged(const char *const *args, const char *output_name);

/* Wait until `einet top PID --once --json` shows a running run of which every task has completed jobs. The object is
 * the caller's; NULL with a failed check when the run does not come that far. */
json_t *live_await(pid_t pid);

/* Ask the run to end (SIGINT) and return its exit status. */
int live_end(pid_t pid);

json_t *live_task(const json_t *figures, const char *name);

#endif
