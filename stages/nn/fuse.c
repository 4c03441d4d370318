/* Three passes: slots to values, operations into the one before them, steps with their lifetimes. */
#include "stages/nn/fuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An operation on its way to become a step. */
struct node {
    struct ei_fused_step step;
    bool is_step;
    int32_t emit_at; /* operation at whose place the step stands */
};

struct use {
    int32_t count, relus;
    int32_t last; /* place of the last one */
    bool is_logits;
};

struct fusing {
    const struct ei_program *program;
    struct ei_fused *out;
    int32_t op_count;
    int32_t order[EI_PROGRAM_OPS_MAX]; /* operations in walking order */
    int32_t place[EI_PROGRAM_OPS_MAX]; /* of each operation in order */
    struct node nodes[EI_PROGRAM_OPS_MAX];
    struct use uses[EI_FUSED_VALUES_MAX];
    int32_t producer[EI_FUSED_VALUES_MAX]; /* operation; of the input none */
    bool is_flat[EI_PROGRAM_SLOTS_MAX];
};

/* ---- slots to values ---- */

/* As libtorch, a window that leaves the padded picture is divided by what is inside; primitives divide by the whole. */
static bool is_overhanging(const struct ei_op *op, const struct ei_shape *in, const struct ei_shape *out)
{
    return (out->height_px - 1) * op->stride_px + op->kernel_px > in->height_px + 2 * op->padding_px ||
           (out->width_px - 1) * op->stride_px + op->kernel_px > in->width_px + 2 * op->padding_px;
}

static bool has_area(const struct ei_shape *picture)
{
    return picture->height_px > 1 || picture->width_px > 1;
}

static bool is_binary(enum ei_op_kind kind)
{
    return kind == EI_OP_ADD || kind == EI_OP_CONCAT;
}

/* Why an operation cannot be a step; NULL when it can. */
static const char *refusal(const struct fusing *f, const struct ei_op *op, const struct ei_shape *in,
                           const struct ei_shape *in2, const struct ei_shape *out)
{
    const bool is_flat = f->is_flat[op->in_slot] && has_area(in);
    if (op->kind == EI_OP_SCRIPT) {
        return "it is a TorchScript part";
    }
    if (is_flat && op->kind == EI_OP_BATCH_NORM) {
        return "it works on a flattened picture";
    }
    if (op->kind == EI_OP_ADD && (in->height_px != in2->height_px || in->width_px != in2->width_px)) {
        return "it adds a flattened picture to features";
    }
    if (op->kind == EI_OP_AVG_POOL && is_overhanging(op, in, out)) {
        return "its windows leave the picture";
    }
    return NULL;
}

static int place_op(struct fusing *f, int32_t part, int32_t op_idx, const struct ei_shape *result, int32_t *slots,
                    struct einet_error *err)
{
    const struct ei_op *op = &f->program->ops[op_idx];
    struct ei_fused *out = f->out;
    struct node *node = &f->nodes[op_idx];
    const int32_t in = slots[op->in_slot], in2 = is_binary(op->kind) ? slots[op->in2_slot] : -1;
    const struct ei_shape *in_picture = &out->values[in].picture;
    const char *why = refusal(f, op, in_picture, in2 >= 0 ? &out->values[in2].picture : in_picture, result);
    if (why != NULL) {
        const int32_t first = ei_program_part(f->program, part / 2, part % 2 != 0)->first_op;
        f->out->refused_part = part;
        return einet_error_set(err, EINET_E_USAGE, "oneDNN does not run block%d.%s.%d (%s) of %s: %s", part / 2 + 1,
                               part % 2 != 0 ? "branch" : "conv", op_idx - first, ei_op_kind_name(op->kind),
                               f->program->name, why);
    }
    f->place[op_idx] = f->op_count;
    f->order[f->op_count++] = op_idx;
    const bool is_step = op->kind != EI_OP_DROPOUT && op->kind != EI_OP_FLATTEN;
    /* Concatenated features are features, whatever lay flattened in them. */
    const bool makes_features = op->kind == EI_OP_LINEAR || op->kind == EI_OP_CONCAT;
    const bool is_flat = op->kind == EI_OP_FLATTEN || (f->is_flat[op->in_slot] && !makes_features);
    f->is_flat[op->out_slot] = is_flat;
    *node = (struct node){.is_step = is_step,
                          .emit_at = op_idx,
                          .step = {.op_idx = op_idx,
                                   .norm_idx = -1,
                                   .part = part,
                                   .in = in,
                                   .in2 = in2,
                                   .out = is_step ? out->value_count++ : in}};
    if (is_step) {
        const struct ei_shape picture = is_flat ? *in_picture : *result;
        out->values[node->step.out] = (struct ei_fused_value){.picture = picture, .part = part, .last_step = -1};
        f->producer[node->step.out] = op_idx;
    }
    slots[op->out_slot] = node->step.out;
    return 0;
}

/* A value that a foreign part reads from a slot. */
static void add_foreign_in(struct fusing *f, struct ei_fused_foreign *foreign, int32_t slot, int32_t value)
{
    struct ei_shape shape = f->out->values[value].picture;
    if (f->is_flat[slot] && shape.height_px > 0) {
        shape = (struct ei_shape){.channels = shape.channels * shape.height_px * shape.width_px};
    }
    foreign->ins[foreign->in_count] = value;
    foreign->in_slots[foreign->in_count] = slot;
    foreign->in_shapes[foreign->in_count++] = shape;
}

/* One step instead of the part's operations. results: shapes of the program's operations. */
static void place_foreign(struct fusing *f, int32_t part, const struct ei_shape *results, int32_t *slots)
{
    const struct ei_program_part *ops = ei_program_part(f->program, part / 2, part % 2 != 0);
    struct ei_fused *out = f->out;
    struct ei_fused_foreign *foreign = &out->foreign[part];
    int32_t written_by[EI_PROGRAM_SLOTS_MAX];
    bool is_known[EI_PROGRAM_SLOTS_MAX] = {false}; /* read already, or written here */
    for (int32_t slot = 0; slot < EI_PROGRAM_SLOTS_MAX; slot++) {
        written_by[slot] = -1;
    }
    for (int32_t i = ops->first_op; i < ops->first_op + ops->op_count; i++) {
        const struct ei_op *op = &f->program->ops[i];
        const int32_t reads[2] = {op->in_slot, is_binary(op->kind) ? op->in2_slot : op->in_slot};
        for (int r = 0; r < 2; r++) {
            if (!is_known[reads[r]]) {
                add_foreign_in(f, foreign, reads[r], slots[reads[r]]);
                is_known[reads[r]] = true;
            }
        }
        is_known[op->out_slot] = true;
        written_by[op->out_slot] = i;
    }
    const int32_t logits_slot = f->program->ops[ops->first_op + ops->op_count - 1].out_slot;
    for (int32_t slot = 0; slot < EI_PROGRAM_SLOTS_MAX; slot++) {
        const bool is_out = part % 2 != 0 ? slot == logits_slot : slot < f->program->trunk_slots;
        if (is_out && written_by[slot] >= 0) {
            const int32_t value = out->value_count++;
            out->values[value] =
                (struct ei_fused_value){.picture = results[written_by[slot]], .part = part, .last_step = -1};
            f->producer[value] = ops->first_op;
            foreign->outs[foreign->out_count] = value;
            foreign->out_slots[foreign->out_count++] = slot;
            slots[slot] = value;
            f->is_flat[slot] = false;
        }
    }
    f->place[ops->first_op] = f->op_count;
    f->order[f->op_count++] = ops->first_op;
    f->nodes[ops->first_op] = (struct node){
        .is_step = true,
        .emit_at = ops->first_op,
        .step = {
            .op_idx = ops->first_op, .norm_idx = -1, .part = part, .in = -1, .in2 = -1, .out = -1, .is_foreign = true}};
}

static int place_ops(struct fusing *f, const bool *is_foreign, struct einet_error *err)
{
    struct ei_shape *shapes = calloc((size_t)f->program->op_count, sizeof *shapes);
    int32_t slots[EI_PROGRAM_SLOTS_MAX] = {0};
    int rc = 0;
    if (shapes == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    ei_program_outputs(f->program, shapes);
    f->out->value_count = 1;
    f->out->values[0] = (struct ei_fused_value){.picture = f->program->input, .part = -1, .last_step = -1};
    for (int32_t part = 0; rc == 0 && part < 2 * f->program->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(f->program, part / 2, part % 2 != 0);
        if (is_foreign != NULL && is_foreign[part] && ops->op_count > 0) {
            place_foreign(f, part, shapes, slots);
        } else {
            for (int32_t i = ops->first_op; rc == 0 && i < ops->first_op + ops->op_count; i++) {
                rc = place_op(f, part, i, &shapes[i], slots, err);
            }
        }
        if (rc == 0 && part % 2 != 0) {
            f->out->logits[part / 2] = slots[f->program->ops[ops->first_op + ops->op_count - 1].out_slot];
        }
    }
    free(shapes);
    return rc;
}

/* ---- operations into the one before them ---- */

static void count_use(struct fusing *f, int32_t value, int32_t place, bool is_relu)
{
    struct use *use = &f->uses[value];
    use->count++;
    use->relus += is_relu ? 1 : 0;
    use->last = place;
}

static void count_uses(struct fusing *f)
{
    memset(f->uses, 0, sizeof f->uses);
    for (int32_t i = 0; i < f->op_count; i++) {
        const struct node *node = &f->nodes[f->order[i]];
        const struct ei_fused_foreign *foreign = &f->out->foreign[node->step.part];
        for (int32_t k = 0; node->step.is_foreign && k < foreign->in_count; k++) {
            count_use(f, foreign->ins[k], i, false);
        }
        if (node->is_step && !node->step.is_foreign) {
            count_use(f, node->step.in, i, f->program->ops[f->order[i]].kind == EI_OP_RELU);
            if (node->step.in2 >= 0) {
                count_use(f, node->step.in2, i, false);
            }
        }
    }
    for (int32_t b = 0; b < f->program->block_count; b++) {
        f->uses[f->out->logits[b]].is_logits = true;
    }
}

/* Whether a step of this kind can end with a ReLU. */
static bool can_end_with_relu(enum ei_op_kind kind)
{
    return kind == EI_OP_CONV2D || kind == EI_OP_LINEAR || kind == EI_OP_BATCH_NORM || kind == EI_OP_ADD ||
           kind == EI_OP_RELU;
}

/* Where all that is done with a value begins with a ReLU - the next operation, or both ways on from a block's end - its
 * producer applies it, once. */
static void absorb_relus(struct fusing *f)
{
    int32_t became[EI_FUSED_VALUES_MAX];
    for (int32_t v = 0; v < f->out->value_count; v++) {
        became[v] = v;
    }
    for (int32_t i = 0; i < f->op_count; i++) {
        struct node *node = &f->nodes[f->order[i]];
        struct ei_fused_step *step = &node->step;
        if (step->is_foreign) {
            struct ei_fused_foreign *foreign = &f->out->foreign[step->part];
            for (int32_t k = 0; k < foreign->in_count; k++) {
                foreign->ins[k] = became[foreign->ins[k]];
            }
            continue;
        }
        const int32_t in = step->in;
        step->in = became[in];
        step->in2 = step->in2 >= 0 ? became[step->in2] : -1;
        const struct use *use = &f->uses[in];
        const bool is_relu = node->is_step && f->program->ops[f->order[i]].kind == EI_OP_RELU;
        if (is_relu && in > 0 && use->relus == use->count && !use->is_logits &&
            !f->nodes[f->producer[in]].step.is_foreign && can_end_with_relu(f->program->ops[f->producer[in]].kind)) {
            f->nodes[f->producer[step->in]].step.has_relu = true;
            node->is_step = false;
            became[step->out] = step->in;
        }
    }
    for (int32_t b = 0; b < f->program->block_count; b++) {
        f->out->logits[b] = became[f->out->logits[b]];
    }
}

/* Let the step of op_idx take in the operation that follows. Returns whether it did. */
static bool absorb_next(struct fusing *f, int32_t op_idx)
{
    struct node *node = &f->nodes[op_idx];
    struct ei_fused_step *step = &node->step;
    const struct use *use = &f->uses[step->out];
    if (step->has_relu || use->count != 1 || use->is_logits) {
        return false;
    }
    const int32_t next_idx = f->order[use->last];
    struct node *next = &f->nodes[next_idx];
    const enum ei_op_kind next_kind = f->program->ops[next_idx].kind;
    if (next->step.part != step->part || !next->is_step || next->emit_at != next_idx) {
        return false;
    }
    if (next_kind == EI_OP_BATCH_NORM && step->norm_idx < 0 && !step->has_sum) {
        step->norm_idx = next_idx;
    } else if (next_kind == EI_OP_ADD && f->program->ops[op_idx].kind == EI_OP_CONV2D && !step->has_sum) {
        step->has_sum = true;
        step->in2 = next->step.in == step->out ? next->step.in2 : next->step.in;
    } else {
        return false;
    }
    step->has_relu = next->step.has_relu;
    step->out = next->step.out;
    node->emit_at = next_idx;
    next->is_step = false;
    return true;
}

/* Backwards, so that of two convolutions that are added the later one adds: the other one's result is there by then. */
static void absorb_ops(struct fusing *f)
{
    for (int32_t i = f->op_count - 1; i >= 0; i--) {
        const int32_t op_idx = f->order[i];
        const enum ei_op_kind kind = f->program->ops[op_idx].kind;
        if (!f->nodes[op_idx].step.is_foreign && (kind == EI_OP_CONV2D || kind == EI_OP_LINEAR)) {
            while (absorb_next(f, op_idx)) {
            }
        }
    }
}

/* ---- steps ---- */

static void needs(struct ei_fused *out, int32_t value, int32_t step_idx, int32_t part)
{
    const bool is_kept = part % 2 != 0 && out->values[value].part != part;
    const struct ei_program_part *steps = &out->parts[part];
    const int32_t last = is_kept ? steps->first_op + steps->op_count - 1 : step_idx;
    out->values[value].last_step = last > out->values[value].last_step ? last : out->values[value].last_step;
}

static void needs_foreign(struct ei_fused *out, int32_t step_idx)
{
    const int32_t part = out->steps[step_idx].part;
    const struct ei_fused_foreign *foreign = &out->foreign[part];
    for (int32_t k = 0; k < foreign->in_count; k++) {
        needs(out, foreign->ins[k], step_idx, part);
    }
    for (int32_t k = 0; k < foreign->out_count; k++) {
        needs(out, foreign->outs[k], step_idx, part);
    }
}

static void write_steps(struct fusing *f)
{
    struct ei_fused *out = f->out;
    int32_t stands_at[EI_PROGRAM_OPS_MAX]; /* operation whose step is emitted at a place; -1 = none */
    for (int32_t i = 0; i < f->op_count; i++) {
        stands_at[i] = -1;
    }
    for (int32_t i = 0; i < f->op_count; i++) {
        const struct node *node = &f->nodes[f->order[i]];
        if (node->is_step) {
            stands_at[f->place[node->emit_at]] = f->order[i];
        }
    }
    for (int32_t part = 0, i = 0; part < 2 * f->program->block_count; part++) {
        out->parts[part].first_op = out->step_count;
        for (; i < f->op_count && f->nodes[f->order[i]].step.part == part; i++) {
            if (stands_at[i] >= 0) {
                out->steps[out->step_count++] = f->nodes[stands_at[i]].step;
            }
        }
        out->parts[part].op_count = out->step_count - out->parts[part].first_op;
    }
    for (int32_t s = 0; s < out->step_count; s++) {
        struct ei_fused_step *step = &out->steps[s];
        if (step->is_foreign) {
            needs_foreign(out, s);
            continue;
        }
        needs(out, step->in, s, step->part);
        needs(out, step->out, s, step->part);
        if (step->in2 >= 0) {
            needs(out, step->in2, s, step->part);
        }
    }
    for (int32_t b = 0; b < f->program->block_count; b++) {
        const struct ei_program_part *branch = &out->parts[ei_fused_part(b, true)];
        needs(out, out->logits[b], branch->first_op + branch->op_count - 1, ei_fused_part(b, true));
    }
}

/* What is in memory and needed by nobody after a step may be overwritten by it. What a branch did not write itself it
 * must leave alone, since it may be repeated. */
static void find_overwrites(struct fusing *f)
{
    struct ei_fused *out = f->out;
    for (int32_t s = 0; s < out->step_count; s++) {
        struct ei_fused_step *step = &out->steps[s];
        if (step->is_foreign) {
            continue;
        }
        const int32_t value = step->has_sum ? step->in2 : step->in;
        const bool is_own = step->part % 2 == 0 || out->values[value].part == step->part;
        const bool writes_on = step->has_sum || f->program->ops[step->op_idx].kind == EI_OP_CONCAT;
        step->may_overwrite = writes_on && is_own && value != 0 && step->in != step->in2 &&
                              out->values[value].last_step == s && !f->uses[value].is_logits;
    }
}

int ei_fuse(const struct ei_program *program, struct ei_fused *out, struct einet_error *err)
{
    return ei_fuse_around(program, NULL, out, err);
}

int ei_fuse_around(const struct ei_program *program, const bool *is_foreign, struct ei_fused *out,
                   struct einet_error *err)
{
    struct fusing *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    memset(out, 0, sizeof *out);
    out->refused_part = -1;
    f->program = program;
    f->out = out;
    const int rc = place_ops(f, is_foreign, err);
    if (rc == 0) {
        count_uses(f);
        absorb_relus(f);
        count_uses(f);
        absorb_ops(f);
        write_steps(f);
        find_overwrites(f);
    }
    free(f);
    return rc;
}
