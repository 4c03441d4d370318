/* einet check: is a workload file right, and what does it say in full? */
#include "app/commands.h"
#include "app/outcome.h"
#include "app/workload_schema.h"
#include "metrics/run_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: einet check FILE [--print | --json]\n"
    "       einet check --schema\n\n"
    "Check a workload file (einet-workload(5)) and print every error and warning with its line, column and remedy.\n\n"
    "  --print    print the file with every default filled in\n"
    "  --json     print errors and warnings as one JSON object: schema, file, ok, errors, warnings, diagnostics[] "
    "with\n"
    "             severity, line, column, length (characters), text and hint; of a right file also tasks, lanes, "
    "models\n"
    "  --schema   print the grammar as a JSON Schema, for editors\n\n"
    "exit status: 0 ok (warnings allowed), 1 usage, 2 bad file\n\n"
    "example: einet check configs/edge-server.yaml --print\n";

struct check_arguments {
    const char *file;
    bool is_print, is_json;
};

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet check: %s%s; einet check --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

static int print_schema(void)
{
    const int rc = einet_workload_schema_print(stdout);
    if (rc < 0) {
        fprintf(stderr, "einet check: cannot write the schema: %s\n", strerror(-rc));
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

static json_t *diagnostic_json(const struct ei_diagnostic *item)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:o, s:o}", "severity",
                     item->severity == EI_SEVERITY_ERROR ? "error" : "warning", "line", item->place.line, "column",
                     item->place.column, "length", item->length, "text", ei_json_text(item->text), "hint",
                     ei_json_text(item->hint));
}

static int print_json(const char *file, const struct ei_diagnostics *diag, const struct ei_workload *wl)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < diag->count; i++) {
        json_array_append_new(list, diagnostic_json(&diag->items[i]));
    }
    json_t *root = json_pack("{s:i, s:o, s:b, s:i, s:i, s:o}", "schema", 1, "file", ei_json_text(file), "ok",
                             wl != NULL, "errors", diag->errors, "warnings", diag->warnings, "diagnostics", list);
    if (wl != NULL) {
        json_object_set_new(root, "tasks", json_integer(wl->task_count));
        json_object_set_new(root, "lanes", json_integer(wl->lane_count));
        json_object_set_new(root, "models", json_integer(wl->model_count));
    }
    const bool is_written = root != NULL && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(root);
    return is_written ? 0 : -1;
}

static int check_as_json(const char *file)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(file, &wl, &diag);
    if (rc == -ENOMEM || print_json(file, &diag, wl) < 0) {
        fprintf(stderr, "einet check: cannot print what was found in %s\n", file);
        ei_diagnostics_fini(&diag);
        ei_workload_destroy(wl);
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
    return rc < 0 ? EINET_EXIT_BAD_FILE : EINET_EXIT_OK;
}

static int check(const struct check_arguments *arguments)
{
    struct ei_workload *wl = NULL;
    const int status = einet_load_workload("check", arguments->file, &wl);
    if (status != EINET_EXIT_OK) {
        return status;
    }
    if (arguments->is_print) {
        ei_workload_print(wl, stdout);
    } else {
        printf("%s: ok, %d tasks, %d lanes, %d models\n", arguments->file, wl->task_count, wl->lane_count,
               wl->model_count);
    }
    ei_workload_destroy(wl);
    return EINET_EXIT_OK;
}

int einet_check_command(int argc, char **argv)
{
    struct check_arguments arguments = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (strcmp(argv[i], "--schema") == 0) {
            return print_schema();
        }
        if (strcmp(argv[i], "--print") == 0) {
            arguments.is_print = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            arguments.is_json = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return usage_error("unknown option ", argv[i]);
        } else if (arguments.file != NULL) {
            return usage_error("one workload file only, not also ", argv[i]);
        } else {
            arguments.file = argv[i];
        }
    }
    if (arguments.file == NULL) {
        return usage_error("which workload file?", "");
    }
    if (arguments.is_print && arguments.is_json) {
        return usage_error("either --print or --json", "");
    }
    return arguments.is_json ? check_as_json(arguments.file) : check(&arguments);
}
