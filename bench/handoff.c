/* The lane hand-off on one CPU beside a bare futex wake-up, alternating in one run.
 *
 * Lane: a FIFO 20 holder, boosted to 40 by its waiter, grants, unlocks and yields (rt/handoff.h); measured from
 * before the grant to the waiter running. Futex: the same two threads, one FUTEX_WAKE from 20 to 40; measured likewise.
 *
 * usage: bench_handoff [CPU [ROUNDS]]
 */
#include "rt/handoff.h"
#include "rt/histogram.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/topology.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW 20
#define HIGH 40
#define ROUNDS_DEFAULT 20000
#define WARMUP 200
#define PARTS 10 /* the spread is that of the medians of ten parts of the run */

struct bench {
    struct ei_handoff_guard guard;
    struct ei_waiter waiter;
    struct ei_boost low;
    atomic_uint bare; /* futex word of the rival */
    struct ei_mono started;
    int rounds;
    struct ei_histogram lane[PARTS], futex[PARTS];
    int rc;
    struct einet_error err;
};

static struct bench bench;

static int part_of(const struct bench *b, int round)
{
    return (int)((int64_t)(round - WARMUP) * PARTS / b->rounds);
}

/* The waiter: outranks the holder on its CPU, so each of its sleeps lets the holder run to the next grant. */
static void run_high(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < b->rounds + WARMUP; i++) {
        ei_handoff_guard_lock(&b->guard);
        ei_waiter_prepare(&b->waiter);
        (void)ei_thread_boost(&b->low, HIGH);
        ei_handoff_guard_unlock(&b->guard);
        (void)ei_waiter_wait(&b->waiter, EI_MONO_NEVER);
        const int64_t lane_ns = ei_mono_diff_ns(ei_mono_now(), b->started);

        while (atomic_load(&b->bare) == 0) {
            syscall(SYS_futex, &b->bare, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        }
        const int64_t futex_ns = ei_mono_diff_ns(ei_mono_now(), b->started);
        atomic_store(&b->bare, 0);
        if (i >= WARMUP) {
            ei_histogram_record(&b->lane[part_of(b, i)], lane_ns);
            ei_histogram_record(&b->futex[part_of(b, i)], futex_ns);
        }
    }
}

static int run_low(struct bench *b, const struct ei_cpuset *cpu)
{
    struct ei_thread high;
    const struct ei_thread_attr attr = {.name = "high", .policy = EI_THREAD_FIFO, .priority = HIGH, .cpus = *cpu};
    int rc = ei_thread_become_fifo(LOW, &b->err);
    if (rc < 0) {
        return rc;
    }
    ei_boost_init_self(&b->low);
    rc = ei_thread_create(&high, &attr, run_high, b, &b->err);
    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < b->rounds + WARMUP; i++) {
        ei_handoff_guard_lock(&b->guard);
        b->started = ei_mono_now();
        (void)ei_handoff_release(&b->guard, &b->waiter, &b->low);
        /* The waiter has run and sleeps on the bare futex now. */
        b->started = ei_mono_now();
        atomic_store(&b->bare, 1);
        syscall(SYS_futex, &b->bare, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        if (i % 1000 == 999) {
            ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 20 * EI_NS_PER_MS)); /* stay far from throttling */
        }
    }
    return ei_thread_join(&high);
}

static struct ei_cpuset cpu_set;

static void low_main(void *arg)
{
    struct bench *b = arg;
    b->rc = run_low(b, &cpu_set);
}

static void print_line(const char *name, const struct ei_histogram parts[PARTS], struct ei_histogram *whole)
{
    int64_t least = INT64_MAX, most = 0;
    ei_histogram_init(whole);
    for (int i = 0; i < PARTS; i++) {
        const int64_t median = ei_histogram_quantile_ns(&parts[i], 0.5);
        least = median < least ? median : least;
        most = median > most ? median : most;
        ei_histogram_merge(whole, &parts[i]);
    }
    printf("%-14s p50 %6.2f us (parts %.2f to %.2f)   p99 %6.2f us   max %8.2f us\n", name,
           (double)ei_histogram_quantile_ns(whole, 0.5) / 1e3, (double)least / 1e3, (double)most / 1e3,
           (double)ei_histogram_quantile_ns(whole, 0.99) / 1e3, (double)ei_histogram_max_ns(whole) / 1e3);
}

int main(int argc, char **argv)
{
    static struct ei_histogram lane, futex;
    struct ei_thread thread;
    struct ei_machine machine;
    struct ei_cpuset allowed;
    struct einet_error err = {0};
    if (ei_topology_allowed(&allowed, &err) < 0 || ei_machine_describe(&machine, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int cpu = argc > 1 ? atoi(argv[1]) : -1;
    if (cpu < 0) { /* the last allowed one: the first gets most interrupts */
        for (int at = ei_cpuset_next(&allowed, 0); at >= 0; at = ei_cpuset_next(&allowed, at + 1)) {
            cpu = at;
        }
    }
    ei_cpuset_add(&cpu_set, cpu);
    bench.rounds = argc > 2 && atoi(argv[2]) >= PARTS ? atoi(argv[2]) : ROUNDS_DEFAULT;
    for (int i = 0; i < PARTS; i++) {
        ei_histogram_init(&bench.lane[i]);
        ei_histogram_init(&bench.futex[i]);
    }
    ei_waiter_init(&bench.waiter);
    if (ei_handoff_guard_init(&bench.guard, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    (void)ei_memory_lock(EI_MEMORY_LOCK_ALL, NULL);
    const struct ei_thread_attr attr = {.name = "low", .cpus = cpu_set};
    if (ei_thread_create(&thread, &attr, low_main, &bench, &bench.err) < 0 || ei_thread_join(&thread) < 0 ||
        bench.rc < 0) {
        fprintf(stderr, "%s\n", bench.err.text);
        return 3;
    }
    printf("%s, %s, CPU %d, FIFO %d to FIFO %d, %d rounds of each, alternating\n", machine.cpu_model, machine.kernel,
           cpu, LOW, HIGH, bench.rounds);
    print_line("lane hand-off", bench.lane, &lane);
    print_line("bare futex", bench.futex, &futex);
    printf("ratio          p50 %6.2f                                p99 %6.2f\n",
           (double)ei_histogram_quantile_ns(&lane, 0.5) / (double)ei_histogram_quantile_ns(&futex, 0.5),
           (double)ei_histogram_quantile_ns(&lane, 0.99) / (double)ei_histogram_quantile_ns(&futex, 0.99));
    return 0;
}
