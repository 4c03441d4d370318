/* See csv_line.h. */
#include "metrics/csv_line.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EIGHT UINT64_C(100000000)

void ei_csv_cut(struct ei_csv_line *line, const char *text, size_t length)
{
    const size_t room = sizeof line->text - line->length;
    const size_t fits = length < room ? length : room;
    memcpy(&line->text[line->length], text, fits);
    line->length += fits;
}

int ei_csv_piece_init(struct ei_csv_piece *piece, const struct ei_csv_line *line)
{
    piece->text = calloc(1, line->length + EI_CSV_PIECE_BYTES);
    if (piece->text == NULL) {
        return -ENOMEM;
    }
    memcpy(piece->text, line->text, line->length);
    piece->length = line->length;
    return 0;
}

void ei_csv_piece_fini(struct ei_csv_piece *piece)
{
    free(piece->text);
    *piece = (struct ei_csv_piece){0};
}

static void add_quoted(struct ei_csv_line *line, const char *text)
{
    ei_csv_char(line, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            ei_csv_char(line, '"');
        }
        ei_csv_char(line, *text);
    }
    ei_csv_char(line, '"');
}

void ei_csv_field(struct ei_csv_line *line, const char *text)
{
    if (strpbrk(text, ",\"\r\n") != NULL) {
        add_quoted(line, text);
    } else {
        ei_csv_raw(line, text);
    }
}

void ei_csv_comment(struct ei_csv_line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        ei_csv_char(line, (char)(*text == '\n' || *text == '\r' ? ' ' : *text));
    }
}

/* The eight digits of a value below 10^8, the first in the lowest byte, by three divisions of all that is there at
 * once: by 10^4 in two halves, of these by 100, of these by 10. The factors are 2^20/100 and 2^10/10, rounded up, which
 * is exact for numbers as small as these. */
static uint64_t eight_digits(uint64_t value)
{
    const uint64_t halves = (value / 10000) | (value % 10000) << 32;
    const uint64_t hundreds = ((halves * 10486) >> 20) & UINT64_C(0x7f0000007f);
    const uint64_t quarters = hundreds | (halves - 100 * hundreds) << 16;
    const uint64_t tens = ((quarters * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (quarters - 10 * tens) << 8;
}

static void put_eight(char *text, uint64_t digits)
{
    const uint64_t letters = htole64(digits | UINT64_C(0x3030303030303030));
    memcpy(text, &letters, sizeof letters);
}

/* Without zeros in front; eight bytes are written. Returns how many of them count. */
static size_t put_first(char *text, uint64_t value)
{
    const uint64_t digits = eight_digits(value) | UINT64_C(0x3030303030303030);
    const size_t zeros = (size_t)__builtin_ctzll((digits & UINT64_C(0x0f0f0f0f0f0f0f0f)) | UINT64_C(1) << 63) / 8;
    const uint64_t letters = htole64(digits >> (8 * zeros));
    memcpy(text, &letters, sizeof letters);
    return sizeof letters - zeros;
}

void ei_csv_digits(struct ei_csv_line *line, uint64_t value)
{
    char text[24];
    const bool fits = sizeof text <= sizeof line->text - line->length;
    char *const to = fits ? &line->text[line->length] : text;
    size_t length;
    if (value < EIGHT) {
        length = put_first(to, value);
    } else if (value < EIGHT * EIGHT) {
        length = put_first(to, value / EIGHT);
        put_eight(&to[length], eight_digits(value % EIGHT));
        length += 8;
    } else {
        length = put_first(to, value / EIGHT / EIGHT);
        put_eight(&to[length], eight_digits(value / EIGHT % EIGHT));
        put_eight(&to[length + 8], eight_digits(value % EIGHT));
        length += 16;
    }
    if (fits) {
        line->length += length;
    } else {
        ei_csv_cut(line, text, length);
    }
}

/* Confidences, which are most of the numbers with a point, ten times as fast as printf and to the same digits: a float
 * times 10^6 is exact in a double, and both round halves to even. */
static void add_fraction(struct ei_csv_line *line, double value)
{
    const uint64_t digits = eight_digits((uint64_t)lrint(value * 1e6)); /* two zeros in front */
    const size_t length = 8 - (size_t)__builtin_clzll(digits) / 8;
    char text[8];
    put_eight(text, digits);
    text[1] = '.';
    ei_csv_cut(line, text, length);
}

void ei_csv_real(struct ei_csv_line *line, double value)
{
    char text[32];
    if (value >= 0.1 && value < 0.9999994) {
        add_fraction(line, value);
        return;
    }
    snprintf(text, sizeof text, "%.6g", value);
    ei_csv_raw(line, text);
}
