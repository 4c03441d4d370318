/* einet train: train a multi-exit network and write its weights. */
#include "app/commands.h"
#include "app/progress.h"
#include "app/train_options.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Accuracies that a line has room for; of more exits, the first, some evenly in between and the last are shown. */
#define SHOWN_MAX 6

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static void print_accuracy(const float *accuracy, int32_t exits)
{
    const int32_t shown = exits < SHOWN_MAX ? exits : SHOWN_MAX;
    for (int32_t i = 0; i < shown; i++) {
        const int32_t exit_idx = shown < 2 ? 0 : i * (exits - 1) / (shown - 1);
        if (exits > SHOWN_MAX) {
            printf("  %d:", exit_idx + 1);
        }
        if (accuracy[exit_idx] >= 0.0F) {
            printf(" %.2f%%", (double)accuracy[exit_idx] * 100.0);
        } else {
            printf(" -");
        }
    }
    if (exits > SHOWN_MAX) {
        float best = 0.0F;
        for (int32_t i = 0; i < exits; i++) {
            best = accuracy[i] > best ? accuracy[i] : best;
        }
        printf("  best %.2f%%", (double)best * 100.0);
    }
}

static void print_place(const struct ei_train_progress *p)
{
    if (p->groups > 1) {
        printf("exits %d-%d (group %d/%d)  ", p->first_exit, p->last_exit, p->group, p->groups);
    }
}

static void on_progress(void *context, const struct ei_train_progress *p)
{
    const bool is_terminal = *(const bool *)context;
    if (p->features_done > 0.0F) {
        if (is_terminal) {
            printf("\r\033[K");
            print_place(p);
            printf("features of the trunk %.0f%%", (double)p->features_done * 100.0);
            fflush(stdout);
        }
    } else if (p->epoch_done) {
        printf("%s", is_terminal ? "\r\033[K" : "");
        print_place(p);
        printf("epoch %d/%d  loss %.4f", p->epoch, p->epochs, (double)p->loss);
        if (p->evaluated) {
            printf("  accuracy");
            print_accuracy(p->accuracy, p->exits);
        }
        printf("  ");
        einet_progress_time(stdout, p->elapsed_s);
        printf(", ");
        einet_progress_time(stdout, p->left_s);
        printf(" left\n");
        fflush(stdout);
    } else if (is_terminal && p->step % 5 == 0) {
        printf("\r\033[K");
        print_place(p);
        printf("epoch %d/%d  step %lld/%lld  loss %.4f  lr %.2g  %.0f samples/s  ", p->epoch, p->epochs,
               (long long)p->step, (long long)p->steps, (double)p->loss, (double)p->lr, p->samples_per_s);
        einet_progress_time(stdout, p->left_s);
        printf(" left");
        fflush(stdout);
    }
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
    r.config.on_progress = r.quiet ? NULL : on_progress;
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
