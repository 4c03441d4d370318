/* einet serve: a workload as a service (command/service.h). */
#include "app/commands.h"
#include "app/doctor_command.h"
#include "app/json_output.h"
#include "app/pool_command.h"
#include "command/options.h"
#include "command/service.h"
#include "command/service_log.h"
#include "metrics/run_json.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct serve {
    struct einet_service_wishes wishes;
    bool is_json;
};

/* ---- options ---- */

#define FIELD(field) EINET_FIELD(struct serve, field)

static const struct einet_option first_rows[] = {
    {.name = "config", .argument = "FILE", FIELD(wishes.file), .help = "the workload file"},
};

static const struct einet_option last_rows[] = {
    {.name = "json",
     FIELD(is_json),
     .help = "print how it ended, with summary.json, as one JSON object when it has ended (docs/command-json.md)"},
    {.name = "pool",
     .argument = "NAME",
     .take = einet_take_pool,
     .help = "be a node of this pool of machines: einet-dds does it, whose options these are then (einet-dds --help)"},
};

static const struct einet_usage usage = {
    .command = "serve",
    .head =
        "usage: einet serve --config FILE [--socket PATH] [--socket-mode MODE] [--socket-group GROUP]\n"
        "                   [--drain-limit D] [--out DIR] [--metrics ADDR] [--json]\n"
        "       einet serve --config FILE --pool NAME [OPTIONS of einet-dds]\n\n"
        "Run the tasks of a workload file (einet-workload(5)) as a service: without an end, until SIGTERM, SIGINT or "
        "einet\n"
        "ctl ends it. It drains then: what was released runs to its end, until the drain limit; a second signal ends "
        "jobs at\n"
        "their next block boundary. SIGHUP reads the file again: priorities, deadlines and planner.search of tasks "
        "change\n"
        "while the tasks go on; for other changes a new run is prepared, which takes over without losing a release of\n"
        "tasks by the clock; a file with faults is refused, and nothing changes. Under systemd it says when it is "
        "ready "
        "and\n"
        "what it does, and feeds the watchdog only while the scheduler goes its rounds; lines for the journal bear "
        "their\n"
        "level. No files are written but with --out.\n",
    .tables = {EINET_OPTION_TABLE(first_rows, 0),
               EINET_OPTION_TABLE(einet_service_rows, offsetof(struct serve, wishes)),
               EINET_OPTION_TABLE(last_rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n\n"
            "example: einet serve --config configs/edge-server.yaml --socket /run/einet/control\n",
    .too_many = "an argument too many: ",
};

/* ---- its parts of the service ---- */

/* The remarks of the loader and of the doctor, as lines of the log. */
static int look_at_file(void *owner, const char *path, struct einet_error *err)
{
    (void)owner;
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    char *text = NULL;
    size_t bytes = 0;
    int rc = ei_workload_load(path, &wl, &diag);
    if (rc == -ENOMEM) {
        return einet_error_set(err, rc, "no memory to read %s", path);
    }
    FILE *stream = open_memstream(&text, &bytes);
    if (stream != NULL) {
        ei_diagnostics_print(&diag, stream);
        if (rc == 0) {
            einet_doctor_glance(wl, stream);
        }
        fclose(stream);
        einet_service_log_text(rc < 0 ? EINET_LOG_ERROR : EINET_LOG_WARNING, text);
        free(text);
    }
    ei_diagnostics_fini(&diag);
    if (rc < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "the workload file has faults: mend it and start again");
    }
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        if (wl->tasks[i].input.kind == EI_SPEC_INPUT_CALLER) {
            rc = einet_error_set(err, EINET_E_USAGE,
                                 "task '%s' gets its pictures from a program (input: caller), which a service has not: "
                                 "embed the library, or give the task another input",
                                 wl->tasks[i].name);
        }
    }
    ei_workload_destroy(wl);
    return rc;
}

static int report(void *owner, struct einet_workload *workload, const struct einet_end *end, const char *ended_by,
                  int status)
{
    const struct serve *serve = owner;
    if (!serve->is_json) {
        return status;
    }
    json_t *answer = einet_json_begin("serve");
    json_t *summary = end->summary != NULL ? json_loads(end->summary, 0, NULL) : NULL;
    einet_json_set(&answer, "name", ei_json_text(einet_workload_name(workload)));
    einet_json_set(&answer, "ended_by", ei_json_text(ended_by));
    einet_json_set(&answer, "demoted_tasks", json_integer(end->demoted_tasks));
    einet_json_set(&answer, "moved_tasks", json_integer(end->moved_tasks));
    einet_json_set(&answer, "faulty_jobs", json_integer(end->faulty_jobs));
    einet_json_set(&answer, "fault", end->faulty_jobs > 0 ? ei_json_text(end->fault_text) : json_null());
    einet_json_set(&answer, "out", end->out_dir[0] != '\0' ? ei_json_text(end->out_dir) : json_null());
    einet_json_set(&answer, "summary", summary != NULL ? summary : json_null());
    return einet_json_print("serve", answer, status);
}

int einet_serve_command(int argc, char **argv)
{
    struct serve serve = {0};
    struct einet_arguments given;
    if (einet_is_of_pool(argc, argv)) {
        return einet_become_dds(argc, argv, NULL);
    }
    einet_service_wish(&serve.wishes);
    const int status = einet_options_read(&usage, argc, argv, &serve, &given);
    if (status >= 0) {
        return status;
    }
    if (serve.wishes.file == NULL) {
        return einet_options_refuse(&usage, "which workload file? Give --config FILE");
    }
    const struct einet_service_hooks hooks = {
        .name = "einet serve",
        .has_levels = getenv("JOURNAL_STREAM") != NULL || isatty(STDERR_FILENO) == 0,
        .owner = &serve,
        .look = look_at_file,
        .report = report,
    };
    return einet_service_run(&serve.wishes, &hooks);
}
