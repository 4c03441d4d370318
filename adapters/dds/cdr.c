/* See cdr.h. */
#include "adapters/dds/cdr.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define ENCAPSULATION_BYTES 4
#define IS_LITTLE_BIT 1 /* of the second byte */

/* What is left to read; is_ok stays false from the first thing that is not there. */
struct cursor {
    const uint8_t *data; /* alignment counts from here */
    size_t at, end;
    bool is_ok;
};

/* The place of the next `bytes`, or NULL. */
EINET_RT static const uint8_t *take(struct cursor *c, size_t alignment, size_t bytes)
{
    const size_t from = (c->at + alignment - 1) / alignment * alignment;
    c->is_ok = c->is_ok && from <= c->end && bytes <= c->end - from;
    if (!c->is_ok) {
        return NULL;
    }
    c->at = from + bytes;
    return &c->data[from];
}

EINET_RT static uint32_t take_u32(struct cursor *c)
{
    uint32_t value = 0;
    const uint8_t *from = take(c, sizeof value, sizeof value);
    if (from != NULL) {
        memcpy(&value, from, sizeof value);
    }
    return value;
}

/* A string counts its terminating 0. */
EINET_RT static const char *take_text(struct cursor *c)
{
    const uint32_t bytes = take_u32(c);
    const uint8_t *text = take(c, 1, bytes);
    c->is_ok = c->is_ok && bytes > 0 && text[bytes - 1] == '\0';
    return c->is_ok ? (const char *)text : NULL;
}

EINET_RT static void take_octets(struct cursor *c, struct ei_dds_image *out)
{
    out->data_bytes = take_u32(c);
    out->data = take(c, 1, out->data_bytes);
}

EINET_RT static struct cursor begin(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out)
{
    struct cursor c = {.is_ok = bytes >= ENCAPSULATION_BYTES &&
                                ((cdr[1] & IS_LITTLE_BIT) != 0) == (__BYTE_ORDER == __LITTLE_ENDIAN)};
    *out = (struct ei_dds_message){0};
    if (c.is_ok) {
        c.data = &cdr[ENCAPSULATION_BYTES];
        c.end = bytes - ENCAPSULATION_BYTES;
    }
    out->sec = (int32_t)take_u32(&c);
    out->nanosec = take_u32(&c);
    out->frame_id = take_text(&c);
    return c;
}

EINET_RT static enum ei_dds_fault end(const struct cursor *c, const struct ei_dds_message *read,
                                      struct ei_dds_message *out)
{
    if (!c->is_ok) {
        return EI_DDS_FAULT_BYTES;
    }
    *out = *read;
    return EI_DDS_FAULT_NONE;
}

EINET_RT enum ei_dds_fault ei_dds_read_image(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message)
{
    struct ei_dds_message read;
    struct cursor c = begin(cdr, bytes, &read);
    read.image.height = take_u32(&c);
    read.image.width = take_u32(&c);
    read.image.encoding = take_text(&c);
    (void)take(&c, 1, 1); /* is_bigendian: of channels wider than a byte, which none is here */
    read.image.step = take_u32(&c);
    take_octets(&c, &read.image);
    return end(&c, &read, out_message);
}

EINET_RT enum ei_dds_fault ei_dds_read_file(const uint8_t *cdr, size_t bytes, struct ei_dds_message *out_message)
{
    struct ei_dds_message read;
    struct cursor c = begin(cdr, bytes, &read);
    read.image.encoding = take_text(&c);
    take_octets(&c, &read.image);
    return end(&c, &read, out_message);
}
