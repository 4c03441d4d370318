/* dlopen of the plug-in. A mutex guards the one global, the table that was found; not for real-time threads. */
#include "stages/torch/loader.h"

#include "rt/memory.h"
#include "stages/plugin_file.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#define PLUGIN_FILE "libeinet_torch.so"

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct ei_torch_api *loaded;

static int load_locked(struct einet_error *err)
{
    char fault[300];
    void *handle = ei_plugin_open(PLUGIN_FILE, "EINET_TORCH_PLUGIN", fault, sizeof fault);
    if (handle == NULL) {
        return einet_error_set(err, EINET_E_BACKEND,
                               "the libtorch plug-in is missing (%.200s): apt-get install libtorch-dev "
                               "libopenblas0-serial and build again, or use an emulate: network",
                               fault);
    }
    const struct ei_torch_api *(*entry)(void);
    *(void **)&entry = dlsym(handle, EI_TORCH_ENTRY);
    const struct ei_torch_api *api = entry != NULL ? entry() : NULL;
    if (api == NULL || api->abi != EI_TORCH_ABI) {
        dlclose(handle);
        return einet_error_set(err, EINET_E_BACKEND,
                               "the libtorch plug-in is of another build (ABI %d, wanted %d): build again",
                               api != NULL ? api->abi : -1, EI_TORCH_ABI);
    }
    if (api->blas_safe() != 1) { /* libtorch stays loaded: it cannot be unloaded */
        return einet_error_set(err, EINET_E_BACKEND,
                               "the program loaded a single-threaded OpenBLAS before libtorch, in which two networks "
                               "at once compute wrong answers: apt-get install libopenblas0-pthread");
    }
    loaded = api;
    return 0;
}

int ei_torch_load(const struct ei_torch_api **out_api, struct einet_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&load_lock);
    if (loaded == NULL) {
        (void)ei_memory_tune_malloc();
        rc = load_locked(err);
    }
    if (rc == 0) {
        *out_api = loaded;
    }
    pthread_mutex_unlock(&load_lock);
    return rc;
}
