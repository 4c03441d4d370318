/* A mutex guards the one global, the table that was found; not for real-time threads. */
#include "stages/cuda/loader.h"

#include "stages/plugin_file.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct ei_cuda_api *loaded;

static int load_locked(struct einet_error *err)
{
    char fault[300];
    void *handle = ei_plugin_open("libeinet_cuda.so", "EINET_CUDA_PLUGIN", fault, sizeof fault);
    if (handle == NULL) {
        return einet_error_set(err, EINET_E_BACKEND,
                               "the CUDA plug-in is missing (%.200s): install the CUDA toolkit (12 or later) and build "
                               "again with -DEINET_CUDA=ON, or use a lane of kind cpu",
                               fault);
    }
    const struct ei_cuda_api *(*entry)(void);
    *(void **)&entry = dlsym(handle, EI_CUDA_ENTRY);
    const struct ei_cuda_api *api = entry != NULL ? entry() : NULL;
    if (api == NULL || api->abi != EI_CUDA_ABI) {
        dlclose(handle);
        return einet_error_set(err, EINET_E_BACKEND,
                               "the CUDA plug-in is of another build (ABI %d, wanted %d): build again",
                               api != NULL ? api->abi : -1, EI_CUDA_ABI);
    }
    loaded = api;
    return 0;
}

int ei_cuda_load(const struct ei_cuda_api **out_api, struct einet_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&load_lock);
    if (loaded == NULL) {
        rc = load_locked(err);
    }
    if (rc == 0) {
        *out_api = loaded;
    }
    pthread_mutex_unlock(&load_lock);
    return rc;
}
