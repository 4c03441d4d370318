/* What of a task may change while its run goes on: priority, deadline, plan, and whether it is released at all.
 *
 *   who changes (change.c, one at a time)             a job thread of the task
 *   -------------------------------------             ------------------------
 *   fill a set that nobody looks at                   a job begins: take = announce the current set, look whether it
 *   current = that set                                  still is; the job keeps it to its end
 *   threads without a job: their SCHED_FIFO priority  its own SCHED_FIFO priority, when that is another
 *                                                     no further job: leave = its own priority likewise
 *
 * So a change holds for every job that begins after the call that made it has returned, and for no job that began
 * before. A set is never written while it is the current one, or announced by a job thread, or what the replanner was
 * given; there is one more than these can hold. Neither side waits: a job thread looks again only when a change came in
 * just then. Real-time safe.
 */
#ifndef ENGINE_SETTINGS_RT_H
#define ENGINE_SETTINGS_RT_H

#include "engine/rehearsal_rt.h"
#include "planner/elastic.h"

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ei_job_slot;
struct ei_live_task;

struct ei_task_settings {
    int32_t priority;    /* as in the spec */
    int64_t deadline_ns; /* likewise: relative, EI_NONE_NS = none */
    bool has_plan;       /* the next two are planned with, in place of the task's and its spare's */
    struct ei_elastic_config elastic, spare;
};

struct ei_task_changes {
    struct ei_task_settings as_filed; /* by the workload file */
    struct ei_task_settings *sets;    /* live: [set_count], for what comes after it; owned */
    int32_t set_count;
    _Atomic(struct ei_task_settings *) current;
    _Atomic(const struct ei_task_settings *) replanned; /* what the replanner was given last; NULL = nothing */
    /* Of the current set, for those who hold none: others who plan with this task, records of what did not run. */
    atomic_int priority;
    _Atomic int64_t deadline_ns;
    /* No releases within [from, until); absolute. INT64_MAX, INT64_MAX = was never paused. */
    _Atomic int64_t paused_from_ns, paused_until_ns;
    int64_t unexpected; /* releases of a pause that the accounting would expect; under the task's guard */
};

/* Nothing has changed. Before the threads start. */
void ei_settings_init(struct ei_live_task *task);

/* A job of the slot begins: from now on ei_slot_settings is its set, and its thread and its claim of a lane have its
 * priority. Thread: the slot's. */
EI_JOB_CODE EINET_RT void ei_settings_take(struct ei_job_slot *slot);

/* The slot has no job any more, and its thread takes the task's present priority. Thread: the slot's. */
EINET_RT void ei_settings_leave(struct ei_job_slot *slot);

/* Whether a release at that time (absolute) falls into a pause; whether one would now. Thread: any. */
EINET_RT bool ei_settings_is_withheld(const struct ei_live_task *task, int64_t release_ns);
EINET_RT bool ei_settings_is_paused(const struct ei_live_task *task);

/* One more release that a pause kept from happening, or refused. Thread: any. */
EINET_RT void ei_settings_count_withheld(struct ei_live_task *task);

/* Give the thread of a slot without a job that priority. Thread: whoever changes. */
void ei_settings_push_priority(struct ei_job_slot *slot, int32_t priority);

#endif
