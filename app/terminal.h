/* What the terminal wants and can show. Thread: any. */
#ifndef APP_TERMINAL_H
#define APP_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* out is a terminal and NO_COLOR is not set. */
bool einet_terminal_wants_colour(FILE *out);

/* The locale is one of UTF-8 and NO_COLOR is not set. */
bool einet_terminal_has_unicode(void);

#endif
