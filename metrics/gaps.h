/* The newest gaps of every CPU that a task may run on, and how much of a stretch of time they cover.
 *
 * A gap is time in which the noise probe, above all tasks, did not get its CPU, so no task could. Gaps of one CPU
 * arrive in order of their end and fill a ring; the oldest is forgotten. Thread: one owner.
 */
#ifndef METRICS_GAPS_H
#define METRICS_GAPS_H

#include "rt/cpuset.h"

#include <stdint.h>

struct ei_gap {
    int64_t start_ns, end_ns;
};

struct ei_gap_ring; /* one CPU's */

struct ei_gap_history {
    struct ei_gap_ring *rings; /* owned, by rising CPU number */
    int32_t ring_count;
    int32_t kept;
};

/* Room for the newest `kept` (>= 1) gaps of each CPU of the set. Returns 0 or -ENOMEM. */
int ei_gap_history_init(struct ei_gap_history *history, const struct ei_cpuset *cpus, int32_t kept);
void ei_gap_history_fini(struct ei_gap_history *history);

/* Remember a gap; a CPU outside the set, an empty gap and one that ends before its predecessor are ignored. */
void ei_gap_history_add(struct ei_gap_history *history, int32_t cpu, struct ei_gap gap);

/* Length of the part of [from, to) that known gaps of these CPUs cover; time in which several CPUs had a gap counts
 * once. */
int64_t ei_gap_history_covered_ns(struct ei_gap_history *history, const struct ei_cpuset *cpus, int64_t from_ns,
                                  int64_t to_ns);

#endif
