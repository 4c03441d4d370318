/* The evaluation on a profile that was computed by hand, and what it refuses. */
#include "models/plan_evaluate.h"

#include "tests/harness/harness.h"
#include "tests/models/plan_profiles.h"

#include <errno.h>
#include <stdlib.h>

#define HOLDS 1e-9

/* Expectations in ms of the right answer held, summed over the four samples. */
static void expect_ms(const char *method, double right_ms, double covered_ms)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    plan_profiles_by_hand(&et, &cs);
    const int status = plan_evaluate(&et, &cs, NULL, "uniform", "uniform", method, &e, &err);
    if (EI_TRUEF(status == 0, "%s: %s", method, err.text)) {
        EI_EQ(e.first_answer_ns, 20000000);
        EI_EQ(e.network_ns, 60000000);
        EI_EQ(e.samples, 4);
        const double strict = plan_mean(&e, 0, EI_COLUMN_STRICT), given = plan_mean(&e, 0, EI_COLUMN_CONDITIONAL);
        EI_TRUEF(fabs(strict - right_ms / 240) < HOLDS, "%s: strict is %.12g ms", method, strict * 240);
        EI_TRUEF(fabs(given - right_ms / 160) < HOLDS, "%s: conditional is %.12g ms", method, given * 160);
        EI_NEAR(plan_mean(&e, 0, EI_COLUMN_COVERAGE), covered_ms / 60, HOLDS);
        EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OVERALL), strict, HOLDS);
        EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OUTPUT), covered_ms / 60, HOLDS);
    }
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

/* Answers at 20, 35, 60: exit 1 held for 15 ms, exit 2 for 25, exit 3 never. */
EI_TEST(by_hand_fixed_plans)
{
    expect_ms("all", 15 + 0 + 25 + 25, 40);
    expect_ms("static:100", 65, 40);
    expect_ms("static:50", 10 + 10 + 35 + 25, 35); /* exits 2 and 3 at 25 and 50 */
    expect_ms("static:25", 45, 15);                /* exit 3 at 45 */
    expect_ms("classic", 45, 15);
    expect_ms("statistics", 40 + 5 + 5 + 0, 40); /* exits 1 and 3 at 20 and 55: J = 23.225 / 60, all others less */
}

/* Exit 1 at 20; then the first sample holds, the second and the last take exit 2 at 35, the third exit 3 at 55. */
EI_TEST(by_hand_replanning)
{
    expect_ms("exact", 40 + 0 + 5 + 25, 40);
    expect_ms("hybrid:6", 70, 40);
    expect_ms("greedy", 70, 40);
    expect_ms("random:1000", 70, 40);
}

/* The same stop, but exit 2 is not left out: the third sample is right from 35 on instead of 55. */
EI_TEST(by_hand_without_skipping)
{
    expect_ms("noskip", 40 + 0 + 25 + 25, 40);
}

/* Until the score is q or more, then hold. */
EI_TEST(by_hand_confidence)
{
    expect_ms("confidence:0.9", 40 + 0 + 25 + 25, 40);
    expect_ms("confidence:0.94", 40 + 0 + 25 + 25, 40);
    expect_ms("confidence:0.99", 15 + 0 + 25 + 25, 40);
    expect_ms("confidence:0.5", 40 + 0 + 0 + 25, 40);
}

/* Alone, exits are ready at 20, 25, 45. */
EI_TEST(by_hand_oracle)
{
    expect_ms("oracle", 40 + 15 + 35 + 20, 40);
}

/* How many exits, the value of what is delivered, and a stop at one known time. */
EI_TEST(by_hand_other_columns)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    plan_profiles_by_hand(&et, &cs);
    EI_TRUEF(plan_evaluate(&et, &cs, NULL, "step:40ms", "uniform", "exact,all,classic,oracle,static:50", &e, &err) == 0,
             "%s", err.text);
    EI_REQUIRE(e.value != NULL);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OVERALL), 0.5, HOLDS); /* samples 1 and 4 */
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_OVERALL), 0.5, HOLDS); /* samples 3 and 4 */
    EI_NEAR(plan_mean(&e, 2, EI_COLUMN_OVERALL), 0, 0);
    EI_NEAR(plan_mean(&e, 3, EI_COLUMN_OVERALL), 0.75, HOLDS);
    EI_NEAR(plan_mean(&e, 4, EI_COLUMN_OVERALL), 0.5, HOLDS);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OUTPUT), 1, 0);
    EI_NEAR(plan_mean(&e, 2, EI_COLUMN_OUTPUT), 0, 0);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_SCORE), (0.96 + 0.3 + 0.6 + 0.5) / 4, 1e-5);
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_SCORE), (0.5 + 0.3 + 0.92 + 0.5) / 4, 1e-5);
    EI_NEAR(plan_mean(&e, 3, EI_COLUMN_SCORE), (0.96 + 0.3 + 0.92 + 0.5) / 4, 1e-5);
    EI_NEAR(plan_mean(&e, 2, EI_COLUMN_SCORE), 0, 0);
    EI_NEAR(e.method[0].exits_mean, 1.75, 0);
    EI_NEAR(e.method[1].exits_mean, 3, 0);
    EI_NEAR(e.method[2].exits_mean, 1, 0);
    EI_NEAR(e.method[0].difference[EI_COLUMN_OVERALL].value, 0, 0);
    EI_NEAR(e.method[3].difference[EI_COLUMN_OVERALL].value, 0.25, HOLDS);
    EI_EQ(e.reference_idx, 0);
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

/* The columns conditional, strict and coverage are of [t_1, H] and [0, H] whatever T is; overall is of T. */
EI_TEST(by_hand_exponential_and_trace)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    plan_profiles_by_hand(&et, &cs);
    EI_EQ(plan_evaluate(&et, &cs, NULL, "exponential:25", "uniform", "all,classic", &e, &err), 0);
    EI_REQUIRE(e.value != NULL);
    const double first = exp(-0.025 * 20), second = exp(-0.025 * 35), third = exp(-0.025 * 60);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OVERALL), ((first - second + third) + third + second + (second - third)) / 4,
            HOLDS);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_STRICT), 65.0 / 240, HOLDS);
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_OUTPUT), exp(-0.025 * 45), HOLDS);
    ei_plan_evaluation_fini(&e);
    char path[512], text[600];
    snprintf(path, sizeof path, "%s/stops.txt", ei_test_tmpdir());
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    fputs("10ms\n30ms\n50ms\n60ms censored\n", file);
    fclose(file);
    snprintf(text, sizeof text, "trace:%s", path);
    EI_TRUEF(plan_evaluate(&et, &cs, NULL, text, "uniform", "all,classic", &e, &err) == 0, "%s", err.text);
    EI_REQUIRE(e.value != NULL);
    /* Stops at 10 (nothing yet), 30 (exit 1 held), 50 (exit 2), never (exit 3). */
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OVERALL), (0.0 + 0.25 + 0.5 + 0.75) / 4, HOLDS);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OUTPUT), 0.75, HOLDS);
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_OUTPUT), 0.5, HOLDS);
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

/* No answer may be worth something: then the planner does not trade it for a bad one, and an oracle holds its tongue.
 */
EI_TEST(no_output_score_is_weighed)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    struct ei_exit_time uniform;
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    plan_profiles_by_hand(&et, &cs);
    struct ei_plan_evaluate_config config = {
        .network = {&et, &cs}, .truth = &uniform, .belief = &uniform, .methods = methods, .no_output_score = 0.95};
    EI_EQ(ei_exit_time_parse("--exit-time", "uniform", &uniform, &err), 0);
    EI_EQ(ei_plan_methods_parse("exact,oracle", false, false, 1, methods, &config.method_count, &err), 0);
    EI_EQ(ei_plan_evaluate(&config, &e, &err), 0);
    EI_REQUIRE(e.value != NULL);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_COVERAGE), 0, 0);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_SCORE), 0.95, HOLDS);
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_STRICT), (40.0 + 15 + 15) / 240, HOLDS); /* 0.96, 0.99, 0.97, never */
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

/* ---- other networks ---- */

EI_TEST(classic_and_compressed_have_their_own_profiles)
{
    struct ei_et_profile et, single = {.exits = 1};
    struct ei_cs_profile cs, single_cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    struct ei_exit_time uniform;
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    plan_profiles_by_hand(&et, &cs);
    EI_EQ(ei_cs_profile_init(&single_cs, 1, 4, 2, &err), 0);
    plan_profile_names(&single, &single_cs);
    strcpy(single.network, "single");
    strcpy(single_cs.network, "single");
    plan_profile_time(&single.conv[0], 25000000);
    plan_profile_time(&single.branch[0], 5000000);
    for (int s = 0; s < 4; s++) {
        EI_EQ(ei_cs_profile_set(&single_cs, s, 0, 0.8F, s == 3 ? 0 : 1), 0); /* right about the last sample only */
    }
    ei_cs_profile_summarize(&single_cs);
    struct ei_plan_evaluate_config config = {.network = {&et, &cs},
                                             .classic = {&single, &single_cs},
                                             .compressed = {&single, &single_cs},
                                             .truth = &uniform,
                                             .belief = &uniform,
                                             .methods = methods};
    EI_EQ(ei_exit_time_parse("--exit-time", "uniform", &uniform, &err), 0);
    EI_EQ(ei_plan_methods_parse("classic,compressed,all", false, true, 1, methods, &config.method_count, &err), 0);
    EI_TRUEF(ei_plan_evaluate(&config, &e, &err) == 0, "%s", err.text);
    EI_REQUIRE(e.value != NULL);
    for (int m = 0; m < 2; m++) {
        EI_NEAR(plan_mean(&e, m, EI_COLUMN_STRICT), 30.0 / 240, HOLDS);
        EI_NEAR(plan_mean(&e, m, EI_COLUMN_CONDITIONAL), 30.0 / 160, HOLDS);
        EI_NEAR(plan_mean(&e, m, EI_COLUMN_COVERAGE), 0.5, HOLDS);
    }
    EI_NEAR(plan_mean(&e, 2, EI_COLUMN_STRICT), 65.0 / 240, HOLDS);
    EI_EQ(e.reference_idx, 0); /* there is no exact: the first */
    ei_plan_evaluation_fini(&e);
    single_cs.label[2] = 1;
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "--classic-cs");
    config.classic = (struct ei_plan_profiles){NULL, NULL};
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "--compressed-cs");
    config.compressed = config.classic;
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "compressed");
    ei_cs_profile_fini(&single_cs);
    ei_cs_profile_fini(&cs);
}

/* ---- what is refused ---- */

EI_TEST(inputs_that_do_not_belong_together)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    plan_profiles_by_hand(&et, &cs);
    et.exits = 2;
    EI_EQ(plan_evaluate(&et, &cs, NULL, "uniform", "uniform", "exact", &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "--cs does not belong to --et");
    EI_CONTAINS(err.text, "exits");
    et.exits = 3;
    strcpy(et.network, "other");
    EI_EQ(plan_evaluate(&et, &cs, NULL, "uniform", "uniform", "exact", &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "other");
    strcpy(et.network, "tiny");
    struct ei_plan_method method = {.kind = EI_METHOD_SEARCH, .search = {.kind = EI_SEARCH_EXACT}, .name = "exact"};
    struct ei_exit_time uniform;
    EI_EQ(ei_exit_time_parse("--exit-time", "uniform", &uniform, &err), 0);
    struct ei_plan_evaluate_config config = {.network = {&et, &cs},
                                             .truth = &uniform,
                                             .belief = &uniform,
                                             .methods = &method,
                                             .method_count = 1,
                                             .resamples = -1};
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "--bootstrap");
    config.resamples = 0;
    config.no_output_score = (double)NAN;
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "--no-output-score");
    config.no_output_score = 0;
    config.method_count = 0;
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_USAGE);
    config.method_count = 1;
    method.has_predictor = true;
    EI_EQ(ei_plan_evaluate(&config, &e, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "--predictor");
    EI_TRUE(e.value == NULL && e.sample == NULL); /* untouched */
    ei_cs_profile_fini(&cs);
}

static void expect_refused(const char *text)
{
    struct ei_exit_time exit_time = {.time_ns = 77};
    struct einet_error err = {0};
    EI_TRUEF(ei_exit_time_parse("--assume", text, &exit_time, &err) == EINET_E_USAGE, "'%s' was taken", text);
    EI_CONTAINS(err.text, "--assume");
    EI_EQ(exit_time.time_ns, 77);
}

EI_TEST(exit_times_that_are_none)
{
    expect_refused("");
    expect_refused("gauss:3");
    expect_refused("uniform:");
    expect_refused("uniform:-2ms");
    expect_refused("uniform:2");
    expect_refused("uniform:0ms");
    expect_refused("step:now");
    expect_refused("exponential:0");
    expect_refused("exponential:-1");
    expect_refused("exponential:nan");
    expect_refused("exponential:inf");
    expect_refused("exponential:3x");
    struct ei_exit_time exit_time;
    struct einet_error err = {0};
    EI_EQ(ei_exit_time_parse("--exit-time", "trace:/nowhere/stops.txt", &exit_time, &err), -ENOENT);
    EI_CONTAINS(err.file, "/nowhere/stops.txt");
    EI_EQ(ei_exit_time_parse("--exit-time", "uniform:1.5ms", &exit_time, &err), 0);
    EI_EQ(exit_time.time_ns, 1500000);
    EI_STREQ(exit_time.name, "uniform:1.5ms");
}

static void expect_no_methods(const char *text, const char *said)
{
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    struct einet_error err = {0};
    int32_t count = -7;
    EI_TRUEF(ei_plan_methods_parse(text, false, false, 1, methods, &count, &err) == EINET_E_USAGE, "'%s' was taken",
             text);
    EI_CONTAINS(err.text, "--methods");
    EI_CONTAINS(err.text, said);
    EI_EQ(count, -7);
}

EI_TEST(methods_that_are_none)
{
    expect_no_methods("exact,magic", "magic");
    expect_no_methods("", "exact");
    expect_no_methods("exact,,all", "exact");
    expect_no_methods("exact,exact", "twice");
    expect_no_methods("compressed", "--compressed-et");
    expect_no_methods("exact@means", "--predictor");
    expect_no_methods("static:200", "static");
    char many[512] = "random:1";
    for (int i = 2; i < 40; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), ",random:%d", i);
    }
    expect_no_methods(many, "at most 32");
}

EI_TEST(methods_by_default)
{
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    struct einet_error err = {0};
    int32_t count = 0;
    EI_EQ(ei_plan_methods_parse(NULL, false, false, 9, methods, &count, &err), 0);
    EI_EQ(count, 15);
    EI_STREQ(methods[0].name, "exact");
    EI_STREQ(methods[8].name, "confidence:0.9");
    EI_EQ(methods[3].search.seed, 9);
    EI_EQ(methods[11].kind, EI_METHOD_NO_SKIP);
    EI_EQ(methods[14].kind, EI_METHOD_ORACLE);
    EI_EQ(ei_plan_methods_parse(NULL, true, true, 1, methods, &count, &err), 0);
    EI_EQ(count, 17);
    EI_TRUE(methods[0].has_predictor && !methods[4].has_predictor && !methods[7].has_predictor);
    EI_TRUE(methods[11].has_predictor);
    EI_STREQ(methods[14].name, "exact@means");
    EI_TRUE(!methods[14].has_predictor);
    EI_EQ(methods[15].kind, EI_METHOD_COMPRESSED);
    EI_EQ(ei_plan_methods_parse("static:50@means", true, true, 1, methods, &count, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "static:50");
}

EI_MAIN()
