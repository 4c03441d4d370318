/* The common start of all threads of a run, in steps that everybody reaches before anybody goes on.
 *
 *   threads:  set up, warm up | FIFO, measure block times | sleep until the first release
 *   main:                     ^ lock memory               ^ set t0
 */
#ifndef ENGINE_START_H
#define ENGINE_START_H

#include <einet/error.h>
#include <pthread.h>
#include <stdbool.h>

enum ei_start_step { EI_START_SET_UP, EI_START_MEASURE, EI_START_GO };

struct ei_start {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int threads; /* that take part */
    int arrived; /* of them, at the end of the current step */
    enum ei_start_step step;
    bool is_failed;
    struct einet_error error; /* of the first thread that failed */
    pthread_mutex_t turn;     /* one thread measures at a time */
};

int ei_start_init(struct ei_start *start, int threads, struct einet_error *err);
void ei_start_fini(struct ei_start *start);

/* Give up because of rc < 0 with err, before arriving: whoever takes the turn next sees it. The first failure stays. */
void ei_start_fail(struct ei_start *start, int rc, const struct einet_error *err);
/* Whether the start was given up. Thread: any. */
bool ei_start_is_failed(struct ei_start *start);

/* A thread ended the current step; rc < 0 with err says that it failed. Waits for the next step. Returns 0, or
 * EINET_E_FAULT when the start was given up: the thread ends then. */
int ei_start_arrive(struct ei_start *start, int rc, const struct einet_error *err);

/* Main: wait until all threads arrived. Returns 0 or the first failure. */
int ei_start_await(struct ei_start *start, struct einet_error *err);

/* Main: open the next step, or give up. */
void ei_start_open(struct ei_start *start, enum ei_start_step step);
void ei_start_give_up(struct ei_start *start);

#endif
