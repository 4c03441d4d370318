/* Options of einet train: names, values, defaults. */
#include "app/train_options.h"

#include "app/commands.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: einet train --model NAME --dataset NAME --out FILE [options]\n"
    "\n"
    "Train a multi-exit network and write half-precision weights: every exit together, or the exits alone on the\n"
    "trunk of weights that are there already. A checkpoint is written after each epoch and on Ctrl-C; --resume\n"
    "continues from it with the same result.\n"
    "\n"
    "  --model NAME          a network of the zoo (einet models), or NAME-classic: its trunk and last exit alone\n"
    "  --dataset NAME        generated, mnist, cifar10 or cifar100\n"
    "  --out FILE            weights to write (.safetensors); FILE's name with .json is the record of the run\n"
    "  --data DIR            folder of the real data sets (default: environment EINET_DATA, else data)\n"
    "what is trained\n"
    "  --train MODE          joint (default): everything, sum of the exits' losses; exits: the exits alone, on "
    "features\n"
    "                        of the trunk that are computed once and kept in memory\n"
    "  --init FILE           begin from weights: of the same network, or of another one with the same trunk\n"
    "  --keep-last           exits: the last exit stays as it is, too\n"
    "  --passes N            exits: differently shifted and mirrored copies of each picture, default 2\n"
    "  --cache-mb N          exits: memory for features in MiB, default 4096; exits that do not fit come in groups\n"
    "  --distill W[:T]       each earlier exit also learns the last one's answer, softened by temperature T (default "
    "3),\n"
    "                        with weight W\n"
    "how\n"
    "  --epochs N            default 30; exits: of each group\n"
    "  --batch N             samples a step, default 128\n"
    "  --optimizer NAME      adam (default) or sgd\n"
    "  --momentum X          sgd: default 0.9\n"
    "  --no-nesterov         sgd: plain momentum\n"
    "  --lr X                peak of the learning rate, default 0.001 for adam, 0.05 for sgd\n"
    "  --schedule NAME       one-cycle (default), or step:F,F,..:X: the rate times X at those fractions of the run,\n"
    "                        for example step:0.5,0.75:0.1\n"
    "  --warmup-pct N        part of the steps in which the rate rises, default 20, with step 0\n"
    "  --weight-decay X      default 0.0005 for sgd, 0.01 for adam (decoupled)\n"
    "  --label-smoothing X   default 0\n"
    "  --exit-weights A,B,.. weight of each exit's loss, default 1 each\n"
    "  --crop-px N           random shift by up to N pixels, default 4 for cifar, 2 otherwise; 0 = none\n"
    "  --flip / --no-flip    mirror left-right; default only for cifar, where it keeps the class\n"
    "  --sizes S:E,S:E,..    joint: E epochs on pictures shrunk to S pixels, one after the other\n"
    "  --bf16                compute in bfloat16: faster where the processor has it\n"
    "  --device NAME         cpu (default) or cuda\n"
    "  --threads N           default: all processors\n"
    "  --seed N              default 1\n"
    "what is told and kept\n"
    "  --eval-every N        epochs between evaluations, default 1; the last epoch always\n"
    "  --eval-batch N        samples at once in the final evaluation; 1 gives the numbers of live inference\n"
    "                        (default 1, for large networks 64)\n"
    "  --checkpoint FILE     default: --out with .checkpoint appended\n"
    "  --resume              continue from the checkpoint\n"
    "  --log FILE            append one JSON line per epoch\n"
    "  --quiet               no progress\n"
    "\n"
    "exit status: 0 ok, also when a signal stopped it, 1 usage, 2 bad file, 5 anything else\n\n"
    "examples: einet train --model b-alexnet --dataset cifar10 --epochs 30 --out b-alexnet-cifar10.safetensors\n"
    "          einet train --model vgg-16 --dataset cifar10 --init vgg-16-classic.safetensors --train exits \\\n"
    "            --keep-last --epochs 4 --out vgg-16.safetensors\n";

enum option_id {
    OPT_MODEL = 256,
    OPT_DATASET,
    OPT_OUT,
    OPT_DATA,
    OPT_TRAIN,
    OPT_INIT,
    OPT_KEEP_LAST,
    OPT_PASSES,
    OPT_CACHE,
    OPT_DISTILL,
    OPT_EPOCHS,
    OPT_BATCH,
    OPT_OPTIMIZER,
    OPT_MOMENTUM,
    OPT_NO_NESTEROV,
    OPT_LR,
    OPT_SCHEDULE,
    OPT_WARMUP,
    OPT_DECAY,
    OPT_SMOOTHING,
    OPT_EXIT_WEIGHTS,
    OPT_CROP,
    OPT_FLIP,
    OPT_NO_FLIP,
    OPT_SIZES,
    OPT_BF16,
    OPT_DEVICE,
    OPT_THREADS,
    OPT_SEED,
    OPT_EVAL_EVERY,
    OPT_EVAL_BATCH,
    OPT_CHECKPOINT,
    OPT_RESUME,
    OPT_LOG,
    OPT_QUIET,
    OPT_HELP
};

static const struct option options[] = {
    {"model", required_argument, NULL, OPT_MODEL},
    {"dataset", required_argument, NULL, OPT_DATASET},
    {"out", required_argument, NULL, OPT_OUT},
    {"data", required_argument, NULL, OPT_DATA},
    {"train", required_argument, NULL, OPT_TRAIN},
    {"init", required_argument, NULL, OPT_INIT},
    {"keep-last", no_argument, NULL, OPT_KEEP_LAST},
    {"passes", required_argument, NULL, OPT_PASSES},
    {"cache-mb", required_argument, NULL, OPT_CACHE},
    {"distill", required_argument, NULL, OPT_DISTILL},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"optimizer", required_argument, NULL, OPT_OPTIMIZER},
    {"momentum", required_argument, NULL, OPT_MOMENTUM},
    {"no-nesterov", no_argument, NULL, OPT_NO_NESTEROV},
    {"lr", required_argument, NULL, OPT_LR},
    {"schedule", required_argument, NULL, OPT_SCHEDULE},
    {"warmup-pct", required_argument, NULL, OPT_WARMUP},
    {"weight-decay", required_argument, NULL, OPT_DECAY},
    {"label-smoothing", required_argument, NULL, OPT_SMOOTHING},
    {"exit-weights", required_argument, NULL, OPT_EXIT_WEIGHTS},
    {"crop-px", required_argument, NULL, OPT_CROP},
    {"flip", no_argument, NULL, OPT_FLIP},
    {"no-flip", no_argument, NULL, OPT_NO_FLIP},
    {"sizes", required_argument, NULL, OPT_SIZES},
    {"bf16", no_argument, NULL, OPT_BF16},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"eval-every", required_argument, NULL, OPT_EVAL_EVERY},
    {"eval-batch", required_argument, NULL, OPT_EVAL_BATCH},
    {"checkpoint", required_argument, NULL, OPT_CHECKPOINT},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"log", required_argument, NULL, OPT_LOG},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

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

static bool parse_int(const char *text, int32_t *out)
{
    return take_int(&text, out) && *text == '\0';
}

/* At least 1: 0 means "not given" in the configuration. */
static bool parse_count(const char *text, int32_t *out)
{
    return parse_int(text, out) && *out >= 1;
}

static bool parse_float(const char *text, float *out)
{
    return take_float(&text, out) && *text == '\0';
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

static bool parse_weights(const char *text, float *out)
{
    int32_t count = EI_TRAIN_EXITS_MAX;
    return take_list(&text, out, &count) && *text == '\0';
}

/* "one-cycle" or "step:0.5,0.75:0.1" */
static bool parse_schedule(const char *text, struct ei_train_config *c)
{
    if (strcmp(text, "one-cycle") == 0) {
        c->schedule = EI_TRAIN_ONE_CYCLE;
        return true;
    }
    if (strncmp(text, "step:", 5) != 0) {
        return false;
    }
    text += 5;
    c->schedule = EI_TRAIN_STEP;
    c->milestones = EI_TRAIN_MILESTONES_MAX;
    return take_list(&text, c->milestone, &c->milestones) && take_char(&text, ':') &&
           take_float(&text, &c->step_factor) && *text == '\0';
}

/* "16:6,24:2,32:2" */
static bool parse_sizes(const char *text, struct ei_train_config *c)
{
    for (c->size_count = 0; c->size_count < EI_TRAIN_SIZES_MAX;) {
        struct ei_train_size *size = &c->sizes[c->size_count++];
        if (!take_int(&text, &size->side_px) || !take_char(&text, ':') || !take_int(&text, &size->epochs)) {
            return false;
        }
        if (!take_char(&text, ',')) {
            return *text == '\0';
        }
    }
    return false;
}

/* "0.5" or "0.5:4" */
static bool parse_distill(const char *text, struct ei_train_config *c)
{
    if (!take_float(&text, &c->distill_weight)) {
        return false;
    }
    if (take_char(&text, ':') && (!take_float(&text, &c->distill_temperature) || !(c->distill_temperature > 0.0F))) {
        return false;
    }
    return *text == '\0';
}

static bool parse_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

/* Index of text in a list of names; -1 = none. */
static int32_t find_name(const char *text, const char *const names[2])
{
    return strcmp(text, names[0]) == 0 ? 0 : (strcmp(text, names[1]) == 0 ? 1 : -1);
}

static bool apply_place(struct train_request *r, int id, const char *value)
{
    struct ei_train_config *c = &r->config;
    const char **const texts[] = {
        [OPT_MODEL - OPT_MODEL] = &c->zoo,      [OPT_DATASET - OPT_MODEL] = &r->dataset,
        [OPT_OUT - OPT_MODEL] = &c->out_path,   [OPT_DATA - OPT_MODEL] = &r->data_root,
        [OPT_INIT - OPT_MODEL] = &c->init_path, [OPT_CHECKPOINT - OPT_MODEL] = &c->checkpoint_path,
        [OPT_LOG - OPT_MODEL] = &c->log_path,
    };
    *texts[id - OPT_MODEL] = value;
    return true;
}

/* Options whose value is a word or nothing. */
static bool apply_choice(struct train_request *r, int id, const char *value)
{
    struct ei_train_config *c = &r->config;
    int32_t chosen;
    switch (id) {
    case OPT_TRAIN:
        chosen = find_name(value, (const char *const[2]){"joint", "exits"});
        c->train = chosen == 1 ? EI_TRAIN_EXITS : EI_TRAIN_JOINT;
        return chosen >= 0;
    case OPT_OPTIMIZER:
        chosen = find_name(value, (const char *const[2]){"adam", "sgd"});
        c->optimizer = chosen == 1 ? EI_TRAIN_SGD : EI_TRAIN_ADAM;
        return chosen >= 0;
    case OPT_DEVICE:
        chosen = find_name(value, (const char *const[2]){"cpu", "cuda"});
        c->device = chosen == 1 ? EI_TRAIN_CUDA : EI_TRAIN_CPU;
        return chosen >= 0;
    case OPT_KEEP_LAST:
        c->keep_last = true;
        return true;
    case OPT_NO_NESTEROV:
        c->plain_momentum = true;
        return true;
    case OPT_FLIP:
    case OPT_NO_FLIP:
        c->flip = id == OPT_FLIP;
        return true;
    case OPT_BF16:
        c->bfloat16 = true;
        return true;
    case OPT_RESUME:
        c->resume = true;
        return true;
    case OPT_QUIET:
        r->quiet = true;
        return true;
    default:
        return false;
    }
}

/* Returns whether the value was understood. */
static bool apply_option(struct train_request *r, int id, const char *value)
{
    struct ei_train_config *c = &r->config;
    switch (id) {
    case OPT_MODEL:
    case OPT_DATASET:
    case OPT_OUT:
    case OPT_DATA:
    case OPT_INIT:
    case OPT_CHECKPOINT:
    case OPT_LOG:
        return apply_place(r, id, value);
    case OPT_PASSES:
        return parse_count(value, &c->passes);
    case OPT_CACHE:
        return parse_count(value, &c->cache_mb);
    case OPT_DISTILL:
        return parse_distill(value, c);
    case OPT_EPOCHS:
        return parse_int(value, &c->epochs);
    case OPT_BATCH:
        return parse_int(value, &c->batch);
    case OPT_MOMENTUM:
        return parse_float(value, &c->momentum);
    case OPT_LR:
        return parse_float(value, &c->lr);
    case OPT_SCHEDULE:
        return parse_schedule(value, c);
    case OPT_WARMUP: {
        int32_t pct = 0;
        const bool ok = parse_int(value, &pct);
        c->warmup_fraction = (float)pct / 100.0F;
        return ok;
    }
    case OPT_DECAY:
        return parse_float(value, &c->weight_decay);
    case OPT_SMOOTHING:
        return parse_float(value, &c->label_smoothing);
    case OPT_EXIT_WEIGHTS:
        return parse_weights(value, c->exit_weight);
    case OPT_CROP:
        return parse_int(value, &c->crop_pad_px);
    case OPT_SIZES:
        return parse_sizes(value, c);
    case OPT_THREADS:
        return parse_int(value, &c->threads);
    case OPT_SEED:
        return parse_seed(value, &c->seed);
    case OPT_EVAL_EVERY:
        return parse_count(value, &c->eval_every);
    case OPT_EVAL_BATCH:
        return parse_count(value, &c->eval_batch);
    default:
        return apply_choice(r, id, value);
    }
}

/* Settings that were not given follow from the others. Negative = not given. */
static void apply_defaults(struct train_request *r)
{
    struct ei_train_config *c = &r->config;
    const bool is_cifar = strncmp(r->dataset, "cifar", 5) == 0;
    const bool is_adam = c->optimizer == EI_TRAIN_ADAM;
    c->lr = c->lr < 0.0F ? (is_adam ? 0.001F : 0.05F) : c->lr;
    c->weight_decay = c->weight_decay < 0.0F ? (is_adam ? 0.01F : 0.0005F) : c->weight_decay;
    c->crop_pad_px = c->crop_pad_px < 0 ? (is_cifar ? 4 : 2) : c->crop_pad_px;
    if (c->warmup_fraction < 0.0F) {
        c->warmup_fraction = c->schedule == EI_TRAIN_STEP ? 0.0F : 0.2F;
    }
}

static void join_arguments(int argc, char **argv, char *out)
{
    size_t used = (size_t)snprintf(out, TRAIN_COMMAND_TEXT_BYTES, "einet");
    for (int i = 0; i < argc && used < TRAIN_COMMAND_TEXT_BYTES; i++) {
        if (strcmp(argv[i], "--resume") != 0) {
            used += (size_t)snprintf(out + used, TRAIN_COMMAND_TEXT_BYTES - used, " %s", argv[i]);
        }
    }
}

static int parse_arguments(int argc, char **argv, struct train_request *r)
{
    bool flip_given = false;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (id == 'h' || id == OPT_HELP) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (id == '?') {
            fputs("einet train --help lists the options\n", stderr);
            return EINET_EXIT_USAGE;
        }
        flip_given = flip_given || id == OPT_FLIP || id == OPT_NO_FLIP;
        if (!apply_option(r, id, optarg)) {
            fprintf(stderr, "einet train: '%s' is no value for --%s; einet train --help\n", optarg,
                    options[id - OPT_MODEL].name);
            return EINET_EXIT_USAGE;
        }
    }
    if (optind < argc || r->config.zoo == NULL || r->dataset == NULL || r->config.out_path == NULL) {
        fputs("einet train: --model, --dataset and --out are needed, and nothing else without a name; "
              "einet train --help\n",
              stderr);
        return EINET_EXIT_USAGE;
    }
    r->config.flip = flip_given ? r->config.flip : strncmp(r->dataset, "cifar", 5) == 0;
    return -1;
}

int train_options_read(int argc, char **argv, struct train_request *out)
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
    const int status = parse_arguments(argc, argv, out);
    if (status < 0) {
        apply_defaults(out);
    }
    return status;
}
