/* See privileges.h. Each probe does the thing, reads it back and undoes it. */
#include "rt/privileges.h"

#include "rt/thread.h"
#include "rt/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PROGRAM_DEFAULT "build/release/einet"
#define LOCK_ALL_BYTES ((size_t)1 << 30)
#define LOCK_RT_BYTES ((size_t)64 << 20)

static const char *const names[EI_PRIVILEGE_COUNT] = {"fifo", "memory", "affinity", "cpu_dma_latency", "deadline"};

const char *ei_privilege_name(enum ei_privilege privilege)
{
    return names[privilege];
}

static void got(struct ei_privilege_result *result)
{
    result->got = true;
    snprintf(result->got_text, sizeof result->got_text, "%s", result->asked_text);
}

static void not_got(struct ei_privilege_result *result, const char *got_text, const char *reason)
{
    result->got = false;
    snprintf(result->got_text, sizeof result->got_text, "%s", got_text);
    snprintf(result->reason, sizeof result->reason, "%s", reason);
}

/* ---- SCHED_FIFO ---- */

struct fifo_probe {
    int priority;
    int rc;
    struct ei_thread_state state;
};

/* In a thread of its own, so that the caller's scheduling is never touched. */
static void fifo_probe_thread(void *arg)
{
    struct fifo_probe *probe = arg;
    probe->rc = ei_thread_become_fifo(probe->priority, NULL);
    (void)ei_thread_read(0, &probe->state);
}

enum { CAP_IPC_LOCK_BIT = 14, CAP_SYS_NICE_BIT = 23 };

/* Whether the effective or bounding set of this process ("CapEff:", "CapBnd:") has a capability. */
static bool has_capability(const char *set, int bit)
{
    char line[128];
    unsigned long long bits = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, set, strlen(set)) == 0) {
            bits = strtoull(line + strlen(set), NULL, 16);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return (bits >> bit & 1) != 0;
}

/* The file with the real-time runtime of this process's own control group (version 1; version 2 has none). */
static bool rt_runtime_path(char *out_path, size_t size_bytes)
{
    char line[512];
    bool is_found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group != NULL) {
            *group++ = '\0';
            group[strcspn(group, "\n")] = '\0';
            is_found = strcmp(controllers + 1, "cpu") == 0 || strstr(controllers, "cpu,") != NULL;
            snprintf(out_path, size_bytes, "/sys/fs/cgroup/cpu%.80s/cpu.rt_runtime_us", group);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found && access(out_path, R_OK) == 0;
}

/* Outside the bounding set a capability cannot be given to a file: then it is the container that needs it. */
static void name_capability_fix(struct ei_privilege_result *result, const char *program, int bit)
{
    if (has_capability("CapBnd:", bit)) {
        snprintf(result->fix_command, sizeof result->fix_command, "sudo setcap cap_sys_nice,cap_ipc_lock+ep %.90s",
                 program);
    } else {
        snprintf(result->fix_command, sizeof result->fix_command,
                 "docker run --cap-add sys_nice --cap-add ipc_lock ...");
    }
}

/* With the capability a refusal means a control group without real-time runtime; without it, the capability is missing.
 */
static void explain_fifo(struct ei_privilege_result *result, const char *program)
{
    struct rlimit limit = {0};
    char path[128];
    (void)getrlimit(RLIMIT_RTPRIO, &limit);
    if (has_capability("CapEff:", CAP_SYS_NICE_BIT)) {
        const bool has_path = rt_runtime_path(path, sizeof path);
        snprintf(result->reason, sizeof result->reason, "the control group grants no real-time runtime");
        snprintf(result->fix_command, sizeof result->fix_command, "echo 950000 | sudo tee %s",
                 has_path ? path : "/sys/fs/cgroup/cpu/cpu.rt_runtime_us");
        return;
    }
    snprintf(result->reason, sizeof result->reason, "no capability cap_sys_nice and the rtprio limit is %lld",
             (long long)limit.rlim_cur);
    name_capability_fix(result, program, CAP_SYS_NICE_BIT);
}

static void probe_fifo(const struct ei_privilege_ask *ask, struct ei_privilege_result *result, const char *program)
{
    if (ask->top_priority == 0) {
        return;
    }
    result->asked = true;
    snprintf(result->asked_text, sizeof result->asked_text, "SCHED_FIFO up to %d", ask->top_priority);
    struct fifo_probe probe = {.priority = ask->top_priority, .rc = -EAGAIN};
    const struct ei_thread_attr attr = {.name = "fifo-probe", .policy = EI_THREAD_OTHER};
    struct ei_thread thread;
    if (ei_thread_create(&thread, &attr, fifo_probe_thread, &probe, NULL) == 0) {
        (void)ei_thread_join(&thread);
    }
    if (probe.rc == 0 && probe.state.policy == EI_THREAD_FIFO && probe.state.priority == ask->top_priority) {
        got(result);
    } else {
        not_got(result, "SCHED_OTHER", "");
        explain_fifo(result, program);
    }
}

/* ---- memory ---- */

static void probe_memory(const struct ei_privilege_ask *ask, struct ei_privilege_result *result, const char *program)
{
    if (ask->lock_memory == EI_MEMORY_LOCK_NONE) {
        return;
    }
    const bool is_all = ask->lock_memory == EI_MEMORY_LOCK_ALL;
    const size_t wanted = ask->lock_bytes > 0 ? ask->lock_bytes : (is_all ? LOCK_ALL_BYTES : LOCK_RT_BYTES);
    struct rlimit limit = {0};
    result->asked = true;
    snprintf(result->asked_text, sizeof result->asked_text, is_all ? "locked memory" : "locked real-time memory");
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    /* A locked page without a right to more is no proof: raise the question for the whole size, with untouched pages
     * locked on fault, which costs nothing. */
    void *range = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const bool is_locked = range != MAP_FAILED && mlock2(range, wanted, MLOCK_ONFAULT) == 0;
    if (range != MAP_FAILED) {
        munmap(range, wanted);
    }
    if (is_locked) {
        got(result);
        return;
    }
    char reason[EI_PRIVILEGE_TEXT_MAX];
    snprintf(reason, sizeof reason, "the memlock limit is %lld KiB and there is no capability cap_ipc_lock",
             (long long)(limit.rlim_cur / 1024));
    not_got(result, "pageable memory", reason);
    name_capability_fix(result, program, CAP_IPC_LOCK_BIT);
}

/* ---- CPUs ---- */

struct affinity_probe {
    const struct ei_cpuset *cpus;
    int rc;
};

static void affinity_probe_thread(void *arg)
{
    struct affinity_probe *probe = arg;
    probe->rc = ei_topology_bind_self(probe->cpus, NULL);
}

static void probe_affinity(const struct ei_privilege_ask *ask, struct ei_privilege_result *result)
{
    if (ei_cpuset_is_empty(&ask->cpus)) {
        return;
    }
    char list[96];
    ei_cpuset_format(&ask->cpus, list, sizeof list);
    result->asked = true;
    snprintf(result->asked_text, sizeof result->asked_text, "CPUs %s", list);
    struct affinity_probe probe = {.cpus = &ask->cpus, .rc = -EAGAIN};
    const struct ei_thread_attr attr = {.name = "cpu-probe", .policy = EI_THREAD_OTHER};
    struct ei_thread thread;
    if (ei_thread_create(&thread, &attr, affinity_probe_thread, &probe, NULL) == 0) {
        (void)ei_thread_join(&thread);
    }
    if (probe.rc == 0) {
        got(result);
        return;
    }
    struct ei_cpuset may = {{0}};
    (void)ei_topology_allowed(&may, NULL);
    ei_cpuset_format(&may, list, sizeof list);
    char given[EI_PRIVILEGE_TEXT_MAX];
    snprintf(given, sizeof given, "CPUs %s", list);
    not_got(result, given, "outside the CPU set of this process");
    snprintf(result->fix_command, sizeof result->fix_command, "taskset -c %s einet ...", list);
}

/* ---- wake-up latency of idle CPUs ---- */

static void probe_dma_latency(const struct ei_privilege_ask *ask, struct ei_privilege_result *result, int *out_fd)
{
    static const char path[] = "/dev/cpu_dma_latency";
    *out_fd = -1;
    if (ask->cpu_dma_latency_us < 0) {
        return;
    }
    const int32_t latency_us = ask->cpu_dma_latency_us > INT32_MAX ? INT32_MAX : (int32_t)ask->cpu_dma_latency_us;
    result->asked = true;
    snprintf(result->asked_text, sizeof result->asked_text, "CPU wake-up latency <= %d us", latency_us);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && write(fd, &latency_us, sizeof latency_us) == (ssize_t)sizeof latency_us) {
        *out_fd = fd;
        got(result);
        return;
    }
    char reason[EI_PRIVILEGE_TEXT_MAX];
    snprintf(reason, sizeof reason, "cannot hold %s: %s", path, strerror(errno));
    const bool is_missing = errno == ENOENT;
    if (fd >= 0) {
        close(fd);
    }
    not_got(result, "the kernel's idle states", reason);
    snprintf(result->fix_command, sizeof result->fix_command,
             is_missing ? "set platform.cpu_dma_latency: none (this kernel has no %s)" : "sudo chmod o+rw %s", path);
}

/* ---- all of them ---- */

static void list_degraded(struct ei_privileges *p)
{
    p->degraded_count = 0;
    for (int i = 0; i < EI_PRIVILEGE_COUNT; i++) {
        const struct ei_privilege_result *r = &p->results[i];
        if (r->asked && !r->got) {
            snprintf(p->degraded[p->degraded_count++], EI_DEGRADED_TEXT_MAX,
                     "asked %.90s, got %.60s: %.90s (fix: %.110s)", r->asked_text, r->got_text, r->reason,
                     r->fix_command);
        }
    }
}

static int verdict(struct ei_privileges *p, struct einet_error *err)
{
    list_degraded(p);
    if (p->mode == EI_PRIVILEGES_DEGRADE || p->degraded_count == 0) {
        return 0;
    }
    return einet_error_set(err, EINET_E_PRIVILEGE, "privileges are required: %s", p->degraded[0]);
}

int ei_privileges_acquire(const struct ei_privilege_ask *ask, struct ei_privileges *out_privileges,
                          struct einet_error *err)
{
    if (ask->top_priority < 0 || ask->top_priority > 99) {
        return einet_error_set(err, -EINVAL, "a top priority of %d is outside 0 to 99", ask->top_priority);
    }
    const char *program = ask->program != NULL ? ask->program : PROGRAM_DEFAULT;
    struct ei_privileges *p = out_privileges;
    *p = (struct ei_privileges){.mode = ask->mode, .dma_latency_fd = -1};
    probe_fifo(ask, &p->results[EI_PRIVILEGE_FIFO], program);
    probe_memory(ask, &p->results[EI_PRIVILEGE_MEMORY], program);
    probe_affinity(ask, &p->results[EI_PRIVILEGE_AFFINITY]);
    probe_dma_latency(ask, &p->results[EI_PRIVILEGE_DMA_LATENCY], &p->dma_latency_fd);
    if (ask->deadline_threads > 0) {
        p->results[EI_PRIVILEGE_DEADLINE].asked = true;
        snprintf(p->results[EI_PRIVILEGE_DEADLINE].asked_text, EI_PRIVILEGE_TEXT_MAX, "SCHED_DEADLINE for %d threads",
                 ask->deadline_threads);
        got(&p->results[EI_PRIVILEGE_DEADLINE]);
    }
    const int rc = verdict(p, err);
    if (rc < 0) {
        ei_privileges_release(p);
    }
    return rc;
}

int ei_privileges_refused(struct ei_privileges *privileges, enum ei_privilege privilege, const char *got_text,
                          const char *reason, const char *fix_command, struct einet_error *err)
{
    struct ei_privilege_result *result = &privileges->results[privilege];
    not_got(result, got_text, reason);
    snprintf(result->fix_command, sizeof result->fix_command, "%s", fix_command);
    return verdict(privileges, err);
}

void ei_privileges_release(struct ei_privileges *privileges)
{
    if (privileges->dma_latency_fd >= 0) {
        close(privileges->dma_latency_fd);
        privileges->dma_latency_fd = -1;
    }
}
