/* See virtual_report.h. */
#include "engine/virtual_report.h"

#include "metrics/output_file.h"

int ei_virtual_create_collector(const struct ei_run *run, int32_t cpu_count, const char *out_dir,
                                struct ei_collector **out, struct einet_error *err)
{
    struct ei_metrics_task tasks[EI_TASKS_MAX];
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        tasks[i] = ei_task_describe(&run->tasks[i]);
    }
    const char *lanes[EI_LANES_MAX];
    ei_run_name_lanes(run->wl, lanes);
    static const struct ei_metrics_pair engine[] = {{"engine", "virtual"}};
    const struct ei_metrics_run description = {
        .name = run->wl->name,
        .version = EINET_VERSION,
        .seed = run->wl->run.seed,
        .duration_ns = run->wl->run.warmup_ns + run->duration_ns,
        .warmup_ns = run->wl->run.warmup_ns,
        .machine = {.cpu_model = "virtual", .cpus = cpu_count, .more = engine, .more_count = 1},
        .lanes = lanes,
        .lane_count = run->wl->lane_count,
        .has_hlog = run->wl->outputs.hist == EI_SPEC_HIST_HLOG,
        .has_stages_csv = run->wl->outputs.stages == EI_SPEC_STAGES_CSV,
    };
    return ei_collector_create(&description, tasks, run->wl->task_count, out_dir,
                               run->wl->outputs.jobs == EI_SPEC_JOBS_CSV, out, err);
}

#define ADMITTED_SHARE 0.95 /* kernel.sched_rt_runtime_us of a second, by default */

int ei_virtual_admit_deadline_class(const struct ei_run *run, struct einet_error *err)
{
    const int cpus = ei_cpuset_count(&run->machine.allowed_cpus);
    double share = 0;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_task_spec *spec = &run->wl->tasks[i];
        if (spec->class_ != EI_SPEC_CLASS_DEADLINE) {
            continue;
        }
        const struct ei_deadline_bandwidth bandwidth = ei_task_deadline_bandwidth(&run->tasks[i]);
        share += (double)bandwidth.runtime_ns / (double)bandwidth.period_ns;
        if (ei_cpuset_count(&run->tasks[i].cpus) != cpus) {
            return einet_error_set_at(err, EINET_E_FILE, run->wl->file, spec->cpus_place.line, spec->cpus_place.column,
                                      "task '%s' of class deadline may use %d of %d CPUs, the kernel wants all of "
                                      "them: leave cpus out",
                                      spec->name, ei_cpuset_count(&run->tasks[i].cpus), cpus);
        }
        if (share > ADMITTED_SHARE * cpus) {
            return einet_error_set_at(err, EINET_E_FILE, run->wl->file, spec->place.line, spec->place.column,
                                      "the tasks of class deadline up to '%s' ask for %.2f CPUs, the kernel admits "
                                      "%.2f: shorten budgets or lengthen periods",
                                      spec->name, share, ADMITTED_SHARE * cpus);
        }
    }
    return 0;
}

void ei_virtual_parts_begin(struct ei_virtual_cpus *cpus, struct ei_job_slot *slot)
{
    slot->record.ready_ns = cpus->now_ns;
    ei_virtual_count_begin(cpus, slot->idx);
}

/* Waits for the lane are counted by the gate (ei_course_end), those for a stage by the engine. */
void ei_virtual_parts_end(struct ei_virtual_cpus *cpus, struct ei_job_slot *slot)
{
    struct ei_job_record *record = &slot->record;
    const struct ei_virtual_thread *t = &cpus->threads[slot->idx];
    ei_virtual_count(cpus, slot->idx);
    record->flags |= EI_JOB_SPLIT;
    record->part_ns[EI_PART_RELEASE_DELAY] += record->ready_ns - record->release_ns;
    record->part_ns[EI_PART_BLOCKING] += t->below_ns;
    record->part_ns[EI_PART_INTERFERENCE] += t->waited_ns - t->below_ns;
    record->part_ns[EI_PART_EXECUTION] += t->ran_ns;
    record->part_ns[EI_PART_THROTTLED] += t->throttled_ns;
}

int ei_virtual_open_folder(const char *out_dir, int *out_fd, struct einet_error *err)
{
    const int rc = ei_output_folder_create(out_dir, err);
    return rc == 0 ? ei_output_folder_lock(out_dir, out_fd, err) : rc;
}
