/* einet compare: two runs side by side, with intervals. */
#include "app/commands.h"
#include "app/terminal.h"
#include "report/plot.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *folders[2];
    bool is_plot, is_json;
};

static const char help[] =
    "usage: einet compare A B [--json | --plot]\n\n"
    "Two runs side by side: for every task that both have, deadlines not met, response times, coverage, accuracy and\n"
    "exits, each with its interval at 95 %, their difference with its interval, and which run is better: A, B, or no\n"
    "difference shown. A and B are folders that einet run or einet simulate --out wrote, with their jobs.csv.\n\n"
    "  --json   the same as JSON, all exits included\n"
    "  --plot   plots of both in the terminal; plain ASCII with NO_COLOR or outside UTF-8\n\n"
    "exit status: 0 ok, whichever is better, 1 usage, 2 a file is missing or damaged or the runs have no task in\n"
    "common\n\n"
    "example: einet compare out/exact out/static\n";

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet compare: %s%s; einet compare --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

/* Returns 0 to go on, else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"plot", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            out->is_json = true;
            break;
        case 'p':
            out->is_plot = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 1 + EINET_EXIT_OK;
        default:
            return 1 + usage_error("unknown option ", argv[optind - 1]);
        }
    }
    if (argc - optind != 2) {
        return 1 + usage_error("the folders of two runs are wanted", "");
    }
    if (out->is_json && out->is_plot) {
        return 1 + usage_error("--json or --plot, not both", "");
    }
    out->folders[0] = argv[optind];
    out->folders[1] = argv[optind + 1];
    return 0;
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
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
    }
    struct ei_report_run runs[2];
    struct einet_error err = {0};
    int loaded = 0, rc = 0;
    while (rc == 0 && loaded < 2) {
        rc = ei_report_run_load(&runs[loaded], arguments.folders[loaded], false, &err);
        loaded += rc == 0;
    }
    rc = rc < 0 ? rc : compare(&arguments, runs, &err);
    for (int i = 0; i < loaded; i++) {
        ei_report_run_fini(&runs[i]);
    }
    return rc < 0 ? einet_report_error("compare", &err) : EINET_EXIT_OK;
}
