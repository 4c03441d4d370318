/* See load_reserve.h. */
#include "engine/load_reserve.h"

#include "engine/analysis_model.h"

/* Processor time of a job that cannot be left out. */
static int64_t needed_ns(const struct ei_live_task *task)
{
    const struct ei_task_spec *spec = task->spec;
    int64_t sum_ns = 0;
    for (int32_t s = 0; s < spec->stage_count; s++) {
        const struct ei_stage_spec *stage = &spec->stages[s];
        sum_ns += stage->kind != EI_SPEC_STAGE_CPU ? 0
                  : stage->spin_ns != EI_NONE_NS   ? stage->spin_ns
                  : stage->budget_ns != EI_NONE_NS ? stage->budget_ns
                                                   : 0;
    }
    if (task->nn.et.exits > 0 && !task->nn.is_off_cpu) {
        sum_ns +=
            ei_analysis_is_elastic(spec) ? task->nn.first_answer_ns : ei_et_profile_total_ns(&task->nn.et, EI_TIME_P99);
    }
    return sum_ns;
}

/* Jobs that can come at once, and how many more in each nanosecond. */
struct arrivals {
    double at_once, per_ns;
};

static struct arrivals arrivals_of(const struct ei_run *run, int32_t task_idx)
{
    const struct ei_arrival_spec *arrival = &run->wl->tasks[ei_workload_chain_head(run->wl, task_idx)].arrival;
    const double length_ns = (double)(run->wl->run.warmup_ns + run->duration_ns);
    switch (arrival->model) {
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL:
        return (struct arrivals){1, 1 / (double)arrival->min_interarrival_ns};
    case EI_ARRIVAL_BURST: {
        const double count = (double)arrival->count;
        return (struct arrivals){count, arrival->period_ns != EI_NONE_NS ? count / (double)arrival->period_ns : 0};
    }
    case EI_ARRIVAL_APERIODIC:
        return (struct arrivals){1, (double)arrival->trace_count / length_ns};
    case EI_ARRIVAL_PERIODIC:
    case EI_ARRIVAL_AFTER: /* not at the head of a chain */
        break;
    }
    return (struct arrivals){1, 1 / (double)arrival->period_ns};
}

struct ei_load_reserve ei_run_load_reserve(const struct ei_run *run, int32_t cpu)
{
    double burst_ns = 0, rate = 0;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_live_task *task = &run->tasks[i];
        if (task->spec->class_ == EI_SPEC_CLASS_FIFO && ei_cpuset_has(&task->cpus, cpu)) {
            const struct arrivals arrivals = arrivals_of(run, i);
            const double share_ns = (double)needed_ns(task) / ei_cpuset_count(&task->cpus);
            burst_ns += arrivals.at_once * share_ns;
            rate += arrivals.per_ns * share_ns;
        }
    }
    return (struct ei_load_reserve){.burst_ns = (int64_t)burst_ns, .rate = rate};
}
