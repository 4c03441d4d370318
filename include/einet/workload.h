/* Workloads: the tasks, lanes and models that a run schedules, from a file, a text (einet-workload(5)) or calls
 * (draft.h).
 *
 * A workload does not change once it is made, so any number of threads may read it. It is counted: a run keeps the one
 * that it was made from, and einet_workload_destroy gives up the caller's own claim only.
 */
#ifndef EINET_WORKLOAD_H
#define EINET_WORKLOAD_H

#include <einet/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct einet_workload;

/* Read and check a file. Returns 0 with *out_workload, which is the caller's; EINET_E_FILE with the place of the first
 * fault in err; -ENOMEM. *out_workload is untouched on error. */
EINET_API int einet_workload_load(const char *path, struct einet_workload **out_workload, struct einet_error *err);

/* The same for a text in memory, which is copied. name (NULL = "workload") stands for the file in errors; the folder in
 * it, if any, is where relative paths in the text are looked up first. */
EINET_API int einet_workload_parse(const char *text, size_t length_bytes, const char *name,
                                   struct einet_workload **out_workload, struct einet_error *err);

/* Give it up. NULL is fine. */
EINET_API void einet_workload_destroy(struct einet_workload *workload);

/* Its name; lives as long as the workload. */
EINET_API const char *einet_workload_name(const struct einet_workload *workload);

/* The whole workload as a file with every default filled in, as `einet check --print` shows it. Like snprintf: as much
 * as fits and a final 0 go to out_text, which may be NULL with size_bytes 0. Returns the length of the whole without
 * the final 0, or -ENOMEM. */
EINET_API int64_t einet_workload_text(const struct einet_workload *workload, char *out_text, size_t size_bytes);

/* Tasks are numbered from 0 in the order of the file. */
EINET_API int32_t einet_workload_task_count(const struct einet_workload *workload);

/* The number of the task of that name, or -ENOENT. */
EINET_API int32_t einet_workload_find_task(const struct einet_workload *workload, const char *name);

/* What comes with a release of a task with `input: { kind: topic }`. */
enum einet_message {
    EINET_MESSAGE_IMAGE,            /* sensor_msgs/Image */
    EINET_MESSAGE_COMPRESSED_IMAGE, /* sensor_msgs/CompressedImage */
    EINET_MESSAGE_CLASSIFICATION,   /* vision_msgs/Classification: a result, with which a chain goes on here */
    EINET_MESSAGE_STATUS            /* einet_msgs/InferenceStatus: the same */
};

enum einet_scheduling_class { EINET_CLASS_OTHER, EINET_CLASS_FIFO, EINET_CLASS_DEADLINE };

/* What a workload says of a task. */
struct einet_task_info {
    size_t size_bytes;         /* set by the caller */
    const char *name;          /* lives as long as the workload */
    int32_t scheduling_class;  /* enum einet_scheduling_class, as asked for */
    int32_t priority;          /* 1..98 of class fifo; 0 of class other; 100 of class deadline */
    int32_t is_external;       /* 1: its jobs are released by einet_run_release */
    int32_t has_network;       /* 1: it has answers */
    int64_t deadline_ns;       /* from the release; 0 = none */
    int64_t least_interval_ns; /* between two releases: the period or min_interarrival; 0 = none */
    int32_t overlap;           /* jobs in flight at most */
    int32_t queue;             /* jobs that wait at most */

    /* of its input */
    const char *topic;                     /* `kind: topic`; "" = none; lives as long as the workload */
    int32_t is_compressed;                 /* 1: message is EINET_MESSAGE_COMPRESSED_IMAGE */
    int32_t width_px, height_px, channels; /* of pictures that are handed in, at most; 0 = none are */

    /* of its chain, and of what becomes of the messages with which that begins */
    int32_t chain_head_idx;           /* the task whose releases are those of its chain; itself when it is in none */
    const char *classification_topic; /* where its answers go; "" = nowhere; lives as long as the workload */
    const char *status_topic;         /* the same for what became of its jobs */
    const char *partial_topic;        /* the same for the answer of each exit */

    int32_t message; /* of its topic: enum einet_message; without meaning where topic is "" */
};

/* Returns 0, or -EINVAL: no such task, or no size. */
EINET_API int einet_workload_task_info(const struct einet_workload *workload, int32_t task_idx,
                                       struct einet_task_info *out_info);

#ifdef __cplusplus
}
#endif
#endif
