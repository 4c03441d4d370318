/* MSDNet (Huang et al., ICLR 2018): features at three scales that grow by concatenation in every layer, so that the
 * coarsest scale can classify early. 16 channels, growth 6, growth and bottleneck factors 1-2-4, even steps of one
 * layer, scales pruned from the finest, transitions that halve the channels.
 *
 *     l       finest   middle   coarsest        exits read the coarsest scale
 *     1..9      x  ->    x  ->    x
 *     9..17              x  ->    x             (24 layers; interval = 8)
 *     17..24                      x
 */
#include "stages/nn/zoo/builders.h"
#include "stages/nn/zoo/writer.h"

#define SCALES 3
#define CHANNELS_FIRST 16
#define GROWTH 6

enum { SLOT_SCALE0 = 0, SLOT_DOWN = SCALES, SLOT_NORMAL, SLOTS_OF_BRANCH = SCALES };

enum exit_kind { EXIT_ORIGINAL, EXIT_LIGHT };

struct msdnet {
    struct ei_program *program;
    int32_t layers, base; /* layers before the first exit */
    enum exit_kind exit_kind;
    int32_t n_in; /* channels of scale s: n_in * 2^s */
};

static int32_t side_of(const struct msdnet *net, int32_t scale)
{
    return net->program->input.height_px >> scale;
}

/* Conv1x1 to at most width * out_channels, then Conv3x3: "BN" of the paper. From a scale into a temporary slot. */
static void bottleneck(const struct msdnet *net, struct ei_writer *w, int32_t from_scale, int32_t to_slot,
                       int32_t width, int32_t out_channels, int32_t stride_px)
{
    const int32_t in_channels = net->n_in << from_scale, squeezed = width * out_channels;
    ei_writer_move(w, SLOT_SCALE0 + from_scale, to_slot, in_channels, side_of(net, from_scale));
    ei_write_conv_bn_relu(w, squeezed < in_channels ? squeezed : in_channels, 1, 1);
    ei_write_conv_bn_relu(w, out_channels, 3, stride_px);
}

/* Append what a scale gained: [x, first, second]. */
static void grow(const struct msdnet *net, struct ei_writer *w, int32_t scale, int32_t gained_slot, int32_t channels,
                 int32_t has_channels)
{
    ei_writer_move(w, SLOT_SCALE0 + scale, SLOT_SCALE0 + scale, (net->n_in << scale) + has_channels,
                   side_of(net, scale));
    ei_write_concat(w, gained_slot, channels);
}

/* One layer. A scale reads what the finer one was before the layer, so the coarsest is written first. */
static void layer(struct msdnet *net, struct ei_writer *w, int32_t l)
{
    const int32_t interval = (net->layers + SCALES - 1) / SCALES;
    const int32_t in_scales = SCALES - (l >= 2 ? l - 2 : 0) / interval, out_scales = SCALES - (l - 1) / interval;
    const int32_t finest = SCALES - out_scales;
    for (int32_t s = SCALES - 1; s >= finest; s--) {
        const int32_t growth = GROWTH << s, width = 1 << s;
        if (s == finest && in_scales == out_scales) {
            bottleneck(net, w, s, SLOT_NORMAL, width, growth, 1);
            grow(net, w, s, SLOT_NORMAL, growth, 0);
        } else {
            bottleneck(net, w, s - 1, SLOT_DOWN, 1 << (s - 1), growth / 2, 2);
            bottleneck(net, w, s, SLOT_NORMAL, width, growth / 2, 1);
            grow(net, w, s, SLOT_DOWN, growth / 2, 0);
            grow(net, w, s, SLOT_NORMAL, growth / 2, growth / 2);
        }
    }
    net->n_in += GROWTH;
    if (out_scales < in_scales) {
        for (int32_t s = finest; s < SCALES; s++) {
            ei_writer_move(w, SLOT_SCALE0 + s, SLOT_SCALE0 + s, net->n_in << s, side_of(net, s));
            ei_write_conv_bn_relu(w, (net->n_in / 2) << s, 1, 1);
        }
        net->n_in /= 2;
    }
}

static void first_layer(const struct msdnet *net, struct ei_writer *w)
{
    ei_write_conv_bn_relu(w, CHANNELS_FIRST, 3, 1);
    for (int32_t s = 1; s < SCALES; s++) {
        ei_writer_move(w, SLOT_SCALE0 + s - 1, SLOT_SCALE0 + s, w->channels, side_of(net, s - 1));
        ei_write_conv_bn_relu(w, CHANNELS_FIRST << s, 3, 2);
    }
}

static void write_exit(const struct msdnet *net, int32_t block)
{
    const int32_t coarsest = SCALES - 1;
    struct ei_writer w = ei_writer_branch(net->program, block, 0, 0);
    ei_writer_move(&w, SLOT_SCALE0 + coarsest, SLOTS_OF_BRANCH, net->n_in << coarsest, side_of(net, coarsest));
    if (net->exit_kind == EXIT_ORIGINAL) {
        ei_write_conv_bn_relu(&w, 128, 3, 2);
        ei_write_conv_bn_relu(&w, 128, 3, 2);
    } else {
        ei_write_conv_bn_relu(&w, 64, 3, 2);
    }
    ei_write_global_avg_pool(&w);
    ei_write_flatten(&w);
    ei_write_linear(&w, net->program->classes);
}

static void build(struct ei_program *out, int32_t layers, int32_t base, enum exit_kind exit_kind)
{
    struct msdnet net = {
        .program = out, .layers = layers, .base = base, .exit_kind = exit_kind, .n_in = CHANNELS_FIRST};
    out->trunk_slots = SCALES;
    out->block_count = layers - base + 1;
    int32_t l = 1;
    for (int32_t block = 0; block < out->block_count; block++) {
        struct ei_writer w = ei_writer_conv(out, block, out->input.channels, out->input.height_px);
        if (block == 0) {
            first_layer(&net, &w);
        }
        for (; l <= base + block; l++) {
            layer(&net, &w, l);
        }
        write_exit(&net, block);
    }
}

void ei_zoo_build_msdnet21(struct ei_program *out)
{
    build(out, 24, 4, EXIT_ORIGINAL);
}

void ei_zoo_build_msdnet40(struct ei_program *out)
{
    build(out, 40, 1, EXIT_ORIGINAL);
}

void ei_zoo_build_msdnet21_light(struct ei_program *out)
{
    build(out, 24, 4, EXIT_LIGHT);
}

void ei_zoo_build_msdnet40_light(struct ei_program *out)
{
    build(out, 40, 1, EXIT_LIGHT);
}
