/* The paper's tables as one JSON object (schema: docs/evaluation.md). Cold. */
#include "models/paper_evaluate.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

#define JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(12))

static const char *const column_keys[EI_PAPER_COLUMNS] = {
    [EI_PAPER_CONDITIONAL] = "conditional_pct",
    [EI_PAPER_STRICT] = "strict_pct",
    [EI_PAPER_COVERAGE] = "coverage_pct",
};

static const char *const claim_keys[EI_PAPER_CLAIMS] = {
    [EI_PAPER_CLAIM_STATIC] = "static",       [EI_PAPER_CLAIM_DYNAMIC] = "dynamic",
    [EI_PAPER_CLAIM_CLASSIC] = "classic",     [EI_PAPER_CLAIM_COMPRESSED] = "compressed",
    [EI_PAPER_CLAIM_NO_SKIP] = "no_skipping",
};

/* jansson's set_new takes a reference even when it fails, and reports a NULL value, so failures are summed up in rc. */
static void set(json_t *object, const char *key, json_t *value, int *rc)
{
    *rc |= json_object_set_new(object, key, value);
}

static void append(json_t *array, json_t *value, int *rc)
{
    *rc |= json_array_append_new(array, value);
}

/* A text from outside may be no UTF-8, which JSON cannot hold. */
static json_t *text(const char *value)
{
    json_t *string = json_string(value);
    return string ? string : json_string("?");
}

static json_t *rounded(double value)
{
    return json_real(round(value * 1e9) / 1e9);
}

static json_t *percent(double share)
{
    return rounded(100 * share);
}

static json_t *estimate_json(const struct ei_paper_estimate *estimate, bool has_interval, int32_t trainings, int *rc)
{
    json_t *object = json_object();
    set(object, "value", percent(estimate->value), rc);
    set(object, "low", has_interval ? percent(estimate->low) : json_null(), rc);
    set(object, "high", has_interval ? percent(estimate->high) : json_null(), rc);
    set(object, "sd", trainings > 1 ? percent(estimate->spread) : json_null(), rc);
    return object;
}

static json_t *columns_json(const struct ei_paper_estimate *column, bool has_interval, int32_t trainings, int *rc)
{
    json_t *object = json_object();
    for (int c = 0; c < EI_PAPER_COLUMNS; c++) {
        set(object, column_keys[c], estimate_json(&column[c], has_interval, trainings, rc), rc);
    }
    return object;
}

static json_t *method_json(const struct ei_paper_result *result, int32_t m, bool has_interval, int *rc)
{
    const struct ei_paper_method *method = &result->method[m];
    const int32_t trainings = result->pair->whole.count;
    json_t *object = columns_json(method->column, has_interval, trainings, rc);
    set(object, "name", json_string(method->name), rc);
    set(object, "gain", m == result->einet_idx ? json_null() : columns_json(method->gain, has_interval, trainings, rc),
        rc);
    set(object, "exits_mean_count", rounded(method->exits_mean), rc);
    set(object, "is_stand_in", json_boolean(method->is_stand_in), rc);
    return object;
}

static json_t *weights_json(const struct ei_paper_trainings *trainings, int *rc)
{
    json_t *array = json_array();
    for (int32_t t = 0; t < trainings->count; t++) {
        append(array, text(trainings->item[t].profiles.cs->weights_sha256), rc);
    }
    return array;
}

static json_t *measured_json(const struct ei_paper_measured *measured, int *rc)
{
    json_t *object = json_object();
    set(object, "branch_share", rounded(measured->branch_share), rc);
    set(object, "accuracy_first_pct", percent(measured->accuracy_first), rc);
    set(object, "accuracy_last_pct", percent(measured->accuracy_last), rc);
    set(object, "first_answer_share", rounded(measured->first_share), rc);
    set(object, "first_answer_ns", json_integer(llround(measured->first_answer_ns)), rc);
    set(object, "network_ns", json_integer(llround(measured->network_ns)), rc);
    return object;
}

static json_t *figure_json(const struct ei_paper_figure *figure, int *rc)
{
    if (!figure) {
        return json_null();
    }
    json_t *object = json_object();
    set(object, "static_pct", rounded(figure->static_pct), rc);
    set(object, "einet_pct", rounded(figure->einet_pct), rc);
    set(object, "gain_pct", rounded(figure->einet_pct - figure->static_pct), rc);
    return object;
}

static json_t *pair_json(const struct ei_paper_result *result, bool has_interval, int *rc)
{
    const struct ei_paper_pair *pair = result->pair;
    const struct ei_plan_profiles *profiles = &pair->whole.item[0].profiles;
    char sentence[EI_PAPER_SENTENCE_MAX];
    json_t *object = json_object(), *methods = json_array();
    set(object, "network", text(pair->network), rc);
    set(object, "dataset", text(pair->dataset), rc);
    set(object, "exits", json_integer(profiles->cs->exits), rc);
    set(object, "machine", text(profiles->et->machine), rc);
    set(object, "trainings", json_integer(pair->whole.count), rc);
    set(object, "weights_sha256", weights_json(&pair->whole, rc), rc);
    set(object, "classic_sha256", weights_json(&pair->classic, rc), rc);
    set(object, "compressed_sha256", weights_json(&pair->compressed, rc), rc);
    set(object, "samples", json_integer(result->samples), rc);
    set(object, "has_predictor", json_boolean(result->has_predictor), rc);
    set(object, "paper", figure_json(result->figure, rc), rc);
    set(object, "measured", measured_json(&result->measured, rc), rc);
    set(object, "einet", json_string(result->method[result->einet_idx].name), rc);
    set(object, "best_static", json_string(result->method[result->best_static_idx].name), rc);
    for (int32_t m = 0; m < result->method_count; m++) {
        append(methods, method_json(result, m, has_interval, rc), rc);
    }
    set(object, "methods", methods, rc);
    set(object, "verdict", text(ei_paper_verdict(result, has_interval, sentence)), rc);
    set(object, "explanation", text(ei_paper_explain(result, sentence)), rc);
    return object;
}

static json_t *light_json(const struct ei_paper_results *results, int32_t l, bool has_interval, int *rc)
{
    const struct ei_paper_light *light = &results->light[l];
    const struct ei_paper_result *full = &results->item[light->full_idx], *thin = &results->item[light->light_idx];
    json_t *object = json_object();
    set(object, "full", text(full->pair->network), rc);
    set(object, "light", text(thin->pair->network), rc);
    set(object, "dataset", text(full->pair->dataset), rc);
    set(object, "has_predictor", json_boolean(light->has_predictor), rc);
    set(object, "full_branch_share", rounded(full->measured.branch_share), rc);
    set(object, "light_branch_share", rounded(thin->measured.branch_share), rc);
    set(object, "full_pct", estimate_json(&light->full, has_interval, 1, rc), rc);
    set(object, "light_pct", estimate_json(&light->light, has_interval, 1, rc), rc);
    set(object, "gain_pct", estimate_json(&light->gain, has_interval, 1, rc), rc);
    return object;
}

static json_t *claims_json(int *rc)
{
    json_t *object = json_object();
    for (int c = 0; c < EI_PAPER_CLAIMS; c++) {
        const struct ei_paper_range range = ei_paper_claim((enum ei_paper_claim)c);
        json_t *entry = json_object();
        set(entry, "low_pct", rounded(range.low), rc);
        set(entry, "high_pct", rounded(range.high), rc);
        set(object, claim_keys[c], entry, rc);
    }
    return object;
}

static json_t *bootstrap_json(const struct ei_paper_config *config, int *rc)
{
    char digits[24];
    json_t *object = json_object();
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)config->seed);
    set(object, "resamples", json_integer(config->resamples), rc);
    set(object, "seed", config->seed <= INT64_MAX ? json_integer((json_int_t)config->seed) : json_string(digits), rc);
    set(object, "interval_pct", json_real(EI_PLAN_INTERVAL_PCT), rc);
    return object;
}

static void set_missing(json_t *root, const struct ei_paper_library *library, int *rc)
{
    json_t *missing = json_array(), *unused = json_array();
    for (int32_t m = 0; m < library->missing_count; m++) {
        json_t *entry = json_object();
        set(entry, "network", text(library->missing[m].network), rc);
        set(entry, "dataset", text(library->missing[m].dataset), rc);
        set(entry, "what", text(library->missing[m].what), rc);
        set(entry, "command", text(library->missing[m].command), rc);
        append(missing, entry, rc);
    }
    for (int32_t f = 0; f < library->files.count; f++) {
        if (!library->files.item[f].is_used) {
            append(unused, text(library->files.item[f].path), rc);
        }
    }
    set(root, "missing", missing, rc);
    set(root, "unused", unused, rc);
}

static json_t *report_json(const struct ei_paper_report *report, int *rc)
{
    const bool has_interval = report->config->resamples > 0;
    json_t *root = json_object(), *pairs = json_array(), *lights = json_array();
    set(root, "schema", json_integer(1), rc);
    set(root, "source", json_string(EI_PAPER_SOURCE), rc);
    set(root, "lane", text(report->lane), rc);
    set(root, "bootstrap", bootstrap_json(report->config, rc), rc);
    set(root, "claims", claims_json(rc), rc);
    for (int32_t p = 0; p < report->results->count; p++) {
        append(pairs, pair_json(&report->results->item[p], has_interval, rc), rc);
    }
    for (int32_t l = 0; l < report->results->light_count; l++) {
        append(lights, light_json(report->results, l, has_interval, rc), rc);
    }
    set(root, "pairs", pairs, rc);
    set(root, "light", lights, rc);
    set_missing(root, report->library, rc);
    return root;
}

int ei_paper_write_json(const struct ei_paper_report *report, FILE *out)
{
    int rc = 0;
    json_t *root = report_json(report, &rc);
    if (rc != 0) {
        json_decref(root);
        return -ENOMEM;
    }
    errno = 0;
    const bool is_written = json_dumpf(root, out, JSON_FLAGS) == 0 && fputc('\n', out) != EOF && fflush(out) == 0;
    const int errnum = errno != 0 ? errno : EIO;
    json_decref(root);
    return is_written ? 0 : -errnum;
}
