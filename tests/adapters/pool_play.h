/* A pool as a robot has it: two nodes, each in a process of its own, a camera, the egress and somebody who listens to
 * the topics of ROS 2. The second node, the camera and the egress stand in one network namespace, the first node in
 * another, joined by a veth pair; or, where that cannot be, all of them on the loopback interface. The namespaces
 * belong to the processes and go with them. Egresses may be processes as well; then the first stands with the first
 * node.
 */
#ifndef TESTS_ADAPTERS_POOL_PLAY_H
#define TESTS_ADAPTERS_POOL_PLAY_H

#include "tests/adapters/machine.h"

#include <dds/dds.h>
#include <einet/pool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define POOL_PLAY_TASKS_MAX 3
#define POOL_PLAY_FRAMES_MAX 200000

/* Workloads: one small task, `eye`. */
extern const char pool_play_one[];
/* The same with names of its own for what it puts out: /scene, /state, and /seen for each exit. */
extern const char pool_play_named[];
/* 0.1 of a CPU for `high`, 0.7 for `low`, and 0.7 for what is not of the pool; of lower priority than the first. */
extern const char pool_play_too_much[];
/* The same without the last. */
extern const char pool_play_bearable[];
/* Both with `behind`, of a little higher priority, behind `low`. */
extern const char pool_play_too_much_chain[];
extern const char pool_play_bearable_chain[];

/* `eye` with a stage, `law`, for a function in place of it. */
extern const char pool_play_law[];
/* `eye`, and `behind` with that stage behind it; and without a place in which an image waits for the one before it. */
extern const char pool_play_law_behind[];
extern const char pool_play_law_behind_unqueued[];

/* What the listener heard of a task. */
struct pool_heard {
    const char *task;
    dds_entity_t statuses, classifications;
    pthread_mutex_t lock;
    int64_t frames, answers, answered; /* statuses, classifications, statuses that promise one */
    int64_t repeated, backward;        /* statuses of one stamp; classifications no later than the one before */
    int64_t late;                      /* statuses without deadline_met */
    int64_t last_ns, gap_ns;        /* CLOCK_MONOTONIC of the last status; the longest time between two, since asked */
    int32_t last_frame, gap_frames; /* number of its image; the most images between two, since asked */
    int32_t last_answer;
    uint8_t is_known[POOL_PLAY_FRAMES_MAX];
};

struct pool_play {
    bool is_apart; /* in namespaces */
    char folder[200], binary[300];
    int64_t lease_ns, period_ns;
    int domain;
    int priority;         /* of all threads that carry messages, and of the camera: 0 = SCHED_OTHER */
    const char *texts[2]; /* workloads of the nodes */
    const char *hanging;  /* a program for the first node that hangs (hanging_node.c); NULL = as the second */
    pid_t keeper;         /* of the first node's namespace, 0 = none */
    struct machine_node nodes[2];
    bool has_egresses;    /* processes, to be started; else there is one in this process */
    const char *stopping; /* a program for the first egress (stopping_egress.c); NULL = as the second */
    pid_t egresses[2];    /* 0 = does not run */
    struct einet_dds_egress *egress;
    dds_entity_t participant, images;
    int32_t task_count;
    struct pool_heard heard[POOL_PLAY_TASKS_MAX];
    pthread_t camera;
    bool has_camera;
    atomic_bool is_ending;
    atomic_int_least64_t sent;     /* images */
    atomic_int_least64_t noise_ns; /* how late the camera woke, all together: what the machine takes from all of us */
};

/* A reader of the listener's participant that loses nothing. */
dds_entity_t pool_play_reader(struct pool_play *play, const dds_topic_descriptor_t *type, const char *topic);

/* Set up networks and egress and listen to tasks (NULL-terminated). Returns NULL, or what is missing for it. */
const char *pool_play_open(struct pool_play *play, const char *const *tasks);
void pool_play_close(struct pool_play *play);

/* Start node 0 or 1 ("a", rank 60, and "b", rank 50) and wait until it has said what it runs. False: it does not. */
bool pool_play_start(struct pool_play *play, int node);
/* Start egress 0 or 1 and wait until it runs; kill it. */
bool pool_play_start_egress(struct pool_play *play, int egress);
void pool_play_kill_egress(struct pool_play *play, int egress);
/* SIGCONT, and wait until it stands by. One that was stopped while it wrote has ended instead (exit status 5), and is
 * started again. False: neither, within the time. */
bool pool_play_continue_egress(struct pool_play *play, int egress, int64_t limit_ns);
/* SIGTERM: its exit status, and what it has printed. */
int pool_play_end_egress(struct pool_play *play, int egress, char *out, size_t size_bytes);
/* Wait until it says that it is active, or that it is not; false: not within the time. */
bool pool_play_await_turn(struct pool_play *play, int egress, bool is_active, int64_t limit_ns);
/* Wait until so many more frames of the first task were heard. */
bool pool_play_await_frames(struct pool_play *play, int64_t frames, int64_t limit_ns);

/* Begin to send images, when an egress of this process is active. */
bool pool_play_roll(struct pool_play *play);

/* Wait until the egress passes a task's frames of that node; false: not within the time. */
bool pool_play_await(struct pool_play *play, const char *task, int node, int64_t limit_ns);
/* What the egress says of a task; false: it does not know it. */
bool pool_play_figures(struct pool_play *play, const char *task, struct einet_dds_egress_figures *out);
/* Forget the longest gap and return it with its frames. */
int64_t pool_play_gap(struct pool_play *play, int task, int32_t *out_frames);

int64_t pool_play_now_ns(void);
void pool_play_nap_ms(int ms);

#endif
