/* Settings that make no sense are refused before anything is read, computed or written. */
#include "models/trainer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_unit(float value) /* [0, 1) */
{
    return value >= 0.0F && value < 1.0F;
}

static int check_counts(const struct ei_train_config *c, const struct ei_dataset_info *info, struct einet_error *err)
{
    const struct {
        const char *name;
        int32_t value, low, high;
    } counts[] = {
        {"epochs", c->epochs, 1, 10000},
        {"batch", c->batch, 1, info->count < 65536 ? info->count : 65536},
        {"threads", c->threads, 1, 1024},
        {"crop-px", c->crop_pad_px, 0, 16},
        {"passes", c->passes, 0, 64},
        {"cache-mb", c->cache_mb, 0, 16 * 1024 * 1024},
        {"eval-every", c->eval_every, 0, 10000},
        {"eval-batch", c->eval_batch, 0, EI_TRAIN_EVAL_BATCH_MAX},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i].value < counts[i].low || counts[i].value > counts[i].high) {
            return einet_error_set(err, EINET_E_USAGE, "%s is %d, %d to %d are possible%s", counts[i].name,
                                   counts[i].value, counts[i].low, counts[i].high,
                                   i == 1 ? " (not more than the samples)" : "");
        }
    }
    return 0;
}

static int check_rates(const struct ei_train_config *c, struct einet_error *err)
{
    if (!(c->lr > 0.0F && c->lr <= 100.0F) || !(c->warmup_fraction >= 0.0F && c->warmup_fraction <= 1.0F) ||
        !is_unit(c->momentum) || !is_unit(c->weight_decay) || !is_unit(c->label_smoothing)) {
        return einet_error_set(err, EINET_E_USAGE,
                               "out of range: lr in (0, 100], warm-up 0..1, momentum, weight decay and label smoothing "
                               "in [0, 1)");
    }
    for (int i = 0; i < EI_TRAIN_EXITS_MAX; i++) {
        if (!(c->exit_weight[i] >= 0.0F && c->exit_weight[i] <= 1000.0F)) {
            return einet_error_set(err, EINET_E_USAGE, "the weight of exit %d is outside 0..1000", i + 1);
        }
    }
    if (!(c->distill_weight >= 0.0F && c->distill_weight <= 1000.0F) ||
        !(c->distill_temperature >= 0.0F && c->distill_temperature <= 1000.0F)) {
        return einet_error_set(err, EINET_E_USAGE,
                               "distillation takes a weight of 0..1000 and a temperature of up to "
                               "1000");
    }
    if (c->schedule != EI_TRAIN_STEP) {
        return 0;
    }
    if (c->milestones < 1 || c->milestones > EI_TRAIN_MILESTONES_MAX ||
        !(c->step_factor > 0.0F && c->step_factor <= 1.0F)) {
        return einet_error_set(err, EINET_E_USAGE, "a step schedule has 1 to %d milestones and a factor in (0, 1]",
                               EI_TRAIN_MILESTONES_MAX);
    }
    for (int32_t i = 0; i < c->milestones; i++) {
        if (!(c->milestone[i] > (i > 0 ? c->milestone[i - 1] : 0.0F) && c->milestone[i] < 1.0F)) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "milestone %d of the step schedule is %g: fractions of the run rise between 0 and 1",
                                   i + 1, (double)c->milestone[i]);
        }
    }
    return 0;
}

static int check_mode(const struct ei_train_config *c, struct einet_error *err)
{
    const char *fault = NULL;
    if (c->train == EI_TRAIN_EXITS && c->init_path == NULL && !c->resume) {
        fault =
            "--train exits keeps the trunk as it is: give its weights with --init (NAME-classic of the same network), "
            "or --resume";
    } else if (c->train == EI_TRAIN_EXITS && c->size_count > 0) {
        fault = "--sizes is for --train joint: cached features are of one size";
    } else if (c->train == EI_TRAIN_EXITS && c->distill_weight > 0.0F && !c->keep_last) {
        fault =
            "--distill with --train exits needs --keep-last: the teacher may not change while the exits learn from it";
    } else if (c->train == EI_TRAIN_JOINT && c->keep_last) {
        fault = "--keep-last is for --train exits: joint training changes every exit";
    } else if ((c->norm_mean == NULL) != (c->norm_std == NULL)) {
        fault = "a normalisation has mean and deviation, or neither";
    }
    return fault == NULL ? 0 : einet_error_set(err, EINET_E_USAGE, "%s", fault);
}

int ei_train_check(const struct ei_train_config *c, const struct ei_dataset *train, const struct ei_dataset *test,
                   struct einet_error *err)
{
    const struct ei_dataset_info *a = ei_dataset_info(train), *b = ei_dataset_info(test);
    if (strcmp(a->name, b->name) != 0 || a->classes != b->classes || a->channels != b->channels) {
        return einet_error_set(err, EINET_E_MISMATCH, "the splits are of two data sets: %s and %s", a->name, b->name);
    }
    int rc = check_counts(c, a, err);
    if (rc == 0) {
        rc = check_rates(c, err);
    }
    return rc == 0 ? check_mode(c, err) : rc;
}

/* Whether the network takes pictures of another size: its shapes are walked through. */
static int check_size(const struct ei_program *program, int32_t side_px, struct einet_error *err)
{
    struct ei_program *resized = malloc(sizeof *resized);
    if (resized == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    struct einet_error fault = {0};
    *resized = *program;
    resized->input.height_px = resized->input.width_px = side_px;
    const int rc = ei_program_check(resized, &fault);
    free(resized);
    return rc == 0 ? 0
                   : einet_error_set(err, EINET_E_USAGE,
                                     "%s does not take %dx%d pictures (%.300s): --sizes is for networks that average "
                                     "over the picture before each classifier, resnet-50-classic for one",
                                     program->name, side_px, side_px, fault.text);
}

static int check_sizes(const struct ei_train_config *c, const struct ei_program *program, struct einet_error *err)
{
    int32_t sum = 0;
    if (c->size_count < 0 || c->size_count > EI_TRAIN_SIZES_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "%d sizes, at most %d are possible", c->size_count,
                               EI_TRAIN_SIZES_MAX);
    }
    if (c->size_count > 0 &&
        (program->input.width_px != program->input.height_px || program->input.width_px > EI_BATCH_SIDE_MAX_PX)) {
        return einet_error_set(err, EINET_E_USAGE, "--sizes is for square pictures of up to %d pixels",
                               EI_BATCH_SIDE_MAX_PX);
    }
    for (int32_t i = 0; i < c->size_count; i++) {
        const struct ei_train_size *size = &c->sizes[i];
        if (size->side_px < EI_TRAIN_SIDE_MIN_PX || size->side_px > program->input.width_px || size->epochs < 1 ||
            size->epochs > c->epochs) {
            return einet_error_set(err, EINET_E_USAGE, "size %d:%d: sides are %d to %d, epochs 1 to %d", size->side_px,
                                   size->epochs, EI_TRAIN_SIDE_MIN_PX, program->input.width_px, c->epochs);
        }
        sum += size->epochs;
        const int rc = check_size(program, size->side_px, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (c->size_count > 0 && sum != c->epochs) {
        return einet_error_set(err, EINET_E_USAGE, "the sizes' epochs sum to %d, the run has %d", sum, c->epochs);
    }
    return 0;
}

int ei_train_check_program(const struct ei_train_config *c, const struct ei_program *program,
                           const struct ei_dataset_info *info, struct einet_error *err)
{
    if (info->height_px != program->input.height_px || info->width_px != program->input.width_px) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s takes %dx%d pictures, %s has %dx%d", program->name,
                               program->input.width_px, program->input.height_px, info->name, info->width_px,
                               info->height_px);
    }
    if (info->channels != program->input.channels || info->classes != program->classes) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s is for %d channels and %d classes, %s has %d and %d",
                               program->name, program->input.channels, program->classes, info->name, info->channels,
                               info->classes);
    }
    if (c->keep_last && program->block_count == 1) {
        return einet_error_set(err, EINET_E_USAGE, "%s has one exit: with --keep-last nothing is left to train",
                               program->name);
    }
    if (c->distill_weight > 0.0F && program->block_count == 1) {
        return einet_error_set(err, EINET_E_USAGE, "%s has one exit: no earlier one could learn from it by --distill",
                               program->name);
    }
    for (int32_t i = program->block_count; i < EI_TRAIN_EXITS_MAX; i++) {
        if (c->exit_weight[i] > 0.0F) {
            return einet_error_set(err, EINET_E_USAGE, "a weight is given for exit %d, %s has %d exits", i + 1,
                                   program->name, program->block_count);
        }
    }
    return check_sizes(c, program, err);
}
