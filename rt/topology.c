/* See topology.h. */
#include "rt/topology.h"

#include <errno.h>
#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static hwloc_topology_t topology;
static struct ei_cpuset allowed;
static int load_result;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct ei_cpuset from_hwloc(hwloc_const_cpuset_t set)
{
    struct ei_cpuset cpus = {{0}};
    for (int cpu = hwloc_bitmap_first(set); cpu >= 0 && cpu < EI_CPU_MAX; cpu = hwloc_bitmap_next(set, cpu)) {
        ei_cpuset_add(&cpus, cpu);
    }
    return cpus;
}

static void load_once(void)
{
    if (hwloc_topology_init(&topology) != 0) {
        load_result = EINET_E_FAULT;
        return;
    }
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        load_result = EINET_E_FAULT;
        return;
    }
    hwloc_cpuset_t set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    hwloc_cpuset_t bound = hwloc_bitmap_alloc();
    if (hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(bound)) {
        hwloc_bitmap_and(set, set, bound);
    }
    allowed = from_hwloc(set);
    hwloc_bitmap_free(bound);
    hwloc_bitmap_free(set);
}

int ei_topology_load(struct einet_error *err)
{
    pthread_once(&once, load_once);
    return load_result < 0 ? einet_error_set(err, load_result, "hwloc cannot read this machine's topology") : 0;
}

int ei_topology_allowed(struct ei_cpuset *out_cpus, struct einet_error *err)
{
    const int rc = ei_topology_load(err);
    if (rc == 0) {
        *out_cpus = allowed;
    }
    return rc;
}

int ei_topology_read_self(struct ei_cpuset *out_cpus, struct einet_error *err)
{
    const int rc = ei_topology_load(err);
    if (rc < 0) {
        return rc;
    }
    hwloc_cpuset_t set = hwloc_bitmap_alloc();
    const int read_rc = hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_THREAD);
    const int code = errno;
    if (read_rc == 0) {
        *out_cpus = from_hwloc(set);
    }
    hwloc_bitmap_free(set);
    return read_rc == 0 ? 0 : einet_error_set(err, -code, "cannot read this thread's CPUs: %s", strerror(code));
}

int ei_topology_bind_self(const struct ei_cpuset *cpus, struct einet_error *err)
{
    const int rc = ei_topology_load(err);
    if (rc < 0) {
        return rc;
    }
    char text[128];
    ei_cpuset_format(cpus, text, sizeof text);
    if (ei_cpuset_is_empty(cpus) || !ei_cpuset_is_inside(cpus, &allowed)) {
        return einet_error_set(err, -EINVAL, "CPUs %s are not among those that this process may use", text);
    }
    hwloc_cpuset_t set = hwloc_bitmap_alloc();
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        hwloc_bitmap_set(set, (unsigned)cpu);
    }
    const int bind_rc = hwloc_set_cpubind(topology, set, HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT);
    hwloc_bitmap_free(set);
    struct ei_cpuset got = {{0}};
    if (bind_rc != 0 || ei_topology_read_self(&got, NULL) < 0 || !ei_cpuset_is_equal(&got, cpus)) {
        return einet_error_set(err, EINET_E_PRIVILEGE, "the kernel refused to bind a thread to CPUs %s", text);
    }
    return 0;
}

/* ---- the machine ---- */

static int count_of(hwloc_obj_type_t type)
{
    const int count = hwloc_get_nbobjs_by_type(topology, type);
    return count > 0 ? count : 0;
}

static void read_cpu_model(char *out, size_t size)
{
    const char *model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    if (model == NULL && package != NULL) {
        model = hwloc_obj_get_info_by_name(package, "CPUModel");
    }
    snprintf(out, size, "%s", model != NULL ? model : "");
}

/* First line of a small file, without its line end; "" when it cannot be read. */
static void read_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file != NULL) {
        if (fgets(out, (int)size, file) == NULL) {
            out[0] = '\0';
        }
        fclose(file);
    }
    out[strcspn(out, "\n")] = '\0';
}

static int64_t read_number(const char *path, int64_t otherwise)
{
    char text[32];
    long long number;
    read_line(path, text, sizeof text);
    return sscanf(text, "%lld", &number) == 1 ? number : otherwise;
}

static void read_hypervisor(char *out, size_t size)
{
    char line[4096], vendor[64];
    out[0] = '\0';
    read_line("/sys/hypervisor/type", out, size);
    FILE *file = out[0] == '\0' ? fopen("/proc/cpuinfo", "re") : NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL) {
            read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
            snprintf(out, size, "%.*s", (int)size - 1, vendor[0] != '\0' ? vendor : "yes");
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static const char *preemption_of(const struct utsname *name)
{
    static const char *const models[] = {"PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (strstr(name->version, models[i]) != NULL) {
            return models[i];
        }
    }
    return "none";
}

int ei_machine_describe(struct ei_machine *out_machine, struct einet_error *err)
{
    const int rc = ei_topology_load(err);
    if (rc < 0) {
        return rc;
    }
    struct utsname name = {0};
    *out_machine = (struct ei_machine){.allowed_cpus = allowed};
    read_cpu_model(out_machine->cpu_model, sizeof out_machine->cpu_model);
    if (uname(&name) == 0) {
        snprintf(out_machine->kernel, sizeof out_machine->kernel, "%.50s %.50s %.20s", name.release, name.version,
                 name.machine);
        snprintf(out_machine->preemption, sizeof out_machine->preemption, "%s", preemption_of(&name));
    }
    read_hypervisor(out_machine->hypervisor, sizeof out_machine->hypervisor);
    out_machine->cpu_count = count_of(HWLOC_OBJ_PU);
    out_machine->core_count = count_of(HWLOC_OBJ_CORE);
    out_machine->numa_count = count_of(HWLOC_OBJ_NUMANODE);
    out_machine->memory_bytes = (int64_t)hwloc_get_root_obj(topology)->total_memory;
    out_machine->rt_runtime_us = read_number("/proc/sys/kernel/sched_rt_runtime_us", -2);
    out_machine->rt_period_us = read_number("/proc/sys/kernel/sched_rt_period_us", 0);
    return 0;
}
