/* Whether the inputs of an evaluation belong together. Messages name the options of the command line. Cold. */
#include "models/plan_evaluate_parts.h"
#include "planner/predictor_file.h"

#include <math.h>
#include <string.h>

static int check_same_samples(const char *what, const struct ei_cs_profile *cs, const struct ei_cs_profile *other,
                              struct einet_error *err)
{
    if (strcmp(cs->dataset, other->dataset) != 0 || strcmp(cs->split, other->split) != 0 ||
        cs->samples != other->samples ||
        memcmp(cs->label, other->label, (size_t)cs->samples * sizeof cs->label[0]) != 0) {
        return einet_error_set(
            err, EINET_E_MISMATCH,
            "--%s-cs is of %d samples of %s %s, --cs of %d samples of %s %s, with other labels or in "
            "another order; profile both networks on the same split",
            what, other->samples, other->dataset, other->split, cs->samples, cs->dataset, cs->split);
    }
    return 0;
}

static int check_network(const char *prefix, const struct ei_plan_profiles *network, struct einet_error *err)
{
    const struct ei_et_profile *et = network->et;
    struct einet_error reason = {0};
    if (ei_cs_profile_match(network->cs, et->network, et->exits, et->weights_sha256, &reason) != 0) {
        return einet_error_set(err, EINET_E_MISMATCH, "--%scs does not belong to --%set: %s", prefix, prefix,
                               reason.text);
    }
    return 0;
}

static int check_other(const char *what, const char *prefix, const struct ei_plan_profiles *other,
                       const struct ei_cs_profile *cs, struct einet_error *err)
{
    if ((other->et == NULL) != (other->cs == NULL)) {
        return einet_error_set(err, EINET_E_USAGE, "--%s-et and --%s-cs are needed together", what, what);
    }
    if (other->et == NULL) {
        return 0;
    }
    const int status = check_network(prefix, other, err);
    return status != 0 ? status : check_same_samples(what, cs, other->cs, err);
}

static int check_predictor(const struct ei_plan_evaluate_config *config, struct einet_error *err)
{
    const struct ei_predictor *predictor = config->predictor;
    const struct ei_cs_profile *cs = config->network.cs;
    struct einet_error reason = {0};
    if (predictor == NULL) {
        return 0;
    }
    if (ei_predictor_match(predictor, cs->network, cs->exits, cs->weights_sha256, &reason) != 0) {
        return einet_error_set(err, EINET_E_MISMATCH, "--predictor does not belong to --cs: %s", reason.text);
    }
    if (strcmp(predictor->dataset, cs->dataset) != 0) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "--predictor is of data set %s, --cs of %s; use a predictor trained on that data set",
                               predictor->dataset, cs->dataset);
    }
    return 0;
}

static int check_methods(const struct ei_plan_evaluate_config *config, struct einet_error *err)
{
    if (config->method_count < 1 || config->method_count > EI_PLAN_METHODS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "%d methods; name 1 to %d", config->method_count,
                               EI_PLAN_METHODS_MAX);
    }
    for (int32_t m = 0; m < config->method_count; m++) {
        const struct ei_plan_method *method = &config->methods[m];
        if (method->kind == EI_METHOD_COMPRESSED && config->compressed.et == NULL) {
            return einet_error_set(err, EINET_E_USAGE, "method compressed needs --compressed-et and --compressed-cs");
        }
        if (method->has_predictor && config->predictor == NULL) {
            return einet_error_set(err, EINET_E_USAGE, "method %s needs --predictor", method->name);
        }
    }
    return 0;
}

int ei_plan_evaluate_check(const struct ei_plan_evaluate_config *config, struct einet_error *err)
{
    if (config->resamples < 0 || config->resamples > EI_PLAN_RESAMPLES_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "--bootstrap is %d, must be within 0..%d", config->resamples,
                               EI_PLAN_RESAMPLES_MAX);
    }
    if (!isfinite(config->no_output_score)) {
        return einet_error_set(err, EINET_E_USAGE, "--no-output-score must be a finite number");
    }
    int status = check_network("", &config->network, err);
    if (status == 0) {
        status = check_other("classic", "classic-", &config->classic, config->network.cs, err);
    }
    if (status == 0) {
        status = check_other("compressed", "compressed-", &config->compressed, config->network.cs, err);
    }
    if (status == 0) {
        status = check_predictor(config, err);
    }
    return status != 0 ? status : check_methods(config, err);
}
