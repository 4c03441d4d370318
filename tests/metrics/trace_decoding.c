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

json_t *decode_trace(const char *path)
{
    char messages[512], command[1024];
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
    return decode(path, PYTHON, messages);
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
