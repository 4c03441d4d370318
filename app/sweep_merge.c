/* Shards put together: their lines by point, each point from one file, none missing. A line begins with its point and
 * the number of points of the grid, in CSV as in JSON lines. */
#include "app/sweep.h"

#include "app/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    int64_t point;
    int64_t order; /* of being read */
    int32_t file;
    char *text; /* owned, with its newline */
};

struct merge {
    struct line *lines;
    int64_t count, capacity, points; /* points: of the grid, 0 = not known yet */
    char *head;                      /* of CSV, owned; NULL = JSON lines */
    bool has_head;
};

static int complain(const char *file, const char *why)
{
    fprintf(stderr, "einet simulate: %s: %s\n", file, why);
    return EINET_EXIT_BAD_FILE;
}

static bool read_point(const char *text, int64_t *out_point, int64_t *out_points)
{
    int end = 0;
    if (text[0] == '{') {
        return sscanf(text, "{\"point\":%" SCNd64 ",\"points\":%" SCNd64 ",%n", out_point, out_points, &end) == 2 &&
               end > 0;
    }
    return sscanf(text, "%" SCNd64 ",%" SCNd64 ",%n", out_point, out_points, &end) == 2 && end > 0;
}

/* Takes the text. */
static int add_line(struct merge *m, char *text, int32_t file, const char *name)
{
    int64_t point = 0, points = 0;
    const bool is_json = text[0] == '{';
    int status = 0;
    if (!read_point(text, &point, &points) || points < 1 || point < 0 || point >= points ||
        is_json != (m->head == NULL)) {
        status = complain(name, "this is no result of a sweep, or CSV and JSON lines are mixed");
    } else if (m->points != 0 && m->points != points) {
        status = complain(name, "this is of another sweep: its grid has another number of points");
    } else if (m->count == m->capacity) {
        const int64_t capacity = m->capacity > 0 ? 2 * m->capacity : 1024;
        struct line *lines = realloc(m->lines, (size_t)capacity * sizeof *lines);
        m->lines = lines != NULL ? lines : m->lines;
        m->capacity = lines != NULL ? capacity : m->capacity;
        status = lines != NULL ? 0 : complain(name, "no memory");
    }
    if (status != 0) {
        free(text);
        return status;
    }
    m->points = points;
    m->lines[m->count] = (struct line){.point = point, .order = m->count, .file = file, .text = text};
    m->count++;
    return 0;
}

static int read_shard(struct merge *m, const char *name, int32_t file)
{
    FILE *in = fopen(name, "re");
    if (in == NULL) {
        return complain(name, strerror(errno));
    }
    char *text = NULL;
    size_t size = 0;
    int status = 0;
    for (bool is_first = true; status == 0 && getline(&text, &size, in) > 0; is_first = false) {
        if (is_first && text[0] != '{') { /* the names of the columns */
            if (m->has_head && (m->head == NULL || strcmp(m->head, text) != 0)) {
                status = complain(name, "this is of another sweep: its columns are others");
            } else if (!m->has_head) {
                m->head = strdup(text);
            }
            m->has_head = true;
            continue;
        }
        m->has_head = true;
        char *copy = strdup(text);
        status = copy != NULL ? add_line(m, copy, file, name) : complain(name, "no memory");
    }
    free(text);
    if (status == 0 && ferror(in)) {
        status = complain(name, "cannot read it");
    }
    fclose(in);
    return status;
}

static int by_point(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return x->point != y->point ? (x->point > y->point) - (x->point < y->point)
                                : (x->order > y->order) - (x->order < y->order);
}

/* Each point once. */
static int check_complete(const struct merge *m, char *const *files)
{
    int64_t next = 0;
    for (int64_t i = 0; i < m->count; i++) {
        const struct line *line = &m->lines[i];
        if (i > 0 && line->point == m->lines[i - 1].point) {
            if (line->file != m->lines[i - 1].file) {
                fprintf(stderr, "einet simulate: point %" PRId64 " is in %s and in %s\n", line->point,
                        files[m->lines[i - 1].file], files[line->file]);
                return EINET_EXIT_BAD_FILE;
            }
            continue;
        }
        if (line->point != next) {
            break;
        }
        next++;
    }
    if (next != m->points || m->points == 0) {
        fprintf(stderr,
                "einet simulate: point %" PRId64 " of %" PRId64 " is in no file: name the results of all shards\n",
                next, m->points);
        return EINET_EXIT_BAD_FILE;
    }
    return 0;
}

int einet_sweep_merge(char *const *files, int count)
{
    struct merge m = {0};
    int status = 0;
    for (int i = 0; status == 0 && i < count; i++) {
        status = read_shard(&m, files[i], i);
    }
    if (status == 0 && m.count > 0) {
        qsort(m.lines, (size_t)m.count, sizeof *m.lines, by_point);
    }
    if (status == 0) {
        status = check_complete(&m, files);
    }
    if (status == 0 && m.head != NULL) {
        fputs(m.head, stdout);
    }
    for (int64_t i = 0; i < m.count; i++) {
        if (status == 0) {
            fputs(m.lines[i].text, stdout);
        }
        free(m.lines[i].text);
    }
    if (status == 0 && fflush(stdout) != 0) {
        fprintf(stderr, "einet simulate: cannot write the results: %s\n", strerror(errno));
        status = EINET_EXIT_FAULT;
    }
    free(m.lines);
    free(m.head);
    return status;
}
