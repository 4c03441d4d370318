/* The memory that job and probe threads write while the run lasts: record rings and network buffers, all of it from one
 * arena that is prefaulted at once and sealed before the first release.
 */
#include "engine/run_state.h"

#include <errno.h>

#define JOB_RECORDS 4 /* of a job without stages and blocks: itself, activities, preemptions, as a rule */

static size_t ring_bytes(size_t records, size_t record_bytes)
{
    return ei_spsc_ring_storage_bytes(records, record_bytes) + EI_CACHE_LINE_BYTES;
}

/* A second of what a task records at its densest releases, which is 25 of the housekeeper's cycles; a task whose
 * releases have no least distance is taken for one of 1 kHz. What a ring cannot hold when the housekeeper is held up is
 * lost, and counted. */
static size_t job_ring_records(const struct ei_run *run, const struct ei_live_task *task)
{
    int64_t distance_ns = ei_task_least_distance_ns(task);
    distance_ns = distance_ns > 0 ? distance_ns : EI_NS_PER_MS;
    const int32_t exits = task->nn.net != NULL ? ei_network_info(task->nn.net)->exits : 0;
    int64_t pieces = 0;
    for (int32_t part = 0; part < 2 * exits; part++) {
        pieces += ei_network_piece_count(task->nn.net, part / 2, part % 2 != 0);
    }
    const int64_t stage_records = run->is_recording_stages ? task->spec->stage_count + pieces : 0;
    const int64_t a_second = (EI_NS_PER_S / distance_ns + 1) * (stage_records + JOB_RECORDS);
    size_t records = EI_JOB_RING_RECORDS;
    while ((int64_t)records < a_second && records < EI_JOB_RING_RECORDS_MAX) {
        records *= 2;
    }
    return records;
}

static size_t input_count(const struct ei_network_info *info)
{
    return (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
}

/* Each block costs at most one cache line of alignment more than its size. */
static size_t needed_bytes(const struct ei_run *run)
{
    size_t bytes = (size_t)run->probe_count * ring_bytes(EI_PROBE_RING_RECORDS, sizeof(struct ei_record));
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        bytes += ring_bytes(job_ring_records(run, &run->tasks[i]), sizeof(struct ei_record));
        if (run->tasks[i].chain.is_successor) {
            bytes += ring_bytes(EI_CHAIN_INBOX_EVENTS, sizeof(struct ei_chain_event));
        }
        if (run->tasks[i].external.is_external) {
            bytes += ei_mpsc_ring_storage_bytes(EI_EXTERNAL_INBOX_REQUESTS, sizeof(struct ei_external_request)) +
                     EI_CACHE_LINE_BYTES;
        }
        if (run->tasks[i].nn.net != NULL) {
            const struct ei_network_info *info = ei_network_info(run->tasks[i].nn.net);
            bytes +=
                (size_t)run->tasks[i].slot_count *
                ((input_count(info) + 2 * (size_t)info->classes) * sizeof(float) + (size_t)3 * EI_CACHE_LINE_BYTES);
        }
    }
    return bytes;
}

static int place_ring(struct ei_arena *arena, struct ei_spsc_ring *ring, size_t records, size_t record_bytes)
{
    const size_t bytes = ei_spsc_ring_storage_bytes(records, record_bytes);
    void *storage = ei_arena_alloc(arena, bytes, EI_CACHE_LINE_BYTES);
    return storage != NULL ? ei_spsc_ring_init(ring, records, record_bytes, storage, bytes) : -ENOMEM;
}

static int place_requests(struct ei_arena *arena, struct ei_mpsc_ring *ring)
{
    const size_t record_bytes = sizeof(struct ei_external_request);
    const size_t bytes = ei_mpsc_ring_storage_bytes(EI_EXTERNAL_INBOX_REQUESTS, record_bytes);
    void *storage = ei_arena_alloc(arena, bytes, EI_CACHE_LINE_BYTES);
    return storage != NULL ? ei_mpsc_ring_init(ring, EI_EXTERNAL_INBOX_REQUESTS, record_bytes, storage, bytes)
                           : -ENOMEM;
}

static float *place_floats(struct ei_arena *arena, size_t count)
{
    return ei_arena_alloc(arena, count * sizeof(float), EI_CACHE_LINE_BYTES);
}

static int place_buffers(struct ei_arena *arena, struct ei_job_slot *slot)
{
    const struct ei_network_info *info = ei_network_info(slot->task->nn.net);
    slot->input_chw = place_floats(arena, input_count(info));
    slot->logits = place_floats(arena, (size_t)info->classes);
    slot->probabilities = place_floats(arena, (size_t)info->classes);
    return slot->input_chw != NULL && slot->logits != NULL && slot->probabilities != NULL ? 0 : -ENOMEM;
}

int ei_run_place_storage(struct ei_run *run, struct einet_error *err)
{
    int rc = ei_arena_init(&run->arena, needed_bytes(run), false, err);
    if (rc < 0) {
        return rc;
    }
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        rc = place_ring(&run->arena, &run->tasks[i].ring, job_ring_records(run, &run->tasks[i]),
                        sizeof(struct ei_record));
        if (rc == 0 && run->tasks[i].chain.is_successor) {
            rc = place_ring(&run->arena, &run->tasks[i].chain.inbox, EI_CHAIN_INBOX_EVENTS,
                            sizeof(struct ei_chain_event));
        }
        if (rc == 0 && run->tasks[i].external.is_external) {
            rc = place_requests(&run->arena, &run->tasks[i].external.inbox);
        }
        for (int32_t k = 0; rc == 0 && run->tasks[i].nn.net != NULL && k < run->tasks[i].slot_count; k++) {
            rc = place_buffers(&run->arena, &run->tasks[i].slots[k]);
        }
    }
    for (int32_t i = 0; rc == 0 && i < run->probe_count; i++) {
        rc = place_ring(&run->arena, &run->probes[i].ring, EI_PROBE_RING_RECORDS, sizeof(struct ei_record));
    }
    return rc < 0 ? einet_error_set(err, rc, "the run's arena of %zu bytes is too small", run->arena.size_bytes) : 0;
}
