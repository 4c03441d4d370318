/* See outcome.h. */
#include "app/outcome.h"

#include "app/commands.h"
#include "app/terminal.h"

#include <errno.h>
#include <stdio.h>

int einet_load_workload(const char *command, const char *path, struct ei_workload **out)
{
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(path, out, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet %s: no memory to read %s\n", command, path);
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_print(&diag, stderr);
    ei_diagnostics_fini(&diag);
    return rc < 0 ? EINET_EXIT_BAD_FILE : EINET_EXIT_OK;
}

int einet_report_result(const char *command, struct ei_live_result *result, bool is_json)
{
    int status = result->slo_failures > 0 ? EINET_EXIT_SLO : EINET_EXIT_OK;
    const int rc = is_json ? ei_collector_print_json(result->collector, stdout)
                           : ei_collector_print_table(result->collector, stdout, einet_terminal_wants_colour(stdout));
    if (rc < 0) {
        fprintf(stderr, "einet %s: cannot print the result: %s\n", command, einet_error_text(rc));
        status = EINET_EXIT_FAULT;
    }
    if (!result->is_identity_ok) {
        fprintf(stderr,
                "einet %s: released + skipped + dropped is not the expected number of releases: records were "
                "lost or the engine is at fault; see summary.json\n",
                command);
        status = EINET_EXIT_FAULT;
    }
    if (result->faulty_jobs > 0) {
        fprintf(stderr, "einet %s: %d faulty jobs; the first: %s\n", command, result->faulty_jobs, result->fault_text);
        status = EINET_EXIT_FAULT;
    }
    ei_collector_destroy(result->collector);
    return status;
}
