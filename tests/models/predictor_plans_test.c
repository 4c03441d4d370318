/* What the shipped predictors are for: plans that follow their guesses hold answers at least as good, on samples they
 * have not seen, as plans that need no guess. A predictor that guesses too low where scores are near 1 stops too early
 * and fails here (docs/adr/0008).
 */
#include "models/plan_evaluate.h"
#include "models/predictor_train.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include "tests/harness/harness.h"
#include "tests/models/plan_profiles.h"

#include <stdlib.h>

#define METHODS "exact,exact@means,statistics,all,static:25,static:50,confidence:0.9,confidence:0.95,confidence:0.99"

struct pair {
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct ei_predictor predictor;
};

static void read_pair(const char *name, struct pair *out)
{
    char path[256];
    struct einet_error err = {.code = 0};
    snprintf(path, sizeof path, "models/pretrained/%s.et.csv", name);
    EI_TRUEF(ei_et_profile_read(path, &out->et, &err) == 0, "%s: %s", path, err.text);
    snprintf(path, sizeof path, "models/pretrained/%s.cs", name);
    EI_TRUEF(ei_cs_profile_read(path, &out->cs, &err) == 0, "%s: %s", path, err.text);
    snprintf(path, sizeof path, "models/pretrained/%s.predictor", name);
    EI_TRUEF(ei_predictor_read(path, &out->predictor, &err) == 0, "%s: %s", path, err.text);
}

/* Mean over the samples of exact minus method m, and its standard error. */
static double lead(const struct ei_plan_evaluation *e, int32_t m, enum ei_plan_column column, double *out_error)
{
    double sum = 0, squares = 0;
    for (int32_t s = 0; s < e->samples; s++) {
        const double difference = plan_value(e, s, 0, column) - plan_value(e, s, m, column);
        sum += difference;
        squares += difference * difference;
    }
    const double mean = sum / e->samples;
    *out_error = sqrt((squares / e->samples - mean * mean) / e->samples);
    return mean;
}

/* Not behind any method in delivered confidence by more than the 95 % interval, nor in accuracy by 0.2 points. */
static void expect_ahead(const char *name, const struct pair *pair)
{
    struct ei_plan_evaluation e = {0};
    struct einet_error err = {.code = 0};
    const int status = plan_evaluate(&pair->et, &pair->cs, &pair->predictor, "uniform", "uniform", METHODS, &e, &err);
    EI_TRUEF(status == 0, "%s: %s", name, err.text);
    EI_TRUE(e.is_held_out);
    for (int32_t m = 1; status == 0 && m < e.method_count; m++) {
        double error, unused;
        const double score = lead(&e, m, EI_COLUMN_SCORE, &error), accuracy = lead(&e, m, EI_COLUMN_OVERALL, &unused);
        EI_TRUEF(score >= -1.96 * error - 1e-12, "%s: exact is %.5f +- %.5f ahead of %s in confidence", name, score,
                 1.96 * error, e.method[m].method.name);
        EI_TRUEF(accuracy >= -0.002, "%s: exact is %.5f ahead of %s in accuracy", name, accuracy,
                 e.method[m].method.name);
    }
    ei_plan_evaluation_fini(&e);
}

EI_TEST(predictor_shipped_plans_are_ahead)
{
    static const char *const names[] = {"b-alexnet-generated", "b-alexnet-mnist",           "b-alexnet-cifar10",
                                        "b-alexnet-cifar100",  "msdnet-21-light-generated", "msdnet-21-light-cifar10"};
    struct pair *pair = calloc(1, sizeof *pair);
    EI_REQUIRE(pair != NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        read_pair(names[i], pair);
        expect_ahead(names[i], pair);
        ei_cs_profile_fini(&pair->cs);
    }
    free(pair);
}

/* Where later scores can hardly rise, they are not guessed to fall: on held-out samples whose score so far is 0.99 or
 * more the mean guess lies within 0.005 of the mean truth. A squared error and scores as inputs gave -0.018. */
EI_TEST(predictor_guesses_are_true_near_certainty)
{
    struct pair *pair = calloc(1, sizeof *pair);
    EI_REQUIRE(pair != NULL);
    read_pair("msdnet-21-light-cifar10", pair);
    const struct ei_predictor *p = &pair->predictor;
    double bias = 0;
    int64_t count = 0;
    for (int32_t s = 0; s < pair->cs.samples; s++) {
        float score[EI_EXITS_MAX], guess[EI_EXITS_MAX];
        for (int32_t last = 0; last < p->exits - 1; last++) {
            score[last] = ei_cs_profile_score(&pair->cs, s, last);
            if (score[last] < 0.99F || ei_predictor_part(p->split_seed, s) != EI_PREDICTOR_PART_HELD_OUT) {
                continue;
            }
            ei_predictor_predict(p, p->exits, score, (UINT64_C(2) << last) - 1, last + 1, guess);
            for (int32_t e = last + 1; e < p->exits; e++) {
                bias += (double)(guess[e] - ei_cs_profile_score(&pair->cs, s, e));
                count++;
            }
        }
    }
    EI_TRUE(count > 10000);
    EI_IN(bias / (double)count, -0.005, 0.005);
    ei_cs_profile_fini(&pair->cs);
    free(pair);
}

EI_MAIN()
