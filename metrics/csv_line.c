/* See csv_line.h. */
#include "metrics/csv_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static const uint64_t powers_of_ten[] = {1,
                                         10,
                                         100,
                                         1000,
                                         10000,
                                         100000,
                                         1000000,
                                         10000000,
                                         100000000,
                                         1000000000,
                                         10000000000,
                                         100000000000,
                                         1000000000000,
                                         10000000000000,
                                         100000000000000,
                                         1000000000000000,
                                         10000000000000000,
                                         100000000000000000,
                                         1000000000000000000,
                                         10000000000000000000U};

void ei_csv_cut(struct ei_csv_line *line, const char *text, size_t length)
{
    const size_t room = sizeof line->text - line->length;
    const size_t fits = length < room ? length : room;
    memcpy(&line->text[line->length], text, fits);
    line->length += fits;
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
    const char *at = text; /* names are short: a look at each letter is sooner done than a call */
    size_t length = line->length;
    while (*at != '\0' && *at != ',' && *at != '"' && *at != '\r' && *at != '\n' && length < sizeof line->text) {
        line->text[length++] = *at++;
    }
    if (*at == '\0' || length == sizeof line->text) {
        line->length = length;
    } else {
        add_quoted(line, text);
    }
}

void ei_csv_comment(struct ei_csv_line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        ei_csv_char(line, (char)(*text == '\n' || *text == '\r' ? ' ' : *text));
    }
}

/* Digits of a number: its bits times log10(2), which is one too many when the power of ten is not reached. */
static size_t digit_count(uint64_t value)
{
    const uint64_t shown = value | 1; /* of as many digits, and 0 has one, too */
    const size_t count = (64 - (size_t)__builtin_clzll(shown)) * 1233 >> 12;
    return count + (shown >= powers_of_ten[count]);
}

/* From the last digit to the first, two a division. */
static void put_digits(char *text, size_t count, uint64_t value)
{
    while (count >= 2) {
        count -= 2;
        memcpy(&text[count], &pairs[2 * (value % 100)], 2);
        value /= 100;
    }
    if (count > 0) {
        text[0] = (char)('0' + value);
    }
}

void ei_csv_unsigned(struct ei_csv_line *line, uint64_t value)
{
    if (value < 10) { /* flags, indexes and times of 0: about every second number */
        ei_csv_char(line, (char)('0' + value));
        return;
    }
    const size_t count = digit_count(value);
    if (count <= sizeof line->text - line->length) {
        put_digits(&line->text[line->length], count, value);
        line->length += count;
    } else {
        char digits[20];
        put_digits(digits, count, value);
        ei_csv_cut(line, digits, count);
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
