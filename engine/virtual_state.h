/* What the files of the virtual engine share: virtual.c (the program of a job thread, events, the run) and
 * virtual_release.c (releases, and the order of the jobs of a task). One owner; times on the virtual clock, which
 * begins at t0.
 */
#ifndef ENGINE_VIRTUAL_STATE_H
#define ENGINE_VIRTUAL_STATE_H

#include "engine/run_state.h"
#include "engine/virtual.h"
#include "engine/virtual_cpus.h"
#include "engine/virtual_network.h"

/* What a job thread does when it is due. */
enum phase {
    PHASE_ASLEEP,
    PHASE_PENDING, /* it has a job, whose first stage is not free */
    PHASE_REFUSED, /* the job does not run */
    PHASE_START,   /* the job's first instant on a CPU */
    PHASE_STAGE,   /* the stage stage_idx begins */
    PHASE_GRANTED, /* the lane came */
    PHASE_BEGIN,   /* the network begins, when its device has done what the job before left there */
    PHASE_BLOCK,   /* the step's block begins */
    PHASE_DONE,    /* the step's block is over */
    PHASE_BACK,    /* the lane was away and came back */
    PHASE_OVER     /* all stages are done */
};

#define NO_STAGE (-1)

/* A job thread. */
struct virtual_slot {
    struct ei_job_slot *slot;
    enum phase phase;
    int64_t place;      /* of its job in the pipeline */
    int32_t left_stage; /* that is over and not passed on, or NO_STAGE */
    uint8_t refusal;    /* enum ei_job_cause, of PHASE_REFUSED */
    int32_t stage_idx;
    bool is_in_cpu_stage; /* the stage before stage_idx has not been ended */
    struct ei_course course;
    bool owes_preemption_record;
    int64_t wait_since_ns;
    int32_t preemptor; /* task that got the lane when it was yielded */
};

struct virtual_task {
    struct ei_live_task *task;
    struct virtual_slot *slots;                       /* [task->slot_count], of the run's */
    struct virtual_slot *at_lane;                     /* whose job asked for the lane last */
    struct virtual_slot *in_flight[EI_JOB_SLOTS_MAX]; /* by place modulo */
    int32_t asleep;                                   /* slots */
    bool has_next;
    struct ei_arrival_release next; /* that has not been accounted */
    struct ei_chain_event *inbox;   /* storage of its chain's; owned */
    struct ei_virtual_network network;
    int64_t queue_end_ns; /* when its device has done all that its jobs launched */
    bool has_ahead;       /* the conv part that comes next, or its piece, has been launched */
    int64_t ahead_end_ns; /* when that is done */
};

/* The time beside the number: looking it up in the task would miss the cache at every level of the heap. */
struct sleeper {
    int64_t release_ns;
    int32_t task;
};

/* A device: for whom its lane's holder waits, and, with depth: 2, its queue. What was launched runs in the order of the
 * launches: what one job leaves is running when the next one gets the lane. */
struct device_block {
    int64_t end_ns; /* of the wait; INT64_MAX: nobody waits */
    int32_t slot;
    int64_t free_ns;                /* when all that was launched is done */
    int32_t last_task, before_task; /* that launched last; the last one other than it, */
    int64_t before_end_ns;          /* and when that is done */
};

struct virtual_run {
    struct ei_run run;
    struct virtual_task *tasks;
    struct virtual_slot *slots;
    struct ei_virtual_cpus cpus; /* a thread for each slot, by the same number */
    struct ei_load *loads;       /* [cpu_count] */
    struct device_block devices[EI_LANES_MAX];
    struct ei_collector *collector;
    struct sleeper *heap; /* tasks of which a slot sleeps until a release, by time and number */
    int32_t heap_count;
    int64_t next_look_ns; /* of the watchdog; INT64_MAX = no task has a limit */
    int64_t event_count;
    const struct ei_virtual_options *options;
};

/* ---- virtual_records.c ---- */

/* The record of a release goes to the collector and to the tasks that come after this one. */
void ei_virtual_push_job(struct virtual_run *v, struct ei_live_task *task, const struct ei_job_record *job);
void ei_virtual_record_unrun(struct virtual_run *v, struct ei_live_task *task, struct ei_release release,
                             uint8_t outcome, uint8_t cause);

/* The slot's job took the lane from another, and runs its first block now. */
void ei_virtual_push_preemption(struct virtual_run *v, const struct virtual_slot *vs);
/* Its stage, or its step's block, is over; nothing unless the run records them. */
void ei_virtual_push_stage(struct virtual_run *v, const struct virtual_slot *vs, int32_t stage_idx);
void ei_virtual_push_block(struct virtual_run *v, const struct virtual_slot *vs, float confidence);

/* ---- virtual.c ---- */

/* Count the slot's thread as active on its CPU, or not; nothing for a task outside real time. */
void ei_virtual_deactivate(struct virtual_run *v, struct virtual_slot *vs);

/* ---- virtual_device.c ---- */

/* Whether the task's lane has a queue on its device: depth: 2. */
bool ei_virtual_device_has_queue(const struct ei_live_task *task);
/* Launch what the step of the slot's job needs, and the conv part behind it or its piece. Returns when the step's is
 * done; *out_behind_ns: for how long from now others' blocks run before it. */
int64_t ei_virtual_device_launch(struct virtual_run *v, struct virtual_slot *vs, int64_t *out_behind_ns);
/* The network of the slot's job begins, or begins again. False: what its task left on the device has to be done before,
 * and the thread computes (wait: spin) or gave up its CPU until then. */
bool ei_virtual_device_drain(struct virtual_run *v, struct virtual_slot *vs);
/* A block of the slot's job runs on its lane's device, behind others' for behind_ns, and the thread gives up its CPU.
 */
void ei_virtual_device_begin(struct virtual_run *v, struct virtual_slot *vs, int64_t block_ns, int64_t behind_ns);
/* The lane whose block ends next and when, of several at that time the first; EI_VIRTUAL_NOBODY = none computes. */
int32_t ei_virtual_device_next(const struct virtual_run *v, int64_t *out_ns);
/* That happens now: its job goes on when a CPU lets it. */
void ei_virtual_device_end(struct virtual_run *v, int32_t device);

/* ---- virtual_release.c ---- */

/* The heap of tasks that have a slot asleep until a release by the clock: by time, then by number. */
void ei_virtual_push_release(struct virtual_run *v, int32_t task);
int32_t ei_virtual_pop_release(struct virtual_run *v);

/* Whether the task has a next release by the clock and it belongs to the run. */
bool ei_virtual_is_within_run(const struct virtual_run *v, const struct virtual_task *vt);
struct ei_release ei_virtual_take_release(struct virtual_task *vt);

/* A release finds a slot asleep: the first of them wakes. */
void ei_virtual_begin_release(struct virtual_run *v, struct virtual_task *vt, struct ei_release job);

/* The slot's job wants to enter a stage, or the end (stage_count). False: the job before it is there, and the thread
 * gave up its CPU; it comes back to the same phase. */
bool ei_virtual_enter_stage(struct virtual_run *v, struct virtual_slot *vs, int32_t stage);
/* What the job has left (left_stage) is free for the one behind it. */
void ei_virtual_pass_stage(struct virtual_run *v, struct virtual_slot *vs);

/* The job has ended and is recorded: it leaves, and the slot goes on with the next job that waits, or sleeps; and what
 * it leaves behind releases its successors. False when the thread gave up its CPU. */
bool ei_virtual_next_job(struct virtual_run *v, struct virtual_slot *vs);

/* What is left when the run was ended early: dropped by name, as in a live run. */
void ei_virtual_drop_rest(struct virtual_run *v, struct virtual_task *vt);

#endif
