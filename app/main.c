/* einet: dispatch to a sub-command. */
#include "app/commands.h"
#include "command/options.h"
#include "metrics/table_text.h"
#include "stages/environment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"run", einet_run_command, "run a workload file in real time and report what was met"},
    {"serve", einet_serve_command, "run a workload file as a service, until it is stopped"},
    {"ctl", einet_ctl_command, "talk to a service: list its tasks, read answers, release jobs, end it"},
    {"top", einet_top_command, "show the figures of a run while it runs, from another terminal"},
    {"simulate", einet_simulate_command, "run a workload file in virtual time, the same on every machine"},
    {"analyze", einet_analyze_command, "bound response times of a workload file before it runs"},
    {"check", einet_check_command, "check a workload file, print it with every default filled in"},
    {"doctor", einet_doctor_command, "try whether this machine can run a workload file, and how to mend it"},
    {"import", einet_import_command, "turn a workload of rt-app, DISB or rtspin into a workload file"},
    {"train", einet_train_command, "train a multi-exit network"},
    {"models", einet_models_command, "list the networks of the zoo with their parameters and cost"},
    {"convert", einet_convert_command, "make a trained single-exit network a multi-exit one"},
    {"profile", einet_profile_command, "measure block times and per-sample confidences, or print a profile"},
    {"predictor", einet_predictor_command, "train, print or compare predictors of later exits' scores"},
    {"plan", einet_plan_command, "choose exits: one problem or a stream of them, in JSON"},
    {"evaluate", einet_evaluate_command, "judge the ways to choose exits on profiles, for any exit time"},
    {"report", einet_report_command, "make a page of a finished run: figures, the schedule around the worst job"},
    {"compare", einet_compare_command, "two finished runs side by side, with intervals"},
};

static const int command_count = (int)(sizeof commands / sizeof commands[0]);

static void print_help(FILE *out)
{
    fputs("einet - real-time scheduler for multi-exit neural networks and control tasks\n\n"
          "usage: einet COMMAND [arguments]\n       einet COMMAND --help, or einet help COMMAND\n\ncommands:\n",
          out);
    for (int i = 0; i < command_count; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nexit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n"
          "\nexample: einet run configs/edge-server.yaml --duration 10s\n",
          out);
}

int einet_report_error(const char *command, const struct einet_error *err)
{
    fprintf(stderr, "einet %s: ", command);
    if (err->file[0] != '\0') {
        fprintf(stderr, "%s:", err->file);
        if (err->line > 0) {
            fprintf(stderr, "%d:", err->line);
            if (err->column > 0) {
                fprintf(stderr, "%d:", err->column);
            }
        }
        fputc(' ', stderr);
    }
    struct einet_error plain = *err; /* it quotes what files hold, also of somebody else */
    ei_text_make_plain(plain.text, true);
    fprintf(stderr, "%s\n", plain.text[0] != '\0' ? plain.text : einet_error_text(err->code));
    return einet_exit_of(err);
}

/* NULL: no such command. */
static const struct command *find_command(const char *name)
{
    for (int i = 0; i < command_count; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int refuse_unknown(const char *name)
{
    const char *nearest = NULL;
    int least = INT_MAX;
    for (int i = 0; i < command_count; i++) {
        const int distance = einet_options_distance(name, commands[i].name);
        nearest = distance < least ? commands[i].name : nearest;
        least = distance < least ? distance : least;
    }
    const bool is_told = einet_options_is_near(name, least);
    fprintf(stderr, "einet: unknown command '%s'%s%s; einet help lists them\n", name, is_told ? ", did you mean " : "",
            is_told ? nearest : "");
    return EINET_EXIT_USAGE;
}

/* Whoever reads the output must learn that some of it is missing. Commands look themselves where they can say more;
 * standard output remembers. Returns the exit status. */
static int finish_output(const char *name, int status)
{
    errno = 0;
    if ((fflush(stdout) == 0 && ferror(stdout) == 0) || status == EINET_EXIT_FAULT) {
        return status;
    }
    fprintf(stderr, "%s: cannot write all of its output: %s\n", name, errno != 0 ? strerror(errno) : "a write failed");
    return status == EINET_EXIT_OK || status == EINET_EXIT_SLO ? EINET_EXIT_FAULT : status;
}

int main(int argc, char **argv)
{
    /* OpenBLAS and OpenMP read these while they are loaded. Failing to set them costs speed, not correctness. */
    (void)ei_environment_apply(argv);
    if (argc < 2) {
        print_help(stderr);
        return EINET_EXIT_USAGE;
    }
    const bool is_help_of_one = argc == 3 && strcmp(argv[1], "help") == 0;
    const struct command *command = find_command(argv[is_help_of_one ? 2 : 1]);
    if (command != NULL) {
        static char name[32], help[] = "--help", *help_of_one[] = {name, help, NULL};
        snprintf(name, sizeof name, "einet %s", command->name);
        argv[1] = name; /* as a training's record says how it was called */
        return finish_output(name, is_help_of_one ? command->run(2, help_of_one) : command->run(argc - 1, argv + 1));
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && !is_help_of_one)) {
        print_help(stdout);
        return finish_output("einet", EINET_EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("einet " EINET_VERSION);
        return finish_output("einet", EINET_EXIT_OK);
    }
    return refuse_unknown(argv[is_help_of_one ? 2 : 1]);
}
