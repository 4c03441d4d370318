/* The course of a live run, in the main thread: prepare, build, start in steps, keep house, finish. */
#include "engine/live.h"

#include "engine/admission.h"
#include "engine/change.h"
#include "engine/handover.h"
#include "engine/load_reserve.h"
#include "engine/manifest.h"
#include "engine/run_state.h"
#include "metrics/output_file.h"
#include "rt/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* How long the rings are left to fill: they hold a second (storage.c), and a signal wakes the housekeeper at once.
 * Waking a CPU is what a round costs most of (docs/benchmarks.md); a third of the time between two publications. */
#define ROUND_NS (80 * EI_NS_PER_MS)
/* Of an embedded run, whose owner's wishes are found by a look, and whose sign of life a pool waits for. */
#define ASKED_ROUND_NS (40 * EI_NS_PER_MS)
#define PROGRESS_NS EI_NS_PER_S
/* A run that is ended by a signal ends this much later, so that as a rule no task is past the end already. */
#define CANCEL_MARGIN_NS (20 * EI_NS_PER_MS)

/* ---- preparing ---- */

static int acquire_privileges(struct ei_run *run, struct einet_error *err)
{
    const struct ei_platform_spec *platform = &run->wl->platform;
    struct ei_privilege_ask ask = {
        .mode = platform->privileges == EI_SPEC_PRIVILEGES_REQUIRE ? EI_PRIVILEGES_REQUIRE : EI_PRIVILEGES_DEGRADE,
        .lock_memory = platform->lock_memory == EI_SPEC_LOCK_ALL ? EI_MEMORY_LOCK_ALL : EI_MEMORY_LOCK_NONE,
        .cpu_dma_latency_us =
            platform->cpu_dma_latency_ns == EI_NONE_NS ? -1 : platform->cpu_dma_latency_ns / EI_NS_PER_US,
        .program = run->options->program,
    };
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_task_spec *spec = &run->wl->tasks[i];
        if (spec->class_ != EI_SPEC_CLASS_OTHER) {
            ask.top_priority = 99; /* the noise probes outrank all tasks of class fifo */
        }
        ask.deadline_threads += spec->class_ == EI_SPEC_CLASS_DEADLINE;
        for (int cpu = ei_cpuset_next(&run->tasks[i].cpus, 0); cpu >= 0;
             cpu = ei_cpuset_next(&run->tasks[i].cpus, cpu + 1)) {
            ei_cpuset_add(&ask.cpus, cpu);
        }
    }
    const int rc = ei_privileges_acquire(&ask, &run->privileges, err);
    run->has_privileges = rc == 0;
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        run->tasks[i].is_fifo =
            run->wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO && run->privileges.results[EI_PRIVILEGE_FIFO].got;
    }
    return rc;
}

static int prepare(struct ei_run *run, const struct ei_workload *wl, const struct ei_live_options *options,
                   struct einet_error *err)
{
    *run = (struct ei_run){.wl = wl, .options = options};
    if (options->predecessor != NULL) {
        run->own_wl = malloc(sizeof *run->own_wl);
        if (run->own_wl == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for the run");
        }
        *run->own_wl = *wl;
        run->wl = wl = run->own_wl;
        const int rc = ei_handover_check(run, err);
        if (rc < 0) {
            return rc;
        }
    }
    run->duration_ns = options->duration_ns > 0 ? options->duration_ns : wl->run.duration_ns;
    run->is_endless = options->duration_ns == EI_LIVE_ENDLESS_NS;
    run->is_fileless = options->is_fileless;
    run->tap = options->tap;
    run->is_recording_stages = !run->is_fileless && ei_run_wants_stages(wl);
    int rc = ei_run_make_tasks(run, err);
    if (rc == 0) {
        rc = ei_machine_describe(&run->machine, err);
    }
    ei_external_expect(run);
    if (rc == 0) {
        rc = ei_run_settle_cpus(run, err);
    }
    return rc == 0 ? acquire_privileges(run, err) : rc;
}

/* ---- starting ---- */

static int create_threads(struct ei_run *run, struct einet_error *err)
{
    for (int32_t i = 0; i < run->slot_count; i++) {
        struct ei_job_slot *slot = &run->slots[i];
        const struct ei_thread_attr attr = {
            .name = slot->task->spec->name,
            .policy = EI_THREAD_OTHER,
            .stack_bytes = (size_t)run->wl->platform.stack_bytes,
        };
        atomic_fetch_add(&run->running, 1);
        const int rc = ei_thread_create(&slot->thread, &attr, ei_task_thread, slot, err);
        if (rc < 0) {
            atomic_fetch_sub(&run->running, 1);
            return rc;
        }
        slot->has_thread = true;
        const bool has_clock = pthread_getcpuclockid(slot->thread.handle, &slot->watch.clock) == 0;
        if (!has_clock && ei_start_is_failed(&run->start)) { /* it has ended: another one failed, which says why */
            return ei_start_await(&run->start, err);
        }
        if (!has_clock) {
            return einet_error_set(err, EINET_E_FAULT, "task '%s' has no clock of its processor time",
                                   slot->task->spec->name);
        }
    }
    return 0;
}

static int lock_memory(struct ei_run *run, struct einet_error *err)
{
    if (run->wl->platform.lock_memory != EI_SPEC_LOCK_ALL || !run->privileges.results[EI_PRIVILEGE_MEMORY].got) {
        return 0;
    }
    struct einet_error refused = {0};
    if (ei_memory_lock(EI_MEMORY_LOCK_ALL, &refused) == 0) {
        return 0;
    }
    return ei_privileges_refused(&run->privileges, EI_PRIVILEGE_MEMORY, "unlocked memory", refused.text,
                                 "ulimit -l unlimited", err);
}

static void set_clock(struct ei_run *run, bool is_final)
{
    if (!is_final || !ei_handover_settle(run)) {
        run->t0_ns = ei_mono_now().ns + run->wl->run.start_delay_ns;
    }
    atomic_store(&run->end_ns, run->t0_ns + run->wl->run.warmup_ns + run->duration_ns);
}

static int init_drain(struct ei_run *run, struct ei_drain *drain, struct ei_collector *collector,
                      struct einet_error *err)
{
    int rc = ei_drain_init(drain, collector);
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        rc = ei_drain_add_job_ring(drain, &run->tasks[i].ring);
    }
    for (int32_t i = 0; rc == 0 && i < run->probe_count; i++) {
        rc = ei_drain_add_gap_ring(drain, &run->probes[i].ring);
    }
    return rc < 0 ? einet_error_set(err, rc, "cannot set up the record drain: %s", einet_error_text(rc)) : 0;
}

/* Bring all threads to their first release, in the steps of engine/start.h. */
static int start(struct ei_run *run, struct ei_drain *drain, struct ei_collector **out_collector,
                 struct einet_error *err)
{
    int rc = create_threads(run, err);
    if (rc == 0) {
        rc = ei_start_await(&run->start, err);
    }
    if (rc == 0) {
        rc = lock_memory(run, err);
    }
    if (rc == 0) {
        ei_start_open(&run->start, EI_START_MEASURE);
        rc = ei_start_await(&run->start, err);
    }
    if (rc == 0) {
        rc = ei_run_settle_deadline_class(run, err);
    }
    if (rc == 0) {
        rc = ei_run_admit(run, run->wl, err); /* block times are measured now */
    }
    if (rc == 0) {
        set_clock(run, false);
        rc = ei_run_create_collector(run, out_collector, err);
    }
    if (rc == 0) {
        rc = ei_run_attach_trace(run, run->is_fileless ? NULL : run->out_dir, true, *out_collector, err);
    }
    if (rc == 0) {
        rc = init_drain(run, drain, *out_collector, err);
    }
    if (rc == 0) {
        rc = ei_live_board_open(&run->board, run, drain, err);
    }
    if (rc == 0) {
        rc = ei_probes_start(run, err);
    }
    if (rc == 0) {
        ei_run_settle_sharers(run);
        for (int32_t c = 0; c < run->loads.count; c++) {
            run->loads.cpus[c].load.reserve = ei_run_load_reserve(run, c);
        }
        rc = ei_replanners_start(run, err);
    }
    if (rc == 0) {
        rc = ei_watchdog_start(run, err);
    }
    if (rc == 0 && !run->is_fileless) { /* the last step that can fail: run.json is of a run that did start */
        rc = ei_run_write_manifest(run, *out_collector, run->out_dir, NULL, err);
    }
    if (rc < 0) {
        ei_start_give_up(&run->start);
        return rc;
    }
    if (ei_collector_clear_earlier(*out_collector) > 0 && run->options->messages != NULL) {
        fprintf(run->options->messages, "einet run: %s held files of an earlier run: they are replaced\n",
                run->out_dir);
    }
    (void)ei_topology_bind_self(&run->housekeeping_cpus, NULL);
    if (run->options->on_ready != NULL) {
        run->options->on_ready(run->options->context);
    }
    ei_arena_seal(&run->arena);
    set_clock(run, true); /* again: creating files and probes took time; or with T when it takes over */
    ei_collector_set_t0(*out_collector, run->t0_ns);
    run->is_started = true;
    ei_external_open(run);
    ei_watchdog_beat(run, NULL); /* from now on silence counts */
    ei_start_open(&run->start, EI_START_GO);
    if (run->tap != NULL) {
        ei_tap_take_figures(run->tap, *out_collector, &run->board.run);
    }
    if (run->tap != NULL && run->tap->on_go != NULL) {
        run->tap->on_go(run->tap->context, run->t0_ns, &run->housekeeping_cpus);
    }
    return 0;
}

static void join_threads(struct ei_run *run)
{
    for (int32_t i = 0; i < run->slot_count; i++) {
        if (run->slots[i].has_thread) {
            (void)ei_thread_join(&run->slots[i].thread);
            run->slots[i].has_thread = false;
        }
    }
}

/* ---- keeping house ---- */

static void show_progress(const struct ei_run *run, const struct ei_collector *collector)
{
    FILE *out = run->options->messages;
    if (out == NULL || !run->options->is_progress_live) {
        return;
    }
    const double all_s = (double)(run->wl->run.warmup_ns + run->duration_ns) / (double)EI_NS_PER_S;
    const double at_s = (double)(ei_mono_now().ns - run->t0_ns) / (double)EI_NS_PER_S;
    fprintf(out, "\r\033[K%5.1f / %.1f s", at_s < 0 ? 0 : (at_s > all_s ? all_s : at_s), all_s);
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_metrics_progress p = ei_collector_progress(collector, i);
        fprintf(out, "  %s %lld", run->wl->tasks[i].name, (long long)p.released);
        if (p.misses > 0) {
            fprintf(out, " (%lld late)", (long long)p.misses);
        }
        if (p.preemptions > 0) {
            fprintf(out, " (%lld preempted)", (long long)p.preemptions);
        }
    }
    fflush(out);
}

void ei_run_end_by(struct ei_run *run, int64_t end_ns)
{
    int64_t present_ns = atomic_load(&run->end_ns);
    while (end_ns < present_ns && !atomic_compare_exchange_weak(&run->end_ns, &present_ns, end_ns)) {
    }
}

static void end_soon(struct ei_run *run)
{
    ei_run_end_by(run, ei_mono_now().ns + CANCEL_MARGIN_NS);
}

static void cancel(struct ei_run *run)
{
    end_soon(run);
    atomic_store_explicit(&run->is_cancelled, true, memory_order_release);
}

/* Sleep for a round, or until a signal ends the run: its number, else 0. */
static int await_signal(struct ei_run *run)
{
    const struct timespec nap = {.tv_nsec = ROUND_NS};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    const int signal_number = sigtimedwait(&signals, NULL, &nap);
    if (signal_number > 0 && !atomic_load(&run->is_cancelled)) {
        cancel(run);
        return signal_number;
    }
    return 0;
}

/* The same when the run is embedded and somebody else is asked. heeded: what was asked for in the rounds before. */
static void await_request(struct ei_run *run, enum ei_tap_request *heeded)
{
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), ASKED_ROUND_NS));
    const enum ei_tap_request request = (enum ei_tap_request)atomic_load(&run->tap->request);
    if (request > *heeded) {
        *heeded = request;
        if (request == EI_TAP_STOP) {
            cancel(run);
        } else {
            end_soon(run);
        }
    }
}

/* Drain, sample and watch for the end until every job thread has ended. Returns the signal that ended the run, or 0. */
static int keep_house(struct ei_run *run, struct ei_drain *drain)
{
    enum ei_tap_request heeded = EI_TAP_GO_ON;
    int ended_by = 0;
    int64_t next_progress_ns = run->t0_ns;
    while (atomic_load_explicit(&run->running, memory_order_acquire) > 0) {
        if (run->tap != NULL) {
            await_request(run, &heeded);
        } else {
            const int signal_number = await_signal(run);
            ended_by = signal_number > 0 ? signal_number : ended_by;
        }
        ei_watchdog_beat(run, run->options->messages);
        ei_run_say_moves(run, run->options->messages);
        const int64_t now_ns = ei_mono_now().ns;
        ei_drain_round(drain, now_ns);
        if (now_ns > run->t0_ns) {
            ei_cpu_loads_sample(&run->loads);
        }
        ei_live_board_beat(&run->board, run, drain, now_ns);
        if (run->tap != NULL) {
            ei_tap_beat(run->tap, drain->collector, &run->board.run, now_ns);
        }
        if (now_ns > atomic_load(&run->end_ns)) {
            (void)ei_external_close(run);
        }
        if (now_ns >= next_progress_ns) {
            next_progress_ns += PROGRESS_NS;
            show_progress(run, drain->collector);
        }
    }
    return ended_by;
}

/* ---- finishing ---- */

static int32_t collect_loads(const struct ei_run *run, struct ei_metrics_cpu_load *out)
{
    int32_t count = 0;
    for (int32_t i = 0; i < run->probe_count; i++) {
        const struct ei_cpu_load *l = &run->loads.cpus[run->probes[i].cpu];
        if (l->samples > 0) {
            out[count++] = (struct ei_metrics_cpu_load){
                .cpu = run->probes[i].cpu, .mean = l->sum / (double)l->samples, .peak = l->peak, .cap = run->loads.cap};
        }
    }
    return count;
}

/* Of each task, and of all together. */
static void sum_usage(const struct ei_run *run, struct ei_metrics_usage *tasks, struct ei_metrics_totals *totals)
{
    for (int32_t i = 0; i < run->slot_count; i++) {
        const struct ei_thread_usage *a = &run->slots[i].usage_before, *b = &run->slots[i].usage_after;
        struct ei_metrics_usage *task = &tasks[run->slots[i].task->idx];
        task->cpu_ns += b->cpu_ns - a->cpu_ns;
        task->minor_faults += b->minor_faults - a->minor_faults;
        task->major_faults += b->major_faults - a->major_faults;
        task->voluntary_switches += b->voluntary_switches - a->voluntary_switches;
        task->involuntary_switches += b->involuntary_switches - a->involuntary_switches;
        totals->minor_faults += b->minor_faults - a->minor_faults;
        totals->major_faults += b->major_faults - a->major_faults;
        totals->voluntary_switches += b->voluntary_switches - a->voluntary_switches;
        totals->involuntary_switches += b->involuntary_switches - a->involuntary_switches;
    }
}

/* How long each lane was held; -1: nobody holds those with preempt: kernel. */
static void sum_lanes(const struct ei_run *run, int64_t *out_ns)
{
    const int64_t now_ns = ei_mono_now().ns;
    for (int32_t i = 0; i < run->wl->lane_count; i++) {
        const bool is_gated = run->wl->lanes[i].preempt == EI_SPEC_LANE_PREEMPT_BLOCK;
        out_ns[i] = is_gated ? ei_gate_look(&run->gates[i], now_ns).busy_ns : -1;
    }
}

static int finish(struct ei_run *run, struct ei_drain *drain, int ended_by, struct ei_live_result *out,
                  struct einet_error *err)
{
    int64_t expected[EI_TASKS_MAX];
    struct ei_metrics_external external[EI_TASKS_MAX];
    struct ei_metrics_cpu_load loads[EI_PROBES_MAX];
    const struct ei_metrics_assumed *assumed[EI_TASKS_MAX];
    int64_t withheld[EI_TASKS_MAX] = {0}, lane_busy_ns[EI_LANES_MAX];
    struct ei_metrics_usage usage[EI_TASKS_MAX] = {0};
    const int64_t length_ns = atomic_load(&run->end_ns) - run->t0_ns;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        withheld[i] = run->tap != NULL ? atomic_load(&run->tap->settings[i].withheld) : 0;
        expected[i] = ei_task_expected(&run->tasks[i], length_ns);
        external[i] = ei_external_count(&run->tasks[i].external);
    }
    struct ei_metrics_demotion demotions[EI_TASKS_MAX];
    struct ei_metrics_degraded moves[EI_TASKS_MAX];
    struct ei_metrics_totals totals = {
        .expected = expected,
        .external = external,
        .assumed = assumed,
        .demotions = demotions,
        .demotion_count = ei_watch_demotions(run, demotions),
        .degraded = moves,
        .degraded_count = ei_run_list_moves(run, moves, run->spare_texts),
        .duration_ns = length_ns > 0 ? length_ns : 0, /* a signal may come before t0 */
        .is_ended_early = !run->is_endless && length_ns < run->wl->run.warmup_ns + run->duration_ns,
        .end_signal = ended_by,
        .loads = loads,
        .load_count = collect_loads(run, loads),
        .changes = run->changes.log,
        .change_count = run->changes.log_count,
        .changes_lost = run->changes.log_lost,
        .withheld = withheld,
        .usage = usage,
        .lane_busy_ns = lane_busy_ns,
    };
    ei_run_list_assumed(run, assumed);
    sum_usage(run, usage, &totals);
    sum_lanes(run, lane_busy_ns);
    ei_drain_finish(drain);
    ei_drain_lost(drain, &totals.job_records_lost, &totals.gap_records_lost);
    const int rc = ei_collector_finish(drain->collector, &totals, err);
    if (run->tap != NULL) {
        ei_tap_take_figures(run->tap, drain->collector, &run->board.run);
    }
    out->collector = rc != -ENOMEM ? drain->collector : NULL; /* a full disk takes files, not figures */
    out->slo_failures = ei_collector_slo_failures(drain->collector);
    out->is_identity_ok = ei_collector_is_identity_ok(drain->collector);
    out->is_ended_early = totals.is_ended_early;
    out->demoted_tasks = totals.demotion_count;
    out->moved_tasks = totals.degraded_count;
    out->faulty_jobs = atomic_load(&run->faulty_jobs);
    snprintf(out->out_dir, sizeof out->out_dir, "%s", run->out_dir);
    snprintf(out->fault_text, sizeof out->fault_text, "%s", run->fault.text);
    return rc;
}

/* Threads exist from here on; whatever happens they are joined. */
static int run_threads(struct ei_run *run, struct ei_drain *drain, struct ei_live_result *out, struct einet_error *err)
{
    struct ei_collector *collector = NULL;
    int ended_by = 0;
    int rc = ei_start_init(&run->start, run->slot_count, err);
    if (rc < 0) {
        return rc;
    }
    rc = start(run, drain, &collector, err);
    if (rc == 0) {
        ended_by = keep_house(run, drain);
    }
    join_threads(run);
    ei_external_shut(run);
    ei_watchdog_stop(run);
    ei_watchdog_beat(run, run->options->messages); /* says what happened since the last cycle */
    ei_run_say_moves(run, run->options->messages);
    ei_probes_stop(run);
    ei_replanners_stop(run);
    if (rc == 0) {
        rc = finish(run, drain, ended_by, out, err);
    }
    if (rc == 0 && !run->is_fileless) {
        rc = ei_run_publish_workload(run, err);
    }
    if (rc == 0 && !run->is_fileless) {
        rc = ei_run_write_manifest(run, collector, run->out_dir, out, err);
    }
    ei_live_board_end(&run->board, run, drain, rc == 0 ? EI_BOARD_ENDED : EI_BOARD_FAILED, ended_by);
    ei_live_board_close(&run->board);
    if (out->collector == NULL) {
        ei_collector_destroy(collector);
    }
    ei_drain_fini(drain);
    ei_start_fini(&run->start);
    return rc;
}

static void warn_unwatched(const struct ei_run *run)
{
    if (run->unwatched_cpus > 0 && run->options->messages != NULL) {
        fprintf(run->options->messages,
                "einet run: tasks may run on %d CPUs more than the %d that are watched: no noise and no load of these "
                "is measured, and no miss on them is explained; name fewer CPUs with cpus\n",
                run->unwatched_cpus, EI_PROBES_MAX);
    }
}

static int run_all(struct ei_run *run, struct ei_drain *drain, const struct ei_workload *wl,
                   const struct ei_live_options *options, struct ei_live_result *out, struct einet_error *err)
{
    int rc = prepare(run, wl, options, err);
    if (rc == 0 && !run->is_fileless) {
        rc = ei_run_make_out_dir(run, err);
    }
    if (rc == 0 && !run->is_fileless) { /* now, not later: this proves that the folder is writable before anything
                                           takes time */
        rc = ei_run_write_workload(run, err);
    }
    if (rc == 0) {
        rc = ei_run_build(run, err);
    }
    if (rc == 0) {
        warn_unwatched(run);
        rc = run_threads(run, drain, out, err);
    }
    if (rc < 0) {
        ei_run_remove_files(run);
    }
    if (run->tasks != NULL && run->slots != NULL) {
        ei_run_demolish(run);
    }
    if (run->has_privileges) {
        ei_privileges_release(&run->privileges);
    }
    if (run->has_locked_dir) {
        ei_output_folder_unlock(run->lock_fd);
    }
    free(run->tasks);
    free(run->slots);
    free(run->own_wl);
    return rc;
}

int ei_live_run(const struct ei_workload *wl, const struct ei_live_options *options, struct ei_live_result *out,
                struct einet_error *err)
{
    static atomic_int runs; /* of this process, whose memory is unlocked with the last one */
    struct ei_run *run = ei_memory_table(1, sizeof *run);
    struct ei_drain *drain = ei_memory_table(1, sizeof *drain);
    *out = (struct ei_live_result){0};
    atomic_fetch_add(&runs, 1);
    const int rc = run != NULL && drain != NULL ? run_all(run, drain, wl, options, out, err)
                                                : einet_error_set(err, -ENOMEM, "no memory for the run");
    if (atomic_fetch_sub(&runs, 1) == 1) {
        ei_memory_unlock();
    }
    free(drain);
    free(run);
    return rc;
}
