/* The `cuda` backend: a network as the parts of a CUDA device (stages/cuda/cuda.h). Shared by the ways to load one. */
#ifndef STAGES_NN_NETWORK_CUDA_H
#define STAGES_NN_NETWORK_CUDA_H

#include "stages/nn/network.h"

/* A network whose parts `recorder` records on the device that the settings name. info is copied, its backend set to
 * "cuda"; exits, classes and the size of the input are taken from it. On success the network owns the recorder; on
 * error it stays the caller's. Returns 0, EINET_E_USAGE (a setting out of range, named), EINET_E_BACKEND (no such
 * device, CUDA or the recorder refused), -ENOMEM. Thread: any, not real-time safe. */
int ei_network_cuda_create(const struct ei_cuda_api *api, struct ei_cuda_recorder recorder,
                           const struct ei_network_info *info, const struct ei_network_cuda_settings *settings,
                           struct ei_network **out, struct einet_error *err);

/* What the device runs of an opened network, for the questions of the plug-in's table, borrowed until destroy; NULL
 * when it is on the CPU. */
const struct ei_cuda_parts *ei_network_cuda_parts(const struct ei_network *net);

#endif
