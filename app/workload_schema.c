/* The JSON Schema of the workload file, from the same table as its parser. A context of the table is a definition;
 * where a discriminator says which keys belong together, an if-then pair for each of its words says so here.
 */
#include "app/workload_schema.h"

#include "workloads/fields.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define DURATION "[0-9]+(\\.[0-9]+)?(ns|us|ms|s)"
#define NUMBER "[0-9]+(\\.[0-9]+)?"
#define TEXT_MAX 1024

/* The models' variants are told apart by their keys, not by a word. */
static const struct {
    const char *key;
    int32_t kind;
} model_kinds[] = {{"zoo", EI_SPEC_MODEL_ZOO}, {"bundle", EI_SPEC_MODEL_BUNDLE}, {"emulate", EI_SPEC_MODEL_EMULATE}};

/* What a context is called in messages, which is the same for the outputs of the file and those of a task. */
static const char *definition_name(enum ei_context context)
{
    return context == EI_CONTEXT_TOPICS ? "task_outputs" : ei_context_title(context);
}

static json_t *reference(enum ei_context context)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s", definition_name(context)));
}

static json_t *pattern(const char *expression)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", expression);
}

/* {"anyOf": [a, b]}, or the one that there is. Takes both. */
static json_t *either(json_t *a, json_t *b)
{
    return b == NULL ? a : json_pack("{s:[o, o]}", "anyOf", a, b);
}

static bool is_word(const struct ei_word *word)
{
    return word->value != EI_WORD_ABSENT;
}

/* {"enum": [...]} of the words of this version but `without`. */
static json_t *words_of(const struct ei_field *field, const char *without)
{
    json_t *list = json_array();
    for (const struct ei_word *word = field->words; word->text != NULL; word++) {
        if (is_word(word) && (without == NULL || strcmp(word->text, without) != 0)) {
            json_array_append_new(list, json_string(word->text));
        }
    }
    return json_pack("{s:o}", "enum", list);
}

static const struct ei_term_number *number_of(const struct ei_field *field, int32_t word)
{
    for (const struct ei_term_number *number = field->numbers; number->name != NULL; number++) {
        if (number->word == word) {
            return number;
        }
    }
    return NULL;
}

/* WORD, WORD(NUMBER) or either, as each word wants it. */
static json_t *term(const struct ei_field *field)
{
    char text[TEXT_MAX] = "^(";
    size_t used = strlen(text);
    for (const struct ei_word *word = field->words; word->text != NULL; word++) {
        const struct ei_term_number *number = is_word(word) ? number_of(field, word->value) : NULL;
        if (!is_word(word) || used >= sizeof text) {
            continue;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 2 ? "|" : "", word->text);
        if (number != NULL && used < sizeof text) {
            const bool is_optional = number->absent >= number->lo;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s\\(%s\\)%s", is_optional ? "(" : "",
                                     number->is_duration ? DURATION : NUMBER, is_optional ? ")?" : "");
        }
    }
    if (used + 2 >= sizeof text) {
        return NULL;
    }
    memcpy(text + used, ")$", 3);
    return pattern(text);
}

/* An op: a word, or {resize: WxH}. */
static json_t *op(const struct ei_field *field)
{
    return either(words_of(field, ei_op_name(EI_SPEC_OP_RESIZE)),
                  json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object", "properties", ei_op_name(EI_SPEC_OP_RESIZE),
                            pattern("^[1-9][0-9]*x[1-9][0-9]*$"), "required", ei_op_name(EI_SPEC_OP_RESIZE),
                            "additionalProperties", 0));
}

static json_t *list_of(json_t *entry, int64_t lo, int64_t hi)
{
    return json_pack("{s:s, s:o, s:I, s:I}", "type", "array", "items", entry, "minItems", (json_int_t)lo, "maxItems",
                     (json_int_t)hi);
}

static json_t *name(void)
{
    return json_pack("{s:s, s:s, s:i}", "type", "string", "pattern", "^[A-Za-z0-9_][A-Za-z0-9_.-]*$", "maxLength",
                     EI_SPEC_NAME_MAX - 1);
}

static json_t *named(const struct ei_field *field)
{
    return json_pack("{s:s, s:o, s:o, s:I, s:I}", "type", "object", "propertyNames", name(), "additionalProperties",
                     reference(field->child), "minProperties", (json_int_t)field->lo, "maxProperties",
                     (json_int_t)field->hi);
}

/* What a value of the field may be, without its word for none. */
static json_t *value_of(const struct ei_field *field)
{
    switch (field->type) {
    case EI_FIELD_WORD:
    case EI_FIELD_CHOICE:
        return words_of(field, NULL);
    case EI_FIELD_TERM:
        return term(field);
    case EI_FIELD_INT:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->lo, "maximum",
                         (json_int_t)field->hi);
    case EI_FIELD_SEED:
        return json_pack("{s:s, s:i, s:f}", "type", "integer", "minimum", 0, "maximum", (double)UINT64_MAX);
    case EI_FIELD_DURATION:
        return pattern("^" DURATION "$");
    case EI_FIELD_TIME:
        return either(pattern("^" DURATION "$"),
                      json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object", "properties", "lognormal",
                                reference(field->child), "required", "lognormal", "additionalProperties", 0));
    case EI_FIELD_SIZE:
        return pattern("^" NUMBER "(KiB|MiB|GiB)$");
    case EI_FIELD_RATIO:
        return json_pack("{s:s, s:f, s:f}", "type", "number", "minimum", (double)field->lo / 100.0, "maximum",
                         (double)field->hi / 100.0);
    case EI_FIELD_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case EI_FIELD_NAME:
    case EI_FIELD_MODEL:
        return name();
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
        return json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", EI_SPEC_PATH_MAX - 1);
    case EI_FIELD_CPUS:
        return either(pattern("^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"),
                      json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum", EI_CPU_MAX - 1));
    case EI_FIELD_MAP:
        return reference(field->child);
    case EI_FIELD_LIST:
        return list_of(reference(field->child), field->lo, field->hi);
    case EI_FIELD_NAMED:
        return named(field);
    case EI_FIELD_LANE:
        return either(name(), list_of(name(), 1, EI_LANES_MAX));
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        return either(words_of(field, NULL), reference(field->child));
    case EI_FIELD_OPS:
        return either(op(field), list_of(op(field), field->lo, field->hi));
    case EI_FIELD_MK:
        return list_of(json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->lo, "maximum",
                                 (json_int_t)field->hi),
                       2, 2);
    }
    return NULL;
}

static json_t *default_of(const struct ei_field *field)
{
    const bool is_bare = field->type == EI_FIELD_INT || field->type == EI_FIELD_SEED || field->type == EI_FIELD_RATIO ||
                         field->type == EI_FIELD_BOOL;
    json_t *value = is_bare ? json_loads(field->default_text, JSON_DECODE_ANY, NULL) : NULL;
    return value != NULL ? value : json_string(field->default_text);
}

/* What editors show beside a value. Draft 7 ignores what stands beside a $ref, so that one is wrapped. */
static json_t *property_of(const struct ei_field *field)
{
    char range[TEXT_MAX], doc[2 * TEXT_MAX];
    ei_field_range(field, range, sizeof range);
    const bool is_range_told = field->type == EI_FIELD_DURATION || field->type == EI_FIELD_SIZE ||
                               field->type == EI_FIELD_TIME || field->type == EI_FIELD_TERM;
    snprintf(doc, sizeof doc, "%s%s%s%s", field->doc, is_range_told ? " Allowed: " : "", is_range_told ? range : "",
             is_range_told ? "." : "");
    json_t *none = field->none_text != NULL ? json_pack("{s:[s]}", "enum", field->none_text) : NULL;
    json_t *property = either(value_of(field), none);
    if (json_object_get(property, "$ref") != NULL) {
        property = json_pack("{s:[o]}", "allOf", property);
    }
    json_object_set_new(property, "description", json_string(doc));
    if (field->default_text != NULL) {
        json_object_set_new(property, "default", default_of(field));
    }
    return property;
}

static bool is_required(const struct ei_field *field)
{
    return field->default_text == NULL && field->computed == NULL;
}

/* What holds when the discriminator has this value: its own rows, which of them must be there, and none of others'. */
static json_t *variant_of(enum ei_context context, int32_t value)
{
    json_t *properties = json_object(), *required = json_array();
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        if (field->only == 0) {
            continue;
        }
        if (ei_field_is_for(field, value)) {
            json_object_set_new(properties, field->key, property_of(field));
            if (is_required(field)) {
                json_array_append_new(required, json_string(field->key));
            }
        } else if (ei_field_find(context, field->key, value) == NULL) {
            json_object_set_new(properties, field->key, json_false());
        }
    }
    return json_pack("{s:o, s:o}", "properties", properties, "required", required);
}

static json_t *variants_of(enum ei_context context, const struct ei_field *discriminator)
{
    json_t *list = json_array();
    for (const struct ei_word *word = discriminator->words; word->text != NULL; word++) {
        if (!is_word(word)) {
            continue;
        }
        const bool is_default =
            discriminator->default_text != NULL && strcmp(discriminator->default_text, word->text) == 0;
        json_t *condition = json_pack("{s:{s:{s:s}}}", "properties", discriminator->key, "const", word->text);
        if (!is_default) {
            json_object_set_new(condition, "required", json_pack("[s]", discriminator->key));
        }
        json_array_append_new(list, json_pack("{s:o, s:o}", "if", condition, "then", variant_of(context, word->value)));
    }
    return list;
}

/* Whether an input of kind topic has pictures, its message says, a second discriminator of these keys alone. */
static json_t *topic_variant(void)
{
    json_t *none = json_object(), *all = json_array();
    for (int32_t i = ei_field_next(EI_CONTEXT_INPUT, 0); i >= 0; i = ei_field_next(EI_CONTEXT_INPUT, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        if (!ei_field_is_of_pictures(field) || !ei_field_is_for(field, EI_SPEC_INPUT_TOPIC)) {
            continue;
        }
        json_object_set_new(none, field->key, json_false());
        if (field->offset != offsetof(struct ei_input_spec, channels)) {
            json_array_append_new(all, json_string(field->key));
        }
    }
    json_t *is_result = json_pack("{s:{s:{s:[s,s]}}, s:[s]}", "properties", "message", "enum", "classification",
                                  "status", "required", "message");
    json_t *inner =
        json_pack("{s:o, s:{s:o}, s:{s:o}}", "if", is_result, "then", "properties", none, "else", "required", all);
    return json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties", "kind", "const", "topic", "required", "kind",
                     "then", inner);
}

static json_t *model_variants(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof model_kinds / sizeof model_kinds[0]; i++) {
        json_array_append_new(list, variant_of(EI_CONTEXT_MODEL, model_kinds[i].kind));
    }
    return list;
}

static json_t *context_schema(enum ei_context context)
{
    const struct ei_field *discriminator = ei_field_discriminator(context);
    json_t *properties = json_object(), *required = json_array();
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        /* A key of some variants is described here for editors that propose keys; its value is the variant's. */
        json_object_set_new(properties, field->key,
                            field->only == 0 ? property_of(field) : json_pack("{s:s}", "description", field->doc));
        if (field->only == 0 && is_required(field)) {
            json_array_append_new(required, json_string(field->key));
        }
    }
    json_t *schema = json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
                               "additionalProperties", 0);
    if (context == EI_CONTEXT_MODEL) {
        json_object_set_new(schema, "oneOf", model_variants());
    } else if (discriminator != NULL) {
        json_t *variants = variants_of(context, discriminator);
        if (context == EI_CONTEXT_INPUT) {
            json_array_append_new(variants, topic_variant());
        }
        json_object_set_new(schema, "allOf", variants);
    }
    return schema;
}

int einet_workload_schema_print(FILE *out)
{
    json_t *schema = json_pack("{s:s, s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#", "title",
                               "EINet-RT workload file", "description",
                               "Grammar of einet-workload(5), version 1; einet check says what it leaves open.");
    json_t *definitions = json_object();
    if (schema == NULL || json_object_update_new(schema, context_schema(EI_CONTEXT_FILE)) != 0) {
        json_decref(schema);
        json_decref(definitions);
        return -ENOMEM;
    }
    for (int32_t context = EI_CONTEXT_FILE + 1; context < EI_CONTEXT_COUNT; context++) {
        json_object_set_new(definitions, definition_name((enum ei_context)context),
                            context_schema((enum ei_context)context));
    }
    json_object_set_new(schema, "definitions", definitions);
    errno = 0;
    const bool is_written = json_dumpf(schema, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF && fflush(out) == 0;
    json_decref(schema);
    return is_written ? 0 : errno != 0 ? -errno : -ENOMEM;
}
