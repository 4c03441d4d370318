/* Pictures in the bytes of their message: what is read, and that nothing is read which is not there. Each message lies
 * in a block of its own size, so that AddressSanitizer sees a look behind its end. */
#include "adapters/dds/cdr.h"
#include "rt/random.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>

typedef enum ei_dds_fault (*reader_fn)(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message);

/* As CycloneDDS sends it (dds_wire_test.c): stamp 7.8, "cam", 1x2, "rgb8", step 6, six bytes. */
static const uint8_t image[] = {0, 1, 0, 2, 7, 0, 0, 0, 8, 0, 0, 0, 4, 0,   0,   0,   'c', 'a', 'm',
                                0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 'r', 'g', 'b', '8', 0,   0,
                                0, 0, 6, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4,   5,   6,   0,   0};
#define IMAGE_PADDING 2U
#define AT_FRAME_ID 12U
#define AT_ENCODING 28U
#define AT_DATA 44U

static const uint8_t file[] = {0, 1, 0, 0, 7, 0,   0,   0,   8,   0, 0, 0, 1, 0, 0, 0, 0, 0,    0,
                               0, 5, 0, 0, 0, 'j', 'p', 'e', 'g', 0, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xd8};

static enum ei_dds_fault read_copy(reader_fn read, const uint8_t *cdr, size_t bytes, struct ei_dds_message *out)
{
    uint8_t *copy = malloc(bytes + (bytes == 0));
    if (!EI_TRUE(copy != NULL)) {
        return EI_DDS_FAULT_NONE;
    }
    memcpy(copy, cdr, bytes);
    const enum ei_dds_fault fault = read(copy, bytes, out);
    if (fault == EI_DDS_FAULT_NONE) { /* all that it points to is there */
        EI_TRUE(strlen(out->frame_id) < bytes && strlen(out->image.encoding) < bytes);
        EI_TRUE(out->image.data >= copy && out->image.data_bytes <= bytes &&
                out->image.data <= &copy[bytes - out->image.data_bytes]);
    }
    free(copy);
    return fault;
}

EI_TEST(dds_cdr_is_read_where_it_lies)
{
    struct ei_dds_message message;
    EI_EQ(ei_dds_read_image(image, sizeof image, &message), EI_DDS_FAULT_NONE);
    EI_EQ(message.sec, 7);
    EI_EQ(message.nanosec, 8);
    EI_STREQ(message.frame_id, "cam");
    EI_EQ(message.image.height, 1);
    EI_EQ(message.image.width, 2);
    EI_STREQ(message.image.encoding, "rgb8");
    EI_EQ(message.image.step, 6);
    EI_EQ(message.image.data_bytes, 6);
    EI_TRUE(message.image.data == &image[AT_DATA + 4]);
    EI_EQ(ei_dds_read_file(file, sizeof file, &message), EI_DDS_FAULT_NONE);
    EI_EQ(message.sec, 7);
    EI_STREQ(message.frame_id, "");
    EI_STREQ(message.image.encoding, "jpeg");
    EI_EQ(message.image.data_bytes, 2);
    EI_TRUE(message.image.data == &file[sizeof file - 2]);
}

EI_TEST(dds_cdr_that_ends_too_soon_is_refused)
{
    struct ei_dds_message message = {.sec = 99};
    for (size_t bytes = 0; bytes < sizeof image - IMAGE_PADDING; bytes++) {
        EI_EQ(read_copy(ei_dds_read_image, image, bytes, &message), EI_DDS_FAULT_BYTES);
    }
    for (size_t bytes = 0; bytes < sizeof file; bytes++) {
        EI_EQ(read_copy(ei_dds_read_file, file, bytes, &message), EI_DDS_FAULT_BYTES);
    }
    EI_EQ(message.sec, 99); /* left alone */
}

EI_TEST(dds_cdr_that_claims_more_than_there_is_is_refused)
{
    static const size_t lengths[] = {AT_FRAME_ID, AT_ENCODING, AT_DATA};
    static const uint32_t claims[] = {0, 2, 60, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
    struct ei_dds_message message;
    uint8_t lying[sizeof image];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t k = lengths[i] == AT_DATA ? 2 : 0; k < sizeof claims / sizeof claims[0]; k++) {
            memcpy(lying, image, sizeof image);
            memcpy(&lying[lengths[i]], &claims[k], sizeof claims[k]);
            EI_TRUEF(read_copy(ei_dds_read_image, lying, sizeof lying, &message) == EI_DDS_FAULT_BYTES,
                     "a length of %u at byte %zu was believed", claims[k], lengths[i]);
        }
    }
    memcpy(lying, image, sizeof image);
    lying[AT_FRAME_ID + 7] = 'x'; /* no end */
    EI_EQ(read_copy(ei_dds_read_image, lying, sizeof lying, &message), EI_DDS_FAULT_BYTES);
    memcpy(lying, image, sizeof image);
    lying[1] ^= 1; /* the other byte order */
    EI_EQ(read_copy(ei_dds_read_image, lying, sizeof lying, &message), EI_DDS_FAULT_BYTES);
}

EI_TEST(dds_cdr_of_any_bytes_is_harmless)
{
    const uint64_t seed = 20261122;
    struct ei_random rng;
    struct ei_dds_message message;
    long taken = 0;
    ei_random_init(&rng, seed, 0);
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[sizeof image];
        memcpy(bytes, image, sizeof image);
        for (uint64_t k = 1 + ei_random_below(&rng, 4); k > 0; k--) {
            bytes[ei_random_below(&rng, sizeof bytes)] = (uint8_t)ei_random_u64(&rng);
        }
        taken += read_copy(ei_dds_read_image, bytes, sizeof bytes, &message) == EI_DDS_FAULT_NONE;
        (void)read_copy(ei_dds_read_file, bytes, 1 + ei_random_below(&rng, sizeof bytes), &message);
    }
    EI_TRUEF(taken > 1000 && taken < 199000, "seed %llu: %ld of 200000 were taken", (unsigned long long)seed, taken);
}

EI_MAIN()
