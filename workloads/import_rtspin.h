/* Inside of reading scripts that start LITMUS^RT's rtspin: words of a shell's command line with their places
 * (import_rtspin_words.c), and what the commands mean (import_rtspin.c). Private to workloads/.
 */
#ifndef WORKLOADS_IMPORT_RTSPIN_H
#define WORKLOADS_IMPORT_RTSPIN_H

#include "workloads/import_draft.h"

#define EI_SHELL_WORD_MAX 256
#define EI_SHELL_WORDS_MAX 64

struct ei_shell_word {
    struct ei_import_at at;
    char text[EI_SHELL_WORD_MAX];
};

struct ei_shell_command {
    int32_t count;
    struct ei_shell_word words[EI_SHELL_WORDS_MAX];
};

struct ei_shell_reader {
    struct ei_import_draft *draft;
    const char *at, *end;
    struct ei_place place; /* of *at */
};

/* The next command that has words: what stands between newlines, ';' and '&', without comments, quotes and
 * redirections. False at the end. What would need a shell (variables, pipes, substitutions) is refused, and its command
 * skipped. */
bool ei_shell_next(struct ei_shell_reader *reader, struct ei_shell_command *out);

/* Job times in ns from a column (from 1) of a text of numbers in ms: one job a line, columns apart by commas or blanks,
 * lines with '#' skipped. Returns their number with *out_ns (free it), -ENOMEM, or EINET_E_FILE with the reason. */
int64_t ei_rtspin_times(const char *text, size_t length_bytes, int64_t column, int64_t **out_ns, char *out_why,
                        size_t why_bytes);

/* A time in ms as rtspin takes it, "12.5", in ns. False when it is none, or more than an hour. */
bool ei_rtspin_ms(const char *text, int64_t *out_ns);

#endif
