/* Training of a multi-exit network: one joint loss, the weighted sum of the exits' cross-entropies.
 *
 * The run is a function of its configuration and data alone: order, augmentation and dropout are drawn from (seed,
 * epoch, step), so a run that was interrupted and resumed ends with the same bits as one that was not (same machine,
 * same thread count). Nothing is printed; progress goes to a callback. Offline code, one thread of the caller.
 */
#ifndef MODELS_TRAIN_H
#define MODELS_TRAIN_H

#include "workloads/dataset.h"

#include <signal.h>
#include <stdbool.h>

#define EI_TRAIN_EXITS_MAX 64

enum ei_train_optimizer { EI_TRAIN_ADAM, EI_TRAIN_SGD };

struct ei_train_progress {
    int32_t epoch, epochs; /* epoch under way, from 1 */
    int64_t step, steps;   /* done of all, over all epochs */
    float loss;            /* mean joint loss since the epoch began */
    float lr;
    double elapsed_s, left_s; /* of this call */
    bool epoch_done;          /* true: accuracy is filled in */
    int32_t exits;
    float accuracy[EI_TRAIN_EXITS_MAX]; /* 0..1 on the test split */
};

struct ei_train_config {
    const char *zoo;             /* "b-alexnet" */
    const char *out_path;        /* weights, .safetensors; a record with the same name and .json comes beside it */
    const char *checkpoint_path; /* NULL = out_path with ".checkpoint" appended */
    const char *log_path;        /* one JSON object per epoch and line, appended; NULL = none */
    const char *command;         /* how it was called, for the record */
    enum ei_train_optimizer optimizer;
    int32_t epochs, batch, threads;
    float lr;              /* the peak of the one-cycle schedule */
    float warmup_fraction; /* of all steps, in which lr rises from lr/25 to lr; then it falls by a cosine to lr/10000 */
    float momentum;        /* sgd, Nesterov */
    float weight_decay;    /* adam: decoupled; sgd: in the gradient */
    float label_smoothing; /* 0..1 */
    float exit_weight[EI_TRAIN_EXITS_MAX]; /* of each exit's loss; 0 for all = 1 each */
    int32_t crop_pad_px;                   /* random shift; 0 = none */
    bool flip;                             /* mirror; only where a mirrored picture keeps its class */
    bool bfloat16;                         /* convolutions in bfloat16: faster where the processor has it */
    uint64_t seed;
    bool resume; /* continue from the checkpoint, which must be there and of the same configuration */
    const volatile sig_atomic_t *stop; /* non-zero: write a checkpoint and return; NULL = never */
    void (*on_progress)(void *context, const struct ei_train_progress *progress); /* NULL = none */
    void *context;
};

struct ei_train_result {
    bool finished; /* false: stopped, a checkpoint was written */
    int32_t exits, epochs;
    int64_t steps;
    float accuracy[EI_TRAIN_EXITS_MAX]; /* of the half-precision weights that were written, 0..1 on the test split */
};

/* Train on `train`, evaluate on `test` (the same data set's two splits), write the weights.
 *
 * A checkpoint (weights and optimiser state in full precision) is written after every epoch and when stopped.
 * Returns 0; EINET_E_USAGE (a setting out of range, named); EINET_E_MISMATCH (splits or checkpoint do not belong
 * together); EINET_E_FILE (checkpoint unreadable); EINET_E_BACKEND (libtorch missing or failed); EINET_E_FAULT (the
 * loss is no number: the last checkpoint is kept); -errno (a file could not be written: what was there before is kept).
 */
int ei_train_run(const struct ei_train_config *config, const struct ei_dataset *train, const struct ei_dataset *test,
                 struct ei_train_result *out_result, struct einet_error *err);

/* The same with a data set opened by name (workloads/dataset.h); data_root NULL = environment EINET_DATA, else "data".
 * Also returns what opening the data set returns. */
int ei_train_run_named(const struct ei_train_config *config, const char *dataset, const char *data_root,
                       struct ei_train_result *out_result, struct einet_error *err);

/* Learning rate of a step (from 0) of `steps` under the configuration's one-cycle schedule. */
float ei_train_lr(const struct ei_train_config *config, int64_t step, int64_t steps);

#endif
