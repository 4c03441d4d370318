/* Recording a layer program for a CUDA device with libtorch: what CUDA lanes (stages/cuda) launch for a network of the
 * zoo or a bundle. At load only.
 */
#ifndef STAGES_NN_RECORDER_ATEN_H
#define STAGES_NN_RECORDER_ATEN_H

#include "stages/cuda/cuda.h"
#include "stages/nn/exec.h"
#include "stages/nn/network.h"

/* A recorder for an executor whose parameters (narrowed already under bfloat16) and scripts are set and lie on the
 * device, on which the calling thread is (cuda_enter). exec is taken over on success. info: shape, classes, precision
 * and name, copied. Parts are recorded in the order that ei_cuda_recorder names, each once. Its calls leave the thread
 * on the CPU in float32. Returns 0, EINET_E_BACKEND or -ENOMEM. */
int ei_recorder_aten_create(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                            int32_t device_idx, struct ei_cuda_recorder *out, struct einet_error *err);

#endif
