/* For each option, a network in which every step takes it runs in turns with the one of first kernels; each step takes
 * the option with the best ratio of its own times. Then the choice is measured as a whole, since a step may cost its
 * neighbours a reorder. Kernels that are to be exact are held against the first ones: what says otherwise is not taken.
 */
#include "stages/nn/prepared_tune.h"

#include "rt/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS 31
#define QUARTILE (TURNS / 4) /* other load only ever adds time */
#define OPTIONS_MAX 8
#define WORTH 0.97 /* of the time it took before, to be chosen */
#define SEED 1
#define EXACT 1e-4 /* of the largest logit of an exit */

struct tuner {
    const struct ei_dnnl_api *api;
    struct ei_prepared_config config;
    struct ei_prepared *first; /* of first kernels */
    int32_t op_count;
    int64_t *first_ns, *other_ns; /* [TURNS][op_count] */
    double *ratio;                /* [op_count] of the last comparison */
    double *best;                 /* [op_count] */
    float *first_logits, *logits; /* [exits * classes] of the last inference of each */
    char (*kernels)[EI_PREPARED_KERNEL_MAX];
    struct einet_error *err;
};

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t low_ns(const struct tuner *t, const int64_t *ns, int32_t op)
{
    int64_t sorted[TURNS];
    for (int32_t i = 0; i < TURNS; i++) {
        sorted[i] = ns[(size_t)i * (size_t)t->op_count + (size_t)op];
    }
    qsort(sorted, TURNS, sizeof *sorted, by_value);
    return sorted[QUARTILE];
}

static int infer(const struct tuner *t, struct ei_prepared *net, int64_t *op_ns)
{
    const struct ei_shape *shape = &t->config.program->input;
    const size_t classes = (size_t)t->config.program->classes;
    float *logits = net == t->first ? t->first_logits : t->logits;
    struct ei_random rng;
    ei_random_init(&rng, SEED, 0);
    float *input = ei_prepared_input(net);
    for (int32_t i = 0; i < shape->channels * shape->height_px * shape->width_px; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    int rc = 0;
    memset(op_ns, 0, (size_t)t->op_count * sizeof *op_ns);
    for (int32_t b = 0; rc == 0 && b < t->config.program->block_count; b++) {
        rc = ei_prepared_run_timed(net, b, false, op_ns);
        rc = rc == 0 ? ei_prepared_run_timed(net, b, true, op_ns) : rc;
        if (rc == 0) {
            memcpy(logits + (size_t)b * classes, ei_prepared_logits(net, b), classes * sizeof *logits);
        }
    }
    return rc == 0 ? 0 : einet_error_set(t->err, rc, "oneDNN: %s", t->api->error_text());
}

/* Whether the last inferences of both said the same, as exact kernels do. Of the others a profile counts the answers.
 */
static bool is_same(const struct tuner *t)
{
    const struct ei_program *program = t->config.program;
    if (t->config.allow != EI_PREPARED_EXACT || t->config.type != EI_DNNL_FLOAT32) {
        return true;
    }
    for (int32_t b = 0; b < program->block_count; b++) {
        double largest = 1e-6, apart = 0.0;
        for (int32_t i = b * program->classes; i < (b + 1) * program->classes; i++) {
            const double gap = fabs((double)t->logits[i] - (double)t->first_logits[i]);
            largest = fmax(largest, fabs((double)t->first_logits[i]));
            apart = isnan(gap) ? INFINITY : fmax(apart, gap);
        }
        if (apart > EXACT * largest) {
            return false;
        }
    }
    return true;
}

/* Compare `other` with the network of first kernels: ratio of each operation's times. *whole: of all together. */
static int compare(struct tuner *t, struct ei_prepared *other, double *whole)
{
    int64_t sum_first_ns = 0, sum_other_ns = 0;
    int rc = 0;
    for (int32_t turn = 0; rc == 0 && turn < 2 * TURNS; turn++) { /* each turn's second inference counts */
        int64_t *first_ns = t->first_ns + (size_t)(turn / 2) * (size_t)t->op_count;
        int64_t *other_ns = t->other_ns + (size_t)(turn / 2) * (size_t)t->op_count;
        for (int32_t i = 0; rc == 0 && i < 2; i++) {
            rc = infer(t, turn % 2 == 0 ? t->first : other, turn % 2 == 0 ? first_ns : other_ns);
        }
    }
    for (int32_t op = 0; rc == 0 && op < t->op_count; op++) {
        const int64_t first_ns = low_ns(t, t->first_ns, op), other_ns = low_ns(t, t->other_ns, op);
        sum_first_ns += first_ns;
        sum_other_ns += other_ns;
        t->ratio[op] = first_ns > 0 ? (double)other_ns / (double)first_ns : 1.0;
    }
    *whole = sum_first_ns > 0 ? (double)sum_other_ns / (double)sum_first_ns : 1.0;
    return rc;
}

/* Measure one option wherever it exists. *is_there: anywhere at all. */
static int try_option(struct tuner *t, int32_t option, bool *is_there)
{
    struct ei_prepared *net;
    double whole;
    t->config.kernels = NULL;
    t->config.option = option;
    int rc = ei_prepared_create(t->api, &t->config, &net, t->err);
    if (rc != 0) {
        return rc;
    }
    *is_there = false;
    for (int32_t op = 0; op < t->op_count; op++) {
        *is_there = *is_there || ei_prepared_kernel(net, op)[0] != '\0';
    }
    rc = *is_there ? compare(t, net, &whole) : 0;
    for (int32_t op = 0; rc == 0 && *is_there && is_same(t) && op < t->op_count; op++) {
        const char *kernel = ei_prepared_kernel(net, op);
        if (kernel[0] != '\0' && t->ratio[op] < WORTH * t->best[op]) {
            t->best[op] = t->ratio[op];
            snprintf(t->kernels[op], sizeof t->kernels[op], "%s", kernel);
        }
    }
    ei_prepared_destroy(net);
    return rc;
}

/* Measure the choice as a whole. *whole: against first kernels; 1 where it cannot be prepared together, or says
 * something else. */
static int try_choice(struct tuner *t, double *whole)
{
    struct ei_prepared *net;
    struct einet_error refused;
    t->config.kernels = (const char(*)[EI_PREPARED_KERNEL_MAX])t->kernels;
    t->config.option = 0;
    *whole = 1.0;
    int rc = ei_prepared_create(t->api, &t->config, &net, &refused);
    if (rc != 0) {
        return rc == -ENOMEM ? rc : 0;
    }
    rc = compare(t, net, whole);
    *whole = rc == 0 && is_same(t) ? *whole : 1.0;
    ei_prepared_destroy(net);
    return rc;
}

/* What was faster among its like, but is not among the others chosen, goes back to the first kernel. */
static int settle(struct tuner *t)
{
    const size_t bytes = (size_t)t->op_count * sizeof *t->kernels;
    double whole, fewer = 1.0;
    int rc = try_choice(t, &whole);
    char(*kept)[EI_PREPARED_KERNEL_MAX] = malloc(bytes);
    if (rc == 0 && kept == NULL) {
        rc = einet_error_set(t->err, -ENOMEM, "no memory for choosing kernels");
    }
    if (rc == 0) {
        bool has_changed = false;
        memcpy(kept, t->kernels, bytes);
        for (int32_t op = 0; op < t->op_count; op++) {
            if (t->kernels[op][0] != '\0' && t->ratio[op] >= WORTH) {
                t->kernels[op][0] = '\0';
                has_changed = true;
            }
        }
        rc = has_changed ? try_choice(t, &fewer) : 0;
    }
    if (rc == 0 && fewer >= whole) {
        memcpy(t->kernels, kept, bytes);
    }
    if (rc == 0 && whole >= WORTH && fewer >= WORTH) {
        memset(t->kernels, 0, bytes);
    }
    free(kept);
    return rc;
}

static int tune(struct tuner *t)
{
    int rc = ei_prepared_create(t->api, &t->config, &t->first, t->err);
    bool is_there = true;
    for (int32_t op = 0; op < t->op_count; op++) {
        t->best[op] = 1.0;
    }
    for (int32_t option = 1; rc == 0 && is_there && option <= OPTIONS_MAX; option++) {
        rc = try_option(t, option, &is_there);
    }
    if (rc == 0 && t->config.allow >= EI_PREPARED_BFLOAT16 && t->config.type == EI_DNNL_FLOAT32) {
        rc = try_option(t, EI_PREPARED_OPTION_BFLOAT16, &is_there);
    }
    return rc == 0 ? settle(t) : rc;
}

int ei_prepared_tune(const struct ei_dnnl_api *api, const struct ei_prepared_config *config,
                     char (*kernels)[EI_PREPARED_KERNEL_MAX], struct einet_error *err)
{
    struct tuner t = {
        .api = api, .config = *config, .op_count = config->program->op_count, .kernels = kernels, .err = err};
    const size_t count = (size_t)t.op_count;
    t.config.kernels = NULL;
    t.config.option = 0;
    t.first_ns = malloc(TURNS * count * sizeof *t.first_ns);
    t.other_ns = malloc(TURNS * count * sizeof *t.other_ns);
    t.ratio = malloc(count * sizeof *t.ratio);
    t.best = malloc(count * sizeof *t.best);
    const size_t logits = (size_t)config->program->block_count * (size_t)config->program->classes;
    t.first_logits = calloc(logits, sizeof *t.first_logits);
    t.logits = calloc(logits, sizeof *t.logits);
    memset(kernels, 0, count * sizeof *kernels);
    const bool has_memory = t.first_ns != NULL && t.other_ns != NULL && t.ratio != NULL && t.best != NULL &&
                            t.first_logits != NULL && t.logits != NULL;
    const int rc = has_memory ? tune(&t) : einet_error_set(err, -ENOMEM, "no memory for choosing kernels");
    ei_prepared_destroy(t.first);
    free(t.first_ns);
    free(t.other_ns);
    free(t.ratio);
    free(t.best);
    free(t.first_logits);
    free(t.logits);
    return rc;
}
