/* The virtual engine: a checked workload on virtual time. The decisions are those of the live engine
 * (engine/course_rt.h, scheduler/, planner/); CPUs are modelled as Linux' FIFO run queues with affinity
 * (engine/virtual_cpus.h), lanes as in a live run, execution times come from `work: {spin}`, `emulate`, or the profiles
 * beside a model's weights. Needs no privilege, no libtorch, no data set.
 *
 * What a real machine adds is left out: wake-ups, switches, pre- and post-operations and planning take no time, plans
 * are made inline, no noise. Events at one instant are taken in the order that docs/simulation.md gives. The same file,
 * seed and duration give the same bytes everywhere.
 *
 * Thread: any; one call at a time per process.
 */
#ifndef ENGINE_VIRTUAL_H
#define ENGINE_VIRTUAL_H

#include "engine/live.h"
#include "workloads/releases.h"

#include <signal.h>

struct ei_virtual_options {
    const char *out_dir;                /* for jobs.csv, stages.csv, summary.json and summary.txt; NULL = no files */
    int64_t duration_ns;                /* of the counted part; 0 = as the workload says */
    int32_t cpus;                       /* of the modelled machine; 0 = as many as the file names, at least 2 */
    const struct ei_releases *releases; /* of external tasks; NULL = none: a workload with such a task is refused */
    /* Called with every record, in the order of virtual time; NULL = none. */
    void (*on_record)(void *context, const struct ei_record *record);
    /* Called now and then with the virtual time that has passed of the whole run's; NULL = never. */
    void (*on_progress)(void *context, int64_t done_ns, int64_t whole_ns);
    void *context;                     /* of both */
    const volatile sig_atomic_t *stop; /* non-zero: end early, as a live run does on SIGINT; NULL = never */
};

/* Simulate the workload. The result is a live run's. Returns 0; EINET_E_FILE or EINET_E_MISMATCH (a model without
 * profiles, CPUs that the modelled machine lacks); EINET_E_USAGE (an external task without releases); -ENOMEM; -errno
 * of the output folder. */
int ei_virtual_run(const struct ei_workload *wl, const struct ei_virtual_options *options, struct ei_live_result *out,
                   struct einet_error *err);

#endif
