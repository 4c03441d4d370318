/* einet run: a workload file in real time. */
#include "app/commands.h"
#include "app/doctor_command.h"
#include "app/live_releases.h"
#include "app/outcome.h"
#include "command/options.h"
#include "engine/live.h"
#include "rt/loopback.h"
#include "rt/memory.h"
#include "workloads/releases.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_arguments {
    const char *file;
    const char *releases; /* NULL = none */
    struct ei_live_options live;
    bool is_json, is_quiet;
};

static int take_metrics(void *request, const char *value, struct einet_error *err)
{
    struct run_arguments *out = request;
    out->live.metrics = strcmp(value, "none") == 0 ? "" : value;
    return out->live.metrics[0] != '\0' ? ei_loopback_check(value, err) : 0;
}

#define FIELD(field) EINET_FIELD(struct run_arguments, field)

static const struct einet_option rows[] = {
    {.name = "duration",
     .argument = "D",
     FIELD(live.duration_ns),
     .low = 1,
     .help = "counted duration, with a unit: 10s, 500ms (default: run.duration of the file)"},
    {.name = "out", .argument = "DIR", FIELD(live.out_dir), .help = "output folder (default: outputs.dir of the file)"},
    {.name = "releases",
     .argument = "FILE",
     FIELD(releases),
     .help =
         "where the releases of tasks with arrival external come from: a file, a named pipe, or - for standard input; "
         "each line is the name of a task, and releases its next job when it is read"},
    {.name = "metrics",
     .argument = "ADDR",
     .take = take_metrics,
     .help = "serve live figures at this address and port of this machine, such as 127.0.0.1:9464: /metrics for "
             "Prometheus, and /healthz; port 0 takes any; none = not (default: outputs.metrics of the file)"},
    {.name = "json", FIELD(is_json), .help = "print summary.json on standard output in place of the table"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress, and no look at the machine when it starts (einet doctor)"},
};

static const struct einet_usage usage = {
    .command = "run",
    .head =
        "usage: einet run FILE [--duration D] [--out DIR] [--releases FILE] [--metrics ADDR] [--json]\n"
        "                 [--quiet]\n\n"
        "Run the tasks of a workload file (einet-workload(5)) in real time, then print what was met, missed and\n"
        "preempted, and how accurate the answers were. Into the output folder go jobs.csv, stages.csv, latency.hlog,\n"
        "summary.json, summary.txt, run.json (what was run, where and how), workload.yaml (the file with every "
        "default\n"
        "filled in), and with outputs.trace traces for Perfetto. SIGINT and SIGTERM end the run early, with every "
        "job\n"
        "answered and all files complete; a second one changes nothing.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "While it runs, einet top shows its figures from another terminal.\n\n"
            "exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n\n"
            "example: einet run configs/edge-server.yaml --duration 10s --out out/first\n",
    .operands_min = 1,
    .operands_max = 1,
    .too_few = "which workload file?",
    .too_many = "one workload file only, not also ",
};

static int report(const struct run_arguments *arguments, struct ei_live_result *result, bool has_files)
{
    if (arguments->live.is_progress_live && arguments->live.messages != NULL) {
        fputs("\r\033[K", arguments->live.messages);
    }
    const int status = einet_report_result("run", result, arguments->is_json);
    if (!arguments->is_json && has_files) {
        printf("files in %s; to look at them: einet report %s\n", result->out_dir, result->out_dir);
    }
    return status;
}

/* Run it, with somebody who reads the releases of its external tasks. */
static int run(const struct ei_workload *wl, struct run_arguments *arguments, struct ei_live_result *result,
               struct einet_error *err)
{
    static struct einet_live_releases releases;
    const int32_t external = ei_releases_first_task(wl);
    if (arguments->releases == NULL && external != EI_NONE_IDX) {
        return einet_error_set(err, EINET_E_USAGE,
                               "task '%s' of %.200s is released from outside (arrival: external): say where its "
                               "releases come from, with --releases FILE, or --releases - for standard input",
                               wl->tasks[external].name, wl->file);
    }
    if (arguments->releases == NULL) {
        return ei_live_run(wl, &arguments->live, result, err);
    }
    int rc = einet_live_releases_open(&releases, arguments->releases, wl, err);
    if (rc == 0) {
        arguments->live.on_ready = einet_live_releases_start;
        arguments->live.context = &releases;
        rc = ei_live_run(wl, &arguments->live, result, err);
        einet_live_releases_close(&releases);
    }
    return rc;
}

int einet_run_command(int argc, char **argv)
{
    struct run_arguments arguments = {
        .live = {.program = "build/release/einet", .is_progress_live = isatty(STDERR_FILENO) != 0}};
    struct einet_arguments given;
    const int read = einet_options_read(&usage, argc, argv, &arguments, &given);
    if (read >= 0) {
        return read;
    }
    arguments.file = given.operands[0];
    arguments.live.messages = arguments.is_quiet ? NULL : stderr;
    char program[512];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        arguments.live.program = program;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    struct ei_workload *wl = NULL;
    const int load_status = einet_load_workload("run", arguments.file, &wl);
    if (load_status != EINET_EXIT_OK) {
        return load_status;
    }
    (void)ei_memory_tune_malloc();
    if (arguments.live.messages != NULL && !arguments.is_json) {
        einet_doctor_glance(wl, arguments.live.messages);
    }
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const int run_rc = run(wl, &arguments, &result, &err);
    int status = EINET_EXIT_OK;
    if (run_rc == 0 || result.collector != NULL) { /* figures of a run whose files no disk took are still figures */
        status = report(&arguments, &result, run_rc == 0);
    }
    if (run_rc < 0) {
        status = einet_report_error("run", &err);
    }
    ei_workload_destroy(wl);
    return status;
}
