/* run.json in the output folder: what was run, with which settings, by which program on which machine, and how it
 * ended; docs/run-json.md. It is there from before the first release on, so that a run that is killed leaves it,
 * without "end". Thread: the one that starts the run.
 */
#ifndef ENGINE_MANIFEST_H
#define ENGINE_MANIFEST_H

#include "engine/live.h"

struct ei_run;

/* Write it when the run begins (end NULL), and again when its collector is finished. A virtual run has no privileges.
 * Returns 0, -ENOMEM, or the -errno of the output folder. */
int ei_run_write_manifest(struct ei_run *run, const struct ei_collector *collector, const char *out_dir,
                          const struct ei_live_result *end, struct einet_error *err);

#endif
