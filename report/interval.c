/* See interval.h. */
#include "report/interval.h"

#include "metrics/outcomes.h"

#include <math.h>

#define TAIL 0.025

struct ei_interval ei_interval_ratio(int64_t hits, int64_t n)
{
    struct ei_interval interval = {0};
    if (n > 0) {
        interval.is_known = true;
        interval.value = (double)hits / (double)n;
        ei_wilson95(hits, n, &interval.low, &interval.high);
    }
    return interval;
}

static double log_pmf(double k, double n, double q)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(q) + (n - k) * log1p(-q);
}

/* The ranks l and u of the header; 0 and n + 1 stand for none. What lies 12 standard deviations off is nothing. */
static void bounding_ranks(int64_t n, double q, int64_t *out_low, int64_t *out_high)
{
    const double mean = (double)n * q, reach = 12 * sqrt(mean * (1 - q)) + 40;
    const int64_t first = mean > reach ? (int64_t)(mean - reach) : 0;
    double below = 0; /* P(B < k) */
    *out_low = first;
    *out_high = n + 1;
    for (int64_t k = first; k <= n; k++) {
        if (below <= TAIL) {
            *out_low = k;
        }
        if (below >= 1 - TAIL) {
            *out_high = k;
            return;
        }
        below += exp(log_pmf((double)k, (double)n, q));
    }
}

static double value_at(const struct ei_histogram *histogram, int64_t rank)
{
    return (double)ei_histogram_quantile_ns(histogram, (double)rank / (double)histogram->count);
}

struct ei_interval ei_interval_quantile(const struct ei_histogram *histogram, double q)
{
    struct ei_interval interval = {0};
    if (histogram->count > 0 && q > 0 && q < 1) {
        const int64_t n = (int64_t)histogram->count;
        int64_t low, high;
        bounding_ranks(n, q, &low, &high);
        interval.is_known = true;
        interval.value = (double)ei_histogram_quantile_ns(histogram, q);
        interval.low = low >= 1 ? value_at(histogram, low) : -INFINITY;
        interval.high = high <= n ? value_at(histogram, high) : INFINITY;
    }
    return interval;
}

struct ei_interval ei_interval_difference(struct ei_interval a, struct ei_interval b)
{
    struct ei_interval difference = {0};
    if (a.is_known && b.is_known) {
        difference.is_known = true;
        difference.value = a.value - b.value;
        difference.low = difference.value - hypot(a.value - a.low, b.high - b.value);
        difference.high = difference.value + hypot(a.high - a.value, b.value - b.low);
    }
    return difference;
}
