/* What the live view costs: publishing all figures of a run, reading them as einet top does, printing them for
 * Prometheus. Prints the median of many rounds, in microseconds, and the share of one CPU at four publications a
 * second.
 */
#include "metrics/board.h"
#include "metrics/prometheus.h"
#include "rt/clock.h"
#include "rt/random.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 401
#define JOBS 20000
#define PER_SECOND 4

static struct ei_board board;
static struct ei_board_view view;

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(int64_t *samples_ns)
{
    qsort(samples_ns, ROUNDS, sizeof *samples_ns, compare);
    return (double)samples_ns[ROUNDS / 2] / 1e3;
}

/* Jobs with responses from 0.1 to 100 ms, so that the histograms are as spread as they get. */
static struct ei_collector *fill(int32_t tasks)
{
    static struct ei_metrics_task specs[EI_BOARD_TASKS_MAX];
    struct ei_collector *collector = NULL;
    struct ei_random random;
    ei_random_init(&random, 1, 0);
    for (int32_t i = 0; i < tasks; i++) {
        specs[i] = (struct ei_metrics_task){.name = "task", .deadline_ns = INT64_C(50000000)};
    }
    const struct ei_metrics_run run = {.name = "bench", .version = "0", .duration_ns = 1};
    if (ei_collector_create(&run, specs, tasks, NULL, false, &collector, NULL) < 0) {
        return NULL;
    }
    for (int32_t n = 0; n < JOBS; n++) {
        struct ei_record record = {.kind = EI_RECORD_JOB,
                                   .u.job = {.task_idx = n % tasks, .job_idx = n / tasks, .flags = EI_JOB_SPLIT}};
        record.u.job.finish_ns = 100000 + (int64_t)ei_random_below(&random, 100000000);
        record.u.job.deadline_ns = INT64_MAX;
        ei_collector_add(collector, &record);
    }
    return collector;
}

static void publish(const struct ei_collector *collector, int32_t tasks)
{
    struct ei_board_run run = {.name = "bench", .phase = EI_BOARD_RUNNING, .task_count = tasks};
    for (int32_t i = 0; i < tasks; i++) {
        struct ei_board_task task = {.name = "task"};
        ei_board_take_task(&task, collector, i);
        ei_board_set_task(&board, i, &task);
    }
    ei_board_take_run(&run, collector);
    ei_board_set_run(&board, &run);
}

int main(void)
{
    static int64_t publish_ns[ROUNDS], read_ns[ROUNDS], print_ns[ROUNDS];
    static const int32_t sizes[] = {4, EI_BOARD_TASKS_MAX};
    FILE *nowhere = fopen("/dev/null", "we");
    printf("tasks  publish us  of a CPU  read us  Prometheus us\n");
    for (int s = 0; nowhere != NULL && s < 2; s++) {
        struct ei_collector *collector = fill(sizes[s]);
        if (collector == NULL) {
            return 1;
        }
        for (int i = 0; i < ROUNDS; i++) {
            const int64_t t0_ns = ei_mono_now().ns;
            publish(collector, sizes[s]);
            const int64_t t1_ns = ei_mono_now().ns;
            const int rc = ei_board_read(&board, &view, NULL);
            const int64_t t2_ns = ei_mono_now().ns;
            if (rc < 0 || ei_prometheus_print(&view, nowhere) < 0 || fflush(nowhere) != 0) {
                return 1;
            }
            publish_ns[i] = t1_ns - t0_ns;
            read_ns[i] = t2_ns - t1_ns;
            print_ns[i] = ei_mono_now().ns - t2_ns;
        }
        const double us = median_us(publish_ns);
        printf("%5d  %10.1f  %7.4f%%  %7.1f  %13.1f\n", sizes[s], us, us * PER_SECOND / 1e4, median_us(read_ns),
               median_us(print_ns));
        ei_collector_destroy(collector);
    }
    return nowhere != NULL ? 0 : 1;
}
