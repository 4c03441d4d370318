/* The append_file operation: what every network task answers right now, read through its seqlock from this thread. */
#include "engine/run_state.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256

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
    if (ei_answer_read(&of->answer, &answer, NULL) == 1) {
        length = snprintf(line, sizeof line, "%.6f %s job=%lld exit=%d/%d class=%d confidence=%.4f age_us=%.1f\n", at_s,
                          of->spec->name, (long long)answer.job_idx, answer.exit_idx + 1, answer.exits_total,
                          answer.label, (double)answer.confidence, (double)(now_ns - answer.published_ns) / 1000.0);
    } else {
        length = snprintf(line, sizeof line, "%.6f %s no answer yet\n", at_s, of->spec->name);
    }
    return write_all(fd, line, (size_t)length);
}

int ei_log_stage_run(struct ei_live_task *task)
{
    const struct ei_run *run = task->run;
    const int64_t now_ns = ei_mono_now().ns;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        if (run->tasks[i].nn.net != NULL) {
            rc = log_answer(task->log_fd, run, &run->tasks[i], now_ns);
        }
    }
    return rc;
}
