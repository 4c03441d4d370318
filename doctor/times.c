/* Scans of time on the CPUs of tasks: stretches in which the highest thread did not run, and how late it wakes. One
 * thread per CPU; each writes to storage of its own, read after it was joined.
 */
#include "doctor/measure.h"
#include "rt/clock.h"
#include "rt/thread.h"

#include <stdlib.h>

#define TOP_PRIORITY 99
#define GAP_SCAN_NS (250 * EI_NS_PER_MS)
#define GAP_SCANS_NS (2 * EI_NS_PER_S) /* all CPUs together: they spin one after the other */
#define GAP_NS (20 * EI_NS_PER_US)     /* what counts as a gap */
#define GAPS_MAX 4096
#define RELEASES 1000
#define RELEASE_PERIOD_NS EI_NS_PER_MS
#define RELEASE_CPUS_MAX 64

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void summarise(int64_t *samples_ns, int32_t count, struct ei_doctor_times *out)
{
    out->count = count;
    if (count > 0) {
        qsort(samples_ns, (size_t)count, sizeof samples_ns[0], compare);
        out->p50_ns = samples_ns[count / 2];
        out->p99_ns = samples_ns[(int64_t)count * 99 / 100];
        out->max_ns = samples_ns[count - 1];
    }
}

/* ---- gaps ---- */

struct scan {
    int priority; /* 0 = the right to none */
    int64_t length_ns;
    int32_t count;
    int64_t gaps_ns[GAPS_MAX];
};

static void scan_thread(void *arg)
{
    struct scan *scan = arg;
    if (scan->priority > 0) {
        (void)ei_thread_become_fifo(scan->priority, NULL);
    }
    int64_t last_ns = ei_mono_now().ns;
    const int64_t end_ns = last_ns + scan->length_ns;
    while (last_ns < end_ns) {
        const int64_t now_ns = ei_mono_now().ns;
        if (now_ns - last_ns > GAP_NS && scan->count < GAPS_MAX) {
            scan->gaps_ns[scan->count++] = now_ns - last_ns;
        }
        last_ns = now_ns;
    }
}

/* How long all scans together take. */
static int64_t scans_ns(const struct ei_doctor_inputs *in)
{
    const int32_t cpu_count = ei_cpuset_count(&in->wants.task_cpus);
    const int64_t each_ns = GAP_SCANS_NS / (cpu_count > 0 ? cpu_count : 1);
    return cpu_count * (each_ns < GAP_SCAN_NS ? each_ns : GAP_SCAN_NS);
}

static void tell(const struct ei_doctor_inputs *in, int64_t done_ns, int64_t whole_ns)
{
    if (in->on_progress != NULL) {
        in->on_progress(in->context, "ms measured", (double)done_ns / 1e6, (double)whole_ns / 1e6);
    }
}

static void scan_gaps(struct ei_doctor_inputs *in, int64_t whole_ns)
{
    static struct scan scan;
    static int64_t all_ns[GAPS_MAX];
    struct ei_doctor_measured *m = &in->measured;
    const struct ei_cpuset *cpus = &in->wants.task_cpus;
    const int32_t cpu_count = ei_cpuset_count(cpus);
    int32_t count = 0;
    int64_t longest_ns = 0, done_ns = 0;
    m->gap_scan_ns = cpu_count > 0 ? scans_ns(in) / cpu_count : 0;
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        struct ei_thread_attr attr = {.name = "doctor", .policy = EI_THREAD_OTHER};
        struct ei_thread thread;
        ei_cpuset_add(&attr.cpus, cpu);
        scan.priority = m->privileges.results[EI_PRIVILEGE_FIFO].got ? TOP_PRIORITY : 0;
        scan.length_ns = m->gap_scan_ns;
        scan.count = 0;
        if (ei_thread_create(&thread, &attr, scan_thread, &scan, NULL) == 0) {
            (void)ei_thread_join(&thread);
        }
        for (int32_t i = 0; i < scan.count && count < GAPS_MAX; i++) {
            all_ns[count++] = scan.gaps_ns[i];
            if (scan.gaps_ns[i] > longest_ns) {
                longest_ns = scan.gaps_ns[i];
                m->gaps.max_cpu = cpu;
            }
        }
        done_ns += m->gap_scan_ns;
        tell(in, done_ns, whole_ns);
    }
    summarise(all_ns, count, &m->gaps);
}

/* ---- releases ---- */

struct sleeper {
    struct ei_thread thread;
    int cpu, priority;
    bool has_thread;
    int64_t first_ns;
    int32_t count;
    int64_t late_ns[RELEASES];
};

/* Absolute times: a late wake-up does not move those after it, so each late release of a stall is counted. */
static void sleeper_thread(void *arg)
{
    struct sleeper *sleeper = arg;
    if (sleeper->priority > 0) {
        (void)ei_thread_become_fifo(sleeper->priority, NULL);
    }
    while (sleeper->count < RELEASES) {
        const int64_t due_ns = sleeper->first_ns + sleeper->count * RELEASE_PERIOD_NS;
        ei_mono_sleep_until((struct ei_mono){due_ns});
        sleeper->late_ns[sleeper->count++] = ei_mono_now().ns - due_ns;
    }
}

static void start_sleeper(struct sleeper *sleeper)
{
    struct ei_thread_attr attr = {.name = "doctor", .policy = EI_THREAD_OTHER};
    ei_cpuset_add(&attr.cpus, sleeper->cpu);
    sleeper->has_thread = ei_thread_create(&sleeper->thread, &attr, sleeper_thread, sleeper, NULL) == 0;
}

static void probe_releases(struct ei_doctor_inputs *in)
{
    struct ei_doctor_measured *m = &in->measured;
    const struct ei_cpuset *cpus = &in->wants.task_cpus;
    struct sleeper *sleepers = calloc(RELEASE_CPUS_MAX, sizeof *sleepers);
    int64_t *all_ns = calloc((size_t)RELEASE_CPUS_MAX * RELEASES, sizeof *all_ns);
    int32_t started = 0, count = 0;
    int64_t longest_ns = -1;
    int cpu = ei_cpuset_next(cpus, 0);
    const int64_t first_ns = ei_mono_now().ns + 20 * EI_NS_PER_MS;
    for (; sleepers != NULL && all_ns != NULL && cpu >= 0 && started < RELEASE_CPUS_MAX;
         cpu = ei_cpuset_next(cpus, cpu + 1)) {
        sleepers[started] = (struct sleeper){
            .cpu = cpu,
            .priority = m->is_fifo_got ? in->wants.top_priority : 0,
            /* not all at the same moment: they would disturb each other on shared cores */
            .first_ns = first_ns + started * RELEASE_PERIOD_NS / RELEASE_CPUS_MAX,
        };
        start_sleeper(&sleepers[started++]);
    }
    for (int32_t i = 0; i < started; i++) {
        struct sleeper *sleeper = &sleepers[i];
        if (!sleeper->has_thread) {
            continue;
        }
        (void)ei_thread_join(&sleeper->thread);
        for (int32_t k = 0; k < sleeper->count; k++) {
            all_ns[count++] = sleeper->late_ns[k];
            if (sleeper->late_ns[k] > longest_ns) {
                longest_ns = sleeper->late_ns[k];
                m->release.max_cpu = sleeper->cpu;
            }
        }
    }
    if (count > 0) {
        summarise(all_ns, count, &m->release);
    }
    free(all_ns);
    free(sleepers);
}

void ei_doctor_measure_times(struct ei_doctor_inputs *in, int needs)
{
    const bool has_gaps = (needs & EI_DOCTOR_NEEDS_GAPS) != 0, has_releases = (needs & EI_DOCTOR_NEEDS_RELEASE) != 0;
    const int64_t gaps_ns = has_gaps ? scans_ns(in) : 0;
    const int64_t whole_ns = gaps_ns + (has_releases ? RELEASES * RELEASE_PERIOD_NS : 0);
    if (has_gaps) {
        scan_gaps(in, whole_ns);
    }
    if (has_releases) {
        probe_releases(in);
        tell(in, whole_ns, whole_ns);
    }
}
