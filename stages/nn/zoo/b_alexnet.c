/* B-AlexNet: BranchyNet's CIFAR-10 AlexNet with three exits (Teerapittayanon, McDanel, Kung, ICPR 2016). Convolutions
 * have a bias and no normalisation.
 */
#include "stages/nn/zoo/builders.h"
#include "stages/nn/zoo/writer.h"

static void relu_pool_lrn(struct ei_writer *w)
{
    ei_write_relu(w);
    ei_write_overlapping_max_pool(w);
    ei_write_lrn(w);
}

static void block1(struct ei_program *out)
{
    struct ei_writer w = ei_writer_conv(out, 0, out->input.channels, out->input.height_px);
    ei_write_conv(&w, 32, 5, 1, true);
    relu_pool_lrn(&w);
    ei_write_conv(&w, 64, 5, 1, true);
    w = ei_writer_branch(out, 0, w.channels, w.side_px);
    relu_pool_lrn(&w);
    ei_write_conv(&w, 32, 3, 1, true);
    ei_write_relu(&w);
    ei_write_conv(&w, 32, 3, 1, true);
    ei_write_relu(&w);
    ei_write_overlapping_max_pool(&w);
    ei_write_flatten(&w);
    ei_write_linear(&w, out->classes);
}

static void block2(struct ei_program *out)
{
    struct ei_writer w = ei_writer_conv(out, 1, 64, 16);
    relu_pool_lrn(&w);
    ei_write_conv(&w, 96, 3, 1, true);
    w = ei_writer_branch(out, 1, w.channels, w.side_px);
    relu_pool_lrn(&w);
    ei_write_conv(&w, 32, 3, 1, true);
    ei_write_relu(&w);
    ei_write_overlapping_max_pool(&w);
    ei_write_flatten(&w);
    ei_write_linear(&w, out->classes);
}

static void block3(struct ei_program *out)
{
    struct ei_writer w = ei_writer_conv(out, 2, 96, 8);
    ei_write_relu(&w);
    ei_write_conv(&w, 96, 3, 1, true);
    ei_write_relu(&w);
    ei_write_conv(&w, 64, 3, 1, true);
    ei_write_relu(&w);
    ei_write_overlapping_max_pool(&w);
    ei_write_flatten(&w);
    ei_write_linear(&w, 256);
    ei_write_relu(&w);
    ei_write_dropout(&w, 0.5F);
    ei_write_linear(&w, 128);
    ei_write_relu(&w);
    ei_write_dropout(&w, 0.5F);
    w = ei_writer_branch(out, 2, w.channels, w.side_px);
    ei_write_linear(&w, out->classes);
}

void ei_zoo_build_b_alexnet(struct ei_program *out)
{
    out->block_count = 3;
    block1(out);
    block2(out);
    block3(out);
}
