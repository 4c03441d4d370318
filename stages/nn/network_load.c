/* Loading a network of the zoo: weights with their metadata, the zoo's program, the backend asked for. */
#include "stages/nn/network_aten.h"
#include "stages/nn/network_dnnl.h"
#include "stages/nn/recorded.h"

#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Where parameters go to and what is said when they do not fit. */
struct loading {
    const char *network; /* for errors */
    const struct ei_param_sink *sink;
    const struct ei_safetensors *file;
    const char *path;
};

/* name: of the parameter in the file. */
static int load_param(const struct loading *l, const struct ei_param *param, int32_t idx, const char *name,
                      struct einet_error *err)
{
    const struct ei_safetensors_tensor *tensor = ei_safetensors_find(l->file, name);
    if (tensor == NULL) {
        return einet_error_set_at(err, EINET_E_MISMATCH, l->path, 0, 0, "has no tensor %s, which %s needs", name,
                                  l->network);
    }
    if (tensor->dims != param->dims ||
        memcmp(tensor->shape, param->shape, (size_t)param->dims * sizeof(int64_t)) != 0) {
        char has[96], wanted[96];
        shape_text(tensor->shape, tensor->dims, has, sizeof has);
        shape_text(param->shape, param->dims, wanted, sizeof wanted);
        return einet_error_set_at(err, EINET_E_MISMATCH, l->path, 0, 0, "%s has the shape %s, %s needs %s", name, has,
                                  l->network, wanted);
    }
    float *numbers = malloc((size_t)tensor->count * sizeof *numbers);
    if (numbers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights of %s", l->path);
    }
    ei_safetensors_to_f32(tensor, numbers);
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < tensor->count; i++) {
        if (!isfinite(numbers[i])) {
            rc = einet_error_set_at(err, EINET_E_FILE, l->path, 0, 0, "%s holds a value that is no number", name);
        }
    }
    if (rc == 0) {
        rc = l->sink->set(l->sink->context, idx, numbers, err);
    }
    free(numbers);
    return rc;
}

int ei_network_load_params(const struct ei_program *program, const struct ei_param_sink *sink,
                           const struct ei_safetensors *file, const char *path, struct einet_error *err)
{
    const struct loading l = {program->name, sink, file, path};
    const int32_t count = ei_program_param_count(program);
    struct ei_param *params = malloc((size_t)(count + 1) * sizeof *params);
    int rc = params != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a network");
    if (rc == 0) {
        ei_weights_params(program, params);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = load_param(&l, &params[i], i, params[i].name, err);
    }
    free(params);
    if (rc == 0 && ei_safetensors_count(file) != count) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "holds %d tensors, %s has %d",
                                  ei_safetensors_count(file), program->name, count);
    }
    return rc;
}

void ei_network_describe(const struct ei_program *program, struct ei_network_info *out)
{
    *out = (struct ei_network_info){
        .backend = "aten",
        .exits = program->block_count,
        .classes = program->classes,
        .channels = program->input.channels,
        .height_px = program->input.height_px,
        .width_px = program->input.width_px,
    };
    snprintf(out->name, sizeof out->name, "%s", program->name);
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_cost conv = ei_program_part_cost(program, b, false);
        const struct ei_program_cost branch = ei_program_part_cost(program, b, true);
        out->block[b] = (struct ei_network_block_info){conv.params, conv.macs, branch.params, branch.macs};
        out->exit_accuracy[b] = -1.0F;
    }
}

/* exits_held: of the network that the file was written for, of which program has all exits or the last. */
static int fill_info(struct ei_network_info *info, const struct ei_program *program, int32_t exits_held,
                     const struct ei_safetensors *file, const char *path, struct einet_error *err)
{
    float accuracy[EI_NETWORK_BLOCKS_MAX];
    ei_network_describe(program, info);
    snprintf(info->dataset, sizeof info->dataset, "%.31s", ei_safetensors_metadata(file, "dataset"));
    snprintf(info->weights_sha256, sizeof info->weights_sha256, "%s", ei_safetensors_sha256(file));
    if (exits_held >= info->exits && metadata_floats(file, "exit_accuracy", exits_held, accuracy)) {
        memcpy(info->exit_accuracy, accuracy + (exits_held - info->exits), (size_t)info->exits * sizeof *accuracy);
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

/* Load the parameters of a network from the file of another one that has them all, as a single-exit network from its
 * multi-exit one. */
static int load_params_of(const struct ei_program *program, const struct ei_program *held,
                          const struct ei_param_sink *sink, const struct ei_safetensors *file, const char *path,
                          struct einet_error *err)
{
    const struct loading l = {program->name, sink, file, path};
    const int32_t count = ei_program_param_count(program), held_count = ei_program_param_count(held);
    int32_t *from = malloc((size_t)(count + 1) * sizeof *from);
    struct ei_param *params = malloc((size_t)(count + 1) * sizeof *params);
    struct ei_param *held_params = malloc((size_t)(held_count + 1) * sizeof *held_params);
    int rc = from != NULL && params != NULL && held_params != NULL
                 ? 0
                 : einet_error_set(err, -ENOMEM, "no memory for a network");
    if (rc == 0) {
        ei_weights_params(program, params);
        ei_weights_params(held, held_params);
        rc = ei_weights_map(held, program, from, NULL) == count
                 ? 0
                 : einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "holds weights of %s, not of %s", held->name,
                                      program->name);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = load_param(&l, &params[i], i, held_params[from[i]].name, err);
    }
    free(from);
    free(params);
    free(held_params);
    return rc;
}

/* programs[0]: the network asked for; programs[1]: the one that the file was written for. */
static int find_programs(const struct ei_network_zoo_config *config, const struct ei_safetensors *file,
                         struct ei_program programs[2], struct einet_error *err)
{
    const char *held = ei_safetensors_metadata(file, "zoo");
    int32_t classes, channels;
    int rc = check_identity(config, file, &classes, &channels, err);
    if (rc == 0) {
        rc = ei_zoo_program(config->zoo, channels, classes, &programs[0], err);
    }
    if (rc == 0 && ei_zoo_program(held, channels, classes, &programs[1], NULL) != 0) {
        rc = einet_error_set_at(err, EINET_E_MISMATCH, config->weights_path, 0, 0,
                                "holds weights of %.64s, not of %.64s", held, config->zoo);
    }
    return rc;
}

struct zoo_source {
    const struct ei_program *programs; /* as of find_programs */
    const struct ei_safetensors *file;
    const char *path;
};

static int load_zoo(void *context, const struct ei_param_sink *sink, struct einet_error *err)
{
    const struct zoo_source *z = context;
    const bool is_own = strcmp(z->programs[0].name, z->programs[1].name) == 0;
    return is_own ? ei_network_load_params(&z->programs[0], sink, z->file, z->path, err)
                  : load_params_of(&z->programs[0], &z->programs[1], sink, z->file, z->path, err);
}

static int make_exec(const struct ei_torch_api *api, const struct ei_program *program,
                     const struct ei_param_source *source, struct ei_exec **out, struct einet_error *err)
{
    int rc = ei_exec_create(api, program, out, err);
    if (rc == 0) {
        rc = ei_network_aten_load(*out, source, err);
        if (rc != 0) {
            ei_exec_destroy(*out);
        }
    }
    return rc;
}

static int open_aten(const struct ei_network_zoo_config *config, const struct ei_program *program,
                     const struct ei_network_info *info, const struct ei_param_source *source, struct ei_network **out,
                     struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    struct ei_exec *exec = NULL;
    int rc = ei_torch_load(&api, err);
    if (rc == 0) {
        rc = make_exec(api, program, source, &exec, err);
    }
    return rc == 0 ? ei_network_aten_create(api, exec, info, config->threads, out, err) : rc;
}

static int open_cuda(const struct ei_network_zoo_config *config, const struct ei_program *program,
                     const struct ei_network_info *info, const struct ei_param_source *source, struct ei_network **out,
                     struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    struct ei_exec *exec = NULL;
    int rc = ei_recorded_enter(config->cuda.device_idx, &api, err);
    if (rc != 0) {
        return rc;
    }
    rc = make_exec(api, program, source, &exec, err);
    if (rc == 0) {
        rc = ei_recorded_open(api, exec, info, &config->cuda, out, err);
    }
    ei_recorded_leave(api);
    return rc;
}

static int open_file(const struct ei_network_zoo_config *config, const struct ei_safetensors *file,
                     struct ei_program programs[2], struct ei_network **out, struct einet_error *err)
{
    struct ei_network_info info;
    struct zoo_source zoo = {programs, file, config->weights_path};
    const struct ei_param_source source = {load_zoo, &zoo};
    int rc = find_programs(config, file, programs, err);
    if (rc == 0) {
        rc = fill_info(&info, &programs[0], programs[1].block_count, file, config->weights_path, err);
        info.precision = config->precision;
    }
    if (rc != 0 || config->backend == EI_NETWORK_ATEN) {
        return rc != 0 ? rc : open_aten(config, &programs[0], &info, &source, out, err);
    }
    if (config->backend == EI_NETWORK_CUDA) {
        return open_cuda(config, &programs[0], &info, &source, out, err);
    }
    struct einet_error why = {0};
    rc = ei_network_dnnl_create(&programs[0], &info, config->threads, &source, config->choice, NULL, out, &why);
    if (ei_network_may_fall_back(config->backend, rc)) {
        snprintf(info.backend_note, sizeof info.backend_note, "%.199s", why.text);
        return open_aten(config, &programs[0], &info, &source, out, err);
    }
    if (rc != 0 && err != NULL) {
        *err = why;
    }
    return rc;
}

int ei_network_open_zoo(const struct ei_network_zoo_config *config, struct ei_network **out, struct einet_error *err)
{
    struct ei_safetensors *file;
    int rc = ei_safetensors_open(config->weights_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_program *programs = malloc(2 * sizeof *programs);
    rc = programs != NULL ? open_file(config, file, programs, out, err)
                          : einet_error_set(err, -ENOMEM, "no memory for a network");
    free(programs);
    ei_safetensors_close(file);
    return rc;
}
