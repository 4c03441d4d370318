/* Devices of this process. A device becomes lost once and for all: after a hang nothing that it holds can be freed
 * without waiting for it, and after an error that CUDA keeps, its context is gone. One lock guards set-up and the
 * pinned blocks; is_lost is read without it.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block of pinned memory, in use or free. The list only grows. */
struct pinned {
    struct pinned *next;
    size_t bytes;
    void *memory;
    bool is_free;
};

/* Nobody who only wants to give a device up may wait for somebody who is inside CUDA. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* held while CUDA sets a device up */
static pthread_mutex_t lost_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t pinned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ei_cuda_device devices[EI_CUDA_DEVICES_MAX];
static struct pinned *pinned_blocks;
static _Thread_local char error_text[400];

/* ---- texts ---- */

const char *ei_cuda_error_text(void)
{
    return error_text;
}

int ei_cuda_fail(int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error_text, sizeof error_text, fmt, args);
    va_end(args);
    return code;
}

/* What a user can do about it. */
static const char *remedy(cudaError_t error)
{
    if (error == cudaErrorMemoryAllocation) {
        return "free memory on the device (nvidia-smi shows who holds it) or use another one";
    }
    if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver || error == cudaErrorInitializationError) {
        return "install the NVIDIA driver that the CUDA toolkit asks for (nvidia-smi shows it), or use a lane of kind "
               "cpu";
    }
    if (error == cudaErrorInvalidDevice) {
        return "name a device that nvidia-smi -L lists";
    }
    return "see dmesg for NVRM messages; einet doctor checks the driver";
}

int ei_cuda_failed(const struct ei_cuda_device *device, cudaError_t error, const char *what)
{
    (void)cudaGetLastError();
    return ei_cuda_fail(EINET_E_BACKEND, "CUDA device %d%s%s%s: %s: %s (%s): %s", device->idx,
                        device->name[0] != '\0' ? " (" : "", device->name, device->name[0] != '\0' ? ")" : "", what,
                        cudaGetErrorString(error), cudaGetErrorName(error), remedy(error));
}

/* ---- lost ---- */

struct ei_cuda_device *ei_cuda_device_at(int32_t device_idx)
{
    return device_idx >= 0 && device_idx < EI_CUDA_DEVICES_MAX ? &devices[device_idx] : NULL;
}

bool ei_cuda_device_is_lost(struct ei_cuda_device *device)
{
    return atomic_load_explicit(&device->is_lost, memory_order_acquire) != 0;
}

int ei_cuda_device_refuse(struct ei_cuda_device *device)
{
    return ei_cuda_fail(EINET_E_BACKEND,
                        "CUDA device %d (%s) is lost: %s: start the program anew; see dmesg for NVRM "
                        "messages",
                        device->idx, device->name, device->lost_text);
}

int ei_cuda_device_lose(struct ei_cuda_device *device, const char *why)
{
    pthread_mutex_lock(&lost_lock);
    if (!ei_cuda_device_is_lost(device)) {
        snprintf(device->lost_text, sizeof device->lost_text, "%s", why);
        atomic_store_explicit(&device->is_lost, 1, memory_order_release);
    }
    pthread_mutex_unlock(&lost_lock);
    return ei_cuda_device_refuse(device);
}

/* ---- set-up ---- */

static int make_ready(struct ei_cuda_device *device)
{
    static const uint32_t one = 1;
    struct cudaDeviceProp properties;
    cudaError_t e = cudaGetDeviceProperties(&properties, device->idx);
    if (e != cudaSuccess) {
        return ei_cuda_failed(device, e, "asking what it is");
    }
    snprintf(device->name, sizeof device->name, "%.63s", properties.name);
    e = cudaDeviceGetStreamPriorityRange(&device->least_priority, &device->greatest_priority);
    if (e != cudaSuccess) {
        return ei_cuda_failed(device, e, "asking for its stream priorities");
    }
    if (device->one == NULL) {
        void *memory;
        e = cudaMalloc(&memory, sizeof one);
        if (e != cudaSuccess) {
            return ei_cuda_failed(device, e, "allocating on it");
        }
        device->one = memory;
    }
    e = cudaMemcpy(device->one, &one, sizeof one, cudaMemcpyHostToDevice);
    if (e != cudaSuccess) {
        return ei_cuda_failed(device, e, "copying to it");
    }
    device->is_ready = true;
    return 0;
}

int ei_cuda_device_open(int32_t device_idx, struct ei_cuda_device **out)
{
    struct ei_cuda_device *device = ei_cuda_device_at(device_idx);
    if (device == NULL) {
        return ei_cuda_fail(EINET_E_USAGE, "a CUDA device has an index of 0 to %d, not %d", EI_CUDA_DEVICES_MAX - 1,
                            device_idx);
    }
    if (ei_cuda_device_is_lost(device)) {
        return ei_cuda_device_refuse(device);
    }
    pthread_mutex_lock(&open_lock);
    if (!device->is_ready) {
        device->idx = device_idx;
    }
    const cudaError_t e = cudaSetDevice(device_idx);
    int rc = e == cudaSuccess ? 0 : ei_cuda_failed(device, e, "choosing it");
    if (rc == 0 && !device->is_ready) {
        rc = make_ready(device);
    }
    pthread_mutex_unlock(&open_lock);
    if (rc == 0) {
        *out = device;
    }
    return rc;
}

cudaError_t ei_cuda_driver_find(const char *name, unsigned int version, void *to)
{
    void *found = NULL;
    enum cudaDriverEntryPointQueryResult status = cudaDriverEntryPointSymbolNotFound;
    const cudaError_t e = cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &status);
    if (e != cudaSuccess || status != cudaDriverEntryPointSuccess || found == NULL) {
        (void)cudaGetLastError();
        return cudaErrorNotSupported;
    }
    *(void **)to = found;
    return cudaSuccess;
}

/* ---- pinned memory ---- */

/* A free block that is large enough, now in use; NULL: none. */
static struct pinned *take_free(size_t bytes)
{
    struct pinned *best = NULL;
    pthread_mutex_lock(&pinned_lock);
    for (struct pinned *p = pinned_blocks; p != NULL; p = p->next) {
        if (p->is_free && p->bytes >= bytes && (best == NULL || p->bytes < best->bytes)) {
            best = p;
        }
    }
    if (best != NULL) {
        best->is_free = false;
    }
    pthread_mutex_unlock(&pinned_lock);
    return best;
}

/* NULL with the text set. Not under the lock: CUDA may wait for the device in it. */
static struct pinned *add(struct ei_cuda_device *device, size_t bytes)
{
    struct pinned *p = calloc(1, sizeof *p);
    if (p == NULL) {
        (void)ei_cuda_fail(-ENOMEM, "no memory for a network on a CUDA device");
        return NULL;
    }
    const cudaError_t e = cudaHostAlloc(&p->memory, bytes, cudaHostAllocPortable);
    if (e != cudaSuccess) {
        free(p);
        (void)ei_cuda_failed(device, e, "pinning memory of the host");
        return NULL;
    }
    p->bytes = bytes;
    pthread_mutex_lock(&pinned_lock);
    p->next = pinned_blocks;
    pinned_blocks = p;
    pthread_mutex_unlock(&pinned_lock);
    return p;
}

int ei_cuda_pinned_take(struct ei_cuda_device *device, size_t bytes, void **out)
{
    struct pinned *p = take_free(bytes);
    if (p == NULL) {
        p = add(device, bytes);
    }
    if (p == NULL) {
        return EINET_E_BACKEND;
    }
    memset(p->memory, 0, p->bytes);
    *out = p->memory;
    return 0;
}

void ei_cuda_pinned_give(void *memory)
{
    pthread_mutex_lock(&pinned_lock);
    for (struct pinned *p = pinned_blocks; p != NULL && memory != NULL; p = p->next) {
        p->is_free = p->is_free || p->memory == memory;
    }
    pthread_mutex_unlock(&pinned_lock);
}
