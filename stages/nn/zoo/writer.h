/* How a network of the zoo is written down: a list of calls that append one operation each and follow channels and
 * sides, so that a network reads like its description in the paper.
 *
 *     struct ei_writer w = ei_writer_conv(program, 0, channels, side_px);
 *     ei_write_conv_bn_relu(&w, 64, 3, 1);
 *     ei_write_max_pool(&w, 2);
 *     w = ei_writer_branch(program, 0, w.channels, w.side_px);
 *     ...
 *
 * Parts are begun in walking order. A writer works on one slot: the first operation reads from_slot, all write slot.
 * What does not fit the program is not written and op_count runs over its maximum, which ei_program_check refuses.
 */
#ifndef STAGES_NN_ZOO_WRITER_H
#define STAGES_NN_ZOO_WRITER_H

#include "stages/nn/program.h"

struct ei_writer {
    struct ei_program *program;
    struct ei_program_part *part;
    int32_t from_slot, slot;
    int32_t channels, side_px; /* of what slot holds; side 0 after a flatten */
};

/* Begin a part on trunk slot 0; a branch writes the first slot behind the trunk. */
struct ei_writer ei_writer_conv(struct ei_program *program, int32_t block_idx, int32_t channels, int32_t side_px);
struct ei_writer ei_writer_branch(struct ei_program *program, int32_t block_idx, int32_t channels, int32_t side_px);

/* Go on in the same part from another slot into another. */
void ei_writer_move(struct ei_writer *w, int32_t from_slot, int32_t slot, int32_t channels, int32_t side_px);

void ei_write_conv(struct ei_writer *w, int32_t out_channels, int32_t kernel_px, int32_t stride_px, bool bias);
void ei_write_batch_norm(struct ei_writer *w);
void ei_write_relu(struct ei_writer *w);
void ei_write_conv_bn_relu(struct ei_writer *w, int32_t out_channels, int32_t kernel_px, int32_t stride_px);
void ei_write_max_pool(struct ei_writer *w, int32_t side_px); /* without overlap */
void ei_write_overlapping_max_pool(struct ei_writer *w);      /* AlexNet's: 3x3, stride 2, ceil mode */
void ei_write_avg_pool(struct ei_writer *w, int32_t side_px); /* without overlap */
void ei_write_global_avg_pool(struct ei_writer *w);
void ei_write_lrn(struct ei_writer *w); /* BranchyNet's: size 3, alpha 5e-5, beta 0.75, k 2 */
void ei_write_flatten(struct ei_writer *w);
void ei_write_linear(struct ei_writer *w, int32_t out_features);
void ei_write_dropout(struct ei_writer *w, float p);
void ei_write_add(struct ei_writer *w, int32_t other_slot);
void ei_write_concat(struct ei_writer *w, int32_t other_slot, int32_t other_channels); /* [slot, other] */

/* Sizes of the default branch, "one convolutional layer and two fully connected layers" (EINet, section VI). */
struct ei_head {
    int32_t pooled_px;   /* pictures larger than this are max-pooled to it first */
    int32_t channels;    /* of the convolution */
    int32_t averaged_px; /* side after the average pool, at most */
    int32_t hidden;      /* features between the two fully connected layers */
};

extern const struct ei_head ei_head_default; /* 8, 64, 2, 128 */

/* A whole branch: max pool, Conv3x3-BN-ReLU, average pool, Linear, ReLU, Linear. */
void ei_write_head(struct ei_writer *w, const struct ei_head *head, int32_t classes);

#endif
