/* Hot path of handoff.h. */
#include "rt/handoff.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void ei_handoff_guard_lock(struct ei_handoff_guard *guard)
{
    (void)pthread_mutex_lock(&guard->mutex);
}

void ei_handoff_guard_unlock(struct ei_handoff_guard *guard)
{
    (void)pthread_mutex_unlock(&guard->mutex);
}

void ei_waiter_prepare(struct ei_waiter *waiter)
{
    atomic_store_explicit(&waiter->word, EI_WAITER_PREPARED, memory_order_relaxed);
}

static long futex(atomic_uint *word, int operation, unsigned value, const struct timespec *deadline)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

int ei_waiter_wait(struct ei_waiter *waiter, struct ei_mono deadline)
{
    const bool has_deadline = deadline.ns != INT64_MAX;
    const struct timespec at = ei_mono_timespec(deadline);
    unsigned word = EI_WAITER_PREPARED;
    (void)atomic_compare_exchange_strong_explicit(&waiter->word, &word, EI_WAITER_SLEEPING, memory_order_acquire,
                                                  memory_order_acquire);
    while (atomic_load_explicit(&waiter->word, memory_order_acquire) != EI_WAITER_GRANTED) {
        if (futex(&waiter->word, FUTEX_WAIT_BITSET, EI_WAITER_SLEEPING, has_deadline ? &at : NULL) != 0 &&
            errno == ETIMEDOUT) {
            return -ETIMEDOUT;
        }
    }
    atomic_store_explicit(&waiter->word, EI_WAITER_IDLE, memory_order_relaxed);
    return 0;
}

bool ei_waiter_cancel(struct ei_waiter *waiter)
{
    return atomic_exchange_explicit(&waiter->word, EI_WAITER_IDLE, memory_order_acquire) == EI_WAITER_GRANTED;
}

void ei_waiter_grant(struct ei_waiter *waiter)
{
    if (atomic_exchange_explicit(&waiter->word, EI_WAITER_GRANTED, memory_order_acq_rel) == EI_WAITER_SLEEPING) {
        (void)futex(&waiter->word, FUTEX_WAKE_BITSET, 1, NULL);
    }
}

static int make_other(pid_t tid)
{
    const struct sched_param param = {.sched_priority = 0};
    return sched_setscheduler(tid, SCHED_OTHER, &param) == 0 ? 0 : -errno;
}

int ei_thread_set_fifo(pid_t tid, int priority)
{
    const struct sched_param param = {.sched_priority = priority};
    return sched_setscheduler(tid, SCHED_FIFO, &param) == 0 ? 0 : -errno;
}

int ei_thread_demote(pid_t tid, struct ei_boost *boost)
{
    if (boost != NULL) {
        atomic_store(&boost->is_demoted, true);
    }
    return make_other(tid);
}

static int tell_kernel(const struct ei_boost *boost, int priority)
{
    const int rc = ei_thread_set_fifo(boost->tid, priority);
    if (rc < 0) {
        return rc;
    }
    /* Demoted meanwhile: that flag is set before the kernel is told there, so the last call makes it SCHED_OTHER. */
    return atomic_load(&boost->is_demoted) ? make_other(boost->tid) : 0;
}

int ei_thread_boost(struct ei_boost *boost, int priority)
{
    const int before = atomic_load(&boost->priority);
    if (atomic_load(&boost->base_priority) == 0 || priority <= before || atomic_load(&boost->is_demoted)) {
        return 0;
    }
    /* Stored before the kernel is told, so that a thread that is just stepping down sees it afterwards (settle). */
    atomic_store(&boost->priority, priority);
    const int rc = tell_kernel(boost, priority);
    if (rc < 0) {
        atomic_store(&boost->priority, before);
    }
    return rc;
}

/* Make the kernel's priority of the thread the wanted one. Somebody may boost it meanwhile: if that reached the
 * kernel before our call, it was overwritten, but then the wish is visible after our call and is taken up. */
static int settle(struct ei_boost *self)
{
    int told = 0;
    do {
        told = atomic_load(&self->priority);
        const int rc = tell_kernel(self, told);
        if (rc < 0) {
            return rc;
        }
    } while (atomic_load(&self->priority) != told);
    return 0;
}

int ei_thread_unboost(struct ei_boost *boost)
{
    const int base = atomic_load(&boost->base_priority);
    return atomic_exchange(&boost->priority, base) != base ? settle(boost) : 0;
}

int ei_boost_rebase_self(struct ei_boost *boost, int priority)
{
    if (atomic_load(&boost->base_priority) == 0 || atomic_load(&boost->is_demoted)) {
        return 0;
    }
    atomic_store(&boost->base_priority, priority);
    atomic_store(&boost->priority, priority);
    return settle(boost);
}

int ei_boost_rebase(struct ei_boost *boost, int priority)
{
    int before = atomic_load(&boost->base_priority);
    if (before == 0 || atomic_load(&boost->is_demoted)) {
        return 0;
    }
    atomic_store(&boost->base_priority, priority);
    /* Only what nobody has lent it, nor it has settled itself meanwhile. */
    (void)atomic_compare_exchange_strong(&boost->priority, &before, priority);
    return settle(boost);
}

int ei_handoff_release(struct ei_handoff_guard *guard, struct ei_waiter *granted, struct ei_boost *self)
{
    /* Under the guard the wish becomes the base priority; outside it the kernel switches to the granted thread, which
     * had better not find the guard locked. */
    const int base = atomic_load(&self->base_priority);
    const bool is_raised = atomic_exchange(&self->priority, base) != base;
    if (granted != NULL) {
        ei_waiter_grant(granted);
    }
    ei_handoff_guard_unlock(guard);
    if (!is_raised) {
        return 0;
    }
    if (granted != NULL) {
        (void)sched_yield(); /* behind the granted thread, which is as high as this one still is: half the way to it */
    }
    return settle(self);
}
