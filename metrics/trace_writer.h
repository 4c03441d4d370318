/* Records -> a Perfetto trace (TrackEvent protobuf). What is on which track: docs/trace.md.
 *
 * Memory is fixed at create. Stages and answers of a job are held until the job's own record, which says on which
 * thread it ran; all events of the job are then written in the order of time. Packets go to one sequence per task and
 * kind of track, each with its own incremental clock, so that a timestamp is as a rule a delta of a few bytes; an event
 * that lies before the one written last carries its absolute time. Thread: one owner; nothing is real-time safe.
 */
#ifndef METRICS_TRACE_WRITER_H
#define METRICS_TRACE_WRITER_H

#include "metrics/line_file.h"
#include "metrics/record.h"

#include <stdbool.h>

#define EI_TRACE_NAME_MAX 64 /* bytes with the final 0 */
#define EI_TRACE_STAGES_MAX 8
#define EI_TRACE_SLOTS_MAX 8
#define EI_TRACE_EXITS_MAX 64
#define EI_TRACE_LANES_MAX 16
#define EI_TRACE_CPUS_MAX 256

struct ei_trace_task {
    char name[EI_TRACE_NAME_MAX];
    int32_t stage_count; /* 0..EI_TRACE_STAGES_MAX */
    char stages[EI_TRACE_STAGES_MAX][EI_TRACE_NAME_MAX];
    int32_t exits;                    /* 0..EI_TRACE_EXITS_MAX */
    int32_t slots;                    /* job threads, 1..EI_TRACE_SLOTS_MAX */
    int32_t tids[EI_TRACE_SLOTS_MAX]; /* of the threads, as the kernel numbers them */
};

struct ei_trace_setup {
    char process[EI_TRACE_NAME_MAX]; /* as the process is called in the trace */
    int32_t pid;
    int32_t task_count;
    const struct ei_trace_task *tasks; /* [task_count] */
    int32_t lane_count;                /* 0..EI_TRACE_LANES_MAX */
    char lanes[EI_TRACE_LANES_MAX][EI_TRACE_NAME_MAX];
    bool is_probe_outranked; /* see struct ei_metrics_run: gaps may be of the run's own tasks */
    uint64_t flow_scope;     /* mixed into flow ids, so that traces of several processes can be put together */
    /* The clocks at one moment; boottime_ns 0 = the run has a clock of its own, and no other trace lines up with it. */
    int64_t monotonic_ns, boottime_ns, realtime_ns;
};

struct ei_trace_writer;

/* setup and its tasks are borrowed until destroy. Returns 0, -EINVAL (a count outside its range) or -ENOMEM. */
int ei_trace_writer_create(const struct ei_trace_setup *setup, struct ei_trace_writer **out);
void ei_trace_writer_destroy(struct ei_trace_writer *writer); /* accepts NULL */

/* Begin a trace in a file (borrowed until end), forgetting all of an earlier one. */
void ei_trace_writer_begin(struct ei_trace_writer *writer, struct ei_line_file *out);

/* Draw one record. Activities, and gaps too short to be one, are not drawn; a record that names no task of the setup is
 * passed over. What the file loses it counts itself. */
void ei_trace_writer_add(struct ei_trace_writer *writer, const struct ei_record *record);

/* The setup's name of the process is another one from here on: write it. */
void ei_trace_writer_rename(struct ei_trace_writer *writer);

/* Write what is held back. */
void ei_trace_writer_end(struct ei_trace_writer *writer);

/* Since begin: track events given to the file; those for which it had no room; stages and answers whose job's record
 * did not come. */
int64_t ei_trace_writer_events(const struct ei_trace_writer *writer);
int64_t ei_trace_writer_lost(const struct ei_trace_writer *writer);
int64_t ei_trace_writer_strays(const struct ei_trace_writer *writer);

#endif
