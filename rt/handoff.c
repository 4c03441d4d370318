/* Set-up side of handoff.h. */
#include "rt/handoff.h"

#include "rt/thread.h"

#include <errno.h>

int ei_handoff_guard_init(struct ei_handoff_guard *guard, struct einet_error *err)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    if (rc == 0) {
        rc = pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
        if (rc == 0) {
            rc = pthread_mutex_init(&guard->mutex, &attr);
        }
        pthread_mutexattr_destroy(&attr);
    }
    if (rc != 0) {
        return einet_error_set(err, EINET_E_FAULT, "no priority-inheriting mutex on this system: %s",
                               einet_error_text(-rc));
    }
    ei_handoff_guard_lock(guard);
    ei_handoff_guard_unlock(guard);
    return 0;
}

void ei_handoff_guard_fini(struct ei_handoff_guard *guard)
{
    pthread_mutex_destroy(&guard->mutex);
}

void ei_waiter_init(struct ei_waiter *waiter)
{
    atomic_init(&waiter->word, EI_WAITER_IDLE);
}

void ei_boost_init_self(struct ei_boost *boost)
{
    struct ei_thread_state state = {0};
    const bool is_fifo = ei_thread_read(0, &state) == 0 && state.policy == EI_THREAD_FIFO;
    boost->tid = ei_thread_self_tid();
    const int priority = is_fifo ? state.priority : 0;
    atomic_init(&boost->base_priority, priority);
    atomic_init(&boost->priority, priority);
    atomic_init(&boost->is_demoted, false);
}
