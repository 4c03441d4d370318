/* einet convert: a trained single-exit network becomes a multi-exit one. */
#include "app/commands.h"
#include "app/json_output.h"
#include "app/train_options.h"
#include "app/train_progress.h"
#include "metrics/run_json.h"
#include "models/batch.h"
#include "models/convert.h"
#include "stages/nn/safetensors.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    const char *weights, *to, *script, *out, *dataset_given, *name_given, *mean, *std; /* NULL = not given */
    bool is_untrained;
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

/* ---- arguments ---- */

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

static int take_input(void *request, const char *value, struct einet_error *err)
{
    struct ei_convert_chain_config *chain = &((struct request *)request)->chain;
    int32_t numbers[3];
    (void)err;
    if (parse_ints(value, 'x', 3, numbers) != 3) {
        return -EINVAL;
    }
    chain->input = (struct ei_shape){numbers[0], numbers[1], numbers[2]};
    return 0;
}

static int take_cut(void *request, const char *value, struct einet_error *err)
{
    struct ei_convert_chain_config *chain = &((struct request *)request)->chain;
    (void)err;
    if (strcmp(value, "conv") == 0 || strcmp(value, "pool") == 0) {
        chain->cut = value[0] == 'c' ? EI_CONVERT_CUT_CONV : EI_CONVERT_CUT_POOL;
        return 0;
    }
    chain->cut = EI_CONVERT_CUT_LIST;
    chain->cut_count = parse_ints(value, ',', EI_PROGRAM_BLOCKS_MAX - 1, chain->cuts);
    return chain->cut_count > 0 ? 0 : -EINVAL;
}

static int take_head(void *request, const char *value, struct einet_error *err)
{
    struct ei_convert_chain_config *chain = &((struct request *)request)->chain;
    int32_t numbers[2];
    (void)err;
    if (parse_ints(value, ',', 2, numbers) != 2) {
        return -EINVAL;
    }
    chain->head.channels = numbers[0];
    chain->head.hidden = numbers[1];
    return 0;
}

#define FIELD(field) EINET_FIELD(struct request, field)

static const struct einet_option own_rows[] = {
    {.name = "weights", .argument = "FILE", FIELD(weights), .help = "single-exit weights of einet train"},
    {.name = "to",
     .argument = "NAME",
     FIELD(to),
     .help = "the network of the zoo to make, with the same trunk (einet models)"},
    {.name = "script",
     .argument = "FILE",
     FIELD(script),
     .help = "scripted or traced module, [n, C, H, W] floats in, [n, classes] out"},
    {.name = "input",
     .argument = "CxHxW",
     .take = take_input,
     .expected = "CHANNELSxHEIGHTxWIDTH, such as 3x32x32",
     .help = "what it takes, for example 3x32x32"},
    {.name = "classes", .argument = "N", FIELD(chain.classes), .low = 1, .help = "what it tells apart"},
    {.name = "dataset",
     .argument = "NAME",
     FIELD(dataset_given),
     .help = "that it was trained on: generated, mnist, cifar10 or cifar100"},
    {.name = "out",
     .argument = "PATH",
     FIELD(out),
     .is_replaced = true,
     .help = "weights (.safetensors), or the bundle's folder, which is made"},
    {.name = "name",
     .argument = "NAME",
     FIELD(name_given),
     .help = "of the bundle's network (default: as the TorchScript file)"},
    {.name = "cut",
     .argument = "WHERE",
     .take = take_cut,
     .expected = "conv, pool or numbers of layers, such as 3,7,11",
     .help = "conv (default): before each convolution but the first; pool: after each pool; or the layers to cut "
             "after, from 0, rising: 3,7,11"},
    {.name = "head",
     .argument = "CHANNELS,HIDDEN",
     .take = take_head,
     .expected = "CHANNELS,HIDDEN, such as 64,128",
     .help = "sizes of the new exits, default 64,128"},
    {.name = "mean",
     .argument = "A,B,C",
     FIELD(mean),
     .help = "with --std: normalisation that the module was trained with, on the 0..1 scale (default: that of the "
             "data set's training pictures)"},
    {.name = "std", .argument = "A,B,C", FIELD(std), .help = "likewise"},
    {.name = "untrained", FIELD(is_untrained), .help = "write the new exits as they were drawn from the seed"},
    {.name = "train",
     .argument = "MODE",
     FIELD(train.config.train),
     .words = {[EI_TRAIN_JOINT] = "joint", [EI_TRAIN_EXITS] = "exits"},
     .help = "exits (default): trunk and last exit stay as they are; joint: everything, which a trunk with TorchScript "
             "parts does not allow"},
    {.help = "as of einet train"},
};

static const struct einet_usage usage = {
    .command = "convert",
    .head = "usage: einet convert --weights FILE --to NAME --out FILE [options]\n"
            "       einet convert --script FILE --input CxHxW --classes N --dataset NAME --out DIR [options]\n"
            "\n"
            "Make a trained single-exit network a multi-exit one: cut after each convolution and what follows it, "
            "attach\n"
            "exits, train them. The trunk and the last exit keep their numbers. The first form takes weights of the "
            "zoo, as\n"
            "of vgg-16-classic to vgg-16. The second takes a TorchScript file whose forward is a chain of its children "
            "and\n"
            "writes a bundle: known children become layers, others stay frozen TorchScript parts (docs/bundles.md).\n",
    .tables = {EINET_OPTION_TABLE(own_rows, 0),
               EINET_OPTION_TABLE(einet_train_shared_rows, offsetof(struct request, train))},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
            "example: einet convert --script model.pt --input 3x32x32 --classes 10 --dataset cifar10 --out "
            "model-bundle\n",
};

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

static int check_chain(struct request *r)
{
    struct ei_convert_chain_config *chain = &r->chain;
    if (chain->input.channels == 0 || chain->classes == 0 || r->dataset_given == NULL) {
        return einet_options_refuse(&usage, "--script needs --input, --classes and --dataset");
    }
    r->has_norm = r->mean != NULL && r->std != NULL;
    if ((r->mean != NULL) != (r->std != NULL) ||
        (r->has_norm && (chain->input.channels > 3 || chain->input.channels < 1 ||
                         !parse_floats(r->mean, chain->input.channels, chain->norm_mean) ||
                         !parse_floats(r->std, chain->input.channels, chain->norm_std)))) {
        return einet_options_refuse(
            &usage, "--mean and --std go together and are one number a channel, for example 0.49,0.48,0.45");
    }
    if (r->name_given != NULL) {
        snprintf(r->name, sizeof r->name, "%s", r->name_given);
    } else {
        name_after(r->script, r->name, sizeof r->name);
    }
    chain->script_path = r->script;
    chain->out_dir = r->out;
    chain->name = r->name;
    chain->dataset = r->dataset;
    return -1;
}

/* The data set of zoo weights, when it was not named. */
static int read_dataset(struct request *r)
{
    struct ei_safetensors *file;
    struct einet_error err = {0};
    if (ei_safetensors_open(r->weights, &file, &err) != 0) {
        return einet_report_error("convert", &err);
    }
    const char *dataset = ei_safetensors_metadata(file, "dataset");
    snprintf(r->dataset, sizeof r->dataset, "%s", dataset != NULL ? dataset : "");
    ei_safetensors_close(file);
    return dataset != NULL
               ? -1
               : einet_options_refuse(&usage, "the weights do not say of which data set they are: --dataset");
}

static int parse_arguments(int argc, char **argv, struct request *r)
{
    static const char *const script_only[] = {"input", "classes", "name", "cut", "head", "mean", "std"};
    struct einet_arguments arguments;
    struct ei_train_config *config = &r->train.config;
    train_options_begin(argc, argv, &r->train);
    config->train = EI_TRAIN_EXITS;
    r->chain.head = ei_head_default;
    int status = einet_options_read(&usage, argc, argv, r, &arguments);
    if (status >= 0) {
        return status;
    }
    const bool is_zoo = r->weights != NULL, is_script = r->script != NULL;
    if (is_zoo == is_script || r->out == NULL || (is_zoo && r->to == NULL)) {
        return einet_options_refuse(
            &usage, "--weights, --to and --out are needed, or --script, --input, --classes, --dataset and --out");
    }
    for (size_t i = 0; is_zoo && i < sizeof script_only / sizeof script_only[0]; i++) {
        if (einet_options_has(&arguments, script_only[i])) {
            return einet_options_refuse(&usage, "--%s goes with --script only", script_only[i]);
        }
    }
    if (is_script && r->to != NULL) {
        return einet_options_refuse(&usage, "--to goes with --weights only; --script writes a bundle");
    }
    if (r->dataset_given != NULL) {
        snprintf(r->dataset, sizeof r->dataset, "%.63s", r->dataset_given);
    } else if (is_zoo) {
        status = read_dataset(r);
    }
    if (status < 0 && is_script) {
        status = check_chain(r);
    }
    if (status < 0) {
        config->zoo = is_zoo ? r->to : r->name;
        config->out_path = r->out;
        config->init_path = is_zoo ? r->weights : r->script;
        r->train.dataset = r->dataset;
        train_options_settle(&arguments, &r->train);
    }
    return status;
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

/* What became of it, for --json. */
struct outcome {
    bool is_trained;
    struct ei_train_result result; /* when it is */
    json_t *layers;                /* of a chain that was converted; owned, NULL = none */
    int32_t exits, torchscript;    /* of it */
    float difference;
};

static int convert_zoo(struct request *r, struct outcome *out, struct einet_error *err)
{
    struct train_request *train = &r->train;
    if (r->is_untrained) {
        const struct ei_convert_zoo_config config = {
            .weights_path = r->weights, .to = r->to, .out_path = r->out, .seed = train->config.seed};
        return ei_convert_zoo(&config, err);
    }
    train->config.keep_last = train->config.train == EI_TRAIN_EXITS;
    const int rc = ei_train_run_named(&train->config, train->dataset, train->data_root, &out->result, err);
    out->is_trained = rc == 0;
    return rc;
}

/* [{"name", "type", "op", "shape", "block", "part"}] */
static json_t *layers_json(const struct ei_convert_report *report)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < report->layer_count; i++) {
        const struct ei_convert_layer *layer = &report->layers[i];
        const bool is_gone = strcmp(layer->op, "identity") == 0;
        const struct ei_shape *shape = &layer->shape;
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:s?}", "name", ei_json_text(layer->name), "type",
                      ei_json_text(layer->type), "op", layer->op[0] != '\0' ? json_string(layer->op) : json_null(),
                      "shape",
                      shape->height_px > 0 ? json_pack("[i, i, i]", shape->channels, shape->height_px, shape->width_px)
                                           : json_pack("[i]", shape->channels),
                      "block", is_gone ? json_null() : json_integer(layer->block), "part",
                      is_gone               ? NULL
                      : layer->is_last_exit ? "branch"
                                            : "conv"));
    }
    return list;
}

static int make_bundle(struct request *r, const struct ei_dataset *train, struct outcome *out, struct einet_error *err)
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
        if (r->train.is_json) {
            out->layers = layers_json(&report);
            out->exits = report.exits;
            out->torchscript = report.scripts;
            out->difference = report.difference;
        } else if (!r->train.is_quiet) {
            print_report(&report);
        }
        ei_convert_report_fini(&report);
    }
    return rc;
}

static int convert_script(struct request *r, struct outcome *out, struct einet_error *err)
{
    const struct train_request *t = &r->train;
    struct ei_dataset *train = NULL, *test = NULL;
    const bool needs_data = !r->is_untrained || !r->has_norm;
    int rc = needs_data ? ei_dataset_open(r->dataset, EI_SPLIT_TRAIN, t->data_root, &train, err) : 0;
    if (rc == 0 && !r->is_untrained) {
        rc = ei_dataset_open(r->dataset, EI_SPLIT_TEST, t->data_root, &test, err);
    }
    if (rc == 0 && !t->config.resume) {
        rc = make_bundle(r, train, out, err);
    }
    if (rc == 0 && !r->is_untrained) {
        rc = ei_convert_train_bundle(r->out, &t->config, train, test, &out->result, err);
        out->is_trained = rc == 0;
    }
    ei_dataset_destroy(test);
    ei_dataset_destroy(train);
    return rc;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* What a bundle's folder holds. */
static json_t *folder_json(const char *folder)
{
    struct dirent **entries = NULL;
    json_t *list = json_array();
    const int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char path[EI_TRAIN_PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path) {
            (void)json_array_append_new(list, ei_json_text(path));
        }
        free(entries[i]);
    }
    free(entries);
    return list;
}

static json_t *files_json(const struct request *r, const struct outcome *done)
{
    if (r->script != NULL) {
        return folder_json(r->out);
    }
    return done->is_trained ? einet_train_files_json(&r->train.config, done->result.finished)
                            : einet_json_texts(&r->out, 1);
}

static int print_json(const struct request *r, struct outcome *done)
{
    json_t *answer = einet_json_begin("convert");
    einet_json_set(&answer, "from", ei_json_text(r->weights != NULL ? r->weights : r->script));
    einet_json_set(&answer, "network", ei_json_text(r->train.config.zoo));
    einet_json_set(&answer, "dataset", ei_json_text(r->dataset));
    einet_json_set(&answer, "seed", einet_json_whole(r->train.config.seed));
    json_t *chain = done->layers == NULL
                        ? json_null()
                        : json_pack("{s:i, s:i, s:f, s:o}", "exits", done->exits, "torchscript", done->torchscript,
                                    "difference", (double)done->difference, "layers", done->layers);
    einet_json_set(&answer, "chain", chain);
    json_t *training = done->is_trained ? json_object() : json_null();
    if (done->is_trained) {
        einet_train_result_json(&training, &done->result);
    }
    einet_json_set(&answer, "training", training);
    einet_json_set(&answer, "files", files_json(r, done));
    return einet_json_print("convert", answer, EINET_EXIT_OK);
}

static int convert(struct request *r)
{
    struct einet_error err = {0};
    struct outcome done = {.layers = NULL};
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct einet_train_shown shown = einet_train_show_on(r->train.is_json);
    r->train.config.stop = &stop_requested;
    r->train.config.on_progress = r->train.is_quiet ? NULL : einet_train_show;
    r->train.config.context = &shown;
    const int rc = r->weights != NULL ? convert_zoo(r, &done, &err) : convert_script(r, &done, &err);
    if (rc != 0) {
        einet_train_show_end(&shown);
        json_decref(done.layers);
        return einet_report_error("convert", &err);
    }
    if (done.is_trained && !done.result.finished) {
        einet_train_show_end(&shown);
    }
    if (r->train.is_json) {
        return print_json(r, &done);
    }
    if (done.is_trained) {
        einet_train_print_result(&r->train.config, &done.result, "the same command with --resume continues");
    }
    return EINET_EXIT_OK;
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
        status = convert(r);
    }
    free(r);
    return status;
}
