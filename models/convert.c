/* Zoo weights of one network as those of another, and the training of a bundle. See convert.h. */
#include "models/convert.h"

#include "models/convert_parts.h"
#include "stages/nn/bundle.h"
#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- zoo ---- */

static int read_programs(const struct ei_convert_zoo_config *config, const struct ei_safetensors *file,
                         struct ei_program *from, struct ei_program *to, struct einet_error *err)
{
    const char *zoo = ei_safetensors_metadata(file, "zoo"), *classes = ei_safetensors_metadata(file, "classes");
    const char *channels = ei_safetensors_metadata(file, "channels");
    if (zoo == NULL || classes == NULL || channels == NULL) {
        return einet_error_set_at(err, EINET_E_FILE, config->weights_path, 0, 0,
                                  "has no metadata zoo, classes and channels; write it with einet train");
    }
    const int32_t class_count = (int32_t)strtol(classes, NULL, 10), channel_count = (int32_t)strtol(channels, NULL, 10);
    struct einet_error why = {0};
    int rc = ei_zoo_program(zoo, channel_count, class_count, from, &why);
    if (rc != 0) {
        return einet_error_set_at(err, EINET_E_FILE, config->weights_path, 0, 0, "%s", why.text);
    }
    rc = ei_zoo_program(config->to, channel_count, class_count, to, err);
    return rc;
}

/* Overwrite what the map takes from the file. */
static int take_weights(const struct ei_safetensors *file, const char *path, const struct ei_convert_weights *from,
                        const int32_t *from_of, struct ei_convert_weights *weights, struct einet_error *err)
{
    for (int32_t i = 0; i < weights->count; i++) {
        if (from_of[i] == EI_WEIGHTS_NONE) {
            continue;
        }
        const struct ei_param *param = &from->params[from_of[i]];
        const struct ei_safetensors_tensor *tensor = ei_safetensors_find(file, param->name);
        if (tensor == NULL || tensor->dims != param->dims ||
            memcmp(tensor->shape, param->shape, (size_t)param->dims * sizeof *param->shape) != 0) {
            return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "has no tensor %s of the right shape",
                                      param->name);
        }
        ei_safetensors_to_f32(tensor, weights->numbers[i]);
    }
    return 0;
}

/* The file's metadata for the new network: all but what was measured on the old one. */
static int write_zoo(const struct ei_convert_zoo_config *config, const struct ei_safetensors *file,
                     const struct ei_convert_weights *weights, struct einet_error *err)
{
    static const char *const kept[] = {"format", "dataset", "classes", "channels", "norm_mean", "norm_std"};
    struct ei_safetensors_pair pairs[8] = {{"zoo", config->to}};
    int32_t count = 1;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        const char *value = ei_safetensors_metadata(file, kept[i]);
        if (value != NULL) {
            pairs[count++] = (struct ei_safetensors_pair){kept[i], value};
        }
    }
    return ei_convert_weights_write(weights, config->out_path, pairs, count, err);
}

static int convert_zoo(const struct ei_convert_zoo_config *config, const struct ei_safetensors *file,
                       struct ei_program *from, struct ei_program *to, struct einet_error *err)
{
    struct ei_convert_weights old = {0}, weights = {0};
    int32_t *from_of = NULL;
    int rc = read_programs(config, file, from, to, err);
    if (rc == 0) {
        rc = ei_convert_weights_init(&old, from, config->seed, err);
    }
    if (rc == 0) {
        rc = ei_convert_weights_init(&weights, to, config->seed, err);
    }
    if (rc == 0) {
        from_of = calloc((size_t)weights.count + 1, sizeof *from_of);
        rc = from_of != NULL ? ei_weights_map(from, to, from_of, err)
                             : einet_error_set(err, -ENOMEM, "no memory for a conversion");
        rc = rc > 0 ? 0 : rc;
    }
    if (rc == 0) {
        rc = take_weights(file, config->weights_path, &old, from_of, &weights, err);
    }
    if (rc == 0) {
        rc = write_zoo(config, file, &weights, err);
    }
    free(from_of);
    ei_convert_weights_fini(&weights);
    ei_convert_weights_fini(&old);
    return rc;
}

int ei_convert_zoo(const struct ei_convert_zoo_config *config, struct einet_error *err)
{
    struct ei_safetensors *file;
    int rc = ei_safetensors_open(config->weights_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_program *programs = calloc(2, sizeof *programs);
    rc = programs != NULL ? convert_zoo(config, file, &programs[0], &programs[1], err)
                          : einet_error_set(err, -ENOMEM, "no memory for a conversion");
    free(programs);
    ei_safetensors_close(file);
    return rc;
}

/* ---- training of a bundle ---- */

static int attach(void *context, const struct ei_torch_api *api, struct ei_exec *exec, struct einet_error *err)
{
    return ei_bundle_load_scripts(context, api, exec, err);
}

/* Whether the last exit has anything to train. */
static bool is_last_exit_frozen(const struct ei_program *program)
{
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    const int32_t last = program->block_count - 1;
    for (int32_t i = 0; i < program->blocks[last].branch.op_count; i++) {
        if (ei_program_op_params(program, last, true, i, params) > 0) {
            return false;
        }
    }
    return true;
}

static int check_trainable(const char *dir, const struct ei_program *program, enum ei_train_mode mode,
                           struct einet_error *err)
{
    if (mode == EI_TRAIN_EXITS) {
        return program->block_count > 1
                   ? 0
                   : einet_error_set_at(err, EINET_E_USAGE, dir, 0, 0,
                                        "has one exit only, and that stays as it is: there is nothing to train");
    }
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_part *conv = &program->blocks[b].conv;
        for (int32_t i = conv->first_op; i < conv->first_op + conv->op_count; i++) {
            if (program->ops[i].kind == EI_OP_SCRIPT) {
                return einet_error_set_at(err, EINET_E_USAGE, dir, 0, 0,
                                          "block%d.conv holds %s, a TorchScript part, which cannot be trained: train "
                                          "the exits alone (--train exits)",
                                          b + 1, program->scripts[program->ops[i].script_idx]);
            }
        }
    }
    return is_last_exit_frozen(program) ? einet_error_set_at(err, EINET_E_USAGE, dir, 0, 0,
                                                             "its last exit has nothing to train: train the others "
                                                             "(--train exits)")
                                        : 0;
}

/* The program with its open shapes filled in. */
static int resolve(const char *dir, int32_t threads, struct ei_bundle *bundle, struct einet_error *err)
{
    const struct ei_torch_api *api;
    struct ei_exec *exec = NULL;
    int rc = ei_bundle_read(dir, bundle, err);
    if (rc == 0) {
        rc = ei_torch_load(&api, err);
    }
    if (rc == 0 && api->thread_enter(EI_TORCH_INFERENCE, threads) != 0) {
        rc = einet_error_set(err, EINET_E_BACKEND, "libtorch: %s", api->error_text());
    }
    if (rc == 0) {
        rc = ei_bundle_exec(dir, api, bundle, &exec, err);
    }
    ei_exec_destroy(exec);
    return rc;
}

int ei_convert_train_bundle(const char *dir, const struct ei_train_config *config, const struct ei_dataset *train,
                            const struct ei_dataset *test, struct ei_train_result *out_result, struct einet_error *err)
{
    char weights[EI_BUNDLE_PATH_MAX], folder[EI_BUNDLE_PATH_MAX];
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    int rc = resolve(dir, config->threads, bundle, err);
    if (rc == 0 && strcmp(ei_dataset_info(train)->name, bundle->dataset) != 0) {
        rc = einet_error_set_at(err, EINET_E_MISMATCH, dir, 0, 0, "is for %s, not for %s", bundle->dataset,
                                ei_dataset_info(train)->name);
    }
    if (rc == 0) {
        rc = check_trainable(dir, &bundle->program, config->train, err);
    }
    if (rc == 0) {
        rc = ei_bundle_path(dir, EI_BUNDLE_WEIGHTS, weights, err);
    }
    if (rc == 0) {
        rc = ei_bundle_path(dir, "", folder, err);
    }
    if (rc == 0) {
        struct ei_train_config own = *config;
        own.zoo = bundle->program.name;
        own.program = &bundle->program;
        own.attach = attach;
        own.attach_context = folder;
        own.init_path = weights;
        own.out_path = weights;
        own.norm_mean = bundle->norm_mean;
        own.norm_std = bundle->norm_std;
        own.keep_last = config->train == EI_TRAIN_EXITS;
        rc = ei_train_run(&own, train, test, out_result, err);
    }
    if (rc == 0 && out_result->finished) {
        memcpy(bundle->exit_accuracy, out_result->accuracy,
               sizeof *bundle->exit_accuracy * (size_t)bundle->program.block_count);
        rc = ei_bundle_write(dir, bundle, err);
    }
    free(bundle);
    return rc;
}
