/* What a trace is told about a run, live or virtual. */
#include "metrics/trace.h"
#include "engine/run_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * EI_NS_PER_S + now.tv_nsec;
}

/* Threads of virtual time have numbers that no thread of this machine is likely to have at once. */
static void describe_task(const struct ei_live_task *task, struct ei_trace_task *out)
{
    *out = (struct ei_trace_task){
        .stage_count = task->spec->stage_count, .exits = task->nn.et.exits, .slots = task->slot_count};
    snprintf(out->name, sizeof out->name, "%s", task->spec->name);
    for (int32_t i = 0; i < out->stage_count; i++) {
        snprintf(out->stages[i], sizeof out->stages[i], "%s", task->spec->stages[i].name);
    }
    for (int32_t i = 0; i < out->slots; i++) {
        out->tids[i] = task->slots[i].has_thread ? (int32_t)task->slots[i].thread.tid : 2 + task->slots[i].idx;
    }
}

bool ei_run_wants_stages(const struct ei_workload *wl)
{
    return wl->outputs.stages == EI_SPEC_STAGES_CSV || wl->outputs.trace.format != EI_SPEC_TRACE_NONE;
}

int ei_run_attach_trace(const struct ei_run *run, const char *out_dir, bool is_live, struct ei_collector *collector,
                        struct einet_error *err)
{
    const struct ei_trace_spec *spec = &run->wl->outputs.trace;
    struct ei_trace *trace = NULL;
    if (spec->format == EI_SPEC_TRACE_NONE || out_dir == NULL) {
        return 0;
    }
    struct ei_trace_task *tasks = calloc((size_t)run->wl->task_count, sizeof *tasks);
    if (tasks == NULL) {
        return einet_error_set(err, -ENOMEM, "out of memory for the trace");
    }
    const struct ei_trace_options options = {
        .last_ns = spec->last_ns == EI_NONE_NS ? 0 : spec->last_ns,
        .save = spec->save_on == EI_SPEC_SAVE_MISS ? EI_TRACE_SAVE_MISS : EI_TRACE_SAVE_ALWAYS,
        .has_writer = is_live,
        .writer_cpus = run->housekeeping_cpus,
    };
    struct ei_trace_setup setup = {
        .pid = is_live ? (int32_t)getpid() : 1,
        .task_count = run->wl->task_count,
        .tasks = tasks,
        .lane_count = run->wl->lane_count,
        .is_probe_outranked = is_live && ei_run_is_probe_outranked(run),
    };
    snprintf(setup.process, sizeof setup.process, "einet %s%s", run->wl->name, is_live ? "" : " (virtual time)");
    for (int32_t i = 0; i < setup.task_count; i++) {
        describe_task(&run->tasks[i], &tasks[i]);
    }
    for (int32_t i = 0; i < setup.lane_count; i++) {
        snprintf(setup.lanes[i], sizeof setup.lanes[i], "%s", run->wl->lanes[i].name);
    }
    if (is_live) {
        setup.monotonic_ns = read_clock_ns(CLOCK_MONOTONIC);
        setup.boottime_ns = read_clock_ns(CLOCK_BOOTTIME);
        setup.realtime_ns = read_clock_ns(CLOCK_REALTIME);
        setup.flow_scope = (uint64_t)setup.pid * UINT64_C(0x9e3779b97f4a7c15);
    }
    const int rc = ei_trace_create(&setup, &options, out_dir, &trace, err);
    free(tasks);
    if (rc == 0) {
        ei_collector_set_trace(collector, trace);
    }
    return rc;
}
