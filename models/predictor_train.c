/* Training of the CS-predictor: temperatures, then epochs of Adam with early stopping. See predictor_train.h. */
#include "models/predictor_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MIN 100
#define BATCH 64
#define LEARNING_RATE 0.003
#define BETA1 0.9
#define BETA2 0.999
#define EPSILON 1e-8
#define AVERAGING 0.9995 /* weight of the past in the average of weights, a step; less in the first ones */
#define CORRECTION 0.1   /* of the hidden layer, to begin with */
#define TEMPERATURE_MIN 0.2
#define TEMPERATURE_MAX 5.0
#define STREAM_WEIGHTS 1
#define STREAM_EXAMPLES 2
#define STREAM_VALIDATION 3

struct trainer {
    const struct ei_predictor_train_config *config;
    const struct ei_cs_profile *profile;
    struct ei_predictor_shape shape;
    struct ei_predictor_patterns patterns;
    double *weight, *average, *best;   /* [shape.count]; average: over the last steps, what is judged */
    double *gradient, *first, *second; /* likewise; of Adam */
    float *score;                      /* [samples * exits], planning scores: the inputs */
    float *target;                     /* [samples * exits] */
    int32_t *train, *validation;       /* sample indices */
    int32_t train_count, validation_count;
    struct ei_plan_workspace *ws; /* for patterns */
    int64_t steps;
};

/* ---- the scores ---- */

static double calibrated(double confidence, double temperature)
{
    const double p = confidence < 1e-6 ? 1e-6 : (confidence > 1 - 1e-6 ? 1 - 1e-6 : confidence);
    return 1 / (1 + exp(-log(p / (1 - p)) / temperature));
}

/* Negative log likelihood of "the answer is right" on the training samples. */
static double nll(const struct trainer *t, int32_t exit_idx, double temperature)
{
    double sum = 0;
    for (int32_t i = 0; i < t->train_count; i++) {
        const int32_t sample = t->train[i];
        const double p = calibrated((double)ei_cs_profile_score(t->profile, sample, exit_idx), temperature);
        sum -= log(ei_predictor_is_correct(t->profile, sample, exit_idx) ? p : 1 - p);
    }
    return sum;
}

/* Golden-section search over the logarithm; the likelihood is unimodal there. */
static double fit_temperature(const struct trainer *t, int32_t exit_idx)
{
    const double ratio = (sqrt(5) - 1) / 2;
    double low = log(TEMPERATURE_MIN), high = log(TEMPERATURE_MAX);
    for (int i = 0; i < 40; i++) {
        const double a = high - ratio * (high - low), b = low + ratio * (high - low);
        if (nll(t, exit_idx, exp(a)) < nll(t, exit_idx, exp(b))) {
            high = b;
        } else {
            low = a;
        }
    }
    return exp((low + high) / 2);
}

static void fill_scores(struct trainer *t, const struct ei_predictor *p)
{
    const size_t n = t->shape.exits;
    for (int32_t s = 0; s < t->profile->samples; s++) {
        for (int32_t e = 0; e < p->exits; e++) {
            const size_t at = (size_t)s * n + (size_t)e;
            t->score[at] = ei_predictor_score(p, e, ei_cs_profile_score(t->profile, s, e));
            t->target[at] = p->target == EI_SCORE_CORRECT ? (ei_predictor_is_correct(t->profile, s, e) ? 1.0F : 0.0F)
                                                          : t->score[at];
        }
    }
}

/* ---- the course of a training ---- */

static void adam_step(struct trainer *t, double count)
{
    t->steps++;
    const double correction1 = 1 - pow(BETA1, (double)t->steps), correction2 = 1 - pow(BETA2, (double)t->steps);
    const double past = fmin(AVERAGING, (double)t->steps / ((double)t->steps + 2)); /* forgets the first weights */
    for (size_t i = 0; i < t->shape.count; i++) {
        const double g = t->gradient[i] / count;
        t->first[i] = BETA1 * t->first[i] + (1 - BETA1) * g;
        t->second[i] = BETA2 * t->second[i] + (1 - BETA2) * g * g;
        t->weight[i] -= LEARNING_RATE * (t->first[i] / correction1) / (sqrt(t->second[i] / correction2) + EPSILON);
        t->average[i] = past * t->average[i] + (1 - past) * t->weight[i];
    }
}

static void shuffle(struct ei_random *rng, int32_t *values, int32_t count)
{
    for (int32_t i = count - 1; i > 0; i--) {
        const int32_t k = (int32_t)ei_random_below(rng, (uint64_t)i + 1);
        const int32_t kept = values[i];
        values[i] = values[k];
        values[k] = kept;
    }
}

static double train_epoch(struct trainer *t, struct ei_random *rng)
{
    const size_t n = t->shape.exits;
    double sum = 0;
    shuffle(rng, t->train, t->train_count);
    for (int32_t i = 0; i < t->train_count; i += BATCH) {
        const int32_t end = i + BATCH < t->train_count ? i + BATCH : t->train_count;
        memset(t->gradient, 0, t->shape.count * sizeof *t->gradient);
        for (int32_t k = i; k < end; k++) {
            const size_t at = (size_t)t->train[k] * n;
            const uint64_t mask = ei_predictor_draw_pattern(rng, &t->patterns);
            sum += ei_predictor_example(&t->shape, t->weight, t->score + at, t->target + at, mask, t->gradient);
        }
        adam_step(t, end - i);
    }
    return sum / t->train_count;
}

/* On patterns of the same kind, the same in every epoch. */
static double validate(const struct trainer *t)
{
    struct ei_random rng;
    ei_random_init(&rng, t->config->seed, STREAM_VALIDATION);
    double sum = 0;
    for (int32_t i = 0; i < t->validation_count; i++) {
        const size_t at = (size_t)t->validation[i] * t->shape.exits;
        for (int k = 0; k < 4; k++) {
            const uint64_t mask = ei_predictor_draw_pattern(&rng, &t->patterns);
            sum += ei_predictor_example(&t->shape, t->average, t->score + at, t->target + at, mask, NULL) / 4;
        }
    }
    return sum / t->validation_count;
}

static void run_epochs(struct trainer *t, struct ei_predictor_train_result *result)
{
    struct ei_random rng;
    ei_random_init(&rng, t->config->seed, STREAM_WEIGHTS);
    const size_t n = t->shape.exits, h = t->shape.hidden;
    for (size_t i = 0; i < n * h; i++) { /* biases stay 0 */
        t->weight[i] = ei_random_normal(&rng) * sqrt(2 / (double)n);
        t->weight[n * h + h + i] = CORRECTION * ei_random_normal(&rng) * sqrt(1 / (double)h);
    }
    for (size_t i = 0; i < n * n; i++) { /* slopes: a later exit is as sure as this one until told otherwise */
        t->weight[t->shape.pairs + i] = 1;
    }
    memcpy(t->average, t->weight, t->shape.count * sizeof *t->average);
    ei_random_init(&rng, t->config->seed, STREAM_EXAMPLES);
    *result = (struct ei_predictor_train_result){.validation_error = INFINITY};
    for (int32_t epoch = 1; epoch <= t->config->epochs_max; epoch++) {
        const double train_error = train_epoch(t, &rng), error = validate(t);
        result->epochs = epoch;
        if (error < result->validation_error) {
            result->validation_error = error;
            result->best_epoch = epoch;
            memcpy(t->best, t->average, t->shape.count * sizeof *t->best);
        }
        if (t->config->on_epoch != NULL) {
            t->config->on_epoch(t->config->context, epoch, train_error, error);
        }
        if (epoch - result->best_epoch >= t->config->patience) {
            return;
        }
    }
}

static void keep_best(const struct trainer *t, struct ei_predictor *out)
{
    const size_t n = t->shape.exits, h = t->shape.hidden;
    const double *w1 = t->best, *b1 = w1 + n * h, *w2 = b1 + h, *b2 = w2 + n * h;
    for (size_t e = 0; e < n; e++) {
        out->b2[e] = (float)b2[e];
        for (size_t k = 0; k < h; k++) {
            out->w1[e][k] = (float)w1[e * h + k];
            out->w2[e][k] = (float)w2[k * n + e];
        }
    }
    for (size_t k = 0; k < h; k++) {
        out->b1[k] = (float)b1[k];
    }
    const double *slope = t->best + t->shape.pairs, *offset = slope + n * n;
    for (size_t last = 0; last < n; last++) {
        for (size_t e = last + 1; e < n; e++) {
            out->slope[last][e] = (float)slope[last * n + e];
            out->offset[last][e] = (float)offset[last * n + e];
        }
    }
}

/* ---- set-up ---- */

struct ei_predictor_train_config ei_predictor_train_defaults(void)
{
    return (struct ei_predictor_train_config){
        .examples = EI_PREDICTOR_PLANNED, .hidden = 64, .epochs_max = 300, .patience = 20, .seed = 1, .split_seed = 1};
}

static int config_check(const struct ei_predictor_train_config *config, const struct ei_cs_profile *profile,
                        struct einet_error *err)
{
    if (config->hidden < 16 || config->hidden > EI_PREDICTOR_HIDDEN_MAX || config->hidden % 16 != 0) {
        return einet_error_set(err, EINET_E_USAGE, "hidden is %d, must be a multiple of 16 within 16..%d",
                               config->hidden, EI_PREDICTOR_HIDDEN_MAX);
    }
    if (config->split_seed > INT64_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "split_seed must be at most %" PRId64, INT64_MAX);
    }
    if (config->epochs_max < 1 || config->patience < 1) {
        return einet_error_set(err, EINET_E_USAGE, "epochs and patience must be 1 or more");
    }
    if (profile->exits < 2) {
        return einet_error_set(err, EINET_E_USAGE, "a network of %d exit has nothing to predict", profile->exits);
    }
    if (profile->samples < SAMPLES_MIN) {
        return einet_error_set(err, EINET_E_USAGE, "the profile has %d samples, a predictor needs at least %d",
                               profile->samples, SAMPLES_MIN);
    }
    return 0;
}

static void part_samples(struct trainer *t)
{
    for (int32_t s = 0; s < t->profile->samples; s++) {
        const enum ei_predictor_part part = ei_predictor_part(t->config->split_seed, s);
        if (part == EI_PREDICTOR_PART_TRAIN) {
            t->train[t->train_count++] = s;
        } else if (part == EI_PREDICTOR_PART_VALIDATION) {
            t->validation[t->validation_count++] = s;
        }
    }
}

static void describe(const struct trainer *t, struct ei_predictor *out)
{
    const struct ei_cs_profile *profile = t->profile;
    memset(out, 0, sizeof *out);
    out->exits = profile->exits;
    out->hidden = t->config->hidden;
    out->target = t->config->target;
    out->split_seed = t->config->split_seed;
    memcpy(out->network, profile->network, sizeof out->network);
    memcpy(out->dataset, profile->dataset, sizeof out->dataset);
    memcpy(out->weights_sha256, profile->weights_sha256, sizeof out->weights_sha256);
    for (int32_t e = 0; e < out->exits; e++) {
        out->temperature[e] = t->config->fit_temperature ? (float)fit_temperature(t, e) : 1.0F;
    }
}

static void fill_means(const struct trainer *t, struct ei_predictor *out)
{
    for (int32_t e = 0; e < out->exits; e++) {
        double sum = 0;
        for (int32_t i = 0; i < t->train_count; i++) {
            sum += (double)t->target[(size_t)t->train[i] * t->shape.exits + (size_t)e];
        }
        out->mean_score[e] = (float)(sum / t->train_count);
    }
}

static bool allocate(struct trainer *t)
{
    const size_t samples = (size_t)t->profile->samples, answers = samples * t->shape.exits;
    t->weight = calloc(6 * t->shape.count, sizeof *t->weight);
    t->score = calloc(2 * answers, sizeof *t->score);
    t->train = calloc(2 * samples, sizeof *t->train);
    t->ws = calloc(1, sizeof *t->ws);
    if (t->weight == NULL || t->score == NULL || t->train == NULL || t->ws == NULL) {
        return false;
    }
    t->average = t->weight + t->shape.count;
    t->best = t->average + t->shape.count;
    t->gradient = t->best + t->shape.count;
    t->first = t->gradient + t->shape.count;
    t->second = t->first + t->shape.count;
    t->target = t->score + answers;
    t->validation = t->train + samples;
    return true;
}

int ei_predictor_train(const struct ei_predictor_train_config *config, const struct ei_cs_profile *profile,
                       struct ei_predictor *out, struct ei_predictor_train_result *out_result, struct einet_error *err)
{
    const int rc = config_check(config, profile, err);
    if (rc < 0) {
        return rc;
    }
    struct trainer t = {
        .config = config, .profile = profile, .shape = ei_predictor_shape_of(profile->exits, config->hidden)};
    const bool is_allocated = allocate(&t);
    bool is_enough = false;
    if (is_allocated) {
        part_samples(&t);
        is_enough = t.train_count > 0 && t.validation_count > 0;
    }
    if (is_enough) {
        describe(&t, out);
        fill_scores(&t, out);
        fill_means(&t, out);
        ei_predictor_patterns_init(&t.patterns, config->examples, out->exits, out->mean_score, config->seed, t.ws);
        run_epochs(&t, out_result);
        keep_best(&t, out);
    }
    free(t.weight);
    free(t.score);
    free(t.train);
    free(t.ws);
    if (!is_allocated) {
        return einet_error_set(err, -ENOMEM, "no memory to train on %d samples", profile->samples);
    }
    return is_enough ? 0 : einet_error_set(err, EINET_E_USAGE, "split_seed leaves a part empty; take another");
}
