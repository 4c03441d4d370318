/* See csv_line.h. */
#include "metrics/csv_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static void add(struct ei_csv_line *line, const char *text, size_t length)
{
    const size_t room = sizeof line->text - line->length;
    const size_t fits = length < room ? length : room;
    memcpy(&line->text[line->length], text, fits);
    line->length += fits;
}

void ei_csv_raw(struct ei_csv_line *line, const char *text)
{
    add(line, text, strlen(text));
}

void ei_csv_char(struct ei_csv_line *line, char c)
{
    if (line->length < sizeof line->text) {
        line->text[line->length++] = c;
    }
}

void ei_csv_field(struct ei_csv_line *line, const char *text)
{
    const char *at = text; /* names are short: a look at each letter is sooner done than a call */
    while (*at != '\0' && *at != ',' && *at != '"' && *at != '\r' && *at != '\n') {
        at++;
    }
    if (*at == '\0') {
        add(line, text, (size_t)(at - text));
        return;
    }
    ei_csv_char(line, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            ei_csv_char(line, '"');
        }
        ei_csv_char(line, *text);
    }
    ei_csv_char(line, '"');
}

void ei_csv_comment(struct ei_csv_line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        ei_csv_char(line, (char)(*text == '\n' || *text == '\r' ? ' ' : *text));
    }
}

void ei_csv_unsigned(struct ei_csv_line *line, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    while (value >= 100) { /* two digits a division */
        const char *pair = &pairs[2 * (value % 100)];
        value /= 100;
        digits[--at] = pair[1];
        digits[--at] = pair[0];
    }
    if (value >= 10) {
        digits[--at] = pairs[2 * value + 1];
        digits[--at] = pairs[2 * value];
    } else {
        digits[--at] = (char)('0' + value);
    }
    if (line->length + sizeof digits <= sizeof line->text) {
        while (at < sizeof digits) {
            line->text[line->length++] = digits[at++];
        }
    } else {
        add(line, &digits[at], sizeof digits - at);
    }
}

void ei_csv_integer(struct ei_csv_line *line, int64_t value)
{
    if (value < 0) {
        ei_csv_char(line, '-');
    }
    ei_csv_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* Confidences, which are most of the numbers with a point, ten times as fast as printf and to the same digits: a float
 * times 10^6 is exact in a double, and both round halves to even. */
static void add_fraction(struct ei_csv_line *line, double value)
{
    long millionths = lrint(value * 1e6);
    char text[8] = {'0', '.'};
    size_t length = sizeof text;
    for (size_t at = sizeof text - 1; at > 1; at--) {
        text[at] = (char)('0' + millionths % 10);
        millionths /= 10;
    }
    while (text[length - 1] == '0') {
        length--;
    }
    add(line, text, length);
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

void ei_csv_index(struct ei_csv_line *line, int64_t value)
{
    ei_csv_char(line, ',');
    if (value >= 0) {
        ei_csv_integer(line, value);
    }
}

void ei_csv_since(struct ei_csv_line *line, int64_t time_ns, int64_t from_ns)
{
    ei_csv_char(line, ',');
    if (time_ns != 0) {
        ei_csv_integer(line, time_ns - from_ns);
    }
}
