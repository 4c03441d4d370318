/* Devices of a virtual run: a block keeps its lane for its time, and its job is off its CPU meanwhile. */
#include "engine/virtual_state.h"

void ei_virtual_device_begin(struct virtual_run *v, struct virtual_slot *vs, int64_t block_ns)
{
    struct ei_job_slot *slot = vs->slot;
    v->devices[slot->task->nn.gate - v->run.gates] =
        (struct device_block){.end_ns = v->cpus.now_ns + block_ns, .slot = slot->idx};
    slot->record.part_ns[EI_PART_EXECUTION] += block_ns;
    ei_virtual_deactivate(v, vs);
    ei_virtual_block(&v->cpus, slot->idx);
}

int32_t ei_virtual_device_next(const struct virtual_run *v, int64_t *out_ns)
{
    int32_t next = EI_VIRTUAL_NOBODY;
    *out_ns = INT64_MAX;
    for (int32_t i = 0; i < v->run.wl->lane_count; i++) {
        if (v->devices[i].end_ns < *out_ns) {
            *out_ns = v->devices[i].end_ns;
            next = i;
        }
    }
    return next;
}

void ei_virtual_device_end(struct virtual_run *v, int32_t device)
{
    v->cpus.now_ns = v->devices[device].end_ns;
    v->devices[device].end_ns = INT64_MAX;
    ei_virtual_wake(&v->cpus, v->devices[device].slot, 0);
}
