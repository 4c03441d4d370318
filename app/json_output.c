/* See json_output.h. */
#include "app/json_output.h"

#include "app/commands.h"
#include "metrics/run_json.h"

#include <stdio.h>

int einet_json_print(const char *command, json_t *object, int status)
{
    const bool is_written = object != NULL &&
                            json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
                            putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(object);
    if (!is_written) {
        fprintf(stderr, "einet %s: cannot print the result\n", command);
        return EINET_EXIT_FAULT;
    }
    return status;
}

json_t *einet_json_begin(const char *command)
{
    return json_pack("{s:i, s:s}", "schema", EINET_JSON_SCHEMA, "command", command);
}

void einet_json_set(json_t **io_object, const char *key, json_t *value)
{
    if (*io_object == NULL) {
        json_decref(value);
    } else if (json_object_set_new(*io_object, key, value) != 0) {
        json_decref(*io_object);
        *io_object = NULL;
    }
}

json_t *einet_json_texts(const char *const *texts, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        if (texts[i] != NULL) {
            (void)json_array_append_new(list, ei_json_text(texts[i]));
        }
    }
    return list;
}

json_t *einet_json_shares(const float *shares, int32_t count)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_real((double)shares[i]));
    }
    return list;
}

json_t *einet_json_whole(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_string(text);
}

json_t *einet_json_diagnostics(const struct ei_diagnostics *diag)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < diag->count; i++) {
        const struct ei_diagnostic *item = &diag->items[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:i, s:i, s:i, s:o, s:o}", "severity",
                                              item->severity == EI_SEVERITY_ERROR ? "error" : "warning", "line",
                                              item->place.line, "column", item->place.column, "length", item->length,
                                              "text", ei_json_text(item->text), "hint", ei_json_text(item->hint)));
    }
    return list;
}
