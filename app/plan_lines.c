/* See plan_lines.h. */
#include "app/plan_lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Fill the empty input with what there is, waiting for the first byte only. False: nothing came, the file has ended or
 * errno says why. */
static bool fill(struct ei_plan_lines *lines)
{
    ssize_t got;
    do {
        got = read(lines->fd, lines->input, sizeof lines->input);
    } while (got < 0 && errno == EINTR);
    lines->at = 0;
    lines->filled = got > 0 ? (size_t)got : 0;
    lines->is_ended = got == 0;
    return got > 0;
}

enum ei_plan_line ei_plan_lines_next(struct ei_plan_lines *lines)
{
    bool is_begun = lines->is_whole_file && lines->line == 0, is_too_long = false;
    lines->length = 0;
    for (bool is_done = false; !is_done;) {
        if (lines->at == lines->filled) {
            if (!lines->is_ended && !fill(lines) && !lines->is_ended) {
                return EI_PLAN_LINE_FAILED;
            }
            if (lines->is_ended && !is_begun) {
                return EI_PLAN_LINE_END;
            }
            if (lines->is_ended) {
                break;
            }
        }
        const char *bytes = lines->input + lines->at;
        size_t count = lines->filled - lines->at;
        const char *feed = lines->is_whole_file ? NULL : memchr(bytes, '\n', count);
        if (feed) {
            count = (size_t)(feed - bytes);
            is_done = true;
        }
        lines->at += count + (feed ? 1 : 0);
        is_begun = true;
        is_too_long = is_too_long || count > EI_PLAN_LINE_MAX - lines->length;
        if (!is_too_long) {
            memcpy(lines->text + lines->length, bytes, count);
            lines->length += count;
        }
    }
    lines->text[lines->length] = '\0';
    lines->line++;
    return is_too_long ? EI_PLAN_LINE_TOO_LONG : EI_PLAN_LINE_WHOLE;
}
