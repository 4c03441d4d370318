/* einet evaluate: how accurate are the ways to choose exits when a job is stopped at any time? For one network, or
 * with --paper for all that there are, in the tables of the EINet paper.
 */
#include "app/commands.h"
#include "command/options.h"
#include "app/progress.h"
#include "models/paper_evaluate.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64

static const char *const default_folders[] = {"models/pretrained"};

struct pair_paths {
    const char *et, *cs;
};

struct request {
    struct pair_paths network, classic, compressed;
    const char *predictor, *exit_time, *assume, *methods;
    double no_output_score;
    int32_t resamples, threads;
    uint64_t seed;
    bool is_json, is_quiet;
    /* of --paper */
    bool is_paper, is_without_predictor, is_markdown;
    const char *pairs, *lane;
    const char *const *folders;
    int32_t folder_count;
};

/* Everything that was read from files. */
struct inputs {
    struct ei_et_profile et[3]; /* network, classic, compressed */
    struct ei_cs_profile cs[3];
    struct ei_predictor predictor;
    struct ei_exit_time truth, belief;
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
};

#define FIELD(field) EINET_FIELD(struct request, field)

static const struct einet_option rows[] = {
    {.name = "et", .argument = "FILE", FIELD(network.et), .help = "block times (.et.csv of einet profile)"},
    {.name = "cs", .argument = "FILE", FIELD(network.cs), .help = "answers (.cs of einet profile)"},
    {.name = "predictor",
     .argument = "FILE",
     FIELD(predictor),
     .help = "CS-predictor; then only the samples that it did not learn from are evaluated"},
    {.name = "exit-time",
     .argument = "T",
     FIELD(exit_time),
     .help = "distribution of the forced exit time, from the job's start:\n"
             "  uniform            in [0, all block times] (default)\n"
             "  uniform:TIME       in [0, TIME]\n"
             "  exponential:RATE   RATE stops per second\n"
             "  step:TIME          exactly at TIME\n"
             "  trace:FILE         one recorded time a line, 'censored' behind it if never stopped\n"
             "with times such as 2ms or 800us"},
    {.name = "assume",
     .argument = "T",
     FIELD(assume),
     .help = "what the planner takes the distribution for (default: what it is)"},
    {.name = "methods",
     .argument = "A,B,..",
     FIELD(methods),
     .help = "of exact, hybrid:DEPTH, greedy, random:DRAWS, static:PERCENT, statistics, confidence:SCORE, noskip, all, "
             "classic (last exit only), compressed, oracle; with a predictor exact@means and the like do without it "
             "(default: a set of each)"},
    {.name = "classic-et",
     .argument = "FILE",
     FIELD(classic.et),
     .help =
         "with --classic-cs: profiles of a real network with one exit, for classic (default: the conv chain and the "
         "last exit of the network itself)"},
    {.name = "classic-cs", .argument = "FILE", FIELD(classic.cs), .help = "likewise"},
    {.name = "compressed-et",
     .argument = "FILE",
     FIELD(compressed.et),
     .help = "with --compressed-cs: profiles of a pruned or quantised network with one exit, for compressed"},
    {.name = "compressed-cs", .argument = "FILE", FIELD(compressed.cs), .help = "likewise"},
    {.name = "no-output-score",
     .argument = "X",
     FIELD(no_output_score),
     .low = -1e300,
     .high = 1e300,
     .expected = "a number",
     .help = "what no answer is worth to the planner, default 0"},
    {.name = "resamples",
     .argument = "N",
     FIELD(resamples),
     .high = EI_PLAN_RESAMPLES_MAX,
     .help = "of the intervals, default 2000; 0 = no intervals (--bootstrap is the same)"},
    {.name = "bootstrap", .argument = "N", FIELD(resamples), .high = EI_PLAN_RESAMPLES_MAX},
    {.name = "seed", .argument = "N", FIELD(seed), .help = "of random search and bootstrap, default 1"},
    {.name = "threads",
     .argument = "N",
     FIELD(threads),
     .low = 1,
     .high = THREADS_MAX,
     .help = "that share the samples, default one per processor; the result is the same"},
    {.name = "json", FIELD(is_json), .help = "print one JSON object instead of the table (docs/evaluation.md)"},
    {.name = "quiet", FIELD(is_quiet), .help = "no progress"},
    {.help = ""},
    {.name = "paper",
     FIELD(is_paper),
     .help = "the tables of the EINet paper beside ours, for every network and data set whose profiles are in the "
             "folders (default models/pretrained), told by what the files say of themselves; what is missing is listed "
             "with the command that makes it"},
    {.name = "pairs", .argument = "NET/DATASET,..", FIELD(pairs), .help = "only these"},
    {.name = "lane", .argument = "NAME", FIELD(lane), .help = "block times of lanes whose name begins so, default cpu"},
    {.name = "no-predictor",
     FIELD(is_without_predictor),
     .help = "plan with mean scores even where there are predictors"},
    {.name = "markdown",
     FIELD(is_markdown),
     .help = "for a document\nbesides: --resamples, --seed, --threads, --json, --quiet"},
};

static const struct einet_usage usage = {
    .command = "evaluate",
    .head =
        "usage: einet evaluate --et FILE --cs FILE [options]\n"
        "       einet evaluate --paper [DIR..] [options]\n"
        "\n"
        "Walk one job per sample of the CS-profile through each method of choosing exits, with the block times of the\n"
        "ET-profile, and print how often the answer held at the forced exit time T is right, integrated over T "
        "exactly.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
            "example: einet evaluate --et b-alexnet-cifar10.et.csv --cs b-alexnet-cifar10.cs --exit-time "
            "exponential:800\n",
    .operands_max = INT32_MAX,
};

/* What the two forms of the command do not share. */
static int check_request(const struct request *r, bool has_score)
{
    const bool is_single = r->network.et || r->network.cs || r->classic.et || r->classic.cs || r->compressed.et ||
                           r->compressed.cs || r->predictor || r->exit_time || r->assume || r->methods || has_score;
    if (r->is_paper) {
        return is_single                      ? einet_options_refuse(&usage,
                                                                     "--paper finds its profiles itself: of the options for one network it "
                                                                                          "takes --resamples, --seed, --threads and --json")
               : r->is_json && r->is_markdown ? einet_options_refuse(&usage, "--json and --markdown exclude each other")
                                              : -1;
    }
    if (r->pairs || r->lane || r->is_without_predictor || r->is_markdown) {
        return einet_options_refuse(&usage, "--pairs, --lane, --no-predictor and --markdown go with --paper");
    }
    if (r->folder_count > 0) {
        return einet_options_refuse(&usage, "nothing without a name, so not '%s'", r->folders[0]);
    }
    if (r->network.et == NULL || r->network.cs == NULL) {
        return einet_options_refuse(&usage, "--et and --cs are needed");
    }
    if ((r->classic.et == NULL) != (r->classic.cs == NULL)) {
        return einet_options_refuse(&usage, "--classic-et and --classic-cs are needed together");
    }
    if ((r->compressed.et == NULL) != (r->compressed.cs == NULL)) {
        return einet_options_refuse(&usage, "--compressed-et and --compressed-cs are needed together");
    }
    return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, r, &given);
    if (status >= 0) {
        return status;
    }
    r->folders = (const char *const *)given.operands;
    r->folder_count = given.operand_count;
    return check_request(r, einet_options_has(&given, "no-output-score"));
}

static int read_pair(const struct pair_paths *paths, struct inputs *in, int which, struct ei_plan_profiles *out,
                     struct einet_error *err)
{
    if (paths->et == NULL) {
        return 0;
    }
    int status = ei_et_profile_read(paths->et, &in->et[which], err);
    if (status == 0) {
        status = ei_cs_profile_read(paths->cs, &in->cs[which], err);
    }
    *out = (struct ei_plan_profiles){&in->et[which], &in->cs[which]};
    return status;
}

static int read_inputs(const struct request *r, struct inputs *in, struct ei_plan_evaluate_config *config,
                       struct einet_error *err)
{
    int status = ei_exit_time_parse("--exit-time", r->exit_time ? r->exit_time : "uniform", &in->truth, err);
    if (status == 0 && r->assume != NULL) {
        status = ei_exit_time_parse("--assume", r->assume, &in->belief, err);
    }
    if (status == 0) {
        status = ei_plan_methods_parse(r->methods, r->predictor != NULL, r->compressed.et != NULL, r->seed, in->methods,
                                       &config->method_count, err);
    }
    if (status == 0) {
        status = read_pair(&r->network, in, 0, &config->network, err);
    }
    if (status == 0) {
        status = read_pair(&r->classic, in, 1, &config->classic, err);
    }
    if (status == 0) {
        status = read_pair(&r->compressed, in, 2, &config->compressed, err);
    }
    if (status == 0 && r->predictor != NULL) {
        status = ei_predictor_read(r->predictor, &in->predictor, err);
        config->predictor = &in->predictor;
    }
    config->truth = &in->truth;
    config->belief = r->assume != NULL ? &in->belief : &in->truth;
    config->methods = in->methods;
    config->no_output_score = r->no_output_score;
    config->resamples = r->resamples;
    config->seed = r->seed;
    config->threads = r->threads;
    return status;
}

/* Errors about two files that do not belong together name the options; this adds the files. */
static int report_failure(const struct request *r, const struct einet_error *err)
{
    if (err->code == EINET_E_MISMATCH && err->file[0] == '\0') {
        struct einet_error named = *err;
        snprintf(named.text, sizeof named.text, "%.200s (--et %.120s, --cs %.120s)", err->text, r->network.et,
                 r->network.cs);
        return einet_report_error("evaluate", &named);
    }
    return einet_report_error("evaluate", err);
}

static void show_jobs(void *context, int64_t done, int64_t whole)
{
    einet_progress_show(context, "jobs", (double)done, (double)whole);
}

static int evaluate(const struct request *r, struct inputs *in)
{
    struct ei_plan_evaluate_config config = {0};
    struct ei_plan_evaluation evaluation = {0};
    struct einet_error err = {0};
    int status = read_inputs(r, in, &config, &err);
    if (status == 0) {
        struct einet_progress progress;
        einet_progress_begin(&progress, r->is_quiet);
        config.on_progress = show_jobs;
        config.context = &progress;
        status = ei_plan_evaluate(&config, &evaluation, &err);
        einet_progress_end(&progress);
    }
    if (status != 0) {
        return report_failure(r, &err);
    }
    status = r->is_json ? ei_plan_evaluation_write_json(&evaluation, &config, stdout)
                        : ei_plan_evaluation_print(&evaluation, &config, stdout);
    ei_plan_evaluation_fini(&evaluation);
    if (status != 0) {
        fprintf(stderr, "einet evaluate: cannot print the result: %s\n", einet_error_text(status));
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

static void show_pair(void *context, const struct ei_paper_pair *pair, int32_t idx, int32_t count)
{
    struct einet_progress *progress = context;
    snprintf(progress->detail, sizeof progress->detail, "%.40s/%.40s", pair->network, pair->dataset);
    einet_progress_show(progress, "pairs", (double)idx, (double)count);
}

static int print_paper(const struct request *r, const struct ei_paper_report *report)
{
    const int status =
        r->is_json ? ei_paper_write_json(report, stdout) : ei_paper_print(report, r->is_markdown, stdout);
    if (status != 0) {
        fprintf(stderr, "einet evaluate: cannot print the result: %s\n", einet_error_text(status));
        return EINET_EXIT_FAULT;
    }
    return EINET_EXIT_OK;
}

static int evaluate_paper(const struct request *r)
{
    const bool is_default = r->folder_count == 0;
    const char *lane = r->lane ? r->lane : "cpu";
    struct ei_paper_library library = {0};
    struct ei_paper_results results = {0};
    struct einet_error err = {0};
    struct einet_progress progress;
    const struct ei_paper_config config = {
        .resamples = r->resamples,
        .seed = r->seed,
        .threads = r->threads,
        .is_without_predictor = r->is_without_predictor,
        .on_pair = show_pair,
        .context = &progress,
    };
    int status = ei_paper_library_read(is_default ? default_folders : r->folders, is_default ? 1 : r->folder_count,
                                       r->pairs, lane, &library, &err);
    if (status == 0) {
        einet_progress_begin(&progress, r->is_quiet);
        status = ei_paper_evaluate(&library, &config, &results, &err);
        einet_progress_end(&progress);
    }
    if (status != 0) {
        ei_paper_library_fini(&library);
        return einet_report_error("evaluate", &err);
    }
    status = print_paper(r, &(struct ei_paper_report){&library, &results, &config, lane});
    ei_paper_results_fini(&results);
    ei_paper_library_fini(&library);
    return status;
}

int einet_evaluate_command(int argc, char **argv)
{
    struct request r = {.resamples = 2000, .seed = 1};
    const int stop = parse_arguments(argc, argv, &r);
    if (stop >= 0) {
        return stop;
    }
    if (r.is_paper) {
        return evaluate_paper(&r);
    }
    struct inputs *in = calloc(1, sizeof *in);
    if (!in) {
        fputs("einet evaluate: out of memory\n", stderr);
        return EINET_EXIT_FAULT;
    }
    const int status = evaluate(&r, in);
    for (int i = 0; i < 3; i++) {
        ei_cs_profile_fini(&in->cs[i]);
    }
    free(in);
    return status;
}
