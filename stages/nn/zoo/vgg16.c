/* VGG-16 with batch normalisation (Simonyan, Zisserman, ICLR 2015), in two cuts: after every convolution (vgg-16, 14
 * exits) and after every group of them (flexvgg-16, 5 exits; FlexDNN, Fang et al., SEC 2020). A pool belongs to the
 * part before it. Both share one trunk.
 */
#include "stages/nn/zoo/builders.h"
#include "stages/nn/zoo/writer.h"

#define GROUPS 5

static const struct {
    int32_t channels, convolutions;
} groups[GROUPS] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};

/* Hidden fully connected layers, each with dropout, then the logits. */
static void classifier(struct ei_writer *w, int32_t hidden_layers, int32_t classes)
{
    ei_write_flatten(w);
    for (int32_t i = 0; i < hidden_layers; i++) {
        ei_write_linear(w, 512);
        ei_write_relu(w);
        ei_write_dropout(w, 0.5F);
    }
    ei_write_linear(w, classes);
}

void ei_zoo_build_vgg16(struct ei_program *out)
{
    int32_t block = 0, channels = out->input.channels, side_px = out->input.height_px;
    for (int32_t g = 0; g < GROUPS; g++) {
        for (int32_t i = 0; i < groups[g].convolutions; i++) {
            struct ei_writer w = ei_writer_conv(out, block, channels, side_px);
            ei_write_conv_bn_relu(&w, groups[g].channels, 3, 1);
            if (i + 1 == groups[g].convolutions) {
                ei_write_max_pool(&w, 2);
            }
            channels = w.channels;
            side_px = w.side_px;
            w = ei_writer_branch(out, block++, channels, side_px);
            ei_write_head(&w, &ei_head_default, out->classes);
        }
    }
    (void)ei_writer_conv(out, block, channels, side_px); /* nothing to compute before the original classifier */
    struct ei_writer w = ei_writer_branch(out, block++, channels, side_px);
    classifier(&w, 2, out->classes);
    out->block_count = block;
}

void ei_zoo_build_flexvgg16(struct ei_program *out)
{
    int32_t channels = out->input.channels, side_px = out->input.height_px;
    for (int32_t g = 0; g < GROUPS; g++) {
        struct ei_writer w = ei_writer_conv(out, g, channels, side_px);
        for (int32_t i = 0; i < groups[g].convolutions; i++) {
            ei_write_conv_bn_relu(&w, groups[g].channels, 3, 1);
        }
        ei_write_max_pool(&w, 2);
        channels = w.channels;
        side_px = w.side_px;
        w = ei_writer_branch(out, g, channels, side_px);
        if (g + 1 < GROUPS) {
            ei_write_head(&w, &ei_head_default, out->classes);
        } else {
            classifier(&w, 1, out->classes);
        }
    }
    out->block_count = GROUPS;
}
