/* Time of one guess of the CS-predictor per network size, beside plain loops with libm's exponential.
 *
 * Medians over rounds in which all cells take turns, so that all meet the same noise. Prints one table to standard
 * output. Usage: predictor [rounds]; one thread, pin it with taskset for steady figures.
 */
#include "planner/predictor.h"

#include "rt/clock.h"
#include "rt/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_DEFAULT 1001
#define ROUNDS_MAX 100001
#define CALLS 16 /* per measurement, so that reading the clock does not count */
#define HIDDEN 64

typedef void (*predict_fn)(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                           int32_t first_exit, float *out_score);

/* The rival: the same guess as the formula says it, all inputs and all outputs. */
static void plain(const void *predictor, int32_t exits, const float *score, uint64_t run_mask, int32_t first_exit,
                  float *out_score)
{
    const struct ei_predictor *p = predictor;
    float hidden[EI_PREDICTOR_HIDDEN_MAX], x[EI_EXITS_MAX];
    const int32_t last = 63 - __builtin_clzll(run_mask);
    const float certainty = -logf(fmaxf(1 - score[last], EI_PREDICTOR_CHANCE_MIN));
    const float logit = logf(fmaxf(score[last], EI_PREDICTOR_CHANCE_MIN)) + certainty;
    for (int32_t i = 0; i < exits; i++) {
        x[i] = logf(fmaxf(1 - score[i], EI_PREDICTOR_CHANCE_MIN)) / -4;
    }
    for (int32_t h = 0; h < p->hidden; h++) {
        float sum = p->b1[h];
        for (int32_t i = 0; i < exits; i++) {
            sum += p->w1[i][h] * x[i];
        }
        hidden[h] = fmaxf(sum, 0);
    }
    for (int32_t k = 0; k < exits; k++) {
        float sum = p->b2[k] + p->slope[last][k] * logit + p->offset[last][k];
        for (int32_t h = 0; h < p->hidden; h++) {
            sum += p->w2[k][h] * hidden[h];
        }
        if (k >= first_exit) {
            out_score[k] = (run_mask >> k & 1U) != 0 ? score[k] : 1 / (1 + expf(-sum));
        }
    }
}

enum run_exits { ONE, HALF, ALL_BUT_LAST };

static const struct row {
    const char *name;
    enum run_exits run;
    predict_fn predict;
} rows[] = {
    {"first exit run", ONE, ei_predictor_predict},
    {"half run", HALF, ei_predictor_predict},
    {"all but last run", ALL_BUT_LAST, ei_predictor_predict},
    {"plain, half run", HALF, plain},
};

#define ROWS ((int)(sizeof rows / sizeof rows[0]))

static const int32_t sizes[] = {3, 5, 6, 14, 21, 40};

#define SIZES ((int)(sizeof sizes / sizeof sizes[0]))

static void draw(struct ei_random *rng, int32_t exits, struct ei_predictor *p)
{
    p->exits = exits;
    p->hidden = HIDDEN;
    for (int32_t i = 0; i < exits; i++) {
        p->mean_score[i] = 0.5F;
        p->temperature[i] = 1;
        for (int32_t h = 0; h < HIDDEN; h++) {
            p->w1[i][h] = (float)(ei_random_normal(rng) * sqrt(2.0 / exits));
            p->w2[i][h] = (float)(ei_random_normal(rng) * sqrt(1.0 / HIDDEN));
        }
        for (int32_t later = i + 1; later < exits; later++) {
            p->slope[i][later] = 1;
            p->offset[i][later] = (float)ei_random_normal(rng) / 8;
        }
    }
}

static double measure(const struct row *row, const struct ei_predictor *p, struct ei_random *rng, float *out)
{
    const int32_t n = p->exits, run = row->run == ONE ? 1 : row->run == HALF ? (n + 1) / 2 : n - 1;
    const uint64_t mask = (UINT64_C(1) << run) - 1;
    float score[CALLS][EI_EXITS_MAX] = {{0}};
    for (int c = 0; c < CALLS; c++) {
        for (int32_t i = 0; i < run; i++) {
            score[c][i] = (float)ei_random_unit(rng);
        }
    }
    const struct ei_mono start = ei_mono_now();
    for (int c = 0; c < CALLS; c++) {
        row->predict(p, n, score[c], mask, run, out);
    }
    return (double)ei_mono_diff_ns(ei_mono_now(), start) / CALLS;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_table(size_t rounds, double *times)
{
    printf("%-18s", "median time, ns");
    for (int n = 0; n < SIZES; n++) {
        printf("  n = %-4d", sizes[n]);
    }
    printf("\n");
    for (int r = 0; r < ROWS; r++) {
        printf("%-18s", rows[r].name);
        for (int n = 0; n < SIZES; n++) {
            double *cell = times + (size_t)(r * SIZES + n) * rounds;
            qsort(cell, rounds, sizeof *cell, compare);
            printf("  %-8.1f", cell[rounds / 2]);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const long asked = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    if (asked < 1 || asked > ROUNDS_MAX) {
        fprintf(stderr, "usage: %s [rounds, 1..%d]\n", argv[0], ROUNDS_MAX);
        return 1;
    }
    const size_t rounds = (size_t)asked;
    struct ei_predictor *predictors = calloc(SIZES, sizeof *predictors);
    double *times = malloc((size_t)ROWS * (size_t)SIZES * rounds * sizeof *times);
    if (!predictors || !times) {
        fprintf(stderr, "no memory for %zu rounds\n", rounds);
        free(predictors);
        free(times);
        return 1;
    }
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    for (int n = 0; n < SIZES; n++) {
        draw(&rng, sizes[n], &predictors[n]);
    }
    double check = 0; /* printed, so that no call can be optimised away */
    for (size_t round = 0; round < rounds; round++) {
        for (int cell = 0; cell < ROWS * SIZES; cell++) {
            float out[EI_EXITS_MAX] = {0};
            times[(size_t)cell * rounds + round] = measure(&rows[cell / SIZES], &predictors[cell % SIZES], &rng, out);
            check += (double)out[sizes[cell % SIZES] - 1];
        }
    }
    printf("%d hidden units, %zu rounds, seed 1 (check %.3f); the paper's predictor: 300 ns\n\n", HIDDEN, rounds,
           check);
    print_table(rounds, times);
    free(predictors);
    free(times);
    return 0;
}
