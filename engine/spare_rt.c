/* A task leaves a device that is lost. Its job does, at a block boundary; real-time safe. */
#include "engine/run_state.h"

void ei_task_take_spare(struct ei_live_task *task, int64_t job_idx, int64_t now_ns)
{
    struct ei_task_network *nn = &task->nn;
    nn->spare.taken_ns = now_ns - task->run->t0_ns;
    nn->spare.taken_job_idx = job_idx;
    nn->gates[0] = nn->gate = &task->run->gates[nn->spare.lane_idx];
    nn->gate_count = 1;
    nn->is_gated = true;
    atomic_store_explicit(&nn->spare.is_taken, true, memory_order_release);
}
