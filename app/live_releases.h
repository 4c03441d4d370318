/* Releases of external tasks from a file, a named pipe or standard input during `einet run`: each line names the task
 * whose next job is released when it is read. A thread on the housekeeping CPUs reads; nothing of it is real-time.
 *
 * Empty lines and lines that begin with '#' are skipped. A line that names no external task is reported by its number
 * and otherwise passed over. Lines that come before time zero of the run wait for it.
 */
#ifndef APP_LIVE_RELEASES_H
#define APP_LIVE_RELEASES_H

#include "rt/thread.h"
#include "workloads/spec.h"

#include <stdatomic.h>

#define EINET_RELEASE_LINE_MAX 256

struct einet_live_releases {
    const char *path; /* "-" = standard input */
    const struct ei_workload *wl;
    int fd;
    struct ei_thread thread;
    bool has_thread;
    atomic_bool is_ending;
    /* the reader's */
    char line[EINET_RELEASE_LINE_MAX];
    int length;
    bool is_long; /* the line is longer than any name */
    int64_t number, bad;
};

/* Open the file. Returns 0 (close it), or EINET_E_USAGE with a sentence: it cannot be read, or the workload has no
 * external task. */
int einet_live_releases_open(struct einet_live_releases *releases, const char *path, const struct ei_workload *wl,
                             struct einet_error *err);

/* Start to read: what ei_live_options.on_ready does; context: struct einet_live_releases. */
void einet_live_releases_start(void *context);

/* Stop reading and say how many lines were bad. */
void einet_live_releases_close(struct einet_live_releases *releases);

#endif
