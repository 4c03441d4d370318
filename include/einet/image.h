/* One picture as handed to a task: pixels or a compressed file in memory. The view owns nothing. */
#ifndef EINET_IMAGE_H
#define EINET_IMAGE_H

#include <stddef.h>
#include <stdint.h>

enum einet_pixel_format {
    EINET_PIXELS_HWC_U8, /* interleaved rows, 8 bit per channel */
    EINET_PIXELS_CHW_U8, /* one plane per channel, 8 bit */
    EINET_PIXELS_PNG,    /* a PNG file's bytes; size known after decoding */
    EINET_PIXELS_JPEG,   /* a JPEG file's bytes; size known after decoding */
    EINET_PIXELS_CHW_F32 /* one plane per channel, float32, normalized: what a network takes */
};

struct einet_image {
    const uint8_t *data; /* borrowed */
    size_t size_bytes;
    enum einet_pixel_format format;
    int32_t width_px, height_px, channels; /* of PNG and JPEG: as its header says */
};

#endif
