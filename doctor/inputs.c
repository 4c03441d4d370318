/* See inputs.h: what the file wants, the words of findings, files below a root. */
#include "doctor/inputs.h"

#include "rt/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what the file wants ---- */

static void add_all(struct ei_cpuset *set, const struct ei_cpuset *more)
{
    for (int cpu = ei_cpuset_next(more, 0); cpu >= 0; cpu = ei_cpuset_next(more, cpu + 1)) {
        ei_cpuset_add(set, cpu);
    }
}

static struct ei_cpuset common(const struct ei_cpuset *a, const struct ei_cpuset *b)
{
    const struct ei_cpuset beyond = ei_cpuset_minus(a, b);
    return ei_cpuset_minus(a, &beyond);
}

static void want_backend(struct ei_doctor_wants *wants, const struct ei_workload *wl, int32_t lane_idx)
{
    const struct ei_lane_spec *lane = &wl->lanes[lane_idx];
    if (lane->kind == EI_SPEC_LANE_CUDA) {
        wants->is_torch_wanted = true; /* records what the device runs */
        if (lane->fallback_idx >= 0) {
            want_backend(wants, wl, lane->fallback_idx);
        }
        return;
    }
    wants->is_torch_wanted = wants->is_torch_wanted || lane->backend == EI_SPEC_BACKEND_ATEN;
    wants->is_dnnl_wanted = wants->is_dnnl_wanted || lane->backend == EI_SPEC_BACKEND_DNNL;
    wants->is_any_wanted = wants->is_any_wanted || lane->backend == EI_SPEC_BACKEND_AUTO;
}

/* other_cpus: where a task runs that names none. */
static void add_task(struct ei_doctor_wants *wants, const struct ei_workload *wl, const struct ei_task_spec *task,
                     const struct ei_cpuset *other_cpus)
{
    add_all(&wants->named_cpus, &task->cpus);
    if (task->nn_stage_idx >= 0) {
        const struct ei_stage_spec *nn = &task->stages[task->nn_stage_idx];
        if (wl->models[nn->model_idx].kind != EI_SPEC_MODEL_EMULATE) {
            want_backend(wants, wl, nn->lane_idx);
        }
    }
    if (task->class_ == EI_SPEC_CLASS_OTHER) {
        return;
    }
    const int priority = task->class_ == EI_SPEC_CLASS_FIFO ? task->priority : task->fallback_priority;
    wants->top_priority = priority > wants->top_priority ? priority : wants->top_priority;
    wants->low_priority = wants->low_priority == 0 || priority < wants->low_priority ? priority : wants->low_priority;
    add_all(&wants->task_cpus, ei_cpuset_is_empty(&task->cpus) ? other_cpus : &task->cpus);
    if (task->deadline_ns != EI_NONE_NS && (wants->deadline_ns == 0 || task->deadline_ns < wants->deadline_ns)) {
        wants->deadline_ns = task->deadline_ns;
        wants->deadline_task = task->name;
    }
}

static void want_anything(struct ei_doctor_wants *wants, const struct ei_cpuset *allowed)
{
    *wants = (struct ei_doctor_wants){.top_priority = 98,
                                      .low_priority = 1,
                                      .is_watched = true,
                                      .is_memory_locked = true,
                                      .load_cap = 0.9,
                                      .deadline_task = "",
                                      .task_cpus = *allowed};
}

void ei_doctor_settle_wants(struct ei_doctor_inputs *in, const struct ei_cpuset *allowed)
{
    const struct ei_workload *wl = in->wl;
    struct ei_doctor_wants *wants = &in->wants;
    if (wl == NULL) {
        want_anything(wants, allowed);
        return;
    }
    const struct ei_cpuset housekeeping = common(&wl->platform.housekeeping_cpus, allowed);
    struct ei_cpuset other_cpus = ei_cpuset_minus(allowed, &housekeeping);
    *wants = (struct ei_doctor_wants){
        .is_watched = wl->platform.watchdog > 0,
        .is_memory_locked = wl->platform.lock_memory == EI_SPEC_LOCK_ALL,
        .dma_latency_us =
            wl->platform.cpu_dma_latency_ns == EI_NONE_NS ? -1 : wl->platform.cpu_dma_latency_ns / EI_NS_PER_US,
        .load_cap = wl->platform.rt_load_cap,
        .deadline_task = "",
        .is_housekeeping_shared = ei_cpuset_is_empty(&other_cpus) || ei_cpuset_is_empty(&housekeeping),
    };
    if (ei_cpuset_is_empty(&other_cpus)) {
        other_cpus = *allowed;
    }
    for (int32_t i = 0; i < wl->lane_count; i++) {
        add_all(&wants->named_cpus, &wl->lanes[i].cpus);
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        add_task(wants, wl, &wl->tasks[i], &other_cpus);
    }
    wants->task_cpus = common(&wants->task_cpus, allowed);
    if (ei_cpuset_is_empty(&wants->task_cpus)) {
        wants->task_cpus = other_cpus;
    }
}

/* ---- words ---- */

static void say(char out[EI_DOCTOR_TEXT_MAX], const char *fmt, va_list arguments) EINET_PRINTF(2, 0);

static void say(char out[EI_DOCTOR_TEXT_MAX], const char *fmt, va_list arguments)
{
    vsnprintf(out, EI_DOCTOR_TEXT_MAX, fmt, arguments);
}

void ei_found(struct ei_finding *f, const char *fmt, ...)
{
    va_list arguments;
    va_start(arguments, fmt);
    say(f->found, fmt, arguments);
    va_end(arguments);
}

void ei_wanted(struct ei_finding *f, const char *fmt, ...)
{
    va_list arguments;
    va_start(arguments, fmt);
    say(f->wanted, fmt, arguments);
    va_end(arguments);
}

void ei_warn(struct ei_finding *f, const char *fmt, ...)
{
    va_list arguments;
    va_start(arguments, fmt);
    f->verdict = EI_DOCTOR_WARN;
    say(f->fix, fmt, arguments);
    va_end(arguments);
}

void ei_fail(struct ei_finding *f, const char *fmt, ...)
{
    va_list arguments;
    va_start(arguments, fmt);
    f->verdict = EI_DOCTOR_FAIL;
    say(f->fix, fmt, arguments);
    va_end(arguments);
}

const char *ei_doctor_time(int64_t ns)
{
    static char texts[6][24];
    static int next;
    char *text = texts[next++ % 6];
    if (ns < 10 * EI_NS_PER_US) {
        snprintf(text, sizeof texts[0], "%lld ns", (long long)ns);
    } else if (ns < EI_NS_PER_MS) {
        snprintf(text, sizeof texts[0], "%.0f us", (double)ns / 1e3);
    } else {
        snprintf(text, sizeof texts[0], "%.1f ms", (double)ns / 1e6);
    }
    return text;
}

/* ---- files ---- */

static FILE *open_below(const struct ei_doctor_inputs *in, const char *path)
{
    char whole[1024];
    const int length = snprintf(whole, sizeof whole, "%s%s", in->root, path);
    return length > 0 && (size_t)length < sizeof whole ? fopen(whole, "re") : NULL;
}

bool ei_doctor_line(const struct ei_doctor_inputs *in, const char *path, char *out, size_t size_bytes)
{
    FILE *file = open_below(in, path);
    const bool is_read = file != NULL && fgets(out, (int)size_bytes, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (!is_read) {
        out[0] = '\0';
    }
    out[strcspn(out, "\n")] = '\0';
    return is_read;
}

bool ei_doctor_number(const struct ei_doctor_inputs *in, const char *path, int64_t *out)
{
    char line[64], *end;
    if (!ei_doctor_line(in, path, line, sizeof line)) {
        return false;
    }
    const long long number = strtoll(line, &end, 10);
    *out = number;
    return end != line;
}

bool ei_doctor_exists(const struct ei_doctor_inputs *in, const char *path)
{
    char whole[1024];
    const int length = snprintf(whole, sizeof whole, "%s%s", in->root, path);
    return length > 0 && (size_t)length < sizeof whole && access(whole, F_OK) == 0;
}

void ei_doctor_chosen(const char *line, char *out, size_t size_bytes)
{
    const char *start = strpbrk(line, "[(");
    const size_t length = start != NULL ? strcspn(start + 1, "])") : 0;
    snprintf(out, size_bytes, "%.*s", (int)length, start != NULL ? start + 1 : "");
}

/* Whether a list "cpu,cpuacct" has the name. */
static bool has_controller(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strcspn(at, ",") == length && strncmp(at, name, length) == 0) {
            return true;
        }
    }
    return false;
}

bool ei_doctor_group(const struct ei_doctor_inputs *in, const char *controller, char *out, size_t size_bytes)
{
    char line[1024];
    bool is_found = false;
    FILE *file = open_below(in, "/proc/self/cgroup");
    while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group != NULL) {
            *group++ = '\0';
            group[strcspn(group, "\n")] = '\0';
            is_found = has_controller(controllers + 1, controller);
            snprintf(out, size_bytes, "%s", group);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found;
}
