/* SMs of a device that belong to one lane alone: CUDA's green contexts. A device is divided once, into groups of the
 * least size that it allows, all of one call as the driver wants it; a lane takes as many of them as hold what it asks
 * for, and keeps them as long as the process lives. Its networks have streams of the same green context, so what is
 * captured on them and what is launched there runs on these SMs. The driver's functions are asked for by name: a driver
 * that is too old has none. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <cuda.h>
#include <einet/error.h>

#define GROUPS_MAX 64
#define LANES_MAX 64
#define DRIVER_VERSION 12050 /* of the functions below */

struct driver {
    bool is_loaded;
    CUresult (*device_get)(CUdevice *, int);
    CUresult (*error_name)(CUresult, const char **);
    CUresult (*resource)(CUdevice, CUdevResource *, CUdevResourceType);
    CUresult (*split)(CUdevResource *, unsigned int *, const CUdevResource *, CUdevResource *, unsigned int,
                      unsigned int);
    CUresult (*describe)(CUdevResourceDesc *, CUdevResource *, unsigned int);
    CUresult (*create)(CUgreenCtx *, CUdevResourceDesc, CUdevice, unsigned int);
    CUresult (*stream)(CUstream *, CUgreenCtx, unsigned int, int);
    CUresult (*context)(CUcontext *, CUgreenCtx);
    CUresult (*push)(CUcontext);
    CUresult (*pop)(CUcontext *);
};

struct lane {
    int32_t lane_idx, asked, sms;
    CUgreenCtx green;
    CUcontext context; /* the same, for calls that want one */
};

struct division {
    bool is_made;
    CUdevice device;
    CUdevResource group[GROUPS_MAX];
    int32_t groups, used, sms, sms_per_group;
    struct lane lanes[LANES_MAX];
    int32_t lane_count;
};

static pthread_mutex_t green_lock = PTHREAD_MUTEX_INITIALIZER;
static struct driver driver;
static struct division divisions[EI_CUDA_DEVICES_MAX];

static int refuse(const struct ei_cuda_device *d, CUresult result, const char *what)
{
    const char *name = NULL;
    (void)driver.error_name(result, &name);
    return ei_cuda_fail(EINET_E_BACKEND,
                        "CUDA device %d (%s): %s: error %d (%s): sms needs a device and a driver with green contexts: "
                        "take it from the lane where they have none",
                        d->idx, d->name, what, (int)result, name != NULL ? name : "of the driver");
}

static int load(const struct ei_cuda_device *d)
{
    const struct {
        const char *name;
        void *to;
    } functions[] = {
        {"cuDeviceGet", &driver.device_get},
        {"cuGetErrorName", &driver.error_name},
        {"cuDeviceGetDevResource", &driver.resource},
        {"cuDevSmResourceSplitByCount", &driver.split},
        {"cuDevResourceGenerateDesc", &driver.describe},
        {"cuGreenCtxCreate", &driver.create},
        {"cuGreenCtxStreamCreate", &driver.stream},
        {"cuCtxFromGreenCtx", &driver.context},
        {"cuCtxPushCurrent", &driver.push},
        {"cuCtxPopCurrent", &driver.pop},
    };
    for (size_t i = 0; !driver.is_loaded && i < sizeof functions / sizeof functions[0]; i++) {
        if (ei_cuda_driver_find(functions[i].name, DRIVER_VERSION, functions[i].to) != cudaSuccess) {
            return ei_cuda_fail(
                EINET_E_BACKEND,
                "CUDA device %d (%s): its driver knows no %s: sms needs the driver of CUDA 12.5 or later "
                "(nvidia-smi shows it): update it, or take sms from the lane",
                d->idx, d->name, functions[i].name);
        }
    }
    driver.is_loaded = true;
    return 0;
}

/* SMs of the smallest group. Headers before CUDA 13 do not say; a number that is too small is rounded up. */
static unsigned int smallest_group(const CUdevResource *all)
{
#if CUDA_VERSION >= 13000
    return all->sm.minSmPartitionSize;
#else
    (void)all;
    return 1;
#endif
}

/* All of the device, in the smallest groups. */
static int divide(const struct ei_cuda_device *d, struct division *division)
{
    CUdevResource all;
    CUresult r = driver.device_get(&division->device, d->idx);
    if (r == CUDA_SUCCESS) {
        r = driver.resource(division->device, &all, CU_DEV_RESOURCE_TYPE_SM);
    }
    if (r != CUDA_SUCCESS) {
        return refuse(d, r, "asking for its SMs");
    }
    unsigned int groups = GROUPS_MAX;
    r = driver.split(division->group, &groups, &all, NULL, 0, smallest_group(&all));
    if (r != CUDA_SUCCESS || groups == 0) {
        return refuse(d, r, "dividing its SMs");
    }
    division->groups = (int32_t)groups;
    division->sms = (int32_t)all.sm.smCount;
    division->sms_per_group = (int32_t)division->group[0].sm.smCount;
    division->is_made = true;
    return 0;
}

static int take(const struct ei_cuda_device *d, struct division *division, struct lane *lane)
{
    const int32_t groups = (lane->asked + division->sms_per_group - 1) / division->sms_per_group;
    const int32_t free_groups = division->groups - division->used;
    if (groups > free_groups || division->lane_count == LANES_MAX) {
        return ei_cuda_fail(EINET_E_USAGE,
                            "CUDA device %d (%s): a lane asks for %d SMs, and %d of %d are left, in groups of %d: give "
                            "its lanes fewer sms",
                            d->idx, d->name, lane->asked, free_groups * division->sms_per_group, division->sms,
                            division->sms_per_group);
    }
    CUdevResourceDesc description;
    CUresult r = driver.describe(&description, &division->group[division->used], (unsigned int)groups);
    if (r == CUDA_SUCCESS) {
        r = driver.create(&lane->green, description, division->device, CU_GREEN_CTX_DEFAULT_STREAM);
    }
    if (r == CUDA_SUCCESS) {
        r = driver.context(&lane->context, lane->green);
    }
    if (r != CUDA_SUCCESS) {
        return refuse(d, r, "reserving SMs");
    }
    division->used += groups;
    lane->sms = groups * division->sms_per_group;
    division->lanes[division->lane_count++] = *lane;
    return 0;
}

static int create_stream(const struct ei_cuda_device *d, struct division *division, const struct lane *wanted,
                         int priority, cudaStream_t *out, CUcontext *out_context)
{
    struct lane lane = *wanted;
    int rc = load(d);
    if (rc == 0 && !division->is_made) {
        rc = divide(d, division);
    }
    for (int32_t i = 0; rc == 0 && i < division->lane_count; i++) {
        lane = division->lanes[i].lane_idx == wanted->lane_idx ? division->lanes[i] : lane;
    }
    if (rc == 0 && lane.green == NULL) {
        rc = take(d, division, &lane);
    }
    if (rc != 0) {
        return rc;
    }
    *out_context = lane.context;
    const CUresult r = driver.stream(out, lane.green, CU_STREAM_NON_BLOCKING, priority);
    return r == CUDA_SUCCESS ? 0 : refuse(d, r, "creating a stream on reserved SMs");
}

int ei_cuda_green_stream(const struct ei_cuda_device *device, int32_t lane_idx, int32_t sms, int priority,
                         cudaStream_t *out, CUcontext *out_context)
{
    const struct lane wanted = {.lane_idx = lane_idx, .asked = sms};
    pthread_mutex_lock(&green_lock);
    const int rc = create_stream(device, &divisions[device->idx], &wanted, priority, out, out_context);
    pthread_mutex_unlock(&green_lock);
    return rc;
}

cudaError_t ei_cuda_event_create(CUcontext context, unsigned int flags, cudaEvent_t *out)
{
    CUcontext popped;
    if (context == NULL) {
        return cudaEventCreateWithFlags(out, flags);
    }
    const CUresult r = driver.push(context);
    if (r != CUDA_SUCCESS) {
        return (cudaError_t)r; /* the numbers are the same */
    }
    const cudaError_t e = cudaEventCreateWithFlags(out, flags);
    (void)driver.pop(&popped);
    return e;
}
