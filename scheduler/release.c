/* See release.h. */
#include "scheduler/release.h"

#include <errno.h>

int ei_release_init(struct ei_release_state *state, enum ei_late_policy policy, int32_t queue_max, int32_t active_max)
{
    if (active_max < 1) {
        return -EINVAL;
    }
    if (policy == EI_LATE_SKIP) {
        queue_max = 0;
    } else if (queue_max < 1 || queue_max > EI_RELEASE_QUEUE_MAX) {
        return -EINVAL;
    }
    *state = (struct ei_release_state){.policy = policy, .queue_max = queue_max, .active_max = active_max};
    return 0;
}

static struct ei_release pop_oldest(struct ei_release_state *state)
{
    const struct ei_release oldest = state->queue[state->head];
    state->head = (state->head + 1) % EI_RELEASE_QUEUE_MAX;
    state->waiting--;
    return oldest;
}

static void push_newest(struct ei_release_state *state, struct ei_release release)
{
    state->queue[(state->head + state->waiting) % EI_RELEASE_QUEUE_MAX] = release;
    state->waiting++;
}

enum ei_release_verdict ei_release_on_release(struct ei_release_state *state, struct ei_release release,
                                              struct ei_release *out_displaced, bool *out_has_displaced)
{
    *out_has_displaced = false;
    if (state->active < state->active_max) {
        state->active++;
        state->started++;
        return EI_RELEASE_START;
    }
    if (state->policy == EI_LATE_SKIP) {
        state->skipped++;
        return EI_RELEASE_SKIPPED;
    }
    if (state->waiting == state->queue_max) {
        state->dropped++;
        if (state->policy == EI_LATE_DROP_NEWEST) {
            return EI_RELEASE_DROPPED;
        }
        *out_displaced = pop_oldest(state);
        *out_has_displaced = true;
    }
    push_newest(state, release);
    return EI_RELEASE_QUEUED;
}

bool ei_release_on_finish(struct ei_release_state *state, struct ei_release *out_next)
{
    if (state->waiting == 0) {
        state->active--;
        return false;
    }
    *out_next = pop_oldest(state);
    state->started++;
    return true;
}

bool ei_release_drop_waiting(struct ei_release_state *state, struct ei_release *out_dropped)
{
    if (state->waiting == 0) {
        return false;
    }
    *out_dropped = pop_oldest(state);
    state->dropped++;
    return true;
}

void ei_release_absent(struct ei_release_state *state)
{
    state->skipped++;
}

void ei_release_refuse(struct ei_release_state *state)
{
    state->dropped++;
}

void ei_release_unstart(struct ei_release_state *state)
{
    state->started--;
    state->dropped++;
}

int64_t ei_release_total(const struct ei_release_state *state)
{
    return state->started + state->waiting + state->skipped + state->dropped;
}
