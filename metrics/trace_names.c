/* See trace_state.h. */
#include "metrics/trace_state.h"

#include "metrics/jobs_csv.h"

static const char *const category_texts[EI_TRACE_CATEGORIES] = {NULL,   "job",      "stage",      "block",
                                                                "exit", "deadline", "preemption", "noise"};
static const char *const arg_texts[EI_TRACE_ARGS] = {
    NULL,  "job",    "outcome", "cause",        "exit", "planned_exit", "confidence",  "preemptions",
    "cpu", "cpu_ns", "wait_ns", "lane_wait_ns", "by",   "by_job",       "blocking_ns", "switch_ns"};

static void intern(struct ei_trace_writer *writer, const struct ei_trace_sequence *sequence,
                   enum ei_trace_interned kind, int32_t iid, const char *text)
{
    ei_trace_put_interned(&writer->stream, sequence, kind, (uint32_t)iid, text);
}

static void intern_plain(struct ei_trace_writer *writer, const struct ei_trace_sequence *sequence)
{
    for (int32_t i = 1; i < EI_TRACE_CATEGORIES; i++) {
        intern(writer, sequence, EI_TRACE_CATEGORY, i, category_texts[i]);
    }
    for (int32_t i = 1; i < EI_TRACE_ARGS; i++) {
        intern(writer, sequence, EI_TRACE_ARG, i, arg_texts[i]);
    }
}

static void intern_jobs(struct ei_trace_writer *writer, const struct ei_trace_sequence *sequence,
                        const struct ei_trace_task *task)
{
    char text[EI_TRACE_TEXT_BYTES];
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_JOB, task->name);
    snprintf(text, sizeof text, "%s MISSED", task->name);
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_MISSED, text);
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_FINISH, "finish");
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_SKIPPED, "skipped");
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_DROPPED, "dropped");
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_DEADLINE, "deadline");
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_DEADLINE_MISSED, "deadline MISSED");
    for (int32_t i = 0; i < task->stage_count; i++) {
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_STAGES + i, task->stages[i]);
    }
    for (int32_t i = 0; i < task->exits; i++) {
        snprintf(text, sizeof text, "exit %d", (int)i);
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_EXITS + i, text);
    }
    for (int32_t i = 0; i < EI_TRACE_OUTCOMES; i++) {
        intern(writer, sequence, EI_TRACE_TEXT, EI_TRACE_TEXT_OUTCOMES + i, ei_job_outcome_name(i));
    }
    for (int32_t i = 0; i < EI_JOB_CAUSES; i++) {
        intern(writer, sequence, EI_TRACE_TEXT, EI_TRACE_TEXT_CAUSES + i, ei_job_cause_name(i));
    }
}

static void intern_blocks(struct ei_trace_writer *writer, const struct ei_trace_sequence *sequence,
                          const struct ei_trace_task *task)
{
    char text[EI_TRACE_TEXT_BYTES];
    snprintf(text, sizeof text, "%s block", task->name);
    intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_BLOCK, text);
    for (int32_t i = 0; i < task->exits; i++) {
        snprintf(text, sizeof text, "%s conv %d", task->name, (int)i);
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_CONVS + i, text);
        snprintf(text, sizeof text, "%s branch %d", task->name, (int)i);
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_BRANCHES + i, text);
    }
}

static void begin_sequence(struct ei_trace_writer *writer, struct ei_trace_sequence *sequence, int32_t task_idx,
                           int32_t which)
{
    if (sequence->is_known) {
        ei_trace_describe(writer, -1);
        ei_trace_describe(writer, task_idx);
    }
    ei_trace_put_sequence(&writer->stream, sequence);
    if (task_idx < 0) {
        intern_plain(writer, sequence);
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_PREEMPTED, "preempted");
        intern(writer, sequence, EI_TRACE_NAME, EI_TRACE_NAME_GAP, "gap");
        for (int32_t i = 0; i < writer->setup->task_count; i++) {
            intern(writer, sequence, EI_TRACE_TEXT, EI_TRACE_TEXT_TASKS + i, writer->setup->tasks[i].name);
        }
    } else if (which != EI_TRACE_OF_BACKLOG) {
        intern_plain(writer, sequence);
        (which == EI_TRACE_OF_JOBS ? intern_jobs : intern_blocks)(writer, sequence, &writer->setup->tasks[task_idx]);
    }
}

/* While the disk stalls nothing is begun anew: that alone would fill the queue. */
void ei_trace_write(struct ei_trace_writer *writer, int32_t task_idx, int32_t which, struct ei_trace_event *event)
{
    struct ei_trace_stream *stream = &writer->stream;
    struct ei_trace_sequence *sequence = task_idx < 0 ? &writer->common : &writer->tasks[task_idx].sequences[which];
    event->at_ns = event->at_ns < 0 ? 0 : event->at_ns;
    ei_trace_reserve(stream);
    const bool is_stale = sequence->epoch != stream->epoch || sequence->events >= EI_TRACE_SEQUENCE_EVENTS;
    if (is_stale && ei_line_file_room(stream->out) >= EI_TRACE_ROOM_BYTES) {
        sequence->epoch = stream->epoch;
        sequence->events = 0;
        sequence->at_ns = !sequence->is_known || event->at_ns > sequence->at_ns ? event->at_ns : sequence->at_ns;
        begin_sequence(writer, sequence, task_idx, which);
        sequence->is_known = true;
        ei_trace_reserve(stream);
    }
    if (sequence->epoch == stream->epoch) {
        ei_trace_put_event(stream, sequence, event);
    } else {
        stream->lost_events++;
    }
}
