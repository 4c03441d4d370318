/* einet check: is a workload file right, and what does it say in full? */
#include "app/commands.h"
#include "app/outcome.h"
#include "app/workload_schema.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: einet check FILE [--print]\n       einet check --schema\n\n"
    "Check a workload file (einet-workload(5)) and print every error and warning with its line, column and remedy.\n\n"
    "  --print    print the file with every default filled in\n"
    "  --schema   print the grammar as a JSON Schema, for editors\n\n"
    "exit status: 0 ok (warnings allowed), 1 usage, 2 bad file\n\n"
    "example: einet check configs/edge-server.yaml --print\n";

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

int einet_check_command(int argc, char **argv)
{
    const char *file = NULL;
    bool is_print = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (strcmp(argv[i], "--schema") == 0) {
            return print_schema();
        }
        if (strcmp(argv[i], "--print") == 0) {
            is_print = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return usage_error("unknown option ", argv[i]);
        } else if (file != NULL) {
            return usage_error("one workload file only, not also ", argv[i]);
        } else {
            file = argv[i];
        }
    }
    if (file == NULL) {
        return usage_error("which workload file?", "");
    }
    struct ei_workload *wl = NULL;
    const int status = einet_load_workload("check", file, &wl);
    if (status != EINET_EXIT_OK) {
        return status;
    }
    if (is_print) {
        ei_workload_print(wl, stdout);
    } else {
        printf("%s: ok, %d tasks, %d lanes, %d models\n", file, wl->task_count, wl->lane_count, wl->model_count);
    }
    ei_workload_destroy(wl);
    return EINET_EXIT_OK;
}
