/* The training loop. Resume is exact because every draw depends on (seed, epoch, step) only; see trainer.h. */
#include "models/train.h"

#include "models/evaluate.h"
#include "models/trainer.h"
#include "rt/clock.h"
#include "rt/random.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAM_INIT (UINT64_C(3) << 60)
#define STREAM_DROPOUT (UINT64_C(4) << 60)
#define LR_START_DIVISOR 25.0
#define LR_END_DIVISOR 1e4
#define PI 3.14159265358979323846

float ei_train_lr(const struct ei_train_config *config, int64_t step, int64_t steps)
{
    const double peak = (double)config->lr, low = peak / LR_START_DIVISOR, end = peak / LR_END_DIVISOR;
    const double rise = (double)config->warmup_fraction * (double)steps, at = (double)step;
    if (at < rise) {
        return (float)(low + (peak - low) * 0.5 * (1.0 - cos(PI * at / rise)));
    }
    const double rest = (double)steps - rise;
    return (float)(end + (peak - end) * 0.5 * (1.0 + cos(PI * (rest > 0.0 ? (at - rise) / rest : 1.0))));
}

static int check_config(const struct ei_train_config *c, const struct ei_dataset *train, const struct ei_dataset *test,
                        struct einet_error *err)
{
    const struct ei_dataset_info *a = ei_dataset_info(train), *b = ei_dataset_info(test);
    if (strcmp(a->name, b->name) != 0 || a->classes != b->classes || a->channels != b->channels) {
        return einet_error_set(err, EINET_E_MISMATCH, "the splits are of two data sets: %s and %s", a->name, b->name);
    }
    if (c->epochs < 1 || c->epochs > 10000) {
        return einet_error_set(err, EINET_E_USAGE, "epochs is %d, 1 to 10000 are possible", c->epochs);
    }
    if (c->batch < 1 || c->batch > 65536 || c->batch > a->count) {
        return einet_error_set(err, EINET_E_USAGE, "batch is %d, 1 to %d (the samples) are possible", c->batch,
                               a->count < 65536 ? a->count : 65536);
    }
    if (c->threads < 1 || c->threads > 1024) {
        return einet_error_set(err, EINET_E_USAGE, "threads is %d, 1 to 1024 are possible", c->threads);
    }
    if (!(c->lr > 0.0F && c->lr <= 100.0F) || !(c->warmup_fraction >= 0.0F && c->warmup_fraction <= 1.0F) ||
        !(c->momentum >= 0.0F && c->momentum < 1.0F) || !(c->weight_decay >= 0.0F && c->weight_decay < 1.0F) ||
        !(c->label_smoothing >= 0.0F && c->label_smoothing < 1.0F) || c->crop_pad_px < 0 || c->crop_pad_px > 16) {
        return einet_error_set(err, EINET_E_USAGE,
                               "out of range: lr in (0, 100], warm-up 0..1, momentum, weight decay and label smoothing "
                               "in [0, 1), crop 0..16");
    }
    for (int i = 0; i < EI_TRAIN_EXITS_MAX; i++) {
        if (!(c->exit_weight[i] >= 0.0F && c->exit_weight[i] <= 1000.0F)) {
            return einet_error_set(err, EINET_E_USAGE, "the weight of exit %d is outside 0..1000", i + 1);
        }
    }
    return 0;
}

static int create_buffers(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    const size_t params = (size_t)t->param_count;
    t->order = malloc((size_t)info->count * sizeof *t->order);
    t->input = malloc((size_t)t->config->batch * pixels * sizeof *t->input);
    t->labels = malloc((size_t)t->config->batch * sizeof *t->labels);
    t->first = calloc(params, sizeof(struct ei_torch_tensor *));
    t->second = calloc(params, sizeof(struct ei_torch_tensor *));
    int rc = t->order && t->input && t->labels && t->first && t->second ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < params; i++) {
        rc = t->api->tensor_create(&t->first[i]);
        if (rc == 0) {
            rc = t->api->tensor_create(&t->second[i]);
        }
    }
    if (rc == 0) {
        rc = t->api->tensor_create(&t->loss);
    }
    if (rc == 0) {
        rc = t->api->tensor_create(&t->term);
    }
    return rc == 0 ? 0 : einet_error_set(err, rc, "no memory for training: %s", t->api->error_text());
}

/* He et al. 2015 for what a ReLU follows; everything else small; normalisation starts as the identity. */
static void draw_param(const struct ei_param *param, bool is_logits, struct ei_random *rng, float *out)
{
    const double gain = is_logits ? 0.5 : 2.0;
    const double sigma = param->fan_in > 0 ? sqrt(gain / (double)param->fan_in) : 0.0;
    const bool is_one =
        param->op == EI_OP_BATCH_NORM && (param->role == EI_PARAM_WEIGHT || param->role == EI_PARAM_RUNNING_VAR);
    for (int64_t i = 0; i < param->count; i++) {
        if (param->role == EI_PARAM_WEIGHT && param->fan_in > 0) {
            out[i] = (float)(sigma * ei_random_normal(rng));
        } else {
            out[i] = is_one ? 1.0F : 0.0F;
        }
    }
}

static int init_params(struct ei_trainer *t, struct einet_error *err)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < t->param_count; i++) {
        const struct ei_param *param = ei_exec_param(t->exec, i);
        float *numbers = calloc((size_t)param->count, sizeof *numbers);
        if (numbers == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for the weights");
        }
        rc = t->api->tensor_from_f32(t->first[i], numbers, param->shape, param->dims);
        if (rc == 0) {
            rc = t->api->tensor_from_f32(t->second[i], numbers, param->shape, param->dims);
        }
        struct ei_random rng;
        ei_random_init(&rng, t->config->seed, STREAM_INIT | (uint32_t)i);
        draw_param(param, param->op == EI_OP_LINEAR && param->shape[0] == t->program.classes, &rng, numbers);
        if (rc == 0) {
            rc = ei_exec_param_set(t->exec, i, numbers, NULL);
        }
        if (rc == 0 && param->trainable) {
            rc = t->api->requires_grad(ei_exec_param_tensor(t->exec, i));
        }
        free(numbers);
    }
    return rc == 0 ? 0 : einet_error_set(err, rc, "libtorch could not hold the weights: %s", t->api->error_text());
}

static int fill_batch(struct ei_trainer *t, int32_t position)
{
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    const struct ei_batch_augment augment = {
        .crop_pad_px = t->config->crop_pad_px,
        .flip = t->config->flip,
        .enabled = t->config->crop_pad_px > 0 || t->config->flip,
        .seed = t->config->seed,
        .epoch = (int32_t)(t->step / t->steps_per_epoch),
    };
    for (int32_t i = 0; i < t->config->batch; i++) {
        const int rc = ei_batch_sample(t->train, &t->stats, &augment, t->order[position * t->config->batch + i],
                                       t->input + (size_t)i * pixels, &t->labels[i]);
        if (rc != 0) {
            return rc;
        }
    }
    const int64_t shape[4] = {t->config->batch, info->channels, info->height_px, info->width_px};
    const int rc = t->api->tensor_from_f32(ei_exec_slot(t->exec, 0), t->input, shape, 4);
    /* In NHWC order convolutions and pools of a batch take about two thirds of the time. */
    return rc == 0 ? t->api->tensor_channels_last(ei_exec_slot(t->exec, 0)) : rc;
}

float ei_train_exit_weight(const struct ei_train_config *config, int32_t exits, int32_t exit_idx)
{
    for (int32_t i = 0; i < exits; i++) {
        if (config->exit_weight[i] > 0.0F) {
            return config->exit_weight[exit_idx];
        }
    }
    return 1.0F;
}

/* Forward through every block, summing the weighted losses, then backward. */
static int forward_backward(struct ei_trainer *t, float *out_loss)
{
    const struct ei_torch_api *api = t->api;
    api->tensor_clear(t->loss);
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < t->program.block_count; b++) {
        rc = ei_exec_run(t->exec, b, false, true);
        if (rc == 0) {
            rc = ei_exec_run(t->exec, b, true, true);
        }
        if (rc == 0) {
            rc = api->cross_entropy(ei_exec_slot(t->exec, ei_exec_logits_slot(t->exec, b)), t->labels, t->config->batch,
                                    t->config->label_smoothing, t->term);
        }
        if (rc == 0) {
            const float weight = ei_train_exit_weight(t->config, t->program.block_count, b);
            rc = api->scaled_sum(t->loss, t->term, weight, t->loss);
        }
    }
    if (rc == 0) {
        rc = api->scalar_read(t->loss, out_loss);
    }
    if (rc == 0 && isfinite(*out_loss)) {
        rc = api->backward(t->loss);
    }
    return rc;
}

static int optimizer_step(struct ei_trainer *t)
{
    const struct ei_train_config *c = t->config;
    const float lr = ei_train_lr(c, t->step, t->steps);
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < t->param_count; i++) {
        const struct ei_param *param = ei_exec_param(t->exec, i);
        struct ei_torch_tensor *tensor = ei_exec_param_tensor(t->exec, i);
        const float decay = param->role == EI_PARAM_WEIGHT && param->fan_in > 0 ? c->weight_decay : 0.0F;
        if (!param->trainable) {
            continue;
        }
        if (c->optimizer == EI_TRAIN_ADAM) {
            const struct ei_torch_adam adam = {lr, 0.9F, 0.999F, 1e-8F, decay, t->step + 1};
            rc = t->api->adam_step(tensor, t->first[i], t->second[i], &adam);
        } else {
            const struct ei_torch_sgd sgd = {lr, c->momentum, decay, 1};
            rc = t->api->sgd_step(tensor, t->first[i], &sgd);
        }
    }
    return rc;
}

static int train_step(struct ei_trainer *t, struct einet_error *err)
{
    struct ei_random rng;
    float loss = 0.0F;
    ei_random_init(&rng, t->config->seed, STREAM_DROPOUT | (uint64_t)t->step);
    int rc = t->api->seed(ei_random_u64(&rng));
    if (rc == 0) {
        rc = fill_batch(t, (int32_t)(t->step % t->steps_per_epoch));
    }
    if (rc == 0) {
        rc = forward_backward(t, &loss);
    }
    if (rc == 0 && !isfinite(loss)) {
        return einet_error_set(err, EINET_E_FAULT,
                               "the loss became %g in step %lld: lower --lr; the last checkpoint is kept", (double)loss,
                               (long long)t->step + 1);
    }
    if (rc == 0) {
        rc = optimizer_step(t);
    }
    if (rc != 0) {
        return einet_error_set(err, rc, "training step %lld failed: %s", (long long)t->step + 1, t->api->error_text());
    }
    t->loss_sum += (double)loss;
    t->step++;
    return 0;
}

static void write_log(const struct ei_train_config *config, const struct ei_train_progress *p)
{
    FILE *log = config->log_path != NULL ? fopen(config->log_path, "ae") : NULL;
    if (log == NULL) {
        return;
    }
    fprintf(log, "{\"epoch\":%d,\"step\":%lld,\"loss\":%.6f,\"lr\":%.8f,\"elapsed_s\":%.1f,\"accuracy\":[", p->epoch,
            (long long)p->step, (double)p->loss, (double)p->lr, p->elapsed_s);
    for (int32_t i = 0; i < p->exits; i++) {
        fprintf(log, "%s%.4f", i > 0 ? "," : "", (double)p->accuracy[i]);
    }
    fputs("]}\n", log);
    fclose(log);
}

static int end_epoch(struct ei_trainer *t, struct ei_train_progress *p, struct einet_error *err)
{
    t->loss_sum = 0.0;
    int rc = ei_checkpoint_write(t, err);
    if (rc == 0) {
        rc = t->api->thread_enter(EI_TORCH_INFERENCE, t->config->threads);
    }
    if (rc == 0) {
        rc = ei_evaluate_exits(t->api, t->exec, t->test, &t->stats, EI_EVALUATE_BATCH_MAX, p->accuracy, err);
    }
    const int back = t->api->thread_enter(EI_TORCH_TRAINING, t->config->threads);
    p->epoch_done = true;
    if (rc == 0) {
        write_log(t->config, p);
    }
    return rc != 0 ? rc : back;
}

static int train_loop(struct ei_trainer *t, struct ei_train_result *result, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_mono begin = ei_mono_now();
    const int64_t first_step = t->step;
    int32_t shuffled_epoch = -1;
    while (t->step < t->steps) {
        const int32_t epoch = (int32_t)(t->step / t->steps_per_epoch);
        if (c->stop != NULL && *c->stop != 0) {
            return ei_checkpoint_write(t, err);
        }
        if (epoch != shuffled_epoch) {
            ei_batch_shuffle(c->seed, epoch, ei_dataset_info(t->train)->count, t->order);
            shuffled_epoch = epoch;
        }
        struct ei_train_progress p = {.epoch = epoch + 1,
                                      .epochs = c->epochs,
                                      .steps = t->steps,
                                      .exits = t->program.block_count,
                                      .lr = ei_train_lr(c, t->step, t->steps)};
        int rc = train_step(t, err);
        if (rc != 0) {
            return rc;
        }
        p.step = t->step;
        p.elapsed_s = (double)ei_mono_diff_ns(ei_mono_now(), begin) / 1e9;
        p.left_s = p.elapsed_s / (double)(t->step - first_step) * (double)(t->steps - t->step);
        p.loss = (float)(t->loss_sum / (double)((t->step - 1) % t->steps_per_epoch + 1));
        if (t->step % t->steps_per_epoch == 0) {
            rc = end_epoch(t, &p, err);
        }
        if (rc != 0) {
            return rc;
        }
        if (c->on_progress != NULL) {
            c->on_progress(c->context, &p);
        }
    }
    return ei_export_write(t, (double)ei_mono_diff_ns(ei_mono_now(), begin) / 1e9, result, err);
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

static int open_trainer(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    int rc = ei_zoo_program(c->zoo, info->channels, info->classes, &t->program, err);
    if (rc == 0 && (info->height_px != t->program.input.height_px || info->width_px != t->program.input.width_px)) {
        rc = einet_error_set(err, EINET_E_MISMATCH, "%s takes %dx%d pictures, %s has %dx%d", c->zoo,
                             t->program.input.width_px, t->program.input.height_px, info->name, info->width_px,
                             info->height_px);
    }
    if (rc == 0) {
        rc = ei_batch_stats(t->train, &t->stats, err);
    }
    if (rc == 0) {
        rc = ei_torch_load(&t->api, err);
    }
    if (rc != 0) {
        return rc;
    }
    rc = t->api->thread_enter(EI_TORCH_TRAINING, c->threads);
    if (rc == 0) {
        rc = t->api->precision(c->bfloat16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    }
    if (rc != 0) {
        return einet_error_set(err, rc, "libtorch: %s", t->api->error_text());
    }
    rc = ei_exec_create(t->api, &t->program, &t->exec, err);
    if (rc != 0) {
        return rc;
    }
    t->param_count = ei_exec_param_count(t->exec);
    t->steps_per_epoch = info->count / c->batch;
    t->steps = (int64_t)t->steps_per_epoch * c->epochs;
    const int needed = c->checkpoint_path != NULL
                           ? snprintf(t->checkpoint_path, sizeof t->checkpoint_path, "%s", c->checkpoint_path)
                           : snprintf(t->checkpoint_path, sizeof t->checkpoint_path, "%s.checkpoint", c->out_path);
    if (needed < 0 || (size_t)needed >= sizeof t->checkpoint_path) {
        return einet_error_set(err, EINET_E_USAGE, "the path of the checkpoint is too long");
    }
    rc = check_folder(c->out_path, err);
    if (rc == 0) {
        rc = check_folder(t->checkpoint_path, err);
    }
    if (rc == 0) {
        rc = create_buffers(t, err);
    }
    if (rc == 0) {
        rc = init_params(t, err);
    }
    return rc == 0 && c->resume ? ei_checkpoint_read(t, err) : rc;
}

static void close_trainer(struct ei_trainer *t)
{
    for (int32_t i = 0; i < t->param_count; i++) {
        if (t->first != NULL) {
            t->api->tensor_destroy(t->first[i]);
        }
        if (t->second != NULL) {
            t->api->tensor_destroy(t->second[i]);
        }
    }
    if (t->api != NULL) {
        t->api->tensor_destroy(t->loss);
        t->api->tensor_destroy(t->term);
        (void)t->api->precision(EI_TORCH_FLOAT32);
    }
    ei_exec_destroy(t->exec);
    free(t->first);
    free(t->second);
    free(t->order);
    free(t->input);
    free(t->labels);
}

int ei_train_run(const struct ei_train_config *config, const struct ei_dataset *train, const struct ei_dataset *test,
                 struct ei_train_result *out_result, struct einet_error *err)
{
    int rc = check_config(config, train, test, err);
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
        rc = train_loop(t, out_result, err);
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
