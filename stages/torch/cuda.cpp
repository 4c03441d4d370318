/* The CUDA section over a libtorch with CUDA: a thread's device and stream, and what it records there.
 *
 * libtorch allocates from pools; a graph keeps the addresses it was recorded with, so what records draws from a pool of
 * its own, which lives as long as one of its captures does. cuBLAS keeps one workspace per stream for the whole
 * process: it is dropped before and after each capture, so that each pool holds its own and two networks never share
 * one.
 */
#include "stages/torch/cuda.h"

#include "stages/torch/guarded.h"

#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <memory>

struct ei_torch_cuda_pool {
    decltype(at::cuda::graph_pool_handle()) id;
};

struct ei_torch_capture {
    at::cuda::CUDAGraph graph{/*keep_graph=*/true};
    bool is_open = false;
};

namespace einet
{
namespace
{

/* A capture that ended well is kept for its memory; one that did not must still be ended, or its stream stays unusable.
 */
void close_capture(ei_torch_capture &capture)
{
    capture.is_open = false;
    try {
        capture.graph.capture_end();
    } catch (...) {
        /* What went wrong inside the capture was reported by the call that failed. */
        (void)cudaGetLastError();
    }
}

/* Float32 means float32: libtorch's own default lets cuDNN round to 10 bits of mantissa (TF32). Kernels are measured at
 * their first call, which is at load. */
void settle_context()
{
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setBenchmarkCuDNN(true);
}

} // namespace

int cuda_device_count(int32_t *out_count) noexcept
{
    return guarded([&] {
        /* The variant that throws says why there is none. */
        *out_count = static_cast<int32_t>(c10::cuda::device_count_ensure_non_zero());
    });
}

int cuda_enter(int32_t device_idx, void *stream) noexcept
{
    return guarded([&] {
        const int32_t count = static_cast<int32_t>(c10::cuda::device_count_ensure_non_zero());
        TORCH_CHECK(device_idx >= 0 && device_idx < count, "there is no CUDA device ", device_idx, ", only ", count);
        const auto idx = static_cast<c10::DeviceIndex>(device_idx);
        at::globalContext().lazyInitDevice(at::kCUDA);
        settle_context();
        c10::cuda::set_device(idx);
        c10::cuda::setCurrentCUDAStream(stream != nullptr
                                            ? c10::cuda::getStreamFromExternal(static_cast<cudaStream_t>(stream), idx)
                                            : c10::cuda::getDefaultCUDAStream(idx));
    });
}

int cuda_synchronize() noexcept
{
    return guarded([&] { c10::cuda::getCurrentCUDAStream().synchronize(); });
}

int cuda_pool_create(ei_torch_cuda_pool **out) noexcept
{
    return guarded([&] { *out = new ei_torch_cuda_pool{at::cuda::graph_pool_handle()}; });
}

void cuda_pool_destroy(ei_torch_cuda_pool *pool) noexcept
{
    delete pool;
}

int capture_begin(ei_torch_cuda_pool *pool, ei_torch_capture **out) noexcept
{
    return guarded([&] {
        /* libtorch keeps tensors of the random generator across captures, which must not belong to either mode. */
        const c10::InferenceMode off(false);
        auto capture = std::make_unique<ei_torch_capture>();
        at::cuda::clearCublasWorkspaces();
        capture->graph.capture_begin(pool->id, cudaStreamCaptureModeThreadLocal);
        capture->is_open = true;
        *out = capture.release();
    });
}

int capture_end(ei_torch_capture *capture, void **out_graph) noexcept
{
    return guarded([&] {
        TORCH_CHECK(capture->is_open, "this capture has ended");
        const c10::InferenceMode off(false);
        capture->is_open = false;
        capture->graph.capture_end();
        at::cuda::clearCublasWorkspaces();
        cudaGraph_t copy = nullptr;
        C10_CUDA_CHECK(cudaGraphClone(&copy, capture->graph.raw_cuda_graph()));
        *out_graph = copy;
    });
}

void capture_destroy(ei_torch_capture *capture) noexcept
{
    if (capture != nullptr && capture->is_open) {
        close_capture(*capture);
    }
    delete capture;
}

} // namespace einet
