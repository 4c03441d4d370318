/* einet compare: two runs side by side, with intervals. */
#include "app/commands.h"
#include "command/options.h"
#include "app/report_command.h"
#include "app/terminal.h"
#include "report/plot.h"

#include <stdio.h>

struct arguments {
    const char *folders[2];
    bool is_plot, is_json, is_quiet;
};

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "json", FIELD(is_json), .help = "the same as JSON, all exits included"},
    {.name = "plot",
     FIELD(is_plot),
     .help = "plots of both in the terminal; plain ASCII with NO_COLOR or outside UTF-8"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
};

static const struct einet_usage usage = {
    .command = "compare",
    .head =
        "usage: einet compare A B [--json | --plot] [--quiet]\n\n"
        "Two runs side by side: for every task that both have, deadlines not met, response times, coverage, accuracy "
        "and\n"
        "exits, each with its interval at 95 %, their difference with its interval, and which run is better: A, B, or "
        "no\n"
        "difference shown. A and B are folders that einet run or einet simulate --out wrote, with their jobs.csv.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot =
        "exit status: 0 ok, whichever is better, 1 usage, 2 a file is missing or damaged or the runs have no task in\n"
        "common\n\n"
        "example: einet compare out/exact out/static\n",
    .operands_min = 2,
    .operands_max = 2,
    .too_few = "the folders of two runs are wanted",
    .too_many = "the folders of two runs are wanted, not also ",
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, out, &given);
    if (status >= 0) {
        return status;
    }
    if (out->is_json && out->is_plot) {
        return einet_options_refuse(&usage, "--json or --plot, not both");
    }
    out->folders[0] = given.operands[0];
    out->folders[1] = given.operands[1];
    return -1;
}

static int compare(const struct arguments *arguments, const struct ei_report_run *runs, struct einet_error *err)
{
    struct ei_comparison comparison;
    int rc = ei_compare(&runs[0], &runs[1], &comparison, err);
    if (rc < 0) {
        return rc;
    }
    const bool is_coloured = einet_terminal_wants_colour(stdout);
    if (arguments->is_json) {
        rc = ei_comparison_print_json(&comparison, stdout);
        if (rc < 0) {
            einet_error_set(err, rc, "cannot print the comparison: %s", einet_error_text(rc));
        }
    } else if (arguments->is_plot) {
        const struct ei_plot_style style = {.is_ascii = !einet_terminal_has_unicode(), .is_coloured = is_coloured};
        ei_plot_comparison(&comparison, stdout, style);
    } else {
        ei_comparison_print(&comparison, stdout, is_coloured);
    }
    ei_comparison_fini(&comparison);
    return rc;
}

int einet_compare_command(int argc, char **argv)
{
    struct arguments arguments = {0};
    const int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    struct ei_report_run runs[2];
    struct einet_error err = {0};
    int loaded = 0, rc = 0;
    struct einet_progress progress;
    struct ei_csv_watch watch = {.tell = einet_report_tell, .context = &progress};
    einet_progress_begin_later(&progress, arguments.is_quiet);
    while (rc == 0 && loaded < 2) {
        einet_progress_restart(&progress);
        snprintf(progress.detail, sizeof progress.detail, "(run %c)", "AB"[loaded]);
        rc = ei_report_run_load_watched(&runs[loaded], arguments.folders[loaded], false, &watch, &err);
        loaded += rc == 0;
    }
    einet_progress_end(&progress);
    rc = rc < 0 ? rc : compare(&arguments, runs, &err);
    for (int i = 0; i < loaded; i++) {
        ei_report_run_fini(&runs[i]);
    }
    return rc < 0 ? einet_report_error("compare", &err) : EINET_EXIT_OK;
}
