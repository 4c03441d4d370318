/* A log-linear (HDR) histogram of durations with three significant digits, from 1 ns to over an hour, without
 * allocation.
 *
 * Values below 2048 have a bucket each; above, every power of two is split into 1024 equal buckets, so a bucket is
 * never wider than 1/1024 of the values in it (HdrHistogram's layout with 2048 sub-buckets). About 264 KiB: never on a
 * small stack. Thread: one writer; merge and read when it stands still. Recording is real-time safe.
 */
#ifndef RT_HISTOGRAM_H
#define RT_HISTOGRAM_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_HISTOGRAM_SUB_BITS 11 /* 2^11 = 2048 sub-buckets */
#define EI_HISTOGRAM_TOP_BITS 42 /* 2^42 ns = 73 minutes */
#define EI_HISTOGRAM_MAX_NS ((INT64_C(1) << EI_HISTOGRAM_TOP_BITS) - 1)
#define EI_HISTOGRAM_BUCKETS (2048 + (EI_HISTOGRAM_TOP_BITS - EI_HISTOGRAM_SUB_BITS) * 1024)

struct ei_histogram {
    uint64_t count;
    uint64_t below_count; /* recorded as 0 because they were negative */
    uint64_t above_count; /* recorded as EI_HISTOGRAM_MAX_NS because they were larger */
    int64_t min_ns;       /* exact; INT64_MAX when empty */
    int64_t max_ns;       /* exact; -1 when empty */
    double sum_ns;
    uint64_t buckets[EI_HISTOGRAM_BUCKETS];
};

/* Make it empty. Call it before first use: an all-zero struct is not an empty histogram. */
void ei_histogram_init(struct ei_histogram *histogram);

/* Count one value; see below_count and above_count for what is out of range. */
EINET_RT void ei_histogram_record(struct ei_histogram *histogram, int64_t value_ns);

/* Count a value so many times. */
void ei_histogram_record_many(struct ei_histogram *histogram, int64_t value_ns, uint64_t times);

/* Add all of other; the same as having recorded its values here. */
void ei_histogram_merge(struct ei_histogram *histogram, const struct ei_histogram *other);

/* The value at quantile q in [0, 1]: with n values in order v1 <= ... <= vn and rank r = max(1, ceil(q n)), the largest
 * value of the bucket that vr fell into, but at most the exact maximum (and for r = 1 the exact minimum). So it is
 * never below vr and less than vr/1024 above it. 0 when empty. */
int64_t ei_histogram_quantile_ns(const struct ei_histogram *histogram, double q);

/* The same for count quantiles in rising order, in one walk. */
void ei_histogram_quantiles_ns(const struct ei_histogram *histogram, const double *q, int count, int64_t *out_ns);

/* Exact extremes and the mean of what was recorded; 0 when empty. */
int64_t ei_histogram_min_ns(const struct ei_histogram *histogram);
int64_t ei_histogram_max_ns(const struct ei_histogram *histogram);
double ei_histogram_mean_ns(const struct ei_histogram *histogram);

/* How many recorded values are > value_ns, exact when value_ns is the upper end of a bucket, else counted by bucket. */
uint64_t ei_histogram_count_above(const struct ei_histogram *histogram, int64_t value_ns);

/* Walk the non-empty buckets upwards: start with *bucket_idx = 0; each call that returns true yields one bucket's
 * inclusive ends and count and moves *bucket_idx on. */
bool ei_histogram_next(const struct ei_histogram *histogram, int *bucket_idx, int64_t *out_low_ns, int64_t *out_high_ns,
                       uint64_t *out_count);

#endif
