/* See import_rtspin.h. */
#include "workloads/import_rtspin.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 100000
#define TIME_MAX_NS (INT64_C(3600) * 1000000000)

/* ---- words ---- */

static int peek(const struct ei_shell_reader *rd)
{
    return rd->at < rd->end ? (unsigned char)*rd->at : -1;
}

static int peek_next(const struct ei_shell_reader *rd)
{
    return rd->end - rd->at >= 2 ? (unsigned char)rd->at[1] : -1;
}

static void skip(struct ei_shell_reader *rd)
{
    if (*rd->at == '\n') {
        rd->place.line++;
        rd->place.column = 0;
    }
    rd->at++;
    if (rd->at >= rd->end || ((unsigned char)*rd->at & 0xc0U) != 0x80U) {
        rd->place.column++;
    }
}

static void skip_line(struct ei_shell_reader *rd)
{
    while (peek(rd) >= 0 && peek(rd) != '\n') {
        skip(rd);
    }
}

/* Blanks, and a backslash at the end of a line. */
static void skip_blank(struct ei_shell_reader *rd)
{
    for (;;) {
        const int c = peek(rd);
        if (c == ' ' || c == '\t' || c == '\r') {
            skip(rd);
        } else if (c == '\\' && peek_next(rd) == '\n') {
            skip(rd);
            skip(rd);
        } else {
            return;
        }
    }
}

static bool is_word_end(int c)
{
    return c < 0 || strchr(" \t\r\n;&|<>()", c) != NULL;
}

static bool refuse(struct ei_shell_reader *rd, struct ei_place place, const char *hint, const char *text)
{
    ei_import_refuse(rd->draft, (struct ei_import_at){place, 1}, hint, "%s", text);
    return false;
}

/* One character of a word into out, unless it needs a shell. */
static bool take(struct ei_shell_reader *rd, struct ei_shell_word *out, size_t *length)
{
    const int c = peek(rd);
    if (c == '$' || c == '`') {
        return refuse(rd, rd->place, "write the value itself", "this needs a shell to be known");
    }
    if (*length == EI_SHELL_WORD_MAX - 1) {
        return refuse(rd, rd->place, NULL, "a word of more than 255 bytes");
    }
    out->text[(*length)++] = (char)c;
    skip(rd);
    return true;
}

static bool read_quoted(struct ei_shell_reader *rd, struct ei_shell_word *out, size_t *length)
{
    const struct ei_place start = rd->place;
    const int quote = peek(rd);
    skip(rd);
    while (peek(rd) != quote) {
        if (peek(rd) < 0 || peek(rd) == '\n') {
            return refuse(rd, start, "close it on its line", "the quote does not end");
        }
        if (quote == '"' && peek(rd) == '\\' && peek_next(rd) >= 0 && peek_next(rd) != '\n') {
            skip(rd);
        }
        if (quote == '\'' && *length < EI_SHELL_WORD_MAX - 1) {
            out->text[(*length)++] = (char)peek(rd);
            skip(rd);
        } else if (!take(rd, out, length)) {
            return false;
        }
    }
    skip(rd);
    return true;
}

static bool read_word(struct ei_shell_reader *rd, struct ei_shell_word *out)
{
    size_t length = 0;
    out->at.place = rd->place;
    while (!is_word_end(peek(rd))) {
        const int c = peek(rd);
        if (c == '\'' || c == '"') {
            if (!read_quoted(rd, out, &length)) {
                return false;
            }
            continue;
        }
        if (c == '\\' && peek_next(rd) == '\n') {
            skip(rd);
            skip(rd);
            continue;
        }
        if (c == '\\' && peek_next(rd) >= 0) {
            skip(rd);
        }
        if (!take(rd, out, &length)) {
            return false;
        }
    }
    out->text[length] = '\0';
    out->at.length = rd->place.line == out->at.place.line ? rd->place.column - out->at.place.column : 1;
    return true;
}

/* "> file", "2>&1", "&> file", "< file": where output goes is nothing to us. False after an error. */
static bool skip_redirection(struct ei_shell_reader *rd)
{
    struct ei_shell_word target;
    while (peek(rd) == '<' || peek(rd) == '>' || peek(rd) == '&') {
        skip(rd);
    }
    skip_blank(rd);
    return read_word(rd, &target);
}

static bool is_redirection(const struct ei_shell_reader *rd)
{
    const char *at = rd->at;
    while (at < rd->end && isdigit((unsigned char)*at)) {
        at++;
    }
    return at < rd->end && (*at == '<' || *at == '>' || (*at == '&' && at + 1 < rd->end && at[1] == '>'));
}

/* The words up to the end of the command. False after an error; then the rest of the line is skipped. */
static bool read_command(struct ei_shell_reader *rd, struct ei_shell_command *out)
{
    out->count = 0;
    for (;;) {
        skip_blank(rd);
        const int c = peek(rd);
        if (is_redirection(rd)) {
            while (isdigit(peek(rd))) {
                skip(rd);
            }
            if (!skip_redirection(rd)) {
                return false;
            }
        } else if (c < 0) {
            return true;
        } else if (c == '#') {
            skip_line(rd);
        } else if (c == '\n' || c == ';' || c == '&') {
            skip(rd);
            return true;
        } else if (strchr("|()", c) != NULL) {
            return refuse(rd, rd->place, "one plain command a line", "this needs a shell to be known");
        } else if (out->count == EI_SHELL_WORDS_MAX) {
            return refuse(rd, rd->place, NULL, "a command of more than 64 words");
        } else if (!read_word(rd, &out->words[out->count])) {
            return false;
        } else {
            out->count++;
        }
    }
}

bool ei_shell_next(struct ei_shell_reader *reader, struct ei_shell_command *out)
{
    while (peek(reader) >= 0) {
        if (!read_command(reader, out)) {
            skip_line(reader);
        } else if (out->count > 0) {
            return true;
        }
    }
    return false;
}

/* ---- numbers ---- */

bool ei_rtspin_ms(const char *text, int64_t *out_ns)
{
    char with_unit[EI_SHELL_WORD_MAX + 4];
    snprintf(with_unit, sizeof with_unit, "%s%sms", text[0] == '.' ? "0" : "", text);
    return strlen(text) > 0 && isdigit((unsigned char)text[strlen(text) - 1]) &&
           ei_duration_parse(with_unit, out_ns) == 0 && *out_ns <= TIME_MAX_NS;
}

/* The column of a line as text. False when the line has too few. */
static bool find_column(const char *line, size_t length, int64_t column, char out[64])
{
    static const char separators[] = ", \t\r";
    size_t at = 0;
    for (int64_t i = 1;; i++) {
        while (at < length && strchr(separators, line[at]) != NULL) {
            at++;
        }
        size_t end = at;
        while (end < length && strchr(separators, line[end]) == NULL) {
            end++;
        }
        if (end == at) {
            return false;
        }
        if (i == column) {
            snprintf(out, 64, "%.*s", (int)(end - at < 63 ? end - at : 63), line + at);
            return true;
        }
        at = end;
    }
}

int64_t ei_rtspin_times(const char *text, size_t length_bytes, int64_t column, int64_t **out_ns, char *out_why,
                        size_t why_bytes)
{
    int64_t *times_ns = NULL;
    int64_t count = 0;
    int64_t capacity = 0;
    int64_t line_number = 0;
    for (size_t at = 0; at < length_bytes;) {
        const char *end = memchr(text + at, '\n', length_bytes - at);
        const size_t length = end != NULL ? (size_t)(end - text) - at : length_bytes - at;
        const char *line = text + at;
        char cell[64];
        at += length + 1;
        line_number++;
        if (length == 0 || line[0] == '#' || strspn(line, " \t\r") >= length) {
            continue;
        }
        if (count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 64;
            int64_t *grown = realloc(times_ns, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                free(times_ns);
                return -ENOMEM;
            }
            times_ns = grown;
        }
        if (count == ROWS_MAX || !find_column(line, length, column, cell) || !ei_rtspin_ms(cell, &times_ns[count])) {
            snprintf(out_why, why_bytes, "its line %" PRId64 " %s", line_number,
                     count == ROWS_MAX ? "is beyond the 100000 jobs that are read" : "has no time in ms there");
            free(times_ns);
            return EINET_E_FILE;
        }
        count++;
    }
    if (count == 0) {
        snprintf(out_why, why_bytes, "it holds no times");
        free(times_ns);
        return EINET_E_FILE;
    }
    *out_ns = times_ns;
    return count;
}
