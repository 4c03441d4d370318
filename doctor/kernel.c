/* Probes of how the kernel was built and is set: preemption, timers, clock source, clock speed, pages. */
#include "doctor/probes.h"

#include "rt/clock.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define SLOW_READ_NS 250 /* of the clock: a system call, not the vDSO */

#if defined(__aarch64__)
#define RT_PACKAGE "linux-image-rt-arm64"
#else
#define RT_PACKAGE "linux-image-rt-amd64"
#endif

/* ---- preemption ---- */

/* The value of a line of the kernel's configuration: "y". gzopen reads what is not compressed, too. */
static bool read_config(const char *path, const char *key, char *out, size_t size_bytes)
{
    char line[512];
    const size_t length = strlen(key);
    bool is_found = false;
    gzFile file = gzopen(path, "rbe");
    while (file != NULL && !is_found && gzgets(file, line, (int)sizeof line) != NULL) {
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out, size_bytes, "%s", line + length + 1);
            is_found = true;
        }
    }
    if (file != NULL) {
        gzclose(file);
    }
    return is_found;
}

static bool has_config(const struct ei_doctor_inputs *in, const char *key)
{
    char path[1024], release[128], value[64];
    snprintf(path, sizeof path, "%s/proc/config.gz", in->root);
    if (read_config(path, key, value, sizeof value)) {
        return strcmp(value, "y") == 0;
    }
    (void)ei_doctor_line(in, "/proc/sys/kernel/osrelease", release, sizeof release);
    snprintf(path, sizeof path, "%.800s/boot/config-%s", in->root, release);
    return read_config(path, key, value, sizeof value) && strcmp(value, "y") == 0;
}

/* Of a kernel that chooses at start: by its debug file, by its command line, by its configuration; "" = unknown. */
static void dynamic_mode(const struct ei_doctor_inputs *in, char *out, size_t size_bytes)
{
    static const struct {
        const char *key, *mode;
    } defaults[] = {{"CONFIG_PREEMPT_NONE", "none"},
                    {"CONFIG_PREEMPT_VOLUNTARY", "voluntary"},
                    {"CONFIG_PREEMPT_LAZY", "lazy"},
                    {"CONFIG_PREEMPT", "full"}};
    char line[4096];
    out[0] = '\0';
    if (ei_doctor_line(in, "/sys/kernel/debug/sched/preempt", line, sizeof line)) {
        ei_doctor_chosen(line, out, size_bytes);
        return;
    }
    const char *given = ei_doctor_line(in, "/proc/cmdline", line, sizeof line) ? strstr(line, "preempt=") : NULL;
    if (given != NULL && (given == line || given[-1] == ' ')) {
        given += strlen("preempt=");
        snprintf(out, size_bytes, "%.*s", (int)strcspn(given, " "), given);
        return;
    }
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0] && out[0] == '\0'; i++) {
        if (has_config(in, defaults[i].key)) {
            snprintf(out, size_bytes, "%s", defaults[i].mode);
        }
    }
}

void ei_probe_preemption(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char version[512], mode[32];
    ei_wanted(out, "PREEMPT_RT, or full preemption");
    if (!ei_doctor_line(in, "/proc/version", version, sizeof version)) {
        ei_found(out, "/proc/version cannot be read");
        ei_warn(out, "uname -v");
        return;
    }
    if (strstr(version, "PREEMPT_RT") != NULL) {
        ei_found(out, "PREEMPT_RT");
    } else if (strstr(version, "PREEMPT_DYNAMIC") != NULL) {
        dynamic_mode(in, mode, sizeof mode);
        ei_found(out, "PREEMPT_DYNAMIC, mode %s", mode[0] != '\0' ? mode : "unknown");
        if (strcmp(mode, "full") != 0) {
            ei_warn(out, "%secho full | sudo tee %s/sys/kernel/debug/sched/preempt",
                    ei_doctor_exists(in, "/sys/kernel/debug/sched") ? ""
                                                                    : "sudo mount -t debugfs none /sys/kernel/debug; ",
                    in->root);
        }
    } else if (strstr(version, " PREEMPT ") != NULL) {
        ei_found(out, "PREEMPT: full preemption");
    } else {
        ei_found(out, "a kernel that is not preempted inside system calls");
        ei_warn(out, "sudo apt-get install " RT_PACKAGE "  # then restart into it");
    }
}

/* ---- clocks ---- */

void ei_probe_timers(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_doctor_measured *m = &in->measured;
    ei_wanted(out, "high-resolution timers: wake-ups that do not wait for a tick");
    ei_found(out, "%lld Hz, timers of %s", (long long)(m->tick_ns > 0 ? EI_NS_PER_S / m->tick_ns : 0),
             ei_doctor_time(m->timer_ns));
    if (m->timer_ns <= 0 || m->timer_ns >= 100 * EI_NS_PER_US) {
        ei_fail(out, "sudo apt-get install " RT_PACKAGE "  # then restart into it, without highres=off");
    }
}

static bool is_word_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The available one that is read without a system call; NULL when there is none. */
static const char *better_source(const char *available)
{
    static const char *const good[] = {"tsc", "arch_sys_counter", "riscv_clocksource", "kvm-clock",
                                       "hyperv_clocksource_tsc_page"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const char *at = strstr(available, good[i]);
        const size_t length = strlen(good[i]);
        if (at != NULL && (at == available || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return good[i];
        }
    }
    return NULL;
}

void ei_probe_clock_source(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    static const char *const slow[] = {"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "xen"};
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char source[64], available[256];
    ei_wanted(out, "a clock that is read without a system call (tsc, arch_sys_counter, kvm-clock)");
    if (!ei_doctor_line(in, path, source, sizeof source)) {
        snprintf(source, sizeof source, "unknown");
    }
    ei_found(out, "%s, %lld ns to read", source, (long long)in->measured.clock_read_ns);
    if (!is_word_of(source, slow, sizeof slow / sizeof slow[0]) && in->measured.clock_read_ns <= SLOW_READ_NS) {
        return;
    }
    (void)ei_doctor_line(in, "/sys/devices/system/clocksource/clocksource0/available_clocksource", available,
                         sizeof available);
    const char *better = better_source(available);
    if (better != NULL && strcmp(better, source) != 0) {
        ei_warn(out, "echo %s | sudo tee %s%s", better, in->root, path);
    } else {
        ei_warn(out, "sudo dmesg | grep -i -e tsc -e clocksource  # says why no better one is offered");
    }
}

/* ---- the processor ---- */

void ei_probe_governor(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_cpuset *cpus = &in->wants.task_cpus;
    char path[128], governor[64];
    ei_wanted(out, "performance on the CPUs of tasks");
    ei_found(out, "the clock speed is not the kernel's to choose");
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
        if (!ei_doctor_line(in, path, governor, sizeof governor)) {
            continue;
        }
        ei_found(out, "%s on CPU %d", governor, cpu);
        if (strcmp(governor, "performance") != 0) {
            ei_warn(out, "echo performance | sudo tee %s/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
                    in->root);
            return;
        }
    }
}

void ei_probe_smt(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    const struct ei_cpuset *cpus = &in->wants.task_cpus;
    char path[128], list[128];
    ei_wanted(out, "no CPU of a task that shares its core with another one");
    ei_found(out, "no core is shared");
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        struct ei_cpuset siblings = {{0}};
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        if (ei_doctor_line(in, path, list, sizeof list) && ei_cpuset_parse(list, &siblings) == 0 &&
            ei_cpuset_count(&siblings) > 1) {
            ei_found(out, "CPUs %s share a core", list);
            ei_warn(out, "echo off | sudo tee %s/sys/devices/system/cpu/smt/control", in->root);
            return;
        }
    }
}

/* ---- pages ---- */

void ei_probe_thp(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    char line[128], chosen[32];
    ei_wanted(out, "madvise: huge pages where einet asks for them, nowhere behind its back");
    if (!ei_doctor_line(in, path, line, sizeof line)) {
        ei_found(out, "a kernel without transparent huge pages");
        return;
    }
    ei_doctor_chosen(line, chosen, sizeof chosen);
    ei_found(out, "%s", chosen);
    if (strcmp(chosen, "madvise") != 0) {
        ei_warn(out, "echo madvise | sudo tee %s%s", in->root, path);
    }
}

void ei_probe_swap(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char path[1024], line[512];
    int areas = -1; /* the first line is a heading */
    long long kib = 0;
    ei_wanted(out, "no swap, or locked memory");
    snprintf(path, sizeof path, "%s/proc/swaps", in->root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        long long size_kib;
        kib += sscanf(line, "%*s %*s %lld", &size_kib) == 1 ? size_kib : 0;
        areas++;
    }
    if (file != NULL) {
        fclose(file);
    }
    if (areas <= 0) {
        ei_found(out, "no swap");
        return;
    }
    const bool is_locked = in->wants.is_memory_locked && in->measured.privileges.results[EI_PRIVILEGE_MEMORY].got;
    ei_found(out, "%lld MiB of swap, %s", kib / 1024, is_locked ? "but memory will be locked" : "memory not locked");
    if (!is_locked) {
        ei_warn(out, "sudo swapoff -a  # or platform.lock_memory: all");
    }
}
