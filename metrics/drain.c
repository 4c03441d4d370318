/* See drain.h. */
#include "metrics/drain.h"

#include <errno.h>
#include <stdlib.h>

/* One cycle ends after this many full batches even when producers keep up with it. */
#define ROUNDS_MAX 64
#define GAP_CHUNK 64

int ei_drain_init(struct ei_drain *drain, struct ei_collector *collector)
{
    *drain = (struct ei_drain){.collector = collector};
    drain->held = calloc(EI_DRAIN_BATCH_MAX, sizeof *drain->held);
    drain->fresh = calloc(EI_DRAIN_BATCH_MAX, sizeof *drain->fresh);
    if (drain->held == NULL || drain->fresh == NULL) {
        ei_drain_fini(drain);
        return -ENOMEM;
    }
    return 0;
}

void ei_drain_fini(struct ei_drain *drain)
{
    free(drain->held);
    free(drain->fresh);
    *drain = (struct ei_drain){0};
}

static int add_ring(struct ei_spsc_ring **rings, int32_t *count, struct ei_spsc_ring *ring)
{
    if (ring->record_bytes != sizeof(struct ei_record)) {
        return -EINVAL;
    }
    if (*count == EI_DRAIN_RINGS_MAX) {
        return EINET_E_LIMIT;
    }
    rings[(*count)++] = ring;
    return 0;
}

int ei_drain_add_job_ring(struct ei_drain *drain, struct ei_spsc_ring *ring)
{
    return add_ring(drain->job_rings, &drain->job_ring_count, ring);
}

int ei_drain_add_gap_ring(struct ei_drain *drain, struct ei_spsc_ring *ring)
{
    return add_ring(drain->gap_rings, &drain->gap_ring_count, ring);
}

/* Up to max_count of a ring's records. Returns how many. */
static size_t take(struct ei_spsc_ring *ring, struct ei_record *out, size_t max_count)
{
    const struct ei_record *record;
    size_t count = 0;
    while (count < max_count && (record = ei_spsc_ring_peek(ring)) != NULL) {
        ei_record_copy(&out[count++], record);
        ei_spsc_ring_discard(ring);
    }
    return count;
}

static int64_t take_gaps(struct ei_drain *drain)
{
    struct ei_record chunk[GAP_CHUNK];
    int64_t taken = 0;
    for (int32_t i = 0; i < drain->gap_ring_count; i++) {
        for (int round = 0; round < ROUNDS_MAX; round++) {
            const size_t count = take(drain->gap_rings[i], chunk, GAP_CHUNK);
            for (size_t k = 0; k < count; k++) {
                ei_collector_add(drain->collector, &chunk[k]);
            }
            taken += (int64_t)count;
            if (count < GAP_CHUNK) {
                break;
            }
        }
    }
    return taken;
}

/* What others did is known before the jobs that they may have delayed are judged. */
static void add_activities(struct ei_drain *drain, size_t fresh_count)
{
    for (size_t i = 0; i < fresh_count; i++) {
        if (drain->fresh[i].kind == EI_RECORD_ACTIVITY) {
            ei_collector_add(drain->collector, &drain->fresh[i]);
        }
    }
}

static void add_held(struct ei_drain *drain)
{
    for (int32_t i = 0; i < drain->held_count; i++) {
        if (drain->held[i].kind != EI_RECORD_ACTIVITY) {
            ei_collector_add(drain->collector, &drain->held[i]);
        }
    }
    drain->held_count = 0;
}

int64_t ei_drain_cycle(struct ei_drain *drain)
{
    int64_t taken = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t fresh_count = 0;
        for (int32_t i = 0; i < drain->job_ring_count && fresh_count < EI_DRAIN_BATCH_MAX; i++) {
            fresh_count += take(drain->job_rings[i], &drain->fresh[fresh_count], EI_DRAIN_BATCH_MAX - fresh_count);
        }
        taken += (int64_t)fresh_count + take_gaps(drain);
        add_activities(drain, fresh_count);
        add_held(drain);
        struct ei_record *const emptied = drain->held;
        drain->held = drain->fresh;
        drain->fresh = emptied;
        drain->held_count = (int32_t)fresh_count;
        if (fresh_count < EI_DRAIN_BATCH_MAX) {
            break;
        }
    }
    ei_collector_work(drain->collector);
    return taken;
}

static bool is_due(const struct ei_drain *drain, int64_t now_ns)
{
    size_t waiting = 0;
    for (int32_t i = 0; now_ns < drain->due_ns && waiting < EI_DRAIN_DUE && i < drain->job_ring_count; i++) {
        waiting += ei_spsc_ring_count(drain->job_rings[i]);
    }
    return now_ns >= drain->due_ns || waiting >= EI_DRAIN_DUE;
}

int64_t ei_drain_round(struct ei_drain *drain, int64_t now_ns)
{
    if (!is_due(drain, now_ns)) {
        return 0;
    }
    drain->due_ns = now_ns + EI_DRAIN_PERIOD_NS;
    return ei_drain_cycle(drain);
}

void ei_drain_finish(struct ei_drain *drain)
{
    while (ei_drain_cycle(drain) > 0) {
    }
    add_held(drain);
}

void ei_drain_lost(const struct ei_drain *drain, int64_t *out_job_records, int64_t *out_gap_records)
{
    *out_job_records = 0;
    *out_gap_records = 0;
    for (int32_t i = 0; i < drain->job_ring_count; i++) {
        *out_job_records += (int64_t)ei_spsc_ring_dropped(drain->job_rings[i]);
    }
    for (int32_t i = 0; i < drain->gap_ring_count; i++) {
        *out_gap_records += (int64_t)ei_spsc_ring_dropped(drain->gap_rings[i]);
    }
}
