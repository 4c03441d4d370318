#include "stages/dnnl/im2col.h"

#include <stddef.h>
#include <string.h>

int64_t ei_im2col_window(const struct ei_im2col *shape)
{
    return (int64_t)shape->kernel_px * shape->kernel_px * shape->channels;
}

int64_t ei_im2col_bytes(const struct ei_im2col *shape)
{
    return ei_im2col_window(shape) * shape->out_height_px * shape->out_width_px * shape->element_bytes;
}

/* One row of one window, [kernel][channels]: zeros to both sides of the picture, what it has in between. */
static void copy_row(const struct ei_im2col *shape, const char *row, int32_t first_px, char *out)
{
    const size_t pixel_bytes = (size_t)shape->channels * (size_t)shape->element_bytes;
    const int32_t end_px = first_px + shape->kernel_px;
    const int32_t begin = first_px > 0 ? first_px : 0, end = end_px < shape->width_px ? end_px : shape->width_px;
    if (begin >= end) {
        memset(out, 0, (size_t)shape->kernel_px * pixel_bytes);
        return;
    }
    const size_t before = (size_t)(begin - first_px), inside = (size_t)(end - begin), after = (size_t)(end_px - end);
    memset(out, 0, before * pixel_bytes);
    memcpy(out + before * pixel_bytes, row + (size_t)begin * pixel_bytes, inside * pixel_bytes);
    memset(out + (before + inside) * pixel_bytes, 0, after * pixel_bytes);
}

void ei_im2col_gather(const struct ei_im2col *shape, const void *picture, void *windows)
{
    const size_t pixel_bytes = (size_t)shape->channels * (size_t)shape->element_bytes;
    const size_t row_bytes = (size_t)shape->width_px * pixel_bytes;
    const size_t out_bytes = (size_t)shape->kernel_px * pixel_bytes;
    const char *in = picture;
    char *out = windows;
    for (int32_t y = 0; y < shape->out_height_px; y++) {
        for (int32_t x = 0; x < shape->out_width_px; x++) {
            const int32_t first_px = x * shape->stride_px - shape->padding_px;
            for (int32_t k = 0; k < shape->kernel_px; k++, out += out_bytes) {
                const int32_t row = y * shape->stride_px - shape->padding_px + k;
                if (row < 0 || row >= shape->height_px) {
                    memset(out, 0, out_bytes);
                } else {
                    copy_row(shape, in + (size_t)row * row_bytes, first_px, out);
                }
            }
        }
    }
}

void ei_im2col_weights(const struct ei_im2col *shape, int32_t out_channels, const float *weight, float *out)
{
    const size_t taps = (size_t)shape->kernel_px * (size_t)shape->kernel_px, channels = (size_t)shape->channels;
    for (size_t o = 0; o < (size_t)out_channels; o++) {
        for (size_t tap = 0; tap < taps; tap++) {
            for (size_t c = 0; c < channels; c++) {
                *out++ = weight[(o * channels + c) * taps + tap];
            }
        }
    }
}
