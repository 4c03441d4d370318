/* Start and end of the replanner threads. Cold. */
#include "engine/run_state.h"

#include "rt/section.h"

#define STACK_BYTES ((size_t)128 * 1024)

/* Whether a post has not been answered. */
static bool is_busy(struct ei_replanner *replanner)
{
    return atomic_load_explicit(&replanner->posted, memory_order_acquire) !=
           atomic_load_explicit(&replanner->done, memory_order_acquire);
}

static void replanner_thread(void *arg)
{
    struct ei_replanner *replanner = arg;
    for (;;) {
        (void)ei_waiter_wait(&replanner->work, EI_MONO_NEVER);
        if (atomic_load_explicit(&replanner->is_ending, memory_order_acquire)) {
            return;
        }
        ei_rt_section_enter();
        (void)ei_elastic_replan(&replanner->job, replanner->elapsed_ns);
        ei_rt_section_leave();
        ei_waiter_prepare(&replanner->work); /* before done: the next post may come at once */
        atomic_fetch_add_explicit(&replanner->done, 1, memory_order_release);
    }
}

int ei_replanners_start(struct ei_run *run, struct einet_error *err)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        struct ei_replanner *replanner = task->planning.replanner;
        if (replanner == NULL || !replanner->is_on) {
            continue;
        }
        const struct ei_thread_attr attr = {
            .name = "replan",
            .policy = task->is_fifo ? EI_THREAD_FIFO : EI_THREAD_OTHER,
            .priority = task->is_fifo ? task->spec->priority : 0,
            .cpus = run->housekeeping_cpus,
            .stack_bytes = STACK_BYTES,
        };
        ei_waiter_prepare(&replanner->work);
        const int rc = ei_thread_create(&replanner->thread, &attr, replanner_thread, replanner, err);
        if (rc < 0) {
            return rc;
        }
        replanner->has_thread = true;
    }
    return 0;
}

void ei_replanners_stop(struct ei_run *run)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_replanner *replanner = run->tasks[i].planning.replanner;
        if (replanner == NULL || !replanner->has_thread) {
            continue;
        }
        while (is_busy(replanner)) { /* the last replan of the run; its job is over */
            ei_mono_sleep_until((struct ei_mono){ei_mono_now().ns + EI_NS_PER_MS});
        }
        atomic_store_explicit(&replanner->is_ending, true, memory_order_release);
        ei_waiter_grant(&replanner->work);
        (void)ei_thread_join(&replanner->thread);
        replanner->has_thread = false;
    }
}
