/* See hlog.h: the text of a log. The encoding of a histogram is in hlog_code.c. */
#include "metrics/hlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1e6 /* the log's unit of Interval_Max */

int ei_hlog_write_head(FILE *out, double start_s)
{
    char date[64];
    struct tm parts;
    const time_t whole = (time_t)start_s;
    gmtime_r(&whole, &parts);
    strftime(date, sizeof date, "%a %b %d %H:%M:%S UTC %Y", &parts);
    errno = 0;
    const int length = fprintf(out,
                               "#[Histogram log format version 1.3]\n"
                               "#[StartTime: %.3f (seconds since epoch), %s]\n"
                               "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_"
                               "Histogram\"\n",
                               start_s, date);
    return length < 0 ? (errno != 0 ? -errno : -EIO) : 0;
}

int ei_hlog_write(FILE *out, const char *tag, double start_s, double length_s, const struct ei_histogram *histogram)
{
    if (strpbrk(tag, ", \t\r\n") != NULL || strlen(tag) >= EI_HLOG_TAG_MAX) {
        return -EINVAL;
    }
    char *code = ei_hlog_encode(histogram);
    if (code == NULL) {
        return -ENOMEM;
    }
    errno = 0;
    const int length =
        fprintf(out, "%s%s%s%.3f,%.3f,%.6f,%s\n", tag[0] != '\0' ? "Tag=" : "", tag, tag[0] != '\0' ? "," : "", start_s,
                length_s, (double)ei_histogram_max_ns(histogram) / NS_PER_MS, code);
    free(code);
    return length < 0 ? (errno != 0 ? -errno : -EIO) : 0;
}

/* ---- reading ---- */

static struct ei_hlog_entry *entry_of(struct ei_hlog *log, const char *tag)
{
    for (int32_t i = 0; i < log->count; i++) {
        if (strcmp(log->entries[i]->tag, tag) == 0) {
            return log->entries[i];
        }
    }
    struct ei_hlog_entry **entries = realloc(log->entries, ((size_t)log->count + 1) * sizeof(struct ei_hlog_entry *));
    if (entries == NULL) {
        return NULL;
    }
    log->entries = entries;
    struct ei_hlog_entry *entry = calloc(1, sizeof *entry);
    if (entry != NULL) {
        snprintf(entry->tag, sizeof entry->tag, "%s", tag);
        ei_histogram_init(&entry->histogram);
        log->entries[log->count++] = entry;
    }
    return entry;
}

static int wrong(const char *path, int line, const char *what, struct einet_error *err)
{
    return einet_error_set_at(err, EINET_E_FILE, path, line, 1, "%s: not a line of an HdrHistogram log", what);
}

/* "Tag=x,start,length,max,code" or without the tag. Cuts the line up. */
static int take_line(struct ei_hlog *log, char *text, const char *path, int line, struct ei_histogram *room,
                     struct einet_error *err)
{
    const char *tag = "";
    char *fields[4] = {NULL};
    text[strcspn(text, "\r\n")] = '\0';
    char *rest = text;
    if (strncmp(rest, "Tag=", 4) == 0) {
        tag = strsep(&rest, ",") + 4;
    }
    for (int i = 0; i < 4; i++) {
        fields[i] = strsep(&rest, ",");
    }
    if (fields[3] == NULL || rest != NULL || strlen(tag) >= EI_HLOG_TAG_MAX) {
        return wrong(path, line, "its fields are not start, length, maximum and histogram", err);
    }
    struct einet_error why = {0};
    const int rc = ei_hlog_decode(fields[3], room, &why);
    if (rc < 0) {
        return rc == EINET_E_FILE ? wrong(path, line, why.text, err) : rc;
    }
    /* The line knows the maximum better than its bucket does. */
    const int64_t max_ns = (int64_t)(strtod(fields[2], NULL) * NS_PER_MS + 0.5);
    if (max_ns < room->max_ns && room->max_ns - max_ns <= room->max_ns / 1024) {
        room->max_ns = max_ns;
        room->min_ns = room->min_ns < max_ns ? room->min_ns : max_ns;
    }
    struct ei_hlog_entry *entry = log->count < EI_HLOG_TAGS_MAX ? entry_of(log, tag) : NULL;
    if (entry == NULL) {
        return log->count < EI_HLOG_TAGS_MAX
                   ? -ENOMEM
                   : einet_error_set(err, EINET_E_LIMIT, "%s has over %d tags: split it", path, EI_HLOG_TAGS_MAX);
    }
    ei_histogram_merge(&entry->histogram, room);
    return 0;
}

int ei_hlog_read(const char *path, struct ei_hlog *out, struct einet_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        const int errnum = errno;
        return einet_error_set(err, -errnum, "cannot read %s: %s", path, strerror(errnum));
    }
    char *text = NULL;
    size_t size = 0;
    struct ei_histogram *room = malloc(sizeof *room);
    struct ei_hlog log = {0};
    int rc = room != NULL ? 0 : -ENOMEM, line = 0;
    while (rc == 0 && getline(&text, &size, file) >= 0) {
        line++;
        if (text[0] != '#' && text[0] != '"' && text[0] != '\n' && text[0] != '\r') {
            rc = take_line(&log, text, path, line, room, err);
        }
    }
    if (rc == 0 && ferror(file) != 0) {
        rc = einet_error_set(err, -EIO, "cannot read %s to its end", path);
    }
    free(text);
    free(room);
    fclose(file);
    if (rc < 0) {
        ei_hlog_fini(&log);
        return rc == -ENOMEM ? einet_error_set(err, rc, "no memory to read %s", path) : rc;
    }
    *out = log;
    return 0;
}

void ei_hlog_fini(struct ei_hlog *log)
{
    for (int32_t i = 0; i < log->count; i++) {
        free(log->entries[i]);
    }
    free(log->entries);
    *log = (struct ei_hlog){0};
}

const struct ei_histogram *ei_hlog_find(const struct ei_hlog *log, const char *tag)
{
    for (int32_t i = 0; i < log->count; i++) {
        if (strcmp(log->entries[i]->tag, tag) == 0) {
            return &log->entries[i]->histogram;
        }
    }
    return NULL;
}
