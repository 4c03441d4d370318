/* The threads inside a task's blocks: one on each of the lane's first CPUs, the job's own thread on the first of them.
 * A task on a device has them for its fallback: its workers wait in their places from the start, and its own thread
 * joins them when the device is lost. Cold.
 */
#include "engine/run_state.h"

#include "stages/workers.h"

#include <string.h>

/* CPUs of the lane's threads, into out[EI_WORKERS_MAX]; what `auto` means is known here. */
static int lane_cpus(const struct ei_live_task *task, int32_t lane_idx, int32_t *out, struct einet_error *err)
{
    const struct ei_run *run = task->run;
    const struct ei_lane_spec *lane = &run->wl->lanes[lane_idx];
    const struct ei_cpuset *cpus = ei_cpuset_is_empty(&lane->cpus) ? &task->cpus : &lane->cpus;
    int cpu = -1;
    for (int32_t i = 0; i < lane->threads; i++) {
        cpu = ei_cpuset_next(cpus, cpu + 1);
        if (cpu < 0) {
            char text[128];
            ei_cpuset_format(cpus, text, sizeof text);
            return einet_error_set_at(err, EINET_E_FILE, run->wl->file, lane->place.line, lane->place.column,
                                      "lane '%s' has %d threads, and here its CPUs are %s: one CPU for each thread",
                                      lane->name, lane->threads, text);
        }
        out[i] = cpu;
    }
    return 0;
}

/* Of a network on that lane. Emulated ones and the program's own compute in the job's thread alone. */
static int32_t threads_of(const struct ei_live_task *task, const struct ei_network *net, int32_t lane_idx)
{
    const struct ei_lane_spec *lane = &task->run->wl->lanes[lane_idx];
    const bool is_emulated = strncmp(ei_network_info(net)->backend, "emulate", 7) == 0;
    return is_emulated || task->own_network != NULL || lane->kind == EI_SPEC_LANE_CUDA ? 1 : lane->threads;
}

int32_t ei_run_lane_of_threads(const struct ei_workload *wl)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_task_spec *spec = &wl->tasks[i];
        const int32_t lane_idx = spec->nn_stage_idx != EI_NONE_IDX ? spec->stages[spec->nn_stage_idx].lane_idx : -1;
        if (lane_idx >= 0 && wl->lanes[lane_idx].threads > 1) {
            return lane_idx; /* all lanes that a task may use have as many */
        }
    }
    return EI_NONE_IDX;
}

int ei_task_settle_threads(struct ei_live_task *task, struct einet_error *err)
{
    struct ei_task_network *nn = &task->nn;
    nn->threads = threads_of(task, nn->net, nn->lane_idx);
    if (nn->threads > 1) {
        return lane_cpus(task, nn->lane_idx, nn->thread_cpus, err);
    }
    nn->spare.threads = nn->spare.net != NULL ? threads_of(task, nn->spare.net, nn->spare.lane_idx) : 1;
    return nn->spare.threads > 1 ? lane_cpus(task, nn->spare.lane_idx, nn->thread_cpus, err) : 0;
}

int ei_task_place_workers(const struct ei_job_slot *slot, struct einet_error *err)
{
    const struct ei_live_task *task = slot->task;
    const bool is_for_spare = task->nn.spare.net != NULL && task->nn.spare.threads > 1;
    struct ei_workers_config config = {.threads = is_for_spare ? task->nn.spare.threads : task->nn.threads,
                                       .is_fifo = task->is_fifo,
                                       .priority = task->is_fifo ? ei_course_priority(task) : 0};
    struct einet_error why = {0};
    memcpy(config.cpus, task->nn.thread_cpus, sizeof task->nn.thread_cpus);
    int rc = config.threads > 1 ? ei_workers_place(&config, &why) : 0;
    if (rc == 0 && is_for_spare) {
        rc = ei_topology_bind_self(&task->cpus, &why);
    }
    return rc == 0 ? 0 : einet_error_set(err, rc, "task '%s': %s", task->spec->name, why.text);
}

void ei_task_settle_on_spare(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    if (slot->is_on_spare_cpu || !ei_task_is_on_spare(task)) {
        return;
    }
    slot->is_on_spare_cpu = true;
    if (task->nn.spare.threads > 1) {
        struct ei_cpuset cpu = {0};
        ei_cpuset_add(&cpu, task->nn.thread_cpus[0]);
        (void)ei_topology_bind_self(&cpu, NULL); /* it was allowed when the workers were placed */
    }
}
