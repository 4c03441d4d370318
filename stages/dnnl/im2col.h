/* im2col: a convolution as one product of matrices, [pixels out][window] x [window][channels out].
 *
 * A direct kernel walks through all of its weights for each row of the picture. Where these are larger than the cache
 * and the picture is small, most of its time goes by in fetching them again; a product fetches them once. Pictures and
 * windows lie with their channels last, so that a row of a window is one copy.
 */
#ifndef STAGES_DNNL_IM2COL_H
#define STAGES_DNNL_IM2COL_H

#include <stdint.h>

struct ei_im2col {
    int32_t channels, height_px, width_px; /* of the picture that is read */
    int32_t out_height_px, out_width_px;
    int32_t kernel_px, stride_px, padding_px; /* square; behind the picture there are zeros as far as windows reach */
    int32_t element_bytes;
};

/* Elements of one window: a row of the first matrix. */
int64_t ei_im2col_window(const struct ei_im2col *);

/* Of all windows. */
int64_t ei_im2col_bytes(const struct ei_im2col *);

/* picture: [height][width][channels]. windows: [pixels out][kernel][kernel][channels], all written. No allocation. */
void ei_im2col_gather(const struct ei_im2col *, const void *picture, void *windows);

/* A convolution's weights in the order of windows: [out][channels][kernel][kernel] to [out][kernel][kernel][channels].
 */
void ei_im2col_weights(const struct ei_im2col *, int32_t out_channels, const float *weight, float *out);

#endif
