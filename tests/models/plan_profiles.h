/* Profiles for the evaluation's tests: one small enough to compute by hand, and random ones. */
#ifndef TESTS_MODELS_PLAN_PROFILES_H
#define TESTS_MODELS_PLAN_PROFILES_H

#include "models/plan_evaluate.h"
#include "rt/random.h"

#include <string.h>

static inline void plan_profile_names(struct ei_et_profile *et, struct ei_cs_profile *cs)
{
    et->threads = 1;
    et->samples = 10;
    strcpy(et->network, "tiny");
    strcpy(et->machine, "by hand");
    strcpy(et->lane, "cpu");
    strcpy(cs->network, "tiny");
    strcpy(cs->dataset, "four");
    strcpy(cs->split, "test");
}

static inline void plan_profile_time(struct ei_time_stats *out, int64_t ns)
{
    *out = (struct ei_time_stats){ns, ns + 5, ns + 9}; /* the quantiles differ: only the p50 must count */
}

/* Three exits, four samples, times in ms: C = 10, 20, 40 and b = 10, 5, 5; H = 60, t_1 = 20. */
static inline void plan_profiles_by_hand(struct ei_et_profile *et, struct ei_cs_profile *cs)
{
    static const int64_t conv_ms[3] = {10, 10, 20}, branch_ms[3] = {10, 5, 5};
    static const float confidence[4][3] = {
        {0.96F, 0.5F, 0.9F}, {0.2F, 0.3F, 0.99F}, {0.6F, 0.92F, 0.97F}, {0.4F, 0.5F, 0.6F}};
    static const int correct[4][3] = {{1, 0, 1}, {0, 0, 1}, {0, 1, 1}, {0, 1, 0}};
    *et = (struct ei_et_profile){.exits = 3};
    (void)ei_cs_profile_init(cs, 3, 4, 2, NULL);
    plan_profile_names(et, cs);
    for (int i = 0; i < 3; i++) {
        plan_profile_time(&et->conv[i], conv_ms[i] * 1000000);
        plan_profile_time(&et->branch[i], branch_ms[i] * 1000000);
    }
    for (int s = 0; s < 4; s++) {
        for (int i = 0; i < 3; i++) {
            (void)ei_cs_profile_set(cs, s, i, confidence[s][i], 1 - correct[s][i]);
        }
    }
    ei_cs_profile_summarize(cs);
}

/* Times of a few ns, so that a sum over all whole ns is an exact integral. Some take no time at all. */
static inline void plan_profiles_draw(struct ei_random *rng, int32_t exits, int32_t samples, struct ei_et_profile *et,
                                      struct ei_cs_profile *cs)
{
    *et = (struct ei_et_profile){.exits = exits};
    (void)ei_cs_profile_init(cs, exits, samples, 5, NULL);
    plan_profile_names(et, cs);
    for (int32_t i = 0; i < exits; i++) {
        plan_profile_time(&et->conv[i], (int64_t)ei_random_below(rng, 12));
        plan_profile_time(&et->branch[i], (int64_t)ei_random_below(rng, 9));
    }
    plan_profile_time(&et->conv[exits - 1], 12); /* H > t_1 */
    for (int32_t s = 0; s < samples; s++) {
        cs->label[s] = (uint16_t)ei_random_below(rng, 5);
        for (int32_t i = 0; i < exits; i++) {
            const double trend = 0.6 * (double)(i + 1) / (double)exits + 0.4 * ei_random_unit(rng);
            (void)ei_cs_profile_set(cs, s, i, (float)trend,
                                    ei_random_unit(rng) < trend ? cs->label[s] : (int32_t)ei_random_below(rng, 5));
        }
    }
    ei_cs_profile_summarize(cs);
}

/* The evaluation of a list of methods; intervals off, one thread. Ended by ei_plan_evaluation_fini when it returns 0.
 */
static inline int plan_evaluate(const struct ei_et_profile *et, const struct ei_cs_profile *cs,
                                const struct ei_predictor *predictor, const char *truth, const char *belief,
                                const char *methods, struct ei_plan_evaluation *out, struct einet_error *err)
{
    static struct ei_exit_time exit_time[2];
    static struct ei_plan_method method[EI_PLAN_METHODS_MAX];
    struct ei_plan_evaluate_config config = {.network = {et, cs},
                                             .predictor = predictor,
                                             .truth = &exit_time[0],
                                             .belief = &exit_time[1],
                                             .methods = method,
                                             .threads = 1};
    int status = ei_exit_time_parse("--exit-time", truth, &exit_time[0], err);
    if (status == 0) {
        status = ei_exit_time_parse("--assume", belief, &exit_time[1], err);
    }
    if (status == 0) {
        status = ei_plan_methods_parse(methods, predictor != NULL, false, 1, method, &config.method_count, err);
    }
    return status != 0 ? status : ei_plan_evaluate(&config, out, err);
}

/* One figure of one sample. */
static inline double plan_value(const struct ei_plan_evaluation *e, int32_t s, int32_t m, enum ei_plan_column column)
{
    return e->value[((size_t)s * (size_t)e->method_count + (size_t)m) * EI_COLUMNS + (size_t)column];
}

static inline double plan_mean(const struct ei_plan_evaluation *e, int32_t m, enum ei_plan_column column)
{
    return e->method[m].column[column].value;
}

#endif
