/* Preprocessing against hand-computed values, the libraries' own encoders and corrupt files. */
#include "rt/random.h"
#include "stages/pre/image_ops.h"
#include "tests/harness/harness.h"
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <turbojpeg.h>

enum { SIDE_PX = 24, FILE_BYTES_MAX = 65536 };

/* A smooth RGB picture, which JPEG keeps well. */
static uint8_t smooth_pixel(int x, int y, int channel)
{
    return (uint8_t)(20 + 5 * x + 3 * y + 10 * channel);
}

static void fill_smooth(uint8_t *hwc, int width_px, int height_px, int channels)
{
    for (int i = 0; i < width_px * height_px * channels; i++) {
        hwc[i] = smooth_pixel(i / channels % width_px, i / channels / width_px, i % channels);
    }
}

/* Encode into a block of exactly the file's size, so that a sanitizer sees reads beyond. Free data with free(). */
static struct einet_image encode_png(const void *pixels, int width_px, int height_px, uint32_t format, int channels)
{
    png_image png = {
        .version = PNG_IMAGE_VERSION, .width = (uint32_t)width_px, .height = (uint32_t)height_px, .format = format};
    uint8_t *file = malloc(FILE_BYTES_MAX);
    png_alloc_size_t size_bytes = FILE_BYTES_MAX;
    EI_TRUE(file && png_image_write_to_memory(&png, file, &size_bytes, 0, pixels, 0, NULL));
    return (struct einet_image){.data = realloc(file, size_bytes),
                                .size_bytes = size_bytes,
                                .format = EINET_PIXELS_PNG,
                                .width_px = width_px,
                                .height_px = height_px,
                                .channels = channels};
}

static struct einet_image encode_jpeg(const uint8_t *pixels, int width_px, int height_px, bool gray)
{
    tjhandle jpeg = tjInitCompress();
    unsigned char *file = NULL;
    unsigned long size_bytes = 0;
    EI_EQ(tjCompress2(jpeg, pixels, width_px, 0, height_px, gray ? TJPF_GRAY : TJPF_RGB, &file, &size_bytes,
                      gray ? TJSAMP_GRAY : TJSAMP_444, 95, 0),
          0);
    uint8_t *copy = malloc(size_bytes);
    EI_TRUE(copy != NULL);
    if (copy) {
        memcpy(copy, file, size_bytes);
    }
    tjFree(file);
    tjDestroy(jpeg);
    return (struct einet_image){.data = copy,
                                .size_bytes = size_bytes,
                                .format = EINET_PIXELS_JPEG,
                                .width_px = width_px,
                                .height_px = height_px,
                                .channels = gray ? 1 : 3};
}

static void image_free(struct einet_image *image)
{
    free((void *)(uintptr_t)image->data);
}

static struct ei_pre_config config_of(int width_px, int height_px, int channels)
{
    return (struct ei_pre_config){.ops = {EI_PRE_DECODE, EI_PRE_RESIZE, EI_PRE_NORMALIZE},
                                  .op_count = 3,
                                  .input_width_max_px = 64,
                                  .input_height_max_px = 64,
                                  .width_px = width_px,
                                  .height_px = height_px,
                                  .channels = channels,
                                  .mean = {0.5F, 0.25F, 0.0F},
                                  .std = {0.5F, 0.25F, 1.0F}};
}

EI_TEST(resize_matches_hand_computed_values)
{
    /* 2x1 -> 4x1: source x = -0.25, 0.25, 0.75, 1.25, clamped to 0 and 1. */
    const uint8_t pair[] = {10, 50};
    uint8_t wide[4];
    ei_pre_resize_bilinear(pair, 2, 1, wide, 4, 1, 1);
    EI_EQ(wide[0], 10);
    EI_EQ(wide[1], 20);
    EI_EQ(wide[2], 40);
    EI_EQ(wide[3], 50);
    /* 2x2 -> 1x1: the mean of all four. */
    const uint8_t square[] = {10, 20, 31, 41};
    uint8_t one;
    ei_pre_resize_bilinear(square, 2, 2, &one, 1, 1, 1);
    EI_EQ(one, 26); /* 25.5 rounds up */
    /* 4x1 -> 2x1: source x = 0.5, 2.5. */
    const uint8_t row[] = {0, 100, 200, 250};
    uint8_t half[2];
    ei_pre_resize_bilinear(row, 4, 1, half, 2, 1, 1);
    EI_EQ(half[0], 50);
    EI_EQ(half[1], 225);
    /* 3x3 -> 2x2, two channels: source 0.25 and 1.75 on both axes. */
    uint8_t nine[18], four[8];
    for (int i = 0; i < 9; i++) {
        nine[2 * i] = (uint8_t)(i * 16);
        nine[2 * i + 1] = (uint8_t)(255 - i * 16);
    }
    ei_pre_resize_bilinear(nine, 3, 3, four, 2, 2, 2);
    const uint8_t expected[] = {16, 239, 40, 215, 88, 167, 112, 143};
    for (int i = 0; i < 8; i++) {
        EI_EQ(four[i], expected[i]);
    }
}

EI_TEST(resize_to_the_same_size_changes_nothing)
{
    uint8_t src[SIDE_PX * 7 * 3], dst[sizeof src];
    struct ei_random rng;
    ei_random_init(&rng, 3, 0);
    for (size_t i = 0; i < sizeof src; i++) {
        src[i] = (uint8_t)ei_random_u64(&rng);
    }
    ei_pre_resize_bilinear(src, SIDE_PX, 7, dst, SIDE_PX, 7, 3);
    EI_EQ(memcmp(src, dst, sizeof src), 0);
}

EI_TEST(normalize_converts_channels)
{
    const uint8_t rgb[] = {255, 0, 51, 0, 255, 102}; /* two pixels */
    const float mean[] = {0.5F, 0.25F, 0.0F}, std[] = {0.5F, 0.25F, 1.0F};
    float out[6];
    ei_pre_normalize(rgb, 2, 1, 3, out, 3, mean, std);
    const double expected[] = {1.0, -1.0, -1.0, 3.0, 0.2, 0.4};
    for (int i = 0; i < 6; i++) {
        EI_NEAR(out[i], expected[i], 1e-6);
    }
    ei_pre_normalize(rgb, 2, 1, 3, out, 1, mean, std);
    EI_NEAR(out[0], ((77 * 255 + 29 * 51 + 128) / 256 / 255.0 - 0.5) / 0.5, 1e-6);
    EI_NEAR(out[1], ((150 * 255 + 29 * 102 + 128) / 256 / 255.0 - 0.5) / 0.5, 1e-6);
    const uint8_t gray[] = {51, 204};
    ei_pre_normalize(gray, 2, 1, 1, out, 3, mean, std);
    EI_NEAR(out[0], -0.6, 1e-6);
    EI_NEAR(out[3], 2.2, 1e-6);
    EI_NEAR(out[4], 0.2, 1e-6);
    EI_NEAR(out[5], 0.8, 1e-6);
    const uint8_t white[] = {255, 255, 255};
    const float zero = 0.0F, unit = 1.0F;
    ei_pre_normalize(white, 1, 1, 3, out, 1, &zero, &unit);
    EI_NEAR(out[0], 1.0, 1e-6); /* the weights of gray sum to one */
}

/* Both layouts of the same raw picture, with and without a resize. */
EI_TEST(raw_layouts_give_the_same_result)
{
    uint8_t hwc[SIDE_PX * SIDE_PX * 3], chw[sizeof hwc];
    fill_smooth(hwc, SIDE_PX, SIDE_PX, 3);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < SIDE_PX * SIDE_PX; i++) {
            chw[c * SIDE_PX * SIDE_PX + i] = hwc[i * 3 + c];
        }
    }
    const int sizes[] = {SIDE_PX, 32, 9};
    for (int i = 0; i < 3; i++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            static float from_hwc[3 * 32 * 32], from_chw[3 * 32 * 32];
            const struct ei_pre_config config = config_of(sizes[i], sizes[i], channels);
            struct einet_image image = {hwc, sizeof hwc, EINET_PIXELS_HWC_U8, SIDE_PX, SIDE_PX, 3};
            struct ei_pre *pre;
            EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
            EI_EQ(ei_pre_run(pre, &image, from_hwc), 0);
            image.data = chw;
            image.format = EINET_PIXELS_CHW_U8;
            EI_EQ(ei_pre_run(pre, &image, from_chw), 0);
            const size_t values = (size_t)channels * (size_t)sizes[i] * (size_t)sizes[i];
            EI_EQ(memcmp(from_hwc, from_chw, values * sizeof(float)), 0);
            if (sizes[i] == SIDE_PX && channels == 3) {
                EI_NEAR(from_chw[SIDE_PX * SIDE_PX + 5], (smooth_pixel(5, 0, 1) / 255.0 - 0.25) / 0.25, 1e-5);
            }
            ei_pre_destroy(pre);
        }
    }
}

EI_TEST(without_normalize_values_are_0_to_1)
{
    const uint8_t pixels[] = {0, 51, 255, 102};
    const struct einet_image image = {pixels, 4, EINET_PIXELS_CHW_U8, 2, 2, 1};
    struct ei_pre_config config = config_of(2, 2, 1);
    config.op_count = 1;
    struct ei_pre *pre;
    float out[4];
    EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
    EI_EQ(ei_pre_memory_bytes(pre), 3 * 64 * 64 + 3 * 2 * 2);
    EI_EQ(ei_pre_run(pre, &image, out), 0);
    EI_NEAR(out[1], 0.2, 1e-6);
    EI_NEAR(out[2], 1.0, 1e-6);
    EI_NEAR(out[3], 0.4, 1e-6);
    ei_pre_destroy(pre);
}

static void check_decoded(struct ei_pre_decoder *decoder, struct einet_image image, int channels, int tolerance)
{
    uint8_t pixels[SIDE_PX * SIDE_PX * 3];
    int32_t width_px, height_px, got_channels;
    EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels, &width_px, &height_px, &got_channels), 0);
    EI_EQ(width_px, SIDE_PX);
    EI_EQ(height_px, SIDE_PX);
    EI_EQ(got_channels, channels);
    int worst = 0;
    for (int i = 0; i < SIDE_PX * SIDE_PX * channels; i++) {
        const int pixel = i / channels,
                  error = pixels[i] - smooth_pixel(pixel % SIDE_PX, pixel / SIDE_PX, i % channels);
        worst = abs(error) > worst ? abs(error) : worst;
    }
    EI_IN(worst, 0, tolerance);
    image_free(&image);
}

EI_TEST(decoder_returns_what_was_encoded)
{
    struct ei_pre_decoder *decoder;
    EI_REQUIRE(ei_pre_decoder_create(&decoder, NULL) == 0);
    uint8_t rgb[SIDE_PX * SIDE_PX * 3], gray[SIDE_PX * SIDE_PX], rgba[SIDE_PX * SIDE_PX * 4];
    fill_smooth(rgb, SIDE_PX, SIDE_PX, 3);
    fill_smooth(gray, SIDE_PX, SIDE_PX, 1);
    for (int i = 0; i < SIDE_PX * SIDE_PX; i++) { /* colour counts as stored, however transparent */
        memcpy(rgba + 4 * i, rgb + 3 * i, 3);
        rgba[4 * i + 3] = (uint8_t)(i % 256);
    }
    check_decoded(decoder, encode_png(rgb, SIDE_PX, SIDE_PX, PNG_FORMAT_RGB, 3), 3, 0);
    check_decoded(decoder, encode_png(gray, SIDE_PX, SIDE_PX, PNG_FORMAT_GRAY, 1), 1, 0);
    check_decoded(decoder, encode_png(rgba, SIDE_PX, SIDE_PX, PNG_FORMAT_RGBA, 3), 3, 0);
    check_decoded(decoder, encode_jpeg(rgb, SIDE_PX, SIDE_PX, false), 3, 4);
    check_decoded(decoder, encode_jpeg(gray, SIDE_PX, SIDE_PX, true), 1, 4);
    ei_pre_decoder_destroy(decoder);
    ei_pre_decoder_destroy(NULL);
}

/* Palette, 16 bit, 1 bit and interlaced files, written with libpng's long interface. */
static struct einet_image write_special_png(FILE *file, int bits, int colour, int interlace)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    const png_color palette[2] = {{10, 20, 30}, {200, 100, 50}};
    const png_byte alpha[2] = {0, 128};
    png_byte rows[8][8 * 6], *row_pointers[8];
    for (int y = 0; y < 8; y++) {
        for (int i = 0; i < 8 * 6; i++) { /* bits 1010.., or the 16-bit value 257 * 30 y */
            rows[y][i] = (png_byte)(bits == 16 ? y * 30 : 0xAA);
        }
        row_pointers[y] = rows[y];
    }
    png_init_io(png, file);
    png_set_IHDR(png, info, 8, 8, bits, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 2);
        png_set_tRNS(png, info, alpha, 2, NULL); /* must not matter */
    }
    png_set_rows(png, info, row_pointers);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    const long size_bytes = ftell(file);
    uint8_t *bytes = malloc((size_t)size_bytes);
    rewind(file);
    EI_TRUE(bytes && fread(bytes, 1, (size_t)size_bytes, file) == (size_t)size_bytes);
    return (struct einet_image){bytes, (size_t)size_bytes, EINET_PIXELS_PNG, 8, 8, 3};
}

EI_TEST(png_variants_become_8_bit)
{
    static const struct {
        int bits, colour, interlace, channels;
        uint8_t first[3], second[3]; /* pixels (0, 7) and (1, 7) */
    } cases[] = {
        {1, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, 3, {200, 100, 50}, {10, 20, 30}},
        {1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, 1, {255, 0, 0}, {0, 0, 0}},
        {1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_ADAM7, 1, {255, 0, 0}, {0, 0, 0}},
        {16, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, 3, {210, 210, 210}, {210, 210, 210}},
        {16, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, 3, {210, 210, 210}, {210, 210, 210}},
    };
    struct ei_pre_decoder *decoder;
    EI_REQUIRE(ei_pre_decoder_create(&decoder, NULL) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FILE *file = tmpfile();
        EI_REQUIRE(file != NULL);
        struct einet_image image = write_special_png(file, cases[i].bits, cases[i].colour, cases[i].interlace);
        fclose(file);
        uint8_t pixels[8 * 8 * 3];
        int32_t width_px, height_px, channels;
        EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels, &width_px, &height_px, &channels), 0);
        EI_EQ(channels, cases[i].channels);
        for (int c = 0; c < channels; c++) {
            EI_EQ(pixels[7 * 8 * channels + c], cases[i].first[c]);
            EI_EQ(pixels[(7 * 8 + 1) * channels + c], cases[i].second[c]);
        }
        image_free(&image);
    }
    ei_pre_decoder_destroy(decoder);
}

EI_TEST(corrupt_files_are_refused)
{
    uint8_t rgb[SIDE_PX * SIDE_PX * 3], pixels[sizeof rgb];
    int32_t width_px, height_px, channels;
    struct ei_pre_decoder *decoder;
    fill_smooth(rgb, SIDE_PX, SIDE_PX, 3);
    EI_REQUIRE(ei_pre_decoder_create(&decoder, NULL) == 0);
    for (int kind = 0; kind < 2; kind++) {
        struct einet_image image = kind == 0 ? encode_png(rgb, SIDE_PX, SIDE_PX, PNG_FORMAT_RGB, 3)
                                             : encode_jpeg(rgb, SIDE_PX, SIDE_PX, false);
        const size_t whole_bytes = image.size_bytes;
        EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels, &width_px, &height_px, &channels), 0);
        EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels - 1, &width_px, &height_px, &channels),
              EINET_E_LIMIT);
        /* A JPEG's end marker may be missing, the entropy coded data may not. */
        for (size_t length = 0; length + 3 < whole_bytes; length++) {
            uint8_t *cut = malloc(length ? length : 1);
            EI_REQUIRE(cut != NULL);
            memcpy(cut, image.data, length);
            const struct einet_image broken = {cut, length, image.format, SIDE_PX, SIDE_PX, 3};
            EI_EQ(ei_pre_decode(decoder, &broken, pixels, sizeof pixels, &width_px, &height_px, &channels),
                  EINET_E_FILE);
            free(cut);
        }
        const struct einet_image swapped = {image.data, whole_bytes, kind == 0 ? EINET_PIXELS_JPEG : EINET_PIXELS_PNG,
                                            SIDE_PX,    SIDE_PX,     3};
        EI_EQ(ei_pre_decode(decoder, &swapped, pixels, sizeof pixels, &width_px, &height_px, &channels), EINET_E_FILE);
        EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels, &width_px, &height_px, &channels), 0);
        image_free(&image);
    }
    const struct einet_image raw = {rgb, sizeof rgb, EINET_PIXELS_HWC_U8, SIDE_PX, SIDE_PX, 3};
    EI_EQ(ei_pre_decode(decoder, &raw, pixels, sizeof pixels, &width_px, &height_px, &channels), -EINVAL);
    ei_pre_decoder_destroy(decoder);
}

/* Random damage: any code but a crash; a sound file decodes afterwards with the same decoder. */
EI_TEST(damaged_files_do_no_harm)
{
    uint8_t rgb[SIDE_PX * SIDE_PX * 3], pixels[sizeof rgb];
    int32_t width_px, height_px, channels;
    struct ei_pre_decoder *decoder;
    struct ei_random rng;
    ei_random_init(&rng, 17, 0);
    fill_smooth(rgb, SIDE_PX, SIDE_PX, 3);
    EI_REQUIRE(ei_pre_decoder_create(&decoder, NULL) == 0);
    for (int kind = 0; kind < 2; kind++) {
        struct einet_image image = kind == 0 ? encode_png(rgb, SIDE_PX, SIDE_PX, PNG_FORMAT_RGB, 3)
                                             : encode_jpeg(rgb, SIDE_PX, SIDE_PX, false);
        uint8_t *copy = malloc(image.size_bytes);
        EI_REQUIRE(copy != NULL);
        const struct einet_image broken = {copy, image.size_bytes, image.format, SIDE_PX, SIDE_PX, 3};
        for (int round = 0; round < 3000; round++) {
            memcpy(copy, image.data, image.size_bytes);
            for (uint64_t n = 1 + ei_random_below(&rng, 4); n > 0; n--) {
                copy[ei_random_below(&rng, image.size_bytes)] = (uint8_t)ei_random_u64(&rng);
            }
            const int rc = ei_pre_decode(decoder, &broken, pixels, sizeof pixels, &width_px, &height_px, &channels);
            EI_TRUEF(rc == 0 || rc == EINET_E_FILE || rc == EINET_E_LIMIT || rc == -ENOMEM, "round %d: %d", round, rc);
        }
        EI_EQ(ei_pre_decode(decoder, &image, pixels, sizeof pixels, &width_px, &height_px, &channels), 0);
        free(copy);
        image_free(&image);
    }
    ei_pre_decoder_destroy(decoder);
}

EI_TEST(pipeline_decodes_resizes_and_normalizes)
{
    uint8_t rgb[SIDE_PX * SIDE_PX * 3], resized[12 * 10 * 3];
    float expected[3 * 12 * 10], out[3 * 12 * 10];
    fill_smooth(rgb, SIDE_PX, SIDE_PX, 3);
    struct einet_image image = encode_png(rgb, SIDE_PX, SIDE_PX, PNG_FORMAT_RGB, 3);
    const struct ei_pre_config config = config_of(12, 10, 3);
    struct ei_pre *pre;
    EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
    EI_EQ(ei_pre_run(pre, &image, out), 0);
    ei_pre_resize_bilinear(rgb, SIDE_PX, SIDE_PX, resized, 12, 10, 3);
    ei_pre_normalize(resized, 12, 10, 3, expected, 3, config.mean, config.std);
    EI_EQ(memcmp(out, expected, sizeof out), 0);
    ei_pre_destroy(pre);
    image_free(&image);
}

EI_TEST(pipeline_refuses_what_does_not_fit)
{
    static uint8_t pixels[65 * 65 * 3];
    float out[3 * 32 * 32];
    struct ei_pre_config config = config_of(32, 32, 3);
    struct ei_pre *pre;
    EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
    out[0] = 42.0F;
    const struct {
        struct einet_image image;
        int rc;
    } cases[] = {{{pixels, 32 * 32 * 3 - 1, EINET_PIXELS_CHW_U8, 32, 32, 3}, -EINVAL},
                 {{pixels, 32 * 32 * 3 + 1, EINET_PIXELS_HWC_U8, 32, 32, 3}, -EINVAL},
                 {{pixels, 32 * 32 * 2, EINET_PIXELS_CHW_U8, 32, 32, 2}, -EINVAL},
                 {{pixels, 0, EINET_PIXELS_CHW_U8, 0, 32, 3}, -EINVAL},
                 {{pixels, 32, EINET_PIXELS_CHW_U8, -32, -1, 1}, -EINVAL},
                 {{pixels, 65 * 65 * 3, EINET_PIXELS_CHW_U8, 65, 65, 3}, EINET_E_LIMIT},
                 {{pixels, 100, EINET_PIXELS_JPEG, 32, 32, 3}, EINET_E_FILE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EI_EQ(ei_pre_run(pre, &cases[i].image, out), cases[i].rc);
    }
    EI_NEAR(out[0], 42.0, 0);
    ei_pre_destroy(pre);
    /* Without the op that would be needed. */
    config.ops[0] = EI_PRE_NORMALIZE;
    config.op_count = 1;
    EI_REQUIRE(ei_pre_create(&config, &pre, NULL) == 0);
    const struct einet_image small = {pixels, 16 * 16 * 3, EINET_PIXELS_CHW_U8, 16, 16, 3};
    const struct einet_image compressed = {pixels, 100, EINET_PIXELS_PNG, 32, 32, 3};
    EI_EQ(ei_pre_run(pre, &small, out), -EINVAL);
    EI_EQ(ei_pre_run(pre, &compressed, out), -EINVAL);
    EI_NEAR(out[0], 42.0, 0);
    ei_pre_destroy(pre);
    ei_pre_destroy(NULL);
}

EI_TEST(config_is_checked)
{
    struct einet_error err;
    struct ei_pre *pre = NULL;
    struct ei_pre_config config = config_of(32, 32, 3);
    config.ops[1] = EI_PRE_DECODE;
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "operation 2 is out of order");
    config = config_of(32, 32, 3);
    config.op_count = EI_PRE_OPS_MAX + 1;
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_USAGE);
    config = config_of(32, EI_PRE_SIDE_MAX_PX + 1, 3);
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_LIMIT);
    config = config_of(32, 32, 3);
    config.input_width_max_px = 0;
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_LIMIT);
    config = config_of(32, 32, 2);
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_USAGE);
    config = config_of(32, 32, 3);
    config.std[2] = 0.0F;
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "channel 2");
    config.std[2] = NAN;
    EI_EQ(ei_pre_create(&config, &pre, &err), EINET_E_USAGE);
    EI_TRUE(pre == NULL);
}

EI_MAIN()
