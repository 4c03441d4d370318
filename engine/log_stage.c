/* The append_file operation: what every network task answers right now, read through its seqlock from this thread.
 * Regular files only: a FIFO without a reader or a full terminal would block a job.
 */
#include "engine/run_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256

static int blame(const struct ei_live_task *task, const struct ei_stage_spec *stage, int code, const char *path,
                 const char *why, struct einet_error *err)
{
    return einet_error_set_at(err, code, task->run->wl->file, stage->place.line, stage->place.column,
                              "cannot append to %s: %s", path, why);
}

/* Opening alone can already do harm to a device, so the kind is looked at before, and once more on what was opened. */
static int open_log(const struct ei_live_task *task, const struct ei_stage_spec *stage, struct ei_task_log *log,
                    struct einet_error *err)
{
    if (task->run->is_fileless && stage->path[0] != '/') {
        return blame(task, stage, EINET_E_USAGE, stage->path,
                     "the run has no output folder; give it one, or write an absolute path", err);
    }
    const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    const char *const not_regular = "it is not a regular file; name one, or leave path out";
    char path[EI_RUN_DIR_MAX + EI_SPEC_PATH_MAX];
    struct stat st;
    log->path = stage->path;
    ei_run_log_path(task->run, log, path, sizeof path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return blame(task, stage, EINET_E_FILE, path, not_regular, err);
    }
    log->fd = open(path, flags | O_CREAT | O_EXCL, 0644);
    log->is_made = log->fd >= 0;
    if (log->fd < 0 && errno == EEXIST) {
        log->fd = open(path, flags);
    }
    if (log->fd < 0) {
        return blame(task, stage, -errno, path, strerror(errno), err);
    }
    if (fstat(log->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(log->fd);
        return blame(task, stage, EINET_E_FILE, path, not_regular, err);
    }
    return 0;
}

int ei_task_open_logs(struct ei_live_task *task, struct einet_error *err)
{
    int rc = 0;
    for (int32_t i = 0; i < task->spec->stage_count; i++) {
        const struct ei_stage_spec *stage = &task->spec->stages[i];
        for (int32_t k = 0; rc == 0 && k < stage->op_count; k++) {
            if (stage->ops[k].kind == EI_SPEC_OP_APPEND_FILE) {
                rc = open_log(task, stage, &task->logs[task->log_count], err);
                task->log_count += rc == 0;
            }
        }
    }
    return rc;
}

void ei_task_close_logs(struct ei_live_task *task)
{
    while (task->log_count > 0) {
        close(task->logs[--task->log_count].fd);
    }
}

/* The operations of a job run in their order, so this call belongs to the one after the last of the same job. */
static int due_fd(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    if (slot->log_job_idx != slot->record.job_idx) {
        slot->log_job_idx = slot->record.job_idx;
        slot->log_next = 0;
    }
    return slot->log_next < task->log_count ? task->logs[slot->log_next++].fd : -1;
}

static int write_all(int fd, const char *text, size_t length_bytes)
{
    while (length_bytes > 0) {
        const ssize_t written = write(fd, text, length_bytes);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        if (written > 0) {
            text += written;
            length_bytes -= (size_t)written;
        }
    }
    return 0;
}

static int log_answer(int fd, const struct ei_run *run, const struct ei_live_task *of, int64_t now_ns)
{
    char line[LINE_MAX_BYTES];
    struct ei_answer answer;
    const double at_s = (double)(now_ns - run->t0_ns) / (double)EI_NS_PER_S;
    int length;
    if (ei_answer_read(of->answer, &answer, NULL) == 1) {
        length = snprintf(line, sizeof line, "%.6f %s job=%lld exit=%d/%d class=%d confidence=%.4f age_us=%.1f\n", at_s,
                          of->spec->name, (long long)answer.job_idx, answer.exit_idx + 1, answer.exits_total,
                          answer.label, (double)answer.confidence, (double)(now_ns - answer.published_ns) / 1000.0);
    } else {
        length = snprintf(line, sizeof line, "%.6f %s no answer yet\n", at_s, of->spec->name);
    }
    return write_all(fd, line, (size_t)length);
}

int ei_log_stage_run(struct ei_job_slot *slot)
{
    const struct ei_run *run = slot->task->run;
    const int64_t now_ns = ei_mono_now().ns;
    const int fd = due_fd(slot);
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        if (run->tasks[i].nn.net != NULL) {
            rc = log_answer(fd, run, &run->tasks[i], now_ns);
        }
    }
    return rc;
}
