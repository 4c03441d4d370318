/* What the files of the engine share: one struct ei_run per run, one struct ei_live_task per task, one struct
 * ei_job_slot per job of it that may be in flight (`overlap`), with the thread that runs such jobs.
 *
 * Ownership of fields: a slot's are its thread's alone while the run lasts; `rt` of a task belongs to whoever holds the
 * task's guard (slots_rt.h), its planning and its network to the job in the network stage, of which there is never more
 * than one; everything else is written before the threads start, or is atomic.
 */
#ifndef ENGINE_RUN_STATE_H
#define ENGINE_RUN_STATE_H

#include "engine/activity_rt.h"
#include "engine/chain_rt.h"
#include "engine/course_rt.h"
#include "engine/cpu_load_rt.h"
#include "engine/deadline_class.h"
#include "engine/external_rt.h"
#include "engine/frames.h"
#include "engine/kernels.h"
#include "engine/lane_gate_rt.h"
#include "engine/live.h"
#include "engine/live_board.h"
#include "engine/pieces.h"
#include "engine/planning.h"
#include "engine/rehearsal_rt.h"
#include "engine/settings_rt.h"
#include "engine/slots_rt.h"
#include "engine/stage_record_rt.h"
#include "engine/start.h"
#include "engine/tap.h"
#include "engine/watchdog.h"
#include "metrics/drain.h"
#include "rt/arena.h"
#include "rt/privileges.h"
#include "rt/spsc_ring.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include "scheduler/boundary.h"
#include "scheduler/pipeline.h"
#include "scheduler/release.h"
#include "stages/answer.h"
#include "stages/nn/network.h"
#include "stages/pre/image_ops.h"
#include "stages/workers.h"
#include "workloads/arrival.h"

#include <stdatomic.h>

#define EI_RUN_DIR_MAX (EI_SPEC_PATH_MAX * 2)
#define EI_JOB_RING_RECORDS 8192      /* at least, see storage.c */
#define EI_JOB_RING_RECORDS_MAX 65536 /* 14 MiB */
#define EI_PROBE_RING_RECORDS 4096
#define EI_PROBES_MAX 64
#define EI_TASK_LOGS_MAX (EI_STAGES_MAX * EI_STAGE_OPS_MAX)
#define EI_JOB_SLOTS_MAX EI_PIPELINE_JOBS_MAX
#define EI_NOT_ON_LANE_MAX 320
#define EI_SPARE_TEXT_MAX 640

struct ei_run;

/* Where jobs go on when the device of their lane is lost (spare_rt.c). What it is, is settled before the run. */
struct ei_task_spare {
    struct ei_network *net; /* NULL: nowhere */
    int32_t lane_idx;
    int32_t threads; /* inside a block there: each on its CPU, of the network's thread_cpus */
    struct ei_et_profile et;
    struct ei_elastic_config elastic;
    int64_t first_answer_ns;
    atomic_bool is_taken;            /* jobs run there; what the job that found out writes comes before it */
    int64_t taken_ns, taken_job_idx; /* since t0 */
    bool is_reported;                /* to the user; the housekeeper's */
};

/* The network part of a task. */
struct ei_task_network {
    struct ei_network *net;               /* of the lane on which the task starts; NULL: no network stage */
    int32_t lane_idx;                     /* that lane, or the first of several */
    char not_on_lane[EI_NOT_ON_LANE_MAX]; /* why it is not the lane of the file but its fallback; "" = it is */
    struct ei_task_spare spare;
    const struct ei_task_settings *settings;  /* of the job in this stage, or that was in it last */
    char kernels_note[EI_KERNELS_NOTE_MAX];   /* of a choice beside its weights; "" = none */
    struct ei_lane_gate *gate;                /* that the job in this stage holds or asks for */
    struct ei_lane_gate *gates[EI_LANES_MAX]; /* that it may use, in the order in which they are tried */
    int32_t gate_count;
    bool is_gated;   /* false: a lane with preempt: kernel, which nobody holds */
    bool is_off_cpu; /* blocks run on a device, and the job leaves its CPU meanwhile: ei_task_is_off_cpu */
    struct ei_boundary_policy policy;
    struct ei_elastic_config elastic;
    struct ei_et_profile et; /* measured at start on this machine */
    struct ei_pieces pieces; /* of `net`; a spare's parts are whole */
    int64_t first_answer_ns; /* p99 of conv part 0 and branch 0 */
    struct ei_elastic job;   /* of the job in this stage, likewise the next one */
    struct ei_plan_workspace ws;
    int32_t threads;                     /* inside a block of `net`: each on its CPU; on a device 1 */
    int32_t thread_cpus[EI_WORKERS_MAX]; /* of these threads or, of a task on a device, of its spare's */
};

/* Releases of the task. */
struct ei_task_rt {
    struct ei_arrival arrival;
    struct ei_release_state releases;
    int64_t last_nominal_ns; /* since t0, of the newest release that was accounted; INT64_MIN = none */
    bool has_next;           /* live: a release by the clock is to come, `next` */
    struct ei_arrival_release next;
    uint64_t next_tag; /* of `next`, when it was asked for from outside, as the next one */
    int32_t next_frame;
};

/* How far the task's jobs are, for others to plan with. A job counts as under way from its first instant until its
 * network is over, or until it ends when it had none. */
struct ei_task_progress {
    _Atomic int64_t begun, over;                  /* jobs */
    _Atomic int64_t release_ns[EI_JOB_SLOTS_MAX]; /* nominal, of job n at n modulo */
};

/* The file of one append_file operation. */
struct ei_task_log {
    int fd;
    const char *path; /* of the stage; borrowed from the spec */
    bool is_made;     /* by this run: a run that does not start removes it */
};

/* A job in flight, and the thread that runs it; between two jobs what the next one finds. */
struct ei_job_slot {
    struct ei_live_task *task;
    int32_t idx; /* of the run's slots */
    struct ei_thread thread;
    bool has_thread;
    struct ei_gate_seat seat;    /* at the gates that the task may use */
    struct ei_job_record record; /* of the job that runs */
    struct ei_activity activity; /* its present stretch of wanting the processor */
    struct ei_stage_mark mark;   /* when is_recording_stages */
    int64_t ready_ns;            /* when the job that is due could run */
    struct ei_stage_use stage;   /* that it is in */
    struct einet_image image;    /* its sample; borrowed from the data set */
    bool is_under_way;           /* see struct ei_task_progress */
    struct ei_answer answer;     /* that the job published last */
    float *input_chw;            /* [channels * height * width]; this and the next two are the arena's */
    float *logits;               /* [classes] of the branch that ran last */
    float *probabilities;        /* [classes], of the softmax stage */
    int32_t cpu;                 /* where its activity is counted, EI_CPU_LOAD_NONE = not counted now */
    int32_t counted_threads;     /* that threads of its blocks are counted with it then, itself among them */
    bool is_on_spare_cpu;        /* its thread has been told where it runs on the spare */
    int64_t woken_used_ns;       /* class deadline: processor time used when it woke */
    int64_t log_job_idx;         /* the job whose append_file operations are under way */
    int32_t log_next;            /* index in `logs` of its next one */
    struct ei_slot_watch watch;
    struct ei_slot_turn turn; /* live */
    struct ei_thread_usage usage_before, usage_after;
    _Atomic(const struct ei_task_settings *) settings; /* of the job that runs, or ran last; written by its thread */
    atomic_bool has_begun;                             /* a job of it, and its thread looks for no other yet */
    atomic_int cpu_priority;                           /* that its thread was given, but for what it is lent */
};

struct ei_live_task {
    const struct ei_task_spec *spec;
    struct ei_metrics_stage stage_names[EI_STAGES_MAX]; /* for the report; borrowed from the spec */
    struct ei_run *run;
    int32_t idx;
    struct ei_cpuset cpus;
    bool is_fifo; /* asked for and got */
    struct ei_task_deadline deadline;
    struct ei_job_slot *slots; /* of the run's */
    int32_t slot_count;
    struct ei_spsc_ring ring;
    const struct ei_dataset *dataset;      /* of the run's list; NULL = no input, or the caller's frames */
    struct ei_frames *frames;              /* of the tap; NULL = none */
    const struct ei_tap_stage *own_stages; /* of the tap, [EI_STAGES_MAX]; NULL = none */
    struct ei_tap_network *own_network;    /* of the tap; NULL = none */
    struct ei_pre *pre;                    /* NULL = no preprocessing */
    int32_t pre_stage_idx;                 /* the stage that runs `pre` */
    struct ei_task_network nn;
    struct ei_task_planning planning;
    int64_t cpu_profile_ns; /* of all stages but the network; -1 = unknown */
    struct ei_chain chain;
    struct ei_external external;
    struct ei_task_watch watch;
    int64_t after_ns;                          /* predicted time of the stages behind the network */
    struct ei_task_log logs[EI_TASK_LOGS_MAX]; /* of its append_file operations, in their order */
    int32_t log_count;
    struct ei_answer_cell *answer; /* the tap's, or own_answer */
    struct ei_answer_cell own_answer;
    bool has_tap_news;           /* under the guard */
    struct ei_pipeline pipeline; /* order of the jobs in flight; live: under the guard */
    struct ei_slots flight;      /* live */
    struct ei_task_progress progress;
    struct ei_task_changes changes;
    atomic_int backlog; /* jobs released and not over, for onlookers; written with the guard held */
    int64_t expected;   /* filled when the run is over */
    struct ei_task_rt rt;
};

/* Whether the jobs of the task run on the fallback of their lane, because the device was lost. */
static inline bool ei_task_is_on_spare(const struct ei_live_task *task)
{
    return atomic_load_explicit(&task->nn.spare.is_taken, memory_order_acquire);
}

/* What the slot's job runs by. Thread: the slot's. */
static inline const struct ei_task_settings *ei_slot_settings(const struct ei_job_slot *slot)
{
    return atomic_load_explicit(&slot->settings, memory_order_relaxed);
}

/* What goes with that: the network that computes them, its block times, what plans are made from, when its first answer
 * comes, and whether a job is off its CPU in a block. */
static inline struct ei_network *ei_task_running(const struct ei_live_task *task)
{
    return ei_task_is_on_spare(task) ? task->nn.spare.net : task->nn.net;
}

static inline const struct ei_et_profile *ei_task_times(const struct ei_live_task *task)
{
    return ei_task_is_on_spare(task) ? &task->nn.spare.et : &task->nn.et;
}

static inline const struct ei_elastic_config *ei_task_elastic(const struct ei_live_task *task)
{
    const struct ei_task_settings *settings = task->nn.settings;
    if (ei_task_is_on_spare(task)) {
        return settings->has_plan ? &settings->spare : &task->nn.spare.elastic;
    }
    return settings->has_plan ? &settings->elastic : &task->nn.elastic;
}

static inline int32_t ei_task_piece_count(const struct ei_live_task *task, struct ei_step step)
{
    return ei_task_is_on_spare(task) ? 1 : ei_pieces_count(&task->nn.pieces, step);
}

static inline int32_t ei_task_threads(const struct ei_live_task *task)
{
    return ei_task_is_on_spare(task) ? task->nn.spare.threads : task->nn.threads;
}

static inline int64_t ei_task_first_answer_ns(const struct ei_live_task *task)
{
    return ei_task_is_on_spare(task) ? task->nn.spare.first_answer_ns : task->nn.first_answer_ns;
}

static inline bool ei_task_is_off_cpu(const struct ei_live_task *task)
{
    return task->nn.is_off_cpu && !ei_task_is_on_spare(task);
}

/* A data set that several tasks may share. */
struct ei_run_input {
    const struct ei_input_spec *spec; /* the first task's */
    struct ei_dataset *dataset;
};

struct ei_probe {
    int32_t cpu;
    int priority; /* 0 = SCHED_OTHER */
    struct ei_run *run;
    struct ei_thread thread;
    bool has_thread;
    struct ei_spsc_ring ring;
};

/* Changes of a live run (change.c). */
struct ei_run_changes {
    pthread_mutex_t lock;
    bool has_lock;
    struct ei_workload *wl;        /* as it is now; owned; NULL = as the file says */
    struct ei_metrics_change *log; /* owned, as are the next two; under the lock, and the housekeeper's afterwards */
    int32_t log_count;
    int64_t log_lost;
};

struct ei_run {
    const struct ei_workload *wl;
    struct ei_workload *own_wl; /* that, when it takes over: with offsets of its own; owned; NULL = the caller's */
    const struct ei_live_options *options;
    struct ei_tap *tap;  /* borrowed; NULL = none */
    int64_t duration_ns; /* counted part */
    bool is_endless;     /* until somebody ends it */
    bool is_fileless;
    struct ei_machine machine;
    struct ei_cpuset housekeeping_cpus, task_cpus; /* of this run; task_cpus: what `auto` means */
    bool is_housekeeping_shared;                   /* no CPU was left for the tasks alone */
    struct ei_privileges privileges;
    bool has_privileges;
    char out_dir[EI_RUN_DIR_MAX];
    int64_t started_at_s; /* CLOCK_REALTIME, for run.json */
    bool has_locked_dir;  /* no other run writes into out_dir; by lock_fd, which is -1 without a lock */
    int lock_fd;
    size_t made_dir_length;   /* of the shortest part of out_dir that this run made, 0 = none of it */
    bool has_workload_file;   /* workload.yaml.partial is written */
    bool is_started;          /* GO was given: what jobs wrote stays */
    bool is_recording_stages; /* an output wants stage and block records; settled before the threads */
    struct ei_run_input inputs[EI_TASKS_MAX];
    int32_t input_count;
    struct ei_lane_gate gates[EI_LANES_MAX];
    int32_t gate_count;
    struct ei_cpu_loads loads;
    struct ei_live_task *tasks; /* [wl->task_count] */
    struct ei_job_slot *slots;  /* of task 0, then of task 1, ... */
    int32_t slot_count;
    struct ei_probe probes[EI_PROBES_MAX];
    int32_t probe_count;
    int32_t unwatched_cpus; /* task CPUs beyond EI_PROBES_MAX: no probe, no load figures */
    struct ei_watchdog watchdog;
    struct ei_start start;
    struct ei_live_board board;
    struct ei_run_changes changes;
    char spare_texts[EI_TASKS_MAX][EI_SPARE_TEXT_MAX]; /* the housekeeper's, of lists that are being made */
    struct ei_arena arena;                             /* rings and buffers; sealed before GO */
    /* the clock of the run */
    _Atomic int64_t t0_ns;    /* settled before GO */
    _Atomic int64_t end_ns;   /* releases after it do not run; moved forward by a signal */
    atomic_bool is_cancelled; /* with end_ns passed: jobs end at their next boundary */
    atomic_int running;       /* job threads that have not ended */
    atomic_bool is_probing;
    atomic_int faulty_jobs;
    struct einet_error fault; /* of the first faulty job; written once by whoever raised faulty_jobs from 0 */
};

/* ---- cpus.c ---- */

/* Settle the CPU sets of the run and of each task and check them against the process's. */
int ei_run_settle_cpus(struct ei_run *run, struct einet_error *err);
/* CPUs of the machine that simulation and analysis take: as many as the file names, at least two. */
int32_t ei_run_modelled_cpus(const struct ei_workload *wl);

/* ---- build.c, build_network.c ---- */

/* Make the tables of tasks and slots, with nothing under way; free(run->tasks), free(run->slots). Returns 0 or -ENOMEM.
 */
int ei_run_make_tasks(struct ei_run *run, struct einet_error *err);

/* Make every object of the run: inputs, gates, networks, buffers, rings. On error ei_run_demolish frees what exists. */
int ei_run_build(struct ei_run *run, struct einet_error *err);
void ei_run_demolish(struct ei_run *run);
/* Introduce a network task to the gates that it may use, from nn.lane_idx on, and to its spare's. */
void ei_task_take_seat(struct ei_live_task *task);
/* The network, its policy and its planner configuration. A device that is not there is replaced by its lane's fallback.
 */
int ei_task_build_network(struct ei_live_task *task, struct einet_error *err);
/* The profile of block times that belongs to the model's weights or bundle on such a lane: NAME.et.csv of a CPU,
 * NAME.cuda.et.csv of a device, NAME.cuda-SMS.et.csv of a lane with sms there. Returns 0; EINET_E_FILE;
 * EINET_E_MISMATCH (of another network, or another kind of lane). */
int ei_model_read_times(const struct ei_model_spec *model, const struct ei_lane_spec *lane, struct ei_et_profile *out,
                        struct einet_error *err);
/* The file that belongs to a model's weights or bundle by its name: "x.safetensors" or "x/" -> "x" and the ending; ""
 * when the model has neither. */
void ei_model_file_beside(const struct ei_model_spec *model, const char *ending, char *out, size_t size_bytes);
/* Parts of the above that need no machine: release accounting and arrivals; boundary rules; predicted time of the
 * stages behind the network. */
int ei_task_build_releases(struct ei_live_task *task, struct einet_error *err);
/* Counted releases of the task in a run that ended length_ns after t0: the `expected` of the accounting identity. */
int64_t ei_task_expected(const struct ei_live_task *task, int64_t length_ns);
struct ei_boundary_policy ei_task_boundary_policy(const struct ei_task_spec *spec);
int64_t ei_task_after_network_ns(const struct ei_task_spec *spec);
/* In which order the lanes of a workload serve those who wait. */
enum ei_lane_order ei_run_lane_order(const struct ei_workload *wl);
/* Execution that the stages outside the network need at most; -1 = not known of one of them. */
int64_t ei_task_cpu_profile_ns(const struct ei_task_spec *spec);

/* ---- spare.c, spare_rt.c ---- */

/* Jobs of the task run on its spare from now on: the job job_idx has found the device lost. The task's job in the
 * network stage; it holds no lane. */
EINET_RT void ei_task_take_spare(struct ei_live_task *task, int64_t job_idx, int64_t now_ns);
/* The spare's configuration, from that of the lane and its own block times. */
void ei_task_configure_spare(struct ei_live_task *task);
/* Say on messages (may be NULL) which tasks have moved since the last call. Thread: the housekeeper. */
void ei_run_say_moves(struct ei_run *run, FILE *messages);
/* The reasons why the run is degraded: tasks that do not run on the lane of the file, and, when it is over, tasks that
 * left it. texts: one of EI_SPARE_TEXT_MAX bytes for each. Return the count, at most one a task. */
int32_t ei_run_list_replaced(const struct ei_run *run, struct ei_metrics_degraded *out,
                             char (*texts)[EI_SPARE_TEXT_MAX]);
int32_t ei_run_list_moves(const struct ei_run *run, struct ei_metrics_degraded *out, char (*texts)[EI_SPARE_TEXT_MAX]);

/* ---- storage.c ---- */

/* Place rings and buffers of all tasks and probes in the run's arena. */
int ei_run_place_storage(struct ei_run *run, struct einet_error *err);

/* ---- timing.c ---- */

/* Run every block until libtorch's caches are warm. Thread: the job thread, before real time. */
int ei_task_warm_up(struct ei_job_slot *slot, struct einet_error *err);
/* Measure block times in sequence under the priority of the run, one task at a time, and complete the planner's
 * configuration. Thread: the job thread, already real-time. */
int ei_task_measure(struct ei_job_slot *slot, struct einet_error *err);
/* Complete the planner's configuration from nn.et. score: [score_count] mean scores of the exits; score_count 0 =
 * unknown. */
int ei_task_configure_plan(struct ei_live_task *task, const float *score, int32_t score_count, struct einet_error *err);

/* ---- task_thread.c, job_rt.c, network_rt.c, log_stage.c ---- */

/* Body of a job thread; arg: struct ei_job_slot. */
void ei_task_thread(void *arg);
/* Run one job from release to finish and push its record, or only keep its place. The thread is inside the real-time
 * section. */
EI_JOB_CODE EINET_RT void ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);
EINET_RT void ei_job_refuse(struct ei_job_slot *slot, struct ei_release release, uint8_t cause);
/* Record a release that did not become a job. The task's guard is held. */
EINET_RT void ei_job_record_unrun(struct ei_live_task *task, struct ei_release release, uint8_t outcome, uint8_t cause);
/* Whether the run was cancelled and now_ns is beyond its end. */
EINET_RT bool ei_run_is_cancelled(struct ei_run *run, int64_t now_ns);
/* Nothing released after end_ns (absolute) runs; a nearer end stays. Thread: any. */
void ei_run_end_by(struct ei_run *run, int64_t end_ns);
/* The network stage of the current job. Returns 0 or the backend's code. */
EI_JOB_CODE EINET_RT int ei_job_run_network(struct ei_job_slot *slot);
/* Count the thread as active or not on its CPU; nothing for a task outside real time. */
EINET_RT void ei_slot_activate(struct ei_job_slot *slot);
EINET_RT void ei_slot_deactivate(struct ei_job_slot *slot);
/* As ei_cpu_loads_would_pass and _would_crowd, of any CPU that the task's threads use. */
EINET_RT bool ei_slot_would_pass(const struct ei_job_slot *slot, int64_t extra_ns, double cap);
EINET_RT bool ei_slot_would_crowd(const struct ei_job_slot *slot, int64_t extra_ns);
/* Open the files of all append_file operations before the run: a bad path is an error now, not in a job. */
int ei_task_open_logs(struct ei_live_task *task, struct einet_error *err);
void ei_task_close_logs(struct ei_live_task *task);
/* The next append_file operation of the current job: one line per network task with its current answer. Not
 * real-time. */
int ei_log_stage_run(struct ei_job_slot *slot);

/* ---- workers.c ---- */

/* How many threads the task's network has, and its spare, and their CPUs; after both and the CPUs are known. */
int ei_task_settle_threads(struct ei_live_task *task, struct einet_error *err);
/* The first lane with several threads on which a task starts, EI_NONE_IDX = none. Analysis and virtual runs know
 * neither such lanes nor lost devices, so that one which is only a fallback is nothing to them. */
int32_t ei_run_lane_of_threads(const struct ei_workload *wl);
/* Place the calling job thread and its workers, with the task's policy. The networks have been warmed up. Where only
 * the spare has workers, the job thread itself stays on all CPUs of its task until it is needed there. */
int ei_task_place_workers(const struct ei_job_slot *slot, struct einet_error *err);
/* Between two jobs: once the task runs on its spare, the calling job thread goes to its CPU beside its workers. Not
 * real-time safe. */
void ei_task_settle_on_spare(struct ei_job_slot *slot);

/* ---- probe.c ---- */

int ei_probes_start(struct ei_run *run, struct einet_error *err);
void ei_probes_stop(struct ei_run *run);
/* There are some, and SCHED_FIFO was refused to them. */
bool ei_run_is_probe_outranked(const struct ei_run *run);

/* ---- output.c ---- */

/* Expand {name} and {time} of outputs.dir, or take the option, and make the folder. */
int ei_run_make_out_dir(struct ei_run *run, struct einet_error *err);
/* The path of an append_file stage: relative to the output folder. */
void ei_run_log_path(const struct ei_run *run, const struct ei_task_log *log, char *out, size_t size);
/* The least distance of its releases, of a chain's those of its first task, 0 = none; the task as the report sees it.
 */
int64_t ei_task_least_distance_ns(const struct ei_live_task *task);
struct ei_metrics_task ei_task_describe(const struct ei_live_task *task);
/* The names of the lanes, borrowed. */
void ei_run_name_lanes(const struct ei_workload *wl, const char *out[EI_LANES_MAX]);
/* trace.c. Whether an output wants stage and block records; the trace that the workload asks for, when there is an
 * out_dir. Live: after the threads were created. */
bool ei_run_wants_stages(const struct ei_workload *wl);
int ei_run_attach_trace(const struct ei_run *run, const char *out_dir, bool is_live, struct ei_collector *collector,
                        struct einet_error *err);
int ei_run_create_collector(struct ei_run *run, struct ei_collector **out, struct einet_error *err);
/* Write the workload with every default filled in beside the results: at first as workload.yaml.partial, so that the
 * file of an earlier run is replaced only by that of a run that came to its end. */
int ei_run_write_workload(struct ei_run *run, struct einet_error *err);
int ei_run_publish_workload(struct ei_run *run, struct einet_error *err);
/* After a failure: remove the files and folders that this run made. What jobs logged stays once there was a job. */
void ei_run_remove_files(struct ei_run *run);

#endif
