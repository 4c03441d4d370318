/* See lane.h. */
#include "scheduler/lane.h"

static const struct ei_lane_claim nobody = {.task_idx = EI_LANE_NOBODY, .priority = 0};

void ei_lane_init(struct ei_lane *lane)
{
    *lane = (struct ei_lane){.holder = nobody};
}

static void insert_at(struct ei_lane *lane, int32_t at, struct ei_lane_claim claim)
{
    for (int32_t i = lane->waiting; i > at; i--) {
        lane->waiters[i] = lane->waiters[i - 1];
    }
    lane->waiters[at] = claim;
    lane->waiting++;
}

static void remove_at(struct ei_lane *lane, int32_t at)
{
    lane->waiting--;
    for (int32_t i = at; i < lane->waiting; i++) {
        lane->waiters[i] = lane->waiters[i + 1];
    }
}

bool ei_lane_request(struct ei_lane *lane, struct ei_lane_claim claim)
{
    if (lane->holder.task_idx == EI_LANE_NOBODY) {
        lane->holder = claim;
        return true;
    }
    int32_t at = 0;
    while (at < lane->waiting && lane->waiters[at].priority >= claim.priority) {
        at++;
    }
    insert_at(lane, at, claim);
    return false;
}

int32_t ei_lane_top_waiting(const struct ei_lane *lane)
{
    return lane->waiting > 0 ? lane->waiters[0].priority : 0;
}

int32_t ei_lane_effective_priority(const struct ei_lane *lane)
{
    const int32_t top = ei_lane_top_waiting(lane);
    return lane->holder.task_idx == EI_LANE_NOBODY ? 0 : (top > lane->holder.priority ? top : lane->holder.priority);
}

int32_t ei_lane_release(struct ei_lane *lane)
{
    if (lane->waiting == 0) {
        lane->holder = nobody;
        return EI_LANE_NOBODY;
    }
    lane->holder = lane->waiters[0];
    remove_at(lane, 0);
    return lane->holder.task_idx;
}

int32_t ei_lane_yield(struct ei_lane *lane)
{
    if (ei_lane_top_waiting(lane) <= lane->holder.priority) {
        return lane->holder.task_idx;
    }
    const struct ei_lane_claim former = lane->holder;
    ei_lane_release(lane);
    /* The former holder asked for the lane before every waiter of its own priority. */
    int32_t at = 0;
    while (at < lane->waiting && lane->waiters[at].priority > former.priority) {
        at++;
    }
    insert_at(lane, at, former);
    return lane->holder.task_idx;
}

bool ei_lane_cancel(struct ei_lane *lane, int32_t task_idx)
{
    for (int32_t i = 0; i < lane->waiting; i++) {
        if (lane->waiters[i].task_idx == task_idx) {
            remove_at(lane, i);
            return true;
        }
    }
    return false;
}
