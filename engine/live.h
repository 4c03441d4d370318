/* The live engine: a checked workload on the real clock with real threads, from start to the final figures.
 *
 * One call per process at a time. Thread: main, or with a tap any; it becomes the run's housekeeper. Without a tap the
 * caller must have blocked SIGINT and SIGTERM before any other thread exists; the engine takes them and ends the run
 * with every job answered. The first one decides: running jobs end at their next boundary, and a second signal does not
 * end them sooner.
 */
#ifndef ENGINE_LIVE_H
#define ENGINE_LIVE_H

#include "metrics/collector.h"
#include "workloads/spec.h"

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EI_LIVE_ENDLESS_NS (INT64_MAX / 4) /* until somebody ends it */

struct ei_live_options {
    const char *out_dir;   /* NULL = as the workload says */
    int64_t duration_ns;   /* of the counted part; 0 = as the workload says; EI_LIVE_ENDLESS_NS */
    const char *program;   /* path of the executable, for the commands that fix missing privileges */
    FILE *messages;        /* progress and warnings; NULL = silent */
    const char *metrics;   /* ADDRESS:PORT to serve live figures at, "" = nowhere; NULL = as the workload says */
    bool is_progress_live; /* messages is a terminal: show one line that is rewritten each second */
    /* Called on the main thread when all job threads are ready, before t0; may be NULL. For tests and hooks. */
    void (*on_ready)(void *context);
    void *context;
    struct ei_tap *tap; /* of a program that embeds the run (engine/tap.h), which then takes no signal; NULL = none */
    struct ei_tap *predecessor; /* of the run from which this one takes over (engine/handover.h); NULL = of none */
    bool is_fileless;           /* write no file; out_dir is without meaning then */
};

struct ei_live_result {
    struct ei_collector *collector;     /* finished; the caller prints from it and destroys it. NULL without figures */
    char out_dir[EI_SPEC_PATH_MAX * 2]; /* where the files are */
    int32_t slo_failures;
    bool is_identity_ok;
    bool is_ended_early;
    int32_t demoted_tasks;                 /* that the watchdog took out of real time */
    int32_t moved_tasks;                   /* that left a lost device for the fallback of their lane */
    int32_t faulty_jobs;                   /* jobs whose stage failed */
    char fault_text[EINET_ERROR_TEXT_MAX]; /* of the first one; "" = none */
};

/* Run the workload. Returns 0 with *out filled (also when SLOs failed or jobs were faulty), EINET_E_PRIVILEGE,
 * EINET_E_FILE / EINET_E_MISMATCH (weights, data sets, CPUs; the error names the place in the workload file),
 * EINET_E_BACKEND, EINET_E_USAGE (no name or too long a one for the output folder), or -errno of the output folder. A
 * run that does not start leaves no file and no folder that was not there before, and changes none of an earlier run.
 * One that took place, and whose files could not be written at its end, has its figures: then out->collector is there
 * beside a negative result.
 */
int ei_live_run(const struct ei_workload *wl, const struct ei_live_options *options, struct ei_live_result *out,
                struct einet_error *err);

/* Release a job of an external task of the run that goes on, by its index in the workload, for something that happened
 * at happened_ns (CLOCK_MONOTONIC, not in the future; EI_NONE_NS = now). Its nominal release is then; what comes sooner
 * than min_interarrival after the one before is held back until that has passed (workloads/arrival.h).
 *
 * Returns 0: exactly one release comes of it, unless it is held back until after the end of the run; -EAGAIN: the run
 * has not reached its time zero; -ESHUTDOWN: it is over; -ENOBUFS: 1024 requests wait already, this one is counted as
 * refused; -EINVAL: no external task of that index, or a time in the future. Thread: any of the process, also while no
 * run is on; no lock, no allocation, a system call only to wake the task. */
EINET_RT int ei_live_release(int32_t task_idx, int64_t happened_ns);

/* The same for the run of that tap (NULL = the one without), with a tag for its records and answers,
 * and with a picture (engine/frames.h; 0 = none), which is the run's once this returns 0. */
struct ei_tap;
EINET_RT int ei_live_release_tagged(struct ei_tap *tap, int32_t task_idx, int64_t happened_ns, uint64_t tag,
                                    int32_t frame);

#endif
