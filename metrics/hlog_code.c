/* A histogram as the text of HdrHistogram's encoding V2:
 *
 *   base64( cookie, length, zlib( cookie, payload bytes, 0, digits, lowest, highest, 1.0, payload ) )
 *
 * with big-endian numbers, and as payload the counts in the order of the buckets up to the last one that is not empty,
 * each as ZigZag LEB128 of at most nine bytes; -n stands for n empty buckets.
 */
#include "metrics/hlog.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COOKIE UINT32_C(0x1c849313)            /* V2, words of variable length */
#define COMPRESSED_COOKIE UINT32_C(0x1c849314) /* the same, compressed */
#define DIGITS 3
#define HEAD_BYTES ((size_t)40)
#define OUTER_BYTES ((size_t)8)
#define WORD_BYTES ((size_t)9)
/* Of what others wrote: 5 digits over all of int64 have 2^17 buckets a power of two. */
#define PAYLOAD_BYTES_MAX ((size_t)64 << 20)

struct buffer {
    uint8_t *bytes;
    size_t at, size;
};

static void put_word(struct buffer *out, int64_t value)
{
    uint64_t left = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (int i = 0; i < 8; i++) {
        if (left < 0x80) {
            out->bytes[out->at++] = (uint8_t)left;
            return;
        }
        out->bytes[out->at++] = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    out->bytes[out->at++] = (uint8_t)left;
}

/* False: cut off. */
static bool take_word(struct buffer *in, int64_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 9; i++) {
        if (in->at == in->size) {
            return false;
        }
        const uint64_t byte = in->bytes[in->at++];
        value |= (i < 8 ? byte & 0x7f : byte) << (7 * i);
        if (i == 8 || byte < 0x80) {
            break;
        }
    }
    *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return true;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
}

static void put_u64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

/* ---- base64 ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *to_base64(const uint8_t *bytes, size_t count)
{
    char *text = malloc((count + 2) / 3 * 4 + 1), *at = text;
    for (size_t i = 0; text != NULL && i < count; i += 3) {
        const size_t left = count - i;
        const uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                              (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        *at++ = letters[word >> 18];
        *at++ = letters[word >> 12 & 63];
        *at++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *at++ = left > 2 ? letters[word & 63] : '=';
    }
    if (text != NULL) {
        *at = '\0';
    }
    return text;
}

/* Into the buffer, which has room for three bytes of every four letters. False: a letter that is none. */
static bool from_base64(const char *text, size_t length, struct buffer *out)
{
    uint32_t word = 0;
    int bits = 0;
    while (length > 0 && text[length - 1] == '=') {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        const char *letter = text[i] != '\0' ? strchr(letters, text[i]) : NULL;
        if (letter == NULL) {
            return false;
        }
        word = word << 6 | (uint32_t)(letter - letters);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out->bytes[out->at++] = (uint8_t)(word >> bits);
        }
    }
    return true;
}

/* ---- encoding ---- */

static void put_counts(struct buffer *out, const struct ei_histogram *histogram)
{
    int last = -1;
    for (int i = 0; i < EI_HISTOGRAM_BUCKETS; i++) {
        last = histogram->buckets[i] > 0 ? i : last;
    }
    for (int i = 0; i <= last;) {
        int64_t empty = 0;
        while (histogram->buckets[i] == 0) {
            empty++;
            i++;
        }
        if (empty > 0) {
            put_word(out, empty > 1 ? -empty : 0);
        }
        put_word(out, (int64_t)histogram->buckets[i++]);
    }
}

char *ei_hlog_encode(const struct ei_histogram *histogram)
{
    static const double ratio = 1.0;
    uint64_t ratio_bits;
    struct buffer raw = {.bytes = malloc(HEAD_BYTES + EI_HISTOGRAM_BUCKETS * WORD_BYTES), .at = HEAD_BYTES};
    uLongf packed_bytes = compressBound(HEAD_BYTES + EI_HISTOGRAM_BUCKETS * WORD_BYTES);
    uint8_t *packed = malloc(OUTER_BYTES + packed_bytes);
    char *text = NULL;
    if (raw.bytes != NULL && packed != NULL) {
        put_counts(&raw, histogram);
        memcpy(&ratio_bits, &ratio, sizeof ratio_bits);
        put_u32(raw.bytes, COOKIE);
        put_u32(&raw.bytes[4], (uint32_t)(raw.at - HEAD_BYTES));
        put_u32(&raw.bytes[8], 0); /* the buckets are not shifted */
        put_u32(&raw.bytes[12], DIGITS);
        put_u64(&raw.bytes[16], 1);
        put_u64(&raw.bytes[24], (uint64_t)EI_HISTOGRAM_MAX_NS);
        put_u64(&raw.bytes[32], ratio_bits);
        if (compress2(&packed[OUTER_BYTES], &packed_bytes, raw.bytes, raw.at, Z_DEFAULT_COMPRESSION) == Z_OK) {
            put_u32(packed, COMPRESSED_COOKIE);
            put_u32(&packed[4], (uint32_t)packed_bytes);
            text = to_base64(packed, OUTER_BYTES + packed_bytes);
        }
    }
    free(raw.bytes);
    free(packed);
    return text;
}

/* ---- decoding ---- */

/* Their sum is taken as if each were in the middle of its bucket. */
static void count_in(struct ei_histogram *out, int64_t low_ns, int64_t high_ns, uint64_t count)
{
    ei_histogram_record_many(out, low_ns, count);
    out->sum_ns += (double)((high_ns - low_ns) / 2) * (double)count;
    if (out->max_ns < high_ns && high_ns <= EI_HISTOGRAM_MAX_NS) {
        out->max_ns = high_ns;
    }
}

/* The values of HdrHistogram's bucket `index` with 2^half_bits sub-buckets in the upper half of each bucket. */
static bool bounds_of(uint64_t index, unsigned half_bits, unsigned unit_bits, int64_t *out_low, int64_t *out_high)
{
    const uint64_t half = UINT64_C(1) << half_bits;
    uint64_t bucket = 0, sub = index;
    if (index >= 2 * half) {
        bucket = (index >> half_bits) - 1;
        sub = (index & (half - 1)) + half;
    }
    const uint64_t shift = bucket + unit_bits;
    if (shift + half_bits + 1 > 62) {
        return false;
    }
    *out_low = (int64_t)(sub << shift);
    *out_high = (int64_t)(((sub + 1) << shift) - 1);
    return true;
}

/* Bits of the sub-buckets that hold `digits` decimal digits, as HdrHistogram computes them. */
static unsigned half_bits_of(uint32_t digits)
{
    uint64_t largest = 2;
    unsigned bits = 0;
    for (uint32_t i = 0; i < digits; i++) {
        largest *= 10;
    }
    while ((UINT64_C(1) << bits) < largest) {
        bits++;
    }
    return bits - 1;
}

static int take_counts(struct buffer *in, uint32_t digits, uint64_t lowest, struct ei_histogram *out,
                       struct einet_error *err)
{
    const unsigned half_bits = half_bits_of(digits);
    const unsigned unit_bits = 63 - (unsigned)__builtin_clzll(lowest);
    uint64_t index = 0;
    while (in->at < in->size) {
        int64_t count, low_ns, high_ns;
        if (!take_word(in, &count) || count == INT64_MIN) {
            return einet_error_set(err, EINET_E_FILE, "a count of its histogram is cut off");
        }
        if (count < 0) {
            index += (uint64_t)-count;
        } else if (count > 0 && !bounds_of(index, half_bits, unit_bits, &low_ns, &high_ns)) {
            return einet_error_set(err, EINET_E_FILE, "its histogram has values beyond all measure");
        } else {
            if (count > 0) {
                count_in(out, low_ns, high_ns, (uint64_t)count);
            }
            index++;
        }
    }
    return 0;
}

/* What zlib had packed. */
static int take_raw(struct buffer *raw, struct ei_histogram *out, struct einet_error *err)
{
    if (raw->size < HEAD_BYTES || get_u32(raw->bytes) != COOKIE || get_u32(&raw->bytes[8]) != 0) {
        return einet_error_set(err, EINET_E_FILE, "its histogram is not of encoding V2");
    }
    const uint32_t payload = get_u32(&raw->bytes[4]), digits = get_u32(&raw->bytes[12]);
    const uint64_t lowest = get_u64(&raw->bytes[16]);
    if (payload > raw->size - HEAD_BYTES || digits > 5 || lowest == 0 || lowest > INT64_MAX / 2) {
        return einet_error_set(err, EINET_E_FILE, "its histogram is cut off or has senseless bounds");
    }
    raw->at = HEAD_BYTES;
    raw->size = HEAD_BYTES + payload;
    return take_counts(raw, digits, lowest, out, err);
}

/* Unpack into memory that grows as needed: the packed bytes do not say how long they will be. */
static int unpack(const uint8_t *packed, size_t length, struct buffer *out, struct einet_error *err)
{
    for (size_t size = 1 << 16; size <= PAYLOAD_BYTES_MAX; size *= 4) {
        free(out->bytes);
        out->bytes = malloc(size);
        uLongf got = size;
        const int rc = out->bytes != NULL ? uncompress(out->bytes, &got, packed, length) : Z_MEM_ERROR;
        if (rc == Z_OK) {
            out->size = got;
            return 0;
        }
        if (rc == Z_MEM_ERROR) {
            return einet_error_set(err, -ENOMEM, "no memory for a histogram");
        }
        if (rc != Z_BUF_ERROR) {
            break;
        }
    }
    return einet_error_set(err, EINET_E_FILE, "its histogram cannot be unpacked");
}

int ei_hlog_decode(const char *text, struct ei_histogram *out, struct einet_error *err)
{
    const size_t length = strcspn(text, "\r\n");
    struct buffer packed = {.bytes = malloc(length / 4 * 3 + 4)}, raw = {0};
    int rc = 0;
    ei_histogram_init(out);
    if (packed.bytes == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a histogram");
    } else if (!from_base64(text, length, &packed) || packed.at < OUTER_BYTES ||
               get_u32(packed.bytes) != COMPRESSED_COOKIE || get_u32(&packed.bytes[4]) > packed.at - OUTER_BYTES) {
        rc = einet_error_set(err, EINET_E_FILE, "its histogram is not of encoding V2, compressed");
    } else {
        rc = unpack(&packed.bytes[OUTER_BYTES], get_u32(&packed.bytes[4]), &raw, err);
    }
    if (rc == 0) {
        rc = take_raw(&raw, out, err);
    }
    free(packed.bytes);
    free(raw.bytes);
    return rc;
}
