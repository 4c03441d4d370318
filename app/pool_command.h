/* `--pool NAME` of einet serve and einet top: what pools do is done by einet-dds, so that einet carries no DDS symbol.
 */
#ifndef APP_POOL_COMMAND_H
#define APP_POOL_COMMAND_H

#include <einet/error.h>
#include <stdbool.h>

/* Whether --pool is among the options of a command. */
bool einet_is_of_pool(int argc, char **argv);

/* Takes --pool of a table of options. Nobody comes here who wrote it in full: einet-dds has taken over then. */
int einet_take_pool(void *request, const char *value, struct einet_error *err);

/* Become einet-dds, the one beside this program or else that of PATH, with the options of this command behind
 * its sub-command (NULL = none). Returns only when it cannot: the exit status, with the reason printed. */
int einet_become_dds(int argc, char **argv, const char *sub_command);

#endif
