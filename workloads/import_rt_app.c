/* rt-app's JSON (github.com/scheduler-tools/rt-app, doc/tutorial.txt): global, threads, and the tasks that they become.
 * docs/import.md has the table. See import_rt_app.h.
 */
#include "workloads/import_rt_app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define US INT64_C(1000)
#define DELAY_MAX_US (INT64_C(3600) * 1000000)
#define DURATION_DEFAULT_NS (INT64_C(30) * 1000000000)
#define FIFO_PRIORITY_DEFAULT 10
#define FIFO_PRIORITY_TOP 98

enum policy { POLICY_OTHER, POLICY_IDLE, POLICY_RR, POLICY_FIFO, POLICY_DEADLINE };

struct rt_app {
    struct ei_import_draft *draft;
    const struct ei_json *json;
    enum policy default_policy;
    bool has_relative;
    bool is_round_robin[EI_TASKS_MAX], is_deadline[EI_TASKS_MAX]; /* by task */
    int32_t timer_count;
    const char *timers[EI_TASKS_MAX]; /* refs that threads share by name */
};

static bool read_policy(struct ei_import_draft *draft, const struct ei_json_node *node, enum policy *out)
{
    static const char *const words[] = {"SCHED_OTHER", "SCHED_IDLE", "SCHED_RR", "SCHED_FIFO", "SCHED_DEADLINE"};
    if (!ei_import_is(draft, node, EI_JSON_STRING)) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(node->text, words[i]) == 0) {
            *out = (enum policy)i;
            return true;
        }
    }
    ei_import_refuse(draft, ei_import_at_value(node), "SCHED_OTHER, SCHED_IDLE, SCHED_RR, SCHED_FIFO or SCHED_DEADLINE",
                     "unknown '%s' '%s' of %s", node->key, node->text, draft->label);
    return false;
}

/* ---- global ---- */

static void read_duration(struct ei_import_draft *draft, const struct ei_json_node *node, struct ei_import_at at)
{
    int64_t seconds = -1;
    draft->wl->run.duration_ns = DURATION_DEFAULT_NS;
    if (node != NULL && !ei_import_integer(draft, node, -1, INT32_MAX, &seconds)) {
        return;
    }
    if (seconds > 0) {
        ei_import_set_duration(draft, at, seconds);
        return;
    }
    ei_import_lose(draft, at, "write \"duration\": 30, in seconds",
                   "%s, and a workload file ends at a time: it says 30s",
                   node == NULL ? "no 'duration' means until a signal comes" : "this 'duration' has no end");
}

static void read_global(struct rt_app *app, const struct ei_json_node *root)
{
    static const struct ei_import_key keys[] = {
        {"duration", false},    {"default_policy", false},  {"lock_pages", false},
        {"calibration", false}, {"logdir", true},           {"log_basename", true},
        {"log_size", true},     {"ftrace", true},           {"gnuplot", true},
        {"pi_enabled", true},   {"cumulative_slack", true}, {"io_device", true},
        {"frag", true},         {"mem_buffer_size", true},  {NULL, false}};
    struct ei_import_draft *draft = app->draft;
    const struct ei_json_node *global = ei_json_find(app->json, root, "global");
    snprintf(draft->label, sizeof draft->label, "global");
    if (global != NULL && !ei_import_is(draft, global, EI_JSON_OBJECT)) {
        return;
    }
    if (global != NULL) {
        ei_import_check_keys(draft, app->json, global, keys);
    }
    const struct ei_json_node *duration = ei_json_find(app->json, global, "duration");
    const struct ei_json_node *policy = ei_json_find(app->json, global, "default_policy");
    const struct ei_json_node *lock = ei_json_find(app->json, global, "lock_pages");
    const struct ei_json_node *calibration = ei_json_find(app->json, global, "calibration");
    read_duration(draft, duration, ei_import_at_key(duration != NULL ? duration : global != NULL ? global : root));
    if (policy != NULL) {
        read_policy(draft, policy, &app->default_policy);
    }
    if (lock != NULL && ei_import_is(draft, lock, EI_JSON_BOOL) && lock->integer == 0) {
        draft->wl->platform.lock_memory = EI_SPEC_LOCK_NONE;
    }
    if (calibration != NULL && calibration->kind == EI_JSON_INT) {
        ei_import_lose(draft, ei_import_at_value(calibration), "write \"calibration\": \"CPU0\"",
                       "'calibration' as ns per loop makes a run a number of loops, and work here is processor time");
    } else if (calibration != NULL && ei_import_is(draft, calibration, EI_JSON_STRING)) {
        ei_import_note(draft, ei_import_at_key(calibration),
                       "a run of N us is N us of processor time here, at whatever speed: nothing is calibrated");
    }
}

/* ---- a thread's keys ---- */

static const char *why_foreign(const char *key)
{
    static const char *const foreign[][2] = {{"util_min", "utilisation is not clamped here"},
                                             {"util_max", "utilisation is not clamped here"},
                                             {"taskgroup", "there are no task groups here"},
                                             {"membind_nodes", "memory is not bound to nodes here"},
                                             {"nodes_membind", "memory is not bound to nodes here"}};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (strcmp(foreign[i][0], key) == 0) {
            return foreign[i][1];
        }
    }
    return NULL;
}

static bool is_one_of(const char *key, const char *const *words)
{
    while (*words != NULL && strcmp(*words, key) != 0) {
        words++;
    }
    return *words != NULL;
}

/* Report keys of a thread or phase object that are no events and no parameters that are read. */
static bool check_object(struct ei_rt_app_thread *th, const struct ei_json_node *object)
{
    static const char *const of_thread[] = {"instance", "delay",    "phases",     "loop",      "policy",
                                            "priority", "cpus",     "dl-runtime", "dl-period", "dl-deadline",
                                            "period",   "deadline", NULL};
    static const char *const of_phase[] = {"loop", "policy", "priority", "cpus", NULL};
    struct ei_import_draft *draft = th->draft;
    const bool is_thread = object == th->node;
    bool is_ok = true;
    for (const struct ei_json_node *at = ei_json_first(th->json, object); at != NULL; at = ei_json_next(th->json, at)) {
        const char *why = why_foreign(at->key);
        const bool is_legacy = is_thread && th->phases != NULL && strcmp(at->key, "runtime") == 0;
        if (is_one_of(at->key, is_thread ? of_thread : of_phase) || is_legacy) {
            if (ei_json_find(th->json, object, at->key) != at) {
                ei_import_refuse(draft, ei_import_at_key(at), "keep one of them", "%s has '%s' twice", draft->label,
                                 at->key);
                is_ok = false;
            }
        } else if (why != NULL) {
            is_ok = ei_import_lose(draft, ei_import_at_key(at), "remove it, or import with --lossy", "'%s' of %s: %s",
                                   at->key, draft->label, why) &&
                    is_ok;
        } else if (!ei_rt_app_is_event(at->key)) {
            is_ok = ei_import_lose(draft, ei_import_at_key(at), "remove it, or import with --lossy",
                                   "unknown key '%s' in %s", at->key, draft->label) &&
                    is_ok;
        } else if (is_thread && th->phases != NULL) {
            is_ok = ei_import_lose(draft, ei_import_at_key(at), "put it into a phase",
                                   "event '%s' of %s stands beside its phases, where rt-app ignores it", at->key,
                                   draft->label) &&
                    is_ok;
        }
    }
    return is_ok;
}

/* An integer parameter, or the value for when it is missing. */
static bool read_parameter(struct ei_rt_app_thread *th, const char *key, int64_t lo, int64_t hi, int64_t missing,
                           int64_t *out)
{
    const struct ei_json_node *node = ei_json_find(th->json, th->node, key);
    *out = missing;
    return node == NULL || ei_import_integer(th->draft, node, lo, hi, out);
}

/* A `loop`: at least 1, or -1 for ever. */
static bool read_loop(struct ei_rt_app_thread *th, const struct ei_json_node *object, int64_t missing, int64_t *out)
{
    const struct ei_json_node *node = ei_json_find(th->json, object, "loop");
    *out = missing;
    if (node == NULL) {
        return true;
    }
    if (node->kind == EI_JSON_INT && node->integer == 0) {
        ei_import_refuse(th->draft, ei_import_at_value(node), "at least 1, or -1 for ever",
                         "'loop' of 0 in %s runs nothing", th->draft->label);
        return false;
    }
    return ei_import_integer(th->draft, node, -1, INT32_MAX, out);
}

static bool read_priority(struct ei_rt_app_thread *th, const struct ei_json_node *node)
{
    int64_t priority = 0;
    th->priority = th->is_other || th->is_deadline ? 0 : FIFO_PRIORITY_DEFAULT;
    if (node == NULL) {
        return true;
    }
    if (!ei_import_integer(th->draft, node, th->is_other ? -20 : 0, 99, &priority)) {
        return false;
    }
    if (th->is_other) {
        return priority == 0 || ei_import_lose(th->draft, ei_import_at_value(node), "use SCHED_FIFO with a priority",
                                               "%s has a nice value, and class other here has none", th->draft->label);
    }
    if (th->is_deadline) {
        return true;
    }
    if (priority == 0) {
        ei_import_refuse(th->draft, ei_import_at_value(node), "1 to 98", "%s has real-time priority 0",
                         th->draft->label);
        return false;
    }
    th->priority = (int32_t)(priority < FIFO_PRIORITY_TOP ? priority : FIFO_PRIORITY_TOP);
    return priority <= FIFO_PRIORITY_TOP ||
           ei_import_lose(th->draft, ei_import_at_value(node), "write 98, and lower the others where they tie",
                          "priority 99 of %s is above our highest, 98", th->draft->label);
}

/* Policy and priority, of the thread or of its only phase. */
static bool read_scheduling(struct rt_app *app, struct ei_rt_app_thread *th, const struct ei_json_node *only_phase)
{
    enum policy policy = app->default_policy;
    const struct ei_json_node *node = ei_json_find(th->json, only_phase, "policy");
    const struct ei_json_node *priority = ei_json_find(th->json, only_phase, "priority");
    bool is_ok = true;
    node = node != NULL ? node : ei_json_find(th->json, th->node, "policy");
    priority = priority != NULL ? priority : ei_json_find(th->json, th->node, "priority");
    const struct ei_import_at at = node != NULL ? ei_import_at_value(node) : th->at;
    if (node != NULL && !read_policy(th->draft, node, &policy)) {
        return false;
    }
    th->is_other = policy == POLICY_OTHER || policy == POLICY_IDLE;
    th->is_round_robin = policy == POLICY_RR;
    th->is_deadline = policy == POLICY_DEADLINE;
    if (policy == POLICY_IDLE) {
        is_ok = ei_import_lose(th->draft, at, "use SCHED_OTHER", "%s is of SCHED_IDLE, and here is only SCHED_OTHER",
                               th->draft->label);
    } else if (policy == POLICY_DEADLINE) {
        is_ok = ei_import_lose(th->draft, at, "use SCHED_FIFO with a priority, or import with --lossy",
                               "%s is of SCHED_DEADLINE, and here is SCHED_FIFO: budgets are not enforced",
                               th->draft->label);
    }
    return read_priority(th, priority) && is_ok;
}

/* dl-*, or their old names. Without SCHED_DEADLINE only the deadline means something here. */
static bool read_deadline(struct ei_rt_app_thread *th)
{
    static const char *const names[][2] = {
        {"dl-runtime", "runtime"}, {"dl-period", "period"}, {"dl-deadline", "deadline"}};
    int64_t us[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        const struct ei_json_node *node = ei_json_find(th->json, th->node, names[i][0]);
        if (node == NULL && (i > 0 || th->phases != NULL)) {
            node = ei_json_find(th->json, th->node, names[i][1]);
        }
        if (node != NULL && !ei_import_integer(th->draft, node, 1, DELAY_MAX_US, &us[i])) {
            return false;
        }
        if (node != NULL && i < 2 && !th->is_deadline) {
            ei_import_note(th->draft, ei_import_at_key(node), "'%s' means nothing without SCHED_DEADLINE: left out",
                           node->key);
        }
    }
    th->dl_runtime_ns = th->is_deadline && us[0] > 0 ? us[0] * US : EI_NONE_NS;
    th->dl_deadline_ns = us[2] > 0 ? us[2] * US : th->is_deadline && us[1] > 0 ? us[1] * US : EI_NONE_NS;
    return true;
}

/* ---- phases ---- */

static bool read_phase(struct ei_rt_app_thread *th, const struct ei_json_node *phase, bool is_only, bool is_last)
{
    struct ei_import_draft *draft = th->draft;
    static const char *const scheduling[] = {"policy", "priority"};
    int64_t passes = 0;
    if (!ei_import_is(draft, phase, EI_JSON_OBJECT)) {
        return false;
    }
    bool is_ok = check_object(th, phase) && read_loop(th, phase, 1, &passes);
    for (int i = 0; i < 2 && !is_only; i++) {
        const struct ei_json_node *node = ei_json_find(th->json, phase, scheduling[i]);
        is_ok = (node == NULL || ei_import_lose(draft, ei_import_at_key(node), "put it into the task",
                                                "phase '%s' of %s changes the %s, and a task here keeps its own",
                                                phase->key, draft->label, scheduling[i])) &&
                is_ok;
    }
    if (passes == EI_RT_APP_FOREVER && !is_last) {
        ei_import_refuse(draft, ei_import_at_key(phase), "only the last phase may loop for ever",
                         "phase '%s' of %s never ends, so the next one never begins", phase->key, draft->label);
        return false;
    }
    return is_ok && ei_rt_app_phase(th, phase, passes);
}

static bool read_phases(struct ei_rt_app_thread *th)
{
    if (th->phases == NULL) {
        int64_t passes = 0;
        th->loop = 1;
        return read_loop(th, th->node, EI_RT_APP_FOREVER, &passes) && ei_rt_app_phase(th, th->node, passes);
    }
    if (th->phases->count == 0) {
        ei_import_refuse(th->draft, ei_import_at_key(th->phases), NULL, "%s has no phase", th->draft->label);
        return false;
    }
    bool is_ok = read_loop(th, th->node, EI_RT_APP_FOREVER, &th->loop);
    for (const struct ei_json_node *at = ei_json_first(th->json, th->phases); at != NULL;
         at = ei_json_next(th->json, at)) {
        const bool is_again = ei_json_find(th->json, th->phases, at->key) != at;
        if (is_again) {
            ei_import_refuse(th->draft, ei_import_at_key(at), "name it otherwise", "%s has two phases '%s'",
                             th->draft->label, at->key);
        }
        is_ok = read_phase(th, at, th->phases->count == 1, at->next < 0) && !is_again && is_ok;
    }
    return is_ok;
}

/* ---- tasks ---- */

static bool is_endless_phase(const struct ei_rt_app_thread *th, const struct ei_rt_app_chunk *chunk)
{
    const bool is_single = th->phases == NULL || th->phases->count == 1;
    return chunk->passes == EI_RT_APP_FOREVER || (is_single && th->loop == EI_RT_APP_FOREVER);
}

static void set_arrival(const struct ei_rt_app_thread *th, const struct ei_rt_app_chunk *chunk,
                        struct ei_arrival_spec *a)
{
    const bool is_single = th->phases == NULL || th->phases->count == 1;
    a->offset_ns = th->delay_ns + chunk->start_ns;
    if (is_endless_phase(th, chunk)) {
        a->model = EI_ARRIVAL_PERIODIC;
        a->period_ns = chunk->pass_ns;
        return;
    }
    const bool is_cycle = !is_single && th->loop != 1 && !th->has_endless_phase;
    const int64_t count = chunk->passes * (is_single ? th->loop : 1); /* below 2^62: both fit 31 bits */
    if (is_cycle && count == 1) {
        a->model = EI_ARRIVAL_PERIODIC;
        a->period_ns = th->cycle_ns;
        return;
    }
    a->model = EI_ARRIVAL_BURST;
    a->count = count < INT32_MAX ? (int32_t)count : INT32_MAX;
    a->spacing_ns = count > 1 ? chunk->pass_ns : 0;
    a->period_ns = is_cycle ? th->cycle_ns : EI_NONE_NS;
}

/* One task from a chunk for one instance. */
static bool add_task(struct rt_app *app, struct ei_rt_app_thread *th, const struct ei_rt_app_chunk *chunk,
                     int64_t instance)
{
    struct ei_import_draft *draft = app->draft;
    struct ei_task_spec task = chunk->task;
    char name[256];
    char part[192] = "";
    set_arrival(th, chunk, &task.arrival);
    task.class_ = th->is_other ? EI_SPEC_CLASS_OTHER : EI_SPEC_CLASS_FIFO;
    task.priority = th->priority;
    task.deadline_ns = th->dl_deadline_ns != EI_NONE_NS ? th->dl_deadline_ns : chunk->wait_ns;
    task.late_release.queue = th->is_absolute ? EI_SPEC_QUEUE_MAX : 1;
    if (th->dl_runtime_ns != EI_NONE_NS && task.stage_count == 1 && th->dl_runtime_ns <= task.deadline_ns) {
        task.stages[0].budget_ns = th->dl_runtime_ns;
    } else if (th->dl_runtime_ns != EI_NONE_NS) {
        ei_import_note(draft, th->at,
                       "the runtime of %s is no budget here: it has several stages, or exceeds its deadline",
                       draft->label);
    }
    size_t used = (size_t)snprintf(name, sizeof name, "%.64s", th->node->key);
    if (th->instances > 1) {
        used += (size_t)snprintf(name + used, sizeof name - used, "-%" PRId64, instance);
        snprintf(part, sizeof part, ", instance %" PRId64, instance);
    }
    if (chunk->phase != NULL && th->phases->count > 1) {
        used += (size_t)snprintf(name + used, sizeof name - used, ".%.64s", chunk->phase);
        snprintf(part + strlen(part), sizeof part - strlen(part), ", phase '%.64s'", chunk->phase);
    }
    if (chunk->idx_in_phase >= 0) {
        snprintf(name + used, sizeof name - used, ".%d", chunk->idx_in_phase + 1);
        snprintf(part + strlen(part), sizeof part - strlen(part), ", work %d", chunk->idx_in_phase + 1);
    }
    draft->scope = draft->wl->task_count;
    if (!ei_import_task_add(draft, &task, chunk->at, name)) {
        return false;
    }
    app->is_round_robin[draft->scope] = th->is_round_robin;
    app->is_deadline[draft->scope] = th->is_deadline;
    ei_import_note(draft, chunk->at, "%s%s", draft->label, part);
    return true;
}

/* What depends on all phases of the thread. */
static bool check_thread(struct rt_app *app, struct ei_rt_app_thread *th)
{
    struct ei_import_draft *draft = app->draft;
    bool is_ok = true;
    if (th->chunk_count == 0) {
        ei_import_refuse(draft, th->at, "give it a run event", "%s has no work", draft->label);
        return false;
    }
    if (th->has_leading && th->has_trailing) {
        is_ok = ei_import_lose(draft, th->at, "let the timer be the last event of each phase",
                               "%s has work before its first timer and behind its last: both are released at once",
                               draft->label);
    }
    if (th->phases != NULL && th->phases->count > 1 && th->loop > 1) {
        is_ok = ei_import_lose(draft, th->at, "write \"loop\": 1 or -1",
                               "%s passes its phases %" PRId64 " times, and here they come once or for ever",
                               draft->label, th->loop) &&
                is_ok;
    }
    if (th->dl_deadline_ns != EI_NONE_NS && th->chunk_count > 1) {
        is_ok = ei_import_lose(draft, th->at, "give each timer a task of its own",
                               "%s has one deadline for several timers", draft->label) &&
                is_ok;
    }
    if (th->timer_ref == NULL || strncmp(th->timer_ref, "unique", 6) == 0) {
        return is_ok;
    }
    bool is_shared = th->instances > 1;
    for (int32_t i = 0; i < app->timer_count; i++) {
        is_shared |= strcmp(app->timers[i], th->timer_ref) == 0;
    }
    if (app->timer_count < EI_TASKS_MAX) {
        app->timers[app->timer_count++] = th->timer_ref;
    }
    return (!is_shared || ei_import_lose(draft, ei_import_at_key(th->timer), "write \"ref\": \"unique\"",
                                         "timer '%s' of %s is shared by several threads, and a task here has its own",
                                         th->timer_ref, draft->label)) &&
           is_ok;
}

static bool read_parameters(struct rt_app *app, struct ei_rt_app_thread *th)
{
    int64_t delay_us = 0;
    const struct ei_json_node *cpus = ei_json_find(th->json, th->node, "cpus");
    const struct ei_json_node *only =
        th->phases != NULL && th->phases->count == 1 ? ei_json_first(th->json, th->phases) : NULL;
    bool is_ok = check_object(th, th->node);
    is_ok = read_parameter(th, "instance", 0, 10000, 1, &th->instances) && is_ok;
    is_ok = read_parameter(th, "delay", 0, DELAY_MAX_US, 0, &delay_us) && is_ok;
    is_ok = (cpus == NULL || ei_import_cpus(th->draft, th->json, cpus, &th->cpus)) && is_ok;
    is_ok = read_scheduling(app, th, only) && is_ok;
    th->delay_ns = delay_us * US;
    return read_deadline(th) && is_ok;
}

static void read_thread(struct rt_app *app, const struct ei_json_node *node, struct ei_rt_app_chunk *chunks)
{
    struct ei_import_draft *draft = app->draft;
    const int32_t first_remark = draft->remark_count;
    const int32_t first_task = draft->wl->task_count;
    struct ei_rt_app_thread th = {.draft = draft,
                                  .json = app->json,
                                  .node = node,
                                  .at = ei_import_at_key(node),
                                  .phases = ei_json_find(app->json, node, "phases"),
                                  .chunks = chunks};
    draft->scope = draft->wl->task_count;
    snprintf(draft->label, sizeof draft->label, "task '%.64s'", node->key);
    if (!ei_import_is(draft, node, EI_JSON_OBJECT) ||
        (th.phases != NULL && !ei_import_is(draft, th.phases, EI_JSON_OBJECT))) {
        return;
    }
    bool is_ok = read_parameters(app, &th);
    is_ok = read_phases(&th) && is_ok;
    is_ok = is_ok && check_thread(app, &th);
    app->has_relative |= is_ok && th.timer != NULL && !th.is_absolute;
    if (is_ok && th.instances == 0) {
        ei_import_note(draft, th.at, "%s has 0 instances: only a fork would start it", draft->label);
        ei_import_task_leave_out(draft, th.at, first_remark);
        return;
    }
    if (is_ok && th.chunk_count > 1) {
        ei_import_note(draft, th.at,
                       "%s becomes %d tasks; only in overload do they differ from one thread: they may overlap",
                       draft->label, th.chunk_count);
    }
    for (int64_t instance = 0; is_ok && instance < th.instances; instance++) {
        for (int32_t i = 0; is_ok && i < th.chunk_count; i++) {
            is_ok = add_task(app, &th, &th.chunks[i], instance);
        }
    }
    if (!is_ok) {
        draft->wl->task_count = first_task;
        ei_import_task_leave_out(draft, th.at, first_remark);
    }
}

/* ---- all tasks ---- */

/* Round robin is FIFO unless another task has the same priority. */
static void check_round_robin(struct rt_app *app)
{
    struct ei_import_draft *draft = app->draft;
    const struct ei_workload *wl = draft->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int32_t j = 0; app->is_round_robin[i] && j < wl->task_count; j++) {
            if (i != j && wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO && wl->tasks[j].priority == wl->tasks[i].priority) {
                draft->scope = i;
                ei_import_lose(draft, (struct ei_import_at){wl->tasks[i].place, 1},
                               "give them different priorities, or use SCHED_FIFO",
                               "tasks '%s' and '%s' take turns at priority %d (SCHED_RR), and here is only SCHED_FIFO",
                               wl->tasks[i].name, wl->tasks[j].name, wl->tasks[i].priority);
                break;
            }
        }
    }
}

/* Tasks of SCHED_DEADLINE, imported with losses: above all others, the shortest deadline first. */
static void rank_deadlines(struct rt_app *app)
{
    struct ei_workload *wl = app->draft->wl;
    for (int32_t priority = FIFO_PRIORITY_TOP;; priority--) {
        int32_t best = -1;
        for (int32_t i = 0; i < wl->task_count; i++) {
            if (app->is_deadline[i] && (best < 0 || wl->tasks[i].deadline_ns < wl->tasks[best].deadline_ns)) {
                best = i;
            }
        }
        if (best < 0) {
            return;
        }
        app->is_deadline[best] = false;
        wl->tasks[best].priority = priority;
    }
}

void ei_import_rt_app(struct ei_import_draft *draft, const struct ei_json *json)
{
    static const struct ei_import_key keys[] = {
        {"tasks", false}, {"global", false}, {"resources", true}, {NULL, false}};
    struct rt_app app = {.draft = draft, .json = json, .default_policy = POLICY_OTHER};
    const struct ei_json_node *root = &json->nodes[0];
    struct ei_rt_app_chunk *chunks = calloc(EI_RT_APP_CHUNKS_MAX, sizeof *chunks);
    snprintf(draft->label, sizeof draft->label, "the file");
    const struct ei_json_node *tasks = ei_json_find(json, root, "tasks");
    if (chunks == NULL) {
        draft->rc = -ENOMEM;
    } else if (tasks == NULL) {
        ei_import_refuse(draft, ei_import_at_value(root), "an rt-app file has tasks and global",
                         "the file has no 'tasks'");
    } else if (ei_import_is(draft, root, EI_JSON_OBJECT) && ei_import_is(draft, tasks, EI_JSON_OBJECT)) {
        ei_import_check_keys(draft, json, root, keys);
        read_global(&app, root);
        for (const struct ei_json_node *at = ei_json_first(json, tasks); at != NULL; at = ei_json_next(json, at)) {
            if (ei_json_find(json, tasks, at->key) != at) {
                ei_import_refuse(draft, ei_import_at_key(at), "name it otherwise", "two tasks are named '%s'", at->key);
            }
            read_thread(&app, at, chunks);
        }
        check_round_robin(&app);
        rank_deadlines(&app);
        draft->scope = EI_IMPORT_HEAD;
        ei_import_note(draft, ei_import_at_key(tasks),
                       "a deadline is the time until the next timer: a job misses where rt-app's slack is negative");
        if (app.has_relative) {
            ei_import_note(draft, ei_import_at_key(tasks),
                           "timers are relative: after an overrun rt-app counts anew, releases here keep their times");
        }
    }
    free(chunks);
}
