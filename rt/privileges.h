/* What a real-time run needs from the kernel, asked by doing and read back: a FIFO thread at the top priority, locked
 * memory, CPU affinity, low wake-up latency of idle CPUs. `require` refuses with the one command that fixes it;
 * `degrade` runs on and lists what was not got.
 *
 * Thread: main, at start and end; nothing here is real-time safe.
 */
#ifndef RT_PRIVILEGES_H
#define RT_PRIVILEGES_H

#include "rt/cpuset.h"
#include "rt/memory.h"
#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ei_privilege_mode { EI_PRIVILEGES_DEGRADE, EI_PRIVILEGES_REQUIRE };

enum ei_privilege {
    EI_PRIVILEGE_FIFO,        /* SCHED_FIFO at top_priority */
    EI_PRIVILEGE_MEMORY,      /* lock memory */
    EI_PRIVILEGE_AFFINITY,    /* run on the CPUs that the workload names */
    EI_PRIVILEGE_DMA_LATENCY, /* hold /dev/cpu_dma_latency */
    EI_PRIVILEGE_DEADLINE,    /* SCHED_DEADLINE: the threads try themselves, ei_privileges_refused says who may not */
    EI_PRIVILEGE_COUNT
};

struct ei_privilege_ask {
    enum ei_privilege_mode mode;
    int top_priority;     /* highest FIFO priority of the run, 1..99; 0 = no FIFO thread */
    int deadline_threads; /* that will ask for SCHED_DEADLINE */
    enum ei_memory_lock_mode lock_memory;
    size_t lock_bytes;          /* how much the run will lock; 0 = 1 GiB for ALL, 64 MiB for RT_ONLY */
    struct ei_cpuset cpus;      /* union of all task and lane CPUs; empty = not asked */
    int64_t cpu_dma_latency_us; /* -1 = leave alone */
    const char *program;        /* path to name in setcap; NULL = "build/release/einet"; borrowed for the call */
};

#define EI_PRIVILEGE_TEXT_MAX 160

struct ei_privilege_result {
    bool asked;
    bool got;
    char asked_text[EI_PRIVILEGE_TEXT_MAX];  /* "SCHED_FIFO 80" */
    char got_text[EI_PRIVILEGE_TEXT_MAX];    /* "SCHED_OTHER" */
    char reason[EI_PRIVILEGE_TEXT_MAX];      /* "" when got: why it was refused, one sentence part */
    char fix_command[EI_PRIVILEGE_TEXT_MAX]; /* "" when got: the one command that fixes it */
};

#define EI_DEGRADED_TEXT_MAX 384

struct ei_privileges {
    enum ei_privilege_mode mode;
    struct ei_privilege_result results[EI_PRIVILEGE_COUNT];
    int degraded_count;                                      /* = results asked but not got */
    char degraded[EI_PRIVILEGE_COUNT][EI_DEGRADED_TEXT_MAX]; /* "asked SCHED_FIFO 80, got ...: reason (fix: command)" */
    int dma_latency_fd;                                      /* open while the latency is held, else -1 */
};

/* "fifo", "memory", "affinity", "cpu_dma_latency", "deadline". */
const char *ei_privilege_name(enum ei_privilege privilege);

/* Probe all that is asked. The probes leave nothing behind but the held /dev/cpu_dma_latency: threads become FIFO and
 * memory is locked later, by their owners. Returns 0 (look at degraded_count), or with `require` EINET_E_PRIVILEGE and
 * nothing held; -EINVAL for a senseless ask. *out_privileges is filled in either case but -EINVAL. */
int ei_privileges_acquire(const struct ei_privilege_ask *ask, struct ei_privileges *out_privileges,
                          struct einet_error *err);

/* A privilege that the probe had got was refused later (memory filled the limit, a thread could not become FIFO):
 * record it as not got. Returns 0 in `degrade`, EINET_E_PRIVILEGE with the text in `require`. */
int ei_privileges_refused(struct ei_privileges *privileges, enum ei_privilege privilege, const char *got_text,
                          const char *reason, const char *fix_command, struct einet_error *err);

/* Let go of /dev/cpu_dma_latency. Accepts one that was released already. */
void ei_privileges_release(struct ei_privileges *privileges);

#endif
