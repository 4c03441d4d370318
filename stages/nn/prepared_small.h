/* Convolutions of small pictures with many channels, where an inference waits for the weights and not for the products:
 * at 4x4 pixels and 512 channels 9.4 MB of weights are used sixteen times each, and oneDNN brings them from memory at a
 * third of what the machine can. Here they lie in the order in which they are used, and the next ones are fetched while
 * these are multiplied. AVX-512 only, float32, one thread.
 *
 * Pictures lie with channels last: number (c, y, x) at (y * width + x) * channels + c.
 */
#ifndef STAGES_NN_PREPARED_SMALL_H
#define STAGES_NN_PREPARED_SMALL_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_SMALL_PIXELS_MAX 16 /* of the result */
#define EI_SMALL_TAPS_MAX 25   /* of the kernel */
#define EI_SMALL_PANEL 32      /* output channels are a multiple of it */

struct ei_small_conv {
    int32_t in_channels, in_height_px, in_width_px;
    int32_t out_channels, out_height_px, out_width_px;
    int32_t kernel_px, stride_px, padding_px;
    bool has_relu;
    const float *packed; /* borrowed; ei_small_conv_pack */
};

/* Whether this processor and these sizes are what it is for; packed is not looked at. */
bool ei_small_conv_is_fit(const struct ei_small_conv *conv);

/* Floats of packed: the weights, the biases, and zeros in the place of pixels outside. */
int64_t ei_small_conv_floats(const struct ei_small_conv *conv);

/* weight: [out][in][kernel][kernel]; bias: [out] or NULL; out: [ei_small_conv_floats], aligned to 64 bytes. */
void ei_small_conv_pack(const struct ei_small_conv *conv, const float *weight, const float *bias, float *out);

/* in: [height][width][in_channels]; out: [out_height][out_width][out_channels], aligned to 64 bytes. */
EINET_RT void ei_small_conv_run(const struct ei_small_conv *conv, const float *in, float *out);

#endif
