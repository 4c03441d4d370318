/* Confidence intervals at 95 % of ratios, quantiles and differences of them. They take jobs for independent of each
 * other, which jobs of one run are not quite. Pure. Thread: any.
 */
#ifndef REPORT_INTERVAL_H
#define REPORT_INTERVAL_H

#include "rt/histogram.h"

#include <stdbool.h>

struct ei_interval {
    bool is_known; /* else there was nothing to measure by, and the rest is 0 */
    double value;
    double low, high; /* -INFINITY, INFINITY: the sample is too small for a bound on that side */
};

/* hits / n with Wilson's score interval (metrics/outcomes.h). */
struct ei_interval ei_interval_ratio(int64_t hits, int64_t n);

/* The q-quantile with the interval between two order statistics: v[l] and v[u], where l is the largest rank with
 * P(B < l) <= 2.5 % and u the smallest with P(B < u) >= 97.5 %, B ~ Binomial(n, q) (David and Nagaraja, Order
 * Statistics, 2003, section 7.1). Whatever the distribution is, it covers the quantile with at least 95 %. */
struct ei_interval ei_interval_quantile(const struct ei_histogram *histogram, double q);

/* a - b from the two intervals: MOVER (Zou and Donner, Statistics in Medicine 27, 2008, eq. 7); of two Wilson intervals
 * it is Newcombe's hybrid score interval. */
struct ei_interval ei_interval_difference(struct ei_interval a, struct ei_interval b);

#endif
