/* einet evaluate as users run it: the table, the JSON object, and what goes wrong at their desk. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <unistd.h>

#define CIFAR "models/pretrained/b-alexnet-cifar10"
#define ET CIFAR ".et.csv"
#define CS CIFAR ".cs"

static void require_profiles(void)
{
    if (access(CS, R_OK) != 0 || access(ET, R_OK) != 0) {
        ei_test_skip("no shipped profiles in %s", CIFAR);
    }
}

static json_t *run_json(const char *const *args)
{
    const struct finished *f = einet_run(args);
    json_error_t error = {.line = 0};
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *root = json_loads(f->output, JSON_REJECT_DUPLICATES, &error);
    EI_TRUEF(root != NULL, "%s in line %d: %s", error.text, error.line, f->output);
    return root;
}

static json_t *method_of(json_t *root, const char *name)
{
    size_t i;
    json_t *method;
    json_array_foreach(json_object_get(root, "methods"), i, method)
    {
        if (strcmp(json_string_value(json_object_get(method, "name")), name) == 0) {
            return method;
        }
    }
    EI_TRUEF(false, "no method %s", name);
    return NULL;
}

static double figure(json_t *root, const char *method, const char *column, const char *which)
{
    const json_t *value = json_object_get(json_object_get(method_of(root, method), column), which);
    EI_TRUEF(json_is_number(value), "%s.%s.%s is no number", method, column, which);
    return json_number_value(value);
}

static double difference(json_t *root, const char *method, const char *which)
{
    json_t *object = json_object_get(method_of(root, method), "difference");
    const json_t *value = json_object_get(json_object_get(object, "overall_pct"), which);
    EI_TRUEF(json_is_number(value), "%s.difference.%s is no number", method, which);
    return json_number_value(value);
}

/* t_1 and H of the shipped block times, which are measured anew now and then. */
static void read_times(int64_t *out_first_ns, int64_t *out_network_ns)
{
    char line[512];
    long long conv_ns, branch_ns, conv_end_ns = 0;
    FILE *file = fopen(ET, "re");
    *out_first_ns = INT64_MAX;
    *out_network_ns = 0;
    EI_REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*d,%lld,%*d,%*d,%lld,", &conv_ns, &branch_ns) == 2) {
            conv_end_ns += conv_ns;
            *out_first_ns = conv_end_ns + branch_ns < *out_first_ns ? conv_end_ns + branch_ns : *out_first_ns;
            *out_network_ns += conv_ns + branch_ns;
        }
    }
    fclose(file);
}

EI_TEST(evaluate_prints_a_table)
{
    require_profiles();
    char first[64], network[64];
    int64_t first_ns, network_ns;
    read_times(&first_ns, &network_ns);
    snprintf(first, sizeof first, "t_1 = %.3f ms", (double)first_ns / 1e6);
    snprintf(network, sizeof network, "H = %.3f ms", (double)network_ns / 1e6);
    const struct finished *f = einet_run((const char *[]){"evaluate", "--et", ET, "--cs", CS, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, first);
    EI_CONTAINS(f->output, network);
    static const char *const words[] = {"b-alexnet on cifar10 test: 10000 samples",
                                        "exact",
                                        "hybrid:6",
                                        "greedy",
                                        "random:1000",
                                        "static:25",
                                        "static:50",
                                        "static:100",
                                        "statistics",
                                        "confidence:0.9",
                                        "confidence:0.95",
                                        "confidence:0.99",
                                        "noskip",
                                        "all",
                                        "classic",
                                        "oracle",
                                        "minus exact",
                                        "seed 1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        EI_CONTAINS(f->output, words[i]);
    }
    EI_TRUE(strstr(f->output, "compressed") == NULL); /* never made up */
}

EI_TEST(evaluate_writes_json)
{
    require_profiles();
    int64_t first_ns, network_ns;
    read_times(&first_ns, &network_ns);
    json_t *root = run_json((const char *[]){"evaluate", "--et", ET, "--cs", CS, "--json", "--exit-time",
                                             "exponential:1000", "--assume", "uniform:2ms", "--methods",
                                             "exact,static:50,all", "--bootstrap", "200", "--seed", "5", NULL});
    EI_REQUIRE(root != NULL);
    EI_EQ(json_integer_value(json_object_get(root, "schema")), 1);
    EI_EQ(json_integer_value(json_object_get(root, "samples")), 10000);
    EI_EQ(json_integer_value(json_object_get(root, "network_ns")), network_ns);
    EI_EQ(json_integer_value(json_object_get(root, "first_answer_ns")), first_ns);
    EI_STREQ(json_string_value(json_object_get(root, "exit_time")), "exponential:1000");
    EI_STREQ(json_string_value(json_object_get(root, "assume")), "uniform:2ms");
    EI_STREQ(json_string_value(json_object_get(root, "reference")), "exact");
    EI_TRUE(json_is_false(json_object_get(root, "is_held_out")));
    EI_EQ(json_array_size(json_object_get(root, "methods")), 3);
    EI_TRUE(json_is_null(json_object_get(method_of(root, "exact"), "difference")));
    const char *columns[] = {"conditional_pct", "strict_pct", "coverage_pct", "overall_pct", "overall_coverage_pct"};
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        const double value = figure(root, "static:50", columns[c], "value");
        EI_IN(value, 0.1, 100);
        EI_IN(figure(root, "static:50", columns[c], "low"), value - 3, value + 1e-6);
        EI_IN(figure(root, "static:50", columns[c], "high"), value - 1e-6, value + 3);
    }
    EI_NEAR(difference(root, "all", "value"),
            figure(root, "all", "overall_pct", "value") - figure(root, "exact", "overall_pct", "value"), 1e-6);
    EI_TRUE(difference(root, "static:50", "high") < 0); /* two late exits against the plan of each sample */
    /* Answers of all that are not too late: P(T >= t_1) and accuracies of a multi-exit job. */
    EI_NEAR(figure(root, "all", "overall_coverage_pct", "value"), 100 * exp(-1e-6 * (double)first_ns), 1e-4);
    json_decref(root);
}

/* The same seed gives the same text, another one other intervals of the same values. */
EI_TEST(evaluate_is_seeded)
{
    require_profiles();
    const char *args[] = {"evaluate", "--et",        ET,   "--cs",   CS,  "--methods", "exact,all",
                          "--json",   "--bootstrap", "60", "--seed", "8", NULL};
    char *first = strdup(einet_run(args)->output);
    EI_REQUIRE(first != NULL);
    EI_STREQ(einet_run(args)->output, first);
    args[11] = "9";
    EI_TRUE(strcmp(einet_run(args)->output, first) != 0);
    free(first);
}

/* ---- the paper's tables ---- */

/* Few resamples: what is checked are the figures and that every table is there. */
EI_TEST(paper_prints_tables)
{
    require_profiles();
    const struct finished *f = einet_run((const char *[]){"evaluate", "--paper", "--resamples", "20", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    static const char *const words[] = {"1. Against static plans",
                                        "2. Gain over dynamic plans",
                                        "3. Against networks with one exit",
                                        "4. What skipping brings",
                                        "5. What the predictor brings",
                                        "b-alexnet/cifar10 ",
                                        "b-alexnet/generated ",
                                        "b-alexnet/mnist ",
                                        "+40.40 .. +61.50",
                                        "gain over the best static plan",
                                        "b-alexnet/cifar100"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        EI_CONTAINS(f->output, words[i]);
    }
}

static json_t *paper_pair(json_t *root, const char *dataset)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(root, "pairs"), i, pair)
    {
        if (strcmp(json_string_value(json_object_get(pair, "dataset")), dataset) == 0) {
            return pair;
        }
    }
    EI_TRUEF(false, "no pair of %s", dataset);
    return NULL;
}

/* The tables say what the evaluation of one network says; the predictor beside the profiles is found. */
static void check_agreement(bool has_predictor)
{
    json_t *one = run_json((const char *[]){"evaluate", "--et", ET, "--cs", CS, "--methods",
                                            "exact,noskip,static:50,all", "--resamples", "30", "--seed", "4", "--json",
                                            has_predictor ? "--predictor" : NULL, CIFAR ".predictor", NULL});
    json_t *paper = run_json((const char *[]){"evaluate", "--paper", "models/pretrained", "--pairs",
                                              "b-alexnet/cifar10", "--resamples", "30", "--seed", "4", "--threads", "1",
                                              "--json", has_predictor ? NULL : "--no-predictor", NULL});
    EI_REQUIRE(one != NULL && paper != NULL);
    json_t *pair = paper_pair(paper, "cifar10");
    EI_EQ(json_array_size(json_object_get(paper, "pairs")), 1);
    EI_EQ(json_integer_value(json_object_get(pair, "samples")), json_integer_value(json_object_get(one, "samples")));
    EI_EQ(json_is_true(json_object_get(pair, "has_predictor")), has_predictor);
    static const char *const names[] = {"exact", "noskip", "static:50", "all"};
    static const char *const keys[] = {"value", "low", "high"};
    for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            EI_NEAR(figure(pair, names[m], "conditional_pct", keys[k]),
                    figure(one, names[m], "conditional_pct", keys[k]), 1e-6);
            EI_NEAR(figure(pair, names[m], "strict_pct", keys[k]), figure(one, names[m], "strict_pct", keys[k]), 1e-6);
        }
    }
    json_decref(one);
    json_decref(paper);
}

EI_TEST(paper_agrees_with_one_evaluation)
{
    require_profiles();
    check_agreement(false);
}

EI_TEST(paper_agrees_with_one_evaluation_with_predictor)
{
    require_profiles();
    check_agreement(true);
}

EI_TEST(paper_is_the_same_with_more_threads)
{
    require_profiles();
    const char *args[] = {"evaluate",    "--paper", "--markdown",
                          "--resamples", "20",      "--threads",
                          "1",           "--pairs", "b-alexnet/cifar10,b-alexnet/mnist",
                          NULL};
    char *first = strdup(einet_run(args)->output);
    EI_REQUIRE(first != NULL);
    EI_CONTAINS(first, "\n### 1. Against static plans\n\n| pair |");
    args[6] = "2";
    EI_STREQ(einet_run(args)->output, first);
    free(first);
}

/* scripts/evaluation-tables writes between the markers and nowhere else; a document without them stays as it is. */
EI_TEST(paper_tables_go_into_a_document)
{
    static char command[2048], text[64 * 1024];
    require_profiles();
    const char *doc = write_file("doc.md", "before\n<!-- tables: begin (scripts/evaluation-tables) -->\nold\n"
                                           "<!-- tables: end -->\nafter\n");
    snprintf(command, sizeof command,
             "BUILD=%s DOC=%s scripts/evaluation-tables --resamples 10 --pairs b-alexnet/cifar10 2>&1",
             ei_test_build_dir(), doc);
    for (int time = 0; time < 2; time++) { /* the second finds what the first wrote */
        EI_EQ(system(command), 0);
        FILE *file = fopen(doc, "re");
        EI_REQUIRE(file != NULL);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        EI_TRUE(strncmp(text, "before\n<!-- tables: begin", 25) == 0);
        EI_CONTAINS(text, "`einet evaluate --paper --markdown --resamples 10 --pairs b-alexnet/cifar10`");
        EI_CONTAINS(text, "| b-alexnet/cifar10 | 78.43 | 78.71 |");
        EI_CONTAINS(text, "<!-- tables: end -->\nafter\n");
        EI_TRUE(strstr(text, "\nold\n") == NULL);
    }
    const char *other = write_file("other.md", "no markers\n");
    snprintf(command, sizeof command, "BUILD=%s DOC=%s scripts/evaluation-tables >/dev/null 2>&1", ei_test_build_dir(),
             other);
    EI_TRUE(system(command) != 0);
}

/* ---- what goes wrong ---- */

static void expect(int status, const char *text, const char *const *args)
{
    const struct finished *f = einet_run(args);
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, "einet evaluate: ");
    EI_CONTAINS(f->output, text);
}

static void expect_option(int status, const char *text, const char *option, const char *value)
{
    expect(status, text, (const char *[]){"evaluate", "--et", ET, "--cs", CS, option, value, NULL});
}

EI_TEST(evaluate_refuses_wrong_options)
{
    require_profiles();
    expect(1, "--et and --cs", (const char *[]){"evaluate", "--et", ET, NULL});
    expect(1, "'extra'", (const char *[]){"evaluate", "--et", ET, "--cs", CS, "extra", NULL});
    expect_option(1, "--methods", "--methods", "exact,magic");
    expect_option(1, "magic", "--methods", "exact,magic");
    expect_option(1, "--compressed-et", "--methods", "compressed");
    expect_option(1, "--exit-time", "--exit-time", "uniform:-2ms");
    expect_option(1, "-2ms", "--exit-time", "uniform:-2ms");
    expect_option(1, "--assume", "--assume", "exponential:-5");
    expect_option(1, "--exit-time", "--exit-time", "weibull:2");
    expect_option(1, "--bootstrap", "--bootstrap", "-1");
    expect_option(1, "--bootstrap", "--bootstrap", "100001");
    expect_option(1, "--seed", "--seed", "x");
    expect_option(1, "--no-output-score", "--no-output-score", "nan");
    expect_option(1, "--classic-cs", "--classic-et", ET);
    expect_option(1, "--compressed-cs", "--compressed-et", ET);
}

EI_TEST(paper_refuses_wrong_options_and_folders)
{
    require_profiles();
    expect(1, "--paper finds its profiles itself", (const char *[]){"evaluate", "--paper", "--et", ET, NULL});
    expect(1, "--paper finds", (const char *[]){"evaluate", "--paper", "--no-output-score", "0", NULL});
    expect(1, "exclude each other", (const char *[]){"evaluate", "--paper", "--json", "--markdown", NULL});
    expect(1, "go with --paper", (const char *[]){"evaluate", "--et", ET, "--cs", CS, "--markdown", NULL});
    expect(1, "--threads", (const char *[]){"evaluate", "--paper", "--threads", "0", NULL});
    expect(1, "'cifar10' is no pair", (const char *[]){"evaluate", "--paper", "--pairs", "cifar10", NULL});
    expect(2, "nowhere", (const char *[]){"evaluate", "--paper", "models/pretrained", "nowhere", NULL});
    const char *broken = write_file("broken.cs", "einet cs-profile 2\nnetwork: b-alexnet\n");
    expect(2, broken, (const char *[]){"evaluate", "--paper", ei_test_tmpdir(), NULL});
    /* The same files twice. */
    expect(2, "keep one of the two",
           (const char *[]){"evaluate", "--paper", "models/pretrained", "models/pretrained", NULL});
}

EI_TEST(evaluate_refuses_wrong_files)
{
    require_profiles();
    expect(2, "nowhere.et.csv", (const char *[]){"evaluate", "--et", "nowhere.et.csv", "--cs", CS, NULL});
    expect(2, "nowhere.cs", (const char *[]){"evaluate", "--et", ET, "--cs", "nowhere.cs", NULL});
    expect(2, "b-alexnet-cifar10.cs", (const char *[]){"evaluate", "--et", CS, "--cs", CS, NULL});
    expect_option(2, "nowhere.predictor", "--predictor", "nowhere.predictor");
    expect_option(2, "nowhere.txt", "--exit-time", "trace:nowhere.txt");
    const char *trace = write_file("stops.txt", "1ms\nsoon\n");
    char text[600];
    snprintf(text, sizeof text, "trace:%s", trace);
    expect_option(2, "stops.txt:2:", "--assume", text);
    /* Of another network, and of another number of exits. */
    const char *mnist = "models/pretrained/b-alexnet-mnist.et.csv";
    expect(2, "--cs does not belong to --et", (const char *[]){"evaluate", "--et", mnist, "--cs", CS, NULL});
    const char *two = write_file("two.et.csv", "# einet et-profile 2\n# network: b-alexnet\n# weights_sha256:\n"
                                               "# precision: float32\n# machine: m\n# cpu_model:\n# kernel:\n"
                                               "# governor:\n# backend:\n# lane: cpu\n# policy: other\n"
                                               "# priority: 0\n# cpus:\n# memory: pageable\n# threads: 1\n"
                                               "# samples: 10\n"
                                               "# mode: sequential\n# exits: 2\n"
                                               "exit_idx,conv_p50_ns,conv_p99_ns,conv_max_ns,branch_p50_ns,"
                                               "branch_p99_ns,branch_max_ns\n0,1,1,1,1,1,1\n1,1,1,1,1,1,1\n");
    expect(2, "exits", (const char *[]){"evaluate", "--et", two, "--cs", CS, NULL});
    expect(2, "two.et.csv", (const char *[]){"evaluate", "--et", two, "--cs", CS, NULL});
    expect(2, "--compressed-cs",
           (const char *[]){"evaluate", "--et", ET, "--cs", CS, "--compressed-et", mnist, "--compressed-cs",
                            "models/pretrained/b-alexnet-mnist.cs", NULL});
}

EI_MAIN()
