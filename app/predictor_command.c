/* einet predictor: train a CS-predictor from a CS-profile, print one, or compare two on samples they have not seen. */
#include "app/commands.h"
#include "app/json_output.h"
#include "app/progress.h"
#include "command/options.h"
#include "metrics/run_json.h"
#include "models/predictor_train.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verb { VERB_TRAIN, VERB_PRINT, VERB_COMPARE, VERBS };

static const char *const verbs[VERBS] = {"train", "print", "compare"};

struct request {
    enum verb verb;
    struct ei_predictor_train_config config;
    const char *cs_path, *out_path;
    const char *paths[2]; /* predictors */
    int path_count;
    bool is_json, is_quiet;
};

/* ---- arguments ---- */

#define EXAMPLES [EI_PREDICTOR_PREFIXES] = "prefix", [EI_PREDICTOR_SKIPS] = "skip", [EI_PREDICTOR_PLANNED] = "plan"
#define TARGETS [EI_SCORE_CONFIDENCE] = "confidence", [EI_SCORE_CORRECT] = "correct"

static const char *const examples_names[] = {EXAMPLES};
static const char *const target_names[] = {TARGETS};

#define FIELD(field) EINET_FIELD(struct request, field)

static const struct einet_option rows[] = {
    {.name = "cs", .argument = "FILE", FIELD(cs_path), .help = "CS-profile of einet profile"},
    {.name = "out",
     .argument = "FILE",
     FIELD(out_path),
     .is_replaced = true,
     .help = "predictor to write; beside the weights as NAME.predictor einet run finds it"},
    {.name = "examples",
     .argument = "NAME",
     FIELD(config.examples),
     .words = {EXAMPLES},
     .help = "plan (default): starts of plans, and what skip has; skip: prefixes and random patterns of exits run; "
             "prefix: prefixes only"},
    {.name = "target",
     .argument = "NAME",
     FIELD(config.target),
     .words = {TARGETS},
     .help = "what to guess: confidence (default), or correct: the probability that the exit is right"},
    {.name = "temperature",
     FIELD(config.fit_temperature),
     .help = "scale each exit's confidences so that they say how often the exit is right"},
    {.name = "hidden",
     .argument = "N",
     FIELD(config.hidden),
     .low = 1,
     .help = "hidden units, a multiple of 16 up to 128, default 64"},
    {.name = "epochs", .argument = "N", FIELD(config.epochs_max), .low = 1, .help = "at most, default 300"},
    {.name = "patience",
     .argument = "N",
     FIELD(config.patience),
     .low = 1,
     .help = "stop after so many epochs without a better guess, default 20"},
    {.name = "seed", .argument = "N", FIELD(config.seed), .help = "of weights and examples, default 1"},
    {.name = "split-seed", .argument = "N", FIELD(config.split_seed), .help = "of the parts of the samples, default 1"},
    {.name = "json", FIELD(is_json), .help = "print the result as one JSON object (docs/command-json.md)"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
};

static const struct einet_usage usage = {
    .command = "predictor",
    .head =
        "usage: einet predictor train --cs FILE --out FILE [options]\n"
        "       einet predictor print FILE [--json]\n"
        "       einet predictor compare --cs FILE A [B] [--json]\n"
        "\n"
        "A CS-predictor guesses the scores of later exits from those so far. train learns one from half of the samples "
        "of a\n"
        "CS-profile, stops when a tenth of them says so, and holds the rest out. compare judges one or two predictors "
        "on\n"
        "the samples held out: how wrong the guesses for the exits behind the last one run are, when none was skipped\n"
        "(prefix) and when one was (gap), beside always guessing the mean.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
            "example: einet predictor train --cs b-alexnet-cifar10.cs --out b-alexnet-cifar10.predictor\n",
    .operands_min = 1,
    .operands_max = 3,
    .too_few = "say train, print or compare first",
    .too_many = "two predictors at most, not also ",
};

/* Whether a verb takes the option. */
static bool is_taken(enum verb verb, const char *option)
{
    const bool is_json = strcmp(option, "json") == 0;
    return verb == VERB_TRAIN || is_json || (verb == VERB_COMPARE && strcmp(option, "cs") == 0);
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    static const int least[VERBS] = {0, 1, 1}, most[VERBS] = {0, 1, 2};
    static const char *const files[VERBS] = {"train takes names with -- only", "print takes one file",
                                             "compare takes one or two predictors"};
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, r, &given);
    if (status >= 0) {
        return status;
    }
    int verb = 0;
    while (verb < VERBS && strcmp(verbs[verb], given.operands[0]) != 0) {
        verb++;
    }
    if (verb == VERBS) {
        return einet_options_refuse(&usage, "say train, print or compare first, not %s", given.operands[0]);
    }
    r->verb = (enum verb)verb;
    for (int i = 0; i < given.given_count; i++) {
        if (!is_taken(r->verb, given.given[i]->name)) {
            return einet_options_refuse(&usage, "%s takes no --%s", verbs[verb], given.given[i]->name);
        }
    }
    r->path_count = given.operand_count - 1;
    if (r->path_count < least[verb] || r->path_count > most[verb]) {
        return einet_options_refuse(&usage, "%s", files[verb]);
    }
    if (r->verb != VERB_PRINT && r->cs_path == NULL) {
        return einet_options_refuse(&usage, "--cs is needed");
    }
    if (r->verb == VERB_TRAIN && r->out_path == NULL) {
        return einet_options_refuse(&usage, "--out is needed");
    }
    for (int i = 0; i < r->path_count; i++) {
        r->paths[i] = given.operands[1 + i];
    }
    return -1;
}

/* ---- judging ---- */

struct judged {
    const char *name;
    struct ei_predictor_error error;
};

static json_t *error_json(const struct judged *j)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", j->name, "prefix_rms", j->error.prefix_rms, "prefix_abs",
                     j->error.prefix_abs, "gap_rms", j->error.gap_rms, "gap_abs", j->error.gap_abs);
}

static void set_errors(json_t **io_object, const struct judged *judged, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, error_json(&judged[i]));
    }
    const struct ei_predictor_error *e = &judged[0].error;
    einet_json_set(io_object, "held_out_samples", json_integer(e->samples));
    einet_json_set(io_object, "prefix_patterns", json_integer(e->prefix_patterns));
    einet_json_set(io_object, "gap_patterns", json_integer(e->gap_patterns));
    einet_json_set(io_object, "errors", list);
}

/* What a predictor says of itself. */
static void set_predictor(json_t **io_object, const struct ei_predictor *p)
{
    einet_json_set(io_object, "network", ei_json_text(p->network));
    einet_json_set(io_object, "dataset", ei_json_text(p->dataset));
    einet_json_set(io_object, "target", json_string(target_names[p->target]));
    einet_json_set(io_object, "exits", json_integer(p->exits));
    einet_json_set(io_object, "hidden", json_integer(p->hidden));
    einet_json_set(io_object, "split_seed", einet_json_whole(p->split_seed));
    einet_json_set(io_object, "mean_score", einet_json_shares(p->mean_score, p->exits));
    einet_json_set(io_object, "temperature", einet_json_shares(p->temperature, p->exits));
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
    json_t *answer = einet_json_begin("predictor"), *held_out = json_object();
    set_errors(&held_out, judged, count);
    einet_json_set(&answer, "out", ei_json_text(r->out_path));
    set_predictor(&answer, p);
    einet_json_set(&answer, "examples", json_string(examples_names[r->config.examples]));
    einet_json_set(&answer, "seed", einet_json_whole(r->config.seed));
    einet_json_set(&answer, "epochs", json_integer(result->epochs));
    einet_json_set(&answer, "best_epoch", json_integer(result->best_epoch));
    einet_json_set(&answer, "validation_error", json_real(result->validation_error));
    einet_json_set(&answer, "held_out", held_out);
    return einet_json_print("predictor", answer, EINET_EXIT_OK);
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
    if (r->is_json) {
        json_t *answer = einet_json_begin("predictor");
        set_predictor(&answer, p);
        return einet_json_print("predictor", answer, EINET_EXIT_OK);
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
        json_t *answer = einet_json_begin("predictor");
        set_errors(&answer, judged, count);
        return einet_json_print("predictor", answer, EINET_EXIT_OK);
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
