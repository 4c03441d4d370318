/* Finds and opens the libtorch plug-in, and keeps the rules that must hold before libtorch is loaded. */
#ifndef STAGES_TORCH_LOADER_H
#define STAGES_TORCH_LOADER_H

#include "stages/torch/torch.h"

#include <einet/error.h>

/* The plug-in's table, opened at the first call and never closed (libtorch cannot be unloaded). Searched: environment
 * EINET_TORCH_PLUGIN (a file), the folder of the running executable, the install folder. Loading also tunes malloc
 * (no trimming, no mmap, one arena), so that inference does not fault pages; that is libtorch's price, not ours.
 * Returns 0 or EINET_E_BACKEND, whose text says what to install. Thread: any, not real-time safe. */
int ei_torch_load(const struct ei_torch_api **out_api, struct einet_error *err);

/* Set the environment that libraries read while they are loaded, by executing the program once more when something is
 * missing: OPENBLAS_NUM_THREADS=1, OMP_WAIT_POLICY=passive, GOMP_SPINCOUNT=0 and, where the processor has AVX-512,
 * OPENBLAS_CORETYPE=SKYLAKEX. Variables that are set already are left alone. Call first thing in main, before threads.
 * argv: main's. Returns 0 when nothing was to be done, else does not return; a failed execution returns -errno. */
int ei_torch_environment_apply(char **argv);

#endif
