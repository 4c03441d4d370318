/* einet simulate: a workload file in virtual time, or a grid of them. */
#include "app/commands.h"
#include "app/outcome.h"
#include "app/progress.h"
#include "app/sweep.h"
#include "engine/virtual.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPUS_MAX 64

struct arguments {
    const char *file;
    struct ei_virtual_options options;
    const char *releases; /* file of external tasks' releases, NULL = none */
    uint64_t seed;
    bool has_seed, is_json, is_merge, is_quiet;
    struct einet_sweep sweep; /* without axes: one run */
    char **merged;            /* [merged_count] files of shards */
    int merged_count;
};

static const char help[] =
    "usage: einet simulate FILE [--duration D] [--seed S] [--cpus N] [--releases CSV] [--out DIR] [--json]\n"
    "       einet simulate FILE --sweep PATH=LOW..HIGH/STEP ... [--shard I/N] [--workers N] [the same options]\n"
    "       einet simulate --merge FILE ...\n\n"
    "Run the tasks of a workload file (einet-workload(5)) in virtual time: the scheduler and planner of a real run, "
    "on\n"
    "modelled CPUs and lanes. Needs no privilege, no libtorch and no data set; execution times come from\n"
    "`work: {spin}`, `emulate`, or the profiles beside a model's weights. The same file, seed and duration give the\n"
    "same bytes on every machine. What is left out: docs/simulation.md.\n\n"
    "  --duration D     counted virtual time, with a unit: 1h, 30s (default: run.duration of the file)\n"
    "  --seed S         instead of run.seed of the file\n"
    "  --cpus N         CPUs of the modelled machine, 1 to 64 (default: as many as the file names, at least 2)\n"
    "  --releases CSV   when tasks with arrival external are released: jobs.csv of an earlier run, or a file with the\n"
    "                   columns task and release_ns (or _us, _ms, _s), in any order\n"
    "  --out DIR        write the files of einet run there, but workload.yaml (default: no files)\n"
    "  --json           print summary.json on standard output in place of the table\n"
    "  --quiet          no progress\n\n"
    "A sweep simulates the file with each of the values, several --sweep each combination of them, and prints CSV: a\n"
    "line per point and task. Results do not depend on the number of workers.\n\n"
    "  --sweep PATH=LOW..HIGH/STEP\n"
    "                   durations or decimal numbers; or PATH=VALUE,VALUE. PATH: keys and names of list\n"
    "                   entries joined by dots, as in tasks.camera.deadline\n"
    "  --shard I/N      only every N-th point, from the I-th on (1..N): for a batch engine over several machines\n"
    "  --workers N      processes (default: one per CPU)\n"
    "  --out DIR        write sweep.csv and sweep.jsonl there\n"
    "  --json           JSON lines on standard output: point, values, summary.json of the point\n"
    "  --merge          put the sweep.csv, or the sweep.jsonl, of all shards together: the bytes of a sweep without\n"
    "                   shards, on standard output\n\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 4 an SLO failed (of one run, not of a sweep), 5 runtime fault\n\n"
    "example: einet simulate configs/exit-times.yaml --duration 10min --json\n"
    "         einet simulate configs/overload.yaml --duration 1min --sweep tasks.camera.arrival.period=8ms..20ms/1ms\n";

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

/* "2/8". */
static bool parse_shard(const char *text, int32_t *out_shard, int32_t *out_shards)
{
    char shard[16];
    uint64_t i, n;
    const char *slash = strchr(text, '/');
    if (slash == NULL || slash - text >= (long)sizeof shard) {
        return false;
    }
    snprintf(shard, sizeof shard, "%.*s", (int)(slash - text), text);
    if (!parse_whole(shard, INT32_MAX, &i) || !parse_whole(slash + 1, INT32_MAX, &n) || i < 1 || i > n) {
        return false;
    }
    *out_shard = (int32_t)i;
    *out_shards = (int32_t)n;
    return true;
}

/* An option of sweeps; returns as parse_arguments does. */
static int parse_sweep_option(int option, struct arguments *out)
{
    uint64_t count;
    if (option == 'w') {
        struct einet_error err = {0};
        return einet_sweep_add_axis(&out->sweep, optarg, &err) < 0 ? 1 + einet_report_error("simulate", &err) : 0;
    }
    if (option == 'i' && !parse_shard(optarg, &out->sweep.shard, &out->sweep.shards)) {
        return 1 + usage_error("--shard wants I/N with I from 1 to N, not ", optarg);
    }
    if (option == 'n') {
        if (!parse_whole(optarg, 1024, &count) || count == 0) {
            return 1 + usage_error("--workers wants a number from 1 to 1024, not ", optarg);
        }
        out->sweep.workers = (int32_t)count;
    }
    return 0;
}

/* What is no option: one file, or the files to merge. */
static int parse_files(int argc, char **argv, struct arguments *out)
{
    out->merged = &argv[optind];
    out->merged_count = argc - optind;
    if (out->is_merge) {
        return optind < argc ? 0 : 1 + usage_error("which files shall be merged?", "");
    }
    if (optind + 1 != argc) {
        return 1 + usage_error(optind == argc ? "which workload file?" : "one workload file only, not also ",
                               optind == argc ? "" : argv[optind + 1]);
    }
    if (out->sweep.axis_count == 0 && (out->sweep.shards > 0 || out->sweep.workers > 0)) {
        return 1 + usage_error("--shard and --workers are for a --sweep", "");
    }
    out->file = argv[optind];
    return 0;
}

/* Returns 0 to go on, else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"duration", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 's'},
        {"cpus", required_argument, NULL, 'c'},
        {"releases", required_argument, NULL, 'r'},
        {"out", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"sweep", required_argument, NULL, 'w'},
        {"shard", required_argument, NULL, 'i'},
        {"workers", required_argument, NULL, 'n'},
        {"merge", no_argument, NULL, 'm'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, stop;
    uint64_t cpus;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
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
        case 'r':
            out->releases = optarg;
            break;
        case 'o':
            out->options.out_dir = optarg;
            break;
        case 'j':
            out->is_json = true;
            break;
        case 'w':
        case 'i':
        case 'n':
            stop = parse_sweep_option(option, out);
            if (stop != 0) {
                return stop;
            }
            break;
        case 'm':
            out->is_merge = true;
            break;
        case 'q':
            out->is_quiet = true;
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
    return parse_files(argc, argv, out);
}

/* In minutes: what is simulated at length are hours. */
static void on_progress(void *context, int64_t done_ns, int64_t whole_ns)
{
    einet_progress_show(context, "min simulated", (double)done_ns / 60e9, (double)whole_ns / 60e9);
}

static int simulate_one(struct arguments *arguments)
{
    struct ei_workload *wl = NULL;
    const int load_status = einet_load_workload("simulate", arguments->file, &wl);
    if (load_status != EINET_EXIT_OK) {
        return load_status;
    }
    wl->run.seed = arguments->has_seed ? arguments->seed : wl->run.seed;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct ei_live_result result;
    struct einet_error err = {0};
    struct ei_releases releases = {0};
    struct einet_progress progress;
    if (arguments->releases != NULL && ei_releases_first_task(wl) == EI_NONE_IDX) {
        ei_workload_destroy(wl);
        return usage_error("--releases is for tasks with arrival external; there is none in ", arguments->file);
    }
    int run_rc = arguments->releases != NULL ? ei_releases_read(arguments->releases, wl, &releases, &err) : 0;
    if (run_rc == 0) {
        arguments->options.releases = arguments->releases != NULL ? &releases : NULL;
        einet_progress_begin(&progress, arguments->is_quiet);
        arguments->options.on_progress = on_progress;
        arguments->options.context = &progress;
        run_rc = ei_virtual_run(wl, &arguments->options, &result, &err);
        einet_progress_end(&progress);
    }
    ei_releases_fini(&releases);
    const int status = run_rc < 0 ? einet_report_error("simulate", &err)
                                  : einet_report_result("simulate", &result, arguments->is_json);
    ei_workload_destroy(wl);
    return status;
}

static int simulate_sweep(struct arguments *arguments)
{
    struct einet_sweep *sweep = &arguments->sweep;
    sweep->file = arguments->file;
    sweep->options = arguments->options;
    sweep->releases = arguments->releases;
    sweep->is_json = arguments->is_json;
    sweep->is_quiet = arguments->is_quiet;
    sweep->has_seed = arguments->has_seed;
    sweep->seed = arguments->seed;
    return einet_sweep_run(sweep);
}

int einet_simulate_command(int argc, char **argv)
{
    struct arguments arguments = {.options = {.stop = &stop_requested}};
    int status = parse_arguments(argc, argv, &arguments);
    if (status != 0) {
        status -= 1;
    } else if (arguments.is_merge) {
        status = einet_sweep_merge(arguments.merged, arguments.merged_count);
    } else if (arguments.sweep.axis_count > 0) {
        status = simulate_sweep(&arguments);
    } else {
        status = simulate_one(&arguments);
    }
    einet_sweep_fini(&arguments.sweep);
    return status;
}
