/* Workload files of other schedulers as workload files of ours: rt-app's JSON, DISB's JSON, scripts that start
 * LITMUS^RT's rtspin. docs/import.md says what becomes what.
 *
 * Whatever cannot be said faithfully in our grammar is an error at its line and key. With is_lossy it becomes a warning
 * and a comment of the output instead. What stays true but for overload or preemption is a comment ("note") always.
 * Pure but for the execution-time files that an rtspin script names: same text, same output. One owner thread.
 */
#ifndef WORKLOADS_IMPORT_H
#define WORKLOADS_IMPORT_H

#include "workloads/diagnostics.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_IMPORT_FILE_MAX (INT64_C(4) * 1024 * 1024) /* bytes of a file to import */
#define EI_IMPORT_TIMES_MAX 32
#define EI_IMPORT_SIDES_MAX 64

enum ei_import_format { EI_IMPORT_AUTO, EI_IMPORT_RT_APP, EI_IMPORT_DISB, EI_IMPORT_RTSPIN };

/* How long one inference of a model of a DISB file takes: the file itself does not say. */
struct ei_import_time {
    const char *model; /* its model_name; borrowed */
    int64_t time_ns;   /* > 0 */
};

struct ei_import_options {
    enum ei_import_format format; /* EI_IMPORT_AUTO: by content */
    bool is_lossy;
    int32_t time_count;
    struct ei_import_time times[EI_IMPORT_TIMES_MAX];
};

/* A file that the workload file names and that must lie beside it: release times of an aperiodic task. */
struct ei_import_side {
    char name[64]; /* file name without a folder */
    char *text;    /* owned */
};

struct ei_imported {
    enum ei_import_format format; /* as found */
    char *yaml;                   /* owned; the workload file */
    int32_t task_count;
    int32_t side_count;
    struct ei_import_side sides[EI_IMPORT_SIDES_MAX];
};

/* Convert a text. name stands in messages; its last part up to its first dot becomes the workload's name, and its
 * folder is where execution-time files are looked up (then the working directory). stem: beginning of the names of side
 * files.
 *
 * diag is initialised by this call in every case but -ENOMEM; print it, then fini it. Returns 0 with *out (fini it),
 * EINET_E_FILE when there is an error (diag says which), -ENOMEM. *out is untouched on failure. */
int ei_import_text(const char *text, size_t length_bytes, const char *name, const char *stem,
                   const struct ei_import_options *options, struct ei_imported *out, struct ei_diagnostics *diag);

/* The same for a file. */
int ei_import_load(const char *path, const char *stem, const struct ei_import_options *options, struct ei_imported *out,
                   struct ei_diagnostics *diag);

/* Free what it owns; a zeroed struct is fine. */
void ei_imported_fini(struct ei_imported *imported);

/* "rt-app", "disb", "rtspin", "auto". */
const char *ei_import_format_name(enum ei_import_format format);

#endif
