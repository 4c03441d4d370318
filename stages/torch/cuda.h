/* The CUDA section of the table in torch.h: cuda.cpp where libtorch has CUDA, else no_cuda.cpp. */
#ifndef STAGES_TORCH_CUDA_H
#define STAGES_TORCH_CUDA_H

#include "stages/torch/torch.h"

namespace einet
{

int cuda_device_count(int32_t *out_count) noexcept;
int cuda_enter(int32_t device_idx, void *stream) noexcept;
int cuda_synchronize() noexcept;
int cuda_pool_create(ei_torch_cuda_pool **out) noexcept;
void cuda_pool_destroy(ei_torch_cuda_pool *pool) noexcept;
int capture_begin(ei_torch_cuda_pool *pool, ei_torch_capture **out) noexcept;
int capture_end(ei_torch_capture *capture, void **out_graph) noexcept;
void capture_destroy(ei_torch_capture *capture) noexcept;

} // namespace einet

#endif
