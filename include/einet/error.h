/* Status codes and the error record of every call outside the hot path.
 *
 * Functions return int: 0 or positive = success, negative = -errno or one of EINET_E_*. Calls that can explain
 * themselves also take a struct einet_error * (may be NULL): the code, the place in a file when a file is to blame, and
 * one sentence that says what is wrong and what to do. State is unchanged on error unless the function says otherwise.
 */
#ifndef EINET_ERROR_H
#define EINET_ERROR_H

#include <einet/attributes.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, value, text */
#define EINET_ERROR_MAP(X)                                                                                             \
    X(USAGE, -4001, "wrong use of a command or function")                                                              \
    X(FILE, -4002, "an input file is malformed")                                                                       \
    X(PRIVILEGE, -4003, "the kernel refused a privilege that the workload requires")                                   \
    X(SLO, -4004, "a service level objective was not met")                                                             \
    X(FAULT, -4005, "a fault at run time")                                                                             \
    X(MISMATCH, -4006, "two inputs do not belong together")                                                            \
    X(BACKEND, -4007, "a backend library failed or is missing")                                                        \
    X(LIMIT, -4008, "a documented limit is exceeded")

enum einet_error_code {
#define EINET_X(name, value, text) EINET_E_##name = (value),
    EINET_ERROR_MAP(EINET_X)
#undef EINET_X
};

#define EINET_ERROR_TEXT_MAX 512
#define EINET_ERROR_FILE_MAX 256

struct einet_error {
    int code;                        /* negative; 0 = none set */
    int line;                        /* 1-based; 0 = no line to name */
    int column;                      /* 1-based; 0 = no column to name */
    char file[EINET_ERROR_FILE_MAX]; /* "" = no file to name */
    char text[EINET_ERROR_TEXT_MAX]; /* one sentence: what is wrong and what to do */
};

/* Fill err (may be NULL) and return code, so that a caller can write `return einet_error_set(err, ...)`.
 * Calling thread: any, not real-time safe. */
EINET_API int einet_error_set(struct einet_error *err, int code, const char *fmt, ...) EINET_PRINTF(3, 4);

/* The same, blaming a place in a file; line and column 0 when unknown. */
EINET_API int einet_error_set_at(struct einet_error *err, int code, const char *file, int line, int column,
                                 const char *fmt, ...) EINET_PRINTF(6, 7);

/* Static text of a code: the table above for EINET_E_*, strerror's text for -errno. Never NULL. */
EINET_API const char *einet_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
