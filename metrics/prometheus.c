/* See prometheus.h. */
#include "metrics/prometheus.h"

#include <errno.h>
#include <inttypes.h>

/* A label's value: backslash, quote and line feed are escaped. */
static void print_label(FILE *out, const char *key, const char *value)
{
    fprintf(out, "%s=\"", key);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\\' || *at == '"') {
            fputc('\\', out);
        }
        fputc(*at, out);
    }
    fputc('"', out);
}

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Whole nanoseconds as seconds, exactly. */
static void print_seconds(FILE *out, int64_t ns)
{
    const uint64_t size_ns = ns < 0 ? (uint64_t)-ns : (uint64_t)ns;
    fprintf(out, "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "", size_ns / 1000000000, size_ns % 1000000000);
}

static void print_single(FILE *out, const char *name, const char *type, const char *help, int64_t value)
{
    print_head(out, name, type, help);
    fprintf(out, "%s %" PRId64 "\n", name, value);
}

static void print_single_seconds(FILE *out, const char *name, const char *help, int64_t ns)
{
    print_head(out, name, "gauge", help);
    fprintf(out, "%s ", name);
    print_seconds(out, ns);
    fputc('\n', out);
}

static void print_run(const struct ei_board_run *run, FILE *out)
{
    print_head(out, "einet_run_info", "gauge", "The run: its workload and the version of einet.");
    fputs("einet_run_info{", out);
    print_label(out, "name", run->name);
    fputc(',', out);
    print_label(out, "version", run->version);
    fputs("} 1\n", out);
    print_head(out, "einet_run_phase", "gauge", "1 for the phase that the run is in.");
    for (int32_t i = 0; i < EI_BOARD_PHASES; i++) {
        fprintf(out, "einet_run_phase{phase=\"%s\"} %d\n", ei_board_phase_name(i), i == run->phase);
    }
    print_single(out, "einet_degraded", "gauge", "1 when the run is not what its workload asked for.",
                 run->degraded_count > 0);
    print_single_seconds(out, "einet_run_elapsed_seconds", "Since time 0 of the run.", run->elapsed_ns);
    if (run->duration_ns != INT64_MAX) {
        print_single_seconds(out, "einet_run_duration_seconds", "As planned, with the warm-up.", run->duration_ns);
    }
    print_single_seconds(out, "einet_noise_p99_seconds", "99th percentile of the noise probes' lateness so far.",
                         run->noise_p99_ns);
    print_single_seconds(out, "einet_noise_max_seconds", "Largest lateness of a noise probe so far.",
                         run->noise_max_ns);
    print_single(out, "einet_noise_gaps_total", "counter", "Wake-ups of noise probes later than 100 us.", run->gaps);
    print_single(out, "einet_noise_probe_fifo", "gauge",
                 "0 when the noise probes are no real-time threads: tasks of the run may be what they call noise.",
                 !run->is_probe_outranked);
    print_head(out, "einet_records_lost_total", "counter", "Records that full rings threw away.");
    fprintf(out, "einet_records_lost_total{kind=\"job\"} %" PRId64 "\n", run->job_records_lost);
    fprintf(out, "einet_records_lost_total{kind=\"gap\"} %" PRId64 "\n", run->gap_records_lost);
    print_single(out, "einet_lines_lost_total", "counter",
                 "Lines of jobs.csv and stages.csv that the disk did not take.", run->lines_lost);
}

/* NAME{task="..." and more of the label's text, if any, without the closing brace. */
static void begin_task(FILE *out, const char *name, const struct ei_board_task *task)
{
    fprintf(out, "%s{", name);
    print_label(out, "task", task->name);
}

static void print_outcomes(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_jobs_total", "counter", "Nominal releases by what became of them.");
    for (int32_t i = 0; i < view->run.task_count; i++) {
        const struct ei_board_task *task = &view->tasks[i];
        const struct {
            const char *name;
            int64_t count;
        } outcomes[] = {{"met", task->completed - task->misses},
                        {"missed", task->misses},
                        {"aborted", task->aborted},
                        {"skipped", task->skipped},
                        {"dropped", task->dropped}};
        for (size_t k = 0; k < sizeof outcomes / sizeof outcomes[0]; k++) {
            begin_task(out, "einet_jobs_total", task);
            fprintf(out, ",outcome=\"%s\"} %" PRId64 "\n", outcomes[k].name, outcomes[k].count);
        }
    }
}

static void print_responses(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_response_seconds", "histogram", "From nominal release to result, of completed jobs.");
    for (int32_t i = 0; i < view->run.task_count; i++) {
        const struct ei_board_task *task = &view->tasks[i];
        int64_t below = 0;
        for (int32_t k = 0; k < EI_BOARD_BOUNDS; k++) {
            below += task->response_below[k];
            begin_task(out, "einet_response_seconds_bucket", task);
            fprintf(out, ",le=\"%.9g\"} %" PRId64 "\n", (double)ei_metrics_bounds_ns[k] / 1e9, below);
        }
        below += task->response_below[EI_BOARD_BOUNDS];
        begin_task(out, "einet_response_seconds_bucket", task);
        fprintf(out, ",le=\"+Inf\"} %" PRId64 "\n", below);
        begin_task(out, "einet_response_seconds_sum", task);
        fprintf(out, "} %.9f\n", task->response_sum_ns / 1e9);
        begin_task(out, "einet_response_seconds_count", task);
        fprintf(out, "} %" PRId64 "\n", below);
    }
}

static void print_answers(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_answers_total", "counter", "Delivered answers by exit, from 1.");
    for (int32_t i = 0; i < view->run.task_count; i++) {
        for (int32_t k = 0; k < view->tasks[i].exits; k++) {
            begin_task(out, "einet_answers_total", &view->tasks[i]);
            fprintf(out, ",exit=\"%d\"} %" PRId64 "\n", (int)k + 1, view->tasks[i].exit_count[k]);
        }
    }
}

/* One whole number per task. */
static void print_tasks(const struct ei_board_view *view, FILE *out, const char *name, const char *type,
                        const char *help, size_t offset)
{
    print_head(out, name, type, help);
    for (int32_t i = 0; i < view->run.task_count; i++) {
        const struct ei_board_task *task = &view->tasks[i];
        begin_task(out, name, task);
        fprintf(out, "} %" PRId64 "\n", *(const int64_t *)((const char *)task + offset));
    }
}

static void print_deadlines(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_deadline_seconds", "gauge", "Relative deadline, where there is one.");
    for (int32_t i = 0; i < view->run.task_count; i++) {
        if (view->tasks[i].deadline_ns != INT64_MAX) {
            begin_task(out, "einet_deadline_seconds", &view->tasks[i]);
            fputs("} ", out);
            print_seconds(out, view->tasks[i].deadline_ns);
            fputc('\n', out);
        }
    }
    print_head(out, "einet_response_max_seconds", "gauge", "Longest response of a completed job so far.");
    for (int32_t i = 0; i < view->run.task_count; i++) {
        begin_task(out, "einet_response_max_seconds", &view->tasks[i]);
        fputs("} ", out);
        print_seconds(out, view->tasks[i].max_ns);
        fputc('\n', out);
    }
}

static void print_lanes(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_lane_busy_seconds_total", "counter", "Time for which a lane was held by some job.");
    for (int32_t i = 0; i < view->run.lane_count; i++) {
        if (view->lanes[i].is_gated) {
            fputs("einet_lane_busy_seconds_total{", out);
            print_label(out, "lane", view->lanes[i].name);
            fputs("} ", out);
            print_seconds(out, view->lanes[i].busy_ns);
            fputc('\n', out);
        }
    }
    print_head(out, "einet_lane_waiting_jobs", "gauge", "Jobs that queue for a lane.");
    for (int32_t i = 0; i < view->run.lane_count; i++) {
        if (view->lanes[i].is_gated) {
            fputs("einet_lane_waiting_jobs{", out);
            print_label(out, "lane", view->lanes[i].name);
            fprintf(out, "} %d\n", view->lanes[i].waiting);
        }
    }
}

static void print_cpus(const struct ei_board_view *view, FILE *out)
{
    print_head(out, "einet_rt_load_ratio", "gauge", "Real-time load of a CPU in the last second.");
    for (int32_t i = 0; i < view->run.cpu_count; i++) {
        if (view->cpus[i].is_counted) {
            fprintf(out, "einet_rt_load_ratio{cpu=\"%d\"} %.6f\n", view->cpus[i].cpu, view->cpus[i].load);
        }
    }
    print_head(out, "einet_rt_load_cap_ratio", "gauge", "The cap on it.");
    for (int32_t i = 0; i < view->run.cpu_count; i++) {
        if (view->cpus[i].is_counted) {
            fprintf(out, "einet_rt_load_cap_ratio{cpu=\"%d\"} %.6f\n", view->cpus[i].cpu, view->cpus[i].cap);
        }
    }
}

int ei_prometheus_print(const struct ei_board_view *view, FILE *out)
{
    print_run(&view->run, out);
    print_outcomes(view, out);
    print_responses(view, out);
    print_deadlines(view, out);
    print_answers(view, out);
    print_tasks(view, out, "einet_labelled_answers_total", "counter", "Answers whose true class is known.",
                offsetof(struct ei_board_task, labelled_answered));
    print_tasks(view, out, "einet_correct_answers_total", "counter", "Of them, the right ones.",
                offsetof(struct ei_board_task, correct));
    print_tasks(view, out, "einet_preemptions_total", "counter", "Times that jobs lost a lane to a higher one.",
                offsetof(struct ei_board_task, preemptions));
    print_tasks(view, out, "einet_backlog_jobs", "gauge", "Jobs released and not over.",
                offsetof(struct ei_board_task, backlog));
    print_lanes(view, out);
    print_cpus(view, out);
    return ferror(out) ? -EIO : 0;
}
