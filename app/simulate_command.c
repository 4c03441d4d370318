/* einet simulate: a workload file in virtual time. */
#include "app/commands.h"
#include "engine/virtual.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CPUS_MAX 64

struct arguments {
    const char *file;
    struct ei_virtual_options options;
    uint64_t seed;
    bool has_seed, is_json;
};

static const char help[] =
    "usage: einet simulate FILE [--duration D] [--seed S] [--cpus N] [--out DIR] [--json]\n\n"
    "Run the tasks of a workload file (einet-workload(5)) in virtual time: the scheduler and planner of a real run, "
    "on\n"
    "modelled CPUs and lanes. Needs no privilege, no libtorch and no data set; execution times come from\n"
    "`work: {spin}`, `emulate`, or the profiles beside a model's weights. The same file, seed and duration give the\n"
    "same bytes on every machine. What is left out: docs/simulation.md.\n\n"
    "  --duration D   counted virtual time, with a unit: 1h, 30s (default: run.duration of the file)\n"
    "  --seed S       instead of run.seed of the file\n"
    "  --cpus N       CPUs of the modelled machine, 1 to 64 (default: as many as the file names, at least 2)\n"
    "  --out DIR      write jobs.csv, summary.json and summary.txt there (default: no files)\n"
    "  --json         print summary.json on standard output in place of the table\n\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 4 an SLO failed, 5 runtime fault\n\n"
    "example: einet simulate configs/exit-times.yaml --duration 10min --json\n";

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet simulate: %s%s; einet simulate --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

static bool parse_whole(const char *text, uint64_t highest, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > highest) {
        return false;
    }
    *out = value;
    return true;
}

/* Returns 0 to go on, else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"duration", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 's'},
        {"cpus", required_argument, NULL, 'c'},
        {"out", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    uint64_t cpus;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            if (ei_duration_parse(optarg, &out->options.duration_ns) < 0 || out->options.duration_ns <= 0) {
                return 1 + usage_error("--duration wants a time with a unit, such as 10s, not ", optarg);
            }
            break;
        case 's':
            if (!parse_whole(optarg, UINT64_MAX, &out->seed)) {
                return 1 + usage_error("--seed wants a whole number, not ", optarg);
            }
            out->has_seed = true;
            break;
        case 'c':
            if (!parse_whole(optarg, CPUS_MAX, &cpus) || cpus == 0) {
                return 1 + usage_error("--cpus wants a number from 1 to 64, not ", optarg);
            }
            out->options.cpus = (int32_t)cpus;
            break;
        case 'o':
            out->options.out_dir = optarg;
            break;
        case 'j':
            out->is_json = true;
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

static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

static int report(const struct arguments *arguments, struct ei_live_result *result)
{
    int status = result->slo_failures > 0 ? EINET_EXIT_SLO : EINET_EXIT_OK;
    const int rc = arguments->is_json ? ei_collector_print_json(result->collector, stdout)
                                      : ei_collector_print_table(result->collector, stdout, wants_colour());
    if (rc < 0) {
        fprintf(stderr, "einet simulate: cannot print the result: %s\n", einet_error_text(rc));
        status = EINET_EXIT_FAULT;
    }
    if (!result->is_identity_ok) {
        fprintf(stderr, "einet simulate: released + skipped + dropped is not the expected number of releases: the "
                        "engine is at fault\n");
        status = EINET_EXIT_FAULT;
    }
    ei_collector_destroy(result->collector);
    return status;
}

int einet_simulate_command(int argc, char **argv)
{
    struct arguments arguments = {.options = {.stop = &stop_requested}};
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
    }
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(arguments.file, &wl, &diag);
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet simulate: no memory to read %s\n", arguments.file);
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_print(&diag, stderr);
    ei_diagnostics_fini(&diag);
    if (rc < 0) {
        return EINET_EXIT_BAD_FILE;
    }
    wl->run.seed = arguments.has_seed ? arguments.seed : wl->run.seed;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct ei_live_result result;
    struct einet_error err = {0};
    const int run_rc = ei_virtual_run(wl, &arguments.options, &result, &err);
    const int status = run_rc < 0 ? einet_report_error("simulate", &err) : report(&arguments, &result);
    ei_workload_destroy(wl);
    return status;
}
