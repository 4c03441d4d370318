/* What a run shows of itself: answers, figures, how it ended. See einet/run.h. */
#include "library/run.h"

#include "library/sized.h"

#include <errno.h>

static bool is_task(const struct einet_run *run, int32_t task_idx)
{
    return task_idx >= 0 && task_idx < run->workload->spec->task_count;
}

EINET_RT int einet_run_answer(const struct einet_run *run, int32_t task_idx, struct einet_answer *out_answer)
{
    struct ei_answer answer;
    struct einet_answer converted;
    if (!is_task(run, task_idx)) {
        return -EINVAL;
    }
    const int rc = ei_answer_read(&run->tap.answers[task_idx], &answer, NULL);
    if (rc != 1) {
        return rc;
    }
    ei_listener_convert(&answer, &converted);
    const int given = ei_sized_give(&converted, sizeof converted, out_answer);
    return given < 0 ? given : 1;
}

int einet_run_figures(const struct einet_run *run, int32_t task_idx, struct einet_figures *out_figures)
{
    struct ei_board_task board;
    if (!is_task(run, task_idx)) {
        return -EINVAL;
    }
    if (atomic_load(&run->phase) == EINET_RUN_CREATED) {
        return -EAGAIN;
    }
    ei_tap_figures((struct ei_tap *)(uintptr_t)&run->tap, task_idx, &board);
    const struct einet_figures figures = {
        .completed = board.completed,
        .aborted = board.aborted,
        .skipped = board.skipped,
        .dropped = board.dropped,
        .misses = board.misses,
        .preemptions = board.preemptions,
        .answered = board.answered,
        .last_response_ns = board.last_ns,
        .p50_response_ns = board.p50_ns,
        .p99_response_ns = board.p99_ns,
        .max_response_ns = board.max_ns,
    };
    return ei_sized_give(&figures, sizeof figures, out_figures);
}

int einet_run_degraded(const struct einet_run *run, char *out_text, size_t text_bytes)
{
    if (text_bytes == 0) {
        return -EINVAL;
    }
    if (atomic_load(&run->phase) == EINET_RUN_CREATED) {
        return -EAGAIN;
    }
    return ei_tap_degraded((struct ei_tap *)(uintptr_t)&run->tap, out_text, text_bytes);
}

EINET_RT int64_t einet_run_beat(const struct einet_run *run)
{
    return atomic_load_explicit(&run->tap.beat_ns, memory_order_relaxed);
}

int einet_run_end(const struct einet_run *run, struct einet_end *out_end)
{
    if (atomic_load(&run->phase) != EINET_RUN_ENDED) {
        return -EAGAIN;
    }
    const struct ei_live_result *result = &run->result;
    const struct einet_end end = {
        .is_ended_early = result->is_ended_early,
        .is_accounted = result->is_identity_ok,
        .slo_failures = result->slo_failures,
        .faulty_jobs = result->faulty_jobs,
        .demoted_tasks = result->demoted_tasks,
        .moved_tasks = result->moved_tasks,
        .events_lost = atomic_load(&run->tap.lost),
        .fault_text = result->fault_text,
        .out_dir = result->out_dir,
        .summary = run->summary != NULL ? run->summary : "",
    };
    return ei_sized_give(&end, sizeof end, out_end);
}
