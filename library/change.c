/* Changes of a run that goes on. See einet/run.h. */
#include "library/run.h"

#include "engine/change.h"
#include "library/sized.h"

#include <errno.h>
#include <string.h>

static int take_change(const struct einet_change *from, struct ei_change *out, struct einet_error *err)
{
    const uint32_t known = EINET_SET_PRIORITY | EINET_SET_DEADLINE | EINET_SET_SEARCH | EINET_SET_EXITS;
    struct einet_change change;
    const int rc = ei_sized_take(&change, sizeof change, from);
    if (rc < 0) {
        return einet_error_set(err, rc,
                               rc == -E2BIG ? "a change of a newer einet than this library, " EINET_VERSION
                                              ": install that one"
                                            : "a change without its size: set size_bytes to sizeof the struct");
    }
    if ((change.what & known) == 0 || (change.what & ~known) != 0) {
        return einet_error_set(err, -EINVAL, "what is 0x%x: name what to change with EINET_SET_*",
                               (unsigned)change.what);
    }
    if ((change.what & EINET_SET_SEARCH) != 0 && (change.what & EINET_SET_EXITS) != 0) {
        return einet_error_set(err, EINET_E_USAGE,
                               "either a search chooses the exits or they are given: set search or exits");
    }
    *out = (struct ei_change){.priority = change.priority,
                              .deadline_ns = change.deadline_ns == EINET_NO_DEADLINE ? EI_NONE_NS : change.deadline_ns};
    out->what = ((change.what & EINET_SET_PRIORITY) != 0 ? (uint32_t)EI_CHANGE_PRIORITY : 0) |
                ((change.what & EINET_SET_DEADLINE) != 0 ? (uint32_t)EI_CHANGE_DEADLINE : 0) |
                ((change.what & (EINET_SET_SEARCH | EINET_SET_EXITS)) != 0 ? (uint32_t)EI_CHANGE_SEARCH : 0);
    if ((change.what & EINET_SET_EXITS) != 0) {
        out->search = (struct ei_search){.kind = EI_SEARCH_FIXED, .exits = change.exits};
    }
    return (change.what & EINET_SET_SEARCH) != 0
               ? ei_search_parse(change.search != NULL ? change.search : "", &out->search, err)
               : 0;
}

/* A phase in which nothing can change has its own code, so that the engine is only asked of a run that is in it. */
static int change_task(struct einet_run *run, int32_t task_idx, const struct ei_change *change, struct einet_error *err)
{
    switch ((enum einet_run_phase)atomic_load(&run->phase)) {
    case EINET_RUN_CREATED:
    case EINET_RUN_STARTING:
        return einet_error_set(err, -EAGAIN, "the run has not started: change it when it has");
    case EINET_RUN_RUNNING:
        return ei_live_change(&run->tap, task_idx, change, err);
    case EINET_RUN_ENDING:
    case EINET_RUN_ENDED:
    case EINET_RUN_FAILED:
        break;
    }
    return einet_error_set(err, -ESHUTDOWN, "the run ends: nothing of it can change any more");
}

int einet_run_set(struct einet_run *run, int32_t task_idx, const struct einet_change *change, struct einet_error *err)
{
    struct ei_change taken;
    const int rc = take_change(change, &taken, err);
    return rc < 0 ? rc : change_task(run, task_idx, &taken, err);
}

int einet_run_pause(struct einet_run *run, int32_t task_idx, struct einet_error *err)
{
    return change_task(run, task_idx, &(struct ei_change){.what = EI_CHANGE_PAUSE}, err);
}

int einet_run_resume(struct einet_run *run, int32_t task_idx, struct einet_error *err)
{
    return change_task(run, task_idx, &(struct ei_change){.what = EI_CHANGE_RESUME}, err);
}

int einet_run_settings(const struct einet_run *run, int32_t task_idx, struct einet_settings *out_settings)
{
    if (task_idx < 0 || task_idx >= run->workload->spec->task_count) {
        return -EINVAL;
    }
    struct ei_tap_settings now;
    ei_tap_settings((struct ei_tap *)(uintptr_t)&run->tap, task_idx, &now);
    struct einet_settings settings = {
        .priority = now.priority,
        .is_paused = now.is_paused,
        .deadline_ns = now.deadline_ns == EI_NONE_NS ? EINET_NO_DEADLINE : now.deadline_ns,
        .changes = now.changes,
        .withheld = atomic_load(&now.withheld),
        .exits = now.search.kind == EI_SEARCH_FIXED ? now.search.exits : 0,
    };
    _Static_assert(sizeof settings.search == EI_SEARCH_NAME_MAX, "the name of a search fits");
    (void)ei_search_name(now.search, settings.search);
    return ei_sized_give(&settings, sizeof settings, out_settings);
}
