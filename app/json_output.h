/* What commands print with --json: one object on standard output, described in docs/command-json.md. Thread: any. */
#ifndef APP_JSON_OUTPUT_H
#define APP_JSON_OUTPUT_H

#include "workloads/diagnostics.h"

#include <jansson.h>

#define EINET_JSON_SCHEMA 1

/* Print object, which is taken, and return status; NULL, or a stream that takes no more: say so and return
 * EINET_EXIT_FAULT. */
int einet_json_print(const char *command, json_t *object, int status);

/* The beginning of every answer: {"schema", "command"}. NULL = no memory, which einet_json_set passes on. */
json_t *einet_json_begin(const char *command);

/* Put value, which is taken, under key. A NULL object or value makes *io_object NULL. */
void einet_json_set(json_t **io_object, const char *key, json_t *value);

/* A list of texts, NULL ones left out; of shares; a seed, as text when it does not fit into 63 bits. */
json_t *einet_json_texts(const char *const *texts, int count);
json_t *einet_json_shares(const float *shares, int32_t count);
json_t *einet_json_whole(uint64_t value);

/* [{"severity", "line", "column", "length", "text", "hint"}] */
json_t *einet_json_diagnostics(const struct ei_diagnostics *diag);

#endif
