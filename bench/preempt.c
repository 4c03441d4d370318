/* How long a preemptor waits beyond the block that runs, when blocks spin on one CPU, beside a bare futex hand-off at
 * the same boundaries, alternating in one run.
 *
 * A FIFO 20 thread holds the lane and spins block after block; at each boundary it looks whether somebody waits. A FIFO
 * 40 thread of the same CPU wakes at random moments, asks for the lane through the engine's gate, and gets it at the
 * next boundary. Measured from the end of the block to the preemptor running; preemptors that saw more than one block
 * end are counted, and there must be none. The rival sets a word and sleeps on it; the boundary wakes it with
 * FUTEX_WAKE.
 *
 * usage: bench_preempt [PREEMPTIONS [CPU]]      default 20000 of each, for blocks of 50, 200 and 1000 us
 */
#include "engine/lane_gate_rt.h"
#include "rt/histogram.h"
#include "rt/memory.h"
#include "rt/random.h"
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
#define REST_EVERY_NS (40 * EI_NS_PER_MS) /* Linux stops FIFO threads that use 950 ms of a second */
#define REST_NS (5 * EI_NS_PER_MS)

enum { LANE, FUTEX, SIDES };

struct bench {
    struct ei_lane_gate gate;
    struct ei_gate_seat low, high;
    atomic_uint word;                /* of the rival: 0 = nobody waits, 1 = waits, 2 = granted */
    atomic_bool is_over, is_resting; /* resting: no block runs, so there is nothing to measure */
    int64_t block_ns;
    int rounds;
    struct ei_mono block_end; /* of the last block */
    int64_t ends;             /* of blocks, so far */
    int64_t late[SIDES];      /* preemptors that had to wait for the end of more than one block */
    struct ei_histogram beyond[SIDES];
    int rc;
    struct einet_error err;
};

static struct bench bench;
static struct ei_cpuset cpu_set;

static void futex(atomic_uint *word, int operation, unsigned value)
{
    (void)syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* Wait as a preemptor and say how long it took beyond the block. The lane is held afterwards with side LANE. */
static void be_granted(struct bench *b, int side, int64_t round)
{
    if (side == LANE) {
        if (!ei_gate_request(&b->gate, &b->high, round, INT64_MAX, ei_mono_now().ns)) {
            ei_gate_wait(&b->high);
        }
        return;
    }
    atomic_store(&b->word, 1);
    while (atomic_load(&b->word) != 2) {
        futex(&b->word, FUTEX_WAIT_PRIVATE, 1);
    }
    atomic_store(&b->word, 0);
}

static void run_high(void *arg)
{
    struct bench *b = arg;
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    ei_boost_init_self(&b->high.boost);
    for (int64_t i = 0; i < (int64_t)SIDES * b->rounds;) {
        const int side = (int)(i % SIDES);
        const int64_t pause_ns = b->block_ns / 2 + (int64_t)(ei_random_unit(&rng) * 2.0 * (double)b->block_ns);
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), pause_ns));
        if (atomic_load(&b->is_resting)) {
            continue;
        }
        const int64_t ended = b->ends; /* the holder cannot run meanwhile: it is lower, on the same CPU */
        be_granted(b, side, i++);
        ei_histogram_record(&b->beyond[side], ei_mono_diff_ns(ei_mono_now(), b->block_end));
        b->late[side] += b->ends > ended + 1;
        if (side == LANE) {
            (void)ei_gate_release(&b->gate, &b->high, ei_mono_now().ns, false);
        }
    }
    atomic_store(&b->is_over, true);
}

static void spin_until(struct ei_mono end)
{
    while (ei_mono_diff_ns(end, ei_mono_now()) > 0) {
    }
}

static void pass_boundary(struct bench *b)
{
    b->block_end = ei_mono_now();
    b->ends++;
    if (ei_gate_is_higher_waiting(&b->gate) && ei_gate_yield(&b->gate, &b->low, b->block_end.ns) != EI_LANE_NOBODY) {
        ei_gate_wait(&b->low);
    }
    if (atomic_load_explicit(&b->word, memory_order_relaxed) == 1) {
        atomic_store(&b->word, 2);
        futex(&b->word, FUTEX_WAKE_PRIVATE, 1);
    }
}

static int run_low(struct bench *b)
{
    struct ei_thread high;
    const struct ei_thread_attr attr = {.name = "high", .policy = EI_THREAD_FIFO, .priority = HIGH, .cpus = cpu_set};
    int rc = ei_thread_become_fifo(LOW, &b->err);
    if (rc < 0) {
        return rc;
    }
    ei_boost_init_self(&b->low.boost);
    (void)ei_gate_request(&b->gate, &b->low, 0, INT64_MAX, ei_mono_now().ns);
    rc = ei_thread_create(&high, &attr, run_high, b, &b->err);
    if (rc < 0) {
        return rc;
    }
    struct ei_mono rested = ei_mono_now();
    while (!atomic_load(&b->is_over)) {
        spin_until(ei_mono_add(ei_mono_now(), b->block_ns));
        pass_boundary(b);
        if (ei_mono_diff_ns(ei_mono_now(), rested) > REST_EVERY_NS && atomic_load(&b->word) == 0) {
            atomic_store(&b->is_resting, true); /* the lane is kept: nobody asks for it now */
            ei_mono_sleep_until(ei_mono_add(ei_mono_now(), REST_NS));
            atomic_store(&b->is_resting, false);
            rested = ei_mono_now();
        }
    }
    return ei_thread_join(&high);
}

static void low_main(void *arg)
{
    struct bench *b = arg;
    b->rc = run_low(b);
}

static int run_blocks(int64_t block_ns, int rounds)
{
    static const char *const names[SIDES] = {"lane gate", "bare futex"};
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "low", .cpus = cpu_set};
    struct einet_error err = {0};
    bench = (struct bench){.block_ns = block_ns, .rounds = rounds};
    int rc = ei_gate_init(&bench.gate, EI_LANE_BY_PRIORITY, &err);
    ei_gate_seat_init(&bench.gate, &bench.low, 0, LOW);
    ei_gate_seat_init(&bench.gate, &bench.high, 1, HIGH);
    for (int side = 0; side < SIDES; side++) {
        ei_histogram_init(&bench.beyond[side]);
    }
    if (rc == 0) {
        rc = ei_thread_create(&thread, &attr, low_main, &bench, &err);
    }
    if (rc == 0) {
        rc = ei_thread_join(&thread);
    }
    if (rc < 0 || bench.rc < 0) {
        fprintf(stderr, "%s%s\n", err.text, bench.err.text);
        return -1;
    }
    for (int side = 0; side < SIDES; side++) {
        printf("blocks of %4lld us  %-10s  beyond the block: p50 %6.2f us  p99 %6.2f us  max %9.2f us   %lld of %d "
               "waited for more than one block\n",
               (long long)(block_ns / EI_NS_PER_US), names[side],
               (double)ei_histogram_quantile_ns(&bench.beyond[side], 0.5) / 1e3,
               (double)ei_histogram_quantile_ns(&bench.beyond[side], 0.99) / 1e3,
               (double)ei_histogram_max_ns(&bench.beyond[side]) / 1e3, (long long)bench.late[side], rounds);
    }
    ei_gate_fini(&bench.gate);
    return 0;
}

int main(int argc, char **argv)
{
    static const int64_t blocks_us[] = {50, 200, 1000};
    struct ei_machine machine;
    struct ei_cpuset allowed;
    struct einet_error err = {0};
    if (ei_topology_allowed(&allowed, &err) < 0 || ei_machine_describe(&machine, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const int rounds = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : ROUNDS_DEFAULT;
    int cpu = argc > 2 ? atoi(argv[2]) : -1;
    if (cpu < 0) { /* the last allowed one: the first gets most interrupts */
        for (int at = ei_cpuset_next(&allowed, 0); at >= 0; at = ei_cpuset_next(&allowed, at + 1)) {
            cpu = at;
        }
    }
    ei_cpuset_add(&cpu_set, cpu);
    (void)ei_memory_lock(EI_MEMORY_LOCK_ALL, NULL);
    printf("%s, %s, CPU %d, FIFO %d by FIFO %d, %d preemptions of each kind, alternating\n", machine.cpu_model,
           machine.kernel, cpu, LOW, HIGH, rounds);
    for (size_t i = 0; i < sizeof blocks_us / sizeof blocks_us[0]; i++) {
        if (run_blocks(blocks_us[i] * EI_NS_PER_US, rounds) < 0) {
            return 3;
        }
    }
    return 0;
}
