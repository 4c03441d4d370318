/* See service_log.h. */
#include "command/service_log.h"

#include "command/exit_status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1400

static const char *own_name = "einet";
static bool has_levels;

void einet_service_log_init(const char *name, bool wants_levels)
{
    own_name = name;
    has_levels = wants_levels;
}

void einet_service_log(enum einet_log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    int head =
        has_levels ? snprintf(line, sizeof line, "<%d>", (int)level) : snprintf(line, sizeof line, "%s: ", own_name);
    head = head < 0 ? 0 : head;
    va_start(args, fmt);
    const int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, args);
    va_end(args);
    size_t length = body < 0 ? (size_t)head : strlen(line);
    for (size_t i = 0; i < length; i++) {
        line[i] = line[i] == '\n' || line[i] == '\r' ? ' ' : line[i];
    }
    line[length++] = '\n';
    const ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nobody is left to be told */
}

void einet_service_log_text(enum einet_log_level level, char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        static const char said_by_run[] = "einet run: ";
        const bool is_of_run = strncmp(line, said_by_run, sizeof said_by_run - 1) == 0;
        einet_service_log(level, "%s", is_of_run ? line + sizeof said_by_run - 1 : line);
    }
}

int einet_service_log_error(const struct einet_error *err)
{
    char place[EINET_ERROR_FILE_MAX + 32] = "";
    if (err->file[0] != '\0' && err->line > 0) {
        snprintf(place, sizeof place, "%s:%d: ", err->file, err->line);
    } else if (err->file[0] != '\0') {
        snprintf(place, sizeof place, "%s: ", err->file);
    }
    einet_service_log(EINET_LOG_ERROR, "%s%s", place, err->text[0] != '\0' ? err->text : einet_error_text(err->code));
    return einet_exit_of(err);
}
