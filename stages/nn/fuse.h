/* A layer program as fused steps over values: what a backend with prepared primitives runs.
 *
 * Slots become values, each written once. Batch norms that follow a convolution or linear layer are folded into it, a
 * following ReLU and a residual addition become part of it, dropout and flatten disappear. Steps stay in walking order
 * (conv part 1, branch 1, conv part 2, ...) and every value that a later part reads says so, so that any branch may be
 * left out or repeated. Pure values, no allocation.
 */
#ifndef STAGES_NN_FUSE_H
#define STAGES_NN_FUSE_H

#include "stages/nn/program.h"

#include <einet/error.h>

/* The input, and one value an operation. */
#define EI_FUSED_VALUES_MAX (EI_PROGRAM_OPS_MAX + 1)
#define EI_FUSED_PARTS_MAX (2 * EI_PROGRAM_BLOCKS_MAX)

struct ei_fused_value {
    struct ei_shape picture; /* what is in memory: a flattened picture keeps its height and width */
    int32_t part;            /* that writes it; -1 = the input */
    int32_t last_step;       /* that needs it; in a branch the branch's last one, since branches may be repeated */
};

struct ei_fused_step {
    int32_t op_idx;   /* of the program: never dropout or flatten */
    int32_t norm_idx; /* batch norm folded into it; -1 = none */
    int32_t part;
    int32_t in, in2, out; /* values; in2 of add, concat and with has_sum, else -1 */
    bool is_foreign;      /* the whole part, ei_fused.foreign says what of; op_idx is its first, in and out are -1 */
    bool has_relu;        /* applied last */
    bool has_sum;         /* conv2d: in2 is added before the ReLU */
    bool may_overwrite;   /* has_sum: nobody needs in2 after it, its memory may become the result's; concat: in's */
};

/* A part that somebody else runs, as one step: the trunk values that it reads, and those that it leaves behind, of a
 * branch its logits. */
struct ei_fused_foreign {
    int32_t in_count, out_count;
    int32_t ins[EI_PROGRAM_SLOTS_MAX], in_slots[EI_PROGRAM_SLOTS_MAX];
    struct ei_shape in_shapes[EI_PROGRAM_SLOTS_MAX]; /* as the program sees them: features where they were flattened */
    int32_t outs[EI_PROGRAM_SLOTS_MAX], out_slots[EI_PROGRAM_SLOTS_MAX];
};

struct ei_fused {
    int32_t value_count, step_count;
    struct ei_fused_value values[EI_FUSED_VALUES_MAX]; /* 0: the input */
    struct ei_fused_step steps[EI_PROGRAM_OPS_MAX];
    struct ei_program_part parts[EI_FUSED_PARTS_MAX]; /* runs of steps; ei_fused_part */
    int32_t logits[EI_PROGRAM_BLOCKS_MAX];            /* value of each branch */
    struct ei_fused_foreign foreign[EI_FUSED_PARTS_MAX];
    int32_t refused_part; /* after EINET_E_USAGE: which part cannot be steps; else -1 */
};

/* Index of a block's conv part or branch in parts. */
static inline int32_t ei_fused_part(int32_t block_idx, bool branch)
{
    return 2 * block_idx + (branch ? 1 : 0);
}

/* Fuse a checked program. Returns 0, or EINET_E_USAGE naming the first operation that steps cannot express: script, a
 * batch norm of a flattened picture, the sum of one and features, an average over windows that leave the picture. */
int ei_fuse(const struct ei_program *program, struct ei_fused *out, struct einet_error *err);

/* The same around parts that somebody else runs: each becomes one foreign step, whatever it holds. is_foreign:
 * [EI_FUSED_PARTS_MAX], by ei_fused_part; NULL = none. */
int ei_fuse_around(const struct ei_program *program, const bool *is_foreign, struct ei_fused *out,
                   struct einet_error *err);

#endif
