/* See activity.h. */
#include "metrics/activity.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct ei_activity_ring {
    struct ei_activity_record *stretches; /* kept of them */
    int32_t newest;                       /* index, meaningful when count > 0 */
    int32_t count;
    int32_t found; /* how far back lies the newest stretch that is not of a later job than the one last asked for */
};

static int32_t ring_count(const struct ei_activity_history *history)
{
    return history->task_count * history->slots_max;
}

/* The thread's, NULL = there is none. */
static struct ei_activity_ring *ring_of(const struct ei_activity_history *history, int32_t task_idx, int32_t slot)
{
    const bool is_there = task_idx >= 0 && task_idx < history->task_count && slot >= 0 && slot < history->slots_max;
    return is_there ? &history->rings[task_idx * history->slots_max + slot] : NULL;
}

int ei_activity_history_init(struct ei_activity_history *history, int32_t task_count, int32_t slots_max, int32_t kept)
{
    *history = (struct ei_activity_history){.slots_max = slots_max, .kept = kept};
    history->rings = calloc((size_t)task_count * (size_t)slots_max, sizeof *history->rings);
    if (history->rings == NULL) {
        return -ENOMEM;
    }
    history->task_count = task_count;
    for (int32_t i = 0; i < ring_count(history); i++) {
        history->rings[i].stretches = calloc((size_t)kept, sizeof *history->rings[i].stretches);
        if (history->rings[i].stretches == NULL) {
            ei_activity_history_fini(history);
            return -ENOMEM;
        }
    }
    return 0;
}

void ei_activity_history_fini(struct ei_activity_history *history)
{
    for (int32_t i = 0; i < ring_count(history); i++) {
        free(history->rings[i].stretches);
    }
    free(history->rings);
    *history = (struct ei_activity_history){0};
}

/* The stretch that lies `back` behind the newest. */
static const struct ei_activity_record *at(const struct ei_activity_history *history,
                                           const struct ei_activity_ring *ring, int32_t back)
{
    const int32_t index = ring->newest - back; /* no division: every job looks at dozens */
    return &ring->stretches[index >= 0 ? index : index + history->kept];
}

void ei_activity_history_add(struct ei_activity_history *history, const struct ei_activity_record *activity)
{
    struct ei_activity_ring *ring = ring_of(history, activity->task_idx, activity->slot);
    if (ring == NULL) {
        return;
    }
    if (ring->count > 0 && at(history, ring, 0)->end_ns > activity->end_ns) {
        return;
    }
    ring->newest = (ring->newest + 1) % history->kept;
    ring->stretches[ring->newest] = *activity;
    ring->count += ring->count < history->kept ? 1 : 0;
    ring->found += ring->found < ring->count ? 1 : 0;
}

/* How far back the newest stretch lies that is not of a later job. A thread takes its jobs in order, and they are asked
 * for in this order, two cycles of stretches behind the newest: the next one lies beside the last. */
static int32_t newest_up_to(const struct ei_activity_history *history, struct ei_activity_ring *ring, int64_t job_idx)
{
    int32_t back = ring->found;
    while (back > 0 && at(history, ring, back - 1)->job_idx <= job_idx) {
        back--;
    }
    while (back < ring->count && at(history, ring, back)->job_idx > job_idx) {
        back++;
    }
    ring->found = back;
    return back;
}

const struct ei_activity_record *ei_activity_history_of_job(const struct ei_activity_history *history,
                                                            const struct ei_job_record *job, int32_t n)
{
    struct ei_activity_ring *ring = ring_of(history, job->task_idx, job->slot);
    const int64_t job_idx = job->job_idx;
    if (ring == NULL) {
        return NULL;
    }
    const int32_t newest = newest_up_to(history, ring, job_idx);
    int32_t oldest = newest - 1;
    while (oldest + 1 < ring->count && at(history, ring, oldest + 1)->job_idx == job_idx) {
        oldest++;
    }
    return oldest - n >= newest ? at(history, ring, oldest - n) : NULL;
}

/* The part of a stretch's processor time that may fall into [from, to). */
static int64_t used_ns(const struct ei_activity_record *a, int64_t from_ns, int64_t to_ns)
{
    const int64_t low_ns = a->start_ns > from_ns ? a->start_ns : from_ns;
    const int64_t high_ns = a->end_ns < to_ns ? a->end_ns : to_ns;
    const int64_t overlap_ns = high_ns > low_ns ? high_ns - low_ns : 0;
    return overlap_ns < a->cpu_ns ? overlap_ns : a->cpu_ns;
}

struct ei_activity_use ei_activity_history_use(const struct ei_activity_history *history,
                                               const struct ei_activity_record *own, int64_t from_ns, int64_t to_ns)
{
    struct ei_activity_use use = {0};
    const struct ei_activity_ring *const own_ring = ring_of(history, own->task_idx, own->slot);
    for (int32_t i = 0; i < ring_count(history); i++) {
        const struct ei_activity_ring *ring = &history->rings[i];
        for (int32_t back = 0; ring != own_ring && back < ring->count; back++) {
            const struct ei_activity_record *a = at(history, ring, back);
            if (a->end_ns <= from_ns) {
                break;
            }
            if (a->cpu != own->cpu) {
                continue;
            }
            if (a->priority >= own->priority) {
                use.higher_ns += used_ns(a, from_ns, to_ns);
            } else if (a->top_priority >= own->priority) {
                use.lower_ns += used_ns(a, from_ns, to_ns);
            }
        }
    }
    return use;
}
