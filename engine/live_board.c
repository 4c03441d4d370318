/* See live_board.h. */
#include "engine/live_board.h"

#include "engine/run_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t at_most(int32_t count, int32_t limit)
{
    return count < limit ? count : limit;
}

/* ---- sections ---- */

static int32_t task_state(const struct ei_live_task *task)
{
    if (atomic_load_explicit(&task->watch.is_demoted, memory_order_acquire)) {
        return EI_BOARD_TASK_DEMOTED;
    }
    if (ei_task_is_on_spare(task)) {
        return EI_BOARD_TASK_FALLBACK;
    }
    for (int32_t i = 0; i < task->slot_count; i++) {
        if (atomic_load_explicit(&task->slots[i].watch.job_idx, memory_order_relaxed) != EI_WATCH_NO_JOB) {
            return EI_BOARD_TASK_ACTIVE;
        }
    }
    return EI_BOARD_TASK_IDLE;
}

static void publish_tasks(struct ei_live_board *live, const struct ei_run *run, const struct ei_collector *collector)
{
    for (int32_t i = 0; i < live->run.task_count; i++) {
        const struct ei_live_task *task = &run->tasks[i];
        const struct ei_metrics_task described = ei_task_describe(task);
        const int64_t deadline_ns = atomic_load_explicit(&task->changes.deadline_ns, memory_order_relaxed);
        struct ei_board_task out = {
            .priority = described.priority == task->spec->priority
                            ? atomic_load_explicit(&task->changes.priority, memory_order_relaxed)
                            : described.priority, /* a fallback's, or a demoted task's */
            .exits = described.exits,
            .deadline_ns = deadline_ns == EI_NONE_NS ? INT64_MAX : deadline_ns,
            .state = task_state(task),
            .is_paused = ei_settings_is_paused(task),
            .backlog = atomic_load_explicit(&task->backlog, memory_order_relaxed),
        };
        snprintf(out.name, sizeof out.name, "%s", described.name);
        snprintf(out.class_name, sizeof out.class_name, "%s", described.class_name);
        ei_board_take_task(&out, collector, i);
        ei_board_set_task(live->board, i, &out);
    }
}

static void publish_lanes(struct ei_live_board *live, const struct ei_run *run, int64_t now_ns)
{
    const int64_t here = live->publications % EI_LIVE_BOARD_SPAN;
    const bool is_first = live->publications < EI_LIVE_BOARD_SPAN;
    for (int32_t i = 0; i < live->run.lane_count; i++) {
        const struct ei_lane_spec *spec = &run->wl->lanes[i];
        const struct ei_gate_look look = ei_gate_look(&run->gates[i], now_ns);
        /* The slot of this publication still holds the one EI_LIVE_BOARD_SPAN before it. */
        const int64_t since_ns = is_first ? run->t0_ns : live->at_ns[here];
        const int64_t held_ns = look.busy_ns - (is_first ? 0 : live->busy_ns[here][i]);
        const double busy = now_ns > since_ns ? (double)held_ns / (double)(now_ns - since_ns) : 0.0;
        struct ei_board_lane out = {
            .is_gated = spec->preempt == EI_SPEC_LANE_PREEMPT_BLOCK,
            .holder_idx = look.holder_idx < live->run.task_count ? look.holder_idx : EI_BOARD_NOBODY,
            .waiting = look.waiting,
            .busy_ns = look.busy_ns,
            .busy = busy < 0.0   ? 0.0
                    : busy > 1.0 ? 1.0
                                 : busy,
        };
        snprintf(out.name, sizeof out.name, "%s", spec->name);
        live->busy_ns[here][i] = look.busy_ns;
        ei_board_set_lane(live->board, i, &out);
    }
    live->at_ns[here] = now_ns;
}

static void publish_cpus(struct ei_live_board *live, const struct ei_run *run)
{
    for (int32_t i = 0; i < live->run.cpu_count; i++) {
        const int32_t cpu = run->probes[i].cpu;
        const struct ei_cpu_load *load = &run->loads.cpus[cpu];
        const struct ei_board_cpu out = {
            .cpu = cpu, .is_counted = run->loads.is_counting, .load = load->newest, .cap = run->loads.cap};
        ei_board_set_cpu(live->board, i, &out);
    }
}

/* What became of the run since it started is not among the collector's reasons before the run is over. */
static void add_degraded(struct ei_board_run *out, struct ei_run *run)
{
    struct ei_metrics_demotion demotions[EI_TASKS_MAX];
    struct ei_metrics_degraded moves[EI_TASKS_MAX];
    char text[EI_METRICS_DEMOTION_TEXT_MAX];
    const int32_t demoted = ei_watch_demotions(run, demotions);
    const int32_t moved = ei_run_list_moves(run, moves, run->spare_texts);
    if (out->degraded_count == 0 && demoted > 0) {
        const char *name = run->wl->tasks[demotions[0].task_idx].name;
        snprintf(out->degraded_reason, sizeof out->degraded_reason, "%s",
                 ei_metrics_demotion_text(&demotions[0], name, text));
    } else if (out->degraded_count == 0 && moved > 0) {
        snprintf(out->degraded_reason, sizeof out->degraded_reason, "%.255s", moves[0].reason);
    }
    out->degraded_count += demoted + moved;
}

static void publish(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain, int64_t now_ns)
{
    const struct ei_collector *collector = drain->collector;
    struct ei_board_run *out = &live->run;
    publish_tasks(live, run, collector);
    publish_lanes(live, run, now_ns);
    publish_cpus(live, run);
    out->published_ns = now_ns;
    out->elapsed_ns = now_ns - run->t0_ns;
    ei_drain_lost(drain, &out->job_records_lost, &out->gap_records_lost);
    ei_board_take_run(out, collector);
    if (!ei_board_is_over(out)) {
        add_degraded(out, run);
    }
    ei_board_set_run(live->board, out);
    live->publications++;
    live->next_ns += EI_LIVE_BOARD_NS; /* and not from now on: that would add a part of a cycle each time */
    live->next_ns = live->next_ns > now_ns ? live->next_ns : now_ns + EI_LIVE_BOARD_NS;
}

/* ---- the run's course ---- */

static int place_board(struct ei_live_board *live, const struct ei_run *run, struct einet_error *err)
{
    struct einet_error refused = {0};
    (void)ei_shared_memory_remove_stale(EI_BOARD_PREFIX);
    if (ei_shared_memory_create(&live->shm, EI_BOARD_PREFIX, EI_BOARD_VERSION, sizeof *live->board, &refused) == 0) {
        live->board = live->shm.payload;
        return 0;
    }
    if (run->options->messages != NULL) {
        fprintf(run->options->messages, "%seinet run: einet top cannot show this run: %s\n",
                run->options->is_progress_live ? "\r\033[K" : "", refused.text);
    }
    live->board = calloc(1, sizeof *live->board);
    return live->board != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for the live figures");
}

static int serve(struct ei_live_board *live, const struct ei_run *run, struct einet_error *err)
{
    const char *address = run->options->metrics != NULL ? run->options->metrics : run->wl->outputs.metrics;
    if (address[0] == '\0') {
        return 0;
    }
    const int rc =
        ei_exporter_start(live->board, address, &run->housekeeping_cpus, live->run.metrics, &live->exporter, err);
    if (rc == 0 && run->options->messages != NULL) {
        fprintf(run->options->messages, "%seinet run: metrics on http://%s/metrics\n",
                run->options->is_progress_live ? "\r\033[K" : "", live->run.metrics);
    }
    return rc;
}

int ei_live_board_open(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain,
                       struct einet_error *err)
{
    *live = (struct ei_live_board){.shm.fd = -1};
    live->run = (struct ei_board_run){
        .pid = getpid(),
        .duration_ns = run->is_endless ? INT64_MAX : run->wl->run.warmup_ns + run->duration_ns,
        .warmup_ns = run->wl->run.warmup_ns,
        .phase = EI_BOARD_STARTING,
        .task_count = at_most(run->wl->task_count, EI_BOARD_TASKS_MAX),
        .lane_count = at_most(run->wl->lane_count, EI_BOARD_LANES_MAX),
        .cpu_count = at_most(run->probe_count, EI_BOARD_CPUS_MAX),
    };
    snprintf(live->run.name, sizeof live->run.name, "%s", run->wl->name);
    snprintf(live->run.version, sizeof live->run.version, "%s", EINET_VERSION);
    int rc = place_board(live, run, err);
    if (rc == 0) {
        rc = serve(live, run, err);
    }
    if (rc < 0) {
        ei_live_board_close(live);
        return rc;
    }
    publish(live, run, drain, ei_mono_now().ns);
    if (live->shm.header != NULL) {
        ei_shared_memory_offer(&live->shm);
    }
    return 0;
}

void ei_live_board_beat(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain, int64_t now_ns)
{
    if (live->board != NULL && now_ns >= live->next_ns) {
        live->run.phase = now_ns >= run->t0_ns ? EI_BOARD_RUNNING : EI_BOARD_STARTING;
        live->run.is_ending = now_ns > atomic_load(&run->end_ns);
        publish(live, run, drain, now_ns);
    }
}

void ei_live_board_end(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain,
                       enum ei_board_phase phase, int ended_by)
{
    if (live->board != NULL) {
        live->run.phase = (int32_t)phase;
        live->run.end_signal = ended_by;
        publish(live, run, drain, ei_mono_now().ns);
    }
}

void ei_live_board_close(struct ei_live_board *live)
{
    ei_exporter_stop(live->exporter);
    if (live->shm.header != NULL) {
        ei_shared_memory_close(&live->shm);
    } else {
        free(live->board);
    }
    *live = (struct ei_live_board){.shm.fd = -1};
}
