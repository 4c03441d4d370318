/* Byte planes and zlib; see profile_cs_columns.h. */
#include "planner/profile_cs_columns.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define RATIO_MAX 1032 /* of deflate: 258 bytes from two bits; https://www.zlib.net/zlib_tech.html */

static size_t label_bytes(int32_t classes)
{
    return classes <= 256 ? 1 : 2;
}

size_t ei_cs_columns_bytes(int32_t exits, int32_t samples, int32_t classes)
{
    const size_t values = (size_t)samples, answers = values * (size_t)exits;
    return values * label_bytes(classes) + answers * label_bytes(classes) + answers * 2;
}

bool ei_cs_columns_plausible(size_t columns_bytes, size_t compressed_bytes)
{
    return columns_bytes / RATIO_MAX <= compressed_bytes;
}

/* ---- planes ---- */

static uint8_t *put_planes(uint8_t *at, const uint16_t *values, size_t count, size_t width)
{
    for (size_t i = 0; width == 2 && i < count; i++) {
        *at++ = (uint8_t)(values[i] >> 8);
    }
    for (size_t i = 0; i < count; i++) {
        *at++ = (uint8_t)(values[i] & 0xFF);
    }
    return at;
}

static const uint8_t *take_planes(const uint8_t *at, uint16_t *values, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = (uint16_t)(width == 2 ? at[i] << 8 | at[count + i] : at[i]);
    }
    return at + count * width;
}

/* The value that an answer is stored relative to. */
static uint16_t expected_answer(const struct ei_cs_profile *profile, size_t sample, int32_t exit)
{
    const size_t at = sample * (size_t)profile->exits + (size_t)exit;
    return exit == 0 ? profile->label[sample] : profile->top_label[at - 1];
}

/* Answers to differences; out: [samples * exits]. */
static void differences(const struct ei_cs_profile *profile, uint16_t *out)
{
    for (size_t s = 0; s < (size_t)profile->samples; s++) {
        for (int32_t e = 0; e < profile->exits; e++) {
            const size_t at = s * (size_t)profile->exits + (size_t)e;
            out[at] = (uint16_t)(profile->top_label[at] - expected_answer(profile, s, e));
        }
    }
}

/* And back, in place; mask cuts what one plane cannot hold. */
static void answers(struct ei_cs_profile *profile, uint16_t mask)
{
    for (size_t s = 0; s < (size_t)profile->samples; s++) {
        for (int32_t e = 0; e < profile->exits; e++) {
            const size_t at = s * (size_t)profile->exits + (size_t)e;
            profile->top_label[at] = (uint16_t)((profile->top_label[at] + expected_answer(profile, s, e)) & mask);
        }
    }
}

/* ---- compression ---- */

static int deflate_all(const uint8_t *planes, size_t size, uint8_t **out_bytes, size_t *out_size)
{
    uLongf bound = compressBound((uLong)size);
    uint8_t *bytes = malloc(bound);
    if (bytes == NULL || compress2(bytes, &bound, planes, (uLong)size, Z_BEST_COMPRESSION) != Z_OK) {
        free(bytes);
        return -ENOMEM;
    }
    *out_bytes = bytes;
    *out_size = bound;
    return 0;
}

int ei_cs_columns_pack(const struct ei_cs_profile *profile, uint8_t **out_bytes, size_t *out_size)
{
    const size_t samples = (size_t)profile->samples, count = samples * (size_t)profile->exits;
    const size_t width = label_bytes(profile->classes);
    const size_t size = ei_cs_columns_bytes(profile->exits, profile->samples, profile->classes);
    uint8_t *planes = malloc(size);
    uint16_t *relative = malloc(count * sizeof *relative);
    int rc = -ENOMEM;
    if (planes != NULL && relative != NULL) {
        differences(profile, relative);
        uint8_t *at = put_planes(planes, profile->label, samples, width);
        at = put_planes(at, relative, count, width);
        (void)put_planes(at, profile->confidence, count, 2);
        rc = deflate_all(planes, size, out_bytes, out_size);
    }
    free(planes);
    free(relative);
    return rc;
}

/* The length is known, so that no stream can make it grow: what does not fit is a fault. zlib counts in uInt, which a
 * large profile exceeds, hence the slices. */
static int inflate_all(const uint8_t *bytes, size_t size, uint8_t *planes, size_t planes_size, const char **out_fault)
{
    z_stream z = {.next_in = (z_const Bytef *)bytes, .next_out = planes};
    if (inflateInit(&z) != Z_OK) {
        return -ENOMEM;
    }
    size_t in_left = size, out_left = planes_size;
    int rc = Z_OK;
    while (rc == Z_OK) {
        const uInt in = in_left < UINT_MAX ? (uInt)in_left : UINT_MAX;
        const uInt room = out_left < UINT_MAX ? (uInt)out_left : UINT_MAX;
        z.avail_in = in;
        z.avail_out = room;
        rc = inflate(&z, Z_NO_FLUSH);
        in_left -= in - z.avail_in;
        out_left -= room - z.avail_out;
    }
    inflateEnd(&z);
    if (rc == Z_MEM_ERROR) {
        return -ENOMEM;
    }
    if (rc == Z_BUF_ERROR) {
        *out_fault =
            in_left == 0 ? "the columns are cut off" : "the columns are longer than samples, exits and classes ask for";
        return EINET_E_FILE;
    }
    if (rc != Z_STREAM_END) {
        *out_fault = "the columns are no zlib data";
        return EINET_E_FILE;
    }
    if (out_left != 0) {
        *out_fault = "the columns are shorter than samples, exits and classes ask for";
        return EINET_E_FILE;
    }
    if (in_left != 0) {
        *out_fault = "bytes follow the end of the columns";
        return EINET_E_FILE;
    }
    return 0;
}

int ei_cs_columns_unpack(const uint8_t *bytes, size_t size, struct ei_cs_profile *profile, const char **out_fault)
{
    const size_t samples = (size_t)profile->samples, count = samples * (size_t)profile->exits;
    const size_t width = label_bytes(profile->classes);
    const size_t planes_size = ei_cs_columns_bytes(profile->exits, profile->samples, profile->classes);
    uint8_t *planes = malloc(planes_size);
    if (planes == NULL) {
        return -ENOMEM;
    }
    const int rc = inflate_all(bytes, size, planes, planes_size, out_fault);
    if (rc == 0) {
        const uint8_t *at = take_planes(planes, profile->label, samples, width);
        at = take_planes(at, profile->top_label, count, width);
        (void)take_planes(at, profile->confidence, count, 2);
        answers(profile, width == 2 ? UINT16_MAX : UINT8_MAX);
    }
    free(planes);
    return rc;
}
