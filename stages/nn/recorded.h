/* Opening a network of layers or TorchScript parts on a CUDA device: libtorch records it, the CUDA plug-in runs it.
 *
 *     ei_recorded_enter --> make the executor and give it its parameters, which then lie on the device
 *                       --> ei_recorded_open --> ei_recorded_leave
 */
#ifndef STAGES_NN_RECORDED_H
#define STAGES_NN_RECORDED_H

#include "stages/nn/exec.h"
#include "stages/nn/network.h"

/* Load libtorch and the CUDA plug-in, and put the calling thread's new tensors on the device. Returns 0 or
 * EINET_E_BACKEND: one of them is missing, libtorch is of the CPU, or there is no such device; the text says which. */
int ei_recorded_enter(int32_t device_idx, const struct ei_torch_api **out_api, struct einet_error *err);

/* Record and open. exec is taken over, also on error; info is copied. Returns like ei_network_cuda_create. */
int ei_recorded_open(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                     const struct ei_network_cuda_settings *settings, struct ei_network **out, struct einet_error *err);

/* Back to the CPU. After every ei_recorded_enter that returned 0. */
void ei_recorded_leave(const struct ei_torch_api *api);

#endif
