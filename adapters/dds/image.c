/* See image.h. */
#include "adapters/dds/image.h"

#include <stdbool.h>
#include <string.h>

const char *ei_dds_fault_text(enum ei_dds_fault fault)
{
    static const char *const texts[EI_DDS_FAULTS] = {
#define EI_X(name, text) text,
        EI_DDS_FAULT_MAP(EI_X)
#undef EI_X
    };
    return fault < EI_DDS_FAULTS ? texts[fault] : "?";
}

/* Where the colours of a pixel lie. 8UC1 and 8UC3 are what OpenCV's bridge calls mono8 and bgr8. */
struct encoding {
    const char *name;
    uint8_t pixel_bytes;
    uint8_t red, green, blue;
};

static const struct encoding encodings[] = {
    {"rgb8", 3, 0, 1, 2},  {"bgr8", 3, 2, 1, 0}, {"mono8", 1, 0, 0, 0}, {"rgba8", 4, 0, 1, 2},
    {"bgra8", 4, 2, 1, 0}, {"8UC1", 1, 0, 0, 0}, {"8UC3", 3, 2, 1, 0},
};

EINET_RT static const struct encoding *find_encoding(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof encodings / sizeof encodings[0]; i++) {
        if (strcmp(encodings[i].name, name) == 0) {
            return &encodings[i];
        }
    }
    return NULL;
}

EINET_RT static enum ei_dds_fault check(const struct ei_dds_image *image, const struct ei_dds_wanted *wanted,
                                        const struct encoding *encoding)
{
    if (image->width == 0 || image->height == 0) {
        return EI_DDS_FAULT_SIZE;
    }
    if (image->width > (uint32_t)wanted->width_px || image->height > (uint32_t)wanted->height_px) {
        return EI_DDS_FAULT_LARGE;
    }
    if (encoding == NULL || (wanted->channels == 1 && encoding->pixel_bytes != 1)) {
        return EI_DDS_FAULT_ENCODING;
    }
    const uint64_t row = (uint64_t)image->width * encoding->pixel_bytes;
    if (image->step < row) {
        return EI_DDS_FAULT_STEP;
    }
    /* some drivers leave out what would follow the last pixel */
    const uint64_t all = (uint64_t)image->step * image->height;
    const uint64_t least = all - image->step + row;
    return image->data == NULL || image->data_bytes < least || image->data_bytes > all ? EI_DDS_FAULT_DATA
                                                                                       : EI_DDS_FAULT_NONE;
}

EINET_RT static void convert(const struct ei_dds_image *image, const struct encoding *encoding, uint8_t *out)
{
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *in = &image->data[y * image->step];
        for (size_t x = 0; x < image->width; x++) {
            out[0] = in[encoding->red];
            out[1] = in[encoding->green];
            out[2] = in[encoding->blue];
            out += 3;
            in += encoding->pixel_bytes;
        }
    }
}

EINET_RT enum ei_dds_fault ei_dds_image_to_frame(const struct ei_dds_image *image, const struct ei_dds_wanted *wanted,
                                                 uint8_t *scratch, struct einet_frame *out_frame)
{
    const struct encoding *encoding = find_encoding(image->encoding);
    const enum ei_dds_fault fault = check(image, wanted, encoding);
    if (fault != EI_DDS_FAULT_NONE) {
        return fault;
    }
    const bool is_as_wanted = encoding->pixel_bytes == wanted->channels && encoding->red == 0;
    *out_frame = (struct einet_frame){
        .size_bytes = sizeof *out_frame,
        .data = is_as_wanted ? image->data : scratch,
        .data_bytes = is_as_wanted ? image->data_bytes : (size_t)image->width * image->height * 3,
        .format = EINET_PIXELS_HWC_U8,
        .width_px = (int32_t)image->width,
        .height_px = (int32_t)image->height,
        .channels = wanted->channels,
        .row_bytes = is_as_wanted ? image->step : 0,
    };
    if (!is_as_wanted) {
        convert(image, encoding, scratch);
    }
    return EI_DDS_FAULT_NONE;
}

EINET_RT enum ei_dds_fault ei_dds_file_to_frame(const uint8_t *data, size_t data_bytes, struct einet_frame *out_frame)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
    if (data == NULL || data_bytes == 0) {
        return EI_DDS_FAULT_DATA;
    }
    const bool is_png = data_bytes > sizeof png && memcmp(data, png, sizeof png) == 0;
    const bool is_jpeg = data_bytes > sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0;
    if (!is_png && !is_jpeg) {
        return EI_DDS_FAULT_ENCODING;
    }
    *out_frame = (struct einet_frame){
        .size_bytes = sizeof *out_frame,
        .data = data,
        .data_bytes = data_bytes,
        .format = is_png ? EINET_PIXELS_PNG : EINET_PIXELS_JPEG,
    };
    return EI_DDS_FAULT_NONE;
}
