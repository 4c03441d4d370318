/* See releases.h. */
#include "workloads/releases.h"

#include "workloads/spec_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (INT64_C(1024) * 1024 * 1024)
#define RELEASE_TEXT "release_"
#define CELL_MAX 96

/* Where the reader is. */
struct cursor {
    const char *path;
    int line;
    char *at, *end;
    const struct ei_workload *wl;
    struct ei_releases *out;
    int64_t capacity[EI_TASKS_MAX];
    int task_column, release_column; /* -1 until the column names are read */
    char unit[4];
};

#define REFUSE(c, err, ...) einet_error_set_at(err, EINET_E_FILE, (c)->path, (c)->line, 0, __VA_ARGS__)

/* Take the next cell of the line into out, cut at its size; false at the end of the line. */
static bool take_cell(char **at, char *out)
{
    size_t length = 0;
    char *p = *at;
    if (p == NULL) {
        return false;
    }
    if (*p == '"') {
        for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
            p += *p == '"';
            if (length < CELL_MAX - 1) {
                out[length++] = *p;
            }
        }
        p += *p == '"';
    }
    for (; *p != '\0' && *p != ','; p++) {
        if (length < CELL_MAX - 1) {
            out[length++] = *p;
        }
    }
    out[length] = '\0';
    *at = *p == ',' ? p + 1 : NULL;
    return true;
}

static int take_names(struct cursor *c, char *line, struct einet_error *err)
{
    char cell[CELL_MAX];
    for (int column = 0; take_cell(&line, cell); column++) {
        const char *unit = cell + strlen(RELEASE_TEXT);
        if (strcmp(cell, "task") == 0) {
            c->task_column = column;
        } else if (strncmp(cell, RELEASE_TEXT, strlen(RELEASE_TEXT)) == 0 &&
                   (strcmp(unit, "ns") == 0 || strcmp(unit, "us") == 0 || strcmp(unit, "ms") == 0 ||
                    strcmp(unit, "s") == 0)) {
            c->release_column = column;
            snprintf(c->unit, sizeof c->unit, "%.3s", unit);
        }
    }
    return c->task_column >= 0 && c->release_column >= 0
               ? 0
               : REFUSE(c, err, "the line of column names has no '%s': write task,release_ns (or _us, _ms, _s)",
                        c->task_column < 0 ? "task" : "release_ns");
}

static int32_t find_task(const struct ei_workload *wl, const char *name)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (strcmp(wl->tasks[i].name, name) == 0) {
            return i;
        }
    }
    return EI_NONE_IDX;
}

static int add(struct cursor *c, int32_t task, int64_t asked_ns)
{
    struct ei_releases *out = c->out;
    if (out->count[task] == c->capacity[task]) {
        const int64_t capacity = c->capacity[task] > 0 ? c->capacity[task] * 2 : 256;
        int64_t *asked = realloc(out->asked_ns[task], (size_t)capacity * sizeof *asked);
        if (asked == NULL) {
            return -ENOMEM;
        }
        out->asked_ns[task] = asked;
        c->capacity[task] = capacity;
    }
    out->asked_ns[task][out->count[task]++] = asked_ns;
    return 0;
}

static int take_release(struct cursor *c, char *line, struct einet_error *err)
{
    char cell[CELL_MAX], name[CELL_MAX] = "", time[CELL_MAX] = "", duration[CELL_MAX + 4];
    int columns = 0;
    for (; take_cell(&line, cell); columns++) {
        if (columns == c->task_column) {
            memcpy(name, cell, sizeof name);
        } else if (columns == c->release_column) {
            memcpy(time, cell, sizeof time);
        }
    }
    if (columns <= c->task_column || columns <= c->release_column) {
        return REFUSE(c, err, "the line ends before its column %s",
                      columns <= c->task_column ? "task" : "of release times");
    }
    const int32_t task = find_task(c->wl, name);
    if (task == EI_NONE_IDX) {
        return REFUSE(c, err, "the workload has no task '%.64s': remove the line or correct its name", name);
    }
    if (c->wl->tasks[task].arrival.model != EI_ARRIVAL_EXTERNAL) {
        return 0;
    }
    int64_t asked_ns = 0;
    snprintf(duration, sizeof duration, "%s%s", time, c->unit);
    if (ei_duration_parse(duration, &asked_ns) != 0) {
        return REFUSE(c, err, "'%.64s' is no release time: write a number from 0 on in the unit of the column", time);
    }
    return add(c, task, asked_ns);
}

static int take_line(struct cursor *c, char *line, struct einet_error *err)
{
    line[strcspn(line, "\r")] = '\0';
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    return c->task_column < 0 ? take_names(c, line, err) : take_release(c, line, err);
}

static int compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int ei_releases_read(const char *path, const struct ei_workload *wl, struct ei_releases *out, struct einet_error *err)
{
    char why[256] = "";
    char *text = NULL;
    size_t length_bytes = 0;
    struct cursor c = {.path = path, .wl = wl, .out = out, .task_column = -1, .release_column = -1};
    *out = (struct ei_releases){0};
    int rc = ei_spec_read_file(path, FILE_MAX_BYTES, &text, &length_bytes, why, sizeof why);
    if (rc != 0) {
        return einet_error_set_at(err, rc == -ENOMEM ? rc : EINET_E_FILE, path, 0, 0, "%s", why);
    }
    c.at = text;
    c.end = text + length_bytes;
    while (rc == 0 && c.at < c.end) {
        char *line = c.at, *end = memchr(c.at, '\n', (size_t)(c.end - c.at));
        c.at = end != NULL ? end + 1 : c.end;
        c.line++;
        if (end != NULL) {
            *end = '\0';
        }
        rc = take_line(&c, line, err);
    }
    if (rc == 0 && c.task_column < 0) {
        rc = REFUSE(&c, err, "the file is empty: %s", "write task,release_ns and then a line per release");
    }
    free(text);
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        if (out->count[i] > 0) {
            qsort(out->asked_ns[i], (size_t)out->count[i], sizeof *out->asked_ns[i], compare_times);
        }
    }
    if (rc != 0) {
        ei_releases_fini(out);
    }
    return rc == -ENOMEM ? einet_error_set(err, rc, "no memory for the releases of %s", path) : rc;
}

void ei_releases_fini(struct ei_releases *releases)
{
    for (int32_t i = 0; i < EI_TASKS_MAX; i++) {
        free(releases->asked_ns[i]);
    }
    *releases = (struct ei_releases){0};
}

int32_t ei_releases_first_task(const struct ei_workload *wl)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (wl->tasks[i].arrival.model == EI_ARRIVAL_EXTERNAL) {
            return i;
        }
    }
    return EI_NONE_IDX;
}
