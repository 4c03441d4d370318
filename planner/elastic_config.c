/* What the elastic stepper needs per task, from profiles. Cold. */
#include "planner/elastic.h"

#include <math.h>
#include <string.h>

static int search_check(struct ei_search search, struct einet_error *err)
{
    const struct ei_fault fault = ei_search_fault(search);
    return fault.field ? einet_error_set(err, EINET_E_USAGE, "%s %s", fault.field, fault.rule) : 0;
}

int ei_elastic_config_init(struct ei_elastic_config *config, const struct ei_et_profile *et, const float *mean_score,
                           int32_t mean_count, struct ei_search search, bool is_first_exit_mandatory,
                           struct einet_error *err)
{
    int status = ei_et_profile_check(et, err);
    if (status == 0) {
        status = search_check(search, err);
    }
    if (status != 0) {
        return status;
    }
    if (mean_count != (mean_score ? et->exits : 0)) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "mean_score has %d entries but the ET-profile of %s has %d exits; use profiles of one "
                               "network",
                               mean_count, et->network, et->exits);
    }
    for (int32_t i = 0; i < mean_count; i++) {
        if (!(mean_score[i] >= 0 && mean_score[i] <= 1)) {
            return einet_error_set(err, EINET_E_USAGE, "mean_score[%d] is %g, must be within 0..1", i,
                                   (double)mean_score[i]);
        }
    }
    memset(config, 0, sizeof *config);
    config->exits = et->exits;
    ei_et_profile_times(et, EI_TIME_P50, config->conv_ns, config->branch_ns);
    ei_et_profile_times(et, EI_TIME_P99, config->conv_bound_ns, config->branch_bound_ns);
    for (int32_t i = 0; i < et->exits; i++) {
        config->mean_score[i] = mean_score ? mean_score[i] : (float)(i + 1) / (float)et->exits;
    }
    config->search = search;
    config->is_first_exit_mandatory = is_first_exit_mandatory;
    return 0;
}

static float score_of(const void *predictor, int32_t exit_idx, float confidence)
{
    return ei_predictor_score(predictor, exit_idx, confidence);
}

int ei_elastic_config_predict(struct ei_elastic_config *config, const struct ei_predictor *predictor,
                              struct einet_error *err)
{
    if (predictor->exits != config->exits) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "the predictor of %s has %d exits but the network has %d; use one trained for it",
                               predictor->network, predictor->exits, config->exits);
    }
    config->predict = ei_predictor_predict;
    config->score_of = score_of;
    config->predict_context = predictor;
    return 0;
}

/* FNV-1a; never 0. */
static uint64_t hash(uint64_t tag, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++) {
        tag = (tag ^ byte[i]) * UINT64_C(0x100000001b3);
    }
    return tag != 0 ? tag : 1;
}

/* Of all that the tables of a first search depend on. */
static uint64_t tables_tag(const struct ei_elastic *job)
{
    const struct ei_elastic_config *config = job->config;
    const size_t exits = (size_t)config->exits;
    const unsigned char is_branch_atomic = config->is_branch_atomic;
    uint64_t tag = hash(UINT64_C(0xcbf29ce484222325), &config->exits, sizeof config->exits);
    tag = hash(tag, config->conv_ns, exits * sizeof config->conv_ns[0]);
    tag = hash(tag, config->branch_ns, exits * sizeof config->branch_ns[0]);
    tag = hash(tag, job->guess, exits * sizeof job->guess[0]);
    return hash(tag, &is_branch_atomic, sizeof is_branch_atomic);
}

int ei_elastic_config_settle(struct ei_elastic_config *config, struct ei_plan_workspace *ws)
{
    const struct ei_survival always = ei_survival_uniform(INT64_MAX / 2, INT64_MAX / 2);
    const struct ei_survival never_stopped = {.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, &always}};
    struct ei_elastic job;
    struct ei_step step;
    config->calm.is_known = false;
    if (config->search.kind != EI_SEARCH_EXACT && config->search.kind != EI_SEARCH_STATISTICS) {
        return 0;
    }
    const int status = ei_elastic_begin(&job, config, ws, &never_stopped, 0, &step);
    if (status != 0) {
        return status;
    }
    struct ei_calm_plan calm = {.is_known = true, .tables_tag = tables_tag(&job), .plan = job.plan};
    for (int32_t k = 0; k < config->exits; k++) {
        calm.length_ns += config->conv_ns[k] + config->branch_ns[k];
    }
    config->calm = calm;
    ws->tag = calm.tables_tag;
    return 0;
}
