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

#define EI_CSV_PIECE_BYTES 32 /* of most pieces; they are added without a call */

/* A part of a line that is made once and added to many. */
struct ei_csv_piece {
    size_t length;
    char *text; /* owned, at least EI_CSV_PIECE_BYTES long */
};

/* What the line holds. Returns 0 or -ENOMEM; fini accepts a zeroed struct. */
int ei_csv_piece_init(struct ei_csv_piece *piece, const struct ei_csv_line *line);
void ei_csv_piece_fini(struct ei_csv_piece *piece);

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

static inline void ei_csv_piece(struct ei_csv_line *line, const struct ei_csv_piece *piece)
{
    if (piece->length <= EI_CSV_PIECE_BYTES && EI_CSV_PIECE_BYTES <= sizeof line->text - line->length) {
        memcpy(&line->text[line->length], piece->text,
               EI_CSV_PIECE_BYTES); /* a store or two; what follows is written */
        line->length += piece->length;
    } else {
        ei_csv_cut(line, piece->text, piece->length);
    }
}

/* Text as a field, quoted when it needs to be; with line ends as blanks, so that a comment is one line. */
void ei_csv_field(struct ei_csv_line *line, const char *text);
void ei_csv_comment(struct ei_csv_line *line, const char *text);
/* Of two digits or more; ei_csv_unsigned is for all. */
void ei_csv_digits(struct ei_csv_line *line, uint64_t value);
/* Six significant digits. */
void ei_csv_real(struct ei_csv_line *line, double value);

static inline void ei_csv_unsigned(struct ei_csv_line *line, uint64_t value)
{
    if (value < 10) { /* flags, indexes and times of 0: about every second number */
        ei_csv_char(line, (char)('0' + value));
    } else {
        ei_csv_digits(line, value);
    }
}

static inline void ei_csv_integer(struct ei_csv_line *line, int64_t value)
{
    if (value < 0) {
        ei_csv_char(line, '-');
    }
    ei_csv_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* ",value", or "," for a negative one, which stands for none. */
static inline void ei_csv_index(struct ei_csv_line *line, int64_t value)
{
    ei_csv_char(line, ',');
    if (value >= 0) {
        ei_csv_unsigned(line, (uint64_t)value);
    }
}

/* ",time - from", or "," for time 0, which did not happen. */
static inline void ei_csv_since(struct ei_csv_line *line, int64_t time_ns, int64_t from_ns)
{
    ei_csv_char(line, ',');
    if (time_ns != 0) {
        ei_csv_integer(line, time_ns - from_ns);
    }
}

#endif
