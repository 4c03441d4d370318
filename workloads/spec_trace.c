/* Trace files: a CSV whose first column holds release times, not decreasing, in the unit that its header names:
 *
 *     release_ms            # also release_ns, release_us, release_s
 *     0
 *     250.5,anything else
 *
 * Empty lines and lines that begin with '#' are skipped. See spec_read.h.
 */
#include "workloads/spec_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACE_FILE_MAX (INT64_C(64) * 1024 * 1024)
#define HEADER_TEXT "release_"

int ei_spec_read_file(const char *path, int64_t max_bytes, char **out_text, size_t *out_length_bytes, char *out_why,
                      size_t why_bytes)
{
    struct stat st;
    int rc = 0;
    char *text = NULL;
    size_t length = 0;
    /* Non-blocking, so that a named pipe is refused and does not hang the call. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        rc = -errno;
        snprintf(out_why, why_bytes, "cannot open it: %s", einet_error_text(rc));
        return rc;
    }
    if (fstat(fd, &st) != 0) {
        rc = -errno;
        snprintf(out_why, why_bytes, "cannot read it: %s", einet_error_text(rc));
        goto out_close;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        snprintf(out_why, why_bytes, S_ISDIR(st.st_mode) ? "it is a directory" : "it is no regular file");
        goto out_close;
    }
    if (st.st_size > max_bytes) {
        rc = EINET_E_LIMIT;
        snprintf(out_why, why_bytes, "it is too large: %.1f MiB, the limit is %.0f MiB",
                 (double)st.st_size / (1024.0 * 1024.0), (double)max_bytes / (1024.0 * 1024.0));
        goto out_close;
    }
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL) {
        rc = -ENOMEM;
        snprintf(out_why, why_bytes, "out of memory");
        goto out_close;
    }
    while (length < (size_t)st.st_size) {
        const ssize_t got = read(fd, text + length, (size_t)st.st_size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            rc = -errno;
            snprintf(out_why, why_bytes, "cannot read it: %s", einet_error_text(rc));
            free(text);
            goto out_close;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    text[length] = '\0';
    *out_text = text;
    *out_length_bytes = length;
out_close:
    close(fd);
    return rc;
}

struct trace {
    char unit[4];
    int64_t *times_ns;
    int64_t count, capacity;
};

/* Take one line's first column. Returns 0, -ENOMEM, or EINET_E_FILE with the reason in out_why. */
static int take_line(struct trace *trace, char *line, char *out_why, size_t why_bytes)
{
    char cell[64];
    int64_t time_ns = 0;
    line[strcspn(line, ",\r")] = '\0';
    line[strcspn(line, " \t")] = '\0';
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    if (trace->unit[0] == '\0') {
        const char *unit = line + strlen(HEADER_TEXT);
        if (strncmp(line, HEADER_TEXT, strlen(HEADER_TEXT)) != 0 ||
            (strcmp(unit, "ns") != 0 && strcmp(unit, "us") != 0 && strcmp(unit, "ms") != 0 && strcmp(unit, "s") != 0)) {
            snprintf(out_why, why_bytes, "the header must be release_ns, release_us, release_ms or release_s");
            return EINET_E_FILE;
        }
        snprintf(trace->unit, sizeof trace->unit, "%s", unit);
        return 0;
    }
    snprintf(cell, sizeof cell, "%.48s%s", line, trace->unit);
    if (ei_duration_parse(cell, &time_ns) != 0) {
        snprintf(out_why, why_bytes, "'%.40s' is no time in %s", line, trace->unit);
        return EINET_E_FILE;
    }
    if (trace->count > 0 && time_ns < trace->times_ns[trace->count - 1]) {
        snprintf(out_why, why_bytes, "time %.40s is earlier than the one before", line);
        return EINET_E_FILE;
    }
    if (trace->count == EI_TRACE_MAX) {
        snprintf(out_why, why_bytes, "more than %d releases", EI_TRACE_MAX);
        return EINET_E_FILE;
    }
    if (trace->count == trace->capacity) {
        const int64_t capacity = trace->capacity > 0 ? trace->capacity * 2 : 256;
        int64_t *times_ns = realloc(trace->times_ns, (size_t)capacity * sizeof *times_ns);
        if (times_ns == NULL) {
            snprintf(out_why, why_bytes, "out of memory");
            return -ENOMEM;
        }
        trace->times_ns = times_ns;
        trace->capacity = capacity;
    }
    trace->times_ns[trace->count++] = time_ns;
    return 0;
}

static int parse_trace(char *text, size_t length_bytes, struct trace *trace, char *out_why, size_t why_bytes)
{
    char why[160] = "";
    int line_number = 1;
    for (char *line = text; line < text + length_bytes; line_number++) {
        char *end = memchr(line, '\n', (size_t)(text + length_bytes - line));
        char *next = end != NULL ? end + 1 : text + length_bytes;
        if (end != NULL) {
            *end = '\0';
        }
        const int rc = take_line(trace, line, why, sizeof why);
        if (rc != 0) {
            snprintf(out_why, why_bytes, "line %d: %s", line_number, why);
            return rc;
        }
        line = next;
    }
    if (trace->count == 0) {
        snprintf(out_why, why_bytes, "it holds no release");
        return EINET_E_FILE;
    }
    return 0;
}

void ei_spec_read_trace(struct ei_spec_reader *rd, struct ei_arrival_spec *arrival, int32_t node)
{
    static const char *const hint = "a CSV file: header release_ms (or _ns, _us, _s), then one time per line";
    struct trace trace = {.unit = ""};
    char why[256] = "";
    char *text = NULL;
    size_t length_bytes = 0;
    int rc = ei_spec_read_file(arrival->trace, TRACE_FILE_MAX, &text, &length_bytes, why, sizeof why);
    if (rc == 0) {
        rc = parse_trace(text, length_bytes, &trace, why, sizeof why);
    }
    free(text);
    if (rc != 0) {
        free(trace.times_ns);
        rd->rc = rc == -ENOMEM ? rc : rd->rc;
        ei_spec_error(rd, node, hint, "trace file '%.120s': %s", arrival->trace, why);
        return;
    }
    arrival->trace_ns = trace.times_ns;
    arrival->trace_count = trace.count;
}
