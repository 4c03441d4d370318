/* See trace_decoding.h. */
#include "tests/metrics/trace_decoding.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PYTHON "/usr/bin/python3"

static json_t *decode(const char *path, const char *python, const char *messages)
{
    char command[2048], out[600];
    snprintf(out, sizeof out, "%s/decoded.json", ei_test_tmpdir());
    snprintf(command, sizeof command, "'%s' tests/metrics/trace_decode.py '%s' '%s' > '%s'", python, path, messages,
             out);
    if (!EI_TRUEF(system(command) == 0, "%s failed", command)) {
        return NULL;
    }
    json_error_t error;
    json_t *trace = json_load_file(out, 0, &error);
    if (!EI_TRUEF(trace != NULL, "what %s printed is no JSON: %s", command, error.text)) {
        return NULL;
    }
    const json_t *problems = json_object_get(trace, "problems");
    for (size_t i = 0; i < json_array_size(problems) && i < 10; i++) {
        EI_TRUEF(false, "%s: %s", path, json_string_value(json_array_get(problems, i)));
    }
    return trace;
}

/* The messages as Python, in a folder of the case. */
static const char *make_messages(void)
{
    static char messages[512];
    char command[1024];
    struct stat st;
    snprintf(messages, sizeof messages, "%s/pb", ei_test_tmpdir());
    if (stat(messages, &st) != 0) {
        if (system("command -v protoc >/dev/null") != 0) {
            ei_test_skip("no protoc: apt-get install protobuf-compiler");
        }
        if (system(PYTHON " -c 'import google.protobuf' 2>/dev/null") != 0) {
            ei_test_skip("no protobuf for " PYTHON ": apt-get install python3-protobuf");
        }
        mkdir(messages, 0755);
        snprintf(command, sizeof command, "protoc --proto_path=tests/metrics --python_out='%s' perfetto.proto",
                 messages);
        EI_EQ(system(command), 0);
    }
    return messages;
}

json_t *decode_trace(const char *path)
{
    return decode(path, PYTHON, make_messages());
}

static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    int shift = 0;
    while (*at < end && shift < 64) {
        const uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            break;
        }
        shift += 7;
    }
    return value;
}

/* The fields of one packet, as far as they are counted. False: it does not end where it should. */
static bool count_fields(const uint8_t *at, const uint8_t *end, int64_t *events, int64_t *begins)
{
    enum { EVENT = 11 << 3 | 2, FLAGS = 13 << 3 };
    while (at < end) {
        const uint64_t tag = read_varint(&at, end), value = read_varint(&at, end);
        *events += tag == EVENT;
        *begins += tag == FLAGS && value == 1;
        if ((tag & 7) == 2 && value > (uint64_t)(end - at)) {
            return false;
        }
        at += (tag & 7) == 2 ? value : 0;
    }
    return true;
}

bool count_packets(const char *path, int64_t *out_events, int64_t *out_begins)
{
    FILE *file = fopen(path, "re");
    struct stat st;
    *out_events = *out_begins = 0;
    if (!EI_TRUE(file != NULL && fstat(fileno(file), &st) == 0)) {
        return false;
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    bool is_ok = bytes != NULL && fread(bytes, 1, (size_t)st.st_size, file) == (size_t)st.st_size;
    const uint8_t *at = bytes, *const end = is_ok ? bytes + st.st_size : bytes;
    fclose(file);
    while (is_ok && at < end) {
        const uint64_t tag = read_varint(&at, end), length = read_varint(&at, end);
        is_ok = tag == (1 << 3 | 2) && length <= (uint64_t)(end - at) &&
                count_fields(at, at + length, out_events, out_begins);
        at += is_ok ? length : 0;
    }
    free(bytes);
    return EI_TRUEF(is_ok, "%s is not a row of whole packets", path);
}

json_t *decode_trace_officially(const char *path, const char *python)
{
    return decode(path, python, "--official");
}

json_t *trace_track(json_t *trace, const char *path)
{
    return json_object_get(json_object_get(trace, "tracks"), path);
}

size_t trace_count(json_t *trace, const char *path, const char *what)
{
    return json_array_size(json_object_get(trace_track(trace, path), what));
}

json_t *trace_item(json_t *trace, const char *path, const char *what, size_t n)
{
    return json_array_get(json_object_get(trace_track(trace, path), what), n);
}

size_t trace_count_all(json_t *trace, const char *prefix, const char *what)
{
    size_t count = 0;
    const char *path;
    json_t *track;
    json_object_foreach(json_object_get(trace, "tracks"), path, track)
    {
        count += strncmp(path, prefix, strlen(prefix)) == 0 ? json_array_size(json_object_get(track, what)) : 0;
    }
    return count;
}

int64_t item_int(const json_t *item, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(item, key));
}

const char *item_text(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

int64_t item_arg(const json_t *item, const char *name)
{
    const json_t *value = json_object_get(json_object_get(item, "args"), name);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
}

const char *item_arg_text(const json_t *item, const char *name)
{
    return json_string_value(json_object_get(json_object_get(item, "args"), name));
}
