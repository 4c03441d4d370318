/* See import_draft.h. */
#include "workloads/import_draft.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* ---- speaking ---- */

/* Foreign text in messages and comments: nothing in it may end a line or drive a terminal. */
static void make_harmless(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20U || (unsigned char)*at >= 0x7fU) {
            *at = '?';
        }
    }
}

static void add_remark(struct ei_import_draft *draft, int32_t line, bool is_lost, const char *text)
{
    if (draft->remark_count == EI_IMPORT_NOTES_MAX) {
        draft->remarks_hidden++;
        return;
    }
    struct ei_import_remark *remark = &draft->remarks[draft->remark_count++];
    remark->task_idx = draft->scope;
    remark->line = line;
    remark->is_lost = is_lost;
    snprintf(remark->text, sizeof remark->text, "%s", text);
}

static void speak(struct ei_import_draft *draft, enum ei_severity severity, struct ei_import_at at, const char *hint,
                  const char *text)
{
    char harmless[EI_DIAGNOSTIC_TEXT_MAX];
    snprintf(harmless, sizeof harmless, "%s", hint != NULL ? hint : "");
    make_harmless(harmless);
    ei_diagnostics_add(draft->diag, severity, at.place, at.length, harmless, "%s", text);
}

#define SAY(text, fmt)                                                                                                 \
    do {                                                                                                               \
        va_list args_;                                                                                                 \
        va_start(args_, fmt);                                                                                          \
        vsnprintf(text, sizeof(text), fmt, args_);                                                                     \
        va_end(args_);                                                                                                 \
        make_harmless(text);                                                                                           \
    } while (0)

void ei_import_refuse(struct ei_import_draft *draft, struct ei_import_at at, const char *hint, const char *fmt, ...)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    SAY(text, fmt);
    speak(draft, EI_SEVERITY_ERROR, at, hint, text);
}

bool ei_import_lose(struct ei_import_draft *draft, struct ei_import_at at, const char *hint, const char *fmt, ...)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    SAY(text, fmt);
    if (!draft->options->is_lossy) {
        speak(draft, EI_SEVERITY_ERROR, at, hint, text);
        return false;
    }
    speak(draft, EI_SEVERITY_WARNING, at, NULL, text);
    add_remark(draft, at.place.line, true, text);
    return true;
}

void ei_import_note(struct ei_import_draft *draft, struct ei_import_at at, const char *fmt, ...)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    SAY(text, fmt);
    add_remark(draft, at.place.line, false, text);
}

/* ---- values ---- */

bool ei_import_is(struct ei_import_draft *draft, const struct ei_json_node *node, enum ei_json_kind kind)
{
    if (node->kind == kind || (kind == EI_JSON_REAL && node->kind == EI_JSON_INT)) {
        return true;
    }
    ei_import_refuse(draft, ei_import_at_value(node), NULL, "'%s' of %s must be %s, and this is %s",
                     node->key != NULL ? node->key : "entry", draft->label, ei_json_kind_text(kind),
                     ei_json_kind_text(node->kind));
    return false;
}

bool ei_import_integer(struct ei_import_draft *draft, const struct ei_json_node *node, int64_t lo, int64_t hi,
                       int64_t *out)
{
    if (!ei_import_is(draft, node, EI_JSON_INT)) {
        return false;
    }
    if (node->integer < lo || node->integer > hi) {
        ei_import_refuse(draft, ei_import_at_value(node), NULL,
                         "'%s' of %s must be from %" PRId64 " to %" PRId64 ", and this is %" PRId64,
                         node->key != NULL ? node->key : "entry", draft->label, lo, hi, node->integer);
        return false;
    }
    *out = node->integer;
    return true;
}

bool ei_import_is_in_range(struct ei_import_draft *draft, struct ei_import_at at, enum ei_context context,
                           const char *key, int64_t value)
{
    const struct ei_field *field = ei_field_find(context, key, -1);
    char text[EI_DURATION_TEXT_MAX];
    char range[EI_DIAGNOSTIC_TEXT_MAX - 64];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (value >= field->lo && value <= field->hi) {
        return true;
    }
    ei_field_range(field, range, sizeof range);
    snprintf(hint, sizeof hint, "'%s' of a workload file takes %s", key, range);
    if (field->type == EI_FIELD_INT) {
        snprintf(text, sizeof text, "%" PRId64, value);
    } else {
        ei_duration_format(value, text);
    }
    ei_import_lose(draft, at, hint, "%s needs %s: %s, which is out of range", draft->label, key, text);
    return false;
}

void ei_import_set_duration(struct ei_import_draft *draft, struct ei_import_at at, int64_t seconds)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_RUN, "duration", -1);
    const int64_t duration_ns = seconds * NS_PER_S;
    const bool is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_RUN, "duration", duration_ns);
    draft->wl->run.duration_ns = is_ok ? duration_ns : field->hi;
}

bool ei_import_cpus(struct ei_import_draft *draft, const struct ei_json *json, const struct ei_json_node *node,
                    struct ei_cpuset *out)
{
    struct ei_cpuset cpus = {.bits = {0}};
    if (!ei_import_is(draft, node, EI_JSON_ARRAY)) {
        return false;
    }
    if (node->count == 0) {
        ei_import_refuse(draft, ei_import_at_value(node), "leave it out for all CPUs", "'cpus' of %s is empty",
                         draft->label);
        return false;
    }
    for (const struct ei_json_node *cpu = ei_json_first(json, node); cpu != NULL; cpu = ei_json_next(json, cpu)) {
        int64_t number = 0;
        if (!ei_import_integer(draft, cpu, 0, EI_CPU_MAX - 1, &number)) {
            return false;
        }
        ei_cpuset_add(&cpus, (int)number);
    }
    *out = cpus;
    return true;
}

static const struct ei_import_key *key_of(const struct ei_import_key *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

void ei_import_check_keys(struct ei_import_draft *draft, const struct ei_json *json, const struct ei_json_node *object,
                          const struct ei_import_key *keys)
{
    for (const struct ei_json_node *node = ei_json_first(json, object); node != NULL; node = ei_json_next(json, node)) {
        const struct ei_import_key *key = key_of(keys, node->key);
        const struct ei_json_node *first = ei_json_find(json, object, node->key);
        if (first != node) {
            char hint[64];
            snprintf(hint, sizeof hint, "the first is in line %d", first->key_place.line);
            ei_import_refuse(draft, ei_import_at_key(node), hint, "%s has '%s' twice", draft->label, node->key);
        } else if (key == NULL) {
            char hint[EI_DIAGNOSTIC_TEXT_MAX] = "remove it, or import with --lossy";
            struct ei_nearest nearest;
            ei_nearest_init(&nearest, node->key);
            for (const struct ei_import_key *known = keys; known->name != NULL; known++) {
                ei_nearest_offer(&nearest, known->name);
            }
            if (ei_nearest_result(&nearest) != NULL) {
                snprintf(hint, sizeof hint, "did you mean '%s'?", ei_nearest_result(&nearest));
            }
            ei_import_lose(draft, ei_import_at_key(node), hint, "unknown key '%s' in %s", node->key, draft->label);
        } else if (key->is_idle) {
            ei_import_note(draft, ei_import_at_key(node), "'%s' says nothing about the workload: left out", node->key);
        }
    }
}

/* ---- tasks ---- */

void ei_import_task_blank(struct ei_task_spec *task)
{
    memset(task, 0, sizeof *task);
    task->arrival.period_ns = EI_NONE_NS;
    task->deadline_ns = EI_NONE_NS;
    task->late_release = (struct ei_late_spec){EI_SPEC_LATE_DROP_NEWEST, 1};
    task->on_deadline = EI_SPEC_ON_DEADLINE_FINISH;
    task->nn_stage_idx = EI_NONE_IDX;
}

static bool is_stage_name_taken(const struct ei_task_spec *task, const char *name)
{
    for (int32_t i = 0; i < task->stage_count; i++) {
        if (strcmp(task->stages[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void ei_import_task_spin(struct ei_task_spec *task, const char *name, int64_t spin_ns)
{
    if (task->stage_count == EI_STAGES_MAX) {
        task->stages[EI_STAGES_MAX - 1].spin_ns += spin_ns;
        return;
    }
    struct ei_stage_spec *stage = &task->stages[task->stage_count];
    ei_import_name(name, stage->name);
    for (int32_t i = 2; is_stage_name_taken(task, stage->name); i++) {
        char longer[64];
        snprintf(longer, sizeof longer, "%.20s.%d", name, i);
        ei_import_name(longer, stage->name);
    }
    stage->kind = EI_SPEC_STAGE_CPU;
    stage->spin_ns = spin_ns;
    stage->budget_ns = EI_NONE_NS;
    stage->model_idx = EI_NONE_IDX;
    stage->lane_idx = EI_NONE_IDX;
    task->stage_count++;
}

void ei_import_name(const char *wanted, char out[EI_SPEC_NAME_MAX])
{
    size_t length = 0;
    for (; wanted[length] != '\0' && length < EI_SPEC_NAME_MAX - 1; length++) {
        const unsigned char c = (unsigned char)wanted[length];
        const bool is_legal = c < 0x80U && (isalnum(c) || c == '_' || (length > 0 && (c == '-' || c == '.')));
        out[length] = is_legal ? (char)c : '_';
    }
    out[length] = '\0';
    if (length == 0) {
        snprintf(out, EI_SPEC_NAME_MAX, "task");
    }
}

static bool is_name_taken(const struct ei_workload *wl, const char *name)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (strcmp(wl->tasks[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_arrival_in_range(struct ei_import_draft *draft, const struct ei_arrival_spec *a, struct ei_import_at at)
{
    bool is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "offset", a->offset_ns);
    switch (a->model) {
    case EI_ARRIVAL_PERIODIC:
        return ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "period", a->period_ns) && is_ok;
    case EI_ARRIVAL_SPORADIC:
        return ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "mean", a->mean_ns) && is_ok;
    case EI_ARRIVAL_BURST:
        is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "count", a->count) && is_ok;
        is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "spacing", a->spacing_ns) && is_ok;
        return (a->period_ns == EI_NONE_NS ||
                ei_import_is_in_range(draft, at, EI_CONTEXT_ARRIVAL, "period", a->period_ns)) &&
               is_ok;
    case EI_ARRIVAL_APERIODIC:
    case EI_ARRIVAL_AFTER:
    case EI_ARRIVAL_EXTERNAL: /* no other tool has it */
        break;
    }
    return is_ok;
}

bool ei_import_task_add(struct ei_import_draft *draft, struct ei_task_spec *task, struct ei_import_at at,
                        const char *name)
{
    struct ei_workload *wl = draft->wl;
    bool is_ok = is_arrival_in_range(draft, &task->arrival, at);
    if (wl->task_count == EI_TASKS_MAX) {
        ei_import_lose(draft, at, "split the file", "%s is beyond the %d tasks that a workload file takes",
                       draft->label, EI_TASKS_MAX);
        return false;
    }
    if (task->deadline_ns != EI_NONE_NS) {
        is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_TASK, "deadline", task->deadline_ns) && is_ok;
    }
    for (int32_t i = 0; i < task->stage_count; i++) {
        if (task->stages[i].kind == EI_SPEC_STAGE_CPU) {
            is_ok = ei_import_is_in_range(draft, at, EI_CONTEXT_WORK, "spin", task->stages[i].spin_ns) && is_ok;
        }
    }
    if (!is_ok) {
        return false;
    }
    ei_import_name(name, task->name);
    for (int32_t i = 2; is_name_taken(wl, task->name); i++) {
        char longer[64];
        snprintf(longer, sizeof longer, "%.20s-%d", name, i);
        ei_import_name(longer, task->name);
    }
    task->place = at.place;
    wl->tasks[wl->task_count++] = *task;
    return true;
}

void ei_import_task_leave_out(struct ei_import_draft *draft, struct ei_import_at at, int32_t first_remark)
{
    for (int32_t i = first_remark; i < draft->remark_count; i++) {
        draft->remarks[i].task_idx = EI_IMPORT_HEAD;
    }
    if (draft->options->is_lossy) {
        char text[EI_DIAGNOSTIC_TEXT_MAX];
        const int32_t scope = draft->scope;
        snprintf(text, sizeof text, "%s is left out", draft->label);
        make_harmless(text);
        draft->scope = EI_IMPORT_HEAD;
        add_remark(draft, at.place.line, true, text);
        draft->scope = scope;
    }
}
