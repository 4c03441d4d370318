/* What the files of the reference simulator share: reference_schedule.c has CPUs, releases and the program of a job,
 * reference_lanes.c lanes and what a job does at a boundary. */
#ifndef TESTS_ENGINE_REFERENCE_WORLD_H
#define TESTS_ENGINE_REFERENCE_WORLD_H

#include "tests/engine/reference_schedule.h"

#define REF_INBOX_MAX 512
#define REF_THREADS_MAX (REF_TASKS_MAX * REF_OVERLAP_MAX)

/* A thread without a job sleeps; WAITS: for a lane, LINES_UP: for a stage, or the end, of its task; AWAY: its block
 * runs on a device. */
enum state { SLEEPS, READY, WAITS, LINES_UP, THROTTLED, AWAY };
enum work { PRE, TAKE, BLOCK, GIVE, POST, END };

/* What became of a predecessor's job. */
struct news {
    int64_t job;
    bool is_completed;
};

struct thread {
    const struct ref_task *task;
    int32_t task_idx;
    int64_t order;        /* of its job among those of the task */
    int32_t stages_over;  /* that the job has ended */
    bool ends_stage;      /* the one that it was in is over when it goes on */
    bool is_network_over; /* of the job */
    enum state state;
    int32_t priority; /* effective */
    int64_t place;
    bool was_running;
    enum work work;
    int64_t rest_ns;
    bool is_timed;   /* rest_ns counts for the work that is under way */
    int64_t back_ns; /* AWAY until then */
    /* with a queue on its device */
    bool begins;               /* its network, once the device has done what the job before left there */
    int64_t ahead_ns;          /* when the conv part that was launched before its time is over; -1 = none */
    int64_t behind_ns;         /* until then others' blocks run before its own, */
    enum ref_part behind_part; /* which is this */
    int32_t lane;              /* that it holds or waits for */
    int32_t claim;             /* priority that the job has in the queue for the lane */
    int32_t block;
    bool is_branch;
    int32_t piece;                /* of that part: the next one */
    int64_t unoffered_ns;         /* time of the blocks since it last offered the lane */
    bool is_stopping, is_aborted; /* the network: stop after the first answer; give up */
    struct ref_job job;
    int64_t release_ns, wait_since_ns;
    int64_t stage_since_ns, used_ns; /* of the stage that runs */
    int64_t total_ns;                /* processor time so far */
    int64_t found_job, found_ns;     /* by the watchdog: the job, and total_ns then; -1 = none */
    bool is_demoted;
    /* class deadline */
    int32_t on_cpu, had_cpu; /* -1 = none */
    bool has_begun;
    int64_t period_begin_ns, server_rest_ns, turn;
};

/* What the threads of a task share. */
struct jobs {
    int32_t first, count; /* its threads */
    int64_t started;      /* jobs */
    int64_t begun_ns;     /* nominal release of the newest job that has run; INT64_MIN = none */
    int64_t next_release; /* number of the next release */
    int64_t queue[64];
    int32_t queued;
    int64_t device_end_ns;            /* of what its jobs launched last */
    struct news inbox[REF_INBOX_MAX]; /* of the predecessor's jobs, that this task has not looked at */
    int32_t news_count;
};

struct lane {
    int32_t holder; /* -1 = free */
    int32_t waiting[REF_THREADS_MAX];
    int32_t waiting_count;
};

struct world {
    const struct ref_system *system;
    struct jobs jobs[REF_TASKS_MAX];
    int32_t task_count;
    struct thread threads[REF_THREADS_MAX];
    int32_t count;
    int64_t now_ns, end_ns, tail, head, turns;
    struct lane lanes[REF_LANES_MAX + REF_DEVICES_MAX];
    struct ref_job *out;
    int32_t out_count, out_max;
};

/* ---- reference_schedule.c ---- */

/* Nominal release of job k, of a chain that of its first task. */
int64_t ref_nominal(const struct ref_system *system, int32_t i, int64_t k);
void ref_set_priority(struct world *w, int32_t i, int32_t priority);

/* The stage is over. */
void ref_judge_stage(struct world *w, struct thread *t, struct ref_limit limit);

/* What is left of a stage's limits, the less; negative = over. */
int64_t ref_left_of(const struct world *w, const struct thread *t, struct ref_limit limit);

/* The thread that a CPU runs, -1 = none. */
int32_t ref_runs_on(struct world *w, int32_t cpu);

/* ---- reference_deadline.c ---- */

/* A thread of class deadline becomes ready, or is throttled; it leaves its CPU, to sleep or throttled. */
void ref_deadline_wake(struct world *w, int32_t i);
void ref_deadline_leave(struct world *w, int32_t i);
/* The one on this CPU; -1 = none. */
int32_t ref_deadline_on(const struct world *w, int32_t cpu);
/* When next a rest is used up or a period begins; INT64_MAX = never. Then: that happens. */
int64_t ref_deadline_event_ns(const struct world *w);
void ref_deadline_event(struct world *w);

/* ---- reference_lanes.c ---- */

/* The job asks for a lane; true: it has it. */
bool ref_take_lane(struct world *w, int32_t i);
void ref_give_lane(struct world *w, int32_t i);

/* Of the part that is due. */
int64_t ref_pieces(const struct thread *t);

/* What runs next: a part, or its next piece. */
int64_t ref_block_ns(const struct thread *t);

/* The block that ran is over: what comes next is in `work`; the thread waits when it gave its lane away. */
void ref_end_block(struct world *w, int32_t i);

/* ---- reference_device.c ---- */

/* Whether the task is on the device where the next conv part is launched behind the one that runs. */
bool ref_has_queue(const struct ref_task *task);
/* Launch what the thread runs next, and what may follow. Returns when it is over, now at the soonest. */
int64_t ref_launch(struct world *w, int32_t i);
/* The network begins; false: at back_ns, when what its task launched before is over. */
bool ref_drain(struct world *w, int32_t i);

#endif
