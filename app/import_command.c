/* einet import: a workload file of another scheduler as one of ours. */
#include "app/commands.h"
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

static const char help[] =
    "usage: einet import FILE [--from FORMAT] [--out FILE.yaml] [--lossy] [--time MODEL=DURATION]...\n\n"
    "Turn a workload of another scheduler into a workload file (einet-workload(5)), on standard output or in a file.\n"
    "What it cannot say faithfully is an error that names the line and what to do. docs/import.md has the tables.\n\n"
    "  --from FORMAT           rt-app (JSON), disb (JSON) or rtspin (a script); by content when left out\n"
    "  --out FILE.yaml         write there; release traces go beside it, as FILE.1.csv, FILE.2.csv, ...\n"
    "  --lossy                 what cannot be said becomes a warning, and a comment of the output\n"
    "  --time MODEL=DURATION   how long one inference of a model of a DISB file takes: the file does not say\n\n"
    "exit status: 0 ok (warnings allowed), 1 usage, 2 bad file\n\n"
    "example: einet import tests/workloads/import/audio.rt-app.json --out audio.yaml && einet check audio.yaml\n";

struct arguments {
    const char *file, *out;
    struct ei_import_options options;
};

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet import: %s%s; einet import --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

/* MODEL=DURATION; splits the argument in place. */
static int take_time(struct arguments *args, char *text)
{
    char *equals = strrchr(text, '=');
    int64_t time_ns = 0;
    if (equals == NULL || equals == text || ei_duration_parse(equals + 1, &time_ns) != 0 || time_ns <= 0) {
        return usage_error("--time takes MODEL=DURATION with a unit, such as resnet=5ms, not ", text);
    }
    if (args->options.time_count == EI_IMPORT_TIMES_MAX) {
        return usage_error("too many --time at ", text);
    }
    *equals = '\0';
    args->options.times[args->options.time_count++] = (struct ei_import_time){text, time_ns};
    return EINET_EXIT_OK;
}

/* Returns an exit status; EINET_EXIT_OK with a NULL file after --help. */
static int parse_arguments(int argc, char **argv, struct arguments *args)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        const bool takes_value =
            strcmp(option, "--from") == 0 || strcmp(option, "--out") == 0 || strcmp(option, "--time") == 0;
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            fputs(help, stdout);
            args->file = NULL;
            return EINET_EXIT_OK;
        }
        if (takes_value && i + 1 == argc) {
            return usage_error("a value is missing behind ", option);
        }
        if (strcmp(option, "--lossy") == 0) {
            args->options.is_lossy = true;
        } else if (strcmp(option, "--from") == 0) {
            if (!ei_import_format_find(argv[++i], &args->options.format)) {
                return usage_error("--from takes rt-app, disb or rtspin, not ", argv[i]);
            }
        } else if (strcmp(option, "--out") == 0) {
            args->out = argv[++i];
        } else if (strcmp(option, "--time") == 0) {
            const int status = take_time(args, argv[++i]);
            if (status != EINET_EXIT_OK) {
                return status;
            }
        } else if (option[0] == '-') {
            return usage_error("unknown option ", option);
        } else if (args->file != NULL) {
            return usage_error("one file only, not also ", option);
        } else {
            args->file = option;
        }
    }
    return args->file != NULL ? EINET_EXIT_OK : usage_error("which file?", "");
}

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
        return usage_error("release traces need files beside the workload file: give --out FILE.yaml", "");
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
    } else if (status == EINET_EXIT_OK && (fputs(imported->yaml, stdout) < 0 || fflush(stdout) != 0)) {
        fprintf(stderr, "einet import: cannot write: %s\n", strerror(errno));
        status = EINET_EXIT_FAULT;
    }
    for (int32_t i = 0; i < written && status != EINET_EXIT_OK; i++) {
        side_path(args, &imported->sides[i], path, sizeof path);
        unlink(path);
    }
    return status;
}

int einet_import_command(int argc, char **argv)
{
    struct arguments args = {.file = NULL};
    struct ei_diagnostics diag;
    struct ei_imported imported = {.yaml = NULL};
    char stem[PATH_MAX_BYTES];
    int status = parse_arguments(argc, argv, &args);
    if (status != EINET_EXIT_OK || args.file == NULL) {
        return status;
    }
    if (args.out != NULL && strlen(args.out) > PATH_MAX_BYTES - 80) {
        return usage_error("too long: ", args.out);
    }
    if (args.out != NULL && is_same_file(args.file, args.out)) {
        return usage_error("--out would overwrite the file to import: ", args.out);
    }
    find_stem(args.out != NULL ? args.out : args.file, stem, sizeof stem);
    const int rc = ei_import_load(args.file, stem, &args.options, &imported, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet import: out of memory\n");
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_print(&diag, stderr);
    ei_diagnostics_fini(&diag);
    if (rc != 0) {
        return EINET_EXIT_BAD_FILE;
    }
    status = write_output(&args, &imported);
    if (status == EINET_EXIT_OK && args.out != NULL) {
        printf("%s: %d task%s, from %s (%s)\n", args.out, imported.task_count, imported.task_count == 1 ? "" : "s",
               args.file, ei_import_format_name(imported.format));
    }
    ei_imported_fini(&imported);
    return status;
}
