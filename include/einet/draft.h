/* Workloads made by calls instead of a file: a draft takes lanes, models, tasks and stages, and becomes a workload when
 * it is finished. It is read and checked by what reads workload files, so it means the same, and is wrong for the same
 * reasons; errors name the field instead of a line: "tasks.camera.priority: ...".
 *
 *     create --> add_lane, add_model, add_block, add_task, add_stage, set ... --> finish --> a workload --> a run
 *
 * Words, names and lists are those of the file (einet-workload(5)), as texts; all texts are copied. Of each field 0 or
 * NULL leaves it out, which gives it the default of the file. What the structs here do not have, einet_draft_set has.
 * Thread: one at a time for each draft.
 */
#ifndef EINET_DRAFT_H
#define EINET_DRAFT_H

#include <einet/error.h>
#include <einet/workload.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct einet_draft;

#define EINET_NONE INT64_C(-1) /* of a duration that may be `none` */

/* A draft with a name and nothing else. Returns 0 with *out_draft, which is the caller's; -ENOMEM. */
EINET_API int einet_draft_create(const char *name, struct einet_draft **out_draft, struct einet_error *err);

/* Give it up; workloads that came of it stay. NULL is fine. */
EINET_API void einet_draft_destroy(struct einet_draft *draft);

/* A place where networks run. */
struct einet_draft_lane {
    size_t size_bytes;
    const char *name;
    const char *kind;    /* "cpu", "cuda" */
    const char *cpus;    /* "1", "0-2,4" */
    const char *preempt; /* "block", "kernel" */
    const char *backend; /* "auto", "aten", "dnnl" */
    const char *wait;    /* of kind cuda, as the next ones: "block", "poll(50us)", "spin" */
    const char *fallback;
    int64_t hang_ns;
    int32_t threads;                /* of kind cpu */
    int32_t device_idx, depth, sms; /* of kind cuda */
};

/* A network: of the zoo, of a bundle, or emulated by blocks (einet_draft_add_block), in whose place a network of the
 * program may come (einet_run_set_network). */
struct einet_draft_model {
    size_t size_bytes;
    const char *name;
    const char *zoo, *dataset, *weights;
    const char *bundle;
    const char *profile;
};

struct einet_draft_block {
    size_t size_bytes;
    int64_t block_ns, exit_ns;         /* time of the block and of its exit */
    int64_t block_p99_ns, exit_p99_ns; /* 0 = always that time; else that is the median of a lognormal one */
    double score;                      /* how sure the exit is, 0..1 */
};

struct einet_draft_task {
    size_t size_bytes;
    const char *name;
    const char *scheduling_class; /* "fifo", "other", "deadline" */
    const char *cpus;
    int32_t priority; /* 1..98 */
    int32_t overlap;

    const char *arrival;          /* "periodic", "sporadic", "aperiodic", "burst", "after", "external" */
    int64_t period_ns;            /* periodic, burst; EINET_NONE: one burst */
    int64_t offset_ns, jitter_ns; /* periodic; offset also sporadic, burst */
    int64_t min_interarrival_ns;  /* external, sporadic */
    int64_t mean_ns, median_ns;   /* sporadic */
    const char *dist;             /* sporadic: "exponential", "uniform", "lognormal" */
    int64_t spacing_ns;           /* burst */
    int32_t count;                /* burst */
    int32_t queue;                /* late_release: jobs that may wait; 0 = they are skipped */
    const char *drop;             /* of those that wait: "oldest", "newest" */
    const char *trace;            /* aperiodic: a file */
    const char *after;            /* after: a task */
    int64_t deadline_ns;          /* EINET_NONE = none */
    int64_t max_blocking_ns;
    const char *on_preempt;  /* "exit", "resume", "elastic", "restart", "none" */
    const char *on_deadline; /* "exit", "finish", "abort" */
    const char *on_overrun;  /* "finish", "exit", "abort" */
    int32_t max_preemptions;

    int32_t width_px, height_px, channels; /* input: caller, topic */
    const char *input;                     /* its kind: "caller", "topic", "generated", "dataset", "images" */
    const char *dataset;                   /* dataset: "mnist", "cifar10", "cifar100" */
    const char *split;                     /* dataset, generated: "test", "train" */
    const char *dir;                       /* images */
    const char *memory;                    /* caller: "host", "device" */
    const char *topic, *message;           /* topic */
};

/* One stage: a network when it has a model, else one of the processor. */
struct einet_draft_stage {
    size_t size_bytes;
    const char *name;
    const char *op;    /* "normalize", "[decode, resize: 32x32, normalize]" */
    int64_t work_ns;   /* work: { spin: ... }, or what a function in its place needs (einet_run_set_stage) */
    const char *path;  /* op append_file */
    const char *model; /* of a network */
    const char *lane;  /* of a network: "gpu", "[cpu0, cpu1]", "any" */
    int64_t budget_ns, timeout_ns;
};

/* Add a lane. As all that add something: behind those that are there, and whether it is right is checked in the end.
 * Returns 0; -EINVAL or -E2BIG (size_bytes); EINET_E_USAGE: no name, or one that is there already; -ENOMEM, after which
 * the draft is good for nothing but destroy. The draft stays as it was on other errors. */
EINET_API int einet_draft_add_lane(struct einet_draft *draft, const struct einet_draft_lane *lane,
                                   struct einet_error *err);

/* Add a model. Returns as einet_draft_add_lane. */
EINET_API int einet_draft_add_model(struct einet_draft *draft, const struct einet_draft_model *model,
                                    struct einet_error *err);

/* Add a block to a model, which is emulated by its blocks then. Returns as einet_draft_add_lane; EINET_E_USAGE also: no
 * such model. */
EINET_API int einet_draft_add_block(struct einet_draft *draft, const char *model_name,
                                    const struct einet_draft_block *block, struct einet_error *err);

/* Add a task. Returns as einet_draft_add_lane, but that two have one name is found in the end. */
EINET_API int einet_draft_add_task(struct einet_draft *draft, const struct einet_draft_task *task,
                                   struct einet_error *err);

/* Add a stage to a task. Returns as einet_draft_add_lane; EINET_E_USAGE also: no such task; EINET_E_FILE: a list that
 * cannot be read. */
EINET_API int einet_draft_add_stage(struct einet_draft *draft, const char *task_name,
                                    const struct einet_draft_stage *stage, struct einet_error *err);

/* Anything that a file can say. path: keys joined by dots, an entry of a list by its name or its number from 0; value:
 * as the file has it: ("tasks.camera.slo", "{ max_miss_ratio: 0, mk: [1, 10] }"), ("run.seed", "42"). What was there is
 * replaced. Returns 0; EINET_E_FILE: a path that leads nowhere, or a value that cannot be read; -ENOMEM as above. */
EINET_API int einet_draft_set(struct einet_draft *draft, const char *path, const char *value, struct einet_error *err);

/* Check the draft and make a workload of it. Relative paths are taken from the working directory. The draft stays as it
 * is, and may go on. Returns 0 with *out_workload, which is the caller's; EINET_E_FILE with what is wrong first;
 * -ENOMEM. */
EINET_API int einet_draft_finish(const struct einet_draft *draft, struct einet_workload **out_workload,
                                 struct einet_error *err);

#ifdef __cplusplus
}
#endif
#endif
