/* Threads of other programs that run before ours, from /proc. Kernel threads are left out: they are few, short, and
 * nobody may change them.
 */
#include "doctor/measure.h"
#include "rt/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_THREAD 0x00200000UL /* PF_KTHREAD of the kernel's flags */

enum { POLICY_FIFO = 1, POLICY_RR = 2, POLICY_DEADLINE = 6 };

/* Name, flags, priority and policy of a thread, from its stat file. Returns false when it is gone. */
static bool read_stat(const struct ei_doctor_inputs *in, struct ei_doctor_other *out)
{
    char path[128], line[1024];
    unsigned long flags = 0;
    int priority = 0, policy = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", out->pid, out->tid);
    char *name = ei_doctor_line(in, path, line, sizeof line) ? strchr(line, '(') : NULL;
    char *end = name != NULL ? strrchr(line, ')') : NULL; /* a name may hold brackets itself */
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    snprintf(out->name, sizeof out->name, "%.31s", name + 1);
    /* The fields after the name, numbered from 3 as in proc(5): 9 is flags, 40 rt_priority, 41 policy. */
    int field = 3;
    for (char *save, *word = strtok_r(end + 1, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        flags = field == 9 ? strtoul(word, NULL, 10) : flags;
        priority = field == 40 ? (int)strtol(word, NULL, 10) : priority;
        policy = field == 41 ? (int)strtol(word, NULL, 10) : policy;
        field++;
    }
    out->priority = priority;
    out->policy = policy;
    return field > 41 && (flags & KERNEL_THREAD) == 0;
}

static int64_t read_used_ns(const struct ei_doctor_inputs *in, const struct ei_doctor_other *other)
{
    char path[128];
    int64_t used_ns = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", other->pid, other->tid);
    return ei_doctor_number(in, path, &used_ns) ? used_ns : -1;
}

static void read_cpus(const struct ei_doctor_inputs *in, struct ei_doctor_other *other)
{
    static const char key[] = "Cpus_allowed_list:";
    char path[1024], line[1024];
    snprintf(path, sizeof path, "%s/proc/%d/task/%d/status", in->root, other->pid, other->tid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, sizeof key - 1) == 0) {
            char *list = line + sizeof key - 1;
            list += strspn(list, " \t");
            list[strcspn(list, "\n")] = '\0';
            (void)ei_cpuset_parse(list, &other->cpus);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static bool is_before_ours(const struct ei_doctor_inputs *in, const struct ei_doctor_other *other)
{
    if (other->policy == POLICY_DEADLINE) {
        return true;
    }
    return (other->policy == POLICY_FIFO || other->policy == POLICY_RR) && other->priority >= in->wants.low_priority;
}

static bool shares_cpu(const struct ei_doctor_inputs *in, const struct ei_doctor_other *other)
{
    for (int cpu = ei_cpuset_next(&other->cpus, 0); cpu >= 0; cpu = ei_cpuset_next(&other->cpus, cpu + 1)) {
        if (ei_cpuset_has(&in->wants.task_cpus, cpu)) {
            return true;
        }
    }
    return false;
}

static void look_at(struct ei_doctor_inputs *in, int32_t pid, int32_t tid)
{
    struct ei_doctor_measured *m = &in->measured;
    struct ei_doctor_other other = {.pid = pid, .tid = tid, .share = -1.0};
    if (!read_stat(in, &other) || !is_before_ours(in, &other)) {
        return;
    }
    read_cpus(in, &other);
    if (!shares_cpu(in, &other)) {
        return;
    }
    other.used_ns = read_used_ns(in, &other);
    if (m->other_count < EI_DOCTOR_OTHERS_MAX) {
        m->others[m->other_count] = other;
    }
    m->other_count++;
}

/* The number that a folder's next entry of digits stands for; 0 at its end. */
static int32_t next_number(DIR *dir)
{
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            return (int32_t)strtol(entry->d_name, NULL, 10);
        }
    }
    return 0;
}

static void look_into(struct ei_doctor_inputs *in, int32_t pid)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/proc/%d/task", in->root, pid);
    DIR *tasks = opendir(path);
    for (int32_t tid; tasks != NULL && (tid = next_number(tasks)) > 0;) {
        look_at(in, pid, tid);
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
}

void ei_doctor_list_others(struct ei_doctor_inputs *in)
{
    char path[1024];
    const int32_t self = (int32_t)getpid();
    in->measured.other_count = 0;
    if (in->wants.low_priority == 0) {
        return; /* nobody of ours is real-time */
    }
    snprintf(path, sizeof path, "%s/proc", in->root);
    DIR *proc = opendir(path);
    for (int32_t pid; proc != NULL && (pid = next_number(proc)) > 0;) {
        if (pid != self) {
            look_into(in, pid);
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
}

void ei_doctor_update_others(struct ei_doctor_inputs *in, int64_t elapsed_ns)
{
    struct ei_doctor_measured *m = &in->measured;
    for (int32_t i = 0; i < m->other_count && i < EI_DOCTOR_OTHERS_MAX; i++) {
        struct ei_doctor_other *other = &m->others[i];
        const int64_t used_ns = read_used_ns(in, other);
        if (used_ns >= 0 && other->used_ns >= 0 && elapsed_ns > 0) {
            other->share = (double)(used_ns - other->used_ns) / (double)elapsed_ns;
        }
    }
}
