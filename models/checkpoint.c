/* Checkpoints: a safetensors file with w.NAME, m.NAME and v.NAME in float32 and the position in its metadata. */
#include "models/trainer.h"

#include "stages/nn/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES (EI_PROGRAM_PARAM_NAME_MAX + 4)
#define FINGERPRINT_BYTES 1024
#define KINDS 3 /* w, m, v */

/* Everything that changes the numbers of a run, as text. */
static void fingerprint_of(const struct ei_trainer *trainer, char *out)
{
    const struct ei_train_config *c = trainer->config;
    const struct ei_dataset_info *info = ei_dataset_info(trainer->train);
    int used = snprintf(out, FINGERPRINT_BYTES,
                        "%s %s/%d classes %d optimizer %d epochs %d batch %d lr %a warmup %a momentum %a decay %a "
                        "smoothing %a crop %d flip %d bf16 %d seed %" PRIu64 " exits",
                        c->zoo, info->name, info->count, info->classes, (int)c->optimizer, c->epochs, c->batch,
                        (double)c->lr, (double)c->warmup_fraction, (double)c->momentum, (double)c->weight_decay,
                        (double)c->label_smoothing, c->crop_pad_px, c->flip, c->bfloat16, c->seed);
    for (int32_t b = 0; b < trainer->program.block_count && used > 0 && used < FINGERPRINT_BYTES; b++) {
        used += snprintf(out + used, (size_t)(FINGERPRINT_BYTES - used), " %a", (double)c->exit_weight[b]);
    }
}

static struct ei_torch_tensor *tensor_of(const struct ei_trainer *trainer, int32_t param, int kind)
{
    struct ei_torch_tensor *of_kind[KINDS] = {ei_exec_param_tensor(trainer->exec, param), trainer->first[param],
                                              trainer->second[param]};
    return of_kind[kind];
}

static void name_of(const struct ei_trainer *trainer, int32_t param, int kind, char *out)
{
    snprintf(out, NAME_BYTES, "%c.%s", "wmv"[kind], ei_exec_param(trainer->exec, param) -> name);
}

static int64_t numbers_of(const struct ei_trainer *trainer)
{
    int64_t numbers = 0;
    for (int32_t i = 0; i < trainer->param_count; i++) {
        numbers += ei_exec_param(trainer->exec, i)->count * KINDS;
    }
    return numbers;
}

static int collect(const struct ei_trainer *trainer, struct ei_safetensors_entry *entries, char (*names)[NAME_BYTES],
                   float *numbers)
{
    for (int32_t i = 0; i < trainer->param_count * KINDS; i++) {
        const struct ei_param *param = ei_exec_param(trainer->exec, i / KINDS);
        name_of(trainer, i / KINDS, i % KINDS, names[i]);
        entries[i] = (struct ei_safetensors_entry){
            .name = names[i], .dtype = EI_DTYPE_F32, .dims = param->dims, .data = numbers};
        memcpy(entries[i].shape, param->shape, sizeof param->shape);
        const int rc = trainer->api->tensor_read_f32(tensor_of(trainer, i / KINDS, i % KINDS), numbers, param->count);
        if (rc != 0) {
            return rc;
        }
        numbers += param->count;
    }
    return 0;
}

int ei_checkpoint_write(const struct ei_trainer *trainer, struct einet_error *err)
{
    const size_t count = (size_t)trainer->param_count * KINDS;
    struct ei_safetensors_entry *entries = calloc(count + 1, sizeof *entries);
    char(*names)[NAME_BYTES] = calloc(count + 1, sizeof *names);
    float *numbers = malloc((size_t)(numbers_of(trainer) + 1) * sizeof *numbers);
    char fingerprint[FINGERPRINT_BYTES], step[24], loss_sum[40];
    int rc = entries != NULL && names != NULL && numbers != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = collect(trainer, entries, names, numbers);
    }
    if (rc != 0) {
        einet_error_set(err, rc, "no checkpoint could be made: %s", trainer->api->error_text());
    } else {
        fingerprint_of(trainer, fingerprint);
        snprintf(step, sizeof step, "%" PRId64, trainer->step);
        snprintf(loss_sum, sizeof loss_sum, "%a", trainer->loss_sum);
        const struct ei_safetensors_pair pairs[] = {
            {"kind", "einet checkpoint 1"}, {"fingerprint", fingerprint}, {"step", step}, {"loss_sum", loss_sum}};
        rc = ei_safetensors_write(trainer->checkpoint_path, entries, (int32_t)count, pairs, 4, err);
    }
    free(numbers);
    free(names);
    free(entries);
    return rc;
}

static int restore(struct ei_trainer *trainer, const struct ei_safetensors *file, float *numbers,
                   struct einet_error *err)
{
    for (int32_t i = 0; i < trainer->param_count * KINDS; i++) {
        char name[NAME_BYTES];
        name_of(trainer, i / KINDS, i % KINDS, name);
        const struct ei_safetensors_tensor *tensor = ei_safetensors_find(file, name);
        if (tensor == NULL || tensor->count != ei_exec_param(trainer->exec, i / KINDS)->count) {
            return einet_error_set_at(err, EINET_E_MISMATCH, trainer->checkpoint_path, 0, 0,
                                      "has no tensor %s of the right size", name);
        }
        ei_safetensors_to_f32(tensor, numbers);
        const int rc = trainer->api->tensor_write_f32(tensor_of(trainer, i / KINDS, i % KINDS), numbers, tensor->count);
        if (rc != 0) {
            return einet_error_set(err, rc, "libtorch: %s", trainer->api->error_text());
        }
    }
    return 0;
}

int ei_checkpoint_read(struct ei_trainer *trainer, struct einet_error *err)
{
    struct ei_safetensors *file;
    int rc = ei_safetensors_open(trainer->checkpoint_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    char expected[FINGERPRINT_BYTES];
    fingerprint_of(trainer, expected);
    const char *fingerprint = ei_safetensors_metadata(file, "fingerprint");
    const char *step = ei_safetensors_metadata(file, "step"), *sum = ei_safetensors_metadata(file, "loss_sum");
    float *numbers = malloc((size_t)(numbers_of(trainer) + 1) * sizeof *numbers);
    const int64_t at = step != NULL ? strtoll(step, NULL, 10) : -1;
    if (fingerprint == NULL || sum == NULL || strcmp(fingerprint, expected) != 0) {
        rc = einet_error_set_at(err, EINET_E_MISMATCH, trainer->checkpoint_path, 0, 0,
                                "is of another run (%.180s); this one is: %.180s",
                                fingerprint != NULL ? fingerprint : "?", expected);
    } else if (at < 0 || at > trainer->steps) {
        rc = einet_error_set_at(err, EINET_E_FILE, trainer->checkpoint_path, 0, 0, "has no valid step");
    } else if (numbers == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a checkpoint");
    } else {
        rc = restore(trainer, file, numbers, err);
    }
    if (rc == 0) {
        trainer->step = at;
        trainer->loss_sum = strtod(sum, NULL);
    }
    free(numbers);
    ei_safetensors_close(file);
    return rc;
}
