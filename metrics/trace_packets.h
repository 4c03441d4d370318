/* Packets of a trace: events, tracks and interned names as Perfetto's protocol buffers. Field numbers as published in
 * Perfetto's protos/perfetto/trace. Private to the trace writer. Thread: one owner.
 *
 * Packets go to the file in batches, each there whole or, when the disk does not take it, not at all. What a batch told
 * about names and clocks must then be told anew: the epoch says so. It is also done now and then without a known loss,
 * because the disk's refusal is not seen here.
 */
#ifndef METRICS_TRACE_PACKETS_H
#define METRICS_TRACE_PACKETS_H

#include "metrics/line_file.h"
#include "metrics/protobuf.h"

#define EI_TRACE_ARGS_MAX 8
#define EI_TRACE_SEQUENCE_EVENTS 10000 /* after which a sequence tells its names and its clock anew */

struct ei_trace_stream {
    struct ei_line_file *out;    /* borrowed */
    int64_t events, lost_events; /* given to the file; not taken by it, as far as that is known here */
    int32_t batch_events;
    uint32_t epoch; /* > 0 */
    struct ei_csv_line batch;
};

/* A packet sequence: what it has interned holds for its own packets, and so does its clock. */
struct ei_trace_sequence {
    uint32_t id;            /* > 0 */
    uint64_t default_track; /* of events that name none */
    int64_t at_ns;          /* its incremental clock */
    bool is_known;          /* it was begun before */
    int32_t events;         /* since it was begun */
    uint32_t epoch;         /* in which it was begun, 0 = never */
};

enum ei_trace_event_type { EI_TRACE_BEGIN = 1, EI_TRACE_END = 2, EI_TRACE_INSTANT = 3, EI_TRACE_COUNTER = 4 };
enum ei_trace_flow { EI_TRACE_FLOW_NONE, EI_TRACE_FLOW_STEP, EI_TRACE_FLOW_END };
enum ei_trace_value { EI_TRACE_INT, EI_TRACE_REAL, EI_TRACE_STRING /* interned */ };
enum ei_trace_interned { EI_TRACE_CATEGORY = 1, EI_TRACE_NAME = 2, EI_TRACE_ARG = 3, EI_TRACE_TEXT = 29 };

struct ei_trace_arg {
    uint32_t name; /* interned */
    enum ei_trace_value kind;
    int64_t number; /* or the interned string */
    double real;
};

struct ei_trace_event {
    int64_t at_ns;
    uint64_t track, flow_id;
    enum ei_trace_event_type type;
    enum ei_trace_flow flow;
    uint32_t name, category; /* interned; 0 = none */
    int32_t arg_count;
    bool is_real;   /* of a counter: real, else number */
    int64_t number; /* of a counter */
    double real;
    struct ei_trace_arg args[EI_TRACE_ARGS_MAX];
};

enum ei_trace_track_kind {
    EI_TRACE_TRACK_PLAIN,
    EI_TRACE_TRACK_PROCESS,
    EI_TRACE_TRACK_THREAD,
    EI_TRACE_TRACK_COUNTER
};

struct ei_trace_track {
    uint64_t uuid, parent;
    const char *name;
    enum ei_trace_track_kind kind;
    int32_t pid, tid;
};

/* Each writes one packet. */
void ei_trace_put_clocks(struct ei_trace_stream *stream, int64_t monotonic_ns, int64_t boottime_ns,
                         int64_t realtime_ns);
void ei_trace_put_track(struct ei_trace_stream *stream, const struct ei_trace_track *track);
/* The first of a sequence, or the first of its new epoch: its clock stands at sequence->at_ns, which never goes back.
 */
void ei_trace_put_sequence(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence);
void ei_trace_put_interned(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence,
                           enum ei_trace_interned kind, uint32_t iid, const char *text);
void ei_trace_put_event(struct ei_trace_stream *stream, struct ei_trace_sequence *sequence,
                        const struct ei_trace_event *event);

/* Make room for an event in the batch. A sequence is looked at after this. */
void ei_trace_reserve(struct ei_trace_stream *stream);
/* Hand the batch to the file. */
void ei_trace_flush(struct ei_trace_stream *stream);

#endif
