/* The published answer of a task: what its last finished branch said, readable at any time from any thread.
 *
 * A seqlock (Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012): the payload lives in
 * atomic words, so that concurrent access is no data race, and a sequence number that is odd while a write is under way
 * tells a reader to read again. One writer (the job thread of the task), any number of readers. The writer never waits.
 * A reader copies 104 bytes; since two publications of one task lie a whole network block apart, it meets at most one of
 * them and repeats at most one torn read, unless writer or reader is preempted in mid-copy.
 */
#ifndef STAGES_ANSWER_H
#define STAGES_ANSWER_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_ANSWER_TOP 5

struct ei_answer {
    int64_t job_idx;      /* nominal release that it answers, from 0 */
    uint64_t tag;         /* of that release; 0 = none */
    int64_t release_ns;   /* of it, CLOCK_MONOTONIC */
    int64_t published_ns; /* CLOCK_MONOTONIC */
    int32_t task_idx;
    int32_t exit_idx;    /* exit that produced it, from 0 */
    int32_t exits_total; /* exits of the network */
    int32_t label;       /* answered class */
    float confidence;    /* softmax probability of `label` */
    int32_t is_final;    /* 1: the job will publish no further answer */
    int32_t top_count;   /* entries of top_*, <= EI_ANSWER_TOP */
    int32_t reserved;
    int32_t top_class[EI_ANSWER_TOP]; /* most probable first */
    float top_p[EI_ANSWER_TOP];
};

#define EI_ANSWER_WORDS (sizeof(struct ei_answer) / sizeof(uint64_t))
_Static_assert(sizeof(struct ei_answer) % sizeof(uint64_t) == 0, "the payload is copied in whole words");

/* Aligned to two cache lines so that a reader's polling does not disturb the writer's other data. */
struct ei_answer_cell {
    _Alignas(128) _Atomic uint64_t sequence; /* even: stable; 0: nothing published yet */
    _Atomic uint64_t words[EI_ANSWER_WORDS];
};

/* Before any thread uses the cell. */
void ei_answer_init(struct ei_answer_cell *cell);

/* Publish; wait-free. Thread: the one writer. */
EINET_RT void ei_answer_publish(struct ei_answer_cell *cell, const struct ei_answer *answer);

/* Mark the present answer as final, with no new computing. Thread: the one writer. Returns 0, or -ENOENT when nothing
 * was published. */
EINET_RT int ei_answer_finalize(struct ei_answer_cell *cell);

/* One attempt. Returns 1 and fills *out; 0 when nothing was published yet; -EAGAIN when a write was under way
 * (*out is then unchanged). Thread: any, wait-free. */
EINET_RT int ei_answer_try_read(const struct ei_answer_cell *cell, struct ei_answer *out);

/* Read, repeating torn attempts at most EI_ANSWER_ATTEMPTS_MAX times, which bounds it. out_torn (may be NULL) receives
 * the number of torn attempts. Returns like ei_answer_try_read; -EAGAIN only when every attempt was torn, which takes a
 * writer that was preempted in mid-write. Thread: any. */
#define EI_ANSWER_ATTEMPTS_MAX 64
EINET_RT int ei_answer_read(const struct ei_answer_cell *cell, struct ei_answer *out, int *out_torn);

#endif
