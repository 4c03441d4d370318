/* Tasks of class deadline in a live run: their job threads are SCHED_DEADLINE with the sum of their stages' budgets as
 * runtime. Where the kernel refuses, the thread falls back to SCHED_FIFO at the task's deadline-monotonic priority and
 * the run is degraded, or with `privileges: require` it does not start.
 */
#ifndef ENGINE_DEADLINE_CLASS_H
#define ENGINE_DEADLINE_CLASS_H

#include "rt/deadline.h"

#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_live_task;
struct ei_run;

/* Written by the job thread before the run begins. */
struct ei_task_deadline {
    bool is_on;      /* the thread is SCHED_DEADLINE */
    bool is_refused; /* and runs by its fallback priority */
    struct ei_deadline_refusal refusal;
};

/* What the kernel is told of a task; also the model of virtual CPUs. */
struct ei_deadline_bandwidth ei_task_deadline_bandwidth(const struct ei_live_task *task);

/* The thread becomes SCHED_DEADLINE, or else says why not in the task. Thread: the task's own. */
void ei_task_become_deadline(struct ei_live_task *task);

/* All have tried: what was refused degrades the run, or refuses it. Returns 0 or EINET_E_PRIVILEGE. Main thread. */
int ei_run_settle_deadline_class(struct ei_run *run, struct einet_error *err);

/* Processor time that job threads of class deadline have used so far. Threads that have ended count as 0. */
int64_t ei_run_deadline_used_ns(const struct ei_run *run);

#endif
