/* From the YAML tree to struct ei_workload, by the field table. See spec_read.h. */
#include "workloads/spec_read.h"

#include <string.h>

/* ---- mappings ---- */

static void set_identity(enum ei_context context, void *element, struct ei_place place, const char *name)
{
    struct ei_place *where = NULL;
    char *out_name = NULL;
    if (context == EI_CONTEXT_LANE) {
        where = &((struct ei_lane_spec *)element)->place;
        out_name = ((struct ei_lane_spec *)element)->name;
    } else if (context == EI_CONTEXT_MODEL) {
        where = &((struct ei_model_spec *)element)->place;
        out_name = ((struct ei_model_spec *)element)->name;
    } else if (context == EI_CONTEXT_TASK) {
        where = &((struct ei_task_spec *)element)->place;
    } else if (context == EI_CONTEXT_STAGE) {
        where = &((struct ei_stage_spec *)element)->place;
    } else if (context == EI_CONTEXT_INPUT) {
        where = &((struct ei_input_spec *)element)->place;
    }
    if (where != NULL) {
        *where = place;
    }
    if (out_name != NULL && name != NULL) {
        snprintf(out_name, EI_SPEC_NAME_MAX, "%s", name);
    }
}

static void read_list(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, char *base,
                      const char *label)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    int32_t count = 0;
    if (value->kind != EI_YAML_LIST) {
        if (value->kind != EI_YAML_BROKEN) {
            ei_spec_error(rd, node, "begin each entry with '- '", "'%s' is a list", field->key);
        }
        return;
    }
    if (value->count < field->lo) {
        ei_spec_error(rd, node, field->doc, "'%s' is empty", field->key);
    }
    for (int32_t i = value->first; i >= 0; i = ei_yaml_node(&rd->yaml, i)->next) {
        char inner[EI_SPEC_LABEL_MAX];
        char *element = base + field->offset + (size_t)count * field->element_bytes;
        if (count == field->hi) {
            ei_spec_error(rd, i, NULL, "more than %d entries in '%s' of %s", count, field->key, label);
            break;
        }
        const int32_t name = ei_yaml_find(&rd->yaml, i, "name");
        const bool has_name = name >= 0 && ei_yaml_node(&rd->yaml, name)->kind == EI_YAML_SCALAR;
        char own[64];
        if (has_name) {
            snprintf(own, sizeof own, "%s '%.40s'", ei_context_title(field->child),
                     ei_yaml_node(&rd->yaml, name)->text);
        } else {
            snprintf(own, sizeof own, "%s %d", ei_context_title(field->child), count + 1);
        }
        if (strcmp(label, ei_context_title(EI_CONTEXT_FILE)) == 0) {
            snprintf(inner, sizeof inner, "%s", own);
        } else {
            snprintf(inner, sizeof inner, "%s of %s", own, label);
        }
        if (field->child == EI_CONTEXT_TASK) {
            rd->task_nodes[count] = i;
        }
        ei_spec_read_map(rd, field->child, i, element, inner);
        count++;
    }
    memcpy(base + field->count_offset, &count, sizeof count);
}

static void read_named(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, char *base)
{
    const struct ei_yaml_node *value = ei_yaml_node(&rd->yaml, node);
    int32_t count = 0;
    if (value->kind != EI_YAML_MAP) {
        if (value->kind != EI_YAML_BROKEN) {
            ei_spec_error(rd, node, "write: NAME: { ... }", "'%s' is a mapping from names to entries", field->key);
        }
        return;
    }
    for (int32_t k = value->first; k >= 0; k = ei_yaml_node(&rd->yaml, ei_yaml_node(&rd->yaml, k)->next)->next) {
        const struct ei_field name_field = {.key = field->key, .type = EI_FIELD_NAME};
        char label[EI_SPEC_LABEL_MAX];
        char name[EI_SPEC_NAME_MAX] = "";
        if (ei_yaml_node(&rd->yaml, k)->kind != EI_YAML_SCALAR) {
            continue;
        }
        if (count == field->hi) {
            ei_spec_error(rd, k, NULL, "more than %d entries in '%s'", count, field->key);
            break;
        }
        ei_spec_read_scalar(rd, &name_field, k, name);
        char *element = base + field->offset + (size_t)count++ * field->element_bytes;
        snprintf(label, sizeof label, "%s '%s'", ei_context_title(field->child), name);
        ei_spec_read_map(rd, field->child, ei_yaml_node(&rd->yaml, k)->next, element, label);
        set_identity(field->child, element, ei_yaml_node(&rd->yaml, k)->place, name);
    }
    memcpy(base + field->count_offset, &count, sizeof count);
}

static void read_field(struct ei_spec_reader *rd, const struct ei_field *field, int32_t node, char *base,
                       const char *label)
{
    void *slot = base + field->offset;
    char inner[EI_SPEC_LABEL_MAX];
    switch (field->type) {
    case EI_FIELD_MAP:
        ei_spec_join_label(field->child, label, inner);
        ei_spec_read_map(rd, field->child, node, slot, inner);
        return;
    case EI_FIELD_LIST:
        read_list(rd, field, node, base, label);
        return;
    case EI_FIELD_NAMED:
        read_named(rd, field, node, base);
        return;
    case EI_FIELD_LANE:
        ei_spec_read_lanes(rd, field, node, slot, label);
        return;
    case EI_FIELD_MODEL:
        ei_spec_read_reference(rd, field, node, slot, label);
        return;
    case EI_FIELD_TIME:
        ei_spec_read_time(rd, field, node, slot, label);
        return;
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        ei_spec_read_word_or_map(rd, field, node, slot, label);
        return;

    case EI_FIELD_OPS:
        ei_spec_read_ops(rd, field, node, slot);
        return;
    case EI_FIELD_MK:
        ei_spec_read_mk(rd, field, node, slot);
        return;
    case EI_FIELD_WORD:
    case EI_FIELD_TERM:
    case EI_FIELD_CHOICE:
    case EI_FIELD_INT:
    case EI_FIELD_SEED:
    case EI_FIELD_DURATION:
    case EI_FIELD_SIZE:
    case EI_FIELD_RATIO:
    case EI_FIELD_BOOL:
    case EI_FIELD_NAME:
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
    case EI_FIELD_CPUS:
        ei_spec_read_scalar(rd, field, node, slot);
        return;
    }
}

/* ---- one mapping: which rows apply, which keys are strange, then row by row ---- */

/* The key that makes a model what it is; the kinds in their order. */
static const char *const model_keys[] = {
    [EI_SPEC_MODEL_ZOO] = "zoo", [EI_SPEC_MODEL_EMULATE] = "emulate", [EI_SPEC_MODEL_BUNDLE] = "bundle"};

static int32_t read_model_kind(struct ei_spec_reader *rd, int32_t node, struct ei_model_spec *model, const char *label)
{
    int32_t kind = EI_SPEC_UNKNOWN, first = -1;
    for (int32_t i = 0; i < (int32_t)(sizeof model_keys / sizeof model_keys[0]); i++) {
        const int32_t found = ei_yaml_find(&rd->yaml, node, model_keys[i]);
        if (found < 0) {
            continue;
        }
        if (first >= 0) {
            ei_spec_error(rd, found > first ? found : first, "remove one of the two", "%s has both %s and %s", label,
                          model_keys[kind], model_keys[i]);
            return EI_SPEC_UNKNOWN;
        }
        first = found;
        kind = i;
    }
    if (first < 0) {
        ei_spec_error(rd, node,
                      "write zoo: b-alexnet or bundle: FOLDER for a real network, emulate: { blocks: [...] } for times "
                      "only",
                      "%s has none of zoo, bundle and emulate", label);
        return EI_SPEC_UNKNOWN;
    }
    model->kind = (enum ei_spec_model_kind)kind;
    return kind;
}

static int32_t read_discriminator(struct ei_spec_reader *rd, enum ei_context context, int32_t node, char *base,
                                  const char *label)
{
    const struct ei_field *field = ei_field_discriminator(context);
    int32_t value = EI_SPEC_UNKNOWN;
    if (context == EI_CONTEXT_MODEL) {
        return read_model_kind(rd, node, (struct ei_model_spec *)(void *)base, label);
    }
    if (field == NULL) {
        return EI_SPEC_UNKNOWN;
    }
    const int32_t key = ei_yaml_find(&rd->yaml, node, field->key);
    if (key >= 0) {
        ei_spec_read_scalar(rd, field, key, base + field->offset);
        memcpy(&value, base + field->offset, sizeof value);
    } else if (field->default_text != NULL) {
        char text[EI_DIAGNOSTIC_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
        ei_field_parse(field, field->default_text, &value, text, hint);
        memcpy(base + field->offset, &value, sizeof value);
    } else {
        memcpy(base + field->offset, &value, sizeof value);
    }
    return value;
}

static void blame_key(struct ei_spec_reader *rd, enum ei_context context, int32_t key_node, int32_t value,
                      const char *label)
{
    const char *key = ei_yaml_node(&rd->yaml, key_node)->text;
    const struct ei_field *other = ei_field_find(context, key, -1);
    const struct ei_field *discriminator = ei_field_discriminator(context);
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    size_t used = (size_t)snprintf(hint, sizeof hint, "%s has:", ei_context_title(context));
    struct ei_nearest nearest;
    ei_nearest_init(&nearest, key);
    for (int32_t i = ei_field_next(context, 0), n = 0; i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        if (ei_field_find(context, field->key, value) != field) {
            continue;
        }
        ei_nearest_offer(&nearest, field->key);
        if (used < sizeof hint) {
            used += (size_t)snprintf(hint + used, sizeof hint - used, "%s %s", n++ > 0 ? "," : "", field->key);
        }
    }
    if (other != NULL && discriminator != NULL) {
        const char *word = "";
        for (const struct ei_word *w = discriminator->words; w->text != NULL; w++) {
            word = w->value == value ? w->text : word;
        }
        ei_spec_error(rd, key_node, hint, "'%s' does not go with %s '%s' in %s", key, discriminator->key, word, label);
    } else if (other != NULL) {
        ei_spec_error(rd, key_node, hint, "'%s' does not go with %s in %s", key,
                      value >= 0 ? model_keys[value] : "this", label);
    } else {
        const char *best = ei_nearest_result(&nearest);
        ei_spec_error(rd, key_node, hint, "unknown key '%.80s' in %s%s%s%s", key, label,
                      best != NULL ? " (did you mean '" : "", best != NULL ? best : "", best != NULL ? "'?)" : "");
    }
}

static void check_keys(struct ei_spec_reader *rd, enum ei_context context, int32_t node, int32_t value,
                       const char *label)
{
    const struct ei_yaml_node *map = ei_yaml_node(&rd->yaml, node);
    for (int32_t k = map->first; k >= 0; k = ei_yaml_node(&rd->yaml, ei_yaml_node(&rd->yaml, k)->next)->next) {
        const struct ei_yaml_node *key = ei_yaml_node(&rd->yaml, k);
        if (key->kind != EI_YAML_SCALAR || strcmp(key->text, "<<") == 0) {
            continue;
        }
        const struct ei_field *field = ei_field_find(context, key->text, value);
        if (field == NULL) {
            blame_key(rd, context, k, value, label);
        }
    }
}

static void fill_default(struct ei_spec_reader *rd, const struct ei_field *field, char *base)
{
    char text[EI_DIAGNOSTIC_TEXT_MAX];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (field->is_inherited) {
        memcpy(base + field->offset, &rd->wl->planner, sizeof rd->wl->planner);
    } else if (field->type == EI_FIELD_MAP) {
        ei_spec_read_map(rd, field->child, -1, base + field->offset, "");
    } else if (field->default_text != NULL) {
        ei_field_parse(field, field->default_text, base + field->offset, text, hint); /* a test parses every default */
    }
}

static void read_rows(struct ei_spec_reader *rd, enum ei_context context, int32_t node, int32_t value, char *base,
                      const char *label)
{
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        if (ei_field_find(context, field->key, value) != field) {
            continue;
        }
        const int32_t child = ei_yaml_find(&rd->yaml, node, field->key);
        if (child >= 0) {
            if (field->is_inherited) {
                fill_default(rd, field, base);
            }
            if (!field->is_discriminator) {
                read_field(rd, field, child, base, label);
            }
            continue;
        }
        fill_default(rd, field, base);
        const bool is_required = field->default_text == NULL && field->computed == NULL;
        if (node >= 0 && is_required && (field->only == 0 || value != EI_SPEC_UNKNOWN)) {
            ei_spec_error(rd, node, field->doc, "%s has no '%s'", label, field->key);
        }
    }
}

/* Every value that has a "none" gets it, also those whose keys do not apply. */
static void blank_map(enum ei_context context, char *base)
{
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        if (ei_fields[i].type == EI_FIELD_MAP) {
            blank_map(ei_fields[i].child, base + ei_fields[i].offset);
        } else {
            ei_field_blank(&ei_fields[i], base + ei_fields[i].offset);
        }
    }
}

void ei_spec_read_map(struct ei_spec_reader *rd, enum ei_context context, int32_t node, void *base, const char *label)
{
    int32_t value = EI_SPEC_UNKNOWN;
    int32_t map = node;
    const bool is_task_planner = context == EI_CONTEXT_PLANNER && base != &rd->wl->planner;
    if (!is_task_planner) {
        blank_map(context, base);
    }
    if (node >= 0) {
        const struct ei_yaml_node *found = ei_yaml_node(&rd->yaml, node);
        if (found->kind != EI_YAML_MAP) {
            if (found->kind != EI_YAML_BROKEN) {
                ei_spec_error(rd, node, NULL, "%s is a mapping (KEY: VALUE ...)", label);
            }
            map = -1;
        }
        set_identity(context, base, found->place, NULL);
    }
    if (map >= 0) {
        value = read_discriminator(rd, context, map, base, label);
        check_keys(rd, context, map, value, label);
    } else if (node >= 0 && ei_field_discriminator(context) != NULL) {
        memcpy((char *)base + ei_field_discriminator(context)->offset, &value, sizeof value);
    } else if (context == EI_CONTEXT_INPUT) {
        value = EI_SPEC_INPUT_NONE;
    }
    if (is_task_planner) {
        /* What the task leaves out stays as inherited. */
        for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
            const int32_t child = ei_yaml_find(&rd->yaml, map, ei_fields[i].key);
            if (child >= 0) {
                read_field(rd, &ei_fields[i], child, base, label);
            }
        }
        return;
    }
    read_rows(rd, context, map, value, base, label);
}

void ei_spec_read(struct ei_spec_reader *rd)
{
    ei_spec_read_map(rd, EI_CONTEXT_FILE, rd->yaml.root, rd->wl, ei_context_title(EI_CONTEXT_FILE));
}
