/* The threads inside a task's blocks: one on each of the lane's first CPUs, the job's own thread on the first of them.
 * Cold.
 */
#include "engine/run_state.h"

#include "stages/workers.h"

#include <string.h>

/* CPUs of the lane's threads, into out[EI_WORKERS_MAX]; what `auto` means is known here. */
static int lane_cpus(const struct ei_live_task *task, int32_t threads, int32_t *out, struct einet_error *err)
{
    const struct ei_run *run = task->run;
    const struct ei_lane_spec *lane = &run->wl->lanes[task->spec->stages[task->spec->nn_stage_idx].lane_idx];
    const struct ei_cpuset *cpus = ei_cpuset_is_empty(&lane->cpus) ? &task->cpus : &lane->cpus;
    int cpu = -1;
    for (int32_t i = 0; i < threads; i++) {
        cpu = ei_cpuset_next(cpus, cpu + 1);
        if (cpu < 0) {
            char text[128];
            ei_cpuset_format(cpus, text, sizeof text);
            return einet_error_set_at(err, EINET_E_FILE, run->wl->file, lane->place.line, lane->place.column,
                                      "lane '%s' has %d threads, and here its CPUs are %s: one CPU for each thread",
                                      lane->name, threads, text);
        }
        out[i] = cpu;
    }
    return 0;
}

int ei_task_settle_threads(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_lane_spec *lane = &task->run->wl->lanes[task->spec->stages[task->spec->nn_stage_idx].lane_idx];
    const bool is_emulated = strncmp(ei_network_info(task->nn.net)->backend, "emulate", 7) == 0;
    task->nn.threads = is_emulated ? 1 : lane->threads;
    return task->nn.threads > 1 ? lane_cpus(task, task->nn.threads, task->nn.thread_cpus, err) : 0;
}

int ei_task_place_workers(const struct ei_job_slot *slot, struct einet_error *err)
{
    const struct ei_live_task *task = slot->task;
    struct ei_workers_config config = {.threads = task->nn.threads,
                                       .is_fifo = task->is_fifo,
                                       .priority = task->is_fifo ? ei_course_priority(task) : 0};
    struct einet_error why = {0};
    memcpy(config.cpus, task->nn.thread_cpus, sizeof task->nn.thread_cpus);
    const int rc = config.threads > 1 ? ei_workers_place(&config, &why) : 0;
    return rc == 0 ? 0 : einet_error_set(err, rc, "task '%s': %s", task->spec->name, why.text);
}
