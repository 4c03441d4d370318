/* einet predictor: train a CS-predictor from a CS-profile, print one, or compare two on samples they have not seen. */
#include "app/commands.h"
#include "app/progress.h"
#include "models/predictor_train.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: einet predictor train --cs FILE --out FILE [options]\n"
    "       einet predictor print FILE\n"
    "       einet predictor compare --cs FILE A [B] [--json]\n"
    "\n"
    "A CS-predictor guesses the scores of later exits from those so far. train learns one from half of the samples of "
    "a\n"
    "CS-profile, stops when a tenth of them says so, and holds the rest out. compare judges one or two predictors on "
    "the\n"
    "samples held out: how wrong the guesses for the exits behind the last one run are, when none was skipped "
    "(prefix)\n"
    "and when one was (gap), beside always guessing the mean.\n"
    "\n"
    "  --cs FILE          CS-profile of einet profile\n"
    "  --out FILE         predictor to write; beside the weights as NAME.predictor einet run finds it\n"
    "  --examples NAME    plan (default): starts of plans, and what skip has; skip: prefixes and random\n"
    "                     patterns of exits run; prefix: prefixes only\n"
    "  --target NAME      what to guess: confidence (default), or correct: the probability that the exit is right\n"
    "  --temperature      scale each exit's confidences so that they say how often the exit is right\n"
    "  --hidden N         hidden units, a multiple of 16 up to 128, default 64\n"
    "  --epochs N         at most, default 300\n"
    "  --patience N       stop after so many epochs without a better guess, default 20\n"
    "  --seed N           of weights and examples, default 1\n"
    "  --split-seed N     of the parts of the samples, default 1\n"
    "  --json             print the result as one JSON object\n"
    "  --quiet            no progress\n"
    "\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
    "example: einet predictor train --cs b-alexnet-cifar10.cs --out b-alexnet-cifar10.predictor\n";

enum option_id {
    OPT_CS = 256,
    OPT_OUT,
    OPT_EXAMPLES,
    OPT_TARGET,
    OPT_TEMPERATURE,
    OPT_HIDDEN,
    OPT_EPOCHS,
    OPT_PATIENCE,
    OPT_SEED,
    OPT_SPLIT_SEED,
    OPT_JSON,
    OPT_QUIET,
    OPT_HELP
};

static const struct option options[] = {
    {"cs", required_argument, NULL, OPT_CS},
    {"out", required_argument, NULL, OPT_OUT},
    {"examples", required_argument, NULL, OPT_EXAMPLES},
    {"target", required_argument, NULL, OPT_TARGET},
    {"temperature", no_argument, NULL, OPT_TEMPERATURE},
    {"hidden", required_argument, NULL, OPT_HIDDEN},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"split-seed", required_argument, NULL, OPT_SPLIT_SEED},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

enum verb { VERB_TRAIN, VERB_PRINT, VERB_COMPARE, VERBS };

static const char *const verbs[VERBS] = {"train", "print", "compare"};

/* Which options a verb takes, as bits of id - OPT_CS. */
#define BIT(id) (1U << ((id)-OPT_CS))
static const unsigned taken[VERBS] = {
    [VERB_TRAIN] = ~0U, [VERB_PRINT] = 0, [VERB_COMPARE] = BIT(OPT_CS) | BIT(OPT_JSON)};

struct request {
    enum verb verb;
    struct ei_predictor_train_config config;
    const char *cs_path, *out_path;
    const char *paths[2]; /* predictors */
    int path_count;
    bool is_json, is_quiet;
};

/* ---- arguments ---- */

static bool parse_count(const char *text, int32_t *out)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    *out = (int32_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= INT32_MAX;
}

static bool parse_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    *out = (uint64_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= 0;
}

/* Which of two names; returns false when it is neither. */
static bool parse_choice(const char *text, const char *zero, const char *one, int *out)
{
    *out = strcmp(text, one) == 0;
    return *out != 0 || strcmp(text, zero) == 0;
}

static const char *const examples_names[] = {
    [EI_PREDICTOR_PREFIXES] = "prefix", [EI_PREDICTOR_SKIPS] = "skip", [EI_PREDICTOR_PLANNED] = "plan"};

static bool parse_examples(const char *text, enum ei_predictor_examples *out)
{
    for (int i = EI_PREDICTOR_PREFIXES; i <= EI_PREDICTOR_PLANNED; i++) {
        if (strcmp(text, examples_names[i]) == 0) {
            *out = (enum ei_predictor_examples)i;
            return true;
        }
    }
    return false;
}

/* Returns whether the value was understood. */
static bool apply_option(struct request *r, int id, const char *value)
{
    struct ei_predictor_train_config *c = &r->config;
    int choice = 0;
    bool is_known = true;
    switch (id) {
    case OPT_CS:
        r->cs_path = value;
        return true;
    case OPT_OUT:
        r->out_path = value;
        return true;
    case OPT_EXAMPLES:
        return parse_examples(value, &c->examples);
    case OPT_TARGET:
        is_known = parse_choice(value, "confidence", "correct", &choice);
        c->target = choice ? EI_SCORE_CORRECT : EI_SCORE_CONFIDENCE;
        return is_known;
    case OPT_TEMPERATURE:
        c->fit_temperature = true;
        return true;
    case OPT_HIDDEN:
        return parse_count(value, &c->hidden);
    case OPT_EPOCHS:
        return parse_count(value, &c->epochs_max);
    case OPT_PATIENCE:
        return parse_count(value, &c->patience);
    case OPT_SEED:
        return parse_seed(value, &c->seed);
    case OPT_SPLIT_SEED:
        return parse_seed(value, &c->split_seed);
    case OPT_JSON:
        r->is_json = true;
        return true;
    case OPT_QUIET:
        r->is_quiet = true;
        return true;
    default:
        return false;
    }
}

static bool parse_verb(const char *text, enum verb *out)
{
    for (int v = 0; v < VERBS; v++) {
        if (strcmp(text, verbs[v]) == 0) {
            *out = (enum verb)v;
            return true;
        }
    }
    return false;
}

static int usage(const char *text)
{
    fprintf(stderr, "einet predictor: %s; einet predictor --help\n", text);
    return EINET_EXIT_USAGE;
}

/* What is left behind the options: the files. Returns -1 to go on, else the exit status. */
static int take_paths(int count, char **paths, struct request *r)
{
    static const int least[VERBS] = {0, 1, 1}, most[VERBS] = {0, 1, 2};
    if (count < least[r->verb] || count > most[r->verb]) {
        return usage(r->verb == VERB_TRAIN   ? "train takes names with -- only"
                     : r->verb == VERB_PRINT ? "print takes one file"
                                             : "compare takes one or two predictors");
    }
    if (r->verb != VERB_PRINT && r->cs_path == NULL) {
        return usage("--cs is needed");
    }
    if (r->verb == VERB_TRAIN && r->out_path == NULL) {
        return usage("--out is needed");
    }
    r->path_count = count;
    for (int i = 0; i < count; i++) {
        r->paths[i] = paths[i];
    }
    return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return EINET_EXIT_OK;
    }
    if (argc < 2 || !parse_verb(argv[1], &r->verb)) {
        return usage("say train, print or compare first");
    }
    argv[1] = argv[0]; /* it stands for the program's name, with which getopt_long begins its errors */
    optind = 1;
    for (int id; (id = getopt_long(argc - 1, argv + 1, "h", options, NULL)) != -1;) {
        if (id == 'h' || id == OPT_HELP) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (id == '?') {
            fputs("einet predictor --help lists the options\n", stderr);
            return EINET_EXIT_USAGE;
        }
        if ((taken[r->verb] & BIT(id)) == 0) {
            fprintf(stderr, "einet predictor: %s takes no --%s; einet predictor --help\n", verbs[r->verb],
                    options[id - OPT_CS].name);
            return EINET_EXIT_USAGE;
        }
        if (!apply_option(r, id, optarg)) {
            fprintf(stderr, "einet predictor: '%s' is no value for --%s; einet predictor --help\n", optarg,
                    options[id - OPT_CS].name);
            return EINET_EXIT_USAGE;
        }
    }
    return take_paths(argc - 1 - optind, argv + 1 + optind, r);
}

/* ---- judging ---- */

struct judged {
    const char *name;
    struct ei_predictor_error error;
};

static int print_json(json_t *object)
{
    const bool is_written = object != NULL && json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(object);
    if (!is_written || putchar('\n') == EOF || fflush(stdout) != 0) {
        fputs("einet predictor: cannot write to standard output\n", stderr);
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

static json_t *error_json(const struct judged *j)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", j->name, "prefix_rms", j->error.prefix_rms, "prefix_abs",
                     j->error.prefix_abs, "gap_rms", j->error.gap_rms, "gap_abs", j->error.gap_abs);
}

static json_t *errors_json(const struct judged *judged, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, error_json(&judged[i]));
    }
    const struct ei_predictor_error *e = &judged[0].error;
    return json_pack("{s:i, s:i, s:i, s:o}", "held_out_samples", e->samples, "prefix_patterns", e->prefix_patterns,
                     "gap_patterns", e->gap_patterns, "errors", list);
}

static void print_errors(const struct judged *judged, int count)
{
    const struct ei_predictor_error *e = &judged[0].error;
    printf("error of the guesses on %d held-out samples, %d prefix and %d gap patterns\n\n", e->samples,
           e->prefix_patterns, e->gap_patterns);
    printf("%-24s  %11s  %11s  %11s  %11s\n", "", "prefix_rms", "prefix_abs", "gap_rms", "gap_abs");
    for (int i = 0; i < count; i++) {
        const struct ei_predictor_error *x = &judged[i].error;
        printf("%-24.24s  %11.5f  %11.5f  %11.5f  %11.5f\n", judged[i].name, x->prefix_rms, x->prefix_abs, x->gap_rms,
               x->gap_abs);
    }
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static struct judged ratio_of(const struct judged *a, const struct judged *b)
{
    struct judged out = {.name = "first / second", .error = a->error};
    out.error.prefix_rms = ratio(a->error.prefix_rms, b->error.prefix_rms);
    out.error.prefix_abs = ratio(a->error.prefix_abs, b->error.prefix_abs);
    out.error.gap_rms = ratio(a->error.gap_rms, b->error.gap_rms);
    out.error.gap_abs = ratio(a->error.gap_abs, b->error.gap_abs);
    return out;
}

/* ---- train ---- */

struct training {
    struct einet_progress progress;
    int32_t epochs_max;
};

static void on_epoch(void *context, int32_t epoch, double train_error, double validation_error)
{
    struct training *training = context;
    snprintf(training->progress.detail, sizeof training->progress.detail,
             "at most: relative entropy %.6f, on validation %.6f", train_error, validation_error);
    einet_progress_show(&training->progress, "epochs", (double)epoch, (double)training->epochs_max);
}

static int report_training(const struct request *r, const struct ei_predictor *p,
                           const struct ei_predictor_train_result *result, const struct judged *judged, int count)
{
    if (!r->is_json) {
        ei_predictor_print(p, stdout);
        printf("\nepoch %d of %d kept, relative entropy on validation %.6f\n", result->best_epoch, result->epochs,
               result->validation_error);
        print_errors(judged, count);
        printf("\n%s written\n", r->out_path);
        return EINET_EXIT_OK;
    }
    json_t *mean = json_array(), *temperature = json_array();
    for (int32_t i = 0; i < p->exits; i++) {
        json_array_append_new(mean, json_real((double)p->mean_score[i]));
        json_array_append_new(temperature, json_real((double)p->temperature[i]));
    }
    return print_json(json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:i, s:i, s:f, s:o, s:o, s:o}", "out", r->out_path, "network",
        p->network, "dataset", p->dataset, "examples", examples_names[r->config.examples], "target",
        p->target == EI_SCORE_CORRECT ? "correct" : "confidence", "exits", p->exits, "hidden", p->hidden, "seed",
        (json_int_t)r->config.seed, "split_seed", (json_int_t)r->config.split_seed, "epochs", result->epochs,
        "best_epoch", result->best_epoch, "validation_error", result->validation_error, "mean_score", mean,
        "temperature", temperature, "held_out", errors_json(judged, count)));
}

static int train(struct request *r, const struct ei_cs_profile *profile, struct ei_predictor *p)
{
    struct einet_error err = {0};
    struct training training = {.epochs_max = r->config.epochs_max};
    einet_progress_begin(&training.progress, r->is_quiet);
    r->config.on_epoch = on_epoch;
    r->config.context = &training;
    struct ei_predictor_train_result result;
    int status = ei_predictor_train(&r->config, profile, p, &result, &err);
    einet_progress_end(&training.progress);
    struct judged judged[2] = {{.name = "predictor"}, {.name = "mean"}};
    for (int i = 0; status == 0 && i < 2; i++) {
        status = ei_predictor_judge(p, i == 0 ? EI_PREDICTOR_GUESS : EI_PREDICTOR_GUESS_MEANS, profile,
                                    &judged[i].error, &err);
    }
    if (status == 0) {
        status = ei_predictor_write(r->out_path, p, &err);
    }
    return status == 0 ? report_training(r, p, &result, judged, 2) : einet_report_error("predictor", &err);
}

/* ---- print and compare ---- */

static int print(const struct request *r, struct ei_predictor *p)
{
    struct einet_error err = {0};
    if (ei_predictor_read(r->paths[0], p, &err) != 0) {
        return einet_report_error("predictor", &err);
    }
    ei_predictor_print(p, stdout);
    return EINET_EXIT_OK;
}

static int read_for(const char *path, const struct ei_cs_profile *profile, struct ei_predictor *p,
                    struct einet_error *err)
{
    struct einet_error reason = {0};
    int status = ei_predictor_read(path, p, err);
    if (status != 0) {
        return status;
    }
    status = ei_predictor_match(p, profile->network, profile->exits, profile->weights_sha256, &reason);
    if (status == 0 && strcmp(p->dataset, profile->dataset) != 0) {
        status = einet_error_set(&reason, EINET_E_MISMATCH, "dataset: the predictor is of %s, --cs of %s", p->dataset,
                                 profile->dataset);
    }
    return status == 0 ? 0 : einet_error_set_at(err, status, path, 0, 0, "%s", reason.text);
}

/* Errors of two predictors can be compared when both guess the same figures of the same samples. */
static int comparable(const struct ei_predictor *a, const struct ei_predictor *b, const char *path,
                      struct einet_error *err)
{
    const char *what =
        a->target != b->target           ? "target"
        : a->split_seed != b->split_seed ? "split_seed"
        : a->target == EI_SCORE_CONFIDENCE && memcmp(a->temperature, b->temperature, sizeof a->temperature) != 0
            ? "temperature"
            : NULL;
    return what == NULL
               ? 0
               : einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0,
                                    "its %s is not that of the first predictor, so their errors do not compare", what);
}

static int compare(const struct request *r, const struct ei_cs_profile *profile, struct ei_predictor p[2])
{
    struct einet_error err = {0};
    struct judged judged[4];
    int count = 0, status = 0;
    for (int i = 0; status == 0 && i < r->path_count; i++) {
        status = read_for(r->paths[i], profile, &p[i], &err);
        if (status == 0 && i == 1) {
            status = comparable(&p[0], &p[1], r->paths[1], &err);
        }
        if (status == 0) {
            judged[count] = (struct judged){.name = r->paths[i]};
            status = ei_predictor_judge(&p[i], EI_PREDICTOR_GUESS, profile, &judged[count++].error, &err);
        }
    }
    if (status == 0) {
        judged[count] = (struct judged){.name = "mean"};
        status = ei_predictor_judge(&p[0], EI_PREDICTOR_GUESS_MEANS, profile, &judged[count++].error, &err);
    }
    if (status != 0) {
        return einet_report_error("predictor", &err);
    }
    if (r->path_count == 2) {
        judged[count++] = ratio_of(&judged[0], &judged[1]);
    }
    if (r->is_json) {
        return print_json(errors_json(judged, count));
    }
    print_errors(judged, count);
    return EINET_EXIT_OK;
}

int einet_predictor_command(int argc, char **argv)
{
    struct request r = {.config = ei_predictor_train_defaults()};
    int status = parse_arguments(argc, argv, &r);
    if (status >= 0) {
        return status;
    }
    struct einet_error err = {0};
    struct ei_cs_profile profile = {.exits = 0};
    struct ei_predictor *p = calloc(2, sizeof *p);
    if (p == NULL) {
        einet_error_set(&err, -ENOMEM, "no memory for two predictors");
        return einet_report_error("predictor", &err);
    }
    if (r.verb != VERB_PRINT && ei_cs_profile_read(r.cs_path, &profile, &err) != 0) {
        free(p);
        return einet_report_error("predictor", &err);
    }
    switch (r.verb) {
    case VERB_TRAIN:
        status = train(&r, &profile, p);
        break;
    case VERB_COMPARE:
        status = compare(&r, &profile, p);
        break;
    case VERB_PRINT:
    case VERBS:
        status = print(&r, p);
        break;
    }
    ei_cs_profile_fini(&profile);
    free(p);
    return status;
}
