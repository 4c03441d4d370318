/* See gaps.h. */
#include "metrics/gaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ei_gap_ring {
    struct ei_gap *gaps; /* kept of them */
    int32_t cpu;
    int32_t newest; /* index, meaningful when count > 0 */
    int32_t count;
    int32_t cursor; /* while covered_ns walks: gaps already passed, newest first */
};

int ei_gap_history_init(struct ei_gap_history *history, const struct ei_cpuset *cpus, int32_t kept)
{
    const int count = ei_cpuset_count(cpus);
    *history = (struct ei_gap_history){.kept = kept};
    if (count == 0) {
        return 0;
    }
    history->rings = calloc((size_t)count, sizeof *history->rings);
    if (history->rings == NULL) {
        return -ENOMEM;
    }
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        struct ei_gap_ring *ring = &history->rings[history->ring_count++];
        ring->cpu = cpu;
        ring->gaps = calloc((size_t)kept, sizeof *ring->gaps);
        if (ring->gaps == NULL) {
            ei_gap_history_fini(history);
            return -ENOMEM;
        }
    }
    return 0;
}

void ei_gap_history_fini(struct ei_gap_history *history)
{
    for (int32_t i = 0; i < history->ring_count; i++) {
        free(history->rings[i].gaps);
    }
    free(history->rings);
    *history = (struct ei_gap_history){0};
}

/* The gap that lies `back` behind the newest. */
static struct ei_gap gap_at(const struct ei_gap_history *history, const struct ei_gap_ring *ring, int32_t back)
{
    return ring->gaps[(ring->newest - back + history->kept) % history->kept];
}

void ei_gap_history_add(struct ei_gap_history *history, int32_t cpu, struct ei_gap gap)
{
    if (gap.end_ns <= gap.start_ns) {
        return;
    }
    for (int32_t i = 0; i < history->ring_count; i++) {
        struct ei_gap_ring *ring = &history->rings[i];
        if (ring->cpu != cpu) {
            continue;
        }
        if (ring->count > 0 && gap_at(history, ring, 0).end_ns > gap.end_ns) {
            return;
        }
        ring->newest = (ring->newest + 1) % history->kept;
        ring->gaps[ring->newest] = gap;
        ring->count += ring->count < history->kept ? 1 : 0;
        return;
    }
}

/* Of all gaps not yet passed by a cursor, the ring whose next gap ends last, if that is after from; else NULL. */
static struct ei_gap_ring *latest_ring(struct ei_gap_history *history, const struct ei_cpuset *cpus, int64_t from_ns)
{
    struct ei_gap_ring *best = NULL;
    int64_t best_end_ns = from_ns;
    for (int32_t i = 0; i < history->ring_count; i++) {
        struct ei_gap_ring *ring = &history->rings[i];
        if (ring->cursor >= ring->count || !ei_cpuset_has(cpus, ring->cpu)) {
            continue;
        }
        const int64_t end_ns = gap_at(history, ring, ring->cursor).end_ns;
        if (end_ns > best_end_ns) {
            best_end_ns = end_ns;
            best = ring;
        }
    }
    return best;
}

int64_t ei_gap_history_covered_ns(struct ei_gap_history *history, const struct ei_cpuset *cpus, int64_t from_ns,
                                  int64_t to_ns)
{
    for (int32_t i = 0; i < history->ring_count; i++) {
        history->rings[i].cursor = 0;
    }
    /* In order of falling ends, all that lies between the lowest start seen so far (edge_ns) and the end of the gap at
     * hand is already covered, so only the part below the edge adds to the union. */
    int64_t covered_ns = 0;
    int64_t edge_ns = to_ns;
    struct ei_gap_ring *ring;
    while ((ring = latest_ring(history, cpus, from_ns)) != NULL) {
        const struct ei_gap gap = gap_at(history, ring, ring->cursor++);
        const int64_t high_ns = gap.end_ns < edge_ns ? gap.end_ns : edge_ns;
        const int64_t low_ns = gap.start_ns > from_ns ? gap.start_ns : from_ns;
        if (low_ns < high_ns) {
            covered_ns += high_ns - low_ns;
            edge_ns = low_ns;
        }
    }
    return covered_ns;
}
