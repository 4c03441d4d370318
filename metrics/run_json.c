/* See run_json.h. */
#include "metrics/run_json.h"

#include "metrics/collector_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *ei_json_text(const char *text)
{
    if (text == NULL) {
        return json_null();
    }
    json_t *value = json_string(text);
    char *ascii = value == NULL ? strdup(text) : NULL;
    if (ascii != NULL) {
        for (char *c = ascii; *c != '\0'; c++) {
            *c = (*c & 0x80) != 0 ? '?' : *c;
        }
        value = json_string(ascii);
        free(ascii);
    }
    return value;
}

json_t *ei_collector_machine_json(const struct ei_collector *collector)
{
    return collector->machine;
}

json_t *ei_collector_degraded_json(const struct ei_collector *collector)
{
    return collector->degraded;
}

json_t *ei_collector_end_json(const struct ei_collector *collector)
{
    static const char *const keys[] = {"duration_ns", "ended_early",  "end_signal",   "identity_ok", "slo_failures",
                                       "changes",     "changes_lost", "records_lost", "lines_lost"};
    json_t *summary = ei_metrics_summary_json(collector), *end = json_object();
    int rc = summary == NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        rc |= json_object_set(end, keys[i], json_object_get(summary, keys[i]));
    }
    json_decref(summary);
    if (rc != 0) {
        json_decref(end);
        return NULL;
    }
    return end;
}

int ei_json_publish(const json_t *root, const char *folder, const char *name, struct einet_error *err)
{
    struct ei_output_file file;
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (text == NULL) {
        return einet_error_set(err, -ENOMEM, "out of memory while writing %s", name);
    }
    int rc = ei_output_file_open(&file, folder, name, err);
    if (rc == 0) {
        errno = 0;
        file.write_errnum = fputs(text, file.stream) == EOF || fputc('\n', file.stream) == EOF ? errno : 0;
        rc = ei_output_file_close(&file, err);
        rc = rc == 0 ? ei_output_file_publish(&file, err) : rc;
        if (rc == 0) {
            ei_output_file_fini(&file);
        } else {
            ei_output_file_discard(&file);
        }
    }
    free(text);
    return rc;
}
