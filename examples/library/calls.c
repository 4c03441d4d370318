/* A workload without a file: a machine with N wheels makes its tasks by calls, one control loop for each wheel and a
 * task that watches over them all, and prints the file that would have said the same.
 *
 * usage: calls [MILLISECONDS [WHEELS]]
 */
#include <einet/einet.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define US INT64_C(1000)
#define WHEELS_MAX 16

struct wheel {
    atomic_int steps;
};

/* Neither locks nor allocates: it runs on the wheel's job thread. */
static int step(void *context, const struct einet_job *job)
{
    struct wheel *wheel = context;
    (void)job;
    atomic_fetch_add(&wheel->steps, 1);
    return 0;
}

static int add_task(struct einet_draft *draft, const char *name, int64_t period_ns, int64_t work_ns, int32_t priority,
                    struct einet_error *err)
{
    struct einet_draft_task task = {0};
    struct einet_draft_stage law = {0};
    task.size_bytes = sizeof task;
    task.name = name;
    task.arrival = "periodic";
    task.period_ns = period_ns;
    task.deadline_ns = period_ns / 2;
    task.priority = priority;
    law.size_bytes = sizeof law;
    law.name = "law";
    law.work_ns = work_ns;
    const int rc = einet_draft_add_task(draft, &task, err);
    return rc == 0 ? einet_draft_add_stage(draft, name, &law, err) : rc;
}

static int make(int wheels, struct einet_workload **workload, struct einet_error *err)
{
    struct einet_draft *draft = NULL;
    char name[32];
    int rc = einet_draft_create("calls", &draft, err);
    for (int i = 0; rc == 0 && i < wheels; i++) {
        snprintf(name, sizeof name, "wheel-%d", i);
        rc = add_task(draft, name, 5 * MS, 20 * US, 70 - i, err);
    }
    if (rc == 0) {
        rc = add_task(draft, "watch", 20 * MS, 50 * US, 40, err);
    }
    if (rc == 0) {
        rc = einet_draft_set(draft, "tasks.watch.slo", "{ max_miss_ratio: 0.01 }", err);
    }
    if (rc == 0) {
        rc = einet_draft_finish(draft, workload, err);
    }
    einet_draft_destroy(draft);
    return rc;
}

static int play(struct einet_run *run, struct wheel *wheels, int count, struct einet_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++) { /* the wheels are the first tasks */
        struct einet_stage stage = {0};
        stage.size_bytes = sizeof stage;
        stage.context = &wheels[i];
        stage.run = step;
        rc = einet_run_set_stage(run, i, "law", &stage, err);
    }
    if (rc == 0) {
        rc = einet_run_start(run, err);
    }
    return rc == 0 ? einet_run_wait(run, -1, err) : rc;
}

int main(int argc, char **argv)
{
    const int ms = argc > 1 ? atoi(argv[1]) : 1000;
    const int asked = argc > 2 ? atoi(argv[2]) : 4;
    const int count = asked < 1 ? 1 : asked > WHEELS_MAX ? WHEELS_MAX : asked;
    static struct wheel wheels[WHEELS_MAX];
    static char text[65536];
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_run_options options = {0};
    struct einet_figures figures = {0};
    int is_whole = 1;
    options.size_bytes = sizeof options;
    options.duration_ns = ms * MS;
    figures.size_bytes = sizeof figures;

    int rc = make(count, &workload, &err);
    if (rc == 0) {
        (void)einet_workload_text(workload, text, sizeof text);
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = play(run, wheels, count, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        for (int i = 0; i < count; i++) {
            (void)einet_run_figures(run, i, &figures);
            is_whole = is_whole && figures.completed > 0 && atomic_load(&wheels[i].steps) == (int)figures.completed;
        }
        printf("%s\n%d wheels, %d steps of the first\n", text, count, atomic_load(&wheels[0].steps));
        printf("a step for every job of every wheel: %s\n", is_whole ? "yes" : "no");
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
