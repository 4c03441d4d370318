/* Traces, decoded by Google's protobuf (tests/metrics/trace_decode.py), as JSON. */
#ifndef TESTS_METRICS_TRACE_DECODING_H
#define TESTS_METRICS_TRACE_DECODING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The decoded file; json_decref it. Fails the case when there is a problem in it. Skips it without protoc or Debian's
 * python3-protobuf. NULL, with a failed check, when it cannot be decoded. */
json_t *decode_trace(const char *path);
/* Without protobuf, for long files of which parts are missing: the packets with events, and those that begin a
 * sequence. False, with a failed check, when the file is not a row of whole packets. */
bool count_packets(const char *path, int64_t *out_events, int64_t *out_begins);
/* decode_trace by the messages of the PyPI package perfetto: python names an interpreter that has it. */
json_t *decode_trace_officially(const char *path, const char *python);

/* The track of that path, or NULL; how many slices, instants or counters ("slices", ...) it has; the nth of them. */
json_t *trace_track(json_t *trace, const char *path);
size_t trace_count(json_t *trace, const char *path, const char *what);
json_t *trace_item(json_t *trace, const char *path, const char *what, size_t n);
/* Of all tracks whose path begins with prefix. */
size_t trace_count_all(json_t *trace, const char *prefix, const char *what);

int64_t item_int(const json_t *item, const char *key);
const char *item_text(const json_t *item, const char *key);
int64_t item_arg(const json_t *item, const char *name);
const char *item_arg_text(const json_t *item, const char *name);

#endif
