/* See board.h. */
#include "metrics/board.h"

#include "metrics/collector_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Sections are copied in whole words. */
#define WHOLE(type) _Static_assert(sizeof(type) % sizeof(uint64_t) == 0, "whole words")
WHOLE(struct ei_board_run);
WHOLE(struct ei_board_task);
WHOLE(struct ei_board_lane);
WHOLE(struct ei_board_cpu);

/* ---- writing ---- */

void ei_board_set_run(struct ei_board *board, const struct ei_board_run *run)
{
    ei_seqlock_write(board->run, run, sizeof *run);
}

void ei_board_set_task(struct ei_board *board, int32_t idx, const struct ei_board_task *task)
{
    if (idx >= 0 && idx < EI_BOARD_TASKS_MAX) {
        ei_seqlock_write(board->tasks[idx], task, sizeof *task);
    }
}

void ei_board_set_lane(struct ei_board *board, int32_t idx, const struct ei_board_lane *lane)
{
    if (idx >= 0 && idx < EI_BOARD_LANES_MAX) {
        ei_seqlock_write(board->lanes[idx], lane, sizeof *lane);
    }
}

void ei_board_set_cpu(struct ei_board *board, int32_t idx, const struct ei_board_cpu *cpu)
{
    if (idx >= 0 && idx < EI_BOARD_CPUS_MAX) {
        ei_seqlock_write(board->cpus[idx], cpu, sizeof *cpu);
    }
}

/* ---- reading ---- */

static int refuse(struct einet_error *err, const char *what)
{
    return einet_error_set(err, EINET_E_FILE, "the live figures are malformed (%s): no einet wrote them", what);
}

/* A text from outside goes to terminals: it ends inside its field, and nothing in it steers one. */
static bool is_text(const char *text, size_t size_bytes)
{
    const char *end = memchr(text, '\0', size_bytes);
    for (const char *at = text; end != NULL && at < end; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return false;
        }
    }
    return end != NULL;
}

static bool is_count(int64_t value)
{
    return value >= 0;
}

static bool is_share(double value)
{
    return value >= 0.0 && value <= 1e6; /* false for a NaN, too */
}

static bool is_run_sound(const struct ei_board_run *run)
{
    return is_text(run->name, sizeof run->name) && is_text(run->version, sizeof run->version) &&
           is_text(run->degraded_reason, sizeof run->degraded_reason) &&
           is_text(run->degraded_fix, sizeof run->degraded_fix) && is_text(run->metrics, sizeof run->metrics) &&
           run->phase >= 0 && run->phase < EI_BOARD_PHASES && (run->is_ending == 0 || run->is_ending == 1) &&
           run->task_count >= 0 && run->task_count <= EI_BOARD_TASKS_MAX && run->lane_count >= 0 &&
           run->lane_count <= EI_BOARD_LANES_MAX && run->cpu_count >= 0 && run->cpu_count <= EI_BOARD_CPUS_MAX &&
           run->degraded_count >= 0 && is_count(run->job_records_lost) && is_count(run->gap_records_lost) &&
           is_count(run->lines_lost) && is_count(run->duration_ns);
}

static bool is_task_sound(const struct ei_board_task *task)
{
    bool is_sound = is_text(task->name, sizeof task->name) && is_text(task->class_name, sizeof task->class_name) &&
                    task->exits >= 0 && task->exits <= EI_METRICS_EXITS_MAX && task->state >= 0 &&
                    task->state < EI_BOARD_TASK_STATES && (task->is_paused == 0 || task->is_paused == 1) &&
                    is_count(task->completed) && is_count(task->aborted) && is_count(task->skipped) &&
                    is_count(task->dropped) && is_count(task->misses) && is_count(task->preemptions) &&
                    is_count(task->backlog) && is_count(task->answered) && is_count(task->labelled_answered) &&
                    is_count(task->correct) && is_count(task->response_count) && task->response_sum_ns >= 0.0;
    for (int i = 0; i <= EI_BOARD_BOUNDS; i++) {
        is_sound = is_sound && is_count(task->response_below[i]);
    }
    for (int i = 0; i < EI_METRICS_EXITS_MAX; i++) {
        is_sound = is_sound && is_count(task->exit_count[i]);
    }
    return is_sound;
}

/* 1 = read, else what ei_board_read returns. */
static int read_section(const _Atomic uint64_t *words, void *out, size_t bytes)
{
    const int rc = ei_seqlock_read(words, out, bytes);
    return rc == 0 ? -EAGAIN : rc;
}

static int read_lanes(const struct ei_board *board, struct ei_board_view *view, struct einet_error *err)
{
    for (int32_t i = 0; i < view->run.lane_count; i++) {
        struct ei_board_lane *lane = &view->lanes[i];
        const int rc = read_section(board->lanes[i], lane, sizeof *lane);
        if (rc < 0) {
            return rc;
        }
        if (!is_text(lane->name, sizeof lane->name) || lane->holder_idx < EI_BOARD_NOBODY ||
            lane->holder_idx >= view->run.task_count || lane->waiting < 0 || !is_count(lane->busy_ns) ||
            !is_share(lane->busy)) {
            return refuse(err, "a lane");
        }
    }
    return 0;
}

static int read_cpus(const struct ei_board *board, struct ei_board_view *view, struct einet_error *err)
{
    for (int32_t i = 0; i < view->run.cpu_count; i++) {
        struct ei_board_cpu *cpu = &view->cpus[i];
        const int rc = read_section(board->cpus[i], cpu, sizeof *cpu);
        if (rc < 0) {
            return rc;
        }
        if (cpu->cpu < 0 || !is_share(cpu->load) || !is_share(cpu->cap)) {
            return refuse(err, "a CPU");
        }
    }
    return 0;
}

int ei_board_read(const struct ei_board *board, struct ei_board_view *view, struct einet_error *err)
{
    int rc = read_section(board->run, &view->run, sizeof view->run);
    if (rc == 1 && !is_run_sound(&view->run)) {
        return refuse(err, "the run");
    }
    for (int32_t i = 0; rc >= 0 && i < view->run.task_count; i++) {
        rc = read_section(board->tasks[i], &view->tasks[i], sizeof view->tasks[i]);
        if (rc == 1 && !is_task_sound(&view->tasks[i])) {
            return refuse(err, "a task");
        }
    }
    rc = rc < 0 ? rc : read_lanes(board, view, err);
    rc = rc < 0 ? rc : read_cpus(board, view, err);
    return rc == -EAGAIN ? einet_error_set(err, rc, "the run has not published its figures yet: try again") : rc;
}

const char *ei_board_phase_name(int32_t phase)
{
    static const char *const names[EI_BOARD_PHASES] = {"starting", "running", "ended", "failed"};
    return names[phase];
}

const char *ei_board_task_state_name(int32_t state)
{
    static const char *const names[EI_BOARD_TASK_STATES] = {"idle", "active", "fallback", "demoted"};
    return names[state];
}

/* ---- from the collector ---- */

void ei_board_take_task(struct ei_board_task *out, const struct ei_collector *collector, int32_t task_idx)
{
    const struct ei_metrics_task_state *task = &collector->tasks[task_idx];
    static const double quantiles[] = {0.5, 0.99};
    int64_t values_ns[2];
    ei_histogram_quantiles_ns(&task->response, quantiles, 2, values_ns);
    out->completed = task->completed;
    out->aborted = task->aborted;
    out->skipped = task->skipped;
    out->dropped = task->dropped;
    out->misses = task->misses;
    out->preemptions = task->preemptions;
    out->answered = task->answered;
    out->labelled_answered = task->labelled_answered;
    out->correct = task->correct;
    out->last_ns = task->last_response_ns;
    out->p50_ns = values_ns[0];
    out->p99_ns = values_ns[1];
    out->max_ns = ei_histogram_max_ns(&task->response);
    out->response_count = (int64_t)task->response.count;
    out->response_sum_ns = task->response.sum_ns;
    memcpy(out->response_below, task->response_below, sizeof out->response_below);
    memcpy(out->exit_count, task->exits, sizeof out->exit_count);
}

static void take_text(char *out, size_t size_bytes, const json_t *text)
{
    snprintf(out, size_bytes, "%s", json_is_string(text) ? json_string_value(text) : "");
}

void ei_board_take_run(struct ei_board_run *out, const struct ei_collector *collector)
{
    const json_t *first = json_array_get(collector->degraded, 0);
    out->degraded_count = (int32_t)json_array_size(collector->degraded);
    take_text(out->degraded_reason, sizeof out->degraded_reason, json_object_get(first, "reason"));
    take_text(out->degraded_fix, sizeof out->degraded_fix, json_object_get(first, "fix"));
    out->lines_lost = collector->jobs_csv.lost + collector->stages_csv.lost;
    out->wakeups = collector->wakeups;
    out->gaps = collector->gap_count;
    out->noise_p99_ns = ei_histogram_quantile_ns(&collector->lateness, 0.99);
    out->noise_max_ns = ei_histogram_max_ns(&collector->lateness);
    out->is_probe_outranked = collector->is_probe_outranked;
}
