/* What CycloneDDS made of its configuration, as the kernel sees it. See bridge.h. */
#include "adapters/dds/bridge.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KNOWN 4 /* threads: two that carry data, two of the background */
#define LOOK_AGAIN_NS 1000000L
#define LOOKS_MAX 5000

/* Threads that carry data; the rest of CycloneDDS's must stay out of real time. */
static bool is_carrier(const char *name)
{
    return strcmp(name, "recv") == 0 || strcmp(name, "tev") == 0;
}

/* Garbage collection and discovery. */
static bool is_background(const char *name)
{
    return strcmp(name, "gc") == 0 || strcmp(name, "dq.builtins") == 0;
}

static bool read_name(const char *tid, char out_name[EI_THREAD_NAME_MAX + 1])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", tid);
    FILE *in = fopen(path, "re");
    const bool is_read = in != NULL && fgets(out_name, EI_THREAD_NAME_MAX + 1, in) != NULL;
    if (in != NULL) {
        (void)fclose(in);
    }
    if (is_read) {
        out_name[strcspn(out_name, "\n")] = '\0';
    }
    return is_read;
}

static int check_one(const char *name, pid_t tid, int32_t priority, int32_t *known, struct einet_error *err)
{
    struct ei_thread_state state;
    if ((!is_carrier(name) && !is_background(name)) || ei_thread_read(tid, &state) < 0) {
        return 0; /* another's, or gone */
    }
    (*known)++;
    if (is_background(name)) {
        return state.policy == EI_THREAD_OTHER
                   ? 0
                   : einet_error_set(err, EINET_E_BACKEND,
                                     "thread %s of CycloneDDS is a real-time one: create the bridge "
                                     "without scheduling settings for it in CYCLONEDDS_URI",
                                     name);
    }
    const enum ei_thread_policy wanted = priority > 0 ? EI_THREAD_FIFO : EI_THREAD_OTHER;
    return state.policy == wanted && state.priority == priority
               ? 0
               : einet_error_set(err, EINET_E_BACKEND,
                                 "thread %s of CycloneDDS has priority %d instead of %d: leave its "
                                 "scheduling out of CYCLONEDDS_URI",
                                 name, state.priority, priority);
}

/* One look at all threads of the process. */
static int look(int32_t priority, int32_t *out_known, struct einet_error *err)
{
    DIR *tasks = opendir("/proc/self/task");
    int rc = 0;
    *out_known = 0;
    if (tasks == NULL) {
        return einet_error_set(err, -errno, "/proc/self/task cannot be read, so CycloneDDS's threads are not known");
    }
    for (const struct dirent *entry = readdir(tasks); rc == 0 && entry != NULL; entry = readdir(tasks)) {
        char name[EI_THREAD_NAME_MAX + 1];
        if (entry->d_name[0] != '.' && read_name(entry->d_name, name)) {
            rc = check_one(name, (pid_t)strtol(entry->d_name, NULL, 10), priority, out_known, err);
        }
    }
    (void)closedir(tasks);
    return rc;
}

int ei_dds_check_threads(int32_t priority, struct einet_error *err)
{
    const struct timespec nap = {.tv_nsec = LOOK_AGAIN_NS};
    int32_t known = 0;
    int rc = look(priority, &known, err);
    for (int i = 0; rc == 0 && known < KNOWN && i < LOOKS_MAX; i++) {
        (void)nanosleep(&nap, NULL); /* a thread names itself, once it runs */
        rc = look(priority, &known, err);
    }
    if (rc == 0 && known < KNOWN) {
        rc = einet_error_set(err, EINET_E_BACKEND,
                             "CycloneDDS has no threads recv, tev, gc and dq.builtins: this version does not know the "
                             "configuration that the bridge makes for it");
    }
    return rc;
}
