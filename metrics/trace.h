/* The trace files of a run: all of it as trace.pftrace, or the flight recorder, which keeps the newest records in
 * memory and writes a file of them when a deadline was missed, or at the end.
 *
 *     whole run    every record is drawn when it comes                                   trace.pftrace
 *     last, always records are kept; the last ones are drawn at the end                  trace.pftrace
 *     last, miss   records are kept; a window around a miss is drawn a part at a time    trace-1.pftrace, ...
 *
 * Memory is fixed at create. Thread: the housekeeping thread that drains the rings; nothing is real-time safe.
 */
#ifndef METRICS_TRACE_H
#define METRICS_TRACE_H

#include "metrics/trace_writer.h"

#include <einet/error.h>

/* What the recorder keeps at most, of memory; older records go when it is full, also when they are newer than `last`.
 * Some 400000 stages, blocks and jobs. */
#define EI_TRACE_RECORDER_BYTES ((size_t)32 << 20)
/* Files of one run at most: one that misses all the time must not fill the disk. */
#define EI_TRACE_FILES_MAX 100
/* The part of a window, one in so many, that lies after its miss. */
#define EI_TRACE_AFTER_SHARE 4

enum ei_trace_save { EI_TRACE_SAVE_ALWAYS, EI_TRACE_SAVE_MISS };

struct ei_trace_options {
    int64_t last_ns; /* 0 = the whole run, save is ALWAYS */
    enum ei_trace_save save;
    size_t recorder_bytes;        /* 0 = EI_TRACE_RECORDER_BYTES */
    bool has_writer;              /* real time: a thread of its own writes the file, see metrics/line_file.h */
    struct ei_cpuset writer_cpus; /* of these; empty = the caller's */
};

/* Counts so far, for reports. */
struct ei_trace_counts {
    int32_t files;        /* complete */
    int64_t events;       /* in the files */
    int64_t lost_events;  /* for which a stalled disk left no room */
    int64_t lost_batches; /* of some hundred events: those of them that were made already, and what a full disk refused,
                           * which is among `events` */
    int64_t strays;       /* stages and exits that came without their job */
    int64_t unsaved_misses; /* beyond EI_TRACE_FILES_MAX files */
    int64_t overwritten;    /* records that left the recorder before they were `last` old, because it was full */
};

struct ei_trace;

/* Copies setup and its tasks. out_dir must exist; with last_ns 0 out_dir/trace.pftrace.partial is made now. Returns 0,
 * -EINVAL, -ENOMEM or the -errno of the file. */
int ei_trace_create(const struct ei_trace_setup *setup, const struct ei_trace_options *options, const char *out_dir,
                    struct ei_trace **out, struct einet_error *err);

/* Free it; files that are not published are removed. Accepts NULL. */
void ei_trace_destroy(struct ei_trace *trace);

/* The run is not what its workload asked for: its process is called so, in files from now on and in the one that is
 * being written. May be called more than once. */
void ei_trace_mark_degraded(struct ei_trace *trace);

/* Take a record. A failing disk is reported by close. */
void ei_trace_add(struct ei_trace *trace, const struct ei_record *record);

/* Once per cycle of the drain: go on with the window that is being written, for a few ms at most. */
void ei_trace_work(struct ei_trace *trace);

/* Whether all that was drawn has reached the file. */
bool ei_trace_is_idle(const struct ei_trace *trace);

/* After the last record: write all that is to be written. Windows around misses have their final names already,
 * trace.pftrace gets it by publish. Each returns 0 or the first -errno that a file met. */
int ei_trace_close(struct ei_trace *trace, struct einet_error *err);
int ei_trace_publish(struct ei_trace *trace, struct einet_error *err);

/* Counts of what is closed, and of the file that is being written as far as it is. */
struct ei_trace_counts ei_trace_count(const struct ei_trace *trace);

#endif
