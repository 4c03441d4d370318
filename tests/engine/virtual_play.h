/* Playing a workload text on the virtual engine and looking at its records. One thread. */
#ifndef TESTS_ENGINE_VIRTUAL_PLAY_H
#define TESTS_ENGINE_VIRTUAL_PLAY_H

#include "engine/virtual.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define JOBS_MAX 8192
#define MS INT64_C(1000000)

struct log {
    struct ei_job_record jobs[JOBS_MAX];
    int32_t count;
    struct ei_preemption_record preemptions[JOBS_MAX];
    int32_t preemption_count;
    volatile sig_atomic_t stop;
    int64_t stop_after; /* jobs; 0 = never */
    int32_t demoted;    /* tasks */
};

extern struct log seen; /* of the last text */

/* Leaves the records in `seen`. Returns whether released + skipped + dropped = expected. */
bool play(const char *text, int64_t stop_after);

/* The same with releases of external tasks; NULL = none. */
bool play_with(const char *text, int64_t stop_after, const struct ei_releases *releases);

/* The record of a release; a failed test when there is none. */
const struct ei_job_record *job_of(int32_t task, int64_t job);

#endif
