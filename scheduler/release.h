/* What becomes of each nominal release of one task: the accounting behind released + skipped + dropped = expected.
 *
 *                 on_release                              on_finish, queue empty
 *         ROOM  ----------------------> one more ACTIVE ------------------------> one less
 *                                       | ^  on_finish, queue not empty: next job
 *          on_release (all active):     | |
 *          skip, queue, or drop         +-+
 *
 * A task has active_max jobs in flight at most (`overlap`), by default one.
 * Pure: times are values, the caller says when things happened. Releases that passed while a job ran may be reported
 * after it finished, in order, before on_finish: the verdict depends on the state only, so live and virtual engine
 * agree. One owner thread per task; every function is real-time safe.
 */
#ifndef SCHEDULER_RELEASE_H
#define SCHEDULER_RELEASE_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_RELEASE_QUEUE_MAX 64

enum ei_late_policy {
    EI_LATE_SKIP,        /* a release that finds as many jobs active as may be is skipped */
    EI_LATE_DROP_OLDEST, /* it waits in a queue; when that is full the oldest waiting job is dropped */
    EI_LATE_DROP_NEWEST  /* it waits in a queue; when that is full it is dropped itself */
};

/* One nominal release. */
struct ei_release {
    int64_t job_idx;    /* number of the release, from 0 */
    int64_t nominal_ns; /* absolute, on the engine's clock */
    uint64_t tag;       /* of whoever asked for it; 0 = none */
    int32_t frame;      /* its picture, as the engine counts them; 0 = none */
};

enum ei_release_verdict {
    EI_RELEASE_START,   /* there was room: run this job now */
    EI_RELEASE_QUEUED,  /* it waits; out_displaced holds the oldest waiting job if that had to go */
    EI_RELEASE_SKIPPED, /* late_release: skip */
    EI_RELEASE_DROPPED  /* queue full, drop: newest */
};

struct ei_release_state {
    enum ei_late_policy policy;
    int32_t queue_max; /* 1..EI_RELEASE_QUEUE_MAX; 0 with EI_LATE_SKIP */
    int32_t head, waiting;
    int32_t active, active_max; /* jobs in flight: started and not finished */
    struct ei_release queue[EI_RELEASE_QUEUE_MAX];
    /* every nominal release ends in exactly one of these */
    int64_t started, skipped, dropped;
};

/* queue_max is ignored for EI_LATE_SKIP; active_max: jobs that may be in flight. Returns 0, or -EINVAL when queue_max
 * is outside 1..EI_RELEASE_QUEUE_MAX or active_max below 1. */
int ei_release_init(struct ei_release_state *state, enum ei_late_policy policy, int32_t queue_max, int32_t active_max);

/* A release happened. *out_displaced is valid when the call returns EI_RELEASE_QUEUED and *out_has_displaced is true;
 * that job counts as dropped. */
EINET_RT enum ei_release_verdict ei_release_on_release(struct ei_release_state *state, struct ei_release release,
                                                       struct ei_release *out_displaced, bool *out_has_displaced);

/* An active job finished (completed or aborted). Returns true when a waiting job starts now, given in *out_next. */
EINET_RT bool ei_release_on_finish(struct ei_release_state *state, struct ei_release *out_next);

/* Throw out one waiting job (end of the run); false when none waits. It counts as dropped. */
EINET_RT bool ei_release_drop_waiting(struct ei_release_state *state, struct ei_release *out_dropped);

/* A release of a chain whose predecessor brought nothing. It counts as skipped, whatever the task does meanwhile. */
EINET_RT void ei_release_absent(struct ei_release_state *state);

/* A release that will not run for a reason outside the queue (load cap, end of the run). It counts as dropped. */
EINET_RT void ei_release_refuse(struct ei_release_state *state);

/* An active job is given back without having run; it counts as dropped, and on_finish is called for it as for any. */
EINET_RT void ei_release_unstart(struct ei_release_state *state);

/* started + waiting + skipped + dropped: the number of releases reported so far. */
EINET_RT int64_t ei_release_total(const struct ei_release_state *state);

#endif
