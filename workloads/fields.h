/* The field table: every key of the workload file once, with its type, place in struct ei_workload, default, range and
 * meaning. It drives reading (spec_read.c), printing and comparing (spec_print.c), the suggestions for unknown keys and
 * the table of einet-workload(5) (fields_man.c). Constant data; any thread.
 *
 * A context is one kind of mapping. A context may have a discriminator: a word field whose value says which other keys
 * belong to it (`only`). A key may then have several rows with disjoint `only`.
 */
#ifndef WORKLOADS_FIELDS_H
#define WORKLOADS_FIELDS_H

#include "workloads/spec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum ei_context {
    EI_CONTEXT_FILE,
    EI_CONTEXT_RUN,
    EI_CONTEXT_PLATFORM,
    EI_CONTEXT_LANE,
    EI_CONTEXT_MODEL,
    EI_CONTEXT_EMULATE,
    EI_CONTEXT_BLOCK,
    EI_CONTEXT_LOGNORMAL,
    EI_CONTEXT_SCHEDULER,
    EI_CONTEXT_PLANNER,
    EI_CONTEXT_TASK,
    EI_CONTEXT_ARRIVAL,
    EI_CONTEXT_LATE,
    EI_CONTEXT_INPUT,
    EI_CONTEXT_TOPICS,
    EI_CONTEXT_STAGE,
    EI_CONTEXT_WORK,
    EI_CONTEXT_SLO,
    EI_CONTEXT_OUTPUTS,
    EI_CONTEXT_TRACE,
    EI_CONTEXT_COUNT
};

enum ei_field_type {
    EI_FIELD_WORD,     /* enum, one of `words` */
    EI_FIELD_TERM,     /* struct ei_term: one of `words`, with the number that `numbers` asks for */
    EI_FIELD_CHOICE,   /* char[EI_SPEC_NAME_MAX], one of `words` */
    EI_FIELD_INT,      /* int32_t */
    EI_FIELD_SEED,     /* uint64_t */
    EI_FIELD_DURATION, /* int64_t ns */
    EI_FIELD_SIZE,     /* int64_t bytes */
    EI_FIELD_RATIO,    /* double; its range is in percent */
    EI_FIELD_BOOL,     /* bool */
    EI_FIELD_NAME,     /* char[EI_SPEC_NAME_MAX] */
    EI_FIELD_PATH,     /* char[EI_SPEC_PATH_MAX], a file that is read: resolved beside the workload file; or one of
                        * `words`, if there are any */
    EI_FIELD_TEXT,     /* char[EI_SPEC_PATH_MAX], taken as it is */
    EI_FIELD_CPUS,     /* struct ei_cpuset */
    EI_FIELD_MAP,      /* a mapping of context `child` */
    EI_FIELD_LIST,     /* a list of mappings of context `child` */
    EI_FIELD_NAMED,    /* a mapping from names to mappings of context `child` */
    EI_FIELD_LANE,     /* lane_idx and more_lanes of a struct ei_stage_spec, offset 0: names of lanes */
    EI_FIELD_MODEL,    /* int32_t, index of the model of that name */
    EI_FIELD_TIME,     /* struct ei_emulated_time */
    EI_FIELD_LATE,     /* struct ei_late_spec: a word or a mapping of context `child` */
    EI_FIELD_TRACE,    /* struct ei_trace_spec: the same */
    EI_FIELD_OPS,      /* op_count and ops of a struct ei_stage_spec, offset 0 */
    EI_FIELD_MK        /* mk_m and mk_k of a struct ei_slo_spec, offset 0 */
};

#define EI_WORD_ABSENT (-1) /* a word of the grammar that this version refuses */

struct ei_word {
    const char *text; /* NULL ends the list. An absent "static(" word stands for all with that beginning */
    int32_t value;
};

/* What stands in parentheses behind a word of a term: word(number). */
struct ei_term_number {
    int32_t word;
    double lo, hi; /* both inclusive */
    bool is_whole;
    double absent;    /* the number when none is given; < lo: it must be */
    const char *name; /* "percent"; NULL ends the list */
    bool is_duration; /* written with a unit, kept in ns */
};

struct ei_field {
    enum ei_context context;
    const char *key;
    enum ei_field_type type;
    size_t offset;            /* in the context's struct */
    const char *default_text; /* read like a text of the file; NULL: see computed */
    const char *computed;     /* how a missing value is found, in words; both NULL = required */
    int64_t lo, hi;           /* ns, bytes, percent, number or entries of a list, both inclusive */
    const char *none_text;    /* the word that stands for "none"; NULL = there must be a value */
    const struct ei_word *words;
    const struct ei_term_number *numbers; /* TERM */
    const char *absent_why;               /* why its absent words are; NULL = not in this version */
    enum ei_context child;
    size_t count_offset; /* LIST, NAMED: int32_t number of entries */
    size_t element_bytes;
    uint32_t only; /* bit v: belongs to discriminator value v; 0 = to all */
    bool is_discriminator;
    bool is_inherited; /* PLANNER of a task: default = the workload's own */
    const char *doc;
};

extern const struct ei_field ei_fields[];
extern const int32_t ei_field_count;

/* The first row of a context at or after index `from`, or -1. Rows of a context lie together. */
int32_t ei_field_next(enum ei_context context, int32_t from);

/* The row of a key that belongs to discriminator value (-1: any row of that key), or NULL. */
const struct ei_field *ei_field_find(enum ei_context context, const char *key, int32_t value);

/* The discriminator row of a context, or NULL. */
const struct ei_field *ei_field_discriminator(enum ei_context context);

/* Whether it is a key of `input` that only pictures have, in messages that may be others (kind topic). */
bool ei_field_is_of_pictures(const struct ei_field *field);

static inline bool ei_field_is_for(const struct ei_field *field, int32_t value)
{
    return field->only == 0 || value < 0 || (field->only >> value & 1U) != 0;
}

/* What a mapping of the context is called in messages: "arrival", "task". */
const char *ei_context_title(enum ei_context context);

/* Parse a scalar text into slot (the field's own memory). Types with a scalar form only: not MAP, LIST, NAMED, LANE,
 * MODEL, OPS, MK. On failure returns -EINVAL with a sentence in out_text and a hint, both EI_DIAGNOSTIC_TEXT_MAX bytes;
 * slot is unchanged. PATH is stored as written. */
int ei_field_parse(const struct ei_field *field, const char *text, void *slot, char *out_text, char *out_hint);

/* Write a value as the file would hold it, quoted where YAML needs it; the types of ei_field_parse. */
void ei_field_format(const struct ei_field *field, const void *slot, char *out_text, size_t size_bytes);

/* Whether the value is the field's "none": left out when printing a field without none_text. */
bool ei_field_is_none(const struct ei_field *field, const void *slot);

/* Set a value to "none" where its type has one, else leave it zero. */
void ei_field_blank(const struct ei_field *field, void *slot);

/* Whether two values are equal; the types of ei_field_parse. */
bool ei_field_is_equal(const struct ei_field *field, const void *a, const void *b);

/* Quote a text for YAML when it is not a plain name. */
void ei_text_quote(const char *text, bool is_always, char *out_text, size_t size_bytes);

/* Whether text is a legal name: a letter, digit or '_', then also '-' and '.', at most EI_SPEC_NAME_MAX - 1 bytes. */
bool ei_name_is_legal(const char *text);

/* A word that YAML 1.1 reads as true or false and 1.2 as text: yes, no, on, off, in any case. */
bool ei_text_is_switch_word(const char *text);

/* The op of a stage by its word, or -1 when there is none. */
int32_t ei_op_find(const char *text);
const char *ei_op_name(enum ei_spec_op_kind kind);
extern const struct ei_word ei_op_words[];

/* ---- suggestions ---- */

/* The nearest of the candidates by edit distance (insert, delete, replace, swap of neighbours), or NULL when none is
 * near. */
struct ei_nearest {
    const char *text;
    const char *best;
    int32_t best_distance;
};
void ei_nearest_init(struct ei_nearest *nearest, const char *text);
void ei_nearest_offer(struct ei_nearest *nearest, const char *candidate);
const char *ei_nearest_result(const struct ei_nearest *nearest);

/* ---- documentation ---- */

/* The range of a field in words ("1..98", "at least 100us", "one of: a, b"); "" when there is none. */
void ei_field_range(const struct ei_field *field, char *out_text, size_t size_bytes);

/* Write the field table in roff, as man/einet-workload.5 holds it between its two markers. */
void ei_fields_print_man(FILE *out);

#endif
