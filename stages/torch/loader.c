/* dlopen of the plug-in. A mutex guards the one global, the table that was found; not for real-time threads. */
#include "stages/torch/loader.h"

#include "stages/plugin_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN_FILE "libeinet_torch.so"
#define TOP_PAD_BYTES (64 * 1024 * 1024)

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
    loaded = api;
    return 0;
}

int ei_torch_load(const struct ei_torch_api **out_api, struct einet_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&load_lock);
    if (loaded == NULL) {
        mallopt(M_TRIM_THRESHOLD, -1);
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_TOP_PAD, TOP_PAD_BYTES);
        mallopt(M_ARENA_MAX, 1);
        rc = load_locked(err);
    }
    if (rc == 0) {
        *out_api = loaded;
    }
    pthread_mutex_unlock(&load_lock);
    return rc;
}

/* Set a missing variable; returns whether it was missing. */
static bool ensure(const char *name, const char *value)
{
    return getenv(name) == NULL && setenv(name, value, 0) == 0;
}

int ei_torch_environment_apply(char **argv)
{
    bool changed = ensure("OPENBLAS_NUM_THREADS", "1");
    changed = ensure("OMP_WAIT_POLICY", "passive") || changed;
    changed = ensure("GOMP_SPINCOUNT", "0") || changed;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        changed = ensure("OPENBLAS_CORETYPE", "SKYLAKEX") || changed;
    }
#endif
    if (!changed) {
        return 0;
    }
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return length < 0 ? -errno : -ENOENT;
    }
    self[length] = '\0';
    execv(self, argv);
    return -errno;
}
