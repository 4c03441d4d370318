/* The tap: what a program that embeds a run takes out of it while it goes on, and how it asks for its end. The caller
 * owns it, so it outlives the run; a run without one posts nothing.
 *
 *   job threads                                        whoever listens (one thread)
 *   -----------                                        ----------------------------
 *   answer published --> answers[task], a seqlock ---> ei_answer_read, any thread, at any time
 *   record made: event into the ring -- bell --------> wakes: ei_tap_next; a full ring counts what it loses
 *
 *   housekeeper: figures, a few times a second; looks at `request` in each of its rounds
 */
#ifndef ENGINE_TAP_H
#define ENGINE_TAP_H

#include "engine/frames.h"
#include "engine/rehearsal_rt.h"
#include "metrics/board.h"
#include "metrics/record.h"
#include "planner/search.h"
#include "rt/bell.h"
#include "rt/mpsc_ring.h"
#include "scheduler/release.h"
#include "stages/answer.h"
#include "stages/nn/network.h"
#include "workloads/spec.h"

#include <pthread.h>

#define EI_TAP_QUEUE_MAX 1048576

struct ei_live_task;
struct ei_run;

enum ei_tap_request {
    EI_TAP_GO_ON,
    EI_TAP_DRAIN, /* the run ends now, all that was released before runs to its end */
    EI_TAP_STOP   /* jobs end at their next boundary, what waits is dropped */
};

enum ei_tap_kind { EI_TAP_JOB, EI_TAP_ANSWER, EI_TAP_PREEMPTION };

struct ei_tap_event {
    int64_t kind; /* enum ei_tap_kind */
    union {
        struct {
            struct ei_job_record record;
            struct ei_answer answer; /* when EI_JOB_ANSWERED */
        } job;
        struct ei_answer answer;
        struct ei_preemption_record preemption;
    } u;
};

/* A function of the program in place of a stage's spin. Returns 0, negative = the job has failed. Thread: the job's.
 * answer: of this job, NULL = none yet. */
struct ei_tap_stage {
    int (*run)(void *context, const struct ei_job_record *record, int32_t stage_idx, const struct ei_answer *answer);
    void *context;
};

/* A network of the program in place of an emulated model. */
struct ei_tap_network {
    struct ei_network_own_config config; /* run_block NULL = the model of the file; before the run */
    const struct ei_job_record *record;  /* of the job in the network stage, whose thread writes it; NULL before t0 */
};

/* The way into a run. A caller first counts itself and then looks for the run; who closes takes the run away and then
 * waits until nobody is counted: no caller touches a run that is gone (external_rt.c). */
struct ei_door {
    _Atomic(struct ei_run *) run; /* that accepts requests */
    atomic_int callers;
    atomic_bool is_over; /* it has ended for requests */
};

/* What holds for a task now (engine/change.h). */
struct ei_tap_settings {
    int32_t priority;
    int64_t deadline_ns; /* EI_NONE_NS = none */
    struct ei_search search;
    bool is_paused;
    int64_t changes;          /* so far */
    _Atomic int64_t withheld; /* releases that a pause kept from happening, or refused; without the lock */
};

struct ei_tap {
    int32_t task_count;
    bool wants_jobs, wants_answers, wants_preemptions;
    struct ei_answer_cell *answers; /* [task_count] */
    struct ei_frames frames[EI_TASKS_MAX];
    struct ei_tap_stage stages[EI_TASKS_MAX][EI_STAGES_MAX]; /* run NULL = the stage of the file; before the run */
    struct ei_tap_network networks[EI_TASKS_MAX];
    struct ei_mpsc_ring events; /* of struct ei_tap_event */
    void *event_storage;
    struct ei_bell bell;
    _Atomic int64_t lost;
    struct ei_door door;
    atomic_int request; /* enum ei_tap_request */
    /* Called by the housekeeper when the run is under way, before its time zero t0_ns; may be NULL. */
    void (*on_go)(void *context, int64_t t0_ns, const struct ei_cpuset *housekeeping_cpus);
    void *context;
    pthread_mutex_t figures_lock; /* of these and the next */
    struct ei_board_task figures[EI_TASKS_MAX];
    struct ei_tap_settings settings[EI_TASKS_MAX];
    int32_t degraded_count; /* reasons, and the first one with what mends it, "" = nothing is known to */
    char degraded_reason[EI_BOARD_TEXT_MAX], degraded_fix[EI_BOARD_TEXT_MAX];
    int64_t next_figures_ns; /* the housekeeper's */
    _Atomic int64_t beat_ns; /* when the housekeeper began its last round; 0 = none yet */
};

/* Make the memory of a tap for a workload; the caller then fills in the wishes and on_go. queue: events that the
 * listener may lie behind, 1..EI_TAP_QUEUE_MAX; 0 = nobody listens. Returns 0, -ENOMEM or EINET_E_LIMIT. */
int ei_tap_init(struct ei_tap *tap, const struct ei_workload *wl, int32_t queue, struct einet_error *err);
/* Accepts a zeroed struct. */
void ei_tap_fini(struct ei_tap *tap);

/* ---- tap_rt.c: of the run, which may have no tap ---- */

/* What became of a release. by: the task whose guard is held. */
EI_JOB_CODE EINET_RT void ei_tap_job(struct ei_live_task *by, const struct ei_job_record *record);
/* What came with it, a picture or a result, is needed no longer. */
EI_JOB_CODE EINET_RT void ei_tap_frame_over(struct ei_live_task *by, const struct ei_job_record *record);
/* A preemption that by has recorded, with its guard held. */
EINET_RT void ei_tap_preemption(struct ei_live_task *by, const struct ei_preemption_record *preemption);
/* Wake the listener if there is news of the two above; without the guard as a rule. */
EI_JOB_CODE EINET_RT bool ei_tap_take_news(struct ei_live_task *by);
EINET_RT void ei_tap_ring(struct ei_live_task *by);
/* An answer that was published. Thread: the job's. */
EI_JOB_CODE EINET_RT void ei_tap_answer(struct ei_live_task *task, const struct ei_answer *answer);
/* A release that was accepted and lies behind the end of the run: it has no record, and neither have the tasks behind
 * in the chain, for which it is skipped. The guard is held. */
EINET_RT void ei_tap_unreleased(struct ei_live_task *task, struct ei_release release);

/* ---- tap.c: the housekeeper's ---- */

/* A round of the housekeeper: new figures when it is time for them. board: of the run, as published last. */
void ei_tap_beat(struct ei_tap *tap, const struct ei_collector *collector, const struct ei_board_run *board,
                 int64_t now_ns);
/* New figures now: the first ones and the last. */
void ei_tap_take_figures(struct ei_tap *tap, const struct ei_collector *collector, const struct ei_board_run *board);

/* ---- the listener's and others' ---- */

/* The next event; false = none now. Thread: the listener. */
bool ei_tap_next(struct ei_tap *tap, struct ei_tap_event *out);
/* The figures of a task, and its settings. Thread: any, not real-time safe. */
void ei_tap_figures(struct ei_tap *tap, int32_t task_idx, struct ei_board_task *out);
/* How many reasons there are to call the run degraded, and the first with what mends it, cut to text_bytes (>= 1). */
int32_t ei_tap_degraded(struct ei_tap *tap, char *out_text, size_t text_bytes);
void ei_tap_settings(struct ei_tap *tap, int32_t task_idx, struct ei_tap_settings *out);
/* Others hold from now on; all but `withheld`, which is not looked at. Thread: whoever changes. */
void ei_tap_set_settings(struct ei_tap *tap, int32_t task_idx, const struct ei_tap_settings *settings);

#endif
