/* External tasks: somebody outside releases their jobs (ei_live_release), from any thread of the process.
 *
 *   any thread                                              the task's job thread that leads
 *   ----------                                              --------------------------------
 *   ei_live_release: request in the inbox ---- bell ------> wakes: look or await; admitted by workloads/arrival.h,
 *                                                           which holds back what comes too soon; then a release by the
 *                                                           clock like any other
 *   housekeeper: close, at the end of the run - bell -----> await: false, once the inbox is empty
 *
 * Each request that was accepted becomes exactly one release, or is counted as unreleased when its time would be behind
 * the end of the run; a refused one (full inbox) is counted, too. Real-time safe but for open, close and shut.
 */
#ifndef ENGINE_EXTERNAL_RT_H
#define ENGINE_EXTERNAL_RT_H

#include "metrics/collector.h"
#include "rt/bell.h"
#include "rt/mpsc_ring.h"
#include "workloads/arrival.h"

#define EI_EXTERNAL_INBOX_REQUESTS 1024

struct ei_live_task;
struct ei_run;

struct ei_external_request {
    int64_t happened_ns, asked_ns; /* CLOCK_MONOTONIC */
    uint64_t tag;
    int32_t frame; /* engine/frames.h; 0 = none */
};

struct ei_external {
    bool is_external;
    struct ei_mpsc_ring inbox; /* of struct ei_external_request */
    struct ei_bell bell;
    atomic_bool is_closed; /* nothing more will be accepted */
    _Atomic int64_t accepted, refused;
    /* the leading thread's; in a virtual run filled in when it is over */
    int64_t held_back, unreleased, warmup;
};

/* Before the threads start; the engine places the inbox (ei_mpsc_ring_init). */
void ei_external_init(struct ei_live_task *task);

/* A run is being prepared: requests come too early, not too late. Main thread. */
void ei_external_expect(struct ei_run *run);
/* From now on requests are accepted, from t0 on. Main thread. */
void ei_external_open(struct ei_run *run);
/* The run is over for requests. Again until it returns true: no call is under way any more. Main thread. */
bool ei_external_close(struct ei_run *run);
/* The same, waiting. Nothing when it was not opened. */
void ei_external_shut(struct ei_run *run);

/* Come in to the run of the tap (NULL = the one without), and out again: it does not go away meanwhile, so only
 * a caller outside of real time may take its time. NULL with *out_rc: -EAGAIN, not yet; -ESHUTDOWN, over. Thread: any.
 */
struct ei_tap;
EINET_RT struct ei_run *ei_external_enter(struct ei_tap *tap, int *out_rc);
EINET_RT void ei_external_leave(struct ei_tap *tap);

/* When rt.has_next is false, the next request becomes rt.next, if there is one. Nothing for tasks that are not
 * external. Returns rt.has_next. Thread: whoever leads (engine/slots_rt.h), or, while nobody does, holds the task's
 * guard. */
EINET_RT bool ei_external_look(struct ei_live_task *task);
/* The same, but sleeps until there is one; false: closed, and none is left. */
EINET_RT bool ei_external_await(struct ei_live_task *task);

/* Counted releases that the accepted requests make, when the run is over. */
int64_t ei_external_expected(const struct ei_external *external);
struct ei_metrics_external ei_external_count(const struct ei_external *external);

#endif
