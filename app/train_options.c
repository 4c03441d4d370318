/* Options of einet train: names, values, defaults. */
#include "app/train_options.h"

#include "app/commands.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- values of their own form ---- */

/* A number at *text, which moves behind it. */
static bool take_float(const char **text, float *out)
{
    char *end;
    errno = 0;
    *out = strtof(*text, &end);
    const bool ok = errno == 0 && end != *text && isfinite(*out);
    *text = end;
    return ok;
}

static bool take_int(const char **text, int32_t *out)
{
    char *end;
    errno = 0;
    const long value = strtol(*text, &end, 10);
    const bool ok = errno == 0 && end != *text && value >= 0 && value <= INT32_MAX;
    *out = ok ? (int32_t)value : 0;
    *text = end;
    return ok;
}

static bool take_char(const char **text, char wanted)
{
    const bool ok = **text == wanted;
    *text += ok ? 1 : 0;
    return ok;
}

/* Comma-separated numbers from 0 on; *io_count: most, then how many. */
static bool take_list(const char **text, float *out, int32_t *io_count)
{
    const int32_t most = *io_count;
    for (*io_count = 0; *io_count < most;) {
        if (!take_float(text, &out[*io_count]) || out[*io_count] < 0.0F) {
            return false;
        }
        (*io_count)++;
        if (!take_char(text, ',')) {
            return true;
        }
    }
    return false;
}

static int take_weights(void *request, const char *text, struct einet_error *err)
{
    struct train_request *r = request;
    int32_t count = EI_TRAIN_EXITS_MAX;
    (void)err;
    return take_list(&text, r->config.exit_weight, &count) && *text == '\0' ? 0 : -EINVAL;
}

static int take_schedule(void *request, const char *text, struct einet_error *err)
{
    struct ei_train_config *c = &((struct train_request *)request)->config;
    (void)err;
    if (strcmp(text, "one-cycle") == 0) {
        c->schedule = EI_TRAIN_ONE_CYCLE;
        return 0;
    }
    if (strncmp(text, "step:", 5) != 0) {
        return -EINVAL;
    }
    text += 5;
    c->schedule = EI_TRAIN_STEP;
    c->milestones = EI_TRAIN_MILESTONES_MAX;
    return take_list(&text, c->milestone, &c->milestones) && take_char(&text, ':') &&
                   take_float(&text, &c->step_factor) && *text == '\0'
               ? 0
               : -EINVAL;
}

/* "16:6,24:2,32:2" */
static int take_sizes(void *request, const char *text, struct einet_error *err)
{
    struct ei_train_config *c = &((struct train_request *)request)->config;
    (void)err;
    for (c->size_count = 0; c->size_count < EI_TRAIN_SIZES_MAX;) {
        struct ei_train_size *size = &c->sizes[c->size_count++];
        if (!take_int(&text, &size->side_px) || !take_char(&text, ':') || !take_int(&text, &size->epochs)) {
            return -EINVAL;
        }
        if (!take_char(&text, ',')) {
            return *text == '\0' ? 0 : -EINVAL;
        }
    }
    return -EINVAL;
}

/* "0.5" or "0.5:4" */
static int take_distill(void *request, const char *text, struct einet_error *err)
{
    struct ei_train_config *c = &((struct train_request *)request)->config;
    (void)err;
    if (!take_float(&text, &c->distill_weight)) {
        return -EINVAL;
    }
    if (take_char(&text, ':') && (!take_float(&text, &c->distill_temperature) || !(c->distill_temperature > 0.0F))) {
        return -EINVAL;
    }
    return *text == '\0' ? 0 : -EINVAL;
}

/* ---- the tables ---- */

#define FIELD(field) EINET_FIELD(struct train_request, field)

static const struct einet_option own_rows[] = {
    {.name = "model",
     .argument = "NAME",
     FIELD(config.zoo),
     .help = "a network of the zoo (einet models), or NAME-classic: its trunk and last exit alone"},
    {.name = "dataset", .argument = "NAME", FIELD(dataset), .help = "generated, mnist, cifar10 or cifar100"},
    {.name = "out",
     .argument = "FILE",
     FIELD(config.out_path),
     .is_replaced = true,
     .help = "weights to write (.safetensors); FILE's name with .json is the record of the run"},
    {.name = "train",
     .argument = "MODE",
     FIELD(config.train),
     .words = {[EI_TRAIN_JOINT] = "joint", [EI_TRAIN_EXITS] = "exits"},
     .help = "joint (default): everything, sum of the exits' losses; exits: the exits alone, on features of the trunk "
             "that are computed once and kept in memory"},
    {.name = "init",
     .argument = "FILE",
     FIELD(config.init_path),
     .help = "begin from weights: of the same network, or of another one with the same trunk"},
    {.name = "keep-last", FIELD(config.keep_last), .help = "exits: the last exit stays as it is, too"},
};

const struct einet_option einet_train_shared_rows[TRAIN_SHARED_ROWS] = {
    {.name = "data",
     .argument = "DIR",
     FIELD(data_root),
     .help = "folder of the real data sets (default: environment EINET_DATA, else data)"},
    {.name = "passes",
     .argument = "N",
     FIELD(config.passes),
     .low = 1,
     .help = "exits: differently shifted and mirrored copies of each picture, default 2"},
    {.name = "cache-mb",
     .argument = "N",
     FIELD(config.cache_mb),
     .low = 1,
     .help = "exits: memory for features in MiB, default 4096; exits that do not fit come in groups"},
    {.name = "distill",
     .argument = "W[:T]",
     .take = take_distill,
     .expected = "a weight, and behind a colon a temperature above 0, such as 0.5:4",
     .help = "each earlier exit also learns the last one's answer, softened by temperature T (default 3), with weight "
             "W"},
    {.help = "how"},
    {.name = "epochs", .argument = "N", FIELD(config.epochs), .help = "default 30; exits: of each group"},
    {.name = "batch", .argument = "N", FIELD(config.batch), .help = "samples a step, default 128"},
    {.name = "optimizer",
     .argument = "NAME",
     FIELD(config.optimizer),
     .words = {[EI_TRAIN_ADAM] = "adam", [EI_TRAIN_SGD] = "sgd"},
     .help = "adam (default) or sgd"},
    {.name = "momentum", .argument = "X", FIELD(config.momentum), .help = "sgd: default 0.9"},
    {.name = "no-nesterov", FIELD(config.plain_momentum), .help = "sgd: plain momentum"},
    {.name = "lr",
     .argument = "X",
     FIELD(config.lr),
     .help = "peak of the learning rate, default 0.001 for adam, 0.05 for sgd"},
    {.name = "schedule",
     .argument = "NAME",
     .take = take_schedule,
     .expected = "one-cycle, or step:FRACTION,..:FACTOR, such as step:0.5,0.75:0.1",
     .help = "one-cycle (default), or step:F,F,..:X: the rate times X at those fractions of the run, for example "
             "step:0.5,0.75:0.1"},
    {.name = "warmup-pct",
     .argument = "N",
     FIELD(config.warmup_fraction),
     .high = 100,
     .scale = 0.01,
     .help = "part of the steps in which the rate rises, default 20, with step 0"},
    {.name = "weight-decay",
     .argument = "X",
     FIELD(config.weight_decay),
     .help = "default 0.0005 for sgd, 0.01 for adam (decoupled)"},
    {.name = "label-smoothing", .argument = "X", FIELD(config.label_smoothing), .help = "default 0"},
    {.name = "exit-weights",
     .argument = "A,B,..",
     .take = take_weights,
     .expected = "numbers of at least 0 with commas between, such as 1,0.5,1",
     .help = "weight of each exit's loss, default 1 each"},
    {.name = "crop-px",
     .argument = "N",
     FIELD(config.crop_pad_px),
     .help = "random shift by up to N pixels, default 4 for cifar, 2 otherwise; 0 = none"},
    {.name = "flip", FIELD(config.flip), .help = "mirror left-right; default only for cifar, where it keeps the class"},
    {.name = "no-flip", FIELD(config.flip), .is_cleared = true, .help = "never mirror"},
    {.name = "sizes",
     .argument = "S:E,S:E,..",
     .take = take_sizes,
     .expected = "SIDE:EPOCHS with commas between, such as 16:6,32:4",
     .help = "joint: E epochs on pictures shrunk to S pixels, one after the other"},
    {.name = "bf16", FIELD(config.bfloat16), .help = "compute in bfloat16: faster where the processor has it"},
    {.name = "device",
     .argument = "NAME",
     FIELD(config.device),
     .words = {[EI_TRAIN_CPU] = "cpu", [EI_TRAIN_CUDA] = "cuda"},
     .help = "cpu (default) or cuda"},
    {.name = "threads", .argument = "N", FIELD(config.threads), .help = "default: all processors"},
    {.name = "seed", .argument = "N", FIELD(config.seed), .help = "default 1"},
    {.help = "what is told and kept"},
    {.name = "eval-every",
     .argument = "N",
     FIELD(config.eval_every),
     .low = 1,
     .help = "epochs between evaluations, default 1; the last epoch always"},
    {.name = "eval-batch",
     .argument = "N",
     FIELD(config.eval_batch),
     .low = 1,
     .help = "samples at once in the final evaluation; 1 gives the numbers of live inference (default 1, for large "
             "networks 64)"},
    {.name = "checkpoint",
     .argument = "FILE",
     FIELD(config.checkpoint_path),
     .help = "default: --out with .checkpoint appended"},
    {.name = "resume", FIELD(config.resume), .help = "continue from the checkpoint"},
    {.name = "log", .argument = "FILE", FIELD(config.log_path), .help = "append one JSON line per epoch"},
    {.name = "json",
     FIELD(is_json),
     .help = "print what was done as one JSON object (docs/command-json.md); the progress goes to standard error"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
};

static const struct einet_usage usage = {
    .command = "train",
    .head = "usage: einet train --model NAME --dataset NAME --out FILE [options]\n"
            "\n"
            "Train a multi-exit network and write half-precision weights: every exit together, or the exits alone on "
            "the\n"
            "trunk of weights that are there already. A checkpoint is written after each epoch and on Ctrl-C; "
            "--resume\n"
            "continues from it with the same result.\n",
    .tables = {EINET_OPTION_TABLE(own_rows, 0), EINET_OPTION_TABLE(einet_train_shared_rows, 0)},
    .foot =
        "exit status: 0 ok, also when a signal stopped it, 1 usage, 2 bad file, 5 anything else\n\n"
        "examples: einet train --model b-alexnet --dataset cifar10 --epochs 30 --out "
        "b-alexnet-cifar10.safetensors\n"
        "          einet train --model vgg-16 --dataset cifar10 --init vgg-16-classic.safetensors --train exits \\\n"
        "            --keep-last --epochs 4 --out vgg-16.safetensors\n",
};

/* ---- defaults ---- */

static void join_arguments(int argc, char **argv, char *out)
{
    size_t used = (size_t)snprintf(out, TRAIN_COMMAND_TEXT_BYTES, "%s", argv[0]);
    for (int i = 1; i < argc && used < TRAIN_COMMAND_TEXT_BYTES; i++) {
        if (strcmp(argv[i], "--resume") != 0) {
            used += (size_t)snprintf(out + used, TRAIN_COMMAND_TEXT_BYTES - used, " %s", argv[i]);
        }
    }
}

void train_options_begin(int argc, char **argv, struct train_request *out)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *out = (struct train_request){.config = {.optimizer = EI_TRAIN_ADAM,
                                             .epochs = 30,
                                             .batch = 128,
                                             .threads = processors > 0 ? (int32_t)processors : 1,
                                             .lr = -1.0F,
                                             .warmup_fraction = -1.0F,
                                             .momentum = 0.9F,
                                             .weight_decay = -1.0F,
                                             .crop_pad_px = -1,
                                             .seed = 1}};
    join_arguments(argc, argv, out->command);
    out->config.command = out->command;
}

/* Negative = not given. */
void train_options_settle(const struct einet_arguments *arguments, struct train_request *r)
{
    struct ei_train_config *c = &r->config;
    const bool is_cifar = strncmp(r->dataset, "cifar", 5) == 0;
    const bool is_adam = c->optimizer == EI_TRAIN_ADAM;
    const bool is_flip_given = einet_options_has(arguments, "flip") || einet_options_has(arguments, "no-flip");
    c->flip = is_flip_given ? c->flip : is_cifar;
    c->lr = c->lr < 0.0F ? (is_adam ? 0.001F : 0.05F) : c->lr;
    c->weight_decay = c->weight_decay < 0.0F ? (is_adam ? 0.01F : 0.0005F) : c->weight_decay;
    c->crop_pad_px = c->crop_pad_px < 0 ? (is_cifar ? 4 : 2) : c->crop_pad_px;
    if (c->warmup_fraction < 0.0F) {
        c->warmup_fraction = c->schedule == EI_TRAIN_STEP ? 0.0F : 0.2F;
    }
}

int train_options_read(int argc, char **argv, struct train_request *out)
{
    struct einet_arguments arguments;
    train_options_begin(argc, argv, out);
    const int status = einet_options_read(&usage, argc, argv, out, &arguments);
    if (status >= 0) {
        return status;
    }
    if (out->config.zoo == NULL || out->dataset == NULL || out->config.out_path == NULL) {
        return einet_options_refuse(&usage, "--model, --dataset and --out are needed");
    }
    train_options_settle(&arguments, out);
    return -1;
}
