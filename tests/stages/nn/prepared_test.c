/* Our own kernels against their definitions, and the arena. No library. */
#include "rt/random.h"
#include "stages/nn/prepared_kernels.h"
#include "stages/nn/prepared_memory.h"
#include "stages/nn/prepared_small.h"
#include "tests/harness/harness.h"

#include <stdlib.h>

enum { AREA = 6, ROOM = 64 * AREA };

static const int32_t blocks[] = {1, 4, 8, 16};

static size_t at(const struct ei_kernel_picture *p, int32_t channel, int32_t pixel)
{
    return ((size_t)(channel / p->block) * (size_t)p->area_px + (size_t)pixel) * (size_t)p->block +
           (size_t)(channel % p->block);
}

/* Numbers where channels are, zeros in the padding, not a number behind. */
static void fill(const struct ei_kernel_picture *p, float first, float *out)
{
    const int32_t padded = (p->channels + p->block - 1) / p->block * p->block;
    for (int32_t i = 0; i < ROOM; i++) {
        out[i] = NAN;
    }
    for (int32_t c = 0; c < padded; c++) {
        for (int32_t i = 0; i < p->area_px; i++) {
            out[at(p, c, i)] = c < p->channels ? first + (float)(c * AREA + i) : 0.0F;
        }
    }
}

static void expect_concat(int32_t block, int32_t a_channels, int32_t b_channels, bool is_in_place)
{
    const struct ei_kernel_picture a = {a_channels, AREA, block}, b = {b_channels, AREA, block};
    const struct ei_kernel_picture both = {a_channels + b_channels, AREA, block};
    float a_data[ROOM], b_data[ROOM], expected[ROOM], other[ROOM];
    fill(&a, 1.0F, a_data);
    fill(&b, 1000.0F, b_data);
    fill(&both, 1.0F, expected);
    for (int32_t c = 0; c < b_channels; c++) {
        for (int32_t i = 0; i < AREA; i++) {
            expected[at(&both, a_channels + c, i)] = b_data[at(&b, c, i)];
        }
    }
    float *out = is_in_place ? a_data : other;
    ei_kernel_concat(&a, a_data, b_channels, b_data, (int32_t)sizeof *out, out);
    const int32_t padded = (both.channels + block - 1) / block * block;
    EI_TRUEF(memcmp(out, expected, (size_t)(padded * AREA) * sizeof *out) == 0, "block %d, %d and %d channels", block,
             a_channels, b_channels);
}

/* Channels last: every pixel moves, in place or not. Elements of 2 and of 4 bytes. */
EI_TEST(concat_of_channels_last_moves_pixels)
{
    static const int32_t channels[] = {1, 3, 8, 17, 24};
    for (size_t i = 0; i < 100; i++) {
        const int32_t a = channels[i / 2 % 5], b = channels[i / 10 % 5], bytes = i % 2 == 0 ? 2 : 4;
        const bool is_in_place = i >= 50;
        const struct ei_kernel_picture picture = {a, AREA, a};
        unsigned char a_data[ROOM * 4], b_data[ROOM * 4], expected[ROOM * 4], other[ROOM * 4];
        for (int32_t n = 0; n < AREA * (a + b) * bytes; n++) {
            const int32_t p = n / ((a + b) * bytes), at = n % ((a + b) * bytes);
            expected[n] = (unsigned char)(7 * n + 1);
            if (at < a * bytes) {
                a_data[p * a * bytes + at] = expected[n];
            } else {
                b_data[p * b * bytes + at - a * bytes] = expected[n];
            }
        }
        unsigned char *out = is_in_place ? a_data : other;
        ei_kernel_concat_last(&picture, a_data, b, b_data, bytes, out);
        EI_TRUEF(memcmp(out, expected, (size_t)(AREA * (a + b) * bytes)) == 0, "%d and %d channels of %d bytes", a, b,
                 bytes);
    }
}

EI_TEST(concat_keeps_blocks_and_padding)
{
    static const int32_t channels[] = {1, 3, 4, 7, 8, 15, 16, 17, 24, 31};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        for (size_t a = 0; a < sizeof channels / sizeof channels[0]; a++) {
            for (size_t b = 0; b < sizeof channels / sizeof channels[0]; b++) {
                expect_concat(blocks[k], channels[a], channels[b], false);
                expect_concat(blocks[k], channels[a], channels[b], true);
            }
        }
    }
}

EI_TEST(lrn_is_as_defined_in_every_block)
{
    static const struct ei_kernel_lrn kinds[] = {
        {3, 5e-5F, 0.75F, 2.0F}, {5, 0.1F, 0.6F, 1.0F}, {1, 0.2F, 0.75F, 1.0F}};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        for (size_t kind = 0; kind < 3; kind++) {
            const struct ei_kernel_picture p = {19, AREA, blocks[k]};
            const struct ei_kernel_lrn *lrn = &kinds[kind];
            float x[ROOM], y[ROOM];
            fill(&p, -20.0F, x);
            ei_kernel_lrn(&p, x, lrn, y);
            for (int32_t c = 0; c < p.channels; c++) {
                for (int32_t i = 0; i < AREA; i++) {
                    double sum = 0.0;
                    for (int32_t j = c - lrn->size / 2; j <= c + lrn->size / 2; j++) {
                        const double v = j >= 0 && j < p.channels ? (double)x[at(&p, j, i)] : 0.0;
                        sum += v * v;
                    }
                    const double v = (double)x[at(&p, c, i)];
                    const double expected = v * pow((double)lrn->k + (double)lrn->alpha * sum, -(double)lrn->beta);
                    EI_NEAR(y[at(&p, c, i)], expected, 1e-5 * fmax(1.0, fabs(expected)));
                }
            }
        }
    }
}

/* Without k nothing is added to the padding's zeros; a number there would spread through the next convolution. */
EI_TEST(lrn_keeps_the_padding_zero)
{
    const struct ei_kernel_lrn lrn = {3, 0.1F, 0.75F, 0.0F};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        const struct ei_kernel_picture p = {9, AREA, blocks[k]};
        float x[ROOM], y[ROOM];
        fill(&p, 1.0F, x);
        ei_kernel_lrn(&p, x, &lrn, y);
        for (int32_t c = 0; c < (9 + p.block - 1) / p.block * p.block; c++) {
            for (int32_t i = 0; i < AREA; i++) {
                EI_TRUEF(c < 9 ? y[at(&p, c, i)] > 0.0F : y[at(&p, c, i)] == 0.0F, "block %d, channel %d: %g", p.block,
                         c, (double)y[at(&p, c, i)]);
            }
        }
    }
}

/* The upper half of a float that holds it exactly. */
static uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    EI_EQ(bits & 0xFFFF, 0);
    return (uint16_t)(bits >> 16);
}

EI_TEST(sums_round_once_and_may_lie_in_place)
{
    enum { COUNT = 35 };
    float a[COUNT], b[COUNT], y[COUNT];
    for (int32_t i = 0; i < COUNT; i++) {
        a[i] = (float)(i - 20);
        b[i] = 0.25F * (float)(COUNT - 2 * i);
    }
    ei_kernel_add(a, b, COUNT, 4, false, y);
    for (int32_t i = 0; i < COUNT; i++) {
        EI_NEAR(y[i], a[i] + b[i], 0.0);
    }
    ei_kernel_add(a, b, COUNT, 4, true, a);
    for (int32_t i = 0; i < COUNT; i++) {
        EI_NEAR(a[i], fmaxf(y[i], 0.0F), 0.0);
    }
    /* 1 + 2^-8 lies between two neighbours and goes to the even one, as does 1 + 3 * 2^-8. */
    uint16_t x[] = {half_of(1.0F), half_of(1.0F + 0x1p-7F), half_of(1.0F), half_of(-3.0F), half_of(NAN)};
    const uint16_t more[] = {half_of(0x1p-8F), half_of(0x1p-8F), half_of(0x1.8p-8F), half_of(1.0F), half_of(1.0F)};
    const uint16_t sums[] = {half_of(1.0F), half_of(1.0F + 0x1p-6F), half_of(1.0F + 0x1p-7F), half_of(-2.0F)};
    ei_kernel_add(x, more, 5, 2, false, x);
    for (int32_t i = 0; i < 4; i++) {
        EI_EQ(x[i], sums[i]);
    }
    EI_TRUE((x[4] & 0x7F80) == 0x7F80 && (x[4] & 0x7F) != 0);
    ei_kernel_add(x, more, 4, 2, true, x);
    EI_EQ(x[3], 0);
}

EI_TEST(scale_keeps_the_padding_zero)
{
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        const struct ei_kernel_picture p = {9, AREA, blocks[k]};
        float x[ROOM], y[ROOM], scale[9], shift[9];
        fill(&p, -10.0F, x);
        for (int32_t c = 0; c < 9; c++) {
            scale[c] = 0.5F + (float)c;
            shift[c] = 3.0F - (float)c;
        }
        ei_kernel_scale(&p, x, scale, shift, true, y);
        for (int32_t c = 0; c < (9 + p.block - 1) / p.block * p.block; c++) {
            for (int32_t i = 0; i < AREA; i++) {
                const float expected = c < 9 ? fmaxf(x[at(&p, c, i)] * scale[c] + shift[c], 0.0F) : 0.0F;
                EI_NEAR(y[at(&p, c, i)], expected, 0.0);
            }
        }
    }
}

static double small_number(const struct ei_small_conv *conv, const float *weight, const float *bias, const float *in,
                           int32_t pixel, int32_t channel)
{
    const int32_t k = conv->kernel_px;
    double sum = bias != NULL ? (double)bias[channel] : 0.0;
    for (int32_t tap = 0; tap < k * k; tap++) {
        const int32_t y = pixel / conv->out_width_px * conv->stride_px + tap / k - conv->padding_px;
        const int32_t x = pixel % conv->out_width_px * conv->stride_px + tap % k - conv->padding_px;
        for (int32_t i = 0;
             y >= 0 && y < conv->in_height_px && x >= 0 && x < conv->in_width_px && i < conv->in_channels; i++) {
            sum += (double)weight[(channel * conv->in_channels + i) * k * k + tap] *
                   (double)in[(y * conv->in_width_px + x) * conv->in_channels + i];
        }
    }
    return conv->has_relu ? fmax(sum, 0.0) : sum;
}

static float *draw_floats(struct ei_random *rng, int64_t count)
{
    float *out = aligned_alloc(64, (size_t)(count / 16 + 1) * 64);
    for (int64_t i = 0; out != NULL && i < count; i++) {
        out[i] = (float)ei_random_normal(rng);
    }
    EI_TRUE(out != NULL);
    return out;
}

/* Nothing is written behind the result, whose pixels may fill no tile. */
static void expect_small(struct ei_small_conv *conv, struct ei_random *rng, bool has_bias)
{
    const int32_t pixels = conv->out_height_px * conv->out_width_px, results = pixels * conv->out_channels;
    float *weight =
        draw_floats(rng, (int64_t)conv->out_channels * conv->in_channels * conv->kernel_px * conv->kernel_px);
    float *bias = draw_floats(rng, conv->out_channels), *packed = draw_floats(rng, ei_small_conv_floats(conv));
    float *in = draw_floats(rng, (int64_t)conv->in_height_px * conv->in_width_px * conv->in_channels);
    float *out = draw_floats(rng, results + EI_SMALL_PANEL);
    const float behind = out[results];
    ei_small_conv_pack(conv, weight, has_bias ? bias : NULL, packed);
    conv->packed = packed;
    for (int32_t run = 0; run < 2; run++) { /* the second one in what the first one left */
        ei_small_conv_run(conv, in, out);
        for (int32_t i = 0; i < results; i++) {
            const double expected =
                small_number(conv, weight, has_bias ? bias : NULL, in, i / conv->out_channels, i % conv->out_channels);
            EI_NEAR(out[i], expected, 1e-3);
        }
    }
    EI_NEAR(out[results], behind, 0.0);
    free(weight);
    free(bias);
    free(packed);
    free(in);
    free(out);
}

EI_TEST(convolutions_of_small_pictures_are_as_defined)
{
    static const int32_t channels[] = {1, 3, 17, 127, 128, 129, 260};
    struct ei_random rng;
    int32_t fit = 0;
    ei_random_init(&rng, 9, 0);
    for (int32_t i = 0; i < 60; i++) {
        struct ei_small_conv conv = {.in_channels = channels[i % 7],
                                     .in_height_px = 1 + (int32_t)ei_random_below(&rng, 6),
                                     .in_width_px = 1 + (int32_t)ei_random_below(&rng, 6),
                                     .out_channels = EI_SMALL_PANEL * (1 + i % 2),
                                     .kernel_px = 1 + (int32_t)ei_random_below(&rng, 4),
                                     .stride_px = 1 + (int32_t)ei_random_below(&rng, 3),
                                     .padding_px = (int32_t)ei_random_below(&rng, 3),
                                     .has_relu = i % 3 == 0};
        conv.out_height_px = (conv.in_height_px + 2 * conv.padding_px - conv.kernel_px) / conv.stride_px + 1;
        conv.out_width_px = (conv.in_width_px + 2 * conv.padding_px - conv.kernel_px) / conv.stride_px + 1;
        const bool has_window = conv.in_height_px + 2 * conv.padding_px >= conv.kernel_px &&
                                conv.in_width_px + 2 * conv.padding_px >= conv.kernel_px;
        if (has_window && ei_small_conv_is_fit(&conv)) {
            expect_small(&conv, &rng, i % 2 == 0);
            fit++;
        }
    }
    struct ei_small_conv conv = {.in_channels = 8, .out_channels = 32, .kernel_px = 1, .stride_px = 1};
    conv.in_height_px = conv.out_height_px = 17;
    conv.in_width_px = conv.out_width_px = 1;
    EI_TRUE(!ei_small_conv_is_fit(&conv)); /* too many pixels */
    conv.in_height_px = conv.out_height_px = 16;
    conv.out_channels = 33;
    EI_TRUE(!ei_small_conv_is_fit(&conv)); /* no whole panels */
    conv.out_channels = 32;
    if (!ei_small_conv_is_fit(&conv)) {
        ei_test_skip("this processor has no AVX-512");
    }
    EI_TRUE(fit > 20);
}

EI_TEST(what_is_needed_together_lies_apart)
{
    enum { BUFFERS = 120 };
    struct ei_arena_buffer buffers[BUFFERS];
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    int64_t sum = 0;
    for (int i = 0; i < BUFFERS; i++) {
        const int32_t first = (int32_t)ei_random_below(&rng, 100);
        buffers[i] = (struct ei_arena_buffer){.bytes = 1 + (int64_t)ei_random_below(&rng, 5000),
                                              .first = first,
                                              .last = first + (int32_t)ei_random_below(&rng, 10)};
        sum += buffers[i].bytes;
    }
    const int64_t size = ei_arena_place(buffers, BUFFERS, 64);
    EI_IN(size, 5000, sum / 3);
    for (int i = 0; i < BUFFERS; i++) {
        const struct ei_arena_buffer *a = &buffers[i];
        EI_TRUE(a->offset >= 0 && a->offset % 64 == 0 && a->offset + a->bytes <= size);
        for (int k = 0; k < i; k++) {
            const struct ei_arena_buffer *b = &buffers[k];
            const bool is_together = a->first <= b->last && b->first <= a->last;
            EI_TRUE(!is_together || a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
    }
}

EI_MAIN()
