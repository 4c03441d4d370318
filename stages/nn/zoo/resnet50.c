/* ResNet-50 for 32x32 pictures (He et al., CVPR 2016): first convolution 3x3 without pool, bottlenecks of expansion 4
 * with the stride in their 3x3 convolution and a projection shortcut where the shape changes. Six exits: before the
 * stages, behind each of the first two, twice in the third, and the original classifier.
 */
#include "stages/nn/zoo/builders.h"
#include "stages/nn/zoo/writer.h"

enum { SLOT_TRUNK, SLOT_BODY, SLOT_SHORTCUT }; /* the branch uses SLOT_BODY, too */

static void bottleneck(struct ei_writer *w, int32_t width, int32_t stride_px)
{
    const int32_t in_channels = w->channels, in_px = w->side_px, out_channels = width * 4;
    int32_t shortcut = SLOT_TRUNK;
    if (stride_px != 1 || in_channels != out_channels) {
        shortcut = SLOT_SHORTCUT;
        ei_writer_move(w, SLOT_TRUNK, SLOT_SHORTCUT, in_channels, in_px);
        ei_write_conv(w, out_channels, 1, stride_px, false);
        ei_write_batch_norm(w);
    }
    ei_writer_move(w, SLOT_TRUNK, SLOT_BODY, in_channels, in_px);
    ei_write_conv_bn_relu(w, width, 1, 1);
    ei_write_conv_bn_relu(w, width, 3, stride_px);
    ei_write_conv(w, out_channels, 1, 1, false);
    ei_write_batch_norm(w);
    ei_write_add(w, shortcut);
    ei_writer_move(w, SLOT_BODY, SLOT_TRUNK, out_channels, w->side_px);
    ei_write_relu(w);
}

static const struct {
    int32_t width, stride_px, bottlenecks;
} parts[] = {{64, 1, 3}, {128, 2, 4}, {256, 2, 3}, {256, 1, 3}, {512, 2, 3}};

#define PARTS ((int32_t)(sizeof parts / sizeof parts[0]))

void ei_zoo_build_resnet50(struct ei_program *out)
{
    struct ei_writer w = ei_writer_conv(out, 0, out->input.channels, out->input.height_px);
    ei_write_conv_bn_relu(&w, 64, 3, 1);
    for (int32_t b = 0; b <= PARTS; b++) {
        if (b > 0) {
            w = ei_writer_conv(out, b, w.channels, w.side_px);
            for (int32_t i = 0; i < parts[b - 1].bottlenecks; i++) {
                bottleneck(&w, parts[b - 1].width, i == 0 ? parts[b - 1].stride_px : 1);
            }
        }
        struct ei_writer branch = ei_writer_branch(out, b, w.channels, w.side_px);
        if (b < PARTS) {
            ei_write_head(&branch, &ei_head_default, out->classes);
        } else {
            ei_write_global_avg_pool(&branch);
            ei_write_flatten(&branch);
            ei_write_linear(&branch, out->classes);
        }
    }
    out->block_count = PARTS + 1;
}
