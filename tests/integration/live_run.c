/* See live_run.h. */
#include "tests/integration/live_run.h"

#include "tests/harness/harness.h"
#include "tests/integration/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define LOOKS_MAX 600

static pid_t start(const char *const *args, const char *output_name, bool is_unprivileged)
{
    char program[512], output[512];
    const char *argv[ARGS_MAX + 2] = {program};
    snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    snprintf(output, sizeof output, "%s", in_tmpdir(output_name));
    for (int i = 0; i < ARGS_MAX && args[i] != NULL; i++) {
        argv[i + 1] = args[i];
    }
    fflush(NULL);
    const pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    const int fd = open(output, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
        _exit(126);
    }
    if (is_unprivileged && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        _exit(125);
    }
    execv(program, (char *const *)argv);
    _exit(127);
}

pid_t live_start(const char *const *args, const char *output_name)
{
    return start(args, output_name, false);
}

pid_t live_start_unprivileged(const char *const *args, const char *output_name)
{
    EI_EQ(chmod(ei_test_tmpdir(), 0777), 0);
    return start(args, output_name, true);
}

static bool is_under_way(const json_t *figures)
{
    size_t i;
    const json_t *task;
    const char *state = json_string_value(json_object_get(figures, "state"));
    if (state == NULL || strcmp(state, "running") != 0) {
        return false;
    }
    json_array_foreach(json_object_get(figures, "tasks"), i, task)
    {
        if (json_integer_value(json_object_get(task, "completed")) == 0) {
            return false;
        }
    }
    return true;
}

json_t *live_await(pid_t pid)
{
    char number[32];
    json_error_t error;
    const struct finished *f = NULL;
    snprintf(number, sizeof number, "%d", (int)pid);
    for (int i = 0; i < LOOKS_MAX; i++) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            EI_TRUEF(false, "the run ended by itself, with status %d", status);
            return NULL;
        }
        f = einet_run((const char *[]){"top", number, "--once", "--json", NULL});
        json_t *figures = f->status == 0 ? json_loads(f->output, JSON_REJECT_DUPLICATES, &error) : NULL;
        if (figures != NULL && is_under_way(figures)) {
            return figures;
        }
        json_decref(figures);
        sleep_ms(100);
    }
    EI_TRUEF(false, "no figures of the run: %s", f->output);
    return NULL;
}

int live_end(pid_t pid)
{
    int status = 0;
    EI_EQ(kill(pid, SIGINT), 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

json_t *live_task(const json_t *figures, const char *name)
{
    size_t i;
    json_t *task;
    json_array_foreach(json_object_get(figures, "tasks"), i, task)
    {
        if (strcmp(json_string_value(json_object_get(task, "name")), name) == 0) {
            return task;
        }
    }
    EI_TRUEF(false, "no task '%s' among the figures", name);
    return NULL;
}
