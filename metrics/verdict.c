/* Judge the service level objectives of a finished run. See collector_state.h. */
#include "metrics/collector_state.h"

int64_t ei_metrics_seen(const struct ei_metrics_task_state *task)
{
    return task->completed + task->aborted + task->skipped + task->dropped;
}

int64_t ei_metrics_not_met(const struct ei_metrics_task_state *task)
{
    return task->misses + task->aborted + task->skipped + task->dropped;
}

static void add_verdict(struct ei_collector *collector, struct ei_metrics_slo_verdict verdict)
{
    collector->slos[collector->slo_count++] = verdict;
}

static void judge_misses(struct ei_collector *collector, int32_t task_idx)
{
    const struct ei_metrics_task_state *task = &collector->tasks[task_idx];
    const struct ei_metrics_slo *slo = &task->spec.slo;
    const int64_t seen = ei_metrics_seen(task);
    if (slo->has_max_miss_ratio) {
        const int64_t not_met = ei_metrics_not_met(task);
        const int64_t explained = task->misses_explained + task->not_run_explained;
        const double count = seen > 0 ? (double)seen : 1.0;
        const double value = (double)not_met / count;
        add_verdict(collector,
                    (struct ei_metrics_slo_verdict){.task_idx = task_idx,
                                                    .name = "max_miss_ratio",
                                                    .is_judged = seen > 0,
                                                    .is_passed = value <= slo->max_miss_ratio,
                                                    .is_passed_without_explained =
                                                        (double)(not_met - explained) / count <= slo->max_miss_ratio,
                                                    .limit = slo->max_miss_ratio,
                                                    .value = value});
    }
    if (slo->mk_k > 0) {
        const int32_t worst = task->sequence.mk.worst;
        add_verdict(collector, (struct ei_metrics_slo_verdict){.task_idx = task_idx,
                                                               .name = "mk",
                                                               .is_count = true,
                                                               .is_judged = seen > 0,
                                                               .is_passed = worst <= slo->mk_m,
                                                               .is_passed_without_explained =
                                                                   task->sequence.mk_unexplained.worst <= slo->mk_m,
                                                               .limit = slo->mk_m,
                                                               .value = worst});
    }
}

static void judge_response(struct ei_collector *collector, int32_t task_idx, const char *name, double quantile,
                           int64_t limit_ns)
{
    const struct ei_histogram *response = &collector->tasks[task_idx].response;
    if (limit_ns <= 0) {
        return;
    }
    const bool is_judged = response->count > 0;
    const int64_t value_ns = is_judged ? ei_histogram_quantile_ns(response, quantile) : 0;
    add_verdict(collector, (struct ei_metrics_slo_verdict){.task_idx = task_idx,
                                                           .name = name,
                                                           .is_time = true,
                                                           .is_judged = is_judged,
                                                           .is_passed = value_ns <= limit_ns,
                                                           .limit = (double)limit_ns,
                                                           .value = (double)value_ns});
}

static void judge_at_least(struct ei_collector *collector, int32_t task_idx, const char *name, double limit,
                           int64_t part, int64_t whole)
{
    const double value = whole > 0 ? (double)part / (double)whole : 0.0;
    add_verdict(collector, (struct ei_metrics_slo_verdict){.task_idx = task_idx,
                                                           .name = name,
                                                           .is_judged = whole > 0,
                                                           .is_passed = value >= limit,
                                                           .limit = limit,
                                                           .value = value});
}

void ei_metrics_judge(struct ei_collector *collector)
{
    collector->slo_count = 0;
    for (int32_t i = 0; i < collector->task_count; i++) {
        const struct ei_metrics_task_state *task = &collector->tasks[i];
        const struct ei_metrics_slo *slo = &task->spec.slo;
        judge_misses(collector, i);
        judge_response(collector, i, "p50_response_ns", 0.5, slo->p50_response_ns);
        judge_response(collector, i, "p99_response_ns", 0.99, slo->p99_response_ns);
        judge_response(collector, i, "p999_response_ns", 0.999, slo->p999_response_ns);
        if (slo->has_min_accuracy) {
            judge_at_least(collector, i, "min_accuracy", slo->min_accuracy, task->correct, task->labelled_answered);
        }
        if (slo->has_min_coverage) {
            judge_at_least(collector, i, "min_coverage", slo->min_coverage, task->answered, task->with_network);
        }
    }
}
