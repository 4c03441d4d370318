/* The events of one phase: runs become stages, timers cut them into chunks. See import_rt_app.h. */
#include "workloads/import_rt_app.h"

#include <inttypes.h>
#include <string.h>

#define US INT64_C(1000)
#define EVENT_MAX_US (INT64_C(3600) * 1000000)

enum event { EVENT_NONE, EVENT_RUN, EVENT_RUNTIME, EVENT_SLEEP, EVENT_TIMER, EVENT_FOREIGN };

struct event_word {
    const char *beginning;
    enum event event;
    const char *why; /* of a foreign one */
};

/* The first that fits wins: "runtime" before "run". */
static const struct event_word event_words[] = {
    {"lock", EVENT_FOREIGN, "tasks share no locks here"},
    {"unlock", EVENT_FOREIGN, "tasks share no locks here"},
    {"wait", EVENT_FOREIGN, "tasks do not wait for each other here"},
    {"signal", EVENT_FOREIGN, "tasks do not wake each other here"},
    {"broad", EVENT_FOREIGN, "tasks do not wake each other here"},
    {"sync", EVENT_FOREIGN, "tasks do not wait for each other here"},
    {"sleep", EVENT_SLEEP, NULL},
    {"runtime", EVENT_RUNTIME, NULL},
    {"run", EVENT_RUN, NULL},
    {"timer", EVENT_TIMER, NULL},
    {"suspend", EVENT_FOREIGN, "tasks do not wait for each other here"},
    {"resume", EVENT_FOREIGN, "tasks do not wake each other here"},
    {"mem", EVENT_FOREIGN, "work here is processor time only"},
    {"iorun", EVENT_FOREIGN, "work here is processor time only"},
    {"yield", EVENT_FOREIGN, "a job here ends with its last stage and never yields"},
    {"barrier", EVENT_FOREIGN, "tasks do not wait for each other here"},
    {"fork", EVENT_FOREIGN, "all tasks exist from the start here"},
    {NULL, EVENT_NONE, NULL}};

static const struct event_word *event_of(const char *key)
{
    const struct event_word *word = event_words;
    while (word->beginning != NULL && strncmp(key, word->beginning, strlen(word->beginning)) != 0) {
        word++;
    }
    return word;
}

bool ei_rt_app_is_event(const char *key)
{
    return event_of(key)->event != EVENT_NONE;
}

/* A phase under way. */
struct pass {
    struct ei_rt_app_thread *th;
    const struct ei_json_node *phase;
    int64_t passes;
    bool has_timer;
    struct ei_cpuset cpus;
    int64_t now_ns;        /* since the start of the pass */
    int64_t work_ns;       /* since the last timer */
    int64_t first_wait_ns; /* of the first timer */
    int32_t first_chunk;   /* of the thread's chunks */
    bool is_open;          /* the last chunk still takes work */
};

/* ---- events ---- */

static bool add_work(struct pass *ps, const struct ei_json_node *event)
{
    struct ei_rt_app_thread *th = ps->th;
    struct ei_import_draft *draft = th->draft;
    int64_t us = 0;
    if (!ei_import_integer(draft, event, 0, EVENT_MAX_US, &us)) {
        return false;
    }
    if (us == 0) {
        ei_import_note(draft, ei_import_at_key(event), "'%s' of 0 us does nothing: left out", event->key);
        return true;
    }
    if (!ps->is_open) {
        if (th->chunk_count == EI_RT_APP_CHUNKS_MAX) {
            ei_import_lose(draft, ei_import_at_key(event), "split the task", "%s has more than %d timers with work",
                           draft->label, EI_RT_APP_CHUNKS_MAX);
            return false;
        }
        struct ei_rt_app_chunk *chunk = &th->chunks[th->chunk_count++];
        memset(chunk, 0, sizeof *chunk);
        ei_import_task_blank(&chunk->task);
        chunk->task.cpus = ps->cpus;
        chunk->at = ei_import_at_key(event);
        chunk->phase = th->phases != NULL ? ps->phase->key : NULL;
        chunk->start_ns = ps->now_ns;
        ps->is_open = true;
    }
    struct ei_task_spec *task = &th->chunks[th->chunk_count - 1].task;
    if (task->stage_count == EI_STAGES_MAX) {
        ei_import_note(draft, ei_import_at_key(event), "'%s' is added to the stage before it: a task has %d at most",
                       event->key, EI_STAGES_MAX);
    }
    ei_import_task_spin(task, event->key, us * US);
    ps->work_ns += us * US;
    return true;
}

/* What a timer (or in its place a sleep) does: the open chunk ends, and what follows is released wait_ns later. */
static void cut(struct pass *ps, int64_t wait_ns)
{
    if (ps->is_open) {
        ps->th->chunks[ps->th->chunk_count - 1].wait_ns = wait_ns;
    }
    if (ps->now_ns == 0) {
        ps->first_wait_ns = wait_ns;
    }
    ps->now_ns += wait_ns;
    ps->work_ns = 0;
    ps->is_open = false;
}

/* The timer's name and mode must be those of the thread's other timers. */
static bool check_timer(struct pass *ps, const struct ei_json_node *event)
{
    struct ei_rt_app_thread *th = ps->th;
    struct ei_import_draft *draft = th->draft;
    const struct ei_json_node *ref = ei_json_find(th->json, event, "ref");
    const struct ei_json_node *mode = ei_json_find(th->json, event, "mode");
    if (ref == NULL) {
        ei_import_refuse(draft, ei_import_at_key(event), "write \"ref\": \"unique\"", "'%s' of %s has no 'ref'",
                         event->key, draft->label);
        return false;
    }
    if (!ei_import_is(draft, ref, EI_JSON_STRING) || (mode != NULL && !ei_import_is(draft, mode, EI_JSON_STRING))) {
        return false;
    }
    const bool is_absolute = mode != NULL && strcmp(mode->text, "absolute") == 0;
    if (mode != NULL && !is_absolute && strcmp(mode->text, "relative") != 0) {
        ei_import_refuse(draft, ei_import_at_value(mode), NULL, "'mode' of a timer is relative or absolute, not '%s'",
                         mode->text);
        return false;
    }
    th->is_absolute |= is_absolute;
    if (th->timer == NULL) {
        th->timer = event;
        th->timer_ref = ref->text;
    }
    return strcmp(th->timer_ref, ref->text) == 0 ||
           ei_import_lose(draft, ei_import_at_value(ref), "give all timers of the task the same ref",
                          "%s uses a second timer '%s' beside '%s', and a task here has one clock", draft->label,
                          ref->text, th->timer_ref);
}

static bool add_timer(struct pass *ps, const struct ei_json_node *event)
{
    static const struct ei_import_key keys[] = {{"ref", false}, {"period", false}, {"mode", false}, {NULL, false}};
    struct ei_import_draft *draft = ps->th->draft;
    int64_t us = 0;
    if (!ei_import_is(draft, event, EI_JSON_OBJECT)) {
        return false;
    }
    ei_import_check_keys(draft, ps->th->json, event, keys);
    const struct ei_json_node *period = ei_json_find(ps->th->json, event, "period");
    if (period == NULL) {
        ei_import_refuse(draft, ei_import_at_key(event), "write \"period\": 10000, in us", "'%s' of %s has no 'period'",
                         event->key, draft->label);
        return false;
    }
    if (!ei_import_integer(draft, period, 1, EVENT_MAX_US, &us) || !check_timer(ps, event)) {
        return false;
    }
    cut(ps, us * US);
    return true;
}

/* The sum of the runs and sleeps of a phase, for a hint. */
static int64_t phase_us(const struct pass *ps)
{
    int64_t sum_us = 0;
    for (const struct ei_json_node *at = ei_json_first(ps->th->json, ps->phase); at != NULL;
         at = ei_json_next(ps->th->json, at)) {
        const enum event event = event_of(at->key)->event;
        const bool is_time = event == EVENT_RUN || event == EVENT_RUNTIME || event == EVENT_SLEEP;
        sum_us += is_time && at->integer > 0 && at->integer <= EVENT_MAX_US ? at->integer : 0;
    }
    return sum_us;
}

static bool add_sleep(struct pass *ps, const struct ei_json_node *event)
{
    struct ei_import_draft *draft = ps->th->draft;
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    int64_t us = 0;
    if (!ei_import_integer(draft, event, 0, EVENT_MAX_US, &us)) {
        return false;
    }
    if (us == 0) {
        ei_import_note(draft, ei_import_at_key(event), "'%s' of 0 us does nothing: left out", event->key);
        return true;
    }
    if (ps->has_timer) {
        return ei_import_lose(draft, ei_import_at_key(event), "split the task at the sleep",
                              "'%s' of %s suspends a job in its middle, and a job here runs through", event->key,
                              draft->label);
    }
    snprintf(hint, sizeof hint,
             "replace it by \"timer\": { \"ref\": \"unique\", \"period\": %" PRId64 " }, or import with --lossy",
             phase_us(ps));
    if (!ei_import_lose(draft, ei_import_at_key(event), hint,
                        "'%s' of %s counts from the end of the work, and releases here come by the clock", event->key,
                        draft->label)) {
        return false;
    }
    cut(ps, ps->work_ns + us * US);
    return true;
}

static bool add_event(struct pass *ps, const struct ei_json_node *event)
{
    const struct event_word *word = event_of(event->key);
    switch (word->event) {
    case EVENT_RUNTIME:
        ei_import_note(ps->th->draft, ei_import_at_key(event),
                       "'%s' is processor time here; rt-app counts the time it is preempted too", event->key);
        return add_work(ps, event);
    case EVENT_RUN:
        return add_work(ps, event);
    case EVENT_SLEEP:
        return add_sleep(ps, event);
    case EVENT_TIMER:
        return add_timer(ps, event);
    case EVENT_FOREIGN:
        return ei_import_lose(ps->th->draft, ei_import_at_key(event), "remove it, or import with --lossy",
                              "event '%s' of %s: %s", event->key, ps->th->draft->label, word->why);
    case EVENT_NONE:
        break;
    }
    return true;
}

/* ---- the phase ---- */

static bool has_event(const struct pass *ps, enum event event)
{
    for (const struct ei_json_node *at = ei_json_first(ps->th->json, ps->phase); at != NULL;
         at = ei_json_next(ps->th->json, at)) {
        if (event_of(at->key)->event == event) {
            return true;
        }
    }
    return false;
}

/* A phase that takes no time at all, or never waits. */
static bool check_waits(struct pass *ps)
{
    struct ei_import_draft *draft = ps->th->draft;
    if (ps->now_ns > 0) {
        return true;
    }
    if (ps->work_ns == 0) {
        ei_import_refuse(draft, ei_import_at_key(ps->phase), "give it run and timer events",
                         "%s has a phase without work and without a timer", draft->label);
        return false;
    }
    if (!ei_import_lose(draft, ei_import_at_key(ps->phase), "add a timer behind its runs",
                        "%s has a phase that never waits, and every job here has a release time", draft->label)) {
        return false;
    }
    cut(ps, ps->work_ns);
    return true;
}

/* The chunks of the phase now know how long it is. */
static void place_chunks(struct pass *ps)
{
    struct ei_rt_app_thread *th = ps->th;
    for (int32_t i = ps->first_chunk; i < th->chunk_count; i++) {
        struct ei_rt_app_chunk *chunk = &th->chunks[i];
        th->has_leading |= chunk->start_ns == 0;
        if (chunk->start_ns == ps->now_ns) { /* behind the last timer: until the first one of the next pass */
            th->has_trailing = true;
            chunk->wait_ns = ps->first_wait_ns;
        }
        chunk->start_ns += th->cycle_ns;
        chunk->pass_ns = ps->now_ns;
        chunk->passes = ps->passes;
        chunk->idx_in_phase = th->chunk_count - ps->first_chunk > 1 ? i - ps->first_chunk : -1;
    }
    th->cycle_ns += ps->passes == EI_RT_APP_FOREVER ? 0 : ps->passes * ps->now_ns;
}

bool ei_rt_app_phase(struct ei_rt_app_thread *thread, const struct ei_json_node *phase, int64_t passes)
{
    struct pass ps = {
        .th = thread, .phase = phase, .passes = passes, .cpus = thread->cpus, .first_chunk = thread->chunk_count};
    const struct ei_json_node *cpus = phase != thread->node ? ei_json_find(thread->json, phase, "cpus") : NULL;
    bool is_ok = cpus == NULL || ei_import_cpus(thread->draft, thread->json, cpus, &ps.cpus);
    ps.has_timer = has_event(&ps, EVENT_TIMER);
    for (const struct ei_json_node *at = ei_json_first(thread->json, phase); at != NULL;
         at = ei_json_next(thread->json, at)) {
        is_ok = (strcmp(at->key, "membind_nodes") == 0 || add_event(&ps, at)) && is_ok;
    }
    if (!is_ok || !check_waits(&ps)) {
        return false;
    }
    if (passes != EI_RT_APP_FOREVER && ps.now_ns > (INT64_C(365) * 86400 * 1000000000 - thread->cycle_ns) / passes) {
        ei_import_lose(thread->draft, ei_import_at_key(phase), NULL, "%s loops for more than a year",
                       thread->draft->label);
        return false;
    }
    thread->has_endless_phase |= passes == EI_RT_APP_FOREVER;
    place_chunks(&ps);
    return true;
}
