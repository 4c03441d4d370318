/* See train_progress.h. */
#include "app/train_progress.h"

#include "app/json_output.h"
#include "app/progress.h"

#include <stdio.h>
#include <unistd.h>

/* Accuracies that a line has room for; of more exits, the first, some evenly in between and the last are shown. */
#define SHOWN_MAX 6

static void print_accuracy(FILE *out, const float *accuracy, int32_t exits)
{
    const int32_t shown = exits < SHOWN_MAX ? exits : SHOWN_MAX;
    for (int32_t i = 0; i < shown; i++) {
        const int32_t exit_idx = shown < 2 ? 0 : i * (exits - 1) / (shown - 1);
        if (exits > SHOWN_MAX) {
            fprintf(out, "  %d:", exit_idx + 1);
        }
        if (accuracy[exit_idx] >= 0.0F) {
            fprintf(out, " %.2f%%", (double)accuracy[exit_idx] * 100.0);
        } else {
            fprintf(out, " -");
        }
    }
    if (exits > SHOWN_MAX) {
        float best = 0.0F;
        for (int32_t i = 0; i < exits; i++) {
            best = accuracy[i] > best ? accuracy[i] : best;
        }
        fprintf(out, "  best %.2f%%", (double)best * 100.0);
    }
}

static void print_place(FILE *out, const struct ei_train_progress *p)
{
    if (p->groups > 1) {
        fprintf(out, "exits %d-%d (group %d/%d)  ", p->first_exit, p->last_exit, p->group, p->groups);
    }
}

void einet_train_show(void *context, const struct ei_train_progress *p)
{
    const struct einet_train_shown *shown = context;
    const bool is_terminal = shown->is_terminal;
    FILE *out = shown->out;
    if (p->features_done > 0.0F) {
        if (is_terminal) {
            fprintf(out, "\r\033[K");
            print_place(out, p);
            fprintf(out, "features of the trunk %.0f%%", (double)p->features_done * 100.0);
            fflush(out);
        }
    } else if (p->epoch_done) {
        fprintf(out, "%s", is_terminal ? "\r\033[K" : "");
        print_place(out, p);
        fprintf(out, "epoch %d/%d  loss %.4f", p->epoch, p->epochs, (double)p->loss);
        if (p->evaluated) {
            fprintf(out, "  accuracy");
            print_accuracy(out, p->accuracy, p->exits);
        }
        fprintf(out, "  ");
        einet_progress_time(out, p->elapsed_s);
        fprintf(out, ", ");
        einet_progress_time(out, p->left_s);
        fprintf(out, " left\n");
        fflush(out);
    } else if (is_terminal && p->step % 5 == 0) {
        fprintf(out, "\r\033[K");
        print_place(out, p);
        fprintf(out, "epoch %d/%d  step %lld/%lld  loss %.4f  lr %.2g  %.0f samples/s  ", p->epoch, p->epochs,
                (long long)p->step, (long long)p->steps, (double)p->loss, (double)p->lr, p->samples_per_s);
        einet_progress_time(out, p->left_s);
        fprintf(out, " left");
        fflush(out);
    }
}

struct einet_train_shown einet_train_show_on(bool is_json)
{
    FILE *out = is_json ? stderr : stdout;
    return (struct einet_train_shown){.out = out, .is_terminal = isatty(fileno(out)) == 1};
}

void einet_train_note(void *context, const char *text)
{
    const struct einet_train_shown *shown = context;
    fprintf(shown->out, "%s\n", text);
    fflush(shown->out);
}

void einet_train_show_end(const struct einet_train_shown *shown)
{
    if (shown->is_terminal) {
        fputc('\n', shown->out);
    }
}

void einet_train_print_result(const struct ei_train_config *config, const struct ei_train_result *result,
                              const char *more)
{
    if (!result->finished) {
        printf("stopped after step %lld; %s\n", (long long)result->steps, more);
        return;
    }
    printf("%s: accuracy by exit", config->out_path);
    for (int32_t i = 0; i < result->exits; i++) {
        printf(" %.2f%%", (double)result->accuracy[i] * 100.0);
    }
    putchar('\n');
}

void einet_train_result_json(json_t **io_object, const struct ei_train_result *result)
{
    const bool is_done = result->finished;
    einet_json_set(io_object, "is_finished", json_boolean(is_done));
    einet_json_set(io_object, "steps", json_integer(result->steps));
    einet_json_set(io_object, "accuracy", is_done ? einet_json_shares(result->accuracy, result->exits) : json_null());
    einet_json_set(io_object, "eval_batch", is_done ? json_integer(result->eval_batch) : json_null());
}

json_t *einet_train_files_json(const struct ei_train_config *config, bool is_finished)
{
    char path[EI_TRAIN_PATH_MAX] = "";
    const int rc =
        is_finished ? ei_train_record_path(config, path, NULL) : ei_train_checkpoint_path(config, path, NULL);
    const char *const files[] = {is_finished ? config->out_path : NULL, rc == 0 ? path : NULL, config->log_path};
    return einet_json_texts(files, (int)(sizeof files / sizeof files[0]));
}
