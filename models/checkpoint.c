/* Checkpoints: a safetensors file with the parameters (w.NAME), the optimiser's state of what is trained (m.NAME, adam:
 * v.NAME) in float32, and the position in its metadata.
 */
#include "models/trainer.h"

#include "stages/nn/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES (EI_PROGRAM_PARAM_NAME_MAX + 4)
#define FINGERPRINT_BYTES 2048
#define KINDS 3 /* w, m, v */

struct text {
    char *bytes;
    size_t used, size;
};

static void append(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int more =
        text->used < text->size ? vsnprintf(text->bytes + text->used, text->size - text->used, fmt, args) : 0;
    va_end(args);
    text->used += more > 0 ? (size_t)more : 0;
}

/* Everything that changes the numbers of a run, as "name=value " (nine digits tell any two floats apart). */
static void fingerprint_of(const struct ei_trainer *t, char *out)
{
    const struct ei_train_config *c = t->config;
    const struct ei_dataset_info *info = ei_dataset_info(t->train);
    struct text text = {out, 0, FINGERPRINT_BYTES};
    append(&text, "model=%s operations=%d dataset=%s samples=%d classes=%d train=%d optimizer=%d epochs=%d batch=%d ",
           t->program.name, t->program.op_count, info->name, info->count, info->classes, (int)c->train,
           (int)c->optimizer, c->epochs, c->batch);
    append(&text, "lr=%.9g schedule=%d warmup=%.9g momentum=%.9g nesterov=%d weight-decay=%.9g label-smoothing=%.9g ",
           (double)c->lr, (int)c->schedule, (double)c->warmup_fraction, (double)c->momentum, !c->plain_momentum,
           (double)c->weight_decay, (double)c->label_smoothing);
    for (int32_t i = 0; c->schedule == EI_TRAIN_STEP && i < c->milestones; i++) {
        append(&text, "milestone%d=%.9g factor=%.9g ", i + 1, (double)c->milestone[i], (double)c->step_factor);
    }
    append(&text, "distill=%.9g:%.9g crop-px=%d flip=%d bf16=%d device=%d seed=%" PRIu64 " ", (double)c->distill_weight,
           (double)ei_train_temperature(c), c->crop_pad_px, c->flip, c->bfloat16, (int)c->device, c->seed);
    for (int32_t i = 0; i < c->size_count; i++) {
        append(&text, "size%d=%d:%d ", i + 1, c->sizes[i].side_px, c->sizes[i].epochs);
    }
    if (c->train == EI_TRAIN_EXITS) {
        append(&text, "keep-last=%d passes=%d cache-mb=%lld ", c->keep_last, ei_train_passes(c),
               (long long)(ei_train_cache_bytes(c) >> 20));
    }
    for (int32_t i = 0; i < t->program.input.channels; i++) {
        append(&text, "norm%d=%.9g:%.9g ", i + 1, (double)t->stats.mean[i], (double)t->stats.std[i]);
    }
    for (int32_t b = 0; b < t->program.block_count; b++) {
        append(&text, "weight%d=%.9g ", b + 1, (double)ei_train_exit_weight(c, t->program.block_count, b));
    }
}

/* Name the first setting that differs. */
static int refuse_fingerprint(const struct ei_trainer *t, const char *there, const char *here, struct einet_error *err)
{
    size_t word = 0;
    for (size_t i = 0; there[i] != '\0' && there[i] == here[i]; i++) {
        word = there[i] == ' ' ? i + 1 : word;
    }
    return einet_error_set_at(err, EINET_E_MISMATCH, t->checkpoint_path, 0, 0,
                              "is of another run: it has %.*s, this one has %.*s; give the same options, or begin anew "
                              "without --resume",
                              (int)strcspn(there + word, " "), there + word, (int)strcspn(here + word, " "),
                              here + word);
}

/* NULL: this parameter has no such state. */
static struct ei_torch_tensor *tensor_of(const struct ei_trainer *t, int32_t param, int kind)
{
    struct ei_torch_tensor *of_kind[KINDS] = {ei_exec_param_tensor(t->exec, param), t->first[param], t->second[param]};
    return of_kind[kind];
}

static void name_of(const struct ei_trainer *t, int32_t param, int kind, char *out)
{
    snprintf(out, NAME_BYTES, "%c.%s", "wmv"[kind], ei_exec_param(t->exec, param) -> name);
}

static int64_t numbers_of(const struct ei_trainer *t)
{
    int64_t numbers = 0;
    for (int32_t i = 0; i < t->param_count * KINDS; i++) {
        numbers += tensor_of(t, i / KINDS, i % KINDS) != NULL ? ei_exec_param(t->exec, i / KINDS)->count : 0;
    }
    return numbers;
}

static int collect(const struct ei_trainer *t, struct ei_safetensors_entry *entries, char (*names)[NAME_BYTES],
                   float *numbers, int32_t *out_count)
{
    *out_count = 0;
    for (int32_t i = 0; i < t->param_count * KINDS; i++) {
        const struct ei_param *param = ei_exec_param(t->exec, i / KINDS);
        struct ei_torch_tensor *tensor = tensor_of(t, i / KINDS, i % KINDS);
        if (tensor == NULL) {
            continue;
        }
        const int32_t at = (*out_count)++;
        name_of(t, i / KINDS, i % KINDS, names[at]);
        entries[at] = (struct ei_safetensors_entry){
            .name = names[at], .dtype = EI_DTYPE_F32, .dims = param->dims, .data = numbers};
        memcpy(entries[at].shape, param->shape, sizeof param->shape);
        const int rc = t->api->tensor_read_f32(tensor, numbers, param->count);
        if (rc != 0) {
            return rc;
        }
        numbers += param->count;
    }
    return 0;
}

int ei_checkpoint_write(const struct ei_trainer *t, struct einet_error *err)
{
    const size_t most = (size_t)t->param_count * KINDS + 1;
    struct ei_safetensors_entry *entries = calloc(most, sizeof *entries);
    char(*names)[NAME_BYTES] = calloc(most, sizeof *names);
    float *numbers = malloc((size_t)(numbers_of(t) + 1) * sizeof *numbers);
    char fingerprint[FINGERPRINT_BYTES], step[24], loss_sum[40], spent_s[40];
    int32_t count = 0;
    int rc = entries != NULL && names != NULL && numbers != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = collect(t, entries, names, numbers, &count);
    }
    if (rc != 0) {
        ei_train_fault(t, rc, "no checkpoint could be made", err);
    } else {
        fingerprint_of(t, fingerprint);
        snprintf(step, sizeof step, "%" PRId64, t->step);
        snprintf(loss_sum, sizeof loss_sum, "%a", t->loss_sum);
        snprintf(spent_s, sizeof spent_s, "%.3f", ei_train_spent_s(t));
        const struct ei_safetensors_pair pairs[] = {
            {"kind", "einet checkpoint 2"}, {"fingerprint", fingerprint}, {"step", step},      {"loss_sum", loss_sum},
            {"init", t->init_sha256},       {"init_text", t->init_text},  {"spent_s", spent_s}};
        rc = ei_safetensors_write(t->checkpoint_path, entries, count, pairs, (int32_t)(sizeof pairs / sizeof pairs[0]),
                                  err);
    }
    free(numbers);
    free(names);
    free(entries);
    return rc;
}

static int restore(struct ei_trainer *t, const struct ei_safetensors *file, float *numbers, struct einet_error *err)
{
    for (int32_t i = 0; i < t->param_count * KINDS; i++) {
        char name[NAME_BYTES];
        struct ei_torch_tensor *to = tensor_of(t, i / KINDS, i % KINDS);
        if (to == NULL) {
            continue;
        }
        name_of(t, i / KINDS, i % KINDS, name);
        const struct ei_safetensors_tensor *tensor = ei_safetensors_find(file, name);
        if (tensor == NULL || tensor->count != ei_exec_param(t->exec, i / KINDS)->count) {
            return einet_error_set_at(err, EINET_E_MISMATCH, t->checkpoint_path, 0, 0,
                                      "has no tensor %s of the right size", name);
        }
        ei_safetensors_to_f32(tensor, numbers);
        const int rc = t->api->tensor_write_f32(to, numbers, tensor->count);
        if (rc != 0) {
            return ei_train_fault(t, rc, "the checkpoint could not be restored", err);
        }
    }
    return 0;
}

/* When initial weights are named again, they must be those of the beginning. */
static int check_init(struct ei_trainer *t, const struct ei_safetensors *file, struct einet_error *err)
{
    const char *sha256 = ei_safetensors_metadata(file, "init"), *text = ei_safetensors_metadata(file, "init_text");
    snprintf(t->init_sha256, sizeof t->init_sha256, "%s", sha256 != NULL ? sha256 : "");
    snprintf(t->init_text, sizeof t->init_text, "%s", text != NULL ? text : "");
    if (t->config->init_path == NULL || access(t->config->init_path, F_OK) != 0) {
        return 0;
    }
    struct ei_safetensors *init = NULL;
    int rc = ei_safetensors_open(t->config->init_path, &init, err);
    if (rc == 0 && strcmp(ei_safetensors_sha256(init), t->init_sha256) != 0) {
        rc = einet_error_set_at(err, EINET_E_MISMATCH, t->checkpoint_path, 0, 0,
                                "is of another run: it began from other weights than %.200s", t->config->init_path);
    }
    ei_safetensors_close(init);
    return rc;
}

int ei_checkpoint_read(struct ei_trainer *t, struct einet_error *err)
{
    struct ei_safetensors *file;
    int rc = ei_safetensors_open(t->checkpoint_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    char here[FINGERPRINT_BYTES];
    fingerprint_of(t, here);
    const char *there = ei_safetensors_metadata(file, "fingerprint");
    const char *step = ei_safetensors_metadata(file, "step"), *sum = ei_safetensors_metadata(file, "loss_sum");
    const char *spent_s = ei_safetensors_metadata(file, "spent_s"); /* NULL: of an earlier version */
    float *numbers = malloc((size_t)(numbers_of(t) + 1) * sizeof *numbers);
    const int64_t at = step != NULL ? strtoll(step, NULL, 10) : -1;
    if (there == NULL || sum == NULL || strcmp(there, here) != 0) {
        rc = refuse_fingerprint(t, there != NULL ? there : "no fingerprint", here, err);
    } else if (at < 0 || at > t->steps) {
        rc = einet_error_set_at(err, EINET_E_FILE, t->checkpoint_path, 0, 0, "has no valid step");
    } else if (numbers == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a checkpoint");
    } else {
        rc = restore(t, file, numbers, err);
    }
    if (rc == 0) {
        rc = check_init(t, file, err);
    }
    if (rc == 0) {
        t->step = at;
        t->loss_sum = strtod(sum, NULL);
        t->earlier_s = spent_s != NULL ? strtod(spent_s, NULL) : 0.0;
    }
    free(numbers);
    ei_safetensors_close(file);
    return rc;
}
