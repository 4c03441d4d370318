/* See handover.h. Cold. */
#include "engine/handover.h"

#include "engine/run_state.h"

#include <string.h>

#define MARGIN_NS (40 * EI_NS_PER_MS) /* until T, for the threads of the new run to be there */

int ei_handover_check(const struct ei_run *run, struct einet_error *err)
{
    for (int32_t i = 0; i < run->wl->lane_count; i++) {
        const struct ei_lane_spec *lane = &run->wl->lanes[i];
        if (lane->kind != EI_SPEC_LANE_CPU || lane->threads > 1) {
            return einet_error_set_at(err, EINET_E_USAGE, run->wl->file, lane->place.line, lane->place.column,
                                      "lane '%s' computes %s, which a run that takes over from another cannot time "
                                      "beside it: end the old one first",
                                      lane->name,
                                      lane->kind == EI_SPEC_LANE_CPU ? "with several threads" : "on a device");
        }
    }
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_task_spec *spec = &run->wl->tasks[i];
        if (spec->class_ == EI_SPEC_CLASS_DEADLINE) {
            return einet_error_set_at(err, EINET_E_USAGE, run->wl->file, spec->place.line, spec->place.column,
                                      "task '%s' is of class deadline, whose bandwidth the kernel does not give twice: "
                                      "end the old run first",
                                      spec->name);
        }
    }
    return 0;
}

static const struct ei_live_task *same_task(const struct ei_run *old, const struct ei_task_spec *spec)
{
    for (int32_t i = 0; i < old->wl->task_count; i++) {
        if (strcmp(old->wl->tasks[i].name, spec->name) == 0) {
            return &old->tasks[i];
        }
    }
    return NULL;
}

static bool is_same_emulation(const struct ei_model_spec *a, const struct ei_model_spec *b)
{
    bool is = a->kind == EI_SPEC_MODEL_EMULATE && b->kind == EI_SPEC_MODEL_EMULATE && a->block_count == b->block_count;
    for (int32_t k = 0; is && k < a->block_count; k++) {
        const struct ei_emulated_block *x = &a->blocks[k], *y = &b->blocks[k];
        is = x->conv.median_ns == y->conv.median_ns && x->conv.p99_ns == y->conv.p99_ns &&
             x->branch.median_ns == y->branch.median_ns && x->branch.p99_ns == y->branch.p99_ns;
    }
    return is;
}

static const struct ei_model_spec *model_of(const struct ei_live_task *task)
{
    return &task->run->wl->models[task->spec->stages[task->spec->nn_stage_idx].model_idx];
}

/* Nobody knows whether functions of the program are the same as before, or take the same time. */
static bool has_same_network(const struct ei_live_task *a, const struct ei_live_task *b)
{
    if (a->nn.net == NULL || b->nn.net == NULL || a->own_network != NULL || b->own_network != NULL ||
        a->nn.threads != b->nn.threads || b->nn.is_off_cpu) {
        return false;
    }
    const struct ei_network_info *x = ei_network_info(a->nn.net), *y = ei_network_info(b->nn.net);
    return is_same_emulation(model_of(a), model_of(b)) ||
           (strcmp(x->name, y->name) == 0 && strcmp(x->backend, y->backend) == 0 && x->precision == y->precision &&
            x->weights_sha256[0] != '\0' && strcmp(x->weights_sha256, y->weights_sha256) == 0);
}

bool ei_handover_take_times(struct ei_live_task *task)
{
    int rc;
    bool has = false;
    struct ei_tap *tap = task->run->options->predecessor;
    struct ei_run *old = tap != NULL ? ei_external_enter(tap, &rc) : NULL;
    for (int32_t i = 0; old != NULL && !has && i < old->wl->task_count; i++) {
        has = has_same_network(task, &old->tasks[i]);
        if (has) {
            task->nn.et = old->tasks[i].nn.et;
            task->nn.pieces = old->tasks[i].nn.pieces;
        }
    }
    if (old != NULL) {
        ei_external_leave(tap);
    }
    return has;
}

/* The first nominal release of the old run's task from T on. */
static int64_t next_nominal_ns(const struct ei_live_task *task, int64_t at_ns)
{
    const struct ei_arrival_spec *arrival = &task->spec->arrival;
    const int64_t first_ns = task->run->t0_ns + arrival->offset_ns;
    return first_ns >= at_ns ? first_ns
                             : first_ns + ((at_ns - first_ns - 1) / arrival->period_ns + 1) * arrival->period_ns;
}

static void keep_phases(struct ei_run *run, const struct ei_run *old)
{
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        const struct ei_live_task *same = same_task(old, task->spec);
        struct ei_arrival_spec *arrival = &run->own_wl->tasks[i].arrival;
        if (same == NULL || arrival->model != EI_ARRIVAL_PERIODIC || same->spec->arrival.model != EI_ARRIVAL_PERIODIC ||
            arrival->period_ns != same->spec->arrival.period_ns) {
            continue;
        }
        arrival->offset_ns = next_nominal_ns(same, run->t0_ns) - run->t0_ns;
        ei_arrival_init(&task->rt.arrival, arrival, run->wl->run.seed, i);
        task->rt.has_next = ei_arrival_next(&task->rt.arrival, &task->rt.next);
    }
}

bool ei_handover_settle(struct ei_run *run)
{
    int rc;
    struct ei_tap *tap = run->options->predecessor;
    struct ei_run *old = tap != NULL ? ei_external_enter(tap, &rc) : NULL;
    if (old == NULL) {
        return false;
    }
    const int64_t delay_ns = run->wl->run.start_delay_ns > MARGIN_NS ? run->wl->run.start_delay_ns : MARGIN_NS;
    /* This thread is SCHED_OTHER: held up for long, it takes another T, before which the old run hears of it. */
    do {
        run->t0_ns = ei_mono_now().ns + delay_ns;
        keep_phases(run, old);
    } while (ei_mono_now().ns > run->t0_ns - MARGIN_NS / 2);
    ei_run_end_by(old, run->t0_ns - 1);
    ei_external_leave(tap);
    return true;
}
