/* A multi-exit network as data: per block a conv part and a branch (exit), each a list of operations over numbered
 * tensor slots.
 *
 * Slots 0 .. trunk_slots-1 carry the trunk from block to block; slot 0 holds the input before block 1. Conv parts read
 * and write any slot; branches read the trunk and write only the slots behind it, so that leaving a branch out changes
 * nothing. A branch's last operation writes the logits. Parameters are named "block1.conv.0.weight": block from 1,
 * part, index of the operation. Pure values, no allocation; a checked program is immutable and any thread may read it.
 */
#ifndef STAGES_NN_PROGRAM_H
#define STAGES_NN_PROGRAM_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_PROGRAM_BLOCKS_MAX 64
#define EI_PROGRAM_OPS_MAX 2048 /* of the whole program */
#define EI_PROGRAM_SLOTS_MAX 16
#define EI_PROGRAM_PARAM_NAME_MAX 48
#define EI_PROGRAM_PARAMS_PER_OP_MAX 4
#define EI_PROGRAM_SCRIPTS_MAX 256
#define EI_PROGRAM_SCRIPT_FILE_MAX 64

enum ei_op_kind {
    EI_OP_CONV2D,     /* weight [out, in, k, k], bias [out] */
    EI_OP_BATCH_NORM, /* weight, bias, running_mean, running_var: [in] */
    EI_OP_RELU,
    EI_OP_MAX_POOL,
    EI_OP_AVG_POOL,
    EI_OP_GLOBAL_AVG_POOL, /* [c, h, w] -> [c, 1, 1] */
    EI_OP_LRN,
    EI_OP_LINEAR,  /* weight [out, in], bias [out]; input [in], flattened before */
    EI_OP_DROPOUT, /* identity in inference */
    EI_OP_FLATTEN,
    EI_OP_ADD,    /* in + in2 */
    EI_OP_CONCAT, /* in, in2 along the channels */
    EI_OP_SCRIPT  /* a TorchScript module, one tensor in, one out; its weights are its own and never trained */
};

#define EI_OP_KIND_COUNT ((int32_t)EI_OP_SCRIPT + 1)

/* Shape of one sample in a slot: features only (height and width 0) after a flatten. */
struct ei_shape {
    int32_t channels, height_px, width_px;
};

struct ei_op {
    enum ei_op_kind kind;
    int32_t in_slot, in2_slot, out_slot; /* in2 of add and concat only */
    int32_t in_channels, out_channels;   /* conv2d, batch_norm (in), linear (features) */
    int32_t kernel_px, stride_px, padding_px;
    bool bias;
    bool ceil_mode; /* pools: round the output size up */
    float p;        /* dropout */
    float lrn_alpha, lrn_beta, lrn_k;
    int32_t lrn_size;
    float eps, momentum; /* batch_norm */
    int32_t script_idx;         /* script: which of the program's */
    struct ei_shape script_out; /* script: shape of its result, found by running it (ei_program_resolve) */
};

/* A run of the program's operations. */
struct ei_program_part {
    int32_t first_op, op_count;
};

struct ei_program_block {
    struct ei_program_part conv, branch;
};

struct ei_program {
    char name[32];
    int32_t block_count, classes, trunk_slots;
    struct ei_shape input;
    struct ei_program_block blocks[EI_PROGRAM_BLOCKS_MAX];
    int32_t op_count;
    struct ei_op ops[EI_PROGRAM_OPS_MAX];
    int32_t script_count;
    char scripts[EI_PROGRAM_SCRIPTS_MAX][EI_PROGRAM_SCRIPT_FILE_MAX]; /* file names inside the bundle's folder */
};

enum ei_param_role { EI_PARAM_WEIGHT, EI_PARAM_BIAS, EI_PARAM_RUNNING_MEAN, EI_PARAM_RUNNING_VAR };

struct ei_param {
    char name[EI_PROGRAM_PARAM_NAME_MAX];
    enum ei_param_role role;
    enum ei_op_kind op;
    int32_t dims;
    int64_t shape[4];
    int64_t count;  /* product of shape */
    int64_t fan_in; /* inputs of one output value, for initialisation; 0 where it has no meaning */
    bool trainable; /* false: running statistics */
};

struct ei_program_cost {
    int64_t params; /* trainable numbers */
    int64_t macs;   /* multiply-accumulates of convolutions and linear layers at batch 1; biases not counted */
};

/* A block's conv part or branch. */
static inline const struct ei_program_part *ei_program_part(const struct ei_program *program, int32_t block_idx,
                                                            bool branch)
{
    const struct ei_program_block *block = &program->blocks[block_idx];
    return branch ? &block->branch : &block->conv;
}

/* Check a program by walking shapes through it. Returns 0 or EINET_E_USAGE, naming block, part and operation. */
int ei_program_check(const struct ei_program *program, struct einet_error *err);

/* Finds the shape of a script's result; an error it returns ends the walk. */
struct ei_program_shapes {
    int (*script_out)(void *context, int32_t block_idx, bool branch, int32_t script_idx, const struct ei_shape *in,
                      struct ei_shape *out, struct einet_error *err);
    void *context;
};

/* Fill in what a description may leave open and check the program: the input channels of conv2d, batch_norm and linear
 * where they are 0, and the result of each script. shapes may be NULL: what is there is taken. Returns like
 * ei_program_check, or what shapes returned. */
int ei_program_resolve(struct ei_program *program, const struct ei_program_shapes *shapes, struct einet_error *err);

/* Shape of each operation's result in a checked program; out: [op_count]. */
void ei_program_outputs(const struct ei_program *program, struct ei_shape *out);

/* Name of a kind, "conv2d"; NULL for none. The kind of a name; -1 for none. */
const char *ei_op_kind_name(enum ei_op_kind kind);
int32_t ei_op_kind_find(const char *name);

/* Parameters of one operation, in their fixed order; out_params: [EI_PROGRAM_PARAMS_PER_OP_MAX]. Returns the number.
 * block_idx and op_idx from 0. */
int32_t ei_program_op_params(const struct ei_program *program, int32_t block_idx, bool branch, int32_t op_idx,
                             struct ei_param *out_params);

/* Number of parameters of the whole program, in walking order: block by block, conv part then branch. */
int32_t ei_program_param_count(const struct ei_program *program);

/* Cost of one part of a checked program. */
struct ei_program_cost ei_program_part_cost(const struct ei_program *program, int32_t block_idx, bool branch);

/* The network that a multi-exit program grew from: one block whose conv part is all conv parts, and the last exit. Its
 * parameters are those of the trunk in the same order, then those of the last branch. out may not be multi. */
void ei_program_single_exit(const struct ei_program *multi, struct ei_program *out);

/* Sums over the program: the trunk is every conv part. */
void ei_program_cost(const struct ei_program *program, struct ei_program_cost *out_trunk,
                     struct ei_program_cost *out_branches);

#endif
