/* einet report: the folder of a finished run as a page to look at, or as plots for the terminal. */
#include "app/report_command.h"
#include "app/commands.h"
#include "app/json_output.h"
#include "app/terminal.h"
#include "command/options.h"
#include "metrics/run_json.h"
#include "report/page.h"
#include "report/plot.h"

#include <stdio.h>
#include <sys/stat.h>

struct arguments {
    const char *folder, *out;
    bool is_plot, is_json, is_quiet;
};

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "out",
     .argument = "FILE",
     FIELD(out),
     .is_replaced = true,
     .help = "where to write the page (default: DIR/report.html)"},
    {.name = "plot",
     FIELD(is_plot),
     .help = "plots in the terminal in place of the page; plain ASCII with NO_COLOR or outside UTF-8"},
    {.name = "json",
     FIELD(is_json),
     .help = "print where the page is, and what is to be known of the run, as one JSON object (docs/command-json.md)"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
};

static const struct einet_usage usage = {
    .command = "report",
    .head =
        "usage: einet report DIR [--out FILE] [--json]\n"
        "       einet report DIR --plot\n\n"
        "Make one self-contained page of a run: what was met, response times, the schedule around the worst job, "
        "exits,\n"
        "accuracy by time, misses by time, preemption, delays and noise. It asks the network for nothing, so it can "
        "be\n"
        "mailed. DIR is the folder that einet run or einet simulate --out wrote.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 a file of DIR is missing or damaged, 5 the page could not be written\n\n"
            "examples: einet report out/edge-server-20261121-120000\n"
            "          einet report out/first --plot | less -R\n"
            "          einet report out/first --out first.html && xdg-open first.html\n",
    .operands_min = 1,
    .operands_max = 1,
    .too_few = "the folder of which run?",
    .too_many = "one folder only, not also ",
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, out, &given);
    if (status >= 0) {
        return status;
    }
    if (out->is_plot && (out->out != NULL || out->is_json)) {
        return einet_options_refuse(&usage, "--plot writes no page, so --%s has no meaning with it",
                                    out->out != NULL ? "out" : "json");
    }
    out->folder = given.operands[0];
    return -1;
}

static int print_json(const struct arguments *arguments, const struct ei_report_run *run, const char *page)
{
    json_t *answer = einet_json_begin("report"), *tasks = json_array();
    struct stat written;
    for (int32_t i = 0; i < run->task_count; i++) {
        const struct ei_report_task *task = &run->tasks[i];
        int64_t missed, releases;
        ei_report_misses(task, run->has_jobs, &missed, &releases);
        (void)json_array_append_new(tasks, json_pack("{s:o, s:I, s:I, s:I}", "name", ei_json_text(task->name),
                                                     "releases", (json_int_t)releases, "not_met", (json_int_t)missed,
                                                     "jobs_missing", (json_int_t)ei_report_missing_jobs(task)));
    }
    json_t *name = json_object_get(run->summary, "name");
    json_t *noise = json_object_get(json_object_get(run->summary, "noise"), "is_probe_fifo");
    einet_json_set(&answer, "folder", ei_json_text(arguments->folder));
    einet_json_set(&answer, "name", name != NULL ? json_incref(name) : json_null());
    einet_json_set(&answer, "duration_ns", json_integer(run->duration_ns));
    einet_json_set(&answer, "degraded", json_incref(ei_report_degraded(run)));
    einet_json_set(&answer, "is_probe_fifo", noise != NULL ? json_incref(noise) : json_null());
    einet_json_set(&answer, "has_jobs", json_boolean(run->has_jobs));
    einet_json_set(&answer, "tasks", tasks);
    einet_json_set(&answer, "files", einet_json_texts(&page, 1));
    einet_json_set(&answer, "bytes", stat(page, &written) == 0 ? json_integer(written.st_size) : json_null());
    return einet_json_print("report", answer, EINET_EXIT_OK);
}

void einet_report_tell(void *context, int64_t done_bytes, int64_t whole_bytes)
{
    einet_progress_show(context, "MB read", (double)done_bytes / 1e6, (double)whole_bytes / 1e6);
}

/* Returns the exit status. */
static int write_page(const struct arguments *arguments, const struct ei_report_run *run)
{
    char beside[4096];
    struct einet_error err = {0};
    snprintf(beside, sizeof beside, "%s/report.html", arguments->folder);
    const char *path = arguments->out != NULL ? arguments->out : beside;
    if (ei_report_page_write(run, path, &err) < 0) {
        return einet_report_error("report", &err);
    }
    if (arguments->is_json) {
        return print_json(arguments, run, path);
    }
    printf("%s\n", path);
    return EINET_EXIT_OK;
}

int einet_report_command(int argc, char **argv)
{
    struct arguments arguments = {0};
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    struct ei_report_run run;
    struct einet_error err = {0};
    struct einet_progress progress;
    struct ei_csv_watch watch = {.tell = einet_report_tell, .context = &progress};
    einet_progress_begin_later(&progress, arguments.is_quiet);
    const int rc = ei_report_run_load_watched(&run, arguments.folder, !arguments.is_plot, &watch, &err);
    einet_progress_end(&progress);
    if (rc < 0) {
        return einet_report_error("report", &err);
    }
    if (arguments.is_plot) {
        const struct ei_plot_style style = {.is_ascii = !einet_terminal_has_unicode(),
                                            .is_coloured = einet_terminal_wants_colour(stdout)};
        ei_plot_run(&run, stdout, style);
        status = EINET_EXIT_OK;
    } else {
        status = write_page(&arguments, &run);
    }
    ei_report_run_fini(&run);
    return status;
}
