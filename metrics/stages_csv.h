/* stages.csv: one line per stage and per network block of every job that ran, columns in docs/stages-csv.md. Thread:
 * one owner; not real-time safe.
 */
#ifndef METRICS_STAGES_CSV_H
#define METRICS_STAGES_CSV_H

#include "metrics/csv_line.h"
#include "metrics/record.h"

#include <stdbool.h>

extern const char ei_stages_csv_head[]; /* the line of column names */

/* What a line says beyond the record. */
struct ei_stages_csv_context {
    int64_t release_ns; /* of the job */
    const char *stage;  /* its name */
    bool is_network;    /* of a stage */
    const char *lane;   /* of a block: its name, NULL = none */
};

/* The rest of a line that ei_jobs_csv_begin began, of an EI_RECORD_STAGE or an EI_RECORD_BLOCK. */
void ei_stages_csv_line(struct ei_csv_line *line, const struct ei_record *record,
                        const struct ei_stages_csv_context *context);

#endif
