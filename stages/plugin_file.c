/* dlopen of plug-ins. No state. */
#include "stages/plugin_file.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Path of a file beside the executable; "" when it cannot be known. */
static void path_beside_executable(const char *file_name, char *out, size_t size_bytes)
{
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    out[0] = '\0';
    if (length <= 0) {
        return;
    }
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return;
    }
    *slash = '\0';
    const int needed = snprintf(out, size_bytes, "%s/%s", self, file_name);
    if (needed < 0 || (size_t)needed >= size_bytes) {
        out[0] = '\0';
    }
}

void *ei_plugin_open(const char *file_name, const char *variable, char *fault, size_t fault_bytes)
{
    char beside[PATH_MAX], installed[PATH_MAX];
    path_beside_executable(file_name, beside, sizeof beside);
    snprintf(installed, sizeof installed, EINET_PLUGIN_DIR "/%s", file_name);
    const char *const candidates[] = {getenv(variable), beside, installed};
    snprintf(fault, fault_bytes, "no %s found", file_name);
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        if (candidates[i] == NULL || candidates[i][0] == '\0') {
            continue;
        }
        if (i > 0 && access(candidates[i], R_OK) != 0) {
            continue;
        }
        void *handle = dlopen(candidates[i], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL) {
            snprintf(fault, fault_bytes, "%s", dlerror());
        }
        if (handle != NULL || i == 0) {
            return handle;
        }
    }
    return NULL;
}
