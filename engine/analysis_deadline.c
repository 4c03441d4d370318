/* Class deadline in the analysis. See analysis_model.h.
 *
 * A constant bandwidth server with runtime Q, deadline D and period T (D <= T) runs no more than Q in each of its
 * periods, and of a period that is cut short less than the share of its length; so in any window no more than two
 * runtimes and Q / T of the window, whatever its jobs do: that is a task with cost Q, period T and jitter 2 T. A job
 * that needs at most Q and comes at least T after the one before finds a new period each time; when the servers are
 * schedulable it ends within D, and then asks for its own time once in T, without jitter.
 *
 * Schedulable by global EDF on m CPUs: the densities Q / D sum up to m - (m - 1) * the largest at most (Goossens, Funk,
 * Baruah 2003, for constrained deadlines with densities; m = 1: to 1). Nothing else delays them: they are above all.
 */
#include "engine/analysis_model.h"

#define PPB INT64_C(1000000000)

static bool is_deadline(const struct ei_analysis_model *model, int32_t i)
{
    return model->wl->tasks[i].class_ == EI_SPEC_CLASS_DEADLINE;
}

static int64_t wcet_ns(const struct ei_analysis_model *model, int32_t i)
{
    int64_t sum_ns = 0;
    for (int32_t s = 0; s < model->tasks[i].segment_count; s++) {
        sum_ns += model->segments[i][s].wcet_ns;
    }
    return sum_ns;
}

/* Rounded up. */
static int64_t density_ppb(const struct ei_bandwidth *server)
{
    const double density = (double)server->runtime_ns / (double)server->deadline_ns;
    return (int64_t)(density * (double)PPB) + 1;
}

static bool are_servers_schedulable(const struct ei_analysis_model *model)
{
    int64_t sum_ppb = 0, largest_ppb = 0, cpus = EI_CPU_MAX;
    for (int32_t i = 0; i < model->count; i++) {
        if (is_deadline(model, i)) {
            const struct ei_bandwidth server = ei_task_bandwidth(&model->wl->tasks[i]);
            const int64_t ppb = density_ppb(&server), own_cpus = ei_cpuset_count(&model->groups[model->group[i]]);
            sum_ppb += ppb;
            largest_ppb = ppb > largest_ppb ? ppb : largest_ppb;
            cpus = own_cpus < cpus ? own_cpus : cpus;
        }
    }
    return sum_ppb <= cpus * PPB - (cpus - 1) * largest_ppb;
}

void ei_analysis_take_deadline_class(struct ei_analysis_model *model)
{
    const bool are_schedulable = are_servers_schedulable(model);
    for (int32_t i = 0; i < model->count; i++) {
        struct ei_rta_task *task = &model->tasks[i];
        if (!is_deadline(model, i)) {
            continue;
        }
        const struct ei_bandwidth server = ei_task_bandwidth(&model->wl->tasks[i]);
        const bool is_kept = are_schedulable && wcet_ns(model, i) <= server.runtime_ns && task->jitter_ns == 0;
        if (!is_kept) {
            model->segments[i][0] =
                (struct ei_rta_segment){.cpu = model->group[i], .lane = EI_RTA_NOWHERE, .wcet_ns = server.runtime_ns};
            model->segments[i][0].mandatory_ns = server.runtime_ns;
            task->segment_count = 1;
            task->period_ns = server.period_ns;
            task->jitter_ns = 2 * server.period_ns;
        }
        task->deadline_ns = INT64_MAX; /* its own bound is not that of fixed priorities */
        model->deadline_bound_ns[i] = is_kept ? server.deadline_ns : EI_ANALYSIS_NO_BOUND;
    }
}
