/* einet import: a workload file of another scheduler as one of ours. */
#include "app/commands.h"
#include "app/json_output.h"
#include "command/options.h"
#include "metrics/run_json.h"
#include "workloads/import.h"
#include "workloads/spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 512

struct arguments {
    const char *file, *out;
    struct ei_import_options options;
    bool is_json;
};

/* MODEL=DURATION; splits the argument in place. */
static int take_time(void *request, const char *value, struct einet_error *err)
{
    struct ei_import_options *options = &((struct arguments *)request)->options;
    char *text = (char *)(uintptr_t)value; /* of argv */
    char *equals = strrchr(text, '=');
    int64_t time_ns = 0;
    if (equals == NULL || equals == text || ei_duration_parse(equals + 1, &time_ns) != 0 || time_ns <= 0) {
        return -EINVAL;
    }
    if (options->time_count == EI_IMPORT_TIMES_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "too many of them at %s", text);
    }
    *equals = '\0';
    options->times[options->time_count++] = (struct ei_import_time){text, time_ns};
    return 0;
}

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "from",
     .argument = "FORMAT",
     FIELD(options.format),
     .words = {[EI_IMPORT_AUTO] = "auto",
               [EI_IMPORT_RT_APP] = "rt-app",
               [EI_IMPORT_DISB] = "disb",
               [EI_IMPORT_RTSPIN] = "rtspin"},
     .help = "rt-app (JSON), disb (JSON) or rtspin (a script); by content when left out, or auto"},
    {.name = "out",
     .argument = "FILE.yaml",
     FIELD(out),
     .help = "write there; release traces go beside it, as FILE.1.csv, FILE.2.csv, ..."},
    {.name = "lossy",
     FIELD(options.is_lossy),
     .help = "what cannot be said becomes a warning, and a comment of the output"},
    {.name = "time",
     .argument = "MODEL=DURATION",
     .take = take_time,
     .expected = "MODEL=DURATION with a unit, such as resnet=5ms",
     .help = "how long one inference of a model of a DISB file takes: the file does not say"},
    {.name = "json",
     FIELD(is_json),
     .help = "print what was found and written as one JSON object (docs/command-json.md); without --out it holds the "
             "workload file"},
};

static const struct einet_usage usage = {
    .command = "import",
    .head =
        "usage: einet import FILE [--from FORMAT] [--out FILE.yaml] [--lossy] [--time MODEL=DURATION]... [--json]\n\n"
        "Turn a workload of another scheduler into a workload file (einet-workload(5)), on standard output or in a "
        "file.\n"
        "What it cannot say faithfully is an error that names the line and what to do. docs/import.md has the "
        "tables.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok (warnings allowed), 1 usage, 2 bad file\n\n"
            "example: einet import tests/workloads/import/audio.rt-app.json --out audio.yaml && einet check "
            "audio.yaml\n",
    .operands_min = 1,
    .operands_max = 1,
    .too_few = "which file?",
    .too_many = "one file only, not also ",
};

/* File name without folder and suffix. */
static void find_stem(const char *path, char *out, size_t size_bytes)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, size_bytes, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(out, '.');
    if (dot != NULL && dot != out) {
        *dot = '\0';
    }
}

/* Where a side file goes: beside --out. */
static void side_path(const struct arguments *args, const struct ei_import_side *side, char *out, size_t size_bytes)
{
    const char *slash = strrchr(args->out, '/');
    snprintf(out, size_bytes, "%.*s%s", slash != NULL ? (int)(slash - args->out) + 1 : 0, args->out, side->name);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a;
    struct stat of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

static int write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    bool is_ok = file != NULL && fputs(text, file) >= 0;
    if (file != NULL) {
        is_ok = fclose(file) == 0 && is_ok;
    }
    if (!is_ok) {
        fprintf(stderr, "einet import: cannot write %s: %s\n", path, strerror(errno));
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

/* Read our own text back as einet check would; the side files are there already. */
static int check_output(const struct arguments *args, const char *yaml)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_parse(yaml, strlen(yaml), args->out != NULL ? args->out : "output", &wl, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet import: out of memory\n");
        return EINET_EXIT_FAULT;
    }
    ei_workload_destroy(wl);
    if (rc != 0) {
        ei_diagnostics_print(&diag, stderr);
        fprintf(stderr, "einet import: the result is no good workload file, nothing is written; please report it\n");
    }
    ei_diagnostics_fini(&diag);
    return rc == 0 ? EINET_EXIT_OK : EINET_EXIT_FAULT;
}

static int write_output(const struct arguments *args, const struct ei_imported *imported)
{
    char path[PATH_MAX_BYTES];
    int status = EINET_EXIT_OK;
    int32_t written = 0;
    if (imported->side_count > 0 && args->out == NULL) {
        return einet_options_refuse(&usage, "release traces need files beside the workload file: give --out FILE.yaml");
    }
    for (; written < imported->side_count && status == EINET_EXIT_OK; written++) {
        side_path(args, &imported->sides[written], path, sizeof path);
        status = write_file(path, imported->sides[written].text);
    }
    if (status == EINET_EXIT_OK) {
        status = check_output(args, imported->yaml);
    }
    if (status == EINET_EXIT_OK && args->out != NULL) {
        status = write_file(args->out, imported->yaml);
    } else if (status == EINET_EXIT_OK && !args->is_json &&
               (fputs(imported->yaml, stdout) < 0 || fflush(stdout) != 0)) {
        fprintf(stderr, "einet import: cannot write: %s\n", strerror(errno));
        status = EINET_EXIT_FAULT;
    }
    for (int32_t i = 0; i < written && status != EINET_EXIT_OK; i++) {
        side_path(args, &imported->sides[i], path, sizeof path);
        unlink(path);
    }
    return status;
}

/* imported NULL = it could not be. */
static json_t *answer_json(const struct arguments *args, const struct ei_imported *imported,
                           const struct ei_diagnostics *diag)
{
    json_t *answer = einet_json_begin("import"), *files = json_array();
    char path[PATH_MAX_BYTES];
    if (imported != NULL && args->out != NULL) {
        (void)json_array_append_new(files, ei_json_text(args->out));
        for (int32_t i = 0; i < imported->side_count; i++) {
            side_path(args, &imported->sides[i], path, sizeof path);
            (void)json_array_append_new(files, ei_json_text(path));
        }
    }
    einet_json_set(&answer, "file", ei_json_text(args->file));
    einet_json_set(&answer, "ok", json_boolean(imported != NULL));
    einet_json_set(&answer, "format",
                   imported != NULL ? json_string(ei_import_format_name(imported->format)) : json_null());
    einet_json_set(&answer, "tasks", imported != NULL ? json_integer(imported->task_count) : json_null());
    einet_json_set(&answer, "workload",
                   imported != NULL && args->out == NULL ? ei_json_text(imported->yaml) : json_null());
    einet_json_set(&answer, "files", files);
    einet_json_set(&answer, "errors", json_integer(diag->errors));
    einet_json_set(&answer, "warnings", json_integer(diag->warnings));
    einet_json_set(&answer, "diagnostics", einet_json_diagnostics(diag));
    return answer;
}

static int import(const struct arguments *args)
{
    struct ei_diagnostics diag;
    struct ei_imported imported = {.yaml = NULL};
    char stem[PATH_MAX_BYTES];
    find_stem(args->out != NULL ? args->out : args->file, stem, sizeof stem);
    const int rc = ei_import_load(args->file, stem, &args->options, &imported, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet import: out of memory\n");
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_print(&diag, stderr);
    int status = rc == 0 ? write_output(args, &imported) : EINET_EXIT_BAD_FILE;
    if (args->is_json && (status == EINET_EXIT_OK || rc != 0)) {
        status = einet_json_print("import", answer_json(args, rc == 0 ? &imported : NULL, &diag), status);
    } else if (status == EINET_EXIT_OK && args->out != NULL) {
        printf("%s: %d task%s, from %s (%s)\n", args->out, imported.task_count, imported.task_count == 1 ? "" : "s",
               args->file, ei_import_format_name(imported.format));
    }
    ei_diagnostics_fini(&diag);
    ei_imported_fini(&imported);
    return status;
}

int einet_import_command(int argc, char **argv)
{
    struct arguments args = {.file = NULL};
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, &args, &given);
    if (status >= 0) {
        return status;
    }
    args.file = given.operands[0];
    if (args.out != NULL && strlen(args.out) > PATH_MAX_BYTES - 80) {
        return einet_options_refuse(&usage, "too long: %s", args.out);
    }
    if (args.out != NULL && is_same_file(args.file, args.out)) {
        return einet_options_refuse(&usage, "--out would overwrite the file to import: %s", args.out);
    }
    return import(&args);
}
