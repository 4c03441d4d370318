/* Shape inference, parameters and cost of layer programs. */
#include "stages/nn/program.h"

#include <stdio.h>
#include <string.h>

#define CHANNELS_MAX 65536
#define SIDE_MAX_PX 16384

static const char *const op_names[] = {
    [EI_OP_CONV2D] = "conv2d",     [EI_OP_BATCH_NORM] = "batch_norm", [EI_OP_RELU] = "relu",
    [EI_OP_MAX_POOL] = "max_pool", [EI_OP_AVG_POOL] = "avg_pool",     [EI_OP_LRN] = "lrn",
    [EI_OP_LINEAR] = "linear",     [EI_OP_DROPOUT] = "dropout",       [EI_OP_FLATTEN] = "flatten",
    [EI_OP_ADD] = "add",           [EI_OP_CONCAT] = "concat",         [EI_OP_GLOBAL_AVG_POOL] = "global_avg_pool",
    [EI_OP_SCRIPT] = "script",
};

const char *ei_op_kind_name(enum ei_op_kind kind)
{
    return (unsigned)kind < (unsigned)EI_OP_KIND_COUNT ? op_names[kind] : NULL;
}

int32_t ei_op_kind_find(const char *name)
{
    for (int32_t i = 0; i < EI_OP_KIND_COUNT; i++) {
        if (strcmp(op_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Shapes of all slots while walking; channels 0 = nothing written yet. */
struct walk {
    struct ei_shape slots[EI_PROGRAM_SLOTS_MAX];
    struct ei_program *open; /* the program to fill in; NULL = check only */
    const struct ei_program_shapes *shapes;
};

static int32_t pooled_px(const struct ei_op *op, int32_t side_px)
{
    const int32_t span = side_px + 2 * op->padding_px - op->kernel_px;
    int32_t out = (op->ceil_mode ? span + op->stride_px - 1 : span) / op->stride_px + 1;
    /* As libtorch: a window must begin inside the picture or its left padding. */
    if (op->ceil_mode && (out - 1) * op->stride_px >= side_px + op->padding_px) {
        out--;
    }
    return out;
}

static bool is_window_ok(const struct ei_op *op, const struct ei_shape *in)
{
    return op->kernel_px >= 1 && op->stride_px >= 1 && op->padding_px >= 0 && op->padding_px < SIDE_MAX_PX &&
           in->height_px >= 1 && in->width_px >= 1 && in->height_px + 2 * op->padding_px >= op->kernel_px &&
           in->width_px + 2 * op->padding_px >= op->kernel_px;
}

static int64_t numbers_of(const struct ei_shape *shape)
{
    return (int64_t)shape->channels * (shape->height_px > 0 ? shape->height_px : 1) *
           (shape->width_px > 0 ? shape->width_px : 1);
}

static bool is_same_area(const struct ei_shape *a, const struct ei_shape *b)
{
    return a->height_px == b->height_px && a->width_px == b->width_px;
}

/* Result of a windowed operation, or a fault. */
static const char *walk_window(const struct ei_op *op, const struct ei_shape *in, struct ei_shape *out)
{
    if (!is_window_ok(op, in)) {
        return "its window does not fit the picture";
    }
    out->height_px = pooled_px(op, in->height_px);
    out->width_px = pooled_px(op, in->width_px);
    return NULL;
}

/* Shape of op's result from its inputs; returns the fault's text or NULL. */
static const char *walk_op(const struct ei_op *op, const struct ei_shape *in, const struct ei_shape *in2,
                           struct ei_shape *out)
{
    *out = *in;
    switch (op->kind) {
    case EI_OP_CONV2D:
        if (op->in_channels != in->channels) {
            return "its input channels differ from the tensor's";
        }
        if (op->out_channels < 1 || op->out_channels > CHANNELS_MAX || op->ceil_mode) {
            return "its output channels are out of range";
        }
        out->channels = op->out_channels;
        return walk_window(op, in, out);
    case EI_OP_MAX_POOL:
    case EI_OP_AVG_POOL:
        if (op->padding_px * 2 > op->kernel_px) {
            return "its padding is more than half its kernel";
        }
        return walk_window(op, in, out);
    case EI_OP_GLOBAL_AVG_POOL:
        out->height_px = out->width_px = 1;
        return in->height_px > 0 ? NULL : "it needs a picture";
    case EI_OP_BATCH_NORM:
        return op->in_channels == in->channels ? NULL : "its channels differ from the tensor's";
    case EI_OP_LRN:
        return in->height_px > 0 && op->lrn_size >= 1 && op->lrn_size % 2 == 1 ? NULL : "it needs a picture, odd size";
    case EI_OP_LINEAR:
        if (in->height_px != 0 || op->in_channels != in->channels) {
            return "its input features differ from the tensor's";
        }
        if (op->out_channels < 1 || op->out_channels > CHANNELS_MAX) {
            return "its output features are out of range";
        }
        out->channels = op->out_channels;
        return NULL;
    case EI_OP_FLATTEN:
        if (numbers_of(in) > INT32_MAX) {
            return "its result is too large";
        }
        *out = (struct ei_shape){.channels = (int32_t)numbers_of(in)};
        return NULL;
    case EI_OP_ADD:
        return is_same_area(in, in2) && in->channels == in2->channels ? NULL : "its two inputs differ in shape";
    case EI_OP_CONCAT:
        out->channels = in->channels + in2->channels;
        return is_same_area(in, in2) ? NULL : "its two inputs differ in height or width";
    case EI_OP_DROPOUT:
        return op->p >= 0.0F && op->p < 1.0F ? NULL : "its probability is outside 0..1";
    case EI_OP_SCRIPT:
        *out = op->script_out;
        return out->channels >= 1 && out->height_px >= 0 && out->width_px >= 0 ? NULL : "its output is not known";
    case EI_OP_RELU:
        break;
    }
    return NULL;
}

static bool is_binary(enum ei_op_kind kind)
{
    return kind == EI_OP_ADD || kind == EI_OP_CONCAT;
}

/* Whether in_channels says what the operation takes. */
static bool has_in_channels(enum ei_op_kind kind)
{
    return kind == EI_OP_CONV2D || kind == EI_OP_BATCH_NORM || kind == EI_OP_LINEAR;
}

/* Fill in what operation op_idx of the program leaves open, given its input. */
static int complete_op(struct walk *walk, int32_t block_idx, bool branch, int32_t op_idx, struct einet_error *err)
{
    struct ei_op *op = &walk->open->ops[op_idx];
    if (op->in_slot < 0 || op->in_slot >= EI_PROGRAM_SLOTS_MAX || walk->slots[op->in_slot].channels == 0) {
        return 0; /* check_op names it */
    }
    const struct ei_shape *in = &walk->slots[op->in_slot];
    if (has_in_channels(op->kind) && op->in_channels == 0) {
        op->in_channels = in->channels;
    }
    if (op->kind == EI_OP_SCRIPT && walk->shapes != NULL) {
        return walk->shapes->script_out(walk->shapes->context, block_idx, branch, op->script_idx, in, &op->script_out,
                                        err);
    }
    return 0;
}

static const char *check_op(const struct ei_program *program, const struct ei_op *op, bool branch, struct walk *walk)
{
    if ((unsigned)op->kind >= (unsigned)EI_OP_KIND_COUNT) {
        return "its kind is unknown";
    }
    if (op->in_slot < 0 || op->in_slot >= EI_PROGRAM_SLOTS_MAX || op->out_slot < 0 ||
        op->out_slot >= EI_PROGRAM_SLOTS_MAX || op->in2_slot < 0 || op->in2_slot >= EI_PROGRAM_SLOTS_MAX) {
        return "a slot is out of range";
    }
    if (op->kind == EI_OP_SCRIPT && (op->script_idx < 0 || op->script_idx >= program->script_count)) {
        return "its script is not there";
    }
    if (branch && op->out_slot < program->trunk_slots) {
        return "a branch may not write a trunk slot";
    }
    const struct ei_shape *in = &walk->slots[op->in_slot], *in2 = &walk->slots[op->in2_slot];
    if (in->channels == 0 || (is_binary(op->kind) && in2->channels == 0)) {
        return "it reads a slot that nothing was written to";
    }
    struct ei_shape out;
    const char *fault = walk_op(op, in, in2, &out);
    if (fault == NULL) {
        walk->slots[op->out_slot] = out;
    }
    return fault;
}

static int check_part(const struct ei_program *program, int32_t block_idx, bool branch, struct walk *walk,
                      struct einet_error *err)
{
    const struct ei_program_part *part = ei_program_part(program, block_idx, branch);
    const char *part_name = branch ? "branch" : "conv";
    if (part->first_op < 0 || part->op_count < (branch ? 1 : 0) || part->first_op > program->op_count ||
        part->op_count > program->op_count - part->first_op) {
        return einet_error_set(err, EINET_E_USAGE,
                               "program %s: block%d.%s has %d operations from %d on, the program has %d", program->name,
                               block_idx + 1, part_name, part->op_count, part->first_op, program->op_count);
    }
    const struct ei_op *ops = &program->ops[part->first_op];
    /* What a branch left behind is not there when the branch was skipped. */
    for (int32_t slot = program->trunk_slots; slot < EI_PROGRAM_SLOTS_MAX; slot++) {
        walk->slots[slot] = (struct ei_shape){0};
    }
    for (int32_t i = 0; i < part->op_count; i++) {
        const int rc = walk->open != NULL ? complete_op(walk, block_idx, branch, part->first_op + i, err) : 0;
        if (rc != 0) {
            return rc;
        }
        const char *fault = check_op(program, &ops[i], branch, walk);
        if (fault != NULL) {
            const char *kind = ei_op_kind_name(ops[i].kind);
            return einet_error_set(err, EINET_E_USAGE, "program %s: block%d.%s.%d (%s): %s", program->name,
                                   block_idx + 1, part_name, i, kind != NULL ? kind : "?", fault);
        }
    }
    if (branch) {
        const struct ei_shape *logits = &walk->slots[ops[part->op_count - 1].out_slot];
        if (logits->height_px != 0 || logits->channels != program->classes) {
            return einet_error_set(err, EINET_E_USAGE, "program %s: block%d.branch ends with %d numbers, not %d logits",
                                   program->name, block_idx + 1, (int)numbers_of(logits), program->classes);
        }
    }
    return 0;
}

static int check(const struct ei_program *program, struct walk *walk, struct einet_error *err)
{
    if (program->block_count < 1 || program->block_count > EI_PROGRAM_BLOCKS_MAX || program->classes < 2 ||
        program->trunk_slots < 1 || program->trunk_slots >= EI_PROGRAM_SLOTS_MAX || program->input.channels < 1 ||
        program->input.height_px < 1 || program->input.width_px < 1 || program->op_count < 1 ||
        program->op_count > EI_PROGRAM_OPS_MAX || program->script_count < 0 ||
        program->script_count > EI_PROGRAM_SCRIPTS_MAX) {
        return einet_error_set(err, EINET_E_USAGE,
                               "program %s: blocks, classes, operations, trunk slots or input out of range",
                               program->name);
    }
    walk->slots[0] = program->input;
    for (int32_t b = 0; b < program->block_count; b++) {
        int rc = check_part(program, b, false, walk, err);
        if (rc == 0) {
            rc = check_part(program, b, true, walk, err);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int ei_program_check(const struct ei_program *program, struct einet_error *err)
{
    struct walk walk = {0};
    return check(program, &walk, err);
}

int ei_program_resolve(struct ei_program *program, const struct ei_program_shapes *shapes, struct einet_error *err)
{
    struct walk walk = {.open = program, .shapes = shapes};
    return check(program, &walk, err);
}

static void add_param(struct ei_param *params, int32_t *count, const struct ei_op *op, const char *prefix,
                      const char *suffix, enum ei_param_role role, int32_t dims, const int64_t *shape)
{
    struct ei_param *param = &params[(*count)++];
    *param = (struct ei_param){.role = role, .op = op->kind, .dims = dims, .count = 1};
    snprintf(param->name, sizeof param->name, "%.32s.%.12s", prefix, suffix);
    for (int32_t i = 0; i < dims; i++) {
        param->shape[i] = shape[i];
        param->count *= shape[i];
    }
    param->trainable = role == EI_PARAM_WEIGHT || role == EI_PARAM_BIAS;
    if (op->kind == EI_OP_CONV2D) {
        param->fan_in = (int64_t)op->in_channels * op->kernel_px * op->kernel_px;
    } else if (op->kind == EI_OP_LINEAR) {
        param->fan_in = op->in_channels;
    }
}

int32_t ei_program_op_params(const struct ei_program *program, int32_t block_idx, bool branch, int32_t op_idx,
                             struct ei_param *out_params)
{
    const struct ei_op *op = &program->ops[ei_program_part(program, block_idx, branch)->first_op + op_idx];
    char prefix[40];
    snprintf(prefix, sizeof prefix, "block%d.%s.%d", block_idx + 1, branch ? "branch" : "conv", op_idx);
    int32_t count = 0;
    const int64_t in = op->in_channels, out = op->out_channels, kernel = op->kernel_px;
    switch (op->kind) {
    case EI_OP_CONV2D:
        add_param(out_params, &count, op, prefix, "weight", EI_PARAM_WEIGHT, 4,
                  (const int64_t[]){out, in, kernel, kernel});
        break;
    case EI_OP_LINEAR:
        add_param(out_params, &count, op, prefix, "weight", EI_PARAM_WEIGHT, 2, (const int64_t[]){out, in});
        break;
    case EI_OP_BATCH_NORM:
        add_param(out_params, &count, op, prefix, "weight", EI_PARAM_WEIGHT, 1, &in);
        add_param(out_params, &count, op, prefix, "bias", EI_PARAM_BIAS, 1, &in);
        add_param(out_params, &count, op, prefix, "running_mean", EI_PARAM_RUNNING_MEAN, 1, &in);
        add_param(out_params, &count, op, prefix, "running_var", EI_PARAM_RUNNING_VAR, 1, &in);
        return count;
    case EI_OP_RELU:
    case EI_OP_MAX_POOL:
    case EI_OP_AVG_POOL:
    case EI_OP_GLOBAL_AVG_POOL:
    case EI_OP_LRN:
    case EI_OP_DROPOUT:
    case EI_OP_FLATTEN:
    case EI_OP_ADD:
    case EI_OP_CONCAT:
    case EI_OP_SCRIPT:
        return 0;
    }
    if (op->bias) {
        add_param(out_params, &count, op, prefix, "bias", EI_PARAM_BIAS, 1, &out);
    }
    return count;
}

int32_t ei_program_param_count(const struct ei_program *program)
{
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t count = 0;
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int32_t i = 0; i < program->blocks[b].conv.op_count; i++) {
            count += ei_program_op_params(program, b, false, i, params);
        }
        for (int32_t i = 0; i < program->blocks[b].branch.op_count; i++) {
            count += ei_program_op_params(program, b, true, i, params);
        }
    }
    return count;
}

/* Walk one part, adding its cost. */
static struct ei_program_cost walk_cost(const struct ei_program *program, int32_t block_idx, bool branch,
                                        struct walk *walk)
{
    const struct ei_program_part *part = ei_program_part(program, block_idx, branch);
    struct ei_program_cost cost = {0};
    for (int32_t i = 0; i < part->op_count; i++) {
        const struct ei_op *op = &program->ops[part->first_op + i];
        struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
        const int32_t count = ei_program_op_params(program, block_idx, branch, i, params);
        struct ei_shape out;
        (void)walk_op(op, &walk->slots[op->in_slot], &walk->slots[op->in2_slot], &out);
        walk->slots[op->out_slot] = out;
        for (int32_t p = 0; p < count; p++) {
            cost.params += params[p].trainable ? params[p].count : 0;
        }
        if (op->kind == EI_OP_CONV2D) {
            cost.macs += params[0].count * out.height_px * out.width_px;
        } else if (op->kind == EI_OP_LINEAR) {
            cost.macs += params[0].count;
        }
    }
    return cost;
}

void ei_program_outputs(const struct ei_program *program, struct ei_shape *out)
{
    struct walk walk = {.slots = {program->input}};
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int part = 0; part < 2; part++) {
            const struct ei_program_part *ops = ei_program_part(program, b, part != 0);
            for (int32_t i = ops->first_op; i < ops->first_op + ops->op_count; i++) {
                const struct ei_op *op = &program->ops[i];
                (void)walk_op(op, &walk.slots[op->in_slot], &walk.slots[op->in2_slot], &out[i]);
                walk.slots[op->out_slot] = out[i];
            }
        }
    }
}

struct ei_program_cost ei_program_part_cost(const struct ei_program *program, int32_t block_idx, bool branch)
{
    struct walk walk = {.slots = {program->input}};
    for (int32_t b = 0; b < block_idx; b++) {
        (void)walk_cost(program, b, false, &walk);
    }
    struct ei_program_cost cost = walk_cost(program, block_idx, false, &walk);
    return branch ? walk_cost(program, block_idx, true, &walk) : cost;
}

static void append_part(const struct ei_program *from, const struct ei_program_part *part, struct ei_program *out)
{
    memcpy(&out->ops[out->op_count], &from->ops[part->first_op], (size_t)part->op_count * sizeof *out->ops);
    out->op_count += part->op_count;
}

void ei_program_single_exit(const struct ei_program *multi, struct ei_program *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%.22s-classic", multi->name);
    out->block_count = 1;
    out->classes = multi->classes;
    out->trunk_slots = multi->trunk_slots;
    out->input = multi->input;
    out->script_count = multi->script_count;
    memcpy(out->scripts, multi->scripts, sizeof out->scripts);
    for (int32_t b = 0; b < multi->block_count; b++) {
        append_part(multi, &multi->blocks[b].conv, out);
    }
    out->blocks[0].conv = (struct ei_program_part){0, out->op_count};
    out->blocks[0].branch =
        (struct ei_program_part){out->op_count, multi->blocks[multi->block_count - 1].branch.op_count};
    append_part(multi, &multi->blocks[multi->block_count - 1].branch, out);
}

void ei_program_cost(const struct ei_program *program, struct ei_program_cost *out_trunk,
                     struct ei_program_cost *out_branches)
{
    *out_trunk = (struct ei_program_cost){0};
    *out_branches = (struct ei_program_cost){0};
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_cost conv = ei_program_part_cost(program, b, false);
        const struct ei_program_cost branch = ei_program_part_cost(program, b, true);
        out_trunk->params += conv.params;
        out_trunk->macs += conv.macs;
        out_branches->params += branch.params;
        out_branches->macs += branch.macs;
    }
}
