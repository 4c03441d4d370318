/* The evaluation against references: jobs that are really stopped at every time there is, identities between columns,
 * resampling with known answers, the shipped profile.
 */
#include "models/plan_evaluate.h"

#include "models/predictor_train.h"
#include "planner/profile_file.h"
#include "tests/harness/harness.h"
#include "tests/models/plan_profiles.h"

#include <stdlib.h>
#include <unistd.h>

#define SHIPPED "models/pretrained/b-alexnet-cifar10"
#define HOLDS 1e-9

/* ---- stopping for real ---- */

/* The exit delivered when the stop comes in [stop_ns, stop_ns + 1): times are whole ns, so that nothing is published in
 * between, and what is ready exactly at the stop counts. */
static int32_t delivered_at(const struct ei_elastic_config *config, struct ei_plan_workspace *ws,
                            const struct ei_survival *belief, const float *confidence, int64_t stop_ns)
{
    static struct ei_elastic job;
    struct ei_step step;
    int64_t t_ns = 0;
    EI_EQ(ei_elastic_begin(&job, config, ws, belief, 0, &step), 0);
    while (step.kind != EI_STEP_FINISH) {
        t_ns += step.kind == EI_STEP_CONV ? config->conv_ns[step.idx] : config->branch_ns[step.idx];
        if (t_ns > stop_ns) {
            step = ei_elastic_stop(&job, EI_STOP_DEADLINE);
        } else if (step.kind == EI_STEP_CONV) {
            EI_EQ(ei_elastic_conv_done(&job, step.idx, &step), 0);
        } else {
            EI_EQ(ei_elastic_branch_done(&job, step.idx, confidence[step.idx], t_ns, &step), 0);
        }
    }
    return step.idx;
}

/* The best single exit that can be ready by then. */
static int32_t oracle_at(const struct ei_elastic_config *config, const float *confidence, int64_t stop_ns)
{
    int32_t best = EI_EXIT_NONE;
    int64_t conv_end_ns = 0;
    for (int32_t i = 0; i < config->exits; i++) {
        conv_end_ns += config->conv_ns[i];
        if (conv_end_ns + config->branch_ns[i] <= stop_ns &&
            (best == EI_EXIT_NONE || confidence[i] > confidence[best])) {
            best = i;
        }
    }
    return best;
}

struct reference {
    double strict, conditional, coverage, overall, output, score;
};

static void add_stop(struct reference *r, const struct ei_plan_evaluation *e, const struct ei_cs_profile *cs,
                     const struct ei_survival *truth, int32_t sample, int32_t exit_idx, int64_t stop_ns, bool is_last)
{
    const struct ei_survival strict = ei_survival_uniform(0, e->network_ns);
    const struct ei_survival conditional = ei_survival_uniform(e->first_answer_ns, e->network_ns);
    const double after = is_last ? 0 : 1;
    const double p_strict = ei_survival_at(&strict, stop_ns) - after * ei_survival_at(&strict, stop_ns + 1);
    const double p_given = ei_survival_at(&conditional, stop_ns) - after * ei_survival_at(&conditional, stop_ns + 1);
    const double p = ei_survival_at(truth, stop_ns) - after * ei_survival_at(truth, stop_ns + 1);
    if (exit_idx == EI_EXIT_NONE) {
        return;
    }
    const double correct =
        cs->top_label[(size_t)sample * (size_t)cs->exits + (size_t)exit_idx] == cs->label[sample] ? 1 : 0;
    r->strict += correct * p_strict;
    r->conditional += correct * p_given;
    r->coverage += p_strict;
    r->overall += correct * p;
    r->output += p;
    r->score += (double)ei_cs_profile_score(cs, sample, exit_idx) * p;
}

static struct reference reference_of(const struct ei_plan_evaluation *e, const struct ei_plan_method *method,
                                     const struct ei_et_profile *et, const struct ei_cs_profile *cs,
                                     const struct ei_survival *truth, const struct ei_survival *belief, int32_t sample)
{
    static struct ei_elastic_config config;
    static struct ei_plan_workspace ws;
    struct reference r = {0};
    float confidence[EI_EXITS_MAX];
    const bool is_oracle = method->kind == EI_METHOD_ORACLE;
    const struct ei_search search = is_oracle ? (struct ei_search){.kind = EI_SEARCH_ALL} : method->search;
    EI_EQ(ei_elastic_config_init(&config, et, cs->mean_score, cs->exits, search, false, NULL), 0);
    for (int32_t i = 0; i < cs->exits; i++) {
        confidence[i] = ei_cs_profile_score(cs, sample, i);
    }
    for (int64_t t = 0; t <= e->network_ns; t++) {
        const int32_t exit_idx =
            is_oracle ? oracle_at(&config, confidence, t) : delivered_at(&config, &ws, belief, confidence, t);
        add_stop(&r, e, cs, truth, sample, exit_idx, t, t == e->network_ns);
    }
    return r;
}

static void check_against_reference(struct ei_random *rng, const char *truth_text, const char *belief_text)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {0};
    struct ei_exit_time truth_time, belief_time;
    const int32_t exits = 2 + (int32_t)ei_random_below(rng, 6);
    plan_profiles_draw(rng, exits, 6, &et, &cs);
    EI_EQ(ei_exit_time_parse("--exit-time", truth_text, &truth_time, &err), 0);
    EI_EQ(ei_exit_time_parse("--assume", belief_text, &belief_time, &err), 0);
    EI_TRUEF(plan_evaluate(&et, &cs, NULL, truth_text, belief_text,
                           "exact,greedy,random:20,static:50,all,statistics,confidence:0.7,oracle", &e, &err) == 0,
             "%s", err.text);
    EI_REQUIRE(e.value != NULL);
    const struct ei_survival truth = ei_exit_time_survival(&truth_time, e.network_ns);
    const struct ei_survival belief = ei_exit_time_survival(&belief_time, e.network_ns);
    for (int32_t m = 0; m < e.method_count; m++) {
        for (int32_t s = 0; s < e.samples; s++) {
            const struct reference r = reference_of(&e, &e.method[m].method, &et, &cs, &truth, &belief, s);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_STRICT), r.strict, HOLDS);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_CONDITIONAL), r.conditional, HOLDS);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_COVERAGE), r.coverage, HOLDS);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_OVERALL), r.overall, HOLDS);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_OUTPUT), r.output, HOLDS);
            EI_NEAR(plan_value(&e, s, m, EI_COLUMN_SCORE), r.score, HOLDS);
        }
    }
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

/* Every method, really stopped at every ns, for several exit times and beliefs. */
EI_TEST(integrals_are_those_of_real_stops)
{
    struct ei_random rng;
    ei_random_init(&rng, 20231, 0);
    char trace[600], path[512];
    snprintf(path, sizeof path, "%s/stops.txt", ei_test_tmpdir());
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    fputs("9ns\n14ns\n22ns\n22ns\n31ns\n47ns\n60ns censored\n", file);
    fclose(file);
    snprintf(trace, sizeof trace, "trace:%s", path);
    for (int i = 0; i < 6; i++) {
        check_against_reference(&rng, "uniform", "uniform");
        check_against_reference(&rng, "uniform:40ns", "uniform");
        check_against_reference(&rng, "exponential:30000000", "exponential:30000000");
        check_against_reference(&rng, "step:25ns", "uniform");
        check_against_reference(&rng, trace, trace);
        check_against_reference(&rng, "uniform", "step:25ns");
    }
}

/* ---- identities ---- */

EI_TEST(columns_agree_with_each_other)
{
    struct ei_random rng;
    ei_random_init(&rng, 77, 0);
    for (int i = 0; i < 40; i++) {
        struct ei_et_profile et;
        struct ei_cs_profile cs;
        struct ei_plan_evaluation e = {0};
        plan_profiles_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 12), 30, &et, &cs);
        EI_EQ(plan_evaluate(&et, &cs, NULL, "uniform", "uniform", NULL, &e, NULL), 0);
        const int32_t oracle = e.method_count - 1;
        EI_EQ(e.method[oracle].method.kind, EI_METHOD_ORACLE);
        const double share = (double)(e.network_ns - e.first_answer_ns) / (double)e.network_ns;
        for (int32_t m = 0; m < e.method_count; m++) {
            for (int32_t s = 0; s < e.samples; s++) {
                const double strict = plan_value(&e, s, m, EI_COLUMN_STRICT);
                const double coverage = plan_value(&e, s, m, EI_COLUMN_COVERAGE);
                EI_TRUE(strict <= coverage + HOLDS && coverage <= share + HOLDS);
                /* Nothing can be published before t_1. */
                EI_TRUE(et.exits == 1 || fabs(strict - share * plan_value(&e, s, m, EI_COLUMN_CONDITIONAL)) < HOLDS);
                EI_NEAR(plan_value(&e, s, m, EI_COLUMN_OVERALL), strict, 0);
                EI_NEAR(plan_value(&e, s, m, EI_COLUMN_OUTPUT), coverage, 0);
                EI_TRUE(plan_value(&e, s, oracle, EI_COLUMN_SCORE) >= plan_value(&e, s, m, EI_COLUMN_SCORE) - HOLDS);
                EI_TRUE(plan_value(&e, s, oracle, EI_COLUMN_COVERAGE) >= coverage - HOLDS);
            }
        }
        EI_NEAR(plan_mean(&e, oracle, EI_COLUMN_COVERAGE), share, HOLDS);
        ei_plan_evaluation_fini(&e);
        ei_cs_profile_fini(&cs);
    }
}

EI_TEST(threads_change_nothing)
{
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_exit_time uniform;
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    plan_profiles_draw(&rng, 9, 61, &et, &cs);
    struct ei_plan_evaluate_config config = {.network = {&et, &cs},
                                             .truth = &uniform,
                                             .belief = &uniform,
                                             .methods = methods,
                                             .resamples = 50,
                                             .seed = 3,
                                             .threads = 1};
    struct ei_plan_evaluation one = {0}, many = {0};
    EI_EQ(ei_exit_time_parse("--exit-time", "uniform", &uniform, NULL), 0);
    EI_EQ(ei_plan_methods_parse(NULL, false, false, 1, methods, &config.method_count, NULL), 0);
    EI_EQ(ei_plan_evaluate(&config, &one, NULL), 0);
    config.threads = 7;
    EI_EQ(ei_plan_evaluate(&config, &many, NULL), 0);
    EI_REQUIRE(one.value != NULL && many.value != NULL);
    EI_TRUE(memcmp(one.value, many.value, (size_t)(61 * one.method_count * EI_COLUMNS) * sizeof one.value[0]) == 0);
    for (int32_t m = 0; m < one.method_count; m++) {
        EI_EQ(memcmp(one.method[m].column, many.method[m].column, sizeof one.method[m].column), 0);
        EI_NEAR(one.method[m].exits_mean, many.method[m].exits_mean, 0);
    }
    ei_plan_evaluation_fini(&one);
    ei_plan_evaluation_fini(&many);
    ei_cs_profile_fini(&cs);
}

/* ---- predictors ---- */

EI_TEST(with_a_predictor_only_held_out_samples_count)
{
    struct ei_random rng;
    ei_random_init(&rng, 12, 0);
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    static struct ei_predictor predictor;
    struct ei_predictor_train_result trained;
    struct ei_plan_evaluation e = {0}, plain = {0};
    struct einet_error err = {0};
    plan_profiles_draw(&rng, 6, 400, &et, &cs);
    struct ei_predictor_train_config train = ei_predictor_train_defaults();
    train.epochs_max = 8;
    train.split_seed = 4;
    EI_TRUEF(ei_predictor_train(&train, &cs, &predictor, &trained, &err) == 0, "%s", err.text);
    const int status =
        plan_evaluate(&et, &cs, &predictor, "uniform", "uniform", "exact@means,exact,statistics,all", &e, &err);
    EI_TRUEF(status == 0, "%s", err.text);
    EI_REQUIRE(status == 0);
    EI_TRUE(e.is_held_out && e.samples > 100 && e.samples < 220);
    EI_EQ(e.reference_idx, 1);
    int32_t next = 0;
    for (int32_t s = 0; s < cs.samples; s++) {
        if (ei_predictor_part(4, s) == EI_PREDICTOR_PART_HELD_OUT) {
            EI_EQ(e.sample[next], s);
            next++;
        }
    }
    EI_EQ(next, e.samples);
    /* The methods that do not depend on scores give what they give without a predictor, on those samples. */
    EI_EQ(plan_evaluate(&et, &cs, NULL, "uniform", "uniform", "all", &plain, &err), 0);
    double sum = 0;
    for (int32_t s = 0; s < e.samples; s++) {
        EI_NEAR(plan_value(&e, s, 3, EI_COLUMN_STRICT), plan_value(&plain, e.sample[s], 0, EI_COLUMN_STRICT), 0);
        sum += fabs(plan_value(&e, s, 0, EI_COLUMN_SCORE) - plan_value(&e, s, 1, EI_COLUMN_SCORE));
    }
    EI_TRUE(sum > 0); /* the predictor decides */
    ei_plan_evaluation_fini(&plain);
    ei_plan_evaluation_fini(&e);
    strcpy(predictor.dataset, "elsewhere");
    EI_EQ(plan_evaluate(&et, &cs, &predictor, "uniform", "uniform", "exact", &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "elsewhere");
    strcpy(predictor.dataset, cs.dataset);
    predictor.exits = 5;
    EI_EQ(plan_evaluate(&et, &cs, &predictor, "uniform", "uniform", "exact", &e, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "--predictor");
    ei_cs_profile_fini(&cs);
}

/* What the methods without a predictor expect must not come from the samples that judge them: with other held-out
 * confidences the statistics plan stays the same. */
EI_TEST(means_are_those_of_the_training_samples)
{
    struct ei_random rng;
    ei_random_init(&rng, 13, 0);
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    static struct ei_predictor predictor;
    struct ei_plan_evaluation before = {0}, after = {0};
    struct ei_predictor_train_result trained;
    plan_profiles_draw(&rng, 5, 300, &et, &cs);
    struct ei_predictor_train_config train = ei_predictor_train_defaults();
    train.epochs_max = 1;
    EI_EQ(ei_predictor_train(&train, &cs, &predictor, &trained, NULL), 0);
    EI_EQ(plan_evaluate(&et, &cs, &predictor, "uniform", "uniform", "statistics", &before, NULL), 0);
    for (int32_t s = 0; s < cs.samples; s++) {
        for (int32_t i = 0; i < cs.exits; i++) {
            if (ei_predictor_part(predictor.split_seed, s) == EI_PREDICTOR_PART_HELD_OUT) {
                cs.confidence[s * cs.exits + i] = i == 0 ? 65535 : 0; /* would end every plan at the first exit */
            }
        }
    }
    ei_cs_profile_summarize(&cs);
    EI_EQ(plan_evaluate(&et, &cs, &predictor, "uniform", "uniform", "statistics", &after, NULL), 0);
    EI_TRUE(before.method[0].exits_mean > 1);
    EI_NEAR(after.method[0].exits_mean, before.method[0].exits_mean, 0);
    EI_NEAR(plan_mean(&after, 0, EI_COLUMN_STRICT), plan_mean(&before, 0, EI_COLUMN_STRICT), 0);
    ei_plan_evaluation_fini(&before);
    ei_plan_evaluation_fini(&after);
    ei_cs_profile_fini(&cs);
}

/* ---- the bootstrap ---- */

/* Columns: right or wrong with 0.6; the same plus noise around 0.1; the same plus exactly 0.25. */
static void draw_rows(struct ei_random *rng, int32_t rows, double *value)
{
    for (int32_t r = 0; r < rows; r++) {
        value[3 * r] = ei_random_unit(rng) < 0.6 ? 1 : 0;
        value[3 * r + 1] = value[3 * r] + 0.1 + 0.2 * ei_random_normal(rng);
        value[3 * r + 2] = value[3 * r] + 0.25;
    }
}

EI_TEST(bootstrap_intervals_cover_what_is_known)
{
    static const int32_t reference[3] = {0, 0, 0};
    static double value[3 * 400];
    struct ei_plan_interval mean[3], difference[3], again[3], other[3];
    struct ei_random rng;
    ei_random_init(&rng, 99, 0);
    int covered = 0, mean_covered = 0;
    for (int set = 0; set < 200; set++) {
        draw_rows(&rng, 400, value);
        EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 300, (uint64_t)set, mean, difference), 0);
        covered += difference[1].low <= 0.1 && 0.1 <= difference[1].high;
        mean_covered += mean[0].low <= 0.6 && 0.6 <= mean[0].high;
        EI_TRUE(difference[1].low <= difference[1].value && difference[1].value <= difference[1].high);
        EI_IN(difference[1].high - difference[1].low, 0.8 * 4 * 1.96 * 0.2 / 40, 1.25 * 4 * 1.96 * 0.2 / 40);
        EI_NEAR(difference[2].low, 0.25, 1e-12); /* paired: the noise of the rows cancels */
        EI_NEAR(difference[2].high, 0.25, 1e-12);
        EI_NEAR(difference[0].low, 0, 0);
        EI_NEAR(difference[0].high, 0, 0);
    }
    EI_IN(covered, 180, 199);
    EI_IN(mean_covered, 180, 199);
    EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 301, 6, mean, difference), 0);
    EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 301, 6, again, other), 0);
    EI_EQ(memcmp(mean, again, sizeof mean), 0);
    EI_EQ(memcmp(difference, other, sizeof other), 0);
    EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 301, 7, again, other), 0);
    EI_TRUE(memcmp(mean, again, sizeof mean) != 0);
    EI_NEAR(mean[0].value, again[0].value, 0);
    EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 0, 7, again, other), 0);
    EI_TRUE(again[1].low == again[1].value && again[1].high == again[1].value);
    EI_EQ(ei_plan_bootstrap(value, 400, 3, reference, 1, 7, again, other), 0);
    EI_TRUE(again[0].low == again[0].high);
}

/* ---- the shipped profile ---- */

/* What must hold on real answers: no plan that is kept has a greater expected score than the best one of the very means
 * (the score is linear in them), under the true exit time; with another belief it is no better. */
EI_TEST(shipped_profile_keeps_its_promises)
{
    static struct ei_et_profile et;
    struct ei_cs_profile cs = {0};
    struct ei_plan_evaluation e = {0}, wrong = {0};
    struct einet_error err = {0};
    if (access(SHIPPED ".cs", R_OK) != 0) {
        ei_test_skip("no shipped profiles");
    }
    EI_TRUEF(ei_et_profile_read(SHIPPED ".et.csv", &et, &err) == 0, "%s", err.text);
    EI_TRUEF(ei_cs_profile_read(SHIPPED ".cs", &cs, &err) == 0, "%s", err.text);
    static const char *const exit_times[] = {"uniform", "exponential:1500", "step:800us", "uniform:3ms"};
    for (size_t t = 0; t < sizeof exit_times / sizeof exit_times[0]; t++) {
        const char *methods = "statistics,static:25,static:50,static:100,all,classic,exact,oracle";
        EI_EQ(plan_evaluate(&et, &cs, NULL, exit_times[t], exit_times[t], methods, &e, &err), 0);
        EI_EQ(plan_evaluate(&et, &cs, NULL, exit_times[t], "step:900us", "statistics", &wrong, &err), 0);
        EI_REQUIRE(e.value != NULL && wrong.value != NULL);
        for (int32_t m = 1; m < 6; m++) {
            EI_TRUEF(plan_mean(&e, 0, EI_COLUMN_SCORE) >= plan_mean(&e, m, EI_COLUMN_SCORE) - 1e-6, "%s: %s is better",
                     exit_times[t], e.method[m].method.name);
        }
        EI_TRUE(plan_mean(&e, 0, EI_COLUMN_SCORE) >= plan_mean(&wrong, 0, EI_COLUMN_SCORE) - 1e-6);
        EI_TRUE(plan_mean(&e, 7, EI_COLUMN_SCORE) >= plan_mean(&e, 6, EI_COLUMN_SCORE));
        ei_plan_evaluation_fini(&e);
        ei_plan_evaluation_fini(&wrong);
    }
    /* A stop that never comes in time leaves the accuracy of the last exit. */
    EI_EQ(plan_evaluate(&et, &cs, NULL, "step:1s", "step:1s", "all,classic", &e, &err), 0);
    EI_NEAR(plan_mean(&e, 0, EI_COLUMN_OVERALL), (double)cs.accuracy[2], 1e-6);
    EI_NEAR(plan_mean(&e, 1, EI_COLUMN_OVERALL), (double)cs.accuracy[2], 1e-6);
    ei_plan_evaluation_fini(&e);
    ei_cs_profile_fini(&cs);
}

EI_MAIN()
