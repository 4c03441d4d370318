/* See command.h. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

static struct finished result;

const char *in_tmpdir(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", ei_test_tmpdir(), name);
    return path;
}

const char *write_file(const char *name, const char *text)
{
    const char *path = in_tmpdir(name);
    FILE *file = fopen(path, "we");
    if (EI_TRUEF(file != NULL, "cannot write %s", path)) {
        fputs(text, file);
        fclose(file);
    }
    return path;
}

static pid_t start(const char *name, const char *const *args, bool is_unprivileged)
{
    char program[512];
    const char *argv[ARGS_MAX + 2] = {program};
    snprintf(program, sizeof program, "%s/%s", ei_test_build_dir(), name);
    for (int i = 0; i < ARGS_MAX && args[i] != NULL; i++) {
        argv[i + 1] = args[i];
    }
    const char *output = in_tmpdir("output.txt");
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

pid_t einet_start(const char *const *args)
{
    return start("einet", args, false);
}

pid_t program_start(const char *name, const char *const *args)
{
    return start(name, args, false);
}

const struct finished *einet_wait(pid_t pid)
{
    int status = 0;
    result.output[0] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *file = fopen(in_tmpdir("output.txt"), "re");
    if (file != NULL) {
        result.output[fread(result.output, 1, sizeof result.output - 1, file)] = '\0';
        fclose(file);
    }
    return &result;
}

const struct finished *einet_run(const char *const *args)
{
    return einet_wait(einet_start(args));
}

const struct finished *einet_run_unprivileged(const char *const *args)
{
    if (getuid() != 0) {
        return einet_run(args); /* already without */
    }
    if (chmod(ei_test_tmpdir(), 0777) != 0) {
        ei_test_skip("cannot open the test folder for another user");
    }
    return einet_wait(start("einet", args, true));
}

void sleep_ms(int64_t ms)
{
    const struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&ts, NULL);
}

bool stop_for(pid_t pid, int64_t ms)
{
    int status = 0;
    if (kill(pid, SIGSTOP) != 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) {
        return false;
    }
    sleep_ms(ms);
    return kill(pid, SIGCONT) == 0;
}

bool wait_for_file(const char *path, int64_t limit_ms)
{
    for (int64_t waited_ms = 0; waited_ms < limit_ms; waited_ms += 20) {
        if (access(path, F_OK) == 0) {
            return true;
        }
        sleep_ms(20);
    }
    return false;
}

bool wait_for_text(const char *path, const char *text, int64_t limit_ms)
{
    static char content[64 * 1024];
    for (int64_t waited_ms = 0; waited_ms < limit_ms; waited_ms += 20) {
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            content[fread(content, 1, sizeof content - 1, file)] = '\0';
            fclose(file);
            if (strstr(content, text) != NULL) {
                return true;
            }
        }
        sleep_ms(20);
    }
    return false;
}

json_t *read_summary(const char *out_dir)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "%s/summary.json", out_dir);
    json_t *summary = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    EI_TRUEF(summary != NULL, "%s: %s (the command said: %s)", path, error.text, result.output);
    return summary;
}

json_t *summary_task(json_t *summary, const char *name)
{
    size_t i;
    json_t *task;
    json_array_foreach(json_object_get(summary, "tasks"), i, task)
    {
        if (strcmp(json_string_value(json_object_get(task, "name")), name) == 0) {
            return task;
        }
    }
    EI_TRUEF(false, "summary.json has no task '%s'", name);
    return NULL;
}

int64_t task_integer(json_t *summary, const char *task, const char *key)
{
    json_t *value = json_object_get(summary_task(summary, task), key);
    EI_TRUEF(json_is_integer(value), "%s.%s is no integer", task, key);
    return json_integer_value(value);
}

double task_real(json_t *summary, const char *task, const char *key)
{
    json_t *value = json_object_get(summary_task(summary, task), key);
    EI_TRUEF(json_is_number(value), "%s.%s is no number", task, key);
    return json_number_value(value);
}

void check_identity(json_t *summary)
{
    size_t i;
    json_t *task;
    json_array_foreach(json_object_get(summary, "tasks"), i, task)
    {
        const char *name = json_string_value(json_object_get(task, "name"));
        const int64_t sum = task_integer(summary, name, "released") + task_integer(summary, name, "skipped") +
                            task_integer(summary, name, "dropped");
        const int64_t expected = task_integer(summary, name, "expected");
        EI_TRUEF(sum == expected, "%s: released + skipped + dropped is %lld, expected %lld", name, (long long)sum,
                 (long long)expected);
        EI_TRUEF(task_integer(summary, name, "released") ==
                     task_integer(summary, name, "completed") + task_integer(summary, name, "aborted"),
                 "%s: released is not completed + aborted", name);
    }
}

/* ---- jobs.csv ---- */

#define COLUMNS_MAX 64

struct header {
    char text[2048];
    const char *names[COLUMNS_MAX];
    int count;
};

static int split(char *line, const char **out)
{
    int count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    while (line != NULL && count < COLUMNS_MAX) {
        out[count++] = strsep(&line, ",");
    }
    return count;
}

static const char *cell(const struct header *header, const char **cells, const char *name)
{
    for (int i = 0; i < header->count; i++) {
        if (strcmp(header->names[i], name) == 0) {
            return cells[i];
        }
    }
    EI_TRUEF(false, "jobs.csv has no column '%s'", name);
    return "";
}

/* -1 stands for an empty cell. */
static int64_t number(const struct header *header, const char **cells, const char *name)
{
    const char *text = cell(header, cells, name);
    return text[0] == '\0' ? -1 : strtoll(text, NULL, 10);
}

static void text_cell(const struct header *header, const char **cells, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", cell(header, cells, name));
}

static struct job_line parse_job(const struct header *h, const char **cells)
{
    struct job_line job = {
        .job_idx = number(h, cells, "job_idx"),
        .release_ns = number(h, cells, "release_ns"),
        .awake_ns = number(h, cells, "awake_ns"),
        .start_ns = number(h, cells, "start_ns"),
        .finish_ns = number(h, cells, "finish_ns"),
        .deadline_ns = number(h, cells, "deadline_ns"),
        .answer_ns = number(h, cells, "answer_ns"),
        .exit_idx = number(h, cells, "exit_idx"),
        .exits_mask = number(h, cells, "exits_mask"),
        .sample_idx = number(h, cells, "sample_idx"),
        .label = number(h, cells, "label"),
        .top_label = number(h, cells, "answer_label"),
        .preemptions = number(h, cells, "preemptions"),
        .is_warmup = number(h, cells, "is_warmup"),
        .is_missed = number(h, cells, "is_missed"),
        .gap_ns = number(h, cells, "gap_ns"),
        .lane_busy_ns = number(h, cells, "lane_busy_ns"),
    };
    job.is_answered = job.exit_idx >= 0;
    text_cell(h, cells, "task", job.task, sizeof job.task);
    text_cell(h, cells, "outcome", job.outcome, sizeof job.outcome);
    text_cell(h, cells, "cause", job.cause, sizeof job.cause);
    text_cell(h, cells, "is_degraded", job.degraded, sizeof job.degraded);
    return job;
}

int64_t for_each_job(const char *out_dir, void (*visit)(const struct job_line *job, void *context), void *context)
{
    char path[512], line[2048];
    struct header header = {.count = 0};
    int64_t lines = 0;
    snprintf(path, sizeof path, "%s/jobs.csv", out_dir);
    FILE *file = fopen(path, "re");
    if (!EI_TRUEF(file != NULL, "cannot read %s", path)) {
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        const char *cells[COLUMNS_MAX];
        if (line[0] == '#') {
            continue;
        }
        if (header.count == 0) {
            snprintf(header.text, sizeof header.text, "%s", line);
            header.count = split(header.text, header.names);
            continue;
        }
        const int count = split(line, cells);
        if (!EI_TRUEF(count == header.count, "%s: a line has %d cells, not %d", path, count, header.count)) {
            break;
        }
        const struct job_line job = parse_job(&header, cells);
        visit(&job, context);
        lines++;
    }
    fclose(file);
    return lines;
}
