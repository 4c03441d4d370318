/* Which CPUs the run uses: housekeeping apart from tasks as long as the machine has more than one. */
#include "engine/run_state.h"

static int blame(struct einet_error *err, const struct ei_run *run, struct ei_place place, const char *what,
                 const struct ei_cpuset *cpus)
{
    char wanted[128], allowed[128];
    ei_cpuset_format(cpus, wanted, sizeof wanted);
    ei_cpuset_format(&run->machine.allowed_cpus, allowed, sizeof allowed);
    return einet_error_set_at(err, EINET_E_FILE, run->wl->file, place.line, place.column,
                              "%s wants CPUs %s, but this process may use %s: name CPUs inside that set", what, wanted,
                              allowed);
}

/* Housekeeping CPUs that do not exist here are left out: a file written for a larger machine still runs. */
static void settle_housekeeping(struct ei_run *run)
{
    const struct ei_cpuset *allowed = &run->machine.allowed_cpus;
    const struct ei_cpuset beyond = ei_cpuset_minus(&run->wl->platform.housekeeping_cpus, allowed);
    const struct ei_cpuset wanted = ei_cpuset_minus(&run->wl->platform.housekeeping_cpus, &beyond);
    run->task_cpus = ei_cpuset_minus(allowed, &wanted);
    run->housekeeping_cpus = wanted;
    run->is_housekeeping_shared = false;
    if (ei_cpuset_is_empty(&run->task_cpus)) {
        run->task_cpus = *allowed;
        run->is_housekeeping_shared = true;
    }
    if (ei_cpuset_is_empty(&run->housekeeping_cpus)) {
        run->housekeeping_cpus = *allowed;
    }
}

int ei_run_settle_cpus(struct ei_run *run, struct einet_error *err)
{
    settle_housekeeping(run);
    char what[96];
    for (int32_t i = 0; i < run->wl->lane_count; i++) {
        const struct ei_lane_spec *lane = &run->wl->lanes[i];
        if (!ei_cpuset_is_inside(&lane->cpus, &run->machine.allowed_cpus)) {
            snprintf(what, sizeof what, "lane '%s'", lane->name);
            return blame(err, run, lane->place, what, &lane->cpus);
        }
    }
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        const struct ei_task_spec *spec = &run->wl->tasks[i];
        if (!ei_cpuset_is_inside(&spec->cpus, &run->machine.allowed_cpus)) {
            snprintf(what, sizeof what, "task '%s'", spec->name);
            return blame(err, run, spec->cpus_place.line > 0 ? spec->cpus_place : spec->place, what, &spec->cpus);
        }
        const struct ei_cpuset *fallback = spec->class_ == EI_SPEC_CLASS_OTHER ? &run->housekeeping_cpus
                                           : spec->class_ == EI_SPEC_CLASS_DEADLINE
                                               ? &run->machine.allowed_cpus /* the kernel takes no fewer */
                                               : &run->task_cpus;
        task->cpus = ei_cpuset_is_empty(&spec->cpus) ? *fallback : spec->cpus;
    }
    return 0;
}

int32_t ei_run_modelled_cpus(const struct ei_workload *wl)
{
    int highest = 1;
    for (int32_t i = 0; i < wl->lane_count; i++) {
        for (int cpu = 0; (cpu = ei_cpuset_next(&wl->lanes[i].cpus, cpu)) >= 0; cpu++) {
            highest = cpu > highest ? cpu : highest;
        }
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int cpu = 0; (cpu = ei_cpuset_next(&wl->tasks[i].cpus, cpu)) >= 0; cpu++) {
            highest = cpu > highest ? cpu : highest;
        }
    }
    return highest + 1;
}
