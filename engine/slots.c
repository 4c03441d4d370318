/* Before and after the run; see slots_rt.h. Cold. */
#include "engine/slots_rt.h"

#include "engine/run_state.h"

int ei_slots_init(struct ei_live_task *task, struct einet_error *err)
{
    for (int32_t i = 0; i < task->slot_count; i++) {
        struct ei_slot_turn *turn = &task->slots[i].turn;
        *turn = (struct ei_slot_turn){.leads = i == 0, .is_idle = i > 0};
        ei_waiter_init(&turn->call);
        ei_waiter_init(&turn->stage);
        if (turn->is_idle) {
            ei_waiter_prepare(&turn->call);
        }
    }
    task->flight.leader = task->slots;
    const int rc = ei_handoff_guard_init(&task->flight.guard, err);
    task->flight.has_guard = rc == 0;
    return rc;
}

void ei_slots_fini(struct ei_live_task *task)
{
    if (task->flight.has_guard) {
        ei_handoff_guard_fini(&task->flight.guard);
        task->flight.has_guard = false;
    }
}
