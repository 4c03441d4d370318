/* The `aten` backend: a zoo program on libtorch in fp32. Activations stay in the executor's slots between blocks, so a
 * preempted job loses nothing. Every entry into libtorch is a submit section.
 */
#include "rt/section.h"
#include "stages/nn/exec.h"
#include "stages/nn/network_backend.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct aten {
    struct ei_network net;
    const struct ei_torch_api *api;
    struct ei_exec *exec;
    struct ei_torch_tensor *input; /* [1, c, h, w], rewritten by every job */
    int64_t input_count;
    int32_t threads;
};

/* Keep what libtorch says about a failed call. */
static int faulted(struct aten *a, int rc)
{
    if (rc != 0) {
        snprintf(a->net.fault, sizeof a->net.fault, "%.250s", a->api->error_text());
    }
    return rc;
}

static int aten_thread_enter(struct ei_network *net)
{
    struct aten *a = (struct aten *)net;
    return faulted(a, a->api->thread_enter(EI_TORCH_INFERENCE, a->threads));
}

static int set_input(struct aten *a, const float *input_chw)
{
    const int rc = a->api->tensor_write_f32(a->input, input_chw, a->input_count);
    return rc != 0 ? rc : a->api->tensor_assign(ei_exec_slot(a->exec, 0), a->input);
}

static int run_branch(struct aten *a, int32_t block_idx, float *out_logits)
{
    const int rc = ei_exec_run(a->exec, block_idx, true, false);
    if (rc != 0) {
        return rc;
    }
    const struct ei_torch_tensor *logits = ei_exec_slot(a->exec, ei_exec_logits_slot(a->exec, block_idx));
    return a->api->tensor_read_f32(logits, out_logits, a->net.info.classes);
}

static int aten_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)sample_idx;
    (void)label;
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    const int rc = faulted(a, set_input(a, input_chw));
    ei_rt_submit_leave();
    return rc;
}

static int aten_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    const int rc = faulted(a, ei_exec_run(a->exec, block_idx, false, false));
    ei_rt_submit_leave();
    return rc;
}

static int aten_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    const int rc = faulted(a, run_branch(a, block_idx, out_logits));
    ei_rt_submit_leave();
    return rc;
}

static void aten_end(struct ei_network *net)
{
    ei_rt_submit_enter();
    ei_exec_clear(((struct aten *)net)->exec);
    ei_rt_submit_leave();
}

static int aten_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    int rc = set_input(a, input_chw);
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        rc = ei_exec_run(a->exec, b, false, false);
        if (rc == 0) {
            rc = run_branch(a, b, out_logits + (size_t)b * (size_t)net->info.classes);
        }
    }
    rc = faulted(a, rc);
    ei_exec_clear(a->exec);
    ei_rt_submit_leave();
    return rc;
}

static void aten_destroy(struct ei_network *net)
{
    struct aten *a = (struct aten *)net;
    ei_exec_destroy(a->exec);
    if (a->api != NULL) {
        a->api->tensor_destroy(a->input);
    }
    free(a);
}

static const struct ei_network_backend aten_backend = {
    aten_thread_enter, aten_begin, aten_run_conv, aten_run_branch, aten_end, aten_run_monolithic, aten_destroy,
};

/* ---- loading ---- */

/* A whole number of the metadata, or -1. */
static int32_t metadata_int(const struct ei_safetensors *file, const char *key)
{
    const char *text = ei_safetensors_metadata(file, key);
    char *end = NULL;
    const long value = text != NULL ? strtol(text, &end, 10) : -1;
    return text != NULL && end != text && *end == '\0' && value >= 0 && value <= INT32_MAX ? (int32_t)value : -1;
}

/* Exactly `count` numbers separated by commas. */
static bool metadata_floats(const struct ei_safetensors *file, const char *key, int32_t count, float *out)
{
    const char *text = ei_safetensors_metadata(file, key);
    for (int32_t i = 0; text != NULL && i < count; i++) {
        char *end;
        out[i] = strtof(text, &end);
        if (end == text || !isfinite(out[i]) || *end != (i + 1 < count ? ',' : '\0')) {
            return false;
        }
        text = end + 1;
    }
    return text != NULL;
}

static int check_identity(const struct ei_network_zoo_config *config, const struct ei_safetensors *file,
                          int32_t *out_classes, int32_t *out_channels, struct einet_error *err)
{
    const char *path = config->weights_path, *zoo = ei_safetensors_metadata(file, "zoo");
    const char *dataset = ei_safetensors_metadata(file, "dataset");
    *out_classes = metadata_int(file, "classes");
    *out_channels = metadata_int(file, "channels");
    if (zoo == NULL || dataset == NULL || *out_classes < 0 || *out_channels < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "has no metadata zoo, dataset, classes and channels; write it with einet train");
    }
    if (strcmp(zoo, config->zoo) != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "holds weights of %.64s, not of %.64s", zoo,
                                  config->zoo);
    }
    if (config->dataset != NULL && strcmp(dataset, config->dataset) != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "was trained on %.64s, not on %.64s", dataset,
                                  config->dataset);
    }
    if (config->classes != 0 && config->classes != *out_classes) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "has %d classes, not %d", *out_classes,
                                  config->classes);
    }
    if (config->channels != 0 && config->channels != *out_channels) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "takes %d channels, not %d", *out_channels,
                                  config->channels);
    }
    return 0;
}

static void shape_text(const int64_t *shape, int32_t dims, char *out, size_t size_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < dims && used < size_bytes; i++) {
        const int more = snprintf(out + used, size_bytes - used, "%s%lld", i > 0 ? "x" : "", (long long)shape[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

static int load_param(struct aten *a, const struct ei_safetensors *file, const char *path, int32_t idx,
                      struct einet_error *err)
{
    const struct ei_param *param = ei_exec_param(a->exec, idx);
    const struct ei_safetensors_tensor *tensor = ei_safetensors_find(file, param->name);
    if (tensor == NULL) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "has no tensor %s, which %s needs", param->name,
                                  a->net.info.name);
    }
    if (tensor->dims != param->dims ||
        memcmp(tensor->shape, param->shape, (size_t)param->dims * sizeof(int64_t)) != 0) {
        char has[96], wanted[96];
        shape_text(tensor->shape, tensor->dims, has, sizeof has);
        shape_text(param->shape, param->dims, wanted, sizeof wanted);
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "%s has the shape %s, %s needs %s", param->name,
                                  has, a->net.info.name, wanted);
    }
    float *numbers = malloc((size_t)tensor->count * sizeof *numbers);
    if (numbers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights of %s", path);
    }
    ei_safetensors_to_f32(tensor, numbers);
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < tensor->count; i++) {
        if (!isfinite(numbers[i])) {
            rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "%s holds a value that is no number", param->name);
        }
    }
    if (rc == 0) {
        rc = ei_exec_param_set(a->exec, idx, numbers, err);
    }
    free(numbers);
    return rc;
}

static int load_params(struct aten *a, const struct ei_safetensors *file, const char *path, struct einet_error *err)
{
    const int32_t count = ei_exec_param_count(a->exec);
    for (int32_t i = 0; i < count; i++) {
        const int rc = load_param(a, file, path, i, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (ei_safetensors_count(file) != count) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "holds %d tensors, %s has %d",
                                  ei_safetensors_count(file), a->net.info.name, count);
    }
    const int64_t shape[4] = {1, a->net.info.channels, a->net.info.height_px, a->net.info.width_px};
    a->input_count = shape[1] * shape[2] * shape[3];
    float *zeros = calloc((size_t)a->input_count, sizeof *zeros);
    int rc = zeros != NULL ? a->api->tensor_create(&a->input) : -ENOMEM;
    if (rc == 0) {
        rc = a->api->tensor_from_f32(a->input, zeros, shape, 4);
    }
    free(zeros);
    return rc == 0 ? 0 : einet_error_set(err, rc, "no memory for the input of %s", a->net.info.name);
}

static int fill_info(struct ei_network_info *info, const struct ei_program *program, const struct ei_safetensors *file,
                     const char *path, struct einet_error *err)
{
    snprintf(info->name, sizeof info->name, "%s", program->name);
    snprintf(info->backend, sizeof info->backend, "aten");
    snprintf(info->dataset, sizeof info->dataset, "%.31s", ei_safetensors_metadata(file, "dataset"));
    snprintf(info->weights_sha256, sizeof info->weights_sha256, "%s", ei_safetensors_sha256(file));
    info->exits = program->block_count;
    info->classes = program->classes;
    info->channels = program->input.channels;
    info->height_px = program->input.height_px;
    info->width_px = program->input.width_px;
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_cost conv = ei_program_part_cost(program, b, false);
        const struct ei_program_cost branch = ei_program_part_cost(program, b, true);
        info->block[b] = (struct ei_network_block_info){conv.params, conv.macs, branch.params, branch.macs};
    }
    if (!metadata_floats(file, "exit_accuracy", info->exits, info->exit_accuracy)) {
        for (int32_t b = 0; b < info->exits; b++) {
            info->exit_accuracy[b] = -1.0F;
        }
    }
    if (!metadata_floats(file, "norm_mean", info->channels, info->norm_mean) ||
        !metadata_floats(file, "norm_std", info->channels, info->norm_std)) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "its norm_mean or norm_std is missing or malformed");
    }
    for (int32_t c = 0; c < info->channels; c++) {
        if (info->norm_std[c] <= 0.0F) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "its norm_std must be positive");
        }
    }
    return 0;
}

static int open_file(struct aten *a, const struct ei_network_zoo_config *config, const struct ei_safetensors *file,
                     struct einet_error *err)
{
    int32_t classes, channels;
    int rc = check_identity(config, file, &classes, &channels, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_program *program = malloc(sizeof *program);
    if (program == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    rc = ei_zoo_program(config->zoo, channels, classes, program, err);
    if (rc == 0) {
        rc = fill_info(&a->net.info, program, file, config->weights_path, err);
    }
    if (rc == 0) {
        rc = ei_torch_load(&a->api, err);
    }
    if (rc == 0) {
        rc = ei_exec_create(a->api, program, &a->exec, err);
    }
    free(program);
    return rc == 0 ? load_params(a, file, config->weights_path, err) : rc;
}

int ei_network_open_zoo(const struct ei_network_zoo_config *config, struct ei_network **out, struct einet_error *err)
{
    if (config->threads < 1 || config->threads > 1024) {
        return einet_error_set(err, EINET_E_USAGE, "a network runs with 1 to 1024 threads, not %d", config->threads);
    }
    struct ei_safetensors *file;
    int rc = ei_safetensors_open(config->weights_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    struct aten *a = calloc(1, sizeof *a);
    if (a == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a network");
    } else {
        a->net.backend = &aten_backend;
        a->net.next_block = -1;
        a->threads = config->threads;
        rc = open_file(a, config, file, err);
    }
    ei_safetensors_close(file);
    if (rc != 0) {
        if (a != NULL) {
            aten_destroy(&a->net);
        }
        return rc;
    }
    *out = &a->net;
    return 0;
}
