/* stages.csv: one line per stage and per network block of every job that ran, columns in docs/stages-csv.md. Thread:
 * one owner; not real-time safe.
 */
#ifndef METRICS_STAGES_CSV_H
#define METRICS_STAGES_CSV_H

#include "metrics/csv_line.h"
#include "metrics/record.h"

#include <stdbool.h>

extern const char ei_stages_csv_head[]; /* the line of column names */

/* What lines say of a stage of a task, and of its blocks: all that is the same in each of them. */
struct ei_stages_csv_stage {
    struct ei_csv_piece whole, conv, branch;
};

/* Returns 0 or -ENOMEM; fini accepts a zeroed struct. */
int ei_stages_csv_stage_init(struct ei_stages_csv_stage *stage, int32_t stage_idx, const char *name, bool is_network);
void ei_stages_csv_stage_fini(struct ei_stages_csv_stage *stage);

/* What lines say of a lane, NULL = none. Returns 0 or -ENOMEM. */
int ei_stages_csv_lane_init(struct ei_csv_piece *lane, const char *name);

/* What a line says beyond the record. */
struct ei_stages_csv_context {
    int64_t release_ns; /* of the job */
    const struct ei_stages_csv_stage *stage;
    const struct ei_csv_piece *lane; /* of a block */
};

/* The rest of a line that ei_jobs_csv_begin began, of an EI_RECORD_STAGE or an EI_RECORD_BLOCK. */
void ei_stages_csv_line(struct ei_csv_line *line, const struct ei_record *record,
                        const struct ei_stages_csv_context *context);

#endif
