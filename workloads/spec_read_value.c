/* Reports, and the values of keys: scalars, references, and those with several forms. See spec_read.h. */
#include "workloads/spec_read.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define PATH_TEXT_MAX 200

/* ---- reporting ---- */

static void report(struct ei_spec_reader *rd, enum ei_severity severity, int32_t node, const char *hint,
                   const char *fmt, va_list args) EINET_PRINTF(5, 0);
static void report(struct ei_spec_reader *rd, enum ei_severity severity, int32_t node, const char *hint,
                   const char *fmt, va_list args)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    struct ei_place place = {0, 0};
    int32_t length = 1;
    if (node >= 0) {
        place = ei_yaml_node(&rd->yaml, node)->place;
        length = ei_yaml_node(&rd->yaml, node)->length;
    }
    vsnprintf(text, sizeof text, fmt, args);
    char path[PATH_TEXT_MAX] = "";
    if (rd->is_built && node >= 0) {
        ei_yaml_path(&rd->yaml, node, path, sizeof path);
    }
    ei_diagnostics_add(rd->diag, severity, place, length, hint, "%s%s%s", path, path[0] != '\0' ? ": " : "", text);
}

void ei_spec_error(struct ei_spec_reader *rd, int32_t node, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    report(rd, EI_SEVERITY_ERROR, node, hint, fmt, args);
    va_end(args);
}

void ei_spec_warn(struct ei_spec_reader *rd, int32_t node, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    report(rd, EI_SEVERITY_WARNING, node, hint, fmt, args);
    va_end(args);
}

int32_t ei_spec_node(const struct ei_spec_reader *rd, int32_t map, const char *key, const char *key2)
{
    const int32_t node = ei_yaml_find(&rd->yaml, map, key);
    return key2 == NULL ? node : ei_yaml_find(&rd->yaml, node, key2);
}

void ei_spec_join_label(enum ei_context child, const char *parent, char out[EI_SPEC_LABEL_MAX])
{
    if (child == EI_CONTEXT_EMULATE) {
        snprintf(out, EI_SPEC_LABEL_MAX, "%s", parent);
    } else if (strcmp(parent, ei_context_title(EI_CONTEXT_FILE)) == 0) {
        snprintf(out, EI_SPEC_LABEL_MAX, "%s", ei_context_title(child));
    } else {
        snprintf(out, EI_SPEC_LABEL_MAX, "%s of %s", ei_context_title(child), parent);
    }
}

/* ---- single values ---- */

/* The text of a scalar that has one; NULL, reported, when the node is none. */
static const char *scalar_of(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    if (value->kind == EI_YAML_BROKEN) {
        return NULL;
    }
    if (value->kind != EI_YAML_SCALAR) {
        ei_spec_error(rd, node, NULL, "'%s' is a single value, not a %s", field->key,
                      value->kind == EI_YAML_LIST ? "list" : "mapping");
        return NULL;
    }
    if (value->is_plain &&
        (value->text[0] == '\0' || strcmp(value->text, "~") == 0 || strcmp(value->text, "null") == 0)) {
        ei_spec_error(rd, node, field->doc, "'%s' has no value", field->key);
        return NULL;
    }
    if (value->is_plain && ei_text_is_switch_word(value->text)) {
        ei_spec_error(rd, node, "write true or false, or put a text in quotes",
                      "'%s' is not allowed as a word: YAML versions disagree on its meaning", value->text);
        return NULL;
    }
    return value->text;
}

/* Take a path beside the workload file when something lies there, else leave it to the working directory. */
static void resolve(const struct ei_spec_reader *rd, char path[EI_SPEC_PATH_MAX])
{
    char beside[2 * EI_SPEC_PATH_MAX];
    if (path[0] == '/' || path[0] == '\0' || rd->folder[0] == '\0') {
        return;
    }
    snprintf(beside, sizeof beside, "%s%s", rd->folder, path);
    if (strlen(beside) < EI_SPEC_PATH_MAX && access(beside, F_OK) == 0) {
        memset(path, 0, EI_SPEC_PATH_MAX);
        memcpy(path, beside, strlen(beside));
    }
}

/* A word that stands in place of a path. */
static bool is_word_of(const struct ei_field *field, const char *text)
{
    for (const struct ei_word *word = field->words; word != NULL && word->text != NULL; word++) {
        if (strcmp(word->text, text) == 0) {
            return true;
        }
    }
    return false;
}

void ei_spec_read_scalar(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, void *slot)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    const char *value = scalar_of(rd, field, node);
    if (value != NULL && ei_field_parse(field, value, slot, text, hint) == 0) {
        if (field->type == EI_FIELD_PATH && !is_word_of(field, value)) {
            resolve(rd, slot);
        }
        return;
    }
    if (value != NULL) {
        ei_spec_error(rd, node, hint, "%s", text);
    }
    if (field->type == EI_FIELD_DURATION) {
        *(int64_t *)slot = 0;
    }
    if (field->type == EI_FIELD_TERM) {
        *(struct ei_term *)slot = (struct ei_term){.word = EI_SPEC_UNKNOWN};
    }
    if (field->is_discriminator) {
        *(int32_t *)slot = EI_SPEC_UNKNOWN;
    }
}

void ei_spec_read_reference(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, void *slot,
                            const char *label)
{
    const bool is_lane = field->type == EI_FIELD_LANE;
    const int32_t count = is_lane ? rd->wl->lane_count : rd->wl->model_count;
    const char *value = scalar_of(rd, field, node);
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    size_t used = 0;
    struct ei_nearest nearest;
    if (value == NULL) {
        return;
    }
    ei_nearest_init(&nearest, value);
    used = (size_t)snprintf(hint, sizeof hint, count > 0 ? "%ss:" : "there is no %s in this file", field->key);
    for (int32_t i = 0; i < count; i++) {
        const char *name = is_lane ? rd->wl->lanes[i].name : rd->wl->models[i].name;
        if (strcmp(name, value) == 0) {
            *(int32_t *)slot = i;
            return;
        }
        ei_nearest_offer(&nearest, name);
        if (used < sizeof hint) {
            used += (size_t)snprintf(hint + used, sizeof hint - used, "%s %s", i > 0 ? "," : "", name);
        }
    }
    const char *best = ei_nearest_result(&nearest);
    ei_spec_error(rd, node, hint, "unknown %s '%.80s' in %s%s%s%s", field->key, value, label,
                  best != NULL ? " (did you mean '" : "", best != NULL ? best : "", best != NULL ? "'?)" : "");
}

/* ---- values with several forms ---- */

static bool has_lane(const struct ei_workload *wl, const char *name)
{
    bool has = false;
    for (int32_t i = 0; i < wl->lane_count; i++) {
        has |= strcmp(wl->lanes[i].name, name) == 0;
    }
    return has;
}

static void add_lane(struct ei_spec_reader *rd, int32_t node, struct ei_stage_spec *stage, int32_t lane_idx,
                     const char *label)
{
    bool is_twice = stage->lane_idx == lane_idx;
    for (int32_t i = 0; i < stage->more_lane_count; i++) {
        is_twice |= stage->more_lanes[i] == lane_idx;
    }
    if (is_twice) {
        ei_spec_error(rd, node, NULL, "lane '%s' stands twice in %s", rd->wl->lanes[lane_idx].name, label);
    } else if (stage->lane_idx == EI_NONE_IDX) {
        stage->lane_idx = lane_idx;
    } else {
        stage->more_lanes[stage->more_lane_count++] = lane_idx;
    }
}

/* A name, a list of names, or any: all lanes in the order of the file, unless one of them has that name. */
void ei_spec_read_lanes(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node,
                        struct ei_stage_spec *stage, const char *label)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    const bool is_any = value->kind == EI_YAML_SCALAR && value->is_plain && strcmp(value->text, "any") == 0 &&
                        rd->wl->lane_count > 0 && !has_lane(rd->wl, "any");
    const bool is_list = value->kind == EI_YAML_LIST;
    ei_field_blank(field, stage);
    if (is_list && value->count == 0) {
        ei_spec_error(rd, node, NULL, "the list of lanes is empty");
    }
    for (int32_t i = 0; is_any && i < rd->wl->lane_count; i++) {
        add_lane(rd, node, stage, i, label);
    }
    for (int32_t at = is_list ? value->first : node; !is_any && at >= 0;
         at = is_list ? ei_yaml_node(&rd->yaml, at)->next : -1) {
        int32_t lane_idx = EI_NONE_IDX;
        ei_spec_read_reference(rd, field, at, &lane_idx, label);
        if (lane_idx >= 0) {
            add_lane(rd, at, stage, lane_idx, label);
        }
    }
}

static bool parse_size_px(const char *text, int32_t *out_width, int32_t *out_height)
{
    int32_t sides[2] = {0, 0};
    const char *at = text;
    for (int side = 0; side < 2; side++) {
        const char *start = at;
        for (; *at >= '0' && *at <= '9' && at - start < 6; at++) {
            sides[side] = sides[side] * 10 + (*at - '0');
        }
        if (at == start || sides[side] < 1 || sides[side] > EI_SPEC_SIDE_MAX_PX || *at != (side == 0 ? 'x' : '\0')) {
            return false;
        }
        at++;
    }
    *out_width = sides[0];
    *out_height = sides[1];
    return true;
}

/* One op: a word, or {resize: WxH}. */
static void read_op(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, struct ei_stage_spec *stage)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    struct ei_op_spec op = {EI_SPEC_OP_DECODE, 0, 0};
    char range[EI_DIAGNOSTIC_TEXT_MAX];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    const int32_t name_node = value->kind == EI_YAML_MAP && value->count == 1 ? value->first : node;
    const char *name = scalar_of(rd, field, name_node);
    if (name == NULL) {
        return;
    }
    const int32_t kind = ei_op_find(name);
    if (kind < 0) {
        struct ei_nearest nearest;
        ei_nearest_init(&nearest, name);
        for (const struct ei_word *word = ei_op_words; word->text != NULL; word++) {
            ei_nearest_offer(&nearest, word->text);
        }
        const char *best = ei_nearest_result(&nearest);
        ei_field_range(field, range, sizeof range);
        snprintf(hint, sizeof hint, "ops: %.300s", range);
        ei_spec_error(rd, name_node, hint, "unknown op '%.80s'%s%s%s", name, best != NULL ? " (did you mean '" : "",
                      best != NULL ? best : "", best != NULL ? "'?)" : "");
        return;
    }
    op.kind = (enum ei_spec_op_kind)kind;
    const int32_t argument = name_node == node ? -1 : ei_yaml_node(&rd->yaml, name_node)->next;
    if (op.kind == EI_SPEC_OP_RESIZE) {
        const char *size = argument >= 0 ? scalar_of(rd, field, argument) : "";
        if (size != NULL && !parse_size_px(size, &op.width_px, &op.height_px)) {
            ei_spec_error(rd, argument >= 0 ? argument : node, "write resize: 32x32, each side 1..16384 pixels",
                          "resize needs a size");
        }
    } else if (argument >= 0) {
        ei_spec_error(rd, argument, NULL, "op '%s' takes no argument", name);
    }
    if (stage->op_count == EI_STAGE_OPS_MAX) {
        ei_spec_error(rd, node, NULL, "more than %d ops in one stage", EI_STAGE_OPS_MAX);
        return;
    }
    stage->ops[stage->op_count++] = op;
}

void ei_spec_read_ops(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node,
                      struct ei_stage_spec *stage)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    if (value->kind != EI_YAML_LIST) {
        read_op(rd, field, node, stage);
        return;
    }
    if (value->count == 0) {
        ei_spec_error(rd, node, NULL, "the list of ops is empty");
    }
    for (int32_t i = value->first, n = 0; i >= 0 && n <= EI_STAGE_OPS_MAX; i = ei_yaml_node(&rd->yaml, i)->next, n++) {
        read_op(rd, field, i, stage);
    }
}

void ei_spec_read_mk(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, struct ei_slo_spec *slo)
{
    static const char *const hint = "write mk: [m, k] for at most m misses in any k jobs in a row; 0 <= m < k <= 10000";
    const struct ei_field number = {.key = "mk", .type = EI_FIELD_INT, .lo = 0, .hi = field->hi};
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    char range[EI_DIAGNOSTIC_TEXT_MAX];
    int32_t mk[2] = {0, 0};
    if (value->kind == EI_YAML_SCALAR && strcmp(value->text, field->none_text) == 0) {
        return;
    }
    if (value->kind != EI_YAML_LIST || value->count != 2) {
        ei_spec_error(rd, node, hint, "'mk' is a list of two numbers");
        return;
    }
    int32_t at = value->first;
    for (int i = 0; i < 2; i++, at = ei_yaml_node(&rd->yaml, at)->next) {
        const char *digits = scalar_of(rd, &number, at);
        if (digits == NULL) {
            return;
        }
        if (ei_field_parse(&number, digits, &mk[i], text, range) != 0) {
            ei_spec_error(rd, at, hint, "%s", text);
            return;
        }
    }
    if (mk[0] >= mk[1]) {
        ei_spec_error(rd, node, hint, "mk [%d, %d] allows every miss", mk[0], mk[1]);
        return;
    }
    slo->mk_m = mk[0];
    slo->mk_k = mk[1];
}

void ei_spec_read_time(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node,
                       struct ei_emulated_time *time, const char *label)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    const int32_t lognormal = ei_yaml_find(&rd->yaml, node, "lognormal");
    char inner[EI_SPEC_LABEL_MAX];
    if (value->kind == EI_YAML_SCALAR || value->kind == EI_YAML_BROKEN) {
        ei_spec_read_scalar(rd, field, node, time);
        return;
    }
    if (lognormal < 0 || value->count != 1) {
        ei_spec_error(rd, node, "write 1.1ms or { lognormal: { median: 1.1ms, p99: 1.6ms } }",
                      "'%s' is a duration or a lognormal distribution", field->key);
        return;
    }
    ei_spec_join_label(field->child, label, inner);
    ei_spec_read_map(rd, field->child, lognormal, time, inner);
    time->kind = EI_EMULATED_LOGNORMAL;
    if (time->p99_ns > 0 && time->p99_ns < time->median_ns) {
        ei_spec_error(rd, ei_yaml_find(&rd->yaml, lognormal, "p99"), NULL, "p99 is less than the median in %s", inner);
    }
}

void ei_spec_read_word_or_map(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, void *slot,
                              const char *label)
{
    char inner[EI_SPEC_LABEL_MAX];
    if (ei_yaml_node(&rd->yaml, node)->kind != EI_YAML_MAP) {
        ei_spec_read_scalar(rd, field, node, slot);
        return;
    }
    ei_spec_join_label(field->child, label, inner);
    ei_spec_read_map(rd, field->child, node, slot, inner);
}
