/* The paper's tables from profiles that were computed by hand, and what a folder of profiles must not hold. */
#include "models/paper_evaluate.h"

#include "planner/predictor_file.h"
#include "planner/profile_file.h"
#include "tests/harness/harness.h"
#include "tests/models/plan_profiles.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define HOLDS 1e-7 /* means and JSON have nine digits behind the point */

/* ---- writing profiles ---- */

/* What distinguishes the profiles of a case; the figures are those of plan_profiles_by_hand. */
struct kind {
    const char *network, *dataset;
    char digit; /* of the weights' hash; 0 = of no weights */
    bool is_single;
    enum ei_profile_precision precision;
    int32_t turned; /* sample whose answers are all made right; -1 = none */
    bool has_free_branches;
};

static void make(const struct kind *kind, struct ei_et_profile *et, struct ei_cs_profile *cs)
{
    plan_profiles_by_hand(et, cs);
    if (kind->is_single) { /* 25 + 5 ms, right about the last sample only */
        ei_cs_profile_fini(cs);
        *et = (struct ei_et_profile){.exits = 1};
        EI_EQ(ei_cs_profile_init(cs, 1, 4, 2, NULL), 0);
        plan_profile_names(et, cs);
        plan_profile_time(&et->conv[0], kind->precision == EI_PROFILE_FLOAT32 ? 25000000 : 15000000);
        plan_profile_time(&et->branch[0], 5000000);
        for (int s = 0; s < 4; s++) {
            EI_EQ(ei_cs_profile_set(cs, s, 0, 0.8F, s == 3 ? 0 : 1), 0);
        }
    }
    strcpy(et->network, kind->network);
    strcpy(cs->network, kind->network);
    strcpy(cs->dataset, kind->dataset);
    if (kind->digit != 0) {
        memset(et->weights_sha256, kind->digit, EI_SHA256_TEXT_MAX - 1);
        memset(cs->weights_sha256, kind->digit, EI_SHA256_TEXT_MAX - 1);
    }
    et->precision = cs->precision = kind->precision;
    for (int32_t i = 0; kind->turned >= 0 && i < cs->exits; i++) {
        cs->top_label[kind->turned * cs->exits + i] = cs->label[kind->turned];
    }
    for (int32_t i = 0; kind->has_free_branches && i < et->exits; i++) {
        et->branch[i] = (struct ei_time_stats){0, 0, 0};
    }
}

static const char *path_of(const char *name)
{
    static char path[2][512];
    static int next;
    next = 1 - next;
    snprintf(path[next], sizeof path[0], "%s/%s", ei_test_tmpdir(), name);
    return path[next];
}

/* The names say nothing, so that only the headers can. */
static void save(const char *name, const struct ei_et_profile *et, const struct ei_cs_profile *cs)
{
    struct einet_error err = {0};
    char file[64];
    if (et) {
        snprintf(file, sizeof file, "%s.times", name);
        EI_TRUEF(ei_et_profile_write(path_of(file), et, &err) == 0, "%s", err.text);
    }
    if (cs) {
        snprintf(file, sizeof file, "%s.scores", name);
        EI_TRUEF(ei_cs_profile_write(path_of(file), cs, &err) == 0, "%s", err.text);
    }
}

static void put(const char *name, struct kind kind)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    make(&kind, &et, &cs);
    save(name, &et, &cs);
    ei_cs_profile_fini(&cs);
}

static const struct kind plain = {.network = "b-alexnet", .dataset = "cifar10", .digit = 'a', .turned = -1};

/* ---- evaluating ---- */

struct run {
    struct ei_paper_library library;
    struct ei_paper_config config;
    struct ei_paper_results results;
};

static bool begin(struct run *run, const char *pairs, int32_t resamples, int32_t threads)
{
    const char *folder = ei_test_tmpdir();
    struct einet_error err = {0};
    *run = (struct run){.config = {.resamples = resamples, .seed = 3, .threads = threads}};
    int status = ei_paper_library_read(&folder, 1, pairs, "cpu", &run->library, &err);
    if (EI_TRUEF(status == 0, "%s: %s", err.file, err.text)) {
        status = ei_paper_evaluate(&run->library, &run->config, &run->results, &err);
        EI_TRUEF(status == 0, "%s: %s", err.file, err.text);
    }
    return status == 0;
}

static void end(struct run *run)
{
    ei_paper_results_fini(&run->results);
    ei_paper_library_fini(&run->library);
}

/* The printed text, ended by free. */
static char *text_of(const struct run *run, bool is_markdown, bool is_json)
{
    const struct ei_paper_report report = {&run->library, &run->results, &run->config, "cpu"};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (EI_TRUE(out != NULL)) {
        EI_EQ(is_json ? ei_paper_write_json(&report, out) : ei_paper_print(&report, is_markdown, out), 0);
        fclose(out);
    }
    return text;
}

static const struct ei_paper_result *result_of(const struct run *run, const char *network, const char *dataset)
{
    for (int32_t p = 0; p < run->results.count; p++) {
        const struct ei_paper_result *result = &run->results.item[p];
        if (strcmp(result->pair->network, network) == 0 && strcmp(result->pair->dataset, dataset) == 0) {
            return result;
        }
    }
    EI_TRUEF(false, "no %s on %s", network, dataset);
    return NULL;
}

/* right_ms: of the 240 ms of strict and the 160 ms of conditional, as in plan_evaluate_test.c. */
static void expect_ms(const struct ei_paper_result *result, const char *name, double right_ms, double einet_ms)
{
    const struct ei_paper_method *method = ei_paper_method_find(result, name);
    if (EI_TRUEF(method != NULL, "no method %s", name)) {
        EI_TRUEF(fabs(method->column[EI_PAPER_CONDITIONAL].value - right_ms / 160) < HOLDS, "%s: %.9g ms", name,
                 160 * method->column[EI_PAPER_CONDITIONAL].value);
        EI_NEAR(method->column[EI_PAPER_STRICT].value, right_ms / 240, HOLDS);
        EI_NEAR(method->gain[EI_PAPER_CONDITIONAL].value, (einet_ms - right_ms) / 160, HOLDS);
        EI_NEAR(method->gain[EI_PAPER_STRICT].value, (einet_ms - right_ms) / 240, HOLDS);
    }
}

/* ---- figures ---- */

EI_TEST(one_pair_by_hand)
{
    struct run run;
    put("x", plain);
    EI_REQUIRE(begin(&run, NULL, 100, 1));
    const struct ei_paper_result *result = result_of(&run, "b-alexnet", "cifar10");
    EI_REQUIRE(result != NULL);
    EI_EQ(run.results.count, 1);
    EI_EQ(result->samples, 4);
    expect_ms(result, "exact", 70, 70);
    expect_ms(result, "static:25", 45, 70);
    expect_ms(result, "static:50", 80, 70);
    expect_ms(result, "static:100", 65, 70);
    expect_ms(result, "statistics", 50, 70);
    expect_ms(result, "confidence:0.9", 90, 70);
    expect_ms(result, "confidence:0.99", 65, 70);
    expect_ms(result, "noskip", 90, 70);
    expect_ms(result, "all", 65, 70);
    expect_ms(result, "classic", 45, 70);
    EI_TRUE(ei_paper_method_find(result, "classic")->is_stand_in);
    EI_TRUE(ei_paper_method_find(result, "compressed") == NULL);
    EI_TRUE(ei_paper_method_find(result, "exact@means") == NULL);
    EI_STREQ(result->method[result->best_static_idx].name, "static:50");
    EI_NEAR(result->measured.branch_share, 0.5, HOLDS);
    EI_NEAR(result->measured.first_share, 20.0 / 60, HOLDS);
    EI_NEAR(result->measured.accuracy_first, 0.25, HOLDS);
    EI_NEAR(result->measured.accuracy_last, 0.75, HOLDS);
    EI_NEAR(ei_paper_method_find(result, "exact")->exits_mean, 1.75, HOLDS);
    EI_NEAR(result->figure->static_pct, 78.43, 0);
    end(&run);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The interval of EINet minus static:50, drawn here again, one resample after the other. */
EI_TEST(interval_is_that_of_paired_resamples)
{
    enum { RESAMPLES = 41 };
    static const double right_ms[4] = {40 - 10, 0 - 10, 5 - 35, 25 - 25};
    double drawn[RESAMPLES];
    struct run run;
    put("x", plain);
    EI_REQUIRE(begin(&run, NULL, RESAMPLES, 1));
    for (int b = 0; b < RESAMPLES; b++) {
        struct ei_random rng;
        ei_random_init(&rng, 3, (uint64_t)b);
        drawn[b] = 0;
        for (int i = 0; i < 4; i++) {
            drawn[b] += right_ms[ei_random_below(&rng, 4)] / 160;
        }
    }
    qsort(drawn, RESAMPLES, sizeof drawn[0], compare);
    const struct ei_paper_method *method = ei_paper_method_find(&run.results.item[0], "static:50");
    EI_NEAR(method->gain[EI_PAPER_CONDITIONAL].low, drawn[1], HOLDS);   /* 0.025 * 40 */
    EI_NEAR(method->gain[EI_PAPER_CONDITIONAL].high, drawn[39], HOLDS); /* 0.975 * 40 */
    EI_TRUE(drawn[1] < drawn[39]);
    end(&run);
}

/* The second training has sample 2 right at every exit: 40 ms more for all that answer at 20. */
EI_TEST(trainings_are_averaged)
{
    struct run run;
    struct kind second = plain;
    second.digit = 'b';
    second.turned = 1;
    put("x", plain);
    put("y", second);
    EI_REQUIRE(begin(&run, NULL, 30, 1));
    const struct ei_paper_result *result = &run.results.item[0];
    EI_EQ(run.results.count, 1);
    EI_EQ(result->pair->whole.count, 2);
    expect_ms(result, "exact", 90, 90);                   /* 70, 110 */
    expect_ms(result, "static:50", (80 + 105) / 2.0, 90); /* from 25 on instead of 50 on */
    const struct ei_paper_method *method = ei_paper_method_find(result, "static:50");
    EI_NEAR(method->column[EI_PAPER_CONDITIONAL].spread, 25 / 160.0 / sqrt(2), HOLDS);
    EI_NEAR(method->gain[EI_PAPER_CONDITIONAL].spread, (5.0 - -10) / 160 / sqrt(2), HOLDS);
    char *text = text_of(&run, false, false);
    EI_CONTAINS(text, "(sd 11.05)");
    free(text);
    end(&run);
}

EI_TEST(classic_and_compressed_are_found_by_their_headers)
{
    struct run run;
    const struct kind classic = {
        .network = "b-alexnet-classic", .dataset = "cifar10", .digit = 'c', .is_single = true, .turned = -1};
    struct kind half = classic, named = classic;
    half.precision = EI_PROFILE_BFLOAT16;
    named.network = "b-alexnet-classic-bf16";
    named.digit = 'd'; /* its name alone says what it is */
    put("z", plain);
    put("a", classic);
    put("b", half); /* of the same weights: the precision tells them apart */
    put("c", named);
    EI_REQUIRE(begin(&run, NULL, 10, 1));
    const struct ei_paper_result *result = &run.results.item[0];
    EI_EQ(run.results.count, 1);
    EI_EQ(result->pair->compressed.count, 2);
    EI_TRUE(!ei_paper_method_find(result, "classic")->is_stand_in);
    expect_ms(result, "classic", 30, 70);
    expect_ms(result, "compressed", 40, 70); /* there at 20 */
    end(&run);
}

EI_TEST(light_branches_are_judged_at_the_same_times)
{
    struct run run;
    struct kind full = plain, light = plain;
    full.network = "msdnet-21";
    light.network = "msdnet-21-light";
    light.digit = 'b';
    light.has_free_branches = true;
    put("x", full);
    put("y", light);
    EI_REQUIRE(begin(&run, NULL, 30, 1));
    EI_EQ(run.results.light_count, 1);
    EI_REQUIRE(run.results.light_count == 1);
    EI_NEAR(run.results.light[0].full.value, 70.0 / 240, HOLDS);
    /* Answers at 10, 20, 40: sample 1 holds exit 1, the third goes from exit 1 to 3, the others through all. */
    EI_NEAR(run.results.light[0].light.value, (50.0 + 20 + 20 + 20) / 240, HOLDS);
    EI_NEAR(run.results.light[0].gain.value, 40.0 / 240, HOLDS);
    EI_TRUE(run.results.light[0].gain.low < run.results.light[0].gain.high);
    char *text = text_of(&run, false, false);
    EI_CONTAINS(text, "What cheaper branches bring");
    EI_TRUE(strstr(text, "msdnet-21-light/cifar10 (light branches)") == NULL);
    free(text);
    end(&run);
}

/* ---- texts ---- */

EI_TEST(tables_hold_the_figures)
{
    struct run run;
    struct kind other = plain;
    other.dataset = "mnist";
    other.digit = 'b';
    put("x", plain);
    put("y", other);
    EI_REQUIRE(begin(&run, NULL, 0, 1));
    char *text = text_of(&run, false, false), *markdown = text_of(&run, true, false);
    /* The paper's, trainings, samples, three static plans, EINet, over static:50. */
    EI_CONTAINS(markdown,
                "| b-alexnet/cifar10 | 78.43 | 78.71 | +0.28 | 1 | 4 | 28.12 | 50.00 | 40.62 | 43.75 | -6.25 |");
    EI_CONTAINS(markdown, "| b-alexnet/mnist | - | - | - | 1 | 4 | 28.12 | 50.00 | 40.62 | 43.75 | -6.25 |");
    EI_CONTAINS(markdown, "| b-alexnet/cifar10 | 43.75 | 28.12 * | +15.62 * | - | - |");
    EI_CONTAINS(markdown, "| b-alexnet/cifar10 | 0.50 | 43.75 | 56.25 | -12.50 | 40.62 | +3.12 | 1.75 of 3 | 1.75 |");
    EI_CONTAINS(text, "by hand");
    EI_CONTAINS(text, "Does not beat static:50 (-6.25), confidence:0.9 (-12.50)");
    EI_CONTAINS(text, "the paper's +0.28: less. Measured: all branches together cost 0.50 of the conv parts (sum b / "
                      "sum c); accuracy"); /* half is not little */
    EI_CONTAINS(text, "accuracy changes by +50.0 points");
    EI_CONTAINS(text, "takes 0.33 of all block times (t_1 / H), so that little time is left");
    EI_CONTAINS(text, "computes 1.8 of 3 exits. One training only.");
    EI_CONTAINS(text, "- vgg-16/cifar100 (network): scripts/train-zoo vgg-16/cifar100");
    EI_CONTAINS(text, "- b-alexnet/cifar100 (network): scripts/train-zoo b-alexnet/cifar100");
    EI_CONTAINS(text, "- b-alexnet-classic/mnist (classic): einet train --model b-alexnet-classic --dataset mnist");
    EI_CONTAINS(text, "- b-alexnet-classic/mnist (compressed): einet profile --weights b-alexnet-classic-mnist."
                      "safetensors --dataset mnist --precision bf16 --out b-alexnet-classic-bf16-mnist\n");
    EI_EQ(run.library.missing_count, 11 + 2 * 2);
    free(text);
    free(markdown);
    end(&run);
}

EI_TEST(json_holds_the_figures)
{
    struct run run;
    put("x", plain);
    EI_REQUIRE(begin(&run, NULL, 40, 1));
    char *text = text_of(&run, false, true);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    EI_REQUIRE(root != NULL);
    const json_t *pair = json_array_get(json_object_get(root, "pairs"), 0), *method;
    size_t i;
    bool is_found = false;
    EI_EQ(json_integer_value(json_object_get(root, "schema")), 1);
    EI_EQ(json_array_size(json_object_get(root, "missing")), 11 + 2);
    EI_EQ(json_array_size(json_object_get(root, "unused")), 0);
    EI_NEAR(json_number_value(json_object_get(json_object_get(pair, "paper"), "gain_pct")), 0.28, HOLDS);
    EI_EQ(json_integer_value(json_object_get(json_object_get(pair, "measured"), "network_ns")), 60000000);
    json_array_foreach(json_object_get(pair, "methods"), i, method)
    {
        if (strcmp(json_string_value(json_object_get(method, "name")), "static:50") == 0) {
            const json_t *gain = json_object_get(json_object_get(method, "gain"), "strict_pct");
            is_found = true;
            EI_NEAR(json_number_value(json_object_get(json_object_get(method, "coverage_pct"), "value")),
                    100 * 35.0 / 60, HOLDS);
            EI_NEAR(json_number_value(json_object_get(gain, "value")), -100 * 10.0 / 240, HOLDS);
            EI_TRUE(json_number_value(json_object_get(gain, "low")) < json_number_value(json_object_get(gain, "high")));
            EI_TRUE(json_is_null(json_object_get(gain, "sd")));
        }
    }
    EI_TRUE(is_found);
    json_decref(root);
    free(text);
    end(&run);
}

/* Enough samples that two threads have work; random, so that nothing agrees by chance. */
EI_TEST(threads_change_nothing)
{
    struct ei_random rng;
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct run run;
    char *text[2];
    ei_random_init(&rng, 5, 5);
    plan_profiles_draw(&rng, 9, 150, &et, &cs);
    strcpy(et.network, "flexvgg-16");
    strcpy(cs.network, "flexvgg-16");
    strcpy(cs.dataset, "cifar10");
    save("x", &et, &cs);
    ei_cs_profile_fini(&cs);
    for (int t = 0; t < 2; t++) {
        EI_REQUIRE(begin(&run, NULL, 20, t + 1));
        text[t] = text_of(&run, false, true);
        end(&run);
    }
    EI_STREQ(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

EI_TEST(pairs_are_chosen)
{
    struct run run;
    struct kind other = plain;
    other.dataset = "mnist";
    other.digit = 'b';
    put("x", plain);
    put("y", other);
    EI_REQUIRE(begin(&run, "b-alexnet/mnist,vgg-16/cifar10,resnet-50/mnist", 0, 1));
    EI_EQ(run.results.count, 1);
    EI_STREQ(run.results.item[0].pair->dataset, "mnist");
    EI_EQ(run.library.missing_count, 2 + 2); /* resnet-50/mnist, vgg-16/cifar10; classic and compressed */
    EI_STREQ(run.library.missing[0].command, "scripts/train-zoo resnet-50/mnist");
    end(&run);
}

EI_TEST(pairs_stand_in_the_papers_order)
{
    static const struct kind kinds[4] = {
        {.network = "b-alexnet", .dataset = "mnist", .digit = '1', .turned = -1},
        {.network = "vgg-16", .dataset = "cifar10", .digit = '2', .turned = -1},
        {.network = "resnet-50", .dataset = "cifar100", .digit = '3', .turned = -1},
        {.network = "b-alexnet", .dataset = "cifar100", .digit = '4', .turned = -1},
    };
    struct run run;
    for (int i = 0; i < 4; i++) {
        put((const char[]){(char)('a' + i), '\0'}, kinds[i]);
    }
    EI_REQUIRE(begin(&run, NULL, 0, 1));
    EI_EQ(run.results.count, 4);
    for (int i = 0; i < 4; i++) {
        EI_STREQ(run.results.item[i].pair->network, kinds[3 - i].network);
        EI_STREQ(run.results.item[i].pair->dataset, kinds[3 - i].dataset);
    }
    end(&run);
}

/* ---- what goes wrong ---- */

static void expect_error(int code, const char *pairs, const char *words, const char *file)
{
    const char *folder = ei_test_tmpdir();
    struct ei_paper_library library = {0};
    struct einet_error err = {0};
    const int status = ei_paper_library_read(&folder, 1, pairs, "cpu", &library, &err);
    EI_TRUEF(status == code, "status %d: %s", status, err.text);
    EI_CONTAINS(err.text, words);
    EI_CONTAINS(err.file, file);
    if (status == 0) {
        ei_paper_library_fini(&library);
    }
}

/* Times of one training, scores of another. */
EI_TEST(mixed_weights_are_refused)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct kind second = plain;
    second.digit = 'b';
    make(&plain, &et, &cs);
    save("x", &et, NULL);
    ei_cs_profile_fini(&cs);
    make(&second, &et, &cs);
    save("y", NULL, &cs);
    ei_cs_profile_fini(&cs);
    expect_error(EINET_E_MISMATCH, NULL, "scores are of weights bbbbbbbbbbbb, the block times", "y.scores");
    expect_error(EINET_E_MISMATCH, NULL, "of weights aaaaaaaaaaaa", "y.scores");
}

EI_TEST(scores_without_times_are_listed)
{
    struct run run;
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    make(&plain, &et, &cs);
    save("x", NULL, &cs);
    ei_cs_profile_fini(&cs);
    EI_REQUIRE(begin(&run, "b-alexnet/cifar10", 0, 1));
    EI_EQ(run.results.count, 0);
    EI_EQ(run.library.missing_count, 1);
    EI_STREQ(run.library.missing[0].what, "block times");
    EI_CONTAINS(run.library.missing[0].command, "einet profile --weights b-alexnet-cifar10.safetensors");
    char *text = text_of(&run, false, false);
    EI_CONTAINS(text, "no profiles of any pair");
    EI_CONTAINS(text, "x.scores");
    free(text);
    end(&run);
}

EI_TEST(other_lanes_are_set_aside)
{
    struct run run;
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    put("x", plain);
    make(&plain, &et, &cs);
    strcpy(et.lane, "cuda:0");
    save("y", &et, NULL);
    ei_cs_profile_fini(&cs);
    EI_REQUIRE(begin(&run, NULL, 0, 1));
    EI_EQ(run.results.count, 1);
    char *text = text_of(&run, false, false);
    EI_CONTAINS(text, "y.times");
    free(text);
    end(&run);
}

EI_TEST(two_of_the_same_are_refused)
{
    put("x", plain);
    put("y", plain);
    expect_error(EINET_E_MISMATCH, NULL, "block times of the same weights as", "y.times");
    EI_EQ(unlink(path_of("y.times")), 0);
    expect_error(EINET_E_MISMATCH, NULL, "scores of the same weights as", "y.scores");
}

EI_TEST(other_samples_are_refused)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct kind second = plain;
    second.digit = 'b';
    put("x", plain);
    make(&second, &et, &cs);
    cs.label[2] = 1;
    save("y", &et, &cs);
    ei_cs_profile_fini(&cs);
    expect_error(EINET_E_MISMATCH, NULL, "not the 4 of", "y.scores");
}

EI_TEST(a_predictor_of_other_weights_is_refused)
{
    static struct ei_predictor predictor;
    struct einet_error err = {0};
    put("x", plain);
    predictor = (struct ei_predictor){.exits = 3, .hidden = 16, .split_seed = 1};
    strcpy(predictor.network, "b-alexnet");
    strcpy(predictor.dataset, "cifar10");
    memset(predictor.weights_sha256, 'f', EI_SHA256_TEXT_MAX - 1);
    for (int i = 0; i < 3; i++) {
        predictor.temperature[i] = 1;
    }
    EI_TRUEF(ei_predictor_write(path_of("guess"), &predictor, &err) == 0, "%s", err.text);
    expect_error(EINET_E_MISMATCH, NULL, "predictor is of weights ffffffffffff", "guess");
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "we");
    if (EI_TRUE(file != NULL)) {
        fputs(text, file);
        fclose(file);
    }
}

EI_TEST(broken_folders_and_files_are_named)
{
    const char *nowhere = "/nowhere/at/all";
    struct ei_paper_library library = {0};
    struct einet_error err = {0};
    EI_TRUE(ei_paper_library_read(&nowhere, 1, NULL, "cpu", &library, &err) < 0);
    EI_CONTAINS(err.file, nowhere);
    EI_CONTAINS(err.text, "folder of profiles");
    put("x", plain);
    write_text("notes.md", "not a profile, and not named like one\n");
    expect_error(0, NULL, "", "");
    write_text("z.cs", "");
    expect_error(EINET_E_FILE, NULL, "", "z.cs");
    EI_EQ(unlink(path_of("z.cs")), 0);
    write_text("w", "# einet et-profile 2\n# network: b-alexnet\n");
    expect_error(EINET_E_FILE, NULL, "", "/w");
}

EI_TEST(wrong_pairs_are_named)
{
    put("x", plain);
    expect_error(EINET_E_USAGE, "b-alexnet", "'b-alexnet' is no pair", "");
    expect_error(EINET_E_USAGE, "b-alexnet/cifar10,", "is no pair", "");
    expect_error(EINET_E_USAGE, "alexnet/cifar10", "alexnet is no network of the zoo", "");
}

EI_MAIN()
