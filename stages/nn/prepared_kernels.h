/* The few operations that are done here and not by oneDNN, because it has no fast form for them at batch 1, or none
 * that is right everywhere: growing a picture by channels in place, normalisation across a window other than five
 * channels, batch norm on its own, sums on their own.
 *
 * A picture's channels lie in blocks of `block` (1, 4, 8 or 16; all of them where channels lie last): number (c, p) is
 * at (c / block * area + p) * block + c % block. Channels that fill the last block up are zero. Real-time safe, no
 * allocation.
 */
#ifndef STAGES_NN_PREPARED_KERNELS_H
#define STAGES_NN_PREPARED_KERNELS_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_KERNEL_CHANNELS_MAX 2048 /* of lrn with block > 1 */

struct ei_kernel_picture {
    int32_t channels, area_px, block;
};

/* out = [a, b] along the channels, all of the same block and area, elements of 2 or 4 bytes. out may be a's memory. */
EINET_RT void ei_kernel_concat(const struct ei_kernel_picture *a, const void *a_data, int32_t b_channels,
                               const void *b_data, int32_t element_bytes, void *out);

/* The same for pictures whose channels lie last, and so those of the result do. */
EINET_RT void ei_kernel_concat_last(const struct ei_kernel_picture *a, const void *a_data, int32_t b_channels,
                                    const void *b_data, int32_t element_bytes, void *out);

/* out = a + b over everything that lies there, and ReLU on demand; elements of 4 bytes, or of 2 (bfloat16, rounded to
 * nearest). out may be one of the others' memory. */
EINET_RT void ei_kernel_add(const void *a, const void *b, int64_t count, int32_t element_bytes, bool has_relu,
                            void *out);

struct ei_kernel_lrn {
    int32_t size;         /* odd */
    float alpha, beta, k; /* alpha is not divided by size */
};

/* out = x * (k + alpha * sum over the window of x^2)^-beta. */
EINET_RT void ei_kernel_lrn(const struct ei_kernel_picture *picture, const float *x, const struct ei_kernel_lrn *lrn,
                            float *out);

/* out = x * scale[c] + shift[c], and ReLU on demand. */
EINET_RT void ei_kernel_scale(const struct ei_kernel_picture *picture, const float *x, const float *scale,
                              const float *shift, bool has_relu, float *out);

#endif
