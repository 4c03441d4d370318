/* Writes protocol-buffer fields into a buffer of fixed size: what a trace needs of the wire format
 * (protobuf.dev/programming-guides/encoding), no more. A field that does not fit sets is_full and the buffer stays as
 * it was before that field. Thread: one owner.
 */
#ifndef METRICS_PROTOBUF_H
#define METRICS_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EI_PROTOBUF_VARINT_MAX 10

struct ei_protobuf {
    uint8_t *bytes; /* borrowed, [size] */
    size_t size, used;
    bool is_full;
};

enum ei_protobuf_wire { EI_PROTOBUF_VARINT = 0, EI_PROTOBUF_FIXED64 = 1, EI_PROTOBUF_BYTES = 2 };

static inline size_t ei_protobuf_put(uint8_t out[EI_PROTOBUF_VARINT_MAX], uint64_t value)
{
    size_t length = 0;
    while (value >= 0x80) {
        out[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[length++] = (uint8_t)value;
    return length;
}

static inline void ei_protobuf_add(struct ei_protobuf *out, const void *head, size_t head_bytes, const void *body,
                                   size_t body_bytes)
{
    if (out->size - out->used < head_bytes + body_bytes) {
        out->is_full = true;
        return;
    }
    memcpy(out->bytes + out->used, head, head_bytes);
    if (body_bytes > 0) {
        memcpy(out->bytes + out->used + head_bytes, body, body_bytes);
    }
    out->used += head_bytes + body_bytes;
}

/* uint32, uint64, bool, enum; and int32, int64 that are not negative, or all of them in two's complement. */
static inline void ei_protobuf_uint(struct ei_protobuf *out, uint32_t field, uint64_t value)
{
    uint8_t head[2 * EI_PROTOBUF_VARINT_MAX];
    size_t length = ei_protobuf_put(head, (uint64_t)field << 3 | EI_PROTOBUF_VARINT);
    length += ei_protobuf_put(head + length, value);
    ei_protobuf_add(out, head, length, NULL, 0);
}

static inline void ei_protobuf_fixed64(struct ei_protobuf *out, uint32_t field, uint64_t value)
{
    uint8_t head[EI_PROTOBUF_VARINT_MAX], body[8];
    const size_t length = ei_protobuf_put(head, (uint64_t)field << 3 | EI_PROTOBUF_FIXED64);
    for (int i = 0; i < 8; i++) {
        body[i] = (uint8_t)(value >> (8 * i));
    }
    ei_protobuf_add(out, head, length, body, sizeof body);
}

static inline void ei_protobuf_double(struct ei_protobuf *out, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    ei_protobuf_fixed64(out, field, bits);
}

static inline void ei_protobuf_bytes(struct ei_protobuf *out, uint32_t field, const void *body, size_t body_bytes)
{
    uint8_t head[2 * EI_PROTOBUF_VARINT_MAX];
    size_t length = ei_protobuf_put(head, (uint64_t)field << 3 | EI_PROTOBUF_BYTES);
    length += ei_protobuf_put(head + length, body_bytes);
    ei_protobuf_add(out, head, length, body, body_bytes);
}

static inline void ei_protobuf_text(struct ei_protobuf *out, uint32_t field, const char *text)
{
    ei_protobuf_bytes(out, field, text, strlen(text));
}

/* A message that stands complete in a buffer of its own. */
static inline void ei_protobuf_message(struct ei_protobuf *out, uint32_t field, const struct ei_protobuf *message)
{
    out->is_full |= message->is_full;
    ei_protobuf_bytes(out, field, message->bytes, message->used);
}

#endif
