/* Arrival processes: when the jobs of one task are released, relative to t0. Pure and exact: no clock, no allocation,
 * the same spec, seed and task give the same times on every machine. Jobs are numbered from k = 0.
 *
 *   periodic    nominal(k) = offset + k * period, never drifting; release(k) = nominal(k) + jitter drawn in [0, jitter]
 *   sporadic    nominal(0) = offset + x(0), nominal(k) = nominal(k-1) + min_interarrival + x(k); x has the mean
 *               m = mean - min_interarrival, rounded down to the ns, and is
 *                 exponential  of mean m
 *                 uniform      a whole number of ns in [0, 2 m]
 *                 lognormal    v exp(s z) with z standard normal, v = median - min_interarrival, s = sqrt(2 ln(m / v))
 *   aperiodic   nominal(k) = trace[k]; it ends with the trace
 *   burst       nominal(n * count + j) = offset + n * period + j * spacing, j < count; without period one burst only
 *   after       none here: the jobs of its chain's head number and date its own (ei_workload_chain_head)
 *   external    none here but those that somebody asks for (ei_arrival_admit), or a list of them (ei_arrival_ask):
 *               nominal(k) is when it happened outside, release(k) when that was said; what is closer than
 *               min_interarrival to the one before it, in either, is held back to that distance
 *
 * Deadlines and every figure count from the nominal time; the thread is released at release_ns.
 */
#ifndef WORKLOADS_ARRIVAL_H
#define WORKLOADS_ARRIVAL_H

#include "rt/random.h"
#include "workloads/spec.h"
#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_arrival_release {
    int64_t job_idx;    /* k, from 0 without gaps */
    int64_t nominal_ns; /* since t0, never decreasing */
    int64_t release_ns; /* since t0, >= nominal_ns; differs from it with jitter, or when it was said later */
};

/* One owner thread. */
struct ei_arrival {
    const struct ei_arrival_spec *spec; /* borrowed */
    struct ei_random rng;
    int64_t next_job_idx;
    int64_t last_nominal_ns; /* of the sporadic and the external process */
    int64_t last_release_ns; /* of the external one */
    const int64_t *asked_ns; /* of the external one, [asked_count] */
    int64_t asked_count;
    double sigma; /* of its lognormal: sqrt(2 ln(mean / median)) of what exceeds min_interarrival */
};

/* Start at k = 0. seed: of the run; task_idx chooses an independent stream. spec must come from a checked workload and
 * live as long as arrival. */
void ei_arrival_init(struct ei_arrival *arrival, const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx);

/* The next release. False when there is none ever after (end of a trace, a single burst, or beyond 292 years); then
 * *out is untouched. O(1). */
EINET_RT bool ei_arrival_next(struct ei_arrival *arrival, struct ei_arrival_release *out);

/* External: take a release that somebody asked for at asked_ns, for something that happened at happened_ns <= asked_ns;
 * calls in the order of asked_ns. Returns whether it was held back. Not with ei_arrival_ask. */
EINET_RT bool ei_arrival_admit(struct ei_arrival *arrival, int64_t happened_ns, int64_t asked_ns,
                               struct ei_arrival_release *out);

/* External: ei_arrival_next gives the releases asked for at these times, which never decrease; borrowed. */
void ei_arrival_ask(struct ei_arrival *arrival, const int64_t *asked_ns, int64_t asked_count);

/* What becomes of such a list in a run whose warm-up ends at warmup_ns and which itself ends at end_ns. */
struct ei_arrival_tally {
    int64_t held_back;  /* of all */
    int64_t warmup;     /* released before warmup_ns */
    int64_t unreleased; /* held back until after end_ns, or asked for after it */
};
struct ei_arrival_tally ei_arrival_tally(const struct ei_arrival_spec *spec, const int64_t *asked_ns,
                                         int64_t asked_count, int64_t warmup_ns, int64_t end_ns);

/* The number of releases with from_ns <= nominal <= to_ns (both since t0): the `expected` of the accounting identity.
 * Closed form for periodic, burst and aperiodic; replays the draws for sporadic, O(releases). External: the most that
 * there can be. Thread: any. */
int64_t ei_arrival_expected(const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx, int64_t from_ns,
                            int64_t to_ns);

/* The least time between two releases, without jitter; 0 = there is none that is known (a trace, a chain's follower).
 * Thread: any. */
int64_t ei_arrival_least_distance_ns(const struct ei_arrival_spec *spec);

#endif
