/* What a run tells while it goes on: the fields of a progress record and the log's line. */
#include "models/trainer.h"

#include <stdio.h>

/* Work of the steps from..to of a group; a step's grows with its pictures' area. */
static double work_of(const struct ei_trainer *t, int64_t from, int64_t to)
{
    const int32_t full_px = t->program.input.width_px;
    double work = 0.0;
    while (from < to) {
        const int64_t epoch = from / t->steps_per_epoch, end = (epoch + 1) * t->steps_per_epoch;
        const double side = (double)ei_train_side_px(t->config, (int32_t)epoch, full_px) / (double)full_px;
        work += (double)((end < to ? end : to) - from) * side * side;
        from = end;
    }
    return work;
}

/* From what the steps and the caches of this call took. Only joint training, which has one group, has sizes. */
static double seconds_left(const struct ei_trainer *t, double elapsed_s)
{
    double done = (double)(t->step - t->first_step), left = (double)(t->steps - t->step), features_left_s = 0.0;
    if (t->config->size_count > 0) {
        done = work_of(t, t->first_step, t->step);
        left = work_of(t, t->step, t->steps);
    }
    if (t->groups_filled > 0) {
        const int64_t group = t->step / t->steps_per_group;
        const int64_t to_fill = group < t->group_count - 1 ? t->group_count - 1 - group : 0;
        features_left_s = t->features_s / (double)t->groups_filled * (double)to_fill;
    }
    return (done > 0.0 ? (elapsed_s - t->features_s) / done * left : 0.0) + features_left_s;
}

double ei_train_spent_s(const struct ei_trainer *t)
{
    return t->earlier_s + (double)ei_mono_diff_ns(ei_mono_now(), t->began) / 1e9;
}

void ei_train_progress_fill(const struct ei_trainer *t, int64_t step, struct ei_train_progress *out)
{
    const struct ei_train_config *c = t->config;
    const int64_t group = step / t->steps_per_group, in_group = step % t->steps_per_group;
    const struct ei_mono now = ei_mono_now();
    const double elapsed_s = (double)ei_mono_diff_ns(now, t->began) / 1e9;
    *out = (struct ei_train_progress){.phase = c->train == EI_TRAIN_EXITS ? "exits" : "joint",
                                      .group = (int32_t)group + 1,
                                      .groups = t->group_count,
                                      .first_exit = t->groups[group].first_block + 1,
                                      .last_exit = t->groups[group].end_block,
                                      .epoch = (int32_t)(in_group / t->steps_per_epoch) + 1,
                                      .epochs = c->epochs,
                                      .step = t->step,
                                      .steps = t->steps,
                                      .lr = ei_train_lr(c, in_group, t->steps_per_group),
                                      .elapsed_s = elapsed_s,
                                      .left_s = seconds_left(t, elapsed_s),
                                      .exits = t->program.block_count};
    for (int32_t i = 0; i < out->exits; i++) {
        out->accuracy[i] = t->accuracy[i];
    }
    const double epoch_s = (double)ei_mono_diff_ns(now, t->epoch_began) / 1e9;
    if (t->step > t->epoch_first_step && epoch_s > 0.0) {
        out->samples_per_s = (double)(t->step - t->epoch_first_step) * (double)c->batch / epoch_s;
    }
}

void ei_train_progress_log(const struct ei_train_config *config, const struct ei_train_progress *p)
{
    FILE *log = config->log_path != NULL ? fopen(config->log_path, "ae") : NULL;
    if (log == NULL) {
        return; /* no reason to end a run of hours */
    }
    fprintf(log,
            "{\"epoch\":%d,\"phase\":\"%s\",\"group\":%d,\"groups\":%d,\"exits\":[%d,%d],\"step\":%lld,\"lr\":%.8f,"
            "\"loss\":%.6f,\"accuracy\":",
            p->epoch, p->phase, p->group, p->groups, p->first_exit, p->last_exit, (long long)p->step, (double)p->lr,
            (double)p->loss);
    for (int32_t i = 0; i < p->exits; i++) {
        fputc(i == 0 ? '[' : ',', log);
        if (p->evaluated && p->accuracy[i] >= 0.0F) {
            fprintf(log, "%.4f", (double)p->accuracy[i]);
        } else {
            fputs("null", log);
        }
    }
    fprintf(log, "],\"elapsed_s\":%.1f,\"left_s\":%.1f,\"samples_per_s\":%.1f}\n", p->elapsed_s, p->left_s,
            p->samples_per_s);
    fclose(log);
}
