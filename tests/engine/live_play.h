/* Live runs of workload texts, into a folder of their own. One thread. */
#ifndef TESTS_ENGINE_LIVE_PLAY_H
#define TESTS_ENGINE_LIVE_PLAY_H

#include "engine/live.h"

/* Parse the text and run it; options->out_dir and ->program are filled in. A text that is no good workload is printed
 * and fails the test. *out_wl (NULL then) and the result's collector are the caller's. Returns the run's code. */
int live_play(const char *text, struct ei_live_options options, struct ei_workload **out_wl, struct ei_live_result *out,
              struct einet_error *err);

#endif
