/* The handle of a run.
 *
 * Threads: whoever calls, the housekeeper, which makes the one call of the engine, and the listener, which makes the
 * callbacks. `lock` guards what is said to be under it; the rest is settled before the threads start, or atomic. The
 * housekeeper ends the listener before it says that the run is over, so nobody is called back after that.
 */
#ifndef LIBRARY_RUN_H
#define LIBRARY_RUN_H

#include "engine/live.h"
#include "engine/tap.h"
#include "library/workload.h"
#include "rt/thread.h"

#include <einet/network.h>
#include <einet/run.h>
#include <pthread.h>
#include <stdatomic.h>

/* A stage of the program's own. */
struct ei_own_stage {
    struct einet_stage theirs; /* run NULL = none */
    const struct einet_run *run;
};

/* A network of the program's for one task. */
struct ei_own_network {
    struct einet_network theirs; /* its texts and lists are owned copies, the next two */
    char *name;
    float *mean_score;
    void *instance; /* the context until it is opened */
    const struct einet_run *run;
    int32_t stage_idx;
    struct ei_tap_network *seat; /* where the engine keeps the job */
};

struct einet_run {
    struct einet_workload *workload; /* claimed */
    char *out_dir, *metrics;         /* owned copies; NULL as in the options */
    char program[512];               /* of this process, for advice about privileges */
    int64_t duration_ns;             /* as the engine takes it */
    struct einet_run *takes_over;    /* borrowed until RUNNING; NULL = from none */
    struct einet_callbacks callbacks;
    bool has_listeners; /* something to call back, or pictures to give back */
    int32_t callback_priority;
    struct ei_tap tap;
    struct ei_own_stage stages[EI_TASKS_MAX][EI_STAGES_MAX]; /* before start */
    struct ei_own_network *networks[EI_TASKS_MAX];           /* owned; NULL = none; before start */
    atomic_int phase;                                        /* enum einet_run_phase; changed under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    int64_t t0_ns;          /* under lock, from RUNNING on */
    struct ei_thread housekeeper, listener;
    bool has_housekeeper, has_listener; /* under lock; the housekeeper joins the listener */
    struct ei_cpuset listener_cpus;     /* under lock, from RUNNING on */
    atomic_bool is_told;                /* nothing more comes for the listener */
    int failure;                        /* under lock, from FAILED on, as error; from ENDED on the next two */
    struct einet_error error, warned; /* why it failed; what admission said at the start, once it runs */
    struct ei_live_result result;
    char *summary; /* owned */
};

/* Release a job of an external task, with the picture or the result of that place (0 = none). */
EINET_RT int ei_run_release(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag, int32_t frame);

/* ---- network.c ---- */

/* Free the networks of all tasks. The run is over. */
void ei_own_networks_free(struct einet_run *run);

/* ---- listener.c ---- */

/* Start the callback thread, if there is something to call. Returns 0, EINET_E_PRIVILEGE or -errno. */
int ei_listener_start(struct einet_run *run, struct einet_error *err);
/* No event will come any more: wait until all were told. Nothing without a thread. Thread: the housekeeper, or whoever
 * fails to start it. */
void ei_listener_end(struct einet_run *run);
/* Whether the caller is in a callback of the run. */
bool ei_listener_is_calling(const struct einet_run *run);
/* The engine's answer as the interface has it. */
EINET_RT void ei_listener_convert(const struct ei_answer *from, struct einet_answer *out);
/* The engine's job as functions of the program are told of it; answer is borrowed and may be NULL. */
EINET_RT void ei_listener_describe_job(const struct einet_run *run, const struct ei_job_record *record,
                                       int32_t stage_idx, const struct einet_answer *answer, struct einet_job *out);

/* ---- upstream.c ---- */

/* The result of another run that came with the job, until its record is made; NULL = none did. Thread: the job's. */
EINET_RT const struct einet_result *ei_upstream_of(const struct einet_run *run, const struct ei_job_record *record);

#endif
