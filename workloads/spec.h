/* A checked workload file as plain C data. Made once by ei_workload_load and not changed while a run uses it.
 *
 * Everything that the file can settle alone is settled: defaults are filled in, names are indices, durations are ns,
 * priorities are assigned. What needs the machine (CPUs that exist, privileges) or other files (weights, data sets) is
 * checked by the engine, which blames the `place` of the entry in `file`. Lists keep the order of the file.
 * One C field table (workloads/fields.h) drives reading, defaults, checking, printing and the manual page.
 */
#ifndef WORKLOADS_SPEC_H
#define WORKLOADS_SPEC_H

#include "rt/cpuset.h"
#include "rt/quantity.h"
#include "workloads/dataset.h"
#include "workloads/diagnostics.h"
#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef EI_TASKS_MAX /* a build may want more: bench/simulate.c */
#define EI_TASKS_MAX 64
#endif
#define EI_LANES_MAX 16
#define EI_MODELS_MAX 32
#define EI_STAGES_MAX 8
#define EI_OVERLAP_MAX 8
#define EI_STAGE_OPS_MAX 8
#define EI_EMULATED_BLOCKS_MAX 64
#define EI_SPEC_NAME_MAX 32    /* bytes with the final 0; letters, digits, '_', '-', '.' */
#define EI_SPEC_PATH_MAX 256   /* bytes with the final 0 */
#define EI_SPEC_QUEUE_MAX 64   /* of late_release */
#define EI_SPEC_PIECES_MAX 512 /* of a network whose blocks are split */
#define EI_SPEC_SIDE_MAX_PX 16384
#define EI_TRACE_MAX 1000000                        /* releases in one trace file */
#define EI_WORKLOAD_FILE_MAX (INT64_C(1024) * 1024) /* bytes of a workload file */

#define EI_NONE_NS INT64_C(-1) /* a duration that the file leaves out or sets to `none` */
#define EI_NONE_RATIO (-1.0)   /* the same for a ratio */
#define EI_NONE_IDX (-1)

/* ---- run and platform ---- */

struct ei_run_spec {
    int64_t duration_ns;    /* of the counted part, after the warm-up: a run lasts warmup_ns + duration_ns from t0 on */
    int64_t warmup_ns;      /* jobs released before t0 + warmup_ns run and are logged, not counted; >= 0 */
    uint64_t seed;          /* of every random draw of the run */
    int64_t start_delay_ns; /* from "all threads ready" to t0 */
};

enum ei_spec_privileges { EI_SPEC_PRIVILEGES_DEGRADE, EI_SPEC_PRIVILEGES_REQUIRE };
enum ei_spec_lock_memory { EI_SPEC_LOCK_ALL, EI_SPEC_LOCK_NONE };

struct ei_platform_spec {
    enum ei_spec_privileges privileges;
    enum ei_spec_lock_memory lock_memory;
    int64_t stack_bytes;                /* of each job thread */
    int64_t cpu_dma_latency_ns;         /* whole microseconds; EI_NONE_NS = leave alone */
    double rt_load_cap;                 /* of each CPU and second, 0.05..1 */
    int32_t watchdog;                   /* times its budget after which a job has run away; 0 = no watchdog */
    struct ei_cpuset housekeeping_cpus; /* empty = none set aside */
};

/* ---- lanes and models ---- */

/* A word of the grammar, with its number when it takes one: "hybrid(6)". */
struct ei_term {
    int32_t word;
    double number; /* 0 when the word takes none */
};

enum ei_spec_lane_kind { EI_SPEC_LANE_CPU, EI_SPEC_LANE_CUDA };
enum ei_spec_lane_preempt { EI_SPEC_LANE_PREEMPT_BLOCK, EI_SPEC_LANE_PREEMPT_KERNEL };
enum ei_spec_backend { EI_SPEC_BACKEND_AUTO, EI_SPEC_BACKEND_ATEN, EI_SPEC_BACKEND_DNNL };

/* How a job waits for a block that runs on a device. */
enum ei_spec_wait {
    EI_SPEC_WAIT_BLOCK, /* it sleeps */
    EI_SPEC_WAIT_POLL,  /* it sleeps until shortly before the end is expected; number: then it spins at most so long, ns
                         */
    EI_SPEC_WAIT_SPIN   /* it spins, so its CPU is taken, too */
};

struct ei_lane_spec {
    struct ei_place place;
    char name[EI_SPEC_NAME_MAX];
    enum ei_spec_lane_kind kind;
    /* kind cpu */
    struct ei_cpuset cpus; /* empty = auto: all CPUs of the process but the housekeeping ones (all, if none is left) */
    enum ei_spec_lane_preempt preempt; /* kind cuda: BLOCK */
    enum ei_spec_backend backend;      /* of networks with weights; the same for all lanes of a list */
    int32_t threads; /* inside a block of such a network, each on a CPU of its own; the same for all lanes of a list.
                      * Kind cuda: 0 */
    /* kind cuda; no task names such a lane in a list */
    int32_t device_idx;              /* of CUDA's numbering */
    struct ei_term wait;             /* word: enum ei_spec_wait */
    int32_t depth;                   /* blocks in the device's queue, 1 or 2 */
    int32_t sms;                     /* of the device, for this lane alone; 0 = all, with whoever else uses it */
    int64_t hang_ns;                 /* a block that takes longer is given up, and the device with it */
    char fallback[EI_SPEC_NAME_MAX]; /* lane of kind cpu with preempt: block; "" = none */
    int32_t fallback_idx;            /* its index or EI_NONE_IDX; of kind cpu without meaning */
};

/* Whether a job on this lane leaves its CPU to others while a block of it runs. */
static inline bool ei_lane_is_off_cpu(const struct ei_lane_spec *lane)
{
    return lane->kind == EI_SPEC_LANE_CUDA && lane->wait.word != EI_SPEC_WAIT_SPIN;
}

enum ei_emulated_kind { EI_EMULATED_CONSTANT, EI_EMULATED_LOGNORMAL };

/* Time of one emulated part. */
struct ei_emulated_time {
    enum ei_emulated_kind kind;
    int64_t median_ns; /* the time itself when constant */
    int64_t p99_ns;    /* >= median_ns; equal to it when constant */
};

/* One block of an emulated model: it has an exit, as every block. */
struct ei_emulated_block {
    struct ei_emulated_time conv;
    struct ei_emulated_time branch;
    double score; /* confidence of the exit, 0..1 */
};

enum ei_spec_model_kind { EI_SPEC_MODEL_ZOO, EI_SPEC_MODEL_EMULATE, EI_SPEC_MODEL_BUNDLE };

struct ei_model_spec {
    struct ei_place place;
    char name[EI_SPEC_NAME_MAX];
    enum ei_spec_model_kind kind;
    /* kind zoo */
    char zoo[EI_SPEC_NAME_MAX];     /* "b-alexnet" */
    char dataset[EI_SPEC_NAME_MAX]; /* "mnist", "cifar10", "cifar100", "generated": input shape and classes */
    char weights[EI_SPEC_PATH_MAX];
    /* kind bundle */
    char bundle[EI_SPEC_PATH_MAX]; /* folder with a manifest.json */
    /* kinds zoo and bundle */
    char profile[EI_SPEC_PATH_MAX]; /* "" = none given */
    /* kind emulate */
    int32_t block_count;
    struct ei_emulated_block blocks[EI_EMULATED_BLOCKS_MAX];
};

/* ---- scheduler and planner ---- */

/* Under every policy tasks have fixed priorities on CPUs: the file's own under FIXED_PRIORITY, if it gives any, else
 * assigned when it is read. EDF orders lanes by absolute deadline; its CPU priorities are the deadline-monotonic ones.
 */
enum ei_spec_policy {
    EI_SPEC_POLICY_FIXED_PRIORITY,
    EI_SPEC_POLICY_RATE_MONOTONIC,
    EI_SPEC_POLICY_DEADLINE_MONOTONIC,
    EI_SPEC_POLICY_EDF
};
enum ei_spec_admission { EI_SPEC_ADMISSION_NONE, EI_SPEC_ADMISSION_WARN, EI_SPEC_ADMISSION_REJECT };

struct ei_scheduler_spec {
    enum ei_spec_policy policy;
    enum ei_spec_admission admission;
};

enum ei_spec_search {
    EI_SPEC_SEARCH_EXACT,
    EI_SPEC_SEARCH_ALL,
    EI_SPEC_SEARCH_STATIC, /* number: percent of the exits, 1..100 */
    EI_SPEC_SEARCH_HYBRID, /* number: exits enumerated, 0..12 */
    EI_SPEC_SEARCH_GREEDY,
    EI_SPEC_SEARCH_RANDOM,     /* number: draws, 1..10000 */
    EI_SPEC_SEARCH_CONFIDENCE, /* number: 0..1 */
    EI_SPEC_SEARCH_STATISTICS
};
enum ei_spec_exit_time {
    EI_SPEC_EXIT_TIME_UNIFORM,
    EI_SPEC_EXIT_TIME_EXPONENTIAL, /* number: stops per second, > 0 */
    EI_SPEC_EXIT_TIME_SCHEDULE,
    EI_SPEC_EXIT_TIME_EMPIRICAL, /* number: jobs remembered, 0 = all */
    EI_SPEC_EXIT_TIME_TRACE
};
enum ei_spec_replan { EI_SPEC_REPLAN_AUTO, EI_SPEC_REPLAN_INLINE, EI_SPEC_REPLAN_OVERLAPPED };
enum ei_spec_first_exit { EI_SPEC_FIRST_EXIT_MANDATORY, EI_SPEC_FIRST_EXIT_OPTIONAL };

struct ei_planner_spec {
    struct ei_term search;             /* word: enum ei_spec_search */
    struct ei_term exit_time;          /* word: enum ei_spec_exit_time */
    char exit_times[EI_SPEC_PATH_MAX]; /* exit_time trace: file of recorded stops (planner/survival_empirical.h); else
                                          "" */
    char predictor[EI_SPEC_PATH_MAX];  /* a .predictor file; "auto" = the one beside the weights if there is one; "none"
                                        */
    enum ei_spec_replan replan;
    enum ei_spec_first_exit first_exit;
};

/* ---- tasks ---- */

enum ei_arrival_model {
    EI_ARRIVAL_PERIODIC,
    EI_ARRIVAL_SPORADIC,
    EI_ARRIVAL_APERIODIC,
    EI_ARRIVAL_BURST,
    EI_ARRIVAL_AFTER,   /* when the predecessor's job of the same number has finished */
    EI_ARRIVAL_EXTERNAL /* when somebody outside says so */
};
enum ei_arrival_dist { EI_ARRIVAL_EXPONENTIAL, EI_ARRIVAL_UNIFORM, EI_ARRIVAL_LOGNORMAL };

/* When jobs are released, relative to t0. See workloads/arrival.h for the exact times. */
struct ei_arrival_spec {
    enum ei_arrival_model model;
    int64_t period_ns;            /* periodic: >= 100 us; burst: from burst to burst, EI_NONE_NS = one burst only */
    int64_t offset_ns;            /* periodic, sporadic, burst: earliest first release */
    int64_t jitter_ns;            /* periodic: each job starts up to this late, uniformly drawn; < period_ns */
    int64_t min_interarrival_ns;  /* sporadic, external */
    int64_t mean_ns;              /* sporadic: mean distance of two releases, >= min_interarrival_ns; external: that */
    int64_t median_ns;            /* sporadic, lognormal: > min_interarrival_ns, <= mean_ns; else EI_NONE_NS */
    enum ei_arrival_dist dist;    /* sporadic: of what exceeds min_interarrival_ns */
    int32_t count;                /* burst: releases in one */
    int64_t spacing_ns;           /* burst: between its releases; (count - 1) * spacing_ns < period_ns */
    char trace[EI_SPEC_PATH_MAX]; /* aperiodic: the file that was read */
    const int64_t *trace_ns;      /* aperiodic: release times since t0, not decreasing; owned by the workload */
    int64_t trace_count;
    char after[EI_SPEC_NAME_MAX]; /* after: the predecessor */
    int32_t after_idx;            /* its index; of the other models EI_NONE_IDX */
};

enum ei_spec_class { EI_SPEC_CLASS_FIFO, EI_SPEC_CLASS_OTHER, EI_SPEC_CLASS_DEADLINE };
#define EI_SPEC_DEADLINE_PRIORITY 100 /* of class deadline: above all of class fifo and what helps them */
enum ei_spec_late { EI_SPEC_LATE_SKIP, EI_SPEC_LATE_DROP_OLDEST, EI_SPEC_LATE_DROP_NEWEST };
enum ei_spec_on_preempt {
    EI_SPEC_ON_PREEMPT_EXIT,
    EI_SPEC_ON_PREEMPT_RESUME,
    EI_SPEC_ON_PREEMPT_NONE,
    EI_SPEC_ON_PREEMPT_ELASTIC,
    EI_SPEC_ON_PREEMPT_RESTART
};
enum ei_spec_on_deadline { EI_SPEC_ON_DEADLINE_EXIT, EI_SPEC_ON_DEADLINE_FINISH, EI_SPEC_ON_DEADLINE_ABORT };
enum ei_spec_on_overrun { EI_SPEC_ON_OVERRUN_FINISH, EI_SPEC_ON_OVERRUN_EXIT, EI_SPEC_ON_OVERRUN_ABORT };

struct ei_late_spec {
    enum ei_spec_late policy;
    int32_t queue; /* 1..EI_SPEC_QUEUE_MAX; 0 with skip */
};

enum ei_spec_input_kind {
    EI_SPEC_INPUT_NONE,
    EI_SPEC_INPUT_DATASET,
    EI_SPEC_INPUT_IMAGES,
    EI_SPEC_INPUT_GENERATED,
    EI_SPEC_INPUT_CALLER, /* with each release, by a program that embeds the run (einet/run.h) */
    EI_SPEC_INPUT_TOPIC   /* the same, or results, by an adapter that takes them from messages (docs/dds.md) */
};

enum ei_spec_memory { EI_SPEC_MEMORY_HOST, EI_SPEC_MEMORY_DEVICE };
#define EI_SPEC_TOPIC_MAX 200 /* bytes of its name */
enum ei_spec_message {
    EI_SPEC_MESSAGE_IMAGE,
    EI_SPEC_MESSAGE_COMPRESSED_IMAGE,
    EI_SPEC_MESSAGE_CLASSIFICATION, /* this and the next: results of another run, without a picture */
    EI_SPEC_MESSAGE_STATUS
};

/* Where pictures come from. Job k reads sample k modulo their number. */
struct ei_input_spec {
    struct ei_place place;
    enum ei_spec_input_kind kind; /* EI_SPEC_INPUT_NONE: the task has no input */
    char name[EI_SPEC_NAME_MAX];  /* dataset: "mnist", "cifar10" or "cifar100" */
    enum ei_dataset_split split;  /* dataset, generated */
    char root[EI_SPEC_PATH_MAX];  /* dataset: folder of the sets; "" = EINET_DATA, else data/ */
    char dir[EI_SPEC_PATH_MAX];   /* images */
    uint64_t seed;                /* generated */
    int32_t count;                /* generated */
    int32_t width_px, height_px;  /* caller, topic: of its pictures; at most that where a stage resizes; 0 of results */
    int32_t channels;             /* caller, topic: 1 or 3; 0 of results */
    enum ei_spec_memory memory;   /* caller: where they lie; DEVICE: as the network takes them, on its lane's device */
    char topic[EI_SPEC_PATH_MAX]; /* topic: its name in ROS 2, from the root */
    enum ei_spec_message message; /* topic */
    bool is_loop; /* false: a run with more releases than samples is refused (engine, ei_arrival_expected) */
};

/* Whether what comes with each release is a result of another run, in which its chain began. */
static inline bool ei_input_is_result(const struct ei_input_spec *input)
{
    return input->kind == EI_SPEC_INPUT_TOPIC &&
           (input->message == EI_SPEC_MESSAGE_CLASSIFICATION || input->message == EI_SPEC_MESSAGE_STATUS);
}

/* Whether each picture comes with its release. */
static inline bool ei_input_is_handed_in(const struct ei_input_spec *input)
{
    return input->kind == EI_SPEC_INPUT_CALLER || (input->kind == EI_SPEC_INPUT_TOPIC && !ei_input_is_result(input));
}

/* Where an adapter says what becomes of the messages of a topic: names in ROS 2 from the root, "" = nowhere. All "" of
 * a task whose chain does not begin with one that takes those of a topic. */
struct ei_topics_spec {
    char classification[EI_SPEC_PATH_MAX], status[EI_SPEC_PATH_MAX], partial[EI_SPEC_PATH_MAX];
};

enum ei_spec_stage_kind { EI_SPEC_STAGE_CPU, EI_SPEC_STAGE_NN };
enum ei_spec_op_kind {
    EI_SPEC_OP_DECODE,
    EI_SPEC_OP_RESIZE,
    EI_SPEC_OP_NORMALIZE,
    EI_SPEC_OP_SOFTMAX,
    EI_SPEC_OP_ARGMAX,
    EI_SPEC_OP_TOP5,
    EI_SPEC_OP_APPEND_FILE
};

struct ei_op_spec {
    enum ei_spec_op_kind kind;
    int32_t width_px, height_px; /* resize; else 0 */
};

/* A cpu stage has either ops or spin_ns; pre-operations stand before the nn stage, post-operations after it. */
struct ei_stage_spec {
    struct ei_place place;
    char name[EI_SPEC_NAME_MAX];
    enum ei_spec_stage_kind kind;
    int32_t op_count;
    struct ei_op_spec ops[EI_STAGE_OPS_MAX];
    int64_t spin_ns;             /* cpu: processor time to burn; EI_NONE_NS = none */
    char path[EI_SPEC_PATH_MAX]; /* op append_file: relative to the output folder; never "" with that op */
    int32_t model_idx;           /* nn; else EI_NONE_IDX */
    int32_t lane_idx;            /* nn: its lane, or the first of those it may use; else EI_NONE_IDX */
    int32_t more_lane_count;     /* nn: further lanes it may use, in the order in which they are tried */
    int32_t more_lanes[EI_LANES_MAX - 1];
    int64_t budget_ns;  /* processor time that a job may take in it; EI_NONE_NS = none */
    int64_t timeout_ns; /* from its beginning to its end, waits included; EI_NONE_NS = none */
};

/* Service level objectives; each EI_NONE_* when not asked for. */
struct ei_slo_spec {
    double max_miss_ratio;
    int32_t mk_m, mk_k; /* at most m misses in any k consecutive jobs; k = 0: not asked for */
    int64_t p50_response_ns, p99_response_ns, p999_response_ns;
    double min_accuracy; /* share of delivered answers that are right, over labelled jobs */
    double min_coverage; /* share of jobs that delivered an answer */
};

struct ei_task_spec {
    struct ei_place place;
    char name[EI_SPEC_NAME_MAX];
    struct ei_arrival_spec arrival;
    int64_t deadline_ns;       /* relative to the nominal release (after: of the chain's head); EI_NONE_NS = none */
    int32_t priority;          /* 1..98; 0 with class other; EI_SPEC_DEADLINE_PRIORITY with class deadline */
    int32_t fallback_priority; /* class deadline: SCHED_FIFO 1..98 where the kernel refuses SCHED_DEADLINE; else 0 */
    struct ei_cpuset cpus; /* of an nn task with auto: its lane's, or that lane's fallback's. Empty = auto, as there */
    struct ei_place cpus_place; /* {0, 0} when the file does not give cpus */
    enum ei_spec_class class_;
    struct ei_late_spec late_release;
    int32_t overlap;                    /* jobs in flight at most, 1..EI_OVERLAP_MAX */
    int64_t rehearse_ns;                /* before each release its thread warms up for the job; EI_NONE_NS = never */
    enum ei_spec_on_preempt on_preempt; /* NONE on a lane with preempt: kernel, where nobody waits for a boundary */
    int32_t max_preemptions;            /* a job that lost its lane so often keeps it; 0 = any number */
    enum ei_spec_on_deadline on_deadline;
    int64_t max_blocking_ns; /* between preemption points on a lane; EI_NONE_NS = every boundary is one */
    enum ei_spec_on_overrun on_overrun;
    struct ei_planner_spec planner;
    struct ei_input_spec input;
    struct ei_topics_spec topics;
    int32_t stage_count; /* >= 1 */
    struct ei_stage_spec stages[EI_STAGES_MAX];
    int32_t nn_stage_idx; /* of the one nn stage, EI_NONE_IDX when there is none */
    struct ei_slo_spec slo;
};

/* Whether one of its stages has the operation. */
static inline bool ei_task_has_op(const struct ei_task_spec *task, enum ei_spec_op_kind kind)
{
    for (int32_t i = 0; i < task->stage_count; i++) {
        for (int32_t k = 0; k < task->stages[i].op_count; k++) {
            if (task->stages[i].ops[k].kind == kind) {
                return true;
            }
        }
    }
    return false;
}

/* The same of any that works on pictures. */
static inline bool ei_task_has_picture_op(const struct ei_task_spec *task)
{
    return ei_task_has_op(task, EI_SPEC_OP_DECODE) || ei_task_has_op(task, EI_SPEC_OP_RESIZE) ||
           ei_task_has_op(task, EI_SPEC_OP_NORMALIZE);
}

/* ---- outputs and the whole ---- */

enum ei_spec_jobs { EI_SPEC_JOBS_CSV, EI_SPEC_JOBS_NONE };
enum ei_spec_stages { EI_SPEC_STAGES_CSV, EI_SPEC_STAGES_NONE };
enum ei_spec_hist { EI_SPEC_HIST_HLOG, EI_SPEC_HIST_NONE };

enum ei_spec_trace { EI_SPEC_TRACE_NONE, EI_SPEC_TRACE_PERFETTO };
enum ei_spec_save { EI_SPEC_SAVE_ALWAYS, EI_SPEC_SAVE_MISS };

struct ei_trace_spec {
    enum ei_spec_trace format;
    int64_t last_ns; /* of the flight recorder; EI_NONE_NS = the whole run */
    enum ei_spec_save save_on;
};

struct ei_outputs_spec {
    char dir[EI_SPEC_PATH_MAX]; /* may hold {name} (of the workload) and {time} (of the start); the engine expands them
                                 */
    enum ei_spec_jobs jobs;
    enum ei_spec_stages stages;
    enum ei_spec_hist hist;
    struct ei_trace_spec trace;
    char metrics[EI_SPEC_PATH_MAX]; /* ADDRESS:PORT of this machine alone; "" = none */
};

struct ei_workload {
    char file[EI_SPEC_PATH_MAX]; /* as given to load or parse: for messages */
    int32_t version;             /* 1 */
    char name[EI_SPEC_NAME_MAX];
    struct ei_run_spec run;
    struct ei_platform_spec platform;
    int32_t lane_count;
    struct ei_lane_spec lanes[EI_LANES_MAX];
    int32_t model_count;
    struct ei_model_spec models[EI_MODELS_MAX];
    struct ei_scheduler_spec scheduler;
    struct ei_planner_spec planner; /* defaults of the tasks, already copied into them */
    int32_t task_count;             /* >= 1 */
    struct ei_task_spec tasks[EI_TASKS_MAX];
    struct ei_outputs_spec outputs;
};

/* Read and check a workload file. Paths of weights, profiles, traces, image folders and data roots that are relative
 * are taken beside the workload file when they exist there, else from the working directory; the spec holds the result.
 *
 * diag is initialised by this call in every case but -ENOMEM and holds all errors and warnings, sorted; print it, then
 * ei_diagnostics_fini it. Returns 0 with *out (destroy it), EINET_E_FILE when there is an error, -ENOMEM. *out is
 * untouched on failure. Thread: any, not real-time safe. */
int ei_workload_load(const char *path, struct ei_workload **out, struct ei_diagnostics *diag);

/* A value that takes the place of the file's, or of a default, before anything is checked. path: keys joined by dots;
 * an entry of a list by its `name` or its number from 0: "tasks.camera.deadline". */
struct ei_setting {
    const char *path, *value;
};

/* ei_workload_load with settings. A path that leads nowhere, or to more than one value, is an error of the file. */
int ei_workload_load_with(const char *path, const struct ei_setting *settings, int32_t count, struct ei_workload **out,
                          struct ei_diagnostics *diag);

/* The same for a text in memory; name stands in messages, and its folder is where relative paths are looked up. */
int ei_workload_parse(const char *text, size_t length_bytes, const char *name, struct ei_workload **out,
                      struct ei_diagnostics *diag);

/* The first task of the chain that the task belongs to: the one whose arrival is not `after`, itself when it is in
 * none. Its releases number and date the jobs of the whole chain. Thread: any; real-time safe. */
EINET_RT int32_t ei_workload_chain_head(const struct ei_workload *wl, int32_t task_idx);

/* Of a task of class deadline, as the kernel and its model take it: processor time in each period, the period, and the
 * deadline within it. The period is a 32nd shorter than the task's, though not below the deadline: a thread that woke
 * late once, or used more than it has, would else find its period begun that much too late for ever, and wait for it in
 * each job. The time is 2 us more than the budgets: one whose runtime is used up to the last ns does not begin a period
 * when it wakes, but goes on with the old ones. The period is 0 with arrivals that have none. Thread: any. */
struct ei_bandwidth {
    int64_t runtime_ns, deadline_ns, period_ns;
};
struct ei_bandwidth ei_task_bandwidth(const struct ei_task_spec *task);

/* Free it; NULL is fine. */
void ei_workload_destroy(struct ei_workload *wl);

/* Write the whole file with every default filled in. Reading that text again from the same working directory gives an
 * equal spec. Thread: any, not real-time safe. */
void ei_workload_print(const struct ei_workload *wl, FILE *out);

/* Equal in every field of the field table and in the trace times; places and file name do not count. */
bool ei_workload_is_equal(const struct ei_workload *a, const struct ei_workload *b);

#define EI_DURATION_TEXT_MAX 32
/* The shortest exact form: "33333us", "0ns" as "0s". Always terminated; returns out_text. */
const char *ei_duration_format(int64_t duration_ns, char out_text[EI_DURATION_TEXT_MAX]);

#endif
