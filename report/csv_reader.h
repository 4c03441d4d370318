/* Reading of CSV files of any length, a line at a time (RFC 4180: quotes, doubled quotes, line ends in quotes).
 *
 * Lines that begin with `#` and empty lines are passed over; the first other line names the columns. Memory is that of
 * the longest line. Every complaint names the file, the line and what to do. Thread: one owner.
 */
#ifndef REPORT_CSV_READER_H
#define REPORT_CSV_READER_H

#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EI_CSV_COLUMNS_MAX 128
#define EI_CSV_LINE_BYTES_MAX (INT64_C(1024) * 1024)

/* Told now and then how far the reading of several files is. whole_bytes: of all of them. */
struct ei_csv_watch {
    void (*tell)(void *context, int64_t done_bytes, int64_t whole_bytes);
    void *context;
    int64_t done_bytes, whole_bytes;
};

struct ei_csv_reader {
    FILE *in;                   /* owned */
    const char *path;           /* borrowed until close */
    struct ei_csv_watch *watch; /* borrowed; NULL = nobody is told. Set after open */
    char *text;                 /* owned: the line, cut into cells in place */
    size_t text_bytes;
    char *more; /* owned: what getline reads */
    size_t more_bytes;
    int line; /* 1-based: where the current record begins */
    int last_line;
    int column_count;
    char *names;                          /* owned: the line of column names */
    const char *name[EI_CSV_COLUMNS_MAX]; /* into names */
    const char *cell[EI_CSV_COLUMNS_MAX]; /* of the current record, into text */
};

/* Open the file and read its column names. -ENOENT when there is no such file, else EINET_E_FILE or -errno; nothing is
 * held then. */
int ei_csv_reader_open(struct ei_csv_reader *csv, const char *path, struct einet_error *err);
void ei_csv_reader_close(struct ei_csv_reader *csv);

/* The column of that name, -1 when there is none. */
int ei_csv_reader_find(const struct ei_csv_reader *csv, const char *name);
/* The same, an error when there is none. */
int ei_csv_reader_need(const struct ei_csv_reader *csv, const char *name, int *out_column, struct einet_error *err);

/* Read the next record into csv->cell. 1 = there is one, 0 = the file is over, negative = error. */
int ei_csv_reader_next(struct ei_csv_reader *csv, struct einet_error *err);

/* The cell as a whole number. 1 = *out is set, 0 = the cell is empty or column is -1, negative = it is something else.
 */
int ei_csv_reader_integer(const struct ei_csv_reader *csv, int column, int64_t *out, struct einet_error *err);

#endif
