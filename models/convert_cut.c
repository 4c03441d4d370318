/* Where a chain is cut, and the multi-exit program that comes of it. See convert_parts.h. */
#include "models/convert_parts.h"

#include <string.h>

struct plan {
    const struct ei_convert_chain_config *config;
    const struct ei_convert_flat *flat;
    int32_t op_count;   /* of the chain, without the flatten that ends the flat program */
    int32_t classifier; /* first operation of the last exit */
    int32_t block_count;
    int32_t begin[EI_PROGRAM_BLOCKS_MAX + 1]; /* first operation of each block's conv part; then the classifier */
};

/* What ends the trunk: an operation that turns the picture into features. */
static bool is_classifying(const struct ei_op *op)
{
    return op->kind == EI_OP_GLOBAL_AVG_POOL || op->kind == EI_OP_FLATTEN || op->kind == EI_OP_LINEAR;
}

static int find_classifier(struct plan *plan, struct einet_error *err)
{
    int32_t last_conv = -1;
    for (int32_t i = 0; i < plan->op_count; i++) {
        last_conv = plan->flat->is_conv[i] ? i : last_conv;
    }
    if (last_conv < 0) {
        return einet_error_set(err, EINET_E_USAGE, "it has no convolution to cut after");
    }
    for (int32_t i = last_conv + 1; i < plan->op_count; i++) {
        if (is_classifying(&plan->flat->program.ops[i]) || plan->flat->shape[i].height_px == 0) {
            plan->classifier = i;
            return 0;
        }
    }
    return einet_error_set(
        err, EINET_E_USAGE,
        "nothing turns its last picture into classes: a global average pool, flatten or linear layer "
        "after the last convolution would be its last exit");
}

static int add_cut(struct plan *plan, int32_t begin, struct einet_error *err)
{
    if (plan->block_count == EI_PROGRAM_BLOCKS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "more than %d blocks: cut at fewer places with --cut",
                               EI_PROGRAM_BLOCKS_MAX);
    }
    plan->begin[plan->block_count++] = begin;
    return 0;
}

static int cut_at_convolutions(struct plan *plan, struct einet_error *err)
{
    bool is_first = true;
    int rc = add_cut(plan, 0, err);
    for (int32_t i = 0; rc == 0 && i < plan->classifier; i++) {
        if (plan->flat->is_conv[i] && !is_first) {
            rc = add_cut(plan, i, err);
        }
        is_first = is_first && !plan->flat->is_conv[i];
    }
    return rc;
}

static int cut_at_pools(struct plan *plan, struct einet_error *err)
{
    int rc = add_cut(plan, 0, err);
    for (int32_t i = 0; rc == 0 && i + 1 < plan->classifier; i++) {
        const enum ei_op_kind kind = plan->flat->program.ops[i].kind;
        if (kind == EI_OP_MAX_POOL || kind == EI_OP_AVG_POOL) {
            rc = add_cut(plan, i + 1, err);
        }
    }
    return rc;
}

static int cut_at_list(struct plan *plan, struct einet_error *err)
{
    const struct ei_convert_chain_config *c = plan->config;
    int rc = add_cut(plan, 0, err);
    for (int32_t k = 0; rc == 0 && k < c->cut_count; k++) {
        int32_t next = 0;
        while (next < plan->classifier && plan->flat->layer_of[next] <= c->cuts[k]) {
            next++;
        }
        if ((k > 0 && c->cuts[k] <= c->cuts[k - 1]) || next <= plan->begin[plan->block_count - 1] ||
            c->cuts[k] >= plan->flat->layer_of[plan->classifier]) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "layer %d is no place to cut after: rising numbers of layers before the last exit, "
                                   "which begins with layer %d, are",
                                   c->cuts[k], plan->flat->layer_of[plan->classifier]);
        }
        rc = add_cut(plan, next, err);
    }
    return rc;
}

/* Operations [begin, end) of the chain as a part; its first one reads slot 0, all write `slot`. */
static void copy_ops(const struct ei_convert_flat *flat, int32_t begin, int32_t end, int32_t slot,
                     struct ei_program *out, struct ei_program_part *part, int32_t *layer_of)
{
    *part = (struct ei_program_part){.first_op = out->op_count};
    for (int32_t i = begin; i < end && out->op_count < EI_PROGRAM_OPS_MAX; i++) {
        struct ei_op *op = &out->ops[out->op_count];
        *op = flat->program.ops[i];
        op->in_slot = op->in2_slot = i == begin ? 0 : slot;
        op->out_slot = slot;
        layer_of[out->op_count++] = flat->layer_of[i];
        part->op_count++;
    }
}

static int add_head(const struct plan *plan, int32_t block_idx, struct ei_program *out, int32_t *layer_of,
                    struct einet_error *err)
{
    const struct ei_shape *shape = &plan->flat->shape[plan->begin[block_idx + 1] - 1];
    if (shape->height_px != shape->width_px || shape->height_px < 1) {
        return einet_error_set(err, EINET_E_USAGE,
                               "exit %d would stand on pictures of %dx%d; heads are made for square ones",
                               block_idx + 1, shape->width_px, shape->height_px);
    }
    const int32_t before = out->op_count;
    struct ei_writer w = ei_writer_branch(out, block_idx, shape->channels, shape->height_px);
    ei_write_head(&w, &plan->config->head, out->classes);
    for (int32_t i = before; i < out->op_count && i < EI_PROGRAM_OPS_MAX; i++) {
        layer_of[i] = -1;
    }
    return 0;
}

static int build(const struct plan *plan, struct ei_program *out, int32_t *layer_of, struct einet_error *err)
{
    const struct ei_program *flat = &plan->flat->program;
    memset(out, 0, sizeof *out);
    memcpy(out->name, flat->name, sizeof out->name);
    memcpy(out->scripts, flat->scripts, sizeof out->scripts);
    out->script_count = flat->script_count;
    out->classes = flat->classes;
    out->input = flat->input;
    out->trunk_slots = 1;
    out->block_count = plan->block_count;
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < plan->block_count; b++) {
        copy_ops(plan->flat, plan->begin[b], plan->begin[b + 1], 0, out, &out->blocks[b].conv, layer_of);
        if (b + 1 < plan->block_count) {
            rc = add_head(plan, b, out, layer_of, err);
        } else {
            copy_ops(plan->flat, plan->classifier, plan->op_count, 1, out, &out->blocks[b].branch, layer_of);
        }
    }
    return rc == 0 ? ei_program_resolve(out, NULL, err) : rc;
}

int ei_convert_cut(const struct ei_convert_chain_config *config, const struct ei_convert_flat *flat,
                   struct ei_program *out, int32_t *layer_of, struct einet_error *err)
{
    struct plan plan = {.config = config, .flat = flat, .op_count = flat->program.op_count - 1};
    int rc = find_classifier(&plan, err);
    if (rc == 0) {
        rc = config->cut == EI_CONVERT_CUT_CONV   ? cut_at_convolutions(&plan, err)
             : config->cut == EI_CONVERT_CUT_POOL ? cut_at_pools(&plan, err)
                                                  : cut_at_list(&plan, err);
    }
    if (rc != 0) {
        return rc;
    }
    plan.begin[plan.block_count] = plan.classifier;
    return build(&plan, out, layer_of, err);
}
