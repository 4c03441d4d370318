/* einet check: is a workload file right, and what does it say in full? */
#include "app/commands.h"
#include "app/json_output.h"
#include "command/options.h"
#include "app/outcome.h"
#include "app/workload_schema.h"
#include "metrics/run_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct check_arguments {
    const char *file;
    bool is_print, is_json, is_schema;
};

#define FIELD(field) EINET_FIELD(struct check_arguments, field)

static const struct einet_option rows[] = {
    {.name = "print", FIELD(is_print), .help = "print the file with every default filled in"},
    {.name = "json",
     FIELD(is_json),
     .help = "print errors and warnings as one JSON object (docs/command-json.md): schema, command, file, ok, errors, "
             "warnings, diagnostics[] with severity, line, column, length (characters), text and hint; tasks, lanes, "
             "models"},
    {.name = "schema", FIELD(is_schema), .help = "print the grammar as a JSON Schema, for editors"},
};

static const struct einet_usage usage = {
    .command = "check",
    .head = "usage: einet check FILE [--print | --json]\n"
            "       einet check --schema\n\n"
            "Check a workload file (einet-workload(5)) and print every error and warning with its line, column and "
            "remedy.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok (warnings allowed), 1 usage, 2 bad file\n\n"
            "example: einet check configs/edge-server.yaml --print\n",
    .operands_max = 1,
    .too_many = "one workload file only, not also ",
};

static int print_schema(void)
{
    const int rc = einet_workload_schema_print(stdout);
    if (rc < 0) {
        fprintf(stderr, "einet check: cannot write the schema: %s\n", strerror(-rc));
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

/* wl NULL = the file is wrong. */
static json_t *answer_json(const char *file, const struct ei_diagnostics *diag, const struct ei_workload *wl)
{
    json_t *answer = einet_json_begin("check");
    einet_json_set(&answer, "file", ei_json_text(file));
    einet_json_set(&answer, "ok", json_boolean(wl != NULL));
    einet_json_set(&answer, "errors", json_integer(diag->errors));
    einet_json_set(&answer, "warnings", json_integer(diag->warnings));
    einet_json_set(&answer, "diagnostics", einet_json_diagnostics(diag));
    einet_json_set(&answer, "tasks", wl != NULL ? json_integer(wl->task_count) : json_null());
    einet_json_set(&answer, "lanes", wl != NULL ? json_integer(wl->lane_count) : json_null());
    einet_json_set(&answer, "models", wl != NULL ? json_integer(wl->model_count) : json_null());
    return answer;
}

static int check_as_json(const char *file)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(file, &wl, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet check: no memory to read %s\n", file);
        return EINET_EXIT_FAULT;
    }
    const int status =
        einet_json_print("check", answer_json(file, &diag, wl), rc < 0 ? EINET_EXIT_BAD_FILE : EINET_EXIT_OK);
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
    return status;
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
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, &arguments, &given);
    if (status >= 0) {
        return status;
    }
    if (arguments.is_schema) {
        return print_schema();
    }
    if (given.operand_count == 0) {
        return einet_options_refuse(&usage, "which workload file?");
    }
    if (arguments.is_print && arguments.is_json) {
        return einet_options_refuse(&usage, "either --print or --json");
    }
    arguments.file = given.operands[0];
    return arguments.is_json ? check_as_json(arguments.file) : check(&arguments);
}
