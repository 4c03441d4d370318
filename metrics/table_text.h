/* Numbers and cells of the final table, for people: few digits, one unit per group, aligned columns. */
#ifndef METRICS_TABLE_TEXT_H
#define METRICS_TABLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EI_TABLE_COLUMNS_MAX 16
#define EI_TABLE_CELL_BYTES 96

/* "2 ms", "33.3 ms", "29.7 ms", "42 us", "1.5 s". Always terminated; returns out. */
char *ei_text_duration(char *out, size_t size_bytes, int64_t value_ns);

/* count values (1..4) in the unit of the largest of them and of in_unit_of_ns: "15/43 us", "0.34/0.41/1.9 ms"; without
 * the unit's name when is_bare. */
char *ei_text_durations(char *out, size_t size_bytes, const int64_t *values_ns, int count, int64_t in_unit_of_ns,
                        bool is_bare);

/* "0.44%", "0.00%", "100%". */
char *ei_text_percent(char *out, size_t size_bytes, double value);

/* In place: what would steer a terminal becomes '?', the control characters of one byte and U+0080 to U+009F. Line ends
 * stay when has_lines. For texts out of somebody else's files. */
void ei_text_make_plain(char *text, bool has_lines);

enum ei_table_colour { EI_COLOUR_NONE, EI_COLOUR_GOOD, EI_COLOUR_BAD, EI_COLOUR_WARN, EI_COLOUR_HEAD };

/* text in colour when is_on, else plain. */
void ei_text_coloured(FILE *out, bool is_on, enum ei_table_colour colour, const char *text);

struct ei_table_cell {
    char text[EI_TABLE_CELL_BYTES];
    enum ei_table_colour colour;
};

struct ei_table_layout {
    unsigned left_mask;  /* bit c: column c is aligned to the left */
    unsigned tight_mask; /* bit c: one blank before column c, not two */
};

/* rows x columns cells in row order; at most EI_TABLE_COLUMNS_MAX columns. Blanks at the end of a line are left out. */
void ei_table_print(FILE *out, bool is_coloured, const struct ei_table_cell *cells, int rows, int columns,
                    const struct ei_table_layout *layout);

#endif
