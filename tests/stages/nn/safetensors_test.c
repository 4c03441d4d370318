#include "stages/nn/float16.h"
#include "stages/nn/safetensors.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char path[4][512];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", ei_test_tmpdir(), name);
    return out;
}

static void write_bytes(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *out = fopen(path, "wb");
    EI_REQUIRE(out != NULL);
    EI_EQ(fwrite(bytes, 1, size_bytes, out), (int64_t)size_bytes);
    fclose(out);
}

/* A file from a header text and a number of data bytes. length -1 = the true one. */
static void write_file(const char *path, const char *header, int64_t length, size_t data_bytes)
{
    uint8_t bytes[4096] = {0};
    const uint64_t said = length < 0 ? strlen(header) : (uint64_t)length;
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(said >> (8 * i));
    }
    memcpy(bytes + 8, header, strlen(header));
    write_bytes(path, bytes, 8 + strlen(header) + data_bytes);
}

static void expect_refused(const char *path, const char *text)
{
    struct ei_safetensors *file = NULL;
    struct einet_error err = {0};
    EI_EQ(ei_safetensors_open(path, &file, &err), EINET_E_FILE);
    EI_TRUE(file == NULL);
    EI_STREQ(err.file, path);
    EI_CONTAINS(err.text, text);
    ei_safetensors_close(file);
}

EI_TEST(round_trip)
{
    const float a[6] = {1.0F, -2.5F, 3.14159274F, 0.0F, 1e-20F, -6.5e4F}, b[2] = {0.333333343F, -65504.0F};
    const struct ei_safetensors_entry entries[] = {
        {.name = "layer.weight", .dtype = EI_DTYPE_F32, .dims = 2, .shape = {2, 3}, .data = a},
        {.name = "layer.bias", .dtype = EI_DTYPE_F16, .dims = 1, .shape = {2}, .data = b},
    };
    const struct ei_safetensors_pair pairs[] = {{"zoo", "b-alexnet"}, {"command", "einet \"train\" \xc3\xa9"}};
    const char *path = path_of("a.safetensors");
    struct einet_error err = {0};
    EI_EQ(ei_safetensors_write(path, entries, 2, pairs, 2, &err), 0);
    struct ei_safetensors *file;
    EI_REQUIRE(ei_safetensors_open(path, &file, &err) == 0);
    EI_EQ(ei_safetensors_count(file), 2);
    EI_STREQ(ei_safetensors_metadata(file, "zoo"), "b-alexnet");
    EI_STREQ(ei_safetensors_metadata(file, "command"), "einet \"train\" \xc3\xa9");
    EI_TRUE(ei_safetensors_metadata(file, "none") == NULL);
    EI_EQ(strlen(ei_safetensors_sha256(file)), 64);
    const struct ei_safetensors_tensor *t = ei_safetensors_find(file, "layer.weight");
    EI_REQUIRE(t != NULL && t->count == 6);
    EI_EQ(t->shape[1], 3);
    float out[6];
    ei_safetensors_to_f32(t, out);
    EI_TRUE(memcmp(out, a, sizeof a) == 0);
    t = ei_safetensors_find(file, "layer.bias");
    EI_REQUIRE(t != NULL && t->dtype == EI_DTYPE_F16);
    ei_safetensors_to_f32(t, out);
    EI_NEAR(out[0], 0.33325195, 1e-7);
    EI_NEAR(out[1], -65504.0, 0.0);
    EI_TRUE(ei_safetensors_find(file, "layer") == NULL);
    EI_TRUE(ei_safetensors_at(file, 2) == NULL);
    ei_safetensors_close(file);
}

EI_TEST(sha256_is_of_the_bytes)
{
    /* sha256sum of 08 00*7 followed by "{}      " */
    const char *path = path_of("empty.safetensors");
    write_file(path, "{}      ", -1, 0);
    struct ei_safetensors *file;
    EI_REQUIRE(ei_safetensors_open(path, &file, NULL) == 0);
    EI_EQ(ei_safetensors_count(file), 0);
    EI_STREQ(ei_safetensors_sha256(file), "9bbcbf73561f6bc5d0a17ea6a2081feed2d1304e87602d8c502d9a5c4bd85576");
    ei_safetensors_close(file);
}

EI_TEST(broken_files_are_named)
{
    const char *path = path_of("broken.safetensors");
    expect_refused(path_of("missing.safetensors"), "No such file");
    expect_refused(ei_test_tmpdir(), "no regular file");
    write_bytes(path, "", 0);
    expect_refused(path, "0 bytes");
    write_bytes(path, "short", 5);
    expect_refused(path, "5 bytes");
    write_file(path, "{}", 1000, 0);
    expect_refused(path, "header has 1000 bytes");
    write_file(path, "{}", INT64_MAX, 0);
    expect_refused(path, "truncated, or no safetensors file");
    write_file(path, "[1]", -1, 0);
    expect_refused(path, "no JSON object");
    write_file(path, "{\"a\":", -1, 0);
    expect_refused(path, "no JSON object");
    write_file(path, "{\"a\":1}", -1, 0);
    expect_refused(path, "'a' is no object");
    write_file(path, "{\"\xff\":{}}", -1, 0);
    expect_refused(path, "no JSON object");
    write_file(path, "{\"__metadata__\":{\"a\":1}}", -1, 0);
    expect_refused(path, "__metadata__");
    write_file(path, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{}}", -1, 4);
    expect_refused(path, "no JSON object");
}

EI_TEST(broken_tensors_are_named)
{
    static const struct {
        const char *entry;
        size_t data_bytes;
        const char *text;
    } cases[] = {
        {"{\"shape\":[1],\"data_offsets\":[0,4]}", 4, "has no dtype"},
        {"{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}", 8, "another dtype"},
        {"{\"dtype\":\"F32\",\"data_offsets\":[0,4]}", 4, "has no shape"},
        {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}", 4, "more than 8 dimensions"},
        {"{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}", 4, "negative or too large"},
        {"{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}", 4, "no integer"},
        {"{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}", 4, "too large"},
        {"{\"dtype\":\"F32\",\"shape\":[1]}", 4, "no pair of data_offsets"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}", 4, "no pair of data_offsets"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}", 4, "outside the file"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}", 4, "outside the file"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 4, "truncated or corrupt"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}", 4, "do not fit its shape"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}", 8, "overlaps another one or leaves a hole"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", 5, "1 bytes behind its last tensor"},
        {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F16\",\"shape\":[1],"
         "\"data_offsets\":[2,4]}",
         4, "overlaps"},
    };
    const char *path = path_of("tensor.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[512];
        snprintf(header, sizeof header, "{\"a\":%s}", cases[i].entry);
        write_file(path, header, -1, cases[i].data_bytes);
        expect_refused(path, cases[i].text);
    }
}

/* Every truncation and every flipped bit of a small file either opens or is refused; nothing crashes. */
EI_TEST(damage_is_survived)
{
    const float a[3] = {1.0F, 2.0F, 3.0F};
    const struct ei_safetensors_entry entry = {.name = "a", .dtype = EI_DTYPE_F16, .dims = 1, .shape = {3}, .data = a};
    const char *path = path_of("whole.safetensors"), *damaged = path_of("damaged.safetensors");
    EI_REQUIRE(ei_safetensors_write(path, &entry, 1, NULL, 0, NULL) == 0);
    uint8_t bytes[512];
    FILE *in = fopen(path, "rb");
    EI_REQUIRE(in != NULL);
    const size_t size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    for (size_t cut = 0; cut < size; cut++) {
        write_bytes(damaged, bytes, cut);
        struct ei_safetensors *file = NULL;
        EI_EQ(ei_safetensors_open(damaged, &file, NULL), EINET_E_FILE);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        write_bytes(damaged, bytes, size);
        struct ei_safetensors *file = NULL;
        if (ei_safetensors_open(damaged, &file, NULL) == 0) {
            float out[3];
            const struct ei_safetensors_tensor *t = ei_safetensors_at(file, 0);
            if (t != NULL && t->count <= 3) {
                ei_safetensors_to_f32(t, out);
            }
            ei_safetensors_close(file);
        }
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

EI_TEST(failed_write_keeps_the_old_file)
{
    const float good = 1.0F, bad = 70000.0F, nan_value = NAN;
    struct ei_safetensors_entry entry = {.name = "a", .dtype = EI_DTYPE_F16, .dims = 1, .shape = {1}, .data = &good};
    const char *path = path_of("keep.safetensors");
    struct einet_error err = {0};
    EI_REQUIRE(ei_safetensors_write(path, &entry, 1, NULL, 0, &err) == 0);
    entry.data = &bad;
    EI_EQ(ei_safetensors_write(path, &entry, 1, NULL, 0, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "half precision");
    entry.data = &nan_value;
    EI_EQ(ei_safetensors_write(path, &entry, 1, NULL, 0, &err), EINET_E_USAGE);
    entry.data = &good;
    EI_EQ(ei_safetensors_write(path_of("none/x.safetensors"), &entry, 1, NULL, 0, &err), -ENOENT);
    EI_CONTAINS(err.text, "cannot be written");
    char part[600]; /* a full disk, as /dev/full behaves */
    snprintf(part, sizeof part, "%s.part", path);
    EI_REQUIRE(symlink("/dev/full", part) == 0);
    EI_EQ(ei_safetensors_write(path, &entry, 1, NULL, 0, &err), -ENOSPC);
    EI_CONTAINS(err.text, "No space left");
    struct ei_safetensors *file;
    EI_REQUIRE(ei_safetensors_open(path, &file, NULL) == 0);
    float out;
    ei_safetensors_to_f32(ei_safetensors_at(file, 0), &out);
    EI_NEAR(out, 1.0, 0.0);
    ei_safetensors_close(file);
    EI_TRUE(access(part, F_OK) != 0);
}

EI_TEST(half_precision_is_exact_both_ways)
{
    for (uint32_t half = 0; half < 65536; half++) {
        const float value = ei_float16_to_f32((uint16_t)half);
        if (isnan(value)) {
            EI_TRUE(isnan(ei_float16_to_f32(ei_float16_from_f32(value))));
        } else if (ei_float16_from_f32(value) != half) {
            EI_EQ(ei_float16_from_f32(value), half);
        }
    }
    EI_EQ(ei_float16_from_f32(1.0F), 0x3c00);
    EI_EQ(ei_float16_from_f32(-2.0F), 0xc000);
    EI_EQ(ei_float16_from_f32(65504.0F), 0x7bff);
    EI_EQ(ei_float16_from_f32(65520.0F), 0x7c00);
    EI_EQ(ei_float16_from_f32(0x1p-24F), 0x0001);
    EI_EQ(ei_float16_from_f32(0x1p-25F), 0x0000); /* half-way to even */
    EI_EQ(ei_float16_from_f32(0x1.8p-25F), 0x0001);
    EI_NEAR(ei_bfloat16_to_f32(0x3f80), 1.0, 0.0);
    EI_NEAR(ei_bfloat16_to_f32(0xc040), -3.0, 0.0);
}

/* Between two neighbouring halves every value goes to the nearer one, half-way to the even one. */
EI_TEST(half_precision_rounds_to_nearest)
{
    int64_t wrong = 0;
    for (uint32_t half = 0; half < 0x7bff; half++) {
        const float low = ei_float16_to_f32((uint16_t)half), high = ei_float16_to_f32((uint16_t)(half + 1));
        const float middle = low + (high - low) / 2.0F;
        const uint32_t even = half % 2 == 0 ? half : half + 1;
        const bool ok = ei_float16_from_f32(nextafterf(middle, 0.0F)) == half &&
                        ei_float16_from_f32(nextafterf(middle, INFINITY)) == half + 1 &&
                        ei_float16_from_f32(middle) == even && ei_float16_from_f32(-middle) == (even | 0x8000U);
        wrong += !ok;
    }
    EI_EQ(wrong, 0);
}

EI_MAIN()
