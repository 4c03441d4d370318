/* See deadline.h. The C library has no wrapper for sched_setattr. */
#include "rt/deadline.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POLICY_DEADLINE 6

/* struct sched_attr of Linux 3.14 (SCHED_ATTR_SIZE_VER0); its name is taken by newer C libraries. */
struct kernel_attr {
    uint32_t size; /* of this struct: the kernel takes older and newer ones */
    uint32_t policy;
    uint64_t flags;
    int32_t nice;                       /* of SCHED_OTHER */
    uint32_t priority;                  /* of SCHED_FIFO */
    uint64_t runtime, deadline, period; /* of SCHED_DEADLINE, ns */
};

static int online_cpus(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static int own_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : online_cpus();
}

static void explain(int code, struct ei_deadline_refusal *out)
{
    if (code == EPERM && own_cpus() < online_cpus()) {
        snprintf(out->reason, sizeof out->reason, "it may use %d of %d CPUs, the kernel wants all of them", own_cpus(),
                 online_cpus());
        snprintf(out->fix, sizeof out->fix, "leave the task's cpus out, and start einet without taskset or cpuset");
    } else if (code == EPERM) {
        snprintf(out->reason, sizeof out->reason, "no capability cap_sys_nice, or not all CPUs of its root domain");
        snprintf(out->fix, sizeof out->fix, "sudo setcap cap_sys_nice,cap_ipc_lock+ep on the program; no cpuset");
    } else if (code == EBUSY) {
        snprintf(out->reason, sizeof out->reason,
                 "all deadline tasks together pass the bandwidth that the kernel admits");
        snprintf(out->fix, sizeof out->fix,
                 "shorter budgets, or sudo sysctl kernel.sched_rt_runtime_us=990000 (default: 95 %% of all CPUs)");
    } else if (code == EINVAL) {
        snprintf(out->reason, sizeof out->reason, "runtime or period outside the limits of this kernel");
        snprintf(out->fix, sizeof out->fix,
                 "budgets of 2 us or more; a period within sysctl kernel.sched_deadline_period_{min,max}_us");
    } else {
        snprintf(out->reason, sizeof out->reason, "sched_setattr: %.120s", strerror(code));
        snprintf(out->fix, sizeof out->fix, "a kernel with SCHED_DEADLINE, or class: fifo");
    }
}

int ei_thread_become_deadline(const struct ei_deadline_bandwidth *bandwidth, struct ei_deadline_refusal *out_refusal)
{
    const struct kernel_attr wanted = {.size = sizeof wanted,
                                       .policy = POLICY_DEADLINE,
                                       .runtime = (uint64_t)bandwidth->runtime_ns,
                                       .deadline = (uint64_t)bandwidth->deadline_ns,
                                       .period = (uint64_t)bandwidth->period_ns};
    struct kernel_attr got = {.size = sizeof got};
    *out_refusal = (struct ei_deadline_refusal){.reason = ""};
    if (syscall(SYS_sched_setattr, 0, &wanted, 0U) != 0) {
        const int code = errno;
        explain(code, out_refusal);
        return -code;
    }
    if (syscall(SYS_sched_getattr, 0, &got, (unsigned)sizeof got, 0U) != 0 || got.policy != wanted.policy ||
        got.runtime != wanted.runtime || got.deadline != wanted.deadline || got.period != wanted.period) {
        explain(ENOSYS, out_refusal);
        return -ENOSYS;
    }
    return 0;
}
