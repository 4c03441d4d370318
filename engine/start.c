/* See start.h. Plain mutex and condition: all of this is over before real time begins. */
#include "engine/start.h"

#include <errno.h>

int ei_start_init(struct ei_start *start, int threads, struct einet_error *err)
{
    *start = (struct ei_start){.threads = threads};
    if (pthread_mutex_init(&start->mutex, NULL) != 0 || pthread_mutex_init(&start->turn, NULL) != 0 ||
        pthread_cond_init(&start->changed, NULL) != 0) {
        return einet_error_set(err, EINET_E_FAULT, "cannot make the locks of the start");
    }
    return 0;
}

void ei_start_fini(struct ei_start *start)
{
    pthread_cond_destroy(&start->changed);
    pthread_mutex_destroy(&start->turn);
    pthread_mutex_destroy(&start->mutex);
}

static void fail_locked(struct ei_start *start, int rc, const struct einet_error *err)
{
    if (!start->is_failed) {
        start->is_failed = true;
        start->error = *err;
        start->error.code = rc;
    }
}

void ei_start_fail(struct ei_start *start, int rc, const struct einet_error *err)
{
    pthread_mutex_lock(&start->mutex);
    fail_locked(start, rc, err);
    pthread_cond_broadcast(&start->changed);
    pthread_mutex_unlock(&start->mutex);
}

bool ei_start_is_failed(struct ei_start *start)
{
    pthread_mutex_lock(&start->mutex);
    const bool is_failed = start->is_failed;
    pthread_mutex_unlock(&start->mutex);
    return is_failed;
}

int ei_start_arrive(struct ei_start *start, int rc, const struct einet_error *err)
{
    pthread_mutex_lock(&start->mutex);
    const enum ei_start_step step = start->step;
    if (rc < 0) {
        fail_locked(start, rc, err);
    }
    start->arrived++;
    pthread_cond_broadcast(&start->changed);
    while (start->step == step && !start->is_failed) {
        pthread_cond_wait(&start->changed, &start->mutex);
    }
    const bool is_failed = start->is_failed;
    pthread_mutex_unlock(&start->mutex);
    return is_failed ? EINET_E_FAULT : 0;
}

int ei_start_await(struct ei_start *start, struct einet_error *err)
{
    pthread_mutex_lock(&start->mutex);
    while (start->arrived < start->threads && !start->is_failed) {
        pthread_cond_wait(&start->changed, &start->mutex);
    }
    const int rc = start->is_failed ? start->error.code : 0;
    if (rc < 0 && err != NULL) {
        *err = start->error;
    }
    pthread_mutex_unlock(&start->mutex);
    return rc;
}

void ei_start_open(struct ei_start *start, enum ei_start_step step)
{
    pthread_mutex_lock(&start->mutex);
    start->arrived = 0;
    start->step = step;
    pthread_cond_broadcast(&start->changed);
    pthread_mutex_unlock(&start->mutex);
}

void ei_start_give_up(struct ei_start *start)
{
    pthread_mutex_lock(&start->mutex);
    start->is_failed = true;
    pthread_cond_broadcast(&start->changed);
    pthread_mutex_unlock(&start->mutex);
}
