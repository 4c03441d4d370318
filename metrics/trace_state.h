/* What the trace writer keeps, shared by the files that draw: trace_writer.c (begin, lanes, preemptions, gaps),
 * trace_job.c (jobs, stages, exits, backlog), trace_names.c (interned strings). Private to these. Thread: one owner.
 */
#ifndef METRICS_TRACE_STATE_H
#define METRICS_TRACE_STATE_H

#include "metrics/trace_packets.h"
#include "metrics/trace_rows.h"
#include "metrics/trace_writer.h"

#define EI_TRACE_JOB_ROWS 72 /* jobs of a task in flight and waiting, at most */
#define EI_TRACE_LANE_ROWS 16
#define EI_TRACE_BACKLOG_KEPT                                                                                          \
    256 /* steps held back: releases become known only when their jobs end, which is out of order */
#define EI_TRACE_ROOM_BYTES 131072 /* of the file's queue that there must be before a sequence is begun again */
#define EI_TRACE_TEXT_BYTES (2 * EI_TRACE_NAME_MAX)

/* Tracks. */
enum {
    EI_TRACE_UUID_PROCESS = 1,
    EI_TRACE_UUID_LANES = 2, /* a lane's rows together */
    EI_TRACE_UUID_NOISE = EI_TRACE_UUID_LANES + EI_TRACE_LANES_MAX * EI_TRACE_LANE_ROWS,
    EI_TRACE_UUID_TASKS = EI_TRACE_UUID_NOISE + EI_TRACE_CPUS_MAX,
    EI_TRACE_UUID_ROWS = 1, /* of a task, behind its group */
    EI_TRACE_UUID_SLOTS = EI_TRACE_UUID_ROWS + EI_TRACE_JOB_ROWS,
    EI_TRACE_UUID_MARKS = EI_TRACE_UUID_SLOTS + EI_TRACE_SLOTS_MAX,
    EI_TRACE_UUID_BACKLOG,
    EI_TRACE_UUID_CONFIDENCE,
    EI_TRACE_UUIDS_OF_TASK
};

/* Sequences: one for what belongs to no single task, then three of each task. */
enum { EI_TRACE_SEQUENCE_COMMON = 1, EI_TRACE_SEQUENCE_TASKS };
enum { EI_TRACE_OF_JOBS, EI_TRACE_OF_BLOCKS, EI_TRACE_OF_BACKLOG, EI_TRACE_SEQUENCES_OF_TASK };

/* Interned strings; those with a number stand for as many as there are. */
enum {
    EI_TRACE_NAME_JOB = 1,
    EI_TRACE_NAME_MISSED,
    EI_TRACE_NAME_FINISH,
    EI_TRACE_NAME_SKIPPED,
    EI_TRACE_NAME_DROPPED,
    EI_TRACE_NAME_DEADLINE,
    EI_TRACE_NAME_DEADLINE_MISSED,
    EI_TRACE_NAME_PREEMPTED,
    EI_TRACE_NAME_GAP,
    EI_TRACE_NAME_BLOCK, /* beyond what the network has */
    EI_TRACE_NAME_STAGES,
    EI_TRACE_NAME_EXITS = EI_TRACE_NAME_STAGES + EI_TRACE_STAGES_MAX,
    EI_TRACE_NAME_CONVS = EI_TRACE_NAME_EXITS + EI_TRACE_EXITS_MAX,
    EI_TRACE_NAME_BRANCHES = EI_TRACE_NAME_CONVS + EI_TRACE_EXITS_MAX
};
enum {
    EI_TRACE_CATEGORY_JOB = 1,
    EI_TRACE_CATEGORY_STAGE,
    EI_TRACE_CATEGORY_BLOCK,
    EI_TRACE_CATEGORY_EXIT,
    EI_TRACE_CATEGORY_DEADLINE,
    EI_TRACE_CATEGORY_PREEMPTION,
    EI_TRACE_CATEGORY_NOISE,
    EI_TRACE_CATEGORIES
};
enum {
    EI_TRACE_ARG_JOB = 1,
    EI_TRACE_ARG_OUTCOME,
    EI_TRACE_ARG_CAUSE,
    EI_TRACE_ARG_EXIT,
    EI_TRACE_ARG_PLANNED,
    EI_TRACE_ARG_CONFIDENCE,
    EI_TRACE_ARG_PREEMPTIONS,
    EI_TRACE_ARG_CPU,
    EI_TRACE_ARG_CPU_NS,
    EI_TRACE_ARG_WAIT_NS,
    EI_TRACE_ARG_LANE_WAIT_NS,
    EI_TRACE_ARG_BY,
    EI_TRACE_ARG_BY_JOB,
    EI_TRACE_ARG_BLOCKING_NS,
    EI_TRACE_ARG_SWITCH_NS,
    EI_TRACE_ARGS
};
enum { EI_TRACE_TEXT_OUTCOMES = 1, EI_TRACE_TEXT_CAUSES = 8, EI_TRACE_TEXT_TASKS = 32 };
#define EI_TRACE_OUTCOMES 4

/* A stage, or an exit, of a job whose record has not come. */
struct ei_trace_pending {
    bool is_exit;
    union {
        struct ei_stage_record stage;
        struct ei_block_record exit;
    } u;
};

struct ei_trace_step {
    int64_t at_ns;
    int32_t change;
};

struct ei_trace_task_state {
    struct ei_trace_sequence sequences[EI_TRACE_SEQUENCES_OF_TASK];
    struct ei_trace_row rows[EI_TRACE_JOB_ROWS];
    int32_t row_count;
    int64_t thread_free_ns[EI_TRACE_SLOTS_MAX]; /* the last end on each thread's track */
    struct ei_trace_pending *pending;           /* owned, [pending_max] */
    int32_t pending_count, pending_max;
    struct ei_trace_step steps[EI_TRACE_BACKLOG_KEPT]; /* of the backlog, by time */
    int32_t step_count;
    int64_t stepped_ns; /* what was written last */
    int64_t backlog, shown_backlog;
};

struct ei_trace_writer {
    const struct ei_trace_setup *setup; /* borrowed */
    struct ei_trace_stream stream;
    struct ei_trace_sequence common;
    struct ei_trace_task_state *tasks; /* owned, [setup->task_count] */
    struct ei_trace_row lanes[EI_TRACE_LANES_MAX][EI_TRACE_LANE_ROWS];
    int32_t lane_row_count[EI_TRACE_LANES_MAX];
    int64_t gap_free_ns[EI_TRACE_CPUS_MAX];
    bool has_cpu[EI_TRACE_CPUS_MAX];
    int64_t strays;
    struct ei_trace_event *group; /* owned, [group_max]: of the job that is being written */
    int32_t group_count, group_max;
    struct ei_trace_event surplus; /* what found the group full; not written */
};

static inline uint64_t ei_trace_task_track(int32_t task_idx, int32_t which)
{
    return (uint64_t)EI_TRACE_UUID_TASKS + (uint64_t)EI_TRACE_UUIDS_OF_TASK * (uint64_t)task_idx + (uint64_t)which;
}

static inline int64_t ei_trace_within(int64_t at_ns, int64_t from_ns, int64_t to_ns)
{
    return at_ns < from_ns ? from_ns : (at_ns > to_ns ? to_ns : at_ns);
}

static inline void ei_trace_put_plain_track(struct ei_trace_writer *writer, uint64_t uuid, uint64_t parent,
                                            enum ei_trace_track_kind kind, const char *name)
{
    const struct ei_trace_track track = {.uuid = uuid, .parent = parent, .kind = kind, .name = name};
    ei_trace_put_track(&writer->stream, &track);
}

static inline void ei_trace_add_int(struct ei_trace_event *event, int32_t name, int64_t value)
{
    event->args[event->arg_count++] =
        (struct ei_trace_arg){.name = (uint32_t)name, .kind = EI_TRACE_INT, .number = value};
}

static inline void ei_trace_add_real(struct ei_trace_event *event, int32_t name, double value)
{
    event->args[event->arg_count++] =
        (struct ei_trace_arg){.name = (uint32_t)name, .kind = EI_TRACE_REAL, .real = value};
}

static inline void ei_trace_add_text(struct ei_trace_event *event, int32_t name, int32_t iid)
{
    event->args[event->arg_count++] =
        (struct ei_trace_arg){.name = (uint32_t)name, .kind = EI_TRACE_STRING, .number = iid};
}

/* Write an event into the sequence `which` of the task, or with task_idx -1 into the common one. A sequence begins with
 * its first event, at the time of that. */
void ei_trace_write(struct ei_trace_writer *writer, int32_t task_idx, int32_t which, struct ei_trace_event *event);

/* Tell of the tracks of the task, or with task_idx -1 of those that belong to none, as far as they are in use. */
void ei_trace_describe(struct ei_trace_writer *writer, int32_t task_idx);
void ei_trace_put_row(struct ei_trace_writer *writer, int32_t task_idx, int32_t row);

/* A job whose record is valid, with all that was held for it. */
void ei_trace_draw_job(struct ei_trace_writer *writer, const struct ei_job_record *job);
/* Keep a stage or an exit until the record of its job. */
void ei_trace_hold(struct ei_trace_writer *writer, int32_t task_idx, struct ei_trace_pending pending);
/* Write the first `count` steps of the backlog that are held back. */
void ei_trace_write_steps(struct ei_trace_writer *writer, int32_t task_idx, int32_t count);

#endif
