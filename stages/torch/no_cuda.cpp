/* The CUDA section over a libtorch that has none: every entry says what is missing. */
#include "stages/torch/cuda.h"

#include "stages/torch/guarded.h"

#include <torch/version.h>

namespace einet
{
namespace
{

int refuse() noexcept
{
    return guarded([&] {
        TORCH_CHECK(false, EINET_TORCH_CUDA_MISSING, " (libtorch ", TORCH_VERSION,
                    "); networks on a GPU want PyTorch 2.8 or newer for CUDA: docs/gpu.md says how to build with it");
    });
}

} // namespace

int cuda_device_count(int32_t *) noexcept
{
    return refuse();
}

int cuda_enter(int32_t, void *) noexcept
{
    return refuse();
}

int cuda_synchronize() noexcept
{
    return refuse();
}

int cuda_pool_create(ei_torch_cuda_pool **) noexcept
{
    return refuse();
}

void cuda_pool_destroy(ei_torch_cuda_pool *) noexcept
{
}

int capture_begin(ei_torch_cuda_pool *, ei_torch_capture **) noexcept
{
    return refuse();
}

int capture_end(ei_torch_capture *, void **) noexcept
{
    return refuse();
}

void capture_destroy(ei_torch_capture *) noexcept
{
}

} // namespace einet
