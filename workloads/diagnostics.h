/* Every error and warning of one workload file, with its place, in the style of a compiler:
 *
 *     configs/edge.yaml:17:5: error: unknown key 'prioriy' in task 'camera' (did you mean 'priority'?)
 *        17 |     prioriy: 50
 *           |     ^~~~~~~
 *           = hint: a task has: name, arrival, deadline, ...
 *
 * One owner thread. Lines and columns count from 1, columns in characters (not bytes); 0 = the file as a whole.
 */
#ifndef WORKLOADS_DIAGNOSTICS_H
#define WORKLOADS_DIAGNOSTICS_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EI_DIAGNOSTICS_MAX 100 /* further ones are counted, not kept */
#define EI_DIAGNOSTIC_TEXT_MAX 384

/* A place in a workload file; {0, 0} = none. */
struct ei_place {
    int32_t line;   /* from 1 */
    int32_t column; /* from 1, in characters */
};

enum ei_severity { EI_SEVERITY_ERROR, EI_SEVERITY_WARNING };

struct ei_diagnostic {
    enum ei_severity severity;
    struct ei_place place;
    int32_t length;                    /* characters to underline, >= 1 */
    int32_t order;                     /* of being found: keeps the sorting stable */
    char text[EI_DIAGNOSTIC_TEXT_MAX]; /* one sentence */
    char hint[EI_DIAGNOSTIC_TEXT_MAX]; /* allowed range or what to do; "" = none */
};

/* Caller's storage: init before the first use, fini frees what it owns. */
struct ei_diagnostics {
    char file[EINET_ERROR_FILE_MAX]; /* as named by the caller */
    char *source;                    /* owned copy of the text, for the quoted lines; NULL = none */
    size_t source_bytes;
    int32_t errors, warnings; /* all found, also beyond the limit */
    int32_t count;            /* entries of items */
    struct ei_diagnostic *items;
};

/* Returns 0 or -ENOMEM (then there is nothing to undo). */
int ei_diagnostics_init(struct ei_diagnostics *diag, const char *file);

/* Remember a copy of the text that is being checked. Returns 0 or -ENOMEM. */
int ei_diagnostics_set_source(struct ei_diagnostics *diag, const char *text, size_t length_bytes);

/* Add one. hint may be NULL or "". Over-long texts are cut. */
void ei_diagnostics_add(struct ei_diagnostics *diag, enum ei_severity severity, struct ei_place place, int32_t length,
                        const char *hint, const char *fmt, ...) EINET_PRINTF(6, 7);

/* Order by place. */
void ei_diagnostics_sort(struct ei_diagnostics *diag);

/* Print all of them, with source line, caret and hint, and a closing line "2 errors, 1 warning in FILE" when there is
 * any. Colour only when out is a terminal and NO_COLOR is unset or empty. */
void ei_diagnostics_print(const struct ei_diagnostics *diag, FILE *out);

/* The first error as the error record of a call: EINET_E_FILE with its place; untouched when there is no error.
 * Returns EINET_E_FILE or 0. */
int ei_diagnostics_to_error(const struct ei_diagnostics *diag, struct einet_error *err);

/* Free what it owns; a zeroed struct is fine. */
void ei_diagnostics_fini(struct ei_diagnostics *diag);

#endif
