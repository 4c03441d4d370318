/* Lines of einet serve for the journal: `<N>` before each line tells its level (sd-daemon(3)) when nobody reads them on
 * a terminal, else the name of the command. Thread: main; one write(2) a line, so that lines of others never cut one.
 */
#ifndef APP_SERVE_LOG_H
#define APP_SERVE_LOG_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdio.h>

enum einet_log_level { EINET_LOG_ERROR = 3, EINET_LOG_WARNING = 4, EINET_LOG_NOTICE = 5, EINET_LOG_INFO = 6 };

/* Levels or the command's name, by JOURNAL_STREAM and by what standard error is. Before the first line. */
void einet_serve_log_init(void);

/* One line of standard error; line ends within it become blanks. */
void einet_serve_log(enum einet_log_level level, const char *fmt, ...) EINET_PRINTF(2, 3);

/* A line per line of a text that somebody else wrote. */
void einet_serve_log_text(enum einet_log_level level, char *text);

/* The place and the sentence of err, and the exit status of its code. */
int einet_serve_log_error(const struct einet_error *err);

#endif
