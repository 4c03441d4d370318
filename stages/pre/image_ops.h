/* Preprocessing of one picture: decode, resize, normalize. Everything is allocated at init; a run allocates nothing
 * itself. PNG and JPEG decoding enters libpng and libturbojpeg, which allocate: those calls are submit sections
 * (rt/section.h). The working picture is 8-bit HWC, the result float CHW, as a network takes it.
 *
 * Channels: gray -> RGB copies the value to the three channels. RGB -> gray is (77 R + 150 G + 29 B + 128) / 256, the
 * weights of ITU-R BT.601 in 8 bit. An alpha channel of a PNG is dropped (colour as stored, not blended).
 */
#ifndef STAGES_PRE_IMAGE_OPS_H
#define STAGES_PRE_IMAGE_OPS_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <einet/image.h>
#include <stddef.h>
#include <stdint.h>

#define EI_PRE_SIDE_MAX_PX 16384 /* of any picture, in or out */
#define EI_PRE_OPS_MAX 8

enum ei_pre_op {
    EI_PRE_DECODE,   /* bring the input into the working buffer: 8-bit HWC */
    EI_PRE_RESIZE,   /* bilinear to the target size */
    EI_PRE_NORMALIZE /* to float CHW: (v / 255 - mean) / std; without it v / 255 */
};

/* ---- single operations on caller's buffers, each EINET_RT, thread: any ---- */

/* Bilinear resize with half-pixel centres (the result that torch.nn.functional.interpolate(mode="bilinear",
 * align_corners=False, antialias=False) gives up to rounding to 8 bit): source x = (x + 0.5) * src_w / dst_w - 0.5,
 * clamped to the picture. src, dst: HWC u8, not overlapping, all sizes >= 1 and <= EI_PRE_SIDE_MAX_PX. */
EINET_RT void ei_pre_resize_bilinear(const uint8_t *src, int32_t src_w_px, int32_t src_h_px, uint8_t *dst,
                                     int32_t dst_w_px, int32_t dst_h_px, int32_t channels);

/* Planes to interleaved. Sizes as above; dst is width * height * channels bytes and does not overlap src. */
EINET_RT void ei_pre_chw_to_hwc(const uint8_t *src, int32_t width_px, int32_t height_px, int32_t channels,
                                uint8_t *dst);

/* HWC u8 with src_channels (1 or 3) to float CHW with dst_channels (1 or 3): (v / 255 - mean[c]) / std[c], channels
 * converted first (head of this file). mean, std: [dst_channels], std > 0. */
EINET_RT void ei_pre_normalize(const uint8_t *src, int32_t width_px, int32_t height_px, int32_t src_channels,
                               float *dst, int32_t dst_channels, const float *mean, const float *std);

/* ---- decoder of compressed pictures ---- */

struct ei_pre_decoder; /* opaque; one thread at a time */

/* Create it at start. Returns 0, -ENOMEM or EINET_E_BACKEND. */
int ei_pre_decoder_create(struct ei_pre_decoder **out, struct einet_error *err);

/* Decode a PNG or JPEG file in memory to HWC u8 with 1 or 3 channels (as the file has; palette and 16-bit PNGs are
 * expanded or reduced to 8 bit, CMYK JPEGs are refused). dst holds capacity_bytes.
 * Returns 0, EINET_E_FILE (corrupt or truncated), EINET_E_LIMIT (larger than dst or EI_PRE_SIDE_MAX_PX), -ENOMEM. dst
 * may be partly written on error. */
EINET_RT_SUBMIT int ei_pre_decode(struct ei_pre_decoder *decoder, const struct einet_image *image, uint8_t *dst,
                                  size_t capacity_bytes, int32_t *out_width_px, int32_t *out_height_px,
                                  int32_t *out_channels);

void ei_pre_decoder_destroy(struct ei_pre_decoder *decoder);

/* ---- the pipeline of a preprocessing stage ---- */

struct ei_pre_config {
    enum ei_pre_op ops[EI_PRE_OPS_MAX]; /* a subset of decode, resize, normalize, in this order */
    int32_t op_count;
    int32_t input_width_max_px; /* largest input that will come, e.g. ei_dataset_info: sizes the buffers */
    int32_t input_height_max_px;
    int32_t width_px; /* of the result; an input of another size without a resize op is an error of the run */
    int32_t height_px;
    int32_t channels; /* of the result: 1 or 3 */
    float mean[3];    /* per result channel, on the 0..1 scale; used by normalize only */
    float std[3];     /* > 0 */
};

struct ei_pre; /* opaque; owns its buffers; one thread at a time */

/* Allocate everything. Returns 0, EINET_E_USAGE (ops out of order or twice, sizes, std <= 0), EINET_E_LIMIT, -ENOMEM,
 * EINET_E_BACKEND. Not real-time safe. */
int ei_pre_create(const struct ei_pre_config *config, struct ei_pre **out, struct einet_error *err);

/* Bytes of the working buffers, for prefaulting and reports. */
size_t ei_pre_memory_bytes(const struct ei_pre *pre);

/* Preprocess one picture. image: any format; PNG and JPEG need the decode op (raw pixels do not). out_chw: float
 * [channels * height_px * width_px], caller's.
 * Returns 0, -EINVAL (raw image whose size_bytes does not match its dimensions, channels not 1 or 3, size that needs a
 * missing op), EINET_E_LIMIT (larger than configured) or ei_pre_decode's codes. out_chw is unchanged on error.
 * EINET_RT for raw pixels; PNG and JPEG pass through a submit section. */
EINET_RT int ei_pre_run(struct ei_pre *pre, const struct einet_image *image, float *out_chw);

void ei_pre_destroy(struct ei_pre *pre);

#endif
