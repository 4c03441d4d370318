/* See watchdog.h. */
#include "engine/watchdog.h"

#include "engine/run_state.h"

#define PRIORITY 99
#define STACK_BYTES ((size_t)64 * 1024)

int64_t ei_watch_limit_ns(const struct ei_workload *wl, int32_t task_idx)
{
    const struct ei_task_spec *spec = &wl->tasks[task_idx];
    int64_t sum_ns = 0;
    for (int32_t i = 0; i < spec->stage_count; i++) {
        if (spec->stages[i].budget_ns == EI_NONE_NS) {
            return EI_WATCH_NO_LIMIT;
        }
        sum_ns += spec->stages[i].budget_ns;
    }
    return wl->platform.watchdog > 0 ? sum_ns * wl->platform.watchdog : EI_WATCH_NO_LIMIT;
}

void ei_watch_slot_init(struct ei_job_slot *slot)
{
    ei_watch_init(&slot->watch.watch);
    slot->watch.job_idx = EI_WATCH_NO_JOB;
}

bool ei_watch_slot(struct ei_job_slot *slot, int64_t now_ns, int64_t used_ns, int64_t beat_ns)
{
    const struct ei_live_task *task = slot->task;
    struct ei_task_watch *watch = &slot->task->watch;
    const struct ei_watch_look look = {
        .now_ns = now_ns,
        .job_idx = atomic_load_explicit(&slot->watch.job_idx, memory_order_acquire),
        .used_ns = used_ns,
        .limit_ns = ei_watch_limit_ns(task->run->wl, task->idx),
        .beat_ns = beat_ns,
    };
    const enum ei_watch_verdict verdict = ei_watch_take(&slot->watch.watch, &look);
    if (verdict == EI_WATCH_FINE || atomic_load_explicit(&watch->is_demoted, memory_order_relaxed)) {
        return false;
    }
    watch->demotion = (struct ei_metrics_demotion){
        .task_idx = task->idx,
        .is_starving = verdict == EI_WATCH_STARVING,
        .job_idx = look.job_idx,
        .at_ns = now_ns - task->run->t0_ns,
        .used_ns = used_ns - slot->watch.watch.job_used_ns,
        .limit_ns = look.limit_ns,
    };
    atomic_store_explicit(&watch->is_demoted, true, memory_order_release);
    return true;
}

int32_t ei_watch_demotions(const struct ei_run *run, struct ei_metrics_demotion *out)
{
    int32_t count = 0;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        if (atomic_load_explicit(&run->tasks[i].watch.is_demoted, memory_order_acquire)) {
            out[count++] = run->tasks[i].watch.demotion;
        }
    }
    return count;
}

static void demote(struct ei_live_task *task)
{
    for (int32_t i = 0; i < task->slot_count; i++) {
        struct ei_job_slot *slot = &task->slots[i];
        (void)ei_thread_demote(slot->thread.tid, task->nn.net != NULL ? &slot->seat.boost : NULL);
    }
}

/* One look at every job thread; true when a thread was demoted for starving the housekeeper. */
static bool look_around(struct ei_run *run, int64_t now_ns, int64_t beat_ns)
{
    for (int32_t i = 0; i < run->slot_count; i++) {
        struct ei_job_slot *slot = &run->slots[i];
        struct timespec used;
        if (!slot->task->is_fifo || clock_gettime(slot->watch.clock, &used) != 0) {
            continue; /* a thread that has ended has no clock */
        }
        const int64_t used_ns = (int64_t)used.tv_sec * EI_NS_PER_S + used.tv_nsec;
        if (ei_watch_slot(slot, now_ns, used_ns, beat_ns)) {
            demote(slot->task);
            if (slot->task->watch.demotion.is_starving) {
                return true;
            }
        }
    }
    return false;
}

static void watchdog_thread(void *arg)
{
    struct ei_run *run = arg;
    int64_t next_ns = ei_mono_now().ns, forgiven_ns = INT64_MIN;
    while (!atomic_load_explicit(&run->watchdog.is_ending, memory_order_relaxed)) {
        next_ns += EI_WATCH_PERIOD_NS;
        ei_mono_sleep_until((struct ei_mono){next_ns});
        const int64_t now_ns = ei_mono_now().ns;
        const int64_t beat_ns = atomic_load_explicit(&run->watchdog.beat_ns, memory_order_relaxed);
        if (look_around(run, now_ns, beat_ns > forgiven_ns ? beat_ns : forgiven_ns)) {
            forgiven_ns = now_ns; /* the housekeeper gets another second before the next thread is blamed */
        }
        next_ns = now_ns - next_ns > EI_WATCH_PERIOD_NS ? now_ns : next_ns;
    }
}

int ei_watchdog_start(struct ei_run *run, struct einet_error *err)
{
    bool has_fifo = false;
    atomic_store(&run->watchdog.is_ending, false);
    atomic_store(&run->watchdog.beat_ns, INT64_MAX / 2); /* nothing is silent before the run begins */
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        has_fifo |= run->tasks[i].is_fifo;
    }
    if (!has_fifo || run->wl->platform.watchdog == 0) {
        return 0;
    }
    const struct ei_thread_attr attr = {
        .name = "watchdog",
        .policy = EI_THREAD_FIFO,
        .priority = PRIORITY,
        .cpus = run->machine.allowed_cpus,
        .stack_bytes = STACK_BYTES,
    };
    const int rc = ei_thread_create(&run->watchdog.thread, &attr, watchdog_thread, run, err);
    run->watchdog.has_thread = rc == 0;
    return rc;
}

void ei_watchdog_stop(struct ei_run *run)
{
    atomic_store(&run->watchdog.is_ending, true);
    if (run->watchdog.has_thread) {
        (void)ei_thread_join(&run->watchdog.thread);
        run->watchdog.has_thread = false;
    }
}

void ei_watchdog_beat(struct ei_run *run, FILE *messages)
{
    char text[EI_METRICS_DEMOTION_TEXT_MAX];
    atomic_store_explicit(&run->watchdog.beat_ns, ei_mono_now().ns, memory_order_relaxed);
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_task_watch *watch = &run->tasks[i].watch;
        if (!watch->is_reported && atomic_load_explicit(&watch->is_demoted, memory_order_acquire)) {
            watch->is_reported = true;
            if (messages != NULL) {
                fprintf(messages, "%seinet run: %s\n", run->options->is_progress_live ? "\r\033[K" : "",
                        ei_metrics_demotion_text(&watch->demotion, run->wl->tasks[i].name, text));
                fflush(messages);
            }
        }
    }
}
