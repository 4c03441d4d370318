/* Loops are over the innermost block, or over pixels where channels are not blocked, so that they vectorise. */
#include "stages/nn/prepared_kernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static size_t blocks_bytes(int32_t channels, const struct ei_kernel_picture *p, int32_t element_bytes)
{
    return (size_t)((channels + p->block - 1) / p->block) * (size_t)p->area_px * (size_t)p->block *
           (size_t)element_bytes;
}

void ei_kernel_concat(const struct ei_kernel_picture *a, const void *a_data, int32_t b_channels, const void *b_data,
                      int32_t element_bytes, void *out)
{
    const int32_t block = a->block, all = a->channels + b_channels;
    const size_t row = (size_t)block * (size_t)element_bytes, plane = row * (size_t)a->area_px;
    const size_t had = blocks_bytes(a->channels, a, element_bytes);
    if (out != a_data) {
        memcpy(out, a_data, had);
    }
    if (a->channels % block == 0) {
        memcpy((char *)out + had, b_data, blocks_bytes(b_channels, a, element_bytes));
        return;
    }
    /* Runs of channels that neither side interrupts; what is new in `out` is cleared first for the padding. */
    memset((char *)out + had, 0, blocks_bytes(all, a, element_bytes) - had);
    for (int32_t c = 0; c < b_channels;) {
        const int32_t to = a->channels + c;
        const int32_t run = least(least(block - c % block, block - to % block), b_channels - c);
        const char *from =
            (const char *)b_data + (size_t)(c / block) * plane + (size_t)(c % block) * (size_t)element_bytes;
        char *into = (char *)out + (size_t)(to / block) * plane + (size_t)(to % block) * (size_t)element_bytes;
        const size_t run_bytes = (size_t)run * (size_t)element_bytes;
        for (int32_t p = 0; p < a->area_px; p++) {
            memcpy(into + (size_t)p * row, from + (size_t)p * row, run_bytes);
        }
        c += run;
    }
}

/* From the last pixel to the first, so that one that moves within `out` meets none that has yet to. */
void ei_kernel_concat_last(const struct ei_kernel_picture *a, const void *a_data, int32_t b_channels,
                           const void *b_data, int32_t element_bytes, void *out)
{
    const size_t a_bytes = (size_t)a->channels * (size_t)element_bytes;
    const size_t b_bytes = (size_t)b_channels * (size_t)element_bytes;
    for (size_t p = (size_t)a->area_px; p-- > 0;) {
        char *to = (char *)out + p * (a_bytes + b_bytes);
        memmove(to, (const char *)a_data + p * a_bytes, a_bytes);
        memcpy(to + a_bytes, (const char *)b_data + p * b_bytes, b_bytes);
    }
}

EINET_VECTOR_CLONES static void add_floats(const float *a, const float *b, size_t count, bool has_relu, float *out)
{
    for (size_t i = 0; i < count; i++) {
        const float y = a[i] + b[i];
        out[i] = has_relu && y < 0.0F ? 0.0F : y;
    }
}

static float of_bfloat16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest, to even where it lies between; what is no number stays none. */
static uint16_t to_bfloat16(float value)
{
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    const uint32_t rounded = wide + 0x7FFF + ((wide >> 16) & 1);
    return (uint16_t)((value != value ? wide | 0x400000 : rounded) >> 16);
}

EINET_VECTOR_CLONES static void add_bfloat16(const uint16_t *a, const uint16_t *b, size_t count, bool has_relu,
                                             uint16_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const float y = of_bfloat16(a[i]) + of_bfloat16(b[i]);
        out[i] = to_bfloat16(has_relu && y < 0.0F ? 0.0F : y);
    }
}

void ei_kernel_add(const void *a, const void *b, int64_t count, int32_t element_bytes, bool has_relu, void *out)
{
    if (element_bytes == 4) {
        add_floats(a, b, (size_t)count, has_relu, out);
    } else {
        add_bfloat16(a, b, (size_t)count, has_relu, out);
    }
}

/* d^-beta; the usual 0.75 without powf. */
static float negative_power(float d, float beta)
{
    if (beta == 0.75F) {
        const float root = sqrtf(d);
        return 1.0F / (root * sqrtf(root));
    }
    return powf(d, -beta);
}

/* One channel after the other: rows of pixels. The sum of a window is begun anew for each channel. */
EINET_VECTOR_CLONES static void lrn_of_planes(const struct ei_kernel_picture *p, const float *x,
                                              const struct ei_kernel_lrn *lrn, float *out)
{
    const int32_t half = lrn->size / 2;
    const size_t area = (size_t)p->area_px;
    for (int32_t c = 0; c < p->channels; c++) {
        const int32_t first = c > half ? c - half : 0, last = least(c + half, p->channels - 1);
        float *to = out + (size_t)c * area;
        const float *from = x + (size_t)c * area;
        for (size_t i = 0; i < area; i++) {
            to[i] = 0.0F;
        }
        for (int32_t j = first; j <= last; j++) {
            const float *near = x + (size_t)j * area;
            for (size_t i = 0; i < area; i++) {
                to[i] += near[i] * near[i];
            }
        }
        for (size_t i = 0; i < area; i++) {
            to[i] = from[i] * negative_power(lrn->k + lrn->alpha * to[i], lrn->beta);
        }
    }
}

/* One pixel after the other: its squares are lined up, with the padding's zeros, then summed by shifts. Without k the
 * padding's own factor has no value, so it is written as zero. */
EINET_VECTOR_CLONES static void lrn_of_blocks(const struct ei_kernel_picture *p, const float *x,
                                              const struct ei_kernel_lrn *lrn, float *out)
{
    const int32_t half = lrn->size / 2, block = p->block, blocks = (p->channels + block - 1) / block;
    const int32_t width = blocks * block;
    const size_t plane = (size_t)p->area_px * (size_t)block;
    float squares[EI_KERNEL_CHANNELS_MAX], sums[EI_KERNEL_CHANNELS_MAX];
    for (int32_t i = 0; i < p->area_px; i++) {
        const float *from = x + (size_t)i * (size_t)block;
        float *to = out + (size_t)i * (size_t)block;
        for (int32_t b = 0; b < blocks; b++) {
            for (int32_t c = 0; c < block; c++) {
                const float v = from[(size_t)b * plane + (size_t)c];
                squares[b * block + c] = v * v;
            }
        }
        memcpy(sums, squares, (size_t)width * sizeof *sums);
        for (int32_t j = 1; j <= half && j < width; j++) {
            for (int32_t c = j; c < width; c++) {
                sums[c] += squares[c - j];
            }
            for (int32_t c = 0; c < width - j; c++) {
                sums[c] += squares[c + j];
            }
        }
        for (int32_t b = 0; b < blocks; b++) {
            for (int32_t c = 0; c < block; c++) {
                const float d = lrn->k + lrn->alpha * sums[b * block + c];
                to[(size_t)b * plane + (size_t)c] = from[(size_t)b * plane + (size_t)c] * negative_power(d, lrn->beta);
            }
        }
        for (int32_t c = p->channels; c < width; c++) {
            to[(size_t)(blocks - 1) * plane + (size_t)(c % block)] = 0.0F;
        }
    }
}

void ei_kernel_lrn(const struct ei_kernel_picture *picture, const float *x, const struct ei_kernel_lrn *lrn, float *out)
{
    if (picture->block == 1) {
        lrn_of_planes(picture, x, lrn, out);
    } else {
        lrn_of_blocks(picture, x, lrn, out);
    }
}

EINET_VECTOR_CLONES static void scale_row(const float *x, float scale, float shift, bool has_relu, size_t count,
                                          float *out)
{
    for (size_t i = 0; i < count; i++) {
        const float y = x[i] * scale + shift;
        out[i] = has_relu && y < 0.0F ? 0.0F : y;
    }
}

void ei_kernel_scale(const struct ei_kernel_picture *picture, const float *x, const float *scale, const float *shift,
                     bool has_relu, float *out)
{
    const size_t area = (size_t)picture->area_px;
    const int32_t block = picture->block;
    if (block == 1) {
        for (int32_t c = 0; c < picture->channels; c++) {
            scale_row(x + (size_t)c * area, scale[c], shift[c], has_relu, area, out + (size_t)c * area);
        }
        return;
    }
    for (int32_t b = 0; b * block < picture->channels; b++) {
        const int32_t used = least(block, picture->channels - b * block);
        for (size_t i = 0; i < area; i++) {
            const size_t at = ((size_t)b * area + i) * (size_t)block;
            for (int32_t c = 0; c < block; c++) {
                const float y = c < used ? x[at + (size_t)c] * scale[b * block + c] + shift[b * block + c] : 0.0F;
                out[at + (size_t)c] = has_relu && y < 0.0F ? 0.0F : y;
            }
        }
    }
}
