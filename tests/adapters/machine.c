/* See machine.h. */
#include "tests/adapters/machine.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void *try_priority(void *arg)
{
    int *priority = arg;
    const struct sched_param param = {.sched_priority = *priority};
    *priority = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    return NULL;
}

bool machine_is_allowed(int priority)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, try_priority, &priority) == 0 && pthread_join(thread, NULL) == 0 &&
           priority == 0;
}

pid_t machine_fork(void)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return child;
}

/* ---- networks ---- */

bool machine_ip(pid_t keeper, const char *arguments)
{
    char command[300];
    if (keeper > 0) {
        (void)snprintf(command, sizeof command, "nsenter -t %d -n ip %s >/dev/null 2>&1", (int)keeper, arguments);
    } else {
        (void)snprintf(command, sizeof command, "ip %s >/dev/null 2>&1", arguments);
    }
    return system(command) == 0;
}

pid_t machine_keep(void)
{
    int told[2];
    char byte;
    if (pipe(told) < 0) {
        return -1;
    }
    const pid_t keeper = machine_fork();
    if (keeper == 0) {
        if (unshare(CLONE_NEWNET) == 0 && write(told[1], "", 1) == 1) {
            for (;;) {
                (void)pause();
            }
        }
        _exit(1);
    }
    (void)close(told[1]);
    const bool is_kept = keeper > 0 && read(told[0], &byte, 1) == 1; /* it is there */
    (void)close(told[0]);
    return is_kept ? keeper : -1;
}

void machine_let_go(pid_t keeper)
{
    if (keeper > 0) {
        (void)kill(keeper, SIGKILL);
        (void)waitpid(keeper, NULL, 0);
    }
}

bool machine_enter(pid_t keeper)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)keeper);
    const int network = open(path, O_RDONLY | O_CLOEXEC);
    return network >= 0 && setns(network, CLONE_NEWNET) == 0;
}

/* ---- programs ---- */

bool machine_start(struct machine_node *node, pid_t keeper, const char *const *argv)
{
    char line[64] = "";
    int told[2];
    if (pipe(told) < 0) {
        return false;
    }
    const pid_t child = machine_fork();
    if (child == 0) {
        (void)dup2(told[1], STDOUT_FILENO);
        (void)close(told[0]);
        (void)close(told[1]);
        if (keeper > 0 && !machine_enter(keeper)) {
            _exit(126);
        }
        (void)execv(argv[0], (char *const *)(size_t)argv); /* which changes none of them */
        _exit(127);
    }
    (void)close(told[1]);
    node->pid = child > 0 ? child : 0;
    node->told = fdopen(told[0], "r");
    return node->told != NULL && fgets(line, sizeof line, node->told) != NULL && strcmp(line, "running\n") == 0;
}

/* Wait for its end: its status. */
static int bury(struct machine_node *node)
{
    int status = 0;
    (void)waitpid(node->pid, &status, 0);
    node->pid = 0;
    if (node->told != NULL) {
        (void)fclose(node->told);
        node->told = NULL;
    }
    return status;
}

int machine_end(struct machine_node *node, char *out_words, size_t size_bytes)
{
    (void)kill(node->pid, SIGTERM);
    if (out_words != NULL) {
        out_words[fread(out_words, 1, size_bytes - 1, node->told)] = '\0';
    }
    const int status = bury(node);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void machine_kill(struct machine_node *node)
{
    if (node->pid > 0) {
        (void)kill(node->pid, SIGKILL);
        (void)bury(node);
    }
}
