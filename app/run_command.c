/* einet run: a workload file in real time. */
#include "app/commands.h"
#include "app/doctor_command.h"
#include "app/live_releases.h"
#include "app/outcome.h"
#include "engine/live.h"
#include "rt/loopback.h"
#include "rt/memory.h"
#include "workloads/releases.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_arguments {
    const char *file;
    const char *releases; /* NULL = none */
    struct ei_live_options live;
    bool is_json;
};

static const char help[] =
    "usage: einet run FILE [--duration D] [--out DIR] [--releases FILE] [--metrics ADDR] [--json]\n"
    "                 [--quiet]\n\n"
    "Run the tasks of a workload file (einet-workload(5)) in real time, then print what was met, missed and\n"
    "preempted, and how accurate the answers were. Into the output folder go jobs.csv, stages.csv, latency.hlog,\n"
    "summary.json, summary.txt, run.json (what was run, where and how), workload.yaml (the file with every default\n"
    "filled in), and with outputs.trace traces for Perfetto. SIGINT and SIGTERM end the run early, with every job\n"
    "answered and all files complete; a second one changes nothing.\n\n"
    "  --duration D     counted duration, with a unit: 10s, 500ms (default: run.duration of the file)\n"
    "  --out DIR        output folder (default: outputs.dir of the file)\n"
    "  --releases FILE  where the releases of tasks with arrival external come from: a file, a named pipe, or - for\n"
    "                   standard input; each line is the name of a task, and releases its next job when it is read\n"
    "  --metrics ADDR   serve live figures at this address and port of this machine, such as 127.0.0.1:9464: /metrics\n"
    "                   for Prometheus, and /healthz; port 0 takes any; none = not (default: outputs.metrics of the file)\n"
    "  --json           print summary.json on standard output in place of the table\n"
    "  --quiet          no progress, and no look at the machine when it starts (einet doctor)\n\n"
    "While it runs, einet top shows its figures from another terminal.\n\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n\n"
    "example: einet run configs/edge-server.yaml --duration 10s --out out/first\n";

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet run: %s%s; einet run --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

/* Returns 0 to go on, else the exit status + 1 (so that 0 can mean "go on"). */
static int parse_arguments(int argc, char **argv, struct run_arguments *out)
{
    static const struct option options[] = {
        {"duration", required_argument, NULL, 'd'}, {"out", required_argument, NULL, 'o'},
        {"releases", required_argument, NULL, 'r'}, {"metrics", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},           {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    struct einet_error err = {0};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            if (ei_duration_parse(optarg, &out->live.duration_ns) < 0 || out->live.duration_ns <= 0) {
                return 1 + usage_error("--duration wants a time with a unit, such as 10s, not ", optarg);
            }
            break;
        case 'o':
            out->live.out_dir = optarg;
            break;
        case 'r':
            out->releases = optarg;
            break;
        case 'm':
            out->live.metrics = strcmp(optarg, "none") == 0 ? "" : optarg;
            if (out->live.metrics[0] != '\0' && ei_loopback_check(optarg, &err) < 0) {
                return 1 + usage_error("--metrics: ", err.text);
            }
            break;
        case 'j':
            out->is_json = true;
            break;
        case 'q':
            out->live.messages = NULL;
            break;
        case 'h':
            fputs(help, stdout);
            return 1 + EINET_EXIT_OK;
        case ':':
            return 1 + usage_error("missing value of ", argv[optind - 1]);
        default:
            return 1 + usage_error("unknown option ", argv[optind - 1]);
        }
    }
    if (optind + 1 != argc) {
        return 1 + usage_error(optind == argc ? "which workload file?" : "one workload file only, not also ",
                               optind == argc ? "" : argv[optind + 1]);
    }
    out->file = argv[optind];
    return 0;
}

static int report(const struct run_arguments *arguments, struct ei_live_result *result)
{
    if (arguments->live.is_progress_live && arguments->live.messages != NULL) {
        fputs("\r\033[K", arguments->live.messages);
    }
    const int status = einet_report_result("run", result, arguments->is_json);
    if (!arguments->is_json) {
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
        .live = {.program = "build/release/einet", .messages = stderr, .is_progress_live = isatty(STDERR_FILENO) != 0}};
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
    }
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
    struct ei_live_result result;
    struct einet_error err = {0};
    const int run_rc = run(wl, &arguments, &result, &err);
    const int status = run_rc < 0 ? einet_report_error("run", &err) : report(&arguments, &result);
    ei_workload_destroy(wl);
    return status;
}
