/* Networks of the program's own: blocks and exits that functions of the program compute, planned, preempted, timed and
 * recorded as every network is (docs/library.md).
 *
 *     begin --> run_block(0) --> run_exit(0)? --> run_block(1) --> run_exit(1)? --> ... --> end
 *
 * Blocks run in order. After a block its exit runs, or is left out, as the plan says; `end` may come behind any of
 * them. Between two of them a higher task may have the lane. What one block leaves for the next lies in the instance.
 */
#ifndef EINET_NETWORK_H
#define EINET_NETWORK_H

#include <einet/run.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EINET_EXITS_MAX 64
#define EINET_CLASSES_MAX 1024

/* What run_exit writes. */
enum einet_scores {
    EINET_SCORES_LOGITS,       /* any numbers; their softmax is the answer */
    EINET_SCORES_PROBABILITIES /* 0..1 each; they are taken as they are, but made to sum up to 1 */
};

/* A network of the program's own.
 *
 * Thread: open and close are called once per run and task, by a thread of the run that is not real-time. The other
 * functions are called by job threads of the task, at its real-time priority and one at a time, though, with `overlap`,
 * not always by the same one: they should neither lock, allocate nor print. They may call what is marked EINET_RT.
 * Before time zero of the run they are called for some 30 to 250 jobs that are none, which warm them up and measure how
 * long each block and exit takes here. A negative code of a function ends the job, which is aborted with
 * EINET_CAUSE_FAULT; before time zero, the start. */
struct einet_network {
    size_t size_bytes;
    void *context;
    const char *name;                      /* for reports and profiles, copied; NULL = that of the model */
    int32_t exits;                         /* blocks, each with its exit, 1..EINET_EXITS_MAX */
    int32_t classes;                       /* 2..EINET_CLASSES_MAX */
    int32_t channels, height_px, width_px; /* of the picture that begin is given: 1 or 3 channels; all 0 = it is given
                                            * none */
    float mean[3], std[3];                 /* that op normalize takes off and divides by, on the 0..1 scale; an std of 0
                                            * counts as 1 */
    int32_t scores;                        /* enum einet_scores */
    const float *mean_score;               /* [exits] how sure each exit is on average, 0..1, for plans; copied;
                                            * NULL = `score` of the model's blocks */
    /* An instance for one task; NULL: the context is the instance. Returns 0 or more with *out_instance, or a code that
     * fails the start. */
    int (*open)(void *context, void **out_instance);
    /* It is needed no longer; NULL: nothing to do. Only after an open that went well, or where there is none. */
    void (*close)(void *instance);
    /* A job begins; NULL: nothing to do. job: its answer is NULL; NULL before time zero. input_chw: float
     * [channels][height_px][width_px], normalized, valid until end; NULL where it takes none. */
    int (*begin)(void *instance, const struct einet_job *job, const float *input_chw);
    /* Block block_idx, from 0, in order. */
    int (*run_block)(void *instance, int32_t block_idx);
    /* The exit of the block that ran last. out_scores: float [classes], all finite. out_confidence: how sure the answer
     * is, 0..1; left alone or below 0, the probability of its most probable class. */
    int (*run_exit)(void *instance, int32_t exit_idx, float *out_scores, float *out_confidence);
    /* The job is over, or goes back to its beginning; NULL: nothing to do. */
    void (*end)(void *instance);
};

/* Have a network of the program compute what the workload has an emulated model for: `models: { m: { emulate: ... } }`
 * with as many blocks. Their times and scores remain what `einet simulate` and `einet analyze` reckon with. The network
 * runs in the job's thread, on lanes of kind cpu. Before start. Returns 0; EINET_E_USAGE: no such task, one without a
 * network or with one that is not emulated, another number of exits, a lane of kind cuda, a value out of range, named;
 * -EALREADY: the run was started; -EINVAL or -E2BIG (size_bytes); -ENOMEM. */
EINET_API int einet_run_set_network(struct einet_run *run, int32_t task_idx, const struct einet_network *network,
                                    struct einet_error *err);

#ifdef __cplusplus
}
#endif
#endif
