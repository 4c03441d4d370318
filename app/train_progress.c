/* See train_progress.h. */
#include "app/train_progress.h"

#include "app/progress.h"

#include <stdio.h>

/* Accuracies that a line has room for; of more exits, the first, some evenly in between and the last are shown. */
#define SHOWN_MAX 6

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

void einet_train_show(void *context, const struct ei_train_progress *p)
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
