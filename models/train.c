/* A training run from opening to closing; see trainer.h for the parts. */
#include "models/train.h"

#include "models/train_cache.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ei_train_exec_create(const struct ei_trainer *t, const struct ei_program *program, struct ei_exec **out,
                         struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const int rc = ei_exec_create(t->api, program, out, err);
    return rc == 0 && c->attach != NULL ? c->attach(c->attach_context, t->api, *out, err) : rc;
}

static int create_buffers(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    const size_t params = (size_t)t->param_count + 1, batch = (size_t)t->config->batch;
    t->order = malloc((size_t)info->count * sizeof *t->order);
    t->input = malloc(batch * pixels * sizeof *t->input);
    t->shrunk = malloc(pixels * sizeof *t->shrunk);
    t->labels = malloc(batch * sizeof *t->labels);
    t->params = calloc(params, sizeof *t->params);
    t->first = calloc(params, sizeof(struct ei_torch_tensor *));
    t->second = calloc(params, sizeof(struct ei_torch_tensor *));
    int rc = t->order && t->input && t->shrunk && t->labels && t->params && t->first && t->second ? 0 : -ENOMEM;
    struct ei_torch_tensor **const slots[] = {&t->loss, &t->term, &t->teacher};
    for (size_t i = 0; rc == 0 && i < sizeof slots / sizeof slots[0]; i++) {
        rc = t->api->tensor_create(slots[i]);
    }
    for (int32_t b = 0; rc == 0 && b < t->program.block_count; b++) {
        rc = t->api->tensor_create(&t->logits[b]);
    }
    return rc == 0 ? 0 : einet_error_set(err, rc, "no memory for training: lower --batch");
}

/* Where each parameter belongs, and whether this run trains it. */
static void mark_params(struct ei_trainer *t)
{
    const struct ei_train_config *c = t->config;
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    for (int32_t b = 0; b < t->program.block_count; b++) {
        const bool is_kept = c->keep_last && b == t->program.block_count - 1;
        for (int part = 0; part < 2; part++) {
            for (int32_t op = 0; op < ei_program_part(&t->program, b, part != 0)->op_count; op++) {
                const int32_t count = ei_program_op_params(&t->program, b, part != 0, op, params);
                for (int32_t p = 0; p < count; p++) {
                    t->params[next++] = (struct ei_train_param){
                        .block_idx = b,
                        .branch = part != 0,
                        .is_trained = params[p].trainable && (c->train == EI_TRAIN_JOINT || (part != 0 && !is_kept))};
                }
            }
        }
    }
}

/* Whether path's folder can be written to: known before hours of work, not after. */
static int check_folder(const char *path, struct einet_error *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const int length = slash == NULL ? 0 : (int)(slash - path);
    if (length >= (int)sizeof folder) {
        return einet_error_set(err, EINET_E_USAGE, "the path of the weights is too long");
    }
    snprintf(folder, sizeof folder, "%.*s", length, path);
    if (access(slash == NULL ? "." : (length == 0 ? "/" : folder), W_OK | X_OK) != 0) {
        const int rc = -errno;
        return einet_error_set_at(err, rc, path, 0, 0, "cannot be written there: %s; make the folder first",
                                  strerror(-rc));
    }
    return 0;
}

int ei_train_checkpoint_path(const struct ei_train_config *config, char out[EI_TRAIN_PATH_MAX],
                             struct einet_error *err)
{
    const int needed = config->checkpoint_path != NULL
                           ? snprintf(out, EI_TRAIN_PATH_MAX, "%s", config->checkpoint_path)
                           : snprintf(out, EI_TRAIN_PATH_MAX, "%s.checkpoint", config->out_path);
    return needed < 0 || needed >= EI_TRAIN_PATH_MAX
               ? einet_error_set(err, EINET_E_USAGE, "the path of the checkpoint is too long")
               : 0;
}

static int find_paths(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    int rc = ei_train_checkpoint_path(c, t->checkpoint_path, err);
    rc = rc == 0 ? check_folder(c->out_path, err) : rc;
    return rc == 0 ? check_folder(t->checkpoint_path, err) : rc;
}

/* The network and what its inputs are normalized with. */
static int open_program(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    int rc = 0;
    if (c->program != NULL) {
        t->program = *c->program;
    } else {
        rc = ei_zoo_program(c->zoo, info->channels, info->classes, &t->program, err);
    }
    if (rc == 0) {
        rc = ei_train_check_program(c, &t->program, info, err);
    }
    if (rc == 0) {
        rc = ei_batch_stats(t->train, &t->stats, err);
    }
    for (int32_t i = 0; rc == 0 && c->norm_mean != NULL && i < info->channels; i++) {
        t->stats.mean[i] = c->norm_mean[i];
        t->stats.std[i] = c->norm_std[i];
    }
    return rc;
}

static int open_torch(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    int rc = ei_torch_load(&t->api, err);
    if (rc != 0) {
        return rc;
    }
    rc = t->api->device(c->device == EI_TRAIN_CUDA ? EI_TORCH_CUDA : EI_TORCH_CPU);
    if (rc != 0) {
        return einet_error_set(err, rc, "--device cuda is not possible: %s", t->api->error_text());
    }
    rc = t->api->thread_enter(EI_TORCH_TRAINING, c->threads);
    if (rc == 0) {
        rc = t->api->precision(c->bfloat16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    }
    return rc == 0 ? 0 : einet_error_set(err, rc, "libtorch: %s", t->api->error_text());
}

static int open_trainer(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    int rc = open_program(t, err);
    if (rc == 0) {
        rc = find_paths(t, err);
    }
    if (rc == 0) {
        rc = open_torch(t, err);
    }
    if (rc == 0) {
        rc = ei_train_exec_create(t, &t->program, &t->exec, err);
    }
    if (rc != 0) {
        return rc;
    }
    t->param_count = ei_exec_param_count(t->exec);
    t->group_count = 1;
    t->groups[0] = (struct ei_train_group){0, t->program.block_count};
    for (int32_t i = 0; i < EI_TRAIN_EXITS_MAX; i++) {
        t->accuracy[i] = -1.0F;
    }
    rc = create_buffers(t, err);
    if (rc == 0) {
        mark_params(t);
        rc = ei_train_init(t, err);
    }
    if (rc == 0 && c->train == EI_TRAIN_EXITS) {
        rc = ei_train_cache_create(t, err);
    }
    t->steps_per_epoch = ei_dataset_info(t->train)->count / c->batch;
    t->steps_per_group = (int64_t)t->steps_per_epoch * c->epochs;
    t->steps = t->steps_per_group * t->group_count;
    if (rc == 0 && c->resume) {
        rc = ei_checkpoint_read(t, err);
    }
    if (rc == 0 && c->on_note != NULL && t->init_text[0] != '\0') {
        c->on_note(c->context, t->init_text);
    }
    return rc;
}

static void close_trainer(struct ei_trainer *t)
{
    ei_train_cache_destroy(t);
    for (int32_t i = 0; i < t->param_count; i++) {
        if (t->first != NULL) {
            t->api->tensor_destroy(t->first[i]);
        }
        if (t->second != NULL) {
            t->api->tensor_destroy(t->second[i]);
        }
    }
    if (t->api != NULL) {
        for (int32_t b = 0; b < EI_PROGRAM_BLOCKS_MAX; b++) {
            t->api->tensor_destroy(t->logits[b]);
        }
        t->api->tensor_destroy(t->loss);
        t->api->tensor_destroy(t->term);
        t->api->tensor_destroy(t->teacher);
        (void)t->api->precision(EI_TORCH_FLOAT32);
        (void)t->api->device(EI_TORCH_CPU);
    }
    ei_exec_destroy(t->exec);
    free(t->params);
    free(t->first);
    free(t->second);
    free(t->order);
    free(t->input);
    free(t->shrunk);
    free(t->labels);
}

int ei_train_run(const struct ei_train_config *config, const struct ei_dataset *train, const struct ei_dataset *test,
                 struct ei_train_result *out_result, struct einet_error *err)
{
    int rc = ei_train_check(config, train, test, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_trainer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for training");
    }
    t->config = config;
    t->train = train;
    t->test = test;
    rc = open_trainer(t, err);
    if (rc == 0) {
        *out_result = (struct ei_train_result){.exits = t->program.block_count, .epochs = config->epochs};
        memcpy(out_result->norm_mean, t->stats.mean, sizeof out_result->norm_mean);
        memcpy(out_result->norm_std, t->stats.std, sizeof out_result->norm_std);
        rc = ei_train_loop(t, out_result, err);
        out_result->steps = t->step;
        if (rc == 0 && out_result->finished) {
            (void)unlink(t->checkpoint_path);
        }
    }
    close_trainer(t);
    free(t);
    return rc;
}

int ei_train_run_named(const struct ei_train_config *config, const char *dataset, const char *data_root,
                       struct ei_train_result *out_result, struct einet_error *err)
{
    struct ei_dataset *train = NULL, *test = NULL;
    int rc = ei_dataset_open(dataset, EI_SPLIT_TRAIN, data_root, &train, err);
    if (rc == 0) {
        rc = ei_dataset_open(dataset, EI_SPLIT_TEST, data_root, &test, err);
    }
    if (rc == 0) {
        rc = ei_train_run(config, train, test, out_result, err);
    }
    ei_dataset_destroy(test);
    ei_dataset_destroy(train);
    return rc;
}
