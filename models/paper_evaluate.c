/* One evaluation per training; rows of samples averaged over the trainings, then resampled. */
#include "models/paper_evaluate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS (EI_PLAN_METHODS_MAX * EI_PAPER_COLUMNS)

/* random:64 draws as many masks as hybrid:6 tries. */
static const char methods_text[] = "exact,%sstatic:25,static:50,static:100,statistics,confidence:0.9,confidence:0.95,"
                                   "confidence:0.99,random:64,greedy,hybrid:6,noskip,all,classic%s";

static const enum ei_plan_column columns_of[EI_PAPER_COLUMNS] = {
    [EI_PAPER_CONDITIONAL] = EI_COLUMN_CONDITIONAL,
    [EI_PAPER_STRICT] = EI_COLUMN_STRICT,
    [EI_PAPER_COVERAGE] = EI_COLUMN_COVERAGE,
};

/* The trainings of a pair, added up. */
struct sum {
    int32_t samples, columns; /* columns: methods * EI_PAPER_COLUMNS */
    double *row;              /* owned; [samples][columns] */
    double *sample;           /* owned; [trainings][columns], means of one training each */
    double exits[EI_PLAN_METHODS_MAX];
};

/* ---- one training ---- */

/* A predictor judges on the samples that it did not learn from, so all trainings must have one, and the same split. */
static bool has_predictors(const struct ei_paper_pair *pair, const struct ei_paper_config *config)
{
    for (int32_t t = 0; t < pair->whole.count; t++) {
        const struct ei_predictor *predictor = pair->whole.item[t].predictor;
        if (!predictor || predictor->split_seed != pair->whole.item[0].predictor->split_seed) {
            return false;
        }
    }
    return !config->is_without_predictor;
}

static struct ei_plan_profiles counterpart(const struct ei_paper_trainings *trainings, int32_t t)
{
    return trainings->count > 0 ? trainings->item[t % trainings->count].profiles : (struct ei_plan_profiles){0};
}

static int evaluate_training(const struct ei_paper_pair *pair, int32_t t, const struct ei_paper_config *config,
                             bool has_predictor, const struct ei_plan_method *methods, int32_t method_count,
                             const struct ei_exit_time *exit_time, struct ei_plan_evaluation *out,
                             struct einet_error *err)
{
    struct einet_error reason = {0};
    const struct ei_plan_evaluate_config evaluate = {
        .network = pair->whole.item[t].profiles,
        .classic = counterpart(&pair->classic, t),
        .compressed = counterpart(&pair->compressed, t),
        .predictor = has_predictor ? pair->whole.item[t].predictor : NULL,
        .truth = exit_time,
        .belief = exit_time,
        .methods = methods,
        .method_count = method_count,
        .seed = config->seed,
        .threads = config->threads,
    };
    const int status = ei_plan_evaluate(&evaluate, out, &reason);
    return status == 0 ? 0 : einet_error_set_at(err, status, pair->whole.item[t].cs_path, 0, 0, "%.400s", reason.text);
}

static int begin_sum(struct sum *sum, int32_t trainings, const struct ei_plan_evaluation *first)
{
    sum->samples = first->samples;
    sum->columns = first->method_count * EI_PAPER_COLUMNS;
    sum->row = calloc((size_t)sum->samples * (size_t)sum->columns, sizeof *sum->row);
    sum->sample = calloc((size_t)trainings * (size_t)sum->columns, sizeof *sum->sample);
    return sum->row && sum->sample ? 0 : -ENOMEM;
}

static void add_to_sum(struct sum *sum, int32_t t, int32_t trainings, const struct ei_plan_evaluation *evaluation)
{
    for (int32_t m = 0; m < evaluation->method_count; m++) {
        sum->exits[m] += evaluation->method[m].exits_mean / trainings;
        for (int32_t c = 0; c < EI_PAPER_COLUMNS; c++) {
            const size_t column = (size_t)m * EI_PAPER_COLUMNS + (size_t)c;
            sum->sample[(size_t)t * (size_t)sum->columns + column] = evaluation->method[m].column[columns_of[c]].value;
            for (int32_t s = 0; s < sum->samples; s++) {
                const size_t cell = (size_t)s * (size_t)evaluation->method_count + (size_t)m;
                sum->row[(size_t)s * (size_t)sum->columns + column] +=
                    evaluation->value[cell * EI_COLUMNS + (size_t)columns_of[c]] / trainings;
            }
        }
    }
}

static void end_sum(struct sum *sum)
{
    free(sum->row);
    free(sum->sample);
}

/* ---- estimates ---- */

/* Standard deviation between trainings of column a minus column b; b < 0: of a alone. */
static double spread(const struct sum *sum, int32_t trainings, int32_t a, int32_t b)
{
    double mean = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t t = 0; t < trainings; t++) {
            const double *sample = sum->sample + (size_t)t * (size_t)sum->columns;
            const double value = sample[a] - (b < 0 ? 0 : sample[b]);
            mean += pass == 0 ? value / trainings : 0;
            squares += pass == 0 ? 0 : (value - mean) * (value - mean);
        }
    }
    return trainings > 1 ? sqrt(squares / (trainings - 1)) : 0;
}

static int estimate(const struct sum *sum, const struct ei_paper_config *config, struct ei_paper_result *result)
{
    struct ei_plan_interval mean[COLUMNS], difference[COLUMNS];
    int32_t reference[COLUMNS];
    const int32_t trainings = result->pair->whole.count;
    for (int32_t c = 0; c < sum->columns; c++) {
        reference[c] = result->einet_idx * EI_PAPER_COLUMNS + c % EI_PAPER_COLUMNS;
    }
    const int status = ei_plan_bootstrap(sum->row, sum->samples, sum->columns, reference, config->resamples,
                                         config->seed, mean, difference);
    for (int32_t c = 0; status == 0 && c < sum->columns; c++) {
        struct ei_paper_method *method = &result->method[c / EI_PAPER_COLUMNS];
        method->column[c % EI_PAPER_COLUMNS] =
            (struct ei_paper_estimate){mean[c].value, mean[c].low, mean[c].high, spread(sum, trainings, c, -1)};
        method->gain[c % EI_PAPER_COLUMNS] =
            (struct ei_paper_estimate){0 - difference[c].value, 0 - difference[c].high, 0 - difference[c].low,
                                       spread(sum, trainings, reference[c], c)};
    }
    return status;
}

static struct ei_paper_measured measure(const struct ei_paper_pair *pair)
{
    struct ei_paper_measured out = {0};
    const double share = 1.0 / pair->whole.count;
    for (int32_t t = 0; t < pair->whole.count; t++) {
        const struct ei_et_profile *et = pair->whole.item[t].profiles.et;
        const struct ei_cs_profile *cs = pair->whole.item[t].profiles.cs;
        double conv_ns = 0, branch_ns = 0, first_ns = INFINITY;
        for (int32_t i = 0; i < et->exits; i++) {
            conv_ns += (double)et->conv[i].p50_ns;
            branch_ns += (double)et->branch[i].p50_ns;
            first_ns = fmin(first_ns, conv_ns + (double)et->branch[i].p50_ns);
        }
        const double network_ns = conv_ns + branch_ns;
        out.branch_share += conv_ns > 0 ? share * branch_ns / conv_ns : 0;
        out.first_share += network_ns > 0 ? share * first_ns / network_ns : 0;
        out.first_answer_ns += share * first_ns;
        out.network_ns += share * network_ns;
        out.accuracy_first += share * (double)cs->accuracy[0];
        out.accuracy_last += share * (double)cs->accuracy[cs->exits - 1];
    }
    return out;
}

/* ---- one pair ---- */

static void name_methods(struct ei_paper_result *result, const struct ei_plan_method *methods, const struct sum *sum)
{
    double best = -1;
    for (int32_t m = 0; m < result->method_count; m++) {
        struct ei_paper_method *method = &result->method[m];
        const double accuracy = method->column[EI_PAPER_CONDITIONAL].value;
        snprintf(method->name, sizeof method->name, "%s", methods[m].name);
        method->exits_mean = sum->exits[m];
        method->is_stand_in = methods[m].kind == EI_METHOD_CLASSIC && result->pair->classic.count == 0;
        if (methods[m].kind == EI_METHOD_SEARCH && methods[m].search.kind == EI_SEARCH_STATIC && accuracy > best) {
            best = accuracy;
            result->best_static_idx = m;
        }
    }
}

static int evaluate_pair(const struct ei_paper_pair *pair, const struct ei_paper_config *config,
                         struct ei_paper_result *result, struct einet_error *err)
{
    struct ei_plan_method methods[EI_PLAN_METHODS_MAX];
    struct ei_exit_time uniform = {.kind = EI_EXIT_TIME_NETWORK};
    struct sum sum = {0};
    char text[512];
    const bool has_predictor = has_predictors(pair, config);
    *result = (struct ei_paper_result){.pair = pair,
                                       .figure = ei_paper_figure_find(pair->network, pair->dataset),
                                       .has_predictor = has_predictor,
                                       .measured = measure(pair)};
    snprintf(text, sizeof text, methods_text, has_predictor ? "exact@means," : "",
             pair->compressed.count > 0 ? ",compressed" : "");
    int status = ei_plan_methods_parse(text, has_predictor, pair->compressed.count > 0, config->seed, methods,
                                       &result->method_count, err);
    for (int32_t t = 0; status == 0 && t < pair->whole.count; t++) {
        struct ei_plan_evaluation evaluation = {0};
        status = evaluate_training(pair, t, config, has_predictor, methods, result->method_count, &uniform, &evaluation,
                                   err);
        if (status == 0 && t == 0) {
            result->samples = evaluation.samples;
            result->einet_idx = evaluation.reference_idx;
            status = begin_sum(&sum, pair->whole.count, &evaluation);
        }
        if (status == 0) {
            add_to_sum(&sum, t, pair->whole.count, &evaluation);
        }
        ei_plan_evaluation_fini(&evaluation);
    }
    status = status == 0 ? estimate(&sum, config, result) : status;
    if (status == -ENOMEM) {
        (void)einet_error_set(err, -ENOMEM, "no memory to evaluate %s on %s; lower --resamples", pair->network,
                              pair->dataset);
    } else if (status == 0) {
        name_methods(result, methods, &sum);
    }
    end_sum(&sum);
    return status;
}

/* ---- light branches ---- */

/* Accuracy of EINet with T uniform in [0, time_ns], sample by sample, mean over the trainings. *out_row: owned by the
 * caller, also on error. */
static int accuracy_by(const struct ei_paper_pair *pair, const struct ei_paper_config *config, bool has_predictor,
                       int64_t time_ns, double **out_row, int32_t *out_samples, struct einet_error *err)
{
    const struct ei_exit_time uniform = {.kind = EI_EXIT_TIME_UNIFORM, .time_ns = time_ns};
    struct ei_plan_method exact[EI_PLAN_METHODS_MAX];
    int32_t count;
    int status = ei_plan_methods_parse("exact", has_predictor, false, config->seed, exact, &count, err);
    for (int32_t t = 0; status == 0 && t < pair->whole.count; t++) {
        struct ei_plan_evaluation evaluation = {0};
        status = evaluate_training(pair, t, config, has_predictor, exact, count, &uniform, &evaluation, err);
        if (status == 0 && t == 0) {
            *out_samples = evaluation.samples;
            *out_row = calloc((size_t)evaluation.samples, sizeof **out_row);
            status = *out_row ? 0 : einet_error_set(err, -ENOMEM, "no memory for %d samples", evaluation.samples);
        }
        for (int32_t s = 0; status == 0 && s < *out_samples; s++) {
            (*out_row)[s] += evaluation.value[(size_t)s * EI_COLUMNS + EI_COLUMN_OVERALL] / pair->whole.count;
        }
        ei_plan_evaluation_fini(&evaluation);
    }
    return status;
}

static int estimate_light(const double *full, const double *light, int32_t samples,
                          const struct ei_paper_config *config, struct ei_paper_light *out)
{
    const int32_t reference[2] = {0, 0};
    struct ei_plan_interval mean[2], difference[2];
    double *both = malloc((size_t)samples * 2 * sizeof *both);
    if (!both) {
        return -ENOMEM;
    }
    for (int32_t s = 0; s < samples; s++) {
        both[2 * s] = full[s];
        both[2 * s + 1] = light[s];
    }
    const int status =
        ei_plan_bootstrap(both, samples, 2, reference, config->resamples, config->seed, mean, difference);
    free(both);
    if (status == 0) {
        out->full = (struct ei_paper_estimate){mean[0].value, mean[0].low, mean[0].high, 0};
        out->light = (struct ei_paper_estimate){mean[1].value, mean[1].low, mean[1].high, 0};
        out->gain = (struct ei_paper_estimate){difference[1].value, difference[1].low, difference[1].high, 0};
    }
    return status;
}

static bool is_same_samples(const struct ei_paper_pair *a, const struct ei_paper_pair *b)
{
    const struct ei_cs_profile *x = a->whole.item[0].profiles.cs, *y = b->whole.item[0].profiles.cs;
    return x->samples == y->samples && memcmp(x->label, y->label, (size_t)x->samples * sizeof x->label[0]) == 0;
}

static int evaluate_light(const struct ei_paper_results *results, const struct ei_paper_config *config,
                          struct ei_paper_light *light, struct einet_error *err)
{
    const struct ei_paper_result *full_result = &results->item[light->full_idx];
    const struct ei_paper_pair *full = full_result->pair, *thin = results->item[light->light_idx].pair;
    const int64_t time_ns = (int64_t)fmax(1, full_result->measured.network_ns);
    double *row[2] = {NULL, NULL};
    int32_t samples[2] = {0, 0};
    if (!is_same_samples(full, thin)) {
        return einet_error_set_at(err, EINET_E_MISMATCH, thin->whole.item[0].cs_path, 0, 0,
                                  "its samples are not those of %.200s in the same order; profile both on the same "
                                  "split",
                                  full->whole.item[0].cs_path);
    }
    light->has_predictor = full_result->has_predictor && results->item[light->light_idx].has_predictor &&
                           full->whole.item[0].predictor->split_seed == thin->whole.item[0].predictor->split_seed;
    int status = accuracy_by(full, config, light->has_predictor, time_ns, &row[0], &samples[0], err);
    if (status == 0) {
        status = accuracy_by(thin, config, light->has_predictor, time_ns, &row[1], &samples[1], err);
    }
    if (status == 0 && estimate_light(row[0], row[1], samples[0], config, light) != 0) {
        status = einet_error_set(err, -ENOMEM, "no memory for %d resamples; lower --resamples", config->resamples);
    }
    free(row[0]);
    free(row[1]);
    return status;
}

static int evaluate_lights(struct ei_paper_results *results, const struct ei_paper_config *config,
                           struct einet_error *err)
{
    int status = 0;
    results->light = calloc((size_t)results->count + 1, sizeof *results->light);
    if (!results->light) {
        return einet_error_set(err, -ENOMEM, "no memory for %d pairs", results->count);
    }
    for (int32_t f = 0; f < results->count; f++) {
        char name[EI_PROFILE_TEXT_MAX + 8];
        const struct ei_paper_pair *full = results->item[f].pair;
        snprintf(name, sizeof name, "%s-light", full->network);
        for (int32_t l = 0; status == 0 && l < results->count; l++) {
            const struct ei_paper_pair *thin = results->item[l].pair;
            if (strcmp(thin->network, name) == 0 && strcmp(thin->dataset, full->dataset) == 0) {
                struct ei_paper_light *light = &results->light[results->light_count++];
                light->full_idx = f;
                light->light_idx = l;
                status = evaluate_light(results, config, light, err);
            }
        }
    }
    return status;
}

/* ---- all ---- */

int ei_paper_evaluate(const struct ei_paper_library *library, const struct ei_paper_config *config,
                      struct ei_paper_results *out, struct einet_error *err)
{
    struct ei_paper_results results = {.count = library->pair_count};
    int status = 0;
    results.item = calloc((size_t)results.count + 1, sizeof *results.item);
    if (!results.item) {
        return einet_error_set(err, -ENOMEM, "no memory for %d pairs", results.count);
    }
    for (int32_t p = 0; status == 0 && p < results.count; p++) {
        if (config->on_pair) {
            config->on_pair(config->context, &library->pair[p], p, results.count);
        }
        status = evaluate_pair(&library->pair[p], config, &results.item[p], err);
    }
    if (status == 0) {
        status = evaluate_lights(&results, config, err);
    }
    if (status != 0) {
        ei_paper_results_fini(&results);
        return status;
    }
    *out = results;
    return 0;
}

void ei_paper_results_fini(struct ei_paper_results *results)
{
    free(results->item);
    free(results->light);
    *results = (struct ei_paper_results){0};
}

const struct ei_paper_method *ei_paper_method_find(const struct ei_paper_result *result, const char *name)
{
    for (int32_t m = 0; m < result->method_count; m++) {
        if (strcmp(result->method[m].name, name) == 0) {
            return &result->method[m];
        }
    }
    return NULL;
}
