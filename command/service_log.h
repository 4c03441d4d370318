/* Lines of a service for the journal: before each line `<N>` tells its level (sd-daemon(3)), or the name of the command
 * stands there. Thread: main; one write(2) a line, so that lines of others never cut one.
 */
#ifndef COMMAND_SERVICE_LOG_H
#define COMMAND_SERVICE_LOG_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stdio.h>

enum einet_log_level { EINET_LOG_ERROR = 3, EINET_LOG_WARNING = 4, EINET_LOG_NOTICE = 5, EINET_LOG_INFO = 6 };

/* Levels or the name, which is borrowed. Before the first line. */
void einet_service_log_init(const char *name, bool wants_levels);

/* One line of standard error; line ends within it become blanks. */
void einet_service_log(enum einet_log_level level, const char *fmt, ...) EINET_PRINTF(2, 3);

/* A line per line of a text that somebody else wrote. */
void einet_service_log_text(enum einet_log_level level, char *text);

/* The place and the sentence of err, and the exit status of its code. */
int einet_service_log_error(const struct einet_error *err);

#endif
