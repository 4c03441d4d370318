/* The operations and the pipeline of image_ops.h. Buffers come from ei_pre_create; the only calls that may allocate or
 * lock are libpng's and libturbojpeg's, inside submit sections. Thread: the job thread that owns the object. */
#include "stages/pre/image_ops.h"
#include "rt/section.h"
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

/* ---- single operations ---- */

/* Source position of an output pixel along one axis: the two neighbours and the weight of the second. */
struct tap {
    int32_t first, second;
    float weight;
};

static struct tap tap_at(int32_t dst_idx, int32_t src_count, int32_t dst_count)
{
    float at = ((float)dst_idx + 0.5F) * ((float)src_count / (float)dst_count) - 0.5F;
    at = at < 0.0F ? 0.0F : at;
    int32_t first = (int32_t)at;
    first = first > src_count - 1 ? src_count - 1 : first;
    return (struct tap){first, first + 1 < src_count ? first + 1 : first, at - (float)first};
}

EINET_RT void ei_pre_resize_bilinear(const uint8_t *src, int32_t src_w_px, int32_t src_h_px, uint8_t *dst,
                                     int32_t dst_w_px, int32_t dst_h_px, int32_t channels)
{
    for (int32_t y = 0; y < dst_h_px; y++) {
        const struct tap v = tap_at(y, src_h_px, dst_h_px);
        const uint8_t *upper = src + (size_t)v.first * (size_t)src_w_px * (size_t)channels;
        const uint8_t *lower = src + (size_t)v.second * (size_t)src_w_px * (size_t)channels;
        for (int32_t x = 0; x < dst_w_px; x++) {
            const struct tap h = tap_at(x, src_w_px, dst_w_px);
            const int32_t left = h.first * channels, right = h.second * channels;
            for (int32_t c = 0; c < channels; c++) {
                const float ul = upper[left + c], ll = lower[left + c];
                const float u = ul + ((float)upper[right + c] - ul) * h.weight;
                const float l = ll + ((float)lower[right + c] - ll) * h.weight;
                *dst++ = (uint8_t)(u + (l - u) * v.weight + 0.5F);
            }
        }
    }
}

EINET_RT void ei_pre_chw_to_hwc(const uint8_t *src, int32_t width_px, int32_t height_px, int32_t channels, uint8_t *dst)
{
    const size_t pixels = (size_t)width_px * (size_t)height_px, step = (size_t)channels;
    for (size_t c = 0; c < step; c++) {
        for (size_t i = 0; i < pixels; i++) {
            dst[i * step + c] = src[c * pixels + i];
        }
    }
}

/* An 8-bit picture in either layout: value of channel c at pixel i is data[c * channel_step + i * pixel_step]. */
struct raster {
    const uint8_t *data;
    int32_t width_px, height_px, channels;
    size_t channel_step, pixel_step;
};

static struct raster raster_hwc(const uint8_t *data, int32_t width_px, int32_t height_px, int32_t channels)
{
    return (struct raster){data, width_px, height_px, channels, 1, (size_t)channels};
}

static void normalize(const struct raster *src, float *dst, int32_t dst_channels, const float *mean, const float *std)
{
    const size_t pixels = (size_t)src->width_px * (size_t)src->height_px, step = src->pixel_step;
    for (int32_t c = 0; c < dst_channels; c++) {
        const float scale = 1.0F / (255.0F * std[c]), offset = -mean[c] / std[c];
        float *plane = dst + (size_t)c * pixels;
        if (src->channels == 3 && dst_channels == 1) {
            const uint8_t *r = src->data, *g = r + src->channel_step, *b = g + src->channel_step;
            for (size_t i = 0; i < pixels; i++) {
                const int gray = (77 * r[i * step] + 150 * g[i * step] + 29 * b[i * step] + 128) / 256;
                plane[i] = (float)gray * scale + offset;
            }
            continue;
        }
        const uint8_t *from = src->data + (src->channels == 1 ? 0 : (size_t)c * src->channel_step);
        for (size_t i = 0; i < pixels; i++) {
            plane[i] = (float)from[i * step] * scale + offset;
        }
    }
}

EINET_RT void ei_pre_normalize(const uint8_t *src, int32_t width_px, int32_t height_px, int32_t src_channels,
                               float *dst, int32_t dst_channels, const float *mean, const float *std)
{
    const struct raster raster = raster_hwc(src, width_px, height_px, src_channels);
    normalize(&raster, dst, dst_channels, mean, std);
}

/* ---- decoder ---- */

struct ei_pre_decoder {
    tjhandle jpeg; /* NULL after a failure, until the next picture */
};

/* A decoded picture and where it goes. */
struct decoded {
    uint8_t *dst;
    size_t capacity_bytes;
    int32_t width_px, height_px, channels;
};

/* The rest of a PNG file in memory. */
struct png_source {
    const uint8_t *next;
    size_t left_bytes;
};

static bool is_within_limits(int64_t width_px, int64_t height_px, int64_t channels, size_t capacity_bytes)
{
    return width_px >= 1 && width_px <= EI_PRE_SIDE_MAX_PX && height_px >= 1 && height_px <= EI_PRE_SIDE_MAX_PX &&
           (uint64_t)(width_px * height_px * channels) <= capacity_bytes;
}

static void png_take(png_structp png, png_bytep dst, size_t size_bytes)
{
    struct png_source *source = png_get_io_ptr(png);
    if (size_bytes > source->left_bytes) {
        png_error(png, "truncated");
    }
    memcpy(dst, source->next, size_bytes);
    source->next += size_bytes;
    source->left_bytes -= size_bytes;
}

/* libpng's own handlers print. */
static void png_fail(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void png_ignore(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* Everything that may longjmp, apart from the function with setjmp so that no local is clobbered. */
static int png_read_all(png_structp png, png_infop info, struct decoded *out)
{
    png_read_info(png, info);
    const png_byte colour = png_get_color_type(png, info);
    out->width_px = (int32_t)png_get_image_width(png, info);
    out->height_px = (int32_t)png_get_image_height(png, info);
    out->channels = (colour & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1; /* a palette is colour too */
    if (!is_within_limits(out->width_px, out->height_px, out->channels, out->capacity_bytes)) {
        return EINET_E_LIMIT;
    }
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        png_set_palette_to_rgb(png);
    }
    if (colour == PNG_COLOR_TYPE_GRAY) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t row_bytes = (size_t)out->width_px * (size_t)out->channels;
    if (png_get_rowbytes(png, info) != row_bytes) {
        return EINET_E_FILE;
    }
    for (int pass = 0; pass < passes; pass++) {
        for (int32_t y = 0; y < out->height_px; y++) {
            png_read_row(png, out->dst + (size_t)y * row_bytes, NULL);
        }
    }
    png_read_end(png, NULL);
    return 0;
}

static int decode_png(const struct einet_image *image, struct decoded *out)
{
    struct png_source source = {image->data, image->size_bytes};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, png_fail, png_ignore);
    if (!png) {
        return -ENOMEM;
    }
    png_infop info = png_create_info_struct(png);
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return -ENOMEM;
    }
    int rc;
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_read_fn(png, &source, png_take);
        png_set_user_limits(png, 1U << 30, 1U << 30); /* ours follow, with a code of their own */
        rc = png_read_all(png, info, out);
    } else {
        rc = EINET_E_FILE; /* png_fail came back here */
    }
    png_destroy_read_struct(&png, &info, NULL);
    return rc;
}

static int decode_jpeg_with(tjhandle jpeg, const struct einet_image *image, struct decoded *out)
{
    int width = 0, height = 0, sampling = 0, space = 0;
    if (tjDecompressHeader3(jpeg, image->data, image->size_bytes, &width, &height, &sampling, &space) != 0) {
        return EINET_E_FILE;
    }
    if (space == TJCS_CMYK || space == TJCS_YCCK || width < 1 || height < 1) { /* a file of tables alone has no size */
        return EINET_E_FILE;
    }
    out->width_px = width;
    out->height_px = height;
    out->channels = space == TJCS_GRAY ? 1 : 3;
    if (!is_within_limits(width, height, out->channels, out->capacity_bytes)) {
        return EINET_E_LIMIT;
    }
    /* A warning means corrupt data that libjpeg would fill in; the limit of scans bounds a progressive file's time. */
    const int flags = TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS;
    const int pixel_format = out->channels == 1 ? TJPF_GRAY : TJPF_RGB;
    return tjDecompress2(jpeg, image->data, image->size_bytes, out->dst, width, 0, height, pixel_format, flags) == 0
               ? 0
               : EINET_E_FILE;
}

/* libjpeg-turbo 2.1 does not reset its reader when a header is corrupt, so that one bad file would make every later one
 * fail; therefore a handle that failed is replaced. */
static int decode_jpeg(struct ei_pre_decoder *decoder, const struct einet_image *image, struct decoded *out)
{
    if (!decoder->jpeg) {
        decoder->jpeg = tjInitDecompress();
    }
    if (!decoder->jpeg) {
        return -ENOMEM;
    }
    const int rc = decode_jpeg_with(decoder->jpeg, image, out);
    if (rc < 0) {
        tjDestroy(decoder->jpeg);
        decoder->jpeg = NULL;
    }
    return rc;
}

int ei_pre_decoder_create(struct ei_pre_decoder **out, struct einet_error *err)
{
    struct ei_pre_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) {
        return einet_error_set(err, -ENOMEM, "no memory for the picture decoder");
    }
    decoder->jpeg = tjInitDecompress();
    if (!decoder->jpeg) {
        free(decoder);
        return einet_error_set(err, EINET_E_BACKEND, "libturbojpeg could not start: %s", tjGetErrorStr2(NULL));
    }
    *out = decoder;
    return 0;
}

EINET_RT_SUBMIT int ei_pre_decode(struct ei_pre_decoder *decoder, const struct einet_image *image, uint8_t *dst,
                                  size_t capacity_bytes, int32_t *out_width_px, int32_t *out_height_px,
                                  int32_t *out_channels)
{
    struct decoded decoded = {.dst = dst, .capacity_bytes = capacity_bytes};
    if (image->format != EINET_PIXELS_PNG && image->format != EINET_PIXELS_JPEG) {
        return -EINVAL;
    }
    ei_rt_submit_enter();
    const int rc =
        image->format == EINET_PIXELS_PNG ? decode_png(image, &decoded) : decode_jpeg(decoder, image, &decoded);
    ei_rt_submit_leave();
    if (rc < 0) {
        return rc;
    }
    *out_width_px = decoded.width_px;
    *out_height_px = decoded.height_px;
    *out_channels = decoded.channels;
    return 0;
}

void ei_pre_decoder_destroy(struct ei_pre_decoder *decoder)
{
    if (decoder) {
        if (decoder->jpeg) {
            tjDestroy(decoder->jpeg);
        }
        free(decoder);
    }
}

/* ---- pipeline ---- */

struct ei_pre {
    struct ei_pre_config config;
    bool can_decode, can_resize;
    float mean[3], std[3]; /* 0 and 1 without a normalize op */
    struct ei_pre_decoder *decoder;
    uint8_t *input; /* HWC of the input */
    size_t input_bytes;
    uint8_t *resized; /* HWC of the result */
    size_t resized_bytes;
};

static bool is_side(int32_t side_px)
{
    return side_px >= 1 && side_px <= EI_PRE_SIDE_MAX_PX;
}

static int check_config(const struct ei_pre_config *config, struct einet_error *err)
{
    if (config->op_count < 0 || config->op_count > EI_PRE_OPS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a preprocessing stage has %d operations, allowed are 0 .. %d",
                               config->op_count, EI_PRE_OPS_MAX);
    }
    for (int32_t i = 0; i < config->op_count; i++) {
        if (config->ops[i] > EI_PRE_NORMALIZE || (i > 0 && config->ops[i] <= config->ops[i - 1])) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "preprocessing operation %d is out of order: use each of decode, resize and "
                                   "normalize at most once, in this order",
                                   i + 1);
        }
    }
    if (!is_side(config->width_px) || !is_side(config->height_px) || !is_side(config->input_width_max_px) ||
        !is_side(config->input_height_max_px)) {
        return einet_error_set(err, EINET_E_LIMIT,
                               "a picture of %dx%d from at most %dx%d pixels is asked for; each side must be 1 .. %d",
                               config->width_px, config->height_px, config->input_width_max_px,
                               config->input_height_max_px, EI_PRE_SIDE_MAX_PX);
    }
    if (config->channels != 1 && config->channels != 3) {
        return einet_error_set(err, EINET_E_USAGE, "a picture of %d channels is asked for; choose 1 or 3",
                               config->channels);
    }
    return 0;
}

/* Take over mean and deviation when there is a normalize op. */
static int set_normalization(struct ei_pre *pre, struct einet_error *err)
{
    const struct ei_pre_config *config = &pre->config;
    for (int i = 0; i < 3; i++) {
        pre->mean[i] = 0.0F;
        pre->std[i] = 1.0F;
    }
    if (config->op_count == 0 || config->ops[config->op_count - 1] != EI_PRE_NORMALIZE) {
        return 0;
    }
    for (int32_t i = 0; i < config->channels; i++) {
        if (!(config->std[i] > 0.0F)) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "the standard deviation of channel %d is %g; it must be greater than 0", i,
                                   (double)config->std[i]);
        }
        pre->mean[i] = config->mean[i];
        pre->std[i] = config->std[i];
    }
    return 0;
}

int ei_pre_create(const struct ei_pre_config *config, struct ei_pre **out, struct einet_error *err)
{
    int rc = check_config(config, err);
    if (rc < 0) {
        return rc;
    }
    struct ei_pre *pre = calloc(1, sizeof *pre);
    if (!pre) {
        return einet_error_set(err, -ENOMEM, "no memory for a preprocessing stage");
    }
    pre->config = *config;
    for (int32_t i = 0; i < config->op_count; i++) {
        pre->can_decode = pre->can_decode || config->ops[i] == EI_PRE_DECODE;
        pre->can_resize = pre->can_resize || config->ops[i] == EI_PRE_RESIZE;
    }
    rc = set_normalization(pre, err);
    if (rc < 0) {
        goto out_destroy;
    }
    pre->input_bytes = 3 * (size_t)config->input_width_max_px * (size_t)config->input_height_max_px;
    pre->resized_bytes = 3 * (size_t)config->width_px * (size_t)config->height_px;
    pre->input = malloc(pre->input_bytes);
    pre->resized = malloc(pre->resized_bytes);
    if (!pre->input || !pre->resized) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a preprocessing stage: %zu bytes are needed",
                             pre->input_bytes + pre->resized_bytes);
        goto out_destroy;
    }
    memset(pre->input, 0x80, pre->input_bytes); /* touch every page now, not in the first job */
    memset(pre->resized, 0x80, pre->resized_bytes);
    if (pre->can_decode) {
        rc = ei_pre_decoder_create(&pre->decoder, err);
    }
out_destroy:
    if (rc < 0) {
        ei_pre_destroy(pre);
        return rc;
    }
    *out = pre;
    return 0;
}

size_t ei_pre_memory_bytes(const struct ei_pre *pre)
{
    return pre->input_bytes + pre->resized_bytes;
}

/* View a raw picture where it lies; its declared dimensions are checked, because callers hand it in. */
static int view_raw(const struct ei_pre *pre, const struct einet_image *image, struct raster *out)
{
    if ((image->channels != 1 && image->channels != 3) || image->width_px < 1 || image->height_px < 1) {
        return -EINVAL;
    }
    if (image->width_px > pre->config.input_width_max_px || image->height_px > pre->config.input_height_max_px) {
        return EINET_E_LIMIT;
    }
    const size_t pixels = (size_t)image->width_px * (size_t)image->height_px, channels = (size_t)image->channels;
    if (image->size_bytes != pixels * channels) {
        return -EINVAL;
    }
    *out = raster_hwc(image->data, image->width_px, image->height_px, image->channels);
    if (image->format == EINET_PIXELS_CHW_U8) {
        out->channel_step = pixels;
        out->pixel_step = 1;
    }
    return 0;
}

static int view_compressed(struct ei_pre *pre, const struct einet_image *image, struct raster *out)
{
    int32_t width_px, height_px, channels;
    if (!pre->can_decode) {
        return -EINVAL;
    }
    const int rc = ei_pre_decode(pre->decoder, image, pre->input, pre->input_bytes, &width_px, &height_px, &channels);
    if (rc == 0) {
        *out = raster_hwc(pre->input, width_px, height_px, channels);
    }
    return rc;
}

EINET_RT int ei_pre_run(struct ei_pre *pre, const struct einet_image *image, float *out_chw)
{
    const struct ei_pre_config *config = &pre->config;
    const bool raw = image->format == EINET_PIXELS_HWC_U8 || image->format == EINET_PIXELS_CHW_U8;
    struct raster raster;
    const int rc = raw ? view_raw(pre, image, &raster) : view_compressed(pre, image, &raster);
    if (rc < 0) {
        return rc;
    }
    if (raster.width_px != config->width_px || raster.height_px != config->height_px) {
        if (!pre->can_resize) {
            return -EINVAL;
        }
        if (raster.pixel_step != (size_t)raster.channels) { /* planes; with one channel both layouts are the same */
            ei_pre_chw_to_hwc(raster.data, raster.width_px, raster.height_px, raster.channels, pre->input);
            raster.data = pre->input;
        }
        ei_pre_resize_bilinear(raster.data, raster.width_px, raster.height_px, pre->resized, config->width_px,
                               config->height_px, raster.channels);
        raster = raster_hwc(pre->resized, config->width_px, config->height_px, raster.channels);
    }
    normalize(&raster, out_chw, config->channels, pre->mean, pre->std);
    return 0;
}

void ei_pre_destroy(struct ei_pre *pre)
{
    if (pre) {
        ei_pre_decoder_destroy(pre->decoder);
        free(pre->input);
        free(pre->resized);
        free(pre);
    }
}
