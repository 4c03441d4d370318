/* Real-time load per CPU: scheduler/load.h behind one short priority-inheriting lock per CPU. */
#ifndef ENGINE_CPU_LOAD_RT_H
#define ENGINE_CPU_LOAD_RT_H

#include "rt/handoff.h"
#include "scheduler/load.h"

#include <einet/error.h>

#define EI_CPU_LOAD_NONE (-1)

struct ei_cpu_load {
    struct ei_handoff_guard guard;
    struct ei_load load;
    /* sampled by the housekeeper */
    double sum;
    int64_t samples;
    double peak, newest;
};

struct ei_cpu_loads {
    struct ei_cpu_load *cpus; /* by CPU number */
    int32_t count;
    bool is_counting; /* false: no thread is real-time, so nothing is counted or capped; set before the threads start */
    double cap;       /* elastic jobs end early before it */
    double hard_cap;  /* jobs whose first answer would pass it are not started; below Linux's 0.95 */
};

/* The hard cap that goes with a cap. */
double ei_cpu_load_hard_cap(double cap);

/* count: highest CPU number + 1. Returns 0, -ENOMEM or the lock's error. */
int ei_cpu_loads_init(struct ei_cpu_loads *loads, int32_t count, double cap, struct einet_error *err);
void ei_cpu_loads_fini(struct ei_cpu_loads *loads);

/* The calling thread becomes active on the CPU it runs on; returns that CPU, to be given to leave, or EI_CPU_LOAD_NONE
 * when nothing is counted. */
EINET_RT int32_t ei_cpu_loads_enter(struct ei_cpu_loads *loads);
/* The same for another CPU, on which threads of the calling one work. Only where enter returned a CPU. */
EINET_RT void ei_cpu_loads_enter_on(struct ei_cpu_loads *loads, int32_t cpu);
/* cpu may be EI_CPU_LOAD_NONE: then nothing happens. */
EINET_RT void ei_cpu_loads_leave(struct ei_cpu_loads *loads, int32_t cpu);
/* Count used_ns of a thread that was not active, between leave and enter. */
EINET_RT void ei_cpu_loads_add(struct ei_cpu_loads *loads, int32_t cpu, int64_t used_ns);
/* Whether extra_ns more on this CPU would pass the share `cap` of a second. */
EINET_RT bool ei_cpu_loads_would_pass(struct ei_cpu_loads *loads, int32_t cpu, int64_t extra_ns, double cap);

/* Whether extra_ns of work that could be left out would pass the cap or use up what others may need: scheduler/load.h.
 */
EINET_RT bool ei_cpu_loads_would_crowd(struct ei_cpu_loads *loads, int32_t cpu, int64_t extra_ns);

/* Take one sample of every CPU, for the report. Thread: the housekeeper. */
void ei_cpu_loads_sample(struct ei_cpu_loads *loads);

#endif
