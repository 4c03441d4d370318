/* einet train: train a multi-exit network and write its weights. */
#include "app/commands.h"
#include "models/train.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_TEXT_BYTES 1024

static volatile sig_atomic_t stop_requested;

static const char help[] =
    "usage: einet train --model NAME --dataset NAME --out FILE [options]\n"
    "\n"
    "Train every exit of a network together (sum of the exits' cross-entropies) and write half-precision weights.\n"
    "A checkpoint is written after each epoch and on Ctrl-C; --resume continues from it with the same result.\n"
    "\n"
    "  --model NAME          network: b-alexnet\n"
    "  --dataset NAME        generated, mnist, cifar10 or cifar100\n"
    "  --out FILE            weights to write (.safetensors); FILE's name with .json is the record of the run\n"
    "  --data DIR            folder of the real data sets (default: environment EINET_DATA, else data)\n"
    "  --epochs N            default 30\n"
    "  --batch N             samples a step, default 128\n"
    "  --optimizer NAME      adam (default) or sgd (Nesterov momentum 0.9)\n"
    "  --lr X                peak of the one-cycle learning rate, default 0.001 for adam, 0.05 for sgd\n"
    "  --warmup-pct N        part of the steps in which the rate rises, default 20\n"
    "  --weight-decay X      default 0.0005 for sgd, 0.01 for adam (decoupled)\n"
    "  --label-smoothing X   default 0\n"
    "  --exit-weights A,B,.. weight of each exit's loss, default 1 each\n"
    "  --crop-px N           random shift by up to N pixels, default 4 for cifar, 2 otherwise; 0 = none\n"
    "  --flip / --no-flip    mirror left-right; default only for cifar, where it keeps the class\n"
    "  --bf16                convolutions in bfloat16: faster where the processor has it\n"
    "  --threads N           default: all processors\n"
    "  --seed N              default 1\n"
    "  --checkpoint FILE     default: --out with .checkpoint appended\n"
    "  --resume              continue from the checkpoint\n"
    "  --log FILE            append one JSON line per epoch\n"
    "  --quiet               no progress\n"
    "\n"
    "example: einet train --model b-alexnet --dataset cifar10 --epochs 30 --out b-alexnet-cifar10.safetensors\n";

enum option_id {
    OPT_MODEL = 256,
    OPT_DATASET,
    OPT_OUT,
    OPT_DATA,
    OPT_EPOCHS,
    OPT_BATCH,
    OPT_OPTIMIZER,
    OPT_LR,
    OPT_WARMUP,
    OPT_DECAY,
    OPT_SMOOTHING,
    OPT_EXIT_WEIGHTS,
    OPT_CROP,
    OPT_FLIP,
    OPT_NO_FLIP,
    OPT_BF16,
    OPT_THREADS,
    OPT_SEED,
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
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"optimizer", required_argument, NULL, OPT_OPTIMIZER},
    {"lr", required_argument, NULL, OPT_LR},
    {"warmup-pct", required_argument, NULL, OPT_WARMUP},
    {"weight-decay", required_argument, NULL, OPT_DECAY},
    {"label-smoothing", required_argument, NULL, OPT_SMOOTHING},
    {"exit-weights", required_argument, NULL, OPT_EXIT_WEIGHTS},
    {"crop-px", required_argument, NULL, OPT_CROP},
    {"flip", no_argument, NULL, OPT_FLIP},
    {"no-flip", no_argument, NULL, OPT_NO_FLIP},
    {"bf16", no_argument, NULL, OPT_BF16},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"checkpoint", required_argument, NULL, OPT_CHECKPOINT},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"log", required_argument, NULL, OPT_LOG},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct request {
    struct ei_train_config config;
    const char *dataset, *data_root;
    bool quiet;
    char command[COMMAND_TEXT_BYTES];
};

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool parse_int(const char *text, int32_t *out)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0 || value > INT32_MAX) {
        return false;
    }
    *out = (int32_t)value;
    return true;
}

static bool parse_float(const char *text, float *out)
{
    char *end;
    errno = 0;
    const float value = strtof(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

static bool parse_weights(const char *text, float *out)
{
    for (int i = 0; i < EI_TRAIN_EXITS_MAX; i++) {
        char *end;
        errno = 0;
        out[i] = strtof(text, &end);
        if (errno != 0 || end == text || !isfinite(out[i]) || out[i] < 0.0F) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
        if (*end != ',') {
            return false;
        }
        text = end + 1;
    }
    return false;
}

static bool parse_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

/* Returns whether the value was understood. */
static bool apply_option(struct request *r, int id, const char *value)
{
    struct ei_train_config *c = &r->config;
    switch (id) {
    case OPT_MODEL:
        c->zoo = value;
        return true;
    case OPT_DATASET:
        r->dataset = value;
        return true;
    case OPT_OUT:
        c->out_path = value;
        return true;
    case OPT_DATA:
        r->data_root = value;
        return true;
    case OPT_EPOCHS:
        return parse_int(value, &c->epochs);
    case OPT_BATCH:
        return parse_int(value, &c->batch);
    case OPT_OPTIMIZER:
        c->optimizer = strcmp(value, "sgd") == 0 ? EI_TRAIN_SGD : EI_TRAIN_ADAM;
        return strcmp(value, "sgd") == 0 || strcmp(value, "adam") == 0;
    case OPT_LR:
        return parse_float(value, &c->lr);
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
    case OPT_FLIP:
    case OPT_NO_FLIP:
        c->flip = id == OPT_FLIP;
        return true;
    case OPT_BF16:
        c->bfloat16 = true;
        return true;
    case OPT_THREADS:
        return parse_int(value, &c->threads);
    case OPT_SEED:
        return parse_seed(value, &c->seed);
    case OPT_CHECKPOINT:
        c->checkpoint_path = value;
        return true;
    case OPT_RESUME:
        c->resume = true;
        return true;
    case OPT_LOG:
        c->log_path = value;
        return true;
    case OPT_QUIET:
        r->quiet = true;
        return true;
    default:
        return false;
    }
}

static void on_progress(void *context, const struct ei_train_progress *p)
{
    const bool is_terminal = *(const bool *)context;
    if (p->epoch_done) {
        printf("%sepoch %d/%d  loss %.4f  accuracy", is_terminal ? "\r\033[K" : "", p->epoch, p->epochs,
               (double)p->loss);
        for (int32_t i = 0; i < p->exits; i++) {
            printf(" %.2f%%", (double)p->accuracy[i] * 100.0);
        }
        printf("  %.0f s, %.0f s left\n", p->elapsed_s, p->left_s);
        fflush(stdout);
    } else if (is_terminal && p->step % 5 == 0) {
        printf("\r\033[Kepoch %d/%d  step %lld/%lld  loss %.4f  lr %.2g  %.0f s left", p->epoch, p->epochs,
               (long long)p->step, (long long)p->steps, (double)p->loss, (double)p->lr, p->left_s);
        fflush(stdout);
    }
}

/* Settings that were not given follow from the others. Negative = not given. */
static void apply_defaults(struct request *r)
{
    struct ei_train_config *c = &r->config;
    const bool is_cifar = strncmp(r->dataset, "cifar", 5) == 0;
    const bool is_adam = c->optimizer == EI_TRAIN_ADAM;
    c->lr = c->lr < 0.0F ? (is_adam ? 0.001F : 0.05F) : c->lr;
    c->weight_decay = c->weight_decay < 0.0F ? (is_adam ? 0.01F : 0.0005F) : c->weight_decay;
    c->crop_pad_px = c->crop_pad_px < 0 ? (is_cifar ? 4 : 2) : c->crop_pad_px;
}

static void join_arguments(int argc, char **argv, char *out)
{
    size_t used = (size_t)snprintf(out, COMMAND_TEXT_BYTES, "einet");
    for (int i = 0; i < argc && used < COMMAND_TEXT_BYTES; i++) {
        if (strcmp(argv[i], "--resume") != 0) {
            used += (size_t)snprintf(out + used, COMMAND_TEXT_BYTES - used, " %s", argv[i]);
        }
    }
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
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

int einet_train_command(int argc, char **argv)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct request r = {.config = {.optimizer = EI_TRAIN_ADAM,
                                   .epochs = 30,
                                   .batch = 128,
                                   .threads = processors > 0 ? (int32_t)processors : 1,
                                   .lr = -1.0F,
                                   .warmup_fraction = 0.2F,
                                   .momentum = 0.9F,
                                   .weight_decay = -1.0F,
                                   .crop_pad_px = -1,
                                   .seed = 1,
                                   .stop = &stop_requested}};
    join_arguments(argc, argv, r.command);
    const int status = parse_arguments(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    apply_defaults(&r);
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    r.config.command = r.command;
    r.config.on_progress = r.quiet ? NULL : on_progress;
    r.config.context = &is_terminal;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

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
