/* dlopen of plug-ins. No state. */
#include "stages/plugin_file.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Places of a plug-in, the first that exists counts. */
enum place {
    NAMED,
    BESIDE_EXECUTABLE,
    BESIDE_LIBRARY,
    INSTALLED_BY_LIBRARY,
    INSTALLED_BY_EXECUTABLE,
    INSTALLED,
    PLACES
};

/* FOLDER/sub/file_name for the folder of self, a path; "" when there is none. */
static void path_beside(const char *self, const char *sub, const char *file_name, char out[PATH_MAX])
{
    const char *slash = strrchr(self, '/');
    const int folder = slash != NULL ? (int)(slash - self) : 0;
    const int needed = slash != NULL ? snprintf(out, PATH_MAX, "%.*s/%s%s", folder, self, sub, file_name) : -1;
    if (needed < 0 || needed >= PATH_MAX) {
        out[0] = '\0';
    }
}

/* Of the running program, and of the file that holds this code: libeinet.so, or the program again. */
static void find_selves(char executable[PATH_MAX], char library[PATH_MAX])
{
    Dl_info info;
    const ssize_t length = readlink("/proc/self/exe", executable, PATH_MAX - 1);
    executable[length > 0 ? length : 0] = '\0';
    library[0] = '\0';
    if (dladdr((const void *)(uintptr_t)ei_plugin_open, &info) != 0 && info.dli_fname != NULL) {
        snprintf(library, PATH_MAX, "%s", info.dli_fname);
    }
}

void *ei_plugin_open(const char *file_name, const char *variable, char *fault, size_t fault_bytes)
{
    char executable[PATH_MAX], library[PATH_MAX], paths[PLACES][PATH_MAX];
    const char *named = getenv(variable);
    find_selves(executable, library);
    snprintf(paths[NAMED], PATH_MAX, "%s", named != NULL ? named : "");
    path_beside(executable, "", file_name, paths[BESIDE_EXECUTABLE]);
    path_beside(library, "", file_name, paths[BESIDE_LIBRARY]);
    path_beside(library, "einet/", file_name, paths[INSTALLED_BY_LIBRARY]);
    path_beside(executable, EINET_PLUGIN_FROM_BIN "/", file_name, paths[INSTALLED_BY_EXECUTABLE]);
    snprintf(paths[INSTALLED], PATH_MAX, EINET_PLUGIN_DIR "/%s", file_name);
    snprintf(fault, fault_bytes, "no %s found", file_name);
    for (int i = 0; i < PLACES; i++) {
        if (paths[i][0] == '\0' || (i != NAMED && access(paths[i], R_OK) != 0)) {
            continue;
        }
        void *handle = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL) {
            snprintf(fault, fault_bytes, "%s", dlerror());
        }
        if (handle != NULL || i == NAMED) {
            return handle;
        }
    }
    return NULL;
}
