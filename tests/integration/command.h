/* Run the einet command as a user would and read what it wrote. */
#ifndef TESTS_INTEGRATION_COMMAND_H
#define TESTS_INTEGRATION_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OUTPUT_MAX_BYTES (256 * 1024)
#define ARGS_MAX 24

struct finished {
    int status;                    /* exit status; 128 + signal when it was killed */
    char output[OUTPUT_MAX_BYTES]; /* stdout and stderr, cut at the limit */
};

/* Start `einet ARGS...` (NULL-terminated list), output to a file of the case's folder. */
pid_t einet_start(const char *const *args);
/* The same of another program of the build folder. */
pid_t program_start(const char *name, const char *const *args);
/* Wait for it and read its output. The result is static: valid until the next call. */
const struct finished *einet_wait(pid_t pid);
/* Both at once. */
const struct finished *einet_run(const char *const *args);
/* The same as user `nobody` without any capability; skips the case when this process may not change its user. */
const struct finished *einet_run_unprivileged(const char *const *args);

/* Stop the process, wait until it stands still, let it go on ms later. False when it ended instead; it must still be
 * waited for. */
bool stop_for(pid_t pid, int64_t ms);

/* Wait until the file exists, at most limit_ms. */
bool wait_for_file(const char *path, int64_t limit_ms);
/* Wait until its first 64 KiB hold the text. */
bool wait_for_text(const char *path, const char *text, int64_t limit_ms);
void sleep_ms(int64_t ms);

/* summary.json of a run; NULL with a failed check when it cannot be read. json_decref it. */
json_t *read_summary(const char *out_dir);
/* The entry of a task; NULL when there is none. Borrowed. */
json_t *summary_task(json_t *summary, const char *name);
int64_t task_integer(json_t *summary, const char *task, const char *key);
double task_real(json_t *summary, const char *task, const char *key);
/* released + skipped + dropped = expected for every task, as checks. */
void check_identity(json_t *summary);

/* One line of jobs.csv, as texts by column. */
struct job_line {
    char task[32], outcome[16], cause[16];
    int64_t job_idx, release_ns, awake_ns, start_ns, finish_ns, deadline_ns, answer_ns;
    int64_t exit_idx, exits_mask, sample_idx, label, top_label, preemptions, is_warmup, is_answered, is_missed, gap_ns, lane_busy_ns;
    char degraded[8];
};

/* Call visit for each job of jobs.csv. Returns the number of lines, -1 when the file cannot be read. */
int64_t for_each_job(const char *out_dir, void (*visit)(const struct job_line *job, void *context), void *context);

/* A path inside the case's folder. Static ring of 8 buffers. */
const char *in_tmpdir(const char *name);
/* Write a text file into the case's folder and return its path. */
const char *write_file(const char *name, const char *text);

#endif
