/* What the probes judge: what the workload wants, what measure.c tried, and where files are read. */
#ifndef DOCTOR_INPUTS_H
#define DOCTOR_INPUTS_H

#include "doctor/doctor.h"
#include "rt/cpuset.h"
#include "rt/privileges.h"

#include <stddef.h>

#define EI_DOCTOR_OTHERS_MAX 16
#define EI_DOCTOR_NAME_MAX 32

/* What the file asks of the machine; without a file what any file may ask. */
struct ei_doctor_wants {
    int top_priority;            /* of SCHED_FIFO tasks; 0 = the file has none */
    int low_priority;            /* the lowest of them */
    bool is_watched;             /* by the watchdog */
    bool is_memory_locked;       /* the file says lock_memory: all */
    int64_t dma_latency_us;      /* -1 = leave alone */
    double load_cap;             /* of a CPU, 0..1 */
    int64_t deadline_ns;         /* the shortest of a real-time task; 0 = there is none */
    const char *deadline_task;   /* whose it is; "" */
    struct ei_cpuset named_cpus; /* of tasks and lanes */
    struct ei_cpuset task_cpus;  /* where real-time tasks will run here */
    bool is_housekeeping_shared; /* with tasks, for want of CPUs */
    /* Networks with weights, by what computes them; `any` of lanes that leave it open. */
    bool is_torch_wanted, is_dnnl_wanted, is_any_wanted;
};

/* A thread of somebody else that runs before ours. */
struct ei_doctor_other {
    int32_t pid, tid;
    int policy, priority; /* of the kernel; priority 0 with SCHED_DEADLINE */
    char name[EI_DOCTOR_NAME_MAX];
    struct ei_cpuset cpus;
    int64_t used_ns; /* processor time since it exists */
    double share;    /* of one CPU while we looked, 0..1; -1 = not measured */
};

struct ei_doctor_times {
    int32_t count; /* of samples; 0 = not measured */
    int64_t p50_ns, p99_ns, max_ns;
    int32_t max_cpu; /* where max_ns was */
};

/* SCHED_DEADLINE for the tasks of class deadline. */
struct ei_doctor_deadline {
    int threads; /* that tried together */
    bool is_refused;
    char reason[EI_DOCTOR_TEXT_MAX], fix[EI_DOCTOR_TEXT_MAX]; /* of the first refusal */
};

struct ei_doctor_measured {
    struct ei_cpuset allowed_cpus;   /* of this process since it started */
    struct ei_cpuset reachable_cpus; /* that the kernel would give it on asking */
    bool is_fifo_got;                /* at wants.top_priority */
    struct ei_privileges privileges; /* as a run asks for them */
    struct ei_doctor_deadline deadline;
    bool is_lock_all_refused; /* mlockall, after a range was granted */
    char lock_all_text[EI_DOCTOR_TEXT_MAX];
    int64_t rtprio_soft, rtprio_hard;   /* RLIMIT_RTPRIO */
    int64_t memlock_soft, memlock_hard; /* RLIMIT_MEMLOCK in bytes, INT64_MAX = none */
    int64_t tick_ns, timer_ns;          /* resolution of the coarse and of the fine clock */
    int64_t clock_read_ns;
    struct ei_doctor_times gaps;    /* stretches in which a spinning thread was not running; count: of those > 20 us */
    int64_t gap_scan_ns;            /* for how long, per CPU */
    struct ei_doctor_times release; /* how late a thread wakes */
    double steal_now, steal_boot;   /* share of time that the hypervisor took; -1 = unknown */
    int32_t other_count;            /* threads that run before ours; may exceed the room */
    struct ei_doctor_other others[EI_DOCTOR_OTHERS_MAX];
};

struct ei_doctor_inputs {
    const struct ei_workload *wl; /* NULL = none */
    const char *root;             /* "" = the machine */
    const char *program;
    bool is_quick;
    void (*on_progress)(void *context, const char *unit, double done, double whole); /* NULL = nobody is told */
    void *context;
    struct ei_doctor_wants wants;
    struct ei_doctor_measured measured;
};

/* What a probe needs to have been tried before it judges. */
enum {
    EI_DOCTOR_NEEDS_RIGHTS = 1,
    EI_DOCTOR_NEEDS_CLOCK = 2,
    EI_DOCTOR_NEEDS_OTHERS = 4,
    EI_DOCTOR_NEEDS_STEAL = 8,
    EI_DOCTOR_NEEDS_GAPS = 16,
    EI_DOCTOR_NEEDS_RELEASE = 32
};

/* Fill in->wants from in->wl, for the CPUs that this process may use. */
void ei_doctor_settle_wants(struct ei_doctor_inputs *in, const struct ei_cpuset *allowed);

/* ---- words of a finding ---- */

void ei_found(struct ei_finding *f, const char *fmt, ...) EINET_PRINTF(2, 3);
void ei_wanted(struct ei_finding *f, const char *fmt, ...) EINET_PRINTF(2, 3);
/* The verdict and what fixes it. */
void ei_warn(struct ei_finding *f, const char *fmt, ...) EINET_PRINTF(2, 3);
void ei_fail(struct ei_finding *f, const char *fmt, ...) EINET_PRINTF(2, 3);

/* A duration as people say it, "43 us"; static, six at a time. */
const char *ei_doctor_time(int64_t ns);

/* ---- files below in->root ---- */

/* The first line of a file, without its line end. Returns whether there is one; else out is "". */
bool ei_doctor_line(const struct ei_doctor_inputs *in, const char *path, char *out, size_t size_bytes);
/* A number on the first line. Returns whether there is one. */
bool ei_doctor_number(const struct ei_doctor_inputs *in, const char *path, int64_t *out);
bool ei_doctor_exists(const struct ei_doctor_inputs *in, const char *path);
/* The word in brackets of "always [madvise] never", or of "none (full) lazy"; "" when there is none. */
void ei_doctor_chosen(const char *line, char *out, size_t size_bytes);
/* The group of this process in a hierarchy of version 1 ("cpu", "cpuset"), or with "" in version 2. Returns whether
 * there is one; "/" is the root. */
bool ei_doctor_group(const struct ei_doctor_inputs *in, const char *controller, char *out, size_t size_bytes);

#endif
