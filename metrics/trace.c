/* See trace.h. */
#include "metrics/trace.h"

#include "metrics/collector.h"
#include "metrics/line_file.h"
#include "rt/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORK_RECORDS 4096               /* drawn per cycle while a window is written: some 5 ms */
#define WORK_PER_ADD 16                 /* the same per record that comes, for a run without cycles */
#define ROOM_BYTES ((size_t)256 * 1024) /* of the file's queue, so that what one record draws is never lost */

/* A record in the ring; the part of the union that its kind has follows. Entries lie one behind the other and may wrap
 * around the end of the ring. */
struct entry {
    int32_t kind;
    uint32_t body_bytes;
    int64_t at_ns; /* when what it tells was over */
};

struct ei_trace {
    struct ei_trace_setup setup;
    struct ei_trace_task *tasks; /* owned, setup.tasks */
    struct ei_trace_options options;
    char *out_dir; /* owned */
    struct ei_trace_writer *writer;
    struct ei_line_file file;
    bool is_open;  /* file is being written, or waits to be closed */
    bool is_ended; /* nothing more goes into it */
    struct ei_trace_counts counts;
    struct einet_error error; /* the first that a file met */
    int rc;
    uint8_t *ring; /* owned, [ring_bytes]; NULL = the whole run is drawn */
    size_t ring_bytes, tail, used;
    int64_t newest_ns; /* of the jobs */
    size_t saving;     /* bytes from the tail on that belong to the window that is being written */
    int64_t save_ns;   /* when the window around a miss is complete; INT64_MAX = no miss is waiting */
};

/* ---- create ---- */

void ei_trace_destroy(struct ei_trace *trace)
{
    if (trace == NULL) {
        return;
    }
    ei_line_file_discard(&trace->file);
    ei_trace_writer_destroy(trace->writer);
    free(trace->ring);
    free(trace->tasks);
    free(trace->out_dir);
    free(trace);
}

static int open_file(struct ei_trace *trace, struct einet_error *err)
{
    char name[64] = "trace.pftrace";
    if (trace->options.save == EI_TRACE_SAVE_MISS) {
        snprintf(name, sizeof name, "trace-%d.pftrace", (int)trace->counts.files + 1);
    }
    int rc = ei_line_file_open(&trace->file, trace->out_dir, name, err);
    if (rc == 0 && trace->options.has_writer) {
        rc = ei_line_file_queue(&trace->file, &trace->options.writer_cpus, err);
    }
    trace->is_open = rc == 0;
    trace->is_ended = false;
    if (rc == 0) {
        ei_trace_writer_begin(trace->writer, &trace->file);
    } else {
        ei_line_file_discard(&trace->file);
    }
    return rc;
}

static int init(struct ei_trace *trace, const struct ei_trace_setup *setup, const struct ei_trace_options *options,
                const char *out_dir)
{
    const size_t count = setup->task_count > 0 ? (size_t)setup->task_count : 1;
    trace->setup = *setup;
    trace->options = *options;
    trace->save_ns = INT64_MAX;
    trace->out_dir = strdup(out_dir);
    trace->tasks = calloc(count, sizeof *trace->tasks);
    if (trace->out_dir == NULL || trace->tasks == NULL) {
        return -ENOMEM;
    }
    memcpy(trace->tasks, setup->tasks, (size_t)setup->task_count * sizeof *trace->tasks);
    trace->setup.tasks = trace->tasks;
    if (options->last_ns > 0) {
        trace->ring_bytes = options->recorder_bytes > 0 ? options->recorder_bytes : EI_TRACE_RECORDER_BYTES;
        trace->ring = calloc(trace->ring_bytes, 1);
        if (trace->ring == NULL) {
            return -ENOMEM;
        }
    }
    return ei_trace_writer_create(&trace->setup, &trace->writer);
}

int ei_trace_create(const struct ei_trace_setup *setup, const struct ei_trace_options *options, const char *out_dir,
                    struct ei_trace **out, struct einet_error *err)
{
    if (setup->task_count < 1 || setup->task_count > EI_METRICS_TASKS_MAX || options->last_ns < 0 ||
        (options->save == EI_TRACE_SAVE_MISS && options->last_ns == 0) ||
        (options->recorder_bytes != 0 && options->recorder_bytes < 2 * sizeof(struct ei_record))) {
        return einet_error_set(err, -EINVAL, "a trace needs 1..%d tasks, and to be saved on a miss a length",
                               EI_METRICS_TASKS_MAX);
    }
    struct ei_trace *trace = calloc(1, sizeof *trace);
    int rc = trace == NULL ? -ENOMEM : init(trace, setup, options, out_dir);
    if (rc == -ENOMEM) {
        rc = einet_error_set(err, rc, "out of memory for the trace");
    } else if (rc < 0) {
        rc = einet_error_set(err, rc, "a trace has at most %d stages, %d exits and %d threads a task, and %d lanes",
                             EI_TRACE_STAGES_MAX, EI_TRACE_EXITS_MAX, EI_TRACE_SLOTS_MAX, EI_TRACE_LANES_MAX);
    } else if (trace->ring == NULL) {
        rc = open_file(trace, err);
    }
    if (rc < 0) {
        ei_trace_destroy(trace);
        return rc;
    }
    *out = trace;
    return 0;
}

/* ---- files ---- */

static void note_error(struct ei_trace *trace, int rc, const struct einet_error *error)
{
    if (rc < 0 && trace->rc == 0) {
        trace->rc = rc;
        trace->error = *error;
    }
}

/* Write out and close the file. A window around a miss is published at once. */
static int close_file(struct ei_trace *trace, struct einet_error *err)
{
    const bool is_window = trace->options.save == EI_TRACE_SAVE_MISS;
    if (!trace->is_open) {
        return 0;
    }
    trace->is_open = false;
    trace->counts.events += ei_trace_writer_events(trace->writer);
    trace->counts.strays += ei_trace_writer_strays(trace->writer);
    trace->counts.lost_events += ei_trace_writer_lost(trace->writer);
    int rc = ei_line_file_close(&trace->file, err);
    trace->counts.lost_batches += trace->file.lost;
    if (rc == 0 && is_window) {
        rc = ei_output_file_publish(&trace->file.file, err);
    }
    if (rc == 0 && is_window) {
        trace->counts.files++;
        ei_output_file_fini(&trace->file.file);
    } else if (rc < 0) {
        ei_line_file_discard(&trace->file);
    }
    return rc;
}

/* The last of a window is with the file: close it as soon as that makes nobody wait. */
static void end_window(struct ei_trace *trace)
{
    struct einet_error error = {0};
    if (trace->is_open && !trace->is_ended) {
        trace->is_ended = true;
        ei_trace_writer_end(trace->writer);
        ei_line_file_hurry(&trace->file);
    }
    if (trace->is_open && ei_line_file_is_settled(&trace->file)) {
        note_error(trace, close_file(trace, &error), &error);
    }
}

/* ---- the recorder ---- */

static void copy_in(struct ei_trace *trace, const void *from, size_t bytes)
{
    const size_t at = (trace->tail + trace->used) % trace->ring_bytes;
    const size_t first = bytes < trace->ring_bytes - at ? bytes : trace->ring_bytes - at;
    memcpy(trace->ring + at, from, first);
    if (bytes > first) {
        memcpy(trace->ring, (const uint8_t *)from + first, bytes - first);
    }
    trace->used += bytes;
}

static void copy_out(const struct ei_trace *trace, size_t offset, void *to, size_t bytes)
{
    const size_t at = (trace->tail + offset) % trace->ring_bytes;
    const size_t first = bytes < trace->ring_bytes - at ? bytes : trace->ring_bytes - at;
    memcpy(to, trace->ring + at, first);
    if (bytes > first) {
        memcpy((uint8_t *)to + first, trace->ring, bytes - first);
    }
}

/* What the record has of the union, and when it was over. 0 bytes = it is not drawn, so it is not kept. */
static size_t body_of(const struct ei_record *record, int64_t *out_at_ns)
{
    switch (record->kind) {
    case EI_RECORD_JOB:
        *out_at_ns =
            record->u.job.finish_ns > record->u.job.release_ns ? record->u.job.finish_ns : record->u.job.release_ns;
        return sizeof record->u.job;
    case EI_RECORD_STAGE:
        *out_at_ns = record->u.stage.end_ns;
        return sizeof record->u.stage;
    case EI_RECORD_BLOCK:
        *out_at_ns = record->u.block.end_ns;
        return sizeof record->u.block;
    case EI_RECORD_PREEMPTION:
        *out_at_ns = record->u.preemption.first_block_ns > record->u.preemption.request_ns
                         ? record->u.preemption.first_block_ns
                         : record->u.preemption.request_ns;
        return sizeof record->u.preemption;
    case EI_RECORD_GAP:
        *out_at_ns = record->u.gap.actual_ns;
        return record->u.gap.actual_ns - record->u.gap.expected_ns > EI_METRICS_GAP_MIN_NS ? sizeof record->u.gap : 0;
    default:
        return 0;
    }
}

static struct entry oldest(const struct ei_trace *trace)
{
    struct entry entry;
    copy_out(trace, 0, &entry, sizeof entry);
    return entry;
}

static void forget_oldest(struct ei_trace *trace)
{
    const size_t bytes = sizeof(struct entry) + oldest(trace).body_bytes;
    trace->tail = (trace->tail + bytes) % trace->ring_bytes;
    trace->used -= bytes;
    trace->saving -= bytes < trace->saving ? bytes : trace->saving;
}

/* Draw the oldest record of the window and let it go. */
static void save_oldest(struct ei_trace *trace)
{
    struct ei_record record;
    const struct entry entry = oldest(trace);
    record.kind = entry.kind;
    copy_out(trace, sizeof entry, &record.u, entry.body_bytes);
    if (trace->is_open) {
        ei_trace_writer_add(trace->writer, &record);
    }
    forget_oldest(trace);
}

/* As many as the disk takes without making anyone wait. */
static void save(struct ei_trace *trace, int64_t records)
{
    for (int64_t i = 0; i < records && trace->saving > 0; i++) {
        if (trace->is_open && ei_line_file_room(&trace->file) < ROOM_BYTES) {
            return;
        }
        save_oldest(trace);
    }
    if (trace->saving == 0 && trace->ring != NULL) {
        end_window(trace);
    }
}

/* Everything that is kept goes to a file, and is not kept for a second one. */
static void begin_window(struct ei_trace *trace)
{
    struct einet_error error = {0};
    trace->save_ns = INT64_MAX;
    note_error(trace, open_file(trace, &error), &error);
    trace->saving = trace->used;
}

static void keep(struct ei_trace *trace, const struct ei_record *record)
{
    int64_t at_ns = 0;
    const size_t body_bytes = body_of(record, &at_ns);
    const struct entry entry = {(int32_t)record->kind, (uint32_t)body_bytes, at_ns};
    if (body_bytes == 0) {
        return;
    }
    if (record->kind == EI_RECORD_JOB && at_ns > trace->newest_ns) {
        trace->newest_ns = at_ns;
    }
    while (trace->ring_bytes - trace->used < sizeof entry + body_bytes) {
        if (trace->saving > 0 && ei_line_file_room(&trace->file) >= ROOM_BYTES) {
            save_oldest(trace);
        } else {
            trace->counts.overwritten++;
            forget_oldest(trace);
        }
    }
    copy_in(trace, &entry, sizeof entry);
    copy_in(trace, &record->u, body_bytes);
}

/* A job of the counted part that did not meet its deadline, or did not run; not what the end of the run cut off. */
static bool is_miss(const struct ei_record *record)
{
    const struct ei_job_record *job = &record->u.job;
    return record->kind == EI_RECORD_JOB && (job->flags & EI_JOB_WARMUP) == 0 && job->cause != EI_CAUSE_CANCELLED &&
           ((job->flags & EI_JOB_MISSED) != 0 || job->outcome != EI_JOB_COMPLETED);
}

static void watch_for_miss(struct ei_trace *trace, const struct ei_record *record)
{
    int64_t at_ns = 0;
    (void)body_of(record, &at_ns);
    if (trace->counts.files + (trace->is_open ? 1 : 0) >= EI_TRACE_FILES_MAX) {
        trace->counts.unsaved_misses++;
    } else if (trace->save_ns == INT64_MAX) {
        trace->save_ns = at_ns + trace->options.last_ns / EI_TRACE_AFTER_SHARE;
    }
}

/* Forget what is too old, and begin a window that is due. Time goes by jobs: other records come ahead of them. */
static void settle(struct ei_trace *trace)
{
    /* A window that is due may have to wait until the one before it is on the disk: it is not cut meanwhile. */
    const int64_t until_ns = trace->newest_ns < trace->save_ns ? trace->newest_ns : trace->save_ns;
    while (trace->used > 0 && trace->saving == 0 && oldest(trace).at_ns < until_ns - trace->options.last_ns) {
        forget_oldest(trace);
    }
    if (trace->newest_ns >= trace->save_ns && !trace->is_open) {
        begin_window(trace);
    }
}

/* ---- records ---- */

void ei_trace_add(struct ei_trace *trace, const struct ei_record *record)
{
    if (trace->ring == NULL) {
        ei_trace_writer_add(trace->writer, record);
        return;
    }
    keep(trace, record);
    if (trace->options.save == EI_TRACE_SAVE_MISS && is_miss(record)) {
        watch_for_miss(trace, record);
    }
    save(trace, WORK_PER_ADD);
    /* In a live run records come a ring at a time, so only the end of a cycle has all that belong to a time. Virtual
     * time is cut behind a job, not between it and its stages. */
    if (!trace->options.has_writer && record->kind == EI_RECORD_JOB) {
        settle(trace);
    }
}

void ei_trace_work(struct ei_trace *trace)
{
    save(trace, WORK_RECORDS);
    if (trace->ring != NULL && trace->options.has_writer) {
        settle(trace);
    }
}

/* The run is over: there is time to wait for a slow disk, though not for one that does not move. */
static void save_rest(struct ei_trace *trace)
{
    const struct timespec nap = {.tv_nsec = EI_NS_PER_MS};
    int64_t moved_ns = ei_mono_now().ns;
    while (trace->saving > 0 && ei_mono_now().ns - moved_ns < trace->file.patience_ns) {
        const size_t before = trace->saving;
        save(trace, INT64_MAX);
        if (trace->saving == before) {
            (void)nanosleep(&nap, NULL);
        } else {
            moved_ns = ei_mono_now().ns;
        }
    }
    while (trace->saving > 0) {
        trace->counts.overwritten++;
        forget_oldest(trace);
    }
    if (trace->is_open && !trace->is_ended) {
        ei_trace_writer_end(trace->writer);
    }
    struct einet_error error = {0};
    note_error(trace, close_file(trace, &error), &error);
}

void ei_trace_mark_degraded(struct ei_trace *trace)
{
    static const char mark[] = " DEGRADED";
    char *process = trace->setup.process;
    const size_t length = strlen(process);
    if (strstr(process, mark) != NULL) {
        return;
    }
    snprintf(process + (length + sizeof mark <= EI_TRACE_NAME_MAX ? length : EI_TRACE_NAME_MAX - sizeof mark),
             sizeof mark, "%s", mark);
    if (trace->is_open) {
        ei_trace_writer_rename(trace->writer);
    }
}

int ei_trace_close(struct ei_trace *trace, struct einet_error *err)
{
    save_rest(trace);
    if (trace->ring != NULL && (trace->options.save == EI_TRACE_SAVE_ALWAYS || trace->save_ns != INT64_MAX)) {
        begin_window(trace);
        save_rest(trace);
    }
    return trace->rc < 0 ? einet_error_set(err, trace->rc, "%s", trace->error.text) : 0;
}

int ei_trace_publish(struct ei_trace *trace, struct einet_error *err)
{
    if (trace->options.save == EI_TRACE_SAVE_MISS || trace->file.file.path == NULL) {
        return 0;
    }
    const int rc = ei_output_file_publish(&trace->file.file, err);
    if (rc == 0) {
        trace->counts.files++;
        ei_output_file_fini(&trace->file.file);
    }
    return rc;
}

struct ei_trace_counts ei_trace_count(const struct ei_trace *trace)
{
    struct ei_trace_counts counts = trace->counts;
    if (trace->is_open) {
        counts.events += ei_trace_writer_events(trace->writer);
        counts.lost_events += ei_trace_writer_lost(trace->writer);
        counts.strays += ei_trace_writer_strays(trace->writer);
        counts.lost_batches += trace->file.lost;
    }
    return counts;
}

bool ei_trace_is_idle(const struct ei_trace *trace)
{
    return !trace->is_open || ei_line_file_is_settled(&trace->file);
}
