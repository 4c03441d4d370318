/* einet train: train a multi-exit network and write its weights. */
#include "app/commands.h"
#include "app/train_options.h"
#include "app/train_progress.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static void on_note(void *context, const char *text)
{
    (void)context;
    puts(text);
    fflush(stdout);
}

int einet_train_command(int argc, char **argv)
{
    struct train_request r;
    const int status = train_options_read(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    r.config.stop = &stop_requested;
    r.config.on_progress = r.quiet ? NULL : einet_train_show;
    r.config.on_note = r.quiet ? NULL : on_note;
    r.config.context = &is_terminal;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN}; /* a file-size limit is an error of the write then */
    sigaction(SIGXFSZ, &ignore, NULL);

    struct ei_train_result result;
    struct einet_error err = {0};
    if (ei_train_run_named(&r.config, r.dataset, r.data_root, &result, &err) != 0) {
        if (is_terminal) {
            putchar('\n');
        }
        return einet_report_error("train", &err);
    }
    if (!result.finished) {
        printf("%sstopped after step %lld; --resume continues\n", is_terminal ? "\n" : "", (long long)result.steps);
        return EINET_EXIT_OK;
    }
    printf("%s: accuracy by exit", r.config.out_path);
    for (int32_t i = 0; i < result.exits; i++) {
        printf(" %.2f%%", (double)result.accuracy[i] * 100.0);
    }
    putchar('\n');
    return EINET_EXIT_OK;
}
