/* The driver's functions that the plug-in asks for by name: green contexts, and a node that writes a word. A device has
 * 132 SMs in groups of 8, as an H200, or what the configuration says; a stream knows its SMs, and a device runs one
 * graph at a time all the same.
 */
#include "tests/fakes/fake_device.h"

#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#define SMS 132
#define GROUP 8

/* What resources and descriptors are made of: which groups. */
struct groups {
    int32_t device_idx;
    uint64_t mask;
};

struct CUdevResourceDesc_st {
    struct groups groups;
};

struct CUgreenCtx_st {
    struct groups groups;
    int32_t context; /* its number as one, from 1 */
};

static int32_t sms_of_device(void)
{
    return fake.config.sms > 0 ? fake.config.sms : SMS;
}

/* They lie in the part of a resource that is the driver's own. */
static struct groups groups_of(const CUdevResource *resource)
{
    struct groups groups;
    memcpy(&groups, resource->_internal_padding, sizeof groups);
    return groups;
}

static void set_groups(CUdevResource *resource, struct groups groups)
{
    memcpy(resource->_internal_padding, &groups, sizeof groups);
}

static CUresult device_get(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return CUDA_SUCCESS;
}

static CUresult error_name(CUresult error, const char **name)
{
    *name = error == CUDA_ERROR_NOT_SUPPORTED ? "CUDA_ERROR_NOT_SUPPORTED" : "CUDA_ERROR_OTHER";
    return CUDA_SUCCESS;
}

static CUresult resource(CUdevice device, CUdevResource *out, CUdevResourceType type)
{
    if (fake.config.green == FAKE_GREEN_NO_DEVICE) {
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    memset(out, 0, sizeof *out);
    out->type = type;
    out->sm.smCount = (unsigned int)sms_of_device();
#if CUDA_VERSION >= 13000
    out->sm.minSmPartitionSize = out->sm.smCoscheduledAlignment = GROUP;
#endif
    set_groups(out, (struct groups){.device_idx = device});
    return CUDA_SUCCESS;
}

static CUresult split(CUdevResource *result, unsigned int *count, const CUdevResource *input, CUdevResource *remaining,
                      unsigned int flags, unsigned int min_count)
{
    const unsigned int most = input->sm.smCount / GROUP;
    if (remaining != NULL || flags != 0 || min_count == 0 || min_count > GROUP) {
        return CUDA_ERROR_INVALID_VALUE; /* the plug-in asks for nothing but the smallest groups */
    }
    *count = most < *count ? most : *count;
    for (unsigned int i = 0; i < *count; i++) {
        result[i] = *input;
        result[i].sm.smCount = GROUP;
        set_groups(&result[i], (struct groups){groups_of(input).device_idx, UINT64_C(1) << i});
    }
    return CUDA_SUCCESS;
}

static CUresult describe(CUdevResourceDesc *out, CUdevResource *resources, unsigned int count)
{
    static struct CUdevResourceDesc_st made; /* used up at once */
    made.groups = groups_of(&resources[0]);
    for (unsigned int i = 1; i < count; i++) {
        made.groups.mask |= groups_of(&resources[i]).mask;
    }
    *out = &made;
    return CUDA_SUCCESS;
}

static CUresult create(CUgreenCtx *out, CUdevResourceDesc description, CUdevice device, unsigned int flags)
{
    static struct CUgreenCtx_st contexts[FAKE_GREEN_CONTEXTS_MAX]; /* they live as long as the process */
    static int32_t made;
    if (flags != CU_GREEN_CTX_DEFAULT_STREAM || description->groups.device_idx != device ||
        made == FAKE_GREEN_CONTEXTS_MAX) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    contexts[made].groups = description->groups;
    contexts[made].context = made + 1;
    *out = &contexts[made++];
    return CUDA_SUCCESS;
}

static CUresult as_context(CUcontext *out, CUgreenCtx green)
{
    *out = (CUcontext)(void *)green;
    return CUDA_SUCCESS;
}

static CUresult push(CUcontext context)
{
    if (fake_context != 0) {
        return CUDA_ERROR_INVALID_CONTEXT; /* the plug-in puts one on the device's own */
    }
    fake_context = ((const struct CUgreenCtx_st *)(const void *)context)->context;
    return CUDA_SUCCESS;
}

static CUresult pop(CUcontext *out)
{
    *out = NULL;
    if (fake_context == 0) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    fake_context = 0;
    return CUDA_SUCCESS;
}

static CUresult current(CUcontext *out)
{
    *out = NULL; /* the device's own has no other name here */
    return fake_context == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult add_operation(CUgraphNode *node, CUgraph graph, const CUgraphNode *before, size_t before_count,
                              const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    const CUstreamBatchMemOpParams *operation = params->paramArray;
    if (params->count != 1 || operation->operation != CU_STREAM_MEM_OP_WRITE_VALUE_32 ||
        operation->writeValue.flags != CU_STREAM_WRITE_VALUE_DEFAULT) {
        return CUDA_ERROR_INVALID_VALUE; /* the plug-in asks for nothing else */
    }
    return (CUresult)fake_graph_write(node, graph, before, before_count,
                                      (uint32_t *)(uintptr_t)operation->writeValue.address,
                                      operation->writeValue.value);
}

static CUresult create_stream(CUstream *out, CUgreenCtx context, unsigned int flags, int priority)
{
    cudaStream_t stream;
    if (flags != CU_STREAM_NON_BLOCKING || cudaSetDevice(context->groups.device_idx) != cudaSuccess ||
        cudaStreamCreateWithPriority(&stream, flags, priority) != cudaSuccess) {
        return CUDA_ERROR_UNKNOWN;
    }
    stream->groups = context->groups.mask;
    stream->context = context->context;
    *out = stream;
    return CUDA_SUCCESS;
}

/* Object pointers to functions and back, as the driver's own interface has them. */
#define FOUND(function)                                                                                                \
    do {                                                                                                               \
        __typeof__(function) *const pointer = function;                                                                \
        memcpy(out, &pointer, sizeof *out);                                                                            \
    } while (0)

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **out, unsigned int version,
                                             unsigned long long flags, enum cudaDriverEntryPointQueryResult *status)
{
    (void)version;
    (void)flags;
    *out = NULL;
    if (strcmp(symbol, "cuDeviceGet") == 0) {
        FOUND(device_get);
    } else if (strcmp(symbol, "cuGetErrorName") == 0) {
        FOUND(error_name);
    } else if (fake.config.green == FAKE_GREEN_NO_DRIVER) {
        *status = cudaDriverEntryPointVersionNotSufficent;
        return cudaSuccess;
    } else if (strcmp(symbol, "cuCtxGetCurrent") == 0) {
        FOUND(current);
    } else if (strcmp(symbol, "cuGraphAddBatchMemOpNode") == 0) {
        FOUND(add_operation);
    } else if (strcmp(symbol, "cuDeviceGetDevResource") == 0) {
        FOUND(resource);
    } else if (strcmp(symbol, "cuDevSmResourceSplitByCount") == 0) {
        FOUND(split);
    } else if (strcmp(symbol, "cuDevResourceGenerateDesc") == 0) {
        FOUND(describe);
    } else if (strcmp(symbol, "cuGreenCtxCreate") == 0) {
        FOUND(create);
    } else if (strcmp(symbol, "cuGreenCtxStreamCreate") == 0) {
        FOUND(create_stream);
    } else if (strcmp(symbol, "cuCtxFromGreenCtx") == 0) {
        FOUND(as_context);
    } else if (strcmp(symbol, "cuCtxPushCurrent") == 0) {
        FOUND(push);
    } else if (strcmp(symbol, "cuCtxPopCurrent") == 0) {
        FOUND(pop);
    }
    *status = *out != NULL ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
