/* Where the OpenMP workers of a thread run. A runtime gives each thread that computes in parallel workers of its own,
 * and these inherit its CPUs, policy and priority at whatever moment they are made: pinned to one CPU with their master
 * they would take turns, and spinning there they would never let it on. So they are placed by name.
 */
#ifndef STAGES_WORKERS_H
#define STAGES_WORKERS_H

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_WORKERS_MAX 64

struct ei_workers_config {
    int32_t threads;              /* 1..EI_WORKERS_MAX, the calling thread among them */
    int32_t cpus[EI_WORKERS_MAX]; /* [threads]: of the calling thread, then of each worker */
    bool is_fifo;                 /* SCHED_FIFO, else SCHED_OTHER */
    int32_t priority;             /* 1..99 with FIFO */
};

/* Place the calling thread and its workers, one per CPU, in every OpenMP runtime that is loaded. The thread has entered
 * its network (ei_network_thread_enter) and run it once. With one thread nothing is done. Returns 0; EINET_E_USAGE (a
 * number out of range, or workers that would spin while they wait: the environment said so before they were loaded);
 * EINET_E_BACKEND (no runtime, or fewer threads than asked for); EINET_E_PRIVILEGE (CPU or priority refused). Not
 * real-time safe. */
int ei_workers_place(const struct ei_workers_config *config, struct einet_error *err);

/* Place those again that the runtime has replaced since: with more than two threads it ends workers when a region needs
 * fewer. Call before each inference, from the thread that placed them; does nothing for others, or with two threads,
 * where no region is smaller. A parallel region: a submit section. */
EINET_RT_SUBMIT void ei_workers_keep(void);

#endif
