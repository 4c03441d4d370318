/* Steps and epochs. Resume is exact because every draw depends on (seed, epoch, step) only; see trainer.h. */
#include "models/evaluate.h"
#include "models/train_cache.h"
#include "rt/random.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int ei_train_fault(const struct ei_trainer *t, int rc, const char *what, struct einet_error *err)
{
    const char *text = t->api != NULL ? t->api->error_text() : "";
    if (rc == -ENOMEM || strstr(text, "allocate memory") != NULL || strstr(text, "out of memory") != NULL) {
        return einet_error_set(err, -ENOMEM,
                               "%s, there is not enough memory: lower --batch%s; the last checkpoint, if any, is kept",
                               what, t->config->train == EI_TRAIN_EXITS ? " or --cache-mb" : "");
    }
    return einet_error_set(err, rc, "%s: %s", what, text[0] != '\0' ? text : einet_error_text(rc));
}

static int read_batch(struct ei_trainer *t, const int32_t *samples, int32_t epoch, int32_t side_px,
                      struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    const bool is_shrunk = side_px != info->width_px;
    const size_t pixels = (size_t)info->channels * (size_t)side_px * (size_t)side_px;
    const struct ei_batch_augment augment = {.crop_pad_px = c->crop_pad_px,
                                             .flip = c->flip,
                                             .enabled = c->crop_pad_px > 0 || c->flip,
                                             .seed = c->seed,
                                             .epoch = epoch};
    for (int32_t i = 0; i < c->batch; i++) {
        float *to = t->input + (size_t)i * pixels;
        const int rc =
            ei_batch_sample(t->train, &t->stats, &augment, samples[i], is_shrunk ? t->shrunk : to, &t->labels[i]);
        if (rc != 0 || t->labels[i] < 0 || t->labels[i] >= info->classes) {
            return einet_error_set(err, EINET_E_MISMATCH, "sample %d of %s cannot be used: label %lld of %d classes",
                                   samples[i], info->name, rc == 0 ? (long long)t->labels[i] : -1LL, info->classes);
        }
        if (is_shrunk) {
            ei_batch_shrink(t->shrunk, info->channels, info->width_px, side_px, to);
        }
    }
    return 0;
}

/* What cached features have no pictures for. */
static int read_labels(struct ei_trainer *t, const int32_t *samples, struct einet_error *err)
{
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    for (int32_t i = 0; i < t->config->batch; i++) {
        struct einet_image image;
        int32_t label = -1;
        if (ei_dataset_sample(t->train, samples[i], &image, &label) != 0 || label < 0 || label >= info->classes) {
            return einet_error_set(err, EINET_E_MISMATCH, "sample %d of %s cannot be used: label %d of %d classes",
                                   samples[i], info->name, label, info->classes);
        }
        t->labels[i] = label;
    }
    return 0;
}

static int set_input(struct ei_trainer *t, int32_t side_px)
{
    const int64_t shape[4] = {t->config->batch, t->program.input.channels, side_px, side_px};
    const int rc = t->api->tensor_from_f32(ei_exec_slot(t->exec, 0), t->input, shape, 4);
    /* In NHWC order convolutions and pools of a batch take about two thirds of the time. */
    return rc == 0 ? t->api->tensor_channels_last(ei_exec_slot(t->exec, 0)) : rc;
}

int ei_train_add_loss(struct ei_trainer *t, int32_t exit_idx, const struct ei_torch_tensor *logits,
                      const struct ei_torch_tensor *teacher)
{
    const struct ei_train_config *c = t->config;
    const float weight = ei_train_exit_weight(c, t->program.block_count, exit_idx);
    int rc = t->api->cross_entropy(logits, t->labels, c->batch, c->label_smoothing, t->term);
    if (rc == 0) {
        rc = t->api->scaled_sum(t->loss, t->term, weight, t->loss);
    }
    if (rc == 0 && teacher != NULL) {
        rc = t->api->distill(logits, teacher, ei_train_temperature(c), t->term);
    }
    if (rc == 0 && teacher != NULL) {
        rc = t->api->scaled_sum(t->loss, t->term, weight * c->distill_weight, t->loss);
    }
    return rc;
}

/* Forward through every block; the losses are summed when the last exit, which may teach, has answered. */
static int joint_loss(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_torch_api *api = t->api;
    const int32_t last = t->program.block_count - 1;
    int rc = 0;
    api->tensor_clear(t->loss);
    for (int32_t b = 0; rc == 0 && b <= last; b++) {
        rc = ei_exec_run(t->exec, b, false, true);
        if (rc == 0) {
            rc = ei_exec_run(t->exec, b, true, true);
        }
        if (rc == 0) {
            rc = api->tensor_assign(t->logits[b], ei_exec_slot(t->exec, ei_exec_logits_slot(t->exec, b)));
        }
    }
    for (int32_t b = 0; rc == 0 && b <= last; b++) {
        const bool is_taught = t->config->distill_weight > 0.0F && b < last;
        rc = ei_train_add_loss(t, b, t->logits[b], is_taught ? t->logits[last] : NULL);
    }
    for (int32_t b = 0; b <= last; b++) {
        api->tensor_clear(t->logits[b]);
    }
    return rc == 0 ? 0 : ei_train_fault(t, rc, "a step of the training failed", err);
}

/* The parameters that this step moves. */
static bool is_moved(const struct ei_trainer *t, int32_t param, const struct ei_train_group *group)
{
    const struct ei_train_param *of = &t->params[param];
    return of->is_trained && (t->config->train == EI_TRAIN_JOINT ||
                              (of->block_idx >= group->first_block && of->block_idx < group->end_block));
}

static int optimizer_step(struct ei_trainer *t)
{
    const struct ei_train_config *c = t->config;
    const struct ei_train_group *group = &t->groups[t->step / t->steps_per_group];
    const int64_t in_group = t->step % t->steps_per_group;
    const float lr = ei_train_lr(c, in_group, t->steps_per_group);
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < t->param_count; i++) {
        const struct ei_param *param = ei_exec_param(t->exec, i);
        struct ei_torch_tensor *tensor = ei_exec_param_tensor(t->exec, i);
        const float decay = param->role == EI_PARAM_WEIGHT && param->fan_in > 0 ? c->weight_decay : 0.0F;
        if (!is_moved(t, i, group)) {
            continue;
        }
        if (c->optimizer == EI_TRAIN_ADAM) {
            const struct ei_torch_adam adam = {lr, 0.9F, 0.999F, 1e-8F, decay, in_group + 1};
            rc = t->api->adam_step(tensor, t->first[i], t->second[i], &adam);
        } else {
            const struct ei_torch_sgd sgd = {lr, c->momentum, decay, c->plain_momentum ? 0 : 1};
            rc = t->api->sgd_step(tensor, t->first[i], &sgd);
        }
    }
    return rc;
}

/* The loss of the step's batch, in t->loss. */
static int forward(struct ei_trainer *t, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    const int32_t epoch = (int32_t)(t->step % t->steps_per_group / t->steps_per_epoch);
    const int32_t *samples = t->order + t->step % t->steps_per_epoch * c->batch;
    if (c->train == EI_TRAIN_EXITS) {
        const int rc = read_labels(t, samples, err);
        return rc == 0 ? ei_train_cache_loss(t, epoch % ei_train_passes(c), samples, err) : rc;
    }
    const int32_t side_px = ei_train_side_px(c, epoch, t->program.input.width_px);
    int rc = read_batch(t, samples, epoch, side_px, err);
    if (rc != 0) {
        return rc;
    }
    rc = set_input(t, side_px);
    return rc == 0 ? joint_loss(t, err) : ei_train_fault(t, rc, "a batch could not be set", err);
}

static int train_step(struct ei_trainer *t, struct einet_error *err)
{
    struct ei_random rng;
    float loss = 0.0F;
    ei_random_init(&rng, t->config->seed, EI_TRAIN_STREAM_DROPOUT | (uint64_t)t->step);
    int rc = t->api->seed(ei_random_u64(&rng));
    if (rc != 0) {
        return ei_train_fault(t, rc, "the generator could not be seeded", err);
    }
    rc = forward(t, err);
    if (rc != 0) {
        return rc;
    }
    rc = t->api->scalar_read(t->loss, &loss);
    if (rc == 0 && !isfinite(loss)) {
        return einet_error_set(err, EINET_E_FAULT,
                               "the loss became %g in step %lld: lower --lr; the last checkpoint is kept", (double)loss,
                               (long long)t->step + 1);
    }
    if (rc == 0) {
        rc = t->api->backward(t->loss);
    }
    if (rc == 0) {
        rc = optimizer_step(t);
    }
    if (rc != 0) {
        return ei_train_fault(t, rc, "the backward pass of a step failed", err);
    }
    t->loss_sum += (double)loss;
    t->step++;
    return 0;
}

static int evaluate(struct ei_trainer *t, struct einet_error *err)
{
    int rc = t->api->thread_enter(EI_TORCH_INFERENCE, t->config->threads);
    if (rc != 0) {
        return ei_train_fault(t, rc, "the evaluation failed", err);
    }
    rc = t->config->train == EI_TRAIN_EXITS
             ? ei_train_cache_evaluate(t, t->accuracy, err)
             : ei_evaluate_exits(t->api, t->exec, t->test, &t->stats, EI_EVALUATE_BATCH_MAX, t->accuracy, err);
    const int back = t->api->thread_enter(EI_TORCH_TRAINING, t->config->threads);
    return rc == 0 && back != 0 ? ei_train_fault(t, back, "the evaluation failed", err) : rc;
}

/* A checkpoint first: whatever the evaluation does, the epoch is not lost. */
static int end_epoch(struct ei_trainer *t, struct ei_train_progress *p, struct einet_error *err)
{
    const int32_t every = t->config->eval_every > 0 ? t->config->eval_every : 1;
    t->loss_sum = 0.0;
    int rc = ei_checkpoint_write(t, err);
    p->epoch_done = true;
    p->evaluated = p->epoch % every == 0 || p->epoch == p->epochs;
    if (rc == 0 && p->evaluated) {
        rc = evaluate(t, err);
        for (int32_t i = 0; i < p->exits; i++) {
            p->accuracy[i] = t->accuracy[i];
        }
    }
    if (rc == 0) {
        ei_train_progress_log(t->config, p);
    }
    t->epoch_began = ei_mono_now();
    t->epoch_first_step = t->step;
    return rc;
}

/* Before a step: features of its group, order of its epoch. Returns 0, 1 (stopped), or an error. */
static int prepare_step(struct ei_trainer *t, int64_t *io_shuffled_epoch, struct einet_error *err)
{
    const int32_t group = (int32_t)(t->step / t->steps_per_group);
    const int64_t epoch = t->step / t->steps_per_epoch;
    if (t->config->stop != NULL && *t->config->stop != 0) {
        return 1;
    }
    if (t->cache != NULL && ei_train_cache_group(t) != group) {
        const int rc = ei_train_cache_fill(t, group, err);
        if (rc != 0) {
            return rc;
        }
        t->epoch_began = ei_mono_now();
    }
    if (epoch != *io_shuffled_epoch) {
        ei_batch_shuffle(t->config->seed, (int32_t)epoch, ei_dataset_info(t->train)->count, t->order);
        *io_shuffled_epoch = epoch;
    }
    return 0;
}

int ei_train_loop(struct ei_trainer *t, struct ei_train_result *result, struct einet_error *err)
{
    const struct ei_train_config *c = t->config;
    int64_t shuffled_epoch = -1;
    t->began = t->epoch_began = ei_mono_now();
    t->first_step = t->epoch_first_step = t->step;
    while (t->step < t->steps) {
        int rc = prepare_step(t, &shuffled_epoch, err);
        if (rc != 0) {
            return rc == 1 ? ei_checkpoint_write(t, err) : rc;
        }
        rc = train_step(t, err);
        if (rc != 0) {
            return rc;
        }
        struct ei_train_progress p;
        ei_train_progress_fill(t, t->step - 1, &p);
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
    return ei_export_write(t, ei_train_spent_s(t), result, err);
}
