/* Probes of what takes time from real-time tasks: other threads, the hypervisor, whatever makes a thread late. */
#include "doctor/probes.h"

#include "rt/clock.h"

#include <stdio.h>

#define REFERENCE_NS EI_NS_PER_MS /* without a file: a deadline of 1 ms */
#define BUSY_SHARE 0.01           /* of a CPU: more is load, not presence */
#define STEAL_SHARE 0.01

enum { POLICY_DEADLINE = 6 };

/* The shortest deadline that counts, and how it is called. */
static int64_t deadline_of(const struct ei_doctor_inputs *in, char *out_name, size_t size_bytes)
{
    if (in->wants.deadline_ns > 0) {
        snprintf(out_name, size_bytes, "the deadline of '%s', %s", in->wants.deadline_task,
                 ei_doctor_time(in->wants.deadline_ns));
        return in->wants.deadline_ns;
    }
    snprintf(out_name, size_bytes, "1 ms (%s)", in->wl != NULL ? "the file has no deadline" : "no file is given");
    return REFERENCE_NS;
}

/* ---- other threads ---- */

static const struct ei_doctor_other *worst_other(const struct ei_doctor_measured *m)
{
    const struct ei_doctor_other *worst = &m->others[0];
    for (int32_t i = 1; i < m->other_count && i < EI_DOCTOR_OTHERS_MAX; i++) {
        worst = m->others[i].share > worst->share ? &m->others[i] : worst;
    }
    return worst;
}

void ei_probe_others(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    ei_wanted(out, "no other thread at or above SCHED_FIFO %d on CPUs of tasks", in->wants.low_priority);
    if (m->other_count == 0) {
        ei_found(out, "none");
        return;
    }
    const struct ei_doctor_other *worst = worst_other(m);
    char more[32] = "", load[48] = "", priority[32];
    if (m->other_count > 1) {
        snprintf(more, sizeof more, " and %d more", m->other_count - 1);
    }
    if (worst->share >= 0) {
        snprintf(load, sizeof load, ", %.0f %% of a CPU", 100.0 * worst->share);
    }
    snprintf(priority, sizeof priority, worst->policy == POLICY_DEADLINE ? "SCHED_DEADLINE" : "priority %d",
             worst->priority);
    ei_found(out, "%s (process %d, thread %d, %s%s)%s", worst->name, worst->pid, worst->tid, priority, load, more);
    if (worst->share > BUSY_SHARE) {
        ei_fail(out, "sudo chrt --all-tasks --other --pid 0 %d", worst->pid);
    } else {
        ei_warn(out, "sudo chrt --all-tasks --other --pid 0 %d", worst->pid);
    }
}

/* ---- the hypervisor ---- */

void ei_probe_steal(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    ei_wanted(out, "at most %.0f %% of the time of the tasks' CPUs", 100.0 * STEAL_SHARE);
    if (m->steal_boot < 0) {
        ei_found(out, "/proc/stat does not tell");
        ei_warn(out, "cat /proc/stat");
        return;
    }
    ei_found(out, "%.1f %% now, %.1f %% since the start of the machine",
             100.0 * (m->steal_now > 0 ? m->steal_now : 0.0), 100.0 * m->steal_boot);
    if (m->steal_now > STEAL_SHARE || m->steal_boot > STEAL_SHARE) {
        ei_warn(out, "virsh vcpupin GUEST 0 N  # on the host: give this virtual machine CPUs of its own");
    }
}

void ei_probe_gaps(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    char name[96];
    const int64_t limit_ns = deadline_of(in, name, sizeof name) / 2;
    const bool is_fifo = m->privileges.results[EI_PRIVILEGE_FIFO].got;
    ei_wanted(out, "no gap above half of %s", name);
    if (m->gaps.count == 0) {
        ei_found(out, "none above 20 us in %s per CPU%s", ei_doctor_time(m->gap_scan_ns),
                 is_fifo ? "" : ", as an ordinary thread");
        return;
    }
    ei_found(out, "%d above 20 us in %s per CPU%s, the longest %s on CPU %d", m->gaps.count,
             ei_doctor_time(m->gap_scan_ns), is_fifo ? "" : ", as an ordinary thread", ei_doctor_time(m->gaps.max_ns),
             m->gaps.max_cpu);
    if (m->gaps.max_ns > limit_ns) {
        ei_warn(out,
                "sudo hwlatdetect --duration=60 --threshold=100  # tells gaps of the machine from those of programs");
    }
}

static const char late_fix[] =
    "sudo cyclictest --mlockall --smp --priority=95 --duration=60  # again while you stop suspects, one at a time";

void ei_probe_release(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    char name[96];
    const int64_t deadline_ns = deadline_of(in, name, sizeof name);
    ei_wanted(out, "p99 below a tenth, all below half of %s", name);
    if (m->release.count == 0) {
        ei_found(out, "no thread could be started on the CPUs of tasks");
        ei_fail(out, "ulimit -u unlimited");
        return;
    }
    ei_found(out, "%d wake-ups%s, late by %s p50, %s p99, %s at most (CPU %d)", m->release.count,
             m->is_fifo_got ? "" : " of ordinary threads", ei_doctor_time(m->release.p50_ns),
             ei_doctor_time(m->release.p99_ns), ei_doctor_time(m->release.max_ns), m->release.max_cpu);
    if (in->wants.deadline_ns > 0 && m->release.p99_ns >= deadline_ns) {
        ei_fail(out, "%s", late_fix);
    } else if (m->release.p99_ns >= deadline_ns / 10 || m->release.max_ns >= deadline_ns / 2) {
        ei_warn(out, "%s", late_fix);
    }
}
