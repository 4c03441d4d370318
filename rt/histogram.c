/* See histogram.h for the layout. */
#include "rt/histogram.h"

#include <math.h>
#include <string.h>

#define LINEAR 2048 /* 2^EI_HISTOGRAM_SUB_BITS */
#define HALF 1024

static int bucket_of(int64_t value_ns)
{
    if (value_ns < LINEAR) {
        return (int)value_ns;
    }
    const int top_bit = 63 - __builtin_clzll((uint64_t)value_ns);
    const int shift = top_bit - (EI_HISTOGRAM_SUB_BITS - 1);
    return LINEAR + (shift - 1) * HALF + (int)(value_ns >> shift) - HALF;
}

static int64_t bucket_low_ns(int bucket)
{
    if (bucket < LINEAR) {
        return bucket;
    }
    const int shift = (bucket - LINEAR) / HALF + 1;
    return (int64_t)((bucket - LINEAR) % HALF + HALF) << shift;
}

static int64_t bucket_high_ns(int bucket)
{
    return bucket + 1 < EI_HISTOGRAM_BUCKETS ? bucket_low_ns(bucket + 1) - 1 : EI_HISTOGRAM_MAX_NS;
}

void ei_histogram_init(struct ei_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->min_ns = INT64_MAX;
    histogram->max_ns = -1;
}

void ei_histogram_record(struct ei_histogram *histogram, int64_t value_ns)
{
    if (value_ns < 0) {
        histogram->below_count++;
        value_ns = 0;
    } else if (value_ns > EI_HISTOGRAM_MAX_NS) {
        histogram->above_count++;
        value_ns = EI_HISTOGRAM_MAX_NS;
    }
    histogram->count++;
    histogram->sum_ns += (double)value_ns;
    histogram->min_ns = value_ns < histogram->min_ns ? value_ns : histogram->min_ns;
    histogram->max_ns = value_ns > histogram->max_ns ? value_ns : histogram->max_ns;
    histogram->buckets[bucket_of(value_ns)]++;
}

void ei_histogram_record_many(struct ei_histogram *histogram, int64_t value_ns, uint64_t times)
{
    if (times == 0) {
        return;
    }
    const bool is_below = value_ns<0, is_above = value_ns> EI_HISTOGRAM_MAX_NS;
    const int64_t kept_ns = is_below ? 0 : is_above ? EI_HISTOGRAM_MAX_NS : value_ns;
    ei_histogram_record(histogram, value_ns);
    histogram->below_count += is_below ? times - 1 : 0;
    histogram->above_count += is_above ? times - 1 : 0;
    histogram->count += times - 1;
    histogram->sum_ns += (double)kept_ns * (double)(times - 1);
    histogram->buckets[bucket_of(kept_ns)] += times - 1;
}

void ei_histogram_merge(struct ei_histogram *histogram, const struct ei_histogram *other)
{
    histogram->count += other->count;
    histogram->below_count += other->below_count;
    histogram->above_count += other->above_count;
    histogram->sum_ns += other->sum_ns;
    histogram->min_ns = other->min_ns < histogram->min_ns ? other->min_ns : histogram->min_ns;
    histogram->max_ns = other->max_ns > histogram->max_ns ? other->max_ns : histogram->max_ns;
    for (int i = 0; i < EI_HISTOGRAM_BUCKETS; i++) {
        histogram->buckets[i] += other->buckets[i];
    }
}

static uint64_t rank_of(const struct ei_histogram *histogram, double q)
{
    /* q = 0.07 is a little more than 7/100 in binary, and 7 of 100 shall not become 8. */
    const double exact_rank = ceil(q * (double)histogram->count - 1e-6);
    return exact_rank < 1.0 ? 1 : exact_rank > (double)histogram->count ? histogram->count : (uint64_t)exact_rank;
}

void ei_histogram_quantiles_ns(const struct ei_histogram *histogram, const double *q, int count, int64_t *out_ns)
{
    uint64_t seen = 0;
    int bucket = -1;
    for (int i = 0; i < count; i++) {
        const uint64_t rank = histogram->count > 0 ? rank_of(histogram, q[i]) : 0;
        if (rank <= 1) {
            out_ns[i] = rank == 1 ? histogram->min_ns : 0;
            continue;
        }
        while (seen < rank && bucket + 1 < EI_HISTOGRAM_BUCKETS) {
            seen += histogram->buckets[++bucket];
        }
        const int64_t high_ns = seen >= rank ? bucket_high_ns(bucket) : histogram->max_ns;
        out_ns[i] = high_ns < histogram->max_ns ? high_ns : histogram->max_ns;
    }
}

int64_t ei_histogram_quantile_ns(const struct ei_histogram *histogram, double q)
{
    int64_t value_ns;
    ei_histogram_quantiles_ns(histogram, &q, 1, &value_ns);
    return value_ns;
}

int64_t ei_histogram_min_ns(const struct ei_histogram *histogram)
{
    return histogram->count > 0 ? histogram->min_ns : 0;
}

int64_t ei_histogram_max_ns(const struct ei_histogram *histogram)
{
    return histogram->count > 0 ? histogram->max_ns : 0;
}

double ei_histogram_mean_ns(const struct ei_histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum_ns / (double)histogram->count : 0.0;
}

uint64_t ei_histogram_count_above(const struct ei_histogram *histogram, int64_t value_ns)
{
    if (value_ns < 0) {
        return histogram->count;
    }
    uint64_t count = 0;
    for (int i = value_ns >= EI_HISTOGRAM_MAX_NS ? EI_HISTOGRAM_BUCKETS : bucket_of(value_ns) + 1;
         i < EI_HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

bool ei_histogram_next(const struct ei_histogram *histogram, int *bucket_idx, int64_t *out_low_ns, int64_t *out_high_ns,
                       uint64_t *out_count)
{
    while (*bucket_idx < EI_HISTOGRAM_BUCKETS) {
        const int i = (*bucket_idx)++;
        if (histogram->buckets[i] > 0) {
            *out_low_ns = bucket_low_ns(i);
            *out_high_ns = bucket_high_ns(i);
            *out_count = histogram->buckets[i];
            return true;
        }
    }
    return false;
}
