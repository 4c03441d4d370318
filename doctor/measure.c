/* See measure.h: rights by doing, and the order of what takes time. */
#include "doctor/measure.h"

#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/topology.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PROBE_PRIORITY 99 /* of a run's noise probe and watchdog */
#define LOOK_NS (300 * EI_NS_PER_MS)
#define CLOCK_READS 1001

/* ---- rights ---- */

struct fifo_try {
    int priority;
    bool is_got;
};

static void try_fifo(void *arg)
{
    struct fifo_try *attempt = arg;
    attempt->is_got = ei_thread_become_fifo(attempt->priority, NULL) == 0;
}

/* Ask for every CPU there can be: the kernel cuts that down to what the control group leaves. */
static void try_all_cpus(void *arg)
{
    struct ei_cpuset *reachable = arg;
    cpu_set_t all;
    struct ei_thread_state state;
    memset(&all, 0xff, sizeof all);
    (void)sched_setaffinity(0, sizeof all, &all);
    if (ei_thread_read(0, &state) == 0) {
        *reachable = state.cpus;
    }
}

/* In a thread of its own, so that the caller's scheduling is never touched. */
static void in_thread(ei_thread_fn fn, void *arg)
{
    const struct ei_thread_attr attr = {.name = "doctor", .policy = EI_THREAD_OTHER};
    struct ei_thread thread;
    if (ei_thread_create(&thread, &attr, fn, arg, NULL) == 0) {
        (void)ei_thread_join(&thread);
    }
}

static int64_t limit_of(rlim_t limit)
{
    return limit == RLIM_INFINITY || limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

static void read_limits(struct ei_doctor_measured *m)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_RTPRIO, &limit);
    m->rtprio_soft = limit_of(limit.rlim_cur);
    m->rtprio_hard = limit_of(limit.rlim_max);
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    m->memlock_soft = limit_of(limit.rlim_cur);
    m->memlock_hard = limit_of(limit.rlim_max);
}

/* As the live engine asks: its noise probes and its watchdog are above every task. */
static void try_rights(struct ei_doctor_inputs *in)
{
    struct ei_doctor_measured *m = &in->measured;
    struct fifo_try attempt = {.priority = in->wants.top_priority};
    struct einet_error err = {0};
    const struct ei_privilege_ask ask = {
        .mode = EI_PRIVILEGES_DEGRADE,
        .top_priority = in->wants.top_priority > 0 ? PROBE_PRIORITY : 0,
        .lock_memory = in->wants.is_memory_locked ? EI_MEMORY_LOCK_ALL : EI_MEMORY_LOCK_NONE,
        .cpu_dma_latency_us = in->wants.dma_latency_us,
        .program = in->program,
    };
    read_limits(m);
    if (attempt.priority > 0) {
        in_thread(try_fifo, &attempt);
    }
    m->is_fifo_got = attempt.is_got;
    ei_doctor_try_deadline(in);
    m->reachable_cpus = m->allowed_cpus; /* unless the thread knows better */
    in_thread(try_all_cpus, &m->reachable_cpus);
    (void)ei_privileges_acquire(&ask, &m->privileges, NULL);
    ei_privileges_release(&m->privileges);
    if (in->wants.is_memory_locked && m->privileges.results[EI_PRIVILEGE_MEMORY].got && !in->is_quick) {
        m->is_lock_all_refused = ei_memory_lock(EI_MEMORY_LOCK_ALL, &err) < 0;
        snprintf(m->lock_all_text, sizeof m->lock_all_text, "%.300s", err.text);
        ei_memory_unlock();
    }
}

/* ---- clocks ---- */

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t resolution_ns(clockid_t clock)
{
    struct timespec ts = {0};
    return clock_getres(clock, &ts) == 0 ? (int64_t)ts.tv_sec * EI_NS_PER_S + ts.tv_nsec : 0;
}

static void measure_clock(struct ei_doctor_measured *m)
{
    static int64_t took_ns[CLOCK_READS];
    for (int i = 0; i < CLOCK_READS; i++) {
        const int64_t before_ns = ei_mono_now().ns;
        took_ns[i] = ei_mono_now().ns - before_ns;
    }
    qsort(took_ns, CLOCK_READS, sizeof took_ns[0], compare);
    m->clock_read_ns = took_ns[CLOCK_READS / 2];
    m->tick_ns = resolution_ns(CLOCK_MONOTONIC_COARSE);
    m->timer_ns = resolution_ns(CLOCK_MONOTONIC);
}

/* ---- steal ---- */

struct steal {
    int64_t stolen, all; /* ticks */
};

/* Of the CPUs that tasks use, from /proc/stat; all is 0 when it cannot be read. */
static struct steal read_steal(const struct ei_doctor_inputs *in)
{
    char path[1024], line[512];
    struct steal sum = {0, 0};
    snprintf(path, sizeof path, "%s/proc/stat", in->root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        long long t[8];
        int cpu;
        if (sscanf(line, "cpu%d %lld %lld %lld %lld %lld %lld %lld %lld", &cpu, &t[0], &t[1], &t[2], &t[3], &t[4],
                   &t[5], &t[6], &t[7]) == 9 &&
            ei_cpuset_has(&in->wants.task_cpus, cpu)) {
            sum.stolen += t[7];
            for (int i = 0; i < 8; i++) {
                sum.all += t[i];
            }
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return sum;
}

static double share(struct steal from, struct steal to)
{
    return to.all > from.all ? (double)(to.stolen - from.stolen) / (double)(to.all - from.all) : -1.0;
}

/* ---- all of it ---- */

void ei_doctor_measure(struct ei_doctor_inputs *in, int needs)
{
    struct ei_doctor_measured *m = &in->measured;
    struct steal before = {0, 0};
    (void)ei_topology_allowed(&m->allowed_cpus, NULL);
    ei_doctor_settle_wants(in, &m->allowed_cpus);
    m->steal_now = m->steal_boot = -1.0;
    if ((needs & EI_DOCTOR_NEEDS_RIGHTS) != 0) {
        try_rights(in);
    }
    if ((needs & EI_DOCTOR_NEEDS_CLOCK) != 0) {
        measure_clock(m);
    }
    if ((needs & EI_DOCTOR_NEEDS_OTHERS) != 0) {
        ei_doctor_list_others(in);
    }
    if ((needs & EI_DOCTOR_NEEDS_STEAL) != 0) {
        before = read_steal(in);
    }
    const int64_t start_ns = ei_mono_now().ns;
    ei_doctor_measure_times(in, needs);
    const bool is_looking = (needs & EI_DOCTOR_NEEDS_STEAL) != 0 || (m->other_count > 0 && !in->is_quick);
    if (is_looking && ei_mono_now().ns - start_ns < LOOK_NS) {
        ei_mono_sleep_until((struct ei_mono){start_ns + LOOK_NS});
    }
    if (m->other_count > 0 && !in->is_quick) {
        ei_doctor_update_others(in, ei_mono_now().ns - start_ns);
    }
    if ((needs & EI_DOCTOR_NEEDS_STEAL) != 0) {
        const struct steal after = read_steal(in), never = {0, 0};
        m->steal_now = share(before, after);
        m->steal_boot = share(never, after);
    }
}
