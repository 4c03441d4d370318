/* Builders of the zoo's programs. A part is written as a list of calls that append one operation each and follow the
 * channels, so that a network reads like its description in the paper.
 */
#include "stages/nn/zoo.h"

#include <stdio.h>
#include <string.h>

enum { SLOT_TRUNK = 0, SLOT_BRANCH = 1 };

#define INPUT_SIDE_PX 32

/* Writes operations of one part; the first one reads the trunk, all write `slot`. */
struct writer {
    struct ei_program_part *part;
    int32_t slot, from_slot, channels;
};

static struct writer part_begin(struct ei_program_part *part, int32_t slot, int32_t channels)
{
    part->op_count = 0;
    return (struct writer){.part = part, .slot = slot, .from_slot = SLOT_TRUNK, .channels = channels};
}

static struct ei_op *append(struct writer *w, enum ei_op_kind kind)
{
    struct ei_op *op = &w->part->ops[w->part->op_count++];
    *op = (struct ei_op){.kind = kind, .in_slot = w->from_slot, .in2_slot = w->from_slot, .out_slot = w->slot};
    w->from_slot = w->slot;
    return op;
}

static void conv(struct writer *w, int32_t out_channels, int32_t kernel_px)
{
    struct ei_op *op = append(w, EI_OP_CONV2D);
    op->in_channels = w->channels;
    op->out_channels = out_channels;
    op->kernel_px = kernel_px;
    op->stride_px = 1;
    op->padding_px = kernel_px / 2;
    op->bias = true;
    w->channels = out_channels;
}

static void linear(struct writer *w, int32_t in_features, int32_t out_features)
{
    struct ei_op *op = append(w, EI_OP_LINEAR);
    op->in_channels = in_features;
    op->out_channels = out_features;
    op->bias = true;
    w->channels = out_features;
}

static void relu(struct writer *w)
{
    append(w, EI_OP_RELU);
}

static void flatten(struct writer *w)
{
    append(w, EI_OP_FLATTEN);
}

static void dropout(struct writer *w, float p)
{
    append(w, EI_OP_DROPOUT)->p = p;
}

/* AlexNet's overlapping pool. */
static void pool(struct writer *w)
{
    struct ei_op *op = append(w, EI_OP_MAX_POOL);
    op->kernel_px = 3;
    op->stride_px = 2;
    op->ceil_mode = true;
}

/* BranchyNet's normalisation: alpha is not divided by the size. */
static void lrn(struct writer *w)
{
    struct ei_op *op = append(w, EI_OP_LRN);
    op->lrn_size = 3;
    op->lrn_alpha = 5e-5F;
    op->lrn_beta = 0.75F;
    op->lrn_k = 2.0F;
}

static void relu_pool_lrn(struct writer *w)
{
    relu(w);
    pool(w);
    lrn(w);
}

static void b_alexnet_block1(struct ei_program_block *block, int32_t channels, int32_t classes)
{
    struct writer w = part_begin(&block->conv, SLOT_TRUNK, channels);
    conv(&w, 32, 5);
    relu_pool_lrn(&w);
    conv(&w, 64, 5);
    w = part_begin(&block->branch, SLOT_BRANCH, 64);
    relu_pool_lrn(&w);
    conv(&w, 32, 3);
    relu(&w);
    conv(&w, 32, 3);
    relu(&w);
    pool(&w);
    flatten(&w);
    linear(&w, 512, classes);
}

static void b_alexnet_block2(struct ei_program_block *block, int32_t classes)
{
    struct writer w = part_begin(&block->conv, SLOT_TRUNK, 64);
    relu_pool_lrn(&w);
    conv(&w, 96, 3);
    w = part_begin(&block->branch, SLOT_BRANCH, 96);
    relu_pool_lrn(&w);
    conv(&w, 32, 3);
    relu(&w);
    pool(&w);
    flatten(&w);
    linear(&w, 128, classes);
}

static void b_alexnet_block3(struct ei_program_block *block, int32_t classes)
{
    struct writer w = part_begin(&block->conv, SLOT_TRUNK, 96);
    relu(&w);
    conv(&w, 96, 3);
    relu(&w);
    conv(&w, 64, 3);
    relu(&w);
    pool(&w);
    flatten(&w);
    linear(&w, 1024, 256);
    relu(&w);
    dropout(&w, 0.5F);
    linear(&w, 256, 128);
    relu(&w);
    dropout(&w, 0.5F);
    w = part_begin(&block->branch, SLOT_BRANCH, 128);
    linear(&w, 128, classes);
}

static void build_b_alexnet(struct ei_program *out, int32_t channels, int32_t classes)
{
    out->block_count = 3;
    b_alexnet_block1(&out->blocks[0], channels, classes);
    b_alexnet_block2(&out->blocks[1], classes);
    b_alexnet_block3(&out->blocks[2], classes);
}

struct zoo_entry {
    const char *name;
    void (*build)(struct ei_program *out, int32_t channels, int32_t classes);
};

static const struct zoo_entry zoo[] = {
    {"b-alexnet", build_b_alexnet},
};

#define ZOO_COUNT ((int32_t)(sizeof zoo / sizeof zoo[0]))

const char *ei_zoo_name(int32_t idx)
{
    return idx >= 0 && idx < ZOO_COUNT ? zoo[idx].name : NULL;
}

int ei_zoo_program(const char *name, int32_t channels, int32_t classes, struct ei_program *out, struct einet_error *err)
{
    if ((channels != 1 && channels != 3) || classes < 2 || classes > 1024) {
        return einet_error_set(err, EINET_E_USAGE,
                               "a network takes 1 or 3 channels and 2 to 1024 classes, not %d and %d", channels,
                               classes);
    }
    for (int32_t i = 0; i < ZOO_COUNT; i++) {
        if (strcmp(zoo[i].name, name) != 0) {
            continue;
        }
        memset(out, 0, sizeof *out);
        snprintf(out->name, sizeof out->name, "%s", name);
        out->classes = classes;
        out->trunk_slots = 1;
        out->input = (struct ei_shape){.channels = channels, .height_px = INPUT_SIDE_PX, .width_px = INPUT_SIDE_PX};
        zoo[i].build(out, channels, classes);
        return ei_program_check(out, err);
    }
    return einet_error_set(err, EINET_E_USAGE, "unknown network '%.64s'; known: b-alexnet", name);
}
