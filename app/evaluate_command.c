/* einet evaluate: how accurate are the ways to choose exits when a job is stopped at any time? For one network, or
 * with --paper for all that there are, in the tables of the EINet paper.
 */
#include "app/commands.h"
#include "app/progress.h"
#include "models/paper_evaluate.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: einet evaluate --et FILE --cs FILE [options]\n"
    "       einet evaluate --paper [DIR..] [options]\n"
    "\n"
    "Walk one job per sample of the CS-profile through each method of choosing exits, with the block times of the\n"
    "ET-profile, and print how often the answer held at the forced exit time T is right, integrated over T exactly.\n"
    "\n"
    "  --et FILE                  block times (.et.csv of einet profile)\n"
    "  --cs FILE                  answers (.cs of einet profile)\n"
    "  --predictor FILE           CS-predictor; then only the samples that it did not learn from are evaluated\n"
    "  --exit-time T              distribution of the forced exit time, from the job's start:\n"
    "                               uniform            in [0, all block times] (default)\n"
    "                               uniform:TIME       in [0, TIME]\n"
    "                               exponential:RATE   RATE stops per second\n"
    "                               step:TIME          exactly at TIME\n"
    "                               trace:FILE         one recorded time a line, 'censored' behind it if never "
    "stopped\n"
    "                             with times such as 2ms or 800us\n"
    "  --assume T                 what the planner takes the distribution for (default: what it is)\n"
    "  --methods A,B,..           of exact, hybrid:DEPTH, greedy, random:DRAWS, static:PERCENT, statistics,\n"
    "                             confidence:SCORE, noskip, all, classic (last exit only), compressed, oracle; with\n"
    "                             a predictor exact@means and the like do without it (default: a set of each)\n"
    "  --classic-et FILE          profiles of a real network with one exit, for classic (default: the conv chain and\n"
    "  --classic-cs FILE          the last exit of the network itself)\n"
    "  --compressed-et FILE       profiles of a pruned or quantised network with one exit, for compressed\n"
    "  --compressed-cs FILE\n"
    "  --no-output-score X        what no answer is worth to the planner, default 0\n"
    "  --resamples N              of the intervals, default 2000; 0 = no intervals (--bootstrap is the same)\n"
    "  --seed N                   of random search and bootstrap, default 1\n"
    "  --threads N                that share the samples, default one per processor; the result is the same\n"
    "  --json                     print one JSON object instead of the table (docs/evaluation.md)\n"
    "  --quiet                    no progress\n"
    "\n"
    "  --paper                    the tables of the EINet paper beside ours, for every network and data set whose\n"
    "                             profiles are in the folders (default models/pretrained), told by what the files say\n"
    "                             of themselves; what is missing is listed with the command that makes it\n"
    "  --pairs NET/DATASET,..     only these\n"
    "  --lane NAME                block times of lanes whose name begins so, default cpu\n"
    "  --no-predictor             plan with mean scores even where there are predictors\n"
    "  --markdown                 for a document\n"
    "                             besides: --resamples, --seed, --threads, --json\n"
    "\n"
    "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
    "example: einet evaluate --et b-alexnet-cifar10.et.csv --cs b-alexnet-cifar10.cs --exit-time exponential:800\n";

#define THREADS_MAX 64

static const char *const default_folders[] = {"models/pretrained"};

enum option_id {
    OPT_ET = 256,
    OPT_CS,
    OPT_PREDICTOR,
    OPT_EXIT_TIME,
    OPT_ASSUME,
    OPT_METHODS,
    OPT_CLASSIC_ET,
    OPT_CLASSIC_CS,
    OPT_COMPRESSED_ET,
    OPT_COMPRESSED_CS,
    OPT_NO_OUTPUT_SCORE,
    OPT_BOOTSTRAP,
    OPT_RESAMPLES,
    OPT_SEED,
    OPT_THREADS,
    OPT_JSON,
    OPT_QUIET,
    OPT_PAPER,
    OPT_PAIRS,
    OPT_LANE,
    OPT_NO_PREDICTOR,
    OPT_MARKDOWN,
    OPT_HELP
};

static const struct option options[] = {
    {"et", required_argument, NULL, OPT_ET},
    {"cs", required_argument, NULL, OPT_CS},
    {"predictor", required_argument, NULL, OPT_PREDICTOR},
    {"exit-time", required_argument, NULL, OPT_EXIT_TIME},
    {"assume", required_argument, NULL, OPT_ASSUME},
    {"methods", required_argument, NULL, OPT_METHODS},
    {"classic-et", required_argument, NULL, OPT_CLASSIC_ET},
    {"classic-cs", required_argument, NULL, OPT_CLASSIC_CS},
    {"compressed-et", required_argument, NULL, OPT_COMPRESSED_ET},
    {"compressed-cs", required_argument, NULL, OPT_COMPRESSED_CS},
    {"no-output-score", required_argument, NULL, OPT_NO_OUTPUT_SCORE},
    {"bootstrap", required_argument, NULL, OPT_BOOTSTRAP},
    {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"paper", no_argument, NULL, OPT_PAPER},
    {"pairs", required_argument, NULL, OPT_PAIRS},
    {"lane", required_argument, NULL, OPT_LANE},
    {"no-predictor", no_argument, NULL, OPT_NO_PREDICTOR},
    {"markdown", no_argument, NULL, OPT_MARKDOWN},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct pair_paths {
    const char *et, *cs;
};

struct request {
    struct pair_paths network, classic, compressed;
    const char *predictor, *exit_time, *assume, *methods, *no_output;
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

static bool parse_number(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && isfinite(*out);
}

static bool parse_whole(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out <= max;
}

static bool parse_count(const char *text, int32_t min, int32_t max, int32_t *out)
{
    uint64_t count;
    if (!parse_whole(text, (uint64_t)max, &count) || count < (uint64_t)min) {
        return false;
    }
    *out = (int32_t)count;
    return true;
}

static const char **text_option(struct request *r, int id)
{
    switch (id) {
    case OPT_ET:
        return &r->network.et;
    case OPT_CS:
        return &r->network.cs;
    case OPT_PREDICTOR:
        return &r->predictor;
    case OPT_EXIT_TIME:
        return &r->exit_time;
    case OPT_ASSUME:
        return &r->assume;
    case OPT_METHODS:
        return &r->methods;
    case OPT_CLASSIC_ET:
        return &r->classic.et;
    case OPT_CLASSIC_CS:
        return &r->classic.cs;
    case OPT_COMPRESSED_ET:
        return &r->compressed.et;
    case OPT_COMPRESSED_CS:
        return &r->compressed.cs;
    case OPT_PAIRS:
        return &r->pairs;
    case OPT_LANE:
        return &r->lane;
    default:
        return NULL;
    }
}

static bool apply_option(struct request *r, int id, const char *value)
{
    const char **to = text_option(r, id);
    if (to != NULL) {
        *to = value;
        return true;
    }
    switch (id) {
    case OPT_NO_OUTPUT_SCORE:
        r->no_output = value;
        return parse_number(value, &r->no_output_score);
    case OPT_BOOTSTRAP:
    case OPT_RESAMPLES:
        return parse_count(value, 0, EI_PLAN_RESAMPLES_MAX, &r->resamples);
    case OPT_THREADS:
        return parse_count(value, 1, THREADS_MAX, &r->threads);
    case OPT_SEED:
        return parse_whole(value, UINT64_MAX, &r->seed);
    case OPT_QUIET:
        r->is_quiet = true;
        return true;
    case OPT_JSON:
        r->is_json = true;
        return true;
    case OPT_PAPER:
        r->is_paper = true;
        return true;
    case OPT_NO_PREDICTOR:
        r->is_without_predictor = true;
        return true;
    case OPT_MARKDOWN:
        r->is_markdown = true;
        return true;
    default:
        return false;
    }
}

static int complain(const char *text)
{
    fprintf(stderr, "einet evaluate: %s; einet evaluate --help\n", text);
    return EINET_EXIT_USAGE;
}

/* What the two forms of the command do not share. */
static int check_request(const struct request *r)
{
    const bool is_single = r->network.et || r->network.cs || r->classic.et || r->classic.cs || r->compressed.et ||
                           r->compressed.cs || r->predictor || r->exit_time || r->assume || r->methods || r->no_output;
    if (r->is_paper) {
        return is_single ? complain("--paper finds its profiles itself: of the options for one network it "
                                    "takes --resamples, --seed, --threads and --json")
               : r->is_json && r->is_markdown ? complain("--json and --markdown exclude each other")
                                              : -1;
    }
    if (r->pairs || r->lane || r->is_without_predictor || r->is_markdown) {
        return complain("--pairs, --lane, --no-predictor and --markdown go with --paper");
    }
    if (r->folder_count > 0) {
        fprintf(stderr, "einet evaluate: '%s' is not an option; einet evaluate --help\n", r->folders[0]);
        return EINET_EXIT_USAGE;
    }
    if (r->network.et == NULL || r->network.cs == NULL) {
        return complain("--et and --cs are needed");
    }
    if ((r->classic.et == NULL) != (r->classic.cs == NULL)) {
        return complain("--classic-et and --classic-cs are needed together");
    }
    if ((r->compressed.et == NULL) != (r->compressed.cs == NULL)) {
        return complain("--compressed-et and --compressed-cs are needed together");
    }
    return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct request *r)
{
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (id == 'h' || id == OPT_HELP) {
            fputs(help, stdout);
            return EINET_EXIT_OK;
        }
        if (id == '?') {
            fputs("einet evaluate --help lists the options\n", stderr);
            return EINET_EXIT_USAGE;
        }
        if (!apply_option(r, id, optarg)) {
            fprintf(stderr, "einet evaluate: '%s' is no value for --%s; einet evaluate --help\n", optarg,
                    options[id - OPT_ET].name);
            return EINET_EXIT_USAGE;
        }
    }
    r->folders = (const char *const *)argv + optind;
    r->folder_count = argc - optind;
    return check_request(r);
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
