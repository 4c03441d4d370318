/* The final table: one line per task, then service levels, noise, what needs a word, and DEGRADED or not. */
#include "metrics/collector_state.h"
#include "metrics/table_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_WIDTH 120
#define NAME_WIDTH 12
#define HEAD_ROWS 2

enum {
    COL_TASK,
    COL_RELEASED,
    COL_OK,
    COL_MISS,
    COL_DROP,
    COL_RATIO,
    COL_JITTER,
    COL_RESPONSE,
    COL_EXITS,
    COL_ACCURACY,
    COL_PREEMPT,
    COL_COUNT
};

/* Text items joined by blanks, broken before the table's width. */
struct paragraph {
    FILE *out;
    bool is_coloured;
    int column;
};

static void paragraph_item(struct paragraph *paragraph, enum ei_table_colour colour, const char *fmt, ...)
    EINET_PRINTF(3, 4);

static void paragraph_item(struct paragraph *paragraph, enum ei_table_colour colour, const char *fmt, ...)
{
    char text[640];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const int length = (int)strlen(text);
    if (paragraph->column > 0 && paragraph->column + 3 + length > TABLE_WIDTH) {
        fputs("\n     ", paragraph->out);
        paragraph->column = 5;
    } else if (paragraph->column > 0) {
        fputs("   ", paragraph->out);
        paragraph->column += 3;
    }
    ei_text_coloured(paragraph->out, paragraph->is_coloured, colour, text);
    paragraph->column += length;
}

static void paragraph_end(struct paragraph *paragraph)
{
    if (paragraph->column > 0) {
        fputc('\n', paragraph->out);
    }
    paragraph->column = 0;
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

/* Two rows: what it is, and which figures of it. */
static void head_cells(const struct ei_collector *collector, struct ei_table_cell *cells)
{
    static const char *const names[HEAD_ROWS][COL_COUNT] = {
        {"task", "rel", "ok", "miss", "drop", "ratio", "jitter", "response", "exits", "acc", "preempt"},
        {"", "", "", "", "", "", "p50/p99", "p50/p99/max of D", "", "", "(block/switch p99)"}};
    int32_t exits = 0;
    for (int32_t i = 0; i < collector->task_count; i++) {
        exits = collector->tasks[i].spec.exits > exits ? collector->tasks[i].spec.exits : exits;
    }
    for (int i = 0; i < HEAD_ROWS * COL_COUNT; i++) {
        set_cell(&cells[i], EI_COLOUR_HEAD, "%s", names[i / COL_COUNT][i % COL_COUNT]);
    }
    struct ei_table_cell *which = &cells[COL_COUNT + COL_EXITS];
    if (exits == 2 || exits == 3) {
        set_cell(which, EI_COLOUR_HEAD, exits == 3 ? "1/2/3" : "1/2");
    } else if (exits > 3) {
        set_cell(which, EI_COLOUR_HEAD, "1..%d", (int)exits);
    }
}

/* "12%/31%/57%" of the answers; many exits share one sign and end in "..." when there is no room. */
static void exits_cell(const struct ei_metrics_task_state *task, struct ei_table_cell *cell)
{
    char text[32] = "";
    size_t length = 0;
    set_cell(cell, EI_COLOUR_NONE, "-");
    if (task->spec.exits == 0 || task->answered == 0) {
        return;
    }
    const bool is_short = task->spec.exits <= 3;
    for (int32_t i = 0; i < task->spec.exits; i++) {
        char part[16];
        const int part_length = snprintf(part, sizeof part, "%s%.0f%s", i > 0 ? "/" : "",
                                         100.0 * (double)task->exits[i] / (double)task->answered, is_short ? "%" : "");
        if (length + (size_t)part_length > 20) {
            set_cell(cell, EI_COLOUR_NONE, "%s/.. %%", text);
            return;
        }
        memcpy(text + length, part, (size_t)part_length + 1);
        length += (size_t)part_length;
    }
    set_cell(cell, EI_COLOUR_NONE, "%s%s", text, is_short ? "" : " %");
}

static void response_cell(const struct ei_metrics_task_state *task, struct ei_table_cell *cell)
{
    const struct ei_histogram *response = &task->response;
    const bool has_deadline = task->spec.deadline_ns != INT64_MAX;
    if (response->count == 0) {
        set_cell(cell, EI_COLOUR_NONE, "-");
        return;
    }
    const int64_t values_ns[] = {ei_histogram_quantile_ns(response, 0.5), ei_histogram_quantile_ns(response, 0.99),
                                 ei_histogram_max_ns(response)};
    char values[64], deadline[32];
    ei_text_durations(values, sizeof values, values_ns, 3, has_deadline ? task->spec.deadline_ns : 0, has_deadline);
    if (!has_deadline) {
        set_cell(cell, EI_COLOUR_NONE, "%s", values);
        return;
    }
    /* The deadline is shown in the unit of the largest of the four. */
    ei_text_durations(deadline, sizeof deadline, &task->spec.deadline_ns, 1, values_ns[2], false);
    set_cell(cell, EI_COLOUR_NONE, "%s of %s", values, deadline);
}

static void preempt_cell(const struct ei_metrics_task_state *task, struct ei_table_cell *cell)
{
    if (task->blocking.count == 0) {
        set_cell(cell, EI_COLOUR_NONE, "%" PRId64, task->preemptions);
        return;
    }
    char block[32], switching[32] = "-";
    ei_text_duration(block, sizeof block, ei_histogram_quantile_ns(&task->blocking, 0.99));
    if (task->switching.count > 0) {
        ei_text_duration(switching, sizeof switching, ei_histogram_quantile_ns(&task->switching, 0.99));
    }
    set_cell(cell, EI_COLOUR_NONE, "%" PRId64 " (%s/%s)", task->preemptions, block, switching);
}

static void task_cells(const struct ei_metrics_task_state *task, struct ei_table_cell *cells)
{
    const int64_t seen = ei_metrics_seen(task);
    const int64_t dropped = task->skipped + task->dropped;
    const int64_t not_met = ei_metrics_not_met(task);
    char text[32];
    const char *name = task->spec.name;
    set_cell(&cells[COL_TASK], EI_COLOUR_NONE, "%.*s%s", NAME_WIDTH - 1, name,
             strlen(name) > NAME_WIDTH    ? "~"
             : strlen(name) == NAME_WIDTH ? name + NAME_WIDTH - 1
                                          : "");
    set_cell(&cells[COL_RELEASED], EI_COLOUR_NONE, "%" PRId64, task->completed + task->aborted);
    set_cell(&cells[COL_OK], EI_COLOUR_NONE, "%" PRId64, task->completed - task->misses);
    set_cell(&cells[COL_MISS], task->misses > 0 ? EI_COLOUR_BAD : EI_COLOUR_NONE, "%" PRId64, task->misses);
    set_cell(&cells[COL_DROP], dropped > 0 ? EI_COLOUR_BAD : EI_COLOUR_NONE, "%" PRId64, dropped);
    set_cell(&cells[COL_RATIO], not_met > 0 ? EI_COLOUR_BAD : EI_COLOUR_NONE, "%s",
             seen > 0 ? ei_text_percent(text, sizeof text, (double)not_met / (double)seen) : "-");
    set_cell(&cells[COL_JITTER], EI_COLOUR_NONE, "-");
    if (task->jitter.count > 0) {
        const int64_t jitter_ns[] = {ei_histogram_quantile_ns(&task->jitter, 0.5),
                                     ei_histogram_quantile_ns(&task->jitter, 0.99)};
        set_cell(&cells[COL_JITTER], EI_COLOUR_NONE, "%s",
                 ei_text_durations(text, sizeof text, jitter_ns, 2, 0, false));
    }
    response_cell(task, &cells[COL_RESPONSE]);
    exits_cell(task, &cells[COL_EXITS]);
    set_cell(&cells[COL_ACCURACY], EI_COLOUR_NONE, "%s",
             task->labelled_answered > 0
                 ? ei_text_percent(text, sizeof text, (double)task->correct / (double)task->labelled_answered)
                 : "-");
    preempt_cell(task, &cells[COL_PREEMPT]);
}

static void print_head(const struct ei_collector *collector, FILE *out)
{
    char duration[32], planned[32];
    ei_text_duration(duration, sizeof duration, collector->totals.duration_ns);
    fprintf(out, "%s: %s, seed %" PRIu64 ", einet %s", collector->name, duration, collector->seed, collector->version);
    if (collector->totals.is_ended_early) {
        fprintf(out, "; ended early of %s planned", ei_text_duration(planned, sizeof planned, collector->planned_ns));
        if (collector->totals.end_signal > 0) {
            fprintf(out, " by signal %d", (int)collector->totals.end_signal);
        }
    }
    fputs("\n\n", out);
}

static void slo_item(struct paragraph *paragraph, const struct ei_collector *collector,
                     const struct ei_metrics_slo_verdict *slo)
{
    const struct ei_metrics_task_state *task = &collector->tasks[slo->task_idx];
    char limit[64], value[32];
    if (strcmp(slo->name, "mk") == 0) {
        snprintf(limit, sizeof limit, "mk[%" PRId32 ",%" PRId32 "]", task->spec.slo.mk_m, task->spec.slo.mk_k);
        snprintf(value, sizeof value, "%.0f", slo->value);
    } else if (slo->is_time) {
        ei_text_duration(value, sizeof value, (int64_t)slo->limit);
        snprintf(limit, sizeof limit, "%.*s=%s", (int)strlen(slo->name) - 3, slo->name, value);
        ei_text_duration(value, sizeof value, (int64_t)slo->value);
    } else {
        snprintf(limit, sizeof limit, "%s=%.4g", slo->name, slo->limit);
        snprintf(value, sizeof value, "%.4g", slo->value);
    }
    if (!slo->is_judged) {
        paragraph_item(paragraph, EI_COLOUR_WARN, "%s.%s not judged", task->spec.name, limit);
    } else if (slo->is_passed) {
        paragraph_item(paragraph, EI_COLOUR_GOOD, "%s.%s PASS", task->spec.name, limit);
    } else {
        paragraph_item(paragraph, EI_COLOUR_BAD, "%s.%s FAIL (%s%s)", task->spec.name, limit, value,
                       slo->is_passed_without_explained ? ", explained by the machine" : "");
    }
}

static void print_slos(const struct ei_collector *collector, struct paragraph *paragraph)
{
    if (collector->slo_count == 0) {
        return;
    }
    paragraph_item(paragraph, EI_COLOUR_HEAD, "SLO");
    for (int32_t i = 0; i < collector->slo_count; i++) {
        slo_item(paragraph, collector, &collector->slos[i]);
    }
    paragraph_end(paragraph);
}

static void print_noise(const struct ei_collector *collector, struct paragraph *paragraph)
{
    char p50[32], p99[32], max[32], total[32];
    if (collector->wakeups == 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "machine noise not measured");
    } else {
        paragraph_item(paragraph, EI_COLOUR_NONE, "machine noise p50 %s p99 %s max %s",
                       ei_text_duration(p50, sizeof p50, ei_histogram_quantile_ns(&collector->lateness, 0.5)),
                       ei_text_duration(p99, sizeof p99, ei_histogram_quantile_ns(&collector->lateness, 0.99)),
                       ei_text_duration(max, sizeof max, ei_histogram_max_ns(&collector->lateness)));
        paragraph_item(paragraph, EI_COLOUR_NONE, "%" PRId64 " gaps over 100 us, %s in all", collector->gap_count,
                       ei_text_duration(total, sizeof total, collector->gap_total_ns));
        if (collector->is_probe_outranked) {
            paragraph_item(paragraph, EI_COLOUR_WARN, EI_METRICS_OUTRANKED_TEXT);
        }
    }
    for (int32_t i = 0; i < collector->totals.load_count; i++) {
        const struct ei_metrics_cpu_load *load = &collector->loads[i];
        paragraph_item(paragraph, EI_COLOUR_NONE, "cpu %" PRId32 " real-time load %.2f, peak %.2f of %.2g", load->cpu,
                       load->mean, load->peak, load->cap);
    }
    paragraph_end(paragraph);
}

/* "by cause: blocking 3, machine 1", and jobs that computed longer than their profile says. */
static void print_causes(const struct ei_metrics_task_state *task, struct paragraph *paragraph)
{
    char text[256] = "";
    size_t length = 0;
    for (int i = 0; i < EI_MISS_CAUSES; i++) {
        if (task->miss_causes[i] > 0) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %" PRId64, length > 0 ? ", " : "",
                                       ei_miss_cause_name(i), task->miss_causes[i]);
        }
    }
    if (length > 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "by cause: %s", text);
    }
    if (task->over_profile[EI_PROFILE_VIOLATED] > 0) {
        paragraph_item(paragraph, EI_COLOUR_WARN, "%" PRId64 " jobs over their profile",
                       task->over_profile[EI_PROFILE_VIOLATED]);
    }
}

/* A line for a task whose figures need a word: jobs that failed and why, preemptions, a broken identity. */
static void print_task_notes(const struct ei_collector *collector, int32_t task_idx, struct paragraph *paragraph)
{
    const struct ei_metrics_task_state *task = &collector->tasks[task_idx];
    const int64_t not_met = ei_metrics_not_met(task);
    const int64_t seen = ei_metrics_seen(task);
    const bool is_identity_ok = seen == collector->expected[task_idx];
    const bool is_over_profile = task->over_profile[EI_PROFILE_VIOLATED] > 0;
    const struct ei_metrics_external *external = &task->external;
    if (!external->is_external && not_met == 0 && is_identity_ok && task->preempted_jobs == 0 &&
        task->late_replans == 0 && !is_over_profile) {
        return;
    }
    paragraph_item(paragraph, EI_COLOUR_HEAD, "%s", task->spec.name);
    if (!is_identity_ok) {
        paragraph_item(paragraph, EI_COLOUR_BAD, "%" PRId64 " releases expected, %" PRId64 " accounted for",
                       collector->expected[task_idx], seen);
    }
    if (external->is_external) {
        paragraph_item(paragraph, external->refused > 0 ? EI_COLOUR_WARN : EI_COLOUR_NONE,
                       "%" PRId64 " asked for from outside, %" PRId64 " held back, %" PRId64 " refused, %" PRId64
                       " too late for the run",
                       external->asked, external->held_back, external->refused, external->unreleased);
    }
    if (not_met > 0) {
        double low, high;
        ei_wilson95(not_met, seen, &low, &high);
        paragraph_item(paragraph, EI_COLOUR_NONE,
                       "%" PRId64 " missed, %" PRId64 " aborted, %" PRId64 " skipped, %" PRId64 " dropped: %" PRId64
                       " of them explained by the machine",
                       task->misses, task->aborted, task->skipped, task->dropped,
                       task->misses_explained + task->not_run_explained);
        paragraph_item(paragraph, EI_COLOUR_NONE, "ratio 95%% interval %.2f..%.2f%%", 100.0 * low, 100.0 * high);
        paragraph_item(paragraph, EI_COLOUR_NONE, "longest run %" PRId64, task->sequence.longest_run);
    }
    print_causes(task, paragraph);
    if (task->preempted_jobs > 0 && task->spec.exits > 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE,
                       "preempted jobs %" PRId64 ", past exit 1 %" PRId64 ", answered %" PRId64, task->preempted_jobs,
                       task->preempted_past_first_exit, task->preempted_answered);
    }
    if (task->preempted_labelled > 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "preempted accuracy %.1f%%",
                       100.0 * (double)task->preempted_correct / (double)task->preempted_labelled);
    }
    if (task->late_replans > 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "replans %" PRId64 ", late %" PRId64, task->replans,
                       task->late_replans);
    }
    if (task->with_network > 0) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "coverage %.2f%%",
                       100.0 * (double)task->answered / (double)task->with_network);
    }
    paragraph_end(paragraph);
}

/* What computed the networks, when some had weights. */
static void print_backends(const struct ei_collector *collector, struct paragraph *paragraph)
{
    const char *backends = json_string_value(json_object_get(collector->machine, "backends"));
    if (backends != NULL) {
        paragraph_item(paragraph, EI_COLOUR_NONE, "computed by %s", backends);
        paragraph_end(paragraph);
    }
}

/* What is loaded and should not be as it is. */
static void print_warnings(const struct ei_collector *collector, struct paragraph *paragraph)
{
    const char *warnings = json_string_value(json_object_get(collector->machine, "warnings"));
    if (warnings != NULL) {
        paragraph_item(paragraph, EI_COLOUR_WARN, "warning: %s", warnings);
        paragraph_end(paragraph);
    }
}

/* What the disk did not take of a file; the figures have it. */
/* The table shows priorities, deadlines and plans as the run began. */
static void print_changes(const struct ei_collector *collector, struct paragraph *paragraph)
{
    const size_t count = json_array_size(collector->changes);
    if (count > 0) {
        paragraph_item(paragraph, EI_COLOUR_WARN,
                       "%lld changes of tasks while the run went on, the first of '%s': summary.json has them",
                       (long long)count + (long long)collector->totals.changes_lost,
                       json_string_value(json_object_get(json_array_get(collector->changes, 0), "task")));
        paragraph_end(paragraph);
    }
}

static void print_lines_lost(const struct ei_line_file *file, const char *name, struct paragraph *paragraph)
{
    if (file->lost > 0) {
        paragraph_item(paragraph, EI_COLOUR_BAD, "%s lacks %" PRId64 " of %" PRId64 " lines: %s", name, file->lost,
                       file->added, file->lost_errnum != 0 ? strerror(file->lost_errnum) : "the disk was too slow");
        paragraph_end(paragraph);
    }
}

static void print_degraded(const struct ei_collector *collector, struct paragraph *paragraph)
{
    const size_t count = json_array_size(collector->degraded);
    const struct ei_metrics_totals *totals = &collector->totals;
    if (totals->job_records_lost > 0 || totals->gap_records_lost > 0 || collector->records_invalid > 0 ||
        collector->stages_lost > 0) {
        paragraph_item(paragraph, EI_COLOUR_BAD,
                       "records lost: %" PRId64 " of jobs, %" PRId64 " of probes, %" PRId64 " invalid, %" PRId64
                       " of stages without their job",
                       totals->job_records_lost, totals->gap_records_lost, collector->records_invalid,
                       collector->stages_lost);
        paragraph_end(paragraph);
    }
    print_changes(collector, paragraph);
    print_lines_lost(&collector->jobs_csv, "jobs.csv", paragraph);
    print_lines_lost(&collector->stages_csv, "stages.csv", paragraph);
    if (count == 0) {
        paragraph_item(paragraph, EI_COLOUR_GOOD, "NOT DEGRADED");
        paragraph_end(paragraph);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(collector->degraded, i);
        const char *fix = json_string_value(json_object_get(entry, "fix"));
        paragraph_item(paragraph, EI_COLOUR_WARN, "DEGRADED: %s", json_string_value(json_object_get(entry, "reason")));
        if (fix != NULL) {
            paragraph_item(paragraph, EI_COLOUR_NONE, "fix: %s", fix);
        }
        paragraph_end(paragraph);
    }
}

int ei_collector_print_table(const struct ei_collector *collector, FILE *out, bool colour)
{
    const int rows = (int)collector->task_count + HEAD_ROWS;
    struct ei_table_cell *cells = calloc((size_t)rows * COL_COUNT, sizeof *cells);
    if (cells == NULL) {
        return -ENOMEM;
    }
    const struct ei_table_layout layout = {.left_mask = 1U << COL_TASK | 1U << COL_PREEMPT,
                                           .tight_mask =
                                               1U << COL_OK | 1U << COL_MISS | 1U << COL_DROP | 1U << COL_RATIO};
    struct paragraph paragraph = {.out = out, .is_coloured = colour};
    errno = 0;
    print_head(collector, out);
    head_cells(collector, cells);
    for (int i = HEAD_ROWS; i < rows; i++) {
        task_cells(&collector->tasks[i - HEAD_ROWS], &cells[i * COL_COUNT]);
    }
    ei_table_print(out, colour, cells, rows, COL_COUNT, &layout);
    free(cells);
    fputc('\n', out);
    for (int32_t i = 0; i < collector->task_count; i++) {
        print_task_notes(collector, i, &paragraph);
    }
    print_slos(collector, &paragraph);
    print_noise(collector, &paragraph);
    print_backends(collector, &paragraph);
    print_warnings(collector, &paragraph);
    print_degraded(collector, &paragraph);
    if (ferror(out)) {
        return errno != 0 ? -errno : -EIO;
    }
    return 0;
}
