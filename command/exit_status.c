/* See exit_status.h. */
#include "command/exit_status.h"

int einet_exit_of(const struct einet_error *err)
{
    switch (err->code) {
    case EINET_E_USAGE:
        return EINET_EXIT_USAGE;
    case EINET_E_FILE:
    case EINET_E_MISMATCH:
    case EINET_E_LIMIT:
        return EINET_EXIT_BAD_FILE;
    case EINET_E_PRIVILEGE:
        return EINET_EXIT_PRIVILEGES;
    case EINET_E_SLO:
        return EINET_EXIT_SLO;
    default:
        break;
    }
    return err->file[0] != '\0' ? EINET_EXIT_BAD_FILE : EINET_EXIT_FAULT;
}
