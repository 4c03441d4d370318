/* What train and convert tell of a training while it goes on: a line for every epoch with the time left, and on a
 * terminal one that is rewritten meanwhile; and what they print of its result. One thread.
 */
#ifndef APP_TRAIN_PROGRESS_H
#define APP_TRAIN_PROGRESS_H

#include "models/train.h"

#include <jansson.h>
#include <stdio.h>

struct einet_train_shown {
    FILE *out; /* standard output, or, when that is for JSON, standard error */
    bool is_terminal;
};

struct einet_train_shown einet_train_show_on(bool is_json);

/* on_progress and on_note of a training; context: struct einet_train_shown. */
void einet_train_show(void *context, const struct ei_train_progress *progress);
void einet_train_note(void *context, const char *text);

/* An end to the line that is rewritten, before anything else is printed. */
void einet_train_show_end(const struct einet_train_shown *shown);

/* Of a training that came to an end or was stopped: a line for people; `more` is said of one that was stopped. */
void einet_train_print_result(const struct ei_train_config *config, const struct ei_train_result *result,
                              const char *more);

/* The same for programs, added to *io_object: is_finished, steps, accuracy, eval_batch; and the list of the files that
 * were written. */
void einet_train_result_json(json_t **io_object, const struct ei_train_result *result);
json_t *einet_train_files_json(const struct ei_train_config *config, bool is_finished);

#endif
