/* Moves records out of the threads' rings into the collector, in an order that lets gaps explain misses.
 *
 * A cycle takes job rings first, then gap rings, gives gaps and activities to the collector, and only then the jobs of
 * the cycle before. So every gap whose probe reported before the second cycle after a job's record is known when the
 * job is judged, also when the probe got its CPU back a moment after the job. No threads of its own: the housekeeping
 * thread calls it in its rounds. Only that thread may use a struct ei_drain. Producers never wait.
 *
 * A cycle finds code, counters and lines gone cold, which costs more than a hundred records do, so it is held off until
 * EI_DRAIN_PERIOD_NS have passed or EI_DRAIN_DUE records lie in the rings, which hold those of a second.
 */
#ifndef METRICS_DRAIN_H
#define METRICS_DRAIN_H

#include "metrics/collector.h"
#include "rt/clock.h"
#include "rt/spsc_ring.h"

#define EI_DRAIN_RINGS_MAX 2048 /* EI_METRICS_TASKS_MAX job rings and one gap ring per CPU */
#define EI_DRAIN_BATCH_MAX 8192 /* records held back at most */
#define EI_DRAIN_PERIOD_NS (160 * EI_NS_PER_MS)
#define EI_DRAIN_DUE 4096

struct ei_drain {
    struct ei_collector *collector;                                                     /* borrowed */
    struct ei_spsc_ring *job_rings[EI_DRAIN_RINGS_MAX], *gap_rings[EI_DRAIN_RINGS_MAX]; /* borrowed */
    int32_t job_ring_count, gap_ring_count;
    struct ei_record *held, *fresh; /* owned, EI_DRAIN_BATCH_MAX each */
    int32_t held_count;
    int64_t due_ns; /* when the next cycle is due; CLOCK_MONOTONIC */
};

/* Drain into the collector (borrowed until fini). Returns 0 or -ENOMEM. */
int ei_drain_init(struct ei_drain *drain, struct ei_collector *collector);
/* Frees what init took; the rings are the caller's. Accepts a zeroed struct. */
void ei_drain_fini(struct ei_drain *drain);

/* Register a ring of struct ei_record (borrowed until fini): a job ring carries a task's records of every
 * kind but EI_RECORD_GAP, which a gap ring carries of a probe. What a cycle holds back keeps its order: blocks come
 * before their stage, stages before their job. Before the threads start. Returns 0, -EINVAL when the ring's records
 * have another size, or EINET_E_LIMIT. */
int ei_drain_add_job_ring(struct ei_drain *drain, struct ei_spsc_ring *ring);
int ei_drain_add_gap_ring(struct ei_drain *drain, struct ei_spsc_ring *ring);

/* One cycle. Returns the number of records taken out of the rings. */
int64_t ei_drain_cycle(struct ei_drain *drain);

/* A cycle if one is due at now_ns (CLOCK_MONOTONIC). Returns as ei_drain_cycle. */
int64_t ei_drain_round(struct ei_drain *drain, int64_t now_ns);

/* When every producer has stopped: empty the rings and give the collector all that was held back. */
void ei_drain_finish(struct ei_drain *drain);

/* Records that full rings threw away so far. */
void ei_drain_lost(const struct ei_drain *drain, int64_t *out_job_records, int64_t *out_gap_records);

#endif
