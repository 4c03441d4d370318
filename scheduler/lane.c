/* See lane.h. */
#include "scheduler/lane.h"

static const struct ei_lane_claim nobody = {.task_idx = EI_LANE_NOBODY, .priority = 0};

void ei_lane_init(struct ei_lane *lane, enum ei_lane_order order)
{
    *lane = (struct ei_lane){.order = order, .holder = nobody};
}

/* Whether a goes strictly before b. */
static bool is_before(const struct ei_lane *lane, const struct ei_lane_claim *a, const struct ei_lane_claim *b)
{
    return lane->order == EI_LANE_BY_DEADLINE ? a->deadline_ns < b->deadline_ns : a->priority > b->priority;
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
    while (at < lane->waiting && !is_before(lane, &claim, &lane->waiters[at])) {
        at++;
    }
    insert_at(lane, at, claim);
    return false;
}

int32_t ei_lane_ahead(const struct ei_lane *lane, struct ei_lane_claim claim)
{
    if (lane->holder.task_idx == EI_LANE_NOBODY) {
        return EI_LANE_IS_FREE;
    }
    int32_t ahead = is_before(lane, &claim, &lane->holder) ? 0 : 1;
    for (int32_t i = 0; i < lane->waiting; i++) {
        ahead += is_before(lane, &claim, &lane->waiters[i]) ? 0 : 1;
    }
    return ahead;
}

int32_t ei_lane_top_waiting(const struct ei_lane *lane)
{
    int32_t top = 0;
    const int32_t looked_at = lane->order == EI_LANE_BY_DEADLINE || lane->waiting == 0 ? lane->waiting : 1;
    for (int32_t i = 0; i < looked_at; i++) {
        top = lane->waiters[i].priority > top ? lane->waiters[i].priority : top;
    }
    return top;
}

bool ei_lane_is_preemptor_waiting(const struct ei_lane *lane)
{
    return lane->waiting > 0 && is_before(lane, &lane->waiters[0], &lane->holder);
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
    if (!ei_lane_is_preemptor_waiting(lane)) {
        return lane->holder.task_idx;
    }
    const struct ei_lane_claim former = lane->holder;
    ei_lane_release(lane);
    /* The former holder asked for the lane before every waiter of its own rank. */
    int32_t at = 0;
    while (at < lane->waiting && is_before(lane, &lane->waiters[at], &former)) {
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
