/* einet report: the folder of a finished run as a page to look at, or as plots for the terminal. */
#include "app/commands.h"
#include "app/terminal.h"
#include "report/page.h"
#include "report/plot.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *folder, *out;
    bool is_plot;
};

static const char help[] =
    "usage: einet report DIR [--out FILE]\n"
    "       einet report DIR --plot\n\n"
    "Make one self-contained page of a run: what was met, response times, the schedule around the worst job, exits,\n"
    "accuracy by time, misses by time, preemption, delays and noise. It asks the network for nothing, so it can be "
    "mailed.\n"
    "DIR is the folder that einet run or einet simulate --out wrote.\n\n"
    "  --out FILE   where to write the page (default: DIR/report.html)\n"
    "  --plot       plots in the terminal in place of the page; plain ASCII with NO_COLOR or outside UTF-8\n\n"
    "exit status: 0 ok, 1 usage, 2 a file of DIR is missing or damaged, 5 the page could not be written\n\n"
    "examples: einet report out/edge-server-20261121-120000\n"
    "          einet report out/first --plot | less -R\n"
    "          einet report out/first --out first.html && xdg-open first.html\n";

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet report: %s%s; einet report --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

/* Returns 0 to go on, else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"plot", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            out->out = optarg;
            break;
        case 'p':
            out->is_plot = true;
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
        return 1 + usage_error(optind == argc ? "the folder of which run?" : "one folder only, not also ",
                               optind == argc ? "" : argv[optind + 1]);
    }
    if (out->is_plot && out->out != NULL) {
        return 1 + usage_error("--plot writes no page, so --out has no meaning with it", "");
    }
    out->folder = argv[optind];
    return 0;
}

static int write_page(const struct arguments *arguments, const struct ei_report_run *run, struct einet_error *err)
{
    char beside[4096];
    snprintf(beside, sizeof beside, "%s/report.html", arguments->folder);
    const char *path = arguments->out != NULL ? arguments->out : beside;
    const int rc = ei_report_page_write(run, path, err);
    if (rc == 0) {
        printf("%s\n", path);
    }
    return rc;
}

int einet_report_command(int argc, char **argv)
{
    struct arguments arguments = {0};
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
    }
    struct ei_report_run run;
    struct einet_error err = {0};
    int rc = ei_report_run_load(&run, arguments.folder, !arguments.is_plot, &err);
    if (rc < 0) {
        return einet_report_error("report", &err);
    }
    if (arguments.is_plot) {
        const struct ei_plot_style style = {.is_ascii = !einet_terminal_has_unicode(),
                                            .is_coloured = einet_terminal_wants_colour(stdout)};
        ei_plot_run(&run, stdout, style);
    } else {
        rc = write_page(&arguments, &run, &err);
    }
    ei_report_run_fini(&run);
    return rc < 0 ? einet_report_error("report", &err) : EINET_EXIT_OK;
}
