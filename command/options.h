/* What may stand behind `einet COMMAND` and the like: one table per command, of which the reader, the messages, `einet
 * help COMMAND` and, made from that, completions and manual pages are made. A row names an option, the field of the
 * command's struct that its value goes to (whose type says what a value looks like), its bounds, and its help.
 *
 *     static const struct einet_option rows[] = {
 *         {.name = "duration", .argument = "D", EINET_FIELD(struct request, duration_ns), .low = 1, .help = "how
 * long"},
 *         {.name = "json", EINET_FIELD(struct request, is_json), .help = "print summary.json"},
 *     };
 *
 * Names may be shortened as far as they stay unique, --name=value is --name value, and -- ends the options. Thread:
 * one.
 */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

#include <einet/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum einet_option_kind {
    EINET_OPTION_CUSTOM, /* take() reads it */
    EINET_OPTION_FLAG,   /* bool: takes no value, sets true, or with is_cleared false */
    EINET_OPTION_TEXT,   /* const char *, borrowed from argv */
    EINET_OPTION_INT,    /* int32_t, low..high */
    EINET_OPTION_WHOLE,  /* uint64_t, all of it */
    EINET_OPTION_TIME,   /* int64_t ns, at least low: written with a unit */
    EINET_OPTION_FLOAT,  /* float, low..high */
    EINET_OPTION_DOUBLE, /* double, low..high */
    EINET_OPTION_WORD    /* an enum or int32_t: the place of the word among words */
};

/* .offset and .kind of a row, from the type of the field. */
#define EINET_FIELD(type, field)                                                                                       \
    .offset = offsetof(type, field), .kind = _Generic(                                                                 \
                                         (((type *)0)->field), bool                                                   \
                                         : EINET_OPTION_FLAG, const char *                                            \
                                         : EINET_OPTION_TEXT, int32_t                                                 \
                                         : EINET_OPTION_INT, uint64_t                                                 \
                                         : EINET_OPTION_WHOLE, int64_t                                                \
                                         : EINET_OPTION_TIME, float                                                   \
                                         : EINET_OPTION_FLOAT, double                                                 \
                                         : EINET_OPTION_DOUBLE, default                                               \
                                         : EINET_OPTION_WORD)

#define EINET_OPTION_WORDS_MAX 8

struct einet_option {
    const char *name;     /* without its dashes; NULL = no option: help is a line between them */
    const char *argument; /* what the help calls its value; NULL = it takes none */
    const char *help;     /* broken into lines when it is printed; \n begins a new one; NULL = not in the help */
    size_t offset;        /* of the field, from the table's base */
    enum einet_option_kind kind;
    bool is_cleared;
    bool is_replaced;                          /* TEXT: a file that a new one takes the place of: no device is taken */
    double low, high;                          /* bounds; high 0 = the type's */
    double scale;                              /* FLOAT: the field is the value times this; 0 = 1 */
    const char *words[EINET_OPTION_WORDS_MAX]; /* WORD: each at its value, [EI_TRAIN_SGD] = "sgd" */
    /* CUSTOM: read value (NULL without argument) into the command's struct (request: its base, without offset). 0, or
     * negative: then err's text, if any, says what is wrong, else `expected` does. */
    int (*take)(void *request, const char *value, struct einet_error *err);
    const char *expected; /* what a value is, behind "--name wants"; NULL = told from kind and bounds */
};

#define EINET_OPTION_TABLES_MAX 3

struct einet_option_table {
    const struct einet_option *rows;
    int count;
    size_t base; /* of the struct that the rows speak of, within the command's */
};
#define EINET_OPTION_TABLE(array, at)                                                                                  \
    {                                                                                                                  \
        .rows = (array), .count = (int)(sizeof(array) / sizeof(array)[0]), .base = (at)                                \
    }

/* A command as its user sees it. */
struct einet_usage {
    const char *program; /* NULL = "einet" */
    const char *command; /* "run"; NULL = the program has none of that name */
    const char *head;    /* of the help: "usage: ..." lines, and behind an empty one what the command does */
    const char *foot;    /* behind the options: exit status and examples; without an empty line at its beginning */
    struct einet_option_table tables[EINET_OPTION_TABLES_MAX];
    /* What is no option: how many, and what is said of too few or too many. `too_many` is followed by the first of
     * them; NULL = "nothing without a name, so not ". */
    int operands_min, operands_max;
    const char *too_few, *too_many;
};

#define EINET_OPTIONS_GIVEN_MAX 64

struct einet_arguments {
    char **operands; /* what was no option, in order: argv, rearranged */
    int operand_count;
    const struct einet_option *given[EINET_OPTIONS_GIVEN_MAX]; /* in the order of the command line */
    int given_count;
};

/* Read the arguments of a command into *request, whose defaults are there. Returns -1 to go on, else the exit status:
 * the help was printed, or a fault said. argv is rearranged, and borrowed by request and *out. */
int einet_options_read(const struct einet_usage *usage, int argc, char **argv, void *request,
                       struct einet_arguments *out);

bool einet_options_has(const struct einet_arguments *arguments, const char *name);

/* Say what is wrong, in one line that ends in where to look, and return EINET_EXIT_USAGE. */
EINET_PRINTF(2, 3) int einet_options_refuse(const struct einet_usage *usage, const char *format, ...);

/* How many letters must be written anew, put in, left out or exchanged with their neighbour to make b of a; 63 letters
 * count. For telling what a mistyped word may have meant: einet_options_is_near says whether so few are worth it. */
int einet_options_distance(const char *a, const char *b);
bool einet_options_is_near(const char *word, int distance);

#endif
