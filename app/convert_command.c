/* einet convert: a trained single-exit network becomes a multi-exit one. */
#include "app/commands.h"
#include "app/train_options.h"
#include "app/train_progress.h"
#include "models/batch.h"
#include "models/convert.h"
#include "stages/nn/safetensors.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSED_MAX 96
#define OWN_COUNT ((int)(sizeof own_options / sizeof own_options[0]))

static const char help[] =
    "usage: einet convert --weights FILE --to NAME --out FILE [options]\n"
    "       einet convert --script FILE --input CxHxW --classes N --dataset NAME --out DIR [options]\n"
    "\n"
    "Make a trained single-exit network a multi-exit one: cut after each convolution and what follows it, attach\n"
    "exits, train them. The trunk and the last exit keep their numbers. The first form takes weights of the zoo, as\n"
    "of vgg-16-classic to vgg-16. The second takes a TorchScript file whose forward is a chain of its children and\n"
    "writes a bundle: known children become layers, others stay frozen TorchScript parts (docs/bundles.md).\n"
    "\n"
    "  --weights FILE        single-exit weights of einet train\n"
    "  --to NAME             the network of the zoo to make, with the same trunk (einet models)\n"
    "  --script FILE         scripted or traced module, [n, C, H, W] floats in, [n, classes] out\n"
    "  --input CxHxW         what it takes, for example 3x32x32\n"
    "  --classes N           what it tells apart\n"
    "  --dataset NAME        that it was trained on: generated, mnist, cifar10 or cifar100\n"
    "  --out PATH            weights (.safetensors), or the bundle's folder, which is made\n"
    "  --name NAME           of the bundle's network (default: as the TorchScript file)\n"
    "  --cut WHERE           conv (default): before each convolution but the first; pool: after each pool;\n"
    "                        or the layers to cut after, from 0, rising: 3,7,11\n"
    "  --head CHANNELS,HIDDEN  sizes of the new exits, default 64,128\n"
    "  --mean A,B,C --std A,B,C  normalisation that the module was trained with, on the 0..1 scale (default: that of "
    "the\n"
    "                        data set's training pictures)\n"
    "  --untrained           write the new exits as they were drawn from the seed\n"
    "  --train MODE          exits (default): trunk and last exit stay as they are; joint: everything, which a trunk "
    "with\n"
    "                        TorchScript parts does not allow\n"
    "  and the options of einet train: --data, --epochs, --batch, --lr, --seed, --threads, --resume, --quiet, ...\n"
    "\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
    "example: einet convert --script model.pt --input 3x32x32 --classes 10 --dataset cifar10 --out model-bundle\n";

enum own_option {
    OWN_WEIGHTS,
    OWN_TO,
    OWN_SCRIPT,
    OWN_INPUT,
    OWN_CLASSES,
    OWN_DATASET,
    OWN_OUT,
    OWN_NAME,
    OWN_CUT,
    OWN_HEAD,
    OWN_MEAN,
    OWN_STD
};

static const char *const own_options[] = {
    [OWN_WEIGHTS] = "weights", [OWN_TO] = "to",           [OWN_SCRIPT] = "script", [OWN_INPUT] = "input",
    [OWN_CLASSES] = "classes", [OWN_DATASET] = "dataset", [OWN_OUT] = "out",       [OWN_NAME] = "name",
    [OWN_CUT] = "cut",         [OWN_HEAD] = "head",       [OWN_MEAN] = "mean",     [OWN_STD] = "std",
};

struct request {
    const char *own[sizeof own_options / sizeof own_options[0]]; /* values, NULL = not given */
    bool is_untrained;
    char *passed[PASSED_MAX]; /* what einet train's options read */
    int passed_count;
    char dataset[64]; /* as given, or as the weights say */
    char name[32];
    struct ei_convert_chain_config chain;
    bool has_norm;
    struct train_request train;
};

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static int usage(const char *fault)
{
    fprintf(stderr, "einet convert: %s; einet convert --help\n", fault);
    return EINET_EXIT_USAGE;
}

/* ---- arguments ---- */

/* The own option that argument names, -1 = none. out_value: behind its '=', NULL = the next argument is it. */
static int find_own(const char *argument, const char **out_value)
{
    for (int i = 0; i < OWN_COUNT; i++) {
        const size_t length = strlen(own_options[i]);
        if (strncmp(argument, "--", 2) == 0 && strncmp(argument + 2, own_options[i], length) == 0 &&
            (argument[2 + length] == '\0' || argument[2 + length] == '=')) {
            *out_value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
            return i;
        }
    }
    return -1;
}

static bool pass(struct request *r, const char *argument)
{
    if (r->passed_count == PASSED_MAX) {
        return false;
    }
    r->passed[r->passed_count++] = (char *)(uintptr_t)argument; /* getopt moves the pointers, not the texts */
    return true;
}

/* Own options to own, the rest to einet train's. Returns -1 to go on, else the exit status. */
static int split_arguments(int argc, char **argv, struct request *r)
{
    bool fits = pass(r, "convert") && pass(r, "--train") && pass(r, "exits");
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const int own = find_own(argv[i], &value);
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (strcmp(argv[i], "--untrained") == 0) {
            r->is_untrained = true;
        } else if (own < 0) {
            fits = pass(r, argv[i]) && fits;
        } else if (value != NULL) {
            r->own[own] = value;
        } else if (i + 1 < argc) {
            r->own[own] = argv[++i];
        } else {
            fprintf(stderr, "einet convert: --%s needs a value; einet convert --help\n", own_options[own]);
            return EINET_EXIT_USAGE;
        }
    }
    return fits ? -1 : usage("too many arguments");
}

/* Exactly or at most `max` whole numbers with the separator between; returns how many, 0 = malformed. */
static int32_t parse_ints(const char *text, char separator, int32_t max, int32_t *out)
{
    for (int32_t i = 0; i < max; i++) {
        char *end;
        errno = 0;
        const long value = strtol(text, &end, 10);
        if (errno != 0 || end == text || value < 0 || value > INT32_MAX) {
            return 0;
        }
        out[i] = (int32_t)value;
        if (*end == '\0') {
            return i + 1;
        }
        if (*end != separator) {
            return 0;
        }
        text = end + 1;
    }
    return 0;
}

static bool parse_floats(const char *text, int32_t count, float *out)
{
    for (int32_t i = 0; i < count; i++) {
        char *end;
        errno = 0;
        out[i] = strtof(text, &end);
        if (errno != 0 || end == text || !isfinite(out[i]) || *end != (i + 1 < count ? ',' : '\0')) {
            return false;
        }
        text = end + 1;
    }
    return true;
}

static bool parse_cut(const char *text, struct ei_convert_chain_config *chain)
{
    if (strcmp(text, "conv") == 0 || strcmp(text, "pool") == 0) {
        chain->cut = text[0] == 'c' ? EI_CONVERT_CUT_CONV : EI_CONVERT_CUT_POOL;
        return true;
    }
    chain->cut = EI_CONVERT_CUT_LIST;
    chain->cut_count = parse_ints(text, ',', EI_PROGRAM_BLOCKS_MAX - 1, chain->cuts);
    return chain->cut_count > 0;
}

/* The file's name without folder and ending, as a legal name. */
static void name_after(const char *path, char *out, size_t size_bytes)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, size_bytes, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(out, '.');
    if (dot != NULL && dot != out) {
        *dot = '\0';
    }
    for (char *c = out; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && (c == out || strchr("-_.", *c) == NULL)) {
            *c = '-';
        }
    }
}

static int parse_chain(struct request *r)
{
    struct ei_convert_chain_config *chain = &r->chain;
    int32_t numbers[3];
    const char *const *own = r->own;
    if (own[OWN_INPUT] == NULL || own[OWN_CLASSES] == NULL || own[OWN_DATASET] == NULL) {
        return usage("--script needs --input, --classes and --dataset");
    }
    if (parse_ints(own[OWN_INPUT], 'x', 3, numbers) != 3) {
        return usage("--input is CHANNELSxHEIGHTxWIDTH, for example 3x32x32");
    }
    chain->input = (struct ei_shape){numbers[0], numbers[1], numbers[2]};
    if (parse_ints(own[OWN_CLASSES], ',', 1, &chain->classes) != 1) {
        return usage("--classes is a whole number");
    }
    if (own[OWN_CUT] != NULL && !parse_cut(own[OWN_CUT], chain)) {
        return usage("--cut is conv, pool or numbers of layers, for example 3,7,11");
    }
    chain->head = ei_head_default;
    if (own[OWN_HEAD] != NULL) {
        if (parse_ints(own[OWN_HEAD], ',', 2, numbers) != 2) {
            return usage("--head is CHANNELS,HIDDEN, for example 64,128");
        }
        chain->head.channels = numbers[0];
        chain->head.hidden = numbers[1];
    }
    r->has_norm = own[OWN_MEAN] != NULL && own[OWN_STD] != NULL;
    if ((own[OWN_MEAN] != NULL) != (own[OWN_STD] != NULL) ||
        (r->has_norm && (chain->input.channels > 3 || chain->input.channels < 1 ||
                         !parse_floats(own[OWN_MEAN], chain->input.channels, chain->norm_mean) ||
                         !parse_floats(own[OWN_STD], chain->input.channels, chain->norm_std)))) {
        return usage("--mean and --std go together and are one number a channel, for example 0.49,0.48,0.45");
    }
    if (own[OWN_NAME] != NULL) {
        snprintf(r->name, sizeof r->name, "%s", own[OWN_NAME]);
    } else {
        name_after(own[OWN_SCRIPT], r->name, sizeof r->name);
    }
    chain->script_path = own[OWN_SCRIPT];
    chain->out_dir = own[OWN_OUT];
    chain->name = r->name;
    chain->dataset = r->dataset;
    return -1;
}

/* The data set of zoo weights, when it was not named. */
static int read_dataset(struct request *r)
{
    struct ei_safetensors *file;
    struct einet_error err = {0};
    if (ei_safetensors_open(r->own[OWN_WEIGHTS], &file, &err) != 0) {
        return einet_report_error("convert", &err);
    }
    const char *dataset = ei_safetensors_metadata(file, "dataset");
    snprintf(r->dataset, sizeof r->dataset, "%s", dataset != NULL ? dataset : "");
    ei_safetensors_close(file);
    return dataset != NULL ? -1 : usage("the weights do not say of which data set they are: --dataset");
}

static int parse_arguments(int argc, char **argv, struct request *r)
{
    int status = split_arguments(argc, argv, r);
    if (status >= 0) {
        return status;
    }
    const bool is_zoo = r->own[OWN_WEIGHTS] != NULL, is_script = r->own[OWN_SCRIPT] != NULL;
    if (is_zoo == is_script || r->own[OWN_OUT] == NULL || (is_zoo && r->own[OWN_TO] == NULL)) {
        return usage("--weights, --to and --out are needed, or --script, --input, --classes, --dataset and --out");
    }
    static const enum own_option script_only[] = {OWN_INPUT, OWN_CLASSES, OWN_NAME, OWN_CUT,
                                                  OWN_HEAD,  OWN_MEAN,    OWN_STD};
    for (size_t i = 0; is_zoo && i < sizeof script_only / sizeof script_only[0]; i++) {
        if (r->own[script_only[i]] != NULL) {
            fprintf(stderr, "einet convert: --%s goes with --script only; einet convert --help\n",
                    own_options[script_only[i]]);
            return EINET_EXIT_USAGE;
        }
    }
    if (is_script && r->own[OWN_TO] != NULL) {
        return usage("--to goes with --weights only; --script writes a bundle");
    }
    if (r->own[OWN_DATASET] != NULL) {
        snprintf(r->dataset, sizeof r->dataset, "%.63s", r->own[OWN_DATASET]);
    } else if (is_zoo) {
        status = read_dataset(r);
    }
    if (status < 0 && is_script) {
        status = parse_chain(r);
    }
    if (status >= 0) {
        return status;
    }
    if (!pass(r, "--model") || !pass(r, is_zoo ? r->own[OWN_TO] : r->name) || !pass(r, "--dataset") ||
        !pass(r, r->dataset) || !pass(r, "--out") || !pass(r, r->own[OWN_OUT]) || !pass(r, "--init") ||
        !pass(r, is_zoo ? r->own[OWN_WEIGHTS] : r->own[OWN_SCRIPT])) {
        return usage("too many arguments");
    }
    return train_options_read(r->passed_count, r->passed, &r->train);
}

/* ---- work ---- */

static void print_report(const struct ei_convert_report *report)
{
    for (int32_t i = 0; i < report->layer_count; i++) {
        const struct ei_convert_layer *layer = &report->layers[i];
        const bool is_gone = strcmp(layer->op, "identity") == 0;
        char shape[48] = "", place[32] = "-";
        if (!is_gone) {
            snprintf(place, sizeof place, "block%d.%s", layer->block, layer->is_last_exit ? "branch" : "conv");
            if (layer->shape.height_px > 0) {
                snprintf(shape, sizeof shape, "%dx%dx%d", layer->shape.channels, layer->shape.height_px,
                         layer->shape.width_px);
            } else {
                snprintf(shape, sizeof shape, "%d", layer->shape.channels);
            }
        }
        printf("%4d  %-28s %-20s %-16s %-12s %s\n", i, layer->name, layer->type,
               layer->op[0] != '\0' ? layer->op : "TorchScript", shape, place);
    }
    printf("%d exits; %d of %d layers stay TorchScript; the chain differs from the module by %.2g of the largest "
           "output\n",
           report->exits, report->scripts, report->layer_count, (double)report->difference);
}

static void print_result(const char *path, const struct ei_train_result *result)
{
    if (!result->finished) {
        printf("%sstopped after step %lld; the same command with --resume continues\n",
               isatty(STDOUT_FILENO) == 1 ? "\n" : "", (long long)result->steps);
        return;
    }
    printf("%s: accuracy by exit", path);
    for (int32_t i = 0; i < result->exits; i++) {
        printf(" %.2f%%", (double)result->accuracy[i] * 100.0);
    }
    putchar('\n');
}

static int convert_zoo(struct request *r, struct einet_error *err)
{
    struct train_request *train = &r->train;
    if (r->is_untrained) {
        const struct ei_convert_zoo_config config = {.weights_path = r->own[OWN_WEIGHTS],
                                                     .to = r->own[OWN_TO],
                                                     .out_path = r->own[OWN_OUT],
                                                     .seed = train->config.seed};
        return ei_convert_zoo(&config, err);
    }
    struct ei_train_result result;
    train->config.keep_last = train->config.train == EI_TRAIN_EXITS;
    const int rc = ei_train_run_named(&train->config, train->dataset, train->data_root, &result, err);
    if (rc == 0) {
        print_result(r->own[OWN_OUT], &result);
    }
    return rc;
}

static int make_bundle(struct request *r, const struct ei_dataset *train, struct einet_error *err)
{
    struct ei_convert_chain_config *chain = &r->chain;
    struct ei_convert_report report;
    struct ei_batch_norm_stats stats;
    if (!r->has_norm) {
        const int rc = ei_batch_stats(train, &stats, err);
        if (rc != 0) {
            return rc;
        }
        memcpy(chain->norm_mean, stats.mean, sizeof chain->norm_mean);
        memcpy(chain->norm_std, stats.std, sizeof chain->norm_std);
    }
    chain->seed = r->train.config.seed;
    chain->threads = r->train.config.threads;
    const int rc = ei_convert_chain(chain, &report, err);
    if (rc == 0) {
        if (!r->train.quiet) {
            print_report(&report);
        }
        ei_convert_report_fini(&report);
    }
    return rc;
}

static int convert_script(struct request *r, struct einet_error *err)
{
    const struct train_request *t = &r->train;
    struct ei_dataset *train = NULL, *test = NULL;
    const bool needs_data = !r->is_untrained || !r->has_norm;
    int rc = needs_data ? ei_dataset_open(r->dataset, EI_SPLIT_TRAIN, t->data_root, &train, err) : 0;
    if (rc == 0 && !r->is_untrained) {
        rc = ei_dataset_open(r->dataset, EI_SPLIT_TEST, t->data_root, &test, err);
    }
    if (rc == 0 && !t->config.resume) {
        rc = make_bundle(r, train, err);
    }
    if (rc == 0 && !r->is_untrained) {
        struct ei_train_result result;
        rc = ei_convert_train_bundle(r->own[OWN_OUT], &t->config, train, test, &result, err);
        if (rc == 0) {
            print_result(r->own[OWN_OUT], &result);
        }
    }
    ei_dataset_destroy(test);
    ei_dataset_destroy(train);
    return rc;
}

int einet_convert_command(int argc, char **argv)
{
    struct request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        fputs("einet convert: no memory\n", stderr);
        return EINET_EXIT_FAULT;
    }
    int status = parse_arguments(argc, argv, r);
    if (status < 0) {
        struct einet_error err = {0};
        const struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        r->train.config.stop = &stop_requested;
        bool is_terminal = isatty(STDOUT_FILENO) == 1;
        r->train.config.on_progress = r->train.quiet ? NULL : einet_train_show;
        r->train.config.context = &is_terminal;
        const int rc = r->own[OWN_WEIGHTS] != NULL ? convert_zoo(r, &err) : convert_script(r, &err);
        if (rc != 0 && is_terminal) {
            putchar('\n'); /* behind the line of the training */
        }
        status = rc == 0 ? EINET_EXIT_OK : einet_report_error("convert", &err);
    }
    free(r);
    return status;
}
