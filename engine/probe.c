/* The noise probe: one thread per task CPU above all tasks. It wakes every 250 us, half a period out of phase with t0,
 * and records how late it woke: time in which no task of ours held the CPU, since it outranks them all. Why so often:
 * ADR 5. Tasks of class deadline outrank the probe; what their threads used since it woke last, on whatever CPU, is
 * taken off its lateness, so that what is left was none of ours.
 */
#include "engine/run_state.h"

#define PERIOD_NS (250 * EI_NS_PER_US)
#define PHASE_NS (PERIOD_NS / 2)
#define PRIORITY 99
#define PROBE_STACK_BYTES ((size_t)64 * 1024)

/* The first point of the probes' grid after now_ns; t0 is settled while probes already run. */
static int64_t next_wake_ns(struct ei_run *run, int64_t now_ns)
{
    const int64_t phase_ns = (atomic_load_explicit(&run->t0_ns, memory_order_relaxed) + PHASE_NS) % PERIOD_NS;
    return now_ns - (now_ns - phase_ns) % PERIOD_NS + PERIOD_NS;
}

static void probe_thread(void *arg)
{
    struct ei_probe *probe = arg;
    struct ei_run *run = probe->run;
    int64_t expected_ns = next_wake_ns(run, ei_mono_now().ns), used_ns = ei_run_deadline_used_ns(run);
    while (atomic_load_explicit(&run->is_probing, memory_order_relaxed)) {
        ei_mono_sleep_until((struct ei_mono){expected_ns});
        const int64_t actual_ns = ei_mono_now().ns;
        const int64_t now_used_ns = ei_run_deadline_used_ns(run);
        const int64_t since_ns = expected_ns + (now_used_ns > used_ns ? now_used_ns - used_ns : 0);
        const struct ei_record record = {
            .kind = EI_RECORD_GAP,
            .u.gap = {.cpu = probe->cpu,
                      .expected_ns = since_ns < actual_ns ? since_ns : actual_ns,
                      .actual_ns = actual_ns},
        };
        used_ns = now_used_ns;
        (void)ei_spsc_ring_push(&probe->ring, &record);
        expected_ns = next_wake_ns(run, actual_ns);
    }
}

bool ei_run_is_probe_outranked(const struct ei_run *run)
{
    return run->probe_count > 0 && !run->privileges.results[EI_PRIVILEGE_FIFO].got;
}

int ei_probes_start(struct ei_run *run, struct einet_error *err)
{
    atomic_store(&run->is_probing, true);
    const bool is_fifo = !ei_run_is_probe_outranked(run);
    for (int32_t i = 0; i < run->probe_count; i++) {
        struct ei_probe *probe = &run->probes[i];
        struct ei_thread_attr attr = {
            .name = "probe",
            .policy = is_fifo ? EI_THREAD_FIFO : EI_THREAD_OTHER,
            .priority = is_fifo ? PRIORITY : 0,
            .stack_bytes = PROBE_STACK_BYTES,
        };
        ei_cpuset_add(&attr.cpus, probe->cpu);
        const int rc = ei_thread_create(&probe->thread, &attr, probe_thread, probe, err);
        if (rc < 0) {
            return rc;
        }
        probe->has_thread = true;
    }
    return 0;
}

void ei_probes_stop(struct ei_run *run)
{
    atomic_store(&run->is_probing, false);
    for (int32_t i = 0; i < run->probe_count; i++) {
        if (run->probes[i].has_thread) {
            (void)ei_thread_join(&run->probes[i].thread);
            run->probes[i].has_thread = false;
        }
    }
}
