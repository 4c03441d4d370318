/* An evaluation as a table for people and as JSON (schema: docs/evaluation.md). Cold. */
#include "models/plan_evaluate.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(12))

/* ---- the table ---- */

static void print_head(const struct ei_plan_evaluation *evaluation, const struct ei_plan_evaluate_config *config,
                       FILE *out)
{
    const struct ei_cs_profile *cs = config->network.cs;
    const struct ei_et_profile *et = config->network.et;
    fprintf(out, "%s on %s %s: %d %ssamples, %d exits, block times (p50) of %s, lane %s\n", cs->network, cs->dataset,
            cs->split, evaluation->samples, evaluation->is_held_out ? "held-out " : "", cs->exits, et->machine,
            et->lane);
    fprintf(out, "first possible answer t_1 = %.3f ms, all blocks H = %.3f ms\n",
            (double)evaluation->first_answer_ns / 1e6, (double)evaluation->network_ns / 1e6);
    fprintf(out, "forced exit time T: %s; the planner assumes: %s\n\n", config->truth->name, config->belief->name);
}

static void print_interval(const struct ei_plan_interval *interval, bool has_interval, bool has_sign, FILE *out)
{
    if (!has_interval) {
        fprintf(out, has_sign ? "   %+7.2f               " : "   %7.2f               ", 100 * interval->value);
        return;
    }
    char bounds[48];
    snprintf(bounds, sizeof bounds, has_sign ? "[%+.2f, %+.2f]" : "[%.2f, %.2f]", 100 * interval->low,
             100 * interval->high);
    fprintf(out, has_sign ? "   %+7.2f %-16s" : "   %7.2f %-16s", 100 * interval->value, bounds);
}

int ei_plan_evaluation_print(const struct ei_plan_evaluation *evaluation, const struct ei_plan_evaluate_config *config,
                             FILE *out)
{
    const char *reference = evaluation->method[evaluation->reference_idx].method.name;
    const bool has_interval = config->resamples > 0;
    char difference[64];
    errno = 0;
    print_head(evaluation, config, out);
    snprintf(difference, sizeof difference, "minus %s", reference);
    fprintf(out, "%-20s %11s %8s %9s   %-24s   %-24s %6s\n", "accuracy in %", "conditional", "strict", "coverage",
            "overall", difference, "exits");
    for (int32_t m = 0; m < evaluation->method_count; m++) {
        const struct ei_plan_method_result *result = &evaluation->method[m];
        fprintf(out, "%-20s %11.2f %8.2f %9.2f", result->method.name, 100 * result->column[EI_COLUMN_CONDITIONAL].value,
                100 * result->column[EI_COLUMN_STRICT].value, 100 * result->column[EI_COLUMN_COVERAGE].value);
        print_interval(&result->column[EI_COLUMN_OVERALL], has_interval, false, out);
        if (m == evaluation->reference_idx) {
            fprintf(out, "   %7s %-16s", "-", "");
        } else {
            print_interval(&result->difference[EI_COLUMN_OVERALL], has_interval, true, out);
        }
        fprintf(out, " %6.2f\n", result->exits_mean);
    }
    fputs(
        "\nconditional: T uniform in [t_1, H]. strict: T uniform in [0, H], no answer counts as wrong. coverage: an\n"
        "answer exists, T uniform in [0, H]. overall: T as given, no answer counts as wrong. exits: computed per job\n"
        "when nothing stops it.",
        out);
    if (has_interval) {
        fprintf(out, " [..]: %g %% intervals, %d paired resamples of the samples, seed %llu.", EI_PLAN_INTERVAL_PCT,
                config->resamples, (unsigned long long)config->seed);
    }
    fputc('\n', out);
    return fflush(out) == 0 && ferror(out) == 0 ? 0 : -(errno != 0 ? errno : EIO);
}

/* ---- JSON ---- */

/* jansson's set_new takes a reference even when it fails, and reports a NULL value, so failures are summed up in rc. */
static void set(json_t *object, const char *key, json_t *value, int *rc)
{
    *rc |= json_object_set_new(object, key, value);
}

/* A share in percent, without the noise of the last digits. */
static json_t *percent(double share)
{
    return json_real(round(share * 1e11) / 1e9);
}

static json_t *interval_json(const struct ei_plan_interval *interval, bool has_interval, int *rc)
{
    json_t *object = json_object();
    set(object, "value", percent(interval->value), rc);
    set(object, "low", has_interval ? percent(interval->low) : json_null(), rc);
    set(object, "high", has_interval ? percent(interval->high) : json_null(), rc);
    return object;
}

static const char *const column_keys[EI_COLUMNS] = {
    [EI_COLUMN_CONDITIONAL] = "conditional_pct", [EI_COLUMN_STRICT] = "strict_pct",
    [EI_COLUMN_COVERAGE] = "coverage_pct",       [EI_COLUMN_OVERALL] = "overall_pct",
    [EI_COLUMN_OUTPUT] = "overall_coverage_pct", [EI_COLUMN_SCORE] = "score_pct",
};

static json_t *method_json(const struct ei_plan_method_result *result, bool is_reference, bool has_interval, int *rc)
{
    json_t *object = json_object(), *difference = is_reference ? json_null() : json_object();
    set(object, "name", json_string(result->method.name), rc);
    set(object, "has_predictor", json_boolean(result->method.has_predictor), rc);
    for (int c = 0; c < EI_COLUMNS; c++) {
        set(object, column_keys[c], interval_json(&result->column[c], has_interval, rc), rc);
        if (!is_reference) {
            set(difference, column_keys[c], interval_json(&result->difference[c], has_interval, rc), rc);
        }
    }
    set(object, "difference", difference, rc);
    set(object, "exits_mean_count", json_real(round(result->exits_mean * 1e9) / 1e9), rc);
    return object;
}

/* A text from outside may be no UTF-8, which JSON cannot hold. */
static json_t *text(const char *value)
{
    json_t *string = json_string(value);
    return string ? string : json_string("?");
}

static json_t *network_json(const struct ei_plan_profiles *network, int *rc)
{
    json_t *object = json_object();
    set(object, "network", text(network->cs->network), rc);
    set(object, "weights_sha256", text(network->cs->weights_sha256), rc);
    set(object, "exits", json_integer(network->cs->exits), rc);
    set(object, "machine", text(network->et->machine), rc);
    set(object, "lane", text(network->et->lane), rc);
    return object;
}

/* Whole numbers beyond 63 bits are written as a string, as in summary.json. */
static json_t *seed_json(uint64_t seed)
{
    char digits[24];
    if (seed <= INT64_MAX) {
        return json_integer((json_int_t)seed);
    }
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)seed);
    return json_string(digits);
}

static json_t *evaluation_json(const struct ei_plan_evaluation *evaluation,
                               const struct ei_plan_evaluate_config *config, int *rc)
{
    json_t *root = json_object(), *bootstrap = json_object(), *methods = json_array();
    const bool has_interval = config->resamples > 0;
    set(root, "schema", json_integer(1), rc);
    set(root, "network", network_json(&config->network, rc), rc);
    set(root, "classic", config->classic.et ? network_json(&config->classic, rc) : json_null(), rc);
    set(root, "compressed", config->compressed.et ? network_json(&config->compressed, rc) : json_null(), rc);
    set(root, "dataset", text(config->network.cs->dataset), rc);
    set(root, "split", text(config->network.cs->split), rc);
    set(root, "samples", json_integer(evaluation->samples), rc);
    set(root, "is_held_out", json_boolean(evaluation->is_held_out), rc);
    set(root, "first_answer_ns", json_integer(evaluation->first_answer_ns), rc);
    set(root, "network_ns", json_integer(evaluation->network_ns), rc);
    set(root, "exit_time", text(config->truth->name), rc);
    set(root, "assume", text(config->belief->name), rc);
    set(root, "no_output_score", json_real(config->no_output_score), rc);
    set(bootstrap, "resamples", json_integer(config->resamples), rc);
    set(bootstrap, "seed", seed_json(config->seed), rc);
    set(bootstrap, "interval_pct", json_real(EI_PLAN_INTERVAL_PCT), rc);
    set(root, "bootstrap", bootstrap, rc);
    set(root, "reference", json_string(evaluation->method[evaluation->reference_idx].method.name), rc);
    for (int32_t m = 0; m < evaluation->method_count; m++) {
        *rc |= json_array_append_new(
            methods, method_json(&evaluation->method[m], m == evaluation->reference_idx, has_interval, rc));
    }
    set(root, "methods", methods, rc);
    return root;
}

int ei_plan_evaluation_write_json(const struct ei_plan_evaluation *evaluation,
                                  const struct ei_plan_evaluate_config *config, FILE *out)
{
    int rc = 0;
    json_t *root = evaluation_json(evaluation, config, &rc);
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
