/* What a training run holds; shared by the train*.c files, checkpoint.c and export.c.
 *
 *     train.c           opens and closes a run          train_loop.c      steps and epochs
 *     train_check.c     refuses bad settings            train_cache.c     exits on cached features
 *     train_init.c      first values of the parameters  train_progress.c  what is told
 *     train_schedule.c  learning rate and sizes
 */
#ifndef MODELS_TRAINER_H
#define MODELS_TRAINER_H

#include "models/batch.h"
#include "models/train.h"
#include "rt/clock.h"
#include "stages/nn/exec.h"

#define EI_TRAIN_STREAM_INIT (UINT64_C(3) << 60)
#define EI_TRAIN_STREAM_DROPOUT (UINT64_C(4) << 60)

struct ei_train_cache; /* train_cache.h */

/* What is known of a parameter of the executor besides its shape. */
struct ei_train_param {
    int32_t block_idx;
    bool branch;
    bool is_trained; /* in this run, by some group */
};

/* Blocks whose exits are trained at the same time. */
struct ei_train_group {
    int32_t first_block, end_block;
};

struct ei_trainer {
    const struct ei_train_config *config;
    const struct ei_torch_api *api;
    const struct ei_dataset *train, *test;
    struct ei_batch_norm_stats stats;
    struct ei_program program;
    struct ei_exec *exec;
    int32_t param_count;
    struct ei_train_param *params;
    struct ei_torch_tensor **first, **second; /* optimiser state: momentum; adam's second moment. NULL where none */
    struct ei_torch_tensor *loss, *term, *teacher;
    struct ei_torch_tensor *logits[EI_PROGRAM_BLOCKS_MAX]; /* distillation: kept until the last exit has answered */
    int32_t *order;                                        /* this epoch's permutation */
    float *input;                                          /* [batch, channels, height, width] */
    float *shrunk;                                         /* one picture before it is shrunk */
    int64_t *labels;                                       /* [batch] */
    char init_sha256[65], init_text[256];                  /* where the first values came from; "" = drawn */

    struct ei_train_group groups[EI_PROGRAM_BLOCKS_MAX];
    int32_t group_count;
    struct ei_train_cache *cache; /* exits mode */

    int32_t steps_per_epoch;
    int64_t steps_per_group;
    int64_t step, steps;
    double loss_sum; /* over the steps of this epoch */

    struct ei_mono began;
    double earlier_s;           /* that the calls before this one took, as the checkpoint says */
    int64_t first_step;         /* of this call */
    double features_s;          /* spent on caches by this call */
    int32_t groups_filled;      /* by this call */
    struct ei_mono epoch_began; /* its first step of this call */
    int64_t epoch_first_step;
    float accuracy[EI_TRAIN_EXITS_MAX]; /* as last measured; -1 = not yet */
    char checkpoint_path[EI_TRAIN_PATH_MAX];
};

/* ---- train_check.c ---- */
int ei_train_check(const struct ei_train_config *config, const struct ei_dataset *train, const struct ei_dataset *test,
                   struct einet_error *err);
/* What needs the network: weights of exits, distillation, sizes. */
int ei_train_check_program(const struct ei_train_config *config, const struct ei_program *program,
                           const struct ei_dataset_info *info, struct einet_error *err);

/* ---- train_schedule.c ---- */
/* Side of the pictures in an epoch (from 0). */
int32_t ei_train_side_px(const struct ei_train_config *config, int32_t epoch, int32_t full_px);
/* Weight of an exit's loss: as configured, 1 when none was. */
float ei_train_exit_weight(const struct ei_train_config *config, int32_t exits, int32_t exit_idx);
float ei_train_temperature(const struct ei_train_config *config);
int32_t ei_train_passes(const struct ei_train_config *config);
int64_t ei_train_cache_bytes(const struct ei_train_config *config);

/* ---- train_init.c ---- */
/* Give every parameter its first value, drawn or from init_path, and the trained ones their optimiser state. */
int ei_train_init(struct ei_trainer *trainer, struct einet_error *err);

/* ---- train_loop.c ---- */
int ei_train_loop(struct ei_trainer *trainer, struct ei_train_result *result, struct einet_error *err);
/* Add an exit's loss to trainer->loss: cross-entropy and, with a teacher's logits (else NULL), distillation. */
int ei_train_add_loss(struct ei_trainer *trainer, int32_t exit_idx, const struct ei_torch_tensor *logits,
                      const struct ei_torch_tensor *teacher);
/* Turn a code of libtorch into an error: what failed, why, and what to do when memory was short. */
int ei_train_fault(const struct ei_trainer *trainer, int rc, const char *what, struct einet_error *err);
/* Another executor of one of the run's programs, with what the caller attaches. */
int ei_train_exec_create(const struct ei_trainer *trainer, const struct ei_program *program, struct ei_exec **out,
                         struct einet_error *err);

/* ---- train_progress.c ---- */
/* Seconds that the run has taken so far, those of earlier calls included. */
double ei_train_spent_s(const struct ei_trainer *trainer);
/* Where the run is, as seen from a step, all but the loss of the epoch and whether it ended. */
void ei_train_progress_fill(const struct ei_trainer *trainer, int64_t step, struct ei_train_progress *out);
void ei_train_progress_log(const struct ei_train_config *config, const struct ei_train_progress *p);

/* ---- checkpoint.c: everything that a continuation needs. Reading checks that it is of this configuration. ---- */
int ei_checkpoint_write(const struct ei_trainer *trainer, struct einet_error *err);
int ei_checkpoint_read(struct ei_trainer *trainer, struct einet_error *err);

/* ---- export.c: round the parameters to half precision, evaluate them, write weights and record. The thread is left in
 * inference mode. ---- */
int ei_export_write(struct ei_trainer *trainer, double spent_s, struct ei_train_result *result,
                    struct einet_error *err);

#endif
