/* A file of lines in the output folder that never holds up the one who adds lines: in a live run a thread of its own
 * writes them, out of a bounded queue in memory. A line that finds the queue full (the disk stalls), or that the disk
 * refuses (it is full), is counted and left out; lines are in the file whole or not at all.
 *
 *   drain thread --add--> [ queue, EI_LINE_QUEUE_BYTES ] --> writer thread --writev(2)--> NAME.partial
 *
 * After a refusal the writer goes on with later lines: a disk may get room again. Without a writer (virtual time, where
 * waiting costs nothing) add writes itself, and the first refusal is an error at close, as of any file.
 * Thread: one owner, who calls everything here; the writer thread is not real-time.
 */
#ifndef METRICS_LINE_FILE_H
#define METRICS_LINE_FILE_H

#include "metrics/csv_line.h"
#include "metrics/output_file.h"
#include "rt/cpuset.h"

#define EI_LINE_QUEUE_BYTES ((size_t)4 << 20)
/* The queue is full with so many lines, too, but most are longer. */
#define EI_LINE_QUEUE_LINES (EI_LINE_QUEUE_BYTES / 32)
/* At close, the writer is given up when it has written nothing for so long. */
#define EI_LINE_PATIENCE_NS INT64_C(10000000000)

struct ei_line_writer;

struct ei_line_file {
    struct ei_output_file file;
    bool is_open;
    int64_t added;                 /* lines */
    int64_t lost;                  /* of them, that are not in the file; of a queued one complete after close */
    int lost_errnum;               /* the disk's reason, 0 = it was too slow, or nothing was lost */
    int64_t patience_ns;           /* EI_LINE_PATIENCE_NS unless changed after open */
    struct ei_line_writer *writer; /* NULL: add writes */
};

/* Open folder/name.partial. Returns 0 or -errno; nothing to undo on failure. */
int ei_line_file_open(struct ei_line_file *file, const char *folder, const char *name, struct einet_error *err);

/* Write a line of the file's head, which counts as no line, and is on the disk on return. Before ei_line_file_queue.
 * Returns 0, or the -errno with the file closed. */
int ei_line_file_head(struct ei_line_file *file, const char *text, size_t length, struct einet_error *err);

/* From now on lines go through a queue to a thread of their own on these CPUs (empty = the caller's). Returns 0,
 * -ENOMEM, or what ei_thread_create returns. */
int ei_line_file_queue(struct ei_line_file *file, const struct ei_cpuset *cpus, struct einet_error *err);

/* Add a line with its end. Never waits when lines are queued. */
void ei_line_file_add(struct ei_line_file *file, const struct ei_csv_line *line);

/* Have what is queued written now: without this a little of it may wait for a second. */
void ei_line_file_hurry(struct ei_line_file *file);

/* Bytes that the queue has room for, SIZE_MAX without one; and whether nothing of what was added is still to be
 * written, so that close will not wait. For those who can hold lines back themselves. */
size_t ei_line_file_room(const struct ei_line_file *file);
bool ei_line_file_is_settled(const struct ei_line_file *file);

/* Write what is queued and close. Waits for a stalled disk as long as patience_ns. Returns 0, also when queued lines
 * were lost; without a queue the -errno of the first write that failed. */
int ei_line_file_close(struct ei_line_file *file, struct einet_error *err);

/* Close without a care and remove the file; accepts a zeroed struct and a closed file. */
void ei_line_file_discard(struct ei_line_file *file);

#endif
