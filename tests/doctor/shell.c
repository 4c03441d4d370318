/* See shell.h. */
#include "tests/doctor/shell.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int run_fix(const char *fix)
{
    char script[1024];
    int status = -1;
    snprintf(script, sizeof script, "sudo() { \"$@\"; }\n%s\n", fix);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
