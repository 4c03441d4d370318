/* The line that long work shows on a terminal: what is done, how much of it, and the time left. One owner thread. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct einet_progress {
    FILE *out; /* NULL = nothing is shown */
    int64_t began_ns, shown_ns;
    bool is_shown;   /* there is a line to be cleared */
    char detail[96]; /* what the owner wants behind the time left; "" = nothing */
};

/* On standard error, unless it is no terminal or is_quiet. */
void einet_progress_begin(struct einet_progress *progress, bool is_quiet);

/* The same, for work that may be over at once: nothing is shown in its first second. */
void einet_progress_begin_later(struct einet_progress *progress, bool is_quiet);

/* Another part of the work begins: its time left is reckoned from now on. */
void einet_progress_restart(struct einet_progress *progress);

/* done of whole, both in the unit of what ("points"); shown four times a second at most. */
void einet_progress_show(struct einet_progress *progress, const char *what, double done, double whole);

/* Clear the line, before anything else is printed. May be called more than once. */
void einet_progress_end(struct einet_progress *progress);

/* A length of time as all commands tell it: "12 s", "3 min", "1.5 h". */
void einet_progress_time(FILE *out, double seconds);

#endif
