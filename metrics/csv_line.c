/* See csv_line.h. */
#include "metrics/csv_line.h"

#include <stdio.h>
#include <string.h>

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
    add(line, &c, 1);
}

void ei_csv_field(struct ei_csv_line *line, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        ei_csv_raw(line, text);
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
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    add(line, &digits[at], sizeof digits - at);
}

void ei_csv_integer(struct ei_csv_line *line, int64_t value)
{
    if (value < 0) {
        ei_csv_char(line, '-');
    }
    ei_csv_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void ei_csv_real(struct ei_csv_line *line, double value)
{
    char text[32];
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
