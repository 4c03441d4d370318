/* A bundle's program as manifest.json. What equals its default is left out. */
#include "stages/nn/bundle.h"
#include "stages/nn/bundle_fields.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *value_of(enum ei_bundle_type type, double value)
{
    return type == EI_BUNDLE_INT    ? json_integer((json_int_t)value)
           : type == EI_BUNDLE_BOOL ? json_boolean(value != 0.0)
                                    : json_real(value);
}

/* from_slot: where the operation would read by default; default_out: where it would write. */
static json_t *op_of(const struct ei_program *program, const struct ei_op *op, int32_t from_slot, int32_t default_out)
{
    json_t *object = json_object();
    json_object_set_new(object, "op", json_string(ei_op_kind_name(op->kind)));
    for (int32_t i = 0; i < ei_bundle_field_count; i++) {
        const struct ei_bundle_field *field = &ei_bundle_fields[i];
        if (field->kind != op->kind) {
            continue;
        }
        const double value = ei_bundle_field_get(field, op);
        /* Floats compare as floats: 0.1 and 0.1F are the same default. */
        const double absent = ei_bundle_field_default(field, op);
        const bool is_default = field->type == EI_BUNDLE_FLOAT ? (float)value == (float)absent : value == absent;
        if (field->missing == EI_BUNDLE_REQUIRED || !is_default) {
            json_object_set_new(object, field->key, value_of(field->type, value));
        }
    }
    if (op->kind == EI_OP_SCRIPT) {
        json_object_set_new(object, "file", json_string(program->scripts[op->script_idx]));
    }
    if (op->in_slot != from_slot) {
        json_object_set_new(object, "in", json_integer(op->in_slot));
    }
    if (ei_bundle_is_binary(op->kind)) {
        json_object_set_new(object, "in2", json_integer(op->in2_slot));
    }
    if (op->out_slot != default_out) {
        json_object_set_new(object, "out", json_integer(op->out_slot));
    }
    return object;
}

static json_t *part_of(const struct ei_program *program, int32_t block_idx, bool branch)
{
    const struct ei_program_part *part = ei_program_part(program, block_idx, branch);
    const struct ei_op *ops = &program->ops[part->first_op];
    const int32_t default_out = branch ? program->trunk_slots : 0;
    if (part->op_count == 1 && ops[0].kind == EI_OP_SCRIPT && ops[0].in_slot == 0 && ops[0].out_slot == default_out) {
        return json_pack("{s:s}", "script", program->scripts[ops[0].script_idx]);
    }
    json_t *layers = json_array();
    for (int32_t i = 0; i < part->op_count; i++) {
        json_array_append_new(layers, op_of(program, &ops[i], i > 0 ? ops[i - 1].out_slot : 0, default_out));
    }
    return json_pack("{s:o}", "layers", layers);
}

static json_t *reals_of(const float *values, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(array, json_real((double)values[i]));
    }
    return array;
}

static json_t *manifest_of(const struct ei_bundle *bundle)
{
    const struct ei_program *program = &bundle->program;
    json_t *blocks = json_array();
    for (int32_t b = 0; b < program->block_count; b++) {
        json_array_append_new(
            blocks, json_pack("{s:o,s:o}", "conv", part_of(program, b, false), "branch", part_of(program, b, true)));
    }
    json_t *manifest =
        json_pack("{s:i,s:s,s:s,s:i,s:{s:i,s:i,s:i},s:o,s:o}", "schema", 1, "name", program->name, "dataset",
                  bundle->dataset, "classes", program->classes, "input", "channels", program->input.channels,
                  "height_px", program->input.height_px, "width_px", program->input.width_px, "norm_mean",
                  reals_of(bundle->norm_mean, program->input.channels), "norm_std",
                  reals_of(bundle->norm_std, program->input.channels));
    bool has_accuracy = true;
    for (int32_t b = 0; b < program->block_count; b++) {
        has_accuracy = has_accuracy && bundle->exit_accuracy[b] >= 0.0F;
    }
    if (has_accuracy) {
        json_object_set_new(manifest, "exit_accuracy", reals_of(bundle->exit_accuracy, program->block_count));
    }
    if (program->trunk_slots != 1) {
        json_object_set_new(manifest, "trunk_slots", json_integer(program->trunk_slots));
    }
    json_object_set_new(manifest, "blocks", blocks);
    return manifest;
}

static int check_writable(const struct ei_bundle *bundle, struct einet_error *err)
{
    const struct ei_program *program = &bundle->program;
    bool is_ok = ei_bundle_is_name(program->name) && ei_bundle_is_name(bundle->dataset);
    for (int32_t c = 0; c < program->input.channels && c < 3; c++) {
        is_ok = is_ok && isfinite(bundle->norm_mean[c]) && isfinite(bundle->norm_std[c]) && bundle->norm_std[c] > 0.0F;
    }
    for (int32_t i = 0; i < program->script_count; i++) {
        is_ok = is_ok && ei_bundle_is_script_name(program->scripts[i]);
    }
    return is_ok ? 0
                 : einet_error_set(err, EINET_E_USAGE,
                                   "a manifest cannot hold this name, data set, file name or normalisation (%.31s, "
                                   "%.31s): letters, digits, '-', '_' and '.' make names",
                                   program->name, bundle->dataset);
}

int ei_bundle_write(const char *dir, const struct ei_bundle *bundle, struct einet_error *err)
{
    char path[EI_BUNDLE_PATH_MAX], part[EI_BUNDLE_PATH_MAX + 8];
    int rc = check_writable(bundle, err);
    if (rc == 0) {
        rc = ei_bundle_path(dir, EI_BUNDLE_MANIFEST, path, err);
    }
    if (rc != 0) {
        return rc;
    }
    snprintf(part, sizeof part, "%s.part", path);
    json_t *manifest = manifest_of(bundle);
    if (manifest == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a manifest");
    }
    FILE *file = fopen(part, "we");
    rc = file == NULL ? -errno : 0;
    if (file != NULL) {
        const bool is_written = json_dumpf(manifest, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 &&
                                fputc('\n', file) != EOF && fflush(file) == 0 && fsync(fileno(file)) == 0;
        rc = is_written ? 0 : (errno > 0 ? -errno : -EIO);
        if (fclose(file) != 0 && rc == 0) {
            rc = -errno;
        }
        if (rc == 0 && rename(part, path) != 0) {
            rc = -errno;
        }
        if (rc != 0) {
            (void)unlink(part);
        }
    }
    json_decref(manifest);
    return rc == 0 ? 0 : einet_error_set_at(err, rc, path, 0, 0, "cannot be written: %s", strerror(-rc));
}
