/* Lines of unbounded number and bounded length from a file descriptor, each handed over as soon as it has arrived: a
 * program at the other end of a pipe may wait for the answer before it writes the next. One thread.
 */
#ifndef APP_PLAN_LINES_H
#define APP_PLAN_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_PLAN_LINE_MAX ((size_t)1 << 20) /* bytes of a line without its line feed */

enum ei_plan_line {
    EI_PLAN_LINE_WHOLE,    /* text holds it */
    EI_PLAN_LINE_TOO_LONG, /* it was read and thrown away */
    EI_PLAN_LINE_END,      /* there is none left */
    EI_PLAN_LINE_FAILED    /* reading failed: errno */
};

struct ei_plan_lines {
    int fd;
    bool is_whole_file; /* take all of it as one line, line feeds included */
    bool is_ended;
    int64_t line;  /* number of the line handed over last, from 1 */
    size_t at;     /* first byte in input not taken yet */
    size_t filled; /* bytes in input */
    size_t length; /* of text */
    char input[65536];
    char text[EI_PLAN_LINE_MAX + 1]; /* ends with 0 */
};

/* The next line. The last one need not end with a line feed. */
enum ei_plan_line ei_plan_lines_next(struct ei_plan_lines *lines);

#endif
