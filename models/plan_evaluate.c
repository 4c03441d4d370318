/* The evaluation: which samples, one row of columns per sample and method, shared by threads. */
#include "models/plan_evaluate.h"

#include "models/plan_evaluate_parts.h"
#include "models/predictor_train.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64

/* What all samples of one evaluation share. */
struct context {
    const struct ei_plan_evaluate_config *config;
    struct ei_survival conditional, strict, truth, belief;
    float mean_score[EI_EXITS_MAX]; /* of the samples that may be learnt from */
    struct ei_plan_evaluation *out;
};

/* ---- which samples ---- */

static bool is_evaluated(const struct ei_plan_evaluate_config *config, int32_t sample)
{
    return config->predictor == NULL ||
           ei_predictor_part(config->predictor->split_seed, sample) == EI_PREDICTOR_PART_HELD_OUT;
}

static int choose_samples(const struct ei_plan_evaluate_config *config, struct ei_plan_evaluation *out,
                          struct einet_error *err)
{
    const int32_t count = config->network.cs->samples;
    out->sample = malloc((size_t)count * sizeof out->sample[0]);
    if (!out->sample) {
        return einet_error_set(err, -ENOMEM, "no memory for %d samples", count);
    }
    for (int32_t s = 0; s < count; s++) {
        if (is_evaluated(config, s)) {
            out->sample[out->samples++] = s;
        }
    }
    if (out->samples == 0) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "--predictor learnt from all %d samples of --cs; use a profile of more samples", count);
    }
    return 0;
}

/* With a predictor, the methods without one know the means of its training samples, not of those that judge both. */
static void set_means(struct context *context)
{
    const struct ei_plan_evaluate_config *config = context->config;
    const struct ei_cs_profile *cs = config->network.cs;
    double sum[EI_EXITS_MAX] = {0};
    int32_t count = 0;
    memcpy(context->mean_score, cs->mean_score, sizeof context->mean_score);
    if (config->predictor == NULL) {
        return;
    }
    for (int32_t s = 0; s < cs->samples; s++) {
        if (ei_predictor_part(config->predictor->split_seed, s) == EI_PREDICTOR_PART_TRAIN) {
            for (int32_t i = 0; i < cs->exits; i++) {
                sum[i] += (double)ei_cs_profile_score(cs, s, i);
            }
            count++;
        }
    }
    for (int32_t i = 0; count > 0 && i < cs->exits; i++) {
        context->mean_score[i] = (float)(sum[i] / (double)count);
    }
}

/* ---- one sample, one method ---- */

static bool is_correct(const struct ei_cs_profile *cs, int32_t sample, int32_t exit_idx)
{
    return cs->top_label[(size_t)sample * (size_t)cs->exits + (size_t)exit_idx] == cs->label[sample];
}

/* sum_j gain_j * (S(t_j) - S(t_{j+1})): what is held when T comes. */
static double integrate(const struct ei_plan_walk *walk, const double *gain, const struct ei_survival *survival)
{
    double sum = 0, later = 0;
    for (int32_t j = walk->count - 1; j >= 0; j--) {
        const double reached = ei_survival_at(survival, walk->t_ns[j]);
        sum += gain[j] * (reached - later);
        later = reached;
    }
    return sum;
}

static void fill_columns(const struct context *context, const struct ei_cs_profile *cs, int32_t sample,
                         const struct ei_plan_walk *walk, double *out)
{
    double correct[EI_EXITS_MAX], score[EI_EXITS_MAX];
    for (int32_t j = 0; j < walk->count; j++) {
        correct[j] = is_correct(cs, sample, walk->exit[j]) ? 1 : 0;
        score[j] = (double)ei_cs_profile_score(cs, sample, walk->exit[j]);
    }
    const bool has_answer = walk->count > 0;
    const double output = has_answer ? ei_survival_at(&context->truth, walk->t_ns[0]) : 0;
    out[EI_COLUMN_CONDITIONAL] = integrate(walk, correct, &context->conditional);
    out[EI_COLUMN_STRICT] = integrate(walk, correct, &context->strict);
    out[EI_COLUMN_COVERAGE] = has_answer ? ei_survival_at(&context->strict, walk->t_ns[0]) : 0;
    out[EI_COLUMN_OVERALL] = integrate(walk, correct, &context->truth);
    out[EI_COLUMN_OUTPUT] = output;
    out[EI_COLUMN_SCORE] = context->config->no_output_score * (1 - output) + integrate(walk, score, &context->truth);
}

/* Whether every sample's job takes the same course, so that one walk stands for all. */
static bool is_fixed(const struct ei_plan_method *method)
{
    return method->kind == EI_METHOD_CLASSIC || method->kind == EI_METHOD_COMPRESSED ||
           (method->kind == EI_METHOD_SEARCH &&
            (method->search.kind == EI_SEARCH_STATIC || method->search.kind == EI_SEARCH_ALL ||
             method->search.kind == EI_SEARCH_FIXED || method->search.kind == EI_SEARCH_STATISTICS));
}

/* The network whose last exit is the whole method; its answers are cs's. */
static const struct ei_plan_profiles *profiles_of(const struct ei_plan_evaluate_config *config,
                                                  const struct ei_plan_method *method)
{
    if (method->kind == EI_METHOD_COMPRESSED) {
        return &config->compressed;
    }
    return method->kind == EI_METHOD_CLASSIC && config->classic.et ? &config->classic : &config->network;
}

/* ---- one method ---- */

/* What all samples of one method share. */
struct method_run {
    int32_t idx;
    const struct ei_plan_method *method;
    const struct ei_plan_profiles *profiles;
    struct ei_elastic_config stepper;
    struct ei_elastic begun; /* of a search, and of no skipping */
    struct ei_step step;
};

/* One thread's share of one method. */
struct worker {
    const struct context *context;
    const struct method_run *run;
    struct ei_plan_workspace *ws; /* owned */
    int32_t first, end;           /* of the evaluated samples */
    int64_t exits_sum;
    int status;
    int32_t failed; /* evaluated sample at which status was met */
};

static int walk_sample(const struct worker *worker, int32_t sample, struct ei_plan_walk *out)
{
    const struct method_run *run = worker->run;
    const struct ei_cs_profile *cs = run->profiles->cs;
    float confidence[EI_EXITS_MAX];
    for (int32_t i = 0; i < cs->exits; i++) {
        confidence[i] = ei_cs_profile_score(cs, sample, i);
    }
    switch (run->method->kind) {
    case EI_METHOD_SEARCH:
        return ei_plan_walk_search(&run->begun, run->step, worker->ws, confidence, out);
    case EI_METHOD_NO_SKIP:
        return ei_plan_walk_no_skip(&run->begun, worker->ws, confidence, out);
    case EI_METHOD_ORACLE:
        ei_plan_walk_oracle(&run->stepper, confidence, out);
        return 0;
    case EI_METHOD_CLASSIC:
    case EI_METHOD_COMPRESSED:
        break;
    }
    ei_plan_walk_last(run->profiles->et, out);
    return 0;
}

/* The first share is the caller's, and the others are as far. */
static void tell(const struct worker *worker, int32_t s)
{
    const struct ei_plan_evaluate_config *config = worker->context->config;
    const struct ei_plan_evaluation *out = worker->context->out;
    if (config->on_progress != NULL && worker->first == 0) {
        const int64_t walked = (int64_t)out->samples * (s + 1) / worker->end;
        config->on_progress(config->context, (int64_t)worker->run->idx * out->samples + walked,
                            (int64_t)out->method_count * out->samples);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct context *context = worker->context;
    const struct method_run *run = worker->run;
    struct ei_plan_evaluation *out = context->out;
    struct ei_plan_walk walk = {.count = 0};
    for (int32_t s = worker->first; s < worker->end; s++) {
        if (s == worker->first || !is_fixed(run->method)) {
            worker->status = walk_sample(worker, out->sample[s], &walk);
        }
        if (worker->status != 0) {
            worker->failed = s;
            return NULL;
        }
        const size_t cell = (size_t)s * (size_t)out->method_count + (size_t)run->idx;
        fill_columns(context, run->profiles->cs, out->sample[s], &walk, out->value + cell * EI_COLUMNS);
        worker->exits_sum += walk.count;
        tell(worker, s);
    }
    return NULL;
}

static int init_run(const struct context *context, int32_t m, struct ei_plan_workspace *ws, struct method_run *out,
                    struct einet_error *err)
{
    const struct ei_plan_method *method = &context->config->methods[m];
    const struct ei_et_profile *et = context->config->network.et;
    const bool is_search = method->kind == EI_METHOD_SEARCH || method->kind == EI_METHOD_NO_SKIP;
    const struct ei_search search = is_search ? method->search : (struct ei_search){.kind = EI_SEARCH_ALL};
    out->idx = m;
    out->method = method;
    out->profiles = profiles_of(context->config, method);
    int status = ei_elastic_config_init(&out->stepper, et, context->mean_score, et->exits, search, false, err);
    if (status == 0 && method->has_predictor) {
        status = ei_elastic_config_predict(&out->stepper, context->config->predictor, err);
    }
    if (status != 0) {
        return status;
    }
    out->stepper.no_output_score = context->config->no_output_score;
    status = is_search ? ei_elastic_begin(&out->begun, &out->stepper, ws, &context->belief, 0, &out->step) : 0;
    return status == 0 ? 0
                       : einet_error_set(err, EINET_E_FAULT, "method %s: the first plan failed: %s", method->name,
                                         einet_error_text(status));
}

/* Samples do not depend on each other, so the threads change nothing but the time. A thread that cannot be started is
 * done without: the caller does its share. */
static void run_workers(struct worker *workers, int32_t count)
{
    pthread_t thread[THREADS_MAX];
    bool is_started[THREADS_MAX] = {false};
    for (int32_t w = 1; w < count; w++) {
        is_started[w] = pthread_create(&thread[w], NULL, work, &workers[w]) == 0;
    }
    for (int32_t w = 0; w < count; w++) {
        if (!is_started[w]) {
            (void)work(&workers[w]);
        }
    }
    for (int32_t w = 1; w < count; w++) {
        if (is_started[w]) {
            (void)pthread_join(thread[w], NULL);
        }
    }
}

static int evaluate_method(const struct context *context, int32_t m, struct worker *workers, int32_t threads,
                           struct einet_error *err)
{
    struct ei_plan_evaluation *out = context->out;
    struct method_run run;
    const int status = init_run(context, m, workers[0].ws, &run, err);
    if (status != 0) {
        return status;
    }
    for (int32_t w = 0; w < threads; w++) {
        workers[w] = (struct worker){
            .context = context,
            .run = &run,
            .ws = workers[w].ws,
            .first = (int32_t)((int64_t)out->samples * w / threads),
            .end = (int32_t)((int64_t)out->samples * (w + 1) / threads),
        };
    }
    run_workers(workers, threads);
    int64_t exits_sum = 0;
    for (int32_t w = 0; w < threads; w++) {
        if (workers[w].status != 0) {
            return einet_error_set(err, EINET_E_FAULT, "method %s, sample %d: the stepper failed: %s", run.method->name,
                                   out->sample[workers[w].failed], einet_error_text(workers[w].status));
        }
        exits_sum += workers[w].exits_sum;
    }
    out->method[m].method = *run.method;
    out->method[m].exits_mean = (double)exits_sum / (double)out->samples;
    return 0;
}

/* ---- all ---- */

static int64_t first_answer_ns(const struct ei_et_profile *et)
{
    int64_t conv_end_ns = 0, first_ns = INT64_MAX;
    for (int32_t i = 0; i < et->exits; i++) {
        conv_end_ns += et->conv[i].p50_ns;
        const int64_t ready_ns = conv_end_ns + et->branch[i].p50_ns;
        first_ns = ready_ns < first_ns ? ready_ns : first_ns;
    }
    return first_ns;
}

static int32_t find_reference(const struct ei_plan_evaluate_config *config)
{
    for (int32_t m = 0; m < config->method_count; m++) {
        if (strcmp(config->methods[m].name, "exact") == 0) {
            return m;
        }
    }
    return 0;
}

static int summarize(const struct ei_plan_evaluate_config *config, struct ei_plan_evaluation *out)
{
    struct ei_plan_interval mean[EI_PLAN_METHODS_MAX * EI_COLUMNS], difference[EI_PLAN_METHODS_MAX * EI_COLUMNS];
    int32_t reference[EI_PLAN_METHODS_MAX * EI_COLUMNS];
    const int32_t columns = out->method_count * EI_COLUMNS;
    for (int32_t c = 0; c < columns; c++) {
        reference[c] = out->reference_idx * EI_COLUMNS + c % EI_COLUMNS;
    }
    const int status = ei_plan_bootstrap(out->value, out->samples, columns, reference, config->resamples, config->seed,
                                         mean, difference);
    for (int32_t c = 0; status == 0 && c < columns; c++) {
        out->method[c / EI_COLUMNS].column[c % EI_COLUMNS] = mean[c];
        out->method[c / EI_COLUMNS].difference[c % EI_COLUMNS] = difference[c];
    }
    return status;
}

static int32_t thread_count(const struct ei_plan_evaluate_config *config, int32_t samples)
{
    const long processors = config->threads > 0 ? config->threads : sysconf(_SC_NPROCESSORS_ONLN);
    const long most = samples < THREADS_MAX ? samples : THREADS_MAX;
    return processors < 1 ? 1 : (int32_t)(processors < most ? processors : most);
}

static int evaluate_methods(struct context *context, struct einet_error *err)
{
    struct ei_plan_evaluation *out = context->out;
    const int32_t threads = thread_count(context->config, out->samples);
    struct worker workers[THREADS_MAX] = {{.ws = NULL}};
    int status = 0;
    for (int32_t w = 0; w < threads; w++) {
        workers[w].ws = calloc(1, sizeof *workers[w].ws);
        status = workers[w].ws ? status : -ENOMEM;
    }
    if (status != 0) {
        (void)einet_error_set(err, status, "no memory for %d threads", threads);
    }
    for (int32_t m = 0; status == 0 && m < out->method_count; m++) {
        status = evaluate_method(context, m, workers, threads, err);
    }
    for (int32_t w = 0; w < threads; w++) {
        free(workers[w].ws);
    }
    return status;
}

static int evaluate(struct context *context, struct einet_error *err)
{
    struct ei_plan_evaluation *out = context->out;
    int status = choose_samples(context->config, out, err);
    if (status != 0) {
        return status;
    }
    set_means(context);
    out->value = malloc((size_t)out->samples * (size_t)out->method_count * EI_COLUMNS * sizeof out->value[0]);
    if (!out->value) {
        return einet_error_set(err, -ENOMEM, "no memory for %d samples and %d methods", out->samples,
                               out->method_count);
    }
    status = evaluate_methods(context, err);
    if (status == 0 && summarize(context->config, out) != 0) {
        status =
            einet_error_set(err, -ENOMEM, "no memory for %d resamples; lower --bootstrap", context->config->resamples);
    }
    return status;
}

int ei_plan_evaluate(const struct ei_plan_evaluate_config *config, struct ei_plan_evaluation *out,
                     struct einet_error *err)
{
    int status = ei_plan_evaluate_check(config, err);
    if (status != 0) {
        return status;
    }
    struct ei_plan_evaluation result = {
        .is_held_out = config->predictor != NULL,
        .first_answer_ns = first_answer_ns(config->network.et),
        .network_ns = ei_et_profile_total_ns(config->network.et, EI_TIME_P50),
        .reference_idx = find_reference(config),
        .method_count = config->method_count,
    };
    struct context context = {
        .config = config,
        .conditional = ei_survival_uniform(result.first_answer_ns, result.network_ns),
        .strict = ei_survival_uniform(0, result.network_ns),
        .truth = ei_exit_time_survival(config->truth, result.network_ns),
        .belief = ei_exit_time_survival(config->belief, result.network_ns),
        .out = &result,
    };
    status = evaluate(&context, err);
    if (status != 0) {
        ei_plan_evaluation_fini(&result);
        return status;
    }
    *out = result;
    return 0;
}

void ei_plan_evaluation_fini(struct ei_plan_evaluation *evaluation)
{
    free(evaluation->sample);
    free(evaluation->value);
    evaluation->sample = NULL;
    evaluation->value = NULL;
}
