/* Appending operations; see writer.h. */
#include "stages/nn/zoo/writer.h"

const struct ei_head ei_head_default = {.pooled_px = 8, .channels = 64, .averaged_px = 2, .hidden = 128};

static struct ei_writer begin(struct ei_program *program, struct ei_program_part *part, int32_t slot, int32_t channels,
                              int32_t side_px)
{
    *part = (struct ei_program_part){.first_op = program->op_count};
    return (struct ei_writer){
        .program = program, .part = part, .from_slot = 0, .slot = slot, .channels = channels, .side_px = side_px};
}

struct ei_writer ei_writer_conv(struct ei_program *program, int32_t block_idx, int32_t channels, int32_t side_px)
{
    return begin(program, &program->blocks[block_idx].conv, 0, channels, side_px);
}

struct ei_writer ei_writer_branch(struct ei_program *program, int32_t block_idx, int32_t channels, int32_t side_px)
{
    return begin(program, &program->blocks[block_idx].branch, program->trunk_slots, channels, side_px);
}

void ei_writer_move(struct ei_writer *w, int32_t from_slot, int32_t slot, int32_t channels, int32_t side_px)
{
    w->from_slot = from_slot;
    w->slot = slot;
    w->channels = channels;
    w->side_px = side_px;
}

static struct ei_op *append(struct ei_writer *w, enum ei_op_kind kind)
{
    static struct ei_op overflow; /* written, never read */
    struct ei_program *program = w->program;
    struct ei_op *op = program->op_count < EI_PROGRAM_OPS_MAX ? &program->ops[program->op_count] : &overflow;
    *op = (struct ei_op){.kind = kind, .in_slot = w->from_slot, .in2_slot = w->from_slot, .out_slot = w->slot};
    program->op_count++;
    w->part->op_count++;
    w->from_slot = w->slot;
    return op;
}

void ei_write_conv(struct ei_writer *w, int32_t out_channels, int32_t kernel_px, int32_t stride_px, bool bias)
{
    struct ei_op *op = append(w, EI_OP_CONV2D);
    op->in_channels = w->channels;
    op->out_channels = out_channels;
    op->kernel_px = kernel_px;
    op->stride_px = stride_px;
    op->padding_px = kernel_px / 2;
    op->bias = bias;
    w->channels = out_channels;
    w->side_px = (w->side_px + stride_px - 1) / stride_px;
}

void ei_write_batch_norm(struct ei_writer *w)
{
    struct ei_op *op = append(w, EI_OP_BATCH_NORM);
    op->in_channels = w->channels;
    op->eps = 1e-5F;
    op->momentum = 0.1F;
}

void ei_write_relu(struct ei_writer *w)
{
    append(w, EI_OP_RELU);
}

void ei_write_conv_bn_relu(struct ei_writer *w, int32_t out_channels, int32_t kernel_px, int32_t stride_px)
{
    ei_write_conv(w, out_channels, kernel_px, stride_px, false);
    ei_write_batch_norm(w);
    ei_write_relu(w);
}

static void pool(struct ei_writer *w, enum ei_op_kind kind, int32_t side_px)
{
    struct ei_op *op = append(w, kind);
    op->kernel_px = side_px;
    op->stride_px = side_px;
    w->side_px /= side_px;
}

void ei_write_max_pool(struct ei_writer *w, int32_t side_px)
{
    pool(w, EI_OP_MAX_POOL, side_px);
}

void ei_write_avg_pool(struct ei_writer *w, int32_t side_px)
{
    pool(w, EI_OP_AVG_POOL, side_px);
}

void ei_write_overlapping_max_pool(struct ei_writer *w)
{
    struct ei_op *op = append(w, EI_OP_MAX_POOL);
    op->kernel_px = 3;
    op->stride_px = 2;
    op->ceil_mode = true;
    w->side_px = w->side_px / 2;
}

void ei_write_global_avg_pool(struct ei_writer *w)
{
    append(w, EI_OP_GLOBAL_AVG_POOL);
    w->side_px = 1;
}

void ei_write_lrn(struct ei_writer *w)
{
    struct ei_op *op = append(w, EI_OP_LRN);
    op->lrn_size = 3;
    op->lrn_alpha = 5e-5F; /* not divided by the size */
    op->lrn_beta = 0.75F;
    op->lrn_k = 2.0F;
}

void ei_write_flatten(struct ei_writer *w)
{
    append(w, EI_OP_FLATTEN);
    w->channels *= w->side_px * w->side_px;
    w->side_px = 0;
}

void ei_write_linear(struct ei_writer *w, int32_t out_features)
{
    struct ei_op *op = append(w, EI_OP_LINEAR);
    op->in_channels = w->channels;
    op->out_channels = out_features;
    op->bias = true;
    w->channels = out_features;
}

void ei_write_dropout(struct ei_writer *w, float p)
{
    append(w, EI_OP_DROPOUT)->p = p;
}

void ei_write_add(struct ei_writer *w, int32_t other_slot)
{
    append(w, EI_OP_ADD)->in2_slot = other_slot;
}

void ei_write_concat(struct ei_writer *w, int32_t other_slot, int32_t other_channels)
{
    append(w, EI_OP_CONCAT)->in2_slot = other_slot;
    w->channels += other_channels;
}

void ei_write_head(struct ei_writer *w, const struct ei_head *head, int32_t classes)
{
    if (w->side_px > head->pooled_px) {
        ei_write_max_pool(w, w->side_px / head->pooled_px);
    }
    ei_write_conv_bn_relu(w, head->channels, 3, 1);
    if (w->side_px > head->averaged_px) {
        ei_write_avg_pool(w, w->side_px / head->averaged_px);
    }
    ei_write_flatten(w);
    ei_write_linear(w, head->hidden);
    ei_write_relu(w);
    ei_write_linear(w, classes);
}
