/* Changes of a run that goes on, by whoever embeds it: priority, deadline and plan of a task, pause and resume. A
 * change is checked as the file was, admitted as the run was, logged for summary.json and run.json, and holds for every
 * job that begins after the call has returned (settings_rt.h).
 */
#ifndef ENGINE_CHANGE_H
#define ENGINE_CHANGE_H

#include "planner/search.h"

#include <einet/error.h>
#include <stdint.h>

struct ei_run;
struct ei_tap;

enum {
    EI_CHANGE_PRIORITY = 1 << 0,
    EI_CHANGE_DEADLINE = 1 << 1,
    EI_CHANGE_SEARCH = 1 << 2,
    EI_CHANGE_PAUSE = 1 << 3,
    EI_CHANGE_RESUME = 1 << 4
};

struct ei_change {
    int32_t task_idx;
    uint32_t what; /* EI_CHANGE_*, not both of the last two */
    int32_t priority;
    int64_t deadline_ns; /* relative, above 0; EI_NONE_NS = none */
    struct ei_search search;
};

#define EI_CHANGES_LOGGED_MAX 4096 /* further ones hold, and are counted */

/* Change tasks of the run of that tap, no task twice: all that is asked for or nothing, admitted as a whole. A pause of
 * a paused task, and a resume of one that is not, change nothing and are not logged.
 *
 * Returns 0; -EAGAIN: the run has not reached its time zero; -ESHUTDOWN: it ends, or has ended; -EINVAL: no such task;
 * EINET_E_USAGE: not with this task, or not under its scheduler's policy; EINET_E_FILE: admission refuses it; -ENOMEM.
 * Thread: any outside of real time, several at once: they take turns. */
int ei_live_change(struct ei_tap *tap, const struct ei_change *changes, int32_t count, struct einet_error *err);

/* The search of a task's planner, as the file says. Thread: any. */
struct ei_workload;
struct ei_search ei_task_search(const struct ei_workload *wl, int32_t task_idx);

/* Of the run: what it needs to be changed, before its threads start, and its end. */
int ei_run_open_changes(struct ei_run *run, struct einet_error *err);
void ei_run_close_changes(struct ei_run *run);

#endif
