/* The watchdog of a run: looks at every real-time task each EI_WATCH_PERIOD_NS (scheduler/watchdog.h) and demotes a
 * thread that has run away to SCHED_OTHER, for the rest of the run: it inherits no priority any more, waits for lanes
 * behind all others from its next job on, and its time is no real-time load any more.
 *
 * Live: a thread above all tasks, on any CPU of the process, since the housekeeper may be what is starved. It runs only
 * when tasks have SCHED_FIFO. The virtual engine takes the same looks by its own clock.
 */
#ifndef ENGINE_WATCHDOG_H
#define ENGINE_WATCHDOG_H

#include "metrics/collector.h"
#include "rt/thread.h"
#include "scheduler/watchdog.h"
#include "workloads/spec.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

struct ei_live_task;
struct ei_run;

/* Of one task. The watchdog writes the demotion and then the flag. */
struct ei_task_watch {
    struct ei_watch watch;
    _Atomic int64_t job_idx; /* that runs; EI_WATCH_NO_JOB = none; written by the job thread */
    atomic_bool is_demoted;
    struct ei_metrics_demotion demotion;
    clockid_t clock;  /* live: of the thread's processor time; since it was made */
    bool is_reported; /* the housekeeper's own: it has said so */
};

struct ei_watchdog {
    struct ei_thread thread;
    bool has_thread;
    atomic_bool is_ending;
    _Atomic int64_t beat_ns; /* the housekeeper's last sign of life */
};

/* Processor time after which a job of the task has run away; EI_WATCH_NO_LIMIT = not every stage has a budget. */
int64_t ei_watch_limit_ns(const struct ei_workload *wl, int32_t task_idx);

/* Take a look at the task; returns true when it is demoted by that, with the demotion noted. Thread: the watchdog's. */
bool ei_watch_task(struct ei_live_task *task, int64_t now_ns, int64_t used_ns, int64_t beat_ns);

/* List the demotions of the run; out: [EI_TASKS_MAX]. Returns how many. */
int32_t ei_watch_demotions(const struct ei_run *run, struct ei_metrics_demotion *out);

/* Start and stop the thread of a live run; 0 or what ei_thread_create returns. Main thread. */
int ei_watchdog_start(struct ei_run *run, struct einet_error *err);
void ei_watchdog_stop(struct ei_run *run);

/* The housekeeper lives, and says on `messages` (may be NULL) which tasks were demoted since it last did. */
void ei_watchdog_beat(struct ei_run *run, FILE *messages);

#endif
