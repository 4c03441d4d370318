/* See pool_command.h. */
#include "app/pool_command.h"
#include "app/commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "einet-dds";

bool einet_is_of_pool(int argc, char **argv)
{
    bool is_of_pool = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        is_of_pool |= strcmp(argv[i], "--pool") == 0 || strncmp(argv[i], "--pool=", 7) == 0;
    }
    return is_of_pool;
}

/* The program beside this one; false when that cannot be said. */
static bool find_neighbour(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof program);
    if (length <= 0 || length >= (ssize_t)(PATH_MAX - sizeof program)) {
        return false;
    }
    path[length] = '\0';
    memcpy(strrchr(path, '/') + 1, program, sizeof program);
    return true;
}

int einet_become_dds(int argc, char **argv, const char *sub_command)
{
    char path[PATH_MAX], name[sizeof program], sub[16];
    char **arguments = calloc((size_t)argc + 2, sizeof *arguments);
    if (arguments == NULL) {
        fprintf(stderr, "%s: no memory for its arguments\n", argv[0]);
        return EINET_EXIT_FAULT;
    }
    memcpy(name, program, sizeof program);
    int count = 0;
    arguments[count++] = name;
    if (sub_command != NULL) {
        snprintf(sub, sizeof sub, "%s", sub_command);
        arguments[count++] = sub;
    }
    memcpy(&arguments[count], &argv[1], (size_t)(argc - 1) * sizeof *arguments);
    if (find_neighbour(path)) {
        execv(path, arguments);
    }
    execvp(program, arguments);
    fprintf(
        stderr,
        "%s: --pool wants %s, which is neither beside this program nor in PATH (%s): it is built where the packages "
        "cyclonedds-dev and cyclonedds-tools are installed\n",
        argv[0], program, strerror(errno));
    free(arguments);
    return EINET_EXIT_FAULT;
}

int einet_take_pool(void *request, const char *value, struct einet_error *err)
{
    (void)request;
    return einet_error_set(err, EINET_E_USAGE, "write --pool %s in full", value);
}
