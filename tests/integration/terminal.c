/* See terminal.h. */
#include "tests/integration/terminal.h"

#include "tests/harness/harness.h"

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

void einet_read_said(const char *command, bool is_terminal, char *out, size_t size_bytes)
{
    int end = -1, ends[2] = {-1, -1};
    size_t used = 0;
    if (!is_terminal) {
        EI_REQUIRE(pipe(ends) == 0);
    }
    const pid_t pid = is_terminal ? forkpty(&end, NULL, NULL, NULL) : fork();
    if (pid == 0) {
        if (!is_terminal) {
            dup2(ends[1], STDERR_FILENO);
        }
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    EI_REQUIRE(pid > 0);
    if (!is_terminal) {
        close(ends[1]);
        end = ends[0];
    }
    for (ssize_t got; used + 1 < size_bytes && (got = read(end, out + used, size_bytes - used - 1)) > 0;) {
        used += (size_t)got;
    }
    out[used] = '\0';
    close(end);
    (void)waitpid(pid, NULL, 0);
}
