/* Devices of a virtual run: a block keeps its lane for its time, and its job is off its CPU meanwhile. With depth: 2
 * the next conv part is launched behind the one that is waited for, and a device does what was launched in order.
 */
#include "engine/virtual_state.h"

bool ei_virtual_device_has_queue(const struct ei_live_task *task)
{
    const struct ei_lane_spec *lane = &task->run->wl->lanes[task->nn.lane_idx];
    return lane->kind == EI_SPEC_LANE_CUDA && lane->depth > 1;
}

static struct device_block *device_of(struct virtual_run *v, const struct virtual_slot *vs)
{
    return &v->devices[vs->slot->task->nn.gate - v->run.gates];
}

static struct virtual_task *task_of(struct virtual_run *v, const struct virtual_slot *vs)
{
    return &v->tasks[vs->slot->task->idx];
}

/* Returns when it is done. */
static int64_t launch(struct virtual_run *v, const struct virtual_slot *vs, struct ei_step step, int32_t piece)
{
    struct device_block *device = device_of(v, vs);
    struct virtual_task *vt = task_of(v, vs);
    const int64_t before_ns = device->free_ns;
    const int64_t from_ns = device->free_ns > v->cpus.now_ns ? device->free_ns : v->cpus.now_ns;
    device->free_ns = from_ns + ei_virtual_network_time_ns(vt->task, &vt->network, step, piece);
    if (device->last_task != vt->task->idx) {
        device->before_task = device->last_task;
        device->before_end_ns = before_ns;
    }
    device->last_task = vt->task->idx;
    vt->queue_end_ns = device->free_ns;
    return device->free_ns;
}

/* The conv part behind the step, or its next piece, if there is one. */
static void launch_ahead(struct virtual_run *v, const struct virtual_slot *vs)
{
    struct virtual_task *vt = task_of(v, vs);
    struct ei_step next = vs->course.step;
    int32_t piece = ei_course_piece(&vs->course) + 1;
    if (piece == ei_task_piece_count(vt->task, next)) {
        next.idx++;
        piece = 0;
    }
    vt->has_ahead = next.idx < vt->task->nn.et.exits;
    if (vt->has_ahead) {
        vt->ahead_end_ns = launch(v, vs, next, piece);
    }
}

int64_t ei_virtual_device_launch(struct virtual_run *v, struct virtual_slot *vs, int64_t *out_behind_ns)
{
    struct virtual_task *vt = task_of(v, vs);
    const struct device_block *device = device_of(v, vs);
    const bool is_branch = vs->course.step.kind == EI_STEP_BRANCH, is_launched = !is_branch && vt->has_ahead;
    const int64_t others_ns = device->last_task != vt->task->idx ? device->free_ns : device->before_end_ns;
    *out_behind_ns = !is_launched && others_ns > v->cpus.now_ns ? others_ns - v->cpus.now_ns : 0;
    const int64_t end_ns =
        is_launched ? vt->ahead_end_ns : launch(v, vs, vs->course.step, ei_course_piece(&vs->course));
    if (!is_branch) {
        launch_ahead(v, vs);
    }
    return end_ns > v->cpus.now_ns ? end_ns : v->cpus.now_ns;
}

/* The holder waits until end_ns, off its CPU. */
static void await(struct virtual_run *v, struct virtual_slot *vs, int64_t end_ns)
{
    struct device_block *device = device_of(v, vs);
    device->end_ns = end_ns;
    device->slot = vs->slot->idx;
    ei_virtual_block(&v->cpus, vs->slot->idx);
}

bool ei_virtual_device_drain(struct virtual_run *v, struct virtual_slot *vs)
{
    struct virtual_task *vt = task_of(v, vs);
    const int64_t left_ns = vt->queue_end_ns - v->cpus.now_ns;
    vt->has_ahead = false;
    if (left_ns <= 0) {
        return true;
    }
    if (vt->task->nn.is_off_cpu) {
        vs->slot->record.part_ns[EI_PART_LANE_QUEUE] += left_ns;
        await(v, vs, vt->queue_end_ns);
    } else {
        ei_virtual_compute(&v->cpus, vs->slot->idx, left_ns);
    }
    return false;
}

void ei_virtual_device_begin(struct virtual_run *v, struct virtual_slot *vs, int64_t block_ns, int64_t behind_ns)
{
    struct ei_job_slot *slot = vs->slot;
    const struct device_block *device = device_of(v, vs);
    slot->record.part_ns[EI_PART_EXECUTION] += block_ns - behind_ns;
    if (behind_ns > 0) {
        const bool is_above = slot->task->spec->priority > v->tasks[device->before_task].task->spec->priority;
        slot->record.part_ns[is_above ? EI_PART_BLOCKING : EI_PART_LANE_QUEUE] += behind_ns;
    }
    ei_virtual_deactivate(v, vs);
    await(v, vs, v->cpus.now_ns + block_ns);
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
