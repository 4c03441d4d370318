/* Packets of a trace: events, tracks and interned names as Perfetto's protocol buffers, into a stream. Field numbers as
 * published in Perfetto's protos/perfetto/trace. Private to trace_writer.c. Thread: one owner.
 */
#ifndef METRICS_TRACE_PACKETS_H
#define METRICS_TRACE_PACKETS_H

#include "metrics/protobuf.h"

#include <stdio.h>

#define EI_TRACE_ARGS_MAX 8
#define EI_TRACE_BUFFER_BYTES 65536

struct ei_trace_stream {
    FILE *out;
    int write_errnum; /* of the first write that failed */
    size_t used;
    int64_t events;
    uint8_t bytes[EI_TRACE_BUFFER_BYTES];
};

/* A packet sequence: what it has interned holds for its own packets, and so does its clock. */
struct ei_trace_sequence {
    uint32_t id;            /* > 0 */
    uint64_t default_track; /* of events that name none */
    int64_t at_ns;          /* its incremental clock */
    bool is_begun;
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

struct ei_trace_track {
    uint64_t uuid, parent;
    const char *name;
    enum { EI_TRACE_TRACK_PLAIN, EI_TRACE_TRACK_PROCESS, EI_TRACE_TRACK_THREAD, EI_TRACE_TRACK_COUNTER } kind;
    int32_t pid, tid;
};

/* Each writes one packet. */
void ei_trace_put_clocks(struct ei_trace_stream *stream, int64_t monotonic_ns, int64_t boottime_ns,
                         int64_t realtime_ns);
void ei_trace_put_track(struct ei_trace_stream *stream, const struct ei_trace_track *track);
/* The first of a sequence, whose clock then stands at sequence->at_ns. */
void ei_trace_put_sequence(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence);
void ei_trace_put_interned(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence,
                           enum ei_trace_interned kind, uint32_t iid, const char *text);
void ei_trace_put_event(struct ei_trace_stream *stream, struct ei_trace_sequence *sequence,
                        const struct ei_trace_event *event);

/* Hand what is buffered to the stream. */
void ei_trace_flush(struct ei_trace_stream *stream);

#endif
