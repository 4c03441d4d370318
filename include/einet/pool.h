/* Pools: several machines that run the same tasks and answer as one, over DDS (docs/pool.md). Part of libeinet_dds.
 *
 *   camera --> node a: every frame --\  exclusive results,
 *         \--> node b: every frame ---> strength = rank - load --> egress --> /einet/TASK/classification, /status,
 *                                                                            or as the workload names them
 *
 * Membership, failure detection and the choice between nodes are those of DDS: liveliness that the scheduler asserts,
 * and exclusive ownership. A node is a bridge (einet/dds.h) with a pool in its options. This header has the other two
 * sides: the egress, which reads the results of the strongest living node and writes them to the topics of ROS 2, and
 * the watch, which sees what the nodes say of themselves, and who is the egress.
 */
#ifndef EINET_POOL_H
#define EINET_POOL_H

#include <einet/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EINET_DDS_DOMAIN_MAX 230
#define EINET_POOL_NAME_MAX 64 /* with the terminating 0: of pools, nodes, tasks and workloads */
#define EINET_POOL_TOPIC_MAX 128
#define EINET_POOL_TASKS_MAX 64
#define EINET_POOL_NODES_MAX 32
#define EINET_POOL_EGRESSES_MAX 32
#define EINET_POOL_RANK_MAX 100
#define EINET_POOL_LEASE_DEFAULT_NS INT64_C(100000000)
#define EINET_POOL_LEASE_MIN_NS INT64_C(20000000)
#define EINET_POOL_LEASE_MAX_NS INT64_C(10000000000)

/* A bridge's place in a pool. */
struct einet_dds_pool {
    size_t size_bytes;
    const char *name; /* letters, digits, '_', '-', '.': the partition of DDS */
    const char *node; /* as name; different for each node of the pool */
    int32_t rank;     /* 0..EINET_POOL_RANK_MAX: the highest living one answers; of equal ones the first by name */
    int64_t lease_ns; /* silence after which others take over; 0 = EINET_POOL_LEASE_DEFAULT_NS */
};

/* What a node does about a task. */
enum einet_dds_duty {
    EINET_DUTY_SERVING,  /* computes each frame; the strongest living node is heard */
    EINET_DUTY_YIELDING, /* still computes, and has let others become stronger */
    EINET_DUTY_RESTING,  /* leaves the frames to others, because it was overloaded */
    EINET_DUTY_TRYING,   /* computes again, still weaker than others, to see whether it can */
    EINET_DUTY_HANGING   /* a job of its chain does not end: others are let be stronger in all of the chain */
};

enum einet_dds_node_state { EINET_NODE_STARTING, EINET_NODE_RUNNING, EINET_NODE_OVERLOADED, EINET_NODE_LEAVING };

/* What a node said last of a task of the pool. */
struct einet_dds_node_task {
    char name[EINET_POOL_NAME_MAX];
    int32_t priority;
    int32_t duty;          /* enum einet_dds_duty */
    int32_t load_permille; /* of a lane, were each frame computed to its last exit */
    int32_t strength;
    int64_t answered, late; /* frames since the node began */
    /* where the egress is to write, as the workload of the node says; "" = nowhere */
    char classification_topic[EINET_POOL_TOPIC_MAX], status_topic[EINET_POOL_TOPIC_MAX];
    char partial_topic[EINET_POOL_TOPIC_MAX];
};

/* What a node said last of itself. */
struct einet_dds_node {
    char name[EINET_POOL_NAME_MAX];
    char workload[EINET_POOL_NAME_MAX];
    int32_t state; /* enum einet_dds_node_state */
    int32_t rank;
    int32_t load_permille;  /* of all its tasks together; lanes add up */
    int64_t incarnation;    /* when it began, ns since 1970 */
    uint64_t workload_hash; /* of what its tasks are called and promise; equal for equal workloads */
    int32_t task_count;
    struct einet_dds_node_task tasks[EINET_POOL_TASKS_MAX];
};

/* ---- the egress ---- */

struct einet_dds_egress;

/* Any number of them may run for one pool, each in a process of its own: one is active, the others stand by, see what
 * it writes, and go on from there when it dies, hangs or ends. */
struct einet_dds_egress_options {
    size_t size_bytes;
    int32_t domain; /* as ROS_DOMAIN_ID, 0..EINET_DDS_DOMAIN_MAX */
    int32_t
        priority; /* of its thread and of CycloneDDS's threads that carry data: 1..98 = SCHED_FIFO, 0 = SCHED_OTHER */
    const char *config; /* more settings of CycloneDDS, as CYCLONEDDS_URI has them; NULL = none */
    const char *pool;
    int64_t lease_ns;     /* silence of the active one after which another is; 0 = EINET_POOL_LEASE_DEFAULT_NS */
    int32_t fence_signal; /* SIGRTMIN..SIGRTMAX, which nobody else in the process uses; with on_fence alone */
    /* Called in a handler of that signal, on the thread of the egress, when this thread was stopped in the middle of a
     * write and another egress is active by now, or may be: what does not return from it, and ends the process, writes
     * nothing twice. NULL: one message may come out when it goes on. */
    void (*on_fence)(void);
};

/* Join the pool and pass its answers on, for every task that a node names, from now on. The domain must not be in use
 * in this process. Returns 0 with *out_egress, which is the caller's; EINET_E_USAGE; EINET_E_PRIVILEGE;
 * EINET_E_BACKEND; -EINVAL or -E2BIG (size_bytes); -ENOMEM. */
EINET_API int einet_dds_egress_create(const struct einet_dds_egress_options *options,
                                      struct einet_dds_egress **out_egress, struct einet_error *err);

/* What passed of a task: taken = passed + repeated + backward + failed. */
struct einet_dds_egress_figures {
    size_t size_bytes; /* set by the caller */
    char task[EINET_POOL_NAME_MAX];
    char node[EINET_POOL_NAME_MAX]; /* whose frame passed last; "" = none did */
    int64_t taken;
    int64_t passed;            /* frames whose status was written */
    int64_t answered;          /* of them, with an answer */
    int64_t repeated;          /* the stamp had passed before, here or in another egress */
    int64_t backward;          /* the stamp was older than one that had passed with an answer */
    int64_t failed;            /* CycloneDDS did not write it */
    int64_t switches;          /* a frame of another node or incarnation than the one before passed */
    int64_t switch_gap_ns;     /* between the two frames of the last switch */
    int64_t longest_switch_ns; /* of all switches */
    int64_t partials;          /* that were written, where a workload asks for them */
};

/* 1: what comes is passed on; 0: it listens for others, for a second at first, or stands by; -ESTALE: its process was
 * stopped for more than five seconds, so that DDS forgets it: it does nothing any more, destroy it and create another.
 * Thread: any. */
EINET_API int32_t einet_dds_egress_is_active(const struct einet_dds_egress *egress);

/* Tasks known so far; they are numbered as they were found. Thread: any. */
EINET_API int32_t einet_dds_egress_task_count(struct einet_dds_egress *egress);

/* Returns 0; -EINVAL: no such task, or no size. Thread: any. */
EINET_API int einet_dds_egress_figures(struct einet_dds_egress *egress, int32_t task_idx,
                                       struct einet_dds_egress_figures *out_figures);

/* When its thread last went round (CLOCK_MONOTONIC), as it does every 100 ms at least; 0 = not yet. A watchdog of the
 * program should be fed only while this moves. Thread: any. */
EINET_API int64_t einet_dds_egress_beat(const struct einet_dds_egress *egress);

/* End it and free it. NULL is fine. */
EINET_API void einet_dds_egress_destroy(struct einet_dds_egress *egress);

/* ---- the watch ---- */

struct einet_dds_watch;

/* See the nodes of a pool; options as those of an egress. Returns as einet_dds_egress_create. */
EINET_API int einet_dds_watch_create(const struct einet_dds_egress_options *options, struct einet_dds_watch **out_watch,
                                     struct einet_error *err);

/* The nodes that live, in their order: the first is heard. Writes at most max of them and returns how many there are,
 * which are none until they have been found, some 100 ms after create. Thread: one at a time. */
EINET_API int32_t einet_dds_watch_nodes(struct einet_dds_watch *watch, struct einet_dds_node *out_nodes, int32_t max);

/* An egress of the pool. One that died without giving way is seen as standing by for some ten seconds more. */
struct einet_dds_egress_seen {
    char machine[EINET_POOL_NAME_MAX]; /* "?" = it does not say */
    int32_t process;
    int32_t is_active; /* what comes is passed on by this one; else it stands by, or listens */
};

/* The egresses that DDS knows of, in no order. Writes at most max of them and returns how many there are, at most
 * EINET_POOL_EGRESSES_MAX, none until they have been found. Thread: one at a time. */
EINET_API int32_t einet_dds_watch_egresses(struct einet_dds_watch *watch, struct einet_dds_egress_seen *out_egresses,
                                           int32_t max);

/* End it and free it. NULL is fine. */
EINET_API void einet_dds_watch_destroy(struct einet_dds_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
