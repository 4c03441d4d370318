/* Training-time operations on [n, c, h, w] in NHWC order with few channels, where libtorch's own kernels walk one
 * pixel's channels at a time: batch normalisation of 6 channels takes it nine times as long as the convolution before
 * it.
 */
#ifndef STAGES_TORCH_CHANNELS_LAST_H
#define STAGES_TORCH_CHANNELS_LAST_H

#include <ATen/ATen.h>

namespace einet
{

/* Whether the two functions below take x: four dimensions, NHWC and not also NCHW, float32 or bfloat16. */
bool is_channels_last(const at::Tensor &x);

/* Batch normalisation with the batch's statistics, which are folded into mean and variance (float32) with `momentum`.
 * Differentiable. The result has x's type. */
at::Tensor batch_norm_channels_last(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                                    const at::Tensor &mean, const at::Tensor &variance, double momentum, double eps);

/* [a, b] along the channels; both of one type, size and order. Differentiable. */
at::Tensor concat_channels_last(const at::Tensor &a, const at::Tensor &b);

} // namespace einet

#endif
