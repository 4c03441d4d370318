/* Release jitter of a periodic FIFO thread made of rt/: nominal release to thread awake. bench/jitter.sh interleaves it
 * with cyclictest; alone it prints one line.
 *
 * usage: bench_jitter PRIORITY CPU PERIOD_US CYCLES [--ns]
 *   --ns  print every jitter in ns, one a line, instead of the summary
 */
#include "rt/clock.h"
#include "rt/histogram.h"
#include "rt/memory.h"
#include "rt/privileges.h"
#include "rt/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CYCLES_MAX 1000000

struct jitter {
    int64_t period_ns;
    int cycles;
    int priority;
    int64_t *late_ns; /* one per cycle */
    int rc;
    struct einet_error err;
};

static void run_periodic(void *arg)
{
    struct jitter *j = arg;
    (void)ei_memory_prefault_stack(64 * 1024);
    j->rc = ei_thread_become_fifo(j->priority, &j->err);
    if (j->rc < 0) {
        return;
    }
    struct ei_mono release = ei_mono_add(ei_mono_now(), j->period_ns);
    for (int i = 0; i < j->cycles; i++) {
        ei_mono_sleep_until(release);
        j->late_ns[i] = ei_mono_diff_ns(ei_mono_now(), release);
        release = ei_mono_add(release, j->period_ns);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_jitter PRIORITY CPU PERIOD_US CYCLES [--ns]\n");
    return 1;
}

int main(int argc, char **argv)
{
    static struct ei_histogram histogram;
    struct jitter j = {0};
    if (argc < 5) {
        return usage();
    }
    j.priority = atoi(argv[1]);
    j.period_ns = atoll(argv[3]) * EI_NS_PER_US;
    j.cycles = atoi(argv[4]);
    if (j.cycles < 1 || j.cycles > CYCLES_MAX || j.period_ns < EI_NS_PER_US) {
        return usage();
    }
    struct ei_thread_attr attr = {.name = "jitter"};
    ei_cpuset_add(&attr.cpus, atoi(argv[2]));
    const struct ei_privilege_ask ask = {.mode = EI_PRIVILEGES_REQUIRE,
                                         .top_priority = j.priority,
                                         .lock_memory = EI_MEMORY_LOCK_ALL,
                                         .cpus = attr.cpus,
                                         .cpu_dma_latency_us = 0, /* as cyclictest asks by default */
                                         .program = argv[0]};
    struct ei_privileges privileges;
    struct ei_thread thread;
    if (ei_privileges_acquire(&ask, &privileges, &j.err) < 0) {
        fprintf(stderr, "%s\n", j.err.text);
        return 3;
    }
    j.late_ns = calloc((size_t)j.cycles, sizeof *j.late_ns);
    if (j.late_ns == NULL || ei_memory_lock(EI_MEMORY_LOCK_ALL, &j.err) < 0 ||
        ei_thread_create(&thread, &attr, run_periodic, &j, &j.err) < 0 || ei_thread_join(&thread) < 0 || j.rc < 0) {
        fprintf(stderr, "%s\n", j.err.text);
        return 3;
    }
    ei_privileges_release(&privileges);
    ei_histogram_init(&histogram);
    for (int i = 0; i < j.cycles; i++) {
        ei_histogram_record(&histogram, j.late_ns[i]);
        if (argc > 5 && strcmp(argv[5], "--ns") == 0) {
            printf("%" PRId64 "\n", j.late_ns[i]);
        }
    }
    if (argc == 5) {
        printf("p50 %.2f us, p99 %.2f us, max %.2f us over %d cycles\n",
               (double)ei_histogram_quantile_ns(&histogram, 0.5) / 1e3,
               (double)ei_histogram_quantile_ns(&histogram, 0.99) / 1e3, (double)ei_histogram_max_ns(&histogram) / 1e3,
               j.cycles);
    }
    free(j.late_ns);
    return 0;
}
