/* Percentile intervals by resampling rows (Efron, 1979). All columns share the resamples, so differences are paired. */
#include "models/plan_evaluate.h"

#include "rt/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 8 /* resamples that share one pass over the values */

/* How often each row is drawn, per resample of a block: [rows][BLOCK]. */
static void draw_counts(uint64_t seed, int32_t first_resample, int32_t rows, int32_t *count)
{
    memset(count, 0, (size_t)rows * BLOCK * sizeof *count);
    for (int32_t b = 0; b < BLOCK; b++) {
        struct ei_random rng;
        ei_random_init(&rng, seed, (uint64_t)(first_resample + b));
        for (int32_t i = 0; i < rows; i++) {
            count[ei_random_below(&rng, (uint64_t)rows) * BLOCK + (uint64_t)b]++;
        }
    }
}

/* sum: [BLOCK][columns]. */
static void sum_block(const double *value, int32_t rows, int32_t columns, const int32_t *count, double *sum)
{
    memset(sum, 0, (size_t)columns * BLOCK * sizeof *sum);
    for (int32_t r = 0; r < rows; r++) {
        const double *row = value + (size_t)r * (size_t)columns;
        for (int32_t b = 0; b < BLOCK; b++) {
            const double times = (double)count[(size_t)r * BLOCK + (size_t)b];
            double *to = sum + (size_t)b * (size_t)columns;
            for (int32_t c = 0; times > 0 && c < columns; c++) {
                to[c] += times * row[c];
            }
        }
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantile of sorted values, linear between neighbours. */
static double quantile(const double *sorted, int32_t count, double q)
{
    const double at = q * (double)(count - 1);
    const int32_t below = (int32_t)at;
    const int32_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static void set_interval(double *draws, int32_t resamples, struct ei_plan_interval *out)
{
    const double tail = (1 - EI_PLAN_INTERVAL_PCT / 100) / 2;
    qsort(draws, (size_t)resamples, sizeof *draws, compare);
    out->low = quantile(draws, resamples, tail);
    out->high = quantile(draws, resamples, 1 - tail);
}

/* Means without resampling. */
static void set_values(const double *value, int32_t rows, int32_t columns, const int32_t *reference,
                       struct ei_plan_interval *out_mean, struct ei_plan_interval *out_difference)
{
    for (int32_t c = 0; c < columns; c++) {
        double sum = 0;
        for (int32_t r = 0; r < rows; r++) {
            sum += value[(size_t)r * (size_t)columns + (size_t)c];
        }
        const double mean = sum / (double)rows;
        out_mean[c] = (struct ei_plan_interval){mean, mean, mean};
    }
    for (int32_t c = 0; c < columns; c++) {
        const double difference = out_mean[c].value - out_mean[reference[c]].value;
        out_difference[c] = (struct ei_plan_interval){difference, difference, difference};
    }
}

int ei_plan_bootstrap(const double *value, int32_t rows, int32_t columns, const int32_t *reference, int32_t resamples,
                      uint64_t seed, struct ei_plan_interval *out_mean, struct ei_plan_interval *out_difference)
{
    set_values(value, rows, columns, reference, out_mean, out_difference);
    if (resamples == 0) {
        return 0;
    }
    /* mean: [columns][resamples rounded up to whole blocks] */
    const size_t width = ((size_t)resamples + BLOCK - 1) / BLOCK * BLOCK;
    int32_t *count = malloc((size_t)rows * BLOCK * sizeof *count);
    double *sum = malloc((size_t)columns * BLOCK * sizeof *sum);
    double *mean = malloc((size_t)columns * width * sizeof *mean);
    double *draws = malloc((size_t)resamples * sizeof *draws);
    int status = -ENOMEM;
    if (!count || !sum || !mean || !draws) {
        goto out_free;
    }
    for (int32_t first = 0; first < resamples; first += BLOCK) {
        draw_counts(seed, first, rows, count);
        sum_block(value, rows, columns, count, sum);
        for (size_t b = 0; b < BLOCK; b++) {
            for (size_t c = 0; c < (size_t)columns; c++) {
                mean[c * width + (size_t)first + b] = sum[b * (size_t)columns + c] / (double)rows;
            }
        }
    }
    for (size_t c = 0; c < (size_t)columns; c++) {
        const double *own = mean + c * width, *other = mean + (size_t)reference[c] * width;
        memcpy(draws, own, (size_t)resamples * sizeof *draws);
        set_interval(draws, resamples, &out_mean[c]);
        for (int32_t b = 0; b < resamples; b++) {
            draws[b] = own[b] - other[b];
        }
        set_interval(draws, resamples, &out_difference[c]);
    }
    status = 0;
out_free:
    free(draws);
    free(mean);
    free(sum);
    free(count);
    return status;
}
