/* See table_text.h. */
#include "metrics/table_text.h"

#include <stdlib.h>
#include <string.h>

struct unit {
    double ns;
    const char *name;
};

static struct unit unit_of(int64_t value_ns)
{
    const int64_t size_ns = value_ns < 0 ? -value_ns : value_ns;
    if (size_ns < 1000) {
        return (struct unit){1.0, "ns"};
    }
    if (size_ns < 200000) {
        return (struct unit){1e3, "us"};
    }
    if (size_ns < 1000000000) {
        return (struct unit){1e6, "ms"};
    }
    return (struct unit){1e9, "s"};
}

/* Three digits at most before they stop to matter: 0.34, 1.9, 33.3, 120; trailing zeros of a fraction are dropped. */
static void number(char *out, size_t size_bytes, double value)
{
    const double size = value < 0 ? -value : value;
    const int digits = size >= 99.95 ? 0 : size >= 0.995 ? 1 : 2;
    snprintf(out, size_bytes, "%.*f", digits, value);
    if (digits > 0) {
        char *end = out + strlen(out);
        while (end[-1] == '0') {
            *--end = '\0';
        }
        if (end[-1] == '.') {
            end[-1] = '\0';
        }
    }
}

char *ei_text_durations(char *out, size_t size_bytes, const int64_t *values_ns, int count, int64_t in_unit_of_ns,
                        bool is_bare)
{
    int64_t largest_ns = in_unit_of_ns;
    for (int i = 0; i < count; i++) {
        largest_ns = values_ns[i] > largest_ns ? values_ns[i] : largest_ns;
    }
    const struct unit unit = unit_of(largest_ns);
    size_t length = 0;
    for (int i = 0; i < count && length < size_bytes; i++) {
        char text[32];
        number(text, sizeof text, (double)values_ns[i] / unit.ns);
        length += (size_t)snprintf(out + length, size_bytes - length, "%s%s", i > 0 ? "/" : "", text);
    }
    if (!is_bare && length < size_bytes) {
        snprintf(out + length, size_bytes - length, " %s", unit.name);
    }
    return out;
}

char *ei_text_duration(char *out, size_t size_bytes, int64_t value_ns)
{
    return ei_text_durations(out, size_bytes, &value_ns, 1, value_ns, false);
}

char *ei_text_percent(char *out, size_t size_bytes, double value)
{
    snprintf(out, size_bytes, value >= 0.99995 ? "%.0f%%" : value >= 0.0995 ? "%.1f%%" : "%.2f%%", value * 100.0);
    return out;
}

void ei_text_make_plain(char *text, bool has_lines)
{
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];
        if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
            *text++ = '?';
            *text = '?';
        } else if ((byte < 0x20 && !(has_lines && byte == '\n')) || byte == 0x7f) {
            *text = '?';
        }
    }
}

void ei_text_coloured(FILE *out, bool is_on, enum ei_table_colour colour, const char *text)
{
    static const char *const sequences[] = {"", "\033[32m", "\033[1;31m", "\033[1;33m", "\033[1m"};
    if (is_on && colour != EI_COLOUR_NONE) {
        fprintf(out, "%s%s\033[0m", sequences[colour], text);
    } else {
        fputs(text, out);
    }
}

void ei_table_print(FILE *out, bool is_coloured, const struct ei_table_cell *cells, int rows, int columns,
                    const struct ei_table_layout *layout)
{
    int widths[EI_TABLE_COLUMNS_MAX] = {0};
    for (int i = 0; i < rows * columns; i++) {
        const int length = (int)strlen(cells[i].text);
        widths[i % columns] = length > widths[i % columns] ? length : widths[i % columns];
    }
    for (int row = 0; row < rows; row++) {
        int blanks = 0; /* owed before the next text */
        for (int column = 0; column < columns; column++) {
            const struct ei_table_cell *cell = &cells[row * columns + column];
            const int padding = widths[column] - (int)strlen(cell->text);
            const bool is_left = (layout->left_mask >> column & 1U) != 0;
            if (column > 0) {
                blanks += (layout->tight_mask >> column & 1U) != 0 ? 1 : 2;
            }
            blanks += is_left ? 0 : padding;
            if (cell->text[0] != '\0') {
                fprintf(out, "%*s", blanks, "");
                ei_text_coloured(out, is_coloured, cell->colour, cell->text);
                blanks = 0;
            }
            blanks += is_left ? padding : 0;
        }
        fputc('\n', out);
    }
}
