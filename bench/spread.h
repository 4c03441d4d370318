/* The median of paired ratios and how far it may be off, for benchmarks. */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stdint.h>

#define BENCH_SPREAD_MAX 1000 /* values; the ranks are exact up to there */

struct bench_spread {
    double middle, low, high; /* median and the interval that holds it with 95 %, by order statistics */
};

/* Sorts values; count: 1 .. BENCH_SPREAD_MAX. */
struct bench_spread bench_spread_of(double *values, int32_t count);

#endif
