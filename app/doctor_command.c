/* einet doctor: is this machine fit for a run? */
#include "app/doctor_command.h"

#include "app/commands.h"
#include "app/outcome.h"
#include "app/terminal.h"
#include "metrics/run_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA 1
#define WORST_SHOWN 2 /* by einet run */

static const char help[] =
    "usage: einet doctor [FILE] [--only ID[,ID...]] [--json]\n\n"
    "Try on this machine, as this user, what a run needs: real-time threads, locked memory, CPUs, the output folder, "
    "data\n"
    "sets, weights, libraries and a GPU; and look for what makes a run late. One line per probe: ok, warn (a run "
    "works,\n"
    "but later, or its figures say less) or fail (it is refused, DEGRADED, or cannot meet its shortest deadline), "
    "with\n"
    "what is wanted and the one command that fixes it. With FILE (einet-workload(5)) for that workload, else for any.\n"
    "Takes a few seconds; for a second of them threads spin or wake at real-time priorities. Nothing is changed.\n"
    "docs/doctor.md says what each probe does.\n\n"
    "  --only IDS   these probes only, separated by commas: to look again after a fix\n"
    "  --json       {\"schema\": 1, \"probes\": [{\"id\", \"verdict\", \"found\", \"wanted\", \"fix\"}, ...]}\n\n"
    "exit status: 0 no failure (warnings allowed), 1 usage, 2 the first failure is of a file (data, weights,\n"
    "CPUs, output), 3 of privileges, 5 of anything else\n\n"
    "example: einet doctor configs/edge-server.yaml\n";

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet doctor: %s%s; einet doctor --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

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

/* Returns 0 or -1. */
static int print_json(const struct ei_doctor_report *report, const char *file, FILE *out)
{
    json_t *probes = json_array();
    for (int32_t i = 0; i < report->count; i++) {
        const struct ei_finding *f = &report->findings[i];
        (void)json_array_append_new(probes,
                                    json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", f->id, "verdict",
                                              ei_doctor_verdict_name(f->verdict), "found", ei_json_text(f->found),
                                              "wanted", ei_json_text(f->wanted), "fix", ei_json_text(f->fix)));
    }
    json_t *all = json_pack("{s:i, s:o, s:s, s:I, s:o}", "schema", SCHEMA, "file",
                            file != NULL ? ei_json_text(file) : json_null(), "verdict",
                            ei_doctor_verdict_name(ei_doctor_worst(report)), "took_ns", (json_int_t)report->took_ns,
                            "probes", probes);
    const int rc = all != NULL ? json_dumpf(all, out, JSON_INDENT(2)) : -1;
    json_decref(all);
    return rc == 0 && fputc('\n', out) != EOF && fflush(out) == 0 ? 0 : -1;
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

struct doctor_arguments {
    const char *file; /* NULL = none */
    const char *only;
    bool is_json;
};

/* Returns 0 to go on, else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct doctor_arguments *out)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 1 + EINET_EXIT_OK;
        }
        if (strcmp(argv[i], "--json") == 0) {
            out->is_json = true;
        } else if (strncmp(argv[i], "--only=", 7) == 0) {
            out->only = argv[i] + 7;
        } else if (strcmp(argv[i], "--only") == 0) {
            if (i + 1 == argc) {
                return 1 + usage_error("missing value of ", argv[i]);
            }
            out->only = argv[++i];
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return 1 + usage_error("unknown option ", argv[i]);
        } else if (out->file != NULL) {
            return 1 + usage_error("one workload file only, not also ", argv[i]);
        } else {
            out->file = argv[i];
        }
    }
    return 0;
}

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

int einet_doctor_command(int argc, char **argv)
{
    static struct ei_doctor_report report; /* large */
    struct doctor_arguments arguments = {0};
    struct ei_workload *wl = NULL;
    struct einet_error err = {0};
    char program[512];
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
    }
    if (arguments.file != NULL) {
        const int status = einet_load_workload("doctor", arguments.file, &wl);
        if (status != EINET_EXIT_OK) {
            return status;
        }
    }
    const struct ei_doctor_options options = {.program = own_path(program, sizeof program), .only = arguments.only};
    int status = EINET_EXIT_OK;
    if (ei_doctor_examine(wl, &options, &report, &err) < 0) {
        status = einet_report_error("doctor", &err);
    } else if (!arguments.is_json) {
        print_text(&report, stdout);
        status = status_of(&report);
    } else if (print_json(&report, arguments.file, stdout) == 0) {
        status = status_of(&report);
    } else {
        fputs("einet doctor: cannot write the findings\n", stderr);
        status = EINET_EXIT_FAULT;
    }
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
