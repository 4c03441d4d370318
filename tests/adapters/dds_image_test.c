/* Messages with pictures: what is taken, and what is refused before a byte of it is read. */
#include "adapters/dds/image.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>

static const struct ei_dds_wanted colour = {.width_px = 4, .height_px = 3, .channels = 3};
static const struct ei_dds_wanted grey = {.width_px = 4, .height_px = 3, .channels = 1};

EI_TEST(dds_image_in_the_right_order_is_not_copied)
{
    uint8_t data[3 * 14], scratch[36] = {0};
    struct ei_dds_image image = {
        .width = 4, .height = 3, .step = 14, .encoding = "rgb8", .data = data, .data_bytes = sizeof data};
    struct einet_frame frame;
    memset(data, 7, sizeof data);
    EI_EQ(ei_dds_image_to_frame(&image, &colour, scratch, &frame), EI_DDS_FAULT_NONE);
    EI_TRUE(frame.data == data);
    EI_EQ(frame.row_bytes, 14);
    EI_EQ(frame.width_px, 4);
    EI_EQ(frame.height_px, 3);
    EI_EQ(frame.channels, 3);
    EI_EQ(frame.format, EINET_PIXELS_HWC_U8);
    EI_TRUE(frame.release == NULL);
    EI_EQ(scratch[0], 0);
    image.data_bytes -= 2; /* nothing behind the last pixel */
    EI_EQ(ei_dds_image_to_frame(&image, &colour, scratch, &frame), EI_DDS_FAULT_NONE);
    EI_EQ(frame.data_bytes, sizeof data - 2);
    image =
        (struct ei_dds_image){.width = 2, .height = 2, .step = 2, .encoding = "mono8", .data = data, .data_bytes = 4};
    EI_EQ(ei_dds_image_to_frame(&image, &grey, scratch, &frame), EI_DDS_FAULT_NONE);
    EI_TRUE(frame.data == data);
    EI_EQ(frame.channels, 1);
}

static void expect_converted(const char *encoding, uint32_t pixel_bytes, const uint8_t pixel[4], const uint8_t rgb[3])
{
    uint8_t data[2 * 20] = {0}, scratch[36];
    struct einet_frame frame;
    const struct ei_dds_image image = {
        .width = 2, .height = 2, .step = 20, .encoding = encoding, .data = data, .data_bytes = sizeof data};
    memcpy(&data[20 + pixel_bytes], pixel, pixel_bytes); /* the last of the four */
    EI_EQ(ei_dds_image_to_frame(&image, &colour, scratch, &frame), EI_DDS_FAULT_NONE);
    EI_TRUE(frame.data == scratch);
    EI_EQ(frame.data_bytes, 12);
    EI_EQ(frame.row_bytes, 0);
    EI_EQ(frame.channels, 3);
    for (size_t i = 0; i < 3; i++) {
        EI_EQ(scratch[i], 0);
        EI_EQ(scratch[9 + i], rgb[i]);
    }
}

EI_TEST(dds_image_in_another_order_is_converted)
{
    expect_converted("bgr8", 3, (const uint8_t[]){1, 2, 3, 0}, (const uint8_t[]){3, 2, 1});
    expect_converted("8UC3", 3, (const uint8_t[]){1, 2, 3, 0}, (const uint8_t[]){3, 2, 1});
    expect_converted("rgba8", 4, (const uint8_t[]){1, 2, 3, 9}, (const uint8_t[]){1, 2, 3});
    expect_converted("bgra8", 4, (const uint8_t[]){1, 2, 3, 9}, (const uint8_t[]){3, 2, 1});
    expect_converted("mono8", 1, (const uint8_t[]){5, 0, 0, 0}, (const uint8_t[]){5, 5, 5});
    expect_converted("8UC1", 1, (const uint8_t[]){5, 0, 0, 0}, (const uint8_t[]){5, 5, 5});
}

EI_TEST(dds_image_that_lies_is_refused)
{
    static const struct {
        struct ei_dds_image image;
        enum ei_dds_fault fault;
    } lies[] = {
        {{.width = 0, .height = 3, .step = 12, .encoding = "rgb8", .data_bytes = 36}, EI_DDS_FAULT_SIZE},
        {{.width = 4, .height = 0, .step = 12, .encoding = "rgb8", .data_bytes = 36}, EI_DDS_FAULT_SIZE},
        {{.width = 5, .height = 3, .step = 15, .encoding = "rgb8", .data_bytes = 45}, EI_DDS_FAULT_LARGE},
        {{.width = 4, .height = 4, .step = 12, .encoding = "rgb8", .data_bytes = 48}, EI_DDS_FAULT_LARGE},
        {{.width = UINT32_MAX, .height = UINT32_MAX, .step = UINT32_MAX, .encoding = "rgb8", .data_bytes = 36},
         EI_DDS_FAULT_LARGE},
        {{.width = 4, .height = 3, .step = UINT32_MAX, .encoding = "rgb8", .data_bytes = 36}, EI_DDS_FAULT_DATA},
        {{.width = 4, .height = 3, .step = 11, .encoding = "rgb8", .data_bytes = 36}, EI_DDS_FAULT_STEP},
        {{.width = 4, .height = 3, .step = 0, .encoding = "mono8", .data_bytes = 36}, EI_DDS_FAULT_STEP},
        {{.width = 4, .height = 3, .step = 12, .encoding = "rgb8", .data_bytes = 35}, EI_DDS_FAULT_DATA},
        {{.width = 4, .height = 3, .step = 12, .encoding = "rgb8", .data_bytes = 37}, EI_DDS_FAULT_DATA},
        {{.width = 4, .height = 3, .step = 12, .encoding = "rgb8", .data_bytes = 0}, EI_DDS_FAULT_DATA},
        {{.width = 4, .height = 3, .step = 12, .encoding = "rgb16", .data_bytes = 36}, EI_DDS_FAULT_ENCODING},
        {{.width = 4, .height = 3, .step = 12, .encoding = "", .data_bytes = 36}, EI_DDS_FAULT_ENCODING},
        {{.width = 4, .height = 3, .step = 12, .encoding = NULL, .data_bytes = 36}, EI_DDS_FAULT_ENCODING},
    };
    struct einet_frame frame;
    uint8_t scratch[36];
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct ei_dds_image image = lies[i].image;
        uint8_t *data = malloc(image.data_bytes + 1); /* so that a byte too far is seen */
        EI_REQUIRE(data != NULL);
        image.data = data;
        const enum ei_dds_fault fault = ei_dds_image_to_frame(&image, &colour, scratch, &frame);
        EI_TRUEF(fault == lies[i].fault, "lie %zu: %s, expected %s", i, ei_dds_fault_text(fault),
                 ei_dds_fault_text(lies[i].fault));
        free(data);
    }
    const struct ei_dds_image rgb = {
        .width = 4, .height = 3, .step = 12, .encoding = "rgb8", .data = scratch, .data_bytes = 36};
    EI_EQ(ei_dds_image_to_frame(&rgb, &grey, scratch, &frame), EI_DDS_FAULT_ENCODING);
}

/* Random claims over a block of exactly the bytes that came: whatever is taken lies within them. */
EI_TEST(dds_image_random_claims_stay_within_their_bytes)
{
    static const char *const encodings[] = {"rgb8", "bgr8", "mono8", "rgba8", "bgra8", "8UC1", "8UC3", "yuv422"};
    static const uint32_t odd[] = {0, 1, 2, 3, 4, 12, 16, 0x7fffffff, 0x80000000, UINT32_MAX, 0x55555556};
    uint8_t scratch[36];
    int taken = 0;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        const size_t bytes = (size_t)(rand() % 64);
        uint8_t *data = calloc(1, bytes > 0 ? bytes : 1);
        const struct ei_dds_image image = {
            .width = odd[rand() % 11],
            .height = odd[rand() % 11],
            .step = odd[rand() % 11],
            .encoding = encodings[rand() % 8],
            .data = data,
            .data_bytes = bytes,
        };
        struct einet_frame frame;
        if (ei_dds_image_to_frame(&image, rand() % 2 == 0 ? &colour : &grey, scratch, &frame) == EI_DDS_FAULT_NONE) {
            const size_t row = (size_t)frame.width_px * (size_t)frame.channels;
            const size_t step = frame.row_bytes != 0 ? frame.row_bytes : row;
            const size_t needed = step * (size_t)(frame.height_px - 1) + row;
            EI_TRUE(needed <= (frame.data == scratch ? sizeof scratch : bytes) && frame.data_bytes >= needed);
            taken++;
        }
        free(data);
    }
    EI_TRUEF(taken > 100, "only %d of the random images were taken", taken);
}

EI_TEST(dds_file_is_known_by_its_first_bytes)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0};
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0};
    struct einet_frame frame;
    EI_EQ(ei_dds_file_to_frame(png, sizeof png, &frame), EI_DDS_FAULT_NONE);
    EI_EQ(frame.format, EINET_PIXELS_PNG);
    EI_EQ(frame.data_bytes, sizeof png);
    EI_EQ(ei_dds_file_to_frame(jpeg, sizeof jpeg, &frame), EI_DDS_FAULT_NONE);
    EI_EQ(frame.format, EINET_PIXELS_JPEG);
    EI_EQ(ei_dds_file_to_frame(jpeg, 2, &frame), EI_DDS_FAULT_ENCODING);
    EI_EQ(ei_dds_file_to_frame(png, 8, &frame), EI_DDS_FAULT_ENCODING);
    EI_EQ(ei_dds_file_to_frame((const uint8_t *)"GIF89a", 6, &frame), EI_DDS_FAULT_ENCODING);
    EI_EQ(ei_dds_file_to_frame(png, 0, &frame), EI_DDS_FAULT_DATA);
    EI_EQ(ei_dds_file_to_frame(NULL, 4, &frame), EI_DDS_FAULT_DATA);
}

EI_MAIN()
