/* See workers.h. What a thread asked for is kept by the thread itself; nothing is shared. */
#include "stages/workers.h"

#include "rt/section.h"
#include "stages/environment.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One parallel region. */
struct placing {
    const struct ei_workers_config *config;
    const struct ei_openmp *runtime;
    bool is_anew; /* also those that were placed before */
    atomic_int arrived, error;
};

static _Thread_local struct ei_workers_config asked; /* threads 0 = nothing */
static _Thread_local struct ei_openmp runtimes[EI_OPENMP_MAX];
static _Thread_local int32_t runtime_count;
static _Thread_local bool is_placed; /* this thread, as a worker or as their master */

static int place_self(const struct ei_workers_config *config, int32_t idx)
{
    cpu_set_t cpus;
    const struct sched_param param = {.sched_priority = config->is_fifo ? config->priority : 0};
    CPU_ZERO(&cpus);
    CPU_SET((size_t)config->cpus[idx], &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0 ||
        sched_setscheduler(0, config->is_fifo ? SCHED_FIFO : SCHED_OTHER, &param) != 0) {
        return errno;
    }
    is_placed = true;
    return 0;
}

/* Run by every thread of the region; the calling one is number 0 of it. */
static void place_one(void *context)
{
    struct placing *placing = context;
    const int32_t idx = placing->runtime->thread_num();
    atomic_fetch_add(&placing->arrived, 1);
    if (idx < 0 || idx >= placing->config->threads || (is_placed && !placing->is_anew)) {
        return;
    }
    const int rc = place_self(placing->config, idx);
    if (rc != 0) {
        atomic_store(&placing->error, rc);
    }
}

/* A worker that waits by spinning under SCHED_FIFO keeps everybody else from its CPU. */
static bool is_passive(void)
{
    const char *policy = getenv("OMP_WAIT_POLICY"), *spins = getenv("GOMP_SPINCOUNT");
    return policy != NULL && strcasecmp(policy, "passive") == 0 && (spins == NULL || strcmp(spins, "0") == 0);
}

static int check_config(const struct ei_workers_config *config, struct einet_error *err)
{
    if (config->threads < 1 || config->threads > EI_WORKERS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a network runs with 1 to %d placed threads, not %d", EI_WORKERS_MAX,
                               config->threads);
    }
    for (int32_t i = 0; i < config->threads; i++) {
        if (config->cpus[i] < 0 || config->cpus[i] >= CPU_SETSIZE) {
            return einet_error_set(err, EINET_E_USAGE, "there is no CPU %d", config->cpus[i]);
        }
    }
    return config->threads == 1 || is_passive()
               ? 0
               : einet_error_set(err, EINET_E_USAGE,
                                 "OpenMP workers would spin while they wait: unset OMP_WAIT_POLICY and "
                                 "GOMP_SPINCOUNT before einet is started, which then sets them to passive and 0");
}

int ei_workers_place(const struct ei_workers_config *config, struct einet_error *err)
{
    int rc = check_config(config, err);
    asked = (struct ei_workers_config){0};
    if (rc != 0 || config->threads == 1) {
        return rc;
    }
    runtime_count = ei_environment_openmp(runtimes);
    if (runtime_count == 0) {
        return einet_error_set(
            err, EINET_E_BACKEND,
            "no OpenMP runtime is loaded whose %d threads could be placed: the libraries that compute "
            "were built on another one, so use one thread",
            config->threads);
    }
    for (int32_t i = 0; i < runtime_count; i++) {
        struct placing placing = {.config = config, .runtime = &runtimes[i], .is_anew = true};
        runtimes[i].parallel(place_one, &placing, (unsigned)config->threads, 0);
        rc = atomic_load(&placing.error);
        if (rc != 0) {
            return einet_error_set(err, EINET_E_PRIVILEGE,
                                   "a worker could not be placed on its CPU with its priority: %s", strerror(rc));
        }
        if (atomic_load(&placing.arrived) != config->threads) {
            return einet_error_set(err, EINET_E_BACKEND,
                                   "OpenMP gave %d threads, not %d: unset OMP_THREAD_LIMIT and OMP_DYNAMIC",
                                   atomic_load(&placing.arrived), config->threads);
        }
    }
    asked = *config;
    return 0;
}

void ei_workers_keep(void)
{
    if (asked.threads <= 2) {
        return;
    }
    ei_rt_submit_enter();
    for (int32_t i = 0; i < runtime_count; i++) {
        struct placing placing = {.config = &asked, .runtime = &runtimes[i]};
        runtimes[i].parallel(place_one, &placing, (unsigned)asked.threads, 0);
    }
    ei_rt_submit_leave();
}
