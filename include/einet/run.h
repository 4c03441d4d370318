/* Runs: a workload on the real clock, with threads of its own, inside a program that goes on with its own work.
 *
 *   create          start            drain, stop            wait         destroy
 *   ------> CREATED ------> RUNNING -------------> ENDING -------> ENDED -------->
 *                  \------> FAILED (start says why)
 *
 * Threads. The run makes the job threads, the noise probes and the watchdog of einet(1), a housekeeper, and one
 * callback thread when there are callbacks. No signal is taken, none is delivered to its threads, and the policy and
 * the CPUs of the caller's threads stay as they are. Memory of the process is locked while it runs when the workload
 * says so (platform.lock_memory, the default). One run at a time in a process; further ones may follow it, or take over
 * from it (einet_run_start).
 */
#ifndef EINET_RUN_H
#define EINET_RUN_H

#include <einet/error.h>
#include <einet/image.h>
#include <einet/workload.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct einet_run;

/* ---- what callbacks are told ---- */

enum einet_outcome {
    EINET_JOB_COMPLETED, /* it ran to its end, with or without an answer */
    EINET_JOB_ABORTED,   /* it began and brought no result */
    EINET_JOB_SKIPPED,   /* it came while others were under way, or never came in its chain */
    EINET_JOB_DROPPED    /* it waited, and was thrown out */
};

enum einet_cause {
    EINET_CAUSE_PLAN_DONE, /* all that was planned was computed */
    EINET_CAUSE_PREEMPTED, /* a higher task took the lane */
    EINET_CAUSE_DEADLINE,  /* no time for another exit */
    EINET_CAUSE_LOAD_CAP,  /* the real-time load of its CPU was at the cap */
    EINET_CAUSE_CANCELLED, /* the run was stopped, or ended before it could be released */
    EINET_CAUSE_LATE,      /* skipped: the job before it was still under way */
    EINET_CAUSE_QUEUE,     /* dropped: the queue was full */
    EINET_CAUSE_FAULT,     /* a stage failed */
    EINET_CAUSE_UPSTREAM,  /* skipped: the job before it in the chain brought nothing */
    EINET_CAUSE_OVERRUN    /* its budget was used up */
};

enum {
    EINET_RESULT_DEADLINE_MET = 1 << 0, /* it completed in time, or has no deadline and completed */
    EINET_RESULT_ANSWERED = 1 << 1,     /* label, confidence and top_* are its answer */
    EINET_RESULT_PREEMPTED = 1 << 2,    /* it lost its lane to a higher task at least once */
    EINET_RESULT_WARMUP = 1 << 3        /* released before run.warmup was over: not in the figures */
};

#define EINET_TOP_MAX 5

/* The answer of one exit of a network. */
struct einet_answer {
    size_t size_bytes;
    uint64_t tag;         /* as given with the release; of a chain with that of its first task; 0 = none */
    int64_t job_idx;      /* number of the release, from 0 */
    int64_t release_ns;   /* CLOCK_MONOTONIC, nominal: the stamp that was given */
    int64_t published_ns; /* CLOCK_MONOTONIC */
    int32_t task_idx;
    int32_t exit_idx; /* from 0 */
    int32_t exits_total;
    int32_t is_final;                 /* 1: this job publishes nothing further */
    int32_t label;                    /* the most probable class */
    float confidence;                 /* softmax probability of it, or what a network of the program says */
    int32_t top_count;                /* of the next two, <= EINET_TOP_MAX */
    int32_t top_class[EINET_TOP_MAX]; /* most probable first */
    float top_p[EINET_TOP_MAX];
};

/* What became of one release. There is exactly one for each, in the order in which they end. */
struct einet_result {
    size_t size_bytes;
    uint64_t tag; /* as in struct einet_answer */
    int64_t job_idx;
    int64_t release_ns; /* CLOCK_MONOTONIC, nominal, as all times here; 0 = did not happen */
    int64_t start_ns, finish_ns;
    int64_t deadline_ns;  /* INT64_MAX = none */
    int64_t lane_busy_ns; /* in network blocks */
    int32_t task_idx;
    uint32_t flags;       /* EINET_RESULT_* */
    int32_t outcome;      /* enum einet_outcome */
    int32_t cause;        /* enum einet_cause */
    int32_t planned_exit; /* last exit of the first plan, -1 = no network */
    int32_t preemptions;
    struct einet_answer answer; /* ANSWERED: of the last exit; else all 0 but size_bytes */
    int32_t blocks_done;        /* conv parts and branches that were computed; of a restart those before it as well */
    int32_t priority;           /* of the task, as it held for this job */
};

/* A job lost its lane to a job of higher priority. */
struct einet_preemption {
    size_t size_bytes;
    int32_t victim_task_idx, preemptor_task_idx;
    int64_t victim_job_idx, preemptor_job_idx;
    int64_t request_ns;     /* the preemptor asked for the lane */
    int64_t block_end_ns;   /* the victim's block ended */
    int64_t first_block_ns; /* the preemptor's first block began */
};

/* Thread: all of them are called by the callback thread of the run, one after the other, so a slow one holds up the
 * next and never a job; what it cannot take in time is lost and counted (struct einet_end). What they are given lives
 * until they return. They may call everything here but start, wait and destroy of their own run (-EDEADLK). */
struct einet_callbacks {
    size_t size_bytes;
    void *context;
    void (*on_result)(void *context, const struct einet_result *result);          /* each release, once */
    void (*on_miss)(void *context, const struct einet_result *result);            /* after it: not DEADLINE_MET */
    void (*on_preempt)(void *context, const struct einet_preemption *preemption); /* when it has happened */
    void (*on_answer)(void *context, const struct einet_answer *answer);          /* each exit, when it is published */
};

/* ---- the run ---- */

#define EINET_UNTIL_STOPPED INT64_C(-1)

struct einet_run_options {
    size_t size_bytes;
    int64_t duration_ns; /* of the counted part; 0 = run.duration of the workload; EINET_UNTIL_STOPPED */
    const char *out_dir; /* where the files of the run go; NULL = none are written; "" = outputs.dir of the workload */
    const char *metrics; /* ADDRESS:PORT of this machine that serves live figures; NULL = none; "" = outputs.metrics */
    const struct einet_callbacks *callbacks; /* copied; NULL = none */
    int32_t callback_priority;               /* of the callback thread: 0 = SCHED_OTHER, 1..98 = SCHED_FIFO */
    int32_t callback_queue;                  /* events that it may lie behind, up to 1048576; 0 = 4096 */
    struct einet_run *takes_over;            /* from this run, see einet_run_start; NULL = from none */
};

/* Make a run; nothing happens yet. options NULL = all defaults. Returns 0 with *out_run, which is the caller's;
 * EINET_E_USAGE; -EINVAL or -E2BIG (size_bytes); -ENOMEM. */
EINET_API int einet_run_create(struct einet_workload *workload, const struct einet_run_options *options,
                               struct einet_run **out_run, struct einet_error *err);

/* What a stage of the program's own is told of its job; lives until it returns. */
struct einet_job {
    size_t size_bytes;
    uint64_t tag; /* as in struct einet_answer */
    int64_t job_idx;
    int64_t release_ns;  /* CLOCK_MONOTONIC, nominal */
    int64_t deadline_ns; /* INT64_MAX = none */
    int32_t task_idx;
    int32_t stage_idx;                 /* of the task, from 0 */
    const struct einet_answer *answer; /* of this job's network; NULL: none yet */
    /* The result of another run with which the job's chain goes on here, as einet_run_release_result was given it: the
     * same for all tasks of the chain. NULL: the chain began here. */
    const struct einet_result *upstream;
};

/* A function in place of a cpu stage's work.
 *
 * Thread: a job thread of the task, at its real-time priority, so what it does counts against the task's deadline and
 * budget, and whatever it waits for holds up the task: it should neither lock, allocate nor print. Of a task with
 * `overlap` several jobs may be in it at once. It may call what is marked EINET_RT here. Returns 0 or more, or a
 * negative code: the job is aborted, with EINET_CAUSE_FAULT. */
struct einet_stage {
    size_t size_bytes;
    void *context;
    int (*run)(void *context, const struct einet_job *job);
};

/* Have a function run in place of the work of a stage, which stands in the workload as `work: { spin: D }`: D remains
 * what planning, `einet simulate` and `einet analyze` reckon with. Before start. Returns 0; EINET_E_USAGE: no such
 * stage, or one without work; -EALREADY: the run was started; -EINVAL or -E2BIG (size_bytes). */
EINET_API int einet_run_set_stage(struct einet_run *run, int32_t task_idx, const char *stage_name,
                                  const struct einet_stage *stage, struct einet_error *err);

/* Load networks, make and warm up the threads, measure block times, and return at time zero of the run, from which on
 * releases are taken. This takes a second or more. Once per run. Returns 0; -EBUSY: another run of this process goes
 * on; -EALREADY: it was started before; EINET_E_PRIVILEGE, EINET_E_FILE, EINET_E_MISMATCH, EINET_E_BACKEND,
 * EINET_E_USAGE, EINET_E_LIMIT or -errno, with the reason in err: the run has FAILED then. On 0 the text of err has
 * what `admission: warn` has to say, as for einet_run_set.
 *
 * A run that takes over (options.takes_over) starts beside another one of this process: networks are loaded, threads
 * made and blocks timed under SCHED_OTHER while the other goes on; block times of networks that both have are the
 * other's. Then at one instant, the new time zero, the new one has the releases and the other drains: what is released
 * before it is the other's. Tasks by a clock that both have, with the same name and the same periodic arrival, go on
 * with their next period, without a release lost or made twice. Releases from outside are refused by the new run with
 * -EAGAIN until then, and by the other with -ESHUTDOWN from then on. When the start fails, the other goes on untouched.
 * A third run is refused with -EBUSY until the other has ended; on lanes with devices or several threads, and with
 * class deadline, this is refused with EINET_E_USAGE. The other run must not be destroyed before this returns. */
EINET_API int einet_run_start(struct einet_run *run, struct einet_error *err);

enum einet_run_phase {
    EINET_RUN_CREATED,
    EINET_RUN_STARTING,
    EINET_RUN_RUNNING,
    EINET_RUN_ENDING, /* drain or stop was asked for */
    EINET_RUN_ENDED,
    EINET_RUN_FAILED
};

/* Of enum einet_run_phase. Real-time safe. */
EINET_API EINET_RT int einet_run_phase(const struct einet_run *run);

#define EINET_NOW INT64_C(-1)

/* Release a job of a task with `arrival: external`, for something that happened at stamp_ns (CLOCK_MONOTONIC, not in
 * the future; EINET_NOW). Its nominal release, from which its deadline counts, is that stamp, unless it comes sooner
 * than min_interarrival after the one before. tag: anything, comes back with its answers and its result.
 *
 * Returns 0: exactly one result comes of it. -EINVAL: no external task of that number, one that wants a picture or a
 * result, or a time in the future.
 * -EAGAIN: not started. -ESHUTDOWN: it ends or has ended. -ECANCELED: the task is paused. -ENOBUFS: 1024 releases
 * wait already. Real-time safe: no lock, no allocation, a system call only to wake the task. */
EINET_API EINET_RT int einet_run_release(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag);

/* A picture for one job of a task with `input: { kind: caller }`. */
struct einet_frame {
    size_t size_bytes;
    const void *data;
    size_t data_bytes;
    int32_t format; /* enum einet_pixel_format; PNG and JPEG where a stage of the task has op decode; CHW_F32: below */
    int32_t width_px, height_px, channels; /* of raw pixels; else without meaning */
    size_t row_bytes; /* HWC_U8: from one row to the next; 0 = the rows follow each other without a gap */
    /* NULL: data is copied at once. Else it is borrowed until the run calls this, once, by its callback thread, when
     * the release has ended, before or after its result; rows without gaps only. */
    void (*release)(void *context, const void *data);
    void *context;
    /* Of a task with `memory: device`: data is memory of CUDA device device_idx, that of the task's lane, in
     * EINET_PIXELS_CHW_F32 of the input's very shape, always borrowed. */
    int32_t device_idx;
    void *ready_event; /* a cudaEvent_t of that device, recorded behind what fills data; NULL = it is filled */
};

/* Whether the task takes such a picture. Returns 0; -EINVAL: it takes none, or not of this format, shape or row_bytes;
 * -EMSGSIZE: larger than its input says; -E2BIG (size_bytes); err says what is wrong. Not real-time safe. */
EINET_API int einet_run_check_frame(const struct einet_run *run, int32_t task_idx, const struct einet_frame *frame,
                                    struct einet_error *err);

/* Release a job with its picture: einet_run_release for tasks that cannot be released without one. Returns the same and
 * the codes of einet_run_check_frame; -ENOBUFS also when as many pictures are under way as jobs may wait and be in
 * flight, and 8 more. On error the picture stays the caller's and its release is not called. Real-time safe; a copy
 * takes its time.
 */
EINET_API EINET_RT int einet_run_release_frame(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag,
                                               const struct einet_frame *frame);

/* Release a job of a task with `input: { kind: topic, message: classification }` or `message: status`, which goes on
 * with a chain of another run, here or on another machine: einet_run_release for tasks that cannot be released without
 * the result that came from there (einet-dds does it with messages, docs/dds.md; a program may with another transport).
 * upstream is copied, size_bytes of it at most, and handed to the stages and networks of the program in all tasks of
 * the chain (struct einet_job). Its tag, times and numbers of tasks and jobs are those of the run that it is of; what
 * is not known is 0, or -1 where 0 would say something. Whether it is of a job that completed is the caller's to see.
 * Returns as einet_run_release; -EINVAL also: a task that takes none; -EINVAL or -E2BIG (size_bytes). Real-time safe.
 */
EINET_API EINET_RT int einet_run_release_result(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag,
                                                const struct einet_result *upstream);

/* The answer that the task has published last, at any time from create to destroy, also while its job goes on and after
 * the end. out_answer->size_bytes is set by the caller. Returns 1; 0: none yet; -EINVAL (no such task, no size);
 * -EAGAIN: its writer was interrupted in mid-write, try again. Real-time safe, never waits. */
EINET_API EINET_RT int einet_run_answer(const struct einet_run *run, int32_t task_idx, struct einet_answer *out_answer);

/* Figures of a task so far, as of less than a second ago, and complete once the run has ended. Jobs of the warm-up
 * are in none of them. */
struct einet_figures {
    size_t size_bytes; /* set by the caller */
    int64_t completed, aborted, skipped, dropped;
    int64_t misses;      /* completed after the deadline */
    int64_t preemptions; /* of its jobs */
    int64_t answered;
    int64_t last_response_ns, p50_response_ns, p99_response_ns, max_response_ns; /* of completed jobs; 0 = none */
};

/* Returns 0; -EINVAL: no such task, no size; -EAGAIN: the run has not been started. */
EINET_API int einet_run_figures(const struct einet_run *run, int32_t task_idx, struct einet_figures *out_figures);

#define EINET_DEGRADED_TEXT_MAX 528

/* Whether the run is less than its workload asked for, as of less than a second ago: a right that was refused, a task
 * taken out of real time, a device that was lost. Returns the number of reasons, 0 = none, with the first one and the
 * command that mends it as text ("" = none; cut where out_text is shorter than EINET_DEGRADED_TEXT_MAX); -EAGAIN: the
 * run has not been started; -EINVAL: text_bytes is 0. */
EINET_API int einet_run_degraded(const struct einet_run *run, char *out_text, size_t text_bytes);

/* When the run last went round its own housekeeping (CLOCK_MONOTONIC), as it does every 40 ms from its time zero until
 * its last job has ended; 0 = not yet. A watchdog of the program should be fed only while this moves. Real-time safe.
 */
EINET_API EINET_RT int64_t einet_run_beat(const struct einet_run *run);

/* ---- changes while it runs ---- */

enum {
    EINET_SET_PRIORITY = 1 << 0, /* of the job threads, and the lanes' order: 1..98 */
    EINET_SET_DEADLINE = 1 << 1, /* relative to the release */
    EINET_SET_SEARCH = 1 << 2,   /* how exits are chosen */
    EINET_SET_EXITS = 1 << 3     /* these exits and no others; not together with EINET_SET_SEARCH */
};

#define EINET_NO_DEADLINE INT64_C(-1)

/* What to change of a task, and to what; the fields that `what` does not name are not looked at. */
struct einet_change {
    size_t size_bytes;
    uint32_t what; /* EINET_SET_*, at least one */
    int32_t priority;
    int64_t deadline_ns; /* above 0, or EINET_NO_DEADLINE */
    const char *search;  /* as planner.search of the workload, a number behind a colon: "exact", "static:50", ... */
    uint64_t exits;      /* bit i = exit i, from 0; not 0 */
};

/* Change a task while its run goes on. All of it or nothing. What is changed holds for every job that begins after the
 * call has returned, and for no job that began before: such a job keeps priority, deadline and plan to its end. Results
 * and jobs.csv bear the priority and the deadline of the job, summary.json and run.json the list of changes.
 *
 * The priority is that of the job threads under SCHED_FIFO, of what they inherit to others, of their claims of a lane,
 * and of what others plan with. It cannot be changed where the policy of the workload derives it, nor of tasks outside
 * class fifo, of tasks whose blocks run on several threads, and of a task that the watchdog has demoted. The deadline
 * cannot be changed under policies that derive priorities from it, nor of class deadline. With `admission: reject` the
 * changed task set must pass the same analysis as at the start; with `warn` the change is made, and the text of err says
 * which deadlines have no guarantee, one a line, with code 0; else it is empty.
 *
 * Returns 0; -EINVAL: no such task, no size, or nothing to change; -E2BIG (size_bytes); -EAGAIN: not running yet;
 * -ESHUTDOWN: it ends or has ended; EINET_E_USAGE or EINET_E_FILE (admission), with the reason in err; -ENOMEM.
 * Thread: any, also several at once; job threads never wait for it. Not real-time safe. */
EINET_API int einet_run_set(struct einet_run *run, int32_t task_idx, const struct einet_change *change,
                            struct einet_error *err);

/* No releases of the task from now on, until it is resumed. What was released before runs. Releases by the clock or of
 * a chain do not happen: they have no result, no line in jobs.csv and are expected by nobody; the times of later ones
 * stay what they were. Releases from outside are refused with -ECANCELED. Both are counted (struct einet_settings). The
 * tasks behind it in a chain have nothing to do meanwhile. Pausing a paused task changes nothing. Returns, and thread,
 * as einet_run_set. */
EINET_API int einet_run_pause(struct einet_run *run, int32_t task_idx, struct einet_error *err);

/* Releases of the task happen again, from now on. Resuming one that is not paused changes nothing. Returns, and thread,
 * as einet_run_set. */
EINET_API int einet_run_resume(struct einet_run *run, int32_t task_idx, struct einet_error *err);

/* Make a run what another workload says, while it goes on: the same workload but for priorities, deadlines and
 * planner.search of its tasks, such as its file when somebody has edited it. What einet_run_set changed before is as
 * that workload says then; what is paused stays so. All tasks or none, admitted as a whole. The workload stays the
 * caller's. *out_changed (may be NULL): how many tasks were changed. Returns, and thread, as einet_run_set;
 * EINET_E_MISMATCH when something else differs: err says what first, and another run must take over for it. */
EINET_API int einet_run_reload(struct einet_run *run, const struct einet_workload *workload, int32_t *out_changed,
                               struct einet_error *err);

#define EINET_SEARCH_TEXT_BYTES 32

/* What holds for a task at present: as the workload says, until it is changed. */
struct einet_settings {
    size_t size_bytes; /* set by the caller */
    int32_t priority;
    int32_t is_paused;
    int64_t deadline_ns;                  /* EINET_NO_DEADLINE = none */
    int64_t changes;                      /* so far, pauses and resumes among them */
    int64_t withheld;                     /* releases that pauses kept from happening, or refused */
    uint64_t exits;                       /* 0 = the search chooses; else these and no others */
    char search[EINET_SEARCH_TEXT_BYTES]; /* "fixed:0x29" with exits 0, 3 and 5; without meaning without a network */
};

/* Returns 0; -EINVAL: no such task, no size. Thread: any, from create to destroy; not real-time safe. */
EINET_API int einet_run_settings(const struct einet_run *run, int32_t task_idx, struct einet_settings *out_settings);

/* Ask for the end: no new releases, and all that were released before run to their end. Returns at once: 0, -EINVAL
 * when the run was not started, -EALREADY when it is over. */
EINET_API int einet_run_drain(struct einet_run *run);

/* Ask for the end sooner: jobs that run end at their next boundary with the answer they have, and those that wait are
 * dropped. May follow a drain. Returns as einet_run_drain. */
EINET_API int einet_run_stop(struct einet_run *run);

/* Wait until the run is over and every callback was called. timeout_ns < 0 = for ever. Returns 0; -ETIMEDOUT; -EINVAL:
 * never started; -EDEADLK: called by the callback thread; or why the run failed, with err. */
EINET_API int einet_run_wait(struct einet_run *run, int64_t timeout_ns, struct einet_error *err);

/* How it ended. */
struct einet_end {
    size_t size_bytes; /* set by the caller */
    int32_t is_ended_early;
    int32_t is_accounted;   /* 1: released + skipped + dropped = expected, for every task */
    int32_t slo_failures;   /* objectives of the workload that were not met */
    int32_t faulty_jobs;    /* whose stage failed */
    int32_t demoted_tasks;  /* that the watchdog took out of real time */
    int32_t moved_tasks;    /* that left a lost device */
    int64_t events_lost;    /* that the callback thread could not take in time */
    const char *fault_text; /* of the first faulty job, "" = none; lives as long as the run, as the next two */
    const char *out_dir;    /* "" = no files */
    const char *summary;    /* the text of summary.json */
};

/* Returns 0; -EINVAL: no size; -EAGAIN: the run has not ended, or failed. */
EINET_API int einet_run_end(const struct einet_run *run, struct einet_end *out_end);

/* Stop it if need be, wait, and free it. NULL is fine. Not in a callback of the run, and with no other call under way.
 */
EINET_API void einet_run_destroy(struct einet_run *run);

#ifdef __cplusplus
}
#endif
#endif
