/* See sweep_point.h. The figures come from summary.json, so that they are its own, name for name. */
#include "app/sweep_point.h"

#include "app/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns behind `task`: paths into the task's object of summary.json. */
static const char *const figures[][2] = {
    {"expected", NULL},
    {"released", NULL},
    {"skipped", NULL},
    {"dropped", NULL},
    {"completed", NULL},
    {"aborted", NULL},
    {"misses", NULL},
    {"miss_ratio", NULL},
    {"preemptions", NULL},
    {"coverage", NULL},
    {"accuracy", NULL},
    {"response_ns", "p50"},
    {"response_ns", "p99"},
    {"response_ns", "max"},
    {"miss_causes", "release_delay"},
    {"miss_causes", "blocking"},
    {"miss_causes", "interference"},
    {"miss_causes", "execution"},
    {"miss_causes", "lane_queue"},
};
#define FIGURES (sizeof figures / sizeof figures[0])

/* Quoted as in RFC 4180 where it must be. */
static void write_text(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, out);
    }
    fputc('"', out);
}

static void write_figure(FILE *out, const json_t *value)
{
    fputc(',', out);
    if (json_is_integer(value)) {
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        fprintf(out, "%.9g", json_real_value(value));
    }
}

char *einet_sweep_csv_head(const struct einet_sweep *sweep)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fputs("point,points", out);
    for (int32_t a = 0; a < sweep->axis_count; a++) {
        fputc(',', out);
        write_text(out, sweep->axes[a].path);
    }
    fputs(",task", out);
    for (size_t i = 0; i < FIGURES; i++) {
        fprintf(out, ",%s%s%s", figures[i][0], figures[i][1] != NULL ? "_" : "",
                figures[i][1] != NULL ? figures[i][1] : "");
    }
    fputc('\n', out);
    return fclose(out) == 0 ? text : NULL;
}

static char *csv_lines(const struct einet_sweep *sweep, int64_t point, const json_t *summary)
{
    size_t index, size = 0;
    json_t *task;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    json_array_foreach(json_object_get(summary, "tasks"), index, task)
    {
        fprintf(out, "%" PRId64 ",%" PRId64, point, sweep->points);
        for (int32_t a = 0; a < sweep->axis_count; a++) {
            fputc(',', out);
            write_text(out, einet_sweep_value(sweep, point, a));
        }
        fputc(',', out);
        write_text(out, json_string_value(json_object_get(task, "name")));
        for (size_t i = 0; i < FIGURES; i++) {
            const json_t *value = json_object_get(task, figures[i][0]);
            write_figure(out, figures[i][1] != NULL ? json_object_get(value, figures[i][1]) : value);
        }
        fputc('\n', out);
    }
    return fclose(out) == 0 ? text : NULL;
}

/* Takes the summary. */
static char *json_line(const struct einet_sweep *sweep, int64_t point, json_t *summary)
{
    json_t *line = json_object(), *set = json_object();
    int rc = 0;
    for (int32_t a = 0; a < sweep->axis_count; a++) {
        rc |= json_object_set_new(set, sweep->axes[a].path, json_string(einet_sweep_value(sweep, point, a)));
    }
    rc |= json_object_set_new(line, "point", json_integer(point));
    rc |= json_object_set_new(line, "points", json_integer(sweep->points));
    rc |= json_object_set_new(line, "set", set);
    rc |= json_object_set_new(line, "summary", summary);
    char *text = rc == 0 ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    char *whole = text != NULL ? malloc(strlen(text) + 2) : NULL;
    if (whole != NULL) {
        sprintf(whole, "%s\n", text);
    }
    free(text);
    return whole;
}

int einet_sweep_load(const struct einet_sweep *sweep, int64_t point, struct ei_workload **out)
{
    struct ei_setting settings[EINET_SWEEP_AXES_MAX];
    struct ei_diagnostics diag;
    for (int32_t a = 0; a < sweep->axis_count; a++) {
        settings[a] = (struct ei_setting){sweep->axes[a].path, einet_sweep_value(sweep, point, a)};
    }
    const int rc = ei_workload_load_with(sweep->file, settings, sweep->axis_count, out, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet simulate: no memory to read %s\n", sweep->file);
        return EINET_EXIT_FAULT;
    }
    if (rc < 0) {
        fprintf(stderr, "einet simulate: point %" PRId64 " of the sweep is no good workload:", point);
        for (int32_t a = 0; a < sweep->axis_count; a++) {
            fprintf(stderr, " %s=%s", settings[a].path, settings[a].value);
        }
        fputc('\n', stderr);
        ei_diagnostics_print(&diag, stderr);
    } else if (sweep->has_seed) {
        (*out)->run.seed = sweep->seed;
    }
    ei_diagnostics_fini(&diag);
    return rc < 0 ? EINET_EXIT_BAD_FILE : 0;
}

static json_t *summary_of(const struct ei_collector *collector)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    const bool is_written = stream != NULL && ei_collector_print_json(collector, stream) == 0;
    json_t *summary = stream != NULL && fclose(stream) == 0 && is_written ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return summary;
}

int einet_sweep_simulate(const struct einet_sweep *sweep, int64_t point, struct einet_sweep_result *out)
{
    struct ei_workload *wl = NULL;
    struct ei_live_result result;
    struct einet_error err = {0};
    *out = (struct einet_sweep_result){0};
    int status = einet_sweep_load(sweep, point, &wl);
    if (status != 0) {
        return status;
    }
    struct ei_virtual_options options = sweep->options;
    options.out_dir = NULL;
    struct ei_releases releases = {0};
    int rc = sweep->releases != NULL ? ei_releases_read(sweep->releases, wl, &releases, &err) : 0;
    options.releases = sweep->releases != NULL ? &releases : NULL;
    rc = rc == 0 ? ei_virtual_run(wl, &options, &result, &err) : rc;
    ei_releases_fini(&releases);
    if (rc < 0) {
        status = einet_report_error("simulate", &err);
    } else {
        json_t *summary = summary_of(result.collector);
        out->csv = summary != NULL ? csv_lines(sweep, point, summary) : NULL;
        out->json = summary != NULL ? json_line(sweep, point, summary) : NULL;
        if (out->csv == NULL || out->json == NULL || !result.is_identity_ok) {
            fprintf(stderr, "einet simulate: no result of point %" PRId64 ": %s\n", point,
                    result.is_identity_ok ? "out of memory" : "it loses releases, the engine is at fault");
            status = EINET_EXIT_FAULT;
        }
        ei_collector_destroy(result.collector);
    }
    ei_workload_destroy(wl);
    if (status != 0) {
        free(out->csv);
        free(out->json);
    }
    return status;
}
