/* Stages of the program's own: from the engine's view of a job to the interface's. See einet/run.h. */
#include "library/run.h"

#include "library/sized.h"

#include <errno.h>
#include <string.h>

/* context: the struct ei_own_stage. Thread: the job's. */
static int call_stage(void *context, const struct ei_job_record *record, int32_t stage_idx,
                      const struct ei_answer *answer)
{
    const struct ei_own_stage *stage = context;
    struct einet_answer converted;
    struct einet_job job;
    if (answer != NULL) {
        ei_listener_convert(answer, &converted);
    }
    ei_listener_describe_job(stage->run, record, stage_idx, answer != NULL ? &converted : NULL, &job);
    return stage->theirs.run(stage->theirs.context, &job);
}

static int find_stage(const struct ei_task_spec *task, const char *name, int32_t *out_idx, struct einet_error *err)
{
    for (int32_t i = 0; i < task->stage_count; i++) {
        if (strcmp(task->stages[i].name, name) != 0) {
            continue;
        }
        if (task->stages[i].spin_ns == EI_NONE_NS) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "stage '%s' of task '%s' has no work that a function could take the place of: write "
                                   "work: { spin: D } with the time that the function needs",
                                   name, task->name);
        }
        *out_idx = i;
        return 0;
    }
    return einet_error_set(err, EINET_E_USAGE, "task '%s' has no stage '%.60s'", task->name, name);
}

int einet_run_set_stage(struct einet_run *run, int32_t task_idx, const char *stage_name,
                        const struct einet_stage *stage, struct einet_error *err)
{
    struct einet_stage taken;
    int32_t stage_idx = 0;
    if (task_idx < 0 || task_idx >= run->tap.task_count) {
        return einet_error_set(err, EINET_E_USAGE, "the workload has no task %d", task_idx);
    }
    int rc = ei_sized_take(&taken, sizeof taken, stage);
    if (rc == 0 && taken.run == NULL) {
        rc = -EINVAL;
    }
    if (rc < 0) {
        return einet_error_set(err, rc,
                               "a stage without a size or a function, or of a newer einet than this library: "
                               "set size_bytes to sizeof the struct");
    }
    rc = find_stage(&run->workload->spec->tasks[task_idx], stage_name, &stage_idx, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&run->lock);
    if (atomic_load(&run->phase) == EINET_RUN_CREATED) {
        run->stages[task_idx][stage_idx] = (struct ei_own_stage){.theirs = taken, .run = run};
        run->tap.stages[task_idx][stage_idx] =
            (struct ei_tap_stage){.run = call_stage, .context = &run->stages[task_idx][stage_idx]};
    } else {
        rc = einet_error_set(err, -EALREADY, "the run was started: give it its stages before");
    }
    pthread_mutex_unlock(&run->lock);
    return rc;
}
