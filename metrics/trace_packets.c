/* See trace_packets.h. */
#include "metrics/trace_packets.h"

#define PACKET_BYTES 2048
#define MESSAGE_BYTES 1024

/* Field numbers, by message. */
enum { TRACE_PACKET = 1 };
enum {
    PACKET_CLOCK_SNAPSHOT = 6,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE_ID = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_INTERNED_DATA = 12,
    PACKET_SEQUENCE_FLAGS = 13,
    PACKET_CLOCK_ID = 58,
    PACKET_DEFAULTS = 59,
    PACKET_TRACK_DESCRIPTOR = 60,
    PACKET_IS_FIRST = 87
};
enum { FLAG_STATE_CLEARED = 1, FLAG_NEEDS_STATE = 2 };
enum { DEFAULTS_TRACK_EVENT = 11, DEFAULTS_CLOCK_ID = 58 };
enum { SNAPSHOT_CLOCKS = 1, SNAPSHOT_PRIMARY = 2 };
enum { CLOCK_ID = 1, CLOCK_TIMESTAMP = 2, CLOCK_IS_INCREMENTAL = 3 };
enum { CLOCK_REALTIME_ID = 1, CLOCK_MONOTONIC_ID = 3, CLOCK_BOOTTIME_ID = 6, CLOCK_SEQUENCE_ID = 64 };
enum {
    EVENT_CATEGORY_IID = 3,
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_NAME_IID = 10,
    EVENT_TRACK = 11,
    EVENT_COUNTER = 30,
    EVENT_COUNTER_REAL = 44,
    EVENT_FLOW = 47,
    EVENT_FLOW_END = 48
};
enum { ANNOTATION_NAME_IID = 1, ANNOTATION_INT = 4, ANNOTATION_REAL = 5, ANNOTATION_STRING_IID = 17 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_THREAD = 4, TRACK_PARENT = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum { INTERNED_IID = 1, INTERNED_TEXT = 2 };

void ei_trace_flush(struct ei_trace_stream *stream)
{
    const int64_t lost = stream->out->lost;
    if (stream->batch.length > 0) {
        ei_line_file_add(stream->out, &stream->batch);
        const bool is_lost = stream->out->lost != lost;
        stream->lost_events += is_lost ? stream->batch_events : 0;
        stream->events -= is_lost ? stream->batch_events : 0;
        stream->epoch += is_lost;
        stream->batch.length = 0;
        stream->batch_events = 0;
    }
}

void ei_trace_reserve(struct ei_trace_stream *stream)
{
    if (stream->batch.length + MESSAGE_BYTES > sizeof stream->batch.text) {
        ei_trace_flush(stream);
    }
}

static void put_packet(struct ei_trace_stream *stream, const struct ei_protobuf *packet)
{
    struct ei_csv_line *batch = &stream->batch;
    if (batch->length + packet->used + 2 * EI_PROTOBUF_VARINT_MAX > sizeof batch->text) {
        ei_trace_flush(stream);
    }
    struct ei_protobuf out = {
        .bytes = (uint8_t *)batch->text + batch->length,
        .size = sizeof batch->text - batch->length,
    };
    ei_protobuf_message(&out, TRACE_PACKET, packet);
    batch->length += out.used;
}

static void add_clock(struct ei_protobuf *snapshot, uint32_t id, int64_t at_ns)
{
    uint8_t bytes[32];
    struct ei_protobuf clock = {.bytes = bytes, .size = sizeof bytes};
    ei_protobuf_uint(&clock, CLOCK_ID, id);
    ei_protobuf_uint(&clock, CLOCK_TIMESTAMP, (uint64_t)at_ns);
    if (id == CLOCK_SEQUENCE_ID) {
        ei_protobuf_uint(&clock, CLOCK_IS_INCREMENTAL, 1);
    }
    ei_protobuf_message(snapshot, SNAPSHOT_CLOCKS, &clock);
}

/* Viewers convert to the clock of kernel events, which is the boot time, or else to that of the first snapshot. */
void ei_trace_put_clocks(struct ei_trace_stream *stream, int64_t monotonic_ns, int64_t boottime_ns, int64_t realtime_ns)
{
    uint8_t bytes[PACKET_BYTES], inner[MESSAGE_BYTES];
    struct ei_protobuf packet = {.bytes = bytes, .size = sizeof bytes},
                       snapshot = {.bytes = inner, .size = sizeof inner};
    add_clock(&snapshot, CLOCK_MONOTONIC_ID, monotonic_ns);
    if (boottime_ns != 0) {
        add_clock(&snapshot, CLOCK_BOOTTIME_ID, boottime_ns);
        add_clock(&snapshot, CLOCK_REALTIME_ID, realtime_ns);
    } else {
        ei_protobuf_uint(&snapshot, SNAPSHOT_PRIMARY, CLOCK_MONOTONIC_ID);
    }
    ei_protobuf_message(&packet, PACKET_CLOCK_SNAPSHOT, &snapshot);
    put_packet(stream, &packet);
}

void ei_trace_put_track(struct ei_trace_stream *stream, const struct ei_trace_track *track)
{
    uint8_t bytes[PACKET_BYTES], inner[MESSAGE_BYTES], part[MESSAGE_BYTES / 2];
    struct ei_protobuf packet = {.bytes = bytes, .size = sizeof bytes},
                       descriptor = {.bytes = inner, .size = sizeof inner}, kind = {.bytes = part, .size = sizeof part};
    ei_protobuf_uint(&descriptor, TRACK_UUID, track->uuid);
    if (track->parent != 0) {
        ei_protobuf_uint(&descriptor, TRACK_PARENT, track->parent);
    }
    switch (track->kind) {
    case EI_TRACE_TRACK_PLAIN:
        ei_protobuf_text(&descriptor, TRACK_NAME, track->name);
        break;
    case EI_TRACE_TRACK_PROCESS:
        ei_protobuf_uint(&kind, PROCESS_PID, (uint64_t)track->pid);
        ei_protobuf_text(&kind, PROCESS_NAME, track->name);
        ei_protobuf_message(&descriptor, TRACK_PROCESS, &kind);
        break;
    case EI_TRACE_TRACK_THREAD:
        ei_protobuf_uint(&kind, THREAD_PID, (uint64_t)track->pid);
        ei_protobuf_uint(&kind, THREAD_TID, (uint64_t)track->tid);
        ei_protobuf_text(&kind, THREAD_NAME, track->name);
        ei_protobuf_message(&descriptor, TRACK_THREAD, &kind);
        break;
    case EI_TRACE_TRACK_COUNTER:
        ei_protobuf_text(&descriptor, TRACK_NAME, track->name);
        ei_protobuf_message(&descriptor, TRACK_COUNTER, &kind);
        break;
    }
    ei_protobuf_message(&packet, PACKET_TRACK_DESCRIPTOR, &descriptor);
    put_packet(stream, &packet);
}

void ei_trace_put_sequence(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence)
{
    uint8_t bytes[PACKET_BYTES], inner[MESSAGE_BYTES], part[32];
    struct ei_protobuf packet = {.bytes = bytes, .size = sizeof bytes},
                       snapshot = {.bytes = inner, .size = sizeof inner};
    add_clock(&snapshot, CLOCK_MONOTONIC_ID, sequence->at_ns);
    add_clock(&snapshot, CLOCK_SEQUENCE_ID, sequence->at_ns);
    ei_protobuf_message(&packet, PACKET_CLOCK_SNAPSHOT, &snapshot);

    struct ei_protobuf defaults = {.bytes = inner, .size = sizeof inner}, event = {.bytes = part, .size = sizeof part};
    ei_protobuf_uint(&event, EVENT_TRACK, sequence->default_track);
    ei_protobuf_message(&defaults, DEFAULTS_TRACK_EVENT, &event);
    ei_protobuf_uint(&defaults, DEFAULTS_CLOCK_ID, CLOCK_SEQUENCE_ID);
    ei_protobuf_message(&packet, PACKET_DEFAULTS, &defaults);

    ei_protobuf_uint(&packet, PACKET_SEQUENCE_ID, sequence->id);
    ei_protobuf_uint(&packet, PACKET_SEQUENCE_FLAGS, FLAG_STATE_CLEARED);
    if (!sequence->is_known) {
        ei_protobuf_uint(&packet, PACKET_IS_FIRST, 1);
    }
    put_packet(stream, &packet);
}

void ei_trace_put_interned(struct ei_trace_stream *stream, const struct ei_trace_sequence *sequence,
                           enum ei_trace_interned kind, uint32_t iid, const char *text)
{
    uint8_t bytes[PACKET_BYTES], inner[MESSAGE_BYTES], part[MESSAGE_BYTES / 2];
    struct ei_protobuf packet = {.bytes = bytes, .size = sizeof bytes}, data = {.bytes = inner, .size = sizeof inner},
                       entry = {.bytes = part, .size = sizeof part};
    ei_protobuf_uint(&entry, INTERNED_IID, iid);
    ei_protobuf_text(&entry, INTERNED_TEXT, text);
    ei_protobuf_message(&data, (uint32_t)kind, &entry);
    ei_protobuf_message(&packet, PACKET_INTERNED_DATA, &data);
    ei_protobuf_uint(&packet, PACKET_SEQUENCE_ID, sequence->id);
    ei_protobuf_uint(&packet, PACKET_SEQUENCE_FLAGS, FLAG_NEEDS_STATE);
    put_packet(stream, &packet);
}

static void add_arg(struct ei_protobuf *event, const struct ei_trace_arg *arg)
{
    uint8_t bytes[32];
    struct ei_protobuf annotation = {.bytes = bytes, .size = sizeof bytes};
    ei_protobuf_uint(&annotation, ANNOTATION_NAME_IID, arg->name);
    switch (arg->kind) {
    case EI_TRACE_INT:
        ei_protobuf_uint(&annotation, ANNOTATION_INT, (uint64_t)arg->number);
        break;
    case EI_TRACE_REAL:
        ei_protobuf_double(&annotation, ANNOTATION_REAL, arg->real);
        break;
    case EI_TRACE_STRING:
        ei_protobuf_uint(&annotation, ANNOTATION_STRING_IID, (uint64_t)arg->number);
        break;
    }
    ei_protobuf_message(event, EVENT_ANNOTATION, &annotation);
}

static void fill_event(struct ei_protobuf *out, const struct ei_trace_sequence *sequence,
                       const struct ei_trace_event *event)
{
    ei_protobuf_uint(out, EVENT_TYPE, (uint64_t)event->type);
    if (event->track != sequence->default_track) {
        ei_protobuf_uint(out, EVENT_TRACK, event->track);
    }
    if (event->type == EI_TRACE_COUNTER) {
        if (event->is_real) {
            ei_protobuf_double(out, EVENT_COUNTER_REAL, event->real);
        } else {
            ei_protobuf_uint(out, EVENT_COUNTER, (uint64_t)event->number);
        }
        return;
    }
    if (event->category != 0) {
        ei_protobuf_uint(out, EVENT_CATEGORY_IID, event->category);
    }
    if (event->name != 0) {
        ei_protobuf_uint(out, EVENT_NAME_IID, event->name);
    }
    if (event->flow != EI_TRACE_FLOW_NONE) {
        ei_protobuf_fixed64(out, event->flow == EI_TRACE_FLOW_END ? EVENT_FLOW_END : EVENT_FLOW, event->flow_id);
    }
    for (int32_t i = 0; i < event->arg_count; i++) {
        add_arg(out, &event->args[i]);
    }
}

void ei_trace_put_event(struct ei_trace_stream *stream, struct ei_trace_sequence *sequence,
                        const struct ei_trace_event *event)
{
    uint8_t bytes[PACKET_BYTES], inner[MESSAGE_BYTES];
    struct ei_protobuf packet = {.bytes = bytes, .size = sizeof bytes},
                       message = {.bytes = inner, .size = sizeof inner};
    if (event->at_ns >= sequence->at_ns) {
        ei_protobuf_uint(&packet, PACKET_TIMESTAMP, (uint64_t)(event->at_ns - sequence->at_ns));
        sequence->at_ns = event->at_ns;
    } else {
        ei_protobuf_uint(&packet, PACKET_TIMESTAMP, (uint64_t)event->at_ns);
        ei_protobuf_uint(&packet, PACKET_CLOCK_ID, CLOCK_MONOTONIC_ID);
    }
    ei_protobuf_uint(&packet, PACKET_SEQUENCE_ID, sequence->id);
    ei_protobuf_uint(&packet, PACKET_SEQUENCE_FLAGS, FLAG_NEEDS_STATE);
    fill_event(&message, sequence, event);
    ei_protobuf_message(&packet, PACKET_TRACK_EVENT, &message);
    put_packet(stream, &packet);
    stream->events++;
    stream->batch_events++;
    sequence->events++;
}
