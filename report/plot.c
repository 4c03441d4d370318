/* See plot.h. */
#include "report/plot.h"

#include "metrics/table_text.h"
#include "report/plot_canvas.h"

#include <math.h>
#include <string.h>

#define WIDTH 60
#define LABEL 12
#define BAR 40
#define SEEN_EXIT 0.005

struct axis {
    double from_ns, to_ns; /* of a logarithmic axis; the columns share it evenly */
};

static int column_of(const struct axis *axis, double value_ns)
{
    const double share = log(fmax(value_ns, 1) / axis->from_ns) / log(axis->to_ns / axis->from_ns);
    const int column = (int)floor(share * WIDTH);
    return column < 0 ? 0 : column >= WIDTH ? WIDTH - 1 : column;
}

/* All responses of the tasks (one or two), and their deadline. */
static struct axis axis_of(const struct ei_report_task *const *tasks, int count)
{
    struct axis axis = {.from_ns = INFINITY, .to_ns = 2};
    for (int i = 0; i < count; i++) {
        if (tasks[i]->response->count > 0) {
            axis.from_ns = fmin(axis.from_ns, (double)ei_histogram_min_ns(tasks[i]->response));
            axis.to_ns = fmax(axis.to_ns, (double)ei_histogram_max_ns(tasks[i]->response));
        }
        axis.to_ns = fmax(axis.to_ns, (double)tasks[i]->deadline_ns);
    }
    axis.from_ns = fmax(1, fmin(axis.from_ns, axis.to_ns / 2) * 0.98);
    axis.to_ns *= 1.02;
    return axis;
}

static void print_label(FILE *out, const char *text)
{
    fputs("  ", out);
    ei_plot_label(out, text, LABEL);
}

/* Shares of the jobs by duration, as the logarithm of their number so that the few slow ones can be seen. */
static void plot_responses(const struct ei_report_task *task, const struct axis *axis, const char *label, FILE *out,
                           struct ei_plot_style style)
{
    double counts[WIDTH] = {0}, highest = 0;
    int bucket = 0;
    int64_t low_ns, high_ns;
    uint64_t count;
    while (ei_histogram_next(task->response, &bucket, &low_ns, &high_ns, &count)) {
        counts[column_of(axis, (double)low_ns)] += (double)count;
    }
    for (int i = 0; i < WIDTH; i++) {
        counts[i] = log1p(counts[i]);
        highest = fmax(highest, counts[i]);
    }
    char max[32];
    print_label(out, label);
    ei_plot_columns(out, style.is_ascii, counts, WIDTH, highest);
    if (task->response->count == 0) {
        fputs("  none completed\n", out);
        return;
    }
    fprintf(out, "  max %s\n", ei_text_duration(max, sizeof max, ei_histogram_max_ns(task->response)));
}

/* Below the columns: where the deadline is, and what the ends of the axis are. */
static void plot_axis(const struct ei_report_task *task, const struct axis *axis, FILE *out)
{
    char from[32], to[32], line[WIDTH + 1];
    const int at = task->deadline_ns > 0 ? column_of(axis, (double)task->deadline_ns) : -1;
    if (at >= 0) {
        char text[32];
        memset(line, ' ', sizeof line);
        line[at] = '^';
        line[at + 1] = '\0';
        print_label(out, "");
        fprintf(out, "%s D = %s\n", line, ei_text_duration(text, sizeof text, task->deadline_ns));
    }
    ei_text_duration(from, sizeof from, llround(axis->from_ns));
    ei_text_duration(to, sizeof to, llround(axis->to_ns));
    print_label(out, "");
    fprintf(out, "%s%*s%s\n", from, WIDTH - (int)strlen(from) - (int)strlen(to), "", to);
}

static void plot_windows(const struct ei_report_run *run, const struct ei_report_task *task, const char *label,
                         FILE *out, struct ei_plot_style style)
{
    double shares[EI_REPORT_WINDOWS_MAX] = {0}, highest = 0;
    char window[32], most[16];
    for (int32_t i = 0; i < run->window_count; i++) {
        const struct ei_report_window *w = &task->windows[i];
        const int64_t bad = w->late + w->not_run, all = bad + w->met;
        shares[i] = all > 0 ? (double)bad / (double)all : 0;
        highest = fmax(highest, shares[i]);
    }
    print_label(out, label);
    ei_text_duration(window, sizeof window, run->window_ns);
    if (highest > 0) {
        fputc('|', out);
        ei_plot_columns(out, style.is_ascii, shares, run->window_count, highest);
        fprintf(out, "|  up to %s in %s\n", ei_text_percent(most, sizeof most, highest), window);
    } else {
        fputs("none\n", out);
    }
}

static void plot_right(const struct ei_report_task *task, const struct axis *axis, const char *label, FILE *out,
                       struct ei_plot_style style)
{
    double shares[WIDTH];
    char text[32];
    for (int i = 0; i < WIDTH; i++) {
        const double at_ns = axis->from_ns * pow(axis->to_ns / axis->from_ns, (i + 1.0) / WIDTH);
        const uint64_t later = ei_histogram_count_above(task->right_at, llround(at_ns));
        shares[i] = (double)(task->right_at->count - later) / (double)task->labelled;
    }
    print_label(out, label);
    ei_plot_columns(out, style.is_ascii, shares, WIDTH, 1);
    fprintf(out, "  %s\n", ei_text_percent(text, sizeof text, (double)task->right / (double)task->labelled));
}

static double exit_share(const struct ei_report_task *task, int32_t exit)
{
    int64_t all = 0;
    for (int32_t i = 0; i < task->exit_count; i++) {
        all += task->exits[i];
    }
    return all > 0 && exit < task->exit_count ? (double)task->exits[exit] / (double)all : 0;
}

/* The exits that answered often enough for a bar. */
static void plot_exits(const struct ei_report_task *const *tasks, int count, FILE *out, struct ei_plot_style style)
{
    const int32_t first = tasks[0]->exit_count, last = tasks[count - 1]->exit_count;
    for (int32_t exit = 0; exit < (first > last ? first : last); exit++) {
        bool is_seen = false;
        for (int i = 0; i < count; i++) {
            is_seen = is_seen || exit_share(tasks[i], exit) >= SEEN_EXIT;
        }
        for (int i = 0; is_seen && i < count; i++) {
            char label[32], text[16];
            const double share = exit_share(tasks[i], exit);
            snprintf(label, sizeof label, "exit %d%s", exit + 1, count == 1 ? "" : i == 0 ? " A" : " B");
            print_label(out, label);
            fprintf(out, "%7s ", ei_text_percent(text, sizeof text, share));
            ei_plot_bar(out, style.is_ascii, share, 1, BAR);
            fputc('\n', out);
        }
    }
}

/* One task of one run, or of two: then each plot has a line of either. */
static void plot_task(const struct ei_report_run *const *runs, const struct ei_report_task *const *tasks, int count,
                      FILE *out, struct ei_plot_style style)
{
    static const char *const letters[] = {"A", "B"};
    const struct axis axis = axis_of(tasks, count);
    ei_text_coloured(out, style.is_coloured, EI_COLOUR_HEAD, tasks[0]->name);
    fputc('\n', out);
    for (int i = 0; i < count; i++) {
        plot_responses(tasks[i], &axis, count > 1 ? letters[i] : "response", out, style);
    }
    plot_axis(tasks[count - 1], &axis, out);
    for (int i = 0; i < count; i++) {
        if (tasks[i]->labelled > 0) {
            plot_right(tasks[i], &axis, count > 1 ? (i == 0 ? "right A" : "right B") : "right by", out, style);
        }
    }
    for (int i = 0; i < count; i++) {
        plot_windows(runs[i], tasks[i], count > 1 ? (i == 0 ? "not met A" : "not met B") : "not met", out, style);
    }
    plot_exits(tasks, count, out, style);
    fputc('\n', out);
}

static void print_degraded(const struct ei_report_run *run, const char *letter, FILE *out, struct ei_plot_style style)
{
    json_t *reason;
    size_t i;
    json_array_foreach(ei_report_degraded(run), i, reason)
    {
        const char *text = json_string_value(json_object_get(reason, "reason"));
        ei_text_coloured(out, style.is_coloured, EI_COLOUR_BAD, "DEGRADED");
        fprintf(out, "%s%s: %s\n", letter[0] != '\0' ? " " : "", letter, text != NULL ? text : "no reason is given");
    }
}

void ei_plot_run(const struct ei_report_run *run, FILE *out, struct ei_plot_style style)
{
    print_degraded(run, "", out, style);
    if (!run->has_jobs) {
        fprintf(out, "%s has no jobs.csv, so there is nothing to plot\n", run->folder);
        return;
    }
    for (int32_t i = 0; i < run->task_count; i++) {
        const struct ei_report_task *task = &run->tasks[i];
        plot_task(&run, &task, 1, out, style);
    }
}

void ei_plot_comparison(const struct ei_comparison *comparison, FILE *out, struct ei_plot_style style)
{
    const struct ei_report_run *const runs[] = {comparison->a, comparison->b};
    print_degraded(comparison->a, "A", out, style);
    print_degraded(comparison->b, "B", out, style);
    for (int32_t i = 0; i < comparison->task_count; i++) {
        const struct ei_report_task *const tasks[] = {comparison->tasks[i].a, comparison->tasks[i].b};
        plot_task(runs, tasks, 2, out, style);
    }
}
