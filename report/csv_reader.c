/* See csv_reader.h. */
#include "report/csv_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINES_PER_NEWS 4096
#define REFUSE(csv, err, ...) einet_error_set_at(err, EINET_E_FILE, (csv)->path, (csv)->line, 0, __VA_ARGS__)

/* Append one physical line to text[0..*length). 1 = done, 0 = end of file. */
static int append_line(struct ei_csv_reader *csv, size_t *length, struct einet_error *err)
{
    errno = 0;
    const ssize_t got = getline(&csv->more, &csv->more_bytes, csv->in);
    if (got < 0) {
        return ferror(csv->in) || errno == ENOMEM
                   ? einet_error_set(err, errno != 0 ? -errno : -EIO, "cannot read %s: %s", csv->path,
                                     einet_error_text(errno != 0 ? -errno : -EIO))
                   : 0;
    }
    csv->last_line++;
    if (csv->watch != NULL) {
        csv->watch->done_bytes += got;
        if (csv->last_line % LINES_PER_NEWS == 0) {
            csv->watch->tell(csv->watch->context, csv->watch->done_bytes, csv->watch->whole_bytes);
        }
    }
    if (memchr(csv->more, '\0', (size_t)got) != NULL) {
        csv->line = csv->last_line;
        return REFUSE(csv, err, "the line holds a zero byte, so the file is damaged or no CSV file");
    }
    if ((int64_t)*length + got > EI_CSV_LINE_BYTES_MAX) {
        return REFUSE(csv, err, "the line is longer than 1 MiB, so a quote is not closed or this is no CSV file");
    }
    if (*length + (size_t)got + 1 > csv->text_bytes) {
        const size_t bytes = 2 * (*length + (size_t)got + 1);
        char *text = realloc(csv->text, bytes);
        if (text == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for a line of %s", csv->path);
        }
        csv->text = text;
        csv->text_bytes = bytes;
    }
    memcpy(csv->text + *length, csv->more, (size_t)got + 1);
    *length += (size_t)got;
    return 1;
}

/* Is the last quote of the text still open? */
static bool is_open(const char *text)
{
    bool open = false;
    for (const char *p = strchr(text, '"'); p != NULL; p = strchr(p + 1, '"')) {
        open = !open;
    }
    return open;
}

/* The next record that is no comment, its line end cut off. */
static int read_record(struct ei_csv_reader *csv, struct einet_error *err)
{
    for (;;) {
        size_t length = 0;
        csv->line = csv->last_line + 1;
        int rc = append_line(csv, &length, err);
        if (rc <= 0) {
            return rc;
        }
        if (csv->text[0] == '#' || csv->text[0] == '\n' || (csv->text[0] == '\r' && csv->text[1] == '\n')) {
            continue;
        }
        while (is_open(csv->text)) {
            rc = append_line(csv, &length, err);
            if (rc <= 0) {
                return rc < 0 ? rc : REFUSE(csv, err, "a quote is opened and not closed up to the end of the file");
            }
        }
        if (csv->text[length - 1] != '\n') {
            return REFUSE(csv, err, "the file ends in the middle of this line: it is cut off, copy it again");
        }
        csv->text[--length] = '\0';
        if (length > 0 && csv->text[length - 1] == '\r') {
            csv->text[--length] = '\0';
        }
        return 1;
    }
}

/* A quoted cell is unquoted in place. Returns what follows the cell (a comma or the end), NULL when it is malformed. */
static char *unquote(char *cell)
{
    char *to = cell, *from = cell + 1;
    for (;;) {
        if (*from == '"' && from[1] == '"') {
            from++;
        } else if (*from == '"') {
            break;
        } else if (*from == '\0') {
            return NULL;
        }
        *to++ = *from++;
    }
    from++;
    *to = '\0';
    return *from == ',' || *from == '\0' ? from : NULL;
}

static int cut(struct ei_csv_reader *csv, char *text, const char **cells, int *out_count, struct einet_error *err)
{
    int count = 0;
    for (char *at = text;;) {
        if (count == EI_CSV_COLUMNS_MAX) {
            return REFUSE(csv, err, "the line has more than %d columns", EI_CSV_COLUMNS_MAX);
        }
        cells[count++] = at;
        char *end = *at == '"' ? unquote(at) : strchrnul(at, ',');
        if (end == NULL) {
            return REFUSE(csv, err, "column %d: a quoted cell must end with its quote", count);
        }
        const bool is_last = *end == '\0';
        *end = '\0';
        if (is_last) {
            break;
        }
        at = end + 1;
    }
    *out_count = count;
    return 0;
}

int ei_csv_reader_open(struct ei_csv_reader *csv, const char *path, struct einet_error *err)
{
    *csv = (struct ei_csv_reader){.path = path};
    csv->in = fopen(path, "re");
    if (csv->in == NULL) {
        return einet_error_set(err, -errno, "cannot open %s: %s", path, einet_error_text(-errno));
    }
    int rc = read_record(csv, err);
    if (rc == 0) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "the file has no line of column names: it is empty");
    }
    if (rc > 0) {
        csv->names = csv->text;
        csv->text = NULL;
        csv->text_bytes = 0;
        rc = cut(csv, csv->names, csv->name, &csv->column_count, err);
    }
    if (rc < 0) {
        ei_csv_reader_close(csv);
    }
    return rc < 0 ? rc : 0;
}

void ei_csv_reader_close(struct ei_csv_reader *csv)
{
    if (csv->in != NULL) {
        fclose(csv->in);
    }
    free(csv->text);
    free(csv->more);
    free(csv->names);
    *csv = (struct ei_csv_reader){0};
}

int ei_csv_reader_find(const struct ei_csv_reader *csv, const char *name)
{
    for (int i = 0; i < csv->column_count; i++) {
        if (strcmp(csv->name[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

int ei_csv_reader_need(const struct ei_csv_reader *csv, const char *name, int *out_column, struct einet_error *err)
{
    *out_column = ei_csv_reader_find(csv, name);
    return *out_column >= 0 ? 0
                            : einet_error_set_at(err, EINET_E_FILE, csv->path, 1, 0,
                                                 "the line of column names has no '%s': this is not the file that "
                                                 "einet writes, or one of an older version",
                                                 name);
}

int ei_csv_reader_next(struct ei_csv_reader *csv, struct einet_error *err)
{
    int rc = read_record(csv, err);
    if (rc <= 0) {
        return rc;
    }
    int count = 0;
    rc = cut(csv, csv->text, csv->cell, &count, err);
    if (rc < 0) {
        return rc;
    }
    if (count != csv->column_count) {
        return REFUSE(csv, err, "the line has %d columns where the line of names has %d: the file is damaged", count,
                      csv->column_count);
    }
    return 1;
}

int ei_csv_reader_integer(const struct ei_csv_reader *csv, int column, int64_t *out, struct einet_error *err)
{
    const char *text = column >= 0 ? csv->cell[column] : "";
    if (*text == '\0') {
        return 0;
    }
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        return REFUSE(csv, err, "column %s: '%.40s' is not a whole number", csv->name[column], text);
    }
    return 1;
}
