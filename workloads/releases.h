/* Recorded releases of external tasks: a CSV with a line of column names, of which `task` and `release_ns` (or _us,
 * _ms, _s, as in a trace file) are looked at, in any place. jobs.csv of an earlier run is one, and so is a file of just
 * these two columns. Empty lines and lines that begin with '#' are skipped; texts may be quoted as in RFC 4180.
 *
 * Lines of tasks that are not external are passed over: their own arrivals say when they come. Lines may be in any
 * order.
 */
#ifndef WORKLOADS_RELEASES_H
#define WORKLOADS_RELEASES_H

#include "workloads/spec.h"

struct ei_releases {
    int64_t *asked_ns[EI_TASKS_MAX]; /* since t0, not decreasing; NULL = none. Owned */
    int64_t count[EI_TASKS_MAX];
};

/* Read a file for a workload. Returns 0 (ei_releases_fini it), EINET_E_FILE with file and line in err, or -ENOMEM.
 * Thread: any. */
int ei_releases_read(const char *path, const struct ei_workload *wl, struct ei_releases *out, struct einet_error *err);
void ei_releases_fini(struct ei_releases *releases);

/* The first external task of a workload, EI_NONE_IDX when there is none. */
int32_t ei_releases_first_task(const struct ei_workload *wl);

#endif
