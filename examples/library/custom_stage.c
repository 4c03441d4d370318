/* A control law of this program as a stage of a task: it runs on the task's job thread at its real-time priority, with
 * the answer of the job's network in its hands. The law brakes when an obstacle is seen with enough confidence.
 *
 * usage: custom_stage [MILLISECONDS]
 */
#include <einet/einet.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char workload_text[] =
    "version: 1\n"
    "name: custom-stage\n"
    "lanes: { lane: { kind: cpu } }\n"
    "models:\n"
    "  net: { emulate: { blocks: [ { conv: 1ms, branch: 100us, score: 0.6 }, { conv: 1ms, branch: 100us, score: 0.9 } "
    "] } }\n"
    "tasks:\n"
    "  - name: drive\n"
    "    arrival: { model: periodic, period: 20ms }\n"
    "    deadline: 15ms\n"
    "    priority: 70\n"
    "    stages:\n"
    "      - { name: see, kind: nn, model: net, lane: lane }\n"
    "      - { name: law, kind: cpu, work: { spin: 50us }, budget: 1ms }\n"; /* what the law needs, for the planner */

#define OBSTACLE 3

/* Written by the job thread alone, read by main. */
struct law {
    double speed_mps;
    atomic_int steps, brakes;
};

/* Neither locks nor allocates: the task's deadline is at stake. */
static int step(void *context, const struct einet_job *job)
{
    struct law *law = context;
    const int is_obstacle = job->answer != NULL && job->answer->label == OBSTACLE && job->answer->confidence > 0.5F;
    const double target_mps = is_obstacle ? 0.0 : 1.5;
    law->speed_mps += 0.2 * (target_mps - law->speed_mps);
    atomic_fetch_add(&law->steps, 1);
    atomic_fetch_add(&law->brakes, is_obstacle);
    return 0;
}

int main(int argc, char **argv)
{
    const int ms = argc > 1 ? atoi(argv[1]) : 2000;
    struct law law = {0};
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_run_options options = {0};
    struct einet_stage stage = {0};
    struct einet_figures figures = {0};
    options.size_bytes = sizeof options;
    options.duration_ns = (int64_t)ms * 1000000;
    stage.size_bytes = sizeof stage;
    stage.context = &law;
    stage.run = step;

    int rc = einet_workload_parse(workload_text, strlen(workload_text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = einet_run_set_stage(run, einet_workload_find_task(workload, "drive"), "law", &stage, &err);
    }
    if (rc == 0) {
        rc = einet_run_start(run, &err);
    }
    if (rc == 0) {
        rc = einet_run_wait(run, -1, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        figures.size_bytes = sizeof figures;
        (void)einet_run_figures(run, 0, &figures);
        printf("%d steps of the law, %d of them braking, at %.2f m/s in the end; %lld jobs completed, %lld late\n",
               atomic_load(&law.steps), atomic_load(&law.brakes), law.speed_mps, (long long)figures.completed,
               (long long)figures.misses);
        printf("a step for every job: %s\n", atomic_load(&law.steps) == (int)figures.completed ? "yes" : "no");
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
