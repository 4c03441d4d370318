/* Local response normalisation across channels as one fused pass each way. libtorch has it only as a chain of six
 * operations around avg_pool3d, which on a CPU costs more than the convolutions of the networks that use it.
 */
#ifndef STAGES_TORCH_LRN_H
#define STAGES_TORCH_LRN_H

#include "stages/torch/torch.h"

#include <ATen/ATen.h>

namespace einet
{
/* x: [n, c, h, w], float32, either memory order. Differentiable. */
at::Tensor lrn(const at::Tensor &x, const ei_torch_lrn &config);
} // namespace einet

#endif
