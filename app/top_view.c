/* See top_view.h. */
#include "app/top_view.h"

#include "metrics/run_json.h"
#include "metrics/table_text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_NS INT64_C(2000000000) /* a run publishes four times a second */
#define EXITS_WIDTH 20

/* ---- for people ---- */

const char *einet_top_phase(const struct ei_board_run *run)
{
    return run->is_ending && run->phase == EI_BOARD_RUNNING ? "ending" : ei_board_phase_name(run->phase);
}

const char *einet_top_state(const struct ei_board_view *view, const struct einet_top_news *news)
{
    return news->is_dead ? "died" : einet_top_phase(&view->run);
}

static const char *task_state(const struct ei_board_task *task)
{
    return task->is_paused && task->state != EI_BOARD_TASK_DEMOTED ? "paused" : ei_board_task_state_name(task->state);
}

static void set_cell(struct ei_table_cell *cell, enum ei_table_colour colour, const char *fmt, ...) EINET_PRINTF(3, 4);

static void set_cell(struct ei_table_cell *cell, enum ei_table_colour colour, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(cell->text, sizeof cell->text, fmt, args);
    va_end(args);
    cell->colour = colour;
}

static void set_count(struct ei_table_cell *cell, enum ei_table_colour colour, int64_t count)
{
    set_cell(cell, count > 0 ? colour : EI_COLOUR_NONE, "%" PRId64, count);
}

void einet_top_print_elapsed(FILE *out, const struct ei_board_run *run)
{
    fprintf(out, "%.1f", run->elapsed_ns > 0 ? (double)run->elapsed_ns / 1e9 : 0.0);
    if (run->duration_ns != INT64_MAX) {
        fprintf(out, " / %.1f", (double)run->duration_ns / 1e9);
    }
    fputs(" s", out);
}

static void print_head(FILE *out, bool is_coloured, const struct ei_board_view *view, const struct einet_top_news *news)
{
    const struct ei_board_run *run = &view->run;
    char text[2 * EI_BOARD_TEXT_MAX + 64];
    const bool is_bad = news->is_dead || run->phase == EI_BOARD_FAILED;
    ei_text_coloured(out, is_coloured, EI_COLOUR_HEAD, run->name);
    fprintf(out, "  pid %" PRId64 "  ", run->pid);
    ei_text_coloured(out, is_coloured, is_bad ? EI_COLOUR_BAD : EI_COLOUR_GOOD, einet_top_state(view, news));
    if (run->end_signal != 0) {
        fprintf(out, " by signal %d", run->end_signal);
    }
    fputs("  ", out);
    einet_top_print_elapsed(out, run);
    if (run->metrics[0] != '\0') {
        fprintf(out, "  metrics http://%s/metrics", run->metrics);
    }
    if (!news->is_dead && !ei_board_is_over(run) && news->silent_ns > SILENT_NS) {
        snprintf(text, sizeof text, "  no news for %.1f s: stopped, or kept from its CPU",
                 (double)news->silent_ns / 1e9);
        ei_text_coloured(out, is_coloured, EI_COLOUR_WARN, text);
    }
    fputc('\n', out);
    if (run->degraded_count > 0) {
        snprintf(text, sizeof text, "DEGRADED: %s%s%s%s", run->degraded_reason,
                 run->degraded_fix[0] != '\0' ? " (fix: " : "", run->degraded_fix,
                 run->degraded_fix[0] != '\0' ? ")" : "");
        ei_text_coloured(out, is_coloured, EI_COLOUR_WARN, text);
        fprintf(out, run->degraded_count > 1 ? "  and %d more\n" : "\n", run->degraded_count - 1);
    }
}

enum {
    TASK_NAME,
    TASK_STATE,
    TASK_RELEASED,
    TASK_OK,
    TASK_MISS,
    TASK_SKIP,
    TASK_DROP,
    TASK_ABORT,
    TASK_BACKLOG,
    TASK_LAST,
    TASK_RESPONSE,
    TASK_EXITS,
    TASK_ACCURACY,
    TASK_PREEMPT,
    TASK_COLUMNS
};

/* "12/31/57 %" of the answers; many exits end in ".." when there is no room. */
static void exits_cell(const struct ei_board_task *task, struct ei_table_cell *cell)
{
    char text[EXITS_WIDTH + 8] = "";
    size_t length = 0;
    set_cell(cell, EI_COLOUR_NONE, "-");
    for (int32_t i = 0; task->answered > 0 && i < task->exits; i++) {
        char part[32];
        const int more = snprintf(part, sizeof part, "%s%.0f", i > 0 ? "/" : "",
                                  100.0 * (double)task->exit_count[i] / (double)task->answered);
        if (length + (size_t)more > EXITS_WIDTH) {
            set_cell(cell, EI_COLOUR_NONE, "%s/.. %%", text);
            return;
        }
        memcpy(text + length, part, (size_t)more + 1);
        length += (size_t)more;
        set_cell(cell, EI_COLOUR_NONE, "%s %%", text);
    }
}

static void response_cells(const struct ei_board_task *task, struct ei_table_cell *cells)
{
    char values[64], deadline[32], last[32];
    const bool has_deadline = task->deadline_ns != INT64_MAX;
    const int64_t values_ns[] = {task->p50_ns, task->p99_ns, task->max_ns};
    set_cell(&cells[TASK_LAST], EI_COLOUR_NONE, "-");
    set_cell(&cells[TASK_RESPONSE], EI_COLOUR_NONE, "-");
    if (task->response_count == 0) {
        return;
    }
    set_cell(&cells[TASK_LAST], task->last_ns > task->deadline_ns ? EI_COLOUR_BAD : EI_COLOUR_NONE, "%s",
             ei_text_duration(last, sizeof last, task->last_ns));
    ei_text_durations(values, sizeof values, values_ns, 3, has_deadline ? task->deadline_ns : 0, has_deadline);
    ei_text_durations(deadline, sizeof deadline, &task->deadline_ns, 1, task->max_ns, false);
    set_cell(&cells[TASK_RESPONSE], EI_COLOUR_NONE, "%s%s%s", values, has_deadline ? " of " : "",
             has_deadline ? deadline : "");
}

static void print_tasks(FILE *out, bool is_coloured, const struct ei_board_view *view)
{
    static const char *const heads[TASK_COLUMNS] = {
        "task",  "state", "rel",    "ok", "miss", "skip", "drop", "abort", "back", "last", "response p50/p99/max of D",
        "exits", "acc",   "preempt"};
    const struct ei_table_layout layout = {.left_mask = 1U << TASK_NAME | 1U << TASK_STATE};
    struct ei_table_cell *cells = calloc((size_t)(view->run.task_count + 1) * TASK_COLUMNS, sizeof *cells);
    if (cells == NULL) {
        return;
    }
    for (int i = 0; i < TASK_COLUMNS; i++) {
        set_cell(&cells[i], EI_COLOUR_HEAD, "%s", heads[i]);
    }
    for (int32_t i = 0; i < view->run.task_count; i++) {
        const struct ei_board_task *task = &view->tasks[i];
        struct ei_table_cell *row = &cells[(i + 1) * TASK_COLUMNS];
        set_cell(&row[TASK_NAME], EI_COLOUR_NONE, "%s", task->name);
        set_cell(&row[TASK_STATE], task->state >= EI_BOARD_TASK_FALLBACK ? EI_COLOUR_WARN : EI_COLOUR_NONE, "%s",
                 task_state(task));
        set_count(&row[TASK_RELEASED], EI_COLOUR_NONE, task->completed + task->aborted);
        set_count(&row[TASK_OK], EI_COLOUR_NONE, task->completed - task->misses);
        set_count(&row[TASK_MISS], EI_COLOUR_BAD, task->misses);
        set_count(&row[TASK_SKIP], EI_COLOUR_BAD, task->skipped);
        set_count(&row[TASK_DROP], EI_COLOUR_BAD, task->dropped);
        set_count(&row[TASK_ABORT], EI_COLOUR_BAD, task->aborted);
        set_count(&row[TASK_BACKLOG], EI_COLOUR_NONE, task->backlog);
        response_cells(task, row);
        exits_cell(task, &row[TASK_EXITS]);
        set_cell(&row[TASK_ACCURACY], EI_COLOUR_NONE, "-");
        if (task->labelled_answered > 0) {
            set_cell(&row[TASK_ACCURACY], EI_COLOUR_NONE, "%.1f%%",
                     100.0 * (double)task->correct / (double)task->labelled_answered);
        }
        set_count(&row[TASK_PREEMPT], EI_COLOUR_NONE, task->preemptions);
    }
    ei_table_print(out, is_coloured, cells, view->run.task_count + 1, TASK_COLUMNS, &layout);
    free(cells);
}

static void print_lanes(FILE *out, bool is_coloured, const struct ei_board_view *view)
{
    enum { NAME, BUSY, WAITING, HOLDER, COLUMNS };
    static const char *const heads[COLUMNS] = {"lane", "busy", "queue", "holder"};
    struct ei_table_cell cells[(EI_BOARD_LANES_MAX + 1) * COLUMNS] = {0};
    const struct ei_table_layout layout = {.left_mask = 1U << NAME | 1U << HOLDER};
    for (int i = 0; i < COLUMNS; i++) {
        set_cell(&cells[i], EI_COLOUR_HEAD, "%s", heads[i]);
    }
    for (int32_t i = 0; i < view->run.lane_count; i++) {
        const struct ei_board_lane *lane = &view->lanes[i];
        struct ei_table_cell *row = &cells[(i + 1) * COLUMNS];
        set_cell(&row[NAME], EI_COLOUR_NONE, "%s", lane->name);
        if (lane->is_gated) {
            set_cell(&row[BUSY], EI_COLOUR_NONE, "%.0f%%", 100.0 * lane->busy);
            set_cell(&row[WAITING], EI_COLOUR_NONE, "%d", lane->waiting);
            set_cell(&row[HOLDER], EI_COLOUR_NONE, "%s",
                     lane->holder_idx == EI_BOARD_NOBODY ? "-" : view->tasks[lane->holder_idx].name);
        } else {
            set_cell(&row[BUSY], EI_COLOUR_NONE, "-");
            set_cell(&row[WAITING], EI_COLOUR_NONE, "-");
            set_cell(&row[HOLDER], EI_COLOUR_NONE, "shared by the GPU");
        }
    }
    if (view->run.lane_count > 0) {
        ei_table_print(out, is_coloured, cells, view->run.lane_count + 1, COLUMNS, &layout);
    }
}

static void print_machine(FILE *out, bool is_coloured, const struct ei_board_view *view)
{
    const struct ei_board_run *run = &view->run;
    char p99[32], longest[32], text[96];
    int32_t counted = 0;
    for (int32_t i = 0; i < run->cpu_count; i++) {
        const struct ei_board_cpu *cpu = &view->cpus[i];
        if (cpu->is_counted) {
            snprintf(text, sizeof text, "cpu%d %.0f%%", cpu->cpu, 100.0 * cpu->load);
            fputs(counted == 0 ? "real-time load  " : "  ", out);
            ei_text_coloured(out, is_coloured, cpu->load >= cpu->cap ? EI_COLOUR_WARN : EI_COLOUR_NONE, text);
            counted++;
        }
    }
    if (counted > 0) {
        fprintf(out, "  of cap %.0f%%\n", 100.0 * view->cpus[0].cap);
    }
    if (run->wakeups > 0) {
        fprintf(out, "machine noise  p99 %s  max %s", ei_text_duration(p99, sizeof p99, run->noise_p99_ns),
                ei_text_duration(longest, sizeof longest, run->noise_max_ns));
    } else {
        fputs("machine noise  not measured yet", out); /* no figure, which 0 ns would be */
    }
    if (run->job_records_lost > 0 || run->gap_records_lost > 0 || run->lines_lost > 0) {
        snprintf(text, sizeof text,
                 "  lost: %" PRId64 " records of jobs, %" PRId64 " of noise, %" PRId64 " lines of files",
                 run->job_records_lost, run->gap_records_lost, run->lines_lost);
        ei_text_coloured(out, is_coloured, EI_COLOUR_BAD, text);
    }
    fputc('\n', out);
    if (run->is_probe_outranked) {
        ei_text_coloured(out, is_coloured, EI_COLOUR_WARN, "  " EI_METRICS_OUTRANKED_TEXT);
        fputc('\n', out);
    }
}

void einet_top_print(FILE *out, bool is_coloured, const struct ei_board_view *view, const struct einet_top_news *news)
{
    print_head(out, is_coloured, view, news);
    print_tasks(out, is_coloured, view);
    print_lanes(out, is_coloured, view);
    print_machine(out, is_coloured, view);
}

/* ---- for programs ---- */

static json_t *time_json(int64_t ns)
{
    return ns == INT64_MAX ? json_null() : json_integer(ns);
}

static json_t *task_json(const struct ei_board_task *task)
{
    json_t *exits = json_array();
    for (int32_t i = 0; i < task->exits; i++) {
        (void)json_array_append_new(exits, json_integer(task->exit_count[i]));
    }
    json_t *accuracy =
        task->labelled_answered > 0 ? json_real((double)task->correct / (double)task->labelled_answered) : json_null();
    return json_pack(
        "{s:o, s:o, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name",
        ei_json_text(task->name), "class", ei_json_text(task->class_name), "priority", task->priority, "state",
        task_state(task), "released", task->completed + task->aborted, "completed", task->completed, "misses",
        task->misses, "skipped", task->skipped, "dropped", task->dropped, "aborted", task->aborted, "preemptions",
        task->preemptions, "backlog", task->backlog, "deadline_ns", time_json(task->deadline_ns), "last_response_ns",
        task->last_ns, "p50_response_ns", task->p50_ns, "p99_response_ns", task->p99_ns, "max_response_ns",
        task->max_ns, "answered", task->answered, "exits", exits, "accuracy", accuracy);
}

static json_t *lane_json(const struct ei_board_view *view, const struct ei_board_lane *lane)
{
    if (!lane->is_gated) {
        return json_pack("{s:o, s:n, s:n, s:n}", "name", ei_json_text(lane->name), "busy", "holder", "waiting");
    }
    return json_pack("{s:o, s:f, s:o, s:i}", "name", ei_json_text(lane->name), "busy", lane->busy, "holder",
                     lane->holder_idx == EI_BOARD_NOBODY ? json_null()
                                                         : ei_json_text(view->tasks[lane->holder_idx].name),
                     "waiting", lane->waiting);
}

static json_t *cpu_json(const struct ei_board_cpu *cpu)
{
    return cpu->is_counted ? json_pack("{s:i, s:f, s:f}", "cpu", cpu->cpu, "rt_load", cpu->load, "cap", cpu->cap)
                           : json_pack("{s:i, s:n, s:n}", "cpu", cpu->cpu, "rt_load", "cap");
}

static json_t *view_json(const struct ei_board_view *view, const struct einet_top_news *news)
{
    const struct ei_board_run *run = &view->run;
    json_t *tasks = json_array(), *lanes = json_array(), *cpus = json_array();
    for (int32_t i = 0; i < run->task_count; i++) {
        (void)json_array_append_new(tasks, task_json(&view->tasks[i]));
    }
    for (int32_t i = 0; i < run->lane_count; i++) {
        (void)json_array_append_new(lanes, lane_json(view, &view->lanes[i]));
    }
    for (int32_t i = 0; i < run->cpu_count; i++) {
        (void)json_array_append_new(cpus, cpu_json(&view->cpus[i]));
    }
    json_t *degraded = run->degraded_count == 0
                           ? json_null()
                           : json_pack("{s:i, s:o, s:o}", "reasons", run->degraded_count, "first",
                                       ei_json_text(run->degraded_reason), "fix", ei_json_text(run->degraded_fix));
    json_t *is_fifo = run->wakeups > 0 ? json_boolean(!run->is_probe_outranked) : json_null();
    return json_pack(
        "{s:i, s:o, s:I, s:o, s:s, s:i, s:I, s:o, s:I, s:I, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:o}, s:{s:I, s:I}, s:I, "
        "s:o, s:o, s:o}",
        "schema", 1, "name", ei_json_text(run->name), "pid", run->pid, "version", ei_json_text(run->version), "state",
        einet_top_state(view, news), "end_signal", run->end_signal, "elapsed_ns", run->elapsed_ns, "duration_ns",
        time_json(run->duration_ns), "warmup_ns", run->warmup_ns, "silent_ns", news->silent_ns, "degraded", degraded,
        "metrics", run->metrics[0] != '\0' ? ei_json_text(run->metrics) : json_null(), "noise", "wakeups", run->wakeups,
        "gaps", run->gaps, "p99_ns", run->noise_p99_ns, "max_ns", run->noise_max_ns, "is_probe_fifo", is_fifo,
        "records_lost", "job", run->job_records_lost, "gap", run->gap_records_lost, "lines_lost", run->lines_lost,
        "tasks", tasks, "lanes", lanes, "cpus", cpus);
}

int einet_top_print_json(FILE *out, const struct ei_board_view *view, const struct einet_top_news *news)
{
    json_t *object = view_json(view, news);
    if (object == NULL) {
        return -ENOMEM;
    }
    const int rc = json_dumpf(object, out, JSON_COMPACT);
    json_decref(object);
    return rc == 0 && fputc('\n', out) != EOF && fflush(out) == 0 ? 0 : -EIO;
}
