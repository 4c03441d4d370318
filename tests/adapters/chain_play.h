/* A chain over three machines: a camera and whoever listens in one network namespace, and one each for what sees
 * (`see`), for what plans and acts (`plan`, `act`), and for what follows those (`hand`), all joined by veth pairs; or,
 * where that cannot be, all of them on the loopback interface. Every task's deadline counts from the stamp of the
 * camera's image. For comparison the same tasks may stand in one run.
 */
#ifndef TESTS_ADAPTERS_CHAIN_PLAY_H
#define TESTS_ADAPTERS_CHAIN_PLAY_H

#include "tests/adapters/machine.h"

#include <dds/dds.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CHAIN_SEE, CHAIN_PLAN, CHAIN_ACT, CHAIN_HAND, CHAIN_TASKS };
#define CHAIN_MACHINES 3
#define CHAIN_IMAGES_MAX 20000

/* Workloads, by machine: quick enough for all deadlines. */
extern const char *const chain_play_quick[CHAIN_MACHINES];
/* A network that needs longer than the deadline of `hand`, though not than its own, and that has no place for some
 * images. */
extern const char *const chain_play_slow[CHAIN_MACHINES];
/* The first, in one run. */
extern const char *const chain_play_one[CHAIN_MACHINES];

/* The status of one image in one task. */
struct chain_status {
    int32_t count; /* 0 = none came */
    int32_t outcome, cause;
    int64_t job_idx, release_ns, start_ns, finish_ns, deadline_ns;
    bool is_met;
};

struct chain_heard {
    const char *task;
    struct chain_play *play;
    dds_entity_t statuses;
    atomic_int_least64_t count;   /* of the images since the last chain_play_roll began */
    atomic_int_least64_t strange; /* of a stamp that the camera never gave */
    struct chain_status status[CHAIN_IMAGES_MAX];
};

struct chain_play {
    bool is_apart; /* in namespaces */
    char folder[200], binary[300];
    int domain, priority; /* of the threads that carry messages, and of the camera */
    pid_t keepers[CHAIN_MACHINES];
    struct machine_node nodes[CHAIN_MACHINES];
    dds_entity_t participant, images;
    struct chain_heard heard[CHAIN_TASKS];
    atomic_int first, sent;             /* the first image of the last chain_play_roll, and how many there are */
    int64_t stamp_ns[CHAIN_IMAGES_MAX]; /* as the image says it, by its number; written before `sent` */
    int64_t made_ns[CHAIN_IMAGES_MAX];  /* the same on CLOCK_MONOTONIC */
    char words[CHAIN_MACHINES][2000];   /* what the machines said in the end */
};

/* Set up the networks, if is_apart, and what listens. Returns NULL, or what is missing for it. */
const char *chain_play_open(struct chain_play *play);
void chain_play_close(struct chain_play *play);

/* Start the machines, NULL = not that one, and wait until they know each other. False: they do not. */
bool chain_play_start(struct chain_play *play, const char *const texts[CHAIN_MACHINES]);
/* End them. False: one of them did not end well. */
bool chain_play_end(struct chain_play *play);

/* Send so many images, one each period, and wait until all tasks have said what became of those that the first speaks
 * of: false, they do not within half a minute. */
bool chain_play_roll(struct chain_play *play, int32_t images, int64_t period_ns);

#endif
