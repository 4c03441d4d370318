/* See service_requests.h. */
#include "command/service_requests.h"

#include "command/service_log.h"
#include "rt/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EINET_PRINTF(2, 3) static json_t *refusal(const char *code, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_t *reply = json_object(), *error = length < (int)sizeof text ? json_string(text) : NULL;
    (void)json_object_set_new(reply, "ok", json_false());
    (void)json_object_set_new(reply, "code", json_string(code));
    (void)json_object_set_new(reply, "error", error != NULL ? error : json_string("a name is too long"));
    return reply;
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static const char *phase_name(int phase)
{
    static const char *const names[] = {"created", "starting", "running", "ending", "ended", "failed"};
    return phase >= 0 && phase < (int)(sizeof names / sizeof names[0]) ? names[phase] : "?";
}

static json_t *duration(int64_t ns)
{
    return ns > 0 ? json_integer((json_int_t)ns) : json_null();
}

/* ---- list ---- */

static json_t *task_entry(const struct einet_service *service, int32_t task_idx)
{
    static const char *const classes[] = {"other", "fifo", "deadline"};
    struct einet_task_info info = {.size_bytes = sizeof info};
    struct einet_figures figures = {.size_bytes = sizeof figures};
    struct einet_settings settings = {.size_bytes = sizeof settings};
    (void)einet_workload_task_info(service->workload, task_idx, &info);
    (void)einet_run_figures(service->run, task_idx, &figures);
    (void)einet_run_settings(service->run, task_idx, &settings);
    json_t *entry =
        json_pack("{s:s, s:s, s:i, s:b, s:b}", "task", info.name, "class", classes[info.scheduling_class], "priority",
                  (int)settings.priority, "external", (int)info.is_external, "network", (int)info.has_network);
    (void)json_object_set_new(entry, "deadline_ns", duration(settings.deadline_ns));
    (void)json_object_set_new(entry, "search", info.has_network ? json_string(settings.search) : json_null());
    (void)json_object_set_new(entry, "paused", json_boolean(settings.is_paused));
    const struct {
        const char *key;
        int64_t value;
    } counts[] = {
        {"completed", figures.completed}, {"aborted", figures.aborted},    {"skipped", figures.skipped},
        {"dropped", figures.dropped},     {"misses", figures.misses},      {"preemptions", figures.preemptions},
        {"answered", figures.answered},   {"withheld", settings.withheld}, {"changes", settings.changes},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        (void)json_object_set_new(entry, counts[i].key, json_integer((json_int_t)counts[i].value));
    }
    (void)json_object_set_new(entry, "last_response_ns", duration(figures.last_response_ns));
    (void)json_object_set_new(entry, "p50_response_ns", duration(figures.p50_response_ns));
    (void)json_object_set_new(entry, "p99_response_ns", duration(figures.p99_response_ns));
    (void)json_object_set_new(entry, "max_response_ns", duration(figures.max_response_ns));
    return entry;
}

/* Null, or why the run is less than its file asks for. */
static json_t *degraded(const struct einet_service *service)
{
    char text[EINET_DEGRADED_TEXT_MAX];
    const int count = einet_run_degraded(service->run, text, sizeof text);
    if (count <= 0) {
        return json_null();
    }
    json_t *first = json_string(text); /* NULL: cut within a letter */
    return json_pack("{s:i, s:o}", "reasons", count, "first", first != NULL ? first : json_string("see the log"));
}

static json_t *reply_list(struct einet_service *service, const json_t *request)
{
    (void)request;
    json_t *reply = done(), *tasks = json_array();
    (void)json_object_set_new(reply, "name", json_string(einet_workload_name(service->workload)));
    (void)json_object_set_new(reply, "version", json_string(einet_version()));
    (void)json_object_set_new(reply, "state", json_string(phase_name(einet_run_phase(service->run))));
    (void)json_object_set_new(reply, "degraded", degraded(service));
    (void)json_object_set_new(reply, "uptime_ns", duration(ei_mono_now().ns - service->started_ns));
    (void)json_object_set_new(reply, "refused_connections",
                              json_integer((json_int_t)einet_control_refused(service->control)));
    (void)json_object_set_new(reply, "malformed_requests",
                              json_integer((json_int_t)einet_control_malformed(service->control)));
    for (int32_t i = 0; i < einet_workload_task_count(service->workload); i++) {
        (void)json_array_append_new(tasks, task_entry(service, i));
    }
    (void)json_object_set_new(reply, "tasks", tasks);
    return reply;
}

/* ---- one task ---- */

/* The task that a request names; NULL with *out_refusal. */
static const char *named_task(const struct einet_service *service, const json_t *request, int32_t *out_idx,
                              json_t **out_refusal)
{
    const char *name = json_string_value(json_object_get(request, "task"));
    if (name == NULL) {
        *out_refusal = refusal("usage", "the request names no task: give it \"task\"");
        return NULL;
    }
    *out_idx = einet_workload_find_task(service->workload, name);
    if (*out_idx < 0) {
        *out_refusal = refusal("no_task", "there is no task '%s'", name);
        return NULL;
    }
    return name;
}

static json_t *answer_object(const struct einet_answer *answer)
{
    json_t *object = json_pack("{s:I, s:i, s:i, s:b, s:i, s:f}", "job", (json_int_t)answer->job_idx, "exit",
                               (int)answer->exit_idx, "exits", (int)answer->exits_total, "final", (int)answer->is_final,
                               "label", (int)answer->label, "confidence", (double)answer->confidence);
    json_t *top = json_array();
    for (int32_t i = 0; i < answer->top_count; i++) {
        (void)json_array_append_new(
            top, json_pack("{s:i, s:f}", "class", (int)answer->top_class[i], "p", (double)answer->top_p[i]));
    }
    (void)json_object_set_new(object, "top", top);
    (void)json_object_set_new(object, "tag", json_integer((json_int_t)answer->tag));
    (void)json_object_set_new(object, "release_ns", json_integer((json_int_t)answer->release_ns));
    (void)json_object_set_new(object, "published_ns", json_integer((json_int_t)answer->published_ns));
    (void)json_object_set_new(object, "age_ns", json_integer((json_int_t)(ei_mono_now().ns - answer->published_ns)));
    return object;
}

static json_t *reply_answer(struct einet_service *service, const json_t *request)
{
    json_t *refused = NULL;
    int32_t task_idx;
    const char *name = named_task(service, request, &task_idx, &refused);
    if (name == NULL) {
        return refused;
    }
    struct einet_task_info info = {.size_bytes = sizeof info};
    struct einet_answer answer = {.size_bytes = sizeof answer};
    (void)einet_workload_task_info(service->workload, task_idx, &info);
    if (!info.has_network) {
        return refusal("no_answer", "task '%s' has no network, so it has no answers", name);
    }
    const int rc = einet_run_answer(service->run, task_idx, &answer);
    if (rc == -EAGAIN) {
        return refusal("busy", "an answer of task '%s' is being written: ask again", name);
    }
    json_t *reply = done();
    (void)json_object_set_new(reply, "task", json_string(name));
    (void)json_object_set_new(reply, "answer", rc == 1 ? answer_object(&answer) : json_null());
    return reply;
}

/* The old run takes nothing any more, and the new one is the service's only in a moment. */
static json_t *takes_over_now(void)
{
    return refusal("busy", "another run takes over this moment: ask again");
}

static json_t *reply_release(struct einet_service *service, const json_t *request)
{
    struct einet_task_info info = {.size_bytes = sizeof info};
    json_t *refused = NULL;
    int32_t task_idx;
    const char *name = named_task(service, request, &task_idx, &refused);
    if (name == NULL) {
        return refused;
    }
    const json_t *tag = json_object_get(request, "tag");
    if (tag != NULL && (!json_is_integer(tag) || json_integer_value(tag) < 0)) {
        return refusal("usage", "a tag is a whole number from 0 on");
    }
    const int rc = einet_run_release(service->run, task_idx, EINET_NOW, (uint64_t)json_integer_value(tag));
    switch (rc) {
    case 0:
        return done();
    case -EINVAL:
        (void)einet_workload_task_info(service->workload, task_idx, &info);
        if (info.topic[0] != '\0') {
            const bool are_results =
                info.message == EINET_MESSAGE_CLASSIFICATION || info.message == EINET_MESSAGE_STATUS;
            return refusal("not_external", "task '%s' is released by the %s of its topic, %s", name,
                           are_results ? "results" : "images", info.topic);
        }
        return refusal("not_external", "task '%s' is not released from outside: its arrival is not external", name);
    case -ECANCELED:
        return refusal("paused", "task '%s' is paused: resume it first", name);
    case -ENOBUFS:
        return refusal("full", "1024 releases of task '%s' wait already", name);
    case -ESHUTDOWN:
        if (service->is_taking_over) {
            return takes_over_now();
        }
        return refusal("ending", "task '%s' takes no releases: the service ends", name);
    default:
        return refusal("ending", "task '%s' takes no releases: the service ends", name);
    }
}

/* ---- changes ---- */

void einet_service_warn(const struct einet_error *said, json_t *reply)
{
    json_t *warnings = said->text[0] != '\0' && reply != NULL ? json_array() : NULL;
    for (const char *at = said->text; *at != '\0';) {
        const size_t length = strcspn(at, "\n");
        einet_service_log(EINET_LOG_WARNING, "admission: %.*s", (int)length, at);
        (void)json_array_append_new(warnings, json_stringn(at, length));
        at += length + (at[length] == '\n');
    }
    if (warnings != NULL) {
        (void)json_object_set_new(reply, "warnings", warnings);
    }
}

/* What became of a change: the log has those that were made, and the asker hears why one was refused. */
static json_t *changed(const struct einet_service *service, const json_t *request, int rc,
                       const struct einet_error *err)
{
    if (rc == -ESHUTDOWN && service->is_taking_over) {
        return takes_over_now();
    }
    if (rc == 0) {
        char *text = json_dumps(request, JSON_COMPACT);
        einet_service_log(EINET_LOG_NOTICE, "asked by einet ctl and done: %s", text != NULL ? text : "a change");
        free(text);
        json_t *reply = done();
        einet_service_warn(err, reply);
        return reply;
    }
    return refusal(rc == -ESHUTDOWN || rc == -EAGAIN ? "ending" : "refused", "%s", err->text);
}

/* The exits of a request, from 0; 0 = they are none. */
static uint64_t exits_of(const json_t *list)
{
    uint64_t exits = 0;
    size_t i;
    json_t *exit_idx;
    json_array_foreach(list, i, exit_idx)
    {
        const json_int_t k = json_is_integer(exit_idx) ? json_integer_value(exit_idx) : -1;
        if (k < 0 || k > 63) {
            return 0;
        }
        exits |= UINT64_C(1) << k;
    }
    return exits;
}

/* Returns NULL, or the refusal of a value that is none. */
static json_t *take_changes(const json_t *request, struct einet_change *out)
{
    const json_t *priority = json_object_get(request, "priority"), *deadline = json_object_get(request, "deadline_ns");
    const json_t *search = json_object_get(request, "search"), *exits = json_object_get(request, "exits");
    if (priority != NULL) {
        const json_int_t value = json_integer_value(priority);
        out->what |= EINET_SET_PRIORITY;
        out->priority = value >= 1 && value <= 98 ? (int32_t)value : 0;
    }
    if (deadline != NULL) {
        out->what |= EINET_SET_DEADLINE;
        out->deadline_ns = json_is_null(deadline) ? EINET_NO_DEADLINE : json_integer_value(deadline);
        if (!json_is_null(deadline) && out->deadline_ns <= 0) {
            return refusal("usage", "deadline_ns is a whole number above 0, or null for none");
        }
    }
    if (search != NULL) {
        out->what |= EINET_SET_SEARCH;
        out->search = json_string_value(search);
    }
    if (exits != NULL) {
        out->what |= EINET_SET_EXITS;
        out->exits = exits_of(exits);
        if (out->exits == 0) {
            return refusal("usage", "exits is a list of exits, from 0, one at least");
        }
    }
    return out->what != 0 ? NULL : refusal("usage", "nothing to set: give priority, deadline_ns, search or exits");
}

static json_t *reply_set(struct einet_service *service, const json_t *request)
{
    struct einet_change change = {.size_bytes = sizeof change};
    struct einet_error err = {0};
    json_t *refused = NULL;
    int32_t task_idx;
    if (named_task(service, request, &task_idx, &refused) == NULL) {
        return refused;
    }
    refused = take_changes(request, &change);
    return refused != NULL ? refused
                           : changed(service, request, einet_run_set(service->run, task_idx, &change, &err), &err);
}

static json_t *pause_or_resume(struct einet_service *service, const json_t *request,
                               int (*act)(struct einet_run *, int32_t, struct einet_error *))
{
    struct einet_error err = {0};
    json_t *refused = NULL;
    int32_t task_idx;
    if (named_task(service, request, &task_idx, &refused) == NULL) {
        return refused;
    }
    return changed(service, request, act(service->run, task_idx, &err), &err);
}

static json_t *reply_pause(struct einet_service *service, const json_t *request)
{
    return pause_or_resume(service, request, einet_run_pause);
}

static json_t *reply_resume(struct einet_service *service, const json_t *request)
{
    return pause_or_resume(service, request, einet_run_resume);
}

static json_t *reply_reload(struct einet_service *service, const json_t *request)
{
    struct einet_error err = {0};
    (void)request;
    const int rc = service->reload(service->owner, &err);
    if (rc < 0) {
        const char *code = rc == -EBUSY ? "busy" : rc == -ESHUTDOWN || rc == -EAGAIN ? "ending" : "refused";
        return err.line > 0 ? refusal(code, "%s:%d: %s", err.file, err.line, err.text) : refusal(code, "%s", err.text);
    }
    json_t *reply = done();
    (void)json_object_set_new(reply, "changed", json_integer(rc));
    (void)json_object_set_new(reply, "takes_over", json_boolean(service->is_taking_over));
    einet_service_warn(&err, reply);
    return reply;
}

/* ---- ending ---- */

static json_t *reply_drain(struct einet_service *service, const json_t *request)
{
    (void)request;
    service->is_drain_asked = true;
    return done();
}

static json_t *reply_stop(struct einet_service *service, const json_t *request)
{
    (void)request;
    service->is_stop_asked = true;
    return done();
}

/* ---- all ---- */

static const struct {
    const char *name;
    json_t *(*reply)(struct einet_service *service, const json_t *request);
} requests[] = {
    {"list", reply_list},   {"answer", reply_answer}, {"release", reply_release},
    {"set", reply_set},     {"pause", reply_pause},   {"resume", reply_resume},
    {"drain", reply_drain}, {"stop", reply_stop},     {"reload", reply_reload},
};

json_t *einet_service_reply(void *context, const json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "command"));
    for (size_t i = 0; command != NULL && i < sizeof requests / sizeof requests[0]; i++) {
        if (strcmp(command, requests[i].name) == 0) {
            return requests[i].reply(context, request);
        }
    }
    return command != NULL ? refusal("usage", "there is no command '%s'", command)
                           : refusal("usage", "the request names no command: give it \"command\"");
}

struct einet_figures einet_service_total(const struct einet_service *service)
{
    struct einet_figures total = {.size_bytes = sizeof total};
    for (int32_t i = 0; i < einet_workload_task_count(service->workload); i++) {
        struct einet_figures figures = {.size_bytes = sizeof figures};
        if (einet_run_figures(service->run, i, &figures) == 0) {
            total.completed += figures.completed;
            total.aborted += figures.aborted;
            total.skipped += figures.skipped;
            total.dropped += figures.dropped;
            total.misses += figures.misses;
            total.preemptions += figures.preemptions;
            total.answered += figures.answered;
        }
    }
    return total;
}
