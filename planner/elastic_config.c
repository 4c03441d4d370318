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
