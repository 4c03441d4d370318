/* What a training run holds; shared by train.c (the loop), checkpoint.c and export.c. */
#ifndef MODELS_TRAINER_H
#define MODELS_TRAINER_H

#include "models/batch.h"
#include "models/train.h"
#include "stages/nn/exec.h"

struct ei_trainer {
    const struct ei_train_config *config;
    const struct ei_torch_api *api;
    const struct ei_dataset *train, *test;
    struct ei_batch_norm_stats stats;
    struct ei_program program;
    struct ei_exec *exec;
    int32_t param_count;
    struct ei_torch_tensor **first, **second; /* optimiser state of each parameter: momentum; adam's second moment */
    struct ei_torch_tensor *loss, *term;
    int32_t *order;  /* this epoch's permutation */
    float *input;    /* [batch, channels, height, width] */
    int64_t *labels; /* [batch] */
    int32_t steps_per_epoch;
    int64_t step, steps;
    double loss_sum; /* over the steps of this epoch */
    char checkpoint_path[4096];
};

/* Weight of an exit's loss: as configured, 1 when none was. */
float ei_train_exit_weight(const struct ei_train_config *config, int32_t exits, int32_t exit_idx);

/* Write or read everything that a continuation needs. Reading checks that the checkpoint is of this configuration. */
int ei_checkpoint_write(const struct ei_trainer *trainer, struct einet_error *err);
int ei_checkpoint_read(struct ei_trainer *trainer, struct einet_error *err);

/* Round the parameters to half precision, evaluate them at batch 1, write weights and record. The thread is left in
 * inference mode. */
int ei_export_write(struct ei_trainer *trainer, double elapsed_s, struct ei_train_result *result,
                    struct einet_error *err);

#endif
