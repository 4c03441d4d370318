#include "bench/spread.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Rank (from 0) below which the median of `count` values lies with 2.5 %, of a binomial with p = 1/2. */
static int32_t lower_rank(int32_t count)
{
    double weight = 1;
    for (int32_t i = 0; i < count; i++) {
        weight /= 2;
    }
    double sum = weight;
    int32_t rank = 0;
    while (sum < 0.025 && rank < count / 2) {
        weight = weight * (count - rank) / (rank + 1);
        sum += weight;
        rank++;
    }
    return rank > 0 ? rank - 1 : 0;
}

struct bench_spread bench_spread_of(double *values, int32_t count)
{
    const int32_t low = lower_rank(count);
    qsort(values, (size_t)count, sizeof *values, compare);
    return (struct bench_spread){values[count / 2], values[low], values[count - 1 - low]};
}
