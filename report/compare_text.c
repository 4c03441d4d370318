/* A comparison as a table and as JSON. See compare.h. */
#include "metrics/table_text.h"
#include "report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 5
#define SHOWN_EXIT 0.01 /* exits that fewer of the answers of both runs come from are left to --json */

static const char *unbounded(double bound)
{
    return bound < 0 ? "-inf" : "inf";
}

/* A ratio in percent, or a duration with its sign. */
static void write_value(char *out, size_t bytes, enum ei_compare_unit unit, double value)
{
    char text[64];
    if (isinf(value)) {
        snprintf(out, bytes, "%s", unbounded(value));
    } else if (unit == EI_COMPARE_RATIO) {
        snprintf(out, bytes, "%.2f%%", 100 * value);
    } else {
        snprintf(out, bytes, "%s%s", value < 0 ? "-" : "", ei_text_duration(text, sizeof text, llround(fabs(value))));
    }
}

static void write_interval(struct ei_table_cell *cell, enum ei_compare_unit unit, const struct ei_interval *interval)
{
    char value[64], low[64], high[64];
    if (!interval->is_known) {
        snprintf(cell->text, sizeof cell->text, "-");
        return;
    }
    write_value(value, sizeof value, unit, interval->value);
    write_value(low, sizeof low, unit, interval->low);
    write_value(high, sizeof high, unit, interval->high);
    snprintf(cell->text, sizeof cell->text, "%.24s [%.24s, %.24s]", value, low, high);
}

static void write_verdict(struct ei_table_cell *cell, const struct ei_compare_row *row)
{
    if (row->verdict == EI_COMPARE_NONE_SHOWN) {
        snprintf(cell->text, sizeof cell->text, "no difference shown");
        return;
    }
    const char *letter = row->verdict == EI_COMPARE_A ? "A" : "B";
    snprintf(cell->text, sizeof cell->text, row->sense == EI_COMPARE_NEUTRAL ? "more in %s" : "%s", letter);
    cell->colour = row->sense == EI_COMPARE_NEUTRAL ? EI_COLOUR_NONE : EI_COLOUR_GOOD;
}

/* Exits count from 1 for people, as in the table of a run. */
static void write_figure(struct ei_table_cell *cell, const struct ei_compare_row *row)
{
    int exit = 0;
    if (sscanf(row->figure, "exit_%d", &exit) == 1) {
        snprintf(cell->text, sizeof cell->text, "  exit %d", exit + 1);
    } else {
        snprintf(cell->text, sizeof cell->text, "  %s", row->figure);
    }
}

static bool is_shown(const struct ei_compare_row *row)
{
    return row->sense != EI_COMPARE_NEUTRAL || row->a.value >= SHOWN_EXIT || row->b.value >= SHOWN_EXIT;
}

static void print_task(const struct ei_compare_task *task, FILE *out, bool is_coloured)
{
    static const char *const heads[COLUMNS] = {"", "A", "B", "A - B", "better"};
    struct ei_table_cell *cells = calloc((size_t)(EI_COMPARE_ROWS_MAX + 1) * COLUMNS, sizeof *cells);
    if (cells == NULL) {
        return;
    }
    int rows = 1;
    for (int c = 0; c < COLUMNS; c++) {
        snprintf(cells[c].text, sizeof cells[c].text, "%s", c == 0 ? task->name : heads[c]);
        cells[c].colour = EI_COLOUR_HEAD;
    }
    for (int32_t i = 0; i < task->row_count; i++) {
        const struct ei_compare_row *row = &task->rows[i];
        if (is_shown(row)) {
            struct ei_table_cell *cell = &cells[rows++ * COLUMNS];
            write_figure(&cell[0], row);
            write_interval(&cell[1], row->unit, &row->a);
            write_interval(&cell[2], row->unit, &row->b);
            write_interval(&cell[3], row->unit, &row->difference);
            write_verdict(&cell[4], row);
        }
    }
    if (rows == 1) { /* nothing to compare: a table of no figure says less than this */
        fprintf(out, "%s   no job in A and none in B\n\n", task->name);
        free(cells);
        return;
    }
    const struct ei_table_layout layout = {.left_mask = 0x1f};
    ei_table_print(out, is_coloured, cells, rows, COLUMNS, &layout);
    fputc('\n', out);
    free(cells);
}

static void print_run(const struct ei_report_run *run, char letter, FILE *out)
{
    char duration[64];
    const char *name = json_string_value(json_object_get(run->summary, "name"));
    fprintf(out, "%c  %s: %s, %s, %lld jobs\n", letter, run->folder, name != NULL ? name : "?",
            ei_text_duration(duration, sizeof duration, run->duration_ns), (long long)run->job_count);
}

void ei_comparison_print(const struct ei_comparison *comparison, FILE *out, bool is_coloured)
{
    print_run(comparison->a, 'A', out);
    print_run(comparison->b, 'B', out);
    for (int32_t i = 0; i < comparison->warning_count; i++) {
        char line[300];
        snprintf(line, sizeof line, "warning: %s", comparison->warnings[i]);
        ei_text_coloured(out, is_coloured, EI_COLOUR_WARN, line);
        fputc('\n', out);
    }
    fputc('\n', out);
    for (int32_t i = 0; i < comparison->task_count; i++) {
        print_task(&comparison->tasks[i], out, is_coloured);
    }
    fputs(
        "[low, high] holds the true figure in 95 of 100 such runs, if jobs are independent of each other. A or B: its\n"
        "figure is better, the interval of A - B does not hold 0.\n",
        out);
}

/* ---- JSON ---- */

static json_t *bound(double value)
{
    return isinf(value) ? json_null() : json_real(value);
}

static json_t *interval_json(const struct ei_interval *interval)
{
    return interval->is_known ? json_pack("{s:f, s:[o, o]}", "value", interval->value, "interval95",
                                          bound(interval->low), bound(interval->high))
                              : json_null();
}

static json_t *row_json(const struct ei_compare_row *row)
{
    static const char *const senses[] = {"less", "more", "neither"};
    const char *letter = row->verdict == EI_COMPARE_A ? "A" : row->verdict == EI_COMPARE_B ? "B" : NULL;
    const bool is_neutral = row->sense == EI_COMPARE_NEUTRAL;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:s?, s:s?}", "figure", row->figure, "unit",
                     row->unit == EI_COMPARE_NS ? "ns" : "ratio", "better_is", senses[row->sense], "a",
                     interval_json(&row->a), "b", interval_json(&row->b), "difference", interval_json(&row->difference),
                     "is_difference_shown", letter != NULL, "better", is_neutral ? NULL : letter, "larger",
                     is_neutral ? letter : NULL);
}

static json_t *run_json(const struct ei_report_run *run)
{
    json_t *name = json_object_get(run->summary, "name"), *seed = json_object_get(run->summary, "seed");
    json_t *hash = json_object_get(json_object_get(run->run, "workload"), "sha256");
    return json_pack("{s:s, s:O?, s:O?, s:I, s:I, s:O, s:O?}", "folder", run->folder, "name", name, "seed", seed,
                     "duration_ns", (json_int_t)run->duration_ns, "jobs", (json_int_t)run->job_count, "degraded",
                     ei_report_degraded(run), "workload_sha256", hash);
}

int ei_comparison_print_json(const struct ei_comparison *comparison, FILE *out)
{
    json_t *warnings = json_array(), *tasks = json_array();
    for (int32_t i = 0; i < comparison->warning_count; i++) {
        (void)json_array_append_new(warnings, json_string(comparison->warnings[i]));
    }
    for (int32_t i = 0; i < comparison->task_count; i++) {
        const struct ei_compare_task *task = &comparison->tasks[i];
        json_t *rows = json_array();
        for (int32_t k = 0; k < task->row_count; k++) {
            (void)json_array_append_new(rows, row_json(&task->rows[k]));
        }
        (void)json_array_append_new(tasks, json_pack("{s:s, s:o}", "name", task->name, "figures", rows));
    }
    json_t *root = json_pack("{s:i, s:o, s:o, s:o, s:o}", "schema", 1, "a", run_json(comparison->a), "b",
                             run_json(comparison->b), "warnings", warnings, "tasks", tasks);
    if (root == NULL) {
        return -ENOMEM;
    }
    errno = 0;
    const int rc = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', out) != EOF ? 0
                   : errno != 0 ? -errno
                                : -EIO;
    json_decref(root);
    return rc;
}
