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

EI_TEST(evaluate_prints_a_table)
{
    require_profiles();
    const struct finished *f = einet_run((const char *[]){"evaluate", "--et", ET, "--cs", CS, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    static const char *const words[] = {"b-alexnet on cifar10 test: 10000 samples",
                                        "t_1 = 0.708 ms",
                                        "H = 1.276 ms",
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
    json_t *root = run_json((const char *[]){"evaluate", "--et", ET, "--cs", CS, "--json", "--exit-time",
                                             "exponential:1000", "--assume", "uniform:2ms", "--methods",
                                             "exact,static:50,all", "--bootstrap", "200", "--seed", "5", NULL});
    EI_REQUIRE(root != NULL);
    EI_EQ(json_integer_value(json_object_get(root, "schema")), 1);
    EI_EQ(json_integer_value(json_object_get(root, "samples")), 10000);
    EI_EQ(json_integer_value(json_object_get(root, "network_ns")), 1276122);
    EI_EQ(json_integer_value(json_object_get(root, "first_answer_ns")), 707929);
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
    EI_NEAR(figure(root, "all", "overall_coverage_pct", "value"), 100 * exp(-1000 * 707929e-9), 1e-4);
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
    const char *two = write_file("two.et.csv", "# einet et-profile 1\n# network: b-alexnet\n# weights_sha256:\n"
                                               "# machine: m\n# lane: cpu\n# threads: 1\n# samples: 10\n"
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
