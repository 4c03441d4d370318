/* A multi-exit network answers, and answers better from exit to exit, while a more urgent task takes its lane now and
 * then. A planner thread of this program reads the best answer so far whenever it wants: it never waits for the
 * network.
 *
 * usage: elastic_reader [MILLISECONDS]
 */
#include <einet/einet.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char workload_text[] =
    "version: 1\n"
    "name: elastic-reader\n"
    "lanes: { lane: { kind: cpu } }\n"
    "models:\n"
    "  deep: { emulate: { blocks: [ { conv: 5ms, branch: 500us, score: 0.4 }, { conv: 8ms, branch: 500us, score: 0.6 "
    "},\n"
    "                               { conv: 8ms, branch: 500us, score: 0.7 }, { conv: 8ms, branch: 500us, score: 0.8 } "
    "] } }\n"
    "  quick: { emulate: { blocks: [ { conv: 3ms, branch: 200us, score: 0.9 } ] } }\n"
    "tasks:\n"
    "  - name: scene\n"
    "    arrival: { model: periodic, period: 60ms }\n"
    "    deadline: 55ms\n"
    "    priority: 30\n"
    "    planner: { search: all }\n"
    "    on_preempt: resume\n"
    "    stages: [ { name: see, kind: nn, model: deep, lane: lane } ]\n"
    "  - name: obstacle\n"
    "    arrival: { model: sporadic, min_interarrival: 20ms, mean: 80ms, dist: exponential }\n"
    "    deadline: 20ms\n"
    "    priority: 70\n"
    "    stages: [ { name: see, kind: nn, model: quick, lane: lane } ]\n";

struct reader {
    const struct einet_run *run;
    int32_t scene;
    atomic_int is_over;
    long reads, deeper, by_exit[16];
};

/* Every 2 ms, as a planner would at its own pace. */
static void *read_answers(void *context)
{
    struct reader *reader = context;
    const struct timespec pause = {0, 2000000};
    struct einet_answer answer = {0}, before = {0};
    answer.size_bytes = sizeof answer;
    while (!atomic_load(&reader->is_over)) {
        if (einet_run_answer(reader->run, reader->scene, &answer) == 1) {
            reader->reads++;
            reader->by_exit[answer.exit_idx % 16]++;
            reader->deeper += answer.job_idx == before.job_idx && answer.exit_idx > before.exit_idx;
            before = answer;
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static int watch(struct reader *reader, int ms)
{
    const struct timespec length = {ms / 1000, (long)(ms % 1000) * 1000000};
    pthread_t thread;
    if (pthread_create(&thread, NULL, read_answers, reader) != 0) {
        return -1;
    }
    nanosleep(&length, NULL);
    atomic_store(&reader->is_over, 1);
    pthread_join(thread, NULL);
    printf("%ld reads, %ld times a deeper answer of the same job;", reader->reads, reader->deeper);
    for (int i = 0; i < 4; i++) {
        printf(" exit %d: %ld", i + 1, reader->by_exit[i]);
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    const int ms = argc > 1 ? atoi(argv[1]) : 3000;
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_run_options options = {0};
    struct einet_figures figures = {0};
    struct reader reader = {0};
    options.size_bytes = sizeof options;
    options.duration_ns = EINET_UNTIL_STOPPED;

    int rc = einet_workload_parse(workload_text, strlen(workload_text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = einet_run_start(run, &err);
    }
    if (rc == 0) {
        reader.run = run;
        reader.scene = einet_workload_find_task(workload, "scene");
        if (watch(&reader, ms) < 0) {
            fprintf(stderr, "no thread to read with\n");
        }
        (void)einet_run_stop(run);
        rc = einet_run_wait(run, -1, &err);
        figures.size_bytes = sizeof figures;
        (void)einet_run_figures(run, reader.scene, &figures);
        printf("scene: %lld answered, %lld late, %lld times preempted\n", (long long)figures.answered,
               (long long)figures.misses, (long long)figures.preemptions);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
