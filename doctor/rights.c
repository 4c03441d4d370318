/* Probes of what the kernel grants: real-time priority, its share of time, locked memory, CPUs. */
#include "doctor/probes.h"

#include <stdio.h>
#include <string.h>

#define PROBE_PRIORITY 99
#define GROUP_BYTES 256
#define PERIOD_US 1000000 /* of the kernel's real-time bandwidth, when it cannot be read */

/* ---- SCHED_FIFO ---- */

/* The file with the real-time runtime of this process's control group of version 1; false where there is none. In a
 * container the group's own path may not be there: then what is mounted is the group. */
static bool runtime_path(const struct ei_doctor_inputs *in, char *out, size_t size_bytes)
{
    char group[GROUP_BYTES];
    if (!ei_doctor_group(in, "cpu", group, sizeof group)) {
        return false;
    }
    snprintf(out, size_bytes, "/sys/fs/cgroup/cpu%s%scpu.rt_runtime_us", group, group[1] == '\0' ? "" : "/");
    if (!ei_doctor_exists(in, out)) {
        snprintf(out, size_bytes, "/sys/fs/cgroup/cpu/cpu.rt_runtime_us");
    }
    return ei_doctor_exists(in, out);
}

/* Whether the control group of version 1 leaves no real-time runtime at all. */
static bool is_group_empty(const struct ei_doctor_inputs *in)
{
    char path[GROUP_BYTES + 64];
    int64_t runtime_us = 0;
    return runtime_path(in, path, sizeof path) && ei_doctor_number(in, path, &runtime_us) && runtime_us == 0;
}

/* What the privilege says helps, with the whole path of the program, which its own text may cut. */
static void fail_right(const struct ei_doctor_inputs *in, const struct ei_privilege_result *probe,
                       struct ei_finding *out)
{
    static const char capabilities[] = "sudo setcap cap_sys_nice,cap_ipc_lock+ep ";
    if (strncmp(probe->fix_command, capabilities, sizeof capabilities - 1) == 0) {
        ei_fail(out, "%s'%s'", capabilities, in->program);
    } else {
        ei_fail(out, "%s", probe->fix_command);
    }
}

void ei_probe_fifo(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_privilege_result *probe = &in->measured.privileges.results[EI_PRIVILEGE_FIFO];
    const int top = in->wants.top_priority;
    if (top == 0) {
        ei_found(out, "no task of the file is real-time");
        ei_wanted(out, "nothing");
        return;
    }
    ei_wanted(out, "a thread of SCHED_FIFO %d, and %d for noise probe and watchdog", top, PROBE_PRIORITY);
    if (probe->got && in->measured.is_fifo_got) {
        ei_found(out, "SCHED_FIFO %d and %d granted and read back", top, PROBE_PRIORITY);
        return;
    }
    if (in->measured.is_fifo_got) {
        ei_found(out, "SCHED_FIFO %d granted, %d refused: %s", top, PROBE_PRIORITY, probe->reason);
    } else {
        ei_found(out, "SCHED_FIFO %d refused: %s", top, probe->reason);
    }
    fail_right(in, probe, out);
}

void ei_probe_deadline(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_deadline *deadline = &in->measured.deadline;
    if (deadline->threads == 0) {
        ei_found(out, "no task of class deadline");
        ei_wanted(out, "nothing");
        return;
    }
    ei_wanted(out, "SCHED_DEADLINE for %d threads at the same time", deadline->threads);
    if (deadline->is_refused) {
        ei_found(out, "refused: %s", deadline->reason);
        ei_fail(out, "# %s", deadline->fix);
    } else {
        ei_found(out, "granted to all %d and read back", deadline->threads);
    }
}

void ei_probe_rtprio(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    const bool is_refused = in->wants.top_priority > 0 && !m->privileges.results[EI_PRIVILEGE_FIFO].got;
    ei_wanted(out, "rtprio limit %d, or a right that needs none", in->wants.top_priority > 0 ? PROBE_PRIORITY : 0);
    ei_found(out, "limit %lld (hard %lld)%s", (long long)m->rtprio_soft, (long long)m->rtprio_hard,
             is_refused || m->rtprio_soft >= PROBE_PRIORITY ? "" : ", not needed");
    if (!is_refused || m->rtprio_soft >= PROBE_PRIORITY || is_group_empty(in)) {
        return;
    }
    if (m->rtprio_hard >= PROBE_PRIORITY) {
        ei_fail(out, "ulimit -r %d", PROBE_PRIORITY);
    } else {
        ei_fail(out,
                "echo \"$USER - rtprio %d\" | sudo tee /etc/security/limits.d/einet.conf  # from the next login on",
                PROBE_PRIORITY);
    }
}

/* ---- its share of time ---- */

void ei_probe_cgroup(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char path[GROUP_BYTES + 64], period_path[GROUP_BYTES + 64], group[GROUP_BYTES];
    int64_t runtime_us = 0, period_us = PERIOD_US;
    const double cap = in->wants.load_cap;
    ei_wanted(out, "real-time runtime for at least %.0f %% of the time", 100.0 * cap);
    if (!runtime_path(in, path, sizeof path) || !ei_doctor_number(in, path, &runtime_us)) {
        const bool is_v2 = ei_doctor_group(in, "", group, sizeof group);
        const bool is_refused = in->wants.top_priority > 0 && !in->measured.is_fifo_got;
        ei_found(out, "%s; SCHED_FIFO %s", is_v2 ? "a group of version 2, which has no file for it" : "no limit",
                 in->wants.top_priority == 0 ? "was not tried" : (is_refused ? "was refused in it" : "works in it"));
        return;
    }
    snprintf(period_path, sizeof period_path, "%.*s/cpu.rt_period_us", (int)(strrchr(path, '/') - path), path);
    (void)ei_doctor_number(in, period_path, &period_us);
    ei_found(out, "%lld of %lld us in %s", (long long)runtime_us, (long long)period_us, path);
    if (in->wants.top_priority > 0 && runtime_us >= 0 && (double)runtime_us < cap * (double)period_us) {
        ei_fail(out, "echo %lld | sudo tee %s%s", (long long)(period_us / 100 * 95), in->root, path);
    }
}

void ei_probe_throttling(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    static const char path[] = "/proc/sys/kernel/sched_rt_runtime_us";
    int64_t runtime_us = 0, period_us = PERIOD_US;
    const double cap = in->wants.load_cap;
    ei_wanted(out, "at least %.0f %% (platform.rt_load_cap), which einet then keeps itself", 100.0 * cap);
    if (!ei_doctor_number(in, path, &runtime_us)) {
        ei_found(out, "%s cannot be read", path);
        ei_warn(out, "ls -l %s%s", in->root, path);
        return;
    }
    (void)ei_doctor_number(in, "/proc/sys/kernel/sched_rt_period_us", &period_us);
    if (runtime_us < 0) {
        ei_found(out, "off: real-time threads may take a CPU for ever");
        if (!in->wants.is_watched) {
            ei_warn(out, "echo 950000 | sudo tee %s%s  # or platform.watchdog, which stops a runaway", in->root, path);
        }
        return;
    }
    ei_found(out, "real-time threads get %lld of each %lld us", (long long)runtime_us, (long long)period_us);
    if (in->wants.top_priority > 0 && (double)runtime_us < cap * (double)period_us) {
        ei_fail(out, "echo %lld | sudo tee %s%s", (long long)(period_us / 100 * 95), in->root, path);
    }
}

/* ---- memory ---- */

void ei_probe_memory_lock(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    const struct ei_privilege_result *probe = &m->privileges.results[EI_PRIVILEGE_MEMORY];
    if (!in->wants.is_memory_locked) {
        ei_found(out, "the file asks for no locked memory");
        ei_wanted(out, "nothing");
        return;
    }
    ei_wanted(out, "mlockall, and a limit that leaves room for 1 GiB");
    if (probe->got && !m->is_lock_all_refused) {
        ei_found(out, "1 GiB%s locked and let go", in->is_quick ? "" : " and this whole process");
        return;
    }
    if (m->memlock_soft == INT64_MAX) {
        ei_found(out, "refused without a limit: %s", probe->got ? m->lock_all_text : probe->reason);
    } else {
        char hard[32] = "unlimited";
        if (m->memlock_hard != INT64_MAX) {
            snprintf(hard, sizeof hard, "%lld KiB", (long long)(m->memlock_hard / 1024));
        }
        ei_found(out, "refused: the memlock limit is %lld KiB (hard: %s) and there is no right to more",
                 (long long)(m->memlock_soft / 1024), hard);
    }
    if (probe->got || (m->memlock_hard == INT64_MAX && m->memlock_soft != INT64_MAX)) {
        ei_fail(out, "ulimit -l unlimited");
    } else {
        fail_right(in, probe, out);
    }
}

/* ---- CPUs ---- */

void ei_probe_dma_latency(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_privilege_result *probe = &in->measured.privileges.results[EI_PRIVILEGE_DMA_LATENCY];
    if (!probe->asked) {
        ei_found(out, "%s", in->wl != NULL ? "the file leaves it alone" : "no file that asks for it");
        ei_wanted(out, "nothing");
        return;
    }
    ei_wanted(out, "%s, held for the length of a run", probe->asked_text);
    if (probe->got) {
        ei_found(out, "held and let go");
    } else {
        ei_found(out, "%s", probe->reason);
        ei_fail(out, "%s", probe->fix_command);
    }
}

/* The wanted CPUs are beyond what the kernel would give: not switched on, outside the cpuset, or not there at all. */
static void explain_missing(const struct ei_doctor_inputs *in, const struct ei_cpuset *missing, struct ei_finding *out)
{
    char group[GROUP_BYTES], path[GROUP_BYTES + 64], wanted[128];
    int64_t is_online = 1;
    const int cpu = ei_cpuset_next(missing, 0);
    ei_cpuset_format(&in->wants.named_cpus, wanted, sizeof wanted);
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/online", cpu);
    if (ei_doctor_number(in, path, &is_online) && is_online == 0) {
        ei_fail(out, "echo 1 | sudo tee %s%s", in->root, path);
        return;
    }
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d", cpu);
    if (!ei_doctor_exists(in, path)) {
        char may[128];
        ei_cpuset_format(&in->measured.reachable_cpus, may, sizeof may);
        ei_fail(out, "# name CPUs inside %s in %s", may, in->wl != NULL ? in->wl->file : "the file");
        return;
    }
    const bool is_v1 = ei_doctor_group(in, "cpuset", group, sizeof group);
    if (!is_v1 && !ei_doctor_group(in, "", group, sizeof group)) {
        group[0] = '\0';
    }
    snprintf(path, sizeof path, "/sys/fs/cgroup%s%s%scpuset.cpus", is_v1 ? "/cpuset" : "", group,
             group[0] != '\0' && group[1] == '\0' ? "" : "/");
    ei_fail(out, "echo %s | sudo tee %s%s", wanted, in->root, path);
}

void ei_probe_cpus(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    const struct ei_cpuset *wanted = &in->wants.named_cpus;
    char may[128], named[128], reachable[128];
    ei_cpuset_format(&m->allowed_cpus, may, sizeof may);
    ei_cpuset_format(wanted, named, sizeof named);
    ei_cpuset_format(&m->reachable_cpus, reachable, sizeof reachable);
    const bool is_narrowed = !ei_cpuset_is_inside(&m->reachable_cpus, &m->allowed_cpus);
    ei_found(out, "this process may use CPUs %s%s%s", may, is_narrowed ? ", on asking " : "",
             is_narrowed ? reachable : "");
    if (ei_cpuset_is_empty(wanted)) {
        ei_wanted(out, "one CPU for housekeeping beside those of tasks");
    } else {
        ei_wanted(out, "CPUs %s, which the file names", named);
    }
    const struct ei_cpuset missing = ei_cpuset_minus(wanted, &m->reachable_cpus);
    if (!ei_cpuset_is_empty(&missing)) {
        explain_missing(in, &missing, out);
    } else if (!ei_cpuset_is_inside(wanted, &m->allowed_cpus)) {
        ei_fail(out, "taskset -c %s einet run %s", reachable, in->wl != NULL ? in->wl->file : "FILE");
    } else if (ei_cpuset_count(&m->allowed_cpus) < 2 && is_narrowed) {
        ei_warn(out, "taskset -c %s einet run %s", reachable, in->wl != NULL ? in->wl->file : "FILE");
    } else if (ei_cpuset_count(&m->allowed_cpus) < 2) {
        ei_warn(out, "docker run --cpuset-cpus 0,1 ...  # or give the machine a second CPU");
    }
}
