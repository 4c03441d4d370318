/* Inside of reading rt-app's JSON: one thread object under way, shared by import_rt_app.c (global, threads, what they
 * become) and import_rt_app_phase.c (events of a phase). Private to workloads/.
 *
 *     thread   --- phases, each `loop` times --->  passes  --- cut at the timers --->  chunks
 *
 * A chunk is work that is released at a known time of the cycle; it becomes a task of its own.
 */
#ifndef WORKLOADS_IMPORT_RT_APP_H
#define WORKLOADS_IMPORT_RT_APP_H

#include "workloads/import_draft.h"

#define EI_RT_APP_CHUNKS_MAX 64
#define EI_RT_APP_FOREVER INT64_C(-1)

struct ei_rt_app_chunk {
    struct ei_task_spec task; /* its stages and CPUs */
    struct ei_import_at at;   /* of its first event */
    const char *phase;        /* key of its phase; NULL without phases. Borrowed */
    int32_t idx_in_phase;     /* -1 when it is the only one there */
    int64_t start_ns;         /* of its first release, since the start of the cycle */
    int64_t pass_ns;          /* from pass to pass of its phase */
    int64_t passes;           /* loop of its phase, EI_RT_APP_FOREVER */
    int64_t wait_ns;          /* until the timer behind it: what its slack counts from */
};

struct ei_rt_app_thread {
    struct ei_import_draft *draft;
    const struct ei_json *json;
    const struct ei_json_node *node;
    const struct ei_json_node *phases; /* NULL when the thread is its only phase */
    struct ei_import_at at;
    int64_t instances, delay_ns;
    int64_t loop; /* of the thread, EI_RT_APP_FOREVER */
    struct ei_cpuset cpus;
    bool is_other, is_round_robin, is_deadline;
    int32_t priority;
    int64_t dl_runtime_ns, dl_deadline_ns; /* EI_NONE_NS */
    const struct ei_json_node *timer;      /* the first timer event, NULL = none */
    const char *timer_ref;
    bool is_absolute;
    bool has_endless_phase;         /* the last one: the cycle never comes again */
    bool has_leading, has_trailing; /* work before the first timer of a phase, behind the last */
    int64_t cycle_ns;
    int32_t chunk_count;
    struct ei_rt_app_chunk *chunks; /* EI_RT_APP_CHUNKS_MAX of them */
};

/* Whether rt-app takes this key for an event: by its beginning. */
bool ei_rt_app_is_event(const char *key);

/* Append the chunks of one phase object (or of the thread itself) that is passed `passes` times, and move the cycle on.
 * False when it cannot be expressed or is wrong; reported. */
bool ei_rt_app_phase(struct ei_rt_app_thread *thread, const struct ei_json_node *phase, int64_t passes);

#endif
