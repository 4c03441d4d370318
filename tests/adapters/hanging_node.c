/* Node "a" of a pool, as einet-dds is one, whose stage `law`, of its last task, hangs for ever at one of its jobs while
 * the rest of the process goes on.
 *
 * usage: hanging_node DOMAIN FILE JOBS      JOBS that pass before
 *
 * With PAUSING in the environment that task is paused then, and nothing hangs.
 */
#include <einet/dds.h>
#include <einet/einet.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_bool is_due; /* the pause */

static int hang(void *context, const struct einet_job *job)
{
    const int *jobs = context;
    while (job->job_idx >= *jobs && getenv("PAUSING") == NULL) {
        (void)pause();
    }
    atomic_store(&is_due, job->job_idx >= *jobs);
    return 0;
}

int main(int argc, char **argv)
{
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_run *run = NULL;
    if (argc != 4) {
        return 1;
    }
    int jobs = atoi(argv[3]);
    const struct einet_stage stage = {.size_bytes = sizeof stage, .context = &jobs, .run = hang};
    const struct einet_dds_pool pool = {.size_bytes = sizeof pool, .name = "play", .node = "a", .rank = 60};
    const struct einet_dds_options bridge = {
        .size_bytes = sizeof bridge, .domain = atoi(argv[1]), .config = getenv("CYCLONEDDS_URI"), .pool = &pool};
    struct einet_run_options options = {.size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED};
    int rc = einet_workload_load(argv[2], &workload, &err);
    rc = rc < 0 ? rc : einet_dds_create(workload, &bridge, &dds, &err);
    if (rc == 0) {
        options.callbacks = einet_dds_callbacks(dds);
        rc = einet_run_create(workload, &options, &run, &err);
    }
    rc = rc < 0 ? rc : einet_run_set_stage(run, einet_workload_task_count(workload) - 1, "law", &stage, &err);
    rc = rc < 0 ? rc : einet_run_start(run, &err);
    rc = rc < 0 ? rc : einet_dds_start(dds, run, &err);
    if (rc < 0) {
        fprintf(stderr, "hanging_node: %s\n", err.text);
        return 1;
    }
    fprintf(stdout, "running\n");
    fflush(stdout);
    while (!atomic_load(&is_due)) {
        (void)usleep(1000);
    }
    (void)einet_run_pause(run, einet_workload_task_count(workload) - 1, NULL);
    for (;;) {
        (void)pause();
    }
}
