/* See change.h. Cold: whoever changes may wait, for others who change, and for the analysis of an admission. */
#include "engine/change.h"

#include "engine/admission.h"
#include "engine/run_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a run needs for it ---- */

int ei_run_open_changes(struct ei_run *run, struct einet_error *err)
{
    if (run->tap == NULL) {
        return 0; /* nobody can ask */
    }
    if (pthread_mutex_init(&run->changes.lock, NULL) != 0) {
        return einet_error_set(err, -ENOMEM, "no memory for the run");
    }
    run->changes.has_lock = true;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_task_changes *changes = &run->tasks[i].changes;
        changes->set_count = run->tasks[i].slot_count + 3; /* the current one, one a slot, the replanner's, a new one */
        changes->sets = calloc((size_t)changes->set_count, sizeof *changes->sets);
        if (changes->sets == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for changes of task '%s'", run->wl->tasks[i].name);
        }
    }
    return 0;
}

void ei_run_close_changes(struct ei_run *run)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        free(run->tasks[i].changes.sets);
        run->tasks[i].changes.sets = NULL;
    }
    free(run->changes.wl);
    free(run->changes.log);
    if (run->changes.has_lock) {
        pthread_mutex_destroy(&run->changes.lock);
    }
    run->changes = (struct ei_run_changes){0};
}

/* ---- may it be ---- */

static const char *policy_name(enum ei_spec_policy policy)
{
    static const char *const names[] = {
        [EI_SPEC_POLICY_FIXED_PRIORITY] = "fixed_priority",
        [EI_SPEC_POLICY_RATE_MONOTONIC] = "rate_monotonic",
        [EI_SPEC_POLICY_DEADLINE_MONOTONIC] = "deadline_monotonic",
        [EI_SPEC_POLICY_EDF] = "edf",
    };
    return names[policy];
}

static int check_priority(const struct ei_live_task *task, int32_t priority, struct einet_error *err)
{
    const struct ei_task_spec *spec = task->spec;
    const enum ei_spec_policy policy = task->run->wl->scheduler.policy;
    const int32_t threads = task->nn.threads > task->nn.spare.threads ? task->nn.threads : task->nn.spare.threads;
    if (spec->class_ != EI_SPEC_CLASS_FIFO) {
        return einet_error_set(err, EINET_E_USAGE,
                               "task '%s' is of class %s, which has no priority that could change: only tasks of class "
                               "fifo have one",
                               spec->name, spec->class_ == EI_SPEC_CLASS_OTHER ? "other" : "deadline");
    }
    if (policy != EI_SPEC_POLICY_FIXED_PRIORITY) {
        return einet_error_set(err, EINET_E_USAGE,
                               "the priority of task '%s' follows from the policy %s: use fixed_priority in the "
                               "workload, or change what the policy goes by",
                               spec->name, policy_name(policy));
    }
    if (priority < 1 || priority > 98) {
        return einet_error_set(err, EINET_E_USAGE, "task '%s' cannot have priority %d: give 1..98", spec->name,
                               (int)priority);
    }
    if (threads > 1) {
        return einet_error_set(err, EINET_E_USAGE,
                               "the blocks of task '%s' run on %d threads, whose priority is settled when the run "
                               "starts: change it in the workload",
                               spec->name, (int)threads);
    }
    if (atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire)) {
        return einet_error_set(err, EINET_E_USAGE,
                               "the watchdog took task '%s' out of real time for the rest of the run: it has no "
                               "priority any more",
                               spec->name);
    }
    return 0;
}

static int check_deadline(const struct ei_live_task *task, int64_t deadline_ns, struct einet_error *err)
{
    const struct ei_task_spec *spec = task->spec;
    const enum ei_spec_policy policy = task->run->wl->scheduler.policy;
    const int64_t distance_ns = ei_task_least_distance_ns(task);
    if (spec->class_ == EI_SPEC_CLASS_DEADLINE) {
        return einet_error_set(err, EINET_E_USAGE,
                               "task '%s' is of class deadline: its deadline is part of the bandwidth that the kernel "
                               "admitted when the run started",
                               spec->name);
    }
    if (policy == EI_SPEC_POLICY_DEADLINE_MONOTONIC || policy == EI_SPEC_POLICY_EDF) {
        return einet_error_set(err, EINET_E_USAGE,
                               "under the policy %s the priorities of all tasks follow from their deadlines: change "
                               "that of task '%s' in the workload",
                               policy_name(policy), spec->name);
    }
    if (deadline_ns != EI_NONE_NS && deadline_ns <= 0) {
        return einet_error_set(err, EINET_E_USAGE, "a deadline of %lld ns: give a time above 0, or none",
                               (long long)deadline_ns);
    }
    if (spec->arrival.after_idx == EI_NONE_IDX && distance_ns > 0 && deadline_ns > distance_ns &&
        spec->late_release.policy == EI_SPEC_LATE_SKIP && spec->overlap == 1) {
        return einet_error_set(err, EINET_E_USAGE,
                               "a deadline of task '%s' that is longer than its period of %lld us needs a queue or an "
                               "overlap in the workload",
                               spec->name, (long long)(distance_ns / EI_NS_PER_US));
    }
    return 0;
}

static int check_search(const struct ei_live_task *task, struct ei_search search, struct einet_error *err)
{
    if (task->nn.net == NULL) {
        return einet_error_set(err, EINET_E_USAGE, "task '%s' has no network, so it has no plan", task->spec->name);
    }
    const int32_t exits = task->nn.et.exits;
    const struct ei_fault fault = ei_search_fault(search);
    if (fault.field != NULL) {
        return einet_error_set(err, EINET_E_USAGE, "%s %s", fault.field, fault.rule);
    }
    if (search.kind == EI_SEARCH_ORACLE) {
        return einet_error_set(err, EINET_E_USAGE, "the oracle knows when the stop comes, which nobody does in a run");
    }
    if (search.kind == EI_SEARCH_FIXED && (search.exits & ~ei_bits_below(exits)) != 0) {
        return einet_error_set(err, EINET_E_USAGE,
                               "the network of task '%s' has %d exits, and no others can be asked for",
                               task->spec->name, (int)exits);
    }
    return 0;
}

static int check(const struct ei_live_task *task, const struct ei_change *change, struct einet_error *err)
{
    int rc = 0;
    if ((change->what & EI_CHANGE_PRIORITY) != 0) {
        rc = check_priority(task, change->priority, err);
    }
    if (rc == 0 && (change->what & EI_CHANGE_DEADLINE) != 0) {
        rc = check_deadline(task, change->deadline_ns, err);
    }
    if (rc == 0 && (change->what & EI_CHANGE_SEARCH) != 0) {
        rc = check_search(task, change->search, err);
    }
    return rc;
}

static void fill_spec(struct ei_task_spec *spec, const struct ei_change *change)
{
    spec->priority = (change->what & EI_CHANGE_PRIORITY) != 0 ? change->priority : spec->priority;
    spec->deadline_ns = (change->what & EI_CHANGE_DEADLINE) != 0 ? change->deadline_ns : spec->deadline_ns;
}

/* The task set with the changes, as the one of the start was looked at. Keeps it when it is admitted. */
static int admit(struct ei_run *run, const struct ei_change *changes, int32_t count, struct einet_error *err)
{
    struct ei_workload *changed = malloc(sizeof *changed);
    bool is_same = true;
    if (changed == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory to look at the changed task set");
    }
    *changed = run->changes.wl != NULL ? *run->changes.wl : *run->wl;
    for (int32_t i = 0; i < count; i++) {
        struct ei_task_spec *spec = &changed->tasks[changes[i].task_idx];
        const int32_t priority = spec->priority;
        const int64_t deadline_ns = spec->deadline_ns;
        fill_spec(spec, &changes[i]);
        is_same = is_same && spec->priority == priority && spec->deadline_ns == deadline_ns;
    }
    const int rc = is_same ? 0 : ei_run_admit(run, changed, err);
    if (rc < 0) {
        free(changed);
        return rc;
    }
    free(run->changes.wl);
    run->changes.wl = changed;
    return 0;
}

/* ---- making it ---- */

static bool is_in_use(const struct ei_live_task *task, const struct ei_task_settings *set)
{
    const struct ei_task_changes *changes = &task->changes;
    bool is = atomic_load(&changes->current) == set || atomic_load(&changes->replanned) == set;
    for (int32_t k = 0; k < task->slot_count; k++) {
        is |= atomic_load(&task->slots[k].settings) == set;
    }
    return is;
}

static struct ei_task_settings *free_set(struct ei_live_task *task)
{
    struct ei_task_settings *set = task->changes.sets;
    while (is_in_use(task, set)) { /* there is one more than can be in use */
        set++;
    }
    return set;
}

/* The configurations that jobs plan with, and the plan of a job that nothing stops. */
static int fill_plan(const struct ei_live_task *task, struct ei_task_settings *set, struct ei_search search,
                     struct einet_error *err)
{
    struct ei_plan_workspace *ws = calloc(1, sizeof *ws);
    if (ws == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory to plan for task '%s'", task->spec->name);
    }
    set->has_plan = true;
    set->elastic = task->nn.elastic;
    set->spare = task->nn.spare.elastic;
    set->elastic.search = set->spare.search = search;
    (void)ei_elastic_config_settle(&set->elastic, ws); /* what it cannot plan every job searches */
    if (task->nn.spare.net != NULL) {
        (void)ei_elastic_config_settle(&set->spare, ws);
    }
    free(ws);
    return 0;
}

static void push_priority(struct ei_live_task *task, int32_t priority)
{
    const struct ei_replanner *replanner = task->planning.replanner;
    for (int32_t k = 0; k < task->slot_count; k++) {
        ei_settings_push_priority(&task->slots[k], priority);
    }
    if (replanner != NULL && replanner->has_thread && task->is_fifo) {
        (void)ei_thread_set_fifo(replanner->thread.tid, priority);
    }
}

/* A set that nobody looks at, as it will be. NULL: no memory. */
static struct ei_task_settings *prepare(struct ei_live_task *task, const struct ei_change *change,
                                        struct einet_error *err)
{
    struct ei_task_settings *set = free_set(task);
    *set = *atomic_load(&task->changes.current);
    if ((change->what & EI_CHANGE_PRIORITY) != 0) {
        set->priority = change->priority;
    }
    if ((change->what & EI_CHANGE_DEADLINE) != 0) {
        set->deadline_ns = change->deadline_ns;
    }
    if ((change->what & EI_CHANGE_SEARCH) != 0 && fill_plan(task, set, change->search, err) < 0) {
        return NULL;
    }
    return set;
}

static void publish(struct ei_live_task *task, struct ei_task_settings *set, bool has_priority)
{
    struct ei_task_changes *changes = &task->changes;
    atomic_store(&changes->current, set);
    atomic_store(&changes->deadline_ns, set->deadline_ns);
    atomic_store(&changes->priority, set->priority);
    if (has_priority) {
        push_priority(task, set->priority);
    }
}

/* In this order: for a moment the pause is an empty one, never one that began with the last. */
static void pause_or_resume(struct ei_live_task *task, uint32_t what, int64_t now_ns)
{
    struct ei_task_changes *changes = &task->changes;
    if ((what & EI_CHANGE_PAUSE) != 0) {
        atomic_store(&changes->paused_from_ns, now_ns);
        atomic_store(&changes->paused_until_ns, INT64_MAX);
    } else {
        atomic_store(&changes->paused_until_ns, now_ns);
    }
}

/* ---- noting it ---- */

static void note(struct ei_run *run, int32_t task_idx, const struct ei_change *change, int64_t now_ns)
{
    struct ei_run_changes *changes = &run->changes;
    const size_t count = (size_t)changes->log_count;
    const bool is_full = (count & (count - 1)) == 0 && count != 1; /* of 2^n entries, 2 at least */
    struct ei_metrics_change *log = changes->log;
    if (count < EI_CHANGES_LOGGED_MAX && is_full) {
        log = realloc(changes->log, (count == 0 ? 2 : 2 * count) * sizeof *log);
    }
    if (count == EI_CHANGES_LOGGED_MAX || log == NULL) {
        changes->log_lost++;
        return;
    }
    changes->log = log;
    struct ei_metrics_change *entry = &log[changes->log_count++];
    *entry = (struct ei_metrics_change){
        .at_ns = now_ns - run->t0_ns,
        .task_idx = task_idx,
        .has_priority = (change->what & EI_CHANGE_PRIORITY) != 0,
        .has_deadline = (change->what & EI_CHANGE_DEADLINE) != 0,
        .priority = change->priority,
        .deadline_ns = change->deadline_ns == EI_NONE_NS ? INT64_MAX : change->deadline_ns,
        .is_paused = (change->what & EI_CHANGE_PAUSE) != 0,
        .is_resumed = (change->what & EI_CHANGE_RESUME) != 0,
    };
    _Static_assert(sizeof entry->search >= EI_SEARCH_NAME_MAX, "the name of a search fits");
    if ((change->what & EI_CHANGE_SEARCH) != 0) {
        (void)ei_search_name(change->search, entry->search);
    }
}

static void show(struct ei_run *run, int32_t task_idx, const struct ei_change *change)
{
    struct ei_tap_settings now;
    ei_tap_settings(run->tap, task_idx, &now);
    now.priority = (change->what & EI_CHANGE_PRIORITY) != 0 ? change->priority : now.priority;
    now.deadline_ns = (change->what & EI_CHANGE_DEADLINE) != 0 ? change->deadline_ns : now.deadline_ns;
    now.search = (change->what & EI_CHANGE_SEARCH) != 0 ? change->search : now.search;
    now.is_paused = (change->what & (EI_CHANGE_PAUSE | EI_CHANGE_RESUME)) != 0 ? (change->what & EI_CHANGE_PAUSE) != 0
                                                                               : now.is_paused;
    now.changes++;
    ei_tap_set_settings(run->tap, task_idx, &now);
}

/* ---- all of it ---- */

#define SETTINGS ((uint32_t)(EI_CHANGE_PRIORITY | EI_CHANGE_DEADLINE | EI_CHANGE_SEARCH))

/* What of a wish is not so already, with the run's seed. */
static struct ei_change wish_of(const struct ei_run *run, const struct ei_change *change)
{
    struct ei_change wish = *change;
    wish.what &= ~(uint32_t)(ei_settings_is_paused(&run->tasks[change->task_idx]) ? EI_CHANGE_PAUSE : EI_CHANGE_RESUME);
    wish.search.seed = run->wl->run.seed;
    return wish;
}

/* Nothing can go wrong from here on. */
static void make_change(struct ei_run *run, const struct ei_change *wish, struct ei_task_settings *set)
{
    struct ei_live_task *task = &run->tasks[wish->task_idx];
    if (set != NULL) {
        publish(task, set, (wish->what & EI_CHANGE_PRIORITY) != 0);
    }
    const int64_t now_ns = ei_mono_now().ns; /* what is logged holds from then on at the latest */
    if ((wish->what & (EI_CHANGE_PAUSE | EI_CHANGE_RESUME)) != 0) {
        pause_or_resume(task, wish->what, now_ns);
    }
    note(run, wish->task_idx, wish, now_ns);
    show(run, wish->task_idx, wish);
}

/* Under the lock. */
static int change_tasks(struct ei_run *run, const struct ei_change *changes, int32_t count, struct einet_error *err)
{
    struct ei_change wishes[EI_TASKS_MAX];
    struct ei_task_settings *sets[EI_TASKS_MAX] = {NULL};
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        wishes[i] = wish_of(run, &changes[i]);
        rc = check(&run->tasks[wishes[i].task_idx], &wishes[i], err);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        struct ei_live_task *task = &run->tasks[wishes[i].task_idx];
        sets[i] = (wishes[i].what & SETTINGS) != 0 ? prepare(task, &wishes[i], err) : NULL;
        rc = sets[i] == NULL && (wishes[i].what & SETTINGS) != 0 ? -ENOMEM : 0;
    }
    if (rc == 0) {
        rc = admit(run, wishes, count, err);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        if (wishes[i].what != 0) {
            make_change(run, &wishes[i], sets[i]);
        }
    }
    return rc;
}

static int check_tasks(const struct ei_run *run, const struct ei_change *changes, int32_t count,
                       struct einet_error *err)
{
    const int64_t now_ns = ei_mono_now().ns;
    if (now_ns < run->t0_ns) {
        return einet_error_set(err, -EAGAIN, "the run has not started: change it when it has");
    }
    if (now_ns > run->end_ns) {
        return einet_error_set(err, -ESHUTDOWN, "the run ends: nothing of it can change any more");
    }
    for (int32_t i = 0; i < count; i++) {
        if (changes[i].task_idx < 0 || changes[i].task_idx >= run->wl->task_count) {
            return einet_error_set(err, -EINVAL, "there is no task %d: the run has %d", (int)changes[i].task_idx,
                                   (int)run->wl->task_count);
        }
    }
    return 0;
}

int ei_live_change(struct ei_tap *tap, const struct ei_change *changes, int32_t count, struct einet_error *err)
{
    int rc = 0;
    struct ei_run *run = ei_external_enter(tap, &rc);
    if (err != NULL) {
        *err = (struct einet_error){0}; /* what is left in it was said by admission */
    }
    if (run == NULL) {
        return einet_error_set(err, rc, "%s",
                               rc == -EAGAIN ? "the run has not started: change it when it has"
                                             : "the run is over: nothing of it can change any more");
    }
    rc = check_tasks(run, changes, count, err);
    if (rc == 0) {
        pthread_mutex_lock(&run->changes.lock);
        rc = change_tasks(run, changes, count, err);
        pthread_mutex_unlock(&run->changes.lock);
    }
    ei_external_leave(tap);
    return rc;
}
