/* Chains: the jobs of a task with `arrival: { model: after }` are released by those of its predecessor.
 *
 *   predecessor's thread                                         successor's thread
 *   --------------------                                         ------------------
 *   every record of a release: post ----- event in the inbox --->
 *   its next job is settled, or none: announce ---- bell ------> wakes: take; completed: a release as any other;
 *   the run is over for it: close ----------------- bell ------> not completed: a skip; closed and empty: ends too
 *
 * One event for each of the predecessor's releases, so the successor has exactly as many, by the same numbers and
 * nominal times. An event that finds the inbox full (the successor had no CPU for that many jobs) becomes a dropped
 * job, by a record that the poster writes. Both engines run this code. Real-time safe.
 */
#ifndef ENGINE_CHAIN_RT_H
#define ENGINE_CHAIN_RT_H

#include "engine/rehearsal_rt.h"
#include "metrics/record.h"
#include "rt/bell.h"
#include "rt/spsc_ring.h"
#include "scheduler/release.h"
#include "workloads/spec.h"

#define EI_CHAIN_INBOX_EVENTS 1024

struct ei_live_task;

struct ei_chain_event {
    struct ei_release release;
    int64_t at_ns;     /* when the predecessor's job was over; 0 = it did not run */
    bool is_completed; /* it was: else it brought nothing */
};

struct ei_chain {
    /* of a predecessor */
    int32_t next[EI_TASKS_MAX]; /* tasks that its jobs release, in the order of the file */
    int32_t next_count;
    bool has_news; /* posted and not announced */
    /* of a successor */
    bool is_successor;
    struct ei_spsc_ring inbox; /* of struct ei_chain_event */
    struct ei_bell bell;
    atomic_bool is_closed; /* nothing more is posted */
};

typedef void (*ei_chain_emit)(void *context, const struct ei_job_record *record);

/* Link the tasks of the run; the engine places the inboxes (ei_spsc_ring_init). Not real-time safe. */
struct ei_run;
void ei_chains_link(struct ei_run *run);

/* Tell the successors what became of a release of this task. emit: takes the records of jobs that found a full inbox,
 * and of those behind them. Thread: the task's own, one of several under their guard. */
EI_JOB_CODE EINET_RT void ei_chain_post(struct ei_live_task *task, const struct ei_job_record *record,
                                        ei_chain_emit emit, void *context);

/* A release that does not come to the task, for that outcome and cause, and so not to those behind it, which skip it.
 * emit: takes the records of all of them. Thread: as above, or the task's own if it has no predecessor; guard held. */
EI_JOB_CODE EINET_RT void ei_chain_refuse(struct ei_live_task *task, struct ei_release release, uint8_t outcome,
                                          uint8_t cause, ei_chain_emit emit, void *context);

/* Wake the successors if there is news. Thread: the task's own; one of several under their guard, or in two steps: take
 * the news under it and ring without. */
EINET_RT void ei_chain_announce(struct ei_live_task *task);
EINET_RT bool ei_chain_take_news(struct ei_live_task *task);
EINET_RT void ei_chain_ring(struct ei_live_task *task);

/* Nothing more will be posted. Thread: the task's own. */
EINET_RT void ei_chain_close(struct ei_live_task *task);

/* The next event, if there is one. Thread: the successor's. */
EINET_RT bool ei_chain_take(struct ei_chain *chain, struct ei_chain_event *out);

/* The same, but sleeps until there is one; false: closed, and none is left. Thread: the successor's. */
EINET_RT bool ei_chain_await(struct ei_chain *chain, struct ei_chain_event *out);

#endif
