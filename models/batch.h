/* From stored pictures to the normalized float batches that a network takes, with the augmentations of training. Every
 * random draw is a function of (seed, epoch, sample), so that an interrupted training continues exactly. Reads an
 * immutable data set; thread: one per batch.
 */
#ifndef MODELS_BATCH_H
#define MODELS_BATCH_H

#include "workloads/dataset.h"

#include <stdbool.h>

#define EI_BATCH_SIDE_MAX_PX 64 /* of pictures that are shrunk */

struct ei_batch_norm_stats {
    float mean[3], std[3]; /* per channel on the 0..1 scale */
};

struct ei_batch_augment {
    int32_t crop_pad_px; /* random shift by up to this many pixels, zeros (the mean) come in; 0 = none */
    bool flip;           /* mirror left-right with probability 1/2 */
    bool enabled;        /* false for evaluation */
    uint64_t seed;
    int32_t epoch;
};

/* Mean and standard deviation of the data set's pixels per channel. Returns 0 or EINET_E_USAGE when the set has no raw
 * 1- or 3-channel pictures. */
int ei_batch_stats(const struct ei_dataset *dataset, struct ei_batch_norm_stats *out, struct einet_error *err);

/* Write sample idx to out_chw: float [channels * height * width], and its label. Returns 0 or -EINVAL. */
int ei_batch_sample(const struct ei_dataset *dataset, const struct ei_batch_norm_stats *stats,
                    const struct ei_batch_augment *augment, int32_t idx, float *out_chw, int64_t *out_label);

/* Shrink a square picture by averaging over the area that each new pixel covers. in_chw: [channels * side_px^2];
 * out_chw: [channels * to_side_px^2], 1 <= to_side_px <= side_px <= EI_BATCH_SIDE_MAX_PX. */
void ei_batch_shrink(const float *in_chw, int32_t channels, int32_t side_px, int32_t to_side_px, float *out_chw);

/* A permutation of 0..count-1 for an epoch; out: [count]. */
void ei_batch_shuffle(uint64_t seed, int32_t epoch, int32_t count, int32_t *out);

#endif
