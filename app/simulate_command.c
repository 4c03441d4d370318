/* einet simulate: a workload file in virtual time, or a grid of them. */
#include "app/commands.h"
#include "command/options.h"
#include "app/outcome.h"
#include "app/progress.h"
#include "app/sweep.h"
#include "engine/virtual.h"

#include <errno.h>
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

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool parse_whole(const char *text, int32_t *out)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    *out = (int32_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= INT32_MAX;
}

/* "2/8". */
static int take_shard(void *request, const char *value, struct einet_error *err)
{
    struct einet_sweep *sweep = &((struct arguments *)request)->sweep;
    char shard[16];
    const char *slash = strchr(value, '/');
    (void)err;
    if (slash == NULL || slash - value >= (long)sizeof shard) {
        return -EINVAL;
    }
    snprintf(shard, sizeof shard, "%.*s", (int)(slash - value), value);
    return parse_whole(shard, &sweep->shard) && parse_whole(slash + 1, &sweep->shards) && sweep->shard <= sweep->shards
               ? 0
               : -EINVAL;
}

static int take_axis(void *request, const char *value, struct einet_error *err)
{
    return einet_sweep_add_axis(&((struct arguments *)request)->sweep, value, err);
}

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "duration",
     .argument = "D",
     FIELD(options.duration_ns),
     .low = 1,
     .help = "counted virtual time, with a unit: 1h, 30s (default: run.duration of the file)"},
    {.name = "seed", .argument = "S", FIELD(seed), .help = "instead of run.seed of the file"},
    {.name = "cpus",
     .argument = "N",
     FIELD(options.cpus),
     .low = 1,
     .high = CPUS_MAX,
     .help = "CPUs of the modelled machine, 1 to 64 (default: as many as the file names, at least 2)"},
    {.name = "releases",
     .argument = "CSV",
     FIELD(releases),
     .help =
         "when tasks with arrival external are released: jobs.csv of an earlier run, or a file with the columns task "
         "and release_ns (or _us, _ms, _s), in any order"},
    {.name = "out",
     .argument = "DIR",
     FIELD(options.out_dir),
     .help = "write the files of einet run there, but workload.yaml; of a sweep sweep.csv and sweep.jsonl (default: no "
             "files)"},
    {.name = "json",
     FIELD(is_json),
     .help = "print summary.json on standard output in place of the table; of a sweep JSON lines: point, values, "
             "summary.json of the point"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
    {.help =
         "\nA sweep simulates the file with each of the values, several --sweep each combination of them, and prints "
         "CSV: a line per point and task. Results do not depend on the number of workers.\n"},
    {.name = "sweep",
     .argument = "PATH=LOW..HIGH/STEP",
     .take = take_axis,
     .help =
         "durations or decimal numbers; or PATH=VALUE,VALUE. PATH: keys and names of list entries joined by dots, as "
         "in tasks.camera.deadline"},
    {.name = "shard",
     .argument = "I/N",
     .take = take_shard,
     .expected = "I/N with I from 1 to N",
     .help = "only every N-th point, from the I-th on (1..N): for a batch engine over several machines"},
    {.name = "workers",
     .argument = "N",
     FIELD(sweep.workers),
     .low = 1,
     .high = 1024,
     .help = "processes (default: one per CPU)"},
    {.name = "merge",
     FIELD(is_merge),
     .help = "put the sweep.csv, or the sweep.jsonl, of all shards together: the bytes of a sweep without shards, on "
             "standard output"},
};

static const struct einet_usage usage = {
    .command = "simulate",
    .head =
        "usage: einet simulate FILE [--duration D] [--seed S] [--cpus N] [--releases CSV] [--out DIR] [--json]\n"
        "       einet simulate FILE --sweep PATH=LOW..HIGH/STEP ... [--shard I/N] [--workers N] [the same options]\n"
        "       einet simulate --merge FILE ...\n\n"
        "Run the tasks of a workload file (einet-workload(5)) in virtual time: the scheduler and planner of a real "
        "run, on\n"
        "modelled CPUs and lanes. Needs no privilege, no libtorch and no data set; execution times come from\n"
        "`work: {spin}`, `emulate`, or the profiles beside a model's weights. The same file, seed and duration give "
        "the\n"
        "same bytes on every machine. What is left out: docs/simulation.md.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 4 an SLO failed (of one run, not of a sweep), 5 runtime fault\n\n"
            "example: einet simulate configs/exit-times.yaml --duration 10min --json\n"
            "         einet simulate configs/overload.yaml --duration 1min --sweep "
            "tasks.camera.arrival.period=8ms..20ms/1ms\n",
    .operands_max = INT32_MAX,
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, out, &given);
    if (status >= 0) {
        return status;
    }
    out->has_seed = einet_options_has(&given, "seed");
    out->merged = given.operands;
    out->merged_count = given.operand_count;
    if (given.operand_count == 0) {
        return einet_options_refuse(&usage, out->is_merge ? "which files shall be merged?" : "which workload file?");
    }
    if (out->is_merge) {
        return -1;
    }
    if (given.operand_count > 1) {
        return einet_options_refuse(&usage, "one workload file only, not also %s", given.operands[1]);
    }
    if (out->sweep.axis_count == 0 && (out->sweep.shards > 0 || out->sweep.workers > 0)) {
        return einet_options_refuse(&usage, "--shard and --workers are for a --sweep");
    }
    out->file = given.operands[0];
    return -1;
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
        return einet_options_refuse(&usage, "--releases is for tasks with arrival external; there is none in %s",
                                    arguments->file);
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
    if (status < 0) {
        status = arguments.is_merge               ? einet_sweep_merge(arguments.merged, arguments.merged_count)
                 : arguments.sweep.axis_count > 0 ? simulate_sweep(&arguments)
                                                  : simulate_one(&arguments);
    }
    einet_sweep_fini(&arguments.sweep);
    return status;
}
