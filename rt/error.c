/* See einet/error.h. */
#include <einet/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

EINET_PRINTF(6, 0)
static int fill(struct einet_error *err, int code, const char *file, int line, int column, const char *fmt,
                va_list args)
{
    if (err != NULL) {
        *err = (struct einet_error){.code = code, .line = line, .column = column};
        snprintf(err->file, sizeof err->file, "%s", file);
        vsnprintf(err->text, sizeof err->text, fmt, args);
    }
    return code;
}

int einet_error_set(struct einet_error *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, "", 0, 0, fmt, args);
    va_end(args);
    return code;
}

int einet_error_set_at(struct einet_error *err, int code, const char *file, int line, int column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, file != NULL ? file : "", line, column, fmt, args);
    va_end(args);
    return code;
}

const char *einet_error_text(int code)
{
    switch (code) {
#define EINET_X(name, value, text)                                                                                     \
    case value:                                                                                                        \
        return text;
        EINET_ERROR_MAP(EINET_X)
#undef EINET_X
    default:
        break;
    }
    const char *text = strerrordesc_np(code < 0 ? -code : code);
    return text != NULL ? text : "unknown error";
}
