/* One line of a CSV file (RFC 4180) in memory, built field by field: files are written by others than those who build
 * the lines, and a job's line costs a drain thread far less this way than through stdio. Functions append; the caller
 * puts the commas. What does not fit is cut: the longest lines that can come are half as long. Thread: one owner.
 */
#ifndef METRICS_CSV_LINE_H
#define METRICS_CSV_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EI_CSV_LINE_BYTES 4096

struct ei_csv_line {
    size_t length; /* 0: empty */
    char text[EI_CSV_LINE_BYTES];
};

/* What of the text fits. */
void ei_csv_cut(struct ei_csv_line *line, const char *text, size_t length);

/* Text as it is. Inline, so that what is said of a constant text is a store or two: most of a line is constant. */
static inline void ei_csv_raw(struct ei_csv_line *line, const char *text)
{
    const size_t length = strlen(text);
    if (length > sizeof line->text - line->length) {
        ei_csv_cut(line, text, length);
        return;
    }
    memcpy(&line->text[line->length], text, length);
    line->length += length;
}

static inline void ei_csv_char(struct ei_csv_line *line, char c)
{
    if (line->length < sizeof line->text) {
        line->text[line->length++] = c;
    }
}

/* Text as a field, quoted when it needs to be; with line ends as blanks, so that a comment is one line. */
void ei_csv_field(struct ei_csv_line *line, const char *text);
void ei_csv_comment(struct ei_csv_line *line, const char *text);
void ei_csv_integer(struct ei_csv_line *line, int64_t value);
void ei_csv_unsigned(struct ei_csv_line *line, uint64_t value);
/* Six significant digits. */
void ei_csv_real(struct ei_csv_line *line, double value);

/* ",value", or "," for a negative one, which stands for none. */
void ei_csv_index(struct ei_csv_line *line, int64_t value);
/* ",time - from", or "," for time 0, which did not happen. */
void ei_csv_since(struct ei_csv_line *line, int64_t time_ns, int64_t from_ns);

#endif
