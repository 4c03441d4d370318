/* manifest.json -> struct ei_bundle. The first fault ends the reading and is told with its place. */
#include "stages/nn/bundle.h"
#include "stages/nn/bundle_fields.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANIFEST_MAX_BYTES (8 * 1024 * 1024)
#define CLASSES_MAX 1024
#define PLACE_BYTES 64
#define KEYS_MAX 16

struct reader {
    const char *path;
    struct einet_error *err;
    struct ei_bundle *bundle;
    struct ei_program *program;
    char place[PLACE_BYTES]; /* "block2.conv.3 (conv2d)"; "" = the manifest itself */
};

static int fault(const struct reader *rd, const char *fmt, ...) EINET_PRINTF(2, 3);

static int fault(const struct reader *rd, const char *fmt, ...)
{
    char text[EINET_ERROR_TEXT_MAX - PLACE_BYTES - 4];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return einet_error_set_at(rd->err, EINET_E_FILE, rd->path, 0, 0, "%s%s%s", rd->place,
                              rd->place[0] != '\0' ? ": " : "", text);
}

static const char *type_name(const json_t *value)
{
    if (value == NULL) {
        return "missing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

/* Every key of object must be among keys. */
static int check_keys(const struct reader *rd, json_t *object, const char *const *keys, int32_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool is_known = false;
        for (int32_t i = 0; i < count; i++) {
            is_known = is_known || strcmp(key, keys[i]) == 0;
        }
        if (!is_known) {
            char known[256] = "";
            size_t used = 0;
            for (int32_t i = 0; i < count && used < sizeof known; i++) {
                used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", keys[i]);
            }
            return fault(rd, "unknown key '%.40s'; there are: %s", key, known);
        }
    }
    return 0;
}

static int get_int(const struct reader *rd, json_t *object, const char *key, int64_t lo, int64_t hi, int32_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return fault(rd, "the key '%s' is missing", key);
    }
    if (!json_is_integer(value)) {
        return fault(rd, "'%s' is %s, a whole number is needed", key, type_name(value));
    }
    const json_int_t number = json_integer_value(value);
    if (number < lo || number > hi) {
        return fault(rd, "'%s' is %lld, %lld to %lld are possible", key, (long long)number, (long long)lo,
                     (long long)hi);
    }
    *out = (int32_t)number;
    return 0;
}

static int get_name(const struct reader *rd, json_t *object, const char *key, char *out, size_t size_bytes)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return fault(rd, "the key '%s' is missing", key);
    }
    if (!json_is_string(value)) {
        return fault(rd, "'%s' is %s, a text is needed", key, type_name(value));
    }
    if (!ei_bundle_is_name(json_string_value(value))) {
        return fault(rd, "'%s' is no name: 1 to 31 letters, digits, '-', '_' and '.' are", key);
    }
    snprintf(out, size_bytes, "%s", json_string_value(value));
    return 0;
}

/* A list of exactly count numbers in [lo, hi]. */
static int get_floats(const struct reader *rd, json_t *object, const char *key, int32_t count, double lo, double hi,
                      float *out)
{
    const json_t *list = json_object_get(object, key);
    if (list == NULL) {
        return fault(rd, "the key '%s' is missing", key);
    }
    if (!json_is_array(list)) {
        return fault(rd, "'%s' is %s, a list of numbers is needed", key, type_name(list));
    }
    if (json_array_size(list) != (size_t)count) {
        return fault(rd, "'%s' has %zu numbers, %d are needed", key, json_array_size(list), count);
    }
    for (int32_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value)) {
            return fault(rd, "'%s' holds %s, a number is needed", key, type_name(value));
        }
        if (!(json_number_value(value) >= lo && json_number_value(value) <= hi)) {
            return fault(rd, "'%s' holds %g, %g to %g are possible", key, json_number_value(value), lo, hi);
        }
        out[i] = (float)json_number_value(value);
    }
    return 0;
}

/* ---- operations ---- */

static int read_field(const struct reader *rd, json_t *object, const struct ei_bundle_field *field, struct ei_op *op)
{
    const json_t *value = json_object_get(object, field->key);
    if (value == NULL) {
        if (field->missing == EI_BUNDLE_REQUIRED) {
            return fault(rd, "the key '%s' is missing", field->key);
        }
        ei_bundle_field_set(field, ei_bundle_field_default(field, op), op);
        return 0;
    }
    if (field->type == EI_BUNDLE_BOOL) {
        if (!json_is_boolean(value)) {
            return fault(rd, "'%s' is %s, true or false is needed", field->key, type_name(value));
        }
        ei_bundle_field_set(field, json_is_true(value) ? 1.0 : 0.0, op);
        return 0;
    }
    if (field->type == EI_BUNDLE_INT) {
        int32_t number;
        const int rc = get_int(rd, object, field->key, (int64_t)field->lo, (int64_t)field->hi, &number);
        if (rc == 0) {
            ei_bundle_field_set(field, number, op);
        }
        return rc;
    }
    if (!json_is_number(value)) {
        return fault(rd, "'%s' is %s, a number is needed", field->key, type_name(value));
    }
    if (!(json_number_value(value) >= field->lo && json_number_value(value) <= field->hi)) {
        return fault(rd, "'%s' is %g, %g to %g are possible", field->key, json_number_value(value), field->lo,
                     field->hi);
    }
    ei_bundle_field_set(field, json_number_value(value), op);
    return 0;
}

/* The program's index of a script file, added when it is new. */
static int script_idx_of(const struct reader *rd, const json_t *value, const char *key, int32_t *out)
{
    struct ei_program *program = rd->program;
    if (value == NULL) {
        return fault(rd, "the key '%s' is missing", key);
    }
    if (!json_is_string(value)) {
        return fault(rd, "'%s' is %s, a text is needed", key, type_name(value));
    }
    const char *file = json_string_value(value);
    if (!ei_bundle_is_script_name(file)) {
        return fault(rd, "'%s' is '%.80s': a plain file name of at most %d bytes inside the folder is needed", key,
                     file, EI_PROGRAM_SCRIPT_FILE_MAX - 1);
    }
    for (int32_t i = 0; i < program->script_count; i++) {
        if (strcmp(program->scripts[i], file) == 0) {
            *out = i;
            return 0;
        }
    }
    if (program->script_count == EI_PROGRAM_SCRIPTS_MAX) {
        return fault(rd, "more than %d TorchScript files", EI_PROGRAM_SCRIPTS_MAX);
    }
    *out = program->script_count++;
    snprintf(program->scripts[*out], EI_PROGRAM_SCRIPT_FILE_MAX, "%s", file);
    return 0;
}

static int get_slot(const struct reader *rd, json_t *object, const char *key, int32_t absent, int32_t *out)
{
    *out = absent;
    return json_object_get(object, key) == NULL ? 0 : get_int(rd, object, key, 0, EI_PROGRAM_SLOTS_MAX - 1, out);
}

static int read_op_keys(const struct reader *rd, json_t *object, const struct ei_op *op)
{
    const char *keys[KEYS_MAX] = {"op", "in", "out"};
    int32_t count = 3;
    if (ei_bundle_is_binary(op->kind)) {
        keys[count++] = "in2";
    }
    if (op->kind == EI_OP_SCRIPT) {
        keys[count++] = "file";
    }
    for (int32_t i = 0; i < ei_bundle_field_count; i++) {
        if (ei_bundle_fields[i].kind == op->kind) {
            keys[count++] = ei_bundle_fields[i].key;
        }
    }
    return check_keys(rd, object, keys, count);
}

static int read_op(struct reader *rd, json_t *object, int32_t from_slot, int32_t default_out, struct ei_op *op)
{
    const json_t *kind_name = json_is_object(object) ? json_object_get(object, "op") : NULL;
    if (!json_is_string(kind_name)) {
        return fault(rd, "each layer is an object with a text 'op'");
    }
    const int32_t kind = ei_op_kind_find(json_string_value(kind_name));
    if (kind < 0) {
        return fault(rd, "'op' is '%.40s', which is no layer", json_string_value(kind_name));
    }
    *op = (struct ei_op){.kind = (enum ei_op_kind)kind};
    const size_t used = strlen(rd->place);
    snprintf(rd->place + used, sizeof rd->place - used, " (%s)", json_string_value(kind_name));
    int rc = read_op_keys(rd, object, op);
    for (int32_t i = 0; rc == 0 && i < ei_bundle_field_count; i++) {
        if (ei_bundle_fields[i].kind == op->kind) {
            rc = read_field(rd, object, &ei_bundle_fields[i], op);
        }
    }
    if (rc == 0 && op->kind == EI_OP_SCRIPT) {
        rc = script_idx_of(rd, json_object_get(object, "file"), "file", &op->script_idx);
    }
    if (rc == 0) {
        rc = get_slot(rd, object, "in", from_slot, &op->in_slot);
    }
    if (rc == 0) {
        rc = get_slot(rd, object, "out", default_out, &op->out_slot);
    }
    op->in2_slot = op->in_slot;
    if (rc == 0 && ei_bundle_is_binary(op->kind)) {
        rc = get_int(rd, object, "in2", 0, EI_PROGRAM_SLOTS_MAX - 1, &op->in2_slot);
    }
    return rc;
}

/* ---- parts and blocks ---- */

static int append_op(const struct reader *rd, const struct ei_op *op)
{
    if (rd->program->op_count == EI_PROGRAM_OPS_MAX) {
        return fault(rd, "the bundle has more than %d layers", EI_PROGRAM_OPS_MAX);
    }
    rd->program->ops[rd->program->op_count++] = *op;
    return 0;
}

static int read_part(struct reader *rd, json_t *object, int32_t block_idx, bool branch)
{
    static const char *const keys[] = {"script", "layers"};
    struct ei_program *program = rd->program;
    struct ei_program_block *block = &program->blocks[block_idx];
    struct ei_program_part *part = branch ? &block->branch : &block->conv;
    const int32_t default_out = branch ? program->trunk_slots : 0;
    const char *part_name = branch ? "branch" : "conv";
    *part = (struct ei_program_part){.first_op = program->op_count};
    snprintf(rd->place, sizeof rd->place, "block%d.%s", block_idx + 1, part_name);
    if (!json_is_object(object)) {
        return fault(rd, "it is %s, {\"script\": FILE} or {\"layers\": [...]} is needed", type_name(object));
    }
    int rc = check_keys(rd, object, keys, 2);
    json_t *script = json_object_get(object, "script"), *layers = json_object_get(object, "layers");
    if (rc == 0 && (script != NULL) == (layers != NULL)) {
        return fault(rd, "it has %s; one of script and layers is needed", script != NULL ? "both" : "neither");
    }
    if (rc == 0 && script != NULL) {
        struct ei_op op = {.kind = EI_OP_SCRIPT, .out_slot = default_out};
        rc = script_idx_of(rd, script, "script", &op.script_idx);
        part->op_count = 1;
        return rc == 0 ? append_op(rd, &op) : rc;
    }
    if (rc == 0 && !json_is_array(layers)) {
        return fault(rd, "'layers' is %s, a list is needed", type_name(layers));
    }
    int32_t from_slot = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(layers); i++) {
        struct ei_op op;
        snprintf(rd->place, sizeof rd->place, "block%d.%s.%zu", block_idx + 1, part_name, i);
        rc = read_op(rd, json_array_get(layers, i), from_slot, default_out, &op);
        if (rc == 0) {
            rc = append_op(rd, &op);
            from_slot = op.out_slot;
            part->op_count++;
        }
    }
    return rc;
}

static int read_blocks(struct reader *rd, json_t *root)
{
    static const char *const keys[] = {"conv", "branch"};
    const json_t *blocks = json_object_get(root, "blocks");
    if (!json_is_array(blocks) || json_array_size(blocks) < 1 || json_array_size(blocks) > EI_PROGRAM_BLOCKS_MAX) {
        return fault(rd, "'blocks' is %s, a list of 1 to %d blocks is needed",
                     json_is_array(blocks) ? "of another length" : type_name(blocks), EI_PROGRAM_BLOCKS_MAX);
    }
    rd->program->block_count = (int32_t)json_array_size(blocks);
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < rd->program->block_count; b++) {
        json_t *block = json_array_get(blocks, (size_t)b);
        snprintf(rd->place, sizeof rd->place, "block%d", b + 1);
        if (!json_is_object(block)) {
            return fault(rd, "it is %s, {\"conv\": PART, \"branch\": PART} is needed", type_name(block));
        }
        rc = check_keys(rd, block, keys, 2);
        if (rc == 0) {
            rc = read_part(rd, json_object_get(block, "conv"), b, false);
        }
        if (rc == 0) {
            rc = read_part(rd, json_object_get(block, "branch"), b, true);
        }
    }
    rd->place[0] = '\0';
    return rc;
}

/* ---- the manifest ---- */

static int read_input(struct reader *rd, json_t *root)
{
    static const char *const keys[] = {"channels", "height_px", "width_px"};
    json_t *input = json_object_get(root, "input");
    struct ei_shape *shape = &rd->program->input;
    if (!json_is_object(input)) {
        return fault(rd, "'input' is %s, {\"channels\", \"height_px\", \"width_px\"} is needed", type_name(input));
    }
    snprintf(rd->place, sizeof rd->place, "input");
    int rc = check_keys(rd, input, keys, 3);
    if (rc == 0) {
        rc = get_int(rd, input, "channels", 1, 3, &shape->channels);
    }
    if (rc == 0 && shape->channels == 2) {
        rc = fault(rd, "'channels' is 2, 1 or 3 are possible");
    }
    if (rc == 0) {
        rc = get_int(rd, input, "height_px", 1, EI_BUNDLE_SIDE_MAX_PX, &shape->height_px);
    }
    if (rc == 0) {
        rc = get_int(rd, input, "width_px", 1, EI_BUNDLE_SIDE_MAX_PX, &shape->width_px);
    }
    rd->place[0] = '\0';
    return rc;
}

static int read_norm(const struct reader *rd, json_t *root)
{
    const int32_t channels = rd->program->input.channels;
    int rc = get_floats(rd, root, "norm_mean", channels, -1e6, 1e6, rd->bundle->norm_mean);
    if (rc == 0) {
        rc = get_floats(rd, root, "norm_std", channels, -1e6, 1e6, rd->bundle->norm_std);
    }
    for (int32_t c = 0; rc == 0 && c < channels; c++) {
        if (!(rd->bundle->norm_std[c] > 0.0F)) {
            rc = fault(rd, "'norm_std' holds %g, it must be positive", (double)rd->bundle->norm_std[c]);
        }
    }
    return rc;
}

static int read_accuracy(const struct reader *rd, json_t *root)
{
    if (json_object_get(root, "exit_accuracy") == NULL) {
        for (int32_t b = 0; b < rd->program->block_count; b++) {
            rd->bundle->exit_accuracy[b] = -1.0F;
        }
        return 0;
    }
    return get_floats(rd, root, "exit_accuracy", rd->program->block_count, 0.0, 1.0, rd->bundle->exit_accuracy);
}

static int read_root(struct reader *rd, json_t *root)
{
    static const char *const keys[] = {"schema",    "name",     "dataset",       "classes",     "input",
                                       "norm_mean", "norm_std", "exit_accuracy", "trunk_slots", "blocks"};
    int32_t schema = 0;
    if (!json_is_object(root)) {
        return fault(rd, "it is %s, an object is needed", type_name(root));
    }
    int rc = check_keys(rd, root, keys, (int32_t)(sizeof keys / sizeof keys[0]));
    if (rc == 0) {
        rc = get_int(rd, root, "schema", 1, 1, &schema);
    }
    if (rc == 0) {
        rc = get_name(rd, root, "name", rd->program->name, sizeof rd->program->name);
    }
    if (rc == 0) {
        rc = get_name(rd, root, "dataset", rd->bundle->dataset, sizeof rd->bundle->dataset);
    }
    if (rc == 0) {
        rc = get_int(rd, root, "classes", 2, CLASSES_MAX, &rd->program->classes);
    }
    rd->program->trunk_slots = 1;
    if (rc == 0 && json_object_get(root, "trunk_slots") != NULL) {
        rc = get_int(rd, root, "trunk_slots", 1, EI_PROGRAM_SLOTS_MAX - 1, &rd->program->trunk_slots);
    }
    if (rc == 0) {
        rc = read_input(rd, root);
    }
    if (rc == 0) {
        rc = read_norm(rd, root);
    }
    if (rc == 0) {
        rc = read_blocks(rd, root);
    }
    return rc == 0 ? read_accuracy(rd, root) : rc;
}

static int parse(const struct reader *rd, json_t **out)
{
    struct stat status;
    json_error_t at;
    FILE *file = fopen(rd->path, "re");
    if (file == NULL) {
        return fault(rd, "cannot be opened: %s; a bundle is a folder with a " EI_BUNDLE_MANIFEST, strerror(errno));
    }
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > MANIFEST_MAX_BYTES) {
        fclose(file);
        return fault(rd, "is no file of at most %d bytes", MANIFEST_MAX_BYTES);
    }
    *out = json_loadf(file, JSON_REJECT_DUPLICATES, &at);
    fclose(file);
    return *out != NULL ? 0
                        : einet_error_set_at(rd->err, EINET_E_FILE, rd->path, at.line > 0 ? at.line : 0,
                                             at.column > 0 ? at.column : 0, "is no JSON: %.150s", at.text);
}

int ei_bundle_read(const char *dir, struct ei_bundle *out, struct einet_error *err)
{
    char path[EI_BUNDLE_PATH_MAX];
    int rc = ei_bundle_path(dir, EI_BUNDLE_MANIFEST, path, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    struct reader rd = {.path = path, .err = err, .bundle = bundle, .program = &bundle->program};
    json_t *root = NULL;
    rc = parse(&rd, &root);
    if (rc == 0) {
        rc = read_root(&rd, root);
    }
    if (rc == 0) {
        *out = *bundle;
    }
    json_decref(root);
    free(bundle);
    return rc;
}
