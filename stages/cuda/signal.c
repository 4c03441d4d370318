/* The last node of a graph, which says on the host that the graph has run: a word of page-locked memory becomes 1.
 *
 * COPY: a copy from a device word that holds 1. Works everywhere; the device's copy engines do it. WRITE: an operation
 * of the driver on memory, which by its documentation comes after a fence for all that was written before, and needs no
 * copy engine. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <cuda.h>

#define DRIVER_VERSION 12000 /* of the functions below */

struct driver {
    CUresult (*current)(CUcontext *);
    CUresult (*operation)(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const CUDA_BATCH_MEM_OP_NODE_PARAMS *);
};

static cudaError_t add_write(cudaGraph_t graph, cudaGraphNode_t *last, uint32_t *done, CUcontext context)
{
    struct driver driver;
    cudaError_t e = ei_cuda_driver_find("cuCtxGetCurrent", DRIVER_VERSION, &driver.current);
    if (e == cudaSuccess) {
        e = ei_cuda_driver_find("cuGraphAddBatchMemOpNode", DRIVER_VERSION, &driver.operation);
    }
    if (e == cudaSuccess && context == NULL) {
        e = (cudaError_t)driver.current(&context); /* the numbers are the same */
    }
    if (e != cudaSuccess) {
        return e;
    }
    CUstreamBatchMemOpParams write = {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32,
                                                     .address = (CUdeviceptr)(uintptr_t)done,
                                                     .value = 1,
                                                     .flags = CU_STREAM_WRITE_VALUE_DEFAULT}};
    const CUDA_BATCH_MEM_OP_NODE_PARAMS params = {.ctx = context, .count = 1, .paramArray = &write};
    cudaGraphNode_t node;
    e = (cudaError_t)driver.operation(&node, graph, last, *last != NULL ? 1 : 0, &params);
    *last = e == cudaSuccess ? node : *last;
    return e;
}

static cudaError_t add_copy(cudaGraph_t graph, cudaGraphNode_t *last, uint32_t *done, const uint32_t *one)
{
    cudaGraphNode_t node;
    const cudaError_t e = cudaGraphAddMemcpyNode1D(&node, graph, last, *last != NULL ? 1 : 0, done, one, sizeof *done,
                                                   cudaMemcpyDeviceToHost);
    *last = e == cudaSuccess ? node : *last;
    return e;
}

int ei_cuda_signal_add(struct ei_cuda_parts *parts, cudaGraph_t graph, cudaGraphNode_t *last, uint32_t *done)
{
    const bool is_write = parts->config.signal == EI_CUDA_SIGNAL_WRITE;
    const cudaError_t e =
        is_write ? add_write(graph, last, done, parts->context) : add_copy(graph, last, done, parts->device->one);
    return e == cudaSuccess ? 0
                            : ei_cuda_launch_failed(parts, e,
                                                    is_write ? "adding a write to a graph (signal: copy needs none)"
                                                             : "adding a copy to a graph");
}
