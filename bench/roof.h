/* What this machine does at best, measured by code of this benchmark's own: how fast threads multiply matrices that lie
 * in their caches, and how fast they read memory that lies in none.
 */
#ifndef BENCH_ROOF_H
#define BENCH_ROOF_H

#include <stdbool.h>
#include <stdint.h>

struct bench_roof; /* opaque */

struct bench_roof_speed {
    double gflops; /* 0: this processor does not multiply these numbers */
    double read_gbps;
};

/* Threads on cpus[0 .. threads-1], at most 64, of which the first is the caller's; the others get its policy and
 * priority. bf16: products of bfloat16, summed in float32. Ends the program with 5 where memory or threads lack. */
struct bench_roof *bench_roof_open(const int32_t *cpus, int32_t threads, bool bf16);

/* Measure now, for some 20 ms: the best of several runs, all threads at once. */
struct bench_roof_speed bench_roof_measure(struct bench_roof *roof);

void bench_roof_close(struct bench_roof *roof);

/* The least time of a part in us: its products at full speed, or its weights from memory, whichever is longer.
 * bytes: of weights that no cache holds. */
double bench_roof_us(const struct bench_roof_speed *speed, double macs, double bytes);

/* Share of `weight_bytes` that cannot stay in the last-level cache from one inference to the next, 0..1. */
double bench_roof_streamed(double weight_bytes);

#endif
