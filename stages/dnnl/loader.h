/* Finds and opens the oneDNN plug-in. */
#ifndef STAGES_DNNL_LOADER_H
#define STAGES_DNNL_LOADER_H

#include "stages/dnnl/dnnl.h"

#include <einet/error.h>

/* The plug-in's table, opened at the first call and never closed. Searched: environment EINET_DNNL_PLUGIN (a file), the
 * folder of the running executable, the install folder. Loading also tunes malloc, as libtorch's does: what a step
 * allocates and frees then faults no pages. Returns 0 or EINET_E_BACKEND, whose text says what to install.
 * Thread: any, not real-time safe. */
int ei_dnnl_load(const struct ei_dnnl_api **out_api, struct einet_error *err);

#endif
