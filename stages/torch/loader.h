/* Finds and opens the libtorch plug-in. What must hold before libtorch is loaded: stages/environment.h. */
#ifndef STAGES_TORCH_LOADER_H
#define STAGES_TORCH_LOADER_H

#include "stages/torch/torch.h"

#include <einet/error.h>

/* The plug-in's table, opened at the first call and never closed (libtorch cannot be unloaded). Searched: environment
 * EINET_TORCH_PLUGIN (a file), the folder of the running executable, the install folder. Loading also tunes malloc
 * (no trimming, no mmap, one arena), so that inference does not fault pages; that is libtorch's price, not ours.
 * Returns 0 or EINET_E_BACKEND, whose text says what to install. Thread: any, not real-time safe. */
int ei_torch_load(const struct ei_torch_api **out_api, struct einet_error *err);

#endif
