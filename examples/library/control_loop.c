/* A control loop of this program, every 5 ms, releases the task that filters its sensor. The loop goes on by itself;
 * when the filter is late, on_miss says so at once, and the loop falls back to a safe command.
 *
 * usage: control_loop [MILLISECONDS]
 */
#include <einet/einet.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD_NS 5000000

static const char workload_text[] = "version: 1\n"
                                    "name: control-loop\n"
                                    "tasks:\n"
                                    "  - name: filter\n"
                                    "    arrival: { model: external, min_interarrival: 1ms }\n"
                                    "    deadline: 4ms\n"
                                    "    priority: 80\n"
                                    "    late_release: { queue: 1, drop: oldest }\n"
                                    "    stages: [ { name: kalman, kind: cpu, work: { spin: 300us } } ]\n";

struct loop {
    atomic_int newest; /* number of the newest sample that was filtered */
    atomic_int late;   /* samples whose filter was late or did not come */
};

static void on_result(void *context, const struct einet_result *result)
{
    struct loop *loop = context;
    if (result->outcome == EINET_JOB_COMPLETED) {
        atomic_store(&loop->newest, (int)result->tag);
    }
}

static void on_miss(void *context, const struct einet_result *result)
{
    struct loop *loop = context;
    (void)result;
    atomic_fetch_add(&loop->late, 1);
}

static struct timespec after(struct timespec at, long ns)
{
    at.tv_nsec += ns;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* The loop: one sample each period. Returns how many were handed over. */
static int control(struct einet_run *run, int32_t filter, struct loop *loop, int periods)
{
    struct timespec next;
    int released = 0, safe = 0;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (int sample = 1; sample <= periods; sample++) {
        const int late_before = atomic_load(&loop->late);
        released += einet_run_release(run, filter, EINET_NOW, (uint64_t)sample) == 0;
        next = after(next, PERIOD_NS);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        safe += atomic_load(&loop->late) > late_before; /* here the safe command would go out */
    }
    printf("%d samples, %d handed over, %d safe commands\n", periods, released, safe);
    return released;
}

int main(int argc, char **argv)
{
    const int periods = (argc > 1 ? atoi(argv[1]) : 1000) / 5;
    struct loop loop = {0};
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    struct einet_callbacks callbacks = {0};
    struct einet_run_options options = {0};
    struct einet_figures figures = {0};
    callbacks.size_bytes = sizeof callbacks;
    callbacks.context = &loop;
    callbacks.on_result = on_result;
    callbacks.on_miss = on_miss;
    options.size_bytes = sizeof options;
    options.duration_ns = EINET_UNTIL_STOPPED;
    options.callbacks = &callbacks;
    options.callback_priority = 81; /* a miss is heard of before the next sample */

    int rc = einet_workload_parse(workload_text, strlen(workload_text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = einet_run_start(run, &err);
    }
    if (rc == 0) {
        const int released = control(run, einet_workload_find_task(workload, "filter"), &loop, periods);
        (void)einet_run_drain(run);
        rc = einet_run_wait(run, -1, &err);
        figures.size_bytes = sizeof figures;
        (void)einet_run_figures(run, 0, &figures);
        printf("filter: %lld completed, %lld late, p99 %.2f ms; every sample has its result: %s\n",
               (long long)figures.completed, (long long)figures.misses, (double)figures.p99_response_ns / 1e6,
               figures.completed + figures.skipped + figures.dropped + figures.aborted == released ? "yes" : "no");
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
