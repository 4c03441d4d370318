/* See options.h. */
#include "command/options.h"

#include "command/exit_status.h"
#include "rt/quantity.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HELP_WIDTH 118
#define HELP_COLUMN_MAX 29 /* of the help texts; a longer option has a line of its own */
#define EXPECTED_MAX 160
#define COMPARED_MAX 63

/* ---- what was mistyped ---- */

int einet_options_distance(const char *a, const char *b)
{
    int rows[3][COMPARED_MAX + 1]; /* of the letters of a before the last, the last, and now */
    const int length_a = (int)strnlen(a, COMPARED_MAX), length_b = (int)strnlen(b, COMPARED_MAX);
    int *before = rows[0], *last = rows[1], *now = rows[2];
    for (int k = 0; k <= length_b; k++) {
        last[k] = k;
    }
    for (int i = 1; i <= length_a; i++) {
        now[0] = i;
        for (int k = 1; k <= length_b; k++) {
            const int put_in = now[k - 1] + 1, left_out = last[k] + 1, anew = last[k - 1] + (a[i - 1] != b[k - 1]);
            now[k] = put_in < left_out ? put_in : left_out;
            now[k] = anew < now[k] ? anew : now[k];
            const bool is_turned = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
            now[k] = is_turned && before[k - 2] + 1 < now[k] ? before[k - 2] + 1 : now[k];
        }
        int *const reused = before;
        before = last;
        last = now;
        now = reused;
    }
    return last[length_b];
}

bool einet_options_is_near(const char *word, int distance)
{
    return distance <= 1 + (int)strlen(word) / 4;
}

/* ---- finding rows ---- */

struct place {
    const struct einet_option *row;
    size_t base;
};

/* The i-th option of all tables; row NULL = there are not so many. */
static struct place option_at(const struct einet_usage *usage, int i)
{
    for (int t = 0; t < EINET_OPTION_TABLES_MAX; t++) {
        const struct einet_option_table *table = &usage->tables[t];
        for (int k = 0; k < table->count; k++) {
            if (table->rows[k].name != NULL && i-- == 0) {
                return (struct place){&table->rows[k], table->base};
            }
        }
    }
    return (struct place){0};
}

/* By its whole name, else by a beginning that no other has. */
static struct place find_option(const struct einet_usage *usage, const char *name, size_t length)
{
    struct place found = {0}, place;
    int count = 0;
    for (int i = 0; (place = option_at(usage, i)).row != NULL; i++) {
        if (strncmp(place.row->name, name, length) == 0) {
            if (place.row->name[length] == '\0') {
                return place;
            }
            found = place;
            count++;
        }
    }
    return count == 1 ? found : (struct place){0};
}

/* ---- messages ---- */

int einet_options_refuse(const struct einet_usage *usage, const char *format, ...)
{
    va_list args;
    const char *program = usage->program != NULL ? usage->program : "einet";
    const char *gap = usage->command != NULL ? " " : "", *command = usage->command != NULL ? usage->command : "";
    fprintf(stderr, "%s%s%s: ", program, gap, command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (usage->program == NULL) {
        fprintf(stderr, "; einet help %s\n", command);
    } else {
        fprintf(stderr, "; %s%s%s --help\n", program, gap, command);
    }
    return EINET_EXIT_USAGE;
}

static int refuse_unknown(const struct einet_usage *usage, const char *argument)
{
    const char *name = argument + strspn(argument, "-"), *nearest = NULL;
    const size_t length = strcspn(name, "=");
    char word[COMPARED_MAX + 1];
    int least = COMPARED_MAX;
    struct place place;
    snprintf(word, sizeof word, "%.*s", (int)(length < COMPARED_MAX ? length : COMPARED_MAX), name);
    for (int i = 0; (place = option_at(usage, i)).row != NULL; i++) {
        const int distance = einet_options_distance(word, place.row->name);
        if (distance < least) {
            least = distance;
            nearest = place.row->name;
        }
    }
    const bool is_told = nearest != NULL && einet_options_is_near(word, least);
    return einet_options_refuse(usage, "unknown option %.*s%s%s", (int)strcspn(argument, "="), argument,
                                is_told ? ", did you mean --" : "", is_told ? nearest : "");
}

static double highest(const struct einet_option *row)
{
    return row->high != 0.0 ? row->high : row->kind == EINET_OPTION_INT ? (double)INT32_MAX : INFINITY;
}

/* "adam or sgd", "a, b or c". */
static void list_words(const struct einet_option *row, char *out, size_t size_bytes)
{
    int left = 0, listed = 0;
    size_t used = 0;
    for (int i = 0; i < EINET_OPTION_WORDS_MAX; i++) {
        left += row->words[i] != NULL;
    }
    for (int i = 0; i < EINET_OPTION_WORDS_MAX && used < size_bytes; i++) {
        if (row->words[i] != NULL) {
            left--;
            used += (size_t)snprintf(out + used, size_bytes - used, "%s%s",
                                     listed == 0 ? ""
                                     : left == 0 ? " or "
                                                 : ", ",
                                     row->words[i]);
            listed++;
        }
    }
}

static const char *expected_of(const struct einet_option *row, char out[EXPECTED_MAX])
{
    const double high = highest(row);
    if (row->expected != NULL) {
        return row->expected;
    }
    switch (row->kind) {
    case EINET_OPTION_INT:
    case EINET_OPTION_FLOAT:
    case EINET_OPTION_DOUBLE:
        if (row->high != 0.0) {
            snprintf(out, EXPECTED_MAX, "a number from %.10g to %.10g", row->low, high);
        } else {
            snprintf(out, EXPECTED_MAX, "a %snumber%s", row->kind == EINET_OPTION_INT ? "whole " : "",
                     row->low > 0.0    ? " of at least 1"
                     : row->low == 0.0 ? " of at least 0"
                                       : "");
        }
        return out;
    case EINET_OPTION_WHOLE:
        return "a whole number of at least 0";
    case EINET_OPTION_TIME:
        return "a time with a unit, such as 10s";
    case EINET_OPTION_WORD:
        list_words(row, out, EXPECTED_MAX);
        return out;
    case EINET_OPTION_CUSTOM:
    case EINET_OPTION_FLAG:
    case EINET_OPTION_TEXT:
    default:
        return row->argument != NULL ? row->argument : "no value";
    }
}

/* ---- values ---- */

static bool read_int(const struct einet_option *row, const char *text, int32_t *out)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || (double)value < row->low || (double)value > highest(row)) {
        return false;
    }
    *out = (int32_t)value;
    return true;
}

static bool read_whole(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

static bool read_real(const struct einet_option *row, const char *text, double *out)
{
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(value) || value < row->low || value > highest(row)) {
        return false;
    }
    *out = row->scale != 0.0 ? value * row->scale : value;
    return true;
}

static bool read_word(const struct einet_option *row, const char *text, int32_t *out)
{
    for (int i = 0; i < EINET_OPTION_WORDS_MAX; i++) {
        if (row->words[i] != NULL && strcmp(text, row->words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* A device, a pipe or a socket: a file that is renamed onto it would take it away from everybody. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* Returns whether value is one of the row. */
static bool store(const struct place *place, void *request, const char *value, struct einet_error *err)
{
    const struct einet_option *row = place->row;
    unsigned char *field = (unsigned char *)request + place->base + row->offset;
    const bool is_on = !row->is_cleared;
    int32_t whole;
    double real;
    float single;
    switch (row->kind) {
    case EINET_OPTION_CUSTOM:
        return row->take((unsigned char *)request + place->base, value, err) >= 0;
    case EINET_OPTION_FLAG:
        memcpy(field, &is_on, sizeof is_on);
        return true;
    case EINET_OPTION_TEXT:
        if (row->is_replaced && is_special(value)) {
            (void)einet_error_set(err, EINET_E_USAGE,
                                  "--%s replaces what is there, and %s is no file: name another place", row->name,
                                  value);
            return false;
        }
        memcpy(field, &value, sizeof value);
        return true;
    case EINET_OPTION_INT:
        if (!read_int(row, value, &whole)) {
            return false;
        }
        memcpy(field, &whole, sizeof whole);
        return true;
    case EINET_OPTION_WHOLE:
        return read_whole(value, (uint64_t *)(void *)field);
    case EINET_OPTION_TIME: {
        int64_t time_ns;
        if (ei_duration_parse(value, &time_ns) < 0 || (double)time_ns < row->low) {
            return false;
        }
        memcpy(field, &time_ns, sizeof time_ns);
        return true;
    }
    case EINET_OPTION_FLOAT:
        if (!read_real(row, value, &real)) {
            return false;
        }
        single = (float)real;
        memcpy(field, &single, sizeof single);
        return true;
    case EINET_OPTION_DOUBLE:
        if (!read_real(row, value, &real)) {
            return false;
        }
        memcpy(field, &real, sizeof real);
        return true;
    case EINET_OPTION_WORD:
    default:
        if (!read_word(row, value, &whole)) {
            return false;
        }
        memcpy(field, &whole, sizeof whole);
        return true;
    }
}

/* ---- help ---- */

/* From column `indent` on, where the cursor is. */
static void print_wrapped(const char *text, int indent)
{
    int at = indent;
    while (*text != '\0') {
        const int word = (int)strcspn(text, " \n"), blanks = (int)strspn(text + word, " ");
        printf("%.*s", word, text);
        at += word;
        text += word + blanks;
        if (*text == '\n') {
            text++;
            printf("\n%*s", *text != '\0' ? indent : 0, "");
            at = indent;
        } else if (*text != '\0') {
            const int next = (int)strcspn(text, " \n");
            if (at + blanks + next <= HELP_WIDTH) {
                printf("%*s", blanks, "");
                at += blanks;
            } else {
                printf("\n%*s", indent, "");
                at = indent;
            }
        }
    }
    putchar('\n');
}

static int written_width(const struct einet_option *row)
{
    return 4 + (int)strlen(row->name) + (row->argument != NULL ? 1 + (int)strlen(row->argument) : 0);
}

static void print_help(const struct einet_usage *usage)
{
    int column = 0;
    struct place place;
    for (int i = 0; (place = option_at(usage, i)).row != NULL; i++) {
        const int width = written_width(place.row) + 2;
        column = place.row->help != NULL && width > column && width <= HELP_COLUMN_MAX ? width : column;
    }
    printf("%s\n", usage->head);
    for (int t = 0; t < EINET_OPTION_TABLES_MAX; t++) {
        for (int k = 0; k < usage->tables[t].count; k++) {
            const struct einet_option *row = &usage->tables[t].rows[k];
            if (row->help == NULL) {
                continue;
            }
            if (row->name == NULL) {
                print_wrapped(row->help, 0);
                continue;
            }
            const int width = written_width(row);
            printf("  --%s%s%s", row->name, row->argument != NULL ? " " : "",
                   row->argument != NULL ? row->argument : "");
            printf("%s%*s", width + 2 > column ? "\n" : "", width + 2 > column ? column : column - width, "");
            print_wrapped(row->help, column);
        }
    }
    printf("\n%s", usage->foot);
}

/* ---- the command line ---- */

/* The option at argv[*io_i], with its value if it takes one. Returns -1 to go on, else the exit status. */
static int take_option(const struct einet_usage *usage, int argc, char **argv, int *io_i, void *request,
                       struct einet_arguments *out)
{
    const char *argument = argv[*io_i], *name = argument + 2, *value = strchr(argument, '=');
    struct place place = {0};
    struct einet_error err = {0};
    char expected[EXPECTED_MAX] = "";
    if (strncmp(argument, "--", 2) == 0) {
        const size_t length = value != NULL ? (size_t)(value - name) : strlen(name);
        if (length > 0 && length <= 4 && strncmp(name, "help", length) == 0 &&
            find_option(usage, name, length).row == NULL) {
            print_help(usage);
            return EINET_EXIT_OK;
        }
        place = find_option(usage, name, length);
    }
    if (place.row == NULL) {
        return refuse_unknown(usage, argument);
    }
    value = value != NULL ? value + 1 : NULL;
    if (place.row->argument == NULL && value != NULL) {
        return einet_options_refuse(usage, "--%s takes no value, so not '%s'", place.row->name, value);
    }
    if (place.row->argument != NULL && value == NULL) {
        if (*io_i + 1 == argc) {
            return einet_options_refuse(usage, "missing value of --%s, which wants %s", place.row->name,
                                        expected_of(place.row, expected));
        }
        value = argv[++*io_i];
    }
    if (!store(&place, request, value, &err)) {
        return err.text[0] != '\0' ? einet_options_refuse(usage, "--%s: %s", place.row->name, err.text)
                                   : einet_options_refuse(usage, "--%s wants %s, not '%s'", place.row->name,
                                                          expected_of(place.row, expected), value);
    }
    if (out->given_count < EINET_OPTIONS_GIVEN_MAX) {
        out->given[out->given_count++] = place.row;
    }
    return -1;
}

int einet_options_read(const struct einet_usage *usage, int argc, char **argv, void *request,
                       struct einet_arguments *out)
{
    bool is_over = false;
    *out = (struct einet_arguments){.operands = argv + 1};
    for (int i = 1; i < argc; i++) {
        if (is_over || argv[i][0] != '-' || argv[i][1] == '\0') {
            out->operands[out->operand_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            is_over = true;
        } else if (strcmp(argv[i], "-h") == 0) {
            print_help(usage);
            return EINET_EXIT_OK;
        } else {
            const int status = take_option(usage, argc, argv, &i, request, out);
            if (status >= 0) {
                return status;
            }
        }
    }
    if (out->operand_count < usage->operands_min) {
        return einet_options_refuse(usage, "%s", usage->too_few);
    }
    if (out->operand_count > usage->operands_max) {
        return einet_options_refuse(usage, "%s%s",
                                    usage->too_many != NULL ? usage->too_many : "nothing without a name, so not ",
                                    out->operands[usage->operands_max]);
    }
    return -1;
}

bool einet_options_has(const struct einet_arguments *arguments, const char *name)
{
    for (int i = 0; i < arguments->given_count; i++) {
        if (strcmp(arguments->given[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}
