/* Exit statuses of every command. */
#ifndef COMMAND_EXIT_STATUS_H
#define COMMAND_EXIT_STATUS_H

#include <einet/error.h>

enum einet_exit {
    EINET_EXIT_OK = 0,
    EINET_EXIT_USAGE = 1,
    EINET_EXIT_BAD_FILE = 2,
    EINET_EXIT_PRIVILEGES = 3,
    EINET_EXIT_SLO = 4,
    EINET_EXIT_FAULT = 5
};

/* The exit status of the code of err. */
int einet_exit_of(const struct einet_error *err);

#endif
