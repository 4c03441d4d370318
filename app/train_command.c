/* einet train: train a multi-exit network and write its weights. */
#include "app/commands.h"
#include "app/json_output.h"
#include "app/train_options.h"
#include "app/train_progress.h"
#include "metrics/run_json.h"

#include <signal.h>

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static int print_json(const struct train_request *r, const struct ei_train_result *result)
{
    json_t *answer = einet_json_begin("train");
    einet_json_set(&answer, "network", ei_json_text(r->config.zoo));
    einet_json_set(&answer, "dataset", ei_json_text(r->dataset));
    einet_json_set(&answer, "seed", einet_json_whole(r->config.seed));
    einet_train_result_json(&answer, result);
    einet_json_set(&answer, "files", einet_train_files_json(&r->config, result->finished));
    return einet_json_print("train", answer, EINET_EXIT_OK);
}

int einet_train_command(int argc, char **argv)
{
    struct train_request r;
    const int status = train_options_read(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    struct einet_train_shown shown = einet_train_show_on(r.is_json);
    r.config.stop = &stop_requested;
    r.config.on_progress = r.is_quiet ? NULL : einet_train_show;
    r.config.on_note = r.is_quiet ? NULL : einet_train_note;
    r.config.context = &shown;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN}; /* a file-size limit is an error of the write then */
    sigaction(SIGXFSZ, &ignore, NULL);

    struct ei_train_result result;
    struct einet_error err = {0};
    if (ei_train_run_named(&r.config, r.dataset, r.data_root, &result, &err) != 0) {
        einet_train_show_end(&shown);
        return einet_report_error("train", &err);
    }
    if (!result.finished) {
        einet_train_show_end(&shown);
    }
    if (r.is_json) {
        return print_json(&r, &result);
    }
    einet_train_print_result(&r.config, &result, "--resume continues");
    return EINET_EXIT_OK;
}
