/* einet doctor: is this machine fit for a run? */
#include "app/doctor_command.h"

#include "app/commands.h"
#include "app/json_output.h"
#include "command/options.h"
#include "app/outcome.h"
#include "app/progress.h"
#include "app/terminal.h"
#include "metrics/run_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORST_SHOWN 2 /* by einet run */

struct doctor_arguments {
    const char *file; /* NULL = none */
    const char *only;
    bool is_json, is_quiet;
};

#define FIELD(field) EINET_FIELD(struct doctor_arguments, field)

static const struct einet_option rows[] = {
    {.name = "only",
     .argument = "IDS",
     FIELD(only),
     .help = "these probes only, separated by commas: to look again after a fix. They are fifo sched_deadline "
             "rtprio_limit cgroup_rt_runtime rt_throttling memory_lock cpu_dma_latency cpus output data weights gpu "
             "libtorch onednn environment fifo_load release gaps steal clock_source timers preemption governor smt thp "
             "swap"},
    {.name = "json",
     FIELD(is_json),
     .help = "print one JSON object (docs/command-json.md): schema, command, file, verdict, took_ns, and probes, each "
             "with id, verdict, found, wanted and fix"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
};

static const struct einet_usage usage = {
    .command = "doctor",
    .head =
        "usage: einet doctor [FILE] [--only ID[,ID...]] [--json] [--quiet]\n\n"
        "Try on this machine, as this user, what a run needs: real-time threads, locked memory, CPUs, the output "
        "folder,\n"
        "data sets, weights, libraries and a GPU; and look for what makes a run late. One line per probe: ok, warn (a "
        "run\n"
        "works, but later, or its figures say less) or fail (it is refused, DEGRADED, or cannot meet its shortest\n"
        "deadline), with what is wanted and the one command that fixes it. With FILE (einet-workload(5)) for that\n"
        "workload, else for any. Takes a few seconds; for a second of them threads spin or wake at real-time "
        "priorities.\n"
        "Nothing is changed. docs/doctor.md says what each probe does.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 no failure (warnings allowed), 1 usage, 2 the first failure is of a file (data, weights,\n"
            "CPUs, output), 3 of privileges, 5 of anything else\n\n"
            "example: einet doctor configs/edge-server.yaml\n",
    .operands_max = 1,
    .too_many = "one workload file only, not also ",
};

/* ---- output ---- */

static void print_text(const struct ei_doctor_report *report, FILE *out)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    const bool is_coloured = einet_terminal_wants_colour(out);
    int counts[3] = {0};
    for (int32_t i = 0; i < report->count; i++) {
        const struct ei_finding *f = &report->findings[i];
        counts[f->verdict]++;
        fprintf(out, "%s%-4s%s  %-17s  %s\n", is_coloured ? colours[f->verdict] : "",
                ei_doctor_verdict_name(f->verdict), is_coloured ? "\033[0m" : "", f->id, f->found);
        if (f->verdict != EI_DOCTOR_OK) {
            fprintf(out, "%-23s  wanted: %s\n%-23s  fix: %s\n", "", f->wanted, "", f->fix);
        }
    }
    fprintf(out, "%d ok, %d warn, %d fail, in %.1f s\n", counts[EI_DOCTOR_OK], counts[EI_DOCTOR_WARN],
            counts[EI_DOCTOR_FAIL], (double)report->took_ns / 1e9);
}

static int print_json(const struct ei_doctor_report *report, const char *file, int status)
{
    json_t *probes = json_array(), *answer = einet_json_begin("doctor");
    for (int32_t i = 0; i < report->count; i++) {
        const struct ei_finding *f = &report->findings[i];
        (void)json_array_append_new(probes,
                                    json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", f->id, "verdict",
                                              ei_doctor_verdict_name(f->verdict), "found", ei_json_text(f->found),
                                              "wanted", ei_json_text(f->wanted), "fix", ei_json_text(f->fix)));
    }
    einet_json_set(&answer, "file", ei_json_text(file));
    einet_json_set(&answer, "verdict", json_string(ei_doctor_verdict_name(ei_doctor_worst(report))));
    einet_json_set(&answer, "took_ns", json_integer(report->took_ns));
    einet_json_set(&answer, "probes", probes);
    return einet_json_print("doctor", answer, status);
}

/* Of the first failure; the upper ones explain those below. */
static int status_of(const struct ei_doctor_report *report)
{
    const struct ei_finding *worst = NULL;
    if (ei_doctor_complaints(report, &worst, 1) == 0 || worst->verdict != EI_DOCTOR_FAIL) {
        return EINET_EXIT_OK;
    }
    if (worst->code == EINET_E_PRIVILEGE) {
        return EINET_EXIT_PRIVILEGES;
    }
    return worst->code == EINET_E_FILE ? EINET_EXIT_BAD_FILE : EINET_EXIT_FAULT;
}

/* ---- the command ---- */

/* The path of this program, for commands that change its rights. */
static const char *own_path(char *out, size_t size_bytes)
{
    const ssize_t length = readlink("/proc/self/exe", out, size_bytes - 1);
    if (length <= 0) {
        return NULL;
    }
    out[length] = '\0';
    return out;
}

struct told {
    struct einet_progress progress;
    const char *unit; /* of the part that goes on */
};

static void on_progress(void *context, const char *unit, double done, double whole)
{
    struct told *told = context;
    if (told->unit != NULL && strcmp(told->unit, unit) != 0) {
        einet_progress_restart(&told->progress);
    }
    told->unit = unit;
    einet_progress_show(&told->progress, unit, done, whole);
}

static int examine(const struct doctor_arguments *arguments, const struct ei_workload *wl)
{
    static struct ei_doctor_report report; /* large */
    struct einet_error err = {0};
    struct told told = {.unit = NULL};
    char program[512];
    const struct ei_doctor_options options = {.program = own_path(program, sizeof program),
                                              .only = arguments->only,
                                              .on_progress = on_progress,
                                              .context = &told};
    einet_progress_begin(&told.progress, arguments->is_quiet);
    const int rc = ei_doctor_examine(wl, &options, &report, &err);
    einet_progress_end(&told.progress);
    if (rc < 0) {
        return einet_report_error("doctor", &err);
    }
    if (arguments->is_json) {
        return print_json(&report, arguments->file, status_of(&report));
    }
    print_text(&report, stdout);
    return status_of(&report);
}

int einet_doctor_command(int argc, char **argv)
{
    struct doctor_arguments arguments = {0};
    struct einet_arguments given;
    struct ei_workload *wl = NULL;
    int status = einet_options_read(&usage, argc, argv, &arguments, &given);
    if (status >= 0) {
        return status;
    }
    arguments.file = given.operand_count > 0 ? given.operands[0] : NULL;
    if (arguments.file != NULL) {
        status = einet_load_workload("doctor", arguments.file, &wl);
        if (status != EINET_EXIT_OK) {
            return status;
        }
    }
    status = examine(&arguments, wl);
    ei_workload_destroy(wl);
    return status;
}

void einet_doctor_glance(const struct ei_workload *wl, FILE *out)
{
    static struct ei_doctor_report report; /* large */
    const struct ei_finding *worst[WORST_SHOWN];
    char program[512];
    const struct ei_doctor_options options = {.program = own_path(program, sizeof program), .is_quick = true};
    if (ei_doctor_examine(wl, &options, &report, NULL) < 0) {
        return;
    }
    const int32_t count = ei_doctor_complaints(&report, worst, WORST_SHOWN);
    for (int32_t i = 0; i < count && i < WORST_SHOWN; i++) {
        fprintf(out, "einet run: %s %s: %s (fix: %s)\n", ei_doctor_verdict_name(worst[i]->verdict), worst[i]->id,
                worst[i]->found, worst[i]->fix);
    }
    if (count > WORST_SHOWN) {
        fprintf(out, "einet run: %d more, see einet doctor %s\n", count - WORST_SHOWN, wl->file);
    }
}
