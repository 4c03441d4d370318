/* See cpu_load_rt.h. The time is read under the lock, so that it never goes back within one CPU's load. */
#include "engine/cpu_load_rt.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* Linux throttles at 0.95 of a second (sched_rt_runtime_us); stay a hundredth of a second below. */
#define HARD_CAP 0.94

double ei_cpu_load_hard_cap(double cap)
{
    return cap > HARD_CAP ? cap : HARD_CAP;
}

int ei_cpu_loads_init(struct ei_cpu_loads *loads, int32_t count, double cap, struct einet_error *err)
{
    struct ei_cpu_load *cpus = calloc((size_t)count, sizeof *cpus);
    if (cpus == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the load of %d CPUs", count);
    }
    for (int32_t i = 0; i < count; i++) {
        const int rc = ei_handoff_guard_init(&cpus[i].guard, err);
        if (rc < 0) {
            while (i-- > 0) {
                ei_handoff_guard_fini(&cpus[i].guard);
            }
            free(cpus);
            return rc;
        }
        ei_load_init(&cpus[i].load, ei_mono_now().ns);
    }
    *loads = (struct ei_cpu_loads){.cpus = cpus, .count = count, .cap = cap, .hard_cap = ei_cpu_load_hard_cap(cap)};
    return 0;
}

void ei_cpu_loads_fini(struct ei_cpu_loads *loads)
{
    for (int32_t i = 0; i < loads->count; i++) {
        ei_handoff_guard_fini(&loads->cpus[i].guard);
    }
    free(loads->cpus);
    *loads = (struct ei_cpu_loads){0};
}

int32_t ei_cpu_loads_enter(struct ei_cpu_loads *loads)
{
    const int32_t cpu = sched_getcpu();
    if (!loads->is_counting || cpu < 0 || cpu >= loads->count) {
        return EI_CPU_LOAD_NONE;
    }
    ei_cpu_loads_enter_on(loads, cpu);
    return cpu;
}

void ei_cpu_loads_enter_on(struct ei_cpu_loads *loads, int32_t cpu)
{
    struct ei_cpu_load *l = &loads->cpus[cpu];
    ei_handoff_guard_lock(&l->guard);
    ei_load_enter(&l->load, ei_mono_now().ns);
    ei_handoff_guard_unlock(&l->guard);
}

void ei_cpu_loads_leave(struct ei_cpu_loads *loads, int32_t cpu)
{
    if (cpu == EI_CPU_LOAD_NONE) {
        return;
    }
    struct ei_cpu_load *l = &loads->cpus[cpu];
    ei_handoff_guard_lock(&l->guard);
    ei_load_leave(&l->load, ei_mono_now().ns);
    ei_handoff_guard_unlock(&l->guard);
}

void ei_cpu_loads_add(struct ei_cpu_loads *loads, int32_t cpu, int64_t used_ns)
{
    if (cpu == EI_CPU_LOAD_NONE || used_ns <= 0) {
        return;
    }
    struct ei_cpu_load *l = &loads->cpus[cpu];
    ei_handoff_guard_lock(&l->guard);
    ei_load_add(&l->load, ei_mono_now().ns, used_ns);
    ei_handoff_guard_unlock(&l->guard);
}

bool ei_cpu_loads_would_pass(struct ei_cpu_loads *loads, int32_t cpu, int64_t extra_ns, double cap)
{
    if (cpu == EI_CPU_LOAD_NONE) {
        return false;
    }
    struct ei_cpu_load *l = &loads->cpus[cpu];
    ei_handoff_guard_lock(&l->guard);
    const bool would_pass = ei_load_would_pass(&l->load, ei_mono_now().ns, extra_ns, cap);
    ei_handoff_guard_unlock(&l->guard);
    return would_pass;
}

bool ei_cpu_loads_would_crowd(struct ei_cpu_loads *loads, int32_t cpu, int64_t extra_ns)
{
    if (cpu == EI_CPU_LOAD_NONE) {
        return false;
    }
    struct ei_cpu_load *l = &loads->cpus[cpu];
    ei_handoff_guard_lock(&l->guard);
    const bool would_crowd = ei_load_would_crowd(&l->load, ei_mono_now().ns, extra_ns, loads->cap, loads->hard_cap);
    ei_handoff_guard_unlock(&l->guard);
    return would_crowd;
}

void ei_cpu_loads_sample(struct ei_cpu_loads *loads)
{
    for (int32_t i = 0; loads->is_counting && i < loads->count; i++) {
        struct ei_cpu_load *l = &loads->cpus[i];
        ei_handoff_guard_lock(&l->guard);
        const int64_t used_ns = ei_load_used_ns(&l->load, ei_mono_now().ns);
        ei_handoff_guard_unlock(&l->guard);
        const double used = (double)used_ns / (double)EI_LOAD_WINDOW_NS;
        l->sum += used;
        l->newest = used;
        l->samples++;
        l->peak = used > l->peak ? used : l->peak;
    }
}
