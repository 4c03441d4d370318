/* The bridge between a run and the topics of a robot, over DDS in the dialect of ROS 2 (docs/dds.md). It lies in a
 * library of its own, libeinet_dds, which exists where einet was built with CycloneDDS.
 *
 *     einet_dds_create -> einet_run_create with its callbacks -> einet_run_start -> einet_dds_start
 *     -> einet_dds_stop -> einet_run_drain, einet_run_wait -> einet_dds_destroy -> einet_run_destroy
 *
 * Another run may take over with the images that come (options.takes_over of einet/run.h):
 *
 *     einet_dds_prepare -> einet_run_create with its callbacks -> einet_dds_expect -> einet_run_start
 *     -> einet_dds_taken_over
 *
 * Tasks with `input: { kind: topic, topic: NAME }` get the images of NAME. Each image that is taken ends in exactly one
 * einet_msgs/InferenceStatus for that task and for each one behind it in a chain (`arrival: after`), but for tasks that
 * are paused behind another, and, when the job brought an answer, one vision_msgs/Classification before it; all bear
 * the stamp of the image. `outputs:` of a task names the topics, /einet/TASK/status and /einet/TASK/classification
 * otherwise, and turns on one for the answers of all exits. With `message: status` or `classification` NAME has results
 * of another run instead, and the task and those behind it go on with the chain that began there (docs/dds.md, Chains):
 * what is said of images holds for them, their stamp being that of the image. /diagnostics says each second how the
 * tasks do. Jobs never wait for the network: images are taken by the thread that receives them, results are written by
 * the callback thread of the run, diagnostics and what the run has no place for by a thread dds_out.
 */
#ifndef EINET_DDS_H
#define EINET_DDS_H

#include <einet/pool.h>
#include <einet/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct einet_dds;

struct einet_dds_options {
    size_t size_bytes;
    int32_t domain; /* as ROS_DOMAIN_ID, 0..EINET_DDS_DOMAIN_MAX */
    /* of dds_out and of CycloneDDS's threads that carry data: 1..98 = SCHED_FIFO, 0 = SCHED_OTHER */
    int32_t priority;
    const char *config;                      /* more settings of CycloneDDS, as CYCLONEDDS_URI has them; NULL = none */
    const struct einet_callbacks *callbacks; /* called after those of the bridge; copied; NULL = none */
    /* Answer as a node of a pool: results go to the egress of that, not to the topics of ROS 2 (einet/pool.h). Copied;
     * NULL = alone. */
    const struct einet_dds_pool *pool;
};

/* Make the participant, its readers and its writers; nothing is taken yet. The domain must not be in use in this
 * process by others; they may come later, and must be gone before einet_dds_destroy. options NULL = all defaults.
 * From here to einet_dds_destroy the bridge has CycloneDDS's log (dds_set_log_sink), to count what cannot be decoded.
 * Returns 0 with *out_dds, which is the caller's; EINET_E_USAGE: no task has a topic, or options that cannot be;
 * EINET_E_PRIVILEGE; EINET_E_BACKEND: CycloneDDS refused; -EINVAL or -E2BIG (size_bytes); -ENOMEM. */
EINET_API int einet_dds_create(struct einet_workload *workload, const struct einet_dds_options *options,
                               struct einet_dds **out_dds, struct einet_error *err);

/* For einet_run_options of the first run of this bridge; lives as long as the bridge. */
EINET_API const struct einet_callbacks *einet_dds_callbacks(struct einet_dds *dds);

/* Take images from now on and release them in run, which was started. Once. Returns 0, -EALREADY, EINET_E_PRIVILEGE or
 * -errno. */
EINET_API int einet_dds_start(struct einet_dds *dds, struct einet_run *run, struct einet_error *err);

/* Have another run take over from the one of this bridge: *out_callbacks are for its options, and live as long as the
 * bridge. Its workload must have the same tasks with topics and behind them in chains, with the same images and
 * outputs; all else may differ. The run before the present one must have been destroyed. Returns 0; EINET_E_MISMATCH:
 * topics differ, err says of which task and in what; EINET_E_USAGE: not in a pool; -EINVAL: not started; -EBUSY: one is
 * expected. Thread: one at a time for this and the next two. */
EINET_API int einet_dds_prepare(struct einet_dds *dds, const struct einet_workload *workload,
                                const struct einet_callbacks **out_callbacks, struct einet_error *err);

/* The run that was made with those callbacks is about to be started; from the instant at which it takes over images are
 * released in it. NULL: it comes to nothing, its start has failed, and it may be destroyed when this returns. */
EINET_API void einet_dds_expect(struct einet_dds *dds, struct einet_run *run);

/* Its start has succeeded: it is the run of this bridge. What the one before still has in hand is written when it
 * comes; when that has ended it may be destroyed. */
EINET_API void einet_dds_taken_over(struct einet_dds *dds);

/* Take no further image; what was taken ends as it would. Nothing when not started. */
EINET_API void einet_dds_stop(struct einet_dds *dds);

/* What became of the images of a task, or of the results with which its chain goes on here: received = refused +
 * turned_away + left + released + skipped, all 0 of one that is behind another in a chain. */
struct einet_dds_figures {
    size_t size_bytes; /* set by the caller */
    int64_t received;
    int64_t refused;     /* malformed, or not for this task: no status is written */
    int64_t turned_away; /* the run had no place or was not running: a status says so */
    int64_t left;        /* to other nodes of the pool, because this one was overloaded */
    int64_t released;
    int64_t restamped; /* of those released: the stamp was in the future or over 10 s old, so they count from their
                          coming */
    int64_t classifications; /* written */
    int64_t statuses;        /* written */
    int64_t failed_writes;   /* that CycloneDDS refused */
    int64_t lost;            /* statuses of all tasks that dds_out could not take in time; those that the callback
                                thread could not are events_lost of struct einet_end */
    int64_t partials;        /* written */
    int64_t undecodable;     /* messages whose bytes are none of their type, which came to no reader; of all tasks */
    int64_t skipped;         /* results of another run whose job did not complete there: a status says so */
};

/* Returns 0; -EINVAL: no such task, one that gets nothing of a topic, or no size. */
EINET_API int einet_dds_figures(const struct einet_dds *dds, int32_t task_idx, struct einet_dds_figures *out_figures);

/* Why the last image of the task was refused: static text, "" = none was. */
EINET_API const char *einet_dds_refusal(const struct einet_dds *dds, int32_t task_idx);

/* Write what is left, and free it. NULL is fine. The run must have ended. */
EINET_API void einet_dds_destroy(struct einet_dds *dds);

#ifdef __cplusplus
}
#endif
#endif
