/* Sampling, augmentation and normalisation of training pictures. */
#include "models/batch.h"

#include "rt/random.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Streams of the seed: shuffles and augmentations must not share draws. */
#define STREAM_SHUFFLE (UINT64_C(1) << 60)
#define STREAM_AUGMENT (UINT64_C(2) << 60)

/* Distance in bytes between neighbours in a row, in a column, and between channels. */
struct layout {
    int32_t step, row, plane;
};

static int layout_of(const struct einet_image *image, struct layout *out)
{
    const int32_t w = image->width_px, c = image->channels;
    if (c != 1 && c != 3) {
        return -EINVAL;
    }
    if (image->format == EINET_PIXELS_CHW_U8) {
        *out = (struct layout){.step = 1, .row = w, .plane = w * image->height_px};
        return 0;
    }
    if (image->format == EINET_PIXELS_HWC_U8) {
        *out = (struct layout){.step = c, .row = w * c, .plane = 1};
        return 0;
    }
    return -EINVAL;
}

int ei_batch_stats(const struct ei_dataset *dataset, struct ei_batch_norm_stats *out, struct einet_error *err)
{
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    int64_t sum[3] = {0}, square[3] = {0}, count = 0;
    for (int32_t i = 0; i < info->count; i++) {
        struct einet_image image;
        struct layout at;
        if (ei_dataset_sample(dataset, i, &image, NULL) != 0 || layout_of(&image, &at) != 0) {
            return einet_error_set(err, EINET_E_USAGE, "data set %s has no raw pictures of 1 or 3 channels: sample %d",
                                   info->name, i);
        }
        count += (int64_t)image.width_px * image.height_px;
        for (int32_t c = 0; c < image.channels; c++) {
            for (int32_t p = 0; p < image.width_px * image.height_px; p++) {
                const int64_t v = image.data[c * at.plane + p * at.step];
                sum[c] += v;
                square[c] += v * v;
            }
        }
    }
    for (int32_t c = 0; c < 3; c++) {
        const double n = count > 0 ? (double)count : 1.0;
        const double mean = (double)sum[c] / n, variance = (double)square[c] / n - mean * mean;
        out->mean[c] = (float)(mean / 255.0);
        out->std[c] = variance > 1.0 ? (float)(sqrt(variance) / 255.0) : 1.0F;
    }
    return 0;
}

int ei_batch_sample(const struct ei_dataset *dataset, const struct ei_batch_norm_stats *stats,
                    const struct ei_batch_augment *augment, int32_t idx, float *out_chw, int64_t *out_label)
{
    struct einet_image image;
    struct layout at;
    int32_t label = -1;
    if (ei_dataset_sample(dataset, idx, &image, &label) != 0 || layout_of(&image, &at) != 0) {
        return -EINVAL;
    }
    *out_label = label;
    int32_t shift_x = 0, shift_y = 0;
    bool mirror = false;
    if (augment->enabled) {
        struct ei_random rng;
        const uint64_t draw = (uint64_t)(uint32_t)augment->epoch << 32 | (uint32_t)idx;
        ei_random_init(&rng, augment->seed, STREAM_AUGMENT | draw);
        const uint64_t span = 2U * (uint64_t)augment->crop_pad_px + 1U;
        shift_x = (int32_t)ei_random_below(&rng, span) - augment->crop_pad_px;
        shift_y = (int32_t)ei_random_below(&rng, span) - augment->crop_pad_px;
        mirror = augment->flip && ei_random_below(&rng, 2) == 1;
    }
    const int32_t w = image.width_px, h = image.height_px;
    for (int32_t c = 0; c < image.channels; c++) {
        const float scale = 1.0F / (255.0F * stats->std[c]), offset = -stats->mean[c] / stats->std[c];
        for (int32_t y = 0; y < h; y++) {
            float *row = out_chw + ((size_t)c * (size_t)h + (size_t)y) * (size_t)w;
            const int32_t from_y = y + shift_y;
            if (from_y < 0 || from_y >= h) {
                memset(row, 0, (size_t)w * sizeof *row);
                continue;
            }
            const uint8_t *from = image.data + c * at.plane + from_y * at.row;
            for (int32_t x = 0; x < w; x++) {
                const int32_t from_x = (mirror ? w - 1 - x : x) + shift_x;
                row[x] = from_x < 0 || from_x >= w ? 0.0F : (float)from[from_x * at.step] * scale + offset;
            }
        }
    }
    return 0;
}

/* Average of the positions from..to of a row, both in old pixels. */
static float span_mean(const float *in, double from, double to)
{
    double sum = 0.0;
    for (int32_t i = (int32_t)from; (double)i < to; i++) {
        const double begin = (double)i > from ? (double)i : from, end = (double)(i + 1) < to ? (double)(i + 1) : to;
        sum += (end - begin) * (double)in[i];
    }
    return (float)(sum / (to - from));
}

void ei_batch_shrink(const float *in_chw, int32_t channels, int32_t side_px, int32_t to_side_px, float *out_chw)
{
    float column[EI_BATCH_SIDE_MAX_PX];
    for (int32_t c = 0; c < channels; c++) {
        const float *in = in_chw + (size_t)c * (size_t)side_px * (size_t)side_px;
        float *out = out_chw + (size_t)c * (size_t)to_side_px * (size_t)to_side_px;
        for (int32_t x = 0; x < to_side_px; x++) {
            const double left = (double)(x * side_px) / to_side_px, right = (double)((x + 1) * side_px) / to_side_px;
            for (int32_t y = 0; y < side_px; y++) {
                column[y] = span_mean(in + (size_t)y * (size_t)side_px, left, right);
            }
            for (int32_t y = 0; y < to_side_px; y++) {
                out[y * to_side_px + x] =
                    span_mean(column, (double)(y * side_px) / to_side_px, (double)((y + 1) * side_px) / to_side_px);
            }
        }
    }
}

void ei_batch_shuffle(uint64_t seed, int32_t epoch, int32_t count, int32_t *out)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, STREAM_SHUFFLE | (uint32_t)epoch);
    for (int32_t i = 0; i < count; i++) {
        out[i] = i;
    }
    for (int32_t i = count - 1; i > 0; i--) { /* Fisher and Yates */
        const int32_t j = (int32_t)ei_random_below(&rng, (uint64_t)i + 1);
        const int32_t swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
}
