/* Training of a multi-exit network: all of it with one joint loss, or its exits alone on a trunk that is there already.
 *
 * The run is a function of its configuration and data alone: order, augmentation and dropout are drawn from (seed,
 * epoch, step), so a run that was interrupted and resumed ends with the same bits as one that was not (same machine,
 * same thread count). Nothing is printed; progress goes to a callback. Offline code, one thread of the caller.
 * docs/training.md explains the choices.
 */
#ifndef MODELS_TRAIN_H
#define MODELS_TRAIN_H

#include "workloads/dataset.h"

#include <signal.h>
#include <stdbool.h>

struct ei_program;
struct ei_exec;
struct ei_torch_api;

#define EI_TRAIN_EXITS_MAX 64
#define EI_TRAIN_MILESTONES_MAX 8
#define EI_TRAIN_SIZES_MAX 8
#define EI_TRAIN_SIDE_MIN_PX 8
#define EI_TRAIN_EVAL_BATCH_MAX 128

enum ei_train_optimizer { EI_TRAIN_ADAM, EI_TRAIN_SGD };

enum ei_train_mode {
    EI_TRAIN_JOINT, /* every parameter, one loss: the weighted sum of the exits' */
    EI_TRAIN_EXITS  /* the trunk stays as it is; exits learn from cached features, group by group */
};

enum ei_train_schedule {
    EI_TRAIN_ONE_CYCLE, /* up from lr/25 over the warm-up, down by a cosine to lr/10000 */
    EI_TRAIN_STEP       /* up from lr/25 over the warm-up, then lr, times factor at each milestone */
};

enum ei_train_device { EI_TRAIN_CPU, EI_TRAIN_CUDA };

struct ei_train_size {
    int32_t side_px, epochs;
};

struct ei_train_progress {
    const char *phase;             /* "joint", "exits"; "features" while the trunk fills the cache */
    int32_t group, groups;         /* of exits that are trained at once, from 1; joint: 1 of 1 */
    int32_t first_exit, last_exit; /* of the group, from 1 */
    float features_done;           /* phase "features": share 0..1 */
    int32_t epoch, epochs;         /* epoch under way, from 1, of this group */
    int64_t step, steps;           /* done of all, over all groups and epochs */
    float loss;                    /* mean loss since the epoch began */
    float lr;
    double elapsed_s, left_s; /* of this call */
    double samples_per_s;     /* of this epoch's steps, evaluation not counted */
    bool epoch_done;
    bool evaluated; /* at the end of an epoch: accuracy is of now */
    int32_t exits;
    float accuracy[EI_TRAIN_EXITS_MAX]; /* 0..1 on the test split as last measured; -1 = not yet */
};

struct ei_train_config {
    const char *zoo;                  /* "b-alexnet"; not read when program is given */
    const struct ei_program *program; /* a network that is not of the zoo, copied; NULL = zoo */
    /* Called after each executor of the program was created, before it gets its parameters: a bundle puts its
     * TorchScript parts in here. Returns 0, or a code that ends the run. NULL = none. */
    int (*attach)(void *attach_context, const struct ei_torch_api *api, struct ei_exec *exec, struct einet_error *err);
    void *attach_context;
    const float *norm_mean, *norm_std; /* [channels] on the 0..1 scale; NULL = measured on the training split */
    const char *out_path;        /* weights, .safetensors; a record with the same name and .json comes beside it */
    const char *checkpoint_path; /* NULL = out_path with ".checkpoint" appended */
    const char *init_path;       /* weights to begin from, NULL = drawn; see ei_train_run. Not read when resuming */
    const char *log_path;        /* one JSON object per epoch and line, appended; NULL = none */
    const char *command;         /* how it was called, for the record */
    enum ei_train_mode train;
    enum ei_train_optimizer optimizer;
    enum ei_train_schedule schedule;
    enum ei_train_device device;
    int32_t epochs, batch, threads;           /* exits: epochs of each group */
    float lr;                                 /* the peak of the schedule */
    float warmup_fraction;                    /* of all steps (of a group's) */
    float milestone[EI_TRAIN_MILESTONES_MAX]; /* step schedule: fractions of the run, rising */
    int32_t milestones;
    float step_factor;                              /* step schedule: lr times this at each milestone */
    float momentum;                                 /* sgd */
    bool plain_momentum;                            /* sgd: without Nesterov's look-ahead */
    float weight_decay;                             /* adam: decoupled; sgd: in the gradient */
    float label_smoothing;                          /* 0..1 */
    float exit_weight[EI_TRAIN_EXITS_MAX];          /* of each exit's loss; 0 for all = 1 each */
    float distill_weight;                           /* earlier exits also learn from the last one's answer; 0 = no */
    float distill_temperature;                      /* 0 = 3 */
    int32_t crop_pad_px;                            /* random shift; 0 = none */
    bool flip;                                      /* mirror; only where a mirrored picture keeps its class */
    struct ei_train_size sizes[EI_TRAIN_SIZES_MAX]; /* joint: pictures shrunk for so many epochs, one after the other */
    int32_t size_count;                             /* 0 = full size always */
    bool keep_last;                                 /* exits: the last exit stays as it is, too */
    int32_t passes;                                 /* exits: differently augmented copies in the cache; 0 = 2 */
    int32_t cache_mb;                               /* exits: memory for features, MiB; 0 = 4096 */
    int32_t eval_every;                             /* epochs between evaluations, the last always; 0 = 1 */
    int32_t eval_batch; /* of the final evaluation; 1 = the numbers of live inference; 0 = 1 for small networks */
    bool bfloat16;      /* operations in bfloat16, parameters and losses in float32 */
    uint64_t seed;
    bool resume; /* continue from the checkpoint, which must be there and of the same configuration */
    const volatile sig_atomic_t *stop; /* non-zero: write a checkpoint and return; NULL = never */
    void (*on_progress)(void *context, const struct ei_train_progress *progress); /* NULL = none */
    void (*on_note)(void *context, const char *text); /* one sentence: what was taken from init_path; NULL = none */
    void *context;
};

struct ei_train_result {
    bool finished; /* false: stopped, a checkpoint was written */
    int32_t exits, epochs;
    int64_t steps;
    int32_t eval_batch;                 /* that accuracy was measured with */
    float accuracy[EI_TRAIN_EXITS_MAX]; /* of the half-precision weights that were written, 0..1 on the test split */
    float norm_mean[3], norm_std[3];    /* of the network's inputs */
};

/* Train on `train`, evaluate on `test` (the same data set's two splits), write the weights.
 *
 * init_path holds weights of this network (matched by name; parameters that it does not hold are drawn) or of another
 * one of the zoo with the same trunk, NAME-classic for NAME above all (the trunk is matched parameter by parameter in
 * walking order, the last exit is taken where all its shapes agree, the rest is drawn).
 *
 * A checkpoint (weights and optimiser state in full precision) is written after every epoch and when stopped.
 * Returns 0; EINET_E_USAGE (a setting out of range or without sense, named); EINET_E_MISMATCH (splits, checkpoint or
 * initial weights do not belong together); EINET_E_FILE (a file unreadable); EINET_E_LIMIT (the cache is too small);
 * EINET_E_BACKEND (libtorch missing or failed); EINET_E_FAULT (the loss is no number); -ENOMEM; -errno (a file could
 * not be written: what was there before is kept). The last checkpoint is kept on every error. */
int ei_train_run(const struct ei_train_config *config, const struct ei_dataset *train, const struct ei_dataset *test,
                 struct ei_train_result *out_result, struct einet_error *err);

/* The same with a data set opened by name (workloads/dataset.h); data_root NULL = environment EINET_DATA, else "data".
 * Also returns what opening the data set returns. */
int ei_train_run_named(const struct ei_train_config *config, const char *dataset, const char *data_root,
                       struct ei_train_result *out_result, struct einet_error *err);

#define EI_TRAIN_PATH_MAX 4096

/* Where the record of the run goes (out_path with its ending replaced by .json), and the checkpoint. Returns 0, or
 * EINET_E_USAGE: the path is too long. */
int ei_train_record_path(const struct ei_train_config *config, char out[EI_TRAIN_PATH_MAX], struct einet_error *err);
int ei_train_checkpoint_path(const struct ei_train_config *config, char out[EI_TRAIN_PATH_MAX],
                             struct einet_error *err);

/* Learning rate of a step (from 0) of `steps` under the configuration's schedule. */
float ei_train_lr(const struct ei_train_config *config, int64_t step, int64_t steps);

#endif
