/* See diagnostics.h. */
#include "workloads/diagnostics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUOTE_COLUMNS_MAX 160 /* of a source line */

int ei_diagnostics_init(struct ei_diagnostics *diag, const char *file)
{
    struct ei_diagnostic *items = calloc(EI_DIAGNOSTICS_MAX, sizeof *items);
    if (items == NULL) {
        return -ENOMEM;
    }
    memset(diag, 0, sizeof *diag);
    diag->items = items;
    snprintf(diag->file, sizeof diag->file, "%s", file);
    return 0;
}

int ei_diagnostics_set_source(struct ei_diagnostics *diag, const char *text, size_t length_bytes)
{
    char *copy = malloc(length_bytes + 1);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, text, length_bytes);
    copy[length_bytes] = '\0';
    free(diag->source);
    diag->source = copy;
    diag->source_bytes = length_bytes;
    return 0;
}

void ei_diagnostics_add(struct ei_diagnostics *diag, enum ei_severity severity, struct ei_place place, int32_t length,
                        const char *hint, const char *fmt, ...)
{
    if (severity == EI_SEVERITY_ERROR) {
        diag->errors++;
    } else {
        diag->warnings++;
    }
    if (diag->count == EI_DIAGNOSTICS_MAX) {
        return;
    }
    struct ei_diagnostic *item = &diag->items[diag->count];
    item->severity = severity;
    item->place = place;
    item->length = length < 1 ? 1 : length;
    item->order = diag->count++;
    snprintf(item->hint, sizeof item->hint, "%s", hint != NULL ? hint : "");
    va_list args;
    va_start(args, fmt);
    vsnprintf(item->text, sizeof item->text, fmt, args);
    va_end(args);
}

static int compare_places(const void *a, const void *b)
{
    const struct ei_diagnostic *x = a;
    const struct ei_diagnostic *y = b;
    if (x->place.line != y->place.line) {
        return x->place.line < y->place.line ? -1 : 1;
    }
    if (x->place.column != y->place.column) {
        return x->place.column < y->place.column ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

void ei_diagnostics_sort(struct ei_diagnostics *diag)
{
    if (diag->count > 1) {
        qsort(diag->items, (size_t)diag->count, sizeof diag->items[0], compare_places);
    }
}

/* ---- printing ---- */

struct style {
    const char *bold, *red, *magenta, *green, *plain;
};

static struct style style_of(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const int fd = fileno(out);
    if ((no_color != NULL && no_color[0] != '\0') || fd < 0 || isatty(fd) != 1) {
        return (struct style){"", "", "", "", ""};
    }
    return (struct style){"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;32m", "\033[0m"};
}

static const char *line_start(const struct ei_diagnostics *diag, int32_t line)
{
    const char *at = diag->source;
    const char *end = diag->source + diag->source_bytes;
    for (int32_t i = 1; i < line && at != NULL; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return at;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0U) == 0x80U;
}

/* The source line and below it the underlined place. Control characters show as '?', so that a hostile file cannot
 * drive the terminal; tabs stay, in both lines. */
static void print_quote(const struct ei_diagnostics *diag, const struct ei_diagnostic *item, const struct style *style,
                        FILE *out)
{
    const char *start = diag->source != NULL ? line_start(diag, item->place.line) : NULL;
    if (start == NULL || item->place.line < 1) {
        return;
    }
    const char *end = diag->source + diag->source_bytes;
    int32_t column = 0;
    fprintf(out, "%5d | ", item->place.line);
    for (const char *at = start; at < end && *at != '\n' && *at != '\r'; at++) {
        column += is_continuation(*at) ? 0 : 1;
        if (column > QUOTE_COLUMNS_MAX) {
            fputs("...", out);
            break;
        }
        const unsigned char c = (unsigned char)*at;
        fputc((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c, out);
    }
    fputs("\n      | ", out);
    if (item->place.column > QUOTE_COLUMNS_MAX) {
        fputc('\n', out);
        return;
    }
    const char *at = start;
    for (column = 1; column < item->place.column; column++) {
        fputc(at < end && *at == '\t' ? '\t' : ' ', out);
        at += at < end && *at != '\n' ? 1 : 0;
        while (at < end && is_continuation(*at)) {
            at++;
        }
    }
    fputs(style->green, out);
    fputc('^', out);
    for (int32_t i = 1; i < item->length && column + i <= QUOTE_COLUMNS_MAX; i++) {
        fputc('~', out);
    }
    fprintf(out, "%s\n", style->plain);
}

void ei_diagnostics_print(const struct ei_diagnostics *diag, FILE *out)
{
    const struct style style = style_of(out);
    for (int32_t i = 0; i < diag->count; i++) {
        const struct ei_diagnostic *item = &diag->items[i];
        const bool is_error = item->severity == EI_SEVERITY_ERROR;
        fprintf(out, "%s%s:", style.bold, diag->file);
        if (item->place.line > 0) {
            fprintf(out, "%d:%d:", item->place.line, item->place.column);
        }
        fprintf(out, "%s %s%s:%s %s%s%s\n", style.plain, is_error ? style.red : style.magenta,
                is_error ? "error" : "warning", style.plain, style.bold, item->text, style.plain);
        print_quote(diag, item, &style, out);
        if (item->hint[0] != '\0') {
            fprintf(out, "      = hint: %s\n", item->hint);
        }
    }
    if (diag->errors + diag->warnings > 0) {
        fprintf(out, "%d error%s, %d warning%s in %s", diag->errors, diag->errors == 1 ? "" : "s", diag->warnings,
                diag->warnings == 1 ? "" : "s", diag->file);
        const int32_t hidden = diag->errors + diag->warnings - diag->count;
        if (hidden > 0) {
            fprintf(out, " (%d more not shown)", hidden);
        }
        fputc('\n', out);
    }
}

int ei_diagnostics_to_error(const struct ei_diagnostics *diag, struct einet_error *err)
{
    for (int32_t i = 0; i < diag->count; i++) {
        const struct ei_diagnostic *item = &diag->items[i];
        if (item->severity == EI_SEVERITY_ERROR) {
            return einet_error_set_at(err, EINET_E_FILE, diag->file, item->place.line, item->place.column, "%s%s%s",
                                      item->text, item->hint[0] != '\0' ? "; " : "", item->hint);
        }
    }
    return diag->errors > 0 ? EINET_E_FILE : 0;
}

void ei_diagnostics_fini(struct ei_diagnostics *diag)
{
    free(diag->source);
    free(diag->items);
    memset(diag, 0, sizeof *diag);
}
