/* CPUs and the machine, through hwloc. The topology is loaded once per process, at the first call, and is immutable
 * from then on; call ei_topology_load early in main so that "allowed" means what the process was started with.
 */
#ifndef RT_TOPOLOGY_H
#define RT_TOPOLOGY_H

#include "rt/cpuset.h"
#include <einet/error.h>
#include <stdint.h>

/* Load the topology now. Every other call does it on demand. Returns 0 or EINET_E_FAULT.
 * Thread: any; allocates and reads /sys, not real-time safe. */
int ei_topology_load(struct einet_error *err);

/* The CPUs this process may use: its cgroup's set cut with the affinity it had when the topology was loaded.
 * Returns 0 or a negative code. Thread: any, not real-time safe. */
int ei_topology_allowed(struct ei_cpuset *out_cpus, struct einet_error *err);

/* Bind the calling thread to cpus and read back what the kernel gave. Returns 0; -EINVAL when cpus is empty or not
 * inside the allowed set; EINET_E_PRIVILEGE when the kernel refused or gave another set. Not real-time safe. */
int ei_topology_bind_self(const struct ei_cpuset *cpus, struct einet_error *err);

/* The calling thread's binding as the kernel reports it. Returns 0 or a negative code. Not real-time safe. */
int ei_topology_read_self(struct ei_cpuset *out_cpus, struct einet_error *err);

#define EI_MACHINE_TEXT_MAX 128

struct ei_machine {
    char cpu_model[EI_MACHINE_TEXT_MAX]; /* "" = unknown */
    char kernel[EI_MACHINE_TEXT_MAX];    /* release, version and machine as uname prints them */
    char preemption[32];                 /* "PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT" or "none" */
    char hypervisor[32];                 /* "" = none seen */
    int cpu_count;                       /* logical CPUs of the machine */
    int core_count;
    int numa_count;
    struct ei_cpuset allowed_cpus;
    int64_t memory_bytes;
    int64_t rt_runtime_us; /* kernel.sched_rt_runtime_us; -1 = throttling off, -2 = unreadable */
    int64_t rt_period_us;
};

/* Describe the machine. Fields that cannot be read are "" or 0. Returns 0 or a negative code. Not real-time safe. */
int ei_machine_describe(struct ei_machine *out_machine, struct einet_error *err);

#endif
