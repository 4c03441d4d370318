/* Batched forward passes; the answer of an exit is its largest logit. */
#include "models/evaluate.h"

#include "stages/post/class_ops.h"

#include <errno.h>
#include <stdlib.h>

struct evaluation {
    float *input, *logits;
    int64_t labels[EI_EVALUATE_BATCH_MAX];
    int64_t correct[EI_PROGRAM_BLOCKS_MAX];
};

static int evaluate_batch(const struct ei_torch_api *api, struct ei_exec *exec, struct evaluation *e, int32_t count)
{
    const struct ei_program *program = ei_exec_program(exec);
    const int64_t shape[4] = {count, program->input.channels, program->input.height_px, program->input.width_px};
    int rc = api->tensor_from_f32(ei_exec_slot(exec, 0), e->input, shape, 4);
    if (rc == 0 && count > 1) { /* faster; one sample goes the way of live inference */
        rc = api->tensor_channels_last(ei_exec_slot(exec, 0));
    }
    for (int32_t b = 0; rc == 0 && b < program->block_count; b++) {
        rc = ei_exec_run(exec, b, false, false);
        if (rc == 0) {
            rc = ei_exec_run(exec, b, true, false);
        }
        if (rc == 0) {
            rc = api->tensor_read_f32(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), e->logits,
                                      (int64_t)count * program->classes);
        }
        for (int32_t i = 0; rc == 0 && i < count; i++) {
            e->correct[b] +=
                ei_class_argmax(e->logits + (size_t)i * (size_t)program->classes, program->classes) == e->labels[i];
        }
    }
    return rc;
}

int ei_evaluate_exits(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_dataset *dataset,
                      const struct ei_batch_norm_stats *stats, int32_t batch, float *out_accuracy,
                      struct einet_error *err)
{
    const struct ei_program *program = ei_exec_program(exec);
    const size_t pixels =
        (size_t)program->input.channels * (size_t)program->input.height_px * (size_t)program->input.width_px;
    const int32_t samples = ei_dataset_info(dataset)->count;
    const struct ei_batch_augment none = {0};
    struct evaluation e = {0};
    e.input = malloc(EI_EVALUATE_BATCH_MAX * pixels * sizeof *e.input);
    e.logits = malloc(EI_EVALUATE_BATCH_MAX * (size_t)program->classes * sizeof *e.logits);
    int rc = e.input != NULL && e.logits != NULL ? 0 : -ENOMEM;
    for (int32_t begin = 0; rc == 0 && begin < samples; begin += batch) {
        const int32_t count = samples - begin < batch ? samples - begin : batch;
        for (int32_t i = 0; rc == 0 && i < count; i++) {
            rc = ei_batch_sample(dataset, stats, &none, begin + i, e.input + (size_t)i * pixels, &e.labels[i]);
        }
        if (rc == 0) {
            rc = evaluate_batch(api, exec, &e, count);
        }
    }
    for (int32_t b = 0; rc == 0 && b < program->block_count; b++) {
        out_accuracy[b] = (float)((double)e.correct[b] / (double)samples);
    }
    ei_exec_clear(exec);
    free(e.input);
    free(e.logits);
    return rc == 0 ? 0 : einet_error_set(err, rc, "the evaluation failed: %s", api->error_text());
}
