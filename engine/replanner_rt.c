/* The job thread's side of replanning while the lane works. Real-time safe. */
#include "engine/run_state.h"

/* The fork's survival function must not point into tables that the next job rewrites. */
static void own_survival(struct ei_replanner *replanner, const struct ei_exit_times *times)
{
    struct ei_survival *survival = &replanner->job.survival;
    if (survival->kind == EI_SURVIVAL_PRODUCT) {
        replanner->factors[0] = times->factors[0];
        replanner->factors[1] = times->factors[1];
        survival->u.product.factors = replanner->factors;
        survival = &replanner->factors[0];
    }
    if (survival->kind == EI_SURVIVAL_KNOTS || survival->kind == EI_SURVIVAL_STEPS) {
        replanner->table = times->table;
        *survival = ei_survival_of_table(&replanner->table);
    }
}

EINET_RT void ei_replan_post(struct ei_job_slot *slot, int64_t elapsed_ns)
{
    struct ei_replanner *replanner = slot->task->planning.replanner;
    const unsigned posted = atomic_load_explicit(&replanner->posted, memory_order_relaxed);
    if (posted != atomic_load_explicit(&replanner->done, memory_order_acquire)) {
        replanner->is_awaited = false; /* it still works on what is out of date by now */
        slot->record.late_replans++;
        return;
    }
    ei_elastic_fork(&slot->task->nn.job, &replanner->ws, &replanner->job);
    replanner->elapsed_ns = elapsed_ns;
    atomic_store(&slot->task->changes.replanned, ei_slot_settings(slot)); /* the fork plans with its configuration */
    own_survival(replanner, &slot->task->planning.exit_times);
    replanner->is_awaited = true;
    replanner->is_counted_late = false;
    atomic_store_explicit(&replanner->posted, posted + 1, memory_order_release);
    ei_waiter_grant(&replanner->work);
}

EINET_RT struct ei_step ei_replan_adopt(struct ei_job_slot *slot)
{
    struct ei_replanner *replanner = slot->task->planning.replanner;
    if (replanner == NULL || !replanner->is_awaited) {
        return ei_elastic_next(&slot->task->nn.job);
    }
    const bool is_done = atomic_load_explicit(&replanner->posted, memory_order_relaxed) ==
                         atomic_load_explicit(&replanner->done, memory_order_acquire);
    if (is_done) {
        (void)ei_elastic_adopt(&slot->task->nn.job, &replanner->job);
        replanner->is_awaited = false;
    } else if (!replanner->is_counted_late) {
        replanner->is_counted_late = true; /* at the next boundary it may still be of use */
        slot->record.late_replans++;
    }
    return ei_elastic_next(&slot->task->nn.job);
}
