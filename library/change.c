/* Changes of a run that goes on. See einet/run.h. */
#include "library/run.h"

#include "engine/change.h"
#include "library/sized.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
static int change_tasks(struct einet_run *run, const struct ei_change *changes, int32_t count, struct einet_error *err)
{
    switch ((enum einet_run_phase)atomic_load(&run->phase)) {
    case EINET_RUN_CREATED:
    case EINET_RUN_STARTING:
        return einet_error_set(err, -EAGAIN, "the run has not started: change it when it has");
    case EINET_RUN_RUNNING:
        return ei_live_change(&run->tap, changes, count, err);
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
    taken.task_idx = task_idx;
    return rc < 0 ? rc : change_tasks(run, &taken, 1, err);
}

int einet_run_pause(struct einet_run *run, int32_t task_idx, struct einet_error *err)
{
    return change_tasks(run, &(struct ei_change){.task_idx = task_idx, .what = EI_CHANGE_PAUSE}, 1, err);
}

int einet_run_resume(struct einet_run *run, int32_t task_idx, struct einet_error *err)
{
    return change_tasks(run, &(struct ei_change){.task_idx = task_idx, .what = EI_CHANGE_RESUME}, 1, err);
}

/* ---- a whole workload ---- */

/* The workload as text, with every default. The caller frees it; NULL = no memory. */
static char *text_of(const struct ei_workload *wl)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    if (stream != NULL) {
        ei_workload_print(wl, stream);
        if (fclose(stream) != 0) {
            free(text);
            text = NULL;
        }
    }
    return text;
}

/* The line of text at which the other differs first, and its length without what surrounds it; "" = it has none. */
static const char *other_line(const char *text, const char *other, int *out_length)
{
    const char *line = text;
    for (size_t i = 0; text[i] != '\0' && text[i] == other[i]; i++) {
        line = text[i] == '\n' ? &text[i + 1] : line;
    }
    line += strspn(line, " -");
    *out_length = (int)strcspn(line, "\n");
    return line;
}

/* Whether the other workload is the run's, but for what can change while it goes on. */
static int check_rest(const struct ei_workload *wl, const struct ei_workload *other, struct einet_error *err)
{
    struct ei_workload *like = malloc(sizeof *like);
    if (like != NULL) {
        *like = *other;
        like->planner.search = wl->planner.search;
        for (int32_t i = 0; i < wl->task_count && i < other->task_count; i++) {
            like->tasks[i].priority = wl->tasks[i].priority;
            like->tasks[i].deadline_ns = wl->tasks[i].deadline_ns;
            like->tasks[i].planner.search = wl->tasks[i].planner.search;
        }
    }
    char *before = text_of(wl), *after = like != NULL ? text_of(like) : NULL;
    int rc = 0;
    if (before == NULL || after == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory to compare the workloads");
    } else if (strcmp(before, after) != 0) {
        int was_length = 0, is_length = 0;
        const char *was = other_line(before, after, &was_length), *is = other_line(after, before, &is_length);
        rc = einet_error_set(
            err, EINET_E_MISMATCH,
            "only priorities, deadlines and planner.search of tasks change while a run goes on; here '%.*s' "
            "became '%.*s': start anew with this workload",
            was_length < 80 ? was_length : 80, was, is_length < 80 ? is_length : 80, is);
    }
    free(before);
    free(after);
    free(like);
    return rc;
}

static bool is_same_search(struct ei_search a, struct ei_search b)
{
    char a_name[EI_SEARCH_NAME_MAX], b_name[EI_SEARCH_NAME_MAX];
    return strcmp(ei_search_name(a, a_name), ei_search_name(b, b_name)) == 0;
}

/* From what holds now to what the workload says; `what` 0 = it is so. */
static struct ei_change change_to(struct einet_run *run, const struct ei_workload *wl, int32_t task_idx)
{
    const struct ei_task_spec *spec = &wl->tasks[task_idx];
    struct ei_tap_settings now;
    ei_tap_settings(&run->tap, task_idx, &now);
    struct ei_change change = {.task_idx = task_idx,
                               .priority = spec->priority,
                               .deadline_ns = spec->deadline_ns,
                               .search = ei_task_search(wl, task_idx)};
    const bool is_searching = spec->nn_stage_idx != EI_NONE_IDX;
    change.what = (change.priority != now.priority ? (uint32_t)EI_CHANGE_PRIORITY : 0) |
                  (change.deadline_ns != now.deadline_ns ? (uint32_t)EI_CHANGE_DEADLINE : 0) |
                  (is_searching && !is_same_search(change.search, now.search) ? (uint32_t)EI_CHANGE_SEARCH : 0);
    return change;
}

int einet_run_reload(struct einet_run *run, const struct einet_workload *workload, int32_t *out_changed,
                     struct einet_error *err)
{
    struct ei_change changes[EI_TASKS_MAX];
    int32_t count = 0;
    int rc = check_rest(run->workload->spec, workload->spec, err);
    for (int32_t i = 0; rc == 0 && i < workload->spec->task_count; i++) {
        changes[count] = change_to(run, workload->spec, i);
        count += changes[count].what != 0;
    }
    rc = rc == 0 ? change_tasks(run, changes, count, err) : rc;
    if (rc == 0 && out_changed != NULL) {
        *out_changed = count;
    }
    return rc;
}

/* ---- what holds ---- */

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
