/* An emulated network whose times pass on a CUDA device; see struct ei_network_emulate_config. */
#ifndef STAGES_NN_NETWORK_EMULATE_CUDA_H
#define STAGES_NN_NETWORK_EMULATE_CUDA_H

#include "stages/nn/network.h"

/* config is checked; info is its description, whose backend becomes "emulate on cuda". Returns 0, EINET_E_USAGE (a
 * setting of the device out of range), EINET_E_BACKEND (no plug-in, no device, or it refused), -ENOMEM. */
int ei_network_emulate_cuda_create(const struct ei_network_emulate_config *config, const struct ei_network_info *info,
                                   struct ei_network **out, struct einet_error *err);

#endif
