/* See lane_gate_rt.h and the protocol in rt/handoff.h. */
#include "engine/lane_gate_rt.h"

int ei_gate_init(struct ei_lane_gate *gate, enum ei_lane_order order, struct einet_error *err)
{
    *gate = (struct ei_lane_gate){0};
    ei_lane_init(&gate->arbiter, order);
    atomic_init(&gate->shown_holder_idx, EI_LANE_NOBODY);
    return ei_handoff_guard_init(&gate->guard, err);
}

void ei_gate_fini(struct ei_lane_gate *gate)
{
    ei_handoff_guard_fini(&gate->guard);
}

void ei_gate_seat_init(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int32_t task_idx, int32_t priority)
{
    *seat = (struct ei_gate_seat){.claim = {.task_idx = task_idx, .priority = priority}, .victim_task_idx = -1};
    ei_waiter_init(&seat->waiter);
    gate->seats[task_idx] = seat;
}

void ei_gate_count_begin(struct ei_gate_seat *seat, int64_t now_ns)
{
    seat->below_ns = seat->queue_ns = 0;
    seat->counted_ns = now_ns;
}

void ei_gate_count(struct ei_lane_gate *gate, int64_t now_ns)
{
    const struct ei_lane *lane = &gate->arbiter;
    for (int32_t i = 0; i < lane->waiting; i++) {
        struct ei_gate_seat *seat = gate->seats[lane->waiters[i].task_idx];
        const int64_t waited_ns = now_ns - seat->counted_ns;
        if (waited_ns > 0) { /* the holder may have read the clock just before the waiter came */
            *(lane->holder.priority < seat->claim.priority ? &seat->below_ns : &seat->queue_ns) += waited_ns;
            seat->counted_ns = now_ns;
        }
    }
}

/* Guard held. */
static void publish_waiting(struct ei_lane_gate *gate)
{
    atomic_store_explicit(&gate->is_preemptor_waiting, ei_lane_is_preemptor_waiting(&gate->arbiter),
                          memory_order_relaxed);
}

/* What onlookers see. The lane was free or held before; guard held. */
static void show(struct ei_lane_gate *gate, int64_t now_ns)
{
    const int32_t holder = gate->arbiter.holder.task_idx;
    const uint64_t busy = atomic_load_explicit(&gate->shown_busy, memory_order_relaxed);
    const bool was_held = (busy & 1) != 0;
    if (was_held != (holder != EI_LANE_NOBODY)) { /* now - (since - held before) = held now, and the other way round */
        const uint64_t known_ns = busy >> 1;
        const uint64_t rest_ns = (uint64_t)now_ns > known_ns ? (uint64_t)now_ns - known_ns : 0;
        atomic_store_explicit(&gate->shown_busy, rest_ns << 1 | !was_held, memory_order_relaxed);
    }
    atomic_store_explicit(&gate->shown_holder_idx, holder, memory_order_relaxed);
    atomic_store_explicit(&gate->shown_waiting, gate->arbiter.waiting, memory_order_relaxed);
}

struct ei_gate_look ei_gate_look(const struct ei_lane_gate *gate, int64_t now_ns)
{
    const uint64_t busy = atomic_load_explicit(&gate->shown_busy, memory_order_relaxed);
    const int64_t known_ns = (int64_t)(busy >> 1);
    return (struct ei_gate_look){
        .holder_idx = atomic_load_explicit(&gate->shown_holder_idx, memory_order_relaxed),
        .waiting = atomic_load_explicit(&gate->shown_waiting, memory_order_relaxed),
        .busy_ns = (busy & 1) == 0     ? known_ns
                   : now_ns > known_ns ? now_ns - known_ns
                                       : 0,
    };
}

/* The holder runs as high as the highest waiter. A refused boost (the right to real time was taken away meanwhile)
 * costs inheritance, not the lane. Guard held. */
static void boost_holder(struct ei_lane_gate *gate)
{
    struct ei_gate_seat *holder = gate->seats[gate->arbiter.holder.task_idx];
    const int32_t lent = ei_lane_effective_priority(&gate->arbiter);
    atomic_store_explicit(&holder->top_priority, lent, memory_order_relaxed);
    (void)ei_thread_boost(&holder->boost, lent);
}

int32_t ei_gate_ahead(struct ei_lane_gate *gate, const struct ei_gate_seat *seat, int64_t deadline_ns)
{
    struct ei_lane_claim claim = seat->claim;
    claim.deadline_ns = deadline_ns;
    ei_handoff_guard_lock(&gate->guard);
    const int32_t ahead = ei_lane_ahead(&gate->arbiter, claim);
    ei_handoff_guard_unlock(&gate->guard);
    return ahead;
}

bool ei_gate_request(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t job_idx, int64_t deadline_ns,
                     int64_t now_ns)
{
    ei_handoff_guard_lock(&gate->guard);
    gate->seats[seat->claim.task_idx] = seat;
    seat->claim.deadline_ns = deadline_ns;
    seat->job_idx = job_idx;
    seat->request_ns = now_ns;
    seat->granted_ns = now_ns;
    seat->victim_task_idx = -1;
    ei_gate_count_begin(seat, now_ns);
    const bool is_granted = ei_lane_request(&gate->arbiter, seat->claim);
    if (!is_granted) {
        ei_waiter_prepare(&seat->waiter);
        publish_waiting(gate);
        boost_holder(gate);
    }
    show(gate, now_ns);
    ei_handoff_guard_unlock(&gate->guard);
    return is_granted;
}

void ei_gate_wait(struct ei_gate_seat *seat)
{
    (void)ei_waiter_wait(&seat->waiter, EI_MONO_NEVER);
}

bool ei_gate_is_higher_waiting(struct ei_lane_gate *gate)
{
    return atomic_load_explicit(&gate->is_preemptor_waiting, memory_order_relaxed);
}

/* Tell the new holder when and from whom it got the lane. Guard held. */
static void fill_grant(struct ei_gate_seat *next, int64_t now_ns, const struct ei_gate_seat *victim)
{
    next->granted_ns = now_ns > next->request_ns ? now_ns : next->request_ns;
    next->victim_task_idx = victim != NULL ? victim->claim.task_idx : -1;
    next->victim_job_idx = victim != NULL ? victim->job_idx : 0;
}

int32_t ei_gate_yield(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns)
{
    ei_handoff_guard_lock(&gate->guard);
    ei_gate_count(gate, now_ns);
    const int32_t next = ei_lane_yield(&gate->arbiter);
    if (next == seat->claim.task_idx) {
        ei_handoff_guard_unlock(&gate->guard);
        return EI_LANE_NOBODY;
    }
    seat->request_ns = seat->counted_ns = now_ns;
    ei_waiter_prepare(&seat->waiter);
    fill_grant(gate->seats[next], now_ns, seat);
    publish_waiting(gate);
    show(gate, now_ns);
    boost_holder(gate);
    (void)ei_handoff_release(&gate->guard, &gate->seats[next]->waiter, &seat->boost);
    return next;
}

int32_t ei_gate_release(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns, bool is_preempted)
{
    ei_handoff_guard_lock(&gate->guard);
    ei_gate_count(gate, now_ns);
    const int32_t next = ei_lane_release(&gate->arbiter);
    struct ei_waiter *granted = NULL;
    if (next != EI_LANE_NOBODY) {
        fill_grant(gate->seats[next], now_ns, is_preempted ? seat : NULL);
        granted = &gate->seats[next]->waiter;
        boost_holder(gate);
    }
    publish_waiting(gate);
    show(gate, now_ns);
    (void)ei_handoff_release(&gate->guard, granted, &seat->boost);
    return next;
}

bool ei_gate_release_alone(struct ei_lane_gate *gate, struct ei_gate_seat *seat, int64_t now_ns)
{
    ei_handoff_guard_lock(&gate->guard);
    const bool is_alone = gate->arbiter.waiting == 0 &&
                          atomic_load_explicit(&seat->top_priority, memory_order_relaxed) <= seat->claim.priority;
    if (!is_alone) {
        ei_handoff_guard_unlock(&gate->guard);
        return false;
    }
    (void)ei_lane_release(&gate->arbiter);
    publish_waiting(gate);
    show(gate, now_ns);
    (void)ei_handoff_release(&gate->guard, NULL, &seat->boost);
    return true;
}
