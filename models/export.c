/* The outcome of a training run: half-precision weights with metadata, and a JSON record beside them. */
#include "models/evaluate.h"
#include "models/trainer.h"
#include "stages/nn/float16.h"
#include "stages/nn/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES 1024
/* A network of more multiply-accumulates than this is evaluated in batches: one by one, ten thousand samples take
 * longer than an epoch. */
#define EVAL_ALONE_MACS_MAX INT64_C(150000000)
#define EVAL_BATCH 64
#define HALF_END 65520.0F /* what is as large becomes infinity */

/* Numbers too large for half precision: deep residual networks have variances beyond it. */
static bool needs_full_precision(const float *numbers, int64_t count)
{
    for (int64_t n = 0; n < count; n++) {
        if (isfinite(numbers[n]) && fabsf(numbers[n]) >= HALF_END) {
            return true;
        }
    }
    return false;
}

/* Replace the parameters by what the file keeps of them: half precision, or all of a tensor that has numbers too large
 * for that. numbers receives them all. */
static int round_params(struct ei_trainer *t, struct ei_safetensors_entry *entries, float *numbers)
{
    for (int32_t i = 0; i < t->param_count; i++) {
        const struct ei_param *param = ei_exec_param(t->exec, i);
        entries[i] = (struct ei_safetensors_entry){
            .name = param->name, .dtype = EI_DTYPE_F16, .dims = param->dims, .data = numbers};
        memcpy(entries[i].shape, param->shape, sizeof param->shape);
        int rc = t->api->tensor_read_f32(ei_exec_param_tensor(t->exec, i), numbers, param->count);
        if (rc == 0 && needs_full_precision(numbers, param->count)) {
            entries[i].dtype = EI_DTYPE_F32;
        }
        for (int64_t n = 0; rc == 0 && entries[i].dtype == EI_DTYPE_F16 && n < param->count; n++) {
            numbers[n] = ei_float16_to_f32(ei_float16_from_f32(numbers[n]));
        }
        if (rc == 0) {
            rc = ei_exec_param_set(t->exec, i, numbers, NULL);
        }
        if (rc != 0) {
            return rc;
        }
        numbers += param->count;
    }
    return 0;
}

static void list_of(const float *values, int32_t count, char *out)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < count && used < LIST_BYTES; i++) {
        const int more = snprintf(out + used, LIST_BYTES - used, "%s%.9g", i > 0 ? "," : "", (double)values[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

static int write_weights(const struct ei_trainer *t, const struct ei_safetensors_entry *entries,
                         const struct ei_train_result *result, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    char classes[16], channels[16], seed[24], epochs[16], accuracy[LIST_BYTES], mean[LIST_BYTES], std[LIST_BYTES];
    snprintf(classes, sizeof classes, "%d", info->classes);
    snprintf(channels, sizeof channels, "%d", info->channels);
    snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    snprintf(epochs, sizeof epochs, "%d", c->epochs);
    list_of(result->accuracy, result->exits, accuracy);
    list_of(t->stats.mean, info->channels, mean);
    list_of(t->stats.std, info->channels, std);
    const struct ei_safetensors_pair pairs[] = {
        {"format", "einet weights 1"},
        {"zoo", t->program.name},
        {"dataset", info->name},
        {"classes", classes},
        {"channels", channels},
        {"seed", seed},
        {"epochs", epochs},
        {"command", c->command != NULL ? c->command : ""},
        {"exit_accuracy", accuracy},
        {"norm_mean", mean},
        {"norm_std", std},
    };
    return ei_safetensors_write(c->out_path, entries, t->param_count, pairs, (int32_t)(sizeof pairs / sizeof pairs[0]),
                                err);
}

static int32_t eval_batch_of(const struct ei_trainer *t)
{
    struct ei_program_cost trunk, branches;
    if (t->config->eval_batch > 0) {
        return t->config->eval_batch;
    }
    ei_program_cost(&t->program, &trunk, &branches);
    return trunk.macs + branches.macs <= EVAL_ALONE_MACS_MAX ? 1 : EVAL_BATCH;
}

static json_t *array_of(const float *values, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(array, json_real((double)values[i]));
    }
    return array;
}

/* Settings that not every run has. */
static int add_recipe(const struct ei_trainer *t, json_t *record)
{
    const struct ei_train_config *c = t->config;
    int failed = json_object_set_new(record, "train", json_string(c->train == EI_TRAIN_EXITS ? "exits" : "joint"));
    failed |= json_object_set_new(record, "schedule", json_string(c->schedule == EI_TRAIN_STEP ? "step" : "one-cycle"));
    failed |= json_object_set_new(record, "device", json_string(c->device == EI_TRAIN_CUDA ? "cuda" : "cpu"));
    if (c->schedule == EI_TRAIN_STEP) {
        failed |= json_object_set_new(record, "milestones", array_of(c->milestone, c->milestones));
        failed |= json_object_set_new(record, "step_factor", json_real((double)c->step_factor));
    }
    if (c->optimizer == EI_TRAIN_SGD) {
        failed |= json_object_set_new(record, "momentum", json_real((double)c->momentum));
        failed |= json_object_set_new(record, "nesterov", json_boolean(!c->plain_momentum));
    }
    if (c->distill_weight > 0.0F) {
        failed |= json_object_set_new(record, "distill_weight", json_real((double)c->distill_weight));
        failed |= json_object_set_new(record, "distill_temperature", json_real((double)ei_train_temperature(c)));
    }
    if (c->train == EI_TRAIN_EXITS) {
        failed |= json_object_set_new(record, "keep_last", json_boolean(c->keep_last));
        failed |= json_object_set_new(record, "passes", json_integer(ei_train_passes(c)));
        failed |= json_object_set_new(record, "groups", json_integer(t->group_count));
    }
    if (t->init_text[0] != '\0') {
        failed |= json_object_set_new(record, "init", json_string(t->init_text));
        failed |= json_object_set_new(record, "init_sha256", json_string(t->init_sha256));
    }
    json_t *sizes = c->size_count > 0 ? json_array() : NULL;
    for (int32_t i = 0; sizes != NULL && i < c->size_count; i++) {
        failed |= json_array_append_new(sizes, json_pack("[i,i]", c->sizes[i].side_px, c->sizes[i].epochs));
    }
    return sizes != NULL ? failed | json_object_set_new(record, "sizes", sizes) : failed;
}

int ei_train_record_path(const struct ei_train_config *config, char out[EI_TRAIN_PATH_MAX], struct einet_error *err)
{
    size_t stem = strlen(config->out_path);
    const char *ending = strrchr(config->out_path, '.');
    if (ending != NULL && strchr(ending, '/') == NULL) {
        stem = (size_t)(ending - config->out_path);
    }
    const int needed = snprintf(out, EI_TRAIN_PATH_MAX, "%.*s.json", (int)stem, config->out_path);
    return needed < 0 || needed >= EI_TRAIN_PATH_MAX
               ? einet_error_set(err, EINET_E_USAGE, "the path of the training record is too long")
               : 0;
}

static int write_record(const struct ei_trainer *t, double spent_s, const struct ei_train_result *result,
                        struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    char path[EI_TRAIN_PATH_MAX], part[EI_TRAIN_PATH_MAX + 8];
    const int told = ei_train_record_path(c, path, err);
    if (told != 0) {
        return told;
    }
    snprintf(part, sizeof part, "%s.part", path);
    float weights[EI_TRAIN_EXITS_MAX];
    for (int32_t i = 0; i < result->exits; i++) {
        weights[i] = ei_train_exit_weight(c, result->exits, i);
    }
    json_t *record = json_pack(
        "{s:i,s:s,s:s,s:i,s:i,s:i,s:i,s:s,s:f,s:f,s:f,s:f,s:i,s:b,s:b,s:I,s:i,s:I,s:f,s:s,s:s,s:o,s:i,s:o,s:o,s:o}",
        "schema", 2, "zoo", t->program.name, "dataset", info->name, "train_samples", info->count, "test_samples",
        ei_dataset_info(t->test)->count, "epochs", c->epochs, "batch", c->batch, "optimizer",
        c->optimizer == EI_TRAIN_ADAM ? "adam" : "sgd", "lr", (double)c->lr, "warmup_fraction",
        (double)c->warmup_fraction, "weight_decay", (double)c->weight_decay, "label_smoothing",
        (double)c->label_smoothing, "crop_pad_px", c->crop_pad_px, "flip", c->flip, "bfloat16", c->bfloat16, "seed",
        (json_int_t)c->seed, "threads", c->threads, "steps", (json_int_t)t->step, "elapsed_s", spent_s, "libtorch",
        t->api->version, "command", c->command != NULL ? c->command : "", "exit_weight",
        array_of(weights, result->exits), "accuracy_batch", result->eval_batch, "exit_accuracy",
        array_of(result->accuracy, result->exits), "norm_mean", array_of(t->stats.mean, info->channels), "norm_std",
        array_of(t->stats.std, info->channels));
    if (record != NULL && add_recipe(t, record) != 0) {
        json_decref(record);
        record = NULL;
    }
    if (record == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the training record");
    }
    int rc = json_dump_file(record, part, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 ? 0 : -EIO;
    if (rc == 0 && rename(part, path) != 0) {
        rc = -errno;
    }
    json_decref(record);
    return rc == 0 ? 0 : einet_error_set_at(err, rc, path, 0, 0, "cannot be written: %s", strerror(-rc));
}

int ei_export_write(struct ei_trainer *t, double spent_s, struct ei_train_result *result, struct einet_error *err)
{
    int64_t total = 1;
    for (int32_t i = 0; i < t->param_count; i++) {
        total += ei_exec_param(t->exec, i)->count;
    }
    float *numbers = malloc((size_t)total * sizeof *numbers);
    struct ei_safetensors_entry *entries = calloc((size_t)t->param_count + 1, sizeof *entries);
    int rc = numbers != NULL && entries != NULL ? 0 : -ENOMEM;
    result->eval_batch = eval_batch_of(t);
    if (rc == 0) {
        rc = t->api->precision(EI_TORCH_FLOAT32);
    }
    if (rc == 0) {
        rc = t->api->thread_enter(EI_TORCH_INFERENCE, result->eval_batch > 1 ? t->config->threads : 1);
    }
    if (rc == 0) {
        rc = round_params(t, entries, numbers);
    }
    if (rc != 0) {
        ei_train_fault(t, rc, "the weights could not be collected", err);
    } else {
        rc = ei_evaluate_exits(t->api, t->exec, t->test, &t->stats, result->eval_batch, result->accuracy, err);
    }
    if (rc == 0) {
        rc = write_weights(t, entries, result, err);
    }
    if (rc == 0) {
        rc = write_record(t, spent_s, result, err);
    }
    result->finished = rc == 0;
    free(entries);
    free(numbers);
    return rc;
}
