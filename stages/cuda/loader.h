/* Finds and opens the CUDA plug-in. */
#ifndef STAGES_CUDA_LOADER_H
#define STAGES_CUDA_LOADER_H

#include "stages/cuda/cuda.h"

#include <einet/error.h>

/* The plug-in's table, opened at the first call and never closed. Searched: environment EINET_CUDA_PLUGIN (a file), the
 * folder of the running executable, the install folder. Opening asks for no device: device_count does. Returns 0 or
 * EINET_E_BACKEND, whose text says what to install. Thread: any, not real-time safe. */
int ei_cuda_load(const struct ei_cuda_api **out_api, struct einet_error *err);

#endif
